//! One sign-in with its token and its portal.

use std::collections::HashSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use ssoinv_core::failure::Failure;
use ssoinv_core::scope::AccountId;
use ssoinv_http::classify::invalid_response;
use ssoinv_http::rate_limiter::RateLimiter;
use tokio::sync::OnceCell;

use crate::context::SsoContext;
use crate::portal::{AccountInfo, Portal};
use crate::session::Session;
use crate::token_source::{CurrentToken, TokenSource};

/// A sign-in with its token and its portal.
#[derive(Debug)]
pub(crate) struct SessionHandle {
    pub(crate) session: Arc<Session>,
    pub(crate) tokens: TokenSource,
    pub(crate) portal: Portal,
    foreign: OnceCell<bool>,
}

impl SessionHandle {
    pub(crate) fn new(session: Session, limiter: Arc<RateLimiter>, context: &Arc<SsoContext>) -> Self {
        let portal = Portal::new(&session.portal, limiter, Arc::clone(context));
        let session = Arc::new(session);
        let tokens = TokenSource::new(Arc::clone(&session), portal.clone(), Arc::clone(context));
        Self { session, tokens, portal, foreign: OnceCell::new() }
    }

    /// Returns whether the cached token of this session's name belongs to another session; looked up once.
    pub(crate) async fn is_foreign(&self) -> bool {
        *self.foreign.get_or_init(|| self.tokens.is_foreign()).await
    }

    /// Lists all accounts in the order of their IDs, each once.
    pub(crate) async fn accounts(&self) -> Result<Arc<[AccountInfo]>, Failure> {
        let accounts = all_pages(|next| {
            let page = move |bearer: Arc<CurrentToken>| {
                let next = next.clone();
                async move { self.portal.accounts(&*bearer, next.as_deref()).await }
            };
            self.tokens.with_token(page).boxed()
        });
        let mut accounts = accounts.await?;
        accounts.sort_by_key(|account| account.id);
        accounts.dedup_by_key(|account| account.id);
        Ok(accounts.into())
    }

    /// Lists all roles of an account by name, each once.
    pub(crate) async fn roles(&self, account: AccountId) -> Result<Vec<String>, Failure> {
        let roles = all_pages(|next| {
            let page = move |bearer: Arc<CurrentToken>| {
                let next = next.clone();
                async move { self.portal.account_roles(&*bearer, account, next.as_deref()).await }
            };
            self.tokens.with_token(page).boxed()
        });
        let mut roles = roles.await?;
        roles.sort_unstable();
        roles.dedup();
        Ok(roles)
    }
}

/// One page of a list, and the token of the next page.
type Page<T> = Result<(Vec<T>, Option<String>), Failure>;

/// Collects all pages that `page` returns.
///
/// The first page is for no token, each further one for the token of the one before.
async fn all_pages<'a, T>(
    mut page: impl FnMut(Option<String>) -> BoxFuture<'a, Page<T>>,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    let mut next = None;
    loop {
        let (items, following) = page(next).await?;
        all.extend(items);
        let Some(following) = following else { return Ok(all) };
        // A list that repeats itself never ends, and its first pages would be taken for the whole list.
        if !seen.insert(following.clone()) {
            return Err(invalid_response("the list's pages go in a circle"));
        }
        next = Some(following);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ssoinv_core::secret::Secret;
    use ssoinv_http::classify::INVALID_RESPONSE;
    use ssoinv_http::sdk_settings::Timeouts;
    use ssoinv_http::test_util::{canned, clock};

    use super::*;
    use crate::session_registry::SessionRegistry;
    use crate::testing::{context, session};
    use crate::token_cache::{CachedToken, TokenCache};

    #[tokio::test]
    async fn a_list_of_accounts_that_goes_in_a_circle_is_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let (sso, cache) = (session().sso, TokenCache::new(Some(home.path())));
        let token = CachedToken {
            access_token: Secret::new("token"),
            expires_at: clock().now() + Duration::from_hours(1),
            refresh_token: None,
            client: None,
        };
        let lock = cache.lock(&sso).await.expect("a lock");
        cache.store_token(&sso, &token, &lock).await.expect("written");

        let body = r#"{"accountList":[{"accountId":"111122223333"}],"nextToken":"again"}"#;
        let context = context(canned((200, &[], body.to_owned())), Timeouts::default());
        let context = SsoContext { home: Some(home.path().to_owned()), ..(*context).clone() };
        let handle = SessionRegistry::new(Arc::new(context)).get(&sso, None).expect("an endpoint");
        let failure = handle.accounts().await.expect_err("not the whole list");
        assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{failure:?}");
    }
}
