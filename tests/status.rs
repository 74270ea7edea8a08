//! `--status FILE`: what the file says, however a command ends.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes the snapshots so")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use expect_test::{Expect, expect};
use rustix::process::Signal;
use serde_json::Value;
use ssoinv_sim::{Effect, Fault, Options, Token};

use crate::held::Held;
use crate::support::{Run, World, seeded};
use crate::tests;

tests![
    a_complete_run,
    a_partial_run,
    an_interrupted_run,
    a_run_without_a_sign_in,
    an_expected_gap_is_complete,
    a_closed_pipe,
    profiles_and_doctor,
    a_usage_error_after_parsing,
    a_failed_output_keeps_the_counts,
    the_file_is_private,
    an_unwritable_file_ends_the_command_first,
    a_pipe_takes_the_last_document_only,
    a_saved_run_does_not_repeat_the_file,
];

fn file(world: &World) -> PathBuf {
    world.home.path().join("status.json")
}

/// Runs a command with a status file, and returns the document as text, without what differs at each run.
fn with_status(world: &World, arguments: &str) -> (Run, String) {
    let run = world.run(&format!("{arguments} --status {}", file(world).display()));
    let shown = document(world);
    (run, shown)
}

fn document(world: &World) -> String {
    let text = fs::read_to_string(file(world)).expect("a status file");
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let text = match json["run_id"].as_str() {
        Some(run_id) => text.replace(run_id, "RUN"),
        None => text,
    };
    world.shown(&text)
}

#[track_caller]
fn ends(world: &World, arguments: &str, code: i32, expected: &Expect) {
    let (run, shown) = with_status(world, arguments);
    run.ended(code);
    expected.assert_eq(&shown);
}

