//! AWS Organizations.

use aws_types::SdkConfig;
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::service::ServiceInfo;
use ssoinv_http::scoped_calls::Service;

/// AWS Organizations: <https://docs.aws.amazon.com/organizations/latest/APIReference/>
#[derive(Debug)]
pub(crate) struct Organizations;

impl Service for Organizations {
    type Client = aws_sdk_organizations::Client;

    const INFO: &'static ServiceInfo = &ServiceInfo {
        id: "Organizations",
        signing_name: "organizations",
        endpoint_prefix: "organizations",
        limits: PaceLimits::UNDOCUMENTED,
    };

    fn client(config: &SdkConfig) -> Self::Client {
        aws_sdk_organizations::Client::new(config)
    }
}
