//! The binary: lists and audits every AWS account that one IAM Identity Center sign-in reaches.
//!
//! Data flow: [`commands`] parses the command line and dispatches to one file per verb, [`settings`] resolves flags,
//! variables and the config file, `ssoinv-sso` signs in, `ssoinv-aws` plans and runs, [`output`] writes rows, [`display`]
//! and [`summary`] print messages, [`command_outcome`] decides the exit code.

mod account_file;
mod account_list;
mod app;
mod browser;
mod cli;
mod command_error;
mod command_outcome;
mod commands;
mod connection;
mod demo;
mod discovery;
mod display;
mod doctor;
mod environment;
mod exit_codes;
mod expectations;
mod file_limit;
mod identity;
mod new_session;
mod output;
mod recorded_args;
mod run_request;
mod saved_run;
mod selection;
mod sessions;
mod settings;
mod sign_in_errors;
mod signals;
mod status_file;
mod summary;
mod table_names;
mod terminal;
mod text;
mod warnings;

use std::process;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> process::ExitCode {
    let (cli, recorded) = commands::parse();
    commands::run(&cli, recorded, &environment::Environment::of_process()).into()
}
