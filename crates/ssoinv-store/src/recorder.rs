//! How a kept run keeps what it does. Every task's rows go to disk when it has ended, then the record that says so, then
//! they may leave.
//!
//! A thread of its own does that, so that the runner's side never waits for a disk: it takes whatever has ended
//! meanwhile, writes the rows, then the records at once. What a killed process has written the system still has; so that
//! a power cut takes little, files are brought to the disk itself every few seconds, rows before records. Should they
//! arrive in another order all the same, sums tell: see [`crate::journal`].
//!
//! The other way round, [`Journal::recall`] makes what lies in the run's folder a task's finished rows.

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
use ssoinv_core::journal::Journal;
use ssoinv_core::rows::TaskId;
use ssoinv_core::status::Status;
use ssoinv_core::table::TableSchema;

use crate::cell::StoredCell;
use crate::error::StoreError;
use crate::journal::{Line, Place, Record, StoredRows, Writer};
use crate::kept::KeptRun;
use crate::queue::{Held, RowQueue, Rows, Shared, Unwritten};
use crate::segment::{Run, Segment, Segments};

/// How often files are brought to the disk itself.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// The most records that are written at once.
const MOST_AT_ONCE: usize = 256;

/// What a task's record will say, until its rows are there.
#[derive(Debug)]
pub(crate) struct Note {
    key: String,
    at: SystemTime,
    cells: Vec<StoredCell>,
    done: bool,
}

/// What the thread is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// A task has ended, with rows or without.
    Task { task: TaskId, buffer: Option<u64>, note: Note },
    /// Something else to write down.
    Record(Record),
}

/// The kept run that a queue's rows belong to.
pub(crate) struct Kept {
    run: KeptRun,
    clock: Clock,
    /// What ended then or before is too old.
    oldest: Option<SystemTime>,
    /// The thread that writes; it gives back the journal.
    thread: Mutex<Option<JoinHandle<Option<Writer>>>>,
    /// The segments of earlier processes that are being read.
    segments: Mutex<HashMap<u32, Weak<Segment>>>,
    recalled: AtomicUsize,
}

/// A complete run, ready to be told once more.
#[derive(Debug)]
pub struct Replay {
    /// The runner's side; nothing is to be done there any more.
    pub queue: RowQueue,
    /// The rows.
    pub rows: Rows,
    /// The ledger's cells of each line of the plan.
    pub cells: Vec<Vec<Cell>>,
}

impl RowQueue {
    /// A queue for a run that is kept: all its rows go to disk, and what has ended is written down. Of what the run did
    /// before, what ended at `oldest` or earlier doesn't count. `tasks` are planned as far as that is known.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn kept(
        slots: usize,
        budget: usize,
        run: KeptRun,
        oldest: Option<SystemTime>,
        clock: Clock,
        tasks: usize,
    ) -> Result<(Self, Rows), StoreError> {
        let mut writer = Writer::open(&run.journal(), run.memory.whole)?;
        let segments = Segments::new(run.folder(), Segments::last_in(run.path())?);
        writer.append(&[Record::Begin { tasks }])?;
        let (mut queue, rows) = Self::with_segments(slots, budget, segments);
        let (sender, receiver) = channel();
        queue.shared.state().keeper = Some(sender);
        let shared = Arc::clone(&queue.shared);
        let thread = thread::spawn(move || keep(&shared, writer, &receiver));
        queue.kept = Some(Kept::new(run, oldest, clock, Some(thread)));
        Ok((queue, rows))
    }

    /// How many tasks had been done before.
    #[must_use]
    pub fn recalled(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.recalled.load(Ordering::Relaxed))
    }

    /// The cells of tasks that the run had, and that aren't in this plan any more.
    #[must_use]
    pub fn unplanned(&self) -> Vec<StoredCell> {
        let kept = self.kept.as_ref();
        kept.map(|kept| kept.run.memory.cells(true)).unwrap_or_default().into_iter().flatten().collect()
    }

    /// Waits until everything that has ended is written down.
    pub(crate) fn settle(&self) -> Option<Writer> {
        let sender = self.shared.state().keeper.take();
        // With the last sender the thread ends.
        drop(sender);
        let thread = self.kept.as_ref()?.thread.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // Where it panicked, the reader has been told.
        thread.join().ok()?
    }

    /// Closes the queue and writes down that all has ended well, if it has: `lines` are the plan's, each with its cells,
    /// and `None` where it was settled without a call. The run counts as complete only if each of its tasks is kept.
    ///
    /// # Errors
    /// When it can't be written down. The rows are there all the same.
    pub fn complete<'a>(
        &self,
        lines: impl IntoIterator<Item = (TaskId, &'a [Cell], Kind)>,
    ) -> Result<bool, StoreError> {
        let Some(mut writer) = self.settled_writer() else { return Ok(false) };
        let state = self.shared.state();
        let mut written = Vec::new();
        for (task, cells, kind) in lines {
            if !cells.iter().all(|cell| cell.status.is_complete()) {
                return Ok(false);
            }
            written.push(match (kind, state.places.get(&task)) {
                (Kind::Task, Some(&place)) => Line::Task(place),
                (Kind::Task, None) => return Ok(false),
                (Kind::Settled, _) => Line::Settled(cells.iter().map(StoredCell::from).collect()),
            });
        }
        drop(state);
        writer.append(&[Record::Complete { lines: written }])?;
        writer.sync()?;
        Ok(true)
    }

    fn settled_writer(&self) -> Option<Writer> {
        if let Some(writer) = self.settle() {
            return Some(writer);
        }
        self.shared.state().writer.take()
    }
}

