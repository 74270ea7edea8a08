//! A simulator, a home, and the binary in them.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use ssoinv_sim::{Control, Options, Organisation, Seeded, Simulator, Token};
use tempfile::TempDir;

/// The longest that any command of a test may take. One that hangs is killed, and its test fails.
const PATIENCE: Duration = Duration::from_mins(2);

/// A simulated organisation and a home for it.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) home: TempDir,
    variables: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; none after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    /// An organisation with a home that has one profile an account and a good token.
    pub(crate) fn new(organisation: Organisation) -> Self {
        Self::with(organisation, Options::default(), Token::Good)
    }

    pub(crate) fn with(organisation: Organisation, options: Options, token: Token) -> Self {
        let world = Self::without_home(organisation, options);
        world.simulator.home().token(token).write(world.home.path()).expect("a home");
        world
    }

    /// The same with an empty home.
    pub(crate) fn without_home(organisation: Organisation, options: Options) -> Self {
        let simulator = Simulator::start(organisation, options).expect("a simulator");
        Self { simulator, home: tempfile::tempdir().expect("a folder"), variables: Vec::new() }
    }

    /// The demonstration's dozen accounts.
    pub(crate) fn demo() -> Self {
        Self::new(Organisation::demo())
    }

    /// `accounts` made-up accounts with a bucket, an instance and a function or more each.
    pub(crate) fn seeded(accounts: usize) -> Self {
        Self::new(seeded(accounts))
    }

    /// Sets a variable for the commands that follow.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The command, not started. Nothing of this machine's environment is in it but where programs are found.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = ssoinv(arguments);
        command.env("HOME", self.home.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `ssoinv` with `arguments`, split at spaces.
    pub(crate) fn run(&self, arguments: &str) -> Run {
        run(self.command(arguments))
    }

    /// Runs a command that must end well, and parses its JSON.
    pub(crate) fn json(&self, arguments: &str) -> Value {
        let run = self.run(&format!("{arguments} -o json"));
        assert_eq!(run.code, Some(0), "{run:#?}");
        run.json()
    }

    /// Runs with `--coverage` and gives the ledger's rows, too.
    pub(crate) fn with_ledger(&self, arguments: &str) -> (Run, Vec<Value>) {
        let file = self.home.path().join("coverage.json");
        let run = self.run(&format!("{arguments} --coverage {}", file.display()));
        (run, rows_of(&file))
    }

    pub(crate) fn control(&self, control: Control) {
        self.simulator.control(control).expect("an order that can be carried out");
    }

    /// What was said, without what differs at each run.
    pub(crate) fn shown(&self, text: &str) -> String {
        text.replace(self.simulator.url(), "http://SIMULATOR")
            .replace(&self.home.path().display().to_string(), "~")
    }
}

/// `accounts` made-up accounts.
pub(crate) fn seeded(accounts: usize) -> Organisation {
    Organisation::seeded(Seeded { accounts, ..Seeded::default() })
}

/// The binary, with an empty environment.
#[expect(clippy::disallowed_methods, reason = "the tests' own environment says where programs are")]
pub(crate) fn ssoinv(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssoinv"));
    command.args(arguments.split_whitespace()).env_clear();
    // Programs that `credential_process` names, and Windows' own libraries.
    for name in ["PATH", "SystemRoot"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Run {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().expect("the binary starts"))
}

/// Waits for a command to end, and reads what it says meanwhile.
pub(crate) fn finish(mut child: Child) -> Run {
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let (done, ended) = mpsc::channel::<()>();
    let process = child.id();
    let watchdog = thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            kill(process, rustix::process::Signal::KILL);
        }
    });
    let status = child.wait().expect("it ends");
    drop(done);
    watchdog.join().expect("no panic");
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader.map(|reader| reader.join().expect("no panic")).unwrap_or_default()
    };
    Run { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe");
        String::from_utf8(bytes).expect("UTF-8")
    })
}

/// Sends a signal.
pub(crate) fn kill(process: u32, signal: rustix::process::Signal) {
    let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    // It may have ended already.
    let _ = rustix::process::kill_process(process, signal);
}

