//! The AWS services that tables call.

use ssoinv_core::pace::PaceLimits;
use ssoinv_core::service::ServiceInfo;

/// Amazon S3.
pub static S3: ServiceInfo =
    ServiceInfo { id: "S3", signing_name: "s3", endpoint_prefix: "s3", limits: PaceLimits::UNDOCUMENTED };

/// Amazon EC2.
pub static EC2: ServiceInfo =
    ServiceInfo { id: "EC2", signing_name: "ec2", endpoint_prefix: "ec2", limits: PaceLimits::EC2 };

/// AWS Lambda.
pub static LAMBDA: ServiceInfo = ServiceInfo {
    id: "Lambda",
    signing_name: "lambda",
    endpoint_prefix: "lambda",
    limits: PaceLimits::LAMBDA,
};
