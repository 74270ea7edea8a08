//! The coverage ledger: one cell for everything that was planned, and how it ended.
//!
//! The ledger is the proof of what was looked at. A cell's [`Status`] tells whether its answer is complete; the exit
//! code follows from the cells alone. Where they come from: the runner, in `ssoinv-aws`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::failure::Failure;
use crate::scope::Scope;
use crate::table::{Column, RowContext, Table, TableSchema};

/// How a planned cell ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Status {
    /// Collected; there may be no row.
    Ok,
    /// Not applicable, or another profile answered for this account.
    Skipped,
    /// DescribeRegions says that the region isn't enabled.
    RegionDisabled,
    /// No access with this role.
    Denied,
    /// An explicit deny in a service control policy.
    DeniedByScp,
    /// The retry budget is spent.
    Throttled,
    /// No good token, and none could be had.
    SignInExpired,
    /// DNS, connect, time-out.
    Unreachable,
    /// A profile that can't be used, no region set, MFA needed.
    Misconfigured,
    /// Expected, but the sign-in doesn't reach it.
    NotOffered,
    /// Anything else, with the service's code.
    Failed,
    /// Interrupted, or out of time.
    NotTried,
}

/// Every status.
const STATUSES: [Status; 12] = [
    Status::Ok,
    Status::Skipped,
    Status::RegionDisabled,
    Status::Denied,
    Status::DeniedByScp,
    Status::Throttled,
    Status::SignInExpired,
    Status::Unreachable,
    Status::Misconfigured,
    Status::NotOffered,
    Status::Failed,
    Status::NotTried,
];

impl Status {
    /// The word in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::RegionDisabled => "region_disabled",
            Self::Denied => "denied",
            Self::DeniedByScp => "denied_by_scp",
            Self::Throttled => "throttled",
            Self::SignInExpired => "sign_in_expired",
            Self::Unreachable => "unreachable",
            Self::Misconfigured => "misconfigured",
            Self::NotOffered => "not_offered",
            Self::Failed => "failed",
            Self::NotTried => "not_tried",
        }
    }

    /// The status with this word, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        STATUSES.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether nothing is missing that was there to be collected.
    #[must_use]
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Ok | Self::Skipped | Self::RegionDisabled)
    }
}

/// One planned cell, and how it ended.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Where.
    pub scope: Scope,
    /// The ARN that the calls were made as, where it is known.
    pub caller_arn: Option<Arc<str>>,
    /// The table.
    pub table: &'static str,
    /// How it ended.
    pub status: Status,
    /// Whether people declared beforehand that it may end in a gap.
    pub expected: bool,
    /// Rows that were collected.
    pub rows: u64,
    /// Calls to the table's service, retries among them.
    pub calls: u32,
    /// Calls that were a second or later try.
    pub retries: u32,
    /// When the first call was made; none was where this is empty.
    pub started_at: Option<SystemTime>,
    /// From the first call to the end, waiting included.
    pub duration: Duration,
    /// The service's error code.
    pub error_code: Option<String>,
    /// What happened, in one line; with `ok`, who else was asked and didn't answer.
    pub error_message: Option<String>,
    /// The service's request ID.
    pub request_id: Option<String>,
}

impl Cell {
    /// A cell that nobody has looked at yet.
    #[must_use]
    pub fn untouched(scope: Scope, table: &'static str, status: Status) -> Self {
        Self {
            scope,
            caller_arn: None,
            table,
            status,
            expected: false,
            rows: 0,
            calls: 0,
            retries: 0,
            started_at: None,
            duration: Duration::ZERO,
            error_code: None,
            error_message: None,
            request_id: None,
        }
    }

    /// Whether nothing is missing that was to be collected: a gap that was declared beforehand isn't.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.expected || self.status.is_complete()
    }

    /// The same cell, ended by `failure`. A task's rows are one unit: those that were there by then don't count.
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

/// A cell with its run, as the ledger's table has it.
struct LedgerRow<'a> {
    run_id: &'a str,
    cell: &'a Cell,
}

impl Ledger {
    /// How many cells ended in each way.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Status, usize> {
        let mut counts = BTreeMap::new();
        for cell in &self.cells {
            *counts.entry(cell.status).or_default() += 1;
        }
        counts
    }

    /// The ledger as a table: schema and rows.
    ///
    /// # Errors
    /// When Arrow refuses the arrays, which is a bug.
    pub fn to_batch(&self) -> Result<(Arc<TableSchema>, Option<RecordBatch>), ArrowError> {
        let table = Table::plain("coverage", "How each planned cell ended", columns());
        let rows: Vec<LedgerRow<'_>> =
            self.cells.iter().map(|cell| LedgerRow { run_id: &self.run_id, cell }).collect();
        // The ledger's columns read each cell's own scope; the context is any of them.
        let batch = match rows.first() {
            Some(first) => {
                let context = RowContext { scope: &first.cell.scope, include_secrets: false };
                Some(table.batch(&rows, &context)?)
            }
            None => None,
        };
        Ok((table.schema, batch))
    }
}