/// The rows of a JSON file.
pub(crate) fn rows_of(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The rows of a JSON array.
    pub(crate) fn rows(&self) -> Vec<Value> {
        self.json().as_array().expect("an array").clone()
    }

    /// Fails unless it ended with this code.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Fails unless stderr has this text.
    #[track_caller]
    pub(crate) fn said(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "nowhere `{text}`: {self:#?}");
        self
    }
}

/// The values of a column, as text.
pub(crate) fn column<'v>(rows: &'v [Value], name: &str) -> Vec<&'v str> {
    rows.iter().map(|row| row[name].as_str().unwrap_or_default()).collect()
}

/// How often each status is in a ledger, as `denied 2, ok 3`.
pub(crate) fn statuses(ledger: &[Value]) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for status in column(ledger, "status") {
        *counts.entry(status).or_insert(0) += 1;
    }
    counts.iter().map(|(status, count)| format!("{status} {count}")).collect::<Vec<_>>().join(", ")
}

/// A command whose stdin and stderr are a terminal, with a person before it; its stdout is a pipe.
pub(crate) struct Person {
    /// What arrives on the screen; closed when nobody holds the terminal's other end any more.
    screen: mpsc::Receiver<Vec<u8>>,
    seen: Vec<u8>,
    /// Up to here the person has read.
    read: usize,
    pub(crate) process: u32,
    run: thread::JoinHandle<Run>,
}

impl World {
    /// Runs `ssoinv` with `arguments`, split at spaces, on a pseudo-terminal.
    pub(crate) fn at_terminal(&self, arguments: &str) -> Person {
        Person::before(self.command(arguments))
    }
}

impl Person {
    /// Starts a command on a pseudo-terminal of 200 columns.
    pub(crate) fn before(mut command: Command) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("a pseudo-terminal");
        unlockpt(&master).expect("a pseudo-terminal");
        let name = ptsname(&master, Vec::new()).expect("its name").into_string().expect("UTF-8");
        let size = rustix::termios::Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).expect("a size");
        let slave = fs::OpenOptions::new().read(true).write(true).open(name).expect("its other end");
        command.stdin(slave.try_clone().expect("a file")).stderr(slave).stdout(Stdio::piped());
        let child = command.spawn().expect("the binary starts");
        // With it the last copy of the other end that isn't the child's.
        drop(command);
        let (sender, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut master = fs::File::from(master);
            let mut bytes = [0; 4096];
            // Linux ends it with an error, others with nothing more to read.
            while let Ok(length @ 1..) = master.read(&mut bytes) {
                if sender.send(bytes[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let process = child.id();
        Self { screen, seen: Vec::new(), read: 0, process, run: thread::spawn(move || finish(child)) }
    }

    /// Reads on until a sign-in's code is on the screen, and gives it.
    pub(crate) fn reads_code(&mut self) -> String {
        const BEFORE: &str = "the code ";
        loop {
            let text = String::from_utf8_lossy(&self.seen[self.read..]).into_owned();
            let found = text.split_once(BEFORE).and_then(|(_, rest)| rest.split_once(' '));
            if let Some((code, _)) = found {
                let code = code.to_owned();
                self.read = self.seen.len();
                return code;
            }
            let more = self.screen.recv();
            self.seen.extend(more.unwrap_or_else(|_| panic!("it ended without a code: {}", self.screen())));
        }
    }

    /// Waits for the end; `stderr` is what stays on the screen.
    pub(crate) fn sees_the_end(mut self) -> Run {
        self.seen.extend(self.screen.iter().flatten());
        let stderr = self.screen();
        Run { stderr, ..self.run.join().expect("no panic") }
    }

    /// What stays on the screen: of each line what comes after it was last cleared.
    fn screen(&self) -> String {
        let text = String::from_utf8_lossy(&self.seen).replace("\r\n", "\n");
        let line = |line: &str| line.rsplit("\u{1b}[2K").next().unwrap_or_default().to_owned();
        let lines: Vec<String> = text.split('\n').map(line).collect();
        lines.join("\n")
    }
}
