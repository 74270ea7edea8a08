//! Finds the service and the operation of a request. `dispatch.rs` calls it.
//!
//! A signed request is for the service in the scope of its signature. Others are for the first service with a matching
//! operation.

use hyper::Method;

use crate::http::{Params, Request};
use crate::service_definition::{Access, Operation, Route, ServiceDefinition};
use crate::services::SERVICES;
use crate::sigv4::Authorization;

/// The name of operations that aren't simulated.
pub(crate) const UNKNOWN: &str = "Unknown";

/// The destination of a request.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) service: &'static ServiceDefinition,
    /// None if the operation isn't simulated.
    pub(crate) operation: Option<&'static Operation>,
    /// The pairs of the query or the form.
    pub(crate) params: Params,
}

impl Destination {
    pub(crate) fn operation_name(&self) -> &'static str {
        self.operation.map_or(UNKNOWN, |operation| operation.name)
    }
}

/// Finds the destination of a request.
pub(crate) fn route(request: &Request) -> Destination {
    let is_form = request.method == Method::POST && is_form(request);
    let params = if is_form { request.form() } else { request.query() };
    let authorization = request.header("authorization").filter(|value| value.starts_with("AWS4-"));
    let find = |service: &&'static ServiceDefinition| {
        let mut operations = service.operations.iter();
        operations.find(|operation| matches(operation, request, &params))
    };
    let service = if let Some(header) = authorization {
        let scope = Authorization::parse(header).ok().map(|parsed| parsed.service);
        let mut signed = SERVICES.iter().filter(|service| is_signed(service));
        signed.find(|service| Some(service.service.name()) == scope)
    } else {
        // Paths of services without signatures come first; for others the error at least has the right format.
        let mut unsigned = SERVICES.iter().filter(|service| !is_signed(service));
        unsigned.find(|service| find(service).is_some()).or_else(|| guess(request, &params))
    };
    let service = service.or_else(|| guess(request, &params)).unwrap_or(&SERVICES[SERVICES.len() - 1]);
    Destination { service, operation: find(service), params }
}

/// Finds a signed service by the version of the query protocol, or by an operation's path.
fn guess(request: &Request, params: &Params) -> Option<&'static &'static ServiceDefinition> {
    let version = params.get("Version");
    SERVICES.iter().filter(|service| is_signed(service)).find(|service| {
        let by_path = |operation: &Operation| {
            matches!(operation.route, Route::Path(..)) && matches(operation, request, params)
        };
        (version.is_some() && version == service.query_version) || service.operations.iter().any(by_path)
    })
}

fn is_signed(service: &ServiceDefinition) -> bool {
    matches!(service.access, Access::Signed | Access::SignedAsS3)
}

fn matches(operation: &Operation, request: &Request, params: &Params) -> bool {
    match operation.route {
        Route::Path(method, path) => {
            let is_there = match path.strip_suffix('*') {
                Some(beginning) => request.path.starts_with(beginning),
                None => request.path.trim_end_matches('/') == path.trim_end_matches('/'),
            };
            is_there && (method == "*" || request.method.as_str() == method)
        }
        Route::Action => params.get("Action") == Some(operation.name),
        Route::Target(target) => request.header("x-amz-target") == Some(target),
    }
}

fn is_form(request: &Request) -> bool {
    request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;

    fn routed(method: &str, target: &str, scope: Option<&str>, body: &str) -> (Service, &'static str) {
        let authorization = scope.map(|service| {
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIA/20260102/eu-west-1/{service}/aws4_request, \
                 SignedHeaders=host, Signature=00"
            )
        });
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        let destination = route(&Request::example(method, target, &headers, body));
        (destination.service.service, destination.operation_name())
    }

    #[test]
    fn signed_requests_go_by_scope_and_others_by_path() {
        assert_eq!(routed("GET", "/?x-id=ListBuckets", Some("s3"), ""), (Service::S3, "ListBuckets"));
        assert_eq!(
            routed("POST", "/", Some("ec2"), "Action=DescribeRegions"),
            (Service::EC2, "DescribeRegions")
        );
        assert_eq!(routed("POST", "/", Some("sts"), "Action=DescribeRegions"), (Service::STS, UNKNOWN));
        assert_eq!(
            routed("GET", "/2015-03-31/functions/?Marker=x", Some("lambda"), ""),
            (Service::LAMBDA, "ListFunctions")
        );
        assert_eq!(
            routed("GET", "/federation/credentials?role_name=a", None, ""),
            (Service::PORTAL, "GetRoleCredentials")
        );
        // A signed request for a bucket of that name is S3's.
        assert_eq!(routed("GET", "/federation/credentials", Some("s3"), ""), (Service::S3, UNKNOWN));
        assert_eq!(
            routed("POST", "/", None, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"),
            (Service::STS, "AssumeRoleWithWebIdentity")
        );
        assert_eq!(routed("POST", "/", None, "Action=X&Version=2016-11-15"), (Service::EC2, UNKNOWN));
        assert_eq!(routed("GET", "/2015-03-31/functions", None, ""), (Service::LAMBDA, "ListFunctions"));
        assert_eq!(routed("PUT", "/bucket/key", None, ""), (Service::S3, UNKNOWN));
    }
}
