//! Groups of command-line arguments that several verbs share.
//!
//! clap declarations only: [`crate::settings`] resolves them, and each verb in [`crate::commands`] flattens the groups it
//! takes beside its own arguments. A flag that can also be set elsewhere has no default here, so that typed flags can be
//! told apart. A switch has a hidden opposite that overrides a setting.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use crate::settings::values;
use crate::terminal::ColorWhen;

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

    /// Write how the command ended to FILE, as JSON: exit code, reasons, whether all is complete, counts by status and
    /// account
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) status: Option<PathBuf>,

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
