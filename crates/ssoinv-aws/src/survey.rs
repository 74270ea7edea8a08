//! Between stations 3 and 5: what can be found out about an account only by asking. Which roles the sign-in has there,
//! which of them is granted, which regions are enabled.
//!
//! The answers lay out the visit's tasks ([`crate::plan`]); whoever was refused becomes cells, as everything that was
//! planned. [`crate::runner`] surveys one account while others are collected already.

use std::sync::Arc;

use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::partition_of_region;
use ssoinv_core::scope::{KNOWN_REGIONS, Partition};
use ssoinv_sso::credentials::CredentialStore;

use crate::plan::{Reach, Regions, RoleSearch, Standing, Start, Visit};
use crate::regions::{self, Enabled, RegionPatterns};
use crate::roles::NO_ROLE;
use crate::runner::{Means, Refusal, is_refusal};

/// Finds out a visit's reaches and regions: those that are one scope together. `on_park` hears when this begins and ends
/// to wait for a sign-in. `regional` tells whether regions are needed at all.
pub(crate) async fn survey(
    visit: &Visit,
    means: &Means,
    regional: bool,
    on_park: impl Fn(bool) + Send + Sync,
) -> Vec<Vec<Reach>> {
    let groups = match &visit.start {
        Start::Reaches(groups) => groups.clone(),
        Start::Roles(search) => match roles(search, &means.context.credentials, &on_park).await {
            Ok(roles) => roles.groups,
            Err(failure) => return vec![vec![broken(&search.reach, failure)]],
        },
    };
    let mut surveyed = Vec::with_capacity(groups.len());
    for group in groups {
        surveyed.extend(if regional { ask_regions(group, means, &on_park).await } else { vec![group] });
    }
    surveyed
}

/// The roles that a sign-in has in an account.
#[derive(Debug)]
pub(crate) struct Roles {
    /// Those that are wanted: as one scope, or each as its own.
    pub(crate) groups: Vec<Vec<Reach>>,
    /// The others.
    pub(crate) unwanted: Vec<String>,
}

/// Asks which roles an account has, and tells those apart that are wanted.
pub(crate) async fn roles(
    search: &RoleSearch,
    store: &CredentialStore,
    on_park: &(impl Fn(bool) + Send + Sync),
) -> Result<Roles, Failure> {
    let Some(account) = search.reach.account_id else {
        return Ok(Roles { groups: vec![vec![search.reach.clone()]], unwanted: Vec::new() });
    };
    let offered = store.account_roles(&search.session, Some(&search.reach.access), account, on_park).await?;
    let chosen = search.choice.choose(&offered);
    if chosen.is_empty() {
        return Err(no_role(&search.choice.to_string(), search.choice.documented, &offered));
    }
    let reaches = chosen.iter().map(|role| search.reach.as_role(&search.session, role));
    let groups =
        if search.every_role { reaches.map(|reach| vec![reach]).collect() } else { vec![reaches.collect()] };
    let unwanted = offered.into_iter().filter(|role| !chosen.contains(role)).collect();
    Ok(Roles { groups, unwanted })
}

/// Of the roles that an account has, none is wanted.
pub(crate) fn no_role(wanted: &str, documented: bool, offered: &[String]) -> Failure {
    let how = if documented { "is known to read only" } else { "matches" };
    let wanted = format!("{how} (`{wanted}`)");
    let message = match offered {
        [] => "the sign-in has no role here".to_owned(),
        offered => format!("no role here {wanted}; there are: `{}`", offered.join("`, `")),
    };
    Failure::new(FailureKind::Denied, message).with_code(NO_ROLE)
}

/// Replaces patterns of regions by the enabled regions that they mean.
async fn ask_regions(
    group: Vec<Reach>,
    means: &Means,
    on_park: &(impl Fn(bool) + Send + Sync),
) -> Vec<Vec<Reach>> {
    let patterns = group.iter().find_map(|reach| match (&reach.regions, &reach.standing) {
        (Regions::Enabled(patterns), Standing::Ready) => Some(Arc::clone(patterns)),
        _ => None,
    });
    let Some(patterns) = patterns else { return vec![group] };
    match enabled(&group, means, on_park).await {
        Ok(enabled) => vec![in_regions(group, &patterns, &enabled)],
        Err(refusals) => refused(group, refusals),
    }
}

/// The enabled regions, as the first reach says that may; where none may, all that are known.
async fn enabled(
    group: &[Reach],
    means: &Means,
    on_park: &(impl Fn(bool) + Send + Sync),
) -> Result<Enabled, Vec<Failure>> {
    let mut refusals = Vec::new();
    let mut unknown = None;
    for reach in group {
        match means.enabled.in_account(means, reach, on_park).await {
            Ok(enabled) => return Ok(enabled),
            Err(Refusal { failure, at_credentials: true }) => refusals.push(failure),
            Err(Refusal { failure, .. }) => {
                let ask_next = is_refusal(failure.kind);
                unknown = Some((reach, failure));
                if !ask_next {
                    break;
                }
            }
        }
    }
    let Some((reach, failure)) = unknown else { return Err(refusals) };
    regions::tell_unknown(means, reach, failure);
    Ok(Arc::new(known(reach.partition)))
}

/// Every region of a partition that this version knows.
pub(crate) fn known(partition: Partition) -> std::collections::BTreeSet<String> {
    let known = KNOWN_REGIONS.iter().copied().filter(|region| partition_of_region(region) == partition);
    known.chain([partition.default_region()]).map(str::to_owned).collect()
}

fn in_regions(group: Vec<Reach>, patterns: &Arc<RegionPatterns>, enabled: &Enabled) -> Vec<Reach> {
    let regions = patterns.select(enabled);
    let regions =
        if regions.is_empty() { Regions::NoneEnabled(Arc::clone(patterns)) } else { Regions::In(regions) };
    group.into_iter().map(|reach| Reach { regions: regions.clone(), ..reach }).collect()
}

/// Nobody of a scope has credentials: each profile's cells have its own failure, a discovered account's have all.
fn refused(group: Vec<Reach>, refusals: Vec<Failure>) -> Vec<Vec<Reach>> {
    let discovered = group.first().is_some_and(|reach| reach.profile.is_none());
    let mut pairs = group.into_iter().zip(refusals);
    if !discovered {
        return pairs.map(|(reach, failure)| vec![broken(&reach, failure)]).collect();
    }
    let Some((first, mut failure)) = pairs.next() else { return Vec::new() };
    for (reach, other) in pairs {
        let code = other.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
        let status = other.kind.status();
        failure.message += &format!("; {}: {}{code}", reach.in_words(), status.as_str());
    }
    vec![vec![broken(&first, failure)]]
}

pub(crate) fn broken(reach: &Reach, failure: Failure) -> Reach {
    // Where it would have looked isn't known, and never will be.
    let regions = match &reach.regions {
        Regions::Enabled(_) => Regions::In(Vec::new()),
        known => known.clone(),
    };
    Reach { regions, standing: Standing::Broken(failure), ..reach.clone() }
}

/// A visit that is given up before it could be surveyed.
pub(crate) fn given_up(visit: &Visit, failure: &Failure) -> Vec<Vec<Reach>> {
    let reaches: Vec<&Reach> = match &visit.start {
        Start::Reaches(groups) => groups.iter().flatten().collect(),
        Start::Roles(search) => vec![&search.reach],
    };
    let first_only = reaches.first().is_some_and(|reach| reach.profile.is_none());
    let kept = if first_only { 1 } else { reaches.len() };
    reaches.into_iter().take(kept).map(|reach| vec![broken(reach, failure.clone())]).collect()
}
