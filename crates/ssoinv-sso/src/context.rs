//! The inputs of this crate: environment, clock, limits, and whether a person can be asked.
//!
//! [`SsoContext::service_endpoint`] decides where a service is called. Nothing secret goes to an endpoint that is
//! neither https nor this machine, and no region becomes part of a host name before it looks like one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ssoinv_core::clock::Clock;
use ssoinv_core::env::Env;
use ssoinv_core::event::{Event, Events};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::scope::is_region_name;
use ssoinv_core::service::ServiceInfo;
use ssoinv_http::sdk_settings::SdkSettings;
use ssoinv_http::service_endpoint::ServiceEndpoint;
use ssoinv_profile::{Profile, endpoint_for};

/// The kinds of interaction that a sign-in may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interaction {
    /// A person can approve a sign-in in a browser.
    Person,
    /// No person: `--no-input`, or no terminal.
    None,
}

/// The flow of a sign-in to an sso-session. For the legacy format it is always a device code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignInFlow {
    /// A page in a browser of this machine, which comes back to it (authorization code with PKCE).
    Page {
        /// The port of this machine that the browser comes back to; any free one if none is set.
        redirect_port: Option<u16>,
    },
    /// A code that is approved in any browser.
    DeviceCode,
}

/// The inputs of this crate.
#[derive(Clone, Debug)]
pub struct SsoContext {
    /// The home directory, for `~/.aws/sso/cache`; without it nothing is cached.
    pub home: Option<PathBuf>,
    /// The environment.
    pub env: Env,
    /// The time of day.
    pub clock: Clock,
    /// The receiver of events.
    pub events: Events,
    /// True if a person can be asked to sign in.
    pub interaction: Interaction,
    /// The flow of a sign-in.
    pub flow: SignInFlow,
    /// The retry policy of calls to the portal, the sign-in and STS; the portal's limits last for minutes.
    pub retry: RetryPolicy,
    /// The limits of calls to a portal.
    pub portal_pace: PaceLimits,
    /// The settings of all clients.
    pub sdk: SdkSettings,
    /// True if tokens may be refreshed, which invalidates the refresh token in the shared cache.
    ///
    /// Otherwise the present tokens are used as they are, and no file is written.
    pub refresh_tokens: bool,
    /// True if `credential_process` may be run.
    pub run_processes: bool,
    /// True if role credentials are shared with the AWS CLI through its cache.
    pub credential_cache: bool,
}

impl SsoContext {
    /// Returns a callback for [`ssoinv_http::retry_loop::call`] that reports the retry of a sign-in's call.
    pub(crate) fn on_retry(&self) -> impl Fn(&Failure, Duration) {
        |failure, delay| {
            self.events.emit(Event::Retrying { task: None, failure: Arc::new(failure.clone()), delay });
        }
    }

    /// Returns the endpoint of `service` in `region`; a profile may set it.
    ///
    /// # Errors
    /// [`FailureKind::Misconfigured`] with `InvalidRegion` or `InsecureEndpoint`, if nothing secret may go there.
    pub fn service_endpoint(
        &self,
        service: &ServiceInfo,
        profile: Option<&Profile>,
        region: &str,
    ) -> Result<ServiceEndpoint, Failure> {
        if !is_region_name(region) {
            return Err(misconfigured("InvalidRegion", format!("`{region}` is not the name of a region")));
        }
        let endpoint = endpoint_for(service, profile.map(|profile| &profile.endpoints), &self.env);
        if let Some(endpoint) = &endpoint
            && !endpoint.is_secure()
        {
            let message = format!(
                "the endpoint `{}` ({}) is neither https nor on this machine, so nothing secret goes there",
                endpoint.url, endpoint.origin
            );
            return Err(misconfigured("InsecureEndpoint", message));
        }
        let flag = |variable: &str, own: Option<bool>| {
            self.env.get(variable).map(|value| value.eq_ignore_ascii_case("true")).or(own).unwrap_or(false)
        };
        Ok(ServiceEndpoint {
            region: region.into(),
            url: endpoint.map(|endpoint| endpoint.url.into()),
            use_fips: flag("AWS_USE_FIPS_ENDPOINT", profile.and_then(|profile| profile.use_fips_endpoint)),
            use_dual_stack: flag(
                "AWS_USE_DUALSTACK_ENDPOINT",
                profile.and_then(|profile| profile.use_dualstack_endpoint),
            ),
        })
    }
}

/// Returns the failure of a profile or setting that can't be used.
pub(crate) fn misconfigured(code: &str, message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Misconfigured, message).with_code(code)
}
