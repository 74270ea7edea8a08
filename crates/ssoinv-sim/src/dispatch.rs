//! From a request to an answer: who calls (`authenticate`), is the rate kept (`limits.rs`), is a fault due
//! (`faults.rs`), what does the service say. Sockets come after it, in `server.rs`.

use std::sync::Arc;

use crate::authorize;
use crate::calls::Call;
use crate::clock;
use crate::control;
use crate::faults::{Effect, RetryHeader, Subject};
use crate::http::{Reply, Request};
use crate::keys::Key;
use crate::refusal::{self, Problem, Refusal};
use crate::regions;
use crate::service::{Route, Service, UNKNOWN, route};
use crate::sigv4::{self, Authorization};
use crate::state::State;
use crate::{ec2, lambda, metadata, oidc, organizations, portal, s3, sts};

/// How far a request's time may be off, in seconds; S3 allows more than the others.
const SKEW: i64 = 300;
const SKEW_S3: i64 = 900;

/// What the socket does.
#[derive(Debug)]
pub(crate) enum Answer {
    Reply(Reply),
    /// Sends half of the body, then ends the connection.
    Truncated(Reply),
    Reset,
}

/// Who makes a signed call, and where.
#[derive(Debug)]
struct Caller {
    key: Arc<Key>,
    region: String,
}

/// What is known of a call when it is written into the books.
#[derive(Debug, Default)]
struct Known {
    host: String,
    account: String,
    region: String,
    role: String,
    access_key_id: String,
    role_session: String,
}

impl Known {
    fn of_key(key: &Key, region: &str) -> Self {
        Self {
            host: String::new(),
            account: key.account_id.clone(),
            region: region.to_owned(),
            role: key.principal.role.clone(),
            access_key_id: key.id.clone(),
            role_session: key.principal.session.clone(),
        }
    }
}

/// Checks key, signature, token, time and scope of a signed request.
fn authenticate(state: &State, service: Service, request: &Request) -> (Known, Result<Caller, Problem>) {
    let mut known = Known::default();
    let Some(header) = request.header("authorization") else { return (known, Err(Problem::NoSignature)) };
    let authorization = match Authorization::parse(header) {
        Ok(authorization) => authorization,
        Err(problem) => return (known, Err(Problem::Malformed(problem))),
    };
    authorization.region.clone_into(&mut known.region);
    authorization.key_id.clone_into(&mut known.access_key_id);
    let Some(key) = state.keys.get(authorization.key_id) else {
        return (known, Err(Problem::UnknownKey(authorization.key_id.to_owned())));
    };
    let known = Known::of_key(&key, authorization.region);
    let checked = check(state, service, request, &authorization, &key);
    (known, checked.map(|()| Caller { key, region: authorization.region.to_owned() }))
}

