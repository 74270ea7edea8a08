//! The outcome of a command: every reason to end, completeness, and counts of the coverage ledger.
//!
//! Verbs return a [`CommandOutcome`]. The process's exit code is the reason with the highest precedence; the status file
//! ([`crate::status_file`]) has all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ssoinv_core::coverage::{Cell, Ledger};
use ssoinv_core::status::Status;

use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;

/// The outcome of a command. The default is a complete one.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandOutcome {
    reasons: Vec<ExitReason>,
    incomplete: bool,
    output_closed: bool,
    coverage: Option<CoverageCounts>,
}

/// A reason not to end with 0, and the error message where an error is the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ExitReason {
    pub(crate) code: ExitCode,
    pub(crate) message: Option<String>,
}

/// Cells of a ledger, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct CoverageCounts {
    pub(crate) run_id: String,
    pub(crate) statuses: BTreeMap<Status, u64>,
    /// Incomplete cells that the user declared as expected gaps.
    pub(crate) expected_gaps: u64,
    /// In the order of the ledger.
    pub(crate) accounts: Vec<AccountCounts>,
}

/// Cells of one account, or of a profile whose account isn't known.
#[derive(Clone, Debug)]
pub(crate) struct AccountCounts {
    pub(crate) account_id: Option<String>,
    pub(crate) account_name: Option<Arc<str>>,
    pub(crate) profile: Option<Arc<str>>,
    pub(crate) complete: bool,
    pub(crate) statuses: BTreeMap<Status, u64>,
}

impl CommandOutcome {
    /// Returns the outcome of a run with these cells.
    pub(crate) fn of_ledger(ledger: &Ledger) -> Self {
        let mut outcome = Self { coverage: Some(CoverageCounts::new(ledger)), ..Self::default() };
        let mut collected_or_stopped = 0_usize;
        let is_planned = |cell: &&Cell| !matches!(cell.status, Status::Skipped | Status::Excluded);
        for cell in ledger.cells.iter().filter(is_planned) {
            // A cell that wasn't tried is no failed attempt: a run that is out of time is partial, however early.
            // A list whose rows lack a column was collected, though not completely.
            let collected = cell.is_complete() || cell.rows > 0;
            collected_or_stopped += usize::from(collected || cell.status == Status::NotTried);
            match cell.status {
                _ if cell.is_complete() => {}
                Status::SignInExpired => outcome.add(ExitCode::SignInNeeded),
                _ => outcome.add(ExitCode::Partial),
            }
        }
        if collected_or_stopped == 0 {
            outcome.add(ExitCode::NothingCollected);
        }
        outcome
    }

    /// Adds a reason. Every reason but findings means that something is missing.
    pub(crate) fn add(&mut self, code: ExitCode) {
        self.push(code, None);
    }

    /// Adds an error that was already shown to the user.
    pub(crate) fn add_error(&mut self, error: &CommandError) {
        self.push(error.exit, Some(error.message.clone()));
    }

    fn push(&mut self, code: ExitCode, message: Option<String>) {
        self.incomplete |= !matches!(code, ExitCode::Complete | ExitCode::Findings);
        let reason = ExitReason { code, message };
        if code != ExitCode::Complete && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
            self.reasons.sort_by_key(|reason| reason.code);
        }
    }

    /// Notes that something is missing without being a reason to end with another code.
    pub(crate) fn mark_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Notes that the reader of stdout went away (`| head`). What is missing because of that is no failure.
    pub(crate) fn close_output(&mut self) {
        self.output_closed = true;
    }

    /// Returns the exit code: the first reason by precedence.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.reasons().next().map_or(ExitCode::Complete, |reason| reason.code)
    }

    /// Lists the reasons, the first by precedence first.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = &ExitReason> {
        let of_coverage =
            |code| matches!(code, ExitCode::SignInNeeded | ExitCode::NothingCollected | ExitCode::Partial);
        self.reasons.iter().filter(move |reason| !(self.output_closed && of_coverage(reason.code)))
    }

    /// Returns whether nothing that was asked for is missing.
    pub(crate) fn is_complete(&self) -> bool {
        !self.incomplete
    }

    /// Returns whether the reader of stdout went away.
    pub(crate) fn output_closed(&self) -> bool {
        self.output_closed
    }

    pub(crate) fn coverage(&self) -> Option<&CoverageCounts> {
        self.coverage.as_ref()
    }
}

impl From<ExitCode> for CommandOutcome {
    fn from(code: ExitCode) -> Self {
        let mut outcome = Self::default();
        outcome.add(code);
        outcome
    }
}

impl From<&CommandError> for CommandOutcome {
    fn from(error: &CommandError) -> Self {
        let mut outcome = Self::default();
        outcome.add_error(error);
        outcome
    }
}

impl CoverageCounts {
    fn new(ledger: &Ledger) -> Self {
        let mut counts = Self { run_id: ledger.run_id.to_string(), ..Self::default() };
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for cell in &ledger.cells {
            *counts.statuses.entry(cell.status).or_default() += 1;
            counts.expected_gaps += u64::from(cell.expected && !cell.status.is_complete());
            let place = *places.entry(account_key(cell)).or_insert_with(|| {
                counts.accounts.push(AccountCounts::new(cell));
                counts.accounts.len() - 1
            });
            let account = &mut counts.accounts[place];
            account.complete &= cell.is_complete();
            *account.statuses.entry(cell.status).or_default() += 1;
        }
        counts
    }
}

