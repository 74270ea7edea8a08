//! `ssoinv doctor` over every home in `fixtures/homes`: what it tells people and scripts, and what its diffs do.
//!
//! A home's answer is the file `fixtures/expected/doctor/<case>.txt`; `UPDATE_EXPECT=1` writes them. A home that needs
//! more than its files says so in `doctor.json`: other arguments than `--offline`, variables, modes of files, or a
//! simulated organisation (the demonstration's) behind AWS's own host names. The homes are copied: nothing that a test
//! does is seen by another.
//!
//! The diffs are applied with the real `patch`. Where that isn't on the machine, the test is ignored and says so, and
//! fails where ignored tests are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use expect_test::expect_file;
use libtest_mimic::{Arguments, Trial};
use serde::Deserialize;
use serde_json::Value;
use ssoinv_sim::{Control, Format, Options, Organisation, Token};
use tempfile::TempDir;

use crate::support::{Person, Run, World, cases, column, fixtures, of_homes, run, ssoinv};
use crate::{Without, needing, trials};

pub(crate) fn tests(arguments: &Arguments) -> Vec<Trial> {
    let others = trials![
        each_expected_answer_has_a_home,
        each_finding_has_a_home,
        nothing_is_changed_and_nothing_refreshed,
        only_what_concerns_the_named_profiles,
        no_person_is_asked,
        no_secret_is_in_a_diff,
        reports_go_where_they_are_sent,
        the_demonstration_is_well,
        without_a_home_there_is_no_token,
    ];
    let with_patch: [Needing; 2] = [
        ("diffs_apply_and_cure_what_they_name", diffs_apply_and_cure_what_they_name),
        ("diffs_apply_behind_links_and_to_odd_names", diffs_apply_behind_links_and_to_odd_names),
    ];
    let with_patch = with_patch.into_iter().map(|(name, test)| {
        needing(&format!("doctor::{name}"), (Patch::get, Without::Fails), test, arguments)
    });
    let homes = of_homes("doctor", home_is_told_as_expected);
    homes.into_iter().chain(others).chain(with_patch).collect()
}

/// What a home needs besides its files.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Needs {
    arguments: String,
    variables: BTreeMap<String, String>,
    /// Permission bits by path, in octal. Tokens have 0600 where nothing is said.
    modes: BTreeMap<String, String>,
    simulator: Option<Simulated>,
}

/// A simulated organisation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Simulated {
    token: String,
    #[serde(default)]
    token_lifetime: Option<u32>,
    #[serde(default)]
    controls: Vec<Control>,
}

impl Default for Needs {
    fn default() -> Self {
        let arguments = "--offline".to_owned();
        Self { arguments, variables: BTreeMap::new(), modes: BTreeMap::new(), simulator: None }
    }
}

/// A copy of a home, and the world around it.
struct Case {
    arguments: String,
    /// The home, as the system knows it.
    home: PathBuf,
    variables: BTreeMap<String, String>,
    world: Option<World>,
    _folder: Option<TempDir>,
}

impl Case {
    fn new(name: &str) -> Self {
        let source = fixtures().join("homes").join(name);
        let needs = match fs::read_to_string(source.join("doctor.json")) {
            Ok(text) => serde_json::from_str(&text).expect("what the home needs"),
            Err(_) => Needs::default(),
        };
        let (world, folder) = match &needs.simulator {
            Some(simulated) => (Some(simulated.world()), None),
            None => (None, Some(tempfile::tempdir().expect("a folder"))),
        };
        let home = match (&world, &folder) {
            (Some(world), _) => world.home.path(),
            (None, folder) => folder.as_ref().expect("a folder").path(),
        };
        let home = home.canonicalize().expect("a home");
        copy(&source.join(".aws"), &home.join(".aws"));
        for (path, mode) in &needs.modes {
            set_mode(&home.join(path), u32::from_str_radix(mode, 8).expect("a mode"));
        }
        // After the home: some would take its token away before it is there.
        let controls = needs.simulator.into_iter().flat_map(|simulated| simulated.controls);
        for control in controls {
            world.as_ref().expect("a simulator").control(control);
        }
        Self { arguments: needs.arguments, home, variables: needs.variables, world, _folder: folder }
    }

