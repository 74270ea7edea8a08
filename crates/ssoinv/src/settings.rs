//! Station 2: flag > environment > file, resolved once, into plain structs. Nothing behind this module reads a flag or a
//! variable of ssoinv's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::scope::{KNOWN_REGIONS, is_region_name};
use ssoinv_output::Format;
use ssoinv_sso::profile::nearest;
use ssoinv_sso::session::{Flow, Interaction};

use crate::account_list::AccountList;
use crate::app::App;
use crate::browser::Browser;
use crate::cli::{
    CollectArgs, CredentialArgs, DoctorArgs, IdentityArgs, LimitArgs, OutputArgs, ProfileArgs, SelectionArgs,
    SignInArgs,
};
use crate::command_error::CommandError;
use crate::env_vars::Environment;

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
    /// `--region`.
    Flag(Vec<Arc<str>>),
    /// A variable with one region.
    Variable { name: &'static str, region: Arc<str> },
    /// Each profile's own.
    Profiles,
}

impl RegionSource {
    fn new(args: &SelectionArgs, environment: &Environment) -> Result<Self, CommandError> {
        let mut regions: Vec<Arc<str>> = Vec::new();
        for region in args.region.iter().map(|region| region.trim()).filter(|region| !region.is_empty()) {
            check_region(region, "--region")?;
            if !regions.iter().any(|known| **known == *region) {
                regions.push(region.into());
            }
        }
        if !regions.is_empty() {
            return Ok(Self::Flag(regions));
        }
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            if let Some(region) = environment.get(name) {
                check_region(region, name)?;
                return Ok(Self::Variable { name, region: region.into() });
            }
        }
        Ok(Self::Profiles)
    }

    /// For the summary.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Flag(_) => "from `--region`".to_owned(),
            Self::Variable { name, .. } => format!("from `{name}`"),
            Self::Profiles => "from the profiles".to_owned(),
        }
    }
}

/// A region becomes part of host names, so anything else is refused; so is a word that no region looks like.
fn check_region(region: &str, source: &str) -> Result<(), CommandError> {
    let looks_like_one = region.matches('-').count() >= 2 && region.ends_with(|c: char| c.is_ascii_digit());
    if is_region_name(region) && looks_like_one {
        return Ok(());
    }
    let error = CommandError::usage(format!("`{region}` (from {source}) is not the name of a region"));
    Err(match nearest(region, KNOWN_REGIONS.iter().copied()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint("a region's name looks like `eu-central-1`"),
    })
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
    pub(crate) fn new(args: &OutputArgs) -> Result<Self, CommandError> {
        let settings = Self {
            format: format(args)?,
            out: args.out.clone(),
            columns: args.columns.clone(),
            wide: args.wide,
            header: !args.no_header,
            spreadsheet: args.spreadsheet,
        };
        if settings.spreadsheet && settings.format != Format::Csv {
            return Err(
                CommandError::usage("`--spreadsheet` is for CSV").with_hint("say `-o csv --spreadsheet`")
            );
        }
        Ok(settings)
    }
}

fn format(args: &OutputArgs) -> Result<Format, CommandError> {
    let by_ending = args.out.as_deref().and_then(format_of);
    let Some(name) = &args.output else {
        return match (&args.out, by_ending) {
            (None, _) => Ok(Format::Table),
            (Some(_), Some(format)) => Ok(format),
            // `--out DIR/`, a device, or an ending that says nothing: only a known other format is a mistake.
            (Some(out), None) => match unknown_ending(out) {
                Some(ending) => Err(CommandError::usage(format!("no format has the ending `.{ending}`"))
                    .with_hint("say the format with `-o table`, `-o csv`, `-o json` or `-o ndjson`")),
                None => Ok(Format::Table),
            },
        };
    };
    let Some(format) = Format::from_name(name) else {
        let error = CommandError::usage(format!("`{name}` is not a format"));
        return Err(if name.contains(['.', '/', '\\']) {
            error.with_hint(format!("to write to a file, say `--out {}`", crate::summary::quoted(name)))
        } else {
            error.with_hint("the formats are table, csv, json and ndjson")
        });
    };
    match (&args.out, by_ending) {
        (Some(out), Some(other)) if other != format => {
            let message = format!("`-o {name}` contradicts the ending of `--out {}`", out.display());
            Err(CommandError::usage(message).with_hint("leave out `-o`, or give the file another ending"))
        }
        _ => Ok(format),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignInSettings {
    /// Nobody is to be asked, said by the flag.
    pub(crate) no_input: bool,
    /// This is a job of a CI service.
    pub(crate) is_ci: bool,
    /// Somebody reads what is said, and approves the code.
    pub(crate) use_device_code: bool,
    pub(crate) flow: Flow,
    pub(crate) browser: Browser,
}

impl SignInSettings {
    pub(crate) fn new(args: &SignInArgs, environment: &Environment) -> Self {
        // Whoever names a port has seen to it that the browser can come back to it.
        let comes_back = args.redirect_port.is_some() || environment.browser_comes_back();
        Self {
            no_input: args.no_input,
            is_ci: environment.is_ci(),
            use_device_code: args.use_device_code,
            flow: if comes_back && !args.use_device_code {
                Flow::Page { redirect_port: args.redirect_port }
            } else {
                Flow::DeviceCode
            },
            browser: if args.no_browser { Browser::None } else { Browser::System },
        }
    }

    /// Whether a collecting command may ask somebody. Whoever wants a code reads it, even where no terminal is.
    pub(crate) fn asking(self, app: &App) -> Asking {
        if app.demo {
            return Asking::DEMO;
        }
        let somebody = self.use_device_code || (app.terminal.on_stderr && !self.is_ci);
        let asked = somebody && !self.no_input;
        let interaction = if asked { Interaction::Person } else { Interaction::Nobody };
        Asking { interaction, flow: self.flow }
    }
}

/// Whether a command may ask somebody to sign in, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    pub(crate) interaction: Interaction,
    pub(crate) flow: Flow,
}

impl Asking {
    pub(crate) const NOBODY: Self = Self { interaction: Interaction::Nobody, flow: Flow::DeviceCode };

    /// A simulated person, to whom no browser comes back.
    pub(crate) const DEMO: Self = Self { interaction: Interaction::Person, flow: Flow::DeviceCode };
}

/// How credentials are got and calls are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StationSettings {
    pub(crate) run_processes: bool,
    pub(crate) refresh_tokens: bool,
    pub(crate) credential_cache: bool,
    pub(crate) concurrency: usize,
    pub(crate) policy: RetryPolicy,
    pub(crate) connect_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
}

