//! Which profiles reach which accounts, with what credentials, and that each account is asked once.

use std::fs;
use std::io::Read;
use std::path::Path;

use expect_test::expect;
use rustix::process::Signal;
use serde_json::Value;
use ssoinv_sim::{Call, Effect, Fault, Options, Organisation, SECRET_MARKER, Service, Token};

use crate::support::{Run, World, column, kill, rows_of, statuses};
use crate::tests;

tests![
    an_account_that_three_profiles_reach_is_asked_once,
    where_the_portal_refuses_the_first_the_next_is_asked,
    where_the_list_call_is_denied_the_next_is_asked,
    where_all_are_refused_each_says_why,
    a_failure_that_another_role_would_not_cure_is_not_tried_again,
    every_role_keeps_roles_apart,
    regions_are_asked_through_who_names_them,
    keys_and_single_sign_on_for_one_account_are_one,
    profiles_without_credentials_are_skipped,
    a_broken_profile_stops_nobody_else,
    a_broken_profile_that_was_named_alone_ends_it,
    a_profile_that_needs_mfa_is_told_what_to_do,
    chains_of_roles_are_walked,
    a_role_that_cannot_be_assumed_is_denied,
    a_web_identity_assumes_its_role,
    keys_in_the_environment_never_stand_in_for_a_profile,
    a_program_gives_credentials_and_is_run_once,
    a_program_that_is_left_out_is_not_run,
    a_program_that_fails_is_told_without_what_it_printed,
    a_program_that_hangs_ends_with_the_run,
];

