//! The messages at the end of a run: one warning per kind of failure, and a last line with counts.
//!
//! Everything follows from the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ssoinv_core::coverage::{Cell, Ledger};
use ssoinv_core::scope::Place;
use ssoinv_core::status::Status;
use ssoinv_core::text::{count, thousands};
use ssoinv_profile::{Profile, ProfileKind};
use ssoinv_run::plan::NO_REGION;
use ssoinv_run::roles::NO_ROLE;

use crate::sessions::KnownSession;
use crate::settings::RegionSource;
use crate::terminal::{Terminal, Verbosity};
use crate::text::{account_label, few, region_hint, shell_quoted};

/// The ledger of a run, and what else its summary needs.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) region_source: &'a RegionSource,
    /// The file of the ledger, if one is written.
    pub(crate) coverage: Option<String>,
    pub(crate) terminal: &'a Terminal,
    /// Sessions without a sign-in, with the reason for the warning about their tasks.
    pub(crate) gave_up: &'a [(Arc<str>, String)],
    /// The selected profiles. Their problems have hints.
    pub(crate) profiles: &'a [Arc<Profile>],
    /// The sign-in whose accounts were selected, if no profiles were.
    pub(crate) session: Option<&'a KnownSession>,
    /// True if these are all accounts that it reaches.
    pub(crate) whole_sign_in: bool,
}

/// Cells that failed in the same way.
#[derive(Debug)]
struct Group<'a> {
    status: Status,
    cells: Vec<&'a Cell>,
}

