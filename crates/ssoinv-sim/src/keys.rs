//! Access keys: their principals, expiry, and derived signing keys. `state.rs` issues them, `authentication.rs` checks
//! them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use crate::sigv4;
use crate::sync::lock;

/// The number of calls of a key without a limit.
pub(crate) const UNLIMITED: u32 = u32::MAX;

/// The identity behind an access key.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    /// `arn:aws:sts::111122223333:assumed-role/…` or `arn:aws:iam::…:user/…`
    pub(crate) arn: String,
    /// The unique ID of GetCallerIdentity.
    pub(crate) user_id: String,
    /// The role's name in the portal or in IAM; for users the user's name.
    pub(crate) role: String,
    /// The role session's name; empty for users.
    pub(crate) session: String,
}

/// An access key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// The session token that requests must have; none for users' keys.
    pub(crate) token: Option<String>,
    pub(crate) account_id: String,
    /// The account's number in the organisation.
    pub(crate) account: usize,
    pub(crate) principal: Principal,
    /// Milliseconds since 1970; `i64::MAX` for keys that don't expire.
    expires: AtomicI64,
    /// Number of calls until an early expiry.
    calls_left: AtomicU32,
    signing: Mutex<HashMap<String, [u8; 32]>>,
}

impl Key {
    #[expect(clippy::too_many_arguments, reason = "one argument for each field")]
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

    pub(crate) fn has_expired(&self, now_ms: i64) -> bool {
        now_ms >= self.expires()
    }

    /// Makes the key expire after so many more calls.
    pub(crate) fn expire_after(&self, calls: u32) {
        self.calls_left.store(calls, Ordering::Relaxed);
    }

    /// Counts one call; false if the key has no calls left.
    pub(crate) fn count_call(&self) -> bool {
        let count = |left: u32| if left == UNLIMITED { Some(left) } else { left.checked_sub(1) };
        self.calls_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok()
    }

    /// Returns the signing key for a scope, from a cache.
    pub(crate) fn signing_key(&self, scope: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
        /// Enough for all regions and services of a day; a full cache is cleared.
        const CAPACITY: usize = 128;
        let mut cache = lock(&self.signing);
        if let Some(key) = cache.get(scope) {
            return *key;
        }
        if cache.len() >= CAPACITY {
            cache.clear();
        }
        let key = sigv4::signing_key(&self.secret, date, region, service);
        cache.insert(scope.to_owned(), key);
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

    /// Returns all keys so far.
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
    fn a_key_expires_at_its_time_or_after_its_calls() {
        let unlimited = key(UNLIMITED);
        assert!((0..10).all(|_| unlimited.count_call()));
        assert!(!unlimited.has_expired(999));
        assert!(unlimited.has_expired(1_000));
        let two = key(2);
        assert_eq!(
            [two.count_call(), two.count_call(), two.count_call(), two.count_call()],
            [true, true, false, false]
        );
        unlimited.expire_after(0);
        assert!(!unlimited.count_call());
    }

    #[test]
    fn a_cached_signing_key_is_that_of_its_scope() {
        let key = key(UNLIMITED);
        let first = key.signing_key("20260102/eu-west-1/ec2/aws4_request", "20260102", "eu-west-1", "ec2");
        assert_eq!(first, sigv4::signing_key("s", "20260102", "eu-west-1", "ec2"));
        let other = key.signing_key("20260102/eu-west-1/sts/aws4_request", "20260102", "eu-west-1", "sts");
        assert_ne!(first, other);
        assert_eq!(first, key.signing_key("20260102/eu-west-1/ec2/aws4_request", "x", "x", "x"));
    }
}
