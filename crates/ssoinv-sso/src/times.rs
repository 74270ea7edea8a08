//! Times as the tools that share the caches write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};

/// The end of the year 9999, in Unix seconds: no tool reads later times (RFC 3339 has four digits).
const LAST_SECOND: u64 = 253_402_300_799;

/// Returns the time that a service gives in Unix seconds.
pub(crate) fn from_unix_seconds(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND))
}

/// Formats a time as botocore does: `2026-01-02T03:04:05Z`.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let time = time.min(from_unix_seconds(LAST_SECOND));
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Parses a time as the tools write it: with `Z`, with `UTC` (the AWS CLI before 2.1), or with an offset.
pub(crate) fn parse_time(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let utc = text.strip_suffix("UTC").map(|text| format!("{}Z", text.trim_end()));
    let text = utc.as_deref().unwrap_or(text);
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .ok()
        .map(SystemTime::from)
}

/// Returns whether something that expires lasts at least `least` from `now` on.
pub(crate) fn lasts(expires_at: SystemTime, now: SystemTime, least: Duration) -> bool {
    expires_at.duration_since(now).is_ok_and(|left| !left.is_zero() && left >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn times_of_all_tools() {
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05UTC",
            "2026-01-02T04:04:05+01:00",
            "2026-01-02T04:04:05+0100",
            "2026-01-02T03:04:05.000Z",
        ] {
            assert_eq!(parse_time(text), Some(at(1_767_323_045)), "{text}");
        }
        for bad in ["", "UTC", "2026-01-02", "2026-01-02T03:04:05", "soon"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        assert_eq!(timestamp(at(1_767_323_045)), "2026-01-02T03:04:05Z");
        // A service may give times that no tool could read.
        for late in [at(253_402_300_800), at(i64::MAX.unsigned_abs())] {
            assert_eq!(timestamp(late), "9999-12-31T23:59:59Z");
        }
    }
}
