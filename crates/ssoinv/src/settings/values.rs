//! Parsers of values, shared by flags, variables and the settings file.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ssoinv_core::name_pattern::is_glob;
use ssoinv_core::scope::{AccountId, KNOWN_REGIONS, is_region_name};
use ssoinv_core::suggest::nearest;
use ssoinv_output::Format;
use ssoinv_run::region_patterns::{self, RegionPatterns};
use ssoinv_run::roles::RoleChoice;

use crate::account_file;
use crate::text::shell_quoted;

/// A text that is no valid value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidValue {
    pub(crate) text: String,
    /// The valid values, as in "a number from 1 to 1024".
    pub(crate) wanted: &'static str,
    pub(crate) hint: Option<String>,
}

impl InvalidValue {
    fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: text.to_owned(), wanted, hint: None }
    }
}

/// Completes clap's message `invalid value '0' for '--concurrency <N>': `.
impl fmt::Display for InvalidValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "must be {}", self.wanted)
    }
}

impl Error for InvalidValue {}

/// Returns the value of a typed switch, or none if neither it nor its opposite was typed.
pub(super) fn switch_flag(on: bool, off: bool) -> Option<bool> {
    (on || off).then_some(on)
}

/// Returns the typed texts without empty ones.
pub(super) fn typed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect()
}

/// Parses `true` or `false`, and `1` or `0` as variables often have.
pub(super) fn switch(text: &str) -> Result<bool, InvalidValue> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(InvalidValue::new(text, "true or false")),
    }
}

/// Parses a time above zero, like `45m`.
pub(crate) fn time(text: &str) -> Result<Duration, InvalidValue> {
    let time = humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| InvalidValue::new(text, "a time above zero, like 90s, 45m or 1h 30m"))
}

/// The default age up to which results of a saved run are reused.
pub(crate) const MAX_AGE: Duration = Duration::from_hours(24);

/// Parses an age, like `24h` or `0s`.
pub(crate) fn age(text: &str) -> Result<Duration, InvalidValue> {
    humantime::parse_duration(text).map_err(|_| InvalidValue::new(text, "a time, like 0s, 45m or 7d"))
}

/// Parses the number of calls at once.
pub(crate) fn concurrency(text: &str) -> Result<usize, InvalidValue> {
    let number = text.parse().ok().filter(|number| (1..=1024).contains(number));
    number.ok_or_else(|| InvalidValue::new(text, "a number from 1 to 1024"))
}

/// Parses a TCP port.
pub(crate) fn port(text: &str) -> Result<u16, InvalidValue> {
    let port = text.parse().ok().filter(|&port| port > 0);
    port.ok_or_else(|| InvalidValue::new(text, "a port from 1 to 65535"))
}

/// Parses the name of a format.
pub(super) fn format(text: &str) -> Result<Format, InvalidValue> {
    Format::from_name(text).ok_or_else(|| {
        let hint = if text.contains(['.', '/', '\\']) {
            format!("to write to a file, say `--out {}`", shell_quoted(text))
        } else {
            "the formats are table, csv, json and ndjson".to_owned()
        };
        InvalidValue { hint: Some(hint), ..InvalidValue::new(text, "a format") }
    })
}

/// Parses the rate limit of the portal, in calls a second.
pub(crate) fn portal_rate(text: &str) -> Result<u32, InvalidValue> {
    let number = text.parse().ok().filter(|number| (1..=20).contains(number));
    number.ok_or_else(|| InvalidValue::new(text, "a number from 1 to 20"))
}

/// Parses names and patterns of roles, each once.
pub(super) fn roles(texts: &[&str]) -> Result<Vec<Arc<str>>, InvalidValue> {
    let roles: Vec<Arc<str>> = once(texts);
    match RoleChoice::new(roles.iter().map(|role| &**role)) {
        Ok(_) => Ok(roles),
        Err(error) => {
            let glob = error.glob().unwrap_or_default();
            Err(InvalidValue { hint: Some(error.kind().to_string()), ..InvalidValue::new(glob, "a pattern") })
        }
    }
}

