//! From an error of the SDK to a [`Failure`]: which status it is in the ledger, and what is worth trying.
//!
//! [`classify`] serves every service, those of `ssoinv-aws` too. What AWS answered is judged by `judge`, a pure function
//! of status, code, message and headers; what never became an answer, by where it broke. The codes come from the
//! services' pages of "common errors" and from the SDKs' own lists of throttling codes. What a code means to one service
//! alone, that one adds: [`crate::portal`], the sign-in (`login/oidc.rs`), STS (`sts.rs`). Who acts on the remedy:
//! [`crate::attempt`] waits and tries again, [`crate::token`] and [`crate::credentials`] renew, the runner of
//! `ssoinv-aws` asks whether a region is enabled.
//!
//! No answer's body is ever quoted, since half of a ListFunctions is full of passwords; nor is what AWS says of a
//! signature, or the SDK of an endpoint, since they repeat the request with its tokens.

use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::client::dns::ResolveDnsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{DispatchFailure, SdkError};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_smithy_types::retry::ErrorKind;
use aws_types::request_id::RequestId as _;
use ssoinv_core::clock::Clock;
use ssoinv_core::failure::{Failure, FailureKind, Remedy};

use crate::complete_xml::IncompleteXml;

/// The code of an answer that isn't what the service sends: cut, empty, or somebody else's.
pub const INVALID_RESPONSE: &str = "InvalidResponse";
/// The code of a call that wasn't answered in time.
pub const TIMEOUT: &str = "Timeout";
/// The code of a connection that wasn't there in time.
pub const CONNECT_TIMEOUT: &str = "ConnectTimeout";
/// The code of a host name that doesn't resolve.
pub const DNS_FAILED: &str = "DnsFailed";
/// The code of a connection that could not be made.
pub const CONNECT_FAILED: &str = "ConnectionFailed";
/// The code of a connection for which this process has too many files open. It says nothing of the host.
pub const TOO_MANY_OPEN_FILES: &str = "TooManyOpenFiles";
/// The code of a server whose certificate isn't trusted.
pub const CERTIFICATE_REFUSED: &str = "CertificateRefused";
/// The code of a server whose certificate is not yet valid, or no more, by this machine's clock.
pub const CERTIFICATE_NOT_VALID_NOW: &str = "CertificateNotValidNow";
/// The code of a connection that broke before the whole answer was there.
pub const CONNECTION_LOST: &str = "ConnectionLost";
/// The code of a call that could not be sent at all.
pub const REQUEST_FAILED: &str = "InvalidRequest";

/// What a status 407 means, whether to a request or to the wish for a tunnel.
const PROXY_WANTS_PASSWORD: &str = "the proxy wants a user name and a password (status 407)";

/// A failure of an answer that came with a good status but isn't what the service sends. `what` quotes none of it.
#[must_use]
pub fn invalid_response(what: &str) -> Failure {
    Failure::new(FailureKind::Failed, what).with_code(INVALID_RESPONSE).with_remedy(Remedy::TryAgain)
}

/// What went wrong with a call, whichever service's. `clock` is what the request was signed by: a refusal for the time
/// of day tells how far it is from AWS's.
pub fn classify<E>(error: &SdkError<E, HttpResponse>, clock: &Clock) -> Failure
where
    E: Error + ProvideErrorMetadata + 'static,
{
    match error {
        SdkError::ServiceError(context) => refused(context.raw(), context.err().meta(), clock.now()),
        SdkError::ResponseError(context) => {
            Failure { request_id: request_id(context.raw()), ..unread(cause(error)) }
        }
        SdkError::TimeoutError(_) => unreachable(TIMEOUT, "no answer in time".to_owned()),
        SdkError::DispatchFailure(context) => undelivered(context),
        // Not sent: a request that can't be built will not be any better the next time.
        _ => Failure::new(FailureKind::Failed, chain(error)).with_code(REQUEST_FAILED),
    }
}

/// The headers that carry a request's ID: those that the SDK knows, and the portal's.
const REQUEST_IDS: [&str; 3] = ["x-amzn-requestid", "x-amz-request-id", "requestid"];

/// The request's ID in an answer's headers.
fn request_id(raw: &HttpResponse) -> Option<String> {
    let ids = REQUEST_IDS.iter().filter_map(|name| raw.headers().get(name));
    ids.map(one_line).find(|id| !id.is_empty())
}

