//! Authenticates callers: by Signature Version 4, by the bearer token of an sso-session, or not at all, as the service's
//! definition says. `dispatch.rs` calls it before limits and faults.

use std::sync::Arc;

use crate::clock;
use crate::encoding::hex;
use crate::errors::{AuthFailure, ServiceError};
use crate::http::Request;
use crate::keys::Key;
use crate::regions;
use crate::routing::Destination;
use crate::service_definition::{Access, Handler, ServiceDefinition};
use crate::sigv4::{self, Authorization};
use crate::state::State;
use crate::sync::lock;

/// The allowed difference between a request's time and the server's, in seconds.
const SKEW: i64 = 300;
const SKEW_S3: i64 = 900;

/// An authenticated caller.
#[derive(Debug)]
pub(crate) enum Caller {
    Anonymous,
    /// The number of an sso-session.
    Session(usize),
    Signed(Arc<Key>),
}

impl Caller {
    /// Returns the ARN for messages.
    pub(crate) fn arn(&self) -> &str {
        match self {
            Self::Signed(key) => &key.principal.arn,
            Self::Anonymous | Self::Session(_) => "anonymous",
        }
    }
}

/// The account, region and identity of a call, as far as they are known; for the log, limits and faults.
#[derive(Debug, Default)]
pub(crate) struct CallIdentity {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) role: String,
    pub(crate) access_key_id: String,
    pub(crate) role_session: String,
}

/// Returns the identity of a call, also of a rejected one, and its caller.
pub(crate) fn authenticate(
    state: &State,
    destination: &Destination,
    request: &Request,
) -> (CallIdentity, Result<Caller, ServiceError>) {
    let service = destination.service;
    let is_anonymous =
        destination.operation.is_some_and(|operation| matches!(operation.handler, Handler::Anonymous(_)));
    match service.access {
        Access::Anonymous => (CallIdentity::default(), Ok(Caller::Anonymous)),
        _ if is_anonymous => (CallIdentity::default(), Ok(Caller::Anonymous)),
        Access::BearerToken => {
            let identity = CallIdentity {
                account: destination.params.get("account_id").unwrap_or_default().to_owned(),
                role: destination.params.get("role_name").unwrap_or_default().to_owned(),
                ..CallIdentity::default()
            };
            let failure = || (service.protocol.unauthenticated)(AuthFailure::UnknownKey(String::new()));
            (identity, session_of(state, request).map(Caller::Session).ok_or_else(failure))
        }
        Access::Signed | Access::SignedAsS3 => {
            let (identity, key) = authenticate_signature(state, service, request);
            (identity, key.map(Caller::Signed).map_err(service.protocol.unauthenticated))
        }
    }
}

/// Returns the session of the bearer token. Portals of other regions don't know the token.
fn session_of(state: &State, request: &Request) -> Option<usize> {
    let token = request.header("x-amz-sso_bearer_token")?;
    let session = lock(&state.sign_ins).check(token, state.now())?;
    state.is_at_home(session, request).then_some(session)
}

fn authenticate_signature(
    state: &State,
    service: &ServiceDefinition,
    request: &Request,
) -> (CallIdentity, Result<Arc<Key>, AuthFailure>) {
    let mut identity = CallIdentity::default();
    let Some(header) = request.header("authorization") else {
        return (identity, Err(AuthFailure::NoSignature));
    };
    let authorization = match Authorization::parse(header) {
        Ok(authorization) => authorization,
        Err(problem) => return (identity, Err(AuthFailure::Malformed(problem))),
    };
    authorization.region.clone_into(&mut identity.region);
    authorization.key_id.clone_into(&mut identity.access_key_id);
    let Some(key) = state.keys.get(authorization.key_id) else {
        return (identity, Err(AuthFailure::UnknownKey(authorization.key_id.to_owned())));
    };
    let identity = CallIdentity {
        account: key.account_id.clone(),
        role: key.principal.role.clone(),
        role_session: key.principal.session.clone(),
        ..identity
    };
    let checked = check(state, service, request, &authorization, &key);
    (identity, checked.map(|()| key))
}

