//! Runs with a name: their folders, `kept/<name>/` in the state folder, stay when the run ends, however it ends.
//!
//! A folder has a manifest, which says what was asked for and is written once, a journal (`journal.rs`) of what has
//! been done, and the segments with the rows. Whoever works in it holds the lock on its `lock` file; `kept/.lock` is held
//! while folders are made, opened or removed. So two processes never have one run, and a living one is never removed.
//! Nothing but [`KeptRuns::remove`] removes a folder that has a manifest.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cell::StoredCell;
use crate::error::StoreError;
use crate::journal::{JOURNAL, Memory};
use crate::run::{LOCK, RunFolder, lock_runs, make_folders, make_private, new_file};

const KEPT: &str = "kept";
const MANIFEST: &str = "manifest.json";

/// The form of a saved run. A run in another form can't be resumed.
const FORM: u32 = 2;

/// What a run was asked for. It holds no credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the journal and of the rows.
    form: u32,
    /// The version of the program.
    pub version: String,
    /// Names the run in every row of the ledger.
    pub run_id: String,
    /// When it was begun.
    pub created: SystemTime,
    /// The command's name, and its arguments, one word each.
    pub command: Vec<String>,
    /// What decides which rows there are, as it was resolved from arguments, variables and settings.
    pub selection: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest of a run that begins.
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

    /// What stands in a folder; none where nothing has begun there.
    fn read(folder: &Path, name: &str) -> Result<Option<Self>, StoreError> {
        let path = folder.join(MANIFEST);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::disk("read", &path)(error)),
        };
        match (serde_json::from_slice::<Self>(&bytes), serde_json::from_slice::<Value>(&bytes)) {
            (Ok(manifest), _) if manifest.form == FORM => Ok(Some(manifest)),
            // Killed while it was written, before anything else was.
            (_, Err(_)) => Ok(None),
            (_, Ok(_)) => Err(StoreError::Foreign(name.to_owned())),
        }
    }
}

/// All kept runs.
#[derive(Clone, Debug)]
pub struct KeptRuns {
    folder: PathBuf,
}

/// A kept run that is ours: nobody else has it until this, and whoever it was handed to, is dropped.
#[derive(Debug)]
pub struct KeptRun {
    name: String,
    path: PathBuf,
    lock: Arc<File>,
    /// What it was asked for.
    pub manifest: Manifest,
    pub(crate) memory: Memory,
}

/// How a kept run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Its process lives.
    Alive,
    /// All that was planned has been collected.
    Complete,
    /// It has ended, and something is missing.
    Stopped,
}

/// What is to be said about a kept run.
#[derive(Debug)]
pub struct RunSummary {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: RunState,
    /// What it was asked for; none where another version keeps it in another form.
    pub manifest: Option<Manifest>,
    /// When it did something last.
    pub active: SystemTime,
    /// Tasks that are planned, as far as that is known.
    pub planned: usize,
    /// Tasks that have been done.
    pub done: usize,
    /// Tasks that have ended without an answer.
    pub failed: usize,
    /// What it takes of the disk, in bytes.
    pub bytes: u64,
}

impl KeptRuns {
    /// The runs that are kept in a state folder. Touches nothing.
    #[must_use]
    pub fn new(state_folder: &Path) -> Self {
        Self { folder: state_folder.join(KEPT) }
    }

