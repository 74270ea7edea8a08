//! Runs that are kept: stopped wherever, and gone on with, they give what an unbroken run gives, and nothing is done twice.
//! What is kept, and what is refused: `runs.rs`.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use expect_test::expect;
use rustix::process::Signal;
use serde_json::Value;
use ssoinv_sim::{Control, Effect, Fault, Options, Organisation, OrganisationSpec, Service, Token};

use crate::support::{Live, Run, World, column, rows_of, run, seeded, statuses, walk};
use crate::tests;

tests![
    an_interrupted_run_goes_on_where_it_stopped,
    a_terminated_run_goes_on_too,
    a_killed_run_goes_on_wherever_it_was,
    a_run_killed_again_and_again_ends_well,
    what_is_torn_is_done_again_and_nothing_else,
    a_full_disk_is_told_and_nothing_is_half_written,
    a_sign_in_that_ended_is_no_reason_to_begin_anew,
    a_run_that_never_was_signed_in_goes_on_once_somebody_is,
    what_failed_is_asked_again_and_nothing_else,
    a_reader_that_went_is_no_reason_to_begin_anew,
    an_output_that_failed_is_written_by_the_next,
    a_complete_run_is_told_once_more_without_a_call,
    what_is_too_old_is_collected_anew,
    every_table_comes_back_in_every_format,
    roles_and_regions_are_not_found_out_twice,
    an_account_that_has_gone_is_left_out_and_said,
    an_account_that_is_expected_since_then_is_not_missed,
];

/// What a call's answer is made of, and what it may be compared by.
const TABLES: &str = "list aws_s3_bucket aws_ec2_instance aws_lambda_function --all-profiles --region us-east-1,us-west-2 -o ndjson";

pub(crate) fn kept(world: &World) -> PathBuf {
    world.home.path().join(".local/state/ssoinv/kept")
}

/// The whole records of a run's journal.
fn records(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("journal")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line.get(9..)?).ok()).collect()
}

fn tasks_done(folder: &Path) -> usize {
    records(folder).iter().filter(|record| record["task"]["done"] == true).count()
}

/// Waits for what the program is about to do. It is far from this long; but a test must end.
fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_mins(1), "it never came to that");
        thread::yield_now();
    }
}

/// How often each account's buckets were listed.
fn listed(world: &World) -> BTreeMap<String, u64> {
    let counts = world.simulator.counts().into_iter().filter(|count| count.operation == "ListBuckets");
    counts.map(|count| (count.account, count.calls)).collect()
}

/// Calls to anything but the portal's list of accounts, which gives names.
fn calls(world: &World) -> usize {
    world.simulator.calls().into_iter().filter(|call| call.operation != "ListAccounts").count()
}

/// The ledger, less what differs at each run.
fn ledger_of(file: &Path) -> Vec<Value> {
    let mut rows = rows_of(file);
    for row in &mut rows {
        let row = row.as_object_mut().expect("a row");
        for column in ["run_id", "started_at", "duration_ms", "request_id", "calls", "retries"] {
            row.remove(column);
        }
    }
    rows
}

/// Ten accounts whose last one never answers.
pub(crate) struct Stalled {
    pub(crate) world: World,
    /// What an unbroken run gives.
    unbroken: Run,
    ledger: Vec<Value>,
    last: String,
}

pub(crate) const ACCOUNTS: usize = 10;

impl Stalled {
    pub(crate) fn new() -> Self {
        let world = World::seeded(ACCOUNTS);
        let file = world.home.path().join("unbroken.json");
        let unbroken =
            world.run(&format!("buckets --all-profiles -o json --coverage {}", file.display())).ended(0);
        let last = world.simulator.organisation().account(ACCOUNTS - 1).id;
        let held = Fault::new(Effect::Stall).account(&last).operation("ListBuckets");
        world.simulator.fault(held).expect("a fault");
        world.simulator.reset_counters();
        Self { ledger: ledger_of(&file), world, unbroken, last }
    }

