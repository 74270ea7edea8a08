//! `--all-accounts`: turns the accounts that a sign-in reaches into entries of the plan, without profiles.
//!
//! The accounts are listed here, before the plan. The run finds out the granted roles and the enabled regions, account by
//! account.

use std::collections::HashSet;
use std::sync::Arc;

use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::{AccountId, partition_of_region};
use ssoinv_profile::{Profile, Profiles};
use ssoinv_run::access::{AccessState, AccountAccess, Regions};
use ssoinv_run::account_scan::{AccountScan, RoleSearch, Start};
use ssoinv_run::roles::RoleChoice;
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
pub(crate) fn account_scans(
    selected: SelectedAccounts,
    session: &KnownSession,
    settings: &DiscoverySettings,
    regions: &Regions,
    every_role: bool,
) -> Vec<AccountScan> {
    let source = Arc::new(Profile::of_session(&session.sso, session.profile.as_deref()));
    let access = |id: AccountId, name: Option<Arc<str>>| AccountAccess {
        source: Arc::clone(&source),
        profile: None,
        partition: partition_of_region(&session.sso.sso_region),
        account_id: Some(id),
        account_name: name,
        role_name: None,
        principal: session.sso.cache_key().into(),
        regions: regions.clone(),
        state: AccessState::Ready,
    };
    let offered = selected
        .accounts
        .into_iter()
        .map(|AccountInfo { id, name, .. }| start(access(id, name), session, &settings.roles, every_role));
    let why = format!("the sign-in to `{}` does not reach this account", session.label());
    let missing =
        selected.not_offered.into_iter().map(|account| not_offered(access(account.id, account.name), &why));
    offered.chain(missing).map(AccountScan::new).collect()
}

/// Returns entries for the expected accounts that none of `reaches` leads into.
pub(crate) fn unreached(
    expected: &[NamedAccount],
    accesses: &[AccountAccess],
    regions: &Regions,
    why: &str,
) -> Vec<AccountScan> {
    let reached: HashSet<AccountId> = accesses.iter().filter_map(|access| access.account_id).collect();
    // Without any access the partition isn't known.
    let Some(first) = accesses.first() else { return Vec::new() };
    let missing =
        expected.iter().filter(|account| !reached.contains(&account.id)).map(|account| AccountAccess {
            profile: None,
            account_id: Some(account.id),
            account_name: account.name.clone(),
            role_name: None,
            regions: regions.clone(),
            ..first.clone()
        });
    missing.map(|access| AccountScan::new(not_offered(access, why))).collect()
}

/// Returns the entry of an expected account that can't be reached.
fn not_offered(access: AccountAccess, why: &str) -> Start {
    let failure = Failure::new(FailureKind::NotOffered, why).with_code("NotOffered");
    Start::Accesses(vec![vec![AccountAccess { state: AccessState::Broken(failure), ..access }]])
}

/// Plain role names are tried in order. Patterns and `--every-role` need the portal's list of roles.
fn start(access: AccountAccess, session: &KnownSession, choice: &Arc<RoleChoice>, every_role: bool) -> Start {
    match choice.names() {
        Some(names) if !every_role => {
            Start::Accesses(vec![names.into_iter().map(|name| access.as_role(&session.sso, name)).collect()])
        }
        _ => Start::Roles(Box::new(RoleSearch {
            access,
            session: Arc::clone(&session.sso),
            choice: Arc::clone(choice),
            every_role,
        })),
    }
}
