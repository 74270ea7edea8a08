//! Runs saved with `--run NAME`: the manifest of a new run, and the checks before another process resumes it.
//!
//! `ssoinv-store` owns the folders, their journals and their rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ssoinv_core::coverage::Cell;
use ssoinv_core::scope::AccountId;
use ssoinv_core::suggest::nearest;
use ssoinv_core::table::TableSchema;
use ssoinv_run::plan::Plan;
use ssoinv_store::{Manifest, Replay, RowQueue, RowReader, RunStore, StoreError, StoredCell, StoredRun};
use ssoinv_tables::Table;

use crate::account_list::NamedAccount;
use crate::app::App;
use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;
use crate::output::{self, ROW_BUDGET};
use crate::recorded_args;
use crate::sessions::KnownSession;
use crate::settings::{CollectSettings, ProfileChoice, RegionSource};
use crate::text::shell_quoted;

/// The values that decide which rows there are, by flag.
type Selection = BTreeMap<String, String>;

/// A saved run that this process resumes.
#[derive(Debug)]
pub(crate) struct RunToResume {
    pub(crate) run: StoredRun,
    /// Older results are collected again.
    pub(crate) max_age: Duration,
}

/// The request to save a run, before it begins.
#[derive(Debug)]
pub(crate) enum SaveRequest {
    New { name: String, runs: RunStore, manifest: Manifest },
    Again(RunToResume),
}

/// A saved run that this process has locked.
#[derive(Debug)]
pub(crate) struct SavedRun {
    pub(crate) run: StoredRun,
    /// Results up to this time are collected again.
    pub(crate) oldest: Option<SystemTime>,
    pub(crate) is_new: bool,
}

/// Returns the saved runs of this user.
pub(crate) fn runs(app: &App) -> Result<RunStore, CommandError> {
    let folder = app.environment.state_folder().ok_or_else(|| {
        CommandError::usage("there is no home folder to keep runs in")
            .with_hint("set `HOME` or `XDG_STATE_HOME`")
    })?;
    Ok(RunStore::new(&folder))
}

impl SaveRequest {
    /// Checks a new run of this name. Writes nothing.
    pub(crate) fn new(
        name: &str,
        run_id: &str,
        settings: &CollectSettings,
        selection: Selection,
        app: &App,
    ) -> Result<Self, CommandError> {
        if !RunStore::is_name(name) {
            return Err(CommandError::usage(format!("`{name}` (from --run) is no name for a run"))
                .with_hint("take letters, digits, `.`, `_` and `-`, and no dot or hyphen in front"));
        }
        if app.demo {
            return Err(CommandError::usage("`--run` keeps nothing of a demonstration")
                .with_hint("leave out `--run`"));
        }
        if settings.include_secrets {
            let message =
                "`--run` keeps rows on disk, and with `--include-secrets` there are secrets in them";
            return Err(CommandError::usage(message).with_hint("leave out one of the two"));
        }
        let Some(command) = app.recorded.to_manifest() else {
            return Err(CommandError::usage("`--run` writes the arguments down, and one of them is no text"));
        };
        let runs = runs(app)?;
        if runs.has(name) {
            return Err(error(&StoreError::Taken(name.to_owned()), app));
        }
        let created = app.clock.now();
        let manifest = Manifest::new(env!("CARGO_PKG_VERSION"), run_id, created, command, selection);
        Ok(Self::New { name: name.to_owned(), runs, manifest })
    }

    /// Returns the ID of the run in the ledger.
    pub(crate) fn run_id(&self) -> &str {
        match self {
            Self::New { manifest, .. } => &manifest.run_id,
            Self::Again(resumed) => &resumed.run.manifest.run_id,
        }
    }

    /// Creates the folder of a new run.
    pub(crate) fn begin(self, app: &App) -> Result<SavedRun, CommandError> {
        match self {
            Self::New { name, runs, manifest } => {
                let run = runs.create(&name, manifest).map_err(|failed| error(&failed, app))?;
                Ok(SavedRun { run, oldest: None, is_new: true })
            }
            Self::Again(RunToResume { run, max_age }) => {
                Ok(SavedRun { run, oldest: app.clock.now().checked_sub(max_age), is_new: false })
            }
        }
    }
}

impl SavedRun {
    /// Returns the queue of the rows, of which so many tasks are known already. All rows go through the disk.
    pub(crate) fn queue(
        self,
        slots: usize,
        tasks: usize,
        app: &App,
    ) -> Result<(RowQueue, RowReader), CommandError> {
        let queue = RowQueue::saved(slots, ROW_BUDGET, self.run, self.oldest, app.clock.clone(), tasks);
        queue.map_err(|error| output::store_error(&error))
    }

