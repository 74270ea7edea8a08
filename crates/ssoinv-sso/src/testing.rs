//! Contexts and sessions for tests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use ssoinv_core::env::Env;
use ssoinv_core::event::Events;
use ssoinv_core::retry::RetryPolicy;
use ssoinv_http::sdk_settings::{SdkSettings, Timeouts};
use ssoinv_http::test_util::{clock, endpoint_at};
use ssoinv_profile::{Location, SsoSession};

use crate::context::{Interaction, SignInFlow, SsoContext};
use crate::session::Session;

/// Returns a context whose calls go through `http`, each tried once.
pub(crate) fn context(http: SharedHttpClient, timeouts: Timeouts) -> Arc<SsoContext> {
    Arc::new(SsoContext {
        home: None,
        env: Env::new(),
        clock: clock(),
        events: Events::new(|_| ()),
        interaction: Interaction::None,
        flow: SignInFlow::DeviceCode,
        retry: RetryPolicy { max_attempts: 1, throttle_budget: Duration::ZERO },
        sdk: SdkSettings::new(http, &clock(), timeouts),
        refresh_tokens: true,
        run_processes: false,
        credential_cache: false,
        portal_pace: ssoinv_core::pace::PaceLimits::PORTAL,
    })
}

/// Returns the sso-session `corp` in Ireland.
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
    let (label, endpoint) = (sso.cache_key().into(), endpoint_at(None));
    Session { sso: Arc::new(sso), label, oidc: endpoint.clone(), portal: endpoint }
}
