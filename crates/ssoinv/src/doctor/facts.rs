//! Gathers what the steps judge: the files as they are read, the tokens' files, and what the portals, STS and EC2 say.
//!
//! Nothing is changed: no token is refreshed, nobody is asked to sign in, and no file is written. A token is sent only
//! where it belongs: to the portal of the session that its file is of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::stream::{self, StreamExt};
use ssoinv_aws::regions;
use ssoinv_core::event::Events;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::{AccountId, Partition};
use ssoinv_profile::{CredentialSource, Profile, Profiles, SsoRole};
use ssoinv_sso::context::SsoContext;
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::foreign_endpoints::{self, ForeignEndpoint};
use ssoinv_sso::portal::Probe;
use ssoinv_sso::role_credentials::RoleCredentials;
use ssoinv_sso::token_cache::{StoredToken, TokenCache, TokenFile};
use tokio::sync::OnceCell;

use crate::app::App;
use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::sessions::{self, KnownSession};
use crate::settings::{ConnectionSettings, SignInPolicy};

/// How much is asked at once.
pub(crate) const AT_ONCE: usize = 16;

/// Everything that the steps know.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) profiles: Profiles,
    /// The profiles that it is about, in the files' order.
    pub(crate) chosen: Vec<Arc<Profile>>,
    /// Whether they were named: then nothing is told that concerns none of them.
    pub(crate) named: bool,
    /// The variable that names a profile, and its value.
    pub(crate) variable: Option<(&'static str, String)>,
    /// The region for profiles without one, and the variable that names it.
    pub(crate) region: Option<(&'static str, String)>,
    /// This machine's time.
    pub(crate) now: SystemTime,
    /// The sign-ins that the profiles use.
    pub(crate) sessions: Vec<SessionFacts>,
    /// Endpoints for tokens that aren't AWS's.
    pub(crate) foreign: Vec<ForeignEndpoint>,
    /// Of each chosen profile.
    pub(crate) access: Vec<Access>,
}

/// A sign-in, its token, and what its portal says.
#[derive(Debug)]
pub(crate) struct SessionFacts {
    pub(crate) known: KnownSession,
    pub(crate) file: TokenFile,
    pub(crate) portal: Result<PortalResponse, SkipReason>,
}

/// What a portal says.
#[derive(Debug)]
pub(crate) struct PortalResponse {
    /// Whether it was shown the token.
    pub(crate) with_token: bool,
    pub(crate) probe: Probe,
}

impl SessionFacts {
    /// The token, where there is a whole one of this very session, expired or not.
    pub(crate) fn token(&self) -> Option<&StoredToken> {
        own_token(&self.file)
    }

    /// The token, where the portal takes it.
    fn accepted(&self) -> Result<(), SkipReason> {
        match &self.portal {
            Err(reason) => Err(reason.clone()),
            Ok(PortalResponse { probe: Probe { accepts: Err(failure), .. }, .. }) => {
                Err(SkipReason::NoPortal(failure.message.clone()))
            }
            Ok(PortalResponse { with_token: false, .. }) => Err(SkipReason::NoToken),
            Ok(PortalResponse { probe: Probe { accepts: Ok(false), .. }, .. }) => {
                Err(SkipReason::InvalidValue)
            }
            Ok(_) => Ok(()),
        }
    }
}

fn own_token(file: &TokenFile) -> Option<&StoredToken> {
    match file {
        TokenFile::Token { stored, difference: None, .. } => Some(stored),
        _ => None,
    }
}

/// Why something was not asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SkipReason {
    /// `--offline`.
    Offline,
    /// There is no token, or it has ended.
    NoToken,
    /// The portal doesn't take the token.
    InvalidValue,
    /// The portal could not be asked, and why.
    NoPortal(String),
    /// The endpoint is one that nothing secret goes to.
    Misplaced(String),
    /// A problem of the files stands in the way.
    Files,
    /// It was left out, or isn't supported.
    Other(String),
}

impl SkipReason {
    /// In words.
    pub(crate) fn describe(&self) -> &str {
        match self {
            Self::Offline => "`--offline` was said",
            Self::NoToken => "there is no token that is good",
            Self::InvalidValue => "the portal refuses the token",
            Self::NoPortal(_) => "the portal does not answer",
            Self::Files => "a problem in the files stands in the way",
            Self::Misplaced(_) => "nothing secret goes to the portal's endpoint",
            Self::Other(why) => why,
        }
    }
}

/// Whether a profile's account and role can be reached, and its region.
#[derive(Debug)]
pub(crate) struct Access {
    /// The account, or why it can't be reached.
    pub(crate) account: Result<Result<AccountId, AccessFailure>, SkipReason>,
    /// Whether the profile's region is enabled there; nothing where it has none.
    pub(crate) region: Option<Result<Result<bool, Failure>, SkipReason>>,
}

