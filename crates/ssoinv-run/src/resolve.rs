//! Resolves what can be known of an account only from AWS: its roles, which of them is granted, its enabled regions.
//!
//! Called by [`crate::runner`] for one account while others are read already, and by [`crate::estimate`] for roles. The
//! results lay out the account's tasks ([`crate::plan`]); what was refused becomes ledger cells, like everything that was
//! planned. They can be recorded ([`to_json`]), so that a resumed run need not resolve them again ([`from_json`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::{KNOWN_REGIONS, Partition, is_region_name, partition_of_region};
use ssoinv_http::scoped_calls::CallError;
use ssoinv_sso::credential_store::CredentialStore;

use crate::access::{AccessState, AccountAccess, Regions};
use crate::account_scan::{AccountScan, RoleSearch, Start};
use crate::engine::{EnabledRegions, Engine};
use crate::region_patterns::RegionPatterns;
use crate::roles::NO_ROLE;
use crate::task_scan::is_denial;

type OnPark<'a> = &'a (dyn Fn(bool) + Send + Sync);

/// Resolves an account's accesses and regions; accesses that are one scope stand together.
///
/// `on_park` is called with `true` before and `false` after a wait for a sign-in. Regions are resolved if `regional`.
pub(crate) async fn resolve(
    scan: &AccountScan,
    engine: &Arc<Engine>,
    regional: bool,
    on_park: OnPark<'_>,
) -> Vec<Vec<AccountAccess>> {
    let groups = match &scan.start {
        Start::Accesses(groups) => groups.clone(),
        Start::Roles(search) => match roles(search, engine.credentials(), on_park).await {
            Ok(roles) => roles.groups,
            Err(failure) => return vec![vec![broken(&search.access, failure)]],
        },
    };
    let mut resolved = Vec::with_capacity(groups.len());
    for group in groups {
        resolved.extend(if regional { with_regions(group, engine, on_park).await } else { vec![group] });
    }
    resolved
}

/// The roles that a sign-in has in an account.
#[derive(Debug)]
pub(crate) struct Roles {
    /// The wanted roles: as one scope, or each as its own.
    pub(crate) groups: Vec<Vec<AccountAccess>>,
    /// The other roles.
    pub(crate) unwanted: Vec<String>,
}

/// Lists the roles that an account has, and separates the wanted from the others.
pub(crate) async fn roles(
    search: &RoleSearch,
    store: &CredentialStore,
    on_park: OnPark<'_>,
) -> Result<Roles, Failure> {
    let Some(account) = search.access.account_id else {
        return Ok(Roles { groups: vec![vec![search.access.clone()]], unwanted: Vec::new() });
    };
    let offered = store.account_roles(&search.session, Some(&search.access.source), account, on_park).await?;
    let chosen = search.choice.choose(&offered);
    if chosen.is_empty() {
        return Err(no_role(&search.choice.to_string(), search.choice.documented, &offered));
    }
    let accesses = chosen.iter().map(|role| search.access.as_role(&search.session, role));
    let groups = if search.every_role {
        accesses.map(|access| vec![access]).collect()
    } else {
        vec![accesses.collect()]
    };
    let unwanted = offered.into_iter().filter(|role| !chosen.contains(role)).collect();
    Ok(Roles { groups, unwanted })
}

/// The failure of an account that has none of the wanted roles.
pub(crate) fn no_role(wanted: &str, documented: bool, offered: &[String]) -> Failure {
    let how = if documented { "is known to read only" } else { "matches" };
    let wanted = format!("{how} (`{wanted}`)");
    let message = match offered {
        [] => "the sign-in has no role here".to_owned(),
        offered => format!("no role here {wanted}; there are: `{}`", offered.join("`, `")),
    };
    Failure::new(FailureKind::Denied, message).with_code(NO_ROLE)
}

/// Replaces region patterns by the enabled regions that match them.
async fn with_regions(
    group: Vec<AccountAccess>,
    engine: &Arc<Engine>,
    on_park: OnPark<'_>,
) -> Vec<Vec<AccountAccess>> {
    let patterns = group.iter().find_map(|access| match (&access.regions, &access.state) {
        (Regions::Enabled(patterns), AccessState::Ready) => Some(Arc::clone(patterns)),
        _ => None,
    });
    let Some(patterns) = patterns else { return vec![group] };
    match enabled(&group, engine, on_park).await {
        Ok(enabled) => vec![in_regions(group, &patterns, &enabled)],
        Err(refusals) => refused(group, refusals),
    }
}

