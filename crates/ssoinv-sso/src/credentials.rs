//! Credentials for a profile: each kind's, fetched once for all who ask, and renewed before they end.
//!
//! [`CredentialStore::get`] is the whole of station 3 for a task. What a profile stands for, [`crate::profile`] has
//! found out; here its chain is walked: single sign-on through [`crate::token`] and [`crate::portal`], roles through
//! STS, programs and the machine at its foot. The environment's keys stand for a profile only where it says so.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use futures::FutureExt;
use futures::future::BoxFuture;
use ssoinv_core::event::{Event, Notice};
use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::scope::{AccountId, Partition, is_region_name, partition_of_region};
use ssoinv_core::secret::Secret;
use ssoinv_http::classify::invalid_response;
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_http::service_endpoint::ServiceEndpoint;
use ssoinv_profile::{
    AssumeRole, Base, CredentialSource, Machine, Profile, RoleArn, RoleSource, SsoRole, SsoSession,
};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::credential_cache::CredentialCache;
use crate::login::oidc::lasts;
use crate::organizations::{self, Member};
use crate::portal::{Account, Portal};
use crate::services::{ORGANIZATIONS, STS};
use crate::session::{Session, SessionKey, SsoContext, misconfigured};
use crate::sts::Sts;
use crate::token::{InUse, TokenSource};
use crate::{machine, process};

/// Credentials with less than this left are renewed before they are given out.
const RENEW_LEFT: Duration = Duration::from_mins(5);

/// A service that could not be reached, or was overloaded, isn't asked again for the same credentials for this long.
const PAUSE: Duration = Duration::from_mins(1);

/// Keys for AWS's services.
#[derive(Clone, PartialEq, Eq)]
pub struct RoleCredentials {
    /// The access key's ID; not a secret.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: Secret,
    /// STS's session token; keys of a user have none.
    pub session_token: Option<Secret>,
    /// When they end, where they do.
    pub expires_at: Option<SystemTime>,
    /// Whose they are, where the answer that gave them says so.
    pub caller_arn: Option<Arc<str>>,
}

impl RoleCredentials {
    /// As the SDK's clients take them.
    #[must_use]
    pub fn to_sdk(&self) -> Credentials {
        Credentials::new(
            self.access_key_id.as_str(),
            self.secret_access_key.reveal(),
            self.session_token.as_ref().map(|token| token.reveal().to_owned()),
            self.expires_at,
            "ssoinv",
        )
    }
}

impl fmt::Debug for RoleCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleCredentials")
            .field("secret_access_key", &self.secret_access_key)
            .field("session_token", &self.session_token)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Whose credentials a profile's are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account_id: AccountId,
    /// Its partition.
    pub partition: Partition,
    /// Who, where AWS was asked.
    pub arn: Option<Arc<str>>,
    /// The unique ID of who that is, where AWS was asked.
    pub user_id: Option<Arc<str>>,
}

/// The credentials of a run.
#[derive(Debug)]
pub struct CredentialStore {
    context: Arc<SsoContext>,
    sessions: Mutex<BTreeMap<SessionKey, Arc<SignedIn>>>,
    /// One for each portal, whoever signs in there.
    limiters: Mutex<BTreeMap<ServiceEndpoint, Arc<RateLimiter>>>,
    slots: Mutex<BTreeMap<Key, Arc<tokio::sync::Mutex<Slot>>>>,
    sts: Sts,
    /// None where it isn't to be used.
    cache: Option<CredentialCache>,
    told_not_stored: AtomicBool,
}

/// A sign-in, its token and its portal.
#[derive(Debug)]
struct SignedIn {
    session: Arc<Session>,
    tokens: TokenSource,
    portal: Portal,
    accounts: OnceCell<Result<Arc<[Account]>, Failure>>,
    /// Whether the cached token of this name is another session's.
    foreign: OnceCell<bool>,
}

/// What is fetched once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Sso { session: SessionKey, account: AccountId, role: String },
    Role { profile: String, role: String, endpoint: ServiceEndpoint },
    WebIdentity { role: String, file: PathBuf, session: Option<String>, endpoint: ServiceEndpoint },
    Process { command: String },
    Instance,
    Container,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// What fetching came to.
