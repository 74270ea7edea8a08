//! What a step comes to: what it found, what it could not look at and why not, and how much it looked at.

use std::path::PathBuf;

use ssoinv_profile::config_edit::FileEdit;
use ssoinv_profile::{Location, Problem, Setting, Shown};

use super::facts::Unasked;

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Files,
    Profiles,
    Formats,
    Sessions,
    StartUrls,
    Token,
    Registration,
    Clock,
    Portal,
    Accounts,
    Duplicates,
    Regions,
}

impl Step {
    /// All of them, in the order in which they are looked at: what comes later rests on what comes before.
    pub(crate) const ALL: [Self; 12] = [
        Self::Files,
        Self::Profiles,
        Self::Formats,
        Self::Sessions,
        Self::StartUrls,
        Self::Token,
        Self::Registration,
        Self::Clock,
        Self::Portal,
        Self::Accounts,
        Self::Duplicates,
        Self::Regions,
    ];

    /// Its name in scripts. Only append.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Profiles => "profiles",
            Self::Formats => "formats",
            Self::Sessions => "sessions",
            Self::StartUrls => "start-urls",
            Self::Token => "token",
            Self::Registration => "registration",
            Self::Clock => "clock",
            Self::Portal => "portal",
            Self::Accounts => "accounts",
            Self::Duplicates => "duplicates",
            Self::Regions => "regions",
        }
    }

    /// What is so where it is fine.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Files => "the files are readable and well-formed",
            Self::Profiles => "each profile is complete",
            Self::Formats => "the two SSO formats are not mixed",
            Self::Sessions => "sso-sessions are defined, used, and have the scope that refreshing needs",
            Self::StartUrls => "start URLs and SSO regions are consistent",
            Self::Token => "the token is there, whole, private, the session's own, and lasts",
            Self::Registration => "the client that refreshes the token is registered",
            Self::Clock => "this machine's clock agrees with AWS's",
            Self::Portal => "the portal accepts the token",
            Self::Accounts => "each account and role can be reached",
            Self::Duplicates => "no account has two profiles",
            Self::Regions => "each profile has a region, which is enabled",
        }
    }
}

/// How bad a finding is.
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
pub(crate) struct At {
    pub(crate) file: PathBuf,
    pub(crate) line: Option<usize>,
}

/// One thing that was found.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// For scripts: the problem's kind, or a word of ours, in kebab case.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: String,
    pub(crate) at: Option<At>,
    /// Lines to show, where more than one make it up.
    pub(crate) shown: Vec<Shown>,
    /// The profiles that it concerns.
    pub(crate) profiles: Vec<String>,
    /// The sso-session or start URL that it concerns.
    pub(crate) session: Option<String>,
    /// What cures it.
    pub(crate) edits: Vec<FileEdit>,
}

impl Finding {
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
            (ssoinv_profile::Severity::Error, _) | (_, true) => Severity::Error,
            (ssoinv_profile::Severity::Warning, false) => Severity::Warning,
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
        Self { at: Some(At { file, line }), ..self }
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
    fn is_same(&self, other: &Self) -> bool {
        (&self.code, &self.message, &self.at, &self.session)
            == (&other.code, &other.message, &other.at, &other.session)
    }
}

/// What could not be looked at for one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Undone {
    pub(crate) reason: String,
    /// What, in words: "profile `dev`". Empty where it is the whole step.
    pub(crate) subjects: Vec<String>,
}

/// What a step comes to.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) step: Step,
    pub(crate) findings: Vec<Finding>,
    pub(crate) undone: Vec<Undone>,
    /// How many things were looked at.
    pub(crate) looked_at: usize,
}

/// How a step stands, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Error,
    Warning,
    /// Some of it or all could not be looked at, and nothing bad was found in the rest.
    NotDone,
    Ok,
    /// There is nothing to look at.
    NotApplicable,
}

impl Outcome {
    pub(crate) fn new(step: Step) -> Self {
        Self { step, findings: Vec::new(), undone: Vec::new(), looked_at: 0 }
    }

