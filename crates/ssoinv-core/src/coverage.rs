//! The coverage ledger: one cell for each planned call, with its status.
//!
//! The ledger proves what was collected. A table has a cell for its list call and one for each kind of detail call, in
//! each scope. The runner makes the cells; exit codes and summaries follow from them alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::failure::Failure;
use crate::scope::Scope;
use crate::status::Status;
use crate::table::{Column, RowEncoder, TableSchema};

/// One planned call of a table in one scope, and its end.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The scope of the list call.
    pub scope: Scope,
    /// The ARN that the calls were made as, if it is known.
    pub caller_arn: Option<Arc<str>>,
    /// The table.
    pub table: Arc<str>,
    /// The operation: the list call's (`ListBuckets`), or a detail call's.
    pub call: Arc<str>,
    /// The columns that a detail call fills and that were asked for; empty for the list call.
    pub columns: Vec<Arc<str>>,
    /// The status at the end.
    pub status: Status,
    /// True if the user declared beforehand that the cell may end in a gap.
    pub expected: bool,
    /// Rows that were collected.
    pub rows: u64,
    /// Rows whose columns the call failed to fill.
    pub rows_missed: u64,
    /// The first ten of the resources behind [`Cell::rows_missed`].
    pub resources: Vec<String>,
    /// Calls to the table's service, retries among them.
    pub calls: u32,
    /// Calls that were a second or later try.
    pub retries: u32,
    /// The time of the first call; none if no call was made.
    pub started_at: Option<SystemTime>,
    /// The time from the first call to the end, waiting included.
    pub duration: Duration,
    /// The service's error code.
    pub error_code: Option<String>,
    /// The error, in one line; with `ok`, the profiles that were tried before and failed.
    pub error_message: Option<String>,
    /// The request ID of the last response.
    pub request_id: Option<String>,
}

impl Cell {
    /// Makes a cell without any calls.
    #[must_use]
    pub fn new(scope: Scope, table: impl Into<Arc<str>>, call: impl Into<Arc<str>>, status: Status) -> Self {
        Self {
            scope,
            caller_arn: None,
            table: table.into(),
            call: call.into(),
            columns: Vec::new(),
            status,
            expected: false,
            rows: 0,
            rows_missed: 0,
            resources: Vec::new(),
            calls: 0,
            retries: 0,
            started_at: None,
            duration: Duration::ZERO,
            error_code: None,
            error_message: None,
            request_id: None,
        }
    }

    /// Returns true if nothing that the user asked for is missing, expected gaps aside.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.expected || self.status.is_complete()
    }

    /// Ends the cell with a failure. A task's rows are one unit: rows of earlier pages don't count.
    #[must_use]
    pub fn failed(mut self, failure: &Failure) -> Self {
        self.status = failure.kind.status();
        self.rows = 0;
        self.error_code.clone_from(&failure.code);
        self.error_message = Some(failure.message.clone());
        self.request_id.clone_from(&failure.request_id);
        self
    }
}

/// All cells of a run.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Names the run in every row.
    pub run_id: Arc<str>,
    /// The cells, in the plan's order.
    pub cells: Vec<Cell>,
}

/// A row of the ledger's table.
struct LedgerRow<'a> {
    run_id: &'a str,
    cell: &'a Cell,
}

impl Ledger {
    /// Counts the cells of each status.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Status, usize> {
        let mut counts = BTreeMap::new();
        for cell in &self.cells {
            *counts.entry(cell.status).or_default() += 1;
        }
        counts
    }

    /// Returns the ledger as a table: schema and rows.
    ///
    /// # Errors
    /// When Arrow refuses the arrays, which is a bug.
    pub fn to_batch(&self) -> Result<(Arc<TableSchema>, RecordBatch), ArrowError> {
        let columns = scope_columns().into_iter().chain(call_columns()).chain(end_columns()).collect();
        let table = RowEncoder::plain("coverage", "The status of each planned call", columns);
        let row = |cell| LedgerRow { run_id: &self.run_id, cell };
        let batch = table.plain_batch(&self.cells.iter().map(row).collect::<Vec<_>>())?;
        Ok((table.schema, batch))
    }
}

