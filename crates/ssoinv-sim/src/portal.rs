//! The portal of IAM Identity Center: ListAccounts, ListAccountRoles, GetRoleCredentials, Logout. Names: the service
//! model of `sso`; the 403 for roles that aren't assigned isn't in the model, but is what the service gives.

use serde_json::json;

use crate::http::{Params, Reply, Request, page_start, page_token};
use crate::lock;
use crate::refusal::Refusal;
use crate::rng;
use crate::state::State;
use crate::upstream;

/// The largest page, and the default one.
const PAGE: usize = 100;

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, "InvalidRequestException", message)
}

/// A token that isn't known, or not any more.
pub(crate) fn unauthorized() -> Refusal {
    Refusal::new(401, "UnauthorizedException", "Session token not found or invalid")
}

fn no_access() -> Refusal {
    Refusal::new(403, "ForbiddenException", "No access")
}

/// The session that the bearer token is for. Portals of other regions don't know the token.
pub(crate) fn session_of(state: &State, request: &Request) -> Result<usize, Refusal> {
    let token = request.header("x-amz-sso_bearer_token").ok_or_else(unauthorized)?;
    let session = lock(&state.oidc).check(token, state.now()).ok_or_else(unauthorized)?;
    if state.is_called_at_home(session, request) { Ok(session) } else { Err(unauthorized()) }
}

/// Answers a call of the portal for a session whose token is good.
pub(crate) async fn answer(
    state: &State,
    operation: &str,
    session: usize,
    request: &Request,
    params: &Params,
) -> Result<Reply, Refusal> {
    match operation {
        "ListAccounts" => list_accounts(state, session, params),
        "ListAccountRoles" => list_roles(state, session, params),
        "GetRoleCredentials" => role_credentials(state, session, params).await,
        _ => {
            if let Some(token) = request.header("x-amz-sso_bearer_token") {
                lock(&state.oidc).sign_out(token);
            }
            Ok(Reply::json(200, &json!({})))
        }
    }
}

/// A page's size and start.
fn page(params: &Params, list: u64) -> Result<(usize, usize), Refusal> {
    let size = match params.get("max_result") {
        None => PAGE,
        Some(text) => match text.parse() {
            Ok(size @ 1..=PAGE) => size,
            _ => return Err(invalid("maxResults must be between 1 and 100")),
        },
    };
    let start = match params.get("next_token").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => page_start(list, token).ok_or_else(|| invalid("Invalid next token provided"))?,
    };
    Ok((size, start))
}

fn list_accounts(state: &State, session: usize, params: &Params) -> Result<Reply, Refusal> {
    let organisation = &state.organisation;
    let list = rng::of_parts(&[1, session as u64]);
    let (size, start) = page(params, list)?;
    let mut reached = (start..organisation.len()).filter(|account| organisation.reaches(session, *account));
    let accounts: Vec<_> = reached
        .by_ref()
        .take(size)
        .map(|account| organisation.account(account))
        .map(|account| {
            json!({"accountId": account.id, "accountName": account.name, "emailAddress": account.email})
        })
        .collect();
    let next = reached.next().map(|account| page_token(list, account));
    Ok(Reply::json(200, &json!({"accountList": accounts, "nextToken": next})))
}

/// The account that a call asks about, if the session reaches it.
fn account_of(state: &State, session: usize, params: &Params) -> Result<usize, Refusal> {
    let id = params.get("account_id").unwrap_or_default();
    if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid("Invalid account id provided"));
    }
    let found = state.organisation.find(id);
    found.filter(|account| state.organisation.reaches(session, *account)).ok_or_else(no_access)
}

fn list_roles(state: &State, session: usize, params: &Params) -> Result<Reply, Refusal> {
    let account = account_of(state, session, params)?;
    let list = rng::of_parts(&[2, session as u64, account as u64]);
    let (size, start) = page(params, list)?;
    let account = state.organisation.account(account);
    let roles: Vec<_> = account
        .roles
        .iter()
        .skip(start)
        .take(size)
        .map(|role| json!({"roleName": role, "accountId": account.id}))
        .collect();
    let end = start + roles.len();
    let next = (end < account.roles.len()).then(|| page_token(list, end));
    Ok(Reply::json(200, &json!({"roleList": roles, "nextToken": next})))
}

async fn role_credentials(state: &State, session: usize, params: &Params) -> Result<Reply, Refusal> {
    let role = params.get("role_name").filter(|name| !name.is_empty());
    let role = role.ok_or_else(|| invalid("Missing or invalid parameter: role_name"))?;
    let account = account_of(state, session, params)?;
    if !state.organisation.has_role(account, role) {
        return Err(no_access());
    }
    let id = state.organisation.account(account).id;
    let user = &state.organisation.sessions()[session].user;
    let principal = state.role_principal(&id, &state.sso_role_name(&id, role), role, user);
    let lifetime = state.role_lifetime(3600);
    let key = if let Some(base) = &state.upstream_sts {
        let made = upstream::assume_role(base, state.partition(), &id, role, user)
            .await
            .map_err(|problem| Refusal::new(500, "InternalServerException", problem.to_string()))?;
        let expires = state.clock.now_ms() + i64::from(lifetime) * 1000;
        state.mint.note(&made.secret_access_key);
        state.mint.note(&made.session_token);
        let (key, secret, token) = (made.access_key_id, made.secret_access_key, made.session_token);
        state.take_in(account, principal, key, secret, token, expires)
    } else {
        state.issue(account, principal, lifetime)
    };
    Ok(Reply::json(
        200,
        &json!({"roleCredentials": {
            "accessKeyId": key.id,
            "secretAccessKey": key.secret,
            "sessionToken": key.token,
            "expiration": key.expires(),
        }}),
    ))
}
