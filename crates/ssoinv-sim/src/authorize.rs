//! The authorization code flow with PKCE (RFC 6749 §4.1, RFC 7636, RFC 8252): the page that a browser opens, and what
//! its code is worth. Registrations: `clients.rs`; tokens: `sign_ins.rs`; the exchange on the wire: `oidc.rs`.
//!
//! A person's decision follows [`Approval`]. Where that isn't `Manual` the page sends the browser back at once. With
//! `Manual` it waits: it is pending under its `state` until [`crate::Control::Approve`] or [`crate::Control::Deny`]
//! says so, and the next request of the same page is sent back, once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::clients::{ACCESS_SCOPE, CODE_GRANT, REFRESH_GRANT};
use crate::http::{Params, Reply, Request, push_xml};
use crate::lock;
use crate::mint::Mint;
use crate::options::Approval;
use crate::refusal::Refusal;
use crate::sign_ins::{Decision, Moment, SignIn, SignIns, end, refuse};
use crate::state::State;

/// What a page asks for; its code is good for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    client: String,
    session: usize,
    /// With the port.
    redirect_uri: String,
    challenge: String,
    /// Whether a refresh token comes along.
    refreshes: bool,
}

/// A code that a browser was given.
#[derive(Debug)]
pub(crate) struct Code {
    grant: Grant,
    ends: i64,
    /// The sign-in that it was exchanged for.
    family: Option<u64>,
}

/// A page that waits for its person, or that the person has decided on.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) state: String,
    grant: Grant,
    pub(crate) decision: Decision,
}

/// What a page comes to.
#[derive(Debug)]
enum Shown {
    /// It waits, under this `state`.
    Waits(String),
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
        Ok(Shown::Waits(id)) => {
            html(200, &format!("This is ssoinv's simulator; request {id} waits until it is told to allow it"))
        }
        Ok(Shown::SentTo(address)) => html(302, "Back to where you came from").with("location", address),
        Err(mistake) => html(400, mistake),
    }
}

/// Whether a text is a verifier: 43 to 128 unreserved characters (RFC 7636 §4.1).
pub(crate) fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Whether a text can be a challenge: as long, and of Base64's URL-safe letters (RFC 7636 §4.2).
fn is_challenge(text: &str) -> bool {
    is_verifier(text) && !text.contains(['.', '~'])
}

fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// The address that a browser is sent back to.
fn back(redirect_uri: &str, pairs: &[(&str, &str)], state: Option<&str>) -> Shown {
    let pairs = pairs.iter().copied().chain(state.map(|state| ("state", state)));
    let query: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    Shown::SentTo(format!("{redirect_uri}?{}", query.join("&")))
}

