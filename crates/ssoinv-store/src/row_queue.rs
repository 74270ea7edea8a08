//! The hand-over of rows from the runner to whoever writes them: each task's rows are one unit and leave, sorted, when
//! the task has ended well and it is its turn in the plan's order.
//!
//! The runner's side never waits for the reader's. Rows that wait are kept in memory up to a budget; beyond it the
//! largest of them go to disk, sorted, then those that leave last, many small tasks' in one block. Half of the budget is
//! for rows that wait, the other half for the task that is being read. Whoever pushes the rows that are too many writes
//! to disk itself, one thread at a time: no thread of our own is needed, errors come back to where a task can be ended,
//! and a full memory slows down only those that fill it.
//!
//! The rows of a run that is kept all go to disk, when their task has ended: `keeper.rs`.
//!
//! Memory is what Arrow says that its arrays take. It may be exceeded by a page for each thread that pushes.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fmt;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use ssoinv_core::rows::{Room, RowStore, TaskId, TaskRows};

use crate::error::StoreError;
use crate::journal::{Place, Writer};
use crate::keeper::{Kept, Note, Order};
use crate::merge::{Merge, Sorted};
use crate::run::RunFolder;
use crate::segment::{BLOCK_BYTES, Run, Segments};

/// How many runs of a task are merged into one. When a task is read, each run has a block in memory.
const FAN_IN: usize = 32;

/// The rows of one task that wait.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) task: TaskId,
    /// In memory, as they came.
    batches: Vec<RecordBatch>,
    /// What they take.
    bytes: usize,
    /// On disk, oldest first.
    pub(crate) runs: Vec<Run>,
    /// Rows that were left out already.
    pub(crate) duplicates: u64,
    /// Whether somebody writes some of them to disk just now.
    busy: bool,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Tasks that have ended and haven't been read: with rows, or without.
    ended: HashMap<TaskId, Option<u64>>,
    /// How many parts the slots have that haven't been passed, as far as that is known.
    parts: HashMap<usize, usize>,
    /// The buffers, by a number of their own: a task may begin anew.
    pub(crate) held: HashMap<u64, Held>,
    /// Those with rows in memory, in the order in which they leave.
    in_memory: BTreeSet<(TaskId, u64)>,
    pub(crate) next_buffer: u64,
    /// Memory of all rows that wait, in bytes.
    waiting: usize,
    /// No task will end any more.
    closed: bool,
    /// Nobody will read any more.
    pub(crate) unread: bool,
    /// Why rows can't be kept any more.
    failed: Option<StoreError>,
    /// What to write down of tasks that are about to end, in a run that is kept.
    pub(crate) notes: HashMap<TaskId, Note>,
    /// Where their records are, once they have been written.
    pub(crate) places: HashMap<TaskId, Place>,
    /// Who writes; until the queue is closed.
    pub(crate) keeper: Option<Sender<Order>>,
    /// What the keeper leaves.
    pub(crate) writer: Option<Writer>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// A task has ended, or isn't busy any more, or none will end.
    pub(crate) changed: Condvar,
    /// Taken before `state`, where both are.
    pub(crate) disk: Mutex<Segments>,
    /// The most bytes that may wait in memory.
    limit: usize,
    slots: usize,
}

/// The runner's side: takes the rows of tasks, in any order, from any thread.
///
/// Dropping it closes the queue.
pub struct RowQueue {
    pub(crate) shared: Arc<Shared>,
    pub(crate) kept: Option<Kept>,
}

/// Rows of one task that hasn't ended. Dropped instead of [finished](TaskBuffer::finish), its rows never were.
pub struct TaskBuffer {
    shared: Arc<Shared>,
    task: TaskId,
    id: u64,
    finished: bool,
}

/// The reader's side: the rows of all tasks in the plan's order, those of a task sorted by their
/// [keys](ssoinv_core::table::RowKeys), each with its task. It blocks until a task has ended, so it is for a thread of
/// its own.
///
/// It ends after the last task, or after an error. Dropped early, the rows that are left are let go.
pub struct Rows {
    current: Option<(TaskId, Merge)>,
    next: TaskId,
    duplicates: BTreeMap<TaskId, u64>,
    shared: Arc<Shared>,
}

impl RowQueue {
    /// A queue for the tasks of `slots` slots, whose rows take about `budget` bytes of memory at most, and beyond it are kept in
    /// `folder`, which is made when that happens first.
    #[must_use]
    pub fn new(slots: usize, budget: usize, folder: RunFolder) -> (Self, Rows) {
        Self::with_segments(slots, budget, Segments::new(folder, 0))
    }

