//! Writes rows to stdout, to a file, or to a folder with one file per table.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use indicatif::ProgressBar;
use ssoinv_core::column_set::ColumnSet;
use ssoinv_core::coverage::Ledger;
use ssoinv_core::rows::TaskId;
use ssoinv_core::table::{RowEncoder, TableSchema};
use ssoinv_output::{
    Choice, ColumnError, Destination, Format, Options, Output, OutputError, Selection, Target, TargetError,
};
use ssoinv_store::{RowOrder, RowQueue, RowReader, RunFolder, StoreError};

use crate::app::App;
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::exit_codes::ExitCode;
use crate::settings::OutputSettings;
use crate::terminal::Stdout;

/// Memory for queued rows, in bytes.
pub(crate) const ROW_BUDGET: usize = 8 << 20;

/// An open output.
pub(crate) struct RowWriter {
    output: Output,
    target: Option<Target>,
    bar: Arc<OnceLock<ProgressBar>>,
    /// The columns that the user named, for each table.
    named: Vec<ColumnSet>,
}

/// The outcome of writing.
pub(crate) enum WriteOutcome {
    /// All rows are written; the files still have to be committed.
    Written {
        target: Option<Target>,
        /// Number of duplicate rows in AWS's responses, by task.
        duplicates: Vec<(TaskId, u64)>,
    },
    /// The reader of stdout went away (`| head`).
    ReaderGone,
    /// Writing failed.
    Failed(CommandError),
}

impl RowWriter {
    /// Opens the output without writing to it.
    pub(crate) fn new(
        tables: &[Arc<TableSchema>],
        settings: &OutputSettings,
        app: &App,
    ) -> Result<Self, CommandError> {
        let choice = if !settings.columns.is_empty() {
            Choice::Named(&settings.columns)
        } else if settings.format == Format::Table && !settings.wide {
            Choice::Usual
        } else {
            Choice::All
        };
        let selections = Selection::of(tables, choice).map_err(|error| column_error(&error))?;
        let named = match choice {
            Choice::Named(_) => selections.iter().map(Selection::sources).collect(),
            Choice::Usual | Choice::All => Vec::new(),
        };
        let bar = Arc::default();
        let several = tables.len() > 1;
        let target = match settings.out.as_deref() {
            None => None,
            Some(out)
                if settings.format == Format::Csv && (is_folder(out) || several && could_be_folder(out)) =>
            {
                Some(Target::folder(out, tables.iter().map(|table| format!("{}.csv", table.name))))
            }
            Some(out) if is_folder(out) => {
                let message = format!("`--out {}` is a folder, which takes CSV only", out.display());
                return Err(CommandError::usage(message).with_hint("say `-o csv`, or name a file"));
            }
            Some(file) => Some(Target::file(file)),
        };
        let target = target.transpose().map_err(|error| target_error(&error))?;
        let destination = match &target {
            None => Destination::One(Box::new(Stdout::new(&app.terminal, &bar))),
            Some(target) => target.destination().map_err(|error| target_error(&error))?,
        };
        let to_terminal = settings.out.is_none() && app.terminal.on_stdout;
        let options = Options {
            header: settings.header,
            terminal: to_terminal,
            width: app.terminal.stdout_width(),
            spreadsheet: settings.spreadsheet,
        };
        let output =
            Output::begin(settings.format, options, selections, destination).map_err(
                |error| match error {
                    OutputError::NeedsFolder => CommandError::usage("several tables as CSV need a folder")
                        .with_hint("say `--out DIR/`, or another format"),
                    other => output_error(&other, settings.out.as_deref()),
                },
            )?;
        Ok(Self { output, target, bar, named })
    }

    /// Returns the columns that the user named, for each table; nothing if none were named.
    pub(crate) fn named_columns(&self) -> &[ColumnSet] {
        &self.named
    }

    /// Writes rows until the queue ends, then finishes the output.
    pub(crate) fn write_all(
        self,
        mut rows: RowReader,
        table_of: impl Fn(usize) -> usize,
        bar: ProgressBar,
        out: Option<&Path>,
    ) -> WriteOutcome {
        let Self { mut output, target, bar: shown, .. } = self;
        // The cell is new, so this can't fail.
        let _ = shown.set(bar);
        let written = (|| {
            for item in &mut rows {
                let (task, batch) = item.map_err(|error| Some(store_error(&error)))?;
                output.write(table_of(task.slot), &batch).map_err(|error| written_error(&error, out))?;
            }
            output.finish().map_err(|error| written_error(&error, out))
        })();
        match written {
            Ok(()) => {
                let duplicates = rows.duplicates().iter().map(|(&task, &number)| (task, number)).collect();
                WriteOutcome::Written { target, duplicates }
            }
            Err(None) => WriteOutcome::ReaderGone,
            Err(Some(error)) => WriteOutcome::Failed(error),
        }
    }
}

/// Returns the queue of rows between runner and writer. Large outputs are spilled to disk.
pub(crate) fn row_queue(slots: usize, run_id: &str, app: &App) -> (RowQueue, RowReader) {
    let state = app.environment.state_folder().unwrap_or_else(|| std::env::temp_dir().join("ssoinv"));
    // Leftovers of dead runs that can't be removed are no error of this run.
    let _left = ssoinv_store::sweep(&state);
    RowQueue::new(slots, RowOrder::Plan, ROW_BUDGET, RunFolder::new(&state, run_id))
}

