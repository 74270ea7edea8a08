//! The registry of simulated services. Routing, authentication, dispatch and `admin.rs` find services here only.
//!
//! A new service is a file below `services/` with a [`ServiceDefinition`] and a constant of
//! [`Service`](crate::service::Service), a module and a line in [`SERVICES`].

use crate::limits::Limits;
use crate::service_definition::ServiceDefinition;

mod ec2;
mod ec2_xml;
pub(crate) mod imds;
mod lambda;
mod oidc;
mod organizations;
mod portal;
mod s3;
mod sts;

/// All services. S3 is the last: a request that fits no other is S3's.
pub(crate) static SERVICES: [&ServiceDefinition; 8] = [
    &oidc::SERVICE,
    &portal::SERVICE,
    &imds::SERVICE,
    &sts::SERVICE,
    &ec2::SERVICE,
    &lambda::SERVICE,
    &organizations::SERVICE,
    &s3::SERVICE,
];

impl Limits {
    /// Returns AWS's documented rates.
    #[must_use]
    pub fn aws() -> Self {
        let documented =
            SERVICES.iter().filter_map(|service| Some((service.service, service.documented_rate?)));
        documented.fold(Self::off(), |limits, (service, rate)| limits.rate(service, rate))
    }
}
