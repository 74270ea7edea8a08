//! Endpoints that the user sets, by variable or in the files, in place of AWS's own.
//!
//! The order is botocore's (`ConfiguredEndpointProvider`) and that of "Service-specific endpoints" in the AWS SDKs
//! and Tools Reference Guide: the service's variable, `AWS_ENDPOINT_URL`, the profile's `services` section, the
//! profile's `endpoint_url`. An empty value counts as none.

use std::collections::BTreeMap;
use std::fmt;

use ssoinv_core::env::Env;
use ssoinv_core::service::ServiceInfo;

use crate::location::Location;
use crate::names::is_https_or_loopback;
use crate::sections::SectionGroup;
use crate::settings::{Setting, Settings};

/// The variable for all services.
const GLOBAL: &str = "AWS_ENDPOINT_URL";

/// The place where an endpoint is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointOrigin {
    /// An environment variable.
    Variable(String),
    /// A line of a file.
    File(Location),
}

impl fmt::Display for EndpointOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File(location) => location.fmt(f),
        }
    }
}

/// An endpoint, and the place where it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredEndpoint {
    /// The URL, as it was given.
    pub url: String,
    /// The place where it is set.
    pub origin: EndpointOrigin,
}

impl ConfiguredEndpoint {
    /// Returns whether tokens and credentials may be sent there: over `https`, or to loopback.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        is_https_or_loopback(&self.url)
    }
}

/// The endpoints that a profile sets, for [`endpoint_for`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredEndpoints {
    ignored: Option<bool>,
    /// By the service's key in the `services` section.
    services: BTreeMap<String, ConfiguredEndpoint>,
    global: Option<ConfiguredEndpoint>,
}

impl ConfiguredEndpoints {
    /// Reads a profile's settings and the `services` section that it names.
    pub(crate) fn new(settings: &Settings, services: Option<&SectionGroup>) -> Self {
        let endpoint = |url: &str, location: Location| {
            (!url.is_empty())
                .then(|| ConfiguredEndpoint { url: url.to_owned(), origin: EndpointOrigin::File(location) })
        };
        let of_service = |setting: &Setting| {
            setting
                .nested()
                .filter(|(key, ..)| *key == "endpoint_url")
                .last()
                .map(|(_, url, at)| (url.to_owned(), at))
        };
        Self {
            ignored: settings.value("ignore_configured_endpoint_urls").map(is_true),
            services: services
                .into_iter()
                .flat_map(|group| group.settings.iter())
                .filter_map(|(key, setting)| {
                    let (url, location) = of_service(setting)?;
                    Some((key.to_owned(), endpoint(&url, location)?))
                })
                .collect(),
            global: settings
                .get("endpoint_url")
                .and_then(|setting| endpoint(&setting.value, setting.location.clone())),
        }
    }

    /// Iterates over all endpoints that the profile sets, used or not.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ConfiguredEndpoint> {
        self.services.values().chain(&self.global)
    }

    /// Returns whether the profile says that none of them counts.
    pub(crate) fn is_ignored(&self) -> bool {
        self.ignored == Some(true)
    }
}

/// Reads a switch as botocore does: `true` in any case is on, anything else is off.
pub(crate) fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// Returns the endpoint to use for a service instead of AWS's own; `configured` is what a profile sets.
#[must_use]
pub fn endpoint_for(
    service: &ServiceInfo,
    configured: Option<&ConfiguredEndpoints>,
    env: &Env,
) -> Option<ConfiguredEndpoint> {
    let ignored = env
        .get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .map(|value| is_true(value))
        .or_else(|| configured.and_then(|configured| configured.ignored));
    if ignored == Some(true) {
        return None;
    }
    let variable = |name: &str| {
        let url = env.get(name).filter(|url| !url.is_empty())?;
        Some(ConfiguredEndpoint { url: url.clone(), origin: EndpointOrigin::Variable(name.to_owned()) })
    };
    variable(&service.endpoint_variable()).or_else(|| variable(GLOBAL)).or_else(|| {
        let configured = configured?;
        configured.services.get(&service.config_key()).or(configured.global.as_ref()).cloned()
    })
}
