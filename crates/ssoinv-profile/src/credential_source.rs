//! The source of a profile's credentials, resolved as far as the files go. `ssoinv-sso` fetches the credentials.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use ssoinv_core::scope::AccountId;
use ssoinv_core::secret::Secret;

use crate::location::Location;
use crate::names::RoleArn;

/// The kind of a profile: the credential provider of botocore that serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileKind {
    /// Single sign-on through `[sso-session NAME]`.
    SsoSession,
    /// Single sign-on with the start URL in the profile.
    SsoLegacy,
    /// A role, assumed with other credentials.
    AssumeRole,
    /// A role, assumed with a token from a file.
    WebIdentity,
    /// Keys in one of the files.
    Static,
    /// A program that prints credentials.
    CredentialProcess,
    /// `aws login`, the sign-in with a console session.
    Login,
    /// Not from a file: the identity of the machine and the environment.
    Ambient,
    /// No credentials.
    None,
}

impl ProfileKind {
    /// Returns the name in `ssoinv profiles`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SsoSession => "sso-session",
            Self::SsoLegacy => "sso-legacy",
            Self::AssumeRole => "assume-role",
            Self::WebIdentity => "web-identity",
            Self::Static => "static",
            Self::CredentialProcess => "credential-process",
            Self::Login => "login",
            Self::Ambient => "ambient",
            Self::None => "none",
        }
    }
}

impl fmt::Display for ProfileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A sign-in: `[sso-session NAME]`, or a start URL in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsoSession {
    /// The name; `None` for the legacy format, whose tokens can't be refreshed.
    pub name: Option<String>,
    /// `sso_start_url`, verbatim.
    pub start_url: String,
    /// The line of the start URL.
    pub start_url_at: Location,
    /// `sso_region`, the region of the Identity Center; never one to work in.
    pub sso_region: String,
    /// The line of the SSO region.
    pub sso_region_at: Location,
    /// `sso_registration_scopes`; `sso:account:access` if there are none.
    pub scopes: Vec<String>,
    /// The start of the section that defines the session.
    pub location: Location,
}

impl SsoSession {
    /// Returns the text whose SHA-1 names the token's file in `~/.aws/sso/cache`: the name, or the start URL.
    #[must_use]
    pub fn cache_key(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.start_url)
    }

    /// Returns whether this is the format without `[sso-session NAME]`.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.name.is_none()
    }
}

/// The scope that the portal and refreshing need (IAM Identity Center's "Access scopes").
pub const SCOPE: &str = "sso:account:access";

/// An account and a role behind a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsoRole {
    /// The sign-in; the same one for all profiles of an sso-session.
    pub session: Arc<SsoSession>,
    /// `sso_account_id`.
    pub account_id: AccountId,
    /// `sso_role_name`.
    pub role_name: String,
}

/// A role to assume, and the credentials to assume it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// The profile that names the role.
    pub profile: String,
    /// `role_arn`.
    pub role: RoleArn,
    /// The credentials that assume it.
    pub source: RoleSource,
    /// `external_id`.
    pub external_id: Option<String>,
    /// `role_session_name`.
    pub role_session_name: Option<String>,
    /// `duration_seconds`.
    pub duration_seconds: Option<u32>,
    /// `mfa_serial`: the role can't be assumed without a code.
    pub mfa_serial: Option<String>,
}

/// The credentials that assume a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleSource {
    /// Those of a profile (`source_profile`).
    Profile {
        /// Its name.
        name: String,
        /// Its credentials. A source with keys of its own gives them, even if it also names a role.
        credentials: CredentialSource,
    },
    /// The machine's own (`credential_source`).
    Machine(AmbientSource),
}

/// Credentials of the machine itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AmbientSource {
    /// Keys in the environment.
    Environment,
    /// The role of this EC2 instance.
    Ec2InstanceMetadata,
    /// The role of this container.
    EcsContainer,
}

/// A role to assume with a token from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebIdentity {
    /// `role_arn`.
    pub role: RoleArn,
    /// `web_identity_token_file`, as written.
    pub token_file: PathBuf,
    /// `role_session_name`.
    pub role_session_name: Option<String>,
}

/// Keys from one of the files.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticKeys {
    /// `aws_access_key_id`.
    pub access_key_id: String,
    /// `aws_secret_access_key`.
    pub secret_access_key: Secret,
    /// `aws_session_token`, or `aws_security_token`, which botocore reads first.
    pub session_token: Option<Secret>,
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticKeys(***)")
    }
}

/// The source of a profile's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// Single sign-on.
    Sso(SsoRole),
    /// A role, assumed with other credentials.
    AssumeRole(Box<AssumeRole>),
    /// A role, assumed with a token from a file.
    WebIdentity(WebIdentity),
    /// Keys in one of the files.
    Static(StaticKeys),
    /// The command line of a program that prints credentials; it may hold a secret.
    Process {
        /// `credential_process`.
        command: Secret,
    },
    /// `aws login`.
    Login {
        /// `login_session`.
        session: String,
    },
    /// The machine's own.
    Machine(AmbientSource),
    /// The profile has no credentials.
    None,
    /// The profile should have some, but one of its problems prevents it.
    Unusable,
}

impl CredentialSource {
    /// Returns the roles to assume, the first one first, and the base below them.
    #[must_use]
    pub fn chain(&self) -> (Vec<&AssumeRole>, ChainBase<'_>) {
        let mut roles = Vec::new();
        let mut source = self;
        let base = loop {
            let Self::AssumeRole(role) = source else { break ChainBase::Credentials(source) };
            roles.push(&**role);
            match &role.source {
                RoleSource::Profile { credentials, .. } => source = credentials,
                RoleSource::Machine(machine) => break ChainBase::Machine(*machine),
            }
        };
        roles.reverse();
        (roles, base)
    }

    /// Returns the sign-in below the credentials, directly or below assumed roles.
    #[must_use]
    pub fn session(&self) -> Option<&Arc<SsoSession>> {
        match self.chain().1 {
            ChainBase::Credentials(Self::Sso(role)) => Some(&role.session),
            _ => None,
        }
    }
}

/// The credentials that the first role of a chain is assumed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainBase<'a> {
    /// Credentials of a profile; never an assumed role.
    Credentials(&'a CredentialSource),
    /// The machine's own.
    Machine(AmbientSource),
}
