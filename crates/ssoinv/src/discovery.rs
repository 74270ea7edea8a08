//! `--all-accounts`: turns the accounts that a sign-in reaches into entries of the plan, without profiles.
//!
//! The accounts are listed here, before the plan. The run finds out the granted roles and the enabled regions, account by
//! account.

use std::collections::HashSet;
use std::sync::Arc;

use ssoinv_aws::plan::{Reach, Regions, RoleSearch, Standing, Start, Visit};
use ssoinv_aws::roles::RoleChoice;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::{AccountId, partition_of_region};
use ssoinv_profile::{Profile, Profiles};
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::portal::AccountInfo;

use crate::account_list::{NamedAccount, SelectedAccounts};
use crate::app::App;
use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;
use crate::sessions::{self, FIRST_SIGN_IN, KnownSession, SessionChoice};
use crate::settings::{AccountSettings, DiscoverySettings};
use crate::sign_in_errors;

/// Returns the sign-in whose accounts are selected.
pub(crate) fn session(
    settings: &AccountSettings,
    profiles: &Profiles,
    app: &App,
) -> Result<KnownSession, CommandError> {
    let default = SessionChoice::Default { flags: "`--sso-session NAME`" };
    let choice = settings.sso_session.as_deref().map_or(default, SessionChoice::Named);
    let mut sessions = sessions::select(choice, profiles, FIRST_SIGN_IN, app)?;
    // A name, a profile and the default select one sign-in each.
    sessions.pop().ok_or_else(|| CommandError::usage("there is no sign-in"))
}

/// Lists the selected accounts, with those that are `expected` and that the sign-in doesn't reach.
pub(crate) async fn accounts(
    session: &KnownSession,
    settings: &AccountSettings,
    expected: &[NamedAccount],
    credentials: &CredentialStore,
    app: &App,
) -> Result<SelectedAccounts, CommandError> {
    let listed = credentials.accounts(&session.sso, session.profile.as_deref(), |_| ()).await;
    let offered = listed.map_err(|failure| not_listed(&failure, session, app))?;
    settings.accounts.select(&offered, expected, session.label())
}

fn not_listed(failure: &Failure, session: &KnownSession, app: &App) -> CommandError {
    match failure.kind {
        FailureKind::SignInExpired | FailureKind::Misconfigured => {
            sign_in_errors::error(failure, session, app)
        }
        _ => {
            let code = failure.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
            let message =
                format!("cannot list the accounts of `{}`: {}{code}", session.label(), failure.message);
            CommandError::new(ExitCode::NothingCollected, message)
                .with_hint("`ssoinv doctor` looks at the sign-in step by step")
        }
    }
}

/// Returns the entries of the plan: first accounts that the sign-in reaches, then expected ones that it doesn't.
pub(crate) fn visits(
    selected: SelectedAccounts,
    session: &KnownSession,
    settings: &DiscoverySettings,
    regions: &Regions,
    every_role: bool,
) -> Vec<Visit> {
    let access = Arc::new(Profile::of_session(&session.sso, session.profile.as_deref()));
    let reach = |id: AccountId, name: Option<Arc<str>>| Reach {
        access: Arc::clone(&access),
        profile: None,
        partition: partition_of_region(&session.sso.sso_region),
        account_id: Some(id),
        account_name: name,
        role_name: None,
        principal: session.sso.cache_key().into(),
        regions: regions.clone(),
        standing: Standing::Ready,
    };
    let offered = selected
        .accounts
        .into_iter()
        .map(|AccountInfo { id, name, .. }| start(reach(id, name), session, &settings.roles, every_role));
    let why = format!("the sign-in to `{}` does not reach this account", session.label());
    let missing =
        selected.not_offered.into_iter().map(|account| not_offered(reach(account.id, account.name), &why));
    offered.chain(missing).map(Visit::new).collect()
}

/// Returns entries for the expected accounts that none of `reaches` leads into.
pub(crate) fn unreached(
    expected: &[NamedAccount],
    reaches: &[Reach],
    regions: &Regions,
    why: &str,
) -> Vec<Visit> {
    let reached: HashSet<AccountId> = reaches.iter().filter_map(|reach| reach.account_id).collect();
    // Without any access the partition isn't known.
    let Some(first) = reaches.first() else { return Vec::new() };
    let missing = expected.iter().filter(|account| !reached.contains(&account.id)).map(|account| Reach {
        profile: None,
        account_id: Some(account.id),
        account_name: account.name.clone(),
        role_name: None,
        regions: regions.clone(),
        ..first.clone()
    });
    missing.map(|reach| Visit::new(not_offered(reach, why))).collect()
}

/// Returns the entry of an expected account that can't be reached.
fn not_offered(reach: Reach, why: &str) -> Start {
    let failure = Failure::new(FailureKind::NotOffered, why).with_code("NotOffered");
    Start::Reaches(vec![vec![Reach { standing: Standing::Broken(failure), ..reach }]])
}

/// Plain role names are tried in order. Patterns and `--every-role` need the portal's list of roles.
fn start(reach: Reach, session: &KnownSession, choice: &Arc<RoleChoice>, every_role: bool) -> Start {
    match choice.names() {
        Some(names) if !every_role => {
            Start::Reaches(vec![names.into_iter().map(|name| reach.as_role(&session.sso, name)).collect()])
        }
        _ => Start::Roles(Box::new(RoleSearch {
            reach,
            session: Arc::clone(&session.sso),
            choice: Arc::clone(choice),
            every_role,
        })),
    }
}
