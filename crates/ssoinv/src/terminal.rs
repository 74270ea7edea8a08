//! stdout and stderr: whether they are a terminal, their colors, and the only functions that print.
//!
//! stdout is for data, stderr for messages. Untrusted text, such as names from AWS, loses its control characters here.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use clap::ValueEnum;
use console::{Style, Term};
use indicatif::ProgressBar;
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

/// The amount of messages on stderr.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Verbosity {
    /// Warnings and errors only.
    Quiet,
    Normal,
    /// Every warning, with each name.
    Verbose,
    /// Every retry and every task.
    Debug,
}

/// The destination of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    File,
}

/// The terminal, or what the streams are connected to instead.
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

    /// Returns the width of stdout's terminal in columns.
    pub(crate) fn stdout_width(&self) -> Option<usize> {
        let size = self.on_stdout.then(|| Term::stdout().size_checked()).flatten();
        size.map(|(_, columns)| usize::from(columns))
    }

    fn label(&self, style: Style, label: &str) -> String {
        style.for_stderr().force_styling(self.colors).apply_to(label).to_string()
    }

    /// Returns a word of a report in a style, for the stream that the report goes to.
    pub(crate) fn styled(&self, stream: Stream, style: Style, word: &str) -> String {
        let colors = match stream {
            Stream::Stdout => self.stdout_colors,
            Stream::Stderr => self.colors,
            Stream::File => false,
        };
        style.force_styling(colors).apply_to(word).to_string()
    }

    /// Prints `error: …`, the error's details and its hint.
    pub(crate) fn print_error(&self, error: &CommandError) {
        let label = self.label(Style::new().red().bold(), "error:");
        let mut text = format!("{label} {}\n", sanitize(&error.message));
        for detail in &error.details {
            text += &format!("  {}\n", sanitize(detail));
        }
        if let Some(hint) = &error.hint {
            text += &format!("\n{}", self.hint(hint));
        }
        print(&text);
    }

    /// Prints `error: …` and a hint, for an error that doesn't end the command.
    pub(crate) fn print_error_line(&self, message: &str, hint: &str) {
        let label = self.label(Style::new().red().bold(), "error:");
        print(&format!("{label} {}\n{}", sanitize(message), self.hint(hint)));
    }

    /// Prints `warning: …` and its hint.
    pub(crate) fn print_warning(&self, message: &str, hint: Option<&str>) {
        print(&self.warning(message, hint));
    }

    /// Returns `warning: …` and its hint.
    pub(crate) fn warning(&self, message: &str, hint: Option<&str>) -> String {
        let label = self.label(Style::new().yellow().bold(), "warning:");
        let hint = hint.map(|hint| self.hint(hint)).unwrap_or_default();
        format!("{label} {}\n{hint}", sanitize(message))
    }

    /// Prints a line, unless `--quiet` is set.
    pub(crate) fn note(&self, line: &str) {
        if self.verbosity > Verbosity::Quiet {
            print(&format!("{}\n", sanitize(line)));
        }
    }

    /// Prints `hint: …`, unless `--quiet` is set.
    pub(crate) fn print_hint(&self, hint: &str) {
        if self.verbosity > Verbosity::Quiet {
            print(&self.hint(hint));
        }
    }

    fn hint(&self, hint: &str) -> String {
        format!("{} {}\n", self.label(Style::new().cyan().bold(), "hint:"), sanitize(hint))
    }
}

/// Prints text to stderr. There is no place left to report that stderr can't be written.
pub(crate) fn print(text: &str) {
    let mut stderr = io::stderr().lock();
    let _no_place_to_report = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// A writer to stdout. A progress bar on the same terminal is hidden during each write.
pub(crate) struct Stdout {
    bar: Arc<OnceLock<ProgressBar>>,
}

impl Stdout {
    /// The bar may be set later.
    pub(crate) fn new(terminal: &Terminal, bar: &Arc<OnceLock<ProgressBar>>) -> Self {
        // The bar is locked while it is hidden: a slow reader of a pipe would stop the display.
        let bar = if terminal.on_stdout { Arc::clone(bar) } else { Arc::default() };
        Self { bar }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.bar.get() {
            Some(bar) => bar.suspend(|| io::stdout().write(bytes)),
            None => io::stdout().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
