//! Saved runs: runs with a name, whose folders `kept/<name>/` in the state folder stay however the run ends.
//!
//! A folder has a manifest, which is written once and holds the command and its selection, a journal
//! (`journal.rs`), and segments with the rows. A process that uses the folder holds the lock on its `lock` file;
//! `kept/.lock` is held while folders are created, opened or removed. So no run belongs to two processes, and a live run
//! is never removed. Only [`RunStore::remove`] removes a folder that has a manifest.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StoreError;
use crate::journal::{JOURNAL, JournalIndex};
use crate::run_folder::{LOCK, RunFolder, create_folders, create_private, lock_runs, new_file};
use crate::stored_cell::StoredCell;

const FOLDER: &str = "kept";
const MANIFEST: &str = "manifest.json";

/// The form of a saved run. A run in another form can't be resumed.
const FORM: u32 = 2;

/// The command of a saved run. It holds no credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the journal and of the rows.
    form: u32,
    /// The version of the program.
    pub version: String,
    /// The ID of the run in the ledger.
    pub run_id: String,
    /// The time of its begin.
    pub created: SystemTime,
    /// The command's name and arguments.
    pub command: Vec<String>,
    /// The resolved settings that decide which rows there are.
    pub selection: BTreeMap<String, String>,
}

impl Manifest {
    /// Makes the manifest of a new run.
    #[must_use]
    pub fn new(
        version: &str,
        run_id: &str,
        created: SystemTime,
        command: Vec<String>,
        selection: BTreeMap<String, String>,
    ) -> Self {
        Self {
            form: FORM,
            version: version.to_owned(),
            run_id: run_id.to_owned(),
            created,
            command,
            selection,
        }
    }

    /// Reads the manifest of a folder; none if no run has begun there.
    fn read(folder: &Path, name: &str) -> Result<Option<Self>, StoreError> {
        let path = folder.join(MANIFEST);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::disk("read", &path)(error)),
        };
        match (serde_json::from_slice::<Self>(&bytes), serde_json::from_slice::<Value>(&bytes)) {
            (Ok(manifest), _) if manifest.form == FORM => Ok(Some(manifest)),
            // The process was killed while it wrote the manifest, before anything else.
            (_, Err(_)) => Ok(None),
            (_, Ok(_)) => Err(StoreError::Foreign(name.to_owned())),
        }
    }
}

/// All saved runs.
#[derive(Clone, Debug)]
pub struct RunStore {
    folder: PathBuf,
}

/// A saved run that this process has locked, until this and the queue that it was passed to are dropped.
#[derive(Debug)]
pub struct StoredRun {
    name: String,
    path: PathBuf,
    lock: Arc<File>,
    /// Its command.
    pub manifest: Manifest,
    pub(crate) index: JournalIndex,
}

/// The state of a saved run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Its process is running.
    Alive,
    /// Everything planned was collected.
    Complete,
    /// It has ended with something missing.
    Stopped,
}

/// The state of a saved run in numbers.
#[derive(Debug)]
pub struct RunSummary {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: RunState,
    /// Its command; none if the run is in another version's form.
    pub manifest: Option<Manifest>,
    /// The time of its last record.
    pub active: SystemTime,
    /// Tasks that are planned so far.
    pub planned: usize,
    /// Tasks that are done.
    pub done: usize,
    /// Tasks that have ended with a gap.
    pub failed: usize,
    /// Its size on disk, in bytes.
    pub bytes: u64,
}

impl RunStore {
    /// Names the saved runs of a state folder, without creating anything.
    #[must_use]
    pub fn new(state_folder: &Path) -> Self {
        Self { folder: state_folder.join(FOLDER) }
    }

