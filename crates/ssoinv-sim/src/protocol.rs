//! Protocols: the formats of failures and request IDs on the wire. The protocols that several services share are below
//! `protocol/`; a service with a protocol of its own (S3, EC2, the portal) defines it in its own file.
//!
//! Sources: the services' API references ("Common errors", "Error responses"), and responses quoted in public issues.

use crate::clock;
use crate::errors::{AuthFailure, Denial, ServiceError};
use crate::http::Response;

pub(crate) mod json;
pub(crate) mod query;

/// The codes and formats of a service's failures, and the headers of its responses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    /// Status, code and message for too many calls.
    pub(crate) throttled: (u16, &'static str, &'static str),
    /// Code and message of status 500.
    pub(crate) internal: (&'static str, &'static str),
    /// Code of any other server error.
    pub(crate) unavailable: &'static str,
    /// Status and code for operations that aren't simulated.
    pub(crate) unknown_operation: (u16, &'static str),
    /// The error for a missing permission.
    pub(crate) denied: fn(&Denial<'_>) -> ServiceError,
    /// The error for a request that isn't authenticated.
    pub(crate) unauthenticated: fn(AuthFailure) -> ServiceError,
    /// Writes an error; the second argument is the request ID.
    pub(crate) write_error: fn(&ServiceError, &str) -> Response,
    /// Adds the headers that all responses have, the request ID among them.
    pub(crate) add_headers: fn(&mut Response, &str),
}

impl Protocol {
    pub(crate) fn throttled(&self) -> ServiceError {
        let (status, code, message) = self.throttled;
        ServiceError::new(status, code, message)
    }

    /// Returns the service's own error for a status of 500 or more.
    pub(crate) fn server_error(&self, status: u16) -> ServiceError {
        if status == 500 {
            let (code, message) = self.internal;
            ServiceError::new(status, code, message)
        } else {
            let text = "The service is unavailable. Please try again shortly.";
            ServiceError::new(status, self.unavailable, text)
        }
    }

    pub(crate) fn error_response(&self, error: ServiceError, request_id: &str) -> Response {
        let mut response = (self.write_error)(&error, request_id);
        response.headers.extend(error.headers);
        response
    }
}

/// Adds the request ID as most services do.
pub(crate) fn add_amzn_request_id(response: &mut Response, request_id: &str) {
    response.headers.push(("x-amzn-requestid", request_id.to_owned()));
}

const INTERNAL: &str = "An internal error has occurred";
const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. \
                               Check your AWS Secret Access Key and signing method. Consult the service \
                               documentation for details.";
const INVALID_TOKEN: &str = "The security token included in the request is invalid.";
const EXPIRED_TOKEN: &str = "The security token included in the request is expired";
const HOST_NOT_SIGNED: &str = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";

fn skew_message(sent: i64, now: i64, allowed: i64) -> String {
    let minutes = allowed / 60;
    let (sent_text, now_text) = (clock::compact(sent), clock::compact(now));
    if sent < now {
        let limit = clock::compact(now - allowed);
        format!("Signature expired: {sent_text} is now earlier than {limit} ({now_text} - {minutes} min.)")
    } else {
        let limit = clock::compact(now + allowed);
        format!(
            "Signature not yet current: {sent_text} is still later than {limit} ({now_text} + {minutes} min.)"
        )
    }
}
