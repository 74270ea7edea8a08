//! Signing in, and what becomes of the token: on a terminal, without one, and where a config leads it astray.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use expect_test::expect;
use serde_json::Value;
use ssoinv_sim::{
    Approval, Control, Effect, Fault, Format, Options, Organisation, OrganisationSpec, RetryHeader, Service,
    Token,
};

use crate::support::{Person, Run, World, column, rows_of, seeded, statuses};
use crate::tests;

tests![
    the_first_sign_in_is_shown_and_kept_as_the_aws_cli_keeps_it,
    the_legacy_format_is_kept_under_its_start_url,
    the_browser_is_opened_where_it_may_be,
    without_a_browser_the_address_is_enough,
    who_declines_is_not_asked_again,
    a_code_that_ends_is_replaced,
    a_service_that_says_slow_down_is_asked_later,
    with_nobody_to_ask_it_ends_at_once,
    an_expired_token_is_refreshed_once_for_all_accounts,
    an_expired_token_that_cannot_be_refreshed_says_since_when,
    a_token_file_that_cannot_be_read_is_no_token,
    a_read_only_home_is_told_and_stops_nothing,
    a_missing_home_is_told_and_stops_nothing,
    a_session_that_is_dead_leaves_the_other_alone,
    a_token_of_another_start_url_or_region_is_not_sent,
    nothing_secret_goes_over_plain_http,
    an_endpoint_that_is_not_aws_s_is_named_once,
];

/// SHA-1 of `acme`, and of `https://acme0.awsapps.com/start`, by Python's hashlib.
const OF_SESSION: &str = "293abb6b76d7791c0732cc517d38c4b5c734b87f.json";
const OF_START_URL: &str = "4b6db7d3f5f743413188893688a34af07acd236d.json";

/// What agrees only when it is told to.
fn manual() -> Options {
    Options { approval: Approval::Manual, device_interval: 0, ..Options::default() }
}

fn world(token: Token) -> World {
    World::with(seeded(2), manual(), token)
}

const BUCKETS: &str = "buckets --all-profiles --no-credential-cache -o json";

fn approve(world: &World, code: &str) {
    world.control(Control::Approve { user_code: Some(code.to_owned()) });
}

fn oidc(world: &World, operation: &str) -> u64 {
    world.simulator.count(Service::OIDC, operation)
}

fn cache(world: &World) -> PathBuf {
    world.home.path().join(".aws/sso/cache")
}

fn json_of(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("JSON")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// What a person sees, without what differs at each run.
fn seen(world: &World, run: &Run, code: &str) -> String {
    world.shown(&run.stderr).replace(code, "CODE")
}

/// Signs in on a terminal, and gives the end and the code.
fn sign_in(world: &World, arguments: &str) -> (Run, String) {
    let mut person = world.at_terminal(&format!("{arguments} --no-browser"));
    let code = person.reads_code();
    approve(world, &code);
    (person.sees_the_end(), code)
}

/// The keys of a token's file that are there in botocore's, which all of its readers know.
fn check_token(file: &Path, world: &World, keys: &[&str]) {
    let token = json_of(file);
    let found: BTreeSet<&str> = token.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(found, keys.iter().copied().collect());
    assert_eq!(token["startUrl"], "https://acme0.awsapps.com/start");
    assert_eq!(token["region"], "us-east-1");
    for key in ["expiresAt", "registrationExpiresAt"] {
        let time = token[key].as_str().expect("text");
        // botocore's own form, to the second: 2026-01-02T03:04:05Z.
        let digits = time.replace(|c: char| c.is_ascii_digit(), "9");
        assert_eq!(digits, "9999-99-99T99:99:99Z", "{key}");
    }
    let secrets = world.simulator.secrets();
    for key in ["accessToken", "clientSecret"] {
        assert!(secrets.iter().any(|secret| token[key] == **secret), "{key} is what was given out");
    }
    assert_eq!(mode(file), 0o600);
    assert_eq!(mode(file.parent().expect("a folder")), 0o700);
}

/// The next command asks nobody anything.
#[track_caller]
fn the_token_serves_again(world: &World, rows: &str) {
    world.simulator.reset_counters();
    let again = world.run(&format!("{BUCKETS} --no-input")).ended(0);
    assert_eq!(again.stdout, rows);
    assert!(world.simulator.calls().iter().all(|call| call.service != Service::OIDC));
}

fn the_first_sign_in_is_shown_and_kept_as_the_aws_cli_keeps_it() {
    let world = world(Token::None);
    let (run, code) = sign_in(&world, BUCKETS);
    let run = run.ended(0);
    assert_eq!(run.rows().len(), 6);
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        sign in to `acme`: open http://SIMULATOR/device?user_code=CODE
          and check that it shows the code CODE (good for 10 min)
        signed in to `acme`
        6 buckets from 2 of 2 accounts, in all regions
    "]]
    .assert_eq(&seen(&world, &run, &code));
    let keys = [
        "startUrl",
        "region",
        "accessToken",
        "expiresAt",
        "clientId",
        "clientSecret",
        "registrationExpiresAt",
        "refreshToken",
    ];
    check_token(&cache(&world).join(OF_SESSION), &world, &keys);
    assert_eq!(fs::read_dir(cache(&world)).expect("a folder").count(), 3, "token, lock and registration");
    the_token_serves_again(&world, &run.stdout);
}

fn the_legacy_format_is_kept_under_its_start_url() {
    let world = World::without_home(seeded(2), manual());
    world.simulator.home().format(Format::Legacy).write(world.home.path()).expect("a home");
    let (run, code) = sign_in(&world, BUCKETS);
    let run = run.ended(0);
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:7)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        sign in to `https://acme0.awsapps.com/start`: open http://SIMULATOR/device?user_code=CODE
          and check that it shows the code CODE (good for 10 min)
        signed in to `https://acme0.awsapps.com/start`
        6 buckets from 2 of 2 accounts, in all regions
    "]]
    .assert_eq(&seen(&world, &run, &code));
    let keys = [
        "startUrl",
        "region",
        "accessToken",
        "expiresAt",
        "clientId",
        "clientSecret",
        "registrationExpiresAt",
    ];
    check_token(&cache(&world).join(OF_START_URL), &world, &keys);
    the_token_serves_again(&world, &run.stdout);
}

