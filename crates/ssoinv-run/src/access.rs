//! [`AccountAccess`]: one identity that reaches one account, and where it is to read.
//!
//! Made by [`crate::accounts`] from profiles and by the binary from discovered accounts; [`crate::plan`] groups accesses
//! of one account, [`crate::engine`] makes calls with them. Pure data: no call is made here.

use std::sync::Arc;

use ssoinv_core::failure::Failure;
use ssoinv_core::scope::{AccountId, Partition, Place, Scope, is_region_name, partition_of_region};
use ssoinv_sso::profile::{CredentialSource, Profile, SsoSession};

use crate::region_patterns::RegionPatterns;

/// One identity that reaches one account: a profile, or a role of the sign-in.
#[derive(Clone, Debug)]
pub struct AccountAccess {
    /// The profile whose credentials, endpoints and certificates calls use; made up for a discovered role.
    pub source: Arc<Profile>,
    /// The profile's name; none for a discovered account, which no file names.
    pub profile: Option<Arc<str>>,
    /// The partition of the account.
    pub partition: Partition,
    /// The account; unknown for some profiles that can't be used.
    pub account_id: Option<AccountId>,
    /// The account's name.
    pub account_name: Option<Arc<str>>,
    /// The role's name.
    pub role_name: Option<Arc<str>>,
    /// The identity behind the calls, which `--every-role` keeps apart. Two profiles with one role are one principal.
    pub principal: Arc<str>,
    /// The regions in which regional tables are read.
    pub regions: Regions,
    /// Whether the access can be used.
    pub state: AccessState,
}

impl AccountAccess {
    /// Returns the access of a profile, without regions.
    #[must_use]
    pub fn of_profile(profile: &Arc<Profile>, partition: Partition, account_id: Option<AccountId>) -> Self {
        Self {
            source: Arc::clone(profile),
            profile: Some(profile.name.as_str().into()),
            partition,
            account_id,
            account_name: None,
            role_name: profile.role_name.as_deref().map(Arc::from),
            principal: principal(profile),
            regions: Regions::In(Vec::new()),
            state: AccessState::Ready,
        }
    }

    /// Returns the scope of this access at `place`.
    #[must_use]
    pub fn scope(&self, place: Place) -> Scope {
        Scope {
            partition: self.partition,
            account_id: self.account_id,
            account_name: self.account_name.clone(),
            role_name: self.role_name.clone(),
            profile: self.profile.clone(),
            place,
        }
    }

    /// Describes the access as messages name it: ``profile `dev` ``.
    #[must_use]
    pub fn describe(&self) -> String {
        match (&self.profile, &self.role_name) {
            (Some(profile), _) => format!("profile `{profile}`"),
            (None, Some(role)) => format!("role `{role}`"),
            (None, None) => "the sign-in".to_owned(),
        }
    }

    /// Returns the access to the same account through a role of the sign-in.
    #[must_use]
    pub fn as_role(&self, session: &Arc<SsoSession>, role: &str) -> Self {
        let Some(account) = self.account_id else { return self.clone() };
        Self {
            source: Arc::new(self.source.in_account(session, account, role)),
            role_name: Some(role.into()),
            principal: format!("sso {} {account} {role}", session.cache_key()).into(),
            ..self.clone()
        }
    }

    /// Returns the regions that may answer for `place`, in the order in which they are called.
    ///
    /// For a whole account that is the partition's own region, whatever the environment says, so that no value depends on
    /// the environment: S3, for one, gives the creation date of a bucket only there. If that region is denied, the regions
    /// of `named` and the profile's own follow.
    #[must_use]
    pub fn regions_to_call<'a>(
        &'a self,
        place: &Place,
        named: impl IntoIterator<Item = &'a str>,
    ) -> Vec<Arc<str>> {
        if let Place::Region(region) = place {
            return vec![Arc::clone(region)];
        }
        let mut regions: Vec<Arc<str>> = vec![self.partition.default_region().into()];
        for region in named.into_iter().chain(self.source.region.as_deref()) {
            let usable = is_region_name(region) && partition_of_region(region) == self.partition;
            if usable && !regions.iter().any(|known| &**known == region) {
                regions.push(region.into());
            }
        }
        regions
    }

    /// Returns the account ID, or the profile's name if the ID is unknown.
    #[must_use]
    pub fn account_key(&self) -> &str {
        let id = self.account_id.as_ref().map(AccountId::as_str);
        id.or(self.profile.as_deref()).unwrap_or_default()
    }

    /// Returns the regions as far as they are known.
    pub(crate) fn known_regions(&self) -> &[Arc<str>] {
        match &self.regions {
            Regions::In(regions) => regions,
            Regions::Enabled(_) | Regions::NoneEnabled(_) => &[],
        }
    }
}

/// The regions in which an account is read.
#[derive(Clone, Debug)]
pub enum Regions {
    /// These, without repetition.
    In(Vec<Arc<str>>),
    /// The enabled ones that match; DescribeRegions lists them during the run.
    Enabled(Arc<RegionPatterns>),
    /// DescribeRegions listed the enabled regions, and none matches.
    NoneEnabled(Arc<RegionPatterns>),
}

/// Whether an access can be used.
#[derive(Clone, Debug)]
pub enum AccessState {
    /// The account is known, and credentials may be requested.
    Ready,
    /// The access can't be used; its cells end with this failure.
    Broken(Failure),
    /// The access isn't meant to be used, for this reason (no credentials of its own); its cells are `skipped`.
    Skipped(String),
}

/// Returns the identity behind a profile's calls.
pub(crate) fn principal(profile: &Profile) -> Arc<str> {
    match (&profile.role_arn, &profile.credentials) {
        (Some(role), _) => role.arn.as_str().into(),
        (None, CredentialSource::Sso(role)) => {
            format!("sso {} {} {}", role.session.cache_key(), role.account_id, role.role_name).into()
        }
        (None, _) => profile.name.as_str().into(),
    }
}
