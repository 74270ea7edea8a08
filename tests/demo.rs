//! `--demo`, as README shows it.

use std::collections::BTreeSet;
use std::fs;

use expect_test::expect;

use crate::support::{column, run, ssoinv, walk};

crate::tests![
    plain_is_complete_and_the_same_each_time,
    faults_show_what_failures_look_like,
    nothing_of_the_users_is_read_or_written,
    any_command_can_be_shown,
];

fn plain_is_complete_and_the_same_each_time() {
    let first = run(ssoinv("--demo buckets --all-profiles -o json")).ended(0);
    let rows = first.rows();
    assert_eq!(column(&rows, "account_id").into_iter().collect::<BTreeSet<_>>().len(), 12);
    expect![[r#"
        demo: made-up data of a simulated organisation; nothing of yours is read, asked or changed
        demo: a simulated person signs in to `tidewater` in a browser
        signed in to `tidewater`
        52 buckets from 12 of 12 accounts, in all regions
    "#]]
    .assert_eq(&first.stderr);
    let second = run(ssoinv("--demo buckets --all-profiles -o json")).ended(0);
    assert_eq!(first.stdout, second.stdout);
}

fn faults_show_what_failures_look_like() {
    let run =
        run(ssoinv("--demo=faults list aws_s3_bucket aws_ec2_instance --all-profiles -o ndjson")).ended(4);
    expect![[r#"
        demo: made-up data of a simulated organisation; nothing of yours is read, asked or changed
        demo: a simulated person signs in to `tidewater` in a browser
        signed in to `tidewater`
        warning: no access in 2 of 12 accounts with role `ReadOnlyAccess`: `log-archive` (048213977512), `security-audit` (619027348855); 3 tasks denied (AccessDenied, ForbiddenException)
        warning: a service control policy denies access in 1 of 12 accounts: `payments-prod` (451920087364); 1 task denied
        warning: could not reach region `ap-southeast-2` in 1 of 12 accounts: `sandbox` (127735590846); 1 task unreachable: tcp connect error: Connection refused (os error 111) (5 attempts)
        hint: `--coverage FILE` writes down each of them
        42 buckets, 42 instances from 11 of 12 accounts, in 2 regions (from the profiles); 3 tasks denied, 1 task denied by scp, 1 task unreachable: partial
    "#]].assert_eq(&run.stderr);
}

/// A config of the user's that would break any run, and variables that would lead it elsewhere.
fn nothing_of_the_users_is_read_or_written() {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join(".aws")).expect("a folder");
    fs::write(home.path().join(".aws/config"), "[default\nbroken").expect("written");
    let mut command = ssoinv("--demo instances --all-profiles -q");
    command.env("HOME", home.path()).env("AWS_PROFILE", "mine").env("AWS_REGION", "xx-none-1");
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("HTTPS_PROXY", "http://127.0.0.1:9");
    let shown = run(command).ended(0);
    assert_eq!(shown.stderr, "");
    assert!(shown.stdout.contains("i-0"), "{shown:#?}");
    let left: Vec<_> = walk(home.path());
    assert_eq!(left, [".aws/config"]);
}

fn any_command_can_be_shown() {
    let profiles = run(ssoinv("--demo profiles -o json")).ended(0).rows();
    assert_eq!(profiles.len(), 12);
    assert!(column(&profiles, "kind").iter().all(|kind| *kind == "sso-session"));
    run(ssoinv("tables --demo")).ended(0).said("demo: made-up data");
}
