//! Calls from one scope: [`ScopedCalls::call`] is the only way from a table to AWS.
//!
//! Owns the protocol of one call: credentials, rate limiter, slot, circuit breaker, the attempt itself, classification,
//! retries, renewed credentials, and the counts that the ledger shows. `ssoinv-run`'s `Engine` makes a [`ScopedCalls`]
//! for each (account, role, region) and implements [`Caller`] and [`CallLimits`]; tables and region discovery use it.
//! Guarantees that every attempt, retries included, waited for its rate limiter and held a slot while it was under way,
//! and that no credentials leave this module other than into a client. What a failure means for a task is left to the
//! caller.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use futures::future::BoxFuture;
use ssoinv_core::clock::Clock;
use ssoinv_core::failure::{Failure, Remedy};
use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::scope::Scope;
use ssoinv_core::service::ServiceInfo;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::attempt_error::AttemptError;
use crate::circuit_breaker::CircuitBreaker;
use crate::rate_limiter::RateLimiter;
use crate::request_id::RequestIdRecorder;
use crate::retry_loop::Attempts;
use crate::role_credentials::RoleCredentials;
use crate::sdk_settings::SdkSettings;
use crate::service_endpoint::ServiceEndpoint;

/// The number of renewals of credentials for one call before the service's refusal counts.
const RENEWALS_PER_CALL: u32 = 2;

/// A service that tables call: its data, and the one way to get its client.
pub trait Service: 'static {
    /// The client of an SDK crate, or what another protocol needs.
    type Client: Send;

    /// ID, signing name, endpoint and limits.
    const INFO: &'static ServiceInfo;

    /// Makes a client with the region, endpoint, credentials and HTTP client of `config`.
    fn client(config: &SdkConfig) -> Self::Client;
}

/// The identity that calls are made with: one account and role.
pub trait Caller: Send + Sync + fmt::Debug {
    /// Returns credentials that are good for some minutes, and that aren't `refused`.
    ///
    /// `refused` are credentials that a service has called expired. `on_park` is called with `true` before and `false`
    /// after a wait for a person to sign in.
    fn credentials<'a>(
        &'a self,
        refused: Option<&'a RoleCredentials>,
        on_park: &'a (dyn Fn(bool) + Send + Sync),
    ) -> BoxFuture<'a, Result<Arc<RoleCredentials>, Failure>>;

    /// Returns the endpoint of `service` in `region`, as environment and profile configure it.
    ///
    /// # Errors
    /// If credentials may not be sent to the configured endpoint.
    fn endpoint(&self, service: &ServiceInfo, region: &str) -> Result<ServiceEndpoint, Failure>;

    /// Returns the settings that all clients of this caller share: HTTP client, clock, time limits.
    fn sdk(&self) -> &SdkSettings;

    /// Explains a failure with [`Remedy::CheckRegion`]: a disabled region, or credentials to renew.
    fn explain<'a>(&'a self, failure: Failure, region: &'a str) -> BoxFuture<'a, Failure>;
}

/// The limits that all scopes of a process share.
pub trait CallLimits: Send + Sync + fmt::Debug {
    /// Returns the rate limiter of a service in one account and region.
    fn rate_limiter(&self, scope: &Scope, region: &str, service: &'static ServiceInfo) -> Arc<RateLimiter>;

    /// Returns the circuit breaker of an endpoint's host.
    fn circuit_breaker(
        &self,
        service: &'static ServiceInfo,
        endpoint: &ServiceEndpoint,
    ) -> Arc<CircuitBreaker>;

    /// Returns the slots, one for each call that may be under way at a time.
    fn slots(&self) -> &Semaphore;

    /// Returns how often calls are retried.
    fn retry_policy(&self) -> RetryPolicy;
}

/// Receives what happens during the calls of one scope. Called from many threads; must not block.
pub trait CallObserver: Send + Sync {
    /// The scope's first call is about to be made.
    fn started(&self);

    /// A call failed and is retried after `delay`.
    fn retrying(&self, failure: &Failure, delay: Duration);

    /// A wait for a person to sign in begins (`true`) or ends (`false`).
    fn parked(&self, parked: bool);
}

/// Observes nothing, for calls that belong to no task.
#[derive(Debug)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn started(&self) {}

    fn retrying(&self, _: &Failure, _: Duration) {}

    fn parked(&self, _: bool) {}
}

/// A call that failed for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct CallError {
    /// The failure.
    pub failure: Failure,
    /// True if no credentials could be had: no service was asked, and another role may have credentials.
    pub without_credentials: bool,
}

