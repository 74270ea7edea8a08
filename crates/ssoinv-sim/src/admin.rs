//! The control of a running simulator: applies [`Control`], and answers `/_sim/` for other processes.
//!
//! `POST /_sim/<change-with-dashes>` has the change's members as JSON; `GET /_sim/calls` and others return records. Only
//! loopback reaches it. `simulator.rs` applies the same changes without HTTP.

use hyper::Method;
use serde_json::{Map, Value, json};

use crate::control::Control;
use crate::faults::Fault;
use crate::http::{Request, Response};
use crate::limits::Limits;
use crate::regions;
use crate::services::SERVICES;
use crate::state::{EarlyExpiry, State};
use crate::sync::lock;

/// Applies a change. The error says why it can't be applied.
pub(crate) fn apply(state: &State, control: Control) -> Result<(), String> {
    let session = |name: &Option<String>| match name {
        None => Ok(None),
        Some(name) => {
            let found = state.organisation.sessions().iter().position(|session| session.name == *name);
            found.map(Some).ok_or_else(|| format!("there is no sso-session `{name}`"))
        }
    };
    let check_pending = |was: bool| if was { Ok(()) } else { Err("no sign-in is pending".to_owned()) };
    match control {
        Control::Fault(fault) => {
            check_fault(state, &fault)?;
            state.add_fault(fault);
        }
        Control::ClearFaults {} => state.clear_faults(),
        Control::EndTokens { session: name } => {
            let session = session(&name)?;
            lock(&state.sign_ins).expire_tokens(session);
        }
        Control::EndTokensAfter { session: name, calls, times } => {
            let session = session(&name)?;
            lock(&state.sign_ins).expire_tokens_after(session, calls, times);
        }
        Control::RefuseRefresh { session: name, refuse } => {
            let session = session(&name)?;
            lock(&state.sign_ins).reject_refresh(session, refuse);
        }
        Control::TokenLifetime { seconds } => lock(&state.sign_ins).token_lifetime = seconds,
        Control::RoleLifetime { seconds } => lock(&state.roles).lifetime = seconds,
        Control::ExpireRoleCredentials { account, role, after_calls, times } => {
            state.expire_early(EarlyExpiry { account, role, after_calls, times });
        }
        Control::Region { account, region, enabled } => {
            if regions::needs_opt_in(&region).is_none() {
                return Err(format!("there is no region `{region}`"));
            }
            let index = state.organisation.find(&account);
            let index = index.ok_or_else(|| format!("there is no account `{account}`"))?;
            state.set_region(index, &region, enabled);
        }
        Control::Approval(approval) => lock(&state.sign_ins).approval = approval,
        Control::Approve { user_code } => {
            check_pending(lock(&state.sign_ins).decide(user_code.as_deref(), true))?;
        }
        Control::Deny { user_code } => {
            check_pending(lock(&state.sign_ins).decide(user_code.as_deref(), false))?;
        }
        Control::ExpireDevices {} => check_pending(lock(&state.sign_ins).expire_devices())?,
        Control::ExpireRegistrations {} => lock(&state.sign_ins).expire_registrations(),
        Control::Skew { seconds } => state.clock.set_skew(seconds),
        Control::Host { name, fault } => match &state.host_faults {
            Some(hosts) => hosts.set(&name, fault),
            None => return Err("there is no proxy".to_owned()),
        },
        Control::Limits(limits) => set_limits(state, limits)?,
        Control::ResetCounters {} => {
            state.calls.reset();
            lock(&state.sign_ins).reset_reuses();
        }
    }
    Ok(())
}

/// Sets the limits, if all services that they name exist.
fn set_limits(state: &State, limits: Limits) -> Result<(), String> {
    let is_service = |name: &str| SERVICES.iter().any(|service| service.service.name() == name);
    if let Some(name) = limits.rates.keys().find(|name| !is_service(name)) {
        return Err(format!("there is no service `{name}`"));
    }
    state.set_limits(limits);
    Ok(())
}

