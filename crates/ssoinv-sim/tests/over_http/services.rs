//! STS, S3, EC2 and Lambda: wire formats, pages and authentication.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use ssoinv_sim::{Control, Limits, Options, Organisation, OrganisationSpec, Rate, Service, Simulator};

use crate::client::*;

/// Returns the status and error code of STS, S3, EC2 and Lambda for a call.
fn errors(call_of: impl Fn(&str, &str, Request) -> Response) -> Vec<(u16, String)> {
    let responses = [
        call_of("sts", "us-east-1", Request::form("Action=GetCallerIdentity&Version=2011-06-15")),
        call_of("s3", "us-east-1", Request::get("/?max-buckets=1000")),
        call_of("ec2", "us-east-1", Request::form("Action=DescribeInstances&Version=2016-11-15")),
        call_of("lambda", "us-east-1", Request::get("/2015-03-31/functions")),
    ];
    let code = |response: &Response| match response.header("x-amzn-errortype") {
        Some(code) => code.to_owned(),
        None => response.element("Code"),
    };
    responses.iter().map(|response| (response.status, code(response))).collect()
}

fn expect(wanted: [(u16, &str); 4]) -> Vec<(u16, String)> {
    wanted.map(|(status, code)| (status, code.to_owned())).to_vec()
}

#[test]
fn a_good_signature_is_accepted_by_all_services() {
    let simulator = start(Organisation::from_spec(small()));
    let keys = keys_of(&simulator, 0);
    let good = errors(|service, region, request| call(&simulator, &keys, service, region, request));
    assert_eq!(good, expect([(200, ""), (200, ""), (200, ""), (200, "")]));
}

#[test]
fn a_change_to_signed_parts_is_rejected() {
    let simulator = start(Organisation::from_spec(small()));
    let keys = keys_of(&simulator, 0);
    let date = amz_date(&simulator);
    let mismatch = expect([
        (403, "SignatureDoesNotMatch"),
        (403, "SignatureDoesNotMatch"),
        (401, "AuthFailure"),
        (403, "InvalidSignatureException"),
    ]);
    let changed = |change: &dyn Fn(&mut Request)| {
        errors(|service, region, request| {
            let mut request = sign(&simulator, request, &keys, service, region, &date);
            change(&mut request);
            fetch(&simulator, &request)
        })
    };
    assert_eq!(
        changed(&|request| request.target.push_str(if request.target.contains('?') {
            "&a=b"
        } else {
            "?a=b"
        })),
        mismatch
    );
    let other_signature = |request: &mut Request| {
        let (name, value) = request.headers.pop().unwrap();
        let last = if value.ends_with('0') { "1" } else { "0" };
        request.headers.push((name, format!("{}{last}", &value[..value.len() - 1])));
    };
    assert_eq!(changed(&other_signature), mismatch);
    let wrong_secret = Keys { secret: "x".repeat(40), ..keys.clone() };
    assert_eq!(
        errors(|service, region, request| call(&simulator, &wrong_secret, service, region, request)),
        mismatch
    );
    // A body that was added after signing: S3 tells it apart from a wrong signature.
    let added = changed(&|request| request.body.push_str("&x=1"));
    assert_eq!(added[0], mismatch[0]);
    assert_eq!(added[1], (400, "XAmzContentSHA256Mismatch".to_owned()));
    assert_eq!(added[2..], mismatch[2..]);
    // Headers of AWS's that aren't signed.
    let unsigned = changed(&|request| request.headers.push(("x-amz-more".into(), "1".into())));
    assert_eq!(unsigned[1], (403, "AccessDenied".to_owned()));
    assert!(unsigned.iter().all(|(status, _)| *status >= 400));
}

