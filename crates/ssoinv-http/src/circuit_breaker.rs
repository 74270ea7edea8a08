//! Leaves out hosts that can't be reached, so that a region costs one connect time-out in all.
//! account.
//!
//! To a host that hasn't responded yet one call goes first, the probe. The other calls wait, and hold neither a slot
//! nor a connection. Any response, an error too, proves the host for good: then [`retry_loop::call`] alone decides
//! what is tried again. If no connection can be made the host is left out: later calls to it fail at once.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ssoinv_core::failure::{Failure, Remedy};
use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::service::ServiceInfo;
use tokio::sync::{Semaphore, watch};

use crate::classify::{
    CERTIFICATE_REFUSED, CONNECT_FAILED, CONNECT_TIMEOUT, DNS_FAILED, REQUEST_FAILED, TIMEOUT,
    TOO_MANY_OPEN_FILES,
};
use crate::rate_limiter::RateLimiter;
use crate::retry_loop::{self, Attempts};
use crate::service_endpoint::ServiceEndpoint;

/// The host that calls go to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostKey {
    /// AWS's own host of a service.
    Aws {
        /// The service's ID.
        service: &'static str,
        /// The region and the flags of the endpoint.
        endpoint: ServiceEndpoint,
    },
    /// An endpoint that is set, by scheme, name and port: one for all services and regions that use it.
    Named(Box<str>),
}

impl HostKey {
    /// Returns the key of the host that `service` is called at.
    #[must_use]
    pub fn new(service: &ServiceInfo, endpoint: ServiceEndpoint) -> Self {
        let Some(url) = &endpoint.url else { return Self::Aws { service: service.id, endpoint } };
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        Self::Named(format!("{scheme}://{authority}").to_ascii_lowercase().into())
    }
}

/// The circuit breakers of all hosts.
#[derive(Debug)]
pub struct CircuitBreakers {
    breakers: Mutex<HashMap<HostKey, Arc<CircuitBreaker>>>,
    /// A call that has waited so long for its response has a connection.
    connected_after: Duration,
}

/// More than enough time to begin a call.
const SLACK: Duration = Duration::from_secs(1);

impl CircuitBreakers {
    /// Creates breakers for hosts of which nothing is known.
    ///
    /// `connect_timeout` is the longest time that a connection may take.
    #[must_use]
    pub fn new(connect_timeout: Duration) -> Self {
        Self { breakers: Mutex::default(), connected_after: connect_timeout + SLACK }
    }

    /// Returns the circuit breaker of a host, which all calls to the host share.
    pub fn of(&self, key: HostKey) -> Arc<CircuitBreaker> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = breakers.entry(key).or_insert_with(|| {
            Arc::new(CircuitBreaker {
                state: watch::Sender::new(State::Unknown),
                connected_after: self.connected_after,
            })
        });
        Arc::clone(breaker)
    }
}

/// The state of a host.
#[derive(Clone, Debug)]
enum State {
    /// Nothing is known.
    Unknown,
    /// One call finds out for all others, which wait.
    Probing,
    /// The host takes connections, as far as is known; it hasn't responded yet.
    Connectable,
    /// The host has responded.
    Reached,
    /// The host can't be reached, and is left out.
    Unreachable(Failure),
}

/// The state that all calls to one host share.
#[derive(Debug)]
pub struct CircuitBreaker {
    state: watch::Sender<State>,
    connected_after: Duration,
}

