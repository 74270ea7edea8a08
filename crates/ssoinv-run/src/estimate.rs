//! Estimates what a run would do and about how long it would take, for `ssoinv plan`.
//!
//! The plan is the run's own ([`crate::plan`]), laid out twice if an account's enabled regions aren't known: with the
//! fewest and with the most regions that are possible. [`outlook`] calls the portal and nothing else; the rest is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Add, AddAssign};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ssoinv_core::failure::Failure;
use ssoinv_core::pace::{PaceLimits, Pacer};
use ssoinv_core::scope::{AccountId, Partition, Place, Scope};
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::profile::{ChainBase, CredentialSource};

use crate::access::{AccessState, AccountAccess, Regions};
use crate::account_scan::{AccountScan, Entry, Layout, Start};
use crate::plan::{Plan, PlannedTable};
use crate::region_patterns::RegionPatterns;
use crate::resolve;
use crate::roles::NO_ROLE;

/// A number of which perhaps only the bounds are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The number is at least this.
    pub min: u64,
    /// The number is at most this.
    pub max: u64,
}

impl Span {
    /// Returns a number that is known.
    #[must_use]
    pub fn exactly(number: u64) -> Self {
        Self { min: number, max: number }
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { min: self.min + other.min, max: self.max + other.max }
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// What the portal says of an account.
#[derive(Debug, Default)]
pub struct Outlook {
    /// The accesses; those that are one scope stand together.
    pub groups: Vec<Vec<AccountAccess>>,
    /// Roles that the account has and that weren't selected.
    pub unwanted: Vec<AccountAccess>,
    /// Roles that were selected and that the account doesn't have.
    pub absent: Vec<AccountAccess>,
    /// How many of those are tried before one that it has.
    pub in_vain: u64,
    /// Whether the run lists the account's roles, too.
    pub asked: bool,
    /// Why the roles can't be listed.
    pub failure: Option<Failure>,
    /// The role credentials that are cached.
    pub cached: BTreeSet<RoleKey>,
}

/// The key of role credentials: sign-in, account and role.
pub type RoleKey = (String, AccountId, String);

/// Returns the key of the role credentials that an access uses, directly or below assumed roles.
fn role_key(access: &AccountAccess) -> Option<RoleKey> {
    let ChainBase::Credentials(CredentialSource::Sso(role)) = access.source.credentials.chain().1 else {
        return None;
    };
    Some((role.session.cache_key().to_owned(), role.account_id, role.role_name.clone()))
}

/// Lists an account's roles at the portal, if they aren't known, and looks for cached credentials.
pub async fn outlook(
    scan: &AccountScan,
    credentials: &CredentialStore,
    on_park: impl Fn(bool) + Send + Sync,
) -> Outlook {
    let mut outlook = match &scan.start {
        Start::Accesses(groups) => granted(groups, credentials, &on_park).await,
        Start::Roles(search) => match resolve::roles(search, credentials, &on_park).await {
            Ok(resolve::Roles { groups, unwanted }) => Outlook {
                groups,
                unwanted: unwanted.iter().map(|role| search.access.as_role(&search.session, role)).collect(),
                asked: true,
                ..Outlook::default()
            },
            Err(failure) => Outlook {
                groups: vec![vec![resolve::broken(&search.access, failure.clone())]],
                asked: true,
                failure: (failure.code.as_deref() != Some(NO_ROLE)).then_some(failure),
                ..Outlook::default()
            },
        },
    };
    for access in outlook.groups.iter().flatten().filter(|access| is_ready(access)) {
        if let Some(key) = role_key(access)
            && credentials.has_cached(&access.source).await
        {
            outlook.cached.insert(key);
        }
    }
    outlook
}

/// Finds which of the named roles a discovered account has. The run doesn't list roles: it takes the first granted one.
async fn granted(
    groups: &[Vec<AccountAccess>],
    credentials: &CredentialStore,
    on_park: &(impl Fn(bool) + Send + Sync),
) -> Outlook {
    let as_they_are = || Outlook { groups: groups.to_vec(), ..Outlook::default() };
    let [group] = groups else { return as_they_are() };
    let Some(first) = group.first().filter(|access| access.profile.is_none() && is_ready(access)) else {
        return as_they_are();
    };
    let (Some(session), Some(account)) = (first.source.credentials.session(), first.account_id) else {
        return as_they_are();
    };
    let offered = match credentials.account_roles(session, Some(&first.source), account, on_park).await {
        Ok(offered) => offered,
        Err(failure) => return Outlook { failure: Some(failure), ..as_they_are() },
    };
    let name = |access: &AccountAccess| access.role_name.as_deref().unwrap_or_default().to_owned();
    let wanted: Vec<String> = group.iter().map(name).collect();
    let in_vain = wanted.iter().take_while(|role| !offered.contains(role)).count() as u64;
    let unwanted = offered.iter().filter(|role| !wanted.contains(role));
    let unwanted = unwanted.map(|role| first.as_role(session, role)).collect();
    let (here, absent): (Vec<AccountAccess>, Vec<AccountAccess>) =
        group.iter().cloned().partition(|access| offered.contains(&name(access)));
    let group = if here.is_empty() {
        let failure = resolve::no_role(&wanted.join(","), false, &offered);
        vec![resolve::broken(&AccountAccess { role_name: None, ..first.clone() }, failure)]
    } else {
        here
    };
    Outlook { groups: vec![group], unwanted, absent, in_vain, ..Outlook::default() }
}

/// Whether something is part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It is read.
    In,
    /// It is read if the access before it is denied.
    Standby,
    /// It isn't read.
    Out,
}

/// Why something is or isn't part of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is the first access to the account.
    First,
    /// This access, described, comes before it.
    After(String),
    /// No role of this name was selected.
    Unwanted,
    /// The account has no role of this name.
    Absent,
    /// It is settled without a call, for this reason.
    Settled(String),
}

