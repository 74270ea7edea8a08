//! Settings: flag > `SSOINV_*` variable > `config.toml` > AWS's own variable > default, resolved once into plain structs.
//!
//! [`list`] declares every setting, [`mod@file`] reads `config.toml`, [`layers`] decides between the sources, [`values`]
//! parses. The other modules build the structs that commands read; nothing behind them reads a flag or a variable of
//! ssoinv's.

pub(crate) mod accounts;
mod collect;
mod connection;
pub(crate) mod file;
mod layers;
pub(crate) mod list;
mod output;
mod profile_choice;
mod region_source;
mod sign_in;
pub(crate) mod source;
pub(crate) mod values;

pub(crate) use accounts::{AccountSettings, AssumeSettings, DiscoverySettings};
pub(crate) use collect::CollectSettings;
pub(crate) use connection::ConnectionSettings;
pub(crate) use layers::Layers;
pub(crate) use output::OutputSettings;
pub(crate) use profile_choice::ProfileChoice;
pub(crate) use region_source::RegionSource;
pub(crate) use sign_in::{SignInPolicy, SignInSettings};
