//! The `~/.aws` that a simulator writes.

use std::fs;
use std::path::Path;

use serde_json::Value;
use ssoinv_sim::{Control, Flow, Format, Organisation, OrganisationSpec, Simulator, Token};

use crate::client::*;

/// SHA-1 of `tidewater` and of `https://tidewater.awsapps.com/start`, from `sha1sum`.
const OF_NAME: &str = "f91d5d05a37e6bbc8ab7416bfb772cd6d16aae40";
const OF_URL: &str = "973b5517c6cb3c578d56f2ac5fc750ccd62461f0";

fn cached(home: &Path, name: &str) -> Value {
    let path = home.join(".aws/sso/cache").join(format!("{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn accepted(simulator: &Simulator, file: &Value) -> u16 {
    portal(simulator, file["accessToken"].as_str().unwrap(), "/assignment/accounts").status
}

#[test]
fn a_profile_for_each_account_and_a_token() {
    let simulator = start(Organisation::demo());
    let home = tempfile::tempdir().unwrap();
    let path = simulator.home().token(Token::Good).write(home.path()).unwrap();
    let config = fs::read_to_string(path).unwrap();
    let first = format!(
        "[sso-session tidewater]\nsso_start_url = https://tidewater.awsapps.com/start\nsso_region = eu-west-1\n\
         sso_registration_scopes = sso:account:access\n\n[profile management-ReadOnlyAccess]\n\
         sso_session = tidewater\nsso_account_id = 530984127701\nsso_role_name = ReadOnlyAccess\n\
         region = eu-west-1\nendpoint_url = {}\n\n[profile log-archive-ReadOnlyAccess]\n",
        simulator.url()
    );
    assert!(config.starts_with(&first), "{config}");
    assert_eq!(config.matches("[profile ").count(), 12);
    let file = cached(home.path(), OF_NAME);
    assert_eq!(accepted(&simulator, &file), 200);
    let client = Client { id: file["clientId"].clone(), secret: file["clientSecret"].clone() };
    let fresh = refresh(&simulator, &client, &file["refreshToken"]).json();
    assert_eq!(
        portal(&simulator, fresh["accessToken"].as_str().unwrap(), "/assignment/accounts").status,
        200
    );
}

#[test]
fn the_legacy_format_has_no_session_and_no_refresh_token() {
    let simulator = start(Organisation::demo());
    let home = tempfile::tempdir().unwrap();
    simulator.home().format(Format::Legacy).token(Token::Good).write(home.path()).unwrap();
    let config = fs::read_to_string(home.path().join(".aws/config")).unwrap();
    assert!(!config.contains("sso-session") && config.contains("sso_start_url = https://tidewater"));
    let file = cached(home.path(), OF_URL);
    assert_eq!(accepted(&simulator, &file), 200);
    assert!(file.get("refreshToken").is_none());
}

/// The name is `hashlib.sha1(json.dumps({"roleName": "ReadOnlyAccess", "accountId": "530984127701", "sessionName":
/// "tidewater"}, sort_keys=True, separators=(",", ":")).encode()).hexdigest()`.
#[test]
fn role_credentials_are_in_the_aws_cli_s_cache() {
    let simulator = start(Organisation::demo());
    let home = tempfile::tempdir().unwrap();
    simulator.home().role_credentials().write(home.path()).unwrap();
    let cache = home.path().join(".aws/cli/cache");
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 12, "one for each profile");
    let file = fs::read(cache.join("df9b84ec2a0f5c5aa4d9241c026e15a4b2f84c51.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(file["ProviderType"], "sso");
    let text = |name: &str| file["Credentials"][name].as_str().unwrap().to_owned();
    let keys =
        Keys { id: text("AccessKeyId"), secret: text("SecretAccessKey"), token: Some(text("SessionToken")) };
    let response = caller_identity(&simulator, &keys);
    assert_eq!((response.status, response.element("Account").as_str()), (200, "530984127701"));
}

#[test]
fn tokens_have_their_expiry() {
    let simulator = start(Organisation::demo());
    let home = tempfile::tempdir().unwrap();
    let now = || {
        let date = fetch(&simulator, &Request::get("/_sim/peaks")).header("date").unwrap().to_owned();
        chrono::DateTime::parse_from_rfc2822(&date).unwrap().timestamp()
    };
    for (token, lifetime, refreshable) in [
        (Token::Good, 3600, true),
        (Token::WithoutRefresh, 8 * 3600, false),
        (Token::Ending, 600, true),
        (Token::Expired, -60, true),
        (Token::ExpiredWithoutRefresh, -60, false),
    ] {
        let before = now();
        simulator.home().token(token).write(home.path()).unwrap();
        let written = before..=now();
        let file = cached(home.path(), OF_NAME);
        let ends = chrono::DateTime::parse_from_rfc3339(file["expiresAt"].as_str().unwrap()).unwrap();
        assert!(written.contains(&(ends.timestamp() - lifetime)), "{token:?}: {ends}, {written:?}");
        assert_eq!(file.get("refreshToken").is_some(), refreshable, "{token:?}");
    }
}

#[test]
fn an_ending_token_expires_when_its_file_says_so() {
    let simulator = start(Organisation::demo());
    let home = tempfile::tempdir().unwrap();
    simulator.home().token(Token::Ending).write(home.path()).unwrap();
    let file = cached(home.path(), OF_NAME);
    simulator.control(Control::Skew { seconds: 9 * 60 }).unwrap();
    assert_eq!(accepted(&simulator, &file), 200);
    simulator.control(Control::Skew { seconds: 10 * 60 }).unwrap();
    assert_eq!(accepted(&simulator, &file), 401);
}

#[test]
fn a_token_has_the_registration_of_its_flow() {
    let simulator = start(Organisation::demo());
    let home = tempfile::tempdir().unwrap();
    for (flow, device) in [(Flow::DeviceCode, 200), (Flow::AuthorizationCode, 400)] {
        simulator.home().flow(flow).token(Token::Expired).write(home.path()).unwrap();
        let file = cached(home.path(), OF_NAME);
        let client = Client { id: file["clientId"].clone(), secret: file["clientSecret"].clone() };
        let start_url = file["startUrl"].as_str().unwrap();
        assert_eq!(start_device(&simulator, &client, start_url).status, device, "{flow:?}");
        assert_eq!(refresh(&simulator, &client, &file["refreshToken"]).status, 200, "{flow:?}");
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_token() {
    use std::os::unix::fs::PermissionsExt;
    let simulator = start(Organisation::demo());
    let home = tempfile::tempdir().unwrap();
    simulator.home().token(Token::Good).write(home.path()).unwrap();
    let cache = home.path().join(".aws/sso/cache");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    assert_eq!(mode(&cache.join(format!("{OF_NAME}.json"))), 0o600);
}

#[test]
fn an_account_of_two_sessions_has_two_profiles() {
    let organisation = r#"{
        "regions": ["eu-west-1"], "roles": ["R"],
        "sessions": [{"name": "one", "start_url": "https://one.awsapps.com/start", "region": "eu-west-1"},
                     {"name": "two", "start_url": "https://two.awsapps.com/start", "region": "us-east-1"}],
        "accounts": [{"id": "012345678901", "name": "a", "email": "a@example.com"}]
    }"#;
    let simulator = start(Organisation::from_json(organisation).unwrap());
    let config = simulator.home().config();
    assert!(config.contains("[profile a-R]\nsso_session = one\n"), "{config}");
    assert!(config.contains("[profile a-R-two]\nsso_session = two\n"), "{config}");
}

/// Kills the program when the test ends.
struct Program(std::process::Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn the_program_prints_its_url_and_writes_a_home() {
    let home = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ssoinv-sim"));
    command.args(["--accounts", "3", "--seed", "7", "--home"]).arg(home.path());
    let mut program = Program(command.stdout(std::process::Stdio::piped()).spawn().unwrap());
    let mut url = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(program.0.stdout.take().unwrap()), &mut url)
        .unwrap();
    let config = fs::read_to_string(home.path().join(".aws/config")).unwrap();
    assert_eq!(config.matches(&format!("endpoint_url = {url}")).count(), 3);
    let port = url.trim().strip_prefix("http://127.0.0.1:").unwrap();
    std::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    let same =
        Organisation::from_spec(OrganisationSpec { seed: 7, accounts: 3, ..OrganisationSpec::default() });
    assert!(config.contains(&same.account(2).id));
}

#[test]
fn the_builder_limits_a_home() {
    let simulator = start(Organisation::from_spec(OrganisationSpec { sessions: 2, ..small() }));
    let (first, second) = (simulator.organisation().account(0), simulator.organisation().account(1));
    let home = simulator.home();
    let config = home
        .accounts(&[&first.id])
        .roles(&["SecurityAudit", "Nobody"])
        .region(None)
        .without_endpoint()
        .text("[profile own]\nregion = eu-west-1\n")
        .config();
    assert_eq!(config.matches("[profile ").count(), 3);
    assert!(config.contains(&format!("[profile {}-Nobody]", first.name)) && !config.contains(&second.id));
    assert!(!config.contains("endpoint_url") && config.ends_with("[profile own]\nregion = eu-west-1\n"));
    assert_eq!(config.matches("[sso-session ").count(), 2);
    let all = simulator.home().every_role().config();
    assert_eq!(all.matches("[profile ").count(), 12);
    assert!(all.contains("sso_session = acme-2"));
}