/// A line of the estimate: a table in an account and a region, or an access to an account for all tables.
#[derive(Clone, Debug)]
pub struct Line {
    /// The table; none if the line is about all tables.
    pub table: Option<Arc<str>>,
    /// Account, role and profile.
    pub scope: Scope,
    /// The region as the ledger has it; a pattern if the enabled regions aren't known, empty for all regions.
    pub region: String,
    /// Whether the regions will be listed during the run.
    pub regions_unknown: bool,
    /// Whether it is part of the run.
    pub part: Part,
    /// Calls to the table's service, at one page each.
    pub calls: Span,
    /// Why.
    pub why: Why,
}

/// What a run would do.
#[derive(Debug, Default)]
pub struct Estimate {
    /// The lines in the plan's order, then the accesses that stand by or weren't selected.
    pub lines: Vec<Line>,
    /// Tasks.
    pub tasks: Span,
    /// Calls to the portal, other than those that list the accounts.
    pub portal_calls: Span,
    /// Calls to the services, including STS and DescribeRegions, at one page for each task.
    pub service_calls: Span,
    /// Accounts in which something is read.
    pub accounts: usize,
    /// Accounts in all.
    pub accounts_in_all: usize,
    /// Accounts whose enabled regions aren't known.
    pub regions_unknown: usize,
    /// Profiles whose account isn't known: it may be another profile's, and is then read once.
    pub accounts_unknown: usize,
    /// The longest chain of calls that wait for one another, other than listing the accounts.
    pub chain: u64,
}

/// Estimates what a run of `tables` would do in the accounts.
#[must_use]
pub fn estimate(tables: &[PlannedTable], outlook: &[Outlook]) -> Estimate {
    let laid_out = |select: fn(Partition) -> BTreeSet<String>| {
        let scans =
            outlook.iter().map(|scan| AccountScan::new(Start::Accesses(bounded(&scan.groups, select))));
        Plan::new(tables.to_vec(), scans.collect())
    };
    let (fewest, most) = (laid_out(always_enabled), laid_out(resolve::known));
    let mut estimate = Estimate::default();
    for slot in 0..most.slots() {
        let (table, scan) = (most.table_of(slot), most.scan_of(slot));
        let (Some(few), Some(many)) = (fewest.scans[scan].layout(), most.scans[scan].layout()) else {
            continue;
        };
        estimate.add_table(
            &tables[table],
            [few, many].map(|layout| (layout, layout.entries[table].as_slice())),
            &outlook[scan],
        );
    }
    let regional = tables.iter().any(|table| !table.account_wide);
    for scan in outlook {
        estimate.add_accesses(scan, regional);
    }
    estimate.count_credentials(outlook);
    let key = |line: &&Line| {
        line.scope.account_id.map(|id| id.to_string()).or(line.scope.profile.as_deref().map(str::to_owned))
    };
    let asked = estimate.lines.iter().filter(|line| line.part == Part::In);
    estimate.accounts = asked.filter_map(|line| key(&line)).collect::<BTreeSet<_>>().len();
    estimate.accounts_in_all =
        estimate.lines.iter().filter_map(|line| key(&line)).collect::<BTreeSet<_>>().len();
    estimate
}

