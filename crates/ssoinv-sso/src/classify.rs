//! From the SDK's errors to [`Failure`]s: what is common to all services. What an error code means, each service's own
//! module adds ([`crate::portal`], [`crate::credentials`]).

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{DispatchFailure, SdkError};
use aws_smithy_types::date_time::{DateTime, Format};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ssoinv_core::failure::{Failure, FailureKind, Remedy};

/// The codes by which AWS's services say that they are asked too fast: the SDKs' list ("Retry behavior", AWS SDKs and
/// Tools Reference Guide).
const THROTTLING: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "SlowDownException",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
];

/// Codes of errors that pass, whatever their status.
const PASSING: [&str; 2] = ["RequestTimeout", "RequestTimeoutException"];

/// The headers that carry a request's ID.
const REQUEST_IDS: [&str; 4] = ["x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id", "requestid"];

/// What an error of any service means, as far as that follows from HTTP, the network and the codes that all share.
/// `now` is the time of day, for a `Retry-After` that is a date.
///
/// An error that a service answers with 4xx is [`FailureKind::Failed`] without remedy: the caller knows its codes.
pub fn classify<E>(error: &SdkError<E, HttpResponse>, now: SystemTime) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => {
            let reason = error.source().map_or_else(String::new, root_cause);
            Failure::new(FailureKind::Failed, format!("the request could not be made: {reason}"))
                .with_code("InvalidRequest")
        }
        SdkError::TimeoutError(_) => Failure::new(FailureKind::Unreachable, "no answer in time")
            .with_code("Timeout")
            .with_remedy(Remedy::TryAgain),
        SdkError::DispatchFailure(failure) => dispatch(failure, error),
        SdkError::ResponseError(context) => of_status(invalid_answer(), context.raw(), now),
        // A good status with something else in it: the SDK takes it for an error without a name.
        SdkError::ServiceError(context)
            if context.raw().status().is_success() && context.err().code().is_none() =>
        {
            of_status(invalid_answer(), context.raw(), now)
        }
        SdkError::ServiceError(context) => {
            let (raw, error) = (context.raw(), context.err());
            let message = error.message().map_or_else(
                || format!("the answer has HTTP status {} and says no more", raw.status().as_u16()),
                one_line,
            );
            let mut failure = Failure::new(FailureKind::Failed, message);
            failure.code = error.code().map(str::to_owned);
            of_status(failure, raw, now)
        }
        _ => Failure::new(FailureKind::Failed, root_cause(error)).with_code("UnknownError"),
    }
}

fn invalid_answer() -> Failure {
    Failure::new(FailureKind::Failed, "the answer was cut off or is not what the service gives")
        .with_code("InvalidResponse")
        .with_remedy(Remedy::TryAgain)
}

/// What status, code and headers of an answer add to a failure.
fn of_status(mut failure: Failure, raw: &HttpResponse, now: SystemTime) -> Failure {
    let status = raw.status().as_u16();
    failure.request_id = REQUEST_IDS
        .iter()
        .find_map(|name| raw.headers().get(name))
        .filter(|id| !id.is_empty())
        .map(str::to_owned);
    let is_one_of = |codes: &[&str]| failure.code.as_deref().is_some_and(|code| codes.contains(&code));
    let (throttled, passing) = (is_one_of(&THROTTLING), is_one_of(&PASSING));
    if status == 429 || throttled {
        failure.kind = FailureKind::Throttled;
        failure.remedy = Remedy::SlowDown { after: retry_after(raw, now) };
    } else if status >= 500 || passing {
        failure.remedy = Remedy::TryAgain;
    }
    if failure.code.is_none() {
        failure.code = Some(format!("HTTP{status}"));
    }
    failure
}

/// The longest pause that an answer may ask for; more is a mistake or a date of another clock.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// How long the service asks to wait: `x-amz-retry-after` in milliseconds, as AWS's services give it, or `Retry-After`
/// in seconds or as a date (RFC 9110, section 10.2.3).
fn retry_after(raw: &HttpResponse, now: SystemTime) -> Option<Duration> {
    let header = |name: &str| raw.headers().get(name).map(str::trim);
    let millis = || header("x-amz-retry-after")?.parse().ok().map(Duration::from_millis);
    let seconds = || header("retry-after")?.parse().ok().map(Duration::from_secs);
    let date = || {
        let date = DateTime::from_str(header("retry-after")?, Format::HttpDate).ok()?;
        SystemTime::try_from(date).ok()?.duration_since(now).ok()
    };
    millis().or_else(seconds).or_else(date).map(|pause| pause.min(LONGEST_PAUSE))
}

