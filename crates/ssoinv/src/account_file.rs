//! Reads files that list accounts: the files of `--account`, `--exclude-account` and `--expect`.
//!
//! CSV, TOML, JSON as `aws organizations list-accounts` or `ssoinv accounts` print it, and plain IDs become rows with line
//! numbers. [`crate::account_list`] and [`crate::expectations`] interpret the rows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use ssoinv_core::scope::AccountId;
use ssoinv_core::suggest::nearest;
use toml::de::{DeArray, DeTable, DeValue};

use crate::command_error::CommandError;

/// The columns of a row.
pub(crate) const COLUMNS: [&str; 7] = ["account_id", "name", "region", "table", "expect", "reason", "until"];

/// Further columns that `ssoinv accounts` writes: another word for `name`, and one that is ignored.
const WRITTEN_TOO: [&str; 2] = ["account_name", "email"];

/// The name of the array of tables in a TOML file.
const ARRAY: &str = "account";

/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 20;

/// A line of a file, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileLine {
    /// The path as the user named it.
    pub(crate) file: Arc<str>,
    pub(crate) number: usize,
}

impl fmt::Display for FileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.number)
    }
}

/// The contents of a file.
#[derive(Debug, Default)]
pub(crate) struct AccountFile {
    pub(crate) rows: Vec<FileRow>,
    /// Accounts in an organization's list that aren't active.
    pub(crate) inactive: Vec<AccountId>,
}

/// A row of a file, without its empty values.
#[derive(Debug)]
pub(crate) struct FileRow {
    pub(crate) at: FileLine,
    values: BTreeMap<&'static str, String>,
}

impl FileRow {
    fn new(at: FileLine, values: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let values = values.into_iter().map(|(column, value)| (column, value.trim().to_owned()));
        Self { at, values: values.filter(|(_, value)| !value.is_empty()).collect() }
    }

    /// Returns the value of one of [`COLUMNS`].
    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        self.values.get(column).map(String::as_str)
    }

    /// Returns the account ID of the row.
    pub(crate) fn account_id(&self) -> Result<AccountId, FileError> {
        let text = self.get("account_id").unwrap_or_default();
        text.parse().map_err(|_| FileError::NoAccountId { at: self.at.clone(), text: text.to_owned() })
    }
}

