//! The caches that ssoinv shares with the AWS CLI and with itself: many processes, writers that don't lock, and ends at
//! any moment.

use std::fs;
use std::hint::spin_loop;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use ssoinv_sim::{Approval, Control, Effect, Fault, Options, Service, Token};

use crate::support::{Run, World, finish, finish_within, kill, seeded};
use crate::tests;

tests![
    sixteen_processes_make_one_refresh,
    a_token_that_is_written_in_place_all_the_time_is_always_read,
    killed_at_any_moment_the_token_is_the_old_or_the_new_one,
    a_lock_that_is_held_is_waited_for_and_then_done_without,
    a_parked_run_goes_on_with_a_token_from_elsewhere,
    what_the_aws_cli_refreshed_first_is_used,
    with_no_input_nothing_is_read_and_the_end_is_near,
    role_credentials_serve_the_next_run,
    role_credentials_of_the_aws_cli_are_used,
    role_credentials_are_left_alone_where_that_is_said,
    role_credentials_that_end_soon_or_are_broken_are_asked_for,
    role_credentials_that_aws_refuses_are_asked_for_once,
    role_credentials_are_not_used_for_a_session_that_only_has_the_name,
    a_credential_cache_that_cannot_be_written_is_told_and_stops_nothing,
];

/// SHA-1 of `acme`, by Python's hashlib.
const OF_SESSION: &str = "293abb6b76d7791c0732cc517d38c4b5c734b87f";

const BUCKETS: &str = "buckets --all-profiles --no-input -o json";

/// A token that has ten minutes left, less than a refresh needs; the next one lives as usual.
fn about_to_expire(accounts: usize) -> World {
    let options = Options { token_lifetime: Some(600), ..Options::default() };
    let world = World::with(seeded(accounts), options, Token::Good);
    world.control(Control::TokenLifetime { seconds: None });
    world
}

fn token_file(world: &World) -> PathBuf {
    world.home.path().join(".aws/sso/cache").join(OF_SESSION).with_extension("json")
}

fn credential_files(world: &World) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(world.home.path().join(".aws/cli/cache")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn json_of(file: &PathBuf) -> Value {
    let text = fs::read_to_string(file).expect("a file");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", file.display()))
}

fn refreshes(world: &World) -> u64 {
    world.simulator.count(Service::OIDC, "CreateToken")
}

fn asked(world: &World) -> u64 {
    world.simulator.count(Service::PORTAL, "GetRoleCredentials")
}

/// Runs a command so often at once, and gives how each ended.
fn at_once(world: &World, arguments: &str, number: usize) -> Vec<Run> {
    thread::scope(|scope| {
        let started: Vec<_> = (0..number)
            .map(|_| {
                let mut command = world.command(arguments);
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let child = command.spawn().expect("the binary starts");
                scope.spawn(move || finish(child))
            })
            .collect();
        started.into_iter().map(|run| run.join().expect("no panic")).collect()
    })
}

fn sixteen_processes_make_one_refresh() {
    let world = about_to_expire(2);
    // Slow enough that all of them have come before the first is done.
    world.simulator.fault(Fault::new(Effect::Latency(500)).operation("CreateToken")).expect("a fault");
    for run in at_once(&world, &format!("{BUCKETS} --no-credential-cache"), 16) {
        assert_eq!(run.ended(0).rows().len(), 6);
    }
    assert_eq!((refreshes(&world), world.simulator.reuses()), (1, 0));
    // And the same where it had ended already.
    let world = World::with(seeded(2), Options::default(), Token::Expired);
    for run in at_once(&world, &format!("{BUCKETS} --no-credential-cache"), 16) {
        assert_eq!(run.ended(0).rows().len(), 6);
    }
    assert_eq!((refreshes(&world), world.simulator.reuses()), (1, 0));
}

fn a_token_that_is_written_in_place_all_the_time_is_always_read() {
    let world = World::with(seeded(1), Options::default(), Token::WithoutRefresh);
    let file = token_file(&world);
    let text = fs::read(&file).expect("a token");
    let done = AtomicBool::new(false);
    let (mut halves, mut failed) = (0_u64, Vec::new());
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut writes = 0_u64;
            while !done.load(Ordering::Relaxed) {
                // As the AWS CLI writes: open, truncate, write; here in two pieces.
                let mut file = fs::File::create(&file).expect("the file");
                let (head, tail) = text.split_at(text.len() / 2);
                file.write_all(head).expect("written");
                thread::yield_now();
                file.write_all(tail).expect("written");
                writes += 1;
            }
            writes
        });
        for _ in 0..10 {
            let ended = at_once(&world, &format!("{BUCKETS} --no-credential-cache"), 10);
            failed.extend(ended.into_iter().filter(|run| run.code != Some(0)));
        }
        // What a reader that looks once would have seen.
        for _ in 0..10_000 {
            let seen = fs::read(&file).expect("the file");
            halves += u64::from(seen.len() < text.len());
        }
        done.store(true, Ordering::Relaxed);
        assert!(writer.join().expect("no panic") > 100);
    });
    assert!(halves > 0, "the file was whole at each look");
    assert!(failed.is_empty(), "{} of 100: {:#?}", failed.len(), failed[0]);
}

