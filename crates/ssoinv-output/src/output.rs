//! Puts columns, format and destination together: what the thread that writes holds.

use std::fmt;
use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::Schema;

use crate::columns::Selection;
use crate::error::OutputError;
use crate::{csv, json, ndjson, table};

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people: aligned columns.
    Table,
    /// Comma-separated values, RFC 4180 with LF.
    Csv,
    /// One array of objects; of several tables an object of arrays.
    Json,
    /// One object a line.
    Ndjson,
}

impl Format {
    /// All formats, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Table, Self::Csv, Self::Json, Self::Ndjson];

    /// The name, as `-o` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }

    /// The format with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format that a file's ending (without the dot, in any case) stands for.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// The sink that writes it.
    #[must_use]
    pub fn sink(self, options: Options) -> Box<dyn Sink> {
        match self {
            Self::Table => Box::new(table::TableSink::new(options)),
            Self::Csv => Box::new(csv::CsvSink::new(options)),
            Self::Json => Box::new(json::JsonSink::new(options)),
            Self::Ndjson => Box::new(ndjson::NdjsonSink::new(options)),
        }
    }
}

/// What the formats may be told. Each takes what concerns it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Whether tables and CSV have a header.
    pub header: bool,
    /// Whether it goes to a terminal: then nothing that a terminal acts on is written raw, in any format.
    pub terminal: bool,
    /// The terminal's width in columns, where it is known.
    pub width: Option<usize>,
    /// CSV as Excel and its like read it: a byte order mark, CRLF, no formulas, account IDs kept as text.
    pub spreadsheet: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { header: true, terminal: false, width: None, spreadsheet: false }
    }
}

/// A format. It appends to a buffer, and knows nothing of where that goes.
///
/// The calls come in this order: `begin`, then for each table `begin_table`, `rows` as often as there are batches,
/// `end_table`; then `end`.
pub trait Sink: Send {
    /// Before everything. `several` tables may follow.
    fn begin(&mut self, out: &mut Vec<u8>, several: bool);
    /// Before a table's rows, also where there are none.
    fn begin_table(&mut self, out: &mut Vec<u8>, name: &str, schema: &Schema);
    /// Rows of the table that has begun.
    ///
    /// # Errors
    /// When a column has a type that no table of ours has.
    fn rows(&mut self, out: &mut Vec<u8>, batch: &RecordBatch) -> Result<(), OutputError>;
    /// After a table's rows.
    fn end_table(&mut self, out: &mut Vec<u8>);
    /// After everything.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// Where bytes go.
pub enum Destination {
    /// All tables to one place.
    One(Box<dyn Write + Send>),
    /// A place for each table, in their order.
    PerTable(Vec<Box<dyn Write + Send>>),
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One",
            Self::PerTable(_) => "PerTable",
        })
    }
}

/// Writes the rows of some tables in one format to one destination.
///
/// Rows come table by table: once a later table has begun, no rows of an earlier one may come. A plan orders its tasks
/// so; that is what lets JSON keyed by table be written as it comes.
///
/// Nothing is written before the first rows or [`Output::finish`], and each batch has left when [`Output::write`]
/// returns. What has left parses once `finish` was called, after whichever batch that is.
pub struct Output {
    sink: Box<dyn Sink>,
    tables: Vec<Selection>,
    destination: Destination,
    buffer: Vec<u8>,
    /// Tables that have begun.
    begun: usize,
}

impl Output {
    /// An output of `tables`, which [`Output::write`] calls by their number here.
    ///
    /// # Errors
    /// When the format can't have several tables in one place: [`OutputError::NeedsFolder`].
    pub fn begin(
        format: Format,
        options: Options,
        tables: Vec<Selection>,
        destination: Destination,
    ) -> Result<Self, OutputError> {
        match &destination {
            Destination::One(_) if format == Format::Csv && tables.len() > 1 => Err(OutputError::NeedsFolder),
            Destination::PerTable(writers) if writers.len() != tables.len() => Err(OutputError::NeedsFolder),
            _ => {
                let sink = format.sink(options);
                Ok(Self { sink, tables, destination, buffer: Vec::new(), begun: 0 })
            }
        }
    }

    /// Writes rows of the table with number `table`, with all the columns that it has.
    pub fn write(&mut self, table: usize, batch: &RecordBatch) -> Result<(), OutputError> {
        if table + 1 < self.begun || table >= self.tables.len() {
            return Err(OutputError::OutOfOrder { table, after: self.begun.saturating_sub(1) });
        }
        self.begin_up_to(table + 1)?;
        let batch = self.tables[table].apply(batch)?;
        self.sink.rows(&mut self.buffer, &batch)?;
        self.leave(table)
    }

    /// Writes what is still missing: tables without rows, closing brackets.
    pub fn finish(mut self) -> Result<(), OutputError> {
        self.begin_up_to(self.tables.len())?;
        if let Some(last) = self.begun.checked_sub(1) {
            return self.end_table(last);
        }
        // No table at all.
        self.sink.begin(&mut self.buffer, false);
        self.sink.end(&mut self.buffer);
        self.leave(0)
    }

