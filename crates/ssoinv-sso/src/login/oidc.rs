//! The unsigned calls of IAM Identity Center's sign-in (OIDC API Reference).

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ssooidc::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_ssooidc::operation::create_token::CreateTokenOutput;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::secret::Secret;
use ssoinv_http::classify::{INVALID_RESPONSE, classify, one_line};
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_http::retry_loop;

use super::redirect_uri;
use crate::context::{SsoContext, misconfigured};
use crate::session::Session;
use crate::times::from_unix_seconds;
use crate::token_cache::{
    CODE_GRANT, CachedToken, ClientRegistration, Grant, REFRESH_GRANT, registered_scopes,
};

/// The sign-in service of one session.
#[derive(Clone, Debug)]
pub(crate) struct Oidc {
    client: aws_sdk_ssooidc::Client,
    limiter: Arc<RateLimiter>,
    context: Arc<SsoContext>,
}

/// A code that a person is to approve.
pub(crate) struct DeviceCode {
    /// The service's name of the code.
    pub(crate) secret: Secret,
    pub(crate) user_code: Secret,
    pub(crate) verification_uri: String,
    pub(crate) verification_uri_complete: String,
    pub(crate) lifetime: Duration,
    /// The pause between two polls; zero if the service didn't say or doesn't mind.
    pub(crate) interval: Duration,
}

/// The outcome of a poll for a device code's token.
pub(crate) enum PollOutcome {
    Token(CachedToken),
    /// Not approved yet.
    Pending,
    /// Not approved yet, and polled too often.
    SlowDown,
    /// The code has expired.
    Ended,
    /// The person has declined.
    Declined,
}

/// The outcome of a refresh.
pub(crate) enum RefreshOutcome {
    Token(CachedToken),
    /// The sign-in session or the client's registration has expired: only a new sign-in helps.
    Ended,
}

impl Oidc {
    pub(crate) fn new(session: &Session, context: Arc<SsoContext>) -> Self {
        let client = aws_sdk_ssooidc::Client::new(&context.sdk.at(&session.oidc).build());
        Self { client, limiter: Arc::new(RateLimiter::new(PaceLimits::UNDOCUMENTED)), context }
    }

    /// Calls RegisterClient for a flow and for refreshing. As in the AWS CLI, a device code's client names no grants.
    pub(crate) async fn register(
        &self,
        session: &Session,
        grant: Grant,
    ) -> Result<ClientRegistration, Failure> {
        let scopes = registered_scopes(&session.sso).map(<[String]>::to_vec);
        let call = self.client.register_client().client_name("ssoinv").client_type("public");
        let call = match grant {
            Grant::DeviceCode => call,
            Grant::AuthorizationCode => call
                .grant_types(CODE_GRANT)
                .grant_types(REFRESH_GRANT)
                .redirect_uris(redirect_uri::REGISTERED)
                .issuer_url(&session.sso.start_url),
        };
        let call = call.set_scopes(scopes);
        let response = self.call(self.context.retry, || async {
            call.clone().send().await.map_err(|error| self.failure(&error))
        });
        let response = response.await?;
        let (Some(id), Some(secret)) = (filled(response.client_id), filled(response.client_secret)) else {
            return Err(incomplete("RegisterClient"));
        };
        let expires = u64::try_from(response.client_secret_expires_at).unwrap_or_default();
        Ok(ClientRegistration { id, secret: Secret::new(secret), expires_at: from_unix_seconds(expires) })
    }

