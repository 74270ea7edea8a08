//! The portal of IAM Identity Center: its accounts, and role credentials (Portal API Reference).
//!
//! One limiter serves all calls to the portal of a region, since AWS counts them together. A 401 is returned with
//! [`Remedy::Renew`]: [`crate::token_source`] finds out whether the token has expired. A 429 never means that.

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
use ssoinv_http::classify::{INVALID_RESPONSE, classify, http_date, invalid_response, seconds_ahead};
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_http::retry_loop;
use ssoinv_http::service_endpoint::ServiceEndpoint;

use crate::context::SsoContext;
use crate::role_credentials::RoleCredentials;

/// The largest page of accounts or roles; the portal refuses more.
pub const PAGE_SIZE: u8 = 100;

/// An account that the sign-in reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    /// Its ID.
    pub id: AccountId,
    /// Its name in the organisation.
    pub name: Option<Arc<str>>,
    /// The e-mail address of its root user.
    pub email: Option<Arc<str>>,
}

/// The portal's response to a token, and the time there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// `true` if the portal accepts the token, or the failure. Without a token `false`: the portal responded.
    pub accepts: Result<bool, Failure>,
    /// The seconds by which this machine's clock is ahead of the response's `Date`, if there was one.
    pub clock_ahead: Option<i64>,
}

/// The bearer token of a call.
///
/// It is asked for when the call's turn has come: a thousand calls may wait in the queue, and a token may expire
/// meanwhile.
pub trait Bearer {
    /// Returns the present token.
    ///
    /// # Errors
    /// A failure of the kind [`FailureKind::NotTried`] if the call should not be made: the call ends with it.
    fn token(&self) -> Result<Secret, Failure>;
}

impl Bearer for Secret {
    fn token(&self) -> Result<Secret, Failure> {
        Ok(self.clone())
    }
}

/// The portal of one session.
#[derive(Clone, Debug)]
pub struct Portal {
    client: aws_sdk_sso::Client,
    limiter: Arc<RateLimiter>,
    /// For calls about the token, which all calls in the queue wait for.
    first: Arc<RateLimiter>,
    context: Arc<SsoContext>,
}

impl Portal {
    /// Creates a portal at an endpoint, behind the limiter of its region.
    #[must_use]
    pub fn new(endpoint: &ServiceEndpoint, limiter: Arc<RateLimiter>, context: Arc<SsoContext>) -> Self {
        let client = aws_sdk_sso::Client::new(&context.sdk.at(endpoint).build());
        let first = Arc::new(limiter.with_own_queue());
        Self { client, limiter, first, context }
    }

    /// Calls GetRoleCredentials: keys for a role in an account.
    ///
    /// The keys live as long as the permission set says, whatever becomes of the token.
    pub async fn role_credentials(
        &self,
        bearer: &impl Bearer,
        account: AccountId,
        role: &str,
    ) -> Result<RoleCredentials, Failure> {
        let response = self.ask_once_more(|| async {
            let token = bearer.token()?;
            let call = self.client.get_role_credentials().access_token(token.reveal());
            let response = call.account_id(account.as_str()).role_name(role).send().await.map_err(|error| {
                let failure = self.failure(&error);
                if is_forbidden(&failure) {
                    let message = format!(
                        "no access to role `{role}` in account `{account}`: it is not assigned, or its name is misspelt"
                    );
                    return Failure { message, kind: FailureKind::Denied, ..failure };
                }
                failure
            })?;
            response.role_credentials.and_then(whole).ok_or_else(|| {
                invalid_response("the response of GetRoleCredentials holds no credentials, or not all of them")
            })
        });
        response.await
    }

    /// Calls Logout: revokes the token, but not the keys that it gave.
    pub async fn logout(&self, token: &Secret) -> Result<(), Failure> {
        let response = self.call(|| async {
            let call = self.client.logout().access_token(token.reveal());
            call.send().await.map_err(|error| self.failure(&error))
        });
        response.await.map(|_| ())
    }

    /// Calls ListAccounts for one page. Returns the accounts, and the token of the next page.
    ///
    /// # Errors
    /// The failure of the portal; [`INVALID_RESPONSE`] if the page has no list, or an account without an ID.
    pub async fn accounts(
        &self,
        bearer: &impl Bearer,
        next: Option<&str>,
    ) -> Result<(Vec<AccountInfo>, Option<String>), Failure> {
        let response = self.call(|| async {
            let token = bearer.token()?;
            let call = self.client.list_accounts().access_token(token.reveal()).max_results(PAGE_SIZE.into());
            let call = call.set_next_token(next.map(str::to_owned));
            let page = call.send().await.map_err(|error| self.failure(&error))?;
            let accounts = page
                .account_list
                .ok_or_else(|| invalid_response("the response of ListAccounts has no list"))?;
            let accounts = accounts.into_iter().map(account).collect::<Result<Vec<_>, _>>()?;
            Ok((accounts, page.next_token.filter(|token| !token.is_empty())))
        });
        response.await
    }

