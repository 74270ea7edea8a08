//! `ssoinv resume`: runs the command of a saved run again, and collects only what is missing, failed or too old.
//!
//! [`open()`] returns the saved run and the words of its command; the dispatch parses them and runs the collecting verb.

use std::time::Duration;

use clap::Args;

use crate::app::App;
use crate::cli::{CollectOutputArgs, CredentialArgs, OutputArgs, RunArgs, SelectionArgs, SignInArgs};
use crate::command_error::CommandError;
use crate::recorded_args;
use crate::saved_run::RunToResume;
use crate::settings::values;

/// The flags of the first command can be said again, and mean something else then. Which rows there are (accounts,
/// regions, columns, ...) must stay as it was.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run [default: the last one]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Collect anew what is older than this [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = values::age)]
    pub(crate) max_age: Option<Duration>,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) collect_output: CollectOutputArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// The flag that only `resume` has.
const OWN: &str = "--max-age";

/// Opens the run, and returns it with the words of its command merged with those typed now.
pub(crate) fn open(args: &ResumeArgs, app: &App) -> Result<(RunToResume, Vec<String>), CommandError> {
    let resumed = RunToResume::open(args.name.as_deref(), args.max_age.unwrap_or(values::MAX_AGE), app)?;
    let mut typed = Vec::new();
    for word in &app.recorded.words {
        let Some(word) = word.to_str() else {
            return Err(CommandError::usage("an argument is not UTF-8 text"));
        };
        if word.starts_with("--") && recorded_args::flag(word) != OWN {
            typed.push(word.to_owned());
        }
    }
    let words = recorded_args::merge(&resumed.run.manifest.command, &typed);
    Ok((resumed, words))
}

/// The error for a manifest whose command collects nothing.
pub(crate) fn not_resumable(resumed: &RunToResume) -> CommandError {
    CommandError::usage(format!("the command of run `{}` collects nothing", resumed.run.name()))
}
