//! Names and globs as users type them: accounts, roles, regions, tables.
//!
//! A text with `*`, `?`, `[` or `{` is a glob, since no AWS name contains these characters; any other text is a name.

use std::fmt;

use globset::{Glob, GlobMatcher};

/// Returns true if a text is a glob, and not a name.
#[must_use]
pub fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// A text that isn't a valid glob.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is not a pattern: {reason}")]
pub struct InvalidPattern {
    /// The text.
    pub text: String,
    /// The reason, such as an unclosed bracket.
    pub reason: String,
}

/// A name or a glob.
#[derive(Clone, Debug)]
pub struct NamePattern {
    text: String,
    ignores_case: bool,
    /// None for a name.
    glob: Option<Box<GlobMatcher>>,
}

impl NamePattern {
    /// Parses a pattern that respects case.
    ///
    /// # Errors
    /// When a glob isn't valid.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        Self::parse(text, false)
    }

    /// Parses a pattern that ignores case.
    ///
    /// # Errors
    /// When a glob isn't valid.
    pub fn ignoring_case(text: &str) -> Result<Self, InvalidPattern> {
        Self::parse(text, true)
    }

    fn parse(text: &str, ignores_case: bool) -> Result<Self, InvalidPattern> {
        let invalid = |error: &globset::Error| InvalidPattern {
            text: text.to_owned(),
            reason: error.kind().to_string(),
        };
        // Globs themselves ignore the case of ASCII letters only, so both sides are lowered.
        let lowered = ignores_case.then(|| text.to_lowercase());
        let glob = is_glob(text).then(|| Glob::new(lowered.as_deref().unwrap_or(text))).transpose();
        let glob = glob.map_err(|error| invalid(&error))?.map(|glob| Box::new(glob.compile_matcher()));
        Ok(Self { text: text.to_owned(), ignores_case, glob })
    }

    /// Returns the text as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the name; none if the pattern is a glob.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.glob.is_none().then_some(self.as_str())
    }

    /// Returns true if the pattern matches a name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match (&self.glob, self.ignores_case) {
            (Some(glob), false) => glob.is_match(name),
            (Some(glob), true) => glob.is_match(name.to_lowercase()),
            (None, false) => self.text == name,
            (None, true) => self.text.to_lowercase() == name.to_lowercase(),
        }
    }
}

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.ignores_case == other.ignores_case
    }
}

impl Eq for NamePattern {}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_globs_match() {
        for (pattern, name, expected) in [
            ("prod", "prod", true),
            ("prod", "Prod", false),
            ("prod", "prod-eu", false),
            ("prod-*", "prod-eu", true),
            ("prod-*", "Prod-eu", false),
            ("*", "", true),
            ("pro?", "prod", true),
            ("{eu,us}-*", "us-east-1", true),
            ("[!e]*", "eu", false),
            ("team/*", "team/a/b", true),
            ("a\\b", "a\\b", true),
        ] {
            assert_eq!(NamePattern::new(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        assert_eq!(NamePattern::new("prod").unwrap().name(), Some("prod"));
        assert_eq!(NamePattern::new("prod-*").unwrap().name(), None);
    }

    #[test]
    fn case_is_ignored_on_request_beyond_ascii() {
        for (pattern, name) in [("Zürich", "ZÜRICH"), ("*Ü*", "zürich"), ("PROD-[A-C]", "prod-b")] {
            assert!(NamePattern::ignoring_case(pattern).unwrap().matches(name), "{pattern} {name}");
        }
        assert_ne!(NamePattern::new("a"), NamePattern::ignoring_case("a"));
    }

    #[test]
    fn an_invalid_glob_is_named_with_its_reason() {
        let error = NamePattern::new("[a").unwrap_err();
        assert_eq!(error.to_string(), "`[a` is not a pattern: unclosed character class; missing ']'");
    }
}