/// The service, or somebody in between, answered with an error.
fn refused(raw: &HttpResponse, metadata: &ErrorMetadata, now: SystemTime) -> Failure {
    let headers = raw.headers();
    let (code, request_id) = (metadata.code(), request_id(raw));
    let date = headers.get("date").and_then(http_date);
    let answer = Answer {
        status: raw.status().as_u16(),
        code,
        message: metadata.message().unwrap_or_default(),
        retry_after: retry_after(
            headers.get("x-amz-retry-after"),
            headers.get("retry-after"),
            date.unwrap_or(now),
        ),
        ahead: date.map(|date| seconds_ahead(now, date)),
        from_aws: request_id.is_some(),
    };
    let verdict = judge(&answer);
    let message = match (verdict, code) {
        (Verdict::Foreign, _) => foreign(raw),
        (Verdict::Clock, _) => clock_is_off(answer.ahead),
        (Verdict::Proxy, _) => PROXY_WANTS_PASSWORD.to_owned(),
        (_, code) if answer.message.trim().is_empty() => {
            code.map_or_else(|| format!("status {}", answer.status), one_line)
        }
        _ => one_line(answer.message),
    };
    let (kind, remedy) = verdict.meaning(answer.retry_after);
    let code = match verdict {
        Verdict::Foreign => Some(INVALID_RESPONSE.to_owned()),
        _ => code.map(one_line).or_else(|| Some(format!("HTTP{}", answer.status))),
    };
    // EC2 and STS say it in the body too.
    let request_id = request_id.or_else(|| metadata.request_id().map(one_line));
    Failure { kind, code, message, request_id, remedy }
}

/// What is known of an answer with an error in it.
#[derive(Clone, Copy, Debug)]
struct Answer<'a> {
    status: u16,
    /// The service's code; whoever gives none may not be the service.
    code: Option<&'a str>,
    message: &'a str,
    retry_after: Option<Duration>,
    /// By how many seconds this machine's clock is ahead of the answer's `Date`.
    ahead: Option<i64>,
    /// Whether there is a request ID in the headers, as every service of AWS gives.
    from_aws: bool,
}

/// What an answer with an error in it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// The role may not do that.
    Denied,
    /// A service control policy forbids it.
    DeniedByScp,
    /// Too many calls.
    Throttled,
    /// The credentials have ended.
    Ended,
    /// The credentials aren't accepted; a region that isn't enabled says the same.
    NotAccepted,
    /// The session token isn't one.
    BadToken,
    /// This machine's clock is wrong.
    Clock,
    /// The service has a difficulty that may pass.
    Transient,
    /// Not the service's answer.
    Foreign,
    /// A proxy asks for a password.
    Proxy,
    /// Anything else.
    Final,
}

impl Verdict {
    fn meaning(self, after: Option<Duration>) -> (FailureKind, Remedy) {
        match self {
            Self::Denied => (FailureKind::Denied, Remedy::None),
            Self::DeniedByScp => (FailureKind::DeniedByScp, Remedy::None),
            Self::Throttled => (FailureKind::Throttled, Remedy::SlowDown { after }),
            Self::Ended => (FailureKind::SignInExpired, Remedy::Renew),
            Self::NotAccepted => (FailureKind::Denied, Remedy::CheckRegion),
            Self::BadToken => (FailureKind::Denied, Remedy::Renew),
            Self::Transient | Self::Foreign => (FailureKind::Failed, Remedy::TryAgain),
            Self::Proxy => (FailureKind::Unreachable, Remedy::None),
            Self::Clock | Self::Final => (FailureKind::Failed, Remedy::None),
        }
    }
}

/// How an error code is to be read.
#[derive(Clone, Copy, Debug)]
enum Class {
    Denied,
    Throttled,
    Ended,
    /// Credentials that have ended, or a clock that is wrong: the `Date` decides.
    EndedOrClock,
    /// Credentials that aren't accepted, or a clock that is wrong: the `Date` decides.
    NotAcceptedOrClock,
    NotAccepted,
    BadToken,
    Clock,
    /// A signature that doesn't fit: because of the time where the text says so or the clock is off.
    Signature,
    Transient,
}

