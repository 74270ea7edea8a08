//! `ssoinv plan` and `--dry-run`: the calls of a run by account, role and region, with reasons and an estimate of the time.
//!
//! Reads files and the portal only. What they don't tell becomes a range.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use futures::{StreamExt, stream};
use ssoinv_core::event::Notice;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::{Partition, partition_of_region};
use ssoinv_core::table::{Column, RowEncoder};
use ssoinv_core::text::{count, thousands};
use ssoinv_profile::Profile;
use ssoinv_run::account_scan::AccountScan;
use ssoinv_run::accounts::{self, Identify};
use ssoinv_run::engine::Engine;
use ssoinv_run::estimate::{self, Effort, Estimate, Line, Outlook, Part, Span, Why};
use ssoinv_run::plan::{self, PlannedTable};
use ssoinv_run::run_options::RunTable;
use ssoinv_run::stop::Stop;
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::portal::PAGE_SIZE;
use ssoinv_tables::registry;

use crate::account_list::{AccountList, ExcludedAccount};
use crate::app::{self, App};
use crate::browser::Browser;
use crate::cli::{
    CollectArgs, CollectOutputArgs, CredentialArgs, KeepArgs, OutputArgs, RunArgs, SelectionArgs, SignInArgs,
};
use crate::command_error::CommandError;
use crate::command_outcome::CommandOutcome;
use crate::connection::Connection;
use crate::display::Display;
use crate::exit_codes::ExitCode;
use crate::identity::{self, AccountNames};
use crate::run_request::RunRequest;
use crate::sessions::KnownSession;
use crate::settings::{AssumeSettings, CollectSettings, OutputSettings};
use crate::signals::unless_stopped;
use crate::text::{account_label, few};
use crate::{discovery, output, signals, warnings};

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The tables, see `ssoinv tables`; or `buckets`, `instances`, `functions` [default: all]
    #[arg(value_name = "TABLE")]
    pub(crate) tables: Vec<String>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    sign_in: SignInArgs,
    #[command(flatten)]
    credentials: CredentialArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl PlanArgs {
    /// Returns the arguments of the planned command.
    pub(crate) fn to_collect_args(&self) -> CollectArgs {
        CollectArgs {
            selection: self.selection.clone(),
            sign_in: self.sign_in.clone(),
            credentials: self.credentials.clone(),
            output: self.output.clone(),
            collect_output: CollectOutputArgs::default(),
            run: self.run.clone(),
            keep: KeepArgs::default(),
            dry_run: true,
        }
    }
}

/// The latency of a call in the estimate: typical across an ocean.
const LATENCY: Duration = Duration::from_millis(100);

/// Accounts whose roles are listed at once. The portal's rate limit is lower.
const AT_ONCE: usize = 16;

pub(crate) fn run(args: &PlanArgs, app: &App) -> Result<CommandOutcome, CommandError> {
    let mut tables: Vec<&str> = args.tables.iter().map(String::as_str).collect();
    if tables.is_empty() {
        tables = registry::tables().iter().map(|table| &*table.schema().name).collect();
    }
    let request = RunRequest::new(&tables, &args.to_collect_args(), app)?;
    show(&request, &request.settings.output, app)
}

/// Shows the plan of a command with `--dry-run`.
///
/// Output flags of the command are about its rows, so the plan goes to stdout and no file is written.
pub(super) fn dry_run(
    tables: &[&str],
    args: &CollectArgs,
    app: &App,
) -> Result<CommandOutcome, CommandError> {
    let request = RunRequest::new(tables, args, app)?;
    let of_plan = OutputArgs { out: None, columns: Vec::new(), spreadsheet: false, ..args.output.clone() };
    let output = OutputSettings::new(&of_plan, &app.layers)?;
    show(&request, &output, app)
}

fn show(request: &RunRequest, output: &OutputSettings, app: &App) -> Result<CommandOutcome, CommandError> {
    let tables: Vec<PlannedTable> = request.run_tables(&[]).iter().map(RunTable::planned).collect();
    let runtime = app::runtime()?;
    let asked = runtime.block_on(ask(request, app));
    // Abandoned calls aren't waited for.
    runtime.shutdown_background();
    let PlanFacts { outlooks, excluded_accounts, list_calls, signed_out } = asked?;
    let estimate = estimate::estimate(&tables, &outlooks);
    let lines = estimate.lines.iter().map(|line| PlanRow::of(line, &request.settings));
    let rows: Vec<PlanRow> = lines.chain(excluded_accounts.iter().map(PlanRow::excluded_accounts)).collect();
    let mut outcome = output::write_all(&table(), &rows, output, app)?;
    let all = estimate.accounts_in_all + excluded_accounts.len();
    app.terminal.note(&summary_line(&estimate, all, list_calls, &request.settings));
    if estimate.tasks.max == 0 {
        outcome.add(ExitCode::NothingCollected);
    }
    if signed_out {
        outcome.add(ExitCode::SignInNeeded);
    }
    outcome.add(tell_failures(&outlooks, app));
    Ok(outcome)
}

