//! The sign-in ends while a run is under way: nothing is lost, nothing comes twice, and nobody is asked twice.

use std::collections::BTreeSet;
use std::fs;

use expect_test::expect;
use rustix::process::Signal;
use serde_json::Value;
use ssoinv_sim::{
    Approval, Control, Effect, Fault, Options, Organisation, OrganisationSpec, RetryHeader, Service, Token,
};

use crate::support::{Run, World, kill, rows_of, seeded, statuses};
use crate::tests;

tests![
    a_token_that_ends_is_refreshed_once_wherever_it_ends,
    signed_in_again_at_the_first_account,
    signed_in_again_in_the_middle,
    signed_in_again_at_the_last_account,
    where_the_refresh_is_refused_one_person_signs_in_once,
    with_nobody_there_what_was_collected_is_written,
    with_nobody_there_a_file_is_replaced_too,
    without_any_answer_there_is_still_an_output,
    who_declines_in_the_middle_keeps_what_was_collected,
    a_code_that_ends_in_the_middle_is_replaced,
    an_interrupt_ends_the_wait_for_a_person,
    role_credentials_that_end_between_pages_are_renewed,
    a_task_that_cannot_go_on_from_its_page_leaves_no_rows,
    a_401_for_a_good_token_is_no_reason_to_sign_in,
    a_429_of_the_portal_is_no_reason_to_sign_in,
    a_429_of_the_sign_in_service_is_no_reason_to_sign_in,
];

/// All three tables in six accounts and two regions: five tasks an account.
const ALL: &str = "list aws_s3_bucket aws_ec2_instance aws_lambda_function --all-profiles --no-credential-cache \
                   --region us-east-1,us-west-2 -o ndjson";
const TASKS: usize = 6 * (1 + 2 + 2);

/// Portal calls of an unbroken run: ListAccounts, then one GetRoleCredentials for each account.
const FIRST_ACCOUNT: u32 = 2;
const MIDDLE: u32 = 4;
const LAST_ACCOUNT: u32 = 7;

/// Six accounts, and what an unbroken run of [`ALL`] says. The token is good by its file.
fn unbroken(token: Token) -> (World, Run) {
    let options = Options { approval: Approval::Manual, device_interval: 0, ..Options::default() };
    let world = World::with(seeded(6), options, token);
    let whole = world.run(ALL).ended(0);
    let in_regions = whole.stdout.lines().filter(|line| !line.contains("aws_s3_bucket")).count();
    assert_eq!(in_regions, 6 * 2 * (5 + 3), "all instances and functions of six accounts");
    assert_eq!(world.simulator.count(Service::PORTAL, "GetRoleCredentials"), 6);
    world.simulator.reset_counters();
    (world, whole)
}

/// Ends the token with the portal call of this number.
fn end_with_call(world: &World, number: u32) {
    world.control(Control::EndTokensAfter { session: None, calls: number, times: 1 });
}

fn oidc(world: &World, operation: &str) -> u64 {
    world.simulator.count(Service::OIDC, operation)
}

/// How many tokens were given out.
fn tokens_given(world: &World) -> usize {
    let calls = world.simulator.calls();
    calls.iter().filter(|call| call.operation == "CreateToken" && call.status == 200).count()
}

/// Each service was asked once for each page: the token's end cost portal calls alone.
#[track_caller]
fn nothing_was_asked_twice(world: &World) {
    for (service, operation, calls) in [
        (Service::S3, "ListBuckets", 6),
        (Service::EC2, "DescribeInstances", 6 * 2),
        (Service::LAMBDA, "ListFunctions", 6 * 2),
    ] {
        assert_eq!(world.simulator.count(service, operation), calls, "{operation}");
    }
}

/// What a person sees, without what differs at each run.
fn seen(world: &World, run: &Run, code: &str) -> String {
    world.shown(&run.stderr).replace(code, "CODE")
}

/// The same of a run that some accounts didn't answer: which, only the portal's order of calls tells.
fn without_accounts(text: &str, run: &Run, ledger: &[Value]) -> String {
    let buckets = run.stdout.lines().filter(|line| line.contains("aws_s3_bucket")).count();
    text.replace(&first_expired(ledger), "PROFILE").replace(&format!("\n{buckets} buckets"), "\nN buckets")
}

