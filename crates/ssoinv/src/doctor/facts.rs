//! Gathers the facts for all steps: profile files, token files, and responses of portals, STS and EC2.
//!
//! Changes nothing: refreshes no token, never prompts, and writes no file. A token is sent only to the portal of its own
//! session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::stream::{self, StreamExt};
use ssoinv_core::event::Events;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::{AccountId, Partition};
use ssoinv_profile::{CredentialSource, Profile, Profiles, SsoRole};
use ssoinv_run::access::AccountAccess;
use ssoinv_run::engine::{EnabledRegions, Engine};
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::foreign_endpoints::{self, ForeignEndpoint};
use ssoinv_sso::portal::Probe;
use ssoinv_sso::token_cache::{StoredToken, TokenCache, TokenFile};
use tokio::sync::OnceCell;

use crate::app::App;
use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::sessions::{self, KnownSession};
use crate::settings::{ConnectionSettings, SignInPolicy};

/// Number of checks at once.
pub(crate) const AT_ONCE: usize = 16;

/// The facts that all steps judge.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) profiles: Profiles,
    /// The profiles to check, in file order.
    pub(crate) chosen: Vec<Arc<Profile>>,
    /// True if they were named. Problems of other profiles are left out then.
    pub(crate) named: bool,
    /// The variable that selects a profile, and its value.
    pub(crate) variable: Option<(&'static str, String)>,
    /// The variable with the region for profiles without one, and its value.
    pub(crate) region: Option<(&'static str, String)>,
    /// The time of this machine.
    pub(crate) now: SystemTime,
    /// The sign-ins of the profiles.
    pub(crate) sessions: Vec<SessionFacts>,
    /// Endpoints that get tokens and aren't AWS's.
    pub(crate) foreign: Vec<ForeignEndpoint>,
    /// The access of each profile to check.
    pub(crate) access: Vec<Access>,
}

/// A sign-in, its token file and the response of its portal.
#[derive(Debug)]
pub(crate) struct SessionFacts {
    pub(crate) known: KnownSession,
    pub(crate) file: TokenFile,
    pub(crate) portal: Result<PortalResponse, SkipReason>,
}

/// The response of a portal.
#[derive(Debug)]
pub(crate) struct PortalResponse {
    /// True if the request had the token.
    pub(crate) with_token: bool,
    pub(crate) probe: Probe,
}

impl SessionFacts {
    /// Returns the token if it is complete and of this session, expired or not.
    pub(crate) fn token(&self) -> Option<&StoredToken> {
        own_token(&self.file)
    }

    /// Returns an error unless the portal accepts the token.
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

/// The reason for a skipped check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SkipReason {
    /// `--offline`.
    Offline,
    /// There is no valid token.
    NoToken,
    /// The portal refuses the token.
    InvalidValue,
    /// The portal could not be reached, with the reason.
    NoPortal(String),
    /// The endpoint is insecure, so no secret is sent to it.
    Misplaced(String),
    /// A problem in the files prevents the check.
    Files,
    /// Any other reason.
    Other(String),
}

impl SkipReason {
    /// Describes the reason.
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

/// The access of a profile to its account and region.
#[derive(Debug)]
pub(crate) struct Access {
    /// The account, or the reason why it can't be reached.
    pub(crate) account: Result<Result<AccountId, AccessFailure>, SkipReason>,
    /// True if the profile's region is enabled; none without a region.
    pub(crate) region: Option<Result<Result<bool, Failure>, SkipReason>>,
}

/// An account that can't be reached.
#[derive(Debug)]
pub(crate) struct AccessFailure {
    pub(crate) failure: Failure,
    /// The roles that the portal lists for the account, if it does.
    pub(crate) roles: Option<Vec<String>>,
}

/// The extent of the checks.
pub(crate) struct DoctorScope {
    /// Indexes of the profiles to check.
    pub(crate) places: Vec<usize>,
    /// True if they were named on the command line.
    pub(crate) named: bool,
    pub(crate) offline: bool,
}

/// Gathers all facts.
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
    let store = connection.as_ref().map(|connection| connection.engine.credentials());
    let now = app.clock.now();
    let known = used(&profiles, &chosen, scope.named);
    let sessions: Vec<SessionFacts> = stream::iter(known)
        .map(async |known| look_at(known, &cache, store, now).await)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let probe = connection.as_ref().map(|connection| AccessProbe {
        sessions: &sessions,
        engine: &connection.engine,
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

/// Returns the sign-ins of the profiles; all sign-ins if there is no profile yet.
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
        // Only profiles to check decide which endpoint is called.
        known.profile = chosen.iter().find(|profile| uses(profile, known)).cloned();
    }
    known
}

/// Examines a token file and, unless offline, calls its portal.
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
            // If this machine's clock is ahead, an expired token may still be valid.
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

/// Returns AWS's time, given how far this machine's clock is ahead.
fn aws_time(now: SystemTime, ahead: Option<i64>) -> Option<SystemTime> {
    let ahead = ahead?;
    let distance = Duration::from_secs(ahead.unsigned_abs());
    if ahead < 0 { now.checked_add(distance) } else { now.checked_sub(distance) }
}

/// Returns the region of a profile, else the fallback.
pub(crate) fn own_region<'a>(profile: &'a Profile, fallback: Option<&'a str>) -> Option<&'a str> {
    profile.region.as_deref().or(fallback)
}

/// The response of `DescribeRegions` for an account, fetched once.
type Enabled = OnceCell<Result<EnabledRegions, Failure>>;

/// Returns an empty cell for each account that the files name.
fn accounts(profiles: &[Arc<Profile>]) -> BTreeMap<AccountId, Enabled> {
    profiles.iter().filter_map(|profile| Some((profile.account_id?, OnceCell::new()))).collect()
}

/// Checks the access of profiles.
struct AccessProbe<'a> {
    sessions: &'a [SessionFacts],
    engine: &'a Arc<Engine>,
    /// The region of profiles without one.
    fallback: Option<&'a str>,
    enabled: BTreeMap<AccountId, Enabled>,
    now: SystemTime,
}

impl AccessProbe<'_> {
    async fn access(&self, profile: &Arc<Profile>) -> Access {
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
            Ok(Ok((account, partition))) => {
                let enabled = match region {
                    None => None,
                    Some(region) => {
                        let access = AccountAccess::of_profile(profile, partition, Some(account));
                        let ask = || async {
                            let enabled = self.engine.enabled_regions(&access, &|_| ()).await;
                            enabled.map_err(|error| error.failure)
                        };
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

    /// Returns the account of a profile's credentials, and the credentials.
    async fn reach(
        &self,
        profile: &Profile,
    ) -> Result<Result<(AccountId, Partition), AccessFailure>, SkipReason> {
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
            let store = self.engine.credentials();
            store.get(profile, None, |_| ()).await?;
            let identity = match &profile.credentials {
                // The portal's credentials are of the requested account. For others only STS knows.
                CredentialSource::Sso(_) => store.identify(profile, |_| ()).await?,
                _ => store.caller(profile, |_| ()).await?,
            };
            Ok((identity.account_id, identity.partition))
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

    /// Returns the roles that the portal lists for an account; empty if the account isn't assigned.
    async fn roles(&self, role: &SsoRole, profile: &Profile) -> Option<Vec<String>> {
        match self
            .engine
            .credentials()
            .account_roles(&role.session, Some(profile), role.account_id, |_| ())
            .await
        {
            Ok(roles) => Some(roles),
            Err(failure) if failure.kind == FailureKind::Denied => Some(Vec::new()),
            Err(_) => None,
        }
    }
}