/// The facts that the plan is made from.
struct PlanFacts {
    outlooks: Vec<Outlook>,
    excluded_accounts: Vec<ExcludedAccount>,
    /// Number of calls that list the accounts of sign-ins.
    list_calls: u64,
    /// True if a sign-in is missing.
    signed_out: bool,
}

async fn ask(request: &RunRequest, app: &App) -> Result<PlanFacts, CommandError> {
    let settings = &request.settings;
    let stop = Stop::default();
    signals::watch(stop.clone());
    let browser = if app.demo { Browser::None } else { settings.sign_in.browser };
    let display = Display::start(app.terminal.clone(), app.clock.clone(), browser, app.demo);
    let policy = settings.sign_in.policy(&app.terminal, app.demo);
    let asked = match Connection::open(&settings.connection, policy, &request.profiles, app, display.events())
    {
        Ok(connection) => unless_stopped(&stop, find_out(request, &connection.engine, &stop, app)).await,
        Err(error) => Err(error),
    };
    let outcome = display.end();
    // Without a sign-in there are no names either.
    let signed_out = !outcome.gave_up.is_empty();
    let told = |notice: &&Notice| !(signed_out && matches!(notice, Notice::AccountNamesUnavailable { .. }));
    warnings::notices(outcome.notices.iter().filter(told), app);
    let asked = asked?;
    for (session, why) in &outcome.gave_up {
        let hint = format!("run `ssoinv login {}`", login_argument(session, &request.profiles));
        app.terminal.print_warning(&format!("{why}; a run would need it"), Some(&hint));
    }
    Ok(PlanFacts { signed_out, ..asked })
}

/// Returns the arguments of `ssoinv login` for the sign-in of one of the profiles.
fn login_argument(label: &str, profiles: &[Arc<Profile>]) -> String {
    let of = |profile: &Arc<Profile>| {
        let sso = profile.credentials.session().filter(|session| session.cache_key() == label)?;
        Some(KnownSession { sso: Arc::clone(sso), profile: Some(Arc::clone(profile)) }.as_argument())
    };
    profiles.iter().find_map(of).unwrap_or_default()
}

async fn find_out(
    request: &RunRequest,
    engine: &Engine,
    stop: &Stop,
    app: &App,
) -> Result<PlanFacts, CommandError> {
    let (settings, credentials) = (&request.settings, engine.credentials());
    let (scans, excluded_accounts, list_calls) =
        if let (Some(discovery), Some(session)) = (&settings.all_accounts, &request.session) {
            let expected = settings.expect.accounts();
            let mut of = discovery::accounts(session, &discovery.of, expected, credentials, app).await?;
            let excluded_accounts = std::mem::take(&mut of.excluded_accounts);
            let pages = pages(of.accounts.len() + excluded_accounts.len());
            let regions = settings.regions.choice().of_account();
            (
                discovery::account_scans(of, session, discovery, &regions, settings.every_role),
                excluded_accounts,
                pages,
            )
        } else {
            let scans = of_profiles(request, engine, stop).await?;
            (scans, Vec::new(), list_calls(&request.profiles, credentials).await)
        };
    let outlooks = stream::iter(&scans)
        .map(|scan| estimate::outlook(scan, credentials, |_| ()))
        .buffered(AT_ONCE)
        .collect()
        .await;
    Ok(PlanFacts { outlooks, excluded_accounts, list_calls, signed_out: false })
}

/// Returns the number of calls that list so many accounts.
fn pages(accounts: usize) -> u64 {
    accounts.div_ceil(usize::from(PAGE_SIZE)).max(1) as u64
}

/// Returns the entries of the plan for profiles, as far as the files tell.
async fn of_profiles(
    request: &RunRequest,
    engine: &Engine,
    stop: &Stop,
) -> Result<Vec<AccountScan>, CommandError> {
    let settings = &request.settings;
    let regions = settings.regions.choice();
    let (profiles, names) = match (&settings.assume, request.profiles.as_slice()) {
        (Some(assume), [base]) => assumed(base, assume)?,
        _ => (request.profiles.clone(), AccountNames::new()),
    };
    let accesses =
        accounts::resolve_profiles(&profiles, engine, &regions, &names, Identify::FromFiles, stop).await;
    let expected = settings.expect.accounts();
    let unreached = settings
        .unreached()
        .map_or_else(Vec::new, |why| discovery::unreached(expected, &accesses, &regions.of_account(), why));
    Ok(plan::account_scans(accesses, settings.every_role).into_iter().chain(unreached).collect())
}

