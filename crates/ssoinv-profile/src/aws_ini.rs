//! Reads AWS's `config` and `credentials` files: from bytes to sections, keys, values and their lines.
//!
//! The files look like INI, but aren't: comments may follow a value or a header, an indented line continues the value
//! above, quotes and backslashes are literal, and keys ignore case. So a file is first converted, line by line, to
//! plain INI (`to_plain`): each name and value in quotes, each odd character escaped. rust-ini reads that faithfully,
//! and a table beside it keeps the line numbers. The rules are those of the AWS SDKs' shared configuration files
//! ("Shared config and credentials files" in the AWS SDKs and Tools Reference Guide) and of the cases that the SDKs
//! share.
//!
//! The meaning of sections, and the choice between equal ones, is left to `sections`.

use std::fmt::{self, Write};

use ini::Ini;

/// A section as it is in the file. The same name may occur again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The text between the brackets, trimmed: `profile dev`.
    pub header: String,
    /// The header's line, from 1.
    pub line: usize,
    /// The keys below it, in the file's order. The same key may occur again.
    pub properties: Vec<Property>,
}

/// A key and its value as they are in the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    /// The key, in lower case.
    pub key: String,
    /// The value, trimmed, without its comment.
    ///
    /// Each indented line below it follows after a `\n`, trimmed but otherwise raw; so a nested property is `\nname =
    /// value`.
    pub value: String,
    /// The number of each line of the value, from 1: the first is the key's own.
    pub lines: Vec<usize>,
    /// True if a comment followed the value. botocore takes it as part of the value.
    pub commented: bool,
}

/// Without the value, which may be a secret.
impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Property").field("key", &self.key).field("lines", &self.lines).finish_non_exhaustive()
    }
}

/// The reason for which a file can't be read, and the line. Without the line's text, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: usize,
    /// The error in the line.
    pub what: SyntaxErrorKind,
}

/// The errors of a line, in the words of the AWS SDKs, so that a search finds them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxErrorKind {
    /// A line above the first section.
    #[error("Expected a profile definition, found something above the first section")]
    NoSection,
    /// A header without its `]`.
    #[error("Profile definition must end with ']'")]
    HeaderNotClosed,
    /// A line without `=`.
    #[error("Expected an '=' sign defining a property")]
    NoEquals,
    /// A line that starts with `=`.
    #[error("Property did not have a name")]
    NoName,
    /// An indented line without `=` below a key without a value.
    #[error("Expected an '=' sign defining a sub-property")]
    NestedNoEquals,
    /// An indented line that starts with `=` below a key without a value.
    #[error("Sub-property did not have a name")]
    NestedNoName,
    /// An indented line that follows a header.
    #[error("Expected a property definition, found continuation")]
    StrayContinuation,
    /// Not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// rust-ini refused the converted text: a bug.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
}

impl SyntaxErrorKind {
    /// Returns the advice for the error.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSection => "put the line below a section such as `[default]` or `[profile NAME]`",
            Self::HeaderNotClosed => "end the section's name with `]`",
            Self::NoEquals => "write the line as `key = value`, or start it with `#` if it is a comment",
            Self::NestedNoEquals => {
                "write the line as `key = value`, or give the key above a value on its own line"
            }
            Self::NoName | Self::NestedNoName => "write a key before the `=`",
            Self::StrayContinuation => "remove the white space at the start of the line",
            Self::NotUtf8 => "save the file in UTF-8",
            Self::Unreadable(_) => "please report this file, without its secrets, as a bug",
        }
    }
}

/// White space in AWS's sense: no other character is trimmed or separates.
pub(crate) const BLANK: [char; 2] = [' ', '\t'];
const COMMENT: [char; 2] = ['#', ';'];

/// Reads a file.
pub fn read(bytes: &[u8]) -> Result<Vec<Section>, SyntaxError> {
    let text = std::str::from_utf8(bytes).map_err(|error| SyntaxError {
        line: bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count(),
        what: SyntaxErrorKind::NotUtf8,
    })?;
    let plain = to_plain(text.strip_prefix('\u{feff}').unwrap_or(text))?;
    let broken = |line, why: &str| SyntaxError { line, what: SyntaxErrorKind::Unreadable(why.to_owned()) };
    let ini = Ini::load_from_str(&plain.text).map_err(|error| broken(error.line, &error.msg))?;

    // rust-ini keeps sections and keys in the order of the text, also duplicates.
    let (mut headers, mut keys) = (plain.headers.into_iter(), plain.keys.into_iter());
    let mut sections = Vec::new();
    for (header, properties) in ini.iter().filter_map(|(header, properties)| Some((header?, properties))) {
        let line = headers.next().ok_or_else(|| broken(1, "a section too many"))?;
        let mut section = Section { header: unquoted(header), line, properties: Vec::new() };
        for (key, value) in properties {
            let KeyLines { lines, commented } = keys.next().ok_or_else(|| broken(line, "a key too many"))?;
            section.properties.push(Property {
                key: unquoted(key),
                value: value.to_owned(),
                lines,
                commented,
            });
        }
        sections.push(section);
    }
    if headers.next().is_some() || keys.next().is_some() {
        return Err(broken(1, "a section or key was lost"));
    }
    Ok(sections)
}

