//! `ssoinv doctor`: checks files, sign-ins and accounts step by step, and reports problems. Changes nothing.

use clap::Args;
use ssoinv_output::Format;
use ssoinv_profile::Profiles;

use crate::app::{self, App};
use crate::cli::{CredentialArgs, LimitArgs, OutputArgs};
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::doctor::diagnosis::Severity;
use crate::doctor::facts::{AT_ONCE, DoctorScope, gather};
use crate::doctor::fix::Texts;
use crate::doctor::step::StepResult;
use crate::doctor::{judge, report, unreadable};
use crate::exit_codes::ExitCode;
use crate::settings::{ConnectionSettings, OutputSettings};
use crate::terminal::{self, Stream};
use crate::{output, selection};

#[derive(Debug, Args)]
#[command(after_long_help = DOCTOR_HELP)]
pub(crate) struct DoctorArgs {
    /// Look only at what concerns these profiles: names or globs, several with commas [default: all]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) profile: Vec<String>,

    /// Look at the files only, ask nobody
    #[arg(long)]
    pub(crate) offline: bool,

    /// Print the change to the files that cures what needs no judgement, as a diff for `patch -d / -p1`; apply nothing
    #[arg(long, conflicts_with_all = ["output", "out", "columns", "wide", "no_header", "spreadsheet"])]
    pub(crate) fix: bool,

    /// Run no `credential_process`
    #[arg(long)]
    pub(crate) no_credential_process: bool,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// The long help of `doctor`.
const DOCTOR_HELP: &str = "\
It signs in to nothing, refreshes nothing and changes no file. A step that could not be done is said to be not done. \
It ends with 1 where it finds an error, else with 0.

`ssoinv doctor --fix --offline | patch -d / -p1` applies the change that it proposes: the paths in the diff start at \
the root. What it finds goes to stderr then. Lines that may hold a secret are never part of the diff.

With `-o json`, `csv` or `ndjson` there is a row for each finding, and one for each step without any.";

pub(crate) fn run(args: &DoctorArgs, app: &App) -> Result<CommandOutcome, CommandError> {
    let output = OutputSettings::new(&args.output, &app.layers)?;
    let settings = connection_settings(args, app)?;
    let (mut results, texts) = match Profiles::load(app.environment.home.as_deref(), &app.environment.vars) {
        Err(error) => (unreadable(&error), None),
        Ok(profiles) => {
            let texts = Texts::of(&profiles);
            let scope = scope(args, &profiles, app)?;
            let facts = app::runtime()?.block_on(gather(profiles, &scope, &settings, app))?;
            (judge(&facts), Some(texts))
        }
    };
    if let Some(texts) = &texts {
        texts.leave_out_secrets(&mut results);
    }
    if args.fix {
        let diff = texts.map(|texts| texts.diff(&results)).unwrap_or_default();
        output::write_text(&diff, None, app)?;
        terminal::print(&report::checklist(&results, Stream::Stderr, app));
    } else if output.format == Format::Table && !output.wide && output.columns.is_empty() {
        // The default is a checklist; `--wide` and `--columns` ask for a table.
        let stream = if output.out.is_some() { Stream::File } else { Stream::Stdout };
        output::write_text(&report::checklist(&results, stream, app), output.out.as_deref(), app)?;
    } else {
        output::write_all(&report::table(), &report::rows(&results), &output, app)?;
    }
    conclude(&results, args, app);
    let diagnoses = || results.iter().flat_map(|result| &result.diagnoses);
    let failed = diagnoses().any(|diagnosis| diagnosis.severity == Severity::Error);
    let mut outcome = CommandOutcome::default();
    if failed {
        outcome.add(ExitCode::Findings);
    }
    // Checks that `--offline` skips are left out on request.
    if !args.offline && results.iter().any(|result| !result.skipped.is_empty()) {
        outcome.mark_incomplete();
    }
    Ok(outcome)
}

/// Returns settings with which nothing is written or refreshed.
fn connection_settings(args: &DoctorArgs, app: &App) -> Result<ConnectionSettings, CommandError> {
    let credentials = CredentialArgs {
        no_credential_process: args.no_credential_process,
        no_credential_cache: true,
        ..CredentialArgs::default()
    };
    let settings =
        ConnectionSettings::new(&credentials, &args.limits, AT_ONCE, &app.layers, &app.environment)?;
    Ok(ConnectionSettings { refresh_tokens: false, ..settings })
}

/// Returns the profiles to check: the named ones, else all.
fn scope(args: &DoctorArgs, profiles: &Profiles, app: &App) -> Result<DoctorScope, CommandError> {
    let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    let named = !args.profile.is_empty();
    let places = if named {
        selection::several(&args.profile, Some("--profile"), &names, &app.searched(profiles))?.profiles
    } else {
        (0..names.len()).collect()
    };
    Ok(DoctorScope { places, named, offline: args.offline })
}

/// Prints the number of problems, and a hint if `--fix` can cure some.
fn conclude(results: &[StepResult], args: &DoctorArgs, app: &App) {
    app.terminal.note(&report::summary(results));
    let fixable = results.iter().flat_map(|result| &result.diagnoses);
    let fixable = fixable.filter(|diagnosis| !diagnosis.edits.is_empty()).count();
    if args.fix && fixable == 0 {
        app.terminal
            .note("nothing of it can be cured without somebody's judgement: there is no change to print");
    } else if !args.fix && fixable > 0 {
        let these = if fixable == 1 { "one of them".to_owned() } else { format!("{fixable} of them") };
        let hint = format!(
            "`ssoinv doctor --fix --offline` prints a change that cures {these}; `| patch -d / -p1` behind it applies it"
        );
        app.terminal.print_hint(&hint);
    }
}
