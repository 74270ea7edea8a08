//! Everything that changes while the simulator runs. Services, `admin.rs`, `dispatch.rs` and the server share it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use crate::call_log::CallLog;
use crate::clock::Clock;
use crate::faults::{Fault, Faults, Subject, Verdict};
use crate::host_faults::HostFaults;
use crate::http::Request;
use crate::issuer::Issuer;
use crate::keys::{Key, Keys, Principal, UNLIMITED};
use crate::limits::{Limits, TokenBuckets};
use crate::options::Options;
use crate::organisation::Organisation;
use crate::regions;
use crate::rng::Rng;
use crate::service::Service;
use crate::sign_ins::{Moment, SignIns};
use crate::sync::lock;

/// An early expiry of role credentials.
#[derive(Debug, Clone)]
pub(crate) struct EarlyExpiry {
    pub(crate) account: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) after_calls: u32,
    /// Number of future credentials that expire early; none means all.
    pub(crate) times: Option<u32>,
}

impl EarlyExpiry {
    pub(crate) fn matches(&self, account: &str, role: &str) -> bool {
        self.account.as_deref().is_none_or(|wanted| wanted == account)
            && self.role.as_deref().is_none_or(|wanted| wanted == role)
    }
}

/// The settings of future role credentials.
#[derive(Debug, Default)]
pub(crate) struct RoleSettings {
    /// Seconds; none means an hour, or the duration in the request.
    pub(crate) lifetime: Option<u32>,
    early_expiries: Vec<EarlyExpiry>,
}

/// The simulator's state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) organisation: Organisation,
    pub(crate) url: String,
    pub(crate) upstream_sts: Option<String>,
    pub(crate) clock: Clock,
    pub(crate) issuer: Issuer,
    pub(crate) keys: Keys,
    pub(crate) calls: CallLog,
    pub(crate) sign_ins: Mutex<SignIns>,
    pub(crate) roles: Mutex<RoleSettings>,
    /// Tokens of the instance metadata service, with their expiry in milliseconds since 1970.
    pub(crate) imds_tokens: Mutex<HashMap<String, i64>>,
    /// The token for the container credentials endpoint.
    pub(crate) container_token: String,
    /// Failures of host names; none without the proxy.
    pub(crate) host_faults: Option<HostFaults>,
    faults: Mutex<Faults>,
    has_faults: AtomicBool,
    buckets: Mutex<TokenBuckets>,
    has_limits: AtomicBool,
    regions: RwLock<HashMap<(usize, String), bool>>,
}

impl State {
    pub(crate) fn new(organisation: Organisation, options: &Options, url: String) -> Self {
        let sign_ins = SignIns::new(organisation.sessions().len(), options);
        let issuer = Issuer::new();
        let state = Self {
            container_token: issuer.session_token(),
            imds_tokens: Mutex::default(),
            url,
            upstream_sts: options.upstream_sts.clone(),
            clock: Clock::new(),
            issuer,
            keys: Keys::default(),
            calls: CallLog::new(options.call_log),
            sign_ins: Mutex::new(sign_ins),
            roles: Mutex::new(RoleSettings { lifetime: options.role_lifetime, early_expiries: Vec::new() }),
            host_faults: options.proxy.then(HostFaults::default),
            faults: Mutex::default(),
            has_faults: AtomicBool::new(false),
            buckets: Mutex::default(),
            has_limits: AtomicBool::new(false),
            regions: RwLock::default(),
            organisation,
        };
        state.add_users();
        state
    }

