//! Files in `~/.aws` that other tools write too: read again until they are whole, written whole, one writer at a time.
//!
//! The AWS CLI writes in place, without lock or rename, so a file may be empty or half there when it is read. Here a
//! file is written beside its place, for its owner alone, and renamed; whoever means to change it takes the lock beside
//! it first. What the files hold: [`crate::token_cache`] and [`crate::credential_cache`].

use std::fs::{self, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use sha1::{Digest, Sha1};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::times::parse_time;

/// How long a file that doesn't parse, and that nobody changes, is read again and again.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// How long one that changes meanwhile is read again, in all: who does nothing but write leaves it half there nearly
/// always, and on a busy machine a second can pass without a look at the right moment.
const READ_AGAIN_IN_ALL: Duration = Duration::from_secs(10);

/// The pause after some reads. A write takes no time at all, so it is short.
const READ_PAUSE: Duration = Duration::from_millis(1);

/// Reads without a pause.
const READS_AT_ONCE: usize = 8;

/// How long a lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// How often a lock that somebody holds is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// How the name of a file that is being written begins.
const UNFINISHED: &str = ".ssoinv-";

/// How it ends.
const UNFINISHED_END: &str = ".tmp";

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// There is no home directory.
    #[error("there is no home directory")]
    NoHome,
    /// The folder or the file can't be written.
    #[error("`{}` cannot be written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process holds the lock.
    #[error("`{}` is being changed by another process, for more than {} seconds now", path.display(), LOCK_PATIENCE.as_secs())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

/// A JSON object whose keys ignore case, as the tools read them.
pub(crate) struct File(Map<String, Value>);

impl File {
    /// `None` where the text isn't a JSON object, or not yet a whole one.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let Value::Object(members) = serde_json::from_slice(bytes).ok()? else { return None };
        Some(Self(members))
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        let same = |other: &&String| other.eq_ignore_ascii_case(key);
        self.0.get(key).or_else(|| self.0.get(self.0.keys().find(same)?))
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.as_str().filter(|text| !text.is_empty())
    }

    pub(crate) fn time(&self, key: &str) -> Option<SystemTime> {
        parse_time(self.text(key)?)
    }

    /// An object in it.
    pub(crate) fn object(&self, key: &str) -> Option<Self> {
        Some(Self(self.value(key)?.as_object()?.clone()))
    }
}

/// Reads a file with `parse`, again after a moment where it isn't whole; `None` where it isn't there or never is.
pub(crate) async fn read<T>(path: &Path, parse: impl Fn(&File) -> Option<T>) -> Option<T> {
    let start = Instant::now();
    let (mut before, mut changed) = (None, start);
    loop {
        let path = path.to_owned();
        let half = match on_disk(move || look(&path)).await.ok()? {
            Look::Whole(file) => return parse(&file),
            Look::Half(bytes, since) => (bytes, since),
        };
        let now = Instant::now();
        if before.as_ref() != Some(&half) {
            (before, changed) = (Some(half), now);
        }
        if now >= changed + READ_AGAIN || now >= start + READ_AGAIN_IN_ALL {
            return None;
        }
        tokio::time::sleep(READ_PAUSE).await;
    }
}

/// What a look at a file shows.
enum Look {
    Whole(File),
    /// What there is of it, and since when.
    Half(Vec<u8>, Option<SystemTime>),
}

/// Looks at a file, some times where it isn't whole.
fn look(path: &Path) -> io::Result<Look> {
    let mut left = READS_AT_ONCE;
    loop {
        let bytes = fs::read(path)?;
        left -= 1;
        match File::parse(&bytes) {
            Some(file) => return Ok(Look::Whole(file)),
            None if left > 0 => {}
            None => {
                let since = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
                return Ok(Look::Half(bytes, since));
            }
        }
    }
}

/// Writes a file whole.
pub(crate) async fn write(path: &Path, file: &Value) -> Result<(), CacheError> {
    let failed = |source| CacheError::Io { path: path.to_owned(), source };
    let (to, text) = (path.to_owned(), file.to_string());
    on_disk(move || write_whole(&to, text.as_bytes())).await.map_err(failed)
}

/// Does something with a file on a thread that may wait for the disk, a few at a time: a thousand accounts' files would
/// else have hundreds of threads, each with memory of its own.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    static AT_ONCE: Semaphore = Semaphore::const_new(4);
    // It is never closed.
    let _turn = AT_ONCE.acquire().await.ok();
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Writes a file whole: beside its place, for its owner alone, then renamed. Its folder is made where it is missing.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = make_folder(path)?;
    // `tempfile` makes files that only their owner may read.
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).suffix(UNFINISHED_END).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

/// Makes the folder of a file, for its owner alone, where it is missing.
fn make_folder(path: &Path) -> io::Result<&Path> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    Ok(folder)
}

