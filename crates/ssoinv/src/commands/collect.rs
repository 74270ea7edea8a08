//! `ssoinv buckets|instances|functions|list`: collects rows, from the sign-in to the exit code.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::UNIX_EPOCH;

use clap::Args;
use ssoinv_core::coverage::{Cell, Ledger};
use ssoinv_core::journal::Journal;
use ssoinv_core::rows::TaskId;
use ssoinv_core::table::TableSchema;
use ssoinv_profile::Profile;
use ssoinv_run::account_scan::{AccountScan, Entry, Layout};
use ssoinv_run::accounts::{self, Identify};
use ssoinv_run::plan::{self, Plan};
use ssoinv_run::run_options::{RunOptions, RunTable};
use ssoinv_run::runner::Runner;
use ssoinv_run::stop::{Stop, StopReason};
use ssoinv_store::{EntryKind, Replay, RowQueue, RowReader};

use crate::app::{self, App};
use crate::browser::Browser;
use crate::cli::CollectArgs;
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::connection::Connection;
use crate::display::{Display, RunOutcome};
use crate::exit_codes::ExitCode;
use crate::expectations::deviations::RunExtent;
use crate::identity::{self, AccountNames};
use crate::output::{self, RowWriter, WriteOutcome};
use crate::run_request::RunRequest;
use crate::saved_run::{self, RunToResume, SaveRequest, SavedRun};
use crate::sessions::KnownSession;
use crate::settings::CollectSettings;
use crate::signals::unless_stopped;
use crate::summary::Summary;
use crate::{discovery, signals, warnings};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The tables, see `ssoinv tables`; or `buckets`, `instances`, `functions`
    #[arg(required = true, value_name = "TABLE")]
    pub(crate) tables: Vec<String>,
    #[command(flatten)]
    pub(crate) collect: CollectArgs,
}

pub(crate) fn run(
    tables: &[&str],
    args: &CollectArgs,
    resumed: Option<RunToResume>,
    app: &App,
) -> Result<CommandOutcome, CommandError> {
    if args.dry_run {
        return super::plan::dry_run(tables, args, app);
    }
    let request = RunRequest::new(tables, args, app)?;

    // An output that can't be written ends the command before the first call.
    let schemas: Vec<Arc<TableSchema>> =
        request.tables.iter().map(|table| Arc::clone(table.schema())).collect();
    let writer = RowWriter::new(&schemas, &request.settings.output, app)?;
    let run_tables = request.run_tables(writer.named_columns());
    let RunRequest { settings, tables, profiles, session, unless_instance } = request;
    let runtime = app::runtime()?;
    let id = run_id(app);
    let keeping = match (resumed, args.keep.run.as_deref()) {
        (None, None) => None,
        (resumed, name) => {
            let selection = saved_run::selection(&settings, &tables, session.as_ref());
            Some(match resumed {
                Some(resumed) => {
                    resumed.check(&selection, app)?;
                    SaveRequest::Again(resumed)
                }
                None => SaveRequest::new(name.unwrap_or_default(), &id, &settings, selection, app)?,
            })
        }
    };
    let id = keeping.as_ref().map_or(id, |keeping| keeping.run_id().to_owned());
    let kept = keeping.map(|keeping| keeping.begin(app)).transpose()?;
    let name = kept.as_ref().map(|kept| kept.run.name().to_owned());
    let run = Run { id, name, kept, settings: &settings, tables: run_tables, profiles, session, app };
    let ended = runtime.block_on(run.collect(writer, unless_instance));
    // Abandoned calls aren't waited for.
    runtime.shutdown_background();
    ended
}

/// A run, from the sign-in to its outcome.
struct Run<'a> {
    id: String,
    /// The name of a saved run.
    name: Option<String>,
    /// The saved run, until its queue takes it.
    kept: Option<SavedRun>,
    settings: &'a CollectSettings,
    tables: Vec<RunTable>,
    profiles: Vec<Arc<Profile>>,
    /// The sign-in whose accounts are selected, if no profiles are.
    session: Option<KnownSession>,
    app: &'a App,
}

