//! `ssoinv login`: signs in even if there is a valid token, as `aws sso login` does.

use std::time::SystemTime;

use clap::Args;
use ssoinv_sso::context::Interaction;
use ssoinv_sso::token_source::AccessToken;

use crate::app::{self, App};
use crate::browser::Browser;
use crate::cli::{LimitArgs, SignInArgs};
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::display::Display;
use crate::exit_codes::ExitCode;
use crate::new_session::NewSession;
use crate::sessions::{self, FIRST_SIGN_IN, KnownSession, SessionChoice};
use crate::settings::{ConnectionSettings, SignInPolicy, SignInSettings};
use crate::{sign_in_errors, warnings};

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The sso-session to sign in to [default: that of AWS_PROFILE or `default`, else the only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) sso_session: Option<String>,

    /// Sign in to the sso-session or start URL of this profile
    #[arg(long, short, value_name = "NAME", conflicts_with = "sso_session")]
    pub(crate) profile: Option<String>,

    /// Sign in to each, one after the other
    #[arg(long, conflicts_with_all = ["sso_session", "profile"])]
    pub(crate) all: bool,

    /// Sign in here though no config knows it; prints the section to add, named by --sso-session
    #[arg(long, value_name = "URL", requires = "sso_region", conflicts_with_all = ["profile", "all"])]
    pub(crate) start_url: Option<String>,

    /// The region of the Identity Center behind --start-url
    #[arg(long, value_name = "REGION", requires = "start_url")]
    pub(crate) sso_region: Option<String>,

    /// Add the section to the config file instead, and keep a copy of what it was
    #[arg(long, requires = "start_url")]
    pub(crate) write: bool,

    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

pub(crate) fn run(args: &LoginArgs, app: &App) -> Result<CommandOutcome, CommandError> {
    let sign_in = SignInSettings::new(&args.sign_in, &app.layers, &app.environment)?;
    refuse_without_somebody(&sign_in)?;
    let settings = ConnectionSettings::of_sign_in(&args.limits, &app.layers, &app.environment)?;
    if let (Some(start_url), Some(sso_region)) = (&args.start_url, &args.sso_region) {
        let new = NewSession::new(args.sso_session.as_deref(), start_url, sso_region, app)?;
        let outcome = app::runtime()?.block_on(sign_in_to(&[new.known()], &settings, &sign_in, app))?;
        if outcome.is_complete() {
            new.keep(args.write, app)?;
        }
        return Ok(outcome);
    }
    let profiles = app.load_profiles()?;
    let choice = match (&args.sso_session, &args.profile) {
        _ if args.all => SessionChoice::All,
        (Some(name), _) => SessionChoice::Named(name),
        (None, Some(name)) => SessionChoice::OfProfile(name),
        (None, None) => {
            SessionChoice::Default { flags: "`--sso-session NAME` or `--profile NAME`, or `--all`" }
        }
    };
    let sessions = sessions::select(choice, &profiles, FIRST_SIGN_IN, app)?;
    app::runtime()?.block_on(sign_in_to(&sessions, &settings, &sign_in, app))
}

/// Returns an error with `--no-input` or `CI=true`, unless a device code was requested, which may be read in a log.
fn refuse_without_somebody(sign_in: &SignInSettings) -> Result<(), CommandError> {
    let why = match (sign_in.no_input.value, sign_in.is_ci) {
        _ if sign_in.use_device_code => return Ok(()),
        (true, _) => format!("`{}`", sign_in.no_input.source),
        (false, true) => "`CI=true`".to_owned(),
        (false, false) => return Ok(()),
    };
    let message = format!("a sign-in needs somebody, and {why} says that nobody is there");
    Err(CommandError::new(ExitCode::SignInNeeded, message)
        .with_hint("`ssoinv login --use-device-code` shows a code, also in a log, to approve in any browser"))
}

/// Signs in to each session in turn, since a person can approve only one at a time. Goes on after a failure.
async fn sign_in_to(
    sessions: &[KnownSession],
    settings: &ConnectionSettings,
    sign_in: &SignInSettings,
    app: &App,
) -> Result<CommandOutcome, CommandError> {
    let browser = if app.demo { Browser::None } else { sign_in.browser };
    let display = Display::start(app.terminal.clone(), app.clock.clone(), browser, app.demo);
    // The command asks for a sign-in, so it may prompt without a terminal.
    let policy = SignInPolicy { interaction: Interaction::Person, flow: sign_in.flow };
    let policy = if app.demo { SignInPolicy::DEMO } else { policy };
    let connection = match sessions::connect(sessions, settings, policy, app, display.events()) {
        Ok(connection) => connection,
        Err(error) => {
            display.end();
            return Err(error);
        }
    };
    let mut ended = Vec::new();
    for session in sessions {
        let signed_in = match connection.engine.credentials().tokens(&session.sso, session.profile.as_deref())
        {
            Ok(tokens) => tokens.sign_in().await,
            Err(failure) => Err(failure),
        };
        ended.push((session, signed_in));
    }
    warnings::notices(&display.end().notices, app);
    let mut outcome = CommandOutcome::default();
    for (session, signed_in) in &ended {
        match signed_in {
            Ok(token) => tell(session, token, app),
            Err(failure) => {
                let error = sign_in_errors::error(failure, session, app);
                app.terminal.print_error(&error);
                outcome.add_error(&error);
            }
        }
    }
    Ok(outcome)
}

fn tell(session: &KnownSession, token: &AccessToken, app: &App) {
    let then = if token.refreshes {
        "refreshed by itself from then on, while the sign-in lasts"
    } else {
        "and can't be refreshed then"
    };
    let (label, end) = (session.label(), utc(token.expires_at));
    app.terminal.note(&format!("the token of `{label}` is good until {end}, {then}"));
}

/// Formats a time in UTC: `2026-01-02T03:04:05Z`.
fn utc(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