    pub(crate) fn with_segments(slots: usize, budget: usize, segments: Segments) -> (Self, Rows) {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            disk: Mutex::new(segments),
            limit: budget / 2,
            slots,
        });
        let rows = Rows {
            current: None,
            next: TaskId::default(),
            duplicates: BTreeMap::new(),
            shared: Arc::clone(&shared),
        };
        (Self { shared, kept: None }, rows)
    }

    /// A slot has so many parts. Called once for each slot; until then its tasks may end, and none of them is read.
    pub fn open(&self, slot: usize, parts: usize) {
        debug_assert!(slot < self.shared.slots, "slot {slot} of {}", self.shared.slots);
        let before = self.shared.state().parts.insert(slot, parts);
        debug_assert!(before.is_none(), "slot {slot} is opened twice");
        self.shared.changed.notify_all();
    }

    /// An empty buffer for a task's rows. A task that begins anew takes another and drops the first.
    #[must_use]
    pub fn task_buffer(&self, task: TaskId) -> TaskBuffer {
        debug_assert!(task.slot < self.shared.slots, "task {task} of {} slots", self.shared.slots);
        let mut state = self.shared.state();
        let id = state.next_buffer;
        state.next_buffer += 1;
        if !state.unread {
            state.held.insert(id, Held { task, ..Held::default() });
        }
        TaskBuffer { shared: Arc::clone(&self.shared), task, id, finished: false }
    }

    /// The task has ended without rows: denied, skipped, not tried.
    pub fn skip(&self, task: TaskId) {
        self.shared.end(task, None);
    }

    /// No task will end any more. Those that have are still read, the others are passed over.
    ///
    /// Not needed where every task is finished or skipped, as the runner does also when it is interrupted.
    /// Of a run that is kept, all that has ended is written down first.
    pub fn close(&self) {
        let writer = self.settle();
        let mut state = self.shared.state();
        state.closed = true;
        if writer.is_some() {
            state.writer = writer;
        }
        drop(state);
        self.shared.changed.notify_all();
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
    /// The task.
    #[must_use]
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// Adds a page. All batches of a task have one schema.
    ///
    /// # Errors
    /// When rows couldn't be written. No rows leave the queue from then on, and the reader gets the same error.
    pub fn push(&mut self, batch: RecordBatch) -> Result<Room, StoreError> {
        let bytes = batch.get_array_memory_size();
        let mut guard = self.shared.state();
        let state = &mut *guard;
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        // Nobody reads any more: the rows are let go.
        let Some(held) = state.held.get_mut(&self.id) else { return Ok(Room::Enough) };
        if batch.num_rows() == 0 {
            return Ok(Room::Enough);
        }
        held.batches.push(batch);
        held.bytes += bytes;
        state.waiting += bytes;
        state.in_memory.insert((self.task, self.id));
        Ok(if state.waiting <= self.shared.limit { Room::Enough } else { Room::Wanted })
    }

    /// Where more rows wait than the memory may hold, brings some to disk, and blocks for that time: async callers leave it
    /// to `spawn_blocking`.
    ///
    /// # Errors
    /// As [`TaskBuffer::push`].
    pub fn make_room(&self) -> Result<(), StoreError> {
        self.shared.make_room()
    }

    /// The task has ended well: its rows may leave. Never waits for the disk or the reader.
    pub fn finish(mut self) {
        // Dropping it afterwards lets go of nothing: the rows are the reader's.
        self.finished = true;
        self.shared.end(self.task, Some(self.id));
    }
}

impl TaskRows for TaskBuffer {
    fn push(&mut self, page: RecordBatch) -> Result<Room, Box<dyn Error + Send + Sync>> {
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
        if let Some(held) = state.take(self.id) {
            // Files are removed without holding up others.
            drop(state);
            drop(held);
        }
    }
}