    /// Whether a text is a name for a run: letters, digits, `.`, `_` and `-` of ASCII, no dot in front, 100 at most.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=100).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['.', '-'])
    }

    fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        if Self::is_name(name) { Ok(self.folder.join(name)) } else { Err(StoreError::NoRun(name.to_owned())) }
    }

    /// Whether there is a run of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_ok_and(|path| !matches!(Manifest::read(&path, name), Ok(None)))
    }

    /// Begins a run.
    ///
    /// # Errors
    /// Where there is one of this name, or the disk says no.
    pub fn create(&self, name: &str, manifest: Manifest) -> Result<KeptRun, StoreError> {
        let path = self.path(name)?;
        make_folders(&self.folder)?;
        let _nobody_else = lock_runs(&self.folder)?;
        if path.exists() {
            match Manifest::read(&path, name) {
                // What was killed before it had begun.
                Ok(None) => fs::remove_dir_all(&path).map_err(StoreError::disk("remove", &path))?,
                _ => return Err(StoreError::Taken(name.to_owned())),
            }
        }
        make_private(&path)?;
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
        let memory = Memory::read(&journal)?;
        Ok(KeptRun { name: name.to_owned(), path, lock, manifest, memory })
    }

    /// Opens a run, to go on with it.
    ///
    /// # Errors
    /// Where there is none of this name, where somebody else has it, and where it is another version's.
    pub fn open(&self, name: &str) -> Result<KeptRun, StoreError> {
        let path = self.path(name)?;
        if !path.is_dir() {
            return Err(StoreError::NoRun(name.to_owned()));
        }
        let _nobody_else = lock_runs(&self.folder)?;
        let Some(manifest) = Manifest::read(&path, name)? else {
            return Err(StoreError::NoRun(name.to_owned()));
        };
        let lock = lock(&path, name)?;
        let memory = Memory::read(&path.join(JOURNAL))?;
        Ok(KeptRun { name: name.to_owned(), path, lock, manifest, memory })
    }

    /// All runs, by name.
    ///
    /// # Errors
    /// When the disk says no. A run that is removed meanwhile is left out.
    pub fn list(&self) -> Result<Vec<RunSummary>, StoreError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::disk("read", &self.folder)(error)),
        };
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        let _nobody_begins = lock_runs(&self.folder)?;
        let mut runs = Vec::new();
        for name in names.iter().filter(|name| Self::is_name(name)) {
            runs.extend(self.summary(name)?);
        }
        Ok(runs)
    }

    /// The run that did something last.
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
        // What another version keeps isn't for this one to read.
        let memory = manifest.as_ref().map(|_| Memory::read(&journal)).transpose()?;
        let (done, failed) = memory.as_ref().map_or((0, 0), Memory::counts);
        let state = match (lock(&path, name), &memory) {
            (Err(StoreError::UnderWay(_)), _) => RunState::Alive,
            (_, Some(memory)) if memory.is_complete() => RunState::Complete,
            _ => RunState::Stopped,
        };
        let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
        let active = match &memory {
            Some(memory) => memory.changed(),
            None => changed(&path),
        };
        Ok(Some(RunSummary {
            name: name.to_owned(),
            state,
            active: active.map_err(StoreError::disk("read", &journal))?,
            planned: memory.map_or(0, |memory| memory.planned).max(done + failed),
            done,
            failed,
            bytes: size_of(&path),
            manifest,
        }))
    }

    /// What each task of a run ended with, in the order in which they did. The run may be under way.
    ///
    /// # Errors
    /// Where there is no run of this name, or it can't be read.
    pub fn cells(&self, name: &str) -> Result<Vec<StoredCell>, StoreError> {
        let path = self.path(name)?;
        if Manifest::read(&path, name)?.is_none() {
            return Err(StoreError::NoRun(name.to_owned()));
        }
        Ok(Memory::read(&path.join(JOURNAL))?.cells(false).into_iter().flatten().collect())
    }

    /// Removes a run and all that it has collected.
    ///
    /// # Errors
    /// Where there is none of this name, or it is under way; when the disk says no.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name)?;
        if !path.is_dir() {
            return Err(StoreError::NoRun(name.to_owned()));
        }
        let _nobody_begins = lock_runs(&self.folder)?;
        let held = lock(&path, name)?;
        remove(&path)?;
        drop(held);
        Ok(())
    }
}

impl KeptRun {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn folder(&self) -> RunFolder {
        RunFolder::kept(&self.path, Arc::clone(&self.lock))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// Removes it: it has begun nothing.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn discard(self) -> Result<(), StoreError> {
        remove(&self.path)
    }
}

/// The manifest goes first: what is left, should that end on the way, is no run.
fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path.join(MANIFEST)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::disk("remove", &path.join(MANIFEST))(error));
        }
        _ => {}
    }
    fs::remove_dir_all(path).map_err(StoreError::disk("remove", path))
}

