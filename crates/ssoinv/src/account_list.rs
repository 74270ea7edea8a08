//! `--account`: the accounts that a role is assumed in, named one by one, in a file, or all of the organisation.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use ssoinv_core::scope::AccountId;

use crate::command_error::CommandError;

/// Which accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountList {
    /// All active ones of the organisation.
    All,
    /// These, each once, in this order; and how many more a file had that aren't active.
    Named { accounts: Vec<NamedAccount>, inactive: usize },
}

/// An account, and its name where the file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedAccount {
    pub(crate) id: AccountId,
    pub(crate) name: Option<Arc<str>>,
}

impl AccountList {
    /// Reads what `--account` was given.
    pub(crate) fn parse(argument: &str) -> Result<Self, CommandError> {
        if argument == "all" {
            return Ok(Self::All);
        }
        let path = Path::new(argument);
        if path.is_file() {
            return from_file(path);
        }
        let looks_like_a_path = argument.contains(['/', '\\', '.']);
        if looks_like_a_path {
            return Err(CommandError::usage(format!("there is no file `{argument}` (from --account)"))
                .with_hint("`--account` takes IDs with commas, a file of them, or `all`"));
        }
        let words = argument.split(',').map(str::trim).filter(|word| !word.is_empty());
        let accounts: Result<Vec<_>, _> = words.map(|word| account(word, None, "--account")).collect();
        named(accounts?, 0, "--account")
    }
}

/// An account of an organisation, as the AWS CLI and the service write it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    id: String,
    name: Option<String>,
    state: Option<String>,
    status: Option<String>,
}

/// What `aws organizations list-accounts` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    accounts: Vec<Member>,
    /// There is more than these.
    next_token: Option<String>,
}

/// The forms in which JSON lists accounts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Json {
    Answer(Members),
    Members(Vec<Member>),
    Ids(Vec<String>),
}

fn from_file(path: &Path) -> Result<AccountList, CommandError> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| {
        CommandError::usage(format!("`{shown}` (from --account) cannot be read: {error}"))
    })?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '[']) {
        return from_json(text, &shown);
    }
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let is_table = first.is_some_and(|line| line.split(',').any(is_id_column));
    if is_table { from_csv(text, &shown) } else { from_lines(text, &shown) }
}

fn from_json(text: &str, shown: &str) -> Result<AccountList, CommandError> {
    let json: Json = serde_json::from_str(text).map_err(|_| {
        CommandError::usage(format!("`{shown}` (from --account) is not a list of accounts"))
            .with_hint("as `aws organizations list-accounts` prints it, or an array of IDs")
    })?;
    let members = match json {
        Json::Answer(Members { next_token: Some(_), .. }) => {
            let message = format!("`{shown}` (from --account) is only the first part of a list");
            return Err(CommandError::usage(message).with_hint(
                "leave `--max-items` and `--no-paginate` out of `aws organizations list-accounts`",
            ));
        }
        Json::Answer(Members { accounts, .. }) | Json::Members(accounts) => accounts,
        Json::Ids(ids) => {
            let accounts: Result<Vec<_>, _> = ids.iter().map(|id| account(id, None, shown)).collect();
            return named(accounts?, 0, shown);
        }
    };
    let is_active = |member: &&Member| {
        member.state.as_ref().or(member.status.as_ref()).is_none_or(|state| state == "ACTIVE")
    };
    let active: Result<Vec<_>, _> = members
        .iter()
        .filter(is_active)
        .map(|member| account(&member.id, member.name.as_deref(), shown))
        .collect();
    let active = active?;
    let inactive = members.len() - active.len();
    named(active, inactive, shown)
}

fn is_id_column(name: &str) -> bool {
    name.trim().trim_matches('"').eq_ignore_ascii_case("account_id")
}

fn from_csv(text: &str, shown: &str) -> Result<AccountList, CommandError> {
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true).from_reader(text.as_bytes());
    let broken =
        |error: csv::Error| CommandError::usage(format!("`{shown}` (from --account) is not CSV: {error}"));
    let headers = reader.headers().map_err(broken)?.clone();
    let of = |wanted: &dyn Fn(&str) -> bool| headers.iter().position(wanted);
    let id = of(&is_id_column).unwrap_or_default();
    let name = of(&|name: &str| name.trim().eq_ignore_ascii_case("name"));
    let mut accounts = Vec::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, csv::Position::line);
        let name = name.and_then(|column| record.get(column)).map(str::trim).filter(|name| !name.is_empty());
        accounts.push(account(record.get(id).unwrap_or_default(), name, &format!("{shown}:{line}"))?);
    }
    named(accounts, 0, shown)
}

