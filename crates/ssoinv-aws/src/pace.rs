//! One pacer for each (account, region, service): AWS throttles each of them on its own, so one throttled account never
//! slows another. The pacer itself is [`ssoinv_core::pace::Pacer`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ssoinv_core::scope::AccountId;
use ssoinv_http::rate_limiter::RateLimiter;

use crate::plan::Reach;
use crate::tables::Service;

type Key = (Option<AccountId>, Box<str>, Service);

/// The pacers of a run.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    limiters: Mutex<HashMap<Key, Arc<RateLimiter>>>,
}

impl Paces {
    /// The pacer of one service in one account and region.
    pub(crate) fn of(&self, reach: &Reach, region: &str, service: Service) -> Arc<RateLimiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = limiters
            .entry((reach.account_id, region.into(), service))
            .or_insert_with(|| Arc::new(RateLimiter::new(service.info().limits)));
        Arc::clone(limiter)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ssoinv_core::failure::{Failure, FailureKind, Remedy};
    use ssoinv_core::scope::Partition;
    use ssoinv_sso::profile::Profile;
    use tokio::time::Instant;

    use super::*;
    use crate::plan::{Regions, Standing};

    fn reach(account: &str) -> Reach {
        Reach {
            access: Arc::new(Profile::ambient(&std::collections::BTreeMap::new())),
            profile: None,
            partition: Partition::Aws,
            account_id: account.parse().ok(),
            account_name: None,
            role_name: None,
            principal: account.into(),
            regions: Regions::In(Vec::new()),
            standing: Standing::Ready,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_throttled_account_never_slows_another() {
        let paces = Paces::default();
        let (slow, other) = (reach("111111111111"), reach("222222222222"));
        let throttled = paces.of(&slow, "us-east-1", Service::Ec2);
        let after = Some(Duration::from_mins(5));
        let refusal =
            Failure::new(FailureKind::Throttled, "slow down").with_remedy(Remedy::SlowDown { after });
        throttled.record::<()>(Instant::now().into_std(), &Err(refusal));
        let start = Instant::now();
        for (reach, region, service) in [
            (&other, "us-east-1", Service::Ec2),
            (&slow, "eu-west-1", Service::Ec2),
            (&slow, "us-east-1", Service::Lambda),
        ] {
            for _ in 0..10 {
                paces.of(reach, region, service).acquire(Duration::MAX).await.expect("a turn");
            }
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "nobody else waits");
        paces.of(&slow, "us-east-1", Service::Ec2).acquire(Duration::MAX).await.expect("a turn");
        assert_eq!(start.elapsed(), Duration::from_mins(5), "it does, whoever asks next");
    }
}
