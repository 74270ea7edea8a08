//! Records the progress of a saved run: each ended task's rows go to disk, then its record, then the task may leave.
//!
//! A thread does this, so that the runner never waits for the disk: it takes all tasks that have ended meanwhile, writes
//! their rows, then their records in one go. The system keeps what a killed process has written. So that a power failure
//! costs little, files are synced every few seconds, rows before records; if they reach the disk in another order,
//! checksums tell ([`crate::journal`]).
//!
//! [`Recorder::recall`] does the reverse: it makes rows on disk the finished rows of a task.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use arrow_schema::SchemaRef;
use ssoinv_core::clock::Clock;
use ssoinv_core::coverage::Cell;
use ssoinv_core::table::TableSchema;

use crate::error::StoreError;
use crate::journal::{JournalWriter, Record, RecordPosition, RowLocations};
use crate::queue_state::{AbandonGuard, RecorderMessage, RowBuffer, SharedQueue, TaskEnd};
use crate::run_store::StoredRun;
use crate::segment::{Segment, SortedRun};
use crate::stored_cell::StoredCell;

/// The time between syncs of the files.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// The most records that are written in one go.
const MAX_BATCH: usize = 256;

/// The recorder of a saved run, and the reader of what the run did before.
pub(crate) struct Recorder {
    pub(crate) run: StoredRun,
    pub(crate) clock: Clock,
    /// Tasks that ended then or before don't count.
    pub(crate) oldest: Option<SystemTime>,
    /// The thread that writes; it returns the journal.
    thread: Mutex<Option<JoinHandle<Option<JournalWriter>>>>,
    /// The segments of earlier processes that are being read.
    segments: Mutex<HashMap<u32, Weak<Segment>>>,
    recalled: AtomicUsize,
}

impl Recorder {
    /// Makes a recorder that only reads.
    pub(crate) fn reader(run: StoredRun, oldest: Option<SystemTime>, clock: Clock) -> Self {
        let (segments, recalled) = (Mutex::default(), AtomicUsize::new(0));
        Self { run, clock, oldest, thread: Mutex::default(), segments, recalled }
    }

    /// Starts the thread that records the tasks of a queue.
    pub(crate) fn start(
        shared: &Arc<SharedQueue>,
        run: StoredRun,
        oldest: Option<SystemTime>,
        clock: Clock,
        writer: JournalWriter,
    ) -> Self {
        let (sender, receiver) = channel();
        shared.state().recorder = Some(sender);
        let shared = Arc::clone(shared);
        let thread = thread::spawn(move || record(&shared, writer, &receiver));
        Self { thread: Mutex::new(Some(thread)), ..Self::reader(run, oldest, clock) }
    }

    /// Waits for the thread to end. Returns the journal, unless it was returned before or writing failed.
    pub(crate) fn join(&self) -> Option<JournalWriter> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // After a panic the reader has got an error.
        thread.join().ok()?
    }

    /// Returns the number of tasks that were done before.
    pub(crate) fn recalled(&self) -> usize {
        self.recalled.load(Ordering::Relaxed)
    }

    /// Returns the cells and rows of a task that is done, with the position of its record.
    pub(crate) fn recall(
        &self,
        key: &str,
        table: &TableSchema,
    ) -> Option<(RecordPosition, Vec<Cell>, RowBuffer)> {
        let (position, cells, rows) = self.run.index.task(key, self.oldest)?;
        let (cells, buffer) = self.restore(cells, rows, table)?;
        self.recalled.fetch_add(1, Ordering::Relaxed);
        Some((position, cells, buffer))
    }

    /// Returns the cells and rows of a record, if they are of this table and all rows are valid.
    pub(crate) fn restore(
        &self,
        cells: Vec<StoredCell>,
        rows: RowLocations,
        table: &TableSchema,
    ) -> Option<(Vec<Cell>, RowBuffer)> {
        if cells.iter().any(|cell| cell.table() != &*table.name) {
            return None;
        }
        let cell = |stored: StoredCell| Some(Cell { table: Arc::clone(&table.name), ..stored.cell()? });
        let cells: Vec<Cell> = cells.into_iter().map(cell).collect::<Option<_>>()?;
        let run = |run: crate::segment::SortedRunLocation| {
            SortedRun::verified(self.segment(run.segment, &table.schema)?, run)
        };
        let runs = rows.runs.into_iter().map(run).collect::<Option<_>>()?;
        Some((cells, RowBuffer::on_disk(runs, rows.duplicates)))
    }

    fn segment(&self, number: u32, schema: &SchemaRef) -> Option<Arc<Segment>> {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = segments.get(&number).and_then(Weak::upgrade) {
            // Each table has segments of its own.
            return open.has_schema(schema).then_some(open);
        }
        let segment = Arc::new(Segment::reopen(self.run.path(), number, schema).ok()?);
        segments.insert(number, Arc::downgrade(&segment));
        Some(segment)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("run", &self.run.name()).finish_non_exhaustive()
    }
}

