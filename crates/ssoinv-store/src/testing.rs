//! A small table for tests: a key and a number.

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use ssoinv_core::rows::Backpressure;
use ssoinv_core::table::KEY_KEY;

use crate::error::StoreError;
use crate::row_queue::TaskBuffer;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = vec![Field::new("number", DataType::Int64, true), Field::new("key", DataType::Utf8, true)];
    Arc::new(Schema::new(fields).with_metadata([(KEY_KEY.to_owned(), "1".to_owned())].into()))
});

pub(crate) fn batch(rows: &[(Option<&str>, i64)]) -> RecordBatch {
    let keys: StringArray = rows.iter().map(|row| row.0).collect();
    let numbers: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
    RecordBatch::try_new(Arc::clone(&SCHEMA), vec![Arc::new(numbers), Arc::new(keys)]).unwrap()
}

pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<(Option<String>, i64)> {
    let keys = batch.column(1).as_string::<i32>();
    let numbers = batch.column(0).as_primitive::<Int64Type>();
    (0..batch.num_rows())
        .map(|row| (keys.is_valid(row).then(|| keys.value(row).to_owned()), numbers.value(row)))
        .collect()
}

/// Adds a page as the runner does.
pub(crate) fn push(buffer: &mut TaskBuffer, page: RecordBatch) -> Result<(), StoreError> {
    match buffer.push(page)? {
        Backpressure::Ready => Ok(()),
        Backpressure::Full => buffer.make_room(),
    }
}