fn a_token_that_ends_is_refreshed_once_wherever_it_ends() {
    for end in [1, FIRST_ACCOUNT, MIDDLE, LAST_ACCOUNT] {
        let (world, whole) = unbroken(Token::Good);
        end_with_call(&world, end);
        let (run, ledger) = world.with_ledger(&format!("{ALL} --no-input"));
        let run = run.ended(0);
        assert_eq!(run.stdout, whole.stdout, "the same bytes, though the token ended with call {end}");
        assert_eq!(statuses(&ledger), format!("ok {TASKS}"));
        assert_eq!((oidc(&world, "CreateToken"), tokens_given(&world)), (1, 1), "one refresh for all");
        assert_eq!(oidc(&world, "StartDeviceAuthorization"), 0);
        nothing_was_asked_twice(&world);
        assert_eq!(run.stderr, whole.stderr, "nothing to be told");
    }
}

fn signed_in_again_at_the_first_account() {
    signed_in_again(FIRST_ACCOUNT);
}

fn signed_in_again_in_the_middle() {
    signed_in_again(MIDDLE);
}

fn signed_in_again_at_the_last_account() {
    signed_in_again(LAST_ACCOUNT);
}

/// A token that can't be refreshed ends with the portal call `end`; a person signs in while the run waits.
fn signed_in_again(end: u32) {
    let (world, whole) = unbroken(Token::WithoutRefresh);
    end_with_call(&world, end);
    let mut person = world.at_terminal(&format!("{ALL} --no-browser"));
    let code = person.reads_code();
    assert_eq!(world.simulator.pending(), [code.as_str()], "it waits for this one code");
    assert_eq!(tokens_given(&world), 0);
    world.control(Control::Approve { user_code: Some(code.clone()) });
    let run = person.sees_the_end().ended(0);
    assert_eq!(run.stdout, whole.stdout, "the same bytes, though the token ended with call {end}");
    assert_eq!((oidc(&world, "StartDeviceAuthorization"), tokens_given(&world)), (1, 1), "one for all");
    nothing_was_asked_twice(&world);
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        sign in to `acme`: open http://SIMULATOR/device?user_code=CODE
          and check that it shows the code CODE (good for 10 min)
        signed in to `acme`
        12 buckets, 60 instances, 36 functions from 6 of 6 accounts, 2 regions each (from `--region`)
    "]]
    .assert_eq(&seen(&world, &run, &code));

    // The next command needs nobody.
    world.simulator.reset_counters();
    assert_eq!(world.run(&format!("{ALL} --no-input")).ended(0).stdout, whole.stdout);
    assert_eq!(oidc(&world, "CreateToken"), 0);
}

fn where_the_refresh_is_refused_one_person_signs_in_once() {
    let (world, whole) = unbroken(Token::Good);
    world.control(Control::RefuseRefresh { session: None, refuse: true });
    end_with_call(&world, MIDDLE);
    let mut person = world.at_terminal(&format!("{ALL} --no-browser"));
    let code = person.reads_code();
    let refused = world.simulator.calls();
    let refused: Vec<_> = refused.iter().filter(|call| call.operation == "CreateToken").collect();
    assert_eq!(refused[0].code, "InvalidGrantException", "the refresh was tried first");
    world.control(Control::Approve { user_code: Some(code) });
    assert_eq!(person.sees_the_end().ended(0).stdout, whole.stdout);
    assert_eq!((oidc(&world, "StartDeviceAuthorization"), tokens_given(&world)), (1, 1));
    let refreshes = world.simulator.calls();
    let refreshes = refreshes.iter().filter(|call| call.code == "InvalidGrantException").count();
    assert_eq!(refreshes, 1, "once for all who wait");
}

