//! What goes wrong at AWS: each failure is one account's, stands in the ledger as what it is, and no row of another
//! account is missing or there twice.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes the snapshots so")]

use std::collections::BTreeMap;

use expect_test::expect;
use serde_json::Value;
use ssoinv_sim::{
    Control, Effect, Fault, Options, Organisation, OrganisationSpec, RetryHeader, Service, Token,
};

use crate::support::{Impostor, Run, World, column, seeded, statuses};
use crate::tests;

tests![
    denied_by_the_portal_and_by_services,
    denied_by_a_service_control_policy,
    a_disabled_region_is_complete,
    buckets_are_listed_though_the_profiles_region_is_disabled,
    an_auth_failure_in_an_enabled_region_is_no_disabled_region,
    an_auth_failure_is_not_explained_where_describe_regions_is_denied,
    throttling_that_ends_costs_nothing,
    throttling_that_does_not_end,
    throttling_of_the_whole_portal_is_no_reason_to_sign_in,
    retry_after_is_kept,
    a_pause_beyond_the_retry_time_is_not_waited_for,
    server_errors_that_end_cost_nothing,
    server_errors_that_do_not_end,
    pages_of_a_gateway_for_an_answer,
    resets_that_end_cost_nothing,
    resets_that_do_not_end,
    answers_that_are_cut_off_are_no_empty_lists,
    garbage_for_an_answer_is_no_empty_list,
    an_empty_body_is_no_empty_list,
    a_web_page_for_an_answer_is_no_empty_list,
    half_an_answer_of_the_right_length_is_no_short_list,
    a_hung_endpoint_is_unreachable,
    a_closed_port_is_unreachable,
    an_empty_page_is_not_the_last,
    pages_that_lead_nowhere_end,
    every_page_of_every_service_once,
    when_every_task_failed,
    a_clock_that_is_off_is_told_as_such,
    each_cell_with_calls_names_its_caller,
    a_region_that_is_denied_is_no_denied_account,
    bucket_lists_do_not_depend_on_the_environment,
];

const EVERYTHING: &str = "list aws_s3_bucket aws_ec2_instance aws_lambda_function --all-profiles -o ndjson";

/// The regional tables.
const IN_TWO_REGIONS: &str =
    "list aws_ec2_instance aws_lambda_function --all-profiles --region us-east-1,eu-west-1 -o ndjson";

/// The list call of each service.
const LIST_CALLS: [&str; 3] = ["ListBuckets", "DescribeInstances", "ListFunctions"];

/// Five accounts. In the first three one list call each goes wrong, in the fourth the portal; the last is sound.
fn one_wrong_in_each(fault: impl Fn(Fault) -> Fault, effect: &Effect) -> World {
    let world = World::seeded(5);
    for (index, operation) in LIST_CALLS.into_iter().chain(["GetRoleCredentials"]).enumerate() {
        let id = world.simulator.organisation().account(index).id;
        let wrong = Fault::new(effect.clone()).operation(operation).account(&id);
        world.simulator.fault(fault(wrong)).expect("a fault");
    }
    world.variable("AWS_MAX_ATTEMPTS", "2")
}

/// Five accounts. In the first three one list call each goes wrong, for ever; the others are sound.
fn one_service_wrong_in_each(effect: &Effect) -> World {
    let world = World::seeded(5);
    for (index, operation) in LIST_CALLS.into_iter().enumerate() {
        let id = world.simulator.organisation().account(index).id;
        world.simulator.fault(Fault::new(effect.clone()).operation(operation).account(&id)).expect("a fault");
    }
    world.variable("AWS_MAX_ATTEMPTS", "2")
}

/// The fault is there to stay.
fn for_ever(fault: Fault) -> Fault {
    fault
}

fn throttle(retry_after: Option<u32>, header: RetryHeader) -> Effect {
    Effect::Throttle { retry_after, header }
}

/// Lists, and checks that the rows are those which the ledger says are there, each once.
#[track_caller]
pub(crate) fn look(world: &World, arguments: &str) -> (Run, Vec<Value>) {
    let (run, ledger) = world.with_ledger(arguments);
    looked_at(world, &run, &ledger);
    (run, ledger)
}

