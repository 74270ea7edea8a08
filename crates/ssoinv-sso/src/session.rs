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
    /// As the files have it.
    pub sso: Arc<SsoSession>,
    /// How people know it: its name, or its start URL.
    pub label: Arc<str>,
    /// Where the sign-in is.
    pub oidc: ServiceEndpoint,
    /// Where the portal is.
    pub portal: ServiceEndpoint,
}

impl Session {
    /// The sign-in of a profile, which its `sso_session` or `sso_start_url` names.
    ///
    /// Two profiles of one sso-session may name different endpoints; then they are two sessions that share the token's
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

    /// What tells sessions apart.
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

    /// The session in a message: "sso-session `corp`", or "start URL `https://…`".
    pub(crate) fn called(&self) -> String {
        if self.sso.is_legacy() {
            format!("start URL `{}`", self.label)
        } else {
            format!("sso-session `{}`", self.label)
        }
    }
}

/// What tells sessions apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    name: Option<String>,
    start_url: String,
    scopes: Vec<String>,
    oidc: ServiceEndpoint,
    portal: ServiceEndpoint,
}