impl fmt::Debug for TaskBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuffer").field("task", &self.task).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, task: TaskId, buffer: Option<u64>) {
        let mut state = self.state();
        match state.notes.remove(&task) {
            // It has ended when that is written down.
            Some(note) if state.keeper.is_some() => state.order(Order::Task { task, buffer, note }),
            _ => state.end(task, buffer),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Brings rows to disk until well below the limit, so that this isn't for every page.
    fn make_room(&self) -> Result<(), StoreError> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let victims = {
            let state = self.state();
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            // Others may have made room while this one waited for the disk.
            if state.waiting <= self.limit { Vec::new() } else { state.victims(self.limit / 4) }
        };
        victims.into_iter().try_for_each(|ids| self.spill(&ids, &mut disk))
    }

    /// Brings what buffers of one table have in memory to disk.
    pub(crate) fn spill(&self, ids: &[u64], disk: &mut Segments) -> Result<(), StoreError> {
        let mut borrowed = self.borrow(ids);
        // Where this thread dies on the way, the reader must not wait for it.
        let guard = Unwritten { shared: self };
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

    /// Takes what buffers hold out of them for a while; its bytes still count as waiting.
    fn borrow(&self, ids: &[u64]) -> Vec<(u64, Held)> {
        let mut guard = self.state();
        let state = &mut *guard;
        let borrow = |&id: &u64| {
            let held = state.held.get_mut(&id).filter(|held| !held.batches.is_empty())?;
            state.in_memory.remove(&(held.task, id));
            let left = Held { task: held.task, busy: true, ..Held::default() };
            Some((id, std::mem::replace(held, left)))
        };
        ids.iter().filter_map(borrow).collect()
    }

    /// Puts back what is on disk now, unless nobody wants it any more.
    fn give_back(&self, spilled: Vec<(u64, Held)>) {
        let mut guard = self.state();
        let state = &mut *guard;
        for (id, spilled) in spilled {
            state.waiting -= spilled.bytes;
            let Some(held) = state.held.get_mut(&id) else { continue };
            // Meanwhile the task may have pushed more.
            held.runs = spilled.runs;
            held.duplicates = spilled.duplicates;
            held.busy = false;
        }
        drop(guard);
        self.changed.notify_all();
    }

    pub(crate) fn fail(&self, error: StoreError) {
        self.state().failed.get_or_insert(error);
        self.changed.notify_all();
    }
}

/// Tells the reader of a thread that died while it wrote.
pub(crate) struct Unwritten<'a> {
    pub(crate) shared: &'a Shared,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        self.shared.fail(StoreError::Abandoned);
    }
}

impl State {
    pub(crate) fn end(&mut self, task: TaskId, buffer: Option<u64>) {
        if !self.unread {
            let before = self.ended.insert(task, buffer);
            debug_assert!(before.is_none(), "task {task} has ended twice");
        }
    }

    /// Leaves something to the keeper. Where it is gone, it has said why.
    pub(crate) fn order(&self, order: Order) {
        if let Some(keeper) = &self.keeper {
            let _it_is_gone = keeper.send(order);
        }
    }

    /// Takes a buffer out, with what it has in memory.
    fn take(&mut self, id: u64) -> Option<Held> {
        let held = self.held.remove(&id)?;
        self.in_memory.remove(&(held.task, id));
        self.waiting -= held.bytes;
        Some(held)
    }

    /// The buffers to bring to disk so that at most `rest` bytes are left in memory, in groups that one block holds.
    ///
    /// Large ones first, each alone: a run on disk should be long. Then those that leave last.
    fn victims(&self, rest: usize) -> Vec<Vec<u64>> {
        let too_much = Cell::new(self.waiting.saturating_sub(rest));
        let wanted = |held: &Held| {
            let wanted = too_much.get() > 0;
            too_much.set(too_much.get().saturating_sub(held.bytes));
            wanted
        };
        let waiting = || self.in_memory.iter().rev().filter_map(|&(_, id)| Some((id, self.held.get(&id)?)));
        let (mut large, small): (Vec<_>, Vec<_>) = waiting().partition(|(_, held)| held.bytes >= BLOCK_BYTES);
        large.sort_by_key(|(_, held)| Reverse(held.bytes));
        let large = large.into_iter().take_while(|(_, held)| wanted(held));
        let mut groups: Vec<Vec<u64>> = large.map(|(id, _)| vec![id]).collect();
        let (mut bytes, mut schema) = (BLOCK_BYTES, None);
        for (id, held) in small.into_iter().take_while(|(_, held)| wanted(held)) {
            let same = held.schema().is_some_and(|own| schema.replace(own).is_some_and(|last| last == own));
            bytes += held.bytes;
            match groups.last_mut() {
                Some(group) if same && bytes < BLOCK_BYTES => group.push(id),
                _ => {
                    groups.push(vec![id]);
                    bytes = held.bytes;
                }
            }
        }
        groups
    }
}

impl Held {
    /// Rows that lie on disk already.
    pub(crate) fn on_disk(runs: Vec<Run>, duplicates: u64) -> Self {
        Self { runs, duplicates, ..Self::default() }
    }