#[derive(Debug, Default)]
enum Slot {
    #[default]
    Empty,
    Good {
        credentials: Arc<RoleCredentials>,
        obtained: Instant,
    },
    Failed {
        failure: Failure,
        /// Until when it stands; for the run where there is no time.
        until: Option<Instant>,
    },
}

impl CredentialStore {
    /// A store that holds nothing yet.
    #[must_use]
    pub fn new(context: Arc<SsoContext>) -> Self {
        let sts = Sts::new(Arc::clone(&context));
        let cache = context.credential_cache.then(|| CredentialCache::new(context.home.as_deref()));
        Self {
            context,
            cache,
            told_not_stored: AtomicBool::new(false),
            sessions: Mutex::default(),
            limiters: Mutex::default(),
            slots: Mutex::default(),
            sts,
        }
    }

    /// The credentials of a profile, good for five minutes at least where they can be had for so long.
    ///
    /// `refused` are those that a service has just called expired: where they are still the present ones, others are
    /// fetched. Whoever calls so in a circle must end it: a service may refuse good credentials. `on_park` hears when
    /// this begins (`true`) and ends (`false`) to wait for a person to sign in.
    ///
    /// # Errors
    /// [`FailureKind::Misconfigured`] for a profile that can't be used, with a code for what is wrong; else what the
    /// portal, STS or the sign-in say.
    pub async fn get(
        &self,
        profile: &Profile,
        refused: Option<&RoleCredentials>,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Arc<RoleCredentials>, Failure> {
        usable(profile)?;
        let fetching = self.of_source(&profile.credentials, profile, refused);
        match profile.credentials.session() {
            Some(session) => self.signed_in(session, Some(profile))?.tokens.parking(on_park, fetching).await,
            None => fetching.await,
        }
    }

    /// Whether the role credentials that a profile rests on need not be asked for, since good ones are in the cache.
    pub async fn has_cached(&self, profile: &Profile) -> bool {
        let Base::Credentials(CredentialSource::Sso(role)) = profile.credentials.chain().1 else {
            return false;
        };
        match self.signed_in(&role.session, Some(profile)) {
            Ok(signed_in) => self.cached(role, &signed_in, None).await.is_some(),
            Err(_) => false,
        }
    }

    /// Whose credentials a profile's are: from the files where they tell, else from GetCallerIdentity.
    ///
    /// # Errors
    /// As [`CredentialStore::get`].
    pub async fn identify(
        &self,
        profile: &Profile,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Identity, Failure> {
        usable(profile)?;
        if let Some(account_id) = profile.account_id {
            let partition = match (&profile.role_arn, &profile.sso_region) {
                (Some(role), _) => Partition::from_name(&role.partition).unwrap_or_default(),
                (None, Some(region)) => partition_of_region(region),
                (None, None) => Partition::default(),
            };
            return Ok(Identity { account_id, partition, arn: None, user_id: None });
        }
        self.caller(profile, on_park).await
    }

    /// Whose credentials a profile's are, as GetCallerIdentity says.
    ///
    /// # Errors
    /// As [`CredentialStore::get`].
    pub async fn caller(
        &self,
        profile: &Profile,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Identity, Failure> {
        let endpoint = self.sts_endpoint(profile, None)?;
        let credentials = self.get(profile, None, &on_park).await?;
        match self.sts.caller(&credentials, &endpoint).await {
            Err(Failure { remedy: Remedy::Renew, .. }) => {
                let renewed = self.get(profile, Some(&credentials), &on_park).await?;
                self.sts.caller(&renewed, &endpoint).await
            }
            answer => answer,
        }
    }

    /// The names of the accounts that a profile's sign-in reaches, asked once for each sign-in. Empty where the profile
    /// rests on none, and, with a [`Notice`], where the portal doesn't say.
    pub async fn account_names(
        &self,
        profile: &Profile,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> BTreeMap<AccountId, Arc<str>> {
        let Some(signed_in) =
            profile.credentials.session().and_then(|session| self.signed_in(session, Some(profile)).ok())
        else {
            return BTreeMap::new();
        };
        match signed_in.accounts(on_park).await {
            Ok(accounts) => {
                accounts.iter().filter_map(|account| Some((account.id, account.name.clone()?))).collect()
            }
            Err(failure) => {
                self.context.events.say(Event::Notice(Notice::AccountNamesUnavailable {
                    session: signed_in.session.label.clone(),
                    failure: Arc::new(failure),
                }));
                BTreeMap::new()
            }
        }
    }

    /// The accounts that a sign-in reaches, in the order of their IDs, each once; asked once for each sign-in.
    ///
    /// # Errors
    /// What the portal or the sign-in say. Half a list is none.
    pub async fn accounts(
        &self,
        session: &Arc<SsoSession>,
        user: Option<&Profile>,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Arc<[Account]>, Failure> {
        self.signed_in(session, user)?.accounts(on_park).await
    }

    /// The roles that a sign-in has in an account, by name.
    ///
    /// # Errors
    /// What the portal or the sign-in say. Half a list is none.
    pub async fn account_roles(
        &self,
        session: &Arc<SsoSession>,
        user: Option<&Profile>,
        account: AccountId,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Vec<String>, Failure> {
        let signed_in = self.signed_in(session, user)?;
        let mut roles = signed_in.tokens.parking(on_park, signed_in.list_roles(account)).await?;
        roles.sort_unstable();
        roles.dedup();
        Ok(roles)
    }

    /// The accounts of the organisation that a profile's account belongs to, page by page.
    ///
    /// # Errors
    /// As [`CredentialStore::get`]; [`FailureKind::Denied`] where the caller may not list them.
    pub async fn organisation(
        &self,
        profile: &Profile,
        partition: Partition,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Vec<Member>, Failure> {
        let region = partition.default_region();
        let endpoint = self.context.service_endpoint(&ORGANIZATIONS, Some(profile), region)?;
        let credentials = self.get(profile, None, &on_park).await?;
        match organizations::members(&credentials, &endpoint, &self.context).await {
            Err(Failure { remedy: Remedy::Renew, .. }) => {
                let renewed = self.get(profile, Some(&credentials), &on_park).await?;
                organizations::members(&renewed, &endpoint, &self.context).await
            }
            answer => answer,
        }
    }

    /// The token of a sign-in, which its profile says where to get.
    pub fn tokens(&self, sso: &Arc<SsoSession>, profile: Option<&Profile>) -> Result<TokenSource, Failure> {
        Ok(self.signed_in(sso, profile)?.tokens.clone())
    }

    /// The portal of a sign-in, which its profile says where to call.
    pub fn portal(&self, sso: &Arc<SsoSession>, profile: Option<&Profile>) -> Result<Portal, Failure> {
        Ok(self.signed_in(sso, profile)?.portal.clone())
    }

    /// The sign-in of a profile, made when it is first asked for.
    fn signed_in(&self, sso: &Arc<SsoSession>, profile: Option<&Profile>) -> Result<Arc<SignedIn>, Failure> {
        let session = Session::new(sso, profile, &self.context)?;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let signed_in = sessions.entry(session.key()).or_insert_with(|| {
            let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
            let limiter = limiters
                .entry(session.portal.clone())
                .or_insert_with(|| Arc::new(RateLimiter::new(self.context.portal_pace)));
            let portal = Portal::new(&session.portal, Arc::clone(limiter), Arc::clone(&self.context));
            let session = Arc::new(session);
            let tokens = TokenSource::new(Arc::clone(&session), portal.clone(), Arc::clone(&self.context));
            Arc::new(SignedIn {
                session,
                tokens,
                portal,
                accounts: OnceCell::new(),
                foreign: OnceCell::new(),
            })
        });
        Ok(Arc::clone(signed_in))
    }

    /// The credentials of a source, which stands for `profile` or below it; the profile says where STS is called.
    fn of_source<'a>(
        &'a self,
        source: &'a CredentialSource,
        profile: &'a Profile,
        refused: Option<&'a RoleCredentials>,
    ) -> BoxFuture<'a, Result<Arc<RoleCredentials>, Failure>> {
        async move {
            match source {
                CredentialSource::Sso(role) => self.of_sso(role, profile, refused).await,
                CredentialSource::AssumeRole(role) => self.of_role(role, profile, refused).await,
                CredentialSource::WebIdentity(identity) => {
                    let endpoint = self.sts_endpoint(profile, Some(&identity.role))?;
                    let key = Key::WebIdentity {
                        role: identity.role.arn.clone(),
                        file: identity.token_file.clone(),
                        session: identity.role_session_name.clone(),
                        endpoint: endpoint.clone(),
                    };
                    self.once(key, refused, self.sts.assume_role_with_web_identity(identity, &endpoint)).await
                }
                CredentialSource::Static(keys) => unrenewable(
                    RoleCredentials {
                        access_key_id: keys.access_key_id.clone(),
                        secret_access_key: keys.secret_access_key.clone(),
                        session_token: keys.session_token.clone(),
                        expires_at: None,
                        caller_arn: None,
                    },
                    refused,
                    &format!("the keys of profile `{}`", profile.name),
                ),
                CredentialSource::Process { command } => {
                    if !self.context.run_processes {
                        let message = format!(
                            "profile `{}` needs its `credential_process`, which is left out",
                            profile.name
                        );
                        return Err(misconfigured("CredentialProcessLeftOut", message));
                    }
                    let key = Key::Process { command: command.reveal().to_owned() };
                    self.once(key, refused, process::run(command, &self.context.env)).await
                }
                CredentialSource::Login { .. } => {
                    let message =
                        format!("profile `{}` uses `aws login`, which is not supported yet", profile.name);
                    Err(misconfigured("LoginNotSupported", message))
                }
                CredentialSource::Machine(machine) => self.of_machine(*machine, refused).await,
                CredentialSource::None | CredentialSource::Unusable => Err(misconfigured(
                    "NoCredentials",
                    format!("profile `{}` has no credentials", profile.name),
                )),
            }
        }
        .boxed()
    }

    async fn of_sso(
        &self,
        role: &SsoRole,
        profile: &Profile,
        refused: Option<&RoleCredentials>,
    ) -> Result<Arc<RoleCredentials>, Failure> {
        let signed_in = self.signed_in(&role.session, Some(profile))?;
        let key = Key::Sso {
            session: signed_in.session.key(),
            account: role.account_id,
            role: role.role_name.clone(),
        };
        let fetch = async {
            if let Some(cached) = self.cached(role, &signed_in, refused).await {
                return Ok(cached);
            }
            let portal = &signed_in.portal;
            let given = signed_in.tokens.with_token(|bearer| async move {
                portal.role_credentials(&*bearer, role.account_id, &role.role_name).await
            });
            let given = given.await?;
            self.keep(role, &given).await;
            Ok(given)
        };
        self.once(key, refused, fetch).await
    }

    /// What is left of the credentials that the AWS CLI or another run has got, where that is enough.
    async fn cached(
        &self,
        role: &SsoRole,
        signed_in: &SignedIn,
        refused: Option<&RoleCredentials>,
    ) -> Option<RoleCredentials> {
        let now = self.context.clock.now();
        let cached = self.cache.as_ref()?.get(role).await?;
        let lasts_enough = cached.expires_at.is_some_and(|end| lasts(end, now, RENEW_LEFT));
        // By their ID: the file's time of their end is rounded.
        let good =
            lasts_enough && refused.is_none_or(|refused| refused.access_key_id != cached.access_key_id);
        // The session's name, which anybody can use, is all that leads to the file.
        (good && !*signed_in.foreign.get_or_init(|| signed_in.tokens.is_foreign()).await).then_some(cached)
    }

    /// Shares credentials with the AWS CLI and the next run.
    async fn keep(&self, role: &SsoRole, given: &RoleCredentials) {
        let Some(cache) = &self.cache else { return };
        if let Err(error) = cache.store(role, given).await
            && !self.told_not_stored.swap(true, Ordering::Relaxed)
        {
            let notice = Notice::CredentialsNotStored { reason: error.to_string() };
            self.context.events.say(Event::Notice(notice));
        }
    }

    async fn of_role(
        &self,
        role: &AssumeRole,
        profile: &Profile,
        refused: Option<&RoleCredentials>,
    ) -> Result<Arc<RoleCredentials>, Failure> {
        if role.mfa_serial.is_some() {
            let message = format!("profile `{}` needs an MFA code, and ssoinv asks for none", role.profile);
            return Err(misconfigured("MfaRequired", message));
        }
        let endpoint = self.sts_endpoint(profile, Some(&role.role))?;
        let key = Key::Role {
            profile: role.profile.clone(),
            role: role.role.arn.clone(),
            endpoint: endpoint.clone(),
        };
        let fetch = async {
            let source = self.of_role_source(&role.source, profile, None).await?;
            match self.sts.assume_role(role, &source, &endpoint).await {
                Err(Failure { remedy: Remedy::Renew, .. }) => {
                    let source = self.of_role_source(&role.source, profile, Some(&source)).await?;
                    self.sts.assume_role(role, &source, &endpoint).await
                }
                answer => answer,
            }
        };
        self.once(key, refused, fetch).await
    }

    async fn of_role_source(
        &self,
        source: &RoleSource,
        profile: &Profile,
        refused: Option<&RoleCredentials>,
    ) -> Result<Arc<RoleCredentials>, Failure> {
        match source {
            RoleSource::Profile { credentials, .. } => self.of_source(credentials, profile, refused).await,
            RoleSource::Machine(machine) => self.of_machine(*machine, refused).await,
        }
    }

    async fn of_machine(
        &self,
        machine: Machine,
        refused: Option<&RoleCredentials>,
    ) -> Result<Arc<RoleCredentials>, Failure> {
        match machine {
            Machine::Environment => unrenewable(
                machine::from_environment(&self.context.env)?,
                refused,
                "the keys in the environment",
            ),
            Machine::Ec2InstanceMetadata => {
                self.once(Key::Instance, refused, machine::of_instance(&self.context)).await
            }
            Machine::EcsContainer => {
                self.once(Key::Container, refused, machine::of_container(&self.context)).await
            }
        }
    }

    /// Fetches what isn't there, or isn't good for long, or was refused; one at a time for each key.
    async fn once(
        &self,
        key: Key,
        refused: Option<&RoleCredentials>,
        fetch: impl Future<Output = Result<RoleCredentials, Failure>>,
    ) -> Result<Arc<RoleCredentials>, Failure> {
        let asked = Instant::now();
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key).or_default())
        };
        let mut slot = slot.lock().await;
        match &*slot {
            Slot::Good { credentials, obtained }
                if refused.is_none_or(|refused| *refused != **credentials) =>
            {
                // Fetched for another while this one waited: as long as AWS gives them for.
                let least = if *obtained >= asked { Duration::ZERO } else { RENEW_LEFT };
                let now = self.context.clock.now();
                if credentials.expires_at.is_none_or(|end| lasts(end, now, least)) {
                    return Ok(Arc::clone(credentials));
                }
            }
            Slot::Failed { failure, until } if until.is_none_or(|until| Instant::now() < until) => {
                return Err(failure.clone());
            }
            _ => {}
        }
        match fetch.await {
            Ok(credentials) => {
                let credentials = Arc::new(credentials);
                *slot = Slot::Good { credentials: Arc::clone(&credentials), obtained: Instant::now() };
                Ok(credentials)
            }
            Err(mut failure) => {
                let passes = matches!(failure.remedy, Remedy::TryAgain | Remedy::SlowDown { .. });
                // What was to be done about it has been done here: nothing is left for the caller to renew.
                if failure.remedy == Remedy::Renew {
                    failure.remedy = Remedy::None;
                }
                // The token's own source knows how long a sign-in is gone.
                if failure.kind != FailureKind::SignInExpired {
                    let until = passes.then(|| Instant::now() + PAUSE);
                    *slot = Slot::Failed { failure: failure.clone(), until };
                }
                Err(failure)
            }
        }
    }

    /// Where STS is called for a profile: in its region, where that is in the role's partition, else in the region that
    /// every account of the partition has.
    fn sts_endpoint(&self, profile: &Profile, role: Option<&RoleArn>) -> Result<ServiceEndpoint, Failure> {
        let partition = role.and_then(|role| Partition::from_name(&role.partition));
        let variables =
            ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().filter_map(|name| self.context.env.get(name));
        let region = variables.chain(&profile.region).find(|region| {
            is_region_name(region)
                && partition.is_none_or(|partition| partition_of_region(region) == partition)
        });
        let region = region.map_or(partition.unwrap_or_default().default_region(), String::as_str);
        self.context.service_endpoint(&STS, Some(profile), region)
    }
}

impl SignedIn {
    async fn accounts(&self, on_park: impl Fn(bool) + Send + Sync) -> Result<Arc<[Account]>, Failure> {
        let listing = self.accounts.get_or_init(|| async {
            let mut accounts = self.list().await?;
            accounts.sort_by_key(|account| account.id);
            accounts.dedup_by_key(|account| account.id);
            Ok(accounts.into())
        });
        self.tokens.parking(on_park, listing).await.clone()
    }

    /// All accounts, page by page.
    async fn list(&self) -> Result<Vec<Account>, Failure> {
        pages(|next| {
            let page = move |bearer: Arc<InUse>| {
                let next = next.clone();
                async move { self.portal.accounts(&*bearer, next.as_deref()).await }
            };
            self.tokens.with_token(page).boxed()
        })
        .await
    }

    /// All roles of an account, page by page.
    async fn list_roles(&self, account: AccountId) -> Result<Vec<String>, Failure> {
        pages(|next| {
            let page = move |bearer: Arc<InUse>| {
                let next = next.clone();
                async move { self.portal.account_roles(&*bearer, account, next.as_deref()).await }
            };
            self.tokens.with_token(page).boxed()
        })
        .await
    }
}

/// One page, and the token of the next.
type Page<T> = Result<(Vec<T>, Option<String>), Failure>;

/// Everything that is on the pages which `page` gets: the first for no token, each further one for the last one's.
async fn pages<'a, T>(
    mut page: impl FnMut(Option<String>) -> BoxFuture<'a, Page<T>>,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    let mut next = None;
    loop {
        let (items, following) = page(next).await?;
        all.extend(items);
        let Some(following) = following else { return Ok(all) };
        if !seen.insert(following.clone()) {
            return Err(invalid_response("the list's pages go in a circle"));
        }
        next = Some(following);
    }
}

/// Keys that nothing renews.
fn unrenewable(
    credentials: RoleCredentials,
    refused: Option<&RoleCredentials>,
    whose: &str,
) -> Result<Arc<RoleCredentials>, Failure> {
    if refused == Some(&credentials) {
        return Err(misconfigured("ExpiredKeys", format!("{whose} have expired, and nothing renews them")));
    }
    Ok(Arc::new(credentials))
}

/// A profile that one of its problems makes useless says so.
fn usable(profile: &Profile) -> Result<(), Failure> {
    match profile.blocker(false) {
        Some(problem) => Err(misconfigured(&format!("{:?}", problem.kind), problem.message.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ssoinv_http::classify::INVALID_RESPONSE;
    use ssoinv_http::sdk_settings::Timeouts;
    use ssoinv_http::test_util::{canned, clock};

    use super::*;
    use crate::testing::{context, session};
    use crate::token_cache::{CachedToken, TokenCache};

    /// Its first page would be taken for the whole list.
    #[tokio::test]
    async fn a_list_of_accounts_that_goes_in_a_circle_is_none() {
        let home = tempfile::tempdir().expect("a folder");
        let (sso, cache) = (session().sso, TokenCache::new(Some(home.path())));
        let token = CachedToken {
            access_token: Secret::new("token"),
            expires_at: clock().now() + Duration::from_hours(1),
            refresh_token: None,
            client: None,
        };
        let lock = cache.lock(&sso).await.expect("a lock");
        cache.store_token(&sso, &token, &lock).await.expect("written");

        let body = r#"{"accountList":[{"accountId":"111122223333"}],"nextToken":"again"}"#;
        let context = context(canned((200, &[], body.to_owned())), Timeouts::default());
        let context = SsoContext { home: Some(home.path().to_owned()), ..(*context).clone() };
        let store = CredentialStore::new(Arc::new(context));
        let signed_in = store.signed_in(&sso, None).expect("an endpoint");
        let failure = signed_in.list().await.expect_err("not the whole list");
        assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{failure:?}");
    }
}
