//! The selection of profiles.

use crate::cli::ProfileArgs;
use crate::environment::Environment;

/// A selection of profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProfileChoice {
    /// `--all-profiles`.
    All,
    /// `--profile`, as typed.
    Flag(Vec<String>),
    /// A variable that names one profile.
    Variable { name: &'static str, profile: String },
    /// Neither flag nor variable: the profile `default`.
    Default,
}

impl ProfileChoice {
    pub(crate) fn new(args: &ProfileArgs, environment: &Environment) -> Self {
        if args.all_profiles {
            return Self::All;
        }
        if !args.profile.is_empty() {
            return Self::Flag(args.profile.clone());
        }
        // The AWS CLI's order, https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
        ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]
            .into_iter()
            .find_map(|name| Some(Self::Variable { name, profile: environment.get(name)?.to_owned() }))
            .unwrap_or(Self::Default)
    }
}