/// An account that can't be reached.
#[derive(Debug)]
pub(crate) struct AccessFailure {
    pub(crate) failure: Failure,
    /// The roles that the portal lists for the account, where it was asked and said.
    pub(crate) roles: Option<Vec<String>>,
}

/// What is to be looked at.
pub(crate) struct DoctorScope {
    /// The chosen profiles' places.
    pub(crate) places: Vec<usize>,
    /// Whether they were named.
    pub(crate) named: bool,
    pub(crate) offline: bool,
}

/// Gathers everything.
pub(crate) async fn gather(
    profiles: Profiles,
    scope: &DoctorScope,
    settings: &ConnectionSettings,
    app: &App,
) -> Result<Facts, CommandError> {
    let all: Vec<&Profile> = profiles.iter().collect();
    let chosen: Vec<Arc<Profile>> = scope.places.iter().map(|&place| Arc::new(all[place].clone())).collect();
    let variable = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| Some((name, app.environment.get(name)?.to_owned())))
    };
    let region = variable(["AWS_REGION", "AWS_DEFAULT_REGION"]);
    let connection = if scope.offline {
        None
    } else {
        Some(Connection::open(settings, SignInPolicy::NEVER, &chosen, app, Events::new(|_| ()))?)
    };
    let cache = TokenCache::new(app.environment.home.as_deref());
    let store = connection.as_ref().map(|connection| &*connection.credentials);
    let now = app.clock.now();
    let known = used(&profiles, &chosen, scope.named);
    let sessions: Vec<SessionFacts> = stream::iter(known)
        .map(async |known| look_at(known, &cache, store, now).await)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let probe = connection.as_ref().map(|connection| AccessProbe {
        sessions: &sessions,
        store: &connection.credentials,
        context: &connection.context,
        fallback: region.as_ref().map(|(_, region)| region.as_str()),
        enabled: accounts(&chosen),
        now,
    });
    let access = stream::iter(&chosen)
        .map(async |profile| match &probe {
            Some(probe) => probe.access(profile).await,
            None => Access {
                account: Err(SkipReason::Offline),
                region: own_region(profile, region.as_ref().map(|(_, region)| region.as_str()))
                    .map(|_| Err(SkipReason::Offline)),
            },
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let foreign = if app.demo {
        Vec::new()
    } else {
        foreign_endpoints::foreign_endpoints(chosen.iter().map(|profile| &**profile), &app.environment.vars)
    };
    Ok(Facts {
        named: scope.named,
        variable: variable(["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]),
        region,
        now,
        sessions,
        foreign,
        access,
        chosen,
        profiles,
    })
}

/// The sign-ins that the profiles use; all where there is no profile yet.
fn used(profiles: &Profiles, chosen: &[Arc<Profile>], named: bool) -> Vec<KnownSession> {
    let uses = |profile: &Profile, known: &KnownSession| {
        let session = profile.credentials.session();
        session.is_some_and(|session| session.cache_key() == known.label())
            || known.sso.name.is_some() && profile.sso_session == known.sso.name
    };
    let mut known = sessions::all(profiles);
    if named || profiles.iter().len() > 0 {
        known.retain(|known| chosen.iter().any(|profile| uses(profile, known)));
    }
    for known in &mut known {
        // A profile that isn't looked at has no say in where this is called.
        known.profile = chosen.iter().find(|profile| uses(profile, known)).cloned();
    }
    known
}

/// Looks at a token and, unless that is offline, asks its portal.
async fn look_at(
    known: KnownSession,
    cache: &TokenCache,
    store: Option<&CredentialStore>,
    now: SystemTime,
) -> SessionFacts {
    let file = cache.examine(&known.sso).await;
    let portal = match store.map(|store| store.portal(&known.sso, known.profile.as_deref())) {
        None => Err(SkipReason::Offline),
        Some(Err(failure)) => Err(SkipReason::Misplaced(failure.message)),
        Some(Ok(portal)) => {
            let token = own_token(&file).map(|stored| &stored.token);
            let good = token.filter(|token| token.expires_at > now);
            let probe = portal.probe(good.map(|token| &token.access_token)).await;
            // Where this machine's clock is ahead, the token may be good all the same.
            let really_good = token.filter(|token| {
                good.is_none() && aws_time(now, probe.clock_ahead).is_some_and(|time| token.expires_at > time)
            });
            match really_good {
                Some(token) => {
                    let probe = portal.probe(Some(&token.access_token)).await;
                    Ok(PortalResponse { with_token: true, probe })
                }
                None => Ok(PortalResponse { with_token: good.is_some(), probe }),
            }
        }
    };
    SessionFacts { known, file, portal }
}

/// AWS's time, by how far this machine's is ahead of it.
fn aws_time(now: SystemTime, ahead: Option<i64>) -> Option<SystemTime> {
    let ahead = ahead?;
    let distance = Duration::from_secs(ahead.unsigned_abs());
    if ahead < 0 { now.checked_add(distance) } else { now.checked_sub(distance) }
}

/// The region that a profile works in, where there is one.
pub(crate) fn own_region<'a>(profile: &'a Profile, fallback: Option<&'a str>) -> Option<&'a str> {
    profile.region.as_deref().or(fallback)
}

/// What `DescribeRegions` says of an account, asked once.
type Enabled = OnceCell<Result<BTreeSet<String>, Failure>>;

/// A place for the answer of each account that the files name.
fn accounts(profiles: &[Arc<Profile>]) -> BTreeMap<AccountId, Enabled> {
    profiles.iter().filter_map(|profile| Some((profile.account_id?, OnceCell::new()))).collect()
}

/// Asks for the profiles.
struct AccessProbe<'a> {
    sessions: &'a [SessionFacts],
    store: &'a CredentialStore,
    context: &'a Arc<SsoContext>,
    /// The region of profiles that have none.
    fallback: Option<&'a str>,
    enabled: BTreeMap<AccountId, Enabled>,
    now: SystemTime,
}

impl AccessProbe<'_> {
    async fn access(&self, profile: &Profile) -> Access {
        let region = own_region(profile, self.fallback);
        match self.reach(profile).await {
            Err(reason) => {
                let region = region.map(|_| Err(reason.clone()));
                Access { account: Err(reason), region }
            }
            Ok(Err(failure)) => {
                let reason = || SkipReason::Other("the account could not be reached".to_owned());
                let region = region.map(|_| Err(reason()));
                Access { account: Ok(Err(failure)), region }
            }
            Ok(Ok((account, partition, credentials))) => {
                let enabled = match region {
                    None => None,
                    Some(region) => {
                        let ask = || regions::enabled(self.context, &credentials, profile, partition);
                        let enabled = match self.enabled.get(&account) {
                            Some(once) => once.get_or_init(ask).await.clone(),
                            None => ask().await,
                        };
                        Some(Ok(enabled.map(|enabled| enabled.contains(region))))
                    }
                };
                Access { account: Ok(Ok(account)), region: enabled }
            }
        }
    }

    /// The account that a profile's credentials are for, and they.
    async fn reach(
        &self,
        profile: &Profile,
    ) -> Result<Result<(AccountId, Partition, Arc<RoleCredentials>), AccessFailure>, SkipReason> {
        match &profile.credentials {
            CredentialSource::None => {
                return Err(SkipReason::Other("the profile has no credentials".to_owned()));
            }
            _ if profile.blocker(false).is_some() => return Err(SkipReason::Files),
            _ => {}
        }
        let session = profile.credentials.session().and_then(|session| {
            self.sessions.iter().find(|facts| facts.known.label() == session.cache_key())
        });
        if let Some(session) = session {
            session.accepted()?;
        }
        let asked = async {
            let credentials = self.store.get(profile, None, |_| ()).await?;
            let identity = match &profile.credentials {
                // The portal gives keys of the account that was asked for; of others only STS can say so.
                CredentialSource::Sso(_) => self.store.identify(profile, |_| ()).await?,
                _ => self.store.caller(profile, |_| ()).await?,
            };
            Ok((identity.account_id, identity.partition, credentials))
        };
        let failure: Failure = match asked.await {
            Ok(reached) => return Ok(Ok(reached)),
            Err(failure) => failure,
        };
        match (failure.kind, failure.code.as_deref()) {
            (FailureKind::SignInExpired, _) if session.is_some() => {
                let ended = session.and_then(SessionFacts::token);
                let ended = ended.is_some_and(|stored| stored.token.expires_at <= self.now);
                let when = if ended { "by this machine's clock" } else { "meanwhile" };
                return Err(SkipReason::Other(format!("the token has ended {when}")));
            }
            (_, Some("CredentialProcessLeftOut" | "LoginNotSupported")) | (FailureKind::Throttled, _) => {
                return Err(SkipReason::Other(failure.message));
            }
            _ => {}
        }
        let roles = match (&profile.credentials, session) {
            (CredentialSource::Sso(role), Some(_)) if failure.kind == FailureKind::Denied => {
                self.roles(role, profile).await
            }
            _ => None,
        };
        Ok(Err(AccessFailure { failure, roles }))
    }

    /// The roles that the portal lists for an account, none where it isn't assigned at all.
    async fn roles(&self, role: &SsoRole, profile: &Profile) -> Option<Vec<String>> {
        match self.store.account_roles(&role.session, Some(profile), role.account_id, |_| ()).await {
            Ok(roles) => Some(roles),
            Err(failure) if failure.kind == FailureKind::Denied => Some(Vec::new()),
            Err(_) => None,
        }
    }
}
