//! `ssoinv runs`: lists, shows and removes saved runs. Makes no call.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use ssoinv_core::coverage::Cell;
use ssoinv_core::table::{Column, RowEncoder};
use ssoinv_core::text::thousands;
use ssoinv_store::{RunState, RunStore, RunSummary, StoreError, StoredCell};

use crate::app::App;
use crate::cli::OutputArgs;
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::output;
use crate::saved_run::{self, command_line};
use crate::settings::{OutputSettings, values};

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    pub(crate) command: RunsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List the runs: how each stands, and what it takes of the disk
    List(RunsListArgs),
    /// Show what the tasks of a run have ended with so far
    Show(RunsShowArgs),
    /// Remove runs and all that they have collected; never one that is under way
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunsListArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunsShowArgs {
    /// The run
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[group(required = true)]
pub(crate) struct PruneArgs {
    /// The runs
    #[arg(value_name = "NAME", conflicts_with_all = ["older_than", "all"])]
    pub(crate) names: Vec<String>,

    /// Those that have done nothing for this time, like 30d
    #[arg(long, value_name = "TIME", value_parser = values::time, conflicts_with = "all")]
    pub(crate) older_than: Option<Duration>,

    /// All
    #[arg(long)]
    pub(crate) all: bool,
}

pub(crate) fn run(args: &RunsArgs, app: &App) -> Result<CommandOutcome, CommandError> {
    let runs = saved_run::runs(app)?;
    match &args.command {
        RunsCommand::List(args) => {
            let settings = OutputSettings::new(&args.output, &app.layers)?;
            let all = runs.list().map_err(|failed| saved_run::error(&failed, app))?;
            let outcome = output::write_all(&list(), &all, &settings, app)?;
            if all.is_empty() {
                app.terminal.note("no run is kept; `--run NAME` keeps one");
            }
            Ok(outcome)
        }
        RunsCommand::Show(args) => {
            let settings = OutputSettings::new(&args.output, &app.layers)?;
            show(&args.name, &settings, &runs, app)
        }
        RunsCommand::Prune(args) => prune(args, &runs, app),
    }
}

fn show(
    name: &str,
    settings: &OutputSettings,
    runs: &RunStore,
    app: &App,
) -> Result<CommandOutcome, CommandError> {
    let cells = runs.cells(name).map_err(|failed| saved_run::error(&failed, app))?;
    let mut cells: Vec<Cell> = cells.into_iter().filter_map(StoredCell::cell).collect();
    // The journal has them in the order in which tasks ended.
    cells.sort_by(|one, other| {
        let key = |cell: &Cell| (Arc::clone(&cell.table), cell.scope.account_id, cell.scope.place.clone());
        key(one).cmp(&key(other)).then_with(|| one.scope.profile.cmp(&other.scope.profile))
    });
    let outcome = output::write_all(&shown(), &cells, settings, app)?;
    let all = runs.list().map_err(|failed| saved_run::error(&failed, app))?;
    if let Some(run) = all.iter().find(|run| run.name == name) {
        let command = run.manifest.as_ref().map(command_line).unwrap_or_default();
        let (state, done, planned) =
            (word(run.state), thousands(run.done as u64), thousands(run.planned as u64));
        app.terminal.note(&format!("run `{name}` (`{command}`): {state}; {done} of {planned} tasks done"));
        if run.state == RunState::Stopped {
            app.terminal.note(&format!("`ssoinv resume {name}` goes on with it"));
        }
    }
    Ok(outcome)
}

fn prune(args: &PruneArgs, runs: &RunStore, app: &App) -> Result<CommandOutcome, CommandError> {
    let failed = |failed: StoreError| saved_run::error(&failed, app);
    let all = runs.list().map_err(failed)?;
    let old_enough = |run: &&RunSummary| {
        let age = app.clock.now().duration_since(run.active).unwrap_or_default();
        args.older_than.is_none_or(|limit| age >= limit)
    };
    let chosen: Vec<&str> = if args.names.is_empty() {
        let (living, dead): (Vec<_>, Vec<_>) =
            all.iter().filter(old_enough).partition(|run| run.state == RunState::Alive);
        for run in living {
            app.terminal.note(&format!("run `{}` is under way: left alone", run.name));
        }
        dead.into_iter().map(|run| run.name.as_str()).collect()
    } else {
        args.names.iter().map(String::as_str).collect()
    };
    let mut removed = Vec::new();
    for name in chosen {
        runs.remove(name).map_err(failed)?;
        removed.push(format!("`{name}`"));
    }
    if removed.is_empty() {
        app.terminal.note("nothing to remove");
    } else {
        app.terminal.note(&format!("removed {}", removed.join(", ")));
    }
    Ok(CommandOutcome::default())
}

fn word(state: RunState) -> &'static str {
    match state {
        RunState::Alive => "alive",
        RunState::Complete => "complete",
        RunState::Stopped => "stopped",
    }
}

fn millis(time: SystemTime) -> Option<i64> {
    time.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok())
}

fn number(number: impl TryInto<i64>) -> Option<i64> {
    number.try_into().ok()
}

fn list() -> RowEncoder<RunSummary> {
    RowEncoder::plain(
        "runs",
        "The runs that are kept",
        vec![
            Column::text("name", "The name", |run: &RunSummary, _| Some(Cow::from(&run.name))),
            Column::text("state", "alive, complete or stopped", |run, _| Some(Cow::from(word(run.state)))),
            Column::integer("tasks_done", "Tasks that need not be done again", |run| number(run.done)),
            Column::integer("tasks_failed", "Tasks that ended without an answer", |run| number(run.failed)),
            Column::integer("tasks_planned", "Tasks that are planned, as far as that is known", |run| {
                number(run.planned)
            }),
            Column::integer("bytes", "What it takes of the disk", |run| number(run.bytes)),
            Column::timestamp("created_at", "When it was begun", |run| {
                millis(run.manifest.as_ref()?.created)
            }),
            Column::timestamp("active_at", "When it did something last", |run| millis(run.active)),
            Column::text("command", "What was asked for", |run, _| {
                run.manifest.as_ref().map(|manifest| Cow::from(command_line(manifest)))
            }),
        ],
    )
}

fn shown() -> RowEncoder<Cell> {
    RowEncoder::plain(
        "run",
        "What the tasks of a run have ended with so far",
        vec![
            Column::text("table", "The table", |cell: &Cell, _| Some(Cow::from(&*cell.table))),
            Column::text("account_id", "The account", |cell, _| Some(Cow::from(cell.scope.account()))),
            Column::text("account_name", "The account's name", |cell, _| {
                cell.scope.account_name.as_deref().map(Cow::from)
            }),
            Column::text("profile", "The profile", |cell, _| cell.scope.profile.as_deref().map(Cow::from)),
            Column::text("role_name", "The role", |cell, _| cell.scope.role_name.as_deref().map(Cow::from)),
            Column::text("region", "The region; `global` for account-wide tables", |cell, _| {
                Some(Cow::from(cell.scope.place.as_str()))
            }),
            Column::text("status", "How the task ended", |cell, _| Some(Cow::from(cell.status.as_str()))),
            Column::integer("rows", "Rows that were collected", |cell| number(cell.rows)),
            Column::text("error_code", "The service's error code", |cell, _| {
                cell.error_code.as_deref().map(Cow::from)
            }),
            Column::timestamp("started_at", "When the first call was made", |cell| {
                cell.started_at.and_then(millis)
            }),
        ],
    )
}
