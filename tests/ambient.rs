//! Without a person and without profiles: what the machine is, and roles that it assumes in the organisation's accounts.

use std::fs;
use std::thread;

use expect_test::expect;
use ssoinv_sim::{Control, Effect, Fault, Options, Organisation, Service, Token};

use crate::support::{Live, Run, World, column, run, statuses};
use crate::tests;

tests![
    each_kind_of_identity_is_used,
    the_first_that_is_set_up_counts,
    it_is_meant_where_there_is_no_default_and_said,
    a_default_profile_goes_first,
    a_machine_without_an_identity_is_told_what_was_looked_for,
    half_an_identity_is_told,
    keys_that_a_profile_takes_from_the_environment_are_not_ignored,
    an_interrupt_does_not_wait_for_the_organisation,
    keys_that_end_are_renewed_and_keys_that_cannot_be_are_told,
    a_role_in_the_accounts_that_are_named,
    a_role_in_all_active_accounts,
    accounts_from_a_file,
    an_external_id_must_be_the_right_one,
    who_may_not_list_the_organisation_is_told,
    from_a_profile_too,
    what_contradicts_itself,
    nothing_is_asked_and_nothing_told,
];

/// Three accounts; the machine is in the first, and may be `Audit` in all and `Partner` with an external ID.
const ORGANISATION: &str = r#"{
    "regions": ["eu-west-1"],
    "sessions": [{"name": "corp", "start_url": "https://corp.awsapps.com/start", "region": "eu-west-1"}],
    "roles": ["ReadOnly"],
    "accounts": [
        {"id": "011111111111", "name": "hub", "email": "hub@example.com", "buckets": [{"name": "hub-logs", "region": "eu-west-1"}]},
        {"id": "222222222222", "name": "prod", "email": "prod@example.com", "buckets": [{"name": "prod-data", "region": "eu-west-1"}]},
        {"id": "333333333333", "name": "dev", "email": "dev@example.com", "buckets": [{"name": "dev-data", "region": "eu-west-1"}]},
        {"id": "444444444444", "name": "old", "email": "old@example.com", "status": "SUSPENDED"}
    ],
    "users": [{
        "account": "011111111111",
        "name": "robot",
        "access_key_id": "AKIAROBOTROBOTROBOT1",
        "secret_access_key": "robotSIMSECRETrobotrobotrobotrobotrobot1"
    }],
    "assumable_roles": [
        {"account": "222222222222", "name": "Audit", "trusts": ["011111111111"]},
        {"account": "333333333333", "name": "Audit", "trusts": ["011111111111/machine"]},
        {"account": "222222222222", "name": "Partner", "trusts": ["011111111111"], "external_id": "x-1"},
        {"account": "222222222222", "name": "job", "web_identity_provider": "token.example.com"}
    ],
    "web_identities": [{
        "token": "web-SIMSECRET-token", "provider": "token.example.com", "subject": "job", "audience": "sts"
    }]
}"#;

const KEYS: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "AKIAROBOTROBOTROBOT1"),
    ("AWS_SECRET_ACCESS_KEY", "robotSIMSECRETrobotrobotrobotrobotrobot1"),
];

/// A machine without any file of AWS's.
fn world() -> World {
    let organisation = Organisation::from_json(ORGANISATION).expect("an organisation");
    let world = World::without_home(organisation, Options::default());
    let url = world.simulator.url().to_owned();
    fs::write(world.home.path().join("token"), "web-SIMSECRET-token").expect("written");
    world.variable("AWS_ENDPOINT_URL", url).variable("AWS_REGION", "eu-west-1")
}

