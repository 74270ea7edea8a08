//! The keys of a batch's rows: the order in which rows leave, and the mark of a row that AWS returned twice.
//!
//! Which columns make the key is stored in the metadata of the batch's schema, so that the row store needs no table to
//! sort by.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};

/// The schema metadata key that holds the indices of the key columns, separated by commas.
pub const KEY_KEY: &str = "ssoinv:key";

/// The values of the key columns of a batch. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RowKeys(Arc<[KeyColumn]>);

#[derive(Debug)]
enum KeyColumn {
    Text(StringArray),
    Integer(Int64Array),
    Boolean(BooleanArray),
}

impl KeyColumn {
    fn new(array: &ArrayRef) -> Option<Self> {
        let text = array.as_string_opt::<i32>().cloned().map(Self::Text);
        let integer = || array.as_primitive_opt::<Int64Type>().cloned().map(Self::Integer);
        let boolean = || array.as_boolean_opt().cloned().map(Self::Boolean);
        text.or_else(integer).or_else(boolean)
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(array) => array.is_null(row),
            Self::Integer(array) => array.is_null(row),
            Self::Boolean(array) => array.is_null(row),
        }
    }

    fn text(&self, row: usize) -> String {
        match self {
            _ if self.is_null(row) => String::new(),
            Self::Text(array) => array.value(row).to_owned(),
            Self::Integer(array) => array.value(row).to_string(),
            Self::Boolean(array) => array.value(row).to_string(),
        }
    }

    /// Compares two values; nulls are last.
    fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        match (self.is_null(row), other.is_null(other_row)) {
            (false, false) => {}
            (null, other_null) => return null.cmp(&other_null),
        }
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.value(row).cmp(other.value(other_row)),
            (Self::Integer(one), Self::Integer(other)) => one.value(row).cmp(&other.value(other_row)),
            (Self::Boolean(one), Self::Boolean(other)) => one.value(row).cmp(&other.value(other_row)),
            // Batches of one table have the same types.
            _ => Ordering::Equal,
        }
    }
}

impl RowKeys {
    /// Takes the key columns that the batch's schema names. Without any, all rows are equal and have no key.
    #[must_use]
    pub fn of(batch: &RecordBatch) -> Self {
        let schema = batch.schema_ref();
        let indices = schema.metadata().get(KEY_KEY).map(String::as_str).unwrap_or_default();
        let indices = indices.split(',').filter_map(|index| index.parse::<usize>().ok());
        Self::from_arrays(indices.filter_map(|index| batch.columns().get(index)))
    }

    pub(super) fn from_arrays<'a>(arrays: impl IntoIterator<Item = &'a ArrayRef>) -> Self {
        Self(arrays.into_iter().filter_map(KeyColumn::new).collect())
    }

    /// Returns true if some key column of the row has a value.
    #[must_use]
    pub fn has_key(&self, row: usize) -> bool {
        self.0.iter().any(|column| !column.is_null(row))
    }

    /// Returns the key of a row as text, its columns separated by blanks.
    pub(super) fn text(&self, row: usize) -> String {
        self.0.iter().map(|column| column.text(row)).collect::<Vec<_>>().join(" ")
    }

    /// Compares a row with a row of another batch of the same table: column by column, nulls last.
    #[must_use]
    pub fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        let columns = self.0.iter().zip(other.0.iter());
        columns
            .map(|(one, other)| one.compare(row, other, other_row))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// Returns true if both rows have the same key. Rows without a key are all different.
    #[must_use]
    pub fn same(&self, row: usize, other: &Self, other_row: usize) -> bool {
        self.has_key(row) && self.compare(row, other, other_row).is_eq()
    }
}
