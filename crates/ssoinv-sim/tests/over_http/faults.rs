//! Faults, and the control endpoint.

use std::io::{self, Read as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;
use ssoinv_sim::{Control, Effect, Fault, Options, Organisation, RetryHeader, Service, Simulator};

use crate::client::*;

fn started() -> (Simulator, Keys) {
    let simulator = start(Organisation::from_spec(small()));
    let keys = keys_of(&simulator, 0);
    simulator.reset_counters();
    (simulator, keys)
}

fn signed_describe(simulator: &Simulator, keys: &Keys) -> Request {
    let request = Request::form("Action=DescribeInstances&MaxResults=1000&Version=2016-11-15");
    sign(simulator, request, keys, "ec2", "eu-west-1", &amz_date(simulator))
}

#[test]
fn a_reset_is_an_rst_and_the_next_call_is_good() {
    let (simulator, keys) = started();
    simulator.fault(Fault::new(Effect::Reset).times(1)).unwrap();
    let problem = exchange(&simulator, &signed_describe(&simulator, &keys)).unwrap_err();
    assert_eq!(problem.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(describe_instances(&simulator, &keys, "eu-west-1", "").status, 200);
    let statuses: Vec<u16> = simulator.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [0, 200]);
}

#[test]
fn a_stalled_call_lasts_until_the_client_goes() {
    let (simulator, keys) = started();
    simulator.fault(Fault::new(Effect::Stall)).unwrap();
    let connection = send(&simulator, &signed_describe(&simulator, &keys)).unwrap();
    let wait_until = |what: &str, done: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(30), "{what}");
            std::thread::yield_now();
        }
    };
    wait_until("the call never came", &|| simulator.peak(Service::EC2, "eu-west-1") == 1);
    assert!(simulator.calls().is_empty(), "it still runs");
    drop(connection);
    wait_until("the call never ended", &|| !simulator.calls().is_empty());
    assert_eq!(simulator.calls()[0].status, 0);
}

#[test]
fn a_truncated_body_has_its_true_length_and_half_its_bytes() {
    let (simulator, keys) = started();
    let whole = fetch(&simulator, &signed_describe(&simulator, &keys)).body.len();
    simulator.fault(Fault::new(Effect::TruncateBody).times(1)).unwrap();
    let mut response = Vec::new();
    send(&simulator, &signed_describe(&simulator, &keys)).unwrap().read_to_end(&mut response).unwrap();
    let text = String::from_utf8(response).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains(&format!("content-length: {whole}")), "{head}");
    assert_eq!(body.len(), whole / 2);
}

#[test]
fn responses_that_are_no_responses() {
    let (simulator, keys) = started();
    let next = |effect: Effect| {
        simulator.fault(Fault::new(effect).times(1)).unwrap();
        describe_instances(&simulator, &keys, "eu-west-1", "")
    };
    let garbage = next(Effect::Garbage);
    assert!(garbage.status == 200 && !garbage.text().starts_with("<?xml"));
    let empty = next(Effect::EmptyBody);
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    let gateway = next(Effect::ServerError(502));
    assert_eq!((gateway.status, gateway.header("content-type")), (502, Some("text/html")));
    assert_eq!(
        (next(Effect::TooMany429).status, next(Effect::ServerError(500)).element("Code")),
        (429, "InternalError".into())
    );
    assert_eq!(next(Effect::ServerError(503)).element("Code"), "Unavailable");
    simulator.fault(Fault::new(Effect::EmptyPage).times(1)).unwrap();
    let page = describe_instances(&simulator, &keys, "eu-west-1", "&MaxResults=5");
    assert_eq!(page.element("reservationSet"), "");
    let more = format!("&MaxResults=1000&NextToken={}", encoded(&page.element("nextToken")));
    let rest = describe_instances(&simulator, &keys, "eu-west-1", &more);
    assert_eq!(rest.elements("instanceId").len(), 5);
}

#[test]
fn throttling_can_have_a_retry_header() {
    let (simulator, keys) = started();
    let throttle = |retry_after, header| Fault::new(Effect::Throttle { retry_after, header }).times(1);
    simulator.fault(throttle(Some(3), RetryHeader::RetryAfter)).unwrap();
    let response = list_buckets(&simulator, &keys);
    assert_eq!((response.status, response.header("retry-after")), (503, Some("3")));
    simulator.fault(throttle(Some(3), RetryHeader::AmzRetryAfter)).unwrap();
    let response = list_functions(&simulator, &keys, "eu-west-1", "");
    assert_eq!((response.status, response.header("x-amz-retry-after")), (429, Some("3000")));
    simulator.fault(throttle(None, RetryHeader::RetryAfter)).unwrap();
    let response = describe_instances(&simulator, &keys, "eu-west-1", "");
    assert_eq!(
        (response.element("Code").as_str(), response.header("retry-after")),
        ("RequestLimitExceeded", None)
    );
}