    /// Returns true if a run can have this name.
    ///
    /// A name has 1 to 100 ASCII letters, digits, `.`, `_` and `-`, and begins with neither `.` nor `-`.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=100).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['.', '-'])
    }

    fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        if Self::is_name(name) { Ok(self.folder.join(name)) } else { Err(StoreError::NoRun(name.to_owned())) }
    }

    /// Returns true if there is a run with this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_ok_and(|path| !matches!(Manifest::read(&path, name), Ok(None)))
    }

    /// Begins a run.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if there is a run with this name; when the folder can't be written.
    pub fn create(&self, name: &str, manifest: Manifest) -> Result<StoredRun, StoreError> {
        let path = self.path(name)?;
        create_folders(&self.folder)?;
        let _no_other = lock_runs(&self.folder)?;
        if path.exists() {
            match Manifest::read(&path, name) {
                // Left over from a process that was killed before its run had begun.
                Ok(None) => fs::remove_dir_all(&path).map_err(StoreError::disk("remove", &path))?,
                _ => return Err(StoreError::Taken(name.to_owned())),
            }
        }
        create_private(&path)?;
        new_file(&path.join(LOCK))?;
        let lock = lock(&path, name)?;
        let journal = path.join(JOURNAL);
        new_file(&journal)?;
        let text =
            serde_json::to_vec_pretty(&manifest).map_err(|error| StoreError::Record(error.to_string()))?;
        let manifest_path = path.join(MANIFEST);
        let mut file = new_file(&manifest_path)?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .map_err(StoreError::disk("write", &manifest_path))?;
        sync_folder(&path);
        sync_folder(&self.folder);
        let index = JournalIndex::read(&journal)?;
        Ok(StoredRun { name: name.to_owned(), path, lock, manifest, index })
    }

    /// Opens a run, to resume it.
    ///
    /// # Errors
    /// [`StoreError::NoRun`], [`StoreError::UnderWay`] in another process, [`StoreError::Foreign`] of another version.
    pub fn open(&self, name: &str) -> Result<StoredRun, StoreError> {
        let path = self.path(name)?;
        if !path.is_dir() {
            return Err(StoreError::NoRun(name.to_owned()));
        }
        let _no_other = lock_runs(&self.folder)?;
        let Some(manifest) = Manifest::read(&path, name)? else {
            return Err(StoreError::NoRun(name.to_owned()));
        };
        let lock = lock(&path, name)?;
        let index = JournalIndex::read(&path.join(JOURNAL))?;
        Ok(StoredRun { name: name.to_owned(), path, lock, manifest, index })
    }

    /// Lists all runs by name.
    ///
    /// # Errors
    /// When a folder can't be read. A run that is removed meanwhile is left out.
    pub fn list(&self) -> Result<Vec<RunSummary>, StoreError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::disk("read", &self.folder)(error)),
        };
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        let _no_begin = lock_runs(&self.folder)?;
        let mut runs = Vec::new();
        for name in names.iter().filter(|name| Self::is_name(name)) {
            runs.extend(self.summary(name)?);
        }
        Ok(runs)
    }

    /// Returns the name of the run with the last record.
    pub fn last(&self) -> Result<Option<String>, StoreError> {
        let runs = self.list()?;
        Ok(runs.into_iter().max_by_key(|run| run.active).map(|run| run.name))
    }

    fn summary(&self, name: &str) -> Result<Option<RunSummary>, StoreError> {
        let path = self.folder.join(name);
        let manifest = match Manifest::read(&path, name) {
            Ok(None) => return Ok(None),
            Ok(manifest) => manifest,
            Err(StoreError::Foreign(_)) => None,
            Err(error) => return Err(error),
        };
        let journal = path.join(JOURNAL);
        // This version can't read a journal in another form.
        let index = manifest.as_ref().map(|_| JournalIndex::read(&journal)).transpose()?;
        let (done, failed) = index.as_ref().map_or((0, 0), JournalIndex::counts);
        let state = match (lock(&path, name), &index) {
            (Err(StoreError::UnderWay(_)), _) => RunState::Alive,
            (_, Some(index)) if index.is_complete() => RunState::Complete,
            _ => RunState::Stopped,
        };
        let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
        let active = match &index {
            Some(index) => index.changed(),
            None => changed(&path),
        };
        Ok(Some(RunSummary {
            name: name.to_owned(),
            state,
            active: active.map_err(StoreError::disk("read", &journal))?,
            planned: index.map_or(0, |index| index.planned).max(done + failed),
            done,
            failed,
            bytes: size_of(&path),
            manifest,
        }))
    }

    /// Returns the cells of a run's tasks, in the order of their ends. The run may be under way.
    ///
    /// # Errors
    /// [`StoreError::NoRun`]; when the journal can't be read.
    pub fn cells(&self, name: &str) -> Result<Vec<StoredCell>, StoreError> {
        let path = self.path(name)?;
        if Manifest::read(&path, name)?.is_none() {
            return Err(StoreError::NoRun(name.to_owned()));
        }
        Ok(JournalIndex::read(&path.join(JOURNAL))?.cells(false).into_iter().flatten().collect())
    }

    /// Removes a run with its rows.
    ///
    /// # Errors
    /// [`StoreError::NoRun`], [`StoreError::UnderWay`]; when the folder can't be removed.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name)?;
        if !path.is_dir() {
            return Err(StoreError::NoRun(name.to_owned()));
        }
        let _no_begin = lock_runs(&self.folder)?;
        let held = lock(&path, name)?;
        remove(&path)?;
        drop(held);
        Ok(())
    }
}

