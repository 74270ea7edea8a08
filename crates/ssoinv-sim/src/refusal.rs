//! How each service says no: its error codes for the same trouble, and its wire format. Codes and texts are those
//! of the services' API references ("Common errors", "Error responses") and of responses quoted in public issue
//! threads; the simulator's other modules only say what is wrong.

use serde_json::json;

use crate::clock;
use crate::http::{Reply, push_element};
use crate::service::Service;

/// An error answer, before it has a format.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Further members of the error element (S3), in order.
    pub(crate) members: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), members: Vec::new(), headers: Vec::new() }
    }

    fn member(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.members.push((name, value.into()));
        self
    }
}

/// Why a signed request isn't let in.
#[derive(Debug)]
pub(crate) enum Problem {
    /// No `Authorization` header.
    NoSignature,
    /// The header can't be read; what is wrong with it.
    Malformed(String),
    /// There is no such access key.
    UnknownKey(String),
    /// The session token isn't the key's.
    WrongToken(String),
    /// The credentials have ended.
    Expired(String),
    /// Headers that must be signed aren't.
    NotSigned(String),
    /// The signature is another one.
    WrongSignature { key_id: String, string_to_sign: String, canonical: String, given: String },
    /// The body isn't the one that was signed.
    WrongBody,
    /// The request's time is too far from ours.
    Skewed { sent: i64, now: i64, allowed: i64 },
    /// The scope names a region that doesn't exist, or the wrong service or day.
    WrongScope(String),
    /// The account hasn't switched the region on.
    RegionOff,
}

/// The refusal of a signed request in the words of the service.
pub(crate) fn of_problem(service: Service, problem: Problem) -> Refusal {
    match service {
        Service::S3 => of_s3(problem),
        Service::Ec2 => of_ec2(&problem),
        Service::Sts => of_sts(problem),
        Service::Lambda | Service::Portal | Service::Oidc | Service::Organizations | Service::Metadata => {
            of_lambda(problem)
        }
    }
}

const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. \
                               Check your AWS Secret Access Key and signing method. Consult the service \
                               documentation for details.";
const INVALID_TOKEN: &str = "The security token included in the request is invalid.";
const EXPIRED_TOKEN: &str = "The security token included in the request is expired";
const HOST_NOT_SIGNED: &str = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";

