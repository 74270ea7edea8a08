//! A table, as the runner sees it: which calls it makes for which columns, and the scan that makes them.
//!
//! Implemented by [`TableDeclaration`](crate::declaration::TableDeclaration) for the usual table, and by hand for tables
//! with another shape. The runner (`ssoinv-run`) calls [`Table::scan`] with the calls of one scope and receives pages
//! and what could not be read through [`Pages`]. A scan makes no call other than through the [`ScopedCalls`] that it is
//! given, so that pacing, retries and counts are the same for all tables.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::future::BoxFuture;
use ssoinv_core::column_set::ColumnSet;
use ssoinv_core::failure::Failure;
use ssoinv_core::service::ServiceInfo;
use ssoinv_core::table::TableSchema;
use ssoinv_http::scoped_calls::{CallError, ScopedCalls};

/// A table of AWS resources.
pub trait Table: fmt::Debug + Send + Sync {
    /// Returns name, description, columns and key.
    fn schema(&self) -> &Arc<TableSchema>;

    /// Returns the service of the list call.
    fn service(&self) -> &'static ServiceInfo;

    /// Returns whether one scan answers for the whole account, whatever the region.
    fn is_account_wide(&self) -> bool;

    /// Lists the calls that a scan for `columns` makes, the list call first.
    fn calls(&self, columns: &ColumnSet) -> Vec<TableCall>;

    /// Reads the table in one scope and hands each page to `pages`.
    ///
    /// # Errors
    /// If the list can't be read to its end. What a detail call can't read is no error: it goes to [`Pages::missed`].
    fn scan<'a>(
        &'a self,
        calls: &'a ScopedCalls,
        wanted: &'a Wanted,
        pages: &'a mut dyn Pages,
    ) -> BoxFuture<'a, Result<(), CallError>>;
}

/// What a scan is to read.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The columns to read, by their place in the schema.
    pub columns: ColumnSet,
    /// Those of them that were asked for by name: a scan without them is incomplete.
    pub required: ColumnSet,
    /// Whether values that are secrets by nature (environment variables) are kept.
    pub include_secrets: bool,
}

/// A call that a scan makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableCall {
    /// The operation: `ListFunctions`.
    pub operation: &'static str,
    /// The wanted columns that a detail call fills; empty for the list call.
    pub columns: ColumnSet,
}

/// Receives the rows of a scan.
pub trait Pages: Send {
    /// Takes a page. Waits while too many rows are waiting to be written.
    fn push(&mut self, page: RecordBatch) -> BoxFuture<'_, Result<(), CallError>>;

    /// Discards all pages so far: the list begins anew.
    fn restart(&mut self);

    /// Takes a note of columns of one row that could not be read.
    fn missed(&mut self, missed: Missed);
}

/// Columns of one row that could not be read.
#[derive(Clone, Debug)]
pub struct Missed {
    /// The operation that should have given them.
    pub operation: &'static str,
    /// The columns.
    pub columns: ColumnSet,
    /// The row's key.
    pub resource: String,
    /// Why.
    pub failure: Failure,
}
