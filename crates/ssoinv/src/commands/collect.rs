//! `ssoinv buckets|instances|functions|list`: the way of the data, station by station.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::UNIX_EPOCH;

use ssoinv_aws::clients::Clients;
use ssoinv_aws::plan::{self, Plan, PlannedTable, Visit};
use ssoinv_aws::reach::{self, Identify};
use ssoinv_aws::runner::{RunContext, Runner};
use ssoinv_aws::stop::{Stop, StopReason};
use ssoinv_aws::tables::AnyTable;
use ssoinv_core::coverage::{Cell, Ledger};
use ssoinv_core::rows::TaskId;
use ssoinv_core::table::TableSchema;
use ssoinv_sso::profile::Profile;

use crate::app::App;
use crate::browser::Browser;
use crate::cli::CollectArgs;
use crate::command_error::CommandError;
use crate::display::{Display, Heard};
use crate::exit_codes::{self, ExitCode};
use crate::expectations::Looked;
use crate::identity::{self, Chosen, Names};
use crate::output::{self, RowWriter, WriteEnd};
use crate::sessions::KnownSession;
use crate::settings::CollectSettings;
use crate::signals::unless_stopped;
use crate::station::Station;
use crate::summary::Summary;
use crate::{discovery, signals, station, warnings};

/// What is known before anybody is asked anything.
pub(super) struct Prepared {
    pub(super) settings: CollectSettings,
    pub(super) tables: Vec<&'static dyn AnyTable>,
    pub(super) profiles: Vec<Arc<Profile>>,
    pub(super) session: Option<KnownSession>,
    pub(super) unless_instance: Option<CommandError>,
}

/// Finds out what is meant, and warns of what may be wrong with it.
pub(super) fn prepare(tables: &[&str], args: &CollectArgs, app: &App) -> Result<Prepared, CommandError> {
    let settings = CollectSettings::new(args, &app.layers, &app.environment)?;
    let tables = find_tables(tables)?;
    let profiles = app.load_profiles()?;
    let session = match &settings.all_accounts {
        Some(discovery) => Some(discovery::session(&discovery.of, &profiles, app)?),
        None => None,
    };
    let Chosen { profiles: chosen, unless_instance } = match &session {
        // What the sign-in's profile says of endpoints and certificates counts; its account and role don't.
        Some(session) => {
            Chosen { profiles: session.profile.iter().cloned().collect(), unless_instance: None }
        }
        None => identity::choose(&profiles, &settings, app)?,
    };
    warnings::before_the_run(&profiles, &chosen, &settings, app);
    warnings::foreign_endpoints(&chosen, app);
    Ok(Prepared { settings, tables, profiles: chosen, session, unless_instance })
}

pub(crate) fn run(tables: &[&str], args: &CollectArgs, app: &App) -> Result<ExitCode, CommandError> {
    if args.dry_run {
        return super::plan::dry_run(tables, args, app);
    }
    let Prepared { settings, tables, profiles, session, unless_instance } = prepare(tables, args, app)?;

    // What can't be written is found out before anybody is asked anything.
    let schemas: Vec<Arc<TableSchema>> = tables.iter().map(|table| Arc::clone(table.schema())).collect();
    let writer = RowWriter::new(&schemas, &settings.output, app)?;
    let runtime = super::runtime()?;
    let run = Run { id: run_id(app), settings: &settings, tables, profiles, session, app };
    let ended = runtime.block_on(run.collect(writer, unless_instance));
    // Calls that were given up are not waited for.
    runtime.shutdown_background();
    ended
}

fn find_tables(names: &[&str]) -> Result<Vec<&'static dyn AnyTable>, CommandError> {
    let mut tables: Vec<&'static dyn AnyTable> = Vec::new();
    for name in names {
        let table = super::tables::find(name)?;
        if !tables.iter().any(|known| known.schema().name == table.schema().name) {
            tables.push(table);
        }
    }
    Ok(tables)
}