#[test]
fn keys_tokens_and_scopes_must_be_known() {
    let simulator = start(Organisation::from_spec(small()));
    let keys = keys_of(&simulator, 0);
    let with =
        |keys: &Keys| errors(|service, region, request| call(&simulator, keys, service, region, request));
    assert_eq!(
        with(&Keys { id: "ASIAQQQQQQQQQQQQQQQQ".into(), ..keys.clone() }),
        expect([
            (403, "InvalidClientTokenId"),
            (403, "InvalidAccessKeyId"),
            (401, "AuthFailure"),
            (403, "UnrecognizedClientException"),
        ])
    );
    let wrong_token = expect([
        (403, "InvalidClientTokenId"),
        (400, "InvalidToken"),
        (401, "AuthFailure"),
        (403, "UnrecognizedClientException"),
    ]);
    assert_eq!(with(&Keys { token: None, ..keys.clone() }), wrong_token);
    let other = keys_of(&simulator, 1);
    assert_eq!(with(&Keys { token: other.token, ..keys.clone() }), wrong_token);
    let region = errors(|service, _, request| call(&simulator, &keys, service, "eu-nowhere-1", request));
    assert_eq!(
        region,
        expect([
            (403, "SignatureDoesNotMatch"),
            (400, "AuthorizationHeaderMalformed"),
            (401, "AuthFailure"),
            (403, "InvalidSignatureException"),
        ])
    );
    // Signed for one service, sent to the address of another: there is one address, so the scope decides.
    let response = call(
        &simulator,
        &keys,
        "sts",
        "us-east-1",
        Request::form("Action=DescribeInstances&Version=2016-11-15"),
    );
    assert_eq!((response.status, response.element("Code").as_str()), (400, "InvalidAction"));
    let unsigned = errors(|_, _, request| fetch(&simulator, &request));
    assert_eq!(
        unsigned,
        expect([
            (403, "MissingAuthenticationToken"),
            (403, "AccessDenied"),
            (400, "MissingParameter"),
            (403, "MissingAuthenticationTokenException"),
        ])
    );
}

#[test]
fn credentials_expire_by_time_or_by_calls() {
    let ended = expect([
        (403, "ExpiredToken"),
        (400, "ExpiredToken"),
        (400, "RequestExpired"),
        (403, "ExpiredTokenException"),
    ]);
    let options = Options { role_lifetime: Some(0), ..Options::default() };
    let simulator = Simulator::start(Organisation::from_spec(small()), options).unwrap();
    let keys = keys_of(&simulator, 0);
    let with =
        |keys: &Keys| errors(|service, region, request| call(&simulator, keys, service, region, request));
    assert_eq!(with(&keys), ended);

    simulator.control(Control::RoleLifetime { seconds: None }).unwrap();
    let order = |after_calls, times| Control::ExpireRoleCredentials {
        account: Some(simulator.organisation().account(0).id),
        role: Some("AdministratorAccess".into()),
        after_calls,
        times,
    };
    simulator.control(order(2, Some(1))).unwrap();
    let (touched, elsewhere, next) = (keys_of(&simulator, 0), keys_of(&simulator, 1), keys_of(&simulator, 0));
    let statuses: Vec<u16> = (0..4).map(|_| caller_identity(&simulator, &touched).status).collect();
    assert_eq!(statuses, [200, 200, 403, 403]);
    assert!((0..4).all(|_| caller_identity(&simulator, &elsewhere).status == 200), "another account");
    assert!((0..4).all(|_| caller_identity(&simulator, &next).status == 200), "the order was for one");
    simulator.control(order(0, Some(0))).unwrap();
    assert_eq!(caller_identity(&simulator, &next).status, 403, "given out before the order");
    assert_eq!(caller_identity(&simulator, &keys_of(&simulator, 0)).status, 200, "given out after it");
}

#[test]
fn skewed_requests_are_rejected() {
    let simulator = start(Organisation::from_spec(small()));
    let keys = keys_of(&simulator, 0);
    let true_date = amz_date(&simulator);
    let dated = |date: &str| {
        errors(|service, region, request| {
            fetch(&simulator, &sign(&simulator, request, &keys, service, region, date))
        })
    };
    simulator.control(Control::Skew { seconds: 600 }).unwrap();
    assert_ne!(amz_date(&simulator)[..13], true_date[..13]);
    let skewed = expect([
        (403, "SignatureDoesNotMatch"),
        (200, ""),
        (400, "RequestExpired"),
        (403, "InvalidSignatureException"),
    ]);
    assert_eq!(dated(&true_date), skewed, "S3 allows a quarter of an hour");
    simulator.control(Control::Skew { seconds: -1200 }).unwrap();
    assert_eq!(dated(&true_date)[1], (403, "RequestTimeTooSkewed".to_owned()));
    assert!(dated(&amz_date(&simulator)).iter().all(|(status, _)| *status == 200));
    let response = fetch(
        &simulator,
        &sign(
            &simulator,
            Request::form("Action=GetCallerIdentity&Version=2011-06-15"),
            &keys,
            "sts",
            "us-east-1",
            &true_date,
        ),
    );
    assert!(response.element("Message").starts_with("Signature not yet current: "), "{}", response.text());
}

