use std::future::Future;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::result::ConnectorError;
use ssoinv_core::env::Env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::complete_xml::CompleteXml;
use crate::sdk_settings::{SdkSettings, Timeouts};
use crate::test_util::{clock, endpoint_at, over_the_wire, response};

mod judged {
    use super::*;

    const SLOW: Remedy = Remedy::SlowDown { after: None };
    use FailureKind::{Denied, DeniedByScp, Failed, SignInExpired, Throttled, Unreachable};
    use Remedy::{CheckRegion, None as Stands, Renew, TryAgain};

    const EXPLICIT: &str = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:ListAllMyBuckets with an \
                            explicit deny in a service control policy: arn:aws:organizations::2:policy/o-3/p-4";
    const IMPLICIT: &str =
        "is not authorized to perform: x because no service control policy allows the x action";
    const BY_RCP: &str = "is not authorized to perform: x with an explicit deny in a resource control policy";
    const STALE: &str = "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z";

    #[test]
    fn codes_are_sorted_so_that_they_are_found() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
    }

    /// Status, code, message, and the seconds by which our clock is ahead; then the expected failure.
    type Case = (u16, &'static str, &'static str, Option<i64>, FailureKind, Remedy);

    #[test]
    fn what_a_service_answers() {
        #[rustfmt::skip]
        let cases: &[Case] = &[
            (403, "AccessDenied", "Access Denied", None, Denied, Stands),
            (403, "AccessDenied", EXPLICIT, None, DeniedByScp, Stands),
            (403, "AccessDeniedException", IMPLICIT, None, DeniedByScp, Stands),
            (403, "AccessDeniedException", BY_RCP, None, Denied, Stands),
            (403, "UnauthorizedOperation", "You are not authorized", None, Denied, Stands),
            (403, "UnauthorizedOperation", EXPLICIT, None, DeniedByScp, Stands),
            (400, "AccessDeniedForSomeNewReason", EXPLICIT, None, DeniedByScp, Stands),
            (403, "SomethingNew", "", None, Denied, Stands),
            (503, "RequestLimitExceeded", "", None, Throttled, SLOW),
            (400, "Throttling", "", None, Throttled, SLOW),
            (400, "ThrottlingException", "", None, Throttled, SLOW),
            (429, "TooManyRequestsException", "", None, Throttled, SLOW),
            (429, "SomethingNew", "", None, Throttled, SLOW),
            (503, "SlowDown", "", None, Throttled, SLOW),
            (400, "ExpiredToken", "", None, SignInExpired, Renew),
            (403, "ExpiredTokenException", "", Some(0), SignInExpired, Renew),
            (400, "TokenRefreshRequired", "", None, SignInExpired, Renew),
            (400, "RequestExpired", "", Some(2), SignInExpired, Renew),
            (400, "RequestExpired", "", None, SignInExpired, Renew),
            (400, "RequestExpired", "", Some(-1000), Failed, Stands),
            (400, "InvalidToken", "", None, Denied, Renew),
            (401, "AuthFailure", "", Some(-3), Denied, CheckRegion),
            (401, "AuthFailure", "", None, Denied, CheckRegion),
            (401, "AuthFailure", "", Some(301), Failed, Stands),
            (403, "UnrecognizedClientException", "", Some(0), Denied, CheckRegion),
            (403, "InvalidClientTokenId", "", None, Denied, CheckRegion),
            (401, "OptInRequired", "", None, Denied, CheckRegion),
            (403, "RequestTimeTooSkewed", "", Some(901), Failed, Stands),
            (403, "RequestTimeTooSkewed", "", None, Failed, Stands),
            // The clock is right: the request was delayed, and is signed again.
            (403, "RequestTimeTooSkewed", "", Some(1), Failed, TryAgain),
            (403, "InvalidSignatureException", STALE, Some(300), Failed, Stands),
            (403, "InvalidSignatureException", STALE, None, Failed, Stands),
            (403, "InvalidSignatureException", STALE, Some(0), Failed, TryAgain),
            (403, "SignatureDoesNotMatch", "Signature not yet current: x", None, Failed, Stands),
            (403, "SignatureDoesNotMatch", "The request signature we calculated", Some(0), Failed, Stands),
            (500, "InternalError", "", None, Failed, TryAgain),
            (503, "ServiceUnavailable", "", None, Failed, TryAgain),
            (500, "ServiceException", "", None, Failed, TryAgain),
            (502, "SomethingNew", "", None, Failed, TryAgain),
            (400, "RequestTimeout", "", None, Failed, TryAgain),
            (400, "InvalidParameterValue", "", None, Failed, Stands),
            (404, "SomethingNew", "", None, Failed, Stands),
        ];
        for &(status, code, message, ahead, kind, remedy) in cases {
            let response =
                ErrorResponse { status, code: Some(code), message, retry_after: None, ahead, from_aws: true };
            assert_eq!(judge(&response).meaning(None), (kind, remedy), "{response:?}");
        }
    }

    #[test]
    fn answers_without_a_code() {
        for (status, from_aws, kind, remedy) in [
            (429, false, Throttled, SLOW),
            (500, true, Failed, TryAgain),
            (502, false, Failed, TryAgain),
            (408, false, Failed, TryAgain),
            (403, true, Denied, Stands),
            (401, true, Denied, Stands),
            // A proxy's page says nothing about the role.
            (403, false, Failed, TryAgain),
            (407, false, Unreachable, Stands),
            (302, false, Failed, TryAgain),
            (200, true, Failed, TryAgain),
            (404, true, Failed, Stands),
        ] {
            let response =
                ErrorResponse { status, code: None, message: "", retry_after: None, ahead: None, from_aws };
            assert_eq!(judge(&response).meaning(None), (kind, remedy), "{response:?}");
        }
    }

    #[test]
    fn a_service_that_says_when_to_come_back_is_asked_more_slowly() {
        let after = Some(Duration::from_secs(7));
        let response = ErrorResponse {
            status: 503,
            code: Some("ServiceUnavailable"),
            message: "",
            retry_after: after,
            ahead: None,
            from_aws: true,
        };
        assert_eq!(judge(&response).meaning(after), (Throttled, Remedy::SlowDown { after }));
    }
}

