//! The device code flow (RFC 8628): show a code, then poll until it is approved.

use std::time::Duration;

use ssoinv_core::event::{Event, SignIn};
use ssoinv_core::failure::{Failure, Remedy};
use tokio::time::Instant;

use super::attempt::SignInAttempt;
use super::oidc::{DeviceCode, PollOutcome};
use super::refusal::declined;
use crate::token_cache::{CachedToken, ClientRegistration, Grant};

/// The growth of the pause between two polls when the service asks for it (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// The shortest pause between two polls, if the service names none. The first poll needn't wait for it.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// The outcome of a code.
enum CodeOutcome {
    Token(CachedToken),
    /// The code was not approved in time.
    Ended,
}

/// Shows codes, each when the one before has expired, until one is approved or declined.
pub(super) async fn sign_in(attempt: SignInAttempt<'_>) -> Result<CachedToken, Failure> {
    let mut client = attempt.registration(Grant::DeviceCode).await?;
    loop {
        let (code, known) = start(attempt, client).await?;
        match wait_for_approval(attempt, &known, &code).await? {
            CodeOutcome::Token(token) => return Ok(token),
            CodeOutcome::Ended => {
                let session = attempt.session.label.clone();
                attempt.context.events.emit(Event::SignIn(SignIn::CodeEnded { session }));
            }
        }
        client = known;
    }
}

/// Gets a code for a client; registers another client if the service has removed the cached one.
async fn start(
    attempt: SignInAttempt<'_>,
    client: ClientRegistration,
) -> Result<(DeviceCode, ClientRegistration), Failure> {
    match attempt.oidc.start_device(attempt.session, &client).await {
        Err(Failure { code: Some(code), .. })
            if matches!(code.as_str(), "InvalidClientException" | "UnauthorizedClientException") =>
        {
            let client = attempt.register(Grant::DeviceCode).await?;
            let code = attempt.oidc.start_device(attempt.session, &client).await?;
            Ok((code, client))
        }
        code => Ok((code?, client)),
    }
}

/// Shows a code and waits until it is approved, declined or expired.
async fn wait_for_approval(
    SignInAttempt { session, oidc, context, .. }: SignInAttempt<'_>,
    client: &ClientRegistration,
    code: &DeviceCode,
) -> Result<CodeOutcome, Failure> {
    context.events.emit(Event::SignIn(SignIn::Code {
        session: session.label.clone(),
        verification_uri_complete: code.verification_uri_complete.clone(),
        verification_uri: code.verification_uri.clone(),
        user_code: code.user_code.clone(),
        expires_at: context.clock.now() + code.lifetime,
    }));
    let end = Instant::now() + code.lifetime;
    let mut interval = code.interval;
    loop {
        if Instant::now() + interval > end {
            tokio::time::sleep_until(end).await;
            return Ok(CodeOutcome::Ended);
        }
        tokio::time::sleep(interval).await;
        match oidc.poll(client, code).await {
            Ok(PollOutcome::Token(token)) => return Ok(CodeOutcome::Token(token)),
            Ok(PollOutcome::SlowDown) => {
                interval = longer(interval, SLOW_DOWN);
                continue;
            }
            Ok(PollOutcome::Ended) => return Ok(CodeOutcome::Ended),
            Ok(PollOutcome::Declined) => return Err(declined(session)),
            // The network may be away for a while, the person isn't: the code's expiry decides.
            Ok(PollOutcome::Pending)
            | Err(Failure { remedy: Remedy::TryAgain | Remedy::SlowDown { .. }, .. }) => {}
            Err(failure) => return Err(failure),
        }
        interval = longer(interval, Duration::ZERO);
    }
}

/// Returns the pause before the next poll.
fn longer(interval: Duration, by: Duration) -> Duration {
    interval.max(SHORTEST_INTERVAL) + by
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use ssoinv_core::secret::Secret;
    use ssoinv_http::sdk_settings::Timeouts;
    use ssoinv_http::test_util::canned;

    use super::*;
    use crate::login::oidc::Oidc;
    use crate::testing::{context, session};
    use crate::token_cache::TokenCache;

    /// Otherwise a service whose interval exceeds its codes' lives would get calls without a pause.
    #[tokio::test(start_paused = true)]
    async fn a_code_that_cannot_be_asked_for_again_lives_to_its_end() {
        let context = context(canned((500, &[], String::new())), Timeouts::default());
        let (session, cache) = (session(), TokenCache::new(None));
        let oidc = Oidc::new(&session, Arc::clone(&context));
        let attempt = SignInAttempt { session: &session, oidc: &oidc, cache: &cache, context: &context };
        let client =
            ClientRegistration { id: "c".to_owned(), secret: Secret::new("s"), expires_at: UNIX_EPOCH };
        let code = DeviceCode {
            secret: Secret::new("d"),
            user_code: Secret::new("u"),
            verification_uri: "https://x.example".to_owned(),
            verification_uri_complete: "https://x.example".to_owned(),
            lifetime: Duration::from_secs(30),
            interval: Duration::from_secs(31),
        };
        let start = Instant::now();
        let outcome = wait_for_approval(attempt, &client, &code).await;
        assert!(matches!(outcome, Ok(CodeOutcome::Ended)));
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[test]
    fn pauses_grow_when_the_service_asks_and_are_never_nothing() {
        let seconds = Duration::from_secs;
        assert_eq!(longer(seconds(0), Duration::ZERO), seconds(1));
        assert_eq!(longer(seconds(5), Duration::ZERO), seconds(5));
        assert_eq!(longer(longer(seconds(5), SLOW_DOWN), SLOW_DOWN), seconds(15));
    }
}