#[test]
fn buckets_have_s3_s_format() {
    let organisation = r#"{
        "seed": 1, "regions": ["eu-west-1"], "roles": ["R"],
        "sessions": [{"name": "s", "start_url": "https://s.awsapps.com/start", "region": "eu-west-1"}],
        "accounts": [{"id": "012345678901", "name": "a", "email": "a@example.com", "buckets": [
            {"name": "one", "region": "eu-west-1", "created": "2026-01-02T03:04:05Z"},
            {"name": "two", "region": "us-east-1", "created": "2026-01-03T03:04:05Z"}]}]
    }"#;
    let simulator = start(Organisation::from_json(organisation).unwrap());
    let keys = keys_of(&simulator, 0);
    let list = |target: &str| call(&simulator, &keys, "s3", "eu-west-1", Request::get(target));
    let plain = list("/");
    let owner = plain.element("ID");
    assert_eq!(owner.len(), 64);
    let bucket = |name: &str, day: &str, region: &str| {
        format!(
            "<Bucket><Name>{name}</Name><CreationDate>2026-01-{day}T03:04:05.000Z</CreationDate>{region}\
             <BucketArn>arn:aws:s3:::{name}</BucketArn></Bucket>"
        )
    };
    let document = |buckets: &str, more: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult \
             xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>{owner}</ID></Owner><Buckets>{buckets}\
             </Buckets>{more}</ListAllMyBucketsResult>"
        )
    };
    assert_eq!(plain.text(), document(&(bucket("one", "02", "") + &bucket("two", "03", "")), ""));
    assert_eq!(plain.header("content-type"), Some("application/xml"));
    assert_eq!(plain.header("x-amz-request-id").map(str::len), Some(16));

    let in_ireland = "<BucketRegion>eu-west-1</BucketRegion>";
    let first = list("/?max-buckets=1");
    let token = first.element("ContinuationToken");
    let more = format!("<ContinuationToken>{token}</ContinuationToken>");
    assert_eq!(first.text(), document(&bucket("one", "02", in_ireland), &more));
    let second = list(&format!("/?continuation-token={}&max-buckets=1", encoded(&token)));
    assert_eq!(second.elements("Name"), ["two"]);
    assert_eq!(second.element("ContinuationToken"), "");
    assert_eq!(list("/?bucket-region=us-east-1&max-buckets=10").elements("Name"), ["two"]);
    let prefixed = list("/?max-buckets=10&prefix=o");
    assert_eq!(
        (prefixed.elements("Name"), prefixed.element("Prefix")),
        (vec!["one".to_owned()], "o".to_owned())
    );
    for wrong in ["/?max-buckets=0", "/?max-buckets=10001", "/?continuation-token=x"] {
        assert_eq!(list(wrong).element("Code"), "InvalidArgument", "{wrong}");
    }
}

/// Returns the pages of DescribeInstances: for each page the instance IDs of its reservations.
fn instance_pages(simulator: &Simulator, keys: &Keys, size: usize) -> Vec<Vec<Vec<String>>> {
    let (mut pages, mut more) = (Vec::new(), format!("&MaxResults={size}"));
    loop {
        let response = describe_instances(simulator, keys, "eu-west-1", &more);
        assert_eq!(response.status, 200, "{}", response.text());
        let text = response.text();
        let reservations = text.split("<reservationId>").skip(1);
        let ids = |xml: &str| xml.split("<instanceId>").skip(1).map(|rest| rest[..19].to_owned()).collect();
        pages.push(reservations.map(ids).collect());
        let token = response.element("nextToken");
        if token.is_empty() {
            return pages;
        }
        more = format!("&MaxResults={size}&NextToken={}", encoded(&token));
    }
}

