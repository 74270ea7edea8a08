//! The AWS services that this crate calls.

use ssoinv_core::pace::PaceLimits;
use ssoinv_core::service::ServiceInfo;

/// The portal of IAM Identity Center.
pub static SSO: ServiceInfo = ServiceInfo {
    id: "SSO",
    signing_name: "awsssoportal",
    endpoint_prefix: "portal.sso",
    limits: PaceLimits::PORTAL,
};

/// The sign-in of IAM Identity Center.
pub static SSO_OIDC: ServiceInfo = ServiceInfo {
    id: "SSO OIDC",
    signing_name: "sso-oauth",
    endpoint_prefix: "oidc",
    limits: PaceLimits::UNDOCUMENTED,
};

/// AWS Security Token Service.
pub static STS: ServiceInfo =
    ServiceInfo { id: "STS", signing_name: "sts", endpoint_prefix: "sts", limits: PaceLimits::UNDOCUMENTED };
