//! AWS Organizations: ListAccounts, in JSON 1.1. The first account is the management account, and nobody else may ask.

use serde_json::{Value, json};

use crate::http::{Reply, Request, page_start, page_token};
use crate::keys::Key;
use crate::refusal::{self, Refusal};
use crate::rng;
use crate::service::Service;
use crate::state::State;

/// The most accounts of a page.
const PAGE: usize = 20;

/// Answers ListAccounts. `empty` leaves the accounts out, and says that there are more.
pub(crate) fn list_accounts(
    state: &State,
    caller: &Key,
    request: &Request,
    empty: bool,
) -> Result<Reply, Refusal> {
    if caller.account != 0 {
        let arn = &caller.principal.arn;
        let mut refusal = refusal::denied(Service::Organizations, arn, "ListAccounts", false);
        "You don't have permissions to access this resource.".clone_into(&mut refusal.message);
        return Err(refusal);
    }
    let invalid = |message: &str| Refusal::new(400, "InvalidInputException", message);
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|_| Refusal::new(400, "SerializationException", "The request body is not valid JSON"))?;
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
    let end = if empty { start } else { (start + size).min(all) };
    let accounts: Vec<Value> = (start..end).map(|index| account(state, index)).collect();
    let more = end < all;
    let reply = json!({"Accounts": accounts, "NextToken": more.then(|| page_token(list, end))});
    Ok(Reply::new(200, "application/x-amz-json-1.1", reply.to_string()))
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
    use crate::options::Options;
    use crate::organisation::Organisation;
    use crate::seeded::Seeded;

    #[test]
    fn accounts_come_in_pages_and_only_to_the_management_account() {
        let organisation = Organisation::seeded(Seeded { accounts: 45, ..Seeded::default() });
        let state = State::new(organisation, &Options::default(), String::new());
        let key = |index: usize| {
            let id = state.organisation.account(index).id;
            state.issue(index, state.role_principal(&id, "r", "r", "s"), 60)
        };
        let ask = |index, body: &str, empty| {
            let request = Request::example("POST", "/", &[], body);
            list_accounts(&state, &key(index), &request, empty)
        };
        assert_eq!(ask(1, "{}", false).unwrap_err().code, "AccessDeniedException");
        let (mut body, mut sizes) = ("{}".to_owned(), Vec::new());
        loop {
            let page: Value = serde_json::from_slice(&ask(0, &body, false).unwrap().body).unwrap();
            sizes.push(page["Accounts"].as_array().unwrap().len());
            let Some(next) = page["NextToken"].as_str() else { break };
            body = json!({"NextToken": next}).to_string();
        }
        assert_eq!(sizes, [20, 20, 5]);
        let page: Value = serde_json::from_slice(&ask(0, "{}", true).unwrap().body).unwrap();
        assert!(page["Accounts"].as_array().unwrap().is_empty() && page["NextToken"].is_string());
        for bad in ["[", r#"{"MaxResults": 21}"#, r#"{"NextToken": "x"}"#] {
            assert_eq!(ask(0, bad, false).unwrap_err().status, 400, "{bad}");
        }
    }
}