impl AccountCounts {
    fn new(cell: &Cell) -> Self {
        let scope = &cell.scope;
        Self {
            account_id: scope.account_id.map(|id| id.to_string()),
            account_name: scope.account_name.clone(),
            profile: scope.profile.clone().filter(|_| scope.account_id.is_none()),
            complete: true,
            statuses: BTreeMap::new(),
        }
    }
}

fn account_key(cell: &Cell) -> String {
    match (cell.scope.account_id, &cell.scope.profile) {
        (Some(id), _) => id.to_string(),
        (None, profile) => format!("profile {}", profile.as_deref().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use ssoinv_core::scope::{Partition, Place, Scope};

    use super::*;

    fn scope() -> Scope {
        Scope {
            partition: Partition::Aws,
            account_id: None,
            account_name: None,
            role_name: None,
            profile: None,
            place: Place::Global,
        }
    }

    fn cell(status: Status) -> Cell {
        Cell::new(scope(), "t", "List", status)
    }

    fn of_cells(cells: Vec<Cell>) -> CommandOutcome {
        CommandOutcome::of_ledger(&Ledger { run_id: "r".into(), cells })
    }

    /// The exit code and all reasons of a ledger with these statuses.
    fn codes(statuses: &[Status]) -> (u8, Vec<u8>) {
        let outcome = of_cells(statuses.iter().map(|&status| cell(status)).collect());
        (outcome.exit_code().number(), outcome.reasons().map(|reason| reason.code.number()).collect())
    }

    #[test]
    fn an_expected_gap_is_no_reason() {
        let gap = |status| Cell { expected: true, ..cell(status) };
        let code = |cells| of_cells(cells).exit_code().number();
        assert_eq!(code(vec![cell(Status::Ok), gap(Status::Denied), gap(Status::NotOffered)]), 0);
        assert_eq!(code(vec![cell(Status::Ok), gap(Status::SignInExpired)]), 0);
        assert_eq!(code(vec![cell(Status::Denied), gap(Status::Denied)]), 4, "one of them wasn't declared");
        assert_eq!(code(vec![gap(Status::Denied)]), 0, "nothing but the gap is planned");
        let outcome = of_cells(vec![cell(Status::Ok), gap(Status::Denied)]);
        assert!(outcome.is_complete());
        assert_eq!(outcome.coverage().map(|counts| counts.expected_gaps), Some(1));
    }

    #[test]
    fn the_ledger_gives_every_reason() {
        use Status::{Denied, Excluded, NotTried, Ok, RegionDisabled, SignInExpired, Skipped};
        assert_eq!(codes(&[Ok, Skipped, Excluded, RegionDisabled]), (0, vec![]));
        assert_eq!(codes(&[Skipped, Excluded]), (5, vec![5]), "nothing was collected");
        assert_eq!(codes(&[Ok, Denied]), (4, vec![4]));
        assert_eq!(codes(&[Ok, NotTried]), (4, vec![4]));
        assert_eq!(codes(&[Denied, Skipped]), (5, vec![5, 4]));
        assert_eq!(codes(&[NotTried, Denied]), (4, vec![4]), "--max-time is 4, however early");
        assert_eq!(codes(&[Ok, Denied, SignInExpired]), (3, vec![3, 4]));
        assert_eq!(codes(&[SignInExpired]), (3, vec![3, 5]), "3 comes before 5");
    }

    #[test]
    fn a_closed_pipe_hides_gaps_but_no_error() {
        let mut outcome = of_cells(vec![cell(Status::Ok), cell(Status::NotTried)]);
        outcome.close_output();
        assert_eq!(outcome.exit_code(), ExitCode::Complete);
        assert!(!outcome.is_complete());
        outcome.add_error(&CommandError::new(ExitCode::OutputFailed, "cannot write"));
        assert_eq!(outcome.exit_code(), ExitCode::OutputFailed);
        outcome.add(ExitCode::Interrupted);
        assert_eq!(outcome.exit_code(), ExitCode::Interrupted);
    }

    #[test]
    fn findings_leave_a_command_complete() {
        let outcome = CommandOutcome::from(ExitCode::Findings);
        assert_eq!((outcome.exit_code().number(), outcome.is_complete()), (1, true));
    }

    #[test]
    fn cells_are_counted_by_account() {
        let of = |account: &str, status| {
            let scope = Scope { account_id: account.parse().ok(), profile: Some("p".into()), ..scope() };
            Cell::new(scope, "t", "List", status)
        };
        let outcome = of_cells(vec![
            of("222222222222", Status::Ok),
            of("111111111111", Status::Ok),
            of("", Status::Misconfigured),
            of("222222222222", Status::Denied),
        ]);
        let counts = outcome.coverage().expect("counts");
        let shown: Vec<String> = counts
            .accounts
            .iter()
            .map(|account| {
                let name = account.account_id.as_deref().or(account.profile.as_deref());
                let statuses: Vec<String> = account
                    .statuses
                    .iter()
                    .map(|(status, number)| format!("{} {number}", status.as_str()))
                    .collect();
                format!("{}: {} ({})", name.unwrap_or_default(), statuses.join(", "), account.complete)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "222222222222: ok 1, denied 1 (false)",
                "111111111111: ok 1 (true)",
                "p: misconfigured 1 (false)"
            ]
        );
    }
}