    /// Calls ListAccountRoles for one page. Returns the roles' names, and the token of the next page.
    ///
    /// The list may have roles that GetRoleCredentials refuses.
    pub async fn account_roles(
        &self,
        bearer: &impl Bearer,
        account: AccountId,
        next: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), Failure> {
        let response = self.ask_once_more(|| async {
            let token = bearer.token()?;
            let call =
                self.client.list_account_roles().access_token(token.reveal()).max_results(PAGE_SIZE.into());
            let call = call.account_id(account.as_str()).set_next_token(next.map(str::to_owned));
            let page = call.send().await.map_err(|error| {
                let failure = self.failure(&error);
                if is_forbidden(&failure) {
                    return Failure { kind: FailureKind::Denied, ..failure };
                }
                failure
            })?;
            let roles = page
                .role_list
                .ok_or_else(|| invalid_response("the response of ListAccountRoles has no list"))?;
            let name = |role: aws_sdk_sso::types::RoleInfo| role.role_name.filter(|name| !name.is_empty());
            let roles = roles.into_iter().map(name).collect::<Option<Vec<_>>>();
            let roles = roles.ok_or_else(|| invalid_response("a role of ListAccountRoles has no name"))?;
            Ok((roles, page.next_token.filter(|token| !token.is_empty())))
        });
        response.await
    }

    /// Returns whether the portal accepts a token, by the smallest call.
    ///
    /// # Errors
    /// If no response says so: a limit, the network, a server's error.
    pub(crate) async fn accepts(&self, token: &Secret) -> Result<bool, Failure> {
        self.probe(Some(token)).await.accepts
    }

    /// Makes the smallest call with a token, or with none, which the portal refuses. Changes nothing.
    pub async fn probe(&self, token: Option<&Secret>) -> Probe {
        let date = DateInterceptor { clock: self.context.clock.clone(), ahead: Arc::default() };
        let ask = || async {
            let call =
                self.client.list_accounts().set_access_token(token.map(|token| token.reveal().to_owned()));
            let call = call.max_results(1).customize().interceptor(date.clone());
            call.send().await.map_err(|error| self.failure(&error))
        };
        let response = async {
            retry_loop::call(&self.first, None, self.context.retry, self.context.on_retry(), ask).await.0
        };
        let accepts = match response.await {
            Ok(_) => Ok(true),
            Err(Failure { remedy: Remedy::Renew, .. }) => Ok(false),
            // The token was accepted, and the call then refused for another reason.
            Err(failure) if is_forbidden(&failure) => Ok(token.is_some()),
            Err(failure) => Err(failure),
        };
        let ahead = *date.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        Probe { accepts, clock_ahead: ahead }
    }

    /// Makes a call, once more if it is refused, since a 403 can be transient (aws-cli #7871).
    async fn ask_once_more<T, F>(&self, mut op: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        match self.call(&mut op).await {
            Err(failure) if is_forbidden(&failure) => self.call(op).await,
            response => response,
        }
    }

    async fn call<T, F>(&self, op: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        retry_loop::call(&self.limiter, None, self.context.retry, self.context.on_retry(), op).await.0
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
        // A 401 that isn't the portal's own says nothing about the token.
        if code == Some("UnauthorizedException") || (status == Some(401) && code != Some(INVALID_RESPONSE)) {
            failure.kind = FailureKind::SignInExpired;
            failure.remedy = Remedy::Renew;
        }
        failure
    }
}

/// Records how far this machine's clock is ahead of a response's `Date` (RFC 9110, section 6.6.1).
#[derive(Clone, Debug)]
struct DateInterceptor {
    clock: Clock,
    ahead: Arc<Mutex<Option<i64>>>,
}

#[dyn_dispatch_hint]
impl Intercept for DateInterceptor {
    fn name(&self) -> &'static str {
        "DateInterceptor"
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

/// Converts an account of a list.
///
/// An account whose ID can't be read must not be left out: it would be taken for one that doesn't exist.
fn account(listed: aws_sdk_sso::types::AccountInfo) -> Result<AccountInfo, Failure> {
    let id = listed.account_id.and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| invalid_response("an account of ListAccounts has no ID of twelve digits"))?;
    let text = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Arc::from);
    Ok(AccountInfo { id, name: text(listed.account_name), email: text(listed.email_address) })
}