impl Estimate {
    /// Adds the lines of a table in an account, laid out with the fewest and the most regions.
    fn add_table(
        &mut self,
        table: &PlannedTable,
        [(few, few_entries), (many, many_entries)]: [(&Layout, &[Entry]); 2],
        scan: &Outlook,
    ) {
        let patterns = scan.groups.iter().flatten().find_map(unknown_regions).filter(|_| !table.account_wide);
        let mut of_reach: BTreeMap<usize, usize> = BTreeMap::new();
        for entry in many_entries {
            let (line, first) = match entry {
                Entry::Settled(cell) => {
                    let why = Why::Settled(cell.error_message.clone().unwrap_or_default());
                    let region = cell.scope.place.as_str().to_owned();
                    (
                        Line {
                            table: Some(Arc::clone(&table.schema.name)),
                            scope: cell.scope.clone(),
                            region,
                            regions_unknown: false,
                            part: Part::Out,
                            calls: Span::default(),
                            why,
                        },
                        None,
                    )
                }
                Entry::Task(task) => {
                    let first = task.candidates.first().map_or(0, |candidate| candidate.access);
                    let access = &many.accesses[first];
                    let calls = Span { min: u64::from(access.account_id.is_some()), max: 1 };
                    let region = task.place.as_str().to_owned();
                    (
                        Line {
                            table: Some(Arc::clone(&table.schema.name)),
                            scope: access.scope(task.place.clone()),
                            region,
                            regions_unknown: false,
                            part: Part::In,
                            calls,
                            why: Why::First,
                        },
                        Some(first),
                    )
                }
            };
            self.tasks += line.calls;
            let (Some(first), Some(patterns)) = (first, &patterns) else {
                self.lines.push(line);
                continue;
            };
            // One line stands for all regions.
            if let Some(&known) = of_reach.get(&first) {
                self.lines[known].calls += line.calls;
            } else {
                of_reach.insert(first, self.lines.len());
                self.lines.push(Line { region: patterns.to_string(), regions_unknown: true, ..line });
            }
        }
        for (&first, &line) in &of_reach {
            let asks = |entry: &&Entry| match entry {
                Entry::Task(task) => {
                    task.candidates.first().is_some_and(|candidate| candidate.access == first)
                }
                Entry::Settled(_) => false,
            };
            let known = few.accesses[first].account_id.is_some();
            let min = if known { few_entries.iter().filter(asks).count() as u64 } else { 0 };
            let calls = &mut self.lines[line].calls;
            self.tasks.min -= calls.min - min;
            calls.min = min;
        }
    }

    /// Adds what concerns all tables of an account: accesses that stand by, roles that weren't selected, DescribeRegions.
    fn add_accesses(&mut self, scan: &Outlook, regional: bool) {
        let line = |access: &AccountAccess, part, why| Line {
            table: None,
            scope: access.scope(Place::Unset),
            region: String::new(),
            regions_unknown: false,
            part,
            calls: Span::default(),
            why,
        };
        let mut unknown = false;
        for group in &scan.groups {
            let ready: Vec<&AccountAccess> = group.iter().filter(|access| is_ready(access)).collect();
            let [first, others @ ..] = ready.as_slice() else { continue };
            for access in others {
                self.lines.push(line(access, Part::Standby, Why::After(first.describe())));
            }
            if regional && unknown_regions(first).is_some() {
                unknown = true;
                // DescribeRegions, by one access after another until one may list them.
                self.service_calls += Span { min: 1, max: ready.len() as u64 };
            }
            self.accounts_unknown += ready.iter().filter(|access| access.account_id.is_none()).count();
        }
        self.regions_unknown += usize::from(unknown);
        // A refused role is tried once more.
        let in_vain = Span { min: scan.in_vain, max: 2 * scan.in_vain };
        self.portal_calls += Span::exactly(u64::from(scan.asked)) + in_vain;
        self.lines.extend(scan.absent.iter().map(|access| line(access, Part::Out, Why::Absent)));
        self.lines.extend(scan.unwanted.iter().map(|access| line(access, Part::Out, Why::Unwanted)));
    }