/// A program that stands for the browser: it says on the terminal what it was given to open.
fn browser(world: &World) -> PathBuf {
    let folder = world.home.path().join("bin");
    fs::create_dir(&folder).expect("a folder");
    let program = folder.join("xdg-open");
    let script = "#!/bin/sh\n[ $# = 1 ] && echo \"the browser opens $1 \" > \"$SCREEN\"\n";
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made a program");
    folder
}

fn the_browser_is_opened_where_it_may_be() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let world = world(Token::None);
    let bin = browser(&world);
    for no_browser in [false, true] {
        let _ = fs::remove_dir_all(cache(&world));
        let mut command = world.command(BUCKETS);
        if no_browser {
            command.arg("--no-browser");
        }
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        let mut person = Person::before(command);
        let code = person.reads_code();
        if !no_browser {
            let opened = person.reads_word("the browser opens ");
            assert_eq!(opened, format!("{}/device?user_code={code}", world.simulator.url()));
        }
        approve(&world, &code);
        let run = person.sees_the_end().ended(0);
        assert!(!no_browser || !run.stderr.contains("the browser opens"), "{}", run.stderr);
    }
}

fn without_a_browser_the_address_is_enough() {
    let world = world(Token::None);
    let mut command = world.command(BUCKETS);
    // Nothing that could open a page is found there.
    command.env("PATH", world.home.path());
    let mut person = Person::before(command);
    let code = person.reads_code();
    approve(&world, &code);
    let run = person.sees_the_end().ended(0);
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        sign in to `acme`: open http://SIMULATOR/device?user_code=CODE
          and check that it shows the code CODE (good for 10 min)
        warning: no browser was opened: no program for it was found
        hint: open http://SIMULATOR/device and type the code CODE
        signed in to `acme`
        6 buckets from 2 of 2 accounts, in all regions
    "]]
    .assert_eq(&seen(&world, &run, &code));
}

