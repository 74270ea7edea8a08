//! One profile: its keys in both files, the credentials that they stand for, and its problems.

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
    /// The name.
    pub name: String,
    /// The start of its section; the config file's if both files have one.
    pub source: Location,
    /// The credential provider of botocore that serves the profile.
    pub kind: ProfileKind,
    /// The account, if the files name it: `sso_account_id`, or the account of `role_arn`.
    pub account_id: Option<AccountId>,
    /// `sso_role_name`, or the name in `role_arn`.
    pub role_name: Option<String>,
    /// The role that the profile assumes, for kinds `assume-role` and `web-identity`.
    pub role_arn: Option<RoleArn>,
    /// `sso_session`.
    pub sso_session: Option<String>,
    /// `sso_region`, from the profile or its sso-session: the region of the Identity Center.
    pub sso_region: Option<String>,
    /// `region`, the one to work in. It may be misspelt; then there is a problem about it.
    pub region: Option<String>,
    /// `ca_bundle`.
    pub ca_bundle: Option<PathBuf>,
    /// `use_fips_endpoint`.
    pub use_fips_endpoint: Option<bool>,
    /// `use_dualstack_endpoint`.
    pub use_dualstack_endpoint: Option<bool>,
    /// The source of its credentials.
    pub credentials: CredentialSource,
    /// The endpoints that it sets; see [`crate::endpoint_for`].
    pub endpoints: ConfiguredEndpoints,
    /// All keys and values, merged: the credentials file wins.
    pub settings: Settings,
    /// Its problems: errors first, then in the order of the files.
    pub problems: Vec<Problem>,
}

impl Profile {
    /// Returns the problem that keeps ssoinv from using the profile, if there is one.
    ///
    /// A `region` that can't be one is such a problem only if `own_region` says that the profile's own region is
    /// needed.
    #[must_use]
    pub fn blocker(&self, own_region: bool) -> Option<&Problem> {
        let region = self.settings.get("region").map(|region| &region.location);
        let of_own_region = |problem: &Problem| {
            problem.kind == ProblemKind::InvalidRegion && Some(&problem.location) == region
        };
        self.problems.iter().find(|problem| problem.blocks && (own_region || !of_own_region(problem)))
    }
}