    /// One thing more was looked at.
    pub(crate) fn look(&mut self) {
        self.looked_at += 1;
    }

    /// Something was found. What another profile has found before is told once, for both.
    pub(crate) fn find(&mut self, finding: Finding) {
        match self.findings.iter_mut().find(|known| known.is_same(&finding)) {
            Some(known) => {
                for name in finding.profiles {
                    if !known.profiles.contains(&name) {
                        known.profiles.push(name);
                    }
                }
            }
            None => self.findings.push(finding),
        }
    }

    /// Something was not asked. What `--offline` leaves out is everything.
    pub(crate) fn skip_unasked(&mut self, unasked: &Unasked, subject: String) {
        self.skip(unasked.reason(), Some(subject).filter(|_| *unasked != Unasked::Offline));
    }

    /// Something could not be looked at.
    pub(crate) fn skip(&mut self, reason: &str, subject: Option<String>) {
        let known = self.undone.iter().position(|undone| undone.reason == reason);
        let place = known.unwrap_or_else(|| {
            self.undone.push(Undone { reason: reason.to_owned(), subjects: Vec::new() });
            self.undone.len() - 1
        });
        let subjects = &mut self.undone[place].subjects;
        subjects.extend(subject.filter(|subject| !subjects.contains(subject)));
    }

    pub(crate) fn with(mut self, findings: impl IntoIterator<Item = Finding>) -> Self {
        findings.into_iter().for_each(|finding| self.find(finding));
        self
    }

    pub(crate) fn not_done(mut self, reason: &str, subject: Option<String>) -> Self {
        self.skip(reason, subject);
        self
    }

    pub(crate) fn standing(&self) -> Standing {
        let worst = self.findings.iter().map(|finding| finding.severity).min();
        match worst {
            Some(Severity::Error) => Standing::Error,
            Some(Severity::Warning) => Standing::Warning,
            _ if !self.undone.is_empty() => Standing::NotDone,
            Some(Severity::Info) => Standing::Ok,
            None if self.looked_at > 0 => Standing::Ok,
            None => Standing::NotApplicable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity) -> Finding {
        Finding::new(severity, "code", "message", "hint")
    }

    #[test]
    fn what_was_not_done_is_never_ok() {
        let outcome = || Outcome::new(Step::Token);
        let looked = || Outcome { looked_at: 3, ..outcome() };
        assert_eq!(outcome().standing(), Standing::NotApplicable);
        assert_eq!(looked().standing(), Standing::Ok);
        assert_eq!(looked().with([finding(Severity::Info)]).standing(), Standing::Ok);
        assert_eq!(looked().not_done("offline", None).standing(), Standing::NotDone);
        assert_eq!(
            looked().with([finding(Severity::Info)]).not_done("offline", None).standing(),
            Standing::NotDone
        );
        let mut both = looked().with([finding(Severity::Warning)]).not_done("offline", None);
        assert_eq!(both.standing(), Standing::Warning);
        both.find(Finding { code: "other".to_owned(), ..finding(Severity::Error) });
        assert_eq!(both.standing(), Standing::Error);
    }

    #[test]
    fn the_same_of_two_profiles_is_told_once() {
        let of = |name| finding(Severity::Error).of_profile(name).of_session("corp");
        let outcome = Outcome::new(Step::Sessions).with([of("a"), of("b"), of("a"), of("a").of_session("x")]);
        let profiles: Vec<_> = outcome.findings.iter().map(|finding| finding.profiles.join(" ")).collect();
        assert_eq!(profiles, ["a b", "a"]);
        let mut outcome = outcome.not_done("offline", Some("a".to_owned()));
        outcome.skip("offline", Some("b".to_owned()));
        outcome.skip("offline", Some("a".to_owned()));
        assert_eq!(outcome.undone.len(), 1);
        assert_eq!(outcome.undone[0].subjects, ["a", "b"]);
    }
}
