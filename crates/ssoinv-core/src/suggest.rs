//! "Did you mean": the existing name that a misspelt name was probably meant to be.

/// Returns the candidate nearest to `name`, if one is near enough. Case is ignored.
///
/// A candidate is near if a third of the name's characters or fewer, at most four, were mistyped, or if both begin much
/// alike.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let allowed = (name.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.to_lowercase();
            let edits = strsim::damerau_levenshtein(&name, &other);
            let similarity = strsim::jaro_winkler(&name, &other);
            (edits <= allowed || similarity >= 0.88).then_some((edits, similarity, candidate))
        })
        .min_by(|one, other| one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)))
        .map(|(_, _, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found() {
        let names = ["prod-admin", "prod-readonly", "staging", "dev"];
        assert_eq!(nearest("prod-raedonly", names), Some("prod-readonly"));
        assert_eq!(nearest("Staging", names), Some("staging"));
        assert_eq!(nearest("stagin", names), Some("staging"));
        assert_eq!(nearest("dve", names), Some("dev"));
        assert_eq!(nearest("payments", names), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn misspelt_keys_find_the_right_key() {
        for (misspelt, meant) in [
            ("sso_accountid", "sso_account_id"),
            ("sso_account", "sso_account_id"),
            ("sso_role", "sso_role_name"),
            ("sso_rolename", "sso_role_name"),
            ("sso-region", "sso_region"),
            ("sso_sesion", "sso_session"),
            ("ssosession", "sso_session"),
        ] {
            let keys = ["sso_start_url", "sso_region", "sso_account_id", "sso_role_name", "sso_session"];
            assert_eq!(nearest(misspelt, keys), Some(meant), "{misspelt}");
        }
    }
}
