//! `ssoinv-sim` in a process of its own, with a home for its clients, and what it has counted.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde::Deserialize;
use tempfile::TempDir;

use crate::child::{self, Usage};
use crate::world::{ROLE, World};

/// Seconds that role credentials live: longer than any case.
const ROLE_LIFETIME: &str = "43200";

/// A simulator that runs. It ends when this goes.
#[derive(Debug)]
pub(crate) struct Server {
    /// None once it was waited for: its number may be another's then.
    child: Option<Child>,
    started: Instant,
    url: String,
    home: TempDir,
}

/// What a simulator has counted since its counters were last reset.
#[derive(Debug, Deserialize)]
pub(crate) struct Totals {
    pub(crate) operations: Vec<Total>,
    /// How often the portal has shut its caller out.
    pub(crate) lockouts: u64,
}

/// All calls of one operation.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Total {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) throttled: u64,
    /// Length of the answers' bodies.
    pub(crate) bytes: u64,
}

impl Totals {
    /// The calls of an operation; the zero of them where it was never called.
    pub(crate) fn of(&self, service: &str, operation: &str) -> Total {
        let mut all = self.operations.iter();
        all.find(|total| total.service == service && total.operation == operation)
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.operations.iter().map(|total| total.calls).sum()
    }

    pub(crate) fn throttled(&self) -> u64 {
        self.operations.iter().map(|total| total.throttled).sum()
    }

    pub(crate) fn failed(&self) -> u64 {
        self.operations.iter().map(|total| total.failed).sum()
    }
}

impl Server {
    /// Starts `program` with the organisation of `world`.
    pub(crate) fn start(program: &Path, world: &World) -> io::Result<Self> {
        let home = tempfile::Builder::new().prefix("ssoinv-bench-").tempdir()?;
        let mut command = Command::new(program);
        let mut set = |name: &str, value: &dyn ToString| {
            command.arg(name).arg(value.to_string());
        };
        set("--accounts", &world.accounts);
        set("--seed", &world.seed);
        set("--buckets", &world.buckets);
        set("--instances", &world.instances);
        set("--functions", &world.functions);
        set("--regions", &world.regions().join(","));
        set("--latency", &world.latency.as_millis());
        set("--role", &ROLE);
        set("--role-lifetime", &ROLE_LIFETIME);
        // Only counts are asked for.
        set("--call-log", &0);
        if let Some(rate) = world.portal_rate {
            set("--portal-rate", &rate);
        }
        if let Some(refusals) = world.portal_lockout {
            set("--portal-lockout", &refusals);
        }
        if world.cached {
            command.arg("--role-credentials");
        }
        command.arg("--home").arg(home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let started = Instant::now();
        let child = command.spawn();
        let mut child = child
            .map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", program.display())))?;
        // It says its address when it listens and the home is written.
        let stdout = child.stdout.take().map(BufReader::new);
        let mut server = Self { child: Some(child), started, url: String::new(), home };
        let line = stdout.and_then(|stdout| stdout.lines().next()).transpose()?;
        server.url = line.ok_or_else(|| io::Error::other("the simulator ended before it listened"))?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The home that it wrote: `.aws` with a profile an account, and a good token.
    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// What it has counted.
    pub(crate) fn totals(&self) -> io::Result<Totals> {
        let mut answer = ureq::get(format!("{}/_sim/totals", self.url)).call().map_err(io::Error::other)?;
        let text = answer.body_mut().read_to_string().map_err(io::Error::other)?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Starts the counters anew.
    pub(crate) fn reset(&self) -> io::Result<()> {
        let order = ureq::post(format!("{}/_sim/reset-counters", self.url));
        order.send("{}").map(drop).map_err(io::Error::other)
    }

    /// Ends it, and says what it has taken.
    pub(crate) fn stop(mut self) -> io::Result<Usage> {
        let mut child = self.child.take().ok_or(io::ErrorKind::NotFound)?;
        child.kill()?;
        child::wait(&mut child, self.started).map(|(_, usage)| usage)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Errors mean that it has ended already.
            let _ended = child.kill();
            let _waited = child.wait();
        }
    }
}