#[test]
fn retry_after_in_all_its_forms() {
    let answered = clock().now();
    for (millis, standard, expected) in [
        (None, None, None),
        (Some("1500"), None, Some(Duration::from_millis(1500))),
        (Some("1500"), Some("7"), Some(Duration::from_millis(1500))),
        (Some("soon"), Some("7"), Some(Duration::from_secs(7))),
        (None, Some(" 7 "), Some(Duration::from_secs(7))),
        (None, Some("Wed, 01 Jul 2026 00:00:09 GMT"), Some(Duration::from_secs(9))),
        (None, Some("Tue, 30 Jun 2026 23:59:59 GMT"), Some(Duration::ZERO)),
        (None, Some("99999999999999999999"), None),
        (None, Some("18446744073709551615"), Some(LONGEST_WAIT)),
        (None, Some("-1"), None),
    ] {
        assert_eq!(retry_after(millis, standard, answered), expected, "{millis:?} {standard:?}");
    }
}

#[test]
fn messages_are_one_line_and_repeat_no_request() {
    assert_eq!(one_line("  a\r\n\tb\u{1b}[31m\0c  "), "a b [31m c");
    let long = one_line(&"é".repeat(5_000));
    assert_eq!(long.chars().count(), LONGEST_MESSAGE + 1);
    for message in [
        "It does not match. The Canonical String for this request should have been 'x-amz-security-token:SECRET'",
        "It does not match. The String-to-Sign should have been 'SECRET'",
        "Not a valid pair in Authorization header: 'SECRET'",
        "Incomplete: Authorization=AWS4-HMAC-SHA256 Signature=SECRET",
        "failed to apply endpoint `x` to request `Request { body: SdkBody { inner: Once(Some(b\"SECRET\")) } }`",
    ] {
        assert!(!one_line(message).contains("SECRET"), "{message}");
    }
}