fn who_declines_is_not_asked_again() {
    let world = world(Token::None);
    let ledger = world.home.path().join("coverage.json");
    let mut person = world.at_terminal(&format!("{BUCKETS} --no-browser --coverage {}", ledger.display()));
    let code = person.reads_code();
    world.control(Control::Deny { user_code: Some(code.clone()) });
    let run = person.sees_the_end().ended(3);
    assert_eq!(run.stdout, "[]\n");
    assert_eq!(oidc(&world, "StartDeviceAuthorization"), 1);
    assert_eq!(statuses(&rows_of(&ledger)), "sign_in_expired 2");
    assert_eq!(column(&rows_of(&ledger), "error_code"), ["SignInDeclined"; 2]);
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        sign in to `acme`: open http://SIMULATOR/device?user_code=CODE
          and check that it shows the code CODE (good for 10 min)
        warning: the sign-in to sso-session `acme` was declined in the browser; 2 tasks without a sign-in
        hint: run `ssoinv login --profile fraud-staging-00000-AdministratorAccess`, then the same command again
        0 buckets from 0 of 2 accounts, in all regions; 2 tasks without a sign-in: partial
    "]].assert_eq(&seen(&world, &run, &code));
    assert!(!cache(&world).join(OF_SESSION).exists());
}

fn a_code_that_ends_is_replaced() {
    let world = world(Token::None);
    let mut person = world.at_terminal(&format!("{BUCKETS} --no-browser"));
    let first = person.reads_code();
    world.control(Control::ExpireDevices {});
    let second = person.reads_code();
    approve(&world, &second);
    let run = person.sees_the_end().ended(0);
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        sign in to `acme`: open http://SIMULATOR/device?user_code=CODE
          and check that it shows the code CODE (good for 10 min)
        the code for `acme` ended; here is another
        sign in to `acme`: open http://SIMULATOR/device?user_code=SECOND
          and check that it shows the code SECOND (good for 10 min)
        signed in to `acme`
        6 buckets from 2 of 2 accounts, in all regions
    "]]
    .assert_eq(&seen(&world, &run, &first).replace(&second, "SECOND"));
    assert_eq!((oidc(&world, "StartDeviceAuthorization"), oidc(&world, "RegisterClient")), (2, 1));
}

fn a_service_that_says_slow_down_is_asked_later() {
    let world = world(Token::None);
    world.control(Control::Approval(Approval::AtPoll(1)));
    let slow_down = Effect::Throttle { retry_after: None, header: RetryHeader::default() };
    world.simulator.fault(Fault::new(slow_down).operation("CreateToken").times(1)).expect("a fault");
    let run = world.at_terminal(&format!("{BUCKETS} --no-browser")).sees_the_end().ended(0);
    assert_eq!(run.rows().len(), 6);
    let codes: Vec<_> = world
        .simulator
        .calls()
        .into_iter()
        .filter(|call| call.operation == "CreateToken")
        .map(|call| call.code)
        .collect();
    assert_eq!(codes, ["SlowDownException", ""], "the same code, one poll later");
    assert_eq!(oidc(&world, "StartDeviceAuthorization"), 1);
}

fn with_nobody_to_ask_it_ends_at_once() {
    let world = world(Token::None);
    // No terminal; a terminal, and `--no-input`.
    let run = world.run(BUCKETS).ended(3);
    assert_eq!(run.stdout, "[]\n");
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        warning: not signed in to sso-session `acme`; 2 tasks without a sign-in
        hint: run `ssoinv login --profile fraud-staging-00000-AdministratorAccess`, then the same command again
        0 buckets from 0 of 2 accounts, in all regions; 2 tasks without a sign-in: partial
    "]].assert_eq(&world.shown(&run.stderr));
    let no_input = world.at_terminal(&format!("{BUCKETS} --no-input")).sees_the_end().ended(3);
    assert_eq!((no_input.stdout, no_input.stderr), (run.stdout, run.stderr), "the same with a terminal");
    assert_eq!(world.simulator.calls(), [], "nothing was asked, and nobody");
}

fn an_expired_token_is_refreshed_once_for_all_accounts() {
    let world = World::with(seeded(8), manual(), Token::Expired);
    let file = cache(&world).join(OF_SESSION);
    let before = json_of(&file);
    let run = world.run("list aws_s3_bucket aws_lambda_function --all-profiles -o json --no-input").ended(0);
    assert_eq!((oidc(&world, "CreateToken"), oidc(&world, "StartDeviceAuthorization")), (1, 0));
    assert!(!run.stderr.contains("sign in"), "{}", run.stderr);
    let after = json_of(&file);
    for key in ["accessToken", "refreshToken", "expiresAt"] {
        assert_ne!(before[key], after[key], "{key}");
    }
    assert_eq!(before["clientId"], after["clientId"]);
    assert_eq!(mode(&file), 0o600);
    world.simulator.reset_counters();
    world.run(&format!("{BUCKETS} --no-input")).ended(0);
    assert_eq!(oidc(&world, "CreateToken"), 0, "the new token serves the next command");
}