/// Returns the columns that say where a call was planned.
fn scope_columns<'a>() -> Vec<Column<LedgerRow<'a>>> {
    vec![
        Column::text("run_id", "The ID of the run", |row: &LedgerRow<'_>, _| Some(Cow::from(row.run_id))),
        Column::text("partition", "The AWS partition", |row, _| {
            Some(Cow::from(row.cell.scope.partition.as_str()))
        }),
        Column::text("account_id", "The account, if it is known", |row, _| {
            row.cell.scope.account_id.as_ref().map(|id| Cow::from(id.as_str()))
        }),
        Column::text("account_name", "The account's name", |row, _| {
            row.cell.scope.account_name.as_deref().map(Cow::from)
        }),
        Column::text("role_name", "The role", |row, _| row.cell.scope.role_name.as_deref().map(Cow::from)),
        Column::text("caller_arn", "The ARN that the calls were made as, if it is known", |row, _| {
            row.cell.caller_arn.as_deref().map(Cow::from)
        }),
        Column::text("profile", "The profile", |row, _| row.cell.scope.profile.as_deref().map(Cow::from)),
        Column::text("region", "The region; `global` for account-wide tables", |row, _| {
            Some(Cow::from(row.cell.scope.place.as_str()))
        }),
    ]
}

/// Returns the columns that name the call, its status and its rows.
#[expect(clippy::cast_possible_wrap, reason = "counts stay far below 2^63")]
fn call_columns<'a>() -> Vec<Column<LedgerRow<'a>>> {
    vec![
        Column::text("table", "The table", |row: &LedgerRow<'_>, _| Some(Cow::from(&*row.cell.table))),
        Column::text("call", "The operation: the list call, or a detail call", |row, _| {
            Some(Cow::from(&*row.cell.call))
        }),
        Column::json(
            "columns",
            "The columns that a detail call fills and that were asked for; empty for the list call",
            |row, _, json| json.texts(&row.cell.columns),
        ),
        Column::text("status", "The status at the end of the run", |row, _| {
            Some(Cow::from(row.cell.status.as_str()))
        }),
        Column::boolean("expected", "True if a gap was declared here beforehand", |row| {
            Some(row.cell.expected)
        }),
        Column::integer("rows", "Rows that were collected", |row| Some(row.cell.rows as i64)),
        Column::integer("rows_missed", "Rows whose columns the call failed to fill", |row| {
            Some(row.cell.rows_missed as i64)
        }),
        Column::json("resources", "The first ten resources whose columns are missing", |row, _, json| {
            json.texts(&row.cell.resources);
        }),
    ]
}

/// Returns the columns that count the calls and describe their end.
fn end_columns<'a>() -> Vec<Column<LedgerRow<'a>>> {
    fn millis(time: SystemTime) -> Option<i64> {
        time.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok())
    }
    vec![
        Column::integer("calls", "Calls to the service, retries among them", |row: &LedgerRow<'_>| {
            Some(i64::from(row.cell.calls))
        }),
        Column::integer("retries", "Calls that were a second or later try", |row| {
            Some(i64::from(row.cell.retries))
        }),
        Column::timestamp("started_at", "When the first call was made", |row| {
            row.cell.started_at.and_then(millis)
        }),
        Column::integer("duration_ms", "From the first call to the end, in milliseconds", |row| {
            i64::try_from(row.cell.duration.as_millis()).ok()
        }),
        Column::text("error_code", "The service's error code", |row, _| {
            row.cell.error_code.as_deref().map(Cow::from)
        }),
        Column::text(
            "error_message",
            "The error; with `ok`, the profiles that were tried before and failed",
            |row, _| row.cell.error_message.as_deref().map(Cow::from),
        ),
        Column::text("request_id", "The request ID of the last response", |row, _| {
            row.cell.request_id.as_deref().map(Cow::from)
        }),
    ]
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;

    use super::*;
    use crate::failure::FailureKind;
    use crate::scope::{Partition, Place};

    fn scope() -> Scope {
        Scope {
            partition: Partition::Aws,
            account_id: "111122223333".parse().ok(),
            account_name: None,
            role_name: None,
            profile: Some("dev".into()),
            place: Place::Region("eu-west-1".into()),
        }
    }

    #[test]
    fn the_ledger_has_the_documented_columns() {
        let failure = Failure::new(FailureKind::DeniedByScp, "no").with_code("AccessDenied");
        let list = Cell::new(scope(), "aws_s3_bucket", "ListBuckets", Status::NotTried).failed(&failure);
        let mut detail = Cell::new(scope(), "aws_s3_bucket", "GetBucketTagging", Status::Denied);
        detail.columns = vec!["tags".into(), "tags_src".into()];
        detail.resources = vec!["arn:aws:s3:::a\"b".to_owned()];
        detail.rows_missed = 1;
        let ledger = Ledger { run_id: "r1".into(), cells: vec![list, detail] };
        let (schema, batch) = ledger.to_batch().expect("a batch");
        let names: Vec<_> = schema.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(
            names.join(", "),
            "run_id, partition, account_id, account_name, role_name, caller_arn, profile, region, table, call, \
             columns, status, expected, rows, rows_missed, resources, calls, retries, started_at, duration_ms, \
             error_code, error_message, request_id"
        );
        let values = |name: &str| {
            let column = batch.column_by_name(name).expect(name).as_string::<i32>();
            [column.value(0).to_owned(), column.value(1).to_owned()]
        };
        assert_eq!(values("status"), ["denied_by_scp", "denied"]);
        assert_eq!(values("region"), ["eu-west-1"; 2]);
        assert_eq!(values("call"), ["ListBuckets", "GetBucketTagging"]);
        assert_eq!(values("columns"), ["[]", r#"["tags","tags_src"]"#]);
        assert_eq!(values("resources"), ["[]", r#"["arn:aws:s3:::a\"b"]"#]);
        assert_eq!(values("error_code")[0], "AccessDenied");
        assert_eq!(ledger.counts(), BTreeMap::from([(Status::DeniedByScp, 1), (Status::Denied, 1)]));
    }

    #[test]
    fn an_expected_gap_is_complete() {
        let mut cell = Cell::new(scope(), "aws_s3_bucket", "ListBuckets", Status::Denied);
        assert!(!cell.is_complete());
        cell.expected = true;
        assert!(cell.is_complete());
    }

    #[test]
    fn a_ledger_without_cells_has_no_rows() {
        let ledger = Ledger { run_id: "r1".into(), cells: vec![] };
        assert_eq!(ledger.to_batch().expect("a batch").1.num_rows(), 0);
    }
}
