//! Large answers are read a few at a time, so that memory doesn't grow with the calls that are under way.
//!
//! A page of a thousand instances is 5 MB of XML, and the SDK parses it when all of it has come. Where answers come in
//! faster than they are parsed, every call under way would hold one. So whoever reads a large answer takes one of a few
//! places: before its first byte where its length is told, and where it isn't, when the beginning has been read. It keeps
//! the place until the answer is read; meanwhile the rest stays with the sender (TCP's flow control).
//!
//! Nobody waits for long: an attempt's time runs on, and so does the SDK's protection against streams that stall. On a
//! line so slow that a place isn't had in time, answers hardly come in faster than they are parsed.

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

/// How many large answers are read at once: one more than there are processors to parse them, so that the next has come
/// when one is done; and never so few that a slow one holds up all.
fn places() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).max(2) + 1
}

/// An answer is large when it is longer than this, in bytes.
const LARGE: u64 = 64 << 10;

/// The longest that is waited for a place; below the 20 seconds after which the SDK takes a stream for stalled.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same client, with few large answers at a time.
pub(crate) fn limit_large_bodies(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(LimitedClient { client, places: Arc::new(Semaphore::new(places())) })
}

#[derive(Debug)]
struct LimitedClient {
    client: SharedHttpClient,
    places: Arc<Semaphore>,
}

impl HttpClient for LimitedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(Connector { connector, places: Arc::clone(&self.places) })
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
struct Connector {
    connector: SharedHttpConnector,
    places: Arc<Semaphore>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, places) = (self.connector.call(request), Arc::clone(&self.places));
        HttpConnectorFuture::new(async move {
            Ok(answer.await?.map(|body| {
                let small = body.content_length().is_some_and(|length| length <= LARGE);
                if small { body } else { SdkBody::from_body_1_x(Answer::new(body, Arc::clone(&places))) }
            }))
        })
    }
}

/// The body of an answer that may be large.
struct Answer {
    body: Pin<Box<SdkBody>>,
    /// Bytes that have been read, or that are known to come.
    known: u64,
    place: Place,
}

type WaitForPlace = dyn Future<Output = Option<OwnedSemaphorePermit>> + Send + Sync;

enum Place {
    NotNeeded(Arc<Semaphore>),
    Awaited(Pin<Box<WaitForPlace>>),
    /// None where it was waited for long enough.
    Taken(#[expect(dead_code, reason = "it is kept until the answer is read")] Option<OwnedSemaphorePermit>),
}

impl Answer {
    fn new(body: SdkBody, places: Arc<Semaphore>) -> Self {
        let known = body.content_length().unwrap_or_default();
        Self { body: Box::pin(body), known, place: Place::NotNeeded(places) }
    }
}

async fn wait_for_place(places: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout(PATIENCE, places.acquire_owned()).await.ok()?.ok()
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.known > LARGE
            && let Place::NotNeeded(places) = &this.place
        {
            this.place = Place::Awaited(Box::pin(wait_for_place(Arc::clone(places))));
        }
        if let Place::Awaited(wait) = &mut this.place {
            this.place = Place::Taken(ready!(wait.as_mut().poll(context)));
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

    /// What is large, four pieces of it.
    const PIECE: usize = 16 << 10;
    const BEGINNING: usize = 4 * PIECE;

    /// An answer of so many pieces that doesn't tell its length.
    fn answer(pieces: usize, places: &Arc<Semaphore>) -> Answer {
        let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; PIECE])));
        let pieces: Vec<_> = std::iter::repeat_with(piece).take(pieces).collect();
        Answer::new(SdkBody::from_body_1_x(StreamBody::new(stream::iter(pieces))), Arc::clone(places))
    }

    async fn length(answer: Answer) -> usize {
        answer.collect().await.expect("an answer").to_bytes().len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_waits_for_its_place_after_its_beginning_and_small_ones_never() {
        let places = Arc::new(Semaphore::new(1));
        let held = Arc::clone(&places).acquire_owned().await.expect("a place");
        let mut large = Box::pin(length(answer(40, &places)));
        assert!(poll!(&mut large).is_pending());
        let start = Instant::now();
        assert_eq!(length(answer(4, &places)).await, BEGINNING);
        drop(held);
        assert_eq!(large.await, 10 * BEGINNING, "nothing is lost");
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(places.available_permits(), 1, "the place is given back");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_tells_that_it_is_large_waits_before_its_first_byte() {
        assert_eq!(BEGINNING as u64, LARGE);
        let places = Arc::new(Semaphore::new(1));
        let held = Arc::clone(&places).acquire_owned().await.expect("a place");
        let told = SdkBody::from(vec![b'x'; BEGINNING + 1]);
        let mut told = Answer::new(told, Arc::clone(&places));
        let mut untold = answer(40, &places);
        assert!(poll!(told.frame()).is_pending());
        assert!(poll!(untold.frame()).is_ready());
        drop(held);
        assert_eq!(length(told).await, BEGINNING + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_kept_while_an_answer_is_read_and_given_back_when_it_is_dropped() {
        let places = Arc::new(Semaphore::new(1));
        let mut first = answer(40, &places);
        for _ in 0..6 {
            first.frame().await.expect("a piece").expect("bytes");
        }
        let mut second = Box::pin(length(answer(8, &places)));
        assert!(poll!(&mut second).is_pending());
        drop(first);
        assert!(poll!(&mut second).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_long() {
        let (places, start) = (Arc::new(Semaphore::new(0)), Instant::now());
        assert_eq!(length(answer(40, &places)).await, 10 * BEGINNING);
        assert_eq!(start.elapsed(), PATIENCE);
    }
}
