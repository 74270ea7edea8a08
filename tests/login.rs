//! `ssoinv login`, `logout` and `whoami`: the page and the code, each way to fail, and what is left in the caches.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;

use expect_test::expect;
use serde_json::{Value, json};
use ssoinv_sim::{
    Approval, Control, Effect, Fault, Format, Options, Organisation, OrganisationSpec, Service, Token,
};

use crate::support::{Live, OnTerminal, Run, World, column, get, request, seeded};
use crate::tests;

tests![
    a_page_signs_in_and_the_next_command_needs_nobody,
    a_collecting_command_signs_in_with_a_page_too,
    without_a_terminal_it_prints_and_waits,
    who_declines_on_the_page_is_told,
    an_answer_to_another_sign_in_is_refused,
    a_code_that_is_not_taken_is_told,
    only_the_right_request_counts,
    a_port_that_is_taken_is_named,
    a_port_that_is_named_is_used_and_says_that_the_browser_comes_back,
    a_start_url_that_nobody_knows_is_shown_with_its_line,
    an_sso_region_that_does_not_exist_is_shown_with_its_line,
    a_device_code_where_no_browser_comes_back,
    a_declined_code_and_a_dead_service,
    nobody_is_asked_where_nobody_is,
    each_session_for_itself,
    which_session_is_meant,
    before_there_is_a_config_the_section_is_shown,
    before_there_is_a_config_the_section_is_added,
    a_section_with_other_values_is_refused_before_anybody_signs_in,
    signing_out_leaves_nothing_that_could_be_used,
    signing_out_of_what_no_config_knows,
    signing_out_when_the_portal_is_away,
    signing_out_goes_on_where_one_token_stays,
    signing_out_takes_what_a_killed_process_left,
    signing_out_before_there_is_a_config,
    who_everybody_is,
    nobody_is_asked_to_find_out_who_they_are,
];

/// SHA-1 of `acme`, by Python's hashlib.
const OF_SESSION: &str = "293abb6b76d7791c0732cc517d38c4b5c734b87f.json";

/// A machine with a screen.
fn with_screen(options: Options, token: Token) -> World {
    World::with(seeded(2), options, token).variable("DISPLAY", ":0")
}

fn manual() -> Options {
    Options { approval: Approval::Manual, device_interval: 0, ..Options::default() }
}

fn cache(world: &World) -> PathBuf {
    world.home.path().join(".aws/sso/cache")
}

fn token(world: &World) -> Value {
    let text = fs::read_to_string(cache(world).join(OF_SESSION)).expect("a token");
    serde_json::from_str(&text).expect("JSON")
}

/// Starts a command, and reads the page's address.
fn starts(world: &World, arguments: &str) -> (Live, String) {
    let live = Live::start(world.command(&format!("{arguments} --no-browser")));
    let said = live.stderr_until(|text| text.contains("/authorize?") && text.ends_with('\n'));
    let (_, rest) = said.split_once(": open ").expect("an address");
    (live, rest.lines().next().expect("a line").to_owned())
}

