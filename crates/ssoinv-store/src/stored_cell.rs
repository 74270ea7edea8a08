//! Cells of the ledger in the journal's form.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use ssoinv_core::coverage::Cell;
use ssoinv_core::scope::{Partition, Place, Scope};
use ssoinv_core::status::Status;

/// A cell of the ledger in the journal's form.
///
/// Marks from outside the run, such as expected gaps, are left out: the next run may have other ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCell {
    partition: String,
    account_id: Option<String>,
    account_name: Option<String>,
    role_name: Option<String>,
    profile: Option<String>,
    place: StoredPlace,
    caller_arn: Option<String>,
    table: String,
    call: String,
    columns: Vec<String>,
    status: String,
    rows: u64,
    rows_missed: u64,
    resources: Vec<String>,
    calls: u32,
    retries: u32,
    started_at: Option<SystemTime>,
    duration: Duration,
    error_code: Option<String>,
    error_message: Option<String>,
    request_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredPlace {
    Global,
    Region(String),
    Unset,
}

impl From<&Cell> for StoredCell {
    fn from(cell: &Cell) -> Self {
        let scope = &cell.scope;
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        Self {
            partition: scope.partition.as_str().to_owned(),
            account_id: scope.account_id.map(|id| id.to_string()),
            account_name: text(&scope.account_name),
            role_name: text(&scope.role_name),
            profile: text(&scope.profile),
            place: match &scope.place {
                Place::Global => StoredPlace::Global,
                Place::Region(region) => StoredPlace::Region(region.to_string()),
                Place::Unset => StoredPlace::Unset,
            },
            caller_arn: text(&cell.caller_arn),
            table: cell.table.to_string(),
            call: cell.call.to_string(),
            columns: cell.columns.iter().map(ToString::to_string).collect(),
            status: cell.status.as_str().to_owned(),
            rows: cell.rows,
            rows_missed: cell.rows_missed,
            resources: cell.resources.clone(),
            calls: cell.calls,
            retries: cell.retries,
            started_at: cell.started_at,
            duration: cell.duration,
            error_code: cell.error_code.clone(),
            error_message: cell.error_message.clone(),
            request_id: cell.request_id.clone(),
        }
    }
}

impl StoredCell {
    /// Returns the table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Returns the account's ID, or the profile's name if the ID isn't known.
    #[must_use]
    pub fn account_key(&self) -> &str {
        self.account_id.as_deref().or(self.profile.as_deref()).unwrap_or_default()
    }

    /// Returns the account's name.
    #[must_use]
    pub fn account_name(&self) -> Option<&str> {
        self.account_name.as_deref()
    }

    /// Returns the cell, if this version knows its partition and status.
    #[must_use]
    pub fn cell(self) -> Option<Cell> {
        let text = |text: Option<String>| text.map(Arc::from);
        let scope = Scope {
            partition: Partition::from_name(&self.partition)?,
            account_id: match self.account_id {
                Some(id) => Some(id.parse().ok()?),
                None => None,
            },
            account_name: text(self.account_name),
            role_name: text(self.role_name),
            profile: text(self.profile),
            place: match self.place {
                StoredPlace::Global => Place::Global,
                StoredPlace::Region(region) => Place::Region(region.into()),
                StoredPlace::Unset => Place::Unset,
            },
        };
        Some(Cell {
            caller_arn: text(self.caller_arn),
            columns: self.columns.into_iter().map(Arc::from).collect(),
            rows: self.rows,
            rows_missed: self.rows_missed,
            resources: self.resources,
            calls: self.calls,
            retries: self.retries,
            started_at: self.started_at,
            duration: self.duration,
            error_code: self.error_code,
            error_message: self.error_message,
            request_id: self.request_id,
            ..Cell::new(scope, self.table, self.call, Status::from_name(&self.status)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_cell_comes_back_exactly() {
        let mut scope = Scope {
            partition: Partition::AwsUsGov,
            account_id: "001122334455".parse().ok(),
            account_name: Some("pröd\n\"1\"\u{1b}".into()),
            role_name: Some("Audit".into()),
            profile: Some("dev".into()),
            place: Place::Region("global".into()),
        };
        let mut full = Cell::new(scope.clone(), "thing", "GetThing", Status::Ok);
        full.columns = vec!["tags".into()];
        full.resources = vec!["arn:aws:thing:::ü\"".to_owned()];
        full.rows_missed = u64::MAX;
        full.caller_arn = Some("arn:aws:sts::001122334455:assumed-role/Audit/me".into());
        (full.rows, full.calls, full.retries) = (u64::MAX, u32::MAX, 1);
        full.started_at = Some(UNIX_EPOCH + Duration::from_nanos(1_767_323_045_123_456_789));
        full.duration = Duration::from_nanos(u64::MAX);
        full.error_code = Some("Code".to_owned());
        full.error_message = Some("profile `x`: denied".to_owned());
        full.request_id = Some("id".to_owned());
        let mut cells = vec![full];
        for (place, status) in [(Place::Global, Status::DeniedByScp), (Place::Unset, Status::Excluded)] {
            scope.place = place;
            scope.account_id = None;
            cells.push(Cell::new(scope.clone(), "thing", "ListThings", status));
        }
        for cell in cells {
            let text = serde_json::to_string(&StoredCell::from(&cell)).unwrap();
            let stored: StoredCell = serde_json::from_str(&text).unwrap();
            assert_eq!(format!("{:?}", stored.cell().unwrap()), format!("{cell:?}"));
        }
    }
}
