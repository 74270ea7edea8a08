//! Warnings before and after a run that don't follow from the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use ssoinv_core::coverage::Ledger;
use ssoinv_core::event::Notice;
use ssoinv_core::failure::Failure;
use ssoinv_core::status::Status;
use ssoinv_core::text::count;
use ssoinv_profile::{
    AmbientSource, ChainBase, CredentialSource, EndpointOrigin, Problem, ProblemKind, ProblemSeverity,
    Profile, Profiles,
};
use ssoinv_sso::foreign_endpoints;

use crate::app::App;
use crate::command_error::CommandError;
use crate::display::RunOutcome;
use crate::expectations::deviations::Deviations;
use crate::expectations::{Expectations, Gap};
use crate::settings::{CollectSettings, RegionSource};
use crate::terminal::Verbosity;
use crate::text::{account_label, few, region_hint};

/// The error of a profile that was named alone and can't be used.
pub(crate) fn broken_profile(problem: &Problem, app: &App) -> CommandError {
    let mut details: Vec<String> = problem
        .shown
        .iter()
        .map(|shown| {
            let place =
                format!("{}:{}", app.shown(&shown.location.file.to_string_lossy()), shown.location.line);
            format!("{place}  {}", shown.text)
        })
        .collect();
    if details.is_empty() {
        let location = &problem.location;
        details.push(format!("{}:{}", app.shown(&location.file.to_string_lossy()), location.line));
    }
    CommandError::usage(problem.message.clone()).with_details(details).with_hint(problem.hint.clone())
}

/// The error of a profile that was named alone and has no credentials.
pub(crate) fn no_credentials(profile: &Profile, app: &App) -> CommandError {
    let place = format!("{}:{}", app.shown(&profile.source.file.to_string_lossy()), profile.source.line);
    CommandError::usage(format!("profile `{}` has no credentials", profile.name))
        .with_details(vec![place])
        .with_hint("name another with `--profile NAME`; `ssoinv profiles` shows what kind each is")
}

/// Warns about variables that look like settings. They may belong to another version, so they are no error.
pub(crate) fn unknown_variables(app: &App) {
    for unknown in &app.layers.unknown_variables {
        let message = format!("`{}` is no variable of ssoinv's: ignored", unknown.name);
        let hint = match &unknown.nearest {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`ssoinv settings` shows what can be set".to_owned(),
        };
        app.terminal.print_warning(&message, Some(&hint));
    }
}

/// Warns about the selected profiles and the environment, once per kind.
pub(crate) fn before_the_run(
    profiles: &Profiles,
    chosen: &[Arc<Profile>],
    settings: &CollectSettings,
    app: &App,
) {
    let mut kinds: Vec<(ProblemKind, Vec<&Problem>)> = Vec::new();
    let of_profiles = chosen.iter().flat_map(|profile| &profile.problems);
    let all = profiles.file_problems().iter().chain(of_profiles);
    // Errors become cells of the ledger; the summary reports them.
    for problem in all.filter(|problem| problem.severity == ProblemSeverity::Warning && !problem.blocks) {
        match kinds.iter_mut().find(|(kind, _)| *kind == problem.kind) {
            // A problem of an sso-session appears in each of its profiles.
            Some((_, problems)) if problems.iter().any(|known| known.location == problem.location) => {}
            Some((_, problems)) => problems.push(problem),
            None => kinds.push((problem.kind, vec![problem])),
        }
    }
    for (_, problems) in kinds {
        let told = if app.terminal.verbosity >= Verbosity::Verbose { problems.len() } else { 1 };
        for problem in &problems[..told] {
            let place =
                format!("{}:{}", app.shown(&problem.location.file.to_string_lossy()), problem.location.line);
            let mut message = format!("{place}: {}", problem.message);
            if problems.len() > told {
                message += &format!(" (and {} more like it: `ssoinv profiles`)", problems.len() - told);
            }
            app.terminal.print_warning(&message, Some(&problem.hint));
        }
    }
    let uses_keys = |profile: &Arc<Profile>| match profile.credentials.chain().1 {
        ChainBase::Machine(machine) => machine == AmbientSource::Environment,
        ChainBase::Credentials(source) => *source == CredentialSource::Machine(AmbientSource::Environment),
    };
    let ignored: Vec<&str> = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
        .into_iter()
        .filter(|name| app.environment.get(name).is_some())
        .collect();
    if !ignored.is_empty() && !chosen.iter().any(uses_keys) {
        let names = ignored.join("`, `");
        let message = format!("`{names}` of the environment: ignored, since profiles are used");
        app.terminal.print_warning(&message, Some("unset them to be rid of this warning"));
    }
    if let RegionSource::Named { regions, .. } = &settings.regions {
        for hint in regions.plain().filter_map(region_hint) {
            // It may be a new region, so calls are made all the same.
            app.terminal.print_warning(&hint, None);
        }
    }
    match settings.expect.inactive() {
        0 => {}
        number => {
            let accounts = count(number, "account");
            app.terminal.note(&format!("left out {accounts} not active, of those that `--expect` lists"));
        }
    }
    if settings.include_secrets {
        let message = "`--include-secrets`: the output holds the values of environment variables";
        app.terminal.print_warning(message, Some("keep the output as you keep passwords"));
    }
}

