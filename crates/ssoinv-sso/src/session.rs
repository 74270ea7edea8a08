//! A sign-in with what its calls need: what is handed in from outside ([`SsoContext`]), and where the sign-in and its
//! portal are called ([`Session`]).
//!
//! Nothing secret goes to an endpoint that isn't https or this machine, and no region becomes part of a host name
//! before it looks like one. [`crate::token`] gets the token of a session, [`crate::portal`] uses it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ssoinv_core::clock::Clock;
use ssoinv_core::event::{Event, Events};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::retry::RetryPolicy;
use ssoinv_core::scope::is_region_name;

use crate::http::{Place, Sdk};
use crate::profile::{Endpoint, Env, Origin, Profile, Service, SsoSession, endpoint_for};

/// Whether there is somebody to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interaction {
    /// A person can approve a sign-in in a browser.
    Person,
    /// Nobody: `--no-input`, or no terminal.
    Nobody,
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
    /// How long calls to the portal, the sign-in and STS are tried; the portal's limits last for minutes.
    pub retry: RetryPolicy,
    /// What all clients have in common.
    pub sdk: Sdk,
    /// Whether `credential_process` may be run.
    pub run_processes: bool,
}

impl SsoContext {
    /// For [`crate::attempt::call`]: says that a call of the sign-in is tried again.
    pub(crate) fn retrying(&self) -> impl Fn(&Failure, Duration) {
        |failure, delay| {
            self.events.say(Event::Retrying { task: None, failure: Arc::new(failure.clone()), delay });
        }
    }

    /// Where a profile's calls to `service` go, in `region`.
    ///
    /// # Errors
    /// [`FailureKind::Misconfigured`] where nothing secret may go: codes `InvalidRegion` and `InsecureEndpoint`.
    pub fn place(&self, service: Service, profile: &Profile, region: &str) -> Result<Place, Failure> {
        if !is_region_name(region) {
            return Err(misconfigured("InvalidRegion", format!("`{region}` is not the name of a region")));
        }
        let endpoint = endpoint_for(service, Some(profile), &self.env);
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
        Ok(Place {
            region: region.into(),
            endpoint: endpoint.map(|endpoint| endpoint.url.into()),
            use_fips: flag("AWS_USE_FIPS_ENDPOINT", profile.use_fips_endpoint),
            use_dual_stack: flag("AWS_USE_DUALSTACK_ENDPOINT", profile.use_dualstack_endpoint),
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
    pub oidc: Place,
    /// Where the portal is.
    pub portal: Place,
}

impl Session {
    /// The sign-in of a profile, which its `sso_session` or `sso_start_url` names.
    ///
    /// Two profiles of one sso-session may name different endpoints; then they are two sessions that share the token's
    /// file.
    ///
    /// # Errors
    /// As [`SsoContext::place`].
    pub fn new(sso: &Arc<SsoSession>, profile: &Profile, context: &SsoContext) -> Result<Self, Failure> {
        let place = |service| context.place(service, profile, &sso.sso_region);
        Ok(Self {
            sso: Arc::clone(sso),
            label: sso.cache_key().into(),
            oidc: place(Service::SsoOidc)?,
            portal: place(Service::Sso)?,
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
    oidc: Place,
    portal: Place,
}

/// An endpoint for tokens that isn't AWS's own; told once, since a config file could lead a token astray with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignEndpoint {
    /// The sign-in or the portal.
    pub service: Service,
    /// The URL.
    pub url: String,
    /// The variable, or file and line.
    pub origin: Origin,
    /// The session whose token goes there: its name, or its start URL.
    pub session: Arc<str>,
}

/// The endpoints that tokens of these profiles would be sent to and that aren't AWS's, each once, in order. Nothing is
/// sent to those that aren't secure ([`SsoContext::place`]), so they aren't among them.
pub fn foreign_endpoints<'a>(
    profiles: impl IntoIterator<Item = &'a Profile>,
    env: &Env,
) -> Vec<ForeignEndpoint> {
    let mut found: Vec<ForeignEndpoint> = Vec::new();
    for profile in profiles {
        let Some(session) = profile.credentials.session() else { continue };
        for service in [Service::SsoOidc, Service::Sso] {
            let endpoint = endpoint_for(service, Some(profile), env).filter(Endpoint::is_secure);
            let Some(Endpoint { url, origin }) = endpoint else { continue };
            let known = found.iter().any(|other| other.url == url && other.origin == origin);
            if !known && !is_aws(&url) {
                found.push(ForeignEndpoint { service, url, origin, session: session.cache_key().into() });
            }
        }
    }
    found
}

/// The ends of AWS's host names: `dnsSuffix` and `dualStackDnsSuffix` in the SDKs' `partitions.json`.
const AWS_SUFFIXES: [&str; 11] = [
    ".amazonaws.com",
    ".api.aws",
    ".amazonaws.com.cn",
    ".api.amazonwebservices.com.cn",
    ".amazonaws.eu",
    ".api.amazonwebservices.eu",
    ".c2s.ic.gov",
    ".api.aws.ic.gov",
    ".sc2s.sgov.gov",
    ".cloud.adc-e.uk",
    ".csp.hci.ic.gov",
];

/// Whether a URL's host is one of AWS's.
fn is_aws(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    AWS_SUFFIXES.iter().any(|suffix| host.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_aws() {
        for aws in [
            "https://oidc.eu-west-1.amazonaws.com",
            "https://portal.sso.cn-north-1.amazonaws.com.cn/",
            "https://oidc-fips.us-gov-west-1.api.aws:443/x",
            "https://vpce-1.sts.us-east-1.vpce.AMAZONAWS.COM.",
        ] {
            assert!(is_aws(aws), "{aws}");
        }
        for other in [
            "https://amazonaws.com.evil.example",
            "https://evilamazonaws.com",
            "https://oidc.amazonaws.com@evil.example/",
            "https://evil.example/?.amazonaws.com",
            "http://127.0.0.1:4566",
        ] {
            assert!(!is_aws(other), "{other}");
        }
    }
}
