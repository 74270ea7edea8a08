//! The inputs that every command gets: environment, settings, terminal, clock and recorded arguments.

use ssoinv_core::clock::Clock;
use ssoinv_profile::Profiles;
use tokio::runtime::Runtime;

use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::exit_codes::ExitCode;
use crate::recorded_args::RecordedArgs;
use crate::settings::Layers;
use crate::terminal::Terminal;

/// The inputs of a command.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) environment: Environment,
    pub(crate) layers: Layers,
    pub(crate) terminal: Terminal,
    pub(crate) clock: Clock,
    /// The command's arguments, for the manifest of a saved run.
    pub(crate) recorded: RecordedArgs,
    /// All calls go to a simulated organization, and a simulated person signs in.
    pub(crate) demo: bool,
}

impl App {
    /// Loads the profiles from the AWS CLI's files.
    pub(crate) fn load_profiles(&self) -> Result<Profiles, CommandError> {
        Profiles::load(self.environment.home.as_deref(), &self.environment.vars).map_err(|error| {
            let message = error
                .to_string()
                .replace(&error.file().display().to_string(), &self.shown(&error.file().to_string_lossy()));
            let reason = std::error::Error::source(&error).map(ToString::to_string);
            CommandError::usage(message).with_details(reason.into_iter().collect()).with_hint(error.hint())
        })
    }

    /// Lists the profile files, with the home folder as `~`.
    pub(crate) fn searched(&self, profiles: &Profiles) -> Vec<String> {
        profiles.looked_at().iter().map(|file| self.shown(&file.path.to_string_lossy())).collect()
    }

    /// Returns a path with the home folder as `~`.
    pub(crate) fn shown(&self, path: &str) -> String {
        self.environment.shown(path)
    }
}

/// Starts the asynchronous runtime in which calls are made.
pub(crate) fn runtime() -> Result<Runtime, CommandError> {
    Runtime::new().map_err(|error| {
        CommandError::new(ExitCode::Bug, format!("cannot start the asynchronous runtime: {error}"))
    })
}