    /// Counts the calls that credentials need: at least those of the first access, at most those of all.
    fn count_credentials(&mut self, outlook: &[Outlook]) {
        let mut roles: BTreeMap<RoleKey, bool> = BTreeMap::new();
        let mut assumed: BTreeMap<String, bool> = BTreeMap::new();
        for scan in outlook {
            for group in &scan.groups {
                let ready = group.iter().filter(|access| is_ready(access));
                for (place, access) in ready.enumerate() {
                    // The account behind a profile must be identified, whichever access reads the account.
                    let needed = place == 0 || access.account_id.is_none();
                    let key = role_key(access);
                    let fetched = key.is_some_and(|key| {
                        let cached = scan.cached.contains(&key);
                        if !cached {
                            *roles.entry(key).or_default() |= needed;
                        }
                        !cached
                    });
                    let (hops, base) = access.source.credentials.chain();
                    for hop in &hops {
                        *assumed.entry(format!("{} {}", hop.profile, hop.role.arn)).or_default() |= needed;
                    }
                    let web = matches!(base, ChainBase::Credentials(CredentialSource::WebIdentity(_)));
                    if web {
                        *assumed.entry(format!("web {}", access.principal)).or_default() |= needed;
                    }
                    let asks_who = u64::from(access.account_id.is_none());
                    self.service_calls += Span::exactly(asks_who);
                    // GetCallerIdentity for the ledger, beside the tasks: AssumeRole gives the ARN, the portal doesn't.
                    let gives_no_arn = asks_who == 0 && hops.is_empty() && !web;
                    self.service_calls +=
                        Span { min: u64::from(gives_no_arn && place == 0), max: u64::from(gives_no_arn) };
                    let regions = u64::from(unknown_regions(access).is_some());
                    let chain = u64::from(scan.asked)
                        + u64::from(fetched)
                        + hops.len() as u64
                        + u64::from(web)
                        + asks_who
                        + regions
                        + 1;
                    self.chain = self.chain.max(chain);
                }
            }
        }
        let span = |needed: &mut dyn Iterator<Item = bool>| {
            needed.fold(Span::default(), |sum, needed| sum + Span { min: u64::from(needed), max: 1 })
        };
        self.portal_calls += span(&mut roles.into_values());
        self.service_calls += span(&mut assumed.into_values()) + self.tasks;
    }
}

fn is_ready(access: &AccountAccess) -> bool {
    matches!(access.state, AccessState::Ready)
}

fn unknown_regions(access: &AccountAccess) -> Option<&Arc<RegionPatterns>> {
    match &access.regions {
        Regions::Enabled(patterns) if is_ready(access) => Some(patterns),
        _ => None,
    }
}

/// Replaces region patterns by the regions of a partition that match them.
fn bounded(groups: &[Vec<AccountAccess>], of: fn(Partition) -> BTreeSet<String>) -> Vec<Vec<AccountAccess>> {
    let bound = |access: &AccountAccess| {
        let Some(patterns) = unknown_regions(access) else { return access.clone() };
        let regions = match patterns.select(&of(access.partition)) {
            none if none.is_empty() => Regions::NoneEnabled(Arc::clone(patterns)),
            regions => Regions::In(regions),
        };
        AccountAccess { regions, ..access.clone() }
    };
    groups.iter().map(|group| group.iter().map(bound).collect()).collect()
}

/// The regions of the partition `aws` that are enabled in every account and can't be disabled: those from before March
/// 20, 2019 (AWS Account Management Reference Guide, "Enable or disable AWS Regions in your account").
const ALWAYS_ENABLED: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

fn always_enabled(partition: Partition) -> BTreeSet<String> {
    match partition {
        Partition::Aws => ALWAYS_ENABLED.into_iter().map(str::to_owned).collect(),
        // AWS documents no opt-in for the other partitions' regions, nor its absence; the one that responds is enabled.
        other => [other.default_region().to_owned()].into(),
    }
}

/// The calls of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Calls to the portal.
    pub portal: u64,
    /// Calls to the services.
    pub services: u64,
    /// The most calls that wait for one another.
    pub chain: u64,
}

