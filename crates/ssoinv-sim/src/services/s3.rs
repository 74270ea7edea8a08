//! S3: ListBuckets. Without `max-buckets` a response has all buckets and no `BucketRegion`, as the real service's.

use crate::clock;
use crate::encoding::push_element;
use crate::errors::{AuthFailure, ServiceError};
use crate::http::Response;
use crate::keys::Key;
use crate::limits::Rate;
use crate::paging::{page_start, page_token};
use crate::protocol::{Protocol, query};
use crate::rng::{self, Rng};
use crate::service::Service;
use crate::service_definition::{
    Access, Handler, HandlerResult, Invocation, Operation, RateScope, Route, ServiceDefinition,
};

impl Service {
    /// Simple Storage Service.
    pub const S3: Self = Self::new("s3");
}

pub(crate) const SERVICE: ServiceDefinition = ServiceDefinition {
    service: Service::S3,
    host_prefixes: &["s3", "s3-fips", "s3.dualstack", "s3-fips.dualstack"],
    global_hosts: &["s3.amazonaws.com"],
    access: Access::SignedAsS3,
    protocol: PROTOCOL,
    query_version: None,
    documented_rate: Some(Rate { burst: 100.0, per_second: 50.0 }),
    rate_scope: RateScope::Account,
    operations: &[Operation::new("ListBuckets", Route::Path("GET", "/"), Handler::Signed(list_buckets))
        .action("s3:ListAllMyBuckets")],
};

const PROTOCOL: Protocol = Protocol {
    throttled: (503, "SlowDown", "Please reduce your request rate."),
    internal: ("InternalError", "We encountered an internal error. Please try again."),
    unavailable: "ServiceUnavailable",
    unknown_operation: (501, "NotImplemented"),
    unauthenticated,
    write_error,
    add_headers,
    ..query::QUERY
};

/// The largest page.
const PAGE: usize = 10_000;

fn unauthenticated(failure: AuthFailure) -> ServiceError {
    let error = ServiceError::new;
    let unknown_key = "The AWS Access Key Id you provided does not exist in our records.";
    match failure {
        AuthFailure::NoSignature => error(403, "AccessDenied", "Access Denied"),
        AuthFailure::Malformed(what) | AuthFailure::WrongScope(what) => {
            let message = format!("The authorization header is malformed; {what}");
            ServiceError::new(400, "AuthorizationHeaderMalformed", message)
        }
        AuthFailure::UnknownKey(id) => {
            error(403, "InvalidAccessKeyId", unknown_key).member("AWSAccessKeyId", id)
        }
        AuthFailure::WrongToken(token) => {
            error(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
                .member("Token-0", token)
        }
        // S3 returns the token, which is why no message of a client may quote a whole body.
        AuthFailure::Expired(token) => {
            error(400, "ExpiredToken", "The provided token has expired.").member("Token-0", token)
        }
        AuthFailure::NotSigned(headers) => {
            error(403, "AccessDenied", "There were headers present in the request which were not signed")
                .member("HeadersNotSigned", headers)
        }
        AuthFailure::WrongSignature { key_id, string_to_sign, canonical, given } => error(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and \
             signing method.",
        )
        .member("AWSAccessKeyId", key_id)
        .member("StringToSign", string_to_sign)
        .member("SignatureProvided", given)
        .member("CanonicalRequest", canonical),
        AuthFailure::WrongBody => error(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
        AuthFailure::Skewed { sent, now, allowed } => error(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
        .member("RequestTime", clock::compact(sent))
        .member("ServerTime", clock::iso(now))
        .member("MaxAllowedSkewMilliseconds", (allowed * 1000).to_string()),
        AuthFailure::RegionDisabled => error(403, "InvalidAccessKeyId", unknown_key),
    }
}

/// Returns S3's form of a request ID.
fn s3_request_id(request_id: &str) -> String {
    request_id[..16].replace('-', "0").to_uppercase()
}

/// Returns S3's second request ID.
fn host_id(request_id: &str) -> String {
    Rng::new(rng::of_text(request_id)).base64(56) + "="
}

fn write_error(error: &ServiceError, request_id: &str) -> Response {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    push_element(&mut xml, "Code", error.code);
    push_element(&mut xml, "Message", &error.message);
    for (name, value) in &error.members {
        push_element(&mut xml, name, value);
    }
    push_element(&mut xml, "RequestId", &s3_request_id(request_id));
    push_element(&mut xml, "HostId", &host_id(request_id));
    xml.push_str("</Error>");
    Response::new(error.status, "application/xml", xml)
}

fn add_headers(response: &mut Response, request_id: &str) {
    response.headers.push(("x-amz-request-id", s3_request_id(request_id)));
    response.headers.push(("x-amz-id-2", host_id(request_id)));
    response.headers.push(("server", "AmazonS3".to_owned()));
}

fn invalid(message: &str) -> ServiceError {
    ServiceError::new(400, "InvalidArgument", message)
}

fn list_buckets(invocation: &Invocation<'_>, caller: &Key) -> HandlerResult {
    let Invocation { state, params, .. } = *invocation;
    let organisation = &state.organisation;
    let list = rng::of_parts(&[3, caller.account as u64]);
    let paged = match params.get("max-buckets") {
        None => None,
        Some(text) => match text.parse::<usize>() {
            Ok(size @ 1..=PAGE) => Some(size),
            _ => return Err(invalid("Argument max-buckets must be an integer between 1 and 10000")),
        },
    };
    let start = match params.get("continuation-token") {
        None => 0,
        Some(token) => {
            page_start(list, token).ok_or_else(|| invalid("The continuation token provided is incorrect"))?
        }
    };
    let (prefix, region) = (params.get("prefix").unwrap_or_default(), params.get("bucket-region"));
    let mut found = (start..organisation.bucket_count(caller.account))
        .map(|number| (number, organisation.bucket(caller.account, number)))
        .filter(|(_, bucket)| bucket.name.starts_with(prefix) && region.is_none_or(|r| bucket.region == r));

    let mut xml = String::with_capacity(4096);
    xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.push_str("<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner>");
    let owner = state.rng_for(&format!("owner/{}", caller.account_id)).hex(64);
    push_element(&mut xml, "ID", &owner);
    xml.push_str("</Owner><Buckets>");
    for (_, bucket) in found.by_ref().take(paged.unwrap_or(usize::MAX)) {
        xml.push_str("<Bucket>");
        push_element(&mut xml, "Name", &bucket.name);
        push_element(&mut xml, "CreationDate", &clock::iso_millis(bucket.created));
        if paged.is_some() {
            push_element(&mut xml, "BucketRegion", &bucket.region);
        }
        push_element(&mut xml, "BucketArn", &format!("arn:{}:s3:::{}", state.partition(), bucket.name));
        xml.push_str("</Bucket>");
    }
    xml.push_str("</Buckets>");
    if !prefix.is_empty() {
        push_element(&mut xml, "Prefix", prefix);
    }
    if let Some((next, _)) = found.next() {
        push_element(&mut xml, "ContinuationToken", &page_token(list, next));
    }
    xml.push_str("</ListAllMyBucketsResult>");
    Ok(Response::new(200, "application/xml", xml))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_credentials() {
        let error = unauthenticated(AuthFailure::Expired("tok".into()));
        let response = PROTOCOL.error_response(error, "0123456789abcdef-1");
        let body = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, 400);
        assert!(
            body.contains("<Code>ExpiredToken</Code>") && body.contains("<Token-0>tok</Token-0>"),
            "{body}"
        );
    }
}