fn with_nobody_there_what_was_collected_is_written() {
    for (token, end) in [
        (Token::WithoutRefresh, FIRST_ACCOUNT),
        (Token::WithoutRefresh, MIDDLE),
        (Token::Good, MIDDLE),
        (Token::WithoutRefresh, LAST_ACCOUNT),
    ] {
        let (world, whole) = unbroken(token);
        world.control(Control::RefuseRefresh { session: None, refuse: true });
        end_with_call(&world, end);
        // Without a terminal, and so without anybody; nothing says `--no-input`.
        let (run, ledger) = world.with_ledger(ALL);
        let run = run.ended(3);
        let answered = usize::try_from(end - FIRST_ACCOUNT).expect("a small number") * TASKS / 6;
        let counts = match answered {
            0 => format!("sign_in_expired {TASKS}"),
            ok => format!("ok {ok}, sign_in_expired {}", TASKS - ok),
        };
        assert_eq!(statuses(&ledger), counts, "the token ended with call {end}");
        assert_eq!(run.stdout, collected(&whole, &ledger), "all of what is `ok`, in order, and no more");
        assert_eq!(oidc(&world, "StartDeviceAuthorization"), 0, "nobody was asked");
        if (token, end) == (Token::WithoutRefresh, MIDDLE) {
            expect![[r"
                warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
                hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
                warning: the portal refuses the sign-in to sso-session `acme`, and it cannot be refreshed; 20 tasks without a sign-in
                hint: run `ssoinv login --profile PROFILE`, then the same command again
                N buckets, 20 instances, 12 functions from 2 of 6 accounts, 2 regions each (from `--region`); 20 tasks without a sign-in: partial
            "]].assert_eq(&without_accounts(&world.shown(&run.stderr), &run, &ledger));
        }
    }
}

/// The lines of an unbroken run for the tasks that the ledger calls `ok`.
fn collected(whole: &Run, ledger: &[Value]) -> String {
    let place = |row: &Value| {
        let region = if row["table"] == "aws_s3_bucket" { "global" } else { text(row, "region") };
        (text(row, "table").to_owned(), text(row, "account_id").to_owned(), region.to_owned())
    };
    let ok: BTreeSet<_> = ledger.iter().filter(|cell| cell["status"] == "ok").map(place).collect();
    let lines = whole.stdout.split_inclusive('\n');
    lines.filter(|line| ok.contains(&place(&serde_json::from_str(line).expect("JSON")))).collect()
}

fn text<'v>(row: &'v Value, column: &str) -> &'v str {
    row[column].as_str().expect("text")
}

fn first_expired(ledger: &[Value]) -> String {
    let expired = ledger.iter().find(|cell| cell["status"] == "sign_in_expired").expect("one");
    text(expired, "profile").to_owned()
}

fn with_nobody_there_a_file_is_replaced_too() {
    let (world, whole) = unbroken(Token::WithoutRefresh);
    let file = world.home.path().join("inventory.ndjson");
    fs::write(&file, "of yesterday\n").expect("written");
    end_with_call(&world, MIDDLE);
    let (run, ledger) = world.with_ledger(&format!("{ALL} --no-input --out {}", file.display()));
    assert_eq!(run.ended(3).stdout, "");
    assert_eq!(fs::read_to_string(file).expect("a file"), collected(&whole, &ledger));
}

fn without_any_answer_there_is_still_an_output() {
    let (world, _) = unbroken(Token::WithoutRefresh);
    // The very first call, which asks for the accounts' names.
    end_with_call(&world, 1);
    let run = world.run("buckets --all-profiles --no-input --no-credential-cache -o json").ended(3);
    assert_eq!(run.stdout, "[]\n");
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        warning: the portal refuses the sign-in to sso-session `acme`, and it cannot be refreshed; 6 tasks without a sign-in
        hint: run `ssoinv login --profile fraud-staging-00000-AdministratorAccess`, then the same command again
        0 buckets from 0 of 6 accounts, in all regions; 6 tasks without a sign-in: partial
    "]].assert_eq(&world.shown(&run.stderr));
    assert_eq!(world.simulator.count(Service::PORTAL, "GetRoleCredentials"), 0, "nobody asks in vain");
}

fn who_declines_in_the_middle_keeps_what_was_collected() {
    let (world, whole) = unbroken(Token::WithoutRefresh);
    end_with_call(&world, MIDDLE);
    let ledger = world.home.path().join("coverage.json");
    let mut person = world.at_terminal(&format!("{ALL} --no-browser --coverage {}", ledger.display()));
    let code = person.reads_code();
    world.control(Control::Deny { user_code: Some(code.clone()) });
    let run = person.sees_the_end().ended(3);
    let ledger = rows_of(&ledger);
    assert_eq!(statuses(&ledger), "ok 10, sign_in_expired 20");
    assert_eq!(run.stdout, collected(&whole, &ledger));
    assert_eq!(oidc(&world, "StartDeviceAuthorization"), 1, "no is no, for all who wait");
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        sign in to `acme`: open http://SIMULATOR/device?user_code=CODE
          and check that it shows the code CODE (good for 10 min)
        warning: the sign-in to sso-session `acme` was declined in the browser; 20 tasks without a sign-in
        hint: run `ssoinv login --profile PROFILE`, then the same command again
        N buckets, 20 instances, 12 functions from 2 of 6 accounts, 2 regions each (from `--region`); 20 tasks without a sign-in: partial
    "]].assert_eq(&without_accounts(&seen(&world, &run, &code), &run, &ledger));
}

