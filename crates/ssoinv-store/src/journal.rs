//! The journal of a saved run: records of what the run has done, in a file that is only appended to.
//!
//! A record is a line: eight hexadecimal digits, which are the CRC-32 of the rest, a space, and JSON. A record that was
//! being written when the process was killed, or when the power failed, has no valid sum. It ends the valid part of the
//! file; the next run cuts the rest off. The record of a finished task names the places of its rows, which have sums of
//! their own: record and rows must both be valid.
//!
//! [`JournalIndex`] reads all records once and remembers the position of each task's last record. [`crate::recorder`]
//! appends through [`JournalWriter`].

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::segment::SortedRunLocation;
use crate::stored_cell::StoredCell;

/// The name of the journal in the run's folder.
pub(crate) const JOURNAL: &str = "journal";

/// Length of the sum and the space behind it.
const PREFIX: usize = 9;

/// A record of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// A process has made its plan.
    Begin {
        /// Tasks that are known by then.
        tasks: usize,
    },
    /// The tasks of an account are known.
    Survey {
        visit: String,
        at: SystemTime,
        tasks: usize,
        /// Facts that a resumed run need not fetch again.
        found: Option<String>,
    },
    /// A task has ended.
    Task {
        key: String,
        at: SystemTime,
        /// True if a resumed run need not repeat the task.
        done: bool,
        cells: Vec<StoredCell>,
        rows: RowLocations,
    },
    /// The run is complete. Each entry of the plan, in order.
    Complete {
        #[serde(rename = "lines")]
        entries: Vec<EntryRecord>,
    },
}

/// An entry of a complete run's plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntryRecord {
    /// A task, by the position of its record.
    Task(RecordPosition),
    /// An entry that needed no call.
    Settled(Vec<StoredCell>),
}

/// Offset and length of a record in the file, in bytes.
pub(crate) type RecordPosition = (u64, usize);

/// The places of a task's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowLocations {
    /// Oldest first.
    pub(crate) runs: Vec<SortedRunLocation>,
    /// Rows that were left out since their keys had come before.
    pub(crate) duplicates: u64,
}

/// The part of a record that the index needs: all but the cells, which are most of its length.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecordHeader {
    Begin { tasks: usize },
    Survey { visit: String, at: SystemTime, tasks: usize, found: Option<String> },
    Task { key: String, at: SystemTime, done: bool },
    Complete {},
}

fn line_of(record: &Record) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_vec(record).map_err(|error| StoreError::Record(error.to_string()))?;
    let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

/// Returns the JSON of a line, if the line is complete and its sum is right.
fn json_of(line: &[u8]) -> Option<&[u8]> {
    let json = line.strip_suffix(b"\n")?.get(PREFIX..)?;
    let sum = format!("{:08x} ", crc32fast::hash(json));
    line.starts_with(sum.as_bytes()).then_some(json)
}

/// Appends records to a journal.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    file: File,
    path: PathBuf,
    length: u64,
}

impl JournalWriter {
    /// Opens the journal and cuts it off at `valid` bytes.
    pub(crate) fn open(path: &Path, valid: u64) -> Result<Self, StoreError> {
        let mut file = OpenOptions::new().write(true).open(path).map_err(StoreError::disk("open", path))?;
        file.set_len(valid)
            .and_then(|()| file.seek(SeekFrom::Start(valid)))
            .map_err(StoreError::disk("write", path))?;
        Ok(Self { file, path: path.to_owned(), length: valid })
    }

    /// Writes records in one go and returns their positions.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<Vec<RecordPosition>, StoreError> {
        let mut bytes = Vec::new();
        let mut positions = Vec::with_capacity(records.len());
        for record in records {
            let line = line_of(record)?;
            positions.push((self.length + bytes.len() as u64, line.len()));
            bytes.extend(line);
        }
        self.file.write_all(&bytes).map_err(StoreError::disk("write", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(positions)
    }

    /// Syncs the file to the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::disk("write", &self.path))
    }
}

/// The last record of a task.
#[derive(Debug)]
struct TaskEntry {
    position: RecordPosition,
    at: SystemTime,
    done: bool,
    /// True if this process has planned the task again.
    planned: AtomicBool,
}

