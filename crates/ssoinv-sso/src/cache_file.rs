//! Files in `~/.aws` that other tools write, too.
//!
//! The AWS CLI writes in place, without lock or rename, so a file may be empty or half written when it is read. So
//! reads are repeated until the file is complete. Writes go to a temporary file, readable by its owner alone, which
//! is then renamed; a lock file beside the file admits one writer at a time. The contents are
//! [`crate::token_cache`]'s and [`crate::credential_cache`]'s.

use std::fs::{self, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use sha1::{Digest, Sha1};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::times::parse_time;

/// The time for which a file that doesn't parse, and that doesn't change, is read again.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// The time for which a file that doesn't parse, but changes, is read again, in all.
///
/// A process that does nothing but write leaves the file incomplete nearly always, and on a busy machine a second can
/// pass without a read at the right moment.
const READ_AGAIN_IN_ALL: Duration = Duration::from_secs(10);

/// The pause after some reads. It is short, since a write takes hardly any time.
const READ_PAUSE: Duration = Duration::from_millis(1);

/// The number of reads without a pause.
const READS_AT_ONCE: usize = 8;

/// The time for which a lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two tries to take a lock.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The beginning of the name of a file that is being written.
const UNFINISHED: &str = ".ssoinv-";

/// The end of that name.
const UNFINISHED_END: &str = ".tmp";

/// The reason for which a file can't be written.
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
        /// The reason.
        source: io::Error,
    },
    /// Another process holds the lock.
    #[error("`{}` is being changed by another process, for more than {} seconds now", path.display(), LOCK_PATIENCE.as_secs())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

/// A JSON object whose keys ignore case, as the AWS CLI and the SDKs read them.
pub(crate) struct JsonFile(Map<String, Value>);

impl JsonFile {
    /// Returns none if the text isn't a JSON object, or not yet a complete one.
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

    /// Returns a nested object.
    pub(crate) fn object(&self, key: &str) -> Option<Self> {
        Some(Self(self.value(key)?.as_object()?.clone()))
    }
}

/// Reads a file with `parse`, again after a moment if it isn't complete.
///
/// Returns none if the file doesn't exist or never is complete.
pub(crate) async fn read<T>(path: &Path, parse: impl Fn(&JsonFile) -> Option<T>) -> Option<T> {
    let start = Instant::now();
    let (mut before, mut changed) = (None, start);
    loop {
        let path = path.to_owned();
        let half = match on_disk(move || try_read(&path)).await.ok()? {
            FileState::Whole(file) => return parse(&file),
            FileState::Half(bytes, since) => (bytes, since),
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

/// The state that a file is found in.
enum FileState {
    Whole(JsonFile),
    /// An incomplete file: its bytes, and the time of its last change.
    Half(Vec<u8>, Option<SystemTime>),
}

/// Reads a file, a few times if it isn't complete.
fn try_read(path: &Path) -> io::Result<FileState> {
    let mut left = READS_AT_ONCE;
    loop {
        let bytes = fs::read(path)?;
        left -= 1;
        match JsonFile::parse(&bytes) {
            Some(file) => return Ok(FileState::Whole(file)),
            None if left > 0 => {}
            None => {
                let since = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
                return Ok(FileState::Half(bytes, since));
            }
        }
    }
}

/// Replaces a file.
pub(crate) async fn write(path: &Path, file: &Value) -> Result<(), CacheError> {
    let failed = |source| CacheError::Io { path: path.to_owned(), source };
    let (to, text) = (path.to_owned(), file.to_string());
    on_disk(move || write_whole(&to, text.as_bytes())).await.map_err(failed)
}

/// Runs blocking work on files in threads, a few at a time.
///
/// The files of a thousand accounts would otherwise have hundreds of threads, each with its own memory.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    static AT_ONCE: Semaphore = Semaphore::const_new(4);
    // The semaphore is never closed.
    let _turn = AT_ONCE.acquire().await.ok();
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Replaces a file: writes a temporary file, readable by its owner alone, and renames it.
///
/// Creates the folder if needed.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = make_folder(path)?;
    // `tempfile` creates files that only their owner can read.
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).suffix(UNFINISHED_END).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

/// Creates the folder of a file, for its owner alone, if it doesn't exist.
fn make_folder(path: &Path) -> io::Result<&Path> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    Ok(folder)
}

/// Removes the files of a folder for which `wanted` returns something, and returns that.
///
/// A file that can't be read as a JSON object stays.
pub(crate) async fn remove<T>(
    folder: &Path,
    wanted: impl Fn(&JsonFile) -> Option<T>,
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

/// Removes the temporary files of a folder. A process that is just writing one fails, as if it couldn't write.
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

/// Removes a file, and returns whether it existed.
pub(crate) async fn remove_file(path: &Path) -> Result<bool, CacheError> {
    match tokio::fs::remove_file(path).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(CacheError::Io { path: path.to_owned(), source }),
    }
}

/// Lists the files of a folder that end in `.json`, by name; none if there is no folder.
pub(crate) async fn json_files(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    files(folder, |path| path.extension().is_some_and(|ending| ending == "json")).await
}

/// Lists the files of a folder that are `wanted`, by name; none if there is no folder.
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

/// The right to change a file. The kernel frees the lock when this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: fs::File,
}

/// Takes the lock beside a file: an empty file that ends in `.lock`.
///
/// The lock file is never removed: that could free another process's lock.
///
/// # Errors
/// If the lock can't be had in half a minute, or can't be created. Then the file must not be written.
pub(crate) async fn lock(path: &Path) -> Result<FileLock, CacheError> {
    let failed = |source| CacheError::Io { path: path.to_owned(), source };
    let file = open_lock(path).map_err(failed)?;
    let end = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(FileLock { _file: file }),
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

/// Returns the name of a cached file: the SHA-1 of its key, in hexadecimal digits.
pub(crate) fn file_name(key: &str) -> String {
    let hex: Vec<String> = Sha1::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat() + ".json"
}

/// Returns a string as Python's `json.dumps` writes it: in ASCII, with UTF-16 escapes.
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
        let key = |file: &JsonFile| file.text("KEY").map(str::to_owned);
        let start = Instant::now();
        assert_eq!(read(&path, key).await, None);
        assert_eq!(start.elapsed(), Duration::from_secs(1));

        let (found, ()) = tokio::join!(read(&path, key), async {
            tokio::time::sleep(Duration::from_millis(600)).await;
            write(&path, &json!({"key": "whole"})).await.unwrap();
        });
        assert_eq!(found.as_deref(), Some("whole"), "the other half came in the meantime");
    }

    /// A process that writes all the time leaves a file incomplete for longer than a write takes.
    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_is_read_again_for_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let key = |file: &JsonFile| file.text("key").map(str::to_owned);
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
        // Neither the age of a lock file nor its existence means anything.
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
