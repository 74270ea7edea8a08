//! The way of rows from the runner to the thread that writes them.
//!
//! Each task's rows are one unit: they leave, sorted, when the task has ended well and, in the plan's order, when it is
//! the task's turn. The runner's side never waits for the reader's side. Rows that wait are kept in memory up to a
//! budget, and on disk beyond it. Threads that push too many rows write to disk themselves, one at a time: this needs no
//! thread of its own, errors reach a place where a task can be ended, and a full memory slows down only the tasks that
//! fill it. All rows of a saved run go to disk when their task has ended (`recorder.rs`).
//!
//! Memory is counted as Arrow reports it for arrays. The budget may be exceeded by one page for each thread that pushes.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arrow_array::RecordBatch;
use ssoinv_core::clock::Clock;
use ssoinv_core::coverage::Cell;
use ssoinv_core::journal::Journal;
use ssoinv_core::rows::{Backpressure, RowStore, TaskId, TaskRows};
use ssoinv_core::status::Status;
use ssoinv_core::table::TableSchema;

use crate::error::StoreError;
use crate::journal::{EntryRecord, JournalWriter, Record};
use crate::queue_state::{RecorderMessage, RowBuffer, RowOrder, SharedQueue, TaskEnd};
use crate::recorder::Recorder;
use crate::row_reader::RowReader;
use crate::run_folder::RunFolder;
use crate::run_store::StoredRun;
use crate::segment::Segments;
use crate::stored_cell::StoredCell;

/// The runner's side of a row queue: takes the rows of tasks, in any order, from any thread.
///
/// Dropping it closes the queue.
pub struct RowQueue {
    pub(crate) shared: Arc<SharedQueue>,
    /// The recorder, if the run is saved.
    pub(crate) recorder: Option<Recorder>,
}

/// The rows of one task that hasn't ended. Dropping it without [`TaskBuffer::finish`] discards the rows.
pub struct TaskBuffer {
    shared: Arc<SharedQueue>,
    task: TaskId,
    id: u64,
    finished: bool,
}

/// The kind of an entry of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A task, which made calls.
    Task,
    /// An entry that was settled without a call.
    Settled,
}

impl RowQueue {
    /// Makes a queue for the tasks of `slots` slots, which leave in `order`.
    ///
    /// Rows take about `budget` bytes of memory at most. Beyond it they go to `folder`, which is created at that time.
    #[must_use]
    pub fn new(slots: usize, order: RowOrder, budget: usize, folder: RunFolder) -> (Self, RowReader) {
        Self::with_segments(slots, order, budget, Segments::new(folder, 0))
    }

    pub(crate) fn with_segments(
        slots: usize,
        order: RowOrder,
        budget: usize,
        segments: Segments,
    ) -> (Self, RowReader) {
        let shared = Arc::new(SharedQueue::new(slots, order, budget, segments));
        let reader = RowReader::new(Arc::clone(&shared));
        (Self { shared, recorder: None }, reader)
    }

    /// Makes a queue for a saved run, in the plan's order: all rows go to disk, and ended tasks are recorded.
    ///
    /// Of what the run did before, tasks that ended at `oldest` or earlier don't count. `tasks` is the number of tasks
    /// that are planned so far.
    ///
    /// # Errors
    /// When the journal or the folder can't be read or written.
    pub fn saved(
        slots: usize,
        budget: usize,
        run: StoredRun,
        oldest: Option<SystemTime>,
        clock: Clock,
        tasks: usize,
    ) -> Result<(Self, RowReader), StoreError> {
        let mut writer = JournalWriter::open(&run.journal(), run.index.valid)?;
        let segments = Segments::new(run.folder(), Segments::last_in(run.path())?);
        writer.append(&[Record::Begin { tasks }])?;
        let (mut queue, rows) = Self::with_segments(slots, RowOrder::Plan, budget, segments);
        queue.recorder = Some(Recorder::start(&queue.shared, run, oldest, clock, writer));
        Ok((queue, rows))
    }

