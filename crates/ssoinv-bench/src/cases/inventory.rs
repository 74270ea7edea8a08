//! The figures of one inventory: time beside its bound, CPU per call, memory, open files. The cases `cached` and
//! `concurrency` use it.

use std::time::Duration;

use crate::bench::{Bench, Collection};
use crate::report::{Amount, Line, Target};
use crate::server::Server;
use crate::world::{Tables, World, float};

/// Time, of the bound.
const TIME: Target = Target::RatioAtMost(1.3);
const CPU_PER_CALL: Target = Target::AtMost(Amount::Seconds(0.000_40));
const PEAK_MEMORY: Target = Target::AtMost(Amount::Bytes(100e6));

/// An inventory of all tables with a number of calls at once.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(crate) run: Collection,
    pub(crate) at_once: usize,
    world: World,
    cores: usize,
}

impl Inventory {
    /// Collects all tables, several times; the run with the median time counts.
    pub(crate) fn collect(
        bench: &Bench,
        server: &Server,
        world: &World,
        at_once: usize,
    ) -> Result<Self, String> {
        let world = World { at_once: Some(at_once), ..world.clone() };
        let run = bench.collect_median(server, &world, Tables::All, "ndjson", bench.sizes.repeat)?;
        Ok(Self { run, at_once, world, cores: bench.cores })
    }

    /// Returns the least time by the latency of the calls.
    fn latency_bound(&self) -> Duration {
        self.world.latency_bound(&self.run.totals, Tables::All, self.at_once)
    }

    /// Returns the least time by the work of ssoinv and the simulator, which share the processors.
    fn cpu_bound(&self) -> Duration {
        let cpu = self.run.usage.cpu + self.run.simulator_cpu.unwrap_or_default();
        cpu.div_f64(float(self.cores as u64))
    }

    /// Returns the lines of the table.
    pub(crate) fn lines(&self, case: &'static str) -> Vec<Line> {
        let calls = self.run.totals.calls();
        let usage = self.run.usage;
        let label = format!("{} accounts, {} at once", self.world.accounts, self.at_once);
        let bound = self.latency_bound().max(self.cpu_bound());
        let cpu_per_call = Amount::Seconds(usage.cpu.as_secs_f64() / float(calls));
        let mut lines = vec![
            Line::new(case, format!("time, {label}, {calls} calls"), Amount::of(usage.wall))
                .bound(Amount::of(bound))
                .target(TIME)
                .detail("latency_bound_s", self.latency_bound().as_secs_f64())
                .detail("cpu_bound_s", self.cpu_bound().as_secs_f64())
                .detail("cpu_s", usage.cpu.as_secs_f64())
                .detail("simulator_cpu_s", self.run.simulator_cpu.map(|cpu| cpu.as_secs_f64()))
                .detail("cores", self.cores)
                .detail("calls", calls)
                .detail("failed", self.run.totals.failed())
                .detail("longest_chain", self.world.chain(&self.run.totals, Tables::All))
                .detail("latency_ms", self.world.latency.as_secs_f64() * 1e3)
                .detail("rows", self.world.rows(Tables::All)),
            Line::new(case, format!("CPU per call, {label}"), cpu_per_call).target(CPU_PER_CALL),
            Line::new(case, format!("peak memory, {label}"), Amount::bytes(usage.peak)).target(PEAK_MEMORY),
        ];
        if let Some(count) = usage.open_files {
            lines.push(Line::new(case, format!("open files, {label}"), Amount::count(count)));
        }
        lines
    }
}