#[test]
fn denials_name_the_caller_and_the_policy() {
    let (simulator, keys) = started();
    simulator.fault(Fault::new(Effect::DeniedByScp).service(Service::S3)).unwrap();
    simulator.fault(Fault::new(Effect::Denied).service(Service::LAMBDA)).unwrap();
    let scp = list_buckets(&simulator, &keys);
    let message = scp.element("Message");
    assert_eq!((scp.status, scp.element("Code").as_str()), (403, "AccessDenied"));
    assert!(message.contains("AWSReservedSSO_AdministratorAccess_"), "{message}");
    assert!(
        message.ends_with("s3:ListAllMyBuckets with an explicit deny in a service control policy"),
        "{message}"
    );
    let denied = list_functions(&simulator, &keys, "eu-west-1", "").json();
    let message = denied["Message"].as_str().unwrap();
    assert!(
        message.contains("lambda:ListFunctions") && !message.contains("service control policy"),
        "{message}"
    );
    simulator.clear_faults();
    assert_eq!(list_buckets(&simulator, &keys).status, 200);
}

#[test]
fn portal_faults_can_match_one_account_or_role() {
    let simulator = start(Organisation::from_spec(small()));
    let token = sign_in(&simulator, 0);
    let (one, two) = (simulator.organisation().account(0).id, simulator.organisation().account(1).id);
    simulator
        .fault(Fault::new(Effect::Forbidden403).operation("GetRoleCredentials").account(&one).times(1))
        .unwrap();
    simulator.fault(Fault::new(Effect::Unauthorized401).role("SecurityAudit")).unwrap();
    let status = |account: &str, role: &str| role_credentials(&simulator, &token, account, role).status;
    assert_eq!(status(&two, "ReadOnlyAccess"), 200);
    assert_eq!(status(&one, "ReadOnlyAccess"), 403, "transient");
    assert_eq!(status(&one, "ReadOnlyAccess"), 200);
    assert_eq!(status(&two, "SecurityAudit"), 401);
}

