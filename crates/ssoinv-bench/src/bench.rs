//! What all cases share: the programs, the sizes, and one run of ssoinv whose rows are checked.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{env, io};

use crate::child::{self, Ran, Usage};
use crate::peers::{Peers, last_line};
use crate::server::{Server, Totals};
use crate::world::{Tables, World};

/// How large everything is.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    pub(crate) accounts: usize,
    pub(crate) latency: Duration,
    pub(crate) concurrency: usize,
    pub(crate) portal_rate: u32,
    /// The portal's rate where ssoinv must slow down to be let in.
    pub(crate) slow_portal_rate: u32,
    /// Accounts with a full page in each region.
    pub(crate) paged_accounts: usize,
    /// Instances in a page that is full.
    pub(crate) page: usize,
    /// Accounts with a full page in each region, twice: for memory that must not grow from the first to the second.
    pub(crate) many: [usize; 2],
    /// Accounts.
    pub(crate) growth: [usize; 3],
    /// How often the program is started.
    pub(crate) starts: usize,
    /// How often what is short is measured; the median counts.
    pub(crate) repeat: usize,
    /// Accounts that slow peers are asked for, for a time that is then scaled.
    pub(crate) peer_accounts: usize,
}

impl Sizes {
    /// Those of the figures.
    pub(crate) fn full() -> Self {
        Self {
            accounts: 1000,
            latency: Duration::from_millis(100),
            concurrency: 128,
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

    /// Small enough to see in seconds, on an unoptimised binary, that the harness works. Its figures mean nothing.
    pub(crate) fn small() -> Self {
        Self {
            accounts: 12,
            latency: Duration::from_millis(2),
            concurrency: 8,
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

/// The programs that are run, and how.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) ssoinv: PathBuf,
    pub(crate) sim: PathBuf,
    pub(crate) sdk_pages: PathBuf,
    pub(crate) dist: PathBuf,
    pub(crate) unstripped: Option<PathBuf>,
    pub(crate) sizes: Sizes,
    pub(crate) seed: u64,
    /// None where they aren't wanted, or can't be had.
    pub(crate) peers: Option<Peers>,
}

/// A run that collected everything.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) usage: Usage,
    /// Bytes of rows.
    pub(crate) bytes: u64,
    pub(crate) totals: Totals,
}

impl Bench {
    /// The world of most cases: `accounts` accounts with a few rows in each table.
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
            at_once: Some(self.sizes.concurrency),
        }
    }

    /// One with full pages of instances and nothing else, of which ssoinv asks for as many at once as it does by itself.
    pub(crate) fn full_pages(&self, accounts: usize) -> World {
        let small = self.world(accounts);
        World { buckets: 0, functions: 0, instances: self.sizes.page, at_once: None, ..small }
    }

    pub(crate) fn start(&self, world: &World) -> Result<Server, String> {
        Server::start(&self.sim, world).map_err(|error| error.to_string())
    }

    /// `ssoinv` in a home, with nothing of this environment but where programs are found.
    #[expect(clippy::disallowed_methods, reason = "the harness's own environment says where programs are")]
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

    /// Collects `tables` of all accounts. An error where not each row of `world` came.
    pub(crate) fn collect(
        &self,
        server: &Server,
        world: &World,
        tables: Tables,
        format: &str,
    ) -> Result<Collected, String> {
        server.reset().map_err(|error| error.to_string())?;
        let mut command = self.ssoinv(Some(server));
        command.args(world.arguments(tables)).args(["-o", format]);
        let ran = child::run(&mut command).map_err(|error| error.to_string())?;
        let header = u64::from(format == "csv");
        check(&ran, world.rows(tables) + header)?;
        let totals = server.totals().map_err(|error| error.to_string())?;
        Ok(Collected { usage: ran.usage, bytes: ran.bytes, totals })
    }

    /// The run with the median time of several.
    pub(crate) fn collect_often(
        &self,
        server: &Server,
        world: &World,
        tables: Tables,
        format: &str,
        times: usize,
    ) -> Result<Collected, String> {
        let runs = (0..times.max(1)).map(|_| self.collect(server, world, tables, format));
        let mut runs = runs.collect::<Result<Vec<_>, _>>()?;
        runs.sort_by_key(|run| run.usage.wall);
        Ok(runs.swap_remove((runs.len() - 1) / 2))
    }
}

/// It must have ended well and written so many lines: a quick run that lost a row is none.
pub(crate) fn check(ran: &Ran, lines: u64) -> Result<(), String> {
    if ran.status.success() && ran.lines == lines {
        return Ok(());
    }
    let said = last_line(&ran.said);
    Err(format!("it ended with {} and {} lines instead of {lines}: {said}", ran.status, ran.lines))
}

/// Tells on stderr what is going on.
pub(crate) fn say(text: &str) {
    // Where nobody listens there is nothing to tell.
    let _nobody = writeln!(io::stderr(), "{text}");
}

/// The one in the middle.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
