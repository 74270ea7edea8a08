//! `config.toml`, `SSOINV_*` and flags, through the binary.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes the snapshots so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect;
use ssoinv_sim::{Control, Effect, Fault, Service};
use tempfile::TempDir;

use crate::support::{Run, World, column, run, seeded, ssoinv, statuses, walk};

crate::tests![
    defaults_are_shown,
    each_value_is_shown_with_its_source,
    the_file_is_where_the_platform_keeps_such,
    another_file_can_be_named,
    the_current_folder_says_nothing,
    a_demonstration_has_no_settings,
    regions_from_each_layer,
    the_format_from_each_layer,
    limits_are_heeded,
    nobody_is_asked_where_it_is_set,
    names_that_mean_nothing,
    values_of_the_wrong_type,
    values_that_mean_nothing,
    a_file_that_is_no_toml,
    a_file_that_cannot_be_read,
    mistakes_in_variables,
    names_that_control_terminals_do_not,
];

/// A home with this in `config.toml`.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new(config: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a folder") };
        home.write(config);
        home
    }

    fn write(&self, config: impl AsRef<[u8]>) {
        write_config(self.folder.path(), config);
    }

    fn command(&self, arguments: &str, variables: &[(&str, &str)]) -> Command {
        let mut command = ssoinv(arguments);
        command.env("HOME", self.folder.path()).envs(variables.iter().copied());
        command
    }

    /// stdout, stderr and exit code as one text.
    fn told(&self, arguments: &str, variables: &[(&str, &str)]) -> String {
        told(&self.shown(run(self.command(arguments, variables))))
    }

    fn shown(&self, mut run: Run) -> Run {
        let home = self.folder.path().display().to_string();
        for text in [&mut run.stdout, &mut run.stderr] {
            *text = text.replace(&home, "~");
        }
        run
    }

    /// What any command ends with for each of these files, though it needs none of what they set.
    fn refuses(&self, configs: &[&str]) -> String {
        let mut all = String::new();
        for config in configs {
            self.write(config);
            let told = self.told("tables", &[]);
            assert_eq!(told, self.told("settings", &[]));
            all += &format!("{config}\n{told}\n");
        }
        all
    }
}

/// The folder of settings in a home.
fn config_folder(home: &Path) -> PathBuf {
    let folder = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
    home.join(folder).join("ssoinv")
}

fn write_config(home: &Path, config: impl AsRef<[u8]>) {
    let folder = config_folder(home);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("config.toml"), config).expect("written");
}

fn told(run: &Run) -> String {
    format!("{}-- stderr\n{}-- exit {}\n", run.stdout, run.stderr, run.code.expect("no signal"))
}

/// Key, value and source of what isn't at its default.
fn set(run: &Run) -> String {
    let rows = run.rows();
    let set = rows.iter().filter(|row| row["source"] != "default");
    let told =
        set.map(|row| format!("{} = {} ({})\n", row["key"], row["value"], row["source"]).replace('"', ""));
    told.collect()
}

