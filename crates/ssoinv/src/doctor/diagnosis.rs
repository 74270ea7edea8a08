//! A diagnosis of `doctor`: a problem, its place in the files, and the edits that cure it.

use std::path::PathBuf;

use ssoinv_profile::config_edit::FileEdit;
use ssoinv_profile::{self as profile, Excerpt, Location, Problem, Setting};

/// The severity of a diagnosis.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Severity {
    /// Something doesn't work.
    Error,
    /// It works, but not as it should or not for long.
    Warning,
    /// A fact worth knowing.
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

/// A problem or a fact that a step found.
#[derive(Clone, Debug)]
pub(crate) struct Diagnosis {
    pub(crate) severity: Severity,
    /// The kind of problem for scripts, in kebab case.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: String,
    pub(crate) at: Option<FilePosition>,
    /// Lines to show, if several are involved.
    pub(crate) shown: Vec<Excerpt>,
    /// The affected profiles.
    pub(crate) profiles: Vec<String>,
    /// The affected sso-session or start URL.
    pub(crate) session: Option<String>,
    /// Edits that cure it.
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

    /// Converts a problem of `ssoinv profiles`. It is an error if ssoinv can't use the profile.
    pub(crate) fn of_problem(problem: &Problem) -> Self {
        let severity = match (problem.severity, problem.blocks) {
            (profile::ProblemSeverity::Error, _) | (_, true) => Severity::Error,
            (profile::ProblemSeverity::Warning, false) => Severity::Warning,
        };
        // The kind as it is serialized: `mixed-formats`.
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

    /// Places the diagnosis at the first key that exists.
    pub(crate) fn at_key<'s>(self, settings: impl IntoIterator<Item = Option<&'s Setting>>) -> Self {
        match settings.into_iter().flatten().next() {
            Some(setting) => self.at_line(&setting.location),
            None => self,
        }
    }

    pub(crate) fn showing(self, shown: Vec<Excerpt>) -> Self {
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

    /// Returns whether both are the same, apart from their profiles.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.code, &self.message, &self.at, &self.session)
            == (&other.code, &other.message, &other.at, &other.session)
    }
}
