//! Text helpers that messages share: grouped digits, counted nouns, short lists of names.

/// Writes a number with its digits in groups of three: `1,204`.
#[must_use]
pub fn thousands(number: u64) -> String {
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

/// Counts a noun whose plural ends in `s`: `1 account`, `1,204 accounts`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number as u64))
}

/// Lists the first `most` names in back-ticks, and the number of further ones: `` `a`, `b` and 2 more ``.
#[must_use]
pub fn quoted_list<N: AsRef<str>>(names: impl IntoIterator<Item = N>, most: usize) -> String {
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(most).map(|name| format!("`{}`", name.as_ref())).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {} more", first.join(", "), thousands(more as u64)),
    }
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
    }

    #[test]
    fn nouns_are_counted() {
        assert_eq!(count(1, "bucket"), "1 bucket");
        assert_eq!(count(0, "bucket"), "0 buckets");
        assert_eq!(count(1204, "bucket"), "1,204 buckets");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(quoted_list(["a"], 2), "`a`");
        assert_eq!(quoted_list(["a", "b"], 2), "`a`, `b`");
        assert_eq!(quoted_list(["a", "b", "c", "d"], 2), "`a`, `b` and 2 more");
    }
}
