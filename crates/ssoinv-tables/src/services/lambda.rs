//! AWS Lambda.

use aws_types::SdkConfig;
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::service::ServiceInfo;
use ssoinv_http::scoped_calls::Service;

/// AWS Lambda: <https://docs.aws.amazon.com/lambda/latest/api/>
#[derive(Debug)]
pub(crate) struct Lambda;

impl Service for Lambda {
    type Client = aws_sdk_lambda::Client;

    const INFO: &'static ServiceInfo = &ServiceInfo {
        id: "Lambda",
        signing_name: "lambda",
        endpoint_prefix: "lambda",
        limits: PaceLimits::LAMBDA,
    };

    fn client(config: &SdkConfig) -> Self::Client {
        aws_sdk_lambda::Client::new(config)
    }
}
