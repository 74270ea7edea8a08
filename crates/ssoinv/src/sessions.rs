//! The sign-ins that a command selects: sso-sessions, used by a profile or not, and start URLs of profiles.

use std::sync::Arc;

use ssoinv_core::event::Events;
use ssoinv_core::suggest::nearest;
use ssoinv_profile::{Profile, Profiles, SsoSession};

use crate::app::App;
use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::settings::{ConnectionSettings, SignInPolicy};
use crate::text::shell_quoted;
use crate::warnings;

/// A sign-in that the profile files define.
#[derive(Clone, Debug)]
pub(crate) struct KnownSession {
    pub(crate) sso: Arc<SsoSession>,
    /// The first profile that uses it. Its endpoint settings apply.
    pub(crate) profile: Option<Arc<Profile>>,
}

impl KnownSession {
    /// Returns the arguments of `ssoinv login` that select it.
    pub(crate) fn as_argument(&self) -> String {
        match (&self.sso.name, &self.profile) {
            (Some(name), _) => format!("--sso-session {}", shell_quoted(name)),
            (None, Some(profile)) => format!("--profile {}", shell_quoted(&profile.name)),
            (None, None) => format!("--start-url {}", shell_quoted(&self.sso.start_url)),
        }
    }

    /// Returns the name of the session in messages.
    pub(crate) fn label(&self) -> &str {
        self.sso.cache_key()
    }
}

/// The hint for a machine without profile files.
pub(crate) const FIRST_SIGN_IN: &str =
    "`ssoinv login --start-url URL --sso-region REGION --write` signs in and sets one up";

/// A selection of sign-ins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SessionChoice<'a> {
    All,
    Named(&'a str),
    OfProfile(&'a str),
    /// The sign-in of `AWS_PROFILE` or `default`, else the only one. If there are several, a hint names these flags.
    Default {
        flags: &'a str,
    },
}

/// Lists all sign-ins: sso-sessions by name, then start URLs in the order of the profiles.
pub(crate) fn all(profiles: &Profiles) -> Vec<KnownSession> {
    let user = |key: &str| {
        let uses = |profile: &&Profile| {
            profile.credentials.session().is_some_and(|session| session.cache_key() == key)
        };
        profiles.iter().find(uses).map(|profile| Arc::new(profile.clone()))
    };
    let mut known: Vec<KnownSession> = Vec::new();
    let legacy = profiles.iter().filter_map(|profile| profile.credentials.session());
    for sso in profiles.sessions().values().chain(legacy) {
        if !known.iter().any(|known| known.label() == sso.cache_key()) {
            known.push(KnownSession { sso: Arc::clone(sso), profile: user(sso.cache_key()) });
        }
    }
    known
}

/// Returns the selected sign-ins. `if_unknown` is the hint for a name that the files don't define.
pub(crate) fn select(
    choice: SessionChoice<'_>,
    profiles: &Profiles,
    if_unknown: &str,
    app: &App,
) -> Result<Vec<KnownSession>, CommandError> {
    let all = all(profiles);
    let listed = || -> Vec<String> { all.iter().map(|known| format!("`{}`", known.label())).collect() };
    let of_profile = |profile: &Profile| {
        let session = profile.credentials.session()?;
        Some(vec![KnownSession { sso: Arc::clone(session), profile: Some(Arc::new(profile.clone())) }])
    };
    match choice {
        SessionChoice::All if all.is_empty() => Err(none(profiles, if_unknown, app)),
        SessionChoice::All => Ok(all),
        SessionChoice::Named(name) => {
            if let Some(known) = all.iter().find(|known| known.sso.name.as_deref() == Some(name)) {
                return Ok(vec![known.clone()]);
            }
            let incomplete = profiles.session_settings().any(|(other, _)| other == name);
            let message = if incomplete {
                format!("sso-session `{name}` has no `sso_start_url` or no `sso_region`")
            } else {
                format!("there is no sso-session `{name}`")
            };
            let error = CommandError::usage(message).with_details(listed());
            let names = all.iter().filter_map(|known| known.sso.name.as_deref());
            Err(match nearest(name, names) {
                _ if incomplete => error.with_hint("`ssoinv doctor` shows what is missing, and where"),
                Some(near) => error.with_hint(format!("did you mean `--sso-session {near}`?")),
                None => error.with_hint(if_unknown),
            })
        }
        SessionChoice::OfProfile(name) => {
            let Some(profile) = profiles.get(name) else {
                let error = CommandError::usage(format!("there is no profile `{name}`"));
                return Err(match profiles.nearest(name) {
                    Some(near) => error.with_hint(format!("did you mean `--profile {near}`?")),
                    None => error.with_hint("`ssoinv profiles` lists them"),
                });
            };
            of_profile(profile).ok_or_else(|| match profile.blocker(false) {
                Some(problem) => warnings::broken_profile(problem, app),
                None => CommandError::usage(format!(
                    "profile `{name}` has no sign-in: it is of kind `{}`",
                    profile.kind
                ))
                .with_hint("name one that has, or `--sso-session NAME`; `ssoinv profiles` lists them"),
            })
        }
        SessionChoice::Default { flags } => {
            let variable =
                ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"].into_iter().find_map(|name| app.environment.get(name));
            if let Some(name) = variable {
                return select(SessionChoice::OfProfile(name), profiles, if_unknown, app);
            }
            if let Some(session) = profiles.get("default").and_then(of_profile) {
                return Ok(session);
            }
            match all.len() {
                0 => Err(none(profiles, if_unknown, app)),
                1 => Ok(all),
                number => Err(CommandError::usage(format!("there are {number} sign-ins to choose from"))
                    .with_details(listed())
                    .with_hint(format!("say which with {flags}"))),
            }
        }
    }
}

fn none(profiles: &Profiles, hint: &str, app: &App) -> CommandError {
    let message = format!("there is no sign-in in {}", app.searched(profiles).join(" or "));
    CommandError::usage(message).with_hint(hint)
}

/// Opens the connection for these sign-ins. Warns first if tokens go to an endpoint that isn't AWS's.
pub(crate) fn connect(
    sessions: &[KnownSession],
    settings: &ConnectionSettings,
    policy: SignInPolicy,
    app: &App,
    events: Events,
) -> Result<Connection, CommandError> {
    let profiles: Vec<Arc<Profile>> = sessions.iter().filter_map(|known| known.profile.clone()).collect();
    warnings::foreign_endpoints(&profiles, app);
    Connection::open(settings, policy, &profiles, app, events)
}
