//! A small HTTP/1.1 client on a plain socket, and a signer after the `SigV4` pages.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use ssoinv_sim::Simulator;

/// Nothing on loopback takes that long; a test that would hang fails instead.
const GIVE_UP: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the text of the first element with a name.
    pub(crate) fn element(&self, name: &str) -> String {
        elements(&self.text(), name).into_iter().next().unwrap_or_default()
    }

    pub(crate) fn elements(&self, name: &str) -> Vec<String> {
        elements(&self.text(), name)
    }
}

fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap().to_owned()).collect()
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn get(target: &str) -> Self {
        Self { method: "GET", target: target.to_owned(), headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn post(target: &str, body: &str) -> Self {
        Self { method: "POST", body: body.to_owned(), ..Self::get(target) }
    }

    pub(crate) fn form(body: &str) -> Self {
        Self::post("/", body).with("content-type", "application/x-www-form-urlencoded; charset=utf-8")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

fn host(simulator: &Simulator) -> &str {
    simulator.url().strip_prefix("http://").unwrap()
}

/// Sends a request and returns the connection.
pub(crate) fn send(simulator: &Simulator, request: &Request) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(host(simulator))?;
    stream.set_read_timeout(Some(GIVE_UP))?;
    let mut head = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", request.method, request.target, host(simulator));
    for (name, value) in &request.headers {
        _ = write!(head, "{name}: {value}\r\n");
    }
    _ = write!(head, "content-length: {}\r\n\r\n{}", request.body.len(), request.body);
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

/// Sends a request and reads the response; an error if the connection ends before the body does.
pub(crate) fn exchange(simulator: &Simulator, request: &Request) -> io::Result<Response> {
    let mut reader = BufReader::new(send(simulator, request)?);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").expect("a length").1.parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Response { status, headers, body })
}

pub(crate) fn fetch(simulator: &Simulator, request: &Request) -> Response {
    exchange(simulator, request).unwrap()
}

/// Credentials.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Signs a request whose query is in canonical order already.
pub(crate) fn sign(
    simulator: &Simulator,
    request: Request,
    keys: &Keys,
    service: &str,
    region: &str,
    date: &str,
) -> Request {
    let body_hash = hex(&Sha256::digest(request.body.as_bytes()));
    let mut request = request.with("x-amz-date", date);
    if service == "s3" {
        request = request.with("x-amz-content-sha256", &body_hash);
    }
    if let Some(token) = &keys.token {
        request = request.with("x-amz-security-token", token);
    }
    let mut signed: Vec<(String, String)> = request.headers.clone();
    signed.push(("host".to_owned(), host(simulator).to_owned()));
    signed.sort();
    let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let mut lines = String::new();
    for (name, value) in &signed {
        _ = writeln!(lines, "{name}:{value}");
    }
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{body_hash}", request.method);
    let scope = format!("{}/{region}/{service}/aws4_request", &date[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part);
    }
    let signature = hex(&hmac(&key, &text));
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.id
    );
    request.with("authorization", &value)
}

/// Returns the server's time in the format of `X-Amz-Date`, from its `Date` header.
pub(crate) fn amz_date(simulator: &Simulator) -> String {
    let date = fetch(simulator, &Request::get("/_sim/peaks")).header("date").unwrap().to_owned();
    let parsed = chrono::DateTime::parse_from_rfc2822(&date).unwrap();
    parsed.format("%Y%m%dT%H%M%SZ").to_string()
}

pub(crate) fn call(
    simulator: &Simulator,
    keys: &Keys,
    service: &str,
    region: &str,
    request: Request,
) -> Response {
    let date = amz_date(simulator);
    fetch(simulator, &sign(simulator, request, keys, service, region, &date))
}

pub(crate) fn caller_identity(simulator: &Simulator, keys: &Keys) -> Response {
    call(simulator, keys, "sts", "us-east-1", Request::form("Action=GetCallerIdentity&Version=2011-06-15"))
}

pub(crate) fn list_buckets(simulator: &Simulator, keys: &Keys) -> Response {
    call(simulator, keys, "s3", "us-east-1", Request::get("/?max-buckets=1000"))
}

pub(crate) fn describe_instances(simulator: &Simulator, keys: &Keys, region: &str, more: &str) -> Response {
    let form = format!("Action=DescribeInstances&Version=2016-11-15{more}");
    call(simulator, keys, "ec2", region, Request::form(&form))
}

pub(crate) fn list_functions(simulator: &Simulator, keys: &Keys, region: &str, query: &str) -> Response {
    call(simulator, keys, "lambda", region, Request::get(&format!("/2015-03-31/functions{query}")))
}

/// Percent-encodes a text for a query.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

pub(crate) fn oidc(simulator: &Simulator, path: &str, body: &Value) -> Response {
    fetch(simulator, &Request::post(path, &body.to_string()).with("content-type", "application/json"))
}

/// A registered client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: Value,
    pub(crate) secret: Value,
}

pub(crate) fn register(simulator: &Simulator, scopes: &[&str]) -> Client {
    let body = json!({"clientName": "test", "clientType": "public", "scopes": scopes});
    let made = oidc(simulator, "/client/register", &body).json();
    Client { id: made["clientId"].clone(), secret: made["clientSecret"].clone() }
}

pub(crate) fn start_device(simulator: &Simulator, client: &Client, start_url: &str) -> Response {
    let body = json!({"clientId": client.id, "clientSecret": client.secret, "startUrl": start_url});
    oidc(simulator, "/device_authorization", &body)
}

pub(crate) fn poll(simulator: &Simulator, client: &Client, device_code: &Value) -> Response {
    let body = json!({
        "clientId": client.id,
        "clientSecret": client.secret,
        "grantType": "urn:ietf:params:oauth:grant-type:device_code",
        "deviceCode": device_code,
    });
    oidc(simulator, "/token", &body)
}

pub(crate) fn refresh(simulator: &Simulator, client: &Client, token: &Value) -> Response {
    let body = json!({
        "clientId": client.id,
        "clientSecret": client.secret,
        "grantType": "refresh_token",
        "refreshToken": token,
    });
    oidc(simulator, "/token", &body)
}

/// Signs in to the session with a number and returns the access token.
pub(crate) fn sign_in(simulator: &Simulator, session: usize) -> String {
    let client = register(simulator, &["sso:account:access"]);
    let start_url = simulator.organisation().sessions()[session].start_url.clone();
    let device = start_device(simulator, &client, &start_url).json();
    poll(simulator, &client, &device["deviceCode"]).json()["accessToken"]
        .as_str()
        .expect("a token")
        .to_owned()
}

pub(crate) fn portal(simulator: &Simulator, token: &str, target: &str) -> Response {
    fetch(simulator, &Request::get(target).with("x-amz-sso_bearer_token", token))
}

pub(crate) fn role_credentials(simulator: &Simulator, token: &str, account: &str, role: &str) -> Response {
    let target = format!("/federation/credentials?role_name={}&account_id={account}", encoded(role));
    portal(simulator, token, &target)
}

/// Returns credentials of the first role of an account, from the portal.
pub(crate) fn keys_of(simulator: &Simulator, account: usize) -> Keys {
    let session = (0..simulator.organisation().sessions().len())
        .find(|session| simulator.organisation().reaches(*session, account))
        .unwrap();
    keys_by(simulator, &sign_in(simulator, session), account)
}

/// Returns credentials of the first role of an account, by an access token.
pub(crate) fn keys_by(simulator: &Simulator, token: &str, account: usize) -> Keys {
    let account = simulator.organisation().account(account);
    let made = role_credentials(simulator, token, &account.id, &account.roles[0]).json();
    let text = |name: &str| made["roleCredentials"][name].as_str().expect("credentials").to_owned();
    Keys { id: text("accessKeyId"), secret: text("secretAccessKey"), token: Some(text("sessionToken")) }
}

pub(crate) fn start(organisation: ssoinv_sim::Organisation) -> Simulator {
    Simulator::start(organisation, ssoinv_sim::Options::default()).unwrap()
}

pub(crate) fn small() -> ssoinv_sim::OrganisationSpec {
    ssoinv_sim::OrganisationSpec { accounts: 4, ..ssoinv_sim::OrganisationSpec::default() }
}
