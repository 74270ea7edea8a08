//! A sign-in with what its calls need: what is handed in from outside ([`SsoContext`]), and where the sign-in and its
//! portal are called ([`Session`]).
//!
//! Nothing secret goes to an endpoint that isn't https or this machine, and no region becomes part of a host name
//! before it looks like one. [`crate::token`] gets the token of a session, [`crate::portal`] uses it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ssoinv_core::clock::Clock;
use ssoinv_core::env::Env;
use ssoinv_core::event::{Event, Events};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::scope::is_region_name;
use ssoinv_core::service::ServiceInfo;
use ssoinv_http::sdk_settings::SdkSettings;
use ssoinv_http::service_endpoint::ServiceEndpoint;
use ssoinv_profile::{Endpoint, Origin, Profile, SsoSession, endpoint_for, host};

use crate::services::{SSO, SSO_OIDC};

/// Whether there is somebody to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interaction {
    /// A person can approve a sign-in in a browser.
    Person,
    /// Nobody: `--no-input`, or no terminal.
    Nobody,
}

/// How a person signs in to an sso-session. To what the legacy format names they always do so with a device code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// On a page in a browser of this machine, which comes back to it (authorization code with PKCE).
    Page {
        /// The port of this machine that it comes back to; any free one where none is named.
        redirect_port: Option<u16>,
    },
    /// With a code that is approved in any browser.
    DeviceCode,
}

/// What this crate needs from outside.
#[derive(Clone, Debug)]
pub struct SsoContext {
    /// The home directory, for `~/.aws/sso/cache`; without one nothing is cached.
    pub home: Option<PathBuf>,
    /// The environment.
    pub env: Env,
    /// The time of day.
    pub clock: Clock,
    /// Who hears what happens.
    pub events: Events,
    /// Whether a sign-in may ask somebody.
    pub interaction: Interaction,
    /// How a person signs in.
    pub flow: Flow,
    /// How long calls to the portal, the sign-in and STS are tried; the portal's limits last for minutes.
    pub retry: RetryPolicy,
    /// How fast a portal may be called.
    pub portal_pace: PaceLimits,
    /// What all clients have in common.
    pub sdk: SdkSettings,
    /// Whether a token may be refreshed, which ends the refresh token in the shared cache. Without it the tokens that
    /// are there are used as they are, and no file is written.
    pub refresh_tokens: bool,
    /// Whether `credential_process` may be run.
    pub run_processes: bool,
    /// Whether role credentials are shared with the AWS CLI through its cache.
    pub credential_cache: bool,
}

impl SsoContext {
    /// For [`ssoinv_http::retry_loop::call`]: says that a call of the sign-in is tried again.
    pub(crate) fn retrying(&self) -> impl Fn(&Failure, Duration) {
        |failure, delay| {
            self.events.say(Event::Retrying { task: None, failure: Arc::new(failure.clone()), delay });
        }
    }

    /// Where calls to `service` go, in `region`; a profile may say so.
    ///
    /// # Errors
    /// [`FailureKind::Misconfigured`] where nothing secret may go: codes `InvalidRegion` and `InsecureEndpoint`.
    pub fn service_endpoint(
        &self,
        service: &ServiceInfo,
        profile: Option<&Profile>,
        region: &str,
    ) -> Result<ServiceEndpoint, Failure> {
        if !is_region_name(region) {
            return Err(misconfigured("InvalidRegion", format!("`{region}` is not the name of a region")));
        }
        let endpoint = endpoint_for(service, profile.map(|profile| &profile.endpoints), &self.env);
        if let Some(endpoint) = &endpoint
            && !endpoint.is_secure()
        {
            let message = format!(
                "the endpoint `{}` ({}) is neither https nor on this machine, so nothing secret goes there",
                endpoint.url, endpoint.origin
            );
            return Err(misconfigured("InsecureEndpoint", message));
        }
        let flag = |variable: &str, own: Option<bool>| {
            self.env.get(variable).map(|value| value.eq_ignore_ascii_case("true")).or(own).unwrap_or(false)
        };
        Ok(ServiceEndpoint {
            region: region.into(),
            url: endpoint.map(|endpoint| endpoint.url.into()),
            use_fips: flag("AWS_USE_FIPS_ENDPOINT", profile.and_then(|profile| profile.use_fips_endpoint)),
            use_dual_stack: flag(
                "AWS_USE_DUALSTACK_ENDPOINT",
                profile.and_then(|profile| profile.use_dualstack_endpoint),
            ),
        })
    }
}

