//! Names as text: role ARNs, and URLs that may carry a secret.

use std::net::{Ipv4Addr, Ipv6Addr};

use ssoinv_core::scope::AccountId;

/// The most names that a message lists.
pub(crate) const MAX_LISTED: usize = 5;

/// An IAM role's ARN, `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME` (IAM User Guide, "IAM identifiers").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleArn {
    /// The whole ARN.
    pub arn: String,
    /// The partition's name: `aws`, `aws-cn`, … Not checked against a list.
    pub partition: String,
    /// The role's account.
    pub account_id: AccountId,
    /// The role's name, without its path.
    pub name: String,
}

impl RoleArn {
    /// Parses a role's ARN.
    #[must_use]
    pub fn parse(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let mut next = || parts.next();
        let ("arn", partition, "iam", "", account, resource) =
            (next()?, next()?, next()?, next()?, next()?, next()?)
        else {
            return None;
        };
        let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
        // The characters of a role's name, from CreateRole.
        let named =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
        let partitioned = partition.starts_with("aws") && is_label(partition);
        (named && partitioned).then_some(())?;
        Some(Self {
            arn: arn.to_owned(),
            partition: partition.to_owned(),
            account_id: account.parse().ok()?,
            name: name.to_owned(),
        })
    }
}

/// Returns whether a text can be a label of a host name: letters, digits and inner hyphens.
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Returns whether botocore creates a client for this region (its `validate_region_name`).
///
/// A host label of at most 63 letters, digits and hyphens that isn't all digits.
pub(crate) fn botocore_accepts_region(region: &str) -> bool {
    region.len() <= 63 && is_label(region) && !region.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the host of an `http` or `https` URL, and whether the scheme is `https`.
///
/// Strict: none if two readers could see different hosts (user info, backslashes, odd characters).
#[must_use]
pub fn host(url: &str) -> Option<(&str, bool)> {
    let (scheme, rest) = url.split_once("://")?;
    let https = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (host, port) = if authority.starts_with('[') {
        let (host, port) = authority.split_once(']')?;
        host.strip_prefix('[')?.parse::<Ipv6Addr>().ok()?;
        (&authority[..=host.len()], port)
    } else {
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        host.trim_end_matches('.').split('.').all(|label| is_label(&label.replace('_', "a"))).then_some(())?;
        (host, port)
    };
    match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok(),
        None => port.is_empty(),
    }
    .then_some((host, https))
}

/// Returns whether tokens and credentials may go to this URL: `https`, or `http` on this machine's loopback.
#[must_use]
pub fn is_https_or_loopback(url: &str) -> bool {
    host(url).is_some_and(|(host, https)| https || is_loopback(host))
}

/// Returns whether the text is an `http` or `https` URL with a host.
pub(crate) fn is_url(url: &str) -> bool {
    host(url).is_some()
}

/// Returns a start URL without a trailing `/`, `#` or `#/`.
#[must_use]
pub fn bare_start_url(start_url: &str) -> &str {
    start_url.trim_end_matches(['/', '#'])
}

fn is_loopback(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.trim_end_matches(']').parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns() {
        let arn = RoleArn::parse("arn:aws-us-gov:iam::001122334455:role/team/a/Audit@x").expect("valid");
        assert_eq!(arn.partition, "aws-us-gov");
        assert_eq!(arn.account_id.as_str(), "001122334455");
        assert_eq!(arn.name, "Audit@x");
        for bad in [
            "",
            "Audit",
            "arn:aws:iam::001122334455:user/Audit",
            "arn:aws:iam::1122334455:role/Audit",
            "arn:aws:iam:us-east-1:001122334455:role/Audit",
            "arn:aws:sts::001122334455:role/Audit",
            "arn:aws:iam::001122334455:role/",
            "arn:aws:iam::001122334455:role/a b",
            "arn:aws:iam::001122334455:rolex/Audit",
            "arn:aws.evil:iam::001122334455:role/Audit",
            "arn:gcp:iam::001122334455:role/Audit",
            "urn:aws:iam::001122334455:role/Audit",
        ] {
            assert_eq!(RoleArn::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn secrets_go_over_https_or_to_loopback_only() {
        for good in [
            "https://oidc.eu-west-1.amazonaws.com",
            "HTTPS://x",
            "https://vpce-1_a.example.com:8443/path?x#y",
            "http://localhost:5000",
            "http://127.0.0.1",
            "http://127.8.9.1:1/a",
            "http://[::1]:4566/",
        ] {
            assert!(is_https_or_loopback(good), "{good}");
        }
        for bad in [
            "",
            "localhost:5000",
            "http://example.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@example.com",
            "http://localhost:5000@example.com/",
            "http://127.0.0.1\\@example.com",
            "http://[::1].example.com",
            "http://[::1",
            "http://[2001:db8::1]/",
            "http://localhost:port",
            "http://2130706433.example",
            "http:///x",
            "https://",
            "https://a b",
            "ftp://localhost",
            "file:///etc/passwd",
        ] {
            assert!(!is_https_or_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn regions_as_botocore_takes_them() {
        for good in ["us-east-1", "US-EAST-1", "mars", "1a"] {
            assert!(botocore_accepts_region(good), "{good}");
        }
        for bad in ["us_east_1", "us-east-1 # c", "-us", "us-", "123", "a.b", &"a".repeat(64)] {
            assert!(!botocore_accepts_region(bad), "{bad}");
        }
    }
}
