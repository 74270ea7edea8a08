//! AWS's token buckets: a burst, then so many calls a second. Figures: EC2's "Request throttling" page, Lambda's
//! and IAM Identity Center's quotas. Off where a [`Limits`] member is `None`.

use std::collections::{HashMap, VecDeque};
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

/// What becomes of a caller who keeps on being refused: for a while nothing is answered at all. AWS documents no such
/// thing for the portal; users of many accounts meet it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockout {
    /// So many refused calls …
    pub refusals: usize,
    /// … within so many seconds …
    pub within: f64,
    /// … shut the caller out for so many seconds. Calls meanwhile are refused and don't make it longer.
    pub seconds: f64,
}

/// Which services limit their callers. EC2, Lambda and STS count per account and region, S3 per account, the
/// portal all calls together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The portal's calls.
    pub portal: Option<Rate>,
    /// What the portal does to those who keep hitting its limit.
    pub portal_lockout: Option<Lockout>,
    /// STS's calls.
    pub sts: Option<Rate>,
    /// S3's ListBuckets.
    pub s3: Option<Rate>,
    /// EC2's Describe calls.
    pub ec2: Option<Rate>,
    /// Lambda's control plane.
    pub lambda: Option<Rate>,
}

impl Limits {
    /// No limits.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// As AWS documents them.
    #[must_use]
    pub fn aws() -> Self {
        Self {
            portal: Some(Rate { burst: 20.0, per_second: 20.0 }),
            portal_lockout: None,
            sts: Some(Rate { burst: 600.0, per_second: 600.0 }),
            s3: Some(Rate { burst: 100.0, per_second: 50.0 }),
            ec2: Some(Rate { burst: 100.0, per_second: 20.0 }),
            lambda: Some(Rate { burst: 15.0, per_second: 15.0 }),
        }
    }

    fn of(&self, service: Service) -> Option<Rate> {
        match service {
            Service::Oidc | Service::Organizations | Service::Metadata => None,
            Service::Portal => self.portal,
            Service::Sts => self.sts,
            Service::S3 => self.s3,
            Service::Ec2 => self.ec2,
            Service::Lambda => self.lambda,
        }
    }
}

#[derive(Debug)]
struct Bucket {
    level: f64,
    at: Duration,
}

/// All buckets. Time is handed in.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    limits: Limits,
    levels: HashMap<(Service, String, String), Bucket>,
    /// When the portal refused, as far back as the lock-out looks.
    refused: VecDeque<Duration>,
    shut_until: Duration,
    lockouts: u64,
}

impl Buckets {
    pub(crate) fn set(&mut self, limits: Limits) {
        *self = Self { limits, ..Self::default() };
    }

    /// How often the portal has shut its caller out since the limits were set.
    pub(crate) fn lockouts(&self) -> u64 {
        self.lockouts
    }

    /// Takes one call out of its bucket; false when that is empty, or the caller is shut out.
    pub(crate) fn take(&mut self, service: Service, account: &str, region: &str, now: Duration) -> bool {
        let lockout = self.limits.portal_lockout.filter(|_| service == Service::Portal);
        if lockout.is_some() && now < self.shut_until {
            return false;
        }
        let admitted = self.flows(service, account, region, now);
        if let (Some(lockout), false) = (lockout, admitted) {
            self.refused.push_back(now);
            let since = now.saturating_sub(Duration::from_secs_f64(lockout.within));
            while self.refused.front().is_some_and(|at| *at < since) {
                self.refused.pop_front();
            }
            if self.refused.len() >= lockout.refusals {
                self.refused.clear();
                self.shut_until = now + Duration::from_secs_f64(lockout.seconds);
                self.lockouts += 1;
            }
        }
        admitted
    }

    /// Whether there is one more call in its bucket, which is taken.
    fn flows(&mut self, service: Service, account: &str, region: &str, now: Duration) -> bool {
        let Some(rate) = self.limits.of(service) else { return true };
        let key = match service {
            Service::Portal | Service::Oidc | Service::Organizations | Service::Metadata => {
                (service, String::new(), String::new())
            }
            Service::S3 => (service, account.to_owned(), String::new()),
            Service::Sts | Service::Ec2 | Service::Lambda => (service, account.to_owned(), region.to_owned()),
        };
        let bucket = self.levels.entry(key).or_insert(Bucket { level: rate.burst, at: now });
        let flown_in = now.saturating_sub(bucket.at).as_secs_f64() * rate.per_second;
        bucket.level = (bucket.level + flown_in).min(rate.burst);
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

    fn count(buckets: &mut Buckets, account: &str, region: &str, millis: u64, tries: usize) -> usize {
        let now = Duration::from_millis(millis);
        (0..tries).filter(|_| buckets.take(Service::Ec2, account, region, now)).count()
    }

    #[test]
    fn a_burst_then_the_rate_and_never_more_than_the_burst() {
        let mut buckets = Buckets::default();
        buckets.set(Limits::aws());
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 0, 150), 100);
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 500, 150), 10);
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 1_000, 3), 3);
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 3_600_000, 150), 100);
    }

    #[test]
    fn accounts_and_regions_have_buckets_of_their_own_but_the_portal_one_in_all() {
        let mut buckets = Buckets::default();
        buckets.set(Limits::aws());
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 0, 101), 100);
        assert_eq!(count(&mut buckets, "1", "us-east-1", 0, 101), 100);
        assert_eq!(count(&mut buckets, "2", "eu-west-1", 0, 101), 100);
        let portal = |account: usize, buckets: &mut Buckets| {
            buckets.take(Service::Portal, &account.to_string(), "", Duration::ZERO)
        };
        assert_eq!((0..50).filter(|n| portal(*n, &mut buckets)).count(), 20);
    }

    #[test]
    fn whoever_keeps_being_refused_is_shut_out_for_a_while() {
        let mut buckets = Buckets::default();
        let portal = Some(Rate { burst: 1.0, per_second: 1.0 });
        let portal_lockout = Some(Lockout { refusals: 3, within: 5.0, seconds: 30.0 });
        buckets.set(Limits { portal, portal_lockout, ..Limits::off() });
        let mut asked = |millis: u64| buckets.take(Service::Portal, "", "", Duration::from_millis(millis));
        assert_eq!([0, 100, 200].map(&mut asked), [true, false, false]);
        assert!(asked(1_500), "two refusals are no lock-out");
        assert_eq!(
            [5_500, 5_600, 5_700].map(&mut asked),
            [true, false, false],
            "the first ones are long ago"
        );
        assert!(!asked(5_800));
        assert_eq!([6_800, 20_000, 35_700].map(&mut asked), [false; 3]);
        assert!(asked(35_900));
        assert_eq!(buckets.lockouts(), 1);
        assert!(
            buckets.take(Service::Sts, "1", "", Duration::from_secs(6)),
            "other services know nothing of it"
        );
    }

    #[test]
    fn off_is_off() {
        let mut buckets = Buckets::default();
        assert_eq!(count(&mut buckets, "1", "eu-west-1", 0, 1_000), 1_000);
    }
}