/// The codes that mean something to us. EC2 <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
/// S3 <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>, the sign-in
/// <https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html>, Lambda and all others
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html>; throttling codes as in the SDKs' "standard"
/// retry mode.
const CODES: &[(&str, Class)] = &[
    ("AccessDenied", Class::Denied),
    ("AccessDeniedException", Class::Denied),
    ("AccountProblem", Class::Denied),
    ("AllAccessDisabled", Class::Denied),
    ("AuthFailure", Class::NotAcceptedOrClock),
    ("AuthorizationError", Class::Denied),
    ("BandwidthLimitExceeded", Class::Throttled),
    ("Blocked", Class::Denied),
    ("EC2ThrottledException", Class::Throttled),
    ("ExpiredToken", Class::Ended),
    ("ExpiredTokenException", Class::Ended),
    ("Forbidden", Class::Denied),
    ("ForbiddenException", Class::Denied),
    ("InternalError", Class::Transient),
    ("InternalFailure", Class::Transient),
    ("InternalServerError", Class::Transient),
    ("InternalServerException", Class::Transient),
    ("InvalidAccessKeyId", Class::NotAccepted),
    ("InvalidClientTokenId", Class::NotAccepted),
    ("InvalidSignatureException", Class::Signature),
    ("InvalidToken", Class::BadToken),
    ("LimitExceededException", Class::Throttled),
    ("NotAuthorized", Class::Denied),
    ("NotSignedUp", Class::Denied),
    ("OptInRequired", Class::NotAccepted),
    ("PriorRequestNotComplete", Class::Throttled),
    ("ProvisionedThroughputExceededException", Class::Throttled),
    ("RequestExpired", Class::EndedOrClock),
    ("RequestInTheFuture", Class::Clock),
    ("RequestLimitExceeded", Class::Throttled),
    ("RequestThrottled", Class::Throttled),
    ("RequestThrottledException", Class::Throttled),
    ("RequestTimeTooSkewed", Class::Clock),
    ("RequestTimeout", Class::Transient),
    ("RequestTimeoutException", Class::Transient),
    ("ServiceException", Class::Transient),
    ("ServiceUnavailable", Class::Transient),
    ("ServiceUnavailableException", Class::Transient),
    ("SignatureDoesNotMatch", Class::Signature),
    ("SlowDown", Class::Throttled),
    ("SlowDownException", Class::Throttled),
    ("SubscriptionRequiredException", Class::NotAccepted),
    ("ThrottledException", Class::Throttled),
    ("Throttling", Class::Throttled),
    ("ThrottlingException", Class::Throttled),
    ("TokenRefreshRequired", Class::Ended),
    ("TooManyRequestsException", Class::Throttled),
    ("UnauthorizedAccess", Class::Denied),
    ("UnauthorizedOperation", Class::Denied),
    ("Unavailable", Class::Transient),
    ("UnrecognizedClientException", Class::NotAccepted),
];

/// How a denial says that the organisation forbids it, whatever the role: an explicit deny, or no policy that allows it.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>. Resource control policies stay
/// plain denials: the ledger has no word for them, and their text stands in the message.
const BY_SCP: [&str; 2] =
    ["with an explicit deny in a service control policy", "no service control policy allows"];

/// How a signature's refusal says that it is for the time.
const BY_TIME: [&str; 2] = ["Signature expired", "Signature not yet current"];

/// From here on a clock is off: AWS refuses signatures that are five minutes old (S3 and EC2: fifteen), and `Date` has
/// whole seconds and travels.
const CLOCK_IS_OFF: u64 = 270;

/// What an answer with an error in it means. Pure.
fn judge(answer: &Answer<'_>) -> Verdict {
    let Some(code) = answer.code else { return judge_status(answer) };
    let class = CODES.binary_search_by_key(&code, |(known, _)| known).ok().map(|index| CODES[index].1);
    let clock_is_right = answer.ahead.map(|ahead| ahead.unsigned_abs() < CLOCK_IS_OFF);
    let by_time = BY_TIME.iter().any(|text| answer.message.contains(text));
    match class {
        Some(Class::Throttled) => Verdict::Throttled,
        _ if answer.status == 429 => Verdict::Throttled,
        Some(Class::EndedOrClock | Class::NotAcceptedOrClock | Class::Clock | Class::Signature)
            if clock_is_right == Some(false) =>
        {
            Verdict::Clock
        }
        Some(Class::Denied) => denied(answer),
        Some(Class::Ended | Class::EndedOrClock) => Verdict::Ended,
        Some(Class::NotAcceptedOrClock | Class::NotAccepted) => Verdict::NotAccepted,
        Some(Class::BadToken) => Verdict::BadToken,
        Some(Class::Signature) if !by_time => Verdict::Final,
        // The clock is right: the request lay somewhere too long (a machine that slept). It is signed anew.
        Some(Class::Clock | Class::Signature) if clock_is_right == Some(true) => Verdict::Transient,
        Some(Class::Clock | Class::Signature) => Verdict::Clock,
        Some(Class::Transient) => transient(answer),
        None if code.starts_with("AccessDenied") => denied(answer),
        None => match answer.status {
            401 | 403 => denied(answer),
            408 | 500.. => transient(answer),
            200..=299 => Verdict::Foreign,
            _ => Verdict::Final,
        },
    }
}