/// Returns the enabled regions, from the first access that may list them; if none may, all known regions.
async fn enabled(
    group: &[AccountAccess],
    engine: &Arc<Engine>,
    on_park: OnPark<'_>,
) -> Result<EnabledRegions, Vec<Failure>> {
    let mut refusals = Vec::new();
    let mut unknown = None;
    for access in group {
        match engine.enabled_regions(access, on_park).await {
            Ok(enabled) => return Ok(enabled),
            Err(CallError { failure, without_credentials: true }) => refusals.push(failure),
            Err(CallError { failure, .. }) => {
                let ask_next = is_denial(failure.kind);
                unknown = Some((access, failure));
                if !ask_next {
                    break;
                }
            }
        }
    }
    let Some((access, failure)) = unknown else { return Err(refusals) };
    engine.report_unknown_regions(access, failure);
    Ok(Arc::new(known(access.partition)))
}

/// Returns every region of a partition that this version knows.
pub(crate) fn known(partition: Partition) -> BTreeSet<String> {
    let known = KNOWN_REGIONS.iter().copied().filter(|region| partition_of_region(region) == partition);
    known.chain([partition.default_region()]).map(str::to_owned).collect()
}

fn in_regions(
    group: Vec<AccountAccess>,
    patterns: &Arc<RegionPatterns>,
    enabled: &EnabledRegions,
) -> Vec<AccountAccess> {
    let regions = patterns.select(enabled);
    let regions =
        if regions.is_empty() { Regions::NoneEnabled(Arc::clone(patterns)) } else { Regions::In(regions) };
    group.into_iter().map(|access| AccountAccess { regions: regions.clone(), ..access }).collect()
}

/// Marks a scope for which no credentials could be had: each profile's cells have its own failure, those of a discovered
/// account the failures of all roles.
fn refused(group: Vec<AccountAccess>, refusals: Vec<Failure>) -> Vec<Vec<AccountAccess>> {
    let discovered = group.first().is_some_and(|access| access.profile.is_none());
    let mut pairs = group.into_iter().zip(refusals);
    if !discovered {
        return pairs.map(|(access, failure)| vec![broken(&access, failure)]).collect();
    }
    let Some((first, mut failure)) = pairs.next() else { return Vec::new() };
    for (access, other) in pairs {
        let code = other.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
        let status = other.kind.status();
        failure.message += &format!("; {}: {}{code}", access.describe(), status.as_str());
    }
    vec![vec![broken(&first, failure)]]
}

pub(crate) fn broken(access: &AccountAccess, failure: Failure) -> AccountAccess {
    // Which regions it would have read isn't known, and never will be.
    let regions = match &access.regions {
        Regions::Enabled(_) => Regions::In(Vec::new()),
        known => known.clone(),
    };
    AccountAccess { regions, state: AccessState::Broken(failure), ..access.clone() }
}

/// Returns the accesses of an account that is given up before it could be resolved.
pub(crate) fn given_up(scan: &AccountScan, failure: &Failure) -> Vec<Vec<AccountAccess>> {
    let accesses: Vec<&AccountAccess> = match &scan.start {
        Start::Accesses(groups) => groups.iter().flatten().collect(),
        Start::Roles(search) => vec![&search.access],
    };
    let first_only = accesses.first().is_some_and(|access| access.profile.is_none());
    let kept = if first_only { 1 } else { accesses.len() };
    accesses.into_iter().take(kept).map(|access| vec![broken(access, failure.clone())]).collect()
}

/// What was resolved of one access.
#[derive(Serialize, Deserialize)]
struct Resolution {
    /// The identity behind the access.
    principal: String,
    /// The role, if the account's roles were listed.
    role: Option<String>,
    /// The regions, if they were resolved.
    regions: Option<Vec<String>>,
}

/// Records what was resolved of an account, if all of it was.
pub(crate) fn to_json(scan: &AccountScan, groups: &[Vec<AccountAccess>]) -> Option<String> {
    let listed = matches!(scan.start, Start::Roles(_));
    let found = |access: &AccountAccess| {
        let regions = match (&access.regions, &access.state) {
            (_, AccessState::Broken(_) | AccessState::Skipped(_)) => return None,
            (Regions::In(regions), _) => Some(regions.iter().map(ToString::to_string).collect()),
            (Regions::NoneEnabled(_), _) => Some(Vec::new()),
            (Regions::Enabled(_), _) => None,
        };
        let role = access.role_name.as_deref().filter(|_| listed).map(str::to_owned);
        Some(Resolution { principal: access.principal.to_string(), role, regions })
    };
    let groups = groups.iter().map(|group| group.iter().map(found).collect::<Option<Vec<_>>>());
    serde_json::to_string(&groups.collect::<Option<Vec<_>>>()?).ok()
}

