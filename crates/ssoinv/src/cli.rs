//! Station 1: the command line. clap only: what is asked, not what it means. [`crate::settings`] resolves it.
//!
//! A flag that can be set elsewhere has no default here, so that it is known whether it was typed; a switch has a hidden
//! opposite, which takes back what is set.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::exit_codes;
use crate::settings::values;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Lists and audits every AWS account that one IAM Identity Center sign-in reaches
///
/// ssoinv reads; it changes nothing in AWS. Rows go to stdout, everything else to stderr. Flags that you would type each
/// time can be set: see `ssoinv settings`.
#[derive(Debug, Parser)]
#[command(name = "ssoinv", version, styles = STYLES, after_help = exit_codes::HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List S3 buckets
    Buckets(CollectArgs),
    /// List EC2 instances
    Instances(CollectArgs),
    /// List Lambda functions
    Functions(CollectArgs),
    /// List the rows of any tables
    List(ListArgs),
    /// Go on with a run that was kept by --run: collect what is missing, failed or too old, and write the whole output
    Resume(ResumeArgs),
    /// Show or remove the runs that are kept
    Runs(RunsArgs),
    /// Show what a command would ask, where, as whom, with how many calls, and about how long it would take
    Plan(PlanArgs),
    /// Sign in: to an sso-session on a page in a browser, else with a code
    Login(LoginArgs),
    /// Sign out: end the token, and remove it and the cached role credentials
    Logout(LogoutArgs),
    /// Show whose credentials the profiles have, and how long the sign-in lasts
    Whoami(WhoamiArgs),
    /// Show every account that the sign-in reaches
    Accounts(AccountsArgs),
    /// Show every role that the sign-in has in every account
    Roles(AccountsArgs),
    /// Look at the files, the sign-ins and the accounts step by step, and say what is wrong and how to cure it
    Doctor(DoctorArgs),
    /// Show every profile: its kind, account, role, session, and what is wrong with it
    Profiles(ProfilesArgs),
    /// Show the tables, or the columns of one
    Tables(TablesArgs),
    /// Show what is set in config.toml and in variables, and what can be
    Settings(SettingsArgs),
}

impl Command {
    /// The tables that the command collects.
    pub(crate) fn tables(&self) -> Vec<&str> {
        match self {
            Self::Buckets(_) => vec!["aws_s3_bucket"],
            Self::Instances(_) => vec!["aws_ec2_instance"],
            Self::Functions(_) => vec!["aws_lambda_function"],
            Self::List(args) => args.tables.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// The command line. What of `resume` must be as it was is known there, so that it can be told from what it was, and not
/// shown.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommand("resume", |resume| {
        resume.mut_args(|arg| {
            let selects = arg.get_help_heading() == Some("Selection");
            if selects { arg.hide(true) } else { arg }
        })
    })
}

#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Use a made-up organisation, simulated in this process; `--demo=faults` shows what failures look like
    #[arg(long, global = true, value_name = "KIND", num_args = 0..=1, require_equals = true, default_missing_value = "plain")]
    pub(crate) demo: Option<DemoKind>,

    /// Say nothing when all is well
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more: every warning by name (-v), every retry and every task (-vv)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// When to colour what is said
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: ColorWhen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DemoKind {
    /// All is well
    Plain,
    /// A denied account, an SCP, a dead region, throttling, a token that ends on the way
    Faults,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The tables, see `ssoinv tables`; or `buckets`, `instances`, `functions`
    #[arg(required = true, value_name = "TABLE")]
    pub(crate) tables: Vec<String>,
    #[command(flatten)]
    pub(crate) collect: CollectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CollectArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) collect_output: CollectOutputArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,

    /// Show what would be asked, as `ssoinv plan` does, instead of asking it
    #[arg(long, help_heading = "Run")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct KeepArgs {
    /// Keep the run on disk under this name, so that `ssoinv resume NAME` can go on with it, however it ends
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
}

