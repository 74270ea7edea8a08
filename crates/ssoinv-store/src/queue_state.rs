//! The state that the two sides of a row queue and its recorder share.
//!
//! [`crate::row_queue`] adds rows, [`crate::row_reader`] takes them out, [`crate::recorder`] writes the rows of a saved
//! run. Rows in memory stay below a limit: when more wait, the thread that pushed them spills the largest buffers to
//! disk, one thread at a time.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use ssoinv_core::rows::TaskId;

use crate::error::StoreError;
use crate::journal::{JournalWriter, Record, RecordPosition};
use crate::merge::{Merge, SortedBatches};
use crate::segment::{BLOCK_BYTES, Segments, SortedRun};
use crate::stored_cell::StoredCell;

/// The number of sorted runs of a task that are merged into one. Reading a task holds a block of each run in memory.
pub(crate) const FAN_IN: usize = 32;

/// The order in which tasks leave a row queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowOrder {
    /// The plan's order: by [`TaskId`].
    Plan,
    /// Any order: each task leaves as soon as it has ended.
    Arrival,
}

/// The rows of one task that wait.
#[derive(Debug, Default)]
pub(crate) struct RowBuffer {
    pub(crate) task: TaskId,
    /// Pages in memory, as they came.
    pub(crate) batches: Vec<RecordBatch>,
    /// Memory of [`RowBuffer::batches`].
    pub(crate) bytes: usize,
    /// Rows on disk, oldest first.
    pub(crate) runs: Vec<SortedRun>,
    /// Rows that were left out since their keys had come before.
    pub(crate) duplicates: u64,
    /// True while a thread writes some of the rows to disk.
    pub(crate) busy: bool,
}

/// A task that has ended, for the reader.
#[derive(Debug)]
pub(crate) struct EndedTask {
    pub(crate) task: TaskId,
    /// The rows, if the task ended with any.
    pub(crate) buffer: Option<RowBuffer>,
}

/// The end of a task of a saved run, until its record is written.
#[derive(Debug)]
pub(crate) struct TaskEnd {
    pub(crate) key: String,
    pub(crate) at: SystemTime,
    pub(crate) cells: Vec<StoredCell>,
    /// True if a resumed run need not repeat the task.
    pub(crate) done: bool,
}

/// A message to the recorder of a saved run.
#[derive(Debug)]
pub(crate) enum RecorderMessage {
    /// A task has ended, with rows or without.
    Task { task: TaskId, buffer: Option<u64>, end: TaskEnd },
    /// Another record to append.
    Record(Record),
}

/// The state of a row queue, behind a lock.
#[derive(Debug, Default)]
pub(crate) struct QueueState {
    /// Tasks that have ended and haven't been read: the buffer of each, if it has rows.
    ended: HashMap<TaskId, Option<u64>>,
    /// The same tasks in the order of their ends. Empty unless tasks leave in order of arrival.
    arrivals: VecDeque<TaskId>,
    /// The number of parts of each open slot that the reader hasn't passed.
    pub(crate) parts: HashMap<usize, usize>,
    /// Slots that were opened.
    pub(crate) opened: usize,
    /// Tasks of the slots that were opened.
    pub(crate) planned_tasks: usize,
    /// Tasks that the reader took out.
    pub(crate) read_tasks: usize,
    /// The buffers, by a number of their own: a task may begin anew.
    pub(crate) buffers: HashMap<u64, RowBuffer>,
    /// The buffers with rows in memory, in the order in which they leave.
    in_memory: BTreeSet<(TaskId, u64)>,
    pub(crate) next_buffer: u64,
    /// Memory of all rows that wait, in bytes.
    pub(crate) waiting: usize,
    /// True if no more tasks will end.
    pub(crate) closed: bool,
    /// True if no rows will be read any more.
    pub(crate) unread: bool,
    /// The reason why rows can't be stored any more.
    pub(crate) failed: Option<StoreError>,
    /// The ends of tasks that are about to end, in a saved run.
    pub(crate) ends: HashMap<TaskId, TaskEnd>,
    /// The positions of the tasks' records in the journal.
    pub(crate) positions: HashMap<TaskId, RecordPosition>,
    /// The way to the recorder, until the queue is closed.
    pub(crate) recorder: Option<Sender<RecorderMessage>>,
    /// The journal, once the recorder has ended.
    pub(crate) writer: Option<JournalWriter>,
}

