//! What can go wrong with rows on disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::ArrowError;

/// Rows could not be kept. The run can't promise its rows any more and ends with exit code 74.
///
/// It can be cloned, since the reader and everybody who pushes hear of the same failure.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk said no: full, read-only, no permission, not a folder.
    #[error("cannot {action} `{}`", path.display())]
    Disk {
        /// What was tried, as a verb: `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Arrow refused rows, or what was read back isn't what was written.
    #[error("rows cannot be sorted or kept")]
    Rows(#[source] Arc<ArrowError>),
    /// What a run has done can't be written down.
    #[error("a record cannot be written: {0}")]
    Record(String),
    /// A run of this name is kept already.
    #[error("there is a run `{0}` already")]
    Taken(String),
    /// No run of this name is kept.
    #[error("there is no run `{0}`")]
    NoRun(String),
    /// The run's process lives.
    #[error("run `{0}` is under way")]
    UnderWay(String),
    /// The run is another version's, which keeps it in another form.
    #[error("run `{0}` was kept by another version")]
    Foreign(String),
    /// A thread ended in the middle of writing rows to disk; they are lost with it.
    #[error("a thread ended while it wrote rows to disk")]
    Abandoned,
}

impl StoreError {
    pub(crate) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { action, path, source: Arc::new(source) }
    }

    /// An error of Arrow's reader or writer, which wraps the disk's.
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
