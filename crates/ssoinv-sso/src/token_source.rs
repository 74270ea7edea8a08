//! The access token of a sign-in: found in the cache, refreshed, or signed in for; once for all who wait.
//!
//! [`TokenSource::with_token`] makes a portal call with it. If the portal responds 401, the call's token is checked
//! in this order. Does the file hold a newer one? Does the portal accept the token after all (it has refused good
//! tokens under load)? Can it be refreshed? Else a person signs in, if one can be asked. Calls that come meanwhile
//! wait for the same outcome. Every token has a number, so that a late 401 for an old token doesn't end the new one.
//! A call in the portal's queue takes the token of the moment at which its turn comes ([`CurrentToken`]).
//!
//! A refresh token serves once. So processes refresh one after the other, under the lock of the token's file, and
//! each reads the file again first. While a person is asked, the file is read, too: the sign-in may happen elsewhere.
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

use crate::cache_file::FileLock;
use crate::context::{Interaction, SsoContext};
use crate::login::oidc::{Oidc, RefreshOutcome};
use crate::login::sign_in;
use crate::portal::{Bearer, Portal};
use crate::session::Session;
use crate::times::lasts;
use crate::token_cache::{CacheError, CachedToken, ClientRegistration, TokenCache, TokenLookup};

/// The remaining life below which a token is refreshed, as in botocore.
const REFRESH_LEFT: Duration = Duration::from_mins(15);

/// The time for which a valid token isn't refreshed again after a failed refresh, as in botocore.
///
/// For the same time a service that could not be reached isn't called again.
const PAUSE: Duration = Duration::from_mins(1);

/// The pause between two reads of the token's file while a person is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The number of times that one call may be refused though the portal accepts its token.
///
/// After that, the call itself is refused. As many new tokens in a row may be refused.
const MOST_RENEWALS: u32 = 3;

/// The number of tokens that may expire under one call while other calls succeed.
const MOST_ENDED: u32 = 8;

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The bearer token.
    pub secret: Secret,
    /// The time at which the token expires.
    pub expires_at: SystemTime,
    /// True if the token can be refreshed.
    pub refreshes: bool,
    /// The token's number within its source: a newer token has a higher one.
    pub generation: u64,
}

/// The token of a call in the queue. When the call's turn comes, the newest token counts.
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

/// The source of one session's tokens.
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
    /// True if a sign-in waits for a person.
    signing_in: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    current: Option<LiveToken>,
    /// The last number given to a token.
    generation: u64,
    /// The renewal under way. It is a task of its own, since callers that wait for it may be dropped.
    flight: Option<Flight>,
    /// The reason for which no token can be had, and until when it stands.
    ///
    /// Without a time, it stands for the rest of the run.
    gave_up: Option<(Failure, Option<Instant>)>,
    notices_sent: SentNotices,
    /// New tokens since the portal last accepted one.
    unproven: u32,
    /// True if a person has signed in since then.
    signed_in: bool,
}

impl State {
    /// Returns the reason for which no token can be had, as long as it stands.
    fn given_up(&self) -> Option<&Failure> {
        let (failure, until) = self.gave_up.as_ref()?;
        until.is_none_or(|until| Instant::now() < until).then_some(failure)
    }
}

/// Notices that are sent once.
#[derive(Default)]
struct SentNotices {
    foreign: bool,
    not_stored: bool,
}

type Flight = Shared<BoxFuture<'static, Result<Arc<AccessToken>, Failure>>>;

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// The present token.
struct LiveToken {
    token: Arc<AccessToken>,
    cached: CachedToken,
    /// The time from which it should be refreshed.
    refresh: RefreshTime,
}

/// The time from which a token should be refreshed. Until then it is good while it lasts.
#[derive(Clone, Copy)]
enum RefreshTime {
    /// From this moment on, if it has less than fifteen minutes left: at most one try a minute, as in botocore.
    From(Instant),
    /// The token can't be refreshed.
    Never,
}

impl RefreshTime {
    fn in_a_minute() -> Self {
        Self::From(Instant::now() + PAUSE)
    }
}

/// The next step with the tokens that there are.
enum TokenChoice {
    /// Use this one.
    Use(CachedToken, RefreshTime),
    /// Refresh this one; `good` if it still lasts.
    Refresh { base: CachedToken, good: bool },
    /// Sign in. This token was there.
    SignIn(Option<CachedToken>),
}

/// The outcome of a renewal.
enum Renewal {
    /// Another token, or the same one read again.
    Token(CachedToken, RefreshTime),
    /// The portal accepts the token that it had refused.
    Confirmed,
}

