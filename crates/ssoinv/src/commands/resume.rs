//! `ssoinv resume`: the command that a kept run was begun with, once more, less what has been done.

use clap::FromArgMatches;

use crate::app::App;
use crate::arguments;
use crate::cli::{self, Cli, Command, ListArgs, ResumeArgs};
use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;
use crate::kept_run::Resumed;
use crate::settings::values;

use super::collect;

/// What isn't the first command's.
const OWN: &str = "--max-age";

pub(crate) fn run(args: &ResumeArgs, app: &App) -> Result<ExitCode, CommandError> {
    let resumed = Resumed::open(args.name.as_deref(), args.max_age.unwrap_or(values::MAX_AGE), app)?;
    let mut typed = Vec::new();
    for word in &app.typed.words {
        let Some(word) = word.to_str() else { return Err(CommandError::usage("an argument is no text")) };
        if word.starts_with("--") && arguments::flag(word) != OWN {
            typed.push(word.to_owned());
        }
    }
    let words = arguments::again(&resumed.run.manifest.command, &typed);
    let matches = cli::command().try_get_matches_from([String::from("ssoinv")].into_iter().chain(words));
    // What clap says about words that can't stand together is said best by clap.
    let again =
        matches.and_then(|matches| Cli::from_arg_matches(&matches)).unwrap_or_else(|error| error.exit());
    match &again.command {
        Command::Buckets(args)
        | Command::Instances(args)
        | Command::Functions(args)
        | Command::List(ListArgs { collect: args, .. }) => {
            collect::run(&again.command.tables(), args, Some(resumed), app)
        }
        _ => Err(CommandError::usage(format!("run `{}` is of no command that collects", resumed.run.name()))),
    }
}