fn a_code_that_ends_in_the_middle_is_replaced() {
    let (world, whole) = unbroken(Token::WithoutRefresh);
    end_with_call(&world, MIDDLE);
    let mut person = world.at_terminal(&format!("{ALL} --no-browser"));
    let first = person.reads_code();
    world.control(Control::ExpireDevices {});
    let second = person.reads_code();
    assert_ne!(first, second);
    world.control(Control::Approve { user_code: Some(second) });
    assert_eq!(person.sees_the_end().ended(0).stdout, whole.stdout);
    assert_eq!((oidc(&world, "StartDeviceAuthorization"), tokens_given(&world)), (2, 1));
    assert_eq!(oidc(&world, "RegisterClient"), 1, "the client is still good");
}

fn an_interrupt_ends_the_wait_for_a_person() {
    let (world, whole) = unbroken(Token::WithoutRefresh);
    end_with_call(&world, MIDDLE);
    let ledger = world.home.path().join("coverage.json");
    let mut person = world.at_terminal(&format!("{ALL} --no-browser --coverage {}", ledger.display()));
    person.reads_code();
    kill(person.process, Signal::INT);
    let run = person.sees_the_end().ended(130);
    let ledger = rows_of(&ledger);
    assert!(ledger.iter().any(|cell| cell["status"] == "not_tried"), "{}", statuses(&ledger));
    assert!(ledger.iter().all(|cell| cell["status"] == "ok" || cell["status"] == "not_tried"));
    assert_eq!(run.stdout, collected(&whole, &ledger), "what had ended by then");
}

/// Accounts with so many instances and functions in one region.
fn large(accounts: usize, instances: usize, functions: usize) -> World {
    let regions = vec!["us-east-1".to_owned()];
    let size = OrganisationSpec { accounts, regions, instances, functions, ..OrganisationSpec::default() };
    World::with(Organisation::from_spec(size), Options::default(), Token::WithoutRefresh)
}

fn role_credentials_that_end_between_pages_are_renewed() {
    let functions = (large(2, 0, 120), "functions", "ListFunctions", 2, 3);
    let instances = (large(1, 1001, 0), "instances", "DescribeInstances", 1, 2);
    for (world, verb, operation, accounts, pages) in [functions, instances] {
        let command = format!("{verb} --all-profiles --no-credential-cache -o json");
        let whole = world.run(&command).ended(0);
        world.simulator.reset_counters();
        // All that are given out from now on are good for one call.
        world.control(Control::ExpireRoleCredentials {
            account: None,
            role: None,
            after_calls: 1,
            times: None,
        });
        let run = world.at_terminal(&command).sees_the_end().ended(0);
        assert_eq!(run.stdout, whole.stdout);
        for count in world.simulator.counts().iter().filter(|count| count.operation == operation) {
            assert_eq!(count.calls - count.failed, pages, "each page was given once: {count:?}");
        }
        // GetCallerIdentity, beside the list, uses up a set of credentials, too.
        let given = world.simulator.count(Service::PORTAL, "GetRoleCredentials");
        assert!((accounts * pages..=accounts * (pages + 1)).contains(&given), "{given}");
        assert_eq!(world.simulator.count(Service::PORTAL, "ListAccounts"), 1, "the token was not in doubt");
        assert_eq!(oidc(&world, "RegisterClient") + oidc(&world, "CreateToken"), 0);
    }
}

