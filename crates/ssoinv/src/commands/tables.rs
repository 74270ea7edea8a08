//! `ssoinv tables`: lists the tables, or the columns of one table.

use std::borrow::Cow;
use std::sync::Arc;

use clap::Args;
use ssoinv_core::table::{Column, ColumnInfo, RowEncoder};
use ssoinv_tables::Table;
use ssoinv_tables::registry::tables;

use crate::app::App;
use crate::cli::OutputArgs;
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::settings::OutputSettings;
use crate::{output, table_names};

#[derive(Debug, Args)]
pub(crate) struct TablesArgs {
    /// The table whose columns to show
    #[arg(value_name = "TABLE")]
    pub(crate) table: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn run(args: &TablesArgs, app: &App) -> Result<CommandOutcome, CommandError> {
    let settings = OutputSettings::new(&args.output, &app.layers)?;
    match &args.table {
        None => output::write_all(&all_tables(), tables(), &settings, app),
        Some(name) => {
            output::write_all(&columns(), &table_names::find(name)?.schema().columns, &settings, app)
        }
    }
}

fn all_tables() -> RowEncoder<Arc<dyn Table>> {
    RowEncoder::plain(
        "tables",
        "The tables",
        vec![
            Column::text("table", "The name", |table: &Arc<dyn Table>, _| {
                Some(Cow::from(&*table.schema().name))
            }),
            Column::text("asked", "Once an account, or in each region", |table, _| {
                Some(Cow::from(if table.is_account_wide() { "once an account" } else { "in each region" }))
            }),
            Column::integer("columns", "How many columns it has", |table| {
                i64::try_from(table.schema().columns.len()).ok()
            }),
            Column::text("description", "What its rows are", |table, _| {
                Some(Cow::from(&*table.schema().description))
            }),
        ],
    )
}

fn columns() -> RowEncoder<ColumnInfo> {
    RowEncoder::plain(
        "columns",
        "The columns of a table",
        vec![
            Column::text("column", "The name", |column: &ColumnInfo, _| Some(Cow::from(&*column.name))),
            Column::text("type", "The type", |column, _| Some(Cow::from(column.column_type.as_str()))),
            Column::text("description", "What it says", |column, _| Some(Cow::from(&*column.description))),
        ],
    )
}
