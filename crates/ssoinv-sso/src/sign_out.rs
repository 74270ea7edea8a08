//! Signing out: a token is revoked at the portal and removed here.
//!
//! Role credentials that the token gave stay valid until they expire; [`crate::credential_cache`] removes them from
//! the cache.

use std::sync::Arc;

use ssoinv_core::failure::{Failure, Remedy};
use ssoinv_core::pace::PaceLimits;
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_http::service_endpoint::ServiceEndpoint;

use crate::cache_file::CacheError;
use crate::context::SsoContext;
use crate::portal::Portal;
use crate::token_cache::{StoredToken, TokenCache};

/// The outcome for a token. Its file is removed in each case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignOutOutcome {
    /// The portal has revoked the token.
    Revoked,
    /// The token had expired before.
    HadEnded,
    /// The portal could not be told: a copy of the token stays valid until it expires.
    NotRevoked(Failure),
}

/// Revokes a token at the portal at `endpoint`, if there is one, and removes its file.
///
/// # Errors
/// If the file can't be removed; the token has been revoked then.
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
