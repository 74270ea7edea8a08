//! How errors of each service's protocol are classified: a code in a header, in JSON, in two kinds of XML.

use std::time::Duration;

use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_http::classify::INVALID_RESPONSE;

use crate::registry::find;
use crate::testing::{CannedHttp, scan};

const BUCKETS: &str = "aws_s3_bucket";
const INSTANCES: &str = "aws_ec2_instance";
const FUNCTIONS: &str = "aws_lambda_function";

/// The failure of a scan whose list call gets this response.
async fn failure(
    table: &str,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &str,
) -> Failure {
    let http = CannedHttp::new([(status, headers, body.to_owned())]);
    let table = find(table).expect("a table");
    scan(&**table, &http, &[], false).await.expect_err("an error response")
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
async fn errors_of_each_protocol_are_read() {
    let denied = failure(BUCKETS, 403, FROM_AWS, &s3("AccessDenied", "no\n way")).await;
    assert_eq!(denied.kind, FailureKind::Denied);
    assert_eq!(denied.code.as_deref(), Some("AccessDenied"));
    assert_eq!(denied.message, "no way");
    assert_eq!(denied.request_id.as_deref(), Some("r-1"));

    let throttled = failure(INSTANCES, 503, &[("retry-after", "3")], &ec2("RequestLimitExceeded", "")).await;
    assert_eq!(throttled.remedy, Remedy::SlowDown { after: Some(Duration::from_secs(3)) });
    assert_eq!(throttled.message, "RequestLimitExceeded (throttled 1 times)");

    let headers =
        &[("x-amzn-errortype", "UnrecognizedClientException:http://x/"), ("x-amzn-requestid", "r-2")];
    let unknown = failure(FUNCTIONS, 403, headers, r#"{"message":"invalid"}"#).await;
    assert_eq!((unknown.kind, unknown.remedy), (FailureKind::Denied, Remedy::CheckRegion));
    assert_eq!(unknown.code.as_deref(), Some("UnrecognizedClientException"));
    assert_eq!(unknown.message, "invalid");

    let headers = &[("x-amzn-errortype", "TooManyRequestsException"), ("retry-after", "2")];
    let throttled = failure(FUNCTIONS, 429, headers, r#"{"Reason":"CallerRateLimitExceeded"}"#).await;
    assert_eq!(throttled.remedy, Remedy::SlowDown { after: Some(Duration::from_secs(2)) });
}

#[tokio::test]
async fn clock_skew_is_measured() {
    // The machine's clock says 1 July, midnight.
    for (date, words) in [
        (&[("date", "Wed, 01 Jul 2026 00:17:20 GMT")], "17 minutes behind AWS's"),
        (&[("date", "Tue, 30 Jun 2026 21:00:00 GMT")], "3 hours ahead of AWS's"),
        (&[("date", "Fri, 01 Jul 2025 00:00:00 GMT")], "365 days ahead of AWS's"),
    ] {
        for (table, status, body) in [
            (BUCKETS, 403, s3("RequestTimeTooSkewed", "The difference is too large")),
            (INSTANCES, 400, ec2("RequestExpired", "Request has expired.")),
            (INSTANCES, 401, ec2("AuthFailure", "AWS was not able to validate the credentials")),
        ] {
            let failure = failure(table, status, date, &body).await;
            assert!(failure.message.contains(words), "{failure:?}");
            assert_eq!((failure.kind, failure.remedy), (FailureKind::Failed, Remedy::None), "{failure:?}");
        }
    }
    let date = &[("date", "Wed, 01 Jul 2026 00:00:01 GMT")];
    let held_up = failure(BUCKETS, 403, date, &s3("RequestTimeTooSkewed", "")).await;
    assert_eq!(held_up.remedy, Remedy::TryAgain);
}

#[tokio::test]
async fn a_foreign_page_is_refused_and_not_quoted() {
    const PAGE: &str = "<html><body>Sign in to the network as SECRET</body></html>";
    for table in [BUCKETS, INSTANCES, FUNCTIONS] {
        for (status, body) in [(200, PAGE), (200, ""), (200, "SECRET"), (302, PAGE), (403, PAGE), (511, PAGE)]
        {
            let failure = failure(table, status, &[("content-type", "text/html")], body).await;
            assert_eq!(
                (failure.kind, failure.remedy),
                (FailureKind::Failed, Remedy::TryAgain),
                "{failure:?}"
            );
            assert!(!format!("{failure:?}").contains("SECRET"), "{failure:?}");
        }
    }
    // The error of a response that is read in part would quote that part.
    let half = r#"{"Functions":[{"Environment":{"Variables":{"A":"SECRET","B":{}}}}]}"#;
    let failure = failure(FUNCTIONS, 200, &[], half).await;
    assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE));
    assert!(!format!("{failure:?}").contains("SECRET"), "{failure:?}");
}