fn an_expired_token_that_cannot_be_refreshed_says_since_when() {
    let world = world(Token::ExpiredWithoutRefresh);
    let run = world.run(&format!("{BUCKETS} --no-input")).ended(3);
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        warning: the sign-in to sso-session `acme` expired 1 minute ago and cannot be refreshed; 2 tasks without a sign-in
        hint: run `ssoinv login --profile fraud-staging-00000-AdministratorAccess`, then the same command again
        0 buckets from 0 of 2 accounts, in all regions; 2 tasks without a sign-in: partial
    "]].assert_eq(&world.shown(&run.stderr));
    assert_eq!(world.simulator.calls(), []);
}

fn a_token_file_that_cannot_be_read_is_no_token() {
    let world = world(Token::Good);
    let file = cache(&world).join(OF_SESSION);
    let text = fs::read(&file).expect("a token");
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("no JSON", b"\xff\xfe not JSON"),
        ("no object", b"[]"),
        ("no token", br#"{"startUrl": "https://acme0.awsapps.com/start", "region": "us-east-1"}"#),
        ("wrong types", br#"{"accessToken": 1, "expiresAt": {}, "startUrl": [], "region": null}"#),
        ("half", &text[..text.len() / 2]),
    ] {
        fs::write(&file, bytes).expect("written");
        let run = world.run(&format!("{BUCKETS} --no-input")).ended(3);
        run.said("not signed in to sso-session `acme`");
        assert_eq!(world.simulator.calls(), [], "{name}");
    }
    let (run, _) = sign_in(&world, BUCKETS);
    the_token_serves_again(&world, &run.ended(0).stdout);
}

fn a_read_only_home_is_told_and_stops_nothing() {
    let world = world(Token::None);
    let aws = world.home.path().join(".aws");
    // Permissions don't stop root, so there is something in the folder's way, too.
    fs::write(aws.join("sso"), "").expect("written");
    let permissions = |mode| {
        for folder in [world.home.path(), &aws] {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).expect("set");
        }
    };
    permissions(0o555);
    let (run, code) = sign_in(&world, BUCKETS);
    permissions(0o755);
    let run = run.ended(0);
    assert_eq!(run.rows().len(), 6);
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        sign in to `acme`: open http://SIMULATOR/device?user_code=CODE
          and check that it shows the code CODE (good for 10 min)
        signed in to `acme`
        warning: the sign-in to `acme` was not kept for the next command: `~/.aws/sso/cache/293abb6b76d7791c0732cc517d38c4b5c734b87f.json` cannot be written: REASON
        hint: make `~/.aws/sso/cache` a folder that you can write to
        6 buckets from 2 of 2 accounts, in all regions
    "]].assert_eq(&without_os_error(&seen(&world, &run, &code)));
}