/// What was said, without the page's address.
fn without_address(world: &World, said: &str) -> String {
    let line = |line: &str| match line.split_once("/authorize?") {
        Some((before, _)) => format!("{before}/authorize?…\n"),
        None => line.to_owned(),
    };
    let text: String = world.said_of(said).split_inclusive('\n').map(line).collect();
    // The end of the token.
    let digits = |word: &str| word.replace(|c: char| c.is_ascii_digit(), "9");
    text.split(' ')
        .map(|word| if digits(word).starts_with("9999-99-99T99:99:99Z") { "THEN," } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

fn a_page_signs_in_and_the_next_command_needs_nobody() {
    let world = with_screen(Options::default(), Token::None);
    let (live, address) = starts(&world, "login");
    let callback = get(&address).location();
    let page = get(&callback);
    assert_eq!(page.status, "200");
    for header in [
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        "content-type: text/html; charset=utf-8",
    ] {
        assert!(page.head.contains(header), "{}", page.head);
    }
    let (run, _) = live.finish();
    let run = run.ended(0);
    assert_eq!(run.stdout, "");
    expect![[r#"
        sign in to `acme` in a browser on this machine (within 10 min): open http://SIMULATOR/authorize?…
        signed in to `acme`
        the token of `acme` is good until THEN, refreshed by itself from then on, while the sign-in lasts
    "#]]
    .assert_eq(&without_address(&world, &run.stderr));
    // Nobody listens any more.
    let port = callback.split(['/', ':']).nth(4).expect("a port");
    assert!(TcpStream::connect(format!("127.0.0.1:{port}")).is_err());

    assert_eq!(token(&world)["startUrl"], "https://acme0.awsapps.com/start");
    assert!(token(&world)["refreshToken"].is_string());
    let registrations: Vec<Value> = fs::read_dir(cache(&world))
        .expect("a folder")
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a file"))
        .filter_map(|text| serde_json::from_str::<Value>(&text).ok())
        .filter(|file| file["grantTypes"] == json!(["authorization_code", "refresh_token"]))
        .collect();
    assert_eq!(registrations.len(), 1, "{registrations:#?}");
    assert_eq!(registrations[0]["scopes"], json!(["sso:account:access"]));
    assert_eq!(registrations[0]["clientId"], token(&world)["clientId"]);
    assert_eq!(world.run("buckets --all-profiles --no-input -o json").ended(0).rows().len(), 6);

    // The registration serves again.
    let (live, address) = starts(&world, "login");
    get(&get(&address).location());
    live.finish().0.ended(0);
    assert_eq!(world.simulator.count(Service::OIDC, "RegisterClient"), 1);
}

fn a_collecting_command_signs_in_with_a_page_too() {
    let world = with_screen(Options::default(), Token::None);
    let mut command = world.command("buckets --all-profiles -o json");
    // Nothing that could open a page is found there.
    command.env("PATH", world.home.path()).env("TERM", "xterm");
    let live = Live::on_terminal(command, 400, OnTerminal::Stderr);
    let said = live.terminal_until(|text| text.contains("open the address above"));
    let (_, rest) = said.split_once(": open ").expect("an address");
    get(&get(rest.lines().next().expect("a line")).location());
    let (run, screen) = live.finish();
    assert_eq!(run.ended(0).rows().len(), 6);
    assert!(!screen.contains("0/0"), "no bar before there is a plan: {screen:?}");
}

fn without_a_terminal_it_prints_and_waits() {
    let world = World::with(seeded(1), manual(), Token::None);
    let live = Live::start(world.command("login"));
    let said = live.stderr_until(|text| text.contains("(good for"));
    let (_, code) = said.split_once("shows the code ").expect("a code");
    world.control(Control::Approve { user_code: code.split(' ').next().map(str::to_owned) });
    live.finish().0.ended(0).said("signed in to `acme`");
}

/// Signs in with a browser that brings this, and gives what was said.
fn brings(world: &World, change: impl Fn(String) -> String) -> String {
    let (live, address) = starts(world, "login");
    assert_eq!(get(&change(get(&address).location())).status, "200");
    let run = live.finish().0.ended(3);
    assert!(!cache(world).join(OF_SESSION).exists());
    without_address(world, &run.stderr)
}

fn who_declines_on_the_page_is_told() {
    let world = with_screen(Options { approval: Approval::Denied, ..Options::default() }, Token::None);
    expect![[r#"
        sign in to `acme` in a browser on this machine (within 10 min): open http://SIMULATOR/authorize?…
        error: the sign-in to sso-session `acme` was declined in the browser

        hint: run `ssoinv login --sso-session acme` again, and allow the access that it asks for
    "#]]
    .assert_eq(&brings(&world, |location| location));
}

fn an_answer_to_another_sign_in_is_refused() {
    let world = with_screen(Options::default(), Token::None);
    let said = brings(&world, |location| location.replace("state=", "state=x"));
    expect![[r#"
        sign in to `acme` in a browser on this machine (within 10 min): open http://SIMULATOR/authorize?…
        error: the browser came back with a response that does not belong to this sign-in to sso-session `acme` (`state` differs)

        hint: close old sign-in pages, then run `ssoinv login --sso-session acme` again: an answer to another sign-in came in
    "#]]
    .assert_eq(&said);
    assert_eq!(world.simulator.count(Service::OIDC, "CreateToken"), 0);
}

fn a_code_that_is_not_taken_is_told() {
    let world = with_screen(Options { approval: Approval::Expires, ..Options::default() }, Token::None);
    expect![[r#"
        sign in to `acme` in a browser on this machine (within 10 min): open http://SIMULATOR/authorize?…
        error: the code that the browser brought for sso-session `acme` is not taken: Authorization code has expired

        hint: run `ssoinv login --sso-session acme` again; with `--use-device-code` another way is taken
    "#]]
    .assert_eq(&brings(&world, |location| location));
    let said = brings(&world, |location| {
        format!(
            "{}error=server_error&state={}",
            location.split("code=").next().expect("a start"),
            location.split("state=").nth(1).expect("a state")
        )
    });
    assert!(said.contains("was refused: no reason given (server_error)"), "{said}");
}

/// Pages elsewhere, other programs and browsers that look for an icon come to nothing, and stop nothing.
fn only_the_right_request_counts() {
    let world = with_screen(Options::default(), Token::None);
    let (live, address) = starts(&world, "login");
    let callback = get(&address).location();
    let (authority, _) = callback["http://".len()..].split_once('/').expect("a path");
    let port = authority.rsplit_once(':').expect("a port").1;
    let elsewhere = callback.replace("/oauth/callback", "/favicon.ico");
    for (url, method, host, status) in [
        (&elsewhere, "GET", authority, "404"),
        (&callback.replace("/oauth/callback", "/oauth/callback/"), "GET", authority, "404"),
        (&callback, "POST", authority, "405"),
        (&callback, "GET", &format!("evil.example:{port}"), "421"),
        (&callback, "GET", "127.0.0.1:1", "421"),
        (&callback, "GET", "", "421"),
        (&format!("{callback}&state=again"), "GET", authority, "400"),
    ] {
        let page = request(url, method, host);
        assert_eq!(page.status, status, "{method} {url} {host}");
        assert!(page.head.contains("referrer-policy: no-referrer"), "{}", page.head);
    }
    // Somebody who only connects doesn't hold it up.
    let silent = TcpStream::connect(authority).expect("it listens");
    assert_eq!(request(&callback, "GET", &format!("localhost:{port}")).status, "200");
    live.finish().0.ended(0);
    drop(silent);
}

fn a_port_that_is_taken_is_named() {
    let world = with_screen(Options::default(), Token::None);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let run = world.run(&format!("login --no-browser --redirect-port {port}")).ended(2);
    let said = world.said_of(&run.stderr).replace(&port.to_string(), "PORT");
    let (before, rest) = said.split_once("for the browser to come back: ").expect("the reason");
    let hint = rest.split_once('\n').expect("a line").1;
    expect![[r#"
        error: cannot listen on port PORT 

        hint: leave out `--redirect-port`, or name a free port
    "#]]
    .assert_eq(&format!("{before}\n{hint}"));
    assert_eq!(world.simulator.calls(), []);
}

fn a_port_that_is_named_is_used_and_says_that_the_browser_comes_back() {
    let world = World::with(seeded(1), Options::default(), Token::None).variable("SSH_CONNECTION", "1 2 3 4");
    let port = {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        free.local_addr().expect("an address").port()
    };
    let (live, address) = starts(&world, &format!("login --redirect-port {port}"));
    let callback = get(&address).location();
    assert!(callback.starts_with(&format!("http://127.0.0.1:{port}/oauth/callback?")), "{callback}");
    get(&callback);
    live.finish().0.ended(0);
}

/// Replaces text in the config.
fn edit(world: &World, from: &str, to: &str) {
    let config = world.home.path().join(".aws/config");
    let text = fs::read_to_string(&config).expect("a config");
    assert!(text.contains(from), "{text}");
    fs::write(config, text.replace(from, to)).expect("written");
}

fn a_start_url_that_nobody_knows_is_shown_with_its_line() {
    for flow in ["", "--use-device-code"] {
        let world = with_screen(Options::default(), Token::None);
        edit(&world, "acme0.awsapps.com", "acne.awsapps.com");
        let run = world.run(&format!("login {flow}")).ended(2);
        let said = world.said_of(&run.stderr).replace("issuer", "start");
        expect![[r#"
            error: the sign-in service of region `us-east-1` does not know the start URL `https://acne.awsapps.com/start`: Invalid start url provided
              ~/.aws/config:2  sso_start_url = https://acne.awsapps.com/start
              ~/.aws/config:3  sso_region = us-east-1

            hint: compare both with the AWS access portal URL and the region on the dashboard of IAM Identity Center
        "#]]
        .assert_eq(&said);
    }
}

fn an_sso_region_that_does_not_exist_is_shown_with_its_line() {
    let closed = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.local_addr().expect("an address")
    };
    // AWS's own hosts, through a proxy that isn't there: no name is looked up.
    let world = World::without_home(seeded(1), Options::default())
        .variable("DISPLAY", ":0")
        .variable("AWS_MAX_ATTEMPTS", "1")
        .variable("HTTPS_PROXY", format!("http://{closed}"));
    world.simulator.home().without_endpoint().write(world.home.path()).expect("a home");
    edit(&world, "sso_region = us-east-1", "sso_region = us-esat-1");
    let run = world.run("login").ended(2);
    let said = world.shown(&run.stderr);
    let (message, rest) = said.split_once(" was reached: ").expect("the reason");
    assert_eq!(message, "error: no sign-in service of region `us-esat-1` (sso-session `acme`)");
    expect![[r#"
          ~/.aws/config:3  sso_region = us-esat-1

        hint: did you mean `sso_region = us-east-1`? It is the region of your IAM Identity Center
    "#]]
    .assert_eq(rest.split_once('\n').expect("a line").1);
}

fn a_device_code_where_no_browser_comes_back() {
    for (name, value, format) in [
        ("SSH_CONNECTION", "1 2 3 4", Format::SsoSession),
        ("SSH_TTY", "/dev/pts/1", Format::SsoSession),
        ("container", "podman", Format::SsoSession),
        ("DISPLAY", ":0", Format::Legacy),
    ] {
        let world = World::without_home(seeded(1), Options::default()).variable(name, value);
        world.simulator.home().format(format).write(world.home.path()).expect("a home");
        let run = world.run("login --no-browser").ended(0);
        assert!(run.stderr.contains("/device?user_code="), "{name}: {run:#?}");
        assert_eq!(world.simulator.count(Service::OIDC, "StartDeviceAuthorization"), 1);
    }
}

fn a_declined_code_and_a_dead_service() {
    let world =
        World::with(seeded(1), Options { approval: Approval::Denied, ..Options::default() }, Token::None);
    let run = world.run("login --no-browser").ended(3);
    let said = world.said_of(&run.stderr);
    let (_, said) = said.split_once(" min)\n").expect("a code");
    expect![[r#"
        error: the sign-in to sso-session `acme` was declined in the browser

        hint: run `ssoinv login --sso-session acme` again, and allow the access that it asks for
    "#]]
    .assert_eq(said);
    let world = World::with(seeded(1), Options::default(), Token::None).variable("AWS_MAX_ATTEMPTS", "2");
    world.simulator.fault(Fault::new(Effect::Reset).service(Service::OIDC)).expect("a fault");
    let run = world.run("login").ended(3).said("error: the sign-in to `acme` failed: connection error: ");
    run.said("hint: see that this machine reaches AWS");
    assert_eq!(world.simulator.count(Service::OIDC, "RegisterClient"), 2);
}

fn nobody_is_asked_where_nobody_is() {
    let world = World::with(seeded(1), Options::default(), Token::None).variable("CI", "true");
    let refused = world.run("login").ended(3);
    expect![[r#"
        error: a sign-in needs somebody, and `CI=true` says that nobody is there

        hint: `ssoinv login --use-device-code` shows a code, also in a log, to approve in any browser
    "#]]
    .assert_eq(&refused.stderr);
    world.run("login --no-input").ended(3).said("and `--no-input` says");
    let person = world.at_terminal("buckets --all-profiles");
    person.sees_the_end().ended(3).said("not signed in to sso-session `acme`");
    assert_eq!(world.simulator.calls(), []);
    // Somebody reads the log.
    world.run("login --use-device-code --no-browser").ended(0).said("/device?user_code=");
    world.run("buckets --all-profiles").ended(0);
}

fn each_session_for_itself() {
    let organisation =
        Organisation::from_spec(OrganisationSpec { accounts: 2, sessions: 2, ..OrganisationSpec::default() });
    let world = World::with(organisation, manual(), Token::None);
    let live = Live::start(world.command("login --all --no-browser"));
    live.stderr_until(|text| text.matches("(good for").count() == 1);
    world.control(Control::Deny { user_code: None });
    live.stderr_until(|text| text.matches("(good for").count() == 2);
    world.control(Control::Approve { user_code: None });
    let run = live.finish().0.ended(3).said("the sign-in to sso-session `acme` was declined in the browser");
    assert!(run.stderr.contains("signed in to `acme-2`"), "{run:#?}");
    let whole = world.run("buckets --all-profiles --no-input -o json").ended(3);
    assert_eq!(column(&whole.rows(), "account_id").len(), 3);
}

fn which_session_is_meant() {
    let organisation =
        Organisation::from_spec(OrganisationSpec { accounts: 2, sessions: 2, ..OrganisationSpec::default() });
    let world = World::with(organisation, Options::default(), Token::None);
    let run = world.run("login").ended(2);
    expect![[r#"
        error: there are 2 sign-ins to choose from
          `acme`
          `acme-2`

        hint: say which with `--sso-session NAME` or `--profile NAME`, or `--all`
    "#]]
    .assert_eq(&run.stderr);
    world.run("login --sso-session acme-3").ended(2).said("hint: did you mean `--sso-session acme-2`?");
    world.run("login --sso-session acme-2 --no-browser").ended(0).said("signed in to `acme-2`");
    let profile = ssoinv_sim::profile_name(
        &world.simulator.organisation().account(0).name,
        &world.simulator.organisation().account(0).roles[0],
    );
    world.run(&format!("login --profile {profile} --no-browser")).ended(0).said("signed in to `acme`");
    let mut command = world.command("login --no-browser");
    command.env("AWS_PROFILE", &profile);
    crate::support::run(command).ended(0).said("signed in to `acme`");
    let world = World::without_home(seeded(1), Options::default());
    world.run("login").ended(2).said("there is no sign-in in ~/.aws/config or ~/.aws/credentials");
}

/// A home without a config, for an organisation that `AWS_ENDPOINT_URL` leads to.
fn without_config() -> World {
    let world = World::without_home(seeded(1), Options::default());
    let url = world.simulator.url().to_owned();
    world.variable("AWS_ENDPOINT_URL", url)
}

const START: &str = "--start-url https://acme0.awsapps.com/start --sso-region us-east-1 --no-browser";

fn before_there_is_a_config_the_section_is_shown() {
    let world = without_config();
    let run = world.run(&format!("login {START} --sso-session acme")).ended(0);
    expect![[r#"
        [sso-session acme]
        sso_start_url = https://acme0.awsapps.com/start
        sso_region = us-east-1
        sso_registration_scopes = sso:account:access
    "#]]
    .assert_eq(&run.stdout);
    run.said("add this to ~/.aws/config, or run the same with `--write`:");
    assert!(!world.home.path().join(".aws/config").exists());
    // The token is there for the section, once it is added as it was printed.
    let profile = format!(
        "{}[profile a]\nsso_session = acme\nsso_account_id = {}\nsso_role_name = {}\n",
        "[sso-session acme]\nsso_start_url = https://acme0.awsapps.com/start\nsso_region = us-east-1\n",
        world.simulator.organisation().account(0).id,
        world.simulator.organisation().account(0).roles[0],
    );
    fs::write(world.home.path().join(".aws/config"), profile).expect("written");
    world.run("buckets --profile a --no-input").ended(0);
    world.run(&format!("login {START} --sso-session acme")).ended(0).said("is in ~/.aws/config already");
}

fn before_there_is_a_config_the_section_is_added() {
    let world = without_config();
    let config = world.home.path().join(".aws/config");
    world
        .run(&format!("login {START} --write"))
        .ended(0)
        .said("added `[sso-session acme0]` to ~/.aws/config\n");
    let added = fs::read_to_string(&config).expect("a config");
    assert!(
        added.starts_with("[sso-session acme0]\nsso_start_url = https://acme0.awsapps.com/start\n"),
        "{added}"
    );
    let mine = "# mine\r\n[profile  x]\r\nregion=eu-west-1";
    fs::write(&config, mine).expect("written");
    let run = world.run(&format!("login {START} --write")).ended(0);
    run.said("added `[sso-session acme0]` to ~/.aws/config; what it was is in ~/.aws/config.ssoinv-backup\n");
    assert!(fs::read_to_string(&config).expect("a config").starts_with(mine));
    assert_eq!(fs::read_to_string(config.with_file_name("config.ssoinv-backup")).expect("a copy"), mine);
}

fn a_section_with_other_values_is_refused_before_anybody_signs_in() {
    let world = without_config();
    fs::create_dir(world.home.path().join(".aws")).expect("made");
    let text =
        "[sso-session acme]\nsso_start_url = https://other.awsapps.com/start\nsso_region = us-east-1\n";
    fs::write(world.home.path().join(".aws/config"), text).expect("written");
    let run = world.run(&format!("login {START} --sso-session acme --write")).ended(2);
    expect![[r#"
        error: `[sso-session acme]` is there already, with other values
          ~/.aws/config:2  sso_start_url = https://other.awsapps.com/start
          the command line: sso_start_url = https://acme0.awsapps.com/start

        hint: give the new one another name, or correct `[sso-session acme]`
    "#]]
    .assert_eq(&run.stderr);
    for (arguments, said) in [
        (
            "--start-url http://acme0.awsapps.com/start --sso-region us-east-1",
            "cannot be the value of `sso_start_url`",
        ),
        ("--start-url https://x.example/ --sso-region evil.example/", "cannot be the value of `sso_region`"),
        ("--start-url https://x.example/ --sso-region us-east-1 --sso-session a]b", "cannot be the name"),
    ] {
        world.run(&format!("login {arguments}")).ended(2).said(said);
    }
    assert_eq!(world.simulator.calls(), []);
}

const BUCKETS: &str = "buckets --all-profiles --no-input -o json";

fn credentials(world: &World) -> usize {
    fs::read_dir(world.home.path().join(".aws/cli/cache")).map_or(0, Iterator::count)
}

fn signing_out_leaves_nothing_that_could_be_used() {
    let world = World::with(seeded(2), Options::default(), Token::None);
    world.run("login --no-browser").ended(0);
    world.run(BUCKETS).ended(0);
    let other = world.home.path().join(".aws/cli/cache/other.json");
    fs::write(&other, r#"{"Credentials": {"AccessKeyId": "ASIA"}}"#).expect("written");
    let before = token(&world);
    let run = world.run("logout --keep-credentials").ended(0);
    expect![[r#"
        signed out of `acme`
        role credentials that were handed out before stay good until they end by themselves
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
    assert_eq!(world.simulator.count(Service::PORTAL, "Logout"), 1);
    assert!(!cache(&world).join(OF_SESSION).exists());
    assert_eq!(credentials(&world), 3);
    // The registration is still there, and the token that somebody copied is worth nothing.
    world.run("login --no-browser").ended(0);
    assert_eq!(world.simulator.count(Service::OIDC, "RegisterClient"), 1);
    fs::write(cache(&world).join(OF_SESSION), before.to_string()).expect("written");
    world.run(&format!("{BUCKETS} --no-credential-cache")).ended(3);

    let run = world.run("logout").ended(0);
    expect![[r#"
        removed the token of `acme`, which had ended
        removed 2 cached role credentials
        role credentials that were handed out before stay good until they end by themselves
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
    assert_eq!(credentials(&world), 1, "what others gave stays");
    let run = world.run("logout").ended(0);
    assert_eq!(world.said_of(&run.stderr), "nobody is signed in to `acme`\n");
}

fn signing_out_of_what_no_config_knows() {
    let world = World::with(seeded(1), Options::default(), Token::Good);
    // A token under a name that the config has given to another start URL is revoked where it is from.
    edit(&world, "https://acme0.awsapps.com/start", "https://evil.awsapps.com/start");
    let text = fs::read_to_string(cache(&world).join(OF_SESSION)).expect("a token");
    fs::write(cache(&world).join("0123.json"), text.replace("us-east-1", "no region/")).expect("written");
    fs::write(cache(&world).join("4567.json"), "{}").expect("written");
    let world = world.variable("HTTPS_PROXY", "http://127.0.0.1:1").variable("AWS_MAX_ATTEMPTS", "1");
    let run = world.run("logout --all").ended(4);
    assert_eq!(run.stderr.matches("is removed here, but the portal was not told").count(), 2, "{run:#?}");
    assert!(run.stderr.contains("`no region/` is not the name of a region"), "{run:#?}");
    assert_eq!(world.simulator.calls(), [], "not sent to this config's endpoint");
    let mut left: Vec<_> = fs::read_dir(cache(&world))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().ends_with(".json"))
        .collect();
    left.sort();
    assert_eq!(left, ["4567.json"]);
}

fn signing_out_when_the_portal_is_away() {
    let world = World::with(seeded(1), Options::default(), Token::Good).variable("AWS_MAX_ATTEMPTS", "1");
    world.simulator.fault(Fault::new(Effect::ServerError(503)).operation("Logout")).expect("a fault");
    let run = world.run("logout").ended(4);
    assert!(!cache(&world).join(OF_SESSION).exists());
    run.said("warning: the token of `acme` is removed here, but the portal was not told: ")
        .said("hint: whoever has a copy can use it until it ends");
}

fn signing_out_goes_on_where_one_token_stays() {
    let organisation =
        Organisation::from_spec(OrganisationSpec { accounts: 2, sessions: 2, ..OrganisationSpec::default() });
    let world = World::with(organisation, Options::default(), Token::Good);
    world.run(BUCKETS).ended(0);
    // Its lock can't be had.
    let stays = cache(&world).join(OF_SESSION);
    fs::create_dir(stays.with_extension("lock")).expect("made");
    let run = world.run("logout --all").ended(74);
    assert!(run.stderr.contains(&format!("error: `{}` cannot be written: ", stays.display())), "{run:#?}");
    assert!(run.stderr.contains("signed out of `acme-2`\nremoved 2 cached role credentials\n"), "{run:#?}");
    assert_eq!(credentials(&world), 0);
    let tokens = fs::read_dir(cache(&world)).expect("a folder").filter(|entry| {
        entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|ending| ending == "json"))
    });
    assert_eq!(tokens.count(), 1, "the other one's");
}

/// Killed in the middle of a write, it leaves a file that holds a token or keys.
fn signing_out_takes_what_a_killed_process_left() {
    let world = World::with(seeded(1), Options::default(), Token::Good);
    let left = [cache(&world), world.home.path().join(".aws/cli/cache")].map(|folder| {
        fs::create_dir_all(&folder).expect("made");
        folder.join(".ssoinv-a1B2c3.tmp")
    });
    let write = || left.iter().for_each(|file| fs::write(file, "{}").expect("written"));
    write();
    let others = cache(&world).join("others.tmp");
    fs::write(&others, "{}").expect("written");
    world.run("logout --keep-credentials").ended(0);
    assert_eq!(left.each_ref().map(|file| file.exists()), [false, true]);
    write();
    world.run("logout").ended(0);
    assert_eq!(left.each_ref().map(|file| file.exists()), [false, false]);
    assert!(others.exists());
}

fn signing_out_before_there_is_a_config() {
    let world = without_config();
    world.run(&format!("login {START} --sso-session acme")).ended(0);
    for arguments in ["logout", "logout --sso-session acme"] {
        let run = world.run(arguments).ended(2);
        run.said("hint: `ssoinv logout --all` signs out of what no config knows, too\n");
    }
    world.run("logout --all").ended(0).said("signed out of `https://acme0.awsapps.com/start`\n");
    assert!(!cache(&world).join(OF_SESSION).exists());
    let run = world.run("logout --all").ended(0);
    assert_eq!(run.stderr, "nobody is signed in\n");
}

fn who_everybody_is() {
    let world = World::seeded(2);
    let run: Run = world.run("whoami --all-profiles -o json").ended(0);
    let rows = run.rows();
    assert_eq!(rows.len(), 2);
    for (index, row) in rows.iter().enumerate() {
        let account = world.simulator.organisation().account(index).id;
        assert_eq!(row["account_id"], *account);
        let arn = row["arn"].as_str().expect("an ARN");
        assert!(arn.starts_with(&format!("arn:aws:sts::{account}:assumed-role/AWSReservedSSO_")), "{arn}");
        assert!(row["user_id"].as_str().expect("an ID").starts_with("AROA"));
        assert_eq!(row["sso_session"], "acme");
        assert_eq!(row["start_url"], "https://acme0.awsapps.com/start");
        assert_eq!(row["token_refreshes"], true);
        assert_eq!(row["error"], Value::Null);
        let names: Vec<&String> = row.as_object().expect("an object").keys().collect();
        assert_eq!(names.len(), 9, "{names:?}");
    }
    assert_eq!(world.simulator.count(Service::STS, "GetCallerIdentity"), 2);
}

fn nobody_is_asked_to_find_out_who_they_are() {
    let world = World::with(seeded(2), Options::default(), Token::None);
    let person = world.at_terminal("whoami --all-profiles -o json");
    let run = person.sees_the_end().ended(3);
    assert_eq!(run.rows().len(), 2);
    assert!(run.stderr.contains("not signed in to sso-session `acme`: profile `"), "{run:#?}");
    assert!(run.stderr.contains("and 1 more\nhint: run `ssoinv login --profile "), "{run:#?}");
    assert_eq!(world.simulator.calls(), []);
}
