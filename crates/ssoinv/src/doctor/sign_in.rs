//! The steps about tokens: their files, the registered clients that refresh them, this machine's clock, and the portal.
//!
//! Times are in UTC, as in the files.

use std::path::Path;
use std::time::{Duration, SystemTime};

use ssoinv_core::failure::FailureKind;
use ssoinv_sso::portal::Probe;
use ssoinv_sso::token_cache::{CachedToken, StoredToken, TokenFile};

use super::diagnosis::{Diagnosis, Severity};
use super::facts::{Facts, PortalResponse, SessionFacts, SkipReason};
use super::files::called;
use super::step::{Step, StepResult};
use crate::text::shell_quoted;

/// A token that can't be refreshed and ends sooner than this may not last for a run.
const SOON: Duration = Duration::from_mins(15);

/// The clock skew in seconds from which AWS refuses signatures ("Elements of an AWS API request signature").
const SKEW_REFUSED: u64 = 300;

/// The clock skew in seconds from which it is reported.
const SKEW_TOLD: u64 = 30;

pub(super) fn token(facts: &Facts) -> StepResult {
    let mut result = StepResult::new(Step::Token);
    for session in &facts.sessions {
        result.look();
        for diagnosis in of_file(session, facts.now) {
            result.find(diagnosis.of_session(session.known.label()));
        }
    }
    result
}

/// Diagnoses a session's token file.
fn of_file(session: &SessionFacts, now: SystemTime) -> Vec<Diagnosis> {
    let called = called(&session.known.sso);
    let error = |code, message: String, path: Option<&Path>, hint: String| {
        let diagnosis = Diagnosis::new(Severity::Error, code, message, hint);
        vec![match path {
            Some(path) => diagnosis.in_file(path.to_owned(), None),
            None => diagnosis,
        }]
    };
    let login = login(session);
    match &session.file {
        TokenFile::NoHome => error(
            "no-home",
            format!("there is no home folder in which the token of {called} could be"),
            None,
            "set `HOME` to your home folder".to_owned(),
        ),
        TokenFile::Missing { path } => {
            error("not-signed-in", format!("not signed in to {called}"), Some(path), login)
        }
        TokenFile::Unreadable { path, reason } => error(
            "token-unreadable",
            format!("the token of {called} cannot be read: {reason}"),
            Some(path),
            format!("make it your own file again, or delete it; then {login}"),
        ),
        TokenFile::Broken { path } => error(
            "token-broken",
            format!("the token of {called} is not whole: it is no JSON object"),
            Some(path),
            login,
        ),
        TokenFile::Incomplete { path, key } => error(
            "token-incomplete",
            format!("the token of {called} is not whole: it has no `{key}` that can be read"),
            Some(path),
            login,
        ),
        TokenFile::Token { stored, difference: Some(difference), .. } => error(
            "token-foreign",
            format!("the cached token of {called} belongs to another: {difference}"),
            Some(&stored.path),
            login,
        ),
        TokenFile::Token { stored, difference: None, mode } => {
            let mut diagnoses: Vec<Diagnosis> = exposed(stored, *mode, &called).into_iter().collect();
            diagnoses.extend(lasting(stored, session, now, &called));
            diagnoses
        }
    }
}

/// Diagnoses a token file that other users can read.
fn exposed(stored: &StoredToken, mode: Option<u32>, called: &str) -> Option<Diagnosis> {
    let mode = mode.filter(|mode| mode & 0o077 != 0)?;
    let message =
        format!("others on this machine can open the token of {called}: its mode is {mode:04o}, not 0600");
    let hint = format!("run `chmod 600 {}`", shell_quoted(&stored.path.to_string_lossy()));
    let diagnosis = Diagnosis::new(Severity::Warning, "token-exposed", message, hint);
    Some(diagnosis.in_file(stored.path.clone(), None))
}

