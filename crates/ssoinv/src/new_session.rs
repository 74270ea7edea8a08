//! `ssoinv login --start-url`: an sso-session that the config file doesn't have yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ssoinv_profile::config_edit::{EditError, add_sso_session, has_sso_session, sso_session_block};
use ssoinv_profile::{Location, SsoSession, config_file};

use crate::app::App;
use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;
use crate::output;
use crate::sessions::KnownSession;

/// An sso-session from the command line.
pub(crate) struct NewSession {
    sso: Arc<SsoSession>,
    name: String,
    /// The config file, which may not exist.
    config: PathBuf,
    /// True if the file has the session already.
    there: bool,
}

impl NewSession {
    /// Checks before the sign-in that the session could be added to the config file.
    pub(crate) fn new(
        name: Option<&str>,
        start_url: &str,
        sso_region: &str,
        app: &App,
    ) -> Result<Self, CommandError> {
        let name = name.map_or_else(|| name_of(start_url), str::to_owned);
        let Some(config) = config_file(app.environment.home.as_deref(), &app.environment.vars) else {
            return Err(CommandError::usage("there is no home directory for a config file")
                .with_hint("set `HOME`, or name a file with `AWS_CONFIG_FILE`"));
        };
        let there =
            has_sso_session(&config, &name, start_url, sso_region).map_err(|error| refused(&error, app))?;
        let at = Location { file: Path::new("the command line").into(), line: 0 };
        let sso = SsoSession {
            name: Some(name.clone()),
            start_url: start_url.to_owned(),
            start_url_at: at.clone(),
            sso_region: sso_region.to_owned(),
            sso_region_at: at.clone(),
            scopes: vec!["sso:account:access".to_owned()],
            location: at,
        };
        Ok(Self { sso: Arc::new(sso), name, config, there })
    }

    pub(crate) fn known(&self) -> KnownSession {
        KnownSession { sso: Arc::clone(&self.sso), profile: None }
    }

    /// Adds the section to the config file if `write`, else prints it.
    pub(crate) fn keep(&self, write: bool, app: &App) -> Result<(), CommandError> {
        let (name, url, region) = (&self.name, &self.sso.start_url, &self.sso.sso_region);
        let config = app.shown(&self.config.to_string_lossy());
        if self.there {
            app.terminal.note(&format!("`[sso-session {name}]` is in {config} already"));
            return Ok(());
        }
        if write {
            let written =
                add_sso_session(&self.config, name, url, region).map_err(|error| refused(&error, app))?;
            let backup = written.backup.map(|backup| app.shown(&backup.to_string_lossy()));
            let backup = backup.map(|backup| format!("; what it was is in {backup}")).unwrap_or_default();
            app.terminal.note(&format!("added `[sso-session {name}]` to {config}{backup}"));
            return Ok(());
        }
        let block = sso_session_block(name, url, region).map_err(|error| refused(&error, app))?;
        app.terminal.note(&format!("add this to {config}, or run the same with `--write`:"));
        output::write_text(&block, None, app)
    }
}

/// Returns a name for a session: the first word of its host, `corp` of `https://corp.awsapps.com/start`.
fn name_of(start_url: &str) -> String {
    let host = start_url.split_once("://").map_or(start_url, |(_, rest)| rest);
    let word: String = host
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect::<String>()
        .to_lowercase();
    if word.is_empty() { "sso".to_owned() } else { word }
}

fn refused(error: &EditError, app: &App) -> CommandError {
    let mut message = error.to_string();
    if let Some(reason) = std::error::Error::source(error) {
        message += &format!(": {reason}");
    }
    let details = match error {
        EditError::Differs { differences, .. } => differences
            .iter()
            .flat_map(|difference| {
                let place = app.shown(&difference.location.file.to_string_lossy());
                let found = difference.found.as_deref().unwrap_or("nothing");
                [
                    format!("{place}:{}  {} = {found}", difference.location.line, difference.key),
                    format!("the command line: {} = {}", difference.key, difference.wanted),
                ]
            })
            .collect(),
        _ => Vec::new(),
    };
    let exit = match error {
        EditError::Write { .. } | EditError::Changed { .. } => ExitCode::OutputFailed,
        _ => ExitCode::Usage,
    };
    CommandError::new(exit, message).with_details(details).with_hint(error.hint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_named_by_their_host() {
        for (url, name) in [
            ("https://corp.awsapps.com/start", "corp"),
            ("https://d-1234567890.awsapps.com/start/", "d-1234567890"),
            ("https://Identitycenter.amazonaws.com/ssoins-1", "identitycenter"),
            ("https://", "sso"),
        ] {
            assert_eq!(name_of(url), name, "{url}");
        }
    }
}