#[expect(clippy::cast_possible_wrap, reason = "counts stay far below 2^63")]
fn columns<'a>() -> Vec<Column<LedgerRow<'a>>> {
    fn millis(time: SystemTime) -> Option<i64> {
        time.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok())
    }
    vec![
        Column::text("run_id", "Names the run", |row, _| Some(Cow::from(row.run_id))),
        Column::text("partition", "The AWS partition", |row, _| {
            Some(Cow::from(row.cell.scope.partition.as_str()))
        }),
        Column::text("account_id", "The account, where it is known", |row, _| {
            row.cell.scope.account_id.as_ref().map(|id| Cow::from(id.as_str()))
        }),
        Column::text("account_name", "The account's name", |row, _| {
            row.cell.scope.account_name.as_deref().map(Cow::from)
        }),
        Column::text("role_name", "The role", |row, _| row.cell.scope.role_name.as_deref().map(Cow::from)),
        Column::text("caller_arn", "The ARN that the calls were made as, where it is known", |row, _| {
            row.cell.caller_arn.as_deref().map(Cow::from)
        }),
        Column::text("profile", "The profile", |row, _| row.cell.scope.profile.as_deref().map(Cow::from)),
        Column::text("region", "The region; `global` for account-wide tables", |row, _| {
            Some(Cow::from(row.cell.scope.place.as_str()))
        }),
        Column::text("table", "The table", |row, _| Some(Cow::from(row.cell.table))),
        Column::text("column", "The column that a detail call missed; empty for the list call", |_, _| {
            Some(Cow::from(""))
        }),
        Column::text(
            "resource",
            "The resource that a detail call missed; empty for the list call",
            |_, _| Some(Cow::from("")),
        ),
        Column::text("status", "How the cell ended", |row, _| Some(Cow::from(row.cell.status.as_str()))),
        Column::boolean("expected", "Whether a gap was declared here beforehand", |row| {
            Some(row.cell.expected)
        }),
        Column::integer("rows", "Rows that were collected", |row| Some(row.cell.rows as i64)),
        Column::integer("calls", "Calls to the service, retries among them", |row| {
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
            "What happened; with `ok`, who else was asked and refused",
            |row, _| row.cell.error_message.as_deref().map(Cow::from),
        ),
        Column::text("request_id", "The service's request ID", |row, _| {
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

    #[test]
    fn the_ledger_has_the_documented_columns_and_tells_a_failure() {
        let scope = Scope {
            partition: Partition::Aws,
            account_id: "111122223333".parse().ok(),
            account_name: None,
            role_name: None,
            profile: Some("dev".into()),
            place: Place::Region("eu-west-1".into()),
        };
        let failure = Failure::new(FailureKind::DeniedByScp, "no").with_code("AccessDenied");
        let cell = Cell::untouched(scope, "aws_s3_bucket", Status::NotTried).failed(&failure);
        let ledger = Ledger { run_id: "r1".into(), cells: vec![cell] };
        let (schema, batch) = ledger.to_batch().expect("a batch");
        let names: Vec<_> = schema.columns.iter().map(|column| column.name).collect();
        assert_eq!(
            names.join(", "),
            "run_id, partition, account_id, account_name, role_name, caller_arn, profile, region, table, column, \
             resource, status, expected, rows, calls, retries, started_at, duration_ms, error_code, error_message, \
             request_id"
        );
        let batch = batch.expect("one cell");
        let value =
            |name: &str| batch.column_by_name(name).expect(name).as_string::<i32>().value(0).to_owned();
        assert_eq!(value("status"), "denied_by_scp");
        assert_eq!(value("region"), "eu-west-1");
        assert_eq!(value("error_code"), "AccessDenied");
        assert!(!ledger.cells[0].is_complete());
        assert!(Cell { expected: true, ..ledger.cells[0].clone() }.is_complete(), "it was declared");
        assert_eq!(ledger.counts(), BTreeMap::from([(Status::DeniedByScp, 1)]));
    }

    #[test]
    fn no_cells_are_no_batch() {
        let ledger = Ledger { run_id: "r1".into(), cells: vec![] };
        assert!(ledger.to_batch().expect("no arrays").1.is_none());
    }
}
