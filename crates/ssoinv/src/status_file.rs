//! `--status FILE`: how the command ended, as JSON for the job that started it.
//!
//! The file is opened before anything else happens, and says `running` until the command ends, so that a killed command
//! leaves no old result behind. It is replaced as a whole, with mode 0600.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use ssoinv_core::status::Status;
use ssoinv_output::{Destination, Target, TargetError};

use crate::command_error::CommandError;
use crate::command_outcome::{AccountCounts, CommandOutcome};
use crate::exit_codes::ExitCode;

/// The file of `--status`, known to be writable when the command started.
#[derive(Debug)]
pub(crate) struct StatusFile {
    path: PathBuf,
}

impl StatusFile {
    /// Opens the file, and writes that the command is running.
    pub(crate) fn open(path: &Path) -> Result<Self, CommandError> {
        let target = Target::private_file(path).map_err(|error| not_written(path, &error))?;
        let file = Self { path: path.to_owned() };
        // A pipe or device takes one document: the last.
        if target.replaces_file() {
            file.write_to(target, &StatusReport::running())?;
        }
        Ok(file)
    }

    /// Writes the outcome.
    pub(crate) fn write(&self, outcome: &CommandOutcome) -> Result<(), CommandError> {
        let target = Target::private_file(&self.path).map_err(|error| not_written(&self.path, &error))?;
        self.write_to(target, &StatusReport::new(outcome))
    }

    fn write_to(&self, target: Target, report: &StatusReport<'_>) -> Result<(), CommandError> {
        let json = serde_json::to_string_pretty(report).map_err(|error| {
            CommandError::new(ExitCode::Bug, format!("cannot serialize the status: {error}"))
        })?;
        let failed = |error: &TargetError| not_written(&self.path, error);
        if let Destination::One(mut writer) = target.destination().map_err(|error| failed(&error))? {
            writeln!(writer, "{json}")
                .and_then(|()| writer.flush())
                .map_err(|error| cannot_write(&self.path, &error.to_string()))?;
        }
        target.commit().map_err(|error| failed(&error))
    }
}

fn not_written(path: &Path, error: &TargetError) -> CommandError {
    cannot_write(path, &error.source.to_string())
}

fn cannot_write(path: &Path, reason: &str) -> CommandError {
    let message = format!("cannot write the status file `{}`: {reason}", path.display());
    CommandError::new(ExitCode::OutputFailed, message)
        .with_hint("name a file in a folder that you can write to with `--status FILE.json`")
}

/// The document. Scripts read it: only add fields.
#[derive(Serialize)]
struct StatusReport<'a> {
    /// The exit code; null while the command is running.
    exit_code: Option<u8>,
    /// True if nothing that was asked for is missing.
    complete: bool,
    /// Every reason that applied, the one that decided the exit code first.
    reasons: Vec<ReasonEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
    /// Cells of the ledger by status.
    #[serde(skip_serializing_if = "Option::is_none")]
    statuses: Option<BTreeMap<&'static str, u64>>,
    /// Incomplete cells that are expected gaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_gaps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Vec<AccountEntry<'a>>>,
}

#[derive(Serialize)]
struct ReasonEntry<'a> {
    exit_code: Option<u8>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct AccountEntry<'a> {
    account_id: Option<&'a str>,
    account_name: Option<&'a str>,
    /// The profile, where its account isn't known.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    complete: bool,
    statuses: BTreeMap<&'static str, u64>,
}

impl<'a> StatusReport<'a> {
    fn running() -> Self {
        Self {
            exit_code: None,
            complete: false,
            reasons: vec![ReasonEntry { exit_code: None, reason: "running", message: None }],
            run_id: None,
            statuses: None,
            expected_gaps: None,
            accounts: None,
        }
    }

    fn new(outcome: &'a CommandOutcome) -> Self {
        let mut reasons: Vec<ReasonEntry<'a>> = outcome
            .reasons()
            .map(|reason| ReasonEntry {
                exit_code: Some(reason.code.number()),
                reason: reason.code.name(),
                message: reason.message.as_deref(),
            })
            .collect();
        if outcome.output_closed() {
            reasons.push(ReasonEntry { exit_code: Some(0), reason: "output_closed", message: None });
        }
        let counts = outcome.coverage();
        Self {
            exit_code: Some(outcome.exit_code().number()),
            complete: outcome.is_complete(),
            reasons,
            run_id: counts.map(|counts| counts.run_id.as_str()),
            statuses: counts.map(|counts| by_name(&counts.statuses)),
            expected_gaps: counts.map(|counts| counts.expected_gaps),
            accounts: counts.map(|counts| counts.accounts.iter().map(AccountEntry::new).collect()),
        }
    }
}

impl<'a> AccountEntry<'a> {
    fn new(account: &'a AccountCounts) -> Self {
        Self {
            account_id: account.account_id.as_deref(),
            account_name: account.account_name.as_deref(),
            profile: account.profile.as_deref(),
            complete: account.complete,
            statuses: by_name(&account.statuses),
        }
    }
}

fn by_name(statuses: &BTreeMap<Status, u64>) -> BTreeMap<&'static str, u64> {
    statuses.iter().map(|(status, number)| (status.as_str(), *number)).collect()
}
