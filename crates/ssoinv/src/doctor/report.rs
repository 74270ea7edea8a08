//! Shows the results of the steps: as a checklist, or as a table for scripts.

use std::borrow::Cow;
use std::fmt::Write as _;

use console::Style;
use ssoinv_core::table::{Column, RowEncoder};
use ssoinv_output::sanitize::sanitize;

use super::diagnosis::{Diagnosis, FilePosition, Severity};
use super::step::{SkippedCheck, StepResult, StepStatus};
use crate::app::App;
use crate::terminal::Stream;

/// The largest number of subjects named for one reason.
const MOST_SUBJECTS: usize = 3;

/// Returns the checklist: a line per step, with its diagnoses below.
pub(crate) fn checklist(results: &[StepResult], stream: Stream, app: &App) -> String {
    let mut text = String::new();
    for result in results {
        let (word, style) = word_of(result.status());
        let word = app.terminal.styled(stream, style, &format!("{word:<8}"));
        let (name, title) = (result.step.name(), result.step.title());
        let _infallible = writeln!(text, "{word}  {name:<12}  {title}");
        for diagnosis in &result.diagnoses {
            add(&mut text, diagnosis, stream, app);
        }
        for skipped in &result.skipped {
            let label = app.terminal.styled(stream, Style::new().bold(), "not done:");
            let _infallible = writeln!(text, "          {label} {}", sanitize(&describe(skipped)));
        }
    }
    text
}

fn add(text: &mut String, diagnosis: &Diagnosis, stream: Stream, app: &App) {
    let label = match diagnosis.severity {
        Severity::Error => ("error:", Style::new().red().bold()),
        Severity::Warning => ("warning:", Style::new().yellow().bold()),
        Severity::Info => ("info:", Style::new().bold()),
    };
    let label = app.terminal.styled(stream, label.1, label.0);
    let mut line = |text_of: &str| {
        let _infallible = writeln!(text, "          {text_of}");
    };
    line(&format!("{label} {}", sanitize(&diagnosis.message)));
    let places: Vec<(String, &str)> = if diagnosis.shown.is_empty() {
        diagnosis.at.iter().map(|at| (place(at, app), "")).collect()
    } else {
        let at = |shown: &ssoinv_profile::Excerpt| {
            place(
                &FilePosition { file: shown.location.file.to_path_buf(), line: Some(shown.location.line) },
                app,
            )
        };
        diagnosis.shown.iter().map(|shown| (at(shown), shown.text.as_str())).collect()
    };
    for (place, shown) in places {
        line(format!("  {}  {}", sanitize(&place), sanitize(shown)).trim_end());
    }
    let label = app.terminal.styled(stream, Style::new().cyan().bold(), "hint:");
    line(&format!("  {label} {}", sanitize(&diagnosis.hint)));
}

fn word_of(standing: StepStatus) -> (&'static str, Style) {
    match standing {
        StepStatus::Ok => ("ok", Style::new().green()),
        StepStatus::Warning => ("warning", Style::new().yellow().bold()),
        StepStatus::Error => ("error", Style::new().red().bold()),
        StepStatus::NotDone => ("not done", Style::new().bold()),
        StepStatus::NotApplicable => ("-", Style::new().dim()),
    }
}

/// Returns a file position: `~/.aws/config:12`.
fn place(at: &FilePosition, app: &App) -> String {
    let file = app.shown(&at.file.to_string_lossy());
    match at.line {
        Some(line) => format!("{file}:{line}"),
        None => file,
    }
}

/// Describes skipped checks: the reason, and their subjects.
fn describe(skipped: &SkippedCheck) -> String {
    let named =
        skipped.subjects.iter().take(MOST_SUBJECTS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match skipped.subjects.len() {
        0 => skipped.reason.clone(),
        number if number > MOST_SUBJECTS => {
            format!("{} ({named} and {} more)", skipped.reason, number - MOST_SUBJECTS)
        }
        _ => format!("{} ({named})", skipped.reason),
    }
}

/// Returns the last line: numbers of errors, warnings and skipped steps.
pub(crate) fn summary(results: &[StepResult]) -> String {
    let number = |severity| {
        results.iter().flat_map(|result| &result.diagnoses).filter(|found| found.severity == severity).count()
    };
    let counted = |number: usize, noun: &str| match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    };
    let skipped = results.iter().filter(|result| !result.skipped.is_empty()).count();
    let skipped = match skipped {
        0 => String::new(),
        1 => "; 1 step could not be done, or not in full".to_owned(),
        number => format!("; {number} steps could not be done, or not in full"),
    };
    format!(
        "{}, {}{skipped}",
        counted(number(Severity::Error), "error"),
        counted(number(Severity::Warning), "warning")
    )
}

