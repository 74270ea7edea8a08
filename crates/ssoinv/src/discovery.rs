//! `--all-accounts`: the accounts that a sign-in reaches become the plan's visits, with no profile for any of them.
//!
//! The accounts are listed here, before the plan; which role is granted in each, and which regions are enabled there, the
//! run finds out account by account (`ssoinv_aws::survey`).

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

/// The sign-in whose accounts are meant.
pub(crate) fn session(
    settings: &AccountSettings,
    profiles: &Profiles,
    app: &App,
) -> Result<KnownSession, CommandError> {
    let default = SessionChoice::Default { flags: "`--sso-session NAME`" };
    let choice = settings.sso_session.as_deref().map_or(default, SessionChoice::Named);
    let mut sessions = sessions::select(choice, profiles, FIRST_SIGN_IN, app)?;
    // A name, a profile and a default mean one each.
    sessions.pop().ok_or_else(|| CommandError::usage("there is no sign-in"))
}

/// Lists the accounts that are meant, those that are `expected` and not reached among them.
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

/// The visits of the accounts: those that the sign-in reaches, then those that it should and doesn't.
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

/// The accounts that are expected and that none of `reaches`, all that there are, leads into.
pub(crate) fn unreached(
    expected: &[NamedAccount],
    reaches: &[Reach],
    regions: &Regions,
    why: &str,
) -> Vec<Visit> {
    let reached: HashSet<AccountId> = reaches.iter().filter_map(|reach| reach.account_id).collect();
    // Its partition can't be known; nor is anybody asked.
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

/// An account that should be there and isn't.
fn not_offered(reach: Reach, why: &str) -> Start {
    let failure = Failure::new(FailureKind::NotOffered, why).with_code("NotOffered");
    Start::Reaches(vec![vec![Reach { standing: Standing::Broken(failure), ..reach }]])
}

/// Plain names are tried one after the other; which roles match a pattern, and how many are every one, must be asked.
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
