//! AWS's regions with their partitions and opt-ins. Source: AWS's general reference, "Regions and endpoints". The
//! regions that an account has disabled are in `organisation.rs` and `state.rs`.

/// Regions that are enabled in each account.
const DEFAULT: &[&str] = &[
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Regions that an account must opt into.
const OPT_IN: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
];

const GOVERNMENT: &[&str] = &["us-gov-east-1", "us-gov-west-1"];
const CHINA: &[&str] = &["cn-north-1", "cn-northwest-1"];

/// Returns the partition of a region, by its name: `aws`, `aws-us-gov` or `aws-cn`.
pub(crate) fn partition(region: &str) -> &'static str {
    if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else if region.starts_with("cn-") {
        "aws-cn"
    } else {
        "aws"
    }
}

/// Returns the domain of a partition's endpoints.
pub(crate) fn domain(partition: &str) -> &'static str {
    if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// Returns the regions of a partition in the order of their names; true if a region needs an opt-in.
pub(crate) fn of_partition(partition: &str) -> Vec<(&'static str, bool)> {
    let mut all: Vec<(&str, bool)> = match partition {
        "aws-us-gov" => GOVERNMENT.iter().map(|name| (*name, false)).collect(),
        "aws-cn" => CHINA.iter().map(|name| (*name, false)).collect(),
        _ => DEFAULT.iter().map(|name| (*name, false)).chain(OPT_IN.iter().map(|n| (*n, true))).collect(),
    };
    all.sort_unstable();
    all
}

/// Returns true if the region needs an opt-in; none if there is no such region.
pub(crate) fn needs_opt_in(region: &str) -> Option<bool> {
    if OPT_IN.contains(&region) {
        return Some(true);
    }
    let known = DEFAULT.contains(&region) || GOVERNMENT.contains(&region) || CHINA.contains(&region);
    known.then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_do_not_share_regions() {
        for name in ["aws", "aws-us-gov", "aws-cn"] {
            assert!(!of_partition(name).is_empty());
            for (region, opt_in) in of_partition(name) {
                assert_eq!(partition(region), name);
                assert_eq!(needs_opt_in(region), Some(opt_in));
            }
        }
        assert_eq!(needs_opt_in("eu-nowhere-1"), None);
    }
}
