//! The engine that makes all calls of a command.
//!
//! Built once per command from [`crate::settings`]; the credentials stay inside the engine.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ssoinv_core::event::Events;
use ssoinv_core::retry::RetryPolicy;
use ssoinv_http::http_client::{self, CaBundle, HttpError};
use ssoinv_http::sdk_settings::{SdkSettings, Timeouts};
use ssoinv_profile::Profile;
use ssoinv_run::engine::Engine;
use ssoinv_sso::context::SsoContext;

use crate::app::App;
use crate::command_error::CommandError;
use crate::file_limit::FileLimit;
use crate::settings::{ConnectionSettings, SignInPolicy};

/// The longest that throttled calls to the portal are retried. Its lock-outs last for minutes, and every other call needs
/// its credentials.
const PORTAL_PATIENCE: Duration = Duration::from_mins(10);

/// The engine, with what it was made from.
pub(crate) struct Connection {
    pub(crate) context: Arc<SsoContext>,
    pub(crate) engine: Arc<Engine>,
}

impl Connection {
    /// Builds the client for calls with these profiles. Makes no call.
    pub(crate) fn open(
        settings: &ConnectionSettings,
        policy: SignInPolicy,
        profiles: &[Arc<Profile>],
        app: &App,
        events: Events,
    ) -> Result<Self, CommandError> {
        let env = app.environment.vars.clone();
        let bundle = ca_bundle(profiles, app);
        // All accounts share the hosts of a region, so each host may need a connection per call.
        let files = FileLimit::raised();
        if let Some(limit) = files.too_low_for(settings.concurrency) {
            let message =
                format!("only {limit} files may be open at once: too few for {} calls", settings.concurrency);
            app.terminal.print_warning(&message, Some("raise it with `ulimit -n 4096`"));
        }
        let concurrency = files.most_calls(settings.concurrency);
        let connections = NonZeroUsize::MIN.saturating_add(concurrency);
        let http = http_client::client(&env, bundle.as_ref(), connections, files.idle_timeout());
        let http = http.map_err(|error| no_client(&error))?;
        let timeouts = Timeouts { connect: settings.connect_timeout, attempt: settings.attempt_timeout };
        let context = Arc::new(SsoContext {
            home: app.environment.home.clone(),
            env,
            clock: app.clock.clone(),
            events,
            interaction: policy.interaction,
            flow: policy.flow,
            retry: RetryPolicy {
                throttle_budget: settings.policy.throttle_budget.min(PORTAL_PATIENCE),
                ..settings.policy
            },
            portal_pace: settings.portal_pace,
            sdk: SdkSettings::new(http, &app.clock, timeouts),
            refresh_tokens: settings.refresh_tokens,
            run_processes: settings.run_processes,
            credential_cache: settings.credential_cache,
        });
        Ok(Self { engine: Engine::new(Arc::clone(&context), settings.policy, concurrency), context })
    }
}

/// Returns the CA bundle: that of the variable, else that of the first profile with one.
fn ca_bundle(profiles: &[Arc<Profile>], app: &App) -> Option<CaBundle> {
    if let Some(path) = app.environment.get("AWS_CA_BUNDLE") {
        return Some(CaBundle { path: path.into(), origin: "AWS_CA_BUNDLE".to_owned() });
    }
    profiles.iter().find_map(|profile| {
        let path = profile.ca_bundle.clone()?;
        let origin = profile.settings.get("ca_bundle").map(|setting| setting.location.to_string());
        Some(CaBundle { path, origin: origin.unwrap_or_default() })
    })
}

fn no_client(error: &HttpError) -> CommandError {
    let reason = std::error::Error::source(error).map(ToString::to_string);
    let hint = match error {
        HttpError::UnreadableBundle { .. } | HttpError::NoCertificate { .. } => {
            "name a PEM file with the certificates to trust, or unset it"
        }
        HttpError::InvalidProxy { .. } => "write it like http://proxy.example.com:3128",
        HttpError::Pool { .. } => "this is a bug in ssoinv: please report it",
    };
    CommandError::usage(error.to_string()).with_details(reason.into_iter().collect()).with_hint(hint)
}