    /// Returns everything that a complete run has collected, or the run itself if a task or an account that `expected`
    /// names is missing.
    pub(crate) fn replay(
        self,
        tables: &[Arc<TableSchema>],
        expected: &[NamedAccount],
        app: &App,
    ) -> Result<Replay, Box<Self>> {
        let Self { run, oldest, .. } = self;
        let is_all = |cells: &[Vec<Cell>]| {
            let seen: BTreeSet<AccountId> =
                cells.iter().flatten().filter_map(|cell| cell.scope.account_id).collect();
            expected.iter().all(|account| seen.contains(&account.id))
        };
        run.replay(ROW_BUDGET, oldest, app.clock.clone(), tables, is_all)
            .map_err(|run| Box::new(Self { run: *run, ..self }))
    }

    /// Ends a run that had no plan yet. A new run is discarded, unless a sign-in or another start can complete it.
    pub(crate) fn not_begun(self, error: &CommandError) {
        let goes_on = matches!(error.exit, ExitCode::SignInNeeded | ExitCode::Interrupted);
        if self.is_new && !goes_on {
            let _an_empty_folder_is_left = self.run.discard();
        }
    }
}

/// Returns the values that decide which rows there are, without defaults.
pub(crate) fn selection(
    settings: &CollectSettings,
    tables: &[Arc<dyn Table>],
    session: Option<&KnownSession>,
) -> Selection {
    let names: Vec<&str> = tables.iter().map(|table| &*table.schema().name).collect();
    let mut texts = vec![("tables", names.join(" "))];
    let mut switches = vec![
        ("ambient", settings.ambient),
        ("every-role", settings.every_role),
        ("wide", settings.output.wide),
        ("include-secrets", settings.include_secrets),
    ];
    if let (Some(discovery), Some(session)) = (&settings.all_accounts, session) {
        let (accounts, excluded) = discovery.of.accounts.to_flag_value();
        switches.push(("all-accounts", true));
        texts.extend([
            ("sso-session", session.label().to_owned()),
            ("account", accounts),
            ("exclude-account", excluded),
            ("role", if discovery.roles.documented { String::new() } else { discovery.roles.to_string() }),
        ]);
    } else if !settings.ambient {
        match &settings.profiles {
            ProfileChoice::All => switches.push(("all-profiles", true)),
            ProfileChoice::Flag(names) => texts.push(("profile", names.join(","))),
            ProfileChoice::Variable { profile, .. } => texts.push(("profile", profile.clone())),
            ProfileChoice::Default => {}
        }
    }
    if let Some(assume) = &settings.assume {
        texts.push(("assume-role", assume.role.clone()));
        texts.push(("account", assume.accounts.to_flag_value()));
        texts.push(("external-id", assume.external_id.clone().unwrap_or_default()));
    }
    match &settings.regions {
        RegionSource::Named { regions, .. } => texts.push(("region", regions.to_string())),
        RegionSource::Variable { region, .. } => texts.push(("region", region.to_string())),
        RegionSource::Profiles | RegionSource::Enabled(_) => {}
    }
    texts.push(("columns", settings.output.columns.join(",")));
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let switches = switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| (flag, String::new()));
    texts.chain(switches).map(|(flag, text)| (flag.to_owned(), text)).collect()
}

impl RunToResume {
    /// Opens a run of this version: the named one, else the last one.
    pub(crate) fn open(name: Option<&str>, max_age: Duration, app: &App) -> Result<Self, CommandError> {
        let runs = runs(app)?;
        let last = match name {
            Some(name) => Some(name.to_owned()),
            None => runs.last().map_err(|failed| error(&failed, app))?,
        };
        let Some(name) = last else {
            return Err(CommandError::usage("there is no run to go on with")
                .with_hint("`--run NAME` keeps a run, such as `ssoinv buckets --all-profiles --run NAME`"));
        };
        let run = runs.open(&name).map_err(|failed| error(&failed, app))?;
        let (then, now) = (&run.manifest.version, env!("CARGO_PKG_VERSION"));
        if then != now {
            let message = format!("run `{name}` was begun by ssoinv {then}, and this is {now}");
            return Err(CommandError::usage(message).with_hint(anew(&run)));
        }
        Ok(Self { run, max_age })
    }