/// The kill falls on ever later moments after the answer of the refresh; what must hold, holds at each of them.
fn killed_at_any_moment_the_token_is_the_old_or_the_new_one() {
    let (mut old, mut new) = (0, 0);
    for round in 0..40_u32 {
        let world = about_to_expire(1);
        let before = json_of(&token_file(&world));
        let mut command = world.command(BUCKETS);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        while refreshes(&world) == 0 {
            thread::yield_now();
        }
        for _ in 0..round * round * 500 {
            spin_loop();
        }
        kill(child.id(), rustix::process::Signal::KILL);
        child.wait().expect("it ends");

        let after = json_of(&token_file(&world));
        if after == before {
            old += 1;
            continue;
        }
        new += 1;
        assert_ne!(after["accessToken"], before["accessToken"]);
        assert_ne!(after["refreshToken"], before["refreshToken"]);
        assert_eq!(after["startUrl"], before["startUrl"]);
        // Whole, and the kernel has freed the lock.
        world.run(BUCKETS).ended(0);
        assert_eq!(refreshes(&world), 1);
    }
    assert!(old + new == 40 && new > 0, "{old} old, {new} new");
}

fn a_lock_that_is_held_is_waited_for_and_then_done_without() {
    let world = about_to_expire(1);
    let before = json_of(&token_file(&world));
    let lock = fs::File::create(token_file(&world).with_extension("lock")).expect("a file");
    lock.lock().expect("locked");
    let run = world.run(&format!("{BUCKETS} --no-credential-cache")).ended(0);
    drop(lock);
    assert_eq!(refreshes(&world), 1);
    assert_eq!(json_of(&token_file(&world)), before, "nothing was written");
    run.said("is being changed by another process, for more than 30 seconds now");
}

fn a_parked_run_goes_on_with_a_token_from_elsewhere() {
    let options = Options { approval: Approval::Manual, device_interval: 0, ..Options::default() };
    let world = World::with(seeded(2), options, Token::None);
    let mut person = world.at_terminal("buckets --all-profiles -o json --no-browser");
    person.reads_code();
    // `aws sso login` in another terminal.
    let other = tempfile::tempdir().expect("a folder");
    world.simulator.home().token(Token::Good).write(other.path()).expect("a home");
    let token = other.path().join(".aws/sso/cache").join(OF_SESSION).with_extension("json");
    fs::create_dir_all(token_file(&world).parent().expect("a folder")).expect("made");
    fs::copy(token, token_file(&world)).expect("copied");
    let run = person.sees_the_end().ended(0).said("somebody has signed in to `acme` elsewhere");
    assert_eq!(run.rows().len(), 6);
    assert_eq!(world.simulator.pending().len(), 1, "nobody approved the code");
}