/// Writes rows that are in memory, such as those of `ssoinv tables`.
pub(crate) fn write_all<R>(
    table: &RowEncoder<R>,
    rows: &[R],
    settings: &OutputSettings,
    app: &App,
) -> Result<CommandOutcome, CommandError> {
    let RowWriter { mut output, target, .. } = RowWriter::new(&[Arc::clone(&table.schema)], settings, app)?;
    let batch = table.plain_batch(rows).map_err(|error| bug(&error))?;
    let out = settings.out.as_deref();
    let written = output.write(0, &batch).and_then(|()| output.finish());
    match written.map_err(|error| written_error(&error, out)) {
        Ok(()) => commit(target).map(|()| CommandOutcome::default()),
        Err(None) => {
            let mut outcome = CommandOutcome::default();
            outcome.close_output();
            Ok(outcome)
        }
        Err(Some(error)) => Err(error),
    }
}

/// Writes a report instead of a table.
pub(crate) fn write_text(text: &str, out: Option<&Path>, app: &App) -> Result<(), CommandError> {
    let write = |writer: &mut dyn Write| writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
    let Some(out) = out else {
        return match write(&mut Stdout::new(&app.terminal, &Arc::default())).map_err(OutputError::Write) {
            Err(error) => written_error(&error, None).map_or(Ok(()), Err),
            Ok(()) => Ok(()),
        };
    };
    let target = Target::file(out).map_err(|error| target_error(&error))?;
    if let Destination::One(mut writer) = target.destination().map_err(|error| target_error(&error))? {
        write(&mut *writer).map_err(|error| output_error(&OutputError::Write(error), Some(out)))?;
    }
    commit(Some(target))
}

/// Writes the ledger.
pub(crate) fn write_ledger(ledger: &Ledger, file: &Path, format: Format) -> Result<(), CommandError> {
    let (schema, batch) = ledger.to_batch().map_err(|error| bug(&error))?;
    let target = Target::file(file).map_err(|error| target_error(&error))?;
    let destination = target.destination().map_err(|error| target_error(&error))?;
    let selections = Selection::of(&[schema], Choice::All).map_err(|error| column_error(&error))?;
    let write = || {
        let mut output = Output::begin(format, Options::default(), selections, destination)?;
        output.write(0, &batch)?;
        output.finish()
    };
    write().map_err(|error| output_error(&error, Some(file)))?;
    commit(Some(target))
}

/// Moves the written files to their places.
pub(crate) fn commit(target: Option<Target>) -> Result<(), CommandError> {
    target.map_or(Ok(()), Target::commit).map_err(|error| target_error(&error))
}

/// Returns whether the path is a folder, or ends like one: `rows/`.
fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with(std::path::is_separator)
}

/// Returns whether the path doesn't exist and has no file ending of a format: `--out rows.csv` is no folder.
fn could_be_folder(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).and_then(Format::from_extension);
    ending.is_none() && !path.exists()
}

fn target_error(error: &TargetError) -> CommandError {
    let reason = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    CommandError::new(ExitCode::OutputFailed, format!("{error}{reason}"))
        .with_hint("see that the folder is there and can be written to")
}

/// Returns none for a closed pipe, which is no error.
fn written_error(error: &OutputError, out: Option<&Path>) -> Option<CommandError> {
    (!error.is_broken_pipe()).then(|| output_error(error, out))
}

fn output_error(error: &OutputError, out: Option<&Path>) -> CommandError {
    let place = out.map_or_else(|| "stdout".to_owned(), |out| format!("`{}`", out.display()));
    match error {
        OutputError::Write(reason) => {
            CommandError::new(ExitCode::OutputFailed, format!("cannot write to {place}: {reason}"))
                .with_hint("see that there is room; `--out FILE` writes somewhere else")
        }
        other => bug(other),
    }
}

pub(crate) fn store_error(error: &StoreError) -> CommandError {
    let reason = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let error = CommandError::new(ExitCode::OutputFailed, format!("{error}{reason}"));
    error.with_hint("rows that wait are kept on disk: set `XDG_STATE_HOME` to a folder with more room")
}

fn bug(error: &dyn std::fmt::Display) -> CommandError {
    CommandError::new(ExitCode::Bug, error.to_string()).with_hint("this is a bug in ssoinv: please report it")
}

fn column_error(error: &ColumnError) -> CommandError {
    let usage = CommandError::usage(error.to_string());
    match error {
        ColumnError::Unknown { nearest, columns, .. } => {
            let usage = usage.with_details(vec![format!("there are: {}", columns.join(", "))]);
            match nearest {
                Some(near) => usage.with_hint(format!("did you mean `{near}`?")),
                None => usage.with_hint("`ssoinv tables TABLE` describes them"),
            }
        }
        ColumnError::NotJson { column, .. } => usage.with_hint(format!("say `{column}`")),
        ColumnError::NoneInTable { .. } => usage.with_hint("leave the table out, or name one of its columns"),
    }
}