fn a_task_that_cannot_go_on_from_its_page_leaves_no_rows() {
    // One account, whose calls come one after the other.
    let world = large(1, 0, 120);
    world.control(Control::ExpireRoleCredentials { account: None, role: None, after_calls: 1, times: None });
    // ListAccounts, GetRoleCredentials, and then the renewal for the second page.
    end_with_call(&world, 3);
    let (run, ledger) = world.with_ledger("functions --all-profiles -o json --no-input");
    let run = run.ended(3);
    let pages = world.simulator.calls();
    let pages = pages.iter().filter(|call| call.operation == "ListFunctions").map(|call| call.status);
    assert_eq!(pages.collect::<Vec<_>>(), [200, 403], "the first page was there");
    assert_eq!(run.stdout, "[]\n", "half a list would look like a whole one");
    assert_eq!(statuses(&ledger), "sign_in_expired 1");
    assert_eq!(ledger[0]["rows"], 0, "the ledger counts what was written");
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        warning: the portal refuses the sign-in to sso-session `acme`, and it cannot be refreshed; 1 task without a sign-in
        hint: run `ssoinv login --profile fraud-staging-00000-AdministratorAccess`, then the same command again
        0 functions from 0 of 1 account, in 1 region (from the profiles); 1 task without a sign-in: partial
    "]].assert_eq(&world.shown(&run.stderr));
}

fn a_401_for_a_good_token_is_no_reason_to_sign_in() {
    for (operation, times) in [("ListAccounts", 1), ("GetRoleCredentials", 1), ("GetRoleCredentials", 3)] {
        let (world, whole) = unbroken(Token::Good);
        let fault = Fault::new(Effect::Unauthorized401).operation(operation).times(times);
        world.simulator.fault(fault).expect("a fault");
        // Somebody is there who could be asked.
        let run = world.at_terminal(ALL).sees_the_end().ended(0);
        assert_eq!(run.stdout, whole.stdout, "{operation}");
        assert_eq!(run.stderr, whole.stderr, "nothing to be told");
        nobody_was_bothered(&world);
        nothing_was_asked_twice(&world);
    }
}

/// The sign-in service wasn't called at all.
#[track_caller]
fn nobody_was_bothered(world: &World) {
    let calls = world.simulator.calls();
    assert!(calls.iter().all(|call| call.service != Service::OIDC), "{calls:#?}");
}

/// The profile that the home has for an account.
fn profile(world: &World, account: usize) -> String {
    let account = world.simulator.organisation().account(account);
    ssoinv_sim::profile_name(&account.name, &account.roles[0])
}

fn throttle() -> Effect {
    Effect::Throttle { retry_after: None, header: RetryHeader::default() }
}

fn a_429_of_the_portal_is_no_reason_to_sign_in() {
    let world = World::with(seeded(2), Options::default(), Token::WithoutRefresh);
    // One account: in a storm the portal is asked so seldom that more would take their time.
    let command = format!("buckets --profile {} --no-credential-cache -o json", profile(&world, 0));
    for effect in [throttle(), Effect::TooMany429] {
        let passing = Fault::new(effect).service(Service::PORTAL).times(1);
        world.simulator.fault(passing).expect("a fault");
    }
    let run = world.at_terminal(&command).sees_the_end().ended(0);
    assert_eq!(run.rows().len(), 3);
    nobody_was_bothered(&world);

    world.simulator.fault(Fault::new(Effect::TooMany429).service(Service::PORTAL)).expect("a fault");
    let run = world.at_terminal(&format!("{command} --retry-time 100ms")).sees_the_end().ended(5);
    assert_eq!(run.said("1 task throttled").stdout, "[]\n");
    nobody_was_bothered(&world);
}

fn a_429_of_the_sign_in_service_is_no_reason_to_sign_in() {
    for effect in [throttle(), Effect::TooMany429] {
        let world = World::with(seeded(6), Options::default(), Token::Expired);
        let storm = Fault::new(effect).service(Service::OIDC);
        world.simulator.fault(storm).expect("a fault");
        let ledger = world.home.path().join("coverage.json");
        let command = format!("{ALL} --retry-time 500ms --coverage {}", ledger.display());
        world.at_terminal(&command).sees_the_end().ended(5);
        assert_eq!(statuses(&rows_of(&ledger)), format!("throttled {TASKS}"));
        assert_eq!(oidc(&world, "StartDeviceAuthorization") + oidc(&world, "RegisterClient"), 0);
        assert!(oidc(&world, "CreateToken") > 1, "it was tried again");

        // When the storm is over the refresh token is still good.
        world.simulator.clear_faults();
        world.run(&format!("{ALL} --no-input")).ended(0);
    }
}
