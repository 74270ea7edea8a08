//! Tables by the names that users type.

use ssoinv_aws::tables::{AnyTable, TABLES};
use ssoinv_core::table::TableSchema;
use ssoinv_profile::nearest;

use crate::command_error::CommandError;

/// Returns the table with this name, or the table of the command with this name.
pub(crate) fn find(name: &str) -> Result<&'static dyn AnyTable, CommandError> {
    let names = || TABLES.iter().map(|table| &*table.schema().name);
    let is_meant = |schema: &TableSchema| *schema.name == *name || schema.command.as_deref() == Some(name);
    TABLES.iter().copied().find(|table| is_meant(table.schema())).ok_or_else(|| {
        let error = CommandError::usage(format!("there is no table `{name}`"))
            .with_details(vec![format!("there are: {}", names().collect::<Vec<_>>().join(", "))]);
        match nearest(name, names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("`ssoinv tables` describes them"),
        }
    })
}

/// Returns the tables of these names, each once, in this order.
pub(crate) fn find_all(names: &[&str]) -> Result<Vec<&'static dyn AnyTable>, CommandError> {
    let mut tables: Vec<&'static dyn AnyTable> = Vec::new();
    for name in names {
        let table = find(name)?;
        if !tables.iter().any(|known| known.schema().name == table.schema().name) {
            tables.push(table);
        }
    }
    Ok(tables)
}
