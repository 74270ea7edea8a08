//! STS: assuming roles, and asking whose credentials these are.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::config::IdentityCache;
use aws_sdk_sts::types::Credentials;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::scope::{AccountId, Partition};
use ssoinv_core::secret::Secret;

use crate::attempt::{self, Turnstile};
use crate::classify::classify;
use crate::credentials::{Identity, RoleCredentials};
use crate::http::Place;
use crate::profile::{AssumeRole, WebIdentity};
use crate::session::{SsoContext, misconfigured};

/// STS allows 600 calls a second for an account and region (IAM User Guide, "IAM and AWS STS quotas"); a tenth leaves
/// room for others.
const PACE: PaceLimits =
    PaceLimits { burst: 60.0, initial_rate: 60.0, max_rate: 60.0, min_rate: 0.5, rise: 5.0 };

/// All calls to STS.
#[derive(Debug)]
pub(crate) struct Sts {
    turnstile: Turnstile,
    context: Arc<SsoContext>,
}

impl Sts {
    pub(crate) fn new(context: Arc<SsoContext>) -> Self {
        Self { turnstile: Turnstile::new(PACE), context }
    }

    /// AssumeRole with the credentials of `source`. [`Remedy::Renew`] says that those have ended.
    pub(crate) async fn assume_role(
        &self,
        role: &AssumeRole,
        source: &RoleCredentials,
        place: &Place,
    ) -> Result<RoleCredentials, Failure> {
        let client = self.client(Some(source), place);
        let call = client
            .assume_role()
            .role_arn(&role.role.arn)
            .role_session_name(self.session_name(role.role_session_name.as_deref()))
            .set_external_id(role.external_id.clone())
            .set_duration_seconds(role.duration_seconds.and_then(|seconds| i32::try_from(seconds).ok()));
        let answer =
            self.call(|| async { call.clone().send().await.map_err(|error| self.failure(&error)) }).await;
        let answer = answer.map_err(|failure| not_assumed(&role.role.arn, failure))?;
        let arn = answer.assumed_role_user.map(|user| user.arn);
        given(answer.credentials, arn)
    }

    /// AssumeRoleWithWebIdentity, with the token that the file holds now.
    pub(crate) async fn assume_role_with_web_identity(
        &self,
        identity: &WebIdentity,
        place: &Place,
    ) -> Result<RoleCredentials, Failure> {
        let file = &identity.token_file;
        let token = tokio::fs::read_to_string(file).await.map_err(|error| {
            let message = format!("the token in `{}` cannot be read: {error}", file.display());
            misconfigured("WebIdentityTokenUnreadable", message)
        })?;
        let client = self.client(None, place);
        let call = client
            .assume_role_with_web_identity()
            .role_arn(&identity.role.arn)
            .role_session_name(self.session_name(identity.role_session_name.as_deref()))
            .web_identity_token(token.trim());
        let answer =
            self.call(|| async { call.clone().send().await.map_err(|error| self.failure(&error)) }).await;
        let answer = answer.map_err(|mut failure| {
            // The token in the file has ended; there is nothing here to renew it with.
            if failure.remedy == Remedy::Renew {
                failure.remedy = Remedy::None;
                failure.kind = FailureKind::Failed;
            }
            not_assumed(&identity.role.arn, failure)
        })?;
        let arn = answer.assumed_role_user.map(|user| user.arn);
        given(answer.credentials, arn)
    }

    /// GetCallerIdentity: whose credentials these are. [`Remedy::Renew`] says that they have ended.
    pub(crate) async fn caller(
        &self,
        credentials: &RoleCredentials,
        place: &Place,
    ) -> Result<Identity, Failure> {
        let client = self.client(Some(credentials), place);
        let call =
            || async { client.get_caller_identity().send().await.map_err(|error| self.failure(&error)) };
        let answer = self.call(call).await?;
        let arn = answer.arn.filter(|arn| !arn.is_empty());
        let partition = arn.as_deref().and_then(|arn| arn.split(':').nth(1)).and_then(Partition::from_name);
        let account_id =
            answer.account.and_then(|account| account.parse::<AccountId>().ok()).ok_or_else(|| {
                let message = "the answer of GetCallerIdentity names no account";
                Failure::new(FailureKind::Failed, message).with_code("InvalidResponse")
            })?;
        Ok(Identity { account_id, partition: partition.unwrap_or_default(), arn: arn.map(Arc::from) })
    }

    fn client(&self, credentials: Option<&RoleCredentials>, place: &Place) -> aws_sdk_sts::Client {
        let mut config = self.context.sdk.at(place).identity_cache(IdentityCache::no_cache());
        if let Some(credentials) = credentials {
            config = config.credentials_provider(SharedCredentialsProvider::new(credentials.to_sdk()));
        }
        aws_sdk_sts::Client::new(&config.build())
    }

    /// A role session's name: the profile's, else one that tells the tool and the time.
    fn session_name(&self, named: Option<&str>) -> String {
        let since = self.context.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        named.map_or_else(|| format!("ssoinv-{}", since.as_secs()), str::to_owned)
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
        let mut failure = classify(error, self.context.clock.now());
        match failure.code.as_deref() {
            Some("ExpiredToken" | "ExpiredTokenException") => failure.remedy = Remedy::Renew,
            Some("IDPCommunicationError") => failure.remedy = Remedy::TryAgain,
            Some(
                "AccessDenied"
                | "AccessDeniedException"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException",
            ) => {
                let scp = failure.message.contains("with an explicit deny in a service control policy");
                failure.kind = if scp { FailureKind::DeniedByScp } else { FailureKind::Denied };
            }
            _ => {}
        }
        failure
    }
}

fn not_assumed(arn: &str, failure: Failure) -> Failure {
    let message = format!("role `{arn}` cannot be assumed: {}", failure.message);
    Failure { message, ..failure }
}

fn given(credentials: Option<Credentials>, arn: Option<String>) -> Result<RoleCredentials, Failure> {
    let Some(credentials) = credentials else {
        return Err(Failure::new(FailureKind::Failed, "the answer of STS holds no credentials")
            .with_code("InvalidResponse"));
    };
    Ok(RoleCredentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: Secret::new(credentials.secret_access_key),
        session_token: Some(Secret::new(credentials.session_token)),
        expires_at: credentials.expiration.try_into().ok(),
        caller_arn: arn.map(Arc::from),
    })
}
