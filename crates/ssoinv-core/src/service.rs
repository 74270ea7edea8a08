//! What ssoinv knows of an AWS service besides its client: plain data, declared beside the code that calls the service.
//!
//! Names in profile files and environment variables follow from the service ID, so a new service is known to endpoint
//! settings, rate limiters and circuit breakers without being listed anywhere.

use std::hash::{Hash, Hasher};

use crate::pace::PaceLimits;

/// An AWS service, as its service model names it. Two are equal if their IDs are.
#[derive(Clone, Copy, Debug)]
pub struct ServiceInfo {
    /// The service ID: `serviceId` in the model, such as `EC2` or `SSO OIDC`.
    pub id: &'static str,
    /// The name in signatures, such as `ec2`: `signingName` in the model.
    pub signing_name: &'static str,
    /// The first part of AWS's own host names, such as `ec2`: `endpointPrefix` in the model.
    pub endpoint_prefix: &'static str,
    /// The rate of its read calls, in one account and region.
    pub limits: PaceLimits,
}

impl ServiceInfo {
    /// Returns the service's key in a `[services]` section, such as `sso_oidc`.
    #[must_use]
    pub fn config_key(&self) -> String {
        self.id.to_ascii_lowercase().replace([' ', '-'], "_")
    }

    /// Returns the environment variable that sets the service's endpoint, such as `AWS_ENDPOINT_URL_SSO_OIDC`.
    #[must_use]
    pub fn endpoint_variable(&self) -> String {
        format!("AWS_ENDPOINT_URL_{}", self.config_key().to_ascii_uppercase())
    }
}

impl PartialEq for ServiceInfo {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for ServiceInfo {}

impl Hash for ServiceInfo {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_id() {
        let service =
            |id| ServiceInfo { id, signing_name: "", endpoint_prefix: "", limits: PaceLimits::UNDOCUMENTED };
        // As botocore and the SDKs and Tools Reference Guide list them.
        for (id, key, variable) in [
            ("EC2", "ec2", "AWS_ENDPOINT_URL_EC2"),
            ("SSO OIDC", "sso_oidc", "AWS_ENDPOINT_URL_SSO_OIDC"),
            (
                "Elastic Load Balancing v2",
                "elastic_load_balancing_v2",
                "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
            ),
        ] {
            assert_eq!(service(id).config_key(), key);
            assert_eq!(service(id).endpoint_variable(), variable);
        }
    }
}
