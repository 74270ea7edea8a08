//! Every exit code of ssoinv, in one place.
//!
//! Where several apply, [`ExitCode::worst`] decides: 130, 70, 74, 2, 1, 3, 5, 4, 0. The codes of a run follow from its
//! ledger ([`of_ledger`]); the others from the error that ended the command ([`crate::command_error`]).

use std::process;

use ssoinv_core::coverage::{Ledger, Status};

/// How ssoinv ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExitCode {
    /// Everything planned was collected.
    Complete,
    /// What was looked for was found: an error of `doctor`.
    Findings,
    /// Wrong usage or configuration: nothing could start.
    Usage,
    /// A sign-in is needed; what was collected is still written.
    SignInNeeded,
    /// Some planned cell isn't complete.
    Partial,
    /// Every task failed, or nothing matched the selection, or all of it was skipped.
    Nothing,
    /// A bug.
    Bug,
    /// The output could not be written.
    Output,
    /// SIGINT or SIGTERM.
    Interrupted,
}

/// From the one that wins to the one that loses.
const PRECEDENCE: [ExitCode; 9] = [
    ExitCode::Interrupted,
    ExitCode::Bug,
    ExitCode::Output,
    ExitCode::Usage,
    ExitCode::Findings,
    ExitCode::SignInNeeded,
    ExitCode::Nothing,
    ExitCode::Partial,
    ExitCode::Complete,
];

impl ExitCode {
    /// The number that the shell sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::SignInNeeded => 3,
            Self::Partial => 4,
            Self::Nothing => 5,
            Self::Bug => 70,
            Self::Output => 74,
            Self::Interrupted => 130,
        }
    }

    /// The one that counts where both apply.
    pub(crate) fn worst(self, other: Self) -> Self {
        PRECEDENCE.into_iter().find(|&code| code == self || code == other).unwrap_or(Self::Bug)
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

/// The exit code that a run's cells amount to.
pub(crate) fn of_ledger(ledger: &Ledger) -> ExitCode {
    let mut code = ExitCode::Complete;
    // Answered, or not tried, which is no failure.
    let mut not_failed = 0_usize;
    for cell in ledger.cells.iter().filter(|cell| cell.status != Status::Skipped) {
        not_failed += usize::from(cell.is_complete() || cell.status == Status::NotTried);
        code = code.worst(match cell.status {
            _ if cell.is_complete() => ExitCode::Complete,
            Status::SignInExpired => ExitCode::SignInNeeded,
            _ => ExitCode::Partial,
        });
    }
    // Nobody was asked, or nobody answered: no proof of anything.
    if not_failed == 0 { code.worst(ExitCode::Nothing) } else { code }
}

/// The table of `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0    everything planned was collected
  1    `doctor` found an error
  2    wrong usage or configuration: nothing could start
  3    a sign-in is needed; what was collected is still written
  4    partial: something planned could not be collected
  5    every task failed, or nothing matched the selection
  70   a bug
  74   the output could not be written
  130  interrupted";

#[cfg(test)]
mod tests {
    use ssoinv_core::coverage::Cell;
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

    fn code(statuses: &[Status]) -> u8 {
        let cells = statuses.iter().map(|&status| Cell::untouched(scope(), "t", status)).collect();
        of_ledger(&Ledger { run_id: "r".into(), cells }).number()
    }

    #[test]
    fn what_was_declared_is_no_failure() {
        let expected = |status| {
            let mut cell = Cell::untouched(scope(), "t", status);
            cell.expected = true;
            cell
        };
        let code = |cells| of_ledger(&Ledger { run_id: "r".into(), cells }).number();
        let ok = Cell::untouched(scope(), "t", Status::Ok);
        let denied = Cell::untouched(scope(), "t", Status::Denied);
        assert_eq!(code(vec![ok.clone(), expected(Status::Denied), expected(Status::NotOffered)]), 0);
        assert_eq!(code(vec![ok, expected(Status::SignInExpired)]), 0);
        assert_eq!(code(vec![denied, expected(Status::Denied)]), 4, "another is none that was declared");
        assert_eq!(code(vec![expected(Status::Denied)]), 0, "that there is nothing else was declared, too");
    }

    #[test]
    fn the_ledger_tells_the_truth() {
        use Status::{Denied, NotTried, Ok, RegionDisabled, SignInExpired, Skipped};
        assert_eq!(code(&[Ok, Skipped, RegionDisabled]), 0);
        assert_eq!(code(&[Skipped, Skipped]), 5, "nothing was looked at");
        assert_eq!(code(&[Ok, Denied]), 4);
        assert_eq!(code(&[Ok, NotTried]), 4);
        assert_eq!(code(&[Denied, Skipped]), 5);
        assert_eq!(code(&[NotTried, Denied]), 4, "--max-time is 4, however early");
        assert_eq!(code(&[Ok, Denied, SignInExpired]), 3);
        assert_eq!(code(&[SignInExpired]), 3, "3 comes before 5");
    }

    #[test]
    fn precedence_is_the_documented_one() {
        let numbers = PRECEDENCE.map(ExitCode::number);
        assert_eq!(numbers, [130, 70, 74, 2, 1, 3, 5, 4, 0]);
        assert_eq!(ExitCode::Partial.worst(ExitCode::Output), ExitCode::Output);
        assert_eq!(ExitCode::Output.worst(ExitCode::Partial), ExitCode::Output);
    }
}
