//! The calls that a simulator has counted. `server.rs` reads them, bounds and figures follow from them.

use serde::Deserialize;

/// The counts of a simulator since their last reset.
#[derive(Debug, Deserialize)]
pub(crate) struct Totals {
    pub(crate) operations: Vec<Total>,
    /// Number of the portal's lockouts.
    pub(crate) lockouts: u64,
}

/// All calls of one operation.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Total {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) throttled: u64,
    /// Length of the response bodies.
    pub(crate) bytes: u64,
}

impl Totals {
    /// Returns the calls of an operation; zeros if there were none.
    pub(crate) fn of(&self, service: &str, operation: &str) -> Total {
        let mut all = self.operations.iter();
        all.find(|total| total.service == service && total.operation == operation)
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.operations.iter().map(|total| total.calls).sum()
    }

    pub(crate) fn throttled(&self) -> u64 {
        self.operations.iter().map(|total| total.throttled).sum()
    }

    pub(crate) fn failed(&self) -> u64 {
        self.operations.iter().map(|total| total.failed).sum()
    }
}
