//! The page that a browser comes back to after a sign-in: a server on 127.0.0.1 for one request.
//!
//! RFC 8252, sections 7.3 and 8.3: it listens on the loopback interface only, and closes as soon as the response has
//! arrived. Every program on this machine, and every page in its browser, can call it. So only a GET of the exact
//! path counts, to a host that is this machine (a foreign name may resolve to it), and with the `state` that was
//! sent.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::secret::Secret;
use ssoinv_http::classify::one_line;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use url::form_urlencoded;

use super::redirect_uri;
use super::refusal::declined;
use crate::context::misconfigured;
use crate::session::Session;

/// The longest time that a connection may take for request and response.
const PATIENCE: Duration = Duration::from_secs(10);

/// The page that is shown, the same for every outcome.
const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>ssoinv</title>\
    <p>ssoinv has the response. You can close this page and go back to the terminal.</p></html>\n";

/// A server that waits for a browser.
#[derive(Debug)]
pub(super) struct Callback {
    listener: TcpListener,
    port: u16,
}

/// The parameters that the browser brings.
#[derive(Debug, Default, PartialEq, Eq)]
struct CallbackParameters {
    state: Option<Secret>,
    code: Option<Secret>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Callback {
    /// Listens on this machine, on this port or any free one.
    pub(super) async fn bind(port: Option<u16>) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            let (code, which) = port.map_or_else(
                || ("NoRedirectPort", "any port".to_owned()),
                |port| ("RedirectPortTaken", format!("port {port}")),
            );
            misconfigured(code, format!("cannot listen on {which} for the browser to come back: {error}"))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener, port })
    }

    /// Returns the address that the browser is to come back to.
    pub(super) fn redirect_uri(&self) -> String {
        redirect_uri::with_port(self.port)
    }

    /// Waits for the browser, responds, and closes. Returns the authorization code if the `state` is right.
    pub(super) async fn code(self, state: &Secret, session: &Session) -> Result<Secret, Failure> {
        self.response().await.code(state, session)
    }

    async fn response(self) -> CallbackParameters {
        let (sender, mut responses) = mpsc::channel(1);
        let mut connections = JoinSet::new();
        let response = loop {
            tokio::select! {
                Some(response) = responses.recv() => break response,
                // If a connection fails, the browser makes another one.
                Ok((stream, _)) = self.listener.accept() => {
                    let (sender, port) = (sender.clone(), self.port);
                    connections.spawn(async move {
                        let _ = tokio::time::timeout(PATIENCE, serve(stream, port, sender)).await;
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        };
        drop(self.listener);
        // The connection that brought the response is still being served; others get no longer than that.
        let _ = tokio::time::timeout(Duration::from_secs(1), connections.join_next()).await;
        response
    }
}

async fn serve(
    stream: TcpStream,
    port: u16,
    responses: mpsc::Sender<CallbackParameters>,
) -> hyper::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        // The channel holds one response: a second one is refused.
        let taken = |response| responses.try_send(response).map_err(|_| StatusCode::GONE);
        let response = match read(&request, port).and_then(taken) {
            Ok(()) => page(StatusCode::OK, PAGE),
            Err(status) => page(status, ""),
        };
        async { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

/// Reads the parameters of a request; an error is the status that refuses it.
fn read<B>(request: &Request<B>, port: u16) -> Result<CallbackParameters, StatusCode> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let ours = ["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{port}"));
    if !host.is_some_and(|host| ours.iter().any(|ours| ours.eq_ignore_ascii_case(host))) {
        return Err(StatusCode::MISDIRECTED_REQUEST);
    }
    if request.uri().path() != redirect_uri::PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    if request.method() != Method::GET {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let mut response = CallbackParameters::default();
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        let value = value.into_owned();
        match name.as_ref() {
            "state" if response.state.is_none() => response.state = Some(Secret::new(value)),
            "code" if response.code.is_none() => response.code = Some(Secret::new(value)),
            "error" if response.error.is_none() => response.error = Some(one_line(&value)),
            "error_description" => response.error_description = Some(one_line(&value)),
            // RFC 6749, section 3.1: no parameter may come twice.
            "state" | "code" | "error" => return Err(StatusCode::BAD_REQUEST),
            _ => {}
        }
    }
    Ok(response)
}

fn page(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // The address contains the code: no other page may learn it.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    }
    response
}

impl CallbackParameters {
    fn code(self, state: &Secret, session: &Session) -> Result<Secret, Failure> {
        let refused =
            |code: &str, message: String| Failure::new(FailureKind::SignInExpired, message).with_code(code);
        if self.state.as_ref() != Some(state) {
            let message = format!(
                "the browser came back with a response that does not belong to this sign-in to {} (`state` differs)",
                session.describe()
            );
            return Err(refused("StateMismatch", message));
        }
        match (self.error.as_deref(), self.code) {
            (Some("access_denied"), _) => Err(declined(session)),
            (Some(error), _) => {
                let why = self.error_description.as_deref().unwrap_or("no reason given");
                let message = format!("the sign-in to {} was refused: {why} ({error})", session.describe());
                Err(refused("SignInRefused", message))
            }
            (None, Some(code)) => Ok(code),
            (None, None) => {
                let message = format!("the browser came back without a code for {}", session.describe());
                Err(refused("SignInRefused", message))
            }
        }
    }
}
