//! What would be asked, before it is: `ssoinv plan` and `--dry-run`.

use std::fs;

use expect_test::expect;
use ssoinv_sim::{Effect, Fault, Options, Organisation, Service, Token};

use crate::support::{Run, World, column};
use crate::tests;

tests![
    a_plan_shows_who_is_asked_where_and_why,
    each_role_has_its_reason,
    who_is_left_out_or_missing_is_told,
    what_is_planned_is_what_is_done,
    nobody_but_the_portal_is_asked,
    profiles_whose_account_only_aws_knows_are_a_range,
    assumed_roles_are_counted_and_the_organisation_is_not_asked,
    credentials_in_the_cache_need_no_call,
    a_dry_run_is_the_plan_and_touches_no_file,
    a_plan_in_every_format,
    without_a_sign_in_it_says_so,
    roles_that_cannot_be_listed_are_told,
    nothing_to_do_is_5,
];

const ORGANISATION: &str = r#"{
    "regions": ["eu-west-1", "us-east-1"],
    "sessions": [{"name": "corp", "start_url": "https://corp.awsapps.com/start", "region": "eu-west-1"}],
    "roles": ["SecurityAudit", "ReadOnlyAccess", "AdministratorAccess"],
    "accounts": [
        {"id": "011111111111", "name": "hub", "email": "hub@example.com"},
        {"id": "222222222222", "name": "shop-prod", "email": "prod@example.com", "roles": ["ReadOnlyAccess"]},
        {"id": "333333333333", "name": "shop-dev", "email": "dev@example.com", "roles": ["AdministratorAccess"]}
    ],
    "users": [{
        "account": "333333333333",
        "name": "robot",
        "access_key_id": "AKIAROBOTROBOTROBOT1",
        "secret_access_key": "robotSIMSECRETrobotrobotrobotrobotrobot1"
    }]
}"#;

fn world_with(token: Token) -> World {
    let organisation = Organisation::from_json(ORGANISATION).expect("well-formed");
    World::with(organisation, Options::default(), token)
}

fn world() -> World {
    world_with(Token::Good)
}

/// What was said and shown, without what is the same for all.
fn shown(world: &World, run: &Run) -> String {
    let said = world.shown(&run.stderr);
    let of_endpoint = |line: &&str| line.contains("is not AWS's") || line.contains("if you didn't set this");
    let said: Vec<&str> = said.split_inclusive('\n').filter(|line| !of_endpoint(line)).collect();
    format!("{}\n{}", run.stdout, said.concat())
}

