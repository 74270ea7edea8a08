//! One file a verb, and the way to them.

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

use ssoinv_core::clock::Clock;

use crate::app::App;
use crate::arguments::Typed;
use crate::cli::{Cli, Command, ListArgs};
use crate::command_error::CommandError;
use crate::demo::Demo;
use crate::env_vars::Environment;
use crate::exit_codes::ExitCode;
use crate::settings::Layers;
use crate::terminal::{self, Terminal, Verbosity};
use crate::warnings;

/// Runs a command. A panic is a bug, and ends as one.
pub(crate) fn run(cli: &Cli, typed: Typed, environment: &Environment) -> ExitCode {
    let verbosity = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Debug,
    };
    let terminal = Terminal::new(verbosity, cli.global.color, environment);
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| begin(cli, typed, environment, &terminal)));
    match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            terminal::say(&terminal.error(&error));
            error.exit
        }
        Err(_) => {
            let error = CommandError::new(ExitCode::Bug, "this is a bug in ssoinv")
                .with_hint("report it with the lines above, which hold no secret, and with what you typed");
            terminal::say(&terminal.error(&error));
            ExitCode::Bug
        }
    }
}

fn begin(
    cli: &Cli,
    typed: Typed,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<ExitCode, CommandError> {
    // Who looks only doesn't sign in.
    let signed_in = matches!(cli.command, Command::Doctor(_));
    let demo = cli.global.demo.map(|kind| Demo::start(kind, signed_in, environment)).transpose()?;
    if demo.is_some() && terminal.verbosity != Verbosity::Quiet {
        terminal::say(
            "demo: made-up data of a simulated organisation; nothing of yours is read, asked or changed\n",
        );
    }
    let environment = demo.as_ref().map_or(environment, |demo| &demo.environment);
    let app = App {
        environment: environment.clone(),
        layers: Layers::new(environment)?,
        terminal: terminal.clone(),
        clock: Clock::system(),
        typed,
        demo: demo.is_some(),
    };
    warnings::unknown_variables(&app);
    match &cli.command {
        Command::Buckets(args)
        | Command::Instances(args)
        | Command::Functions(args)
        | Command::List(ListArgs { collect: args, .. }) => {
            collect::run(&cli.command.tables(), args, None, &app)
        }
        Command::Resume(args) => resume::run(args, &app),
        Command::Runs(args) => runs::run(&args.command, &app),
        Command::Plan(args) => plan::run(args, &app),
        Command::Accounts(args) => accounts::run(accounts::What::Accounts, args, &app),
        Command::Roles(args) => accounts::run(accounts::What::Roles, args, &app),
        Command::Login(args) => login::run(args, &app),
        Command::Logout(args) => logout::run(args, &app),
        Command::Whoami(args) => whoami::run(args, &app),
        Command::Doctor(args) => doctor::run(args, &app),
        Command::Profiles(args) => profiles::run(args, &app),
        Command::Tables(args) => tables::run(args, &app),
        Command::Settings(args) => settings::run(args, &app),
    }
}

/// Where calls are made.
fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Runtime::new().map_err(|error| {
        CommandError::new(ExitCode::Bug, format!("the asynchronous runtime cannot start: {error}"))
    })
}
