//! An expected gap: the cells that it covers, its reason and its last day.

use std::time::SystemTime;

use chrono::{DateTime, Days, NaiveDate, Utc};
use ssoinv_core::coverage::Cell;
use ssoinv_core::name_pattern::{InvalidPattern, NamePattern, is_glob};
use ssoinv_core::scope::{AccountId, Place};
use ssoinv_core::suggest::nearest;
use ssoinv_tables::registry::tables;

use super::expect_error::{ExpectError, RowError};
use crate::account_file::{FileLine, FileRow, is_digits};
use crate::settings::values;

/// An expected gap.
#[derive(Clone, Debug)]
pub(crate) struct Gap {
    /// The line that declares it.
    pub(crate) at: FileLine,
    account: Account,
    /// If none, any.
    region: Option<NamePattern>,
    /// If none, any.
    table: Option<NamePattern>,
    pub(crate) reason: String,
    /// The last day of the gap, in UTC.
    pub(crate) until: NaiveDate,
}

/// The accounts that a gap covers.
#[derive(Clone, Debug)]
enum Account {
    /// One account, ignoring its name.
    Id(AccountId),
    /// Accounts whose ID and name match.
    Like { id: Option<NamePattern>, name: Option<NamePattern> },
}

impl Gap {
    /// Reads a row that declares a gap.
    pub(super) fn read(row: &FileRow) -> Result<Self, ExpectError> {
        let refuse = |error| ExpectError::Row { at: row.at.clone(), error };
        let reason = row.get("reason").ok_or_else(|| refuse(RowError::Missing { column: "reason" }));
        let until = row.get("until").ok_or_else(|| refuse(RowError::Missing { column: "until" }));
        let account = match (row.get("account_id"), row.get("name")) {
            (None, None) => return Err(refuse(RowError::NoAccount)),
            // With an ID the name is a comment: accounts are renamed.
            (Some(id), _) if is_digits(id) => Account::Id(row.account_id()?),
            (id, name) => Account::Like {
                id: id.map(id_pattern).transpose().map_err(refuse)?,
                name: name
                    .map(|name| pattern(NamePattern::ignoring_case(name)))
                    .transpose()
                    .map_err(refuse)?,
            },
        };
        Ok(Self {
            at: row.at.clone(),
            account,
            region: row.get("region").map(region).transpose().map_err(refuse)?.flatten(),
            table: row.get("table").map(table).transpose().map_err(refuse)?.flatten(),
            reason: reason?.to_owned(),
            until: day(until?).map_err(refuse)?,
        })
    }

    /// Returns the account if the gap names it by ID.
    pub(crate) fn account_id(&self) -> Option<AccountId> {
        match &self.account {
            Account::Id(id) => Some(*id),
            Account::Like { .. } => None,
        }
    }

    /// Returns the region or pattern as it was written; none for any.
    pub(crate) fn region(&self) -> Option<&str> {
        self.region.as_ref().map(NamePattern::as_str)
    }

    /// Returns whether its last day is over, in UTC.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        let end = self.until.checked_add_days(Days::new(1)).and_then(|day| day.and_hms_opt(0, 0, 0));
        end.is_some_and(|end| DateTime::<Utc>::from(now).naive_utc() >= end)
    }

    pub(super) fn is_in(&self, cell: &Cell) -> bool {
        self.is_of_table(&cell.table) && self.is_of_place(&cell.scope.place) && self.is_of_account(cell)
    }

    pub(super) fn is_of_account(&self, cell: &Cell) -> bool {
        let id = cell.scope.account_id;
        match &self.account {
            Account::Id(own) => id == Some(*own),
            Account::Like { id: like, name } => {
                let name_fits = |pattern: &NamePattern| {
                    cell.scope.account_name.as_deref().is_some_and(|name| pattern.matches(name))
                };
                let id_fits = |pattern: &NamePattern| id.is_some_and(|id| pattern.matches(id.as_str()));
                like.as_ref().is_none_or(id_fits) && name.as_ref().is_none_or(name_fits)
            }
        }
    }

    pub(super) fn is_of_place(&self, place: &Place) -> bool {
        self.region.as_ref().is_none_or(|pattern| pattern.matches(place.as_str()))
    }

    pub(super) fn is_of_table(&self, table: &str) -> bool {
        self.table.as_ref().is_none_or(|pattern| pattern.matches(table))
    }

    /// Returns whether it can cover an account-wide table.
    pub(super) fn is_of_global(&self) -> bool {
        self.is_of_place(&Place::Global)
    }
}

fn pattern(result: Result<NamePattern, InvalidPattern>) -> Result<NamePattern, RowError> {
    result.map_err(|InvalidPattern { text, reason }| RowError::NoPattern { text, reason })
}

/// Parses a pattern of account IDs. A pattern with letters would silently match nothing.
fn id_pattern(text: &str) -> Result<NamePattern, RowError> {
    if text.chars().any(|c| !c.is_ascii_digit() && !"*?[]{},!-".contains(c)) {
        return Err(RowError::NoIdPattern { text: text.to_owned() });
    }
    pattern(NamePattern::new(text))
}

/// Parses a region, a pattern of regions, or `global`. Returns none for any region.
fn region(text: &str) -> Result<Option<NamePattern>, RowError> {
    if text == "*" || text == ssoinv_run::region_patterns::ALL {
        return Ok(None);
    }
    if text != Place::Global.as_str() && !is_glob(text) {
        // An unknown name of the right form may be a new region.
        values::region(text).map_err(|refused| RowError::NoRegion {
            text: text.to_owned(),
            hint: refused.hint.unwrap_or_default(),
        })?;
    }
    pattern(NamePattern::new(text)).map(Some)
}

/// Parses a pattern that matches at least one table. Returns none for any table.
fn table(text: &str) -> Result<Option<NamePattern>, RowError> {
    if text == "*" {
        return Ok(None);
    }
    let pattern = pattern(NamePattern::new(text))?;
    let names = || tables().iter().map(|table| &*table.schema().name);
    if !names().any(|name| pattern.matches(name)) {
        return Err(RowError::NoTable { text: text.to_owned(), nearest: nearest(text, names()) });
    }
    Ok(Some(pattern))
}

fn day(text: &str) -> Result<NaiveDate, RowError> {
    // ISO 8601 only; chrono alone would also take `2027-3-1`.
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == "2027-03-31".len());
    day.ok_or_else(|| RowError::NoDay { text: text.to_owned() })
}
