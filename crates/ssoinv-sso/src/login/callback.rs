//! The page that a browser comes back to with the answer of a sign-in: a server on 127.0.0.1 for one request.
//!
//! RFC 8252, sections 7.3 and 8.3: the loopback interface only, closed as soon as the answer is there. Whatever else
//! runs on this machine, and every page in its browser, can call it; so only a GET of the exact path counts, for a host
//! that is this machine (a page elsewhere may have a name that leads here), and its `state` must be the one that was
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

/// How long a connection may take to ask and to be answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for every answer, so that nothing of it is shown.
const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>ssoinv</title>\
    <p>ssoinv has the answer. You can close this page and go back to the terminal.</p></html>\n";

/// A server that waits for a browser.
#[derive(Debug)]
pub(super) struct Callback {
    listener: TcpListener,
    port: u16,
}

/// What the browser brought.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    state: Option<Secret>,
    code: Option<Secret>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Callback {
    /// Listens on this machine, at this port or any free one.
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

    /// Where the browser is to come back to.
    pub(super) fn redirect_uri(&self) -> String {
        redirect_uri::with_port(self.port)
    }

    /// Waits for the browser, answers it, and closes. The authorization code comes only with the right `state`.
    pub(super) async fn code(self, state: &Secret, session: &Session) -> Result<Secret, Failure> {
        self.answer().await.code(state, session)
    }

    async fn answer(self) -> Answer {
        let (sender, mut answers) = mpsc::channel(1);
        let mut connections = JoinSet::new();
        let answer = loop {
            tokio::select! {
                Some(answer) = answers.recv() => break answer,
                // A connection that fails is the browser's to make again.
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
        // The one that brought it is still being answered; others aren't waited for longer than that takes.
        let _ = tokio::time::timeout(Duration::from_secs(1), connections.join_next()).await;
        answer
    }
}

async fn serve(stream: TcpStream, port: u16, answers: mpsc::Sender<Answer>) -> hyper::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        // A second answer finds the first one there.
        let taken = |answer| answers.try_send(answer).map_err(|_| StatusCode::GONE);
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

/// What a request brings, or the status that refuses it.
fn read<B>(request: &Request<B>, port: u16) -> Result<Answer, StatusCode> {
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
    let mut answer = Answer::default();
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        let value = value.into_owned();
        match name.as_ref() {
            "state" if answer.state.is_none() => answer.state = Some(Secret::new(value)),
            "code" if answer.code.is_none() => answer.code = Some(Secret::new(value)),
            "error" if answer.error.is_none() => answer.error = Some(one_line(&value)),
            "error_description" => answer.error_description = Some(one_line(&value)),
            // RFC 6749, section 3.1: no parameter twice.
            "state" | "code" | "error" => return Err(StatusCode::BAD_REQUEST),
            _ => {}
        }
    }
    Ok(answer)
}

fn page(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // The address has the code in it: no other page is to hear of it.
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

impl Answer {
    fn code(self, state: &Secret, session: &Session) -> Result<Secret, Failure> {
        let refused =
            |code: &str, message: String| Failure::new(FailureKind::SignInExpired, message).with_code(code);
        if self.state.as_ref() != Some(state) {
            let message = format!(
                "the browser came back with an answer that does not belong to this sign-in to {} (`state` differs)",
                session.called()
            );
            return Err(refused("StateMismatch", message));
        }
        match (self.error.as_deref(), self.code) {
            (Some("access_denied"), _) => Err(declined(session)),
            (Some(error), _) => {
                let why = self.error_description.as_deref().unwrap_or("no reason given");
                let message = format!("the sign-in to {} was refused: {why} ({error})", session.called());
                Err(refused("SignInRefused", message))
            }
            (None, Some(code)) => Ok(code),
            (None, None) => {
                let message = format!("the browser came back without a code for {}", session.called());
                Err(refused("SignInRefused", message))
            }
        }
    }
}
