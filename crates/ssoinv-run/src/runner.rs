//! The runner: works a plan off, account by account, many tasks at a time.
//!
//! Called by the binary with a plan, an [`Engine`] and a row store. An account's tasks start when its credentials have
//! arrived, while other accounts still wait for theirs; rows wait in the store for their turn in the plan's order. What
//! isn't known of an account, its roles and enabled regions, is resolved first (`resolve.rs`). Guarantees that
//! every entry of the plan ends in one [`Event::Finished`] with its ledger cells, whether the run is stopped or not. How
//! one task is read is `task_scan.rs`'s.

use std::pin::pin;
use std::sync::Arc;

use ssoinv_core::coverage::Cell;
use ssoinv_core::event::Event;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::rows::{RowStore, TaskId};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::access::AccountAccess;
use crate::account_scan::{Entry, Layout, Task};
use crate::engine::Engine;
use crate::page_writer::PageWriter;
use crate::plan::Plan;
use crate::resolve;
use crate::run_options::RunOptions;
use crate::stop::{Stop, StopReason};
use crate::task_scan::{Outcome, TaskScan};

/// How many tasks, and how many accounts, are begun at a time at least.
///
/// More than there are slots, since a task holds none while it waits: for its rate limiter, for a delay, for credentials.
/// Bounded, since each takes about five kilobytes.
const BEGUN: usize = 1024;

/// Works a plan off.
#[derive(Debug)]
pub struct Runner {
    plan: Arc<Plan>,
    engine: Arc<Engine>,
    options: RunOptions,
    store: Arc<dyn RowStore>,
    /// One permit for each task that may be begun.
    begun: Arc<Semaphore>,
    writer: PageWriter,
}

impl Runner {
    /// Makes a runner for one plan, whose rows go to `store`.
    #[must_use]
    pub fn new(plan: Arc<Plan>, engine: Arc<Engine>, options: RunOptions, store: Arc<dyn RowStore>) -> Self {
        let begun = Arc::new(Semaphore::new(begun_at_once(&engine)));
        Self { plan, engine, options, store, begun, writer: PageWriter::default() }
    }