fn check(
    state: &State,
    service: Service,
    request: &Request,
    authorization: &Authorization<'_>,
    key: &Key,
) -> Result<(), Problem> {
    let token = request.header("x-amz-security-token");
    if token != key.token.as_deref() {
        return Err(Problem::WrongToken(token.unwrap_or_default().to_owned()));
    }
    check_scope(state, service, authorization)?;
    let signed = &authorization.signed_headers;
    let must = |name: &str| name == "host" || name.starts_with("x-amz-");
    let unsigned: Vec<&str> = request
        .headers
        .keys()
        .map(hyper::header::HeaderName::as_str)
        .filter(|n| must(n) && !signed.contains(n))
        .collect();
    if !unsigned.is_empty() || !signed.contains(&"host") {
        return Err(Problem::NotSigned(unsigned.join(", ")));
    }

    let sent = request.header("x-amz-date").unwrap_or_default();
    let Some(sent_at) = clock::parse_compact(sent) else {
        return Err(Problem::Malformed("Date must be in ISO-8601 'basic format'".to_owned()));
    };
    if !sent.starts_with(authorization.date) {
        return Err(Problem::WrongScope(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}'",
            authorization.date,
            sent.get(..8).unwrap_or_default()
        )));
    }
    let (now_ms, allowed) = (state.clock.now_ms(), if service == Service::S3 { SKEW_S3 } else { SKEW });
    let now = now_ms / 1000;

    let body_hash = sigv4::hex(&sigv4::sha256(&request.body));
    let said_hash = request.header("x-amz-content-sha256");
    let payload_hash = match (service, said_hash) {
        (Service::S3, None) => {
            return Err(Problem::Malformed("x-amz-content-sha256 is missing".to_owned()));
        }
        (Service::S3, Some("UNSIGNED-PAYLOAD")) => "UNSIGNED-PAYLOAD",
        _ => body_hash.as_str(),
    };
    let canonical =
        sigv4::canonical_request(request, signed, said_hash.unwrap_or(payload_hash), service == Service::S3);
    let scope = authorization.scope();
    let text = sigv4::string_to_sign(sent, &scope, &canonical);
    let signing_key =
        key.signing_key(&scope, authorization.date, authorization.region, authorization.service);
    if sigv4::signature(&signing_key, &text) != authorization.signature {
        return Err(Problem::WrongSignature {
            key_id: key.id.clone(),
            string_to_sign: text,
            canonical,
            given: authorization.signature.to_owned(),
        });
    }
    if said_hash.is_some_and(|said| said != payload_hash) {
        return Err(Problem::WrongBody);
    }
    if (sent_at - now).abs() > allowed {
        return Err(Problem::Skewed { sent: sent_at, now, allowed });
    }
    if key.has_ended(now_ms) || !key.spend() {
        return Err(Problem::Expired(token.unwrap_or_default().to_owned()));
    }
    if service != Service::S3 && !state.region_enabled(key.account, authorization.region) {
        return Err(Problem::RegionOff);
    }
    Ok(())
}

/// The service must be the one that the request is for, the region one of the partition's.
fn check_scope(state: &State, service: Service, authorization: &Authorization<'_>) -> Result<(), Problem> {
    if authorization.service != service.name() {
        return Err(Problem::WrongScope(format!(
            "Credential should be scoped to correct service: '{}'. ",
            service.name()
        )));
    }
    let region = authorization.region;
    if regions::needs_opt_in(region).is_none() || regions::partition(region) != state.partition() {
        return Err(Problem::WrongScope(match service {
            Service::S3 => format!("the region '{region}' is wrong; expecting 'us-east-1'"),
            _ => "Credential should be scoped to a valid region. ".to_owned(),
        }));
    }
    Ok(())
}

/// Answers a request, and writes the call into the books.
pub(crate) async fn answer(state: &State, request: &Request) -> Answer {
    if request.path.starts_with("/_sim/") {
        return Answer::Reply(control::answer(state, request));
    }
    let route = route(request);
    if request.path == "/authorize" {
        return Answer::Reply(authorize::page(state, request, &route.params));
    }
    if request.path == "/device" {
        return Answer::Reply(control::device_page(state, request, &route.params));
    }
    let request_id = state.mint.request_id();
    let (mut known, caller) = identify(state, &route, request);
    known.host = request.host.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
    let caller = caller.and_then(|caller| check_host(state, &route, &known, request).map(|()| caller));
    let running = state.calls.begin(route.service, &known.region);
    // Noted when it goes out of sight, so that a client that hangs up is in the books too.
    let mut entry = Entry { state, route: &route, known, status: 0, code: "", bytes: 0 };
    let outcome = match caller {
        Err(refusal) => Outcome::of(Err(refusal)),
        Ok(caller) => served(state, &route, &entry.known, caller, request, &request_id).await,
    };
    let answer = match outcome {
        Outcome::Reset => Answer::Reset,
        // The call goes on for as long as the client waits: hyper drops this future when it hangs up.
        Outcome::Stall => std::future::pending().await,
        Outcome::Made { reply, code, truncated } => {
            let mut reply = match reply {
                Ok(reply) => reply,
                Err(refusal) => refusal::render(route.service, refusal, &request_id, &state.mint.host_id()),
            };
            (entry.status, entry.code, entry.bytes) = (reply.status, code, reply.body.len());
            sign_off(state, route.service, &mut reply, request_id);
            if truncated { Answer::Truncated(reply) } else { Answer::Reply(reply) }
        }
    };
    drop(running);
    answer
}