/// Checks token, scope, signature, body, time and expiry, in this order.
fn check(
    state: &State,
    service: &ServiceDefinition,
    request: &Request,
    authorization: &Authorization<'_>,
    key: &Key,
) -> Result<(), AuthFailure> {
    let is_s3 = service.access == Access::SignedAsS3;
    let token = request.header("x-amz-security-token");
    if token != key.token.as_deref() {
        return Err(AuthFailure::WrongToken(token.unwrap_or_default().to_owned()));
    }
    check_scope(state, service, authorization)?;
    check_signed_headers(request, authorization)?;
    let sent = request.header("x-amz-date").unwrap_or_default();
    let sent_at = check_date(sent, authorization)?;
    check_signature(request, authorization, key, is_s3, sent)?;

    let now_ms = state.clock.now_ms();
    let (now, allowed) = (now_ms / 1000, if is_s3 { SKEW_S3 } else { SKEW });
    if (sent_at - now).abs() > allowed {
        return Err(AuthFailure::Skewed { sent: sent_at, now, allowed });
    }
    if key.has_expired(now_ms) || !key.count_call() {
        return Err(AuthFailure::Expired(token.unwrap_or_default().to_owned()));
    }
    if !is_s3 && !state.region_enabled(key.account, authorization.region) {
        return Err(AuthFailure::RegionDisabled);
    }
    Ok(())
}

/// Checks that the scope names the service that the request is for, and a region of the partition.
fn check_scope(
    state: &State,
    service: &ServiceDefinition,
    authorization: &Authorization<'_>,
) -> Result<(), AuthFailure> {
    let name = service.service.name();
    if authorization.service != name {
        let message = format!("Credential should be scoped to correct service: '{name}'. ");
        return Err(AuthFailure::WrongScope(message));
    }
    let region = authorization.region;
    if regions::needs_opt_in(region).is_none() || regions::partition(region) != state.partition() {
        return Err(AuthFailure::WrongScope(match service.access {
            Access::SignedAsS3 => format!("the region '{region}' is wrong; expecting 'us-east-1'"),
            _ => "Credential should be scoped to a valid region. ".to_owned(),
        }));
    }
    Ok(())
}

fn check_signed_headers(request: &Request, authorization: &Authorization<'_>) -> Result<(), AuthFailure> {
    let signed = &authorization.signed_headers;
    let must_be_signed = |name: &str| name == "host" || name.starts_with("x-amz-");
    let unsigned: Vec<&str> = request
        .headers
        .keys()
        .map(hyper::header::HeaderName::as_str)
        .filter(|name| must_be_signed(name) && !signed.contains(name))
        .collect();
    if !unsigned.is_empty() || !signed.contains(&"host") {
        return Err(AuthFailure::NotSigned(unsigned.join(", ")));
    }
    Ok(())
}

/// Returns the time of `X-Amz-Date` in seconds, if the scope has the same day.
fn check_date(sent: &str, authorization: &Authorization<'_>) -> Result<i64, AuthFailure> {
    let Some(sent_at) = clock::parse_compact(sent) else {
        return Err(AuthFailure::Malformed("Date must be in ISO-8601 'basic format'".to_owned()));
    };
    if !sent.starts_with(authorization.date) {
        return Err(AuthFailure::WrongScope(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}'",
            authorization.date,
            sent.get(..8).unwrap_or_default()
        )));
    }
    Ok(sent_at)
}

fn check_signature(
    request: &Request,
    authorization: &Authorization<'_>,
    key: &Key,
    is_s3: bool,
    sent: &str,
) -> Result<(), AuthFailure> {
    let body_hash = hex(&sigv4::sha256(&request.body));
    let given_hash = request.header("x-amz-content-sha256");
    let payload_hash = match given_hash {
        None if is_s3 => return Err(AuthFailure::Malformed("x-amz-content-sha256 is missing".to_owned())),
        Some("UNSIGNED-PAYLOAD") if is_s3 => "UNSIGNED-PAYLOAD",
        _ => body_hash.as_str(),
    };
    let signed = &authorization.signed_headers;
    let canonical = sigv4::canonical_request(request, signed, given_hash.unwrap_or(payload_hash), is_s3);
    let scope = authorization.scope();
    let text = sigv4::string_to_sign(sent, &scope, &canonical);
    let signing_key =
        key.signing_key(&scope, authorization.date, authorization.region, authorization.service);
    if sigv4::signature(&signing_key, &text) != authorization.signature {
        return Err(AuthFailure::WrongSignature {
            key_id: key.id.clone(),
            string_to_sign: text,
            canonical,
            given: authorization.signature.to_owned(),
        });
    }
    if given_hash.is_some_and(|given| given != payload_hash) {
        return Err(AuthFailure::WrongBody);
    }
    Ok(())
}
