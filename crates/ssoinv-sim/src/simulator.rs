//! The handle of a running simulator: starts and stops it, applies changes and returns records.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::admin;
use crate::authority::Authority;
use crate::call_log::{Call, Count, Total};
use crate::control::Control;
use crate::faults::Fault;
use crate::home::Home;
use crate::host_faults::HostFaults;
use crate::options::Options;
use crate::organisation::Organisation;
use crate::proxy;
use crate::server;
use crate::service::Service;
use crate::state::State;
use crate::sync::lock;

/// A simulated AWS organisation that serves on loopback until it is dropped.
///
/// It has a thread and a runtime of its own, so that tests can start it with or without a runtime.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<State>,
    proxy_url: String,
    authority: Option<Arc<Authority>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts to serve on 127.0.0.1.
    ///
    /// # Errors
    /// The port is taken, a thread or a runtime can't be started, or `options.controls` or `options.limits` can't be
    /// applied (`InvalidInput`).
    pub fn start(organisation: Organisation, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let authority = options.proxy.then(|| Authority::new().map(Arc::new)).transpose()?;
        let proxy_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        proxy_listener.set_nonblocking(true)?;
        let proxy_url = format!("http://{}", proxy_listener.local_addr()?);
        let state = Arc::new(State::new(organisation, &options, url));
        let mut simulator = Self {
            state: Arc::clone(&state),
            proxy_url,
            authority: authority.clone(),
            stop: None,
            thread: None,
        };
        simulator.control(Control::Limits(options.limits))?;
        for change in options.controls {
            simulator.control(change)?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("ssoinv-sim")
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("ssoinv-sim".to_owned()).spawn(move || {
            runtime.block_on(async {
                // If this fails the clients see a closed port.
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let proxying = async {
                    match (tokio::net::TcpListener::from_std(proxy_listener), authority) {
                        (Ok(listener), Some(authority)) => {
                            proxy::serve(listener, Arc::clone(&state), authority).await;
                        }
                        _ => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = server::serve(listener, Arc::clone(&state)) => {}
                    () = proxying => {}
                    _ = stopped => {}
                }
            });
            // Stalled calls never end by themselves.
            runtime.shutdown_background();
        })?;
        (simulator.stop, simulator.thread) = (Some(stop), Some(thread));
        Ok(simulator)
    }

    /// Returns the endpoint of all services, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// Returns the proxy's URL for `HTTPS_PROXY`, and its authority's certificate in PEM for `AWS_CA_BUNDLE`.
    ///
    /// None unless [`Options::proxy`] is set.
    #[must_use]
    pub fn proxy(&self) -> Option<(&str, &str)> {
        self.authority.as_ref().map(|authority| (self.proxy_url.as_str(), authority.pem()))
    }

    /// Returns the host names that the proxy rejected, since they aren't AWS's or their service isn't simulated.
    #[must_use]
    pub fn unknown_hosts(&self) -> Vec<String> {
        self.state.host_faults.as_ref().map(HostFaults::unknown_hosts).unwrap_or_default()
    }

    /// Returns the number of connections to a host that failed because of a [`HostFault`](crate::HostFault).
    #[must_use]
    pub fn failed_connects(&self, host: &str) -> usize {
        self.state.host_faults.as_ref().map(|hosts| hosts.failed_connects(host)).unwrap_or_default()
    }

    /// Returns the simulated organisation.
    #[must_use]
    pub fn organisation(&self) -> &Organisation {
        &self.state.organisation
    }

    /// Applies a change.
    ///
    /// # Errors
    /// `InvalidInput` if a name in it doesn't exist, or no sign-in is pending.
    pub fn control(&self, change: Control) -> io::Result<()> {
        admin::apply(&self.state, change)
            .map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))
    }

    /// Adds a fault rule.
    ///
    /// # Errors
    /// `InvalidInput` if there is no such service, operation, account or region.
    pub fn fault(&self, fault: Fault) -> io::Result<()> {
        self.control(Control::Fault(fault))
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.state.clear_faults();
    }

    /// Returns the latest calls, the oldest first, at most [`Options::call_log`].
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls.latest()
    }

    /// Returns the counts of all calls, sorted.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        self.state.calls.counts()
    }

    /// Returns all calls by operation, sorted.
    #[must_use]
    pub fn totals(&self) -> Vec<Total> {
        self.state.calls.totals()
    }

    /// Returns the number of calls of an operation, in all accounts and regions.
    #[must_use]
    pub fn count(&self, service: Service, operation: &str) -> u64 {
        let counts = self.counts().into_iter();
        counts.filter(|count| count.service == service && count.operation == operation).map(|c| c.calls).sum()
    }

    /// Returns the most calls of a service in a region that ran at once; the region of unsigned calls is empty.
    #[must_use]
    pub fn peak(&self, service: Service, region: &str) -> usize {
        self.state.calls.peaks().get(&format!("{}/{region}", service.name())).copied().unwrap_or(0)
    }

    /// Clears counts, log and peaks.
    pub fn reset_counters(&self) {
        self.state.calls.reset();
    }

    /// Returns every secret that was issued or is planted in the organisation.
    ///
    /// Each contains [`SECRET_MARKER`](crate::SECRET_MARKER), except those of an upstream STS or of a fixture without
    /// it, and PKCE verifiers, which clients make.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        admin::secrets(&self.state)
    }

    /// Returns the token for `/container/credentials` (`AWS_CONTAINER_AUTHORIZATION_TOKEN`).
    #[must_use]
    pub fn container_token(&self) -> &str {
        &self.state.container_token
    }

    /// Returns the number of refresh tokens and authorization codes that were used twice, which revokes the sign-in.
    #[must_use]
    pub fn reuses(&self) -> u64 {
        lock(&self.state.sign_ins).reuses()
    }

    /// Returns the number of the portal's lockouts.
    #[must_use]
    pub fn lockouts(&self) -> u64 {
        self.state.lockouts()
    }

    /// Returns the pending sign-ins: user codes of device authorizations, and the `state` of authorization pages.
    #[must_use]
    pub fn pending(&self) -> Vec<String> {
        lock(&self.state.sign_ins).pending()
    }

    /// Returns a builder of `~/.aws` for this simulator.
    #[must_use]
    pub fn home(&self) -> Home<'_> {
        Home::new(&self.state)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the thread has already ended.
            let _ended = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
