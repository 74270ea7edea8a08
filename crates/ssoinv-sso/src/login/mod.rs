//! Signing in: from nothing to a token, with a person's help.
//!
//! Two flows: [`pkce`], a page in a browser of this machine that comes back to it ([`callback`]), and [`device`], a code
//! that is approved in any browser; [`oidc`] makes their calls. Everything that people see is an
//! [`ssoinv_core::event::SignIn`]; the binary's listener opens the browser. [`crate::token_source`] decides when a sign-in
//! is needed.

mod attempt;
mod callback;
mod device;
pub(crate) mod oidc;
mod pkce;
mod redirect_uri;
mod refusal;

use ssoinv_core::failure::{Failure, FailureKind};

use self::attempt::{PATIENCE, SignInAttempt};
use self::oidc::Oidc;
use crate::context::{SignInFlow, SsoContext};
use crate::session::Session;
use crate::token_cache::{CachedToken, TokenCache};

/// Signs in, with the flow of the context; the legacy format has device codes only.
///
/// # Errors
/// [`FailureKind::SignInExpired`] with `SignInTimedOut`, `SignInDeclined`, `SignInRefused` or `StateMismatch`;
/// [`FailureKind::Misconfigured`] with `InvalidStartUrl`, `InvalidSsoRegion` or
/// `RedirectPortTaken`; and the failures of the calls.
pub(crate) async fn sign_in(
    session: &Session,
    oidc: &Oidc,
    cache: &TokenCache,
    context: &SsoContext,
) -> Result<CachedToken, Failure> {
    let attempt = SignInAttempt { session, oidc, cache, context };
    let flow = async {
        match context.flow {
            SignInFlow::Page { redirect_port } if !session.sso.is_legacy() => {
                pkce::sign_in(attempt, redirect_port).await
            }
            SignInFlow::Page { .. } | SignInFlow::DeviceCode => device::sign_in(attempt).await,
        }
    };
    let signed_in = tokio::time::timeout(PATIENCE, flow).await.unwrap_or_else(|_| {
        let message = format!("the sign-in to {} was not approved in ten minutes", session.describe());
        Err(Failure::new(FailureKind::SignInExpired, message).with_code("SignInTimedOut"))
    });
    signed_in.map_err(|failure| attempt.explain(failure))
}
