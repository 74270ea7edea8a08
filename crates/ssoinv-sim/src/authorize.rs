//! The authorization code flow with PKCE (RFC 6749 §4.1, RFC 7636, RFC 8252): the page that a browser opens, and what
//! its code is worth. A person's decision follows [`Approval`]; with `Manual` the page is shown until a
//! [`crate::Control`] decides for its `state`, and the next request of the same page is sent back.
//! Registrations and tokens: `sign_ins.rs`; the exchange on the wire: `oidc.rs`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::http::{Params, Reply, Request, push_xml};
use crate::lock;
use crate::mint::Mint;
use crate::options::Approval;
use crate::refusal::Refusal;
use crate::sign_ins::{ACCESS_SCOPE, CODE_GRANT, Decision, Moment, SignIn, SignIns, refuse};
use crate::state::State;

/// A code that a browser was given.
#[derive(Debug)]
pub(crate) struct Code {
    client: String,
    session: usize,
    redirect_uri: String,
    challenge: String,
    ends: i64,
    /// The sign-in that it was exchanged for.
    family: Option<u64>,
}

/// A page that waits for its person.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) state: String,
    pub(crate) decision: Decision,
}

/// What a page comes to.
enum Shown {
    /// It waits.
    Waits,
    /// The browser is sent there.
    SentTo(String),
}

/// Answers `GET /authorize`.
pub(crate) fn page(state: &State, request: &Request, params: &Params) -> Reply {
    let html = |status, text: &str| {
        let mut page = String::from("<!doctype html><meta charset=utf-8><title>Simulated sign-in</title><p>");
        push_xml(&mut page, text);
        Reply::new(status, "text/html; charset=utf-8", page)
    };
    if request.method != Method::GET {
        return html(405, "This page is only opened");
    }
    match lock(&state.oidc).authorize(&state.mint, params, state.now()) {
        Ok(Shown::Waits) => html(200, "This is ssoinv's simulator; its tests decide whether to allow this"),
        Ok(Shown::SentTo(address)) => {
            let mut reply = html(302, "Back to where you came from");
            reply.headers.push(("location", address));
            reply
        }
        Err(mistake) => html(400, mistake),
    }
}

/// Whether a redirect URI is registered, whatever its port (RFC 8252 §7.3).
fn is_registered(registered: &[String], asked: &str) -> bool {
    let without_port = |uri: &str| {
        let rest = uri.strip_prefix("http://")?;
        let (authority, path) = rest.split_once('/')?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => host,
            _ => authority,
        };
        Some((host.to_owned(), path.to_owned()))
    };
    without_port(asked)
        .is_some_and(|asked| registered.iter().any(|uri| without_port(uri).as_ref() == Some(&asked)))
}

/// Whether a native client may register a redirect URI: this machine's, by a scheme without TLS.
pub(crate) fn may_register(uri: &str) -> bool {
    ["http://127.0.0.1", "http://[::1]", "http://localhost"].iter().any(|host| {
        uri.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
    })
}

