//! `--demo`: a simulated organization in this process, with a home folder of its own.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use ssoinv_sim::{Options, Organisation, Simulator, Token};
use tempfile::TempDir;

use crate::cli::DemoKind;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::exit_codes::ExitCode;

/// A demonstration. Dropping it stops the simulator and removes the home folder.
#[derive(Debug)]
pub(crate) struct Demo {
    pub(crate) environment: Environment,
    _simulator: Simulator,
    _home: TempDir,
}

impl Demo {
    /// Starts the simulator and writes the home folder, with a token if `signed_in`.
    pub(crate) fn start(
        kind: DemoKind,
        signed_in: bool,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        Self::try_start(kind, signed_in, environment).map_err(|error| {
            CommandError::new(ExitCode::OutputFailed, format!("the demonstration cannot start: {error}"))
                .with_hint("it needs a folder for temporary files and a free port on 127.0.0.1")
        })
    }

    fn try_start(kind: DemoKind, signed_in: bool, environment: &Environment) -> io::Result<Self> {
        let options = match kind {
            DemoKind::Plain => Options::default(),
            DemoKind::Faults => Options::demo_faults(),
        };
        // The simulated person approves at the first poll, which comes at once.
        let options = Options { device_interval: 0, ..options };
        let simulator = Simulator::start(Organisation::demo(), options)?;
        let home = tempfile::Builder::new().prefix("ssoinv-demo-").tempdir()?;
        let mut config = simulator.home().token(if signed_in { Token::Good } else { Token::None });
        if kind == DemoKind::Faults {
            config = config.text(&profile_in_a_dead_region(&simulator)?);
        }
        config.write(home.path())?;
        let environment = environment.for_demo(home.path().to_owned());
        Ok(Self { environment, _simulator: simulator, _home: home })
    }
}

/// Returns a profile whose region cannot be reached: its endpoints are closed ports.
fn profile_in_a_dead_region(simulator: &Simulator) -> io::Result<String> {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let organisation = simulator.organisation();
    let account = organisation.account(organisation.len() - 1);
    let session = organisation.sessions().first().map(|session| session.name.as_str()).unwrap_or_default();
    Ok(format!(
        "[profile {name}-sydney]\nsso_session = {session}\nsso_account_id = {id}\nsso_role_name = {role}\n\
         region = ap-southeast-2\nendpoint_url = {url}\nservices = sydney\n\n\
         [services sydney]\nec2 =\n  endpoint_url = http://{closed}\nlambda =\n  endpoint_url = http://{closed}\n",
        name = account.name,
        id = account.id,
        role = account.roles.first().map(String::as_str).unwrap_or_default(),
        url = simulator.url(),
    ))
}
