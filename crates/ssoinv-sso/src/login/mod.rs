//! Signing in: from nothing to a token, with a person's help.
//!
//! Two flows: [`pkce`], a page in a browser of this machine that comes back to it ([`callback`]), and [`device`], a code
//! that is approved in any browser; [`oidc`] makes their calls. Everything that people see is an
//! [`ssoinv_core::event::SignIn`]; whoever hears it opens the browser. [`crate::token`] decides when it comes to this.

mod callback;
mod device;
pub(crate) mod oidc;
mod pkce;

use std::time::Duration;

use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::KNOWN_REGIONS;

use self::oidc::{Oidc, lasts};
use crate::session::{Flow, Session, SsoContext, misconfigured};
use crate::token_cache::{CachedToken, Client, Grant, TokenCache};

/// How long a sign-in waits for a person, in all; as long as the AWS CLI does.
const PATIENCE: Duration = Duration::from_mins(10);

/// A registration is used while it has this much left, as botocore's is.
const REGISTRATION_LEFT: Duration = Duration::from_mins(15);

/// What a flow works with.
#[derive(Clone, Copy)]
struct Asking<'a> {
    session: &'a Session,
    oidc: &'a Oidc,
    cache: &'a TokenCache,
    context: &'a SsoContext,
}

/// Signs in, with the flow that the session and the machine allow: the legacy format knows device codes only.
///
/// # Errors
/// [`FailureKind::SignInExpired`] with the code `SignInTimedOut`, `SignInDeclined`, `SignInRefused` or `StateMismatch`;
/// [`FailureKind::Misconfigured`] with `InvalidStartUrl`, `InvalidSsoRegion` or `RedirectPortTaken`; and whatever else
/// keeps the calls from being answered.
pub(crate) async fn sign_in(
    session: &Session,
    oidc: &Oidc,
    cache: &TokenCache,
    context: &SsoContext,
) -> Result<CachedToken, Failure> {
    let asking = Asking { session, oidc, cache, context };
    let flow = async {
        match context.flow {
            Flow::Page { redirect_port } if !session.sso.is_legacy() => {
                pkce::sign_in(asking, redirect_port).await
            }
            Flow::Page { .. } | Flow::DeviceCode => device::sign_in(asking).await,
        }
    };
    let signed_in = tokio::time::timeout(PATIENCE, flow).await.unwrap_or_else(|_| {
        let message = format!("nobody approved the sign-in to {} in ten minutes", session.called());
        Err(Failure::new(FailureKind::SignInExpired, message).with_code("SignInTimedOut"))
    });
    signed_in.map_err(|failure| asking.told(failure))
}

impl Asking<'_> {
    /// The client to sign in with: the one in the cache, else a new one.
    async fn registration(self, grant: Grant) -> Result<Client, Failure> {
        match self.cache.registration(&self.session.sso, grant).await {
            Some(client) if lasts(client.expires_at, self.context.clock.now(), REGISTRATION_LEFT) => {
                Ok(client)
            }
            _ => self.register(grant).await,
        }
    }

    async fn register(self, grant: Grant) -> Result<Client, Failure> {
        let client = self.oidc.register(self.session, grant).await?;
        // Where it can't be kept, the next sign-in registers another; the token's own write says what is wrong.
        let _ = self.cache.store_registration(&self.session.sso, &client, grant).await;
        Ok(client)
    }

    /// The same failure; where the session's settings are to blame, it says so.
    fn told(self, failure: Failure) -> Failure {
        let sso = &self.session.sso;
        match (failure.kind, failure.code.as_deref()) {
            (_, Some("InvalidRequestException")) => {
                let message = format!(
                    "the sign-in service of region `{}` does not know the start URL `{}`: {}",
                    sso.sso_region, sso.start_url, failure.message
                );
                misconfigured("InvalidStartUrl", message)
            }
            // Of regions that are newer than this program nothing is known, so the network may be to blame as well.
            (FailureKind::Unreachable, _) if !KNOWN_REGIONS.contains(&sso.sso_region.as_str()) => {
                let message = format!(
                    "no sign-in service of region `{}` ({}) was reached: {}",
                    sso.sso_region,
                    self.session.called(),
                    failure.message
                );
                misconfigured("InvalidSsoRegion", message)
            }
            _ => failure,
        }
    }
}
