//! Organisations of any size from a seed: each account, bucket, instance and function is computed on demand.
//! `organisation.rs` offers them beside organisations from files.

use std::collections::BTreeMap;

use crate::resources::{BucketSpec, FunctionSpec, InstanceSpec};
use crate::rng::{self, Rng};
use crate::secret_marker::SECRET_MARKER;

/// Account IDs are twelve digits.
const ID_SPACE: u128 = 1_000_000_000_000;
/// Odd and no multiple of five, so that steps of this size visit each ID once.
const ID_STEP: u128 = 618_033_988_749;
/// The inverse step: `ID_STEP * ID_STEP_BACK % ID_SPACE == 1`.
const ID_STEP_BACK: u128 = inverse(ID_STEP, ID_SPACE);

const TEAMS: &[&str] = &["payments", "search", "catalog", "identity", "billing", "mobile", "data", "fraud"];
const STAGES: &[&str] = &["prod", "staging", "dev", "sandbox"];
const PURPOSES: &[&str] =
    &["logs", "backups", "assets", "exports", "tfstate", "uploads", "artifacts", "lake"];
const ROLES: &[&str] = &["web", "api", "worker", "db", "cache", "bastion", "batch", "runner"];
const TYPES: &[&str] = &[
    "t3.micro",
    "t3.large",
    "t4g.medium",
    "m6i.large",
    "m7g.xlarge",
    "c7g.2xlarge",
    "r6i.xlarge",
    "c5.large",
];
const RUNTIMES: &[&str] = &[
    "python3.13",
    "python3.12",
    "nodejs22.x",
    "nodejs20.x",
    "java21",
    "provided.al2023",
    "dotnet8",
    "ruby3.3",
];

/// The seed and sizes of an organisation. Sizes are exact, so that a test knows the number of rows.
#[derive(Debug, Clone)]
pub struct OrganisationSpec {
    /// The seed of all names and values.
    pub seed: u64,
    /// Number of accounts. About one in ten has an ID with a leading zero, among them the second.
    pub accounts: usize,
    /// Number of sso-sessions, which take turns in reaching the accounts.
    pub sessions: usize,
    /// Roles that each account offers.
    pub roles: Vec<String>,
    /// Regions with instances and functions.
    pub regions: Vec<String>,
    /// Buckets of an account.
    pub buckets: usize,
    /// Instances of an account in each region.
    pub instances: usize,
    /// Functions of an account in each region.
    pub functions: usize,
}

impl Default for OrganisationSpec {
    fn default() -> Self {
        Self {
            seed: 1,
            accounts: 100,
            sessions: 1,
            roles: ["AdministratorAccess", "ReadOnlyAccess", "SecurityAudit"].map(String::from).into(),
            regions: ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1"].map(String::from).into(),
            buckets: 3,
            instances: 5,
            functions: 3,
        }
    }
}

/// Returns the multiplicative inverse modulo `modulus`, by Euler: the group of units of 10^12 has order 4·10^11.
const fn inverse(value: u128, modulus: u128) -> u128 {
    let (mut power, mut base, mut result) = (399_999_999_999_u128, value % modulus, 1_u128);
    while power > 0 {
        if power & 1 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        power >>= 1;
    }
    result
}

impl OrganisationSpec {
    /// Returns an eleven-digit number: the ID of the second account without its leading zero.
    fn base(&self) -> u128 {
        u128::from(10_000_000_000 + rng::of_parts(&[self.seed, 11]) % 90_000_000_000)
    }

