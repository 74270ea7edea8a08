//! Responses that are written in advance, for the tests of this crate and of the crates above it.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use futures::FutureExt;
use futures::future::BoxFuture;
use ssoinv_core::clock::Clock;
use ssoinv_core::env::Env;
use ssoinv_core::failure::Failure;
use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::scope::{Partition, Place, Scope};
use ssoinv_core::secret::Secret;
use ssoinv_core::service::ServiceInfo;
use tokio::sync::Semaphore;

use crate::circuit_breaker::{CircuitBreaker, CircuitBreakers, HostKey};
use crate::http_client::client;
use crate::rate_limiter::RateLimiter;
use crate::role_credentials::RoleCredentials;
use crate::scoped_calls::{CallLimits, Caller, ScopedCalls, Unobserved};
use crate::sdk_settings::{SdkSettings, Timeouts};
use crate::service_endpoint::ServiceEndpoint;

/// A response: status, headers, body.
pub type Canned = (u16, &'static [(&'static str, &'static str)], String);

#[derive(Debug)]
struct CannedConnector(Canned);

impl HttpConnector for CannedConnector {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Ok(response(&self.0)))
    }
}

/// Returns the response as the SDK sees it.
///
/// # Panics
/// If the status isn't one.
#[must_use]
pub fn response((status, headers, body): &Canned) -> HttpResponse {
    let status = StatusCode::try_from(*status).expect("a status");
    let mut response = HttpResponse::new(status, SdkBody::from(body.clone()));
    for (name, value) in *headers {
        response.headers_mut().insert(*name, *value);
    }
    response
}

/// Returns a client whose every call gets the same response.
#[must_use]
pub fn canned(response: Canned) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(CannedConnector(response));
    http_client_fn(move |_, _| connector.clone())
}

/// Returns the client that the program uses.
///
/// # Panics
/// If the environment names a proxy that can't be one.
#[must_use]
pub fn over_the_wire(env: &Env) -> SharedHttpClient {
    client(env, None, NonZeroUsize::MIN, None).expect("a client")
}

/// Returns a clock that stands at midnight of 1 July 2026.
#[must_use]
pub fn clock() -> Clock {
    Clock::from_fn(|| UNIX_EPOCH + Duration::from_hours(495_240))
}

/// Returns an endpoint in Ireland: AWS's own, or `url`.
#[must_use]
pub fn endpoint_at(url: Option<&str>) -> ServiceEndpoint {
    ServiceEndpoint {
        region: "eu-west-1".into(),
        url: url.map(Arc::from),
        use_fips: false,
        use_dual_stack: false,
    }
}

/// A server that returns responses in order, the last one again and again, and remembers the requests.
#[derive(Clone, Debug)]
pub struct CannedHttp {
    responses: Arc<Mutex<VecDeque<Canned>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl HttpConnector for CannedHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().map(|body| String::from_utf8_lossy(body).into_owned());
        let line = format!("{} {} {}", request.method(), request.uri(), body.unwrap_or_default());
        self.requests.lock().expect("no panic").push(line.trim_end().to_owned());
        let mut responses = self.responses.lock().expect("no panic");
        let next = if responses.len() > 1 { responses.pop_front() } else { responses.front().cloned() };
        HttpConnectorFuture::ready(Ok(response(&next.expect("a response"))))
    }
}

impl CannedHttp {
    /// Makes a server with these responses.
    #[must_use]
    pub fn new(responses: impl IntoIterator<Item = Canned>) -> Self {
        Self { responses: Arc::new(Mutex::new(responses.into_iter().collect())), requests: Arc::default() }
    }

    /// Makes a server with one response of status 200.
    #[must_use]
    pub fn ok(body: &str) -> Self {
        Self::pages([body])
    }

