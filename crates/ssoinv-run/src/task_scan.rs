//! One task: a table in one scope, read through one access after another until one may read it.
//!
//! Called by [`crate::runner`] for each task. Builds the task's ledger cells: one for the list call, one for each detail
//! call that was needed, and one for each other profile that was to read the scope. Guarantees that a task's rows are one
//! unit, kept only if the list was read to its end. Scheduling, resume and the plan are the runner's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use futures::FutureExt;
use futures::future::BoxFuture;
use ssoinv_core::column_set::ColumnSet;
use ssoinv_core::coverage::Cell;
use ssoinv_core::event::{Event, Events};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::rows::{RowStore, TaskId, TaskRows};
use ssoinv_core::scope::Place;
use ssoinv_core::status::Status;
use ssoinv_core::table::TableSchema;
use ssoinv_http::scoped_calls::{CallError, CallLog, CallObserver, ScopedCalls};
use ssoinv_tables::table::{Missed, Pages, TableCall};

use crate::access::AccountAccess;
use crate::account_scan::{Candidate, Task};
use crate::engine::Engine;
use crate::page_writer::PageWriter;
use crate::plan::PlannedTable;
use crate::run_options::{RunOptions, RunTable};
use crate::stop::StopReason;

/// How many missed resources a cell names.
const NAMED_RESOURCES: usize = 10;

/// A task with what it needs.
#[derive(Clone, Copy)]
pub(crate) struct TaskScan<'a> {
    pub(crate) id: TaskId,
    pub(crate) task: &'a Task,
    pub(crate) planned: &'a PlannedTable,
    /// The accesses that the task's candidates name.
    pub(crate) accesses: &'a [AccountAccess],
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) options: &'a RunOptions,
    pub(crate) store: &'a dyn RowStore,
    pub(crate) writer: &'a PageWriter,
}

/// How a task ended: its cells, the list call's first, and the rows if the list was read.
pub(crate) struct Outcome {
    pub(crate) cells: Vec<Cell>,
    pub(crate) rows: Option<Box<dyn TaskRows>>,
}

/// A scan that read its list to the end.
struct Complete {
    cells: Vec<Cell>,
    rows: Box<dyn TaskRows>,
}

/// A scan that didn't.
struct Incomplete {
    cell: Cell,
    error: CallError,
}

impl<'a> TaskScan<'a> {
    /// Reads the table through one candidate after another until one may read it.
    pub(crate) async fn run(self) -> Outcome {
        let mut refused: Vec<(Candidate, Cell)> = Vec::new();
        for &candidate in &self.task.candidates {
            match self.through(candidate).await {
                Ok(complete) => {
                    let cells = self.answered(candidate, complete.cells, &refused);
                    return Outcome { cells, rows: Some(complete.rows) };
                }
                Err(Incomplete { cell, error }) => {
                    let ask_next = error.without_credentials || is_denial(error.failure.kind);
                    refused.push((candidate, cell));
                    if !ask_next {
                        break;
                    }
                }
            }
        }
        Outcome { cells: self.unanswered(&refused), rows: None }
    }

    /// Ends the task before it was tried.
    pub(crate) fn not_tried(self, failure: &Failure) -> Outcome {
        let listed = self.task.candidates.iter().filter(|candidate| candidate.listed);
        Outcome { cells: listed.map(|candidate| self.cell(*candidate).failed(failure)).collect(), rows: None }
    }

