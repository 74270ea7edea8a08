//! The profiles of the AWS CLI's two files: what each is, what credentials it stands for, and what is wrong with it.
//!
//! [`Profiles::load`] reads the files once; nothing later looks at them again. What each profile comes to is decided in
//! botocore's way, as the AWS CLI stands on it, and one broken profile never stops the others. Start with [`Profile`],
//! go on to [`CredentialSource`] for where credentials come from, and to [`endpoint_for`] for where to send them.
//! [`config_edit`] changes the config file; [`aws_ini`] reads the dialect that both files are written in.
//!
//! Inside: `sections` knows what a header means and what merges with what, `resolve` (and `sso`) the order of
//! credential providers, `check` the pitfalls that don't depend on it.

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
pub use self::names::{RoleArn, bare_start_url, host, is_https_or_loopback, nearest};
pub use self::problem::{Excerpt, Problem, ProblemKind, ProblemSeverity};
pub use self::profile::Profile;
pub use self::profile_report::{ProblemReport, ProfileReport, SourceReport};
pub use self::profiles::{LoadError, ProfileFile, Profiles, config_file};
pub use self::settings::{Setting, Settings};
