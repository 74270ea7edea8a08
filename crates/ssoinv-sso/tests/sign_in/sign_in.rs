//! The token of a session: cached, refreshed, signed in for, refused.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use ssoinv_core::event::{Event, SignIn};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_profile::{CredentialSource, Profile};
use ssoinv_sim::{
    Approval, Control, Effect, Fault, Format, Options, RetryHeader, SECRET_MARKER, Service, Token,
};
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::portal::Portal;
use ssoinv_sso::role_credentials::RoleCredentials;
use ssoinv_sso::session::Session;
use ssoinv_sso::token_cache::{TokenCache, TokenLookup};
use ssoinv_sso::token_source::TokenSource;

use crate::world::World;

const ALL: [&str; 3] = ["hub-Audit", "prod-Audit", "dev-Audit"];

async fn get(store: &CredentialStore, profile: &Profile) -> Result<Arc<RoleCredentials>, Failure> {
    store.get(profile, None, |_| ()).await
}

/// Asks for the credentials of all three accounts at once, several times each.
async fn get_all(world: &World, store: &Arc<CredentialStore>) -> Vec<Result<Arc<RoleCredentials>, Failure>> {
    let profiles = ALL.iter().map(|name| Arc::new(world.profile(name))).cycle().take(12);
    let tasks = profiles.map(|profile| {
        let store = Arc::clone(store);
        tokio::spawn(async move { get(&store, &profile).await })
    });
    join_all(tasks).await.into_iter().map(|task| task.expect("no task panics")).collect()
}

fn code(failure: &Failure) -> (FailureKind, &str) {
    (failure.kind, failure.code.as_deref().unwrap_or_default())
}

/// The token source of `corp`, as the store has one.
fn tokens(world: &World) -> TokenSource {
    let context = world.context(|_| ());
    let profile = world.profile("hub-Audit");
    let session = profile.credentials.session().expect("single sign-on");
    let session = Arc::new(Session::new(session, Some(&profile), &context).expect("a good place"));
    let limiter = Arc::new(RateLimiter::new(ssoinv_core::pace::PaceLimits::PORTAL));
    let portal = Portal::new(&session.portal, limiter, Arc::clone(&context));
    TokenSource::new(session, portal, context)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_sign_in_serves_all_and_the_next_run() {
    let world = World::new(Options::default()).at_home(|home| home);
    let first = get_all(&world, &world.store()).await;
    assert!(first.iter().all(Result::is_ok), "{first:?}");
    assert_eq!(world.said.words(), ["code", "done"]);
    assert_eq!(world.oidc("RegisterClient"), 1);
    assert_eq!(world.portal("GetRoleCredentials"), 3, "one for each account");

    let second = get_all(&world, &world.store()).await;
    assert!(second.iter().all(Result::is_ok), "{second:?}");
    assert_eq!(world.said.words(), ["code", "done"], "the token came from the file");
    assert_eq!(world.oidc("CreateToken"), 1);
}

#[tokio::test]
async fn a_token_that_has_expired_is_refreshed_once() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Expired)).alone();
    let got = get_all(&world, &world.store()).await;
    assert!(got.iter().all(Result::is_ok), "{got:?}");
    assert_eq!(world.said.words(), ["refreshed"]);
    assert_eq!(world.oidc("CreateToken"), 1);
    // The new refresh token is in the file: the old one serves once.
    world.simulator.control(Control::EndTokens { session: None }).unwrap();
    let again = get_all(&world, &world.store()).await;
    assert!(again.iter().all(Result::is_ok), "{again:?}");
    assert_eq!(world.said.words(), ["refreshed", "refreshed"]);
}

#[tokio::test]
async fn without_a_person_nobody_is_asked() {
    let world = World::new(Options::default()).at_home(|home| home).alone();
    let store = world.store();
    for got in get_all(&world, &store).await {
        assert_eq!(code(&got.unwrap_err()), (FailureKind::SignInExpired, "NotSignedIn"));
    }
    let late = get(&store, &world.profile("dev-Audit")).await.unwrap_err();
    assert_eq!(late.message, "not signed in to sso-session `corp`");
    assert_eq!(world.said.words(), ["gave-up"], "it is said once");
    assert_eq!(world.simulator.calls(), []);
}

