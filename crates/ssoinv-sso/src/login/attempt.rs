//! The parts that both sign-in flows share: the session, the service's calls and the cache.

use std::time::Duration;

use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::KNOWN_REGIONS;

use super::oidc::Oidc;
use crate::context::{SsoContext, misconfigured};
use crate::session::Session;
use crate::times::lasts;
use crate::token_cache::{ClientRegistration, Grant, TokenCache};

/// The longest time for which a sign-in waits for a person, in all; as in the AWS CLI.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);

/// The shortest remaining life of a registration that is used, as in botocore.
const REGISTRATION_LEFT: Duration = Duration::from_mins(15);

/// One attempt at a sign-in.
#[derive(Clone, Copy)]
pub(super) struct SignInAttempt<'a> {
    pub(super) session: &'a Session,
    pub(super) oidc: &'a Oidc,
    pub(super) cache: &'a TokenCache,
    pub(super) context: &'a SsoContext,
}

impl SignInAttempt<'_> {
    /// Returns the client to sign in with: the one in the cache, else a new one.
    pub(super) async fn registration(self, grant: Grant) -> Result<ClientRegistration, Failure> {
        match self.cache.registration(&self.session.sso, grant).await {
            Some(client) if lasts(client.expires_at, self.context.clock.now(), REGISTRATION_LEFT) => {
                Ok(client)
            }
            _ => self.register(grant).await,
        }
    }

    pub(super) async fn register(self, grant: Grant) -> Result<ClientRegistration, Failure> {
        let client = self.oidc.register(self.session, grant).await?;
        // If the client can't be cached, the next sign-in registers another; writing the token reports the error.
        let _ = self.cache.store_registration(&self.session.sso, &client, grant).await;
        Ok(client)
    }

    /// Returns the failure in words that name the session's settings, if these are to blame.
    pub(super) fn explain(self, failure: Failure) -> Failure {
        let sso = &self.session.sso;
        match (failure.kind, failure.code.as_deref()) {
            (_, Some("InvalidRequestException")) => {
                let message = format!(
                    "the sign-in service of region `{}` does not know the start URL `{}`: {}",
                    sso.sso_region, sso.start_url, failure.message
                );
                misconfigured("InvalidStartUrl", message)
            }
            // Regions that are newer than this program are unknown to it, so the network may be to blame as well.
            (FailureKind::Unreachable, _) if !KNOWN_REGIONS.contains(&sso.sso_region.as_str()) => {
                let message = format!(
                    "no sign-in service of region `{}` ({}) was reached: {}",
                    sso.sso_region,
                    self.session.describe(),
                    failure.message
                );
                misconfigured("InvalidSsoRegion", message)
            }
            _ => failure,
        }
    }
}
