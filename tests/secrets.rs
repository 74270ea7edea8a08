//! No secret gets out: not on stdout or stderr at the highest verbosity, not into any file but the AWS CLI's own caches.
//!
//! The simulator marks every token, key, code and planted environment variable, and so do these tests with what they
//! write into profiles. After many commands, with successes and failures of all kinds, everything that was said and every
//! file is searched for the marks, in the spellings that logs give bytes. The controls show that the search finds what
//! is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use ssoinv_sim::{
    Approval, Control, Effect, Fault, Format, Options, Organisation, RetryHeader, SECRET_MARKER, Service,
    Token,
};
use tempfile::TempDir;

use crate::support::{Impostor, Live, OnTerminal, Run, Stream, World, column, get, kill, seeded};

crate::tests![
    failures_of_identity_center_tell_no_secret,
    failures_of_services_tell_no_secret,
    failures_of_sign_ins_tell_no_secret,
    failures_of_sts_tell_no_secret,
    included_secrets_are_found_where_they_were_asked_for,
    kept_rows_hold_no_secret,
    keys_in_files_and_variables_are_not_told,
    quoted_requests_tell_no_secret,
    commands_about_the_sign_in_tell_no_secret,
    doctors_and_their_diffs_tell_no_secret,
    pages_that_fail_tell_no_secret,
    sign_ins_tell_no_secret,
    spilled_rows_hold_no_secret,
    successes_tell_no_secret,
    the_search_knows_how_logs_spell_bytes,
];

/// Tables of all three services.
const EVERYTHING: &str = "list aws_s3_bucket aws_ec2_instance aws_lambda_function --all-profiles -vv";

/// For what fails in the end, too.
const LITTLE_PATIENCE: &str = "--retry-time 200ms --attempt-timeout 1s";

/// A world, what was said in it, and where else something may have been written.
struct Searched {
    world: World,
    /// For temporary files and ssoinv's state.
    other: TempDir,
    said: Vec<(String, String)>,
}

/// A place, and what stands there.
type Found = (String, String);

impl Searched {
    fn new(world: World) -> Self {
        let other = tempfile::tempdir().expect("a folder");
        let [temporary, state] = ["tmp", "state"].map(|name| other.path().join(name));
        for folder in [&temporary, &state, &world.home.path().join(".aws/planted")] {
            fs::create_dir_all(folder).expect("a folder");
        }
        let world = world
            .variable("TMPDIR", temporary.display().to_string())
            .variable("XDG_STATE_HOME", state.display().to_string())
            .variable("AWS_MAX_ATTEMPTS", "2")
            // Libraries that would log, if anybody listened.
            .variable("RUST_LOG", "trace")
            .variable("RUST_BACKTRACE", "full");
        Self { world, other, said: Vec::new() }
    }

    /// Runs a command and remembers what it said.
    fn run(&mut self, arguments: &str) -> Run {
        let run = self.world.run(arguments);
        self.heard(arguments, &run);
        run
    }

    fn heard(&mut self, arguments: &str, run: &Run) {
        self.said.push((format!("stdout of `{arguments}`"), run.stdout.clone()));
        self.said.push((format!("stderr of `{arguments}`"), run.stderr.clone()));
    }

    /// Writes a file that holds secrets, and gives its path.
    fn plant(&self, name: &str, text: &str) -> PathBuf {
        let path = self.world.home.path().join(".aws/planted").join(name);
        fs::write(&path, text).expect("written");
        path
    }

    /// Where secrets are: in what was said, and in files that aren't meant to hold any.
    fn found(&self) -> Vec<Found> {
        let aws = self.world.home.path().join(".aws");
        let meant = ["sso/cache", "cli/cache", "config", "credentials", "planted"].map(|name| aws.join(name));
        let mut texts = self.said.clone();
        for folder in [self.world.home.path(), self.other.path()] {
            texts.extend(files(folder, &meant));
        }
        let needles = Needles::new(&self.world);
        texts.iter().filter_map(|(place, text)| Some((place.clone(), needles.found_in(text)?))).collect()
    }

