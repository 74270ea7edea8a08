//! The calls to STS: assuming roles, and GetCallerIdentity.
//!
//! The XML must be complete ([`ssoinv_http::complete_xml`]), and so must the credentials: the SDK's decoder would
//! make shorter keys of the one, and empty keys of the other.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::config::IdentityCache;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
use aws_sdk_sts::types::Credentials;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SdkConfig;
use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::scope::{AccountId, Partition};
use ssoinv_core::secret::Secret;
use ssoinv_core::service::ServiceInfo;
use ssoinv_http::classify::{INVALID_RESPONSE, classify};
use ssoinv_http::complete_xml::CompleteXml;
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_http::retry_loop;
use ssoinv_http::scoped_calls::{CallError, ScopedCalls, Service};
use ssoinv_http::service_endpoint::ServiceEndpoint;
use ssoinv_profile::{AssumeRole, WebIdentity};

use crate::context::{SsoContext, misconfigured};
use crate::identity::Identity;
use crate::role_credentials::RoleCredentials;
use crate::services::STS;

/// The rate of all calls to STS.
///
/// STS allows 600 calls a second in an account and region (IAM User Guide, "IAM and AWS STS quotas"); a tenth leaves
/// room for others.
const PACE: PaceLimits =
    PaceLimits { burst: 60.0, initial_rate: 60.0, max_rate: 60.0, min_rate: 0.5, rise: 5.0 };

/// STS as a service that is called from a scope.
struct StsService;

impl Service for StsService {
    type Client = aws_sdk_sts::Client;

    const INFO: &'static ServiceInfo = &STS;

    fn client(config: &SdkConfig) -> Self::Client {
        let config = aws_sdk_sts::config::Builder::from(config).interceptor(CompleteXml);
        aws_sdk_sts::Client::from_conf(config.build())
    }
}

/// Calls GetCallerIdentity from a scope: whose credentials its calls use.
///
/// # Errors
/// As [`ScopedCalls::call`].
pub async fn caller_identity(calls: &ScopedCalls) -> Result<Identity, CallError> {
    let attempt = |client: aws_sdk_sts::Client| async move {
        let response = client.get_caller_identity().send().await?;
        Ok(identity(response)?)
    };
    calls.call::<StsService, _, _>("GetCallerIdentity", attempt).await
}

/// Reads the response of GetCallerIdentity.
fn identity(response: GetCallerIdentityOutput) -> Result<Identity, Failure> {
    let arn = response.arn.filter(|arn| !arn.is_empty());
    let partition = arn.as_deref().and_then(|arn| arn.split(':').nth(1)).and_then(Partition::from_name);
    let account_id = response.account.and_then(|account| account.parse::<AccountId>().ok());
    let account_id = account_id.ok_or_else(|| {
        Failure::new(FailureKind::Failed, "GetCallerIdentity named no account").with_code(INVALID_RESPONSE)
    })?;
    let user_id = response.user_id.filter(|id| !id.is_empty()).map(Arc::from);
    Ok(Identity { account_id, partition: partition.unwrap_or_default(), arn: arn.map(Arc::from), user_id })
}

/// The calls to STS.
#[derive(Debug)]
pub(crate) struct Sts {
    limiter: RateLimiter,
    context: Arc<SsoContext>,
}

impl Sts {
    pub(crate) fn new(context: Arc<SsoContext>) -> Self {
        Self { limiter: RateLimiter::new(PACE), context }
    }

    /// Calls AssumeRole with the credentials of `source`. [`Remedy::Renew`] says that these have expired.
    pub(crate) async fn assume_role(
        &self,
        role: &AssumeRole,
        source: &RoleCredentials,
        endpoint: &ServiceEndpoint,
    ) -> Result<RoleCredentials, Failure> {
        let client = self.client(Some(source), endpoint);
        let call = client
            .assume_role()
            .role_arn(&role.role.arn)
            .role_session_name(self.session_name(role.role_session_name.as_deref()))
            .set_external_id(role.external_id.clone())
            .set_duration_seconds(role.duration_seconds.and_then(|seconds| i32::try_from(seconds).ok()));
        let response = self.call(|| async {
            let call = call.clone().customize().interceptor(CompleteXml);
            call.send().await.map_err(|error| self.failure(&error))
        });
        let response = response.await.map_err(|failure| not_assumed(&role.role.arn, failure))?;
        let arn = response.assumed_role_user.map(|user| user.arn);
        given(response.credentials, arn)
    }