/// An answer without a code: a service's, in a hurry, or not a service's at all.
fn judge_status(answer: &Answer<'_>) -> Verdict {
    match answer.status {
        429 => Verdict::Throttled,
        407 => Verdict::Proxy,
        408 | 500.. => transient(answer),
        401 | 403 if answer.from_aws => denied(answer),
        400..=499 if answer.from_aws => Verdict::Final,
        // A good status with something else in it, a redirect to a portal's page, a proxy's refusal.
        _ => Verdict::Foreign,
    }
}

fn denied(answer: &Answer<'_>) -> Verdict {
    if BY_SCP.iter().any(|text| answer.message.contains(text)) {
        Verdict::DeniedByScp
    } else {
        Verdict::Denied
    }
}

/// A difficulty of the service's; where it says when to come back, that is a request to slow down.
fn transient(answer: &Answer<'_>) -> Verdict {
    if answer.status == 503 && answer.retry_after.is_some() { Verdict::Throttled } else { Verdict::Transient }
}

/// The longest wait that is taken from an answer: more is a mistake or another clock's date, and everything that goes
/// to the same service in the same account and region waits with it.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// When to come back: `x-amz-retry-after` in milliseconds, or `Retry-After` in seconds or as a date (RFC 9110, 10.2.3),
/// counted from the answer's own time where it has one.
fn retry_after(millis: Option<&str>, standard: Option<&str>, answered: SystemTime) -> Option<Duration> {
    let millis = millis.and_then(|text| text.trim().parse().ok()).map(Duration::from_millis);
    let wait = millis.or_else(|| {
        let text = standard?.trim();
        match text.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => http_date(text).map(|until| until.duration_since(answered).unwrap_or_default()),
        }
    });
    wait.map(|wait| wait.min(LONGEST_WAIT))
}

/// Reads a date as HTTP headers have it (RFC 9110, IMF-fixdate).
#[must_use]
pub fn http_date(text: &str) -> Option<SystemTime> {
    let date = DateTime::from_str(text.trim(), Format::HttpDate).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(date.secs()).ok()?))
}

/// Returns by how many seconds `now` is after `date`; negative if before.
#[must_use]
pub fn seconds_ahead(now: SystemTime, date: SystemTime) -> i64 {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    now.duration_since(date).map_or_else(|behind| -seconds(behind.duration()), seconds)
}

fn clock_is_off(ahead: Option<i64>) -> String {
    let Some(seconds) = ahead else {
        return "AWS refuses the time of this machine's clock".to_owned();
    };
    let size = seconds.unsigned_abs();
    let (number, unit) = match size {
        0..7_200 => (size / 60, "minutes"),
        7_200..172_800 => (size / 3_600, "hours"),
        _ => (size / 86_400, "days"),
    };
    let direction = if seconds < 0 { "behind" } else { "ahead of" };
    format!("this machine's clock is {number} {unit} {direction} AWS's, so requests are refused")
}

/// Says what came instead of the service's answer, without quoting it.
fn foreign(raw: &HttpResponse) -> String {
    let mut message = format!("status {} with an answer that isn't the service's", raw.status().as_u16());
    // Writing to a string can't fail.
    let _ = match (raw.headers().get("content-type"), raw.body().bytes()) {
        (_, Some([])) => write!(message, ": it is empty"),
        (Some(content_type), Some(body)) => {
            write!(message, ": {} bytes of {}", body.len(), one_line(content_type))
        }
        (None, Some(body)) => write!(message, ": {} bytes", body.len()),
        (_, None) => Ok(()),
    };
    message
}