    /// Fails where a secret is found, or where nothing was said that could hold one.
    #[track_caller]
    fn hold_none(&self) {
        assert!(self.said.iter().any(|(_, text)| !text.is_empty()), "nothing was said");
        let found = self.found();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// All files below a folder but those in `meant`, as text.
fn files(folder: &Path, meant: &[PathBuf]) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if meant.contains(&path) {
            continue;
        }
        if path.is_dir() {
            texts.extend(files(&path, meant));
        } else {
            let bytes = fs::read(&path).expect("a file");
            texts.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    texts
}

/// What to look for.
struct Needles(BTreeSet<String>);

impl Needles {
    fn new(world: &World) -> Self {
        let mut needles = Self::of_marker();
        let planted: BTreeSet<String> = world.simulator.organisation().planted().into_iter().collect();
        for secret in world.simulator.secrets().into_iter().filter(|secret| !planted.contains(secret)) {
            // Of those that were made at random the beginning and the end, too, as who shortens a secret shows it.
            for part in [secret.get(..16), secret.get(secret.len().saturating_sub(16)..), Some(&secret)] {
                needles.0.extend(part.map(str::to_owned));
            }
        }
        needles.0.extend(planted);
        needles
    }

    /// The mark as it stands, as `Debug` shows bytes, in hexadecimal, and in Base64 at each offset.
    fn of_marker() -> Self {
        let bytes = SECRET_MARKER.as_bytes();
        let each =
            |show: fn(&u8) -> String, between| bytes.iter().map(show).collect::<Vec<_>>().join(between);
        let mut needles = BTreeSet::from([
            SECRET_MARKER.to_owned(),
            SECRET_MARKER.to_lowercase(),
            each(u8::to_string, ", "),
            each(|byte| format!("{byte:02x}"), ""),
            each(|byte| format!("{byte:02X}"), ""),
        ]);
        needles.extend((0..3).map(|offset| base64(bytes, offset)));
        Self(needles)
    }

    /// The first of them that is in a text, with what stands around it.
    fn found_in(&self, text: &str) -> Option<String> {
        let needle = self.0.iter().find(|needle| text.contains(&***needle))?;
        let at = text.find(needle.as_str())?;
        let around: String =
            text[..at].chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
        Some(format!("`{needle}` after `{around}`"))
    }
}

/// What is the same in the Base64 of any text that has `bytes` after `offset` bytes (modulo 3).
fn base64(bytes: &[u8], offset: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // Whole groups of three bytes only: their four letters depend on nothing else.
    let whole = &bytes[(3 - offset) % 3..];
    let letters = whole.chunks_exact(3).flat_map(|group| {
        let number = group.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[number >> shift & 63]))
    });
    letters.collect()
}

fn the_search_knows_how_logs_spell_bytes() {
    // From Python: `base64.b64encode(b"SIMSECRET-y")` and so on.
    for spelt in [
        "U0lNU0VDUkVULXk=",
        "eFNJTVNFQ1JFVC15",
        "eHhTSU1TRUNSRVQteQ==",
        "eHh4U0lNU0VDUkVULXk=",
        "6153494d53454352455462",
        "xsimsecretx",
        &format!("{:?}", format!("a{SECRET_MARKER}b").into_bytes()),
        &format!("{:X?}", SECRET_MARKER.as_bytes()).replace(", ", ""),
    ] {
        assert!(Needles::of_marker().found_in(spelt).is_some(), "{spelt}");
    }
    assert_eq!(Needles::of_marker().found_in("SIMSECRE TSIM c2ltc2VjcmV0"), None);
}

/// A secret of the test's own.
fn secret(name: &str) -> String {
    format!("{name}{SECRET_MARKER}{name}")
}

