//! The credentials of a machine: EC2's instance metadata service ("Use the Instance Metadata Service", IMDSv2 only) and
//! the endpoint for containers ("Container credential provider"). Both issue credentials of the role `machine` in the
//! first account.

use std::sync::Arc;

use serde_json::json;

use crate::clock;
use crate::errors::ServiceError;
use crate::http::Response;
use crate::keys::Key;
use crate::protocol::{Protocol, json};
use crate::service::Service;
use crate::service_definition::{
    Access, Handler, HandlerResult, Invocation, Operation, RateScope, Route, ServiceDefinition,
};
use crate::state::State;
use crate::sync::lock;

impl Service {
    /// The instance metadata service and the endpoint for container credentials.
    pub const IMDS: Self = Self::new("imds");
}

pub(crate) const SERVICE: ServiceDefinition = ServiceDefinition {
    service: Service::IMDS,
    host_prefixes: &[],
    global_hosts: &[],
    access: Access::Anonymous,
    protocol: PROTOCOL,
    query_version: None,
    documented_rate: None,
    rate_scope: RateScope::Service,
    operations: &[
        Operation::new("InstanceToken", Route::Path("PUT", "/latest/api/token"), Handler::Anonymous(token)),
        Operation::new("InstanceRoles", Route::Path("GET", ROLES), Handler::Anonymous(roles)),
        Operation::new(
            "InstanceCredentials",
            Route::Path("GET", "/latest/meta-data/iam/security-credentials/*"),
            Handler::Anonymous(instance_credentials),
        ),
        Operation::new(
            "ContainerCredentials",
            Route::Path("GET", "/container/credentials"),
            Handler::Anonymous(container_credentials),
        ),
        Operation::new("InstanceMetadata", Route::Path("*", "/latest/*"), Handler::Anonymous(not_found)),
    ],
};

const PROTOCOL: Protocol = Protocol {
    throttled: (429, "TooManyRequests", "Too Many Requests"),
    unknown_operation: (404, "NotFound"),
    denied: |_| ServiceError::new(403, "Forbidden", "Forbidden"),
    unauthenticated: |_| unauthorized(),
    write_error: |error: &ServiceError, _| Response::new(error.status, "text/html", error.message.as_bytes()),
    add_headers: |response: &mut Response, _: &str| response.headers.push(("server", "EC2ws".to_owned())),
    ..json::REST_JSON
};

/// The role of the machine.
pub const MACHINE_ROLE: &str = "machine";

/// The longest lifetime of a token, in seconds.
const LONGEST: u32 = 21_600;

/// The path of the list of roles.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

fn unauthorized() -> ServiceError {
    ServiceError::new(401, "Unauthorized", "Unauthorized")
}

fn text(text: &str) -> Response {
    Response::new(200, "text/plain", text)
}

fn token(invocation: &Invocation<'_>) -> HandlerResult {
    let Invocation { state, request, .. } = *invocation;
    let ttl = request.header("x-aws-ec2-metadata-token-ttl-seconds").and_then(|ttl| ttl.parse().ok());
    let Some(ttl @ 1..=LONGEST) = ttl else {
        return Err(ServiceError::new(400, "BadRequest", "Bad Request"));
    };
    let token = state.issuer.session_token();
    let expires = state.clock.now_ms() + i64::from(ttl) * 1000;
    lock(&state.imds_tokens).insert(token.clone(), expires);
    Ok(text(&token).with("x-aws-ec2-metadata-token-ttl-seconds", ttl.to_string()))
}

fn check_token(invocation: &Invocation<'_>) -> Result<(), ServiceError> {
    let Invocation { state, request, .. } = *invocation;
    let token = request.header("x-aws-ec2-metadata-token").ok_or_else(unauthorized)?;
    let expires = lock(&state.imds_tokens).get(token).copied();
    let is_valid = expires.is_some_and(|expires| state.clock.now_ms() < expires);
    if is_valid { Ok(()) } else { Err(unauthorized()) }
}

fn roles(invocation: &Invocation<'_>) -> HandlerResult {
    check_token(invocation)?;
    Ok(text(MACHINE_ROLE))
}

fn instance_credentials(invocation: &Invocation<'_>) -> HandlerResult {
    check_token(invocation)?;
    if invocation.request.path.strip_prefix(ROLES) == Some(MACHINE_ROLE) {
        Ok(credentials(invocation.state, "i-0123456789abcdef0"))
    } else {
        not_found(invocation)
    }
}

fn container_credentials(invocation: &Invocation<'_>) -> HandlerResult {
    let Invocation { state, request, .. } = *invocation;
    match request.header("authorization") {
        Some(token) if token == state.container_token => Ok(credentials(state, "ecs")),
        _ => Err(unauthorized()),
    }
}

fn not_found(invocation: &Invocation<'_>) -> HandlerResult {
    check_token(invocation)?;
    Err(ServiceError::new(404, "NotFound", "Not Found"))
}

fn credentials(state: &State, session: &str) -> Response {
    let account = state.organisation.account(0).id;
    let principal = state.role_principal(&account, MACHINE_ROLE, MACHINE_ROLE, session);
    let arn = format!("arn:{}:iam::{account}:role/{MACHINE_ROLE}", state.partition());
    let key: Arc<Key> = state.issue(0, principal, state.role_lifetime(6 * 3600));
    let now = state.clock.now_ms() / 1000;
    Response::json(
        200,
        &json!({
            "Code": "Success",
            "LastUpdated": clock::iso(now),
            "Type": "AWS-HMAC",
            "RoleArn": arn,
            "AccessKeyId": key.id,
            "SecretAccessKey": key.secret,
            "Token": key.token,
            "Expiration": clock::iso(key.expires() / 1000),
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Request;
    use crate::options::Options;
    use crate::organisation::Organisation;
    use crate::routing;

    fn call(
        state: &State,
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Response, u16> {
        let request = &Request::example(method, path, headers, "");
        let destination = routing::route(request);
        let Some(Handler::Anonymous(handle)) = destination.operation.map(|operation| operation.handler)
        else {
            panic!("{method} {path} has no operation")
        };
        let params = &destination.params;
        let invocation = Invocation { state, request, params, region: "", request_id: "", empty_page: false };
        handle(&invocation).map_err(|error| error.status)
    }

    #[test]
    fn an_instance_needs_a_token_and_a_container_its_own() {
        let state = State::new(Organisation::demo(), &Options::default(), String::new());
        let role = format!("{ROLES}{MACHINE_ROLE}");
        assert_eq!(call(&state, "GET", &role, &[]).err(), Some(401), "version 1");
        assert_eq!(call(&state, "PUT", "/latest/api/token", &[]).err(), Some(400));
        let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", "60")];
        let token = call(&state, "PUT", "/latest/api/token", &ttl).unwrap();
        let token = String::from_utf8(token.body).unwrap();
        let with = [("x-aws-ec2-metadata-token", token.as_str())];
        assert_eq!(call(&state, "GET", ROLES, &with).unwrap().body, MACHINE_ROLE.as_bytes());
        assert!(call(&state, "GET", &role, &with).is_ok());
        assert_eq!(call(&state, "GET", &format!("{ROLES}other"), &with).err(), Some(404));
        state.clock.set_skew(61);
        assert_eq!(call(&state, "GET", &role, &with).err(), Some(401), "the token has expired");

        assert_eq!(call(&state, "GET", "/container/credentials", &[]).err(), Some(401));
        let token = state.container_token.clone();
        assert!(call(&state, "GET", "/container/credentials", &[("authorization", &token)]).is_ok());
        assert!(state.issuer.issued().contains(&token));
    }
}
