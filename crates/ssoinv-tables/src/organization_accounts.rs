//! The accounts of an organization: ListAccounts of AWS Organizations, for ssoinv's own use.
//!
//! The management account and delegated administrators may list. The service allows few calls a second (a burst of 13,
//! then 8; "Quotas for AWS Organizations"). A page may be empty and yet not be the last.
//!
//! <https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html>

use std::sync::Arc;

use aws_sdk_organizations::types::{Account, AccountState, AccountStatus};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::AccountId;
use ssoinv_http::classify::invalid_response;
use ssoinv_http::scoped_calls::{CallError, ScopedCalls};

use crate::paging::PageTokens;
use crate::services::Organizations;

/// An account of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationAccount {
    /// Its ID.
    pub id: AccountId,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Whether it is in use; otherwise it is suspended, or being closed.
    pub active: bool,
}

/// Lists all accounts of the organization that the caller's account belongs to, in the order of the service.
///
/// # Errors
/// If the list can't be read to its end, or one of its accounts has no ID. Part of a list is never returned.
pub async fn organization_accounts(calls: &ScopedCalls) -> Result<Vec<OrganizationAccount>, CallError> {
    let mut accounts = Vec::new();
    let mut tokens = PageTokens::default();
    loop {
        let attempt = |client: aws_sdk_organizations::Client| {
            let request = client.list_accounts().set_next_token(tokens.current().map(str::to_owned));
            async {
                let response = request.send().await?;
                let listed =
                    response.accounts.ok_or_else(|| invalid_response("ListAccounts returned no list"))?;
                let listed = listed.iter().map(account).collect::<Result<Vec<_>, _>>()?;
                Ok((listed, response.next_token))
            }
        };
        let page = calls.call::<Organizations, _, _>("ListAccounts", attempt).await;
        let (listed, next) = match page {
            Ok(page) => page,
            Err(error) if tokens.restart_after(&error.failure) => {
                accounts.clear();
                continue;
            }
            Err(error) => return Err(without_sign_in(error)),
        };
        accounts.extend(listed);
        if !tokens.advance(next)? {
            return Ok(accounts);
        }
    }
}

/// Role credentials that the service calls expired say nothing about the sign-in.
fn without_sign_in(mut error: CallError) -> CallError {
    if !error.without_credentials && error.failure.kind == FailureKind::SignInExpired {
        error.failure.kind = FailureKind::Failed;
    }
    error
}

fn account(account: &Account) -> Result<OrganizationAccount, Failure> {
    let id = account.id().and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| invalid_response("an account of ListAccounts has no ID of twelve digits"))?;
    // `State` replaces `Status`, which the service stops returning.
    let active = match (account.state(), account.status()) {
        (Some(state), _) => *state == AccountState::Active,
        (None, Some(status)) => *status == AccountStatus::Active,
        (None, None) => true,
    };
    let name = account.name().filter(|name| !name.is_empty()).map(Arc::from);
    Ok(OrganizationAccount { id, name, active })
}

#[cfg(test)]
mod tests {
    use ssoinv_http::classify::INVALID_RESPONSE;

    use super::*;
    use crate::testing::{CannedHttp, calls};

    async fn listed(body: &str) -> Result<Vec<OrganizationAccount>, CallError> {
        organization_accounts(&calls(&CannedHttp::ok(body))).await
    }

    #[tokio::test(start_paused = true)]
    async fn state_takes_precedence_over_status() {
        let body = r#"{"Accounts":[
            {"Id":"011111111111","Name":"hub","Status":"ACTIVE"},
            {"Id":"022222222222","Status":"ACTIVE","State":"PENDING_CLOSURE"},
            {"Id":"033333333333","Status":"SUSPENDED"},
            {"Id":"044444444444","State":"ACTIVE"},
            {"Id":"055555555555"}
        ]}"#;
        let accounts = listed(body).await.expect("a complete list");
        let active: Vec<&str> =
            accounts.iter().filter(|account| account.active).map(|account| account.id.as_str()).collect();
        assert_eq!(active, ["011111111111", "044444444444", "055555555555"]);
        assert_eq!((accounts.len(), accounts[0].name.as_deref()), (5, Some("hub")));
    }

    /// An account that is left out would be taken for one that doesn't exist.
    #[tokio::test(start_paused = true)]
    async fn a_list_with_a_nameless_account_is_refused() {
        for body in [
            "{}",
            r#"{"Accounts":null}"#,
            r#"{"Accounts":[{"Id":"011111111111"},{"Id":"11111111111"}]}"#,
            r#"{"Accounts":[{"Id":"011111111111"},{"Name":"prod"}]}"#,
            // Each page names itself as the next one.
            r#"{"Accounts":[{"Id":"011111111111"}],"NextToken":"again"}"#,
        ] {
            let error = listed(body).await.expect_err(body);
            assert_eq!(error.failure.code.as_deref(), Some(INVALID_RESPONSE), "{body}: {error:?}");
        }
    }
}
