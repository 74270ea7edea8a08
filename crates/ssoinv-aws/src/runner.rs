//! Station 5: works the plan off. Bounded in all (slots) and per (account, region, service) (pace); says everything it
//! does as [`Event`]s and hands each task's rows, as one unit, to the row store.
//!
//! Visit by visit, so that an account's tasks start when its credentials have arrived, while others wait for theirs; the
//! rows wait for their turn in the plan's order. What isn't known of a visit is found out first (`survey.rs`).
//!
//! A task asks one way into its account after the other until one answers. It holds a slot only while a call is under
//! way: whoever waits for its turn, for a delay, for credentials or for a sign-in, holds none. Credentials that end in
//! the middle of its pages are renewed, and it goes on from its page.

use std::collections::HashSet;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use ssoinv_core::clock::Clock;
use ssoinv_core::coverage::Cell;
use ssoinv_core::event::Event;
use ssoinv_core::event::Events;
use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::journal::Journal;
use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::rows::{RowStore, TaskId, TaskRows};
use ssoinv_core::scope::Place;
use ssoinv_core::status::Status;
use ssoinv_core::table::RowContext;
use ssoinv_http::circuit_breaker::CircuitBreakers;
use ssoinv_http::classify::invalid_response;
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::profile::Profile;
use ssoinv_sso::role_credentials::RoleCredentials;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clients::Clients;
use crate::handover::Handover;
use crate::pace::Paces;
use crate::plan::{Entry, Layout, Plan, PlannedTable, Reach, Task, Way, skipped};
use crate::regions::{self, EnabledRegions, RegionPatterns};
use crate::stop::{Stop, StopReason};
use crate::survey;
use crate::tables::AnyTable;

/// What a run needs besides its plan.
#[derive(Debug)]
pub struct RunContext {
    /// The tables, as the plan numbers them.
    pub tables: Vec<&'static dyn AnyTable>,
    /// Station 3.
    pub credentials: Arc<CredentialStore>,
    /// Makes the services' clients.
    pub clients: Clients,
    /// How often a call is tried again.
    pub policy: RetryPolicy,
    /// Calls under way at once.
    pub concurrency: usize,
    /// Whether values that are secrets by nature are kept.
    pub include_secrets: bool,
    /// Where set, rows of account-wide tables that are known to lie in other regions are left out.
    pub only_regions: Option<Arc<RegionPatterns>>,
    /// What the run did before, and what it remembers, where it is to.
    pub journal: Option<Arc<dyn Journal>>,
    /// Who hears what happens.
    pub events: Events,
    /// The time of day.
    pub clock: Clock,
}

/// How many tasks, and how many visits, have been begun at a time. More than there are slots, since those that wait hold
/// none: for their turn, for a delay, for credentials. Bounded, since each costs memory, about five kilobytes.
const BEGUN: usize = 1024;

/// How often credentials are renewed for one page before the service's word counts.
const RENEWALS_PER_PAGE: u32 = 2;

/// What calls are made with.
#[derive(Debug)]
pub(crate) struct Means {
    pub(crate) context: RunContext,
    /// Calls under way.
    pub(crate) slots: Semaphore,
    pub(crate) paces: Paces,
    pub(crate) breakers: CircuitBreakers,
    pub(crate) enabled: EnabledRegions,
}

/// Works a plan off.
#[derive(Debug)]
pub struct Runner {
    plan: Arc<Plan>,
    means: Means,
    store: Arc<dyn RowStore>,
    /// Tasks that have been begun.
    begun: Arc<Semaphore>,
    handover: Handover,
}

/// How a task ended: its cells, the task's own first, and the rows, where it was answered.
struct Outcome {
    cells: Vec<Cell>,
    rows: Option<Box<dyn TaskRows>>,
}

/// A task, and the reaches that its ways name.
#[derive(Clone, Copy)]
struct Work<'a> {
    id: TaskId,
    task: &'a Task,
    reaches: &'a [Reach],
}

impl Runner {
    /// A runner for one plan, whose rows go to `store`.
    #[must_use]
    pub fn new(plan: Arc<Plan>, context: RunContext, store: Arc<dyn RowStore>) -> Self {
        let slots = Semaphore::new(context.concurrency);
        let begun = Arc::new(Semaphore::new(begun(&context)));
        let (paces, enabled) = (Paces::default(), EnabledRegions::default());
        let breakers = CircuitBreakers::new(context.clients.connect_timeout());
        let (means, handover) = (Means { context, slots, paces, breakers, enabled }, Handover::default());
        Self { plan, means, store, begun, handover }
    }

