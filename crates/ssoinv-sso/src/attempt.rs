//! The one retry loop. Every attempt at a call to AWS, retries too, takes its pacer's turn here, then a slot, is
//! counted, and tells the pacer how it was answered.
//!
//! What a failure means, whoever makes the call decides ([`crate::classify`]); how long to wait,
//! [`ssoinv_core::retry`]; how fast calls may follow one another, [`ssoinv_core::pace`]. The portal, the sign-in and STS
//! are called through [`call`] in this crate, the services in `ssoinv-aws`.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::pace::{PaceLimits, Pacer};
use ssoinv_core::retry::{Retry, RetryPolicy};
use tokio::sync::Semaphore;

/// A pacer that tasks queue up before, first come, first served.
#[derive(Debug)]
pub struct Turnstile {
    /// Held by whoever is next while it waits; tokio's mutex is fair.
    line: tokio::sync::Mutex<()>,
    pacer: Arc<Mutex<Pacer>>,
    /// How the last call was refused that was throttled.
    refusal: Arc<Mutex<Option<Failure>>>,
}

/// However short the retry time is, so long whoever was never refused waits until others are answered.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

impl Turnstile {
    /// A turnstile with a full bucket.
    #[must_use]
    pub fn new(limits: PaceLimits) -> Self {
        let pacer = Arc::new(Mutex::new(Pacer::new(limits, now())));
        Self { line: tokio::sync::Mutex::default(), pacer, refusal: Arc::default() }
    }

    /// A second line before the same pacer, for what the first one waits for.
    #[must_use]
    pub fn beside(&self) -> Self {
        let (pacer, refusal) = (Arc::clone(&self.pacer), Arc::clone(&self.refusal));
        Self { line: tokio::sync::Mutex::default(), pacer, refusal }
    }

    /// Waits for a turn. Whoever stops waiting gives its place away.
    ///
    /// # Errors
    /// Where the service answers nobody, and would have done so for longer than `patience` when the turn comes: as it
    /// refused another. Each who waits would else have to find that out by calls of its own, one after the other.
    pub async fn turn(&self, patience: Duration) -> Result<(), Failure> {
        let _next = self.line.lock().await;
        loop {
            let wait = match self.pacer().take(now()) {
                Ok(()) => return Ok(()),
                Err(wait) => wait,
            };
            let shut_out = self.pacer().shut_out_for(now());
            if shut_out.is_some_and(|time| time + wait > patience.max(LEAST_PATIENCE))
                && let Some(refusal) = &*self.refusal()
            {
                return Err(refusal.clone());
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Tells the pacer how a call that was made at `sent` was answered.
    pub fn heard<T>(&self, sent: Instant, answer: &Result<T, Failure>) {
        match answer {
            Err(Failure { remedy: Remedy::SlowDown { after }, .. }) => {
                self.pacer().throttled(sent, now(), *after);
                *self.refusal() = answer.as_ref().err().cloned();
            }
            // What never arrived says nothing about the limit; neither does a call that is made again.
            Err(Failure { remedy: Remedy::TryAgain, .. } | Failure { kind: FailureKind::NotTried, .. }) => {}
            Ok(_) | Err(_) => self.pacer().answered(sent, now()),
        }
    }

    /// The present rate, in calls a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.pacer().rate()
    }

    fn refusal(&self) -> MutexGuard<'_, Option<Failure>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pacer(&self) -> MutexGuard<'_, Pacer> {
        // A pacer is whole between any two of its steps.
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokio's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How often a call was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attempts {
    /// All attempts.
    pub calls: u32,
    /// Those after the first.
    pub retries: u32,
}

impl std::ops::AddAssign for Attempts {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.retries += other.retries;
    }
}

/// Makes a call until it succeeds, its failure stands, or its budget is spent.
///
/// Each attempt waits for `turnstile`, then for one of `slots`, which it holds for the call itself only. `on_retry`
/// hears of each failure that isn't the last, and of how long is waited. Failures whose remedy is [`Remedy::Renew`] or
/// [`Remedy::CheckRegion`] come back at once: the caller knows what to renew. It may be dropped at any moment.
pub async fn call<T, F>(
    turnstile: &Turnstile,
    slots: Option<&Semaphore>,
    policy: RetryPolicy,
    on_retry: impl Fn(&Failure, Duration),
    mut op: impl FnMut() -> F,
) -> (Result<T, Failure>, Attempts)
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut retry = Retry::new(policy);
    let mut attempts = Attempts::default();
    loop {
        if let Err(refusal) = turnstile.turn(policy.throttle_budget).await {
            return (Err(retry.exhausted(refusal)), attempts);
        }
        let (sent, answer) = {
            let _slot = match slots {
                // A semaphore that was closed holds nobody back.
                Some(slots) => slots.acquire().await.ok(),
                None => None,
            };
            attempts.retries = attempts.calls;
            attempts.calls += 1;
            (now(), op().await)
        };
        turnstile.heard(sent, &answer);
        let failure = match answer {
            Ok(value) => return (Ok(value), attempts),
            Err(failure) => failure,
        };
        match retry.after(&failure, fastrand::f64()) {
            Some(delay) => {
                on_retry(&failure, delay);
                tokio::time::sleep(delay).await;
            }
            None => return (Err(retry.exhausted(failure)), attempts),
        }
    }
}

#[cfg(test)]
mod portal_tests;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { max_attempts: 3, throttle_budget: Duration::from_mins(2) };

