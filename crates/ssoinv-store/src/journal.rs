//! The journal of a kept run: what it has done, record after record, in a file that is only ever appended to.
//!
//! A record is a line: eight hexadecimal digits, which are the CRC-32 of what follows, a space, and JSON. A record that
//! was being written when the run was killed, or when the power went, is no whole line with a right sum, and ends what
//! counts of the file; the next run cuts it off. A record that says that a task has been done names where its rows lie,
//! with sums of their own: both must be whole.
//!
//! Opening reads all records once and keeps of each task the last one's place. [`crate::keeper`] appends.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::cell::StoredCell;
use crate::error::StoreError;
use crate::segment::StoredRun;

/// The name of the journal in the run's folder.
pub(crate) const JOURNAL: &str = "journal";

/// Digits of the sum and the space behind it.
const PREFIX: usize = 9;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// A process has made its plan.
    Begin {
        /// Tasks of which it knows already.
        tasks: usize,
    },
    /// A visit has been laid out.
    Survey {
        visit: String,
        at: SystemTime,
        tasks: usize,
        /// What need not be found out again.
        found: Option<String>,
    },
    /// A task has ended.
    Task {
        key: String,
        at: SystemTime,
        /// Whether it need not be asked again.
        done: bool,
        cells: Vec<StoredCell>,
        rows: StoredRows,
    },
    /// All has ended well. Each line of the plan, in order.
    Complete { lines: Vec<Line> },
}

/// A line of a plan that has been worked off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// A task, by the place of its record.
    Task(Place),
    /// One that was settled without any call.
    Settled(Vec<StoredCell>),
}

/// Where a record is in the file: its offset and its length.
pub(crate) type Place = (u64, usize);

/// Where the rows of a task lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredRows {
    /// Oldest first.
    pub(crate) runs: Vec<StoredRun>,
    /// Rows that were left out already.
    pub(crate) duplicates: u64,
}

/// What opening wants to know of a record: not the cells, which are most of it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Glimpse {
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

/// The JSON of a whole line.
fn json_of(line: &[u8]) -> Option<&[u8]> {
    let json = line.strip_suffix(b"\n")?.get(PREFIX..)?;
    let sum = format!("{:08x} ", crc32fast::hash(json));
    line.starts_with(sum.as_bytes()).then_some(json)
}

/// Appends records.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Writer {
    /// Opens the journal at what is whole of it.
    pub(crate) fn open(path: &Path, whole: u64) -> Result<Self, StoreError> {
        let mut file = OpenOptions::new().write(true).open(path).map_err(StoreError::disk("open", path))?;
        file.set_len(whole)
            .and_then(|()| file.seek(SeekFrom::Start(whole)))
            .map_err(StoreError::disk("write", path))?;
        Ok(Self { file, path: path.to_owned(), length: whole })
    }

    /// Writes records at once, and gives their places.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<Vec<Place>, StoreError> {
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            let line = line_of(record)?;
            places.push((self.length + bytes.len() as u64, line.len()));
            bytes.extend(line);
        }
        self.file.write_all(&bytes).map_err(StoreError::disk("write", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(places)
    }

    /// Waits until all of it is on the disk itself.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::disk("write", &self.path))
    }
}

/// What is known of a task.
#[derive(Debug)]
struct Known {
    place: Place,
    at: SystemTime,
    done: bool,
    /// Whether it is planned again.
    planned: AtomicBool,
}

/// What a journal tells, in short. The records stay on disk.
#[derive(Debug)]
pub(crate) struct Memory {
    file: Mutex<File>,
    /// The length of what is whole, in bytes.
    pub(crate) whole: u64,
    tasks: HashMap<String, Known>,
    surveys: HashMap<String, (SystemTime, String)>,
    /// The record that says so, if nothing was begun after it.
    complete: Option<Place>,
    /// The most tasks that a process has planned.
    pub(crate) planned: usize,
}

