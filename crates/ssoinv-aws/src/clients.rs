//! Makes the services' clients: one shared HTTP client below, each with the credentials and the region of its scope.
//!
//! A client is cheap and lives as long as its credentials: [`crate::runner`] makes one a task. Endpoints follow the
//! profile that is asked, as the AWS CLI's do.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::SdkConfig;
use ssoinv_core::failure::Failure;
use ssoinv_core::scope::{Place, is_region_name, partition_of_region};
use ssoinv_core::service::ServiceInfo;
use ssoinv_http::circuit_breaker::HostKey;
use ssoinv_sso::context::SsoContext;
use ssoinv_sso::profile::Profile;
use ssoinv_sso::role_credentials::RoleCredentials;

use crate::plan::Reach;
use crate::tables::services::EC2;
use crate::tables::{Service, ServiceClient};

/// Makes clients.
#[derive(Debug)]
pub struct Clients {
    context: Arc<SsoContext>,
}

impl Clients {
    /// Clients with the SDK, the environment and the endpoint rules of `context`.
    #[must_use]
    pub fn new(context: Arc<SsoContext>) -> Self {
        Self { context }
    }

    /// The region whose endpoint is asked for `place`. What concerns the whole account is asked where the AWS CLI asks
    /// it, in the profile's region; where there is none, or it is of another partition, in the partition's own.
    #[must_use]
    pub fn region(&self, reach: &Reach, profile: &Profile, place: &Place) -> Arc<str> {
        if let Place::Region(region) = place {
            return Arc::clone(region);
        }
        let env = &self.context.env;
        let variable = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| env.get(name));
        let own = variable.or(profile.region.as_ref());
        let fits =
            |region: &&String| is_region_name(region) && partition_of_region(region) == reach.partition;
        own.filter(fits)
            .map_or_else(|| reach.partition.default_region().into(), |region| region.as_str().into())
    }

    /// A client of `service`.
    ///
    /// # Errors
    /// Where the credentials may not go to the endpoint that is set ([`SsoContext::place`]).
    pub fn client(
        &self,
        service: Service,
        region: &str,
        profile: &Profile,
        credentials: &RoleCredentials,
    ) -> Result<ServiceClient, Failure> {
        let config = self.config(service.info(), region, profile, credentials)?;
        Ok(match service {
            Service::S3 => ServiceClient::S3(aws_sdk_s3::Client::new(&config)),
            Service::Ec2 => ServiceClient::Ec2(aws_sdk_ec2::Client::new(&config)),
            Service::Lambda => ServiceClient::Lambda(aws_sdk_lambda::Client::new(&config)),
        })
    }

    /// The host that [`Clients::client`] calls.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn host(&self, service: Service, region: &str, profile: &Profile) -> Result<HostKey, Failure> {
        let service = service.info();
        Ok(HostKey::new(service, self.context.service_endpoint(service, Some(profile), region)?))
    }

    /// How long a connection may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.context.sdk.connect_timeout()
    }

    /// A client of EC2, for what isn't a table.
    ///
    /// # Errors
    /// As [`Clients::client`].
    pub fn ec2(
        &self,
        region: &str,
        profile: &Profile,
        credentials: &RoleCredentials,
    ) -> Result<aws_sdk_ec2::Client, Failure> {
        Ok(aws_sdk_ec2::Client::new(&self.config(&EC2, region, profile, credentials)?))
    }

    fn config(
        &self,
        service: &ServiceInfo,
        region: &str,
        profile: &Profile,
        credentials: &RoleCredentials,
    ) -> Result<SdkConfig, Failure> {
        let endpoint = self.context.service_endpoint(service, Some(profile), region)?;
        let provider = SharedCredentialsProvider::new(credentials.to_sdk());
        Ok(self.context.sdk.at(&endpoint).credentials_provider(provider).build())
    }
}
