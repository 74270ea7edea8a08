//! How the services' refusals come out of the SDK and are classified: a code in a header, in JSON, in two kinds of XML.

use std::time::Duration;

use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::table::RowContext;
use ssoinv_http::classify::INVALID_RESPONSE;

use super::testing::{CannedService, clock, scope};
use super::{AnyTable, Service, TABLES};

/// The table that asks `service`.
fn table_of(service: Service) -> &'static dyn AnyTable {
    TABLES.iter().copied().find(|table| table.service() == service).expect("a table of each service")
}

/// The failure of a page that `client` asks for.
async fn failure(client: &super::ServiceClient) -> Failure {
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
    assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE));
    assert!(!format!("{failure:?}").contains("SECRET"), "{failure:?}");
}
