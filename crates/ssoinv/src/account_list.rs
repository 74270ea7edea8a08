//! `--account`: the accounts that a role is assumed in, named one by one, in a file, or all of the organisation; and those
//! that are meant among the accounts that a sign-in reaches.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;
use ssoinv_core::scope::AccountId;
use ssoinv_sso::portal::Account;
use ssoinv_sso::profile::nearest;

use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;
use crate::settings::Resolved;

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
    pub(crate) fn parse(words: &[String]) -> Result<Self, CommandError> {
        // A file's name may have a comma.
        let argument = words.join(",");
        if argument == "all" {
            return Ok(Self::All);
        }
        let path = Path::new(&argument);
        if path.is_file() {
            return from_file(path, "--account");
        }
        if looks_like_a_path(&argument) {
            return Err(no_file(&argument, "--account")
                .with_hint("`--account` takes IDs with commas, a file of them, or `all`"));
        }
        let words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
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

fn looks_like_a_path(word: &str) -> bool {
    word.contains(['/', '\\']) || word.starts_with('.')
}

fn no_file(word: &str, source: &str) -> CommandError {
    CommandError::usage(format!("there is no file `{word}` (from {source})"))
}

fn from_file(path: &Path, source: &str) -> Result<AccountList, CommandError> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| CommandError::usage(format!("`{shown}` (from {source}) cannot be read: {error}")))?;
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
        CommandError::usage(format!("`{shown}` is not a list of accounts"))
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
    let broken = |error: csv::Error| CommandError::usage(format!("`{shown}` is not CSV: {error}"));
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
        CommandError::usage(format!("`{id}` ({place}) is not an account ID")).with_hint(id_hint(id))
    })
}

/// What may be wrong with a text that is no account ID.
pub(crate) fn id_hint(id: &str) -> String {
    match id.len() {
        9..=11 if is_digits(id) => {
            format!("a spreadsheet may have dropped leading zeros: write `{id:0>12}`, twelve digits, as text")
        }
        _ => "an account ID has twelve digits".to_owned(),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
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

/// Which of the accounts that a sign-in reaches are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountSelection {
    /// All where there is none.
    wanted: Vec<AccountPattern>,
    excluded: Vec<AccountPattern>,
}

#[derive(Clone, Debug)]
enum AccountPattern {
    Id(NamedAccount),
    /// By name, whatever the case.
    Name(GlobMatcher),
}

impl AccountPattern {
    fn matches(&self, id: AccountId, name: Option<&str>) -> bool {
        match self {
            Self::Id(account) => account.id == id,
            Self::Name(glob) => name.is_some_and(|name| glob.is_match(name)),
        }
    }
}

/// The accounts that are meant.
#[derive(Debug, Default)]
pub(crate) struct SelectedAccounts {
    /// Those that the sign-in reaches, in the order of their IDs.
    pub(crate) accounts: Vec<Account>,
    /// Those that were named and that it doesn't reach.
    pub(crate) not_offered: Vec<NamedAccount>,
}

impl AccountSelection {
    /// Reads what `--account` and `--exclude-account`, or the setting of that name, say.
    pub(crate) fn new(wanted: &[&str], excluded: &Resolved<Vec<Arc<str>>>) -> Result<Self, CommandError> {
        let without = excluded.value.iter().map(|word| &**word);
        Ok(Self {
            wanted: patterns(wanted.iter().copied(), "--account", true)?,
            // A file that is named elsewhere would be looked for in whatever folder this is.
            excluded: patterns(without, &excluded.source.to_string(), excluded.source.is_flag())?,
        })
    }

    /// Whether everything that the sign-in reaches is meant.
    pub(crate) fn is_whole(&self) -> bool {
        self.wanted.is_empty() && self.excluded.is_empty()
    }

    /// Picks among `offered`, the accounts that the sign-in to `session` reaches.
    pub(crate) fn select(
        &self,
        offered: &[Account],
        session: &str,
    ) -> Result<SelectedAccounts, CommandError> {
        for pattern in &self.wanted {
            let AccountPattern::Name(glob) = pattern else { continue };
            if !offered.iter().any(|account| pattern.matches(account.id, account.name.as_deref())) {
                return Err(nothing_like(glob.glob().glob(), offered, session));
            }
        }
        let excluded = |id, name: Option<&str>| self.excluded.iter().any(|pattern| pattern.matches(id, name));
        let wanted = |account: &Account| {
            let name = account.name.as_deref();
            (self.wanted.is_empty() || self.wanted.iter().any(|pattern| pattern.matches(account.id, name)))
                && !excluded(account.id, name)
        };
        let accounts: Vec<Account> = offered.iter().filter(|account| wanted(account)).cloned().collect();
        let mut not_offered: Vec<NamedAccount> = Vec::new();
        for pattern in &self.wanted {
            let AccountPattern::Id(account) = pattern else { continue };
            let known = offered.iter().any(|offered| offered.id == account.id)
                || not_offered.iter().any(|known| known.id == account.id);
            if !known && !excluded(account.id, account.name.as_deref()) {
                not_offered.push(account.clone());
            }
        }
        if accounts.is_empty() && not_offered.is_empty() {
            let message = if offered.is_empty() {
                format!("the sign-in to `{session}` reaches no account")
            } else {
                format!("none of the {} accounts of `{session}` is left", offered.len())
            };
            return Err(CommandError::new(ExitCode::Nothing, message).with_hint(SHOW_ACCOUNTS));
        }
        Ok(SelectedAccounts { accounts, not_offered })
    }
}

const SHOW_ACCOUNTS: &str = "`ssoinv accounts` shows all that the sign-in reaches";

fn nothing_like(pattern: &str, offered: &[Account], session: &str) -> CommandError {
    let message = format!("no account of `{session}` is named like `{pattern}`");
    let error = CommandError::new(ExitCode::Nothing, message);
    let names = offered.iter().filter_map(|account| account.name.as_deref());
    match nearest(pattern, names) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(SHOW_ACCOUNTS),
    }
}

