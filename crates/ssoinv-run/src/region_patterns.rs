//! [`RegionPatterns`]: the regions that a user selected, by name and by glob.
//!
//! Pure. Which regions an account has enabled is known to [`crate::engine`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use globset::{Error, Glob, GlobMatcher};
use ssoinv_core::name_pattern::is_glob;

/// The word for every enabled region.
pub const ALL: &str = "all";

/// Regions by name and by glob: `us-east-1`, `eu-*`, `all`.
#[derive(Clone, Debug)]
pub struct RegionPatterns {
    typed: Vec<Arc<str>>,
    names: Vec<Arc<str>>,
    globs: Vec<GlobMatcher>,
}

impl RegionPatterns {
    /// Parses names and globs as users type them.
    ///
    /// # Errors
    /// If a glob is malformed.
    pub fn new<'a>(typed: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut patterns = Self { typed: Vec::new(), names: Vec::new(), globs: Vec::new() };
        for word in typed {
            if word == ALL {
                patterns.globs.push(Glob::new("*")?.compile_matcher());
            } else if is_glob(word) {
                patterns.globs.push(Glob::new(word)?.compile_matcher());
            } else if !patterns.names.iter().any(|name| &**name == word) {
                patterns.names.push(word.into());
            }
            patterns.typed.push(word.into());
        }
        Ok(patterns)
    }

    /// The names, in the order in which they were typed, where there is nothing but names: then no account need be asked.
    #[must_use]
    pub fn names(&self) -> Option<&[Arc<str>]> {
        self.globs.is_empty().then_some(self.names.as_slice())
    }

    /// The names among them.
    pub fn plain(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Whether every region is meant.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.globs.iter().any(|glob| glob.glob().glob() == "*")
    }

    /// Whether a region is meant.
    #[must_use]
    pub fn mean(&self, region: &str) -> bool {
        self.names.iter().any(|name| &**name == region) || self.globs.iter().any(|glob| glob.is_match(region))
    }

    /// The regions to ask in an account: the enabled ones that a glob means, and those that were named, enabled or not,
    /// in the order of the alphabet.
    #[must_use]
    pub fn select(&self, enabled: &BTreeSet<String>) -> Vec<Arc<str>> {
        let globbed = enabled.iter().filter(|region| self.globs.iter().any(|glob| glob.is_match(region)));
        let named = self.names.iter().cloned();
        globbed
            .map(|region| region.as_str().into())
            .chain(named)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }
}

/// What was typed alike means the same.
impl PartialEq for RegionPatterns {
    fn eq(&self, other: &Self) -> bool {
        self.typed == other.typed
    }
}

impl Eq for RegionPatterns {}

impl fmt::Display for RegionPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_globs() {
        let enabled: BTreeSet<String> =
            ["us-east-1", "eu-west-1", "eu-central-1"].into_iter().map(str::to_owned).collect();
        let select = |typed: &[&str]| {
            RegionPatterns::new(typed.iter().copied()).expect("patterns").select(&enabled).join(" ")
        };
        assert_eq!(select(&["all"]), "eu-central-1 eu-west-1 us-east-1");
        assert_eq!(select(&["eu-*"]), "eu-central-1 eu-west-1");
        assert_eq!(
            select(&["us-west-2", "eu-*", "eu-west-1"]),
            "eu-central-1 eu-west-1 us-west-2",
            "what was named is asked, enabled or not"
        );
        assert_eq!(select(&["ap-*"]), "");
        let names = RegionPatterns::new(["us-east-1", "us-east-2", "us-east-1"]).expect("names");
        assert_eq!(names.names().map(|names| names.join(" ")).as_deref(), Some("us-east-1 us-east-2"));
        assert!(names.mean("us-east-1") && !names.mean("us-west-1") && !names.is_all());
        let mixed = RegionPatterns::new(["eu-*", "us-east-1"]).expect("patterns");
        assert!(mixed.names().is_none() && mixed.mean("eu-south-1") && mixed.mean("us-east-1"));
        assert_eq!(mixed.to_string(), "eu-*,us-east-1");
    }
}
