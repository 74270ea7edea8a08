//! A simulator, a home, and the binary in them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;
use ssoinv_sim::{Control, Home, Options, Organisation, OrganisationSpec, Service, Simulator, Token};
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

    /// `accounts` made-up accounts with a bucket, an instance and a function or more each.
    pub(crate) fn seeded(accounts: usize) -> Self {
        Self::new(seeded(accounts))
    }

    /// AWS's own host names, through the simulator's proxy and trusted by its authority alone: no endpoint is set.
    pub(crate) fn through_the_proxy(organisation: Organisation, options: Options, token: Token) -> Self {
        Self::with_home_through_the_proxy(organisation, options, |home| home.token(token))
    }

    /// The same with another home.
    pub(crate) fn with_home_through_the_proxy(
        organisation: Organisation,
        options: Options,
        home: impl FnOnce(Home<'_>) -> Home<'_>,
    ) -> Self {
        let world = Self::without_home(organisation, Options { proxy: true, ..options });
        home(world.simulator.home().without_endpoint()).write(world.home.path()).expect("a home");
        let (url, pem) = world.simulator.proxy().expect("a proxy");
        let bundle = world.home.path().join("authority.pem");
        fs::write(&bundle, pem).expect("written");
        let url = url.to_owned();
        world.variable("HTTPS_PROXY", url).variable("AWS_CA_BUNDLE", bundle.display().to_string())
    }

    /// Sets a variable for the commands that follow.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The command, not started. Nothing of this machine's environment is in it but where programs are found.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_ssoinv"), arguments)
    }

    /// The same for another program.
    pub(crate) fn command_of(&self, program: impl AsRef<OsStr>, arguments: &str) -> Command {
        let mut command = hermetic(program);
        command.args(arguments.split_whitespace());
        command.env("HOME", self.home.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `ssoinv` with `arguments`, split at spaces.
    pub(crate) fn run(&self, arguments: &str) -> Run {
        run(self.command(arguments))
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

    /// How often a service was called, whatever the operation.
    pub(crate) fn calls_of(&self, service: Service) -> u64 {
        let counts = self.simulator.counts().into_iter();
        counts.filter(|count| count.service == service).map(|count| count.calls).sum()
    }

    /// What was said, less the warning about the simulator's endpoint that each run begins with.
    pub(crate) fn said_of(&self, stderr: &str) -> String {
        let mut text = String::new();
        let shown = self.shown(stderr);
        let ours = |line: &&str| line.contains("is not AWS's") || line.contains("if you didn't set this");
        for line in shown.lines().skip_while(ours) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// What was said, without what differs at each run.
    pub(crate) fn shown(&self, text: &str) -> String {
        text.replace(self.simulator.url(), "http://SIMULATOR")
            .replace(&self.home.path().display().to_string(), "~")
    }
}

/// `accounts` made-up accounts.
pub(crate) fn seeded(accounts: usize) -> Organisation {
    Organisation::from_spec(OrganisationSpec { accounts, ..OrganisationSpec::default() })
}

/// The binary, with an empty environment.
pub(crate) fn ssoinv(arguments: &str) -> Command {
    let mut command = hermetic(env!("CARGO_BIN_EXE_ssoinv"));
    command.args(arguments.split_whitespace());
    command
}

/// A program, with an empty environment.
#[expect(clippy::disallowed_methods, reason = "the tests' own environment says where programs are")]
pub(crate) fn hermetic(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    // What this machine is, is nobody's business; and no test speaks to anything but this machine.
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    // Without `HOME` the home would be the one that this machine's user database knows, with its settings.
    command.env("HOME", "/nonexistent/home");
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
pub(crate) fn finish(child: Child) -> Run {
    finish_within(child, PATIENCE)
}

/// The same for what may take another time.
pub(crate) fn finish_within(mut child: Child, patience: Duration) -> Run {
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let (done, ended) = mpsc::channel::<()>();
    let process = child.id();
    let watchdog = thread::spawn(move || {
        if ended.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
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

/// All files below a folder.
pub(crate) fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                found.push(entry.strip_prefix(folder).expect("below").display().to_string());
            }
        }
    }
    found
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
    /// Starts a command on a pseudo-terminal of 200 columns, which programs that it starts find in `SCREEN`.
    pub(crate) fn before(mut command: Command) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("a pseudo-terminal");
        unlockpt(&master).expect("a pseudo-terminal");
        let name = ptsname(&master, Vec::new()).expect("its name").into_string().expect("UTF-8");
        let size = rustix::termios::Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).expect("a size");
        let slave = fs::OpenOptions::new().read(true).write(true).open(&name).expect("its other end");
        command.stdin(slave.try_clone().expect("a file")).stderr(slave).stdout(Stdio::piped());
        // Colours are shown by escapes, which no test is about that reads what is said.
        command.env("NO_COLOR", "1").env("SCREEN", name);
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
        self.reads_word("shows the code ")
    }

    /// Reads on until `before` and a word after it are on the screen, and gives the word.
    pub(crate) fn reads_word(&mut self, before: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.seen[self.read..]).into_owned();
            let found = text.split_once(before).and_then(|(_, rest)| rest.split_once([' ', '\r', '\n']));
            if let Some((word, _)) = found {
                let word = word.to_owned();
                let start = text.find(before).unwrap_or_default() + before.len();
                self.read += start + word.len();
                return word;
            }
            let more = self.screen.recv();
            self.seen.extend(more.unwrap_or_else(|_| panic!("nowhere `{before}`: {}", self.screen())));
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

/// A stream that is read all the time, so that a test can wait for what comes.
pub(crate) struct Stream {
    shared: Arc<(Mutex<Arrived>, Condvar)>,
}

#[derive(Default)]
struct Arrived {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    pub(crate) fn of(mut reader: impl Read + Send + 'static) -> Self {
        let shared = Arc::<(Mutex<Arrived>, Condvar)>::default();
        let writer = Arc::clone(&shared);
        thread::spawn(move || {
            let mut block = [0; 4096];
            loop {
                // A pseudo-terminal that nobody has open any more ends with an error.
                let read = reader.read(&mut block).unwrap_or(0);
                let mut arrived = writer.0.lock().expect("no panic");
                arrived.bytes.extend_from_slice(&block[..read]);
                arrived.ended = read == 0;
                writer.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self { shared }
    }

    /// Waits until what has come is enough; fails when the stream ends before.
    #[track_caller]
    pub(crate) fn until(&self, enough: impl Fn(&str) -> bool) -> String {
        self.wait(enough, true)
    }

    /// Everything, once the stream has ended.
    #[track_caller]
    pub(crate) fn whole(&self) -> String {
        self.wait(|_| false, false)
    }

    #[track_caller]
    fn wait(&self, enough: impl Fn(&str) -> bool, must: bool) -> String {
        let mut arrived = self.shared.0.lock().expect("no panic");
        loop {
            let text = String::from_utf8_lossy(&arrived.bytes).into_owned();
            if enough(&text) {
                return text;
            }
            if arrived.ended {
                assert!(!must, "ended without what was waited for: {text}");
                return text;
            }
            let (later, waited) = self.shared.1.wait_timeout(arrived, PATIENCE).expect("no panic");
            assert!(!waited.timed_out(), "waited in vain; so far: {text}");
            arrived = later;
        }
    }
}

/// A command under way, whose output a test watches.
pub(crate) struct Live {
    child: Option<Child>,
    process: u32,
    /// Where it goes to a pipe.
    pub(crate) stdout: Option<Stream>,
    /// Where it goes to a pipe.
    pub(crate) stderr: Option<Stream>,
    /// Where stdout, stderr or both are a terminal.
    pub(crate) terminal: Option<Stream>,
}

/// Which of a command's streams are a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnTerminal {
    Stdout,
    Stderr,
    Both,
}

impl Live {
    /// With pipes.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::of(command.spawn().expect("the binary starts"), None)
    }

    /// With stdout somewhere else, stderr a pipe.
    pub(crate) fn with_stdout(mut command: Command, stdout: impl Into<Stdio>) -> Self {
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        Self::of(command.spawn().expect("the binary starts"), None)
    }

    /// On a pseudo-terminal of so many columns; the other stream goes to a pipe.
    pub(crate) fn on_terminal(mut command: Command, columns: u16, which: OnTerminal) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let controller = controller.expect("a pseudo-terminal");
        grantpt(&controller).expect("a pseudo-terminal");
        unlockpt(&controller).expect("a pseudo-terminal");
        let name = ptsname(&controller, Vec::new()).expect("a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let user: OwnedFd = rustix::fs::open(name, flags, Mode::empty()).expect("the terminal");
        let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&user, size).expect("a size");
        let end = |on: bool| {
            if on { user.try_clone().expect("another end").into() } else { Stdio::piped() }
        };
        command.stdin(user.try_clone().expect("another end"));
        command.stdout(end(which != OnTerminal::Stderr)).stderr(end(which != OnTerminal::Stdout));
        // With `command` and `user` this process's ends go: the terminal ends with the last process that has it open.
        let child = command.spawn().expect("the binary starts");
        Self::of(child, Some(Stream::of(fs::File::from(controller))))
    }

    fn of(mut child: Child, terminal: Option<Stream>) -> Self {
        Self {
            process: child.id(),
            stdout: child.stdout.take().map(Stream::of),
            stderr: child.stderr.take().map(Stream::of),
            child: Some(child),
            terminal,
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        kill(self.process, signal);
    }

    /// What has come on stderr, when it is enough.
    #[track_caller]
    pub(crate) fn stderr_until(&self, enough: impl Fn(&str) -> bool) -> String {
        self.stderr.as_ref().expect("a pipe").until(enough)
    }

    /// What has come on the terminal, when it is enough.
    #[track_caller]
    pub(crate) fn terminal_until(&self, enough: impl Fn(&str) -> bool) -> String {
        self.terminal.as_ref().expect("a terminal").until(enough)
    }

    /// Waits for the end. What went to the terminal comes beside what went to pipes.
    pub(crate) fn finish(mut self) -> (Run, String) {
        let run = finish(self.child.take().expect("it runs"));
        let whole = |stream: &Option<Stream>| stream.as_ref().map(Stream::whole).unwrap_or_default();
        let (stdout, stderr) = (whole(&self.stdout), whole(&self.stderr));
        (Run { code: run.code, stdout, stderr }, whole(&self.terminal))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The test has failed already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a terminal shows in the end, of all that was written to it. Knows what progress bars and colours need, and fails
/// at any other control character.
#[track_caller]
pub(crate) fn screen(written: &str) -> String {
    let mut lines = vec![Vec::<char>::new()];
    let (mut row, mut column) = (0, 0);
    let mut chars = written.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\r' => column = 0,
            '\n' => {
                row += 1;
                if row == lines.len() {
                    lines.push(Vec::new());
                }
            }
            '\u{1b}' => {
                assert_eq!(chars.next(), Some('['), "an unknown escape in {written:?}");
                let mut number = String::new();
                while let Some(next) = chars.next_if(|next| next.is_ascii_digit() || *next == ';') {
                    number.push(next);
                }
                let count = number.parse().unwrap_or(1);
                match chars.next() {
                    Some('A') => row = row.saturating_sub(count),
                    Some('B') => row = (row + count).min(lines.len() - 1),
                    Some('K') if number == "2" => lines[row].clear(),
                    Some('K') => lines[row].truncate(column),
                    Some('m') => {}
                    other => panic!("an unknown escape {other:?} in {written:?}"),
                }
            }
            char => {
                assert!(!char.is_control(), "{char:?} in {written:?}");
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = char;
                column += 1;
            }
        }
    }
    let lines: Vec<String> =
        lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned()).collect();
    lines.join("\n")
}

/// An answer to a browser.
pub(crate) struct Page {
    pub(crate) status: String,
    pub(crate) head: String,
}

impl Page {
    pub(crate) fn location(&self) -> String {
        let line = self.head.lines().find_map(|line| line.strip_prefix("location: "));
        line.unwrap_or_else(|| panic!("not sent anywhere: {}", self.head)).to_owned()
    }
}

/// What a browser does: asks for one page.
pub(crate) fn get(url: &str) -> Page {
    let (authority, _) = url.strip_prefix("http://").expect("http").split_once('/').expect("a path");
    request(url, "GET", authority)
}

pub(crate) fn request(url: &str, method: &str, host: &str) -> Page {
    let (authority, path) = url.strip_prefix("http://").expect("http").split_once('/').expect("a path");
    let mut stream = TcpStream::connect(authority).expect("somebody listens");
    write!(stream, "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, _) = text.split_once("\r\n\r\n").expect("a head");
    let head = head.replace("\r\n", "\n");
    let status = head.split(' ').nth(1).expect("a status").to_owned();
    Page { status, head }
}

/// A server that isn't AWS's. It answers each request with the bytes that it is told, then ends the connection.
pub(crate) struct Impostor {
    pub(crate) url: String,
}

impl Impostor {
    /// `answer` is given the request as it came. It may take its time: each connection has a thread of its own.
    pub(crate) fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answer = Arc::new(answer);
        // It listens until the tests end.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = Arc::clone(&answer);
                thread::spawn(move || {
                    // A client that went has no need of an answer.
                    let _ = serve(stream, &*answer);
                });
            }
        });
        Self { url }
    }

    /// An answer with a true `Content-Length`.
    pub(crate) fn http(status: &str, content_type: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str) -> Vec<u8>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut block = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            if body.len() >= length.unwrap_or(0_usize) {
                return stream.write_all(&answer(&text));
            }
        }
        match stream.read(&mut block)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&block[..read]),
        }
    }
}

/// The folder of the fixtures.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").canonicalize().expect("the fixtures")
}

/// The names of what lies in a folder, without endings.
pub(crate) fn cases(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").path());
    names.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

/// A test of `module` for each home.
pub(crate) fn of_homes(module: &str, test: fn(&str)) -> Vec<Trial> {
    let trial = |case: String| {
        Trial::test(format!("{module}::home::{case}"), move || {
            test(&case);
            Ok(())
        })
    };
    cases(&fixtures().join("homes")).into_iter().map(trial).collect()
}
