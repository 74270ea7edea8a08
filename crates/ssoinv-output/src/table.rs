//! Tables for people.
//!
//! On a terminal: columns that fit its width, with light lines; where they can't fit, each row becomes a record, a line a
//! column. Elsewhere (`| less`, `| grep`, `| awk`): aligned columns at least two spaces apart, as kubectl's, no lines,
//! and nothing cut; null is `-` and the empty text `""`, so that each row has as many words as there are columns where
//! no value has spaces. Everywhere a row is one line and holds nothing that a terminal acts on.
//!
//! Widths are taken from the first [`MEASURED`] rows; later ones leave as they come.

mod fit;

use std::borrow::Cow;
use std::io::Write as _;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, Row, Width as ComfyWidth};
use ssoinv_core::table::ColumnType;
use unicode_width::UnicodeWidthStr;

use self::fit::{Width, cut, fit};
use crate::cell::Column;
use crate::error::OutputError;
use crate::sanitize::sanitize;
use crate::sink::{Options, Sink};

/// How many rows are looked at before the first one leaves.
const MEASURED: usize = 1000;

/// The width of a terminal that doesn't tell.
const USUAL_WIDTH: usize = 80;

/// A line under the header and one between columns. The characters' order is comfy-table's.
const LIGHT: &str = "     ─┼ │          ";

/// One space on each side of a value.
const PADDING: usize = 2;

/// Off a terminal no column is padded further than this: one long value shouldn't push all others away.
const MOST_PADDED: usize = 120;

pub(crate) struct TableSink {
    options: Options,
    several: bool,
    later_table: bool,
    columns: Vec<TableColumn>,
    /// Rows that are to be measured yet.
    pending: Vec<Vec<String>>,
    layout: Option<Layout>,
    rows: u64,
}

/// A column of the terminal's table.
struct TableColumn {
    header: String,
    right: bool,
    width: Width,
}

/// How rows are laid out, once that is known.
enum Layout {
    Plain(Vec<usize>),
    Grid(Vec<usize>),
    Records,
}

