//! Turns an error of the SDK into a [`Failure`]: its status in the ledger, and what is worth trying.
//!
//! [`classify`] serves all services. `judge`, a pure function of status, code, message and headers, decides on error
//! responses; errors without a response are told apart by where they broke. The codes come from the services' pages
//! of "common errors" and from the SDKs' lists of throttling codes. Codes that mean something else to one service are
//! handled where that service is called: portal, sign-in and STS in `ssoinv-sso`, tables in their own files.
//! [`crate::retry_loop`] waits and tries again; credentials and tokens are renewed in `ssoinv-sso`.
//!
//! No response's body is ever quoted: half of a ListFunctions is full of passwords. Neither is what AWS says about a
//! signature, or the SDK about an endpoint, since they repeat the request with its tokens.

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

/// The code of a response that isn't what the service sends: cut, empty, or from a third party.
pub const INVALID_RESPONSE: &str = "InvalidResponse";
/// The code of a call that got no response in time.
pub const TIMEOUT: &str = "Timeout";
/// The code of a connection that was not made in time.
pub const CONNECT_TIMEOUT: &str = "ConnectTimeout";
/// The code of a host name that doesn't resolve.
pub const DNS_FAILED: &str = "DnsFailed";
/// The code of a connection that could not be made.
pub const CONNECT_FAILED: &str = "ConnectionFailed";
/// The code of a connection for which this process has too many open files. Says nothing about the host.
pub const TOO_MANY_OPEN_FILES: &str = "TooManyOpenFiles";
/// The code of a server whose certificate isn't trusted.
pub const CERTIFICATE_REFUSED: &str = "CertificateRefused";
/// The code of a server whose certificate isn't valid at the time of this machine's clock.
pub const CERTIFICATE_NOT_VALID_NOW: &str = "CertificateNotValidNow";
/// The code of a connection that broke before the response was complete.
pub const CONNECTION_LOST: &str = "ConnectionLost";
/// The code of a call that could not be sent.
pub const REQUEST_FAILED: &str = "InvalidRequest";

/// The meaning of status 407, in response to a request or to the wish for a tunnel.
const PROXY_WANTS_PASSWORD: &str = "the proxy wants a user name and a password (status 407)";

/// Returns the failure of a response with a good status that isn't what the service sends. `what` quotes none of it.
#[must_use]
pub fn invalid_response(what: &str) -> Failure {
    Failure::new(FailureKind::Failed, what).with_code(INVALID_RESPONSE).with_remedy(Remedy::TryAgain)
}

/// Returns the failure of a call to any service.
///
/// `clock` is the one that the request was signed by: if a refusal is about the time, the message says how far the
/// clock is from AWS's.
pub fn classify<E>(error: &SdkError<E, HttpResponse>, clock: &Clock) -> Failure
where
    E: Error + ProvideErrorMetadata + 'static,
{
    match error {
        SdkError::ServiceError(context) => refused(context.raw(), context.err().meta(), clock.now()),
        SdkError::ResponseError(context) => {
            Failure { request_id: request_id(context.raw()), ..unread(cause(error)) }
        }
        SdkError::TimeoutError(_) => unreachable(TIMEOUT, "no response in time".to_owned()),
        SdkError::DispatchFailure(context) => undelivered(context),
        // Not sent: a request that can't be built will not be any better the next time.
        _ => Failure::new(FailureKind::Failed, chain(error)).with_code(REQUEST_FAILED),
    }
}

/// The headers that hold a request's ID: those that the SDK knows, and the portal's.
const REQUEST_IDS: [&str; 3] = ["x-amzn-requestid", "x-amz-request-id", "requestid"];

/// Returns the request's ID from a response's headers.
fn request_id(raw: &HttpResponse) -> Option<String> {
    let ids = REQUEST_IDS.iter().filter_map(|name| raw.headers().get(name));
    ids.map(one_line).find(|id| !id.is_empty())
}

