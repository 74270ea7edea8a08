//! The interface between the runner, which collects rows, and the row store, where they wait for their turn.

use std::error::Error;
use std::fmt;

use arrow_array::RecordBatch;

/// The ID of a task: its place in the plan's order, which is the order in which rows leave.
///
/// A *slot* is one table in one account; all slots are known from the start. A slot has a *part* for each region, and
/// their number may become known only during the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TaskId {
    /// The slot.
    pub slot: usize,
    /// The part of the slot.
    pub part: usize,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.part)
    }
}

/// A store of the rows of tasks. Tasks come in any order, from any thread.
pub trait RowStore: Send + Sync + fmt::Debug {
    /// Sets the number of parts of a slot, once for each slot.
    fn open(&self, slot: usize, parts: usize);

    /// Begins the rows of a task. A task that begins anew drops the rows that it began first.
    fn begin(&self, task: TaskId) -> Box<dyn TaskRows>;

    /// Ends a task without rows.
    fn skip(&self, task: TaskId);
}

/// The answer of the row store to a page of rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Backpressure {
    /// There is memory for more rows.
    Ready,
    /// [`TaskRows::make_room`] must be called before more rows are collected.
    Full,
}

/// The rows of one task, which are one unit. Dropping it without [`TaskRows::finish`] discards the rows.
pub trait TaskRows: Send {
    /// Adds a page. Never blocks.
    ///
    /// # Errors
    /// When rows can't be stored any more; the reader gets the same error.
    fn push(&mut self, page: RecordBatch) -> Result<Backpressure, Box<dyn Error + Send + Sync>>;

    /// Writes rows to disk, of this task or of others. Blocks for that time.
    ///
    /// # Errors
    /// As [`TaskRows::push`].
    fn make_room(&mut self) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Ends the task well: its rows may leave. Never blocks.
    fn finish(self: Box<Self>);
}
