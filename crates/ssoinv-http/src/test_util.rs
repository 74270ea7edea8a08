//! Responses that are written in advance, for the tests of this crate and of the crates above it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use ssoinv_core::clock::Clock;
use ssoinv_core::env::Env;

use crate::http_client::client;
use crate::service_endpoint::ServiceEndpoint;

/// A response: status, headers, body.
pub type Canned = (u16, &'static [(&'static str, &'static str)], String);

#[derive(Debug)]
struct CannedConnector(Canned);

impl HttpConnector for CannedConnector {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Ok(response(&self.0)))
    }
}

/// Returns the response as the SDK sees it.
///
/// # Panics
/// If the status isn't one.
#[must_use]
pub fn response((status, headers, body): &Canned) -> HttpResponse {
    let status = StatusCode::try_from(*status).expect("a status");
    let mut response = HttpResponse::new(status, SdkBody::from(body.clone()));
    for (name, value) in *headers {
        response.headers_mut().insert(*name, *value);
    }
    response
}

/// Returns a client whose every call gets the same response.
#[must_use]
pub fn canned(response: Canned) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(CannedConnector(response));
    http_client_fn(move |_, _| connector.clone())
}

/// Returns the client that the program uses.
///
/// # Panics
/// If the environment names a proxy that can't be one.
#[must_use]
pub fn over_the_wire(env: &Env) -> SharedHttpClient {
    client(env, None, NonZeroUsize::MIN, None).expect("a client")
}

/// Returns a clock that stands at midnight of 1 July 2026.
#[must_use]
pub fn clock() -> Clock {
    Clock::from_fn(|| UNIX_EPOCH + Duration::from_hours(495_240))
}

/// Returns an endpoint in Ireland: AWS's own, or `url`.
#[must_use]
pub fn endpoint_at(url: Option<&str>) -> ServiceEndpoint {
    ServiceEndpoint {
        region: "eu-west-1".into(),
        url: url.map(Arc::from),
        use_fips: false,
        use_dual_stack: false,
    }
}
