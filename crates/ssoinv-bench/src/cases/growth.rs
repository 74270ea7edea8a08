//! The cost of a task in small and large organisations: it must not depend on the number of accounts.
//!
//! There is no latency and no limit, so that only work takes time. The listing of accounts is measured apart, by
//! `ssoinv accounts`, and subtracted: ssoinv calls a portal at most twenty times a second, so that the listing, a
//! hundred accounts a page, takes its own time. The start of the process is subtracted with it.

use std::time::Duration;

use crate::bench::{Bench, check, median, report_progress};
use crate::process_run;
use crate::report::{Amount, Line, Target};
use crate::server::Server;
use crate::world::{Tables, World, float};

const CASE: &str = "growth";

/// Runs of each organisation: fewer of the larger ones, which take longer.
const RUNS: [usize; 3] = [5, 3, 1];

/// The most to the least.
const SPREAD: Target = Target::AtMost(Amount::Times(1.1));
/// Peak memory of the largest organisation.
const PEAK_MEMORY: Target = Target::AtMost(Amount::Bytes(150e6));

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let (mut lines, mut walls, mut cpus) = (Vec::new(), Vec::new(), Vec::new());
    let [.., largest] = bench.sizes.growth;
    for (accounts, runs) in bench.sizes.growth.into_iter().zip(RUNS) {
        report_progress(&format!("{CASE}: {accounts} accounts"));
        let world = bench.world(accounts);
        let server = bench.start(&world)?;
        let runs = runs.min(bench.sizes.repeat + 2);
        let listing = Listing::measure(bench, &server, &world)?;
        let run = bench.collect_median(&server, &world, Tables::All, "ndjson", runs)?;
        let tasks = world.tasks(Tables::All);
        let per_task = |time: Duration| time.as_secs_f64() / float(tasks);
        let wall = per_task(run.usage.wall.saturating_sub(listing.wall));
        let cpu = per_task(run.usage.cpu.saturating_sub(listing.cpu));
        walls.push(wall);
        cpus.push(cpu);
        lines.extend([
            Line::new(CASE, format!("listing of {accounts} accounts"), Amount::of(listing.wall))
                .detail("cpu_s", listing.cpu.as_secs_f64()),
            Line::new(
                CASE,
                format!("time per task without listing, {accounts} accounts"),
                Amount::Seconds(wall),
            )
            .detail("wall_s", run.usage.wall.as_secs_f64())
            .detail("tasks", tasks),
            Line::new(
                CASE,
                format!("CPU per task without listing, {accounts} accounts"),
                Amount::Seconds(cpu),
            )
            .detail("cpu_s", run.usage.cpu.as_secs_f64())
            .detail("simulator_cpu_s", run.simulator_cpu.map(|cpu| cpu.as_secs_f64()))
            .detail("calls", run.totals.calls()),
        ]);
        let what = format!("peak memory, {accounts} accounts, {tasks} tasks");
        let peak = Line::new(CASE, what, Amount::bytes(run.usage.peak));
        lines.push(if accounts == largest { peak.target(PEAK_MEMORY) } else { peak });
    }
    lines.push(Line::new(CASE, "time per task, the most to the least", spread(&walls)).target(SPREAD));
    lines.push(Line::new(CASE, "CPU per task, the most to the least", spread(&cpus)).target(SPREAD));
    Ok(lines)
}

/// The cost of listing all accounts, from the start of a process on.
struct Listing {
    wall: Duration,
    cpu: Duration,
}

impl Listing {
    fn measure(bench: &Bench, server: &Server, world: &World) -> Result<Self, String> {
        let (mut walls, mut cpus) = (Vec::new(), Vec::new());
        for _ in 0..bench.sizes.repeat.max(1) {
            let mut command = bench.ssoinv(Some(server));
            command.args(["accounts", "--no-input", "-o", "ndjson"]);
            let run = process_run::run(&mut command).map_err(|error| error.to_string())?;
            check(&run, world.accounts as u64)?;
            walls.push(run.usage.wall);
            cpus.push(run.usage.cpu);
        }
        Ok(Self { wall: median(walls), cpu: median(cpus) })
    }
}

fn spread(numbers: &[f64]) -> Amount {
    let most = numbers.iter().copied().fold(f64::MIN, f64::max);
    Amount::Times(most / numbers.iter().copied().fold(f64::MAX, f64::min))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_of_the_extremes() {
        assert_eq!(spread(&[2.0, 1.0, 1.5]), Amount::Times(2.0));
    }
}
