//! Station 2: flag > environment > file, resolved once, into plain structs. Nothing behind this module reads a flag or a
//! variable of ssoinv's own.
//!
//! What can be set at all: [`list`]. What counts for more: [`layers`]. How values are written: [`values`], [`mod@file`].

pub(crate) mod file;
mod layers;
pub(crate) mod list;
pub(crate) mod source;
pub(crate) mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use source::{SettingSource, SettingValue};
use ssoinv_aws::plan::Regions;
use ssoinv_aws::reach::RegionChoice;
use ssoinv_aws::regions::{self, RegionPatterns};
use ssoinv_aws::roles::RoleChoice;
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::retry::RetryPolicy;
use ssoinv_output::Format;
use ssoinv_sso::context::{Flow, Interaction};

use crate::account_list::{AccountList, AccountSelection};
use crate::browser::Browser;
use crate::cli::{
    AccountArgs, CollectArgs, CredentialArgs, LimitArgs, OutputArgs, ProfileArgs, SelectionArgs, SignInArgs,
};
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::expectations::Expectations;
use crate::terminal::Terminal;

pub(crate) use layers::Layers;
use list::{
    ATTEMPT_TIMEOUT, CONCURRENCY, CONNECT_TIMEOUT, EXCLUDE_ACCOUNT, EXPECT, MAX_TIME, NO_BROWSER,
    NO_CREDENTIAL_CACHE, NO_CREDENTIAL_PROCESS, NO_INPUT, OUTPUT, PORTAL_RATE, REDIRECT_PORT, REGION,
    RETRY_TIME, ROLE, SPREADSHEET, SSO_SESSION, USE_DEVICE_CODE, WIDE,
};

/// What a switch says, where it or its opposite was typed.
fn switch(on: bool, off: bool) -> Option<bool> {
    (on || off).then_some(on)
}

/// Which profiles are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProfileChoice {
    /// `--all-profiles`.
    All,
    /// `--profile`, as it was typed.
    Flag(Vec<String>),
    /// A variable with one name.
    Variable { name: &'static str, profile: String },
    /// Nothing was said: `default`.
    Default,
}

impl ProfileChoice {
    pub(crate) fn new(args: &ProfileArgs, environment: &Environment) -> Self {
        if args.all_profiles {
            return Self::All;
        }
        if !args.profile.is_empty() {
            return Self::Flag(args.profile.clone());
        }
        // The AWS CLI's order, https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
        ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]
            .into_iter()
            .find_map(|name| Some(Self::Variable { name, profile: environment.get(name)?.to_owned() }))
            .unwrap_or(Self::Default)
    }
}

/// Where the regions to look in come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RegionSource {
    /// `--region`, or the setting of that name.
    Named { regions: Arc<RegionPatterns>, source: SettingSource },
    /// A variable of AWS's with one region.
    Variable { name: &'static str, region: Arc<str> },
    /// Each profile's own.
    Profiles,
    /// Every one that is enabled in the account, since nobody said anything else.
    Enabled(Arc<RegionPatterns>),
}

impl RegionSource {
    fn new(args: &SelectionArgs, layers: &Layers) -> Result<Self, CommandError> {
        let texts = typed(&args.region);
        let flag = if texts.is_empty() { None } else { Some(layers::typed(&REGION, &texts)?) };
        let SettingValue { value: regions, source } = layers.resolve(&REGION, flag)?;
        let patterns = |typed: &[Arc<str>]| match RegionPatterns::new(typed.iter().map(|region| &**region)) {
            Ok(patterns) => Ok(Arc::new(patterns)),
            Err(error) => Err(CommandError::usage(format!("a region is no pattern: {error}"))),
        };
        Ok(match (source, regions.as_slice()) {
            // What every AWS tool reads is about one region, and profiles' regions are about profiles.
            (SettingSource::StandIn(_) | SettingSource::Default, _) if args.all_accounts => {
                Self::Enabled(patterns(&[regions::ALL.into()])?)
            }
            (_, []) => Self::Profiles,
            (SettingSource::StandIn(name), [region, ..]) => {
                Self::Variable { name, region: Arc::clone(region) }
            }
            (source, regions) => Self::Named { regions: patterns(regions)?, source },
        })
    }

