//! The error that ends a command: message, details, hint and exit code.
//!
//! Modules of the binary build it from typed errors of the libraries; [`crate::commands`] prints it.

use crate::exit_codes::ExitCode;

/// An error that ends a command.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// The exit code of the process, unless another reason has precedence.
    pub(crate) exit: ExitCode,
    /// One line: `cannot VERB OBJECT: reason`, names in back-ticks, no final stop.
    pub(crate) message: String,
    /// Further lines, such as the places in files.
    pub(crate) details: Vec<String>,
    /// An imperative with the exact flag or command.
    pub(crate) hint: Option<String>,
}

impl CommandError {
    pub(crate) fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), details: Vec::new(), hint: None }
    }

    /// Returns an error of usage or configuration.
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
