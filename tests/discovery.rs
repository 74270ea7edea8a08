//! Every account from one sign-in, with no profile for any: which accounts, as which role, in which regions, and what
//! becomes of those that can't be had.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use expect_test::expect;
use serde_json::Value;
use ssoinv_sim::{Control, Effect, Fault, Options, Organisation, OrganisationSpec, Service, Token};

use crate::support::{Run, World, column, seeded, statuses};
use crate::tests;

tests![
    plain_names_need_no_list_of_roles,
    globs_pick_among_each_account_s_own_roles,
    the_order_of_preference_decides,
    a_refusal_that_passes_is_none,
    a_refused_role_gives_way_to_the_next,
    a_role_that_may_not_list_gives_way_to_the_next,
    where_every_role_is_refused_each_is_told,
    who_names_no_role_gets_one_that_reads_only,
    an_administrator_is_never_picked_by_itself,
    every_role_that_matches_keeps_its_rows,
    a_list_of_roles_that_is_refused_is_denied,
    accounts_by_id_name_and_file,
    an_account_that_is_not_offered_is_never_just_missing,
    eleven_digits_get_a_hint,
    a_name_that_nobody_has_is_told,
    accounts_in_every_format,
    roles_in_every_format,
    roles_that_cannot_be_listed_are_told,
    one_session_of_several_is_named,
    who_is_not_signed_in_is_told,
    a_token_that_ends_anywhere_is_refreshed_once,
    a_token_that_cannot_be_refreshed_leaves_no_account_out,
    half_a_list_of_accounts_is_none,
    every_page_of_accounts_counts,
    all_regions_are_the_enabled_ones,
    regions_by_glob_are_the_enabled_ones_of_each_account,
    a_glob_that_no_enabled_region_matches_is_skipped,
    regions_that_cannot_be_asked_are_told_once_for_all_accounts,
    regions_that_are_not_enabled_are_never_empty_and_cost_no_new_credentials,
    a_named_region_needs_no_question,
];

const ORGANISATION: &str = r#"{
    "regions": ["eu-west-1", "us-east-1"],
    "sessions": [{"name": "corp", "start_url": "https://corp.awsapps.com/start", "region": "eu-west-1"}],
    "roles": ["AdministratorAccess", "ReadOnlyAccess", "SecurityAudit"],
    "accounts": [
        {"id": "011111111111", "name": "hub", "email": "hub@example.com",
         "buckets": [{"name": "hub-logs", "region": "eu-west-1"}],
         "instances": {"eu-west-1": [{"name": "bastion"}]}},
        {"id": "222222222222", "name": "shop-prod", "email": "prod@example.com",
         "roles": ["AdministratorAccess", "ReadOnlyAccess", "TeamAudit"],
         "buckets": [{"name": "prod-a", "region": "eu-west-1"}],
         "instances": {"us-east-1": [{"name": "web"}]}},
        {"id": "333333333333", "name": "shop-dev", "email": "dev@example.com",
         "roles": ["AdministratorAccess", "PowerUserAccess"],
         "disabled_regions": ["eu-west-3"],
         "buckets": [{"name": "dev-a", "region": "eu-west-1"}]}
    ]
}"#;

const HUB: &str = "011111111111";
const PROD: &str = "222222222222";
const DEV: &str = "333333333333";

const BUCKETS: &str = "buckets --all-accounts --no-credential-cache --no-input -o json";
const INSTANCES: &str = "instances --all-accounts --no-credential-cache --no-input -o json";

fn world_with(token: Token) -> World {
    let organisation = Organisation::from_json(ORGANISATION).expect("well-formed");
    World::with(organisation, Options::default(), token)
}

fn world() -> World {
    world_with(Token::Good)
}

/// How often the portal was asked.
fn portal(world: &World, operation: &str) -> u64 {
    world.simulator.count(Service::PORTAL, operation)
}

/// The roles for which credentials were asked in an account, in order.
fn asked_for(world: &World, account: &str) -> String {
    let calls = world.simulator.calls().into_iter();
    let calls = calls.filter(|call| call.operation == "GetRoleCredentials" && call.account == account);
    calls.map(|call| call.role).collect::<Vec<_>>().join(" ")
}

/// The portal says that a role isn't assigned.
fn refuse(account: &str, role: &str) -> Fault {
    Fault::new(Effect::Forbidden403).operation("GetRoleCredentials").account(account).role(role)
}

