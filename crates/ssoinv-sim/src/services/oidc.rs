//! The OIDC service of IAM Identity Center: RegisterClient, StartDeviceAuthorization, CreateToken (device code,
//! authorization code and refresh token). Shapes: the service model of `sso-oidc`. Codes and tokens are in
//! `sign_ins.rs` and `authorize.rs`.

use serde_json::{Value, json};

use crate::authorization_code::is_verifier;
use crate::clients::{ACCESS_SCOPE, CODE_GRANT, ClientMetadata, DEVICE_GRANT, REFRESH_GRANT, may_register};
use crate::errors::ServiceError;
use crate::http::Response;
use crate::organisation::Session;
use crate::protocol::{Protocol, json};
use crate::service::Service;
use crate::service_definition::{
    Access, Handler, HandlerResult, Invocation, Operation, RateScope, Route, ServiceDefinition,
};
use crate::sign_ins::reject;
use crate::state::State;
use crate::sync::lock;

impl Service {
    /// IAM Identity Center's OIDC service: registrations, device authorizations, tokens.
    pub const OIDC: Self = Self::new("oidc");
}

pub(crate) const SERVICE: ServiceDefinition = ServiceDefinition {
    service: Service::OIDC,
    host_prefixes: &["oidc", "oidc-fips"],
    global_hosts: &[],
    access: Access::Anonymous,
    protocol: PROTOCOL,
    query_version: None,
    documented_rate: None,
    rate_scope: RateScope::Service,
    operations: &[
        Operation::new(
            "RegisterClient",
            Route::Path("POST", "/client/register"),
            Handler::Anonymous(register),
        ),
        Operation::new(
            "StartDeviceAuthorization",
            Route::Path("POST", "/device_authorization"),
            Handler::Anonymous(start_device_authorization),
        ),
        Operation::new("CreateToken", Route::Path("POST", "/token"), Handler::Anonymous(create_token)),
    ],
};

const PROTOCOL: Protocol = Protocol {
    throttled: (400, "SlowDownException", "Slow down to fetch token"),
    internal: ("InternalServerException", "An internal error has occurred"),
    unknown_operation: (400, "InvalidAction"),
    denied: |_| ServiceError::new(400, "AccessDeniedException", "Access denied"),
    write_error,
    ..json::REST_JSON
};

/// Writes AWS's code into a header and the OAuth error into the body.
fn write_error(error: &ServiceError, _request_id: &str) -> Response {
    let kind = format!("{}:http://internal.amazon.com/coral/com.amazonaws.sso.oidc/", error.code);
    let body = json!({"error": oauth_error(error.code), "error_description": error.message});
    Response::json(error.status, &body).with("x-amzn-errortype", kind)
}

/// Returns the OAuth error (RFC 6749 §5.2, RFC 8628 §3.5) for AWS's code.
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

fn body(invocation: &Invocation<'_>) -> Result<Value, ServiceError> {
    let invalid = |_| ServiceError::new(400, "InvalidRequestException", "The request body is not valid JSON");
    serde_json::from_slice(&invocation.request.body).map_err(invalid)
}

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, ServiceError> {
    match body.get(name).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => reject(400, "InvalidRequestException", &format!("Missing or invalid parameter: {name}")),
    }
}

