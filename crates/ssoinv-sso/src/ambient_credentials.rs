//! The machine's own credentials (`credential_source`): of its environment, EC2 instance or container.

use std::sync::Arc;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::client::EndpointMode;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use ssoinv_core::env::Env;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::secret::Secret;

use crate::context::{SsoContext, misconfigured};
use crate::role_credentials::RoleCredentials;
use crate::times::parse_time;

/// The longest time that the instance's metadata service may take to connect, and to respond.
const PATIENCE: Duration = Duration::from_secs(1);

/// Returns the keys in the environment (`credential_source = Environment`).
pub(crate) fn from_environment(env: &Env) -> Result<RoleCredentials, Failure> {
    let variable = |name: &str| env.get(name).filter(|value| !value.is_empty());
    let (Some(access_key_id), Some(secret)) =
        (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
    else {
        let message = "the environment has no `AWS_ACCESS_KEY_ID`, or no `AWS_SECRET_ACCESS_KEY`";
        return Err(misconfigured("NoEnvironmentKeys", message));
    };
    Ok(RoleCredentials {
        access_key_id: access_key_id.clone(),
        secret_access_key: Secret::new(secret.as_str()),
        session_token: variable("AWS_SESSION_TOKEN").map(|token| Secret::new(token.as_str())),
        expires_at: variable("AWS_CREDENTIAL_EXPIRATION").and_then(|time| parse_time(time)),
        caller_arn: None,
    })
}

/// Fetches the credentials of this EC2 instance's role.
pub(crate) async fn of_instance(context: &SsoContext) -> Result<RoleCredentials, Failure> {
    let variable = |name: &str| context.env.get(name).filter(|value| !value.is_empty());
    if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        let message = "the identity of the EC2 instance is switched off by `AWS_EC2_METADATA_DISABLED`";
        return Err(misconfigured("InstanceMetadataDisabled", message));
    }
    let config = provider_config(context);
    let mut client = aws_config::imds::Client::builder().configure(&config);
    let ipv6 = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
    let default = if ipv6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
    let endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").map_or(default, String::as_str);
    // Set in full, so that the provider looks neither in the environment nor in the files.
    client = client.endpoint_mode(if ipv6 { EndpointMode::IpV6 } else { EndpointMode::IpV4 });
    // As in botocore: one attempt of a second, so that a machine that isn't an instance isn't held up.
    client = client.connect_timeout(PATIENCE).read_timeout(PATIENCE).max_attempts(1);
    client = client.endpoint(endpoint).map_err(|error| {
        misconfigured(
            "InvalidMetadataEndpoint",
            format!("`AWS_EC2_METADATA_SERVICE_ENDPOINT` is not a URL: {error}"),
        )
    })?;
    let provider = ImdsCredentialsProvider::builder().configure(&config).imds_client(client.build()).build();
    given(provider.provide_credentials().await, "this EC2 instance")
}

/// Fetches the credentials of this container's role.
///
/// The SDK's provider reads `AWS_CONTAINER_CREDENTIALS_*` from the process's environment. So the environment that is
/// passed in is checked first: without the variables no call is made.
pub(crate) async fn of_container(context: &SsoContext) -> Result<RoleCredentials, Failure> {
    const URIS: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    if !URIS.iter().any(|name| context.env.contains_key(*name)) {
        let message = format!("`credential_source = EcsContainer` needs `{}` or `{}`", URIS[0], URIS[1]);
        return Err(misconfigured("NoContainerCredentials", message));
    }
    let provider = EcsCredentialsProvider::builder().configure(&provider_config(context)).build();
    given(provider.provide_credentials().await, "this container")
}

fn provider_config(context: &SsoContext) -> ProviderConfig {
    let common = context.sdk.common();
    let mut config = ProviderConfig::empty();
    if let Some(http) = common.http_client() {
        config = config.with_http_client(http);
    }
    if let Some(time) = common.time_source() {
        config = config.with_time_source(time);
    }
    if let Some(sleep) = common.sleep_impl() {
        config = config.with_sleep_impl(sleep);
    }
    config
}

fn given(response: Result<Credentials, CredentialsError>, whose: &str) -> Result<RoleCredentials, Failure> {
    let credentials = response.map_err(|error| {
        let mut reason: &dyn std::error::Error = &error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        let kind = match &error {
            CredentialsError::InvalidConfiguration(_) => FailureKind::Misconfigured,
            CredentialsError::ProviderError(_) => FailureKind::Failed,
            _ => FailureKind::Unreachable,
        };
        Failure::new(kind, format!("no credentials of {whose}: {reason}")).with_code("NoMachineCredentials")
    })?;
    Ok(RoleCredentials {
        access_key_id: credentials.access_key_id().to_owned(),
        secret_access_key: Secret::new(credentials.secret_access_key()),
        session_token: credentials.session_token().filter(|token| !token.is_empty()).map(Secret::new),
        expires_at: credentials.expiry(),
        caller_arn: None::<Arc<str>>,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_needs_both_keys() {
        let env = |pairs: &[(&str, &str)]| -> Env {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let half = from_environment(&env(&[("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "")]));
        assert_eq!(half.unwrap_err().code.as_deref(), Some("NoEnvironmentKeys"));
        let whole = from_environment(&env(&[
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_SESSION_TOKEN", "t"),
            ("AWS_CREDENTIAL_EXPIRATION", "2026-01-02T03:04:05Z"),
        ]))
        .unwrap();
        assert_eq!(whole.session_token, Some(Secret::new("t")));
        assert_eq!(whole.expires_at, parse_time("2026-01-02T03:04:05Z"));
    }
}
