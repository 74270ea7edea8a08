//! Between stations 3 and 5: what can be found out about an account only by asking. Which roles the sign-in has there,
//! which of them is granted, which regions are enabled.
//!
//! The answers lay out the visit's tasks ([`crate::plan`]); whoever was refused becomes cells, as everything that was
//! planned. [`crate::runner`] surveys one account while others are collected already. What was found out can be written
//! down ([`in_words`]), so that a run that goes on need not ask again ([`of_words`]).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::partition_of_region;
use ssoinv_core::scope::{KNOWN_REGIONS, Partition, is_region_name};
use ssoinv_sso::credential_store::CredentialStore;

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

/// What was found out about a reach.
#[derive(Serialize, Deserialize)]
struct Found {
    /// Whose it is.
    principal: String,
    /// The role, of an account whose roles were listed.
    role: Option<String>,
    /// The regions, where they were asked for.
    regions: Option<Vec<String>>,
}

/// What was found out about a visit, if all of it was.
pub(crate) fn in_words(visit: &Visit, groups: &[Vec<Reach>]) -> Option<String> {
    let listed = matches!(visit.start, Start::Roles(_));
    let found = |reach: &Reach| {
        let regions = match (&reach.regions, &reach.standing) {
            (_, Standing::Broken(_) | Standing::Skipped(_)) => return None,
            (Regions::In(regions), _) => Some(regions.iter().map(ToString::to_string).collect()),
            (Regions::NoneEnabled(_), _) => Some(Vec::new()),
            (Regions::Enabled(_), _) => None,
        };
        let role = reach.role_name.as_deref().filter(|_| listed).map(str::to_owned);
        Some(Found { principal: reach.principal.to_string(), role, regions })
    };
    let groups = groups.iter().map(|group| group.iter().map(found).collect::<Option<Vec<_>>>());
    serde_json::to_string(&groups.collect::<Option<Vec<_>>>()?).ok()
}