/// The request IDs, where each service puts them.
fn sign_off(state: &State, service: Service, reply: &mut Reply, request_id: String) {
    match service {
        Service::S3 => {
            reply.headers.push(("x-amz-request-id", request_id[..16].replace('-', "0").to_uppercase()));
            reply.headers.push(("x-amz-id-2", state.mint.host_id()));
            reply.headers.push(("server", "AmazonS3".to_owned()));
        }
        Service::Portal => {
            reply.headers.push(("requestid", request_id));
            reply.headers.push(("server", "AWS SSO".to_owned()));
        }
        Service::Oidc | Service::Sts | Service::Ec2 | Service::Lambda | Service::Organizations => {
            reply.headers.push(("x-amzn-requestid", request_id));
        }
        Service::Metadata => reply.headers.push(("server", "EC2ws".to_owned())),
    }
}

/// The entry of a call in the books, which is made when the call ends, however it ends.
struct Entry<'a> {
    state: &'a State,
    route: &'a Route,
    known: Known,
    status: u16,
    code: &'static str,
    bytes: usize,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let known = std::mem::take(&mut self.known);
        let call = Call {
            at_ms: self.state.clock.now_ms(),
            service: self.route.service,
            operation: self.route.operation.to_owned(),
            host: known.host,
            account: known.account,
            region: known.region,
            role: known.role,
            access_key_id: known.access_key_id,
            role_session: known.role_session,
            status: self.status,
            code: self.code.to_owned(),
        };
        self.state.calls.note(call, self.bytes);
    }
}

/// The host that was called must be the service's, in the region that the call is for.
fn check_host(state: &State, route: &Route, known: &Known, request: &Request) -> Result<(), Refusal> {
    let Some((name, host)) = &request.host else { return Ok(()) };
    let in_region = match (&host.region, route.service) {
        (None, _) => state.partition() == "aws",
        // Unsigned: where the Identity Center is.
        (Some(region), Service::Oidc | Service::Portal) => {
            state.organisation.sessions().iter().any(|session| session.region == *region)
        }
        // Unsigned as well: anywhere in the partition.
        (Some(region), _) if known.region.is_empty() => regions::partition(region) == state.partition(),
        (Some(region), _) => *region == known.region,
    };
    if host.service == route.service && in_region {
        return Ok(());
    }
    let what = format!("{} in region `{}`", route.operation, known.region);
    Err(Refusal::new(400, "WrongHost", format!("`{name}` does not answer {what}")))
}

/// Who may go on to the service.
enum Admitted {
    /// OIDC, and AssumeRoleWithWebIdentity.
    Anyone,
    /// The portal: the number of the session.
    Session(usize),
    Signed(Caller),
}

fn identify(state: &State, route: &Route, request: &Request) -> (Known, Result<Admitted, Refusal>) {
    match route.service {
        Service::Oidc | Service::Metadata => (Known::default(), Ok(Admitted::Anyone)),
        Service::Sts if route.operation == "AssumeRoleWithWebIdentity" => {
            (Known::default(), Ok(Admitted::Anyone))
        }
        Service::Portal => {
            let known = Known {
                account: route.params.get("account_id").unwrap_or_default().to_owned(),
                role: route.params.get("role_name").unwrap_or_default().to_owned(),
                ..Known::default()
            };
            (known, portal::session_of(state, request).map(Admitted::Session))
        }
        Service::Sts | Service::S3 | Service::Ec2 | Service::Lambda | Service::Organizations => {
            let (known, caller) = authenticate(state, route.service, request);
            (
                known,
                caller.map(Admitted::Signed).map_err(|problem| refusal::of_problem(route.service, problem)),
            )
        }
    }
}