fn of_s3(problem: Problem) -> Refusal {
    match problem {
        Problem::NoSignature => Refusal::new(403, "AccessDenied", "Access Denied"),
        Problem::Malformed(what) | Problem::WrongScope(what) => Refusal::new(
            400,
            "AuthorizationHeaderMalformed",
            format!("The authorization header is malformed; {what}"),
        ),
        Problem::UnknownKey(id) => Refusal::new(
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        )
        .member("AWSAccessKeyId", id),
        Problem::WrongToken(token) => {
            Refusal::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
                .member("Token-0", token)
        }
        // S3 does give the token back, which is why no message may quote a whole body.
        Problem::Expired(token) => {
            Refusal::new(400, "ExpiredToken", "The provided token has expired.").member("Token-0", token)
        }
        Problem::NotSigned(headers) => Refusal::new(
            403,
            "AccessDenied",
            "There were headers present in the request which were not signed",
        )
        .member("HeadersNotSigned", headers),
        Problem::WrongSignature { key_id, string_to_sign, canonical, given } => Refusal::new(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and \
             signing method.",
        )
        .member("AWSAccessKeyId", key_id)
        .member("StringToSign", string_to_sign)
        .member("SignatureProvided", given)
        .member("CanonicalRequest", canonical),
        Problem::WrongBody => Refusal::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
        Problem::Skewed { sent, now, allowed } => Refusal::new(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
        .member("RequestTime", clock::compact(sent))
        .member("ServerTime", clock::iso(now))
        .member("MaxAllowedSkewMilliseconds", (allowed * 1000).to_string()),
        Problem::RegionOff => Refusal::new(
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
    }
}

fn of_ec2(problem: &Problem) -> Refusal {
    match problem {
        Problem::NoSignature => {
            Refusal::new(400, "MissingParameter", "The request must contain the parameter AWSAccessKeyId")
        }
        Problem::Expired(_) | Problem::Skewed { .. } => {
            Refusal::new(400, "RequestExpired", "Request has expired.")
        }
        // EC2 tells these apart as little as it tells a disabled region apart.
        Problem::Malformed(_)
        | Problem::UnknownKey(_)
        | Problem::WrongToken(_)
        | Problem::NotSigned(_)
        | Problem::WrongSignature { .. }
        | Problem::WrongBody
        | Problem::WrongScope(_)
        | Problem::RegionOff => {
            Refusal::new(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
        }
    }
}

fn skew_text(sent: i64, now: i64, allowed: i64) -> String {
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

fn of_sts(problem: Problem) -> Refusal {
    match problem {
        Problem::NoSignature => {
            Refusal::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        }
        Problem::Malformed(what) => Refusal::new(400, "IncompleteSignature", what),
        Problem::UnknownKey(_) | Problem::WrongToken(_) => {
            Refusal::new(403, "InvalidClientTokenId", INVALID_TOKEN)
        }
        // As for the other services, a region that is off doesn't know the account's keys; STS says so in words.
        Problem::RegionOff => Refusal::new(
            403,
            "RegionDisabledException",
            "STS is not activated in this region for the requesting account. Your account administrator can \
             activate STS in this region using the IAM Console.",
        ),
        Problem::Expired(_) => Refusal::new(403, "ExpiredToken", EXPIRED_TOKEN),
        Problem::NotSigned(_) => Refusal::new(403, "SignatureDoesNotMatch", HOST_NOT_SIGNED),
        Problem::WrongSignature { .. } | Problem::WrongBody => {
            Refusal::new(403, "SignatureDoesNotMatch", WRONG_SIGNATURE)
        }
        Problem::Skewed { sent, now, allowed } => {
            Refusal::new(403, "SignatureDoesNotMatch", skew_text(sent, now, allowed))
        }
        Problem::WrongScope(what) => Refusal::new(403, "SignatureDoesNotMatch", what),
    }
}

fn of_lambda(problem: Problem) -> Refusal {
    match problem {
        Problem::NoSignature => {
            Refusal::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        }
        Problem::Malformed(what) => Refusal::new(403, "IncompleteSignatureException", what),
        Problem::UnknownKey(_) | Problem::WrongToken(_) | Problem::RegionOff => {
            Refusal::new(403, "UnrecognizedClientException", INVALID_TOKEN)
        }
        Problem::Expired(_) => Refusal::new(403, "ExpiredTokenException", EXPIRED_TOKEN),
        Problem::NotSigned(_) => Refusal::new(403, "InvalidSignatureException", HOST_NOT_SIGNED),
        Problem::WrongSignature { .. } | Problem::WrongBody => {
            Refusal::new(403, "InvalidSignatureException", WRONG_SIGNATURE)
        }
        Problem::Skewed { sent, now, allowed } => {
            Refusal::new(403, "InvalidSignatureException", skew_text(sent, now, allowed))
        }
        Problem::WrongScope(what) => Refusal::new(403, "InvalidSignatureException", what),
    }
}

/// No permission: by the role's own policies, or by a service control policy.
pub(crate) fn denied(service: Service, caller: &str, operation: &str, by_scp: bool) -> Refusal {
    let action = service.action(operation);
    let why = if by_scp {
        "with an explicit deny in a service control policy".to_owned()
    } else {
        format!("because no identity-based policy allows the {action} action")
    };
    let resource = if service == Service::Lambda { " on resource: *" } else { "" };
    let text = format!("User: {caller} is not authorized to perform: {action}{resource} {why}");
    match service {
        Service::Portal => Refusal::new(403, "ForbiddenException", "No access"),
        Service::Oidc => Refusal::new(400, "AccessDeniedException", "Access denied"),
        Service::Ec2 => Refusal::new(
            403,
            "UnauthorizedOperation",
            format!("You are not authorized to perform this operation. {text}"),
        ),
        Service::S3 | Service::Sts => Refusal::new(403, "AccessDenied", text),
        Service::Lambda => Refusal::new(403, "AccessDeniedException", text),
        Service::Organizations => Refusal::new(400, "AccessDeniedException", text),
        Service::Metadata => Refusal::new(403, "Forbidden", "Forbidden"),
    }
}

/// Too many calls.
pub(crate) fn throttled(service: Service) -> Refusal {
    match service {
        Service::S3 => Refusal::new(503, "SlowDown", "Please reduce your request rate."),
        Service::Ec2 => Refusal::new(503, "RequestLimitExceeded", "Request limit exceeded."),
        Service::Sts => Refusal::new(400, "Throttling", "Rate exceeded"),
        Service::Lambda => Refusal::new(429, "TooManyRequestsException", "Rate exceeded"),
        Service::Portal => Refusal::new(429, "TooManyRequestsException", "HTTP 429 Unknown Code"),
        Service::Oidc => Refusal::new(400, "SlowDownException", "Slow down to fetch token"),
        Service::Organizations => Refusal::new(400, "TooManyRequestsException", "Rate exceeded"),
        Service::Metadata => Refusal::new(429, "TooManyRequests", "Too Many Requests"),
    }
}

/// Whether a code is one of those that [`throttled`] gives.
pub(crate) fn is_throttling(code: &str) -> bool {
    const CODES: [&str; 6] = [
        "SlowDown",
        "RequestLimitExceeded",
        "Throttling",
        "TooManyRequestsException",
        "SlowDownException",
        "TooManyRequests",
    ];
    CODES.contains(&code)
}

/// The service's own trouble: 500 is internal, everything else "unavailable".
pub(crate) fn broken(service: Service, status: u16) -> Refusal {
    let internal = status == 500;
    let code = match service {
        Service::S3 => {
            if internal {
                "InternalError"
            } else {
                "ServiceUnavailable"
            }
        }
        Service::Ec2 => {
            if internal {
                "InternalError"
            } else {
                "Unavailable"
            }
        }
        Service::Sts => {
            if internal {
                "InternalFailure"
            } else {
                "ServiceUnavailable"
            }
        }
        Service::Lambda | Service::Organizations | Service::Metadata => {
            if internal {
                "ServiceException"
            } else {
                "ServiceUnavailableException"
            }
        }
        Service::Portal | Service::Oidc => {
            if internal {
                "InternalServerException"
            } else {
                "ServiceUnavailableException"
            }
        }
    };
    let text = match (service, internal) {
        (Service::S3, true) => "We encountered an internal error. Please try again.",
        (_, true) => "An internal error has occurred",
        (_, false) => "The service is unavailable. Please try again shortly.",
    };
    Refusal::new(status, code, text)
}

/// The OAuth error (RFC 6749 §5.2, RFC 8628 §3.5) that stands beside AWS's code.
fn oauth_error(code: &str) -> &'static str {
    match code {
        "AuthorizationPendingException" => "authorization_pending",
        "SlowDownException" => "slow_down",
        "ExpiredTokenException" => "expired_token",
        "AccessDeniedException" => "access_denied",
        "InvalidGrantException" => "invalid_grant",
        "InvalidClientException" => "invalid_client",
        "InvalidScopeException" => "invalid_scope",
        "UnauthorizedClientException" => "unauthorized_client",
        "UnsupportedGrantTypeException" => "unsupported_grant_type",
        "InvalidClientMetadataException" => "invalid_client_metadata",
        "InternalServerException" | "ServiceUnavailableException" => "server_error",
        _ => "invalid_request",
    }
}

/// The refusal in the service's format.
pub(crate) fn render(service: Service, refusal: Refusal, request_id: &str, host_id: &str) -> Reply {
    let Refusal { status, code, message, members, headers } = refusal;
    let mut reply = match service {
        Service::S3 => {
            let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
            push_element(&mut xml, "Code", code);
            push_element(&mut xml, "Message", &message);
            for (name, value) in &members {
                push_element(&mut xml, name, value);
            }
            push_element(&mut xml, "RequestId", request_id);
            push_element(&mut xml, "HostId", host_id);
            xml.push_str("</Error>");
            Reply::new(status, "application/xml", xml)
        }
        Service::Ec2 => {
            let mut xml =
                String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>");
            push_element(&mut xml, "Code", code);
            push_element(&mut xml, "Message", &message);
            xml.push_str("</Error></Errors>");
            push_element(&mut xml, "RequestID", request_id);
            xml.push_str("</Response>");
            Reply::new(status, "text/xml;charset=UTF-8", xml)
        }
        Service::Sts => {
            let mut xml = String::from(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    ",
            );
            push_element(&mut xml, "Type", if status < 500 { "Sender" } else { "Receiver" });
            push_element(&mut xml, "Code", code);
            push_element(&mut xml, "Message", &message);
            xml.push_str("\n  </Error>\n  ");
            push_element(&mut xml, "RequestId", request_id);
            xml.push_str("\n</ErrorResponse>\n");
            Reply::new(status, "text/xml", xml)
        }
        Service::Lambda => {
            let body = match code {
                "TooManyRequestsException" => {
                    json!({"Reason": "CallerRateLimitExceeded", "Type": "User", "message": message})
                }
                "ServiceException" => json!({"Type": "Service", "Message": message}),
                // Lambda's own errors have a capital letter, those of the gate before it a small one.
                "AccessDeniedException" | "InvalidParameterValueException" => {
                    json!({"Type": "User", "Message": message})
                }
                _ => json!({"message": message}),
            };
            Reply::json(status, &body).with("x-amzn-errortype", code)
        }
        Service::Portal => {
            let kind = format!("com.amazonaws.switchboard.portal#{code}");
            Reply::json(status, &json!({"message": message, "__type": kind})).with("x-amzn-errortype", code)
        }
        Service::Organizations => Reply::new(
            status,
            "application/x-amz-json-1.1",
            json!({"__type": code, "Message": message}).to_string(),
        ),
        Service::Metadata => Reply::new(status, "text/html", message),
        Service::Oidc => Reply::json(
            status,
            &json!({"error": oauth_error(code), "error_description": message}),
        )
        .with("x-amzn-errortype", format!("{code}:http://internal.amazon.com/coral/com.amazonaws.sso.oidc/")),
    };
    reply.headers.extend(headers);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(service: Service, refusal: Refusal) -> (u16, String) {
        let reply = render(service, refusal, "req-1", "host-1");
        (reply.status, String::from_utf8(reply.body).unwrap())
    }

    #[test]
    fn each_service_has_its_own_words_for_ended_credentials() {
        let ended = |service| text(service, of_problem(service, Problem::Expired("tok".into())));
        let (status, body) = ended(Service::S3);
        assert_eq!(status, 400);
        assert!(
            body.contains("<Code>ExpiredToken</Code>") && body.contains("<Token-0>tok</Token-0>"),
            "{body}"
        );
        let (status, body) = ended(Service::Ec2);
        assert_eq!(status, 400);
        assert!(body.contains("<Code>RequestExpired</Code>") && !body.contains("tok"), "{body}");
        let (status, body) = ended(Service::Sts);
        assert_eq!(status, 403);
        assert!(body.contains("<Code>ExpiredToken</Code>") && body.contains("<Type>Sender</Type>"), "{body}");
        let reply =
            render(Service::Lambda, of_problem(Service::Lambda, Problem::Expired(String::new())), "r", "h");
        assert!(reply.headers.contains(&("x-amzn-errortype", "ExpiredTokenException".to_owned())));
    }

    #[test]
    fn an_scp_is_named_in_the_message() {
        for service in [Service::S3, Service::Ec2, Service::Lambda, Service::Sts] {
            let (status, body) = text(service, denied(service, "arn:x", "ListThings", true));
            assert_eq!(status, 403);
            assert!(body.contains("with an explicit deny in a service control policy"), "{body}");
            let (_, body) = text(service, denied(service, "arn:x", "ListThings", false));
            assert!(!body.contains("service control policy"), "{body}");
        }
    }

    #[test]
    fn skew_is_told_in_both_directions() {
        let late = of_sts(Problem::Skewed { sent: 0, now: 1000, allowed: 300 });
        assert!(late.message.contains("is now earlier than 19700101T001140Z (19700101T001640Z - 5 min.)"));
        let early = of_lambda(Problem::Skewed { sent: 2000, now: 1000, allowed: 300 });
        assert!(early.message.starts_with("Signature not yet current: 19700101T003320Z is still later"));
    }

    #[test]
    fn oidc_gives_the_oauth_error_beside_the_code() {
        let (status, body) = text(
            Service::Oidc,
            Refusal::new(400, "AuthorizationPendingException", "Authorization is still pending"),
        );
        assert_eq!(status, 400);
        assert_eq!(
            body,
            r#"{"error":"authorization_pending","error_description":"Authorization is still pending"}"#
        );
    }
}