/// Returns the failure of an error response, from the service or from a third party.
fn refused(raw: &HttpResponse, metadata: &ErrorMetadata, now: SystemTime) -> Failure {
    let headers = raw.headers();
    let (code, request_id) = (metadata.code(), request_id(raw));
    let date = headers.get("date").and_then(http_date);
    let response = ErrorResponse {
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
    let verdict = judge(&response);
    let message = match (verdict, code) {
        (Verdict::Foreign, _) => foreign(raw),
        (Verdict::Clock, _) => clock_is_off(response.ahead),
        (Verdict::Proxy, _) => PROXY_WANTS_PASSWORD.to_owned(),
        (_, code) if response.message.trim().is_empty() => {
            code.map_or_else(|| format!("status {}", response.status), one_line)
        }
        _ => one_line(response.message),
    };
    let (kind, remedy) = verdict.meaning(response.retry_after);
    let code = match verdict {
        Verdict::Foreign => Some(INVALID_RESPONSE.to_owned()),
        _ => code.map(one_line).or_else(|| Some(format!("HTTP{}", response.status))),
    };
    // EC2 and STS have it in the body, too.
    let request_id = request_id.or_else(|| metadata.request_id().map(one_line));
    Failure { kind, code, message, request_id, remedy }
}

/// The parts of an error response that decide on its meaning.
#[derive(Clone, Copy, Debug)]
struct ErrorResponse<'a> {
    status: u16,
    /// The service's code; without one, the response may not be the service's.
    code: Option<&'a str>,
    message: &'a str,
    retry_after: Option<Duration>,
    /// The seconds by which this machine's clock is ahead of the response's `Date`.
    ahead: Option<i64>,
    /// True if the headers have a request ID, as those of every AWS service do.
    from_aws: bool,
}

/// The meaning of an error response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// The role lacks the permission.
    Denied,
    /// A service control policy forbids the call.
    DeniedByScp,
    /// Too many calls.
    Throttled,
    /// The credentials have expired.
    Ended,
    /// The credentials aren't accepted, as in a region that isn't enabled.
    NotAccepted,
    /// The session token isn't valid.
    BadToken,
    /// This machine's clock is wrong.
    Clock,
    /// The service has a problem that may pass.
    Transient,
    /// The response isn't the service's.
    Foreign,
    /// A proxy wants a password.
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

/// The meaning of an error code.
#[derive(Clone, Copy, Debug)]
enum CodeClass {
    Denied,
    Throttled,
    Ended,
    /// Expired credentials, or a wrong clock: the `Date` decides.
    EndedOrClock,
    /// Credentials that aren't accepted, or a wrong clock: the `Date` decides.
    NotAcceptedOrClock,
    NotAccepted,
    BadToken,
    Clock,
    /// A signature that doesn't match: because of the time if the message says so or the clock is off.
    Signature,
    Transient,
}

/// The codes with a meaning.
///
/// EC2 <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>, S3
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>, the sign-in
/// <https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html>, Lambda and all others
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html>; throttling codes as in the SDKs'
/// "standard" retry mode.
const CODES: &[(&str, CodeClass)] = &[
    ("AccessDenied", CodeClass::Denied),
    ("AccessDeniedException", CodeClass::Denied),
    ("AccountProblem", CodeClass::Denied),
    ("AllAccessDisabled", CodeClass::Denied),
    ("AuthFailure", CodeClass::NotAcceptedOrClock),
    ("AuthorizationError", CodeClass::Denied),
    ("BandwidthLimitExceeded", CodeClass::Throttled),
    ("Blocked", CodeClass::Denied),
    ("EC2ThrottledException", CodeClass::Throttled),
    ("ExpiredToken", CodeClass::Ended),
    ("ExpiredTokenException", CodeClass::Ended),
    ("Forbidden", CodeClass::Denied),
    ("ForbiddenException", CodeClass::Denied),
    ("InternalError", CodeClass::Transient),
    ("InternalFailure", CodeClass::Transient),
    ("InternalServerError", CodeClass::Transient),
    ("InternalServerException", CodeClass::Transient),
    ("InvalidAccessKeyId", CodeClass::NotAccepted),
    ("InvalidClientTokenId", CodeClass::NotAccepted),
    ("InvalidSignatureException", CodeClass::Signature),
    ("InvalidToken", CodeClass::BadToken),
    ("LimitExceededException", CodeClass::Throttled),
    ("NotAuthorized", CodeClass::Denied),
    ("NotSignedUp", CodeClass::Denied),
    ("OptInRequired", CodeClass::NotAccepted),
    ("PriorRequestNotComplete", CodeClass::Throttled),
    ("ProvisionedThroughputExceededException", CodeClass::Throttled),
    ("RequestExpired", CodeClass::EndedOrClock),
    ("RequestInTheFuture", CodeClass::Clock),
    ("RequestLimitExceeded", CodeClass::Throttled),
    ("RequestThrottled", CodeClass::Throttled),
    ("RequestThrottledException", CodeClass::Throttled),
    ("RequestTimeTooSkewed", CodeClass::Clock),
    ("RequestTimeout", CodeClass::Transient),
    ("RequestTimeoutException", CodeClass::Transient),
    ("ServiceException", CodeClass::Transient),
    ("ServiceUnavailable", CodeClass::Transient),
    ("ServiceUnavailableException", CodeClass::Transient),
    ("SignatureDoesNotMatch", CodeClass::Signature),
    ("SlowDown", CodeClass::Throttled),
    ("SlowDownException", CodeClass::Throttled),
    ("SubscriptionRequiredException", CodeClass::NotAccepted),
    ("ThrottledException", CodeClass::Throttled),
    ("Throttling", CodeClass::Throttled),
    ("ThrottlingException", CodeClass::Throttled),
    ("TokenRefreshRequired", CodeClass::Ended),
    ("TooManyRequestsException", CodeClass::Throttled),
    ("UnauthorizedAccess", CodeClass::Denied),
    ("UnauthorizedOperation", CodeClass::Denied),
    ("Unavailable", CodeClass::Transient),
    ("UnrecognizedClientException", CodeClass::NotAccepted),
];

