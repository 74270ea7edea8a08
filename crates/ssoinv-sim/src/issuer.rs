//! Issues tokens, keys and request IDs, and records the secret ones. Each secret contains
//! [`SECRET_MARKER`] inside an otherwise plausible form, so that a search of outputs and files finds any that leaks.

use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::encoding::hex;
use crate::rng::{Rng, of_parts};
use crate::secret_marker::SECRET_MARKER;
use crate::sync::lock;

/// The source of tokens and keys. Two simulators never issue the same ones.
#[derive(Debug)]
pub(crate) struct Issuer {
    start: u64,
    count: AtomicU64,
    issued: Mutex<Vec<String>>,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        // The standard library's hash keys are random, and need no crate.
        let start = RandomState::new().hash_one("ssoinv-sim");
        Self { start, count: AtomicU64::new(0), issued: Mutex::new(Vec::new()) }
    }

    fn rng(&self) -> Rng {
        Rng::new(of_parts(&[self.start, self.count.fetch_add(1, Ordering::Relaxed)]))
    }

    fn secret(&self, text: String) -> String {
        lock(&self.issued).push(text.clone());
        text
    }

    /// Returns all secrets so far.
    pub(crate) fn issued(&self) -> Vec<String> {
        lock(&self.issued).clone()
    }

    /// Records a secret that was made elsewhere.
    pub(crate) fn record(&self, secret: &str) {
        lock(&self.issued).push(secret.to_owned());
    }

    pub(crate) fn request_id(&self) -> String {
        self.rng().uuid()
    }

    pub(crate) fn access_token(&self) -> String {
        let mut rng = self.rng();
        let (head, tail) = (rng.base64(22), rng.base64(180));
        self.secret(format!("aoaAAAAAG{head}{SECRET_MARKER}{tail}:MGUCMQ{}", rng.base64(90)))
    }

    pub(crate) fn refresh_token(&self) -> String {
        let mut rng = self.rng();
        let (head, tail) = (rng.base64(22), rng.base64(180));
        self.secret(format!("aorAAAAAG{head}{SECRET_MARKER}{tail}:MGQCMF{}", rng.base64(90)))
    }

    pub(crate) fn client_id(&self, region: &str) -> String {
        format!("{}-{}", self.rng().base32(22), hex(region.as_bytes()))
    }

    pub(crate) fn client_secret(&self) -> String {
        let mut rng = self.rng();
        let body = rng.base64(240).replace(['+', '/'], "_");
        self.secret(format!("eyJraWQiOiJzaW0iLCJhbGciOiJIUzM4NCJ9.ey{SECRET_MARKER}{body}.{}", rng.hex(64)))
    }

    pub(crate) fn device_code(&self) -> String {
        let mut rng = self.rng();
        let head = rng.base64(40).replace(['+', '/'], "-");
        self.secret(format!("{head}{SECRET_MARKER}{}", rng.hex(24)))
    }

    pub(crate) fn authorization_code(&self) -> String {
        let mut rng = self.rng();
        let head = rng.base64(40).replace(['+', '/'], "-");
        self.secret(format!("{head}{SECRET_MARKER}{}", rng.hex(24)))
    }

    /// Issues a code that a person reads off the screen; not a secret.
    pub(crate) fn user_code(&self) -> String {
        let mut rng = self.rng();
        format!("{}-{}", rng.upper(4), rng.upper(4))
    }

    /// Issues an access key ID of temporary credentials; not a secret.
    pub(crate) fn access_key_id(&self) -> String {
        format!("ASIA{}", self.rng().base32(16))
    }

    pub(crate) fn secret_access_key(&self) -> String {
        let mut rng = self.rng();
        let head = rng.base64(11);
        let tail = rng.base64(40 - head.len() - SECRET_MARKER.len());
        self.secret(format!("{head}{SECRET_MARKER}{tail}"))
    }

    pub(crate) fn session_token(&self) -> String {
        let mut rng = self.rng();
        let (head, tail) = (rng.base64(80), rng.base64(420));
        self.secret(format!("IQoJb3JpZ2luX2VjE{head}{SECRET_MARKER}{tail}=="))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_is_marked_recorded_and_unique() {
        let issuer = Issuer::new();
        let made = [
            issuer.access_token(),
            issuer.refresh_token(),
            issuer.client_secret(),
            issuer.device_code(),
            issuer.authorization_code(),
            issuer.secret_access_key(),
            issuer.session_token(),
            issuer.secret_access_key(),
        ];
        assert!(made.iter().all(|secret| secret.contains(SECRET_MARKER)));
        assert_eq!(issuer.issued(), made);
        assert_eq!(made[5].len(), 40);
        assert_ne!(made[5], made[7]);
        assert_ne!(Issuer::new().session_token(), Issuer::new().session_token());
    }

    #[test]
    fn ids_are_no_secrets() {
        let issuer = Issuer::new();
        let id = issuer.access_key_id();
        assert!(id.len() == 20 && id.starts_with("ASIA"));
        issuer.user_code();
        issuer.client_id("eu-west-1");
        assert!(issuer.issued().is_empty());
    }
}
