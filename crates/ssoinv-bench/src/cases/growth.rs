//! Figure 6: what a task costs must not depend on how many there are. Without latency and limits, so that nothing but
//! work takes time.

use std::time::Duration;

use crate::bench::{Bench, say};
use crate::report::{Amount, Line, Target};
use crate::world::{Tables, float};

const CASE: &str = "growth";

/// Runs of the smallest organisation; larger ones have fewer, since each is longer.
const RUNS: [usize; 3] = [5, 3, 1];

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let (mut walls, mut cpus, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    for (accounts, runs) in bench.sizes.growth.into_iter().zip(RUNS) {
        say(&format!("{CASE}: {accounts} accounts"));
        let world = bench.world(accounts);
        let server = bench.start(&world)?;
        let run =
            bench.collect_often(&server, &world, Tables::All, "ndjson", runs.min(bench.sizes.repeat + 2))?;
        let tasks = float(world.tasks(Tables::All));
        let a_task = |time: Duration| time.as_secs_f64() / tasks;
        let (wall, cpu) = (a_task(run.usage.wall), a_task(run.usage.cpu));
        walls.push(wall);
        cpus.push(cpu);
        let what = format!("time a task, {accounts} accounts");
        lines.push(
            Line::new(6, CASE, what, Amount::Seconds(wall))
                .detail("cpu_s_a_task", cpu)
                .detail("wall_s", run.usage.wall.as_secs_f64())
                .detail("peak_bytes", run.usage.peak)
                .detail("list_accounts_calls", run.totals.of("portal", "ListAccounts").calls)
                .detail("tasks", tasks),
        );
    }
    let most = Target::AtMost(Amount::Times(1.1));
    lines.push(Line::new(6, CASE, "time a task, the most to the least", spread(&walls)).target(most));
    lines.push(Line::new(6, CASE, "CPU a task, the most to the least", spread(&cpus)).target(most));
    Ok(lines)
}

/// The largest to the smallest.
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