#[test]
fn pages_of_instances_have_whole_reservations() {
    let simulator = start(Organisation::from_spec(OrganisationSpec { instances: 40, ..small() }));
    let keys = keys_of(&simulator, 1);
    let pages = instance_pages(&simulator, &keys, 5);
    assert!(pages.iter().all(|page| page.iter().map(Vec::len).sum::<usize>() <= 5));
    assert!(pages.len() >= 8);
    let flat: Vec<String> = pages.into_iter().flatten().flatten().collect();
    let expected: Vec<String> =
        (0..40).map(|number| simulator.organisation().instance(1, "eu-west-1", number).id).collect();
    assert_eq!(flat, expected);
    let in_one = instance_pages(&simulator, &keys, 1000);
    assert_eq!(in_one.len(), 1);
    assert_eq!(in_one[0].iter().filter(|reservation| reservation.len() == 3).count(), 5);
    assert_eq!(in_one[0].iter().filter(|reservation| reservation.len() == 1).count(), 15);
}

#[test]
fn bad_parameters_of_describe_instances_are_rejected() {
    let simulator = start(Organisation::from_spec(small()));
    let keys = keys_of(&simulator, 0);
    let code = |more: &str| describe_instances(&simulator, &keys, "eu-west-1", more).element("Code");
    assert_eq!(code("&MaxResults=4"), "InvalidParameterValue");
    assert_eq!(code("&MaxResults=1001"), "InvalidParameterValue");
    assert_eq!(code("&MaxResults=5&InstanceId.1=i-0123456789abcdef0"), "InvalidParameterCombination");
    assert_eq!(code("&InstanceId.1=i-0123456789abcdef0"), "InvalidInstanceID.NotFound");
    assert_eq!(code("&NextToken=x"), "InvalidPaginationToken");
    assert_eq!(code("&Filter.1.Name=tag:x&Filter.1.Value.1=y"), "InvalidParameterValue");
    let id = simulator.organisation().instance(0, "eu-west-1", 2).id;
    let one = describe_instances(&simulator, &keys, "eu-west-1", &format!("&InstanceId.1={id}"));
    assert_eq!(one.elements("instanceId"), [id]);
}

#[test]
fn the_same_seed_has_the_same_bytes() {
    let body = |seed| {
        let simulator = start(Organisation::from_spec(OrganisationSpec { seed, ..small() }));
        let keys = keys_of(&simulator, 2);
        let instances = describe_instances(&simulator, &keys, "us-west-2", "").text();
        let (_, instances) = instances.split_once("</requestId>").unwrap();
        (
            instances.to_owned(),
            list_functions(&simulator, &keys, "us-west-2", "").text(),
            list_buckets(&simulator, &keys).text(),
        )
    };
    assert_eq!(body(5), body(5));
    let (five, six) = (body(5), body(6));
    assert!(five.0 != six.0 && five.1 != six.1 && five.2 != six.2);
}

#[test]
fn a_page_has_at_most_fifty_functions() {
    let simulator = start(Organisation::from_spec(OrganisationSpec { functions: 120, ..small() }));
    let keys = keys_of(&simulator, 0);
    let sizes = |first: &str| {
        let (mut sizes, mut names, mut query) = (Vec::new(), BTreeSet::new(), first.to_owned());
        loop {
            let page = list_functions(&simulator, &keys, "us-east-1", &query).json();
            let functions = page["Functions"].as_array().unwrap();
            sizes.push(functions.len());
            names.extend(
                functions.iter().map(|function| function["FunctionName"].as_str().unwrap().to_owned()),
            );
            let Some(marker) = page["NextMarker"].as_str() else { break };
            let more = if first.is_empty() { String::new() } else { format!("&{}", &first[1..]) };
            query = format!("?Marker={}{more}", encoded(marker));
        }
        (sizes, names.len())
    };
    assert_eq!(sizes(""), (vec![50, 50, 20], 120));
    assert_eq!(sizes("?MaxItems=10000"), (vec![50, 50, 20], 120));
    assert_eq!(sizes("?MaxItems=40"), (vec![40, 40, 40], 120));
    for wrong in ["?MaxItems=0", "?MaxItems=10001", "?Marker=x"] {
        let response = list_functions(&simulator, &keys, "us-east-1", wrong);
        assert_eq!(response.header("x-amzn-errortype"), Some("InvalidParameterValueException"), "{wrong}");
    }
    let slash = call(&simulator, &keys, "lambda", "us-east-1", Request::get("/2015-03-31/functions/"));
    assert_eq!(slash.json()["Functions"].as_array().unwrap().len(), 50);
}