#[test]
fn a_fault_that_can_match_no_call_is_rejected() {
    let (simulator, _) = started();
    let fault = || Fault::new(Effect::Reset);
    for wrong in [
        fault().operation("ListBucket"),
        fault().operation("ListBuckets").service(Service::EC2),
        fault().account("1"),
        fault().region("eu-nowhere-1"),
        Fault { service: Some("s4".into()), ..fault() },
    ] {
        assert_eq!(simulator.fault(wrong).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_bad_signature_comes_before_a_fault() {
    let (simulator, keys) = started();
    simulator.fault(Fault::new(Effect::Denied)).unwrap();
    let wrong = Keys { secret: "x".repeat(40), ..keys };
    assert_eq!(list_buckets(&simulator, &wrong).element("Code"), "SignatureDoesNotMatch");
}

#[test]
fn changes_can_be_made_over_http() {
    let (simulator, keys) = started();
    let order =
        |verb: &str, body: &str| fetch(&simulator, &Request::post(&format!("/_sim/{verb}"), body)).status;
    assert_eq!(
        order("fault", r#"{"operation": "ListBuckets", "effect": {"throttle": {"retry_after": 1}}}"#),
        200
    );
    assert_eq!(list_buckets(&simulator, &keys).status, 503);
    assert_eq!(order("clear-faults", ""), 200);
    assert_eq!(list_buckets(&simulator, &keys).status, 200);
    assert_eq!(order("skew", r#"{"seconds": 0}"#), 200);
    assert_eq!(order("limits", r#"{"rates": {"s3": {"burst": 0, "per_second": 0}}}"#), 200);
    assert_eq!(list_buckets(&simulator, &keys).status, 503);
    assert_eq!(order("limits", "{}"), 200);
    assert_eq!(order("expire-role-credentials", r#"{"after_calls": 0}"#), 200);
    assert_eq!(list_buckets(&simulator, &keys).element("Code"), "ExpiredToken");
    assert_eq!(order("approval", r#"{"at_poll": 2}"#), 200);
    assert_eq!(order("region", r#"{"account": "1", "region": "x", "enabled": true}"#), 400);
    for (verb, body) in [
        ("explode", "{}"),
        ("skew", "{}"),
        ("skew", "nonsense"),
        ("fault", r#"{"effect": "x"}"#),
        ("approve", "{}"),
        ("limits", r#"{"rates": {"s4": {"burst": 0, "per_second": 0}}}"#),
    ] {
        assert_eq!(order(verb, body), 400, "{verb} {body}");
    }
    let calls = fetch(&simulator, &Request::get("/_sim/calls")).json();
    assert_eq!(calls[0]["operation"], "ListBuckets");
    assert_eq!(calls[0]["service"], "s3");
    assert_eq!(order("reset-counters", ""), 200);
    assert_eq!(fetch(&simulator, &Request::get("/_sim/counts")).json(), json!([]));
    let organisation = fetch(&simulator, &Request::get("/_sim/organisation")).json();
    assert_eq!(organisation["accounts"][0]["account"]["id"], simulator.organisation().account(0).id);
    assert_eq!(fetch(&simulator, &Request::get("/_sim/nothing")).status, 404);
}

#[test]
fn the_demo_has_one_fault_of_each_kind() {
    let simulator = Simulator::start(Organisation::demo(), Options::demo_faults()).unwrap();
    let find =
        |name: &str| (0..12).find(|index| simulator.organisation().account(*index).name == name).unwrap();
    let shop = keys_of(&simulator, find("shop-prod"));
    let payments = keys_of(&simulator, find("payments-prod"));
    let archive = keys_of(&simulator, find("log-archive"));
    assert_eq!(list_buckets(&simulator, &archive).element("Code"), "AccessDenied");
    assert!(
        describe_instances(&simulator, &payments, "eu-west-1", "").text().contains("service control policy")
    );
    let statuses: Vec<u16> = (0..3).map(|_| list_buckets(&simulator, &shop).status).collect();
    assert_eq!(statuses, [503, 503, 200]);
    let request = sign(
        &simulator,
        Request::get("/2015-03-31/functions"),
        &shop,
        "lambda",
        "ap-southeast-2",
        &amz_date(&simulator),
    );
    assert!(exchange(&simulator, &request).is_err(), "that region is dead");
    let token = sign_in(&simulator, 0);
    let audit = simulator.organisation().account(find("security-audit"));
    assert_eq!(role_credentials(&simulator, &token, &audit.id, &audit.roles[0]).status, 403);
    let statuses: Vec<u16> =
        (0..3).map(|_| portal(&simulator, &token, "/assignment/accounts").status).collect();
    assert_eq!(statuses, [200, 401, 401], "the sixth call of the portal in all");
}

#[test]
fn role_credentials_can_be_another_sts_s() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !String::from_utf8_lossy(&request).contains("RoleSessionName") {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).unwrap();
            assert!(length > 0);
            request.extend_from_slice(&part[..length]);
        }
        let body = "<AssumeRoleResponse><Credentials><AccessKeyId>ASIAUPSTREAM00000001</AccessKeyId>\
                    <SecretAccessKey>up/secret</SecretAccessKey><SessionToken>up+token==</SessionToken>\
                    </Credentials></AssumeRoleResponse>";
        let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        io::Write::write_all(&mut stream, response.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    let options = Options { upstream_sts: Some(upstream), ..Options::default() };
    let simulator = Simulator::start(Organisation::from_spec(small()), options).unwrap();
    let keys = keys_of(&simulator, 1);
    assert_eq!((keys.id.as_str(), keys.secret.as_str()), ("ASIAUPSTREAM00000001", "up/secret"));
    let account = simulator.organisation().account(1).id;
    let request = server.join().unwrap();
    let arn = format!("RoleArn=arn%3Aaws%3Aiam%3A%3A{account}%3Arole%2FAdministratorAccess");
    assert!(request.starts_with("POST / HTTP/1.1") && request.contains(&arn), "{request}");
    assert_eq!(caller_identity(&simulator, &keys).element("Account"), account, "they are good here, too");
    assert!(simulator.secrets().contains(&"up+token==".to_owned()));
}

#[test]
fn a_simulator_starts_in_a_runtime_and_ends_on_drop() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(async {
        let simulator = start(Organisation::demo());
        simulator.fault(Fault::new(Effect::Stall)).unwrap();
        let _stalled = send(&simulator, &Request::post("/token", "{}")).unwrap();
        simulator.url().to_owned()
    });
    let gone = std::net::TcpStream::connect(url.strip_prefix("http://").unwrap());
    assert_eq!(gone.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let bad = Options { controls: vec![Control::Approve { user_code: None }], ..Options::default() };
    assert_eq!(Simulator::start(Organisation::demo(), bad).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
