//! Resolves profiles to accounts before a plan is made, so that the plan depends on files and portal alone.
//!
//! Called by the binary. Each profile's account is identified once for the process ([`Engine::identify`]); a profile that
//! can't be used becomes an access that says why, and none is lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::{AccountId, Partition, partition_of_region};
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::profile::{CredentialSource, Profile};

use crate::access::{AccessState, AccountAccess, Regions};
use crate::engine::Engine;
use crate::stop::Stop;

/// The regions in which regional tables are read.
#[derive(Clone, Debug)]
pub enum RegionChoice {
    /// These, whatever the profile says.
    Same(Regions),
    /// Each profile's own.
    OfProfile,
}

impl RegionChoice {
    /// Returns the regions of an account that no profile names.
    #[must_use]
    pub fn of_account(&self) -> Regions {
        match self {
            Self::Same(regions) => regions.clone(),
            Self::OfProfile => Regions::In(Vec::new()),
        }
    }
}

/// Profiles that are identified at a time: those whose files don't name the account need a call.
const AT_ONCE: usize = 16;

/// How accounts are identified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identify {
    /// From the files, else by GetCallerIdentity.
    Ask,
    /// From the files alone: the account may stay unknown.
    FromFiles,
}

/// Resolves each profile's account, and the accounts' names as far as `known` doesn't have them.
///
/// A profile that can't be used becomes an access in state [`AccessState::Broken`].
pub async fn resolve_profiles(
    profiles: &[Arc<Profile>],
    engine: &Engine,
    regions: &RegionChoice,
    known: &BTreeMap<AccountId, Arc<str>>,
    how: Identify,
    stop: &Stop,
) -> Vec<AccountAccess> {
    let names = account_names(profiles, engine.credentials(), stop);
    let identified = stream::iter(profiles)
        .map(async |profile| identify(profile, engine, regions, how, stop).await)
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let (names, mut accesses) = futures::join!(names, identified);
    for access in &mut accesses {
        access.account_name = access.account_id.and_then(|id| known.get(&id).or(names.get(&id)).cloned());
    }
    accesses
}

async fn identify(
    profile: &Arc<Profile>,
    engine: &Engine,
    regions: &RegionChoice,
    how: Identify,
    stop: &Stop,
) -> AccountAccess {
    let of_files = profile.role_arn.as_ref().and_then(|role| Partition::from_name(&role.partition));
    let of_region = || profile.sso_region.as_deref().or(profile.region.as_deref()).map(partition_of_region);
    let partition = of_files.or_else(of_region).unwrap_or_default();
    let mut access = AccountAccess::of_profile(profile, partition, profile.account_id);
    access.regions = match regions {
        RegionChoice::Same(regions) => regions.clone(),
        RegionChoice::OfProfile => {
            Regions::In(profile.region.as_deref().map(Arc::from).into_iter().collect())
        }
    };
    if let Some(problem) = profile.blocker(matches!(regions, RegionChoice::OfProfile)) {
        let failure = Failure::new(FailureKind::Misconfigured, problem.message.clone())
            .with_code(format!("{:?}", problem.kind));
        access.state = AccessState::Broken(failure);
        return access;
    }
    if matches!(profile.credentials, CredentialSource::None) {
        access.state = AccessState::Skipped("it has no credentials".to_owned());
        return access;
    }
    if how == Identify::FromFiles && profile.account_id.is_none() {
        return access;
    }
    let identity = tokio::select! {
        biased;
        reason = stop.stopped() => Err(reason.failure()),
        identity = engine.identify(profile) => identity,
    };
    match identity {
        Ok(identity) => {
            access.account_id = Some(identity.account_id);
            access.partition = identity.partition;
        }
        Err(failure) => access.state = AccessState::Broken(failure),
    }
    access
}

/// Returns the names of the accounts that the profiles' sign-ins reach, as far as the portal lists them.
async fn account_names(
    profiles: &[Arc<Profile>],
    credentials: &CredentialStore,
    stop: &Stop,
) -> HashMap<AccountId, Arc<str>> {
    let mut sessions: BTreeMap<&str, &Profile> = BTreeMap::new();
    for profile in profiles.iter().filter(|profile| profile.blocker(false).is_none()) {
        if let Some(session) = profile.credentials.session() {
            sessions.entry(session.cache_key()).or_insert(profile);
        }
    }
    let asked = sessions.into_values().map(async |profile| {
        tokio::select! {
            biased;
            _ = stop.stopped() => BTreeMap::new(),
            names = credentials.account_names(profile, |_| ()) => names,
        }
    });
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}
