use std::future::Future;

use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::timeout::TimeoutConfig;
use ssoinv_core::table::RowContext;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::tables::testing::{CannedService, client, clock, scope};
use crate::tables::{AnyTable, Service, ServiceClient, TABLES};

/// The table that asks `service`.
fn table_of(service: Service) -> &'static dyn AnyTable {
    TABLES.iter().copied().find(|table| table.service() == service).expect("a table of each service")
}

/// The failure of a page that `client` asks for.
async fn failure(client: &ServiceClient) -> Failure {
    let table = table_of(client.service());
    let scope = scope(table);
    let context = RowContext { scope: &scope, include_secrets: false };
    table.page(client, &context, &clock(), None).await.expect_err("no page")
}

/// The failure of a call that is answered so.
async fn answered(
    service: Service,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &str,
) -> Failure {
    failure(&CannedService::new((status, headers, body.to_owned())).client(service)).await
}

fn s3(code: &str, message: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>")
}

fn ec2(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
         <RequestID>r-1</RequestID></Response>"
    )
}

const FROM_AWS: &[(&str, &str)] = &[("x-amzn-requestid", "r-1")];

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

    /// Status, code, message, seconds by which our clock is ahead; what follows.
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
            // The clock is right: the request was held up, and is signed anew.
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
            let answer =
                Answer { status, code: Some(code), message, retry_after: None, ahead, from_aws: true };
            assert_eq!(judge(&answer).meaning(None), (kind, remedy), "{answer:?}");
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
            // A proxy's page is no word about the role.
            (403, false, Failed, TryAgain),
            (407, false, Unreachable, Stands),
            (302, false, Failed, TryAgain),
            (200, true, Failed, TryAgain),
            (404, true, Failed, Stands),
        ] {
            let answer = Answer { status, code: None, message: "", retry_after: None, ahead: None, from_aws };
            assert_eq!(judge(&answer).meaning(None), (kind, remedy), "{answer:?}");
        }
    }

    #[test]
    fn a_service_that_says_when_to_come_back_is_asked_more_slowly() {
        let after = Some(Duration::from_secs(7));
        let answer = Answer {
            status: 503,
            code: Some("ServiceUnavailable"),
            message: "",
            retry_after: after,
            ahead: None,
            from_aws: true,
        };
        assert_eq!(judge(&answer).meaning(after), (Throttled, Remedy::SlowDown { after }));
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
    ] {
        assert!(!one_line(message).contains("SECRET"), "{message}");
    }
}

