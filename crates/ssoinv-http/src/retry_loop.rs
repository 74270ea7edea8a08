//! The one retry loop for calls to AWS.
//!
//! Each attempt takes a turn of its rate limiter, then a slot, is counted, and its result is recorded in the rate
//! limiter. The meaning of a failure is the caller's ([`crate::classify`]); the delay before a retry is
//! [`ssoinv_core::retry`]'s, and the rate of calls [`ssoinv_core::pace`]'s.

use std::future::Future;
use std::time::Duration;

use ssoinv_core::failure::Failure;
use ssoinv_core::retry::{Retry, RetryPolicy};
use tokio::sync::Semaphore;

use crate::rate_limiter::{RateLimiter, now};

/// The number of times that a call was made.
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
/// Each attempt waits for `limiter`, then for one of `slots`, which it holds for the call itself only. `on_retry` is
/// called with each failure that isn't the last, and the delay that follows. Failures with the remedy
/// [`Remedy::Renew`](ssoinv_core::failure::Remedy::Renew) or
/// [`Remedy::CheckRegion`](ssoinv_core::failure::Remedy::CheckRegion) are returned at once: the caller knows what to
/// renew. The future may be dropped at any moment.
pub async fn call<T, F>(
    limiter: &RateLimiter,
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
        if let Err(refusal) = limiter.acquire(policy.throttle_budget).await {
            return (Err(retry.exhausted(refusal)), attempts);
        }
        let (sent, response) = {
            let _slot = match slots {
                // A closed semaphore holds no call back.
                Some(slots) => slots.acquire().await.ok(),
                None => None,
            };
            attempts.retries = attempts.calls;
            attempts.calls += 1;
            (now(), op().await)
        };
        limiter.record(sent, &response);
        let failure = match response {
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

    use ssoinv_core::failure::{FailureKind, Remedy};
    use ssoinv_core::pace::PaceLimits;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { max_attempts: 3, throttle_budget: Duration::from_mins(2) };

    fn failure(remedy: Remedy) -> Failure {
        Failure::new(FailureKind::Failed, "no").with_remedy(remedy)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_holds_no_slot() {
        let limiter = RateLimiter::new(PaceLimits::PORTAL);
        let slots = Semaphore::new(1);
        let calls = AtomicU32::new(0);
        let (result, attempts) = call(
            &limiter,
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
        let limiter = RateLimiter::new(limits);
        let start = tokio::time::Instant::now();
        let reset = || async { Err::<(), _>(failure(Remedy::TryAgain)) };
        let (_, attempts) = call(&limiter, None, POLICY, |_, _| (), reset).await;
        assert_eq!(attempts.calls, 3);
        assert_eq!(start.elapsed().as_secs(), 20, "one at once, then one in ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_raise_the_pace() {
        let limiter = RateLimiter::new(PaceLimits::PORTAL);
        tokio::time::advance(Duration::from_secs(1)).await;
        call(&limiter, None, POLICY, |_, _| (), || async { Ok(()) }).await.0.unwrap();
        assert!(limiter.rate() > 8.0, "{}", limiter.rate());
        let risen = limiter.rate();
        tokio::time::advance(Duration::from_secs(1)).await;
        limiter.record::<()>(now(), &Err(failure(Remedy::TryAgain)));
        assert!((limiter.rate() - risen).abs() < f64::EPSILON, "a call that never arrived proves nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_halves_the_pace_and_its_pause_is_kept() {
        let limiter = RateLimiter::new(PaceLimits::PORTAL);
        let start = tokio::time::Instant::now();
        let responses = AtomicU32::new(0);
        let after = Some(Duration::from_secs(30));
        let (result, _) = call(
            &limiter,
            None,
            POLICY,
            |_, _| (),
            || async {
                match responses.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(failure(Remedy::SlowDown { after })),
                    _ => Ok(()),
                }
            },
        )
        .await;
        assert_eq!(result, Ok(()));
        assert!(start.elapsed() >= Duration::from_secs(30));
        assert!(limiter.rate() < 8.0, "{}", limiter.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn what_must_be_renewed_comes_back_at_once() {
        let limiter = RateLimiter::new(PaceLimits::PORTAL);
        for remedy in [Remedy::Renew, Remedy::CheckRegion, Remedy::None] {
            let (result, attempts) = call(
                &limiter,
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
        let limiter = RateLimiter::new(PaceLimits::PORTAL);
        let start = tokio::time::Instant::now();
        let slow = failure(Remedy::SlowDown { after: Some(Duration::from_secs(40)) });
        let (result, attempts) =
            call(&limiter, None, POLICY, |_, _| (), || async { Err::<(), _>(slow.clone()) }).await;
        assert_eq!(result.unwrap_err().kind, FailureKind::Throttled);
        assert_eq!(attempts.calls, 4, "three pauses of 40 s fill the two minutes");
        assert_eq!(start.elapsed().as_secs(), 120);
    }
}
