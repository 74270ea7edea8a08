//! Credentials of each kind of profile, and whose they are.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use ssoinv_core::clock::Clock;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::Partition;
use ssoinv_profile::Profile;
use ssoinv_sim::{Control, Effect, Fault, Options, Service, Token};
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::foreign_endpoints::foreign_endpoints;
use ssoinv_sso::identity::Identity;
use ssoinv_sso::role_credentials::RoleCredentials;
use ssoinv_sso::services::STS;

use crate::world::World;

async fn get(store: &CredentialStore, profile: &Profile) -> Result<Arc<RoleCredentials>, Failure> {
    store.get(profile, None, |_| ()).await
}

fn code(failure: &Failure) -> (FailureKind, &str) {
    (failure.kind, failure.code.as_deref().unwrap_or_default())
}

/// A home with a good token and these profiles, in which `URL` stands for the simulator.
fn with(text: &str) -> World {
    let world = World::new(Options::default());
    let text = text.replace("URL", world.simulator.url());
    world.at_home(|home| home.token(Token::Good).text(&text)).alone()
}

const CHAIN: &str = "
[profile reader]
role_arn = arn:aws:iam::022222222222:role/reader
source_profile = hub-Audit
region = eu-west-1
endpoint_url = URL

[profile inner]
role_arn = arn:aws:iam::333333333333:role/inner
source_profile = reader
external_id = x-1
role_session_name = nightly
duration_seconds = 900
region = eu-west-1
endpoint_url = URL

[profile no-external-id]
role_arn = arn:aws:iam::333333333333:role/inner
source_profile = reader
region = eu-west-1
endpoint_url = URL
";

#[tokio::test]
async fn a_chain_on_single_sign_on_is_walked_and_each_link_fetched_once() {
    let world = with(CHAIN);
    let store = world.store();
    let inner = get(&store, &world.profile("inner")).await.expect("two roles on a sign-in");
    assert_eq!(inner.caller_arn.as_deref(), Some("arn:aws:sts::333333333333:assumed-role/inner/nightly"));
    let left = inner.expires_at.expect("a role's credentials end").duration_since(Clock::system().now());
    assert!(left.expect("not yet").as_secs() <= 900, "`duration_seconds` counts");
    let reader = get(&store, &world.profile("reader")).await.expect("one role");
    let arn = reader.caller_arn.as_deref().expect("STS says whose");
    assert!(arn.starts_with("arn:aws:sts::022222222222:assumed-role/reader/ssoinv-"), "{arn}");
    assert_eq!((world.portal("GetRoleCredentials"), world.sts("AssumeRole")), (1, 2));

    let denied = get(&store, &world.profile("no-external-id")).await.unwrap_err();
    assert_eq!(code(&denied), (FailureKind::Denied, "AccessDenied"));
    assert!(denied.message.starts_with("role `arn:aws:iam::333333333333:role/inner` cannot be assumed: "));
}

#[tokio::test]
async fn sts_is_asked_in_a_region_of_the_roles_partition() {
    let mut world = with(CHAIN);
    world.env.insert("AWS_REGION".to_owned(), "cn-north-1".to_owned());
    get(&world.store(), &world.profile("reader")).await.expect("the region of China is left out");
    world.env.insert("AWS_REGION".to_owned(), "us-east-1".to_owned());
    get(&world.store(), &world.profile("reader")).await.expect("the variable goes first");
    let calls = world.simulator.calls();
    let regions: Vec<_> =
        calls.iter().filter(|call| call.service == Service::STS).map(|call| &*call.region).collect();
    assert_eq!(regions, ["eu-west-1", "us-east-1"]);
}

#[tokio::test]
async fn a_region_cannot_lead_elsewhere() {
    let world = with("");
    let (context, profile) = (world.context(|_| ()), world.profile("hub-Audit"));
    for region in ["", "x.evil.example/", "us-east-1@evil.example", "us-east-1#"] {
        let failure = context.service_endpoint(&STS, Some(&profile), region).unwrap_err();
        assert_eq!(code(&failure), (FailureKind::Misconfigured, "InvalidRegion"), "{region}");
    }
    let endpoint = context.service_endpoint(&STS, Some(&profile), "us-east-1").unwrap();
    assert_eq!((&*endpoint.region, endpoint.url.as_deref()), ("us-east-1", Some(world.simulator.url())));
}

