//! A diagnosis of `doctor`: what is wrong, where, and what cures it.

use std::path::PathBuf;

use ssoinv_profile::config_edit::FileEdit;
use ssoinv_profile::{self as profile, Location, Problem, Setting, Shown};

/// How bad a diagnosis is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Severity {
    /// Something that is wanted doesn't work.
    Error,
    /// It works, and yet isn't as it should be, or won't work for long.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// A line of a file, or the whole file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FilePosition {
    pub(crate) file: PathBuf,
    pub(crate) line: Option<usize>,
}

/// One thing that was found.
#[derive(Clone, Debug)]
pub(crate) struct Diagnosis {
    pub(crate) severity: Severity,
    /// For scripts: the problem's kind, or a word of ours, in kebab case.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: String,
    pub(crate) at: Option<FilePosition>,
    /// Lines to show, where more than one make it up.
    pub(crate) shown: Vec<Shown>,
    /// The profiles that it concerns.
    pub(crate) profiles: Vec<String>,
    /// The sso-session or start URL that it concerns.
    pub(crate) session: Option<String>,
    /// What cures it.
    pub(crate) edits: Vec<FileEdit>,
}

impl Diagnosis {
    pub(crate) fn new(
        severity: Severity,
        code: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code: code.into(),
            message: message.into(),
            hint: hint.into(),
            at: None,
            shown: Vec::new(),
            profiles: Vec::new(),
            session: None,
            edits: Vec::new(),
        }
    }

    /// The very problem that `ssoinv profiles` tells. Where ssoinv can't use the profile, it is an error here.
    pub(crate) fn of_problem(problem: &Problem) -> Self {
        let severity = match (problem.severity, problem.blocks) {
            (profile::Severity::Error, _) | (_, true) => Severity::Error,
            (profile::Severity::Warning, false) => Severity::Warning,
        };
        // As it is serialised: `mixed-formats`.
        let code = serde_json::to_value(problem.kind).ok();
        let code = code.as_ref().and_then(|code| code.as_str()).unwrap_or_default();
        Self {
            shown: problem.shown.clone(),
            edits: problem.edits.to_vec(),
            ..Self::new(severity, code, problem.message.as_str(), problem.hint.as_str())
                .at_line(&problem.location)
        }
    }

    pub(crate) fn at_line(self, location: &Location) -> Self {
        self.in_file(location.file.to_path_buf(), Some(location.line))
    }

    pub(crate) fn in_file(self, file: PathBuf, line: Option<usize>) -> Self {
        Self { at: Some(FilePosition { file, line }), ..self }
    }

    /// At the first key that is there.
    pub(crate) fn at_key<'s>(self, settings: impl IntoIterator<Item = Option<&'s Setting>>) -> Self {
        match settings.into_iter().flatten().next() {
            Some(setting) => self.at_line(&setting.location),
            None => self,
        }
    }

    pub(crate) fn showing(self, shown: Vec<Shown>) -> Self {
        Self { shown, ..self }
    }

    pub(crate) fn of_profile(mut self, name: &str) -> Self {
        if !self.profiles.iter().any(|known| known == name) {
            self.profiles.push(name.to_owned());
        }
        self
    }

    pub(crate) fn of_session(self, label: &str) -> Self {
        Self { session: Some(label.to_owned()), ..self }
    }

    pub(crate) fn cured_by(self, edits: Vec<FileEdit>) -> Self {
        Self { edits, ..self }
    }

    /// Whether it says the same, of whichever profile.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.code, &self.message, &self.at, &self.session)
            == (&other.code, &other.message, &other.at, &other.session)
    }
}
