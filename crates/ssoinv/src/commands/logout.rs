//! `ssoinv logout`: revokes tokens at the portal, and removes them and role credentials from the caches shared with the AWS
//! CLI. Client registrations stay, as with `aws sso logout`.

use std::sync::Arc;

use clap::Args;
use ssoinv_core::event::Events;
use ssoinv_core::failure::Failure;
use ssoinv_http::service_endpoint::ServiceEndpoint;
use ssoinv_sso::context::SsoContext;
use ssoinv_sso::credential_cache::CredentialCache;
use ssoinv_sso::services::SSO;
use ssoinv_sso::session::Session;
use ssoinv_sso::sign_out::{SignOutOutcome, sign_out};
use ssoinv_sso::token_cache::{CacheError, StoredToken, TokenCache};

use crate::app::{self, App};
use crate::cli::LimitArgs;
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::exit_codes::ExitCode;
use crate::sessions::{self, KnownSession, SessionChoice};
use crate::settings::{ConnectionSettings, SignInPolicy};

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The sso-session to sign out of [default: that of AWS_PROFILE or `default`, else the only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) sso_session: Option<String>,

    /// Sign out of all, those that no config knows any more too
    #[arg(long, conflicts_with = "sso_session")]
    pub(crate) all: bool,

    /// Leave the cached role credentials, which are good until they end by themselves
    #[arg(long)]
    pub(crate) keep_credentials: bool,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// A token to revoke and remove.
struct SignOutTarget {
    label: String,
    stored: StoredToken,
    /// The portal that revokes it.
    place: Result<ServiceEndpoint, Failure>,
}

/// The hint for a session that the files don't define. Its token may still be cached.
const UNKNOWN: &str = "`ssoinv logout --all` signs out of what no config knows, too";

pub(crate) fn run(args: &LogoutArgs, app: &App) -> Result<CommandOutcome, CommandError> {
    let settings = ConnectionSettings::of_sign_in(&args.limits, &app.layers, &app.environment)?;
    let profiles = app.load_profiles()?;
    let sessions = match &args.sso_session {
        Some(name) => sessions::select(SessionChoice::Named(name), &profiles, UNKNOWN, app)?,
        // The cache may have tokens of sessions that no file defines any more.
        None if args.all => sessions::all(&profiles),
        None => sessions::select(
            SessionChoice::Default { flags: "`--sso-session NAME`, or `--all`" },
            &profiles,
            UNKNOWN,
            app,
        )?,
    };
    app::runtime()?.block_on(sign_out_of(&sessions, args, &settings, app))
}

async fn sign_out_of(
    sessions: &[KnownSession],
    args: &LogoutArgs,
    settings: &ConnectionSettings,
    app: &App,
) -> Result<CommandOutcome, CommandError> {
    let connection = sessions::connect(sessions, settings, SignInPolicy::NEVER, app, Events::new(|_| ()))?;
    let home = app.environment.home.as_deref();
    let cache = TokenCache::new(home);
    let targets = targets(sessions, args.all, &cache, &connection.context).await?;
    for session in sessions {
        if !targets.iter().any(|target| target.label == session.label()) {
            app.terminal.note(&format!("nobody is signed in to `{}`", session.label()));
        }
    }
    if sessions.is_empty() && targets.is_empty() {
        app.terminal.note("nobody is signed in");
    }
    let mut outcome = CommandOutcome::default();
    let mut removed = targets.len();
    // A token that can't be removed doesn't keep the others.
    let report = |error: &CacheError, outcome: &mut CommandOutcome| {
        let error = not_removed(error);
        app.terminal.print_error(&error);
        outcome.add_error(&error);
    };
    for target in targets {
        let label = target.label;
        match sign_out(&target.stored, target.place, &cache, &connection.context).await {
            Err(error) => {
                removed -= 1;
                report(&error, &mut outcome);
            }
            Ok(SignOutOutcome::Revoked) => app.terminal.note(&format!("signed out of `{label}`")),
            Ok(SignOutOutcome::HadEnded) => {
                app.terminal.note(&format!("removed the token of `{label}`, which had ended"));
            }
            Ok(SignOutOutcome::NotRevoked(failure)) => {
                let message = format!(
                    "the token of `{label}` is removed here, but the portal was not told: {}",
                    failure.message
                );
                let hint = "whoever has a copy can use it until it ends; an administrator can end the session in \
                    IAM Identity Center, under Users";
                app.terminal.print_warning(&message, Some(hint));
                outcome.add(ExitCode::Partial);
            }
        }
    }
    if let Err(error) = cache.sweep().await {
        report(&error, &mut outcome);
    }
    if !args.keep_credentials {
        match CredentialCache::new(home).remove_all().await {
            Ok(0) => {}
            Ok(credentials) => {
                let plural = if credentials == 1 { "" } else { "s" };
                app.terminal.note(&format!("removed {credentials} cached role credential{plural}"));
                removed += credentials;
            }
            Err(error) => report(&error, &mut outcome),
        }
    }
    if removed > 0 {
        app.terminal
            .note("role credentials that were handed out before stay good until they end by themselves");
    }
    Ok(outcome)
}

/// Returns the cached tokens to revoke.
///
/// A file's name doesn't prove whose token it is. A token of another start URL or region is sent to AWS's own portal in
/// the region that its file names, never to an endpoint of this config.
async fn targets(
    sessions: &[KnownSession],
    all: bool,
    cache: &TokenCache,
    context: &Arc<SsoContext>,
) -> Result<Vec<SignOutTarget>, CommandError> {
    let mut targets: Vec<SignOutTarget> = Vec::new();
    for session in sessions {
        let Some(stored) = cache.stored(&session.sso).await else { continue };
        let place = if stored.is_of(&session.sso) {
            Session::new(&session.sso, session.profile.as_deref(), context).map(|session| session.portal)
        } else {
            portal_of(&stored, context)
        };
        targets.push(SignOutTarget { label: session.label().to_owned(), stored, place });
    }
    if all {
        for stored in cache.all().await.map_err(|error| not_removed(&error))? {
            if !targets.iter().any(|known| known.stored.path == stored.path) {
                let label = stored.start_url.clone().unwrap_or_else(|| stored.path.display().to_string());
                let place = portal_of(&stored, context);
                targets.push(SignOutTarget { label, stored, place });
            }
        }
    }
    Ok(targets)
}

fn portal_of(stored: &StoredToken, context: &SsoContext) -> Result<ServiceEndpoint, Failure> {
    context.service_endpoint(&SSO, None, stored.region.as_deref().unwrap_or_default())
}

fn not_removed(error: &CacheError) -> CommandError {
    let hint = match error {
        CacheError::Locked { .. } => "end the other process, or wait for its end; then run this again",
        _ => "make `~/.aws/sso/cache` and `~/.aws/cli/cache` folders that you can write to",
    };
    CommandError::new(ExitCode::OutputFailed, error.to_string()).with_hint(hint)
}