    /// Calls AssumeRoleWithWebIdentity with the token that the file holds now.
    pub(crate) async fn assume_role_with_web_identity(
        &self,
        identity: &WebIdentity,
        endpoint: &ServiceEndpoint,
    ) -> Result<RoleCredentials, Failure> {
        let file = &identity.token_file;
        let token = tokio::fs::read_to_string(file).await.map_err(|error| {
            let message = format!("the token in `{}` cannot be read: {error}", file.display());
            misconfigured("WebIdentityTokenUnreadable", message)
        })?;
        let client = self.client(None, endpoint);
        let call = client
            .assume_role_with_web_identity()
            .role_arn(&identity.role.arn)
            .role_session_name(self.session_name(identity.role_session_name.as_deref()))
            .web_identity_token(token.trim());
        let response = self.call(|| async {
            let call = call.clone().customize().interceptor(CompleteXml);
            call.send().await.map_err(|error| self.failure(&error))
        });
        let response = response.await.map_err(|mut failure| {
            // The token in the file has expired, and nothing here renews it.
            if failure.remedy == Remedy::Renew {
                failure.remedy = Remedy::None;
                failure.kind = FailureKind::Failed;
            }
            not_assumed(&identity.role.arn, failure)
        })?;
        let arn = response.assumed_role_user.map(|user| user.arn);
        given(response.credentials, arn)
    }

    /// Calls GetCallerIdentity. [`Remedy::Renew`] says that the credentials have expired.
    pub(crate) async fn caller(
        &self,
        credentials: &RoleCredentials,
        endpoint: &ServiceEndpoint,
    ) -> Result<Identity, Failure> {
        let client = self.client(Some(credentials), endpoint);
        let response = self.call(|| async {
            let call = client.get_caller_identity().customize().interceptor(CompleteXml);
            call.send().await.map_err(|error| self.failure(&error))
        });
        identity(response.await?)
    }

    fn client(
        &self,
        credentials: Option<&RoleCredentials>,
        endpoint: &ServiceEndpoint,
    ) -> aws_sdk_sts::Client {
        let mut config = self.context.sdk.at(endpoint).identity_cache(IdentityCache::no_cache());
        if let Some(credentials) = credentials {
            config = config.credentials_provider(SharedCredentialsProvider::new(credentials.to_sdk()));
        }
        aws_sdk_sts::Client::new(&config.build())
    }

    /// Returns the name of a role session: the profile's, else one with the tool's name and the time.
    fn session_name(&self, named: Option<&str>) -> String {
        let since = self.context.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        named.map_or_else(|| format!("ssoinv-{}", since.as_secs()), str::to_owned)
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
        match failure.code.as_deref() {
            Some("IDPCommunicationError") => failure.remedy = Remedy::TryAgain,
            // The status is 403, but the role isn't denied anything.
            Some("IDPRejectedClaim" | "RegionDisabledException") => failure.kind = FailureKind::Failed,
            _ => {}
        }
        // The credentials or the token of the request have expired, not the sign-in.
        if failure.kind == FailureKind::SignInExpired {
            failure.kind = FailureKind::Failed;
        }
        // Callers of STS don't ask which regions are enabled.
        if failure.remedy == Remedy::CheckRegion {
            failure.remedy = Remedy::None;
        }
        failure
    }
}

fn not_assumed(arn: &str, failure: Failure) -> Failure {
    let message = format!("role `{arn}` cannot be assumed: {}", failure.message);
    Failure { message, ..failure }
}

