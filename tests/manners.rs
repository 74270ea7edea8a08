//! How the program behaves as one among others: closed pipes, full disks, signals, terminals, and what it says of itself.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes the snapshots so")]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::{Arc, Mutex};

use expect_test::expect;
use rustix::process::Signal;
use ssoinv_sim::{Control, Effect, Fault, Options, Organisation, OrganisationSpec, Service};

use crate::held::Held;
use crate::support::{
    Impostor, Live, OnTerminal, World, column, rows_of, run, screen, seeded, ssoinv, statuses,
};
use crate::tests;

tests![
    a_closed_pipe_is_no_error,
    a_pipe_that_closes_after_the_first_line_is_no_error,
    a_full_disk_is_told,
    a_file_that_cannot_be_written_is_told_before_anything_is_asked,
    a_file_is_replaced_only_at_the_end,
    a_file_is_replaced_though_an_account_failed,
    a_file_is_left_alone_when_interrupted,
    an_interrupted_run_gives_what_it_has,
    a_terminated_run_gives_what_it_has,
    rows_that_wait_for_their_turn_are_given_too,
    a_second_signal_ends_at_once,
    when_the_time_is_over_what_is_there_is_given,
    quiet_says_nothing_when_all_is_well,
    quiet_tells_failures,
    off_a_terminal_there_are_no_control_codes,
    on_a_terminal_the_progress_goes_away,
    colours_follow_the_terminal_the_variable_and_the_flag,
    help_lists_the_exit_codes,
    short_help_and_version,
    wrong_usage,
    variables_that_mean_nothing,
    a_file_that_does_not_parse,
    no_config_at_all,
    a_home_that_does_not_exist,
    the_user_agent_names_the_program,
    never_more_calls_at_once_than_said,
];

/// More rows than a pipe takes.
fn with_many_buckets(accounts: usize) -> World {
    World::new(Organisation::from_spec(OrganisationSpec {
        accounts,
        buckets: 2_000,
        ..OrganisationSpec::default()
    }))
}

fn a_closed_pipe_is_no_error() {
    let world = World::seeded(2);
    for arguments in [
        "buckets --all-profiles",
        "buckets --all-profiles -o csv",
        "buckets --all-profiles -o json",
        "buckets --all-profiles -o ndjson",
        "tables",
        "profiles",
        "--help",
    ] {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let (run, _) = Live::with_stdout(world.command(arguments), writer).finish();
        assert_eq!((world.said_of(&run.stderr).as_str(), run.code), ("", Some(0)), "{arguments}");
    }
}

/// `| head -1`, and the ledger still tells what was looked at.
fn a_pipe_that_closes_after_the_first_line_is_no_error() {
    let world = with_many_buckets(3);
    let ledger = world.home.path().join("ledger.json");
    for format in ["table", "csv", "json", "ndjson"] {
        let (reader, writer) = io::pipe().expect("a pipe");
        let arguments = format!("buckets --all-profiles -o {format} --coverage {}", ledger.display());
        let live = Live::with_stdout(world.command(&arguments), writer);
        let mut line = String::new();
        BufReader::with_capacity(64, reader).read_line(&mut line).expect("a line");
        assert!(!line.is_empty());
        let (run, _) = live.finish();
        assert_eq!((world.said_of(&run.stderr).as_str(), run.code), ("", Some(0)), "{format}");
        assert_eq!(rows_of(&ledger).len(), 3);
    }
}

