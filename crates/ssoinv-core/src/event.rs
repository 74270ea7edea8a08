//! What a run says while it goes on. The runner and the sign-in speak only in events; the display, the ledger and the
//! exit code are made from them. Rows travel apart.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::coverage::Cell;
use crate::failure::Failure;
use crate::rows::TaskId;
use crate::secret::Secret;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// What is to be done in an account has been found out: its roles, its regions.
    Surveyed {
        /// The number of the plan's visit.
        visit: usize,
        /// How many tasks, settled ones among them, it has.
        tasks: usize,
    },
    /// A task makes its first call.
    Started {
        /// The task.
        task: TaskId,
    },
    /// A task can't go on before its session has been signed in again.
    Parked {
        /// The task.
        task: TaskId,
    },
    /// A parked task goes on.
    Unparked {
        /// The task.
        task: TaskId,
    },
    /// A call failed and is tried again.
    Retrying {
        /// The task; none for the calls that are no task's own.
        task: Option<TaskId>,
        /// Why.
        failure: Arc<Failure>,
        /// How long it waits first.
        delay: Duration,
    },
    /// A page of rows came in.
    Collected {
        /// The task.
        task: TaskId,
        /// Rows in the page.
        rows: usize,
    },
    /// A task ended. Cells in the plan's order; the first is the task's own.
    Finished {
        /// The task.
        task: TaskId,
        /// The ledger's cells.
        cells: Vec<Cell>,
    },
    /// Something about a sign-in.
    SignIn(SignIn),
    /// Something that people should know, and that changes no cell.
    Notice(Notice),
}

/// What a sign-in says.
#[derive(Clone, Debug)]
pub enum SignIn {
    /// A person is asked to approve a code in a browser.
    Code {
        /// The session's name, or its start URL.
        session: Arc<str>,
        /// The page to open, with the code in it.
        verification_uri_complete: String,
        /// The page to open, without the code.
        verification_uri: String,
        /// The code to compare or to type.
        user_code: Secret,
        /// When the code ends.
        expires_at: SystemTime,
    },
    /// A person is asked to sign in on a page in a browser of this machine, which comes back by itself.
    Page {
        /// The session's name, or its start URL.
        session: Arc<str>,
        /// The page to open.
        url: String,
        /// Until when it can come back.
        expires_at: SystemTime,
    },
    /// A code ended, or was refused, and another follows.
    CodeEnded {
        /// The session's name, or its start URL.
        session: Arc<str>,
    },
    /// A person has signed in.
    Done {
        /// The session's name, or its start URL.
        session: Arc<str>,
    },
    /// A person signed in with another tool, or in another terminal, while this process waited for a sign-in.
    DoneElsewhere {
        /// The session's name, or its start URL.
        session: Arc<str>,
    },
    /// The token was refreshed without a person.
    Refreshed {
        /// The session's name, or its start URL.
        session: Arc<str>,
    },
    /// No token could be had; the session's tasks end `sign_in_expired`.
    GaveUp {
        /// The session's name, or its start URL.
        session: Arc<str>,
        /// Why.
        failure: Arc<Failure>,
    },
}

/// What people should know besides the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The portal didn't list the accounts' names.
    AccountNamesUnavailable {
        /// The session's name, or its start URL.
        session: Arc<str>,
        /// Why.
        failure: Arc<Failure>,
    },
    /// The token could not be written to the shared cache.
    TokenNotStored {
        /// The session's name, or its start URL.
        session: Arc<str>,
        /// Why.
        reason: String,
    },
    /// Role credentials could not be written to the shared cache.
    CredentialsNotStored {
        /// Why.
        reason: String,
    },
    /// A cached token was passed over since it belongs to another start URL or region.
    ForeignToken {
        /// The session's name, or its start URL.
        session: Arc<str>,
        /// What differs.
        reason: String,
    },
    /// The regions that are enabled in an account could not be asked.
    EnabledRegionsUnknown {
        /// The account's ID.
        account: String,
        /// Its name, where that is known.
        name: Option<Arc<str>>,
        /// Why.
        failure: Arc<Failure>,
    },
}

/// Who hears the events. Called from many threads; must not block.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Hands every event to `listener`.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Says it.
    pub fn emit(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