#[tokio::test]
async fn each_services_errors_are_read() {
    let denied = answered(Service::S3, 403, FROM_AWS, &s3("AccessDenied", "no\n way")).await;
    assert_eq!(denied.kind, FailureKind::Denied);
    assert_eq!(denied.code.as_deref(), Some("AccessDenied"));
    assert_eq!(denied.message, "no way");
    assert_eq!(denied.request_id.as_deref(), Some("r-1"));

    let throttled =
        answered(Service::Ec2, 503, &[("retry-after", "3")], &ec2("RequestLimitExceeded", "")).await;
    assert_eq!(throttled.remedy, Remedy::SlowDown { after: Some(Duration::from_secs(3)) });
    assert_eq!(throttled.message, "RequestLimitExceeded");

    let headers =
        &[("x-amzn-errortype", "UnrecognizedClientException:http://x/"), ("x-amzn-requestid", "r-2")];
    let unknown = answered(Service::Lambda, 403, headers, r#"{"message":"invalid"}"#).await;
    assert_eq!((unknown.kind, unknown.remedy), (FailureKind::Denied, Remedy::CheckRegion));
    assert_eq!(unknown.code.as_deref(), Some("UnrecognizedClientException"));
    assert_eq!(unknown.message, "invalid");

    let headers = &[("x-amzn-errortype", "TooManyRequestsException"), ("retry-after", "2")];
    let throttled = answered(Service::Lambda, 429, headers, r#"{"Reason":"CallerRateLimitExceeded"}"#).await;
    assert_eq!(throttled.remedy, Remedy::SlowDown { after: Some(Duration::from_secs(2)) });
}

#[tokio::test]
async fn a_wrong_clock_is_measured() {
    // The machine's clock says 1 July, midnight.
    for (date, words) in [
        (&[("date", "Wed, 01 Jul 2026 00:17:20 GMT")], "17 minutes behind AWS's"),
        (&[("date", "Tue, 30 Jun 2026 21:00:00 GMT")], "3 hours ahead of AWS's"),
        (&[("date", "Fri, 01 Jul 2025 00:00:00 GMT")], "365 days ahead of AWS's"),
    ] {
        for (service, status, body) in [
            (Service::S3, 403, s3("RequestTimeTooSkewed", "The difference is too large")),
            (Service::Ec2, 400, ec2("RequestExpired", "Request has expired.")),
            (Service::Ec2, 401, ec2("AuthFailure", "AWS was not able to validate the credentials")),
        ] {
            let failure = answered(service, status, date, &body).await;
            assert!(failure.message.contains(words), "{failure:?}");
            assert_eq!((failure.kind, failure.remedy), (FailureKind::Failed, Remedy::None), "{failure:?}");
        }
    }
    let date = &[("date", "Wed, 01 Jul 2026 00:00:01 GMT")];
    let held_up = answered(Service::S3, 403, date, &s3("RequestTimeTooSkewed", "")).await;
    assert_eq!(held_up.remedy, Remedy::TryAgain);
}

#[tokio::test]
async fn somebody_elses_page_is_not_the_services_answer_and_is_not_quoted() {
    const PAGE: &str = "<html><body>Sign in to the network as SECRET</body></html>";
    for service in [Service::S3, Service::Ec2, Service::Lambda] {
        for (status, body) in [(200, PAGE), (200, ""), (200, "SECRET"), (302, PAGE), (403, PAGE), (511, PAGE)]
        {
            let failure = answered(service, status, &[("content-type", "text/html")], body).await;
            assert_eq!(
                (failure.kind, failure.remedy),
                (FailureKind::Failed, Remedy::TryAgain),
                "{failure:?}"
            );
            assert!(!format!("{failure:?}").contains("SECRET"), "{failure:?}");
        }
    }
    // A half-read answer's error would quote the half.
    let half = r#"{"Functions":[{"Environment":{"Variables":{"A":"SECRET","B":{}}}}]}"#;
    let failure = answered(Service::Lambda, 200, &[], half).await;
    assert_eq!(failure.code.as_deref(), Some(INVALID_ANSWER));
    assert!(!format!("{failure:?}").contains("SECRET"), "{failure:?}");
}

/// A server of one connection, and the failure of a call to it.
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
    let failure = failure(&over_the_wire(&format!("{scheme}://127.0.0.1:{port}"))).await;
    server.await.expect("no panic");
    failure
}

fn over_the_wire(endpoint: &str) -> ServiceClient {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https();
    client(Service::Ec2, http, Some(endpoint))
}

/// Reads a request's headers, then writes `answer`.
async fn answer(stream: &mut TcpStream, answer: &str) {
    let mut request = Vec::new();
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.expect("a request") == 0 {
            return;
        }
    }
    stream.write_all(answer.as_bytes()).await.expect("the client listens");
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_failure_to_try_again() {
    for begun in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<DescribeInstancesResponse>",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n<DescribeInstancesResponse>\r\n",
    ] {
        for reset in [false, true] {
            let failure = served("http", move |mut stream| async move {
                answer(&mut stream, begun).await;
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
    // Here HTTP knows of nothing missing.
    let cut = served("http", |mut stream| async move {
        let begun = "<DescribeInstancesResponse><reservationSet><item>";
        answer(&mut stream, &format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{begun}")).await;
    });
    assert_eq!(cut.await.code.as_deref(), Some(INVALID_ANSWER));
    let other = served("http", |mut stream| async move { answer(&mut stream, "SSH-2.0-x\r\n\r\n").await });
    assert_eq!(other.await.code.as_deref(), Some(INVALID_ANSWER));
}

#[tokio::test]
async fn what_cannot_be_reached_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let refused = failure(&over_the_wire(&endpoint)).await;
    let no_tls = served("https", |mut stream| async move {
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    for failure in [refused, no_tls.await] {
        assert_eq!(failure.kind, FailureKind::Unreachable, "{failure:?}");
        assert_eq!(failure.code.as_deref(), Some(CONNECT_FAILED), "{failure:?}");
        assert_eq!(failure.remedy, Remedy::TryAgain, "{failure:?}");
    }
}

#[tokio::test]
async fn who_never_answers_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let ServiceClient::Ec2(patient) = over_the_wire(&endpoint) else { panic!("EC2's") };
    let limits = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(20)).build();
    let hasty = aws_sdk_ec2::Client::from_conf(patient.config().to_builder().timeout_config(limits).build());
    let failure = failure(&ServiceClient::Ec2(hasty)).await;
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure:?}");
    assert_eq!(failure.code.as_deref(), Some(TIMEOUT), "{failure:?}");
    assert_eq!(failure.remedy, Remedy::TryAgain, "{failure:?}");
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_tried_again() {
    let failure = failure(&over_the_wire("not a URL")).await;
    assert_eq!(failure.code.as_deref(), Some(REQUEST_FAILED), "{failure:?}");
    assert_eq!((failure.kind, failure.remedy), (FailureKind::Failed, Remedy::None), "{failure:?}");
}

/// An error and its causes, as the HTTP client gives them.
#[derive(Debug)]
struct Said(&'static str, Option<Box<Said>>);

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Said {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_ref().map(|cause| &**cause as _)
    }
}

/// In the words that the client was seen to use: neither can be had on loopback without a name server or a certificate.
#[test]
fn names_and_certificates_have_their_own_codes() {
    for (said, code, remedy) in [
        (
            ["client error (Connect)", "dns error", "failed to lookup address information"],
            DNS_FAILED,
            Remedy::TryAgain,
        ),
        (
            ["client error (Connect)", "TLS handshake failed", "invalid peer certificate: UnknownIssuer"],
            CERTIFICATE_REFUSED,
            Remedy::None,
        ),
    ] {
        let error = said.iter().rev().fold(None, |cause, text| Some(Box::new(Said(text, cause))));
        let error = ConnectorError::io(error.expect("three words"));
        let error = SdkError::<
            aws_sdk_ec2::operation::describe_instances::DescribeInstancesError,
            HttpResponse,
        >::dispatch_failure(error);
        let failure = classify(error, &clock());
        assert_eq!((failure.kind, failure.remedy), (FailureKind::Unreachable, remedy), "{failure:?}");
        assert_eq!(failure.code.as_deref(), Some(code), "{failure:?}");
        assert_eq!(failure.message, said.join(": "));
    }
}
