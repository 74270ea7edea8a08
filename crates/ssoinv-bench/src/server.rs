//! `ssoinv-sim` in a process of its own, with a home for its clients. Cases start one for each [`World`].

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::process_run::cpu_of;
use crate::totals::Totals;
use crate::world::{ROLE, World};

/// Lifetime of role credentials in seconds: longer than any case.
const ROLE_LIFETIME: &str = "43200";

/// A running simulator. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    url: String,
    home: TempDir,
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
        // Only counts are needed.
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
        let child = command.spawn();
        let mut child = child
            .map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", program.display())))?;
        // The simulator prints its URL when it listens and the home is written.
        let stdout = child.stdout.take().map(BufReader::new);
        let mut server = Self { child, url: String::new(), home };
        let line = stdout.and_then(|stdout| stdout.lines().next()).transpose()?;
        server.url = line.ok_or_else(|| io::Error::other("the simulator ended before it listened"))?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the simulator's home: `.aws` with a profile for each account, and a valid token.
    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// Returns the counts.
    pub(crate) fn totals(&self) -> io::Result<Totals> {
        let mut response = ureq::get(format!("{}/_sim/totals", self.url)).call().map_err(io::Error::other)?;
        let text = response.body_mut().read_to_string().map_err(io::Error::other)?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Resets the counts.
    pub(crate) fn reset(&self) -> io::Result<()> {
        let request = ureq::post(format!("{}/_sim/reset-counters", self.url));
        request.send("{}").map(drop).map_err(io::Error::other)
    }

    /// Returns the CPU time of the simulator so far; none if the system doesn't have it.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        cpu_of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that the simulator has already ended.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}