impl CallError {
    /// An error of getting credentials.
    #[must_use]
    pub fn without_credentials(failure: Failure) -> Self {
        Self { failure, without_credentials: true }
    }
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        Self { failure, without_credentials: false }
    }
}

/// The counts of one operation's calls in a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallStats {
    /// Attempts, retries included.
    pub calls: u32,
    /// Attempts after the first of each call.
    pub retries: u32,
    /// When the first attempt was made.
    pub started_at: Option<SystemTime>,
    /// From the first attempt to the end of the last one, waits included.
    pub duration: Duration,
    /// The request ID of the last response.
    pub request_id: Option<String>,
}

/// The counts of a scope's calls.
#[derive(Clone, Debug, Default)]
pub struct CallLog {
    /// The counts, by operation.
    pub operations: BTreeMap<&'static str, CallStats>,
    /// The ARN that the last call was made as, where known.
    pub caller_arn: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct SharedLog {
    log: CallLog,
    begun: BTreeMap<&'static str, Instant>,
}

/// Calls from one scope. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct ScopedCalls {
    caller: Arc<dyn Caller>,
    limits: Arc<dyn CallLimits>,
    observer: Arc<dyn CallObserver>,
    clock: Clock,
    scope: Arc<Scope>,
    region: Arc<str>,
    log: Arc<Mutex<SharedLog>>,
}

impl ScopedCalls {
    /// Makes calls to `region` on behalf of `scope`.
    #[must_use]
    pub fn new(
        caller: Arc<dyn Caller>,
        limits: Arc<dyn CallLimits>,
        observer: Arc<dyn CallObserver>,
        clock: Clock,
        scope: Arc<Scope>,
        region: Arc<str>,
    ) -> Self {
        Self { caller, limits, observer, clock, scope, region, log: Arc::default() }
    }