/// Takes the lock of a run's folder. Only to be asked under the lock of all runs.
fn lock(path: &Path, name: &str) -> Result<Arc<File>, StoreError> {
    let path = path.join(LOCK);
    let lock = OpenOptions::new().write(true).open(&path).map_err(StoreError::disk("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(Arc::new(lock)),
        Err(TryLockError::WouldBlock) => Err(StoreError::UnderWay(name.to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::disk("lock", &path)(error)),
    }
}

/// Sees to it that a folder's entries outlive a power cut, where that can be asked for.
fn sync_folder(path: &Path) {
    #[cfg(unix)]
    let _as_well_as_can_be = File::open(path).and_then(|folder| folder.sync_all());
    #[cfg(not(unix))]
    let _only_on_unix = path;
}

/// What the files of a folder take, in bytes.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::journal::{Record, StoredRows, Writer};
    use crate::run::sweep;

    fn manifest() -> Manifest {
        let words = ["buckets", "--all-profiles"].map(str::to_owned).to_vec();
        let selection = BTreeMap::from([("region".to_owned(), "eu-west-1".to_owned())]);
        Manifest::new("1.2.3", "id", UNIX_EPOCH + Duration::from_nanos(1), words, selection)
    }

    fn runs() -> (tempfile::TempDir, KeptRuns) {
        let state = tempfile::tempdir().unwrap();
        let runs = KeptRuns::new(&state.path().join("deep/state"));
        (state, runs)
    }

    #[test]
    fn names_are_plain_file_names() {
        for name in ["a", "nightly-2026.01_02", &"x".repeat(100), "A..b"] {
            assert!(KeptRuns::is_name(name), "{name}");
        }
        for name in ["", ".", "..", ".lock", "-x", "a/b", "a\\b", "a b", "ü", "a\n", &"x".repeat(101)] {
            assert!(!KeptRuns::is_name(name), "{name}");
        }
    }

    #[test]
    fn a_run_is_begun_once_and_belongs_to_one_process() {
        let (_state, runs) = runs();
        assert!(runs.list().unwrap().is_empty());
        assert!(matches!(runs.open("r"), Err(StoreError::NoRun(_))));
        assert!(!runs.folder.exists(), "looking makes nothing");
        let run = runs.create("r", manifest()).unwrap();
        assert!(runs.has("r") && !runs.has("s"));
        assert!(matches!(runs.create("r", manifest()), Err(StoreError::Taken(_))));
        assert!(matches!(runs.open("r"), Err(StoreError::UnderWay(_))));
        assert!(matches!(runs.remove("r"), Err(StoreError::UnderWay(_))));
        assert_eq!(runs.list().unwrap()[0].state, RunState::Alive);
        // Whoever it was handed to has it, too.
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
    fn what_was_killed_before_it_began_is_no_run() {
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
    fn another_version_s_run_is_listed_and_can_be_removed_and_nothing_else() {
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
    fn a_summary_counts_what_the_journal_has() {
        let (_state, runs) = runs();
        let run = runs.create("r", manifest()).unwrap();
        let task = |key: &str, done| {
            let (cells, rows) = (Vec::new(), StoredRows::default());
            Record::Task { key: key.to_owned(), at: UNIX_EPOCH, done, cells, rows }
        };
        let mut writer = Writer::open(&run.journal(), 0).unwrap();
        writer
            .append(&[Record::Begin { tasks: 3 }, task("a", false), task("b", true), task("a", true)])
            .unwrap();
        let summary = |name: &str| runs.list().unwrap().into_iter().find(|run| run.name == name).unwrap();
        let found = summary("r");
        assert_eq!((found.planned, found.done, found.failed, found.state), (3, 2, 0, RunState::Alive));
        assert!(found.bytes > 100);
        drop(run);
        writer.append(&[Record::Complete { lines: Vec::new() }]).unwrap();
        assert_eq!(summary("r").state, RunState::Complete);
    }

    #[test]
    fn sweeping_leaves_kept_runs_alone() {
        let (state, runs) = runs();
        let folder = state.path().join("deep/state");
        drop(runs.create("r", manifest()).unwrap());
        assert_eq!(sweep(&folder).unwrap(), 0);
        assert!(runs.has("r"));
    }

    #[cfg(unix)]
    #[test]
    fn all_is_private() {
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
