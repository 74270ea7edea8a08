//! Tables by the names that users type.

use std::sync::Arc;

use ssoinv_core::suggest::nearest;
use ssoinv_tables::Table;
use ssoinv_tables::registry::tables;

use crate::command_error::CommandError;

/// Returns the table with this name, or the table of the command with this name.
pub(crate) fn find(name: &str) -> Result<&'static Arc<dyn Table>, CommandError> {
    let is_named = |table: &&Arc<dyn Table>| {
        let schema = table.schema();
        *schema.name == *name || schema.command.as_deref() == Some(name)
    };
    let names = || tables().iter().map(|table| &*table.schema().name);
    tables().iter().find(is_named).ok_or_else(|| {
        let error = CommandError::usage(format!("there is no table `{name}`"))
            .with_details(vec![format!("there are: {}", names().collect::<Vec<_>>().join(", "))]);
        match nearest(name, names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("`ssoinv tables` describes them"),
        }
    })
}

/// Returns the tables of these names, each once, in this order.
pub(crate) fn find_all(names: &[&str]) -> Result<Vec<Arc<dyn Table>>, CommandError> {
    let mut tables: Vec<Arc<dyn Table>> = Vec::new();
    for name in names {
        let table = find(name)?;
        if !tables.iter().any(|known| known.schema().name == table.schema().name) {
            tables.push(Arc::clone(table));
        }
    }
    Ok(tables)
}
