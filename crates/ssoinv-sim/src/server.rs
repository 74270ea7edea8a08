//! The sockets: one port for everything, HTTP/1.1 with keep-alive, and the faults that need a socket (reset, stall,
//! half a body). What is said on them comes from `dispatch.rs`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, DATE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use crate::clock;
use crate::dispatch::{self, Answer};
use crate::hosts::Host;
use crate::http::{Reply, Request};
use crate::state::State;

/// The largest request body that is read.
const LARGEST_BODY: usize = 1 << 20;
/// How long the first half of a truncated body has to leave before the connection is ended.
const HALF_BODY_TIME: Duration = Duration::from_millis(20);

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(Stream::Plain(stream), Arc::clone(&state), None));
            }
            // Out of file descriptors, or a client that was gone at once: others may still come.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Answers what comes on a connection; `host` is whom the client takes this for, where it was told a name of AWS's.
pub(crate) async fn connection(stream: Stream, state: Arc<State>, host: Option<(String, Host)>) {
    if stream.socket().set_nodelay(true).is_err() {
        return;
    }
    let host = Arc::new(host);
    let reset = Arc::new(AtomicBool::new(false));
    let wire = Wire { stream, reset: Arc::clone(&reset) };
    let service =
        service_fn(|request| exchange(Arc::clone(&state), Arc::clone(&reset), Arc::clone(&host), request));
    // An error here is a client that went, or a fault that was ordered.
    let _ended = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .serve_connection(TokioIo::new(wire), service)
        .await;
}

/// One request and its answer. An error ends the connection.
async fn exchange(
    state: Arc<State>,
    reset: Arc<AtomicBool>,
    host: Arc<Option<(String, Host)>>,
    request: hyper::Request<Incoming>,
) -> io::Result<Response<Payload>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        raw_query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
        host: (*host).clone(),
    };
    match dispatch::answer(&state, &request).await {
        Answer::Reply(reply) => response(&state, reply, false),
        Answer::Truncated(reply) => response(&state, reply, true),
        Answer::Reset => {
            reset.store(true, Ordering::Release);
            Err(io::Error::other("reset by a fault"))
        }
    }
}

fn response(state: &State, reply: Reply, truncated: bool) -> io::Result<Response<Payload>> {
    let length = reply.body.len();
    let body = Bytes::from(reply.body);
    let payload = if truncated {
        Payload {
            rest: Some(body.slice(..length / 2)),
            left: length,
            ending: Some(Box::pin(tokio::time::sleep(HALF_BODY_TIME))),
        }
    } else {
        Payload { rest: Some(body), left: length, ending: None }
    };
    let mut response = Response::new(payload);
    *response.status_mut() = StatusCode::from_u16(reply.status).map_err(io::Error::other)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let date = clock::http_date(state.clock.now_ms() / 1000);
    headers.insert(DATE, HeaderValue::try_from(date).map_err(io::Error::other)?);
    for (name, value) in reply.headers {
        headers.insert(name, HeaderValue::try_from(value).map_err(io::Error::other)?);
    }
    Ok(response)
}

/// A body, or the first half of one and then an error.
#[derive(Debug)]
struct Payload {
    rest: Option<Bytes>,
    /// What is still owed by `Content-Length`.
    left: usize,
    ending: Option<Pin<Box<Sleep>>>,
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(bytes) = self.rest.take()
            && !bytes.is_empty()
        {
            self.left -= bytes.len();
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.ending {
            None => Poll::Ready(None),
            // The pause lets what is written leave before the connection goes.
            Some(pause) => {
                pause.as_mut().poll(context).map(|()| Some(Err(io::Error::other("truncated by a fault"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

/// A connection, with TLS or without.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// A connection that can be ended by RST.
#[derive(Debug)]
struct Wire {
    stream: Stream,
    reset: Arc<AtomicBool>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Acquire) {
            // Closing with a linger time of zero sends RST instead of FIN.
            let _best_effort = self.stream.socket().set_zero_linger();
        }
    }
}

/// Hands a call on to whichever stream there is.
macro_rules! on_stream {
    ($wire:expr, $stream:ident => $call:expr) => {
        match &mut $wire.get_mut().stream {
            Stream::Plain($stream) => $call,
            Stream::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_read(context, into))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => Pin::new(stream).poll_write(context, data))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_shutdown(context))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => Pin::new(stream).poll_write_vectored(context, data))
    }
}