/// What the system says of a failure differs.
fn without_os_error(text: &str) -> String {
    let line = |line: &str| match line.split_once("cannot be written: ") {
        Some((before, _)) => format!("{before}cannot be written: REASON\n"),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

fn a_missing_home_is_told_and_stops_nothing() {
    let world = world(Token::None);
    let config = world.home.path().join(".aws/config");
    let mut command = world.command(&format!("{BUCKETS} --no-browser"));
    // As jobs without a home have it: nothing can be there, for root neither.
    command.env("HOME", "/dev/null").env("AWS_CONFIG_FILE", config);
    let mut person = Person::before(command);
    let code = person.reads_code();
    approve(&world, &code);
    let run = person.sees_the_end().ended(0);
    assert_eq!(run.rows().len(), 6);
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        sign in to `acme`: open http://SIMULATOR/device?user_code=CODE
          and check that it shows the code CODE (good for 10 min)
        signed in to `acme`
        warning: the sign-in to `acme` was not kept for the next command: `/dev/null/.aws/sso/cache/293abb6b76d7791c0732cc517d38c4b5c734b87f.json` cannot be written: REASON
        hint: make `~/.aws/sso/cache` a folder that you can write to
        6 buckets from 2 of 2 accounts, in all regions
    "]].assert_eq(&without_os_error(&seen(&world, &run, &code)));
}

fn a_session_that_is_dead_leaves_the_other_alone() {
    let organisation = || {
        Organisation::from_spec(OrganisationSpec { accounts: 4, sessions: 2, ..OrganisationSpec::default() })
    };
    let world = World::with(organisation(), manual(), Token::Good);
    let whole = world.run(BUCKETS).ended(0);
    world.control(Control::EndTokens { session: Some("acme-2".to_owned()) });
    world.control(Control::RefuseRefresh { session: Some("acme-2".to_owned()), refuse: true });
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --no-input"));
    let run = run.ended(3);
    assert_eq!(statuses(&ledger), "ok 2, sign_in_expired 2");
    let accounts: BTreeSet<_> = [0, 2].map(|index| world.simulator.organisation().account(index).id).into();
    let of_acme = |rows: Vec<Value>| -> Vec<Value> {
        rows.into_iter().filter(|row| accounts.contains(row["account_id"].as_str().expect("text"))).collect()
    };
    assert_eq!(run.rows(), of_acme(whole.rows()), "all of the other session's rows, and no others");
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        warning: the portal refuses the sign-in to sso-session `acme-2`, and it cannot be refreshed; 2 tasks without a sign-in
        hint: run `ssoinv login --profile data-staging-00001-AdministratorAccess`, then the same command again
        6 buckets from 2 of 4 accounts, in all regions; 2 tasks without a sign-in: partial
    "]].assert_eq(&world.shown(&run.stderr));

    // With somebody there one code is asked for, and the good token stays as it is.
    let good = fs::read(cache(&world).join(OF_SESSION)).expect("a token");
    let (run, code) = sign_in(&world, BUCKETS);
    let run = run.ended(0);
    assert_eq!(run.stdout, whole.stdout);
    expect![[r"
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        sign in to `acme-2`: open http://SIMULATOR/device?user_code=CODE
          and check that it shows the code CODE (good for 10 min)
        signed in to `acme-2`
        12 buckets from 4 of 4 accounts, in all regions
    "]]
    .assert_eq(&seen(&world, &run, &code));
    assert_eq!(fs::read(cache(&world).join(OF_SESSION)).expect("a token"), good);
}

fn a_token_of_another_start_url_or_region_is_not_sent() {
    for (key, own, other) in [
        ("start URL", "https://acme0.awsapps.com/start", "https://evil.awsapps.com/start"),
        ("region", "sso_region = us-east-1", "sso_region = eu-west-1"),
    ] {
        let world = world(Token::Good);
        let config = world.home.path().join(".aws/config");
        let text = fs::read_to_string(&config).expect("a file");
        // Its `endpoint_url` is where whoever wrote it listens: the simulator counts what arrives there.
        fs::write(&config, text.replace(own, other)).expect("written");
        let run = world.run(&format!("{BUCKETS} --no-input")).ended(3);
        assert_eq!(world.simulator.calls(), [], "another {key}: no token, no call");
        match key {
            "region" => expect![[r"
                warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
                hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
                warning: a cached token for `acme` was not used: it is for region `us-east-1`, not `eu-west-1`
                warning: not signed in to sso-session `acme`; 2 tasks without a sign-in
                hint: run `ssoinv login --profile fraud-staging-00000-AdministratorAccess`, then the same command again
                0 buckets from 0 of 2 accounts, in all regions; 2 tasks without a sign-in: partial
            "]].assert_eq(&world.shown(&run.stderr)),
            _ => expect![[r"
                warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
                hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
                warning: a cached token for `acme` was not used: it is for start URL `https://acme0.awsapps.com/start`, not `https://evil.awsapps.com/start`
                warning: not signed in to sso-session `acme`; 2 tasks without a sign-in
                hint: run `ssoinv login --profile fraud-staging-00000-AdministratorAccess`, then the same command again
                0 buckets from 0 of 2 accounts, in all regions; 2 tasks without a sign-in: partial
            "]].assert_eq(&world.shown(&run.stderr)),
        }
    }
}

fn nothing_secret_goes_over_plain_http() {
    let secure = world(Token::Good);
    // Not loopback by its name, but on many systems it leads to this machine: what was sent would be seen.
    let elsewhere = secure.simulator.url().replace("127.0.0.1", "0.0.0.0");
    let reachable = TcpStream::connect(elsewhere.trim_start_matches("http://")).is_ok();
    assert!(reachable || !cfg!(target_os = "linux"), "else this test would prove nothing");

    let config = secure.home.path().join(".aws/config");
    let text = fs::read_to_string(&config).expect("a file");
    let second = text.rfind("endpoint_url").expect("two profiles");
    let (before, after) = text.split_at(second);
    fs::write(&config, format!("{before}{}", after.replace("127.0.0.1", "0.0.0.0"))).expect("written");
    let (run, ledger) = secure.with_ledger(&format!("{BUCKETS} --no-input"));
    let run = run.ended(4);
    assert_eq!(statuses(&ledger), "misconfigured 1, ok 1");
    assert_eq!(run.rows().len(), 3, "the other profile is good");
    let second = secure.simulator.organisation().account(1).id;
    assert!(secure.simulator.calls().iter().all(|call| call.account != second), "nothing was sent there");
    expect![[r"
        warning: ~/.aws/config:18: `endpoint_url` of profile `data-staging-00001-AdministratorAccess` would send credentials over plain http: `http://ELSEWHERE`
        hint: write an `https` URL; plain `http` is for loopback only
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        warning: profile `data-staging-00001-AdministratorAccess` can't be used: the endpoint `http://ELSEWHERE` (~/.aws/config:18) is neither https nor on this machine, so nothing secret goes there; 1 task misconfigured
        hint: write it with `https://`, or take it out
        3 buckets from 1 of 2 accounts, in all regions; 1 task misconfigured: partial
    "]].assert_eq(&secure.shown(&run.stderr).replace(&elsewhere, "http://ELSEWHERE"));

    for (variable, refused) in [
        ("AWS_ENDPOINT_URL", None),
        ("AWS_ENDPOINT_URL_SSO", None),
        ("AWS_ENDPOINT_URL_SSO_OIDC", None),
        // Keys are as secret as the token is.
        ("AWS_ENDPOINT_URL_S3", Some(Service::S3)),
    ] {
        let world = world(Token::Good);
        let elsewhere = world.simulator.url().replace("127.0.0.1", "0.0.0.0");
        let world = world.variable(variable, &elsewhere);
        let (run, ledger) = world.with_ledger(&format!("{BUCKETS} --no-input"));
        let run = run.ended(5);
        assert_eq!(statuses(&ledger), "misconfigured 2", "{variable}");
        let mut calls = world.simulator.calls();
        calls.retain(|call| refused.is_none_or(|refused| call.service == refused));
        assert_eq!(calls, [], "{variable}: no call, and so no token");
        if variable == "AWS_ENDPOINT_URL_SSO" {
            expect![[r"
                warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
                hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
                warning: profile `fraud-staging-00000-AdministratorAccess` can't be used: the endpoint `http://ELSEWHERE` (AWS_ENDPOINT_URL_SSO) is neither https nor on this machine, so nothing secret goes there (and 1 more like it: `data-staging-00001-AdministratorAccess`); 2 tasks misconfigured
                hint: write it with `https://`, or take it out
                0 buckets from 0 of 2 accounts, in all regions; 2 tasks misconfigured: partial
            "]].assert_eq(&world.shown(&run.stderr).replace(&elsewhere, "http://ELSEWHERE"));
        }
    }
}

fn an_endpoint_that_is_not_aws_s_is_named_once() {
    let told = |world: &World, arguments: &str| {
        let run = world.run(&format!("{arguments} --no-input")).ended(3);
        let lines =
            run.stderr.lines().filter(|line| line.contains("not AWS's")).map(|line| world.shown(line));
        lines.collect::<Vec<_>>()
    };
    // Four profiles, each with its line.
    let four = World::with(seeded(4), manual(), Token::None);
    expect![[r#"
        [
            "warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)",
        ]
    "#]]
    .assert_debug_eq(&told(&four, BUCKETS));

    let elsewhere = World::without_home(seeded(4), manual());
    elsewhere.simulator.home().without_endpoint().write(elsewhere.home.path()).expect("a home");
    assert_eq!(told(&elsewhere, BUCKETS), [""; 0], "AWS's own need no word");
    let elsewhere = elsewhere
        .variable("AWS_ENDPOINT_URL_SSO", "https://portal.sso.us-east-1.amazonaws.com.evil.example")
        .variable("AWS_ENDPOINT_URL_SSO_OIDC", "https://oidc.us-east-1.amazonaws.com");
    expect![[r#"
        [
            "warning: sign-ins and tokens go to `https://portal.sso.us-east-1.amazonaws.com.evil.example`, which is not AWS's (`AWS_ENDPOINT_URL_SSO`)",
        ]
    "#]].assert_debug_eq(&told(&elsewhere, BUCKETS));
}
