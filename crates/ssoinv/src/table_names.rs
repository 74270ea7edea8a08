//! Tables by the names that users type.

use ssoinv_aws::tables::{AnyTable, TABLES};
use ssoinv_profile::nearest;

use crate::command_error::CommandError;

/// The commands that list one table, and the table of each.
const COMMANDS: [(&str, &str); 3] =
    [("buckets", "aws_s3_bucket"), ("instances", "aws_ec2_instance"), ("functions", "aws_lambda_function")];

/// The table of this name, or of the command of this name.
pub(crate) fn find(name: &str) -> Result<&'static dyn AnyTable, CommandError> {
    let name = COMMANDS.iter().find(|(command, _)| *command == name).map_or(name, |(_, table)| *table);
    let names = || TABLES.iter().map(|table| table.schema().name);
    TABLES.iter().copied().find(|table| table.schema().name == name).ok_or_else(|| {
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