    /// Where regional tables are asked.
    pub(crate) fn choice(&self) -> RegionChoice {
        match self {
            Self::Named { regions, .. } | Self::Enabled(regions) => {
                RegionChoice::Same(match regions.names() {
                    Some(names) => Regions::In(names.to_vec()),
                    None => Regions::Enabled(Arc::clone(regions)),
                })
            }
            Self::Variable { region, .. } => RegionChoice::Same(Regions::In(vec![Arc::clone(region)])),
            Self::Profiles => RegionChoice::OfProfile,
        }
    }

    /// What rows of account-wide tables are kept, where not all are.
    pub(crate) fn only(&self) -> Option<Arc<RegionPatterns>> {
        match self {
            Self::Named { regions, .. } if !regions.is_all() => Some(Arc::clone(regions)),
            _ => None,
        }
    }

    /// Whether no region that is enabled is left out.
    pub(crate) fn is_all(&self) -> bool {
        match self {
            Self::Named { regions, .. } | Self::Enabled(regions) => regions.is_all(),
            Self::Variable { .. } | Self::Profiles => false,
        }
    }

    /// For the summary.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Named { source, .. } => format!("from `{source}`"),
            Self::Variable { name, .. } => format!("from `{name}`"),
            Self::Profiles => "from the profiles".to_owned(),
            Self::Enabled(_) => "all that are enabled".to_owned(),
        }
    }
}

/// How rows are shown, and where.
#[derive(Clone, Debug)]
pub(crate) struct OutputSettings {
    pub(crate) format: Format,
    pub(crate) out: Option<PathBuf>,
    pub(crate) columns: Vec<String>,
    pub(crate) wide: bool,
    pub(crate) header: bool,
    pub(crate) spreadsheet: bool,
}

impl OutputSettings {
    pub(crate) fn new(args: &OutputArgs, layers: &Layers) -> Result<Self, CommandError> {
        let format = format(args, layers)?;
        let spreadsheet = layers.resolve(&SPREADSHEET, switch(args.spreadsheet, args.no_spreadsheet))?;
        if spreadsheet.value && spreadsheet.source.is_flag() && format != Format::Csv {
            return Err(
                CommandError::usage("`--spreadsheet` is for CSV").with_hint("say `-o csv --spreadsheet`")
            );
        }
        Ok(Self {
            format,
            out: args.out.clone(),
            columns: args.columns.clone(),
            wide: layers.value(&WIDE, switch(args.wide, args.no_wide))?,
            header: !args.no_header,
            // Set for all commands, it is for those that write CSV.
            spreadsheet: spreadsheet.value && format == Format::Csv,
        })
    }
}

/// The format: `-o`, else what the ending of `--out` says, which is typed and so counts for more than what is set.
fn format(args: &OutputArgs, layers: &Layers) -> Result<Format, CommandError> {
    let flag = args.output.as_deref().map(|name| layers::typed(&OUTPUT, &[name])).transpose()?;
    let SettingValue { value: asked, source } = layers.resolve(&OUTPUT, flag)?;
    let Some(out) = &args.out else { return Ok(asked.unwrap_or(Format::Table)) };
    match (asked.filter(|_| source.is_flag()), format_of(out)) {
        (Some(typed), Some(other)) if typed != other => {
            let message =
                format!("`-o {}` contradicts the ending of `--out {}`", typed.name(), out.display());
            Err(CommandError::usage(message).with_hint("leave out `-o`, or give the file another ending"))
        }
        (Some(format), _) | (None, Some(format)) => Ok(format),
        // `--out DIR/`, a device, or an ending that says nothing: only a known other format is a mistake.
        (None, None) => match unknown_ending(out) {
            Some(ending) => Err(CommandError::usage(format!("no format has the ending `.{ending}`"))
                .with_hint("say the format with `-o table`, `-o csv`, `-o json` or `-o ndjson`")),
            None => Ok(asked.unwrap_or(Format::Table)),
        },
    }
}

