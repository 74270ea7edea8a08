//! The regions of a run, and the flag, variable or setting that selects them.

use std::sync::Arc;

use ssoinv_run::access::Regions;
use ssoinv_run::accounts::RegionChoice;
use ssoinv_run::region_patterns::{self, RegionPatterns};

use super::layers::{self, Layers};
use super::list::REGION;
use super::source::{SettingSource, SettingValue};
use super::values::typed;
use crate::cli::SelectionArgs;
use crate::command_error::CommandError;

/// The source of the regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RegionSource {
    /// `--region`, its variable or its setting.
    Named { regions: Arc<RegionPatterns>, source: SettingSource },
    /// A variable of AWS with one region.
    Variable { name: &'static str, region: Arc<str> },
    /// The region of each profile.
    Profiles,
    /// The default of `--all-accounts`: all regions that are enabled in the account.
    Enabled(Arc<RegionPatterns>),
}

impl RegionSource {
    pub(super) fn new(args: &SelectionArgs, layers: &Layers) -> Result<Self, CommandError> {
        let texts = typed(&args.region);
        let flag = if texts.is_empty() { None } else { Some(layers::typed(&REGION, &texts)?) };
        let SettingValue { value: regions, source } = layers.resolve(&REGION, flag)?;
        let patterns = |typed: &[Arc<str>]| match RegionPatterns::new(typed.iter().map(|region| &**region)) {
            Ok(patterns) => Ok(Arc::new(patterns)),
            Err(error) => Err(CommandError::usage(format!("a region is no pattern: {error}"))),
        };
        Ok(match (source, regions.as_slice()) {
            // AWS's variable is for one region and a profile's region for that profile: neither limits all accounts.
            (SettingSource::StandIn(_) | SettingSource::Default, _) if args.all_accounts => {
                Self::Enabled(patterns(&[region_patterns::ALL.into()])?)
            }
            (_, []) => Self::Profiles,
            (SettingSource::StandIn(name), [region, ..]) => {
                Self::Variable { name, region: Arc::clone(region) }
            }
            (source, regions) => Self::Named { regions: patterns(regions)?, source },
        })
    }

    /// Returns the regions in which regional tables are listed.
    pub(crate) fn choice(&self) -> RegionChoice {
        match self {
            Self::Named { regions, .. } | Self::Enabled(regions) => {
                RegionChoice::Same(match regions.names() {
                    Some(names) => Regions::In(names.to_vec()),
                    None => Regions::Enabled(Arc::clone(regions)),
                })
            }
            Self::Variable { region, .. } => RegionChoice::Same(Regions::In(vec![Arc::clone(region)])),
            Self::Profiles => RegionChoice::OfProfile,
        }
    }

    /// Returns the regions to which rows of account-wide tables are limited, if they are.
    pub(crate) fn only(&self) -> Option<Arc<RegionPatterns>> {
        match self {
            Self::Named { regions, .. } if !regions.is_all() => Some(Arc::clone(regions)),
            _ => None,
        }
    }

    /// Returns whether no enabled region is left out.
    pub(crate) fn is_all(&self) -> bool {
        match self {
            Self::Named { regions, .. } | Self::Enabled(regions) => regions.is_all(),
            Self::Variable { .. } | Self::Profiles => false,
        }
    }

    /// Describes the source for the summary.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Named { source, .. } => format!("from `{source}`"),
            Self::Variable { name, .. } => format!("from `{name}`"),
            Self::Profiles => "from the profiles".to_owned(),
            Self::Enabled(_) => "all that are enabled".to_owned(),
        }
    }
}
