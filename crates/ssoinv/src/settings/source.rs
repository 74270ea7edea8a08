//! Where the value of a setting comes from, and what a source says before it is parsed.
//!
//! [`super::file`] and [`super::layers`] produce these values; every reader of a setting may look at the source.

use std::fmt;

use super::list::flag_of;
use super::values::InvalidValue;
use crate::command_error::CommandError;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettingSource {
    /// Nobody said anything.
    Default,
    /// A variable that isn't ssoinv's own.
    StandIn(&'static str),
    /// A line of the file: `~/.config/ssoinv/config.toml:7`.
    File(String),
    /// A variable of ssoinv's.
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

    /// Whether what comes from here counts for more than what comes from there.
    pub(super) fn is_above(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    pub(crate) fn is_flag(&self) -> bool {
        matches!(self, Self::Flag(_))
    }

    /// Says that this is where a wrong value of a setting comes from.
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

/// What a setting is given, outside the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawSetting {
    /// The texts of a list; of anything else the one.
    pub(crate) texts: Vec<String>,
    pub(crate) source: SettingSource,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SettingValue<T> {
    pub(crate) value: T,
    pub(crate) source: SettingSource,
}

/// The parts of a list that is written with commas.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
