//! Builds the Arrow array of one column from the rows of a page.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, TimestampMillisecondBuilder};
use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::ArrowError;

use super::column::{ColumnInfo, Extract, RowContext};
use crate::column_set::ColumnSet;
use crate::json::Json;

/// A row, borrowed: the item and the columns that it misses.
pub(super) struct RowRef<'a, R> {
    pub(super) item: &'a R,
    pub(super) missing: &'a ColumnSet,
}

impl<R> Clone for RowRef<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for RowRef<'_, R> {}

/// Builds arrays of the same rows, one column after another.
///
/// Texts are collected in memory that is used again for the next column: hundreds of a page's arrays may wait in the
/// row queue, so that each takes no more memory than its texts do.
pub(super) struct ArrayBuilder<'a, R> {
    rows: &'a [RowRef<'a, R>],
    context: &'a RowContext<'a>,
    columns: &'a [ColumnInfo],
    texts: Texts,
}

impl<'a, R> ArrayBuilder<'a, R> {
    /// Prepares arrays of `rows`; `columns` are all columns of the table.
    pub(super) fn new(
        rows: &'a [RowRef<'a, R>],
        context: &'a RowContext<'a>,
        columns: &'a [ColumnInfo],
    ) -> Self {
        Self { rows, context, columns, texts: Texts::new(rows.len()) }
    }

    /// Builds the array of the column with index `column`. The values of rows that miss the column are null.
    ///
    /// # Errors
    /// When the column's texts take more than 2 GiB.
    pub(super) fn array(&mut self, column: usize, extract: Extract<R>) -> Result<ArrayRef, ArrowError> {
        let context = self.context;
        let rows = self.rows.iter();
        let items = rows.map(|row| (!row.missing.contains(column)).then_some(row.item));
        Ok(match extract {
            Extract::Text(value) => {
                self.texts.begin();
                for item in items {
                    let text = item.and_then(|item| value(item, context));
                    self.texts.bytes.extend_from_slice(text.as_deref().unwrap_or_default().as_bytes());
                    self.texts.end_row(text.is_some())?;
                }
                self.texts.array()?
            }
            Extract::Json(value) => {
                self.texts.begin();
                for item in items {
                    let before = self.texts.bytes.len();
                    if let Some(item) = item {
                        value(item, context, Json::new(&mut self.texts.bytes));
                    }
                    self.texts.end_row(self.texts.bytes.len() > before)?;
                }
                self.texts.array()?
            }
            Extract::Missing => {
                self.texts.begin();
                for row in self.rows {
                    if !row.missing.is_empty() {
                        let names = row.missing.iter().filter_map(|column| self.columns.get(column));
                        Json::new(&mut self.texts.bytes).texts(names.map(|column| &column.name));
                    }
                    self.texts.end_row(!row.missing.is_empty())?;
                }
                self.texts.array()?
            }
            Extract::Integer(value) => {
                let mut builder = Int64Builder::with_capacity(self.rows.len());
                builder.extend(items.map(|item| item.and_then(value)));
                Arc::new(builder.finish())
            }
            Extract::Float(value) => {
                let mut builder = Float64Builder::with_capacity(self.rows.len());
                builder.extend(items.map(|item| item.and_then(value).filter(|number| number.is_finite())));
                Arc::new(builder.finish())
            }
            Extract::Boolean(value) => {
                let mut builder = BooleanBuilder::with_capacity(self.rows.len());
                builder.extend(items.map(|item| item.and_then(value)));
                Arc::new(builder.finish())
            }
            Extract::Timestamp(value) => {
                let builder = TimestampMillisecondBuilder::with_capacity(self.rows.len());
                let mut builder = builder.with_timezone("UTC");
                builder.extend(items.map(|item| item.and_then(value)));
                Arc::new(builder.finish())
            }
        })
    }
}

/// The texts of one column.
struct Texts {
    bytes: Vec<u8>,
    /// The end of each text in `bytes`, after a leading 0.
    offsets: Vec<i32>,
    /// True for each row whose text isn't null.
    valid: Vec<bool>,
    /// The array of nothing but nulls; tables have many such columns, which share it.
    nulls: ArrayRef,
}

impl Texts {
    fn new(rows: usize) -> Self {
        let (bytes, offsets, valid) = (Vec::new(), Vec::with_capacity(rows + 1), Vec::with_capacity(rows));
        Self { bytes, offsets, valid, nulls: Arc::new(StringArray::new_null(rows)) }
    }

    fn begin(&mut self) {
        self.bytes.clear();
        self.valid.clear();
        self.offsets.clear();
        self.offsets.push(0);
    }

    /// Ends a row, whose text, if it has one, has been appended to `bytes`.
    fn end_row(&mut self, valid: bool) -> Result<(), ArrowError> {
        self.valid.push(valid);
        // The error is Arrow's own for arrays above 2 GiB.
        let end = i32::try_from(self.bytes.len());
        self.offsets.push(end.map_err(|_| ArrowError::OffsetOverflowError(self.bytes.len()))?);
        Ok(())
    }

    fn array(&self) -> Result<ArrayRef, ArrowError> {
        if self.valid.iter().all(|valid| !valid) {
            return Ok(Arc::clone(&self.nulls));
        }
        let nulls = (!self.valid.iter().all(|valid| *valid)).then(|| NullBuffer::from(&self.valid[..]));
        let offsets = OffsetBuffer::new(self.offsets.clone().into());
        Ok(Arc::new(StringArray::try_new(offsets, self.bytes.clone().into(), nulls)?))
    }
}
