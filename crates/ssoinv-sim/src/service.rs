//! The simulated services, and which of them a request is for: unsigned paths of the OIDC service and the portal,
//! everything else by the service in the credential scope of its signature.

use hyper::Method;
use serde::Serialize;

use crate::http::{Params, Request};
use crate::metadata;
use crate::sigv4::Authorization;

/// A simulated service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// IAM Identity Center's OIDC service: registrations, device authorisations, tokens.
    Oidc,
    /// IAM Identity Center's portal: accounts, roles, role credentials.
    Portal,
    /// Security Token Service.
    Sts,
    /// Simple Storage Service.
    S3,
    /// Elastic Compute Cloud.
    Ec2,
    /// Lambda.
    Lambda,
    /// Organizations.
    Organizations,
    /// What a machine is told of itself: instance metadata and container credentials.
    Metadata,
}

impl Service {
    /// The name in credential scopes, call logs and fault rules.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::Portal => "portal",
            Self::Sts => "sts",
            Self::S3 => "s3",
            Self::Ec2 => "ec2",
            Self::Lambda => "lambda",
            Self::Organizations => "organizations",
            Self::Metadata => "metadata",
        }
    }

    fn of_scope(name: &str) -> Option<Self> {
        [Self::Sts, Self::S3, Self::Ec2, Self::Lambda, Self::Organizations]
            .into_iter()
            .find(|service| service.name() == name)
    }

    /// Whether there is such an operation, in this service or, without one, in any.
    pub(crate) fn knows(service: Option<&str>, operation: Option<&str>) -> bool {
        OPERATIONS.iter().any(|(of, name)| {
            service.is_none_or(|wanted| wanted == of.name()) && operation.is_none_or(|wanted| wanted == *name)
        })
    }

    /// The IAM action of an operation.
    pub(crate) fn action(self, operation: &str) -> String {
        match (self, operation) {
            (Self::S3, "ListBuckets") => "s3:ListAllMyBuckets".to_owned(),
            _ => format!("{}:{operation}", self.name()),
        }
    }
}

/// The operations that are simulated, with their service.
const OPERATIONS: &[(Service, &str)] = &[
    (Service::Oidc, "RegisterClient"),
    (Service::Oidc, "StartDeviceAuthorization"),
    (Service::Oidc, "CreateToken"),
    (Service::Portal, "ListAccounts"),
    (Service::Portal, "ListAccountRoles"),
    (Service::Portal, "GetRoleCredentials"),
    (Service::Portal, "Logout"),
    (Service::S3, "ListBuckets"),
    (Service::Lambda, "ListFunctions"),
    (Service::Sts, "GetCallerIdentity"),
    (Service::Sts, "AssumeRole"),
    (Service::Sts, "AssumeRoleWithWebIdentity"),
    (Service::Ec2, "DescribeInstances"),
    (Service::Ec2, "DescribeRegions"),
    (Service::Organizations, "ListAccounts"),
    (Service::Metadata, "InstanceToken"),
    (Service::Metadata, "InstanceRoles"),
    (Service::Metadata, "InstanceCredentials"),
    (Service::Metadata, "ContainerCredentials"),
];

/// What a request is for.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) service: Service,
    /// `Unknown` for what isn't simulated.
    pub(crate) operation: &'static str,
    /// The query's or the form's pairs.
    pub(crate) params: Params,
}

pub(crate) const UNKNOWN: &str = "Unknown";

