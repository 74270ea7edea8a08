//! The authorization code flow with PKCE, step by step, and each mistake in it.
//!
//! The browser's part is a request for the page; a test reads the address of the redirect.

use serde_json::{Value, json};
use ssoinv_sim::{Approval, Control, Options, Organisation, SECRET_MARKER, Simulator};

use crate::client::*;

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1:4000/oauth/callback";

/// A registered client and its page.
struct Flow {
    simulator: Simulator,
    client: Value,
    page: Vec<(&'static str, String)>,
}

fn post(simulator: &Simulator, path: &str, body: &Value) -> Response {
    fetch(simulator, &Request::post(path, &body.to_string()))
}

fn error_of(response: &Response) -> (u16, String) {
    let code = response.header("x-amzn-errortype").unwrap_or_default().split(':').next().unwrap().to_owned();
    (response.status, code)
}

fn registration(start_url: &str) -> Value {
    json!({
        "clientName": "x",
        "clientType": "public",
        "scopes": ["sso:account:access"],
        "grantTypes": ["authorization_code", "refresh_token"],
        "redirectUris": ["http://127.0.0.1/oauth/callback"],
        "issuerUrl": start_url,
    })
}

impl Flow {
    fn new(options: Options) -> Self {
        Self::of_client(options, |_| {})
    }

    /// Starts the flow of a client with another registration.
    fn of_client(options: Options, change: impl Fn(&mut Value)) -> Self {
        let simulator = Simulator::start(Organisation::demo(), options).unwrap();
        let mut body = registration(&simulator.organisation().sessions()[0].start_url);
        change(&mut body);
        let client = post(&simulator, "/client/register", &body).json();
        let page = vec![
            ("response_type", "code".to_owned()),
            ("client_id", client["clientId"].as_str().unwrap().to_owned()),
            ("redirect_uri", CALLBACK.to_owned()),
            ("state", "a state".to_owned()),
            ("code_challenge_method", "S256".to_owned()),
            ("code_challenge", CHALLENGE.to_owned()),
            ("scopes", "sso:account:access".to_owned()),
        ];
        Self { simulator, client, page }
    }

    /// Opens the page, with one parameter changed or left out.
    fn open(&self, change: Option<(&str, Option<&str>)>) -> Response {
        let pairs = self.page.iter().filter_map(|(name, value)| match change {
            Some((changed, value)) if changed == *name => Some(format!("{name}={}", encoded(value?))),
            _ => Some(format!("{name}={}", encoded(value))),
        });
        let query: Vec<String> = pairs.collect();
        fetch(&self.simulator, &Request::get(&format!("/authorize?{}", query.join("&"))))
    }

    /// Returns the code in the redirect.
    fn code(&self) -> String {
        let location = self.open(None).header("location").expect("sent back").to_owned();
        let query = location.strip_prefix(&format!("{CALLBACK}?code=")).expect("a code").to_owned();
        let (code, state) = query.split_once('&').unwrap();
        assert_eq!(state, "state=a%20state");
        code.replace("%2D", "-")
    }

    fn registered(&self) -> Client {
        Client { id: self.client["clientId"].clone(), secret: self.client["clientSecret"].clone() }
    }

    fn works(&self, tokens: &Value) -> bool {
        let token = tokens["accessToken"].as_str().expect("a token");
        portal(&self.simulator, token, "/assignment/accounts").status == 200
    }

