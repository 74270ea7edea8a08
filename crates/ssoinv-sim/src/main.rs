//! The simulator as a program: starts one, prints its URL and serves until a signal ends it. Everything else is in the
//! library.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::thread;

use clap::Parser;
use ssoinv_sim::{
    Control, Effect, Fault, Format, Limits, Lockout, Options, Organisation, OrganisationSpec, Rate, Service,
    Simulator, Token,
};

/// A simulated AWS organisation on 127.0.0.1.
#[derive(Debug, Parser)]
#[command(version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch")]
struct Arguments {
    /// Port; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The demo organisation (the default).
    #[arg(long, conflicts_with_all = ["organisation", "accounts"])]
    demo: bool,
    /// The demo organisation with its faults.
    #[arg(long, conflicts_with_all = ["organisation", "accounts"])]
    demo_faults: bool,
    /// An organisation from a JSON file.
    #[arg(long, value_name = "FILE", conflicts_with = "accounts")]
    organisation: Option<PathBuf>,
    /// An organisation of N accounts, made from a seed.
    #[arg(long, value_name = "N")]
    accounts: Option<usize>,
    /// The seed.
    #[arg(long, default_value_t = 1, requires = "accounts")]
    seed: u64,
    /// Buckets of an account.
    #[arg(long, default_value_t = 3, requires = "accounts")]
    buckets: usize,
    /// Instances of an account in each region.
    #[arg(long, default_value_t = 5, requires = "accounts")]
    instances: usize,
    /// Functions of an account in each region.
    #[arg(long, default_value_t = 3, requires = "accounts")]
    functions: usize,
    /// Regions with instances and functions.
    #[arg(long, value_delimiter = ',', requires = "accounts")]
    regions: Vec<String>,
    /// AWS's rate limits.
    #[arg(long)]
    limits: bool,
    /// Calls a second of the portal, after a burst of as many.
    #[arg(long, value_name = "N")]
    portal_rate: Option<f64>,
    /// Locks callers out of the portal for 30 seconds after N throttled calls within ten.
    #[arg(long, value_name = "N", requires = "portal_rate")]
    portal_lockout: Option<usize>,
    /// Milliseconds that each response takes.
    #[arg(long, value_name = "MS")]
    latency: Option<u64>,
    /// Seconds that role credentials live.
    #[arg(long, value_name = "SECONDS")]
    role_lifetime: Option<u32>,
    /// Base URL of an STS that issues the role credentials.
    #[arg(long, value_name = "URL")]
    upstream_sts: Option<String>,
    /// Writes `.aws/config` and a valid token below this folder.
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Writes `.aws/config` with profiles in the legacy format.
    #[arg(long, requires = "home")]
    legacy: bool,
    /// Writes no token.
    #[arg(long, requires = "home")]
    no_token: bool,
    /// Writes profiles with this role instead of each account's first.
    #[arg(long, value_name = "NAME", requires = "home")]
    role: Option<String>,
    /// Writes role credentials into the AWS CLI's cache.
    #[arg(long, requires = "home")]
    role_credentials: bool,
    /// Worker threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// The most calls that the log keeps.
    #[arg(long, default_value_t = 100_000)]
    call_log: usize,
}

fn organisation(arguments: &Arguments) -> io::Result<Organisation> {
    if let Some(file) = &arguments.organisation {
        return Organisation::from_file(file);
    }
    let Some(accounts) = arguments.accounts else { return Ok(Organisation::demo()) };
    let mut spec = OrganisationSpec {
        seed: arguments.seed,
        accounts,
        buckets: arguments.buckets,
        instances: arguments.instances,
        functions: arguments.functions,
        ..OrganisationSpec::default()
    };
    if !arguments.regions.is_empty() {
        spec.regions.clone_from(&arguments.regions);
    }
    Ok(Organisation::from_spec(spec))
}

/// Raises the limit of open files as far as the system allows: each connection is one.
#[cfg(unix)]
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Some systems have an upper bound of their own below the maximum; the old limit then stays.
    let _kept = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

#[cfg(not(unix))]
fn raise_open_files() {}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    raise_open_files();
    let mut options = if arguments.demo_faults { Options::demo_faults() } else { Options::default() };
    options.port = arguments.port;
    options.threads = arguments.threads;
    options.call_log = arguments.call_log;
    options.upstream_sts.clone_from(&arguments.upstream_sts);
    options.role_lifetime = arguments.role_lifetime;
    if arguments.limits {
        options.limits = Limits::aws();
    }
    if let Some(rate) = arguments.portal_rate {
        options.limits = options.limits.rate(Service::PORTAL, Rate { burst: rate, per_second: rate });
    }
    options.limits.portal_lockout =
        arguments.portal_lockout.map(|refusals| Lockout { refusals, within: 10.0, seconds: 30.0 });
    if let Some(millis) = arguments.latency {
        options.controls.push(Control::Fault(Fault::new(Effect::Latency(millis))));
    }
    let simulator = Simulator::start(organisation(&arguments)?, options)?;
    if let Some(folder) = &arguments.home {
        let format = if arguments.legacy { Format::Legacy } else { Format::SsoSession };
        let token = if arguments.no_token { Token::None } else { Token::Good };
        let mut home = simulator.home().format(format).token(token);
        if let Some(role) = &arguments.role {
            home = home.roles(&[role]);
        }
        if arguments.role_credentials {
            home = home.role_credentials();
        }
        home.write(folder)?;
    }
    let mut out = io::stdout();
    writeln!(out, "{}", simulator.url())?;
    out.flush()?;
    loop {
        thread::park();
    }
}
