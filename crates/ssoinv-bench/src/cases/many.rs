//! Memory with very many instances, which must not grow with their number: in full pages of many tasks, and in one task,
//! whose rows all wait for its last page.

use crate::bench::{Bench, report_progress};
use crate::report::{Amount, Line, Target};
use crate::world::{Tables, World};

const CASE: &str = "many";

/// The most memory at any size.
const PEAK: f64 = 256e6;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for format in ["csv", "ndjson"] {
        let mut smaller = None;
        for accounts in bench.sizes.many {
            let world = bench.full_pages(accounts);
            let line = measure(bench, &world, format, "")?;
            let Amount::Bytes(peak) = line.measured else { return Err("memory is in bytes".to_owned()) };
            // No more than in the smaller run, and never more than `PEAK`.
            let most = smaller.map_or(PEAK, |smaller: f64| smaller.min(PEAK));
            lines.push(line.target(Target::AtMost(Amount::Bytes(most))));
            smaller = Some(peak);
        }
    }
    let [accounts, _] = bench.sizes.many;
    let instances = accounts * 4 * bench.sizes.page;
    let world = World { regions: 1, instances, ..bench.full_pages(1) };
    let line = measure(bench, &world, "csv", ", one task")?;
    lines.push(line.target(Target::AtMost(Amount::Bytes(PEAK))));
    Ok(lines)
}

fn measure(bench: &Bench, world: &World, format: &str, suffix: &str) -> Result<Line, String> {
    let rows = world.rows(Tables::Instances);
    report_progress(&format!("{CASE}: {rows} instances to {format}{suffix}"));
    let server = bench.start(world)?;
    let run = bench.collect(&server, world, Tables::Instances, format)?;
    Ok(Line::new(
        CASE,
        format!("peak memory, {rows} instances to {format}{suffix}"),
        Amount::bytes(run.usage.peak),
    )
    .detail("wall_s", run.usage.wall.as_secs_f64())
    .detail("cpu_s", run.usage.cpu.as_secs_f64())
    .detail("written_bytes", run.bytes)
    .detail("calls", run.totals.calls()))
}
