//! The points at which a fault can intervene in a call. `faults.rs` chooses one, `dispatch.rs` carries it out.

use crate::errors::ServiceError;
use crate::http::Response;

/// A fault's intervention in a call.
#[derive(Debug)]
pub(crate) enum Intervention {
    /// The service responds as always.
    None,
    /// The service responds with a page without items.
    EmptyPage,
    /// The service responds; half of the body is sent, then the connection ends.
    TruncateBody,
    /// This response takes the place of the service's.
    Respond(Response),
    /// The service fails with this error.
    Fail(ServiceError),
    /// The connection is reset.
    Reset,
    /// There is no response.
    Stall,
}