    /// Works the plan off, until it is done or `stop` says so. Every entry ends in one [`Event::Finished`].
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let window = Arc::new(Semaphore::new(begun(&self.means.context)));
        let mut visits = JoinSet::new();
        for visit in 0..self.plan.visits.len() {
            // Never closed; visits end when the run is stopped, so that this isn't waited for long.
            let permit = Arc::clone(&window).acquire_owned().await.ok();
            let (runner, stop) = (Arc::clone(&self), stop.clone());
            visits.spawn(async move {
                runner.visit(visit, &stop).await;
                drop(permit);
            });
            while let Some(ended) = visits.try_join_next() {
                resume_panic(ended);
            }
        }
        while let Some(ended) = visits.join_next().await {
            resume_panic(ended);
        }
        self.handover.at_rest().await;
    }

    /// Finds out what there is to be done in a visit's account, and does it.
    async fn visit(self: Arc<Self>, visit: usize, stop: &Stop) {
        // Boxed, since the visit waits for its tasks long after.
        let layout = Box::pin(self.layout(visit, stop)).await;
        for (table, entries) in layout.entries.iter().enumerate() {
            self.store.open(self.plan.slot(table, visit), entries.len());
        }
        let mut tasks = JoinSet::new();
        for (table, entries) in layout.entries.iter().enumerate() {
            for (part, entry) in entries.iter().enumerate() {
                let id = TaskId { slot: self.plan.slot(table, visit), part };
                let task = match entry {
                    Entry::Settled(cell) => {
                        self.finish(id, Outcome { cells: vec![(**cell).clone()], rows: None });
                        continue;
                    }
                    Entry::Task(task) => task,
                };
                if let Some(cells) = self.recall(id, task) {
                    self.means.context.events.say(Event::Finished { task: id, cells });
                    continue;
                }
                let mut permit = pin!(Arc::clone(&self.begun).acquire_owned());
                let permit = loop {
                    tokio::select! {
                        biased;
                        _ = stop.stopped() => break None,
                        permit = &mut permit => break permit.ok(),
                        // What has ended meanwhile needn't be kept.
                        Some(ended) = tasks.join_next() => resume_panic(ended),
                    }
                };
                let Some(permit) = permit else {
                    let work = Work { id, task, reaches: &layout.reaches };
                    self.finish(id, self.not_tried(work, stop));
                    continue;
                };
                let (runner, stop) = (Arc::clone(&self), stop.clone());
                tasks.spawn(async move {
                    let Some((Entry::Task(task), reaches)) = runner.plan.entry(id) else { return };
                    let work = Work { id, task, reaches };
                    // The rows leave after the last point at which a stop could still say that they weren't collected.
                    let outcome = tokio::select! {
                        biased;
                        _ = stop.stopped() => runner.not_tried(work, &stop),
                        outcome = runner.work(work) => outcome,
                    };
                    runner.finish(id, outcome);
                    drop(permit);
                });
            }
        }
        while let Some(ended) = tasks.join_next().await {
            resume_panic(ended);
        }
    }

    /// A visit's tasks, found out where they aren't known.
    async fn layout(&self, visit: usize, stop: &Stop) -> &Layout {
        let planned = &self.plan.visits[visit];
        if let Some(layout) = planned.layout() {
            return layout;
        }
        let regional = self.plan.tables.iter().any(|table| !table.global);
        let task = TaskId { slot: self.plan.slot(0, visit), part: 0 };
        let on_park = |parked: bool| self.tell_parked(task, parked);
        let journal = self.means.context.journal.as_ref().map(|journal| (journal, planned.key()));
        let known = journal.as_ref().and_then(|(journal, key)| journal.recall_survey(key));
        let known = known.and_then(|words| survey::of_words(planned, &words));
        let (groups, found) = if let Some(groups) = known {
            (groups, None)
        } else {
            tokio::select! {
                biased;
                reason = stop.stopped() => (survey::given_up(planned, &reason.failure()), None),
                groups = survey::survey(planned, &self.means, regional, on_park) => {
                    let found = journal.as_ref().and_then(|_| survey::in_words(planned, &groups));
                    (groups, found)
                }
            }
        };
        let layout = self.plan.lay_out(visit, groups);
        if let Some((journal, key)) = journal {
            journal.note_survey(&key, layout.tasks(), found);
        }
        let tasks = layout.entries.iter().map(Vec::len).sum();
        self.means.context.events.say(Event::Surveyed { visit, tasks });
        layout
    }

    fn tell_parked(&self, task: TaskId, parked: bool) {
        let event = if parked { Event::Parked { task } } else { Event::Unparked { task } };
        self.means.context.events.say(event);
    }

    /// The cells of a task that the run has done before; its rows are there already.
    fn recall(&self, id: TaskId, task: &Task) -> Option<Vec<Cell>> {
        let journal = self.means.context.journal.as_ref()?;
        let key = self.key(id)?;
        // It reads the rows once, to see that they are whole.
        tokio::task::block_in_place(|| journal.recall(id, &key, &self.plan.tables[task.table].schema))
    }

    /// A task's key, where somebody wants to know it.
    fn key(&self, task: TaskId) -> Option<String> {
        self.means.context.journal.as_ref().and_then(|_| self.plan.key(task))
    }

    fn finish(&self, task: TaskId, outcome: Outcome) {
        if let (Some(journal), Some(key)) = (&self.means.context.journal, self.key(task)) {
            journal.note(task, &key, &outcome.cells);
        }
        match outcome.rows {
            Some(rows) => rows.finish(),
            None => self.store.skip(task),
        }
        self.means.context.events.say(Event::Finished { task, cells: outcome.cells });
    }

    fn not_tried(&self, work: Work<'_>, stop: &Stop) -> Outcome {
        let failure = stop
            .reason()
            .map_or_else(|| Failure::new(FailureKind::NotTried, "not tried"), StopReason::failure);
        let cells = work.task.ways.iter().filter(|way| way.listed);
        Outcome { cells: cells.map(|way| self.cell(work, *way).failed(&failure)).collect(), rows: None }
    }

    /// A cell of a task as asked through `way`.
    fn cell(&self, work: Work<'_>, way: Way) -> Cell {
        let place = work.task.place.clone();
        self.table(work.task).cell(&work.reaches[way.reach], place, Status::NotTried)
    }

    fn table(&self, task: &Task) -> &PlannedTable {
        &self.plan.tables[task.table]
    }

    /// Asks one way after the other until one answers.
    async fn work(&self, work: Work<'_>) -> Outcome {
        let mut refused: Vec<(Way, Cell)> = Vec::new();
        for &way in &work.task.ways {
            let mut cell = self.cell(work, way);
            match self.collect(work, way, &mut cell).await {
                Ok(rows) => {
                    return Outcome { cells: self.answered(work, way, cell, &refused), rows: Some(rows) };
                }
                Err(Refusal { failure, at_credentials }) => {
                    let ask_next = at_credentials || is_refusal(failure.kind);
                    refused.push((way, cell.failed(&failure)));
                    if !ask_next {
                        break;
                    }
                }
            }
        }
        Outcome { cells: self.unanswered(work, &refused), rows: None }
    }

    /// The cells of a task that `way` answered: its own, and one for each other profile that was to look here.
    fn answered(&self, work: Work<'_>, way: Way, mut cell: Cell, refused: &[(Way, Cell)]) -> Vec<Cell> {
        cell.status = Status::Ok;
        if !refused.is_empty() {
            let refusals: Vec<_> = refused.iter().map(|(_, cell)| refusal_in_words(cell)).collect();
            cell.error_message = Some(refusals.join("; "));
        }
        let reason = format!("{} answered for this account", work.reaches[way.reach].in_words());
        let mut cells = vec![cell];
        // Roles of one account stand for one cell, whichever answers; each profile that was named has its own.
        let others = work.task.ways.iter().filter(|other| {
            other.listed && other.reach != way.reach && work.reaches[other.reach].profile.is_some()
        });
        for &other in others {
            let reach = &work.reaches[other.reach];
            let place = work.task.place.clone();
            let mut cell = skipped(reach, place, self.table(work.task), &reason);
            if let Some((_, tried)) = refused.iter().find(|(way, _)| way.reach == other.reach) {
                cell = Cell { status: Status::Skipped, ..tried.clone() };
                cell.error_message = Some(format!("{reason}; {}", refusal_in_words(tried)));
            }
            cells.push(cell);
        }
        cells
    }

    /// The cells of a task that nobody answered: each profile's own failure; those that were not asked, since another's
    /// failure stands for the account, have that one.
    fn unanswered(&self, work: Work<'_>, refused: &[(Way, Cell)]) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &way in work.task.ways.iter().filter(|way| way.listed) {
            let own =
                refused.iter().find(|(tried, _)| tried.reach == way.reach).map(|(_, cell)| cell.clone());
            cells.push(own.unwrap_or_else(|| {
                let last = refused.last().map(|(way, _)| work.reaches[way.reach].in_words());
                let reason = format!("{} was asked for this account", last.unwrap_or_default());
                let place = work.task.place.clone();
                skipped(&work.reaches[way.reach], place, self.table(work.task), &reason)
            }));
        }
        let strangers = refused.iter().filter(|(way, _)| !way.listed).map(|(_, cell)| refusal_in_words(cell));
        let strangers: Vec<_> = strangers.collect();
        if let (Some(first), false) = (cells.first_mut(), strangers.is_empty()) {
            let own = first.error_message.take().unwrap_or_default();
            first.error_message = Some(format!("{own}; {}", strangers.join("; ")));
        }
        cells
    }

    /// Collects all pages of `task` through `way`.
    async fn collect(&self, work: Work<'_>, way: Way, cell: &mut Cell) -> Result<Box<dyn TaskRows>, Refusal> {
        let Work { id, task, reaches } = work;
        let context = &self.means.context;
        let table = context.tables[task.table];
        let reach = &reaches[way.reach];
        let profile = &reach.access;
        let scope = cell.scope.clone();
        let row_context = RowContext { scope: &scope, include_secrets: context.include_secrets };
        let mut region = context.clients.region(reach, profile, &task.place);
        let mut rows = self.store.begin(id);
        let mut token: Option<String> = None;
        let mut tokens = HashSet::new();
        let mut ended: Option<Arc<RoleCredentials>> = None;
        let mut renewals = 0;
        let mut first_call: Option<Instant> = None;
        loop {
            let credentials = self.credentials(id, profile, ended.take()).await?;
            cell.caller_arn.clone_from(&credentials.caller_arn);
            let pace = self.means.paces.of(reach, &region, table.service());
            let breaker = self.means.breakers.of(context.clients.host(table.service(), &region, profile)?);
            let probe = breaker.admit().await?;
            first_call.get_or_insert_with(|| {
                context.events.say(Event::Started { task: id });
                cell.started_at = Some(context.clock.now());
                Instant::now()
            });
            let say_retry = |failure: &Failure, delay: Duration| {
                let failure = Arc::new(failure.clone());
                context.events.say(Event::Retrying { task: Some(id), failure, delay });
            };
            // A client is made for each attempt, while the attempt has a slot: they are large, and most tasks wait.
            let page = async || {
                let client = context.clients.client(table.service(), &region, profile, &credentials)?;
                table.page(&client, &row_context, &context.clock, token.as_deref()).await
            };
            let (answer, attempts) =
                probe.call(&pace, &self.means.slots, context.policy, say_retry, page).await;
            cell.calls += attempts.calls;
            cell.retries += attempts.retries;
            cell.duration = first_call.map_or(Duration::ZERO, |first| first.elapsed());
            let page = match answer {
                Ok(page) => page,
                Err(failure) => {
                    // The profile's region may not be enabled; the partition's own always is.
                    let own = reach.partition.default_region();
                    if failure.remedy == Remedy::CheckRegion && task.place == Place::Global && *region != *own
                    {
                        region = own.into();
                        continue;
                    }
                    let failure = self.diagnose(failure, reach, &task.place).await;
                    if failure.remedy == Remedy::Renew && renewals < RENEWALS_PER_PAGE {
                        renewals += 1;
                        ended = Some(credentials);
                        continue;
                    }
                    return Err(failure.into());
                }
            };
            renewals = 0;
            let batch = self.keep_selected(&task.place, page.rows)?;
            cell.rows += batch.num_rows() as u64;
            context.events.say(Event::Collected { task: id, rows: batch.num_rows() });
            let handed = self.handover.push(rows, batch).await;
            rows = handed.map_err(|_| StopReason::OutputFailed.failure())?;
            let Some(next) = page.next else { return Ok(rows) };
            if !tokens.insert(next.clone()) {
                return Err(invalid_response("the list's pages go in a circle").into());
            }
            token = Some(next);
        }
    }

    async fn credentials(
        &self,
        task: TaskId,
        profile: &Profile,
        ended: Option<Arc<RoleCredentials>>,
    ) -> Result<Arc<RoleCredentials>, Refusal> {
        let on_park = |parked: bool| self.tell_parked(task, parked);
        let credentials = self.means.context.credentials.get(profile, ended.as_deref(), on_park).await;
        credentials.map_err(|failure| Refusal { failure, at_credentials: true })
    }

    /// What looks like bad credentials may be a region that isn't enabled: only `DescribeRegions` can tell.
    async fn diagnose(&self, failure: Failure, reach: &Reach, place: &Place) -> Failure {
        let region = match (failure.remedy, place) {
            (Remedy::CheckRegion, Place::Region(region)) => region,
            // It was asked where every account is let in.
            (Remedy::CheckRegion, _) => return Failure { remedy: Remedy::Renew, ..failure },
            _ => return failure,
        };
        match self.means.enabled.in_account(&self.means, reach, &|_| ()).await {
            Ok(enabled) if !enabled.contains(&**region) => {
                return Failure {
                    kind: FailureKind::RegionDisabled,
                    message: format!("region `{region}` is not enabled in this account"),
                    remedy: Remedy::None,
                    ..failure
                };
            }
            Ok(_) => {}
            Err(refusal) => {
                let credentials_are_good = refusal.proves_credentials();
                regions::tell_unknown(&self.means, reach, refusal.failure);
                if credentials_are_good {
                    // New ones would be refused alike, at the cost of calls to the portal.
                    return Failure {
                        kind: FailureKind::Failed,
                        message: format!(
                            "region `{region}` does not take credentials that are good elsewhere, as one does that is \
                             not enabled; `ec2:DescribeRegions`, which would tell, is denied"
                        ),
                        remedy: Remedy::None,
                        ..failure
                    };
                }
            }
        }
        // Then the credentials are what it complains about.
        Failure { remedy: Remedy::Renew, ..failure }
    }

    /// Leaves out the rows of an account-wide table that are known to lie in regions that nobody asked for.
    fn keep_selected(&self, place: &Place, batch: RecordBatch) -> Result<RecordBatch, Failure> {
        let (Place::Global, Some(only), Some(regions)) =
            (place, &self.means.context.only_regions, batch.column_by_name("region"))
        else {
            return Ok(batch);
        };
        let regions = regions.as_string::<i32>();
        let keep: BooleanArray =
            regions.iter().map(|region| Some(region.is_none_or(|region| only.mean(region)))).collect();
        if keep.true_count() == batch.num_rows() {
            return Ok(batch);
        }
        filter_record_batch(&batch, &keep).map_err(|error| bug(&error))
    }
}

