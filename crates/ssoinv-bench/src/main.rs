//! How quick, how small and how frugal ssoinv is: runs the binary against `ssoinv-sim` in a process of its own, others'
//! programs beside it, and prints one table. Nothing here fails for being slow; it fails where a row is missing.
//!
//! A case (`cases/`) makes a [`world::World`], starts a [`server::Server`] of it, runs programs ([`child`]) and gives
//! [`report::Line`]s. Sizes and what all cases share: [`mod@bench`]. The others: [`peers`].

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io, thread};

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use crate::bench::{Bench, Sizes, say};
use crate::peers::Peers;
use crate::report::Line;

mod bench;
mod cases;
mod child;
mod peers;
mod report;
mod server;
mod world;

/// Measures ssoinv against the simulator, beside others.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What to measure; all but `size` where not said
    #[arg(value_enum, value_name = "CASE")]
    cases: Vec<Case>,
    /// The program that is measured
    #[arg(long, value_name = "FILE", default_value = "target/release/ssoinv")]
    ssoinv: PathBuf,
    /// The simulator
    #[arg(long, value_name = "FILE", default_value = "target/release/ssoinv-sim")]
    sim: PathBuf,
    /// The example of ssoinv-aws that does the same with the SDK alone
    #[arg(long, value_name = "FILE", default_value = "target/release/examples/sdk_pages")]
    sdk_pages: PathBuf,
    /// The program as it is handed out, for `size`
    #[arg(long, value_name = "FILE", default_value = "target/dist/ssoinv")]
    dist: PathBuf,
    /// The same with its symbols, for `size` to tell what makes it up
    #[arg(long, value_name = "FILE")]
    unstripped: Option<PathBuf>,
    /// Small sizes, in seconds, on any build: to see that the harness works. The figures mean nothing then
    #[arg(long)]
    small: bool,
    /// Leave the others out
    #[arg(long)]
    no_peers: bool,
    /// What the organisation is made from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write the figures and the numbers behind them to FILE
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    json: PathBuf,
}

/// A case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// Figures 1 and 3: role credentials are cached
    Cached,
    /// Figure 2: nothing is cached, and the portal has a limit
    Portal,
    /// Figure 3: full pages, beside the SDK's own parsing
    Pages,
    /// Figure 4: a million instances, and four
    Many,
    /// Figure 5: how long the start takes
    Start,
    /// Figure 5: how large the program is, and of what
    Size,
    /// Figure 6: cost from 100 to 10,000 accounts
    Growth,
}

impl Case {
    /// `Size` needs a build that takes long.
    const USUAL: [Self; 6] = [Self::Cached, Self::Portal, Self::Pages, Self::Many, Self::Start, Self::Growth];

    fn run(self, bench: &Bench) -> Result<Vec<Line>, String> {
        match self {
            Self::Cached => cases::cached::run(bench),
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
    let cases = if arguments.cases.is_empty() { Case::USUAL.to_vec() } else { arguments.cases.clone() };
    let beside = cases.contains(&Case::Cached) && !arguments.no_peers;
    let peers = beside.then(Peers::set_up).transpose().unwrap_or_else(|reason| {
        say(&format!("the others are left out: {reason}"));
        None
    });
    let bench = Bench {
        ssoinv: arguments.ssoinv,
        sim: arguments.sim,
        sdk_pages: arguments.sdk_pages,
        dist: arguments.dist,
        unstripped: arguments.unstripped,
        sizes: if arguments.small { Sizes::small() } else { Sizes::full() },
        seed: arguments.seed,
        peers,
    };
    let before = load();
    let (mut lines, mut failed) = (Vec::new(), Vec::new());
    for case in cases {
        match case.run(&bench) {
            Ok(found) if arguments.small => lines.extend(found.into_iter().map(Line::unjudged)),
            Ok(found) => lines.extend(found),
            Err(problem) => failed.push(format!("{case:?}: {problem}")),
        }
    }
    let machine = json!({
        "cores": thread::available_parallelism().map_or(0, usize::from),
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
        say(&format!("error: {problem}"));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the table; gives what JSON has.
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

/// How busy the machine is, where it tells: figures of a busy one are worse than they need be.
fn load() -> Option<String> {
    fs::read_to_string("/proc/loadavg").ok().map(|text| text.trim().to_owned())
}