/// A row for scripts: a diagnosis, a skipped check, or the status of a step without either.
#[derive(Debug)]
pub(crate) struct ReportRow<'a> {
    step: &'static str,
    status: &'static str,
    diagnosis: Option<&'a Diagnosis>,
    skipped: Option<String>,
}

/// Returns a row per diagnosis and per reason for skipped checks, and one per step without either.
pub(crate) fn rows(results: &[StepResult]) -> Vec<ReportRow<'_>> {
    let mut rows = Vec::new();
    for result in results {
        let step = result.step.name();
        let row = |status, diagnosis, skipped| ReportRow { step, status, diagnosis, skipped };
        rows.extend(result.diagnoses.iter().map(|diagnosis| row("finding", Some(diagnosis), None)));
        rows.extend(result.skipped.iter().map(|skipped| row("not_done", None, Some(describe(skipped)))));
        match result.status() {
            _ if !result.diagnoses.is_empty() || !result.skipped.is_empty() => {}
            StepStatus::NotApplicable => rows.push(row("not_applicable", None, None)),
            _ => rows.push(row("ok", None, None)),
        }
    }
    rows
}

/// Returns the columns. Scripts read them: only append.
pub(crate) fn table<'a>() -> RowEncoder<ReportRow<'a>> {
    fn text<'r>(
        row: &'r ReportRow<'_>,
        of: impl Fn(&'r Diagnosis) -> Option<&'r str>,
    ) -> Option<Cow<'r, str>> {
        row.diagnosis.and_then(of).map(Cow::from)
    }
    RowEncoder::plain(
        "doctor",
        "What is wrong, step by step",
        vec![
            Column::text("step", "The step", |row: &ReportRow<'_>, _| Some(Cow::from(row.step))),
            Column::text(
                "status",
                "finding, ok, not_done, or not_applicable where there is nothing to look at",
                |row, _| Some(Cow::from(row.status)),
            ),
            Column::text("severity", "error, warning or info", |row, _| {
                text(row, |diagnosis| Some(diagnosis.severity.as_str()))
            }),
            Column::text("code", "What kind of diagnosis it is", |row, _| {
                text(row, |diagnosis| Some(&diagnosis.code))
            }),
            Column::text("message", "What is wrong, or why it could not be looked at", |row, _| {
                text(row, |diagnosis| Some(&diagnosis.message))
                    .or_else(|| row.skipped.as_deref().map(Cow::from))
            }),
            Column::text("file", "The file to look at", |row, _| {
                row.diagnosis.and_then(|diagnosis| Some(diagnosis.at.as_ref()?.file.to_string_lossy()))
            }),
            Column::integer("line", "The line in it, from 1", |row| {
                row.diagnosis.and_then(|diagnosis| i64::try_from(diagnosis.at.as_ref()?.line?).ok())
            }),
            Column::text("hint", "What to do about it", |row, _| {
                text(row, |diagnosis| Some(&diagnosis.hint))
            }),
            Column::json("profiles", "The profiles that it concerns", |row, _, json| {
                json.texts(row.diagnosis.map(|diagnosis| diagnosis.profiles.as_slice()).unwrap_or_default());
            }),
            Column::text("sso_session", "The sso-session or start URL that it concerns", |row, _| {
                text(row, |diagnosis| diagnosis.session.as_deref())
            }),
            Column::boolean("fixable", "Whether `ssoinv doctor --fix` has a change that cures it", |row| {
                row.diagnosis.map(|diagnosis| !diagnosis.edits.is_empty())
            }),
        ],
    )
}