/// A profile that can't be used, or what it says.
pub(crate) fn misconfigured(code: &str, message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Misconfigured, message).with_code(code)
}

/// A sign-in, and where it and its portal are called.
#[derive(Clone, Debug)]
pub struct Session {
    /// As the files have it.
    pub sso: Arc<SsoSession>,
    /// How people know it: its name, or its start URL.
    pub label: Arc<str>,
    /// Where the sign-in is.
    pub oidc: ServiceEndpoint,
    /// Where the portal is.
    pub portal: ServiceEndpoint,
}

impl Session {
    /// The sign-in of a profile, which its `sso_session` or `sso_start_url` names.
    ///
    /// Two profiles of one sso-session may name different endpoints; then they are two sessions that share the token's
    /// file.
    ///
    /// # Errors
    /// As [`SsoContext::service_endpoint`].
    pub fn new(
        sso: &Arc<SsoSession>,
        profile: Option<&Profile>,
        context: &SsoContext,
    ) -> Result<Self, Failure> {
        let endpoint = |service| context.service_endpoint(service, profile, &sso.sso_region);
        Ok(Self {
            sso: Arc::clone(sso),
            label: sso.cache_key().into(),
            oidc: endpoint(&SSO_OIDC)?,
            portal: endpoint(&SSO)?,
        })
    }

    /// What tells sessions apart.
    #[must_use]
    pub fn key(&self) -> SessionKey {
        SessionKey {
            name: self.sso.name.clone(),
            start_url: self.sso.start_url.clone(),
            scopes: self.sso.scopes.clone(),
            oidc: self.oidc.clone(),
            portal: self.portal.clone(),
        }
    }

    /// The session in a message: "sso-session `corp`", or "start URL `https://…`".
    pub(crate) fn called(&self) -> String {
        if self.sso.is_legacy() {
            format!("start URL `{}`", self.label)
        } else {
            format!("sso-session `{}`", self.label)
        }
    }
}

/// What tells sessions apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    name: Option<String>,
    start_url: String,
    scopes: Vec<String>,
    oidc: ServiceEndpoint,
    portal: ServiceEndpoint,
}

/// An endpoint for tokens that isn't AWS's own sign-in or portal; told once, since a config file could lead a token
/// astray with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignEndpoint {
    /// The sign-in or the portal.
    pub service: &'static ServiceInfo,
    /// The URL.
    pub url: String,
    /// The variable, or file and line.
    pub origin: Origin,
    /// The session whose token goes there: its name, or its start URL.
    pub session: Arc<str>,
}

/// The endpoints that tokens of these profiles would be sent to and that aren't AWS's, each once, in order. Nothing is
/// sent to those that aren't secure ([`SsoContext::service_endpoint`]), so they aren't among them.
pub fn foreign_endpoints<'a>(
    profiles: impl IntoIterator<Item = &'a Profile>,
    env: &Env,
) -> Vec<ForeignEndpoint> {
    let mut found: Vec<ForeignEndpoint> = Vec::new();
    for profile in profiles {
        let Some(session) = profile.credentials.session() else { continue };
        for service in [&SSO_OIDC, &SSO] {
            let endpoint = endpoint_for(service, Some(&profile.endpoints), env).filter(Endpoint::is_secure);
            let Some(Endpoint { url, origin }) = endpoint else { continue };
            let known = found.iter().any(|other| other.url == url && other.origin == origin);
            if !known && !is_aws(&url) {
                found.push(ForeignEndpoint { service, url, origin, session: session.cache_key().into() });
            }
        }
    }
    found
}

/// How the hosts of the sign-in and the portal begin, up to the region: the endpoint rules of the two services.
const OWN_HOSTS: [&str; 4] = ["oidc.", "oidc-fips.", "portal.sso.", "portal.sso-fips."];

/// What follows the region, and how the names of such regions begin: `dnsSuffix`, `dualStackDnsSuffix` and
/// `regionRegex` in the SDKs' `partitions.json`.
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

/// Whether a URL's host is the sign-in or the portal of one of AWS's regions. Other hosts of AWS are as good as
/// anybody's: whoever has an account can have a bucket `oidc`, whose host is `oidc.s3.amazonaws.com`.
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

/// Whether a region's name may end so: `west-1`.
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
            // Somebody else's hosts.
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
            // Hosts of AWS that anybody can have.
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
            // Not so in any partition.
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

    /// Fails when the SDK's endpoint rules learn of another form of host.
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