fn assumed(
    base: &Profile,
    settings: &AssumeSettings,
) -> Result<(Vec<Arc<Profile>>, AccountNames), CommandError> {
    let AccountList::Named { accounts, .. } = &settings.accounts else {
        let message = "which accounts the organisation has, only AWS Organizations says, and a plan asks the portal alone";
        return Err(CommandError::usage(message)
            .with_hint("name them: `--account FILE`, of what `aws organizations list-accounts` prints"));
    };
    let of_role = base.role_arn.as_ref().and_then(|role| Partition::from_name(&role.partition));
    let of_region = || base.sso_region.as_deref().or(base.region.as_deref()).map(partition_of_region);
    let partition = of_role.or_else(of_region).unwrap_or_default();
    identity::assumed(base, settings, partition, accounts.clone())
}

/// Counts the calls that list the accounts of the profiles' sign-ins. The lists are cached already.
async fn list_calls(profiles: &[Arc<Profile>], credentials: &CredentialStore) -> u64 {
    let mut known = BTreeSet::new();
    let mut calls = 0;
    for profile in profiles.iter().filter(|profile| profile.blocker(false).is_none()) {
        let Some(session) = profile.credentials.session() else { continue };
        if !known.insert(session.cache_key()) {
            continue;
        }
        let listed = credentials.accounts(session, Some(profile), |_| ()).await;
        calls += pages(listed.map_or(0, |accounts| accounts.len()));
    }
    calls
}

/// Warns about accounts whose roles could not be listed.
fn tell_failures(outlooks: &[Outlook], app: &App) -> ExitCode {
    let failed: Vec<(&Outlook, &Failure)> =
        outlooks.iter().filter_map(|outlook| Some((outlook, outlook.failure.as_ref()?))).collect();
    let Some((_, first)) = failed.first() else { return ExitCode::Complete };
    let label = |(outlook, _): &(&Outlook, &Failure)| {
        let access = outlook.groups.first().and_then(|group| group.first())?;
        Some(account_label(access.account_key(), access.account_name.as_deref()))
    };
    let names: Vec<String> = failed.iter().filter_map(label).collect();
    let (hint, code) = match first.kind {
        FailureKind::SignInExpired => {
            ("sign in with `ssoinv login`, then run it again", ExitCode::SignInNeeded)
        }
        _ => ("run it again", ExitCode::Partial),
    };
    let message =
        format!("the roles could not be listed of {}: {}", few(&names, &app.terminal), first.message);
    app.terminal.print_warning(&message, Some(hint));
    code
}

/// Returns the last line: `12 tasks in 6 of 8 accounts, 21 to 30 calls, 9 of them to the portal; about 2s …`.
fn summary_line(estimate: &Estimate, all: usize, list_calls: u64, settings: &CollectSettings) -> String {
    let portal = estimate.portal_calls + Span::exactly(list_calls);
    let calls = portal + estimate.service_calls;
    let mut text = format!(
        "{} in {} of {}, {}",
        spanned(estimate.tasks, "task"),
        thousands(estimate.accounts as u64),
        count(all, "account"),
        spanned(calls, "call")
    );
    if portal.max > 0 {
        text += &format!(", {} of them to the portal", span(portal));
    }
    let connection = &settings.connection;
    let time = |portal, services| {
        let effort = Effort { portal, services, chain: estimate.chain + list_calls };
        let time = estimate::duration(
            effort,
            connection.portal_pace,
            connection.concurrency,
            LATENCY,
            Instant::now(),
        );
        humantime::format_duration(rounded(time)).to_string()
    };
    let (least, most) =
        (time(portal.min, estimate.service_calls.min), time(portal.max, estimate.service_calls.max));
    let time = if least == most { least } else { format!("{least} to {most}") };
    text += &format!("; about {time}");
    let rate = if portal.max > 0 {
        format!("at most {}/s to the portal, ", connection.portal_pace.max_rate)
    } else {
        String::new()
    };
    text += &format!(" with {rate}{} at once and {} ms a call", connection.concurrency, LATENCY.as_millis());
    let mut notes = vec!["a page of rows a task".to_owned()];
    if estimate.regions_unknown > 0 {
        notes.push(format!("enabled regions of {} not known", count(estimate.regions_unknown, "account")));
    }
    if estimate.accounts_unknown > 0 {
        notes.push(format!("account of {} not known", count(estimate.accounts_unknown, "profile")));
    }
    text + &format!(" (estimate: {})", notes.join(", "))
}

fn span(span: Span) -> String {
    if span.min == span.max {
        thousands(span.min)
    } else {
        format!("{} to {}", thousands(span.min), thousands(span.max))
    }
}

fn spanned(number: Span, noun: &str) -> String {
    let plural = if number == Span::exactly(1) { "" } else { "s" };
    format!("{} {noun}{plural}", span(number))
}