impl StoredRun {
    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn folder(&self) -> RunFolder {
        RunFolder::saved(&self.path, Arc::clone(&self.lock))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// Removes the run, if it has begun nothing yet.
    ///
    /// # Errors
    /// When the folder can't be removed.
    pub fn discard(self) -> Result<(), StoreError> {
        remove(&self.path)
    }
}

/// Removes a folder, the manifest first: a folder without manifest isn't a run, should the rest fail.
fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path.join(MANIFEST)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::disk("remove", &path.join(MANIFEST))(error));
        }
        _ => {}
    }
    fs::remove_dir_all(path).map_err(StoreError::disk("remove", path))
}

/// Takes the lock of a run's folder. Called under the lock of all runs.
fn lock(path: &Path, name: &str) -> Result<Arc<File>, StoreError> {
    let path = path.join(LOCK);
    let lock = OpenOptions::new().write(true).open(&path).map_err(StoreError::disk("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(Arc::new(lock)),
        Err(TryLockError::WouldBlock) => Err(StoreError::UnderWay(name.to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::disk("lock", &path)(error)),
    }
}

/// Syncs a folder's entries to the disk, on systems that can.
fn sync_folder(path: &Path) {
    #[cfg(unix)]
    let _best_effort = File::open(path).and_then(|folder| folder.sync_all());
    #[cfg(not(unix))]
    let _only_on_unix = path;
}

/// Returns the size of a folder's files, in bytes.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::journal::{JournalWriter, Record, RowLocations};
    use crate::run_folder::sweep;

    fn manifest() -> Manifest {
        let words = ["buckets", "--all-profiles"].map(str::to_owned).to_vec();
        let selection = BTreeMap::from([("region".to_owned(), "eu-west-1".to_owned())]);
        Manifest::new("1.2.3", "id", UNIX_EPOCH + Duration::from_nanos(1), words, selection)
    }

    fn runs() -> (tempfile::TempDir, RunStore) {
        let state = tempfile::tempdir().unwrap();
        let runs = RunStore::new(&state.path().join("deep/state"));
        (state, runs)
    }

    #[test]
    fn names_are_plain_file_names() {
        for name in ["a", "nightly-2026.01_02", &"x".repeat(100), "A..b"] {
            assert!(RunStore::is_name(name), "{name}");
        }
        for name in ["", ".", "..", ".lock", "-x", "a/b", "a\\b", "a b", "ü", "a\n", &"x".repeat(101)] {
            assert!(!RunStore::is_name(name), "{name}");
        }
    }

    #[test]
    fn a_run_begins_once_and_belongs_to_one_process() {
        let (_state, runs) = runs();
        assert!(runs.list().unwrap().is_empty());
        assert!(matches!(runs.open("r"), Err(StoreError::NoRun(_))));
        assert!(!runs.folder.exists(), "looking creates nothing");
        let run = runs.create("r", manifest()).unwrap();
        assert!(runs.has("r") && !runs.has("s"));
        assert!(matches!(runs.create("r", manifest()), Err(StoreError::Taken(_))));
        assert!(matches!(runs.open("r"), Err(StoreError::UnderWay(_))));
        assert!(matches!(runs.remove("r"), Err(StoreError::UnderWay(_))));
        assert_eq!(runs.list().unwrap()[0].state, RunState::Alive);
        // The folder holds the lock, too.
        let folder = run.folder();
        drop(run);
        assert!(matches!(runs.open("r"), Err(StoreError::UnderWay(_))));
        drop(folder);
        assert_eq!(runs.list().unwrap()[0].state, RunState::Stopped);
        assert_eq!(runs.open("r").unwrap().manifest, manifest());
        assert!(matches!(runs.create("r", manifest()), Err(StoreError::Taken(_))), "dead or alive");
        runs.remove("r").unwrap();
        assert!(matches!(runs.remove("r"), Err(StoreError::NoRun(_))));
        assert!(runs.list().unwrap().is_empty());
        runs.create("r", manifest()).unwrap().discard().unwrap();
        assert!(!runs.has("r"));
    }

    #[test]
    fn a_run_killed_before_its_begin_is_no_run() {
        let (_state, runs) = runs();
        drop(runs.create("r", manifest()).unwrap());
        let file = runs.folder.join("r").join(MANIFEST);
        let text = fs::read(&file).unwrap();
        for cut in [0, 1, text.len() - 1] {
            fs::write(&file, &text[..cut]).unwrap();
            assert!(!runs.has("r") && runs.list().unwrap().is_empty());
            assert!(matches!(runs.open("r"), Err(StoreError::NoRun(_))));
        }
        drop(runs.create("r", manifest()).unwrap());
        fs::remove_file(&file).unwrap();
        drop(runs.create("r", manifest()).unwrap());
        assert!(runs.has("r"));
    }

    #[test]
    fn a_run_in_another_form_can_only_be_listed_and_removed() {
        let (_state, runs) = runs();
        drop(runs.create("r", manifest()).unwrap());
        let file = runs.folder.join("r").join(MANIFEST);
        for text in
            [r#"{"form": 1}"#, &fs::read_to_string(&file).unwrap().replace("\"form\": 2", "\"form\": 1")]
        {
            fs::write(&file, text).unwrap();
            assert!(matches!(runs.open("r"), Err(StoreError::Foreign(_))));
            assert!(matches!(runs.create("r", manifest()), Err(StoreError::Taken(_))));
            assert!(runs.list().unwrap()[0].manifest.is_none());
        }
        runs.remove("r").unwrap();
        assert!(!runs.has("r"));
    }

    #[test]
    fn a_summary_counts_the_records_of_the_journal() {
        let (_state, runs) = runs();
        let run = runs.create("r", manifest()).unwrap();
        let task = |key: &str, done| {
            let (cells, rows) = (Vec::new(), RowLocations::default());
            Record::Task { key: key.to_owned(), at: UNIX_EPOCH, done, cells, rows }
        };
        let mut writer = JournalWriter::open(&run.journal(), 0).unwrap();
        writer
            .append(&[Record::Begin { tasks: 3 }, task("a", false), task("b", true), task("a", true)])
            .unwrap();
        let summary = |name: &str| runs.list().unwrap().into_iter().find(|run| run.name == name).unwrap();
        let found = summary("r");
        assert_eq!((found.planned, found.done, found.failed, found.state), (3, 2, 0, RunState::Alive));
        assert!(found.bytes > 100);
        drop(run);
        writer.append(&[Record::Complete { entries: Vec::new() }]).unwrap();
        assert_eq!(summary("r").state, RunState::Complete);
    }

    #[test]
    fn sweeping_leaves_saved_runs_alone() {
        let (state, runs) = runs();
        let folder = state.path().join("deep/state");
        drop(runs.create("r", manifest()).unwrap());
        assert_eq!(sweep(&folder).unwrap(), 0);
        assert!(runs.has("r"));
    }

    #[cfg(unix)]
    #[test]
    fn folders_and_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let (state, runs) = runs();
        let run = runs.create("r", manifest()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        for folder in [&state.path().join("deep/state"), &runs.folder, run.path()] {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
        for entry in fs::read_dir(run.path()).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }
}