/// Whether a text is one of PKCE's: 43 to 128 unreserved characters (RFC 7636 §4.1, §4.2).
fn is_of_pkce(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

impl SignIns {
    /// What the page does. A mistake that the browser must not be sent back with is an error.
    fn authorize(&mut self, mint: &Mint, params: &Params, now: Moment) -> Result<Shown, &'static str> {
        let get = |name| params.get(name).filter(|value: &&str| !value.is_empty());
        let id = get("client_id").ok_or("There is no client_id")?;
        let client =
            self.clients.get(id).filter(|client| now.ms < client.ends).ok_or("The client is unknown")?;
        let redirect_uri = get("redirect_uri").ok_or("There is no redirect_uri")?;
        if !is_registered(&client.redirect_uris, redirect_uri) {
            return Err("The redirect_uri is not the client's");
        }
        let state = get("state").ok_or("There is no state")?;
        let back = |pairs: &[(&str, &str)]| {
            let state = [("state", state)];
            let pairs = pairs.iter().chain(&state);
            let query: Vec<String> = pairs
                .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
                .collect();
            Ok(Shown::SentTo(format!("{redirect_uri}?{}", query.join("&"))))
        };
        let refused = |error, description| back(&[("error", error), ("error_description", description)]);
        let (Some(session), true) = (client.issuer, client.may(CODE_GRANT)) else {
            return refused("unauthorized_client", "The client is not registered for this flow");
        };
        if get("response_type") != Some("code") {
            return refused("unsupported_response_type", "response_type must be code");
        }
        let Some(challenge) = get("code_challenge").filter(|challenge| is_of_pkce(challenge)) else {
            return refused("invalid_request", "code_challenge is missing or malformed");
        };
        if get("code_challenge_method") != Some("S256") {
            return refused("invalid_request", "code_challenge_method must be S256");
        }
        let scopes = get("scopes").unwrap_or(ACCESS_SCOPE);
        if scopes.split(' ').any(|scope| !client.scopes.iter().any(|own| own == scope)) {
            return refused("invalid_scope", "A scope is not the client's");
        }
        let decision = match self.approval {
            Approval::AtPoll(_) => Decision::Approved,
            Approval::Denied => Decision::Denied,
            Approval::Expires => Decision::Expired,
            Approval::Manual => {
                let known = self.pages.iter().find(|page| page.state == state).map(|page| page.decision);
                known.unwrap_or_else(|| {
                    self.pages.push(Page { state: state.to_owned(), decision: Decision::Pending });
                    Decision::Pending
                })
            }
        };
        let lifetime = if decision == Decision::Expired { 0 } else { self.code_lifetime };
        match decision {
            Decision::Pending => Ok(Shown::Waits),
            Decision::Denied => refused("access_denied", "The person said no"),
            Decision::Approved | Decision::Expired | Decision::Used => {
                let code = mint.authorization_code();
                let answer = back(&[("code", &code)]);
                let (client, redirect_uri) = (id.to_owned(), redirect_uri.to_owned());
                let ends = now.ms + i64::from(lifetime) * 1000;
                let challenge = challenge.to_owned();
                self.codes
                    .insert(code, Code { client, session, redirect_uri, challenge, ends, family: None });
                answer
            }
        }
    }

    /// Tokens for a code.
    pub(crate) fn exchange(
        &mut self,
        mint: &Mint,
        client: (&str, &str),
        code: &str,
        verifier: &str,
        redirect_uri: &str,
        now: Moment,
    ) -> Result<SignIn, Refusal> {
        let registered = self.client(client.0, client.1, now)?;
        if !registered.may(CODE_GRANT) || registered.grants.is_empty() {
            return refuse(400, "UnauthorizedClientException", "Client is not authorized to use this flow");
        }
        let refreshes = registered.refreshes();
        let Some(known) = self.codes.get(code).filter(|known| known.client == client.0) else {
            return refuse(400, "InvalidGrantException", "Invalid authorization code provided");
        };
        if let Some(family) = known.family {
            // RFC 6749 §4.1.2: what a code that is used twice has given is taken back.
            self.end_family(family);
            return refuse(400, "InvalidGrantException", "Authorization code was used before");
        }
        if now.ms >= known.ends {
            return refuse(400, "InvalidGrantException", "Authorization code has expired");
        }
        if !is_of_pkce(verifier) || challenge_of(verifier) != known.challenge {
            return refuse(400, "InvalidGrantException", "Invalid code verifier provided");
        }
        if known.redirect_uri != redirect_uri {
            return refuse(400, "InvalidGrantException", "Redirect URI differs from the authorization's");
        }
        let session = known.session;
        let ends = self.sign_in_end(now);
        let made = self.sign_in(mint, session, refreshes.then_some(client.0), ends, now);
        if let Some(known) = self.codes.get_mut(code) {
            known.family = Some(made.family);
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    #[test]
    fn challenges_are_the_rfcs() {
        let challenge = challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn redirects_go_to_this_machine_at_any_port() {
        let registered = ["http://127.0.0.1/oauth/callback".to_owned()];
        for good in ["http://127.0.0.1/oauth/callback", "http://127.0.0.1:4000/oauth/callback"] {
            assert!(is_registered(&registered, good), "{good}");
        }
        for bad in [
            "http://127.0.0.1:4000/oauth/callback/",
            "http://127.0.0.1:4000/",
            "https://127.0.0.1/oauth/callback",
            "http://127.0.0.1.evil.example/oauth/callback",
            "http://evil.example:80/oauth/callback",
            "http://localhost/oauth/callback",
        ] {
            assert!(!is_registered(&registered, bad), "{bad}");
        }
        assert!(may_register("http://127.0.0.1/oauth/callback") && may_register("http://[::1]/x"));
        assert!(!may_register("http://127.0.0.1.evil.example/") && !may_register("https://evil.example/"));
    }
}