    fn schema(&self) -> Option<&SchemaRef> {
        self.batches.first().map(RecordBatch::schema_ref)
    }

    /// Takes what is in memory. `bytes` stays, for the account.
    fn sorted(&mut self) -> Sorted {
        let sorted = Sorted::new(std::mem::take(&mut self.batches));
        self.duplicates += sorted.duplicates;
        sorted
    }

    /// Many runs of one level become one of the next, so that no task has more than some dozens of them.
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

/// Writes what buffers of one table have in memory, as one run each.
fn spill(buffers: &mut [(u64, Held)], segments: &mut Segments) -> Result<(), StoreError> {
    let Some(schema) = buffers.iter().find_map(|(_, held)| held.schema()).cloned() else { return Ok(()) };
    if let [(_, held)] = buffers {
        let sorted = held.sorted();
        held.runs.extend(segments.write(&schema, 0, sorted.blocks())?);
    } else {
        let all = |(_, held): &mut (u64, Held)| {
            let all = held.sorted().whole()?;
            Ok(all.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&schema))))
        };
        let tasks: Vec<RecordBatch> = buffers.iter_mut().map(all).collect::<Result<_, StoreError>>()?;
        for ((_, held), run) in buffers.iter_mut().zip(segments.write_together(&schema, &tasks)?) {
            held.runs.push(run);
        }
    }
    buffers.iter_mut().try_for_each(|(_, held)| held.merge_levels(segments, &schema))
}

impl Rows {
    /// How many rows of each task were left out since AWS gave them twice, for the tasks that have been read.
    #[must_use]
    pub fn duplicates(&self) -> &BTreeMap<TaskId, u64> {
        &self.duplicates
    }

    /// Waits for the next task with rows.
    fn next_task(&mut self) -> Result<Option<(TaskId, Merge)>, StoreError> {
        let mut state = self.shared.state();
        let (task, held) = loop {
            if self.next.slot >= self.shared.slots {
                return Ok(None);
            }
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            let parts = state.parts.get(&self.next.slot).copied();
            if parts.is_some_and(|parts| self.next.part >= parts) || parts.is_none() && state.closed {
                state.parts.remove(&self.next.slot);
                self.next = TaskId { slot: self.next.slot + 1, part: 0 };
                continue;
            }
            match state.ended.get(&self.next).copied().filter(|_| parts.is_some()) {
                Some(Some(id)) if !state.held.get(&id).is_some_and(|held| held.busy) => {
                    state.ended.remove(&self.next);
                    let held = state.take(id).unwrap_or_default();
                    let task = self.next;
                    self.next.part += 1;
                    break (task, held);
                }
                Some(None) => {
                    state.ended.remove(&self.next);
                    self.next.part += 1;
                    continue;
                }
                None if state.closed => {
                    self.next.part += 1;
                    continue;
                }
                _ => {}
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let memory = (!held.batches.is_empty()).then(|| Sorted::new(held.batches));
        let mut merge = Merge::new(held.runs, memory)?;
        merge.duplicates += held.duplicates;
        Ok(Some((task, merge)))
    }

    fn next_batch(&mut self) -> Result<Option<(TaskId, RecordBatch)>, StoreError> {
        loop {
            if let Some((task, merge)) = &mut self.current {
                if let Some(batch) = merge.next()? {
                    return Ok(Some((*task, batch)));
                }
                if merge.duplicates > 0 {
                    self.duplicates.insert(*task, merge.duplicates);
                }
                self.current = None;
            }
            match self.next_task()? {
                Some(task) => self.current = Some(task),
                None => return Ok(None),
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<(TaskId, RecordBatch), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.next_batch().transpose();
        if let Some(Err(error)) = &item {
            self.shared.fail(error.clone());
        }
        if !matches!(item, Some(Ok(_))) {
            self.current = None;
            self.next.slot = self.shared.slots;
            self.shared.let_go();
        }
        item
    }
}

impl Shared {
    /// Nobody reads any more. What comes in from now on is let go at once.
    fn let_go(&self) {
        let mut state = self.state();
        state.unread = true;
        let rows = std::mem::take(&mut state.held);
        // What is being written just now counts until it is.
        state.waiting -= rows.values().map(|held| held.bytes).sum::<usize>();
        state.in_memory.clear();
        state.ended.clear();
        drop(state);
        drop(rows);
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.shared.let_go();
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("next", &self.next).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
