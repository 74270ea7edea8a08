//! Runs a program to its end, and says what that took: time, CPU, memory, and how much it wrote.

use std::io::{self, Read as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use memchr::memchr_iter;
use wait4::{ResUse, Wait4};

/// What is kept of stderr.
const KEPT: usize = 1 << 20;

/// What a program took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// From its start to its end.
    pub(crate) wall: Duration,
    /// User and system time, its children's too.
    pub(crate) cpu: Duration,
    /// The largest resident set in bytes. Not below this program's own, from which the child was forked.
    pub(crate) peak: u64,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) usage: Usage,
    pub(crate) status: ExitStatus,
    /// Lines on stdout.
    pub(crate) lines: u64,
    /// Bytes on stdout.
    pub(crate) bytes: u64,
    /// The beginning of stdout.
    pub(crate) head: String,
    /// The end of stderr.
    pub(crate) said: String,
}

/// Waits for a child, and says what it took besides time.
pub(crate) fn wait(child: &mut Child, started: Instant) -> io::Result<(ExitStatus, Usage)> {
    let ResUse { status, rusage } = child.wait4()?;
    let usage = Usage { wall: started.elapsed(), cpu: rusage.utime + rusage.stime, peak: rusage.maxrss };
    Ok((status, usage))
}

/// Runs `command` to its end. What it writes is read and counted, and not kept.
pub(crate) fn run(command: &mut Command) -> io::Result<Ran> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| {
        io::Error::new(error.kind(), format!("`{}`: {error}", command.get_program().display()))
    })?;
    let stdout = child.stdout.take().map(count);
    let stderr = child.stderr.take().map(keep_end);
    let (status, usage) = wait(&mut child, started)?;
    let counted = stdout.map(join).transpose()?.unwrap_or_default();
    let said = stderr.map(join).transpose()?.unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    let head = String::from_utf8_lossy(&counted.head).into_owned();
    Ok(Ran { usage, status, lines: counted.lines, bytes: counted.bytes, head, said })
}

#[derive(Debug, Default)]
struct Counted {
    lines: u64,
    bytes: u64,
    head: Vec<u8>,
}

fn count(mut stream: impl io::Read + Send + 'static) -> JoinHandle<io::Result<Counted>> {
    thread::spawn(move || {
        let mut counted = Counted::default();
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
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_program_is_counted_to_its_end() {
        let script = "printf 'a\\nb\\n'; echo trouble >&2; exit 4";
        let ran = run(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!((ran.lines, ran.bytes, ran.head.as_str()), (2, 4, "a\nb\n"));
        assert_eq!((ran.said.as_str(), ran.status.code()), ("trouble\n", Some(4)));
        assert!(ran.usage.peak > 0);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.to_string().contains("`no-such-program-here`"), "{error}");
    }
}
