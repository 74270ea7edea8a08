//! What can be told to a running simulator: the same orders in code ([`crate::Simulator::control`]) and over HTTP
//! (`POST /_sim/<order-with-dashes>`, the body being the order's members as JSON), and what can be asked of it
//! (`GET /_sim/calls` and others). Only loopback reaches it.

use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::faults::Fault;
use crate::http::{Params, Reply, Request, push_xml};
use crate::limits::Limits;
use crate::lock;
use crate::options::Approval;
use crate::proxy::HostFault;
use crate::regions;
use crate::state::{EarlyEnd, State};

fn once() -> u32 {
    1
}

/// An order to a running simulator. `session` is an sso-session's name; none means all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Control {
    /// Adds a fault rule.
    Fault(Fault),
    /// Takes all fault rules away.
    ClearFaults {},
    /// Ends the access tokens of now; refresh tokens live on.
    EndTokens {
        /// Whose.
        #[serde(default)]
        session: Option<String>,
    },
    /// Ends the access tokens with a later portal call: the `calls`-th from now is the first to get a 401.
    EndTokensAfter {
        /// Whose.
        #[serde(default)]
        session: Option<String>,
        /// Which call; 0 takes the order back.
        calls: u32,
        /// How often, always after so many calls more.
        #[serde(default = "once")]
        times: u32,
    },
    /// Refuses refresh tokens (`InvalidGrantException`), or takes that back.
    RefuseRefresh {
        /// Whose.
        #[serde(default)]
        session: Option<String>,
        /// Whether.
        refuse: bool,
    },
    /// Seconds that access tokens live from now on; none for the usual hour or eight.
    TokenLifetime {
        /// Seconds.
        seconds: Option<u32>,
    },
    /// Seconds that role credentials live from now on; none for the usual.
    RoleLifetime {
        /// Seconds.
        seconds: Option<u32>,
    },
    /// Ends role credentials after so many service calls: those given out already, and `times` given out later.
    ExpireRoleCredentials {
        /// Of which account; none means each.
        #[serde(default)]
        account: Option<String>,
        /// Of which role; none means each.
        #[serde(default)]
        role: Option<String>,
        /// Good calls before the end; 0 is at once.
        after_calls: u32,
        /// Credentials still to be given out that end so too; 0 means none of them, nothing means all.
        #[serde(default)]
        times: Option<u32>,
    },
    /// Switches a region on or off for an account.
    Region {
        /// Account ID.
        account: String,
        /// Region.
        region: String,
        /// On or off.
        enabled: bool,
    },
    /// What becomes of sign-ins from now on.
    Approval(Approval),
    /// Agrees to a sign-in that waits, or to all.
    Approve {
        /// Which: a device's user code, or the `state` of a page.
        #[serde(default)]
        user_code: Option<String>,
    },
    /// Declines a sign-in that waits, or all.
    Deny {
        /// Which: a device's user code, or the `state` of a page.
        #[serde(default)]
        user_code: Option<String>,
    },
    /// Ends all device codes that wait; a page that waits gives a code that has ended.
    ExpireDevices {},
    /// Forgets all client registrations.
    ExpireRegistrations {},
    /// Moves the simulator's clock away from the machine's.
    Skew {
        /// Seconds; negative is late.
        seconds: i64,
    },
    /// Makes a host fail that is called through the proxy, or takes that back.
    Host {
        /// Its name.
        name: String,
        /// How it fails.
        fault: Option<HostFault>,
    },
    /// Sets the rate limits.
    Limits(Limits),
    /// Starts counts, log, peaks and reuses anew.
    ResetCounters {},
}

/// Carries an order out. The error says what was wrong with it.
pub(crate) fn apply(state: &State, control: Control) -> Result<(), String> {
    let session = |name: &Option<String>| match name {
        None => Ok(None),
        Some(name) => {
            let found = state.organisation.sessions().iter().position(|session| session.name == *name);
            found.map(Some).ok_or_else(|| format!("there is no sso-session `{name}`"))
        }
    };
    let waited = |there: bool| if there { Ok(()) } else { Err("no sign-in is pending".to_owned()) };
    match control {
        Control::Fault(fault) => state.add_fault(fault)?,
        Control::ClearFaults {} => state.clear_faults(),
        Control::EndTokens { session: name } => {
            let session = session(&name)?;
            lock(&state.oidc).end_tokens(session);
        }
        Control::EndTokensAfter { session: name, calls, times } => {
            let session = session(&name)?;
            lock(&state.oidc).end_tokens_after(session, calls, times);
        }
        Control::RefuseRefresh { session: name, refuse } => {
            let session = session(&name)?;
            lock(&state.oidc).refuse_refresh(session, refuse);
        }
        Control::TokenLifetime { seconds } => lock(&state.oidc).token_lifetime = seconds,
        Control::RoleLifetime { seconds } => lock(&state.roles).lifetime = seconds,
        Control::ExpireRoleCredentials { account, role, after_calls, times } => {
            state.end_early(EarlyEnd { account, role, after_calls, times });
        }
        Control::Region { account, region, enabled } => {
            if regions::needs_opt_in(&region).is_none() {
                return Err(format!("there is no region `{region}`"));
            }
            let index = state.organisation.find(&account);
            let index = index.ok_or_else(|| format!("there is no account `{account}`"))?;
            state.set_region(index, &region, enabled);
        }
        Control::Approval(approval) => lock(&state.oidc).approval = approval,
        Control::Approve { user_code } => {
            waited(lock(&state.oidc).decide(user_code.as_deref(), true))?;
        }
        Control::Deny { user_code } => {
            waited(lock(&state.oidc).decide(user_code.as_deref(), false))?;
        }
        Control::ExpireDevices {} => waited(lock(&state.oidc).expire_devices())?,
        Control::ExpireRegistrations {} => lock(&state.oidc).expire_registrations(),
        Control::Skew { seconds } => state.clock.set_skew(seconds),
        Control::Host { name, fault } => match &state.proxy {
            Some(proxy) => proxy.set_fault(&name, fault),
            None => return Err("there is no proxy".to_owned()),
        },
        Control::Limits(limits) => state.set_limits(limits),
        Control::ResetCounters {} => {
            state.calls.reset();
            lock(&state.oidc).forget_reuses();
        }
    }
    Ok(())
}

