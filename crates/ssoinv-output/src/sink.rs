//! The interface of a format, and the options of all formats.

use arrow_array::RecordBatch;
use arrow_schema::Schema;

use crate::error::OutputError;

/// Options of the formats. Each format uses those that concern it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// True if tables and CSV have a header.
    pub header: bool,
    /// True if the output goes to a terminal: then no format writes control characters raw.
    pub terminal: bool,
    /// The terminal's width in columns, if it is known.
    pub width: Option<usize>,
    /// True for CSV that spreadsheets read: a byte order mark, CRLF, no formulas, account IDs kept as text.
    pub spreadsheet: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { header: true, terminal: false, width: None, spreadsheet: false }
    }
}

/// A format. It appends to a buffer and doesn't know the destination.
///
/// The calls come in this order: `begin`, then for each table `begin_table`, `rows` as often as there are batches,
/// `end_table`; then `end`.
pub trait Sink: Send {
    /// Begins the output; `several` is true if it may hold several tables.
    fn begin(&mut self, out: &mut Vec<u8>, several: bool);
    /// Begins a table, also a table without rows.
    fn begin_table(&mut self, out: &mut Vec<u8>, name: &str, schema: &Schema);
    /// Appends rows of the table that has begun.
    ///
    /// # Errors
    /// When a column has a type that no table has.
    fn rows(&mut self, out: &mut Vec<u8>, batch: &RecordBatch) -> Result<(), OutputError>;
    /// Ends a table.
    fn end_table(&mut self, out: &mut Vec<u8>);
    /// Ends the output.
    fn end(&mut self, out: &mut Vec<u8>);
}