/// Runs a server for one connection, and returns the failure of a call to it.
async fn served<F>(scheme: &str, serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> Failure
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        serve(stream).await;
    });
    let failure = failure_at(&format!("{scheme}://127.0.0.1:{port}"), Timeouts::default()).await;
    server.await.expect("no panic");
    failure
}

/// Returns the failure of a call that is made with the program's own client.
async fn failure_at(endpoint: &str, timeouts: Timeouts) -> Failure {
    failure_with(over_the_wire(&Env::new()), Some(endpoint), timeouts).await
}

async fn failure_with(http: SharedHttpClient, endpoint: Option<&str>, timeouts: Timeouts) -> Failure {
    let sdk = SdkSettings::new(http, &clock(), timeouts);
    let keys = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let config = sdk.at(&endpoint_at(endpoint)).credentials_provider(SharedCredentialsProvider::new(keys));
    let client = aws_sdk_sts::Client::new(&config.build());
    let call = client.get_caller_identity().customize().interceptor(CompleteXml);
    classify(&call.send().await.expect_err("no response"), &clock())
}

/// Reads a request's headers, then writes `response`.
async fn respond(stream: &mut TcpStream, response: &str) {
    let mut request = Vec::new();
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.expect("a request") == 0 {
            return;
        }
    }
    stream.write_all(response.as_bytes()).await.expect("the client listens");
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_failure_to_try_again() {
    for begun in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<GetCallerIdentityResponse>",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n<GetCallerIdentityResponse>\r\n",
    ] {
        for reset in [false, true] {
            let failure = served("http", move |mut stream| async move {
                respond(&mut stream, begun).await;
                if reset {
                    stream.set_zero_linger().expect("a socket");
                }
            })
            .await;
            assert_eq!(failure.code.as_deref(), Some(CONNECTION_LOST), "{begun} {reset}: {failure:?}");
            assert_eq!(
                (failure.kind, failure.remedy),
                (FailureKind::Failed, Remedy::TryAgain),
                "{failure:?}"
            );
        }
    }
    // HTTP can't detect the missing part here.
    let cut = served("http", |mut stream| async move {
        let begun = "<GetCallerIdentityResponse><GetCallerIdentityResult>";
        respond(&mut stream, &format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{begun}")).await;
    });
    assert_eq!(cut.await.code.as_deref(), Some(INVALID_RESPONSE));
    let other = served("http", |mut stream| async move { respond(&mut stream, "SSH-2.0-x\r\n\r\n").await });
    assert_eq!(other.await.code.as_deref(), Some(INVALID_RESPONSE));
}

#[tokio::test]
async fn what_cannot_be_reached_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let refused = failure_at(&endpoint, Timeouts::default()).await;
    let no_tls = served("https", |mut stream| async move {
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let breaks_off = |reset| {
        served("https", move |mut stream| async move {
            let mut hello = [0; 4096];
            let _ = stream.read(&mut hello).await;
            if reset {
                stream.set_zero_linger().expect("a socket");
            }
        })
    };
    for failure in [refused, no_tls.await, breaks_off(false).await, breaks_off(true).await] {
        assert_eq!(failure.kind, FailureKind::Unreachable, "{failure:?}");
        assert_eq!(failure.code.as_deref(), Some(CONNECT_FAILED), "{failure:?}");
        assert_eq!(failure.remedy, Remedy::TryAgain, "{failure:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_gives_no_tunnel_is_unreachable() {
    for (said, remedy, words) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Remedy::None, PROXY_WANTS_PASSWORD),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", Remedy::TryAgain, "tunnel error"),
        ("", Remedy::TryAgain, "tunnel error"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            respond(&mut stream, said).await;
        });
        let http = over_the_wire(&[("HTTPS_PROXY".to_owned(), proxy)].into_iter().collect());
        let failure = failure_with(http, None, Timeouts::default()).await;
        server.await.expect("no panic");
        assert_eq!((failure.kind, failure.remedy), (FailureKind::Unreachable, remedy), "{failure:?}");
        assert_eq!(failure.code.as_deref(), Some(CONNECT_FAILED), "{failure:?}");
        assert!(failure.message.starts_with(words), "{failure:?}");
    }
}