/// Whether a line of the plan needed a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was asked.
    Task,
    /// It was settled by what the files say.
    Settled,
}

impl KeptRun {
    /// Whether there may be anything to [tell once more](KeptRun::replay).
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.memory.is_complete()
    }

    /// All that a complete run has collected, in the order of its plan, if it is all there, of these tables and young
    /// enough, and if `is_all` says of its cells that nothing else is to be looked at now; else the run.
    pub fn replay(
        self,
        budget: usize,
        oldest: Option<SystemTime>,
        clock: Clock,
        tables: &[Arc<TableSchema>],
        is_all: impl FnOnce(&[Vec<Cell>]) -> bool,
    ) -> Result<Replay, Box<Self>> {
        let Some(lines) = self.memory.lines(oldest) else { return Err(Box::new(self)) };
        // Nothing is written, so there is no number to begin with.
        let (mut queue, rows) = RowQueue::with_segments(lines.len(), budget, Segments::new(self.folder(), 0));
        let kept = Kept::new(self, oldest, clock, None);
        let mut cells = Vec::with_capacity(lines.len());
        for (slot, line) in lines.into_iter().enumerate() {
            queue.open(slot, 1);
            let task = TaskId { slot, part: 0 };
            let (stored, rows) = match line {
                Line::Settled(cells) => (cells, StoredRows::default()),
                Line::Task(place) => match kept.run.memory.record(place) {
                    Some(Record::Task { cells, rows, .. }) => (cells, rows),
                    _ => return Err(Box::new(kept.run)),
                },
            };
            let table = stored.first().map(StoredCell::table);
            let table = tables.iter().find(|known| Some(&*known.name) == table);
            let Some(restored) = table.and_then(|table| kept.restore(stored, rows, table)) else {
                return Err(Box::new(kept.run));
            };
            cells.push(restored.0);
            queue.shared.restored(task, restored.1);
        }
        if !is_all(&cells) {
            return Err(Box::new(kept.run));
        }
        queue.kept = Some(kept);
        Ok(Replay { queue, rows, cells })
    }
}

impl Kept {
    fn new(
        run: KeptRun,
        oldest: Option<SystemTime>,
        clock: Clock,
        thread: Option<JoinHandle<Option<Writer>>>,
    ) -> Self {
        let (segments, recalled) = (Mutex::default(), AtomicUsize::new(0));
        Self { run, clock, oldest, thread: Mutex::new(thread), segments, recalled }
    }

    /// The cells and rows of a record, if all of it is whole.
    fn restore(
        &self,
        cells: Vec<StoredCell>,
        rows: StoredRows,
        table: &TableSchema,
    ) -> Option<(Vec<Cell>, Held)> {
        if cells.iter().any(|cell| cell.table() != &*table.name) {
            return None;
        }
        let cell = |stored: StoredCell| Some(Cell { table: Arc::clone(&table.name), ..stored.cell()? });
        let cells: Vec<Cell> = cells.into_iter().map(cell).collect::<Option<_>>()?;
        let runs =
            rows.runs.into_iter().map(|run| Run::whole(self.segment(run.segment, &table.schema)?, run));
        Some((cells, Held::on_disk(runs.collect::<Option<_>>()?, rows.duplicates)))
    }

    fn segment(&self, number: u32, schema: &SchemaRef) -> Option<Arc<Segment>> {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = segments.get(&number).and_then(Weak::upgrade) {
            // Each table has its own.
            return open.is_of(schema).then_some(open);
        }
        let segment = Arc::new(Segment::reopen(self.run.path(), number, schema).ok()?);
        segments.insert(number, Arc::downgrade(&segment));
        Some(segment)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("run", &self.run.name()).finish_non_exhaustive()
    }
}

impl Journal for RowQueue {
    fn recall_survey(&self, visit: &str) -> Option<String> {
        let kept = self.kept.as_ref()?;
        kept.run.memory.survey(visit, kept.oldest).map(str::to_owned)
    }