#[tokio::test]
async fn a_token_that_cannot_be_refreshed_says_since_when() {
    let world =
        World::new(Options::default()).at_home(|home| home.token(Token::ExpiredWithoutRefresh)).alone();
    let failure = get(&world.store(), &world.profile("hub-Audit")).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::SignInExpired, "SignInExpired"));
    assert_eq!(
        failure.message,
        "the sign-in to sso-session `corp` expired 1 minute ago and cannot be refreshed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_that_ends_on_the_way_is_checked_and_refreshed_once() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good)).alone();
    let store = world.store();
    get(&store, &world.profile("hub-Audit")).await.expect("a good token");
    world.simulator.control(Control::EndTokens { session: None }).unwrap();
    let got = get_all(&world, &store).await;
    assert!(got.iter().all(Result::is_ok), "{got:?}");
    assert_eq!(world.said.words(), ["refreshed"]);
    assert_eq!(world.portal("ListAccounts"), 1, "one check, before the refresh");
    assert_eq!(world.oidc("CreateToken"), 1);
}

#[tokio::test]
async fn who_waits_for_a_person_is_parked_and_goes_on() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good));
    let store = world.store();
    world.simulator.control(Control::EndTokens { session: None }).unwrap();
    world.simulator.control(Control::RefuseRefresh { session: None, refuse: true }).unwrap();
    let (parked, most, ever) = (AtomicI32::new(0), AtomicI32::new(0), AtomicI32::new(0));
    let on_park = |begins: bool| {
        let now =
            parked.fetch_add(if begins { 1 } else { -1 }, Ordering::Relaxed) + if begins { 1 } else { -1 };
        most.fetch_max(now, Ordering::Relaxed);
        ever.fetch_add(i32::from(begins), Ordering::Relaxed);
    };
    let profiles: Vec<_> = ALL.iter().map(|name| world.profile(name)).collect();
    let got = join_all(profiles.iter().map(|profile| store.get(profile, None, on_park))).await;
    assert!(got.iter().all(Result::is_ok), "{got:?}");
    assert_eq!(world.said.words(), ["code", "done"]);
    assert_eq!(parked.load(Ordering::Relaxed), 0, "whoever was parked is not any more");
    assert_eq!((most.load(Ordering::Relaxed), ever.load(Ordering::Relaxed)), (3, 3));
}

#[tokio::test]
async fn when_nobody_can_sign_in_the_rest_fails_at_once_and_what_there_is_stays_good() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good)).alone();
    let store = world.store();
    get(&store, &world.profile("hub-Audit")).await.expect("a good token");
    world.simulator.control(Control::EndTokens { session: None }).unwrap();
    world.simulator.control(Control::RefuseRefresh { session: None, refuse: true }).unwrap();
    let failure = get(&store, &world.profile("prod-Audit")).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::SignInExpired, "SignInExpired"));
    assert_eq!(
        failure.message,
        "the portal refuses the sign-in to sso-session `corp`, and it cannot be refreshed"
    );
    let calls = world.simulator.calls().len();
    assert_eq!(get(&store, &world.profile("dev-Audit")).await.unwrap_err(), failure);
    assert_eq!(world.simulator.calls().len(), calls, "no call for what is known to fail");
    get(&store, &world.profile("hub-Audit")).await.expect("role credentials outlive the token");
    assert_eq!(world.said.words(), ["gave-up"]);
}

#[tokio::test]
async fn a_good_token_that_the_portal_refuses_once_is_kept() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good));
    world.fault(Fault::new(Effect::Unauthorized401).operation("GetRoleCredentials").times(2));
    let got = get_all(&world, &world.store()).await;
    assert!(got.iter().all(Result::is_ok), "{got:?}");
    assert_eq!(world.oidc("CreateToken"), 0);
    assert_eq!(world.said.words(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_call_that_is_always_refused_ends_no_token() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good));
    world.fault(Fault::new(Effect::Unauthorized401).operation("GetRoleCredentials").account("022222222222"));
    let store = world.store();
    let failure = get(&store, &world.profile("prod-Audit")).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::Failed, "UnauthorizedException"));
    get(&store, &world.profile("dev-Audit")).await.expect("other accounts go on");
    assert_eq!(world.oidc("CreateToken"), 0);
}

