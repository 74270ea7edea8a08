//! The list of settings.
//!
//! A setting is one line here: its variable, its key in the file, its row in `ssoinv settings` and suggestions for
//! misspelled names follow from the line. Its description is the help of its flag.

use std::sync::Arc;
use std::time::Duration;

use ssoinv_output::Format;

use super::values::{self, InvalidValue};

/// The prefix of variables.
pub(crate) const PREFIX: &str = "SSOINV_";

/// The form of a value in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `true` or `false`. The flag has a hidden opposite that overrides a setting.
    Switch,
    /// A whole number.
    Number,
    /// A string.
    Text,
    /// A list of strings; with commas in variables.
    List,
}

/// A setting with values of type `T`.
#[derive(Debug)]
pub(crate) struct Setting<T: 'static> {
    /// The key in the file.
    pub(super) key: &'static str,
    form: Form,
    parse: fn(&[&str]) -> Result<T, InvalidValue>,
    pub(super) default: T,
    show: fn(&T) -> Option<String>,
    /// AWS's own variables that stand in, in order of precedence.
    stand_ins: &'static [&'static str],
}

/// Declares settings, and the list of all of them.
macro_rules! settings {
    ($($name:ident: $type:ty = $setting:expr;)*) => {
        $(pub(super) static $name: Setting<$type> = $setting;)*

        /// Every setting, by key.
        pub(crate) static ALL: &[&dyn AnySetting] = &[$(&$name),*];
    };
}

settings! {
    ATTEMPT_TIMEOUT: Duration = time("attempt_timeout", Duration::from_secs(30));
    CONCURRENCY: usize = number("concurrency", 64, |texts| values::concurrency(the_one(texts)));
    CONNECT_TIMEOUT: Duration = time("connect_timeout", Duration::from_secs(5));
    EXCLUDE_ACCOUNT: Vec<Arc<str>> = list("exclude_account", values::accounts);
    EXPECT: Vec<Arc<str>> = list("expect", |texts| Ok(values::once(texts)));
    MAX_TIME: Option<Duration> = optional("max_time", Form::Text, |texts| values::time(the_one(texts)).map(Some));
    NO_BROWSER: bool = switch("no_browser");
    NO_CREDENTIAL_CACHE: bool = switch("no_credential_cache");
    NO_CREDENTIAL_PROCESS: bool = switch("no_credential_process");
    NO_INPUT: bool = switch("no_input");
    OUTPUT: Option<Format> = optional("output", Form::Text, |texts| values::format(the_one(texts)).map(Some));
    PORTAL_RATE: u32 = rate("portal_rate", 20);
    REDIRECT_PORT: Option<u16> = optional("redirect_port", Form::Number, |texts| values::port(the_one(texts)).map(Some));
    REGION: Vec<Arc<str>> = list("region", values::regions).or_from(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
    RETRY_TIME: Duration = time("retry_time", Duration::from_mins(5));
    ROLE: Vec<Arc<str>> = list("role", values::roles);
    SPREADSHEET: bool = switch("spreadsheet");
    SSO_SESSION: Option<String> = optional("sso_session", Form::Text, |texts| Ok(Some(the_one(texts).to_owned())));
    USE_DEVICE_CODE: bool = switch("use_device_code");
    WIDE: bool = switch("wide");
}

const fn switch(key: &'static str) -> Setting<bool> {
    let parse = |texts: &[&str]| values::switch(the_one(texts));
    Setting {
        key,
        form: Form::Switch,
        parse,
        default: false,
        show: |on| Some(on.to_string()),
        stand_ins: &[],
    }
}

const fn number(
    key: &'static str,
    default: usize,
    parse: fn(&[&str]) -> Result<usize, InvalidValue>,
) -> Setting<usize> {
    Setting {
        key,
        form: Form::Number,
        parse,
        default,
        show: |number| Some(number.to_string()),
        stand_ins: &[],
    }
}

const fn rate(key: &'static str, default: u32) -> Setting<u32> {
    let parse = |texts: &[&str]| values::portal_rate(the_one(texts));
    let show = |number: &u32| Some(number.to_string());
    Setting { key, form: Form::Number, parse, default, show, stand_ins: &[] }
}

const fn time(key: &'static str, default: Duration) -> Setting<Duration> {
    let parse = |texts: &[&str]| values::time(the_one(texts));
    let show = |time: &Duration| Some(humantime::format_duration(*time).to_string());
    Setting { key, form: Form::Text, parse, default, show, stand_ins: &[] }
}

/// Returns a setting without a default.
const fn optional<T>(
    key: &'static str,
    form: Form,
    parse: fn(&[&str]) -> Result<Option<T>, InvalidValue>,
) -> Setting<Option<T>> {
    Setting { key, form, parse, default: None, show: |_| None, stand_ins: &[] }
}

const fn list<T>(key: &'static str, parse: fn(&[&str]) -> Result<Vec<T>, InvalidValue>) -> Setting<Vec<T>> {
    Setting { key, form: Form::List, parse, default: Vec::new(), show: |_| None, stand_ins: &[] }
}

/// Returns the text of a value that is no list.
fn the_one<'a>(texts: &[&'a str]) -> &'a str {
    texts.first().copied().unwrap_or_default()
}

impl<T> Setting<T> {
    const fn or_from(mut self, stand_ins: &'static [&'static str]) -> Self {
        self.stand_ins = stand_ins;
        self
    }

    pub(super) fn parse(&self, texts: &[&str]) -> Result<T, InvalidValue> {
        (self.parse)(texts)
    }
}

/// A setting of any type.
pub(crate) trait AnySetting: Sync {
    fn key(&self) -> &'static str;
    fn form(&self) -> Form;
    fn stand_ins(&self) -> &'static [&'static str];
    /// Returns the default as it would be written in the file.
    fn default_text(&self) -> Option<String>;
    /// Returns an error if the texts are no valid value.
    fn check(&self, texts: &[&str]) -> Result<(), InvalidValue>;
}

impl<T: Sync> AnySetting for Setting<T> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn form(&self) -> Form {
        self.form
    }

    fn stand_ins(&self) -> &'static [&'static str] {
        self.stand_ins
    }

    fn default_text(&self) -> Option<String> {
        (self.show)(&self.default)
    }

    fn check(&self, texts: &[&str]) -> Result<(), InvalidValue> {
        self.parse(texts).map(drop)
    }
}

/// Returns the flag of a setting: `--max-time`.
pub(crate) fn flag_of(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// Returns the variable of a setting: `SSOINV_MAX_TIME`.
pub(crate) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_its_defaults_are_values() {
        let keys: Vec<&str> = ALL.iter().map(|setting| setting.key()).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        for setting in ALL {
            if let Some(default) = setting.default_text() {
                assert_eq!(setting.check(&[&default]), Ok(()), "{}", setting.key());
            }
        }
    }

    #[test]
    fn readme_names_each() {
        let readme = include_str!("../../../../README.md");
        let rows = readme.lines().skip_while(|line| !line.starts_with("| setting |")).skip(2);
        let named: Vec<&str> = rows
            .take_while(|line| line.starts_with('|'))
            .filter_map(|line| line.trim_start_matches("| `").split('`').next())
            .collect();
        assert_eq!(named, ALL.iter().map(|setting| setting.key()).collect::<Vec<_>>());
    }
}