/// A file as plain INI, and the lines that its parts came from.
#[derive(Default)]
struct PlainIni {
    text: String,
    /// The line of each header, in order.
    headers: Vec<usize>,
    /// The lines of each key, in order.
    keys: Vec<KeyLines>,
}

struct KeyLines {
    lines: Vec<usize>,
    commented: bool,
}

/// Converts the AWS dialect to plain INI, and refuses what AWS's readers refuse.
fn to_plain(text: &str) -> Result<PlainIni, SyntaxError> {
    let mut plain = PlainIni::default();
    // A value stays open until its closing quote is written, since an indented line may continue it.
    let mut value: Option<Value> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let fail = |what| SyntaxError { line: number, what };
        let line = line.trim_end_matches('\r');
        let trimmed = line.trim_matches(BLANK);
        if trimmed.is_empty() || trimmed.starts_with(COMMENT) {
            continue;
        }
        if line.starts_with(BLANK) {
            match value {
                _ if plain.headers.is_empty() => return Err(fail(SyntaxErrorKind::NoSection)),
                None => return Err(fail(SyntaxErrorKind::StrayContinuation)),
                Some(Value::Nested) => {
                    let (key, _) = split_comment(trimmed)
                        .0
                        .split_once('=')
                        .ok_or_else(|| fail(SyntaxErrorKind::NestedNoEquals))?;
                    if key.trim_matches(BLANK).is_empty() {
                        return Err(fail(SyntaxErrorKind::NestedNoName));
                    }
                }
                Some(Value::Text) => {}
            }
            escape_into(&mut plain.text, "\n");
            escape_into(&mut plain.text, trimmed);
            if let Some(key) = plain.keys.last_mut() {
                key.lines.push(number);
            }
            continue;
        }
        if value.take().is_some() {
            plain.text.push_str("\"\n");
        }
        if line.starts_with('[') {
            let header = header(trimmed).ok_or_else(|| fail(SyntaxErrorKind::HeaderNotClosed))?;
            plain.text.push_str("[\"");
            escape_into(&mut plain.text, header);
            plain.text.push_str("\"]\n");
            plain.headers.push(number);
        } else {
            if plain.headers.is_empty() {
                return Err(fail(SyntaxErrorKind::NoSection));
            }
            let (content, commented) = split_comment(trimmed);
            let (key, text) = content.split_once('=').ok_or_else(|| fail(SyntaxErrorKind::NoEquals))?;
            let (key, text) = (key.trim_matches(BLANK), text.trim_matches(BLANK));
            if key.is_empty() {
                return Err(fail(SyntaxErrorKind::NoName));
            }
            plain.text.push('"');
            escape_into(&mut plain.text, &key.to_ascii_lowercase());
            plain.text.push_str("\"=\"");
            escape_into(&mut plain.text, text);
            plain.keys.push(KeyLines { lines: vec![number], commented });
            value = Some(if text.is_empty() { Value::Nested } else { Value::Text });
        }
    }
    if value.is_some() {
        plain.text.push_str("\"\n");
    }
    Ok(plain)
}

/// The kind of value that an indented line would continue.
enum Value {
    /// A value that began on its key's line.
    Text,
    /// An empty value: properties of its own follow.
    Nested,
}

/// Returns the name in a header line, without brackets and comment. In quotes, a comment's sign is a plain character.
pub(crate) fn header(line: &str) -> Option<&str> {
    let inside =
        |line: &'_ str| -> Option<usize> { line.trim_end_matches(BLANK).strip_suffix(']').map(str::len) };
    let cut = line.find(COMMENT).unwrap_or(line.len());
    let end = inside(&line[..cut]).or_else(|| {
        let mut quote = None;
        let cut = line.find(|c| {
            match quote {
                Some(open) if c == open => quote = None,
                None if c == '"' || c == '\'' => quote = Some(c),
                _ => {}
            }
            quote.is_none() && COMMENT.contains(&c)
        });
        inside(&line[..cut.unwrap_or(line.len())]).filter(|_| quote.is_none())
    })?;
    // A line of `[` and `]` is at least two bytes, so the name starts after the first.
    line.get(1..end).map(|name| name.trim_matches(BLANK))
}

