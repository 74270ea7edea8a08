//! A run's working folder, `runs/<run-id>/` in the state folder: made when it is first needed, gone when the run ends.
//! Those of named runs lie elsewhere and stay: [`crate::kept`].
//!
//! A run that was killed leaves its folder behind. Which folders are dead, only the kernel knows: a live run holds a
//! lock on its `lock` file, which ends with the process however that ends. No age and no process ID is asked, so a run
//! that was suspended for a week is safe, and so is one in another container. `runs/.lock` is held while folders are
//! made or swept: nobody sees a folder that has no lock yet.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::StoreError;

const RUNS: &str = "runs";
pub(crate) const LOCK: &str = "lock";
const RUNS_LOCK: &str = ".lock";

/// The working folder of one run. Making this touches nothing; dropping it removes the folder, where there is one and it
/// isn't kept.
#[derive(Debug)]
pub struct RunFolder {
    runs: PathBuf,
    path: PathBuf,
    /// Held while the folder exists.
    lock: Option<Arc<File>>,
    kept: bool,
}

impl RunFolder {
    /// The folder `runs/<run_id>/` in `state_folder`, not made yet. `run_id` must be a plain file name that no other run
    /// has.
    #[must_use]
    pub fn new(state_folder: &Path, run_id: &str) -> Self {
        debug_assert!(Path::new(run_id).components().count() == 1, "`{run_id}` is no file name");
        let runs = state_folder.join(RUNS);
        let path = runs.join(run_id);
        Self { runs, path, lock: None, kept: false }
    }

    /// The folder of a kept run, which is there and locked.
    pub(crate) fn kept(path: &Path, lock: Arc<File>) -> Self {
        Self { runs: PathBuf::new(), path: path.to_owned(), lock: Some(lock), kept: true }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept
    }

    /// The folder's path, 0700 whatever the umask; made at the first call.
    pub(crate) fn made(&mut self) -> Result<&Path, StoreError> {
        if self.lock.is_none() {
            make_folders(&self.runs)?;
            let _nobody_sweeps = lock_runs(&self.runs)?;
            make_private(&self.path)?;
            let path = self.path.join(LOCK);
            let lock = new_file(&path)?;
            match lock.try_lock() {
                Ok(()) => {}
                // Where there are no locks, sweeping leaves alone what it can't lock either.
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
        if let Some(lock) = self.lock.take().filter(|_| !self.kept) {
            // What can't be removed now is swept at a later start.
            let _swept_later = fs::remove_dir_all(&self.path);
            drop(lock);
        }
    }
}

/// Removes the working folders of runs that are dead, and says how many. To be called when a run starts; where no run
/// has left anything it makes nothing. A folder that can't be removed is left for the next time.
///
/// # Errors
/// When the folder of all runs exists and can't be read or locked. No run need fail for it.
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
    let _nobody_begins = lock_runs(&runs)?;
    Ok(folders.iter().filter(|folder| is_dead(folder) && fs::remove_dir_all(folder).is_ok()).count())
}

/// Whether nobody holds the folder's lock. Only to be asked under the lock of all runs.
fn is_dead(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        // Freed again when `lock` is closed; nobody else wants it, since each run has a folder of its own.
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

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

/// Makes `path` and what is missing above it, all private.
pub(crate) fn make_folders(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => return Err(StoreError::disk("create", path)(io::ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::disk("create", path)(error)),
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folders(parent)?;
    }
    match make_private(path) {
        // Another run was quicker.
        Err(StoreError::Disk { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Makes one folder, 0700. The mode is set twice: at first so that nobody can look in, then since a umask may have
/// taken bits away.
pub(crate) fn make_private(path: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(StoreError::disk("create", path))?;
    set_mode(path, 0o700)
}

/// Makes one file, 0600, that wasn't there before.
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
    fn a_folder_is_made_when_asked_for_and_goes_with_its_run() {
        let state = tempfile::tempdir().unwrap();
        let deep = state.path().join("a/b");
        let mut run = RunFolder::new(&deep, "r1");
        assert!(names(state.path()).is_empty());
        let path = run.made().unwrap().to_owned();
        assert_eq!(path, deep.join("runs/r1"));
        fs::write(path.join("segment"), "x").unwrap();
        assert_eq!(run.made().unwrap(), path);
        drop(run);
        assert_eq!(names(&deep.join(RUNS)), [RUNS_LOCK]);
    }

    #[cfg(unix)]
    #[test]
    fn all_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let state = tempfile::tempdir().unwrap();
        let mut run = RunFolder::new(&state.path().join("state"), "r1");
        let path = run.made().unwrap().to_owned();
        new_file(&path.join("rows")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&state.path().join("state")), 0o700);
        assert_eq!(mode(&state.path().join("state/runs")), 0o700);
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(LOCK)), 0o600);
        assert_eq!(mode(&path.join("rows")), 0o600);
    }

    #[test]
    fn sweeping_takes_the_dead_and_leaves_the_living() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(sweep(state.path()).unwrap(), 0);
        assert!(names(state.path()).is_empty(), "sweeping makes nothing");

        let mut live = RunFolder::new(state.path(), "live");
        live.made().unwrap();
        let runs = state.path().join(RUNS);
        // A run that was killed: its file is there, nobody holds it. One that was killed before it had a lock.
        fs::create_dir(runs.join("dead")).unwrap();
        fs::write(runs.join("dead/lock"), "").unwrap();
        fs::write(runs.join("dead/segment"), "x").unwrap();
        fs::create_dir(runs.join("unlocked")).unwrap();
        fs::write(runs.join("a file of somebody else"), "").unwrap();

        assert_eq!(sweep(state.path()).unwrap(), 2);
        assert_eq!(names(&runs), [RUNS_LOCK, "a file of somebody else", "live"]);
        assert_eq!(sweep(state.path()).unwrap(), 0);
        drop(live);
        assert_eq!(names(&runs), [RUNS_LOCK, "a file of somebody else"]);
    }

    #[test]
    fn a_state_folder_that_is_a_file_is_an_error_that_names_it() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("state");
        fs::write(&file, "").unwrap();
        let error = RunFolder::new(&file, "r1").made().map(Path::to_owned).unwrap_err();
        let StoreError::Disk { path, .. } = &error else { panic!("{error:?}") };
        assert!(path.starts_with(&file), "{error}");
        assert!(sweep(&file).is_err());
    }

    #[test]
    fn the_same_run_id_twice_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let mut first = RunFolder::new(state.path(), "r1");
        first.made().unwrap();
        let mut second = RunFolder::new(state.path(), "r1");
        let error = second.made().map(Path::to_owned).unwrap_err();
        let StoreError::Disk { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::AlreadyExists);
        drop(second);
        assert!(first.path.exists(), "it isn't the second one's to remove");
    }
}