/// Checks that the rows are those which the ledger says are there, each once.
#[track_caller]
pub(crate) fn looked_at(world: &World, run: &Run, ledger: &[Value]) {
    let mut found: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for line in run.stdout.lines() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let table = text("table");
        let (region, name) = match table.as_str() {
            "aws_s3_bucket" => ("global".to_owned(), text("name")),
            "aws_ec2_instance" => (text("region"), text("instance_id")),
            _ => (text("region"), text("name")),
        };
        found.entry((text("account_id"), table, region)).or_default().push(name);
    }
    let organisation = world.simulator.organisation();
    for cell in ledger {
        let text = |name: &str| cell[name].as_str().unwrap_or_default().to_owned();
        let key = (text("account_id"), text("table"), text("region"));
        let mut names = found.remove(&key).unwrap_or_default();
        if text("status") != "ok" {
            assert!(names.is_empty(), "rows of a task that failed: {cell}");
            continue;
        }
        let account = organisation.find(&key.0).expect("an account");
        let mut expected: Vec<String> = match key.1.as_str() {
            "aws_s3_bucket" => (0..organisation.bucket_count(account))
                .map(|n| organisation.bucket(account, n).name)
                .collect(),
            "aws_ec2_instance" => (0..organisation.instance_count(account, &key.2))
                .map(|n| organisation.instance(account, &key.2, n).id)
                .collect(),
            _ => (0..organisation.function_count(account, &key.2))
                .map(|n| organisation.function(account, &key.2, n).name)
                .collect(),
        };
        names.sort();
        expected.sort();
        assert_eq!(names, expected, "{key:?}");
        assert_eq!(cell["rows"], expected.len(), "{cell}");
    }
    assert!(found.is_empty(), "rows that no cell tells of: {:?}", found.keys());
}

/// What isn't `ok` in a ledger, a line a cell.
fn troubles(ledger: &[Value]) -> String {
    let mut lines = String::new();
    for cell in ledger.iter().filter(|cell| cell["status"] != "ok") {
        let text = |name: &str| cell[name].as_str().unwrap_or_default();
        let (account, table, region) = (text("account_name"), text("table"), text("region"));
        let (status, code, calls) = (text("status"), text("error_code"), &cell["calls"]);
        lines += &format!("{account} {table} {region}: {status} ({code}), {calls} calls\n");
    }
    lines
}

/// The exit code, the troubles and what is said, as one text.
fn told(world: &World, (run, ledger): &(Run, Vec<Value>)) -> String {
    format!("exit {}\n{}\n{}", run.code.expect("an exit code"), troubles(ledger), world.said_of(&run.stderr))
}