/// The variables of an identity.
fn variables(world: &World, kind: &str) -> Vec<(&'static str, String)> {
    let own = |pairs: &[(&'static str, &str)]| {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let url = world.simulator.url();
    match kind {
        "keys" => own(KEYS),
        "web identity" => own(&[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", &world.home.path().join("token").display().to_string()),
            ("AWS_ROLE_ARN", "arn:aws:iam::222222222222:role/job"),
        ]),
        "container" => own(&[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{url}/container/credentials")),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", world.simulator.container_token()),
        ]),
        "instance" => {
            own(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", url), ("AWS_EC2_METADATA_DISABLED", "false")])
        }
        _ => Vec::new(),
    }
}

fn run_as(world: &World, kinds: &[&str], arguments: &str) -> Run {
    let mut command = world.command(arguments);
    for kind in kinds {
        command.envs(variables(world, kind));
    }
    run(command)
}

/// Runs with `--coverage`, and gives the ledger's rows.
fn with_ledger(world: &World, kinds: &[&str], arguments: &str) -> (Run, Vec<serde_json::Value>) {
    let file = world.home.path().join("coverage.json");
    let ended = run_as(world, kinds, &format!("{arguments} --coverage {}", file.display()));
    (ended, crate::support::rows_of(&file))
}

const BUCKETS: &str = "buckets --ambient --no-input -o json";

fn each_kind_of_identity_is_used() {
    for (kind, account, operation) in [
        ("keys", "011111111111", "GetCallerIdentity"),
        ("web identity", "222222222222", "AssumeRoleWithWebIdentity"),
        ("container", "011111111111", "ContainerCredentials"),
        ("instance", "011111111111", "InstanceCredentials"),
    ] {
        let world = world();
        let (run, ledger) = with_ledger(&world, &[kind], BUCKETS);
        let rows = run.ended(0).rows();
        assert_eq!(column(&rows, "account_id"), [account], "{kind}");
        assert_eq!(column(&rows, "profile"), ["ambient"]);
        assert_eq!(statuses(&ledger), "ok 1");
        let asked = world.simulator.calls().iter().filter(|call| call.operation == operation).count();
        assert_eq!(asked, 1, "{kind}");
        assert!(world.simulator.calls().iter().all(|call| call.service != Service::PORTAL));
    }
}

fn the_first_that_is_set_up_counts() {
    let order = ["keys", "web identity", "container", "instance"];
    for first in 0..order.len() {
        let world = world();
        run_as(&world, &order[first..], BUCKETS).ended(0);
        let asked = |operation: &str| world.simulator.calls().iter().any(|call| call.operation == operation);
        assert_eq!(asked("AssumeRoleWithWebIdentity"), first == 1);
        assert_eq!(asked("ContainerCredentials"), first == 2);
        assert_eq!(asked("InstanceCredentials"), first == 3);
    }
}

fn it_is_meant_where_there_is_no_default_and_said() {
    for (kind, what) in [
        ("keys", "the keys in the environment"),
        ("web identity", "the web identity of `AWS_ROLE_ARN`"),
        ("container", "the role of this container"),
        ("instance", "the role of this EC2 instance"),
    ] {
        let world = world();
        // Profiles that nobody has named don't count.
        world.simulator.home().write(world.home.path()).expect("a home");
        let run = run_as(&world, &[kind], "buckets -o json").ended(0);
        let said = format!("no profile is named and there is no `default`: using {what} (`--ambient`)\n");
        assert_eq!(run.stderr.split_inclusive('\n').next(), Some(said.as_str()), "{run:#?}");
        assert!(!run.stderr.contains("ignored"), "{run:#?}");
    }
}

fn a_default_profile_goes_first() {
    let world = world();
    fs::create_dir(world.home.path().join(".aws")).expect("made");
    let keys = "[default]\naws_access_key_id = AKIAROBOTROBOTROBOT1\n\
                aws_secret_access_key = robotSIMSECRETrobotrobotrobotrobotrobot1\n";
    fs::write(world.home.path().join(".aws/credentials"), keys).expect("written");
    let run = run_as(&world, &["container"], "buckets -o json").ended(0);
    assert_eq!(column(&run.rows(), "profile"), ["default"]);
    assert_eq!(world.simulator.count(Service::IMDS, "ContainerCredentials"), 0);
}

fn a_machine_without_an_identity_is_told_what_was_looked_for() {
    let world = world();
    let run = run_as(&world, &[], "buckets").ended(2);
    expect![[r#"
        error: there is no profile `default`
          ~/.aws/config has no profile
          ~/.aws/credentials has no profile

        hint: say which with `--profile NAME`, or `--all-profiles`; `ssoinv profiles` lists them
    "#]]
    .assert_eq(&world.shown(&run.stderr));
    // A service that isn't there: nobody listens at this port.
    let mut command = world.command("buckets");
    command
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
        .env("AWS_EC2_METADATA_DISABLED", "false");
    let run = crate::support::run(command).ended(2);
    assert!(
        run.stderr.contains(
            "\n  nor has this machine an identity of its own: no keys, web identity or container in the environment, and no credentials of this EC2 instance: "
        ),
        "{run:#?}"
    );
    let run = run_as(&world, &[], "buckets --ambient").ended(5);
    run.said(
        "warning: the identity of the EC2 instance is switched off by `AWS_EC2_METADATA_DISABLED`; 1 task",
    )
    .said("\nhint: unset `AWS_EC2_METADATA_DISABLED`, or name a profile with `--profile NAME`\n");
}

fn half_an_identity_is_told() {
    let world = world();
    let with = |name: &str, value: &str| {
        let mut command = world.command("buckets --ambient");
        command.env(name, value);
        run(command)
    };
    with("AWS_WEB_IDENTITY_TOKEN_FILE", "/token").ended(2).said("but `AWS_ROLE_ARN` is no role's ARN");
    with("AWS_ACCESS_KEY_ID", "AKIA")
        .ended(5)
        .said("the environment has no `AWS_ACCESS_KEY_ID`, or no `AWS_SECRET_");
    assert_eq!(world.simulator.calls(), []);
}

fn keys_that_a_profile_takes_from_the_environment_are_not_ignored() {
    let world = world();
    fs::create_dir(world.home.path().join(".aws")).expect("made");
    let config =
        "[default]\nrole_arn = arn:aws:iam::222222222222:role/Audit\ncredential_source = Environment\n";
    fs::write(world.home.path().join(".aws/config"), config).expect("written");
    let run = run_as(&world, &["keys"], "buckets -o json").ended(0);
    assert_eq!(column(&run.rows(), "name"), ["prod-data"]);
    assert!(!run.stderr.contains("ignored"), "{run:#?}");
}

fn an_interrupt_does_not_wait_for_the_organisation() {
    let world = world();
    world.simulator.fault(Fault::new(Effect::Stall).operation("ListAccounts")).expect("a fault");
    let assume = |more: &str| {
        let mut command = world.command(&format!("{ASSUME} all {more}"));
        command.envs(variables(&world, "container"));
        Live::start(command)
    };
    let live = assume("");
    while world.simulator.peak(Service::ORGANIZATIONS, "us-east-1") == 0 {
        thread::yield_now();
    }
    live.signal(rustix::process::Signal::INT);
    let run = live.finish().0.ended(130);
    assert_eq!(run.stderr, "error: interrupted before the accounts were known\n");
    let run = assume("--max-time 1s").finish().0.ended(5);
    run.said("error: the time of `--max-time` was over before the accounts were known\n");
}

fn keys_that_end_are_renewed_and_keys_that_cannot_be_are_told() {
    for kind in ["container", "instance", "web identity"] {
        let world = world();
        world.control(Control::ExpireRoleCredentials {
            account: None,
            role: None,
            after_calls: 1,
            times: Some(1),
        });
        let run =
            run_as(&world, &[kind], "list aws_s3_bucket aws_lambda_function --ambient -o json").ended(0);
        assert_eq!(run.json()["aws_s3_bucket"].as_array().expect("rows").len(), 1, "{kind}");
    }
    let world = world();
    world.simulator.fault(Fault::new(Effect::Unauthorized401).service(Service::S3)).expect("a fault");
    let (_, ledger) = with_ledger(&world, &["keys"], BUCKETS);
    assert_eq!(
        column(&ledger, "error_message"),
        ["the keys in the environment have expired, and nothing renews them"]
    );
    assert_eq!(statuses(&ledger), "misconfigured 1");
}

const ASSUME: &str = "buckets --ambient --assume-role Audit -o json --account";

fn a_role_in_the_accounts_that_are_named() {
    let world = world();
    // Robot may be Audit in prod, and isn't the machine, whom dev trusts.
    let (run, ledger) = with_ledger(&world, &["keys"], &format!("{ASSUME} 333333333333,222222222222"));
    let rows = run.ended(4).rows();
    assert_eq!(column(&rows, "name"), ["prod-data"]);
    assert_eq!(column(&ledger, "account_id"), ["333333333333", "222222222222"]);
    assert_eq!(column(&ledger, "status"), ["denied", "ok"]);
    assert_eq!(column(&ledger, "role_name"), ["Audit", "Audit"]);
    assert_eq!(column(&ledger, "profile"), ["ambient", "ambient"]);
    assert!(
        ledger[1]["caller_arn"]
            .as_str()
            .expect("an ARN")
            .contains(":222222222222:assumed-role/Audit/ssoinv-")
    );
    let (run, _) = with_ledger(&world, &["instance"], &format!("{ASSUME} 222222222222,333333333333"));
    assert_eq!(column(&run.ended(0).rows(), "name"), ["prod-data", "dev-data"]);
    run_as(&world, &["keys"], &format!("{ASSUME} 22222222222"))
        .ended(2)
        .said("write `022222222222`, twelve digits, as text");
}

fn a_role_in_all_active_accounts() {
    let world = world();
    world.simulator.fault(Fault::new(Effect::EmptyPage).operation("ListAccounts").times(1)).expect("a fault");
    let (run, ledger) = with_ledger(&world, &["container"], &format!("{ASSUME} all"));
    let run = run.ended(4);
    assert_eq!(column(&run.rows(), "account_name"), ["prod", "dev"]);
    // The hub has no such role; the suspended account isn't asked.
    assert_eq!(column(&ledger, "account_name"), ["hub", "prod", "dev"]);
    assert_eq!(column(&ledger, "status"), ["denied", "ok", "ok"]);
    assert_eq!(world.simulator.count(Service::ORGANIZATIONS, "ListAccounts"), 2);
    run.said("left out 1 account of the organisation that are not active\n");
}

fn accounts_from_a_file() {
    let world = world();
    let file = world.home.path().join("accounts.csv");
    fs::write(&file, "account_id,name\n333333333333,development\n333333333333,again\n").expect("written");
    let run = run_as(&world, &["instance"], &format!("{ASSUME} {}", file.display())).ended(0);
    assert_eq!(column(&run.rows(), "account_name"), ["development"]);
}

fn an_external_id_must_be_the_right_one() {
    let world = world();
    let ended = |external_id: &str| {
        let arguments =
            format!("buckets --ambient --assume-role Partner --account 222222222222 {external_id} -o json");
        with_ledger(&world, &["keys"], &arguments)
    };
    assert_eq!(statuses(&ended("--external-id x-1").1), "ok 1");
    for wrong in ["", "--external-id x-2"] {
        let (run, ledger) = ended(wrong);
        run.ended(5);
        assert_eq!(statuses(&ledger), "denied 1", "{wrong}");
    }
}

fn who_may_not_list_the_organisation_is_told() {
    let world = world();
    let run = run_as(&world, &["web identity"], &format!("{ASSUME} all")).ended(5);
    expect![[r#"
        error: the identity `ambient` cannot list the accounts of the organisation: You don't have permissions to access this resource. (AccessDeniedException)

        hint: `organizations:ListAccounts` is for the management account and delegated administrators; `--account ID,…` or a file names the accounts without it
    "#]]
    .assert_eq(&run.stderr);
    assert_eq!(run.stdout, "");
}

fn from_a_profile_too() {
    let organisation = Organisation::from_json(ORGANISATION).expect("an organisation");
    let world = World::with(organisation, Options::default(), Token::Good);
    let run = world
        .run("buckets --profile hub-ReadOnly --assume-role Audit --account 222222222222 -o json")
        .ended(0);
    assert_eq!(column(&run.rows(), "profile"), ["hub-ReadOnly"]);
    assert_eq!(column(&run.rows(), "name"), ["prod-data"]);
    let several =
        world.run("buckets --profile *-ReadOnly --assume-role Audit --account 222222222222").ended(2);
    several.said("`--assume-role` starts from one identity, and 4 profiles are meant");
}

fn what_contradicts_itself() {
    let world = world();
    for arguments in [
        "--ambient --profile a",
        "--ambient --all-profiles",
        "--assume-role Audit",
        "--account 222222222222",
        "--external-id x",
        "--all-profiles --assume-role Audit --account all",
    ] {
        run_as(&world, &["keys"], &format!("buckets {arguments}")).ended(2);
    }
    run_as(&world, &["keys"], "buckets --ambient --assume-role a:b --account 222222222222")
        .ended(2)
        .said("`a:b` (from --assume-role) is not the name of a role");
}

fn nothing_is_asked_and_nothing_told() {
    for kind in ["keys", "web identity", "container", "instance"] {
        let world = world();
        let whole = run_as(&world, &[kind], "buckets --ambient -vv");
        let roles = run_as(&world, &[kind], &format!("{ASSUME} all -vv"));
        let named = run_as(&world, &[kind], &format!("{ASSUME} 222222222222 -vv"));
        let secrets = world.simulator.secrets();
        assert!(secrets.len() > 3);
        for run in [whole, roles, named] {
            for text in [&run.stdout, &run.stderr] {
                assert!(secrets.iter().all(|secret| !text.contains(secret.as_str())), "{kind}: {text}");
            }
        }
    }
}
