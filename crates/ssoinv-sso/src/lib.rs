//! From a profile to role credentials: one token for each sign-in, keys for each account and role.
//!
//! [`credential_store`] is the entrance: credentials, identities and accounts of profiles. Below it, [`token_source`] keeps
//! one token for each [`session`], and [`portal`] turns the token into keys. Tokens and keys are shared with the AWS CLI,
//! through [`token_cache`] and [`credential_cache`]; [`sign_out`] ends them. The profiles themselves are [`profile`]'s; every call is made through [`ssoinv_http`].

// The SDK's futures are nested more deeply than the compiler's default allows.
#![recursion_limit = "256"]

mod ambient_credentials;
mod cache_file;
pub mod context;
pub mod credential_cache;
mod credential_chain;
mod credential_process;
pub mod credential_store;
pub mod foreign_endpoints;
pub mod identity;
mod login;
pub mod portal;
pub mod services;
pub mod session;
mod session_handle;
mod session_registry;
pub mod sign_out;
pub mod sts;
#[cfg(test)]
mod testing;
mod times;
pub mod token_cache;
pub mod token_source;

pub use ssoinv_http::role_credentials;
pub use ssoinv_profile as profile;
