//! Time of the program's start, beside the shortest program there is, and of its demo.

use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, median, report_progress};
use crate::process_run;
use crate::report::{Amount, Line, Target};

const CASE: &str = "start";

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    report_progress(&format!("{CASE}: {} times", bench.sizes.starts));
    let (mut nothing, mut version) = (Vec::new(), Vec::new());
    // In turns, so that other load on the machine affects both.
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
        Line::new(CASE, "`ssoinv --version` less `true`", Amount::of(version.saturating_sub(nothing)))
            .target(Target::AtMost(Amount::Seconds(0.005)))
            .detail("version_s", version.as_secs_f64())
            .detail("true_s", nothing.as_secs_f64())
            .detail("times", bench.sizes.starts),
        Line::new(CASE, "`ssoinv --demo buckets --all-profiles`", Amount::of(demo))
            .target(Target::AtMost(Amount::Seconds(0.5))),
    ])
}

fn took(command: &mut Command) -> Result<Duration, String> {
    let run = process_run::run(command).map_err(|error| error.to_string())?;
    if run.status.success() { Ok(run.usage.wall) } else { Err(format!("it ended with {}", run.status)) }
}
