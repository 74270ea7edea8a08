//! An inventory with cached role credentials: buckets, instances and functions in four regions, with ssoinv's default
//! number of calls at once.
//!
//! Peers call the same server. boto3's loop and c7n-org, which would take an hour, get fewer accounts, and their times
//! are scaled: each account costs them the same.

use std::time::Duration;

use crate::bench::{Bench, Collection, report_progress};
use crate::cases::inventory::Inventory;
use crate::peers::{Boto3, Peers, THREADS};
use crate::process_run::ProcessRun;
use crate::report::{Amount, Line, Target};
use crate::server::Server;
use crate::world::{Tables, World, float};

const CASE: &str = "cached";

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let sizes = &bench.sizes;
    let world = World { latency: sizes.latency, ..bench.world(sizes.accounts) };
    let server = bench.start(&world)?;
    report_progress(&format!("{CASE}: ssoinv, {} accounts", world.accounts));
    let ours = Inventory::collect(bench, &server, &world, bench.default_concurrency()?)?;
    let mut lines = ours.lines(CASE);
    if let Some(peers) = &bench.peers {
        lines.extend(measure_peers(bench, peers, &server, &world, &ours)?);
    }
    Ok(lines)
}

fn measure_peers(
    bench: &Bench,
    peers: &Peers,
    server: &Server,
    world: &World,
    ours: &Inventory,
) -> Result<Vec<Line>, String> {
    let fewer = bench.sizes.peer_accounts.min(world.accounts);
    let part = World { accounts: fewer, ..world.clone() };
    let scale = float(world.accounts as u64) / float(fewer as u64);

    report_progress(&format!("{CASE}: boto3, one profile after another, {fewer} accounts"));
    let slow = peers.boto3(server, world, Boto3::Loop, fewer)?;
    check_rows(&slow, part.rows(Tables::All))?;
    report_progress(&format!("{CASE}: boto3, {THREADS} threads, {} accounts", world.accounts));
    server.reset().map_err(|error| error.to_string())?;
    let threads = peers.boto3(server, world, Boto3::Threads, 0)?;
    check_rows(&threads, world.rows(Tables::All))?;
    let calls = server.totals().map_err(|error| error.to_string())?.calls();

    // A loop makes one call at a time.
    let in_a_row = world.latency.mul_f64(float(world.tasks(Tables::All)));
    let by_threads = world.latency.mul_f64(float(calls) / float(THREADS as u64));
    let usage = ours.run.usage;
    let times = threads.usage.wall.as_secs_f64() / usage.wall.as_secs_f64();
    let cpu = threads.usage.cpu.as_secs_f64() / usage.cpu.as_secs_f64();
    let mut lines = vec![
        peer("boto3, one profile after another", &slow, scale).bound(Amount::of(in_a_row)),
        peer(&format!("boto3, {THREADS} threads, one loader"), &threads, 1.0)
            .bound(Amount::of(by_threads))
            .detail("calls", calls),
        Line::new(CASE, format!("time of boto3 with {THREADS} threads to ssoinv's"), Amount::Times(times))
            .target(Target::AtLeast(Amount::Times(50.0))),
        Line::new(CASE, format!("CPU of boto3 with {THREADS} threads to ssoinv's"), Amount::Times(cpu))
            .target(Target::AtLeast(Amount::Times(40.0))),
    ];

    report_progress(&format!("{CASE}: c7n-org, {fewer} accounts, instances only"));
    let custodian = peers.c7n_org(server, world, fewer)?;
    check_rows(&custodian, part.rows(Tables::Instances))?;
    let instances = bench.collect(server, world, Tables::Instances, "csv")?;
    lines.push(peer("c7n-org, instances only", &custodian, scale));
    lines.push(instances_only(world, &instances, ours.at_once));
    Ok(lines)
}

fn instances_only(world: &World, run: &Collection, at_once: usize) -> Line {
    Line::new(CASE, "ssoinv, instances only", Amount::of(run.usage.wall))
        .bound(Amount::of(world.latency_bound(&run.totals, Tables::Instances, at_once)))
        .detail("cpu_s", run.usage.cpu.as_secs_f64())
}

/// Returns the line of a peer that got a `scale`-th of the accounts.
fn peer(what: &str, run: &ProcessRun, scale: f64) -> Line {
    let scaled = |time: Duration| time.as_secs_f64() * scale;
    let what = if scale > 1.0 { format!("{what} (scaled from a {scale:.0}th)") } else { what.to_owned() };
    Line::new(CASE, what, Amount::Seconds(scaled(run.usage.wall)))
        .detail("cpu_s", scaled(run.usage.cpu))
        .detail("measured_wall_s", run.usage.wall.as_secs_f64())
        .detail("scale", scale)
        .detail("peak_bytes", run.usage.peak)
}

/// Fails unless a peer printed the number of rows.
fn check_rows(run: &ProcessRun, rows: u64) -> Result<(), String> {
    match run.head.trim() {
        printed if printed == rows.to_string() => Ok(()),
        printed => Err(format!("a peer got {printed} rows instead of {rows}")),
    }
}
