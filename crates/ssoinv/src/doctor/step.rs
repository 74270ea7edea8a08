//! The steps of `doctor`, and the result of one: its diagnoses, what was skipped and why, and how much was checked.

use super::diagnosis::{Diagnosis, Severity};
use super::facts::SkipReason;

/// A step of `doctor`.
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
    /// All steps in order: later ones build on earlier ones.
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

    /// Returns the name in scripts. Never change one.
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

    /// Returns the title: the statement that the step verifies.
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

/// Checks that were skipped for one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SkippedCheck {
    pub(crate) reason: String,
    /// The subjects: "profile `dev`". Empty if the whole step was skipped.
    pub(crate) subjects: Vec<String>,
}

/// The result of a step.
#[derive(Clone, Debug)]
pub(crate) struct StepResult {
    pub(crate) step: Step,
    pub(crate) diagnoses: Vec<Diagnosis>,
    pub(crate) skipped: Vec<SkippedCheck>,
    /// Number of checks done.
    pub(crate) looked_at: usize,
}

/// The status of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StepStatus {
    Error,
    Warning,
    /// Some checks were skipped, and the others found nothing bad.
    NotDone,
    Ok,
    /// There is nothing to check.
    NotApplicable,
}

impl StepResult {
    pub(crate) fn new(step: Step) -> Self {
        Self { step, diagnoses: Vec::new(), skipped: Vec::new(), looked_at: 0 }
    }

    /// Counts a check.
    pub(crate) fn look(&mut self) {
        self.looked_at += 1;
    }

    /// Adds a diagnosis. The same diagnosis of several profiles becomes one.
    pub(crate) fn find(&mut self, diagnosis: Diagnosis) {
        match self.diagnoses.iter_mut().find(|known| known.is_same(&diagnosis)) {
            Some(known) => {
                for name in diagnosis.profiles {
                    if !known.profiles.contains(&name) {
                        known.profiles.push(name);
                    }
                }
            }
            None => self.diagnoses.push(diagnosis),
        }
    }

    /// Skips a check for this reason. `--offline` needs no subjects, since it skips all.
    pub(crate) fn skip_for(&mut self, reason: &SkipReason, subject: String) {
        self.skip(reason.describe(), Some(subject).filter(|_| *reason != SkipReason::Offline));
    }

    /// Skips a check.
    pub(crate) fn skip(&mut self, reason: &str, subject: Option<String>) {
        let known = self.skipped.iter().position(|skipped| skipped.reason == reason);
        let place = known.unwrap_or_else(|| {
            self.skipped.push(SkippedCheck { reason: reason.to_owned(), subjects: Vec::new() });
            self.skipped.len() - 1
        });
        let subjects = &mut self.skipped[place].subjects;
        subjects.extend(subject.filter(|subject| !subjects.contains(subject)));
    }

    pub(crate) fn with(mut self, diagnoses: impl IntoIterator<Item = Diagnosis>) -> Self {
        diagnoses.into_iter().for_each(|diagnosis| self.find(diagnosis));
        self
    }

    pub(crate) fn not_done(mut self, reason: &str, subject: Option<String>) -> Self {
        self.skip(reason, subject);
        self
    }

    pub(crate) fn status(&self) -> StepStatus {
        let worst = self.diagnoses.iter().map(|diagnosis| diagnosis.severity).min();
        match worst {
            Some(Severity::Error) => StepStatus::Error,
            Some(Severity::Warning) => StepStatus::Warning,
            _ if !self.skipped.is_empty() => StepStatus::NotDone,
            Some(Severity::Info) => StepStatus::Ok,
            None if self.looked_at > 0 => StepStatus::Ok,
            None => StepStatus::NotApplicable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(severity: Severity) -> Diagnosis {
        Diagnosis::new(severity, "code", "message", "hint")
    }

    #[test]
    fn what_was_not_done_is_never_ok() {
        let result = || StepResult::new(Step::Token);
        let looked = || StepResult { looked_at: 3, ..result() };
        assert_eq!(result().status(), StepStatus::NotApplicable);
        assert_eq!(looked().status(), StepStatus::Ok);
        assert_eq!(looked().with([diagnosis(Severity::Info)]).status(), StepStatus::Ok);
        assert_eq!(looked().not_done("offline", None).status(), StepStatus::NotDone);
        assert_eq!(
            looked().with([diagnosis(Severity::Info)]).not_done("offline", None).status(),
            StepStatus::NotDone
        );
        let mut both = looked().with([diagnosis(Severity::Warning)]).not_done("offline", None);
        assert_eq!(both.status(), StepStatus::Warning);
        both.find(Diagnosis { code: "other".to_owned(), ..diagnosis(Severity::Error) });
        assert_eq!(both.status(), StepStatus::Error);
    }

    #[test]
    fn the_same_of_two_profiles_is_told_once() {
        let of = |name| diagnosis(Severity::Error).of_profile(name).of_session("corp");
        let result =
            StepResult::new(Step::Sessions).with([of("a"), of("b"), of("a"), of("a").of_session("x")]);
        let profiles: Vec<_> =
            result.diagnoses.iter().map(|diagnosis| diagnosis.profiles.join(" ")).collect();
        assert_eq!(profiles, ["a b", "a"]);
        let mut result = result.not_done("offline", Some("a".to_owned()));
        result.skip("offline", Some("b".to_owned()));
        result.skip("offline", Some("a".to_owned()));
        assert_eq!(result.skipped.len(), 1);
        assert_eq!(result.skipped[0].subjects, ["a", "b"]);
    }
}