/// Estimates how long a run takes, without throttling and second pages.
///
/// That is the longer of the portal's calls at their pace and the services' calls of `latency` at `concurrency`, which
/// overlap, plus the longest chain of calls. Steps the pacer itself through the calls; `now` is any moment.
#[must_use]
pub fn duration(
    effort: Effort,
    portal: PaceLimits,
    concurrency: usize,
    latency: Duration,
    now: Instant,
) -> Duration {
    let mut pacer = Pacer::new(portal, now);
    let mut clock = now;
    for _ in 0..effort.portal {
        while let Err(wait) = pacer.take(clock) {
            clock += wait;
        }
        pacer.answered(clock, clock);
    }
    let rounds = effort.services.div_ceil(concurrency.max(1) as u64);
    let times = |number: u64| latency.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
    (clock - now).max(times(rounds)) + times(effort.chain)
}

#[cfg(test)]
mod tests {
    use ssoinv_core::failure::FailureKind;
    use ssoinv_core::scope::KNOWN_REGIONS;
    use ssoinv_sso::profile::Profile;

    use super::*;

    fn tables() -> Vec<PlannedTable> {
        let table = |name, global| {
            let schema = ssoinv_core::table::RowEncoder::<()>::plain(name, "", vec![]).schema;
            PlannedTable { schema, list_call: "ListThings".into(), account_wide: global }
        };
        vec![table("buckets", true), table("instances", false)]
    }

    fn patterns(typed: &[&str]) -> Regions {
        Regions::Enabled(Arc::new(RegionPatterns::new(typed.iter().copied()).expect("patterns")))
    }

    fn access(profile: Option<&str>, account: &str, role: &str, regions: Regions) -> AccountAccess {
        AccountAccess {
            source: Arc::new(Profile::ambient(&BTreeMap::new())),
            profile: profile.map(Arc::from),
            partition: Partition::Aws,
            account_id: account.parse().ok(),
            account_name: None,
            role_name: Some(role.into()),
            principal: role.into(),
            regions,
            state: AccessState::Ready,
        }
    }

    fn here(regions: &[&str]) -> Regions {
        Regions::In(regions.iter().map(|&region| region.into()).collect())
    }

    fn of(groups: Vec<Vec<AccountAccess>>) -> Outlook {
        Outlook { groups, ..Outlook::default() }
    }

    fn shown(estimate: &Estimate) -> Vec<String> {
        let line = |line: &Line| {
            let who = line.scope.profile.as_ref().or(line.scope.role_name.as_ref()).expect("a name");
            let part = match line.part {
                Part::In => "in",
                Part::Standby => "standby",
                Part::Out => "out",
            };
            let Span { min, max } = line.calls;
            format!("{} {who} {}: {part} {min}-{max}", line.table.as_deref().unwrap_or("-"), line.region)
        };
        estimate.lines.iter().map(line).collect()
    }

    const ONE: &str = "111111111111";

    #[test]
    fn what_is_known_is_counted_once_a_task() {
        let group = vec![
            access(Some("a"), ONE, "Audit", here(&["us-east-1"])),
            access(Some("b"), ONE, "Admin", here(&["us-east-1", "eu-west-1"])),
        ];
        let mut broken = access(Some("c"), "222222222222", "Audit", here(&["us-east-1"]));
        broken.state = AccessState::Broken(Failure::new(FailureKind::Misconfigured, "mixed"));
        let estimate = estimate(&tables(), &[of(vec![group]), of(vec![vec![broken]])]);
        assert_eq!(
            shown(&estimate),
            [
                "buckets a global: in 1-1",
                "buckets c global: out 0-0",
                "instances a us-east-1: in 1-1",
                "instances b eu-west-1: in 1-1",
                "instances c us-east-1: out 0-0",
                "- b : standby 0-0",
            ]
        );
        assert_eq!(estimate.tasks, Span::exactly(3));
        assert_eq!(estimate.service_calls, Span { min: 4, max: 5 }, "GetCallerIdentity is among them");
        assert_eq!((estimate.accounts, estimate.accounts_in_all), (1, 2));
        assert_eq!(estimate.lines[1].why, Why::Settled("mixed".into()));
        assert_eq!(estimate.lines[5].why, Why::After("profile `a`".into()));
    }

