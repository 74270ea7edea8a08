//! The regions that are enabled in an account: EC2's DescribeRegions, for ssoinv's own use.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Filter;
use ssoinv_http::classify::invalid_response;
use ssoinv_http::scoped_calls::{CallError, ScopedCalls};

use crate::services::Ec2;

/// Lists the names of the regions that are enabled in the caller's account.
///
/// # Errors
/// As [`ScopedCalls::call`]; a response without any region is invalid, since the region that responded is enabled.
pub async fn enabled_regions(calls: &ScopedCalls) -> Result<BTreeSet<String>, CallError> {
    let attempt = |client: aws_sdk_ec2::Client| async move {
        let filter =
            Filter::builder().name("opt-in-status").values("opt-in-not-required").values("opted-in").build();
        let response = client.describe_regions().filters(filter).send().await?;
        let enabled: BTreeSet<String> =
            response.regions().iter().filter_map(|region| region.region_name.clone()).collect();
        if enabled.is_empty() {
            return Err(invalid_response("DescribeRegions returned no region").into());
        }
        Ok(enabled)
    };
    calls.call::<Ec2, _, _>("DescribeRegions", attempt).await
}
