//! The sign-ins of a process: one [`SessionHandle`] for each, and one rate limiter for each portal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ssoinv_core::failure::Failure;
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_http::service_endpoint::ServiceEndpoint;
use ssoinv_profile::{Profile, SsoSession};

use crate::context::SsoContext;
use crate::session::{Session, SessionKey};
use crate::session_handle::SessionHandle;

/// The sign-ins of a process.
#[derive(Debug)]
pub(crate) struct SessionRegistry {
    context: Arc<SsoContext>,
    handles: Mutex<HashMap<SessionKey, Arc<SessionHandle>>>,
    /// By portal: AWS counts the calls of all sessions together.
    limiters: Mutex<HashMap<ServiceEndpoint, Arc<RateLimiter>>>,
}

impl SessionRegistry {
    pub(crate) fn new(context: Arc<SsoContext>) -> Self {
        Self { context, handles: Mutex::default(), limiters: Mutex::default() }
    }

    /// Returns the handle of a sign-in. `profile` may say where the sign-in and its portal are called.
    ///
    /// # Errors
    /// As [`SsoContext::service_endpoint`].
    pub(crate) fn get(
        &self,
        sso: &Arc<SsoSession>,
        profile: Option<&Profile>,
    ) -> Result<Arc<SessionHandle>, Failure> {
        let session = Session::new(sso, profile, &self.context)?;
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = handles.entry(session.key()).or_insert_with(|| {
            let limiter = self.limiter(&session.portal);
            Arc::new(SessionHandle::new(session, limiter, &self.context))
        });
        Ok(Arc::clone(handle))
    }

    fn limiter(&self, portal: &ServiceEndpoint) -> Arc<RateLimiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(RateLimiter::new(self.context.portal_pace));
        Arc::clone(limiters.entry(portal.clone()).or_insert_with(new))
    }
}
