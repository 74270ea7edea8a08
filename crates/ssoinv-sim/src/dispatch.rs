//! The way of a request: routing, authentication, fault, rate limit, handler, response. `server.rs` calls it and sends
//! the result; each call is recorded in the log, however it ends.

use std::future;
use std::time::Duration;

use crate::admin;
use crate::authentication::{self, CallIdentity, Caller};
use crate::authorize;
use crate::call_log::Call;
use crate::device_page;
use crate::errors::ServiceError;
use crate::faults::Subject;
use crate::http::{Request, Response};
use crate::intervention::Intervention;
use crate::regions;
use crate::routing::{self, Destination};
use crate::service_definition::{Access, Handler, HandlerResult, Invocation};
use crate::state::State;

/// The way in which the server sends a response.
#[derive(Debug)]
pub(crate) enum Delivery {
    Whole(Response),
    /// Half of the body, then the end of the connection.
    Truncated(Response),
    /// A reset of the connection.
    Reset,
}

/// Answers a request.
pub(crate) async fn respond(state: &State, request: &Request) -> Delivery {
    if request.path.starts_with("/_sim/") {
        return Delivery::Whole(admin::respond(state, request));
    }
    let destination = routing::route(request);
    if request.path == "/authorize" {
        return Delivery::Whole(authorize::page(state, request, &destination.params));
    }
    if request.path == "/device" {
        return Delivery::Whole(device_page::page(state, request, &destination.params));
    }
    let request_id = state.issuer.request_id();
    let (identity, caller) = authentication::authenticate(state, &destination, request);
    let caller =
        caller.and_then(|caller| check_host(state, &destination, &identity, request).map(|()| caller));
    let running = state.calls.begin(destination.service.service, &identity.region);
    let host = request.host.as_ref().map(|host| host.name.clone()).unwrap_or_default();
    let destination = &destination;
    let mut entry = LogEntry { state, destination, host, identity, status: 0, code: "", bytes: 0 };
    let outcome = match caller {
        Err(error) => Outcome::Complete(Err(error)),
        Ok(caller) => serve(state, destination, &entry.identity, &caller, request, &request_id).await,
    };
    let (result, truncated) = match outcome {
        Outcome::Reset => return Delivery::Reset,
        // The call runs for as long as the client waits: hyper drops this future if the client hangs up.
        Outcome::Stall => future::pending().await,
        Outcome::Complete(result) => (result, false),
        Outcome::Truncated(result) => (result, true),
    };
    let protocol = &destination.service.protocol;
    let mut response = result.unwrap_or_else(|error| {
        entry.code = error.code;
        protocol.error_response(error, &request_id)
    });
    (entry.status, entry.bytes) = (response.status, response.body.len());
    (protocol.add_headers)(&mut response, &request_id);
    drop(running);
    if truncated { Delivery::Truncated(response) } else { Delivery::Whole(response) }
}

/// The log entry of a call. Dropping it records the call, so that calls whose client hangs up are recorded, too.
struct LogEntry<'a> {
    state: &'a State,
    destination: &'a Destination,
    host: String,
    identity: CallIdentity,
    status: u16,
    code: &'static str,
    bytes: usize,
}

impl Drop for LogEntry<'_> {
    fn drop(&mut self) {
        let identity = std::mem::take(&mut self.identity);
        let service = self.destination.service;
        let throttled = self.status == 429 || self.code == service.protocol.throttled.1;
        let call = Call {
            at_ms: self.state.clock.now_ms(),
            service: service.service,
            operation: self.destination.operation_name().to_owned(),
            host: std::mem::take(&mut self.host),
            account: identity.account,
            region: identity.region,
            role: identity.role,
            access_key_id: identity.access_key_id,
            role_session: identity.role_session,
            status: self.status,
            code: self.code.to_owned(),
        };
        self.state.calls.record(call, throttled, self.bytes);
    }
}

