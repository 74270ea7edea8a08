//! Selections of accounts: for a role to assume (IDs, a file, or the whole organization), and among the accounts that a
//! sign-in reaches.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use ssoinv_core::name_pattern::NamePattern;
use ssoinv_core::scope::AccountId;
use ssoinv_core::suggest::nearest;
use ssoinv_sso::portal::AccountInfo;

use crate::account_file::{self, FileError, FileRow, id_hint, is_digits};
use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;
use crate::settings::source::SettingValue;

/// The accounts that a role is assumed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountList {
    /// All active accounts of the organization.
    All,
    /// Unique accounts in this order, and the number of inactive ones that a file had besides.
    Named { accounts: Vec<NamedAccount>, inactive: usize },
}

/// An account, and its name if the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedAccount {
    pub(crate) id: AccountId,
    pub(crate) name: Option<Arc<str>>,
}

impl AccountList {
    /// Returns the IDs with commas, or `all`.
    pub(crate) fn to_flag_value(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Named { accounts, .. } => {
                accounts.iter().map(|account| account.id.to_string()).collect::<Vec<_>>().join(",")
            }
        }
    }

    /// Parses the values of `--account`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, CommandError> {
        // A file's name may have a comma.
        let argument = words.join(",");
        if argument == "all" {
            return Ok(Self::All);
        }
        let path = Path::new(&argument);
        if path.is_file() {
            return from_file(path);
        }
        if looks_like_a_path(&argument) {
            return Err(no_file(&argument, "--account")
                .with_hint("`--account` takes IDs with commas, a file of them, or `all`"));
        }
        let words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
        let accounts: Result<Vec<_>, _> = words.map(|word| account(word, "--account")).collect();
        named(accounts?, 0, "--account")
    }
}

fn looks_like_a_path(word: &str) -> bool {
    word.contains(['/', '\\']) || word.starts_with('.')
}

fn no_file(word: &str, source: &str) -> CommandError {
    CommandError::usage(format!("there is no file `{word}` (from {source})"))
}

/// Reads the accounts of a file. Gaps of accounts by pattern name no account.
fn from_file(path: &Path) -> Result<AccountList, CommandError> {
    let file = account_file::read(path)?;
    let accounts: Result<Vec<_>, _> =
        file.rows.iter().filter_map(|row| NamedAccount::of(row).transpose()).collect();
    named(accounts?, file.inactive.len(), &path.display().to_string())
}

