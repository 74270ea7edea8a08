//! The command line: one file per verb, each with its arguments, and the dispatch to them.
//!
//! [`parse`] and [`run`] are all that `main` calls. Argument groups that verbs share are in [`crate::cli`].

mod accounts;
mod collect;
mod doctor;
mod login;
mod logout;
mod plan;
mod profiles;
mod resume;
mod runs;
mod settings;
mod tables;
mod whoami;

use std::panic;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use ssoinv_core::clock::Clock;

use self::accounts::{AccountsArgs, Listing};
use self::collect::ListArgs;
use self::doctor::DoctorArgs;
use self::login::LoginArgs;
use self::logout::LogoutArgs;
use self::plan::PlanArgs;
use self::profiles::ProfilesArgs;
use self::resume::ResumeArgs;
use self::runs::RunsArgs;
use self::settings::SettingsArgs;
use self::tables::TablesArgs;
use self::whoami::WhoamiArgs;
use crate::app::App;
use crate::cli::{CollectArgs, GlobalArgs};
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::demo::Demo;
use crate::environment::Environment;
use crate::exit_codes::{self, ExitCode};
use crate::recorded_args::RecordedArgs;
use crate::settings::Layers;
use crate::status_file::StatusFile;
use crate::terminal::{self, Terminal, Verbosity};
use crate::warnings;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Lists and audits every AWS account that one IAM Identity Center sign-in reaches
///
/// ssoinv reads; it changes nothing in AWS. Rows go to stdout, everything else to stderr. Flags that you would type each
/// time can be set: see `ssoinv settings`.
#[derive(Debug, Parser)]
#[command(name = "ssoinv", version, styles = STYLES, after_help = exit_codes::HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List S3 buckets
    Buckets(CollectArgs),
    /// List EC2 instances
    Instances(CollectArgs),
    /// List Lambda functions
    Functions(CollectArgs),
    /// List the rows of any tables
    List(ListArgs),
    /// Go on with a run that was kept by --run: collect what is missing, failed or too old, and write the whole output
    Resume(ResumeArgs),
    /// Show or remove the runs that are kept
    Runs(RunsArgs),
    /// Show what a command would ask, where, as whom, with how many calls, and about how long it would take
    Plan(PlanArgs),
    /// Sign in: to an sso-session on a page in a browser, else with a code
    Login(LoginArgs),
    /// Sign out: end the token, and remove it and the cached role credentials
    Logout(LogoutArgs),
    /// Show whose credentials the profiles have, and how long the sign-in lasts
    Whoami(WhoamiArgs),
    /// Show every account that the sign-in reaches
    Accounts(AccountsArgs),
    /// Show every role that the sign-in has in every account
    Roles(AccountsArgs),
    /// Look at the files, the sign-ins and the accounts step by step, and say what is wrong and how to cure it
    Doctor(DoctorArgs),
    /// Show every profile: its kind, account, role, session, and what is wrong with it
    Profiles(ProfilesArgs),
    /// Show the tables, or the columns of one
    Tables(TablesArgs),
    /// Show what is set in config.toml and in variables, and what can be
    Settings(SettingsArgs),
}

impl Command {
    /// Returns the tables that the command collects.
    fn tables(&self) -> Vec<&str> {
        match self {
            Self::Buckets(_) => vec!["buckets"],
            Self::Instances(_) => vec!["instances"],
            Self::Functions(_) => vec!["functions"],
            Self::List(args) => args.tables.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// Returns the clap command. `resume` accepts the selection flags, so that a changed selection can be refused with a
/// reason, but its help doesn't list them.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommand("resume", |resume| {
        resume.mut_args(|arg| {
            let selects = arg.get_help_heading() == Some("Selection");
            if selects { arg.hide(true) } else { arg }
        })
    })
}

/// Parses the arguments of the process. Ends the program if they are invalid or ask for help.
pub(crate) fn parse() -> (Cli, RecordedArgs) {
    let command = command();
    let matches = command.clone().get_matches();
    let recorded = RecordedArgs::new(&command, &matches);
    (Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()), recorded)
}

/// Runs a command, and writes its status file. Errors are shown here; a panic ends as a bug.
pub(crate) fn run(cli: &Cli, recorded: RecordedArgs, environment: &Environment) -> ExitCode {
    let verbosity = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Debug,
    };
    let terminal = Terminal::new(verbosity, cli.global.color, environment);
    let status = match cli.global.status.as_deref().map(StatusFile::open).transpose() {
        Ok(status) => status,
        Err(error) => {
            terminal.print_error(&error);
            return error.exit;
        }
    };
    let ended = panic::catch_unwind(panic::AssertUnwindSafe(|| begin(cli, recorded, environment, &terminal)));
    let mut outcome = ended.unwrap_or_else(|_| Err(bug())).unwrap_or_else(|error| {
        terminal.print_error(&error);
        CommandOutcome::from(&error)
    });
    if let Some(Err(error)) = status.map(|status| status.write(&outcome)) {
        terminal.print_error(&error);
        outcome.add_error(&error);
    }
    outcome.exit_code()
}

