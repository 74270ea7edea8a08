//! Against servers and clients that others wrote: moto answers ssoinv as AWS would, boto3 lists the same from moto,
//! botocore and ssoinv use each other's tokens and role credentials, and boto3 asks the simulator.
//!
//! They come from PyPI, pinned and hashed in `independent/requirements.txt`, into a virtual environment beside this
//! binary's build. It is made when the first test needs it; where it can't be had (no `venv`, no network) the tests are
//! ignored and say why, and fail where ignored tests are asked for.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use ssoinv_sim::{Control, Format, Options, Organisation, Service, Token};

use crate::support::{Live, OnTerminal, Run, Stream, World, finish_within, run};
use crate::{Without, needing};

type Test = fn(&Python);

/// The longest that the virtual environment may take to be made.
const SET_UP_PATIENCE: Duration = Duration::from_mins(15);

pub(crate) fn tests(arguments: &Arguments) -> Vec<Trial> {
    let tests: [(&str, Test); 6] = [
        ("boto3_takes_the_simulator_for_aws", boto3_takes_the_simulator_for_aws),
        ("botocore_uses_tokens_of_ssoinv", botocore_uses_tokens_of_ssoinv),
        ("botocore_is_signed_out_by_ssoinv", botocore_is_signed_out_by_ssoinv),
        ("moto_has_what_ssoinv_lists", moto_has_what_ssoinv_lists),
        ("role_credentials_serve_botocore_and_ssoinv", role_credentials_serve_botocore_and_ssoinv),
        ("ssoinv_uses_tokens_of_botocore", ssoinv_uses_tokens_of_botocore),
    ];
    let trial = |(name, test)| {
        needing(&format!("independent::{name}"), (Python::get, Without::Fails), test, arguments)
    };
    tests.into_iter().map(trial).collect()
}

/// Python with what `independent/requirements.txt` names.
struct Python {
    program: PathBuf,
}

impl Python {
    /// The virtual environment, or why there is none.
    fn get() -> Result<&'static Self, &'static str> {
        static PYTHON: OnceLock<Result<Python, String>> = OnceLock::new();
        PYTHON.get_or_init(Self::set_up).as_ref().map_err(String::as_str)
    }

    /// Makes it, unless it is there.
    fn set_up() -> Result<Self, String> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = target.join("python");
        let (stamp, program) = (folder.join("made-from"), folder.join("bin/python"));
        let cannot = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
        let version = set_up_step("python3", &["--version"])?;
        let requirements = scripts().join("requirements.txt");
        let wanted =
            format!("{version}{}", fs::read_to_string(&requirements).map_err(cannot("requirements"))?);

        // Held until this process has seen the environment whole. Another that runs these tests waits for it.
        fs::create_dir_all(target).map_err(cannot("the folder for the virtual environment"))?;
        let lock = File::create(target.join("python.lock")).map_err(cannot("the lock"))?;
        lock.lock().map_err(cannot("the lock"))?;
        if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
            return Ok(Self { program });
        }
        let unfinished = target.join("python.unfinished");
        for old in [&unfinished, &folder] {
            if old.exists() {
                fs::remove_dir_all(old).map_err(cannot("an old virtual environment"))?;
            }
        }
        set_up_step("python3", &["-m".as_ref(), "venv".as_ref(), unfinished.as_os_str()])?;
        set_up_step(
            unfinished.join("bin/python"),
            &[
                "-m".as_ref(),
                "pip".as_ref(),
                "install".as_ref(),
                "--quiet".as_ref(),
                "--require-hashes".as_ref(),
                "--requirement".as_ref(),
                requirements.as_os_str(),
            ],
        )?;
        fs::write(unfinished.join("made-from"), wanted).map_err(cannot("the stamp"))?;
        fs::rename(&unfinished, &folder).map_err(cannot("the virtual environment"))?;
        Ok(Self { program })
    }

    /// Python in the tests' own environment, less what would lead it to somebody's AWS or through a proxy.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let upper = name.to_string_lossy().to_ascii_uppercase();
            if ["AWS_", "MOTO_", "PYTHON"].iter().any(|prefix| upper.starts_with(prefix))
                || upper.ends_with("_PROXY")
            {
                command.env_remove(&name);
            }
        }
        // No `~/.aws` but that of the test.
        command.env("HOME", env!("CARGO_TARGET_TMPDIR"));
        command
    }

    /// Runs one of the scripts beside this file, which must end well.
    fn script<A: AsRef<OsStr>>(&self, name: &str, arguments: &[A]) -> String {
        self.try_script(name, arguments).ended(0).stdout
    }

    fn try_script<A: AsRef<OsStr>>(&self, name: &str, arguments: &[A]) -> Run {
        let mut command = self.command();
        command.arg(scripts().join(name)).args(arguments);
        run(command)
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/independent")
}