/// Converts credentials, if no part is missing.
fn whole(given: aws_sdk_sso::types::RoleCredentials) -> Option<RoleCredentials> {
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    Some(RoleCredentials {
        access_key_id: text(given.access_key_id)?,
        secret_access_key: Secret::new(text(given.secret_access_key)?),
        session_token: Some(Secret::new(text(given.session_token)?)),
        expires_at: Some(of_millis(given.expiration)?),
        caller_arn: None,
    })
}

/// Converts a time of the portal, in milliseconds.
fn of_millis(millis: i64) -> Option<SystemTime> {
    u64::try_from(millis)
        .ok()
        .filter(|millis| *millis > 0)
        .map(|millis| UNIX_EPOCH + Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use ssoinv_core::pace::PaceLimits;
    use ssoinv_http::sdk_settings::Timeouts;
    use ssoinv_http::test_util::{Canned, canned, endpoint_at};

    use super::*;
    use crate::testing::context;

    fn portal(response: Canned) -> Portal {
        let context = context(canned(response), Timeouts::default());
        let client = aws_sdk_sso::Client::new(&context.sdk.at(&endpoint_at(None)).build());
        let limiter = Arc::new(RateLimiter::new(PaceLimits::PORTAL));
        Portal { client, first: Arc::new(limiter.with_own_queue()), limiter, context }
    }

    /// Returns the failure of GetRoleCredentials, and whether the portal is said to accept the token.
    async fn refused(response: Canned) -> (Failure, Option<bool>) {
        let portal = portal(response);
        let token = Secret::new("token");
        let account = "111122223333".parse().expect("an account's ID");
        let failure = portal.role_credentials(&token, account, "Audit").await.expect_err("no credentials");
        (failure, portal.accepts(&token).await.ok())
    }

    /// A response without a code, as the portal was seen to send; `requestid` shows that it is the portal's.
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

    /// An account that is left out would be taken for one that doesn't exist.
    #[tokio::test]
    async fn no_account_is_left_out_of_a_list() {
        let listed = async |body: &str| {
            let portal = portal((200, &[], body.to_owned()));
            portal.accounts(&Secret::new("token"), None).await
        };
        let whole =
            r#"{"accountList":[{"accountId":"012345678901","accountName":"prod","emailAddress":""}]}"#;
        let (accounts, next) = listed(whole).await.expect("whole");
        let [account] = accounts.as_slice() else { panic!("{accounts:?}") };
        assert_eq!((account.id.as_str(), account.name.as_deref()), ("012345678901", Some("prod")));
        assert_eq!((account.email.as_deref(), next), (None, None));
        assert_eq!(
            listed(r#"{"accountList":[],"nextToken":"2"}"#).await,
            Ok((Vec::new(), Some("2".to_owned())))
        );
        for body in [
            "{}",
            r#"{"accountList":null}"#,
            r#"{"accountList":[{"accountId":"111122223333"},{"accountId":"1111222233"}]}"#,
            r#"{"accountList":[{"accountId":"111122223333"},{"accountName":"prod"}]}"#,
        ] {
            let failure = listed(body).await.expect_err(body);
            assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{body}: {failure:?}");
        }
    }

    #[tokio::test]
    async fn credentials_are_all_there_or_none() {
        const KEYS: &str = r#"{"roleCredentials":{"accessKeyId":"ASIA1","secretAccessKey":"secret","sessionToken":"token",
            "expiration":1782864000000}}"#;
        let given = async |body: String| {
            let account = "111122223333".parse().expect("an account's ID");
            portal((200, &[], body)).role_credentials(&Secret::new("token"), account, "Audit").await
        };
        assert_eq!(given(KEYS.to_owned()).await.expect("whole").access_key_id, "ASIA1");
        for (part, other) in [
            ("accessKeyId", "other"),
            ("secretAccessKey", "other"),
            ("sessionToken", "other"),
            ("expiration", "other"),
            ("ASIA1", ""),
            ("secret\"", "\""),
            ("token\"", "\""),
            ("1782864000000", "0"),
            ("1782864000000", "-1"),
        ] {
            let failure = given(KEYS.replace(part, other)).await.expect_err(part);
            assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{part}: {failure:?}");
        }
    }
}