    /// Makes a server with responses of status 200.
    #[must_use]
    pub fn pages<'a>(bodies: impl IntoIterator<Item = &'a str>) -> Self {
        let headers: &[_] = &[("content-type", "text/plain"), ("x-amzn-requestid", "r-1")];
        Self::new(bodies.into_iter().map(|body| (200, headers, body.to_owned())))
    }

    /// Returns method, URL and body of each request.
    ///
    /// # Panics
    /// After a panic in another thread.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

/// A role with made-up keys, and the limits of its calls.
#[derive(Debug)]
pub struct TestCaller {
    sdk: SdkSettings,
    breakers: CircuitBreakers,
    slots: Semaphore,
    policy: RetryPolicy,
    renewed: AtomicU32,
}

impl TestCaller {
    /// Makes a caller whose requests go to `http`, with at most `max_attempts` for each call.
    #[must_use]
    pub fn new(http: &CannedHttp, max_attempts: u32) -> Arc<Self> {
        let connector = SharedHttpConnector::new(http.clone());
        let client = http_client_fn(move |_, _| connector.clone());
        Arc::new(Self {
            sdk: SdkSettings::new(client, &clock(), Timeouts::default()),
            breakers: CircuitBreakers::new(Duration::from_secs(5)),
            slots: Semaphore::new(16),
            policy: RetryPolicy { max_attempts, throttle_budget: Duration::ZERO },
            renewed: AtomicU32::new(0),
        })
    }

    /// Returns calls from account 001122334455 to `eu-west-1`.
    #[must_use]
    pub fn calls(self: &Arc<Self>, place: Place) -> ScopedCalls {
        let scope = Scope {
            partition: Partition::Aws,
            account_id: "001122334455".parse().ok(),
            account_name: Some("audit".into()),
            role_name: Some("Audit".into()),
            profile: Some("dev".into()),
            place,
        };
        let (caller, limits) = (Arc::clone(self), Arc::clone(self));
        ScopedCalls::new(caller, limits, Arc::new(Unobserved), clock(), Arc::new(scope), "eu-west-1".into())
    }
}

impl Caller for TestCaller {
    fn credentials<'a>(
        &'a self,
        refused: Option<&'a RoleCredentials>,
        _: &'a (dyn Fn(bool) + Send + Sync),
    ) -> BoxFuture<'a, Result<Arc<RoleCredentials>, Failure>> {
        if refused.is_some() {
            self.renewed.fetch_add(1, Ordering::SeqCst);
        }
        let credentials = RoleCredentials {
            access_key_id: format!("AKIDEXAMPLE{}", self.renewed.load(Ordering::SeqCst)),
            secret_access_key: Secret::new("secret"),
            session_token: None,
            expires_at: None,
            caller_arn: Some("arn:aws:sts::001122334455:assumed-role/Audit/me".into()),
        };
        std::future::ready(Ok(Arc::new(credentials))).boxed()
    }

    fn endpoint(&self, _: &ServiceInfo, region: &str) -> Result<ServiceEndpoint, Failure> {
        Ok(ServiceEndpoint { region: region.into(), ..endpoint_at(None) })
    }

    fn sdk(&self) -> &SdkSettings {
        &self.sdk
    }

    fn explain<'a>(&'a self, failure: Failure, _: &'a str) -> BoxFuture<'a, Failure> {
        std::future::ready(failure).boxed()
    }
}

impl CallLimits for TestCaller {
    fn rate_limiter(&self, _: &Scope, _: &str, service: &'static ServiceInfo) -> Arc<RateLimiter> {
        Arc::new(RateLimiter::new(service.limits))
    }

    fn circuit_breaker(
        &self,
        service: &'static ServiceInfo,
        endpoint: &ServiceEndpoint,
    ) -> Arc<CircuitBreaker> {
        self.breakers.of(HostKey::new(service, endpoint.clone()))
    }

    fn slots(&self) -> &Semaphore {
        &self.slots
    }

    fn retry_policy(&self) -> RetryPolicy {
        self.policy
    }
}
