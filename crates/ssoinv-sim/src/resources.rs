//! The resources of an account: buckets, instances and functions. A *spec* has the values of a fixture or of
//! `organisation_spec.rs`; all others are made up from the seed on demand, so that nothing is stored. Their wire formats
//! are in `services/`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::clock;
use crate::rng::{self, Rng};
use crate::secret_marker::SECRET_MARKER;

/// 2020-01-01T00:00:00Z, the earliest time of creation.
const FIRST_MOMENT: i64 = 1_577_836_800;
/// Six years in seconds, the range of the times of creation.
const SPAN: u64 = 6 * 365 * 86_400;

/// The values of a bucket in a fixture.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BucketSpec {
    pub(crate) name: String,
    pub(crate) region: String,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) created: Option<i64>,
}

/// The values of an instance in a fixture. Others are made up.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "AWS's responses have the same booleans")]
pub(crate) struct InstanceSpec {
    pub(crate) name: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) instance_type: Option<String>,
    pub(crate) state: Option<String>,
    #[serde(deserialize_with = "moment")]
    pub(crate) launched: Option<i64>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) public: bool,
    pub(crate) windows: bool,
    pub(crate) spot: bool,
    pub(crate) imdsv1: bool,
    pub(crate) ipv6: bool,
    pub(crate) profile: Option<String>,
    pub(crate) key_name: Option<String>,
}

/// The values of a function in a fixture. Others are made up.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "AWS's responses have the same booleans")]
pub(crate) struct FunctionSpec {
    pub(crate) name: String,
    pub(crate) runtime: Option<String>,
    pub(crate) handler: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) memory: Option<u32>,
    pub(crate) timeout: Option<u32>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) environment_error: bool,
    pub(crate) vpc: bool,
    pub(crate) image: bool,
    pub(crate) arm: bool,
    pub(crate) traced: bool,
    pub(crate) dead_letters: bool,
    pub(crate) file_system: bool,
    pub(crate) layers: Vec<String>,
    #[serde(deserialize_with = "moment")]
    pub(crate) modified: Option<i64>,
}

fn moment<'de, D: Deserializer<'de>>(input: D) -> Result<Option<i64>, D::Error> {
    let text = String::deserialize(input)?;
    let seconds = clock::parse_rfc3339(&text);
    seconds.map(Some).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an RFC 3339 time")))
}

/// The account and region of a resource, and the seed of its made-up values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) seed: u64,
}

impl Place<'_> {
    fn seed_of(&self, kind: &str, number: usize) -> u64 {
        let (account, region) = (rng::of_text(self.account), rng::of_text(self.region));
        rng::of_parts(&[self.seed, account, region, rng::of_text(kind), number as u64])
    }
}

fn made_at(rng: &mut Rng) -> i64 {
    FIRST_MOMENT + i64::try_from(rng.below(SPAN)).unwrap_or(0)
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The name, unique in the partition.
    pub name: String,
    /// The bucket's region.
    pub region: String,
    /// Seconds since 1970.
    pub created: i64,
}

impl Bucket {
    pub(crate) fn make(place: &Place<'_>, number: usize, spec: &BucketSpec) -> Self {
        let mut rng = Rng::new(place.seed_of("bucket", number));
        let created = spec.created.unwrap_or_else(|| made_at(&mut rng));
        Self { name: spec.name.clone(), region: spec.region.clone(), created }
    }
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "AWS's responses have the same booleans")]
pub struct Instance {
    /// `i-` and 17 hexadecimal digits.
    pub id: String,
    /// `m7g.large` and so on.
    pub instance_type: String,
    /// `running`, `stopped`, `terminated`, …
    pub state: String,
    /// Seconds since 1970.
    pub launched: i64,
    /// The zone's name.
    pub zone: String,
    /// In the order of the response; `Name` first, if there is one.
    pub tags: Vec<(String, String)>,
    pub(crate) public: bool,
    pub(crate) windows: bool,
    pub(crate) spot: bool,
    pub(crate) imdsv1: bool,
    pub(crate) ipv6: bool,
    pub(crate) profile: Option<String>,
    pub(crate) key_name: Option<String>,
    /// The seed of the remaining fields.
    pub(crate) seed: u64,
}

