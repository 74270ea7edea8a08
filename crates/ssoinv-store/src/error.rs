//! Errors of rows on disk and of saved runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::ArrowError;

/// An error of the store. It can be cloned, since the reader and every task get the same error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed: disk full, read-only, no permission, not a folder.
    #[error("cannot {action} `{}`", path.display())]
    Disk {
        /// The operation, as a verb: `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: Arc<io::Error>,
    },
    /// Arrow refused rows, or rows were read back damaged.
    #[error("cannot sort or store rows")]
    Rows(#[source] Arc<ArrowError>),
    /// A record of a saved run can't be made.
    #[error("cannot write a record: {0}")]
    Record(String),
    /// There is a saved run with this name.
    #[error("there is a run `{0}` already")]
    Taken(String),
    /// There is no saved run with this name.
    #[error("there is no run `{0}`")]
    NoRun(String),
    /// The run's process is running.
    #[error("run `{0}` is under way")]
    UnderWay(String),
    /// The run is in another version's form.
    #[error("run `{0}` was saved by another version")]
    Foreign(String),
    /// A thread panicked while it wrote rows to disk; the rows are lost.
    #[error("a thread ended while it wrote rows to disk")]
    Abandoned,
}

impl StoreError {
    pub(crate) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { action, path, source: Arc::new(source) }
    }

    /// Takes the file error out of an error of Arrow's reader or writer.
    pub(crate) fn arrow_disk(action: &'static str, path: &Path) -> impl FnOnce(ArrowError) -> Self {
        let path = path.to_owned();
        move |error| match error {
            ArrowError::IoError(_, source) => Self::Disk { action, path, source: Arc::new(source) },
            other => Self::from(other),
        }
    }
}

impl From<ArrowError> for StoreError {
    fn from(error: ArrowError) -> Self {
        Self::Rows(Arc::new(error))
    }
}
