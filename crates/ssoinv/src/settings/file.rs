//! Reads `config.toml` from the user's configuration folder, or from the path in `SSOINV_CONFIG_FILE`.
//!
//! The current folder is never searched: a checked-out repository must not change an audit. No setting runs a program or
//! sends credentials elsewhere, so the file's owner isn't checked. Such a setting must not be added.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

use ssoinv_core::suggest::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::list::{self, Form};
use super::source::{RawSetting, SettingSource, split};
use crate::command_error::CommandError;
use crate::environment::Environment;

/// The variable that names another file.
pub(crate) const VARIABLE: &str = "SSOINV_CONFIG_FILE";

/// The largest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The settings file, which may not exist.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    /// Its path with the home folder as `~`; none without a home folder.
    pub(crate) place: Option<String>,
    /// True if the file exists.
    pub(crate) found: bool,
    /// The settings by key.
    pub(super) given: BTreeMap<&'static str, RawSetting>,
}

impl ConfigFile {
    /// Reads the file. A missing file is empty, unless the variable names it.
    pub(super) fn read(environment: &Environment) -> Result<Self, CommandError> {
        let named = environment.get(VARIABLE).map(PathBuf::from);
        let usual = || environment.config_folder().map(|folder| folder.join("config.toml"));
        let Some(path) = named.clone().or_else(usual) else { return Ok(Self::default()) };
        let place = environment.shown(&path.to_string_lossy());
        let bytes = match File::open(&path).and_then(read_all) {
            Ok(bytes) => bytes,
            Err(error) if named.is_none() && is_absent(&error) => {
                return Ok(Self { place: Some(place), ..Self::default() });
            }
            Err(error) => {
                let (origin, hint) = match named {
                    Some(_) => (format!(" (from {VARIABLE})"), format!("name a file, or unset `{VARIABLE}`")),
                    None => (String::new(), "make it a file that you can read, or remove it".to_owned()),
                };
                let message = format!("cannot read `{place}`{origin}: {error}");
                return Err(CommandError::usage(message).with_hint(hint));
            }
        };
        let given = parse(&bytes, &place)?;
        Ok(Self { place: Some(place), found: true, given })
    }
}

/// Returns whether there is no such file. A path through something that is no folder counts, like a home `/dev/null`.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn read_all(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}

/// Parses a file into settings by key. Checks the form of values, not their meaning.
fn parse(bytes: &[u8], place: &str) -> Result<BTreeMap<&'static str, RawSetting>, CommandError> {
    let at = |offset: usize| {
        let line = bytes[..offset.min(bytes.len())].split(|&byte| byte == b'\n').count();
        format!("{place}:{line}")
    };
    let text = str::from_utf8(bytes).map_err(|error| {
        CommandError::usage(format!("{}: this is not UTF-8 text", at(error.valid_up_to())))
    })?;
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        CommandError::usage(format!("{}: this is not TOML: {message}", at(offset)))
            .with_hint("a setting is a line like `max_time = \"45m\"`, `concurrency = 64` or `wide = true`")
    })?;
    // In the order of the file, so that the first mistake is reported.
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut given = BTreeMap::new();
    for (key, value) in entries {
        let (key, at) = (key.get_ref().as_ref(), at(key.span().start));
        let Some(setting) = list::ALL.iter().find(|setting| setting.key() == key) else {
            return Err(unknown(key, value.get_ref(), &at));
        };
        let texts = texts(value, setting.form()).map_err(|wrong| {
            CommandError::usage(format!("{at}: `{key}` is {}, not {}", wrong.found, wrong.wanted))
                .with_hint(wrong.hint)
        })?;
        given.insert(setting.key(), RawSetting { texts, source: SettingSource::File(at) });
    }
    Ok(given)
}

fn unknown(key: &str, value: &DeValue<'_>, at: &str) -> CommandError {
    let keys = || list::ALL.iter().map(|setting| setting.key());
    let what = if value.is_table() { format!("section `[{key}]`") } else { format!("setting `{key}`") };
    let error = CommandError::usage(format!("{at}: there is no {what}"))
        .with_details(vec![format!("there are: {}", keys().collect::<Vec<_>>().join(", "))]);
    match nearest(key, keys()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint("a setting is named as its flag is: `max_time` is `--max-time`"),
    }
}

/// A value of the wrong type.
struct WrongType {
    found: String,
    wanted: &'static str,
    hint: &'static str,
}

/// Returns a value as texts, like those of a flag.
fn texts(value: &Spanned<DeValue<'_>>, form: Form) -> Result<Vec<String>, WrongType> {
    let value = value.get_ref();
    let wrong = |wanted, hint| WrongType { found: type_of(value), wanted, hint };
    Ok(match (form, value) {
        (Form::Switch, DeValue::Boolean(on)) => vec![on.to_string()],
        (Form::Switch, _) => return Err(wrong("true or false", "write `true` or `false`, without quotes")),
        (Form::Number, DeValue::Integer(number)) => {
            // A number too large for i64 is invalid for every setting, so its text may stay.
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            vec![parsed.map_or_else(|_| number.to_string(), |number| number.to_string())]
        }
        (Form::Number, _) => return Err(wrong("a whole number", "write its digits, without quotes")),
        (Form::Text, DeValue::String(text)) => vec![text.to_string()],
        (Form::Text, _) => return Err(wrong("a text", "write it in quotes")),
        (Form::List, DeValue::String(text)) => split(text),
        (Form::List, DeValue::Array(items)) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(|text| text.trim().to_owned()));
            let texts: Option<Vec<String>> = texts.collect();
            let odd = || items.iter().map(Spanned::get_ref).find(|item| !item.is_str());
            texts.ok_or_else(|| WrongType {
                found: format!("a list with {} in it", odd().map(type_of).unwrap_or_default()),
                wanted: "a list of texts",
                hint: "write each in quotes, like `[\"one\", \"two\"]`",
            })?
        }
        (Form::List, _) => return Err(wrong("a list of texts", "write it like `[\"one\", \"two\"]`")),
    })
}