/// The AWS CLI takes no lock: the token may be another by the time that a refresh is refused.
fn what_the_aws_cli_refreshed_first_is_used() {
    let world = about_to_expire(1);
    world.control(Control::RefuseRefresh { session: None, refuse: true });
    world.simulator.fault(Fault::new(Effect::Latency(1000)).operation("CreateToken")).expect("a fault");
    let mut command = world.command(&format!("{BUCKETS} --no-credential-cache"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary starts");
    // It has come to refresh, and waits for the answer.
    while world.simulator.peak(Service::OIDC, "") == 0 {
        thread::yield_now();
    }
    // The old token has ended meanwhile, so the run can't go on with it.
    world.control(Control::EndTokens { session: None });
    let other = tempfile::tempdir().expect("a folder");
    world.simulator.home().token(Token::Good).write(other.path()).expect("a home");
    let other = other.path().join(".aws/sso/cache").join(OF_SESSION).with_extension("json");
    let fresh = fs::read(other).expect("a token");
    fs::write(token_file(&world), &fresh).expect("written");
    let run = finish(child);
    assert_eq!(refreshes(&world), 1);
    assert_eq!(fs::read(token_file(&world)).expect("a token"), fresh);
    run.ended(0);
}

fn with_no_input_nothing_is_read_and_the_end_is_near() {
    let world = World::with(seeded(1), Options::default(), Token::None);
    for arguments in [BUCKETS, "login --no-input"] {
        let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"yes\n").expect("written");
        let mut command = world.command(arguments);
        command.stdin(reader.try_clone().expect("another end"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("the binary starts");
        // With it the child's end of stdin that this process holds.
        drop(command);
        // There is no service to wait for: the refusal is the first thing that happens.
        finish_within(child, Duration::from_secs(2)).ended(3);
        drop(writer);
        let mut left = String::new();
        reader.read_to_string(&mut left).expect("read");
        assert_eq!(left, "yes\n", "stdin was read");
    }
    assert_eq!(world.simulator.calls(), []);
}

fn role_credentials_serve_the_next_run() {
    let world = World::seeded(3);
    let first = world.run(BUCKETS).ended(0);
    assert_eq!(asked(&world), 3);
    let second = world.run(BUCKETS).ended(0);
    assert_eq!(second.stdout, first.stdout);
    assert_eq!(asked(&world), 3, "the second run asked for none");
    let files = credential_files(&world);
    assert_eq!(files.len(), 3);
    for file in &files {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(file).expect("it is there").permissions().mode() & 0o777, 0o600);
        let cached = json_of(file);
        assert_eq!(cached["ProviderType"], "sso");
        let keys = cached["Credentials"].as_object().expect("an object");
        let names: Vec<&String> = keys.keys().collect();
        let expected = ["AccessKeyId", "AccountId", "Expiration", "SecretAccessKey", "SessionToken"];
        assert_eq!(names, expected);
    }
}

/// What the AWS CLI has got, and a second home of the same organisation that has nothing but it.
fn with_credentials_of_the_cli(change: impl Fn(&mut Value)) -> World {
    let world = World::seeded(1);
    world.run(BUCKETS).ended(0);
    for file in credential_files(&world) {
        let mut cached = json_of(&file);
        change(&mut cached);
        fs::write(file, cached.to_string()).expect("written");
    }
    world.simulator.reset_counters();
    world
}

fn role_credentials_of_the_aws_cli_are_used() {
    // Botocore's own spelling of times, and no account, as it was until 2024.
    let world = with_credentials_of_the_cli(|cached| {
        let keys = cached["Credentials"].as_object_mut().expect("an object");
        keys.remove("AccountId");
        let end = keys["Expiration"].as_str().expect("a time").replace('Z', "UTC");
        keys["Expiration"] = json!(end);
    });
    world.run(BUCKETS).ended(0);
    assert_eq!(asked(&world), 0);
}

fn role_credentials_are_left_alone_where_that_is_said() {
    let world = World::seeded(1);
    world.run(&format!("{BUCKETS} --no-credential-cache")).ended(0);
    assert_eq!(credential_files(&world), Vec::<PathBuf>::new());
    world.run(BUCKETS).ended(0);
    let before = json_of(&credential_files(&world)[0]);
    world.run(&format!("{BUCKETS} --no-credential-cache")).ended(0);
    assert_eq!(asked(&world), 3);
    assert_eq!(json_of(&credential_files(&world)[0]), before);
}

fn role_credentials_that_end_soon_or_are_broken_are_asked_for() {
    let soon = with_credentials_of_the_cli(|_| ());
    soon.control(Control::RoleLifetime { seconds: Some(299) });
    fs::remove_dir_all(soon.home.path().join(".aws/cli")).expect("removed");
    soon.run(BUCKETS).ended(0);
    let before = asked(&soon);
    soon.control(Control::RoleLifetime { seconds: None });
    soon.run(BUCKETS).ended(0);
    assert_eq!(asked(&soon), before + 1, "less than five minutes were left");

    for change in [
        |cached: &mut Value| cached["Credentials"]["SecretAccessKey"] = json!(""),
        |cached: &mut Value| cached["Credentials"]["Expiration"] = json!("soon"),
        |cached: &mut Value| cached["Credentials"]["AccountId"] = json!("999999999999"),
        |cached: &mut Value| cached["Credentials"] = json!([]),
        |cached: &mut Value| cached["ProviderType"] = json!("assume-role"),
        |cached: &mut Value| *cached = json!("text"),
    ] {
        let world = with_credentials_of_the_cli(change);
        world.run(BUCKETS).ended(0);
        assert_eq!(asked(&world), 1);
        world.run(BUCKETS).ended(0);
        assert_eq!(asked(&world), 1, "and those are kept");
    }
}

fn role_credentials_that_aws_refuses_are_asked_for_once() {
    let world = with_credentials_of_the_cli(|_| ());
    world.control(Control::ExpireRoleCredentials {
        account: None,
        role: None,
        after_calls: 0,
        times: Some(0),
    });
    world.run(BUCKETS).ended(0);
    assert_eq!(asked(&world), 1);
}

/// The name is all that leads to a file; a config from somewhere could use it for a start URL of its own.
fn role_credentials_are_not_used_for_a_session_that_only_has_the_name() {
    let world = with_credentials_of_the_cli(|_| ());
    let config = world.home.path().join(".aws/config");
    let text = fs::read_to_string(&config).expect("a config");
    fs::write(&config, text.replace("acme0.awsapps.com", "evil.awsapps.com")).expect("written");
    world.run(BUCKETS).ended(3).said("a cached token for `acme` was not used");
    let calls = world.simulator.calls();
    assert!(calls.is_empty(), "{calls:?}");
}

fn a_credential_cache_that_cannot_be_written_is_told_and_stops_nothing() {
    let world = World::seeded(2);
    fs::write(world.home.path().join(".aws/cli"), "in the way").expect("written");
    let run = world.run(BUCKETS).ended(0).said("role credentials were not kept for the next command: `");
    assert_eq!(run.stderr.matches("were not kept").count(), 1, "{}", run.stderr);
}
