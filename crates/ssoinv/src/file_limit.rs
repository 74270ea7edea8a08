//! The limit on open files, and the number of calls at once that it allows.
//!
//! Each region has hosts of its own, and a connection to each stays open for a while. A process at its limit would report
//! a region as unreachable.

use std::time::Duration;

/// The limit that is always enough. Programs of `credential_process` inherit it.
const WANTED: u64 = 4096;

/// Files for the terminal, the caches, the working folder, the portal and the sign-in.
const KEPT_FREE: u64 = 64;

/// Connections per call at once: its own, and idle ones of earlier calls.
const PER_CALL: u64 = 3;

/// The limit on open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileLimit {
    /// None without a limit, or if it can't be read.
    limit: Option<u64>,
}

impl FileLimit {
    /// Raises the limit as far as the system allows (macOS begins with 256), and returns it.
    #[cfg(unix)]
    pub(crate) fn raised() -> Self {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let now = getrlimit(Resource::Nofile);
        let wanted = now.maximum.map_or(WANTED, |most| most.min(WANTED));
        if now.current.is_some_and(|current| current < wanted) {
            // After a refusal the old limit still applies.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum });
        }
        Self { limit: getrlimit(Resource::Nofile).current }
    }

    /// Windows has no such limit.
    #[cfg(not(unix))]
    pub(crate) fn raised() -> Self {
        Self { limit: None }
    }

    /// Returns the limit if it is too low for so many calls at once.
    pub(crate) fn too_low_for(self, calls: usize) -> Option<u64> {
        self.limit.filter(|_| self.most_calls(calls) < calls)
    }

    /// Returns the number of calls that can be made at once, at most `wanted`.
    pub(crate) fn most_calls(self, wanted: usize) -> usize {
        let room = self.limit.map(|limit| limit.saturating_sub(KEPT_FREE) / PER_CALL);
        room.and_then(|room| usize::try_from(room).ok()).map_or(wanted, |room| wanted.min(room).max(1))
    }

    /// Returns how long an idle connection may stay open; none if the limit is high enough.
    pub(crate) fn idle_timeout(self) -> Option<Duration> {
        self.limit.filter(|&limit| limit < WANTED).map(|_| Duration::from_millis(500))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_at_once_leave_room_for_the_rest() {
        let most = |limit, wanted| FileLimit { limit }.most_calls(wanted);
        assert_eq!(most(None, 4096), 4096);
        assert_eq!(most(Some(1024), 64), 64);
        assert_eq!((most(Some(256), 64), most(Some(256), 512)), (64, 64));
        assert_eq!((most(Some(100), 64), most(Some(20), 64)), (12, 1));
        assert_eq!(FileLimit { limit: Some(256) }.too_low_for(512), Some(256));
        assert_eq!(FileLimit { limit: Some(256) }.too_low_for(64), None);
    }
}
