//! Which hosts can be reached at all, known for the whole run: a region that can't be reached costs one connect time-out
//! in all, and not one for each account.
//!
//! Of a host that nobody has reached yet one call goes first, while the others wait, holding neither a slot nor a
//! connection. Any answer, an error too, proves the host for ever: then [`attempt::call`] alone decides what is tried
//! again. Where no connection can be made the host is left out for the rest of the run, and [`crate::runner`] ends its
//! tasks without a call.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ssoinv_core::failure::{Failure, Remedy};
use ssoinv_core::retry::RetryPolicy;
use ssoinv_sso::attempt::{self, Attempts, Turnstile};
use ssoinv_sso::classify::{
    CERTIFICATE_REFUSED, CONNECT_FAILED, CONNECT_TIMEOUT, DNS_FAILED, REQUEST_FAILED, TIMEOUT,
    TOO_MANY_OPEN_FILES,
};
use ssoinv_sso::http::Place;
use ssoinv_sso::profile::Service;
use tokio::sync::{Semaphore, watch};

/// What tells hosts apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum HostKey {
    /// AWS's own of a service at a place.
    Aws(Service, Place),
    /// An endpoint that was set, by scheme, name and port: the same for all services and regions that it stands for.
    Named(Box<str>),
}

impl HostKey {
    pub(crate) fn new(service: Service, place: Place) -> Self {
        let Some(url) = &place.endpoint else { return Self::Aws(service, place) };
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        Self::Named(format!("{scheme}://{authority}").to_ascii_lowercase().into())
    }
}

/// The hosts of a run.
#[derive(Debug)]
pub(crate) struct Hosts {
    known: Mutex<HashMap<HostKey, Arc<Host>>>,
    /// Who has waited so long for an answer has a connection.
    connected_after: Duration,
}

/// More than enough to begin a call in.
const SLACK: Duration = Duration::from_secs(1);

impl Hosts {
    /// No host is known yet. `connect_timeout` is how long a connection may take.
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self { known: Mutex::default(), connected_after: connect_timeout + SLACK }
    }

    pub(crate) fn of(&self, key: HostKey) -> Arc<Host> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let host = known.entry(key).or_insert_with(|| {
            Arc::new(Host {
                standing: watch::Sender::new(Standing::Unknown),
                connected_after: self.connected_after,
            })
        });
        Arc::clone(host)
    }
}

/// What is known of a host.
#[derive(Clone, Debug)]
enum Standing {
    /// Nothing.
    Unknown,
    /// Somebody finds out, for all who wait.
    Probed,
    /// It seems to take connections; nothing has been answered yet.
    Open,
    /// It has answered.
    Reached,
    /// It can't be reached, and is left out.
    Unreachable(Failure),
}

/// A host that calls are made to.
#[derive(Debug)]
pub(crate) struct Host {
    standing: watch::Sender<Standing>,
    connected_after: Duration,
}

impl Host {
    /// Waits until it is known whether there is a way, or until it falls to the caller to find out.
    ///
    /// # Errors
    /// Where the host can't be reached: why, as the one who found out was told.
    pub(crate) async fn passage(&self) -> Result<Passage<'_>, Failure> {
        let mut standing = self.standing.subscribe();
        loop {
            let seen = standing.borrow_and_update().clone();
            match seen {
                Standing::Open | Standing::Reached => return Ok(Passage { host: self, probes: false }),
                Standing::Unreachable(failure) => return Err(failure),
                Standing::Unknown if self.begin_probe() => return Ok(Passage { host: self, probes: true }),
                Standing::Unknown => {}
                // The sender lives as long as `self`.
                Standing::Probed => _ = standing.changed().await,
            }
        }
    }

    /// Whether it falls to the caller to find out.
    fn begin_probe(&self) -> bool {
        let mut begun = false;
        self.standing.send_if_modified(|standing| {
            begun = matches!(standing, Standing::Unknown);
            if begun {
                *standing = Standing::Probed;
            }
            begun
        });
        begun
    }

    /// Changes what is known, where `from` says so.
    fn change(&self, from: impl FnOnce(&Standing) -> bool, to: Standing) {
        self.standing.send_if_modified(|standing| {
            let changes = from(standing);
            if changes {
                *standing = to;
            }
            changes
        });
    }

    fn is_reached(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Reached)
    }

    /// One attempt at a call, and what it tells of the host.
    async fn ask<T>(&self, asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        if self.is_reached() {
            return asking.await;
        }
        let mut asking = pin!(asking);
        let answer = if let Ok(answer) = tokio::time::timeout(self.connected_after, &mut asking).await {
            answer
        } else {
            // Nobody need wait for a slow answer.
            self.change(|standing| matches!(standing, Standing::Probed), Standing::Open);
            asking.await
        };
        let code = answer.as_ref().err().and_then(|failure| failure.code.as_deref());
        match code {
            Some(CONNECT_TIMEOUT) if !self.is_reached() => {
                return answer.map_err(|failure| Failure { remedy: Remedy::None, ..failure });
            }
            Some(CONNECT_TIMEOUT | CONNECT_FAILED | DNS_FAILED) => {}
            Some(TIMEOUT | CERTIFICATE_REFUSED | REQUEST_FAILED | TOO_MANY_OPEN_FILES) => {
                self.change(|standing| matches!(standing, Standing::Probed), Standing::Open);
            }
            _ => self.change(|standing| !matches!(standing, Standing::Reached), Standing::Reached),
        }
        answer
    }
}