#[tokio::test]
async fn limits_and_server_errors_are_no_reason_to_sign_in() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good));
    let throttle = Effect::Throttle { retry_after: None, header: RetryHeader::RetryAfter };
    world.fault(Fault::new(throttle).operation("GetRoleCredentials").times(2));
    world.fault(Fault::new(Effect::TooMany429).operation("GetRoleCredentials").times(1));
    let got = get_all(&world, &world.store()).await;
    assert!(got.iter().all(Result::is_ok), "{got:?}");

    // A token that has to be refreshed, and a service that can't: the failure stands.
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Expired));
    world.fault(Fault::new(Effect::ServerError(500)).service(Service::OIDC));
    let store = world.store();
    let failure = get(&store, &world.profile("hub-Audit")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Failed, "{failure:?}");
    let calls = world.simulator.calls().len();
    get(&store, &world.profile("prod-Audit")).await.expect_err("for a minute nobody asks again");
    assert_eq!(world.simulator.calls().len(), calls);
    assert_eq!(world.said.words(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_code_that_ends_is_replaced() {
    let world =
        World::new(Options { approval: Approval::Expires, ..Options::default() }).at_home(|home| home);
    let simulator = Arc::clone(&world.simulator);
    let store = world.store_that_hears(move |event| {
        if matches!(event, Event::SignIn(SignIn::CodeEnded { .. })) {
            simulator.control(Control::Approval(Approval::AtPoll(1))).expect("an order");
        }
    });
    get(&store, &world.profile("hub-Audit")).await.expect("signed in with the second code");
    assert_eq!(world.said.words(), ["code", "code-ended", "code", "done"]);
    assert_eq!(world.oidc("RegisterClient"), 1);
}

#[tokio::test]
async fn whoever_declines_is_not_asked_again() {
    let world = World::new(Options { approval: Approval::Denied, ..Options::default() }).at_home(|home| home);
    let store = world.store();
    let parked = Mutex::new(Vec::new());
    let first =
        store.get(&world.profile("hub-Audit"), None, |begins| parked.lock().unwrap().push(begins)).await;
    assert_eq!(code(&first.unwrap_err()), (FailureKind::SignInExpired, "SignInDeclined"));
    assert_eq!(*parked.lock().unwrap(), [true, false]);
    for got in get_all(&world, &store).await {
        assert_eq!(code(&got.unwrap_err()), (FailureKind::SignInExpired, "SignInDeclined"));
    }
    assert_eq!(world.said.words(), ["code", "gave-up"]);
}

#[tokio::test]
async fn a_portal_that_refuses_every_token_asks_a_person_once() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good));
    world.fault(Fault::new(Effect::Unauthorized401).service(Service::PORTAL));
    world.simulator.control(Control::RefuseRefresh { session: None, refuse: true }).unwrap();
    let store = world.store();
    let failure = get(&store, &world.profile("hub-Audit")).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::SignInExpired, "NewSignInRefused"));
    assert_eq!(world.said.words(), ["code", "done", "gave-up"]);

    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good)).alone();
    world.fault(Fault::new(Effect::Unauthorized401).service(Service::PORTAL));
    let store = world.store();
    for got in get_all(&world, &store).await {
        got.expect_err("no token is taken");
    }
    let failure = get(&store, &world.profile("dev-Audit")).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::SignInExpired, "NewSignInRefused"));
    assert_eq!(world.oidc("CreateToken"), 3, "three refreshes, and that is that");
}

#[tokio::test]
async fn a_registration_serves_again_until_the_service_forgets_it() {
    let world = World::new(Options::default()).at_home(|home| home);
    let sign_in_again = async || {
        let cache = world.home.path().join(".aws/sso/cache");
        let profile = world.profile("hub-Audit");
        let session = profile.credentials.session().expect("single sign-on");
        let token = TokenCache::new(Some(world.home.path())).token_path(session).expect("a home");
        let _ = std::fs::remove_file(token);
        get(&world.store(), &profile).await.expect("signed in");
        assert_eq!(
            std::fs::read_dir(cache).expect("a folder").count(),
            3,
            "a token, its lock and a registration"
        );
    };
    sign_in_again().await;
    sign_in_again().await;
    assert_eq!(world.oidc("RegisterClient"), 1);
    world.simulator.control(Control::ExpireRegistrations {}).unwrap();
    sign_in_again().await;
    assert_eq!(world.oidc("RegisterClient"), 2);
}