    /// Returns the address of the service's pages: its endpoint, which no call of its model names.
    pub(crate) async fn pages(&self, session: &Session) -> Result<String, Failure> {
        let endpoint = &session.oidc;
        if let Some(url) = &endpoint.url {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        let params = Params::builder()
            .region(endpoint.region.to_string())
            .use_fips(endpoint.use_fips)
            .use_dual_stack(endpoint.use_dual_stack)
            .build();
        let unknown = |error: &dyn std::fmt::Display| {
            let message = format!("region `{}` has no address for sign-ins: {error}", endpoint.region);
            misconfigured("InvalidSsoRegion", message)
        };
        let params = params.map_err(|error| unknown(&error))?;
        let endpoint = DefaultResolver::new().resolve_endpoint(&params).await;
        Ok(endpoint.map_err(|error| unknown(&error))?.url().trim_end_matches('/').to_owned())
    }

    /// Calls CreateToken for an authorization code.
    pub(crate) async fn exchange(
        &self,
        client: &ClientRegistration,
        code: &Secret,
        verifier: &Secret,
        redirect_uri: &str,
    ) -> Result<CachedToken, Failure> {
        let response = self.call(self.context.retry, || async {
            let call = self.client.create_token().grant_type(CODE_GRANT).redirect_uri(redirect_uri);
            let call = call.client_id(&client.id).client_secret(client.secret.reveal());
            let call = call.code(code.reveal()).code_verifier(verifier.reveal());
            call.send().await.map_err(|error| self.failure(&error))
        });
        self.token(response.await?, client, None)
    }

    /// Calls StartDeviceAuthorization.
    pub(crate) async fn start_device(
        &self,
        session: &Session,
        client: &ClientRegistration,
    ) -> Result<DeviceCode, Failure> {
        let response = self.call(self.context.retry, || async {
            let call = self.client.start_device_authorization().client_id(&client.id);
            let call = call.client_secret(client.secret.reveal()).start_url(&session.sso.start_url);
            call.send().await.map_err(|error| self.failure(&error))
        });
        let response = response.await?;
        let parts =
            (filled(response.device_code), filled(response.user_code), filled(response.verification_uri));
        let (Some(device_code), Some(user_code), Some(verification_uri), Some(lifetime)) =
            (parts.0, parts.1, parts.2, lifetime(response.expires_in))
        else {
            return Err(incomplete("StartDeviceAuthorization"));
        };
        Ok(DeviceCode {
            secret: Secret::new(device_code),
            user_code: Secret::new(user_code),
            verification_uri_complete: filled(response.verification_uri_complete)
                .unwrap_or_else(|| verification_uri.clone()),
            verification_uri,
            lifetime,
            interval: seconds(response.interval),
        })
    }

    /// Calls CreateToken for a device code: polls once.
    pub(crate) async fn poll(
        &self,
        client: &ClientRegistration,
        code: &DeviceCode,
    ) -> Result<PollOutcome, Failure> {
        let response = self.call(self.context.retry, || async {
            let call = self.client.create_token().grant_type("urn:ietf:params:oauth:grant-type:device_code");
            let call = call.client_id(&client.id).client_secret(client.secret.reveal());
            match call.device_code(code.secret.reveal()).send().await {
                Ok(response) => Ok(Some(response)),
                // The response to the poll, not a limit of the service.
                Err(error) if error.code() == Some("SlowDownException") => Ok(None),
                Err(error) => Err(self.failure(&error)),
            }
        });
        match response.await {
            Ok(Some(response)) => self.token(response, client, None).map(PollOutcome::Token),
            Ok(None) => Ok(PollOutcome::SlowDown),
            Err(failure) => match failure.code.as_deref() {
                Some("AuthorizationPendingException") => Ok(PollOutcome::Pending),
                Some("ExpiredTokenException") => Ok(PollOutcome::Ended),
                Some("AccessDeniedException") => Ok(PollOutcome::Declined),
                _ => Err(failure),
            },
        }
    }

    /// Calls CreateToken for a refresh token.
    pub(crate) async fn refresh(
        &self,
        client: &ClientRegistration,
        refresh_token: &Secret,
        policy: RetryPolicy,
    ) -> Result<RefreshOutcome, Failure> {
        let response = self.call(policy, || async {
            let call = self.client.create_token().grant_type(REFRESH_GRANT);
            let call = call.client_id(&client.id).client_secret(client.secret.reveal());
            call.refresh_token(refresh_token.reveal()).send().await.map_err(|error| self.failure(&error))
        });
        match response.await {
            Ok(response) => self.token(response, client, Some(refresh_token)).map(RefreshOutcome::Token),
            Err(failure) if failure.code.as_deref().is_some_and(|code| ENDED.contains(&code)) => {
                Ok(RefreshOutcome::Ended)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn call<T, F>(&self, policy: RetryPolicy, op: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        retry_loop::call(&self.limiter, None, policy, self.context.on_retry(), op).await.0
    }

    fn token(
        &self,
        response: CreateTokenOutput,
        client: &ClientRegistration,
        refreshed_with: Option<&Secret>,
    ) -> Result<CachedToken, Failure> {
        let (Some(access_token), Some(lifetime)) =
            (filled(response.access_token), lifetime(response.expires_in))
        else {
            return Err(incomplete("CreateToken"));
        };
        Ok(CachedToken {
            access_token: Secret::new(access_token),
            expires_at: self.context.clock.now() + lifetime,
            // The old refresh token stays valid if the response has none.
            refresh_token: filled(response.refresh_token)
                .map(Secret::new)
                .or_else(|| refreshed_with.cloned()),
            client: Some(client.clone()),
        })
    }

    fn failure<E>(&self, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut failure = classify(error, &self.context.clock);
        if let Some(description) = description(error) {
            failure.message = description;
        }
        // No role is denied here and no credentials expire: each call interprets its codes itself.
        if matches!(failure.kind, FailureKind::Denied | FailureKind::DeniedByScp | FailureKind::SignInExpired)
        {
            failure.kind = FailureKind::Failed;
            failure.remedy = Remedy::None;
        }
        failure
    }
}

/// The codes that invalidate a refresh token or its client.
const ENDED: [&str; 8] = [
    "AccessDeniedException",
    "ExpiredTokenException",
    "InvalidClientException",
    "InvalidGrantException",
    "InvalidRequestException",
    "InvalidScopeException",
    "UnauthorizedClientException",
    "UnsupportedGrantTypeException",
];

/// Returns an error's text: OIDC has it in `error_description`, not in `message`. Without a code, it isn't OIDC's.
fn description<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let SdkError::ServiceError(context) = error else { return None };
    context.err().code()?;
    let body: serde_json::Value = serde_json::from_slice(context.raw().body().bytes()?).ok()?;
    body.get("error_description")?.as_str().filter(|text| !text.is_empty()).map(one_line)
}

fn incomplete(operation: &str) -> Failure {
    Failure::new(FailureKind::Failed, format!("the response of {operation} lacks what it should hold"))
        .with_code(INVALID_RESPONSE)
}

/// Returns a text that isn't empty.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Returns a lifetime; the SDK represents a missing one as zero.
fn lifetime(expires_in: i32) -> Option<Duration> {
    Some(seconds(expires_in)).filter(|lifetime| !lifetime.is_zero())
}

fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use ssoinv_http::sdk_settings::Timeouts;
    use ssoinv_http::test_util::{Canned, canned, endpoint_at};

    use super::*;
    use crate::testing::{context, session};

    async fn refreshed(response: Canned) -> Result<RefreshOutcome, Failure> {
        let oidc = oidc(response);
        let client =
            ClientRegistration { id: "c".to_owned(), secret: Secret::new("s"), expires_at: UNIX_EPOCH };
        oidc.refresh(&client, &Secret::new("refresh"), oidc.context.retry).await
    }

    #[tokio::test]
    async fn only_the_services_own_word_ends_a_sign_in() {
        let body = |text: &str| format!(r#"{{"error":"x","error_description":"{text}"}}"#);
        let headers = &[("x-amzn-errortype", "InvalidGrantException")];
        let ended = refreshed((400, headers, body("gone"))).await;
        assert!(matches!(ended, Ok(RefreshOutcome::Ended)));

        let headers = &[("x-amzn-errortype", "SomethingNew")];
        let failure = refreshed((401, headers, body("line\\none"))).await.err().expect("refused");
        assert_eq!((failure.kind, failure.remedy), (FailureKind::Failed, Remedy::None), "{failure:?}");
        assert_eq!(failure.message, "line one", "OIDC's own words");

        let headers = &[("x-amzn-errortype", "InternalServerException")];
        let failure = refreshed((500, headers, body("later"))).await.err().expect("refused");
        assert_eq!((failure.kind, failure.remedy), (FailureKind::Failed, Remedy::TryAgain), "{failure:?}");

        // A third party's response.
        let failure = refreshed((403, &[], body("SECRET"))).await.err().expect("refused");
        assert_eq!((failure.kind, failure.remedy), (FailureKind::Failed, Remedy::TryAgain), "{failure:?}");
        assert!(!format!("{failure:?}").contains("SECRET"), "{failure:?}");
    }

    fn oidc(response: Canned) -> Oidc {
        let context = context(canned(response), Timeouts::default());
        let client = aws_sdk_ssooidc::Client::new(&context.sdk.at(&endpoint_at(None)).build());
        Oidc { client, limiter: Arc::new(RateLimiter::new(PaceLimits::UNDOCUMENTED)), context }
    }

    #[tokio::test]
    async fn what_an_answer_should_hold_is_there_and_not_empty() {
        let session = session();
        let client =
            ClientRegistration { id: "c".to_owned(), secret: Secret::new("s"), expires_at: UNIX_EPOCH };
        let good = |body: &str| oidc((200, &[], body.to_owned()));

        let registered = r#"{"clientId":"c","clientSecret":"s","clientSecretExpiresAt":9223372036854775807}"#;
        let grant = Grant::AuthorizationCode;
        let late = good(registered).register(&session, grant).await.expect("whole");
        assert_eq!(crate::times::timestamp(late.expires_at), "9999-12-31T23:59:59Z");
        for (part, other) in
            [("clientId", "x"), ("clientSecret\"", "x\""), ("\"c\"", "\"\""), ("\"s\"", "\"\"")]
        {
            let body = registered.replace(part, other);
            let failure = good(&body).register(&session, grant).await.expect_err(part);
            assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{body}: {failure:?}");
        }

        let device = r#"{"deviceCode":"d","userCode":"u","verificationUri":"v","expiresIn":600}"#;
        let code = good(device).start_device(&session, &client).await.expect("whole");
        assert_eq!((code.verification_uri_complete.as_str(), code.interval), ("v", Duration::ZERO));
        for (part, other) in [
            ("deviceCode", "x"),
            ("\"d\"", "\"\""),
            ("\"u\"", "\"\""),
            ("\"v\"", "\"\""),
            ("expiresIn", "x"),
            ("600", "-600"),
        ] {
            let body = device.replace(part, other);
            let failure = good(&body).start_device(&session, &client).await.err().expect(part);
            assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{body}: {failure:?}");
        }

        let refreshed = async |body: &str| {
            let oidc = good(body);
            match oidc.refresh(&client, &Secret::new("old"), oidc.context.retry).await {
                Ok(RefreshOutcome::Token(token)) => Ok(token),
                Ok(RefreshOutcome::Ended) => panic!("{body}"),
                Err(failure) => Err(failure),
            }
        };
        let token = refreshed(r#"{"accessToken":"a","expiresIn":3600,"refreshToken":""}"#).await;
        assert_eq!(token.expect("whole").refresh_token, Some(Secret::new("old")), "the old one stays good");
        for body in
            [r#"{"expiresIn":3600}"#, r#"{"accessToken":"","expiresIn":3600}"#, r#"{"accessToken":"a"}"#]
        {
            let failure = refreshed(body).await.expect_err(body);
            assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{body}: {failure:?}");
        }
    }
}
