//! The query protocol: forms with an `Action`, and XML. STS uses it.

use super::{
    EXPIRED_TOKEN, HOST_NOT_SIGNED, INTERNAL, INVALID_TOKEN, Protocol, WRONG_SIGNATURE, add_amzn_request_id,
    skew_message,
};
use crate::encoding::push_element;
use crate::errors::{AuthFailure, Denial, ServiceError};
use crate::http::Response;

/// The query protocol with the codes of its "Common errors". The namespace of errors is STS's.
pub(crate) const QUERY: Protocol = Protocol {
    throttled: (400, "Throttling", "Rate exceeded"),
    internal: ("InternalFailure", INTERNAL),
    unavailable: "ServiceUnavailable",
    unknown_operation: (400, "InvalidAction"),
    denied: |denial: &Denial<'_>| ServiceError::new(403, "AccessDenied", denial.message("")),
    unauthenticated,
    write_error,
    add_headers: add_amzn_request_id,
};

fn unauthenticated(failure: AuthFailure) -> ServiceError {
    match failure {
        AuthFailure::NoSignature => {
            ServiceError::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        }
        AuthFailure::Malformed(what) => ServiceError::new(400, "IncompleteSignature", what),
        AuthFailure::UnknownKey(_) | AuthFailure::WrongToken(_) => {
            ServiceError::new(403, "InvalidClientTokenId", INVALID_TOKEN)
        }
        // Other services don't know the account's keys in a disabled region; STS says so in words.
        AuthFailure::RegionDisabled => ServiceError::new(
            403,
            "RegionDisabledException",
            "STS is not activated in this region for the requesting account. Your account administrator can \
             activate STS in this region using the IAM Console.",
        ),
        AuthFailure::Expired(_) => ServiceError::new(403, "ExpiredToken", EXPIRED_TOKEN),
        AuthFailure::NotSigned(_) => ServiceError::new(403, "SignatureDoesNotMatch", HOST_NOT_SIGNED),
        AuthFailure::WrongSignature { .. } | AuthFailure::WrongBody => {
            ServiceError::new(403, "SignatureDoesNotMatch", WRONG_SIGNATURE)
        }
        AuthFailure::Skewed { sent, now, allowed } => {
            ServiceError::new(403, "SignatureDoesNotMatch", skew_message(sent, now, allowed))
        }
        AuthFailure::WrongScope(what) => ServiceError::new(403, "SignatureDoesNotMatch", what),
    }
}

fn write_error(error: &ServiceError, request_id: &str) -> Response {
    let mut xml =
        String::from("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    ");
    push_element(&mut xml, "Type", if error.status < 500 { "Sender" } else { "Receiver" });
    push_element(&mut xml, "Code", error.code);
    push_element(&mut xml, "Message", &error.message);
    xml.push_str("\n  </Error>\n  ");
    push_element(&mut xml, "RequestId", request_id);
    xml.push_str("\n</ErrorResponse>\n");
    Response::new(error.status, "text/xml", xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: ServiceError) -> (u16, String) {
        let response = QUERY.error_response(error, "req-1");
        (response.status, String::from_utf8(response.body).unwrap())
    }

    #[test]
    fn expired_credentials() {
        let (status, body) = text(unauthenticated(AuthFailure::Expired("tok".into())));
        assert_eq!(status, 403);
        assert!(body.contains("<Code>ExpiredToken</Code>") && body.contains("<Type>Sender</Type>"), "{body}");
    }

    #[test]
    fn an_scp_is_named_in_the_message() {
        let denial = |by_scp| Denial { caller: "arn:x", action: "sts:Do", by_scp };
        let (status, body) = text((QUERY.denied)(&denial(true)));
        assert_eq!(status, 403);
        assert!(body.contains("with an explicit deny in a service control policy"), "{body}");
        let (_, body) = text((QUERY.denied)(&denial(false)));
        assert!(!body.contains("service control policy"), "{body}");
    }

    #[test]
    fn a_late_request_is_told_the_limit() {
        let late = unauthenticated(AuthFailure::Skewed { sent: 0, now: 1000, allowed: 300 });
        assert!(late.message.contains("is now earlier than 19700101T001140Z (19700101T001640Z - 5 min.)"));
    }
}
