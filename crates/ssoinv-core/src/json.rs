//! Writes JSON text straight into a buffer: how a row's nested values (tags, security groups) become text.
//!
//! AWS's shapes are written by hand for each table, so this is a writer and no document tree: no allocation per value.
//! Keys must be given in sorted order (`sorted` in a debug build), since sorted keys make the same bytes at each run.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};

/// Writes one JSON value. Where nothing is written the value is absent (null).
#[derive(Debug)]
pub struct Json<'a> {
    out: &'a mut Vec<u8>,
}

/// Writes the members of one JSON object, whose names are ours: letters and digits, which need no escapes. A `None` is
/// left out, as AWS leaves out what it doesn't have.
#[derive(Debug)]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
    #[cfg(debug_assertions)]
    last: String,
}

impl<'a> Json<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A string.
    pub fn text(self, value: &str) {
        quote(self.out, value);
    }

    /// An integer.
    pub fn integer(self, value: impl Into<i64>) {
        self.out.extend_from_slice(value.into().to_string().as_bytes());
    }

    /// `true` or `false`.
    pub fn boolean(self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// An object, whose members `members` writes.
    pub fn object(self, members: impl FnOnce(&mut Object<'_>)) {
        self.out.push(b'{');
        let mut object = Object {
            out: &mut *self.out,
            first: true,
            #[cfg(debug_assertions)]
            last: String::new(),
        };
        members(&mut object);
        self.out.push(b'}');
    }

    /// An array: one value for each item.
    pub fn array<T>(self, items: impl IntoIterator<Item = T>, mut each: impl FnMut(Json<'_>, T)) {
        self.out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            each(Json { out: &mut *self.out }, item);
        }
        self.out.push(b']');
    }

    /// An array of strings.
    pub fn texts<T: AsRef<str>>(self, items: impl IntoIterator<Item = T>) {
        self.array(items, |json, item| json.text(item.as_ref()));
    }

    /// An object `{key: value}` of strings, with sorted keys; of a key given twice the last value counts.
    pub fn map<K: AsRef<str>, V: AsRef<str>>(self, pairs: impl IntoIterator<Item = (K, V)>) {
        let sorted: BTreeMap<String, String> = pairs
            .into_iter()
            .map(|(key, value)| (key.as_ref().to_owned(), value.as_ref().to_owned()))
            .collect();
        self.object(|object| {
            for (key, value) in &sorted {
                object.foreign_key(key).text(value);
            }
        });
    }
}

impl Object<'_> {
    /// Begins a member whose name is ours: nothing in it has to be escaped.
    fn key(&mut self, key: &'static str) -> Json<'_> {
        debug_assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric()), "key {key} must be escaped");
        #[cfg(debug_assertions)]
        self.check_order(key);
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        Json { out: &mut *self.out }
    }

    /// Begins a member with any name.
    fn foreign_key(&mut self, key: &str) -> Json<'_> {
        #[cfg(debug_assertions)]
        self.check_order(key);
        self.separate();
        quote(self.out, key);
        self.out.push(b':');
        Json { out: &mut *self.out }
    }

    #[cfg(debug_assertions)]
    fn check_order(&mut self, key: &str) {
        debug_assert!(self.first || self.last.as_str() < key, "key {key} comes after {}", self.last);
        key.clone_into(&mut self.last);
    }

    fn separate(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }

    /// A string member.
    pub fn text<T: AsRef<str>>(&mut self, key: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.key(key).text(value.as_ref());
        }
    }

    /// An integer member.
    pub fn integer(&mut self, key: &'static str, value: Option<impl Into<i64>>) {
        if let Some(value) = value {
            self.key(key).integer(value);
        }
    }

    /// A member that is a number, whole or not. What isn't finite is no JSON, and left out.
    pub fn number(&mut self, key: &'static str, value: Option<f64>) {
        // As AWS writes it: `2`, not `2.0`.
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.key(key).out.extend_from_slice(value.to_string().as_bytes());
        }
    }

    /// A boolean member.
    pub fn boolean(&mut self, key: &'static str, value: Option<bool>) {
        if let Some(value) = value {
            self.key(key).boolean(value);
        }
    }

    /// A time member: RFC 3339, UTC.
    pub fn timestamp(&mut self, key: &'static str, millis: Option<i64>) {
        if let Some(text) = millis.and_then(rfc3339) {
            self.key(key).text(&text);
        }
    }

    /// A member that is an object.
    pub fn object<T>(
        &mut self,
        key: &'static str,
        value: Option<T>,
        members: impl FnOnce(&mut Object<'_>, T),
    ) {
        if let Some(value) = value {
            self.key(key).object(|object| members(object, value));
        }
    }

    /// A member that is an array.
    pub fn array<T>(
        &mut self,
        key: &'static str,
        items: Option<impl IntoIterator<Item = T>>,
        each: impl FnMut(Json<'_>, T),
    ) {
        if let Some(items) = items {
            self.key(key).array(items, each);
        }
    }

    /// A member that is an array of strings.
    pub fn texts<T: AsRef<str>>(&mut self, key: &'static str, items: Option<impl IntoIterator<Item = T>>) {
        self.array(key, items, |json, item| json.text(item.as_ref()));
    }
}

/// A time as text: RFC 3339 in UTC, `2026-01-02T03:04:05Z`, with a fraction only where there is one. `None` where the
/// number is no date of the calendar.
#[must_use]
pub fn rfc3339(millis: i64) -> Option<String> {
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(millis)?;
    Some(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn quote(out: &mut Vec<u8>, text: &str) {
    let written = serde_json::to_writer(&mut *out, text);
    debug_assert!(written.is_ok(), "a vector takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(Json<'_>)) -> String {
        let mut out = Vec::new();
        write(Json::new(&mut out));
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let text = written(|json| {
            json.object(|object| {
                object.text("A", Some("x\u{1b}\""));
                object.text("B", None::<&str>);
                object.object("C", Some(7), |inner, seven| inner.integer("N", Some(seven)));
                object.texts("D", Some(["y", "z"]));
                object.timestamp("E", Some(0));
                object.boolean("F", Some(false));
                object.number("G", Some(1.5));
                object.number("H", Some(f64::NAN));
                object.number("I", Some(2.0));
            });
        });
        assert_eq!(
            text,
            r#"{"A":"x\u001b\"","C":{"N":7},"D":["y","z"],"E":"1970-01-01T00:00:00Z","F":false,"G":1.5,"I":2}"#
        );
    }

    #[test]
    fn maps_are_sorted() {
        assert_eq!(written(|json| json.map([("b", "1"), ("a", "2"), ("b", "3")])), r#"{"a":"2","b":"3"}"#);
    }

    #[test]
    #[should_panic(expected = "comes after")]
    fn unsorted_keys_are_found_in_tests() {
        written(|json| {
            json.object(|object| {
                object.text("B", Some(""));
                object.text("A", Some(""));
            });
        });
    }
}
