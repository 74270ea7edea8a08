//! A sign-in, and where it and its portal are called.

use std::sync::Arc;

use ssoinv_core::failure::Failure;
use ssoinv_http::service_endpoint::ServiceEndpoint;
use ssoinv_profile::{Profile, SsoSession};

use crate::context::SsoContext;
use crate::services::{SSO, SSO_OIDC};

/// A sign-in, and where it and its portal are called.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session in the profile files.
    pub sso: Arc<SsoSession>,
    /// The name for messages: the session's, or its start URL.
    pub label: Arc<str>,
    /// The endpoint of the sign-in.
    pub oidc: ServiceEndpoint,
    /// The endpoint of the portal.
    pub portal: ServiceEndpoint,
}

impl Session {
    /// Creates the sign-in that a profile's `sso_session` or `sso_start_url` names.
    ///
    /// Two profiles of one sso-session may set different endpoints; then they are two sessions that share the token's
    /// file.
    ///
    /// # Errors
    /// As [`SsoContext::service_endpoint`].
    pub fn new(
        sso: &Arc<SsoSession>,
        profile: Option<&Profile>,
        context: &SsoContext,
    ) -> Result<Self, Failure> {
        let endpoint = |service| context.service_endpoint(service, profile, &sso.sso_region);
        Ok(Self {
            sso: Arc::clone(sso),
            label: sso.cache_key().into(),
            oidc: endpoint(&SSO_OIDC)?,
            portal: endpoint(&SSO)?,
        })
    }

    /// Returns the session's key.
    #[must_use]
    pub fn key(&self) -> SessionKey {
        SessionKey {
            name: self.sso.name.clone(),
            start_url: self.sso.start_url.clone(),
            scopes: self.sso.scopes.clone(),
            oidc: self.oidc.clone(),
            portal: self.portal.clone(),
        }
    }

    /// Describes the session: "sso-session `corp`", or "start URL `https://…`".
    pub(crate) fn describe(&self) -> String {
        if self.sso.is_legacy() {
            format!("start URL `{}`", self.label)
        } else {
            format!("sso-session `{}`", self.label)
        }
    }
}

/// The identity of a session: two with the same key share a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    name: Option<String>,
    start_url: String,
    scopes: Vec<String>,
    oidc: ServiceEndpoint,
    portal: ServiceEndpoint,
}
