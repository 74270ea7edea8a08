//! The settings that the clients of all AWS services have in common.
//!
//! The SDK's own retries and caches are off: [`crate::retry_loop`] retries, and the credential store of `ssoinv-sso`
//! caches.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::app_name::AppName;
use aws_types::region::Region;
use aws_types::sdk_config;
use aws_types::sdk_ua_metadata::FrameworkMetadata;
use ssoinv_core::clock::Clock;

use crate::request_id::RequestIdRecorder;
use crate::role_credentials::RoleCredentials;
use crate::service_endpoint::ServiceEndpoint;

/// The longest times that a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, with TLS and proxy.
    pub connect: Duration,
    /// For one attempt, from the request to the complete response.
    pub attempt: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), attempt: Duration::from_mins(1) }
    }
}

/// The settings that the clients of all AWS services have in common.
#[derive(Clone, Debug)]
pub struct SdkSettings {
    common: SdkConfig,
    /// The longest time that a connection may take.
    connect: Duration,
}

impl SdkSettings {
    /// Creates the settings, over one HTTP client.
    #[must_use]
    pub fn new(http: SharedHttpClient, clock: &Clock, timeouts: Timeouts) -> Self {
        // A host that can't be reached should be reported as such, not as a late response.
        let connect = timeouts.connect.min(timeouts.attempt.mul_f64(0.9));
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(connect)
            .operation_attempt_timeout(timeouts.attempt)
            // With the SDK's retries off, an operation is one attempt and what precedes it. The attempt's time-out
            // should always come first.
            .operation_timeout(timeouts.attempt + Duration::from_secs(1))
            .build();
        let mut common = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .time_source(SharedTimeSource::new(WallClock(clock.clone())))
            .sleep_impl(TokioSleep::new())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled().grace_period(Duration::from_secs(20)).build(),
            );
        // `app/ssoinv` and `lib/ssoinv/0.1.0`: the name of an application can't have a slash.
        common.set_app_name(AppName::new("ssoinv").ok());
        if let Ok(name) = FrameworkMetadata::new("ssoinv", Some(env!("CARGO_PKG_VERSION"))) {
            common = common.framework_metadata(name);
        }
        Self { common: common.build(), connect }
    }

    /// Returns the longest time that a connection may take.
    ///
    /// A call that has waited longer for its response is connected.
    /// connected.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.connect
    }

    /// Returns the settings without an endpoint.
    #[must_use]
    pub fn common(&self) -> &SdkConfig {
        &self.common
    }

    /// Returns the settings of clients at `endpoint` that sign with `credentials` and report to `request_id`.
    pub(crate) fn config(
        &self,
        endpoint: &ServiceEndpoint,
        credentials: &RoleCredentials,
        request_id: &RequestIdRecorder,
    ) -> SdkConfig {
        let http = self.common.http_client().map(|http| request_id.wrap(http));
        let mut builder = self.at(endpoint);
        builder.set_http_client(http);
        builder.credentials_provider(SharedCredentialsProvider::new(credentials.to_sdk())).build()
    }

    /// Returns the settings of clients at `endpoint`, without credentials.
    #[must_use]
    pub fn at(&self, endpoint: &ServiceEndpoint) -> sdk_config::Builder {
        let builder = self.common.to_builder().region(Region::new(endpoint.region.to_string()));
        match &endpoint.url {
            // The services' endpoint rules refuse both together: a URL that is set wins.
            Some(url) => builder.endpoint_url(url.to_string()),
            None => builder.use_fips(endpoint.use_fips).use_dual_stack(endpoint.use_dual_stack),
        }
    }
}

/// The clock that is passed in, for signatures.
struct WallClock(Clock);

impl TimeSource for WallClock {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use ssoinv_core::env::Env;

    use super::*;
    use crate::http_client::client;

    #[tokio::test]
    async fn a_named_endpoint_replaces_fips_and_dual_stack() {
        let http = client(&Env::new(), None, NonZeroUsize::MIN, None).unwrap();
        let sdk = SdkSettings::new(http, &Clock::system(), Timeouts::default());
        let mut endpoint =
            ServiceEndpoint { region: "eu-west-1".into(), url: None, use_fips: true, use_dual_stack: true };
        let aws = sdk.at(&endpoint).build();
        assert_eq!(
            (aws.use_fips(), aws.use_dual_stack(), aws.endpoint_url()),
            (Some(true), Some(true), None)
        );
        endpoint.url = Some("http://127.0.0.1:1".into());
        let own = sdk.at(&endpoint).build();
        assert_eq!((own.use_fips(), own.endpoint_url()), (None, Some("http://127.0.0.1:1")));
        assert!(!own.retry_config().expect("set").has_retry());
    }
}
