//! Endpoints for tokens that aren't AWS's own: a config file could lead a token astray with them.

use std::sync::Arc;

use ssoinv_core::env::Env;
use ssoinv_core::service::ServiceInfo;
use ssoinv_profile::{ConfiguredEndpoint, EndpointOrigin, Profile, endpoint_for, host};

use crate::services::{SSO, SSO_OIDC};

/// An endpoint for tokens that isn't AWS's own sign-in or portal. Reported once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignEndpoint {
    /// The sign-in or the portal.
    pub service: &'static ServiceInfo,
    /// The URL.
    pub url: String,
    /// The variable, or the file and line, that sets it.
    pub origin: EndpointOrigin,
    /// The session whose token goes there, by name or start URL.
    pub session: Arc<str>,
}

/// Lists the endpoints that receive tokens of these profiles and that aren't AWS's, each once, in order.
///
/// Insecure endpoints are left out, since nothing is sent to them ([`crate::context::SsoContext::service_endpoint`]).
pub fn foreign_endpoints<'a>(
    profiles: impl IntoIterator<Item = &'a Profile>,
    env: &Env,
) -> Vec<ForeignEndpoint> {
    let mut found: Vec<ForeignEndpoint> = Vec::new();
    for profile in profiles {
        let Some(session) = profile.credentials.session() else { continue };
        for service in [&SSO_OIDC, &SSO] {
            let endpoint =
                endpoint_for(service, Some(&profile.endpoints), env).filter(ConfiguredEndpoint::is_secure);
            let Some(ConfiguredEndpoint { url, origin }) = endpoint else { continue };
            let known = found.iter().any(|other| other.url == url && other.origin == origin);
            if !known && !is_aws(&url) {
                found.push(ForeignEndpoint { service, url, origin, session: session.cache_key().into() });
            }
        }
    }
    found
}

/// The beginnings of the hosts of the sign-in and the portal, by the endpoint rules of the two services.
const OWN_HOSTS: [&str; 4] = ["oidc.", "oidc-fips.", "portal.sso.", "portal.sso-fips."];

/// The suffixes of the hosts of each partition, and the beginnings of its regions' names.
///
/// `dnsSuffix`, `dualStackDnsSuffix` and `regionRegex` in the SDKs' `partitions.json`.
const PARTITIONS: [([&str; 2], &[&str]); 7] = [
    (
        ["amazonaws.com", "api.aws"],
        &["us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-", "us-gov-"],
    ),
    (["amazonaws.com.cn", "api.amazonwebservices.com.cn"], &["cn-"]),
    (["amazonaws.eu", "api.amazonwebservices.eu"], &["eusc-de-"]),
    (["c2s.ic.gov", "api.aws.ic.gov"], &["us-iso-"]),
    (["sc2s.sgov.gov", "api.aws.scloud"], &["us-isob-"]),
    (["cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"], &["eu-isoe-"]),
    (["csp.hci.ic.gov", "api.aws.hci.ic.gov"], &["us-isof-"]),
];

/// Returns whether a URL's host is the sign-in or the portal of one of AWS's regions.
///
/// Other hosts of AWS are no better than any others: every customer can have a bucket `oidc`, whose host is
/// `oidc.s3.amazonaws.com`.
fn is_aws(url: &str) -> bool {
    let Some((host, _)) = host(url) else { return false };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let place = OWN_HOSTS.iter().find_map(|service| host.strip_prefix(service));
    let Some((region, suffix)) = place.and_then(|place| place.split_once('.')) else { return false };
    let partition = PARTITIONS.iter().find(|(suffixes, _)| suffixes.contains(&suffix));
    partition.is_some_and(|(_, beginnings)| {
        beginnings.iter().filter_map(|beginning| region.strip_prefix(beginning)).any(is_direction_and_number)
    })
}