#[tokio::test]
async fn credentials_below_a_role_that_have_ended_are_renewed() {
    let world = with(CHAIN);
    let store = world.store();
    get(&store, &world.profile("hub-Audit")).await.expect("the base, now cached");
    let end = Control::ExpireRoleCredentials { account: None, role: None, after_calls: 0, times: Some(0) };
    world.simulator.control(end).unwrap();
    get(&store, &world.profile("reader")).await.expect("with another base");
    assert_eq!(world.portal("GetRoleCredentials"), 2);
}

#[tokio::test]
async fn credentials_that_a_service_refuses_are_renewed_once() {
    let world = with("");
    let (store, profile) = (world.store(), world.profile("hub-Audit"));
    let first = get(&store, &profile).await.unwrap();
    let renewals = (0..8).map(|_| store.get(&profile, Some(&first), |_| ()));
    let renewed = futures::future::try_join_all(renewals).await.unwrap();
    assert!(renewed.iter().all(|credentials| *credentials == renewed[0] && *credentials != first));
    assert_eq!(world.portal("GetRoleCredentials"), 2);
    // Four minutes are too few to start with.
    let world = World::new(Options { role_lifetime: Some(240), ..Options::default() });
    let world = world.at_home(|home| home.token(Token::Good)).alone();
    let (store, profile) = (world.store(), world.profile("hub-Audit"));
    let first = get(&store, &profile).await.unwrap();
    assert_ne!(get(&store, &profile).await.unwrap(), first);
}

#[tokio::test]
async fn a_role_that_is_not_assigned_is_denied_and_asked_for_once_more() {
    let world = World::new(Options::default());
    let world = world.at_home(|home| home.token(Token::Good).roles(&["Admin"])).alone();
    let store = world.store();
    let failure = get(&store, &world.profile("prod-Admin")).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::Denied, "ForbiddenException"));
    assert_eq!(
        failure.message,
        "no access to role `Admin` in account `022222222222`: it is not assigned, or its name is misspelt"
    );
    assert!(failure.request_id.is_some());
    assert_eq!(get(&store, &world.profile("prod-Admin")).await.unwrap_err(), failure);
    assert_eq!(world.portal("GetRoleCredentials"), 2, "a refusal can pass, so it is asked once more");
}

#[tokio::test]
async fn keys_of_a_user_and_a_role_over_them() {
    let world = with(
        "
[profile robot]
aws_access_key_id = AKIAROBOTROBOTROBOT1
aws_secret_access_key = robotSIMSECRETrobotrobotrobotrobotrobot1
region = eu-west-1
endpoint_url = URL

[profile self]
aws_access_key_id = AKIAROBOTROBOTROBOT1
aws_secret_access_key = robotSIMSECRETrobotrobotrobotrobotrobot1
role_arn = arn:aws:iam::111111111111:role/of-robot
source_profile = self
endpoint_url = URL
",
    );
    let store = world.store();
    let robot = world.profile("robot");
    let identity = store.identify(&robot, |_| ()).await.expect("GetCallerIdentity responses");
    let account_id = "333333333333".parse().unwrap();
    let arn = Some("arn:aws:iam::333333333333:user/robot".into());
    assert!(identity.user_id.is_some());
    assert_eq!(
        identity,
        Identity { account_id, partition: Partition::Aws, arn, user_id: identity.user_id.clone() }
    );

    let keys = get(&store, &robot).await.unwrap();
    let expired = store.get(&robot, Some(&keys), |_| ()).await.unwrap_err();
    assert_eq!(code(&expired), (FailureKind::Misconfigured, "ExpiredKeys"));

    let role = get(&store, &world.profile("self")).await.expect("the role over its own keys");
    assert!(
        role.caller_arn.as_deref().is_some_and(|arn| arn.contains("111111111111:assumed-role/of-robot/"))
    );
}

