//! Figure 6: what a task costs must not depend on how many there are. Without latency and limits, so that nothing but
//! work takes time; except that ssoinv asks no portal more than twenty times a second, so that its list of accounts, a
//! hundred a page, comes slowly. That is told apart, by how long `ssoinv accounts` takes, as is what a start costs: by what
//! one task more takes.

use std::time::Duration;

use crate::bench::{Bench, check, median, say};
use crate::child;
use crate::report::{Amount, Line, Target};
use crate::server::Server;
use crate::world::{Tables, float};

const CASE: &str = "growth";

/// Runs of the smallest organisation; larger ones have fewer, since each is longer.
const RUNS: [usize; 3] = [5, 3, 1];

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let (mut walls, mut cpus, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    let mut points: Vec<Point> = Vec::new();
    for (accounts, runs) in bench.sizes.growth.into_iter().zip(RUNS) {
        say(&format!("{CASE}: {accounts} accounts"));
        let world = bench.world(accounts);
        let server = bench.start(&world)?;
        let run =
            bench.collect_often(&server, &world, Tables::All, "ndjson", runs.min(bench.sizes.repeat + 2))?;
        let tasks = float(world.tasks(Tables::All));
        let a_task = |time: Duration| time.as_secs_f64() / tasks;
        let (wall, cpu) = (a_task(run.usage.wall), a_task(run.usage.cpu));
        let list = list(bench, &server, accounts)?;
        walls.push(wall);
        let wall_without_list = run.usage.wall.saturating_sub(list).as_secs_f64();
        points.push(Point { tasks, wall: wall_without_list, cpu: run.usage.cpu.as_secs_f64() });
        cpus.push(cpu);
        let what = format!("time a task, {accounts} accounts");
        lines.push(
            Line::new(6, CASE, what, Amount::Seconds(wall))
                .detail("cpu_s_a_task", cpu)
                .detail("wall_s", run.usage.wall.as_secs_f64())
                .detail("accounts_wall_s", list.as_secs_f64())
                .detail("peak_bytes", run.usage.peak)
                .detail("list_accounts_calls", run.totals.of("portal", "ListAccounts").calls)
                .detail("tasks", tasks),
        );
    }
    let most = Target::AtMost(Amount::Times(1.1));
    lines.push(Line::new(6, CASE, "time a task, the most to the least", spread(&walls)).target(most));
    lines.push(Line::new(6, CASE, "CPU a task, the most to the least", spread(&cpus)).target(most));
    let time_more = more(&points, |point| point.wall);
    let cpu_more = more(&points, |point| point.cpu);
    for (seconds, accounts) in time_more.iter().zip(bench.sizes.growth.windows(2)) {
        let what = format!("time of one task more, {} to {} accounts", accounts[0], accounts[1]);
        lines.push(Line::new(6, CASE, what, Amount::Seconds(*seconds)));
    }
    let what = "time of one task more, the most to the least";
    lines.push(Line::new(6, CASE, what, spread(&time_more)).target(most));
    let what = "CPU of one task more, the most to the least";
    lines.push(Line::new(6, CASE, what, spread(&cpu_more)).target(most));
    Ok(lines)
}

/// How long it takes until all accounts are known, from the start of a process on.
fn list(bench: &Bench, server: &Server, accounts: usize) -> Result<Duration, String> {
    let times = (0..bench.sizes.repeat.max(1)).map(|_| {
        let mut command = bench.ssoinv(Some(server));
        command.args(["accounts", "--no-input", "-o", "ndjson"]);
        let ran = child::run(&mut command).map_err(|error| error.to_string())?;
        check(&ran, accounts as u64)?;
        Ok::<_, String>(ran.usage.wall)
    });
    Ok(median(times.collect::<Result<_, _>>()?))
}

/// What a run took, less the list of accounts.
struct Point {
    tasks: f64,
    wall: f64,
    cpu: f64,
}

/// What one task more takes, from each size to the next.
fn more(points: &[Point], amount: impl Fn(&Point) -> f64) -> Vec<f64> {
    let steps = points.windows(2);
    steps.map(|step| (amount(&step[1]) - amount(&step[0])) / (step[1].tasks - step[0].tasks)).collect()
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
    fn one_task_more_is_told_apart_from_the_start() {
        let point = |tasks: f64| Point { tasks, wall: 5.0 + 2.0 * tasks, cpu: tasks * tasks };
        let points = [point(10.0), point(20.0), point(40.0)];
        assert_eq!(more(&points, |point| point.wall), [2.0, 2.0]);
        assert_eq!(more(&points, |point| point.cpu), [30.0, 60.0]);
    }

    #[test]
    fn the_spread_is_of_the_extremes() {
        assert_eq!(spread(&[2.0, 1.0, 1.5]), Amount::Times(2.0));
    }
}