    /// Sets the number of parts of a slot. Called once for each slot.
    ///
    /// Tasks may end before that, but none of the slot leaves in the plan's order.
    pub fn open(&self, slot: usize, parts: usize) {
        debug_assert!(slot < self.shared.slots, "slot {slot} of {}", self.shared.slots);
        let mut state = self.shared.state();
        state.opened += 1;
        state.planned_tasks += parts;
        let before = state.parts.insert(slot, parts);
        debug_assert!(before.is_none(), "slot {slot} is opened twice");
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Begins an empty buffer for a task's rows. A task that begins anew drops the first buffer and takes another.
    #[must_use]
    pub fn task_buffer(&self, task: TaskId) -> TaskBuffer {
        debug_assert!(task.slot < self.shared.slots, "task {task} of {} slots", self.shared.slots);
        let mut state = self.shared.state();
        let id = state.next_buffer;
        state.next_buffer += 1;
        if !state.unread {
            state.buffers.insert(id, RowBuffer { task, ..RowBuffer::default() });
        }
        TaskBuffer { shared: Arc::clone(&self.shared), task, id, finished: false }
    }

    /// Ends a task without rows: denied, skipped, not tried.
    pub fn skip(&self, task: TaskId) {
        self.shared.end(task, None);
    }

    /// Closes the queue: tasks that have ended are still read, tasks that haven't are passed over.
    ///
    /// A runner that finishes or skips each of its tasks, also when it is interrupted, need not call it. In a saved run
    /// it blocks until all ended tasks are recorded.
    pub fn close(&self) {
        let writer = self.stop_recorder();
        let mut state = self.shared.state();
        state.closed = true;
        if writer.is_some() {
            state.writer = writer;
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Returns the number of tasks that were done before.
    #[must_use]
    pub fn recalled(&self) -> usize {
        self.recorder.as_ref().map_or(0, Recorder::recalled)
    }

    /// Returns the cells of tasks that the saved run had and that aren't planned any more.
    #[must_use]
    pub fn unplanned(&self) -> Vec<StoredCell> {
        let run = self.recorder.as_ref().map(|recorder| &recorder.run);
        run.map(|run| run.index.cells(true)).unwrap_or_default().into_iter().flatten().collect()
    }

    /// Stops the recorder and waits for it. Returns the journal, unless it was returned before or writing failed.
    pub(crate) fn stop_recorder(&self) -> Option<JournalWriter> {
        let sender = self.shared.state().recorder.take();
        // The thread ends when the last sender is dropped.
        drop(sender);
        self.recorder.as_ref()?.join()
    }

    /// Records that a saved run is complete, if it is, and returns true if so. Called after the queue was closed.
    ///
    /// `entries` are the plan's, with their cells. The run is complete if each cell is, and each task is recorded.
    ///
    /// # Errors
    /// When the record can't be written. The rows are on disk all the same.
    pub fn complete<'a>(
        &self,
        entries: impl IntoIterator<Item = (TaskId, &'a [Cell], EntryKind)>,
    ) -> Result<bool, StoreError> {
        let writer = self.stop_recorder().or_else(|| self.shared.state().writer.take());
        let Some(mut writer) = writer else { return Ok(false) };
        let state = self.shared.state();
        let mut records = Vec::new();
        for (task, cells, kind) in entries {
            if !cells.iter().all(|cell| cell.status.is_complete()) {
                return Ok(false);
            }
            records.push(match (kind, state.positions.get(&task)) {
                (EntryKind::Task, Some(&position)) => EntryRecord::Task(position),
                (EntryKind::Task, None) => return Ok(false),
                (EntryKind::Settled, _) => EntryRecord::Settled(cells.iter().map(StoredCell::from).collect()),
            });
        }
        drop(state);
        writer.append(&[Record::Complete { entries: records }])?;
        writer.sync()?;
        Ok(true)
    }
}

impl RowStore for RowQueue {
    fn open(&self, slot: usize, parts: usize) {
        self.open(slot, parts);
    }

    fn begin(&self, task: TaskId) -> Box<dyn TaskRows> {
        Box::new(self.task_buffer(task))
    }

    fn skip(&self, task: TaskId) {
        self.skip(task);
    }
}

impl Journal for RowQueue {
    fn recall_survey(&self, visit: &str) -> Option<String> {
        let recorder = self.recorder.as_ref()?;
        recorder.run.index.survey(visit, recorder.oldest).map(str::to_owned)
    }

    fn note_survey(&self, visit: &str, tasks: usize, found: Option<String>) {
        let Some(recorder) = &self.recorder else { return };
        let at = recorder.clock.now();
        let record = Record::Survey { visit: visit.to_owned(), at, tasks, found };
        self.shared.state().send(RecorderMessage::Record(record));
    }

    fn recall(&self, task: TaskId, key: &str, table: &TableSchema) -> Option<Vec<Cell>> {
        let (position, cells, buffer) = self.recorder.as_ref()?.recall(key, table)?;
        self.shared.state().positions.insert(task, position);
        self.shared.end_restored(task, buffer);
        Some(cells)
    }

    fn note(&self, task: TaskId, key: &str, cells: &[Cell]) {
        let Some(recorder) = &self.recorder else { return };
        // A task that wasn't tried keeps the record of an earlier process.
        if cells.first().is_none_or(|cell| cell.status == Status::NotTried) {
            return;
        }
        // A task with any gap is repeated as a whole: its rows are one unit.
        let done = cells.iter().all(|cell| cell.status.is_complete());
        let cells = cells.iter().map(StoredCell::from).collect();
        let end = TaskEnd { key: key.to_owned(), at: recorder.clock.now(), cells, done };
        self.shared.state().ends.insert(task, end);
    }
}

impl Drop for RowQueue {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for RowQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowQueue").field("slots", &self.shared.slots).finish_non_exhaustive()
    }
}

impl TaskBuffer {
    /// Returns the task.
    #[must_use]
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// Adds a page. All batches of a task have one schema.
    ///
    /// # Errors
    /// When rows couldn't be written. No rows leave the queue from then on, and the reader gets the same error.
    pub fn push(&mut self, batch: RecordBatch) -> Result<Backpressure, StoreError> {
        let mut state = self.shared.state();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let is_stored = state.push(self.id, batch);
        let is_full = is_stored && state.waiting > self.shared.limit;
        Ok(if is_full { Backpressure::Full } else { Backpressure::Ready })
    }

    /// Spills rows to disk while more rows wait than the memory may hold. Blocks for that time.
    ///
    /// # Errors
    /// As [`TaskBuffer::push`].
    pub fn make_room(&self) -> Result<(), StoreError> {
        self.shared.make_room()
    }

    /// Ends the task well: its rows may leave. Never waits for the disk or the reader.
    pub fn finish(mut self) {
        // The rows are the reader's from now on: dropping the buffer must not discard them.
        self.finished = true;
        self.shared.end(self.task, Some(self.id));
    }
}

impl TaskRows for TaskBuffer {
    fn push(&mut self, page: RecordBatch) -> Result<Backpressure, Box<dyn Error + Send + Sync>> {
        Ok(self.push(page)?)
    }

    fn make_room(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(Self::make_room(self)?)
    }

    fn finish(self: Box<Self>) {
        (*self).finish();
    }
}

impl Drop for TaskBuffer {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let mut state = self.shared.state();
        if let Some(buffer) = state.take(self.id) {
            // Files are removed without holding the lock.
            drop(state);
            drop(buffer);
        }
    }
}

impl fmt::Debug for TaskBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuffer").field("task", &self.task).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
