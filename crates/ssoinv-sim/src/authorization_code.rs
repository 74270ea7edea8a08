//! Authorization codes and the pages that issue them (RFC 6749 §4.1), and PKCE's verifiers and challenges (RFC 7636).
//! `sign_ins.rs` keeps them; `authorize.rs` is the flow.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::approval::Decision;

/// The parameters of a page that its code is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client: String,
    pub(crate) session: usize,
    /// With the port.
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    /// True if a refresh token is issued with the access token.
    pub(crate) refreshes: bool,
}

/// A code that a browser was redirected with.
#[derive(Debug)]
pub(crate) struct AuthorizationCode {
    pub(crate) request: AuthorizationRequest,
    /// Milliseconds since 1970.
    pub(crate) expires: i64,
    /// The sign-in that the code was exchanged for.
    pub(crate) family: Option<u64>,
}

/// A page that is pending, or decided on and not yet redirected.
#[derive(Debug)]
pub(crate) struct AuthorizationPage {
    pub(crate) state: String,
    pub(crate) request: AuthorizationRequest,
    pub(crate) decision: Decision,
}

/// Returns true for a verifier: 43 to 128 unreserved characters (RFC 7636 §4.1).
pub(crate) fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Returns true for a challenge: 43 to 128 letters of URL-safe Base64 (RFC 7636 §4.2).
pub(crate) fn is_challenge(text: &str) -> bool {
    is_verifier(text) && !text.contains(['.', '~'])
}

/// Returns the `S256` challenge of a verifier.
pub(crate) fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    #[test]
    fn the_challenge_of_the_rfc() {
        let challenge = challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn verifiers_and_challenges_have_their_length_and_letters() {
        for (text, verifier, challenge) in [
            ("a".repeat(42), false, false),
            ("a".repeat(43), true, true),
            ("-".repeat(128), true, true),
            ("a".repeat(129), false, false),
            (".~".repeat(30), true, false),
            ("+".repeat(43), false, false),
            ("=".repeat(43), false, false),
            ("é".repeat(43), false, false),
        ] {
            assert_eq!((is_verifier(&text), is_challenge(&text)), (verifier, challenge), "{text}");
        }
    }
}
