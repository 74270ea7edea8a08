//! The one access token of a sign-in: found in the cache, refreshed, or signed in for; once for all who wait.
//!
//! [`TokenSource::with_token`] makes a portal call with it. Where the portal answers 401, the call's token is looked at
//! in this order: has somebody written a newer one to the file? Does the portal take it after all (it has refused good
//! tokens under load)? Can it be refreshed? Else somebody signs in, where there is somebody. Whoever comes meanwhile
//! waits for the same outcome. Every token has a number, so that a late 401 for an old one doesn't end the new one. A call
//! that stands in the portal's line takes the token of the moment at which its turn comes ([`CurrentToken`]).
//!
//! A refresh token serves once, so processes refresh one after the other, under the lock of the token's file, and each
//! reads the file again first. While a person is asked, the file is looked at, too: somebody may sign in elsewhere.
//!
//! A limit, a server's error or a broken network is never a reason to sign in: the failure stands.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use ssoinv_core::event::{Event, Notice, SignIn};
use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::secret::Secret;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cache_file::Lock;
use crate::context::{Interaction, SsoContext};
use crate::login::oidc::{Oidc, RefreshOutcome};
use crate::login::sign_in;
use crate::portal::{Bearer, Portal};
use crate::session::Session;
use crate::times::lasts;
use crate::token_cache::{CacheError, CachedToken, Client, Lookup, TokenCache};

/// A token with less than this left is refreshed, as botocore does.
const REFRESH_LEFT: Duration = Duration::from_mins(15);

/// After a refresh that failed, a token that is still good isn't refreshed again for this long, as in botocore; neither
/// is a service asked again that could not be reached.
const PAUSE: Duration = Duration::from_mins(1);

/// How often the token's file is looked at while a person is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often one call may be refused though the portal takes its token, before it is the call that is refused; and how
/// many new tokens may be refused one after the other, before no other is asked for.
const MOST_RENEWALS: u32 = 3;

/// How many tokens may end under one call while other calls go well. Bad luck has an end.
const MOST_ENDED: u32 = 8;

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The bearer token.
    pub secret: Secret,
    /// When it ends.
    pub expires_at: SystemTime,
    /// Whether it can be refreshed then.
    pub refreshes: bool,
    /// Counts the tokens of a source: a newer one has a higher number.
    pub generation: u64,
}

/// A token that a call waits in line with. Once it is the call's turn, the newest there is counts.
#[derive(Debug)]
pub struct CurrentToken {
    source: Arc<Inner>,
    token: Mutex<Arc<AccessToken>>,
}

impl CurrentToken {
    fn held(&self) -> MutexGuard<'_, Arc<AccessToken>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bearer for CurrentToken {
    fn token(&self) -> Result<Secret, Failure> {
        let state = self.source.state();
        if state.flight.is_some() || state.given_up().is_some() {
            return Err(
                Failure::new(FailureKind::NotTried, "another token is on its way").with_remedy(Remedy::Renew)
            );
        }
        let mut held = self.held();
        if let Some(current) = &state.current
            && current.token.generation > held.generation
        {
            *held = Arc::clone(&current.token);
        }
        Ok(held.secret.clone())
    }
}

/// The token of one session.
#[derive(Clone, Debug)]
pub struct TokenSource(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    session: Arc<Session>,
    portal: Portal,
    oidc: Oidc,
    cache: TokenCache,
    context: Arc<SsoContext>,
    state: Mutex<State>,
    /// Whether a sign-in waits for a person.
    signing_in: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    current: Option<Held>,
    /// The last number given to a token.
    generation: u64,
    /// The renewal under way. It has a task of its own: whoever waits for it may be dropped.
    flight: Option<Flight>,
    /// No token could be had: until when that is the answer, or for the rest of the run.
    gave_up: Option<(Failure, Option<Instant>)>,
    told: Told,
    /// New tokens since the portal last took one.
    unproven: u32,
    /// Whether somebody has signed in since then.
    signed_in: bool,
}

impl State {
    /// Why no token can be had, as long as that is the answer.
    fn given_up(&self) -> Option<&Failure> {
        let (failure, until) = self.gave_up.as_ref()?;
        until.is_none_or(|until| Instant::now() < until).then_some(failure)
    }
}

/// What is said once.
#[derive(Default)]
struct Told {
    foreign: bool,
    not_stored: bool,
}

type Flight = Shared<BoxFuture<'static, Result<Arc<AccessToken>, Failure>>>;

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// The token in use.
struct Held {
    token: Arc<AccessToken>,
    cached: CachedToken,
    /// When it should be refreshed.
    refresh: When,
}