/// An answer began, but could not be read to its end, or isn't whole.
fn unread(error: &(dyn Error + 'static)) -> Failure {
    if let Some(reason) = find::<IncompleteXml>(error) {
        return invalid_response(&reason.to_string());
    }
    Failure::new(FailureKind::Failed, chain(error)).with_code(CONNECTION_LOST).with_remedy(Remedy::TryAgain)
}

/// There was no answer. The kinds and types of errors are those of [`crate::http::client`]; the tests make real ones.
fn undelivered(context: &DispatchFailure) -> Failure {
    let Some(connector) = context.as_connector_error() else {
        return Failure::new(FailureKind::Failed, "not sent").with_code(REQUEST_FAILED);
    };
    let error = cause(connector);
    let text = chain(error);
    // The client has no other time-out of its own than that of connecting.
    if connector.is_timeout() {
        return unreachable(CONNECT_TIMEOUT, "no connection in time".to_owned());
    }
    // The client says with which connection it failed, where it had one.
    if connector.connection_metadata().is_some() && !connector.is_user() {
        if connector.is_io() || connector.as_other() == Some(ErrorKind::TransientError) {
            let failure = Failure::new(FailureKind::Failed, text);
            return failure.with_code(CONNECTION_LOST).with_remedy(Remedy::TryAgain);
        }
        // Somebody answered, but not in HTTP.
        return invalid_response(&text);
    }
    if causes(error).filter_map(|cause| cause.downcast_ref()).any(is_out_of_files) {
        let failure = Failure::new(FailureKind::Failed, text).with_code(TOO_MANY_OPEN_FILES);
        return failure.with_remedy(Remedy::TryAgain);
    }
    match find::<rustls::Error>(error) {
        // The next attempt would see the same certificate.
        Some(rustls::Error::InvalidCertificate(reason)) => {
            let (code, text) = if is_about_the_time(reason) {
                let text = format!("by this machine's clock the certificate is too old or too new: {text}");
                (CERTIFICATE_NOT_VALID_NOW, text)
            } else {
                (CERTIFICATE_REFUSED, text)
            };
            return Failure::new(FailureKind::Unreachable, text).with_code(code);
        }
        Some(_) => return unreachable(CONNECT_FAILED, text),
        None => {}
    }
    if find::<ResolveDnsError>(error).is_some() {
        return unreachable(DNS_FAILED, text);
    }
    // A proxy's refusal has a type that only the client knows, but words of its own.
    if text == "tunnel error: proxy authorization required" {
        return Failure::new(FailureKind::Unreachable, PROXY_WANTS_PASSWORD).with_code(CONNECT_FAILED);
    }
    if connector.is_io() || text.starts_with("tunnel error") {
        return unreachable(CONNECT_FAILED, text);
    }
    // No endpoint, no credentials, no signature: it never left, and never will.
    Failure::new(FailureKind::Failed, text).with_code(REQUEST_FAILED)
}

/// Whether the system has no room for another file: `ENFILE` and `EMFILE` on every Unix, `WSAEMFILE` on Windows.
fn is_out_of_files(error: &std::io::Error) -> bool {
    let codes = if cfg!(windows) { [10_024, 10_024] } else { [23, 24] };
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Whether another clock would take the certificate.
fn is_about_the_time(reason: &rustls::CertificateError) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(reason, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

fn unreachable(code: &str, text: String) -> Failure {
    Failure::new(FailureKind::Unreachable, text).with_code(code).with_remedy(Remedy::TryAgain)
}

/// What an error wraps, or itself where it wraps nothing: the SDK's outer layers say nothing that the rest doesn't.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().unwrap_or(error)
}

/// An error and its causes. What an input/output error wraps is not its `source`, which would pass it over.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|wrapped| wrapped as _),
        None => error.source(),
    })
}

/// The first error of type `T` among `error` and its causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// An error and its causes in one line; what a cause only repeats is left out.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if text.is_empty() || line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    one_line(&line)
}

/// Where a service, or somebody before it, begins to repeat the request, with its session token and signature, in its
/// own message; or the SDK does, with the token in its body. In lower case.
const REPEATS_REQUEST: [&str; 10] = [
    "the canonical string",
    "the string-to-sign",
    "authorization=",
    "authorization header",
    " to request `request",
    "x-amz-security-token",
    "x-amz-sso_bearer_token",
    "\"clientsecret\"",
    "\"devicecode\"",
    "\"refreshtoken\"",
];

/// The longest message, in characters.
const LONGEST_MESSAGE: usize = 600;

/// A message in one line, of a sane length, without what must not be repeated. It stays untrusted text.
#[must_use]
pub fn one_line(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let end = REPEATS_REQUEST.iter().filter_map(|mark| lower.find(mark)).min().unwrap_or(text.len());
    let is_gap = |c: char| c.is_whitespace() || c.is_control();
    let mut line = String::new();
    for word in text[..end].split(is_gap).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if let Some((cut, _)) = line.char_indices().nth(LONGEST_MESSAGE) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests;
