//! What is wrong with a profile, where, and what to do about it.

use serde::Serialize;

use crate::config_edit::line_edit::FileEdit;
use crate::location::Location;
use crate::settings::Setting;

/// How bad a problem is, measured by botocore, on which the AWS CLI stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProblemSeverity {
    /// botocore raises an error when the profile is used.
    Error,
    /// botocore goes on.
    Warning,
}

/// What kind of problem it is, for code that has to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// A key stands in the profile and, with another value, in its sso-session.
    MixedFormats,
    /// A key stands in the profile and, with the same value, in its sso-session.
    RepeatedKey,
    /// The sso-session named isn't defined.
    UnknownSession,
    /// The sso-session has no `sso_start_url` or `sso_region`.
    IncompleteSession,
    /// The profile lacks a key that single sign-on needs.
    IncompleteSso,
    /// An sso-session or start URL without account and role: a token, no credentials.
    TokenOnly,
    /// An account ID that isn't twelve digits.
    InvalidAccountId,
    /// A start URL that isn't an `https` URL.
    InvalidStartUrl,
    /// A region that can't be one. Of the profile's own `region` it matters only where that is used.
    InvalidRegion,
    /// `source_profile` names a profile that doesn't exist.
    UnknownSourceProfile,
    /// `source_profile` leads back to a profile on the way, or on and on.
    SourceLoop,
    /// The profile that `source_profile` names can't be used, or has no credentials.
    UnusableSource,
    /// Both `source_profile` and `credential_source`, or neither, or a source that doesn't exist.
    InvalidSource,
    /// `role_arn` isn't a role's ARN.
    InvalidRoleArn,
    /// The role wants an MFA code, and ssoinv doesn't ask for any.
    MfaNeeded,
    /// `web_identity_token_file` without `role_arn`, or empty.
    IncompleteWebIdentity,
    /// One key of a static pair without the other.
    HalfKeyPair,
    /// Keys that are ignored, as others of the profile go first.
    IgnoredKeys,
    /// A section that AWS's tools don't read.
    IgnoredSection,
    /// A section or key that is there twice.
    Duplicate,
    /// A key that AWS's tools don't know, much like one that they do.
    MisspeltKey,
    /// The `services` section named isn't defined.
    UnknownServices,
    /// An endpoint to which nothing secret should be sent.
    InsecureEndpoint,
    /// Single sign-on keys in the credentials file.
    SsoInCredentials,
    /// A comment behind a value, which botocore takes as part of it.
    CommentInValue,
    /// A value that isn't what its key needs.
    InvalidValue,
}

/// A line that shows the problem, such as `sso_region = us-east-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Where it is.
    pub location: Location,
    /// What stands there. Never a secret.
    pub text: String,
}

impl Excerpt {
    /// Returns the line of a key that is no secret.
    pub(crate) fn setting(key: &str, setting: &Setting) -> Self {
        Self { location: setting.location.clone(), text: format!("{key} = {}", setting.value) }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether botocore refuses.
    pub severity: ProblemSeverity,
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// What is wrong, with names in back-ticks. Names come from the files: make them safe for a terminal.
    pub message: String,
    /// What to do, to be pasted where that can be.
    pub hint: String,
    /// The line to look at first.
    pub location: Location,
    /// Lines to show, where more than one make up the problem.
    pub shown: Vec<Excerpt>,
    /// Whether ssoinv can't use the profile. All errors do, and some that botocore leaves to AWS to refuse.
    pub blocks: bool,
    /// The changes to the files that cure it; none where that takes somebody's judgement, or a value that isn't there.
    pub edits: Box<[FileEdit]>,
}

impl Problem {
    /// A problem that botocore refuses.
    pub(crate) fn error(kind: ProblemKind, location: &Location, message: String, hint: String) -> Self {
        Self {
            severity: ProblemSeverity::Error,
            kind,
            message,
            hint,
            location: location.clone(),
            shown: Vec::new(),
            blocks: true,
            edits: Box::default(),
        }
    }

    /// A problem that botocore doesn't mind.
    pub(crate) fn warning(kind: ProblemKind, location: &Location, message: String, hint: String) -> Self {
        Self {
            severity: ProblemSeverity::Warning,
            blocks: false,
            ..Self::error(kind, location, message, hint)
        }
    }

    /// The same, but ssoinv can't use the profile.
    pub(crate) fn blocking(self) -> Self {
        Self { blocks: true, ..self }
    }

    /// The same where botocore never comes to the point of refusing.
    pub(crate) fn harmless(self) -> Self {
        Self { severity: ProblemSeverity::Warning, blocks: false, ..self }
    }

    /// The same, with the changes that cure it.
    pub(crate) fn cured_by(self, edits: impl IntoIterator<Item = FileEdit>) -> Self {
        Self { edits: edits.into_iter().collect(), ..self }
    }

    /// The same, with these lines to show.
    pub(crate) fn showing(self, shown: Vec<Excerpt>) -> Self {
        Self { shown, ..self }
    }
}
