//! EC2: DescribeInstances and DescribeRegions, in EC2's variant of the query protocol. Pages end between reservations.
//! The XML of an instance is in `ec2_xml.rs`.

use super::ec2_xml::{self, Placement};
use crate::encoding::push_element;
use crate::errors::{AuthFailure, Denial, ServiceError};
use crate::http::{Params, Response};
use crate::keys::Key;
use crate::limits::Rate;
use crate::paging::{page_start, page_token};
use crate::protocol::{Protocol, query};
use crate::regions;
use crate::resources::{Instance, reservation};
use crate::rng;
use crate::service::Service;
use crate::service_definition::{
    Access, Handler, HandlerResult, Invocation, Operation, RateScope, Route, ServiceDefinition,
};

impl Service {
    /// Elastic Compute Cloud.
    pub const EC2: Self = Self::new("ec2");
}

pub(crate) const SERVICE: ServiceDefinition = ServiceDefinition {
    service: Service::EC2,
    host_prefixes: &["ec2", "ec2-fips"],
    global_hosts: &[],
    access: Access::Signed,
    protocol: PROTOCOL,
    query_version: Some("2016-11-15"),
    // "Request throttling for the Amazon EC2 API": Describe calls.
    documented_rate: Some(Rate { burst: 100.0, per_second: 20.0 }),
    rate_scope: RateScope::AccountAndRegion,
    operations: &[
        Operation::new("DescribeInstances", Route::Action, Handler::Signed(describe_instances))
            .with_empty_pages(),
        Operation::new("DescribeRegions", Route::Action, Handler::Signed(describe_regions)),
    ],
};

const PROTOCOL: Protocol = Protocol {
    throttled: (503, "RequestLimitExceeded", "Request limit exceeded."),
    internal: ("InternalError", "An internal error has occurred"),
    unavailable: "Unavailable",
    denied: |denial: &Denial<'_>| {
        let message = denial.message("");
        let message = format!("You are not authorized to perform this operation. {message}");
        ServiceError::new(403, "UnauthorizedOperation", message)
    },
    unauthenticated,
    write_error,
    ..query::QUERY
};

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
const CONTENT_TYPE: &str = "text/xml;charset=UTF-8";
/// Bounds of `MaxResults`.
const SMALLEST: usize = 5;
const LARGEST: usize = 1000;
/// Approximate size of an instance in XML.
const INSTANCE_BYTES: usize = 5 * 1024;

#[expect(clippy::needless_pass_by_value, reason = "the signature of `Protocol::unauthenticated`")]
fn unauthenticated(failure: AuthFailure) -> ServiceError {
    match failure {
        AuthFailure::NoSignature => ServiceError::new(
            400,
            "MissingParameter",
            "The request must contain the parameter AWSAccessKeyId",
        ),
        AuthFailure::Expired(_) | AuthFailure::Skewed { .. } => {
            ServiceError::new(400, "RequestExpired", "Request has expired.")
        }
        // EC2 has one code for all of these, a disabled region included.
        AuthFailure::Malformed(_)
        | AuthFailure::UnknownKey(_)
        | AuthFailure::WrongToken(_)
        | AuthFailure::NotSigned(_)
        | AuthFailure::WrongSignature { .. }
        | AuthFailure::WrongBody
        | AuthFailure::WrongScope(_)
        | AuthFailure::RegionDisabled => {
            let message = "AWS was not able to validate the provided access credentials";
            ServiceError::new(401, "AuthFailure", message)
        }
    }
}

fn write_error(error: &ServiceError, request_id: &str) -> Response {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>");
    push_element(&mut xml, "Code", error.code);
    push_element(&mut xml, "Message", &error.message);
    xml.push_str("</Error></Errors>");
    push_element(&mut xml, "RequestID", request_id);
    xml.push_str("</Response>");
    Response::new(error.status, CONTENT_TYPE, xml)
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::new(400, "InvalidParameterValue", message)
}

fn response_start(operation: &str, request_id: &str, capacity: usize) -> String {
    let mut xml = String::with_capacity(capacity);
    xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
    xml.push_str(operation);
    xml.push_str("Response xmlns=\"");
    xml.push_str(NAMESPACE);
    xml.push_str("\">\n    ");
    push_element(&mut xml, "requestId", request_id);
    xml
}

/// Returns the page size. Instance IDs and a page size exclude each other.
fn page_size(params: &Params, has_ids: bool) -> Result<usize, ServiceError> {
    let Some(text) = params.get("MaxResults") else { return Ok(LARGEST) };
    if has_ids {
        return Err(ServiceError::new(
            400,
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        ));
    }
    match text.parse::<usize>() {
        Ok(size @ SMALLEST..=LARGEST) => Ok(size),
        _ => Err(invalid(format!(
            "Value ( {text} ) for parameter maxResults is invalid. Expecting a value between {SMALLEST} and \
             {LARGEST}."
        ))),
    }
}