/// Checks IDs, patterns and files of accounts, each once. Files are not read here.
pub(super) fn accounts(texts: &[&str]) -> Result<Vec<Arc<str>>, InvalidValue> {
    for text in texts {
        if text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<AccountId>().is_err() {
            let hint = account_file::id_hint(text);
            return Err(InvalidValue { hint: Some(hint), ..InvalidValue::new(text, "an account ID") });
        }
    }
    Ok(once(texts))
}

/// Removes duplicates.
pub(super) fn once(texts: &[&str]) -> Vec<Arc<str>> {
    let mut all: Vec<Arc<str>> = Vec::new();
    for text in texts {
        if !all.iter().any(|known| **known == **text) {
            all.push((*text).into());
        }
    }
    all
}

/// Parses names and patterns of regions, each once. `all` stands for every enabled region.
pub(super) fn regions(texts: &[&str]) -> Result<Vec<Arc<str>>, InvalidValue> {
    let mut regions: Vec<Arc<str>> = Vec::new();
    for text in texts {
        let region = region(text)?;
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    Ok(regions)
}

/// Parses a region or a pattern of regions.
///
/// A region becomes part of host names, so only text of that form is valid. A pattern only selects among AWS's regions.
pub(crate) fn region(text: &str) -> Result<Arc<str>, InvalidValue> {
    if text == region_patterns::ALL || is_glob(text) {
        return match RegionPatterns::new([text]) {
            Ok(_) => Ok(text.into()),
            Err(error) => Err(InvalidValue {
                hint: Some(error.kind().to_string()),
                ..InvalidValue::new(text, "a pattern")
            }),
        };
    }
    let looks_like_one = text.matches('-').count() >= 2 && text.ends_with(|c: char| c.is_ascii_digit());
    if is_region_name(text) && looks_like_one {
        return Ok(text.into());
    }
    let hint = match nearest(text, KNOWN_REGIONS.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "a region's name looks like `eu-central-1`".to_owned(),
    };
    Err(InvalidValue { hint: Some(hint), ..InvalidValue::new(text, "the name of a region") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_ranges() {
        assert_eq!(
            ["true", "FALSE", "1", "0"].map(|text| switch(text).ok()),
            [true, false, true, false].map(Some)
        );
        assert_eq!(["", "yes", "10", "-1"].map(|text| switch(text).ok()), [None; 4]);
        assert_eq!(["1", "1024"].map(|text| concurrency(text).ok()), [Some(1), Some(1024)]);
        assert_eq!(
            ["0", "1025", "-1", "", "1.5", "99999999999999999999"].map(|text| concurrency(text).ok()),
            [None; 6]
        );
        assert_eq!(["1", "65535"].map(|text| port(text).ok()), [Some(1), Some(u16::MAX)]);
        assert_eq!(["0", "65536", "http"].map(|text| port(text).ok()), [None; 3]);
        assert_eq!(age("0s"), Ok(Duration::ZERO));
        assert_eq!(age("24h"), Ok(MAX_AGE));
        assert!(["", "-1s", "soon"].iter().all(|text| age(text).is_err()));
        assert_eq!(time("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(["0s", "45", "soon", ""].map(|text| time(text).ok()), [None; 4]);
    }

    #[test]
    fn regions_are_names_each_once() {
        let texts = ["us-east-1", "eu-west-1", "us-east-1"];
        assert_eq!(regions(&texts), Ok(vec!["us-east-1".into(), "eu-west-1".into()]));
        for hostile in ["", "x.evil.example/", "us-east-1.evil.example", "us-east-1\n", "us east 1", "global"]
        {
            assert!(regions(&[hostile]).is_err(), "{hostile:?}");
        }
    }
}