/// Returns an account's accesses as recorded; none if the record doesn't fit the account any more.
pub(crate) fn from_json(scan: &AccountScan, recorded: &str) -> Option<Vec<Vec<AccountAccess>>> {
    let groups: Vec<Vec<Resolution>> = serde_json::from_str(recorded).ok()?;
    let known: Vec<&AccountAccess> = match &scan.start {
        Start::Accesses(known) => known.iter().flatten().collect(),
        Start::Roles(_) => Vec::new(),
    };
    let mut known = known.into_iter();
    let mut access = |found: Resolution| {
        let mut access = match &scan.start {
            Start::Accesses(_) => known.next()?.clone(),
            Start::Roles(search) => search.access.as_role(&search.session, found.role.as_deref()?),
        };
        if *access.principal != *found.principal {
            return None;
        }
        match (found.regions, &access.regions) {
            (None, _) => {}
            (Some(regions), Regions::Enabled(patterns)) if regions.is_empty() => {
                access.regions = Regions::NoneEnabled(Arc::clone(patterns));
            }
            // They become parts of host names.
            (Some(regions), _) if regions.iter().all(|region| is_region_name(region)) => {
                access.regions = Regions::In(regions.into_iter().map(Arc::from).collect());
            }
            _ => return None,
        }
        Some(access)
    };
    let groups =
        groups.into_iter().map(|group| group.into_iter().map(&mut access).collect::<Option<Vec<_>>>());
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

    fn asked(profile: &str) -> AccountAccess {
        AccountAccess {
            source: Arc::new(Profile::ambient(&BTreeMap::new())),
            profile: Some(profile.into()),
            partition: Partition::Aws,
            account_id: "111111111111".parse().ok(),
            account_name: None,
            role_name: None,
            principal: profile.into(),
            regions: Regions::Enabled(Arc::new(RegionPatterns::new(["eu-*"]).expect("a glob"))),
            state: AccessState::Ready,
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

    fn of_roles() -> AccountScan {
        let choice = Arc::new(RoleChoice::new(["*"]).expect("a glob"));
        let access = AccountAccess { profile: None, ..asked("corp") };
        let search = RoleSearch { access, session: session(), choice, every_role: true };
        AccountScan::new(Start::Roles(Box::new(search)))
    }

    fn shown(groups: &[Vec<AccountAccess>]) -> String {
        let access = |access: &AccountAccess| {
            let regions = match &access.regions {
                Regions::In(regions) => regions.join(","),
                Regions::Enabled(patterns) => format!("enabled {patterns}"),
                Regions::NoneEnabled(patterns) => format!("none like {patterns}"),
            };
            let AccountAccess { profile, account_id, role_name, principal, state, source, .. } = access;
            format!(
                "{profile:?} {account_id:?} {role_name:?} {principal} {state:?} {:?} {regions}",
                source.role_name
            )
        };
        let group = |group: &Vec<AccountAccess>| group.iter().map(access).collect::<Vec<_>>().join("; ");
        groups.iter().map(group).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_was_found_out_comes_back_as_it_was() {
        let profiles =
            AccountScan::new(Start::Accesses(vec![vec![asked("a"), asked("b")], vec![asked("c")]]));
        let Start::Accesses(groups) = profiles.start.clone() else { panic!("profiles") };
        let enabled: EnabledRegions =
            Arc::new(["eu-west-1", "eu-west-2", "us-east-1"].map(str::to_owned).into());
        let none: EnabledRegions = Arc::new(["us-east-1".to_owned()].into());
        let patterns = Arc::new(RegionPatterns::new(["eu-*"]).expect("a glob"));
        let in_all = |enabled: &EnabledRegions| -> Vec<Vec<AccountAccess>> {
            groups.iter().map(|group| in_regions(group.clone(), &patterns, enabled)).collect()
        };
        let of_roles = of_roles();
        let Start::Roles(search) = &of_roles.start else { panic!("roles") };
        let roles =
            ["Audit", "Billing"].map(|role| vec![search.access.as_role(&search.session, role)]).to_vec();
        for (scan, found) in [
            (&profiles, in_all(&enabled)),
            (&profiles, in_all(&none)),
            // Where no table needs a region.
            (&profiles, groups.clone()),
            (&of_roles, roles.clone()),
            (&of_roles, roles.into_iter().map(|role| in_regions(role, &patterns, &enabled)).collect()),
        ] {
            let words = to_json(scan, &found).expect("all was found out");
            assert_eq!(shown(&from_json(scan, &words).expect("the same scan")), shown(&found), "{words}");
        }
    }

    #[test]
    fn what_was_refused_is_asked_again() {
        let scan = AccountScan::new(Start::Accesses(vec![vec![asked("a")]]));
        let failure = Failure::new(FailureKind::SignInExpired, "no token");
        assert_eq!(to_json(&scan, &given_up(&scan, &failure)), None);
    }

    #[test]
    fn another_visit_s_words_and_hosts_of_others_are_refused() {
        let scan = AccountScan::new(Start::Accesses(vec![vec![asked("a"), asked("b")]]));
        let one = |principal: &str, regions: &str| {
            format!(r#"{{"principal":"{principal}","role":null,"regions":{regions}}}"#)
        };
        let (a, b) = (one("a", r#"["eu-west-1"]"#), one("b", "null"));
        assert!(from_json(&scan, &format!("[[{a},{b}]]")).is_some());
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
            assert!(from_json(&scan, &words).is_none(), "{words}");
        }
        assert!(from_json(&of_roles(), &format!("[[{a}]]")).is_none());
    }
}
