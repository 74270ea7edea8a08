//! The format, the file and the columns of a command's output.

use std::path::{Path, PathBuf};

use ssoinv_output::Format;

use super::layers::{self, Layers};
use super::list::{OUTPUT, SPREADSHEET, WIDE};
use super::source::SettingValue;
use super::values::switch_flag;
use crate::cli::OutputArgs;
use crate::command_error::CommandError;

/// The format, the file and the columns.
#[derive(Clone, Debug)]
pub(crate) struct OutputSettings {
    pub(crate) format: Format,
    pub(crate) out: Option<PathBuf>,
    pub(crate) columns: Vec<String>,
    pub(crate) wide: bool,
    pub(crate) header: bool,
    pub(crate) spreadsheet: bool,
}

impl OutputSettings {
    pub(crate) fn new(args: &OutputArgs, layers: &Layers) -> Result<Self, CommandError> {
        let format = format(args, layers)?;
        let spreadsheet = layers.resolve(&SPREADSHEET, switch_flag(args.spreadsheet, args.no_spreadsheet))?;
        if spreadsheet.value && spreadsheet.source.is_flag() && format != Format::Csv {
            return Err(
                CommandError::usage("`--spreadsheet` is for CSV").with_hint("say `-o csv --spreadsheet`")
            );
        }
        Ok(Self {
            format,
            out: args.out.clone(),
            columns: args.columns.clone(),
            wide: layers.value(&WIDE, switch_flag(args.wide, args.no_wide))?,
            header: !args.no_header,
            // As a setting it applies to CSV only, whichever command.
            spreadsheet: spreadsheet.value && format == Format::Csv,
        })
    }
}

/// Returns the format: of `-o`, else of the ending of `--out`, else of the setting.
fn format(args: &OutputArgs, layers: &Layers) -> Result<Format, CommandError> {
    let flag = args.output.as_deref().map(|name| layers::typed(&OUTPUT, &[name])).transpose()?;
    let SettingValue { value: asked, source } = layers.resolve(&OUTPUT, flag)?;
    let Some(out) = &args.out else { return Ok(asked.unwrap_or(Format::Table)) };
    match (asked.filter(|_| source.is_flag()), format_of(out)) {
        (Some(typed), Some(other)) if typed != other => {
            let message =
                format!("`-o {}` contradicts the ending of `--out {}`", typed.name(), out.display());
            Err(CommandError::usage(message).with_hint("leave out `-o`, or give the file another ending"))
        }
        (Some(format), _) | (None, Some(format)) => Ok(format),
        // A folder, a device or a file without an ending says nothing about the format.
        (None, None) => match unknown_ending(out) {
            Some(ending) => Err(CommandError::usage(format!("no format has the ending `.{ending}`"))
                .with_hint("say the format with `-o table`, `-o csv`, `-o json` or `-o ndjson`")),
            None => Ok(asked.unwrap_or(Format::Table)),
        },
    }
}

/// Returns the format of a file's ending.
fn format_of(file: &Path) -> Option<Format> {
    Format::from_extension(file.extension()?.to_str()?)
}

/// Returns the ending of a file name that is no known format.
fn unknown_ending(out: &Path) -> Option<String> {
    if out.is_dir() || out.starts_with("/dev") {
        return None;
    }
    out.extension().map(|ending| ending.to_string_lossy().into_owned())
}

/// Returns the file of the ledger with the format of its ending.
pub(super) fn coverage(file: PathBuf) -> Result<(PathBuf, Format), CommandError> {
    let Some(format) = format_of(&file) else {
        let message = format!("`--coverage {}` has no ending that tells its format", file.display());
        return Err(CommandError::usage(message).with_hint("end it with `.csv`, `.json` or `.ndjson`"));
    };
    Ok((file, format))
}