/// The texts of a denial by the organisation, whatever the role.
///
/// An explicit deny, or no policy that allows the call.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>. Resource control policies stay
/// plain denials: the ledger has no status for them, and their text is in the message.
const BY_SCP: [&str; 2] =
    ["with an explicit deny in a service control policy", "no service control policy allows"];

/// The texts of a signature's refusal because of the time.
const BY_TIME: [&str; 2] = ["Signature expired", "Signature not yet current"];

/// The number of seconds from which a clock is off.
///
/// AWS refuses signatures that are five minutes old (S3 and EC2: fifteen), and `Date` has whole seconds and a way to
/// travel.
const CLOCK_IS_OFF: u64 = 270;

/// Decides on the meaning of an error response. Pure.
fn judge(response: &ErrorResponse<'_>) -> Verdict {
    let Some(code) = response.code else { return judge_status(response) };
    let class = CODES.binary_search_by_key(&code, |(known, _)| known).ok().map(|index| CODES[index].1);
    let clock_is_right = response.ahead.map(|ahead| ahead.unsigned_abs() < CLOCK_IS_OFF);
    let by_time = BY_TIME.iter().any(|text| response.message.contains(text));
    match class {
        Some(CodeClass::Throttled) => Verdict::Throttled,
        _ if response.status == 429 => Verdict::Throttled,
        Some(
            CodeClass::EndedOrClock | CodeClass::NotAcceptedOrClock | CodeClass::Clock | CodeClass::Signature,
        ) if clock_is_right == Some(false) => Verdict::Clock,
        Some(CodeClass::Denied) => denied(response),
        Some(CodeClass::Ended | CodeClass::EndedOrClock) => Verdict::Ended,
        Some(CodeClass::NotAcceptedOrClock | CodeClass::NotAccepted) => Verdict::NotAccepted,
        Some(CodeClass::BadToken) => Verdict::BadToken,
        Some(CodeClass::Signature) if !by_time => Verdict::Final,
        // The clock is right: the request was delayed too long (a machine that slept). It is signed again.
        Some(CodeClass::Clock | CodeClass::Signature) if clock_is_right == Some(true) => Verdict::Transient,
        Some(CodeClass::Clock | CodeClass::Signature) => Verdict::Clock,
        Some(CodeClass::Transient) => transient(response),
        None if code.starts_with("AccessDenied") => denied(response),
        None => match response.status {
            401 | 403 => denied(response),
            408 | 500.. => transient(response),
            200..=299 => Verdict::Foreign,
            _ => Verdict::Final,
        },
    }
}

/// Decides on an error response without a code: the service's under load, or not the service's at all.
fn judge_status(response: &ErrorResponse<'_>) -> Verdict {
    match response.status {
        429 => Verdict::Throttled,
        407 => Verdict::Proxy,
        408 | 500.. => transient(response),
        401 | 403 if response.from_aws => denied(response),
        400..=499 if response.from_aws => Verdict::Final,
        // A good status with another content, a redirect to a login page, a proxy's refusal.
        _ => Verdict::Foreign,
    }
}