impl TokenSource {
    /// Creates the source of a session's tokens. Reads nothing and makes no call yet.
    #[must_use]
    pub fn new(session: Arc<Session>, portal: Portal, context: Arc<SsoContext>) -> Self {
        let oidc = Oidc::new(&session, Arc::clone(&context));
        let cache = TokenCache::new(context.home.as_deref());
        let (signing_in, _) = watch::channel(false);
        Self(Arc::new(Inner { session, portal, oidc, cache, context, state: Mutex::default(), signing_in }))
    }

    /// Makes a call with the token, again with another one if the token turns out to have expired.
    ///
    /// `call` gets the bearer; a failure with [`Remedy::Renew`] says that the token was refused.
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
            // Either no token lives for long, or the token isn't the reason.
            if confirmed > MOST_RENEWALS || ended > MOST_ENDED {
                break;
            }
            let bearer = Arc::new(CurrentToken { source: Arc::clone(&self.0), token: Mutex::new(token) });
            match call(Arc::clone(&bearer)).await {
                // The call waited in the queue for so long that another token is on its way. No request was sent.
                Err(Failure { kind: FailureKind::NotTried, remedy: Remedy::Renew, .. }) => {}
                Err(Failure { remedy: Remedy::Renew, .. }) => refused = Some(Arc::clone(&bearer.held())),
                Err(failure) => return Err(failure),
                Ok(response) => {
                    let mut state = self.0.state();
                    (state.unproven, state.signed_in) = (0, false);
                    return Ok(response);
                }
            }
        }
        let message = format!(
            "the portal refuses this call again and again, but takes the token of {}",
            self.describe()
        );
        Err(Failure::new(FailureKind::Failed, message).with_code("UnauthorizedException"))
    }

    /// Returns the token; another one if `refused` is the number of the present one.
    ///
    /// # Errors
    /// [`FailureKind::SignInExpired`] if there is no token and no person to sign in; otherwise the failure of the
    /// sign-in service.
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
            state.flight.get_or_insert_with(|| Arc::clone(&self.0).start_renewal(refused)).clone()
        };
        flight.await
    }

    /// Asks a person to sign in, whatever token there is.
    ///
    /// # Errors
    /// As [`TokenSource::get`], whether a person can be asked or not.
    pub async fn sign_in(&self) -> Result<Arc<AccessToken>, Failure> {
        let inner = &self.0;
        let token = sign_in(&inner.session, &inner.oidc, &inner.cache, &inner.context).await?;
        inner.signed_in(&token).await;
        inner.finish_renewal(Ok(Renewal::Token(token, RefreshTime::in_a_minute())))
    }

    /// Returns whether the cached token of this session's name belongs to another session.
    pub(crate) async fn is_foreign(&self) -> bool {
        self.0.read_cached().await;
        self.0.state().notices_sent.foreign
    }

    /// Runs `work`, and reports when a sign-in makes it wait for a person.
    ///
    /// That is `on_park(true)` at the beginning of the wait, and `on_park(false)` at its end.
    pub async fn parking<T>(&self, on_park: impl Fn(bool), work: impl Future<Output = T>) -> T {
        let mut signing_in = self.0.signing_in.subscribe();
        let mut work = pin!(work);
        let mut parked = false;
        let done = loop {
            tokio::select! {
                // Work that needn't wait isn't parked.
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

    fn describe(&self) -> String {
        self.0.session.describe()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves the state consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, said: SignIn) {
        self.context.events.emit(Event::SignIn(said));
    }

    /// Starts a renewal. The caller holds the state's lock, so that the renewal's end finds its flight there.
    fn start_renewal(self: Arc<Self>, refused: Option<u64>) -> Flight {
        let inner = Arc::clone(&self);
        let task = tokio::spawn(async move {
            let outcome = inner.renew(refused).await;
            inner.finish_renewal(outcome)
        });
        async move {
            task.await.unwrap_or_else(|error| {
                let failure = Failure::new(FailureKind::Failed, format!("the sign-in stopped: {error}"));
                self.finish_renewal(Err(failure))
            })
        }
        .boxed()
        .shared()
    }

    /// Ends a renewal: stores its outcome for all who wait and those who come.
    fn finish_renewal(&self, outcome: Result<Renewal, Failure>) -> Result<Arc<AccessToken>, Failure> {
        let mut state = self.state();
        state.flight = None;
        let (cached, refresh) = match outcome {
            Ok(Renewal::Token(cached, refresh)) => (cached, refresh),
            Ok(Renewal::Confirmed) => match state.current.take() {
                Some(held) => (held.cached, held.refresh),
                None => return Err(Failure::new(FailureKind::Failed, "the token was lost")),
            },
            Err(failure) => {
                // What only a person can cure stands for the run. A service may come back, and is left alone until
                // then, unless there is a token that may still be good.
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
        state.current = Some(LiveToken { token: Arc::clone(&token), cached, refresh });
        Ok(token)
    }

    /// Finds a token: in the file, by the portal's confirmation, by a refresh, or by a sign-in.
    async fn renew(&self, refused: Option<u64>) -> Result<Renewal, Failure> {
        let held = self.state().current.as_ref().map(|held| (held.token.generation, held.cached.clone()));
        let refused =
            held.as_ref().filter(|(generation, _)| Some(*generation) == refused).map(|(_, token)| token);
        let held = held.as_ref().map(|(_, token)| token);
        // The file goes first: another process may have signed in or refreshed.
        let stored = self.read_cached().await;
        if let Some(refused) = refused
            && !stored.as_ref().is_some_and(|stored| self.lives(stored, Some(refused)))
            && self.portal.accepts(&refused.access_token).await?
        {
            return Ok(Renewal::Confirmed);
        }
        match self.choose(stored.as_ref(), held, refused) {
            TokenChoice::Use(token, refresh) => Ok(Renewal::Token(token, refresh)),
            TokenChoice::Refresh { .. } => self.refresh(held, refused).await,
            TokenChoice::SignIn(ended) => self.sign_in(ended.as_ref(), refused).await,
        }
    }

    /// Decides on the next step with the tokens that there are.
    fn choose(
        &self,
        stored: Option<&CachedToken>,
        held: Option<&CachedToken>,
        refused: Option<&CachedToken>,
    ) -> TokenChoice {
        let now = self.context.clock.now();
        // If the file can't be written, the token in memory is newer, and its refresh token is the valid one.
        let newest =
            stored.into_iter().chain(held).max_by_key(|token| (token.expires_at, !is_same(token, refused)));
        let fresh = stored.filter(|token| refused.is_some() && self.lives(token, refused));
        let Some(base) = fresh.or(newest) else { return TokenChoice::SignIn(None) };
        let good = self.lives(base, refused);
        if good && lasts(base.expires_at, now, REFRESH_LEFT) {
            return TokenChoice::Use(base.clone(), RefreshTime::in_a_minute());
        }
        match (self.refreshes(base), good) {
            (true, _) => TokenChoice::Refresh { base: base.clone(), good },
            (false, true) => TokenChoice::Use(base.clone(), RefreshTime::Never),
            (false, false) => TokenChoice::SignIn(Some(base.clone())),
        }
    }

    /// Returns whether a token can be refreshed. The legacy format has no scope for that.
    fn refreshes(&self, token: &CachedToken) -> bool {
        let now = self.context.clock.now();
        let registered = |client: &ClientRegistration| lasts(client.expires_at, now, Duration::ZERO);
        self.context.refresh_tokens
            && token.refresh_token.is_some()
            && token.client.as_ref().is_some_and(registered)
            && !self.session.sso.is_legacy()
    }

    /// Returns whether a token is good, as far as is known.
    fn lives(&self, token: &CachedToken, refused: Option<&CachedToken>) -> bool {
        lasts(token.expires_at, self.context.clock.now(), Duration::ZERO) && !is_same(token, refused)
    }

    /// Reads the token in the shared cache.
    async fn read_cached(&self) -> Option<CachedToken> {
        match self.cache.token(&self.session.sso).await {
            TokenLookup::Token(token) => Some(token),
            TokenLookup::Foreign(reason) => {
                let first = !std::mem::replace(&mut self.state().notices_sent.foreign, true);
                if first {
                    let session = self.session.label.clone();
                    self.context.events.emit(Event::Notice(Notice::ForeignToken { session, reason }));
                }
                None
            }
            TokenLookup::None => None,
        }
    }

    /// Refreshes the token, unless another process has done so by the time that the lock is had.
    async fn refresh(
        &self,
        held: Option<&CachedToken>,
        refused: Option<&CachedToken>,
    ) -> Result<Renewal, Failure> {
        let lock = self.cache.lock(&self.session.sso).await;
        let (base, good) = match self.choose(self.read_cached().await.as_ref(), held, refused) {
            TokenChoice::Use(token, refresh) => return Ok(Renewal::Token(token, refresh)),
            TokenChoice::Refresh { base, good } => (base, good),
            TokenChoice::SignIn(ended) => {
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
        // One try is enough for a token that is good for some more minutes: no call should have to wait for it.
        let policy = if good {
            RetryPolicy { max_attempts: 1, throttle_budget: Duration::ZERO }
        } else {
            self.context.retry
        };
        match self.oidc.refresh(client, refresh_token, policy).await {
            Ok(RefreshOutcome::Token(token)) => {
                self.keep(&token, lock).await;
                self.say(SignIn::Refreshed { session: self.session.label.clone() });
                Ok(Renewal::Token(token, RefreshTime::in_a_minute()))
            }
            Ok(RefreshOutcome::Ended) => {
                drop(lock);
                // A tool that takes no lock may have used the same refresh token.
                let other = self.read_cached().await.filter(|token| token.access_token != base.access_token);
                match self.choose(other.as_ref(), None, refused) {
                    TokenChoice::Use(token, refresh) => Ok(Renewal::Token(token, refresh)),
                    _ if good => Ok(Renewal::Token(base, RefreshTime::Never)),
                    _ => self.sign_in(Some(&base), refused).await,
                }
            }
            Err(_) if good => Ok(Renewal::Token(base, RefreshTime::in_a_minute())),
            Err(failure) => {
                let message = format!(
                    "the sign-in to {} could not be refreshed: {}",
                    self.session.describe(),
                    failure.message
                );
                Err(Failure { message, ..failure })
            }
        }
    }

    /// Asks a person to sign in, if one can be asked. `ended` is the token that was there.
    async fn sign_in(
        &self,
        ended: Option<&CachedToken>,
        refused: Option<&CachedToken>,
    ) -> Result<Renewal, Failure> {
        if self.context.interaction == Interaction::None {
            return Err(self.sign_in_needed(ended));
        }
        if self.state().signed_in {
            return Err(self.new_tokens_refused());
        }
        let useless: Vec<&Secret> =
            ended.into_iter().chain(refused).map(|token| &token.access_token).collect();
        let _parked = ParkGuard::new(&self.signing_in);
        let token = tokio::select! {
            signed_in = sign_in(&self.session, &self.oidc, &self.cache, &self.context) => signed_in?,
            token = self.wait_for_another_token(&useless) => {
                self.say(SignIn::DoneElsewhere { session: self.session.label.clone() });
                return Ok(Renewal::Token(token, RefreshTime::in_a_minute()));
            }
        };
        self.state().signed_in = true;
        self.signed_in(&token).await;
        Ok(Renewal::Token(token, RefreshTime::in_a_minute()))
    }

    /// Stores and reports the token of a sign-in.
    async fn signed_in(&self, token: &CachedToken) {
        self.keep(token, self.cache.lock(&self.session.sso).await).await;
        self.say(SignIn::Done { session: self.session.label.clone() });
    }

    /// Waits until the file holds a token other than these.
    async fn wait_for_another_token(&self, useless: &[&Secret]) -> CachedToken {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let token = self.read_cached().await.filter(|token| !useless.contains(&&token.access_token));
            if let Some(token) = token
                && lasts(token.expires_at, self.context.clock.now(), Duration::ZERO)
            {
                return token;
            }
        }
    }

    /// Returns the failure of a session that has no token and can't get one without a person.
    fn sign_in_needed(&self, ended: Option<&CachedToken>) -> Failure {
        let session = self.session.describe();
        let (code, message) = match ended {
            None => ("NotSignedIn", format!("not signed in to {session}")),
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

    /// Returns the failure of a portal that refuses new tokens: asking for more would not help.
    fn new_tokens_refused(&self) -> Failure {
        let message = format!("the portal refuses the new sign-in to {} as well", self.session.describe());
        Failure::new(FailureKind::SignInExpired, message).with_code("NewSignInRefused")
    }

    /// Writes a new token to the shared cache at once, so that all tools have it. Without the lock it isn't written.
    async fn keep(&self, token: &CachedToken, lock: Result<FileLock, CacheError>) {
        self.state().unproven += 1;
        let stored = match lock {
            Ok(lock) => self.cache.store_token(&self.session.sso, token, &lock).await,
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            let first = !std::mem::replace(&mut self.state().notices_sent.not_stored, true);
            if first {
                let notice =
                    Notice::TokenNotStored { session: self.session.label.clone(), reason: error.to_string() };
                self.context.events.emit(Event::Notice(notice));
            }
        }
    }
}

/// Reports that a person is asked, until it is dropped: the flow may end at any moment.
struct ParkGuard<'a>(&'a watch::Sender<bool>);

impl<'a> ParkGuard<'a> {
    fn new(signing_in: &'a watch::Sender<bool>) -> Self {
        signing_in.send_replace(true);
        Self(signing_in)
    }
}

impl Drop for ParkGuard<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

fn is_same(token: &CachedToken, other: Option<&CachedToken>) -> bool {
    other.is_some_and(|other| other.access_token == token.access_token)
}

impl LiveToken {
    fn lasts(&self, now: SystemTime) -> bool {
        lasts(self.token.expires_at, now, Duration::ZERO)
    }

    /// Returns whether the token can be used as it is.
    fn is_good(&self, now: SystemTime) -> bool {
        let least = match self.refresh {
            RefreshTime::From(then) if Instant::now() >= then => REFRESH_LEFT,
            RefreshTime::From(_) | RefreshTime::Never => Duration::ZERO,
        };
        lasts(self.token.expires_at, now, least)
    }
}

/// Formats a duration in its largest unit: "3 minutes".
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
