//! The authorization code flow with PKCE (RFC 6749, section 4.1; RFC 7636; RFC 8252).
//!
//! A page in a browser of this machine comes back to it with a code. The code is worthless without the secret that
//! has never left this process.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use ssoinv_core::event::{Event, SignIn};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::secret::Secret;

use super::attempt::{PATIENCE, SignInAttempt};
use super::callback::Callback;
use crate::session::Session;
use crate::token_cache::{CachedToken, ClientRegistration, Grant, registered_scopes};

/// The characters that stay as they are in an address (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Shows the page, and waits until the browser comes back with a code.
pub(super) async fn sign_in(attempt: SignInAttempt<'_>, port: Option<u16>) -> Result<CachedToken, Failure> {
    let SignInAttempt { session, oidc, context, .. } = attempt;
    let callback = Callback::bind(port).await?;
    let redirect_uri = callback.redirect_uri();
    let client = attempt.registration(Grant::AuthorizationCode).await?;
    let (verifier, state) = (random()?, random()?);
    let scopes = registered_scopes(&session.sso).unwrap_or_default();
    let page = AuthorizePage {
        client: &client,
        redirect_uri: &redirect_uri,
        state: &state,
        verifier: &verifier,
        scopes,
    };
    context.events.emit(Event::SignIn(SignIn::Page {
        session: session.label.clone(),
        url: page.url(&oidc.pages(session).await?),
        expires_at: context.clock.now() + PATIENCE,
    }));
    let code = callback.code(&state, session).await?;
    let token = oidc.exchange(&client, &code, &verifier, &redirect_uri).await;
    token.map_err(|failure| not_taken(session, failure))
}

/// The codes by which the service refuses an authorization code: the start URL isn't to blame for these.
const NOT_TAKEN: [&str; 4] =
    ["ExpiredTokenException", "InvalidClientException", "InvalidGrantException", "InvalidRequestException"];

fn not_taken(session: &Session, failure: Failure) -> Failure {
    if !failure.code.as_deref().is_some_and(|code| NOT_TAKEN.contains(&code)) {
        return failure;
    }
    let message = format!(
        "the code that the browser brought for {} is not taken: {}",
        session.describe(),
        failure.message
    );
    Failure { kind: FailureKind::SignInExpired, message, ..failure }.with_code("SignInRefused")
}

/// The parameters of the authorization page.
struct AuthorizePage<'a> {
    client: &'a ClientRegistration,
    redirect_uri: &'a str,
    state: &'a Secret,
    verifier: &'a Secret,
    scopes: &'a [String],
}

impl AuthorizePage<'_> {
    /// Returns the page's address. The parameters are the AWS CLI's; RFC 6749 calls `scopes` `scope`.
    fn url(&self, base: &str) -> String {
        let parameters = [
            ("response_type", "code"),
            ("client_id", &self.client.id),
            ("redirect_uri", self.redirect_uri),
            ("state", self.state.reveal()),
            ("code_challenge_method", "S256"),
            ("scopes", &self.scopes.join(" ")),
            ("code_challenge", &challenge(self.verifier)),
        ];
        let pairs = parameters.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ENCODED)));
        format!("{base}/authorize?{}", pairs.join("&"))
    }
}

/// Returns the code challenge of a verifier (RFC 7636, section 4.2).
fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.reveal().as_bytes()))
}

/// Returns 256 random bits as 43 characters (RFC 7636, section 4.1).
fn random() -> Result<Secret, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(FailureKind::Failed, format!("the system gives no random numbers: {error}"))
            .with_code("NoRandomNumbers")
    })?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::testing::session;

    /// RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_the_rfcs() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_code_that_is_called_invalid_is_not_the_start_urls_fault() {
        let failure = |code: &str| Failure::new(FailureKind::Failed, "no").with_code(code);
        let told = not_taken(&session(), failure("InvalidRequestException"));
        assert_eq!((told.kind, told.code.as_deref()), (FailureKind::SignInExpired, Some("SignInRefused")));
        assert_eq!(told.message, "the code that the browser brought for sso-session `corp` is not taken: no");
        let other = failure("InternalServerException");
        assert_eq!(not_taken(&session(), other.clone()), other);
    }

    #[test]
    fn no_two_secrets_are_the_same_and_each_is_long_enough() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), 43);
    }

    #[test]
    fn the_page_is_the_aws_clis() {
        let client = ClientRegistration {
            id: "an id".to_owned(),
            secret: Secret::new("hunter2"),
            expires_at: UNIX_EPOCH,
        };
        let page = AuthorizePage {
            client: &client,
            redirect_uri: "http://127.0.0.1:4000/oauth/callback",
            state: &Secret::new("state"),
            verifier: &Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            scopes: &["sso:account:access".to_owned(), "openid".to_owned()],
        };
        assert_eq!(
            page.url("https://oidc.eu-west-1.amazonaws.com"),
            "https://oidc.eu-west-1.amazonaws.com/authorize?response_type=code&client_id=an%20id\
             &redirect_uri=http%3A%2F%2F127.0.0.1%3A4000%2Foauth%2Fcallback&state=state&code_challenge_method=S256\
             &scopes=sso%3Aaccount%3Aaccess%20openid&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