/// The cells: account, role, region and status, with what is told.
fn cells(ledger: &[Value]) -> String {
    let cell = |cell: &Value| {
        let text = |name: &str| cell[name].as_str().unwrap_or_default().to_owned();
        let role = if text("role_name").is_empty() { "-".to_owned() } else { text("role_name") };
        let code =
            if text("error_code").is_empty() { String::new() } else { format!(" ({})", text("error_code")) };
        let message = text("error_message");
        let message = if message.is_empty() { message } else { format!(": {message}") };
        let (name, region, status) = (text("account_name"), text("region"), text("status"));
        format!("{name} {role} {region}: {status}{code}{message}\n")
    };
    ledger.iter().map(cell).collect()
}

/// The regions that were asked for instances, account by account.
fn regions_asked(world: &World) -> BTreeMap<String, BTreeSet<String>> {
    let mut asked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in world.simulator.calls().into_iter().filter(|call| call.operation == "DescribeInstances") {
        assert!(asked.entry(call.account).or_default().insert(call.region), "each region once");
    }
    asked
}

fn plain_names_need_no_list_of_roles() {
    let world = world();
    let (run, ledger) =
        world.with_ledger(&format!("{BUCKETS} --role SecurityAudit,ReadOnlyAccess,AdministratorAccess"));
    assert_eq!(column(&run.ended(0).rows(), "name"), ["hub-logs", "prod-a", "dev-a"]);
    assert_eq!(column(&ledger, "role_name"), ["SecurityAudit", "ReadOnlyAccess", "AdministratorAccess"]);
    assert_eq!(column(&ledger, "profile"), ["", "", ""]);
    assert_eq!((portal(&world, "ListAccounts"), portal(&world, "ListAccountRoles")), (1, 0));
    // A 403 can be transient, so that each role that isn't there costs two calls.
    assert_eq!(asked_for(&world, HUB), "SecurityAudit");
    assert_eq!(asked_for(&world, PROD), "SecurityAudit SecurityAudit ReadOnlyAccess");
    assert_eq!(
        asked_for(&world, DEV),
        "SecurityAudit SecurityAudit ReadOnlyAccess ReadOnlyAccess AdministratorAccess"
    );
}

fn globs_pick_among_each_account_s_own_roles() {
    let world = world();
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --role *Audit,Power*"));
    assert_eq!(column(&run.ended(0).rows(), "name"), ["hub-logs", "prod-a", "dev-a"]);
    assert_eq!(column(&ledger, "role_name"), ["SecurityAudit", "TeamAudit", "PowerUserAccess"]);
    assert_eq!(portal(&world, "ListAccountRoles"), 3, "each account's own list, once");
    assert_eq!(portal(&world, "GetRoleCredentials"), 3, "what isn't there is not asked for");
}

fn the_order_of_preference_decides() {
    let world = world();
    for (preference, in_prod) in [
        ("TeamAudit,ReadOnlyAccess", "TeamAudit"),
        ("ReadOnlyAccess,TeamAudit", "ReadOnlyAccess"),
        ("ReadOnly*,*Audit", "ReadOnlyAccess"),
        ("*Audit,ReadOnly*", "TeamAudit"),
        ("Nobody,*", "AdministratorAccess"),
    ] {
        let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --account {PROD} --role {preference}"));
        assert_eq!(column(&run.ended(0).rows(), "role_name"), [in_prod], "{preference}");
        assert_eq!(column(&ledger, "role_name"), [in_prod], "{preference}");
    }
}

