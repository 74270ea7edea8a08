//! Keys for AWS's services, whichever source gave them.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use ssoinv_core::secret::Secret;

/// An access key with its secret, and until when both are good.
#[derive(Clone, PartialEq, Eq)]
pub struct RoleCredentials {
    /// The access key's ID; not a secret.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: Secret,
    /// STS's session token; keys of a user have none.
    pub session_token: Option<Secret>,
    /// The time from which AWS refuses the keys; none if they are good until somebody deletes them.
    pub expires_at: Option<SystemTime>,
    /// The caller's ARN, if the response that gave the keys has it.
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
