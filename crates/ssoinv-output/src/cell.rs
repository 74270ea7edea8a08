//! Reads the cells of a batch: what each format writes in its own way.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{
    Array, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow_schema::{DataType, Field, TimeUnit};
use ssoinv_core::json::rfc3339;
use ssoinv_core::table::ColumnType;

use crate::columns::has_bare_strings;
use crate::error::OutputError;

/// One value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Text(&'a str),
    Json(&'a str),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// Milliseconds since 1970, UTC.
    Timestamp(i64),
}

/// One column of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column<'a> {
    Text(&'a StringArray),
    Json { texts: &'a StringArray, bare: bool },
    Integer(&'a Int64Array),
    Float(&'a Float64Array),
    Boolean(&'a BooleanArray),
    Timestamp(&'a TimestampMillisecondArray),
}

impl<'a> Column<'a> {
    /// All columns of `batch`.
    pub(crate) fn all(batch: &'a RecordBatch) -> Result<Vec<Self>, OutputError> {
        let schema = batch.schema_ref();
        schema.fields().iter().zip(batch.columns()).map(|(field, array)| Self::new(field, array)).collect()
    }

    fn new(field: &Field, array: &'a dyn Array) -> Result<Self, OutputError> {
        Ok(match array.data_type() {
            DataType::Utf8 if ColumnType::of_field(field) == ColumnType::Json => {
                Self::Json { texts: array.as_string(), bare: has_bare_strings(field) }
            }
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Int64 => Self::Integer(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Float(array.as_primitive::<Float64Type>()),
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                Self::Timestamp(array.as_primitive::<TimestampMillisecondType>())
            }
            other => {
                return Err(OutputError::Type { column: field.name().clone(), data_type: other.clone() });
            }
        })
    }

    /// The value in `row`.
    pub(crate) fn cell(&self, row: usize) -> Cell<'a> {
        fn valid<'a>(array: &dyn Array, row: usize, cell: impl FnOnce() -> Cell<'a>) -> Cell<'a> {
            if array.is_valid(row) { cell() } else { Cell::Null }
        }
        match *self {
            Self::Text(array) => valid(array, row, || Cell::Text(array.value(row))),
            Self::Json { texts, .. } => valid(texts, row, || Cell::Json(texts.value(row))),
            Self::Integer(array) => valid(array, row, || Cell::Integer(array.value(row))),
            Self::Float(array) => valid(array, row, || Cell::Float(array.value(row))),
            Self::Boolean(array) => valid(array, row, || Cell::Boolean(array.value(row))),
            Self::Timestamp(array) => valid(array, row, || Cell::Timestamp(array.value(row))),
        }
    }

    /// The value in `row` as text; `None` where it is null. A string that was picked out of a JSON value is shown bare.
    pub(crate) fn text(&self, row: usize) -> Option<Cow<'a, str>> {
        match self.cell(row) {
            Cell::Null => None,
            Cell::Text(text) => Some(Cow::Borrowed(text)),
            Cell::Json(text) => match self {
                Self::Json { bare: true, .. } if text.starts_with('"') => {
                    Some(serde_json::from_str::<String>(text).map_or(Cow::Borrowed(text), Cow::Owned))
                }
                _ => Some(Cow::Borrowed(text)),
            },
            Cell::Integer(number) => Some(Cow::Owned(number.to_string())),
            Cell::Float(number) => Some(Cow::Owned(number.to_string())),
            Cell::Boolean(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
            Cell::Timestamp(millis) => rfc3339(millis).map(Cow::Owned),
        }
    }

    /// Returns true if the values are untrusted texts, unlike numbers and times.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Json { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ssoinv_core::table::{Column as TableColumn, RowEncoder};

    use super::*;
    use crate::testing::Written;
    use crate::{Choice, Format, Options, Output, Selection};

    /// Writes a float column and a CIDR column.
    fn written(format: Format, numbers: &[Option<f64>]) -> String {
        let columns = vec![
            TableColumn::float("price", "A price", |number: &Option<f64>| *number),
            TableColumn::cidr("range", "A range", |number, _| number.map(|_| Cow::from("10.0.0.0/8"))),
        ];
        let table = RowEncoder::plain("price", "A price", columns);
        let selections = Selection::of(&[Arc::clone(&table.schema)], Choice::All).unwrap();
        let written = Written::default();
        let mut output = Output::begin(format, Options::default(), selections, written.one()).unwrap();
        output.write(0, &table.plain_batch(numbers).unwrap()).unwrap();
        output.finish().unwrap();
        written.text()
    }

    #[test]
    fn every_format_writes_floats_and_ranges() {
        let numbers = [Some(1.5), Some(2.0), Some(f64::NAN), None, Some(1e21)];
        assert_eq!(
            written(Format::Csv, &numbers),
            "price,range\n1.5,10.0.0.0/8\n2,10.0.0.0/8\n,10.0.0.0/8\n,\n1000000000000000000000,10.0.0.0/8\n"
        );
        assert_eq!(
            written(Format::Ndjson, &numbers[..3]),
            "{\"price\":1.5,\"range\":\"10.0.0.0/8\"}\n{\"price\":2,\"range\":\"10.0.0.0/8\"}\n\
             {\"price\":null,\"range\":\"10.0.0.0/8\"}\n"
        );
        assert_eq!(written(Format::Table, &numbers[..1]), "price  range\n1.5    10.0.0.0/8\n");
    }
}