impl CircuitBreaker {
    /// Waits until the host's state is known, or until it falls to this call to find out.
    ///
    /// # Errors
    /// The probe's failure, if the host can't be reached.
    pub async fn admit(&self) -> Result<ProbeGuard<'_>, Failure> {
        let mut state = self.state.subscribe();
        loop {
            let seen = state.borrow_and_update().clone();
            match seen {
                State::Connectable | State::Reached => {
                    return Ok(ProbeGuard { breaker: self, probes: false });
                }
                State::Unreachable(failure) => return Err(failure),
                State::Unknown if self.begin_probe() => {
                    return Ok(ProbeGuard { breaker: self, probes: true });
                }
                State::Unknown => {}
                // The sender lives as long as `self`.
                State::Probing => _ = state.changed().await,
            }
        }
    }

    /// Returns whether it falls to the caller to find out.
    fn begin_probe(&self) -> bool {
        let mut begun = false;
        self.state.send_if_modified(|state| {
            begun = matches!(state, State::Unknown);
            if begun {
                *state = State::Probing;
            }
            begun
        });
        begun
    }

    /// Sets the state if `from` accepts the present one.
    fn change(&self, from: impl FnOnce(&State) -> bool, to: State) {
        self.state.send_if_modified(|state| {
            let changes = from(state);
            if changes {
                *state = to;
            }
            changes
        });
    }

    fn is_reached(&self) -> bool {
        matches!(*self.state.borrow(), State::Reached)
    }

    /// Makes one attempt, and draws conclusions on the host.
    async fn observe<T>(&self, attempt: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        if self.is_reached() {
            return attempt.await;
        }
        let mut attempt = pin!(attempt);
        let result = if let Ok(result) = tokio::time::timeout(self.connected_after, &mut attempt).await {
            result
        } else {
            // A slow response need not make the other calls wait.
            self.change(|state| matches!(state, State::Probing), State::Connectable);
            attempt.await
        };
        let code = result.as_ref().err().and_then(|failure| failure.code.as_deref());
        match code {
            Some(CONNECT_TIMEOUT) if !self.is_reached() => {
                return result.map_err(|failure| Failure { remedy: Remedy::None, ..failure });
            }
            Some(CONNECT_TIMEOUT | CONNECT_FAILED | DNS_FAILED) => {}
            Some(TIMEOUT | CERTIFICATE_REFUSED | REQUEST_FAILED | TOO_MANY_OPEN_FILES) => {
                self.change(|state| matches!(state, State::Probing), State::Connectable);
            }
            _ => self.change(|state| !matches!(state, State::Reached), State::Reached),
        }
        result
    }
}

/// The permission to make a call. If it is dropped before the outcome is known, another call finds out.
#[derive(Debug)]
pub struct ProbeGuard<'a> {
    breaker: &'a CircuitBreaker,
    probes: bool,
}

impl ProbeGuard<'_> {
    /// Makes a call as [`retry_loop::call`] does.
    ///
    /// The connection to a host that has never responded is tried once if it times out, and as often as `policy` says
    /// if it is refused or the host has no address. Then the host is left out.
    pub async fn call<T, F>(
        self,
        limiter: &RateLimiter,
        slots: &Semaphore,
        policy: RetryPolicy,
        on_retry: impl Fn(&Failure, Duration),
        mut op: impl FnMut() -> F,
    ) -> (Result<T, Failure>, Attempts)
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let breaker = self.breaker;
        let (result, attempts) =
            retry_loop::call(limiter, Some(slots), policy, on_retry, || breaker.observe(op())).await;
        if let Err(failure) = &result
            && matches!(failure.code.as_deref(), Some(CONNECT_TIMEOUT | CONNECT_FAILED | DNS_FAILED))
        {
            let left_out = Failure { remedy: Remedy::None, ..failure.clone() };
            breaker.change(
                |state| !matches!(state, State::Reached | State::Unreachable(_)),
                State::Unreachable(left_out),
            );
        }
        (result, attempts)
    }
}

