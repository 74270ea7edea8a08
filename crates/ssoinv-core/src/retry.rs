//! How often and how long a call is tried again. Pure: `ssoinv-sso::attempt` sleeps.
//!
//! Throttled calls have a budget of *time*, since a service's limit ends some time and no number of attempts says when;
//! other transient failures have a number of attempts. Time that a task spends parked counts in neither.

use std::time::Duration;

use crate::failure::{Failure, FailureKind, Remedy};

/// The bounds of [`Retry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts at a call that fails transiently, the first among them.
    pub max_attempts: u32,
    /// How long throttled attempts may wait in all.
    pub throttle_budget: Duration,
}

/// The first delay; each further one is at most twice as long.
const BASE: Duration = Duration::from_millis(200);
/// The longest delay that we choose ourselves.
const CAP: Duration = Duration::from_secs(20);

/// The tries of one call.
#[derive(Clone, Debug)]
pub struct Retry {
    policy: RetryPolicy,
    attempts: u32,
    throttled: u32,
    waited: Duration,
}

impl Retry {
    /// A call that hasn't been tried.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, attempts: 0, throttled: 0, waited: Duration::ZERO }
    }

    /// How long to wait before the call is tried again; `None` where `failure` stands. `jitter` is a random number from
    /// 0 to 1: delays are spread over their second half, so that calls which failed together don't come back together.
    pub fn after(&mut self, failure: &Failure, jitter: f64) -> Option<Duration> {
        match failure.remedy {
            Remedy::TryAgain => {
                self.attempts += 1;
                (self.attempts < self.policy.max_attempts).then(|| backoff(self.attempts, jitter))
            }
            Remedy::SlowDown { after } => {
                self.throttled += 1;
                let delay = backoff(self.throttled, jitter).max(after.unwrap_or_default());
                self.waited += delay;
                (self.waited <= self.policy.throttle_budget).then_some(delay)
            }
            Remedy::None | Remedy::Renew | Remedy::CheckRegion => None,
        }
    }

    /// The failure that stands when [`Retry::after`] gave up: it says how often and how long was tried.
    #[must_use]
    pub fn exhausted(&self, mut failure: Failure) -> Failure {
        if let Remedy::SlowDown { .. } = failure.remedy {
            failure.kind = FailureKind::Throttled;
            // A call that was never throttled itself waited for calls that were.
            if self.throttled > 0 {
                failure.message = format!("{} (throttled {} times)", failure.message, self.throttled);
            }
        } else if self.attempts > 1 {
            failure.message = format!("{} ({} attempts)", failure.message, self.attempts);
        }
        failure
    }
}

fn backoff(attempt: u32, jitter: f64) -> Duration {
    let full = BASE.saturating_mul(1 << (attempt - 1).min(16)).min(CAP);
    full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { max_attempts: 3, throttle_budget: Duration::from_mins(1) };

    fn failure(remedy: Remedy) -> Failure {
        Failure::new(FailureKind::Failed, "x").with_remedy(remedy)
    }

    #[test]
    fn transient_failures_have_a_number_of_attempts() {
        let mut retry = Retry::new(POLICY);
        let reset = failure(Remedy::TryAgain);
        assert_eq!(retry.after(&reset, 1.0), Some(Duration::from_millis(200)));
        assert_eq!(retry.after(&reset, 0.0), Some(Duration::from_millis(200)));
        assert_eq!(retry.after(&reset, 1.0), None);
        assert_eq!(retry.exhausted(reset).message, "x (3 attempts)");
    }

    #[test]
    fn throttling_has_a_budget_of_time_and_honours_retry_after() {
        let mut retry = Retry::new(POLICY);
        let slow = failure(Remedy::SlowDown { after: Some(Duration::from_secs(25)) });
        assert_eq!(retry.after(&slow, 0.5), Some(Duration::from_secs(25)));
        assert_eq!(retry.after(&slow, 0.5), Some(Duration::from_secs(25)));
        assert_eq!(retry.after(&slow, 0.5), None, "75 s are over the budget of 60 s");
        assert_eq!(retry.exhausted(slow).kind, FailureKind::Throttled);
    }

    #[test]
    fn delays_grow_to_a_cap() {
        assert_eq!(backoff(30, 1.0), CAP);
        assert_eq!(backoff(3, 0.0), Duration::from_millis(400));
    }

    #[test]
    fn answers_that_stand_are_not_retried() {
        for remedy in [Remedy::None, Remedy::Renew, Remedy::CheckRegion] {
            assert_eq!(Retry::new(POLICY).after(&failure(remedy), 0.5), None);
        }
    }
}
