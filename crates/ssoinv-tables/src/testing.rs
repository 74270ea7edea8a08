//! Scans of responses that are written in the test, and rows as text.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use futures::FutureExt;
use futures::future::BoxFuture;
use ssoinv_core::column_set::ColumnSet;
use ssoinv_core::failure::Failure;
use ssoinv_core::json::rfc3339;
use ssoinv_core::scope::Place;
use ssoinv_core::table::ColumnType;
use ssoinv_http::scoped_calls::{CallError, ScopedCalls};
pub(crate) use ssoinv_http::test_util::CannedHttp;
use ssoinv_http::test_util::TestCaller;

use crate::table::{Missed, Pages, Table, Wanted};

/// Calls to `http` from account 001122334455 in `eu-west-1`, each attempted once.
pub(crate) fn calls(http: &CannedHttp) -> ScopedCalls {
    TestCaller::new(http, 1).calls(Place::Region("eu-west-1".into()))
}

/// What a scan gave.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) pages: Vec<RecordBatch>,
    pub(crate) missed: Vec<Missed>,
}

impl Pages for Scanned {
    fn push(&mut self, page: RecordBatch) -> BoxFuture<'_, Result<(), CallError>> {
        self.pages.push(page);
        std::future::ready(Ok(())).boxed()
    }

    fn restart(&mut self) {
        *self = Self::default();
    }

    fn missed(&mut self, missed: Missed) {
        self.missed.push(missed);
    }
}

/// Scans `columns` of a table, or all if there are none.
pub(crate) async fn scan(
    table: &dyn Table,
    http: &CannedHttp,
    columns: &[&str],
    include_secrets: bool,
) -> Result<Scanned, Failure> {
    let place = if table.is_account_wide() { Place::Global } else { Place::Region("eu-west-1".into()) };
    let schema = table.schema();
    let columns: ColumnSet = match columns {
        [] => (0..schema.columns.len()).collect(),
        columns => columns.iter().map(|column| schema.column(column).expect("a column")).collect(),
    };
    let mut scanned = Scanned::default();
    let wanted = Wanted { required: columns.clone(), columns, include_secrets };
    let calls = TestCaller::new(http, 1).calls(place);
    // About a whole account the partition's own region responds.
    let calls = if table.is_account_wide() { calls.in_region("us-east-1") } else { calls };
    let ended = table.scan(&calls, &wanted, &mut scanned).await;
    ended.map(|()| scanned).map_err(|error| error.failure)
}

/// The first page of a response with status 200.
pub(crate) async fn page(table: &dyn Table, body: &str) -> Result<RecordBatch, Failure> {
    Ok(scan(table, &CannedHttp::ok(body), &[], false).await?.pages.swap_remove(0))
}

/// One line a column: the value in the given row as text, nothing where it is null.
pub(crate) fn shown(batch: &RecordBatch, row: usize) -> String {
    let mut lines = String::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        lines.push_str(field.name());
        if column.is_valid(row) {
            let value = match ColumnType::of_field(field) {
                ColumnType::Integer => column.as_primitive::<Int64Type>().value(row).to_string(),
                ColumnType::Boolean => column.as_boolean().value(row).to_string(),
                ColumnType::Timestamp => {
                    rfc3339(column.as_primitive::<TimestampMillisecondType>().value(row)).expect("a date")
                }
                _ => format!("`{}`", column.as_string::<i32>().value(row)),
            };
            lines.push(' ');
            lines.push_str(&value);
        }
        lines.push('\n');
    }
    lines
}

/// The text of the leaves of an XML document.
pub(crate) fn leaves(xml: &str) -> Vec<String> {
    let parts = xml.split('<').filter_map(|part| part.split_once('>'));
    parts.map(|(_, text)| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}
