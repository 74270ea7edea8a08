//! The authorization code flow with PKCE (RFC 6749 §4.1, RFC 7636, RFC 8252): `GET /authorize`, which a browser opens,
//! and the exchange of its code for tokens. `dispatch.rs` calls the page, `services/oidc.rs` the exchange.
//!
//! The decision follows [`Approval`]. Unless that is `Manual`, the page redirects at once. With `Manual` the page is
//! pending under its `state` until [`Control::Approve`](crate::Control::Approve) or
//! [`Control::Deny`](crate::Control::Deny); then the next request of the same page redirects, once.

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::approval::{Approval, Decision};
use crate::authorization_code::{
    AuthorizationCode, AuthorizationPage, AuthorizationRequest, challenge_of, is_challenge, is_verifier,
};
use crate::clients::{ACCESS_SCOPE, CODE_GRANT, REFRESH_GRANT};
use crate::encoding::push_xml;
use crate::errors::ServiceError;
use crate::http::{Params, Request, Response};
use crate::issuer::Issuer;
use crate::sign_ins::{Moment, SignIn, SignIns, expiry, reject};
use crate::state::State;
use crate::sync::lock;

/// The outcome of opening a page.
#[derive(Debug)]
enum PageOutcome {
    /// The page is pending under this `state`.
    Pending(String),
    /// The browser is redirected to this address.
    Redirect(String),
}

/// Answers `GET /authorize`.
pub(crate) fn page(state: &State, request: &Request, params: &Params) -> Response {
    let html = |status, text: &str| {
        let mut page = String::from("<!doctype html><meta charset=utf-8><title>Simulated sign-in</title><p>");
        push_xml(&mut page, text);
        Response::new(status, "text/html; charset=utf-8", page)
    };
    if request.method != Method::GET {
        return html(405, "This page takes GET only");
    }
    match lock(&state.sign_ins).authorize(&state.issuer, params, state.now()) {
        Ok(PageOutcome::Pending(id)) => {
            html(200, &format!("This is ssoinv's simulator; request {id} is pending until it is approved"))
        }
        Ok(PageOutcome::Redirect(address)) => html(302, "Back to the application").with("location", address),
        Err(mistake) => html(400, mistake),
    }
}

/// Returns the redirect with these parameters.
fn redirect(redirect_uri: &str, pairs: &[(&str, &str)], state: Option<&str>) -> PageOutcome {
    let pairs = pairs.iter().copied().chain(state.map(|state| ("state", state)));
    let query: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    PageOutcome::Redirect(format!("{redirect_uri}?{}", query.join("&")))
}