/// An error in a file of accounts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("`{file}` cannot be read: {source}")]
    Unreadable { file: Arc<str>, source: io::Error },
    #[error("{at}: this is not {format}: {reason}")]
    Syntax { at: FileLine, format: &'static str, reason: String },
    #[error("`{file}` is not a list of accounts")]
    NoList { file: Arc<str> },
    #[error("`{file}` is only the first part of a list")]
    FirstPart { file: Arc<str> },
    #[error("{at}: there is no {what} `{name}`")]
    Unknown { at: FileLine, what: &'static str, name: String, nearest: Option<&'static str> },
    #[error("{at}: there are two columns `{name}`")]
    Twice { at: FileLine, name: &'static str },
    #[error("{at}: {found} values, and {wanted} columns")]
    TooLong { at: FileLine, found: usize, wanted: usize },
    #[error("{at}: `{key}` is no text")]
    NoText { at: FileLine, key: &'static str },
    #[error("{at}: `expect` stands in JSON")]
    ExpectInJson { at: FileLine },
    #[error("{at}: `{text}` is not an account ID")]
    NoAccountId { at: FileLine, text: String },
}

impl FileError {
    fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => "name a file that is there and that you can read".to_owned(),
            Self::Syntax { format: "TOML", .. } | Self::NoText { .. } => {
                format!(
                    "each account is a section `[[{ARRAY}]]` with texts in quotes, like `account_id = \"111122223333\"`"
                )
            }
            Self::Syntax { .. } => "save it as text, in UTF-8".to_owned(),
            Self::NoList { .. } => {
                "as `aws organizations list-accounts` prints it, or an array of IDs in quotes".to_owned()
            }
            Self::FirstPart { .. } => {
                "leave `--max-items` and `--no-paginate` out of `aws organizations list-accounts`".to_owned()
            }
            Self::Unknown { nearest: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::Unknown { what: "section", .. } => format!("write each account as `[[{ARRAY}]]`"),
            Self::Unknown { .. } => format!("a file with gaps has the columns {}", COLUMNS.join(", ")),
            Self::Twice { .. } => "take one of them out".to_owned(),
            Self::TooLong { .. } => "put values that have a comma in quotes".to_owned(),
            Self::ExpectInJson { .. } => {
                "write gaps down as CSV or TOML; `--expect` takes several files".to_owned()
            }
            Self::NoAccountId { text, .. } => id_hint(text),
        }
    }
}

impl From<FileError> for CommandError {
    fn from(error: FileError) -> Self {
        Self::usage(error.to_string()).with_hint(error.hint())
    }
}

/// Returns a hint for a text that is no account ID.
pub(crate) fn id_hint(id: &str) -> String {
    match id.len() {
        9..=11 if is_digits(id) => {
            format!("a spreadsheet may have dropped leading zeros: write `{id:0>12}`, twelve digits, as text")
        }
        _ => "an account ID has twelve digits".to_owned(),
    }
}

pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a file of any supported format.
pub(crate) fn read(path: &Path) -> Result<AccountFile, FileError> {
    let file: Arc<str> = path.display().to_string().into();
    let bytes = File::open(path)
        .and_then(read_all)
        .map_err(|source| FileError::Unreadable { file: Arc::clone(&file), source })?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let at = FileText { file: Arc::clone(&file), text: &before }.at(before.len());
        FileError::Syntax { at, format: "UTF-8 text", reason: format!("{:?}", bytes[error.valid_up_to()]) }
    })?;
    let source = FileText { file, text: text.trim_start_matches('\u{feff}') };
    let is_toml = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"));
    if is_toml {
        return source.toml();
    }
    if source.text.trim_start().starts_with(['{', '[']) {
        return source.json();
    }
    let first = source.text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let is_csv = first.is_some_and(|line| line.split(',').any(|word| column(word).is_some()));
    if is_csv { source.csv() } else { Ok(source.ids()) }
}

fn read_all(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 64 MiB"));
    }
    Ok(bytes)
}

/// Returns the column of a name in a header.
fn column(name: &str) -> Option<&'static str> {
    let name = name.trim().trim_matches('"').to_ascii_lowercase();
    let name = if name == "account_name" { "name" } else { &name };
    COLUMNS.into_iter().find(|known| *known == name)
}

/// An account in JSON: of AWS Organizations, or of `ssoinv accounts`.
#[derive(Deserialize)]
struct Member<'t> {
    #[serde(borrow, alias = "Id", alias = "account_id")]
    id: Cow<'t, str>,
    #[serde(borrow, alias = "Name", alias = "account_name")]
    name: Option<Cow<'t, str>>,
    #[serde(borrow, alias = "State")]
    state: Option<Cow<'t, str>>,
    #[serde(borrow, alias = "Status")]
    status: Option<Cow<'t, str>>,
    expect: Option<IgnoredAny>,
}

/// The output of `aws organizations list-accounts`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members<'t> {
    #[serde(borrow)]
    accounts: Vec<Member<'t>>,
    /// Present if the list has further pages.
    next_token: Option<IgnoredAny>,
}

