//! A line of a profile file.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::config_edit::line_edit::{Change, FileEdit, LineEdit};

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file, as it was opened.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

impl Location {
    /// Returns a change to this line.
    #[must_use]
    pub fn edit(&self, change: Change) -> FileEdit {
        FileEdit { file: Arc::clone(&self.file), edit: LineEdit { line: self.line, change } }
    }
}
