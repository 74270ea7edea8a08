//! From a profile to role credentials: one token for each sign-in, and role credentials for each account and role.
//!
//! [`session`] and [`token`] keep one token for each sso-session; [`portal`] and [`credentials`] turn it into keys. Both are
//! shared with the AWS CLI, through [`token_cache`] and [`credential_cache`]; [`sign_out`] ends them. [`organizations`]
//! lists the accounts where there is no portal. The profiles themselves are [`profile`]'s; every call is made through
//! [`ssoinv_http`].

mod cache_file;
pub mod credential_cache;
pub mod credentials;
mod login;
mod machine;
pub mod organizations;
pub mod portal;
mod process;
pub mod services;
pub mod session;
pub mod sign_out;
mod sts;
#[cfg(test)]
mod testing;
pub mod token;
pub mod token_cache;

pub use ssoinv_profile as profile;