/// A request that got no answer at all.
fn dispatch(failure: &DispatchFailure, error: &(dyn Error + 'static)) -> Failure {
    let reason = root_cause(error);
    let (code, remedy, message) = if failure.is_timeout() {
        ("Timeout", Remedy::TryAgain, "no connection in time".to_owned())
    } else if failure.is_io() {
        ("ConnectionFailed", Remedy::TryAgain, format!("no connection, or it broke: {reason}"))
    } else if failure.is_user() {
        ("InvalidRequest", Remedy::None, format!("the request could not be sent: {reason}"))
    } else {
        ("ConnectionFailed", Remedy::TryAgain, reason)
    };
    Failure::new(FailureKind::Unreachable, message).with_code(code).with_remedy(remedy)
}

/// What the innermost error says: the operating system's or the TLS library's own words.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    one_line(&innermost.to_string())
}

/// Untrusted text in one line.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("x")]
    struct Answered(ErrorMetadata);

    impl ProvideErrorMetadata for Answered {
        fn meta(&self) -> &ErrorMetadata {
            &self.0
        }
    }

    fn answer(status: u16, code: Option<&str>, headers: &[(&'static str, &'static str)]) -> Failure {
        let mut raw = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        for (name, value) in headers {
            raw.headers_mut().insert(*name, *value);
        }
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code {
            meta = meta.code(code).message("line one\nline\u{1b}[2J two");
        }
        classify(&SdkError::service_error(Answered(meta.build()), raw), UNIX_EPOCH)
    }

    #[test]
    fn throttling_is_known_by_code_and_by_status() {
        for failure in [
            answer(429, None, &[]),
            answer(503, Some("SlowDown"), &[]),
            answer(400, Some("ThrottlingException"), &[]),
            answer(503, Some("RequestLimitExceeded"), &[]),
        ] {
            assert_eq!(failure.remedy, Remedy::SlowDown { after: None }, "{failure:?}");
            assert_eq!(failure.kind, FailureKind::Throttled);
        }
    }

    #[test]
    fn a_pause_comes_in_three_forms_and_is_bounded() {
        for (header, value, seconds) in [
            ("retry-after", "7", 7),
            ("x-amz-retry-after", "1500", 1),
            ("retry-after", "Thu, 01 Jan 1970 00:00:09 GMT", 9),
            ("retry-after", "86400", 300),
        ] {
            let Remedy::SlowDown { after: Some(after) } = answer(429, None, &[(header, value)]).remedy else {
                panic!("{header}: {value}");
            };
            assert_eq!(after.as_secs(), seconds, "{header}: {value}");
        }
        assert_eq!(answer(429, None, &[("retry-after", "soon")]).remedy, Remedy::SlowDown { after: None });
    }

    #[test]
    fn server_errors_are_tried_again_and_other_answers_stand() {
        assert_eq!(answer(500, Some("InternalError"), &[]).remedy, Remedy::TryAgain);
        let denied = answer(403, Some("AccessDenied"), &[("x-amzn-RequestId", "r-1")]);
        assert_eq!((denied.remedy, denied.kind), (Remedy::None, FailureKind::Failed));
        assert_eq!(denied.request_id.as_deref(), Some("r-1"));
        assert_eq!(denied.message, "line one line [2J two", "one line, without control characters");
        assert_eq!(answer(403, None, &[]).code.as_deref(), Some("HTTP403"));
        let foreign = answer(200, None, &[]);
        assert_eq!((foreign.code.as_deref(), foreign.remedy), (Some("InvalidResponse"), Remedy::TryAgain));
    }

    #[test]
    fn what_never_arrived_is_unreachable() {
        let reset = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
        for error in [
            SdkError::dispatch_failure(ConnectorError::io(reset.into())),
            SdkError::dispatch_failure(ConnectorError::timeout("slow".into())),
            SdkError::timeout_error("slow"),
        ] {
            let failure = classify::<Answered>(&error, UNIX_EPOCH);
            assert_eq!(
                (failure.kind, failure.remedy),
                (FailureKind::Unreachable, Remedy::TryAgain),
                "{failure:?}"
            );
        }
    }
}
