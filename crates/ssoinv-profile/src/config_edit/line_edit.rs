//! Changes to single lines of a profile file.
//!
//! Every byte outside the change stays as it is: comments, spacing, CRLF, a byte order mark, a missing last newline.
//! A [`LineEdit`] names its line by the number that [`crate::aws_ini`] gave it.

use std::path::Path;
use std::sync::Arc;

use crate::aws_ini::{BLANK, header, split_comment};

/// A change to a line of one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// The file, as it was opened.
    pub file: Arc<Path>,
    /// The change.
    pub edit: LineEdit,
}

/// A change to one line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineEdit {
    /// The line, from 1.
    pub line: usize,
    /// The change.
    pub change: Change,
}

/// The kind of a change to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Deletes the line with its end.
    Delete,
    /// Replaces the key before its `=`.
    RenameKey(String),
    /// Replaces the value after its `=`; a comment after the value stays.
    SetValue(String),
    /// Moves the comment after its value to a line of its own above.
    MoveComment,
    /// Replaces the text between a header's brackets.
    RenameSection(String),
    /// Inserts this line below it.
    InsertBelow(String),
}

/// Returns the text with all changes made.
///
/// Other changes of a deleted line have no effect. A change that doesn't fit its line, such as a new value where
/// there is no `=`, leaves the line as it is.
#[must_use]
pub fn apply(text: &str, edits: &[LineEdit]) -> String {
    let newline = newline_of(text);
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let changes = || edits.iter().filter(|edit| edit.line == index + 1).map(|edit| &edit.change);
        if changes().any(|change| *change == Change::Delete) {
            continue;
        }
        let body = line.trim_end_matches('\n').trim_end_matches('\r');
        let end = &line[body.len()..];
        let mut body = body.to_owned();
        let mut below = String::new();
        for change in changes() {
            match change {
                Change::Delete => {}
                Change::RenameSection(name) => body = with_header(&body, name).unwrap_or(body),
                Change::InsertBelow(text) => {
                    below.push_str(if end.is_empty() { newline } else { end });
                    below.push_str(text);
                }
                Change::RenameKey(key) => body = with_key(&body, key).unwrap_or(body),
                Change::SetValue(value) => body = with_value(&body, value).unwrap_or(body),
                Change::MoveComment => {
                    let (content, commented) = split_comment(&body);
                    if commented {
                        out.push_str(body[content.len()..].trim_matches(BLANK));
                        out.push_str(if end.is_empty() { newline } else { end });
                        let length = content.len();
                        body.truncate(length);
                    }
                }
            }
        }
        out.push_str(&body);
        out.push_str(&below);
        out.push_str(end);
    }
    out
}

/// Returns `[name] # comment` with another name, spaced as before.
fn with_header(body: &str, name: &str) -> Option<String> {
    let bracket = body.find('[')?;
    let line = &body[bracket..];
    let old = header(line.trim_matches(BLANK))?;
    let start = bracket + 1 + line[1..].find(old)?;
    Some(format!("{}{name}{}", &body[..start], &body[start + old.len()..]))
}

/// Returns `key = value` with another key, spaced as before.
fn with_key(body: &str, key: &str) -> Option<String> {
    let (old, value) = body.split_once('=')?;
    let name = old.trim_matches(BLANK);
    let start = old.find(name)?;
    Some(format!("{}{key}{}={value}", &old[..start], &old[start + name.len()..]))
}

/// Returns `key = value # comment` with another value, spaced as before.
fn with_value(body: &str, value: &str) -> Option<String> {
    let (key, rest) = body.split_once('=')?;
    let content = split_comment(body).0.len().max(key.len() + 1);
    let old = rest.trim_start_matches(BLANK);
    let blanks = &rest[..rest.len() - old.len()];
    let old_end = body[..content].trim_end_matches(BLANK).len().max(key.len() + 1);
    // After `key =` without a value there is often no blank.
    let blank = if old_end == body.len() && blanks.is_empty() && key.ends_with(BLANK) { " " } else { blanks };
    Some(format!("{key}={blank}{value}{}", &body[old_end..]))
}