fn patterns<'a>(
    words: impl Iterator<Item = &'a str>,
    source: &str,
    files: bool,
) -> Result<Vec<AccountPattern>, CommandError> {
    let mut patterns = Vec::new();
    for word in words {
        if is_digits(word) {
            patterns.push(AccountPattern::Id(account(word, None, source)?));
        } else if files && Path::new(word).is_file() {
            let AccountList::Named { accounts, .. } = from_file(Path::new(word), source)? else { continue };
            patterns.extend(accounts.into_iter().map(AccountPattern::Id));
        } else if looks_like_a_path(word) {
            return Err(if files {
                no_file(word, source)
                    .with_hint(format!("`{source}` takes IDs, names with `*`, or a file of IDs"))
            } else {
                CommandError::usage(format!("`{word}` (from {source}) is no account"))
                    .with_hint("IDs and names with `*` can be set; a file is for `--exclude-account`")
            });
        } else {
            let glob = GlobBuilder::new(word).case_insensitive(true).build().map_err(|error| {
                CommandError::usage(format!("`{word}` (from {source}) is not a pattern: {}", error.kind()))
            })?;
            patterns.push(AccountPattern::Name(glob.compile_matcher()));
        }
    }
    Ok(patterns)
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

    /// As clap splits what is typed.
    fn words(typed: &str) -> Vec<String> {
        typed.split(',').map(str::to_owned).collect()
    }

    fn of_file(text: &str) -> Result<AccountList, CommandError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        AccountList::parse(&[file.path().display().to_string()])
    }

    #[test]
    fn ids_are_named_once_each_in_their_order() {
        let list = AccountList::parse(&words("222222222222, 011111111111,222222222222,")).unwrap();
        assert_eq!(ids(&list), ["222222222222", "011111111111"]);
        assert_eq!(AccountList::parse(&words("all")).unwrap(), AccountList::All);
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
        let error = AccountList::parse(&words("11111111111")).unwrap_err();
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
        assert!(
            AccountList::parse(&words("./no-such-file")).unwrap_err().message.starts_with("there is no file")
        );
        assert!(AccountList::parse(&words("prod")).unwrap_err().hint.unwrap().contains("twelve digits"));
    }

    fn offered() -> Vec<Account> {
        let account = |id: &str, name: Option<&str>| Account {
            id: id.parse().unwrap(),
            name: name.map(Arc::from),
            email: None,
        };
        vec![
            account("011111111111", Some("Shop-Prod")),
            account("222222222222", Some("shop-dev")),
            account("333333333333", Some("hub")),
            account("444444444444", None),
        ]
    }

    fn selected(wanted: &[&str], excluded: &[&str]) -> Result<String, CommandError> {
        let excluded = excluded.iter().map(|&word| word.into()).collect();
        let excluded = Resolved { value: excluded, source: crate::settings::Source::Flag("exclude_account") };
        let selected = AccountSelection::new(wanted, &excluded)?.select(&offered(), "corp")?;
        let mut told: Vec<String> =
            selected.accounts.iter().map(|account| account.id.as_str()[..3].to_owned()).collect();
        told.extend(selected.not_offered.iter().map(|account| format!("?{}", &account.id.as_str()[..3])));
        Ok(told.join(" "))
    }

    #[test]
    fn accounts_by_id_name_and_file() {
        assert_eq!(selected(&[], &[]).unwrap(), "011 222 333 444");
        assert_eq!(selected(&["shop-*"], &[]).unwrap(), "011 222", "names are found whatever their case");
        assert_eq!(selected(&["HUB", "011111111111"], &[]).unwrap(), "011 333");
        assert_eq!(selected(&[], &["shop-prod", "444444444444"]).unwrap(), "222 333");
        assert_eq!(selected(&["shop-*"], &["*-dev"]).unwrap(), "011", "an exclusion counts for more");
        assert_eq!(selected(&[], &["gone-*"]).unwrap(), "011 222 333 444");
        assert_eq!(
            selected(&["555555555555", "333333333333", "555555555555"], &[]).unwrap(),
            "333 ?555",
            "who is named and isn't reached is not forgotten"
        );
        assert_eq!(selected(&["555555555555", "333333333333"], &["555555555555"]).unwrap(), "333");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "account_id,name\n222222222222,x\n666666666666,y\n").unwrap();
        let path = file.path().display().to_string();
        assert_eq!(selected(&[&path], &[]).unwrap(), "222 ?666");
        assert_eq!(selected(&[], &[&path]).unwrap(), "011 333 444");
    }

    #[test]
    fn a_selection_that_means_nobody_is_told() {
        let refused = |wanted: &[&str], excluded: &[&str]| {
            let error = selected(wanted, excluded).unwrap_err();
            (error.exit, error.message, error.hint.unwrap_or_default())
        };
        let (exit, message, hint) = refused(&["shop-pord"], &[]);
        assert_eq!((exit, hint.as_str()), (ExitCode::Nothing, "did you mean `Shop-Prod`?"));
        assert_eq!(message, "no account of `corp` is named like `shop-pord`");
        assert_eq!(refused(&[], &["*", "444444444444"]).1, "none of the 4 accounts of `corp` is left");
        let (exit, message, hint) = refused(&["11111111111"], &[]);
        assert_eq!(exit, ExitCode::Usage);
        assert_eq!(message, "`11111111111` (--account) is not an account ID");
        assert!(hint.starts_with("a spreadsheet may have dropped leading zeros"), "{hint}");
        assert_eq!(refused(&["./gone.csv"], &[]).1, "there is no file `./gone.csv` (from --account)");
        assert!(refused(&["a[b"], &[]).1.starts_with("`a[b` (from --account) is not a pattern"));
    }
}
