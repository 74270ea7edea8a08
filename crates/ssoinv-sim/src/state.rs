//! Everything that changes while the simulator runs, in one place that services, controls and the server share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use crate::calls::Calls;
use crate::clock::Clock;
use crate::faults::{Fault, Faults, Subject, Verdict};
use crate::http::Request;
use crate::keys::{Key, Keys, Principal, UNLIMITED};
use crate::limits::{Buckets, Limits};
use crate::lock;
use crate::mint::Mint;
use crate::options::Options;
use crate::organisation::Organisation;
use crate::proxy::Proxy;
use crate::regions;
use crate::rng::Rng;
use crate::service::Service;
use crate::sign_ins::{Moment, SignIns};

/// Credentials of a role that end before their time.
#[derive(Debug, Clone)]
pub(crate) struct EarlyEnd {
    pub(crate) account: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) after_calls: u32,
    /// Credentials still to be given out that are touched; none means all.
    pub(crate) times: Option<u32>,
}

impl EarlyEnd {
    pub(crate) fn matches(&self, account: &str, role: &str) -> bool {
        self.account.as_deref().is_none_or(|wanted| wanted == account)
            && self.role.as_deref().is_none_or(|wanted| wanted == role)
    }
}

/// What credentials of roles are like.
#[derive(Debug, Default)]
pub(crate) struct RoleSettings {
    /// Seconds; none means an hour, or what `AssumeRole` asks for.
    pub(crate) lifetime: Option<u32>,
    pub(crate) early_ends: Vec<EarlyEnd>,
}

/// The simulator's state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) organisation: Organisation,
    pub(crate) url: String,
    pub(crate) upstream_sts: Option<String>,
    pub(crate) clock: Clock,
    pub(crate) mint: Mint,
    pub(crate) keys: Keys,
    pub(crate) calls: Calls,
    pub(crate) oidc: Mutex<SignIns>,
    pub(crate) roles: Mutex<RoleSettings>,
    /// Tokens of the instance's metadata service, with their end in milliseconds since 1970.
    pub(crate) metadata_tokens: Mutex<HashMap<String, i64>>,
    /// What a container shows for its credentials.
    pub(crate) container_token: String,
    pub(crate) proxy: Option<Arc<Proxy>>,
    faults: Mutex<Faults>,
    has_faults: AtomicBool,
    buckets: Mutex<Buckets>,
    has_limits: AtomicBool,
    regions: RwLock<HashMap<(usize, String), bool>>,
}

impl State {
    #[cfg(test)]
    pub(crate) fn new(organisation: Organisation, options: &Options, url: String) -> Self {
        Self::with_proxy(organisation, options, url, None)
    }

    pub(crate) fn with_proxy(
        organisation: Organisation,
        options: &Options,
        url: String,
        proxy: Option<Arc<Proxy>>,
    ) -> Self {
        let oidc = SignIns::new(organisation.sessions().len(), options);
        let mint = Mint::new();
        let state = Self {
            container_token: mint.session_token(),
            metadata_tokens: Mutex::default(),
            url,
            upstream_sts: options.upstream_sts.clone(),
            clock: Clock::new(),
            mint,
            keys: Keys::default(),
            calls: Calls::new(options.call_log),
            oidc: Mutex::new(oidc),
            roles: Mutex::new(RoleSettings { lifetime: options.role_lifetime, early_ends: Vec::new() }),
            proxy,
            faults: Mutex::default(),
            has_faults: AtomicBool::new(false),
            buckets: Mutex::default(),
            has_limits: AtomicBool::new(false),
            regions: RwLock::default(),
            organisation,
        };
        state.add_users();
        state.set_limits(options.limits);
        state
    }

    fn add_users(&self) {
        for user in &self.organisation.users {
            let Some(account) = self.organisation.find(&user.account) else { continue };
            let principal = Principal {
                arn: format!("arn:{}:iam::{}:user/{}", self.partition(), user.account, user.name),
                user_id: format!(
                    "AIDA{}",
                    self.made_up(&format!("{}/{}", user.account, user.name)).base32(17)
                ),
                role: user.name.clone(),
                session: String::new(),
            };
            self.keys.add(Key::new(
                user.access_key_id.clone(),
                user.secret_access_key.clone(),
                None,
                user.account.clone(),
                account,
                principal,
                i64::MAX,
                UNLIMITED,
            ));
        }
    }