/// Returns whether the name of a region may end so, as in `west-1`.
fn is_direction_and_number(end: &str) -> bool {
    let all = |text: &str, test: fn(&u8) -> bool| !text.is_empty() && text.as_bytes().iter().all(test);
    end.split_once('-').is_some_and(|(direction, number)| {
        all(direction, u8::is_ascii_alphanumeric) && all(number, u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use ssoinv_core::scope::{KNOWN_REGIONS, Partition};

    use super::*;

    #[test]
    fn hosts_of_aws() {
        for aws in [
            "https://oidc.eu-west-1.amazonaws.com",
            "https://portal.sso.cn-north-1.amazonaws.com.cn/",
            "https://oidc-fips.us-gov-west-1.api.aws:443/x",
            "https://PORTAL.sso-fips.us-east-1.AMAZONAWS.COM.",
            "https://oidc.us-isob-east-1.api.aws.scloud",
        ] {
            assert!(is_aws(aws), "{aws}");
        }
        for other in [
            // Hosts of others.
            "https://amazonaws.com.evil.example",
            "https://evilamazonaws.com",
            "https://oidc.eu-west-1.amazonaws.com.evil.example",
            "https://oidc.eu-west-1.evilamazonaws.com",
            "https://evil.example/?.oidc.eu-west-1.amazonaws.com",
            "http://127.0.0.1:4566",
            // Two readers could see two hosts.
            "https://oidc.amazonaws.com@evil.example/",
            "https://evil.example@oidc.eu-west-1.amazonaws.com/",
            "https://evil.example\\@oidc.eu-west-1.amazonaws.com/",
            "oidc.eu-west-1.amazonaws.com",
            // Hosts of AWS that every customer can have.
            "https://x.execute-api.us-east-1.amazonaws.com",
            "https://oidc.execute-api.us-east-1.amazonaws.com",
            "https://bucket.s3.amazonaws.com",
            "https://oidc.s3.amazonaws.com",
            "https://portal.sso.s3.amazonaws.com",
            "https://oidc.s3-us-west-2.amazonaws.com",
            "https://oidc.s3.eu-west-1.amazonaws.com",
            "https://oidc.s3-website-us-east-1.amazonaws.com",
            "https://evil.oidc.eu-west-1.amazonaws.com",
            "https://vpce-1.oidc.us-east-1.vpce.amazonaws.com",
            "https://oidc.us-east-1.elb.amazonaws.com",
            // Hosts that no partition has.
            "https://oidc.amazonaws.com",
            "https://oidc.cn-north-1.amazonaws.com",
            "https://oidc.us-east-1.amazonaws.com.cn",
            "https://portal.eu-west-1.amazonaws.com",
            "https://oidc.us-east-1x.amazonaws.com",
            "https://oidc.us--1.amazonaws.com",
        ] {
            assert!(!is_aws(other), "{other}");
        }
    }

    /// Fails if the SDK's endpoint rules gain another form of host.
    #[tokio::test]
    async fn every_host_that_the_sdk_would_call_is_aws() {
        macro_rules! host_of {
            ($sdk:ident, $region:expr, $fips:expr, $dual:expr) => {{
                use $sdk::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
                let params =
                    Params::builder().region($region.to_owned()).use_fips($fips).use_dual_stack($dual);
                let params = params.build().expect("parameters");
                DefaultResolver::new().resolve_endpoint(&params).await.expect("an endpoint").url().to_owned()
            }};
        }
        let partitions = [
            Partition::AwsCn,
            Partition::AwsUsGov,
            Partition::AwsEusc,
            Partition::AwsIso,
            Partition::AwsIsoB,
            Partition::AwsIsoE,
            Partition::AwsIsoF,
        ];
        let regions = KNOWN_REGIONS.iter().copied().chain(partitions.map(Partition::default_region));
        for region in regions {
            for (fips, dual) in [(false, false), (false, true), (true, false), (true, true)] {
                let portal = host_of!(aws_sdk_sso, region, fips, dual);
                let oidc = host_of!(aws_sdk_ssooidc, region, fips, dual);
                assert!(is_aws(&portal), "{portal}");
                assert!(is_aws(&oidc), "{oidc}");
            }
        }
    }
}
