//! The address that the browser comes back to (RFC 8252, section 7.3).

/// The path of the address.
pub(super) const PATH: &str = "/oauth/callback";

/// The address as it is registered: without a port, which may be any one.
pub(super) const REGISTERED: &str = "http://127.0.0.1/oauth/callback";

/// Returns the address with the port of the listener.
pub(super) fn with_port(port: u16) -> String {
    format!("http://127.0.0.1:{port}{PATH}")
}
