//! Where a call runs: partition, account, role and region.
//!
//! An account ID is twelve digits and a *string*: leading zeros count. A region that a call runs in is never the region
//! of the Identity Center. [`partition_of_region`] and [`KNOWN_REGIONS`] are the built-in list for spelling hints and
//! for partitions; whether a region is enabled in an account only AWS can say.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// An AWS account ID: twelve ASCII digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; 12]);

impl AccountId {
    /// The ID as text, twelve digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only `from_str` makes one, from ASCII digits.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match <[u8; 12]>::try_from(text.as_bytes()) {
            Ok(digits) if digits.iter().all(u8::is_ascii_digit) => Ok(Self(digits)),
            _ => Err(InvalidAccountId { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that isn't an account ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an account ID of twelve digits")]
pub struct InvalidAccountId {
    /// What was given.
    pub text: String,
}

/// An AWS partition, by its name in ARNs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Partition {
    /// `aws`, the commercial one.
    #[default]
    Aws,
    /// `aws-cn`, China.
    AwsCn,
    /// `aws-us-gov`, GovCloud (US).
    AwsUsGov,
    /// `aws-eusc`, the European Sovereign Cloud.
    AwsEusc,
    /// `aws-iso`.
    AwsIso,
    /// `aws-iso-b`.
    AwsIsoB,
    /// `aws-iso-e`.
    AwsIsoE,
    /// `aws-iso-f`.
    AwsIsoF,
}

/// Name, region prefixes, and the region that answers for the whole partition (`us-east-1` for `aws`): the SDKs'
/// `partitions.json`, `regionRegex` and `implicitGlobalRegion`.
const PARTITIONS: [(Partition, &str, &[&str], &str); 8] = [
    (Partition::AwsCn, "aws-cn", &["cn-"], "cn-northwest-1"),
    (Partition::AwsUsGov, "aws-us-gov", &["us-gov-"], "us-gov-west-1"),
    (Partition::AwsEusc, "aws-eusc", &["eusc-"], "eusc-de-east-1"),
    (Partition::AwsIsoB, "aws-iso-b", &["us-isob-"], "us-isob-east-1"),
    (Partition::AwsIsoE, "aws-iso-e", &["eu-isoe-"], "eu-isoe-west-1"),
    (Partition::AwsIsoF, "aws-iso-f", &["us-isof-"], "us-isof-south-1"),
    (Partition::AwsIso, "aws-iso", &["us-iso-"], "us-iso-east-1"),
    (Partition::Aws, "aws", &[], "us-east-1"),
];

impl Partition {
    fn row(self) -> &'static (Partition, &'static str, &'static [&'static str], &'static str) {
        PARTITIONS.iter().find(|row| row.0 == self).unwrap_or(&PARTITIONS[PARTITIONS.len() - 1])
    }

    /// The name in ARNs: `aws`, `aws-cn`, …
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// The region that is always enabled and answers what concerns the whole account.
    #[must_use]
    pub fn default_region(self) -> &'static str {
        self.row().3
    }

    /// The partition with this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        PARTITIONS.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The partition that a region's name belongs to.
#[must_use]
pub fn partition_of_region(region: &str) -> Partition {
    PARTITIONS
        .iter()
        .find(|row| row.2.iter().any(|prefix| region.starts_with(prefix)))
        .map_or(Partition::Aws, |row| row.0)
}

/// Whether `region` can be part of a host name: lower-case letters, digits and hyphens, as every AWS region is.
///
/// A region that isn't must never become one: `x.evil.example/` would send credentials elsewhere.
#[must_use]
pub fn is_region_name(region: &str) -> bool {
    !region.is_empty()
        && region.len() <= 40
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !region.starts_with('-')
        && !region.ends_with('-')
}

/// The regions that this version knows of (AWS's "Regions and Zones" pages, 2026), for spelling hints.
pub const KNOWN_REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The place in an account that a task looks at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// The whole account, whatever the region.
    Global,
    /// One region.
    Region(Arc<str>),
    /// A regional table, but no region is set anywhere.
    Unset,
}

impl Place {
    /// As the ledger's `region` column has it: `global`, the region's name, or empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Global => "global",
            Self::Region(region) => region,
            Self::Unset => "",
        }
    }
}

/// Where a call runs, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The partition of the account.
    pub partition: Partition,
    /// The account, where it is known: a broken profile's may not be.
    pub account_id: Option<AccountId>,
    /// The account's name, as the portal lists it.
    pub account_name: Option<Arc<str>>,
    /// The role's name, as the portal or the role's ARN has it.
    pub role_name: Option<Arc<str>>,
    /// The profile that stands for the account.
    pub profile: Option<Arc<str>>,
    /// The place in the account.
    pub place: Place,
}

impl Scope {
    /// The account ID as text, empty where it isn't known.
    #[must_use]
    pub fn account(&self) -> &str {
        self.account_id.as_ref().map_or("", AccountId::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_keep_leading_zeros_and_refuse_other_things() {
        assert_eq!("001122334455".parse::<AccountId>().expect("valid").to_string(), "001122334455");
        for bad in ["", "1122334455", "01122334455", "0011223344556", "00112233445a", "٠٠١١٢٢٣٣٤٤٥٥"]
        {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn regions_tell_their_partition() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(partition_of_region(region).as_str(), partition, "{region}");
            assert_eq!(Partition::from_name(partition), Some(partition_of_region(region)));
        }
        assert_eq!(Partition::from_name("aws-mars"), None);
    }

    #[test]
    fn region_names_cannot_leave_the_host_name() {
        assert!(KNOWN_REGIONS.iter().all(|region| is_region_name(region)));
        for bad in
            ["", "us-east-1/", "x.evil.example", "US-EAST-1", "us east", "-us", "us-", "us-east-1@evil"]
        {
            assert!(!is_region_name(bad), "{bad}");
        }
    }
}