/// The contents of a journal in short. The records stay on disk.
#[derive(Debug)]
pub(crate) struct JournalIndex {
    file: Mutex<File>,
    /// The length of the valid part, in bytes.
    pub(crate) valid: u64,
    tasks: HashMap<String, TaskEntry>,
    surveys: HashMap<String, (SystemTime, String)>,
    /// The record that completes the run, if no process began after it.
    complete: Option<RecordPosition>,
    /// The most tasks that a process has planned.
    pub(crate) planned: usize,
}

impl JournalIndex {
    /// Reads a journal up to its last valid record.
    pub(crate) fn read(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::disk("open", path))?;
        let mut reader = BufReader::new(&file);
        let (mut tasks, mut surveys) = (HashMap::new(), HashMap::new());
        let (mut valid, mut complete, mut planned, mut most) = (0, None, 0, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line).map_err(StoreError::disk("read", path))?;
            let Some(record) = json_of(&line).and_then(|json| serde_json::from_slice(json).ok()) else {
                break;
            };
            let position = (valid, line.len());
            valid += line.len() as u64;
            match record {
                RecordHeader::Begin { tasks } => (planned, complete) = (tasks, None),
                RecordHeader::Survey { visit, at, tasks, found } => {
                    planned += tasks;
                    surveys.extend(found.map(|found| (visit, (at, found))));
                }
                RecordHeader::Task { key, at, done } => {
                    let planned = AtomicBool::new(false);
                    tasks.insert(key, TaskEntry { position, at, done, planned });
                }
                RecordHeader::Complete {} => complete = Some(position),
            }
            most = most.max(planned);
        }
        Ok(Self { file: Mutex::new(file), valid, tasks, surveys, complete, planned: most })
    }

    /// Returns true if the run is complete, at whatever age.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.is_some()
    }

    /// Counts the tasks that are done, and the other tasks that have ended.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let done = self.tasks.values().filter(|task| task.done).count();
        (done, self.tasks.len() - done)
    }

    /// Returns the facts about an account that were recorded last, if they are young enough.
    pub(crate) fn survey(&self, visit: &str, oldest: Option<SystemTime>) -> Option<&str> {
        let (at, found) = self.surveys.get(visit)?;
        is_fresh(*at, oldest).then_some(found)
    }

    /// Returns the record of a task that is done, if it is young enough, and marks the task as planned.
    pub(crate) fn task(
        &self,
        key: &str,
        oldest: Option<SystemTime>,
    ) -> Option<(RecordPosition, Vec<StoredCell>, RowLocations)> {
        let task = self.tasks.get(key)?;
        task.planned.store(true, Ordering::Relaxed);
        if !task.done || !is_fresh(task.at, oldest) {
            return None;
        }
        match self.record(task.position)? {
            Record::Task { cells, rows, .. } => Some((task.position, cells, rows)),
            _ => None,
        }
    }

    /// Returns the plan of a complete run, if no task is too old.
    pub(crate) fn entries(&self, oldest: Option<SystemTime>) -> Option<Vec<EntryRecord>> {
        if self.tasks.values().any(|task| task.done && !is_fresh(task.at, oldest)) {
            return None;
        }
        match self.record(self.complete?)? {
            Record::Complete { entries } => Some(entries),
            _ => None,
        }
    }

    /// Returns the cells of the tasks that have ended, in the order of their ends.
    ///
    /// With `unplanned`, only tasks that this process hasn't planned again.
    pub(crate) fn cells(&self, unplanned: bool) -> Vec<Vec<StoredCell>> {
        let tasks = self.tasks.values().filter(|task| !unplanned || !task.planned.load(Ordering::Relaxed));
        let mut positions: Vec<RecordPosition> = tasks.map(|task| task.position).collect();
        positions.sort_unstable();
        let cells = |position| match self.record(position) {
            Some(Record::Task { cells, .. }) => Some(cells),
            _ => None,
        };
        positions.into_iter().filter_map(cells).collect()
    }

    /// Reads a record; none if it has changed since the index was made.
    pub(crate) fn record(&self, (offset, length): RecordPosition) -> Option<Record> {
        let mut line = vec![0; length];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut line));
        drop(file);
        match read {
            Ok(()) => serde_json::from_slice(json_of(&line)?).ok(),
            Err(_) => None,
        }
    }

    /// Returns the time of the file's last change.
    pub(crate) fn changed(&self) -> io::Result<SystemTime> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).metadata()?.modified()
    }
}

