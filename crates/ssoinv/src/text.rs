//! Text helpers of the binary's messages: short lists of names, account labels, shell quoting, region hints.
//!
//! Pure functions. What a message says is decided where the message is made.

use ssoinv_core::suggest::nearest;
use ssoinv_core::text::thousands;

use crate::terminal::{Terminal, Verbosity};

/// Number of names that a message lists without `-v`.
const FIRST_FEW: usize = 2;

/// Lists the first few names, or all with `-v`.
pub(crate) fn few(names: &[String], terminal: &Terminal) -> String {
    let told = if terminal.verbosity >= Verbosity::Verbose { names.len() } else { FIRST_FEW };
    let (first, rest) = names.split_at(names.len().min(told));
    match rest.len() {
        0 => first.join(", "),
        more => format!("{} and {} more", first.join(", "), thousands(more as u64)),
    }
}

/// Returns the name and ID of an account for messages.
pub(crate) fn account_label(id: &str, name: Option<&str>) -> String {
    name.map_or_else(|| id.to_owned(), |name| format!("`{name}` ({id})"))
}

/// Quotes a name for a POSIX shell.
pub(crate) fn shell_quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_.@/+:".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

/// Returns a hint for a region that isn't known but resembles a known one.
pub(crate) fn region_hint(region: &str) -> Option<String> {
    let known = ssoinv_core::scope::KNOWN_REGIONS;
    if region.is_empty() || region == "global" || known.contains(&region) {
        return None;
    }
    let nearest = nearest(region, known.iter().copied())?;
    Some(format!("this version knows of no region `{region}`; did you mean `{nearest}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_for_a_shell() {
        assert_eq!(shell_quoted("prod-eu"), "prod-eu");
        assert_eq!(shell_quoted("my prod's"), r"'my prod'\''s'");
    }
}
