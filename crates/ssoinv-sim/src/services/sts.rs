//! STS: GetCallerIdentity, AssumeRole, AssumeRoleWithWebIdentity, in the query protocol. The organisation declares the
//! roles that can be assumed ([`AssumableRole`]).

use crate::clock;
use crate::encoding::push_element;
use crate::errors::ServiceError;
use crate::http::{Params, Response};
use crate::keys::Key;
use crate::limits::Rate;
use crate::organisation::AssumableRole;
use crate::protocol::query;
use crate::service::Service;
use crate::service_definition::{
    Access, Handler, HandlerResult, Invocation, Operation, RateScope, Route, ServiceDefinition,
};
use crate::state::State;

impl Service {
    /// Security Token Service.
    pub const STS: Self = Self::new("sts");
}

pub(crate) const SERVICE: ServiceDefinition = ServiceDefinition {
    service: Service::STS,
    host_prefixes: &["sts", "sts-fips"],
    global_hosts: &["sts.amazonaws.com"],
    access: Access::Signed,
    protocol: query::QUERY,
    query_version: Some("2011-06-15"),
    // "IAM and AWS STS quotas".
    documented_rate: Some(Rate { burst: 600.0, per_second: 600.0 }),
    rate_scope: RateScope::AccountAndRegion,
    operations: &[
        Operation::new("GetCallerIdentity", Route::Action, Handler::Signed(get_caller_identity)),
        Operation::new("AssumeRole", Route::Action, Handler::Signed(assume_role)),
        Operation::new("AssumeRoleWithWebIdentity", Route::Action, Handler::Anonymous(with_web_identity)),
    ],
};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// Bounds of `DurationSeconds`.
const SHORTEST: u32 = 900;
const LONGEST: u32 = 43_200;
/// Upper bound if a role assumes a role.
const LONGEST_CHAINED: u32 = 3_600;

fn envelope(operation: &str, result: &str, request_id: &str) -> Response {
    let xml = format!(
        "<{operation}Response xmlns=\"{NAMESPACE}\">\n  <{operation}Result>{result}</{operation}Result>\n  \
         <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  </ResponseMetadata>\n\
         </{operation}Response>\n"
    );
    Response::new(200, "text/xml", xml)
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::new(400, "ValidationError", message)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a handler")]
fn get_caller_identity(invocation: &Invocation<'_>, caller: &Key) -> HandlerResult {
    let mut xml = String::new();
    push_element(&mut xml, "Arn", &caller.principal.arn);
    push_element(&mut xml, "UserId", &caller.principal.user_id);
    push_element(&mut xml, "Account", &caller.account_id);
    Ok(envelope("GetCallerIdentity", &xml, invocation.request_id))
}

/// Returns account and name of a role's ARN, without the path.
fn role_of(arn: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "iam", "", account, resource] = parts[..] else { return None };
    let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
    (account.len() == 12 && !name.is_empty()).then_some((account, name))
}

fn declared<'a>(state: &'a State, account: &str, name: &str) -> Option<&'a AssumableRole> {
    let mut roles = state.organisation.assumable_roles.iter();
    roles.find(|role| role.name == name && (role.account == "*" || role.account == account))
}

fn trusts(role: &AssumableRole, caller: &Key) -> bool {
    let by_name = format!("{}/{}", caller.account_id, caller.principal.role);
    role.trusts.iter().any(|trusted| trusted == "*" || *trusted == caller.account_id || *trusted == by_name)
}

/// The parameters that all operations for assuming a role share.
struct AssumeRoleRequest<'a> {
    arn: &'a str,
    account: &'a str,
    name: &'a str,
    session: &'a str,
    seconds: u32,
}

