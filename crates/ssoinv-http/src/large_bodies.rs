//! Bounds the memory of large response bodies: only a few are read at a time.
//!
//! A page of a thousand instances is 5 MB of XML, and the SDK parses it when all of it has arrived. If bodies arrive
//! faster than they are parsed, every concurrent call would hold one. So reading a large body takes one of a few
//! permits: before the first byte if the length is announced, else after the beginning. The permit is held until the
//! body has been read or dropped; meanwhile the rest stays with the sender (TCP's flow control).
//!
//! The wait for a permit is bounded, since the time-out of the attempt runs on, and so does the SDK's protection
//! against stalled streams. On a connection so slow that no permit comes in time, bodies hardly arrive faster than
//! they are parsed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Returns the number of large bodies that are read at once.
///
/// One more than the processors that parse them, so that the next has arrived when one is done; at least three, so
/// that a slow one doesn't hold up all others.
fn permits() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).max(2) + 1
}

/// The length in bytes above which a body is large.
const LARGE: u64 = 64 << 10;

/// The longest wait for a permit; below the 20 seconds after which the SDK calls a stream stalled.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns the same client, with few large bodies at a time.
pub(crate) fn limit_large_bodies(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(LimitedClient { client, permits: Arc::new(Semaphore::new(permits())) })
}

#[derive(Debug)]
struct LimitedClient {
    client: SharedHttpClient,
    permits: Arc<Semaphore>,
}

impl HttpClient for LimitedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(LimitedConnector { connector, permits: Arc::clone(&self.permits) })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        HttpClient::validate_base_client_config(&self.client, components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        HttpClient::validate_final_config(&self.client, components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.client.connector_metadata()
    }
}

#[derive(Debug)]
struct LimitedConnector {
    connector: SharedHttpConnector,
    permits: Arc<Semaphore>,
}

impl HttpConnector for LimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (response, permits) = (self.connector.call(request), Arc::clone(&self.permits));
        HttpConnectorFuture::new(async move {
            Ok(response.await?.map(|body| {
                let small = body.content_length().is_some_and(|length| length <= LARGE);
                if small {
                    body
                } else {
                    SdkBody::from_body_1_x(LimitedBody::new(body, Arc::clone(&permits)))
                }
            }))
        })
    }
}

/// A response body that may be large.
struct LimitedBody {
    body: Pin<Box<SdkBody>>,
    /// The number of bytes that have been read, or that are announced.
    known: u64,
    permit: Permit,
}

type PermitFuture = dyn Future<Output = Option<OwnedSemaphorePermit>> + Send + Sync;

enum Permit {
    NotNeeded(Arc<Semaphore>),
    Awaited(Pin<Box<PermitFuture>>),
    /// None if the wait was too long.
    Taken(
        #[expect(dead_code, reason = "it is kept until the response is read")] Option<OwnedSemaphorePermit>,
    ),
}

impl LimitedBody {
    fn new(body: SdkBody, permits: Arc<Semaphore>) -> Self {
        let known = body.content_length().unwrap_or_default();
        Self { body: Box::pin(body), known, permit: Permit::NotNeeded(permits) }
    }
}

async fn wait_for_permit(permits: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout(PATIENCE, permits.acquire_owned()).await.ok()?.ok()
}

impl fmt::Debug for LimitedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedBody").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Body for LimitedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.known > LARGE
            && let Permit::NotNeeded(permits) = &this.permit
        {
            this.permit = Permit::Awaited(Box::pin(wait_for_permit(Arc::clone(permits))));
        }
        if let Permit::Awaited(wait) = &mut this.permit {
            this.permit = Permit::Taken(ready!(wait.as_mut().poll(context)));
        }
        let frame = ready!(this.body.as_mut().poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            this.known = this.known.saturating_add(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        Body::is_end_stream(&*self.body)
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&*self.body)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{poll, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tokio::time::Instant;

    use super::*;

    /// Four pieces are as much as is not yet large.
    const PIECE: usize = 16 << 10;
    const BEGINNING: usize = 4 * PIECE;

    /// Returns a body of so many pieces that doesn't announce its length.
    fn response(pieces: usize, permits: &Arc<Semaphore>) -> LimitedBody {
        let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; PIECE])));
        let pieces: Vec<_> = std::iter::repeat_with(piece).take(pieces).collect();
        LimitedBody::new(SdkBody::from_body_1_x(StreamBody::new(stream::iter(pieces))), Arc::clone(permits))
    }

    async fn length(response: LimitedBody) -> usize {
        response.collect().await.expect("a response").to_bytes().len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_waits_for_its_place_after_its_beginning_and_small_ones_never() {
        let permits = Arc::new(Semaphore::new(1));
        let held = Arc::clone(&permits).acquire_owned().await.expect("a permit");
        let mut large = Box::pin(length(response(40, &permits)));
        assert!(poll!(&mut large).is_pending());
        let start = Instant::now();
        assert_eq!(length(response(4, &permits)).await, BEGINNING);
        drop(held);
        assert_eq!(large.await, 10 * BEGINNING, "nothing is lost");
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(permits.available_permits(), 1, "the permit is given back");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_tells_that_it_is_large_waits_before_its_first_byte() {
        assert_eq!(BEGINNING as u64, LARGE);
        let permits = Arc::new(Semaphore::new(1));
        let held = Arc::clone(&permits).acquire_owned().await.expect("a permit");
        let told = SdkBody::from(vec![b'x'; BEGINNING + 1]);
        let mut told = LimitedBody::new(told, Arc::clone(&permits));
        let mut untold = response(40, &permits);
        assert!(poll!(told.frame()).is_pending());
        assert!(poll!(untold.frame()).is_ready());
        drop(held);
        assert_eq!(length(told).await, BEGINNING + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_kept_while_an_answer_is_read_and_given_back_when_it_is_dropped() {
        let permits = Arc::new(Semaphore::new(1));
        let mut first = response(40, &permits);
        for _ in 0..6 {
            first.frame().await.expect("a piece").expect("bytes");
        }
        let mut second = Box::pin(length(response(8, &permits)));
        assert!(poll!(&mut second).is_pending());
        drop(first);
        assert!(poll!(&mut second).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_long() {
        let (permits, start) = (Arc::new(Semaphore::new(0)), Instant::now());
        assert_eq!(length(response(40, &permits)).await, 10 * BEGINNING);
        assert_eq!(start.elapsed(), PATIENCE);
    }
}