    /// Returns an error if the run was begun with another selection.
    pub(crate) fn check(&self, now: &Selection, app: &App) -> Result<(), CommandError> {
        let then = &self.run.manifest.selection;
        let mut flags: Vec<&String> = then.keys().chain(now.keys()).collect();
        flags.sort();
        flags.dedup();
        flags.retain(|&flag| then.get(flag) != now.get(flag));
        if flags.is_empty() {
            return Ok(());
        }
        let name = self.run.name();
        let typed = app.recorded.words.iter().filter_map(|word| word.to_str()).any(|word| {
            recorded_args::flag(word)
                .strip_prefix("--")
                .is_some_and(|typed| flags.iter().any(|flag| *flag == typed))
        });
        let details = flags
            .iter()
            .map(|&flag| format!("`--{flag}`: {} then, {} now", shown(then.get(flag)), shown(now.get(flag))));
        let hint = if typed {
            format!("`ssoinv resume {name}` goes on with what was begun; something else is another run")
        } else if flags.iter().all(|&flag| then.contains_key(flag)) {
            let words = flags.iter().map(|&flag| match &*then[flag] {
                "" => format!("--{flag}"),
                text => format!("--{flag} {}", shell_quoted(text)),
            });
            format!("say `ssoinv resume {name} {}`", words.collect::<Vec<_>>().join(" "))
        } else {
            "take back what is set since then in `config.toml` or in variables; `ssoinv settings` shows it"
                .to_owned()
        };
        Err(CommandError::usage(format!("run `{name}` was begun with another selection"))
            .with_details(details.collect())
            .with_hint(hint))
    }
}

/// Returns a warning about accounts of the run that the plan doesn't have any more.
pub(crate) fn gone(unplanned: &[StoredCell], plan: &Plan) -> Option<String> {
    let of_plan = plan.scans.iter().filter_map(|scan| Some(scan.first()?.account_key()));
    let planned: BTreeSet<&str> = of_plan.collect();
    let mut gone: Vec<String> = Vec::new();
    for cell in unplanned.iter().filter(|cell| !planned.contains(cell.account_key())) {
        let label = match cell.account_name() {
            Some(name) => format!("`{name}` ({})", cell.account_key()),
            None => format!("`{}`", cell.account_key()),
        };
        if !gone.contains(&label) {
            gone.push(label);
        }
    }
    let (accounts, are) = if gone.len() == 1 { ("account", "is") } else { ("accounts", "are") };
    let number = gone.len();
    let few = match gone.as_slice() {
        [] => return None,
        [first, second, _, ..] => format!("{first}, {second} and {} more", number - 2),
        all => all.join(", "),
    };
    Some(format!("{number} {accounts} of the run {are} not planned any more, and left out: {few}"))
}

/// Describes a value of the selection.
fn shown(value: Option<&String>) -> String {
    match value.map(String::as_str) {
        None => "not said".to_owned(),
        Some("") => "said".to_owned(),
        Some(text) if text.chars().count() > 60 => {
            format!("`{}…`", text.chars().take(60).collect::<String>())
        }
        Some(text) => format!("`{text}`"),
    }
}

/// Returns the command of a run, quoted for a shell.
pub(crate) fn command_line(manifest: &Manifest) -> String {
    let words: Vec<String> = manifest.command.iter().map(|word| quoted_word(word)).collect();
    format!("ssoinv {}", words.join(" "))
}

/// `--profile='my prod'`
fn quoted_word(word: &str) -> String {
    match word.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => format!("{flag}={}", shell_quoted(value)),
        _ => shell_quoted(word),
    }
}

fn anew(run: &StoredRun) -> String {
    let (name, command) = (run.name(), command_line(&run.manifest));
    format!("to begin it anew: `ssoinv runs prune {name}`, then `{command} --run {name}`")
}

/// Converts an error of the store into an error with a hint.
pub(crate) fn error(failed: &StoreError, app: &App) -> CommandError {
    match failed {
        StoreError::Taken(name) => CommandError::usage(failed.to_string()).with_hint(format!(
            "`ssoinv resume {name}` goes on with it; `ssoinv runs prune {name}` removes it and all that it has collected"
        )),
        StoreError::UnderWay(name) => CommandError::usage(format!("run `{name}` is under way in another process"))
            .with_hint("wait for it, or end it first"),
        StoreError::Foreign(name) => {
            CommandError::usage(failed.to_string()).with_hint(format!("`ssoinv runs prune {name}` removes it"))
        }
        StoreError::NoRun(name) => {
            let runs = runs(app).and_then(|runs| runs.list().map_err(|other| output::store_error(&other)));
            let names: Vec<String> = runs.unwrap_or_default().into_iter().map(|run| run.name).collect();
            let error = CommandError::usage(failed.to_string());
            match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None if names.is_empty() => error.with_hint("`--run NAME` keeps a run; there is none yet"),
                None => error.with_hint("`ssoinv runs list` shows them"),
            }
        }
        other => output::store_error(other),
    }
}
