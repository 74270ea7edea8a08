//! The request of a collecting command or its plan, resolved before the first call.
//!
//! Reads flags, settings and files only. `ssoinv plan`, `--dry-run` and the collecting commands start from the same value.

use std::sync::Arc;

use ssoinv_core::column_set::ColumnSet;
use ssoinv_profile::Profile;
use ssoinv_run::run_options::RunTable;
use ssoinv_tables::table::{Table, Wanted};

use crate::app::App;
use crate::cli::CollectArgs;
use crate::command_error::CommandError;
use crate::identity::{self, RunIdentity};
use crate::sessions::KnownSession;
use crate::settings::CollectSettings;
use crate::{discovery, table_names, warnings};

/// Tables, settings and identities of one run.
pub(crate) struct RunRequest {
    pub(crate) settings: CollectSettings,
    /// The tables, each once.
    pub(crate) tables: Vec<Arc<dyn Table>>,
    /// The profiles that calls are made with, or that a role is assumed from.
    pub(crate) profiles: Vec<Arc<Profile>>,
    /// The sign-in whose accounts are selected, if no profiles are.
    pub(crate) session: Option<KnownSession>,
    /// The error for a machine that turns out to have no identity.
    pub(crate) unless_instance: Option<CommandError>,
}

impl RunRequest {
    /// Returns the tables with the columns to read: those that `selections` name, if a user named some, else all.
    pub(crate) fn run_tables(&self, selections: &[ColumnSet]) -> Vec<RunTable> {
        let tables = self.tables.iter().enumerate().map(|(index, table)| {
            let named = selections.get(index).cloned();
            let columns = named.clone().unwrap_or_else(|| ColumnSet::full(table.schema().columns.len()));
            let include_secrets = self.settings.include_secrets;
            let wanted = Wanted { columns, required: named.unwrap_or_default(), include_secrets };
            RunTable::new(Arc::clone(table), wanted)
        });
        tables.collect()
    }

    /// Resolves the arguments, and warns about suspicious settings.
    pub(crate) fn new(tables: &[&str], args: &CollectArgs, app: &App) -> Result<Self, CommandError> {
        let settings = CollectSettings::new(args, &app.layers, &app.environment)?;
        let tables = table_names::find_all(tables)?;
        let profiles = app.load_profiles()?;
        let session = match &settings.all_accounts {
            Some(discovery) => Some(discovery::session(&discovery.of, &profiles, app)?),
            None => None,
        };
        let RunIdentity { profiles: chosen, unless_instance } = match &session {
            // Endpoints and certificates of the sign-in's profile apply; its account and role don't.
            Some(session) => {
                RunIdentity { profiles: session.profile.iter().cloned().collect(), unless_instance: None }
            }
            None => identity::choose(&profiles, &settings, app)?,
        };
        warnings::before_the_run(&profiles, &chosen, &settings, app);
        warnings::foreign_endpoints(&chosen, app);
        Ok(Self { settings, tables, profiles: chosen, session, unless_instance })
    }
}
