//! The profiles of the AWS CLI's two files: their credentials, their endpoints, and their problems.
//!
//! [`Profiles::load`] reads the files once; later code doesn't look at them again. Each profile is resolved in
//! botocore's way, which the AWS CLI builds on, and one broken profile never stops the others. Start with
//! [`Profile`]. [`CredentialSource`] says where credentials come from, and [`endpoint_for`] where to send them.
//! [`config_edit`] changes the config file, and [`aws_ini`] reads the dialect of both files.
//!
//! Inside, `sections` interprets headers and merges sections, `resolve` and `sso` follow the order of credential
//! providers, and `check` finds the problems that don't depend on that order.

mod ambient;
pub mod aws_ini;
mod check;
pub mod config_edit;
mod credential_source;
mod endpoints;
mod keys;
mod location;
mod names;
mod problem;
mod profile;
mod profile_report;
mod profiles;
mod resolve;
mod resolver;
mod sections;
mod settings;

mod sso;

pub use self::ambient::AMBIENT;
pub use self::credential_source::{
    AmbientSource, AssumeRole, ChainBase, CredentialSource, ProfileKind, RoleSource, SCOPE, SsoRole,
    SsoSession, StaticKeys, WebIdentity,
};
pub use self::endpoints::{ConfiguredEndpoint, ConfiguredEndpoints, EndpointOrigin, endpoint_for};
pub use self::location::Location;
pub use self::names::{RoleArn, bare_start_url, host, is_https_or_loopback};
pub use self::problem::{Excerpt, Problem, ProblemKind, ProblemSeverity};
pub use self::profile::Profile;
pub use self::profile_report::{ProblemReport, ProfileReport, SourceReport};
pub use self::profiles::{LoadError, ProfileFile, Profiles, config_file};
pub use self::settings::{Setting, Settings};
