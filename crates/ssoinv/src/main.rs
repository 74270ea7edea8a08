//! ssoinv: one sign-in, every account, every answer, and a proof of what was looked at.
//!
//! The way of the data: [`cli`] parses, [`settings`] resolves, `ssoinv-sso` signs in, `ssoinv-aws` plans and runs,
//! `ssoinv-output` writes, [`display`] talks, [`exit_codes`] tells the truth. [`commands`] wires them, a file a verb.

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