#[tokio::test]
async fn accounts_in_the_files_need_no_call() {
    let world = with(CHAIN);
    let store = world.store();
    for (profile, account) in [("inner", "333333333333"), ("prod-Audit", "022222222222")] {
        let identity = store.identify(&world.profile(profile), |_| ()).await.unwrap();
        assert_eq!((identity.account_id.as_str(), identity.arn), (account, None));
    }
    assert_eq!(world.simulator.calls(), []);
}

#[tokio::test]
async fn a_web_identity_is_read_from_its_file_each_time() {
    let world = with(
        "
[profile job]
role_arn = arn:aws:iam::111111111111:role/of-token
web_identity_token_file = HOME/token
region = eu-west-1
endpoint_url = URL
",
    );
    let config = world.home.path().join(".aws/config");
    let home = world.home.path().to_str().expect("UTF-8");
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap().replace("HOME", home)).unwrap();
    let (store, job) = (world.store(), world.profile("job"));
    let missing = get(&store, &job).await.unwrap_err();
    assert_eq!(code(&missing), (FailureKind::Misconfigured, "WebIdentityTokenUnreadable"));

    std::fs::write(world.home.path().join("token"), "web-SIMSECRET-token\n").unwrap();
    let store = world.store();
    let first = get(&store, &job).await.expect("with the token");
    std::fs::write(world.home.path().join("token"), "no-token").unwrap();
    let refused = store.get(&job, Some(&first), |_| ()).await.unwrap_err();
    assert!(matches!(refused.kind, FailureKind::Failed | FailureKind::Denied), "{refused:?}");
}

#[tokio::test]
async fn the_environment_stands_for_a_profile_only_where_it_says_so() {
    let mut world = with(
        "
[profile of-environment]
role_arn = arn:aws:iam::111111111111:role/of-robot
credential_source = Environment
region = eu-west-1
endpoint_url = URL
",
    );
    let profile = world.profile("of-environment");
    let missing = get(&world.store(), &profile).await.unwrap_err();
    assert_eq!(code(&missing), (FailureKind::Misconfigured, "NoEnvironmentKeys"));
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "AKIAROBOTROBOTROBOT1"),
        ("AWS_SECRET_ACCESS_KEY", "robotSIMSECRETrobotrobotrobotrobotrobot1"),
    ] {
        world.env.insert(name.to_owned(), value.to_owned());
    }
    let store = world.store();
    get(&store, &profile).await.expect("with the keys of the environment");
    let named = get(&store, &world.profile("hub-Audit")).await.expect("single sign-on");
    assert_ne!(named.access_key_id, "AKIAROBOTROBOTROBOT1");
}

/// An instance metadata service (version 2) that gives the keys of `robot`.
fn instance_metadata() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.expect("a client");
            let mut request = Vec::new();
            let mut bytes = [0; 4096];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let read = socket.read(&mut bytes).expect("a request");
                request.extend_from_slice(&bytes[..read]);
            }
            let request = String::from_utf8_lossy(&request).to_lowercase();
            let has_token = request.contains("x-aws-ec2-metadata-token: t-1");
            let body = match request.split(' ').nth(1).unwrap_or_default() {
                "/latest/api/token" => "t-1",
                "/latest/meta-data/iam/security-credentials/" if has_token => "robot",
                "/latest/meta-data/iam/security-credentials/robot" if has_token => {
                    r#"{"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
                        "AccessKeyId": "AKIAROBOTROBOTROBOT1", "Token": "",
                        "SecretAccessKey": "robotSIMSECRETrobotrobotrobotrobotrobot1",
                        "Expiration": "2099-01-01T00:00:00Z"}"#
                }
                _ => "",
            };
            let head = "HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 600\r\nconnection: close";
            let length = body.len();
            write!(socket, "{head}\r\ncontent-length: {length}\r\n\r\n{body}")
                .expect("a client that listens");
        }
    });
    url
}

