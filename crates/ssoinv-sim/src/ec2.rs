//! EC2: DescribeInstances and DescribeRegions, in EC2's query protocol. Pages are cut between reservations.
//! What an instance looks like is in `ec2_xml.rs`.

use crate::ec2_xml::{self, Home};
use crate::http::{Params, Reply, page_start, page_token, push_element};
use crate::keys::Key;
use crate::refusal::Refusal;
use crate::regions;
use crate::resources::{Instance, reservation};
use crate::rng;
use crate::state::State;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
/// Bounds of `MaxResults`.
const SMALLEST: usize = 5;
const LARGEST: usize = 1000;
/// About what one instance takes in XML.
const INSTANCE_BYTES: usize = 5 * 1024;

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidParameterValue", message)
}

fn opened(operation: &str, request_id: &str, capacity: usize) -> String {
    let mut xml = String::with_capacity(capacity);
    xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
    xml.push_str(operation);
    xml.push_str("Response xmlns=\"");
    xml.push_str(NAMESPACE);
    xml.push_str("\">\n    ");
    push_element(&mut xml, "requestId", request_id);
    xml
}

/// Answers DescribeInstances. `empty_page` gives a page without reservations that leads on to the same place.
pub(crate) fn describe_instances(
    state: &State,
    caller: &Key,
    region: &str,
    params: &Params,
    request_id: &str,
    empty_page: bool,
) -> Result<Reply, Refusal> {
    let ids = params.list("InstanceId");
    let size = match params.get("MaxResults") {
        None => LARGEST,
        Some(_) if !ids.is_empty() => {
            return Err(Refusal::new(
                400,
                "InvalidParameterCombination",
                "The parameter instancesSet cannot be used with the parameter maxResults",
            ));
        }
        Some(text) => match text.parse::<usize>() {
            Ok(size @ SMALLEST..=LARGEST) => size,
            _ => {
                return Err(invalid(format!(
                    "Value ( {text} ) for parameter maxResults is invalid. Expecting a value between {SMALLEST} \
                     and {LARGEST}."
                )));
            }
        },
    };
    let list = rng::of_parts(&[5, caller.account as u64, rng::of_text(region)]);
    let start = match params.get("NextToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => page_start(list, token).ok_or_else(|| {
            Refusal::new(400, "InvalidPaginationToken", "The specified pagination token is not valid")
        })?,
    };
    let states = wanted_states(params)?;
    let count = state.organisation.instance_count(caller.account, region);
    let expected = size.min(count.saturating_sub(start));
    let mut xml = opened("DescribeInstances", request_id, 1024 + expected * INSTANCE_BYTES);
    xml.push_str("<reservationSet>");
    let home = Home { partition: state.partition(), account: &caller.account_id, region };
    let mut left = if empty_page { 0 } else { size };
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
            ec2_xml::push_reservation(&mut xml, &home, &instances);
            found.extend(instances.into_iter().map(|instance| instance.id));
        }
    }
    if let Some(missing) = ids.iter().find(|id| !found.iter().any(|there| there == *id)) {
        return Err(Refusal::new(
            400,
            "InvalidInstanceID.NotFound",
            format!("The instance ID '{missing}' does not exist"),
        ));
    }
    xml.push_str("</reservationSet>");
    if next < count || empty_page {
        push_element(&mut xml, "nextToken", &page_token(list, next));
    }
    xml.push_str("</DescribeInstancesResponse>");
    Ok(Reply::new(200, "text/xml;charset=UTF-8", xml))
}

/// Values of the one filter that is simulated; others are refused rather than ignored.
fn wanted_states(params: &Params) -> Result<Vec<&str>, Refusal> {
    let mut wanted = Vec::new();
    for (name, values) in params.filters() {
        if name != "instance-state-name" {
            return Err(invalid(format!("The filter '{name}' is invalid")));
        }
        wanted.extend(values);
    }
    Ok(wanted)
}

/// Answers DescribeRegions.
pub(crate) fn describe_regions(
    state: &State,
    caller: &Key,
    params: &Params,
    request_id: &str,
) -> Result<Reply, Refusal> {
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
    let mut xml = opened("DescribeRegions", request_id, 4096);
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
    Ok(Reply::new(200, "text/xml;charset=UTF-8", xml))
}
