//! The JSON protocols: REST with JSON (Lambda), and JSON 1.1 with an `X-Amz-Target` header (Organizations).

use serde_json::json;

use super::{
    EXPIRED_TOKEN, HOST_NOT_SIGNED, INTERNAL, INVALID_TOKEN, Protocol, WRONG_SIGNATURE, add_amzn_request_id,
    skew_message,
};
use crate::errors::{AuthFailure, Denial, ServiceError};
use crate::http::Response;

/// The media type of JSON 1.1.
pub(crate) const JSON_1_1_TYPE: &str = "application/x-amz-json-1.1";

/// JSON 1.1 with the codes of its "Common errors".
pub(crate) const JSON_1_1: Protocol = Protocol {
    throttled: (400, "TooManyRequestsException", "Rate exceeded"),
    internal: ("ServiceException", INTERNAL),
    unavailable: "ServiceUnavailableException",
    unknown_operation: (400, "UnknownOperationException"),
    denied: |denial: &Denial<'_>| ServiceError::new(400, "AccessDeniedException", denial.message("")),
    unauthenticated,
    write_error: |error: &ServiceError, _| {
        let body = json!({"__type": error.code, "Message": error.message});
        Response::new(error.status, JSON_1_1_TYPE, body.to_string())
    },
    add_headers: add_amzn_request_id,
};

/// REST with JSON: the code is in a header, the message in the body.
pub(crate) const REST_JSON: Protocol = Protocol {
    throttled: (429, "TooManyRequestsException", "Rate exceeded"),
    unknown_operation: (404, "ResourceNotFoundException"),
    denied: |denial: &Denial<'_>| {
        ServiceError::new(403, "AccessDeniedException", denial.message(" on resource: *"))
    },
    write_error: |error: &ServiceError, _| {
        Response::json(error.status, &json!({"message": error.message})).with("x-amzn-errortype", error.code)
    },
    ..JSON_1_1
};

fn unauthenticated(failure: AuthFailure) -> ServiceError {
    match failure {
        AuthFailure::NoSignature => {
            ServiceError::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        }
        AuthFailure::Malformed(what) => ServiceError::new(403, "IncompleteSignatureException", what),
        AuthFailure::UnknownKey(_) | AuthFailure::WrongToken(_) | AuthFailure::RegionDisabled => {
            ServiceError::new(403, "UnrecognizedClientException", INVALID_TOKEN)
        }
        AuthFailure::Expired(_) => ServiceError::new(403, "ExpiredTokenException", EXPIRED_TOKEN),
        AuthFailure::NotSigned(_) => ServiceError::new(403, "InvalidSignatureException", HOST_NOT_SIGNED),
        AuthFailure::WrongSignature { .. } | AuthFailure::WrongBody => {
            ServiceError::new(403, "InvalidSignatureException", WRONG_SIGNATURE)
        }
        AuthFailure::Skewed { sent, now, allowed } => {
            ServiceError::new(403, "InvalidSignatureException", skew_message(sent, now, allowed))
        }
        AuthFailure::WrongScope(what) => ServiceError::new(403, "InvalidSignatureException", what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_credentials() {
        let error = unauthenticated(AuthFailure::Expired(String::new()));
        let response = REST_JSON.error_response(error, "r");
        assert!(response.headers.contains(&("x-amzn-errortype", "ExpiredTokenException".to_owned())));
    }

    #[test]
    fn an_early_request_is_told_the_limit() {
        let early = unauthenticated(AuthFailure::Skewed { sent: 2000, now: 1000, allowed: 300 });
        assert!(early.message.starts_with("Signature not yet current: 19700101T003320Z is still later"));
    }
}