/// Rounds an estimate to seconds, from ten minutes on to minutes.
fn rounded(time: Duration) -> Duration {
    let unit = if time < Duration::from_mins(10) { 1 } else { 60 };
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    Duration::from_secs(seconds.max(1).div_ceil(unit) * unit)
}

/// A row of the plan.
struct PlanRow {
    table: Option<Arc<str>>,
    account_id: Option<String>,
    account_name: Option<Arc<str>>,
    role_name: Option<Arc<str>>,
    profile: Option<Arc<str>>,
    region: String,
    part: &'static str,
    calls: Span,
    reason: String,
}

impl PlanRow {
    fn of(line: &Line, settings: &CollectSettings) -> Self {
        let scope = &line.scope;
        Self {
            table: line.table.clone(),
            account_id: scope.account_id.map(|id| id.to_string()),
            account_name: scope.account_name.clone(),
            role_name: scope.role_name.clone(),
            profile: scope.profile.clone(),
            region: line.region.clone(),
            part: match line.part {
                Part::In => "in",
                Part::Standby => "standby",
                Part::Out => "out",
            },
            calls: line.calls,
            reason: reason(line, settings),
        }
    }

    fn excluded_accounts(ExcludedAccount { account, by }: &ExcludedAccount) -> Self {
        Self {
            table: None,
            account_id: Some(account.id.to_string()),
            account_name: account.name.clone(),
            role_name: None,
            profile: None,
            region: String::new(),
            part: "out",
            calls: Span::default(),
            reason: format!("account left out by `{by}`"),
        }
    }
}

fn reason(line: &Line, settings: &CollectSettings) -> String {
    match &line.why {
        Why::Settled(message) => return message.clone(),
        Why::After(first) => return format!("asked where {first} is refused"),
        Why::Absent => return "the sign-in has no such role there".to_owned(),
        Why::Unwanted => {
            let roles = settings.all_accounts.as_ref().map(|all| &all.roles);
            return match roles.filter(|roles| !roles.documented) {
                Some(roles) => format!("role is not among `{roles}`"),
                None => "role is not known to read only by its name".to_owned(),
            };
        }
        Why::First => {}
    }
    let mut text = match &settings.all_accounts {
        None if settings.assume.is_some() => "role to assume".to_owned(),
        None => "profile selected".to_owned(),
        Some(_) if settings.every_role => "every role that is wanted".to_owned(),
        Some(all) if all.roles.documented => "first role that is known to read only".to_owned(),
        Some(_) => "role preferred of those that are there".to_owned(),
    };
    if line.scope.account_id.is_none() {
        text += "; whose account it is only STS says";
    }
    if line.regions_unknown {
        text += "; enabled regions are known when the account is asked";
    } else if line.region != "global" {
        text += &format!("; region {}", settings.regions.describe());
    }
    text
}

#[expect(clippy::cast_possible_wrap, reason = "counts stay far below 2^63")]
fn table() -> RowEncoder<PlanRow> {
    let columns = vec![
        Column::text("table", "The table; empty where it is the same for all", |row: &PlanRow, _| {
            row.table.as_deref().map(Cow::from)
        }),
        Column::text("account_id", "The account, where it is known", |row, _| {
            row.account_id.as_deref().map(Cow::from)
        }),
        Column::text("account_name", "Its name in the organisation", |row, _| {
            row.account_name.as_deref().map(Cow::from)
        }),
        Column::text("role_name", "The role", |row, _| row.role_name.as_deref().map(Cow::from)),
        Column::text("profile", "The profile", |row, _| row.profile.as_deref().map(Cow::from)),
        Column::text("region", "The region; `global` for account-wide tables", |row, _| {
            (!row.region.is_empty()).then(|| Cow::from(&row.region))
        }),
        Column::text(
            "plan",
            "`in`, `standby` where it is asked only if another is refused, or `out`",
            |row, _| Some(Cow::from(row.part)),
        ),
        Column::integer("calls_min", "Calls for a first page, at least", |row| Some(row.calls.min as i64)),
        Column::integer("calls_max", "Calls for a first page, at most", |row| Some(row.calls.max as i64)),
        Column::text("reason", "Why", |row, _| Some(Cow::from(&row.reason))),
    ];
    RowEncoder::plain("plan", "What a command would ask", columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_times_in_words() {
        assert_eq!(spanned(Span::exactly(1), "task"), "1 task");
        assert_eq!(spanned(Span { min: 1, max: 1_200 }, "task"), "1 to 1,200 tasks");
        assert_eq!(rounded(Duration::from_millis(3)), Duration::from_secs(1));
        assert_eq!(rounded(Duration::from_millis(2_001)), Duration::from_secs(3));
        assert_eq!(rounded(Duration::from_secs(601)), Duration::from_mins(11));
        assert_eq!([0, 100, 101].map(pages), [1, 1, 2]);
    }
}