fn a_complete_run() {
    let world = World::seeded(2);
    ends(
        &world,
        "buckets --all-profiles",
        0,
        &expect![[r#"
        {
          "exit_code": 0,
          "complete": true,
          "reasons": [],
          "run_id": "RUN",
          "statuses": {
            "ok": 2
          },
          "expected_gaps": 0,
          "accounts": [
            {
              "account_id": "462003338960",
              "account_name": "fraud-staging-00000",
              "complete": true,
              "statuses": {
                "ok": 1
              }
            },
            {
              "account_id": "080037327709",
              "account_name": "data-staging-00001",
              "complete": true,
              "statuses": {
                "ok": 1
              }
            }
          ]
        }
    "#]],
    );
}

fn a_partial_run() {
    let world = World::seeded(2);
    let id = world.simulator.organisation().account(1).id;
    world.simulator.fault(Fault::new(Effect::Denied).account(&id)).expect("a fault");
    ends(
        &world,
        "list aws_s3_bucket aws_ec2_instance --all-profiles",
        4,
        &expect![[r#"
        {
          "exit_code": 4,
          "complete": false,
          "reasons": [
            {
              "exit_code": 4,
              "reason": "partial"
            }
          ],
          "run_id": "RUN",
          "statuses": {
            "denied": 2,
            "ok": 2
          },
          "expected_gaps": 0,
          "accounts": [
            {
              "account_id": "462003338960",
              "account_name": "fraud-staging-00000",
              "complete": true,
              "statuses": {
                "ok": 2
              }
            },
            {
              "account_id": "080037327709",
              "account_name": "data-staging-00001",
              "complete": false,
              "statuses": {
                "denied": 2
              }
            }
          ]
        }
    "#]],
    );
}

fn an_interrupted_run() {
    let held = Held::new(seeded(2));
    let live =
        held.start(&format!("buckets --all-profiles -o json -vv --status {}", file(&held.world).display()));
    expect![[r#"
        {
          "exit_code": null,
          "complete": false,
          "reasons": [
            {
              "exit_code": null,
              "reason": "running"
            }
          ]
        }
    "#]]
    .assert_eq(&document(&held.world));
    live.stderr_until(|text| text.contains(": ok, 3 rows"));
    live.signal(Signal::INT);
    let (run, _) = live.finish();
    run.ended(130);
    expect![[r#"
        {
          "exit_code": 130,
          "complete": false,
          "reasons": [
            {
              "exit_code": 130,
              "reason": "interrupted"
            },
            {
              "exit_code": 4,
              "reason": "partial"
            }
          ],
          "run_id": "RUN",
          "statuses": {
            "not_tried": 1,
            "ok": 1
          },
          "expected_gaps": 0,
          "accounts": [
            {
              "account_id": "462003338960",
              "account_name": "fraud-staging-00000",
              "complete": true,
              "statuses": {
                "ok": 1
              }
            },
            {
              "account_id": "080037327709",
              "account_name": "data-staging-00001",
              "complete": false,
              "statuses": {
                "not_tried": 1
              }
            }
          ]
        }
    "#]]
    .assert_eq(&document(&held.world));
}

fn a_run_without_a_sign_in() {
    let world = World::with(seeded(1), Options::default(), Token::None);
    ends(
        &world,
        "buckets --all-profiles",
        3,
        &expect![[r#"
        {
          "exit_code": 3,
          "complete": false,
          "reasons": [
            {
              "exit_code": 3,
              "reason": "sign_in_needed"
            },
            {
              "exit_code": 5,
              "reason": "nothing_collected"
            }
          ],
          "run_id": "RUN",
          "statuses": {
            "sign_in_expired": 1
          },
          "expected_gaps": 0,
          "accounts": [
            {
              "account_id": "462003338960",
              "account_name": null,
              "complete": false,
              "statuses": {
                "sign_in_expired": 1
              }
            }
          ]
        }
    "#]],
    );
    ends(
        &world,
        "accounts",
        3,
        &expect![[r#"
        {
          "exit_code": 3,
          "complete": false,
          "reasons": [
            {
              "exit_code": 3,
              "reason": "sign_in_needed",
              "message": "not signed in to sso-session `acme`"
            }
          ]
        }
    "#]],
    );
}

fn an_expected_gap_is_complete() {
    let world = World::seeded(2);
    let id = world.simulator.organisation().account(1).id;
    world.simulator.fault(Fault::new(Effect::Denied).account(&id)).expect("a fault");
    let gaps = world.home.path().join("expect.csv");
    fs::write(&gaps, format!("account_id,expect,reason,until\n{id},gap,being closed,2099-12-31\n"))
        .expect("written");
    ends(
        &world,
        &format!("buckets --all-profiles --expect {}", gaps.display()),
        0,
        &expect![[r#"
        {
          "exit_code": 0,
          "complete": true,
          "reasons": [],
          "run_id": "RUN",
          "statuses": {
            "denied": 1,
            "ok": 1
          },
          "expected_gaps": 1,
          "accounts": [
            {
              "account_id": "462003338960",
              "account_name": "fraud-staging-00000",
              "complete": true,
              "statuses": {
                "ok": 1
              }
            },
            {
              "account_id": "080037327709",
              "account_name": "data-staging-00001",
              "complete": true,
              "statuses": {
                "denied": 1
              }
            }
          ]
        }
    "#]],
    );
}

fn a_closed_pipe() {
    let world = World::seeded(2);
    let mut command = world.command(&format!("buckets --all-profiles --status {}", file(&world).display()));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    command.stdout(writer).stderr(std::process::Stdio::null());
    assert_eq!(command.status().expect("it runs").code(), Some(0));
    let json: Value = serde_json::from_str(&document(&world)).expect("JSON");
    assert_eq!(json["exit_code"], 0);
    assert_eq!(json["reasons"][0]["reason"], "output_closed");
}

fn profiles_and_doctor() {
    let world = World::seeded(1);
    ends(
        &world,
        "profiles",
        0,
        &expect![[r#"
        {
          "exit_code": 0,
          "complete": true,
          "reasons": []
        }
    "#]],
    );
    ends(
        &world,
        "doctor --offline",
        0,
        &expect![[r#"
        {
          "exit_code": 0,
          "complete": true,
          "reasons": []
        }
    "#]],
    );
    let token = world.home.path().join(".aws/sso/cache");
    fs::remove_dir_all(&token).expect("a token");
    ends(
        &world,
        "doctor",
        1,
        &expect![[r#"
        {
          "exit_code": 1,
          "complete": false,
          "reasons": [
            {
              "exit_code": 1,
              "reason": "findings"
            }
          ]
        }
    "#]],
    );
}

fn a_usage_error_after_parsing() {
    let world = World::seeded(1);
    ends(
        &world,
        "buckets --profile nobody",
        2,
        &expect![[r#"
        {
          "exit_code": 2,
          "complete": false,
          "reasons": [
            {
              "exit_code": 2,
              "reason": "usage",
              "message": "there is no profile `nobody` (from --profile)"
            }
          ]
        }
    "#]],
    );
    ends(
        &world,
        "resume no-such-run",
        2,
        &expect![[r#"
        {
          "exit_code": 2,
          "complete": false,
          "reasons": [
            {
              "exit_code": 2,
              "reason": "usage",
              "message": "there is no run `no-such-run`"
            }
          ]
        }
    "#]],
    );
}

fn a_failed_output_keeps_the_counts() {
    let world = World::seeded(1);
    ends(
        &world,
        "buckets --all-profiles --out /dev/full",
        74,
        &expect![[r#"
        {
          "exit_code": 74,
          "complete": false,
          "reasons": [
            {
              "exit_code": 74,
              "reason": "output_failed",
              "message": "cannot write to `/dev/full`: No space left on device (os error 28)"
            }
          ],
          "run_id": "RUN",
          "statuses": {
            "ok": 1
          },
          "expected_gaps": 0,
          "accounts": [
            {
              "account_id": "462003338960",
              "account_name": "fraud-staging-00000",
              "complete": true,
              "statuses": {
                "ok": 1
              }
            }
          ]
        }
    "#]],
    );
}

fn the_file_is_private() {
    let world = World::seeded(1);
    fs::write(file(&world), "old").expect("written");
    fs::set_permissions(file(&world), fs::Permissions::from_mode(0o644)).expect("its own file");
    with_status(&world, "buckets --all-profiles").0.ended(0);
    let mode = fs::metadata(file(&world)).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn an_unwritable_file_ends_the_command_first() {
    let world = World::seeded(1);
    let run =
        world.run(&format!("buckets --all-profiles --status {}/missing/s.json", world.home.path().display()));
    let run = run.ended(74);
    expect![[r#"
        error: cannot write the status file `~/missing/s.json`: No such file or directory (os error 2)

        hint: name a file in a folder that you can write to with `--status FILE.json`
    "#]]
    .assert_eq(&world.shown(&run.stderr));
    assert!(world.simulator.calls().is_empty(), "a call was made");
}

fn a_pipe_takes_the_last_document_only() {
    let world = World::seeded(1);
    let run = world.run("profiles -q --out /dev/null --status /dev/stdout").ended(0);
    assert_eq!(run.json()["exit_code"], 0);
}

fn a_saved_run_does_not_repeat_the_file() {
    let world = World::seeded(1);
    with_status(&world, "buckets --all-profiles --run r").0.ended(0);
    fs::remove_file(file(&world)).expect("a file");
    world.run("resume r").ended(0);
    assert!(!file(&world).exists(), "the status file belongs to one command");
}