impl Run<'_> {
    async fn collect(
        mut self,
        writer: RowWriter,
        unless_instance: Option<CommandError>,
    ) -> Result<CommandOutcome, CommandError> {
        let (settings, app) = (self.settings, self.app);
        let stop = Stop::default();
        signals::watch(stop.clone());
        if let Some(time) = settings.max_time {
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                stop.stop(StopReason::OutOfTime);
            });
        }
        let browser = if app.demo { Browser::None } else { settings.sign_in.browser };
        let display = Display::start(app.terminal.clone(), app.clock.clone(), browser, app.demo);
        if let Some(replay) = self.replay() {
            return Ok(self.tell_again(replay, writer, display, &stop));
        }
        let connection = match Connection::open(
            &settings.connection,
            settings.sign_in.policy(&app.terminal, app.demo),
            &self.profiles,
            app,
            display.events(),
        ) {
            Ok(connection) => connection,
            Err(error) => return Err(self.not_begun(error, display)),
        };

        // Boxed, since the futures below are deep.
        let scans = match Box::pin(self.account_scans(&connection, unless_instance, &stop)).await {
            Ok(scans) => scans,
            Err(error) => return Err(self.not_begun(error, display)),
        };

        let planned = self.tables.iter().map(RunTable::planned).collect();
        let plan = Arc::new(Plan::new(planned, scans));
        display.plan(Arc::clone(&plan));

        let tasks = plan.scans.iter().filter_map(AccountScan::layout).map(Layout::tasks).sum();
        let queue = match self.kept.take() {
            None => Ok(output::row_queue(plan.slots(), &self.id, app)),
            Some(kept) => kept.queue(plan.slots(), tasks, app),
        };
        let (queue, reader) = match queue {
            Ok(queue) => queue,
            Err(error) => return Err(self.not_begun(error, display)),
        };
        let queue = Arc::new(queue);
        let table_of = {
            let plan = Arc::clone(&plan);
            move |slot| plan.table_of(slot)
        };
        let writing = self.write(writer, reader, table_of, &display, &stop);
        let options = RunOptions {
            tables: self.tables.clone(),
            only_regions: settings.regions.only(),
            journal: self.name.as_ref().map(|_| Arc::clone(&queue) as Arc<dyn Journal>),
        };
        let runner = Runner::new(Arc::clone(&plan), connection.engine, options, queue.clone());
        Arc::new(runner).run(stop.clone()).await;
        let written = tokio::task::block_in_place(|| {
            queue.close();
            joined(writing)
        });
        let outcome = display.end();
        if self.name.is_some() {
            self.remember(&queue, &plan, &outcome);
        }
        let ended = self.end(outcome, written, &stop);
        if let Some(name) = self.name.as_ref().filter(|_| ended.exit_code() != ExitCode::Complete) {
            app.terminal.note(&format!("the run is kept: `ssoinv resume {name}` goes on with it"));
        }
        Ok(ended)
    }

    /// Starts the thread that writes rows as they arrive.
    fn write(
        &self,
        writer: RowWriter,
        rows: RowReader,
        table_of: impl Fn(usize) -> usize + Send + 'static,
        display: &Display,
        stop: &Stop,
    ) -> JoinHandle<WriteOutcome> {
        let (stop, bar, out) = (stop.clone(), display.bar(), self.settings.output.out.clone());
        thread::spawn(move || {
            let end = writer.write_all(rows, table_of, bar, out.as_deref());
            match &end {
                WriteOutcome::Written { .. } => {}
                WriteOutcome::ReaderGone => stop.stop(StopReason::ReaderGone),
                WriteOutcome::Failed(_) => stop.stop(StopReason::OutputFailed),
            }
            end
        })
    }

    /// Ends a run that has no plan yet, and returns its error.
    fn not_begun(&mut self, error: CommandError, display: Display) -> CommandError {
        display.end();
        if let Some(kept) = self.kept.take() {
            kept.not_begun(&error);
        }
        error
    }

    /// Returns the rows and cells of a saved run if nothing is left to collect.
    fn replay(&mut self) -> Option<Replay> {
        let kept = self.kept.take_if(|kept| !kept.is_new)?;
        let schemas: Vec<_> = self.tables.iter().map(|table| Arc::clone(table.table.schema())).collect();
        // An account that is expected since then needs a cell, so the run isn't complete.
        let expected = self.settings.expect.accounts();
        match tokio::task::block_in_place(|| kept.replay(&schemas, expected, self.app)) {
            Ok(replay) => Some(replay),
            Err(kept) => {
                self.kept = Some(*kept);
                None
            }
        }
    }

    /// Writes the results of a complete run without a call.
    fn tell_again(&self, replay: Replay, writer: RowWriter, display: Display, stop: &Stop) -> CommandOutcome {
        let Replay { queue, rows, cells } = replay;
        let place = |name: &str| self.tables.iter().position(|table| *table.table.schema().name == *name);
        let table_of: Vec<usize> = cells
            .iter()
            .map(|cells| cells.first().and_then(|cell| place(&cell.table)).unwrap_or_default())
            .collect();
        let writing = self.write(writer, rows, move |slot| table_of[slot], &display, stop);
        let written = tokio::task::block_in_place(|| joined(writing));
        drop(queue);
        let mut outcome = display.end();
        let lines = cells.into_iter().enumerate().map(|(slot, cells)| (TaskId { slot, part: 0 }, cells));
        outcome.cells = lines.collect();
        self.app.terminal.note("the run is complete: nobody was asked for anything");
        self.end(outcome, written, stop)
    }

    /// Marks a saved run complete if it is, and prints notes about it.
    fn remember(&self, queue: &RowQueue, plan: &Plan, outcome: &RunOutcome) {
        let terminal = &self.app.terminal;
        let lines = outcome.cells.iter().map(|(&task, cells)| {
            let settled = matches!(plan.entry(task), Some((Entry::Settled(_), _)));
            (task, cells.as_slice(), if settled { EntryKind::Settled } else { EntryKind::Task })
        });
        if let Err(error) = queue.complete(lines) {
            // Only the mark is missing: the next `resume` finds nothing to do.
            terminal.print_warning(&output::store_error(&error).message, None);
        }
        match queue.recalled() {
            0 => {}
            recalled => {
                let tasks = outcome.cells.len();
                terminal.note(&format!("{recalled} of {tasks} tasks had been done before"));
            }
        }
        if let Some(warning) = saved_run::gone(&queue.unplanned(), plan) {
            terminal.print_warning(&warning, None);
        }
    }

    /// Returns the entries of the plan, as far as they are known before the run.
    async fn account_scans(
        &mut self,
        connection: &Connection,
        unless_instance: Option<CommandError>,
        stop: &Stop,
    ) -> Result<Vec<AccountScan>, CommandError> {
        let (settings, engine) = (self.settings, &connection.engine);
        let regions = settings.regions.choice();
        if let (Some(discovery), Some(session)) = (&settings.all_accounts, &self.session) {
            let expected = settings.expect.accounts();
            let of = discovery::accounts(session, &discovery.of, expected, engine.credentials(), self.app);
            let of = unless_stopped(stop, of).await?;
            let regions = regions.of_account();
            return Ok(discovery::account_scans(of, session, discovery, &regions, settings.every_role));
        }
        let names = unless_stopped(stop, self.identities(connection, unless_instance)).await?;
        let accesses =
            accounts::resolve_profiles(&self.profiles, engine, &regions, &names, Identify::Ask, stop).await;
        let expected = settings.expect.accounts();
        let unreached = settings.unreached().map_or_else(Vec::new, |why| {
            discovery::unreached(expected, &accesses, &regions.of_account(), why)
        });
        Ok(plan::account_scans(accesses, settings.every_role).into_iter().chain(unreached).collect())
    }

    /// Confirms the identity, replaces it by the roles to assume, and returns the names of accounts.
    async fn identities(
        &mut self,
        connection: &Connection,
        unless_instance: Option<CommandError>,
    ) -> Result<AccountNames, CommandError> {
        identity::confirm(&self.profiles, unless_instance, connection.engine.credentials(), self.app).await?;
        let (Some(assume), [base]) = (&self.settings.assume, self.profiles.as_slice()) else {
            return Ok(AccountNames::new());
        };
        let (profiles, names) = identity::assume(base, assume, &connection.engine, self.app).await?;
        self.profiles = profiles;
        Ok(names)
    }

    /// Returns the extent of the run. Expected gaps outside of it are no deviations.
    fn extent(&self) -> RunExtent {
        let settings = self.settings;
        RunExtent {
            tables: self
                .tables
                .iter()
                .map(|table| &table.table)
                .map(|table| (Arc::clone(&table.schema().name), table.is_account_wide()))
                .collect(),
            all_accounts: match &settings.all_accounts {
                Some(all) => all.of.accounts.is_whole(),
                None => settings.unreached().is_some(),
            },
            all_regions: settings.regions.is_all(),
        }
    }

    /// Writes the ledger and the summary, and returns the outcome. All tasks and the writer have ended.
    fn end(&self, mut outcome: RunOutcome, written: WriteOutcome, stop: &Stop) -> CommandOutcome {
        let app = self.app;
        let duplicates = match &written {
            WriteOutcome::Written { duplicates, .. } => duplicates.as_slice(),
            _ => &[],
        };
        let mut ledger = ledger(std::mem::take(&mut outcome.cells), duplicates, &self.id);
        let expect = &self.settings.expect;
        let deviations = expect.apply(&mut ledger.cells, &self.extent(), app.clock.now());
        warnings::after_the_run(&outcome, &ledger, app);
        warnings::of_expectations(&deviations, expect, app);
        let mut ended = CommandOutcome::of_ledger(&ledger);
        if stop.reason() == Some(StopReason::Interrupted) {
            ended.add(ExitCode::Interrupted);
        }
        let report = |error: &CommandError, ended: &mut CommandOutcome| {
            app.terminal.print_error(error);
            ended.add_error(error);
        };
        let coverage = self.settings.coverage.as_ref();
        if let Some((file, format)) = coverage
            && let Err(error) = output::write_ledger(&ledger, file, *format)
        {
            report(&error, &mut ended);
        }
        if matches!(written, WriteOutcome::ReaderGone) {
            ended.close_output();
        } else {
            crate::terminal::print(&self.summary(&ledger, &outcome).text());
        }
        let interrupted = ended.exit_code() == ExitCode::Interrupted;
        let committed = match written {
            WriteOutcome::Written { target, .. } if !interrupted => output::commit(target),
            WriteOutcome::Written { .. } | WriteOutcome::ReaderGone => Ok(()),
            WriteOutcome::Failed(error) => Err(error),
        };
        if let Err(error) = committed {
            report(&error, &mut ended);
        }
        ended
    }

    fn summary<'a>(&'a self, ledger: &'a Ledger, outcome: &'a RunOutcome) -> Summary<'a> {
        let settings = self.settings;
        Summary {
            ledger,
            region_source: &settings.regions,
            coverage: settings.coverage.as_ref().map(|(file, _)| file.display().to_string()),
            terminal: &self.app.terminal,
            gave_up: &outcome.gave_up,
            profiles: &self.profiles,
            session: self.session.as_ref(),
            whole_sign_in: settings
                .all_accounts
                .as_ref()
                .is_some_and(|all| all.of.accounts.is_whole() && !settings.expect.lists_accounts()),
        }
    }
}

fn joined(writing: JoinHandle<WriteOutcome>) -> WriteOutcome {
    writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Returns the cells in the plan's order. Duplicate rows of AWS's responses don't count.
fn ledger(mut cells: BTreeMap<TaskId, Vec<Cell>>, duplicates: &[(TaskId, u64)], run_id: &str) -> Ledger {
    for (task, number) in duplicates {
        if let Some(cell) = cells.get_mut(task).and_then(|cells| cells.first_mut()) {
            cell.rows -= number;
        }
    }
    Ledger { run_id: run_id.into(), cells: cells.into_values().flatten().collect() }
}

/// Returns the ID of the run: start time and process ID, in hexadecimal.
fn run_id(app: &App) -> String {
    let since = app.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", since.as_millis(), std::process::id())
}