impl Summary<'_> {
    /// Returns the text for stderr; empty with `-q` after a complete run.
    pub(crate) fn text(&self) -> String {
        let groups = self.groups();
        let quiet = self.terminal.verbosity == Verbosity::Quiet;
        let mut text = String::new();
        let incomplete = groups.iter().filter(|group| !group.status.is_complete());
        let warnings: Vec<_> =
            incomplete.map(|group| self.warning(group)).chain(self.missing_columns()).collect();
        for (index, (message, hint)) in warnings.iter().enumerate() {
            // A hint that several warnings share is printed once, after the last.
            let again = warnings[index + 1..].iter().any(|(_, later)| later == hint);
            let hint = hint.as_deref().filter(|_| !again);
            text += &self.terminal.warning(message, hint);
        }
        let complete = self.ledger.cells.iter().all(Cell::is_complete);
        if !quiet {
            for group in groups.iter().filter(|group| group.status.is_complete()) {
                if let Some(note) = self.note(group) {
                    text += &format!("{}\n", ssoinv_output::sanitize::sanitize(&note));
                }
            }
        }
        if !quiet || !complete {
            text += &format!("{}\n", self.line());
        }
        text
    }

    /// Groups cells that failed in the same way, in order of first occurrence.
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut of_key: BTreeMap<(Status, String), usize> = BTreeMap::new();
        // Expected gaps have messages of their own.
        // Rows without a column, too.
        let worth_a_word = |cell: &&Cell| {
            cell.status != Status::Ok
                && cell.rows_missed == 0
                && cell.is_complete() == cell.status.is_complete()
        };
        for cell in self.ledger.cells.iter().filter(worth_a_word) {
            let key = match cell.status {
                Status::Denied if cell.error_code.as_deref() == Some(NO_ROLE) => NO_ROLE.to_owned(),
                Status::Denied | Status::DeniedByScp => {
                    cell.scope.role_name.as_deref().unwrap_or_default().to_owned()
                }
                Status::Misconfigured => {
                    cell.error_code.clone().or_else(|| cell.error_message.clone()).unwrap_or_default()
                }
                Status::Failed => cell.error_code.clone().unwrap_or_default(),
                Status::Unreachable | Status::RegionDisabled => cell.scope.place.as_str().to_owned(),
                Status::Skipped => cell.scope.profile.as_deref().unwrap_or_default().to_owned(),
                _ => String::new(),
            };
            let index = *of_key.entry((cell.status, key)).or_insert_with(|| {
                groups.push(Group { status: cell.status, cells: Vec::new() });
                groups.len() - 1
            });
            groups[index].cells.push(cell);
        }
        groups
    }

    /// Returns a warning for each set of columns that could not be read in some rows, with the first reason.
    fn missing_columns(&self) -> Vec<(String, Option<String>)> {
        let mut missing: BTreeMap<(&str, &[Arc<str>]), Vec<&Cell>> = BTreeMap::new();
        for cell in self.ledger.cells.iter().filter(|cell| cell.rows_missed > 0 && !cell.expected) {
            missing.entry((&cell.table, &cell.columns)).or_default().push(cell);
        }
        let warning = |((table, columns), cells): ((&str, &[Arc<str>]), Vec<&Cell>)| {
            let rows = rows_of(table, cells.iter().map(|cell| cell.rows_missed).sum());
            let names = account_labels(&cells);
            let reason = cells[0].error_message.as_deref().unwrap_or_default();
            let accounts = format!("{}: {}", count(names.len(), "account"), self.few(&names));
            let message = format!("cannot read `{}` of {rows} in {accounts}: {reason}", columns.join("`, `"));
            (message, None)
        };
        missing.into_iter().map(warning).collect()
    }

    fn warning(&self, group: &Group<'_>) -> (String, Option<String>) {
        if let Some(warning) = self.of_discovery(group) {
            return warning;
        }
        let first = group.cells[0];
        let of = |label: &str| {
            let names = account_labels(&group.cells);
            let total = self.accounts().0;
            format!("{label} {} of {}: {}", names.len(), count(total, "account"), self.few(&names))
        };
        let tasks = count(group.cells.len(), "task");
        let status = group.status.as_str().replace('_', " ");
        let reason = first.error_message.as_deref().unwrap_or_default();
        let mut codes: Vec<&str> = group.cells.iter().filter_map(|cell| cell.error_code.as_deref()).collect();
        let mut seen = BTreeSet::new();
        codes.retain(|code| seen.insert(*code));
        let code = if codes.is_empty() { "no code".to_owned() } else { codes.join(", ") };
        let ledger = Some(match &self.coverage {
            Some(file) => format!("see `{file}` for each of them"),
            None => "`--coverage FILE` writes down each of them".to_owned(),
        });
        match group.status {
            Status::Denied => {
                let role = first.scope.role_name.as_deref();
                let role = role.map(|role| format!(" with role `{role}`")).unwrap_or_default();
                let (names, total) = (account_labels(&group.cells), self.accounts().0);
                let names_told = self.few(&names);
                let accounts = format!("{} of {}", names.len(), count(total, "account"));
                (format!("no access in {accounts}{role}: {names_told}; {tasks} denied ({code})"), ledger)
            }
            Status::DeniedByScp => {
                (format!("{}; {tasks} denied", of("a service control policy denies access in")), ledger)
            }
            Status::Throttled => {
                let hint =
                    "give it more time with `--retry-time 15m`, or ask less at once with `--concurrency 16`";
                (format!("{}; {tasks} throttled", of("AWS throttled calls in")), Some(hint.to_owned()))
            }
            Status::SignInExpired => {
                let why = match self.gave_up {
                    [] => reason.to_owned(),
                    gave_up => gave_up.iter().map(|(_, why)| why.as_str()).collect::<Vec<_>>().join("; "),
                };
                let whose = match (first.scope.profile.as_deref(), self.session) {
                    (Some(profile), _) => Some(format!("--profile {}", shell_quoted(profile))),
                    (None, session) => session.map(KnownSession::as_argument),
                };
                let hint = match whose {
                    Some(whose) => format!("run `ssoinv login {whose}`, then the same command again"),
                    None => "sign in, then run the same command again".to_owned(),
                };
                (format!("{why}; {tasks} without a sign-in"), Some(hint))
            }
            Status::Unreachable => {
                let place = match &first.scope.place {
                    Place::Region(region) => format!("could not reach region `{region}` in"),
                    _ => "could not reach AWS in".to_owned(),
                };
                let known = region_hint(first.scope.place.as_str());
                (format!("{}; {tasks} unreachable: {reason}", of(&place)), known.or(ledger))
            }
            Status::Misconfigured if first.error_code.as_deref() == Some(NO_REGION) => {
                let profiles: Vec<String> = profile_labels(&group.cells);
                let message = format!(
                    "no region is set for {}: {}",
                    count(profiles.len(), "profile"),
                    self.few(&profiles)
                );
                let hint = "say `--region us-east-1`, or set `AWS_REGION`, or `region` in the profile";
                (message, Some(hint.to_owned()))
            }
            Status::Misconfigured => {
                let profile = first.scope.profile.as_deref().unwrap_or_default();
                // No profile file has this name, so the message doesn't mention it.
                let is_ambient = self
                    .profiles
                    .iter()
                    .any(|known| known.name == profile && known.kind == ProfileKind::Ambient);
                let mut message = if is_ambient || reason.contains(&format!("`{profile}`")) {
                    reason.to_owned()
                } else {
                    format!("profile `{profile}` can't be used: {reason}")
                };
                let profiles = profile_labels(&group.cells);
                if let [_, others @ ..] = profiles.as_slice()
                    && !others.is_empty()
                {
                    message += &format!(" (and {} more like it: {})", others.len(), self.few(others));
                }
                let hint = self.hint_of_files(profile, reason);
                let code = first.error_code.as_deref();
                let hint = hint.unwrap_or_else(|| misconfigured_hint(code, profile, is_ambient));
                (format!("{message}; {tasks} misconfigured"), Some(hint))
            }
            Status::NotTried => (format!("{tasks} not tried: {reason}"), ledger),
            _ => {
                let accounts = account_labels(&group.cells);
                let message = format!("{tasks} {status} in {}: {reason} ({code})", self.few(&accounts));
                (message, ledger)
            }
        }
    }

    /// Describes failures of accounts without a profile: no role, or no access at all.
    fn of_discovery(&self, group: &Group<'_>) -> Option<(String, Option<String>)> {
        let first = group.cells[0];
        let names = account_labels(&group.cells);
        let accounts =
            format!("{} of {}: {}", names.len(), count(self.accounts().0, "account"), self.few(&names));
        let tasks = count(group.cells.len(), "task");
        match group.status {
            Status::Denied if first.error_code.as_deref() == Some(NO_ROLE) => {
                let reason = first.error_message.as_deref().unwrap_or_default();
                let message = format!("no role to take in {accounts}; {tasks} denied: {reason}");
                let account = first.scope.account();
                let hint = format!(
                    "name one with `--role NAME`; `ssoinv roles --account {account}` shows those that you have there"
                );
                Some((message, Some(hint)))
            }
            Status::NotOffered if self.session.is_some() => {
                let message = format!("the sign-in does not reach {accounts}; {tasks} not offered");
                let hint = "`ssoinv accounts` shows all that it reaches; an administrator assigns more";
                Some((message, Some(hint.to_owned())))
            }
            Status::NotOffered => {
                let reason = first.error_message.as_deref().unwrap_or_default();
                let message = format!("no way into {accounts}; {tasks} not offered: {reason}");
                let hint = "`ssoinv profiles` shows the account of each; `--all-accounts` needs none";
                Some((message, Some(hint.to_owned())))
            }
            _ => None,
        }
    }

    /// Returns the hint of the problem that makes a profile unusable.
    fn hint_of_files(&self, profile: &str, reason: &str) -> Option<String> {
        let profile = self.profiles.iter().find(|known| known.name == profile)?;
        let problem = profile.problems.iter().find(|problem| problem.blocks && problem.message == reason)?;
        Some(problem.hint.clone())
    }

    /// Returns a note about cells that are complete without rows.
    fn note(&self, group: &Group<'_>) -> Option<String> {
        match group.status {
            Status::RegionDisabled => {
                let names = account_labels(&group.cells);
                let region = group.cells[0].scope.place.as_str();
                let accounts = count(names.len(), "account");
                Some(format!("region `{region}` is not enabled in {accounts}: {}", self.few(&names)))
            }
            Status::Skipped if self.terminal.verbosity >= Verbosity::Verbose => {
                let cell = group.cells[0];
                let profile = cell.scope.profile.as_deref().unwrap_or_default();
                Some(format!(
                    "profile `{profile}` skipped: {}",
                    cell.error_message.as_deref().unwrap_or_default()
                ))
            }
            _ => None,
        }
    }

    /// Counts the planned accounts, and those with at least one result.
    fn accounts(&self) -> (usize, usize) {
        let key = |cell: &Cell| match cell.scope.account() {
            "" => cell.scope.profile.as_deref().unwrap_or_default().to_owned(),
            account => account.to_owned(),
        };
        let asked: BTreeSet<_> =
            self.ledger.cells.iter().filter(|cell| cell.status != Status::Skipped).map(key).collect();
        let answered: BTreeSet<_> = self
            .ledger
            .cells
            .iter()
            .filter(|cell| cell.status == Status::Ok || cell.rows > 0)
            .map(key)
            .collect();
        (asked.len(), answered.len())
    }

    /// Returns the last line: `1,204 instances from 328 of 340 accounts, 2 regions each (from --region); …`.
    fn line(&self) -> String {
        let mut rows: Vec<(&str, u64)> = Vec::new();
        for cell in &self.ledger.cells {
            match rows.iter_mut().find(|(table, _)| *table == &*cell.table) {
                Some((_, sum)) => *sum += cell.rows,
                None => rows.push((&cell.table, cell.rows)),
            }
        }
        let rows: Vec<_> = rows.iter().map(|(table, sum)| rows_of(table, *sum)).collect();
        let (asked, answered) = self.accounts();
        let of = if self.whole_sign_in {
            format!("the {} that this sign-in reaches", count(asked, "account"))
        } else {
            count(asked, "account")
        };
        let mut line = format!("{} from {} of {of}", rows.join(", "), thousands(answered as u64));
        line += &self.regions();
        let mut counts: BTreeMap<Status, usize> = BTreeMap::new();
        let mut expected = 0;
        for cell in self.ledger.cells.iter().filter(|cell| !cell.status.is_complete()) {
            if cell.expected {
                expected += 1;
            } else {
                *counts.entry(cell.status).or_default() += 1;
            }
        }
        match expected {
            0 => {}
            1 => line += "; 1 task in an expected gap",
            more => line += &format!("; {} in expected gaps", count(more, "task")),
        }
        let failed: Vec<_> = counts
            .iter()
            .map(|(status, number)| {
                let how = match status {
                    Status::SignInExpired => "without a sign-in".to_owned(),
                    other => other.as_str().replace('_', " "),
                };
                format!("{} {how}", count(*number, "task"))
            })
            .collect();
        if !failed.is_empty() {
            line += &format!("; {}: partial", failed.join(", "));
        }
        line
    }

    /// Describes the number of regions and the source of the selection.
    fn regions(&self) -> String {
        let mut of_account: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        let mut regions = BTreeSet::new();
        let mut regional = false;
        for cell in &self.ledger.cells {
            if let Place::Region(region) = &cell.scope.place
                && cell.status != Status::Skipped
            {
                regional = true;
                regions.insert(&**region);
                let account =
                    format!("{}{}", cell.scope.account(), cell.scope.profile.as_deref().unwrap_or_default());
                of_account.entry(account).or_default().insert(region);
            }
        }
        let source = self.region_source.describe();
        if !regional {
            return match self.region_source {
                RegionSource::Named { regions, .. } if !regions.is_all() => match regions.names() {
                    Some(names) => format!(", in {} ({source})", count(names.len(), "region")),
                    None => format!(", in regions like `{regions}` ({source})"),
                },
                _ if self.ledger.cells.iter().any(|cell| cell.scope.place == Place::Global) => {
                    ", in all regions".to_owned()
                }
                _ => ", in no region".to_owned(),
            };
        }
        let numbers: BTreeSet<usize> = of_account.values().map(BTreeSet::len).collect();
        let same = regions.len() == *numbers.iter().next_back().unwrap_or(&0);
        match numbers.len() {
            1 if same && of_account.len() > 1 => {
                format!(", {} each ({source})", count(regions.len(), "region"))
            }
            _ => format!(", in {} ({source})", count(regions.len(), "region")),
        }
    }

    fn few(&self, names: &[String]) -> String {
        few(names, self.terminal)
    }
}

