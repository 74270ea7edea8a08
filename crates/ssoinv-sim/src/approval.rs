//! The simulated person's decision on sign-ins.

use serde::{Deserialize, Serialize};

/// The decision on device authorizations and authorization pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Approved before the n-th poll; 1 is at once. A page, which isn't polled, redirects at once.
    AtPoll(u32),
    /// Pending until [`Control::Approve`](crate::Control::Approve) or [`Control::Deny`](crate::Control::Deny), or a
    /// decision on the page that a device sign-in opens.
    ///
    /// The page of an authorization code stays (200), pending under its `state`. After the decision, the next request
    /// of the same address redirects (302), and a later one is pending again.
    Manual,
    /// Denied.
    Denied,
    /// The code expires before the approval; a page issues an expired code.
    Expires,
}

/// The state of one sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Pending,
    Approved,
    Denied,
    Expired,
    Used,
}