#[test]
fn a_function_has_the_members_of_the_api_reference() {
    let simulator = start(Organisation::demo());
    let payments = simulator.organisation().find("451920087364").unwrap();
    let keys = keys_of(&simulator, payments);
    let page = list_functions(&simulator, &keys, "eu-west-1", "").json();
    let function = |name: &str| -> Value {
        let all = page["Functions"].as_array().unwrap();
        all.iter().find(|function| function["FunctionName"] == name).unwrap().clone()
    };
    let settle = function("settle");
    assert_eq!(settle["FunctionArn"], "arn:aws:lambda:eu-west-1:451920087364:function:settle");
    assert_eq!((&settle["Runtime"], &settle["MemorySize"]), (&json!("java21"), &json!(2048)));
    assert_eq!(settle["TracingConfig"], json!({"Mode": "Active"}));
    assert_eq!(settle["DeadLetterConfig"]["TargetArn"], "arn:aws:sqs:eu-west-1:451920087364:settle-dlq");
    assert!(settle["VpcConfig"]["VpcId"].as_str().unwrap().starts_with("vpc-0"));
    assert!(settle["Environment"]["Variables"]["ACQUIRER_SECRET"].as_str().unwrap().contains("SIMSECRET"));
    let container = function("fraud-score");
    assert_eq!(container["PackageType"], "Image");
    assert!(container.get("Runtime").is_none() && container["ImageConfigResponse"].is_object());
    let sealed = function("statement-mailer");
    assert_eq!(sealed["Environment"]["Error"]["ErrorCode"], "AccessDeniedException");
    assert!(sealed["KMSKeyArn"].as_str().unwrap().starts_with("arn:aws:kms:eu-west-1:"));
}

#[test]
fn hostile_texts_cross_the_wire_unharmed() {
    let simulator = start(Organisation::hostile());
    let keys = keys_of(&simulator, 0);
    let instances = describe_instances(&simulator, &keys, "eu-west-1", "").text();
    for raw in [
        "<value>carriage&#13;return&#13;\nboth</value>",
        "<value>&lt;script&gt;alert(1)&lt;/script&gt;</value>",
    ] {
        assert!(instances.contains(raw), "{raw}");
    }
    assert!(!instances.contains('\r') && instances.contains("\u{9b}31mred") && instances.contains('🦀'));
    let page = list_functions(&simulator, &keys, "eu-west-1", "");
    assert!(!page.body.contains(&0x1b), "JSON escapes control characters");
    let descriptions = page.json()["Functions"].to_string();
    assert!(descriptions.contains(r"\u001b[31mred\u001b[0m"));
    let token = sign_in(&simulator, 0);
    let odd = role_credentials(&simulator, &token, "000000000001", "=cmd+Role@x,y.z-1_");
    assert_eq!(odd.status, 200);
}

fn region_names(simulator: &Simulator, keys: &Keys, more: &str) -> Vec<(String, String)> {
    let form = format!("Action=DescribeRegions&Version=2016-11-15{more}");
    let response = call(simulator, keys, "ec2", "eu-west-1", Request::form(&form));
    response.elements("regionName").into_iter().zip(response.elements("optInStatus")).collect()
}

#[test]
fn a_disabled_region_rejects_keys() {
    let simulator = start(Organisation::demo());
    let sandbox = simulator.organisation().find("127735590846").unwrap();
    let (keys, other) = (keys_of(&simulator, sandbox), keys_of(&simulator, 0));
    let response = describe_instances(&simulator, &keys, "eu-south-2", "");
    assert_eq!((response.status, response.element("Code").as_str()), (401, "AuthFailure"));
    let response = list_functions(&simulator, &keys, "eu-south-2", "");
    assert_eq!(
        (response.status, response.header("x-amzn-errortype")),
        (403, Some("UnrecognizedClientException"))
    );
    assert_eq!(
        call(&simulator, &keys, "s3", "eu-south-2", Request::get("/")).status,
        200,
        "S3 is the same everywhere"
    );
    assert_eq!(describe_instances(&simulator, &other, "eu-south-2", "").status, 200);

    let on = region_names(&simulator, &keys, "");
    assert_eq!(on.len(), 17);
    assert!(on.iter().all(|(_, status)| status == "opt-in-not-required"));
    let all = region_names(&simulator, &keys, "&AllRegions=true");
    assert!(all.contains(&("eu-south-2".into(), "not-opted-in".into())) && all.len() > 30);
    assert!(region_names(&simulator, &other, "").contains(&("eu-south-2".into(), "opted-in".into())));
    let filter = "&Filter.1.Name=opt-in-status&Filter.1.Value.1=opted-in";
    assert_eq!(region_names(&simulator, &other, filter), [("eu-south-2".into(), "opted-in".into())]);

    let order = |region: &str, enabled| Control::Region {
        account: "127735590846".into(),
        region: region.into(),
        enabled,
    };
    simulator.control(order("eu-south-2", true)).unwrap();
    simulator.control(order("us-east-1", false)).unwrap();
    assert_eq!(describe_instances(&simulator, &keys, "eu-south-2", "").status, 200);
    assert_eq!(describe_instances(&simulator, &keys, "us-east-1", "").status, 401);
    let unknown = Control::Region { account: "1".into(), region: "x".into(), enabled: true };
    assert!(simulator.control(unknown).is_err());
}

