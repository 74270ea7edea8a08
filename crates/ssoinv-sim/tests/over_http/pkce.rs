//! The authorization code flow with PKCE, step by step, and each mistake in it.

use serde_json::{Value, json};
use ssoinv_sim::{Approval, Control, Options, Organisation, Simulator};

use crate::client::*;

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1:4000/oauth/callback";

/// A registered client and the page that it opens.
struct Flow {
    simulator: Simulator,
    client: Value,
    page: Vec<(&'static str, String)>,
}

fn post(simulator: &Simulator, path: &str, body: &Value) -> Answer {
    ask(simulator, &Ask::post(path, &body.to_string()))
}

fn refused(answer: &Answer) -> (u16, String) {
    let code = answer.header("x-amzn-errortype").unwrap_or_default().split(':').next().unwrap().to_owned();
    (answer.status, code)
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
        let simulator = Simulator::start(Organisation::demo(), options).unwrap();
        let start_url = simulator.organisation().sessions()[0].start_url.clone();
        let client = post(&simulator, "/client/register", &registration(&start_url)).json();
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

    /// Opens the page, one of its parameters being another or left out.
    fn open(&self, change: Option<(&str, Option<&str>)>) -> Answer {
        let pairs = self.page.iter().filter_map(|(name, value)| match change {
            Some((changed, value)) if changed == *name => Some(format!("{name}={}", encoded(value?))),
            _ => Some(format!("{name}={}", encoded(value))),
        });
        let query: Vec<String> = pairs.collect();
        ask(&self.simulator, &Ask::get(&format!("/authorize?{}", query.join("&"))))
    }

    /// The code that the browser brings.
    fn code(&self) -> String {
        let location = self.open(None).header("location").expect("sent back").to_owned();
        let query = location.strip_prefix(&format!("{CALLBACK}?code=")).expect("a code").to_owned();
        let (code, state) = query.split_once('&').unwrap();
        assert_eq!(state, "state=a%20state");
        code.replace("%2D", "-")
    }

    fn exchange(&self, change: Option<(&str, &str)>, code: &str) -> Answer {
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
fn a_page_leads_to_a_code_and_the_code_to_tokens_once() {
    let flow = Flow::new(Options::default());
    let code = flow.code();
    let tokens = flow.exchange(None, &code);
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    let token = tokens.json()["accessToken"].as_str().unwrap().to_owned();
    assert!(tokens.json()["refreshToken"].is_string());
    assert_eq!(portal(&flow.simulator, &token, "/assignment/accounts").status, 200);
    let secrets = flow.simulator.secrets();
    assert!(secrets.contains(&code) && secrets.iter().any(|secret| secret == VERIFIER));
    // Twice, and what it gave is taken back.
    assert_eq!(refused(&flow.exchange(None, &code)), (400, "InvalidGrantException".into()));
    assert_eq!(portal(&flow.simulator, &token, "/assignment/accounts").status, 401);
}

#[test]
fn what_a_browser_must_not_be_sent_back_with_stays_on_the_page() {
    let flow = Flow::new(Options::default());
    for change in [
        ("client_id", None),
        ("client_id", Some("other")),
        ("redirect_uri", None),
        ("redirect_uri", Some("http://127.0.0.1:4000/other")),
        ("redirect_uri", Some("https://evil.example/oauth/callback")),
        ("state", None),
    ] {
        let answer = flow.open(Some(change));
        assert_eq!((answer.status, answer.header("location")), (400, None), "{change:?}");
    }
}

#[test]
fn other_mistakes_are_told_to_the_client() {
    let flow = Flow::new(Options::default());
    for (change, error) in [
        (("response_type", None), "unsupported%5Fresponse%5Ftype"),
        (("response_type", Some("token")), "unsupported%5Fresponse%5Ftype"),
        (("code_challenge", None), "invalid%5Frequest"),
        (("code_challenge", Some("short")), "invalid%5Frequest"),
        (("code_challenge_method", Some("plain")), "invalid%5Frequest"),
        (("scopes", Some("sso:account:access openid")), "invalid%5Fscope"),
    ] {
        let answer = flow.open(Some(change));
        let location = answer.header("location").expect("sent back");
        assert!(location.starts_with(&format!("{CALLBACK}?error={error}&")), "{change:?}: {location}");
    }
}

#[test]
fn a_code_is_its_clients_its_verifiers_and_its_redirects() {
    let flow = Flow::new(Options::default());
    let other_verifier = VERIFIER.replace('d', "e");
    for change in [
        ("codeVerifier", other_verifier.as_str()),
        ("codeVerifier", CHALLENGE),
        ("redirectUri", "http://127.0.0.1:4001/oauth/callback"),
        ("code", "other"),
    ] {
        let answer = flow.exchange(Some(change), &flow.code());
        assert_eq!(refused(&answer), (400, "InvalidGrantException".into()), "{change:?}");
    }
    let secret = flow.exchange(Some(("clientSecret", "other")), &flow.code());
    assert_eq!(refused(&secret), (401, "InvalidClientException".into()));
}

#[test]
fn persons_decide() {
    let denied = Flow::new(Options { approval: Approval::Denied, ..Options::default() });
    let location = denied.open(None).header("location").unwrap().to_owned();
    assert!(
        location.contains("error=access%5Fdenied") && location.ends_with("state=a%20state"),
        "{location}"
    );

    let late = Flow::new(Options { approval: Approval::Expires, ..Options::default() });
    assert_eq!(refused(&late.exchange(None, &late.code())), (400, "InvalidGrantException".into()));

    let manual = Flow::new(Options { approval: Approval::Manual, ..Options::default() });
    assert_eq!(manual.open(None).status, 200);
    assert_eq!(manual.open(None).status, 200, "it waits");
    assert_eq!(manual.simulator.pending(), ["a state"]);
    manual.simulator.control(Control::Approve { user_code: Some("a state".to_owned()) }).unwrap();
    assert_eq!(manual.exchange(None, &manual.code()).status, 200);
}

#[test]
fn registrations_are_for_this_machine_and_a_known_start_url() {
    let flow = Flow::new(Options::default());
    let start_url = flow.simulator.organisation().sessions()[0].start_url.clone();
    let good = registration(&start_url);
    for (name, value, code) in [
        ("redirectUris", json!([]), "InvalidRedirectUriException"),
        ("redirectUris", json!(["https://evil.example/"]), "InvalidRedirectUriException"),
        ("issuerUrl", json!("https://other.awsapps.com/start"), "InvalidRequestException"),
        ("issuerUrl", json!(null), "InvalidRequestException"),
        ("grantTypes", json!(["password"]), "UnsupportedGrantTypeException"),
    ] {
        let mut body = good.clone();
        body[name] = value;
        let answer = post(&flow.simulator, "/client/register", &body);
        assert_eq!(refused(&answer), (400, code.into()), "{name}");
    }
    // One for device codes can't open the page.
    let body = json!({"clientName": "x", "clientType": "public", "scopes": ["sso:account:access"]});
    let device = post(&flow.simulator, "/client/register", &body).json();
    assert_eq!(flow.open(Some(("client_id", device["clientId"].as_str()))).status, 400);
}
