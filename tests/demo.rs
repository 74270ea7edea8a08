//! `--demo`, as README shows it.

use crate::support::{column, run, ssoinv};
use crate::tests;
use expect_test::expect;

tests![plain_is_complete_and_the_same_each_time, faults_show_what_failures_look_like];

fn plain_is_complete_and_the_same_each_time() {
    let first = run(ssoinv("--demo buckets --all-profiles -o json")).ended(0);
    let rows = first.rows();
    assert!(column(&rows, "account_id").windows(2).any(|pair| pair[0] != pair[1]));
    expect![[""]].assert_eq(&first.stderr);
    let second = run(ssoinv("--demo buckets --all-profiles -o json")).ended(0);
    assert_eq!(first.stdout, second.stdout);
}

fn faults_show_what_failures_look_like() {
    let run =
        run(ssoinv("--demo=faults list aws_s3_bucket aws_ec2_instance --all-profiles -o ndjson")).ended(4);
    expect![[""]].assert_eq(&run.stderr);
}
