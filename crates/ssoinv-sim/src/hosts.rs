//! AWS's own host names, as the simulator answers to them through its proxy: which service and region each stands for.
//! Source: the endpoint rules of the services' models, and `dnsSuffix` and `dualStackDnsSuffix` of `partitions.json`.

use crate::regions;
use crate::service::Service;

/// What a host name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) service: Service,
    /// None for hosts of a whole partition.
    pub(crate) region: Option<String>,
}

/// How the hosts of services begin, up to the region. The longer of two that fit counts.
const BEGINNINGS: [(&str, Service); 17] = [
    ("oidc", Service::Oidc),
    ("oidc-fips", Service::Oidc),
    ("portal.sso", Service::Portal),
    ("portal.sso-fips", Service::Portal),
    ("sts", Service::Sts),
    ("sts-fips", Service::Sts),
    ("s3", Service::S3),
    ("s3-fips", Service::S3),
    ("s3.dualstack", Service::S3),
    ("s3-fips.dualstack", Service::S3),
    ("ec2", Service::Ec2),
    ("ec2-fips", Service::Ec2),
    ("lambda", Service::Lambda),
    ("lambda-fips", Service::Lambda),
    ("organizations", Service::Organizations),
    ("organizations-fips", Service::Organizations),
    ("fips.organizations", Service::Organizations),
];

/// What follows the region, and the partitions whose regions it follows.
const SUFFIXES: [(&str, &[&str]); 4] = [
    (".amazonaws.com", &["aws", "aws-us-gov"]),
    (".api.aws", &["aws", "aws-us-gov"]),
    (".amazonaws.com.cn", &["aws-cn"]),
    (".api.amazonwebservices.com.cn", &["aws-cn"]),
];

impl Host {
    /// What a name stands for; none for names that aren't AWS's, or of services that aren't simulated.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        // Hosts of the whole partition `aws`.
        match name.as_str() {
            "s3.amazonaws.com" => return Some(Self { service: Service::S3, region: None }),
            "sts.amazonaws.com" => return Some(Self { service: Service::Sts, region: None }),
            _ => {}
        }
        SUFFIXES.iter().find_map(|(suffix, partitions)| {
            let (beginning, region) = name.strip_suffix(suffix)?.rsplit_once('.')?;
            let known =
                regions::needs_opt_in(region).is_some() && partitions.contains(&regions::partition(region));
            let (_, service) = BEGINNINGS.iter().find(|(known, _)| *known == beginning).filter(|_| known)?;
            Some(Self { service: *service, region: Some(region.to_owned()) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_partitions() {
        for (name, service, region) in [
            ("oidc.eu-west-1.amazonaws.com", Service::Oidc, "eu-west-1"),
            ("portal.sso.us-gov-west-1.amazonaws.com", Service::Portal, "us-gov-west-1"),
            ("PORTAL.sso.cn-north-1.amazonaws.com.cn", Service::Portal, "cn-north-1"),
            ("oidc-fips.us-gov-west-1.api.aws", Service::Oidc, "us-gov-west-1"),
            ("s3.dualstack.eu-west-1.amazonaws.com", Service::S3, "eu-west-1"),
            ("s3-fips.dualstack.us-east-1.amazonaws.com", Service::S3, "us-east-1"),
            ("lambda.cn-northwest-1.api.amazonwebservices.com.cn", Service::Lambda, "cn-northwest-1"),
        ] {
            assert_eq!(Host::of(name), Some(Host { service, region: Some(region.to_owned()) }), "{name}");
        }
        assert_eq!(Host::of("sts.amazonaws.com"), Some(Host { service: Service::Sts, region: None }));
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
            assert_eq!(Host::of(other), None, "{other}");
        }
    }
}