fn assume(simulator: &Simulator, keys: &Keys, arn: &str, more: &str) -> Response {
    let form = format!(
        "Action=AssumeRole&RoleArn={}&RoleSessionName=test.session&Version=2011-06-15{more}",
        encoded(arn)
    );
    call(simulator, keys, "sts", "us-east-1", Request::form(&form))
}

fn keys_in(response: &Response) -> Keys {
    Keys {
        id: response.element("AccessKeyId"),
        secret: response.element("SecretAccessKey"),
        token: Some(response.element("SessionToken")),
    }
}

#[test]
fn roles_are_assumed_by_trusted_principals() {
    let simulator = start(Organisation::hostile());
    let portal_keys = keys_of(&simulator, 0);
    let me = caller_identity(&simulator, &portal_keys);
    assert_eq!(me.element("Account"), "000000000001");
    assert!(me.element("Arn").starts_with("arn:aws:sts::000000000001:assumed-role/AWSReservedSSO_ReadOnly_"));

    let user = Keys {
        id: "AKIASIMULATEDEXAMPLE".into(),
        secret: "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".into(),
        token: None,
    };
    assert_eq!(caller_identity(&simulator, &user).element("Arn"), "arn:aws:iam::000000000001:user/ci");
    let guarded = "arn:aws:iam::012345678901:role/with-external-id";
    let denied = assume(&simulator, &user, guarded, "");
    assert_eq!((denied.status, denied.element("Code").as_str()), (403, "AccessDenied"));
    assert!(denied.element("Message").ends_with(&format!("sts:AssumeRole on resource: {guarded}")));
    assert_eq!(assume(&simulator, &user, guarded, "&ExternalId=wrong").status, 403);
    assert_eq!(assume(&simulator, &portal_keys, guarded, "&ExternalId=ext-%3D1").status, 403, "not trusted");
    let made = assume(&simulator, &user, guarded, "&ExternalId=ext-%3D1");
    let arn = "arn:aws:sts::012345678901:assumed-role/with-external-id/test.session";
    assert_eq!(made.element("Arn"), arn);
    assert_eq!(caller_identity(&simulator, &keys_in(&made)).element("Arn"), arn);

    let everywhere = "arn:aws:iam::999999999999:role/path/OrganizationAccountAccessRole";
    let made = assume(&simulator, &portal_keys, everywhere, "&DurationSeconds=900");
    assert_eq!(caller_identity(&simulator, &keys_in(&made)).element("Account"), "999999999999");
    assert_eq!(assume(&simulator, &keys_in(&made), everywhere, "").status, 403, "that account isn't trusted");
    assert_eq!(
        assume(&simulator, &portal_keys, everywhere, "&DurationSeconds=3601").element("Code"),
        "ValidationError"
    );
    assert_eq!(assume(&simulator, &user, everywhere, "&DurationSeconds=43200").status, 200);
    assert_eq!(
        assume(&simulator, &user, everywhere, "&DurationSeconds=899").element("Code"),
        "ValidationError"
    );
    assert_eq!(assume(&simulator, &user, "nonsense", "").element("Code"), "ValidationError");
}