/// A run, from the sign-in to the last row.
struct Run<'a> {
    id: String,
    settings: &'a CollectSettings,
    tables: Vec<&'static dyn AnyTable>,
    profiles: Vec<Arc<Profile>>,
    /// The sign-in whose accounts are meant, where no profiles are.
    session: Option<KnownSession>,
    app: &'a App,
}

impl Run<'_> {
    async fn collect(
        mut self,
        writer: RowWriter,
        unless_instance: Option<CommandError>,
    ) -> Result<ExitCode, CommandError> {
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
        let station = match station::build(
            &settings.station,
            settings.sign_in.asking(app),
            &self.profiles,
            app,
            display.events(),
        ) {
            Ok(station) => station,
            Err(error) => {
                display.end();
                return Err(error);
            }
        };

        let visits = match self.visits(&station, unless_instance, &stop).await {
            Ok(visits) => visits,
            Err(error) => {
                display.end();
                return Err(error);
            }
        };

        let planned = self
            .tables
            .iter()
            .map(|table| PlannedTable { schema: Arc::clone(table.schema()), global: table.is_global() });
        let plan = Arc::new(Plan::new(planned.collect(), visits));
        display.plan(Arc::clone(&plan));

        let (queue, reader) = output::row_queue(plan.slots(), &self.id, app);
        let writing = {
            let (stop, plan, bar) = (stop.clone(), Arc::clone(&plan), display.bar());
            let out = settings.output.out.clone();
            thread::spawn(move || {
                let end = writer.write_all(reader, &plan, bar, out.as_deref());
                match &end {
                    WriteEnd::Written { .. } => {}
                    WriteEnd::ReaderGone => stop.stop(StopReason::ReaderGone),
                    WriteEnd::Failed(_) => stop.stop(StopReason::OutputFailed),
                }
                end
            })
        };
        let context = RunContext {
            tables: self.tables.clone(),
            credentials: station.credentials,
            clients: Clients::new(station.context),
            policy: settings.station.policy,
            concurrency: settings.station.concurrency,
            include_secrets: settings.include_secrets,
            only_regions: settings.regions.only(),
            events: display.events(),
            clock: app.clock.clone(),
        };
        let queue = Arc::new(queue);
        Arc::new(Runner::new(Arc::clone(&plan), context, queue.clone())).run(stop.clone()).await;
        queue.close();
        let written = tokio::task::block_in_place(|| writing.join());
        let written = written.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let heard = display.end();
        self.end(heard, written, &stop)
    }

    /// Station 4: what there is to be done in which account, as far as that is known before the run.
    async fn visits(
        &mut self,
        station: &Station,
        unless_instance: Option<CommandError>,
        stop: &Stop,
    ) -> Result<Vec<Visit>, CommandError> {
        let (settings, credentials) = (self.settings, &station.credentials);
        let regions = settings.regions.choice();
        if let (Some(discovery), Some(session)) = (&settings.all_accounts, &self.session) {
            let expected = settings.expect.accounts();
            let of = discovery::accounts(session, &discovery.of, expected, credentials, self.app);
            let of = unless_stopped(stop, of).await?;
            let regions = regions.of_account();
            return Ok(discovery::visits(of, session, discovery, &regions, settings.every_role));
        }
        let names = unless_stopped(stop, self.identities(station, unless_instance)).await?;
        let reaches =
            reach::reaches(&self.profiles, credentials, &regions, &names, Identify::Ask, stop).await;
        let expected = settings.expect.accounts();
        let unreached = settings.unreached().map_or_else(Vec::new, |why| {
            discovery::unreached(expected, &reaches, &regions.of_account(), why)
        });
        Ok(plan::visits(reaches, settings.every_role).into_iter().chain(unreached).collect())
    }

    /// Sees to it that there is an identity, and makes it the roles that it is to assume; gives the accounts' names.
    async fn identities(
        &mut self,
        station: &Station,
        unless_instance: Option<CommandError>,
    ) -> Result<Names, CommandError> {
        identity::confirm(&self.profiles, unless_instance, &station.credentials, self.app).await?;
        let (Some(assume), [base]) = (&self.settings.assume, self.profiles.as_slice()) else {
            return Ok(Names::new());
        };
        let (profiles, names) = identity::assume(base, assume, &station.credentials, self.app).await?;
        self.profiles = profiles;
        Ok(names)
    }

    /// What the run was for, as far as an expected gap may lie outside it.
    fn looked(&self) -> Looked {
        let settings = self.settings;
        Looked {
            tables: self.tables.iter().map(|table| (table.schema().name, table.is_global())).collect(),
            all_accounts: match &settings.all_accounts {
                Some(all) => all.of.accounts.is_whole(),
                None => settings.unreached().is_some(),
            },
            all_regions: settings.regions.is_all(),
        }
    }

    /// Ledger, summary, files and exit code, when nothing moves any more.
    fn end(&self, mut heard: Heard, written: WriteEnd, stop: &Stop) -> Result<ExitCode, CommandError> {
        let app = self.app;
        let duplicates = match &written {
            WriteEnd::Written { duplicates, .. } => duplicates.as_slice(),
            _ => &[],
        };
        let mut ledger = ledger(std::mem::take(&mut heard.cells), duplicates, &self.id);
        let expect = &self.settings.expect;
        let findings = expect.apply(&mut ledger.cells, &self.looked(), app.clock.now());
        warnings::after_the_run(&heard, &ledger, app);
        warnings::of_expectations(&findings, expect, app);
        let mut code = exit_codes::of_ledger(&ledger);
        if stop.reason() == Some(StopReason::Interrupted) {
            code = code.worst(ExitCode::Interrupted);
        }
        let reader_gone = matches!(written, WriteEnd::ReaderGone);
        let coverage = self.settings.coverage.as_ref();
        if let Some((file, format)) = coverage {
            output::write_ledger(&ledger, file, *format)?;
        }
        if !reader_gone {
            let summary = Summary {
                ledger: &ledger,
                region_source: &self.settings.regions,
                coverage: coverage.map(|(file, _)| file.display().to_string()),
                terminal: &app.terminal,
                gave_up: &heard.gave_up,
                profiles: &self.profiles,
                session: self.session.as_ref(),
                whole_sign_in: self
                    .settings
                    .all_accounts
                    .as_ref()
                    .is_some_and(|all| all.of.accounts.is_whole() && !expect.lists_accounts()),
            };
            crate::terminal::say(&summary.text());
        }
        match written {
            // Whoever closed the pipe has read what they wanted.
            WriteEnd::ReaderGone if code != ExitCode::Interrupted => Ok(ExitCode::Complete),
            WriteEnd::ReaderGone => Ok(code),
            WriteEnd::Failed(error) => {
                crate::terminal::say(&app.terminal.error(&error));
                Ok(code.worst(error.exit))
            }
            WriteEnd::Written { target, .. } => {
                if code != ExitCode::Interrupted {
                    output::commit(target)?;
                }
                Ok(code)
            }
        }
    }
}

/// The cells in the plan's order, less the rows that AWS had given twice.
fn ledger(mut cells: BTreeMap<TaskId, Vec<Cell>>, duplicates: &[(TaskId, u64)], run_id: &str) -> Ledger {
    for (task, number) in duplicates {
        if let Some(cell) = cells.get_mut(task).and_then(|cells| cells.first_mut()) {
            cell.rows -= number;
        }
    }
    Ledger { run_id: run_id.into(), cells: cells.into_values().flatten().collect() }
}

/// Names the run: the time of its start, and the process.
fn run_id(app: &App) -> String {
    let since = app.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", since.as_millis(), std::process::id())
}