#[tokio::test]
async fn who_never_answers_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let attempt = Duration::from_millis(20);
    let failure = failure_at(&endpoint, Timeouts { attempt, ..Timeouts::default() }).await;
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure:?}");
    assert_eq!(failure.code.as_deref(), Some(TIMEOUT), "{failure:?}");
    assert_eq!(failure.remedy, Remedy::TryAgain, "{failure:?}");
}

/// A connection includes the proxy's tunnel and TLS. Its time-out comes before the attempt's, however short that one is.
#[tokio::test(start_paused = true)]
async fn a_slow_connection_has_its_own_code() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("https://{}", listener.local_addr().expect("an address"));
    let short = Duration::from_millis(40);
    for (connect, attempt) in [(short, Duration::from_mins(1)), (Duration::from_mins(1), short)] {
        let failure = failure_at(&endpoint, Timeouts { connect, attempt }).await;
        assert_eq!(failure.code.as_deref(), Some(CONNECT_TIMEOUT), "{failure:?}");
        assert_eq!((failure.kind, failure.remedy), (FailureKind::Unreachable, Remedy::TryAgain));
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_tried_again() {
    let failure = failure_at("not a URL", Timeouts::default()).await;
    assert_eq!(failure.code.as_deref(), Some(REQUEST_FAILED), "{failure:?}");
    assert!(!failure.message.contains("Action="), "the request is not repeated: {failure:?}");
    assert_eq!((failure.kind, failure.remedy), (FailureKind::Failed, Remedy::None), "{failure:?}");
}

/// The errors as the client was seen to return them.
///
/// Neither can be had on loopback without a name server or a certificate.
#[cfg(unix)]
#[test]
fn no_room_for_another_file_says_nothing_of_the_host() {
    let tunnelled = std::io::Error::other(std::io::Error::from_raw_os_error(24));
    for error in [std::io::Error::from_raw_os_error(23), tunnelled] {
        let error = SdkError::<GetCallerIdentityError, HttpResponse>::dispatch_failure(ConnectorError::io(
            error.into(),
        ));
        let failure = classify(&error, &clock());
        assert_eq!(failure.code.as_deref(), Some(TOO_MANY_OPEN_FILES), "{failure:?}");
        assert_eq!((failure.kind, failure.remedy), (FailureKind::Failed, Remedy::TryAgain));
    }
}

#[test]
fn names_and_certificates_have_their_own_codes() {
    let io = |error: &str| std::io::Error::other(error.to_owned());
    let name = ResolveDnsError::new(io("failed to lookup address information"));
    let certificate = |reason| {
        let error = rustls::Error::InvalidCertificate(reason);
        let wrapped = std::io::Error::other(std::io::Error::new(std::io::ErrorKind::InvalidData, error));
        ConnectorError::other(wrapped.into(), None)
    };
    for (error, code, remedy, message) in [
        (
            ConnectorError::io(name.into()),
            DNS_FAILED,
            Remedy::TryAgain,
            "failed to perform DNS lookup: failed to lookup address information",
        ),
        (
            certificate(rustls::CertificateError::UnknownIssuer),
            CERTIFICATE_REFUSED,
            Remedy::None,
            "invalid peer certificate: UnknownIssuer",
        ),
        (
            certificate(rustls::CertificateError::NotValidYet),
            CERTIFICATE_NOT_VALID_NOW,
            Remedy::None,
            "by this machine's clock the certificate is too old or too new: invalid peer certificate: NotValidYet",
        ),
    ] {
        let error = SdkError::<GetCallerIdentityError, HttpResponse>::dispatch_failure(error);
        let failure = classify(&error, &clock());
        assert_eq!((failure.kind, failure.remedy), (FailureKind::Unreachable, remedy), "{failure:?}");
        assert_eq!(failure.code.as_deref(), Some(code), "{failure:?}");
        assert_eq!(failure.message, message);
    }
}

/// Without a connection in the error, none was made.
#[test]
fn what_never_arrived_is_unreachable() {
    let reset = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
    for error in [
        SdkError::dispatch_failure(ConnectorError::io(reset.into())),
        SdkError::dispatch_failure(ConnectorError::timeout("slow".into())),
        SdkError::timeout_error("slow"),
    ] {
        let failure = classify::<GetCallerIdentityError>(&error, &clock());
        assert_eq!(
            (failure.kind, failure.remedy),
            (FailureKind::Unreachable, Remedy::TryAgain),
            "{failure:?}"
        );
    }
}

/// Returns the failure of a response with this status, code and headers.
fn said(status: u16, code: Option<&str>, headers: &'static [(&'static str, &'static str)]) -> Failure {
    let mut meta = ErrorMetadata::builder();
    if let Some(code) = code {
        meta = meta.code(code).message("line one\nline\u{1b}[2J two");
    }
    let raw = response(&(status, headers, String::new()));
    let error = SdkError::service_error(GetCallerIdentityError::generic(meta.build()), raw);
    classify(&error, &clock())
}

#[test]
fn throttling_is_known_by_code_and_by_status() {
    for failure in [
        said(429, None, &[]),
        said(503, Some("SlowDown"), &[]),
        said(400, Some("SlowDownException"), &[]),
        said(400, Some("ThrottlingException"), &[]),
        said(503, Some("RequestLimitExceeded"), &[]),
    ] {
        assert_eq!(failure.remedy, Remedy::SlowDown { after: None }, "{failure:?}");
        assert_eq!(failure.kind, FailureKind::Throttled);
    }
}

#[test]
fn a_pause_comes_in_three_forms_and_is_bounded() {
    let cases: [(&'static [(&str, &str)], _); 5] = [
        (&[("retry-after", "7")], Some(Duration::from_secs(7))),
        (&[("x-amz-retry-after", "1500")], Some(Duration::from_millis(1500))),
        (&[("retry-after", "Wed, 01 Jul 2026 00:00:09 GMT")], Some(Duration::from_secs(9))),
        (&[("retry-after", "86400")], Some(Duration::from_mins(5))),
        (&[("retry-after", "soon")], None),
    ];
    for (headers, after) in cases {
        assert_eq!(said(429, None, headers).remedy, Remedy::SlowDown { after }, "{headers:?}");
    }
}

#[test]
fn server_errors_are_tried_again_and_other_answers_stand() {
    for code in ["InternalError", "InternalServerException"] {
        assert_eq!(said(500, Some(code), &[]).remedy, Remedy::TryAgain);
    }
    assert_eq!(said(400, Some("InternalServerException"), &[]).remedy, Remedy::TryAgain);
    let denied = said(403, Some("AccessDenied"), &[("x-amzn-RequestId", "r-1")]);
    assert_eq!((denied.remedy, denied.kind), (Remedy::None, FailureKind::Denied));
    assert_eq!(denied.request_id.as_deref(), Some("r-1"));
    assert_eq!(denied.message, "line one line [2J two", "one line, without control characters");
    // A response with a request ID is AWS's; the portal has a header of its own for it.
    for headers in [&[("x-amzn-requestid", "r-2")], &[("x-amz-request-id", "r-2")], &[("requestid", "r-2")]] {
        let failure = said(403, None, headers);
        assert_eq!(failure.code.as_deref(), Some("HTTP403"));
        assert_eq!(failure.request_id.as_deref(), Some("r-2"));
    }
    for headers in [&[][..], &[("requestid", "")]] {
        assert_eq!(said(403, None, headers).code.as_deref(), Some(INVALID_RESPONSE));
    }
}