/// The flags of the first command can be said again, and mean something else then. Which rows there are (accounts,
/// regions, columns, ...) must stay as it was.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run [default: the last one]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Collect anew what is older than this [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = values::age)]
    pub(crate) max_age: Option<Duration>,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) collect_output: CollectOutputArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    pub(crate) command: RunsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List the runs: how each stands, and what it takes of the disk
    List(RunsListArgs),
    /// Show what the tasks of a run have ended with so far
    Show(RunsShowArgs),
    /// Remove runs and all that they have collected; never one that is under way
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunsListArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunsShowArgs {
    /// The run
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[group(required = true)]
pub(crate) struct PruneArgs {
    /// The runs
    #[arg(value_name = "NAME", conflicts_with_all = ["older_than", "all"])]
    pub(crate) names: Vec<String>,

    /// Those that have done nothing for this time, like 30d
    #[arg(long, value_name = "TIME", value_parser = values::time, conflicts_with = "all")]
    pub(crate) older_than: Option<Duration>,

    /// All
    #[arg(long)]
    pub(crate) all: bool,
}

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
    /// As the command that is planned would be given them.
    pub(crate) fn of_run(&self) -> CollectArgs {
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

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectionArgs {
    #[command(flatten)]
    pub(crate) profiles: ProfileArgs,

    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    /// Use every account that the sign-in reaches, with no profile for it
    #[arg(long, conflicts_with_all = ["profile", "all_profiles", "ambient", "assume_role"])]
    pub(crate) all_accounts: bool,

    /// The role to take in each account: names or globs, in order of preference [default: one that is known to read only,
    /// by its name]
    #[arg(long, value_name = "ROLE", value_delimiter = ',')]
    pub(crate) role: Vec<String>,

    #[command(flatten)]
    pub(crate) accounts: AccountArgs,

    /// What should be there: accounts, and gaps that are expected, in a file of CSV, TOML, or JSON as `aws organizations
    /// list-accounts` prints it; several, one after the other
    #[arg(long, value_name = "FILE")]
    pub(crate) expect: Vec<String>,

    /// Regions to ask for regional tables: names or globs, several with commas, or `all` that are enabled in the account
    /// [default: AWS_REGION, AWS_DEFAULT_REGION, each profile's own; with --all-accounts, `all`]
    #[arg(long, short, value_name = "REGION", value_delimiter = ',')]
    pub(crate) region: Vec<String>,

    /// Keep the roles of one account apart, and ask with each
    #[arg(long)]
    pub(crate) every_role: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct AccountArgs {
    /// The sso-session whose accounts are meant [default: that of AWS_PROFILE or `default`, else the only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) sso_session: Option<String>,

    /// Only these accounts: IDs, globs of names, or a file of IDs; several with commas. With --assume-role, `all` are the
    /// active ones of the organisation
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    pub(crate) account: Vec<String>,

    /// Not these accounts: IDs, globs of names, or a file of IDs; several with commas
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    pub(crate) exclude_account: Vec<String>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct ProfileArgs {
    /// Profiles to use: names or globs, several with commas [default: AWS_PROFILE, AWS_DEFAULT_PROFILE, `default`]
    #[arg(long, short, value_name = "NAME", conflicts_with = "all_profiles")]
    pub(crate) profile: Vec<String>,

    /// Use every profile
    #[arg(long)]
    pub(crate) all_profiles: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct IdentityArgs {
    /// Use no profile, but what this machine is: keys in the environment, a web identity, the role of the container or of
    /// the EC2 instance [default where no profile is named and there is no `default`]
    #[arg(long, conflicts_with_all = ["profile", "all_profiles"])]
    pub(crate) ambient: bool,

    /// Assume the role of this name in each account of --account, from the one profile or from what this machine is
    #[arg(long, value_name = "ROLE", requires = "account", conflicts_with = "all_profiles")]
    pub(crate) assume_role: Option<String>,

    /// The external ID that the role asks for
    #[arg(long, value_name = "ID", requires = "assume_role")]
    pub(crate) external_id: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Sign-in")]
pub(crate) struct SignInArgs {
    /// Never ask anybody to sign in; `CI=true` says the same
    #[arg(long, overrides_with = "input")]
    pub(crate) no_input: bool,

    #[arg(long, hide = true, overrides_with = "no_input")]
    pub(crate) input: bool,

    /// Show a code to approve in any browser, instead of a page that comes back to this machine
    #[arg(long, overrides_with = "no_use_device_code")]
    pub(crate) use_device_code: bool,

    #[arg(long, hide = true, overrides_with = "use_device_code")]
    pub(crate) no_use_device_code: bool,

    /// Print the address to sign in at, open no browser
    #[arg(long, overrides_with = "browser")]
    pub(crate) no_browser: bool,

    #[arg(long, hide = true, overrides_with = "no_browser")]
    pub(crate) browser: bool,

    /// Let the browser come back to this port of this machine, as through `ssh -L` [default: any free one]
    #[arg(long, value_name = "PORT", conflicts_with = "use_device_code", value_parser = values::port)]
    pub(crate) redirect_port: Option<u16>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Sign-in")]
pub(crate) struct CredentialArgs {
    /// Run no `credential_process`
    #[arg(long, overrides_with = "credential_process")]
    pub(crate) no_credential_process: bool,

    #[arg(long, hide = true, overrides_with = "no_credential_process")]
    pub(crate) credential_process: bool,

    /// Share no role credentials with the AWS CLI and later runs: neither read nor write `~/.aws/cli/cache`
    #[arg(long, overrides_with = "credential_cache")]
    pub(crate) no_credential_cache: bool,

    #[arg(long, hide = true, overrides_with = "no_credential_cache")]
    pub(crate) credential_cache: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The format: table, csv, json or ndjson [default: by the ending of --out, else table]
    #[arg(long, short, value_name = "FORMAT")]
    pub(crate) output: Option<String>,

    /// Write to FILE instead of stdout; several tables as CSV go into a folder
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// The columns to show, several with commas; `tags.Owner` is a tag
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', conflicts_with = "wide")]
    pub(crate) columns: Vec<String>,

    /// Show all columns in tables, too
    #[arg(long, overrides_with = "no_wide")]
    pub(crate) wide: bool,

    #[arg(long, hide = true, overrides_with = "wide")]
    pub(crate) no_wide: bool,

    /// Leave out the header
    #[arg(long)]
    pub(crate) no_header: bool,

    /// Make CSV that spreadsheets read as it is meant: BOM, CRLF, no formulas, IDs as text
    #[arg(long, overrides_with = "no_spreadsheet")]
    pub(crate) spreadsheet: bool,

    #[arg(long, hide = true, overrides_with = "spreadsheet")]
    pub(crate) no_spreadsheet: bool,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct CollectOutputArgs {
    /// Write the coverage ledger, how each planned cell ended, to FILE (.csv, .json, .ndjson)
    #[arg(long, value_name = "FILE")]
    pub(crate) coverage: Option<PathBuf>,

    /// Keep secret values that live in the inventory, like environment variables of functions
    #[arg(long)]
    pub(crate) include_secrets: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct RunArgs {
    /// Calls under way at once [default: 64]
    #[arg(long, value_name = "N", value_parser = values::concurrency)]
    pub(crate) concurrency: Option<usize>,

    /// Stop after this time, like 45m, and write what is there
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) max_time: Option<Duration>,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct LimitArgs {
    /// How long a throttled call is tried again, in all [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) retry_time: Option<Duration>,

    /// Calls a second to the portal of IAM Identity Center, at most [default: 20]
    #[arg(long, value_name = "N", value_parser = values::portal_rate)]
    pub(crate) portal_rate: Option<u32>,

    /// How long connecting may take [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) connect_timeout: Option<Duration>,

    /// How long one attempt at a call may take [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) attempt_timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The sso-session to sign in to [default: that of AWS_PROFILE or `default`, else the only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) sso_session: Option<String>,

    /// Sign in to the sso-session or start URL of this profile
    #[arg(long, short, value_name = "NAME", conflicts_with = "sso_session")]
    pub(crate) profile: Option<String>,

    /// Sign in to each, one after the other
    #[arg(long, conflicts_with_all = ["sso_session", "profile"])]
    pub(crate) all: bool,

    /// Sign in here though no config knows it; prints the section to add, named by --sso-session
    #[arg(long, value_name = "URL", requires = "sso_region", conflicts_with_all = ["profile", "all"])]
    pub(crate) start_url: Option<String>,

    /// The region of the Identity Center behind --start-url
    #[arg(long, value_name = "REGION", requires = "start_url")]
    pub(crate) sso_region: Option<String>,

    /// Add the section to the config file instead, and keep a copy of what it was
    #[arg(long, requires = "start_url")]
    pub(crate) write: bool,

    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The sso-session to sign out of [default: that of AWS_PROFILE or `default`, else the only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) sso_session: Option<String>,

    /// Sign out of all, those that no config knows any more too
    #[arg(long, conflicts_with = "sso_session")]
    pub(crate) all: bool,

    /// Leave the cached role credentials, which are good until they end by themselves
    #[arg(long)]
    pub(crate) keep_credentials: bool,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WhoamiArgs {
    #[command(flatten)]
    pub(crate) profiles: ProfileArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AccountsArgs {
    #[command(flatten)]
    pub(crate) accounts: AccountArgs,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
#[command(after_long_help = DOCTOR_HELP)]
pub(crate) struct DoctorArgs {
    /// Look only at what concerns these profiles: names or globs, several with commas [default: all]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) profile: Vec<String>,

    /// Look at the files only, ask nobody
    #[arg(long)]
    pub(crate) offline: bool,

    /// Print the change to the files that cures what needs no judgement, as a diff for `patch -d / -p1`; apply nothing
    #[arg(long, conflicts_with_all = ["output", "out", "columns", "wide", "no_header", "spreadsheet"])]
    pub(crate) fix: bool,

    /// Run no `credential_process`
    #[arg(long)]
    pub(crate) no_credential_process: bool,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// What `doctor` does, and what it doesn't.
const DOCTOR_HELP: &str = "\
It signs in to nothing, refreshes nothing and changes no file. A step that could not be done is said to be not done. \
It ends with 1 where it finds an error, else with 0.

`ssoinv doctor --fix --offline | patch -d / -p1` applies the change that it proposes: the paths in the diff start at \
the root. What it finds goes to stderr then. Lines that may hold a secret are never part of the diff.

With `-o json`, `csv` or `ndjson` there is a row for each finding, and one for each step without any.";

#[derive(Debug, Args)]
pub(crate) struct ProfilesArgs {
    /// The profiles to show: names or globs [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TablesArgs {
    /// The table whose columns to show
    #[arg(value_name = "TABLE")]
    pub(crate) table: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
