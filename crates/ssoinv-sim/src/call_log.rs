//! The calls that were made: counts, a log of the latest calls, and how many ran at once. `dispatch.rs` records them;
//! [`Simulator`](crate::Simulator) and the control endpoint return them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Mutex;

use serde::Serialize;

use crate::service::Service;
use crate::sync::lock;

/// One call and its response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Milliseconds since 1970, by the simulator's clock.
    pub at_ms: i64,
    /// The service.
    pub service: Service,
    /// The operation; `Unknown` if it isn't simulated.
    pub operation: String,
    /// The host name that was called through the proxy; empty without it.
    pub host: String,
    /// The account that the call acted in or was about; empty if there is none.
    pub account: String,
    /// The region of the signature's scope; empty for unsigned calls.
    pub region: String,
    /// The role, or the user's name.
    pub role: String,
    /// The access key; empty if there is none.
    pub access_key_id: String,
    /// The role session's name.
    pub role_session: String,
    /// HTTP status; 0 if there was no response (reset, stalled).
    pub status: u16,
    /// The error's code; empty for good responses.
    pub code: String,
}

/// The calls of one operation in one account and region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The service.
    pub service: Service,
    /// The operation.
    pub operation: String,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// Calls, whatever their status.
    pub calls: u64,
    /// Calls with an error status or without a response.
    pub failed: u64,
}

/// The calls of one operation in all accounts and regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Total {
    /// The service.
    pub service: Service,
    /// The operation.
    pub operation: String,
    /// Calls, whatever their status.
    pub calls: u64,
    /// Calls with an error status or without a response.
    pub failed: u64,
    /// Calls that were throttled.
    pub throttled: u64,
    /// Length of the response bodies in bytes.
    pub bytes: u64,
}

type Kind = (Service, String, String, String);

#[derive(Debug, Default)]
struct Records {
    latest: VecDeque<Call>,
    counts: HashMap<Kind, (u64, u64)>,
    totals: BTreeMap<(Service, String), Total>,
    running: HashMap<(Service, String), (usize, usize)>,
}

/// All records of calls.
#[derive(Debug)]
pub(crate) struct CallLog {
    records: Mutex<Records>,
    /// The most calls that are kept in full; counts are kept for all.
    limit: usize,
}

impl CallLog {
    pub(crate) fn new(limit: usize) -> Self {
        Self { records: Mutex::default(), limit }
    }

    /// Records that a call has begun. It runs until the guard is dropped, also if the client hangs up.
    pub(crate) fn begin(&self, service: Service, region: &str) -> RunningCall<'_> {
        let key = (service, region.to_owned());
        let mut records = lock(&self.records);
        let (now, peak) = records.running.entry(key.clone()).or_default();
        *now += 1;
        *peak = (*peak).max(*now);
        RunningCall { log: self, key }
    }

    /// Records a call that has ended, whether it was throttled, and the length of its response body.
    pub(crate) fn record(&self, call: Call, throttled: bool, bytes: usize) {
        let failed = u64::from(call.status == 0 || call.status >= 400);
        let kind = (call.service, call.operation.clone(), call.account.clone(), call.region.clone());
        let mut records = lock(&self.records);
        let (calls, failures) = records.counts.entry(kind).or_default();
        *calls += 1;
        *failures += failed;
        let whole = records.totals.entry((call.service, call.operation.clone())).or_insert_with(|| Total {
            service: call.service,
            operation: call.operation.clone(),
            calls: 0,
            failed: 0,
            throttled: 0,
            bytes: 0,
        });
        whole.calls += 1;
        whole.failed += failed;
        whole.throttled += u64::from(throttled);
        whole.bytes += bytes as u64;
        if self.limit > 0 {
            if records.latest.len() >= self.limit {
                records.latest.pop_front();
            }
            records.latest.push_back(call);
        }
    }

    /// Returns the latest calls, the oldest first.
    pub(crate) fn latest(&self) -> Vec<Call> {
        lock(&self.records).latest.iter().cloned().collect()
    }

    pub(crate) fn counts(&self) -> Vec<Count> {
        let mut counts: Vec<Count> = lock(&self.records)
            .counts
            .iter()
            .map(|((service, operation, account, region), (calls, failed))| Count {
                service: *service,
                operation: operation.clone(),
                account: account.clone(),
                region: region.clone(),
                calls: *calls,
                failed: *failed,
            })
            .collect();
        counts.sort_by(|a, b| {
            (a.service, &a.operation, &a.account, &a.region).cmp(&(
                b.service,
                &b.operation,
                &b.account,
                &b.region,
            ))
        });
        counts
    }

    /// Returns all calls by operation, sorted.
    pub(crate) fn totals(&self) -> Vec<Total> {
        lock(&self.records).totals.values().cloned().collect()
    }

    /// Returns the most calls that ran at once, by `service/region`.
    pub(crate) fn peaks(&self) -> BTreeMap<String, usize> {
        let records = lock(&self.records);
        records
            .running
            .iter()
            .map(|((s, region), (_, peak))| (format!("{}/{region}", s.name()), *peak))
            .collect()
    }

    /// Clears all records; calls that run now still count as running.
    pub(crate) fn reset(&self) {
        let mut records = lock(&self.records);
        records.latest.clear();
        records.counts.clear();
        records.totals.clear();
        records.running.retain(|_, (now, peak)| {
            *peak = *now;
            *now > 0
        });
    }
}

