//! Station 6: rows on disk. What a run needs to keep rows until it is their turn.
//!
//! Rows come in from the runner, task by task and page by page, in whatever order AWS answers; they leave in the plan's
//! order, those of a task sorted by their key. [`queue`] is that hand-over and the place to start; `merge` sorts;
//! `segment` is the form on disk; [`run`] the folder that it lies in, and what is done with those of dead runs.
//!
//! A run that is [`kept`] can be gone on with: `journal` is what it has done, `keeper` writes and recalls it.
//!
//! Nothing here knows AWS or a format. Time, names and places are handed in.

pub mod cell;
pub mod error;
mod journal;
mod keeper;
pub mod kept;
mod merge;
pub mod queue;
pub mod run;
mod segment;
#[cfg(test)]
mod testing;

pub use cell::StoredCell;
pub use error::StoreError;
pub use keeper::{Kind, Replay};
pub use kept::{KeptRun, KeptRuns, Manifest, RunState, RunSummary};
pub use queue::{RowQueue, Rows, TaskBuffer};
pub use run::{RunFolder, sweep};
