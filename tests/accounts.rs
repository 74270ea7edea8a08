//! Each account once, whichever profiles reach it and whatever kind they are.

use serde_json::Value;
use ssoinv_sim::{Effect, Fault, Options, Organisation, Service, Token};

use crate::support::{Run, World, column, statuses};

crate::tests![
    one_account_through_three_profiles_is_asked_once,
    when_the_first_has_no_role_the_next_answers,
    when_the_list_call_is_denied_the_next_answers,
    when_all_are_refused_each_has_its_own_status,
    when_the_service_is_down_no_other_profile_is_worn_out,
    every_role_keeps_roles_apart,
    a_region_that_only_one_profile_selects_is_asked_through_it,
    broken_profiles_and_those_without_credentials_stop_nobody,
    a_broken_profile_that_is_named_alone_ends_the_command,
    roles_on_keys_on_single_sign_on_and_on_one_another,
    a_process_is_run_as_it_is_written_and_not_when_it_is_not_wanted,
    a_web_identity_assumes_its_role,
    keys_in_the_environment_stand_in_for_nobody,
    mfa_is_not_asked_for,
];

const ORGANISATION: &str = r#"{
    "regions": ["eu-west-1", "us-east-1"],
    "sessions": [{"name": "corp", "start_url": "https://corp.awsapps.com/start", "region": "eu-west-1"}],
    "roles": ["Audit", "Admin", "Billing"],
    "accounts": [
        {"id": "111111111111", "name": "hub", "email": "hub@example.com",
         "buckets": [{"name": "hub-logs", "region": "eu-west-1"}],
         "instances": {"eu-west-1": [{"name": "hub-eu"}], "us-east-1": [{"name": "hub-us"}]}},
        {"id": "022222222222", "name": "prod", "email": "prod@example.com",
         "buckets": [{"name": "prod-data", "region": "us-east-1"}]},
        {"id": "333333333333", "name": "dev", "email": "dev@example.com",
         "buckets": [{"name": "dev-data", "region": "us-east-1"}]}
    ],
    "users": [{
        "account": "333333333333", "name": "robot",
        "access_key_id": "AKIAROBOTROBOTROBOT1", "secret_access_key": "robotSIMSECRETrobotrobotrobotrobotrobot1"
    }],
    "assumable_roles": [
        {"account": "022222222222", "name": "reader", "trusts": ["111111111111"]},
        {"account": "333333333333", "name": "inner", "trusts": ["022222222222/reader"], "external_id": "x-1"},
        {"account": "111111111111", "name": "of-robot", "trusts": ["333333333333/robot"]},
        {"account": "111111111111", "name": "of-token", "web_identity_provider": "token.example.com"}
    ],
    "web_identities": [{
        "token": "web-SIMSECRET-token", "provider": "token.example.com", "subject": "job", "audience": "sts"
    }]
}"#;

/// A home with a good token and the profiles in `text`; `URL` is the simulator, `SSO` the keys of a profile that signs
/// in, `KEYS` those of the robot.
fn world(text: &str) -> World {
    let organisation = Organisation::from_json(ORGANISATION).expect("an organisation");
    let world = World::without_home(organisation, Options::default());
    let url = format!("endpoint_url = {}", world.simulator.url());
    let text = text
        .replace("SSO", &format!("sso_session = corp\nregion = eu-west-1\n{url}"))
        .replace("KEYS", "aws_access_key_id = AKIAROBOTROBOTROBOT1\naws_secret_access_key = robotSIMSECRETrobotrobotrobotrobotrobot1")
        .replace("URL", &url);
    world
        .simulator
        .home()
        .accounts(&[])
        .token(Token::Good)
        .text(&text)
        .write(world.home.path())
        .expect("a home");
    world
}

