//! Progress and messages during a run, made from its events. Also collects the ledger's cells.
//!
//! The display has a thread of its own, so that neither runner nor writer waits for a terminal. Progress is a bar on a
//! terminal, else one line per minute. [`crate::summary`] makes the messages at the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ssoinv_core::clock::Clock;
use ssoinv_core::coverage::Cell;
use ssoinv_core::event::{Event, Events, Notice, SignIn};
use ssoinv_core::failure::Remedy;
use ssoinv_core::rows::TaskId;
use ssoinv_core::status::Status;
use ssoinv_output::sanitize::sanitize;
use ssoinv_run::plan::Plan;

use crate::browser::Browser;
use crate::terminal::{self, Terminal, Verbosity};

/// A message to the display's thread.
enum Message {
    Event(Event),
    Plan(Arc<Plan>),
    End,
}

/// The display of one run.
pub(crate) struct Display {
    sender: Sender<Message>,
    thread: JoinHandle<RunOutcome>,
    bar: ProgressBar,
}

/// Everything that the events of a run add up to.
#[derive(Debug, Default)]
pub(crate) struct RunOutcome {
    /// The cells of each finished entry of the plan, in the plan's order.
    pub(crate) cells: BTreeMap<TaskId, Vec<Cell>>,
    /// Unique notices.
    pub(crate) notices: Vec<Notice>,
    /// Sessions without a sign-in, with the reason.
    pub(crate) gave_up: Vec<(Arc<str>, String)>,
}

/// The interval of progress lines without a terminal.
const LINE_EVERY: Duration = Duration::from_mins(1);

