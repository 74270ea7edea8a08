//! Amazon EC2.

use aws_types::SdkConfig;
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::service::ServiceInfo;
use ssoinv_http::complete_xml::CompleteXml;
use ssoinv_http::scoped_calls::Service;

/// Amazon EC2: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/>
#[derive(Debug)]
pub(crate) struct Ec2;

impl Service for Ec2 {
    type Client = aws_sdk_ec2::Client;

    const INFO: &'static ServiceInfo =
        &ServiceInfo { id: "EC2", signing_name: "ec2", endpoint_prefix: "ec2", limits: PaceLimits::EC2 };

    fn client(config: &SdkConfig) -> Self::Client {
        // A truncated list must not pass for a complete one.
        let config = aws_sdk_ec2::config::Builder::from(config).interceptor(CompleteXml);
        aws_sdk_ec2::Client::from_conf(config.build())
    }
}
