//! Makes the services' clients: one shared HTTP client below, each with the credentials and the region of its scope.
//!
//! A client is cheap and lives as long as its credentials: [`crate::runner`] makes one a task. Endpoints follow the
//! profile that is asked, as the AWS CLI's do.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::SdkConfig;
use ssoinv_core::scope::{Place, partition_of_region};
use ssoinv_sso::credentials::RoleCredentials;
use ssoinv_sso::http::{self, Sdk};
use ssoinv_sso::profile::{self, Env, Profile, endpoint_for};

use crate::plan::Reach;
use crate::tables::{Service, ServiceClient};

/// Makes clients.
#[derive(Debug)]
pub struct Clients {
    sdk: Sdk,
    env: Env,
}

impl Clients {
    /// Clients over `sdk`; `env` may name endpoints and regions.
    #[must_use]
    pub fn new(sdk: Sdk, env: Env) -> Self {
        Self { sdk, env }
    }

    /// The region whose endpoint is asked for `place`. What concerns the whole account is asked where the AWS CLI asks
    /// it, in the profile's region; where there is none, or it is of another partition, in the partition's own.
    #[must_use]
    pub fn region(&self, reach: &Reach, profile: &Profile, place: &Place) -> Arc<str> {
        if let Place::Region(region) = place {
            return Arc::clone(region);
        }
        let variable = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| self.env.get(name));
        let own = variable.or(profile.region.as_ref());
        let fits = |region: &&String| {
            ssoinv_core::scope::is_region_name(region) && partition_of_region(region) == reach.partition
        };
        own.filter(fits).map_or_else(|| reach.partition.default_region().into(), |region| region.as_str().into())
    }

    /// A client of `service`.
    #[must_use]
    pub fn client(
        &self,
        service: Service,
        region: &str,
        profile: &Profile,
        credentials: &RoleCredentials,
    ) -> ServiceClient {
        let config = |service| self.config(service, region, profile, credentials);
        match service {
            Service::S3 => ServiceClient::S3(aws_sdk_s3::Client::new(&config(profile::Service::S3))),
            Service::Ec2 => ServiceClient::Ec2(self.ec2(region, profile, credentials)),
            Service::Lambda => {
                ServiceClient::Lambda(aws_sdk_lambda::Client::new(&config(profile::Service::Lambda)))
            }
        }
    }

    /// A client of EC2, for what isn't a table.
    #[must_use]
    pub fn ec2(&self, region: &str, profile: &Profile, credentials: &RoleCredentials) -> aws_sdk_ec2::Client {
        aws_sdk_ec2::Client::new(&self.config(profile::Service::Ec2, region, profile, credentials))
    }

    fn config(
        &self,
        service: profile::Service,
        region: &str,
        profile: &Profile,
        credentials: &RoleCredentials,
    ) -> SdkConfig {
        let switch = |name: &str, own: Option<bool>| {
            self.env.get(name).map_or(own.unwrap_or(false), |value| value.eq_ignore_ascii_case("true"))
        };
        let place = http::Place {
            region: region.into(),
            endpoint: endpoint_for(service, Some(profile), &self.env).map(|endpoint| endpoint.url.into()),
            use_fips: switch("AWS_USE_FIPS_ENDPOINT", profile.use_fips_endpoint),
            use_dual_stack: switch("AWS_USE_DUALSTACK_ENDPOINT", profile.use_dualstack_endpoint),
        };
        let credentials = Credentials::new(
            &credentials.access_key_id,
            credentials.secret_access_key.reveal(),
            credentials.session_token.as_ref().map(|token| token.reveal().to_owned()),
            credentials.expires_at,
            "ssoinv",
        );
        self.sdk.at(&place).credentials_provider(SharedCredentialsProvider::new(credentials)).build()
    }
}
