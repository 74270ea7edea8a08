//! Sockets: HTTP/1.1 with keep-alive on one port for all services, and the faults that need a socket (a reset, half a
//! body). `dispatch.rs` makes the responses; `simulator.rs` and `proxy.rs` start connections.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, DATE, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use crate::clock;
use crate::dispatch::{self, Delivery};
use crate::http::{AwsHost, Request, Response};
use crate::state::State;

/// The largest request body.
const LARGEST_BODY: usize = 1 << 20;
/// The pause between the first half of a truncated body and the end of the connection.
const HALF_BODY_TIME: Duration = Duration::from_millis(20);

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_connection(Stream::Plain(stream), Arc::clone(&state), None));
            }
            // Out of file descriptors, or a client that is already gone. Later clients may succeed.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Serves a connection until it ends; `host` is the host name that the client connected to through the proxy.
pub(crate) async fn serve_connection(stream: Stream, state: Arc<State>, host: Option<AwsHost>) {
    if stream.socket().set_nodelay(true).is_err() {
        return;
    }
    let host = Arc::new(host);
    let reset = Arc::new(AtomicBool::new(false));
    let wire = ResettableStream { stream, reset: Arc::clone(&reset) };
    let service =
        service_fn(|request| exchange(Arc::clone(&state), Arc::clone(&reset), Arc::clone(&host), request));
    // An error is a client that went, or a fault.
    let _ended = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .serve_connection(TokioIo::new(wire), service)
        .await;
}

/// Answers one request. An error ends the connection.
async fn exchange(
    state: Arc<State>,
    reset: Arc<AtomicBool>,
    host: Arc<Option<AwsHost>>,
    request: hyper::Request<Incoming>,
) -> io::Result<hyper::Response<Payload>> {
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
    match dispatch::respond(&state, &request).await {
        Delivery::Whole(response) => to_hyper(&state, response, false),
        Delivery::Truncated(response) => to_hyper(&state, response, true),
        Delivery::Reset => {
            reset.store(true, Ordering::Release);
            Err(io::Error::other("reset by a fault"))
        }
    }
}

fn to_hyper(state: &State, response: Response, truncated: bool) -> io::Result<hyper::Response<Payload>> {
    let length = response.body.len();
    let body = Bytes::from(response.body);
    let payload = if truncated {
        Payload {
            rest: Some(body.slice(..length / 2)),
            left: length,
            ending: Some(Box::pin(tokio::time::sleep(HALF_BODY_TIME))),
        }
    } else {
        Payload { rest: Some(body), left: length, ending: None }
    };
    let mut built = hyper::Response::new(payload);
    *built.status_mut() = StatusCode::from_u16(response.status).map_err(io::Error::other)?;
    let headers = built.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let date = clock::http_date(state.clock.now_ms() / 1000);
    headers.insert(DATE, HeaderValue::try_from(date).map_err(io::Error::other)?);
    for (name, value) in response.headers {
        headers.insert(name, HeaderValue::try_from(value).map_err(io::Error::other)?);
    }
    Ok(built)
}

/// A body; if truncated, its first half and then an error.
#[derive(Debug)]
struct Payload {
    rest: Option<Bytes>,
    /// Bytes that are missing to `Content-Length`.
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
            // The pause lets the first half leave before the connection ends.
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

/// A connection with or without TLS.
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

/// A connection that can end by RST.
#[derive(Debug)]
struct ResettableStream {
    stream: Stream,
    reset: Arc<AtomicBool>,
}

impl Drop for ResettableStream {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Acquire) {
            // Closing with a linger time of zero sends RST instead of FIN.
            let _best_effort = self.stream.socket().set_zero_linger();
        }
    }
}

/// Calls a method of the stream, with or without TLS.
macro_rules! on_stream {
    ($outer:expr, $stream:ident => $call:expr) => {
        match &mut $outer.get_mut().stream {
            Stream::Plain($stream) => $call,
            Stream::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for ResettableStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_read(context, into))
    }
}

impl AsyncWrite for ResettableStream {
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
