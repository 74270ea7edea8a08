//! STS: GetCallerIdentity, AssumeRole, AssumeRoleWithWebIdentity, in the query protocol's XML. Who may assume which
//! role is declared by the organisation ([`crate::AssumableRole`]).

use crate::clock;
use crate::http::{Params, Reply, push_element};
use crate::keys::{Key, Principal};
use crate::organisation::AssumableRole;
use crate::refusal::{self, Refusal};
use crate::service::Service;
use crate::state::State;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// Bounds of `DurationSeconds`.
const SHORTEST: u32 = 900;
const LONGEST: u32 = 43_200;
/// Bound where a role assumes a role.
const LONGEST_CHAINED: u32 = 3_600;

fn envelope(operation: &str, result: &str, request_id: &str) -> Reply {
    let xml = format!(
        "<{operation}Response xmlns=\"{NAMESPACE}\">\n  <{operation}Result>{result}</{operation}Result>\n  \
         <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  </ResponseMetadata>\n\
         </{operation}Response>\n"
    );
    Reply::new(200, "text/xml", xml)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "ValidationError", message)
}

/// Answers a signed call.
pub(crate) fn answer(
    state: &State,
    operation: &str,
    caller: &Key,
    params: &Params,
    request_id: &str,
) -> Result<Reply, Refusal> {
    match operation {
        "GetCallerIdentity" => {
            let mut xml = String::new();
            push_element(&mut xml, "Arn", &caller.principal.arn);
            push_element(&mut xml, "UserId", &caller.principal.user_id);
            push_element(&mut xml, "Account", &caller.account_id);
            Ok(envelope(operation, &xml, request_id))
        }
        _ => assume_role(state, caller, params, request_id),
    }
}

/// Account and name of a role's ARN; paths are left out.
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

/// What all ways of assuming a role ask for.
struct Asked<'a> {
    arn: &'a str,
    account: &'a str,
    name: &'a str,
    session: &'a str,
    seconds: u32,
}

fn asked(params: &Params) -> Result<Asked<'_>, Refusal> {
    let arn = params.get("RoleArn").unwrap_or_default();
    let (account, name) = role_of(arn).ok_or_else(|| invalid(format!("{arn} is invalid")))?;
    let session = params.get("RoleSessionName").unwrap_or_default();
    let good = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(good) {
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
    Ok(Asked { arn, account, name, session, seconds })
}

/// New credentials, as the members of the result that all ways share.
fn credentials(state: &State, asked: &Asked<'_>) -> Option<(String, Principal)> {
    let account = state.organisation.find(asked.account)?;
    let principal = state.role_principal(asked.account, asked.name, asked.name, asked.session);
    let key = state.issue(account, principal, state.role_lifetime(asked.seconds));
    let mut xml = String::from("<AssumedRoleUser>");
    push_element(&mut xml, "AssumedRoleId", &key.principal.user_id);
    push_element(&mut xml, "Arn", &key.principal.arn);
    xml.push_str("</AssumedRoleUser><Credentials>");
    push_element(&mut xml, "AccessKeyId", &key.id);
    push_element(&mut xml, "SecretAccessKey", &key.secret);
    push_element(&mut xml, "SessionToken", key.token.as_deref().unwrap_or_default());
    push_element(&mut xml, "Expiration", &clock::iso(key.expires() / 1000));
    xml.push_str("</Credentials>");
    Some((xml, key.principal.clone()))
}

fn assume_role(state: &State, caller: &Key, params: &Params, request_id: &str) -> Result<Reply, Refusal> {
    let asked = asked(params)?;
    // STS doesn't tell a role that isn't there from one that may not be assumed.
    let denied = || {
        let mut refusal = refusal::denied(Service::Sts, &caller.principal.arn, "AssumeRole", false);
        refusal.message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
            caller.principal.arn, asked.arn
        );
        refusal
    };
    let role =
        declared(state, asked.account, asked.name).filter(|role| trusts(role, caller)).ok_or_else(denied)?;
    if role.external_id.is_some() && role.external_id.as_deref() != params.get("ExternalId") {
        return Err(denied());
    }
    if caller.token.is_some() && asked.seconds > LONGEST_CHAINED {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    let (xml, _) = credentials(state, &asked).ok_or_else(denied)?;
    Ok(envelope("AssumeRole", &xml, request_id))
}

/// Answers AssumeRoleWithWebIdentity, which is unsigned.
pub(crate) fn with_web_identity(state: &State, params: &Params, request_id: &str) -> Result<Reply, Refusal> {
    let asked = asked(params)?;
    let token = params.get("WebIdentityToken").unwrap_or_default();
    let known = state.organisation.web_identities.iter().find(|identity| identity.token == token);
    let identity = known.ok_or_else(|| {
        Refusal::new(
            400,
            "InvalidIdentityToken",
            "The ID Token provided is not a valid JWT. (You may see this error \
                                                   if you sent an Access Token)",
        )
    })?;
    let denied =
        || Refusal::new(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    let role = declared(state, asked.account, asked.name);
    role.filter(|role| role.web_identity_provider.as_ref() == Some(&identity.provider)).ok_or_else(denied)?;
    let (mut xml, _) = credentials(state, &asked).ok_or_else(denied)?;
    push_element(&mut xml, "SubjectFromWebIdentityToken", &identity.subject);
    push_element(&mut xml, "Audience", &identity.audience);
    push_element(&mut xml, "Provider", &identity.provider);
    Ok(envelope("AssumeRoleWithWebIdentity", &xml, request_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns_are_read_with_and_without_a_path() {
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
