//! The name of a simulated service. Call logs, fault rules and limits use it; what the service does is in its file
//! below `services/`, which also defines its constant ([`Service::EC2`] and so on).

use serde::Serialize;

/// A simulated service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Service(&'static str);

impl Service {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Returns the name in credential scopes, call logs and fault rules.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}
