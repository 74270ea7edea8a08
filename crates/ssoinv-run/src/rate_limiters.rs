//! One rate limiter for each (account, region, service).
//!
//! AWS throttles each of them separately, so one throttled account never slows another. How fast calls may follow one
//! another is decided by [`ssoinv_core::pace::Pacer`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ssoinv_core::scope::AccountId;
use ssoinv_core::service::ServiceInfo;
use ssoinv_http::rate_limiter::RateLimiter;

type Key = (Option<AccountId>, Box<str>, &'static str);

/// The rate limiters of a process.
#[derive(Debug, Default)]
pub(crate) struct RateLimiters {
    limiters: Mutex<HashMap<Key, Arc<RateLimiter>>>,
}

impl RateLimiters {
    /// Returns the rate limiter of a service in one account and region.
    pub(crate) fn of(
        &self,
        account: Option<AccountId>,
        region: &str,
        service: &'static ServiceInfo,
    ) -> Arc<RateLimiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = limiters
            .entry((account, region.into(), service.id))
            .or_insert_with(|| Arc::new(RateLimiter::new(service.limits)));
        Arc::clone(limiter)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ssoinv_core::failure::{Failure, FailureKind, Remedy};
    use ssoinv_core::pace::PaceLimits;
    use tokio::time::Instant;

    use super::*;

    static EC2: ServiceInfo =
        ServiceInfo { id: "EC2", signing_name: "ec2", endpoint_prefix: "ec2", limits: PaceLimits::EC2 };
    static LAMBDA: ServiceInfo = ServiceInfo {
        id: "Lambda",
        signing_name: "lambda",
        endpoint_prefix: "lambda",
        limits: PaceLimits::LAMBDA,
    };

    #[tokio::test(start_paused = true)]
    async fn one_throttled_account_never_slows_another() {
        let limiters = RateLimiters::default();
        let [slow, other] = ["111111111111", "222222222222"].map(|account| account.parse().ok());
        let throttled = limiters.of(slow, "us-east-1", &EC2);
        let after = Some(Duration::from_mins(5));
        let refusal =
            Failure::new(FailureKind::Throttled, "slow down").with_remedy(Remedy::SlowDown { after });
        throttled.record::<()>(Instant::now().into_std(), &Err(refusal));
        let start = Instant::now();
        for (account, region, service) in
            [(other, "us-east-1", &EC2), (slow, "eu-west-1", &EC2), (slow, "us-east-1", &LAMBDA)]
        {
            for _ in 0..10 {
                limiters.of(account, region, service).acquire(Duration::MAX).await.expect("a turn");
            }
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "the others don't wait");
        limiters.of(slow, "us-east-1", &EC2).acquire(Duration::MAX).await.expect("a turn");
        assert_eq!(start.elapsed(), Duration::from_mins(5), "the throttled one waits");
    }
}
