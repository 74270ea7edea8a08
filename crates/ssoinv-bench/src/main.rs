//! Measures time, size, memory and CPU of ssoinv: runs the binary against `ssoinv-sim` in a process of its own, with
//! other programs beside it, and prints one table. A missed target is printed; only a missing row is an error.
//!
//! A case (`cases/`) describes a [`world::World`], starts a [`server::Server`] of it, runs programs ([`process_run`]) and
//! returns [`report::Line`]s. Sizes and common parts are in [`mod@bench`], the other programs in [`peers`].

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io, thread};

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use crate::bench::{Bench, Sizes, report_progress};
use crate::peers::Peers;
use crate::report::Line;

mod bench;
mod cases;
mod peers;
mod process_run;
mod report;
mod server;
mod totals;
mod world;

/// Measures ssoinv against the simulator, beside other programs.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Cases to run [default: all but `size`]
    #[arg(value_enum, value_name = "CASE")]
    cases: Vec<Case>,
    /// The measured program
    #[arg(long, value_name = "FILE", default_value = "target/release/ssoinv")]
    ssoinv: PathBuf,
    /// The simulator
    #[arg(long, value_name = "FILE", default_value = "target/release/ssoinv-sim")]
    sim: PathBuf,
    /// The example that does the same with the SDK alone
    #[arg(long, value_name = "FILE", default_value = "target/release/examples/sdk_pages")]
    sdk_pages: PathBuf,
    /// The distributed program, for `size`
    #[arg(long, value_name = "FILE", default_value = "target/dist/ssoinv")]
    dist: PathBuf,
    /// The same with symbols, for the sizes of crates in `size`
    #[arg(long, value_name = "FILE")]
    unstripped: Option<PathBuf>,
    /// Use small sizes, which take seconds on any build and whose figures mean nothing
    #[arg(long)]
    small: bool,
    /// Leave the other programs out
    #[arg(long)]
    no_peers: bool,
    /// The seed of the organisation
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write the figures and the numbers behind them to FILE
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    json: PathBuf,
}

/// A case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// Cached role credentials, beside boto3 and c7n-org
    Cached,
    /// 64 to 1,024 calls at once
    Concurrency,
    /// Nothing cached, and a portal with a rate limit
    Portal,
    /// Full pages, beside the SDK's own parsing
    Pages,
    /// One and four million instances
    Many,
    /// Time of the program's start
    Start,
    /// Size of the program and its crates
    Size,
    /// 100 to 10,000 accounts
    Growth,
}

impl Case {
    /// The default cases: all but `Size`, which needs a long build.
    const DEFAULT: [Self; 7] =
        [Self::Cached, Self::Concurrency, Self::Portal, Self::Pages, Self::Many, Self::Start, Self::Growth];

    fn run(self, bench: &Bench) -> Result<Vec<Line>, String> {
        match self {
            Self::Cached => cases::cached::run(bench),
            Self::Concurrency => cases::concurrency::run(bench),
            Self::Portal => cases::portal::run(bench),
            Self::Pages => cases::pages::run(bench),
            Self::Many => cases::many::run(bench),
            Self::Start => cases::start::run(bench),
            Self::Size => cases::size::run(bench),
            Self::Growth => cases::growth::run(bench),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cases = if arguments.cases.is_empty() { Case::DEFAULT.to_vec() } else { arguments.cases.clone() };
    let with_peers = cases.contains(&Case::Cached) && !arguments.no_peers;
    let peers = with_peers.then(Peers::set_up).transpose().unwrap_or_else(|reason| {
        report_progress(&format!("boto3 and c7n-org are left out: {reason}"));
        None
    });
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let bench = Bench {
        ssoinv: arguments.ssoinv,
        sim: arguments.sim,
        sdk_pages: arguments.sdk_pages,
        dist: arguments.dist,
        unstripped: arguments.unstripped,
        sizes: if arguments.small { Sizes::small() } else { Sizes::full() },
        seed: arguments.seed,
        cores,
        peers,
    };
    let before = load();
    let (mut lines, mut failed) = (Vec::new(), Vec::new());
    for case in cases {
        match case.run(&bench) {
            Ok(found) if arguments.small => lines.extend(found.into_iter().map(Line::without_target)),
            Ok(found) => lines.extend(found),
            Err(problem) => failed.push(format!("{case:?}: {problem}")),
        }
    }
    let machine = json!({
        "cores": cores,
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "load_before": before,
        "load_after": load(),
    });
    let written = report(&lines, &bench, &machine, &failed).and_then(|whole| {
        let text = serde_json::to_string_pretty(&whole)?;
        fs::write(&arguments.json, text + "\n")
    });
    if let Err(error) = written {
        failed.push(error.to_string());
    }
    for problem in &failed {
        report_progress(&format!("error: {problem}"));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the table and returns the JSON.
fn report(lines: &[Line], bench: &Bench, machine: &Value, failed: &[String]) -> io::Result<Value> {
    writeln!(io::stdout(), "{}", report::table(lines))?;
    Ok(json!({
        "figures": report::json(lines)?,
        "failed": failed,
        "seed": bench.seed,
        "sizes": format!("{:?}", bench.sizes),
        "machine": machine,
    }))
}

/// Returns the load of the machine, if the system has it: load makes figures worse.
fn load() -> Option<String> {
    fs::read_to_string("/proc/loadavg").ok().map(|text| text.trim().to_owned())
}
