//! Figure 5, first half: how long the program takes to start, beside the shortest program that there is, and to show its
//! demo.

use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, median, say};
use crate::child;
use crate::report::{Amount, Line, Target};

const CASE: &str = "start";

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    say(&format!("{CASE}: {} times", bench.sizes.starts));
    let (mut nothing, mut version) = (Vec::new(), Vec::new());
    // In turns, so that whatever else the machine does meets both.
    for _ in 0..bench.sizes.starts {
        nothing.push(took(&mut Command::new("true"))?);
        version.push(took(bench.ssoinv(None).arg("--version"))?);
    }
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let demos = (0..bench.sizes.repeat * 3).map(|_| {
        took(bench.ssoinv(None).env("HOME", home.path()).args(["--demo", "buckets", "--all-profiles"]))
    });
    let demo = median(demos.collect::<Result<_, _>>()?);
    let (nothing, version) = (median(nothing), median(version));
    Ok(vec![
        Line::new(5, CASE, "`ssoinv --version` less `true`", Amount::of(version.saturating_sub(nothing)))
            .target(Target::AtMost(Amount::Seconds(0.005)))
            .detail("version_s", version.as_secs_f64())
            .detail("true_s", nothing.as_secs_f64())
            .detail("times", bench.sizes.starts),
        Line::new(5, CASE, "`ssoinv --demo buckets --all-profiles`", Amount::of(demo))
            .target(Target::AtMost(Amount::Seconds(0.5))),
    ])
}

fn took(command: &mut Command) -> Result<Duration, String> {
    let ran = child::run(command).map_err(|error| error.to_string())?;
    if ran.status.success() { Ok(ran.usage.wall) } else { Err(format!("it ended with {}", ran.status)) }
}
