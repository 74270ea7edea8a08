//! `ssoinv settings`: lists every setting with its value and source. Reads files only.

use std::borrow::Cow;

use clap::{Arg, Args, Command};
use ssoinv_core::table::{Column, RowEncoder};

use crate::app::App;
use crate::cli::OutputArgs;
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::output;
use crate::settings::{OutputSettings, list};

#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A setting with the value that applies without its flag.
#[derive(Debug)]
struct SettingRow {
    key: &'static str,
    value: Option<String>,
    source: String,
    description: String,
}

pub(crate) fn run(args: &SettingsArgs, command: &Command, app: &App) -> Result<CommandOutcome, CommandError> {
    let settings = OutputSettings::new(&args.output, &app.layers)?;
    let flags: Vec<&Arg> = command.get_subcommands().flat_map(Command::get_arguments).collect();
    let rows: Vec<SettingRow> = list::ALL
        .iter()
        .map(|setting| {
            let (value, source) = app.layers.shown(*setting);
            let long = list::flag_of(setting.key());
            let flag = flags.iter().find(|flag| flag.get_long() == long.strip_prefix("--"));
            let help = flag.and_then(|flag| flag.get_help());
            let description = help.map(ToString::to_string).unwrap_or_default();
            SettingRow { key: setting.key(), value, source: source.to_string(), description }
        })
        .collect();
    let outcome = output::write_all(&table(), &rows, &settings, app)?;
    if let Some(place) = app.layers.file.place.as_ref().filter(|_| !app.demo) {
        let there = if app.layers.file.found { "" } else { ", which is not there" };
        app.terminal.note(&format!("settings are read from `{place}`{there}, and from variables `SSOINV_…`"));
    }
    Ok(outcome)
}

fn table() -> RowEncoder<SettingRow> {
    RowEncoder::plain(
        "settings",
        "The settings",
        vec![
            Column::text("key", "Its name in config.toml", |row: &SettingRow, _| Some(Cow::from(row.key))),
            Column::text("value", "The value; a list with commas", |row, _| {
                row.value.as_deref().map(Cow::from)
            }),
            Column::text("source", "Where the value comes from", |row, _| Some(Cow::from(&row.source))),
            Column::text("description", "What it is for", |row, _| Some(Cow::from(&row.description))),
        ],
    )
}