/// The supported JSON documents.
#[derive(Deserialize)]
#[serde(untagged)]
enum Json<'t> {
    #[serde(borrow)]
    Answer(Members<'t>),
    #[serde(borrow)]
    Members(Vec<Member<'t>>),
    #[serde(borrow)]
    Ids(Vec<Cow<'t, str>>),
}

/// The text of a file.
struct FileText<'t> {
    file: Arc<str>,
    text: &'t str,
}

impl FileText<'_> {
    fn line(&self, number: usize) -> FileLine {
        FileLine { file: Arc::clone(&self.file), number }
    }

    /// Returns the line of a byte offset.
    fn at(&self, offset: usize) -> FileLine {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        self.line(before.split(|&byte| byte == b'\n').count())
    }

    fn json(&self) -> Result<AccountFile, FileError> {
        // Syntax errors have a line. Which of the documents it is shows only as a whole.
        let _: IgnoredAny = serde_json::from_str(self.text).map_err(|error| FileError::Syntax {
            at: self.line(error.line()),
            format: "JSON",
            reason: error.to_string(),
        })?;
        let json = serde_json::from_str(self.text)
            .map_err(|_| FileError::NoList { file: Arc::clone(&self.file) })?;
        // serde has no positions: the line of an ID is that of its first occurrence.
        let at = |id: &str| self.at(self.text.find(&format!("\"{id}\"")).unwrap_or_default());
        let row = |id: &str, name: Option<&str>| {
            let name = name.map(|name| ("name", name.to_owned()));
            FileRow::new(at(id), [("account_id", id.to_owned())].into_iter().chain(name))
        };
        let members = match json {
            Json::Answer(Members { next_token: Some(_), .. }) => {
                return Err(FileError::FirstPart { file: Arc::clone(&self.file) });
            }
            Json::Answer(Members { accounts, .. }) | Json::Members(accounts) => accounts,
            Json::Ids(ids) => {
                let rows = ids.iter().map(|id| row(id, None)).collect();
                return Ok(AccountFile { rows, inactive: Vec::new() });
            }
        };
        let mut read = AccountFile::default();
        for member in members {
            if member.expect.is_some() {
                return Err(FileError::ExpectInJson { at: at(&member.id) });
            }
            let row = row(&member.id, member.name.as_deref());
            match member.state.or(member.status) {
                Some(state) if state != "ACTIVE" => read.inactive.push(row.account_id()?),
                _ => read.rows.push(row),
            }
        }
        Ok(read)
    }

    fn csv(&self) -> Result<AccountFile, FileError> {
        let mut reader =
            csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true).from_reader(self.text.as_bytes());
        let broken = |error: csv::Error| FileError::Syntax {
            at: self.line(line_of(error.position())),
            format: "CSV",
            reason: error.to_string(),
        };
        let headers = reader.headers().map_err(broken)?.clone();
        let columns: Vec<Option<&'static str>> = headers.iter().map(column).collect();
        let at = self.line(line_of(headers.position()));
        // With a misspelt `region`, a gap of one region would become a gap of the whole account. Lists without gaps may
        // have columns for other readers.
        let strict = columns.contains(&Some("expect"));
        for (index, (name, known)) in headers.iter().zip(&columns).enumerate() {
            match known {
                Some(name) if columns[..index].contains(known) => return Err(FileError::Twice { at, name }),
                None if strict && !WRITTEN_TOO.contains(&name.trim()) => {
                    let (name, nearest) = (name.trim().to_owned(), nearest(name.trim(), COLUMNS));
                    return Err(FileError::Unknown { at, what: "column", name, nearest });
                }
                _ => {}
            }
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            let at = self.line(line_of(record.position()));
            if strict && record.len() > headers.len() {
                return Err(FileError::TooLong { at, found: record.len(), wanted: headers.len() });
            }
            let values = columns.iter().zip(&record);
            let values = values.filter_map(|(column, value)| Some(((*column)?, value.to_owned())));
            let row = FileRow::new(at, values);
            // Spreadsheets export empty rows.
            if !row.values.is_empty() {
                rows.push(row);
            }
        }
        Ok(AccountFile { rows, inactive: Vec::new() })
    }

    fn toml(&self) -> Result<AccountFile, FileError> {
        let table = DeTable::parse(self.text).map_err(|error| FileError::Syntax {
            at: self.at(error.span().map_or(0, |span| span.start)),
            format: "TOML",
            reason: error.message().lines().collect::<Vec<_>>().join(", "),
        })?;
        let empty = DeArray::new();
        let mut accounts = &empty;
        for (key, value) in table.get_ref() {
            let at = self.at(key.span().start);
            match (key.get_ref().as_ref(), value.get_ref()) {
                (ARRAY, DeValue::Array(array)) => accounts = array,
                (name, _) => {
                    let nearest = nearest(name, [ARRAY]).filter(|_| name != ARRAY);
                    return Err(FileError::Unknown { at, what: "section", name: name.to_owned(), nearest });
                }
            }
        }
        let mut rows = Vec::new();
        for account in accounts {
            let at = self.at(account.span().start);
            let DeValue::Table(table) = account.get_ref() else {
                return Err(FileError::NoText { at, key: ARRAY });
            };
            let mut values = Vec::new();
            for (key, value) in table {
                let (name, at) = (key.get_ref().as_ref(), self.at(key.span().start));
                let Some(column) = COLUMNS.into_iter().find(|known| *known == name) else {
                    let nearest = nearest(name, COLUMNS);
                    return Err(FileError::Unknown { at, what: "column", name: name.to_owned(), nearest });
                };
                let text = match value.get_ref() {
                    DeValue::String(text) => text.to_string(),
                    DeValue::Datetime(date) => date.to_string(),
                    _ => return Err(FileError::NoText { at, key: column }),
                };
                values.push((column, text));
            }
            rows.push(FileRow::new(at, values));
        }
        Ok(AccountFile { rows, inactive: Vec::new() })
    }

    fn ids(&self) -> AccountFile {
        let mut rows = Vec::new();
        for (index, line) in self.text.lines().enumerate() {
            let words = line.split_once('#').map_or(line, |(before, _)| before);
            for word in words.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
                rows.push(FileRow::new(self.line(index + 1), [("account_id", word.to_owned())]));
            }
        }
        AccountFile { rows, inactive: Vec::new() }
    }
}

