//! What a run reads besides its plan: tables with their columns, and how much of each account.

use std::sync::Arc;

use ssoinv_core::journal::Journal;
use ssoinv_tables::table::{Table, TableCall, Wanted};

use crate::plan::PlannedTable;
use crate::region_patterns::RegionPatterns;

/// What a run reads.
#[derive(Debug)]
pub struct RunOptions {
    /// The tables, as the plan numbers them.
    pub tables: Vec<RunTable>,
    /// If set, rows of account-wide tables that are known to lie in other regions are left out.
    pub only_regions: Option<Arc<RegionPatterns>>,
    /// The journal of a saved run.
    pub journal: Option<Arc<dyn Journal>>,
}

impl RunOptions {
    /// The regions that were selected by name.
    pub(crate) fn named_regions(&self) -> impl Iterator<Item = &str> {
        self.only_regions.iter().flat_map(|regions| regions.plain())
    }
}

/// A table with the columns to read.
#[derive(Clone, Debug)]
pub struct RunTable {
    /// The table.
    pub table: Arc<dyn Table>,
    /// The columns.
    pub wanted: Wanted,
    /// The calls that the columns need, the list call first.
    pub(crate) calls: Vec<TableCall>,
}

impl RunTable {
    /// Reads `wanted` of `table`.
    #[must_use]
    pub fn new(table: Arc<dyn Table>, wanted: Wanted) -> Self {
        let calls = table.calls(&wanted.columns);
        Self { table, wanted, calls }
    }

    /// Returns the table as the plan needs it.
    #[must_use]
    pub fn planned(&self) -> PlannedTable {
        PlannedTable {
            schema: Arc::clone(self.table.schema()),
            list_call: self.calls.first().map_or("", |call| call.operation).into(),
            account_wide: self.table.is_account_wide(),
        }
    }
}