/// The format that a file's ending says.
fn format_of(file: &Path) -> Option<Format> {
    Format::from_extension(file.extension()?.to_str()?)
}

/// The ending of a file name, where it has one.
fn unknown_ending(out: &Path) -> Option<String> {
    if out.is_dir() || out.starts_with("/dev") {
        return None;
    }
    out.extension().map(|ending| ending.to_string_lossy().into_owned())
}

/// Who is asked to sign in, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignInSettings {
    /// Nobody is to be asked, and who said so.
    pub(crate) no_input: SettingValue<bool>,
    /// This is a job of a CI service.
    pub(crate) is_ci: bool,
    /// Somebody reads what is said, and approves the code.
    pub(crate) use_device_code: bool,
    pub(crate) flow: Flow,
    pub(crate) browser: Browser,
}

impl SignInSettings {
    pub(crate) fn new(
        args: &SignInArgs,
        layers: &Layers,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let device_code =
            layers.resolve(&USE_DEVICE_CODE, switch(args.use_device_code, args.no_use_device_code))?;
        let port = layers.resolve(&REDIRECT_PORT, args.redirect_port.map(Some))?;
        // A port is for the page, so whoever names one above a set `use_device_code` means the page.
        let means_page = port.value.is_some() && port.source.is_above(&device_code.source);
        let use_device_code = device_code.value && !means_page;
        // Whoever names a port has seen to it that the browser can come back to it.
        let comes_back = port.value.is_some() || environment.browser_comes_back();
        let no_browser = layers.value(&NO_BROWSER, switch(args.no_browser, args.browser))?;
        Ok(Self {
            no_input: layers.resolve(&NO_INPUT, switch(args.no_input, args.input))?,
            is_ci: environment.is_ci(),
            use_device_code,
            flow: if comes_back && !use_device_code {
                Flow::Page { redirect_port: port.value }
            } else {
                Flow::DeviceCode
            },
            browser: if no_browser { Browser::None } else { Browser::System },
        })
    }

    /// Whether a collecting command may ask somebody. Whoever wants a code reads it, even where no terminal is.
    pub(crate) fn policy(&self, terminal: &Terminal, demo: bool) -> SignInPolicy {
        if demo {
            return SignInPolicy::DEMO;
        }
        let somebody = self.use_device_code || (terminal.on_stderr && !self.is_ci);
        let asked = somebody && !self.no_input.value;
        let interaction = if asked { Interaction::Person } else { Interaction::Nobody };
        SignInPolicy { interaction, flow: self.flow }
    }
}

/// Whether a command may ask somebody to sign in, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignInPolicy {
    pub(crate) interaction: Interaction,
    pub(crate) flow: Flow,
}

impl SignInPolicy {
    pub(crate) const NEVER: Self = Self { interaction: Interaction::Nobody, flow: Flow::DeviceCode };

    /// A simulated person, to whom no browser comes back.
    pub(crate) const DEMO: Self = Self { interaction: Interaction::Person, flow: Flow::DeviceCode };
}

/// How credentials are got and calls are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionSettings {
    pub(crate) run_processes: bool,
    pub(crate) refresh_tokens: bool,
    pub(crate) credential_cache: bool,
    pub(crate) concurrency: usize,
    pub(crate) policy: RetryPolicy,
    /// How fast the portal may be called.
    pub(crate) portal_pace: PaceLimits,
    pub(crate) connect_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
}

/// Attempts at a call that fails transiently, where `AWS_MAX_ATTEMPTS` says nothing.
const MAX_ATTEMPTS: u32 = 5;

/// Calls at once of commands that make few.
const FEW: usize = 16;

impl ConnectionSettings {
    /// For commands that are about the sign-in itself.
    pub(crate) fn of_sign_in(
        limits: &LimitArgs,
        layers: &Layers,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        Self::new(&CredentialArgs::default(), limits, FEW, layers, environment)
    }