    fn table(self) -> &'a RunTable {
        &self.options.tables[self.task.table]
    }

    fn schema(self) -> &'a TableSchema {
        self.table().table.schema()
    }

    /// The cell of the list call through `candidate`, before anything was done.
    fn cell(self, candidate: Candidate) -> Cell {
        let access = &self.accesses[candidate.access];
        self.planned.cell(access, self.task.place.clone(), Status::NotTried)
    }

    /// Reads the table through `candidate`: about a whole account from the regions that may answer, one after another.
    async fn through(self, candidate: Candidate) -> Result<Complete, Incomplete> {
        let access = &self.accesses[candidate.access];
        let regions = access.regions_to_call(&self.task.place, self.options.named_regions());
        let observer = Arc::new(TaskObserver { task: self.id, events: self.engine.events().clone() });
        let calls = self.engine.calls(access, self.task.place.clone(), &regions[0], observer);
        let mut first: Option<(Arc<str>, Incomplete)> = None;
        for region in regions {
            match self.scan_region(candidate, &calls.in_region(&region)).await {
                Ok(mut complete) => {
                    if let Some((other, Incomplete { cell, .. })) = &first {
                        let refusal = describe_status(cell);
                        let own = complete.cells[0].error_message.take();
                        let own = own.map(|own| format!("; {own}")).unwrap_or_default();
                        complete.cells[0].error_message =
                            Some(format!("region `{region}` responded; region `{other}`: {refusal}{own}"));
                    }
                    return Ok(complete);
                }
                Err(incomplete) => {
                    let ask_next =
                        !incomplete.error.without_credentials && is_denial(incomplete.error.failure.kind);
                    let (_, first) = first.get_or_insert((region, incomplete));
                    count_calls(&mut first.cell, &calls.log());
                    if !ask_next {
                        break;
                    }
                }
            }
        }
        match first {
            Some((_, incomplete)) => Err(incomplete),
            None => unreachable!("there is a region to call"),
        }
    }

    async fn scan_region(self, candidate: Candidate, calls: &ScopedCalls) -> Result<Complete, Incomplete> {
        let table = self.table();
        let mut pages = TaskPages {
            scan: self,
            rows: Some(self.store.begin(self.id)),
            collected: 0,
            missed: BTreeMap::new(),
        };
        let access = &self.accesses[candidate.access];
        let scan = table.table.scan(calls, &table.wanted, &mut pages);
        // The identity costs one call for each access, which is made beside the list.
        let (ended, caller_arn) = futures::join!(scan, self.engine.caller_arn(access));
        let mut log = calls.log();
        log.caller_arn = log.caller_arn.or(caller_arn);
        let mut list = self.cell(candidate);
        count_calls(&mut list, &log);
        match (ended, pages.rows.take()) {
            (Ok(()), Some(rows)) => {
                list.rows = pages.collected;
                let cells = self.cells(&list, &log, &pages.missed);
                Ok(Complete { cells, rows })
            }
            (Err(error), _) => Err(Incomplete { cell: list.failed(&error.failure), error }),
            (Ok(()), None) => unreachable!("rows are taken by a failed push alone"),
        }
    }

    /// The cells of a complete list: its own, and one for each other call that the wanted columns needed.
    fn cells(self, list: &Cell, log: &CallLog, missed: &BTreeMap<&'static str, MissedRows>) -> Vec<Cell> {
        let with = |call: &TableCall| {
            let mut cell = Cell { call: call.operation.into(), rows: 0, ..list.clone() };
            cell.status = Status::Ok;
            cell.columns = self.names(&call.columns);
            count_calls(&mut cell, log);
            if let Some(missed) = missed.get(call.operation) {
                missed.mark(&mut cell, self);
            }
            cell
        };
        let mut cells: Vec<Cell> = self.table().calls.iter().map(with).collect();
        if let Some(first) = cells.first_mut() {
            first.rows = list.rows;
        }
        cells
    }

    fn names(self, columns: &ColumnSet) -> Vec<Arc<str>> {
        columns.iter().map(|column| Arc::clone(&self.schema().columns[column].name)).collect()
    }

    /// The cells of a task that `candidate` answered: its own, and one for each other profile that was to read it.
    fn answered(
        self,
        candidate: Candidate,
        mut cells: Vec<Cell>,
        refused: &[(Candidate, Cell)],
    ) -> Vec<Cell> {
        if !refused.is_empty() {
            let own = cells[0].error_message.take();
            let refusals = refused.iter().map(|(_, cell)| describe_refusal(cell));
            cells[0].error_message = Some(refusals.chain(own).collect::<Vec<_>>().join("; "));
        }
        let reason = format!("{} answered for this account", self.accesses[candidate.access].describe());
        // Roles of one account stand for one cell, whichever answers; each profile that was named has its own.
        let others = self.task.candidates.iter().filter(|other| {
            other.listed && other.access != candidate.access && self.accesses[other.access].profile.is_some()
        });
        for &other in others {
            let mut cell = self.skipped(other, &reason);
            if let Some((_, tried)) = refused.iter().find(|(tried, _)| tried.access == other.access) {
                cell = Cell { status: Status::Skipped, ..tried.clone() };
                cell.error_message = Some(format!("{reason}; {}", describe_refusal(tried)));
            }
            cells.push(cell);
        }
        cells
    }

    /// The cells of a task that no candidate could read: each profile's own failure. A profile that was not tried, since
    /// another's failure stands for the account, is skipped.
    fn unanswered(self, refused: &[(Candidate, Cell)]) -> Vec<Cell> {
        let last = refused.last().map(|(candidate, _)| self.accesses[candidate.access].describe());
        let reason = format!("{} was used for this account", last.unwrap_or_default());
        let listed = self.task.candidates.iter().filter(|candidate| candidate.listed);
        let mut cells: Vec<Cell> = listed
            .map(|&candidate| {
                let own = refused.iter().find(|(tried, _)| tried.access == candidate.access);
                own.map_or_else(|| self.skipped(candidate, &reason), |(_, cell)| cell.clone())
            })
            .collect();
        let unlisted = refused.iter().filter(|(candidate, _)| !candidate.listed);
        let unlisted: Vec<_> = unlisted.map(|(_, cell)| describe_refusal(cell)).collect();
        if let (Some(first), false) = (cells.first_mut(), unlisted.is_empty()) {
            let own = first.error_message.take().unwrap_or_default();
            first.error_message = Some(format!("{own}; {}", unlisted.join("; ")));
        }
        cells
    }

    fn skipped(self, candidate: Candidate, reason: &str) -> Cell {
        let access = &self.accesses[candidate.access];
        self.planned.skipped(access, self.task.place.clone(), reason)
    }

    /// Leaves out the rows of an account-wide table that are known to lie in regions that were not selected.
    fn in_selected_regions(self, page: RecordBatch) -> Result<RecordBatch, Failure> {
        let (Place::Global, Some(only), Some(regions)) =
            (&self.task.place, &self.options.only_regions, page.column_by_name("region"))
        else {
            return Ok(page);
        };
        let regions = regions.as_string::<i32>();
        let keep: BooleanArray =
            regions.iter().map(|region| Some(region.is_none_or(|region| only.mean(region)))).collect();
        if keep.true_count() == page.num_rows() {
            return Ok(page);
        }
        filter_record_batch(&page, &keep)
            .map_err(|error| Failure::new(FailureKind::Failed, error.to_string()).with_code("Internal"))
    }
}

