//! A section's keys and values, and their text without secrets.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::config_edit::line_edit::{Change, FileEdit};
use crate::location::Location;

/// A value and its lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value; a nested property is `\nname = value`.
    pub value: String,
    /// The line of the key.
    pub location: Location,
    /// The number of each line of the value, from 1.
    pub(crate) lines: Vec<usize>,
}

impl Setting {
    /// Returns the last line of the value, below which another key may be inserted.
    #[must_use]
    pub fn end(&self) -> Location {
        let line = self.lines.last().copied().unwrap_or(self.location.line);
        Location { file: Arc::clone(&self.location.file), line }
    }

    /// Returns the changes that delete the key with all lines of its value.
    pub(crate) fn deletion(&self) -> impl Iterator<Item = FileEdit> {
        self.lines.iter().map(|line| {
            let line = Location { file: Arc::clone(&self.location.file), line: *line };
            line.edit(Change::Delete)
        })
    }

    /// Iterates over the properties nested in the value.
    ///
    /// They are `name = value`, each on a line of its own below the key.
    pub(crate) fn nested(&self) -> impl Iterator<Item = (&str, &str, Location)> {
        self.value.split('\n').zip(&self.lines).skip(1).filter_map(|(text, line)| {
            let (key, value) = text.split_once('=')?;
            Some((key.trim(), value.trim(), Location { file: Arc::clone(&self.location.file), line: *line }))
        })
    }
}

/// Keys in lower case, and their values. `Debug` shows [`Settings::masked`].
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Settings(BTreeMap<String, Setting>);

impl Settings {
    /// Returns the setting of a key, given in lower case.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.0.get(key)
    }

    /// Returns the value of a key, given in lower case.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.get(key).map(|setting| setting.value.as_str())
    }

    /// Iterates over all settings by key, secrets included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.0.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// Returns all values by key, with secrets as `***` and an access key ID as its last four characters.
    #[must_use]
    pub fn masked(&self) -> BTreeMap<String, String> {
        self.iter().map(|(key, setting)| (key.to_owned(), mask(key, &setting.value))).collect()
    }

    pub(crate) fn insert(&mut self, key: &str, setting: Setting) -> Option<Setting> {
        self.0.insert(key.to_owned(), setting)
    }

    /// Takes over another section's settings, which win.
    pub(crate) fn extend_from(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(key, setting)| (key.clone(), setting.clone())));
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.masked()).finish()
    }
}

/// Masks a value. Below a harmless key an indented line may hold a secret one, nested or by mistake.
fn mask(key: &str, value: &str) -> String {
    if let Some(masked) = masked_value(key, value) {
        return masked;
    }
    let line = |line: &str| -> String {
        let Some((nested, text)) = line.split_once('=') else { return line.to_owned() };
        match masked_value(nested.trim(), text.trim()) {
            Some(masked) => format!("{nested}={}{masked}", if text.starts_with(' ') { " " } else { "" }),
            None => line.to_owned(),
        }
    };
    let lines: Vec<Cow<'_, str>> = value
        .split('\n')
        .enumerate()
        .map(|(index, text)| if index == 0 { text.into() } else { line(text).into() })
        .collect();
    lines.join("\n")
}

/// Returns the masked value of a secret key; none for other keys.
fn masked_value(key: &str, value: &str) -> Option<String> {
    let key = key.to_ascii_lowercase();
    if key == "aws_access_key_id" {
        // A value shorter than any key ID would be shown nearly whole.
        let shown = value.char_indices().rev().nth(3).filter(|_| value.chars().count() >= 8);
        return Some(format!("***{}", shown.map_or("", |(at, _)| &value[at..])));
    }
    let secret = matches!(key.as_str(), "aws_secret_access_key" | "aws_session_token" | "credential_process")
        || ["_token", "_secret", "_password"].iter().any(|ending| key.ends_with(ending));
    secret.then(|| "***".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_also_where_they_are_nested() {
        for (key, value, shown) in [
            ("region", "us-east-1", "us-east-1"),
            ("aws_secret_access_key", "abc", "***"),
            ("aws_secret_access_key", "abc\ndef", "***"),
            ("aws_session_token", "", "***"),
            ("aws_security_token", "abc", "***"),
            ("credential_process", "vault read x", "***"),
            ("my_password", "abc", "***"),
            ("client_secret", "abc", "***"),
            ("web_identity_token_file", "/run/token", "/run/token"),
            ("aws_access_key_id", "AKIAIOSFODNN7EXAMPLE", "***MPLE"),
            ("aws_access_key_id", "AKIA", "***"),
            ("aws_access_key_id", "", "***"),
            ("s3", "\nendpoint_url = x\nproxy_password = abc", "\nendpoint_url = x\nproxy_password = ***"),
            ("s3", "\nAWS_SESSION_TOKEN=abc", "\nAWS_SESSION_TOKEN=***"),
            ("region", "x\naws_secret_access_key = abc", "x\naws_secret_access_key = ***"),
            ("s3", "\naws_access_key_id = AKIAIOSFODNN7EXAMPLE", "\naws_access_key_id = ***MPLE"),
            ("note", "aws_secret_access_key = not a key here", "aws_secret_access_key = not a key here"),
        ] {
            assert_eq!(mask(key, value), shown, "{key} = {value:?}");
        }
    }
}