fn a_plan_shows_who_is_asked_where_and_why() {
    let world = world();
    let run =
        world.run("plan buckets aws_ec2_instance --all-accounts --region eu-west-1,us-* --no-input").ended(0);
    expect![[r#"
        table             account_id    account_name  role_name            profile  region          plan     calls_min  calls_max  reason
        aws_s3_bucket     011111111111  hub           SecurityAudit        -        global          in       1          1          first role that is known to read only
        aws_s3_bucket     222222222222  shop-prod     ReadOnlyAccess       -        global          in       1          1          first role that is known to read only
        aws_s3_bucket     333333333333  shop-dev      -                    -        global          out      0          0          no role here is known to read only (`SecurityAudit,ReadOnlyAccess,ViewOnlyAccess,*ReadOnly*,*Audit*,View*`); there are: `AdministratorAccess`
        aws_ec2_instance  011111111111  hub           SecurityAudit        -        eu-west-1,us-*  in       5          5          first role that is known to read only; enabled regions are known when the account is asked
        aws_ec2_instance  222222222222  shop-prod     ReadOnlyAccess       -        eu-west-1,us-*  in       5          5          first role that is known to read only; enabled regions are known when the account is asked
        aws_ec2_instance  333333333333  shop-dev      -                    -        -               out      0          0          no role here is known to read only (`SecurityAudit,ReadOnlyAccess,ViewOnlyAccess,*ReadOnly*,*Audit*,View*`); there are: `AdministratorAccess`
        -                 011111111111  hub           ReadOnlyAccess       -        -               standby  0          0          asked where role `SecurityAudit` is refused
        -                 011111111111  hub           AdministratorAccess  -        -               out      0          0          role is not known to read only by its name

        12 tasks in 2 of 3 accounts, 22 to 25 calls, 6 to 7 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task, enabled regions of 2 accounts not known)
    "#]].assert_eq(&shown(&world, &run));
}

fn each_role_has_its_reason() {
    let world = world();
    let plan = |arguments: &str| {
        let run = world.run(&format!("plan buckets --all-accounts --no-input {arguments}")).ended(0);
        shown(&world, &run)
    };
    expect![[r#"
        table          account_id    account_name  role_name            profile  region  plan     calls_min  calls_max  reason
        aws_s3_bucket  011111111111  hub           AdministratorAccess  -        global  in       1          1          role preferred of those that are there
        aws_s3_bucket  222222222222  shop-prod     ReadOnlyAccess       -        global  in       1          1          role preferred of those that are there
        aws_s3_bucket  333333333333  shop-dev      AdministratorAccess  -        global  in       1          1          role preferred of those that are there
        -              011111111111  hub           ReadOnlyAccess       -        -       standby  0          0          asked where role `AdministratorAccess` is refused
        -              011111111111  hub           SecurityAudit        -        -       out      0          0          role is not among `AdministratorAccess,ReadOnlyAccess`
        -              222222222222  shop-prod     AdministratorAccess  -        -       out      0          0          the sign-in has no such role there
        -              333333333333  shop-dev      ReadOnlyAccess       -        -       out      0          0          the sign-in has no such role there

        3 tasks in 3 of 3 accounts, 11 to 14 calls, 5 to 7 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task)
    "#]].assert_eq(&plan("--role AdministratorAccess,ReadOnlyAccess"));
    expect![[r#"
        table          account_id    account_name  role_name            profile  region  plan     calls_min  calls_max  reason
        aws_s3_bucket  011111111111  hub           AdministratorAccess  -        global  in       1          1          role preferred of those that are there
        aws_s3_bucket  222222222222  shop-prod     ReadOnlyAccess       -        global  in       1          1          role preferred of those that are there
        aws_s3_bucket  333333333333  shop-dev      AdministratorAccess  -        global  in       1          1          role preferred of those that are there
        -              011111111111  hub           ReadOnlyAccess       -        -       standby  0          0          asked where role `AdministratorAccess` is refused
        -              011111111111  hub           SecurityAudit        -        -       out      0          0          role is not among `*Access`

        3 tasks in 3 of 3 accounts, 13 to 15 calls, 7 to 8 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task)
    "#]].assert_eq(&plan("--role *Access"));
    expect![[r#"
        table          account_id    account_name  role_name            profile  region  plan  calls_min  calls_max  reason
        aws_s3_bucket  011111111111  hub           AdministratorAccess  -        global  in    1          1          every role that is wanted
        aws_s3_bucket  011111111111  hub           ReadOnlyAccess       -        global  in    1          1          every role that is wanted
        -              011111111111  hub           SecurityAudit        -        -       out   0          0          role is not among `*Access`
        -              222222222222  shop-prod     -                    -        -       out   0          0          account left out by `--account`
        -              333333333333  shop-dev      -                    -        -       out   0          0          account left out by `--account`

        2 tasks in 1 of 3 accounts, 8 calls, 4 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task)
    "#]].assert_eq(&plan("--role *Access --every-role --account hub"));
    assert_eq!(world.simulator.count(Service::PORTAL, "GetRoleCredentials"), 0);
}

fn who_is_left_out_or_missing_is_told() {
    let world = world();
    let expected = world.home.path().join("expect.csv");
    fs::write(&expected, "account_id,name\n777777777777,vault\n").expect("written");
    let run = world.run(&format!(
        "plan functions --all-accounts --account shop-prod,hub,777777777777 --exclude-account hub --region eu-west-1 \
         --no-input --expect {}",
        expected.display()
    ));
    expect![[r#"
        table                account_id    account_name  role_name       profile  region     plan  calls_min  calls_max  reason
        aws_lambda_function  222222222222  shop-prod     ReadOnlyAccess  -        eu-west-1  in    1          1          first role that is known to read only; region from `--region`
        aws_lambda_function  777777777777  vault         -               -        eu-west-1  out   0          0          the sign-in to `corp` does not reach this account
        -                    011111111111  hub           -               -        -          out   0          0          account left out by `--exclude-account`
        -                    333333333333  shop-dev      -               -        -          out   0          0          account left out by `--account`

        1 task in 1 of 4 accounts, 5 calls, 3 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task)
    "#]].assert_eq(&shown(&world, &run.ended(0)));
}

/// The calls that a plan foretells, as least and most.
fn foretold(run: &Run) -> (u64, u64) {
    let sum = |name: &str| run.rows().iter().map(|row| row[name].as_u64().expect("a number")).sum();
    (sum("calls_min"), sum("calls_max"))
}

fn what_is_planned_is_what_is_done() {
    for selection in [
        "--all-accounts",
        "--all-accounts --region eu-west-1",
        "--all-accounts --region eu-* --role ReadOnlyAccess,AdministratorAccess",
        "--all-accounts --role *Access --every-role --region us-east-1",
        "--all-profiles",
        "--all-profiles --region all",
    ] {
        let world = world();
        let arguments = format!("buckets instances {selection} -o json --no-input --no-credential-cache");
        let plan = world.run(&format!("plan {arguments}")).ended(0);
        let before = world.simulator.calls().len();
        let (_, ledger) = world.with_ledger(&format!("list {arguments}"));
        let calls = world.simulator.calls().split_off(before);
        let of_tables = calls
            .iter()
            .filter(|call| ["ListBuckets", "DescribeInstances"].contains(&call.operation.as_str()));
        let done = of_tables.count() as u64;
        let (least, most) = foretold(&plan);
        assert!((least..=most).contains(&done), "{selection}: {least} to {most}, not {done}");
        // Summed up it is every call of the run.
        let sentence = plan.stderr.lines().last().expect("a summary").to_owned();
        let total = sentence
            .split_once(" accounts, ")
            .expect("accounts")
            .1
            .split_once(" call")
            .expect("calls")
            .0
            .replace(',', "");
        let bounds: Vec<usize> =
            total.split(" to ").map(|number| number.parse().expect("a number")).collect();
        let (least, most) = (bounds[0], *bounds.last().expect("one"));
        assert!((least..=most).contains(&calls.len()), "{selection}: {sentence}, but {} calls", calls.len());
        // Whoever is in, is in the ledger; whoever is out as a whole isn't asked.
        for row in plan.rows().iter().filter(|row| row["plan"] == "in") {
            let same = |name: &str, cell: &serde_json::Value| cell[name] == row[name];
            let found = ledger.iter().any(|cell| {
                ["table", "account_id", "role_name", "profile"].iter().all(|name| same(name, cell))
            });
            assert!(found, "{selection}: {row} is in no cell");
        }
    }
}

fn nobody_but_the_portal_is_asked() {
    let world = world();
    let robot = format!(
        "[profile robot]\naws_access_key_id = AKIAROBOTROBOTROBOT1\n\
         aws_secret_access_key = robotSIMSECRETrobotrobotrobotrobotrobot1\nregion = eu-west-1\nendpoint_url = {}\n",
        world.simulator.url()
    );
    let config = world.home.path().join(".aws/config");
    let text = fs::read_to_string(&config).expect("a file");
    fs::write(&config, format!("{text}\n{robot}")).expect("written");
    for arguments in [
        "plan --all-accounts",
        "plan functions --all-accounts --role *Audit* --every-role",
        "plan buckets --all-profiles",
        "instances --profile robot --region all --dry-run",
        "buckets --profile robot --assume-role reader --account 011111111111 --dry-run",
    ] {
        world.run(&format!("{arguments} --no-input")).ended(0);
    }
    let mut asked: Vec<String> = world.simulator.calls().iter().map(|call| call.operation.clone()).collect();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, ["ListAccountRoles", "ListAccounts"]);
}

fn profiles_whose_account_only_aws_knows_are_a_range() {
    let world = world();
    let robot = "[profile robot]\naws_access_key_id = AKIAROBOTROBOTROBOT1\n\
         aws_secret_access_key = robotSIMSECRETrobotrobotrobotrobotrobot1\nregion = eu-west-1\n";
    let config = world.home.path().join(".aws/config");
    let text = fs::read_to_string(&config).expect("a file");
    fs::write(&config, format!("{text}\n{robot}\n[profile nothing]\nregion = us-east-1\n")).expect("written");
    let run = world.run("plan instances --all-profiles --no-input").ended(0);
    expect![[r#"
        table             account_id    account_name  role_name            profile                       region     plan  calls_min  calls_max  reason
        aws_ec2_instance  011111111111  hub           SecurityAudit        hub-SecurityAudit             eu-west-1  in    1          1          profile selected; region from the profiles
        aws_ec2_instance  222222222222  shop-prod     ReadOnlyAccess       shop-prod-ReadOnlyAccess      eu-west-1  in    1          1          profile selected; region from the profiles
        aws_ec2_instance  333333333333  shop-dev      AdministratorAccess  shop-dev-AdministratorAccess  eu-west-1  in    1          1          profile selected; region from the profiles
        aws_ec2_instance  -             -             -                    robot                         eu-west-1  in    0          1          profile selected; whose account it is only STS says; region from the profiles
        aws_ec2_instance  -             -             -                    nothing                       us-east-1  out   0          0          it has no credentials

        3 to 4 tasks in 4 of 5 accounts, 11 to 12 calls, 4 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task, account of 1 profile not known)
    "#]].assert_eq(&shown(&world, &run));
}

fn assumed_roles_are_counted_and_the_organisation_is_not_asked() {
    let world = world();
    let profile = column(&world.run("profiles -o json").ended(0).rows(), "name")[0].to_owned();
    let assume = format!("plan buckets --profile {profile} --assume-role Reader --no-input");
    let run = world.run(&format!("{assume} --account 011111111111,777777777777")).ended(0);
    expect![[r#"
        table          account_id    account_name  role_name  profile            region  plan  calls_min  calls_max  reason
        aws_s3_bucket  011111111111  hub           Reader     hub-SecurityAudit  global  in    1          1          role to assume
        aws_s3_bucket  777777777777  -             Reader     hub-SecurityAudit  global  in    1          1          role to assume

        2 tasks in 2 of 2 accounts, 6 calls, 2 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task)
    "#]].assert_eq(&shown(&world, &run));
    let run = world.run(&format!("{assume} --account all")).ended(2);
    expect![[r#"

        error: which accounts the organisation has, only AWS Organizations says, and a plan asks the portal alone

        hint: name them: `--account FILE`, of what `aws organizations list-accounts` prints
    "#]].assert_eq(&shown(&world, &run));
}

fn credentials_in_the_cache_need_no_call() {
    let world = world();
    let plan = || {
        let run = world
            .run("plan buckets --all-accounts --role ReadOnlyAccess --account shop-prod --no-input")
            .ended(0);
        run.stderr.lines().last().expect("a summary").to_owned()
    };
    expect!["1 task in 1 of 3 accounts, 4 calls, 2 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task)"].assert_eq(&plan());
    world.run("buckets --all-accounts --role ReadOnlyAccess --account shop-prod --no-input").ended(0);
    expect!["1 task in 1 of 3 accounts, 3 calls, 1 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task)"].assert_eq(&plan());
}

fn a_dry_run_is_the_plan_and_touches_no_file() {
    let world = world();
    let plan = world.run("plan buckets --all-accounts --no-input").ended(0);
    let out = world.home.path().join("buckets.json");
    fs::write(&out, "mine").expect("written");
    let ledger = world.home.path().join("ledger.csv");
    let run = world.run(&format!(
        "buckets --all-accounts --no-input --dry-run --columns name --out {} --coverage {}",
        out.display(),
        ledger.display()
    ));
    assert_eq!(shown(&world, &run.ended(0)), shown(&world, &plan));
    assert_eq!(fs::read_to_string(&out).expect("a file"), "mine");
    assert!(!ledger.exists());
    let run = world.run("list aws_s3_bucket --all-accounts --no-input --dry-run -q").ended(0);
    assert_eq!((run.stdout.as_str(), world.said_of(&run.stderr).as_str()), (plan.stdout.as_str(), ""));
    world.run("plan bukets --all-accounts").ended(2).said("there is no table `bukets`");
    world
        .run("plan buckets --all-accounts --coverage x.csv")
        .ended(2)
        .said("unexpected argument '--coverage'");
}

fn a_plan_in_every_format() {
    let world = world();
    let plan = |format: &str| {
        world.run(&format!("plan buckets --all-accounts --account shop-dev --no-input -q -o {format}")).stdout
    };
    expect![[r#"
        table,account_id,account_name,role_name,profile,region,plan,calls_min,calls_max,reason
        aws_s3_bucket,333333333333,shop-dev,,,global,out,0,0,"no role here is known to read only (`SecurityAudit,ReadOnlyAccess,ViewOnlyAccess,*ReadOnly*,*Audit*,View*`); there are: `AdministratorAccess`"
        ,011111111111,hub,,,,out,0,0,account left out by `--account`
        ,222222222222,shop-prod,,,,out,0,0,account left out by `--account`
    "#]].assert_eq(&plan("csv"));
    expect![[r#"
        {"table":"aws_s3_bucket","account_id":"333333333333","account_name":"shop-dev","role_name":null,"profile":null,"region":"global","plan":"out","calls_min":0,"calls_max":0,"reason":"no role here is known to read only (`SecurityAudit,ReadOnlyAccess,ViewOnlyAccess,*ReadOnly*,*Audit*,View*`); there are: `AdministratorAccess`"}
        {"table":null,"account_id":"011111111111","account_name":"hub","role_name":null,"profile":null,"region":null,"plan":"out","calls_min":0,"calls_max":0,"reason":"account left out by `--account`"}
        {"table":null,"account_id":"222222222222","account_name":"shop-prod","role_name":null,"profile":null,"region":null,"plan":"out","calls_min":0,"calls_max":0,"reason":"account left out by `--account`"}
    "#]].assert_eq(&plan("ndjson"));
    let out = world.home.path().join("plan.json");
    world
        .run(&format!(
            "plan buckets --all-accounts --no-input --columns account_id,plan --out {}",
            out.display()
        ))
        .ended(0);
    assert!(fs::read_to_string(&out).expect("a file").contains("\"plan\":\"in\""));
}

fn without_a_sign_in_it_says_so() {
    let world = world_with(Token::None);
    let run = world.run("plan buckets --all-accounts --no-input").ended(3);
    expect![[r#"

        error: not signed in to sso-session `corp`

        hint: run `ssoinv login --sso-session corp`, then the same command again
    "#]]
    .assert_eq(&shown(&world, &run));
    let run = world.run("plan buckets --all-profiles --no-input").ended(3);
    assert_eq!(
        run.stdout.lines().filter(|line| line.starts_with("aws_s3_bucket")).count(),
        3,
        "what files tell"
    );
    expect![[r#"
        warning: not signed in to sso-session `corp`; a run would need it
        hint: run `ssoinv login --sso-session corp`
        3 tasks in 3 of 3 accounts, 10 calls, 4 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task)
    "#]].assert_eq(&world.said_of(&run.stderr));
}

fn roles_that_cannot_be_listed_are_told() {
    let world = world().variable("AWS_MAX_ATTEMPTS", "1");
    let broken = Fault::new(Effect::ServerError(500)).operation("ListAccountRoles").account("222222222222");
    world.simulator.fault(broken).expect("a fault");
    let run = world.run("plan buckets --all-accounts --no-input --account hub,shop-prod").ended(4);
    expect![[r#"
        table          account_id    account_name  role_name            profile  region  plan     calls_min  calls_max  reason
        aws_s3_bucket  011111111111  hub           SecurityAudit        -        global  in       1          1          first role that is known to read only
        aws_s3_bucket  222222222222  shop-prod     -                    -        global  out      0          0          An internal error has occurred
        -              011111111111  hub           ReadOnlyAccess       -        -       standby  0          0          asked where role `SecurityAudit` is refused
        -              011111111111  hub           AdministratorAccess  -        -       out      0          0          role is not known to read only by its name
        -              333333333333  shop-dev      -                    -        -       out      0          0          account left out by `--account`

        1 task in 1 of 3 accounts, 6 to 8 calls, 4 to 5 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task)
        warning: the roles could not be listed of `shop-prod` (222222222222): An internal error has occurred
        hint: run it again
    "#]].assert_eq(&shown(&world, &run));
}

fn nothing_to_do_is_5() {
    let world = world();
    let run = world.run("plan buckets --all-accounts --account shop-dev --no-input").ended(5);
    expect![[r#"
        table          account_id    account_name  role_name  profile  region  plan  calls_min  calls_max  reason
        aws_s3_bucket  333333333333  shop-dev      -          -        global  out   0          0          no role here is known to read only (`SecurityAudit,ReadOnlyAccess,ViewOnlyAccess,*ReadOnly*,*Audit*,View*`); there are: `AdministratorAccess`
        -              011111111111  hub           -          -        -       out   0          0          account left out by `--account`
        -              222222222222  shop-prod     -          -        -       out   0          0          account left out by `--account`

        0 tasks in 0 of 3 accounts, 2 calls, 2 of them to the portal; about 1s with at most 20/s to the portal, 64 at once and 100 ms a call (estimate: a page of rows a task)
    "#]].assert_eq(&shown(&world, &run));
}
