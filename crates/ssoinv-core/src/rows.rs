//! How the runner hands rows on without knowing where they wait for their turn. `ssoinv-store` keeps them.

use std::error::Error;
use std::fmt;

use arrow_array::RecordBatch;

/// Takes the rows of tasks, in any order, from any thread.
pub trait RowStore: Send + Sync + fmt::Debug {
    /// Begins the rows of a task, by its number in the plan. A task that begins anew drops what it began first.
    fn begin(&self, task: usize) -> Box<dyn TaskRows>;

    /// The task has ended without rows.
    fn skip(&self, task: usize);
}

/// The rows of one task: a unit. Dropped instead of finished, they never were.
pub trait TaskRows: Send {
    /// Adds a page. May write to disk, and block for that time.
    ///
    /// # Errors
    /// When rows can't be kept any more; whoever reads them gets the reason.
    fn push(&mut self, page: RecordBatch) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// The task has ended well: its rows may leave. Never blocks.
    fn finish(self: Box<Self>);
}
