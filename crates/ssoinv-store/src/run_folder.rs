//! The working folder of a run, `runs/<run-id>/` in the state folder: created on first use, removed at the run's end.
//!
//! Folders of saved runs lie elsewhere and stay ([`crate::run_store`]).
//!
//! A killed run leaves its folder behind. A live run holds a lock on its `lock` file, which the kernel releases however
//! the process ends, so [`sweep`] removes folders by their locks alone. Neither age nor process ID counts: a run that was
//! suspended for a week is safe, and so is a run in another container. `runs/.lock` is held while folders are created or
//! swept, so that no sweep sees a folder without its lock.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::StoreError;

const RUNS: &str = "runs";
pub(crate) const LOCK: &str = "lock";
const RUNS_LOCK: &str = ".lock";

/// The working folder of one run. Dropping it removes the folder, unless the run is saved.
#[derive(Debug)]
pub struct RunFolder {
    runs: PathBuf,
    path: PathBuf,
    /// Held while the folder exists.
    lock: Option<Arc<File>>,
    /// True if the folder stays when the run ends.
    saved: bool,
}

impl RunFolder {
    /// Names the folder `runs/<run_id>/` in `state_folder`, without creating it.
    ///
    /// `run_id` must be a plain file name that no other run has.
    #[must_use]
    pub fn new(state_folder: &Path, run_id: &str) -> Self {
        debug_assert!(Path::new(run_id).components().count() == 1, "`{run_id}` isn't a file name");
        let runs = state_folder.join(RUNS);
        let path = runs.join(run_id);
        Self { runs, path, lock: None, saved: false }
    }

    /// Takes the folder of a saved run, which exists and is locked.
    pub(crate) fn saved(path: &Path, lock: Arc<File>) -> Self {
        Self { runs: PathBuf::new(), path: path.to_owned(), lock: Some(lock), saved: true }
    }

    pub(crate) fn is_saved(&self) -> bool {
        self.saved
    }

    /// Creates the folder at the first call, 0700 whatever the umask, and returns its path.
    pub(crate) fn create(&mut self) -> Result<&Path, StoreError> {
        if self.lock.is_none() {
            create_folders(&self.runs)?;
            let _no_sweep = lock_runs(&self.runs)?;
            create_private(&self.path)?;
            let path = self.path.join(LOCK);
            let lock = new_file(&path)?;
            match lock.try_lock() {
                Ok(()) => {}
                // On file systems without locks, sweeping can't lock folders either and leaves them alone.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(error) => return Err(StoreError::disk("lock", &path)(error.into())),
            }
            self.lock = Some(Arc::new(lock));
        }
        Ok(&self.path)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take().filter(|_| !self.saved) {
            // A folder that can't be removed now is swept later.
            let _swept_later = fs::remove_dir_all(&self.path);
            drop(lock);
        }
    }
}

/// Removes the working folders of dead runs and returns their number.
///
/// Called when a run starts. It creates nothing if no run has left a folder. Folders that can't be removed are left for
/// the next time.
///
/// # Errors
/// When the folder of all runs exists and can't be read or locked. A run can go on without sweeping.
pub fn sweep(state_folder: &Path) -> Result<usize, StoreError> {
    let runs = state_folder.join(RUNS);
    let entries = match fs::read_dir(&runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(StoreError::disk("read", &runs)(error)),
    };
    let folders: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    if folders.is_empty() {
        return Ok(0);
    }
    let _no_begin = lock_runs(&runs)?;
    Ok(folders.iter().filter(|folder| is_dead(folder) && fs::remove_dir_all(folder).is_ok()).count())
}

/// Returns true if no process holds the folder's lock. Called under the lock of all runs.
fn is_dead(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        // Released when `lock` is closed. No run waits for it, since each has a folder of its own.
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Locks the folder of all runs until the file is dropped.
pub(crate) fn lock_runs(runs: &Path) -> Result<File, StoreError> {
    let path = runs.join(RUNS_LOCK);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let lock = private(&mut options).open(&path).map_err(StoreError::disk("open", &path))?;
    match lock.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => {
            Err(StoreError::disk("lock", &path)(error))
        }
        _ => Ok(lock),
    }
}

