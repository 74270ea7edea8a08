//! x

pub mod attempt;
pub mod aws_ini;
pub mod classify;
pub mod credentials;
pub mod http;
mod login;
mod machine;
pub mod portal;
mod process;
pub mod profile;
pub mod session;
mod sts;
pub mod token;
pub mod token_cache;