fn given(credentials: Option<Credentials>, arn: Option<String>) -> Result<RoleCredentials, Failure> {
    let is_whole = |given: &Credentials| {
        let keys = [&given.access_key_id, &given.secret_access_key, &given.session_token];
        given.expiration.secs() > 0 && keys.iter().all(|key| !key.is_empty())
    };
    let Some(credentials) = credentials.filter(is_whole) else {
        let message = "the response of STS holds no credentials, or not all of them";
        return Err(Failure::new(FailureKind::Failed, message).with_code(INVALID_RESPONSE));
    };
    Ok(RoleCredentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: Secret::new(credentials.secret_access_key),
        session_token: Some(Secret::new(credentials.session_token)),
        expires_at: credentials.expiration.try_into().ok(),
        caller_arn: arn.map(Arc::from),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use ssoinv_http::sdk_settings::Timeouts;
    use ssoinv_http::test_util::{Canned, canned, endpoint_at};
    use ssoinv_profile::{AmbientSource, RoleArn, RoleSource};

    use super::*;
    use crate::testing::context;

    const ASSUMED: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>\
        <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
        <Expiration>2026-07-01T01:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::111122223333:x</Arn>\
        <AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>";
    const CALLER: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/x</Arn>\
        <UserId>AIDA</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

    fn sts(response: Canned) -> Sts {
        Sts::new(context(canned(response), Timeouts::default()))
    }

    fn keys() -> RoleCredentials {
        RoleCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: None,
            expires_at: None,
            caller_arn: None,
        }
    }

    fn arn() -> RoleArn {
        RoleArn::parse("arn:aws:iam::111122223333:role/x").expect("an ARN")
    }

    async fn assume(response: Canned) -> Result<RoleCredentials, Failure> {
        let role = AssumeRole {
            profile: "dev".to_owned(),
            role: arn(),
            source: RoleSource::Machine(AmbientSource::Environment),
            external_id: None,
            role_session_name: None,
            duration_seconds: None,
            mfa_serial: None,
        };
        sts(response).assume_role(&role, &keys(), &endpoint_at(None)).await
    }

    async fn assume_with_token(response: Canned) -> Result<RoleCredentials, Failure> {
        let mut token = tempfile::NamedTempFile::new().expect("a file");
        token.write_all(b"token").expect("written");
        let identity =
            WebIdentity { role: arn(), token_file: token.path().to_owned(), role_session_name: None };
        sts(response).assume_role_with_web_identity(&identity, &endpoint_at(None)).await
    }

    async fn caller(response: Canned) -> Result<Identity, Failure> {
        sts(response).caller(&keys(), &endpoint_at(None)).await
    }

    /// HTTP doesn't detect these cuts.
    #[tokio::test]
    async fn half_an_answer_never_counts() {
        let with_token = ASSUMED.replace("AssumeRoleRes", "AssumeRoleWithWebIdentityRes");
        let good = |body: &str| (200, &[][..], body.to_owned());
        assert_eq!(assume(good(ASSUMED)).await.expect("whole").access_key_id, "ASIA1");
        assert_eq!(assume_with_token(good(&with_token)).await.expect("whole").access_key_id, "ASIA1");
        assert_eq!(caller(good(CALLER)).await.expect("whole").account_id.as_str(), "111122223333");
        let broken = |failure: Option<Failure>, body: &str| {
            let failure = failure.unwrap_or_else(|| panic!("taken: {body}"));
            assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{failure:?}");
            assert_eq!(
                (failure.kind, failure.remedy),
                (FailureKind::Failed, Remedy::TryAgain),
                "{failure:?}"
            );
        };
        for cut in 0..ASSUMED.len() {
            broken(assume(good(&ASSUMED[..cut])).await.err(), &ASSUMED[..cut]);
        }
        for cut in (0..with_token.len()).step_by(7) {
            broken(assume_with_token(good(&with_token[..cut])).await.err(), &with_token[..cut]);
        }
        for cut in 0..CALLER.len() {
            broken(caller(good(&CALLER[..cut])).await.err(), &CALLER[..cut]);
        }
    }

    #[tokio::test]
    async fn credentials_are_all_there_or_none() {
        for part in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
            let body = ASSUMED.replace(part, "Other");
            let failure = assume((200, &[], body)).await.expect_err(part);
            assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{part}");
        }
        let failure =
            assume((200, &[], "<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>".to_owned()));
        assert_eq!(failure.await.expect_err("nothing").code.as_deref(), Some(INVALID_RESPONSE));
    }

    #[tokio::test]
    async fn refusals_mean_what_they_mean_to_sts() {
        use FailureKind::{Denied, DeniedByScp, Failed, Throttled};
        for (status, code, message, kind, remedy) in [
            (403, "AccessDenied", "not authorized to perform: sts:AssumeRole", Denied, Remedy::None),
            (
                403,
                "AccessDenied",
                "with an explicit deny in a service control policy",
                DeniedByScp,
                Remedy::None,
            ),
            (403, "AccessDenied", "no service control policy allows the action", DeniedByScp, Remedy::None),
            (403, "InvalidClientTokenId", "The security token is invalid", Denied, Remedy::None),
            (403, "ExpiredToken", "The security token has expired", Failed, Remedy::Renew),
            (403, "RegionDisabledException", "STS is not activated", Failed, Remedy::None),
            (403, "IDPRejectedClaim", "no", Failed, Remedy::None),
            (400, "IDPCommunicationError", "", Failed, Remedy::TryAgain),
            (400, "ValidationError", "", Failed, Remedy::None),
            (400, "Throttling", "Rate exceeded", Throttled, Remedy::SlowDown { after: None }),
        ] {
            let body = format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            );
            let headers = &[("x-amzn-requestid", "r-1")];
            let failure = caller((status, headers, body.clone())).await.expect_err(code);
            assert_eq!((failure.kind, failure.remedy), (kind, remedy), "{failure:?}");
            assert_eq!(failure.code.as_deref(), Some(code));
            // Nothing renews the token of a file.
            let failure = assume_with_token((status, headers, body)).await.expect_err(code);
            let remedy = if remedy == Remedy::Renew { Remedy::None } else { remedy };
            assert_eq!((failure.kind, failure.remedy), (kind, remedy), "{failure:?}");
        }
    }
}
