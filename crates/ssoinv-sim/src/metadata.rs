//! What a machine is told of its own identity: the instance metadata service of EC2 (IMDSv2 alone: "Use the Instance
//! Metadata Service") and the endpoint of a container's credentials ("Container credential provider"). Both give keys of
//! the role `machine` of the first account.

use serde_json::json;

use crate::clock;
use crate::http::{Reply, Request};
use crate::keys::Key;
use crate::lock;
use crate::refusal::Refusal;
use crate::state::State;

/// The role that the machine has.
pub const MACHINE_ROLE: &str = "machine";

/// The longest that a token of the instance's service lives, in seconds.
const LONGEST: u32 = 21_600;

/// Where roles are listed.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

fn no_token() -> Refusal {
    Refusal::new(401, "Unauthorized", "Unauthorized")
}

/// Which operation a path is, where it is one of these.
pub(crate) fn operation(method: &str, path: &str) -> Option<&'static str> {
    Some(match (method, path) {
        ("PUT", "/latest/api/token") => "InstanceToken",
        ("GET", "/container/credentials") => "ContainerCredentials",
        ("GET", ROLES) => "InstanceRoles",
        ("GET", path) if path.starts_with(ROLES) => "InstanceCredentials",
        (_, path) if path.starts_with("/latest/") => "UnknownMetadata",
        _ => return None,
    })
}

/// Answers one of them.
pub(crate) fn answer(state: &State, operation: &str, request: &Request) -> Result<Reply, Refusal> {
    let text = |text: &str| Ok(Reply::new(200, "text/plain", text));
    if operation == "InstanceToken" {
        let ttl = request.header("x-aws-ec2-metadata-token-ttl-seconds").and_then(|ttl| ttl.parse().ok());
        let Some(ttl @ 1..=LONGEST) = ttl else {
            return Err(Refusal::new(400, "BadRequest", "Bad Request"));
        };
        let token = state.mint.session_token();
        let ends = state.clock.now_ms() + i64::from(ttl) * 1000;
        lock(&state.metadata_tokens).insert(token.clone(), ends);
        return text(&token).map(|reply| reply.with("x-aws-ec2-metadata-token-ttl-seconds", ttl.to_string()));
    }
    if operation == "ContainerCredentials" {
        return match request.header("authorization") {
            Some(token) if token == state.container_token => Ok(credentials(state, "ecs")),
            _ => Err(no_token()),
        };
    }
    let token = request.header("x-aws-ec2-metadata-token").ok_or_else(no_token)?;
    let ends = lock(&state.metadata_tokens).get(token).copied();
    if ends.is_none_or(|ends| state.clock.now_ms() >= ends) {
        return Err(no_token());
    }
    match request.path.strip_prefix(ROLES) {
        Some("") => text(MACHINE_ROLE),
        Some(MACHINE_ROLE) => Ok(credentials(state, "i-0123456789abcdef0")),
        _ => Err(Refusal::new(404, "NotFound", "Not Found")),
    }
}

fn credentials(state: &State, session: &str) -> Reply {
    let account = state.organisation.account(0).id;
    let principal = state.role_principal(&account, MACHINE_ROLE, MACHINE_ROLE, session);
    let arn = format!("arn:{}:iam::{account}:role/{MACHINE_ROLE}", state.partition());
    let key: std::sync::Arc<Key> = state.issue(0, principal, state.role_lifetime(6 * 3600));
    let now = state.clock.now_ms() / 1000;
    Reply::json(
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
    use crate::options::Options;
    use crate::organisation::Organisation;

    fn ask(state: &State, method: &str, path: &str, headers: &[(&'static str, &str)]) -> Result<Reply, u16> {
        let operation = operation(method, path).expect("one of these");
        let request = Request::example(method, path, headers, "");
        answer(state, operation, &request).map_err(|refusal| refusal.status)
    }

    #[test]
    fn an_instance_needs_a_token_and_a_container_its_own() {
        let state = State::new(Organisation::demo(), &Options::default(), String::new());
        let role = format!("{ROLES}{MACHINE_ROLE}");
        assert_eq!(ask(&state, "GET", &role, &[]).err(), Some(401), "version 1");
        assert_eq!(ask(&state, "PUT", "/latest/api/token", &[]).err(), Some(400));
        let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", "60")];
        let token = ask(&state, "PUT", "/latest/api/token", &ttl).unwrap();
        let token = String::from_utf8(token.body).unwrap();
        let with = [("x-aws-ec2-metadata-token", token.as_str())];
        assert_eq!(ask(&state, "GET", ROLES, &with).unwrap().body, MACHINE_ROLE.as_bytes());
        assert!(ask(&state, "GET", &role, &with).is_ok());
        assert_eq!(ask(&state, "GET", &format!("{ROLES}other"), &with).err(), Some(404));
        state.clock.set_skew(61);
        assert_eq!(ask(&state, "GET", &role, &with).err(), Some(401), "the token has ended");

        assert_eq!(ask(&state, "GET", "/container/credentials", &[]).err(), Some(401));
        let token = state.container_token.clone();
        assert!(ask(&state, "GET", "/container/credentials", &[("authorization", &token)]).is_ok());
        assert!(state.mint.issued().contains(&token));
    }
}