/// Where a request goes.
pub(crate) fn route(request: &Request) -> Route {
    let form = request.method == Method::POST && is_form(request);
    let params = if form { request.form() } else { request.query() };
    let authorization = request.header("authorization").filter(|value| value.starts_with("AWS4-"));
    let signed_for = authorization.and_then(|value| Authorization::parse(value).ok());
    let signed_for = signed_for.and_then(|parsed| Service::of_scope(parsed.service));
    if authorization.is_none()
        && let Some(operation) = metadata::operation(request.method.as_str(), &request.path)
    {
        return Route { service: Service::Metadata, operation, params };
    }
    if authorization.is_none()
        && let Some((service, operation)) = unsigned(&request.method, &request.path)
    {
        return Route { service, operation, params };
    }
    let service = signed_for.unwrap_or_else(|| guess(request, &params));
    let operation = match service {
        Service::S3 if request.method == Method::GET && request.path == "/" => "ListBuckets",
        Service::Lambda
            if request.method == Method::GET
                && request.path.trim_end_matches('/') == "/2015-03-31/functions" =>
        {
            "ListFunctions"
        }
        Service::Organizations
            if request.header("x-amz-target") == Some("AWSOrganizationsV20161128.ListAccounts") =>
        {
            "ListAccounts"
        }
        Service::Sts | Service::Ec2 => {
            let action = params.get("Action").unwrap_or_default();
            let known = OPERATIONS.iter().find(|(of, name)| *of == service && *name == action);
            known.map_or(UNKNOWN, |(_, name)| name)
        }
        _ => UNKNOWN,
    };
    Route { service, operation, params }
}

fn is_form(request: &Request) -> bool {
    request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

fn unsigned(method: &Method, path: &str) -> Option<(Service, &'static str)> {
    Some(match (method.as_str(), path) {
        ("POST", "/client/register") => (Service::Oidc, "RegisterClient"),
        ("POST", "/device_authorization") => (Service::Oidc, "StartDeviceAuthorization"),
        ("POST", "/token") => (Service::Oidc, "CreateToken"),
        ("GET", "/federation/credentials") => (Service::Portal, "GetRoleCredentials"),
        ("GET", "/assignment/accounts") => (Service::Portal, "ListAccounts"),
        ("GET", "/assignment/roles") => (Service::Portal, "ListAccountRoles"),
        ("POST", "/logout") => (Service::Portal, "Logout"),
        _ => return None,
    })
}

/// The service of a request without a readable signature, so that the refusal has a format.
fn guess(request: &Request, params: &Params) -> Service {
    match params.get("Version") {
        Some("2011-06-15") => Service::Sts,
        Some("2016-11-15") => Service::Ec2,
        _ if request.path.starts_with("/2015-03-31/") => Service::Lambda,
        _ => Service::S3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(method: &str, target: &str, scope: Option<&str>, body: &str) -> (Service, &'static str) {
        let authorization = scope.map(|service| {
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIA/20260102/eu-west-1/{service}/aws4_request, \
                 SignedHeaders=host, Signature=00"
            )
        });
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        let route = route(&Request::example(method, target, &headers, body));
        (route.service, route.operation)
    }

    #[test]
    fn the_scope_decides_for_signed_requests_and_the_path_for_unsigned_ones() {
        assert_eq!(routed("GET", "/?x-id=ListBuckets", Some("s3"), ""), (Service::S3, "ListBuckets"));
        assert_eq!(
            routed("POST", "/", Some("ec2"), "Action=DescribeRegions"),
            (Service::Ec2, "DescribeRegions")
        );
        assert_eq!(routed("POST", "/", Some("sts"), "Action=DescribeRegions"), (Service::Sts, UNKNOWN));
        assert_eq!(
            routed("GET", "/2015-03-31/functions/?Marker=x", Some("lambda"), ""),
            (Service::Lambda, "ListFunctions")
        );
        assert_eq!(
            routed("GET", "/federation/credentials?role_name=a", None, ""),
            (Service::Portal, "GetRoleCredentials")
        );
        // A signed request for a bucket of that name is S3's.
        assert_eq!(routed("GET", "/federation/credentials", Some("s3"), ""), (Service::S3, UNKNOWN));
        assert_eq!(
            routed("POST", "/", None, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"),
            (Service::Sts, "AssumeRoleWithWebIdentity")
        );
    }
}