impl Drop for ProbeGuard<'_> {
    fn drop(&mut self) {
        if self.probes {
            self.breaker.change(|state| matches!(state, State::Probing), State::Unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use ssoinv_core::failure::FailureKind;
    use ssoinv_core::pace::PaceLimits;
    use tokio::time::Instant;

    use super::*;

    const EC2: ServiceInfo = service("EC2");
    const LAMBDA: ServiceInfo = service("Lambda");

    const fn service(id: &'static str) -> ServiceInfo {
        ServiceInfo { id, signing_name: "", endpoint_prefix: "", limits: PaceLimits::UNDOCUMENTED }
    }

    const CONNECT: Duration = Duration::from_secs(5);
    const POLICY: RetryPolicy = RetryPolicy { max_attempts: 3, throttle_budget: Duration::from_mins(1) };

    fn failure(code: &str) -> Failure {
        let kind = FailureKind::Unreachable;
        Failure::new(kind, "no").with_code(code).with_remedy(Remedy::TryAgain)
    }

    fn endpoint(region: &str, url: Option<&str>) -> ServiceEndpoint {
        ServiceEndpoint {
            region: region.into(),
            url: url.map(Arc::from),
            use_fips: false,
            use_dual_stack: false,
        }
    }

    fn host() -> Arc<CircuitBreaker> {
        CircuitBreakers::new(CONNECT).of(HostKey::new(&EC2, endpoint("us-east-1", None)))
    }

    /// The outcome of a call: its attempts, and the code of its failure.
    type Told = (u32, Option<String>);

    /// Makes a call through the breaker, as the runner does.
    async fn call<F: Future<Output = Result<(), Failure>>>(
        host: &CircuitBreaker,
        slots: &Semaphore,
        op: impl FnMut() -> F,
    ) -> Told {
        let limiter = RateLimiter::new(PaceLimits::UNDOCUMENTED);
        let admit = match host.admit().await {
            Ok(admit) => admit,
            Err(failure) => return (0, failure.code),
        };
        let (result, attempts) = admit.call(&limiter, slots, POLICY, |_, _| (), op).await;
        (attempts.calls, result.err().and_then(|failure| failure.code))
    }

    /// Makes so many calls at once to one host. Each takes `takes` and ends as `result` returns for its number.
    async fn at_once(
        number: usize,
        host: &Arc<CircuitBreaker>,
        takes: Duration,
        result: impl Fn(u32) -> Result<(), Failure> + Clone + Send + Sync + 'static,
    ) -> Vec<Told> {
        let (slots, asked) = (Arc::new(Semaphore::new(4)), Arc::new(AtomicU32::new(0)));
        let tasks: Vec<_> = (0..number)
            .map(|_| {
                let (host, slots, asked) = (Arc::clone(host), Arc::clone(&slots), Arc::clone(&asked));
                let result = result.clone();
                tokio::spawn(async move {
                    call(&host, &slots, || async {
                        let number = asked.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(takes).await;
                        result(number)
                    })
                    .await
                })
            })
            .collect();
        let mut told = Vec::new();
        for task in tasks {
            told.push(task.await.expect("no panic"));
        }
        told
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreachable_host_costs_one_connect_time_out_in_all() {
        let (host, start) = (host(), Instant::now());
        let told = at_once(1000, &host, CONNECT, |_| Err(failure(CONNECT_TIMEOUT))).await;
        assert_eq!(start.elapsed(), CONNECT);
        assert_eq!(told.iter().map(|(calls, _)| calls).sum::<u32>(), 1, "the others made none");
        assert!(told.iter().all(|(_, code)| code.as_deref() == Some(CONNECT_TIMEOUT)));
        assert_eq!(call(&host, &Semaphore::new(1), || async { Ok(()) }).await.0, 0, "it stays left out");
    }

    #[tokio::test(start_paused = true)]
    async fn who_refuses_or_has_no_address_is_asked_as_often_as_the_policy_says() {
        for code in [CONNECT_FAILED, DNS_FAILED] {
            let told = at_once(50, &host(), Duration::ZERO, move |_| Err(failure(code))).await;
            assert_eq!(told.iter().map(|(calls, _)| calls).sum::<u32>(), POLICY.max_attempts);
            assert!(told.iter().all(|(_, told)| told.as_deref() == Some(code)));
            // The network was away for a moment.
            let recovers = move |number| if number < 2 { Err(failure(code)) } else { Ok(()) };
            let told = at_once(50, &host(), Duration::ZERO, recovers).await;
            assert!(told.iter().all(|(_, code)| code.is_none()), "{told:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_this_machine_lacks_is_no_reason_to_leave_a_host_out() {
        let host = host();
        let told = at_once(3, &host, Duration::ZERO, |_| Err(failure(TOO_MANY_OPEN_FILES))).await;
        assert!(told.iter().all(|(calls, _)| *calls == POLICY.max_attempts), "{told:?}");
        assert_eq!(call(&host, &Semaphore::new(1), || async { Ok(()) }).await, (1, None));
    }

    #[tokio::test(start_paused = true)]
    async fn any_answer_proves_a_host_for_ever() {
        let denied = || Failure::new(FailureKind::Denied, "no").with_code("AccessDenied");
        let results = move |number| if number == 0 { Err(denied()) } else { Ok(()) };
        let (host, start) = (host(), Instant::now());
        let rtt = Duration::from_millis(100);
        let told = at_once(5, &host, rtt, results).await;
        assert_eq!(start.elapsed(), 2 * rtt, "the others waited for one round trip, then went together");
        assert_eq!(told.iter().filter(|(_, code)| code.is_none()).count(), 4);
        let told = at_once(3, &host, CONNECT, |_| Err(failure(CONNECT_TIMEOUT))).await;
        assert!(told.iter().all(|(calls, _)| *calls == POLICY.max_attempts), "{told:?}");
        let told = at_once(3, &host, Duration::ZERO, |_| Ok(())).await;
        assert!(told.iter().all(|(calls, code)| *calls == 1 && code.is_none()), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_slow_holds_nobody_up_for_longer_than_a_connection_takes() {
        let (host, start) = (host(), Instant::now());
        let slow = {
            let host = Arc::clone(&host);
            tokio::spawn(async move { call(&host, &Semaphore::new(1), std::future::pending).await })
        };
        tokio::task::yield_now().await;
        assert_eq!(call(&host, &Semaphore::new(1), || async { Ok(()) }).await, (1, None));
        assert_eq!(start.elapsed(), CONNECT + SLACK);
        slow.abort();
        assert!(slow.await.expect_err("it was stopped").is_cancelled());
        assert!(host.is_reached(), "what another found out stands");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_dropped_is_handed_on() {
        let host = host();
        let (first, slots) = (host.admit().await.expect("the first finds out"), Semaphore::new(1));
        let second = call(&host, &slots, || async { Ok(()) });
        let mut second = pin!(second);
        assert!(tokio::time::timeout(Duration::from_mins(1), &mut second).await.is_err(), "it waits");
        assert_eq!(slots.available_permits(), 1, "and holds no slot");
        drop(first);
        assert_eq!(second.await, (1, None));
    }

    #[test]
    fn a_host_is_one_however_it_is_called_and_no_other() {
        let key = |service, region, url| HostKey::new(service, endpoint(region, url));
        let (ec2, lambda) = (&EC2, &LAMBDA);
        assert_ne!(key(ec2, "us-east-1", None), key(ec2, "eu-west-1", None));
        assert_ne!(key(ec2, "us-east-1", None), key(lambda, "us-east-1", None));
        let fips = ServiceEndpoint { use_fips: true, ..endpoint("us-east-1", None) };
        assert_ne!(HostKey::new(ec2, fips), key(ec2, "us-east-1", None));
        let proxy = key(ec2, "us-east-1", Some("https://Proxy.example:8443/ec2"));
        assert_eq!(proxy, key(lambda, "eu-west-1", Some("https://proxy.example:8443?x")));
        assert_ne!(proxy, key(ec2, "us-east-1", Some("https://proxy.example")));
        assert_ne!(proxy, key(ec2, "us-east-1", Some("http://proxy.example:8443")));
    }
}