impl TableSink {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            several: false,
            later_table: false,
            columns: Vec::new(),
            pending: Vec::new(),
            layout: None,
            rows: 0,
        }
    }

    fn terminal_width(&self) -> usize {
        self.options.width.filter(|&width| width > 0).unwrap_or(USUAL_WIDTH)
    }

    /// A value as it is shown. On a terminal emptiness is to be seen, and needs no sign.
    fn shown(&self, value: Option<Cow<'_, str>>) -> String {
        match value {
            None => "-".to_owned(),
            Some(text) if text.is_empty() && !self.options.terminal => "\"\"".to_owned(),
            Some(text) => sanitize(&text).into_owned(),
        }
    }

    fn measure(&mut self, rows: &[Vec<String>]) {
        for row in rows {
            for (column, value) in self.columns.iter_mut().zip(row) {
                column.width.measure(value);
            }
        }
    }

    /// The widths of a grid that fits the terminal.
    fn grid(&self) -> Option<Vec<usize>> {
        let widths: Vec<Width> = self.columns.iter().map(|column| column.width.clone()).collect();
        let between = widths.len() * PADDING + widths.len().saturating_sub(1);
        fit(&widths, self.terminal_width().checked_sub(between)?)
    }

    /// Decides the layout, where that isn't done yet, and lets the pending rows go.
    fn let_go(&mut self, out: &mut Vec<u8>) {
        let rows = std::mem::take(&mut self.pending);
        let first = self.layout.is_none();
        if first || self.options.terminal {
            self.measure(&rows);
        }
        match &self.layout {
            None if !self.options.terminal => {
                let width = |column: &TableColumn| column.width.natural().min(MOST_PADDED);
                self.layout = Some(Layout::Plain(self.columns.iter().map(width).collect()));
            }
            None => self.layout = Some(self.grid().map_or(Layout::Records, Layout::Grid)),
            // A longer ID than any so far widens its column from here on: it is never cut. Where that doesn't fit it
            // sticks out.
            Some(Layout::Grid(widths)) => {
                let widths = self.grid().unwrap_or_else(|| {
                    let wider = |(column, &width): (&TableColumn, &usize)| {
                        if column.width.is_never_cut() { column.width.natural().max(width) } else { width }
                    };
                    self.columns.iter().zip(widths).map(wider).collect()
                });
                self.layout = Some(Layout::Grid(widths));
            }
            Some(Layout::Plain(_) | Layout::Records) => {}
        }
        match &self.layout {
            Some(Layout::Plain(widths)) => self.write_plain(out, &rows, widths, first),
            Some(Layout::Grid(widths)) => self.write_grid(out, &rows, widths, first),
            Some(Layout::Records) => self.write_records(out, &rows),
            None => {}
        }
        self.rows += rows.len() as u64;
    }

    fn write_plain(&self, out: &mut Vec<u8>, rows: &[Vec<String>], widths: &[usize], first: bool) {
        let header = (first && self.options.header)
            .then(|| self.columns.iter().map(|column| column.header.as_str()).collect::<Vec<_>>());
        let rows = rows.iter().map(|row| row.iter().map(String::as_str).collect::<Vec<_>>());
        for row in header.into_iter().chain(rows) {
            let mut missing = 0;
            for (value, width) in row.iter().zip(widths) {
                out.resize(out.len() + missing, b' ');
                out.extend_from_slice(value.as_bytes());
                missing = width.saturating_sub(value.width()) + 2;
            }
            out.push(b'\n');
        }
    }

    fn write_grid(&self, out: &mut Vec<u8>, rows: &[Vec<String>], widths: &[usize], first: bool) {
        let cells = |values: &mut dyn Iterator<Item = &str>| {
            let cells = values.zip(widths).map(|(value, &width)| Cell::new(cut(value, width)));
            Row::from(cells.collect::<Vec<_>>())
        };
        let mut table = comfy_table::Table::new();
        table.load_preset(LIGHT);
        if first && self.options.header {
            table.set_header(cells(&mut self.columns.iter().map(|column| column.header.as_str())));
        }
        for row in rows {
            table.add_row(cells(&mut row.iter().map(String::as_str)));
        }
        for ((column, shown), &width) in table.column_iter_mut().zip(&self.columns).zip(widths) {
            let width = u16::try_from(width + PADDING).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::Absolute(ComfyWidth::Fixed(width)));
            if shown.right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in table.lines() {
            out.extend_from_slice(line.trim_end().as_bytes());
            out.push(b'\n');
        }
    }

    fn write_records(&self, out: &mut Vec<u8>, rows: &[Vec<String>]) {
        let width = self.terminal_width();
        let names = self.columns.iter().map(|column| column.header.width()).max().unwrap_or(0).min(width / 2);
        for (number, row) in (self.rows + 1..).zip(rows) {
            let title = format!("── {number} ");
            let line = "─".repeat(width.saturating_sub(title.width()));
            write_line(out, &format!("{title}{line}"));
            for (column, value) in self.columns.iter().zip(row) {
                let name = cut(&column.header, names);
                let space = " ".repeat(names.saturating_sub(name.width()) + 2);
                let value = if column.width.is_never_cut() {
                    Cow::Borrowed(value.as_str())
                } else {
                    Cow::Owned(cut(value, width.saturating_sub(names + 2).max(1)))
                };
                write_line(out, format!("{name}{space}{value}").trim_end());
            }
        }
    }
}

impl Sink for TableSink {
    fn begin(&mut self, _out: &mut Vec<u8>, several: bool) {
        self.several = several;
        self.later_table = false;
    }

    fn begin_table(&mut self, out: &mut Vec<u8>, name: &str, schema: &Schema) {
        if self.several {
            if self.later_table {
                out.push(b'\n');
            }
            write_line(out, &sanitize(name));
        }
        self.later_table = true;
        let shown = |field: &arrow_schema::FieldRef| {
            let column_type = ColumnType::of_field(field);
            let header = sanitize(field.name()).into_owned();
            let width = Width::new(field.name(), column_type, &header);
            let right = matches!(column_type, ColumnType::Integer | ColumnType::Float);
            TableColumn { header, right, width }
        };
        self.columns = schema.fields().iter().map(shown).collect();
        self.layout = None;
        self.rows = 0;
    }

    fn rows(&mut self, out: &mut Vec<u8>, batch: &RecordBatch) -> Result<(), OutputError> {
        let columns = Column::all(batch)?;
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| self.shown(column.text(row))).collect();
            self.pending.push(values);
            if self.layout.is_none() && self.pending.len() == MEASURED {
                self.let_go(out);
            }
        }
        if self.layout.is_some() && !self.pending.is_empty() {
            self.let_go(out);
        }
        Ok(())
    }

    fn end_table(&mut self, out: &mut Vec<u8>) {
        if self.layout.is_none() {
            self.let_go(out);
        }
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

fn write_line(out: &mut Vec<u8>, line: &str) {
    // A vector takes every byte.
    let _infallible = writeln!(out, "{line}");
}

#[cfg(test)]
mod tests;
