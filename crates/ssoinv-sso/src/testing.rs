//! Answers that are written in the test, and what calls need besides.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use ssoinv_core::clock::Clock;
use ssoinv_core::event::Events;
use ssoinv_core::retry::RetryPolicy;

use crate::http::{Place, Sdk, Timeouts, client};
use crate::profile::{Env, Location, SsoSession};
use crate::session::{Flow, Interaction, Session, SsoContext};

/// An answer: status, headers, body.
pub(crate) type Canned = (u16, &'static [(&'static str, &'static str)], String);

#[derive(Debug)]
struct Alike(Canned);

impl HttpConnector for Alike {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Ok(response(&self.0)))
    }
}

/// An answer as the SDK sees it.
pub(crate) fn response((status, headers, body): &Canned) -> HttpResponse {
    let status = StatusCode::try_from(*status).expect("a status");
    let mut response = HttpResponse::new(status, SdkBody::from(body.clone()));
    for (name, value) in *headers {
        response.headers_mut().insert(*name, *value);
    }
    response
}

/// A client whose every call is answered alike.
pub(crate) fn canned(answer: Canned) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Alike(answer));
    http_client_fn(move |_, _| connector.clone())
}

/// The client that the program uses.
pub(crate) fn over_the_wire(env: &Env) -> SharedHttpClient {
    client(env, None, NonZeroUsize::MIN, None).expect("a client")
}

/// 1 July 2026, midnight.
pub(crate) fn clock() -> Clock {
    Clock::from_fn(|| UNIX_EPOCH + Duration::from_hours(495_240))
}

/// Calls through `http`, each tried once.
pub(crate) fn context(http: SharedHttpClient, timeouts: Timeouts) -> Arc<SsoContext> {
    Arc::new(SsoContext {
        home: None,
        env: Env::new(),
        clock: clock(),
        events: Events::new(|_| ()),
        interaction: Interaction::Nobody,
        flow: Flow::DeviceCode,
        retry: RetryPolicy { max_attempts: 1, throttle_budget: Duration::ZERO },
        sdk: Sdk::new(http, &clock(), timeouts),
        refresh_tokens: true,
        run_processes: false,
        credential_cache: false,
        portal_pace: ssoinv_core::pace::PaceLimits::PORTAL,
    })
}

/// Ireland, or `endpoint` instead of it.
pub(crate) fn place(endpoint: Option<&str>) -> Place {
    Place {
        region: "eu-west-1".into(),
        endpoint: endpoint.map(Arc::from),
        use_fips: false,
        use_dual_stack: false,
    }
}

/// sso-session `corp` in Ireland.
pub(crate) fn session() -> Session {
    let at = Location { file: Path::new("config").into(), line: 1 };
    let sso = SsoSession {
        name: Some("corp".to_owned()),
        start_url: "https://corp.awsapps.com/start".to_owned(),
        start_url_at: at.clone(),
        sso_region: "eu-west-1".to_owned(),
        sso_region_at: at.clone(),
        scopes: vec!["sso:account:access".to_owned()],
        location: at,
    };
    let (label, place) = (sso.cache_key().into(), place(None));
    Session { sso: Arc::new(sso), label, oidc: place.clone(), portal: place }
}
