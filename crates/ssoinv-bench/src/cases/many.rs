//! Figure 4: very many instances, and memory that doesn't grow with them. In full pages of many tasks, and as one task,
//! whose rows all wait for its last page.

use crate::bench::{Bench, say};
use crate::report::{Amount, Line, Target};
use crate::world::{Tables, World};

const CASE: &str = "many";

/// The most memory, whatever the size.
const PEAK: f64 = 256e6;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for format in ["csv", "ndjson"] {
        let mut smaller = None;
        for accounts in bench.sizes.many {
            let world = bench.full_pages(accounts);
            let line = measure(bench, &world, format, "")?;
            let Amount::Bytes(peak) = line.measured else { return Err("memory is in bytes".to_owned()) };
            // No more than the smaller one, and never more than the most.
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

fn measure(bench: &Bench, world: &World, format: &str, how: &str) -> Result<Line, String> {
    let rows = world.rows(Tables::Instances);
    say(&format!("{CASE}: {rows} instances to {format}{how}"));
    let server = bench.start(world)?;
    let run = bench.collect(&server, world, Tables::Instances, format)?;
    Ok(Line::new(
        4,
        CASE,
        format!("peak memory, {rows} instances to {format}{how}"),
        Amount::bytes(run.usage.peak),
    )
    .detail("wall_s", run.usage.wall.as_secs_f64())
    .detail("cpu_s", run.usage.cpu.as_secs_f64())
    .detail("written_bytes", run.bytes)
    .detail("calls", run.totals.calls()))
}