    pub(crate) fn new(
        args: &CredentialArgs,
        limits: &LimitArgs,
        concurrency: usize,
        layers: &Layers,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let max_attempts = match environment.get("AWS_MAX_ATTEMPTS") {
            None => MAX_ATTEMPTS,
            Some(text) => text.parse().ok().filter(|&number| number > 0).ok_or_else(|| {
                CommandError::usage(format!("`AWS_MAX_ATTEMPTS` is `{text}`, which is not a number above 0"))
            })?,
        };
        let no_processes = switch(args.no_credential_process, args.credential_process);
        let no_cache = switch(args.no_credential_cache, args.credential_cache);
        Ok(Self {
            run_processes: !layers.value(&NO_CREDENTIAL_PROCESS, no_processes)?,
            credential_cache: !layers.value(&NO_CREDENTIAL_CACHE, no_cache)?,
            refresh_tokens: true,
            concurrency,
            policy: RetryPolicy {
                max_attempts,
                throttle_budget: layers.value(&RETRY_TIME, limits.retry_time)?,
            },
            portal_pace: PaceLimits::PORTAL
                .capped(f64::from(layers.value(&PORTAL_RATE, limits.portal_rate)?)),
            connect_timeout: layers.value(&CONNECT_TIMEOUT, limits.connect_timeout)?,
            attempt_timeout: layers.value(&ATTEMPT_TIMEOUT, limits.attempt_timeout)?,
        })
    }
}

/// A role to assume in many accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssumeSettings {
    /// Its name, with its path where it has one.
    pub(crate) role: String,
    pub(crate) accounts: AccountList,
    pub(crate) external_id: Option<String>,
}

impl AssumeSettings {
    fn new(args: &SelectionArgs) -> Result<Option<Self>, CommandError> {
        let Some(role) = &args.identity.assume_role else { return Ok(None) };
        let accounts = AccountList::parse(&args.accounts.account)?;
        Ok(Some(Self { role: role.clone(), accounts, external_id: args.identity.external_id.clone() }))
    }
}

/// Which accounts of a sign-in are meant.
#[derive(Clone, Debug)]
pub(crate) struct AccountSettings {
    pub(crate) sso_session: Option<String>,
    pub(crate) accounts: AccountSelection,
}

impl AccountSettings {
    pub(crate) fn new(args: &AccountArgs, layers: &Layers) -> Result<Self, CommandError> {
        let excluded = match typed(&args.exclude_account) {
            texts if texts.is_empty() => None,
            texts => Some(layers::typed(&EXCLUDE_ACCOUNT, &texts)?),
        };
        let excluded = layers.resolve(&EXCLUDE_ACCOUNT, excluded)?;
        Ok(Self {
            sso_session: layers.value(&SSO_SESSION, args.sso_session.clone().map(Some))?,
            accounts: AccountSelection::new(&typed(&args.account), &excluded)?,
        })
    }
}

/// Every account that a sign-in reaches, and the role to take there.
#[derive(Clone, Debug)]
pub(crate) struct DiscoverySettings {
    pub(crate) of: AccountSettings,
    pub(crate) roles: Arc<RoleChoice>,
}

impl DiscoverySettings {
    fn new(args: &SelectionArgs, layers: &Layers) -> Result<Option<Self>, CommandError> {
        let accounts = &args.accounts;
        if !args.all_accounts {
            let assumes = args.identity.assume_role.is_some();
            let stray = [
                ("--role", !args.role.is_empty()),
                ("--sso-session", accounts.sso_session.is_some()),
                ("--exclude-account", !accounts.exclude_account.is_empty()),
                ("--account", !accounts.account.is_empty() && !assumes),
            ];
            return match stray.into_iter().find(|(_, typed)| *typed) {
                None => Ok(None),
                Some((flag, _)) => {
                    Err(CommandError::usage(format!("`{flag}` picks among the accounts of a sign-in"))
                        .with_hint("say `--all-accounts`, too; for profiles there is `--profile NAME`"))
                }
            };
        }
        let roles = match typed(&args.role) {
            texts if texts.is_empty() => None,
            texts => Some(layers::typed(&ROLE, &texts)?),
        };
        let roles = layers.value(&ROLE, roles)?;
        let roles = RoleChoice::new(roles.iter().map(|role| &**role))
            .map_err(|error| CommandError::usage(format!("a role is no pattern: {error}")))?;
        Ok(Some(Self { of: AccountSettings::new(accounts, layers)?, roles: Arc::new(roles) }))
    }
}

