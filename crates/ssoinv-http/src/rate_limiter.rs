//! The queue before a [`Pacer`]: calls wait here for their turn, in the order of arrival.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::pace::{PaceLimits, Pacer};

/// A pacer that tasks queue up before, first come, first served.
#[derive(Debug)]
pub struct RateLimiter {
    /// Held by whoever is next while it waits; tokio's mutex is fair.
    queue: tokio::sync::Mutex<()>,
    pacer: Arc<Mutex<Pacer>>,
    /// How the last call was refused that was throttled.
    refusal: Arc<Mutex<Option<Failure>>>,
}

/// However short the retry time is, so long whoever was never refused waits until others are answered.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

impl RateLimiter {
    /// A limiter with a full bucket.
    #[must_use]
    pub fn new(limits: PaceLimits) -> Self {
        let pacer = Arc::new(Mutex::new(Pacer::new(limits, now())));
        Self { queue: tokio::sync::Mutex::default(), pacer, refusal: Arc::default() }
    }

    /// A second line before the same pacer, for what the first one waits for.
    #[must_use]
    pub fn with_own_queue(&self) -> Self {
        let (pacer, refusal) = (Arc::clone(&self.pacer), Arc::clone(&self.refusal));
        Self { queue: tokio::sync::Mutex::default(), pacer, refusal }
    }

    /// Waits for a turn. Whoever stops waiting gives its place away.
    ///
    /// # Errors
    /// Where the service answers nobody, and would have done so for longer than `patience` when the turn comes: as it
    /// refused another. Each who waits would else have to find that out by calls of its own, one after the other.
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

    /// Tells the pacer how a call that was made at `sent` was answered.
    pub fn record<T>(&self, sent: Instant, answer: &Result<T, Failure>) {
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