#[tokio::test]
async fn an_unknown_start_url_is_a_mistake_in_the_files() {
    let world = World::new(Options::default()).at_home(|home| {
        home.text(&format!(
            "[profile other]\nsso_start_url = https://nobody.awsapps.com/start\nsso_region = eu-west-1\n\
             sso_account_id = 111111111111\nsso_role_name = Audit\nendpoint_url = {}\n",
            "SIMULATOR"
        ))
    });
    let config = world.home.path().join(".aws/config");
    let text = std::fs::read_to_string(&config).unwrap().replace("SIMULATOR", world.simulator.url());
    std::fs::write(config, text).unwrap();
    let failure = get(&world.store(), &world.profile("other")).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::Misconfigured, "InvalidStartUrl"));
    assert!(failure.message.contains("https://nobody.awsapps.com/start"), "{}", failure.message);
}

#[tokio::test]
async fn a_token_of_another_region_does_not_count() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good)).alone();
    let config = world.home.path().join(".aws/config");
    let text =
        std::fs::read_to_string(&config).unwrap().replace("sso_region = eu-west-1", "sso_region = us-east-1");
    std::fs::write(config, text).unwrap();
    let failure = get(&world.store(), &world.profile("hub-Audit")).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::SignInExpired, "NotSignedIn"));
    assert_eq!(world.said.words(), ["foreign", "gave-up"]);
    assert_eq!(world.simulator.calls(), []);
}

#[tokio::test]
async fn a_token_that_somebody_else_writes_is_used() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good)).alone();
    let store = world.store();
    get(&store, &world.profile("hub-Audit")).await.expect("a good token");
    world.simulator.control(Control::EndTokens { session: None }).unwrap();
    // It counts though it ends earlier than the one that was refused.
    world.simulator.control(Control::TokenLifetime { seconds: Some(1800) }).unwrap();
    world.simulator.home().token(Token::Good).write(world.home.path()).unwrap();
    get(&store, &world.profile("prod-Audit")).await.expect("the new token");
    assert_eq!((world.oidc("CreateToken"), world.portal("ListAccounts")), (0, 0));
}

#[tokio::test]
async fn the_legacy_format_signs_in_and_is_never_refreshed() {
    let world = World::new(Options::default()).at_home(|home| home.format(Format::Legacy));
    get(&world.store(), &world.profile("hub-Audit")).await.expect("signed in");
    let profile = world.profile("hub-Audit");
    let session = profile.credentials.session().expect("single sign-on");
    let TokenLookup::Token(token) = TokenCache::new(Some(world.home.path())).token(session).await else {
        panic!("no token in the file named by the start URL");
    };
    assert_eq!(token.refresh_token, None);
    world.simulator.control(Control::EndTokens { session: None }).unwrap();
    let world = world.alone();
    let failure = get(&world.store(), &profile).await.unwrap_err();
    assert_eq!(
        failure.message,
        "the portal refuses the sign-in to start URL `https://corp.awsapps.com/start`, and it cannot be refreshed"
    );
    assert_eq!(world.oidc("CreateToken"), 1, "the sign-in alone");
}

#[tokio::test]
async fn a_refresh_token_in_a_legacy_file_is_left_alone() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Expired)).alone();
    let file = |world: &World| {
        let profile = world.profile("hub-Audit");
        let session = profile.credentials.session().expect("single sign-on");
        TokenCache::new(Some(world.home.path())).token_path(session).expect("a home")
    };
    let with_refresh = file(&world);
    let world = world.at_home(|home| home.format(Format::Legacy));
    std::fs::rename(with_refresh, file(&world)).unwrap();
    let failure = get(&world.store(), &world.profile("hub-Audit")).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::SignInExpired, "SignInExpired"));
    assert_eq!(world.simulator.calls(), []);
}

/// Answers one request with `body`, whatever it asks.
fn answer_once(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let mut seen = Vec::new();
        let mut bytes = [0; 4096];
        while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = socket.read(&mut bytes).expect("a request");
            seen.extend_from_slice(&bytes[..read]);
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
        write!(socket, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .expect("a client that listens");
    });
    url
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let mut world = World::new(Options::default()).at_home(|home| home.token(Token::Expired)).alone();
    let cache = TokenCache::new(Some(world.home.path()));
    let profile = world.profile("hub-Audit");
    let session = profile.credentials.session().expect("single sign-on");
    let TokenLookup::Token(before) = cache.token(session).await else { panic!("no token") };
    let url = answer_once(r#"{"accessToken": "SIMSECRET-new", "expiresIn": 3600, "tokenType": "Bearer"}"#);
    world.env.insert("AWS_ENDPOINT_URL_SSO_OIDC".to_owned(), url);
    assert_eq!(tokens(&world).get(None).await.unwrap().secret.reveal(), "SIMSECRET-new");
    let TokenLookup::Token(after) = cache.token(session).await else { panic!("no token") };
    assert_eq!(after.refresh_token, before.refresh_token);
    assert_eq!(after.access_token.reveal(), "SIMSECRET-new");
}

