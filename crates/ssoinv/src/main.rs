//! ssoinv: one sign-in, every account, every answer, and a proof of what was looked at.
//!
//! The way of the data: [`cli`] parses, [`settings`] resolves, `ssoinv-sso` signs in, `ssoinv-aws` plans and runs,
//! `ssoinv-output` writes, [`display`] talks, [`exit_codes`] tells the truth. [`commands`] wires them, a file a verb.

mod account_file;
mod account_list;
mod app;
mod arguments;
mod browser;
mod cli;
mod command_error;
mod commands;
mod demo;
mod discovery;
mod display;
mod doctor;
mod env_vars;
mod exit_codes;
mod expectations;
mod identity;
mod kept_run;
mod new_session;
mod open_files;
mod output;
mod selection;
mod sessions;
mod settings;
mod sign_in_errors;
mod signals;
mod station;
mod summary;
mod terminal;
mod warnings;

use std::process;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> process::ExitCode {
    let (cli, typed) = arguments::parse();
    commands::run(&cli, typed, &env_vars::Environment::of_process()).into()
}