/// Handles messages until all senders are gone. Returns the journal, if nothing went wrong.
fn record(
    shared: &Arc<SharedQueue>,
    mut writer: JournalWriter,
    messages: &Receiver<RecorderMessage>,
) -> Option<JournalWriter> {
    // If this thread panics on the way, the reader must not wait for it.
    let guard = AbandonGuard { shared };
    let mut synced = Instant::now();
    let mut dirty = false;
    let ended = loop {
        let wait = if dirty { SYNC_EVERY.saturating_sub(synced.elapsed()) } else { Duration::MAX };
        let mut batch = match messages.recv_timeout(wait) {
            Ok(message) => vec![message],
            Err(RecvTimeoutError::Timeout) => vec![],
            Err(RecvTimeoutError::Disconnected) => break sync(shared, &writer),
        };
        batch.extend(messages.try_iter().take(MAX_BATCH));
        dirty |= !batch.is_empty();
        let mut written = write(shared, &mut writer, batch);
        if written.is_ok() && dirty && synced.elapsed() >= SYNC_EVERY {
            written = sync(shared, &writer);
            (synced, dirty) = (Instant::now(), false);
        }
        if written.is_err() {
            break written;
        }
    };
    std::mem::forget(guard);
    match ended {
        Ok(()) => Some(writer),
        Err(error) => {
            shared.fail(error);
            None
        }
    }
}

/// Writes rows, then records; then the tasks have ended.
fn write(
    shared: &SharedQueue,
    writer: &mut JournalWriter,
    messages: Vec<RecorderMessage>,
) -> Result<(), StoreError> {
    let (mut records, mut tasks) = (Vec::new(), Vec::new());
    for message in messages {
        let (task, buffer, end) = match message {
            RecorderMessage::Record(record) => {
                records.push(record);
                continue;
            }
            RecorderMessage::Task { task, buffer, end } => (task, buffer, end),
        };
        let rows = match buffer {
            None => RowLocations::default(),
            Some(id) => match write_rows(shared, id)? {
                Some(rows) => rows,
                // The rows were discarded since there is no reader any more.
                None => continue,
            },
        };
        let TaskEnd { key, at, cells, done } = end;
        tasks.push((records.len(), task, buffer));
        records.push(Record::Task { key, at, done, cells, rows });
    }
    let positions: Vec<RecordPosition> = writer.append(&records)?;
    let mut state = shared.state();
    for (record, task, buffer) in tasks {
        state.positions.insert(task, positions[record]);
        shared.end_now(&mut state, task, buffer);
    }
    drop(state);
    shared.changed.notify_all();
    Ok(())
}

/// Writes all rows of a buffer to disk and returns their locations; none if the rows were discarded.
fn write_rows(shared: &SharedQueue, id: u64) -> Result<Option<RowLocations>, StoreError> {
    let mut disk = shared.disk.lock().unwrap_or_else(PoisonError::into_inner);
    shared.spill(&[id], &mut disk)?;
    let state = shared.state();
    let locations = |buffer: &RowBuffer| RowLocations {
        runs: buffer.runs.iter().map(SortedRun::location).collect(),
        duplicates: buffer.duplicates,
    };
    Ok(state.buffers.get(&id).map(locations))
}

/// Syncs rows, then records, to the disk.
fn sync(shared: &SharedQueue, writer: &JournalWriter) -> Result<(), StoreError> {
    // The lock is released before syncing, so that other threads can spill meanwhile.
    let written = shared.disk.lock().unwrap_or_else(PoisonError::into_inner).take_unsynced();
    for file in written {
        file.sync()?;
    }
    writer.sync()
}

#[cfg(test)]
mod tests;
