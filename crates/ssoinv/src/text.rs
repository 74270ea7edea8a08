//! Text helpers that messages share: counted nouns, grouped digits, short lists of names, shell quoting.
//!
//! Pure functions. What a message says is decided where the message is made.

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

/// Counts a noun whose plural ends in `s`: `1,204 accounts`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number as u64))
}

/// Groups digits: `1,204`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a hint for a region that isn't known but resembles a known one.
pub(crate) fn region_hint(region: &str) -> Option<String> {
    let known = ssoinv_core::scope::KNOWN_REGIONS;
    if region.is_empty() || region == "global" || known.contains(&region) {
        return None;
    }
    let nearest = ssoinv_profile::nearest(region, known.iter().copied())?;
    Some(format!("this version knows of no region `{region}`; did you mean `{nearest}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1204), "1,204");
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert_eq!(count(1, "bucket"), "1 bucket");
        assert_eq!(count(0, "bucket"), "0 buckets");
    }

    #[test]
    fn names_are_quoted_for_a_shell() {
        assert_eq!(shell_quoted("prod-eu"), "prod-eu");
        assert_eq!(shell_quoted("my prod's"), r"'my prod'\''s'");
    }
}
