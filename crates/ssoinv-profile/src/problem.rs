//! Problems of profiles: what is wrong, where, and how to cure it.

use serde::Serialize;

use crate::config_edit::line_edit::FileEdit;
use crate::location::Location;
use crate::settings::Setting;

/// The severity of a problem, measured by botocore, which the AWS CLI builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProblemSeverity {
    /// botocore raises an error when the profile is used.
    Error,
    /// botocore continues.
    Warning,
}

/// The kind of a problem, for code that depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// A key is in the profile and, with another value, in its sso-session.
    MixedFormats,
    /// A key is in the profile and, with the same value, in its sso-session.
    RepeatedKey,
    /// The named sso-session isn't defined.
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
    /// A region that can't be one. The profile's own `region` matters only if it is used.
    InvalidRegion,
    /// `source_profile` names a profile that doesn't exist.
    UnknownSourceProfile,
    /// `source_profile` leads back to a profile on the way, or has no end.
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
    /// Keys that are ignored, since others of the profile override them.
    IgnoredKeys,
    /// A section that AWS's tools don't read.
    IgnoredSection,
    /// A section or key that occurs twice.
    Duplicate,
    /// A key that AWS's tools don't know, and that resembles one that they do.
    MisspeltKey,
    /// The named `services` section isn't defined.
    UnknownServices,
    /// An endpoint that must not receive anything secret.
    InsecureEndpoint,
    /// Single sign-on keys in the credentials file.
    SsoInCredentials,
    /// A comment after a value, which botocore takes as part of the value.
    CommentInValue,
    /// A value that isn't what its key needs.
    InvalidValue,
}

/// A line that shows the problem, such as `sso_region = us-east-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line.
    pub location: Location,
    /// Its text. Never a secret.
    pub text: String,
}

impl Excerpt {
    /// Returns the line of a key that is no secret.
    pub(crate) fn setting(key: &str, setting: &Setting) -> Self {
        Self { location: setting.location.clone(), text: format!("{key} = {}", setting.value) }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The severity for botocore.
    pub severity: ProblemSeverity,
    /// The kind.
    pub kind: ProblemKind,
    /// The problem, with names in back-ticks. Names are untrusted: make them safe for a terminal.
    pub message: String,
    /// The advice, to be pasted if possible.
    pub hint: String,
    /// The line to look at first.
    pub location: Location,
    /// Lines to show, if several make up the problem.
    pub shown: Vec<Excerpt>,
    /// True if ssoinv can't use the profile: all errors, and some problems that botocore leaves to AWS.
    pub blocks: bool,
    /// The changes to the files that cure it; none if that takes judgement, or a missing value.
    pub edits: Box<[FileEdit]>,
}

impl Problem {
    /// Creates a problem for which botocore refuses the profile.
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

    /// Creates a problem that botocore ignores.
    pub(crate) fn warning(kind: ProblemKind, location: &Location, message: String, hint: String) -> Self {
        Self {
            severity: ProblemSeverity::Warning,
            blocks: false,
            ..Self::error(kind, location, message, hint)
        }
    }

    /// Marks the problem as one for which ssoinv can't use the profile.
    pub(crate) fn blocking(self) -> Self {
        Self { blocks: true, ..self }
    }

    /// Weakens the problem to one that botocore never gets to.
    pub(crate) fn harmless(self) -> Self {
        Self { severity: ProblemSeverity::Warning, blocks: false, ..self }
    }

    /// Adds the edits that cure it.
    pub(crate) fn cured_by(self, edits: impl IntoIterator<Item = FileEdit>) -> Self {
        Self { edits: edits.into_iter().collect(), ..self }
    }

    /// Adds lines to show.
    pub(crate) fn showing(self, shown: Vec<Excerpt>) -> Self {
        Self { shown, ..self }
    }
}