/// Lists each account once, in order.
fn account_labels(cells: &[&Cell]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut labels = Vec::new();
    for cell in cells {
        let scope = &cell.scope;
        let label = match scope.account() {
            "" => format!("profile `{}`", scope.profile.as_deref().unwrap_or_default()),
            account => account_label(account, scope.account_name.as_deref()),
        };
        if seen.insert(label.clone()) {
            labels.push(label);
        }
    }
    labels
}

fn profile_labels(cells: &[&Cell]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let profiles = cells.iter().filter_map(|cell| cell.scope.profile.as_deref());
    profiles.filter(|profile| seen.insert(*profile)).map(|profile| format!("`{profile}`")).collect()
}

/// Returns the hint for a profile that can't be used.
fn misconfigured_hint(code: Option<&str>, profile: &str, is_ambient: bool) -> String {
    match code {
        Some("CredentialProcessLeftOut") => "leave out `--no-credential-process`".to_owned(),
        Some("InsecureEndpoint") => "write it with `https://`, or take it out".to_owned(),
        Some("InstanceMetadataDisabled") => {
            "unset `AWS_EC2_METADATA_DISABLED`, or name a profile with `--profile NAME`".to_owned()
        }
        Some("ExpiredKeys") if is_ambient => {
            "set new ones, or name a profile with `--profile NAME`".to_owned()
        }
        _ if is_ambient => "set what is missing, or name a profile with `--profile NAME`".to_owned(),
        _ => format!("run `ssoinv profiles {}` to see its settings", shell_quoted(profile)),
    }
}

/// Describes the number of a table's rows: `1,204 buckets`.
fn rows_of(table: &str, rows: u64) -> String {
    let noun = ssoinv_tables::registry::find(table).map_or("rows", |table| table.schema().noun.of(rows));
    format!("{} {noun}", thousands(rows))
}
