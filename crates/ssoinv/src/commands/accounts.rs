//! `ssoinv accounts` and `ssoinv roles`: lists what the sign-in reaches, from the portal.

use std::borrow::Cow;

use clap::Args;
use futures::{StreamExt, stream};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::table::{Column, RowEncoder};
use ssoinv_run::stop::Stop;
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::portal::AccountInfo;

use crate::account_list::{NamedAccount, SelectedAccounts};
use crate::app::{self, App};
use crate::browser::Browser;
use crate::cli::{AccountArgs, LimitArgs, OutputArgs, SignInArgs};
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::display::Display;
use crate::exit_codes::ExitCode;
use crate::sessions::{self, KnownSession};
use crate::settings::{AccountSettings, ConnectionSettings, OutputSettings, SignInSettings};
use crate::signals::unless_stopped;
use crate::{discovery, output, signals, warnings};

#[derive(Debug, Args)]
pub(crate) struct AccountsArgs {
    #[command(flatten)]
    pub(crate) accounts: AccountArgs,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Accounts whose roles are listed at once. The portal's rate limit is lower.
const AT_ONCE: usize = 16;

/// The rows to list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    Accounts,
    Roles,
}

/// An account, with one of its roles in a listing of roles.
#[derive(Debug)]
struct AccountRow {
    account: AccountInfo,
    role: Option<String>,
    failure: Option<Failure>,
}

pub(crate) fn run(listing: Listing, args: &AccountsArgs, app: &App) -> Result<CommandOutcome, CommandError> {
    let output = OutputSettings::new(&args.output, &app.layers)?;
    let settings = ConnectionSettings::of_sign_in(&args.limits, &app.layers, &app.environment)?;
    let sign_in = SignInSettings::new(&args.sign_in, &app.layers, &app.environment)?;
    let accounts = AccountSettings::new(&args.accounts, &app.layers)?;
    let profiles = app.load_profiles()?;
    let session = discovery::session(&accounts, &profiles, app)?;
    let asked = app::runtime()?.block_on(ask(listing, &session, &accounts, &settings, &sign_in, app))?;
    let (rows, missing) = asked;
    let mut outcome = output::write_all(&table(listing), &rows, &output, app)?;
    tell(&rows, &missing, &session, &mut outcome, app);
    Ok(outcome)
}

async fn ask(
    listing: Listing,
    session: &KnownSession,
    accounts: &AccountSettings,
    settings: &ConnectionSettings,
    sign_in: &SignInSettings,
    app: &App,
) -> Result<(Vec<AccountRow>, Vec<NamedAccount>), CommandError> {
    let stop = Stop::default();
    signals::watch(stop.clone());
    let browser = if app.demo { Browser::None } else { sign_in.browser };
    let display = Display::start(app.terminal.clone(), app.clock.clone(), browser, app.demo);
    let sessions = std::slice::from_ref(session);
    let asked = match sessions::connect(
        sessions,
        settings,
        sign_in.policy(&app.terminal, app.demo),
        app,
        display.events(),
    ) {
        Ok(connection) => {
            let credentials = connection.engine.credentials();
            let listed = discovery::accounts(session, accounts, &[], credentials, app);
            match unless_stopped(&stop, listed).await {
                Ok(SelectedAccounts { accounts, not_offered, .. }) => {
                    Ok((rows(listing, accounts, session, credentials, &stop).await, not_offered))
                }
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    let outcome = display.end();
    warnings::notices(&outcome.notices, app);
    asked
}

async fn rows(
    listing: Listing,
    accounts: Vec<AccountInfo>,
    session: &KnownSession,
    credentials: &CredentialStore,
    stop: &Stop,
) -> Vec<AccountRow> {
    if listing == Listing::Accounts {
        return accounts
            .into_iter()
            .map(|account| AccountRow { account, role: None, failure: None })
            .collect();
    }
    let of_account = async |account: AccountInfo| {
        let user = session.profile.as_deref();
        let listed = tokio::select! {
            biased;
            reason = stop.stopped() => Err(reason.failure()),
            listed = credentials.account_roles(&session.sso, user, account.id, |_| ()) => listed,
        };
        let row = |role, failure| AccountRow { account: account.clone(), role, failure };
        match listed {
            Ok(roles) => roles.into_iter().map(|role| row(Some(role), None)).collect(),
            Err(failure) => vec![row(None, Some(failure))],
        }
    };
    let rows = stream::iter(accounts).map(of_account).buffered(AT_ONCE);
    rows.collect::<Vec<_>>().await.into_iter().flatten().collect()
}

/// Warns about what is missing, and adds it to the outcome.
fn tell(
    rows: &[AccountRow],
    missing: &[NamedAccount],
    session: &KnownSession,
    outcome: &mut CommandOutcome,
    app: &App,
) {
    let failed: Vec<(&AccountRow, &Failure)> =
        rows.iter().filter_map(|row| Some((row, row.failure.as_ref()?))).collect();
    if let Some((row, failure)) = failed.first() {
        let more = match failed.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message =
            format!("the roles of {}{more} could not be listed: {}", row.account.id, failure.message);
        let hint = match failure.kind {
            FailureKind::SignInExpired => format!("run `ssoinv login {}`", session.as_argument()),
            FailureKind::NotTried => "run it again".to_owned(),
            _ => "the column `error` tells each; run it again".to_owned(),
        };
        app.terminal.print_warning(&message, Some(&hint));
    }
    for (_, failure) in &failed {
        outcome.add(match failure.kind {
            FailureKind::SignInExpired => ExitCode::SignInNeeded,
            FailureKind::NotTried => ExitCode::Interrupted,
            _ => ExitCode::Partial,
        });
    }
    for account in missing {
        let message = format!("the sign-in to `{}` does not reach account {}", session.label(), account.id);
        app.terminal.print_warning(&message, Some("`ssoinv accounts` shows all that it reaches"));
        outcome.add(ExitCode::Partial);
    }
    if rows.iter().all(|row| row.failure.is_some()) {
        outcome.add(ExitCode::NothingCollected);
    }
}

fn table(listing: Listing) -> RowEncoder<AccountRow> {
    let mut columns = vec![
        Column::text("account_id", "The account", |row: &AccountRow, _| {
            Some(Cow::from(row.account.id.as_str()))
        }),
        Column::text("account_name", "Its name in the organisation", |row, _| {
            row.account.name.as_deref().map(Cow::from)
        }),
        Column::text("email", "The address of its root user", |row, _| {
            row.account.email.as_deref().map(Cow::from)
        }),
    ];
    match listing {
        Listing::Accounts => RowEncoder::plain("accounts", "The accounts that the sign-in reaches", columns),
        Listing::Roles => {
            columns.push(Column::text("role_name", "A role that the sign-in has there", |row, _| {
                row.role.as_deref().map(Cow::from)
            }));
            columns.push(Column::text("error", "Why the account's roles are not known", |row, _| {
                row.failure.as_ref().map(|failure| Cow::from(&failure.message))
            }));
            RowEncoder::plain("roles", "The roles that the sign-in has", columns)
        }
    }
}
