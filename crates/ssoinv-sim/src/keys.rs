//! Access keys: whom each belongs to, when it ends, and the signing keys made from it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use crate::lock;
use crate::sigv4;

/// No limit to the calls of a key.
pub(crate) const UNLIMITED: u32 = u32::MAX;

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    /// `arn:aws:sts::111122223333:assumed-role/…` or `arn:aws:iam::…:user/…`
    pub(crate) arn: String,
    /// The unique ID of GetCallerIdentity.
    pub(crate) user_id: String,
    /// The role's name as the portal lists it or as IAM knows it; a user's name for users.
    pub(crate) role: String,
    /// The role session's name; empty for users.
    pub(crate) session: String,
}

/// An access key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// The session token that must come along; none for users' keys.
    pub(crate) token: Option<String>,
    pub(crate) account_id: String,
    /// The account's number in the organisation.
    pub(crate) account: usize,
    pub(crate) principal: Principal,
    /// Milliseconds since 1970; `i64::MAX` for keys that don't end.
    expires: AtomicI64,
    /// Calls until it ends before its time.
    calls_left: AtomicU32,
    signing: Mutex<HashMap<String, [u8; 32]>>,
}

impl Key {
    #[expect(clippy::too_many_arguments, reason = "one argument for each thing that a key is")]
    pub(crate) fn new(
        id: String,
        secret: String,
        token: Option<String>,
        account_id: String,
        account: usize,
        principal: Principal,
        expires: i64,
        calls: u32,
    ) -> Self {
        let (expires, calls_left) = (AtomicI64::new(expires), AtomicU32::new(calls));
        Self {
            id,
            secret,
            token,
            account_id,
            account,
            principal,
            expires,
            calls_left,
            signing: Mutex::default(),
        }
    }

    pub(crate) fn expires(&self) -> i64 {
        self.expires.load(Ordering::Relaxed)
    }

    pub(crate) fn has_ended(&self, now_ms: i64) -> bool {
        now_ms >= self.expires()
    }

    /// Ends it once so many more calls have been made.
    pub(crate) fn end_after(&self, calls: u32) {
        self.calls_left.store(calls, Ordering::Relaxed);
    }

    /// Counts one call; false when it may make no more.
    pub(crate) fn spend(&self) -> bool {
        let spend = |left: u32| if left == UNLIMITED { Some(left) } else { left.checked_sub(1) };
        self.calls_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }

    /// The signing key for a scope, made once.
    pub(crate) fn signing_key(&self, scope: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
        /// Enough for all regions and services of a day; then yesterday's are dropped with the rest.
        const KEPT: usize = 128;
        let mut kept = lock(&self.signing);
        if let Some(key) = kept.get(scope) {
            return *key;
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        let key = sigv4::signing_key(&self.secret, date, region, service);
        kept.insert(scope.to_owned(), key);
        key
    }
}

/// All access keys, by ID.
#[derive(Debug, Default)]
pub(crate) struct Keys(RwLock<HashMap<String, Arc<Key>>>);

impl Keys {
    pub(crate) fn add(&self, key: Key) -> Arc<Key> {
        let key = Arc::new(key);
        let mut keys = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        keys.insert(key.id.clone(), Arc::clone(&key));
        key
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Key>> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(id).cloned()
    }

    /// Those that are there now.
    pub(crate) fn all(&self) -> Vec<Arc<Key>> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(calls: u32) -> Key {
        let principal = Principal {
            arn: String::new(),
            user_id: String::new(),
            role: String::new(),
            session: String::new(),
        };
        Key::new("ASIA".into(), "s".into(), None, "012345678901".into(), 0, principal, 1_000, calls)
    }

    #[test]
    fn a_key_ends_at_its_time_or_after_its_calls() {
        let unlimited = key(UNLIMITED);
        assert!((0..10).all(|_| unlimited.spend()));
        assert!(!unlimited.has_ended(999));
        assert!(unlimited.has_ended(1_000));
        let two = key(2);
        assert_eq!([two.spend(), two.spend(), two.spend(), two.spend()], [true, true, false, false]);
        unlimited.end_after(0);
        assert!(!unlimited.spend());
    }

    #[test]
    fn a_kept_signing_key_is_that_of_its_scope() {
        let key = key(UNLIMITED);
        let first = key.signing_key("20260102/eu-west-1/ec2/aws4_request", "20260102", "eu-west-1", "ec2");
        assert_eq!(first, sigv4::signing_key("s", "20260102", "eu-west-1", "ec2"));
        let other = key.signing_key("20260102/eu-west-1/sts/aws4_request", "20260102", "eu-west-1", "sts");
        assert_ne!(first, other);
        assert_eq!(first, key.signing_key("20260102/eu-west-1/ec2/aws4_request", "x", "x", "x"));
    }
}