impl Memory {
    /// Reads a journal up to its last whole record.
    pub(crate) fn read(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::disk("open", path))?;
        let mut reader = BufReader::new(&file);
        let (mut tasks, mut surveys) = (HashMap::new(), HashMap::new());
        let (mut whole, mut complete, mut planned, mut most) = (0, None, 0, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line).map_err(StoreError::disk("read", path))?;
            let Some(record) = json_of(&line).and_then(|json| serde_json::from_slice(json).ok()) else {
                break;
            };
            let place = (whole, line.len());
            whole += line.len() as u64;
            match record {
                Glimpse::Begin { tasks } => (planned, complete) = (tasks, None),
                Glimpse::Survey { visit, at, tasks, found } => {
                    planned += tasks;
                    surveys.extend(found.map(|found| (visit, (at, found))));
                }
                Glimpse::Task { key, at, done } => {
                    tasks.insert(key, Known { place, at, done, planned: AtomicBool::new(false) });
                }
                Glimpse::Complete {} => complete = Some(place),
            }
            most = most.max(planned);
        }
        Ok(Self { file: Mutex::new(file), whole, tasks, surveys, complete, planned: most })
    }

    /// Whether all has ended well, however long ago.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.is_some()
    }

    /// How many tasks have been done, and how many others have ended.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let done = self.tasks.values().filter(|task| task.done).count();
        (done, self.tasks.len() - done)
    }

    pub(crate) fn survey(&self, visit: &str, oldest: Option<SystemTime>) -> Option<&str> {
        let (at, found) = self.surveys.get(visit)?;
        is_fresh(*at, oldest).then_some(found)
    }

    /// The record of a task that has been done.
    pub(crate) fn task(
        &self,
        key: &str,
        oldest: Option<SystemTime>,
    ) -> Option<(Place, Vec<StoredCell>, StoredRows)> {
        let known = self.tasks.get(key)?;
        known.planned.store(true, Ordering::Relaxed);
        if !known.done || !is_fresh(known.at, oldest) {
            return None;
        }
        match self.record(known.place)? {
            Record::Task { cells, rows, .. } => Some((known.place, cells, rows)),
            _ => None,
        }
    }

    /// The lines of the plan, if all has ended well and no task is too old.
    pub(crate) fn lines(&self, oldest: Option<SystemTime>) -> Option<Vec<Line>> {
        if self.tasks.values().any(|task| task.done && !is_fresh(task.at, oldest)) {
            return None;
        }
        match self.record(self.complete?)? {
            Record::Complete { lines } => Some(lines),
            _ => None,
        }
    }

    /// The cells of all tasks that have ended, or of those alone that nobody plans any more; in the order in which they
    /// ended.
    pub(crate) fn cells(&self, unplanned: bool) -> Vec<Vec<StoredCell>> {
        let tasks = self.tasks.values().filter(|task| !unplanned || !task.planned.load(Ordering::Relaxed));
        let mut places: Vec<Place> = tasks.map(|task| task.place).collect();
        places.sort_unstable();
        let cells = |place| match self.record(place) {
            Some(Record::Task { cells, .. }) => Some(cells),
            _ => None,
        };
        places.into_iter().filter_map(cells).collect()
    }

    /// Reads a record again; none where it isn't there any more as it was.
    pub(crate) fn record(&self, (offset, length): Place) -> Option<Record> {
        let mut line = vec![0; length];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut line));
        drop(file);
        match read {
            Ok(()) => serde_json::from_slice(json_of(&line)?).ok(),
            Err(_) => None,
        }
    }

    /// When the file was changed last.
    pub(crate) fn changed(&self) -> io::Result<SystemTime> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).metadata()?.modified()
    }
}

