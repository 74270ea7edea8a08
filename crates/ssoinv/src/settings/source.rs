//! Sources of settings, and values with their source.
//!
//! [`super::file`] and [`super::layers`] produce them.

use std::fmt;

use super::list::flag_of;
use super::values::InvalidValue;
use crate::command_error::CommandError;

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettingSource {
    /// The default.
    Default,
    /// A variable of AWS.
    StandIn(&'static str),
    /// A line of the file: `~/.config/ssoinv/config.toml:7`.
    File(String),
    /// A variable of ssoinv.
    Variable(String),
    /// The flag of this setting.
    Flag(&'static str),
}

impl SettingSource {
    fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::StandIn(_) => 1,
            Self::File(_) => 2,
            Self::Variable(_) => 3,
            Self::Flag(_) => 4,
        }
    }

    /// Returns whether this source has precedence over the other.
    pub(super) fn is_above(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    pub(crate) fn is_flag(&self) -> bool {
        matches!(self, Self::Flag(_))
    }

    /// Returns the error for an invalid value from this source.
    pub(super) fn refuse(&self, key: &str, refused: InvalidValue) -> CommandError {
        let InvalidValue { text, wanted, hint } = refused;
        let error = CommandError::usage(match self {
            Self::File(place) => format!("{place}: `{key}` is `{text}`, which is not {wanted}"),
            _ => format!("`{text}` (from {self}) is not {wanted}"),
        });
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl fmt::Display for SettingSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::StandIn(name) => formatter.write_str(name),
            Self::File(name) | Self::Variable(name) => formatter.write_str(name),
            Self::Flag(key) => formatter.write_str(&flag_of(key)),
        }
    }
}

/// The texts of a setting, not parsed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawSetting {
    /// The items of a list; a single text for other forms.
    pub(crate) texts: Vec<String>,
    pub(crate) source: SettingSource,
}

/// A parsed value with its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SettingValue<T> {
    pub(crate) value: T,
    pub(crate) source: SettingSource,
}

/// Splits a list with commas.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