    fn note_survey(&self, visit: &str, tasks: usize, found: Option<String>) {
        let Some(kept) = &self.kept else { return };
        let at = kept.clock.now();
        let record = Record::Survey { visit: visit.to_owned(), at, tasks, found };
        self.shared.state().order(Order::Record(record));
    }

    fn recall(&self, task: TaskId, key: &str, table: &TableSchema) -> Option<Vec<Cell>> {
        let kept = self.kept.as_ref()?;
        let (place, cells, rows) = kept.run.memory.task(key, kept.oldest)?;
        let (cells, held) = kept.restore(cells, rows, table)?;
        kept.recalled.fetch_add(1, Ordering::Relaxed);
        self.shared.state().places.insert(task, place);
        self.shared.restored(task, held);
        Some(cells)
    }

    fn note(&self, task: TaskId, key: &str, cells: &[Cell]) {
        let Some(kept) = &self.kept else { return };
        // Who wasn't asked has nothing to tell.
        if cells.first().is_none_or(|cell| cell.status == Status::NotTried) {
            return;
        }
        let done = cells.iter().all(|cell| cell.status.is_complete());
        let cells = cells.iter().map(StoredCell::from).collect();
        let note = Note { key: key.to_owned(), at: kept.clock.now(), cells, done };
        self.shared.state().notes.insert(task, note);
    }
}

/// Does what it is ordered to until nobody can order any more; gives the journal, if nothing went wrong.
fn keep(shared: &Arc<Shared>, mut writer: Writer, orders: &Receiver<Order>) -> Option<Writer> {
    // Where this thread dies on the way, the reader must not wait for it.
    let guard = Unwritten { shared };
    let mut synced = Instant::now();
    let mut dirty = false;
    let ended = loop {
        let wait = if dirty { SYNC_EVERY.saturating_sub(synced.elapsed()) } else { Duration::MAX };
        let mut some = match orders.recv_timeout(wait) {
            Ok(order) => vec![order],
            Err(RecvTimeoutError::Timeout) => vec![],
            Err(RecvTimeoutError::Disconnected) => break shared.sync(&writer),
        };
        some.extend(orders.try_iter().take(MOST_AT_ONCE));
        dirty |= !some.is_empty();
        let mut kept = shared.keep(&mut writer, some);
        if kept.is_ok() && dirty && synced.elapsed() >= SYNC_EVERY {
            kept = shared.sync(&writer);
            (synced, dirty) = (Instant::now(), false);
        }
        if kept.is_err() {
            break kept;
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

impl Shared {
    /// Writes rows, then records; then the tasks have ended.
    fn keep(&self, writer: &mut Writer, orders: Vec<Order>) -> Result<(), StoreError> {
        let (mut records, mut tasks) = (Vec::new(), Vec::new());
        for order in orders {
            let (task, buffer, note) = match order {
                Order::Record(record) => {
                    records.push(record);
                    continue;
                }
                Order::Task { task, buffer, note } => (task, buffer, note),
            };
            let rows = match buffer {
                None => StoredRows::default(),
                Some(id) => match self.write_rows(id)? {
                    Some(rows) => rows,
                    // Nobody reads any more, and the rows have been let go.
                    None => continue,
                },
            };
            let Note { key, at, cells, done } = note;
            tasks.push((records.len(), task, buffer));
            records.push(Record::Task { key, at, done, cells, rows });
        }
        let places: Vec<Place> = writer.append(&records)?;
        let mut state = self.state();
        for (record, task, buffer) in tasks {
            state.places.insert(task, places[record]);
            state.end(task, buffer);
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Brings all rows of a buffer to disk, and tells where they lie; none where they have been let go.
    fn write_rows(&self, id: u64) -> Result<Option<StoredRows>, StoreError> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        self.spill(&[id], &mut disk)?;
        let state = self.state();
        let stored = |held: &Held| StoredRows {
            runs: held.runs.iter().map(Run::stored).collect(),
            duplicates: held.duplicates,
        };
        Ok(state.held.get(&id).map(stored))
    }

    fn sync(&self, writer: &Writer) -> Result<(), StoreError> {
        // Others may write meanwhile.
        let written = self.disk.lock().unwrap_or_else(PoisonError::into_inner).take_unsynced();
        for file in written {
            file.sync()?;
        }
        writer.sync()
    }

    /// The rows of a task are there already.
    fn restored(&self, task: TaskId, mut held: Held) {
        held.task = task;
        let mut state = self.state();
        let id = state.next_buffer;
        state.next_buffer += 1;
        if !state.unread {
            state.held.insert(id, held);
        }
        state.end(task, Some(id));
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
