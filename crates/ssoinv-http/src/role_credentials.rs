//! [`RoleCredentials`]: the keys that sign calls to services.
//!
//! Made by `ssoinv-sso`, used by [`crate::scoped_calls`]. Their secrets are in neither `Debug` nor `Display`.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use ssoinv_core::secret::Secret;

/// The keys that sign calls to services.
#[derive(Clone, PartialEq, Eq)]
pub struct RoleCredentials {
    /// The access key's ID; not a secret.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: Secret,
    /// STS's session token; keys of a user have none.
    pub session_token: Option<Secret>,
    /// When they expire; keys of a user don't.
    pub expires_at: Option<SystemTime>,
    /// The ARN that they call as, if the response that gave them names it.
    pub caller_arn: Option<Arc<str>>,
}

impl RoleCredentials {
    /// Returns the keys as the SDK's clients take them.
    #[must_use]
    pub fn to_sdk(&self) -> Credentials {
        Credentials::new(
            self.access_key_id.as_str(),
            self.secret_access_key.reveal(),
            self.session_token.as_ref().map(|token| token.reveal().to_owned()),
            self.expires_at,
            "ssoinv",
        )
    }
}

impl fmt::Debug for RoleCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleCredentials")
            .field("secret_access_key", &self.secret_access_key)
            .field("session_token", &self.session_token)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