enum Outcome {
    Made { reply: Result<Reply, Refusal>, code: &'static str, truncated: bool },
    Reset,
    Stall,
}

impl Outcome {
    fn of(reply: Result<Reply, Refusal>) -> Self {
        let code = reply.as_ref().err().map_or("", |refusal| refusal.code);
        Self::Made { reply, code, truncated: false }
    }
}

/// The way of a call that may be made: rate, faults, service.
async fn served(
    state: &State,
    route: &Route,
    known: &Known,
    caller: Admitted,
    request: &Request,
    request_id: &str,
) -> Outcome {
    let service = route.service;
    let subject = Subject {
        service,
        operation: route.operation,
        account: &known.account,
        region: &known.region,
        role: &known.role,
    };
    let verdict = state.judge(&subject);
    if verdict.latency > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(verdict.latency)).await;
    }
    if !state.admit(service, &known.account, &known.region) {
        return Outcome::of(Err(refusal::throttled(service)));
    }
    let who = match &caller {
        Admitted::Signed(caller) => caller.key.principal.arn.as_str(),
        Admitted::Anyone | Admitted::Session(_) => "anonymous",
    };
    let mut empty_page = false;
    match &verdict.effect {
        None | Some(Effect::Latency(_) | Effect::TruncateBody) => {}
        Some(Effect::EmptyPage) => empty_page = true,
        Some(effect) => return struck(service, route.operation, who, effect),
    }
    let reply = asked(state, route, caller, request, request_id, empty_page).await;
    match Outcome::of(reply) {
        Outcome::Made { reply, code, .. } => {
            Outcome::Made { reply, code, truncated: verdict.effect == Some(Effect::TruncateBody) }
        }
        other => other,
    }
}

/// What the service itself says.
async fn asked(
    state: &State,
    route: &Route,
    caller: Admitted,
    request: &Request,
    request_id: &str,
    empty_page: bool,
) -> Result<Reply, Refusal> {
    let (operation, params) = (route.operation, &route.params);
    match (route.service, caller) {
        (Service::Oidc, _) => oidc::answer(state, operation, request),
        (Service::Portal, Admitted::Session(session)) => {
            portal::answer(state, operation, session, request, params).await
        }
        (Service::Metadata, _) => metadata::answer(state, operation, request),
        (Service::Sts, Admitted::Anyone) => sts::with_web_identity(state, params, request_id),
        (service, Admitted::Signed(_)) if operation == UNKNOWN => Err(not_simulated(service, request)),
        (Service::Sts, Admitted::Signed(caller)) => {
            sts::answer(state, operation, &caller.key, params, request_id)
        }
        (Service::S3, Admitted::Signed(caller)) => s3::list_buckets(state, &caller.key, params),
        (Service::Ec2, Admitted::Signed(caller)) => match operation {
            "DescribeRegions" => ec2::describe_regions(state, &caller.key, params, request_id),
            _ => ec2::describe_instances(state, &caller.key, &caller.region, params, request_id, empty_page),
        },
        (Service::Organizations, Admitted::Signed(caller)) => {
            organizations::list_accounts(state, &caller.key, request, empty_page)
        }
        (Service::Lambda, Admitted::Signed(caller)) => {
            lambda::list_functions(state, &caller.key, &caller.region, params)
        }
        (service, _) => Err(not_simulated(service, request)),
    }
}

/// What AWS can do and the simulator can't.
fn not_simulated(service: Service, request: &Request) -> Refusal {
    let (status, code) = match service {
        Service::S3 => (501, "NotImplemented"),
        Service::Lambda => (404, "ResourceNotFoundException"),
        Service::Ec2 | Service::Sts | Service::Portal | Service::Oidc => (400, "InvalidAction"),
        Service::Organizations => (400, "UnknownOperationException"),
        Service::Metadata => (404, "NotFound"),
    };
    let message = format!("The simulator has no answer for {} {}", request.method, request.path);
    Refusal::new(status, code, message)
}