fn texts(body: &Value, name: &str) -> Vec<String> {
    let list = body.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// Returns true for scopes that can be registered: the one for account access, OpenID's, and those of applications.
fn is_known_scope(scope: &str) -> bool {
    [ACCESS_SCOPE, "openid", "aws", "offline_access"].contains(&scope)
        || ["codewhisperer:", "datazone:", "redshift:", "verified_access:"]
            .iter()
            .any(|head| scope.starts_with(head))
}

fn register(invocation: &Invocation<'_>) -> HandlerResult {
    let (state, body) = (invocation.state, &body(invocation)?);
    text(body, "clientName")?;
    if text(body, "clientType")? != "public" {
        return reject(400, "InvalidClientMetadataException", "Invalid client type provided");
    }
    let (scopes, grants) = (texts(body, "scopes"), texts(body, "grantTypes"));
    if !scopes.iter().all(|scope| is_known_scope(scope)) {
        return reject(400, "InvalidScopeException", "Invalid scope provided");
    }
    let known = [DEVICE_GRANT, CODE_GRANT, REFRESH_GRANT];
    if let Some(grant) = grants.iter().find(|grant| !known.contains(&grant.as_str())) {
        return reject(400, "UnsupportedGrantTypeException", &format!("Unsupported grant type: {grant}"));
    }
    // AWS's response (sorah/mairu #18), though the API Reference doesn't have it.
    if [DEVICE_GRANT, CODE_GRANT].iter().all(|flow| grants.iter().any(|grant| grant == flow)) {
        return reject(500, "InternalServerException", "Unexpected error has occurred");
    }
    let redirect_uris = texts(body, "redirectUris");
    if redirect_uris.iter().any(|uri| !may_register(uri)) {
        return reject(400, "InvalidRedirectUriException", "Invalid redirect uri provided");
    }
    let mut session = None;
    if grants.iter().any(|grant| grant == CODE_GRANT) {
        if redirect_uris.is_empty() {
            return reject(
                400,
                "InvalidRedirectUriException",
                "Redirect uris are needed for this grant type",
            );
        }
        session = session_of(state, text(body, "issuerUrl")?);
        if session.is_none() {
            return reject(400, "InvalidRequestException", "Invalid issuer url provided");
        }
    }
    let now = state.now();
    let region = state.organisation.sessions().first().map_or("us-east-1", |session| session.region.as_str());
    let metadata = ClientMetadata { scopes, grants, redirect_uris, session };
    let registration = lock(&state.sign_ins).register(&state.issuer, region, metadata, now);
    Ok(Response::json(
        200,
        &json!({
            "clientId": registration.client_id,
            "clientSecret": registration.client_secret,
            "clientIdIssuedAt": now.ms / 1000,
            "clientSecretExpiresAt": registration.expires / 1000,
            "authorizationEndpoint": null,
            "tokenEndpoint": null,
        }),
    ))
}

/// Returns the session of a start URL.
fn session_of(state: &State, start_url: &str) -> Option<usize> {
    let url = Session::bare_url(start_url);
    let sessions = state.organisation.sessions();
    sessions.iter().position(|session| Session::bare_url(&session.start_url) == url)
}

/// Starts a device authorization. AWS issues a code in any region; codes of the wrong one can't be approved
/// (aws-cli #5058).
fn start_device_authorization(invocation: &Invocation<'_>) -> HandlerResult {
    let (state, body) = (invocation.state, &body(invocation)?);
    let client = (text(body, "clientId")?, text(body, "clientSecret")?);
    let session = session_of(state, text(body, "startUrl")?);
    let at_home = session.is_none_or(|session| state.is_at_home(session, invocation.request));
    let mut sign_ins = lock(&state.sign_ins);
    let (code, user_code) = sign_ins.start(&state.issuer, client, session, at_home, state.now())?;
    Ok(Response::json(
        200,
        &json!({
            "deviceCode": code,
            "userCode": user_code,
            "verificationUri": format!("{}/device", state.url),
            "verificationUriComplete": format!("{}/device?user_code={user_code}", state.url),
            "expiresIn": sign_ins.device_lifetime,
            "interval": sign_ins.interval,
        }),
    ))
}

fn create_token(invocation: &Invocation<'_>) -> HandlerResult {
    let (state, body) = (invocation.state, &body(invocation)?);
    let client = (text(body, "clientId")?, text(body, "clientSecret")?);
    let grant = text(body, "grantType")?;
    let now = state.now();
    let mut sign_ins = lock(&state.sign_ins);
    let registered = sign_ins.client(client.0, client.1, now)?;
    if texts(body, "scope").iter().any(|scope| !registered.scopes.contains(scope)) {
        return reject(400, "InvalidScopeException", "Invalid scope provided");
    }
    let sign_in = match grant {
        DEVICE_GRANT => sign_ins.poll(&state.issuer, client, text(body, "deviceCode")?, now)?,
        CODE_GRANT => {
            let verifier = text(body, "codeVerifier")?;
            // A text that can't be a verifier is no secret, and may occur anywhere.
            if is_verifier(verifier) {
                state.issuer.record(verifier);
            }
            let (code, redirect_uri) = (text(body, "code")?, text(body, "redirectUri")?);
            sign_ins.exchange(&state.issuer, client, code, verifier, redirect_uri, now)?
        }
        REFRESH_GRANT => sign_ins.refresh(&state.issuer, client, text(body, "refreshToken")?, now)?,
        _ => return reject(400, "UnsupportedGrantTypeException", "Unsupported grant type provided"),
    };
    Ok(Response::json(
        200,
        &json!({
            "accessToken": sign_in.access_token,
            "tokenType": "Bearer",
            "expiresIn": sign_in.expires_in,
            "refreshToken": sign_in.refresh_token,
            "idToken": null,
            "issuedTokenType": null,
            "originSessionId": null,
            "scope": null,
            "aws_sso_app_session_id": null,
        }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_oauth_error_beside_the_code() {
        let error = ServiceError::new(400, "AuthorizationPendingException", "Authorization is still pending");
        let response = PROTOCOL.error_response(error, "req-1");
        assert_eq!(response.status, 400);
        assert_eq!(
            String::from_utf8(response.body).unwrap(),
            r#"{"error":"authorization_pending","error_description":"Authorization is still pending"}"#
        );
    }
}