/// Younger than the age that was asked for; what ended at the very limit isn't, so that an age of nothing means all.
fn is_fresh(at: SystemTime, oldest: Option<SystemTime>) -> bool {
    oldest.is_none_or(|oldest| at > oldest)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::run::new_file;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn task(key: &str, seconds: u64, done: bool) -> Record {
        let (cells, rows) = (Vec::new(), StoredRows { runs: Vec::new(), duplicates: seconds });
        Record::Task { key: key.to_owned(), at: at(seconds), done, cells, rows }
    }

    fn journal(records: &[Record]) -> (tempfile::TempDir, PathBuf, Vec<Place>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(JOURNAL);
        new_file(&path).unwrap();
        let places = Writer::open(&path, 0).unwrap().append(records).unwrap();
        (folder, path, places)
    }

    fn recalled(memory: &Memory, key: &str, oldest: Option<u64>) -> Option<u64> {
        memory.task(key, oldest.map(at)).map(|(_, _, rows)| rows.duplicates)
    }

    #[test]
    fn the_last_word_about_a_task_counts() {
        let (_folder, path, _) = journal(&[
            Record::Begin { tasks: 2 },
            task("a", 1, true),
            task("b\n\u{1f}ü", 2, false),
            task("a", 3, true),
            Record::Survey { visit: "v".to_owned(), at: at(4), tasks: 3, found: Some("x".to_owned()) },
            Record::Survey { visit: "v".to_owned(), at: at(5), tasks: 3, found: None },
        ]);
        let memory = Memory::read(&path).unwrap();
        assert_eq!(memory.whole, fs::metadata(&path).unwrap().len());
        assert_eq!((memory.planned, memory.counts(), memory.is_complete()), (8, (1, 1), false));
        assert_eq!(recalled(&memory, "a", None), Some(3));
        assert_eq!(recalled(&memory, "b\n\u{1f}ü", None), None, "it failed");
        assert_eq!(recalled(&memory, "c", None), None);
        assert_eq!(memory.survey("v", None), Some("x"));
        assert_eq!(memory.survey("w", None), None);
    }

    #[test]
    fn what_is_as_old_as_the_limit_is_too_old() {
        let survey =
            Record::Survey { visit: "v".to_owned(), at: at(5), tasks: 0, found: Some("x".to_owned()) };
        let (_folder, path, places) = journal(&[survey, task("a", 5, true)]);
        let lines = vec![Line::Task(places[1]), Line::Settled(Vec::new())];
        let mut writer = Writer::open(&path, Memory::read(&path).unwrap().whole).unwrap();
        writer.append(&[Record::Complete { lines: lines.clone() }]).unwrap();
        let memory = Memory::read(&path).unwrap();
        for (oldest, fresh) in [(4, true), (5, false), (6, false)] {
            assert_eq!(recalled(&memory, "a", Some(oldest)), fresh.then_some(5));
            assert_eq!(memory.survey("v", Some(at(oldest))), fresh.then_some("x"));
            assert_eq!(memory.lines(Some(at(oldest))), fresh.then(|| lines.clone()));
        }
        // Whoever begins after that isn't complete.
        writer.append(&[Record::Begin { tasks: 1 }]).unwrap();
        let memory = Memory::read(&path).unwrap();
        assert_eq!((memory.is_complete(), memory.lines(None)), (false, None));
    }

    #[test]
    fn a_torn_or_spoilt_record_ends_what_counts() {
        let (_folder, path, places) = journal(&[task("a", 1, true), task("b", 2, true), task("c", 3, true)]);
        let bytes = fs::read(&path).unwrap();
        let begin = |record: usize| usize::try_from(places[record].0).unwrap();
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let memory = Memory::read(&path).unwrap();
            let whole = (0..3).filter(|&record| begin(record) + places[record].1 <= cut).count();
            assert_eq!(memory.counts(), (whole, 0), "cut at {cut}");
            // Whatever is appended then is found.
            Writer::open(&path, memory.whole).unwrap().append(&[task("d", 4, true)]).unwrap();
            assert_eq!(Memory::read(&path).unwrap().counts(), (whole + 1, 0), "cut at {cut}");
        }
        for spoilt in [begin(1), begin(1) + 3, begin(1) + PREFIX + 4, begin(2) - 1] {
            let mut bytes = bytes.clone();
            bytes[spoilt] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(Memory::read(&path).unwrap().counts(), (1, 0), "spoilt at {spoilt}");
        }
    }
}
