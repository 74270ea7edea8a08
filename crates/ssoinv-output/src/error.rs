//! What can go wrong on the way out.

use std::io;

use arrow_schema::{ArrowError, DataType};

/// The output could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The destination said no. Which one it was, the caller knows.
    #[error("the output cannot be written")]
    Write(#[source] io::Error),
    /// Several tables as CSV, and one file or stdout for all. They need a folder.
    #[error("several tables as CSV need a folder")]
    NeedsFolder,
    /// Rows of a table came after those of a later one: a bug of the caller's.
    #[error("rows of table {table} came after those of table {after}")]
    OutOfOrder {
        /// The table that the rows are of, by its number.
        table: usize,
        /// The table that has begun already.
        after: usize,
    },
    /// A column has a type that no table of ours has: a bug of the caller's.
    #[error("column `{column}` has a type that cannot be shown: {data_type}")]
    Type {
        /// The column's name.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// Arrow refused the selected columns: a bug.
    #[error("columns cannot be selected")]
    Columns(#[from] ArrowError),
}

impl OutputError {
    /// Returns true if the reader has closed the pipe (`| head`), which is no failure.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
