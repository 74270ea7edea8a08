//! The portal of IAM Identity Center: ListAccounts, ListAccountRoles, GetRoleCredentials, Logout. Names: the service
//! model of `sso`. The 403 for roles that aren't assigned isn't in the model, but in the service's responses.

use serde_json::json;

use crate::errors::ServiceError;
use crate::http::{Params, Response};
use crate::limits::Rate;
use crate::paging::{page_start, page_token};
use crate::protocol::{Protocol, json};
use crate::rng;
use crate::service::Service;
use crate::service_definition::{
    Access, Handler, HandlerResult, Invocation, Operation, RateScope, Route, ServiceDefinition,
};
use crate::state::State;
use crate::sync::lock;
use crate::upstream;

impl Service {
    /// IAM Identity Center's portal: accounts, roles, role credentials.
    pub const PORTAL: Self = Self::new("portal");
}

pub(crate) const SERVICE: ServiceDefinition = ServiceDefinition {
    service: Service::PORTAL,
    host_prefixes: &["portal.sso", "portal.sso-fips"],
    global_hosts: &[],
    access: Access::BearerToken,
    protocol: PROTOCOL,
    query_version: None,
    // "IAM Identity Center quotas".
    documented_rate: Some(Rate { burst: 20.0, per_second: 20.0 }),
    rate_scope: RateScope::Service,
    operations: &[
        Operation::new(
            "ListAccounts",
            Route::Path("GET", "/assignment/accounts"),
            Handler::Session(list_accounts),
        ),
        Operation::new(
            "ListAccountRoles",
            Route::Path("GET", "/assignment/roles"),
            Handler::Session(list_roles),
        ),
        Operation::new(
            "GetRoleCredentials",
            Route::Path("GET", "/federation/credentials"),
            Handler::SessionAsync(|invocation, session| Box::pin(role_credentials(invocation, session))),
        ),
        Operation::new("Logout", Route::Path("POST", "/logout"), Handler::Session(logout)),
    ],
};

const PROTOCOL: Protocol = Protocol {
    throttled: (429, "TooManyRequestsException", "HTTP 429 Unknown Code"),
    internal: ("InternalServerException", "An internal error has occurred"),
    unknown_operation: (400, "InvalidAction"),
    denied: |_| no_access(),
    // A token that isn't valid, or not any more.
    unauthenticated: |_| {
        ServiceError::new(401, "UnauthorizedException", "Session token not found or invalid")
    },
    write_error: |error: &ServiceError, _| {
        let kind = format!("com.amazonaws.switchboard.portal#{}", error.code);
        let body = json!({"message": error.message, "__type": kind});
        Response::json(error.status, &body).with("x-amzn-errortype", error.code)
    },
    add_headers: |response: &mut Response, request_id: &str| {
        response.headers.push(("requestid", request_id.to_owned()));
        response.headers.push(("server", "AWS SSO".to_owned()));
    },
    ..json::REST_JSON
};

/// The largest page, and the default one.
const PAGE: usize = 100;

fn invalid(message: &str) -> ServiceError {
    ServiceError::new(400, "InvalidRequestException", message)
}

fn no_access() -> ServiceError {
    ServiceError::new(403, "ForbiddenException", "No access")
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a handler")]
fn logout(invocation: &Invocation<'_>, _session: usize) -> HandlerResult {
    if let Some(token) = invocation.request.header("x-amz-sso_bearer_token") {
        lock(&invocation.state.sign_ins).sign_out(token);
    }
    Ok(Response::json(200, &json!({})))
}

/// Returns a page's size and start.
fn page(params: &Params, list: u64) -> Result<(usize, usize), ServiceError> {
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

fn list_accounts(invocation: &Invocation<'_>, session: usize) -> HandlerResult {
    let organisation = &invocation.state.organisation;
    let list = rng::of_parts(&[1, session as u64]);
    let (size, start) = page(invocation.params, list)?;
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
    Ok(Response::json(200, &json!({"accountList": accounts, "nextToken": next})))
}

/// Returns the account in the parameters, if the session reaches it.
fn account_of(state: &State, session: usize, params: &Params) -> Result<usize, ServiceError> {
    let id = params.get("account_id").unwrap_or_default();
    if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid("Invalid account id provided"));
    }
    let found = state.organisation.find(id);
    found.filter(|account| state.organisation.reaches(session, *account)).ok_or_else(no_access)
}

fn list_roles(invocation: &Invocation<'_>, session: usize) -> HandlerResult {
    let Invocation { state, params, .. } = *invocation;
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
    Ok(Response::json(200, &json!({"roleList": roles, "nextToken": next})))
}

async fn role_credentials(invocation: &Invocation<'_>, session: usize) -> HandlerResult {
    let Invocation { state, params, .. } = *invocation;
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
            .map_err(|problem| ServiceError::new(500, "InternalServerException", problem.to_string()))?;
        let expires = state.clock.now_ms() + i64::from(lifetime) * 1000;
        state.issuer.record(&made.secret_access_key);
        state.issuer.record(&made.session_token);
        let (key, secret, token) = (made.access_key_id, made.secret_access_key, made.session_token);
        state.add_temporary_key(account, principal, key, secret, token, expires)
    } else {
        state.issue(account, principal, lifetime)
    };
    Ok(Response::json(
        200,
        &json!({"roleCredentials": {
            "accessKeyId": key.id,
            "secretAccessKey": key.secret,
            "sessionToken": key.token,
            "expiration": key.expires(),
        }}),
    ))
}
