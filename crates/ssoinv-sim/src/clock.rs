//! The simulator's clock, which is the machine's plus a skew that tests set, and AWS's formats of times. Rates
//! (`limits.rs`) use the monotonic side, which the skew doesn't affect.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike, Utc};

/// The machine's time plus a skew.
#[derive(Debug)]
pub(crate) struct Clock {
    skew_ms: AtomicI64,
    started: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { skew_ms: AtomicI64::new(0), started: Instant::now() }
    }

    /// Returns milliseconds since 1970, skew included.
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator shares no code with ssoinv; this is its clock"
    )]
    pub(crate) fn now_ms(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        i64::try_from(real).unwrap_or(i64::MAX).saturating_add(self.skew_ms.load(Ordering::Relaxed))
    }

    /// Returns the time since the start, which never goes back.
    pub(crate) fn running(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn set_skew(&self, seconds: i64) {
        self.skew_ms.store(seconds.saturating_mul(1000), Ordering::Relaxed);
    }
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

/// Formats date and time up to the seconds, and a suffix.
///
/// Without a format string, which would be parsed for each of the several times of an instance.
fn extended(seconds: i64, suffix: &str) -> String {
    let t = time(seconds);
    let (year, month, day) = (t.year(), t.month(), t.day());
    let (hour, minute, second) = (t.hour(), t.minute(), t.second());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{suffix}")
}

/// Formats a time as `2026-01-02T03:04:05Z`.
pub(crate) fn iso(seconds: i64) -> String {
    extended(seconds, "Z")
}

/// Formats a time as `2026-01-02T03:04:05.000Z`, as S3 and EC2 do.
pub(crate) fn iso_millis(seconds: i64) -> String {
    extended(seconds, ".000Z")
}

/// Formats a time as `2026-01-02T03:04:05.000+0000`, as Lambda does.
pub(crate) fn iso_offset(seconds: i64) -> String {
    extended(seconds, ".000+0000")
}

/// Formats a time as `20260102T030405Z`, as in `X-Amz-Date`.
pub(crate) fn compact(seconds: i64) -> String {
    time(seconds).format("%Y%m%dT%H%M%SZ").to_string()
}

/// Formats a time as `Fri, 02 Jan 2026 03:04:05 GMT`, as in `Date` (RFC 9110).
pub(crate) fn http_date(seconds: i64) -> String {
    time(seconds).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Parses the format of `X-Amz-Date` to seconds since 1970.
pub(crate) fn parse_compact(text: &str) -> Option<i64> {
    NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok().map(|t| t.and_utc().timestamp())
}

/// Parses RFC 3339, the format in fixtures, to seconds since 1970.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_one_time() {
        let at = parse_rfc3339("2026-01-02T03:04:05Z").unwrap();
        assert_eq!(compact(at), "20260102T030405Z");
        assert_eq!(parse_compact("20260102T030405Z"), Some(at));
        assert_eq!(parse_compact("2026-01-02"), None);
        assert_eq!(http_date(at), "Fri, 02 Jan 2026 03:04:05 GMT");
        assert_eq!(iso(at), "2026-01-02T03:04:05Z");
        assert_eq!(iso_offset(at), "2026-01-02T03:04:05.000+0000");
    }

    #[test]
    fn skew_changes_the_time_but_not_the_running_clock() {
        let clock = Clock::new();
        let (before, running) = (clock.now_ms(), clock.running());
        clock.set_skew(3600);
        assert!(clock.now_ms() >= before + 3_600_000);
        assert!(clock.running() < running + Duration::from_mins(50));
    }
}
