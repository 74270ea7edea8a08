//! What was called: counts, a log of the latest calls, and how many ran at once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Mutex;

use serde::Serialize;

use crate::lock;
use crate::refusal;
use crate::service::Service;

/// One call, as it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Milliseconds since 1970, by the simulator's clock.
    pub at_ms: i64,
    /// The service.
    pub service: Service,
    /// The operation; `Unknown` for what isn't simulated.
    pub operation: String,
    /// The name of AWS's that was called through the proxy; empty without it.
    pub host: String,
    /// The account that the call acted in or asked about; empty where there is none.
    pub account: String,
    /// The region of the signature's scope; empty for unsigned calls.
    pub region: String,
    /// The role, or the user's name.
    pub role: String,
    /// The access key, where there is one.
    pub access_key_id: String,
    /// The role session's name.
    pub role_session: String,
    /// HTTP status; 0 where no answer was given (reset, stalled).
    pub status: u16,
    /// The error's code; empty for good answers.
    pub code: String,
}

/// How many calls of one kind were answered.
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
    /// Those with an error status or without an answer.
    pub failed: u64,
}

/// All calls of an operation, whatever the account and region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Total {
    /// The service.
    pub service: Service,
    /// The operation.
    pub operation: String,
    /// Calls, whatever their status.
    pub calls: u64,
    /// Those with an error status or without an answer.
    pub failed: u64,
    /// Those that were refused for coming too fast.
    pub throttled: u64,
    /// Length of the answers' bodies in bytes.
    pub bytes: u64,
}

type Kind = (Service, String, String, String);

#[derive(Debug, Default)]
struct Books {
    log: VecDeque<Call>,
    counts: HashMap<Kind, (u64, u64)>,
    totals: BTreeMap<(Service, String), Total>,
    running: HashMap<(Service, String), (usize, usize)>,
}

/// The books.
#[derive(Debug)]
pub(crate) struct Calls {
    books: Mutex<Books>,
    log_limit: usize,
}

impl Calls {
    pub(crate) fn new(log_limit: usize) -> Self {
        Self { books: Mutex::default(), log_limit }
    }

    /// Notes that a call has begun; it runs until the guard goes, be it that the client hangs up.
    pub(crate) fn begin(&self, service: Service, region: &str) -> Running<'_> {
        let key = (service, region.to_owned());
        let mut books = lock(&self.books);
        let (now, peak) = books.running.entry(key.clone()).or_default();
        *now += 1;
        *peak = (*peak).max(*now);
        Running { calls: self, key }
    }

    /// Notes a call that has ended, and the length of its answer's body.
    pub(crate) fn note(&self, call: Call, bytes: usize) {
        let failed = u64::from(call.status == 0 || call.status >= 400);
        let kind = (call.service, call.operation.clone(), call.account.clone(), call.region.clone());
        let mut books = lock(&self.books);
        let (calls, failures) = books.counts.entry(kind).or_default();
        *calls += 1;
        *failures += failed;
        let whole = books.totals.entry((call.service, call.operation.clone())).or_insert_with(|| Total {
            service: call.service,
            operation: call.operation.clone(),
            calls: 0,
            failed: 0,
            throttled: 0,
            bytes: 0,
        });
        whole.calls += 1;
        whole.failed += failed;
        whole.throttled += u64::from(call.status == 429 || refusal::is_throttling(&call.code));
        whole.bytes += bytes as u64;
        if self.log_limit > 0 {
            if books.log.len() >= self.log_limit {
                books.log.pop_front();
            }
            books.log.push_back(call);
        }
    }

    pub(crate) fn log(&self) -> Vec<Call> {
        lock(&self.books).log.iter().cloned().collect()
    }

    pub(crate) fn counts(&self) -> Vec<Count> {
        let mut counts: Vec<Count> = lock(&self.books)
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

    /// All calls by operation, sorted.
    pub(crate) fn totals(&self) -> Vec<Total> {
        lock(&self.books).totals.values().cloned().collect()
    }

    /// The most calls that ran at once, by `service/region`.
    pub(crate) fn peaks(&self) -> BTreeMap<String, usize> {
        let books = lock(&self.books);
        books
            .running
            .iter()
            .map(|((s, region), (_, peak))| (format!("{}/{region}", s.name()), *peak))
            .collect()
    }

    /// Starts all books anew; calls that run now still count as running.
    pub(crate) fn reset(&self) {
        let mut books = lock(&self.books);
        books.log.clear();
        books.counts.clear();
        books.totals.clear();
        books.running.retain(|_, (now, peak)| {
            *peak = *now;
            *now > 0
        });
    }
}

/// A call that runs.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    calls: &'a Calls,
    key: (Service, String),
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some((now, _)) = lock(&self.calls.books).running.get_mut(&self.key) {
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
    fn the_log_keeps_the_latest_and_the_counts_all() {
        let calls = Calls::new(2);
        for status in [200, 503, 0] {
            calls.note(call("ListBuckets", status), 0);
        }
        calls.note(call("Other", 200), 0);
        let log: Vec<String> = calls.log().into_iter().map(|call| call.operation).collect();
        assert_eq!(log, ["ListBuckets", "Other"]);
        let counts = calls.counts();
        assert_eq!((counts[0].calls, counts[0].failed, counts[1].calls), (3, 2, 1));
        calls.reset();
        assert!(calls.log().is_empty() && calls.counts().is_empty());
    }

    #[test]
    fn totals_tell_what_was_too_fast_and_how_much_was_said() {
        let calls = Calls::new(0);
        for (status, code) in [(200, ""), (503, "SlowDown"), (503, "ServiceUnavailable"), (429, "")] {
            calls.note(Call { code: code.to_owned(), ..call("ListBuckets", status) }, 10);
        }
        let [total] = &calls.totals()[..] else { panic!("one operation was called") };
        assert_eq!((total.calls, total.failed, total.throttled, total.bytes), (4, 3, 2, 40));
        calls.reset();
        assert!(calls.totals().is_empty());
    }

    #[test]
    fn the_peak_is_of_calls_at_once() {
        let calls = Calls::new(0);
        let one = calls.begin(Service::Ec2, "eu-west-1");
        let two = calls.begin(Service::Ec2, "eu-west-1");
        drop(one);
        drop(calls.begin(Service::Ec2, "eu-west-1"));
        drop(calls.begin(Service::Ec2, "us-east-1"));
        assert_eq!(calls.peaks()["ec2/eu-west-1"], 2);
        assert_eq!(calls.peaks()["ec2/us-east-1"], 1);
        calls.reset();
        assert_eq!(calls.peaks(), BTreeMap::from([("ec2/eu-west-1".to_owned(), 1)]));
        drop(two);
    }
}