fn from_lines(text: &str, shown: &str) -> Result<AccountList, CommandError> {
    let mut accounts = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words = line.split_once('#').map_or(line, |(before, _)| before);
        for word in words.split([',', ' ', '\t']).map(str::trim).filter(|word| !word.is_empty()) {
            accounts.push(account(word, None, &format!("{shown}:{}", index + 1))?);
        }
    }
    named(accounts, 0, shown)
}

fn account(id: &str, name: Option<&str>, place: &str) -> Result<NamedAccount, CommandError> {
    let id = id.trim();
    let name = name.map(Arc::from);
    id.parse().map(|id| NamedAccount { id, name }).map_err(|_| {
        let error = CommandError::usage(format!("`{id}` ({place}) is not an account ID"));
        let digits = id.bytes().all(|byte| byte.is_ascii_digit());
        error.with_hint(match id.len() {
            9..=11 if digits => {
                format!(
                    "a spreadsheet may have dropped leading zeros: write `{id:0>12}`, twelve digits, as text"
                )
            }
            _ => "an account ID has twelve digits".to_owned(),
        })
    })
}

/// Each account once.
fn named(all: Vec<NamedAccount>, inactive: usize, place: &str) -> Result<AccountList, CommandError> {
    let mut accounts: Vec<NamedAccount> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for account in all {
        if known.insert(account.id) {
            accounts.push(account);
        }
    }
    if accounts.is_empty() {
        return Err(CommandError::usage(format!("`{place}` names no account"))
            .with_hint("`--account` takes IDs with commas, a file of them, or `all`"));
    }
    Ok(AccountList::Named { accounts, inactive })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &AccountList) -> Vec<String> {
        let AccountList::Named { accounts, .. } = list else { panic!("all") };
        accounts
            .iter()
            .map(|account| match &account.name {
                Some(name) => format!("{}={name}", account.id),
                None => account.id.to_string(),
            })
            .collect()
    }

    fn of_file(text: &str) -> Result<AccountList, CommandError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        AccountList::parse(&file.path().display().to_string())
    }

    #[test]
    fn ids_are_named_once_each_in_their_order() {
        let list = AccountList::parse("222222222222, 011111111111,222222222222,").unwrap();
        assert_eq!(ids(&list), ["222222222222", "011111111111"]);
        assert_eq!(AccountList::parse("all").unwrap(), AccountList::All);
    }

    #[test]
    fn files_of_all_kinds() {
        for (text, expected) in [
            (
                "# mine\n011111111111 # hub\r\n\n222222222222,333333333333\n",
                &["011111111111", "222222222222", "333333333333"][..],
            ),
            (
                "\u{feff}name,Account_ID\nhub, 011111111111\n\"a, b\",222222222222\n",
                &["011111111111=hub", "222222222222=a, b"],
            ),
            (r#"["011111111111"]"#, &["011111111111"]),
            (
                r#"{"Accounts": [{"Id": "011111111111", "Name": "hub", "Status": "ACTIVE"},
                    {"Id": "222222222222", "Name": "old", "Status": "SUSPENDED"},
                    {"Id": "333333333333", "State": "PENDING_CLOSURE", "Status": "ACTIVE"}]}"#,
                &["011111111111=hub"],
            ),
        ] {
            assert_eq!(ids(&of_file(text).unwrap()), expected, "{text}");
        }
        let json = r#"[{"Id": "011111111111"}, {"Id": "222222222222", "Status": "SUSPENDED"}]"#;
        assert!(matches!(of_file(json).unwrap(), AccountList::Named { inactive: 1, .. }));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let error = AccountList::parse("11111111111").unwrap_err();
        assert_eq!(error.message, "`11111111111` (--account) is not an account ID");
        let hint =
            "a spreadsheet may have dropped leading zeros: write `011111111111`, twelve digits, as text";
        assert_eq!(error.hint.as_deref(), Some(hint));
        let refused = |text| of_file(text).unwrap_err();
        assert!(refused("011111111111\nprod\n").message.contains(":2) is not an account ID"));
        assert!(refused("account_id\n123\n").message.contains(":2) is not an account ID"));
        assert!(refused("{\"accounts\": []}").message.ends_with("is not a list of accounts"));
        assert!(refused("# nothing\n").message.ends_with("names no account"));
        let first_page = r#"{"Accounts": [{"Id": "011111111111"}], "NextToken": "x"}"#;
        assert!(refused(first_page).message.ends_with("is only the first part of a list"));
        assert!(AccountList::parse("./no-such-file").unwrap_err().message.starts_with("there is no file"));
        assert!(AccountList::parse("prod").unwrap_err().hint.unwrap().contains("twelve digits"));
    }
}
