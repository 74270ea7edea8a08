//! The changes that can be made to a running simulator, as data. `admin.rs` applies them.

use serde::{Deserialize, Serialize};

use crate::approval::Approval;
use crate::faults::Fault;
use crate::host_faults::HostFault;
use crate::limits::Limits;

fn once() -> u32 {
    1
}

/// A change to a running simulator. `session` is an sso-session's name; none means all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Control {
    /// Adds a fault rule.
    Fault(Fault),
    /// Removes all fault rules.
    ClearFaults {},
    /// Expires the access tokens of now; refresh tokens stay valid.
    EndTokens {
        /// The session.
        #[serde(default)]
        session: Option<String>,
    },
    /// Expires the access tokens with a later portal call: the `calls`-th from now is the first to get a 401.
    EndTokensAfter {
        /// The session.
        #[serde(default)]
        session: Option<String>,
        /// The number of the call; 0 cancels an earlier change.
        calls: u32,
        /// Number of expiries, each after so many more calls.
        #[serde(default = "once")]
        times: u32,
    },
    /// Rejects refresh tokens (`InvalidGrantException`), or accepts them again.
    RefuseRefresh {
        /// The session.
        #[serde(default)]
        session: Option<String>,
        /// True to reject, false to accept.
        refuse: bool,
    },
    /// Sets the lifetime of future access tokens; none for the default.
    TokenLifetime {
        /// Seconds.
        seconds: Option<u32>,
    },
    /// Sets the lifetime of future role credentials; none for the default.
    RoleLifetime {
        /// Seconds.
        seconds: Option<u32>,
    },
    /// Expires role credentials after a number of calls: issued ones, and `times` future ones.
    ExpireRoleCredentials {
        /// The account; none means all.
        #[serde(default)]
        account: Option<String>,
        /// The role; none means all.
        #[serde(default)]
        role: Option<String>,
        /// Number of good calls before the expiry; 0 is at once.
        after_calls: u32,
        /// Number of future credentials that expire early, too; none means all.
        #[serde(default)]
        times: Option<u32>,
    },
    /// Enables or disables a region for an account.
    Region {
        /// Account ID.
        account: String,
        /// Region.
        region: String,
        /// True to enable, false to disable.
        enabled: bool,
    },
    /// Sets how sign-ins are decided on.
    Approval(Approval),
    /// Approves a pending sign-in, or all.
    Approve {
        /// A device's user code, or the `state` of a page.
        #[serde(default)]
        user_code: Option<String>,
    },
    /// Denies a pending sign-in, or all.
    Deny {
        /// A device's user code, or the `state` of a page.
        #[serde(default)]
        user_code: Option<String>,
    },
    /// Expires all pending device codes; pending pages issue an expired code.
    ExpireDevices {},
    /// Forgets all client registrations.
    ExpireRegistrations {},
    /// Sets the difference of the simulator's clock from the machine's.
    Skew {
        /// Seconds; negative is late.
        seconds: i64,
    },
    /// Makes a host fail that is called through the proxy, or work again.
    Host {
        /// The host's name.
        name: String,
        /// The failure; none to make the host work.
        fault: Option<HostFault>,
    },
    /// Sets the rate limits.
    Limits(Limits),
    /// Clears counts, log, peaks and reuses.
    ResetCounters {},
}
