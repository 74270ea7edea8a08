//! The mark in every secret of the simulator. `issuer.rs` and the organisations' planted secrets carry it.

/// Text that every secret of the simulator contains: tokens, keys, codes and planted environment variables.
///
/// No output may contain it, and no file outside the caches of the AWS CLI.
pub const SECRET_MARKER: &str = "SIMSECRET";