/// A call to a host may be made. Dropped before its end is known, it leaves it to another to find out.
#[derive(Debug)]
pub(crate) struct Passage<'a> {
    host: &'a Host,
    probes: bool,
}

impl Passage<'_> {
    /// As [`attempt::call`]. A connection to a host that was never reached is waited for once; where it is refused, or
    /// has no address, as often as `policy` says. Then the host is left out.
    pub(crate) async fn call<T, F>(
        self,
        turnstile: &Turnstile,
        slots: &Semaphore,
        policy: RetryPolicy,
        on_retry: impl Fn(&Failure, Duration),
        mut op: impl FnMut() -> F,
    ) -> (Result<T, Failure>, Attempts)
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let host = self.host;
        let (answer, attempts) =
            attempt::call(turnstile, Some(slots), policy, on_retry, || host.ask(op())).await;
        if let Err(failure) = &answer
            && matches!(failure.code.as_deref(), Some(CONNECT_TIMEOUT | CONNECT_FAILED | DNS_FAILED))
        {
            let left_out = Failure { remedy: Remedy::None, ..failure.clone() };
            host.change(
                |standing| !matches!(standing, Standing::Reached | Standing::Unreachable(_)),
                Standing::Unreachable(left_out),
            );
        }
        (answer, attempts)
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if self.probes {
            self.host.change(|standing| matches!(standing, Standing::Probed), Standing::Unknown);
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

    const CONNECT: Duration = Duration::from_secs(5);
    const POLICY: RetryPolicy = RetryPolicy { max_attempts: 3, throttle_budget: Duration::from_mins(1) };

    fn failure(code: &str) -> Failure {
        let kind = FailureKind::Unreachable;
        Failure::new(kind, "no").with_code(code).with_remedy(Remedy::TryAgain)
    }

    fn place(region: &str, endpoint: Option<&str>) -> Place {
        Place {
            region: region.into(),
            endpoint: endpoint.map(Arc::from),
            use_fips: false,
            use_dual_stack: false,
        }
    }

    fn host() -> Arc<Host> {
        Hosts::new(CONNECT).of(HostKey::new(Service::Ec2, place("us-east-1", None)))
    }

    /// What a call came to: the attempts that were made, and the code of its failure.
    type Told = (u32, Option<String>);

    /// A call through the gate, as the runner makes it.
    async fn call<F: Future<Output = Result<(), Failure>>>(
        host: &Host,
        slots: &Semaphore,
        op: impl FnMut() -> F,
    ) -> Told {
        let turnstile = Turnstile::new(PaceLimits::UNDOCUMENTED);
        let passage = match host.passage().await {
            Ok(passage) => passage,
            Err(failure) => return (0, failure.code),
        };
        let (answer, attempts) = passage.call(&turnstile, slots, POLICY, |_, _| (), op).await;
        (attempts.calls, answer.err().and_then(|failure| failure.code))
    }

    /// So many calls at once to one host, each of which takes `takes` and ends as `answer` says; the calls that were made
    /// are numbered.
    async fn at_once(
        number: usize,
        host: &Arc<Host>,
        takes: Duration,
        answer: impl Fn(u32) -> Result<(), Failure> + Clone + Send + Sync + 'static,
    ) -> Vec<Told> {
        let (slots, asked) = (Arc::new(Semaphore::new(4)), Arc::new(AtomicU32::new(0)));
        let tasks: Vec<_> = (0..number)
            .map(|_| {
                let (host, slots, asked) = (Arc::clone(host), Arc::clone(&slots), Arc::clone(&asked));
                let answer = answer.clone();
                tokio::spawn(async move {
                    call(&host, &slots, || async {
                        let number = asked.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(takes).await;
                        answer(number)
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
            // The network was a moment away.
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
        let answers = move |number| if number == 0 { Err(denied()) } else { Ok(()) };
        let (host, start) = (host(), Instant::now());
        let rtt = Duration::from_millis(100);
        let told = at_once(5, &host, rtt, answers).await;
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
        let (first, slots) = (host.passage().await.expect("the first finds out"), Semaphore::new(1));
        let second = call(&host, &slots, || async { Ok(()) });
        let mut second = pin!(second);
        assert!(tokio::time::timeout(Duration::from_mins(1), &mut second).await.is_err(), "it waits");
        assert_eq!(slots.available_permits(), 1, "and holds no slot");
        drop(first);
        assert_eq!(second.await, (1, None));
    }

    #[test]
    fn a_host_is_one_however_it_is_called_and_no_other() {
        let key = |service, region, endpoint| HostKey::new(service, place(region, endpoint));
        let (ec2, lambda) = (Service::Ec2, Service::Lambda);
        assert_ne!(key(ec2, "us-east-1", None), key(ec2, "eu-west-1", None));
        assert_ne!(key(ec2, "us-east-1", None), key(lambda, "us-east-1", None));
        let fips = Place { use_fips: true, ..place("us-east-1", None) };
        assert_ne!(HostKey::new(ec2, fips), key(ec2, "us-east-1", None));
        let proxy = key(ec2, "us-east-1", Some("https://Proxy.example:8443/ec2"));
        assert_eq!(proxy, key(lambda, "eu-west-1", Some("https://proxy.example:8443?x")));
        assert_ne!(proxy, key(ec2, "us-east-1", Some("https://proxy.example")));
        assert_ne!(proxy, key(ec2, "us-east-1", Some("http://proxy.example:8443")));
    }
}