/// The interval in which events are handled. A large run has thousands of events a second; waking the thread for each
/// would cost more than handling them.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Display {
    /// Starts the display's thread.
    pub(crate) fn start(terminal: Terminal, clock: Clock, browser: Browser, demo: bool) -> Self {
        let (sender, receiver) = mpsc::channel();
        // Without a plan there is nothing to draw.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let view = DisplayThread {
            terminal,
            clock,
            browser,
            demo,
            bar: bar.clone(),
            progress: Progress::default(),
            outcome: RunOutcome::default(),
        };
        let thread = thread::spawn(move || view.run(&receiver));
        Self { sender, thread, bar }
    }

    /// Returns the receiver of the run's events.
    pub(crate) fn events(&self) -> Events {
        let sender = self.sender.clone();
        Events::new(move |event| {
            // Late events are of calls that were given up.
            let _ = sender.send(Message::Event(event));
        })
    }

    /// Returns the bar, which must be hidden while rows are written to the terminal.
    pub(crate) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Shows the progress of this plan.
    pub(crate) fn plan(&self, plan: Arc<Plan>) {
        let _ = self.sender.send(Message::Plan(plan));
    }

    /// Removes the bar, and returns the outcome.
    pub(crate) fn end(self) -> RunOutcome {
        let _ = self.sender.send(Message::End);
        self.thread.thread().unpark();
        match self.thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// The progress of a run.
#[derive(Debug, Default)]
struct Progress {
    tasks: usize,
    tasks_done: usize,
    accounts: usize,
    /// The account of each visit.
    account_of: Vec<Arc<str>>,
    /// Unfinished work by account.
    left: HashMap<Arc<str>, AccountProgress>,
    rows: usize,
    parked: usize,
    throttled: usize,
}

/// The unfinished work of an account.
#[derive(Debug, Default)]
struct AccountProgress {
    tasks: usize,
    /// Visits whose tasks aren't known yet.
    unknown: usize,
}

impl Progress {
    fn of(plan: &Plan) -> Self {
        let mut progress = Self::default();
        for scan in &plan.scans {
            let account: Arc<str> = scan.first().map_or("", |access| access.account_key()).into();
            let left = progress.left.entry(Arc::clone(&account)).or_default();
            match scan.layout() {
                Some(layout) => {
                    let tasks: usize = layout.entries.iter().map(Vec::len).sum();
                    left.tasks += tasks;
                    progress.tasks += tasks;
                }
                None => left.unknown += 1,
            }
            progress.account_of.push(account);
        }
        progress.accounts = progress.left.len();
        progress.left.retain(|_, left| left.tasks + left.unknown > 0);
        progress
    }

    fn surveyed(&mut self, visit: usize, tasks: usize) {
        self.tasks += tasks;
        self.change(visit, |left| {
            left.tasks += tasks;
            left.unknown = left.unknown.saturating_sub(1);
        });
    }

    fn finished(&mut self, task: TaskId) {
        self.tasks_done += 1;
        // Slots are ordered by table first, then by visit.
        let visit = task.slot % self.account_of.len().max(1);
        self.change(visit, |left| left.tasks = left.tasks.saturating_sub(1));
    }

    fn change(&mut self, visit: usize, change: impl FnOnce(&mut AccountProgress)) {
        let Some(account) = self.account_of.get(visit) else { return };
        if let Some(left) = self.left.get_mut(account) {
            change(left);
            if left.tasks + left.unknown == 0 {
                self.left.remove(account);
            }
        }
    }

    fn describe(&self) -> String {
        let accounts_done = self.accounts - self.left.len();
        let mut text = format!(
            "{accounts_done}/{} accounts, {}/{} tasks, {} rows",
            self.accounts, self.tasks_done, self.tasks, self.rows
        );
        for (number, word) in [(self.parked, "parked"), (self.throttled, "throttled")] {
            if number > 0 {
                text += &format!(", {number} {word}");
            }
        }
        text
    }
}

/// The state of the thread.
struct DisplayThread {
    terminal: Terminal,
    clock: Clock,
    browser: Browser,
    demo: bool,
    bar: ProgressBar,
    progress: Progress,
    outcome: RunOutcome,
}

impl DisplayThread {
    fn run(mut self, receiver: &Receiver<Message>) -> RunOutcome {
        let mut next_line = Instant::now() + LINE_EVERY;
        let plain = !self.terminal.on_stderr && self.terminal.verbosity != Verbosity::Quiet;
        while self.hear(receiver) {
            if Instant::now() >= next_line {
                next_line = Instant::now() + LINE_EVERY;
                if plain && self.progress.tasks > 0 {
                    terminal::print(&format!("{}\n", self.progress.describe()));
                }
            }
            thread::park_timeout(LOOK_EVERY);
        }
        self.bar.finish_and_clear();
        self.outcome
    }

    /// Handles all pending messages. Returns false after the last.
    fn hear(&mut self, receiver: &Receiver<Message>) -> bool {
        let mut heard = false;
        let more = loop {
            match receiver.try_recv() {
                Ok(Message::Event(event)) => self.event(event),
                Ok(Message::Plan(plan)) => self.begin(&plan),
                Err(TryRecvError::Empty) => break true,
                Ok(Message::End) | Err(TryRecvError::Disconnected) => break false,
            }
            heard = true;
        };
        if heard {
            self.update();
        }
        more
    }

    fn begin(&mut self, plan: &Plan) {
        self.progress = Progress::of(plan);
        let template = "{spinner} [{bar:24}] {msg}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_length(self.progress.tasks as u64);
        self.update();
        // Drawing starts with the plan, when length and message are set.
        if self.terminal.on_stderr && self.terminal.verbosity != Verbosity::Quiet {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn update(&self) {
        self.bar.set_position(self.progress.tasks_done as u64);
        self.bar.set_message(self.progress.describe());
    }

    fn print(&self, text: &str) {
        self.bar.suspend(|| terminal::print(text));
    }

    /// Prints a line, unless `--quiet` is set.
    fn note(&self, line: &str) {
        if self.terminal.verbosity > Verbosity::Quiet {
            self.print(&format!("{}\n", sanitize(line)));
        }
    }

    /// Prints a line with `-vv`.
    fn debug(&self, line: impl FnOnce() -> String) {
        if self.terminal.verbosity >= Verbosity::Debug {
            self.print(&format!("{}\n", sanitize(&line())));
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Surveyed { visit, tasks } => {
                self.progress.surveyed(visit, tasks);
                self.bar.set_length(self.progress.tasks as u64);
            }
            Event::Started { task } => self.debug(|| format!("task {task}: started")),
            Event::Parked { task } => {
                self.progress.parked += 1;
                self.debug(|| format!("task {task}: waits for a sign-in"));
            }
            Event::Unparked { task } => {
                self.progress.parked = self.progress.parked.saturating_sub(1);
                self.debug(|| format!("task {task}: goes on"));
            }
            Event::Retrying { task, failure, delay } => {
                if matches!(failure.remedy, Remedy::SlowDown { .. }) {
                    self.progress.throttled += 1;
                }
                let who = task.map_or_else(|| "sign-in".to_owned(), |task| format!("task {task}"));
                let code = failure.code.as_deref().unwrap_or("no code");
                self.debug(|| {
                    format!("{who}: tries again in {} ms: {} ({code})", delay.as_millis(), failure.message)
                });
            }
            Event::Collected { rows, .. } => self.progress.rows += rows,
            Event::Finished { task, cells } => {
                self.progress.finished(task);
                if let Some(cell) = cells.first() {
                    self.debug(|| describe_cell(task, cell));
                }
                self.outcome.cells.insert(task, cells);
            }
            Event::SignIn(sign_in) => self.sign_in(sign_in),
            Event::Notice(notice) => {
                if !self.outcome.notices.contains(&notice) {
                    self.outcome.notices.push(notice);
                }
            }
        }
    }

    fn sign_in(&mut self, sign_in: SignIn) {
        match sign_in {
            SignIn::Code { session, .. } if self.demo => {
                self.note(&format!("demo: a simulated person signs in to `{session}` in a browser"));
            }
            SignIn::Code { session, verification_uri_complete, verification_uri, user_code, expires_at } => {
                let left = expires_at.duration_since(self.clock.now()).unwrap_or_default();
                let minutes = left.as_secs().div_ceil(60);
                let code = sanitize(user_code.reveal());
                self.print(&format!(
                    "sign in to `{}`: open {}\n  and check that it shows the code {code} (good for {minutes} min)\n",
                    sanitize(&session),
                    sanitize(&verification_uri_complete),
                ));
                if let Err(reason) = self.browser.open(&verification_uri_complete) {
                    let hint = format!("open {verification_uri} and type the code {code}");
                    let message = format!("no browser was opened: {reason}");
                    self.print(&self.terminal.warning(&message, Some(&hint)));
                }
            }
            SignIn::Page { session, url, expires_at } => {
                let left = expires_at.duration_since(self.clock.now()).unwrap_or_default();
                let minutes = left.as_secs().div_ceil(60);
                self.print(&format!(
                    "sign in to `{}` in a browser on this machine (within {minutes} min): open {}\n",
                    sanitize(&session),
                    sanitize(&url),
                ));
                if let Err(reason) = self.browser.open(&url) {
                    let hint = "open the address above, or use `--use-device-code` for a browser elsewhere";
                    let message = format!("no browser was opened: {reason}");
                    self.print(&self.terminal.warning(&message, Some(hint)));
                }
            }
            SignIn::DoneElsewhere { session } => {
                self.note(&format!("somebody has signed in to `{session}` elsewhere: going on with that"));
            }
            SignIn::CodeEnded { session } => {
                self.print(&format!("the code for `{}` ended; here is another\n", sanitize(&session)));
            }
            SignIn::Done { session } => self.note(&format!("signed in to `{session}`")),
            SignIn::Refreshed { session } => {
                if self.terminal.verbosity >= Verbosity::Verbose {
                    self.note(&format!("refreshed the sign-in to `{session}`"));
                }
            }
            SignIn::GaveUp { session, failure } => {
                self.outcome.gave_up.push((session, failure.message.clone()));
            }
        }
    }
}

fn describe_cell(task: TaskId, cell: &Cell) -> String {
    let scope = &cell.scope;
    let who = match (&scope.profile, &scope.role_name) {
        (Some(profile), _) => format!("profile `{profile}`"),
        (None, role) => format!("role `{}`", role.as_deref().unwrap_or_default()),
    };
    let mut text = format!(
        "task {task}: {} {} {} ({who}): {}",
        cell.table,
        scope.account(),
        scope.place.as_str(),
        cell.status.as_str(),
    );
    if cell.status == Status::Ok {
        text += &format!(", {} rows, {} calls, {} ms", cell.rows, cell.calls, cell.duration.as_millis());
    }
    if let Some(message) = &cell.error_message {
        text += &format!(": {message}");
    }
    text
}