/// The reaches of a visit as they were found out once; none where that isn't this visit's any more.
pub(crate) fn of_words(visit: &Visit, words: &str) -> Option<Vec<Vec<Reach>>> {
    let groups: Vec<Vec<Found>> = serde_json::from_str(words).ok()?;
    let known: Vec<&Reach> = match &visit.start {
        Start::Reaches(known) => known.iter().flatten().collect(),
        Start::Roles(_) => Vec::new(),
    };
    let mut known = known.into_iter();
    let mut reach = |found: Found| {
        let mut reach = match &visit.start {
            Start::Reaches(_) => known.next()?.clone(),
            Start::Roles(search) => search.reach.as_role(&search.session, found.role.as_deref()?),
        };
        if *reach.principal != *found.principal {
            return None;
        }
        match (found.regions, &reach.regions) {
            (None, _) => {}
            (Some(regions), Regions::Enabled(patterns)) if regions.is_empty() => {
                reach.regions = Regions::NoneEnabled(Arc::clone(patterns));
            }
            // They become host names.
            (Some(regions), _) if regions.iter().all(|region| is_region_name(region)) => {
                reach.regions = Regions::In(regions.into_iter().map(Arc::from).collect());
            }
            _ => return None,
        }
        Some(reach)
    };
    let groups =
        groups.into_iter().map(|group| group.into_iter().map(&mut reach).collect::<Option<Vec<_>>>());
    let groups = groups.collect::<Option<Vec<_>>>()?;
    let all = known.next().is_none() && groups.iter().all(|group| !group.is_empty());
    all.then_some(groups)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ssoinv_sso::profile::{Location, Profile, SsoSession};

    use super::*;
    use crate::roles::RoleChoice;

    fn asked(profile: &str) -> Reach {
        Reach {
            access: Arc::new(Profile::ambient(&BTreeMap::new())),
            profile: Some(profile.into()),
            partition: Partition::Aws,
            account_id: "111111111111".parse().ok(),
            account_name: None,
            role_name: None,
            principal: profile.into(),
            regions: Regions::Enabled(Arc::new(RegionPatterns::new(["eu-*"]).expect("a glob"))),
            standing: Standing::Ready,
        }
    }

    fn session() -> Arc<SsoSession> {
        let location = Location { file: std::path::Path::new("config").into(), line: 1 };
        Arc::new(SsoSession {
            name: Some("corp".to_owned()),
            start_url: "https://corp.awsapps.com/start".to_owned(),
            start_url_at: location.clone(),
            sso_region: "eu-west-1".to_owned(),
            sso_region_at: location.clone(),
            scopes: Vec::new(),
            location,
        })
    }

    fn of_roles() -> Visit {
        let choice = Arc::new(RoleChoice::new(["*"]).expect("a glob"));
        let reach = Reach { profile: None, ..asked("corp") };
        let search = RoleSearch { reach, session: session(), choice, every_role: true };
        Visit::new(Start::Roles(Box::new(search)))
    }

    fn shown(groups: &[Vec<Reach>]) -> String {
        let reach = |reach: &Reach| {
            let regions = match &reach.regions {
                Regions::In(regions) => regions.join(","),
                Regions::Enabled(patterns) => format!("enabled {patterns}"),
                Regions::NoneEnabled(patterns) => format!("none like {patterns}"),
            };
            let Reach { profile, account_id, role_name, principal, standing, access, .. } = reach;
            format!(
                "{profile:?} {account_id:?} {role_name:?} {principal} {standing:?} {:?} {regions}",
                access.role_name
            )
        };
        let group = |group: &Vec<Reach>| group.iter().map(reach).collect::<Vec<_>>().join("; ");
        groups.iter().map(group).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_was_found_out_comes_back_as_it_was() {
        let profiles = Visit::new(Start::Reaches(vec![vec![asked("a"), asked("b")], vec![asked("c")]]));
        let Start::Reaches(groups) = profiles.start.clone() else { panic!("profiles") };
        let enabled: Enabled = Arc::new(["eu-west-1", "eu-west-2", "us-east-1"].map(str::to_owned).into());
        let none: Enabled = Arc::new(["us-east-1".to_owned()].into());
        let patterns = Arc::new(RegionPatterns::new(["eu-*"]).expect("a glob"));
        let in_all = |enabled: &Enabled| -> Vec<Vec<Reach>> {
            groups.iter().map(|group| in_regions(group.clone(), &patterns, enabled)).collect()
        };
        let of_roles = of_roles();
        let Start::Roles(search) = &of_roles.start else { panic!("roles") };
        let roles =
            ["Audit", "Billing"].map(|role| vec![search.reach.as_role(&search.session, role)]).to_vec();
        for (visit, found) in [
            (&profiles, in_all(&enabled)),
            (&profiles, in_all(&none)),
            // Where no table needs a region.
            (&profiles, groups.clone()),
            (&of_roles, roles.clone()),
            (&of_roles, roles.into_iter().map(|role| in_regions(role, &patterns, &enabled)).collect()),
        ] {
            let words = in_words(visit, &found).expect("all was found out");
            assert_eq!(shown(&of_words(visit, &words).expect("the same visit")), shown(&found), "{words}");
        }
    }

    #[test]
    fn what_was_refused_is_asked_again() {
        let visit = Visit::new(Start::Reaches(vec![vec![asked("a")]]));
        let failure = Failure::new(FailureKind::SignInExpired, "no token");
        assert_eq!(in_words(&visit, &given_up(&visit, &failure)), None);
    }

    #[test]
    fn another_visit_s_words_and_hosts_of_others_are_refused() {
        let visit = Visit::new(Start::Reaches(vec![vec![asked("a"), asked("b")]]));
        let one = |principal: &str, regions: &str| {
            format!(r#"{{"principal":"{principal}","role":null,"regions":{regions}}}"#)
        };
        let (a, b) = (one("a", r#"["eu-west-1"]"#), one("b", "null"));
        assert!(of_words(&visit, &format!("[[{a},{b}]]")).is_some());
        let evil = one("b", r#"["x.evil.example/"]"#);
        for words in [
            format!("[[{a}]]"),
            format!("[[{b},{a}]]"),
            format!("[[{a},{b},{b}]]"),
            format!("[[{a},{b}],[]]"),
            format!("[[{a},{evil}]]"),
            "[]".to_owned(),
            "{".to_owned(),
        ] {
            assert!(of_words(&visit, &words).is_none(), "{words}");
        }
        assert!(of_words(&of_roles(), &format!("[[{a}]]")).is_none());
    }
}