/// Warns about notices of the run that no cell has.
pub(crate) fn after_the_run(outcome: &RunOutcome, ledger: &Ledger, app: &App) {
    let signed_out = ledger.cells.iter().any(|cell| cell.status == Status::SignInExpired);
    // Without a sign-in the cells already say why there are no names.
    let told = |notice: &&Notice| !(signed_out && matches!(notice, Notice::AccountNamesUnavailable { .. }));
    notices(outcome.notices.iter().filter(told), app);
}

/// Prints one warning per kind of notice.
pub(crate) fn notices<'a>(notices: impl IntoIterator<Item = &'a Notice>, app: &App) {
    let mut unknown: BTreeMap<&str, (Option<&str>, &Failure)> = BTreeMap::new();
    for notice in notices {
        let (message, hint) = match notice {
            Notice::AccountNamesUnavailable { session, failure } => {
                (format!("the accounts of `{session}` have no names here: {}", failure.message), None)
            }
            Notice::TokenNotStored { session, reason } => (
                format!("the sign-in to `{session}` was not kept for the next command: {reason}"),
                Some("make `~/.aws/sso/cache` a folder that you can write to"),
            ),
            Notice::CredentialsNotStored { reason } => (
                format!("role credentials were not kept for the next command: {reason}"),
                Some(
                    "make `~/.aws/cli/cache` a folder that you can write to, or say `--no-credential-cache`",
                ),
            ),
            Notice::ForeignToken { session, reason } => {
                (format!("a cached token for `{session}` was not used: {reason}"), None)
            }
            Notice::EnabledRegionsUnknown { account, name, failure } => {
                unknown.entry(account).or_insert((name.as_deref(), failure));
                continue;
            }
        };
        app.terminal.print_warning(&message, hint);
    }
    if let Some((_, failure)) = unknown.values().next() {
        let labels: Vec<String> = unknown.iter().map(|(id, (name, _))| account_label(id, *name)).collect();
        let (number, told) = (count(labels.len(), "account"), few(&labels, &app.terminal));
        let code = failure.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
        let message = format!(
            "which regions are enabled could not be asked in {number}: {told}: {}{code}",
            failure.message
        );
        let hint = "allow `ec2:DescribeRegions`; where it is denied, every region that may be meant is asked, enabled or not";
        app.terminal.print_warning(&message, Some(hint));
    }
}

/// Warns about deviations from the expectations; with `-v`, lists the gaps that hold.
pub(crate) fn of_expectations(deviations: &Deviations<'_>, expect: &Expectations, app: &App) {
    let terminal = &app.terminal;
    let warn = |gaps: &[&Gap], one: &str, more: &str, hint: String| {
        let places: Vec<String> = gaps.iter().map(|gap| describe_gap(gap)).collect();
        let what = match gaps.len() {
            0 => return,
            1 => format!("1 expected gap {one}"),
            number => format!("{number} expected gaps {more}"),
        };
        terminal.print_warning(&format!("{what}: {}", few(&places, terminal)), Some(&hint));
    };
    if !deviations.new.is_empty() {
        let names: Vec<String> = deviations
            .new
            .iter()
            .map(|account| account_label(account.id.as_str(), account.name.as_deref()))
            .collect();
        let number = count(names.len(), "account");
        let (verb, it) = if names.len() == 1 { ("is", "it") } else { ("are", "them") };
        let message = format!(
            "{number} {verb} new: {}; `{}` lacks {it}",
            few(&names, terminal),
            expect.files().join("`, `")
        );
        let hint = if names.len() == 1 { "write it down there" } else { "write them down there" };
        terminal.print_warning(&message, Some(hint));
    }
    let over = "look whether it is still right, and give it another `until` or take it out";
    warn(&deviations.over, "has ended", "have ended", over.to_owned());
    let readable = "take it out, so that a gap there is told again";
    warn(&deviations.readable, "turned out readable", "turned out readable", readable.to_owned());
    let nearest = deviations.nowhere.iter().find_map(|gap| gap.region().and_then(region_hint));
    let nowhere =
        nearest.unwrap_or_else(|| "see that account and region are right, or take it out".to_owned());
    warn(&deviations.nowhere, "means nothing that was asked", "mean nothing that was asked", nowhere);
    if terminal.verbosity >= Verbosity::Verbose {
        for (gap, missing) in &deviations.held {
            terminal.note(&format!("expected gap: {}: {}", describe_gap(gap), count(*missing, "task")));
        }
    }
}

/// Describes a gap: `` `expect.csv:3` (until 2027-03-31: being closed) ``.
fn describe_gap(gap: &Gap) -> String {
    format!("`{}` (until {}: {})", gap.at, gap.until, gap.reason)
}

/// Warns about SSO endpoints that aren't AWS's, once each.
pub(crate) fn foreign_endpoints(profiles: &[Arc<Profile>], app: &App) {
    if app.demo {
        return;
    }
    let mut told: Vec<String> = Vec::new();
    let profiles = profiles.iter().map(|profile| &**profile);
    for endpoint in foreign_endpoints::foreign_endpoints(profiles, &app.environment.vars) {
        if told.contains(&endpoint.url) {
            continue;
        }
        let origin = match &endpoint.origin {
            EndpointOrigin::Variable(name) => format!("`{name}`"),
            EndpointOrigin::File(location) => {
                format!("{}:{}", app.shown(&location.file.to_string_lossy()), location.line)
            }
        };
        let message = format!("sign-ins and tokens go to `{}`, which is not AWS's ({origin})", endpoint.url);
        let hint = "if you didn't set this, stop here: whoever runs that endpoint gets your token";
        app.terminal.print_warning(&message, Some(hint));
        told.push(endpoint.url);
    }
}
