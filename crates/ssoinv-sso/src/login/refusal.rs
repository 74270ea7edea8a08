//! Failures of sign-ins that were refused.

use ssoinv_core::failure::{Failure, FailureKind};

use crate::session::Session;

/// Returns the failure of a sign-in that a person declined.
pub(super) fn declined(session: &Session) -> Failure {
    let message = format!("the sign-in to {} was declined in the browser", session.describe());
    Failure::new(FailureKind::SignInExpired, message).with_code("SignInDeclined")
}