/// Three ways into one account, and one into another.
const THREE: &str = "
[profile first]
sso_account_id = 111111111111
sso_role_name = Audit
SSO
[profile other]
sso_account_id = 333333333333
sso_role_name = Audit
SSO
[profile second]
sso_account_id = 111111111111
sso_role_name = Admin
SSO
[profile third]
sso_account_id = 111111111111
sso_role_name = Billing
SSO
";

/// `profile status message` of each cell.
fn told(ledger: &[Value]) -> Vec<String> {
    let text = |cell: &Value, name: &str| cell[name].as_str().unwrap_or_default().to_owned();
    let cells = ledger.iter();
    cells
        .map(|cell| {
            format!("{} {} {}", text(cell, "profile"), text(cell, "status"), text(cell, "error_message"))
                .trim()
                .to_owned()
        })
        .collect()
}

fn buckets(world: &World) -> (Run, Vec<Value>) {
    world.with_ledger("buckets --all-profiles -o json")
}

fn one_account_through_three_profiles_is_asked_once() {
    let world = world(THREE);
    let (run, ledger) = buckets(&world);
    let rows = run.ended(0).rows();
    assert_eq!(column(&rows, "name"), ["hub-logs", "dev-data"]);
    assert_eq!(column(&rows, "profile"), ["first", "other"]);
    assert_eq!(column(&rows, "account_name"), ["hub", "dev"]);
    assert_eq!(
        told(&ledger),
        [
            "first ok",
            "second skipped profile `first` answered for this account",
            "third skipped profile `first` answered for this account",
            "other ok",
        ]
    );
    assert_eq!(world.simulator.count(Service::S3, "ListBuckets"), 2);
    assert_eq!(world.simulator.count(Service::Portal, "GetRoleCredentials"), 2);
}

fn fault(world: &World, fault: Fault) {
    world.simulator.fault(fault).expect("a fault that can be");
}

fn when_the_first_has_no_role_the_next_answers() {
    let world = world(THREE);
    fault(
        &world,
        Fault::new(Effect::Forbidden403)
            .operation("GetRoleCredentials")
            .role("Audit")
            .account("111111111111"),
    );
    let (run, ledger) = buckets(&world);
    let rows = run.ended(0).rows();
    assert_eq!(column(&rows, "profile"), ["second", "other"]);
    assert_eq!(column(&rows, "role_name"), ["Admin", "Audit"]);
    assert_eq!(told(&ledger)[0], "second ok profile `first`: denied (ForbiddenException)");
    assert!(
        told(&ledger)[1]
            .starts_with("first skipped profile `second` answered for this account; profile `first`: denied")
    );
    assert_eq!(statuses(&ledger), "ok 2, skipped 2");
}

fn when_the_list_call_is_denied_the_next_answers() {
    let world = world(THREE);
    fault(&world, Fault::new(Effect::Denied).operation("ListBuckets").role("Audit").account("111111111111"));
    fault(
        &world,
        Fault::new(Effect::DeniedByScp).operation("ListBuckets").role("Admin").account("111111111111"),
    );
    let (run, ledger) = buckets(&world);
    assert_eq!(column(&run.ended(0).rows(), "profile"), ["third", "other"]);
    assert_eq!(
        told(&ledger)[0],
        "third ok profile `first`: denied (AccessDenied); profile `second`: denied_by_scp (AccessDenied)"
    );
}

fn when_all_are_refused_each_has_its_own_status() {
    let world = world(THREE);
    fault(&world, Fault::new(Effect::Forbidden403).operation("GetRoleCredentials").role("Admin"));
    fault(&world, Fault::new(Effect::Denied).operation("ListBuckets").account("111111111111"));
    let (run, ledger) = buckets(&world);
    let run = run.ended(4).said("no access in 1 of 2 accounts");
    assert_eq!(column(&run.rows(), "name"), ["dev-data"]);
    assert_eq!(statuses(&ledger), "denied 3, ok 1");
    assert_eq!(column(&ledger, "profile"), ["first", "second", "third", "other"]);
    assert_eq!(column(&ledger, "error_code"), ["AccessDenied", "ForbiddenException", "AccessDenied", ""]);
}

