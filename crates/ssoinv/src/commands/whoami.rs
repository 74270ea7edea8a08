//! `ssoinv whoami`: lists the caller and the sign-in of each profile. Never prompts for a sign-in.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use futures::{StreamExt, stream};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::table::{Column, RowEncoder};
use ssoinv_profile::{CredentialSource, Profile, SsoSession};
use ssoinv_sso::credential_store::CredentialStore;

use crate::app::{self, App};
use crate::browser::Browser;
use crate::cli::{CredentialArgs, LimitArgs, OutputArgs, ProfileArgs};
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::connection::Connection;
use crate::display::Display;
use crate::exit_codes::ExitCode;
use crate::settings::{ConnectionSettings, OutputSettings, ProfileChoice, SignInPolicy};
use crate::text::shell_quoted;
use crate::{output, selection, warnings};

#[derive(Debug, Args)]
pub(crate) struct WhoamiArgs {
    #[command(flatten)]
    pub(crate) profiles: ProfileArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Profiles that are checked at once.
const AT_ONCE: usize = 16;

/// A profile, its sign-in and its caller.
#[derive(Debug)]
struct CallerRow {
    profile: String,
    sso_session: Option<String>,
    start_url: Option<String>,
    /// The end of the token, and whether it can be refreshed.
    token: Option<(SystemTime, bool)>,
    account_id: Option<String>,
    arn: Option<Arc<str>>,
    user_id: Option<Arc<str>>,
    failure: Option<Failure>,
}

pub(crate) fn run(args: &WhoamiArgs, app: &App) -> Result<CommandOutcome, CommandError> {
    let output = OutputSettings::new(&args.output, &app.layers)?;
    let settings =
        ConnectionSettings::new(&args.credentials, &args.limits, AT_ONCE, &app.layers, &app.environment)?;
    let profiles = app.load_profiles()?;
    let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    let choice = ProfileChoice::new(&args.profiles, &app.environment);
    let selected = selection::select(&choice, &names, &app.searched(&profiles))?;
    let all: Vec<&Profile> = profiles.iter().collect();
    let chosen: Vec<Arc<Profile>> =
        selected.profiles.iter().map(|&index| Arc::new(all[index].clone())).collect();
    warnings::foreign_endpoints(&chosen, app);
    let rows = app::runtime()?.block_on(ask(&chosen, &settings, app))?;
    let mut outcome = output::write_all(&table(), &rows, &output, app)?;
    tell(&rows, &mut outcome, app);
    Ok(outcome)
}

/// Warns about each reason why callers aren't known, once, and adds it to the outcome.
fn tell(rows: &[CallerRow], outcome: &mut CommandOutcome, app: &App) {
    let mut reasons: Vec<(&Failure, Vec<&str>)> = Vec::new();
    for row in rows {
        let Some(failure) = &row.failure else { continue };
        match reasons.iter_mut().find(|(known, _)| known.message == failure.message) {
            Some((_, profiles)) => profiles.push(&row.profile),
            None => reasons.push((failure, vec![&row.profile])),
        }
    }
    for (failure, profiles) in &reasons {
        let message = match profiles.as_slice() {
            [profile] if failure.message.contains(&format!("`{profile}`")) => failure.message.clone(),
            [profile] => format!("profile `{profile}`: {}", failure.message),
            [first, others @ ..] => {
                format!("{}: profile `{first}` and {} more", failure.message, others.len())
            }
            [] => continue,
        };
        let signed_out = failure.kind == FailureKind::SignInExpired;
        let verb = if signed_out { "login" } else { "doctor" };
        let hint = format!("run `ssoinv {verb} --profile {}`", shell_quoted(profiles[0]));
        app.terminal.print_warning(&message, Some(&hint));
        outcome.add(if signed_out { ExitCode::SignInNeeded } else { ExitCode::Partial });
    }
    if rows.iter().all(|row| row.failure.is_some()) {
        outcome.add(ExitCode::NothingCollected);
    }
}

async fn ask(
    profiles: &[Arc<Profile>],
    settings: &ConnectionSettings,
    app: &App,
) -> Result<Vec<CallerRow>, CommandError> {
    let display = Display::start(app.terminal.clone(), app.clock.clone(), Browser::None, app.demo);
    // Only a demonstration's simulated person is prompted.
    let policy = if app.demo { SignInPolicy::DEMO } else { SignInPolicy::NEVER };
    let connection = Connection::open(settings, policy, profiles, app, display.events());
    let rows = match connection {
        Ok(connection) => Ok(stream::iter(profiles)
            .map(async |profile| row(profile, connection.engine.credentials()).await)
            .buffered(AT_ONCE)
            .collect()
            .await),
        Err(error) => Err(error),
    };
    let outcome = display.end();
    warnings::notices(&outcome.notices, app);
    rows
}

async fn row(profile: &Profile, credentials: &CredentialStore) -> CallerRow {
    let session: Option<&Arc<SsoSession>> = profile.credentials.session();
    let token = match session.map(|session| credentials.tokens(session, Some(profile))) {
        Some(Ok(tokens)) => tokens.get(None).await.ok(),
        _ => None,
    };
    let identity = if matches!(profile.credentials, CredentialSource::None) {
        Err(Failure::new(
            FailureKind::Misconfigured,
            format!("profile `{}` has no credentials", profile.name),
        ))
    } else {
        credentials.caller(profile, |_| ()).await
    };
    let (identity, failure) = match identity {
        Ok(identity) => (Some(identity), None),
        Err(failure) => (None, Some(failure)),
    };
    CallerRow {
        profile: profile.name.clone(),
        sso_session: session.and_then(|session| session.name.clone()),
        start_url: session.map(|session| session.start_url.clone()),
        token: token.map(|token| (token.expires_at, token.refreshes)),
        account_id: identity.as_ref().map(|identity| identity.account_id.to_string()),
        arn: identity.as_ref().and_then(|identity| identity.arn.clone()),
        user_id: identity.and_then(|identity| identity.user_id),
        failure,
    }
}

fn millis(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

fn table() -> RowEncoder<CallerRow> {
    RowEncoder::plain(
        "whoami",
        "Who the profiles are",
        vec![
            Column::text("profile", "The profile", |row: &CallerRow, _| Some(Cow::from(&row.profile))),
            Column::text("account_id", "The account", |row, _| row.account_id.as_deref().map(Cow::from)),
            Column::text("arn", "Who calls AWS with it", |row, _| row.arn.as_deref().map(Cow::from)),
            Column::text("user_id", "The caller's unique ID", |row, _| row.user_id.as_deref().map(Cow::from)),
            Column::text("sso_session", "The sso-session", |row, _| {
                row.sso_session.as_deref().map(Cow::from)
            }),
            Column::text("start_url", "The start URL of the sign-in", |row, _| {
                row.start_url.as_deref().map(Cow::from)
            }),
            Column::timestamp("token_expires_at", "When the token of the sign-in ends", |row| {
                millis(row.token?.0)
            }),
            Column::boolean("token_refreshes", "Whether the token can be refreshed then", |row| {
                row.token.map(|(_, refreshes)| refreshes)
            }),
            Column::text("error", "Why the caller is not known", |row, _| {
                row.failure.as_ref().map(|failure| Cow::from(&failure.message))
            }),
        ],
    )
}