    pub(crate) fn account_id(&self, index: usize) -> String {
        let steps = (index as u128 + ID_SPACE - 1) % ID_SPACE;
        format!("{:012}", (self.base() + steps * ID_STEP) % ID_SPACE)
    }

    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        let number: u128 = id.parse().ok().filter(|_| id.len() == 12)?;
        let steps = (number + ID_SPACE - self.base()) % ID_SPACE * ID_STEP_BACK % ID_SPACE;
        usize::try_from((steps + 1) % ID_SPACE).ok().filter(|index| *index < self.accounts)
    }

    pub(crate) fn account_name(&self, index: usize) -> String {
        let mut rng = Rng::new(rng::of_parts(&[self.seed, 12, index as u64]));
        format!("{}-{}-{index:05}", rng.pick(TEAMS), rng.pick(STAGES))
    }

    pub(crate) fn bucket(&self, account: usize, number: usize) -> BucketSpec {
        let mut rng = Rng::new(rng::of_parts(&[self.seed, 13, account as u64, number as u64]));
        // S3 lists by name: with the number first, no account has to be sorted.
        let name = format!("acme-{account:05}-{number:06}-{}", rng.pick(PURPOSES));
        let region = if self.regions.is_empty() { "us-east-1" } else { rng.pick(&self.regions) };
        BucketSpec { name, region: region.to_owned(), created: None }
    }

    pub(crate) fn instance(&self, account: usize, region: &str, number: usize) -> InstanceSpec {
        let parts = [self.seed, 14, account as u64, rng::of_text(region), number as u64];
        let mut rng = Rng::new(rng::of_parts(&parts));
        let role = rng.pick(ROLES);
        let tags = BTreeMap::from(
            [
                ("Environment", *rng.pick(STAGES)),
                ("Owner", *rng.pick(TEAMS)),
                ("CostCenter", *rng.pick(&["cc-1001", "cc-1002", "cc-2040", "cc-3300"])),
                ("aws:autoscaling:groupName", role),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        InstanceSpec {
            name: Some(format!("{role}-{number:06}")),
            instance_type: Some((*rng.pick(TYPES)).to_owned()),
            state: rng.percent(12).then(|| "stopped".to_owned()),
            tags,
            public: rng.percent(20),
            windows: rng.percent(8),
            spot: rng.percent(10),
            imdsv1: rng.percent(15),
            ipv6: rng.percent(10),
            profile: rng.percent(80).then(|| format!("{role}-instance")),
            key_name: rng.percent(30).then(|| "ops-2024".to_owned()),
            ..InstanceSpec::default()
        }
    }

    pub(crate) fn function(&self, account: usize, region: &str, number: usize) -> FunctionSpec {
        let parts = [self.seed, 15, account as u64, rng::of_text(region), number as u64];
        let mut rng = Rng::new(rng::of_parts(&parts));
        let team = rng.pick(TEAMS);
        let environment = BTreeMap::from([
            ("LOG_LEVEL".to_owned(), "INFO".to_owned()),
            ("DB_PASSWORD".to_owned(), format!("pw{SECRET_MARKER}{}", rng.hex(12))),
        ]);
        FunctionSpec {
            name: format!("{team}-{}-{number:06}", rng.pick(ROLES)),
            runtime: Some((*rng.pick(RUNTIMES)).to_owned()),
            description: Some(format!("{team}: made from seed {}", self.seed)),
            memory: Some(*rng.pick(&[128, 256, 512, 1024, 3008])),
            timeout: Some(*rng.pick(&[3, 30, 60, 900])),
            environment,
            vpc: rng.percent(35),
            image: rng.percent(10),
            arm: rng.percent(40),
            traced: rng.percent(50),
            dead_letters: rng.percent(10),
            ..FunctionSpec::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_lead_back_to_their_index() {
        let organisation = OrganisationSpec { accounts: 10_000, ..OrganisationSpec::default() };
        let ids: HashSet<String> = (0..10_000).map(|index| organisation.account_id(index)).collect();
        assert_eq!(ids.len(), 10_000);
        for index in [0, 1, 2, 777, 9_999] {
            let id = organisation.account_id(index);
            assert_eq!(id.len(), 12);
            assert_eq!(organisation.find(&id), Some(index), "{id}");
        }
        assert_eq!(organisation.find(&organisation.account_id(10_000)), None, "beyond the last account");
        assert_eq!(organisation.find("12345"), None);
        assert!(organisation.account_id(1).starts_with('0'));
        assert!(ids.iter().filter(|id| id.starts_with('0')).count() > 500);
    }

    #[test]
    fn the_millionth_instance_is_computed_alone() {
        let organisation = OrganisationSpec { instances: 1_000_000, ..OrganisationSpec::default() };
        let (one, two) =
            (organisation.instance(5, "eu-west-1", 999_999), organisation.instance(5, "eu-west-1", 999_999));
        assert_eq!(one.name, two.name);
        assert_eq!(one.tags, two.tags);
        let other = OrganisationSpec { seed: 2, ..organisation };
        assert_ne!(other.account_id(5), OrganisationSpec::default().account_id(5));
    }

    #[test]
    fn buckets_are_in_the_order_of_their_names() {
        let organisation = OrganisationSpec { buckets: 300, ..OrganisationSpec::default() };
        let names: Vec<String> = (0..300).map(|n| organisation.bucket(3, n).name).collect();
        assert!(names.is_sorted());
    }
}