fn describe_instances(invocation: &Invocation<'_>, caller: &Key) -> HandlerResult {
    let Invocation { state, params, region, .. } = *invocation;
    let ids = params.list("InstanceId");
    let size = page_size(params, !ids.is_empty())?;
    let list = rng::of_parts(&[5, caller.account as u64, rng::of_text(region)]);
    let start = match params.get("NextToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => page_start(list, token).ok_or_else(|| {
            ServiceError::new(400, "InvalidPaginationToken", "The specified pagination token is not valid")
        })?,
    };
    let states = state_filter(params)?;
    let count = state.organisation.instance_count(caller.account, region);
    let expected = size.min(count.saturating_sub(start));
    let capacity = 1024 + expected * INSTANCE_BYTES;
    let mut xml = response_start("DescribeInstances", invocation.request_id, capacity);
    xml.push_str("<reservationSet>");
    let placement = Placement { partition: state.partition(), account: &caller.account_id, region };
    let mut left = if invocation.empty_page { 0 } else { size };
    let mut found: Vec<String> = Vec::new();
    let mut next = start;
    while next < count {
        let neighbours = (next..count).take_while(|number| reservation(*number) == reservation(next)).count();
        if neighbours > left {
            break;
        }
        let instances: Vec<Instance> = (next..next + neighbours)
            .map(|number| state.organisation.instance(caller.account, region, number))
            .filter(|instance| states.is_empty() || states.contains(&instance.state.as_str()))
            .filter(|instance| ids.is_empty() || ids.contains(&instance.id.as_str()))
            .collect();
        left -= instances.len();
        next += neighbours;
        if !instances.is_empty() {
            ec2_xml::push_reservation(&mut xml, &placement, &instances);
            found.extend(instances.into_iter().map(|instance| instance.id));
        }
    }
    if let Some(missing) = ids.iter().find(|id| !found.iter().any(|there| there == *id)) {
        return Err(ServiceError::new(
            400,
            "InvalidInstanceID.NotFound",
            format!("The instance ID '{missing}' does not exist"),
        ));
    }
    xml.push_str("</reservationSet>");
    if next < count || invocation.empty_page {
        push_element(&mut xml, "nextToken", &page_token(list, next));
    }
    xml.push_str("</DescribeInstancesResponse>");
    Ok(Response::new(200, CONTENT_TYPE, xml))
}

/// Returns the values of the filter for states. Other filters aren't simulated, and rejected.
fn state_filter(params: &Params) -> Result<Vec<&str>, ServiceError> {
    let mut wanted = Vec::new();
    for (name, values) in params.filters() {
        if name != "instance-state-name" {
            return Err(invalid(format!("The filter '{name}' is invalid")));
        }
        wanted.extend(values);
    }
    Ok(wanted)
}

fn describe_regions(invocation: &Invocation<'_>, caller: &Key) -> HandlerResult {
    let Invocation { state, params, .. } = *invocation;
    let all = params.get("AllRegions").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let names = params.list("RegionName");
    let filters = params.filters();
    if let Some((name, _)) = filters.iter().find(|(name, _)| !["opt-in-status", "region-name"].contains(name))
    {
        return Err(invalid(format!("The filter '{name}' is invalid")));
    }
    let known = state.regions_of(caller.account);
    if let Some(missing) = names.iter().find(|name| !known.iter().any(|(region, ..)| region == *name)) {
        return Err(invalid(format!("Invalid region name: [{missing}]")));
    }
    let domain = regions::domain(state.partition());
    let mut xml = response_start("DescribeRegions", invocation.request_id, 4096);
    xml.push_str("<regionInfo>");
    for (name, needs_opt_in, enabled) in known {
        let status = match (enabled, needs_opt_in) {
            (false, _) => "not-opted-in",
            (true, true) => "opted-in",
            (true, false) => "opt-in-not-required",
        };
        let matches = filters.iter().all(|(filter, values)| {
            values.contains(if *filter == "opt-in-status" { &status } else { &name })
        });
        if (all || enabled) && matches && (names.is_empty() || names.contains(&name)) {
            xml.push_str("<item>");
            push_element(&mut xml, "regionName", name);
            push_element(&mut xml, "regionEndpoint", &format!("ec2.{name}.{domain}"));
            push_element(&mut xml, "optInStatus", status);
            xml.push_str("</item>");
        }
    }
    xml.push_str("</regionInfo></DescribeRegionsResponse>");
    Ok(Response::new(200, CONTENT_TYPE, xml))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_credentials() {
        let response = PROTOCOL.error_response(unauthenticated(AuthFailure::Expired("tok".into())), "req-1");
        let body = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, 400);
        assert!(body.contains("<Code>RequestExpired</Code>") && !body.contains("tok"), "{body}");
    }
}
