//! How a run is told to end before its plan is done.

use std::sync::Arc;

use ssoinv_core::failure::{Failure, FailureKind};
use tokio::sync::watch;

/// Why a run ends early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// SIGINT or SIGTERM.
    Interrupted,
    /// `--max-time` is over.
    OutOfTime,
    /// The reader of the output has closed it.
    ReaderGone,
    /// The output, or the rows that wait for it, can't be written.
    OutputFailed,
}

impl StopReason {
    /// What the cells say that were not tried for this reason.
    #[must_use]
    pub fn failure(self) -> Failure {
        let (code, message) = match self {
            Self::Interrupted => ("Interrupted", "interrupted"),
            Self::OutOfTime => ("OutOfTime", "the time of --max-time was over"),
            Self::ReaderGone => ("ReaderGone", "the reader of the output had gone"),
            Self::OutputFailed => ("OutputFailed", "the output could not be written"),
        };
        Failure::new(FailureKind::NotTried, message).with_code(code)
    }
}

/// Tells a run to stop. Cheap to clone; the first reason stands.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Option<StopReason>>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// Ends the run, unless another reason came first.
    pub fn stop(&self, reason: StopReason) {
        self.0.send_if_modified(|present| {
            let first = present.is_none();
            present.get_or_insert(reason);
            first
        });
    }

    /// The reason, once there is one.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        *self.0.borrow()
    }

    /// Waits until there is a reason.
    pub async fn stopped(&self) -> StopReason {
        let mut receiver = self.0.subscribe();
        loop {
            if let Some(reason) = *receiver.borrow_and_update() {
                return reason;
            }
            // The sender lives as long as `self`.
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stands() {
        let stop = Stop::default();
        assert_eq!(stop.reason(), None);
        let other = stop.clone();
        let waiting = tokio::spawn(async move { other.stopped().await });
        stop.stop(StopReason::OutOfTime);
        stop.stop(StopReason::Interrupted);
        assert_eq!(waiting.await.expect("no panic"), StopReason::OutOfTime);
        assert_eq!(stop.stopped().await, StopReason::OutOfTime);
    }
}