/// Every kind of profile that there is, on the hostile organisation.
fn every_kind() -> Searched {
    let world = World::without_home(Organisation::hostile(), Options::default());
    let searched = Searched::new(world);
    let url = searched.world.simulator.url();
    let users = "AKIASIMULATEDEXAMPLE\naws_secret_access_key = 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";
    let web = searched.plant("web-token", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvIn0.SIMSECRETsignature");
    let json = searched.plant(
        "keys.json",
        r#"{"Version": 1, "AccessKeyId": "AKIASIMULATEDEXAMPLE",
            "SecretAccessKey": "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"}"#,
    );
    let half =
        searched.plant("half.json", &format!(r#"{{"Version": 1, "SecretAccessKey": "{}""#, secret("half")));
    let process = |script: &str| format!("credential_process = sh -c '{script}' {}", secret("argument"));
    let profiles = [
        ("keys", format!("aws_access_key_id = {users}")),
        ("wrong-keys", format!("aws_access_key_id = AKIAWRONGWRONGEXAMPL\naws_secret_access_key = {}", secret("wrong"))),
        (
            "wrong-token",
            format!("aws_access_key_id = {users}\naws_session_token = {}", secret("session")),
        ),
        ("half-keys", format!("aws_access_key_id =\naws_secret_access_key = {}", secret("half"))),
        ("role", "role_arn = arn:aws:iam::012345678901:role/with-external-id\nexternal_id = ext-=1\nsource_profile = keys".to_owned()),
        ("role-denied", "role_arn = arn:aws:iam::012345678901:role/no-such-role\nsource_profile = keys".to_owned()),
        ("web", format!("role_arn = arn:aws:iam::012345678901:role/web\nweb_identity_token_file = {}", web.display())),
        ("web-wrong", format!("role_arn = arn:aws:iam::012345678901:role/web\nweb_identity_token_file = {}", json.display())),
        ("process", process(&format!("cat {}", json.display()))),
        ("process-half", process(&format!("cat {} {}; cat {} >&2", half.display(), web.display(), web.display()))),
        ("process-fails", process(&format!("cat {} {} >&2; exit 7", json.display(), web.display()))),
        ("process-gone", format!("credential_process = /no/such/program --password {}", secret("argument"))),
        ("process-quote", format!("credential_process = program '{}", secret("quote"))),
        ("misplaced", format!("sso_session = {}\nsso_account_id = x", "nowhere")),
    ];
    let text: Vec<String> = profiles
        .iter()
        .map(|(name, lines)| {
            format!("[profile {name}]\nregion = eu-west-1\nendpoint_url = {url}\n{lines}\n\n")
        })
        .collect();
    searched
        .world
        .simulator
        .home()
        .token(Token::Good)
        .text(&text.concat())
        .write(searched.world.home.path())
        .expect("a home");
    searched
}

fn successes_tell_no_secret() {
    let mut searched = every_kind();
    let home = searched.world.home.path().display().to_string();
    // Some of these profiles are broken; all the rest answers.
    let whole = searched.run(&format!("{EVERYTHING} -o json --coverage {home}/ledger.json")).ended(4);
    assert_eq!(whole.json()["aws_s3_bucket"].as_array().expect("rows").len(), 2);
    for (arguments, code) in [
        ("-o table", 4),
        ("-o table --wide", 4),
        ("-o ndjson --every-role", 4),
        ("--no-credential-process", 4),
    ] {
        searched.run(&format!("{EVERYTHING} {arguments}")).ended(code);
    }
    for profile in ["keys", "role", "web", "process"] {
        for output in
            ["csv", "csv --spreadsheet", "json", "ndjson", "table --columns name,environment_variables"]
        {
            let rows = searched.run(&format!("functions --profile {profile} -vv -o {output}")).ended(0);
            // There was something to hide; the other account has no functions.
            assert!(rows.stdout.contains("***") || ["role", "web"].contains(&profile), "{rows:#?}");
        }
    }
    for ending in ["csv", "json", "ndjson"] {
        let files = format!("--out {home}/rows.{ending} --coverage {home}/ledger.{ending}");
        searched.run(&format!("functions --profile keys,role,process-* -vv {files}")).ended(4);
        searched.run(&format!("functions --profile keys -vv {files}")).ended(0);
        let written = fs::read_to_string(format!("{home}/rows.{ending}")).expect("a file");
        assert!(written.contains("***"), "{written}");
    }
    searched.run(&format!("{EVERYTHING} -o csv --out {home}/folder/")).ended(4);
    for arguments in
        ["profiles", "profiles --wide", "profiles -vv -o json", "profiles -o csv", "profiles -o ndjson"]
    {
        searched.run(arguments).ended(0);
    }
    searched.hold_none();

    // The control: the same walk finds the caches and what was planted, where they are not left out.
    let needles = Needles::new(&searched.world);
    let found: BTreeSet<String> = files(searched.world.home.path(), &[])
        .into_iter()
        .filter(|(_, text)| needles.found_in(text).is_some())
        .filter_map(|(place, _)| Some(place.strip_prefix(&home)?.rsplit_once('/')?.0.to_owned()))
        .collect();
    let meant = ["/.aws", "/.aws/cli/cache", "/.aws/planted", "/.aws/sso/cache"];
    assert_eq!(found, meant.map(str::to_owned).into());
}

/// Has each effect do its work in a world of its own, several at once: they mostly wait.
fn for_each_effect(look: impl Fn(Effect) + Sync) {
    let look = &look;
    let effects = effects();
    thread::scope(|scope| {
        for some in effects.chunks(3) {
            scope.spawn(move || some.iter().cloned().for_each(look));
        }
    });
}

fn effects() -> Vec<Effect> {
    vec![
        Effect::Denied,
        Effect::DeniedByScp,
        Effect::Throttle { retry_after: Some(1), header: RetryHeader::RetryAfter },
        Effect::ServerError(500),
        Effect::ServerError(502),
        Effect::ServerError(503),
        Effect::Unauthorized401,
        Effect::Forbidden403,
        Effect::TooMany429,
        Effect::Reset,
        Effect::Stall,
        Effect::TruncateBody,
        Effect::Garbage,
        Effect::EmptyBody,
    ]
}

/// A world in which each account has a fault of its own, and one more account has none.
fn one_fault_an_account(narrow: impl Fn(Fault) -> Vec<Fault>) -> Searched {
    let effects = effects();
    let world = World::new(seeded(effects.len() + 1));
    for (index, effect) in effects.into_iter().enumerate() {
        let account = world.simulator.organisation().account(index).id;
        for fault in narrow(Fault::new(effect).account(&account)) {
            world.simulator.fault(fault).expect("a fault");
        }
    }
    Searched::new(world)
}

/// Runs everything and gives the statuses that cells ended with.
fn statuses_of_everything(searched: &mut Searched) -> BTreeSet<String> {
    let file = searched.world.home.path().join("ledger.json");
    searched.run(&format!("{EVERYTHING} {LITTLE_PATIENCE} --no-input -o json --coverage {}", file.display()));
    let ledger = crate::support::rows_of(&file);
    column(&ledger, "status").into_iter().map(str::to_owned).collect()
}

#[track_caller]
fn assert_has(statuses: &BTreeSet<String>, wanted: &[&str]) {
    assert!(wanted.iter().all(|status| statuses.contains(*status)), "{statuses:?}");
}

fn failures_of_services_tell_no_secret() {
    let mut searched = one_fault_an_account(|fault| {
        [Service::S3, Service::EC2, Service::LAMBDA].map(|service| fault.clone().service(service)).into()
    });
    let statuses = statuses_of_everything(&mut searched);
    assert_has(&statuses, &["denied", "denied_by_scp", "failed", "ok", "throttled", "unreachable"]);
    // Keys that end on the way, and a clock that is wrong: then services say what was signed.
    searched.world.simulator.clear_faults();
    let end = Control::ExpireRoleCredentials { account: None, role: None, after_calls: 1, times: Some(6) };
    searched.world.control(end);
    searched.run(EVERYTHING).ended(0);
    searched.world.control(Control::Skew { seconds: 1800 });
    assert_has(&statuses_of_everything(&mut searched), &["failed"]);
    searched.hold_none();
}

fn failures_of_identity_center_tell_no_secret() {
    let mut searched = one_fault_an_account(|fault| vec![fault.operation("GetRoleCredentials")]);
    let statuses = statuses_of_everything(&mut searched);
    assert_has(&statuses, &["denied", "ok"]);
    assert!(statuses.len() >= 4, "{statuses:?}");
    searched.hold_none();
    // Names of accounts that can't be had are no failure of a task.
    for_each_effect(|effect| {
        let mut searched = Searched::new(World::seeded(1));
        searched.world.simulator.fault(Fault::new(effect).operation("ListAccounts")).expect("a fault");
        searched.run(&format!("buckets --all-profiles -vv {LITTLE_PATIENCE} --no-input"));
        assert!(searched.world.simulator.count(Service::PORTAL, "ListAccounts") > 0);
        searched.hold_none();
    });
}

fn failures_of_sts_tell_no_secret() {
    const OPERATIONS: [(&str, &str); 3] =
        [("GetCallerIdentity", "keys"), ("AssumeRole", "role"), ("AssumeRoleWithWebIdentity", "web")];
    let look = |fault: Fault, profiles: &str, operations: &[(&str, &str)]| {
        let mut searched = every_kind();
        searched.world.simulator.fault(fault).expect("a fault");
        let run = searched.run(&format!("buckets --profile {profiles} -vv {LITTLE_PATIENCE}"));
        assert_ne!(run.code, Some(0), "{run:#?}");
        for (operation, _) in operations {
            assert!(searched.world.simulator.count(Service::STS, operation) > 0, "{operation}");
        }
        searched.hold_none();
    };
    for_each_effect(|effect| {
        if matches!(effect, Effect::Throttle { .. } | Effect::TooMany429) {
            // Where all are throttled, those who come last give up before they have asked.
            for (operation, profile) in OPERATIONS {
                let fault = Fault::new(effect.clone()).operation(operation);
                look(fault, profile, &[(operation, profile)]);
            }
        } else {
            look(Fault::new(effect).service(Service::STS), "keys,role,web,process", &OPERATIONS);
        }
    });
}

fn failures_of_sign_ins_tell_no_secret() {
    let arguments = format!("buckets --all-profiles -vv {LITTLE_PATIENCE} --no-browser");
    for_each_effect(|effect| {
        for (token, operation) in [(Token::Expired, "CreateToken"), (Token::None, "RegisterClient")] {
            let world = World::with(seeded(1), Options { device_interval: 0, ..Options::default() }, token);
            world.simulator.fault(Fault::new(effect.clone()).operation(operation)).expect("a fault");
            let mut searched = Searched::new(world);
            let run = if token == Token::Expired {
                searched.run(&format!("{arguments} --no-input"))
            } else {
                let command = searched.world.command(&arguments);
                let (run, terminal) = Live::on_terminal(command, 200, OnTerminal::Stderr).finish();
                searched.heard(&arguments, &run);
                searched.said.push(("the terminal".to_owned(), terminal));
                run
            };
            assert_ne!(run.code, Some(0), "{effect:?}: {run:#?}");
            assert!(searched.world.simulator.count(Service::OIDC, operation) > 0);
            searched.hold_none();
        }
    });
    // A token that the portal refuses, and whose refresh is refused; a token file that is half written.
    let mut searched = Searched::new(World::seeded(3));
    searched.world.control(Control::EndTokensAfter { session: None, calls: 2, times: 1 });
    searched.world.control(Control::RefuseRefresh { session: None, refuse: true });
    searched.run(&format!("{EVERYTHING} --no-input")).ended(3);
    let cache = searched.world.home.path().join(".aws/sso/cache");
    for entry in fs::read_dir(&cache).expect("the cache") {
        let path = entry.expect("an entry").path();
        let text = fs::read(&path).expect("a file");
        fs::write(&path, &text[..text.len() / 2]).expect("written");
    }
    searched.run(&format!("{EVERYTHING} --no-input")).ended(3);
    searched.hold_none();
}

fn sign_ins_tell_no_secret() {
    for format in [Format::SsoSession, Format::Legacy] {
        let options = Options { device_interval: 0, approval: Approval::AtPoll(2), ..Options::default() };
        let world = World::without_home(seeded(3), options);
        world.simulator.home().format(format).write(world.home.path()).expect("a home");
        let mut searched = Searched::new(world);
        let arguments = "functions --all-profiles -vv --no-browser";
        let live = Live::on_terminal(searched.world.command(arguments), 200, OnTerminal::Both);
        let (run, terminal) = live.finish();
        assert_eq!(run.code, Some(0), "{terminal}");
        // What a person needs is there: the address with the code.
        assert!(terminal.contains("/device?user_code="), "{terminal}");
        searched.said.push(("the terminal".to_owned(), terminal));
        if format == Format::SsoSession {
            // Refreshed in the middle of a run.
            searched.world.control(Control::EndTokensAfter { session: None, calls: 2, times: 1 });
            searched.run(&format!("{EVERYTHING} --no-input --no-credential-cache")).ended(0);
            assert!(searched.world.simulator.count(Service::OIDC, "CreateToken") >= 3);
        }
        searched.hold_none();
        // There is a token now, where it belongs and nowhere else.
        assert!(!files(&searched.world.home.path().join(".aws/sso/cache"), &[]).is_empty());
    }
}

/// Signs in on a page, and gives what the browser was sent back with.
fn signs_in_on_a_page(searched: &mut Searched, arguments: &str, change: impl Fn(String) -> String) -> Run {
    let live = Live::start(searched.world.command(arguments));
    let said = live.stderr_until(|text| text.contains("/authorize?") && text.ends_with('\n'));
    let (_, rest) = said.split_once(": open ").expect("an address");
    get(&change(get(rest.lines().next().expect("a line")).location()));
    let (run, _) = live.finish();
    searched.heard(arguments, &run);
    run
}

fn commands_about_the_sign_in_tell_no_secret() {
    let world = World::without_home(seeded(2), Options { device_interval: 0, ..Options::default() });
    world.simulator.home().write(world.home.path()).expect("a home");
    let mut searched = Searched::new(world.variable("DISPLAY", ":0"));
    signs_in_on_a_page(&mut searched, "login -vv --no-browser", |location| location).ended(0);
    for output in ["table", "csv", "json", "ndjson"] {
        searched.run(&format!("whoami --all-profiles -vv -o {output}")).ended(0);
    }
    // Keys that are refused, a token that ends, a portal that fails.
    let end = Control::ExpireRoleCredentials { account: None, role: None, after_calls: 0, times: None };
    searched.world.control(end);
    searched.run("whoami --all-profiles -vv -o json");
    searched.world.control(Control::EndTokens { session: None });
    searched.run("whoami --all-profiles -vv -o json --no-credential-cache");
    for effect in effects() {
        searched.world.simulator.clear_faults();
        searched.world.simulator.fault(Fault::new(effect).service(Service::PORTAL)).expect("a fault");
        searched.run("login -vv --no-browser --use-device-code").ended(0);
        searched.run(&format!("whoami --all-profiles -vv --no-credential-cache {LITTLE_PATIENCE}"));
        searched.run(&format!("logout -vv {LITTLE_PATIENCE}"));
    }
    assert!(searched.world.simulator.count(Service::PORTAL, "Logout") > 10);
    searched.world.simulator.clear_faults();
    // A service that quotes what it is asked.
    let impostor = quoting_impostor();
    searched.run("login -vv --no-browser --use-device-code").ended(0);
    searched.world = searched.world.variable("AWS_ENDPOINT_URL", impostor.url.clone());
    for command in ["whoami --all-profiles -vv", "logout -vv", "login -vv --use-device-code"] {
        searched.run(&format!("{command} {LITTLE_PATIENCE}"));
    }
    searched.hold_none();
}

fn doctors_and_their_diffs_tell_no_secret() {
    let mut searched = every_kind();
    let config = searched.world.home.path().join(".aws/config");
    // What can be cured beside what must not be shown, and what must not be shown where it could be cured.
    let lines = format!(
        "[profile cured]\naws_secret_key = {secret}\nregoin = eu-west-1\ncredential_process = program {secret}\n\
         output = json # the password is {secret}\naws_session_token = {secret}\naws_session_token = {secret}\n\
         [bare]\naws_secret_access_key = {secret}\n  more = {secret}\n[profil typo]\n",
        secret = secret("line")
    );
    let text = fs::read_to_string(&config).expect("a file") + &lines;
    fs::write(&config, &text).expect("written");
    let fix = searched.run("doctor --offline --fix").ended(1);
    for cured in ["+region = eu-west-1", "+[profile bare]", "+[profile typo]"] {
        assert!(fix.stdout.contains(cured), "{fix:#?}");
    }
    for arguments in
        ["", "-o json", "-o csv --spreadsheet", "--wide", "--no-credential-process", "--profile cured"]
    {
        searched.run(&format!("doctor -vv {arguments} {LITTLE_PATIENCE}")).ended(1);
    }
    // A file that isn't well-formed, in the line of a secret.
    fs::write(&config, text.replace("aws_secret_key =", "aws_secret_key")).expect("written");
    searched.run("doctor -vv").ended(1);
    searched.run("doctor -vv --fix").ended(1);
    fs::write(&config, &text).expect("written");
    for effect in effects() {
        searched.world.simulator.clear_faults();
        searched.world.simulator.fault(Fault::new(effect)).expect("a fault");
        searched.run(&format!("doctor -vv -o json {LITTLE_PATIENCE}")).ended(1);
    }
    searched.world.simulator.clear_faults();
    // Tokens that are refused, foreign, half there.
    searched.world.control(Control::EndTokens { session: None });
    searched.run(&format!("doctor -vv {LITTLE_PATIENCE}")).ended(1);
    let cache = searched.world.home.path().join(".aws/sso/cache");
    let token = fs::read_dir(&cache).expect("a folder").next().expect("a token").expect("an entry").path();
    let whole = fs::read_to_string(&token).expect("a token");
    for text in [
        whole.replace("https://", "http://other."),
        whole[..whole.len() - 9].to_owned(),
        whole.replace("Z\"", "\""),
    ] {
        fs::write(&token, text).expect("written");
        searched.run(&format!("doctor -vv {LITTLE_PATIENCE}")).ended(1);
    }
    fs::write(&token, whole).expect("written");
    // A service that quotes what it is asked.
    let impostor = quoting_impostor();
    let text = text.replace(searched.world.simulator.url(), &impostor.url);
    fs::write(&config, text).expect("written");
    searched.run(&format!("doctor -vv {LITTLE_PATIENCE}")).ended(1);
    searched.hold_none();
}

fn pages_that_fail_tell_no_secret() {
    for approval in [Approval::Denied, Approval::Expires, Approval::AtPoll(1)] {
        let options = Options { approval, ..Options::default() };
        let mut searched =
            Searched::new(World::with(seeded(1), options, Token::None).variable("DISPLAY", ":0"));
        signs_in_on_a_page(&mut searched, "login -vv --no-browser", |location| {
            location.replace("state=", "state=x")
        })
        .ended(3);
        if approval != Approval::AtPoll(1) {
            signs_in_on_a_page(&mut searched, "login -vv --no-browser", |location| location).ended(3);
        }
        searched.hold_none();
    }
    for effect in effects() {
        let mut searched =
            Searched::new(World::with(seeded(1), Options::default(), Token::None).variable("DISPLAY", ":0"));
        searched.world.simulator.fault(Fault::new(effect).operation("CreateToken")).expect("a fault");
        signs_in_on_a_page(&mut searched, &format!("login -vv --no-browser {LITTLE_PATIENCE}"), |location| {
            location
        })
        .ended(3);
        searched.hold_none();
    }
}

/// AWS tells who signs wrongly what should have been signed: all headers, and so the session token.
fn quoting_impostor() -> Impostor {
    Impostor::start(|request| {
        let message = format!(
            "The request signature we calculated does not match the signature you provided. \
             The Canonical String for this request should have been\n'{request}'"
        );
        let escaped = message.replace('&', "&amp;").replace('<', "&lt;");
        let error = |code: &str| format!("<Error><Code>{code}</Code><Message>{escaped}</Message></Error>");
        let xml = |body: String| Impostor::http("403 Forbidden", "text/xml", &body);
        let json = |status: &str, code: &str, message: &str| {
            let body = serde_json::json!({"__type": code, "message": message, "error_description": message});
            Impostor::http(status, "application/json", &body.to_string())
        };
        let signed_for = |service: &str| request.contains(&format!("/{service}/aws4_request"));
        if signed_for("s3") {
            xml(error("SignatureDoesNotMatch"))
        } else if signed_for("ec2") {
            xml(format!("<Response><Errors>{}</Errors></Response>", error("AuthFailure")))
        } else if signed_for("sts") {
            xml(format!("<ErrorResponse>{}</ErrorResponse>", error("SignatureDoesNotMatch")))
        } else if request.contains("AssumeRoleWithWebIdentity") {
            xml(format!("<ErrorResponse>{}</ErrorResponse>", error("InvalidIdentityToken")))
        } else if signed_for("lambda") {
            json("403 Forbidden", "InvalidSignatureException", &message)
        } else {
            json("500 Oops", "InternalServerException", &format!("refused: {request}"))
        }
    })
}

fn quoted_requests_tell_no_secret() {
    let impostor = quoting_impostor();
    let url = &impostor.url;
    let mut searched = Searched::new(World::without_home(seeded(1), Options::default()));
    let web = searched.plant("web-token", &secret("web"));
    let role = "role_arn = arn:aws:iam::012345678901:role/Audit";
    let quoted = format!("region = us-east-1\nendpoint_url = {url}\n");
    let keys = format!(
        "aws_access_key_id = AKIASIMULATEDEXAMPLE\naws_secret_access_key = {0}\naws_session_token = {0}\n",
        secret("keys")
    );
    let text = format!(
        "[profile keys]\n{quoted}{keys}[profile role]\n{quoted}{role}\nsource_profile = keys\n\
         [profile web]\n{quoted}{role}\nweb_identity_token_file = {}\n[services quoting]\n{}",
        web.display(),
        ["s3", "ec2", "lambda", "sts"].map(|name| format!("{name} =\n  endpoint_url = {url}\n")).concat(),
    );
    let simulator = &searched.world.simulator;
    let config =
        simulator.home().token(Token::Good).text(&text).write(searched.world.home.path()).expect("a home");
    let config_text = fs::read_to_string(&config).expect("a config");
    fs::write(&config, config_text.replacen("sso_account_id", "services = quoting\nsso_account_id", 1))
        .expect("written");
    let statuses = statuses_of_everything(&mut searched);
    assert!(!statuses.contains("ok"), "{statuses:?}");
    let (_, said) = searched.said.last().expect("stderr");
    assert!(said.contains("The request signature we calculated does not match"), "{said}");
    searched.hold_none();

    // Identity Center doesn't quote tokens; whoever stands before it might.
    for token in [Token::Good, Token::Expired] {
        let mut searched = Searched::new(World::with(seeded(1), Options::default(), token));
        let config = searched.world.home.path().join(".aws/config");
        let text = fs::read_to_string(&config).expect("a config");
        fs::write(&config, text.replace(searched.world.simulator.url(), url)).expect("written");
        let run = searched.run(&format!("{EVERYTHING} {LITTLE_PATIENCE} --no-input"));
        assert!(matches!(run.code, Some(3 | 5)), "{run:#?}");
        searched.hold_none();
    }
}

fn keys_in_files_and_variables_are_not_told() {
    let world = World::seeded(1)
        .variable("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENTEXAMP")
        .variable("AWS_SECRET_ACCESS_KEY", secret("variable"))
        .variable("AWS_SESSION_TOKEN", secret("variable"));
    let mut searched = Searched::new(world);
    // They are named and ignored.
    searched.run("buckets --all-profiles -vv").ended(0).said("AWS_SECRET_ACCESS_KEY");
    let variable = |searched: Searched, name: &str, value: String| Searched {
        world: searched.world.variable(name, value),
        ..searched
    };
    for proxy in [
        format!("http://me:{}@127.0.0.1:1", secret("proxy")),
        format!("socks5://me:{}@127.0.0.1:1", secret("proxy")),
        format!("me:{}", secret("proxy")),
    ] {
        searched = variable(searched, "HTTPS_PROXY", proxy);
        searched.run("buckets --all-profiles -vv");
        searched.run("profiles -vv");
    }
    searched = variable(searched, "HTTPS_PROXY", String::new());
    // Lines that don't parse: the place is told, and nothing of what stands there.
    let aws = searched.world.home.path().join(".aws");
    for (file, text) in [
        (
            "credentials",
            format!("[dev]\naws_access_key_id = AKIA\naws_secret_access_key {}\n", secret("line")),
        ),
        ("credentials", format!("{}\n[dev]\n", secret("line"))),
        ("credentials", format!("[dev {}\n", secret("line"))),
        ("config", format!("[profile dev]\naws_secret_access_key: {}\n", secret("line"))),
        ("config", format!("[profile dev]\n aws_secret_access_key = {}\n", secret("line"))),
    ] {
        let path = aws.join(file);
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, text).expect("written");
        for arguments in ["buckets --all-profiles -vv", "profiles -vv", "profiles -o json -vv"] {
            searched.run(arguments).ended(2).said(file);
        }
        fs::write(&path, before).expect("written");
    }
    // Lines that parse, and hold keys where none belong.
    for text in [
        format!("[dev]\naws_secret_access_key = {} # mine\n", secret("line")),
        format!("[dev]\naws_access_key_id = AKIA\n  {}\n", secret("line")),
        format!("[dev]\naws_secret_access_key = {0}\naws_secret_access_key = {0}\n", secret("line")),
        format!(
            "[dev]\naws_access_key_id = AKIA\naws_secret_access_key = {}\nregion = x_y\nsso_account_id = 1\n",
            secret("line")
        ),
    ] {
        fs::write(aws.join("credentials"), text).expect("written");
        searched.run("profiles -vv").ended(0);
        searched.run("profiles -vv -o json").ended(0);
        searched.run("buckets --all-profiles -vv --no-input");
    }
    searched.hold_none();
}

/// An organisation with so much to say that ssoinv can't keep it in memory while nobody reads.
fn large() -> Organisation {
    let accounts: Vec<_> = (1..=6)
        .map(|number| {
            let functions: Vec<_> = (0..10)
                .map(|function| {
                    serde_json::json!({
                        "name": format!("fn-{function}"),
                        "description": "much to say ".repeat(60_000),
                        "environment": {"PASSWORD": secret("planted")},
                    })
                })
                .collect();
            serde_json::json!({
                "id": format!("{number:012}"), "name": format!("account-{number}"), "email": "x@example.com",
                "functions": {"us-east-1": functions},
            })
        })
        .collect();
    let text = serde_json::json!({
        "regions": ["us-east-1"], "roles": ["Audit"], "accounts": accounts,
        "sessions": [{"name": "corp", "start_url": "https://corp.awsapps.com/start", "region": "us-east-1"}],
    });
    Organisation::from_json(&text.to_string()).expect("an organisation")
}

/// Runs until all rows wait for a reader, ends the command there, and gives the files that it left behind.
fn what_is_left_on_disk(more: &str) -> (Searched, usize) {
    let searched = Searched::new(World::new(large()));
    let mut command = searched.world.command(&format!("functions --all-profiles -vv -o ndjson {more}"));
    // Nobody reads stdout.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let stderr = Stream::of(child.stderr.take().expect("a pipe"));
    stderr.until(|text| text.lines().filter(|line| line.contains("): ok, 10 rows")).count() == 6);
    kill(child.id(), rustix::process::Signal::KILL);
    child.wait().expect("it ends");
    let mut searched = searched;
    searched.said.push(("stderr".to_owned(), stderr.whole()));
    let left = files(searched.other.path(), &[]).iter().map(|(_, text)| text.len()).sum();
    (searched, left)
}

fn spilled_rows_hold_no_secret() {
    let (mut searched, left) = what_is_left_on_disk("");
    assert!(left > 5_000_000, "only {left} bytes were on disk");
    searched.hold_none();
    // The next run sweeps what a dead one left, and leaves nothing of its own.
    searched.run("functions --profile account-1-Audit --columns name").ended(0);
    assert!(files(searched.other.path(), &[]).iter().all(|(_, text)| text.is_empty()));
}

/// What a kept run leaves: rows, journal and manifest, of successes and of failures.
fn kept_rows_hold_no_secret() {
    let mut searched = every_kind();
    let arguments =
        "list aws_s3_bucket aws_ec2_instance aws_lambda_function --profile keys,role,web,process,wrong-* -vv";
    searched.run(&format!("{arguments} -o ndjson --run r --no-input")).ended(4);
    searched.run("resume r -vv --no-input").ended(4);
    for command in ["runs list -o json", "runs show r -o json"] {
        searched.run(command).ended(0);
    }
    let kept = files(&searched.other.path().join("state/ssoinv/kept/r"), &[]);
    let bytes: usize = kept.iter().map(|(_, text)| text.len()).sum();
    assert!(bytes > 10_000 && kept.iter().any(|(_, text)| text.contains("***")), "{bytes} bytes are kept");
    searched.hold_none();
}

/// The control: they are found on stdout, in files and on disk where somebody wants them.
fn included_secrets_are_found_where_they_were_asked_for() {
    let (searched, left) = what_is_left_on_disk("--include-secrets");
    assert!(left > 5_000_000, "only {left} bytes were on disk");
    let found = searched.found();
    assert!(found.iter().any(|(place, _)| place.contains("/state/ssoinv/runs/")), "{found:#?}");

    let mut searched = Searched::new(World::seeded(2));
    let out = searched.world.home.path().join("rows.csv");
    for output in ["-o json", "-o csv", "-o ndjson", "-o table --wide", &format!("--out {}", out.display())] {
        let arguments = format!("functions --all-profiles -vv --include-secrets {output}");
        searched.run(&arguments).ended(0).said("`--include-secrets`");
    }
    let found = searched.found();
    let places: Vec<_> = found.iter().map(|(place, _)| &**place).collect();
    assert_eq!(places.len(), 5, "{found:#?}");
    assert!(
        places[..4].iter().all(|place| place.starts_with("stdout of")) && places[4].ends_with("rows.csv")
    );
}
