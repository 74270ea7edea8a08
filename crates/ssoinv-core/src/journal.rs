//! [`Journal`]: the record of what a run has done, from which a resumed run continues.
//!
//! The runner (`ssoinv-run`) calls it; `ssoinv-store` implements it.

use std::fmt;

use crate::coverage::Cell;
use crate::rows::TaskId;
use crate::table::TableSchema;

/// The record of a run, and of the earlier run that it resumes. Called from many threads.
///
/// Task IDs are places in one plan, and each run makes its plan anew. Across runs a task or an account is identified by
/// its *key*: table, place and accesses.
pub trait Journal: Send + Sync + fmt::Debug {
    /// Returns the recorded roles and regions of an account, as the caller wrote them, if they are recent enough.
    fn recall_survey(&self, visit: &str) -> Option<String>;

    /// Records the number of an account's tasks; `found` are the roles and regions that a resumed run can reuse.
    fn note_survey(&self, visit: &str, tasks: usize, found: Option<String>);

    /// Returns the cells of a task that was done recently enough. Its rows become those of `task`, and are finished.
    ///
    /// Reads the disk.
    fn recall(&self, task: TaskId, key: &str, table: &TableSchema) -> Option<Vec<Cell>>;

    /// Records the end of a task. Must be called before the task's rows are finished or the task is skipped.
    fn note(&self, task: TaskId, key: &str, cells: &[Cell]);
}