/// When a token should be refreshed. Until then it is good while it lasts.
#[derive(Clone, Copy)]
enum When {
    /// From this moment on, when it has less than fifteen minutes left: at most one try a minute, as in botocore.
    From(Instant),
    /// It can't be.
    Never,
}

impl When {
    fn in_a_minute() -> Self {
        Self::From(Instant::now() + PAUSE)
    }
}

/// What there is to do with the tokens that there are.
enum Choice {
    /// This one is good.
    Use(CachedToken, When),
    /// This one can be refreshed; `good` where it still lasts.
    Refresh { base: CachedToken, good: bool },
    /// Somebody has to sign in. This one was there.
    SignIn(Option<CachedToken>),
}

/// What a renewal came to.
enum Renewed {
    /// Another token, or the same one read anew.
    Token(CachedToken, When),
    /// The portal takes the token that it had refused.
    Confirmed,
}

impl TokenSource {
    /// The token of a session. Nothing is read or asked before it is needed.
    #[must_use]
    pub fn new(session: Arc<Session>, portal: Portal, context: Arc<SsoContext>) -> Self {
        let oidc = Oidc::new(&session, Arc::clone(&context));
        let cache = TokenCache::new(context.home.as_deref());
        let (signing_in, _) = watch::channel(false);
        Self(Arc::new(Inner { session, portal, oidc, cache, context, state: Mutex::default(), signing_in }))
    }

