//! The handle on a running simulator.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::calls::{Call, Count, Total};
use crate::control::{self, Control};
use crate::faults::Fault;
use crate::home::Home;
use crate::options::Options;
use crate::organisation::Organisation;
use crate::proxy::{self, Proxy};
use crate::server;
use crate::service::Service;
use crate::state::State;

/// A simulated AWS organisation that answers on loopback until it is dropped.
///
/// It runs on a thread and a runtime of its own, so it can be started from tests without a runtime and from
/// inside one.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<State>,
    proxy_url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts to answer on 127.0.0.1.
    ///
    /// # Errors
    /// The port is taken, a thread or a runtime can't be had, or `options.controls` has an order that can't be
    /// carried out (`InvalidInput`).
    pub fn start(organisation: Organisation, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let proxy = options.proxy.then(|| Proxy::new().map(Arc::new)).transpose()?;
        let proxy_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        proxy_listener.set_nonblocking(true)?;
        let proxy_url = format!("http://{}", proxy_listener.local_addr()?);
        let state = Arc::new(State::with_proxy(organisation, &options, url, proxy.clone()));
        let mut simulator = Self { state: Arc::clone(&state), proxy_url, stop: None, thread: None };
        for order in options.controls {
            simulator.control(order)?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("ssoinv-sim")
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("ssoinv-sim".to_owned()).spawn(move || {
            runtime.block_on(async {
                // Where it fails the clients see a closed port.
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let proxying = async {
                    match (tokio::net::TcpListener::from_std(proxy_listener), proxy) {
                        (Ok(listener), Some(proxy)) => {
                            proxy::serve(listener, Arc::clone(&state), proxy).await;
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
            // Stalled calls would never end by themselves.
            runtime.shutdown_background();
        })?;
        (simulator.stop, simulator.thread) = (Some(stop), Some(thread));
        Ok(simulator)
    }

    /// `http://127.0.0.1:PORT`, the endpoint of all services.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// `http://127.0.0.1:PORT`, the proxy for `HTTPS_PROXY`, where [`Options::proxy`] asks for one; and its authority's
    /// certificate in PEM, for `AWS_CA_BUNDLE`.
    #[must_use]
    pub fn proxy(&self) -> Option<(&str, &str)> {
        self.state.proxy.as_ref().map(|proxy| (self.proxy_url.as_str(), proxy.pem()))
    }

    /// Names that aren't AWS's, or of services that aren't simulated, with which somebody wanted to be connected.
    #[must_use]
    pub fn strangers(&self) -> Vec<String> {
        self.state.proxy.as_ref().map(|proxy| proxy.strangers()).unwrap_or_default()
    }

    /// How many connections to a host were asked for while something was wrong with it.
    #[must_use]
    pub fn in_vain(&self, host: &str) -> usize {
        self.state.proxy.as_ref().map(|proxy| proxy.in_vain(host)).unwrap_or_default()
    }

    /// What is simulated.
    #[must_use]
    pub fn organisation(&self) -> &Organisation {
        &self.state.organisation
    }

    /// Carries an order out.
    ///
    /// # Errors
    /// `InvalidInput` where it names a session or account that isn't there, or nothing was pending.
    pub fn control(&self, order: Control) -> io::Result<()> {
        control::apply(&self.state, order)
            .map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))
    }

    /// Adds a fault rule.
    ///
    /// # Errors
    /// `InvalidInput` where it names a service, operation, account or region that isn't there.
    pub fn fault(&self, fault: Fault) -> io::Result<()> {
        self.control(Control::Fault(fault))
    }

    /// Takes all fault rules away.
    pub fn clear_faults(&self) {
        self.state.clear_faults();
    }

    /// The latest calls, oldest first, at most [`Options::call_log`].
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls.log()
    }

    /// Counts of all calls, sorted.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        self.state.calls.counts()
    }

    /// All calls by operation, sorted.
    #[must_use]
    pub fn totals(&self) -> Vec<Total> {
        self.state.calls.totals()
    }

    /// How often an operation was called, over all accounts and regions.
    #[must_use]
    pub fn count(&self, service: Service, operation: &str) -> u64 {
        let counts = self.counts().into_iter();
        counts.filter(|count| count.service == service && count.operation == operation).map(|c| c.calls).sum()
    }

    /// The most calls of a service in a region that ran at once; the region of unsigned calls is empty.
    #[must_use]
    pub fn peak(&self, service: Service, region: &str) -> usize {
        self.state.calls.peaks().get(&format!("{}/{region}", service.name())).copied().unwrap_or(0)
    }

    /// Starts counts, log and peaks anew.
    pub fn reset_counters(&self) {
        self.state.calls.reset();
    }

    /// Every secret that was issued or is planted in the organisation; each holds [`crate::SECRET_MARKER`], except
    /// those that come from an upstream STS or stand in a fixture without it, and PKCE verifiers, which clients make.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        control::secrets(&self.state)
    }

    /// What a container shows at `/container/credentials` (`AWS_CONTAINER_AUTHORIZATION_TOKEN`).
    #[must_use]
    pub fn container_token(&self) -> &str {
        &self.state.container_token
    }

    /// How often a refresh token or an authorization code came that had served before, which ends its sign-in.
    #[must_use]
    pub fn reuses(&self) -> u64 {
        crate::lock(&self.state.oidc).reuses()
    }

    /// How often the portal has shut its caller out.
    #[must_use]
    pub fn lockouts(&self) -> u64 {
        self.state.lockouts()
    }

    /// What waits for a person: user codes of device authorisations, and the `state` of authorization pages.
    #[must_use]
    pub fn pending(&self) -> Vec<String> {
        crate::lock(&self.state.oidc).pending()
    }

    /// A builder of `~/.aws` for this simulator.
    #[must_use]
    pub fn home(&self) -> Home<'_> {
        Home::new(&self.state)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the thread has ended already.
            let _ended = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
