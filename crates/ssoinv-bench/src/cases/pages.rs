//! CPU time of full pages of instances from the wire to CSV, beside the SDK's for the same bytes.

use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, check, median, report_progress};
use crate::process_run;
use crate::report::{Amount, Line, Target};
use crate::server::Server;
use crate::world::{Tables, World, float};

const CASE: &str = "pages";

/// Numbers of times that the SDK parses each page again. The difference of the two runs is parsing alone.
const REPLAYS: [u32; 2] = [0, 4];

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let world = bench.full_pages(bench.sizes.paged_accounts);
    let server = bench.start(&world)?;
    let rows = world.rows(Tables::Instances);
    report_progress(&format!("{CASE}: {rows} instances"));
    let (mut ours, mut wire, mut parsing, mut peak) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let (mut bytes, mut written) = (0, 0);
    // In turns, so that other load on the machine affects all three.
    for _ in 0..bench.sizes.repeat {
        let run = bench.collect(&server, &world, Tables::Instances, "csv")?;
        ours.push(run.usage.cpu);
        peak = run.usage.peak.max(peak);
        (bytes, written) = (run.totals.of("ec2", "DescribeInstances").bytes, run.bytes);
        let [once, often] = REPLAYS;
        let first = sdk(bench, &server, &world, once)?;
        let second = sdk(bench, &server, &world, often)?;
        wire.push(first);
        parsing.push(second.saturating_sub(first) / (often - once));
    }
    let [ours, wire, parsing] = [ours, wire, parsing].map(median);
    let per_instance = |cpu: Duration| cpu.as_secs_f64() * 1e6 / float(rows);
    let line = |what: &str, cpu: Duration| {
        Line::new(CASE, what, Amount::of(cpu))
            .detail("microseconds_per_instance", per_instance(cpu))
            .detail("xml_bytes", bytes)
            .detail("instances", rows)
    };
    Ok(vec![
        line(&format!("ssoinv, CPU, {rows} instances from the wire to CSV"), ours)
            .bound(Amount::of(parsing))
            .target(Target::RatioAtMost(1.3))
            .detail("peak_bytes", peak)
            .detail("csv_bytes", written),
        line("the SDK, CPU of parsing the same bytes (the bound)", parsing),
        line("the SDK, CPU from the wire to its structs", wire),
        Line::new(
            CASE,
            "ssoinv to the SDK, both from the wire",
            Amount::Times(ours.as_secs_f64() / wire.as_secs_f64()),
        ),
    ])
}

/// Returns the CPU time of the SDK for all pages, each of which it parses `replays` more times.
fn sdk(bench: &Bench, server: &Server, world: &World, replays: u32) -> Result<Duration, String> {
    let mut command = Command::new(&bench.sdk_pages);
    command.arg(server.url()).arg(server.home()).arg(world.regions().join(",")).arg(replays.to_string());
    let run = process_run::run(&mut command).map_err(|error| error.to_string())?;
    check(&run, 1)?;
    let rows = world.rows(Tables::Instances);
    if run.head.trim() == rows.to_string() {
        Ok(run.usage.cpu)
    } else {
        Err(format!("the SDK found {} instances instead of {rows}", run.head.trim()))
    }
}
