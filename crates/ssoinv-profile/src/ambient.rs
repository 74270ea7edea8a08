//! Identities without a profile, represented as profiles, so that the code behind them sees no difference.
//!
//! They are the machine's own identity, roles that one identity assumes in many accounts, and roles in the accounts
//! that a sign-in reaches.

use std::sync::Arc;

use ssoinv_core::env::Env;
use ssoinv_core::scope::AccountId;

use crate::credential_source::{
    AmbientSource, AssumeRole, CredentialSource, ProfileKind, RoleSource, SsoRole, SsoSession, WebIdentity,
};
use crate::endpoints::ConfiguredEndpoints;
use crate::location::Location;
use crate::names::RoleArn;
use crate::profile::Profile;
use crate::settings::Settings;

/// The name of the machine's own identity.
pub const AMBIENT: &str = "ambient";

impl Profile {
    /// Returns the identity of the machine and the environment, in the order of botocore's credential providers.
    ///
    /// The order is: keys in the environment, a web identity, the container's role, the EC2 instance's role. The
    /// first that is set up counts, whether it works or not; the instance's role shows only when it is fetched.
    #[must_use]
    pub fn ambient(env: &Env) -> Self {
        let variable = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let any = |names: [&str; 2]| names.iter().any(|name| variable(name).is_some());
        let mut profile = Self::nameless(AMBIENT);
        profile.credentials = if any(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]) {
            CredentialSource::Machine(AmbientSource::Environment)
        } else if let Some(file) = variable("AWS_WEB_IDENTITY_TOKEN_FILE") {
            match variable("AWS_ROLE_ARN").and_then(|arn| RoleArn::parse(arn)) {
                Some(role) => {
                    profile.account_id = Some(role.account_id);
                    profile.role_name = Some(role.name.clone());
                    profile.role_arn = Some(role.clone());
                    CredentialSource::WebIdentity(WebIdentity {
                        role,
                        token_file: file.into(),
                        role_session_name: variable("AWS_ROLE_SESSION_NAME").cloned(),
                    })
                }
                None => CredentialSource::Unusable,
            }
        } else if any(["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"]) {
            CredentialSource::Machine(AmbientSource::EcsContainer)
        } else {
            CredentialSource::Machine(AmbientSource::Ec2InstanceMetadata)
        };
        profile
    }

    /// Returns whether this is the EC2 instance's identity, of which the environment says nothing.
    #[must_use]
    pub fn is_instance(&self) -> bool {
        self.credentials == CredentialSource::Machine(AmbientSource::Ec2InstanceMetadata)
    }

    /// Returns a role in an account, assumed with this profile's credentials. It keeps this profile's name.
    #[must_use]
    pub fn assuming(&self, role: RoleArn, external_id: Option<&str>) -> Self {
        Self {
            account_id: Some(role.account_id),
            role_name: Some(role.name.clone()),
            role_arn: Some(role.clone()),
            kind: ProfileKind::AssumeRole,
            credentials: CredentialSource::AssumeRole(Box::new(AssumeRole {
                profile: self.name.clone(),
                role,
                source: RoleSource::Profile {
                    name: self.name.clone(),
                    credentials: self.credentials.clone(),
                },
                external_id: external_id.map(str::to_owned),
                role_session_name: None,
                duration_seconds: None,
                mfa_serial: None,
            })),
            ..self.clone()
        }
    }

    /// Returns a sign-in without an account.
    ///
    /// Its calls go where those of `user` do, a profile of the sign-in. Nothing else is taken from `user`, not even
    /// its region.
    #[must_use]
    pub fn of_session(session: &SsoSession, user: Option<&Self>) -> Self {
        let mut profile = Self::nameless(session.cache_key());
        if let Some(user) = user {
            profile.ca_bundle.clone_from(&user.ca_bundle);
            profile.use_fips_endpoint = user.use_fips_endpoint;
            profile.use_dualstack_endpoint = user.use_dualstack_endpoint;
            profile.endpoints = user.endpoints.clone();
        }
        profile.kind = if session.is_legacy() { ProfileKind::SsoLegacy } else { ProfileKind::SsoSession };
        profile.sso_session.clone_from(&session.name);
        profile.sso_region = Some(session.sso_region.clone());
        profile
    }

    /// Returns a role in an account that a sign-in reaches; the rest is this profile's.
    #[must_use]
    pub fn in_account(&self, session: &Arc<SsoSession>, account_id: AccountId, role_name: &str) -> Self {
        Self {
            account_id: Some(account_id),
            role_name: Some(role_name.to_owned()),
            credentials: CredentialSource::Sso(SsoRole {
                session: Arc::clone(session),
                account_id,
                role_name: role_name.to_owned(),
            }),
            ..self.clone()
        }
    }

    /// Returns a profile that no file has.
    fn nameless(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: Location { file: std::path::Path::new("the environment").into(), line: 0 },
            kind: ProfileKind::Ambient,
            account_id: None::<AccountId>,
            role_name: None,
            role_arn: None,
            sso_session: None,
            sso_region: None,
            region: None,
            ca_bundle: None,
            use_fips_endpoint: None,
            use_dualstack_endpoint: None,
            credentials: CredentialSource::None,
            endpoints: ConfiguredEndpoints::default(),
            settings: Settings::default(),
            problems: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambient(variables: &[(&str, &str)]) -> Profile {
        let env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Profile::ambient(&env)
    }

    #[test]
    fn the_order_is_botocores() {
        let keys = ("AWS_ACCESS_KEY_ID", "AKIA");
        let file = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
        let role = ("AWS_ROLE_ARN", "arn:aws-cn:iam::111122223333:role/path/job");
        let container = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
        let source = |variables: &[(&str, &str)]| ambient(variables).credentials;
        let machine = CredentialSource::Machine;
        assert_eq!(source(&[keys, file, role, container]), machine(AmbientSource::Environment));
        assert_eq!(source(&[container]), machine(AmbientSource::EcsContainer));
        assert_eq!(source(&[]), machine(AmbientSource::Ec2InstanceMetadata));
        assert_eq!(source(&[("AWS_ACCESS_KEY_ID", ""), container]), machine(AmbientSource::EcsContainer));
        let web = ambient(&[file, role, container]);
        assert!(matches!(web.credentials, CredentialSource::WebIdentity(_)));
        assert_eq!(
            (web.account_id.unwrap().as_str(), web.role_name.as_deref()),
            ("111122223333", Some("job"))
        );
        assert_eq!(source(&[file, container]), CredentialSource::Unusable, "a file without a role");
    }

    #[test]
    fn a_role_is_assumed_with_what_the_profile_has() {
        let base = ambient(&[("AWS_ACCESS_KEY_ID", "AKIA")]);
        let role = RoleArn::parse("arn:aws:iam::012345678901:role/audit/Reader").unwrap();
        let assuming = base.assuming(role, Some("x-1"));
        assert_eq!(assuming.name, AMBIENT);
        assert_eq!(assuming.account_id.unwrap().as_str(), "012345678901");
        let (roles, base) = assuming.credentials.chain();
        assert_eq!(roles.len(), 1);
        assert_eq!(roles[0].external_id.as_deref(), Some("x-1"));
        let machine = CredentialSource::Machine(AmbientSource::Environment);
        assert!(matches!(base, crate::ChainBase::Credentials(source) if *source == machine));
    }
}
