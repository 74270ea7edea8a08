//! SIGINT and SIGTERM: the first stops the run and keeps what was collected, the second ends the process at once.

use ssoinv_run::stop::{Stop, StopReason};

use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;

/// Listens for signals for as long as the runtime lives.
pub(crate) fn watch(stop: Stop) {
    tokio::spawn(async move {
        let Ok(mut signals) = Signals::new() else { return };
        signals.next().await;
        stop.stop(StopReason::Interrupted);
        signals.next().await;
        std::process::exit(ExitCode::Interrupted.number().into());
    });
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for a future that precedes the plan, unless the run is stopped first.
pub(crate) async fn unless_stopped<T>(
    stop: &Stop,
    known: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    tokio::select! {
        known = known => known,
        reason = stop.stopped() => Err(stopped_early(reason)),
    }
}

/// The error of a run that was stopped before it had a plan.
fn stopped_early(reason: StopReason) -> CommandError {
    match reason {
        StopReason::OutOfTime => {
            let message = "the time of `--max-time` was over before the accounts were known";
            CommandError::new(ExitCode::NothingCollected, message).with_hint("give it more")
        }
        _ => CommandError::new(ExitCode::Interrupted, "interrupted before the accounts were known"),
    }
}