fn type_of(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Integer(_) | DeValue::Float(_) => "a number".to_owned(),
        DeValue::Boolean(on) => format!("`{on}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> String {
        let given = parse(text.as_bytes(), "config.toml").unwrap_or_else(|error| panic!("{error:?}"));
        let told =
            given.iter().map(|(key, given)| format!("{key}={} {}", given.texts.join("+"), given.source));
        told.collect::<Vec<_>>().join("; ")
    }

    fn refused(bytes: impl AsRef<[u8]>) -> String {
        let error = parse(bytes.as_ref(), "config.toml").expect_err("a mistake");
        assert_eq!(error.exit.number(), 2);
        format!("{}; {}", error.message, error.hint.unwrap_or_default())
    }

    #[test]
    fn each_form_with_its_line() {
        assert_eq!(given(""), "");
        assert_eq!(given("# nothing\r\n\r\n"), "");
        assert_eq!(given("\u{feff}wide = true"), "wide=true config.toml:1");
        let text = "# mine\nwide = false\n\nconcurrency = 0x20\r\nmax_time = '1h 30m'\nregion = [\n  'eu-west-1',\n  ' us-east-1 ',\n]\n";
        let told = "concurrency=32 config.toml:4; max_time=1h 30m config.toml:5; \
                    region=eu-west-1+us-east-1 config.toml:6; wide=false config.toml:2";
        assert_eq!(given(text), told);
        assert_eq!(given("region = 'eu-west-1, us-east-1,'"), "region=eu-west-1+us-east-1 config.toml:1");
        assert_eq!(given("\"wide\" = true"), "wide=true config.toml:1");
    }

    #[test]
    fn wrong_types_are_named() {
        assert_eq!(
            refused("\nwide = \"true\""),
            "config.toml:2: `wide` is a text, not true or false; write `true` or `false`, without quotes"
        );
        assert_eq!(
            refused("concurrency = '64'"),
            "config.toml:1: `concurrency` is a text, not a whole number; write its digits, without quotes"
        );
        assert_eq!(
            refused("concurrency = 6.4"),
            "config.toml:1: `concurrency` is a number, not a whole number; write its digits, without quotes"
        );
        assert_eq!(
            refused("max_time = 45"),
            "config.toml:1: `max_time` is a number, not a text; write it in quotes"
        );
        assert_eq!(
            refused("output = true"),
            "config.toml:1: `output` is `true`, not a text; write it in quotes"
        );
        assert_eq!(
            refused("output = 2026-01-01"),
            "config.toml:1: `output` is a date, not a text; write it in quotes"
        );
        assert_eq!(
            refused("region = ['eu-west-1', 1]"),
            "config.toml:1: `region` is a list with a number in it, not a list of texts; write each in quotes, like `[\"one\", \"two\"]`"
        );
        assert_eq!(
            refused("[output]\nformat = 'csv'"),
            "config.toml:1: `output` is a table, not a text; write it in quotes"
        );
    }

    #[test]
    fn unknown_names_have_their_nearest() {
        assert_eq!(
            refused("wide = true\nconcurency = 1"),
            "config.toml:2: there is no setting `concurency`; did you mean `concurrency`?"
        );
        assert_eq!(
            refused("max-time = '1h'"),
            "config.toml:1: there is no setting `max-time`; did you mean `max_time`?"
        );
        assert_eq!(refused("WIDE = true"), "config.toml:1: there is no setting `WIDE`; did you mean `wide`?");
        assert_eq!(
            refused("\n\n[profile.dev]\nx = 1"),
            "config.toml:3: there is no section `[profile]`; a setting is named as its flag is: `max_time` is `--max-time`"
        );
        // The first mistake by line, not by name.
        assert_eq!(
            refused("wied = true\nconcurency = 1"),
            "config.toml:1: there is no setting `wied`; did you mean `wide`?"
        );
        assert!(refused("include_secrets = true").starts_with("config.toml:1: there is no setting"));
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        let not_toml = |text: &str, line: usize| {
            let told = refused(text);
            assert!(told.starts_with(&format!("config.toml:{line}: this is not TOML: ")), "{told}");
        };
        not_toml("wide = true\nwide = false", 2);
        not_toml("wide = yes", 1);
        not_toml("\n\noutput = \"csv", 3);
        not_toml("wide", 1);
        not_toml(&format!("region = {}", "[".repeat(100_000)), 1);
        assert_eq!(refused(b"wide = true\noutput = '\xff'"), "config.toml:2: this is not UTF-8 text; ");
    }
}
