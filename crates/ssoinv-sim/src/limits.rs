//! AWS's token buckets: a burst, then so many calls a second. Which calls share a bucket, and AWS's documented rates,
//! are part of each service's definition; `dispatch.rs` takes each call from its bucket.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::service::Service;

/// The size of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Calls at once from a full bucket.
    pub burst: f64,
    /// Calls that flow in each second.
    pub per_second: f64,
}

/// A period without any response for callers that exceed the portal's rate too often.
///
/// AWS documents no such thing for the portal; users of many accounts meet it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockout {
    /// Number of throttled calls …
    pub refusals: usize,
    /// … within so many seconds …
    pub within: f64,
    /// … after which all calls are throttled for so many seconds. Calls during the lockout don't extend it.
    pub seconds: f64,
}

/// The rate limits in force. Services without a rate aren't limited.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The rates, by the name of the service.
    pub rates: BTreeMap<String, Rate>,
    /// The portal's lockout.
    pub portal_lockout: Option<Lockout>,
}

impl Limits {
    /// Returns limits that limit nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Sets the rate of a service.
    #[must_use]
    pub fn rate(mut self, service: Service, rate: Rate) -> Self {
        self.rates.insert(service.name().to_owned(), rate);
        self
    }
}

#[derive(Debug)]
struct TokenBucket {
    level: f64,
    at: Duration,
}

/// All token buckets. The time is passed in.
#[derive(Debug, Default)]
pub(crate) struct TokenBuckets {
    limits: Limits,
    levels: HashMap<(Service, String, String), TokenBucket>,
    /// When the portal throttled, within the lockout's period.
    throttled: VecDeque<Duration>,
    locked_until: Duration,
    lockouts: u64,
}

impl TokenBuckets {
    pub(crate) fn set(&mut self, limits: Limits) {
        *self = Self { limits, ..Self::default() };
    }

    /// Returns the number of lockouts since the limits were set.
    pub(crate) fn lockouts(&self) -> u64 {
        self.lockouts
    }

    /// Takes one call from its bucket; false if the bucket is empty or the caller is locked out.
    ///
    /// `bucket` has the account and region that tell the service's buckets apart.
    pub(crate) fn take(&mut self, service: Service, bucket: (&str, &str), now: Duration) -> bool {
        let lockout = self.limits.portal_lockout.filter(|_| service == Service::PORTAL);
        if lockout.is_some() && now < self.locked_until {
            return false;
        }
        let admitted = self.take_from_bucket(service, bucket, now);
        if let (Some(lockout), false) = (lockout, admitted) {
            self.throttled.push_back(now);
            let since = now.saturating_sub(Duration::from_secs_f64(lockout.within));
            while self.throttled.front().is_some_and(|at| *at < since) {
                self.throttled.pop_front();
            }
            if self.throttled.len() >= lockout.refusals {
                self.throttled.clear();
                self.locked_until = now + Duration::from_secs_f64(lockout.seconds);
                self.lockouts += 1;
            }
        }
        admitted
    }

    fn take_from_bucket(&mut self, service: Service, (account, region): (&str, &str), now: Duration) -> bool {
        let Some(rate) = self.limits.rates.get(service.name()).copied() else { return true };
        let key = (service, account.to_owned(), region.to_owned());
        let bucket = self.levels.entry(key).or_insert(TokenBucket { level: rate.burst, at: now });
        let refill = now.saturating_sub(bucket.at).as_secs_f64() * rate.per_second;
        bucket.level = (bucket.level + refill).min(rate.burst);
        bucket.at = now;
        if bucket.level < 1.0 {
            return false;
        }
        bucket.level -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 100.0, per_second: 20.0 };

    fn buckets() -> TokenBuckets {
        let mut buckets = TokenBuckets::default();
        buckets.set(Limits::off().rate(Service::EC2, RATE));
        buckets
    }

    fn count(buckets: &mut TokenBuckets, account: &str, region: &str, millis: u64, attempts: usize) -> usize {
        let now = Duration::from_millis(millis);
        (0..attempts).filter(|_| buckets.take(Service::EC2, (account, region), now)).count()
    }

    #[test]
    fn a_burst_then_the_rate_up_to_the_burst() {
        let mut buckets = buckets();
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 0, 150), 100);
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 500, 150), 10);
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 1_000, 3), 3);
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 3_600_000, 150), 100);
    }

    #[test]
    fn accounts_and_regions_have_buckets_of_their_own() {
        let mut buckets = buckets();
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 0, 101), 100);
        assert_eq!(count(&mut buckets, "1", "us-east-1", 0, 101), 100);
        assert_eq!(count(&mut buckets, "2", "eu-west-1", 0, 101), 100);
    }

    #[test]
    fn too_many_throttled_calls_cause_a_lockout() {
        let mut buckets = TokenBuckets::default();
        let portal_lockout = Some(Lockout { refusals: 3, within: 5.0, seconds: 30.0 });
        let limits = Limits { portal_lockout, ..Limits::off() };
        buckets.set(limits.rate(Service::PORTAL, Rate { burst: 1.0, per_second: 1.0 }));
        let mut take = |millis: u64| buckets.take(Service::PORTAL, ("", ""), Duration::from_millis(millis));
        assert_eq!([0, 100, 200].map(&mut take), [true, false, false]);
        assert!(take(1_500), "two throttled calls are no lockout");
        assert_eq!(
            [5_500, 5_600, 5_700].map(&mut take),
            [true, false, false],
            "the first ones are too long ago"
        );
        assert!(!take(5_800));
        assert_eq!([6_800, 20_000, 35_700].map(&mut take), [false; 3]);
        assert!(take(35_900));
        assert_eq!(buckets.lockouts(), 1);
        assert!(
            buckets.take(Service::STS, ("1", ""), Duration::from_secs(6)),
            "other services have no lockout"
        );
    }

    #[test]
    fn off_is_off() {
        let mut buckets = TokenBuckets::default();
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 0, 1_000), 1_000);
    }
}