fn denied_by_the_portal_and_by_services() {
    let world = one_wrong_in_each(for_ever, &Effect::Denied);
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: denied (AccessDenied), 1 calls
        mobile-dev-00003 aws_s3_bucket global: denied (ForbiddenException), 0 calls
        data-staging-00001 aws_ec2_instance us-east-1: denied (UnauthorizedOperation), 1 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: denied (ForbiddenException), 0 calls
        fraud-dev-00002 aws_lambda_function us-east-1: denied (AccessDeniedException), 1 calls
        mobile-dev-00003 aws_lambda_function us-east-1: denied (ForbiddenException), 0 calls

        warning: no access in 4 of 5 accounts with role `AdministratorAccess`: `fraud-staging-00000` (462003338960), `mobile-dev-00003` (316105305207) and 2 more; 6 tasks denied (AccessDenied, ForbiddenException, UnauthorizedOperation, AccessDeniedException)
        hint: see `~/coverage.json` for each of them
        9 buckets, 15 instances, 9 functions from 4 of 5 accounts, 1 region each (from the profiles); 6 tasks denied: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn denied_by_a_service_control_policy() {
    let world = one_service_wrong_in_each(&Effect::DeniedByScp);
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: denied_by_scp (AccessDenied), 1 calls
        data-staging-00001 aws_ec2_instance us-east-1: denied_by_scp (UnauthorizedOperation), 1 calls
        fraud-dev-00002 aws_lambda_function us-east-1: denied_by_scp (AccessDeniedException), 1 calls

        warning: a service control policy denies access in 3 of 5 accounts: `fraud-staging-00000` (462003338960), `data-staging-00001` (080037327709) and 1 more; 3 tasks denied
        hint: see `~/coverage.json` for each of them
        12 buckets, 20 instances, 12 functions from 5 of 5 accounts, 1 region each (from the profiles); 3 tasks denied by scp: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn a_disabled_region_is_complete() {
    let world = World::seeded(3);
    let account = world.simulator.organisation().account(1).id;
    world.control(Control::Region { account, region: "eu-west-1".to_owned(), enabled: false });
    let looked = look(&world, IN_TWO_REGIONS);
    expect![[r#"
        exit 0
        data-staging-00001 aws_ec2_instance eu-west-1: region_disabled (AuthFailure), 1 calls
        data-staging-00001 aws_lambda_function eu-west-1: region_disabled (UnrecognizedClientException), 1 calls

        region `eu-west-1` is not enabled in 1 account: `data-staging-00001` (080037327709)
        25 instances, 15 functions from 3 of 3 accounts, 2 regions each (from `--region`)
    "#]].assert_eq(&told(&world, &looked));
    assert_eq!(world.simulator.count(Service::EC2, "DescribeRegions"), 1, "asked once an account");
}

fn buckets_are_listed_though_the_profiles_region_is_disabled() {
    let world = World::without_home(seeded(2), Options::default());
    world
        .simulator
        .home()
        .region(Some("eu-west-1"))
        .token(Token::Good)
        .write(world.home.path())
        .expect("a home");
    let account = world.simulator.organisation().account(1).id;
    world.control(Control::Region { account, region: "eu-west-1".to_owned(), enabled: false });
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 0
        data-staging-00001 aws_ec2_instance eu-west-1: region_disabled (AuthFailure), 1 calls
        data-staging-00001 aws_lambda_function eu-west-1: region_disabled (UnrecognizedClientException), 1 calls

        region `eu-west-1` is not enabled in 1 account: `data-staging-00001` (080037327709)
        6 buckets, 5 instances, 3 functions from 2 of 2 accounts, 1 region each (from the profiles)
    "#]].assert_eq(&told(&world, &looked));
}

fn an_auth_failure_in_an_enabled_region_is_no_disabled_region() {
    let world = one_service_wrong_in_each(&Effect::Unauthorized401);
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: denied (InvalidAccessKeyId), 3 calls
        data-staging-00001 aws_ec2_instance us-east-1: denied (AuthFailure), 3 calls
        fraud-dev-00002 aws_lambda_function us-east-1: denied (UnrecognizedClientException), 3 calls

        warning: no access in 3 of 5 accounts with role `AdministratorAccess`: `fraud-staging-00000` (462003338960), `data-staging-00001` (080037327709) and 1 more; 3 tasks denied (InvalidAccessKeyId, AuthFailure, UnrecognizedClientException)
        hint: see `~/coverage.json` for each of them
        12 buckets, 20 instances, 12 functions from 5 of 5 accounts, 1 region each (from the profiles); 3 tasks denied: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn an_auth_failure_is_not_explained_where_describe_regions_is_denied() {
    let world = World::seeded(2);
    let account = world.simulator.organisation().account(1).id;
    world.simulator.fault(Fault::new(Effect::Denied).operation("DescribeRegions")).expect("a fault");
    world.control(Control::Region { account, region: "eu-west-1".to_owned(), enabled: false });
    let looked = look(&world, IN_TWO_REGIONS);
    expect![[r#"
        exit 4
        data-staging-00001 aws_ec2_instance eu-west-1: failed (AuthFailure), 1 calls
        data-staging-00001 aws_lambda_function eu-west-1: failed (UnrecognizedClientException), 1 calls

        warning: which regions are enabled could not be asked in 1 account: `data-staging-00001` (080037327709): You are not authorized to perform this operation. User: arn:aws:sts::080037327709:assumed-role/AWSReservedSSO_AdministratorAccess_69666baccdc5d99a/alex.example is not authorized to perform: ec2:DescribeRegions because no identity-based policy allows the ec2:DescribeRegions action (UnauthorizedOperation)
        hint: allow `ec2:DescribeRegions`; where it is denied, every region that may be meant is asked, enabled or not
        warning: 1 task failed in `data-staging-00001` (080037327709): region `eu-west-1` refuses credentials that another region accepts, as a region that is not enabled does; `ec2:DescribeRegions`, which would tell, is denied (AuthFailure)
        warning: 1 task failed in `data-staging-00001` (080037327709): region `eu-west-1` refuses credentials that another region accepts, as a region that is not enabled does; `ec2:DescribeRegions`, which would tell, is denied (UnrecognizedClientException)
        hint: see `~/coverage.json` for each of them
        15 instances, 9 functions from 2 of 2 accounts, 2 regions each (from `--region`); 2 tasks failed: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn throttling_that_ends_costs_nothing() {
    for effect in [throttle(None, RetryHeader::RetryAfter), Effect::TooMany429] {
        let world = one_wrong_in_each(|fault| fault.times(2), &effect);
        let (run, ledger) = look(&world, EVERYTHING);
        let run = run.ended(0);
        assert_eq!(statuses(&ledger), "ok 15", "{run:#?}");
        // Of the tasks whose own call was throttled: the portal's calls are no table's.
        let retries: u64 = ledger.iter().filter_map(|cell| cell["retries"].as_u64()).sum();
        assert_eq!(retries, 6, "{ledger:#?}");
        let said = world.said_of(&run.stderr);
        expect![[r#"
            15 buckets, 25 instances, 15 functions from 5 of 5 accounts, 1 region each (from the profiles)
        "#]]
        .assert_eq(&said);
    }
}

fn throttling_that_does_not_end() {
    let world = one_wrong_in_each(for_ever, &throttle(None, RetryHeader::RetryAfter));
    let looked = look(&world, &format!("{EVERYTHING} --retry-time 250ms"));
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: throttled (SlowDown), 2 calls
        mobile-dev-00003 aws_s3_bucket global: throttled (TooManyRequestsException), 0 calls
        data-staging-00001 aws_ec2_instance us-east-1: throttled (RequestLimitExceeded), 2 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: throttled (TooManyRequestsException), 0 calls
        fraud-dev-00002 aws_lambda_function us-east-1: throttled (TooManyRequestsException), 2 calls
        mobile-dev-00003 aws_lambda_function us-east-1: throttled (TooManyRequestsException), 0 calls

        warning: AWS throttled calls in 4 of 5 accounts: `fraud-staging-00000` (462003338960), `mobile-dev-00003` (316105305207) and 2 more; 6 tasks throttled
        hint: give it more time with `--retry-time 15m`, or ask less at once with `--concurrency 16`
        9 buckets, 15 instances, 9 functions from 4 of 5 accounts, 1 region each (from the profiles); 6 tasks throttled: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn throttling_of_the_whole_portal_is_no_reason_to_sign_in() {
    let world = World::seeded(2);
    world.simulator.fault(Fault::new(Effect::TooMany429).service(Service::PORTAL)).expect("a fault");
    let looked = look(&world, &format!("{EVERYTHING} --retry-time 250ms"));
    expect![[r#"
        exit 5
         aws_s3_bucket global: throttled (HTTP429), 0 calls
         aws_s3_bucket global: throttled (HTTP429), 0 calls
         aws_ec2_instance us-east-1: throttled (HTTP429), 0 calls
         aws_ec2_instance us-east-1: throttled (HTTP429), 0 calls
         aws_lambda_function us-east-1: throttled (HTTP429), 0 calls
         aws_lambda_function us-east-1: throttled (HTTP429), 0 calls

        warning: the accounts of `acme` have no names here: status 429 (throttled 2 times)
        warning: AWS throttled calls in 2 of 2 accounts: 462003338960, 080037327709; 6 tasks throttled
        hint: give it more time with `--retry-time 15m`, or ask less at once with `--concurrency 16`
        0 buckets, 0 instances, 0 functions from 0 of 2 accounts, 1 region each (from the profiles); 6 tasks throttled: partial
    "#]].assert_eq(&told(&world, &looked));
    assert!(world.simulator.counts().iter().all(|count| count.service == Service::PORTAL));
}

fn retry_after_is_kept() {
    for header in [RetryHeader::RetryAfter, RetryHeader::AmzRetryAfter] {
        let world = one_wrong_in_each(|fault| fault.times(1), &throttle(Some(1), header));
        let (run, ledger) = look(&world, &format!("{EVERYTHING} -vv"));
        let run = run.ended(0);
        assert_eq!(statuses(&ledger), "ok 15");
        let mut pauses: Vec<&str> = run
            .stderr
            .lines()
            .filter_map(|line| line.split_once(": tries again in ").map(|(_, pause)| pause))
            .collect();
        pauses.sort_unstable();
        expect![[r#"
            1000 ms: HTTP 429 Unknown Code (TooManyRequestsException)
            1000 ms: Please reduce your request rate. (SlowDown)
            1000 ms: Rate exceeded (TooManyRequestsException)
            1000 ms: Request limit exceeded. (RequestLimitExceeded)"#]]
        .assert_eq(&pauses.join("\n"));
    }
}

fn a_pause_beyond_the_retry_time_is_not_waited_for() {
    let world = one_service_wrong_in_each(&throttle(Some(60), RetryHeader::RetryAfter));
    let (run, ledger) = look(&world, &format!("{EVERYTHING} --retry-time 30s"));
    run.ended(4);
    expect![[r#"
        fraud-staging-00000 aws_s3_bucket global: throttled (SlowDown), 1 calls
        data-staging-00001 aws_ec2_instance us-east-1: throttled (RequestLimitExceeded), 1 calls
        fraud-dev-00002 aws_lambda_function us-east-1: throttled (TooManyRequestsException), 1 calls
    "#]]
    .assert_eq(&troubles(&ledger));
}

fn server_errors_that_end_cost_nothing() {
    for status in [500, 502, 503, 504] {
        let world = one_wrong_in_each(|fault| fault.times(1), &Effect::ServerError(status));
        let (run, ledger) = look(&world, EVERYTHING);
        run.ended(0);
        assert_eq!(statuses(&ledger), "ok 15", "{status}");
    }
}

fn server_errors_that_do_not_end() {
    let world = one_wrong_in_each(for_ever, &Effect::ServerError(503));
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: failed (ServiceUnavailable), 2 calls
        mobile-dev-00003 aws_s3_bucket global: failed (ServiceUnavailableException), 0 calls
        data-staging-00001 aws_ec2_instance us-east-1: failed (Unavailable), 2 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: failed (ServiceUnavailableException), 0 calls
        fraud-dev-00002 aws_lambda_function us-east-1: failed (ServiceUnavailableException), 2 calls
        mobile-dev-00003 aws_lambda_function us-east-1: failed (ServiceUnavailableException), 0 calls

        warning: 1 task failed in `fraud-staging-00000` (462003338960): The service is unavailable. Please try again shortly. (2 attempts) (ServiceUnavailable)
        warning: 4 tasks failed in `mobile-dev-00003` (316105305207), `fraud-dev-00002` (698071316458): The service is unavailable. Please try again shortly. (2 attempts) (ServiceUnavailableException)
        warning: 1 task failed in `data-staging-00001` (080037327709): The service is unavailable. Please try again shortly. (2 attempts) (Unavailable)
        hint: see `~/coverage.json` for each of them
        9 buckets, 15 instances, 9 functions from 4 of 5 accounts, 1 region each (from the profiles); 6 tasks failed: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn pages_of_a_gateway_for_an_answer() {
    let world = one_wrong_in_each(for_ever, &Effect::ServerError(502));
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: failed (HTTP502), 2 calls
        mobile-dev-00003 aws_s3_bucket global: failed (HTTP502), 0 calls
        data-staging-00001 aws_ec2_instance us-east-1: failed (HTTP502), 2 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: failed (HTTP502), 0 calls
        fraud-dev-00002 aws_lambda_function us-east-1: failed (HTTP502), 2 calls
        mobile-dev-00003 aws_lambda_function us-east-1: failed (HTTP502), 0 calls

        warning: 6 tasks failed in `fraud-staging-00000` (462003338960), `mobile-dev-00003` (316105305207) and 2 more: status 502 (2 attempts) (HTTP502)
        hint: see `~/coverage.json` for each of them
        9 buckets, 15 instances, 9 functions from 4 of 5 accounts, 1 region each (from the profiles); 6 tasks failed: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn resets_that_end_cost_nothing() {
    let world = one_wrong_in_each(|fault| fault.times(1), &Effect::Reset);
    let (run, ledger) = look(&world, EVERYTHING);
    run.ended(0);
    assert_eq!(statuses(&ledger), "ok 15");
}

fn resets_that_do_not_end() {
    let world = one_wrong_in_each(for_ever, &Effect::Reset);
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: failed (ConnectionLost), 2 calls
        mobile-dev-00003 aws_s3_bucket global: failed (ConnectionLost), 0 calls
        data-staging-00001 aws_ec2_instance us-east-1: failed (ConnectionLost), 2 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: failed (ConnectionLost), 0 calls
        fraud-dev-00002 aws_lambda_function us-east-1: failed (ConnectionLost), 2 calls
        mobile-dev-00003 aws_lambda_function us-east-1: failed (ConnectionLost), 0 calls

        warning: 6 tasks failed in `fraud-staging-00000` (462003338960), `mobile-dev-00003` (316105305207) and 2 more: connection error: Connection reset by peer (os error 104) (2 attempts) (ConnectionLost)
        hint: see `~/coverage.json` for each of them
        9 buckets, 15 instances, 9 functions from 4 of 5 accounts, 1 region each (from the profiles); 6 tasks failed: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn answers_that_are_cut_off_are_no_empty_lists() {
    let world = one_wrong_in_each(for_ever, &Effect::TruncateBody);
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: failed (ConnectionLost), 2 calls
        mobile-dev-00003 aws_s3_bucket global: failed (ConnectionLost), 0 calls
        data-staging-00001 aws_ec2_instance us-east-1: failed (ConnectionLost), 2 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: failed (ConnectionLost), 0 calls
        fraud-dev-00002 aws_lambda_function us-east-1: failed (ConnectionLost), 2 calls
        mobile-dev-00003 aws_lambda_function us-east-1: failed (ConnectionLost), 0 calls

        warning: 6 tasks failed in `fraud-staging-00000` (462003338960), `mobile-dev-00003` (316105305207) and 2 more: error reading a body from connection: end of file before message length reached (2 attempts) (ConnectionLost)
        hint: see `~/coverage.json` for each of them
        9 buckets, 15 instances, 9 functions from 4 of 5 accounts, 1 region each (from the profiles); 6 tasks failed: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn garbage_for_an_answer_is_no_empty_list() {
    let world = one_wrong_in_each(for_ever, &Effect::Garbage);
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: failed (InvalidResponse), 2 calls
        mobile-dev-00003 aws_s3_bucket global: failed (InvalidResponse), 0 calls
        data-staging-00001 aws_ec2_instance us-east-1: failed (InvalidResponse), 2 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: failed (InvalidResponse), 0 calls
        fraud-dev-00002 aws_lambda_function us-east-1: failed (InvalidResponse), 2 calls
        mobile-dev-00003 aws_lambda_function us-east-1: failed (InvalidResponse), 0 calls

        warning: 6 tasks failed in `fraud-staging-00000` (462003338960), `mobile-dev-00003` (316105305207) and 2 more: status 200 with a response that isn't the service's: 41 bytes of application/octet-stream (2 attempts) (InvalidResponse)
        hint: see `~/coverage.json` for each of them
        9 buckets, 15 instances, 9 functions from 4 of 5 accounts, 1 region each (from the profiles); 6 tasks failed: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn an_empty_body_is_no_empty_list() {
    let world = one_wrong_in_each(for_ever, &Effect::EmptyBody);
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: failed (InvalidResponse), 2 calls
        mobile-dev-00003 aws_s3_bucket global: failed (InvalidResponse), 0 calls
        data-staging-00001 aws_ec2_instance us-east-1: failed (InvalidResponse), 2 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: failed (InvalidResponse), 0 calls
        fraud-dev-00002 aws_lambda_function us-east-1: failed (InvalidResponse), 2 calls
        mobile-dev-00003 aws_lambda_function us-east-1: failed (InvalidResponse), 0 calls

        warning: 6 tasks failed in `fraud-staging-00000` (462003338960), `mobile-dev-00003` (316105305207) and 2 more: status 200 with a response that isn't the service's: it is empty (2 attempts) (InvalidResponse)
        hint: see `~/coverage.json` for each of them
        9 buckets, 15 instances, 9 functions from 4 of 5 accounts, 1 region each (from the profiles); 6 tasks failed: partial
    "#]].assert_eq(&told(&world, &looked));
}

/// Three sound accounts, and a fourth whose services are somebody else's server.
fn with_impostor(url: &str) -> World {
    let world = World::without_home(seeded(4), Options::default());
    let organisation = world.simulator.organisation();
    let sound = [0, 1, 2].map(|index| organisation.account(index).id);
    let profile = format!(
        "[profile odd]\nsso_session = acme\nsso_account_id = {}\nsso_role_name = ReadOnlyAccess\n\
         region = us-east-1\nservices = odd\nendpoint_url = {}\n\n[services odd]\n\
         s3 =\n  endpoint_url = {url}\nec2 =\n  endpoint_url = {url}\nlambda =\n  endpoint_url = {url}\n",
        organisation.account(3).id,
        world.simulator.url(),
    );
    let home = world.simulator.home().accounts(&sound.each_ref().map(String::as_str)).token(Token::Good);
    home.text(&profile).write(world.home.path()).expect("a home");
    world.variable("AWS_MAX_ATTEMPTS", "2")
}

fn a_web_page_for_an_answer_is_no_empty_list() {
    const PAGE: &str =
        "<!doctype html><html><head><title>Welcome</title></head><body>Accept our terms</body></html>";
    let impostor = Impostor::start(|_| Impostor::http("200 OK", "text/html", PAGE));
    let world = with_impostor(&impostor.url);
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        mobile-dev-00003 aws_s3_bucket global: failed (InvalidResponse), 2 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: failed (InvalidResponse), 2 calls
        mobile-dev-00003 aws_lambda_function us-east-1: failed (InvalidResponse), 2 calls

        warning: 3 tasks failed in `mobile-dev-00003` (316105305207): status 200 with a response that isn't the service's: 92 bytes of text/html (2 attempts) (InvalidResponse)
        hint: see `~/coverage.json` for each of them
        9 buckets, 15 instances, 9 functions from 3 of 4 accounts, 1 region each (from the profiles); 3 tasks failed: partial
    "#]].assert_eq(&told(&world, &looked).replace(&impostor.url, "http://IMPOSTOR"));
}

/// What a proxy makes of an answer that was cut off before it: well-formed HTTP, half a list.
fn half_an_answer_of_the_right_length_is_no_short_list() {
    let impostor = Impostor::start(|request| {
        let (content_type, half) = if request.contains("/functions") {
            ("application/json", r#"{"Functions":[{"FunctionName":"a","FunctionArn":"arn:aws:lambda:a"}"#)
        } else if request.contains("DescribeInstances") {
            (
                "text/xml",
                "<?xml version=\"1.0\"?><DescribeInstancesResponse><reservationSet><item><instancesSet><item>\
                 <instanceId>i-1</instanceId></item></instancesSet></item>",
            )
        } else {
            (
                "application/xml",
                "<?xml version=\"1.0\"?><ListAllMyBucketsResult><Buckets><Bucket><Name>a</Name></Bucket>",
            )
        };
        Impostor::http("200 OK", content_type, half)
    });
    let world = with_impostor(&impostor.url);
    let (run, ledger) = look(&world, EVERYTHING);
    run.ended(4);
    expect![[r#"
        mobile-dev-00003 aws_s3_bucket global: failed (InvalidResponse), 2 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: failed (InvalidResponse), 2 calls
        mobile-dev-00003 aws_lambda_function us-east-1: failed (InvalidResponse), 2 calls
    "#]]
    .assert_eq(&troubles(&ledger));
}

fn a_hung_endpoint_is_unreachable() {
    let world = one_wrong_in_each(for_ever, &Effect::Stall);
    let looked = look(&world, &format!("{EVERYTHING} --attempt-timeout 1500ms"));
    expect![[r#"
        exit 4
        fraud-staging-00000 aws_s3_bucket global: unreachable (Timeout), 2 calls
        mobile-dev-00003 aws_s3_bucket global: unreachable (Timeout), 0 calls
        data-staging-00001 aws_ec2_instance us-east-1: unreachable (Timeout), 2 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: unreachable (Timeout), 0 calls
        fraud-dev-00002 aws_lambda_function us-east-1: unreachable (Timeout), 2 calls
        mobile-dev-00003 aws_lambda_function us-east-1: unreachable (Timeout), 0 calls

        warning: could not reach AWS in 2 of 5 accounts: `fraud-staging-00000` (462003338960), `mobile-dev-00003` (316105305207); 2 tasks unreachable: no response in time (2 attempts)
        warning: could not reach region `us-east-1` in 3 of 5 accounts: `data-staging-00001` (080037327709), `mobile-dev-00003` (316105305207) and 1 more; 4 tasks unreachable: no response in time (2 attempts)
        hint: see `~/coverage.json` for each of them
        9 buckets, 15 instances, 9 functions from 4 of 5 accounts, 1 region each (from the profiles); 6 tasks unreachable: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn a_closed_port_is_unreachable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let world = with_impostor(&format!("http://{port}"));
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        mobile-dev-00003 aws_s3_bucket global: unreachable (ConnectionFailed), 0 calls
        mobile-dev-00003 aws_ec2_instance us-east-1: unreachable (ConnectionFailed), 0 calls
        mobile-dev-00003 aws_lambda_function us-east-1: unreachable (ConnectionFailed), 2 calls

        warning: could not reach AWS in 1 of 4 accounts: `mobile-dev-00003` (316105305207); 1 task unreachable: tcp connect error: Connection refused (os error 111) (2 attempts)
        warning: could not reach region `us-east-1` in 1 of 4 accounts: `mobile-dev-00003` (316105305207); 2 tasks unreachable: tcp connect error: Connection refused (os error 111) (2 attempts)
        hint: see `~/coverage.json` for each of them
        9 buckets, 15 instances, 9 functions from 3 of 4 accounts, 1 region each (from the profiles); 3 tasks unreachable: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn an_empty_page_is_not_the_last() {
    let world = World::seeded(2);
    let id = world.simulator.organisation().account(1).id;
    world.simulator.fault(Fault::new(Effect::EmptyPage).account(&id).times(1)).expect("a fault");
    let (run, ledger) = look(&world, EVERYTHING);
    run.ended(0);
    assert_eq!(statuses(&ledger), "ok 6");
    let calls: Vec<_> = ledger
        .iter()
        .filter(|cell| cell["table"] == "aws_ec2_instance")
        .map(|cell| cell["calls"].as_u64())
        .collect();
    assert_eq!(calls, [Some(1), Some(2)]);
}

fn pages_that_lead_nowhere_end() {
    let world = World::seeded(2).variable("AWS_MAX_ATTEMPTS", "2");
    let id = world.simulator.organisation().account(1).id;
    world.simulator.fault(Fault::new(Effect::EmptyPage).account(&id)).expect("a fault");
    let looked = look(&world, EVERYTHING);
    expect![[r#"
        exit 4
        data-staging-00001 aws_ec2_instance us-east-1: failed (InvalidResponse), 2 calls

        warning: 1 task failed in `data-staging-00001` (080037327709): a page token of the list repeats (InvalidResponse)
        hint: see `~/coverage.json` for each of them
        6 buckets, 5 instances, 6 functions from 2 of 2 accounts, 1 region each (from the profiles); 1 task failed: partial
    "#]].assert_eq(&told(&world, &looked));
}

fn every_page_of_every_service_once() {
    let size = OrganisationSpec {
        accounts: 1,
        buckets: 10_001,
        instances: 1_001,
        functions: 101,
        ..OrganisationSpec::default()
    };
    let world = World::new(Organisation::from_spec(size));
    let (run, ledger) = look(&world, EVERYTHING);
    run.ended(0);
    let calls = ledger
        .iter()
        .map(|cell| format!("{}: {} calls", cell["table"].as_str().unwrap_or_default(), cell["calls"]));
    assert_eq!(
        calls.collect::<Vec<_>>(),
        ["aws_s3_bucket: 2 calls", "aws_ec2_instance: 2 calls", "aws_lambda_function: 3 calls"]
    );
}

fn when_every_task_failed() {
    let world = World::seeded(2);
    world.simulator.fault(Fault::new(Effect::Denied).service(Service::S3)).expect("a fault");
    let (run, ledger) = world.with_ledger("buckets --all-profiles -o json");
    assert_eq!(run.stdout, "[]\n", "JSON is whole");
    expect![[r#"
        exit 5
        fraud-staging-00000 aws_s3_bucket global: denied (AccessDenied), 1 calls
        data-staging-00001 aws_s3_bucket global: denied (AccessDenied), 1 calls

        warning: no access in 2 of 2 accounts with role `AdministratorAccess`: `fraud-staging-00000` (462003338960), `data-staging-00001` (080037327709); 2 tasks denied (AccessDenied)
        hint: see `~/coverage.json` for each of them
        0 buckets from 0 of 2 accounts, in all regions; 2 tasks denied: partial
    "#]].assert_eq(&told(&world, &(run, ledger)));
}

fn a_clock_that_is_off_is_told_as_such() {
    let world = World::seeded(2);
    world.control(Control::Skew { seconds: 2000 });
    let (run, ledger) = look(&world, EVERYTHING);
    assert_eq!(column(&ledger, "status"), ["failed"; 6]);
    expect![[r#"
        exit 5
        fraud-staging-00000 aws_s3_bucket global: failed (RequestTimeTooSkewed), 1 calls
        data-staging-00001 aws_s3_bucket global: failed (RequestTimeTooSkewed), 1 calls
        fraud-staging-00000 aws_ec2_instance us-east-1: failed (RequestExpired), 1 calls
        data-staging-00001 aws_ec2_instance us-east-1: failed (RequestExpired), 1 calls
        fraud-staging-00000 aws_lambda_function us-east-1: failed (InvalidSignatureException), 1 calls
        data-staging-00001 aws_lambda_function us-east-1: failed (InvalidSignatureException), 1 calls

        warning: 2 tasks failed in `fraud-staging-00000` (462003338960), `data-staging-00001` (080037327709): this machine's clock is 33 minutes behind AWS's, so requests are refused (RequestTimeTooSkewed)
        warning: 2 tasks failed in `fraud-staging-00000` (462003338960), `data-staging-00001` (080037327709): this machine's clock is 33 minutes behind AWS's, so requests are refused (RequestExpired)
        warning: 2 tasks failed in `fraud-staging-00000` (462003338960), `data-staging-00001` (080037327709): this machine's clock is 33 minutes behind AWS's, so requests are refused (InvalidSignatureException)
        hint: see `~/coverage.json` for each of them
        0 buckets, 0 instances, 0 functions from 0 of 2 accounts, 1 region each (from the profiles); 6 tasks failed: partial
    "#]].assert_eq(&told(&world, &(run, ledger)));
}

/// Cells are evidence: their calls can be found in CloudTrail.
fn each_cell_with_calls_names_its_caller() {
    let world = World::seeded(2);
    let account = world.simulator.organisation().account(0).id;
    let denied = Fault::new(Effect::Denied).operation("ListBuckets").account(&account);
    world.simulator.fault(denied).expect("a fault");
    let (run, ledger) = world.with_ledger(EVERYTHING);
    run.ended(4);
    assert!(ledger.iter().any(|cell| cell["status"] == "denied"), "{}", statuses(&ledger));
    for cell in &ledger {
        let text = |name: &str| cell[name].as_str().unwrap_or_default();
        assert!(cell["calls"].as_u64() > Some(0) && !text("call").is_empty(), "{cell}");
        assert!(text("caller_arn").starts_with("arn:aws:sts::"), "{cell}");
        assert!(!text("request_id").is_empty(), "{cell}");
    }
}

/// A policy may deny the region that responds for the whole account, and allow another.
fn a_region_that_is_denied_is_no_denied_account() {
    let world = World::without_home(seeded(1), Options::default());
    let home = world.simulator.home().region(Some("eu-west-1")).token(Token::Good);
    home.write(world.home.path()).expect("a home");
    let denied = Fault::new(Effect::DeniedByScp).operation("ListBuckets").region("us-east-1");
    world.simulator.fault(denied).expect("a fault");
    let (run, ledger) = world.with_ledger("buckets --all-profiles -o json");
    let rows = run.ended(0).rows();
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert_eq!(row["creation_date"], Value::Null, "only the partition's own region gives it");
        assert_eq!(row["_not_collected"], serde_json::json!(["creation_date"]));
    }
    assert_eq!((&ledger[0]["status"], &ledger[0]["rows_missed"]), (&"ok".into(), &3.into()));
    let message = ledger[0]["error_message"].as_str().unwrap_or_default();
    assert_eq!(
        message,
        "region `eu-west-1` responded; region `us-east-1`: denied_by_scp (AccessDenied); region `eu-west-1` does not give \
         creation dates"
    );
    let (run, ledger) = world.with_ledger("buckets --all-profiles --columns name,creation_date -o json");
    assert_eq!(run.ended(4).rows().len(), 3, "the column was asked for by name");
    assert_eq!((&ledger[0]["status"], &ledger[0]["rows"]), (&"denied".into(), &3.into()));
}

fn bucket_lists_do_not_depend_on_the_environment() {
    let world = World::seeded(2);
    let expected = world.run("buckets --all-profiles -o json").ended(0).stdout;
    let world = world.variable("AWS_REGION", "eu-west-1");
    assert_eq!(world.run("buckets --all-profiles -o json").ended(0).stdout, expected);
    let calls = world.simulator.calls();
    let regions = calls.iter().filter(|call| call.operation == "ListBuckets").map(|call| &*call.region);
    assert!(regions.clone().count() > 2 && regions.clone().all(|region| region == "us-east-1"));
}
