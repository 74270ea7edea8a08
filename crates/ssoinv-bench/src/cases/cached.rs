//! Figures 1 and 3: role credentials are cached; buckets once an account, instances and functions in four regions.
//!
//! Peers ask the same server. boto3's loop and c7n-org are asked for fewer accounts, since they would take an hour, and
//! their times are scaled: each account costs them the same.

use std::time::Duration;

use crate::bench::{Bench, Collected, say};
use crate::child::Ran;
use crate::peers::{Boto3, Peers, THREADS};
use crate::report::{Amount, Line, Target};
use crate::server::Server;
use crate::world::{Tables, World, float};

const CASE: &str = "cached";

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let sizes = &bench.sizes;
    let world = World { latency: sizes.latency, ..bench.world(sizes.accounts) };
    let server = bench.start(&world)?;
    say(&format!("{CASE}: ssoinv, {} accounts", world.accounts));
    let run = bench.collect_often(&server, &world, Tables::All, "ndjson", sizes.repeat)?;
    let calls = run.totals.calls();
    let bound = world.bound(&run.totals, Tables::All, sizes.concurrency);
    let cpu = run.usage.cpu.as_secs_f64();
    let mut lines = vec![
        Line::new(1, CASE, format!("ssoinv, {} accounts, {calls} calls", world.accounts), time(&run))
            .bound(Amount::of(bound))
            .target(Target::RatioAtMost(1.15))
            .detail("calls", calls)
            .detail("failed", run.totals.failed())
            .detail("longest_chain", world.chain(&run.totals, Tables::All))
            .detail("at_once", sizes.concurrency)
            .detail("latency_ms", sizes.latency.as_secs_f64() * 1e3)
            .detail("cpu_s", cpu)
            .detail("rows", world.rows(Tables::All)),
        Line::new(3, CASE, "ssoinv, CPU a call", Amount::Seconds(cpu / float(calls)))
            .target(Target::AtMost(Amount::Seconds(0.0005)))
            .detail("cpu_s", cpu)
            .detail("calls", calls),
        Line::new(3, CASE, "ssoinv, peak memory", Amount::bytes(run.usage.peak))
            .target(Target::AtMost(Amount::Bytes(100e6))),
    ];
    if let Some(peers) = &bench.peers {
        lines.extend(beside(bench, peers, &server, &world, &run)?);
    }
    let served = server.stop().map_err(|error| error.to_string())?;
    lines[0].details.insert("simulator_cpu_s_all_runs".to_owned(), served.cpu.as_secs_f64().into());
    Ok(lines)
}

fn time(run: &Collected) -> Amount {
    Amount::of(run.usage.wall)
}

fn beside(
    bench: &Bench,
    peers: &Peers,
    server: &Server,
    world: &World,
    ours: &Collected,
) -> Result<Vec<Line>, String> {
    let sizes = &bench.sizes;
    let fewer = sizes.peer_accounts.min(world.accounts);
    let part = World { accounts: fewer, ..world.clone() };
    let scale = float(world.accounts as u64) / float(fewer as u64);

    say(&format!("{CASE}: boto3, one profile after another, {fewer} accounts"));
    let slow = peers.boto3(server, world, Boto3::Loop, fewer)?;
    same_rows(&slow, part.rows(Tables::All))?;
    say(&format!("{CASE}: boto3, {THREADS} threads, {} accounts", world.accounts));
    server.reset().map_err(|error| error.to_string())?;
    let threads = peers.boto3(server, world, Boto3::Threads, 0)?;
    same_rows(&threads, world.rows(Tables::All))?;
    let calls = server.totals().map_err(|error| error.to_string())?.calls();

    // A loop has one call under way.
    let in_a_row = world.latency.mul_f64(float(world.tasks(Tables::All)));
    let by_threads = world.latency.mul_f64(float(calls) / float(THREADS as u64));
    let times = threads.usage.wall.as_secs_f64() / ours.usage.wall.as_secs_f64();
    let cpu = threads.usage.cpu.as_secs_f64() / ours.usage.cpu.as_secs_f64();
    let mut lines = vec![
        peer("boto3, one profile after another", &slow, scale).bound(Amount::of(in_a_row)),
        peer(&format!("boto3, {THREADS} threads, one loader"), &threads, 1.0)
            .bound(Amount::of(by_threads))
            .detail("calls", calls),
        Line::new(1, CASE, "ssoinv quicker than boto3 with threads", Amount::Times(times))
            .target(Target::AtLeast(Amount::Times(30.0))),
        Line::new(1, CASE, "CPU of boto3 with threads to ssoinv's", Amount::Times(cpu))
            .target(Target::AtLeast(Amount::Times(40.0))),
    ];

    say(&format!("{CASE}: c7n-org, {fewer} accounts, instances only"));
    let custodian = peers.c7n_org(server, world, fewer)?;
    same_rows(&custodian, part.rows(Tables::Instances))?;
    let alike = bench.collect(server, world, Tables::Instances, "csv")?;
    lines.push(peer("c7n-org, instances only", &custodian, scale));
    lines.push(
        Line::new(1, CASE, "ssoinv, instances only", time(&alike))
            .bound(Amount::of(world.bound(&alike.totals, Tables::Instances, sizes.concurrency)))
            .detail("cpu_s", alike.usage.cpu.as_secs_f64()),
    );
    Ok(lines)
}

/// The line of a peer that was asked for a `scale`-th of the accounts.
fn peer(what: &str, ran: &Ran, scale: f64) -> Line {
    let scaled = |time: Duration| time.as_secs_f64() * scale;
    let what = if scale > 1.0 { format!("{what} (scaled from a {scale:.0}th)") } else { what.to_owned() };
    Line::new(1, CASE, what, Amount::Seconds(scaled(ran.usage.wall)))
        .detail("cpu_s", scaled(ran.usage.cpu))
        .detail("measured_wall_s", ran.usage.wall.as_secs_f64())
        .detail("scale", scale)
        .detail("peak_bytes", ran.usage.peak)
}

/// A peer prints how many rows it got.
fn same_rows(ran: &Ran, rows: u64) -> Result<(), String> {
    match ran.head.trim() {
        said if said == rows.to_string() => Ok(()),
        said => Err(format!("a peer got {said} rows instead of {rows}")),
    }
}