    /// Makes a call with the token, again with another one where the token turns out to have ended.
    ///
    /// `call` is given what bears the token; a failure with [`Remedy::Renew`] says that it was refused.
    pub async fn with_token<T, F>(&self, mut call: impl FnMut(Arc<CurrentToken>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut refused: Option<Arc<AccessToken>> = None;
        let (mut confirmed, mut ended) = (0, 0);
        loop {
            let token = self.get(refused.as_ref().map(|token| token.generation)).await?;
            match refused.take() {
                Some(refused) if refused.secret == token.secret => confirmed += 1,
                Some(_) => ended += 1,
                None => {}
            }
            // Either no token is taken for long, or it isn't the token.
            if confirmed > MOST_RENEWALS || ended > MOST_ENDED {
                break;
            }
            let bearer = Arc::new(CurrentToken { source: Arc::clone(&self.0), token: Mutex::new(token) });
            match call(Arc::clone(&bearer)).await {
                // It waited in line for so long that another token is on its way. Nothing was asked.
                Err(Failure { kind: FailureKind::NotTried, remedy: Remedy::Renew, .. }) => {}
                Err(Failure { remedy: Remedy::Renew, .. }) => refused = Some(Arc::clone(&bearer.held())),
                Err(failure) => return Err(failure),
                Ok(answer) => {
                    let mut state = self.0.state();
                    (state.unproven, state.signed_in) = (0, false);
                    return Ok(answer);
                }
            }
        }
        let message =
            format!("the portal refuses this call again and again, but takes the token of {}", self.called());
        Err(Failure::new(FailureKind::Failed, message).with_code("UnauthorizedException"))
    }

    /// The token; a new one where `refused` is the number of the present one.
    ///
    /// # Errors
    /// [`FailureKind::SignInExpired`] where there is no token and nobody to sign in; what the sign-in service answered
    /// otherwise.
    pub async fn get(&self, refused: Option<u64>) -> Result<Arc<AccessToken>, Failure> {
        let flight = {
            let mut state = self.0.state();
            if let Some(failure) = state.given_up() {
                return Err(failure.clone());
            }
            if state.flight.is_none()
                && let Some(held) = &state.current
                && refused.is_none_or(|refused| refused < held.token.generation)
                && held.is_good(self.0.context.clock.now())
            {
                return Ok(Arc::clone(&held.token));
            }
            state.flight.get_or_insert_with(|| Arc::clone(&self.0).take_off(refused)).clone()
        };
        flight.await
    }

    /// Asks a person to sign in, whatever token there is.
    ///
    /// # Errors
    /// As [`TokenSource::get`], but never for want of somebody to ask.
    pub async fn sign_in(&self) -> Result<Arc<AccessToken>, Failure> {
        let inner = &self.0;
        let token = sign_in(&inner.session, &inner.oidc, &inner.cache, &inner.context).await?;
        inner.signed_in(&token).await;
        inner.land(Ok(Renewed::Token(token, When::in_a_minute())))
    }

    /// Whether the cached token of this name is another session's.
    pub(crate) async fn is_foreign(&self) -> bool {
        self.0.look_up().await;
        self.0.state().told.foreign
    }

    /// Works off `work`, and says whether it waits while a person is asked to sign in: `on_park(true)` when that begins,
    /// `on_park(false)` when it ends.
    pub async fn parking<T>(&self, on_park: impl Fn(bool), work: impl Future<Output = T>) -> T {
        let mut signing_in = self.0.signing_in.subscribe();
        let mut work = pin!(work);
        let mut parked = false;
        let done = loop {
            tokio::select! {
                // What needn't wait isn't parked.
                biased;
                done = &mut work => break done,
                // The sender lives as long as this source.
                Ok(waits) = signing_in.wait_for(|waits| *waits != parked) => parked = *waits,
            }
            on_park(parked);
        };
        if parked {
            on_park(false);
        }
        done
    }

    fn called(&self) -> String {
        self.0.session.called()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while holding it changed nothing halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, said: SignIn) {
        self.context.events.emit(Event::SignIn(said));
    }

    /// Starts a renewal. Called with the state locked, so that its end finds it there.
    fn take_off(self: Arc<Self>, refused: Option<u64>) -> Flight {
        let inner = Arc::clone(&self);
        let task = tokio::spawn(async move {
            let outcome = inner.renew(refused).await;
            inner.land(outcome)
        });
        async move {
            task.await.unwrap_or_else(|error| {
                let failure = Failure::new(FailureKind::Failed, format!("the sign-in stopped: {error}"));
                self.land(Err(failure))
            })
        }
        .boxed()
        .shared()
    }

    /// Ends a renewal: keeps what it came to, for all who wait and those who come.
    fn land(&self, outcome: Result<Renewed, Failure>) -> Result<Arc<AccessToken>, Failure> {
        let mut state = self.state();
        state.flight = None;
        let (cached, refresh) = match outcome {
            Ok(Renewed::Token(cached, refresh)) => (cached, refresh),
            Ok(Renewed::Confirmed) => match state.current.take() {
                Some(held) => (held.cached, held.refresh),
                None => return Err(Failure::new(FailureKind::Failed, "the token was lost")),
            },
            Err(failure) => {
                // What only a person can cure stays so for the run; a service may come back, and is spared until then
                // unless there is a token that may still be good.
                if matches!(failure.kind, FailureKind::SignInExpired | FailureKind::Misconfigured) {
                    state.current = None;
                    state.gave_up = Some((failure.clone(), None));
                } else if !state.current.as_ref().is_some_and(|held| held.lasts(self.context.clock.now())) {
                    state.gave_up = Some((failure.clone(), Some(Instant::now() + PAUSE)));
                }
                drop(state);
                if failure.kind == FailureKind::SignInExpired {
                    self.say(SignIn::GaveUp {
                        session: self.session.label.clone(),
                        failure: Arc::new(failure.clone()),
                    });
                }
                return Err(failure);
            }
        };
        state.generation += 1;
        state.gave_up = None;
        let token = Arc::new(AccessToken {
            secret: cached.access_token.clone(),
            expires_at: cached.expires_at,
            refreshes: self.refreshes(&cached),
            generation: state.generation,
        });
        state.current = Some(Held { token: Arc::clone(&token), cached, refresh });
        Ok(token)
    }

    /// From what there is to a token.
    async fn renew(&self, refused: Option<u64>) -> Result<Renewed, Failure> {
        let held = self.state().current.as_ref().map(|held| (held.token.generation, held.cached.clone()));
        let refused =
            held.as_ref().filter(|(generation, _)| Some(*generation) == refused).map(|(_, token)| token);
        let held = held.as_ref().map(|(_, token)| token);
        // The file goes first: somebody may have signed in or refreshed meanwhile.
        let stored = self.look_up().await;
        if let Some(refused) = refused
            && !stored.as_ref().is_some_and(|stored| self.lives(stored, Some(refused)))
            && self.portal.accepts(&refused.access_token).await?
        {
            return Ok(Renewed::Confirmed);
        }
        match self.choose(stored.as_ref(), held, refused) {
            Choice::Use(token, refresh) => Ok(Renewed::Token(token, refresh)),
            Choice::Refresh { .. } => self.refresh(held, refused).await,
            Choice::SignIn(ended) => self.sign_in(ended.as_ref(), refused).await,
        }
    }

    /// What to do with the tokens that there are.
    fn choose(
        &self,
        stored: Option<&CachedToken>,
        held: Option<&CachedToken>,
        refused: Option<&CachedToken>,
    ) -> Choice {
        let now = self.context.clock.now();
        // Where the file can't be written, what is held is newer, and its refresh token is the one that is still good.
        let newest =
            stored.into_iter().chain(held).max_by_key(|token| (token.expires_at, !is_same(token, refused)));
        let fresh = stored.filter(|token| refused.is_some() && self.lives(token, refused));
        let Some(base) = fresh.or(newest) else { return Choice::SignIn(None) };
        let good = self.lives(base, refused);
        if good && lasts(base.expires_at, now, REFRESH_LEFT) {
            return Choice::Use(base.clone(), When::in_a_minute());
        }
        match (self.refreshes(base), good) {
            (true, _) => Choice::Refresh { base: base.clone(), good },
            (false, true) => Choice::Use(base.clone(), When::Never),
            (false, false) => Choice::SignIn(Some(base.clone())),
        }
    }

    /// Whether a token can be refreshed. What the legacy format signs in for has no scope to.
    fn refreshes(&self, token: &CachedToken) -> bool {
        let now = self.context.clock.now();
        let registered = |client: &Client| lasts(client.expires_at, now, Duration::ZERO);
        self.context.refresh_tokens
            && token.refresh_token.is_some()
            && token.client.as_ref().is_some_and(registered)
            && !self.session.sso.is_legacy()
    }

    /// Whether a token is good, as far as anybody knows.
    fn lives(&self, token: &CachedToken, refused: Option<&CachedToken>) -> bool {
        lasts(token.expires_at, self.context.clock.now(), Duration::ZERO) && !is_same(token, refused)
    }

    /// The token in the shared cache.
    async fn look_up(&self) -> Option<CachedToken> {
        match self.cache.token(&self.session.sso).await {
            Lookup::Token(token) => Some(token),
            Lookup::Foreign(reason) => {
                let first = !std::mem::replace(&mut self.state().told.foreign, true);
                if first {
                    let session = self.session.label.clone();
                    self.context.events.emit(Event::Notice(Notice::ForeignToken { session, reason }));
                }
                None
            }
            Lookup::None => None,
        }
    }

    /// Refreshes the token, if nobody else has done so by the time that the lock is had.
    async fn refresh(
        &self,
        held: Option<&CachedToken>,
        refused: Option<&CachedToken>,
    ) -> Result<Renewed, Failure> {
        let lock = self.cache.lock(&self.session.sso).await;
        let (base, good) = match self.choose(self.look_up().await.as_ref(), held, refused) {
            Choice::Use(token, refresh) => return Ok(Renewed::Token(token, refresh)),
            Choice::Refresh { base, good } => (base, good),
            Choice::SignIn(ended) => {
                drop(lock);
                return self.sign_in(ended.as_ref(), refused).await;
            }
        };
        let (Some(refresh_token), Some(client)) = (&base.refresh_token, &base.client) else {
            return Err(Failure::new(FailureKind::Failed, "the token has nothing to refresh it with"));
        };
        if refused.is_some() && self.state().unproven >= MOST_RENEWALS {
            return Err(self.new_tokens_refused());
        }
        // One try is enough for a token that is good for some more minutes: nobody should have to wait for it.
        let policy = if good {
            RetryPolicy { max_attempts: 1, throttle_budget: Duration::ZERO }
        } else {
            self.context.retry
        };
        match self.oidc.refresh(client, refresh_token, policy).await {
            Ok(RefreshOutcome::Token(token)) => {
                self.keep(&token, lock).await;
                self.say(SignIn::Refreshed { session: self.session.label.clone() });
                Ok(Renewed::Token(token, When::in_a_minute()))
            }
            Ok(RefreshOutcome::Ended) => {
                drop(lock);
                // A tool that takes no lock may have used the same refresh token.
                let other = self.look_up().await.filter(|token| token.access_token != base.access_token);
                match self.choose(other.as_ref(), None, refused) {
                    Choice::Use(token, refresh) => Ok(Renewed::Token(token, refresh)),
                    _ if good => Ok(Renewed::Token(base, When::Never)),
                    _ => self.sign_in(Some(&base), refused).await,
                }
            }
            Err(_) if good => Ok(Renewed::Token(base, When::in_a_minute())),
            Err(failure) => {
                let message = format!(
                    "the sign-in to {} could not be refreshed: {}",
                    self.session.called(),
                    failure.message
                );
                Err(Failure { message, ..failure })
            }
        }
    }

    /// Asks a person, where there is one. `ended` is the token that was there.
    async fn sign_in(
        &self,
        ended: Option<&CachedToken>,
        refused: Option<&CachedToken>,
    ) -> Result<Renewed, Failure> {
        if self.context.interaction == Interaction::Nobody {
            return Err(self.nobody_to_ask(ended));
        }
        if self.state().signed_in {
            return Err(self.new_tokens_refused());
        }
        let useless: Vec<&Secret> =
            ended.into_iter().chain(refused).map(|token| &token.access_token).collect();
        let _parked = Parked::new(&self.signing_in);
        let token = tokio::select! {
            signed_in = sign_in(&self.session, &self.oidc, &self.cache, &self.context) => signed_in?,
            token = self.appears(&useless) => {
                self.say(SignIn::DoneElsewhere { session: self.session.label.clone() });
                return Ok(Renewed::Token(token, When::in_a_minute()));
            }
        };
        self.state().signed_in = true;
        self.signed_in(&token).await;
        Ok(Renewed::Token(token, When::in_a_minute()))
    }

    /// Somebody has signed in.
    async fn signed_in(&self, token: &CachedToken) {
        self.keep(token, self.cache.lock(&self.session.sso).await).await;
        self.say(SignIn::Done { session: self.session.label.clone() });
    }

    /// Waits until somebody else has written another token than these.
    async fn appears(&self, useless: &[&Secret]) -> CachedToken {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let token = self.look_up().await.filter(|token| !useless.contains(&&token.access_token));
            if let Some(token) = token
                && lasts(token.expires_at, self.context.clock.now(), Duration::ZERO)
            {
                return token;
            }
        }
    }

