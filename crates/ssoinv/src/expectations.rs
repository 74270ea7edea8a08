//! `--expect`: the accounts that should exist, and the cells in which a gap is expected.
//!
//! The files are read before the sign-in; errors name their line ([`crate::account_file`], [`RowError`]). Expected accounts
//! that the sign-in doesn't reach are planned all the same ([`crate::discovery`]). Gaps mark cells of the ledger when the
//! run has ended ([`Expectations::apply`]), and never change a status. [`crate::warnings`] prints deviations.

pub(crate) mod deviations;
mod expect_error;
mod gap;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use ssoinv_core::scope::AccountId;

pub(crate) use expect_error::{ExpectError, RowError};
pub(crate) use gap::Gap;

use crate::account_file::{self, FileRow};
use crate::account_list::NamedAccount;
use crate::command_error::CommandError;

/// The contents of all files. Without a file, nothing is expected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expectations {
    /// The paths as the user named them.
    files: Vec<String>,
    /// Unique accounts in the order of the files, with those that a gap names by ID.
    accounts: Vec<NamedAccount>,
    gaps: Vec<Gap>,
    /// Gaps that name an account by ID.
    gaps_of: HashMap<AccountId, Vec<usize>>,
    /// Gaps of accounts by pattern.
    gaps_by_pattern: Vec<usize>,
    /// True if a file lists accounts, and not only gaps.
    lists_accounts: bool,
    /// Closed and suspended accounts of an organization's list: neither expected nor new.
    inactive: BTreeSet<AccountId>,
}

impl From<ExpectError> for CommandError {
    fn from(error: ExpectError) -> Self {
        let message = error.to_string();
        match error {
            ExpectError::File(error) => error.into(),
            ExpectError::Row { error, .. } => Self::usage(message).with_hint(error.hint()),
            ExpectError::Empty { .. } => Self::usage(message).with_hint(
                "`aws organizations list-accounts` and `ssoinv accounts -o csv` write down accounts",
            ),
        }
    }
}

impl Expectations {
    /// Reads the files.
    pub(crate) fn read<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<Self, ExpectError> {
        let mut all = Self::default();
        for path in paths {
            let shown = path.display().to_string();
            let file = account_file::read(path)?;
            if file.rows.is_empty() && file.inactive.is_empty() {
                return Err(ExpectError::Empty { file: shown });
            }
            all.files.push(shown);
            all.inactive.extend(file.inactive);
            for row in &file.rows {
                all.add(row)?;
            }
        }
        let mut known = BTreeSet::new();
        all.accounts.retain(|account| known.insert(account.id));
        // An account that is active in any file is expected.
        all.inactive.retain(|id| !known.contains(id));
        Ok(all)
    }

    fn add(&mut self, row: &FileRow) -> Result<(), ExpectError> {
        let refuse = |error| ExpectError::Row { at: row.at.clone(), error };
        match row.get("expect") {
            Some("gap") => {
                let gap = Gap::read(row)?;
                let index = self.gaps.len();
                match gap.account_id() {
                    Some(id) => {
                        self.gaps_of.entry(id).or_default().push(index);
                        self.accounts.extend(NamedAccount::of(row)?);
                    }
                    None => self.gaps_by_pattern.push(index),
                }
                self.gaps.push(gap);
            }
            Some(text) => return Err(refuse(RowError::NoExpectation { text: text.to_owned() })),
            None => {
                // These columns belong to gaps: `expect` was probably forgotten.
                let of_gaps = ["region", "table", "reason", "until"];
                if let Some(column) = of_gaps.into_iter().find(|column| row.get(column).is_some()) {
                    return Err(refuse(RowError::OnlyForGaps { column }));
                }
                self.lists_accounts = true;
                self.accounts.extend(NamedAccount::of(row)?);
            }
        }
        Ok(())
    }

    /// Returns the expected accounts, each once.
    pub(crate) fn accounts(&self) -> &[NamedAccount] {
        &self.accounts
    }

    /// Returns whether a file lists accounts.
    pub(crate) fn lists_accounts(&self) -> bool {
        self.lists_accounts
    }

    /// Returns the paths as the user named them.
    pub(crate) fn files(&self) -> &[String] {
        &self.files
    }

    /// Returns the number of accounts that aren't active.
    pub(crate) fn inactive(&self) -> usize {
        self.inactive.len()
    }

