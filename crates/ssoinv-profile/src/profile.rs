//! One profile: what the two files hold of it, what it stands for, and what is wrong with it.

use std::path::PathBuf;

use ssoinv_core::scope::AccountId;

use crate::credential_source::{CredentialSource, ProfileKind};
use crate::endpoints::ConfiguredEndpoints;
use crate::location::Location;
use crate::names::RoleArn;
use crate::problem::{Problem, ProblemKind};
use crate::settings::Settings;

/// A profile, merged from both files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Where it starts; in the config file where it is in both.
    pub source: Location,
    /// Which of botocore's providers answers for it.
    pub kind: ProfileKind,
    /// Its account, where the files alone tell: `sso_account_id`, or the account of `role_arn`.
    pub account_id: Option<AccountId>,
    /// `sso_role_name`, or the name in `role_arn`.
    pub role_name: Option<String>,
    /// The role that the profile assumes, for kinds `assume-role` and `web-identity`.
    pub role_arn: Option<RoleArn>,
    /// `sso_session`.
    pub sso_session: Option<String>,
    /// `sso_region`, from the profile or its sso-session: the region of the Identity Center.
    pub sso_region: Option<String>,
    /// `region`, the one to work in. It may be misspelt; then there is a problem that says so.
    pub region: Option<String>,
    /// `ca_bundle`.
    pub ca_bundle: Option<PathBuf>,
    /// `use_fips_endpoint`.
    pub use_fips_endpoint: Option<bool>,
    /// `use_dualstack_endpoint`.
    pub use_dualstack_endpoint: Option<bool>,
    /// Where its credentials come from.
    pub credentials: CredentialSource,
    /// What it says of endpoints; see [`endpoint_for`].
    pub endpoints: ConfiguredEndpoints,
    /// All its keys and values, merged: one of the credentials file wins.
    pub settings: Settings,
    /// What is wrong with it: errors first, then in the order of the files.
    pub problems: Vec<Problem>,
}

impl Profile {
    /// What keeps ssoinv from using the profile, if anything does.
    ///
    /// A `region` that can't be one does so only where `own_region` says that the profile's own is needed.
    #[must_use]
    pub fn blocker(&self, own_region: bool) -> Option<&Problem> {
        let region = self.settings.get("region").map(|region| &region.location);
        let of_own_region = |problem: &Problem| {
            problem.kind == ProblemKind::InvalidRegion && Some(&problem.location) == region
        };
        self.problems.iter().find(|problem| problem.blocks && (own_region || !of_own_region(problem)))
    }
}
