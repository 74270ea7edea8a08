//! [`Engine`]: everything that calls of all kinds share, for as long as the process lives.
//!
//! Owns credentials, rate limiters, circuit breakers, slots, the enabled regions of accounts and the accounts behind
//! profiles. A run, a dry run and each SQL scan use the same `Engine`, so that two of them together load AWS no more
//! than one. Guarantees that each of these is fetched once for all that ask at the same time. What is read from an
//! account is decided by [`crate::plan`] and [`crate::runner`].

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use ssoinv_core::event::{Event, Events, Notice};
use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::scope::{AccountId, Partition, Place, Scope};
use ssoinv_core::service::ServiceInfo;
use ssoinv_http::circuit_breaker::{CircuitBreaker, CircuitBreakers, HostKey};
use ssoinv_http::once_map::OnceMap;
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_http::role_credentials::RoleCredentials;
use ssoinv_http::scoped_calls::{CallError, CallLimits, CallObserver, Caller, ScopedCalls, Unobserved};
use ssoinv_http::sdk_settings::SdkSettings;
use ssoinv_http::service_endpoint::ServiceEndpoint;
use ssoinv_sso::context::SsoContext;
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::identity::Identity;
use ssoinv_sso::profile::Profile;
use ssoinv_sso::sts;
use ssoinv_tables::organization_accounts::{OrganizationAccount, organization_accounts};
use tokio::sync::Semaphore;

use crate::access::{AccountAccess, principal};
use crate::rate_limiters::RateLimiters;

/// The names of the regions that are enabled in an account.
pub type EnabledRegions = Arc<BTreeSet<String>>;

/// An account and an identity: one identity may be denied what another is allowed.
type IdentityKey = (Option<AccountId>, Arc<str>);

/// What calls of all kinds share.
#[derive(Debug)]
pub struct Engine {
    context: Arc<SsoContext>,
    credentials: CredentialStore,
    policy: RetryPolicy,
    concurrency: usize,
    slots: Semaphore,
    limiters: RateLimiters,
    breakers: CircuitBreakers,
    enabled: OnceMap<IdentityKey, Result<EnabledRegions, Failure>>,
    identities: OnceMap<Arc<str>, Result<Identity, Failure>>,
    callers: OnceMap<IdentityKey, Option<Arc<str>>>,
}

impl Engine {
    /// Makes an engine that has at most `concurrency` calls to services under way.
    #[must_use]
    pub fn new(context: Arc<SsoContext>, policy: RetryPolicy, concurrency: usize) -> Arc<Self> {
        Arc::new(Self {
            credentials: CredentialStore::new(Arc::clone(&context)),
            policy,
            concurrency,
            slots: Semaphore::new(concurrency),
            limiters: RateLimiters::default(),
            breakers: CircuitBreakers::new(context.sdk.connect_timeout()),
            enabled: OnceMap::default(),
            identities: OnceMap::default(),
            callers: OnceMap::default(),
            context,
        })
    }

    /// The tokens and role credentials.
    #[must_use]
    pub fn credentials(&self) -> &CredentialStore {
        &self.credentials
    }

    /// How many calls to services may be under way at a time.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// The events of everything that uses the engine.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.context.events
    }

    /// Returns calls to `region` through `access`, for rows of `place`.
    #[must_use]
    pub fn calls(
        self: &Arc<Self>,
        access: &AccountAccess,
        place: Place,
        region: &str,
        observer: Arc<dyn CallObserver>,
    ) -> ScopedCalls {
        let caller = Arc::new(AccountCaller { engine: Arc::clone(self), access: access.clone() });
        let limits: Arc<dyn CallLimits> = Arc::clone(self) as _;
        let (clock, scope) = (self.context.clock.clone(), Arc::new(access.scope(place)));
        ScopedCalls::new(caller, limits, observer, clock, scope, region.into())
    }

    /// Returns the account behind a profile: from the files if they name it, else from GetCallerIdentity, once.
    ///
    /// # Errors
    /// As [`CredentialStore::identify`].
    pub async fn identify(&self, profile: &Profile) -> Result<Identity, Failure> {
        self.identities.get(principal(profile), || self.credentials.identify(profile, |_| ())).await
    }

    /// Lists the regions that are enabled in the account of `access`, once for each account and identity.
    ///
    /// # Errors
    /// If there are no credentials, or DescribeRegions fails.
    pub async fn enabled_regions(
        self: &Arc<Self>,
        access: &AccountAccess,
        on_park: &(dyn Fn(bool) + Send + Sync),
    ) -> Result<EnabledRegions, CallError> {
        // Credentials are cached in the store, and may be had later where they can't be had now: so their failure isn't
        // kept with the regions.
        let credentials = self.credentials.get(&access.source, None, on_park).await;
        credentials.map_err(CallError::without_credentials)?;
        let key = (access.account_id, Arc::clone(&access.principal));
        let list = || async {
            let region = access.partition.default_region();
            let calls = self.calls(access, Place::Global, region, Arc::new(Unobserved));
            let regions = ssoinv_tables::enabled_regions::enabled_regions(&calls).boxed().await;
            regions.map(Arc::new).map_err(|error| error.failure)
        };
        self.enabled.get(key, list).await.map_err(CallError::from)
    }

    /// Reports that the enabled regions of an account can't be listed.
    pub(crate) fn report_unknown_regions(&self, access: &AccountAccess, failure: Failure) {
        let account = access.account_id.map(|id| id.to_string()).unwrap_or_default();
        let (name, failure) = (access.account_name.clone(), Arc::new(failure));
        self.events().emit(Event::Notice(Notice::EnabledRegionsUnknown { account, name, failure }));
    }

    /// Lists the accounts of the organization that a profile's account belongs to.
    ///
    /// # Errors
    /// [`FailureKind::Denied`] if the caller may not list them; else as [`ScopedCalls::call`].
    pub async fn organization_accounts(
        self: &Arc<Self>,
        profile: &Arc<Profile>,
        partition: Partition,
    ) -> Result<Vec<OrganizationAccount>, Failure> {
        let access = AccountAccess::of_profile(profile, partition, profile.account_id);
        let calls = self.calls(&access, Place::Global, partition.default_region(), Arc::new(Unobserved));
        organization_accounts(&calls).boxed().await.map_err(|error| error.failure)
    }

    /// Returns the ARN that calls through `access` are made as, if it can be had: evidence for the ledger.
    ///
    /// It comes with some credentials; for the others GetCallerIdentity, which no policy can deny, is called once.
    pub(crate) async fn caller_arn(self: &Arc<Self>, access: &AccountAccess) -> Option<Arc<str>> {
        let key = (access.account_id, Arc::clone(&access.principal));
        let identify = || async {
            let region = access.partition.default_region();
            let calls = self.calls(access, Place::Global, region, Arc::new(Unobserved));
            sts::caller_identity(&calls).boxed().await.ok().and_then(|identity| identity.arn)
        };
        let credentials = self.credentials.get(&access.source, None, |_| ()).await.ok()?;
        // The account behind some profiles was known only from GetCallerIdentity.
        let known = match &credentials.caller_arn {
            Some(arn) => Some(Arc::clone(arn)),
            None => self.identify(&access.source).await.ok().and_then(|identity| identity.arn),
        };
        match known {
            Some(arn) => Some(arn),
            None => self.callers.get(key, identify).await,
        }
    }
}

