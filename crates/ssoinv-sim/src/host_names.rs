//! AWS's own host names and the services and regions that they stand for. `proxy.rs` resolves them.
//!
//! Source: the endpoint rules of the services' models, and `dnsSuffix` and `dualStackDnsSuffix` of `partitions.json`.

use crate::http::AwsHost;
use crate::regions;
use crate::services::SERVICES;

/// The domains behind the region, with the partitions of these regions.
const SUFFIXES: [(&str, &[&str]); 4] = [
    (".amazonaws.com", &["aws", "aws-us-gov"]),
    (".api.aws", &["aws", "aws-us-gov"]),
    (".amazonaws.com.cn", &["aws-cn"]),
    (".api.amazonwebservices.com.cn", &["aws-cn"]),
];

/// Returns the service and region of a host name; none for names of other domains and of services that aren't
/// simulated.
pub(crate) fn resolve(name: &str) -> Option<AwsHost> {
    let name = name.to_ascii_lowercase();
    if let Some(global) = SERVICES.iter().find(|service| service.global_hosts.contains(&name.as_str())) {
        return Some(AwsHost { name, service: global.service, region: None });
    }
    let (service, region) = SUFFIXES.iter().find_map(|(suffix, partitions)| {
        let (prefix, region) = name.strip_suffix(suffix)?.rsplit_once('.')?;
        let is_known =
            regions::needs_opt_in(region).is_some() && partitions.contains(&regions::partition(region));
        let mut services = SERVICES.iter().filter(|_| is_known);
        let found = services.find(|service| service.host_prefixes.contains(&prefix))?;
        Some((found.service, region.to_owned()))
    })?;
    Some(AwsHost { name, service, region: Some(region) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;

    #[test]
    fn names_of_all_partitions() {
        for (name, service, region) in [
            ("oidc.eu-west-1.amazonaws.com", Service::OIDC, "eu-west-1"),
            ("portal.sso.us-gov-west-1.amazonaws.com", Service::PORTAL, "us-gov-west-1"),
            ("PORTAL.sso.cn-north-1.amazonaws.com.cn", Service::PORTAL, "cn-north-1"),
            ("oidc-fips.us-gov-west-1.api.aws", Service::OIDC, "us-gov-west-1"),
            ("s3.dualstack.eu-west-1.amazonaws.com", Service::S3, "eu-west-1"),
            ("s3-fips.dualstack.us-east-1.amazonaws.com", Service::S3, "us-east-1"),
            ("lambda.cn-northwest-1.api.amazonwebservices.com.cn", Service::LAMBDA, "cn-northwest-1"),
        ] {
            let host = resolve(name).expect(name);
            assert_eq!((host.service, host.region.as_deref()), (service, Some(region)), "{name}");
        }
        let global = resolve("sts.amazonaws.com").expect("STS's global host");
        assert_eq!((global.service, global.region), (Service::STS, None));
        for other in [
            "example.com",
            "oidc.cn-north-1.amazonaws.com",
            "oidc.us-east-1.amazonaws.com.cn",
            "oidc.eu-nowhere-1.amazonaws.com",
            "evil.oidc.eu-west-1.amazonaws.com",
            "oidc.eu-west-1.amazonaws.com.evil.example",
            "amazonaws.com",
            "rds.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(resolve(other), None, "{other}");
        }
    }
}