fn parse_request(params: &Params) -> Result<AssumeRoleRequest<'_>, ServiceError> {
    let arn = params.get("RoleArn").unwrap_or_default();
    let (account, name) = role_of(arn).ok_or_else(|| invalid(format!("{arn} is invalid")))?;
    let session = params.get("RoleSessionName").unwrap_or_default();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(is_allowed) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        )));
    }
    let seconds = match params.get("DurationSeconds") {
        None => 3600,
        Some(text) => text.parse().ok().filter(|seconds| (SHORTEST..=LONGEST).contains(seconds)).ok_or_else(|| {
            invalid(format!(
                "1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy constraint: \
                 Member must have value between {SHORTEST} and {LONGEST}"
            ))
        })?,
    };
    Ok(AssumeRoleRequest { arn, account, name, session, seconds })
}

/// Issues credentials and returns the members of the result that all operations share.
fn issue_credentials(state: &State, request: &AssumeRoleRequest<'_>) -> Option<String> {
    let account = state.organisation.find(request.account)?;
    let principal = state.role_principal(request.account, request.name, request.name, request.session);
    let key = state.issue(account, principal, state.role_lifetime(request.seconds));
    let mut xml = String::from("<AssumedRoleUser>");
    push_element(&mut xml, "AssumedRoleId", &key.principal.user_id);
    push_element(&mut xml, "Arn", &key.principal.arn);
    xml.push_str("</AssumedRoleUser><Credentials>");
    push_element(&mut xml, "AccessKeyId", &key.id);
    push_element(&mut xml, "SecretAccessKey", &key.secret);
    push_element(&mut xml, "SessionToken", key.token.as_deref().unwrap_or_default());
    push_element(&mut xml, "Expiration", &clock::iso(key.expires() / 1000));
    xml.push_str("</Credentials>");
    Some(xml)
}

fn assume_role(invocation: &Invocation<'_>, caller: &Key) -> HandlerResult {
    let Invocation { state, params, .. } = *invocation;
    let request = parse_request(params)?;
    // STS has one error for a role that doesn't exist and for one that may not be assumed.
    let denied = || {
        let (arn, role) = (&caller.principal.arn, request.arn);
        let message = format!("User: {arn} is not authorized to perform: sts:AssumeRole on resource: {role}");
        ServiceError::new(403, "AccessDenied", message)
    };
    let role = declared(state, request.account, request.name)
        .filter(|role| trusts(role, caller))
        .ok_or_else(denied)?;
    if role.external_id.is_some() && role.external_id.as_deref() != params.get("ExternalId") {
        return Err(denied());
    }
    if caller.token.is_some() && request.seconds > LONGEST_CHAINED {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    let xml = issue_credentials(state, &request).ok_or_else(denied)?;
    Ok(envelope("AssumeRole", &xml, invocation.request_id))
}

fn with_web_identity(invocation: &Invocation<'_>) -> HandlerResult {
    let Invocation { state, params, .. } = *invocation;
    let request = parse_request(params)?;
    let token = params.get("WebIdentityToken").unwrap_or_default();
    let known = state.organisation.web_identities.iter().find(|identity| identity.token == token);
    let identity = known.ok_or_else(|| {
        ServiceError::new(
            400,
            "InvalidIdentityToken",
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
        )
    })?;
    let denied =
        || ServiceError::new(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    let role = declared(state, request.account, request.name);
    role.filter(|role| role.web_identity_provider.as_ref() == Some(&identity.provider)).ok_or_else(denied)?;
    let mut xml = issue_credentials(state, &request).ok_or_else(denied)?;
    push_element(&mut xml, "SubjectFromWebIdentityToken", &identity.subject);
    push_element(&mut xml, "Audience", &identity.audience);
    push_element(&mut xml, "Provider", &identity.provider);
    Ok(envelope("AssumeRoleWithWebIdentity", &xml, invocation.request_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns_are_parsed_with_and_without_a_path() {
        assert_eq!(role_of("arn:aws:iam::012345678901:role/audit"), Some(("012345678901", "audit")));
        assert_eq!(role_of("arn:aws-cn:iam::012345678901:role/a/b/audit"), Some(("012345678901", "audit")));
        for wrong in [
            "arn:aws:iam::012345678901:user/x",
            "arn:aws:iam::12345:role/x",
            "x",
            "arn:aws:iam::012345678901:role/",
        ] {
            assert_eq!(role_of(wrong), None, "{wrong}");
        }
    }
}