fn when_the_service_is_down_no_other_profile_is_worn_out() {
    let world = world(THREE).variable("AWS_MAX_ATTEMPTS", "2");
    fault(&world, Fault::new(Effect::ServerError(500)).operation("ListBuckets").account("111111111111"));
    let (run, ledger) = buckets(&world);
    run.ended(4);
    assert_eq!(statuses(&ledger), "failed 1, ok 1, skipped 2");
    assert_eq!(world.simulator.count(Service::S3, "ListBuckets"), 3, "two attempts there, one elsewhere");
}

fn every_role_keeps_roles_apart() {
    let world = world(THREE);
    let (run, ledger) = world.with_ledger("buckets --all-profiles --every-role -o json");
    let rows = run.ended(0).rows();
    assert_eq!(column(&rows, "role_name"), ["Audit", "Audit", "Admin", "Billing"]);
    assert_eq!(column(&rows, "name"), ["hub-logs", "dev-data", "hub-logs", "hub-logs"]);
    assert_eq!(statuses(&ledger), "ok 4");
}

fn a_region_that_only_one_profile_selects_is_asked_through_it() {
    let world = world(&format!(
        "{THREE}\n[profile far]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = Audit\nregion = us-east-1\nURL\n"
    ));
    let (run, ledger) = world.with_ledger("instances --profile first,far -o json");
    let rows = run.ended(0).said("2 instances from 1 of 1 account, in 2 regions (from the profiles)").rows();
    assert_eq!(column(&rows, "title"), ["hub-eu", "hub-us"]);
    assert_eq!(column(&rows, "profile"), ["first", "far"]);
    assert_eq!(statuses(&ledger), "ok 2");
}

const BROKEN: &str = "
[profile nothing]
region = eu-west-1
[profile lost]
sso_session = nowhere
sso_account_id = 022222222222
sso_role_name = Audit
region = eu-west-1
";

fn broken_profiles_and_those_without_credentials_stop_nobody() {
    let world = world(&format!("{BROKEN}{THREE}"));
    let (run, ledger) = buckets(&world);
    let run = run.ended(4).said("profile `lost` can't be used");
    assert_eq!(column(&run.rows(), "name"), ["hub-logs", "dev-data"]);
    assert_eq!(statuses(&ledger), "misconfigured 1, ok 2, skipped 3");
    assert_eq!(told(&ledger)[0], "nothing skipped it has no credentials");
    assert!(told(&ledger)[1].starts_with("lost misconfigured "), "{:?}", told(&ledger));
}

fn a_broken_profile_that_is_named_alone_ends_the_command() {
    let world = world(BROKEN);
    let run = world.run("buckets --profile lost").ended(2);
    assert!(run.stdout.is_empty());
    run.said("~/.aws/config:").said("hint:").said("`nowhere`");
    assert!(world.simulator.calls().is_empty());
}

const CHAINS: &str = "
[profile hub]
sso_account_id = 111111111111
sso_role_name = Audit
SSO
[profile reader]
role_arn = arn:aws:iam::022222222222:role/reader
source_profile = hub
region = eu-west-1
URL
[profile inner]
role_arn = arn:aws:iam::333333333333:role/inner
source_profile = reader
external_id = x-1
region = eu-west-1
URL
[profile robot]
KEYS
region = eu-west-1
URL
[profile by-robot]
role_arn = arn:aws:iam::111111111111:role/of-robot
source_profile = robot
region = eu-west-1
URL
";