impl Instance {
    pub(crate) fn make(place: &Place<'_>, number: usize, spec: InstanceSpec) -> Self {
        let seed = place.seed_of("instance", number);
        let mut rng = Rng::new(seed);
        let id = spec.id.unwrap_or_else(|| format!("i-0{}", rng.hex(16)));
        let launched = spec.launched.unwrap_or_else(|| made_at(&mut rng));
        let zone = format!("{}{}", place.region, rng.pick(&["a", "b", "c"]));
        let name = spec.name.map(|name| ("Name".to_owned(), name));
        Self {
            id,
            instance_type: spec.instance_type.unwrap_or_else(|| "t3.micro".to_owned()),
            state: spec.state.unwrap_or_else(|| "running".to_owned()),
            launched,
            zone,
            tags: name.into_iter().chain(spec.tags).collect(),
            public: spec.public,
            windows: spec.windows,
            spot: spec.spot,
            imdsv1: spec.imdsv1,
            ipv6: spec.ipv6,
            profile: spec.profile,
            key_name: spec.key_name,
            seed: rng.next(),
        }
    }
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "AWS's responses have the same booleans")]
pub struct Function {
    /// The name, unique in account and region.
    pub name: String,
    /// `None` for a container image.
    pub runtime: Option<String>,
    /// Environment variables, by name.
    pub environment: Vec<(String, String)>,
    pub(crate) handler: String,
    pub(crate) description: String,
    pub(crate) memory: u32,
    pub(crate) timeout: u32,
    pub(crate) environment_error: bool,
    pub(crate) vpc: bool,
    pub(crate) arm: bool,
    pub(crate) traced: bool,
    pub(crate) dead_letters: bool,
    pub(crate) file_system: bool,
    pub(crate) layers: Vec<String>,
    pub(crate) modified: i64,
    /// The seed of the remaining fields.
    pub(crate) seed: u64,
}

impl Function {
    pub(crate) fn make(place: &Place<'_>, number: usize, spec: FunctionSpec) -> Self {
        let seed = place.seed_of("function", number);
        let mut rng = Rng::new(seed);
        let modified = spec.modified.unwrap_or_else(|| made_at(&mut rng));
        let runtime = (!spec.image).then(|| spec.runtime.unwrap_or_else(|| "python3.13".to_owned()));
        Self {
            name: spec.name,
            runtime,
            environment: spec.environment.into_iter().collect(),
            handler: spec.handler.unwrap_or_else(|| "app.handler".to_owned()),
            description: spec.description.unwrap_or_default(),
            memory: spec.memory.unwrap_or(128),
            timeout: spec.timeout.unwrap_or(3),
            environment_error: spec.environment_error,
            vpc: spec.vpc,
            arm: spec.arm,
            traced: spec.traced,
            dead_letters: spec.dead_letters,
            file_system: spec.file_system,
            layers: spec.layers,
            modified,
            seed: rng.next(),
        }
    }

    /// Returns the values of environment variables with the mark of a planted secret.
    pub(crate) fn planted(&self) -> impl Iterator<Item = &str> {
        self.environment.iter().map(|(_, value)| value.as_str()).filter(|value| value.contains(SECRET_MARKER))
    }
}

/// Returns the first instance of an instance's reservation.
///
/// Of eight instances in a row, three are alone, two share a reservation, and three share another.
pub(crate) fn reservation(number: usize) -> usize {
    const SHARES: [usize; 8] = [0, 1, 2, 3, 3, 5, 5, 5];
    number / 8 * 8 + SHARES[number % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { account: "012345678901", region: "eu-west-1", seed: 3 };

    #[test]
    fn made_up_fields_depend_on_account_and_region() {
        let one = Instance::make(&PLACE, 4, InstanceSpec::default());
        assert_eq!(one, Instance::make(&PLACE, 4, InstanceSpec::default()));
        assert_ne!(one.id, Instance::make(&PLACE, 5, InstanceSpec::default()).id);
        let elsewhere = Place { region: "us-east-1", ..PLACE };
        assert_ne!(one.id, Instance::make(&elsewhere, 4, InstanceSpec::default()).id);
        assert_eq!(one.id.len(), 19);
    }

    #[test]
    fn a_spec_overrides_made_up_values() {
        let spec: InstanceSpec = serde_json::from_str(
            r#"{"name": "web", "state": "stopped", "launched": "2026-01-02T03:04:05Z", "tags": {"A": "1"}}"#,
        )
        .unwrap();
        let made = Instance::make(&PLACE, 0, spec);
        assert_eq!((made.state.as_str(), made.launched), ("stopped", 1_767_323_045));
        assert_eq!(made.tags, [("Name".into(), "web".into()), ("A".into(), "1".into())]);
        assert!(serde_json::from_str::<InstanceSpec>(r#"{"launched": "yesterday"}"#).is_err());
        assert!(serde_json::from_str::<InstanceSpec>(r#"{"lunched": "2026-01-02T03:04:05Z"}"#).is_err());
    }

    #[test]
    fn reservations_have_one_to_three_neighbors() {
        let firsts: Vec<usize> = (8..16).map(reservation).collect();
        assert_eq!(firsts, [8, 9, 10, 11, 11, 13, 13, 13]);
    }
}
