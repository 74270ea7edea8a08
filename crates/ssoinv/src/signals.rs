//! SIGINT and SIGTERM: the first ends the run with what is there, the second at once.

use ssoinv_aws::stop::{Stop, StopReason};

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