/// Diagnoses a token that ends and can't be refreshed.
fn lasting(stored: &StoredToken, session: &SessionFacts, now: SystemTime, called: &str) -> Option<Diagnosis> {
    let token = &stored.token;
    let ends = time(token.expires_at);
    let left = token.expires_at.duration_since(now).ok().filter(|left| !left.is_zero());
    let refreshes = refreshes(token, session, now);
    let why_not = || match (&token.refresh_token, session.known.sso.is_legacy()) {
        (_, true) => "as no token of the format without an sso-session can",
        (None, false) => "as its file has no `refreshToken`",
        (Some(_), false) => "as its client is not registered any more",
    };
    let (severity, code, message, hint) = match (left, refreshes) {
        (None, true) => (
            Severity::Info,
            "token-ended",
            format!("the token of {called} ended at {ends}; the next command that needs it refreshes it"),
            "nothing is to be done; `ssoinv whoami` refreshes it now".to_owned(),
        ),
        (None, false) => (
            Severity::Error,
            "token-expired",
            format!("the token of {called} expired at {ends} and cannot be refreshed, {}", why_not()),
            login(session),
        ),
        (Some(left), false) if left < SOON => (
            Severity::Warning,
            "token-ends-soon",
            format!("the token of {called} ends at {ends} and cannot be refreshed, {}", why_not()),
            login(session),
        ),
        // The next step checks the client.
        (Some(_), false) if token.refresh_token.is_none() && !session.known.sso.is_legacy() => (
            Severity::Warning,
            "token-not-refreshable",
            format!("the token of {called} is good until {ends} and cannot be refreshed, {}", why_not()),
            format!("{}; the scope `sso:account:access` is what makes it refreshable", login(session)),
        ),
        (Some(_), _) => return None,
    };
    Some(Diagnosis::new(severity, code, message, hint).in_file(stored.path.clone(), None))
}

/// Returns whether a token can be refreshed.
fn refreshes(token: &CachedToken, session: &SessionFacts, now: SystemTime) -> bool {
    let registered = token.client.as_ref().is_some_and(|client| client.expires_at > now);
    token.refresh_token.is_some() && registered && !session.known.sso.is_legacy()
}

pub(super) fn registration(facts: &Facts) -> StepResult {
    let mut result = StepResult::new(Step::Registration);
    for session in facts.sessions.iter().filter(|session| !session.known.sso.is_legacy()) {
        let called = called(&session.known.sso);
        let Some(stored) = session.token() else {
            result.skip("there is no token of its own", Some(called));
            continue;
        };
        // Without a refresh token the client doesn't matter; the step before reports it.
        if stored.token.refresh_token.is_none() {
            result.skip("the token cannot be refreshed", Some(called));
            continue;
        }
        result.look();
        let good = stored.token.expires_at > facts.now;
        let severity = if good { Severity::Warning } else { Severity::Error };
        let (code, message) = match &stored.token.client {
            None => (
                "no-client",
                format!(
                    "the token of {called} cannot be refreshed: its file lacks one of `clientId`, `clientSecret` and \
                     `registrationExpiresAt`"
                ),
            ),
            Some(client) if client.expires_at <= facts.now => (
                "client-expired",
                format!(
                    "the token of {called} cannot be refreshed: the registration of its client ended at {}",
                    time(client.expires_at)
                ),
            ),
            Some(_) => continue,
        };
        let diagnosis = Diagnosis::new(severity, code, message, login(session));
        result.find(diagnosis.in_file(stored.path.clone(), None).of_session(session.known.label()));
    }
    result
}