/// What was typed, without what is nothing.
fn typed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect()
}

/// What should be there.
fn expectations(
    args: &SelectionArgs,
    layers: &Layers,
    environment: &Environment,
) -> Result<Expectations, CommandError> {
    let flag =
        (!args.expect.is_empty()).then(|| args.expect.iter().map(|file| file.as_str().into()).collect());
    let SettingValue { value: files, source } = layers.resolve(&EXPECT, flag)?;
    let mut paths = Vec::new();
    for file in &files {
        // A shell has done so with what was typed.
        let below = file.strip_prefix("~/").filter(|_| !source.is_flag());
        let path = match (below, &environment.home) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(&**file),
        };
        // What lies in the current folder by chance must not say what is no gap.
        if let (SettingSource::File(place), true) = (&source, path.is_relative()) {
            let message = format!("{place}: `expect` is `{file}`, which depends on the current folder");
            return Err(CommandError::usage(message).with_hint("write the whole path, or begin it with `~/`"));
        }
        paths.push(path);
    }
    Ok(Expectations::read(paths.iter().map(PathBuf::as_path))?)
}

/// Everything that a collecting command was asked for.
#[derive(Clone, Debug)]
pub(crate) struct CollectSettings {
    pub(crate) profiles: ProfileChoice,
    /// What the machine is, and no profile.
    pub(crate) ambient: bool,
    pub(crate) assume: Option<AssumeSettings>,
    /// Every account that the sign-in reaches, and no profile.
    pub(crate) all_accounts: Option<DiscoverySettings>,
    /// What should be there.
    pub(crate) expect: Expectations,
    pub(crate) regions: RegionSource,
    pub(crate) every_role: bool,
    pub(crate) sign_in: SignInSettings,
    pub(crate) connection: ConnectionSettings,
    pub(crate) output: OutputSettings,
    pub(crate) coverage: Option<(PathBuf, Format)>,
    pub(crate) include_secrets: bool,
    pub(crate) max_time: Option<Duration>,
}

impl CollectSettings {
    pub(crate) fn new(
        args: &CollectArgs,
        layers: &Layers,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        Ok(Self {
            profiles: ProfileChoice::new(&args.selection.profiles, environment),
            ambient: args.selection.identity.ambient,
            assume: AssumeSettings::new(&args.selection)?,
            all_accounts: DiscoverySettings::new(&args.selection, layers)?,
            expect: expectations(&args.selection, layers, environment)?,
            regions: RegionSource::new(&args.selection, layers)?,
            every_role: args.selection.every_role,
            sign_in: SignInSettings::new(&args.sign_in, layers, environment)?,
            connection: ConnectionSettings::new(
                &args.credentials,
                &args.run.limits,
                layers.value(&CONCURRENCY, args.run.concurrency)?,
                layers,
                environment,
            )?,
            output: OutputSettings::new(&args.output, layers)?,
            coverage: args.collect_output.coverage.clone().map(coverage).transpose()?,
            include_secrets: args.collect_output.include_secrets,
            max_time: layers.value(&MAX_TIME, args.run.max_time.map(Some))?,
        })
    }
}

impl CollectSettings {
    /// Why an account that is expected isn't there, where it would be: all profiles are meant, or all accounts of the
    /// organisation. Whoever picks some means no others. What a sign-in reaches, it tells itself.
    pub(crate) fn unreached(&self) -> Option<&'static str> {
        match (&self.assume, &self.profiles) {
            _ if self.all_accounts.is_some() || self.ambient => None,
            (Some(assume), _) => {
                (assume.accounts == AccountList::All).then_some("the organisation has no such active account")
            }
            (None, ProfileChoice::All) => Some("no profile reaches this account"),
            (None, _) => None,
        }
    }
}

