//! Replays a complete run: its rows and cells once more, without a call.

use std::sync::Arc;
use std::time::SystemTime;

use ssoinv_core::clock::Clock;
use ssoinv_core::coverage::Cell;
use ssoinv_core::rows::TaskId;
use ssoinv_core::table::TableSchema;

use crate::journal::{EntryRecord, Record, RowLocations};
use crate::queue_state::RowOrder;
use crate::recorder::Recorder;
use crate::row_queue::RowQueue;
use crate::row_reader::RowReader;
use crate::run_store::StoredRun;
use crate::segment::Segments;
use crate::stored_cell::StoredCell;

/// A complete run, ready to be read once more.
#[derive(Debug)]
pub struct Replay {
    /// The runner's side, with nothing left to do.
    pub queue: RowQueue,
    /// The rows.
    pub rows: RowReader,
    /// The ledger's cells of each entry of the plan.
    pub cells: Vec<Vec<Cell>>,
}

impl StoredRun {
    /// Replays a complete run, in the order of its plan.
    ///
    /// # Errors
    /// Gives the run back, to be resumed, if it isn't complete, if some of it is damaged, older than `oldest` or not of
    /// `tables`, or if `is_all` says of its cells that the plan would have others now.
    pub fn replay(
        self,
        budget: usize,
        oldest: Option<SystemTime>,
        clock: Clock,
        tables: &[Arc<TableSchema>],
        is_all: impl FnOnce(&[Vec<Cell>]) -> bool,
    ) -> Result<Replay, Box<Self>> {
        let Some(entries) = self.index.entries(oldest) else { return Err(Box::new(self)) };
        // A replay writes no segments, so their numbers don't matter.
        let segments = Segments::new(self.folder(), 0);
        let (mut queue, rows) = RowQueue::with_segments(entries.len(), RowOrder::Plan, budget, segments);
        let recorder = Recorder::reader(self, oldest, clock);
        let mut cells = Vec::with_capacity(entries.len());
        for (slot, entry) in entries.into_iter().enumerate() {
            queue.open(slot, 1);
            let task = TaskId { slot, part: 0 };
            let (stored, rows) = match entry {
                EntryRecord::Settled(cells) => (cells, RowLocations::default()),
                EntryRecord::Task(position) => match recorder.run.index.record(position) {
                    Some(Record::Task { cells, rows, .. }) => (cells, rows),
                    _ => return Err(Box::new(recorder.run)),
                },
            };
            let table = stored.first().map(StoredCell::table);
            let table = tables.iter().find(|known| Some(&*known.name) == table);
            let restored = table.and_then(|table| recorder.restore(stored, rows, table));
            let Some((restored, buffer)) = restored else { return Err(Box::new(recorder.run)) };
            cells.push(restored);
            queue.shared.end_restored(task, buffer);
        }
        if !is_all(&cells) {
            return Err(Box::new(recorder.run));
        }
        queue.recorder = Some(recorder);
        Ok(Replay { queue, rows, cells })
    }
}