/// The rows whose columns a call could not give.
#[derive(Default)]
struct MissedRows {
    rows: u64,
    resources: Vec<String>,
    columns: ColumnSet,
    /// The worst failure, by its status.
    failure: Option<Failure>,
}

impl MissedRows {
    fn add(&mut self, missed: Missed) {
        self.rows += 1;
        if self.resources.len() < NAMED_RESOURCES {
            self.resources.push(missed.resource);
        }
        self.columns.union(&missed.columns);
        let status = |failure: &Failure| failure.kind.status();
        if self.failure.as_ref().is_none_or(|worst| status(worst) < status(&missed.failure)) {
            self.failure = Some(missed.failure);
        }
    }

    /// Records the missed rows in the cell of their call.
    ///
    /// The cell is incomplete if a column that was asked for by name is missing.
    fn mark(&self, cell: &mut Cell, scan: TaskScan<'_>) {
        cell.rows_missed = self.rows;
        cell.resources.clone_from(&self.resources);
        cell.columns = scan.names(&self.columns);
        let Some(failure) = &self.failure else { return };
        cell.error_code.clone_from(&failure.code);
        cell.error_message = Some(failure.message.clone());
        let required = &scan.table().wanted.required;
        if self.columns.iter().any(|column| required.contains(column)) {
            cell.status = failure.kind.status();
        }
    }
}

/// Receives a task's pages.
struct TaskPages<'a> {
    scan: TaskScan<'a>,
    /// None after a failed push.
    rows: Option<Box<dyn TaskRows>>,
    collected: u64,
    missed: BTreeMap<&'static str, MissedRows>,
}

impl Pages for TaskPages<'_> {
    fn push(&mut self, page: RecordBatch) -> BoxFuture<'_, Result<(), CallError>> {
        async move {
            let page = self.scan.in_selected_regions(page)?;
            self.collected += page.num_rows() as u64;
            let (task, rows) = (self.scan.id, page.num_rows());
            self.scan.engine.events().emit(Event::Collected { task, rows });
            let Some(rows) = self.rows.take() else { return Err(StopReason::OutputFailed.failure().into()) };
            let pushed = self.scan.writer.push(rows, page).await;
            self.rows = Some(pushed.map_err(|_| StopReason::OutputFailed.failure())?);
            Ok(())
        }
        .boxed()
    }

    fn restart(&mut self) {
        self.rows = Some(self.scan.store.begin(self.scan.id));
        self.collected = 0;
        self.missed.clear();
    }

    fn missed(&mut self, missed: Missed) {
        self.missed.entry(missed.operation).or_default().add(missed);
    }
}

/// Turns what happens during a task's calls into events.
struct TaskObserver {
    task: TaskId,
    events: Events,
}

impl CallObserver for TaskObserver {
    fn started(&self) {
        self.events.emit(Event::Started { task: self.task });
    }

    fn retrying(&self, failure: &Failure, delay: Duration) {
        let failure = Arc::new(failure.clone());
        self.events.emit(Event::Retrying { task: Some(self.task), failure, delay });
    }

    fn parked(&self, parked: bool) {
        let task = self.task;
        self.events.emit(if parked { Event::Parked { task } } else { Event::Unparked { task } });
    }
}

/// Copies the counts of a cell's operation into it.
fn count_calls(cell: &mut Cell, log: &CallLog) {
    if log.caller_arn.is_some() {
        cell.caller_arn.clone_from(&log.caller_arn);
    }
    let Some(stats) = log.operations.get(&*cell.call) else { return };
    cell.calls = stats.calls;
    cell.retries = stats.retries;
    cell.started_at = stats.started_at;
    cell.duration = stats.duration;
    cell.request_id.clone_from(&stats.request_id);
}

/// Whether another access may be allowed what this one was denied.
pub(crate) fn is_denial(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Denied | FailureKind::DeniedByScp | FailureKind::SignInExpired)
}

/// ``profile `x`: denied (AccessDenied)``.
fn describe_refusal(cell: &Cell) -> String {
    let access = match (&cell.scope.profile, &cell.scope.role_name) {
        (None, Some(role)) => format!("role `{role}`"),
        (profile, _) => format!("profile `{}`", profile.as_deref().unwrap_or_default()),
    };
    format!("{access}: {}", describe_status(cell))
}

/// `denied (AccessDenied)`.
fn describe_status(cell: &Cell) -> String {
    let code = cell.error_code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    format!("{}{code}", cell.status.as_str())
}