    #[test]
    fn enabled_regions_are_a_range_between_those_that_are_always_on_and_all() {
        let scan = |typed: &[&str]| {
            of(vec![vec![
                access(None, ONE, "Audit", patterns(typed)),
                access(None, ONE, "ReadOnly", patterns(typed)),
            ]])
        };
        let all = estimate(&tables(), &[scan(&["all"])]);
        let most = KNOWN_REGIONS
            .iter()
            .filter(|region| !["cn-", "us-gov-", "eusc-"].iter().any(|head| region.starts_with(head)))
            .count();
        assert_eq!(
            shown(&all),
            [
                "buckets Audit global: in 1-1".to_owned(),
                format!("instances Audit all: in 17-{most}"),
                "- ReadOnly : standby 0-0".to_owned(),
            ]
        );
        let most = most as u64;
        assert_eq!(all.tasks, Span { min: 18, max: most + 1 });
        assert_eq!(
            all.service_calls,
            Span { min: 20, max: most + 5 },
            "who may not list regions is asked, too"
        );
        assert_eq!(all.regions_unknown, 1);
        let named = estimate(&tables(), &[scan(&["me-*", "us-east-1"])]);
        assert_eq!(shown(&named)[1], "instances Audit me-*,us-east-1: in 1-3");
        let none = estimate(&tables(), &[scan(&["me-*"])]);
        assert_eq!(shown(&none)[1], "instances Audit me-*: in 0-2");
        let buckets = estimate(&tables()[..1], &[scan(&["all"])]);
        assert_eq!((buckets.tasks, buckets.regions_unknown), (Span::exactly(1), 0), "buckets need no region");
    }

    #[test]
    fn an_account_that_only_aws_knows_may_be_anothers() {
        let scans = [
            of(vec![vec![access(Some("a"), ONE, "Audit", here(&["us-east-1"]))]]),
            of(vec![vec![access(Some("keys"), "", "", here(&["us-east-1"]))]]),
        ];
        let estimate = estimate(&tables(), &scans);
        assert_eq!(shown(&estimate)[1], "buckets keys global: in 0-1");
        assert_eq!(estimate.tasks, Span { min: 2, max: 4 });
        assert_eq!(estimate.service_calls, Span { min: 4, max: 6 }, "GetCallerIdentity is asked in any case");
        assert_eq!((estimate.accounts_unknown, estimate.chain), (1, 2));
    }

    #[test]
    fn unwanted_roles_are_told_and_lists_of_roles_counted() {
        let scan = Outlook {
            groups: vec![vec![access(None, ONE, "Audit", here(&["us-east-1"]))]],
            unwanted: vec![access(None, ONE, "Admin", here(&[]))],
            absent: vec![access(None, ONE, "Auditor", here(&[]))],
            in_vain: 1,
            asked: true,
            ..Outlook::default()
        };
        let estimate = estimate(&tables(), &[scan]);
        assert_eq!(shown(&estimate)[2..], ["- Auditor : out 0-0", "- Admin : out 0-0"]);
        assert_eq!(estimate.portal_calls, Span { min: 2, max: 3 }, "whoever is refused is asked for twice");
    }

    #[test]
    fn the_estimate_is_the_slower_of_portal_and_services_and_the_longest_chain() {
        let latency = Duration::from_millis(100);
        let time = |portal, services, chain| {
            let effort = Effort { portal, services, chain };
            duration(effort, PaceLimits::PORTAL, 10, latency, Instant::now()).as_secs_f64()
        };
        let close = |found: f64, wanted: f64| {
            assert!((found - wanted).abs() < wanted * 0.02, "{found}, not {wanted}");
        };
        close(time(0, 0, 3), 0.3);
        close(time(16, 0, 0) + 1.0, 1.0);
        close(time(0, 1_000, 2), 10.2);
        close(time(0, 1_001, 2), 10.3);
        // Sixteen at once, then eight a second, one more each second up to twenty: 12 seconds for 168, then 20/s.
        close(time(16 + 168 + 200, 0, 0), 22.0);
        close(time(16 + 168 + 200, 1_000, 5), 22.5);
        let slow = duration(
            Effort { portal: 41, services: 0, chain: 0 },
            PaceLimits::PORTAL.capped(1.0),
            10,
            latency,
            Instant::now(),
        );
        close(slow.as_secs_f64(), 40.0);
        assert!(time(u64::from(u16::MAX), u64::MAX, 0) > 3_000.0, "nothing overflows");
    }
}