fn roles_on_keys_on_single_sign_on_and_on_one_another() {
    let world = world(CHAINS);
    let (run, ledger) = world.with_ledger("buckets --profile reader,inner,by-robot -o json");
    let rows = run.ended(0).rows();
    assert_eq!(column(&rows, "name"), ["prod-data", "dev-data", "hub-logs"]);
    assert_eq!(column(&rows, "role_name"), ["reader", "inner", "of-robot"]);
    let callers = column(&ledger, "caller_arn");
    assert!(callers[1].starts_with("arn:aws:sts::333333333333:assumed-role/inner/"), "{callers:?}");
    // Keys tell no account, so it is asked for; then the account is known to be dev's.
    let (run, ledger) = world.with_ledger("buckets --profile robot,inner -o json");
    assert_eq!(column(&run.ended(0).rows(), "profile"), ["inner"]);
    assert_eq!(statuses(&ledger), "ok 1, skipped 1");
    assert_eq!(
        column(&world.json("buckets --profile robot").as_array().expect("rows").clone(), "account_id"),
        ["333333333333"]
    );
}

fn a_process_is_run_as_it_is_written_and_not_when_it_is_not_wanted() {
    let world = world("");
    let script = world.home.path().join("give keys.sh");
    // It would wait for ever for a stdin that is open.
    let answer = r#"{"Version": 1, "AccessKeyId": "AKIAROBOTROBOTROBOT1", "SecretAccessKey": "robotSIMSECRETrobotrobotrobotrobotrobot1"}"#;
    std::fs::write(&script, format!("cat\necho SIMSECRET >&2\ncat <<'E'\n{answer}\nE\n")).expect("written");
    let config = world.home.path().join(".aws/config");
    let text = format!(
        "[profile process]\ncredential_process = sh '{}'\nregion = eu-west-1\nendpoint_url = {}\n",
        script.display(),
        world.simulator.url()
    );
    std::fs::write(config, text).expect("written");
    let run = world.run("buckets --profile process -o json -vv").ended(0);
    assert_eq!(column(&run.rows(), "name"), ["dev-data"]);
    assert!(!run.stderr.contains("SIMSECRET"), "{}", run.stderr);
    let (run, ledger) = world.with_ledger("buckets --profile process --no-credential-process");
    run.ended(5).said("--no-credential-process");
    assert_eq!(statuses(&ledger), "misconfigured 1");
}

fn a_web_identity_assumes_its_role() {
    let world = world("");
    let token = world.home.path().join("token");
    std::fs::write(&token, "web-SIMSECRET-token").expect("written");
    let text = format!(
        "[profile job]\nrole_arn = arn:aws:iam::111111111111:role/of-token\nweb_identity_token_file = {}\n\
         region = eu-west-1\nendpoint_url = {}\n",
        token.display(),
        world.simulator.url()
    );
    std::fs::write(world.home.path().join(".aws/config"), text).expect("written");
    let rows = world.run("buckets --profile job -o json").ended(0).rows();
    assert_eq!(column(&rows, "name"), ["hub-logs"]);
    assert_eq!(column(&rows, "role_name"), ["of-token"]);
}

fn keys_in_the_environment_stand_in_for_nobody() {
    let world = world(CHAINS)
        .variable("AWS_ACCESS_KEY_ID", "AKIAROBOTROBOTROBOT1")
        .variable("AWS_SECRET_ACCESS_KEY", "robotSIMSECRETrobotrobotrobotrobotrobot1");
    let run = world.run("buckets --profile hub -o json").ended(0);
    assert_eq!(column(&run.rows(), "account_id"), ["111111111111"], "not the robot's");
    run.said("`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`").said("ignored");
}

fn mfa_is_not_asked_for() {
    let mfa = "mfa_serial = arn:aws:iam::333333333333:mfa/robot\n";
    let world = world(&CHAINS.replace("source_profile = robot\n", &format!("source_profile = robot\n{mfa}")));
    let (run, ledger) = world.with_ledger("buckets --profile by-robot,hub -o json");
    let run = run.ended(4).said("mfa_serial").said("hint:");
    assert_eq!(column(&run.rows(), "profile"), ["hub"]);
    assert_eq!(statuses(&ledger), "misconfigured 1, ok 1");
    world.run("buckets --profile by-robot").ended(2).said("mfa_serial");
}