    fn command(&self, arguments: &str) -> Command {
        let arguments = format!("doctor {} {arguments}", self.arguments);
        let mut command = match &self.world {
            Some(world) => world.command(&arguments),
            None => ssoinv(&arguments),
        };
        command.env("HOME", &self.home).envs(&self.variables);
        command
    }

    fn run(&self, arguments: &str) -> Run {
        run(self.command(arguments))
    }

    /// What was said, without what differs at each run.
    fn shown(&self, text: &str) -> String {
        let home = self.home.display().to_string();
        let text = text.replace(&format!(" a{home}"), " a/HOME").replace(&format!(" b{home}"), " b/HOME");
        let text = text.replace(&home, "~").replace('\r', "\\r");
        if self.world.is_some() { without_times(&text) } else { text }
    }
}

impl Simulated {
    fn world(&self) -> World {
        let token = match self.token.as_str() {
            "none" => Token::None,
            "good" => Token::Good,
            "without_refresh" => Token::WithoutRefresh,
            "expired_without_refresh" => Token::ExpiredWithoutRefresh,
            other => panic!("no token is `{other}`"),
        };
        let options = Options { token_lifetime: self.token_lifetime, ..Options::default() };
        World::through_the_proxy(Organisation::demo(), options, token)
    }
}

/// Copies a folder. Git keeps no modes: tokens get the one that they have everywhere.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).expect("an entry");
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("copied");
            set_mode(&to, 0o600);
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// The text with each moment (`2026-01-02T03:04:05Z`) as `TIME`.
fn without_times(text: &str) -> String {
    const FORM: &str = "0000-00-00T00:00:00Z";
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_time = rest.get(..FORM.len()).is_some_and(|start| {
            start.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).eq(FORM.chars())
        });
        let (shown, length) =
            if is_time { ("TIME", FORM.len()) } else { (&rest[..first.len_utf8()], first.len_utf8()) };
        out.push_str(shown);
        rest = &rest[length..];
    }
    out
}

fn findings(run: &Run) -> Vec<Value> {
    run.rows().into_iter().filter(|row| row["status"] == "finding").collect()
}

fn home_is_told_as_expected(name: &str) {
    let case = Case::new(name);
    let mut answer = String::new();
    let mut codes = BTreeSet::new();
    for arguments in ["", "-o ndjson", "--fix"] {
        let run = case.run(arguments);
        let typed = format!("{} {arguments}", case.arguments);
        let typed = typed.split_whitespace().collect::<Vec<_>>().join(" ");
        codes.insert(run.code);
        let (stdout, stderr) = (case.shown(&run.stdout), case.shown(&run.stderr));
        // With --fix the report is the same, only somewhere else.
        let stderr = if arguments == "--fix" { "" } else { &*stderr };
        let code = run.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        answer += &format!("$ ssoinv doctor {typed}\n{stdout}-- stderr\n{stderr}-- exit {code}\n\n");
    }
    assert_eq!(codes.len(), 1, "the exit code is the same however it is told: {codes:?}");
    expect_file![fixtures().join("expected/doctor").join(format!("{name}.txt"))].assert_eq(&answer);
}

fn each_expected_answer_has_a_home() {
    assert_eq!(cases(&fixtures().join("homes")), cases(&fixtures().join("expected/doctor")));
}

