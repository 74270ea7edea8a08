//! How a run remembers what it has done, so that another goes on where it stopped. `ssoinv-store` keeps it.

use std::fmt;

use crate::coverage::Cell;
use crate::rows::TaskId;
use crate::table::TableSchema;

/// What a run has done, and what an earlier one did that it goes on with. Called from many threads.
///
/// Task IDs are places in one plan, and the plan is made anew each time: across runs a task and a visit are known by
/// their *key*, which says what is asked, where, and through whom.
pub trait Journal: Send + Sync + fmt::Debug {
    /// What was found out about a visit's roles and regions, in the words of whoever noted it, if it is young enough.
    fn recall_survey(&self, visit: &str) -> Option<String>;

    /// A visit has so many tasks; `found` is what another run need not find out again.
    fn note_survey(&self, visit: &str, tasks: usize, found: Option<String>);

    /// The cells of a task that has been done, if it is young enough. Its rows are then those of `task`, and finished.
    /// Reads the disk.
    fn recall(&self, task: TaskId, key: &str, table: &TableSchema) -> Option<Vec<Cell>>;

    /// How a task has ended. To be called before its rows are finished or the task is skipped.
    fn note(&self, task: TaskId, key: &str, cells: &[Cell]);
}
