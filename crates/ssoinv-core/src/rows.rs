//! How the runner hands rows on without knowing where they wait for their turn. `ssoinv-store` keeps them.

use std::error::Error;
use std::fmt;

use arrow_array::RecordBatch;

/// Names a task: its place in the plan's order, which is the order in which rows leave.
///
/// A *slot* is one table in one account; all slots are known from the start. How many *parts* it has, a task for each
/// region, may be found out only while the run goes on.
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

/// Takes the rows of tasks, in any order, from any thread.
pub trait RowStore: Send + Sync + fmt::Debug {
    /// Tells how many parts a slot has, once for each slot.
    fn open(&self, slot: usize, parts: usize);

    /// Begins the rows of a task. A task that begins anew drops what it began first.
    fn begin(&self, task: TaskId) -> Box<dyn TaskRows>;

    /// The task has ended without rows.
    fn skip(&self, task: TaskId);
}

/// Whether there is room for more rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Room {
    /// There is.
    Enough,
    /// Before more are collected, [`TaskRows::make_room`] is to be called.
    Wanted,
}

/// The rows of one task: a unit. Dropped instead of finished, they never were.
pub trait TaskRows: Send {
    /// Adds a page. Never blocks.
    ///
    /// # Errors
    /// When rows can't be kept any more; whoever reads them gets the reason.
    fn push(&mut self, page: RecordBatch) -> Result<Room, Box<dyn Error + Send + Sync>>;

    /// Writes rows to disk, of this task or of others, and blocks for that time.
    ///
    /// # Errors
    /// As [`TaskRows::push`].
    fn make_room(&mut self) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// The task has ended well: its rows may leave. Never blocks.
    fn finish(self: Box<Self>);
}