/// A row queue, as both of its sides hold it.
#[derive(Debug)]
pub(crate) struct SharedQueue {
    state: Mutex<QueueState>,
    /// Signals that a task has ended, or isn't busy any more, or that none will end.
    pub(crate) changed: Condvar,
    /// Locked before `state`, where both are.
    pub(crate) disk: Mutex<Segments>,
    /// The most bytes that may wait in memory.
    pub(crate) limit: usize,
    pub(crate) slots: usize,
    pub(crate) order: RowOrder,
}

impl SharedQueue {
    pub(crate) fn new(slots: usize, order: RowOrder, budget: usize, segments: Segments) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            disk: Mutex::new(segments),
            // The other half is for the task that is being read.
            limit: budget / 2,
            slots,
            order,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a task, with rows or without. In a saved run the task ends when its record is written.
    pub(crate) fn end(&self, task: TaskId, buffer: Option<u64>) {
        let mut state = self.state();
        match state.ends.remove(&task) {
            Some(end) if state.recorder.is_some() => {
                state.send(RecorderMessage::Task { task, buffer, end });
            }
            _ => self.end_now(&mut state, task, buffer),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Marks a task as ended. The caller wakes the reader.
    pub(crate) fn end_now(&self, state: &mut QueueState, task: TaskId, buffer: Option<u64>) {
        if state.unread {
            return;
        }
        let before = state.ended.insert(task, buffer);
        debug_assert!(before.is_none(), "task {task} has ended twice");
        if self.order == RowOrder::Arrival {
            state.arrivals.push_back(task);
        }
    }

    /// Ends a task whose rows are on disk already.
    pub(crate) fn end_restored(&self, task: TaskId, mut buffer: RowBuffer) {
        buffer.task = task;
        let mut state = self.state();
        let id = state.next_buffer;
        state.next_buffer += 1;
        if !state.unread {
            state.buffers.insert(id, buffer);
        }
        self.end_now(&mut state, task, Some(id));
        drop(state);
        self.changed.notify_all();
    }

    /// Spills rows until well below the limit, so that not every page spills.
    pub(crate) fn make_room(&self) -> Result<(), StoreError> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let victims = {
            let state = self.state();
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            // Another thread may have made room while this one waited for the disk.
            if state.waiting <= self.limit { Vec::new() } else { state.victims(self.limit / 4) }
        };
        victims.into_iter().try_for_each(|ids| self.spill(&ids, &mut disk))
    }

    /// Writes the rows that buffers of one table have in memory to disk.
    pub(crate) fn spill(&self, ids: &[u64], disk: &mut Segments) -> Result<(), StoreError> {
        let mut borrowed = self.borrow(ids);
        // If this thread panics on the way, the reader must not wait for the rows.
        let guard = AbandonGuard { shared: self };
        let spilled = spill(&mut borrowed, disk);
        std::mem::forget(guard);
        match spilled {
            Ok(()) => self.give_back(borrowed),
            Err(error) => {
                self.fail(error.clone());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes the contents of buffers for a while; their bytes still count as waiting.
    fn borrow(&self, ids: &[u64]) -> Vec<(u64, RowBuffer)> {
        let mut guard = self.state();
        let state = &mut *guard;
        let borrow = |&id: &u64| {
            let buffer = state.buffers.get_mut(&id).filter(|buffer| !buffer.batches.is_empty())?;
            state.in_memory.remove(&(buffer.task, id));
            let left = RowBuffer { task: buffer.task, busy: true, ..RowBuffer::default() };
            Some((id, std::mem::replace(buffer, left)))
        };
        ids.iter().filter_map(borrow).collect()
    }

    /// Puts spilled contents back, unless the buffer was dropped meanwhile.
    fn give_back(&self, spilled: Vec<(u64, RowBuffer)>) {
        let mut guard = self.state();
        let state = &mut *guard;
        for (id, spilled) in spilled {
            state.waiting -= spilled.bytes;
            let Some(buffer) = state.buffers.get_mut(&id) else { continue };
            // Meanwhile the task may have pushed more pages: only these fields are replaced.
            buffer.runs = spilled.runs;
            buffer.duplicates = spilled.duplicates;
            buffer.busy = false;
        }
        drop(guard);
        self.changed.notify_all();
    }

    pub(crate) fn fail(&self, error: StoreError) {
        self.state().failed.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Discards all rows: no more will be read, and rows that still come in are discarded at once.
    pub(crate) fn discard(&self) {
        let mut state = self.state();
        state.unread = true;
        let rows = std::mem::take(&mut state.buffers);
        // Rows that are being written count until they are.
        state.waiting -= rows.values().map(|buffer| buffer.bytes).sum::<usize>();
        state.in_memory.clear();
        state.ended.clear();
        state.arrivals.clear();
        drop(state);
        // Files are removed without holding the lock.
        drop(rows);
    }
}

/// Fails the queue if a thread panics while it writes rows.
pub(crate) struct AbandonGuard<'a> {
    pub(crate) shared: &'a SharedQueue,
}

impl Drop for AbandonGuard<'_> {
    fn drop(&mut self) {
        self.shared.fail(StoreError::Abandoned);
    }
}

impl QueueState {
    /// Sends a message to the recorder. If the recorder is gone, it has said why.
    pub(crate) fn send(&self, message: RecorderMessage) {
        if let Some(recorder) = &self.recorder {
            let _recorder_is_gone = recorder.send(message);
        }
    }

    /// Returns true if a task has ended and hasn't been read.
    pub(crate) fn has_ended(&self, task: TaskId) -> bool {
        self.ended.contains_key(&task)
    }

    /// Takes out an ended task, unless it is busy.
    pub(crate) fn take_ended(&mut self, task: TaskId) -> Option<EndedTask> {
        let buffer = *self.ended.get(&task)?;
        if buffer.and_then(|id| self.buffers.get(&id)).is_some_and(|buffer| buffer.busy) {
            return None;
        }
        self.ended.remove(&task);
        self.read_tasks += 1;
        Some(EndedTask { task, buffer: buffer.map(|id| self.take(id).unwrap_or_default()) })
    }

    /// Takes out the first ended task, by arrival, that isn't busy.
    pub(crate) fn take_arrived(&mut self) -> Option<EndedTask> {
        (0..self.arrivals.len()).find_map(|index| {
            let ended = self.take_ended(self.arrivals[index])?;
            self.arrivals.remove(index);
            Some(ended)
        })
    }

    /// Returns true if no ended task is left to read.
    pub(crate) fn is_drained(&self) -> bool {
        self.ended.is_empty()
    }

    /// Adds a page to a buffer. Returns false if the buffer was discarded.
    pub(crate) fn push(&mut self, id: u64, batch: RecordBatch) -> bool {
        let bytes = batch.get_array_memory_size();
        let Some(buffer) = self.buffers.get_mut(&id) else { return false };
        if batch.num_rows() > 0 {
            buffer.batches.push(batch);
            buffer.bytes += bytes;
            self.waiting += bytes;
            self.in_memory.insert((buffer.task, id));
        }
        true
    }

    /// Takes out a buffer with its rows.
    pub(crate) fn take(&mut self, id: u64) -> Option<RowBuffer> {
        let buffer = self.buffers.remove(&id)?;
        self.in_memory.remove(&(buffer.task, id));
        self.waiting -= buffer.bytes;
        Some(buffer)
    }

    /// Chooses buffers to spill so that at most `rest` bytes stay in memory, in groups of one block each.
    ///
    /// Large buffers come first, each alone, since a run on disk should be long. Then come the buffers that leave last.
    fn victims(&self, rest: usize) -> Vec<Vec<u64>> {
        let too_much = Cell::new(self.waiting.saturating_sub(rest));
        let wanted = |buffer: &RowBuffer| {
            let wanted = too_much.get() > 0;
            too_much.set(too_much.get().saturating_sub(buffer.bytes));
            wanted
        };
        let waiting =
            || self.in_memory.iter().rev().filter_map(|&(_, id)| Some((id, self.buffers.get(&id)?)));
        let (mut large, small): (Vec<_>, Vec<_>) =
            waiting().partition(|(_, buffer)| buffer.bytes >= BLOCK_BYTES);
        large.sort_by_key(|(_, buffer)| Reverse(buffer.bytes));
        let large = large.into_iter().take_while(|(_, buffer)| wanted(buffer));
        let mut groups: Vec<Vec<u64>> = large.map(|(id, _)| vec![id]).collect();
        let (mut bytes, mut schema) = (BLOCK_BYTES, None);
        for (id, buffer) in small.into_iter().take_while(|(_, buffer)| wanted(buffer)) {
            // A block holds rows of one table.
            let same = buffer.schema().is_some_and(|own| schema.replace(own).is_some_and(|last| last == own));
            bytes += buffer.bytes;
            match groups.last_mut() {
                Some(group) if same && bytes < BLOCK_BYTES => group.push(id),
                _ => {
                    groups.push(vec![id]);
                    bytes = buffer.bytes;
                }
            }
        }
        groups
    }
}

impl RowBuffer {
    /// Makes a buffer of rows that are on disk already.
    pub(crate) fn on_disk(runs: Vec<SortedRun>, duplicates: u64) -> Self {
        Self { runs, duplicates, ..Self::default() }
    }

    fn schema(&self) -> Option<&SchemaRef> {
        self.batches.first().map(RecordBatch::schema_ref)
    }

    /// Takes the rows in memory, sorted. `bytes` stays as it is: the rows count as waiting until they are written.
    fn take_sorted(&mut self) -> SortedBatches {
        let sorted = SortedBatches::new(std::mem::take(&mut self.batches));
        self.duplicates += sorted.duplicates;
        sorted
    }

    /// Merges many runs of one level into one of the next, so that no task has more than some dozens of runs.
    fn merge_levels(&mut self, segments: &mut Segments, schema: &SchemaRef) -> Result<(), StoreError> {
        loop {
            let level = self.runs.last().map_or(0, |run| run.level);
            let same = self.runs.iter().rev().take_while(|run| run.level == level).count();
            if same < FAN_IN {
                return Ok(());
            }
            let mut merge = Merge::new(self.runs.split_off(self.runs.len() - same), None)?;
            self.runs.extend(segments.write(schema, level + 1, merge.blocks())?);
            self.duplicates += merge.duplicates;
        }
    }
}

/// Writes the rows that buffers of one table have in memory, as one sorted run each.
fn spill(buffers: &mut [(u64, RowBuffer)], segments: &mut Segments) -> Result<(), StoreError> {
    let Some(schema) = buffers.iter().find_map(|(_, buffer)| buffer.schema()).cloned() else { return Ok(()) };
    if let [(_, buffer)] = buffers {
        let sorted = buffer.take_sorted();
        buffer.runs.extend(segments.write(&schema, 0, sorted.blocks())?);
    } else {
        let all = |(_, buffer): &mut (u64, RowBuffer)| {
            let all = buffer.take_sorted().all()?;
            Ok(all.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&schema))))
        };
        let tasks: Vec<RecordBatch> = buffers.iter_mut().map(all).collect::<Result<_, StoreError>>()?;
        for ((_, buffer), run) in buffers.iter_mut().zip(segments.write_together(&schema, &tasks)?) {
            buffer.runs.push(run);
        }
    }
    buffers.iter_mut().try_for_each(|(_, buffer)| buffer.merge_levels(segments, &schema))
}
