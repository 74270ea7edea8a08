//! `ssoinv doctor`: looks at files, sign-ins and accounts step by step, and says what is wrong. Changes nothing.

use ssoinv_output::Format;
use ssoinv_profile::Profiles;

use crate::app::App;
use crate::cli::DoctorArgs;
use crate::command_error::CommandError;
use crate::doctor::facts::{AT_ONCE, Choice, gather};
use crate::doctor::fix::Texts;
use crate::doctor::outcome::{Outcome, Severity};
use crate::doctor::{judge, report, unreadable};
use crate::exit_codes::ExitCode;
use crate::settings::{OutputSettings, StationSettings};
use crate::terminal::{self, Stream, Verbosity};
use crate::{output, selection};

pub(crate) fn run(args: &DoctorArgs, app: &App) -> Result<ExitCode, CommandError> {
    let output = OutputSettings::new(&args.output, &app.layers)?;
    let settings = StationSettings::looking_only(args, AT_ONCE, &app.layers, &app.environment)?;
    let (mut outcomes, texts) = match Profiles::load(app.environment.home.as_deref(), &app.environment.vars) {
        Err(error) => (unreadable(&error), None),
        Ok(profiles) => {
            let texts = Texts::of(&profiles);
            let choice = choice(args, &profiles, app)?;
            let facts = super::runtime()?.block_on(gather(profiles, &choice, &settings, app))?;
            (judge(&facts), Some(texts))
        }
    };
    if let Some(texts) = &texts {
        texts.leave_out_secrets(&mut outcomes);
    }
    if args.fix {
        let diff = texts.map(|texts| texts.diff(&outcomes)).unwrap_or_default();
        output::write_text(&diff, None)?;
        terminal::say(&report::checklist(&outcomes, Stream::Stderr, app));
    } else if output.format == Format::Table && !output.wide && output.columns.is_empty() {
        // For people, a checklist; a table where they ask for one.
        let stream = if output.out.is_some() { Stream::File } else { Stream::Stdout };
        output::write_text(&report::checklist(&outcomes, stream, app), output.out.as_deref())?;
    } else {
        output::write_all(&report::table(), &report::rows(&outcomes), &output, app)?;
    }
    conclude(&outcomes, args, app);
    let findings = || outcomes.iter().flat_map(|outcome| &outcome.findings);
    let failed = findings().any(|finding| finding.severity == Severity::Error);
    Ok(if failed { ExitCode::Findings } else { ExitCode::Complete })
}

/// The profiles that it is about; all where none is named.
fn choice(args: &DoctorArgs, profiles: &Profiles, app: &App) -> Result<Choice, CommandError> {
    let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    let named = !args.profile.is_empty();
    let places = if named {
        selection::several(&args.profile, Some("--profile"), &names, &app.searched(profiles))?.profiles
    } else {
        (0..names.len()).collect()
    };
    Ok(Choice { places, named, offline: args.offline })
}

/// Says how much was found, and how some of it can be cured at once.
fn conclude(outcomes: &[Outcome], args: &DoctorArgs, app: &App) {
    app.terminal.note(&report::summary(outcomes));
    let fixable = outcomes.iter().flat_map(|outcome| &outcome.findings);
    let fixable = fixable.filter(|finding| !finding.edits.is_empty()).count();
    if args.fix && fixable == 0 {
        app.terminal
            .note("nothing of it can be cured without somebody's judgement: there is no change to print");
    } else if !args.fix && fixable > 0 && app.terminal.verbosity > Verbosity::Quiet {
        let these = if fixable == 1 { "one of them".to_owned() } else { format!("{fixable} of them") };
        let hint = format!(
            "`ssoinv doctor --fix --offline` prints a change that cures {these}; `| patch -d / -p1` behind it applies it"
        );
        terminal::say(&app.terminal.hint(&hint));
    }
}