pub(super) fn clock(facts: &Facts) -> StepResult {
    let mut result = StepResult::new(Step::Clock);
    let mut furthest: Option<i64> = None;
    for session in &facts.sessions {
        match &session.portal {
            Err(reason) => result.skip_for(reason, called(&session.known.sso)),
            Ok(PortalResponse { probe: Probe { clock_ahead: Some(ahead), .. }, .. }) => {
                result.look();
                furthest = furthest.into_iter().chain([*ahead]).max_by_key(|ahead| ahead.unsigned_abs());
            }
            Ok(PortalResponse { probe, .. }) => {
                let silent = SkipReason::NoPortal(String::new());
                let reason =
                    if probe.accepts.is_err() { silent.describe() } else { "the portal told no time" };
                result.skip(reason, Some(called(&session.known.sso)));
            }
        }
    }
    let Some(ahead) = furthest else { return result };
    // One response is enough: there is one clock on each side.
    result.skipped.clear();
    let off = ahead.unsigned_abs();
    if off < SKEW_TOLD {
        return result;
    }
    let direction = if ahead < 0 { "behind" } else { "ahead of" };
    let (severity, consequence) = if off >= SKEW_REFUSED {
        (Severity::Error, "AWS refuses signed requests, and tokens seem to end at other times than they do")
    } else {
        (Severity::Warning, "from five minutes on AWS refuses requests")
    };
    let message =
        format!("this machine's clock is {} {direction} AWS's: {consequence}", describe_seconds(off));
    let hint = "let the network set it, on Linux with `sudo timedatectl set-ntp true`";
    result.with([Diagnosis::new(severity, "clock-off", message, hint)])
}

/// Describes seconds in the largest unit that leaves more than one.
fn describe_seconds(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..120 => (seconds, "seconds"),
        120..7_200 => (seconds / 60, "minutes"),
        7_200..172_800 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{number} {unit}")
}

pub(super) fn portal(facts: &Facts) -> StepResult {
    let mut result = StepResult::new(Step::Portal);
    for session in &facts.sessions {
        let called = called(&session.known.sso);
        let answer = match &session.portal {
            Ok(answer) => answer,
            Err(SkipReason::Misplaced(why)) => {
                // No token can be used with such an endpoint.
                let hint = "write the endpoint with `https://`, or take it out";
                let diagnosis = Diagnosis::new(Severity::Error, "token-endpoint", why.as_str(), hint);
                result.find(diagnosis.of_session(session.known.label()));
                continue;
            }
            Err(reason) => {
                result.skip_for(reason, called);
                continue;
            }
        };
        let (code, message, hint) = match &answer.probe.accepts {
            Err(failure) if failure.kind == FailureKind::Throttled => {
                result.skip("the portal was asked too much", Some(called));
                continue;
            }
            Err(failure) if failure.kind == FailureKind::Unreachable => (
                "portal-unreachable",
                format!("the portal of {called} cannot be reached: {}", failure.message),
                "see that this machine reaches it: `HTTPS_PROXY` and `AWS_CA_BUNDLE` are heeded, `sso_region` makes \
                 its name"
                    .to_owned(),
            ),
            Err(failure) => (
                "portal-failed",
                format!("the portal of {called} does not answer as it should: {}", failure.message),
                "try it again; if it stays so, see that `sso_region` is the region of the Identity Center".to_owned(),
            ),
            _ if !answer.with_token => {
                result.skip(SkipReason::NoToken.describe(), Some(called));
                continue;
            }
            Ok(true) => {
                result.look();
                continue;
            }
            Ok(false) => (
                "token-refused",
                format!(
                    "the portal refuses the token of {called}: somebody has signed out, or an administrator has ended \
                     the session"
                ),
                login(session),
            ),
        };
        result.look();
        let diagnosis =
            Diagnosis::new(Severity::Error, code, message, hint).of_session(session.known.label());
        let sso = &session.known.sso;
        result.find(match session.token().filter(|_| answer.with_token && answer.probe.accepts.is_ok()) {
            Some(stored) => diagnosis.in_file(stored.path.clone(), None),
            None => diagnosis.at_line(&sso.sso_region_at),
        });
    }
    result
}

fn login(session: &SessionFacts) -> String {
    format!("run `ssoinv login {}`", session.known.as_argument())
}

/// Formats a time as in the files: `2026-01-02T03:04:05Z`.
fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_in_words() {
        let words: Vec<String> = [30, 119, 120, 7_199, 7_200, 172_800].map(describe_seconds).into();
        assert_eq!(words, ["30 seconds", "119 seconds", "2 minutes", "119 minutes", "2 hours", "2 days"]);
    }
}
