//! The simulator's one clock: the machine's time plus a skew that tests set, and the forms in which AWS writes
//! times. Rates (`limits.rs`) use the monotonic side, which the skew doesn't touch.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike, Utc};

/// Real time plus a skew.
#[derive(Debug)]
pub(crate) struct Clock {
    skew_ms: AtomicI64,
    started: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { skew_ms: AtomicI64::new(0), started: Instant::now() }
    }

    /// Milliseconds since 1970, skew included.
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator shares no code with ssoinv; this is its clock"
    )]
    pub(crate) fn now_ms(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        i64::try_from(real).unwrap_or(i64::MAX).saturating_add(self.skew_ms.load(Ordering::Relaxed))
    }

    /// Time since the start, which never goes back.
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

/// Date and time up to the seconds, with what follows. Written out, since an instance has several of them and a
/// format string is read anew each time.
fn extended(seconds: i64, rest: &str) -> String {
    let t = time(seconds);
    let (year, month, day) = (t.year(), t.month(), t.day());
    let (hour, minute, second) = (t.hour(), t.minute(), t.second());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{rest}")
}

/// `2026-01-02T03:04:05Z`
pub(crate) fn iso(seconds: i64) -> String {
    extended(seconds, "Z")
}

/// `2026-01-02T03:04:05.000Z`, as S3 and EC2 write it.
pub(crate) fn iso_millis(seconds: i64) -> String {
    extended(seconds, ".000Z")
}

/// `2026-01-02T03:04:05.000+0000`, as Lambda writes it.
pub(crate) fn iso_offset(seconds: i64) -> String {
    extended(seconds, ".000+0000")
}

/// `20260102T030405Z`, the form of `X-Amz-Date`.
pub(crate) fn compact(seconds: i64) -> String {
    time(seconds).format("%Y%m%dT%H%M%SZ").to_string()
}

/// `Fri, 02 Jan 2026 03:04:05 GMT`, the form of `Date` (RFC 9110).
pub(crate) fn http_date(seconds: i64) -> String {
    time(seconds).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Seconds since 1970 from `X-Amz-Date`.
pub(crate) fn parse_compact(text: &str) -> Option<i64> {
    NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok().map(|t| t.and_utc().timestamp())
}

/// Seconds since 1970 from RFC 3339, as fixtures write it.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_moment() {
        let at = parse_rfc3339("2026-01-02T03:04:05Z").unwrap();
        assert_eq!(compact(at), "20260102T030405Z");
        assert_eq!(parse_compact("20260102T030405Z"), Some(at));
        assert_eq!(parse_compact("2026-01-02"), None);
        assert_eq!(http_date(at), "Fri, 02 Jan 2026 03:04:05 GMT");
        assert_eq!(iso(at), "2026-01-02T03:04:05Z");
        assert_eq!(iso_offset(at), "2026-01-02T03:04:05.000+0000");
    }

    #[test]
    fn skew_moves_the_time_but_not_the_running_clock() {
        let clock = Clock::new();
        let (before, running) = (clock.now_ms(), clock.running());
        clock.set_skew(3600);
        assert!(clock.now_ms() >= before + 3_600_000);
        assert!(clock.running() < running + Duration::from_mins(50));
    }
}