#[test]
fn a_web_identity_needs_a_known_token() {
    let simulator = start(Organisation::hostile());
    let with = |token: &str, role: &str| {
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A012345678901%3Arole%2F{role}\
             &RoleSessionName=ci&WebIdentityToken={token}&Version=2011-06-15"
        );
        fetch(&simulator, &Request::form(&form))
    };
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvIn0.SIMSECRETsignature";
    let made = with(token, "web");
    assert_eq!(made.element("Audience"), "sts.amazonaws.com");
    assert_eq!(caller_identity(&simulator, &keys_in(&made)).element("Account"), "012345678901");
    assert_eq!(with("other", "web").element("Code"), "InvalidIdentityToken");
    assert_eq!(with(token, "OrganizationAccountAccessRole").element("Code"), "AccessDenied");
}

#[test]
fn each_service_throttles_with_its_own_error() {
    let rate = Rate { burst: 2.0, per_second: 0.0 };
    let limited = [Service::STS, Service::S3, Service::EC2, Service::LAMBDA];
    let limits = limited.into_iter().fold(Limits::off(), |limits, service| limits.rate(service, rate));
    let simulator = start(Organisation::from_spec(small()));
    let (keys, other) = (keys_of(&simulator, 0), keys_of(&simulator, 1));
    simulator.control(Control::Limits(limits)).unwrap();
    let with =
        |keys: &Keys| errors(|service, region, request| call(&simulator, keys, service, region, request));
    let good = expect([(200, ""), (200, ""), (200, ""), (200, "")]);
    assert_eq!((with(&keys), with(&keys)), (good.clone(), good.clone()));
    assert_eq!(
        with(&keys),
        expect([
            (400, "Throttling"),
            (503, "SlowDown"),
            (503, "RequestLimitExceeded"),
            (429, "TooManyRequestsException"),
        ])
    );
    assert_eq!(with(&other), good, "another account has buckets of its own");
    assert_eq!(describe_instances(&simulator, &keys, "eu-west-1", "").status, 200, "so has another region");
    simulator.control(Control::Limits(Limits::off().rate(Service::PORTAL, rate))).unwrap();
    assert_eq!(with(&keys), good);
    let token = sign_in(&simulator, 0);
    let statuses: Vec<u16> =
        (0..3).map(|_| portal(&simulator, &token, "/assignment/accounts").status).collect();
    assert_eq!(statuses, [200, 200, 429]);
}

#[test]
fn calls_are_counted_by_operation_and_region() {
    let simulator = start(Organisation::from_spec(small()));
    let (keys, account) = (keys_of(&simulator, 0), simulator.organisation().account(0));
    simulator.reset_counters();
    for region in ["eu-west-1", "eu-west-1", "us-east-1"] {
        describe_instances(&simulator, &keys, region, "");
    }
    describe_instances(&simulator, &Keys { secret: "x".repeat(40), ..keys.clone() }, "us-east-1", "");
    let counts: Vec<_> = simulator.counts().into_iter().map(|c| (c.region, c.calls, c.failed)).collect();
    assert_eq!(counts, [("eu-west-1".to_owned(), 2, 0), ("us-east-1".to_owned(), 2, 1)]);
    let last = simulator.calls().pop().unwrap();
    assert_eq!((last.status, last.code.as_str(), last.service), (401, "AuthFailure", Service::EC2));
    assert_eq!((last.account, last.role), (account.id, "AdministratorAccess".to_owned()));
    assert_eq!((last.access_key_id, last.role_session.as_str()), (keys.id, "alex.example"));
    assert_eq!(simulator.count(Service::EC2, "DescribeInstances"), 4);
    assert_eq!(simulator.peak(Service::EC2, "us-east-1"), 1);
}

#[test]
fn the_demo_has_as_many_resources_as_its_fixture() {
    let simulator = start(Organisation::demo());
    let organisation = simulator.organisation();
    assert_eq!(organisation.len(), 12);
    let (mut buckets, mut instances, mut functions) = (0, 0, 0);
    for account in 0..organisation.len() {
        let keys = keys_of(&simulator, account);
        let listed = list_buckets(&simulator, &keys).elements("Name");
        assert!(listed.is_sorted());
        assert_eq!(listed.len(), organisation.bucket_count(account));
        buckets += listed.len();
        for region in organisation.regions().iter().filter(|region| organisation.enabled(account, region)) {
            instances += describe_instances(&simulator, &keys, region, "").elements("instanceId").len();
            functions +=
                list_functions(&simulator, &keys, region, "").json()["Functions"].as_array().unwrap().len();
        }
    }
    assert_eq!((buckets, instances, functions), (52, 72, 44));
}
