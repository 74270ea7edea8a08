//! Where the calls to one service go.

use std::sync::Arc;

/// The region of a service, and the endpoint in place of AWS's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceEndpoint {
    /// The region: the host's and the signature's.
    pub region: Arc<str>,
    /// The URL to call instead of AWS's own.
    pub url: Option<Arc<str>>,
    /// `use_fips_endpoint`.
    pub use_fips: bool,
    /// `use_dualstack_endpoint`.
    pub use_dual_stack: bool,
}