#[tokio::test]
async fn an_instance_gives_credentials_unless_it_is_switched_off() {
    let mut world = with(
        "
[profile of-instance]
role_arn = arn:aws:iam::111111111111:role/of-robot
credential_source = Ec2InstanceMetadata
region = eu-west-1
endpoint_url = URL
",
    );
    let profile = world.profile("of-instance");
    world.env.insert("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), instance_metadata());
    get(&world.store(), &profile).await.expect("the instance's keys assume the role");
    world.env.insert("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned());
    let failure = get(&world.store(), &profile).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::Misconfigured, "InstanceMetadataDisabled"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_is_run_unless_it_is_left_out() {
    let mut world = with(
        r#"
[profile program]
credential_process = sh -c 'echo "{\"Version\": 1, \"AccessKeyId\": \"AKIAROBOTROBOTROBOT1\", \"SecretAccessKey\": \"robotSIMSECRETrobotrobotrobotrobotrobot1\"}"'
region = eu-west-1
endpoint_url = URL
"#,
    );
    world.env.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    let profile = world.profile("program");
    let identity = world.store().identify(&profile, |_| ()).await.expect("the program's keys are good");
    assert_eq!(identity.account_id.as_str(), "333333333333");
    world.run_processes = false;
    let failure = get(&world.store(), &profile).await.unwrap_err();
    assert_eq!(code(&failure), (FailureKind::Misconfigured, "CredentialProcessLeftOut"));
}

#[tokio::test]
async fn what_cannot_be_used_says_why() {
    let world = with(
        "
[profile mfa]
role_arn = arn:aws:iam::022222222222:role/reader
source_profile = hub-Audit
mfa_serial = arn:aws:iam::111111111111:mfa/me

[profile console]
login_session = arn:aws:iam::111111111111:user/me

[profile empty]
region = eu-west-1

[profile half]
sso_session = nowhere
sso_account_id = 111111111111
sso_role_name = Audit

[profile plain]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = Audit
endpoint_url = http://192.0.2.1:9
",
    );
    let store = world.store();
    for (profile, expected) in [
        ("mfa", "MfaNeeded"),
        ("console", "LoginNotSupported"),
        ("empty", "NoCredentials"),
        ("half", "UnknownSession"),
        ("plain", "InsecureEndpoint"),
    ] {
        let failure = get(&store, &world.profile(profile)).await.unwrap_err();
        assert_eq!(code(&failure), (FailureKind::Misconfigured, expected), "{profile}: {failure:?}");
    }
    assert_eq!(world.simulator.calls(), [], "and nobody is asked");
}

#[tokio::test]
async fn names_of_accounts_are_asked_once_and_their_lack_stops_nothing() {
    let world = with("");
    let store = world.store();
    for name in ["hub-Audit", "dev-Audit"] {
        let names = store.account_names(&world.profile(name), |_| ()).await;
        let names: Vec<_> = names.iter().map(|(id, name)| format!("{id} {name}")).collect();
        assert_eq!(names, ["022222222222 prod", "111111111111 hub", "333333333333 dev"]);
    }
    assert_eq!(world.portal("ListAccounts"), 1);

    let world = with("");
    world.fault(Fault::new(Effect::ServerError(500)).service(Service::PORTAL));
    assert!(world.store().account_names(&world.profile("hub-Audit"), |_| ()).await.is_empty());
    assert_eq!(world.said.words(), ["no-names"]);
}

#[tokio::test]
async fn endpoints_that_are_not_awss_are_told_each_once() {
    let world = with("");
    let profiles = world.profiles();
    let found = foreign_endpoints(profiles.iter(), &world.env);
    // One for the sign-in of each profile's own line; the portal is at the same place.
    assert_eq!(found.len(), 3);
    assert!(
        found.iter().all(|endpoint| endpoint.url == world.simulator.url() && &*endpoint.session == "corp")
    );
    let origin = found[0].origin.to_string();
    assert!(origin.ends_with(".aws/config:11"), "{origin}");
}