fn line_of(position: Option<&csv::Position>) -> usize {
    position.and_then(|position| usize::try_from(position.line()).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file with this name and text. The folder's name is left out of the result.
    fn read_text(name: &str, text: impl AsRef<[u8]>) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        let prefix = format!("{}/", folder.path().display());
        let shown = |row: &FileRow| {
            let values: Vec<_> =
                row.values.iter().map(|(column, value)| format!("{column}={value}")).collect();
            format!("{}: {}", row.at.number, values.join(" "))
        };
        match read(&path) {
            Ok(file) => {
                let rows = file.rows.iter().map(shown);
                let inactive = file.inactive.iter().map(|id| format!("inactive {id}"));
                Ok(rows.chain(inactive).collect::<Vec<_>>().join("\n"))
            }
            Err(error) => {
                let error = CommandError::from(error);
                Err(format!("{}; {}", error.message, error.hint.unwrap_or_default()).replace(&prefix, ""))
            }
        }
    }

    #[test]
    fn each_kind_of_file_with_its_lines() {
        for (name, text, expected) in [
            (
                "ids",
                "# mine\n011111111111 # hub\r\n\n222222222222, 333333333333\n",
                "2: account_id=011111111111\n4: account_id=222222222222\n4: account_id=333333333333",
            ),
            (
                "x.csv",
                "\u{feff}# mine\nname,Account_ID,owner\nhub, 011111111111,x\n\"a, b\",222222222222\n,,\n",
                "3: account_id=011111111111 name=hub\n4: account_id=222222222222 name=a, b",
            ),
            (
                "of-ssoinv-accounts.csv",
                "account_id,account_name,email\n011111111111,hub,hub@example.com\n",
                "2: account_id=011111111111 name=hub",
            ),
            (
                "gaps.csv",
                "account_id,name,region,table,expect,reason,until\n011111111111,,eu-*,,gap,\"a, b\",2027-01-31\n",
                "2: account_id=011111111111 expect=gap reason=a, b region=eu-* until=2027-01-31",
            ),
            (
                "x.toml",
                "# mine\n[[account]]\naccount_id = '011111111111'\n\n[[account]]\nname = 'a-*'\nuntil = 2027-01-31\n",
                "2: account_id=011111111111\n5: name=a-* until=2027-01-31",
            ),
            ("x.json", "[\n\"011111111111\"\n]", "2: account_id=011111111111"),
            (
                "of-organizations",
                "{\"Accounts\": [\n{\"Id\": \"011111111111\", \"Name\": \"hub\", \"Status\": \"ACTIVE\"},\n\
                 {\"Id\": \"222222222222\", \"Status\": \"SUSPENDED\"},\n\
                 {\"Id\": \"333333333333\", \"State\": \"PENDING_CLOSURE\", \"Status\": \"ACTIVE\"}]}",
                "2: account_id=011111111111 name=hub\ninactive 222222222222\ninactive 333333333333",
            ),
            (
                "of-ssoinv-accounts",
                "[{\"account_id\": \"011111111111\", \"account_name\": \"h\\u0075b\", \"email\": null}]",
                "1: account_id=011111111111 name=hub",
            ),
            ("empty.toml", "", ""),
            ("empty", "\n", ""),
        ] {
            assert_eq!(read_text(name, text).as_deref(), Ok(expected), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let refused = |name: &str, text: &[u8]| read_text(name, text).expect_err("a mistake");
        assert_eq!(
            refused("a.csv", b"account_id,regoin,expect\n"),
            "a.csv:1: there is no column `regoin`; did you mean `region`?"
        );
        assert_eq!(
            refused("a.csv", b"account_id,expect,Expect\n"),
            "a.csv:1: there are two columns `expect`; take one of them out"
        );
        assert_eq!(
            refused("a.csv", b"account_id,expect,reason\n1,gap,a,b\n"),
            "a.csv:2: 4 values, and 3 columns; put values that have a comma in quotes"
        );
        assert_eq!(
            refused("a.csv", b"account_id\n\xff\n"),
            "a.csv:2: this is not UTF-8 text: 255; save it as text, in UTF-8"
        );
        assert_eq!(
            refused("a.toml", b"\n[[accounts]]\n"),
            "a.toml:2: there is no section `accounts`; did you mean `account`?"
        );
        assert_eq!(
            refused("a.toml", b"[[account]]\nid = 'x'\n"),
            "a.toml:2: there is no column `id`; a file with gaps has the columns account_id, name, region, table, \
             expect, reason, until"
        );
        assert_eq!(
            refused("a.toml", b"[[account]]\naccount_id = 111111111111\n"),
            "a.toml:2: `account_id` is no text; each account is a section `[[account]]` with texts in quotes, like \
             `account_id = \"111122223333\"`"
        );
        assert!(
            refused("a.toml", b"[[account]]\naccount_id = 011\n").starts_with("a.toml:2: this is not TOML")
        );
        assert!(
            refused("a.toml", b"account = 1\n").starts_with("a.toml:1: there is no section `account`; write")
        );
        assert!(refused("a.json", b"[\n{]").starts_with("a.json:2: this is not JSON"));
        assert!(refused("a.json", b"{\"accounts\": []}").starts_with("`a.json` is not a list of accounts"));
        assert_eq!(
            refused("a.json", b"[\n{\"account_id\": \"011111111111\", \"expect\": \"gap\"}]"),
            "a.json:2: `expect` stands in JSON; write gaps down as CSV or TOML; `--expect` takes several files"
        );
        assert_eq!(
            refused("a.json", b"[{\"Id\": \"1\"},\n{\"Id\": \"11111111111\", \"Status\": \"SUSPENDED\"}]"),
            "a.json:2: `11111111111` is not an account ID; a spreadsheet may have dropped leading zeros: write \
             `011111111111`, twelve digits, as text"
        );
        let error = CommandError::from(read(Path::new("/nonexistent/x.csv")).expect_err("not there"));
        assert!(error.message.starts_with("`/nonexistent/x.csv` cannot be read: "), "{}", error.message);
    }
}