fn a_refusal_that_passes_is_none() {
    let world = world();
    world.simulator.fault(refuse(PROD, "ReadOnlyAccess").times(1)).expect("a fault");
    let (run, ledger) =
        world.with_ledger(&format!("{BUCKETS} --account {PROD} --role ReadOnlyAccess,TeamAudit"));
    let run = run.ended(0);
    assert_eq!(asked_for(&world, PROD), "ReadOnlyAccess ReadOnlyAccess", "asked once more, and then granted");
    expect![[r"
        shop-prod ReadOnlyAccess global: ok
    "]]
    .assert_eq(&cells(&ledger));
    expect![[r"
        1 bucket from 1 of 1 account, in all regions
    "]]
    .assert_eq(&world.said_of(&run.stderr));
}

fn a_refused_role_gives_way_to_the_next() {
    let world = world();
    world.simulator.fault(refuse(PROD, "ReadOnlyAccess")).expect("a fault");
    let (run, ledger) =
        world.with_ledger(&format!("{BUCKETS} --account {PROD} --role ReadOnlyAccess,TeamAudit"));
    let run = run.ended(0);
    assert_eq!(column(&run.rows(), "role_name"), ["TeamAudit"]);
    assert_eq!(asked_for(&world, PROD), "ReadOnlyAccess ReadOnlyAccess TeamAudit");
    expect![[r#"
        shop-prod TeamAudit global: ok: role `ReadOnlyAccess`: denied (ForbiddenException)
    "#]]
    .assert_eq(&cells(&ledger));
    expect![[r#"
        1 bucket from 1 of 1 account, in all regions
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
}

fn a_role_that_may_not_list_gives_way_to_the_next() {
    for effect in [Effect::Denied, Effect::DeniedByScp] {
        let world = world();
        let denied = Fault::new(effect).operation("ListBuckets").account(PROD).role("ReadOnlyAccess");
        world.simulator.fault(denied).expect("a fault");
        let (run, ledger) =
            world.with_ledger(&format!("{BUCKETS} --account {PROD} --role ReadOnlyAccess,TeamAudit"));
        assert_eq!(column(&run.ended(0).rows(), "role_name"), ["TeamAudit"]);
        assert_eq!(statuses(&ledger), "ok 1");
        let told = ledger[0]["error_message"].as_str().expect("who refused");
        assert!(told.starts_with("role `ReadOnlyAccess`: denied"), "{told}");
    }
}

fn where_every_role_is_refused_each_is_told() {
    let world = world();
    for role in ["ReadOnlyAccess", "TeamAudit"] {
        world.simulator.fault(refuse(PROD, role)).expect("a fault");
    }
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --role ReadOnlyAccess,TeamAudit"));
    let run = run.ended(4);
    assert_eq!(column(&run.rows(), "name"), ["hub-logs"]);
    expect![[r#"
        hub ReadOnlyAccess global: ok
        shop-prod ReadOnlyAccess global: denied (ForbiddenException): no access to role `ReadOnlyAccess` in account `222222222222`: it is not assigned, or its name is misspelt; role `TeamAudit`: denied (ForbiddenException)
        shop-dev ReadOnlyAccess global: denied (ForbiddenException): no access to role `ReadOnlyAccess` in account `333333333333`: it is not assigned, or its name is misspelt; role `TeamAudit`: denied (ForbiddenException)
    "#]].assert_eq(&cells(&ledger));
    expect![[r#"
        warning: no access in 2 of 3 accounts with role `ReadOnlyAccess`: `shop-prod` (222222222222), `shop-dev` (333333333333); 2 tasks denied (ForbiddenException)
        hint: see `~/coverage.json` for each of them
        1 bucket from 1 of the 3 accounts that this sign-in reaches, in all regions; 2 tasks denied: partial
    "#]].assert_eq(&world.said_of(&run.stderr));
}

fn who_names_no_role_gets_one_that_reads_only() {
    let world = world();
    let (run, ledger) = world.with_ledger(BUCKETS);
    let run = run.ended(4);
    assert_eq!(column(&run.rows(), "name"), ["hub-logs", "prod-a"]);
    assert_eq!(portal(&world, "ListAccountRoles"), 3);
    assert_eq!((asked_for(&world, HUB), asked_for(&world, DEV)), ("SecurityAudit".to_owned(), String::new()));
    expect![[r#"
        hub SecurityAudit global: ok
        shop-prod ReadOnlyAccess global: ok
        shop-dev - global: denied (NoMatchingRole): no role here is known to read only (`SecurityAudit,ReadOnlyAccess,ViewOnlyAccess,*ReadOnly*,*Audit*,View*`); there are: `AdministratorAccess`, `PowerUserAccess`
    "#]].assert_eq(&cells(&ledger));
    expect![[r#"
        warning: no role to take in 1 of 3 accounts: `shop-dev` (333333333333); 1 task denied: no role here is known to read only (`SecurityAudit,ReadOnlyAccess,ViewOnlyAccess,*ReadOnly*,*Audit*,View*`); there are: `AdministratorAccess`, `PowerUserAccess`
        hint: name one with `--role NAME`; `ssoinv roles --account 333333333333` shows those that you have there
        2 buckets from 2 of the 3 accounts that this sign-in reaches, in all regions; 1 task denied: partial
    "#]].assert_eq(&world.said_of(&run.stderr));
}

fn an_administrator_is_never_picked_by_itself() {
    let world = world();
    for role in ["SecurityAudit", "ReadOnlyAccess", "TeamAudit"] {
        world.simulator.fault(Fault::new(Effect::Forbidden403).role(role)).expect("a fault");
    }
    let (run, ledger) = world.with_ledger(BUCKETS);
    assert_eq!(run.ended(5).stdout, "[]\n");
    assert_eq!(statuses(&ledger), "denied 3");
    let asked: BTreeSet<String> = world
        .simulator
        .calls()
        .into_iter()
        .filter(|call| call.operation == "GetRoleCredentials")
        .map(|call| call.role)
        .collect();
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), ["ReadOnlyAccess", "SecurityAudit", "TeamAudit"]);
}

fn every_role_that_matches_keeps_its_rows() {
    let world = world();
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --role *Audit,ReadOnly* --every-role"));
    let rows = run.ended(4).rows();
    assert_eq!(column(&rows, "name"), ["hub-logs", "hub-logs", "prod-a", "prod-a"]);
    assert_eq!(
        column(&rows, "role_name"),
        ["SecurityAudit", "ReadOnlyAccess", "TeamAudit", "ReadOnlyAccess"]
    );
    expect![[r#"
        hub SecurityAudit global: ok
        hub ReadOnlyAccess global: ok
        shop-prod TeamAudit global: ok
        shop-prod ReadOnlyAccess global: ok
        shop-dev - global: denied (NoMatchingRole): no role here matches (`*Audit,ReadOnly*`); there are: `AdministratorAccess`, `PowerUserAccess`
    "#]].assert_eq(&cells(&ledger));
    // With plain names, too, it is each that the account has.
    let (run, ledger) = world.with_ledger(&format!(
        "{BUCKETS} --role SecurityAudit,ReadOnlyAccess --every-role --account hub,shop-prod"
    ));
    let rows = run.ended(0).rows();
    assert_eq!(column(&rows, "role_name"), ["SecurityAudit", "ReadOnlyAccess", "ReadOnlyAccess"]);
    assert_eq!(statuses(&ledger), "ok 3");
    // One that is refused has a cell of its own, and none stands in for it.
    world.simulator.fault(refuse(HUB, "SecurityAudit")).expect("a fault");
    let (run, ledger) =
        world.with_ledger(&format!("{BUCKETS} --role *Audit,ReadOnly* --every-role --account hub"));
    assert_eq!(column(&run.ended(4).rows(), "role_name"), ["ReadOnlyAccess"]);
    assert_eq!(statuses(&ledger), "denied 1, ok 1");
}

fn a_list_of_roles_that_is_refused_is_denied() {
    let world = world();
    let refused = Fault::new(Effect::Forbidden403).operation("ListAccountRoles").account(PROD);
    world.simulator.fault(refused.clone().times(1)).expect("a fault");
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --role *Audit --account hub,shop-prod"));
    run.ended(0);
    assert_eq!(statuses(&ledger), "ok 2", "asked once more");
    world.simulator.fault(refused).expect("a fault");
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --role *Audit --account hub,shop-prod"));
    run.ended(4);
    expect![[r#"
        hub SecurityAudit global: ok
        shop-prod - global: denied (ForbiddenException): No access
    "#]]
    .assert_eq(&cells(&ledger));
}

fn accounts_by_id_name_and_file() {
    let world = world();
    let file = world.home.path().join("accounts.csv");
    fs::write(&file, format!("name,account_id\nx,{DEV}\ny,{HUB}\n")).expect("written");
    let file = file.display();
    for (selection, expected) in [
        (format!("--account {PROD}"), &["prod-a"][..]),
        (format!("--account {PROD},hub"), &["hub-logs", "prod-a"]),
        ("--account shop-*".to_owned(), &["prod-a", "dev-a"]),
        ("--account SHOP-PROD".to_owned(), &["prod-a"]),
        (format!("--account {file}"), &["hub-logs", "dev-a"]),
        (format!("--exclude-account {HUB}"), &["prod-a", "dev-a"]),
        ("--exclude-account shop-*".to_owned(), &["hub-logs"]),
        (format!("--exclude-account {file}"), &["prod-a"]),
        ("--account shop-* --exclude-account *-dev".to_owned(), &["prod-a"]),
    ] {
        world.simulator.reset_counters();
        let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --role AdministratorAccess {selection}"));
        assert_eq!(column(&run.ended(0).rows(), "name"), expected, "{selection}");
        assert_eq!(ledger.len(), expected.len(), "{selection}");
        assert_eq!(portal(&world, "GetRoleCredentials"), expected.len() as u64, "nobody else is asked");
    }
}

fn an_account_that_is_not_offered_is_never_just_missing() {
    let world = world();
    let (run, ledger) = world.with_ledger("list aws_s3_bucket aws_ec2_instance --all-accounts --role AdministratorAccess --account hub,999999999999 \
         --region eu-west-1,us-east-1 --no-input -o json");
    let run = run.ended(4);
    expect![[r#"
        hub AdministratorAccess global: ok
         - global: not_offered (NotOffered): the sign-in to `corp` does not reach this account
        hub AdministratorAccess eu-west-1: ok
        hub AdministratorAccess us-east-1: ok
         - eu-west-1: not_offered (NotOffered): the sign-in to `corp` does not reach this account
         - us-east-1: not_offered (NotOffered): the sign-in to `corp` does not reach this account
    "#]]
    .assert_eq(&cells(&ledger));
    expect![[r#"
        warning: the sign-in does not reach 1 of 2 accounts: 999999999999; 3 tasks not offered
        hint: `ssoinv accounts` shows all that it reaches; an administrator assigns more
        1 bucket, 1 instance from 1 of 2 accounts, 2 regions each (from `--region`); 3 tasks not offered: partial
    "#]].assert_eq(&world.said_of(&run.stderr));
    let calls = world.simulator.calls();
    assert!(calls.iter().all(|call| call.account != "999999999999"), "nobody is asked for it");
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --account 999999999999"));
    run.ended(5);
    assert_eq!(statuses(&ledger), "not_offered 1");
}

fn eleven_digits_get_a_hint() {
    let world = world();
    let file = world.home.path().join("accounts.csv");
    fs::write(&file, "account_id\n222222222222\n11111111111\n").expect("written");
    for (selection, place) in [
        ("--account 11111111111".to_owned(), "--account".to_owned()),
        ("--exclude-account 11111111111".to_owned(), "--exclude-account".to_owned()),
        (format!("--account {}", file.display()), format!("{}:3", file.display())),
    ] {
        let run = world.run(&format!("{BUCKETS} {selection}")).ended(2);
        assert!(
            run.stderr.contains("`11111111111`") && run.stderr.contains("is not an account ID"),
            "{run:#?}"
        );
        assert!(run.stderr.contains(&place), "{run:#?}");
        run.said("write `011111111111`, twelve digits");
    }
    assert_eq!(world.simulator.calls(), [], "before anybody is asked");
}

fn a_name_that_nobody_has_is_told() {
    let world = world();
    let run = world.run(&format!("{BUCKETS} --account shop-pord")).ended(5);
    expect![[r#"
        error: no account of `corp` is named like `shop-pord`

        hint: did you mean `shop-prod`?
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
    assert_eq!(portal(&world, "GetRoleCredentials"), 0);
}

fn accounts_in_every_format() {
    let world = world();
    let told = |format: &str| world.run(&format!("accounts --no-input -o {format}")).ended(0).stdout;
    expect![[r#"
        account_id,account_name,email
        011111111111,hub,hub@example.com
        222222222222,shop-prod,prod@example.com
        333333333333,shop-dev,dev@example.com
    "#]]
    .assert_eq(&told("csv"));
    expect![[r#"
        [
        {"account_id":"011111111111","account_name":"hub","email":"hub@example.com"},
        {"account_id":"222222222222","account_name":"shop-prod","email":"prod@example.com"},
        {"account_id":"333333333333","account_name":"shop-dev","email":"dev@example.com"}
        ]
    "#]]
    .assert_eq(&told("json"));
    expect![[r#"
        {"account_id":"011111111111","account_name":"hub","email":"hub@example.com"}
        {"account_id":"222222222222","account_name":"shop-prod","email":"prod@example.com"}
        {"account_id":"333333333333","account_name":"shop-dev","email":"dev@example.com"}
    "#]]
    .assert_eq(&told("ndjson"));
    expect![[r#"
        account_id    account_name  email
        011111111111  hub           hub@example.com
        222222222222  shop-prod     prod@example.com
        333333333333  shop-dev      dev@example.com
    "#]]
    .assert_eq(&told("table"));
    let run =
        world.run("accounts --no-input -o csv --account shop-*,999999999999 --columns account_id").ended(4);
    assert_eq!(run.stdout, "account_id\n222222222222\n333333333333\n");
    run.said("the sign-in to `corp` does not reach account 999999999999");
    assert_eq!(portal(&world, "ListAccountRoles") + portal(&world, "GetRoleCredentials"), 0);
}

fn roles_in_every_format() {
    let world = world();
    let told =
        |format: &str| world.run(&format!("roles --no-input -o {format} --account shop-*")).ended(0).stdout;
    expect![[r#"
        account_id,account_name,email,role_name,error
        222222222222,shop-prod,prod@example.com,AdministratorAccess,
        222222222222,shop-prod,prod@example.com,ReadOnlyAccess,
        222222222222,shop-prod,prod@example.com,TeamAudit,
        333333333333,shop-dev,dev@example.com,AdministratorAccess,
        333333333333,shop-dev,dev@example.com,PowerUserAccess,
    "#]]
    .assert_eq(&told("csv"));
    expect![[r#"
        account_id    account_name  email             role_name            error
        222222222222  shop-prod     prod@example.com  AdministratorAccess  -
        222222222222  shop-prod     prod@example.com  ReadOnlyAccess       -
        222222222222  shop-prod     prod@example.com  TeamAudit            -
        333333333333  shop-dev      dev@example.com   AdministratorAccess  -
        333333333333  shop-dev      dev@example.com   PowerUserAccess      -
    "#]]
    .assert_eq(&told("table"));
    let rows: Vec<Value> = serde_json::from_str(&told("json")).expect("JSON");
    let lines: Vec<Value> =
        told("ndjson").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows, lines);
    assert_eq!(
        column(&rows, "role_name"),
        ["AdministratorAccess", "ReadOnlyAccess", "TeamAudit", "AdministratorAccess", "PowerUserAccess"]
    );
    assert_eq!(portal(&world, "GetRoleCredentials"), 0);
}

fn roles_that_cannot_be_listed_are_told() {
    let world = world();
    let refused = Fault::new(Effect::Forbidden403).operation("ListAccountRoles").account(PROD);
    world.simulator.fault(refused).expect("a fault");
    let run = world.run("roles --no-input -o csv --columns account_id,role_name,error").ended(4);
    expect![[r#"
        account_id,role_name,error
        011111111111,AdministratorAccess,
        011111111111,ReadOnlyAccess,
        011111111111,SecurityAudit,
        222222222222,,No access
        333333333333,AdministratorAccess,
        333333333333,PowerUserAccess,
    "#]]
    .assert_eq(&run.stdout);
    expect![[r#"
        warning: the roles of 222222222222 could not be listed: No access
        hint: the column `error` tells each; run it again
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
}

fn one_session_of_several_is_named() {
    let organisation =
        Organisation::from_spec(OrganisationSpec { accounts: 2, sessions: 2, ..OrganisationSpec::default() });
    let world = World::with(organisation, Options::default(), Token::Good);
    let run = world.run("buckets --all-accounts --role AdministratorAccess --no-input").ended(2);
    expect![[r#"
        error: there are 2 sign-ins to choose from
          `acme`
          `acme-2`

        hint: say which with `--sso-session NAME`
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
    for session in ["acme", "acme-2"] {
        let arguments = format!("accounts --sso-session {session} --no-input -o csv --columns account_id");
        assert_eq!(world.run(&arguments).ended(0).stdout.lines().count(), 2, "its own account alone");
    }
    let (run, ledger) = world
        .with_ledger("buckets --all-accounts --sso-session acme-2 --role AdministratorAccess --no-input");
    run.ended(0);
    assert_eq!(statuses(&ledger), "ok 1");
    let run = world.run("accounts --sso-session acmee --no-input").ended(2);
    expect![[r#"
        error: there is no sso-session `acmee`
          `acme`
          `acme-2`

        hint: did you mean `--sso-session acme`?
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
}

fn who_is_not_signed_in_is_told() {
    let world = world_with(Token::None);
    for command in ["accounts", "roles", "buckets --all-accounts"] {
        let run = world.run(&format!("{command} --no-input -o json")).ended(3);
        assert_eq!(run.stdout, "", "no list is no empty list");
        run.said("error: ").said("hint: run `ssoinv login");
    }
    let run = world.run("accounts --no-input").ended(3);
    expect![[r#"
        error: not signed in to sso-session `corp`

        hint: run `ssoinv login --sso-session corp`, then the same command again
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
}

const OF_SIX: &str = "list aws_s3_bucket aws_ec2_instance --all-accounts --role *Admin* --region us-east-1 \
                      --no-credential-cache --no-input -o ndjson";

fn a_token_that_ends_anywhere_is_refreshed_once() {
    // ListAccounts, then two calls an account.
    for end in [1, 2, 3, 7, 12, 13] {
        let world = World::with(seeded(6), Options::default(), Token::Good);
        let whole = world.run(OF_SIX).ended(0);
        world.simulator.reset_counters();
        world.control(Control::EndTokensAfter { session: None, calls: end, times: 1 });
        let (run, ledger) = world.with_ledger(OF_SIX);
        let run = run.ended(0);
        assert_eq!(run.stdout, whole.stdout, "the same bytes, though the token ended with call {end}");
        assert_eq!(run.stderr, whole.stderr, "nothing to be told");
        assert_eq!(statuses(&ledger), "ok 12");
        assert_eq!(world.simulator.count(Service::OIDC, "CreateToken"), 1, "one refresh for all");
    }
}

fn a_token_that_cannot_be_refreshed_leaves_no_account_out() {
    for end in [2, 7, 13] {
        let world = World::with(seeded(6), Options::default(), Token::WithoutRefresh);
        world.control(Control::EndTokensAfter { session: None, calls: end, times: 1 });
        let (run, ledger) = world.with_ledger(OF_SIX);
        let run = run.ended(3);
        let accounts: BTreeSet<&str> = column(&ledger, "account_id").into_iter().collect();
        assert_eq!(accounts.len(), 6, "{ledger:#?}");
        assert_eq!(ledger.len(), 12, "each task of each account");
        let (ended, ok): (Vec<&Value>, Vec<&Value>) =
            ledger.iter().partition(|cell| cell["status"] == "sign_in_expired");
        assert!(ok.iter().all(|cell| cell["status"] == "ok"), "{ledger:#?}");
        assert!(!ended.is_empty());
        let rows: u64 = ok.iter().filter_map(|cell| cell["rows"].as_u64()).sum();
        assert_eq!(run.stdout.lines().count() as u64, rows, "all that was collected is written");
        run.said("without a sign-in");
    }
}

/// More accounts than a page of the portal's holds.
fn three_pages() -> World {
    World::with(seeded(250), Options::default(), Token::Good).variable("AWS_MAX_ATTEMPTS", "1")
}

fn half_a_list_of_accounts_is_none() {
    let world = three_pages();
    for effect in [
        Effect::ServerError(500),
        Effect::Reset,
        Effect::TruncateBody,
        Effect::Garbage,
        Effect::EmptyBody,
        Effect::Forbidden403,
    ] {
        world.simulator.clear_faults();
        let broken = Fault::new(effect.clone()).operation("ListAccounts").skip(1);
        world.simulator.fault(broken).expect("a fault");
        let run = world
            .run("accounts --no-input -o json")
            .ended(5)
            .said("error: cannot list the accounts of `acme`: ");
        assert_eq!(run.stdout, "", "{effect:?}");
        world.simulator.clear_faults();
        let broken = Fault::new(effect.clone()).operation("ListAccounts").skip(1);
        world.simulator.fault(broken).expect("a fault");
        let run = world.run(&format!("{BUCKETS} --role AdministratorAccess")).ended(5);
        assert_eq!(run.stdout, "", "{effect:?}: a part would look like the whole");
    }
    assert_eq!(portal(&world, "GetRoleCredentials"), 0);
}

fn every_page_of_accounts_counts() {
    let world = three_pages();
    let run = world.run("accounts --no-input -o csv --columns account_id --no-header").ended(0);
    let listed: Vec<&str> = run.stdout.lines().collect();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!((listed.len(), &listed), (250, &sorted), "each once, in order");
    assert_eq!(portal(&world, "ListAccounts"), 3);
}

/// The regions that are enabled in `account`, but for those that an account must opt into.
fn all_but(left_out: &[&str]) -> BTreeSet<String> {
    let enabled = [
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "eu-central-1",
        "eu-north-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    ];
    enabled.into_iter().filter(|region| !left_out.contains(region)).map(str::to_owned).collect()
}

fn all_regions_are_the_enabled_ones() {
    for selection in [
        "--all-accounts --role AdministratorAccess",
        "--all-accounts --role AdministratorAccess --region all",
        "--all-profiles --region all",
    ] {
        let world = world();
        world.control(Control::Region {
            account: HUB.to_owned(),
            region: "af-south-1".to_owned(),
            enabled: true,
        });
        let (run, ledger) = world.with_ledger(&format!("instances {selection} --no-input -o json"));
        let run = run.ended(0);
        assert_eq!(column(&run.rows(), "title"), ["bastion", "web"], "{selection}");
        let mut expected = BTreeMap::from([
            (HUB.to_owned(), all_but(&[])),
            (PROD.to_owned(), all_but(&[])),
            (DEV.to_owned(), all_but(&["eu-west-3"])),
        ]);
        expected.get_mut(HUB).expect("it is there").insert("af-south-1".to_owned());
        assert_eq!(regions_asked(&world), expected, "{selection}");
        assert_eq!(statuses(&ledger), format!("ok {}", 18 + 17 + 16), "{selection}");
        assert_eq!(world.simulator.count(Service::EC2, "DescribeRegions"), 3, "once an account");
    }
}

fn regions_by_glob_are_the_enabled_ones_of_each_account() {
    for selection in ["--all-accounts --role AdministratorAccess", "--all-profiles"] {
        let world = world();
        let (run, ledger) =
            world.with_ledger(&format!("instances {selection} --region eu-*,us-east-1 --no-input -o json"));
        assert_eq!(column(&run.ended(0).rows(), "title"), ["bastion", "web"], "{selection}");
        let european = |region: &String| region.starts_with("eu-") || region == "us-east-1";
        let of = |left_out: &[&str]| all_but(left_out).into_iter().filter(european).collect::<BTreeSet<_>>();
        let expected = BTreeMap::from([
            (HUB.to_owned(), of(&[])),
            (PROD.to_owned(), of(&[])),
            (DEV.to_owned(), of(&["eu-west-3"])),
        ]);
        assert_eq!(regions_asked(&world), expected, "{selection}");
        assert_eq!(statuses(&ledger), "ok 17", "{selection}");
    }
}

fn a_glob_that_no_enabled_region_matches_is_skipped() {
    for selection in ["--all-accounts --role AdministratorAccess", "--all-profiles"] {
        let world = world();
        world.control(Control::Region {
            account: HUB.to_owned(),
            region: "af-south-1".to_owned(),
            enabled: true,
        });
        let (run, ledger) =
            world.with_ledger(&format!("instances {selection} --region af-* --no-input -o json"));
        run.ended(0);
        let told: Vec<String> = ledger
            .iter()
            .map(|cell| {
                let text = |name: &str| cell[name].as_str().unwrap_or_default().to_owned();
                format!(
                    "{} {}: {} {}",
                    text("account_name"),
                    text("region"),
                    text("status"),
                    text("error_message")
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "hub af-south-1: ok ",
                "shop-prod : skipped no region that is enabled in the account matches `af-*`",
                "shop-dev : skipped no region that is enabled in the account matches `af-*`"
            ]
        );
    }
}

fn regions_that_cannot_be_asked_are_told_once_for_all_accounts() {
    let world = World::seeded(12);
    world.simulator.fault(Fault::new(Effect::Denied).operation("DescribeRegions")).expect("a fault");
    let arguments = "instances --all-accounts --role AdministratorAccess --region us-* --no-input -o json";
    let (run, ledger) = world.with_ledger(arguments);
    let run = run.ended(0);
    assert_eq!(statuses(&ledger), format!("ok {}", 12 * 4), "the regions that this version knows");
    let without_account = |run: &Run| {
        let said = world.said_of(&run.stderr);
        let (before, rest) = said.split_once("You are not authorized").expect("why");
        let (_, after) = rest.split_once("ec2:DescribeRegions action").expect("what");
        format!("{before}…{after}")
    };
    expect![[r#"
        warning: which regions are enabled could not be asked in 12 accounts: `mobile-staging-00009` (024309237701), `data-staging-00001` (080037327709) and 10 more: … (UnauthorizedOperation)
        hint: allow `ec2:DescribeRegions`; where it is denied, every region that may be meant is asked, enabled or not
        120 instances from 12 of the 12 accounts that this sign-in reaches, 4 regions each (from `--region`)
    "#]].assert_eq(&without_account(&run));
    let run = world.run(&format!("{arguments} -v")).ended(0);
    assert_eq!(run.stderr.matches("warning: which regions").count(), 1, "{run:#?}");
    let warning = run.stderr.lines().find(|line| line.contains("which regions")).expect("a warning");
    for index in 0..12 {
        assert!(
            warning.contains(&world.simulator.organisation().account(index).id),
            "-v names all: {warning}"
        );
    }
}

fn regions_that_are_not_enabled_are_never_empty_and_cost_no_new_credentials() {
    let world = World::seeded(3);
    world.simulator.fault(Fault::new(Effect::Denied).operation("DescribeRegions")).expect("a fault");
    let arguments = "list aws_ec2_instance aws_lambda_function --all-accounts --role AdministratorAccess \
                     --no-credential-cache --no-input -o json";
    let (run, ledger) = world.with_ledger(arguments);
    let run = run.ended(4);
    // Of those that this version knows 17 need an opt-in, which no account has given.
    assert_eq!(statuses(&ledger), format!("failed {}, ok {}", 3 * 2 * 17, 3 * 2 * 17));
    assert_eq!(portal(&world, "GetRoleCredentials"), 3, "the credentials are good");
    let failed = ledger.iter().filter(|cell| cell["status"] == "failed");
    assert!(failed.clone().all(|cell| cell["calls"] == 1), "{ledger:#?}");
    let regions: BTreeSet<&str> = failed.filter_map(|cell| cell["region"].as_str()).collect();
    assert!(regions.contains("af-south-1") && all_but(&[]).iter().all(|region| !regions.contains(&**region)));
    run.said("warning: which regions are enabled could not be asked in 3 accounts: ")
        .said("51 tasks failed in ")
        .said("`ec2:DescribeRegions`, which would tell, is denied (AuthFailure)");
}

fn a_named_region_needs_no_question() {
    let world = world();
    let (run, ledger) =
        world.with_ledger(&format!("{INSTANCES} --role AdministratorAccess --region eu-west-1,us-east-1"));
    run.ended(0);
    assert_eq!(statuses(&ledger), "ok 6");
    assert_eq!(world.simulator.count(Service::EC2, "DescribeRegions"), 0);
}
