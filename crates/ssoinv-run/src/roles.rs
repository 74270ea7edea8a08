//! Which role is taken in an account that a sign-in reaches. Pure; who asks which roles there are: `survey.rs`.
//!
//! What a person prefers comes first, in that order. Who says nothing gets a role only where its name says that it reads:
//! an audit must never pick an administrator by itself.

use std::fmt;

use globset::{Error, Glob, GlobMatcher};
use ssoinv_core::name_pattern::is_glob;

/// The names that are taken where no role is asked for, in order of preference: AWS's own read-only job functions, then
/// what people call such permission sets.
pub const READ_ONLY: [&str; 6] =
    ["SecurityAudit", "ReadOnlyAccess", "ViewOnlyAccess", "*ReadOnly*", "*Audit*", "View*"];

/// The code of the failure of an account in which no role is wanted.
pub const NO_ROLE: &str = "NoMatchingRole";

/// The roles that are wanted, by name or glob, in order of preference.
#[derive(Clone, Debug)]
pub struct RoleChoice {
    patterns: Vec<Pattern>,
    /// Whether these are the documented roles, since the user named none.
    pub documented: bool,
}

#[derive(Clone, Debug)]
enum Pattern {
    Name(String),
    Glob(GlobMatcher),
}

impl Pattern {
    fn new(text: &str) -> Result<Self, Error> {
        if !is_glob(text) {
            return Ok(Self::Name(text.to_owned()));
        }
        Ok(Self::Glob(Glob::new(text)?.compile_matcher()))
    }

    fn matches(&self, role: &str) -> bool {
        match self {
            Self::Name(name) => name == role,
            Self::Glob(glob) => glob.is_match(role),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Glob(glob) => glob.glob().glob(),
        }
    }
}

impl RoleChoice {
    /// Roles by name or glob, in order of preference; the documented ones where there are none.
    ///
    /// # Errors
    /// Where a glob isn't one.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut patterns = patterns.into_iter().map(Pattern::new).collect::<Result<Vec<_>, _>>()?;
        let documented = patterns.is_empty();
        if documented {
            patterns = READ_ONLY.into_iter().map(Pattern::new).collect::<Result<_, _>>()?;
        }
        Ok(Self { patterns, documented })
    }

    /// Returns the names if there is no glob among them: then an account's roles need not be listed.
    #[must_use]
    pub fn names(&self) -> Option<Vec<&str>> {
        fn name(pattern: &Pattern) -> Option<&str> {
            match pattern {
                Pattern::Name(name) => Some(name),
                Pattern::Glob(_) => None,
            }
        }
        if self.documented {
            return None;
        }
        self.patterns.iter().map(name).collect()
    }

    /// Those of an account's roles that are wanted, in order of preference; those that one glob means, by name.
    #[must_use]
    pub fn choose(&self, offered: &[String]) -> Vec<String> {
        let mut chosen: Vec<String> = Vec::new();
        for pattern in &self.patterns {
            let mut meant: Vec<&String> =
                offered.iter().filter(|role| pattern.matches(role) && !chosen.contains(role)).collect();
            meant.sort_unstable();
            meant.dedup();
            chosen.extend(meant.into_iter().cloned());
        }
        chosen
    }
}

impl fmt::Display for RoleChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.patterns.iter().map(Pattern::as_str).collect();
        f.write_str(&texts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(patterns: &[&str], offered: &[&str]) -> String {
        let offered: Vec<String> = offered.iter().map(|&role| role.to_owned()).collect();
        RoleChoice::new(patterns.iter().copied()).expect("patterns").choose(&offered).join(" ")
    }

    #[test]
    fn preference_comes_before_the_alphabet() {
        let offered = ["Admin", "AuditB", "AuditA", "ReadOnlyAccess"];
        assert_eq!(choose(&["ReadOnlyAccess", "Audit*"], &offered), "ReadOnlyAccess AuditA AuditB");
        assert_eq!(choose(&["Audit*", "*"], &offered), "AuditA AuditB Admin ReadOnlyAccess");
        assert_eq!(choose(&["Nobody"], &offered), "");
        assert_eq!(choose(&["audit*"], &offered), "", "names are told apart by case, as AWS does");
    }

    #[test]
    fn who_says_nothing_never_gets_an_administrator() {
        let offered = ["AdministratorAccess", "PowerUserAccess", "Billing", "Root"];
        assert_eq!(choose(&[], &offered), "");
        let offered =
            ["AWSReadOnlyAccess", "ViewBilling", "TeamAudit", "ViewOnlyAccess", "SecurityAudit", "Admin"];
        assert_eq!(
            choose(&[], &offered),
            "SecurityAudit ViewOnlyAccess AWSReadOnlyAccess TeamAudit ViewBilling"
        );
    }

    #[test]
    fn plain_names_need_no_list() {
        let names = |patterns: &[&str]| {
            let choice = RoleChoice::new(patterns.iter().copied()).expect("patterns");
            choice.names().map(|names| names.join(" "))
        };
        assert_eq!(names(&["B", "A"]).as_deref(), Some("B A"));
        assert_eq!(names(&["A", "B*"]), None);
        assert_eq!(names(&[]), None, "the documented ones are for accounts that have them");
        assert!(RoleChoice::new(["a[b"]).is_err());
    }
}