    fn exchange(&self, change: Option<(&str, &str)>, code: &str) -> Response {
        let mut body = json!({
            "grantType": "authorization_code",
            "clientId": self.client["clientId"],
            "clientSecret": self.client["clientSecret"],
            "code": code,
            "codeVerifier": VERIFIER,
            "redirectUri": CALLBACK,
        });
        if let Some((name, value)) = change {
            body[name] = json!(value);
        }
        post(&self.simulator, "/token", &body)
    }
}

#[test]
fn a_page_leads_to_a_code_and_the_code_to_tokens() {
    let flow = Flow::new(Options::default());
    let code = flow.code();
    let made = flow.exchange(None, &code);
    assert_eq!(made.status, 200, "{}", made.text());
    let tokens = made.json();
    assert_eq!((&tokens["tokenType"], &tokens["expiresIn"]), (&json!("Bearer"), &json!(3600)));
    assert!(flow.works(&tokens));
    let next = refresh(&flow.simulator, &flow.registered(), &tokens["refreshToken"]).json();
    assert!(flow.works(&next));
    assert_eq!(flow.simulator.reuses(), 0);
}

#[test]
fn a_code_used_twice_revokes_all_its_tokens() {
    let flow = Flow::new(Options::default());
    let code = flow.code();
    let first = flow.exchange(None, &code).json();
    let next = refresh(&flow.simulator, &flow.registered(), &first["refreshToken"]).json();
    let other = flow.exchange(None, &flow.code()).json();
    assert_eq!(error_of(&flow.exchange(None, &code)), (400, "InvalidGrantException".into()));
    assert_eq!([&first, &next, &other].map(|tokens| flow.works(tokens)), [false, false, true]);
    let response = refresh(&flow.simulator, &flow.registered(), &next["refreshToken"]);
    assert_eq!(error_of(&response), (400, "InvalidGrantException".into()));
    assert_eq!(flow.simulator.reuses(), 1);
    assert_eq!(fetch(&flow.simulator, &Request::get("/_sim/reuses")).json(), json!(1));
    flow.simulator.control(Control::ResetCounters {}).unwrap();
    assert_eq!(flow.simulator.reuses(), 0);
}

#[test]
fn codes_and_verifiers_are_among_the_secrets() {
    let flow = Flow::new(Options::default());
    let code = flow.code();
    flow.exchange(Some(("codeVerifier", "short")), &code);
    flow.exchange(None, &code);
    let secrets = flow.simulator.secrets();
    assert!(secrets.contains(&code) && secrets.iter().any(|secret| secret == VERIFIER));
    let unmarked = secrets.iter().filter(|secret| !secret.contains(SECRET_MARKER));
    assert_eq!(unmarked.collect::<Vec<_>>(), [VERIFIER], "what is no verifier could be found anywhere");
}

#[test]
fn a_browser_is_redirected_to_registered_uris_only() {
    let flow = Flow::new(Options::default());
    for change in [
        ("client_id", None),
        ("client_id", Some("other")),
        ("redirect_uri", None),
        ("redirect_uri", Some("http://127.0.0.1:4000/other")),
        ("redirect_uri", Some("http://localhost:4000/oauth/callback")),
        ("redirect_uri", Some("http://127.0.0.1:80@evil.example/oauth/callback")),
        ("redirect_uri", Some("https://evil.example/oauth/callback")),
    ] {
        let response = flow.open(Some(change));
        assert_eq!((response.status, response.header("location")), (400, None), "{change:?}");
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
    }
    let mut twice = Flow::new(Options::default());
    twice.page.push(("state", "another".to_owned()));
    assert_eq!((twice.open(None).status, twice.open(None).header("location")), (400, None));
    flow.simulator.control(Control::ExpireRegistrations {}).unwrap();
    assert_eq!((flow.open(None).status, flow.open(None).header("location")), (400, None));
}

#[test]
fn other_mistakes_are_returned_to_the_client() {
    let flow = Flow::new(Options::default());
    let long = "a".repeat(129);
    for (change, error) in [
        (("response_type", None), "unsupported%5Fresponse%5Ftype"),
        (("response_type", Some("token")), "unsupported%5Fresponse%5Ftype"),
        (("state", None), "invalid%5Frequest"),
        (("code_challenge", None), "invalid%5Frequest"),
        (("code_challenge", Some("short")), "invalid%5Frequest"),
        (("code_challenge", Some(&long)), "invalid%5Frequest"),
        (("code_challenge", Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw~cM")), "invalid%5Frequest"),
        (("code_challenge_method", None), "invalid%5Frequest"),
        (("code_challenge_method", Some("plain")), "invalid%5Frequest"),
        (("scopes", None), "invalid%5Frequest"),
        (("scopes", Some("sso:account:access openid")), "invalid%5Fscope"),
    ] {
        let response = flow.open(Some(change));
        let location = response.header("location").unwrap_or_else(|| panic!("not sent back: {change:?}"));
        assert!(location.starts_with(&format!("{CALLBACK}?error={error}&")), "{change:?}: {location}");
        assert_eq!(location.ends_with("&state=a%20state"), change.0 != "state", "{change:?}: {location}");
        assert_eq!(response.status, 302);
    }
    assert_eq!(fetch(&flow.simulator, &Request::post("/authorize", "")).status, 405);
}

#[test]
fn any_port_but_the_same_one_in_the_exchange() {
    let flow = Flow::new(Options::default());
    for port in ["", ":1", ":65535"] {
        let callback = format!("http://127.0.0.1{port}/oauth/callback");
        let location =
            flow.open(Some(("redirect_uri", Some(&callback)))).header("location").unwrap().to_owned();
        let code = location.strip_prefix(&format!("{callback}?code=")).expect("a code");
        let code = code.split('&').next().unwrap().replace("%2D", "-");
        assert_eq!(
            error_of(&flow.exchange(None, &code)),
            (400, "InvalidGrantException".into()),
            "another port"
        );
        assert_eq!(flow.exchange(Some(("redirectUri", &callback)), &code).status, 200, "{port}");
    }
}

#[test]
fn a_rejected_exchange_leaves_the_code_valid() {
    let flow = Flow::new(Options::default());
    let code = flow.code();
    let other_verifier = VERIFIER.replace('d', "e");
    for change in [
        ("codeVerifier", other_verifier.as_str()),
        ("codeVerifier", CHALLENGE),
        ("codeVerifier", &VERIFIER[..42]),
        ("redirectUri", "http://127.0.0.1:4001/oauth/callback"),
        ("redirectUri", "http://127.0.0.1/oauth/callback"),
        ("code", "other"),
    ] {
        let response = flow.exchange(Some(change), &code);
        assert_eq!(error_of(&response), (400, "InvalidGrantException".into()), "{change:?}");
    }
    for missing in ["codeVerifier", "redirectUri", "code"] {
        let response = flow.exchange(Some((missing, "")), &code);
        assert_eq!(error_of(&response), (400, "InvalidRequestException".into()), "{missing}");
    }
    let secret = flow.exchange(Some(("clientSecret", "other")), &code);
    assert_eq!(error_of(&secret), (401, "InvalidClientException".into()));
    // Another client's.
    let start_url = &flow.simulator.organisation().sessions()[0].start_url;
    let other = post(&flow.simulator, "/client/register", &registration(start_url)).json();
    let mut body = json!({"grantType": "authorization_code", "code": code, "codeVerifier": VERIFIER});
    body["redirectUri"] = json!(CALLBACK);
    body["clientId"] = other["clientId"].clone();
    body["clientSecret"] = other["clientSecret"].clone();
    assert_eq!(error_of(&post(&flow.simulator, "/token", &body)), (400, "InvalidGrantException".into()));

    assert_eq!(flow.exchange(None, &code).status, 200);
    assert_eq!(flow.simulator.reuses(), 0);
}

#[test]
fn a_code_expires_after_its_lifetime() {
    for (options, lives) in
        [(Options::default(), 600), (Options { code_lifetime: 60, ..Options::default() }, 60)]
    {
        let flow = Flow::new(options);
        let (early, late) = (flow.code(), flow.code());
        flow.simulator.control(Control::Skew { seconds: lives - 30 }).unwrap();
        assert_eq!(flow.exchange(None, &early).status, 200, "{lives}");
        flow.simulator.control(Control::Skew { seconds: lives }).unwrap();
        assert_eq!(error_of(&flow.exchange(None, &late)), (400, "InvalidGrantException".into()), "{lives}");
    }
}

#[test]
fn a_refresh_token_needs_its_scope_and_its_grant() {
    let refreshes = |flow: &Flow, change| {
        let location = flow.open(change).header("location").unwrap().to_owned();
        let code = location.strip_prefix(&format!("{CALLBACK}?code=")).expect("a code").to_owned();
        let tokens = flow.exchange(None, &code.split('&').next().unwrap().replace("%2D", "-")).json();
        assert!(flow.works(&tokens));
        tokens["refreshToken"].is_string()
    };
    let both = ["sso:account:access", "openid"];
    let flow = Flow::of_client(Options::default(), |body| body["scopes"] = json!(both));
    assert!(refreshes(&flow, None));
    assert!(refreshes(&flow, Some(("scopes", Some("openid sso:account:access")))));
    assert!(!refreshes(&flow, Some(("scopes", Some("openid")))));
    let once = Flow::of_client(Options::default(), |body| body["grantTypes"] = json!(["authorization_code"]));
    assert!(!refreshes(&once, None));
}

#[test]
fn a_page_follows_the_decision() {
    let denied = Flow::new(Options { approval: Approval::Denied, ..Options::default() });
    let location = denied.open(None).header("location").unwrap().to_owned();
    assert!(
        location.starts_with(&format!("{CALLBACK}?error=access%5Fdenied&error_description="))
            && location.ends_with("state=a%20state"),
        "{location}"
    );

    let late = Flow::new(Options { approval: Approval::Expires, ..Options::default() });
    assert_eq!(error_of(&late.exchange(None, &late.code())), (400, "InvalidGrantException".into()));

    let polled = Flow::new(Options { approval: Approval::AtPoll(3), ..Options::default() });
    assert_eq!(polled.exchange(None, &polled.code()).status, 200);
}

#[test]
fn a_pending_page_redirects_once_after_the_decision() {
    let flow = Flow::new(Options { approval: Approval::Manual, ..Options::default() });
    let approve =
        |state: &str| flow.simulator.control(Control::Approve { user_code: Some(state.to_owned()) });
    assert!(approve("a state").is_err(), "it was not opened");
    assert!(flow.open(None).text().contains("request a state is pending"));
    assert_eq!(flow.open(None).status, 200, "it waits");
    assert!(flow.open(Some(("state", Some("<i>")))).text().contains("request &lt;i&gt; is pending"));
    assert_eq!(flow.simulator.pending(), ["a state", "<i>"]);
    assert!(approve("another").is_err());
    approve("a state").unwrap();
    assert_eq!(flow.simulator.pending(), ["<i>"]);
    // Approved for this challenge, not for another one under the same state.
    let other = CHALLENGE.replace('E', "F");
    assert_eq!(flow.open(Some(("code_challenge", Some(&other)))).status, 200);
    assert_eq!(flow.exchange(None, &flow.code()).status, 200);
    assert_eq!(flow.open(None).status, 200, "it waits anew");

    flow.simulator.control(Control::Deny { user_code: None }).unwrap();
    assert!(flow.open(None).header("location").unwrap().contains("error=access%5Fdenied&"));
    assert_eq!(flow.open(None).status, 200);
    flow.simulator.control(Control::ExpireDevices {}).unwrap();
    assert_eq!(error_of(&flow.exchange(None, &flow.code())), (400, "InvalidGrantException".into()));
}

#[test]
fn registrations_need_loopback_and_a_known_start_url() {
    let flow = Flow::new(Options::default());
    let start_url = flow.simulator.organisation().sessions()[0].start_url.clone();
    let good = registration(&start_url);
    let registered = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        post(&flow.simulator, "/client/register", &body)
    };
    for (name, value, code) in [
        ("redirectUris", json!([]), "InvalidRedirectUriException"),
        ("redirectUris", json!(null), "InvalidRedirectUriException"),
        ("redirectUris", json!(["https://evil.example/"]), "InvalidRedirectUriException"),
        ("redirectUris", json!(["http://127.0.0.1:4000/oauth/callback"]), "InvalidRedirectUriException"),
        (
            "redirectUris",
            json!(["http://127.0.0.1/x", "http://evil.example/"]),
            "InvalidRedirectUriException",
        ),
        ("issuerUrl", json!("https://other.awsapps.com/start"), "InvalidRequestException"),
        ("issuerUrl", json!(null), "InvalidRequestException"),
        ("grantTypes", json!(["password"]), "UnsupportedGrantTypeException"),
    ] {
        let response = registered(name, value.clone());
        assert_eq!(error_of(&response), (400, code.into()), "{name}: {value}");
    }
    // One for both flows.
    let both = json!(["authorization_code", "urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]);
    assert_eq!(error_of(&registered("grantTypes", both)), (500, "InternalServerException".into()));
    assert_eq!(registered("issuerUrl", json!(format!("{start_url}/#/"))).status, 200);
    assert_eq!(registered("redirectUris", json!(["http://[::1]/x", "http://localhost"])).status, 200);
}

#[test]
fn a_client_is_limited_to_its_flow() {
    let unauthorized = (400, "UnauthorizedClientException".to_owned());
    // One for device codes: even with a redirect URI it can't open the page, nor exchange a code.
    let device = Flow::of_client(Options::default(), |body| body["grantTypes"] = json!(null));
    let location = device.open(None).header("location").unwrap().to_owned();
    assert!(location.starts_with(&format!("{CALLBACK}?error=unauthorized%5Fclient&")), "{location}");
    assert_eq!(error_of(&device.exchange(None, "any")), unauthorized);
    let start_url = device.simulator.organisation().sessions()[0].start_url.clone();
    assert_eq!(start_device(&device.simulator, &device.registered(), &start_url).status, 200);
    // And one for codes gets no device code.
    let page = Flow::new(Options::default());
    assert_eq!(error_of(&start_device(&page.simulator, &page.registered(), &start_url)), unauthorized);
}