fn a_full_disk_is_told() {
    let world = World::seeded(1);
    let full = || File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut all = String::new();
    for arguments in
        ["buckets --all-profiles", "buckets --all-profiles -o json", "tables", "profiles -o json"]
    {
        let (run, _) = Live::with_stdout(world.command(arguments), full()).finish();
        all += &format!("$ ssoinv {arguments} > /dev/full\n{}\n", world.said_of(&run.ended(74).stderr));
    }
    for arguments in ["buckets --all-profiles --out /dev/full", "tables --out /dev/full"] {
        let run = world.run(arguments).ended(74);
        assert_eq!(run.stdout, "");
        all += &format!("$ ssoinv {arguments}\n{}\n", world.said_of(&run.stderr));
    }
    expect![[r#"
        $ ssoinv buckets --all-profiles > /dev/full
        3 buckets from 1 of 1 account, in all regions
        error: cannot write to stdout: No space left on device (os error 28)

        hint: see that there is room; `--out FILE` writes somewhere else

        $ ssoinv buckets --all-profiles -o json > /dev/full
        3 buckets from 1 of 1 account, in all regions
        error: cannot write to stdout: No space left on device (os error 28)

        hint: see that there is room; `--out FILE` writes somewhere else

        $ ssoinv tables > /dev/full
        error: cannot write to stdout: No space left on device (os error 28)

        hint: see that there is room; `--out FILE` writes somewhere else

        $ ssoinv profiles -o json > /dev/full
        error: cannot write to stdout: No space left on device (os error 28)

        hint: see that there is room; `--out FILE` writes somewhere else

        $ ssoinv buckets --all-profiles --out /dev/full
        3 buckets from 1 of 1 account, in all regions
        error: cannot write to `/dev/full`: No space left on device (os error 28)

        hint: see that there is room; `--out FILE` writes somewhere else

        $ ssoinv tables --out /dev/full
        error: cannot write to `/dev/full`: No space left on device (os error 28)

        hint: see that there is room; `--out FILE` writes somewhere else

    "#]]
    .assert_eq(&all);
}

fn a_file_that_cannot_be_written_is_told_before_anything_is_asked() {
    let world = World::seeded(2);
    let home = world.home.path().display();
    fs::write(world.home.path().join("file"), "").expect("a file");
    let mut all = String::new();
    for arguments in [
        format!("buckets --all-profiles --out {home}/missing/rows.csv"),
        format!("buckets --all-profiles --out {home}/file/rows.csv"),
        "buckets --all-profiles --out /proc/rows.csv".to_owned(),
        format!("list aws_s3_bucket aws_ec2_instance --all-profiles -o csv --out {home}/missing/rows"),
    ] {
        let run = world.run(&arguments).ended(74);
        assert_eq!(run.stdout, "");
        all += &format!("$ ssoinv {}\n{}\n", world.shown(&arguments), world.said_of(&run.stderr));
    }
    expect![[r#"
        $ ssoinv buckets --all-profiles --out ~/missing/rows.csv
        error: cannot create a file beside `~/missing/rows.csv`: No such file or directory (os error 2)

        hint: see that the folder is there and can be written to

        $ ssoinv buckets --all-profiles --out ~/file/rows.csv
        error: cannot write `~/file/rows.csv`: Not a directory (os error 20)

        hint: see that the folder is there and can be written to

        $ ssoinv buckets --all-profiles --out /proc/rows.csv
        error: cannot create a file beside `/proc/rows.csv`: No such file or directory (os error 2)

        hint: see that the folder is there and can be written to

        $ ssoinv list aws_s3_bucket aws_ec2_instance --all-profiles -o csv --out ~/missing/rows
        error: cannot create `~/missing/rows`: No such file or directory (os error 2)

        hint: see that the folder is there and can be written to

    "#]]
    .assert_eq(&all);
    assert!(world.simulator.calls().is_empty(), "something was asked");
}

fn a_file_is_replaced_only_at_the_end() {
    let held = Held::new(seeded(2));
    let file = held.world.home.path().join("rows.csv");
    fs::write(&file, "before").expect("a file");
    let live = held.start(&format!("buckets --all-profiles --out {}", file.display()));
    assert_eq!(fs::read_to_string(&file).expect("the file"), "before");
    held.go.send(()).expect("it waits");
    let (run, _) = live.finish();
    run.ended(4);
    let after = fs::read_to_string(&file).expect("the file");
    assert_eq!(after.lines().count(), 4, "{after}");
    assert_nothing_beside(&file);
}

/// Whatever the run began beside the file is gone.
#[track_caller]
fn assert_nothing_beside(file: &Path) {
    let folder = fs::read_dir(file.parent().expect("a folder")).expect("a folder");
    let hidden = folder.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let hidden: Vec<String> = hidden.filter(|name| name.starts_with(".rows")).collect();
    assert_eq!(hidden, Vec::<String>::new());
}

fn a_file_is_replaced_though_an_account_failed() {
    let world = World::seeded(2);
    let id = world.simulator.organisation().account(0).id;
    let file = world.home.path().join("rows.json");
    for (fault, code, rows) in [
        (Fault::new(Effect::Denied).account(&id).operation("ListBuckets"), 4, 3),
        (Fault::new(Effect::Denied).operation("ListBuckets"), 5, 0),
    ] {
        fs::write(&file, "before").expect("a file");
        world.simulator.fault(fault).expect("a fault");
        world.run(&format!("buckets --all-profiles --out {}", file.display())).ended(code);
        assert_eq!(rows_of(&file).len(), rows);
    }
}

fn a_file_is_left_alone_when_interrupted() {
    let held = Held::new(seeded(2));
    let file = held.world.home.path().join("rows.csv");
    fs::write(&file, "before").expect("a file");
    let live = held.start(&format!("buckets --all-profiles --out {}", file.display()));
    live.signal(Signal::INT);
    let (run, _) = live.finish();
    run.ended(130);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "before");
    assert_nothing_beside(&file);
}

fn an_interrupted_run_gives_what_it_has() {
    for format in ["json", "ndjson", "csv", "table"] {
        ended_by(Signal::INT, format);
    }
}

fn a_terminated_run_gives_what_it_has() {
    ended_by(Signal::TERM, "json");
}

fn ended_by(signal: Signal, format: &str) {
    let held = Held::new(seeded(3));
    let ledger = held.world.home.path().join("ledger.json");
    let live = held.start(&format!("buckets --all-profiles -o {format} -vv --coverage {}", ledger.display()));
    // The other accounts are done.
    live.stderr_until(|text| text.matches(": ok, 3 rows").count() == 2);
    live.signal(signal);
    let (run, _) = live.finish();
    let run = run.ended(130);
    match format {
        "json" => assert_eq!(run.rows().len(), 6),
        "ndjson" => assert_eq!(run.stdout.lines().count(), 6),
        _ => assert_eq!(run.stdout.lines().count(), 7),
    }
    let ledger = rows_of(&ledger);
    assert_eq!(column(&ledger, "status"), ["ok", "ok", "not_tried"]);
    assert_eq!(column(&ledger, "error_code"), ["", "", "Interrupted"]);
    let told: Vec<&str> = run.stderr.lines().filter(|line| !line.starts_with("task ")).collect();
    let told = held.world.said_of(&told.join("\n")).replace("ledger.json", "LEDGER");
    expect![[r#"
        warning: 1 task not tried: interrupted
        hint: see `~/LEDGER` for each of them
        6 buckets from 2 of 3 accounts, in all regions; 1 task not tried: partial
    "#]]
    .assert_eq(&told);
}

/// The account that is held comes first in the plan.
fn rows_that_wait_for_their_turn_are_given_too() {
    let held = Held::new(seeded(3));
    let config = held.world.home.path().join(".aws/config");
    let text = fs::read_to_string(&config).expect("a config");
    let (before, after) = text.split_at(text.find("[profile held]").expect("the profile"));
    fs::write(&config, format!("{after}\n{before}")).expect("a config");
    let live = held.start("buckets --all-profiles -o json -vv");
    live.stderr_until(|text| text.matches(": ok, 3 rows").count() == 2);
    live.signal(Signal::INT);
    let (run, _) = live.finish();
    assert_eq!(run.ended(130).rows().len(), 6);
}

fn a_second_signal_ends_at_once() {
    let held = Held::new(Organisation::from_spec(OrganisationSpec {
        accounts: 2,
        buckets: 2_000,
        ..OrganisationSpec::default()
    }));
    // Nobody reads: the rows of the first account fill the pipe, and the writer waits for ever.
    let (reader, writer) = io::pipe().expect("a pipe");
    let live = Live::with_stdout(held.world.command("buckets --all-profiles -o ndjson -vv"), writer);
    held.wait();
    live.stderr_until(|text| text.contains(": ok, 2000 rows"));
    live.signal(Signal::INT);
    live.stderr_until(|text| text.contains(": not_tried"));
    live.signal(Signal::TERM);
    let (run, _) = live.finish();
    run.ended(130);
    drop(reader);
}

fn when_the_time_is_over_what_is_there_is_given() {
    let held = Held::new(seeded(3));
    let (run, ledger) = held.world.with_ledger("buckets --all-profiles -o json --max-time 3s");
    let run = run.ended(4);
    assert_eq!(run.rows().len(), 6);
    assert_eq!(column(&ledger, "status"), ["ok", "ok", "not_tried"]);
    assert_eq!(column(&ledger, "error_code"), ["", "", "OutOfTime"]);
    expect![[r#"
        warning: 1 task not tried: the time of --max-time was over
        hint: see `~/coverage.json` for each of them
        6 buckets from 2 of 3 accounts, in all regions; 1 task not tried: partial
    "#]]
    .assert_eq(&held.world.said_of(&run.stderr));
}

fn quiet_says_nothing_when_all_is_well() {
    let run = run(ssoinv("--demo -q list aws_s3_bucket aws_ec2_instance --all-profiles")).ended(0);
    assert_eq!(run.stderr, "");
    assert!(run.stdout.lines().count() > 50);
}

fn quiet_tells_failures() {
    let world = World::seeded(3);
    let id = world.simulator.organisation().account(1).id;
    world.simulator.fault(Fault::new(Effect::Denied).account(&id)).expect("a fault");
    let run = world.run("buckets --all-profiles -q").ended(4);
    expect![[r#"
        warning: no access in 1 of 3 accounts with role `AdministratorAccess`: `data-staging-00001` (080037327709); 1 task denied (ForbiddenException)
        hint: `--coverage FILE` writes down each of them
        6 buckets from 2 of 3 accounts, in all regions; 1 task denied: partial
    "#]].assert_eq(&world.said_of(&run.stderr));
    let run = world.run("buckets --profile nobody -q").ended(2);
    assert!(run.stderr.starts_with("error: there is no profile `nobody`"), "{run:#?}");
}

fn off_a_terminal_there_are_no_control_codes() {
    let world = World::seeded(3).variable("TERM", "xterm-256color").variable("AWS_MAX_ATTEMPTS", "2");
    let id = world.simulator.organisation().account(1).id;
    world.simulator.fault(Fault::new(Effect::ServerError(500)).account(&id)).expect("a fault");
    for arguments in ["", "-v", "-vv"] {
        let run = world.run(&format!("buckets --all-profiles {arguments}")).ended(4);
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains(|char: char| char.is_control() && char != '\n'), "{text:?}");
        }
    }
    for arguments in ["--help", "buckets --no-such-flag", "buckets --profile nobody"] {
        let run = world.run(arguments);
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
    }
}

fn on_a_terminal_the_progress_goes_away() {
    let held = Held::new(seeded(3));
    let mut command = held.world.command("buckets --all-profiles -o json");
    command.env("TERM", "xterm");
    let live = Live::on_terminal(command, 120, OnTerminal::Stderr);
    held.wait();
    let while_it_runs = live.terminal_until(|text| text.contains("2/3 accounts, 2/3 tasks, 6 rows"));
    assert!(while_it_runs.contains("left"), "{while_it_runs:?}");
    held.go.send(()).expect("it waits");
    let (run, shown) = live.finish();
    assert_eq!(run.ended(4).rows().len(), 6);
    let left = screen(&shown);
    let coloured = held.world.said_of(&left);
    expect![[r#"
        warning: no access in 1 of 3 accounts with role `ReadOnlyAccess`: `fraud-dev-00002` (698071316458); 1 task denied (AccessDenied)
        hint: `--coverage FILE` writes down each of them
        6 buckets from 2 of 3 accounts, in all regions; 1 task denied: partial
    "#]].assert_eq(&coloured);
}

fn colours_follow_the_terminal_the_variable_and_the_flag() {
    let world = World::seeded(1);
    let coloured = |arguments: &str, variables: &[(&str, &str)], terminal: bool| {
        let mut command = world.command(&format!("buckets --profile nobody {arguments}"));
        command.envs(variables.iter().copied());
        let (run, shown) = if terminal {
            Live::on_terminal(command, 80, OnTerminal::Stderr).finish()
        } else {
            Live::start(command).finish()
        };
        let text = shown + &run.stderr;
        assert_eq!(
            screen(&text).lines().next(),
            Some("error: there is no profile `nobody` (from --profile)")
        );
        text.contains('\u{1b}')
    };
    let (on, off) = (true, false);
    for (expected, arguments, variables, terminal) in [
        (true, "", &[][..], on),
        (false, "", &[], off),
        (false, "", &[("NO_COLOR", "1")], on),
        (true, "", &[("NO_COLOR", "")], on),
        (false, "", &[("TERM", "dumb")], on),
        (false, "--color never", &[], on),
        (true, "--color always", &[], off),
        (true, "--color always", &[("NO_COLOR", "1")], off),
    ] {
        let found = coloured(arguments, variables, terminal);
        assert_eq!(found, expected, "{arguments} {variables:?}, terminal: {terminal}");
    }
}

fn help_lists_the_exit_codes() {
    let run = run(ssoinv("--help")).ended(0);
    assert_eq!(run.stderr, "");
    // clap puts spaces into empty lines.
    let lines: Vec<&str> = run.stdout.lines().map(str::trim_end).collect();
    expect![[r#"
        Lists and audits every AWS account that one IAM Identity Center sign-in reaches

        ssoinv reads; it changes nothing in AWS. Rows go to stdout, everything else to stderr. Flags that
        you would type each time can be set: see `ssoinv settings`.

        Usage: ssoinv [OPTIONS] <COMMAND>

        Commands:
          buckets    List S3 buckets
          instances  List EC2 instances
          functions  List Lambda functions
          list       List the rows of any tables
          resume     Go on with a run that was kept by --run: collect what is missing, failed or too old,
                     and write the whole output
          runs       Show or remove the runs that are kept
          plan       Show what a command would ask, where, as whom, with how many calls, and about how long
                     it would take
          login      Sign in: to an sso-session on a page in a browser, else with a code
          logout     Sign out: end the token, and remove it and the cached role credentials
          whoami     Show whose credentials the profiles have, and how long the sign-in lasts
          accounts   Show every account that the sign-in reaches
          roles      Show every role that the sign-in has in every account
          doctor     Look at the files, the sign-ins and the accounts step by step, and say what is wrong
                     and how to cure it
          profiles   Show every profile: its kind, account, role, session, and what is wrong with it
          tables     Show the tables, or the columns of one
          settings   Show what is set in config.toml and in variables, and what can be
          help       Print this message or the help of the given subcommand(s)

        Options:
              --demo[=<KIND>]
                  Use a made-up organisation, simulated in this process; `--demo=faults` shows what failures
                  look like

                  Possible values:
                  - plain:  All is well
                  - faults: A denied account, an SCP, a dead region, throttling, a token that ends on the
                    way

          -q, --quiet
                  Say nothing when all is well

          -v, --verbose...
                  Say more: every warning by name (-v), every retry and every task (-vv)

              --status <FILE>
                  Write how the command ended to FILE, as JSON: exit code, reasons, whether all is complete,
                  counts by status and account

              --color <WHEN>
                  When to colour what is said

                  Possible values:
                  - auto:   On a terminal, unless `NO_COLOR` is set
                  - always: Always
                  - never:  Never

                  [default: auto]

          -h, --help
                  Print help (see a summary with '-h')

          -V, --version
                  Print version

        Exit codes:
          0    everything planned was collected
          1    `doctor` found an error
          2    wrong usage or configuration: nothing could start
          3    a sign-in is needed; what was collected is still written
          4    partial: something planned could not be collected
          5    every task failed, or nothing matched the selection
          70   a bug
          74   the output could not be written
          130  interrupted"#]]
    .assert_eq(&lines.join("\n"));
}

fn short_help_and_version() {
    let shown = |arguments: &str| {
        let run = run(ssoinv(arguments)).ended(0);
        assert_eq!(run.stderr, "");
        run.stdout
    };
    assert_eq!(shown("--version"), format!("ssoinv {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(shown("-V"), shown("--version"));
    expect![[r#"
        List S3 buckets

        Usage: ssoinv buckets [OPTIONS]

        Options:
              --demo[=<KIND>]  Use a made-up organisation, simulated in this process; `--demo=faults` shows
                               what failures look like [possible values: plain, faults]
          -q, --quiet          Say nothing when all is well
          -v, --verbose...     Say more: every warning by name (-v), every retry and every task (-vv)
              --status <FILE>  Write how the command ended to FILE, as JSON: exit code, reasons, whether all
                               is complete, counts by status and account
              --color <WHEN>   When to colour what is said [default: auto] [possible values: auto, always,
                               never]
          -h, --help           Print help (see more with '--help')

        Selection:
          -p, --profile <NAME>             Profiles to use: names or globs, several with commas [default:
                                           AWS_PROFILE, AWS_DEFAULT_PROFILE, `default`]
              --all-profiles               Use every profile
              --ambient                    Use no profile, but what this machine is: keys in the
                                           environment, a web identity, the role of the container or of the
                                           EC2 instance [default where no profile is named and there is no
                                           `default`]
              --assume-role <ROLE>         Assume the role of this name in each account of --account, from
                                           the one profile or from what this machine is
              --external-id <ID>           The external ID that the role asks for
              --all-accounts               Use every account that the sign-in reaches, with no profile for
                                           it
              --role <ROLE>                The role to take in each account: names or globs, in order of
                                           preference [default: one that is known to read only, by its name]
              --sso-session <NAME>         The sso-session whose accounts are meant [default: that of
                                           AWS_PROFILE or `default`, else the only one]
              --account <ACCOUNT>          Only these accounts: IDs, globs of names, or a file of IDs;
                                           several with commas. With --assume-role, `all` are the active
                                           ones of the organisation
              --exclude-account <ACCOUNT>  Not these accounts: IDs, globs of names, or a file of IDs;
                                           several with commas
              --expect <FILE>              What should be there: accounts, and gaps that are expected, in a
                                           file of CSV, TOML, or JSON as `aws organizations list-accounts`
                                           prints it; several, one after the other
          -r, --region <REGION>            Regions to ask for regional tables: names or globs, several with
                                           commas, or `all` that are enabled in the account [default:
                                           AWS_REGION, AWS_DEFAULT_REGION, each profile's own; with
                                           --all-accounts, `all`]
              --every-role                 Keep the roles of one account apart, and ask with each

        Sign-in:
              --no-input               Never ask anybody to sign in; `CI=true` says the same
              --use-device-code        Show a code to approve in any browser, instead of a page that comes
                                       back to this machine
              --no-browser             Print the address to sign in at, open no browser
              --redirect-port <PORT>   Let the browser come back to this port of this machine, as through
                                       `ssh -L` [default: any free one]
              --no-credential-process  Run no `credential_process`
              --no-credential-cache    Share no role credentials with the AWS CLI and later runs: neither
                                       read nor write `~/.aws/cli/cache`

        Output:
          -o, --output <FORMAT>    The format: table, csv, json or ndjson [default: by the ending of --out,
                                   else table]
              --out <FILE>         Write to FILE instead of stdout; several tables as CSV go into a folder
              --columns <COLUMNS>  The columns to show, several with commas; `tags.Owner` is a tag
              --wide               Show all columns in tables, too
              --no-header          Leave out the header
              --spreadsheet        Make CSV that spreadsheets read as it is meant: BOM, CRLF, no formulas,
                                   IDs as text
              --coverage <FILE>    Write the coverage ledger, how each planned cell ended, to FILE (.csv,
                                   .json, .ndjson)
              --include-secrets    Keep secret values that live in the inventory, like environment variables
                                   of functions

        Run:
              --concurrency <N>         Calls under way at once [default: 64]
              --max-time <TIME>         Stop after this time, like 45m, and write what is there
              --retry-time <TIME>       How long a throttled call is tried again, in all [default: 5m]
              --portal-rate <N>         Calls a second to the portal of IAM Identity Center, at most
                                        [default: 20]
              --connect-timeout <TIME>  How long connecting may take [default: 5s]
              --attempt-timeout <TIME>  How long one attempt at a call may take [default: 30s]
              --run <NAME>              Keep the run on disk under this name, so that `ssoinv resume NAME`
                                        can go on with it, however it ends
              --dry-run                 Show what would be asked, as `ssoinv plan` does, instead of asking
                                        it
    "#]]
    .assert_eq(&shown("buckets -h"));
}

fn wrong_usage() {
    let world = World::seeded(1);
    let mut all = String::new();
    for arguments in [
        "",
        "bukets",
        "buckets --all-profile",
        "buckets --all-profiles --concurrency 0",
        "buckets --all-profiles --max-time soon",
        "buckets --all-profiles --retry-time 0s",
        "buckets --all-profiles -q -v",
        "buckets --all-profiles --demo=maybe",
        "buckets --all-profiles --color sometimes",
        "list --all-profiles",
    ] {
        let run = world.run(arguments).ended(2);
        assert_eq!(run.stdout, "", "{arguments}");
        // Of the help that `ssoinv` alone gives, the first line.
        let lines = if arguments.is_empty() { 1 } else { usize::MAX };
        let told: Vec<&str> = run.stderr.lines().take(lines).collect();
        all += &format!("$ ssoinv {arguments}\n{}\n\n", told.join("\n"));
    }
    expect![[r#"
        $ ssoinv 
        Lists and audits every AWS account that one IAM Identity Center sign-in reaches

        $ ssoinv bukets
        error: unrecognized subcommand 'bukets'

          tip: a similar subcommand exists: 'buckets'

        Usage: ssoinv [OPTIONS] <COMMAND>

        For more information, try '--help'.

        $ ssoinv buckets --all-profile
        error: unexpected argument '--all-profile' found

          tip: a similar argument exists: '--all-profiles'

        Usage: ssoinv buckets --all-profiles

        For more information, try '--help'.

        $ ssoinv buckets --all-profiles --concurrency 0
        error: invalid value '0' for '--concurrency <N>': must be a number from 1 to 1024

        For more information, try '--help'.

        $ ssoinv buckets --all-profiles --max-time soon
        error: invalid value 'soon' for '--max-time <TIME>': must be a time above zero, like 90s, 45m or 1h 30m

        For more information, try '--help'.

        $ ssoinv buckets --all-profiles --retry-time 0s
        error: invalid value '0s' for '--retry-time <TIME>': must be a time above zero, like 90s, 45m or 1h 30m

        For more information, try '--help'.

        $ ssoinv buckets --all-profiles -q -v
        error: the argument '--quiet' cannot be used with '--verbose...'

        Usage: ssoinv buckets --all-profiles --quiet

        For more information, try '--help'.

        $ ssoinv buckets --all-profiles --demo=maybe
        error: invalid value 'maybe' for '--demo[=<KIND>]'
          [possible values: plain, faults]

        For more information, try '--help'.

        $ ssoinv buckets --all-profiles --color sometimes
        error: invalid value 'sometimes' for '--color <WHEN>'
          [possible values: auto, always, never]

        For more information, try '--help'.

        $ ssoinv list --all-profiles
        error: the following required arguments were not provided:
          <TABLE>...

        Usage: ssoinv list --all-profiles <TABLE>...

        For more information, try '--help'.

    "#]].assert_eq(&all);
    assert!(world.simulator.calls().is_empty(), "something was asked");
}

fn variables_that_mean_nothing() {
    let mut all = String::new();
    for (name, value) in [("AWS_MAX_ATTEMPTS", "many"), ("AWS_REGION", "nowhere"), ("AWS_PROFILE", "nobody")]
    {
        let world = World::seeded(1).variable(name, value);
        let run = world.run("instances").ended(2);
        all += &format!("$ {name}={value} ssoinv instances\n{}\n", world.shown(&run.stderr));
    }
    expect![[r#"
        $ AWS_MAX_ATTEMPTS=many ssoinv instances
        error: `AWS_MAX_ATTEMPTS` is `many`, which is not a number above 0

        $ AWS_REGION=nowhere ssoinv instances
        error: `nowhere` (from AWS_REGION) is not the name of a region

        hint: a region's name looks like `eu-central-1`

        $ AWS_PROFILE=nobody ssoinv instances
        error: there is no profile `nobody` (from AWS_PROFILE)
          there are:
          `fraud-staging-00000-AdministratorAccess`

        hint: `ssoinv profiles` shows more about each

    "#]]
    .assert_eq(&all);
}

fn a_file_that_does_not_parse() {
    let world = World::seeded(1);
    let config = world.home.path().join(".aws/config");
    let text = fs::read_to_string(&config).expect("a config");
    fs::write(&config, format!("{text}[profile next\nregion = eu-west-1\n")).expect("a config");
    let line = text.lines().count() + 1;
    let mut all = String::new();
    for arguments in ["buckets --all-profiles", "profiles"] {
        let run = world.run(arguments).ended(2);
        assert_eq!(run.stdout, "");
        all += &format!("$ ssoinv {arguments}\n{}\n", world.shown(&run.stderr));
    }
    expect![[r#"
        $ ssoinv buckets --all-profiles
        error: ~/.aws/config:LINE: Profile definition must end with ']'

        hint: end the section's name with `]`

        $ ssoinv profiles
        error: ~/.aws/config:LINE: Profile definition must end with ']'

        hint: end the section's name with `]`

    "#]]
    .assert_eq(&all.replace(&format!(":{line}"), ":LINE"));
}

fn no_config_at_all() {
    let world = World::without_home(seeded(1), Options::default());
    let mut all = String::new();
    for (arguments, code) in
        [("buckets", 2), ("buckets --all-profiles", 5), ("buckets --profile dev", 2), ("profiles", 0)]
    {
        let run = world.run(arguments).ended(code);
        all += &format!("$ ssoinv {arguments}\n{}{}\n", run.stdout, world.shown(&run.stderr));
    }
    expect![[r#"
        $ ssoinv buckets
        error: there is no profile `default`
          ~/.aws/config has no profile
          ~/.aws/credentials has no profile

        hint: say which with `--profile NAME`, or `--all-profiles`; `ssoinv profiles` lists them

        $ ssoinv buckets --all-profiles
        error: there is no profile in ~/.aws/config or ~/.aws/credentials

        hint: `aws configure sso` makes some; `ssoinv --demo buckets --all-profiles` needs none

        $ ssoinv buckets --profile dev
        error: there is no profile `dev` (from --profile)
          ~/.aws/config has no profile
          ~/.aws/credentials has no profile

        $ ssoinv profiles
        name  kind  account_id  role_name  sso_session  region  problems
        warning: there is no profile in ~/.aws/config or ~/.aws/credentials
        hint: `aws configure sso` makes some; `ssoinv --demo buckets --all-profiles` needs none

    "#]]
    .assert_eq(&all);
    // Nothing of what needs no file is hindered.
    world.run("tables").ended(0);
}

fn a_home_that_does_not_exist() {
    let in_no_home = |arguments: &str, config: Option<&Path>| {
        let mut command = ssoinv(arguments);
        command.env("HOME", "/nonexistent/home");
        command.envs(config.map(|config| ("AWS_CONFIG_FILE", config)));
        run(command)
    };
    let run = in_no_home("buckets --all-profiles", None).ended(5);
    expect![[r#"
        error: there is no profile in ~/.aws/config or ~/.aws/credentials

        hint: `aws configure sso` makes some; `ssoinv --demo buckets --all-profiles` needs none
    "#]]
    .assert_eq(&run.stderr);

    // Keys that need no cache serve all the same, and nothing makes the home.
    let world = World::without_home(Organisation::hostile(), Options::default());
    let config = world.home.path().join("config");
    let text = format!(
        "[profile ci]\nregion = eu-west-1\nendpoint_url = {}\naws_access_key_id = AKIASIMULATEDEXAMPLE\n\
         aws_secret_access_key = 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\n",
        world.simulator.url()
    );
    fs::write(&config, text).expect("a config");
    let run = in_no_home("buckets --profile ci -o json", Some(&config)).ended(0);
    assert_eq!(column(&run.rows(), "name"), ["0.0-bucket", "xn--not-really"]);
    assert!(!Path::new("/nonexistent").exists());

    // A sign-in can't be found there.
    let world = World::seeded(1);
    let config = world.home.path().join(".aws/config");
    let run = in_no_home("buckets --all-profiles", Some(&config)).ended(3);
    expect![[r#"
        warning: not signed in to sso-session `acme`; 1 task without a sign-in
        hint: run `ssoinv login --profile fraud-staging-00000-AdministratorAccess`, then the same command again
        0 buckets from 0 of 1 account, in all regions; 1 task without a sign-in: partial
    "#]].assert_eq(&world.said_of(&run.stderr));
}

fn the_user_agent_names_the_program() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&heads);
    let impostor = Impostor::start(move |request| {
        heard.lock().expect("no panic").push(request.to_lowercase());
        Impostor::http("500 Internal Server Error", "text/plain", "")
    });
    let world = World::seeded(1).variable("AWS_MAX_ATTEMPTS", "1");
    // In turn the portal, and each service.
    for variable in
        ["AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL_LAMBDA"]
    {
        let mut command =
            world.command("list aws_s3_bucket aws_ec2_instance aws_lambda_function --all-profiles");
        command.env(variable, &impostor.url);
        run(command);
        let heads = std::mem::take(&mut *heads.lock().expect("no panic"));
        assert!(!heads.is_empty(), "{variable}");
        let expected = format!("ssoinv/{}", env!("CARGO_PKG_VERSION"));
        for head in heads {
            let agents: Vec<&str> = head.lines().filter(|line| line.contains("user-agent:")).collect();
            assert!(agents.iter().any(|line| line.contains(&expected)), "{variable}: {agents:?}");
        }
    }
}

fn never_more_calls_at_once_than_said() {
    let world = World::seeded(8);
    let peak = |arguments: &str, latency: u64| {
        // Long enough for any that may go at once to meet.
        world.simulator.clear_faults();
        let slow = Fault::new(Effect::Latency(latency)).operation("ListBuckets");
        world.simulator.fault(slow).expect("a fault");
        world.control(Control::ResetCounters {});
        let (run, ledger) = world.with_ledger(&format!("buckets --all-profiles {arguments}"));
        run.ended(0);
        assert_eq!(statuses(&ledger), "ok 8");
        world.simulator.peak(Service::S3, "us-east-1")
    };
    assert!(peak("", 400) > 2, "the measure would see more");
    assert!(peak("--concurrency 2", 50) <= 2);
    assert_eq!(peak("--concurrency 1", 50), 1);
}