/// Attempts at a call that fails transiently, where `AWS_MAX_ATTEMPTS` says nothing.
const MAX_ATTEMPTS: u32 = 5;

/// Calls at once of commands that make few.
const FEW: usize = 16;

impl StationSettings {
    /// For commands that are about the sign-in itself.
    pub(crate) fn of_sign_in(limits: &LimitArgs, environment: &Environment) -> Result<Self, CommandError> {
        Self::new(&CredentialArgs::default(), limits, FEW, environment)
    }

    /// For who only looks: no file of the caches is written, and no token refreshed.
    pub(crate) fn looking_only(
        args: &DoctorArgs,
        concurrency: usize,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let credentials =
            CredentialArgs { no_credential_process: args.no_credential_process, no_credential_cache: true };
        let settings = Self::new(&credentials, &args.limits, concurrency, environment)?;
        Ok(Self { refresh_tokens: false, ..settings })
    }

    pub(crate) fn new(
        args: &CredentialArgs,
        limits: &LimitArgs,
        concurrency: usize,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let max_attempts = match environment.get("AWS_MAX_ATTEMPTS") {
            None => MAX_ATTEMPTS,
            Some(text) => text.parse().ok().filter(|&number| number > 0).ok_or_else(|| {
                CommandError::usage(format!("`AWS_MAX_ATTEMPTS` is `{text}`, which is not a number above 0"))
            })?,
        };
        Ok(Self {
            run_processes: !args.no_credential_process,
            refresh_tokens: true,
            credential_cache: !args.no_credential_cache,
            concurrency,
            policy: RetryPolicy { max_attempts, throttle_budget: limits.retry_time },
            connect_timeout: limits.connect_timeout,
            attempt_timeout: limits.attempt_timeout,
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
    fn new(args: &IdentityArgs) -> Result<Option<Self>, CommandError> {
        let (Some(role), Some(account)) = (&args.assume_role, &args.account) else { return Ok(None) };
        let (accounts, external_id) = (AccountList::parse(account)?, args.external_id.clone());
        Ok(Some(Self { role: role.clone(), accounts, external_id }))
    }
}

/// Everything that a collecting command was asked for.
#[derive(Clone, Debug)]
pub(crate) struct CollectSettings {
    pub(crate) profiles: ProfileChoice,
    /// What the machine is, and no profile.
    pub(crate) ambient: bool,
    pub(crate) assume: Option<AssumeSettings>,
    pub(crate) regions: RegionSource,
    pub(crate) every_role: bool,
    pub(crate) sign_in: SignInSettings,
    pub(crate) station: StationSettings,
    pub(crate) output: OutputSettings,
    pub(crate) coverage: Option<(PathBuf, Format)>,
    pub(crate) include_secrets: bool,
    pub(crate) max_time: Option<Duration>,
}

impl CollectSettings {
    pub(crate) fn new(args: &CollectArgs, environment: &Environment) -> Result<Self, CommandError> {
        Ok(Self {
            profiles: ProfileChoice::new(&args.selection.profiles, environment),
            ambient: args.selection.identity.ambient,
            assume: AssumeSettings::new(&args.selection.identity)?,
            regions: RegionSource::new(&args.selection, environment)?,
            every_role: args.selection.every_role,
            sign_in: SignInSettings::new(&args.sign_in, environment),
            station: StationSettings::new(
                &args.credentials,
                &args.run.limits,
                args.run.concurrency,
                environment,
            )?,
            output: OutputSettings::new(&args.output)?,
            coverage: args.collect_output.coverage.clone().map(coverage).transpose()?,
            include_secrets: args.collect_output.include_secrets,
            max_time: args.run.max_time,
        })
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
    use crate::cli::{Cli, Command};

    fn settings(arguments: &str, variables: &[(&str, &str)]) -> Result<CollectSettings, CommandError> {
        let arguments = ["ssoinv", "buckets"].into_iter().chain(arguments.split_whitespace());
        let Command::Buckets(args) = Cli::try_parse_from(arguments).expect("arguments").command else {
            panic!("not buckets")
        };
        let vars = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CollectSettings::new(&args, &Environment { vars, home: None })
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
        assert_eq!(found.regions, RegionSource::Flag(vec!["us-east-1".into(), "us-east-2".into()]));
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
            "`report.csv` is not a format; to write to a file, say `--out report.csv`"
        );
        assert_eq!(refused("-o yaml"), "`yaml` is not a format; the formats are table, csv, json and ndjson");
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
