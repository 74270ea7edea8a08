//! With the AWS CLI itself: what one of the two has got, the other uses (tokens, registrations and role credentials, in
//! both formats), and what one has ended, the other uses no more.
//!
//! Any version 2 on this machine will do, such as Debian's package `awscli`. It calls AWS's own host names, which are the
//! simulator's through its proxy, so nothing of it is replaced. Where there is none the tests are ignored, whether or not
//! ignored tests are asked for: `independent.rs` shows the same with botocore, which is what the AWS CLI is built on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use ssoinv_sim::{Approval, Control, Format, Options, Service};

use crate::support::{Live, Run, World, finish_within, get, hermetic, run, seeded};
use crate::{Without, needing};

type Test = fn(&AwsCli);

pub(crate) fn tests(arguments: &Arguments) -> Vec<Trial> {
    let tests: [(&str, Test); 6] = [
        ("each_refreshes_what_the_other_has_got", each_refreshes_what_the_other_has_got),
        ("it_uses_tokens_of_ssoinv", it_uses_tokens_of_ssoinv),
        ("registrations_serve_both_where_they_fit", registrations_serve_both_where_they_fit),
        ("role_credentials_serve_both", role_credentials_serve_both),
        ("signing_out_of_one_is_signing_out_of_both", signing_out_of_one_is_signing_out_of_both),
        ("ssoinv_uses_its_tokens", ssoinv_uses_its_tokens),
    ];
    let trial = |(name, test)| {
        needing(&format!("aws_cli::{name}"), (AwsCli::get, Without::IsIgnored), test, arguments)
    };
    tests.into_iter().map(trial).collect()
}

/// An AWS CLI of version 2.
#[derive(Debug)]
struct AwsCli {
    program: PathBuf,
    /// Whether it signs in on a page, too: from 2.22 on, for sso-sessions.
    pages: bool,
}

/// How one signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    DeviceCode,
    Page,
}

/// The longest that a program may take to tell its version.
const VERSION_PATIENCE: Duration = Duration::from_mins(1);

impl AwsCli {
    /// The first on this machine, or why there is none.
    fn get() -> Result<&'static Self, &'static str> {
        static AWS: OnceLock<Result<AwsCli, String>> = OnceLock::new();
        AWS.get_or_init(Self::find).as_ref().map_err(String::as_str)
    }

    /// Looks where programs are found, and where packages put it: a version 1, or a stand-in for none, may come first.
    #[expect(clippy::disallowed_methods, reason = "the tests' own environment says where programs are")]
    fn find() -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let usual = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
        let mut others = Vec::new();
        for folder in std::env::split_paths(&path).chain(usual) {
            let program = folder.join("aws");
            if !program.is_file() {
                continue;
            }
            match version(&program) {
                Ok((2, minor)) => return Ok(Self { program, pages: minor >= 22 }),
                Ok((major, minor)) => others.push(format!("`{}` is {major}.{minor}", program.display())),
                Err(said) => others.push(format!("`{}` {said}", program.display())),
            }
        }
        others.dedup();
        let found = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
        Err(format!("there is no AWS CLI of version 2, such as Debian's package `awscli`{found}"))
    }

    /// The flows that it has for a format.
    fn flows(&self, format: Format) -> &'static [Flow] {
        let pages = self.pages && format == Format::SsoSession;
        if pages { &[Flow::DeviceCode, Flow::Page] } else { &[Flow::DeviceCode] }
    }

    fn command(&self, world: &World, arguments: &str) -> Command {
        let mut command = world.command_of(&self.program, arguments);
        // It pages and asks where it takes its output for a terminal.
        command.env("AWS_PAGER", "").env("AWS_CLI_AUTO_PROMPT", "off");
        command
    }

    fn run(&self, world: &World, arguments: &str) -> Run {
        run(self.command(world, arguments))
    }

    /// `aws sso login`, by a person who agrees.
    fn signs_in(&self, world: &World, flow: Flow) {
        let mut arguments = format!("sso login --profile {} --no-browser", profile(world));
        if self.pages && flow == Flow::DeviceCode {
            arguments.push_str(" --use-device-code");
        }
        let live = Live::start(self.command(world, &arguments));
        if flow == Flow::Page {
            let whole =
                |text: &str| text.split_once("/authorize?").is_some_and(|(_, rest)| rest.contains('\n'));
            let said = live.stdout.as_ref().expect("a pipe").until(whole);
            open_page(world, said.lines().find(|line| line.contains("/authorize?")).expect("an address"));
        }
        let run = live.finish().0.ended(0);
        assert!(run.stdout.contains("Successfully logged into Start URL: https://acme0."), "{run:#?}");
        // The second poll was the one that was agreed to, so it has shown a code.
        assert_eq!(run.stdout.contains("Then enter the code:"), flow == Flow::DeviceCode, "{run:#?}");
    }

    /// What GetCallerIdentity tells it.
    fn caller(&self, world: &World) -> Value {
        self.run(world, &format!("sts get-caller-identity --output json --profile {}", profile(world)))
            .ended(0)
            .json()
    }

    /// Calls AWS as the first profile's role, in its account.
    fn works(&self, world: &World) {
        assert_eq!(self.caller(world)["Account"], world.simulator.organisation().account(0).id);
    }

    /// Can't call AWS, and says that it is for want of a sign-in.
    fn needs_a_sign_in(&self, world: &World) {
        let run = self.run(world, &format!("sts get-caller-identity --profile {}", profile(world)));
        assert_ne!(run.code, Some(0), "{run:#?}");
        run.said("SSO");
    }
}