    /// Works the plan off, until it is done or `stop` says so. Every entry ends in one [`Event::Finished`].
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let window = Arc::new(Semaphore::new(begun_at_once(&self.engine)));
        let mut accounts = JoinSet::new();
        for account in 0..self.plan.scans.len() {
            // Never closed; accounts end when the run is stopped, so that this wait is short.
            let permit = Arc::clone(&window).acquire_owned().await.ok();
            let (runner, stop) = (Arc::clone(&self), stop.clone());
            accounts.spawn(async move {
                runner.scan_account(account, &stop).await;
                drop(permit);
            });
            while let Some(ended) = accounts.try_join_next() {
                resume_panic(ended);
            }
        }
        while let Some(ended) = accounts.join_next().await {
            resume_panic(ended);
        }
        self.writer.at_rest().await;
    }

    /// Resolves what is to be read in an account, and reads it.
    async fn scan_account(self: Arc<Self>, account: usize, stop: &Stop) {
        // Boxed, since the account waits for its tasks long after.
        let layout = Box::pin(self.layout(account, stop)).await;
        for (table, entries) in layout.entries.iter().enumerate() {
            self.store.open(self.plan.slot(table, account), entries.len());
        }
        let mut tasks = JoinSet::new();
        for (table, entries) in layout.entries.iter().enumerate() {
            for (part, entry) in entries.iter().enumerate() {
                let id = TaskId { slot: self.plan.slot(table, account), part };
                let task = match entry {
                    Entry::Settled(cell) => {
                        self.finish(id, Outcome { cells: vec![(**cell).clone()], rows: None });
                        continue;
                    }
                    Entry::Task(task) => task,
                };
                if let Some(cells) = self.recall(id, task) {
                    self.engine.events().emit(Event::Finished { task: id, cells });
                    continue;
                }
                let mut permit = pin!(Arc::clone(&self.begun).acquire_owned());
                let permit = loop {
                    tokio::select! {
                        biased;
                        _ = stop.stopped() => break None,
                        permit = &mut permit => break permit.ok(),
                        // Frees the memory of tasks that have ended meanwhile.
                        Some(ended) = tasks.join_next() => resume_panic(ended),
                    }
                };
                let Some(permit) = permit else {
                    let scan = self.task_scan(id, task, &layout.accesses);
                    self.finish(id, scan.not_tried(&stop_failure(stop)));
                    continue;
                };
                let (runner, stop) = (Arc::clone(&self), stop.clone());
                tasks.spawn(async move {
                    runner.scan_task(id, &stop).await;
                    drop(permit);
                });
            }
        }
        while let Some(ended) = tasks.join_next().await {
            resume_panic(ended);
        }
    }

    async fn scan_task(&self, id: TaskId, stop: &Stop) {
        let Some((Entry::Task(task), accesses)) = self.plan.entry(id) else { return };
        let scan = self.task_scan(id, task, accesses);
        // The rows leave after the last point at which a stop could still declare them not collected.
        let outcome = tokio::select! {
            biased;
            _ = stop.stopped() => scan.not_tried(&stop_failure(stop)),
            outcome = scan.run() => outcome,
        };
        self.finish(id, outcome);
    }

    fn task_scan<'a>(&'a self, id: TaskId, task: &'a Task, accesses: &'a [AccountAccess]) -> TaskScan<'a> {
        let (engine, options, writer) = (&self.engine, &self.options, &self.writer);
        let planned = &self.plan.tables[task.table];
        TaskScan { id, task, planned, accesses, engine, options, store: &*self.store, writer }
    }

    /// Returns an account's tasks, and resolves them if they aren't known yet.
    async fn layout(&self, account: usize, stop: &Stop) -> &Layout {
        let planned = &self.plan.scans[account];
        if let Some(layout) = planned.layout() {
            return layout;
        }
        let regional = self.plan.tables.iter().any(|table| !table.account_wide);
        let task = TaskId { slot: self.plan.slot(0, account), part: 0 };
        let on_park = |parked: bool| {
            self.engine.events().emit(if parked { Event::Parked { task } } else { Event::Unparked { task } });
        };
        let journal = self.options.journal.as_ref().map(|journal| (journal, planned.key()));
        let known = journal.as_ref().and_then(|(journal, key)| journal.recall_survey(key));
        let known = known.and_then(|recorded| resolve::from_json(planned, &recorded));
        let (groups, found) = if let Some(groups) = known {
            (groups, None)
        } else {
            tokio::select! {
                biased;
                reason = stop.stopped() => (resolve::given_up(planned, &reason.failure()), None),
                groups = resolve::resolve(planned, &self.engine, regional, &on_park) => {
                    let found = journal.as_ref().and_then(|_| resolve::to_json(planned, &groups));
                    (groups, found)
                }
            }
        };
        let layout = self.plan.lay_out(account, groups);
        if let Some((journal, key)) = journal {
            journal.note_survey(&key, layout.tasks(), found);
        }
        let tasks = layout.entries.iter().map(Vec::len).sum();
        self.engine.events().emit(Event::Surveyed { visit: account, tasks });
        layout
    }

    /// Returns the cells of a task that the saved run has done before; its rows are in the store already.
    fn recall(&self, id: TaskId, task: &Task) -> Option<Vec<Cell>> {
        let journal = self.options.journal.as_ref()?;
        let key = self.key(id)?;
        // Reads the rows once, to check that they are complete.
        tokio::task::block_in_place(|| journal.recall(id, &key, &self.plan.tables[task.table].schema))
    }

    /// Returns a task's key if there is a journal to use it.
    fn key(&self, task: TaskId) -> Option<String> {
        self.options.journal.as_ref().and_then(|_| self.plan.key(task))
    }

    fn finish(&self, task: TaskId, outcome: Outcome) {
        if let (Some(journal), Some(key)) = (&self.options.journal, self.key(task)) {
            journal.note(task, &key, &outcome.cells);
        }
        match outcome.rows {
            Some(rows) => rows.finish(),
            None => self.store.skip(task),
        }
        self.engine.events().emit(Event::Finished { task, cells: outcome.cells });
    }
}

fn stop_failure(stop: &Stop) -> Failure {
    stop.reason().map_or_else(|| Failure::new(FailureKind::NotTried, "not tried"), StopReason::failure)
}

fn begun_at_once(engine: &Engine) -> usize {
    BEGUN.max(engine.concurrency().saturating_mul(2))
}

/// A panic in a task is a bug: the program must end as one, not go on as if the task had never been.
fn resume_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