impl SignIns {
    /// Opens the page. An error is a mistake that the browser must not be redirected with.
    fn authorize(
        &mut self,
        issuer: &Issuer,
        params: &Params,
        now: Moment,
    ) -> Result<PageOutcome, &'static str> {
        if params.has_repeated() {
            return Err("A parameter is there twice");
        }
        let get = |name| params.get(name).filter(|value: &&str| !value.is_empty());
        let id = get("client_id").ok_or("There is no client_id")?;
        let client =
            self.clients.get(id).filter(|client| now.ms < client.expires).ok_or("The client is unknown")?;
        let redirect_uri = get("redirect_uri").ok_or("There is no redirect_uri")?;
        if !client.may_redirect_to(redirect_uri) {
            return Err("The redirect_uri is not the client's");
        }
        let state = get("state");
        let rejected = |error, description| {
            Ok(redirect(redirect_uri, &[("error", error), ("error_description", description)], state))
        };
        let Some(state) = state else {
            return rejected("invalid_request", "state is missing");
        };
        let (Some(session), true) = (client.session, client.may(CODE_GRANT)) else {
            return rejected("unauthorized_client", "The client is not registered for this flow");
        };
        if get("response_type") != Some("code") {
            return rejected("unsupported_response_type", "response_type must be code");
        }
        let Some(challenge) = get("code_challenge").filter(|challenge| is_challenge(challenge)) else {
            return rejected("invalid_request", "code_challenge is missing or malformed");
        };
        if get("code_challenge_method") != Some("S256") {
            return rejected("invalid_request", "code_challenge_method must be S256");
        }
        let Some(scopes) = get("scopes") else {
            return rejected("invalid_request", "scopes are missing");
        };
        if !scopes.split(' ').all(|scope| client.has_scope(scope)) {
            return rejected("invalid_scope", "A scope is not the client's");
        }
        let refreshes = client.may(REFRESH_GRANT) && scopes.split(' ').any(|scope| scope == ACCESS_SCOPE);
        let request = AuthorizationRequest {
            client: id.to_owned(),
            session,
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.to_owned(),
            refreshes,
        };
        Ok(self.decide_on_page(issuer, request, state, now))
    }

    /// Redirects the browser, with a code or an error, unless the decision is pending.
    fn decide_on_page(
        &mut self,
        issuer: &Issuer,
        request: AuthorizationRequest,
        state: &str,
        now: Moment,
    ) -> PageOutcome {
        let decision = match self.approval {
            Approval::AtPoll(_) => Decision::Approved,
            Approval::Denied => Decision::Denied,
            Approval::Expires => Decision::Expired,
            Approval::Manual => self.take_decision(state, &request),
        };
        let lifetime = match decision {
            Decision::Pending => return PageOutcome::Pending(state.to_owned()),
            Decision::Denied => {
                let description = "Resource owner refused to grant authorization";
                let pairs = [("error", "access_denied"), ("error_description", description)];
                return redirect(&request.redirect_uri, &pairs, Some(state));
            }
            Decision::Expired => 0,
            Decision::Approved | Decision::Used => self.code_lifetime,
        };
        let code = issuer.authorization_code();
        let outcome = redirect(&request.redirect_uri, &[("code", &code)], Some(state));
        self.codes
            .insert(code, AuthorizationCode { request, expires: expiry(now.ms, lifetime), family: None });
        outcome
    }

    /// Returns the decision on a page and forgets the page; an unknown page becomes pending.
    fn take_decision(&mut self, state: &str, request: &AuthorizationRequest) -> Decision {
        let known = self.pages.iter().position(|page| page.state == state && page.request == *request);
        let Some(known) = known else {
            let (state, request) = (state.to_owned(), request.clone());
            self.pages.push(AuthorizationPage { state, request, decision: Decision::Pending });
            return Decision::Pending;
        };
        match self.pages[known].decision {
            Decision::Pending => Decision::Pending,
            _ => self.pages.remove(known).decision,
        }
    }

    /// Exchanges a code for tokens. A code that is rejected stays valid, unless it was used before.
    pub(crate) fn exchange(
        &mut self,
        issuer: &Issuer,
        client: (&str, &str),
        code: &str,
        verifier: &str,
        redirect_uri: &str,
        now: Moment,
    ) -> Result<SignIn, ServiceError> {
        if !self.client(client.0, client.1, now)?.may(CODE_GRANT) {
            return reject(400, "UnauthorizedClientException", "Client is not authorized to use this flow");
        }
        let Some(known) = self.codes.get(code).filter(|known| known.request.client == client.0) else {
            return reject(400, "InvalidGrantException", "Invalid authorization code provided");
        };
        if let Some(family) = known.family {
            // RFC 6749 §4.1.2: the tokens of a code that is used twice are revoked.
            self.revoke_reused(family);
            return reject(400, "InvalidGrantException", "Authorization code was used before");
        }
        if now.ms >= known.expires {
            return reject(400, "InvalidGrantException", "Authorization code has expired");
        }
        if !is_verifier(verifier) || challenge_of(verifier) != known.request.challenge {
            return reject(400, "InvalidGrantException", "Invalid code verifier provided");
        }
        if known.request.redirect_uri != redirect_uri {
            return reject(400, "InvalidGrantException", "Redirect URI differs from the authorization's");
        }
        let (session, refreshes) = (known.request.session, known.request.refreshes);
        let expires = self.sign_in_expiry(now);
        let sign_in = self.sign_in(issuer, session, refreshes.then_some(client.0), expires, now);
        if let Some(known) = self.codes.get_mut(code) {
            known.family = Some(sign_in.family);
        }
        Ok(sign_in)
    }
}