    pub(crate) fn partition(&self) -> &'static str {
        self.organisation.partition()
    }

    /// Whether a call that goes to a name of AWS's goes to the region of a session's Identity Center.
    pub(crate) fn is_called_at_home(&self, session: usize, request: &Request) -> bool {
        let region = request.host.as_ref().and_then(|(_, host)| host.region.as_ref());
        region.is_none_or(|region| *region == self.organisation.sessions()[session].region)
    }

    pub(crate) fn now(&self) -> Moment {
        Moment { ms: self.clock.now_ms(), running: self.clock.running() }
    }

    /// Numbers that belong to a text in this organisation.
    pub(crate) fn made_up(&self, text: &str) -> Rng {
        Rng::new(self.organisation.number_of(text))
    }

    /// The IAM name of a role that the portal lists.
    pub(crate) fn sso_role_name(&self, account: &str, role: &str) -> String {
        format!("AWSReservedSSO_{role}_{}", self.made_up(&format!("{account}/{role}")).hex(16))
    }

    /// Who speaks in a session of a role; `iam_name` is the role's name in ARNs, `role` that in the portal.
    pub(crate) fn role_principal(
        &self,
        account: &str,
        iam_name: &str,
        role: &str,
        session: &str,
    ) -> Principal {
        let id = self.made_up(&format!("role/{account}/{iam_name}")).base32(17);
        Principal {
            arn: format!("arn:{}:sts::{account}:assumed-role/{iam_name}/{session}", self.partition()),
            user_id: format!("AROA{id}:{session}"),
            role: role.to_owned(),
            session: session.to_owned(),
        }
    }

    /// How long credentials of a role live, in seconds.
    pub(crate) fn role_lifetime(&self, asked: u32) -> u32 {
        lock(&self.roles).lifetime.unwrap_or(asked)
    }

    /// New temporary credentials.
    pub(crate) fn issue(&self, account: usize, principal: Principal, lifetime: u32) -> Arc<Key> {
        let (id, secret) = (self.mint.access_key_id(), self.mint.secret_access_key());
        let token = self.mint.session_token();
        let expires = self.clock.now_ms() + i64::from(lifetime) * 1000;
        self.take_in(account, principal, id, secret, token, expires)
    }

    /// Temporary credentials that were made here or elsewhere.
    pub(crate) fn take_in(
        &self,
        account: usize,
        principal: Principal,
        id: String,
        secret: String,
        token: String,
        expires: i64,
    ) -> Arc<Key> {
        let account_id = self.organisation.account(account).id;
        let calls = self.calls_allowed(&account_id, &principal.role);
        self.keys.add(Key::new(id, secret, Some(token), account_id, account, principal, expires, calls))
    }

    fn calls_allowed(&self, account: &str, role: &str) -> u32 {
        let mut roles = lock(&self.roles);
        let mut orders = roles.early_ends.iter_mut();
        let order = orders.find(|order| order.times != Some(0) && order.matches(account, role));
        order.map_or(UNLIMITED, |order| {
            order.times = order.times.map(|left| left - 1);
            order.after_calls
        })
    }

    /// Makes credentials end early: those given out already and, by the rule, later ones.
    pub(crate) fn end_early(&self, rule: EarlyEnd) {
        for key in self.keys.all() {
            if key.token.is_some() && rule.matches(&key.account_id, &key.principal.role) {
                key.end_after(rule.after_calls);
            }
        }
        if rule.times != Some(0) {
            lock(&self.roles).early_ends.push(rule);
        }
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        lock(&self.buckets).set(limits);
        self.has_limits.store(limits != Limits::off(), Ordering::Release);
    }

    /// Takes a call out of its token bucket; false when that is empty.
    pub(crate) fn admit(&self, service: Service, account: &str, region: &str) -> bool {
        !self.has_limits.load(Ordering::Acquire)
            || lock(&self.buckets).take(service, account, region, self.clock.running())
    }

    /// How often the portal has shut its caller out.
    pub(crate) fn lockouts(&self) -> u64 {
        lock(&self.buckets).lockouts()
    }

    /// Adds a rule. One that could never strike is refused: a test that relies on it would test nothing.
    pub(crate) fn add_fault(&self, fault: Fault) -> Result<(), String> {
        if !Service::knows(fault.service.as_deref(), fault.operation.as_deref()) {
            let (service, operation) = (&fault.service, &fault.operation);
            return Err(format!("there is no operation {operation:?} of service {service:?}"));
        }
        if let Some(id) = fault.account.as_ref().filter(|id| self.organisation.find(id).is_none()) {
            return Err(format!("there is no account `{id}`"));
        }
        if let Some(region) = fault.region.as_ref().filter(|region| regions::needs_opt_in(region).is_none()) {
            return Err(format!("there is no region `{region}`"));
        }
        lock(&self.faults).add(fault);
        self.has_faults.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn clear_faults(&self) {
        lock(&self.faults).clear();
        self.has_faults.store(false, Ordering::Release);
    }

    pub(crate) fn judge(&self, call: &Subject<'_>) -> Verdict {
        if self.has_faults.load(Ordering::Acquire) {
            lock(&self.faults).judge(call)
        } else {
            Verdict::default()
        }
    }

    /// Switches a region on or off for an account.
    pub(crate) fn set_region(&self, account: usize, region: &str, enabled: bool) {
        let mut changed = self.regions.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        changed.insert((account, region.to_owned()), enabled);
    }

    /// Whether the account has the region on.
    pub(crate) fn region_enabled(&self, account: usize, region: &str) -> bool {
        let changed = self.regions.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let changed =
            if changed.is_empty() { None } else { changed.get(&(account, region.to_owned())).copied() };
        changed.unwrap_or_else(|| self.organisation.enabled(account, region))
    }

    /// All regions of the partition as the account sees them: name, needs an opt-in, enabled.
    pub(crate) fn regions_of(&self, account: usize) -> Vec<(&'static str, bool, bool)> {
        let all = regions::of_partition(self.partition()).into_iter();
        all.map(|(name, opt_in)| (name, opt_in, self.region_enabled(account, name))).collect()
    }
}