fn bug() -> CommandError {
    CommandError::new(ExitCode::Bug, "this is a bug in ssoinv")
        .with_hint("report it with the lines above, which hold no secret, and with what you typed")
}

fn begin(
    cli: &Cli,
    recorded: RecordedArgs,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<CommandOutcome, CommandError> {
    // `doctor` never signs in, so its demonstration starts with a token.
    let signed_in = matches!(cli.command, Command::Doctor(_));
    let demo = cli.global.demo.map(|kind| Demo::start(kind, signed_in, environment)).transpose()?;
    if demo.is_some() && terminal.verbosity != Verbosity::Quiet {
        terminal::print(
            "demo: made-up data of a simulated organisation; nothing of yours is read, asked or changed\n",
        );
    }
    let environment = demo.as_ref().map_or(environment, |demo| &demo.environment);
    let app = App {
        environment: environment.clone(),
        layers: Layers::new(environment)?,
        terminal: terminal.clone(),
        clock: Clock::system(),
        recorded,
        demo: demo.is_some(),
    };
    warnings::unknown_variables(&app);
    match &cli.command {
        Command::Resume(args) => {
            let (run, words) = resume::open(args, &app)?;
            let first = parse_recorded(words)?;
            match &first.command {
                Command::Buckets(args)
                | Command::Instances(args)
                | Command::Functions(args)
                | Command::List(ListArgs { collect: args, .. }) => {
                    collect::run(&first.command.tables(), args, Some(run), &app)
                }
                _ => Err(resume::not_resumable(&run)),
            }
        }
        Command::Runs(args) => runs::run(args, &app),
        Command::Plan(args) => plan::run(args, &app),
        Command::Accounts(args) => accounts::run(Listing::Accounts, args, &app),
        Command::Roles(args) => accounts::run(Listing::Roles, args, &app),
        Command::Login(args) => login::run(args, &app),
        Command::Logout(args) => logout::run(args, &app),
        Command::Whoami(args) => whoami::run(args, &app),
        Command::Doctor(args) => doctor::run(args, &app),
        Command::Profiles(args) => profiles::run(args, &app),
        Command::Tables(args) => tables::run(args, &app),
        Command::Settings(args) => settings::run(args, &command(), &app),
        Command::Buckets(args) | Command::Instances(args) | Command::Functions(args) => {
            collect::run(&cli.command.tables(), args, None, &app)
        }
        Command::List(args) => collect::run(&cli.command.tables(), &args.collect, None, &app),
    }
}

/// Parses recorded arguments. Flags of then and now may exclude each other.
fn parse_recorded(words: Vec<String>) -> Result<Cli, CommandError> {
    let matches = command().try_get_matches_from(std::iter::once("ssoinv".to_owned()).chain(words));
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
        let text = error.to_string();
        let mut lines = text.lines().take_while(|line| !line.starts_with("Usage:"));
        let message = lines.next().unwrap_or_default();
        let details = lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
        CommandError::usage(message.strip_prefix("error: ").unwrap_or(message))
            .with_details(details.collect())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Arg;

    use super::*;
    use crate::settings::list::{ALL, Form, flag_of};

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    /// Returns the flags of all commands by long name.
    fn flags() -> BTreeMap<String, Arg> {
        let command = Cli::command();
        let of_commands = command.get_subcommands().flat_map(clap::Command::get_arguments);
        let named = of_commands.filter_map(|flag| Some((format!("--{}", flag.get_long()?), flag.clone())));
        named.collect()
    }

    #[test]
    fn each_setting_is_a_flag_that_says_the_default() {
        let flags = flags();
        for setting in ALL {
            let flag =
                flags.get(&flag_of(setting.key())).unwrap_or_else(|| panic!("no flag for {}", setting.key()));
            assert!(!flag.is_hide_set());
            assert_eq!(flag.get_action().takes_values(), setting.form() != Form::Switch, "{}", setting.key());
            // A default of clap would hide whether the flag was typed.
            assert!(flag.get_default_values().iter().all(|value| value == "false"), "{}", setting.key());
            let help = flag.get_help().expect("help").to_string();
            if let Some(default) = setting.default_text().filter(|_| setting.form() != Form::Switch) {
                assert!(help.contains(&format!("[default: {default}]")), "{help}");
            }
        }
    }

    #[test]
    fn each_switch_can_be_taken_back() {
        let flags = flags();
        for setting in ALL.iter().filter(|setting| setting.form() == Form::Switch) {
            let opposite = match setting.key().strip_prefix("no_") {
                Some(rest) => flag_of(rest),
                None => flag_of(&format!("no_{}", setting.key())),
            };
            assert!(flags.get(&opposite).is_some_and(Arg::is_hide_set), "{opposite}");
        }
    }
}