    /// There is no token, and nobody who could sign in.
    fn nobody_to_ask(&self, ended: Option<&CachedToken>) -> Failure {
        let session = self.session.called();
        let (code, message) = match ended {
            None => ("NotSignedIn", format!("nobody has signed in to {session}")),
            Some(token) => {
                let message = match self.context.clock.now().duration_since(token.expires_at) {
                    Ok(since) => {
                        format!(
                            "the sign-in to {session} expired {} ago and cannot be refreshed",
                            roughly(since)
                        )
                    }
                    Err(_) => {
                        format!("the portal refuses the sign-in to {session}, and it cannot be refreshed")
                    }
                };
                ("SignInExpired", message)
            }
        };
        Failure::new(FailureKind::SignInExpired, message).with_code(code)
    }

    /// Another token wouldn't help, and nobody should be asked for one again and again.
    fn new_tokens_refused(&self) -> Failure {
        let message = format!("the portal refuses the new sign-in to {} as well", self.session.called());
        Failure::new(FailureKind::SignInExpired, message).with_code("NewSignInRefused")
    }

    /// Writes a new token to the shared cache, at once, so that all tools have it. Without the lock it is not written.
    async fn keep(&self, token: &CachedToken, lock: Result<Lock, CacheError>) {
        self.state().unproven += 1;
        let stored = match lock {
            Ok(lock) => self.cache.store_token(&self.session.sso, token, &lock).await,
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            let first = !std::mem::replace(&mut self.state().told.not_stored, true);
            if first {
                let notice =
                    Notice::TokenNotStored { session: self.session.label.clone(), reason: error.to_string() };
                self.context.events.emit(Event::Notice(notice));
            }
        }
    }
}

/// Tells those who wait that a person is asked; until it is dropped, as the flow may be at any moment.
struct Parked<'a>(&'a watch::Sender<bool>);

impl<'a> Parked<'a> {
    fn new(signing_in: &'a watch::Sender<bool>) -> Self {
        signing_in.send_replace(true);
        Self(signing_in)
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

fn is_same(token: &CachedToken, other: Option<&CachedToken>) -> bool {
    other.is_some_and(|other| other.access_token == token.access_token)
}

impl Held {
    fn lasts(&self, now: SystemTime) -> bool {
        lasts(self.token.expires_at, now, Duration::ZERO)
    }

    /// Whether the token can be used as it is.
    fn is_good(&self, now: SystemTime) -> bool {
        let least = match self.refresh {
            When::From(then) if Instant::now() >= then => REFRESH_LEFT,
            When::From(_) | When::Never => Duration::ZERO,
        };
        lasts(self.token.expires_at, now, least)
    }
}

/// A duration in its largest unit: "3 minutes".
fn roughly(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}
