//! The record of a call or a task that didn't succeed.
//!
//! A [`Failure`] says what kind it is (which ledger status it becomes), what AWS called it, and which [`Remedy`] is
//! worth trying. Who classifies: `ssoinv-sso` (`classify.rs`), for its own calls and for those of `ssoinv-aws`.

use std::time::Duration;

use crate::status::Status;

/// What went wrong, as far as the ledger is concerned. One for each status that isn't a success.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FailureKind {
    /// No access with this role.
    Denied,
    /// An explicit deny in a service control policy.
    DeniedByScp,
    /// The region isn't enabled in this account; `DescribeRegions` said so.
    RegionDisabled,
    /// The retry budget is spent.
    Throttled,
    /// There is no good token, and none could be had.
    SignInExpired,
    /// DNS, connect, time-out.
    Unreachable,
    /// A profile that can't be used, no region set, MFA needed.
    Misconfigured,
    /// Expected, but the sign-in doesn't reach it.
    NotOffered,
    /// Anything else, with the service's code.
    Failed,
    /// Interrupted, or out of time.
    NotTried,
}

impl FailureKind {
    /// The ledger status of a task that ended so.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Denied => Status::Denied,
            Self::DeniedByScp => Status::DeniedByScp,
            Self::RegionDisabled => Status::RegionDisabled,
            Self::Throttled => Status::Throttled,
            Self::SignInExpired => Status::SignInExpired,
            Self::Unreachable => Status::Unreachable,
            Self::Misconfigured => Status::Misconfigured,
            Self::NotOffered => Status::NotOffered,
            Self::Failed => Status::Failed,
            Self::NotTried => Status::NotTried,
        }
    }
}

/// What is worth trying before the failure counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remedy {
    /// Nothing: the answer stands.
    None,
    /// The same call again, a few times: resets, 5xx, time-outs, answers that don't parse.
    TryAgain,
    /// The same call again, more slowly, for as long as the budget lasts; not before `after`, where the service said so.
    SlowDown {
        /// From `Retry-After`.
        after: Option<Duration>,
    },
    /// The credentials or the token that were used have ended: get new ones, then the same call again.
    Renew,
    /// Looks like bad credentials, but may be a region that isn't enabled: ask `DescribeRegions`.
    CheckRegion,
}

/// A call that didn't succeed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which ledger status it becomes.
    pub kind: FailureKind,
    /// The service's error code (`AccessDenied`), or a word of ours for what never reached a service (`Timeout`).
    pub code: Option<String>,
    /// What happened, in one line; untrusted text where it comes from a service.
    pub message: String,
    /// The service's request ID, for AWS support.
    pub request_id: Option<String>,
    /// What is worth trying.
    pub remedy: Remedy,
}

impl Failure {
    /// A failure that no retry can cure.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), request_id: None, remedy: Remedy::None }
    }

    /// The same, with a code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same, with what is worth trying.
    #[must_use]
    pub fn with_remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = remedy;
        self
    }
}