/// Rejects a fault that can match no call: a test that relies on it would test nothing.
fn check_fault(state: &State, fault: &Fault) -> Result<(), String> {
    let (service, operation) = (fault.service.as_deref(), fault.operation.as_deref());
    let mut services =
        SERVICES.iter().filter(|known| service.is_none_or(|wanted| wanted == known.service.name()));
    let exists = services
        .any(|known| operation.is_none_or(|wanted| known.operations.iter().any(|o| o.name == wanted)));
    if !exists {
        return Err(format!("there is no operation {operation:?} of service {service:?}"));
    }
    if let Some(id) = fault.account.as_ref().filter(|id| state.organisation.find(id).is_none()) {
        return Err(format!("there is no account `{id}`"));
    }
    if let Some(region) = fault.region.as_ref().filter(|region| regions::needs_opt_in(region).is_none()) {
        return Err(format!("there is no region `{region}`"));
    }
    Ok(())
}

/// Returns all secrets: those that were issued, and those planted in the organisation.
pub(crate) fn secrets(state: &State) -> Vec<String> {
    let mut all = state.issuer.issued();
    all.extend(state.organisation.planted());
    all.sort_unstable();
    all.dedup();
    all
}

/// Answers a request under `/_sim/`.
pub(crate) fn respond(state: &State, request: &Request) -> Response {
    let verb = request.path.trim_start_matches("/_sim/");
    if request.method == Method::GET {
        return match verb {
            "calls" => Response::json(200, &json!(state.calls.latest())),
            "counts" => Response::json(200, &json!(state.calls.counts())),
            "totals" => {
                let totals = json!({"operations": state.calls.totals(), "lockouts": state.lockouts()});
                Response::json(200, &totals)
            }
            "peaks" => Response::json(200, &json!(state.calls.peaks())),
            "secrets" => Response::json(200, &json!(secrets(state))),
            "reuses" => Response::json(200, &json!(lock(&state.sign_ins).reuses())),
            "pending" => Response::json(200, &json!(lock(&state.sign_ins).pending())),
            "organisation" => Response::json(200, &organisation(state)),
            _ => failure(404, &format!("there is no record `{verb}`")),
        };
    }
    let members = if request.body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&request.body) };
    let change = members.map(|members| Value::from(Map::from_iter([(verb.replace('-', "_"), members)])));
    match change.and_then(serde_json::from_value::<Control>) {
        Err(problem) => failure(400, &problem.to_string()),
        Ok(control) => match apply(state, control) {
            Ok(()) => Response::json(200, &json!({})),
            Err(problem) => failure(400, &problem),
        },
    }
}

fn failure(status: u16, problem: &str) -> Response {
    Response::json(status, &json!({"error": problem}))
}

/// Returns the sizes of the organisation, for clients that check what they have collected.
fn organisation(state: &State) -> Value {
    let organisation = &state.organisation;
    let accounts: Vec<Value> = (0..organisation.len())
        .map(|index| {
            let account = organisation.account(index);
            let counts = |count: &dyn Fn(&str) -> usize| {
                organisation.regions().iter().map(|region| (region.clone(), count(region).into())).collect()
            };
            let instances: Map<String, Value> = counts(&|region| organisation.instance_count(index, region));
            let functions: Map<String, Value> = counts(&|region| organisation.function_count(index, region));
            let disabled =
                organisation.regions().iter().filter(|region| !state.region_enabled(index, region));
            let reached_by = organisation.sessions().iter().enumerate();
            let reached_by = reached_by.filter(|(session, _)| organisation.reaches(*session, index));
            json!({
                "account": account,
                "sessions": reached_by.map(|(_, session)| &session.name).collect::<Vec<_>>(),
                "buckets": organisation.bucket_count(index),
                "instances": instances,
                "functions": functions,
                "disabled_regions": disabled.collect::<Vec<_>>(),
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
