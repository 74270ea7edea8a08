//! A simulator, a home for it, and a store that reads the home.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ssoinv_core::clock::Clock;
use ssoinv_core::env::Env;
use ssoinv_core::event::{Event, Events, Notice, SignIn};
use ssoinv_core::retry::RetryPolicy;
use ssoinv_http::http_client::client;
use ssoinv_http::sdk_settings::{SdkSettings, Timeouts};
use ssoinv_profile::{Profile, Profiles};
use ssoinv_sim::{Fault, Home, Options, Organisation, Service, Simulator};
use ssoinv_sso::context::{Interaction, SignInFlow, SsoContext};
use ssoinv_sso::credential_store::CredentialStore;
use tempfile::TempDir;

/// Three accounts behind `corp`, a user, and roles on top of each other.
const ORGANISATION: &str = r#"{
    "regions": ["eu-west-1", "us-east-1"],
    "sessions": [{"name": "corp", "start_url": "https://corp.awsapps.com/start", "region": "eu-west-1"}],
    "roles": ["Audit"],
    "accounts": [
        {"id": "111111111111", "name": "hub", "email": "hub@example.com"},
        {"id": "022222222222", "name": "prod", "email": "prod@example.com"},
        {"id": "333333333333", "name": "dev", "email": "dev@example.com"}
    ],
    "users": [{
        "account": "333333333333",
        "name": "robot",
        "access_key_id": "AKIAROBOTROBOTROBOT1",
        "secret_access_key": "robotSIMSECRETrobotrobotrobotrobotrobot1"
    }],
    "assumable_roles": [
        {"account": "022222222222", "name": "reader", "trusts": ["111111111111"]},
        {"account": "333333333333", "name": "inner", "trusts": ["022222222222/reader"], "external_id": "x-1"},
        {"account": "111111111111", "name": "of-robot", "trusts": ["333333333333/robot"]},
        {"account": "111111111111", "name": "of-token", "web_identity_provider": "token.example.com"}
    ],
    "web_identities": [{
        "token": "web-SIMSECRET-token", "provider": "token.example.com", "subject": "job", "audience": "sts"
    }]
}"#;

/// A simulator with a home, and what was said.
pub(crate) struct World {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) home: TempDir,
    pub(crate) said: Said,
    pub(crate) interaction: Interaction,
    pub(crate) env: Env,
    pub(crate) run_processes: bool,
    /// True if role credentials are kept for the next store.
    pub(crate) credential_cache: bool,
    pub(crate) flow: SignInFlow,
    /// The home of the token cache, if it is another than the profiles'.
    pub(crate) cache_home: Option<PathBuf>,
}

/// All events, in order.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<Event>>>);

impl Said {
    fn listener(&self, then: impl Fn(&Event) + Send + Sync + 'static) -> Events {
        let said = self.clone();
        Events::new(move |event| {
            then(&event);
            said.lock().push(event);
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.lock().expect("no listener panics")
    }

    /// The sign-in's events, each as one word, and the notices, each by its name.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        let word = |event: &Event| match event {
            Event::SignIn(SignIn::Code { .. }) => Some("code"),
            Event::SignIn(SignIn::Page { .. }) => Some("page"),
            Event::SignIn(SignIn::DoneElsewhere { .. }) => Some("done-elsewhere"),
            Event::SignIn(SignIn::CodeEnded { .. }) => Some("code-ended"),
            Event::SignIn(SignIn::Done { .. }) => Some("done"),
            Event::SignIn(SignIn::Refreshed { .. }) => Some("refreshed"),
            Event::SignIn(SignIn::GaveUp { .. }) => Some("gave-up"),
            Event::Notice(Notice::TokenNotStored { .. }) => Some("not-stored"),
            Event::Notice(Notice::CredentialsNotStored { .. }) => Some("keys-not-stored"),
            Event::Notice(Notice::ForeignToken { .. }) => Some("foreign"),
            Event::Notice(Notice::AccountNamesUnavailable { .. }) => Some("no-names"),
            _ => None,
        };
        self.lock().iter().filter_map(word).collect()
    }

    /// Everything, as `Debug` shows it.
    pub(crate) fn debug(&self) -> String {
        format!("{:?}", self.lock())
    }
}

impl World {
    /// A person at hand, and codes that are polled without a pause.
    pub(crate) fn new(options: Options) -> Self {
        let organisation = Organisation::from_json(ORGANISATION).expect("an organisation");
        let options = Options { device_interval: 0, ..options };
        let simulator = Simulator::start(organisation, options).expect("a free port");
        Self {
            simulator: Arc::new(simulator),
            home: tempfile::tempdir().expect("a folder"),
            said: Said::default(),
            interaction: Interaction::Person,
            env: Env::new(),
            run_processes: true,
            credential_cache: false,
            flow: SignInFlow::DeviceCode,
            cache_home: None,
        }
    }

    /// Writes the home.
    pub(crate) fn at_home(self, home: impl FnOnce(Home<'_>) -> Home<'_>) -> Self {
        home(self.simulator.home()).write(self.home.path()).expect("a home");
        self
    }

    pub(crate) fn alone(mut self) -> Self {
        self.interaction = Interaction::None;
        self
    }

    pub(crate) fn profiles(&self) -> Profiles {
        Profiles::load(Some(self.home.path()), &self.env).expect("the files can be read")
    }

    pub(crate) fn profile(&self, name: &str) -> Profile {
        let profiles = self.profiles();
        let names: Vec<_> = profiles.iter().map(|profile| profile.name.clone()).collect();
        profiles.get(name).unwrap_or_else(|| panic!("{name} is not among {names:?}")).clone()
    }

    pub(crate) fn context(&self, then: impl Fn(&Event) + Send + Sync + 'static) -> Arc<SsoContext> {
        let clock = Clock::system();
        let http =
            client(&self.env, None, NonZeroUsize::MIN.saturating_add(63), None).expect("an HTTP client");
        let timeouts = Timeouts { connect: Duration::from_secs(5), attempt: Duration::from_secs(20) };
        Arc::new(SsoContext {
            home: self.cache_home.clone().or_else(|| Some(self.home.path().to_owned())),
            env: self.env.clone(),
            clock: clock.clone(),
            events: self.said.listener(then),
            interaction: self.interaction,
            retry: RetryPolicy { max_attempts: 2, throttle_budget: Duration::from_secs(10) },
            sdk: SdkSettings::new(http, &clock, timeouts),
            refresh_tokens: true,
            run_processes: self.run_processes,
            credential_cache: self.credential_cache,
            portal_pace: ssoinv_core::pace::PaceLimits::PORTAL,
            flow: self.flow,
        })
    }

    pub(crate) fn store(&self) -> Arc<CredentialStore> {
        self.store_that_hears(|_| ())
    }

    pub(crate) fn store_that_hears(
        &self,
        then: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Arc<CredentialStore> {
        Arc::new(CredentialStore::new(self.context(then)))
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.simulator.fault(fault).expect("a rule that can be");
    }

    pub(crate) fn oidc(&self, operation: &str) -> u64 {
        self.simulator.count(Service::OIDC, operation)
    }

    pub(crate) fn portal(&self, operation: &str) -> u64 {
        self.simulator.count(Service::PORTAL, operation)
    }

    pub(crate) fn sts(&self, operation: &str) -> u64 {
        self.simulator.count(Service::STS, operation)
    }
}
