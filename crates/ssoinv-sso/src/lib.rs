//! Station 3: a profile becomes one token a sign-in, and (account, role) becomes role credentials.
//!
//! [`profile`] says what the files hold; [`session`] and [`token`] keep one token for each sso-session; [`portal`] and
//! [`credentials`] turn it into keys. Both are shared with the AWS CLI, through [`token_cache`] and
//! [`credential_cache`]; [`sign_out`] ends them. [`organizations`] says which accounts there are, where there is no
//! portal to ask; [`config_edit`] changes the config file.
//!
//! Every call goes through [`attempt`], the one retry loop; what an error means, [`classify`] says; an answer in XML
//! must be whole ([`whole_xml`]). `ssoinv-aws` uses these three for the services too.

pub mod attempt;
pub mod aws_ini;
mod cache_file;
pub mod classify;
pub mod config_edit;
pub mod credential_cache;
pub mod credentials;
pub mod http;
mod large_answers;
mod login;
mod machine;
pub mod organizations;
pub mod portal;
mod process;
pub mod profile;
pub mod session;
pub mod sign_out;
mod sts;
#[cfg(test)]
mod testing;
pub mod token;
pub mod token_cache;
pub mod whole_xml;