    /// Starts a run and waits until all but the last account are written down.
    pub(crate) fn start(&self, more: &str) -> Live {
        let live = Live::start(self.world.command(&format!("buckets --all-profiles -o json --run r {more}")));
        let folder = kept(&self.world).join("r");
        until(|| tasks_done(&folder) == ACCOUNTS - 1);
        live
    }

    /// Goes on, now that the last account answers.
    #[track_caller]
    pub(crate) fn resumes(&self) {
        self.world.simulator.clear_faults();
        self.world.simulator.reset_counters();
        let file = self.world.home.path().join("resumed.json");
        let run = self.world.run(&format!("resume r --coverage {}", file.display())).ended(0);
        assert_eq!(run.stdout, self.unbroken.stdout);
        assert_eq!(ledger_of(&file), self.ledger);
        // The call that the first process left behind may be counted only now.
        assert!(listed(&self.world).keys().eq([&self.last]), "{:?}", listed(&self.world));
        let ids: Vec<Value> = rows_of(&file).into_iter().map(|row| row["run_id"].clone()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "one run has one name: {ids:?}");
    }
}

fn an_interrupted_run_goes_on_where_it_stopped() {
    let stalled = Stalled::new();
    let live = stalled.start("");
    live.signal(Signal::INT);
    let (run, _) = live.finish();
    let run = run.ended(130);
    assert_eq!(run.rows().len(), 3 * (ACCOUNTS - 1));
    expect![[r#"
        warning: 1 task not tried: interrupted
        hint: `--coverage FILE` writes down each of them
        27 buckets from 9 of 10 accounts, in all regions; 1 task not tried: partial
        the run is kept: `ssoinv resume r` goes on with it
    "#]]
    .assert_eq(&stalled.world.said_of(&run.stderr));
    stalled.resumes();
}

fn a_terminated_run_goes_on_too() {
    let stalled = Stalled::new();
    let live = stalled.start("");
    live.signal(Signal::TERM);
    live.finish().0.ended(130);
    stalled.resumes();
}

fn a_killed_run_goes_on_wherever_it_was() {
    let stalled = Stalled::new();
    let live = stalled.start("");
    live.signal(Signal::KILL);
    assert_eq!(live.finish().0.code, None);
    stalled.resumes();
}

/// Killed at each stage, until it is through.
fn a_run_killed_again_and_again_ends_well() {
    let world = World::new(Organisation::from_spec(OrganisationSpec {
        accounts: 6,
        buckets: 400,
        ..OrganisationSpec::default()
    }));
    let whole = world.run(TABLES).ended(0).stdout;
    let tasks = 6 * (1 + 2 + 2);
    let folder = kept(&world).join("r");
    let mut arguments = format!("{TABLES} --run r --concurrency 2");
    let mut most = 0;
    for seen in [0, 1, 2, 5, 9, 14, 20, 27] {
        let before = tasks_done(&folder);
        world.simulator.reset_counters();
        let live = Live::start(world.command(&arguments));
        // It may be through before it is seen to be so far.
        until(|| {
            let calls = world.simulator.calls().into_iter().filter(|call| call.service != Service::PORTAL);
            folder.join("manifest.json").exists() && (calls.count() >= seen || tasks_done(&folder) == tasks)
        });
        live.signal(Signal::KILL);
        live.finish();
        let after = tasks_done(&folder);
        assert!(after >= before, "what is written down stays");
        most = most.max(after);
        "resume r --concurrency 2".clone_into(&mut arguments);
    }
    assert!(most > 0);
    world.simulator.reset_counters();
    let done = tasks_done(&folder);
    let run = world.run("resume").ended(0);
    assert_eq!(run.stdout, whole);
    // One call a task, as there is one page of each.
    let services = world.simulator.calls().into_iter().filter(|call| call.service != Service::PORTAL).count();
    assert_eq!(services, tasks - done);
}

fn what_is_torn_is_done_again_and_nothing_else() {
    let world = World::seeded(4);
    let whole = world.run("buckets --all-profiles --run r -o json").ended(0).stdout;
    let folder = kept(&world).join("r");
    let shorten = |name: &str, by: u64| {
        let file = OpenOptions::new().write(true).open(folder.join(name)).expect("a file");
        let length = file.metadata().expect("a file").len();
        file.set_len(length - by).expect("shorter");
    };
    let resumed = |asked: u64| {
        world.simulator.reset_counters();
        let run = world.run("resume r").ended(0);
        assert_eq!(run.stdout, whole);
        assert_eq!(world.simulator.count(Service::S3, "ListBuckets"), asked);
    };
    // The end of the stream, and of the rows of the first segment's last task.
    shorten("segment-000001.arrows", 16);
    resumed(1);
    // The word that it is complete, then half of the last task's record.
    shorten("journal", 1);
    resumed(0);
    let text = fs::read_to_string(folder.join("journal")).expect("a journal");
    let is_task = |line: &&str| line.get(9..).is_some_and(|record| record.starts_with(r#"{"task":"#));
    let task = text.lines().rev().find(is_task).expect("a task");
    let end = text.find(task).expect("it is there") + task.len();
    shorten("journal", u64::try_from(text.len() - end + 10).expect("a length"));
    resumed(1);
    // More of the rows, and all of them.
    shorten("segment-000001.arrows", 3_000);
    world.simulator.reset_counters();
    assert_eq!(world.run("resume r").ended(0).stdout, whole);
    assert!(world.simulator.count(Service::S3, "ListBuckets") >= 1);
    fs::remove_file(folder.join("segment-000001.arrows")).expect("removed");
    assert_eq!(world.run("resume r").ended(0).stdout, whole);
}

/// With a file size that is limited as a disk is; what the program is told is another word for the same.
fn limited(world: &World, arguments: &str, kilobytes: u32) -> Run {
    let command = world.command(arguments);
    let mut limited = Command::new("bash");
    limited.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\""));
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    run(limited)
}

fn a_full_disk_is_told_and_nothing_is_half_written() {
    let world = World::new(Organisation::from_spec(OrganisationSpec {
        accounts: 6,
        buckets: 2_000,
        ..OrganisationSpec::default()
    }));
    let whole = world.run("buckets --all-profiles -o csv").ended(0).stdout;
    let out = world.home.path().join("rows.csv");
    fs::write(&out, "before").expect("a file");
    let arguments = format!("buckets --all-profiles --out {} --run r --concurrency 1", out.display());
    let run = limited(&world, &arguments, 1_000).ended(74);
    let said = world.said_of(&run.stderr);
    assert!(
        said.contains("error: cannot write `~/.local/state/ssoinv/kept/r/segment-000001.arrows`: "),
        "{said}"
    );
    assert!(said.ends_with("the run is kept: `ssoinv resume r` goes on with it\n"), "{said}");
    assert_eq!(fs::read_to_string(&out).expect("the file"), "before");
    let beside: Vec<String> =
        walk(world.home.path()).into_iter().filter(|name| name.starts_with(".rows")).collect();
    assert_eq!(beside, [""; 0]);
    let done = tasks_done(&kept(&world).join("r"));
    assert!((1..6).contains(&done), "{done} of 6");

    world.simulator.reset_counters();
    world.run("resume r").ended(0);
    assert_eq!(fs::read_to_string(&out).expect("the file"), whole);
    // A call that the first process left behind may be counted only now, but of no account that was done.
    assert_eq!(listed(&world).len(), 6 - done);

    // The journal, too: there is room for its first lines only.
    let arguments = format!("buckets --all-profiles --out {} --run s", out.display());
    fs::write(&out, "before").expect("a file");
    let many = World::seeded(60);
    let whole = many.run("buckets --all-profiles -o csv").ended(0).stdout;
    let run = limited(&many, &arguments, 8).ended(74);
    assert!(run.stderr.contains("error: cannot write `"), "{run:#?}");
    assert_eq!(fs::read_to_string(&out).expect("the file"), "before");
    many.run("resume s").ended(0);
    assert_eq!(fs::read_to_string(&out).expect("the file"), whole);
}

fn a_sign_in_that_ended_is_no_reason_to_begin_anew() {
    let world = World::seeded(6);
    let unbroken = world.run("buckets --all-profiles -o json --no-credential-cache").ended(0).stdout;
    world.control(Control::RefuseRefresh { session: None, refuse: true });
    world.control(Control::EndTokensAfter { session: None, calls: 4, times: 1 });
    let run = world.run("buckets --all-profiles -o json --no-credential-cache --no-input --run r").ended(3);
    let collected = run.rows().len() / 3;
    assert!((1..6).contains(&collected), "{collected} of 6");
    run.said("the run is kept: `ssoinv resume r` goes on with it");
    // Still nobody.
    let still = world.run("resume r --no-input").ended(3);
    assert_eq!(still.rows().len() / 3, collected);

    world.control(Control::RefuseRefresh { session: None, refuse: false });
    world.simulator.home().token(Token::Good).write(world.home.path()).expect("signed in");
    world.simulator.reset_counters();
    let run = world.run("resume r").ended(0);
    assert_eq!(run.stdout, unbroken);
    let left = 6 - u64::try_from(collected).expect("a number");
    assert_eq!(world.simulator.count(Service::S3, "ListBuckets"), left);
    assert_eq!(world.simulator.count(Service::PORTAL, "GetRoleCredentials"), left);
}

fn a_run_that_never_was_signed_in_goes_on_once_somebody_is() {
    for arguments in
        ["buckets --all-profiles", "buckets --all-accounts --role ReadOnlyAccess,AdministratorAccess"]
    {
        let world = World::with(seeded(3), Options::default(), Token::None);
        let run = world.run(&format!("{arguments} -o json --no-input --run r")).ended(3);
        assert!(!run.stdout.contains("arn"), "{run:#?}");
        world.simulator.home().token(Token::Good).write(world.home.path()).expect("signed in");
        let whole = world.run(&format!("{arguments} -o json")).ended(0);
        assert_eq!(world.run("resume").ended(0).stdout, whole.stdout, "{arguments}");
    }
}

fn what_failed_is_asked_again_and_nothing_else() {
    let world = World::seeded(4);
    let unbroken = world.run("buckets --all-profiles -o json").ended(0).stdout;
    let id = world.simulator.organisation().account(1).id;
    world.simulator.fault(Fault::new(Effect::Denied).account(&id).operation("ListBuckets")).expect("a fault");
    world.run("buckets --all-profiles -o json --run r").ended(4);
    world.simulator.reset_counters();
    let run = world.run("resume r").ended(4);
    assert_eq!(run.rows().len(), 9, "{run:#?}");
    assert_eq!(listed(&world), [(id.clone(), 1)].into());
    world.simulator.clear_faults();
    world.simulator.reset_counters();
    let run = world.run("resume r").ended(0);
    assert_eq!(run.stdout, unbroken);
    assert_eq!(listed(&world), [(id, 1)].into());
    expect![[r#"
        3 of 4 tasks had been done before
        12 buckets from 4 of 4 accounts, in all regions
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
}

fn a_reader_that_went_is_no_reason_to_begin_anew() {
    let world = World::new(Organisation::from_spec(OrganisationSpec {
        accounts: 3,
        buckets: 2_000,
        ..OrganisationSpec::default()
    }));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let live = Live::with_stdout(world.command("buckets --all-profiles -o csv --run r"), writer);
    live.finish().0.ended(0);
    let whole = world.run("buckets --all-profiles -o csv").ended(0).stdout;
    assert_eq!(world.run("resume r").ended(0).stdout, whole);
}

/// Everything was collected: only the output is missing.
fn an_output_that_failed_is_written_by_the_next() {
    let world = World::seeded(3);
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let live = Live::with_stdout(world.command("buckets --all-profiles -o json --run r"), full);
    let (run, _) = live.finish();
    run.ended(74).said("the run is kept: `ssoinv resume r` goes on with it");
    let whole = world.run("buckets --all-profiles -o json").ended(0).stdout;
    // How much of it had been collected by then, the pace decides.
    assert_eq!(world.run("resume r").ended(0).stdout, whole);
}

fn a_complete_run_is_told_once_more_without_a_call() {
    let world = World::seeded(4);
    let home = world.home.path().display().to_string();
    let whole = world.run(&format!("{TABLES} --run r --coverage {home}/first.json")).ended(0);
    let ledger = fs::read_to_string(format!("{home}/first.json")).expect("a ledger");
    // Nobody is signed in, nobody could be asked.
    fs::remove_dir_all(world.home.path().join(".aws/sso")).expect("removed");
    world.simulator.fault(Fault::new(Effect::Reset)).expect("a fault");
    world.simulator.reset_counters();
    let again = world.run(&format!("resume r --no-input --coverage {home}/second.json")).ended(0);
    assert_eq!(again.stdout, whole.stdout);
    assert_eq!(fs::read_to_string(format!("{home}/second.json")).expect("a ledger"), ledger);
    assert_eq!(world.simulator.calls().len(), 0);
    expect![[r#"
        the run is complete: nobody was asked for anything
        7 buckets, 40 instances, 24 functions from 4 of 4 accounts, 2 regions each (from `--region`)
    "#]]
    .assert_eq(&world.said_of(&again.stderr));
    // In another format, into a file.
    world.run(&format!("resume r --no-input -o csv --out {home}/rows/")).ended(0);
    let csv = fs::read_to_string(format!("{home}/rows/aws_s3_bucket.csv")).expect("a file");
    assert_eq!(csv.lines().count(), 1 + 7);
    // With profiles, roles, regions and settled lines of all kinds.
    let demo = World::new(Organisation::hostile());
    let home = demo.home.path();
    let config = home.join(".aws/config");
    let text = fs::read_to_string(&config).expect("a config");
    fs::write(&config, format!("{text}\n[profile none]\nregion = eu-west-1\n")).expect("a config");
    let arguments = "list aws_s3_bucket aws_ec2_instance --all-profiles -o ndjson";
    let (whole, first) = demo.with_ledger(&format!("{arguments} --run r"));
    whole.ended(0);
    assert!(column(&first, "status").contains(&"skipped"), "{}", statuses(&first));
    demo.simulator.reset_counters();
    let (_, second) = demo.with_ledger("resume r");
    assert_eq!(first, second);
    assert_eq!(demo.simulator.calls().len(), 0);
}

fn what_is_too_old_is_collected_anew() {
    let world = World::seeded(3);
    let whole = world.run("buckets --all-profiles -o json --run r").ended(0).stdout;
    for (arguments, asked) in [("resume r", 0), ("resume r --max-age 1h", 0), ("resume r --max-age 0s", 3)] {
        world.simulator.reset_counters();
        assert_eq!(world.run(arguments).ended(0).stdout, whole);
        assert_eq!(world.simulator.count(Service::S3, "ListBuckets"), asked, "{arguments}");
    }
    // What it was asked for anew is complete, too.
    world.simulator.reset_counters();
    world.run("resume r").ended(0);
    assert_eq!(calls(&world), 0);
}

fn every_table_comes_back_in_every_format() {
    let world = World::seeded(3);
    let arguments = TABLES.trim_end_matches(" -o ndjson");
    let id = world.simulator.organisation().account(0).id;
    world.simulator.fault(Fault::new(Effect::Denied).account(&id)).expect("a fault");
    world.run(&format!("{arguments} -o ndjson --run r")).ended(4);
    world.simulator.clear_faults();
    for format in ["table", "json", "ndjson"] {
        let whole = world.run(&format!("{arguments} -o {format}")).ended(0).stdout;
        assert_eq!(world.run(&format!("resume r -o {format}")).ended(0).stdout, whole, "{format}");
    }
}

/// Globs of roles and of regions must be asked for, account by account; by the run that stopped they were.
fn roles_and_regions_are_not_found_out_twice() {
    let world = World::seeded(5);
    let arguments = "list aws_s3_bucket aws_ec2_instance --all-accounts --role *Access --region us-* -o json";
    let (unbroken, _) = world.with_ledger(arguments);
    let unbroken = unbroken.ended(0).stdout;
    let id = world.simulator.organisation().account(2).id;
    let slow = Fault::new(Effect::Denied).account(&id).operation("ListBuckets");
    world.simulator.fault(slow).expect("a fault");
    world.run(&format!("{arguments} --run r")).ended(4);
    world.simulator.clear_faults();
    world.simulator.reset_counters();
    let (run, ledger) = world.with_ledger("resume r --no-credential-cache");
    assert_eq!(run.ended(0).stdout, unbroken);
    assert_eq!(column(&ledger, "status").len(), ledger.len());
    let of = |service, operation| world.simulator.count(service, operation);
    assert_eq!(of(Service::PORTAL, "ListAccountRoles"), 0);
    assert_eq!(of(Service::EC2, "DescribeRegions"), 0);
    assert_eq!(of(Service::PORTAL, "GetRoleCredentials"), 1);
    assert_eq!((of(Service::S3, "ListBuckets"), of(Service::EC2, "DescribeInstances")), (1, 0));
    // Found out too long ago, they are asked for once more.
    world.simulator.reset_counters();
    world.run("resume r --max-age 0s").ended(0);
    assert_eq!(of(Service::PORTAL, "ListAccountRoles"), 5);
    assert_eq!(of(Service::EC2, "DescribeRegions"), 5);
}

fn an_account_that_has_gone_is_left_out_and_said() {
    let state = tempfile::tempdir().expect("a folder");
    let state = state.path().display().to_string();
    let arguments = "buckets --all-accounts --role AdministratorAccess -o json";
    let before = World::seeded(4).variable("XDG_STATE_HOME", &*state);
    let id = before.simulator.organisation().account(0).id;
    before
        .simulator
        .fault(Fault::new(Effect::Denied).account(&id).operation("ListBuckets"))
        .expect("a fault");
    // The same accounts less one, and two more.
    for (accounts, asked, more) in
        [(3, 1, "1 account of the run is not planned any more, and left out: "), (6, 3, "")]
    {
        before.run(&format!("{arguments} --run r{accounts}")).ended(4);
        let after = World::seeded(accounts).variable("XDG_STATE_HOME", &*state);
        let whole = after.run(arguments).ended(0).stdout;
        after.simulator.reset_counters();
        let run = after.run(&format!("resume r{accounts}")).ended(0);
        assert_eq!(run.stdout, whole);
        assert_eq!(after.simulator.count(Service::S3, "ListBuckets"), asked);
        assert_eq!(run.stderr.contains("not planned any more"), !more.is_empty(), "{run:#?}");
        run.said(more);
    }
}

/// A complete run is told once more only if it has looked at everything that is expected now.
fn an_account_that_is_expected_since_then_is_not_missed() {
    let world = World::seeded(2);
    let file = world.home.path().join("expected.csv");
    let organisation = world.simulator.organisation();
    let expect = |more: &str| {
        let ids: Vec<String> = (0..2).map(|index| organisation.account(index).id).collect();
        fs::write(&file, format!("account_id\n{}\n{more}", ids.join("\n"))).expect("written");
    };
    for which in ["--all-accounts --role AdministratorAccess", "--all-profiles"] {
        let name = if which.contains("accounts") { "a" } else { "p" };
        let arguments = format!("buckets {which} -o json --expect {}", file.display());
        expect("");
        world.run(&format!("{arguments} --run {name}")).ended(0);
        world.simulator.reset_counters();
        world.run(&format!("resume {name}")).ended(0);
        assert!(world.simulator.calls().is_empty(), "{which}");
        expect("999999999999\n");
        let (unbroken, expected) = world.with_ledger(&arguments);
        unbroken.ended(4);
        world.simulator.reset_counters();
        let (resumed, ledger) = world.with_ledger(&format!("resume {name}"));
        resumed.ended(4);
        assert_eq!(statuses(&ledger), statuses(&expected), "{which}");
        assert_eq!(statuses(&ledger), "not_offered 1, ok 2");
        assert_eq!(world.simulator.count(Service::S3, "ListBuckets"), 0);
    }
}
