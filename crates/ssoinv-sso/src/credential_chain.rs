//! Fetches the credentials of a profile, whatever they rest on.
//!
//! [`crate::profile`] has resolved the profile to a [`CredentialSource`]: single sign-on, roles assumed one with the
//! other, a program, the machine's own identity. [`CredentialChain`] walks it from the bottom. Each link is fetched once
//! for all who need it at the same time, and again before it expires or after a service has refused it. The keys of the
//! environment stand for a profile only if it says so.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ssoinv_core::event::{Event, Notice};
use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::scope::{AccountId, Partition, is_region_name, partition_of_region};
use ssoinv_http::once_map::{KeptValue, OnceMap};
use ssoinv_http::service_endpoint::ServiceEndpoint;
use ssoinv_profile::{
    AmbientSource, AssumeRole, CredentialSource, Profile, RoleArn, RoleSource, SsoRole, StaticKeys,
};

use crate::context::{SsoContext, misconfigured};
use crate::credential_cache::CredentialCache;
use crate::identity::Identity;
use crate::role_credentials::RoleCredentials;
use crate::services::STS;
use crate::session::SessionKey;
use crate::session_handle::SessionHandle;
use crate::session_registry::SessionRegistry;
use crate::sts::Sts;
use crate::times::lasts;
use crate::{ambient_credentials, credential_process};

/// Credentials with less than this left are renewed before they are given out.
const RENEW_LEFT: Duration = Duration::from_mins(5);

/// The time for which a failure that may pass stands: an overloaded service isn't called again at once.
const FAILURE_PAUSE: Duration = Duration::from_mins(1);

/// Fetches the credentials of profiles.
#[derive(Debug)]
pub(crate) struct CredentialChain {
    context: Arc<SsoContext>,
    sessions: Arc<SessionRegistry>,
    sts: Sts,
    /// None if the cache isn't to be used.
    cache: Option<CredentialCache>,
    links: OnceMap<LinkKey, Link>,
    cache_failure_reported: AtomicBool,
}

type Link = Result<Arc<RoleCredentials>, Failure>;

/// The identity of a link.
#[derive(Clone, PartialEq, Eq, Hash)]
enum LinkKey {
    Sso { session: SessionKey, account: AccountId, role: String },
    Role { profile: String, role: String, endpoint: ServiceEndpoint },
    WebIdentity { role: String, file: PathBuf, session: Option<String>, endpoint: ServiceEndpoint },
    Process { command: String },
    Instance,
    Container,
}

/// Without its content: a command line may hold a secret.
impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey")
    }
}

impl CredentialChain {
    pub(crate) fn new(context: Arc<SsoContext>, sessions: Arc<SessionRegistry>) -> Self {
        Self {
            sts: Sts::new(Arc::clone(&context)),
            cache: context.credential_cache.then(|| CredentialCache::new(context.home.as_deref())),
            context,
            sessions,
            links: OnceMap::default(),
            cache_failure_reported: AtomicBool::new(false),
        }
    }