/// A guard for a call that runs.
#[derive(Debug)]
pub(crate) struct RunningCall<'a> {
    log: &'a CallLog,
    key: (Service, String),
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        if let Some((now, _)) = lock(&self.log.records).running.get_mut(&self.key) {
            *now = now.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str, status: u16) -> Call {
        Call {
            at_ms: 0,
            service: Service::S3,
            host: String::new(),
            operation: operation.to_owned(),
            account: "012345678901".to_owned(),
            region: "eu-west-1".to_owned(),
            role: String::new(),
            access_key_id: String::new(),
            role_session: String::new(),
            status,
            code: String::new(),
        }
    }

    #[test]
    fn the_log_is_limited_and_the_counts_are_not() {
        let log = CallLog::new(2);
        for status in [200, 503, 0] {
            log.record(call("ListBuckets", status), false, 0);
        }
        log.record(call("Other", 200), false, 0);
        let latest: Vec<String> = log.latest().into_iter().map(|call| call.operation).collect();
        assert_eq!(latest, ["ListBuckets", "Other"]);
        let counts = log.counts();
        assert_eq!((counts[0].calls, counts[0].failed, counts[1].calls), (3, 2, 1));
        log.reset();
        assert!(log.latest().is_empty() && log.counts().is_empty());
    }

    #[test]
    fn totals_count_throttled_calls_and_bytes() {
        let log = CallLog::new(0);
        for (status, throttled) in [(200, false), (503, true), (503, false), (429, true)] {
            log.record(call("ListBuckets", status), throttled, 10);
        }
        let [total] = &log.totals()[..] else { panic!("one operation was called") };
        assert_eq!((total.calls, total.failed, total.throttled, total.bytes), (4, 3, 2, 40));
        log.reset();
        assert!(log.totals().is_empty());
    }

    #[test]
    fn the_peak_is_of_calls_at_once() {
        let calls = CallLog::new(0);
        let one = calls.begin(Service::EC2, "eu-west-1");
        let two = calls.begin(Service::EC2, "eu-west-1");
        drop(one);
        drop(calls.begin(Service::EC2, "eu-west-1"));
        drop(calls.begin(Service::EC2, "us-east-1"));
        assert_eq!(calls.peaks()["ec2/eu-west-1"], 2);
        assert_eq!(calls.peaks()["ec2/us-east-1"], 1);
        calls.reset();
        assert_eq!(calls.peaks(), BTreeMap::from([("ec2/eu-west-1".to_owned(), 1)]));
        drop(two);
    }
}
