//! The portal of IAM Identity Center (Portal API Reference): which accounts there are, and role credentials.
//!
//! One turnstile serves all calls to the portal of a region, since AWS counts them together. A 401 comes back with
//! [`Remedy::Renew`]: [`crate::token`] finds out whether the token has ended. A 429 never means that.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ssoinv_core::clock::Clock;
use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::scope::AccountId;
use ssoinv_core::secret::Secret;

use crate::attempt::{self, Turnstile};
use crate::classify::{INVALID_ANSWER, classify, http_date, invalid_answer, seconds_ahead};
use crate::credentials::RoleCredentials;
use crate::http::Place;
use crate::session::SsoContext;

/// The most accounts that a page may have; more is refused.
const PAGE: i32 = 100;

/// An account that the sign-in reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its ID.
    pub id: AccountId,
    /// Its name in the organisation.
    pub name: Option<Arc<str>>,
    /// The address of its root user.
    pub email: Option<Arc<str>>,
}

/// What the portal says to a token, and what time it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whether it takes the token, or why it doesn't say. Without a token it is `false`: somebody answered.
    pub accepts: Result<bool, Failure>,
    /// By how many seconds this machine's clock is ahead of the answer's `Date`, where there was one.
    pub clock_ahead: Option<i64>,
}

/// The portal of one session.
#[derive(Clone, Debug)]
pub struct Portal {
    client: aws_sdk_sso::Client,
    turnstile: Arc<Turnstile>,
    context: Arc<SsoContext>,
}

impl Portal {
    /// The portal at a place, behind the turnstile of its region.
    #[must_use]
    pub fn new(place: &Place, turnstile: Arc<Turnstile>, context: Arc<SsoContext>) -> Self {
        let client = aws_sdk_sso::Client::new(&context.sdk.at(place).build());
        Self { client, turnstile, context }
    }

    /// GetRoleCredentials: keys for a role in an account. They live as long as the permission set says, whatever
    /// happens to the token.
    pub async fn role_credentials(
        &self,
        token: &Secret,
        account: AccountId,
        role: &str,
    ) -> Result<RoleCredentials, Failure> {
        let answer = self.call(|| async {
            let call = self.client.get_role_credentials().access_token(token.reveal());
            let answer = call.account_id(account.as_str()).role_name(role).send().await.map_err(|error| {
                let failure = self.failure(&error);
                if is_forbidden(&failure) {
                    let message = format!(
                        "no access to role `{role}` in account `{account}`: it is not assigned, or its name is misspelt"
                    );
                    return Failure { message, kind: FailureKind::Denied, ..failure };
                }
                failure
            })?;
            answer.role_credentials.and_then(whole).ok_or_else(|| {
                invalid_answer("the answer of GetRoleCredentials lacks a key")
            })
        });
        answer.await
    }

    /// Logout: the token is good no more. Keys that it gave are.
    pub async fn logout(&self, token: &Secret) -> Result<(), Failure> {
        let answer = self.call(|| async {
            let call = self.client.logout().access_token(token.reveal());
            call.send().await.map_err(|error| self.failure(&error))
        });
        answer.await.map(|_| ())
    }

    /// ListAccounts, one page: the accounts, and the token of the next page.
    pub async fn accounts(
        &self,
        token: &Secret,
        next: Option<&str>,
    ) -> Result<(Vec<Account>, Option<String>), Failure> {
        let answer = self.call(|| async {
            let call = self.client.list_accounts().access_token(token.reveal()).max_results(PAGE);
            call.set_next_token(next.map(str::to_owned)).send().await.map_err(|error| self.failure(&error))
        });
        let answer = answer.await?;
        let account = |account: aws_sdk_sso::types::AccountInfo| {
            Some(Account {
                id: account.account_id?.parse().ok()?,
                name: account.account_name.filter(|name| !name.is_empty()).map(Arc::from),
                email: account.email_address.filter(|email| !email.is_empty()).map(Arc::from),
            })
        };
        let accounts = answer.account_list.unwrap_or_default().into_iter().filter_map(account).collect();
        Ok((accounts, answer.next_token.filter(|token| !token.is_empty())))
    }

    /// Whether the portal takes a token, asked with the smallest call.
    ///
    /// # Errors
    /// Where no answer says so: a limit, the network, a server's error.
    pub(crate) async fn accepts(&self, token: &Secret) -> Result<bool, Failure> {
        self.probe(Some(token)).await.accepts
    }

    /// Asks the smallest call with a token, or with none, which the portal refuses. Changes nothing.
    pub async fn probe(&self, token: Option<&Secret>) -> Probe {
        let date = DateHeader { clock: self.context.clock.clone(), ahead: Arc::default() };
        let answer = self.call(|| async {
            let call =
                self.client.list_accounts().set_access_token(token.map(|token| token.reveal().to_owned()));
            let call = call.max_results(1).customize().interceptor(date.clone());
            call.send().await.map_err(|error| self.failure(&error))
        });
        let accepts = match answer.await {
            Ok(_) => Ok(true),
            Err(Failure { remedy: Remedy::Renew, .. }) => Ok(false),
            // It was let in, and then refused something else.
            Err(failure) if is_forbidden(&failure) => Ok(token.is_some()),
            Err(failure) => Err(failure),
        };
        let ahead = *date.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        Probe { accepts, clock_ahead: ahead }
    }