    /// Fetches the credentials of a source, which is `profile`'s own or below it. The profile says where STS is called.
    ///
    /// If `refused` are the present ones, others are fetched.
    pub(crate) fn fetch<'a>(
        &'a self,
        source: &'a CredentialSource,
        profile: &'a Profile,
        refused: Option<&'a RoleCredentials>,
    ) -> BoxFuture<'a, Link> {
        async move {
            match source {
                CredentialSource::Sso(role) => self.sso(role, profile, refused).await,
                CredentialSource::AssumeRole(role) => self.assumed_role(role, profile, refused).await,
                CredentialSource::WebIdentity(identity) => {
                    let endpoint = self.sts_endpoint(profile, Some(&identity.role))?;
                    let key = LinkKey::WebIdentity {
                        role: identity.role.arn.clone(),
                        file: identity.token_file.clone(),
                        session: identity.role_session_name.clone(),
                        endpoint: endpoint.clone(),
                    };
                    let fetch = || self.sts.assume_role_with_web_identity(identity, &endpoint);
                    self.once(key, refused, fetch).await
                }
                CredentialSource::Static(keys) => unrenewable(
                    static_keys(keys),
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
                    let key = LinkKey::Process { command: command.reveal().to_owned() };
                    self.once(key, refused, || credential_process::run(command, &self.context.env)).await
                }
                CredentialSource::Login { .. } => {
                    let message =
                        format!("profile `{}` uses `aws login`, which is not supported yet", profile.name);
                    Err(misconfigured("LoginNotSupported", message))
                }
                CredentialSource::Machine(machine) => self.machine(*machine, refused).await,
                CredentialSource::None | CredentialSource::Unusable => Err(misconfigured(
                    "NoCredentials",
                    format!("profile `{}` has no credentials", profile.name),
                )),
            }
        }
        .boxed()
    }

    /// Returns whose credentials these are, as GetCallerIdentity says.
    pub(crate) async fn caller(
        &self,
        credentials: &RoleCredentials,
        endpoint: &ServiceEndpoint,
    ) -> Result<Identity, Failure> {
        self.sts.caller(credentials, endpoint).await
    }

    async fn sso(&self, role: &SsoRole, profile: &Profile, refused: Option<&RoleCredentials>) -> Link {
        let handle = self.sessions.get(&role.session, Some(profile))?;
        let key = LinkKey::Sso {
            session: handle.session.key(),
            account: role.account_id,
            role: role.role_name.clone(),
        };
        let fetch = || async {
            if let Some(cached) = self.cached(role, &handle, refused).await {
                return Ok(cached);
            }
            let portal = &handle.portal;
            let fetched = handle.tokens.with_token(|bearer| async move {
                portal.role_credentials(&*bearer, role.account_id, &role.role_name).await
            });
            let fetched = fetched.await?;
            self.cache(role, &fetched).await;
            Ok(fetched)
        };
        self.once(key, refused, fetch).await
    }

    /// Returns the credentials that the AWS CLI or another run has cached, if they last long enough.
    pub(crate) async fn cached(
        &self,
        role: &SsoRole,
        handle: &SessionHandle,
        refused: Option<&RoleCredentials>,
    ) -> Option<RoleCredentials> {
        let cached = self.cache.as_ref()?.get(role).await?;
        let now = self.context.clock.now();
        let lasts_enough = cached.expires_at.is_some_and(|end| lasts(end, now, RENEW_LEFT));
        // Compared by their ID: the file's time of expiry is rounded.
        let good =
            lasts_enough && refused.is_none_or(|refused| refused.access_key_id != cached.access_key_id);
        // The file is found by the session's name alone, which any config file can use.
        (good && !handle.is_foreign().await).then_some(cached)
    }

    /// Shares credentials with the AWS CLI and the next run.
    async fn cache(&self, role: &SsoRole, credentials: &RoleCredentials) {
        let Some(cache) = &self.cache else { return };
        if let Err(error) = cache.store(role, credentials).await
            && !self.cache_failure_reported.swap(true, Ordering::Relaxed)
        {
            let notice = Notice::CredentialsNotStored { reason: error.to_string() };
            self.context.events.emit(Event::Notice(notice));
        }
    }

    async fn assumed_role(
        &self,
        role: &AssumeRole,
        profile: &Profile,
        refused: Option<&RoleCredentials>,
    ) -> Link {
        if role.mfa_serial.is_some() {
            let message = format!("profile `{}` needs an MFA code, and ssoinv asks for none", role.profile);
            return Err(misconfigured("MfaRequired", message));
        }
        let endpoint = self.sts_endpoint(profile, Some(&role.role))?;
        let key = LinkKey::Role {
            profile: role.profile.clone(),
            role: role.role.arn.clone(),
            endpoint: endpoint.clone(),
        };
        let fetch = || async {
            let source = self.role_source(&role.source, profile, None).await?;
            match self.sts.assume_role(role, &source, &endpoint).await {
                Err(Failure { remedy: Remedy::Renew, .. }) => {
                    let source = self.role_source(&role.source, profile, Some(&source)).await?;
                    self.sts.assume_role(role, &source, &endpoint).await
                }
                result => result,
            }
        };
        self.once(key, refused, fetch).await
    }

    async fn role_source(
        &self,
        source: &RoleSource,
        profile: &Profile,
        refused: Option<&RoleCredentials>,
    ) -> Link {
        match source {
            RoleSource::Profile { credentials, .. } => self.fetch(credentials, profile, refused).await,
            RoleSource::Machine(machine) => self.machine(*machine, refused).await,
        }
    }

    async fn machine(&self, machine: AmbientSource, refused: Option<&RoleCredentials>) -> Link {
        match machine {
            AmbientSource::Environment => unrenewable(
                ambient_credentials::from_environment(&self.context.env)?,
                refused,
                "the keys in the environment",
            ),
            AmbientSource::Ec2InstanceMetadata => {
                let fetch = || ambient_credentials::of_instance(&self.context);
                self.once(LinkKey::Instance, refused, fetch).await
            }
            AmbientSource::EcsContainer => {
                let fetch = || ambient_credentials::of_container(&self.context);
                self.once(LinkKey::Container, refused, fetch).await
            }
        }
    }

    /// Fetches a link if the kept one isn't there, expires soon, or is `refused`; once for all callers.
    async fn once<F>(
        &self,
        key: LinkKey,
        refused: Option<&RoleCredentials>,
        fetch: impl FnOnce() -> F,
    ) -> Link
    where
        F: Future<Output = Result<RoleCredentials, Failure>>,
    {
        let serves = |kept: KeptValue<'_, Link>| match kept.value {
            Ok(credentials) => {
                // A service may give credentials for less than five minutes: those must do for who waited for them.
                let least = if kept.awaited { Duration::ZERO } else { RENEW_LEFT };
                let now = self.context.clock.now();
                refused.is_none_or(|refused| *refused != **credentials)
                    && credentials.expires_at.is_none_or(|end| lasts(end, now, least))
            }
            // The token's source knows for how long a sign-in is gone.
            Err(failure) if failure.kind == FailureKind::SignInExpired => kept.awaited,
            Err(failure) if may_pass(failure) => kept.age < FAILURE_PAUSE,
            Err(_) => true,
        };
        let fetch = || async {
            // Boxed, since the layouts of all sources' futures in one another are deeper than the compiler computes.
            Box::pin(fetch()).await.map(Arc::new).map_err(|failure| match failure.remedy {
                // The renewal has been tried here: nothing is left for the caller to renew.
                Remedy::Renew => Failure { remedy: Remedy::None, ..failure },
                _ => failure,
            })
        };
        self.links.get_if(key, serves, fetch).await
    }

    /// Returns where STS is called for a profile.
    ///
    /// In the profile's region if that is in the role's partition, else in the region that every account of the
    /// partition has.
    pub(crate) fn sts_endpoint(
        &self,
        profile: &Profile,
        role: Option<&RoleArn>,
    ) -> Result<ServiceEndpoint, Failure> {
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

/// Returns whether a failure may have passed in a minute.
fn may_pass(failure: &Failure) -> bool {
    matches!(failure.remedy, Remedy::TryAgain | Remedy::SlowDown { .. })
}

fn static_keys(keys: &StaticKeys) -> RoleCredentials {
    RoleCredentials {
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: keys.secret_access_key.clone(),
        session_token: keys.session_token.clone(),
        expires_at: None,
        caller_arn: None,
    }
}

/// Returns keys that nothing renews, unless they have been refused.
fn unrenewable(credentials: RoleCredentials, refused: Option<&RoleCredentials>, whose: &str) -> Link {
    if refused == Some(&credentials) {
        return Err(misconfigured("ExpiredKeys", format!("{whose} have expired, and nothing renews them")));
    }
    Ok(Arc::new(credentials))
}