/// Three accounts behind `corp`, a user, and roles on top of each other.
const ORGANISATION: &str = r#"{
    "regions": ["eu-west-1", "us-east-1"],
    "sessions": [{"name": "corp", "start_url": "https://corp.awsapps.com/start", "region": "eu-west-1"}],
    "roles": ["Audit", "Admin"],
    "accounts": [
        {"id": "111111111111", "name": "hub", "email": "hub@example.com",
         "buckets": [{"name": "hub-logs", "region": "eu-west-1"}]},
        {"id": "022222222222", "name": "prod", "email": "prod@example.com",
         "buckets": [{"name": "prod-a", "region": "eu-west-1"}, {"name": "prod-b", "region": "us-east-1"}],
         "instances": {"eu-west-1": [{"name": "web"}], "us-east-1": [{"name": "dr"}]}},
        {"id": "333333333333", "name": "dev", "email": "dev@example.com",
         "buckets": [{"name": "dev-scratch", "region": "eu-west-1"}]}
    ],
    "users": [{
        "account": "333333333333",
        "name": "robot",
        "access_key_id": "AKIAROBOTROBOTROBOT1",
        "secret_access_key": "robotSIMSECRETrobotrobotrobotrobotrobot1"
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

const PROD: &str = "022222222222";

const KEYS: &str = "aws_access_key_id = AKIAROBOTROBOTROBOT1
aws_secret_access_key = robotSIMSECRETrobotrobotrobotrobotrobot1
";

/// A home with a good token and these profiles, in which `URL` stands for the simulator and `HOME` for the home. Each
/// line that is `>NAME ACCOUNT ROLE` is an SSO profile.
fn with(profiles: &str) -> World {
    let organisation = Organisation::from_json(ORGANISATION).expect("well-formed");
    let world = World::without_home(organisation, Options::default());
    let line = |line: &str| match line.trim().strip_prefix('>') {
        None => format!("{}\n", line.trim_start()),
        Some(profile) => {
            let words: Vec<_> = profile.split_whitespace().collect();
            format!(
                "[profile {}]\nsso_session = corp\nsso_account_id = {}\nsso_role_name = {}\n\
                 region = eu-west-1\nendpoint_url = URL\n",
                words[0], words[1], words[2]
            )
        }
    };
    let text: String = profiles.lines().map(line).collect();
    let text = text.replace("URL", world.simulator.url());
    let text = text.replace("HOME", &world.home.path().display().to_string());
    let home = world.simulator.home().accounts(&[]).token(Token::Good).text(&text);
    home.write(world.home.path()).expect("a home");
    world
}

const BUCKETS: &str = "buckets --all-profiles -o json --no-input";

/// The ledger's cells: profile, status, rows and message.
fn cells(ledger: &[Value]) -> String {
    let cell = |cell: &Value| {
        let text = |name: &str| cell[name].as_str().unwrap_or_default().to_owned();
        let message = text("error_message");
        format!(
            "{} {} {}: {}, {} rows{}\n",
            text("profile"),
            text("account_id"),
            text("region"),
            text("status"),
            cell["rows"],
            if message.is_empty() { message } else { format!(": {message}") },
        )
    };
    ledger.iter().map(cell).collect()
}

/// The calls of an operation in an account.
fn calls(world: &World, operation: &str, account: &str) -> Vec<Call> {
    let calls = world.simulator.calls().into_iter();
    calls.filter(|call| call.operation == operation && call.account == account).collect()
}

fn roles(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.role.as_str()).collect()
}

/// What was said, without the warning about the simulator's address.
fn told(world: &World, run: &Run) -> String {
    let text = world.shown(&run.stderr);
    let lines = text.split_inclusive('\n');
    lines.filter(|line| !line.contains("not AWS's") && !line.contains("if you didn't set this")).collect()
}

const THREE: &str = "
    >first 022222222222 Audit
    >second 022222222222 Admin
    >other 111111111111 Audit
    >third 022222222222 Audit
";

fn an_account_that_three_profiles_reach_is_asked_once() {
    let world = with(THREE);
    let (run, ledger) = world.with_ledger(BUCKETS);
    let run = run.ended(0);
    assert_eq!(column(&run.rows(), "name"), ["prod-a", "prod-b", "hub-logs"], "each bucket once");
    assert_eq!(column(&run.rows(), "profile"), ["first", "first", "other"], "the first of the file answers");
    assert_eq!(roles(&calls(&world, "ListBuckets", PROD)), ["Audit"]);
    assert_eq!(roles(&calls(&world, "GetRoleCredentials", PROD)), ["Audit"], "nor are the others' keys");
    expect![[r"
        first 022222222222 global: ok, 2 rows
        second 022222222222 global: skipped, 0 rows: profile `first` answered for this account
        third 022222222222 global: skipped, 0 rows: profile `first` answered for this account
        other 111111111111 global: ok, 1 rows
    "]]
    .assert_eq(&cells(&ledger));
    expect![[r"
        3 buckets from 2 of 2 accounts, in all regions
    "]]
    .assert_eq(&told(&world, &run));
}

fn where_the_portal_refuses_the_first_the_next_is_asked() {
    let world = with(&THREE.replace("first 022222222222 Audit", "first 022222222222 Auditt"));
    let (run, ledger) = world.with_ledger(BUCKETS);
    let run = run.ended(0);
    assert_eq!(column(&run.rows(), "profile"), ["second", "second", "other"]);
    assert_eq!(column(&run.rows(), "role_name"), ["Admin", "Admin", "Audit"]);
    let calls = calls(&world, "GetRoleCredentials", PROD);
    let asked = roles(&calls);
    assert_eq!(asked, ["Auditt", "Auditt", "Admin"], "a refusal can pass, so it is asked once more");
    expect![[r"
        second 022222222222 global: ok, 2 rows: profile `first`: denied (ForbiddenException)
        first 022222222222 global: skipped, 0 rows: profile `second` answered for this account; profile `first`: denied (ForbiddenException)
        third 022222222222 global: skipped, 0 rows: profile `second` answered for this account
        other 111111111111 global: ok, 1 rows
    "]].assert_eq(&cells(&ledger));
    expect![[r"
        3 buckets from 2 of 2 accounts, in all regions
    "]]
    .assert_eq(&told(&world, &run));
}

fn where_the_list_call_is_denied_the_next_is_asked() {
    for effect in [Effect::Denied, Effect::DeniedByScp] {
        let world = with(THREE);
        let denied = Fault::new(effect.clone()).operation("ListBuckets").account(PROD).role("Audit");
        world.simulator.fault(denied).expect("a fault");
        let (run, ledger) = world.with_ledger(BUCKETS);
        assert_eq!(column(&run.ended(0).rows(), "profile"), ["second", "second", "other"]);
        let list_calls = calls(&world, "ListBuckets", PROD);
        let asked = roles(&list_calls);
        assert_eq!(
            asked,
            ["Audit", "Audit", "Admin"],
            "in the partition's own region, then in the profile's"
        );
        if effect == Effect::Denied {
            expect![[r"
                second 022222222222 global: ok, 2 rows: profile `first`: denied (AccessDenied)
                first 022222222222 global: skipped, 0 rows: profile `second` answered for this account; profile `first`: denied (AccessDenied)
                third 022222222222 global: skipped, 0 rows: profile `second` answered for this account
                other 111111111111 global: ok, 1 rows
            "]].assert_eq(&cells(&ledger));
        }
    }
}

fn where_all_are_refused_each_says_why() {
    let world = with(&THREE.replace("first 022222222222 Audit", "first 022222222222 Auditt"));
    let denied = Fault::new(Effect::Denied).operation("ListBuckets").account(PROD);
    world.simulator.fault(denied).expect("a fault");
    let (run, ledger) = world.with_ledger(BUCKETS);
    let run = run.ended(4);
    assert_eq!(column(&run.rows(), "name"), ["hub-logs"]);
    assert_eq!(roles(&calls(&world, "ListBuckets", PROD)), ["Admin", "Admin", "Audit", "Audit"]);
    expect![[r"
        first 022222222222 global: denied, 0 rows: no access to role `Auditt` in account `022222222222`: it is not assigned, or its name is misspelt
        second 022222222222 global: denied, 0 rows: User: arn:aws:sts::022222222222:assumed-role/AWSReservedSSO_Admin_1c21b6b2d972e3a2/alex.example is not authorized to perform: s3:ListAllMyBuckets because no identity-based policy allows the s3:ListAllMyBuckets action
        third 022222222222 global: denied, 0 rows: User: arn:aws:sts::022222222222:assumed-role/AWSReservedSSO_Audit_42b67e08dbe17ec6/alex.example is not authorized to perform: s3:ListAllMyBuckets because no identity-based policy allows the s3:ListAllMyBuckets action
        other 111111111111 global: ok, 1 rows
    "]].assert_eq(&cells(&ledger));
    expect![[r#"
        warning: no access in 1 of 2 accounts with role `Auditt`: `prod` (022222222222); 1 task denied (ForbiddenException)
        warning: no access in 1 of 2 accounts with role `Admin`: `prod` (022222222222); 1 task denied (AccessDenied)
        warning: no access in 1 of 2 accounts with role `Audit`: `prod` (022222222222); 1 task denied (AccessDenied)
        hint: see `~/coverage.json` for each of them
        1 bucket from 1 of 2 accounts, in all regions; 3 tasks denied: partial
    "#]].assert_eq(&told(&world, &run));
}

fn a_failure_that_another_role_would_not_cure_is_not_tried_again() {
    let world = with(THREE).variable("AWS_MAX_ATTEMPTS", "1");
    let broken = Fault::new(Effect::ServerError(500)).operation("ListBuckets").account(PROD);
    world.simulator.fault(broken).expect("a fault");
    let (run, ledger) = world.with_ledger(BUCKETS);
    run.ended(4);
    assert_eq!(roles(&calls(&world, "ListBuckets", PROD)), ["Audit"], "S3 is broken for all of them");
    expect![[r#"
        first 022222222222 global: failed, 0 rows: We encountered an internal error. Please try again.
        second 022222222222 global: skipped, 0 rows: profile `first` was used for this account
        third 022222222222 global: skipped, 0 rows: profile `first` was used for this account
        other 111111111111 global: ok, 1 rows
    "#]]
    .assert_eq(&cells(&ledger));
}

fn every_role_keeps_roles_apart() {
    let world = with(THREE);
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --every-role"));
    let rows = run.ended(0).rows();
    assert_eq!(column(&rows, "name"), ["prod-a", "prod-b", "prod-a", "prod-b", "hub-logs"]);
    assert_eq!(column(&rows, "role_name"), ["Audit", "Audit", "Admin", "Admin", "Audit"]);
    let asked = calls(&world, "ListBuckets", PROD);
    let mut asked = roles(&asked);
    asked.sort_unstable();
    assert_eq!(asked, ["Admin", "Audit"], "once with each role, though two profiles have one of them");
    expect![[r"
        first 022222222222 global: ok, 2 rows
        third 022222222222 global: skipped, 0 rows: profile `first` answered for this account
        second 022222222222 global: ok, 2 rows
        other 111111111111 global: ok, 1 rows
    "]]
    .assert_eq(&cells(&ledger));
}

fn regions_are_asked_through_who_names_them() {
    let world = with(
        ">ireland 022222222222 Audit
        >virginia 022222222222 Admin",
    );
    let config = world.home.path().join(".aws/config");
    let text = fs::read_to_string(&config).expect("a file");
    let (before, after) = text.split_once("[profile virginia]").expect("it is there");
    let after = after.replace("region = eu-west-1", "region = us-east-1");
    fs::write(&config, format!("{before}[profile virginia]{after}")).expect("written");
    let (run, ledger) = world.with_ledger(&BUCKETS.replace("buckets", "instances"));
    let rows = run.ended(0).rows();
    assert_eq!(column(&rows, "region"), ["eu-west-1", "us-east-1"]);
    assert_eq!(column(&rows, "profile"), ["ireland", "virginia"], "each region through who names it");
    expect![[r"
        ireland 022222222222 eu-west-1: ok, 1 rows
        virginia 022222222222 us-east-1: ok, 1 rows
    "]]
    .assert_eq(&cells(&ledger));

    let denied = Fault::new(Effect::Denied).operation("DescribeInstances").role("Admin");
    world.simulator.fault(denied).expect("a fault");
    let (run, ledger) = world.with_ledger(&BUCKETS.replace("buckets", "instances"));
    assert_eq!(column(&run.ended(0).rows(), "profile"), ["ireland", "ireland"], "the other stands by");
    expect![[r"
        ireland 022222222222 eu-west-1: ok, 1 rows
        ireland 022222222222 us-east-1: ok, 1 rows: profile `virginia`: denied (UnauthorizedOperation)
        virginia 022222222222 us-east-1: skipped, 0 rows: profile `ireland` answered for this account; profile `virginia`: denied (UnauthorizedOperation)
    "]].assert_eq(&cells(&ledger));
}

fn keys_and_single_sign_on_for_one_account_are_one() {
    let world = with(&format!(
        "[profile robot]
        {KEYS}region = eu-west-1
        endpoint_url = URL
        >dev 333333333333 Audit"
    ));
    let (run, ledger) = world.with_ledger(BUCKETS);
    assert_eq!(column(&run.ended(0).rows(), "profile"), ["robot"]);
    assert_eq!(world.simulator.count(Service::STS, "GetCallerIdentity"), 1, "STS says whose the keys are");
    expect![[r"
        robot 333333333333 global: ok, 1 rows
        dev 333333333333 global: skipped, 0 rows: profile `robot` answered for this account
    "]]
    .assert_eq(&cells(&ledger));
}

fn profiles_without_credentials_are_skipped() {
    let world = with(
        "[profile only-a-region]
        region = eu-west-1
        >prod 022222222222 Audit",
    );
    let (run, ledger) = world.with_ledger(BUCKETS);
    let run = run.ended(0);
    assert_eq!(run.rows().len(), 2);
    expect![[r"
        only-a-region  global: skipped, 0 rows: it has no credentials
        prod 022222222222 global: ok, 2 rows
    "]]
    .assert_eq(&cells(&ledger));
    expect![[r"
        2 buckets from 1 of 1 account, in all regions
    "]]
    .assert_eq(&told(&world, &run));

    // Alone there would be nothing to look with, which isn't the same as nothing there.
    let run = world.run("buckets --profile only-a-region -o json --no-input").ended(2);
    assert_eq!(run.stdout, "");
    expect![[r"
        error: profile `only-a-region` has no credentials
          ~/.aws/config:6

        hint: name another with `--profile NAME`; `ssoinv profiles` shows what kind each is
    "]]
    .assert_eq(&told(&world, &run));
}

const BROKEN: &str = "
    >good 022222222222 Audit
    [profile broken]
    sso_session = corpp
    sso_account_id = 111111111111
    sso_role_name = Audit
    region = eu-west-1
    endpoint_url = URL
";

fn a_broken_profile_stops_nobody_else() {
    let world = with(BROKEN);
    let (run, ledger) =
        world.with_ledger("list aws_s3_bucket aws_ec2_instance --all-profiles -o ndjson --no-input");
    let run = run.ended(4);
    assert_eq!(statuses(&ledger), "misconfigured 2, ok 2");
    assert_eq!(run.stdout.lines().count(), 3);
    expect![[r"
        good 022222222222 global: ok, 2 rows
        broken 111111111111 global: misconfigured, 0 rows: profile `broken` names sso-session `corpp`, which is not defined
        good 022222222222 eu-west-1: ok, 1 rows
        broken 111111111111 eu-west-1: misconfigured, 0 rows: profile `broken` names sso-session `corpp`, which is not defined
    "]].assert_eq(&cells(&ledger));
    expect![[r"
        warning: profile `broken` names sso-session `corpp`, which is not defined; 2 tasks misconfigured
        hint: write `sso_session = corp` in `[profile broken]`; defined are `corp`
        2 buckets, 1 instance from 1 of 2 accounts, 1 region each (from the profiles); 2 tasks misconfigured: partial
    "]].assert_eq(&told(&world, &run));
}

fn a_broken_profile_that_was_named_alone_ends_it() {
    let world = with(BROKEN);
    let run = world.run("buckets --profile broken -o json").ended(2);
    assert_eq!(run.stdout, "", "nothing has started");
    assert_eq!(world.simulator.calls(), []);
    expect![[r"
        error: profile `broken` names sso-session `corpp`, which is not defined
          ~/.aws/config:14

        hint: write `sso_session = corp` in `[profile broken]`; defined are `corp`
    "]]
    .assert_eq(&told(&world, &run));
    // With another it is one of two.
    world.run("buckets --profile broken,good -o json --no-input").ended(4);
}

const MFA: &str = "
    >prod 022222222222 Audit
    [profile mfa]
    role_arn = arn:aws:iam::111111111111:role/of-robot
    source_profile = prod
    mfa_serial = arn:aws:iam::022222222222:mfa/sam
    region = eu-west-1
    endpoint_url = URL
";

fn a_profile_that_needs_mfa_is_told_what_to_do() {
    let world = with(MFA);
    let (run, ledger) = world.with_ledger(BUCKETS);
    let run = run.ended(4);
    assert_eq!(run.rows().len(), 2);
    expect![[r"
        prod 022222222222 global: ok, 2 rows
        mfa 111111111111 global: misconfigured, 0 rows: profile `mfa` needs an MFA code (`mfa_serial`), and ssoinv does not ask for one
    "]].assert_eq(&cells(&ledger));
    expect![[r"
        warning: profile `mfa` needs an MFA code (`mfa_serial`), and ssoinv does not ask for one; 1 task misconfigured
        hint: name a profile that has `credential_process = aws configure export-credentials --profile mfa --format process`, after `aws sts get-caller-identity --profile mfa` has asked for the code
        2 buckets from 1 of 2 accounts, in all regions; 1 task misconfigured: partial
    "]].assert_eq(&told(&world, &run));
    assert_eq!(world.simulator.count(Service::STS, "AssumeRole"), 0, "it isn't even tried");
    let alone = world.run("buckets --profile mfa -o json --no-input").ended(2);
    expect![[r"
        error: profile `mfa` needs an MFA code (`mfa_serial`), and ssoinv does not ask for one
          ~/.aws/config:16

        hint: name a profile that has `credential_process = aws configure export-credentials --profile mfa --format process`, after `aws sts get-caller-identity --profile mfa` has asked for the code
    "]].assert_eq(&told(&world, &alone));
}

fn chains_of_roles_are_walked() {
    let world = with(
        "[profile hub]
        sso_session = corp
        sso_account_id = 111111111111
        sso_role_name = Audit
        endpoint_url = URL
        [profile reader]
        role_arn = arn:aws:iam::022222222222:role/reader
        source_profile = hub
        endpoint_url = URL
        [profile inner]
        role_arn = arn:aws:iam::333333333333:role/inner
        source_profile = reader
        external_id = x-1
        role_session_name = nightly
        endpoint_url = URL
        [profile of-keys]
        role_arn = arn:aws:iam::111111111111:role/of-robot
        source_profile = robot
        endpoint_url = URL
        [profile robot]
        endpoint_url = URL
        region = eu-west-1",
    );
    fs::write(world.home.path().join(".aws/credentials"), format!("[robot]\n{KEYS}")).expect("written");
    let (run, ledger) = world.with_ledger(
        "buckets --profile reader,inner,of-keys --region eu-west-1,us-east-1 -o json --no-input",
    );
    let rows = run.ended(0).rows();
    assert_eq!(column(&rows, "name"), ["prod-a", "prod-b", "dev-scratch", "hub-logs"]);
    assert_eq!(column(&rows, "profile"), ["reader", "reader", "inner", "of-keys"]);
    assert_eq!(column(&rows, "role_name"), ["reader", "reader", "inner", "of-robot"]);
    let arns = column(&ledger, "caller_arn");
    assert_eq!(arns[1], "arn:aws:sts::333333333333:assumed-role/inner/nightly");
    for (arn, head) in [
        (arns[0], "arn:aws:sts::022222222222:assumed-role/reader/"),
        (arns[2], "arn:aws:sts::111111111111:assumed-role/of-robot/"),
    ] {
        assert!(arn.starts_with(head), "{arn}");
    }
    assert_eq!(world.simulator.count(Service::PORTAL, "GetRoleCredentials"), 1, "the sign-in's role, once");
    assert_eq!(world.simulator.count(Service::STS, "AssumeRole"), 3, "`reader` serves itself and `inner`");
}

fn a_role_that_cannot_be_assumed_is_denied() {
    let world = with(
        ">hub 111111111111 Audit
        [profile no-external-id]
        role_arn = arn:aws:iam::333333333333:role/inner
        source_profile = hub
        region = eu-west-1
        endpoint_url = URL
        >dev 333333333333 Audit",
    );
    let (run, ledger) = world.with_ledger(BUCKETS);
    let run = run.ended(0);
    assert_eq!(column(&run.rows(), "profile"), ["hub", "dev"], "another profile has access");
    expect![[r"
        hub 111111111111 global: ok, 1 rows
        dev 333333333333 global: ok, 1 rows: profile `no-external-id`: denied (AccessDenied)
        no-external-id 333333333333 global: skipped, 0 rows: profile `dev` answered for this account; profile `no-external-id`: denied (AccessDenied)
    "]].assert_eq(&cells(&ledger));
    let run = world.run("buckets --profile no-external-id -o json --no-input").ended(5);
    expect![[r"
        warning: no access in 1 of 1 account with role `inner`: `dev` (333333333333); 1 task denied (AccessDenied)
        hint: `--coverage FILE` writes down each of them
        0 buckets from 0 of 1 account, in all regions; 1 task denied: partial
    "]].assert_eq(&told(&world, &run));
}

fn a_web_identity_assumes_its_role() {
    let world = with(
        "[profile job]
        role_arn = arn:aws:iam::111111111111:role/of-token
        web_identity_token_file = HOME/token
        role_session_name = build-7
        region = eu-west-1
        endpoint_url = URL",
    );
    let run = world.run(BUCKETS).ended(5);
    expect![[r"
        warning: profile `job` can't be used: the token in `~/token` cannot be read: No such file or directory (os error 2); 1 task misconfigured
        hint: run `ssoinv profiles job` to see its settings
        0 buckets from 0 of 1 account, in all regions; 1 task misconfigured: partial
    "]].assert_eq(&told(&world, &run));

    fs::write(world.home.path().join("token"), "web-SIMSECRET-token\n").expect("written");
    let (run, ledger) = world.with_ledger(BUCKETS);
    assert_eq!(column(&run.ended(0).rows(), "name"), ["hub-logs"]);
    assert_eq!(column(&ledger, "caller_arn"), ["arn:aws:sts::111111111111:assumed-role/of-token/build-7"]);
    assert_eq!(world.simulator.count(Service::STS, "AssumeRoleWithWebIdentity"), 1);
}

fn keys_in_the_environment_never_stand_in_for_a_profile() {
    let world = with(">prod 022222222222 Audit")
        .variable("AWS_ACCESS_KEY_ID", "AKIAROBOTROBOTROBOT1")
        .variable("AWS_SECRET_ACCESS_KEY", "robotSIMSECRETrobotrobotrobotrobotrobot1");
    let [all, named] = ["--all-profiles", "--profile prod"].map(|selection| {
        let run = world.run(&format!("buckets {selection} -o json --no-input")).ended(0);
        assert_eq!(column(&run.rows(), "account_id"), [PROD, PROD], "not the keys' own account");
        told(&world, &run)
    });
    assert_eq!(all, named);
    expect![[r"
        warning: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` of the environment: ignored, since profiles are used
        hint: unset them to be rid of this warning
        2 buckets from 1 of 1 account, in all regions
    "]].assert_eq(&named);
    let calls = world.simulator.calls();
    assert!(calls.iter().all(|call| call.access_key_id != "AKIAROBOTROBOTROBOT1"), "{calls:#?}");
    // Where the named profile can't be used they don't step in either.
    let world = with(">prod 022222222222 Auditt")
        .variable("AWS_ACCESS_KEY_ID", "AKIAROBOTROBOTROBOT1")
        .variable("AWS_SECRET_ACCESS_KEY", "robotSIMSECRETrobotrobotrobotrobotrobot1")
        .variable("AWS_PROFILE", "prod");
    assert_eq!(world.run("buckets -o json --no-input").ended(5).stdout, "[]\n");
    assert!(world.simulator.calls().iter().all(|call| call.service == Service::PORTAL));
}

/// A `credential_process` that prints the robot's keys and what it was given on stdin; each start is noted in a file.
const PROGRAM: &str = r#"#!/bin/sh
echo started >> "$HOME/starts"
given=$(cat)
echo "leaked-SIMSECRET-stderr" >&2
printf '{"Version": 1, "AccessKeyId": "AKIAROBOTROBOTROBOT1%s", ' "$given"
echo '"SecretAccessKey": "robotSIMSECRETrobotrobotrobotrobotrobot1"}'
"#;

const OF_PROGRAM: &str = "
    [profile program]
    credential_process = /bin/sh HOME/program one
    region = eu-west-1
    endpoint_url = URL
    [profile the-same]
    credential_process = /bin/sh HOME/program one
    region = us-east-1
    endpoint_url = URL
";

fn with_program(text: &str, program: &str) -> World {
    let world = with(text);
    fs::write(world.home.path().join("program"), program).expect("written");
    world
}

fn starts(world: &World) -> usize {
    fs::read_to_string(world.home.path().join("starts")).unwrap_or_default().lines().count()
}

fn a_program_gives_credentials_and_is_run_once() {
    let world = with_program(OF_PROGRAM, PROGRAM);
    // On a terminal somebody could type: the program must not get to hear of it.
    let ledger = world.home.path().join("coverage.json");
    let command = format!(
        "list aws_s3_bucket aws_ec2_instance --all-profiles -o ndjson -vv --coverage {}",
        ledger.display()
    );
    let run = world.at_terminal(&command).sees_the_end().ended(0);
    assert_eq!(run.stdout.lines().count(), 1);
    assert!(run.stdout.contains("dev-scratch"), "{}", run.stdout);
    assert_eq!(starts(&world), 1, "one command line, run once for all");
    for text in [&run.stdout, &run.stderr, &fs::read_to_string(&ledger).expect("a file")] {
        assert!(!text.contains(SECRET_MARKER), "what it printed went no further: {text}");
    }
}

fn a_program_that_is_left_out_is_not_run() {
    let world = with_program(&format!("{OF_PROGRAM}\n>prod 022222222222 Audit"), PROGRAM);
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --no-credential-process"));
    let run = run.ended(4);
    assert_eq!(column(&run.rows(), "name"), ["prod-a", "prod-b"]);
    assert_eq!(starts(&world), 0);
    expect![[r"
        program  global: misconfigured, 0 rows: profile `program` needs its `credential_process`, which is left out
        the-same  global: misconfigured, 0 rows: profile `the-same` needs its `credential_process`, which is left out
        prod 022222222222 global: ok, 2 rows
    "]].assert_eq(&cells(&ledger));
    expect![[r"
        warning: profile `program` needs its `credential_process`, which is left out (and 1 more like it: `the-same`); 2 tasks misconfigured
        hint: leave out `--no-credential-process`
        2 buckets from 1 of 3 accounts, in all regions; 2 tasks misconfigured: partial
    "]].assert_eq(&told(&world, &run));
}

fn a_program_that_fails_is_told_without_what_it_printed() {
    for (program, told_as) in [
        ("echo hunter2 >&2; echo hunter2; exit 3", "ended with exit status: 3"),
        ("echo hunter2", "printed no JSON"),
        ("echo '{\"Version\": 2, \"AccessKeyId\": \"hunter2\"}'", "printed version 2"),
    ] {
        let world = with_program(OF_PROGRAM, program);
        let (run, ledger) = world.with_ledger(&format!("{BUCKETS} -vv"));
        let run = run.ended(5).said(told_as);
        let file = fs::read_to_string(world.home.path().join("coverage.json")).expect("a file");
        assert!(!run.stderr.contains("hunter2") && !file.contains("hunter2"), "{run:#?}");
        assert_eq!(column(&ledger, "status"), ["failed"; 2]);
    }
}

fn a_program_that_hangs_ends_with_the_run() {
    // Its end of the pipe closes when it is killed; else it says after a while that it has survived.
    let program = "exec 3> \"$HOME/fifo\"\necho \"the program has started\" > \"$SCREEN\"\n\
                   sleep 20 3>&-\necho survived >&3\n";
    let world = with_program(&format!("{OF_PROGRAM}\n>prod 022222222222 Audit"), program);
    let mut fifo = fifo(&world.home.path().join("fifo"));
    let ledger = world.home.path().join("coverage.json");
    let mut person = world.at_terminal(&format!("{BUCKETS} --coverage {}", ledger.display()));
    person.reads_word("the program has ");
    kill(person.process, Signal::INT);
    let run = person.sees_the_end().ended(130);
    assert_eq!(run.stdout, "[]\n");
    assert_eq!(statuses(&rows_of(&ledger)), "not_tried 3", "whose account it is decides what is planned");
    let mut text = String::new();
    fifo.read_to_string(&mut text).expect("text");
    assert_eq!(text, "", "it has been killed");
}

/// A pipe with a name; it can be opened by who writes, and read to its end when all who do have closed it.
fn fifo(path: &Path) -> fs::File {
    use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_setfl, mknodat, open};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    let file = open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).expect("opened");
    // Only opening it mustn't wait.
    fcntl_setfl(&file, OFlags::empty()).expect("set");
    fs::File::from(file)
}