    fn add_users(&self) {
        for user in &self.organisation.users {
            let Some(account) = self.organisation.find(&user.account) else { continue };
            let principal = Principal {
                arn: format!("arn:{}:iam::{}:user/{}", self.partition(), user.account, user.name),
                user_id: format!(
                    "AIDA{}",
                    self.rng_for(&format!("{}/{}", user.account, user.name)).base32(17)
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

    /// Returns false for a call to a host name of another region than the session's.
    pub(crate) fn is_at_home(&self, session: usize, request: &Request) -> bool {
        let region = request.host.as_ref().and_then(|host| host.region.as_ref());
        region.is_none_or(|region| *region == self.organisation.sessions()[session].region)
    }

    pub(crate) fn now(&self) -> Moment {
        Moment { ms: self.clock.now_ms(), running: self.clock.running() }
    }

    /// Returns numbers that follow from a text and the organisation's seed.
    pub(crate) fn rng_for(&self, text: &str) -> Rng {
        Rng::new(self.organisation.number_of(text))
    }

    /// Returns the IAM name of a role that the portal lists.
    pub(crate) fn sso_role_name(&self, account: &str, role: &str) -> String {
        format!("AWSReservedSSO_{role}_{}", self.rng_for(&format!("{account}/{role}")).hex(16))
    }

    /// Returns the principal of a role session; `iam_name` is the role's name in ARNs, `role` its name in the portal.
    pub(crate) fn role_principal(
        &self,
        account: &str,
        iam_name: &str,
        role: &str,
        session: &str,
    ) -> Principal {
        let id = self.rng_for(&format!("role/{account}/{iam_name}")).base32(17);
        Principal {
            arn: format!("arn:{}:sts::{account}:assumed-role/{iam_name}/{session}", self.partition()),
            user_id: format!("AROA{id}:{session}"),
            role: role.to_owned(),
            session: session.to_owned(),
        }
    }

    /// Returns the lifetime of role credentials in seconds; `default` unless another is set.
    pub(crate) fn role_lifetime(&self, default: u32) -> u32 {
        lock(&self.roles).lifetime.unwrap_or(default)
    }

    /// Issues temporary credentials.
    pub(crate) fn issue(&self, account: usize, principal: Principal, lifetime: u32) -> Arc<Key> {
        let (id, secret) = (self.issuer.access_key_id(), self.issuer.secret_access_key());
        let token = self.issuer.session_token();
        let expires = self.clock.now_ms() + i64::from(lifetime) * 1000;
        self.add_temporary_key(account, principal, id, secret, token, expires)
    }

    /// Adds temporary credentials that were issued here or by the upstream.
    pub(crate) fn add_temporary_key(
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
        let mut rules = roles.early_expiries.iter_mut();
        let rule = rules.find(|rule| rule.times != Some(0) && rule.matches(account, role));
        rule.map_or(UNLIMITED, |rule| {
            rule.times = rule.times.map(|left| left - 1);
            rule.after_calls
        })
    }

    /// Makes role credentials expire early: issued ones and, by the rule, future ones.
    pub(crate) fn expire_early(&self, rule: EarlyExpiry) {
        for key in self.keys.all() {
            if key.token.is_some() && rule.matches(&key.account_id, &key.principal.role) {
                key.expire_after(rule.after_calls);
            }
        }
        if rule.times != Some(0) {
            lock(&self.roles).early_expiries.push(rule);
        }
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        self.has_limits.store(limits != Limits::off(), Ordering::Release);
        lock(&self.buckets).set(limits);
    }

    /// Takes a call from its token bucket, which `bucket` tells apart; false if the bucket is empty.
    pub(crate) fn admit(&self, service: Service, bucket: (&str, &str)) -> bool {
        !self.has_limits.load(Ordering::Acquire)
            || lock(&self.buckets).take(service, bucket, self.clock.running())
    }

    /// Returns the number of the portal's lockouts.
    pub(crate) fn lockouts(&self) -> u64 {
        lock(&self.buckets).lockouts()
    }

    pub(crate) fn add_fault(&self, fault: Fault) {
        lock(&self.faults).add(fault);
        self.has_faults.store(true, Ordering::Release);
    }

    pub(crate) fn clear_faults(&self) {
        lock(&self.faults).clear();
        self.has_faults.store(false, Ordering::Release);
    }

    /// Counts a call for the fault rules and returns what is due.
    pub(crate) fn judge(&self, call: &Subject<'_>) -> Verdict {
        if self.has_faults.load(Ordering::Acquire) {
            lock(&self.faults).judge(call)
        } else {
            Verdict::default()
        }
    }

    /// Enables or disables a region for an account.
    pub(crate) fn set_region(&self, account: usize, region: &str, enabled: bool) {
        let mut changed = self.regions.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        changed.insert((account, region.to_owned()), enabled);
    }

    /// Returns true if the region is enabled for the account.
    pub(crate) fn region_enabled(&self, account: usize, region: &str) -> bool {
        let changed = self.regions.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let changed =
            if changed.is_empty() { None } else { changed.get(&(account, region.to_owned())).copied() };
        changed.unwrap_or_else(|| self.organisation.enabled(account, region))
    }

    /// Returns the partition's regions for an account: name, needs an opt-in, enabled.
    pub(crate) fn regions_of(&self, account: usize) -> Vec<(&'static str, bool, bool)> {
        let all = regions::of_partition(self.partition()).into_iter();
        all.map(|(name, opt_in)| (name, opt_in, self.region_enabled(account, name))).collect()
    }
}
