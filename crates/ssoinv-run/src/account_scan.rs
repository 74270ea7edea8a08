//! [`AccountScan`]: one account with the tasks that read it.
//!
//! What is known before the run ([`Start`]) comes from the binary; the tasks ([`Layout`]) are laid out by
//! [`crate::plan`], at once or when `resolve.rs` has listed roles and regions. Pure data.

use std::sync::{Arc, OnceLock};

use ssoinv_core::coverage::Cell;
use ssoinv_core::scope::Place;
use ssoinv_sso::profile::SsoSession;

use crate::access::AccountAccess;
use crate::roles::RoleChoice;

/// One account, and everything that is read in it.
#[derive(Debug)]
pub struct AccountScan {
    /// What is known of the account before the run.
    pub start: Start,
    pub(crate) layout: OnceLock<Layout>,
}

/// What is known of an account before the run.
#[derive(Clone, Debug)]
pub enum Start {
    /// The accesses; those that are one scope stand together.
    Accesses(Vec<Vec<AccountAccess>>),
    /// The account of a sign-in, whose roles are to be listed.
    Roles(Box<RoleSearch>),
}

/// An account whose roles are to be listed.
#[derive(Clone, Debug)]
pub struct RoleSearch {
    /// The account, without a role.
    pub access: AccountAccess,
    /// The sign-in.
    pub session: Arc<SsoSession>,
    /// Which roles are wanted.
    pub choice: Arc<RoleChoice>,
    /// Whether every wanted role is used, instead of the first that is granted.
    pub every_role: bool,
}

/// The tasks of an account.
#[derive(Debug)]
pub struct Layout {
    /// The accesses to the account.
    pub accesses: Vec<AccountAccess>,
    /// The entries of each table.
    pub entries: Vec<Vec<Entry>>,
}

impl Layout {
    /// Counts the tasks that are to be done.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.entries.iter().flatten().filter(|entry| matches!(entry, Entry::Task(_))).count()
    }
}

impl AccountScan {
    /// Makes the scan of an account that is not laid out yet.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self { start, layout: OnceLock::new() }
    }

    /// Returns an access that names the account.
    #[must_use]
    pub fn first(&self) -> Option<&AccountAccess> {
        match &self.start {
            Start::Accesses(groups) => groups.first()?.first(),
            Start::Roles(search) => Some(&search.access),
        }
    }

    /// Returns what identifies the account's scan across runs of one selection: the account and its accesses.
    #[must_use]
    pub fn key(&self) -> String {
        let accesses: Vec<&AccountAccess> = match &self.start {
            Start::Accesses(groups) => groups.iter().flatten().collect(),
            Start::Roles(search) => vec![&search.access],
        };
        let mut words = vec![accesses.first().map_or("", |access| access.partition.as_str())];
        for access in accesses {
            words.extend([
                access.account_key(),
                access.profile.as_deref().unwrap_or_default(),
                &access.principal,
            ]);
        }
        words.join("\n")
    }

    /// Returns the tasks, once they are known.
    #[must_use]
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.get()
    }
}

/// One table in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The table's place among the planned tables.
    pub table: usize,
    /// The place in the account.
    pub place: Place,
    /// The accesses that may read it, in order. The first is listed.
    pub candidates: Vec<Candidate>,
}

/// An access that may read a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The access's place among those of the account.
    pub access: usize,
    /// Whether the place was selected for this very access, so that the ledger has a cell for it.
    pub listed: bool,
}

/// An entry of the plan.
#[derive(Clone, Debug)]
pub enum Entry {
    /// To be done.
    Task(Task),
    /// Settled without a call.
    Settled(Box<Cell>),
}