/// Every code, and a home that has it.
const HOMES: &[(&str, &str)] = &[
    ("account-not-assigned", "not-assigned"),
    ("account-twice", "one-account-twice"),
    ("both-formats", "both-formats"),
    ("client-expired", "client-expired"),
    ("clock-off", "clock-off"),
    ("comment-in-value", "regions-and-urls"),
    ("denied", "not-reachable"),
    ("duplicate", "duplicates"),
    ("foreign-endpoint", "endpoints"),
    ("half-key-pair", "half-key-pairs"),
    ("ignored-keys", "who-wins"),
    ("ignored-section", "ignored-sections"),
    ("incomplete-session", "incomplete-session"),
    ("incomplete-sso", "missing-keys"),
    ("incomplete-web-identity", "web-identity"),
    ("insecure-endpoint", "services"),
    ("invalid-account-id", "account-ids"),
    ("invalid-region", "regions-and-urls"),
    ("invalid-role-arn", "roles"),
    ("invalid-source", "source-profiles"),
    ("invalid-start-url", "regions-and-urls"),
    ("invalid-value", "roles"),
    ("mfa-needed", "roles"),
    ("misconfigured", "not-reachable"),
    ("misspelt-key", "misspelt-keys"),
    ("mixed-formats", "mixed-formats"),
    ("no-client", "no-client"),
    ("no-profile", "no-profiles"),
    ("no-region", "own-regions"),
    ("no-scope", "scopes"),
    ("not-assumable", "not-reachable"),
    ("not-reachable", "not-reachable"),
    ("not-signed-in", "token-only"),
    ("one-start-url", "start-urls"),
    ("portal-failed", "portal-failed"),
    ("portal-unreachable", "portal-unreachable"),
    ("region-disabled", "region-disabled"),
    ("regions-differ", "start-urls"),
    ("repeated-key", "mixed-formats"),
    ("role-not-assigned", "not-assigned"),
    ("role-refused", "not-assigned"),
    ("scope-missing", "scopes"),
    ("source-loop", "source-loops"),
    ("sso-in-credentials", "sso-in-credentials"),
    ("syntax-error", "syntax-error"),
    ("token-broken", "token-broken"),
    ("token-ended", "token-ended"),
    ("token-endpoint", "insecure-endpoint"),
    ("token-ends-soon", "token-ends-soon"),
    ("token-expired", "token-expired"),
    ("token-exposed", "token-exposed"),
    ("token-foreign", "token-foreign"),
    ("token-incomplete", "token-incomplete"),
    ("token-not-refreshable", "token-not-refreshable"),
    ("token-only", "token-only"),
    ("token-refused", "token-refused"),
    ("token-unreadable", "token-unreadable"),
    ("unknown-profile", "unknown-variable"),
    ("unknown-region", "own-regions"),
    ("unknown-services", "services"),
    ("unknown-session", "missing-session"),
    ("unknown-source-profile", "source-profiles"),
    ("unknown-sso-region", "start-urls"),
    ("unreachable", "not-reachable"),
    ("unreadable", "unreadable"),
    ("unusable-source", "source-profiles"),
    ("unused-session", "unused-session"),
];

/// From the expected answers, which the homes' own tests hold to be true.
fn each_finding_has_a_home() {
    let told = |case: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(fixtures().join("expected/doctor").join(format!("{case}.txt")));
        let text = text.expect("an answer");
        let rows = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        rows.filter_map(|row| Some(row["code"].as_str()?.to_owned())).collect()
    };
    for (code, case) in HOMES {
        assert!(told(case).contains(*code), "no `{code}` in `{case}`: {:?}", told(case));
    }
    let listed: BTreeSet<String> = HOMES.iter().map(|(code, _)| (*code).to_owned()).collect();
    let all: BTreeSet<String> = cases(&fixtures().join("homes")).iter().flat_map(|case| told(case)).collect();
    assert_eq!(all, listed, "each finding of any home is listed above");
}

