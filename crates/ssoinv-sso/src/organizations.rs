//! AWS Organizations: which accounts there are (ListAccounts, Organizations API Reference). The management account and
//! delegated administrators may ask.
//!
//! The service allows few calls a second (a burst of 13, then 8; "Quotas for AWS Organizations"), so they take turns at
//! its pace. A page may be empty and yet not be the last.

use std::collections::HashSet;
use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_organizations::config::IdentityCache;
use aws_sdk_organizations::types::{Account, AccountState, AccountStatus};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::scope::AccountId;
use ssoinv_http::classify::{classify, invalid_response};
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_http::retry_loop;
use ssoinv_http::service_endpoint::ServiceEndpoint;

use crate::context::SsoContext;
use crate::role_credentials::RoleCredentials;

/// ListAccounts' own limits.
const PACE: PaceLimits =
    PaceLimits { burst: 13.0, initial_rate: 8.0, max_rate: 8.0, min_rate: 0.25, rise: 1.0 };

/// An account of the organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its ID.
    pub id: AccountId,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Whether it is in use; else it is suspended, or being closed.
    pub active: bool,
}

/// All accounts, in the order of the service.
pub(crate) async fn members(
    credentials: &RoleCredentials,
    endpoint: &ServiceEndpoint,
    context: &SsoContext,
) -> Result<Vec<Member>, Failure> {
    let config = context.sdk.at(endpoint).identity_cache(IdentityCache::no_cache());
    let config = config.credentials_provider(SharedCredentialsProvider::new(credentials.to_sdk()));
    let client = aws_sdk_organizations::Client::new(&config.build());
    let limiter = RateLimiter::new(PACE);
    let mut members = Vec::new();
    let (mut next, mut seen) = (None::<String>, HashSet::new());
    loop {
        let from = next.as_deref();
        let page = retry_loop::call(&limiter, None, context.retry, context.retrying(), || async {
            let call = client.list_accounts().set_next_token(from.map(str::to_owned));
            let page = call.send().await.map_err(|error| told(classify(&error, &context.clock)))?;
            let accounts =
                page.accounts.ok_or_else(|| invalid_response("the answer of ListAccounts has no list"))?;
            let accounts = accounts.iter().map(member).collect::<Result<Vec<_>, _>>()?;
            Ok((accounts, page.next_token.filter(|token| !token.is_empty())))
        });
        let (accounts, following) = page.await.0?;
        members.extend(accounts);
        let Some(following) = following else { return Ok(members) };
        if !seen.insert(following.clone()) {
            return Err(invalid_response("the pages of ListAccounts go in a circle"));
        }
        next = Some(following);
    }
}

/// What has ended are the credentials that were shown, not a sign-in; nobody asks here which regions are enabled.
fn told(mut failure: Failure) -> Failure {
    if failure.kind == FailureKind::SignInExpired {
        failure.kind = FailureKind::Failed;
    }
    failure
}

fn member(account: &Account) -> Result<Member, Failure> {
    let id = account.id().and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| invalid_response("an account of ListAccounts has no ID of twelve digits"))?;
    // `State` takes the place of `Status`, which the service stops giving.
    let active = match (account.state(), account.status()) {
        (Some(state), _) => *state == AccountState::Active,
        (None, Some(status)) => *status == AccountStatus::Active,
        (None, None) => true,
    };
    Ok(Member { id, name: account.name().filter(|name| !name.is_empty()).map(Arc::from), active })
}

#[cfg(test)]
mod tests {
    use ssoinv_core::secret::Secret;
    use ssoinv_http::classify::INVALID_RESPONSE;
    use ssoinv_http::sdk_settings::Timeouts;
    use ssoinv_http::test_util::{canned, endpoint_at};

    use super::*;
    use crate::testing::context;

    async fn listed(body: &str) -> Result<Vec<Member>, Failure> {
        let keys = RoleCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: None,
            expires_at: None,
            caller_arn: None,
        };
        let context = context(canned((200, &[], body.to_owned())), Timeouts::default());
        members(&keys, &endpoint_at(None), &context).await
    }

    #[tokio::test]
    async fn state_goes_before_status() {
        let body = r#"{"Accounts":[
            {"Id":"011111111111","Name":"hub","Status":"ACTIVE"},
            {"Id":"022222222222","Status":"ACTIVE","State":"PENDING_CLOSURE"},
            {"Id":"033333333333","Status":"SUSPENDED"},
            {"Id":"044444444444","State":"ACTIVE"},
            {"Id":"055555555555"}
        ]}"#;
        let members = listed(body).await.expect("whole");
        let active: Vec<&str> =
            members.iter().filter(|member| member.active).map(|member| member.id.as_str()).collect();
        assert_eq!(active, ["011111111111", "044444444444", "055555555555"]);
        assert_eq!((members.len(), members[0].name.as_deref()), (5, Some("hub")));
    }

    /// An account that vanishes would be taken for one that isn't there.
    #[tokio::test]
    async fn no_account_is_left_out_of_the_list() {
        for body in [
            "{}",
            r#"{"Accounts":null}"#,
            r#"{"Accounts":[{"Id":"011111111111"},{"Id":"11111111111"}]}"#,
            r#"{"Accounts":[{"Id":"011111111111"},{"Name":"prod"}]}"#,
            // Each page says that this one follows.
            r#"{"Accounts":[{"Id":"011111111111"}],"NextToken":"again"}"#,
        ] {
            let failure = listed(body).await.expect_err(body);
            assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{body}: {failure:?}");
        }
    }
}
