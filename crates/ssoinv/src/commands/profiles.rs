//! `ssoinv profiles`: lists every profile and its problems. Reads files only.

use std::borrow::Cow;

use clap::Args;
use ssoinv_core::json::{Json, Object};
use ssoinv_core::table::{Column, RowEncoder};
use ssoinv_output::Format;
use ssoinv_profile::{ProblemReport, ProblemSeverity, ProfileReport};

use crate::app::App;
use crate::cli::OutputArgs;
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::output;
use crate::selection;
use crate::settings::OutputSettings;
use crate::terminal::Verbosity;

#[derive(Debug, Args)]
pub(crate) struct ProfilesArgs {
    /// The profiles to show: names or globs [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn run(args: &ProfilesArgs, app: &App) -> Result<CommandOutcome, CommandError> {
    let settings = OutputSettings::new(&args.output, &app.layers)?;
    let profiles = app.load_profiles()?;
    let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    let chosen = if args.names.is_empty() {
        (0..names.len()).collect()
    } else {
        selection::several(&args.names, None, &names, &app.searched(&profiles))?.profiles
    };
    let reports: Vec<ProfileReport> = profiles
        .iter()
        .map(ProfileReport::from)
        .enumerate()
        .filter(|(index, _)| chosen.contains(index))
        .map(|(_, report)| report)
        .collect();
    // The default table has one line per profile; problems follow on stderr.
    let short = settings.format == Format::Table && !settings.wide && settings.columns.is_empty();
    let table = if short { view() } else { report() };
    let outcome = output::write_all(&table, &reports, &settings, app)?;
    if names.is_empty() && app.terminal.verbosity != Verbosity::Quiet {
        let message = format!("there is no profile in {}", app.searched(&profiles).join(" or "));
        app.terminal.print_warning(&message, Some(selection::FIRST_PROFILE));
    }
    // A problem of an sso-session appears in each of its profiles, and is printed once.
    let mut told: Vec<ProblemReport> = Vec::new();
    let of_profiles = reports.iter().filter(|_| settings.format == Format::Table);
    let of_profiles = of_profiles.flat_map(|report| report.problems.iter().cloned());
    for problem in of_profiles.chain(profiles.file_problems().iter().map(ProblemReport::from)) {
        if !told.contains(&problem) {
            print(&problem, app);
            told.push(problem);
        }
    }
    Ok(outcome)
}

/// Prints a problem with its place in the files.
fn print(problem: &ProblemReport, app: &App) {
    let place = format!("{}:{}", app.shown(&problem.file), problem.line);
    let message = format!("{place}: {}", problem.message);
    match problem.severity {
        ProblemSeverity::Error => app.terminal.print_error_line(&message, &problem.hint),
        ProblemSeverity::Warning => app.terminal.print_warning(&message, Some(&problem.hint)),
    }
}

fn text(value: Option<&String>) -> Option<Cow<'_, str>> {
    value.map(Cow::from)
}

/// All columns, for scripts.
fn report() -> RowEncoder<ProfileReport> {
    RowEncoder::plain(
        "profiles",
        "The profiles",
        vec![
            Column::text("name", "The name", |profile: &ProfileReport, _| text(Some(&profile.name))),
            Column::text("kind", "The kind", |profile, _| Some(Cow::from(profile.kind.as_str()))),
            Column::json("source", "Where it starts", |profile, _, json| {
                json.object(|object| {
                    object.text("file", Some(&profile.source.file));
                    line(object, profile.source.line);
                });
            }),
            Column::text("account_id", "The account, where the files tell", |profile, _| {
                text(profile.account_id.as_ref())
            }),
            Column::text("role_name", "The role", |profile, _| text(profile.role_name.as_ref())),
            Column::text("sso_session", "The sso-session", |profile, _| text(profile.sso_session.as_ref())),
            Column::text("sso_region", "The region of the Identity Center", |profile, _| {
                text(profile.sso_region.as_ref())
            }),
            Column::text("region", "The region to work in", |profile, _| text(profile.region.as_ref())),
            Column::json("settings", "All keys and values, secrets as ***", |profile, _, json| {
                json.map(&profile.settings);
            }),
            Column::json("problems", "What is wrong with it", |profile, _, json| {
                json.array(&profile.problems, problem);
            }),
        ],
    )
}

fn problem(json: Json<'_>, problem: &ProblemReport) {
    json.object(|object| {
        object.text("file", Some(&problem.file));
        object.text("hint", Some(&problem.hint));
        line(object, problem.line);
        object.text("message", Some(&problem.message));
        object.text("severity", Some(severity(problem.severity)));
    });
}

fn line(object: &mut Object<'_>, line: usize) {
    object.integer("line", i64::try_from(line).ok());
}

fn severity(severity: ProblemSeverity) -> &'static str {
    match severity {
        ProblemSeverity::Error => "error",
        ProblemSeverity::Warning => "warning",
    }
}

/// The columns of the default table.
fn view() -> RowEncoder<ProfileReport> {
    RowEncoder::plain(
        "profiles",
        "The profiles",
        vec![
            Column::text("name", "The name", |profile: &ProfileReport, _| text(Some(&profile.name))),
            Column::text("kind", "The kind", |profile, _| Some(Cow::from(profile.kind.as_str()))),
            Column::text("account_id", "The account, where the files tell", |profile, _| {
                text(profile.account_id.as_ref())
            }),
            Column::text("role_name", "The role", |profile, _| text(profile.role_name.as_ref())),
            Column::text("sso_session", "The sso-session", |profile, _| text(profile.sso_session.as_ref())),
            Column::text("region", "The region to work in", |profile, _| text(profile.region.as_ref())),
            Column::text("problems", "How much is wrong with it", |profile, _| {
                let count =
                    |wanted| profile.problems.iter().filter(|problem| problem.severity == wanted).count();
                let told = |number: usize, word: &str| match number {
                    0 => None,
                    1 => Some(format!("1 {word}")),
                    more => Some(format!("{more} {word}s")),
                };
                let parts = [
                    told(count(ProblemSeverity::Error), "error"),
                    told(count(ProblemSeverity::Warning), "warning"),
                ];
                let told = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
                (!told.is_empty()).then_some(Cow::from(told))
            }),
        ],
    )
}