/// Returns the line without its comment, and whether there was one: a `#` or `;` after white space.
pub(crate) fn split_comment(line: &str) -> (&str, bool) {
    let comment = line.match_indices(COMMENT).find(|(at, _)| line[..*at].ends_with(char::is_whitespace));
    match comment {
        Some((at, _)) => (line[..at].trim_end_matches(BLANK), true),
        None => (line, false),
    }
}

/// Writes text so that rust-ini reads it back inside quotes.
///
/// All but letters, digits and a few harmless signs become `\xHHHH`. Characters above U+FFFF, which that form can't
/// represent, mean nothing to rust-ini.
fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match u16::try_from(u32::from(c)) {
            Ok(code) if !c.is_alphanumeric() && !"-_./@%+".contains(c) => {
                let _ = write!(out, "\\x{code:04x}");
            }
            _ => out.push(c),
        }
    }
}

/// Removes the quotes, which rust-ini removes from values, but not from headers and keys.
fn unquoted(name: &str) -> String {
    name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    /// Formats a file's content, with values: not for secrets.
    fn show(bytes: &[u8]) -> String {
        let mut out = String::new();
        match read(bytes) {
            Err(error) => writeln!(out, "line {}: {error}", error.line).expect("a string takes it"),
            Ok(sections) => {
                for section in sections {
                    writeln!(out, "{} [{}]", section.line, section.header).expect("a string takes it");
                    for Property { key, value, lines, commented } in section.properties {
                        let comment = if commented { " #" } else { "" };
                        writeln!(out, "{lines:?} {key} = {value:?}{comment}").expect("a string takes it");
                    }
                }
            }
        }
        out
    }

    #[expect(clippy::needless_pass_by_value, reason = "as `expect!` makes it")]
    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&show(text.as_bytes()));
    }

    #[test]
    fn bom_crlf_and_a_missing_last_newline() {
        check(
            "\u{feff}[profile a]\r\nregion = eu-west-1\r\n\r\n; x\r\ns3 =\r\n  a = b\r\n\r\n  # c\r\n  c = d\r\nlast=1",
            expect![[r#"
                1 [profile a]
                [2] region = "eu-west-1"
                [5, 6, 9] s3 = "\na = b\nc = d"
                [10] last = "1"
            "#]],
        );
    }

    #[test]
    fn nothing_in_a_value_is_special() {
        check(
            concat!(
                "[profile \"my profile\"] # c\n",
                "a = \"x\" 'y'\n",
                "b = C:\\new\\table\\x0041\\\n",
                "c = %(a)s $HOME ${x} [y] {z}\n",
                "d==e:=f;g#h ;i\n",
                "e = \u{1f512} \u{a0}é\u{2028}\n",
                "f = x # \"\n",
                "g.H = 1\n",
            ),
            expect![[r#"
                1 [profile "my profile"]
                [2] a = "\"x\" 'y'"
                [3] b = "C:\\new\\table\\x0041\\"
                [4] c = "%(a)s $HOME ${x} [y] {z}"
                [5] d = "=e:=f;g#h" #
                [6] e = "🔒 \u{a0}é\u{2028}"
                [7] f = "x" #
                [8] g.h = "1"
            "#]],
        );
    }

    #[test]
    fn what_comes_twice_is_kept_twice_and_in_order() {
        check(
            "[b]\nk = 1\nj = 2\nk = 3\n[a]\n[b]\nk = 4\n",
            expect![[r#"
                1 [b]
                [2] k = "1"
                [3] j = "2"
                [4] k = "3"
                5 [a]
                6 [b]
                [7] k = "4"
            "#]],
        );
    }

    #[test]
    fn an_indented_comment_is_a_comment_and_an_indented_header_is_not_a_header() {
        check(
            "[a]\n  ; c\nk = 1\n\t# c\n [b]\n x # y\n",
            expect![[r#"
                1 [a]
                [3, 5, 6] k = "1\n[b]\nx # y"
            "#]],
        );
    }

    #[test]
    fn headers() {
        for (line, name) in [
            ("[a]", Some("a")),
            ("[ profile\ta ]", Some("profile\ta")),
            ("[a]]", Some("a]")),
            ("[]", Some("")),
            ("[a];b", Some("a")),
            ("[a] \t# [b]", Some("a")),
            (r#"[profile "a#b"]"#, Some(r#"profile "a#b""#)),
            (r"[profile 'a ;b'] ; c", Some("profile 'a ;b'")),
            ("[profile o'neil] # it's", Some("profile o'neil")),
            ("[a", None),
            ("[", None),
            ("[a] b", None),
            ("[a#]", None),
            (r#"["a#]"#, None),
        ] {
            assert_eq!(header(line), name, "{line}");
        }
    }

    #[test]
    fn each_refusal_names_its_line_and_no_text_of_it() {
        for (text, line) in [
            ("\n\nhunter2 = 1", 3),
            ("[hunter2", 1),
            ("[a]\nhunter2: x", 2),
            ("[a]\n= hunter2", 2),
            ("[a]\n hunter2", 2),
            ("[a]\nk =\n # c\n hunter2", 4),
            ("[a]\nk =\n = hunter2", 3),
            ("[a]\nk = # hunter2\n hunter2", 3),
            ("# c\n hunter2", 2),
        ] {
            let error = read(text.as_bytes()).expect_err(text);
            assert_eq!(error.line, line, "{text}");
            assert!(
                !error.to_string().contains("hunter2") && !error.what.hint().contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_told_with_their_line() {
        for (bytes, line) in
            [(&b"[a]\nk = \xff"[..], 2), (b"\xff\xfe[\0a\0]\0", 1), (b"[a]\n\nk = 1\n# \xc3\n", 4)]
        {
            let error = read(bytes).expect_err("not UTF-8");
            assert_eq!(error, SyntaxError { line, what: SyntaxErrorKind::NotUtf8 });
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let sections = read(b"[a]\naws_secret_access_key = hunter2").expect("valid");
        assert!(!format!("{sections:?}").contains("hunter2"));
    }

    /// Generates values that a file can hold: trimmed, without a comment or the end of a line.
    fn a_value() -> impl Strategy<Value = String> {
        "[^\n]{0,12}".prop_map(|text| {
            let text = text.replace(['#', ';'], "\\").replace('\r', "=");
            text.trim_matches(BLANK).to_owned()
        })
    }

    /// Generates a key, its value, and the lines that continue it.
    type WrittenKey = (String, String, Vec<String>);

    fn a_file() -> impl Strategy<Value = Vec<(String, Vec<WrittenKey>)>> {
        let more =
            proptest::collection::vec(a_value().prop_filter("not blank", |text| !text.is_empty()), 0..3);
        let key = "[a-z_.:\"'\\\\%é中]{1,8}";
        let first =
            a_value().prop_filter("a value, as below an empty one come properties", |text| !text.is_empty());
        let keys = proptest::collection::vec((key, first, more), 0..4);
        proptest::collection::vec(("[a-z\"'\\\\\\[\\] é]{0,8}", keys), 0..4)
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([\\[\\]#;=:\"'\\\\ \t\r\na-z\u{feff}é\u{1f512}\u{0}]|\n\\[a\\]\n|\nk = v\n ){0,60}") {
            if let Ok(sections) = read(text.as_bytes()) {
                let lines = text.matches('\n').count() + 1;
                for section in sections {
                    prop_assert!((1..=lines).contains(&section.line));
                    for property in section.properties {
                        prop_assert_eq!(property.lines.len(), property.value.split('\n').count());
                        prop_assert!(property.lines.iter().all(|line| (section.line + 1..=lines).contains(line)));
                    }
                }
            }
        }

        #[test]
        fn what_is_written_is_read_back(file in a_file(), eol in "\r?\n", gap in "[ \t]{0,2}", last: bool) {
            let mut text = String::new();
            for (header, keys) in &file {
                write!(text, "[{gap}{header}{gap}]{gap}# c{eol}{gap}{eol}").expect("a string takes it");
                for (key, value, more) in keys {
                    write!(text, "{key}{gap}={gap}{value}{gap}{eol}; c{eol}").expect("a string takes it");
                    for line in more {
                        write!(text, "\t{gap}{line}{gap}{eol}").expect("a string takes it");
                    }
                }
            }
            if !last {
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
            }
            let read = read(text.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error:?}\n{text}")))?;
            let read: Vec<_> = read
                .into_iter()
                .map(|section| {
                    let keys = section.properties.into_iter().map(|property| {
                        let mut lines = property.value.split('\n').map(str::to_owned);
                        (property.key, lines.next().unwrap_or_default(), lines.collect())
                    });
                    (section.header, keys.collect::<Vec<_>>())
                })
                .collect();
            let written: Vec<_> =
                file.into_iter().map(|(header, keys)| (header.trim_matches(BLANK).to_owned(), keys)).collect();
            prop_assert_eq!(read, written);
        }
    }
}
