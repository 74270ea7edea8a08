//! Amazon S3.

use aws_types::SdkConfig;
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::service::ServiceInfo;
use ssoinv_http::complete_xml::CompleteXml;
use ssoinv_http::scoped_calls::Service;

/// Amazon S3: <https://docs.aws.amazon.com/AmazonS3/latest/API/>
#[derive(Debug)]
pub(crate) struct S3;

impl Service for S3 {
    type Client = aws_sdk_s3::Client;

    const INFO: &'static ServiceInfo = &ServiceInfo {
        id: "S3",
        signing_name: "s3",
        endpoint_prefix: "s3",
        limits: PaceLimits::UNDOCUMENTED,
    };

    fn client(config: &SdkConfig) -> Self::Client {
        // A truncated list must not pass for a complete one.
        let config = aws_sdk_s3::config::Builder::from(config).interceptor(CompleteXml);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}