    /// Lists the gaps that may cover an account.
    fn gaps_of(&self, id: Option<AccountId>) -> impl Iterator<Item = usize> {
        let own = id.and_then(|id| self.gaps_of.get(&id)).into_iter().flatten();
        own.chain(&self.gaps_by_pattern).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEADER: &str = "account_id,name,region,table,expect,reason,until\n";

    pub(super) fn expectations(rows: &str) -> Result<Expectations, CommandError> {
        let file = tempfile::Builder::new().prefix("expect").suffix(".csv").tempfile().expect("a file");
        fs::write(file.path(), format!("{HEADER}{rows}")).expect("written");
        Ok(Expectations::read([file.path()])?)
    }

    fn refused(rows: &str) -> String {
        let error = expectations(rows).expect_err(rows);
        assert_eq!(error.exit.number(), 2);
        let (_, message) = error.message.split_once(".csv:").expect("a line");
        format!("{message}; {}", error.hint.unwrap_or_default())
    }

    #[test]
    fn accounts_are_expected_once_and_gaps_by_id_name_some_too() {
        let read = expectations(
            "011111111111,hub,,,,,\n011111111111,other,,,,,\n222222222222,old,,,gap,closing,2027-01-31\n*,,eu-*,,gap,x,2027-01-31\n",
        )
        .expect("well-formed");
        let shown: Vec<_> =
            read.accounts().iter().map(|account| (account.id.as_str(), account.name.as_deref())).collect();
        assert_eq!(shown, [("011111111111", Some("hub")), ("222222222222", Some("old"))]);
        assert!(read.lists_accounts());
        let gaps_alone = expectations("222222222222,,,,gap,closing,2027-01-31\n").expect("well-formed");
        assert!(!gaps_alone.lists_accounts(), "what else there is, it doesn't say");
        assert_eq!(gaps_alone.accounts().len(), 1);
    }

    #[test]
    fn several_files_are_one_and_what_is_active_anywhere_is_expected() {
        let folder = tempfile::tempdir().expect("a folder");
        let (json, csv) = (folder.path().join("org.json"), folder.path().join("more.csv"));
        let members = r#"[{"Id": "111111111111", "Status": "SUSPENDED"}, {"Id": "222222222222", "Status": "SUSPENDED"}]"#;
        fs::write(&json, members).expect("written");
        fs::write(&csv, "account_id\n111111111111\n").expect("written");
        let read = Expectations::read([json.as_path(), csv.as_path()]).expect("well-formed");
        assert_eq!((read.accounts().len(), read.inactive(), read.files().len()), (1, 1, 2));
    }

    #[test]
    fn rows_that_mean_nothing_are_refused_with_their_line() {
        for (row, told) in [
            (
                "11111111111,,,,,,",
                "2: `11111111111` is not an account ID; a spreadsheet may have dropped leading zeros: write `011111111111`, twelve digits, as text",
            ),
            (
                "11111111111,,,,gap,x,2027-01-31",
                "2: `11111111111` is not an account ID; a spreadsheet may have dropped leading zeros: write `011111111111`, twelve digits, as text",
            ),
            (",hub,,,,,", "2: `` is not an account ID; an account ID has twelve digits"),
            (
                "hub,,,,gap,x,2027-01-31",
                "2: `hub` is no pattern of account IDs; a pattern of names goes into `name`",
            ),
            (
                "011111111111,,,,gaps,,",
                "2: `gaps` is nothing that `expect` can be; say `gap`, or nothing for an account that should be there",
            ),
            (
                "011111111111,,eu-west-1,,,,",
                "2: `region` is said of no gap; say `gap` in `expect`, or leave it empty",
            ),
            (
                "011111111111,,,,,x,",
                "2: `reason` is said of no gap; say `gap` in `expect`, or leave it empty",
            ),
            (
                ",,,,gap,x,2027-01-31",
                "2: the gap is in no account; say an ID or a pattern in `account_id`, or a pattern in `name`; `*` is every account",
            ),
            ("*,,,,gap,,2027-01-31", "2: the gap has no `reason`; say why nobody need see what is there"),
            (
                "*,,,,gap,x,",
                "2: the gap has no `until`; say the last day on which it is expected, like `2027-03-31`",
            ),
            ("*,,,,gap,x,31.01.2027", "2: `31.01.2027` is not a day; write it like `2027-03-31`"),
            ("*,,,,gap,x,2027-02-29", "2: `2027-02-29` is not a day; write it like `2027-03-31`"),
            ("*,,,,gap,x,2027-2-9", "2: `2027-2-9` is not a day; write it like `2027-03-31`"),
            (
                ",a[b,,,gap,x,2027-01-31",
                "2: `a[b` is no pattern: unclosed character class; missing ']'; `*` stands for any text, `?` for one character",
            ),
            (
                "*,,us-esat-1/,,gap,x,2027-01-31",
                "2: `us-esat-1/` is not the name of a region; did you mean `us-east-1`?",
            ),
            (
                "*,,,aws_s3_buckets,gap,x,2027-01-31",
                "2: there is no table `aws_s3_buckets`; did you mean `aws_s3_bucket`?",
            ),
            (
                "*,,,aws_rds_*,gap,x,2027-01-31",
                "2: there is no table `aws_rds_*`; `ssoinv tables` shows them",
            ),
        ] {
            assert_eq!(refused(&format!("{row}\n")), told);
        }
        let error = expectations("").expect_err("nothing");
        assert!(error.message.ends_with("names no account and no gap"), "{}", error.message);
    }
}