    fn several(&self) -> bool {
        self.tables.len() > 1 && matches!(self.destination, Destination::One(_))
    }

    fn begin_up_to(&mut self, tables: usize) -> Result<(), OutputError> {
        while self.begun < tables {
            if let Some(before) = self.begun.checked_sub(1) {
                self.end_table(before)?;
            }
            let several = self.several();
            if self.begun == 0 || !several {
                self.sink.begin(&mut self.buffer, several);
            }
            let table = &self.tables[self.begun];
            self.sink.begin_table(&mut self.buffer, table.table(), table.schema());
            self.begun += 1;
        }
        Ok(())
    }

    /// Ends a table, and everything in its place if it is the last one there.
    fn end_table(&mut self, table: usize) -> Result<(), OutputError> {
        self.sink.end_table(&mut self.buffer);
        if table + 1 == self.tables.len() || !self.several() {
            self.sink.end(&mut self.buffer);
        }
        self.leave(table)
    }

    /// Hands the buffer on.
    fn leave(&mut self, table: usize) -> Result<(), OutputError> {
        let writer = match &mut self.destination {
            Destination::One(writer) => Some(writer),
            Destination::PerTable(writers) => writers.get_mut(table),
        };
        if let Some(writer) = writer {
            writer.write_all(&self.buffer).and_then(|()| writer.flush()).map_err(OutputError::Write)?;
        }
        self.buffer.clear();
        Ok(())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("tables", &self.tables)
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::columns::Choice;
    use crate::testing::{Thing, Written, batch, other_batch, other_table, table};

    fn selections() -> Vec<Selection> {
        Selection::of(&[table().schema, other_table().schema], Choice::All).unwrap()
    }

    fn thing(name: &str) -> RecordBatch {
        batch(&[Thing { name: Some(name), ..Thing::default() }])
    }

    #[test]
    fn formats_are_known_by_name_and_by_ending() {
        for format in Format::ALL {
            assert_eq!(Format::from_name(format.name()), Some(format));
        }
        assert_eq!(Format::from_name("CSV"), None);
        assert_eq!(Format::from_extension("JSONL"), Some(Format::Ndjson));
        assert_eq!(Format::from_extension("Csv"), Some(Format::Csv));
        assert_eq!(Format::from_extension("table"), None);
    }

    #[test]
    fn csv_of_several_tables_needs_a_folder() {
        let one = Written::default();
        let error = Output::begin(Format::Csv, Options::default(), selections(), one.one()).unwrap_err();
        assert!(matches!(error, OutputError::NeedsFolder));

        let (first, second) = (Written::default(), Written::default());
        let places = Destination::PerTable(vec![Box::new(first.clone()), Box::new(second.clone())]);
        let mut output = Output::begin(Format::Csv, Options::default(), selections(), places).unwrap();
        output.write(1, &other_batch(&["x"])).unwrap();
        output.finish().unwrap();
        assert_eq!(first.text(), "arn,name,size,public,created,tags\n");
        assert_eq!(second.text(), "arn,colour\nx,red\n");
    }

    #[test]
    fn rows_of_an_earlier_table_are_refused() {
        let written = Written::default();
        let mut output =
            Output::begin(Format::Json, Options::default(), selections(), written.one()).unwrap();
        output.write(1, &other_batch(&["x"])).unwrap();
        let error = output.write(0, &thing("late")).unwrap_err();
        assert!(matches!(error, OutputError::OutOfOrder { table: 0, after: 1 }));
        assert!(matches!(output.write(2, &thing("none")), Err(OutputError::OutOfOrder { .. })));
    }

    #[test]
    fn nothing_is_written_before_the_first_rows_and_each_batch_at_once() {
        let written = Written::default();
        let tables = Selection::of(&[table().schema], Choice::Named(&["name".to_owned()])).unwrap();
        let mut output = Output::begin(Format::Ndjson, Options::default(), tables, written.one()).unwrap();
        assert_eq!(written.text(), "");
        output.write(0, &thing("a")).unwrap();
        assert_eq!(written.text(), "{\"name\":\"a\"}\n");
        output.write(0, &thing("b")).unwrap();
        assert_eq!(written.text(), "{\"name\":\"a\"}\n{\"name\":\"b\"}\n");
    }

    struct Refuses(io::ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_known_from_other_errors() {
        let write = |kind| {
            let place = Destination::One(Box::new(Refuses(kind)));
            let tables = Selection::of(&[table().schema], Choice::All).unwrap();
            let mut output = Output::begin(Format::Json, Options::default(), tables, place).unwrap();
            output.write(0, &thing("a")).unwrap_err()
        };
        assert!(write(io::ErrorKind::BrokenPipe).is_broken_pipe());
        assert!(!write(io::ErrorKind::StorageFull).is_broken_pipe());
        assert!(!OutputError::NeedsFolder.is_broken_pipe());
    }
}