/// What a program says of its version, which it says on stdout from 2 on.
fn version(program: &Path) -> Result<(u32, u32), String> {
    let mut command = hermetic(program);
    command.arg("--version").env("HOME", env!("CARGO_TARGET_TMPDIR"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let run = finish_within(child.map_err(|error| format!("doesn't start: {error}"))?, VERSION_PATIENCE);
    let number = |part: Option<&str>| part.and_then(|part| part.parse().ok());
    let said = run.stdout.strip_prefix("aws-cli/").or(run.stderr.strip_prefix("aws-cli/"));
    let mut parts = said.unwrap_or_default().split(['.', ' ']);
    let (major, minor) = (number(parts.next()), number(parts.next()));
    major.zip(minor).ok_or_else(|| "tells no version".to_owned())
}

/// Two accounts behind AWS's own names, and a home without a token.
fn world(format: Format) -> World {
    let options = Options { approval: Approval::AtPoll(2), device_interval: 0, ..Options::default() };
    World::with_home_through_the_proxy(seeded(2), options, |home| home.format(format))
}

/// The name of a home's first profile.
fn profile(world: &World) -> String {
    let config = fs::read_to_string(world.home.path().join(".aws/config")).expect("a config");
    let (_, rest) = config.split_once("[profile ").expect("a profile");
    rest.split_once(']').expect("a header").0.to_owned()
}

/// What a browser does with a page of the sign-in service: it has AWS's own name, and sends back to this machine.
fn open_page(world: &World, address: &str) {
    let (_, page) = address.trim().split_once(".amazonaws.com/").expect("AWS's own name");
    get(&get(&format!("{}/{page}", world.simulator.url())).location());
}

/// `ssoinv login`, by a person who agrees.
fn ssoinv_signs_in(world: &World, flow: Flow) {
    if flow == Flow::DeviceCode {
        world.run("login --use-device-code").ended(0).said("shows the code ");
        return;
    }
    let mut command = world.command("login --no-browser");
    command.env("DISPLAY", ":0");
    let live = Live::start(command);
    let said = live.stderr_until(|text| text.contains("/authorize?") && text.ends_with('\n'));
    let (_, rest) = said.split_once(": open ").expect("an address");
    open_page(world, rest.lines().next().expect("a line"));
    live.finish().0.ended(0);
}

/// `ssoinv buckets` without a person finds what is there.
fn ssoinv_works(world: &World, options: &str) {
    let run = world.run(&format!("buckets --all-profiles --no-input -o json {options}"));
    assert_eq!(run.ended(0).rows().len(), 6);
}

/// `ssoinv buckets` without a person says that somebody must sign in.
fn ssoinv_needs_a_sign_in(world: &World) {
    let run = world.run("buckets --all-profiles --no-input").ended(3);
    run.said("not signed in to ").said("hint: run `ssoinv login --profile ");
}

/// Nobody was asked but AWS, and no refresh token was used twice.
fn all_was_well(world: &World) {
    assert_eq!(world.simulator.unknown_hosts(), Vec::<String>::new());
    assert_eq!(world.simulator.reuses(), 0);
}

fn forget(world: &World, folder: &str) {
    fs::remove_dir_all(world.home.path().join(folder)).expect("it was there");
}

fn ssoinv_uses_its_tokens(aws: &AwsCli) {
    for format in [Format::SsoSession, Format::Legacy] {
        for flow in aws.flows(format) {
            let world = world(format);
            aws.signs_in(&world, *flow);
            let before = world.calls_of(Service::OIDC);
            assert!(before >= 2, "there was a sign-in");
            ssoinv_works(&world, "");
            assert_eq!(world.calls_of(Service::OIDC), before, "{format:?}, {flow:?}");
            all_was_well(&world);
        }
    }
    // An sso-session that names no scopes.
    let world = world(Format::SsoSession);
    let config = world.home.path().join(".aws/config");
    let text = fs::read_to_string(&config).expect("a config");
    fs::write(&config, text.replace("sso_registration_scopes = sso:account:access\n", "")).expect("written");
    aws.signs_in(&world, Flow::DeviceCode);
    let before = world.calls_of(Service::OIDC);
    ssoinv_works(&world, "");
    assert_eq!(world.calls_of(Service::OIDC), before);
}

fn it_uses_tokens_of_ssoinv(aws: &AwsCli) {
    for (format, flow) in [
        (Format::SsoSession, Flow::Page),
        (Format::SsoSession, Flow::DeviceCode),
        (Format::Legacy, Flow::DeviceCode),
    ] {
        let world = world(format);
        ssoinv_signs_in(&world, flow);
        let before = world.calls_of(Service::OIDC);
        assert!(before >= 2, "there was a sign-in");
        aws.works(&world);
        assert_eq!(world.simulator.count(Service::PORTAL, "GetRoleCredentials"), 1);
        assert_eq!(world.calls_of(Service::OIDC), before, "{format:?}, {flow:?}");
        all_was_well(&world);
    }
}

/// Each token has ten minutes by its file, less than either leaves it; the next lives for an hour.
fn each_refreshes_what_the_other_has_got(aws: &AwsCli) {
    let refreshes = |world: &World, who: &dyn Fn(&World), other: &dyn Fn(&World)| {
        world.control(Control::TokenLifetime { seconds: None });
        let before = world.calls_of(Service::OIDC);
        who(world);
        assert_eq!(world.calls_of(Service::OIDC), before + 1, "it was refreshed");
        // What came of it serves both.
        forget(world, ".aws/cli/cache");
        other(world);
        who(world);
        assert_eq!(world.calls_of(Service::OIDC), before + 1);
        all_was_well(world);
    };
    let (ssoinv, cli) = (|world: &World| ssoinv_works(world, ""), |world: &World| aws.works(world));
    for flow in [Flow::Page, Flow::DeviceCode] {
        let world = world(Format::SsoSession);
        world.control(Control::TokenLifetime { seconds: Some(600) });
        ssoinv_signs_in(&world, flow);
        refreshes(&world, &cli, &ssoinv);
    }
    for flow in aws.flows(Format::SsoSession) {
        let world = world(Format::SsoSession);
        world.control(Control::TokenLifetime { seconds: Some(600) });
        aws.signs_in(&world, *flow);
        refreshes(&world, &ssoinv, &cli);
    }
}

fn role_credentials_serve_both(aws: &AwsCli) {
    for format in [Format::SsoSession, Format::Legacy] {
        // The AWS CLI's serve ssoinv.
        let world = world(format);
        aws.signs_in(&world, Flow::DeviceCode);
        let caller = aws.caller(&world);
        let before = world.calls_of(Service::PORTAL);
        assert_eq!(before, 1, "the AWS CLI has asked for them");
        let whoami = format!("whoami --profile {} -o json", profile(&world));
        let ours = &world.run(&whoami).ended(0).rows()[0];
        for (our, its) in [("account_id", "Account"), ("arn", "Arn"), ("user_id", "UserId")] {
            assert_eq!(ours[our], caller[its], "{ours:#}, {caller:#}");
        }
        assert_eq!(world.calls_of(Service::PORTAL), before, "{format:?}");
        let buckets = format!("buckets --profile {} --no-input", profile(&world));
        // A token is used to ask for the accounts' names, and for nothing else.
        world.run(&buckets).ended(0);
        assert_eq!(world.simulator.count(Service::PORTAL, "GetRoleCredentials"), before, "{format:?}");
        assert_eq!(world.simulator.count(Service::PORTAL, "ListAccounts"), 1);
        forget(&world, ".aws/sso/cache");
        world.run(&buckets).ended(0);
        assert_eq!(world.calls_of(Service::PORTAL), before + 1, "{format:?}");
        all_was_well(&world);

        // And ssoinv's serve the AWS CLI.
        let world = self::world(format);
        ssoinv_signs_in(&world, Flow::DeviceCode);
        ssoinv_works(&world, "");
        let before = world.calls_of(Service::PORTAL);
        assert_eq!(world.simulator.count(Service::PORTAL, "GetRoleCredentials"), 2);
        aws.works(&world);
        forget(&world, ".aws/sso/cache");
        aws.works(&world);
        assert_eq!(world.calls_of(Service::PORTAL), before, "{format:?}");
        all_was_well(&world);
    }
}

fn signing_out_of_one_is_signing_out_of_both(aws: &AwsCli) {
    for format in [Format::SsoSession, Format::Legacy] {
        let world = world(format);
        let by_it = || aws.run(&world, "sso logout");
        let by_ssoinv = || world.run("logout");
        for signs_out in [&by_it as &dyn Fn() -> Run, &by_ssoinv] {
            ssoinv_signs_in(&world, Flow::DeviceCode);
            ssoinv_works(&world, "");
            aws.works(&world);
            let before = world.simulator.count(Service::PORTAL, "Logout");
            signs_out().ended(0);
            assert_eq!(world.simulator.count(Service::PORTAL, "Logout"), before + 1);
            ssoinv_needs_a_sign_in(&world);
            aws.needs_a_sign_in(&world);
        }
        all_was_well(&world);
    }
}

fn registrations_serve_both_where_they_fit(aws: &AwsCli) {
    let registered = |world: &World| world.simulator.count(Service::OIDC, "RegisterClient");
    for format in [Format::SsoSession, Format::Legacy] {
        let world = world(format);
        aws.signs_in(&world, Flow::DeviceCode);
        ssoinv_signs_in(&world, Flow::DeviceCode);
        assert_eq!(registered(&world), 1, "ssoinv uses the AWS CLI's");
        forget(&world, ".aws/sso/cache");
        ssoinv_signs_in(&world, Flow::DeviceCode);
        aws.signs_in(&world, Flow::DeviceCode);
        assert_eq!(registered(&world), 2, "the AWS CLI uses ssoinv's");
    }
    // One for a page is nothing for a code, and AWS CLIs before 2.22 would not see that.
    let world = world(Format::SsoSession);
    ssoinv_signs_in(&world, Flow::Page);
    aws.signs_in(&world, Flow::DeviceCode);
    ssoinv_signs_in(&world, Flow::Page);
    ssoinv_signs_in(&world, Flow::DeviceCode);
    assert_eq!(registered(&world), 2);
    if aws.pages {
        let world = self::world(Format::SsoSession);
        aws.signs_in(&world, Flow::Page);
        ssoinv_signs_in(&world, Flow::Page);
        assert_eq!(registered(&world), 1);
    }
}
