//! What stdout and stderr are, and the one way to say something on stderr.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use console::{Style, Term};
use ssoinv_output::sanitize::sanitize;

use crate::command_error::CommandError;
use crate::environment::Environment;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Verbosity {
    /// Only what isn't well.
    Quiet,
    Normal,
    /// Every warning, each name.
    Verbose,
    /// Every retry and every task.
    Debug,
}

/// Where a report goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    File,
}

/// The terminal, or what stands in its place.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    pub(crate) verbosity: Verbosity,
    pub(crate) on_stdout: bool,
    pub(crate) on_stderr: bool,
    colors: bool,
    stdout_colors: bool,
}

impl Terminal {
    pub(crate) fn new(verbosity: Verbosity, color: ColorWhen, environment: &Environment) -> Self {
        let (on_stdout, on_stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let colors = |on_terminal: bool| match color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => {
                let dumb = environment.get("TERM") == Some("dumb");
                on_terminal && !dumb && environment.get("NO_COLOR").is_none()
            }
        };
        let (colors, stdout_colors) = (colors(on_stderr), colors(on_stdout));
        Self { verbosity, on_stdout, on_stderr, colors, stdout_colors }
    }

    /// The width of stdout's terminal, in columns.
    pub(crate) fn stdout_width(&self) -> Option<usize> {
        let size = self.on_stdout.then(|| Term::stdout().size_checked()).flatten();
        size.map(|(_, columns)| usize::from(columns))
    }

    fn label(&self, style: Style, label: &str) -> String {
        style.for_stderr().force_styling(self.colors).apply_to(label).to_string()
    }

    /// A word of a report in a style, for the stream that the report goes to.
    pub(crate) fn styled(&self, stream: Stream, style: Style, word: &str) -> String {
        let colors = match stream {
            Stream::Stdout => self.stdout_colors,
            Stream::Stderr => self.colors,
            Stream::File => false,
        };
        style.force_styling(colors).apply_to(word).to_string()
    }

    /// `error: …`, its details and its hint.
    pub(crate) fn error(&self, error: &CommandError) -> String {
        let label = self.label(Style::new().red().bold(), "error:");
        let mut text = format!("{label} {}\n", sanitize(&error.message));
        for detail in &error.details {
            text += &format!("  {}\n", sanitize(detail));
        }
        if let Some(hint) = &error.hint {
            text += &format!("\n{}", self.hint(hint));
        }
        text
    }

    /// `error: …` and its hint, for what ends nothing.
    pub(crate) fn error_line(&self, message: &str, hint: &str) -> String {
        let label = self.label(Style::new().red().bold(), "error:");
        format!("{label} {}\n{}", sanitize(message), self.hint(hint))
    }

    /// `warning: …` and its hint.
    pub(crate) fn warning(&self, message: &str, hint: Option<&str>) -> String {
        let label = self.label(Style::new().yellow().bold(), "warning:");
        let hint = hint.map(|hint| self.hint(hint)).unwrap_or_default();
        format!("{label} {}\n{hint}", sanitize(message))
    }

    /// Says a line, unless only what isn't well is to be said.
    pub(crate) fn note(&self, line: &str) {
        if self.verbosity > Verbosity::Quiet {
            say(&format!("{}\n", sanitize(line)));
        }
    }

    /// `hint: …`
    pub(crate) fn hint(&self, hint: &str) -> String {
        format!("{} {}\n", self.label(Style::new().cyan().bold(), "hint:"), sanitize(hint))
    }
}

/// Says something on stderr. Nobody is left to tell when that fails.
pub(crate) fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    let _nobody_to_tell = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
