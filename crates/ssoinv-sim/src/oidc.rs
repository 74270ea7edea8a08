//! The OIDC service of IAM Identity Center: RegisterClient, StartDeviceAuthorization, CreateToken (device code,
//! authorization code and refresh token). Shapes: the service model of `sso-oidc`. What happens to codes and tokens
//! is in `sign_ins.rs` and `authorize.rs`.

use serde_json::{Value, json};

use crate::authorize::is_verifier;
use crate::clients::{ACCESS_SCOPE, Asked, CODE_GRANT, DEVICE_GRANT, REFRESH_GRANT, may_register};
use crate::http::{Reply, Request};
use crate::lock;
use crate::organisation::Session;
use crate::refusal::Refusal;
use crate::sign_ins::refuse;
use crate::state::State;

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    match body.get(name).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => {
            Err(Refusal::new(400, "InvalidRequestException", format!("Missing or invalid parameter: {name}")))
        }
    }
}

fn texts(body: &Value, name: &str) -> Vec<String> {
    let list = body.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// Scopes that can be registered: the documented one for account access, OpenID's, and those of applications.
fn known_scope(scope: &str) -> bool {
    [ACCESS_SCOPE, "openid", "aws", "offline_access"].contains(&scope)
        || ["codewhisperer:", "datazone:", "redshift:", "verified_access:"]
            .iter()
            .any(|head| scope.starts_with(head))
}

/// Answers a call of the OIDC service.
pub(crate) fn answer(state: &State, operation: &str, request: &Request) -> Result<Reply, Refusal> {
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|_| Refusal::new(400, "InvalidRequestException", "The request body is not valid JSON"))?;
    match operation {
        "RegisterClient" => register(state, &body),
        "StartDeviceAuthorization" => start(state, request, &body),
        _ => create_token(state, &body),
    }
}

fn register(state: &State, body: &Value) -> Result<Reply, Refusal> {
    text(body, "clientName")?;
    if text(body, "clientType")? != "public" {
        return refuse(400, "InvalidClientMetadataException", "Invalid client type provided");
    }
    let (scopes, grants) = (texts(body, "scopes"), texts(body, "grantTypes"));
    if !scopes.iter().all(|scope| known_scope(scope)) {
        return refuse(400, "InvalidScopeException", "Invalid scope provided");
    }
    let known = [DEVICE_GRANT, CODE_GRANT, REFRESH_GRANT];
    if let Some(grant) = grants.iter().find(|grant| !known.contains(&grant.as_str())) {
        return refuse(400, "UnsupportedGrantTypeException", &format!("Unsupported grant type: {grant}"));
    }
    // As AWS answers (sorah/mairu #18), though its API Reference doesn't say so.
    if [DEVICE_GRANT, CODE_GRANT].iter().all(|flow| grants.iter().any(|grant| grant == flow)) {
        return refuse(500, "InternalServerException", "Unexpected error has occurred");
    }
    let redirect_uris = texts(body, "redirectUris");
    if redirect_uris.iter().any(|uri| !may_register(uri)) {
        return refuse(400, "InvalidRedirectUriException", "Invalid redirect uri provided");
    }
    let mut issuer = None;
    if grants.iter().any(|grant| grant == CODE_GRANT) {
        if redirect_uris.is_empty() {
            return refuse(
                400,
                "InvalidRedirectUriException",
                "Redirect uris are needed for this grant type",
            );
        }
        issuer = session_of(state, text(body, "issuerUrl")?);
        if issuer.is_none() {
            return refuse(400, "InvalidRequestException", "Invalid issuer url provided");
        }
    }
    let now = state.now();
    let region = state.organisation.sessions().first().map_or("us-east-1", |session| session.region.as_str());
    let made =
        lock(&state.oidc).register(&state.mint, region, Asked { scopes, grants, redirect_uris, issuer }, now);
    Ok(Reply::json(
        200,
        &json!({
            "clientId": made.client_id,
            "clientSecret": made.client_secret,
            "clientIdIssuedAt": now.ms / 1000,
            "clientSecretExpiresAt": made.ends / 1000,
            "authorizationEndpoint": null,
            "tokenEndpoint": null,
        }),
    ))
}

/// The session of a start URL.
fn session_of(state: &State, start_url: &str) -> Option<usize> {
    let url = Session::bare_url(start_url);
    let sessions = state.organisation.sessions();
    sessions.iter().position(|session| Session::bare_url(&session.start_url) == url)
}

/// AWS gives a code in any region; only the page that it is to be approved on knows that it came from the wrong one
/// (aws-cli #5058).
fn start(state: &State, request: &Request, body: &Value) -> Result<Reply, Refusal> {
    let client = (text(body, "clientId")?, text(body, "clientSecret")?);
    let session = session_of(state, text(body, "startUrl")?);
    let at_home = session.is_none_or(|session| state.is_called_at_home(session, request));
    let mut oidc = lock(&state.oidc);
    let (code, user_code) = oidc.start(&state.mint, client, session, at_home, state.now())?;
    Ok(Reply::json(
        200,
        &json!({
            "deviceCode": code,
            "userCode": user_code,
            "verificationUri": format!("{}/device", state.url),
            "verificationUriComplete": format!("{}/device?user_code={user_code}", state.url),
            "expiresIn": oidc.device_lifetime,
            "interval": oidc.interval,
        }),
    ))
}

fn create_token(state: &State, body: &Value) -> Result<Reply, Refusal> {
    let client = (text(body, "clientId")?, text(body, "clientSecret")?);
    let grant = text(body, "grantType")?;
    let now = state.now();
    let mut oidc = lock(&state.oidc);
    let registered = oidc.client(client.0, client.1, now)?;
    if texts(body, "scope").iter().any(|scope| !registered.scopes.contains(scope)) {
        return refuse(400, "InvalidScopeException", "Invalid scope provided");
    }
    let made = match grant {
        DEVICE_GRANT => oidc.poll(&state.mint, client, text(body, "deviceCode")?, now)?,
        CODE_GRANT => {
            let verifier = text(body, "codeVerifier")?;
            // What can be none is no secret either, and could be found anywhere.
            if is_verifier(verifier) {
                state.mint.note(verifier);
            }
            let (code, redirect_uri) = (text(body, "code")?, text(body, "redirectUri")?);
            oidc.exchange(&state.mint, client, code, verifier, redirect_uri, now)?
        }
        REFRESH_GRANT => oidc.refresh(&state.mint, client, text(body, "refreshToken")?, now)?,
        _ => return refuse(400, "UnsupportedGrantTypeException", "Unsupported grant type provided"),
    };
    Ok(Reply::json(
        200,
        &json!({
            "accessToken": made.access_token,
            "tokenType": "Bearer",
            "expiresIn": made.expires_in,
            "refreshToken": made.refresh_token,
            "idToken": null,
            "issuedTokenType": null,
            "originSessionId": null,
            "scope": null,
            "aws_sso_app_session_id": null,
        }),
    ))
}
