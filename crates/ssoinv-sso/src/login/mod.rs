//! Signing in: from nothing to a token, with a person's help.
//!
//! A code that a person approves in a browser is the only flow yet ([`device`]); [`oidc`] makes the calls. Everything
//! that people see is an [`ssoinv_core::event::SignIn`]; whoever hears it opens the browser. [`crate::token`] decides
//! when it comes to this.

pub(crate) mod device;
pub(crate) mod oidc;

use std::time::Duration;

use ssoinv_core::event::{Event, SignIn};
use ssoinv_core::failure::{Failure, FailureKind};

use self::oidc::{Oidc, lasts};
use crate::session::{Session, SsoContext, misconfigured};
use crate::token_cache::{CachedToken, Client, TokenCache};

/// How long a sign-in waits for a person, in all.
const PATIENCE: Duration = Duration::from_mins(10);

/// A registration is used while it has this much left, as botocore's is.
const REGISTRATION_LEFT: Duration = Duration::from_mins(15);

/// Signs in. A code that ends is replaced by another, for ten minutes in all.
///
/// # Errors
/// [`FailureKind::SignInExpired`] with code `SignInTimedOut` or `SignInDeclined`, [`FailureKind::Misconfigured`] where
/// the service doesn't know the start URL, and whatever else keeps the calls from being answered.
pub(crate) async fn sign_in(
    session: &Session,
    oidc: &Oidc,
    cache: &TokenCache,
    context: &SsoContext,
) -> Result<CachedToken, Failure> {
    let signing_in = async {
        let mut client = None;
        loop {
            let known = match client.take() {
                Some(client) => client,
                None => registration(session, oidc, cache, context).await?,
            };
            let (code, known) = start(session, oidc, cache, known).await?;
            match device::wait_for_approval(session, oidc, &known, &code, context).await? {
                device::Outcome::Token(token) => return Ok(token),
                device::Outcome::Ended => {
                    context.events.say(Event::SignIn(SignIn::CodeEnded { session: session.label.clone() }));
                }
            }
            client = Some(known);
        }
    };
    tokio::time::timeout(PATIENCE, signing_in).await.unwrap_or_else(|_| {
        let message = format!("nobody approved the sign-in to {} in ten minutes", session.called());
        Err(Failure::new(FailureKind::SignInExpired, message).with_code("SignInTimedOut"))
    })
}

/// The client to sign in with: the one in the cache, else a new one.
async fn registration(
    session: &Session,
    oidc: &Oidc,
    cache: &TokenCache,
    context: &SsoContext,
) -> Result<Client, Failure> {
    match cache.registration(&session.sso).await {
        Some(client) if lasts(client.expires_at, context.clock.now(), REGISTRATION_LEFT) => Ok(client),
        _ => register(session, oidc, cache).await,
    }
}

async fn register(session: &Session, oidc: &Oidc, cache: &TokenCache) -> Result<Client, Failure> {
    let client = oidc.register(session).await?;
    // Where it can't be kept, the next sign-in registers another; the token's own write says what is wrong.
    let _ = cache.store_registration(&session.sso, &client).await;
    Ok(client)
}

/// A code for a client. One from the cache may have been removed by the service: then another is registered.
async fn start(
    session: &Session,
    oidc: &Oidc,
    cache: &TokenCache,
    client: Client,
) -> Result<(oidc::DeviceCode, Client), Failure> {
    let refused = match oidc.start_device(session, &client).await {
        Ok(code) => return Ok((code, client)),
        Err(failure) => failure,
    };
    let code = refused.code.as_deref();
    if matches!(code, Some("InvalidClientException" | "UnauthorizedClientException")) {
        let client = register(session, oidc, cache).await?;
        let code = oidc.start_device(session, &client).await?;
        return Ok((code, client));
    }
    if code == Some("InvalidRequestException") {
        let message = format!(
            "the sign-in service of region `{}` does not know the start URL `{}`: {}",
            session.sso.sso_region, session.sso.start_url, refused.message
        );
        return Err(misconfigured("InvalidStartUrl", message));
    }
    Err(refused)
}