/// Runs a program with this machine's own settings, such as pip's, and gives its stdout, or why it failed in one line.
fn set_up_step<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[A]) -> Result<String, String> {
    let words: Vec<_> = arguments.iter().take(3).map(|word| word.as_ref().to_string_lossy()).collect();
    let what =
        format!("{} {}", Path::new(&program).file_name().unwrap_or_default().display(), words.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).env_remove("PYTHONHOME").env_remove("PYTHONPATH");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let run = finish_within(child.map_err(|error| format!("{what}: {error}"))?, SET_UP_PATIENCE);
    if run.code == Some(0) {
        return Ok(run.stdout);
    }
    let said = [run.stderr.trim(), run.stdout.trim()].join("\n");
    // pip's reason is its last line but for its offers to be upgraded.
    let reason = said.lines().rev().find(|line| line.to_ascii_lowercase().contains("error"));
    let reason = reason.or(said.lines().rev().find(|line| !line.trim().is_empty())).unwrap_or("no word");
    Err(format!("{what}: {}", reason.trim()))
}

/// A moto server.
struct Moto {
    child: Child,
    url: String,
    _log: Stream,
}

impl Moto {
    /// Starts it on a port that it chooses, and waits until it listens.
    fn start(python: &Python) -> Self {
        let mut command = python.command();
        command.args(["-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("moto starts");
        let log = Stream::of(child.stderr.take().expect("a pipe"));
        let text = log.until(|text| address(text).is_some());
        Self { child, url: address(&text).expect("an address"), _log: log }
    }

    fn seeded(python: &Python) -> Self {
        let moto = Self::start(python);
        python.script("moto_inventory.py", &["seed", &moto.url]);
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself, which its test has seen.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The URL in moto's line `Running on http://127.0.0.1:PORT`, once all of it has come.
fn address(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("Running on ")?;
    let (url, _) = rest.split_once('\n')?;
    Some(url.trim().to_owned())
}

/// The accounts that `moto_inventory.py` fills, with one role each.
fn organisation() -> Organisation {
    let account =
        |id: &str, name: &str| json!({"id": id, "name": name, "email": format!("{name}@example.com")});
    let text = json!({
        "regions": ["us-east-1", "eu-west-1"],
        "sessions": [{"name": "corp", "start_url": "https://corp.awsapps.com/start", "region": "us-east-1"}],
        "roles": ["Audit"],
        "accounts": [account("111111111111", "one"), account("002222222222", "two")],
    });
    Organisation::from_json(&text.to_string()).expect("an organisation")
}

/// A world whose sign-in is the simulator's and whose services are moto's.
fn moto_world(moto: &Moto) -> World {
    let options = Options { upstream_sts: Some(moto.url.clone()), ..Options::default() };
    let world = World::without_home(organisation(), options);
    let home = world.simulator.home().without_endpoint().region(None).token(Token::Good);
    let endpoints: Vec<String> = [
        ("sso", world.simulator.url()),
        ("sso_oidc", world.simulator.url()),
        ("s3", &moto.url),
        ("ec2", &moto.url),
        ("lambda", &moto.url),
    ]
    .iter()
    .map(|(service, url)| format!("{service} =\n  endpoint_url = {url}\n"))
    .collect();
    let config = home.config().replace("sso_account_id", "services = both\nsso_account_id");
    home.write(world.home.path()).expect("a home");
    fs::write(
        world.home.path().join(".aws/config"),
        format!("{config}\n[services both]\n{}", endpoints.concat()),
    )
    .expect("a config");
    world
}

const TABLES: [&str; 3] = ["aws_s3_bucket", "aws_ec2_instance", "aws_lambda_function"];

/// Lists all tables from moto into a file.
fn list_from_moto(world: &World) -> PathBuf {
    let file = world.home.path().join("inventory.json");
    let (run, ledger) = world.with_ledger(&format!(
        "list {} --all-profiles --region us-east-1,eu-west-1 -o json --out {}",
        TABLES.join(" "),
        file.display()
    ));
    run.ended(0);
    // Buckets once an account; the others in two regions of two accounts.
    assert_eq!(ledger.len(), 2 + 4 + 4);
    assert!(ledger.iter().all(|cell| cell["status"] == "ok"), "{ledger:#?}");
    // Nothing came from the simulator but the sign-in.
    assert_eq!(world.simulator.count(Service::PORTAL, "GetRoleCredentials"), 2);
    for service in [Service::S3, Service::EC2, Service::LAMBDA] {
        assert!(world.simulator.counts().iter().all(|count| count.service != service));
    }
    file
}

fn moto_has_what_ssoinv_lists(python: &Python) {
    let moto = Moto::seeded(python);
    let world = moto_world(&moto);
    let file = list_from_moto(&world);
    let compared =
        python.script("moto_inventory.py", &["compare".as_ref(), OsStr::new(&moto.url), file.as_os_str()]);
    // 3 + 2 buckets; in two regions 1 + 2 + 3 and 1 + 2 instances, 3 + 2 functions.
    assert_eq!(compared, "equal: 33 rows\n");
    differences_are_told(python, &moto, &file);
}

/// The control: what is missing, twice, another's or different in one cell is told, each by name.
fn differences_are_told(python: &Python, moto: &Moto, file: &Path) {
    let mut all: Value = serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("JSON");
    let mut wanted = Vec::new();
    for table in TABLES {
        let rows = all[table].as_array_mut().expect("rows");
        let arn = |row: &Value| row["arn"].as_str().expect("an ARN").to_owned();
        wanted.push((arn(&rows.remove(0)), "only in boto3"));
        rows.push(rows[0].clone());
        wanted.push((arn(&rows[0]), "twice"));
        rows[1]["title"] = json!("other");
        wanted.push((arn(&rows[1]), "title: 'other'"));
        rows[2]["account_id"] = json!("3");
        wanted.push((arn(&rows[2]), "only in ssoinv"));
    }
    let instance = &mut all["aws_ec2_instance"][3];
    instance["tags"]["odd"] = json!("=cmd()");
    wanted.push((instance["arn"].as_str().expect("an ARN").to_owned(), " tags: "));
    let function = &mut all["aws_lambda_function"][3];
    function["environment_variables"]["PASSWORD"] = json!("planted-secret");
    wanted.push((function["arn"].as_str().expect("an ARN").to_owned(), " environment_variables: "));
    fs::write(file, all.to_string()).expect("written");
    let run = python
        .try_script("moto_inventory.py", &["compare".as_ref(), OsStr::new(&moto.url), file.as_os_str()]);
    let told = run.ended(1).stdout;
    for (arn, word) in &wanted {
        assert!(told.lines().any(|line| line.contains(arn) && line.contains(word)), "{arn} {word}: {told}");
    }
    // The rows of another account are missing in their own.
    assert_eq!(told.lines().count(), wanted.len() + TABLES.len(), "{told}");
}

/// The name of the first profile of a home.
fn first_profile(world: &World) -> String {
    let config = fs::read_to_string(world.home.path().join(".aws/config")).expect("a config");
    let (_, rest) = config.split_once("[profile ").expect("a profile");
    rest.split_once(']').expect("a header").0.to_owned()
}

fn try_botocore(python: &Python, verb: &str, world: &World) -> Run {
    let profile = first_profile(world);
    let arguments = [verb.as_ref(), world.home.path().as_os_str(), OsStr::new(&profile)];
    python.try_script("botocore_caches.py", &arguments)
}

fn botocore(python: &Python, verb: &str, world: &World) -> String {
    try_botocore(python, verb, world).ended(0).stdout
}

fn account_of_first_profile(world: &World) -> String {
    world.simulator.organisation().account(0).id + "\n"
}

fn oidc_calls(world: &World) -> u64 {
    world.calls_of(Service::OIDC)
}

/// A world with a home in this format whose person approves at once.
fn token_world(format: Format, token: Token) -> World {
    let options = Options { device_interval: 0, ..Options::default() };
    let world = World::without_home(crate::support::seeded(2), options);
    world.simulator.home().format(format).token(token).write(world.home.path()).expect("a home");
    world
}

fn botocore_uses_tokens_of_ssoinv(python: &Python) {
    // Of a sign-in by ssoinv, in both formats.
    for format in [Format::SsoSession, Format::Legacy] {
        let world = token_world(format, Token::None);
        let signed_in =
            Live::on_terminal(world.command("buckets --all-profiles --no-browser"), 200, OnTerminal::Both);
        let (run, shown) = signed_in.finish();
        assert_eq!(run.code, Some(0), "{shown}");
        let before = oidc_calls(&world);
        // A registration, a code and a token: there was a sign-in.
        assert!(before >= 3, "{before} calls");
        assert_eq!(botocore(python, "use", &world), account_of_first_profile(&world), "{format:?}");
        assert_eq!(oidc_calls(&world), before, "{format:?}");
    }

    // Refreshed by ssoinv.
    let world = token_world(Format::SsoSession, Token::Expired);
    world.run("buckets --all-profiles --no-input").ended(0);
    assert_eq!((oidc_calls(&world), world.simulator.count(Service::OIDC, "CreateToken")), (1, 1));
    assert_eq!(botocore(python, "use", &world), account_of_first_profile(&world));
    assert_eq!(oidc_calls(&world), 1);

    // What ssoinv wrote with a token is enough for botocore to refresh it, when less than its quarter of an hour is left.
    let world = token_world(Format::SsoSession, Token::None);
    world.control(Control::TokenLifetime { seconds: Some(600) });
    let (run, shown) =
        Live::on_terminal(world.command("buckets --all-profiles --no-browser"), 200, OnTerminal::Both)
            .finish();
    assert_eq!(run.code, Some(0), "{shown}");
    let before = world.simulator.count(Service::OIDC, "CreateToken");
    botocore(python, "refresh", &world);
    assert_eq!(world.simulator.count(Service::OIDC, "CreateToken"), before + 1);
}

fn ssoinv_uses_tokens_of_botocore(python: &Python) {
    let uses = |world: &World| {
        let before = oidc_calls(world);
        let rows = world.run("buckets --all-profiles --no-input -o json").ended(0).rows();
        assert_eq!(rows.len(), 6);
        assert_eq!(oidc_calls(world), before);
    };
    // Refreshed and saved by botocore's own provider.
    let world = token_world(Format::SsoSession, Token::Expired);
    botocore(python, "refresh", &world);
    assert_eq!(oidc_calls(&world), 1);
    uses(&world);

    // Of a new sign-in, saved by botocore's own loader, in both formats.
    for format in [Format::SsoSession, Format::Legacy] {
        let world = token_world(format, Token::None);
        botocore(python, "sign-in", &world);
        uses(&world);
        if format == Format::SsoSession {
            // What botocore wrote with a token is enough for ssoinv to refresh it.
            world.control(Control::EndTokens { session: None });
            let before = oidc_calls(&world);
            world.run("buckets --all-profiles --no-input").ended(0);
            assert_eq!(oidc_calls(&world), before + 1);
            // And back: what ssoinv has refreshed, botocore uses.
            assert_eq!(botocore(python, "use", &world), account_of_first_profile(&world));
            assert_eq!(oidc_calls(&world), before + 1);
        }
    }
}

/// As with the AWS CLI, which gives botocore this cache (`aws_cli.rs`).
fn role_credentials_serve_botocore_and_ssoinv(python: &Python) {
    let asked = |world: &World| world.simulator.count(Service::PORTAL, "GetRoleCredentials");
    let without_token = |world: &World| {
        fs::remove_dir_all(world.home.path().join(".aws/sso/cache")).expect("it was there");
    };
    for format in [Format::SsoSession, Format::Legacy] {
        let world = token_world(format, Token::Good);
        botocore(python, "cached", &world);
        assert_eq!(asked(&world), 1);
        let buckets = format!("buckets --profile {} --no-input", first_profile(&world));
        world.run(&buckets).ended(0);
        without_token(&world);
        world.run(&buckets).ended(0);
        assert_eq!(asked(&world), 1, "{format:?}");

        let world = token_world(format, Token::Good);
        world.run("buckets --all-profiles --no-input").ended(0);
        assert_eq!(asked(&world), 2);
        assert_eq!(botocore(python, "cached", &world), account_of_first_profile(&world));
        without_token(&world);
        assert_eq!(botocore(python, "cached", &world), account_of_first_profile(&world));
        assert_eq!(asked(&world), 2, "{format:?}");
    }
}

fn botocore_is_signed_out_by_ssoinv(python: &Python) {
    for format in [Format::SsoSession, Format::Legacy] {
        let world = token_world(format, Token::Good);
        assert_eq!(botocore(python, "cached", &world), account_of_first_profile(&world));
        world.run("logout").ended(0);
        let run = try_botocore(python, "cached", &world).ended(1);
        run.said("botocore.exceptions.SSOTokenLoadError");
    }
}

fn boto3_takes_the_simulator_for_aws(python: &Python) {
    for (organisation, file) in
        [(Organisation::demo(), "demo.json"), (Organisation::hostile(), "hostile.json")]
    {
        let world = World::new(organisation);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/organisations").join(file);
        let arguments = [OsStr::new(world.simulator.url()), world.home.path().as_os_str(), file.as_os_str()];
        assert_eq!(python.script("boto3_against_sim.py", &arguments), "ok\n");
    }
}
