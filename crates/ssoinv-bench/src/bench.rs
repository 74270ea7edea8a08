//! The common parts of all cases: the programs, the sizes, and a run of ssoinv whose rows are checked.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{env, io};

use serde::Deserialize;

use crate::peers::{Peers, last_line};
use crate::process_run::{self, ProcessRun, Usage};
use crate::server::Server;
use crate::totals::Totals;
use crate::world::{Tables, World};

/// The sizes of all cases.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    pub(crate) accounts: usize,
    pub(crate) latency: Duration,
    /// Calls at once that the case `concurrency` compares.
    pub(crate) concurrencies: Vec<usize>,
    pub(crate) portal_rate: u32,
    /// A rate of the portal at which ssoinv must slow down.
    pub(crate) slow_portal_rate: u32,
    /// Accounts with a full page in each region.
    pub(crate) paged_accounts: usize,
    /// Instances in a full page.
    pub(crate) page: usize,
    /// Numbers of accounts with a full page in each region, for memory that must not grow from the first to the second.
    pub(crate) many: [usize; 2],
    /// Numbers of accounts, from the least to the most.
    pub(crate) growth: [usize; 3],
    /// Number of starts of the program.
    pub(crate) starts: usize,
    /// Number of measurements of short runs, of which the median counts.
    pub(crate) repeat: usize,
    /// Accounts of slow peers, whose time is scaled.
    pub(crate) peer_accounts: usize,
}

impl Sizes {
    /// Returns the sizes of the published figures.
    pub(crate) fn full() -> Self {
        Self {
            accounts: 1000,
            latency: Duration::from_millis(100),
            concurrencies: vec![64, 128, 256, 512, 1024],
            portal_rate: 20,
            slow_portal_rate: 10,
            paged_accounts: 10,
            page: 1000,
            many: [250, 1000],
            growth: [100, 1000, 10_000],
            starts: 100,
            repeat: 3,
            peer_accounts: 50,
        }
    }

    /// Returns sizes that take seconds, on an unoptimized binary, to see that the harness works.
    pub(crate) fn small() -> Self {
        Self {
            accounts: 12,
            latency: Duration::from_millis(2),
            concurrencies: vec![4, 16],
            portal_rate: 20,
            slow_portal_rate: 15,
            paged_accounts: 2,
            page: 100,
            many: [2, 4],
            growth: [3, 6, 12],
            starts: 3,
            repeat: 1,
            peer_accounts: 2,
        }
    }
}

/// The programs, and how they are run.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) ssoinv: PathBuf,
    pub(crate) sim: PathBuf,
    pub(crate) sdk_pages: PathBuf,
    pub(crate) dist: PathBuf,
    pub(crate) unstripped: Option<PathBuf>,
    pub(crate) sizes: Sizes,
    pub(crate) seed: u64,
    /// Processors of this machine, on which both ssoinv and the simulator run.
    pub(crate) cores: usize,
    /// None if they aren't wanted or can't be installed.
    pub(crate) peers: Option<Peers>,
}

/// A run that collected all rows.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) usage: Usage,
    /// CPU time of the simulator during the run; none if the system doesn't have it.
    pub(crate) simulator_cpu: Option<Duration>,
    /// Bytes of rows.
    pub(crate) bytes: u64,
    pub(crate) totals: Totals,
}

impl Bench {
    /// Returns the world of most cases: `accounts` accounts with a few rows in each table.
    pub(crate) fn world(&self, accounts: usize) -> World {
        World {
            seed: self.seed,
            accounts,
            regions: 4,
            buckets: 3,
            instances: 5,
            functions: 3,
            latency: Duration::ZERO,
            portal_rate: None,
            portal_lockout: None,
            cached: true,
            at_once: None,
        }
    }

    /// Returns a world with full pages of instances and nothing else.
    pub(crate) fn full_pages(&self, accounts: usize) -> World {
        let small = self.world(accounts);
        World { buckets: 0, functions: 0, instances: self.sizes.page, ..small }
    }

    pub(crate) fn start(&self, world: &World) -> Result<Server, String> {
        Server::start(&self.sim, world).map_err(|error| error.to_string())
    }

    /// Returns the command `ssoinv` in a home, with nothing of this environment but `PATH`.
    #[expect(clippy::disallowed_methods, reason = "the harness passes its own PATH on")]
    pub(crate) fn ssoinv(&self, server: Option<&Server>) -> Command {
        let mut command = Command::new(&self.ssoinv);
        command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
        if let Some(server) = server {
            command.env("HOME", server.home());
        }
        command
    }

    /// Returns the number of calls that ssoinv makes at once by default, from `ssoinv settings`.
    pub(crate) fn default_concurrency(&self) -> Result<usize, String> {
        #[derive(Deserialize)]
        struct Setting {
            key: String,
            value: Option<String>,
        }
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut command = self.ssoinv(None);
        let output = command.env("HOME", home.path()).args(["settings", "-o", "json"]).output();
        let output = output.map_err(|error| format!("`{}`: {error}", self.ssoinv.display()))?;
        let settings: Vec<Setting> =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("`ssoinv settings`: {error}"))?;
        let setting = settings.into_iter().find(|setting| setting.key == "concurrency");
        let value = setting.and_then(|setting| setting.value?.parse().ok());
        value.ok_or_else(|| "`ssoinv settings` has no `concurrency`".to_owned())
    }

    /// Collects `tables` of all accounts. Fails if any row of `world` is missing.
    pub(crate) fn collect(
        &self,
        server: &Server,
        world: &World,
        tables: Tables,
        format: &str,
    ) -> Result<Collection, String> {
        server.reset().map_err(|error| error.to_string())?;
        let mut command = self.ssoinv(Some(server));
        command.args(world.arguments(tables)).args(["-o", format]);
        let before = server.cpu();
        let run = process_run::run(&mut command).map_err(|error| error.to_string())?;
        let simulator_cpu = server.cpu().zip(before).map(|(after, before)| after.saturating_sub(before));
        let header = u64::from(format == "csv");
        check(&run, world.rows(tables) + header)?;
        let totals = server.totals().map_err(|error| error.to_string())?;
        Ok(Collection { usage: run.usage, simulator_cpu, bytes: run.bytes, totals })
    }

    /// Collects several times and returns the run with the median time.
    pub(crate) fn collect_median(
        &self,
        server: &Server,
        world: &World,
        tables: Tables,
        format: &str,
        times: usize,
    ) -> Result<Collection, String> {
        let runs = (0..times.max(1)).map(|_| self.collect(server, world, tables, format));
        let mut runs = runs.collect::<Result<Vec<_>, _>>()?;
        runs.sort_by_key(|run| run.usage.wall);
        Ok(runs.swap_remove((runs.len() - 1) / 2))
    }
}

/// Fails unless a run ended well with so many lines: a quick run that lost a row doesn't count.
pub(crate) fn check(run: &ProcessRun, lines: u64) -> Result<(), String> {
    if run.status.success() && run.lines == lines {
        return Ok(());
    }
    let last = last_line(&run.stderr);
    Err(format!("it ended with {} and {} lines instead of {lines}: {last}", run.status, run.lines))
}

/// Reports progress on stderr.
pub(crate) fn report_progress(text: &str) {
    // A closed stderr is no reason to stop.
    let _closed = writeln!(io::stderr(), "{text}");
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
