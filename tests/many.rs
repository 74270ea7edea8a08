//! Hundreds of accounts, in many of which something goes wrong at once: the ledger says what the simulator was told to do,
//! and every row of what went well is there once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;
use ssoinv_sim::{
    Control, Effect, Fault, Limits, Lockout, Options, Organisation, OrganisationSpec, Rate, RetryHeader,
    Service, Token,
};

use crate::faults::{look, looked_at};
use crate::support::{Run, World, rows_of, run, seeded, statuses};
use crate::tests;

tests![
    five_of_a_hundred_of_each_kind,
    a_token_that_ends_costs_those_in_line_no_call,
    a_portal_that_shuts_out_whoever_is_too_quick,
    more_hosts_than_files_may_be_open,
    more_calls_at_once_than_files_may_be_open,
];

/// The list call of each table.
const LIST_CALLS: [(&str, &str); 3] = [
    ("aws_s3_bucket", "ListBuckets"),
    ("aws_ec2_instance", "DescribeInstances"),
    ("aws_lambda_function", "ListFunctions"),
];

const EVERYTHING: &str =
    "list aws_s3_bucket aws_ec2_instance aws_lambda_function --all-profiles -o ndjson --no-input";

/// What goes wrong with one list call of each twentieth account, how often, and how its cell ends.
fn wrongs() -> [(Effect, Option<u32>, &'static str); 9] {
    let throttle = Effect::Throttle { retry_after: None, header: RetryHeader::RetryAfter };
    [
        (Effect::Denied, None, "denied"),
        (Effect::DeniedByScp, None, "denied_by_scp"),
        (throttle, Some(2), "ok"),
        (Effect::TooMany429, Some(1), "ok"),
        (Effect::Reset, None, "failed"),
        (Effect::Reset, Some(1), "ok"),
        (Effect::Stall, None, "unreachable"),
        (Effect::Garbage, None, "failed"),
        (Effect::TruncateBody, Some(1), "ok"),
    ]
}

fn five_of_a_hundred_of_each_kind() {
    const ACCOUNTS: usize = 500;
    let organisation = Organisation::from_spec(OrganisationSpec {
        accounts: ACCOUNTS,
        buckets: 1,
        instances: 1,
        functions: 1,
        ..OrganisationSpec::default()
    });
    let world = World::without_home(organisation, Options::default());
    // Keys of all but each twentieth account are cached already: the portal allows 20 calls a second.
    world.simulator.home().token(Token::Good).role_credentials().write(world.home.path()).expect("a home");
    let mut expected = BTreeMap::new();
    let mut uncached = BTreeSet::new();
    for index in 0..ACCOUNTS {
        let account = world.simulator.organisation().account(index);
        for (table, _) in LIST_CALLS {
            expected.insert((account.id.clone(), table), "ok");
        }
        let (kind, turn) = (index % 20, index / 20);
        if let Some((effect, times, status)) = wrongs().into_iter().nth(kind) {
            let (table, operation) = LIST_CALLS[turn % LIST_CALLS.len()];
            let fault = Fault::new(effect).operation(operation).account(&account.id);
            let fault = times.into_iter().fold(fault, Fault::times);
            world.simulator.fault(fault).expect("a fault");
            expected.insert((account.id, table), status);
        } else if kind == 19 {
            uncached.insert(account.id.clone());
            // The portal refuses some of these.
            if turn % 5 == 0 {
                let refused = Fault::new(Effect::Forbidden403).operation("GetRoleCredentials");
                world.simulator.fault(refused.account(&account.id)).expect("a fault");
                for (table, _) in LIST_CALLS {
                    expected.insert((account.id.clone(), table), "denied");
                }
            }
        }
    }
    let cache = world.home.path().join(".aws/cli/cache");
    for entry in fs::read_dir(&cache).expect("a folder") {
        let path = entry.expect("an entry").path();
        let keys: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
        if keys["Credentials"]["AccountId"].as_str().is_some_and(|id| uncached.contains(id)) {
            fs::remove_file(path).expect("removed");
        }
    }
    // Five pages of accounts, then 25 accounts' keys, 5 of which are refused twice: the token ends five times on the way.
    world.control(Control::EndTokensAfter { session: None, calls: 6, times: 5 });
    let world = world.variable("AWS_MAX_ATTEMPTS", "2");
    let (run, ledger) = look(&world, &format!("{EVERYTHING} --attempt-timeout 4s"));
    run.ended(4);
    let found: BTreeMap<(String, &str), &str> = ledger
        .iter()
        .map(|cell| {
            let text = |name: &str| cell[name].as_str().expect("text");
            ((text("account_id").to_owned(), text("table")), text("status"))
        })
        .collect();
    assert_eq!(ledger.len(), 3 * ACCOUNTS, "each task once");
    let differ = found.iter().filter(|(key, status)| expected.get(*key) != Some(*status));
    assert_eq!(differ.collect::<Vec<_>>(), [], "the ledger says what was done to it");
    assert_eq!(found.len(), expected.len());
    assert_eq!(statuses(&ledger), "denied 40, denied_by_scp 25, failed 50, ok 1360, unreachable 25");
    assert_eq!(world.simulator.count(Service::OIDC, "CreateToken"), 5, "one refresh each time");
    assert_eq!(world.simulator.count(Service::OIDC, "RegisterClient"), 0);
    assert_eq!(world.simulator.reuses(), 0, "no refresh token twice");
}

fn a_token_that_ends_costs_those_in_line_no_call() {
    let world = World::with(seeded(60), Options::default(), Token::Good);
    // Sixteen calls are made at once; then they stand in line, at eight a second.
    world.control(Control::EndTokensAfter { session: None, calls: 20, times: 1 });
    let (run, ledger) = look(&world, &format!("{EVERYTHING} --no-credential-cache"));
    run.ended(0);
    assert_eq!(statuses(&ledger), "ok 180");
    let calls = world.simulator.calls();
    let refused = calls.iter().filter(|call| call.service == Service::PORTAL && call.status == 401).count();
    assert!((1..=16).contains(&refused), "{refused} of the 41 calls that had yet to be made were refused");
    assert_eq!(world.simulator.count(Service::OIDC, "CreateToken"), 1);
}

fn a_portal_that_shuts_out_whoever_is_too_quick() {
    let limits = Limits {
        // The first sixteen calls come at once: six are too many.
        portal_lockout: Some(Lockout { refusals: 5, within: 10.0, seconds: 3.0 }),
        ..Limits::off().rate(Service::PORTAL, Rate { burst: 10.0, per_second: 10.0 })
    };
    let world = World::with(seeded(60), Options { limits, ..Options::default() }, Token::Good);
    let (run, ledger) = look(&world, &format!("{EVERYTHING} --no-credential-cache"));
    run.ended(0);
    assert_eq!(statuses(&ledger), "ok 180");
    assert_eq!(world.simulator.lockouts(), 1, "once is enough to learn from");
}

/// Runs where only so many files may be open at once, and checks the rows as [`look`] does.
fn with_few_files(world: &World, files: u32, arguments: &str) -> (Run, Vec<Value>) {
    let coverage = world.home.path().join("coverage.json");
    let command = world.command(&format!("{arguments} --coverage {}", coverage.display()));
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("ulimit -n {files}; exec \"$0\" \"$@\""));
    limited.arg(command.get_program()).args(command.get_args());
    limited.env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = run(limited).ended(0);
    let ledger = rows_of(&coverage);
    looked_at(world, &ended, &ledger);
    (ended, ledger)
}

