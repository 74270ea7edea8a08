//! The statuses of the coverage ledger.
//!
//! A status says whether what was planned was collected. Exit codes follow from statuses alone.

/// The status of a planned cell at its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Status {
    /// Collected; there may be no row.
    Ok,
    /// Not applicable, or another profile answered for this account.
    Skipped,
    /// Left out by the user.
    Excluded,
    /// DescribeRegions says that the region isn't enabled.
    RegionDisabled,
    /// No access with this role.
    Denied,
    /// An explicit deny in a service control policy.
    DeniedByScp,
    /// The retry budget is spent.
    Throttled,
    /// No valid token, and none could be had.
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

/// All statuses, in the order of the enum.
const STATUSES: [Status; 13] = [
    Status::Ok,
    Status::Skipped,
    Status::Excluded,
    Status::RegionDisabled,
    Status::Denied,
    Status::DeniedByScp,
    Status::Throttled,
    Status::SignInExpired,
    Status::Unreachable,
    Status::Misconfigured,
    Status::NotOffered,
    Status::Failed,
    Status::NotTried,
];

impl Status {
    /// Returns the name in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Excluded => "excluded",
            Self::RegionDisabled => "region_disabled",
            Self::Denied => "denied",
            Self::DeniedByScp => "denied_by_scp",
            Self::Throttled => "throttled",
            Self::SignInExpired => "sign_in_expired",
            Self::Unreachable => "unreachable",
            Self::Misconfigured => "misconfigured",
            Self::NotOffered => "not_offered",
            Self::Failed => "failed",
            Self::NotTried => "not_tried",
        }
    }

    /// Returns the status with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        STATUSES.into_iter().find(|status| status.as_str() == name)
    }

    /// Returns true if nothing that the user asked for is missing.
    #[must_use]
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Ok | Self::Skipped | Self::Excluded | Self::RegionDisabled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for (index, status) in STATUSES.into_iter().enumerate() {
            assert_eq!(status as usize, index, "the list has every status once, in order");
            assert_eq!(Status::from_name(status.as_str()), Some(status));
        }
        assert_eq!(Status::from_name("OK"), None);
    }

    #[test]
    fn what_the_user_left_out_is_complete() {
        let complete: Vec<_> =
            STATUSES.into_iter().filter(|status| status.is_complete()).map(Status::as_str).collect();
        assert_eq!(complete, ["ok", "skipped", "excluded", "region_disabled"]);
    }
}
