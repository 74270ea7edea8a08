//! Large answers are read a few at a time, so that memory doesn't grow with the calls that are under way.
//!
//! A page of a thousand instances is 5 MB of XML, and the SDK parses it when all of it has come. Where answers come in
//! faster than they are parsed, every call under way would hold one. So whoever has read the beginning of a large answer
//! takes one of a few places before it reads on, and keeps it until the answer is read; meanwhile the rest stays with
//! the sender (TCP's flow control).
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

/// How many large answers are read at once: more than there are processors to parse them, as a rule, and enough to fill
/// a line.
const PLACES: usize = 8;

/// An answer is large when it is longer than this, in bytes.
const LARGE: usize = 256 << 10;

/// The longest that is waited for a place; far below the 20 seconds after which the SDK takes a stream for stalled.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same client, with few large answers at a time.
pub(crate) fn few_at_a_time(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(FewAtATime { client, places: Arc::new(Semaphore::new(PLACES)) })
}

#[derive(Debug)]
struct FewAtATime {
    client: SharedHttpClient,
    places: Arc<Semaphore>,
}

impl HttpClient for FewAtATime {
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
                let small = body.content_length().is_some_and(|length| length <= LARGE as u64);
                if small { body } else { SdkBody::from_body_1_x(Answer::new(body, Arc::clone(&places))) }
            }))
        })
    }
}

/// The body of an answer that may be large.
struct Answer {
    body: Pin<Box<SdkBody>>,
    /// Bytes that have been read.
    read: usize,
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
        Self { body: Box::pin(body), read: 0, place: Place::NotNeeded(places) }
    }
}

async fn wait_for_place(places: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout(PATIENCE, places.acquire_owned()).await.ok()?.ok()
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("read", &self.read).finish_non_exhaustive()
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
        if this.read > LARGE
            && let Place::NotNeeded(places) = &this.place
        {
            this.place = Place::Awaited(Box::pin(wait_for_place(Arc::clone(places))));
        }
        if let Place::Awaited(wait) = &mut this.place {
            this.place = Place::Taken(ready!(wait.as_mut().poll(context)));
        }
        let frame = ready!(this.body.as_mut().poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            this.read += frame.data_ref().map_or(0, Bytes::len);
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
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use futures::poll;
    use http_body_util::BodyExt;
    use tokio::time::Instant;

    use super::*;

    /// A body of so many pieces, each a quarter of what is large.
    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn answer(pieces: usize, places: &Arc<Semaphore>) -> Answer {
        let pieces = Pieces(vec![Bytes::from(vec![b'x'; LARGE / 4]); pieces].into());
        Answer::new(SdkBody::from_body_1_x(pieces), Arc::clone(places))
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
        assert_eq!(length(answer(4, &places)).await, LARGE);
        drop(held);
        assert_eq!(large.await, 10 * LARGE, "nothing is lost");
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(places.available_permits(), 1, "the place is given back");
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
        assert_eq!(length(answer(40, &places)).await, 10 * LARGE);
        assert_eq!(start.elapsed(), PATIENCE);
    }
}