    fn failure(remedy: Remedy) -> Failure {
        Failure::new(FailureKind::Failed, "no").with_remedy(remedy)
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_taken_in_the_order_of_arrival_and_at_the_pace() {
        let limits = PaceLimits { burst: 1.0, initial_rate: 2.0, max_rate: 2.0, min_rate: 0.5, rise: 0.0 };
        let turnstile = Arc::new(Turnstile::new(limits));
        let order = Arc::new(Mutex::new(Vec::new()));
        let start = tokio::time::Instant::now();
        let mut tasks = Vec::new();
        for number in 0..5 {
            let (turnstile, order) = (Arc::clone(&turnstile), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                turnstile.turn(Duration::MAX).await.unwrap();
                order.lock().unwrap().push(number);
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        // One at once, then four at two a second.
        assert_eq!(start.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_line_keeps_the_pace_and_waits_for_nobody_in_the_first() {
        let limits = PaceLimits { burst: 1.0, initial_rate: 2.0, max_rate: 2.0, min_rate: 0.5, rise: 0.0 };
        let turnstile = Arc::new(Turnstile::new(limits));
        let passed = Arc::new(AtomicU32::new(0));
        let start = tokio::time::Instant::now();
        let in_line = (0..100).map(|_| {
            let (turnstile, passed) = (Arc::clone(&turnstile), Arc::clone(&passed));
            tokio::spawn(async move {
                turnstile.turn(Duration::MAX).await.unwrap();
                passed.fetch_add(1, Ordering::Relaxed);
            })
        });
        let in_line: Vec<_> = in_line.collect();
        tokio::task::yield_now().await;
        turnstile.beside().turn(Duration::MAX).await.unwrap();
        assert!(passed.load(Ordering::Relaxed) <= 3, "{passed:?} of 100 went before");
        for task in in_line {
            task.await.unwrap();
        }
        assert_eq!(start.elapsed().as_secs(), 50, "101 calls, the first at once, then two a second");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_holds_no_slot() {
        let turnstile = Turnstile::new(PaceLimits::PORTAL);
        let slots = Semaphore::new(1);
        let calls = AtomicU32::new(0);
        let (result, attempts) = call(
            &turnstile,
            Some(&slots),
            POLICY,
            |_, _| assert_eq!(slots.available_permits(), 1, "the slot is free while a retry waits"),
            || async {
                assert_eq!(slots.available_permits(), 0);
                match calls.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(failure(Remedy::TryAgain)),
                    1 => Err(failure(Remedy::SlowDown { after: None })),
                    _ => Ok("yes"),
                }
            },
        )
        .await;
        assert_eq!(result, Ok("yes"));
        assert_eq!(attempts, Attempts { calls: 3, retries: 2 });
    }

    #[tokio::test(start_paused = true)]
    async fn each_attempt_takes_a_turn() {
        let limits = PaceLimits { burst: 1.0, initial_rate: 0.1, max_rate: 0.1, min_rate: 0.1, rise: 0.0 };
        let turnstile = Turnstile::new(limits);
        let start = tokio::time::Instant::now();
        let reset = || async { Err::<(), _>(failure(Remedy::TryAgain)) };
        let (_, attempts) = call(&turnstile, None, POLICY, |_, _| (), reset).await;
        assert_eq!(attempts.calls, 3);
        assert_eq!(start.elapsed().as_secs(), 20, "one at once, then one in ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_raise_the_pace() {
        let turnstile = Turnstile::new(PaceLimits::PORTAL);
        tokio::time::advance(Duration::from_secs(1)).await;
        call(&turnstile, None, POLICY, |_, _| (), || async { Ok(()) }).await.0.unwrap();
        assert!(turnstile.rate() > 8.0, "{}", turnstile.rate());
        let risen = turnstile.rate();
        tokio::time::advance(Duration::from_secs(1)).await;
        turnstile.heard::<()>(now(), &Err(failure(Remedy::TryAgain)));
        assert!((turnstile.rate() - risen).abs() < f64::EPSILON, "a call that never arrived proves nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_halves_the_pace_and_its_pause_is_kept() {
        let turnstile = Turnstile::new(PaceLimits::PORTAL);
        let start = tokio::time::Instant::now();
        let answers = AtomicU32::new(0);
        let after = Some(Duration::from_secs(30));
        let (result, _) = call(
            &turnstile,
            None,
            POLICY,
            |_, _| (),
            || async {
                match answers.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(failure(Remedy::SlowDown { after })),
                    _ => Ok(()),
                }
            },
        )
        .await;
        assert_eq!(result, Ok(()));
        assert!(start.elapsed() >= Duration::from_secs(30));
        assert!(turnstile.rate() < 8.0, "{}", turnstile.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn what_must_be_renewed_comes_back_at_once() {
        let turnstile = Turnstile::new(PaceLimits::PORTAL);
        for remedy in [Remedy::Renew, Remedy::CheckRegion, Remedy::None] {
            let (result, attempts) = call(
                &turnstile,
                None,
                POLICY,
                |_, _| unreachable!(),
                || async { Err::<(), _>(failure(remedy)) },
            )
            .await;
            assert_eq!(result.unwrap_err().remedy, remedy);
            assert_eq!(attempts.calls, 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_ends() {
        let turnstile = Turnstile::new(PaceLimits::PORTAL);
        let start = tokio::time::Instant::now();
        let slow = failure(Remedy::SlowDown { after: Some(Duration::from_secs(40)) });
        let (result, attempts) =
            call(&turnstile, None, POLICY, |_, _| (), || async { Err::<(), _>(slow.clone()) }).await;
        assert_eq!(result.unwrap_err().kind, FailureKind::Throttled);
        assert_eq!(attempts.calls, 4, "three pauses of 40 s fill the two minutes");
        assert_eq!(start.elapsed().as_secs(), 120);
    }
}