/// Removes those files of a folder for which `wanted` answers, and gives the answers. A file that nobody can read as a
/// JSON object stays; so does one that is gone by then.
pub(crate) async fn remove<T>(
    folder: &Path,
    wanted: impl Fn(&File) -> Option<T>,
) -> Result<Vec<T>, CacheError> {
    let mut removed = Vec::new();
    for path in json_files(folder).await? {
        let Some(found) = read(&path, &wanted).await else { continue };
        if remove_file(&path).await? {
            removed.push(found);
        }
    }
    Ok(removed)
}

/// Removes the files of a folder that were never finished. Who is just writing one fails, as where it can't write.
pub(crate) async fn sweep(folder: &Path) -> Result<(), CacheError> {
    let unfinished = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(UNFINISHED) && name.ends_with(UNFINISHED_END))
    };
    for path in files(folder, unfinished).await? {
        remove_file(&path).await?;
    }
    Ok(())
}

/// Removes a file, and tells whether it was there.
pub(crate) async fn remove_file(path: &Path) -> Result<bool, CacheError> {
    match tokio::fs::remove_file(path).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(CacheError::Io { path: path.to_owned(), source }),
    }
}

/// The files of a folder that end in `.json`, in the order of their names; none where there is no folder.
pub(crate) async fn json_files(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    files(folder, |path| path.extension().is_some_and(|ending| ending == "json")).await
}

/// The files of a folder that are wanted, in the order of their names; none where there is no folder.
async fn files(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, CacheError> {
    let failed = |source| CacheError::Io { path: folder.to_owned(), source };
    let mut entries = match tokio::fs::read_dir(folder).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let path = entry.path();
        if wanted(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The right to change a file. The kernel takes it back when it is dropped, or when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: fs::File,
}

/// Takes the lock beside a file: an empty file that ends in `.lock`, which stays, since whoever removed it could take
/// another's lock away.
///
/// # Errors
/// Where it can't be had in half a minute, or can't be made: then the file must not be written.
pub(crate) async fn lock(path: &Path) -> Result<Lock, CacheError> {
    let failed = |source| CacheError::Io { path: path.to_owned(), source };
    let file = open_lock(path).map_err(failed)?;
    let end = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(CacheError::Locked { path: path.to_owned() });
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
        }
    }
}

fn open_lock(path: &Path) -> io::Result<fs::File> {
    make_folder(path)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path.with_extension("lock"))
}

/// The name of a cached file: the SHA-1 of what it is for, in hexadecimal digits.
pub(crate) fn file_name(key: &str) -> String {
    let hex: Vec<String> = Sha1::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat() + ".json"
}

/// A string as Python's `json.dumps` writes it: in ASCII, the rest as UTF-16 escapes.
pub(crate) fn python_json(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn half_a_file_is_read_again_for_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        fs::write(&path, r#"{"key": "#).unwrap();
        let key = |file: &File| file.text("KEY").map(str::to_owned);
        let start = Instant::now();
        assert_eq!(read(&path, key).await, None);
        assert_eq!(start.elapsed(), Duration::from_secs(1));

        let (found, ()) = tokio::join!(read(&path, key), async {
            tokio::time::sleep(Duration::from_millis(600)).await;
            write(&path, &json!({"key": "whole"})).await.unwrap();
        });
        assert_eq!(found.as_deref(), Some("whole"), "the other half came in the meantime");
    }

    /// Whoever writes all the time leaves a file half there whenever it is looked at, for longer than a write takes.
    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_is_read_again_for_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let key = |file: &File| file.text("key").map(str::to_owned);
        let writes = async |times: usize| {
            for length in (0..times).map(|time| time % 5) {
                fs::write(&path, &br#"{"key""#[..length]).unwrap();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        fs::write(&path, "").unwrap();
        let (found, ()) = tokio::join!(read(&path, key), async {
            writes(10).await;
            write(&path, &json!({"key": "whole"})).await.unwrap();
        });
        assert_eq!(found.as_deref(), Some("whole"));

        let start = Instant::now();
        fs::write(&path, "").unwrap();
        let (found, ()) =
            tokio::join!(async { (read(&path, key).await, start.elapsed().as_secs()) }, writes(40));
        assert_eq!(found, (None, 10), "not for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_and_after_half_a_minute_without() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache/x.json");
        let held = lock(&path).await.unwrap();
        let start = Instant::now();
        let refused = lock(&path).await.unwrap_err();
        assert!(matches!(refused, CacheError::Locked { .. }), "{refused}");
        assert_eq!(start.elapsed().as_secs(), 30);

        let (next, ()) = tokio::join!(lock(&path), async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            drop(held);
        });
        drop(next.unwrap());
        assert_eq!(start.elapsed().as_secs(), 40);
        // Its age means nothing, nor that the file is there.
        lock(&path).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sso/cache/x.json");
        drop(lock(&path).await.unwrap());
        write(&path, &json!({})).await.unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&path.with_extension("lock")), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2, "nothing is left over");
    }
}