/// Returns true if `at` is younger than the limit. A time at the limit isn't, so that a maximal age of 0 refuses all.
fn is_fresh(at: SystemTime, oldest: Option<SystemTime>) -> bool {
    oldest.is_none_or(|oldest| at > oldest)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::run_folder::new_file;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn task(key: &str, seconds: u64, done: bool) -> Record {
        let (cells, rows) = (Vec::new(), RowLocations { runs: Vec::new(), duplicates: seconds });
        Record::Task { key: key.to_owned(), at: at(seconds), done, cells, rows }
    }

    fn journal(records: &[Record]) -> (tempfile::TempDir, PathBuf, Vec<RecordPosition>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(JOURNAL);
        new_file(&path).unwrap();
        let positions = JournalWriter::open(&path, 0).unwrap().append(records).unwrap();
        (folder, path, positions)
    }

    fn recalled(index: &JournalIndex, key: &str, oldest: Option<u64>) -> Option<u64> {
        index.task(key, oldest.map(at)).map(|(_, _, rows)| rows.duplicates)
    }

    #[test]
    fn the_last_record_of_a_task_counts() {
        let (_folder, path, _) = journal(&[
            Record::Begin { tasks: 2 },
            task("a", 1, true),
            task("b\n\u{1f}ü", 2, false),
            task("a", 3, true),
            Record::Survey { visit: "v".to_owned(), at: at(4), tasks: 3, found: Some("x".to_owned()) },
            Record::Survey { visit: "v".to_owned(), at: at(5), tasks: 3, found: None },
        ]);
        let index = JournalIndex::read(&path).unwrap();
        assert_eq!(index.valid, fs::metadata(&path).unwrap().len());
        assert_eq!((index.planned, index.counts(), index.is_complete()), (8, (1, 1), false));
        assert_eq!(recalled(&index, "a", None), Some(3));
        assert_eq!(recalled(&index, "b\n\u{1f}ü", None), None, "it failed");
        assert_eq!(recalled(&index, "c", None), None);
        assert_eq!(index.survey("v", None), Some("x"));
        assert_eq!(index.survey("w", None), None);
    }

    #[test]
    fn a_record_at_the_age_limit_is_too_old() {
        let survey =
            Record::Survey { visit: "v".to_owned(), at: at(5), tasks: 0, found: Some("x".to_owned()) };
        let (_folder, path, positions) = journal(&[survey, task("a", 5, true)]);
        let entries = vec![EntryRecord::Task(positions[1]), EntryRecord::Settled(Vec::new())];
        let mut writer = JournalWriter::open(&path, JournalIndex::read(&path).unwrap().valid).unwrap();
        writer.append(&[Record::Complete { entries: entries.clone() }]).unwrap();
        let index = JournalIndex::read(&path).unwrap();
        for (oldest, fresh) in [(4, true), (5, false), (6, false)] {
            assert_eq!(recalled(&index, "a", Some(oldest)), fresh.then_some(5));
            assert_eq!(index.survey("v", Some(at(oldest))), fresh.then_some("x"));
            assert_eq!(index.entries(Some(at(oldest))), fresh.then(|| entries.clone()));
        }
        // A process that began after that makes the run incomplete.
        writer.append(&[Record::Begin { tasks: 1 }]).unwrap();
        let index = JournalIndex::read(&path).unwrap();
        assert_eq!((index.is_complete(), index.entries(None)), (false, None));
    }

    #[test]
    fn a_torn_or_damaged_record_ends_the_valid_part() {
        let (_folder, path, positions) =
            journal(&[task("a", 1, true), task("b", 2, true), task("c", 3, true)]);
        let bytes = fs::read(&path).unwrap();
        let begin = |record: usize| usize::try_from(positions[record].0).unwrap();
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let index = JournalIndex::read(&path).unwrap();
            let whole = (0..3).filter(|&record| begin(record) + positions[record].1 <= cut).count();
            assert_eq!(index.counts(), (whole, 0), "cut at {cut}");
            // Records that are appended then are found.
            JournalWriter::open(&path, index.valid).unwrap().append(&[task("d", 4, true)]).unwrap();
            assert_eq!(JournalIndex::read(&path).unwrap().counts(), (whole + 1, 0), "cut at {cut}");
        }
        for damaged in [begin(1), begin(1) + 3, begin(1) + PREFIX + 4, begin(2) - 1] {
            let mut bytes = bytes.clone();
            bytes[damaged] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(JournalIndex::read(&path).unwrap().counts(), (1, 0), "damaged at {damaged}");
        }
    }
}
