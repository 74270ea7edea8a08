//! AWS Organizations: ListAccounts, in JSON 1.1. Only the management account, which is the first one, may call it.

use serde_json::{Value, json};

use crate::errors::ServiceError;
use crate::http::Response;
use crate::keys::Key;
use crate::paging::{page_start, page_token};
use crate::protocol::json;
use crate::rng;
use crate::service::Service;
use crate::service_definition::{
    Access, Handler, HandlerResult, Invocation, Operation, RateScope, Route, ServiceDefinition,
};
use crate::state::State;

impl Service {
    /// Organizations.
    pub const ORGANIZATIONS: Self = Self::new("organizations");
}

pub(crate) const SERVICE: ServiceDefinition = ServiceDefinition {
    service: Service::ORGANIZATIONS,
    host_prefixes: &["organizations", "organizations-fips", "fips.organizations"],
    global_hosts: &[],
    access: Access::Signed,
    protocol: json::JSON_1_1,
    query_version: None,
    documented_rate: None,
    rate_scope: RateScope::Service,
    operations: &[Operation::new(
        "ListAccounts",
        Route::Target("AWSOrganizationsV20161128.ListAccounts"),
        Handler::Signed(list_accounts),
    )
    .with_empty_pages()],
};

/// The most accounts of a page.
const PAGE: usize = 20;

fn list_accounts(invocation: &Invocation<'_>, caller: &Key) -> HandlerResult {
    let state = invocation.state;
    if caller.account != 0 {
        let message = "You don't have permissions to access this resource.";
        return Err(ServiceError::new(400, "AccessDeniedException", message));
    }
    let invalid = |message: &str| ServiceError::new(400, "InvalidInputException", message);
    let body: Value = serde_json::from_slice(&invocation.request.body).map_err(|_| {
        ServiceError::new(400, "SerializationException", "The request body is not valid JSON")
    })?;
    let list = rng::of_text("organizations");
    let size = match &body["MaxResults"] {
        Value::Null => PAGE,
        given => match given.as_u64().and_then(|size| usize::try_from(size).ok()) {
            Some(size @ 1..=PAGE) => size,
            _ => return Err(invalid("You specified an invalid value for MaxResults")),
        },
    };
    let start = match &body["NextToken"] {
        Value::Null => 0,
        given => given
            .as_str()
            .and_then(|token| page_start(list, token))
            .ok_or_else(|| invalid("You specified an invalid value for nextToken"))?,
    };
    let all = state.organisation.len();
    let end = if invocation.empty_page { start } else { (start + size).min(all) };
    let accounts: Vec<Value> = (start..end).map(|index| account(state, index)).collect();
    let more = end < all;
    let body = json!({"Accounts": accounts, "NextToken": more.then(|| page_token(list, end))});
    Ok(Response::new(200, json::JSON_1_1_TYPE, body.to_string()))
}

fn account(state: &State, index: usize) -> Value {
    let account = state.organisation.account(index);
    let management = state.organisation.account(0).id;
    let status = state.organisation.status(index);
    // 1 January 2024.
    let joined = 1_704_067_200 + i64::try_from(index).unwrap_or_default() * 86_400;
    json!({
        "Id": account.id,
        "Arn": format!("arn:{}:organizations::{management}:account/o-simulated1/{}", state.partition(), account.id),
        "Name": account.name,
        "Email": account.email,
        "Status": status,
        "State": status,
        "JoinedMethod": if index == 0 { "INVITED" } else { "CREATED" },
        "JoinedTimestamp": joined.min(state.clock.now_ms() / 1000),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Params, Request};
    use crate::options::Options;
    use crate::organisation::Organisation;
    use crate::organisation_spec::OrganisationSpec;

    #[test]
    fn only_the_management_account_lists_accounts_in_pages() {
        let organisation =
            Organisation::from_spec(OrganisationSpec { accounts: 45, ..OrganisationSpec::default() });
        let state = State::new(organisation, &Options::default(), String::new());
        let key = |index: usize| {
            let id = state.organisation.account(index).id;
            state.issue(index, state.role_principal(&id, "r", "r", "s"), 60)
        };
        let call = |index, body: &str, empty_page| {
            let request = Request::example("POST", "/", &[], body);
            let (state, request, params) = (&state, &request, &Params::default());
            let invocation =
                Invocation { state, request, params, region: "us-east-1", request_id: "", empty_page };
            list_accounts(&invocation, &key(index))
        };
        assert_eq!(call(1, "{}", false).unwrap_err().code, "AccessDeniedException");
        let (mut body, mut sizes) = ("{}".to_owned(), Vec::new());
        loop {
            let page: Value = serde_json::from_slice(&call(0, &body, false).unwrap().body).unwrap();
            sizes.push(page["Accounts"].as_array().unwrap().len());
            let Some(next) = page["NextToken"].as_str() else { break };
            body = json!({"NextToken": next}).to_string();
        }
        assert_eq!(sizes, [20, 20, 5]);
        let page: Value = serde_json::from_slice(&call(0, "{}", true).unwrap().body).unwrap();
        assert!(page["Accounts"].as_array().unwrap().is_empty() && page["NextToken"].is_string());
        for bad in ["[", r#"{"MaxResults": 21}"#, r#"{"NextToken": "x"}"#] {
            assert_eq!(call(0, bad, false).unwrap_err().status, 400, "{bad}");
        }
    }
}