fn denied(response: &ErrorResponse<'_>) -> Verdict {
    if BY_SCP.iter().any(|text| response.message.contains(text)) {
        Verdict::DeniedByScp
    } else {
        Verdict::Denied
    }
}

/// A service's problem; if the response says when to come back, it is a request to slow down.
fn transient(response: &ErrorResponse<'_>) -> Verdict {
    if response.status == 503 && response.retry_after.is_some() {
        Verdict::Throttled
    } else {
        Verdict::Transient
    }
}

/// The longest wait that is taken from a response.
///
/// More is a mistake or another clock's date, and every call to the service in the same account and region waits with
/// it.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Returns the wait that a response asks for.
///
/// `x-amz-retry-after` is in milliseconds; `Retry-After` in seconds or a date (RFC 9110, section 10.2.3), which
/// counts from the response's own `Date` if it has one.
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

/// Parses a date in an HTTP header (RFC 9110, IMF-fixdate).
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

/// Describes what came instead of the service's response, without quoting it.
fn foreign(raw: &HttpResponse) -> String {
    let mut message = format!("status {} with a response that isn't the service's", raw.status().as_u16());
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

/// Returns the failure of a response that can't be read to its end, or isn't complete.
fn unread(error: &(dyn Error + 'static)) -> Failure {
    if let Some(reason) = find::<IncompleteXml>(error) {
        return invalid_response(&reason.to_string());
    }
    Failure::new(FailureKind::Failed, chain(error)).with_code(CONNECTION_LOST).with_remedy(Remedy::TryAgain)
}

/// Returns the failure of a call without a response.
///
/// The kinds and types of errors are those of [`crate::http_client::client`]; the tests produce real ones.
fn undelivered(context: &DispatchFailure) -> Failure {
    let Some(connector) = context.as_connector_error() else {
        return Failure::new(FailureKind::Failed, "not sent").with_code(REQUEST_FAILED);
    };
    let error = cause(connector);
    let text = chain(error);
    // Of its own, the client has no other time-out than that of connecting.
    if connector.is_timeout() {
        return unreachable(CONNECT_TIMEOUT, "no connection in time".to_owned());
    }
    // The client names the connection that it failed with, if there was one.
    if connector.connection_metadata().is_some() && !connector.is_user() {
        if connector.is_io() || connector.as_other() == Some(ErrorKind::TransientError) {
            let failure = Failure::new(FailureKind::Failed, text);
            return failure.with_code(CONNECTION_LOST).with_remedy(Remedy::TryAgain);
        }
        // A server responded, but not in HTTP.
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
    // A proxy's refusal has a type that is private to the client, but a text of its own.
    if text == "tunnel error: proxy authorization required" {
        return Failure::new(FailureKind::Unreachable, PROXY_WANTS_PASSWORD).with_code(CONNECT_FAILED);
    }
    if connector.is_io() || text.starts_with("tunnel error") {
        return unreachable(CONNECT_FAILED, text);
    }
    // No endpoint, no credentials, no signature: the request was not sent, and never will be.
    Failure::new(FailureKind::Failed, text).with_code(REQUEST_FAILED)
}

/// Returns whether the system has no room for another file.
///
/// `ENFILE` and `EMFILE` on Unix, `WSAEMFILE` on Windows.
fn is_out_of_files(error: &std::io::Error) -> bool {
    let codes = if cfg!(windows) { [10_024, 10_024] } else { [23, 24] };
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Returns whether another clock would accept the certificate.
fn is_about_the_time(reason: &rustls::CertificateError) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(reason, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

fn unreachable(code: &str, text: String) -> Failure {
    Failure::new(FailureKind::Unreachable, text).with_code(code).with_remedy(Remedy::TryAgain)
}

/// Returns the error that an error wraps, or itself: the SDK's outer layers add nothing.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().unwrap_or(error)
}

/// Lists an error and its causes. An input/output error's inner error isn't its `source`, which would skip it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|wrapped| wrapped as _),
        None => error.source(),
    })
}

/// Finds the first error of type `T` among `error` and its causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// Joins an error and its causes in one line, without what a cause only repeats.
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

/// The texts from which a message repeats the request, with session token and signature. In lower case.
///
/// A service or a third party does so, or the SDK with the token in its body.
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

/// Returns a message in one line, of bounded length, without what must not be repeated. It stays untrusted text.
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