/// All secrets: those that were issued and those that lie in the organisation.
pub(crate) fn secrets(state: &State) -> Vec<String> {
    let mut all = state.mint.issued();
    all.extend(state.organisation.planted());
    all.sort_unstable();
    all.dedup();
    all
}

/// Answers a request under `/_sim/`.
pub(crate) fn answer(state: &State, request: &Request) -> Reply {
    let verb = request.path.trim_start_matches("/_sim/");
    if request.method == Method::GET {
        return match verb {
            "calls" => Reply::json(200, &json!(state.calls.log())),
            "counts" => Reply::json(200, &json!(state.calls.counts())),
            "totals" => {
                Reply::json(200, &json!({"operations": state.calls.totals(), "lockouts": state.lockouts()}))
            }
            "peaks" => Reply::json(200, &json!(state.calls.peaks())),
            "secrets" => Reply::json(200, &json!(secrets(state))),
            "reuses" => Reply::json(200, &json!(lock(&state.oidc).reuses())),
            "pending" => Reply::json(200, &json!(lock(&state.oidc).pending())),
            "organisation" => Reply::json(200, &organisation(state)),
            _ => trouble(404, &format!("nothing to ask under `{verb}`")),
        };
    }
    let members = if request.body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&request.body) };
    let order = members.map(|members| Value::from(Map::from_iter([(verb.replace('-', "_"), members)])));
    match order.and_then(serde_json::from_value::<Control>) {
        Err(problem) => trouble(400, &problem.to_string()),
        Ok(control) => match apply(state, control) {
            Ok(()) => Reply::json(200, &json!({})),
            Err(problem) => trouble(400, &problem),
        },
    }
}

fn trouble(status: u16, problem: &str) -> Reply {
    Reply::json(status, &json!({"error": problem}))
}

/// What is in the organisation, in numbers, for clients that check what they were given.
fn organisation(state: &State) -> Value {
    let organisation = &state.organisation;
    let accounts: Vec<Value> = (0..organisation.len())
        .map(|index| {
            let account = organisation.account(index);
            let counted = |count: &dyn Fn(&str) -> usize| {
                organisation.regions().iter().map(|region| (region.clone(), count(region).into())).collect()
            };
            let instances: Map<String, Value> = counted(&|region| organisation.instance_count(index, region));
            let functions: Map<String, Value> = counted(&|region| organisation.function_count(index, region));
            let off = organisation.regions().iter().filter(|region| !state.region_enabled(index, region));
            let reached_by = organisation.sessions().iter().enumerate();
            let reached_by = reached_by.filter(|(session, _)| organisation.reaches(*session, index));
            json!({
                "account": account,
                "sessions": reached_by.map(|(_, session)| &session.name).collect::<Vec<_>>(),
                "buckets": organisation.bucket_count(index),
                "instances": instances,
                "functions": functions,
                "disabled_regions": off.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "partition": state.partition(),
        "regions": organisation.regions(),
        "sessions": organisation.sessions(),
        "accounts": accounts,
    })
}

/// The page that a device sign-in opens in the browser.
pub(crate) fn device_page(state: &State, request: &Request, params: &Params) -> Reply {
    let code = params.get("user_code").unwrap_or_default();
    let mut page = String::from(
        "<!doctype html><meta charset=utf-8><title>Simulated sign-in</title><h1>Simulated sign-in</h1>",
    );
    if request.method == Method::POST {
        let approve = params.get("decision") == Some("approve");
        let done = lock(&state.oidc).decide(Some(code), approve);
        page.push_str(if done {
            "<p>Done. You can close this page.</p>"
        } else {
            "<p>This code isn't pending.</p>"
        });
        return Reply::new(if done { 200 } else { 404 }, "text/html; charset=utf-8", page);
    }
    page.push_str("<p>This is ssoinv's simulator; nothing here is AWS.</p><form method=post action=/device><input name=user_code value=\"");
    push_xml(&mut page, code);
    page.push_str(
        "\"> <button name=decision value=approve>Allow</button> <button name=decision value=deny>Deny</button></form>",
    );
    Reply::new(200, "text/html; charset=utf-8", page)
}