impl SignIns {
    /// What the page does. A mistake that the browser must not be sent back with is an error.
    fn authorize(&mut self, mint: &Mint, params: &Params, now: Moment) -> Result<Shown, &'static str> {
        if params.has_repeated() {
            return Err("A parameter is given twice");
        }
        let get = |name| params.get(name).filter(|value: &&str| !value.is_empty());
        let id = get("client_id").ok_or("There is no client_id")?;
        let client =
            self.clients.get(id).filter(|client| now.ms < client.ends).ok_or("The client is unknown")?;
        let redirect_uri = get("redirect_uri").ok_or("There is no redirect_uri")?;
        if !client.takes_back(redirect_uri) {
            return Err("The redirect_uri is not the client's");
        }
        let state = get("state");
        let refused = |error, description| {
            Ok(back(redirect_uri, &[("error", error), ("error_description", description)], state))
        };
        let Some(state) = state else {
            return refused("invalid_request", "state is missing");
        };
        let (Some(session), true) = (client.issuer, client.may(CODE_GRANT)) else {
            return refused("unauthorized_client", "The client is not registered for this flow");
        };
        if get("response_type") != Some("code") {
            return refused("unsupported_response_type", "response_type must be code");
        }
        let Some(challenge) = get("code_challenge").filter(|challenge| is_challenge(challenge)) else {
            return refused("invalid_request", "code_challenge is missing or malformed");
        };
        if get("code_challenge_method") != Some("S256") {
            return refused("invalid_request", "code_challenge_method must be S256");
        }
        let Some(scopes) = get("scopes") else {
            return refused("invalid_request", "scopes are missing");
        };
        if !scopes.split(' ').all(|scope| client.has_scope(scope)) {
            return refused("invalid_scope", "A scope is not the client's");
        }
        let refreshes = client.may(REFRESH_GRANT) && scopes.split(' ').any(|scope| scope == ACCESS_SCOPE);
        let grant = Grant {
            client: id.to_owned(),
            session,
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.to_owned(),
            refreshes,
        };
        let decision = match self.approval {
            Approval::AtPoll(_) => Decision::Approved,
            Approval::Denied => Decision::Denied,
            Approval::Expires => Decision::Expired,
            Approval::Manual => self.decision_on(state, &grant),
        };
        let lifetime = match decision {
            Decision::Pending => return Ok(Shown::Waits(state.to_owned())),
            Decision::Denied => {
                return refused("access_denied", "Resource owner refused to grant authorization");
            }
            Decision::Expired => 0,
            Decision::Approved | Decision::Used => self.code_lifetime,
        };
        let code = mint.authorization_code();
        let shown = back(redirect_uri, &[("code", &code)], Some(state));
        self.codes.insert(code, Code { grant, ends: end(now.ms, lifetime), family: None });
        Ok(shown)
    }

    /// What the person has said on a page. One that is decided on is done with; a new one waits.
    fn decision_on(&mut self, state: &str, grant: &Grant) -> Decision {
        let known = self.pages.iter().position(|page| page.state == state && page.grant == *grant);
        let Some(known) = known else {
            let (state, grant) = (state.to_owned(), grant.clone());
            self.pages.push(Page { state, grant, decision: Decision::Pending });
            return Decision::Pending;
        };
        match self.pages[known].decision {
            Decision::Pending => Decision::Pending,
            _ => self.pages.remove(known).decision,
        }
    }

    /// Tokens for a code. One that is refused for another mistake than having served stays good.
    pub(crate) fn exchange(
        &mut self,
        mint: &Mint,
        client: (&str, &str),
        code: &str,
        verifier: &str,
        redirect_uri: &str,
        now: Moment,
    ) -> Result<SignIn, Refusal> {
        if !self.client(client.0, client.1, now)?.may(CODE_GRANT) {
            return refuse(400, "UnauthorizedClientException", "Client is not authorized to use this flow");
        }
        let Some(known) = self.codes.get(code).filter(|known| known.grant.client == client.0) else {
            return refuse(400, "InvalidGrantException", "Invalid authorization code provided");
        };
        if let Some(family) = known.family {
            // RFC 6749 §4.1.2: what a code that is used twice has given is taken back.
            self.end_reused(family);
            return refuse(400, "InvalidGrantException", "Authorization code was used before");
        }
        if now.ms >= known.ends {
            return refuse(400, "InvalidGrantException", "Authorization code has expired");
        }
        if !is_verifier(verifier) || challenge_of(verifier) != known.grant.challenge {
            return refuse(400, "InvalidGrantException", "Invalid code verifier provided");
        }
        if known.grant.redirect_uri != redirect_uri {
            return refuse(400, "InvalidGrantException", "Redirect URI differs from the authorization's");
        }
        let (session, refreshes) = (known.grant.session, known.grant.refreshes);
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
    fn verifiers_and_challenges_have_their_length_and_letters() {
        for (text, verifier, challenge) in [
            ("a".repeat(42), false, false),
            ("a".repeat(43), true, true),
            ("-".repeat(128), true, true),
            ("a".repeat(129), false, false),
            (".~".repeat(30), true, false),
            ("+".repeat(43), false, false),
            ("=".repeat(43), false, false),
            ("é".repeat(43), false, false),
        ] {
            assert_eq!((is_verifier(&text), is_challenge(&text)), (verifier, challenge), "{text}");
        }
    }
}