/// The ledger's file, with the format that its ending says.
fn coverage(file: PathBuf) -> Result<(PathBuf, Format), CommandError> {
    let Some(format) = format_of(&file) else {
        let message = format!("`--coverage {}` has no ending that tells its format", file.display());
        return Err(CommandError::usage(message).with_hint("end it with `.csv`, `.json` or `.ndjson`"));
    };
    Ok((file, format))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CollectCli {
        #[command(flatten)]
        args: CollectArgs,
    }

    fn settings(arguments: &str, variables: &[(&str, &str)]) -> Result<CollectSettings, CommandError> {
        let arguments = std::iter::once("ssoinv").chain(arguments.split_whitespace());
        let CollectCli { args } = CollectCli::try_parse_from(arguments).expect("arguments");
        let vars = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let environment = Environment { vars, home: None };
        CollectSettings::new(&args, &Layers::new(&environment)?, &environment)
    }

    fn named(regions: &[&str], source: SettingSource) -> RegionSource {
        let regions = RegionPatterns::new(regions.iter().copied()).expect("patterns");
        RegionSource::Named { regions: Arc::new(regions), source }
    }

    fn refused(arguments: &str) -> String {
        let error = settings(arguments, &[]).expect_err(arguments);
        assert_eq!(error.exit.number(), 2);
        format!("{}; {}", error.message, error.hint.unwrap_or_default())
    }

    #[test]
    fn flags_come_before_variables_and_variables_in_the_cli_s_order() {
        let both = [("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-2")];
        let found = settings("--region us-east-1,us-east-2 --region us-east-1", &both).expect("valid");
        assert_eq!(found.regions, named(&["us-east-1", "us-east-2"], SettingSource::Flag("region")));
        let found = settings("", &both).expect("valid");
        assert_eq!(found.regions, RegionSource::Variable { name: "AWS_REGION", region: "eu-west-1".into() });
        assert_eq!(settings("", &[]).expect("valid").regions, RegionSource::Profiles);

        let both = [("AWS_PROFILE", "a"), ("AWS_DEFAULT_PROFILE", "b")];
        let chosen = |arguments, variables| settings(arguments, variables).expect("valid").profiles;
        assert_eq!(chosen("--all-profiles", &both), ProfileChoice::All);
        assert_eq!(chosen("--profile c", &both), ProfileChoice::Flag(vec!["c".into()]));
        assert_eq!(chosen("", &both), ProfileChoice::Variable { name: "AWS_PROFILE", profile: "a".into() });
        assert_eq!(
            chosen("", &both[1..]),
            ProfileChoice::Variable { name: "AWS_DEFAULT_PROFILE", profile: "b".into() }
        );
        assert_eq!(chosen("", &[]), ProfileChoice::Default);
    }

    #[test]
    fn the_flow_follows_the_machine_unless_it_is_named() {
        let flow = |arguments, variables| settings(arguments, variables).expect("valid").sign_in.flow;
        let (screen, page) = ([("DISPLAY", ":0")], Flow::Page { redirect_port: None });
        let over_ssh = [("SSH_CONNECTION", "1"), ("DISPLAY", ":0")];
        assert_eq!(flow("--redirect-port 4000", &over_ssh), Flow::Page { redirect_port: Some(4000) });
        assert_eq!(flow("", &over_ssh), Flow::DeviceCode);
        assert_eq!(flow("--use-device-code", &screen), Flow::DeviceCode);
        if cfg!(target_os = "linux") {
            assert_eq!(flow("", &screen), page);
            assert_eq!(flow("--no-browser", &screen), page, "it only isn't opened");
            assert_eq!(flow("", &[]), Flow::DeviceCode);
        }
    }

    #[test]
    fn a_port_above_a_set_device_code_means_the_page() {
        let flow = |arguments, variables: &[(&str, &str)]| {
            let found = settings(arguments, variables).expect("valid").sign_in;
            (found.flow, found.use_device_code)
        };
        let (page, code) = (Flow::Page { redirect_port: Some(4000) }, Flow::DeviceCode);
        let set = ("SSOINV_USE_DEVICE_CODE", "1");
        let port = ("SSOINV_REDIRECT_PORT", "4000");
        assert_eq!(flow("", &[set]), (code, true));
        assert_eq!(flow("", &[port]), (page, false));
        assert_eq!(flow("--redirect-port 4000", &[set]), (page, false));
        assert_eq!(flow("--use-device-code", &[port]), (code, true));
        assert_eq!(flow("--no-use-device-code", &[set, port]), (page, false));
        // Said in one place, the port is for when it is the page.
        assert_eq!(flow("", &[set, port]), (code, true));
    }

    #[test]
    fn what_is_typed_counts_for_more_than_what_is_set() {
        let output = |arguments| {
            let set = [("SSOINV_OUTPUT", "csv"), ("SSOINV_SPREADSHEET", "true"), ("SSOINV_WIDE", "true")];
            let found =
                settings(arguments, &set).unwrap_or_else(|error| panic!("{arguments}: {error:?}")).output;
            (found.format, found.spreadsheet, found.wide)
        };
        assert_eq!(output(""), (Format::Csv, true, true));
        assert_eq!(output("-o json"), (Format::Json, false, true));
        assert_eq!(output("--out x.json"), (Format::Json, false, true));
        assert_eq!(output("--out x"), (Format::Csv, true, true));
        assert_eq!(output("--no-spreadsheet --no-wide"), (Format::Csv, false, false));
        assert_eq!(output("--no-wide --wide"), (Format::Csv, true, true), "the last counts");
        let found =
            settings("--concurrency 3 --input", &[("SSOINV_CONCURRENCY", "4"), ("SSOINV_NO_INPUT", "1")]);
        let found = found.expect("valid");
        assert_eq!((found.connection.concurrency, found.sign_in.no_input.value), (3, false));
    }

    #[test]
    fn the_format_follows_the_ending() {
        let format = |arguments| settings(arguments, &[]).expect(arguments).output.format;
        assert_eq!(format(""), Format::Table);
        assert_eq!(format("--out x.csv"), Format::Csv);
        assert_eq!(format("--out x.ndjson"), Format::Ndjson);
        assert_eq!(format("-o json --out x"), Format::Json);
        assert_eq!(format("-o json --out x.data"), Format::Json);
        assert_eq!(format("--out /dev/full"), Format::Table);
    }

    #[test]
    fn mistakes_are_named_with_what_to_do() {
        assert_eq!(
            refused("-o report.csv"),
            "`report.csv` (from --output) is not a format; to write to a file, say `--out report.csv`"
        );
        assert_eq!(
            refused("-o yaml"),
            "`yaml` (from --output) is not a format; the formats are table, csv, json and ndjson"
        );
        assert_eq!(
            refused("-o json --out x.csv"),
            "`-o json` contradicts the ending of `--out x.csv`; leave out `-o`, or give the file another ending"
        );
        assert_eq!(
            refused("--out x.parquet"),
            "no format has the ending `.parquet`; say the format with `-o table`, `-o csv`, `-o json` or `-o ndjson`"
        );
        assert_eq!(
            refused("--coverage x.txt"),
            "`--coverage x.txt` has no ending that tells its format; end it with `.csv`, `.json` or `.ndjson`"
        );
        assert_eq!(
            refused("--spreadsheet -o json"),
            "`--spreadsheet` is for CSV; say `-o csv --spreadsheet`"
        );
        assert_eq!(
            refused("--region us-esat-1/"),
            "`us-esat-1/` (from --region) is not the name of a region; did you mean `us-east-1`?"
        );
    }

    #[test]
    fn what_the_environment_says_is_checked_too() {
        let error = settings("", &[("AWS_REGION", "x.evil.example/")]).expect_err("not a region");
        assert!(error.message.contains("AWS_REGION"), "{}", error.message);
        let error = settings("", &[("AWS_MAX_ATTEMPTS", "0")]).expect_err("not a number above 0");
        assert!(error.message.contains("AWS_MAX_ATTEMPTS"), "{}", error.message);
    }
}
