//! Shows what the steps came to: a checklist for people, a table for scripts.

use std::borrow::Cow;
use std::fmt::Write as _;

use console::Style;
use ssoinv_core::table::{Column, Table};
use ssoinv_output::sanitize::sanitize;

use super::outcome::{At, Finding, Outcome, Severity, Standing, Undone};
use crate::app::App;
use crate::terminal::Stream;

/// How many subjects of a reason are named.
const MOST_SUBJECTS: usize = 3;

/// The checklist: a line for each step, what was found below it.
pub(crate) fn checklist(outcomes: &[Outcome], stream: Stream, app: &App) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let (word, style) = word_of(outcome.standing());
        let word = app.terminal.styled(stream, style, &format!("{word:<8}"));
        let (name, title) = (outcome.step.name(), outcome.step.title());
        let _infallible = writeln!(text, "{word}  {name:<12}  {title}");
        for finding in &outcome.findings {
            add(&mut text, finding, stream, app);
        }
        for undone in &outcome.undone {
            let label = app.terminal.styled(stream, Style::new().bold(), "not done:");
            let _infallible = writeln!(text, "          {label} {}", sanitize(&in_words(undone)));
        }
    }
    text
}

fn add(text: &mut String, finding: &Finding, stream: Stream, app: &App) {
    let label = match finding.severity {
        Severity::Error => ("error:", Style::new().red().bold()),
        Severity::Warning => ("warning:", Style::new().yellow().bold()),
        Severity::Info => ("info:", Style::new().bold()),
    };
    let label = app.terminal.styled(stream, label.1, label.0);
    let mut line = |text_of: &str| {
        let _infallible = writeln!(text, "          {text_of}");
    };
    line(&format!("{label} {}", sanitize(&finding.message)));
    let places: Vec<(String, &str)> = if finding.shown.is_empty() {
        finding.at.iter().map(|at| (place(at, app), "")).collect()
    } else {
        let at = |shown: &ssoinv_profile::Shown| {
            place(&At { file: shown.location.file.to_path_buf(), line: Some(shown.location.line) }, app)
        };
        finding.shown.iter().map(|shown| (at(shown), shown.text.as_str())).collect()
    };
    for (place, shown) in places {
        line(format!("  {}  {}", sanitize(&place), sanitize(shown)).trim_end());
    }
    let label = app.terminal.styled(stream, Style::new().cyan().bold(), "hint:");
    line(&format!("  {label} {}", sanitize(&finding.hint)));
}

fn word_of(standing: Standing) -> (&'static str, Style) {
    match standing {
        Standing::Ok => ("ok", Style::new().green()),
        Standing::Warning => ("warning", Style::new().yellow().bold()),
        Standing::Error => ("error", Style::new().red().bold()),
        Standing::NotDone => ("not done", Style::new().bold()),
        Standing::NotApplicable => ("-", Style::new().dim()),
    }
}

/// A place as people know it: `~/.aws/config:12`.
fn place(at: &At, app: &App) -> String {
    let file = app.shown(&at.file.to_string_lossy());
    match at.line {
        Some(line) => format!("{file}:{line}"),
        None => file,
    }
}

/// The reason, and what could not be looked at because of it.
fn in_words(undone: &Undone) -> String {
    let named = undone.subjects.iter().take(MOST_SUBJECTS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match undone.subjects.len() {
        0 => undone.reason.clone(),
        number if number > MOST_SUBJECTS => {
            format!("{} ({named} and {} more)", undone.reason, number - MOST_SUBJECTS)
        }
        _ => format!("{} ({named})", undone.reason),
    }
}

/// The last line: how much was found, and how much was not looked at.
pub(crate) fn summary(outcomes: &[Outcome]) -> String {
    let number = |severity| {
        outcomes
            .iter()
            .flat_map(|outcome| &outcome.findings)
            .filter(|found| found.severity == severity)
            .count()
    };
    let counted = |number: usize, noun: &str| match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    };
    let undone = outcomes.iter().filter(|outcome| !outcome.undone.is_empty()).count();
    let undone = match undone {
        0 => String::new(),
        1 => "; 1 step could not be done, or not in full".to_owned(),
        number => format!("; {number} steps could not be done, or not in full"),
    };
    format!(
        "{}, {}{undone}",
        counted(number(Severity::Error), "error"),
        counted(number(Severity::Warning), "warning")
    )
}

/// A row for scripts: a finding, or how a step without findings stands.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    step: &'static str,
    status: &'static str,
    finding: Option<&'a Finding>,
    undone: Option<String>,
}

/// A row for each finding and each reason why something was not done; one row for each step without any.
pub(crate) fn rows(outcomes: &[Outcome]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for outcome in outcomes {
        let step = outcome.step.name();
        let row = |status, finding, undone| Row { step, status, finding, undone };
        rows.extend(outcome.findings.iter().map(|finding| row("finding", Some(finding), None)));
        rows.extend(outcome.undone.iter().map(|undone| row("not_done", None, Some(in_words(undone)))));
        match outcome.standing() {
            _ if !outcome.findings.is_empty() || !outcome.undone.is_empty() => {}
            Standing::NotApplicable => rows.push(row("not_applicable", None, None)),
            _ => rows.push(row("ok", None, None)),
        }
    }
    rows
}

/// The columns are what users' scripts read: only append.
pub(crate) fn table<'a>() -> Table<Row<'a>> {
    fn text<'r>(row: &'r Row<'_>, of: impl Fn(&'r Finding) -> Option<&'r str>) -> Option<Cow<'r, str>> {
        row.finding.and_then(of).map(Cow::from)
    }
    Table::plain(
        "doctor",
        "What is wrong, step by step",
        vec![
            Column::text("step", "The step", |row: &Row<'_>, _| Some(Cow::from(row.step))),
            Column::text(
                "status",
                "finding, ok, not_done, or not_applicable where there is nothing to look at",
                |row, _| Some(Cow::from(row.status)),
            ),
            Column::text("severity", "error, warning or info", |row, _| {
                text(row, |finding| Some(finding.severity.as_str()))
            }),
            Column::text("code", "What kind of finding it is", |row, _| {
                text(row, |finding| Some(&finding.code))
            }),
            Column::text("message", "What is wrong, or why it could not be looked at", |row, _| {
                text(row, |finding| Some(&finding.message)).or_else(|| row.undone.as_deref().map(Cow::from))
            }),
            Column::text("file", "The file to look at", |row, _| {
                row.finding.and_then(|finding| Some(finding.at.as_ref()?.file.to_string_lossy()))
            }),
            Column::integer("line", "The line in it, from 1", |row| {
                row.finding.and_then(|finding| i64::try_from(finding.at.as_ref()?.line?).ok())
            }),
            Column::text("hint", "What to do about it", |row, _| text(row, |finding| Some(&finding.hint))),
            Column::json("profiles", "The profiles that it concerns", |row, _, json| {
                json.texts(row.finding.map(|finding| finding.profiles.as_slice()).unwrap_or_default());
            }),
            Column::text("sso_session", "The sso-session or start URL that it concerns", |row, _| {
                text(row, |finding| finding.session.as_deref())
            }),
            Column::boolean("fixable", "Whether `ssoinv doctor --fix` has a change that cures it", |row| {
                row.finding.map(|finding| !finding.edits.is_empty())
            }),
        ],
    )
}
