//! Signing out: a token ends at the portal and is removed here. Role credentials that were given for it live on until
//! they end by themselves; [`crate::credential_cache`] forgets them.

use std::sync::Arc;

use ssoinv_core::failure::{Failure, Remedy};
use ssoinv_core::pace::PaceLimits;
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_http::service_endpoint::ServiceEndpoint;

use crate::cache_file::CacheError;
use crate::context::SsoContext;
use crate::portal::Portal;
use crate::token_cache::{StoredToken, TokenCache};

/// What became of a token. It is removed in each case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignOutOutcome {
    /// The portal takes it no more.
    Revoked,
    /// It had ended before.
    HadEnded,
    /// The portal could not be told: whoever has a copy can use it until it ends.
    NotRevoked(Failure),
}

/// Revokes a token at the portal at `endpoint`, if there is one, and removes its file.
///
/// # Errors
/// Where the file can't be removed; the token has been revoked then.
pub async fn sign_out(
    stored: &StoredToken,
    endpoint: Result<ServiceEndpoint, Failure>,
    cache: &TokenCache,
    context: &Arc<SsoContext>,
) -> Result<SignOutOutcome, CacheError> {
    let revoked = match endpoint {
        Ok(endpoint) => {
            let limiter = Arc::new(RateLimiter::new(PaceLimits::PORTAL));
            let portal = Portal::new(&endpoint, limiter, Arc::clone(context));
            portal.logout(&stored.token.access_token).await
        }
        Err(failure) => Err(failure),
    };
    cache.remove(stored).await?;
    Ok(match revoked {
        Ok(()) => SignOutOutcome::Revoked,
        Err(Failure { remedy: Remedy::Renew, .. }) => SignOutOutcome::HadEnded,
        Err(failure) => SignOutOutcome::NotRevoked(failure),
    })
}