fn more_hosts_than_files_may_be_open() {
    // Two services in 17 regions, each a host of its own, whose connections stay open for a while.
    let world = World::through_the_proxy(seeded(40), Options::default(), Token::Good);
    let arguments = "list aws_s3_bucket aws_ec2_instance aws_lambda_function --all-profiles --region all \
                     --concurrency 128 -o ndjson --no-input";
    let (_, ledger) = with_few_files(&world, 256, arguments);
    assert_eq!(statuses(&ledger), format!("ok {}", 40 * (1 + 2 * 17)));
}

fn more_calls_at_once_than_files_may_be_open() {
    let world = World::seeded(20);
    world.simulator.fault(Fault::new(Effect::Latency(300)).service(Service::EC2)).expect("a fault");
    world.simulator.fault(Fault::new(Effect::Latency(300)).service(Service::LAMBDA)).expect("a fault");
    let arguments = "list aws_s3_bucket aws_ec2_instance aws_lambda_function --all-profiles --region all \
                     --concurrency 512 -o ndjson --no-input";
    let (run, ledger) = with_few_files(&world, 256, arguments);
    assert_eq!(statuses(&ledger), format!("ok {}", 20 * (1 + 2 * 17)));
    let retries: u64 = ledger.iter().filter_map(|cell| cell["retries"].as_u64()).sum();
    assert_eq!(retries, 0, "no call was made for which there was no room");
    run.said("warning: only 256 files may be open at once: too few for 512 calls")
        .said("hint: raise it with `ulimit -n");
}