/// Creates `path` and its missing parents, all private.
pub(crate) fn create_folders(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => return Err(StoreError::disk("create", path)(io::ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::disk("create", path)(error)),
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folders(parent)?;
    }
    match create_private(path) {
        // Another run was quicker.
        Err(StoreError::Disk { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Creates one folder, 0700. The mode is set twice: at creation for privacy, then since the umask may have cleared bits.
pub(crate) fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(StoreError::disk("create", path))?;
    set_mode(path, 0o700)
}

/// Creates one file, 0600, that didn't exist before.
pub(crate) fn new_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let file = private(&mut options).open(path).map_err(StoreError::disk("create", path))?;
    set_mode(path, 0o600)?;
    Ok(file)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg_attr(not(unix), expect(clippy::unnecessary_wraps, reason = "modes are Unix's"))]
fn set_mode(path: &Path, mode: u32) -> Result<(), StoreError> {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
        .map_err(StoreError::disk("set the mode of", path))?;
    #[cfg(not(unix))]
    let _only_on_unix = (path, mode);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(folder) else { return vec![] };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_created_on_first_use_and_goes_with_its_run() {
        let state = tempfile::tempdir().unwrap();
        let deep = state.path().join("a/b");
        let mut run = RunFolder::new(&deep, "r1");
        assert!(names(state.path()).is_empty());
        let path = run.create().unwrap().to_owned();
        assert_eq!(path, deep.join("runs/r1"));
        fs::write(path.join("segment"), "x").unwrap();
        assert_eq!(run.create().unwrap(), path);
        drop(run);
        assert_eq!(names(&deep.join(RUNS)), [RUNS_LOCK]);
    }

    #[cfg(unix)]
    #[test]
    fn folders_and_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let state = tempfile::tempdir().unwrap();
        let mut run = RunFolder::new(&state.path().join("state"), "r1");
        let path = run.create().unwrap().to_owned();
        new_file(&path.join("rows")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&state.path().join("state")), 0o700);
        assert_eq!(mode(&state.path().join("state/runs")), 0o700);
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(LOCK)), 0o600);
        assert_eq!(mode(&path.join("rows")), 0o600);
    }

    #[test]
    fn sweeping_removes_dead_runs_only() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(sweep(state.path()).unwrap(), 0);
        assert!(names(state.path()).is_empty(), "sweeping creates nothing");

        let mut live = RunFolder::new(state.path(), "live");
        live.create().unwrap();
        let runs = state.path().join(RUNS);
        // One run was killed, another was killed before it had a lock.
        fs::create_dir(runs.join("dead")).unwrap();
        fs::write(runs.join("dead/lock"), "").unwrap();
        fs::write(runs.join("dead/segment"), "x").unwrap();
        fs::create_dir(runs.join("unlocked")).unwrap();
        fs::write(runs.join("a foreign file"), "").unwrap();

        assert_eq!(sweep(state.path()).unwrap(), 2);
        assert_eq!(names(&runs), [RUNS_LOCK, "a foreign file", "live"]);
        assert_eq!(sweep(state.path()).unwrap(), 0);
        drop(live);
        assert_eq!(names(&runs), [RUNS_LOCK, "a foreign file"]);
    }

    #[test]
    fn a_state_folder_that_is_a_file_is_named_in_the_error() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("state");
        fs::write(&file, "").unwrap();
        let error = RunFolder::new(&file, "r1").create().map(Path::to_owned).unwrap_err();
        let StoreError::Disk { path, .. } = &error else { panic!("{error:?}") };
        assert!(path.starts_with(&file), "{error}");
        assert!(sweep(&file).is_err());
    }

    #[test]
    fn a_run_id_in_use_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let mut first = RunFolder::new(state.path(), "r1");
        first.create().unwrap();
        let mut second = RunFolder::new(state.path(), "r1");
        let error = second.create().map(Path::to_owned).unwrap_err();
        let StoreError::Disk { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::AlreadyExists);
        drop(second);
        assert!(first.path.exists(), "the second run doesn't own the folder");
    }
}
