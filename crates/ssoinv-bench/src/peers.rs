//! Other programs on the same server: boto3 and c7n-org, pinned in `peers/requirements.txt`, in a virtual environment
//! below `target/`. The case `cached` runs them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process_run::{self, ProcessRun};
use crate::server::Server;
use crate::world::World;

/// Python with the packages of `peers/requirements.txt`.
#[derive(Debug)]
pub(crate) struct Peers {
    python: PathBuf,
}

/// A way to list with boto3, described in `peers/boto3_inventory.py`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Boto3 {
    /// One profile after another.
    Loop,
    /// 32 threads whose sessions share one loader.
    Threads,
}

/// Threads of [`Boto3::Threads`].
pub(crate) const THREADS: usize = 32;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

impl Peers {
    /// Makes the virtual environment unless it exists. The error says why it can't be made.
    pub(crate) fn set_up() -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench-python");
        let (stamp, python) = (folder.join("made-from"), folder.join("bin/python"));
        let requirements = scripts().join("requirements.txt");
        let wanted = fs::read_to_string(&requirements).map_err(|error| error.to_string())?;
        if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
            return Ok(Self { python });
        }
        let [clear, venv] = ["--clear", "venv"].map(OsStr::new);
        step(Path::new("python3"), &["-m".as_ref(), venv, clear, folder.as_os_str()])?;
        let install =
            ["-m", "pip", "install", "--quiet", "--require-hashes", "--requirement"].map(OsStr::new);
        step(&python, &[&install[..], &[requirements.as_os_str()]].concat())?;
        fs::write(stamp, wanted).map_err(|error| error.to_string())?;
        Ok(Self { python })
    }

    /// Lists all tables of the first `accounts` accounts; 0 means all.
    pub(crate) fn boto3(
        &self,
        server: &Server,
        world: &World,
        way: Boto3,
        accounts: usize,
    ) -> Result<ProcessRun, String> {
        let way = match way {
            Boto3::Loop => "loop",
            Boto3::Threads => "threads",
        };
        self.script(server, "boto3_inventory.py", &[way, &world.regions().join(","), &accounts.to_string()])
    }

    /// Lists the instances of the first `accounts` accounts with c7n-org.
    pub(crate) fn c7n_org(
        &self,
        server: &Server,
        world: &World,
        accounts: usize,
    ) -> Result<ProcessRun, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let arguments =
            [&world.regions().join(","), &accounts.to_string(), &folder.path().display().to_string()];
        self.script(server, "c7n_org_instances.py", &arguments.map(String::as_str))
    }

    fn script(&self, server: &Server, name: &str, arguments: &[&str]) -> Result<ProcessRun, String> {
        let mut command = Command::new(&self.python);
        command.arg(scripts().join(name)).arg(server.url()).arg(server.home()).args(arguments);
        command.env_remove("PYTHONHOME").env_remove("PYTHONPATH");
        let run = process_run::run(&mut command).map_err(|error| error.to_string())?;
        if run.status.success() {
            Ok(run)
        } else {
            Err(format!("`{name}` failed: {}", last_line(&run.stderr)))
        }
    }
}

/// Returns the last line that isn't empty, in which programs say why they failed.
pub(crate) fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message")
}

fn step(program: &Path, arguments: &[&OsStr]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("PYTHONHOME").env_remove("PYTHONPATH").stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("`{}`: {error}", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{}` failed: {}", program.display(), last_line(&stderr)))
}
