//! The device code flow (RFC 8628): show a code, then ask again and again whether it has been approved.

use std::time::Duration;

use ssoinv_core::event::{Event, SignIn};
use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use tokio::time::Instant;

use super::oidc::{DeviceCode, Oidc, Poll};
use crate::session::{Session, SsoContext};
use crate::token_cache::{CachedToken, Client};

/// By how much the pause between two polls grows when the service asks for it (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// The shortest pause between two polls, where the service names none. The first poll needn't wait for it.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// How a code came to its end.
pub(super) enum Outcome {
    Token(CachedToken),
    /// It was not approved in time.
    Ended,
}

/// Shows a code and waits until it is approved, declined or ended.
pub(super) async fn wait_for_approval(
    session: &Session,
    oidc: &Oidc,
    client: &Client,
    code: &DeviceCode,
    context: &SsoContext,
) -> Result<Outcome, Failure> {
    context.events.say(Event::SignIn(SignIn::Code {
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
            return Ok(Outcome::Ended);
        }
        tokio::time::sleep(interval).await;
        match oidc.poll(client, code).await {
            Ok(Poll::Token(token)) => return Ok(Outcome::Token(token)),
            Ok(Poll::SlowDown) => {
                interval = longer(interval, SLOW_DOWN);
                continue;
            }
            Ok(Poll::Ended) => return Ok(Outcome::Ended),
            Ok(Poll::Declined) => {
                let message = format!("the sign-in to {} was declined in the browser", session.called());
                return Err(Failure::new(FailureKind::SignInExpired, message).with_code("SignInDeclined"));
            }
            // The network may be away for a while, the person isn't: the code's end decides.
            Ok(Poll::Pending) | Err(Failure { remedy: Remedy::TryAgain | Remedy::SlowDown { .. }, .. }) => {}
            Err(failure) => return Err(failure),
        }
        interval = longer(interval, Duration::ZERO);
    }
}

/// The pause before the next poll.
fn longer(interval: Duration, by: Duration) -> Duration {
    interval.max(SHORTEST_INTERVAL) + by
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_when_the_service_asks_and_are_never_nothing() {
        let seconds = Duration::from_secs;
        assert_eq!(longer(seconds(0), Duration::ZERO), seconds(1));
        assert_eq!(longer(seconds(5), Duration::ZERO), seconds(5));
        assert_eq!(longer(longer(seconds(5), SLOW_DOWN), SLOW_DOWN), seconds(15));
    }
}