/// Returns the line ending of a text: that of its first line.
pub(super) fn newline_of(text: &str) -> &'static str {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") { "\r\n" } else { "\n" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config_edit::testing::{config_text, sections_of};

    fn edit(line: usize, change: Change) -> LineEdit {
        LineEdit { line, change }
    }

    #[test]
    fn lines_change_and_their_spacing_stays() {
        let text =
            "\u{feff}[profile a]\r\n\tregoin=eu-west-1 ; x\r\nregoin  =\teu-west-1  # Ireland\r\na = b";
        let rename = |line| edit(line, Change::RenameKey("region".to_owned()));
        assert_eq!(
            apply(text, &[rename(3)]),
            text.replace("regoin  =", "region  ="),
            "the one and not the other"
        );
        let value = |line, value: &str| edit(line, Change::SetValue(value.to_owned()));
        assert_eq!(
            apply(text, &[value(3, "us-east-1"), rename(3), value(4, "c")]),
            "\u{feff}[profile a]\r\n\tregoin=eu-west-1 ; x\r\nregion  =\tus-east-1  # Ireland\r\na = c"
        );
        assert_eq!(
            apply(
                text,
                &[edit(3, Change::MoveComment), edit(4, Change::MoveComment), edit(2, Change::Delete)]
            ),
            "\u{feff}[profile a]\r\n# Ireland\r\nregoin  =\teu-west-1\r\na = b"
        );
        assert_eq!(
            apply("[default]\nregion = x #c", &[edit(2, Change::MoveComment)]),
            "[default]\n#c\nregion = x",
            "there is still no newline at the end"
        );
        assert_eq!(apply("[a]\nb =   # c\n", &[value(2, "d")]), "[a]\nb =   d   # c\n");
        assert_eq!(apply("[a]\nb\n", &[value(2, "d"), rename(2)]), "[a]\nb\n");
        assert_eq!(apply("[a]\nb =\nc=\n", &[value(2, "d"), value(3, "d")]), "[a]\nb = d\nc=d\n");
        let section = |line| edit(line, Change::RenameSection("profile a".to_owned()));
        for (before, after) in [
            ("\u{feff}[a]\r\n", "\u{feff}[profile a]\r\n"),
            ("[ a\t] # [a]\n", "[ profile a\t] # [a]\n"),
            ("[[]", "[profile a]"),
            ("[]\n", "[profile a]\n"),
            ("a = b\n", "a = b\n"),
            ("[a\n", "[a\n"),
        ] {
            assert_eq!(apply(before, &[section(1)]), after, "{before:?}");
        }
        let below = |line, text: &str| edit(line, Change::InsertBelow(text.to_owned()));
        assert_eq!(apply("[a]\nb = c", &[below(2, "d = e"), below(2, "f = g")]), "[a]\nb = c\nd = e\nf = g");
        assert_eq!(apply("[a]\r\nb = c\r\n", &[below(1, "d = e")]), "[a]\r\nd = e\r\nb = c\r\n");
        assert_eq!(apply("[a]\nb = c\n", &[below(2, "d = e"), edit(2, Change::Delete)]), "[a]\n");
    }

    proptest! {
        #[test]
        fn without_changes_every_byte_stays(text in any::<String>()) {
            prop_assert_eq!(apply(&text, &[]), text);
        }

        #[test]
        fn only_the_line_that_is_meant_changes(text in config_text(), pick in any::<prop::sample::Index>()) {
            let Ok(sections) = sections_of(&text) else { return Ok(()) };
            let properties: Vec<_> = sections.iter().flat_map(|section| &section.properties).collect();
            if properties.is_empty() {
                return Ok(());
            }
            let property = properties[pick.index(properties.len())];
            let line = property.lines[0];
            for change in [
                Change::Delete,
                Change::RenameKey("other".to_owned()),
                Change::SetValue("other".to_owned()),
                Change::MoveComment,
                Change::InsertBelow("inserted = other".to_owned()),
            ] {
                let after = apply(&text, &[edit(line, change.clone())]);
                let (old, new): (Vec<_>, Vec<_>) = (text.split('\n').collect(), after.split('\n').collect());
                prop_assert_eq!(&old[..line - 1], &new[..line - 1]);
                let rest = old.len() - line;
                prop_assert_eq!(&old[line..], &new[new.len() - rest..]);
                if change == Change::Delete {
                    continue;
                }
                // Nothing is inserted between a key and the lines that continue its value.
                if let Change::InsertBelow(text) = &change {
                    prop_assert_eq!(old[line - 1].trim_end_matches('\r'), new[line - 1].trim_end_matches('\r'));
                    prop_assert_eq!(new[line].trim_end_matches('\r'), text);
                    continue;
                }
                let found = sections_of(&after).expect("still well-formed");
                let found: Vec<_> = found.iter().flat_map(|section| &section.properties).collect();
                prop_assert_eq!(found.len(), properties.len());
                let moved = usize::from(change == Change::MoveComment && property.commented);
                let found = found.into_iter().find(|other| other.lines[0] == line + moved).expect("it");
                match &change {
                    Change::RenameKey(key) => prop_assert_eq!(&found.key, key),
                    Change::SetValue(value) => {
                        prop_assert_eq!(found.value.split('\n').next(), Some(value.as_str()));
                        prop_assert_eq!(found.commented, property.commented);
                    }
                    Change::MoveComment => {
                        prop_assert!(!found.commented);
                        prop_assert_eq!(&found.value, &property.value);
                    }
                    Change::InsertBelow(_) | Change::RenameSection(_) | Change::Delete => {}
                }
            }
        }
    }
}