    /// The scope that the rows belong to.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The region that is called; for account-wide tables it isn't the scope's.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The same calls to another region, counted together with these.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { region: region.into(), ..self.clone() }
    }

    /// Returns what the calls came to so far.
    #[must_use]
    pub fn log(&self) -> CallLog {
        self.lock().log.clone()
    }

    /// Makes one call of `operation`: as many attempts as it takes.
    ///
    /// `attempt` makes one attempt with the client that it is given. It may be called several times, and dropped at any
    /// moment.
    ///
    /// # Errors
    /// The failure that remains after retries and renewed credentials.
    pub async fn call<S, T, F>(
        &self,
        operation: &'static str,
        mut attempt: impl FnMut(S::Client) -> F,
    ) -> Result<T, CallError>
    where
        S: Service,
        F: Future<Output = Result<T, AttemptError>>,
    {
        let mut refused: Option<Arc<RoleCredentials>> = None;
        let mut renewals = 0;
        let on_park = |parked| self.observer.parked(parked);
        loop {
            let credentials = self.caller.credentials(refused.as_deref(), &on_park).await;
            let credentials = credentials.map_err(CallError::without_credentials)?;
            let endpoint = self.caller.endpoint(S::INFO, &self.region)?;
            let limiter = self.limits.rate_limiter(&self.scope, &self.region, S::INFO);
            let breaker = self.limits.circuit_breaker(S::INFO, &endpoint);
            let probe = breaker.admit().await?;
            self.begin(operation, &credentials);
            let request_id = RequestIdRecorder::default();
            // A client is made for each attempt, while the attempt has a slot: most calls wait, and clients are large.
            let send = || {
                let client = S::client(&self.caller.sdk().config(&endpoint, &credentials, &request_id));
                // The SDK's futures are tens of kilobytes: on the heap they take memory only while the call is under way.
                let response = Box::pin(attempt(client));
                async { response.await.map_err(|error| error.classify(&self.clock)) }
            };
            let on_retry = |failure: &Failure, delay| self.observer.retrying(failure, delay);
            let (response, attempts) =
                probe.call(&limiter, self.limits.slots(), self.limits.retry_policy(), on_retry, send).await;
            self.end(operation, attempts, request_id.take());
            let failure = match response {
                Ok(value) => return Ok(value),
                Err(failure) if failure.remedy == Remedy::CheckRegion => {
                    self.caller.explain(failure, &self.region).await
                }
                Err(failure) => failure,
            };
            if failure.remedy != Remedy::Renew || renewals == RENEWALS_PER_CALL {
                return Err(failure.into());
            }
            renewals += 1;
            refused = Some(credentials);
        }
    }

    /// Counts the start of a call.
    fn begin(&self, operation: &'static str, credentials: &RoleCredentials) {
        let mut shared = self.lock();
        let is_first = shared.begun.is_empty();
        shared.begun.entry(operation).or_insert_with(Instant::now);
        shared.log.caller_arn.clone_from(&credentials.caller_arn);
        let stats = shared.log.operations.entry(operation).or_default();
        stats.started_at.get_or_insert_with(|| self.clock.now());
        drop(shared);
        if is_first {
            self.observer.started();
        }
    }

    /// Counts the attempts of a call that has ended.
    fn end(&self, operation: &'static str, attempts: Attempts, request_id: Option<String>) {
        let mut shared = self.lock();
        let elapsed = shared.begun.get(operation).map_or(Duration::ZERO, Instant::elapsed);
        let stats = shared.log.operations.entry(operation).or_default();
        stats.calls += attempts.calls;
        stats.retries += attempts.retries;
        stats.duration = elapsed;
        if request_id.is_some() {
            stats.request_id = request_id;
        }
    }

    fn lock(&self) -> MutexGuard<'_, SharedLog> {
        // Counts are whole between any two statements that hold the lock.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ScopedCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ScopedCalls");
        debug.field("scope", &self.scope).field("region", &self.region).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use ssoinv_core::failure::FailureKind;
    use ssoinv_core::pace::PaceLimits;
    use ssoinv_core::scope::Place;

    use super::*;
    use crate::test_util::{CannedHttp, TestCaller};

    /// A service whose client is the region that it would call.
    struct Echo;

    impl Service for Echo {
        type Client = String;

        const INFO: &'static ServiceInfo = &ServiceInfo {
            id: "Echo",
            signing_name: "echo",
            endpoint_prefix: "echo",
            limits: PaceLimits::UNDOCUMENTED,
        };

        fn client(config: &SdkConfig) -> Self::Client {
            config.region().map(ToString::to_string).unwrap_or_default()
        }
    }

    fn calls(max_attempts: u32) -> ScopedCalls {
        TestCaller::new(&CannedHttp::ok(""), max_attempts).calls(Place::Global)
    }

    fn failing(remedy: Remedy) -> Failure {
        Failure::new(FailureKind::Failed, "no").with_code("No").with_remedy(remedy)
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_of_one_operation_are_counted_together() {
        let (calls, attempts) = (calls(3), AtomicU32::new(0));
        let flaky = |_| {
            let first = attempts.fetch_add(1, Ordering::SeqCst) == 0;
            async move { if first { Err(failing(Remedy::TryAgain).into()) } else { Ok(()) } }
        };
        calls.call::<Echo, _, _>("List", flaky).await.expect("the second attempt succeeds");
        calls.call::<Echo, _, _>("List", |_| async { Ok(()) }).await.expect("a success");
        calls.call::<Echo, _, _>("Get", |_| async { Ok(()) }).await.expect("a success");
        let log = calls.log();
        let counts = |operation: &str| {
            let stats = &log.operations[operation];
            (stats.calls, stats.retries, stats.started_at.is_some())
        };
        assert_eq!((counts("List"), counts("Get")), ((3, 1, true), (1, 0, true)));
        assert_eq!(log.caller_arn.as_deref(), Some("arn:aws:sts::001122334455:assumed-role/Audit/me"));
    }

    #[tokio::test(start_paused = true)]
    async fn another_region_is_counted_with_the_scope() {
        let calls = calls(1);
        let elsewhere = calls.in_region("us-west-2");
        let region = elsewhere.call::<Echo, _, _>("Get", |region| async { Ok(region) }).await;
        assert_eq!(region.as_deref(), Ok("us-west-2"));
        assert_eq!(calls.log().operations["Get"].calls, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn expired_credentials_are_renewed_twice() {
        let (calls, attempts) = (calls(1), AtomicU32::new(0));
        let expired = |_| {
            attempts.fetch_add(1, Ordering::SeqCst);
            async { Err::<(), _>(failing(Remedy::Renew).into()) }
        };
        let error = calls.call::<Echo, _, _>("List", expired).await.expect_err("they stay expired");
        assert_eq!((error.failure.remedy, error.without_credentials), (Remedy::Renew, false));
        assert_eq!(attempts.load(Ordering::SeqCst), 1 + RENEWALS_PER_CALL);
    }
}
