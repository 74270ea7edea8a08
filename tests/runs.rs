//! Kept runs as things: their names and folder, what is shown and removed, and when going on with one is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use expect_test::expect;
use rustix::process::Signal;
use ssoinv_sim::{Effect, Fault};

use crate::resume::{ACCOUNTS, Stalled, kept};
use crate::support::{World, column, run, walk};
use crate::tests;

tests![
    another_selection_is_refused,
    what_is_set_since_then_is_refused_with_the_command_that_fits,
    another_version_is_refused,
    a_living_run_is_refused_and_never_removed,
    names_are_checked_and_taken_once,
    a_command_that_could_not_begin_keeps_nothing,
    secrets_are_not_kept,
    the_folder_is_private_whatever_the_umask,
    the_last_run_is_meant_where_none_is_named,
    runs_are_listed_shown_and_pruned,
    resume_says_what_can_be_said_again,
];

/// Of a complete run, so that it would be told without a question.
fn another_selection_is_refused() {
    let world = World::seeded(3);
    world
        .run("instances --all-profiles --region us-east-1 --columns account_id,arn --run r -o json")
        .ended(0);
    world.simulator.reset_counters();
    let mut all = String::new();
    for arguments in [
        "--region us-west-2",
        "--region us-east-1 --region us-west-2 --every-role",
        "--columns arn",
        "--profile x --all-accounts",
        "--ambient",
        "--include-secrets",
        "--run other",
    ] {
        let run = world.run(&format!("resume r {arguments}")).ended(2);
        assert_eq!(run.stdout, "");
        all += &format!("$ ssoinv resume r {arguments}\n{}\n", world.said_of(&run.stderr));
    }
    expect![[r#"
        $ ssoinv resume r --region us-west-2
        error: run `r` was begun with another selection
          `--region`: `us-east-1` then, `us-west-2` now

        hint: `ssoinv resume r` goes on with what was begun; something else is another run

        $ ssoinv resume r --region us-east-1 --region us-west-2 --every-role
        error: run `r` was begun with another selection
          `--every-role`: not said then, said now
          `--region`: `us-east-1` then, `us-east-1,us-west-2` now

        hint: `ssoinv resume r` goes on with what was begun; something else is another run

        $ ssoinv resume r --columns arn
        error: run `r` was begun with another selection
          `--columns`: `account_id,arn` then, `arn` now

        hint: `ssoinv resume r` goes on with what was begun; something else is another run

        $ ssoinv resume r --profile x --all-accounts
        error: the argument '--profile <NAME>' cannot be used with '--all-accounts'

        Usage: ssoinv resume <NAME>

        For more information, try '--help'.

        $ ssoinv resume r --ambient
        error: the argument '--all-profiles' cannot be used with '--ambient'

        $ ssoinv resume r --include-secrets
        warning: `--include-secrets`: the output holds the values of environment variables
        hint: keep the output as you keep passwords
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        error: run `r` was begun with another selection
          `--include-secrets`: not said then, said now

        hint: `ssoinv resume r` goes on with what was begun; something else is another run

        $ ssoinv resume r --run other
        error: unexpected argument '--run' found

          tip: to pass '--run' as a value, use '-- --run'

        Usage: ssoinv resume <NAME>

        For more information, try '--help'.

    "#]]
    .assert_eq(&all);
    // What is the same may be said again; what makes no other rows may be another.
    world
        .run("resume r --region us-east-1 --columns account_id,arn -o csv --concurrency 3 --no-input -v")
        .ended(0);
    assert_eq!(world.simulator.calls().len(), 0);
}

fn what_is_set_since_then_is_refused_with_the_command_that_fits() {
    let world = World::seeded(2);
    world.run("instances --all-profiles --region us-east-1 --run r -o json").ended(0);
    world.run("buckets --all-profiles --run s -o json").ended(0);
    let mut all = String::new();
    let world = world.variable("SSOINV_REGION", "us-west-2");
    for arguments in ["resume r", "resume s"] {
        let run = world.run(arguments).ended(if arguments == "resume r" { 0 } else { 2 });
        all += &format!("$ SSOINV_REGION=us-west-2 ssoinv {arguments}\n{}\n", world.said_of(&run.stderr));
    }
    let profile = "fraud-staging-00000-AdministratorAccess";
    let world = World::seeded(1).variable("AWS_PROFILE", profile);
    world.run("buckets --run t -o json").ended(0);
    let without = |arguments: &str| {
        let mut command = world.command(arguments);
        command.env_remove("AWS_PROFILE");
        run(command)
    };
    let refused = without("resume t").ended(2);
    all += &format!("$ ssoinv resume t\n{}\n", world.said_of(&refused.stderr));
    expect![[r#"
        $ SSOINV_REGION=us-west-2 ssoinv resume r
        the run is complete: nobody was asked for anything
        10 instances from 2 of 2 accounts, 1 region each (from `--region`)

        $ SSOINV_REGION=us-west-2 ssoinv resume s
        error: run `s` was begun with another selection
          `--region`: not said then, `us-west-2` now

        hint: take back what is set since then in `config.toml` or in variables; `ssoinv settings` shows it

        $ ssoinv resume t
        error: there is no profile `default`
          there are:
          `fraud-staging-00000-AdministratorAccess`

        hint: say which with `--profile NAME`, or `--all-profiles`; `ssoinv profiles` lists them

    "#]]
    .assert_eq(&all);
    // What it says to paste.
    without(&format!("resume t --profile {profile}")).ended(0);
}

fn another_version_is_refused() {
    let world = World::seeded(1);
    world
        .run("instances --all-profiles --region us-east-1 --run r --columns account_id,tags.Cost/Centre")
        .ended(0);
    let manifest = kept(&world).join("r/manifest.json");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version), "{text}");
    fs::write(&manifest, text.replace(&version, "\"version\": \"0.0.9\"")).expect("written");
    let mut all = world.run("resume r").ended(2).stderr;
    fs::write(&manifest, text.replace("\"form\": 2", "\"form\": 1")).expect("written");
    all += &world.run("resume r").ended(2).stderr;
    expect![[r#"
        error: run `r` was begun by ssoinv 0.0.9, and this is VERSION

        hint: to begin it anew: `ssoinv runs prune r`, then `ssoinv instances --all-profiles --region=us-east-1 --columns=account_id --columns=tags.Cost/Centre --run r`
        error: run `r` was saved by another version

        hint: `ssoinv runs prune r` removes it
    "#]].assert_eq(&all.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    assert_eq!(column(&world.run("runs list -o json").ended(0).rows(), "name"), ["r"]);
    world.run("runs prune r").ended(0);
}

fn a_living_run_is_refused_and_never_removed() {
    let stalled = Stalled::new();
    let world = &stalled.world;
    let live = stalled.start("");
    let mut all = String::new();
    for (arguments, code) in [("resume r", 2), ("resume", 2), ("runs prune r", 2), ("runs prune --all", 0)] {
        let run = world.run(arguments).ended(code);
        assert_eq!(run.stdout, "");
        all += &format!("$ ssoinv {arguments}\n{}\n", world.said_of(&run.stderr));
    }
    expect![[r#"
        $ ssoinv resume r
        error: run `r` is under way in another process

        hint: wait for it, or end it first

        $ ssoinv resume
        error: run `r` is under way in another process

        hint: wait for it, or end it first

        $ ssoinv runs prune r
        error: run `r` is under way in another process

        hint: wait for it, or end it first

        $ ssoinv runs prune --all
        run `r` is under way: left alone
        nothing to remove

    "#]]
    .assert_eq(&all);
    let listed = world.run("runs list -o json").ended(0).rows();
    assert_eq!(column(&listed, "state"), ["alive"]);
    assert_eq!(world.run("runs show r -o json").ended(0).rows().len(), ACCOUNTS - 1);
    live.signal(Signal::INT);
    live.finish().0.ended(130);
    stalled.resumes();
}

fn names_are_checked_and_taken_once() {
    let world = World::seeded(1);
    world.run("buckets --all-profiles --run nightly").ended(0);
    world.simulator.reset_counters();
    let mut all = String::new();
    for arguments in [
        "buckets --all-profiles --run nightly",
        "buckets --all-profiles --run ../x",
        "buckets --all-profiles --run .x",
        "buckets --all-profiles --run=",
        "buckets --all-profiles --demo --run x",
        "resume nigthly",
        "resume ../kept/nightly",
        "runs show x",
        "runs prune x",
        "runs prune",
        "runs prune nightly --all",
    ] {
        let run = world.run(arguments).ended(2);
        assert_eq!(run.stdout, "", "{arguments}");
        all += &format!("$ ssoinv {arguments}\n{}\n", world.said_of(&run.stderr));
    }
    expect![[r#"
        $ ssoinv buckets --all-profiles --run nightly
        error: there is a run `nightly` already

        hint: `ssoinv resume nightly` goes on with it; `ssoinv runs prune nightly` removes it and all that it has collected

        $ ssoinv buckets --all-profiles --run ../x
        error: `../x` (from --run) is no name for a run

        hint: take letters, digits, `.`, `_` and `-`, and no dot or hyphen in front

        $ ssoinv buckets --all-profiles --run .x
        error: `.x` (from --run) is no name for a run

        hint: take letters, digits, `.`, `_` and `-`, and no dot or hyphen in front

        $ ssoinv buckets --all-profiles --run=
        error: `` (from --run) is no name for a run

        hint: take letters, digits, `.`, `_` and `-`, and no dot or hyphen in front

        $ ssoinv buckets --all-profiles --demo --run x
        demo: made-up data of a simulated organisation; nothing of yours is read, asked or changed
        error: `--run` keeps nothing of a demonstration

        hint: leave out `--run`

        $ ssoinv resume nigthly
        error: there is no run `nigthly`

        hint: did you mean `nightly`?

        $ ssoinv resume ../kept/nightly
        error: there is no run `../kept/nightly`

        hint: `ssoinv runs list` shows them

        $ ssoinv runs show x
        error: there is no run `x`

        hint: `ssoinv runs list` shows them

        $ ssoinv runs prune x
        error: there is no run `x`

        hint: `ssoinv runs list` shows them

        $ ssoinv runs prune
        error: the following required arguments were not provided:
          <NAME|--older-than <TIME>|--all>

        Usage: ssoinv runs prune <NAME|--older-than <TIME>|--all>

        For more information, try '--help'.

        $ ssoinv runs prune nightly --all
        error: the argument '[NAME]...' cannot be used with '--all'

        Usage: ssoinv runs prune <NAME|--older-than <TIME>|--all>

        For more information, try '--help'.

    "#]].assert_eq(&all);
    assert!(world.simulator.calls().is_empty(), "something was asked");
    assert_eq!(fs::read_dir(kept(&world)).expect("a folder").count(), 2, "the lock and one run");
}

fn a_command_that_could_not_begin_keeps_nothing() {
    let world = World::seeded(2);
    for (arguments, code) in [
        ("buckets --profile nobody", 2),
        ("buckets --all-profiles --columns nothing", 2),
        ("buckets --all-profiles --out /nonexistent/rows.csv", 74),
        ("buckets --all-accounts --account nobody-*", 5),
    ] {
        world.run(&format!("{arguments} --run r")).ended(code);
        assert_eq!(world.run("runs list -o json").ended(0).rows().len(), 0, "{arguments}");
    }
    world.run("buckets --all-profiles --run r").ended(0);
}

fn secrets_are_not_kept() {
    let world = World::seeded(1);
    let run = world.run("functions --all-profiles --include-secrets --run r").ended(2);
    expect![[r#"
        warning: `--include-secrets`: the output holds the values of environment variables
        hint: keep the output as you keep passwords
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        error: `--run` keeps rows on disk, and with `--include-secrets` there are secrets in them

        hint: leave out one of the two
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
    assert!(!kept(&world).exists());
}

fn the_folder_is_private_whatever_the_umask() {
    let world = World::seeded(1);
    for (name, umask) in [("a", "000"), ("b", "777")] {
        let command =
            world.command(&format!("buckets --all-profiles -o json --no-credential-cache --run {name}"));
        let mut masked = Command::new("sh");
        masked.arg("-c").arg(format!("umask {umask}; exec \"$0\" \"$@\""));
        masked.arg(command.get_program()).args(command.get_args()).env_clear();
        masked.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(masked).ended(0);
        let folder = kept(&world).join(name);
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&kept(&world))), (0o700, 0o700));
        let mut names = walk(&folder);
        names.sort();
        assert_eq!(names, ["journal", "lock", "manifest.json", "segment-000001.arrows"]);
        assert!(names.iter().all(|name| mode(&folder.join(name)) == 0o600), "{names:?}");
    }
}

fn the_last_run_is_meant_where_none_is_named() {
    let world = World::seeded(2);
    let run = world.run("resume").ended(2);
    expect![[r#"
        error: there is no run to go on with

        hint: `--run NAME` keeps a run, such as `ssoinv buckets --all-profiles --run NAME`
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
    world.run("buckets --all-profiles --run a -o json").ended(0);
    let csv = world.run("buckets --all-profiles --run b -o csv").ended(0).stdout;
    assert_eq!(world.run("resume").ended(0).stdout, csv);
    // What did something last is the last.
    let json = world.run("resume a --max-age 0s").ended(0).stdout;
    assert_eq!(world.run("resume").ended(0).stdout, json);
}

fn runs_are_listed_shown_and_pruned() {
    let world = World::seeded(3);
    let run = world.run("runs list").ended(0);
    expect![[r#"
        name  state  tasks_done  tasks_failed  tasks_planned  bytes  created_at  active_at  command
        no run is kept; `--run NAME` keeps one
    "#]]
    .assert_eq(&format!("{}{}", run.stdout, run.stderr));
    let id = world.simulator.organisation().account(1).id;
    world.run("buckets --all-profiles --run all-3").ended(0);
    world.simulator.fault(Fault::new(Effect::Denied).account(&id)).expect("a fault");
    world.run("instances --all-profiles --region us-east-1 --run some --max-time 5m").ended(4);
    let columns = "name,state,tasks_done,tasks_failed,tasks_planned,command";
    let listed = world.run(&format!("runs list --columns {columns}")).ended(0);
    let shown = world.run("runs show some --columns table,account_id,region,status,rows,error_code").ended(0);
    let mut all = format!("{}{}", listed.stdout, listed.stderr);
    all += &format!("{}{}", shown.stdout, shown.stderr);
    let rows = world.run("runs list -o json").ended(0).rows();
    assert!(rows.iter().all(|row| row["bytes"].as_u64() > Some(1_000)), "{rows:?}");
    for arguments in ["runs prune --older-than 1h", "runs prune some", "runs prune --all", "runs prune --all"]
    {
        let run = world.run(arguments).ended(0);
        all += &format!("$ ssoinv {arguments}\n{}{}", run.stdout, run.stderr);
    }
    expect![[r#"
        name   state     tasks_done  tasks_failed  tasks_planned  command
        all-3  complete  3           0             3              ssoinv buckets --all-profiles
        some   stopped   2           1             3              ssoinv instances --all-profiles --region=us-east-1 --max-time=5m
        table             account_id    region     status  rows  error_code
        aws_ec2_instance  080037327709  us-east-1  denied  0     UnauthorizedOperation
        aws_ec2_instance  462003338960  us-east-1  ok      5     -
        aws_ec2_instance  698071316458  us-east-1  ok      5     -
        run `some` (`ssoinv instances --all-profiles --region=us-east-1 --max-time=5m`): stopped; 2 of 3 tasks done
        `ssoinv resume some` goes on with it
        $ ssoinv runs prune --older-than 1h
        nothing to remove
        $ ssoinv runs prune some
        removed `some`
        $ ssoinv runs prune --all
        removed `all-3`
        $ ssoinv runs prune --all
        nothing to remove
    "#]].assert_eq(&all);
    assert_eq!(walk(&kept(&world)), [".lock"]);
}

fn resume_says_what_can_be_said_again() {
    let help = run(crate::support::ssoinv("resume -h")).ended(0).stdout;
    assert!(help.contains("--max-age") && help.contains("--out") && help.contains("--no-input"), "{help}");
    assert!(!help.contains("--region") && !help.contains("--run <"), "{help}");
    let help = run(crate::support::ssoinv("buckets -h")).ended(0).stdout;
    assert!(help.contains("--run <NAME>") && !help.contains("--max-age"), "{help}");
}
