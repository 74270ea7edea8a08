//! The queue before a [`Pacer`]: calls wait here for their turn, in the order of arrival.
//!
//! [`crate::retry_loop`] acquires a turn for each attempt and records the result. Failures that say nothing about the
//! service's limit are not recorded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::pace::{PaceLimits, Pacer};

/// A pacer with a queue: first come, first served.
#[derive(Debug)]
pub struct RateLimiter {
    /// Held by the next call in the queue while it waits; tokio's mutex is fair.
    queue: tokio::sync::Mutex<()>,
    pacer: Arc<Mutex<Pacer>>,
    /// The last failure that a throttled call got.
    refusal: Arc<Mutex<Option<Failure>>>,
}

/// The shortest time for which a call waits for a service that responds to none.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

impl RateLimiter {
    /// Creates a limiter with a full bucket.
    #[must_use]
    pub fn new(limits: PaceLimits) -> Self {
        let pacer = Arc::new(Mutex::new(Pacer::new(limits, now())));
        Self { queue: tokio::sync::Mutex::default(), pacer, refusal: Arc::default() }
    }

    /// Creates a second queue before the same pacer, for calls that those in the first queue wait for.
    #[must_use]
    pub fn with_own_queue(&self) -> Self {
        let (pacer, refusal) = (Arc::clone(&self.pacer), Arc::clone(&self.refusal));
        Self { queue: tokio::sync::Mutex::default(), pacer, refusal }
    }

    /// Waits for a turn. Dropping the future gives up the place in the queue.
    ///
    /// # Errors
    /// The last throttled call's failure, if the service responds to no call and would have done so for longer than
    /// `patience` at the end of the wait. Otherwise each waiting call would have to find that out by itself, one
    /// after the other.
    pub async fn acquire(&self, patience: Duration) -> Result<(), Failure> {
        let _next = self.queue.lock().await;
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

    /// Records the result of a call that was made at `sent`.
    pub fn record<T>(&self, sent: Instant, result: &Result<T, Failure>) {
        match result {
            Err(Failure { remedy: Remedy::SlowDown { after }, .. }) => {
                self.pacer().throttled(sent, now(), *after);
                *self.refusal() = result.as_ref().err().cloned();
            }
            // A call that never arrived says nothing about the limit; nor does one that is made again.
            Err(Failure { remedy: Remedy::TryAgain, .. } | Failure { kind: FailureKind::NotTried, .. }) => {}
            Ok(_) | Err(_) => self.pacer().answered(sent, now()),
        }
    }

    /// Returns the present rate, in calls a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.pacer().rate()
    }

    fn refusal(&self) -> MutexGuard<'_, Option<Failure>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pacer(&self) -> MutexGuard<'_, Pacer> {
        // A panic can't leave a pacer between two states.
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the time of tokio's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_taken_in_the_order_of_arrival_and_at_the_pace() {
        let limits = PaceLimits { burst: 1.0, initial_rate: 2.0, max_rate: 2.0, min_rate: 0.5, rise: 0.0 };
        let limiter = Arc::new(RateLimiter::new(limits));
        let order = Arc::new(Mutex::new(Vec::new()));
        let start = tokio::time::Instant::now();
        let mut tasks = Vec::new();
        for number in 0..5 {
            let (limiter, order) = (Arc::clone(&limiter), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                limiter.acquire(Duration::MAX).await.unwrap();
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
        let limiter = Arc::new(RateLimiter::new(limits));
        let passed = Arc::new(AtomicU32::new(0));
        let start = tokio::time::Instant::now();
        let in_line = (0..100).map(|_| {
            let (limiter, passed) = (Arc::clone(&limiter), Arc::clone(&passed));
            tokio::spawn(async move {
                limiter.acquire(Duration::MAX).await.unwrap();
                passed.fetch_add(1, Ordering::Relaxed);
            })
        });
        let in_line: Vec<_> = in_line.collect();
        tokio::task::yield_now().await;
        limiter.with_own_queue().acquire(Duration::MAX).await.unwrap();
        assert!(passed.load(Ordering::Relaxed) <= 3, "{passed:?} of 100 went before");
        for task in in_line {
            task.await.unwrap();
        }
        assert_eq!(start.elapsed().as_secs(), 50, "101 calls, the first at once, then two a second");
    }
}