/// A test that needs the program that applies diffs.
type Needing = (&'static str, fn(&Patch));

/// The program that applies diffs.
struct Patch;

impl Patch {
    fn get() -> Result<&'static Self, &'static str> {
        static PATCH: LazyLock<Result<Patch, String>> = LazyLock::new(|| {
            let mut patch = Command::new("patch");
            patch.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            match patch.status() {
                Ok(status) if status.success() => Ok(Patch),
                Ok(status) => Err(format!("`patch --version` ended with {status}")),
                Err(error) => Err(format!("`patch` cannot be run: {error}")),
            }
        });
        PATCH.as_ref().map_err(String::as_str)
    }
}

/// Applies a diff as `--help` says.
fn patch(diff: &str) {
    let mut child = Command::new("patch")
        .args(["-d", "/", "-p1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("patch starts");
    child.stdin.take().expect("a pipe").write_all(diff.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{diff}");
    // Where a hunk doesn't stand at its place, the diff wasn't of this file.
    assert!(!said.contains("offset") && !said.contains("fuzz"), "{said}\n{diff}");
}

/// A finding, without the lines that a change moves.
fn named(finding: &Value) -> (String, String) {
    let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    (text("code"), text("message"))
}

fn diffs_apply_and_cure_what_they_name(_: &Patch) {
    let mut cured = BTreeSet::new();
    for name in cases(&fixtures().join("homes")) {
        let mut case = Case::new(&name);
        // What a diff is about, the files alone tell.
        "--offline".clone_into(&mut case.arguments);
        // What is cured may show what was hidden behind it: a section that was ignored, a session that wasn't complete.
        for round in 0.. {
            let before = findings(&case.run("-o json"));
            let diff = case.run("--fix").stdout;
            let fixable: BTreeSet<_> =
                before.iter().filter(|finding| finding["fixable"] == true).map(named).collect();
            assert_eq!(diff.is_empty(), fixable.is_empty(), "{name}: {diff}");
            if diff.is_empty() {
                break;
            }
            assert!(round < 4, "{name}: there is no end of it: {diff}");
            patch(&diff);
            let after = case.run("-o json");
            assert!(matches!(after.code, Some(0 | 1)), "{name}: {after:#?}");
            let left: BTreeSet<_> = findings(&after).iter().map(named).collect();
            let same: Vec<_> = fixable.intersection(&left).collect();
            assert!(same.is_empty(), "{name}: {same:#?} after\n{diff}");
            cured.extend(fixable.into_iter().map(|(code, _)| code));
        }
    }
    let kinds = [
        "comment-in-value",
        "duplicate",
        "ignored-section",
        "incomplete-session",
        "incomplete-sso",
        "invalid-account-id",
        "invalid-source",
        "misspelt-key",
        "mixed-formats",
        "no-scope",
        "repeated-key",
        "scope-missing",
    ];
    assert_eq!(cured, kinds.map(str::to_owned).into());
}

fn diffs_apply_behind_links_and_to_odd_names(_: &Patch) {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, real) = (folder.path().join("my home"), folder.path().join("dot files/aws config"));
    for folder in [home.join(".aws"), real.parent().expect("a folder").to_owned()] {
        fs::create_dir_all(folder).expect("a folder");
    }
    let text = "[profile a]\r\nregoin = eu-west-1\r\n\r\n[b]\r\nregion = eu-west-1";
    fs::write(&real, text).expect("written");
    std::os::unix::fs::symlink(&real, home.join(".aws/config")).expect("a link");
    let mut command = ssoinv("doctor --offline --fix");
    command.env("HOME", &home);
    patch(&run(command).ended(0).stdout);
    let patched = fs::read_to_string(&real).expect("a file");
    assert_eq!(patched, text.replace("regoin", "region").replace("[b]", "[profile b]"));
    assert!(home.join(".aws/config").is_symlink());
}

fn no_secret_is_in_a_diff() {
    for name in cases(&fixtures().join("homes")) {
        let mut case = Case::new(&name);
        "--offline".clone_into(&mut case.arguments);
        for arguments in ["", "-o json", "--fix"] {
            let run = case.run(arguments);
            for text in [&run.stdout, &run.stderr] {
                for secret in ["SIMSECRET", "wJalr", "hunter2"] {
                    assert!(!text.contains(secret), "{name} {arguments}: {text}");
                }
            }
        }
    }
    // The control: there is something to be left out, and something that is shown.
    let case = Case::new("secrets-beside");
    let diff = case.run("--fix").stdout;
    assert!(diff.contains("+sso_account_id") && diff.contains("-[other]"), "{diff}");
    let held = fs::read_to_string(case.home.join(".aws/config")).expect("a file");
    assert!(held.contains("SIMSECRET"), "{held}");
}

fn files_below(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            let changed = fs::metadata(&path).and_then(|file| file.modified()).expect("a time");
            files.insert(path.clone(), (fs::read(&path).expect("a file"), changed));
        }
    }
    files
}

/// Neither a token that every other command would refresh, nor one that has ended, nor cached credentials.
fn nothing_is_changed_and_nothing_refreshed() {
    for token in [Token::Ending, Token::Expired, Token::Good, Token::None] {
        for format in [Format::SsoSession, Format::Legacy] {
            let world = World::through_the_proxy(Organisation::demo(), Options::default(), Token::None);
            let home = world.simulator.home().without_endpoint().token(token).format(format);
            home.write(world.home.path()).expect("a home");
            let before = files_below(world.home.path());
            world.run("doctor");
            world.run("doctor --fix");
            assert_eq!(files_below(world.home.path()), before, "{token:?} {format:?}");
            let calls: BTreeSet<_> =
                world.simulator.calls().into_iter().map(|call| call.operation.clone()).collect();
            for operation in ["CreateToken", "RegisterClient", "StartDeviceAuthorization", "Logout"] {
                assert!(!calls.contains(operation), "{token:?} {format:?}: {calls:?}");
            }
            assert!(calls.contains("ListAccounts"), "the portal was asked: {calls:?}");
        }
    }
}

fn only_what_concerns_the_named_profiles() {
    let case = Case::new("mixed-formats");
    let of = |arguments: &str| findings(&case.run(&format!("{arguments} -o json")));
    let about = |findings: &[Value]| -> BTreeSet<String> {
        let names =
            findings.iter().flat_map(|finding| finding["profiles"].as_array().expect("names").clone());
        names.map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(about(&of("")), ["differs", "equal", "slash-differs", "unused"].map(str::to_owned).into());
    assert_eq!(about(&of("--profile equal")), ["equal".to_owned()].into());
    assert_eq!(about(&of("--profile *differs")), ["differs", "slash-differs"].map(str::to_owned).into());
    // One that has no problem but the sign-in's.
    let case = Case::new("duplicates");
    let codes = |arguments: &str| {
        let found = findings(&case.run(&format!("{arguments} -o json")));
        column(&found, "code").into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert!(codes("").contains("unused-session"));
    assert!(!codes("--profile *").contains("unused-session"), "it concerns no profile");

    case.run("--profile nobody").ended(2).said("there is no profile `nobody` (from --profile)");
    case.run("--profile nobody*").ended(5).said("no profile matches `nobody*`");
    // A profile that isn't there is wrong only where it would be used.
    let case = Case::new("unknown-variable");
    case.run("").ended(1);
    case.run("--profile dev").ended(0);
}

fn no_person_is_asked() {
    let world = World::through_the_proxy(Organisation::demo(), Options::default(), Token::None);
    let run = Person::before(world.command("doctor")).sees_the_end().ended(1);
    assert!(run.stdout.contains("not signed in to sso-session `tidewater`"), "{run:#?}");
    assert!(!run.stderr.contains("shows the code"), "{run:#?}");
}

fn reports_go_where_they_are_sent() {
    let case = Case::new("token-only");
    let people = case.run("").ended(1);
    assert!(people.stdout.starts_with("ok "), "{people:#?}");
    assert!(!people.stdout.contains('\u{1b}'), "no colour in a pipe");
    let coloured = case.run("--color always").ended(1);
    assert!(coloured.stdout.contains("\u{1b}[31m"), "{coloured:#?}");
    let said = |text: &str| {
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        plain + rest
    };
    assert_eq!(said(&coloured.stdout), people.stdout, "colour carries no meaning of its own");

    let file = case.home.join("report.txt");
    let run = case.run(&format!("-o table --out {}", file.display())).ended(1);
    assert_eq!(run.stdout, "");
    assert_eq!(fs::read_to_string(&file).expect("a report"), people.stdout);
    let file = case.home.join("report.json");
    case.run(&format!("--out {}", file.display())).ended(1);
    let rows: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file).expect("rows")).expect("JSON");
    assert_eq!(rows, case.run("-o json").rows());
    // Each step has a row, whether something was found or not.
    let steps: BTreeSet<&str> = column(&rows, "step").into_iter().collect();
    assert_eq!(steps.len(), 12, "{steps:?}");
    let csv = case.run("-o csv --columns step,status --no-header").ended(1);
    assert_eq!(csv.stdout.lines().count(), rows.len());

    let fix = Case::new("mixed-formats").run("--fix").ended(1);
    assert!(fix.stdout.starts_with("--- a/") && fix.stderr.contains("mixes both SSO formats"), "{fix:#?}");
    case.run("--fix -o json").ended(2).said("cannot be used with");
    assert_eq!(case.run("-q").ended(1).stderr, "");
}

fn the_demonstration_is_well() {
    let run = run(ssoinv("--demo doctor -o json")).ended(0);
    let rows = run.rows();
    assert_eq!(column(&rows, "status"), ["ok"; 12], "{rows:#?}");
}

fn without_a_home_there_is_no_token() {
    let case = Case::new("all-is-well");
    case.run("").ended(0);
    let mut command = case.command("-o json");
    command.env("HOME", "").env("AWS_CONFIG_FILE", case.home.join(".aws/config"));
    let found = findings(&run(command));
    // The system knows a home without the variable, too.
    let codes: BTreeSet<&str> = column(&found, "code").into_iter().collect();
    assert!(codes.is_subset(&["no-home", "not-signed-in"].into()), "{found:#?}");
    assert_eq!(codes.len(), 1, "{found:#?}");
}
