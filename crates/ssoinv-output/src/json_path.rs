//! Picks one value out of a JSON text: `Owner`, `placement.Tenancy`, `[0].GroupId`, `0.GroupId`.
//!
//! A key may hold dots and brackets itself, as tag keys do (`app.kubernetes.io/name`): of the keys that fit the path's
//! beginning the longest is tried first. The value's own text is given back, not another spelling of it.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// The text of the value at `path` in the JSON text `json`; `None` where there is none, or it is null.
pub(crate) fn pick<'a>(json: &'a str, path: &str) -> Option<&'a str> {
    look(json.trim(), path).filter(|found| *found != "null")
}

fn look<'a>(json: &'a str, path: &str) -> Option<&'a str> {
    if path.is_empty() {
        return Some(json);
    }
    match json.as_bytes().first()? {
        b'{' => {
            let members: HashMap<String, &'a RawValue> = serde_json::from_str(json).ok()?;
            let ends = path.match_indices(['.', '[']).map(|(at, _)| at).collect::<Vec<_>>();
            std::iter::once(path.len()).chain(ends.into_iter().rev()).find_map(|end| {
                let member = members.get(&path[..end])?;
                look(member.get(), step(&path[end..])?)
            })
        }
        b'[' => {
            let (index, rest) = match path.strip_prefix('[') {
                Some(inner) => inner.split_once(']')?,
                None => path.split_at(path.find(['.', '[']).unwrap_or(path.len())),
            };
            let items: Vec<&'a RawValue> = serde_json::from_str(json).ok()?;
            look(items.get(index.parse::<usize>().ok()?)?.get(), step(rest)?)
        }
        _ => None,
    }
}

/// What is left of a path behind a key or an index; `None` where it ends in a dot.
fn step(rest: &str) -> Option<&str> {
    match rest.strip_prefix('.') {
        Some("") => None,
        Some(next) => Some(next),
        None => Some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found() {
        let json =
            r#"{"Owner":"bob","a":{"b":{"c":1.50},"b.c":"dotted"},"list":[{"Id":"x"},[null,true]],"n":null}"#;
        let picked = |path| pick(json, path);
        assert_eq!(picked("Owner"), Some(r#""bob""#));
        assert_eq!(picked("a.b"), Some(r#"{"c":1.50}"#));
        assert_eq!(picked("a.b.c"), Some(r#""dotted""#), "the longest key comes first");
        assert_eq!(picked("list[0].Id"), Some(r#""x""#));
        assert_eq!(picked("list.0.Id"), Some(r#""x""#));
        assert_eq!(picked("list[1][1]"), Some("true"));
        for missing in ["n", "x", "Owner.x", "list[7]", "list.x", "list[0", "list[-1]", "a.", "a.b.c.d"] {
            assert_eq!(picked(missing), None, "{missing}");
        }
        assert_eq!(pick(r#"[{"GroupId":"sg-1"}]"#, "[0].GroupId"), Some(r#""sg-1""#));
    }

    #[test]
    fn a_longer_key_that_leads_nowhere_hides_no_shorter_one() {
        let json = r#"{"a.b":"text","a":{"b":{"c":1}},"x[0]":2,"é.ü":3}"#;
        assert_eq!(pick(json, "a.b.c"), Some("1"));
        assert_eq!(pick(json, "a.b"), Some(r#""text""#));
        assert_eq!(pick(json, "x[0]"), Some("2"));
        assert_eq!(pick(json, "é.ü"), Some("3"));
    }

    #[test]
    fn what_is_no_json_has_no_values() {
        assert_eq!(pick("", "a"), None);
        assert_eq!(pick("{broken", "a"), None);
        assert_eq!(pick("[broken", "0"), None);
    }
}