    /// ListAccountRoles: the names of the roles that the sign-in has in an account, all pages.
    pub async fn roles(&self, token: &Secret, account: AccountId) -> Result<Vec<String>, Failure> {
        let (mut roles, mut next, mut seen) = (Vec::new(), None::<String>, HashSet::new());
        loop {
            let answer = self.call(|| async {
                let call = self.client.list_account_roles().access_token(token.reveal());
                let call = call.account_id(account.as_str()).max_results(PAGE).set_next_token(next.clone());
                call.send().await.map_err(|error| self.failure(&error))
            });
            let answer = answer.await?;
            roles.extend(answer.role_list.unwrap_or_default().into_iter().filter_map(|role| role.role_name));
            let Some(following) = answer.next_token.filter(|token| !token.is_empty()) else {
                return Ok(roles);
            };
            if !seen.insert(following.clone()) {
                return Err(invalid_answer("the pages of ListAccountRoles go in a circle"));
            }
            next = Some(following);
        }
    }

    async fn call<T, F>(&self, op: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        attempt::call(&self.turnstile, None, self.context.retry, self.context.retrying(), op).await.0
    }

    fn failure<E>(&self, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut failure = classify(error, &self.context.clock);
        let status = match error {
            SdkError::ServiceError(context) => Some(context.raw().status().as_u16()),
            _ => None,
        };
        let code = failure.code.as_deref();
        // A 401 that isn't the portal's own says nothing of the token.
        if code == Some("UnauthorizedException") || (status == Some(401) && code != Some(INVALID_ANSWER)) {
            failure.kind = FailureKind::SignInExpired;
            failure.remedy = Remedy::Renew;
        }
        failure
    }
}

/// Notes how far this machine's clock is ahead of an answer's `Date` (RFC 9110, section 6.6.1).
#[derive(Clone, Debug)]
struct DateHeader {
    clock: Clock,
    ahead: Arc<Mutex<Option<i64>>>,
}

#[dyn_dispatch_hint]
impl Intercept for DateHeader {
    fn name(&self) -> &'static str {
        "DateHeader"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date").and_then(http_date) {
            let ahead = seconds_ahead(self.clock.now(), date);
            *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        Ok(())
    }
}

/// `ForbiddenException` isn't in the service's model.
fn is_forbidden(failure: &Failure) -> bool {
    matches!(failure.code.as_deref(), Some("ForbiddenException" | "HTTP403"))
}

/// The credentials, where no part is missing.
fn whole(given: aws_sdk_sso::types::RoleCredentials) -> Option<RoleCredentials> {
    Some(RoleCredentials {
        access_key_id: given.access_key_id?,
        secret_access_key: Secret::new(given.secret_access_key?),
        session_token: Some(Secret::new(given.session_token?)),
        expires_at: of_millis(given.expiration),
        caller_arn: None,
    })
}

/// The portal gives its times in milliseconds.
fn of_millis(millis: i64) -> Option<SystemTime> {
    u64::try_from(millis)
        .ok()
        .filter(|millis| *millis > 0)
        .map(|millis| UNIX_EPOCH + Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use ssoinv_core::pace::PaceLimits;

    use super::*;
    use crate::http::Timeouts;
    use crate::testing::{Canned, canned, context, place};

    fn portal(answer: Canned) -> Portal {
        let context = context(canned(answer), Timeouts::default());
        let client = aws_sdk_sso::Client::new(&context.sdk.at(&place(None)).build());
        Portal { client, turnstile: Arc::new(Turnstile::new(PaceLimits::PORTAL)), context }
    }

    /// The failure of GetRoleCredentials, and whether the portal is said to take the token.
    async fn refused(answer: Canned) -> (Failure, Option<bool>) {
        let portal = portal(answer);
        let token = Secret::new("token");
        let account = "111122223333".parse().expect("an account's ID");
        let failure = portal.role_credentials(&token, account, "Audit").await.expect_err("no credentials");
        (failure, portal.accepts(&token).await.ok())
    }

    /// Without a code, as the portal was seen to answer; `requestid` tells that it is the portal.
    #[tokio::test]
    async fn the_portals_own_401_and_403_are_told_from_a_proxys() {
        use FailureKind::{Denied, Failed, SignInExpired, Throttled};
        const PORTAL: &[(&str, &str)] = &[("requestid", "r-1")];
        const UNAUTHORIZED: &[(&str, &str)] = &[("x-amzn-errortype", "UnauthorizedException")];
        const FORBIDDEN: &[(&str, &str)] = &[("x-amzn-errortype", "ForbiddenException")];
        const NOT_FOUND: &[(&str, &str)] = &[("x-amzn-errortype", "ResourceNotFoundException")];
        for (status, headers, body, kind, remedy, takes) in [
            (401, UNAUTHORIZED, "{}", SignInExpired, Remedy::Renew, Some(false)),
            (401, PORTAL, "{}", SignInExpired, Remedy::Renew, Some(false)),
            (401, &[][..], "<html>Log in to the network</html>", Failed, Remedy::TryAgain, None),
            (403, FORBIDDEN, r#"{"message":"No access"}"#, Denied, Remedy::None, Some(true)),
            (403, PORTAL, "{}", Denied, Remedy::None, Some(true)),
            (403, &[], "<html>Blocked</html>", Failed, Remedy::TryAgain, None),
            (404, NOT_FOUND, "{}", Failed, Remedy::None, None),
            (429, PORTAL, "{}", Throttled, Remedy::SlowDown { after: None }, None),
            (500, PORTAL, "{}", Failed, Remedy::TryAgain, None),
        ] {
            let (failure, accepted) = refused((status, headers, body.to_owned())).await;
            assert_eq!((failure.kind, failure.remedy), (kind, remedy), "{status}: {failure:?}");
            assert_eq!(accepted, takes, "{status} {headers:?}");
            let says_role =
                failure.message.starts_with("no access to role `Audit` in account `111122223333`");
            assert_eq!(says_role, kind == Denied, "{failure:?}");
        }
    }
}