/// Checks that a host name is the service's, in the region that the call is for.
fn check_host(
    state: &State,
    destination: &Destination,
    identity: &CallIdentity,
    request: &Request,
) -> Result<(), ServiceError> {
    let Some(host) = &request.host else { return Ok(()) };
    let service = destination.service;
    let is_signed = matches!(service.access, Access::Signed | Access::SignedAsS3);
    let is_in_region = match &host.region {
        None => state.partition() == "aws",
        // OIDC and the portal are in the regions of the Identity Centers.
        Some(region) if !is_signed => {
            state.organisation.sessions().iter().any(|session| session.region == *region)
        }
        // An unsigned call of a signed service may go anywhere in the partition.
        Some(region) if identity.region.is_empty() => regions::partition(region) == state.partition(),
        Some(region) => *region == identity.region,
    };
    if host.service == service.service && is_in_region {
        return Ok(());
    }
    let call = format!("{} in region `{}`", destination.operation_name(), identity.region);
    Err(ServiceError::new(400, "WrongHost", format!("`{}` does not serve {call}", host.name)))
}

/// The outcome of a call before it has a wire format.
enum Outcome {
    Complete(HandlerResult),
    Truncated(HandlerResult),
    Reset,
    Stall,
}

/// Serves an authenticated call: waits for a delay, takes it from its token bucket, applies a fault, calls the handler.
async fn serve(
    state: &State,
    destination: &Destination,
    identity: &CallIdentity,
    caller: &Caller,
    request: &Request,
    request_id: &str,
) -> Outcome {
    let definition = destination.service;
    let (service, protocol) = (definition.service, &definition.protocol);
    let verdict = state.judge(&Subject {
        service,
        operation: destination.operation_name(),
        account: &identity.account,
        region: &identity.region,
        role: &identity.role,
        has_empty_pages: destination.operation.is_some_and(|operation| operation.has_empty_pages),
    });
    if verdict.latency > 0 {
        tokio::time::sleep(Duration::from_millis(verdict.latency)).await;
    }
    if !state.admit(service, definition.rate_scope.key(&identity.account, &identity.region)) {
        return Outcome::Complete(Err(protocol.throttled()));
    }
    let intervention = verdict.effect.map_or(Intervention::None, |effect| {
        let action = destination.operation.map(|operation| operation.iam_action(service));
        let action = action.unwrap_or_else(|| format!("{}:{}", service.name(), routing::UNKNOWN));
        effect.intervention(protocol, caller.arn(), &action)
    });
    let empty_page = matches!(intervention, Intervention::EmptyPage);
    match intervention {
        Intervention::Respond(response) => return Outcome::Complete(Ok(response)),
        Intervention::Fail(error) => return Outcome::Complete(Err(error)),
        Intervention::Reset => return Outcome::Reset,
        Intervention::Stall => return Outcome::Stall,
        Intervention::None | Intervention::EmptyPage | Intervention::TruncateBody => {}
    }
    let invocation = Invocation {
        state,
        request,
        params: &destination.params,
        region: &identity.region,
        request_id,
        empty_page,
    };
    let result = call_handler(destination, &invocation, caller).await;
    if matches!(intervention, Intervention::TruncateBody) {
        Outcome::Truncated(result)
    } else {
        Outcome::Complete(result)
    }
}

