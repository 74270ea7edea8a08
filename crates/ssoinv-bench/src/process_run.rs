//! Runs a program to its end and measures it: time, CPU, memory, open files, and the size of its output. All cases use it.

use std::io::{self, Read as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, panic};

use memchr::memchr_iter;
use wait4::{ResUse, Wait4};

/// The most bytes of stderr that are kept.
const KEPT: usize = 1 << 20;

/// The time between two looks at a program's open files.
const SAMPLING: Duration = Duration::from_millis(10);

/// The resources that a program has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// From its start to its end.
    pub(crate) wall: Duration,
    /// User and system time, its children's included.
    pub(crate) cpu: Duration,
    /// The largest resident set in bytes. Not below this program's own, from which the child was forked.
    pub(crate) peak: u64,
    /// The most open files in any sample; none if the system doesn't have the number.
    pub(crate) open_files: Option<u64>,
}

/// The end of a program.
#[derive(Debug)]
pub(crate) struct ProcessRun {
    pub(crate) usage: Usage,
    pub(crate) status: ExitStatus,
    /// Lines on stdout.
    pub(crate) lines: u64,
    /// Bytes on stdout.
    pub(crate) bytes: u64,
    /// The beginning of stdout.
    pub(crate) head: String,
    /// The end of stderr.
    pub(crate) stderr: String,
}

/// Runs `command` to its end. Its stdout is counted, and only the beginning is kept.
pub(crate) fn run(command: &mut Command) -> io::Result<ProcessRun> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| {
        io::Error::new(error.kind(), format!("`{}`: {error}", command.get_program().display()))
    })?;
    let stdout = child.stdout.take().map(count);
    let stderr = child.stderr.take().map(keep_end);
    let sampler = OpenFilesSampler::start(child.id());
    let ResUse { status, rusage } = child.wait4()?;
    let wall = started.elapsed();
    let open_files = sampler.stop();
    let usage = Usage { wall, cpu: rusage.utime + rusage.stime, peak: rusage.maxrss, open_files };
    let output = stdout.map(join).transpose()?.unwrap_or_default();
    let stderr = stderr.map(join).transpose()?.unwrap_or_default();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let head = String::from_utf8_lossy(&output.head).into_owned();
    Ok(ProcessRun { usage, status, lines: output.lines, bytes: output.bytes, head, stderr })
}

/// Returns the CPU time of a running process, from Linux's `/proc`.
pub(crate) fn cpu_of(process: u32) -> Option<Duration> {
    /// `USER_HZ`, which is 100 on all architectures that Rust's standard library supports on Linux.
    const TICKS: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in parentheses, may contain spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let sum = ticks()? + ticks()?;
    Some(Duration::from_millis(sum * 1000 / TICKS))
}

/// Returns the number of open files of a running process, from Linux's `/proc`.
fn open_files_of(process: u32) -> Option<u64> {
    let folder = format!("/proc/{process}/fd");
    // Since Linux 6.2 the folder's size is the number of open files.
    match fs::metadata(&folder).ok()?.len() {
        0 => Some(fs::read_dir(&folder).ok()?.count() as u64),
        count => Some(count),
    }
}

/// A thread that samples the number of open files of a process.
#[derive(Debug)]
struct OpenFilesSampler {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Option<u64>>,
}

impl OpenFilesSampler {
    fn start(process: u32) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut most = None;
            loop {
                most = most.max(open_files_of(process));
                match stopped.recv_timeout(SAMPLING) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return most,
                }
            }
        });
        Self { stop, thread }
    }

    fn stop(self) -> Option<u64> {
        // An error means that the thread has already ended.
        let _ended = self.stop.send(());
        self.thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    }
}

#[derive(Debug, Default)]
struct OutputCount {
    lines: u64,
    bytes: u64,
    head: Vec<u8>,
}

fn count(mut stream: impl io::Read + Send + 'static) -> JoinHandle<io::Result<OutputCount>> {
    thread::spawn(move || {
        let mut counted = OutputCount::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return Ok(counted);
            }
            let part = &buffer[..read];
            if counted.head.is_empty() {
                counted.head = part[..read.min(4096)].to_vec();
            }
            counted.bytes += read as u64;
            counted.lines += memchr_iter(b'\n', part).count() as u64;
        }
    })
}

fn keep_end(mut stream: impl io::Read + Send + 'static) -> JoinHandle<io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        while stream.by_ref().take(KEPT as u64).read_to_end(&mut kept)? > 0 {
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
        }
        Ok(kept)
    })
}

fn join<T>(thread: JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_program_is_measured_to_its_end() {
        let script = "printf 'a\\nb\\n'; echo trouble >&2; exit 4";
        let run = run(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!((run.lines, run.bytes, run.head.as_str()), (2, 4, "a\nb\n"));
        assert_eq!((run.stderr.as_str(), run.status.code()), ("trouble\n", Some(4)));
        assert!(run.usage.peak > 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_has_cpu_times_and_open_files() {
        let this = std::process::id();
        let before = open_files_of(this).unwrap();
        let files: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(open_files_of(this).unwrap() >= before.min(3) + files.len() as u64);
        assert!(cpu_of(this).is_some());
        assert_eq!((cpu_of(u32::MAX), open_files_of(u32::MAX)), (None, None));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.to_string().contains("`no-such-program-here`"), "{error}");
    }
}