impl CallLimits for Engine {
    fn rate_limiter(&self, scope: &Scope, region: &str, service: &'static ServiceInfo) -> Arc<RateLimiter> {
        self.limiters.of(scope.account_id, region, service)
    }

    fn circuit_breaker(
        &self,
        service: &'static ServiceInfo,
        endpoint: &ServiceEndpoint,
    ) -> Arc<CircuitBreaker> {
        self.breakers.of(HostKey::new(service, endpoint.clone()))
    }

    fn slots(&self) -> &Semaphore {
        &self.slots
    }

    fn retry_policy(&self) -> RetryPolicy {
        self.policy
    }
}

/// Calls as one account and role.
#[derive(Debug)]
struct AccountCaller {
    engine: Arc<Engine>,
    access: AccountAccess,
}

impl Caller for AccountCaller {
    fn credentials<'a>(
        &'a self,
        refused: Option<&'a RoleCredentials>,
        on_park: &'a (dyn Fn(bool) + Send + Sync),
    ) -> BoxFuture<'a, Result<Arc<RoleCredentials>, Failure>> {
        self.engine.credentials.get(&self.access.source, refused, on_park).boxed()
    }

    fn endpoint(&self, service: &ServiceInfo, region: &str) -> Result<ServiceEndpoint, Failure> {
        self.engine.context.service_endpoint(service, Some(&self.access.source), region)
    }

    fn sdk(&self) -> &SdkSettings {
        &self.engine.context.sdk
    }

    fn explain<'a>(&'a self, failure: Failure, region: &'a str) -> BoxFuture<'a, Failure> {
        self.explain_region(failure, region).boxed()
    }
}

impl AccountCaller {
    /// What looks like bad credentials may be a region that isn't enabled: only DescribeRegions can tell them apart.
    async fn explain_region(&self, failure: Failure, region: &str) -> Failure {
        let renew = |failure| Failure { remedy: Remedy::Renew, ..failure };
        // The partition's own region is always enabled; DescribeRegions goes there itself.
        if region == self.access.partition.default_region() {
            return renew(failure);
        }
        match self.engine.enabled_regions(&self.access, &|_| ()).await {
            Ok(enabled) if !enabled.contains(region) => Failure {
                kind: FailureKind::RegionDisabled,
                message: format!("region `{region}` is not enabled in this account"),
                remedy: Remedy::None,
                ..failure
            },
            Ok(_) => renew(failure),
            Err(error) => {
                let proves_credentials = proves_credentials(&error);
                self.engine.report_unknown_regions(&self.access, error.failure);
                if !proves_credentials {
                    return renew(failure);
                }
                // New credentials would be refused alike, at the cost of calls to the portal.
                Failure {
                    kind: FailureKind::Failed,
                    message: format!(
                        "region `{region}` refuses credentials that another region accepts, as a region that is not \
                         enabled does; `ec2:DescribeRegions`, which would tell, is denied"
                    ),
                    remedy: Remedy::None,
                    ..failure
                }
            }
        }
    }
}

/// Whether a refusal shows that the credentials are valid: the service named what they may not do.
fn proves_credentials(error: &CallError) -> bool {
    let denied = matches!(error.failure.kind, FailureKind::Denied | FailureKind::DeniedByScp);
    denied && !error.without_credentials && error.failure.remedy == Remedy::None
}