fn defaults_are_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = ssoinv("settings");
    command.env("HOME", folder.path());
    let mut run = run(command);
    run.stderr = run.stderr.replace(&folder.path().display().to_string(), "~");
    expect![[r#"
        key                    value  source   description
        attempt_timeout        30s    default  How long one attempt at a call may take [default: 30s]
        concurrency            64     default  Calls under way at once [default: 64]
        connect_timeout        5s     default  How long connecting may take [default: 5s]
        exclude_account        -      default  Not these accounts: IDs, globs of names, or a file of IDs; several with commas
        expect                 -      default  What should be there: accounts, and gaps that are expected, in a file of CSV, TOML, or JSON as `aws organizations list-accounts` prints it; several, one after the other
        max_time               -      default  Stop after this time, like 45m, and write what is there
        no_browser             false  default  Print the address to sign in at, open no browser
        no_credential_cache    false  default  Share no role credentials with the AWS CLI and later runs: neither read nor write `~/.aws/cli/cache`
        no_credential_process  false  default  Run no `credential_process`
        no_input               false  default  Never ask anybody to sign in; `CI=true` says the same
        output                 -      default  The format: table, csv, json or ndjson [default: by the ending of --out, else table]
        portal_rate            20     default  Calls a second to the portal of IAM Identity Center, at most [default: 20]
        redirect_port          -      default  Let the browser come back to this port of this machine, as through `ssh -L` [default: any free one]
        region                 -      default  Regions to ask for regional tables: names or globs, several with commas, or `all` that are enabled in the account [default: AWS_REGION, AWS_DEFAULT_REGION, each profile's own; with --all-accounts, `all`]
        retry_time             5m     default  How long a throttled call is tried again, in all [default: 5m]
        role                   -      default  The role to take in each account: names or globs, in order of preference [default: one that is known to read only, by its name]
        spreadsheet            false  default  Make CSV that spreadsheets read as it is meant: BOM, CRLF, no formulas, IDs as text
        sso_session            -      default  The sso-session whose accounts are meant [default: that of AWS_PROFILE or `default`, else the only one]
        use_device_code        false  default  Show a code to approve in any browser, instead of a page that comes back to this machine
        wide                   false  default  Show all columns in tables, too
        -- stderr
        settings are read from `~/.config/ssoinv/config.toml`, which is not there, and from variables `SSOINV_…`
        -- exit 0
    "#]].assert_eq(&told(&run));
}

fn each_value_is_shown_with_its_source() {
    let home = Home::new(
        "# for the nightly job\nregion = [\"eu-west-1\", \"us-east-1\"]\n\nmax_time = \"45m\"\nconcurrency = 0x10\n\
         wide = true\noutput = \"ndjson\"\n",
    );
    let variables = [("SSOINV_CONCURRENCY", "8"), ("SSOINV_NO_INPUT", "1"), ("AWS_REGION", "eu-north-1")];
    let shown = home.shown(run(home.command("settings -o json", &variables))).ended(0);
    expect![[r#"
        concurrency = 8 (SSOINV_CONCURRENCY)
        max_time = 45m (~/.config/ssoinv/config.toml:4)
        no_input = 1 (SSOINV_NO_INPUT)
        output = ndjson (~/.config/ssoinv/config.toml:7)
        region = eu-west-1,us-east-1 (~/.config/ssoinv/config.toml:2)
        wide = true (~/.config/ssoinv/config.toml:6)
    "#]]
    .assert_eq(&set(&shown));
    expect![[r#"
        settings are read from `~/.config/ssoinv/config.toml`, and from variables `SSOINV_…`
    "#]]
    .assert_eq(&shown.stderr);
    // What is set is heeded by this command, too; an empty variable says nothing.
    let lines = run(home.command("settings -q", &[("SSOINV_CONCURRENCY", "")])).ended(0);
    assert_eq!(lines.stderr, "");
    assert!(
        lines.stdout.starts_with(r#"{"key":"attempt_timeout","value":"30s","source":"default","#),
        "{lines:?}"
    );
    assert!(lines.stdout.contains(r#"{"key":"concurrency","value":"16","#), "{lines:?}");
    let others = Home::new("");
    let region = others.shown(run(others.command("settings -o json", &[("AWS_REGION", "eu-north-1")])));
    expect![[r#"
        region = eu-north-1 (AWS_REGION)
    "#]]
    .assert_eq(&set(&region));
}

fn the_file_is_where_the_platform_keeps_such() {
    let home = Home::new("wide = true");
    let elsewhere = tempfile::tempdir().expect("a folder");
    fs::create_dir(elsewhere.path().join("ssoinv")).expect("a folder");
    fs::write(elsewhere.path().join("ssoinv/config.toml"), "concurrency = 2").expect("written");
    if cfg!(not(target_os = "macos")) {
        let xdg = elsewhere.path().display().to_string();
        let found = run(home.command("settings -o json", &[("XDG_CONFIG_HOME", &xdg)])).ended(0);
        assert_eq!(set(&found), format!("concurrency = 2 ({xdg}/ssoinv/config.toml:1)\n"));
        // The specification says that a relative one is to be ignored; it would be in the current folder.
        let mut relative = home.command("settings -o json", &[("XDG_CONFIG_HOME", ".")]);
        relative.current_dir(elsewhere.path());
        assert_eq!(
            set(&home.shown(run(relative).ended(0))),
            "wide = true (~/.config/ssoinv/config.toml:1)\n"
        );
    }
    // No home, or one that is none: nothing is set.
    for nowhere in ["/dev/null", "/nonexistent/home", "."] {
        let mut command = ssoinv("settings -o json");
        command.env("HOME", nowhere).current_dir(home.folder.path());
        assert_eq!(set(&run(command).ended(0)), "", "{nowhere}");
    }
}

fn another_file_can_be_named() {
    let home = Home::new("wide = true");
    let other = home.folder.path().join("other.toml");
    fs::write(&other, "no_browser = true").expect("written");
    let named =
        |file: &str| home.shown(run(home.command("settings -o json", &[("SSOINV_CONFIG_FILE", file)])));
    assert_eq!(set(&named(&other.display().to_string())), "no_browser = true (~/other.toml:1)\n");
    assert_eq!(set(&named("/dev/null")), "");
    let missing = home.folder.path().join("missing.toml");
    expect![[r#"
        -- stderr
        error: cannot read `~/missing.toml` (from SSOINV_CONFIG_FILE): No such file or directory (os error 2)

        hint: name a file, or unset `SSOINV_CONFIG_FILE`
        -- exit 2
    "#]]
    .assert_eq(&told(&named(&missing.display().to_string())));
    // A file without end is not read to its end.
    if Path::new("/dev/zero").exists() {
        expect![[r#"
            -- stderr
            error: cannot read `/dev/zero` (from SSOINV_CONFIG_FILE): it is larger than 1 MiB

            hint: name a file, or unset `SSOINV_CONFIG_FILE`
            -- exit 2
        "#]]
        .assert_eq(&told(&named("/dev/zero")));
    }
}

fn the_current_folder_says_nothing() {
    let home = Home::new("");
    let checkout = tempfile::tempdir().expect("a folder");
    write_config(checkout.path(), "wide = true");
    for name in ["config.toml", "ssoinv.toml", ".ssoinv.toml"] {
        fs::write(checkout.path().join(name), "no such setting").expect("written");
    }
    let mut command = home.command("settings -o json", &[]);
    command.current_dir(checkout.path());
    assert_eq!(set(&run(command).ended(0)), "");
}

fn a_demonstration_has_no_settings() {
    let home = Home::new("this would end any command");
    let variables =
        [("SSOINV_OUTPUT", "no format"), ("SSOINV_CONFIG_FILE", "/missing"), ("SSOINV_NONE", "1")];
    let mut command = home.command("--demo settings -o json", &variables);
    command.env("XDG_CONFIG_HOME", home.folder.path().join(".config"));
    let shown = run(command).ended(0);
    assert_eq!(set(&shown), "");
    expect![[r#"
        demo: made-up data of a simulated organisation; nothing of yours is read, asked or changed
    "#]]
    .assert_eq(&shown.stderr);
    assert_eq!(walk(home.folder.path()).len(), 1, "something was written");
}

/// Where instances are looked for, by which layers say so.
fn regions_from_each_layer() {
    let world = World::new(seeded(1));
    let mut all = String::new();
    let mut ask = |world: &World, arguments: &str| {
        let (run, ledger) = world.with_ledger(&format!("instances --all-profiles {arguments}"));
        let regions = column(&ledger, "region").join(" ");
        all += &format!("{regions}: {}", world.said_of(&run.ended(0).stderr));
    };
    ask(&world, "");
    let world = world.variable("AWS_REGION", "eu-central-1");
    ask(&world, "");
    // A setting is ssoinv's own, and counts for more than what all of AWS's tools read.
    write_config(world.home.path(), "region = ['us-east-1', 'us-west-2']");
    ask(&world, "");
    let world = world.variable("SSOINV_REGION", "eu-west-1,us-east-1");
    ask(&world, "");
    ask(&world, "--region us-west-2");
    expect![[r#"
        us-east-1: 5 instances from 1 of 1 account, in 1 region (from the profiles)
        eu-central-1: 5 instances from 1 of 1 account, in 1 region (from `AWS_REGION`)
        us-east-1 us-west-2: 10 instances from 1 of 1 account, in 2 regions (from `~/.config/ssoinv/config.toml:1`)
        eu-west-1 us-east-1: 10 instances from 1 of 1 account, in 2 regions (from `SSOINV_REGION`)
        us-west-2: 5 instances from 1 of 1 account, in 1 region (from `--region`)
    "#]].assert_eq(&all);
}

fn the_format_from_each_layer() {
    let home = Home::new("output = 'csv'\nspreadsheet = true");
    let first = |arguments: &str, variables: &[(&str, &str)]| {
        let run = run(home.command(&format!("tables {arguments}"), variables)).ended(0);
        run.stdout.lines().next().unwrap_or_default().to_owned()
    };
    let json = [("SSOINV_OUTPUT", "json")];
    assert_eq!(first("", &[]), "\u{feff}table,asked,columns,description");
    assert_eq!(first("--no-spreadsheet", &[]), "table,asked,columns,description");
    assert_eq!(first("", &[("SSOINV_SPREADSHEET", "false")]), "table,asked,columns,description");
    assert!(first("", &json).starts_with('['));
    assert!(first("-o table", &json).starts_with("table "));
    // The ending of a file is typed, and so counts for more than what is set.
    let out = home.folder.path().join("tables.ndjson");
    run(home.command(&format!("tables --out {}", out.display()), &json)).ended(0);
    assert!(fs::read_to_string(&out).expect("a file").starts_with("{\"table\""));
    // Typed, a switch that doesn't fit is a mistake; set, it is for where it fits.
    run(home.command("tables --spreadsheet -o json", &[])).ended(2).said("`--spreadsheet` is for CSV");
}

fn limits_are_heeded() {
    let world = World::new(seeded(4));
    let on_lists = |effect| {
        world.simulator.clear_faults();
        world.simulator.fault(Fault::new(effect).operation("ListBuckets")).expect("a fault");
    };
    write_config(world.home.path(), "concurrency = 1\nmax_time = '1ms'");
    on_lists(Effect::Stall);
    let (run, ledger) = world.with_ledger("buckets --all-profiles");
    run.ended(4);
    assert_eq!(statuses(&ledger), "not_tried 4");
    // Long enough for any that may go at once to meet.
    on_lists(Effect::Latency(50));
    world.control(Control::ResetCounters {});
    world.run("buckets --all-profiles --max-time 10m").ended(0);
    assert_eq!(world.simulator.peak(Service::S3, "us-east-1"), 1);
    world.simulator.clear_faults();
    world.variable("SSOINV_MAX_TIME", "10m").run("buckets --all-profiles").ended(0);
}

fn nobody_is_asked_where_it_is_set() {
    let home = Home::new("\nno_input = true");
    expect![[r#"
        -- stderr
        error: a sign-in needs somebody, and `~/.config/ssoinv/config.toml:2` says that nobody is there

        hint: `ssoinv login --use-device-code` shows a code, also in a log, to approve in any browser
        -- exit 3
    "#]]
    .assert_eq(&home.told("login", &[]));
    expect![[r#"
        -- stderr
        error: a sign-in needs somebody, and `SSOINV_NO_INPUT` says that nobody is there

        hint: `ssoinv login --use-device-code` shows a code, also in a log, to approve in any browser
        -- exit 3
    "#]]
    .assert_eq(&home.told("login", &[("SSOINV_NO_INPUT", "true")]));
    expect![[r#"
        -- stderr
        error: a sign-in needs somebody, and `--no-input` says that nobody is there

        hint: `ssoinv login --use-device-code` shows a code, also in a log, to approve in any browser
        -- exit 3
    "#]]
    .assert_eq(&home.told("login --no-input", &[]));
    // Taken back, it goes on to the next question: which sso-session?
    let asked = home.told("login --input", &[]);
    assert!(!asked.contains("nobody is there"), "{asked}");
    assert_eq!(home.told("login", &[("SSOINV_NO_INPUT", "false")]), asked);
}

fn names_that_mean_nothing() {
    let home = Home::new("");
    expect![[r#"
        wide = true
        concurency = 64
        -- stderr
        error: ~/.config/ssoinv/config.toml:2: there is no setting `concurency`
          there are: attempt_timeout, concurrency, connect_timeout, exclude_account, expect, max_time, no_browser, no_credential_cache, no_credential_process, no_input, output, portal_rate, redirect_port, region, retry_time, role, spreadsheet, sso_session, use_device_code, wide

        hint: did you mean `concurrency`?
        -- exit 2

        [profile.dev]
        region = 'eu-west-1'
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: there is no section `[profile]`
          there are: attempt_timeout, concurrency, connect_timeout, exclude_account, expect, max_time, no_browser, no_credential_cache, no_credential_process, no_input, output, portal_rate, redirect_port, region, retry_time, role, spreadsheet, sso_session, use_device_code, wide

        hint: a setting is named as its flag is: `max_time` is `--max-time`
        -- exit 2

        include_secrets = true
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: there is no setting `include_secrets`
          there are: attempt_timeout, concurrency, connect_timeout, exclude_account, expect, max_time, no_browser, no_credential_cache, no_credential_process, no_input, output, portal_rate, redirect_port, region, retry_time, role, spreadsheet, sso_session, use_device_code, wide

        hint: a setting is named as its flag is: `max_time` is `--max-time`
        -- exit 2

    "#]].assert_eq(&home.refuses(&[
        "wide = true\nconcurency = 64",
        "[profile.dev]\nregion = 'eu-west-1'",
        "include_secrets = true",
    ]));
    // That is no matter of what asks nothing of the file.
    run(home.command("--help", &[])).ended(0);
    run(home.command("--version", &[])).ended(0);
}

fn values_of_the_wrong_type() {
    expect![[r#"
        wide = 'true'
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: `wide` is a text, not true or false

        hint: write `true` or `false`, without quotes
        -- exit 2

        concurrency = '64'
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: `concurrency` is a text, not a whole number

        hint: write its digits, without quotes
        -- exit 2

        max_time = 45
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: `max_time` is a number, not a text

        hint: write it in quotes
        -- exit 2

        region = ['eu-west-1', 1]
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: `region` is a list with a number in it, not a list of texts

        hint: write each in quotes, like `["one", "two"]`
        -- exit 2

    "#]]
    .assert_eq(&Home::new("").refuses(&[
        "wide = 'true'",
        "concurrency = '64'",
        "max_time = 45",
        "region = ['eu-west-1', 1]",
    ]));
}

fn values_that_mean_nothing() {
    expect![[r#"
        concurrency = 4096
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: `concurrency` is `4096`, which is not a number from 1 to 1024
        -- exit 2

        max_time = 'soon'
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: `max_time` is `soon`, which is not a time above zero, like 90s, 45m or 1h 30m
        -- exit 2

        redirect_port = 0
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: `redirect_port` is `0`, which is not a port from 1 to 65535
        -- exit 2



        region = 'us-esat1'
        -- stderr
        error: ~/.config/ssoinv/config.toml:3: `region` is `us-esat1`, which is not the name of a region

        hint: did you mean `us-east-1`?
        -- exit 2

        region = []
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: `region` names nothing

        hint: name one or more, or leave it out
        -- exit 2

        output = 'rows.csv'
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: `output` is `rows.csv`, which is not a format

        hint: to write to a file, say `--out rows.csv`
        -- exit 2

    "#]].assert_eq(&Home::new("").refuses(&[
        "concurrency = 4096",
        "max_time = 'soon'",
        "redirect_port = 0",
        "\n\nregion = 'us-esat1'",
        "region = []",
        "output = 'rows.csv'",
    ]));
}

fn a_file_that_is_no_toml() {
    let home = Home::new("");
    let mut all =
        home.refuses(&["wide = true\nwide = true", "wide = yes", "output = 'csv\nwide = true", "[region"]);
    home.write(b"wide = true\n# \xff");
    all += &home.told("tables", &[]);
    expect![[r#"
        wide = true
        wide = true
        -- stderr
        error: ~/.config/ssoinv/config.toml:2: this is not TOML: duplicate key

        hint: a setting is a line like `max_time = "45m"`, `concurrency = 64` or `wide = true`
        -- exit 2

        wide = yes
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: this is not TOML: string values must be quoted, expected literal string

        hint: a setting is a line like `max_time = "45m"`, `concurrency = 64` or `wide = true`
        -- exit 2

        output = 'csv
        wide = true
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: this is not TOML: invalid literal string, expected `'`

        hint: a setting is a line like `max_time = "45m"`, `concurrency = 64` or `wide = true`
        -- exit 2

        [region
        -- stderr
        error: ~/.config/ssoinv/config.toml:1: this is not TOML: unclosed table, expected `]`

        hint: a setting is a line like `max_time = "45m"`, `concurrency = 64` or `wide = true`
        -- exit 2

        -- stderr
        error: ~/.config/ssoinv/config.toml:2: this is not UTF-8 text
        -- exit 2
    "#]].assert_eq(&all);
}

fn a_file_that_cannot_be_read() {
    let home = Home::new("");
    let file = config_folder(home.folder.path()).join("config.toml");
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("a folder");
    expect![[r#"
        -- stderr
        error: cannot read `~/.config/ssoinv/config.toml`: Is a directory (os error 21)

        hint: make it a file that you can read, or remove it
        -- exit 2
    "#]]
    .assert_eq(&home.told("tables", &[]));
}

fn mistakes_in_variables() {
    let home = Home::new("");
    let mut all = String::new();
    for (name, value) in [
        ("SSOINV_CONCURRENCY", "many"),
        ("SSOINV_WIDE", "maybe"),
        ("SSOINV_OUTPUT", "yaml"),
        ("SSOINV_REGION", "eu-west-1,nowhere"),
        ("SSOINV_REGION", ","),
        ("SSOINV_CONCURENCY", "64"),
        ("SSOINV_CONFIG", "~/mine.toml"),
        ("SSOINV_INCLUDE_SECRETS", "true"),
    ] {
        all += &format!(
            "$ {name}={value}\n{}\n",
            home.told("tables --no-header --columns table", &[(name, value)])
        );
    }
    expect![[r#"
        $ SSOINV_CONCURRENCY=many
        -- stderr
        error: `many` (from SSOINV_CONCURRENCY) is not a number from 1 to 1024
        -- exit 2

        $ SSOINV_WIDE=maybe
        -- stderr
        error: `maybe` (from SSOINV_WIDE) is not true or false
        -- exit 2

        $ SSOINV_OUTPUT=yaml
        -- stderr
        error: `yaml` (from SSOINV_OUTPUT) is not a format

        hint: the formats are table, csv, json and ndjson
        -- exit 2

        $ SSOINV_REGION=eu-west-1,nowhere
        -- stderr
        error: `nowhere` (from SSOINV_REGION) is not the name of a region

        hint: a region's name looks like `eu-central-1`
        -- exit 2

        $ SSOINV_REGION=,
        -- stderr
        error: `SSOINV_REGION` names nothing

        hint: name one or more, or leave it out
        -- exit 2

        $ SSOINV_CONCURENCY=64
        aws_ec2_instance
        aws_lambda_function
        aws_s3_bucket
        -- stderr
        warning: `SSOINV_CONCURENCY` is no variable of ssoinv's: ignored
        hint: did you mean `SSOINV_CONCURRENCY`?
        -- exit 0

        $ SSOINV_CONFIG=~/mine.toml
        aws_ec2_instance
        aws_lambda_function
        aws_s3_bucket
        -- stderr
        warning: `SSOINV_CONFIG` is no variable of ssoinv's: ignored
        hint: did you mean `SSOINV_CONFIG_FILE`?
        -- exit 0

        $ SSOINV_INCLUDE_SECRETS=true
        aws_ec2_instance
        aws_lambda_function
        aws_s3_bucket
        -- stderr
        warning: `SSOINV_INCLUDE_SECRETS` is no variable of ssoinv's: ignored
        hint: `ssoinv settings` shows what can be set
        -- exit 0

    "#]]
    .assert_eq(&all);
}

/// Keys and values are untrusted text.
fn names_that_control_terminals_do_not() {
    let home = Home::new("\"\\u001b[2J\" = 1");
    for (arguments, variables) in [
        ("tables", [("X", "1")]),
        ("settings", [("SSOINV_OUTPUT", "\u{1b}[2J")]),
        ("tables", [("SSOINV_\u{1b}", "1")]),
    ] {
        if arguments == "settings" {
            home.write("");
        }
        let run = run(home.command(arguments, &variables));
        assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
        assert!(run.stderr.contains("error: ") || run.stderr.contains("warning: "), "{run:?}");
    }
}