async fn call_handler(
    destination: &Destination,
    invocation: &Invocation<'_>,
    caller: &Caller,
) -> HandlerResult {
    match (destination.operation.map(|operation| operation.handler), caller) {
        (Some(Handler::Anonymous(handle)), _) => handle(invocation),
        (Some(Handler::Session(handle)), Caller::Session(session)) => handle(invocation, *session),
        (Some(Handler::SessionAsync(handle)), Caller::Session(session)) => handle(invocation, *session).await,
        (Some(Handler::Signed(handle)), Caller::Signed(key)) => handle(invocation, key),
        _ => {
            let (status, code) = destination.service.protocol.unknown_operation;
            let Request { method, path, .. } = invocation.request;
            Err(ServiceError::new(status, code, format!("{method} {path} is not simulated")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{Effect, Fault};
    use crate::host_names;
    use crate::options::Options;
    use crate::organisation::Organisation;

    fn state() -> State {
        State::new(Organisation::demo(), &Options::default(), "http://127.0.0.1:1".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn latency_delays_the_response_by_as_much() {
        let state = state();
        state.add_fault(Fault::new(Effect::Latency(250)).times(1));
        let register = Request::example("POST", "/client/register", &[], "{}");
        for expected in [250, 0] {
            let start = tokio::time::Instant::now();
            assert!(matches!(respond(&state, &register).await, Delivery::Whole(_)));
            assert_eq!(start.elapsed(), Duration::from_millis(expected));
        }
    }

    #[tokio::test]
    async fn a_host_serves_its_own_service_and_region_only() {
        let state = state();
        let region = state.organisation.sessions()[0].region.clone();
        for (name, rejected) in [
            (format!("oidc.{region}.amazonaws.com"), false),
            (format!("portal.sso.{region}.amazonaws.com"), true),
            ("oidc.ap-south-1.amazonaws.com".to_owned(), true),
        ] {
            let host = host_names::resolve(&name);
            assert!(host.is_some(), "{name}");
            let request = Request { host, ..Request::example("POST", "/client/register", &[], "{}") };
            respond(&state, &request).await;
            let call = state.calls.latest().pop().unwrap();
            assert_eq!((call.host, call.code == "WrongHost"), (name, rejected));
        }
    }

    /// A session's Identity Center is in one region; the behavior of other regions is AWS's.
    #[tokio::test]
    async fn another_region_issues_codes_that_stay_pending() {
        let session = |name: &str, region: &str| {
            let start_url = format!("https://{name}.awsapps.com/start");
            serde_json::json!({"name": name, "start_url": start_url, "region": region})
        };
        let organisation = serde_json::json!({
            "regions": ["eu-west-1"], "roles": ["Audit"],
            "sessions": [session("one", "eu-west-1"), session("two", "us-east-2")],
            "accounts": [{"id": "111111111111", "name": "hub", "email": "hub@example.com"}],
        });
        let organisation = Organisation::from_json(&organisation.to_string()).unwrap();
        let state = State::new(organisation, &Options::default(), "http://127.0.0.1:1".to_owned());
        let call = async |name: &str, request: Request| {
            let host = host_names::resolve(name);
            let Delivery::Whole(response) = respond(&state, &Request { host, ..request }).await else {
                panic!("no response")
            };
            let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            (response.status, body)
        };
        let post =
            |path: &str, body: serde_json::Value| Request::example("POST", path, &[], &body.to_string());
        for (region, approved) in [("eu-west-1", true), ("us-east-2", false)] {
            let oidc = format!("oidc.{region}.amazonaws.com");
            let client = serde_json::json!({"clientName": "x", "clientType": "public"});
            let (_, client) = call(&oidc, post("/client/register", client)).await;
            let mut body = serde_json::json!({
                "clientId": client["clientId"], "clientSecret": client["clientSecret"],
                "startUrl": "https://one.awsapps.com/start",
                "grantType": "urn:ietf:params:oauth:grant-type:device_code",
            });
            let (status, code) = call(&oidc, post("/device_authorization", body.clone())).await;
            assert_eq!(status, 200);
            body["deviceCode"] = code["deviceCode"].clone();
            let (_, token) = call(&oidc, post("/token", body)).await;
            assert_eq!(token["error"] == "authorization_pending", !approved, "{token}");
            let Some(token) = token["accessToken"].as_str() else { continue };
            for (region, status) in [("eu-west-1", 200), ("us-east-2", 401)] {
                let headers = [("x-amz-sso_bearer_token", token)];
                let list = Request::example("GET", "/assignment/accounts", &headers, "");
                assert_eq!(call(&format!("portal.sso.{region}.amazonaws.com"), list).await.0, status);
            }
        }
    }

    #[tokio::test]
    async fn an_unknown_operation_is_rejected_and_recorded() {
        let state = state();
        let request = Request::example("PUT", "/bucket/key", &[], "");
        let Delivery::Whole(response) = respond(&state, &request).await else { panic!("no response") };
        assert_eq!(response.status, 403);
        let calls = state.calls.latest();
        assert_eq!((calls[0].operation.as_str(), calls[0].code.as_str()), (routing::UNKNOWN, "AccessDenied"));
    }
}
