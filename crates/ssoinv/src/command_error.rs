//! What ends a command: kind, message, hint and exit code, made in this one place from the libraries' typed errors.

use crate::exit_codes::ExitCode;

/// Why a command ended without doing its work.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// How the program ends.
    pub(crate) exit: ExitCode,
    /// One line: what is wrong, things in back-ticks, no final stop.
    pub(crate) message: String,
    /// Further lines, such as the places in files.
    pub(crate) details: Vec<String>,
    /// What to do, such that it can be pasted.
    pub(crate) hint: Option<String>,
}

impl CommandError {
    pub(crate) fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), details: Vec::new(), hint: None }
    }

    /// Wrong usage or configuration.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}
