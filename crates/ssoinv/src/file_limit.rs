//! How many files and connections the system lets this process have open, and how many calls at once that is enough for.
//!
//! Each region has hosts of its own, and a connection to each stays open for a while. Where there is no room for another,
//! a region would look as if it could not be reached.

use std::time::Duration;

/// As many as are ever needed. Programs that `credential_process` names get the same bound.
const WANTED: u64 = 4096;

/// For the terminal, the caches, the working folder, the portal and the sign-in.
const KEPT_FREE: u64 = 64;

/// Connections that a call at once can take up: its own, and those that others left open a moment ago.
const PER_CALL: u64 = 3;

/// The bound, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileLimit {
    /// None where there is no bound, or none that can be asked.
    limit: Option<u64>,
}

impl FileLimit {
    /// Raises the bound as far as the system allows without being asked (macOS begins with 256), and tells it.
    #[cfg(unix)]
    pub(crate) fn raised() -> Self {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let now = getrlimit(Resource::Nofile);
        let wanted = now.maximum.map_or(WANTED, |most| most.min(WANTED));
        if now.current.is_some_and(|current| current < wanted) {
            // Where it is refused, the old one stands.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum });
        }
        Self { limit: getrlimit(Resource::Nofile).current }
    }

    /// Windows has no such bound.
    #[cfg(not(unix))]
    pub(crate) fn raised() -> Self {
        Self { limit: None }
    }

    /// The bound, where it is too low for so many calls at once.
    pub(crate) fn too_low_for(self, calls: usize) -> Option<u64> {
        self.limit.filter(|_| self.most_calls(calls) < calls)
    }

    /// How many calls can be made at once, of those that somebody wants.
    pub(crate) fn most_calls(self, wanted: usize) -> usize {
        let room = self.limit.map(|limit| limit.saturating_sub(KEPT_FREE) / PER_CALL);
        room.and_then(|room| usize::try_from(room).ok()).map_or(wanted, |room| wanted.min(room).max(1))
    }

    /// How long a connection may stay open that nobody uses; none where it doesn't matter.
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
