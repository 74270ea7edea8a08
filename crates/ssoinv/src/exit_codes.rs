//! The exit codes of ssoinv.
//!
//! A command may end for several reasons at once: [`crate::command_outcome`] collects them, and the code with the highest
//! precedence is the code of the process.

use std::process;

/// A reason to end, in order of precedence: the first that applies is the exit code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum ExitCode {
    /// SIGINT or SIGTERM.
    Interrupted,
    /// A bug in ssoinv.
    Bug,
    /// Output could not be written.
    OutputFailed,
    /// Wrong usage or configuration; nothing started.
    Usage,
    /// `doctor` found an error.
    Findings,
    /// A sign-in is needed; what was collected is written.
    SignInNeeded,
    /// Every task failed, or nothing matched the selection, or everything was skipped.
    NothingCollected,
    /// Some planned cell isn't complete.
    Partial,
    /// Everything planned was collected.
    Complete,
}

impl ExitCode {
    /// Returns the number that the shell sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::SignInNeeded => 3,
            Self::Partial => 4,
            Self::NothingCollected => 5,
            Self::Bug => 70,
            Self::OutputFailed => 74,
            Self::Interrupted => 130,
        }
    }

    /// Returns the name in the status file. Scripts read it: never change one.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Findings => "findings",
            Self::Usage => "usage",
            Self::SignInNeeded => "sign_in_needed",
            Self::Partial => "partial",
            Self::NothingCollected => "nothing_collected",
            Self::Bug => "bug",
            Self::OutputFailed => "output_failed",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
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
    use super::*;

    #[test]
    fn precedence_is_the_documented_one() {
        use ExitCode::{
            Bug, Complete, Findings, Interrupted, NothingCollected, OutputFailed, Partial, SignInNeeded,
            Usage,
        };
        let mut codes = [
            Complete,
            Findings,
            Usage,
            SignInNeeded,
            Partial,
            NothingCollected,
            Bug,
            OutputFailed,
            Interrupted,
        ];
        codes.sort();
        assert_eq!(codes.map(ExitCode::number), [130, 70, 74, 2, 1, 3, 5, 4, 0]);
    }
}
