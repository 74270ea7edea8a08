//! The output of one command: columns, format and destination put together.
//!
//! The thread that writes rows owns an [`Output`]. It guarantees that the bytes that have left parse once
//! [`Output::finish`] was called. Files and their places belong to [`crate::target`].

use std::fmt;
use std::io::Write;

use arrow_array::RecordBatch;

use crate::columns::Selection;
use crate::error::OutputError;
use crate::format::Format;
use crate::sink::{Options, Sink};

/// The place that bytes go to.
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
/// Rows come table by table: once a later table has begun, no rows of an earlier table may come. Plans order tasks this
/// way, so JSON keyed by table is written as rows come.
///
/// Nothing is written before the first rows or [`Output::finish`], and each batch is written when [`Output::write`]
/// returns.
pub struct Output {
    sink: Box<dyn Sink>,
    tables: Vec<Selection>,
    destination: Destination,
    buffer: Vec<u8>,
    /// Tables that have begun.
    begun: usize,
}

impl Output {
    /// Begins an output of `tables`; [`Output::write`] names them by their index.
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

    /// Writes rows of the table with index `table`, with all its columns.
    pub fn write(&mut self, table: usize, batch: &RecordBatch) -> Result<(), OutputError> {
        if table + 1 < self.begun || table >= self.tables.len() {
            return Err(OutputError::OutOfOrder { table, after: self.begun.saturating_sub(1) });
        }
        self.begin_up_to(table + 1)?;
        let batch = self.tables[table].apply(batch)?;
        self.sink.rows(&mut self.buffer, &batch)?;
        self.flush(table)
    }

    /// Writes the rest: tables without rows, closing brackets.
    pub fn finish(mut self) -> Result<(), OutputError> {
        self.begin_up_to(self.tables.len())?;
        if let Some(last) = self.begun.checked_sub(1) {
            return self.end_table(last);
        }
        // No table at all.
        self.sink.begin(&mut self.buffer, false);
        self.sink.end(&mut self.buffer);
        self.flush(0)
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
        self.flush(table)
    }

    /// Writes the buffer to the destination.
    fn flush(&mut self, table: usize) -> Result<(), OutputError> {
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