/// The outcome of a fault that takes the service's place.
fn struck(service: Service, operation: &str, who: &str, effect: &Effect) -> Outcome {
    let refusal = match effect {
        Effect::Reset => return Outcome::Reset,
        Effect::Stall => return Outcome::Stall,
        Effect::Garbage => {
            let body = "\u{0}\u{1}<<<{{{ this is neither XML nor JSON \u{fffd}";
            return Outcome::of(Ok(Reply::new(200, "application/octet-stream", body)));
        }
        Effect::EmptyBody => return Outcome::of(Ok(Reply::new(200, "text/plain", ""))),
        Effect::ServerError(status @ (502 | 504)) => {
            let page = format!("<html><body><h1>{status} Gateway trouble</h1></body></html>");
            return Outcome::of(Ok(Reply::new(*status, "text/html", page)));
        }
        Effect::TooMany429 => {
            return Outcome::of(Ok(Reply::new(429, "text/plain", "Too Many Requests")));
        }
        Effect::ServerError(status) => refusal::broken(service, *status),
        Effect::Denied | Effect::Forbidden403 => refusal::denied(service, who, operation, false),
        Effect::DeniedByScp => refusal::denied(service, who, operation, true),
        Effect::Unauthorized401 if service == Service::Portal => portal::unauthorized(),
        Effect::Unauthorized401 => refusal::of_problem(service, Problem::UnknownKey(String::new())),
        Effect::Throttle { retry_after, header } => {
            let mut refusal = refusal::throttled(service);
            if let Some(seconds) = retry_after {
                refusal.headers.push(match header {
                    RetryHeader::RetryAfter => ("retry-after", seconds.to_string()),
                    RetryHeader::AmzRetryAfter => ("x-amz-retry-after", (seconds * 1000).to_string()),
                });
            }
            refusal
        }
        Effect::Latency(_) | Effect::TruncateBody | Effect::EmptyPage => {
            unreachable!("these go along with the service's own answer")
        }
    };
    Outcome::of(Err(refusal))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::faults::Fault;
    use crate::options::Options;
    use crate::organisation::Organisation;

    fn state() -> State {
        State::new(Organisation::demo(), &Options::default(), "http://127.0.0.1:1".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn latency_delays_the_answer_by_just_as_much() {
        let state = state();
        state.add_fault(Fault::new(Effect::Latency(250)).times(1)).unwrap();
        let register = Request::example("POST", "/client/register", &[], "{}");
        for expected in [250, 0] {
            let start = tokio::time::Instant::now();
            assert!(matches!(answer(&state, &register).await, Answer::Reply(_)));
            assert_eq!(start.elapsed(), Duration::from_millis(expected));
        }
    }

    #[tokio::test]
    async fn a_host_answers_its_own_service_in_its_own_region_only() {
        let state = state();
        let region = state.organisation.sessions()[0].region.clone();
        for (name, refused) in [
            (format!("oidc.{region}.amazonaws.com"), false),
            (format!("portal.sso.{region}.amazonaws.com"), true),
            ("oidc.ap-south-1.amazonaws.com".to_owned(), true),
        ] {
            let host = crate::hosts::Host::of(&name).map(|host| (name.clone(), host));
            assert!(host.is_some(), "{name}");
            let request = Request { host, ..Request::example("POST", "/client/register", &[], "{}") };
            answer(&state, &request).await;
            let call = state.calls.log().pop().unwrap();
            assert_eq!((call.host, call.code == "WrongHost"), (name, refused));
        }
    }

    /// A session's Identity Center is in one region; what others say of it is AWS's.
    #[tokio::test]
    async fn another_region_knows_no_token_and_gives_a_code_that_nobody_can_approve() {
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
            let host = crate::hosts::Host::of(name).map(|host| (name.to_owned(), host));
            let Answer::Reply(reply) = answer(&state, &Request { host, ..request }).await else {
                panic!("no reply")
            };
            let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            (reply.status, body)
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
    async fn a_request_that_nobody_knows_is_refused_and_noted() {
        let state = state();
        let request = Request::example("PUT", "/bucket/key", &[], "");
        let Answer::Reply(reply) = answer(&state, &request).await else { panic!("no reply") };
        assert_eq!(reply.status, 403);
        let calls = state.calls.log();
        assert_eq!((calls[0].operation.as_str(), calls[0].code.as_str()), (UNKNOWN, "AccessDenied"));
    }
}
