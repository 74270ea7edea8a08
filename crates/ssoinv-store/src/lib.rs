//! Rows on disk: the queue between the runner and its outputs, and saved runs.
//!
//! The runner pushes rows task by task and page by page, as AWS returns them. They leave a [`RowQueue`] sorted by their
//! keys, one task after another: [`row_queue`] is the place to start. `merge` sorts, `segment` is the form on disk,
//! [`run_folder`] the folder of a run and the removal of folders that dead runs left.
//!
//! A saved run ([`run_store`]) can be resumed: `journal` is the form of its records, `recorder` writes and recalls them,
//! [`replay`] reads a complete run once more.
//!
//! Nothing here knows AWS or a format. Time, names and folders are passed in.

pub mod error;
mod journal;
mod merge;
mod queue_state;
mod recorder;
pub mod replay;
pub mod row_queue;
pub mod row_reader;
pub mod run_folder;
pub mod run_store;
mod segment;
pub mod stored_cell;
#[cfg(test)]
mod testing;

pub use error::StoreError;
pub use queue_state::RowOrder;
pub use replay::Replay;
pub use row_queue::{EntryKind, RowQueue, TaskBuffer};
pub use row_reader::RowReader;
pub use run_folder::{RunFolder, sweep};
pub use run_store::{Manifest, RunState, RunStore, RunSummary, StoredRun};
pub use stored_cell::StoredCell;