fn begun(context: &RunContext) -> usize {
    BEGUN.max(context.concurrency.saturating_mul(2))
}

/// Why a way didn't answer.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    /// There were no credentials to ask with: another way may have some.
    pub(crate) at_credentials: bool,
}

impl Refusal {
    /// Whether whoever refused had found the credentials good before: it said what they may not do.
    fn proves_credentials(&self) -> bool {
        let denied = matches!(self.failure.kind, FailureKind::Denied | FailureKind::DeniedByScp);
        denied && !self.at_credentials && self.failure.remedy == Remedy::None
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, at_credentials: false }
    }
}

/// Whether another way into the account may be allowed what this one wasn't.
pub(crate) fn is_refusal(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Denied | FailureKind::DeniedByScp | FailureKind::SignInExpired)
}

/// ``profile `x`: denied (AccessDenied)``.
fn refusal_in_words(cell: &Cell) -> String {
    let who = match (&cell.scope.profile, &cell.scope.role_name) {
        (None, Some(role)) => format!("role `{role}`"),
        (profile, _) => format!("profile `{}`", profile.as_deref().unwrap_or_default()),
    };
    let code = cell.error_code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    format!("{who}: {}{code}", cell.status.as_str())
}

/// A failure that is ours.
fn bug(error: &dyn fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, error.to_string()).with_code("Internal")
}

/// A panic in a task is a bug: the program must end as one, not go on as if the task had never been.
fn resume_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
