//! The end of station 3: each profile's account, so that the plan that follows depends on the files alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::{AccountId, Partition, partition_of_region};
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::profile::{CredentialSource, Profile};

use crate::plan::{Reach, Regions, Standing};
use crate::stop::Stop;

/// Where regional tables are asked.
#[derive(Clone, Debug)]
pub enum RegionChoice {
    /// There, whatever the profile says.
    Same(Regions),
    /// In each profile's own.
    OfProfile,
}

impl RegionChoice {
    /// For an account that no profile stands for.
    #[must_use]
    pub fn of_account(&self) -> Regions {
        match self {
            Self::Same(regions) => regions.clone(),
            Self::OfProfile => Regions::In(Vec::new()),
        }
    }
}

/// Profiles that are identified at once: those whose account the files don't tell need a call.
const AT_ONCE: usize = 16;

/// How accounts are found out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identify {
    /// Where the files don't tell, AWS does.
    Ask,
    /// From the files alone: the account may stay unknown.
    FromFiles,
}

/// Finds out each profile's account, and the accounts' names as far as `known` doesn't have them. A profile that can't
/// be used comes out as [`Standing::Broken`]; none is lost.
pub async fn reaches(
    profiles: &[Arc<Profile>],
    credentials: &CredentialStore,
    regions: &RegionChoice,
    known: &BTreeMap<AccountId, Arc<str>>,
    how: Identify,
    stop: &Stop,
) -> Vec<Reach> {
    let names = account_names(profiles, credentials, stop);
    let identified = stream::iter(profiles)
        .map(async |profile| identify(profile, credentials, regions, how, stop).await)
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let (names, mut reaches) = futures::join!(names, identified);
    for reach in &mut reaches {
        reach.account_name = reach.account_id.and_then(|id| known.get(&id).or(names.get(&id)).cloned());
    }
    reaches
}

async fn identify(
    profile: &Arc<Profile>,
    credentials: &CredentialStore,
    regions: &RegionChoice,
    how: Identify,
    stop: &Stop,
) -> Reach {
    let of_files = profile.role_arn.as_ref().and_then(|role| Partition::from_name(&role.partition));
    let of_region = || profile.sso_region.as_deref().or(profile.region.as_deref()).map(partition_of_region);
    let mut reach = Reach {
        access: Arc::clone(profile),
        profile: Some(profile.name.as_str().into()),
        partition: of_files.or_else(of_region).unwrap_or_default(),
        account_id: profile.account_id,
        account_name: None,
        role_name: profile.role_name.as_deref().map(Arc::from),
        principal: principal(profile),
        regions: match regions {
            RegionChoice::Same(regions) => regions.clone(),
            RegionChoice::OfProfile => {
                Regions::In(profile.region.as_deref().map(Arc::from).into_iter().collect())
            }
        },
        standing: Standing::Ready,
    };
    if let Some(problem) = profile.blocker(matches!(regions, RegionChoice::OfProfile)) {
        let failure = Failure::new(FailureKind::Misconfigured, problem.message.clone())
            .with_code(format!("{:?}", problem.kind));
        reach.standing = Standing::Broken(failure);
        return reach;
    }
    if matches!(profile.credentials, CredentialSource::None) {
        reach.standing = Standing::Skipped("it has no credentials".to_owned());
        return reach;
    }
    if how == Identify::FromFiles && profile.account_id.is_none() {
        return reach;
    }
    let identity = tokio::select! {
        biased;
        reason = stop.stopped() => Err(reason.failure()),
        identity = credentials.identify(profile, |_| ()) => identity,
    };
    match identity {
        Ok(identity) => {
            reach.account_id = Some(identity.account_id);
            reach.partition = identity.partition;
        }
        Err(failure) => reach.standing = Standing::Broken(failure),
    }
    reach
}

/// Who the calls are made as.
fn principal(profile: &Profile) -> Arc<str> {
    match (&profile.role_arn, &profile.credentials) {
        (Some(role), _) => role.arn.as_str().into(),
        (None, CredentialSource::Sso(role)) => {
            format!("sso {} {} {}", role.session.cache_key(), role.account_id, role.role_name).into()
        }
        (None, _) => profile.name.as_str().into(),
    }
}

/// The names of the accounts that the profiles' sign-ins reach, as far as the portal tells.
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
