//! The endpoint of one service in one region.

use std::sync::Arc;

/// The endpoint of a service: AWS's own in a region, or a URL that is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceEndpoint {
    /// The region, in the host's name and in the signature.
    pub region: Arc<str>,
    /// The URL that replaces AWS's own.
    pub url: Option<Arc<str>>,
    /// `use_fips_endpoint`.
    pub use_fips: bool,
    /// `use_dualstack_endpoint`.
    pub use_dual_stack: bool,
}
