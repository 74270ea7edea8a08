//! `ssoinv tables`: the tables, or the columns of one.

use std::borrow::Cow;

use ssoinv_aws::tables::{self, AnyTable};
use ssoinv_core::table::{Column, ColumnInfo, Table};
use ssoinv_profile::nearest;

use crate::app::App;
use crate::cli::TablesArgs;
use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;
use crate::output;
use crate::settings::OutputSettings;

pub(crate) fn run(args: &TablesArgs, app: &App) -> Result<ExitCode, CommandError> {
    let settings = OutputSettings::new(&args.output, &app.layers)?;
    match &args.table {
        None => output::write_all(&all_tables(), tables::TABLES, &settings, app),
        Some(name) => output::write_all(&columns(), &find(name)?.schema().columns, &settings, app),
    }
}

/// The commands that list one table, and the table of each.
const COMMANDS: [(&str, &str); 3] =
    [("buckets", "aws_s3_bucket"), ("instances", "aws_ec2_instance"), ("functions", "aws_lambda_function")];

/// The table of this name, or of the command of this name.
pub(crate) fn find(name: &str) -> Result<&'static dyn AnyTable, CommandError> {
    let name = COMMANDS.iter().find(|(command, _)| *command == name).map_or(name, |(_, table)| *table);
    let names = || tables::TABLES.iter().map(|table| table.schema().name);
    tables::TABLES.iter().copied().find(|table| table.schema().name == name).ok_or_else(|| {
        let error = CommandError::usage(format!("there is no table `{name}`"))
            .with_details(vec![format!("there are: {}", names().collect::<Vec<_>>().join(", "))]);
        match nearest(name, names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("`ssoinv tables` describes them"),
        }
    })
}

fn all_tables() -> Table<&'static dyn AnyTable> {
    Table::plain(
        "tables",
        "The tables",
        vec![
            Column::text("table", "The name", |table: &&dyn AnyTable, _| {
                Some(Cow::from(table.schema().name))
            }),
            Column::text("asked", "Once an account, or in each region", |table, _| {
                Some(Cow::from(if table.is_global() { "once an account" } else { "in each region" }))
            }),
            Column::integer("columns", "How many columns it has", |table| {
                i64::try_from(table.schema().columns.len()).ok()
            }),
            Column::text("description", "What its rows are", |table, _| {
                Some(Cow::from(table.schema().description))
            }),
        ],
    )
}

fn columns() -> Table<ColumnInfo> {
    Table::plain(
        "columns",
        "The columns of a table",
        vec![
            Column::text("column", "The name", |column: &ColumnInfo, _| Some(Cow::from(column.name))),
            Column::text("type", "The type", |column, _| Some(Cow::from(column.column_type.as_str()))),
            Column::text("description", "What it says", |column, _| Some(Cow::from(column.description))),
        ],
    )
}