#[tokio::test]
async fn where_the_file_stays_old_the_newer_token_is_in_memory() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Expired)).alone();
    let profile = world.profile("hub-Audit");
    let session = profile.credentials.session().expect("single sign-on");
    let file = TokenCache::new(Some(world.home.path())).token_path(session).expect("a home");
    let old = std::fs::read(&file).unwrap();
    // As if it had never been written, which permissions can't bring about for root.
    let store = world.store_that_hears(move |event| {
        if matches!(event, Event::SignIn(SignIn::Refreshed { .. })) {
            std::fs::write(&file, &old).expect("written");
        }
    });
    get(&store, &profile).await.expect("refreshed");
    world.simulator.control(Control::EndTokens { session: None }).unwrap();
    get(&store, &world.profile("prod-Audit")).await.expect("refreshed with the newer refresh token");
    assert_eq!(world.said.words(), ["refreshed", "refreshed"]);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_told_once_and_stops_nothing() {
    let mut world =
        World::new(Options { token_lifetime: Some(1), ..Options::default() }).at_home(|home| home);
    let file = world.home.path().join("not-a-folder");
    std::fs::write(&file, "").unwrap();
    world.cache_home = Some(file);
    let store = world.store();
    get(&store, &world.profile("hub-Audit")).await.expect("signed in");
    world.simulator.control(Control::EndTokens { session: None }).unwrap();
    get(&store, &world.profile("prod-Audit")).await.expect("refreshed from memory");
    assert_eq!(world.said.words(), ["code", "not-stored", "done", "refreshed"]);
}

#[tokio::test]
async fn a_late_refusal_of_an_old_token_ends_nothing() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Good)).alone();
    let tokens = tokens(&world);
    let old = tokens.get(None).await.unwrap();
    world.simulator.control(Control::EndTokens { session: None }).unwrap();
    let new = tokens.get(Some(old.generation)).await.unwrap();
    assert!(new.generation > old.generation && new.secret != old.secret);
    let calls = world.simulator.calls().len();
    assert_eq!(tokens.get(Some(old.generation)).await.unwrap(), new);
    assert_eq!(tokens.get(None).await.unwrap(), new);
    assert_eq!(world.simulator.calls().len(), calls);
}

#[tokio::test]
async fn whoever_stops_waiting_takes_nothing_from_the_others() {
    let world = World::new(Options::default()).at_home(|home| home.token(Token::Expired)).alone();
    world.fault(Fault::new(Effect::Latency(200)).service(Service::OIDC));
    let tokens = tokens(&world);
    let mut first = Box::pin(tokens.get(None));
    assert!(futures::poll!(first.as_mut()).is_pending(), "it has begun");
    drop(first);
    tokens.get(None).await.expect("the refresh went on");
    assert_eq!(world.oidc("CreateToken"), 1);
}

#[tokio::test]
async fn a_short_lived_token_is_not_refreshed_at_each_call() {
    let world = World::new(Options { token_lifetime: Some(300), ..Options::default() });
    let world = world.at_home(|home| home.token(Token::Expired)).alone();
    let tokens = tokens(&world);
    let first = tokens.get(None).await.unwrap();
    assert_eq!(tokens.get(None).await.unwrap(), first, "five minutes are left, and a minute has not passed");
    assert_eq!(world.oidc("CreateToken"), 1);
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let world = World::new(Options::default()).at_home(|home| home);
    let store = world.store();
    let credentials = get(&store, &world.profile("hub-Audit")).await.expect("signed in");
    let tokens = tokens(&world);
    let token = tokens.get(None).await.unwrap();
    let CredentialSource::Sso(role) = world.profile("hub-Audit").credentials else {
        panic!("single sign-on")
    };
    let cached = TokenCache::new(Some(world.home.path())).token(&role.session).await;
    let shown = format!("{credentials:?} {token:?} {tokens:?} {cached:?} {store:?} {}", world.said.debug());
    assert!(!shown.contains(SECRET_MARKER), "{shown}");
    assert!(world.simulator.secrets().iter().all(|secret| !shown.contains(secret.as_str())));
    assert!(credentials.secret_access_key.reveal().contains(SECRET_MARKER), "the search would find it");
}