impl NamedAccount {
    /// Returns the account of a row; none for a gap of accounts by pattern.
    pub(crate) fn of(row: &FileRow) -> Result<Option<Self>, FileError> {
        match row.account_id() {
            Ok(id) => Ok(Some(Self { id, name: row.get("name").map(Arc::from) })),
            Err(_) if row.get("expect").is_some() && !row.get("account_id").is_some_and(is_digits) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn account(id: &str, place: &str) -> Result<NamedAccount, CommandError> {
    let id = id.trim();
    id.parse().map(|id| NamedAccount { id, name: None }).map_err(|_| {
        CommandError::usage(format!("`{id}` ({place}) is not an account ID")).with_hint(id_hint(id))
    })
}

/// Removes duplicates.
fn named(all: Vec<NamedAccount>, inactive: usize, place: &str) -> Result<AccountList, CommandError> {
    let mut accounts: Vec<NamedAccount> = Vec::new();
    let mut known = HashSet::new();
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

/// A selection among the accounts that a sign-in reaches.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountSelection {
    /// If empty, all accounts.
    wanted: Vec<AccountPattern>,
    excluded: Vec<AccountPattern>,
    /// The flag, variable or line of the settings file that excludes.
    excluded_by: String,
}

#[derive(Clone, Debug)]
enum AccountPattern {
    Id(NamedAccount),
    /// By name, ignoring case.
    Name(NamePattern),
}

impl AccountPattern {
    fn matches(&self, id: AccountId, name: Option<&str>) -> bool {
        match self {
            Self::Id(account) => account.id == id,
            Self::Name(pattern) => name.is_some_and(|name| pattern.matches(name)),
        }
    }
}

/// The result of a selection.
#[derive(Debug, Default)]
pub(crate) struct SelectedAccounts {
    /// Selected accounts that the sign-in reaches, by ID.
    pub(crate) accounts: Vec<AccountInfo>,
    /// Named or expected accounts that it doesn't reach.
    pub(crate) not_offered: Vec<NamedAccount>,
    /// Accounts that it reaches and that are excluded.
    pub(crate) excluded_accounts: Vec<ExcludedAccount>,
}

/// An excluded account, and the flag, variable or line of the settings file that excludes it.
#[derive(Debug)]
pub(crate) struct ExcludedAccount {
    pub(crate) account: AccountInfo,
    pub(crate) by: String,
}

impl AccountSelection {
    /// Parses the values of `--account` and of `--exclude-account` or its setting.
    pub(crate) fn new(wanted: &[&str], excluded: &SettingValue<Vec<Arc<str>>>) -> Result<Self, CommandError> {
        let without = excluded.value.iter().map(|word| &**word);
        Ok(Self {
            wanted: patterns(wanted.iter().copied(), "--account", true)?,
            // The path of a file in a setting would depend on the current folder.
            excluded: patterns(without, &excluded.source.to_string(), excluded.source.is_flag())?,
            excluded_by: excluded.source.to_string(),
        })
    }

    /// Returns the wanted and the excluded accounts, with commas.
    pub(crate) fn to_flag_value(&self) -> (String, String) {
        let words = |patterns: &[AccountPattern]| {
            let word = |pattern: &AccountPattern| match pattern {
                AccountPattern::Id(account) => account.id.to_string(),
                AccountPattern::Name(pattern) => pattern.to_string(),
            };
            patterns.iter().map(word).collect::<Vec<_>>().join(",")
        };
        (words(&self.wanted), words(&self.excluded))
    }

    /// Returns whether every account that the sign-in reaches is selected.
    pub(crate) fn is_whole(&self) -> bool {
        self.wanted.is_empty() && self.excluded.is_empty()
    }

    /// Returns what excludes an account: a flag, a variable or a line of the settings file.
    fn excluded_by(&self, id: AccountId, name: Option<&str>) -> Option<&str> {
        let any = |patterns: &[AccountPattern]| patterns.iter().any(|pattern| pattern.matches(id, name));
        if any(&self.excluded) {
            return Some(&self.excluded_by);
        }
        (!self.wanted.is_empty() && !any(&self.wanted)).then_some("--account")
    }

    /// Selects among `offered`, the accounts that the sign-in to `session` reaches, and `expected` ones.
    pub(crate) fn select(
        &self,
        offered: &[AccountInfo],
        expected: &[NamedAccount],
        session: &str,
    ) -> Result<SelectedAccounts, CommandError> {
        for pattern in &self.wanted {
            let AccountPattern::Name(glob) = pattern else { continue };
            let matches = |id, name: &Option<Arc<str>>| pattern.matches(id, name.as_deref());
            if !offered.iter().any(|account| matches(account.id, &account.name))
                && !expected.iter().any(|account| matches(account.id, &account.name))
            {
                return Err(nothing_like(glob.as_str(), offered, session));
            }
        }
        let mut accounts: Vec<AccountInfo> = Vec::new();
        let mut excluded_accounts = Vec::new();
        for account in offered {
            match self.excluded_by(account.id, account.name.as_deref()) {
                None => accounts.push(account.clone()),
                Some(by) => {
                    excluded_accounts.push(ExcludedAccount { account: account.clone(), by: by.to_owned() });
                }
            }
        }
        let mut known: HashSet<AccountId> = offered.iter().map(|account| account.id).collect();
        let named = self.wanted.iter().filter_map(|pattern| match pattern {
            AccountPattern::Id(account) => Some(account),
            AccountPattern::Name(_) => None,
        });
        // Expected accounts come first, since they have names.
        let mut not_offered: Vec<NamedAccount> = Vec::new();
        for account in expected.iter().chain(named) {
            if self.excluded_by(account.id, account.name.as_deref()).is_none() && known.insert(account.id) {
                not_offered.push(account.clone());
            }
        }
        if accounts.is_empty() && not_offered.is_empty() {
            let message = if offered.is_empty() {
                format!("the sign-in to `{session}` reaches no account")
            } else {
                format!("none of the {} accounts of `{session}` is left", offered.len())
            };
            return Err(CommandError::new(ExitCode::NothingCollected, message).with_hint(SHOW_ACCOUNTS));
        }
        Ok(SelectedAccounts { accounts, not_offered, excluded_accounts })
    }
}

const SHOW_ACCOUNTS: &str = "`ssoinv accounts` shows all that the sign-in reaches";

fn nothing_like(pattern: &str, offered: &[AccountInfo], session: &str) -> CommandError {
    let message = format!("no account of `{session}` is named like `{pattern}`");
    let error = CommandError::new(ExitCode::NothingCollected, message);
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
            patterns.push(AccountPattern::Id(account(word, source)?));
        } else if files && Path::new(word).is_file() {
            let AccountList::Named { accounts, .. } = from_file(Path::new(word))? else { continue };
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
            let pattern = NamePattern::ignoring_case(word).map_err(|error| {
                CommandError::usage(format!("`{word}` (from {source}) is not a pattern: {}", error.reason))
            })?;
            patterns.push(AccountPattern::Name(pattern));
        }
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::settings::source::SettingSource;

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

    /// Splits text as clap does.
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
        assert!(refused("011111111111\nprod\n").message.ends_with(":2: `prod` is not an account ID"));
        assert!(refused("account_id\n123\n").message.ends_with(":2: `123` is not an account ID"));
        assert!(refused("{\"accounts\": []}").message.ends_with("is not a list of accounts"));
        assert!(refused("# nothing\n").message.ends_with("names no account"));
        let first_page = r#"{"Accounts": [{"Id": "011111111111"}], "NextToken": "x"}"#;
        assert!(refused(first_page).message.ends_with("is only the first part of a list"));
        assert!(
            AccountList::parse(&words("./no-such-file")).unwrap_err().message.starts_with("there is no file")
        );
        assert!(AccountList::parse(&words("prod")).unwrap_err().hint.unwrap().contains("twelve digits"));
    }

    fn offered() -> Vec<AccountInfo> {
        let account = |id: &str, name: Option<&str>| AccountInfo {
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
        let excluded = SettingValue { value: excluded, source: SettingSource::Flag("exclude_account") };
        let selected = AccountSelection::new(wanted, &excluded)?.select(&offered(), &[], "corp")?;
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
    fn what_is_expected_is_planned_as_far_as_it_is_meant() {
        let expected =
            |id: &str, name: &str| NamedAccount { id: id.parse().unwrap(), name: Some(name.into()) };
        let expected = [
            expected("333333333333", "hub"),
            expected("777777777777", "shop-new"),
            expected("888888888888", "x"),
        ];
        let none = SettingValue { value: vec![], source: SettingSource::Flag("exclude_account") };
        let excluded = SettingValue { value: vec!["x".into()], ..none.clone() };
        let told = |wanted: &[&str], excluded| {
            let selection = AccountSelection::new(wanted, excluded).unwrap();
            let selected = selection.select(&offered(), &expected, "corp").unwrap();
            let named = |account: &NamedAccount| account.name.as_deref().unwrap_or("?").to_owned();
            selected.not_offered.iter().map(named).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(&[], &none), "shop-new x");
        assert_eq!(told(&[], &excluded), "shop-new");
        assert_eq!(told(&["shop-*"], &none), "shop-new");
        assert_eq!(told(&["shop-n*"], &none), "shop-new", "it means one that is expected");
        assert_eq!(told(&["hub"], &none), "");
        assert_eq!(told(&["777777777777", "999999999999"], &none), "shop-new ?", "each once");
    }

    #[test]
    fn a_selection_that_means_nobody_is_told() {
        let refused = |wanted: &[&str], excluded: &[&str]| {
            let error = selected(wanted, excluded).unwrap_err();
            (error.exit, error.message, error.hint.unwrap_or_default())
        };
        let (exit, message, hint) = refused(&["shop-pord"], &[]);
        assert_eq!((exit, hint.as_str()), (ExitCode::NothingCollected, "did you mean `Shop-Prod`?"));
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
