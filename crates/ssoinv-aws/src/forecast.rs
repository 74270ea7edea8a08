//! What a run would do, as far as files and the portal tell, and about how long it would take: for `ssoinv plan`.
//!
//! The plan is the run's own ([`crate::plan`]), laid out twice where an account's enabled regions aren't known: with the
//! fewest and with the most that there can be. [`survey`] asks the portal, and nobody else; the rest is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Add, AddAssign};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ssoinv_core::failure::Failure;
use ssoinv_core::pace::{PaceLimits, Pacer};
use ssoinv_core::scope::{AccountId, Partition, Scope};
use ssoinv_sso::credential_store::CredentialStore;
use ssoinv_sso::profile::{Base, CredentialSource};

use crate::plan::{Entry, Layout, Plan, PlannedTable, Reach, Regions, Standing, Start, Visit};
use crate::regions::RegionPatterns;
use crate::roles::NO_ROLE;
use crate::survey;

/// A number of which only bounds may be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// It is no less.
    pub min: u64,
    /// It is no more.
    pub max: u64,
}

impl Span {
    /// A number that is known.
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

/// A visit, as far as the portal tells of it.
#[derive(Debug, Default)]
pub struct Surveyed {
    /// The ways into the account; those that are one scope stand together.
    pub groups: Vec<Vec<Reach>>,
    /// Roles that the account has and that nobody wants.
    pub unwanted: Vec<Reach>,
    /// Roles that are wanted and that the account doesn't have.
    pub absent: Vec<Reach>,
    /// How many of those are asked for before one that it has.
    pub in_vain: u64,
    /// Whether the run asks for its roles, too.
    pub asked: bool,
    /// Why its roles can't be had, where the portal didn't say.
    pub failure: Option<Failure>,
    /// The role credentials that need not be asked for.
    pub cached: BTreeSet<RoleKey>,
}

/// What role credentials are asked for by: the sign-in, the account and the role.
pub type RoleKey = (String, AccountId, String);

/// The role credentials that a reach rests on, directly or below assumed roles.
fn role_key(reach: &Reach) -> Option<RoleKey> {
    let Base::Credentials(CredentialSource::Sso(role)) = reach.access.credentials.chain().1 else {
        return None;
    };
    Some((role.session.cache_key().to_owned(), role.account_id, role.role_name.clone()))
}

/// Asks the portal for the roles of a visit's account, where they aren't known, and the cache for credentials.
pub async fn survey(
    visit: &Visit,
    credentials: &CredentialStore,
    on_park: impl Fn(bool) + Send + Sync,
) -> Surveyed {
    let mut surveyed = match &visit.start {
        Start::Reaches(groups) => granted(groups, credentials, &on_park).await,
        Start::Roles(search) => match survey::roles(search, credentials, &on_park).await {
            Ok(survey::Roles { groups, unwanted }) => Surveyed {
                groups,
                unwanted: unwanted.iter().map(|role| search.reach.as_role(&search.session, role)).collect(),
                asked: true,
                ..Surveyed::default()
            },
            Err(failure) => Surveyed {
                groups: vec![vec![survey::broken(&search.reach, failure.clone())]],
                asked: true,
                failure: (failure.code.as_deref() != Some(NO_ROLE)).then_some(failure),
                ..Surveyed::default()
            },
        },
    };
    for reach in surveyed.groups.iter().flatten().filter(|reach| is_ready(reach)) {
        if let Some(key) = role_key(reach)
            && credentials.has_cached(&reach.access).await
        {
            surveyed.cached.insert(key);
        }
    }
    surveyed
}

/// Which of the roles by name a discovered account has. The run needn't ask: it takes the first that is granted.
async fn granted(
    groups: &[Vec<Reach>],
    credentials: &CredentialStore,
    on_park: &(impl Fn(bool) + Send + Sync),
) -> Surveyed {
    let as_they_are = || Surveyed { groups: groups.to_vec(), ..Surveyed::default() };
    let [group] = groups else { return as_they_are() };
    let Some(first) = group.first().filter(|reach| reach.profile.is_none() && is_ready(reach)) else {
        return as_they_are();
    };
    let (Some(session), Some(account)) = (first.access.credentials.session(), first.account_id) else {
        return as_they_are();
    };
    let offered = match credentials.account_roles(session, Some(&first.access), account, on_park).await {
        Ok(offered) => offered,
        Err(failure) => return Surveyed { failure: Some(failure), ..as_they_are() },
    };
    let name = |reach: &Reach| reach.role_name.as_deref().unwrap_or_default().to_owned();
    let wanted: Vec<String> = group.iter().map(name).collect();
    let in_vain = wanted.iter().take_while(|role| !offered.contains(role)).count() as u64;
    let unwanted = offered.iter().filter(|role| !wanted.contains(role));
    let unwanted = unwanted.map(|role| first.as_role(session, role)).collect();
    let (here, absent): (Vec<Reach>, Vec<Reach>) =
        group.iter().cloned().partition(|reach| offered.contains(&name(reach)));
    let group = if here.is_empty() {
        let failure = survey::no_role(&wanted.join(","), false, &offered);
        vec![survey::broken(&Reach { role_name: None, ..first.clone() }, failure)]
    } else {
        here
    };
    Surveyed { groups: vec![group], unwanted, absent, in_vain, ..Surveyed::default() }
}

/// Whether something is part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It is asked.
    In,
    /// It is asked where who comes before it is refused.
    Standby,
    /// It isn't asked.
    Out,
}

/// Why it is or isn't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is the first way into the account.
    First,
    /// This one comes before it, in words.
    After(String),
    /// Nobody wants a role of this name.
    Unwanted,
    /// The account has no role of this name.
    Absent,
    /// It is settled without any call, in words.
    Settled(String),
}

/// A line of the forecast: a table in an account and a region, or one way into an account for all tables.
#[derive(Clone, Debug)]
pub struct Line {
    /// The table; none where it is the same for all.
    pub table: Option<Arc<str>>,
    /// Account, role and profile.
    pub scope: Scope,
    /// Where, as the ledger has it; a pattern where the enabled regions aren't known, nothing where it is the same for all.
    pub region: String,
    /// Whether the regions are known only when the account is asked.
    pub regions_unknown: bool,
    /// Whether it is part of the run.
    pub part: Part,
    /// Calls to the table's service, one page each.
    pub calls: Span,
    /// Why.
    pub why: Why,
}

/// What a run would do.
#[derive(Debug, Default)]
pub struct Forecast {
    /// Its lines, in the plan's order; then what stands by or isn't wanted.
    pub lines: Vec<Line>,
    /// Tasks.
    pub tasks: Span,
    /// Calls to the portal, but for listing the accounts.
    pub portal_calls: Span,
    /// Calls to the services, STS and DescribeRegions among them; one page a task.
    pub service_calls: Span,
    /// Accounts in which something is asked.
    pub accounts: usize,
    /// Accounts in all.
    pub accounts_in_all: usize,
    /// Accounts whose enabled regions aren't known.
    pub regions_unknown: usize,
    /// Profiles whose account isn't known: it may be another's, which is asked once for both.
    pub accounts_unknown: usize,
    /// The most calls that wait for one another, but for listing the accounts.
    pub chain: u64,
}

/// What a run of `tables` would do in the accounts.
#[must_use]
pub fn forecast(tables: &[PlannedTable], surveyed: &[Surveyed]) -> Forecast {
    let laid_out = |select: fn(Partition) -> BTreeSet<String>| {
        let visits = surveyed.iter().map(|visit| Visit::new(Start::Reaches(bounded(&visit.groups, select))));
        Plan::new(tables.to_vec(), visits.collect())
    };
    let (fewest, most) = (laid_out(always_enabled), laid_out(survey::known));
    let mut forecast = Forecast::default();
    for slot in 0..most.slots() {
        let (table, visit) = (most.table_of(slot), most.visit_of(slot));
        let (Some(few), Some(many)) = (fewest.visits[visit].layout(), most.visits[visit].layout()) else {
            continue;
        };
        forecast.add_table(
            &tables[table],
            [few, many].map(|layout| (layout, layout.entries[table].as_slice())),
            &surveyed[visit],
        );
    }
    let regional = tables.iter().any(|table| !table.global);
    for visit in surveyed {
        forecast.add_ways(visit, regional);
    }
    forecast.count_credentials(surveyed);
    let key = |line: &&Line| {
        line.scope.account_id.map(|id| id.to_string()).or(line.scope.profile.as_deref().map(str::to_owned))
    };
    let asked = forecast.lines.iter().filter(|line| line.part == Part::In);
    forecast.accounts = asked.filter_map(|line| key(&line)).collect::<BTreeSet<_>>().len();
    forecast.accounts_in_all =
        forecast.lines.iter().filter_map(|line| key(&line)).collect::<BTreeSet<_>>().len();
    forecast
}

impl Forecast {
    /// The lines of a table in a visit, laid out with the fewest and the most regions.
    fn add_table(
        &mut self,
        table: &PlannedTable,
        [(few, few_entries), (many, many_entries)]: [(&Layout, &[Entry]); 2],
        visit: &Surveyed,
    ) {
        let patterns = visit.groups.iter().flatten().find_map(unknown_regions).filter(|_| !table.global);
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
                    let first = task.ways.first().map_or(0, |way| way.reach);
                    let reach = &many.reaches[first];
                    let calls = Span { min: u64::from(reach.account_id.is_some()), max: 1 };
                    let region = task.place.as_str().to_owned();
                    (
                        Line {
                            table: Some(Arc::clone(&table.schema.name)),
                            scope: reach.scope(task.place.clone()),
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
                Entry::Task(task) => task.ways.first().is_some_and(|way| way.reach == first),
                Entry::Settled(_) => false,
            };
            let known = few.reaches[first].account_id.is_some();
            let min = if known { few_entries.iter().filter(asks).count() as u64 } else { 0 };
            let calls = &mut self.lines[line].calls;
            self.tasks.min -= calls.min - min;
            calls.min = min;
        }
    }

    /// What concerns all tables of a visit: who stands by, who isn't wanted, what is asked of the account itself.
    fn add_ways(&mut self, visit: &Surveyed, regional: bool) {
        let line = |reach: &Reach, part, why| Line {
            table: None,
            scope: reach.scope(ssoinv_core::scope::Place::Unset),
            region: String::new(),
            regions_unknown: false,
            part,
            calls: Span::default(),
            why,
        };
        let mut unknown = false;
        for group in &visit.groups {
            let ready: Vec<&Reach> = group.iter().filter(|reach| is_ready(reach)).collect();
            let [first, others @ ..] = ready.as_slice() else { continue };
            for reach in others {
                self.lines.push(line(reach, Part::Standby, Why::After(first.in_words())));
            }
            if regional && unknown_regions(first).is_some() {
                unknown = true;
                // DescribeRegions, asked by each until one may know.
                self.service_calls += Span { min: 1, max: ready.len() as u64 };
            }
            self.accounts_unknown += ready.iter().filter(|reach| reach.account_id.is_none()).count();
        }
        self.regions_unknown += usize::from(unknown);
        // A refused role may be asked for once more.
        let in_vain = Span { min: visit.in_vain, max: 2 * visit.in_vain };
        self.portal_calls += Span::exactly(u64::from(visit.asked)) + in_vain;
        self.lines.extend(visit.absent.iter().map(|reach| line(reach, Part::Out, Why::Absent)));
        self.lines.extend(visit.unwanted.iter().map(|reach| line(reach, Part::Out, Why::Unwanted)));
    }

    /// The calls that credentials need: those of who is asked first at least, those of all who stand by at most.
    fn count_credentials(&mut self, surveyed: &[Surveyed]) {
        let mut roles: BTreeMap<RoleKey, bool> = BTreeMap::new();
        let mut assumed: BTreeMap<String, bool> = BTreeMap::new();
        for visit in surveyed {
            for group in &visit.groups {
                let ready = group.iter().filter(|reach| is_ready(reach));
                for (place, reach) in ready.enumerate() {
                    // Whose account isn't known is asked for it, whoever answers for the account.
                    let needed = place == 0 || reach.account_id.is_none();
                    let key = role_key(reach);
                    let fetched = key.is_some_and(|key| {
                        let cached = visit.cached.contains(&key);
                        if !cached {
                            *roles.entry(key).or_default() |= needed;
                        }
                        !cached
                    });
                    let (hops, base) = reach.access.credentials.chain();
                    for hop in &hops {
                        *assumed.entry(format!("{} {}", hop.profile, hop.role.arn)).or_default() |= needed;
                    }
                    let web = matches!(base, Base::Credentials(CredentialSource::WebIdentity(_)));
                    if web {
                        *assumed.entry(format!("web {}", reach.principal)).or_default() |= needed;
                    }
                    let asks_who = u64::from(reach.account_id.is_none());
                    self.service_calls += Span::exactly(asks_who);
                    let regions = u64::from(unknown_regions(reach).is_some());
                    let chain = u64::from(visit.asked)
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

fn is_ready(reach: &Reach) -> bool {
    matches!(reach.standing, Standing::Ready)
}

fn unknown_regions(reach: &Reach) -> Option<&Arc<RegionPatterns>> {
    match &reach.regions {
        Regions::Enabled(patterns) if is_ready(reach) => Some(patterns),
        _ => None,
    }
}

/// The same ways, with the regions of a partition that patterns mean in the place of the patterns.
fn bounded(groups: &[Vec<Reach>], of: fn(Partition) -> BTreeSet<String>) -> Vec<Vec<Reach>> {
    let bound = |reach: &Reach| {
        let Some(patterns) = unknown_regions(reach) else { return reach.clone() };
        let regions = match patterns.select(&of(reach.partition)) {
            none if none.is_empty() => Regions::NoneEnabled(Arc::clone(patterns)),
            regions => Regions::In(regions),
        };
        Reach { regions, ..reach.clone() }
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
        // Of the others none is said to need an opt-in, nor that none does; the one that answers is on.
        other => [other.default_region().to_owned()].into(),
    }
}

/// What a run's calls come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Calls to the portal.
    pub portal: u64,
    /// Calls to the services.
    pub services: u64,
    /// The most calls that wait for one another.
    pub chain: u64,
}

/// About how long a run takes: the portal at its pace, the services at so many calls at once of so long each, whichever
/// takes longer, and the longest chain of calls, since all of it overlaps but its begin and its end. Throttling and
/// second pages come on top.
///
/// Steps the pacer itself through the calls, so that it knows what the pacer does; `now` is any moment.
#[must_use]
pub fn estimate(
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
            let schema = ssoinv_core::table::Table::<()>::plain(name, "", vec![]).schema;
            PlannedTable { schema, call: "List".into(), global }
        };
        vec![table("buckets", true), table("instances", false)]
    }

    fn patterns(typed: &[&str]) -> Regions {
        Regions::Enabled(Arc::new(RegionPatterns::new(typed.iter().copied()).expect("patterns")))
    }

    fn reach(profile: Option<&str>, account: &str, role: &str, regions: Regions) -> Reach {
        Reach {
            access: Arc::new(Profile::ambient(&BTreeMap::new())),
            profile: profile.map(Arc::from),
            partition: Partition::Aws,
            account_id: account.parse().ok(),
            account_name: None,
            role_name: Some(role.into()),
            principal: role.into(),
            regions,
            standing: Standing::Ready,
        }
    }

    fn here(regions: &[&str]) -> Regions {
        Regions::In(regions.iter().map(|&region| region.into()).collect())
    }

    fn of(groups: Vec<Vec<Reach>>) -> Surveyed {
        Surveyed { groups, ..Surveyed::default() }
    }

    fn shown(forecast: &Forecast) -> Vec<String> {
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
        forecast.lines.iter().map(line).collect()
    }

    const ONE: &str = "111111111111";

    #[test]
    fn what_is_known_is_counted_once_a_task() {
        let group = vec![
            reach(Some("a"), ONE, "Audit", here(&["us-east-1"])),
            reach(Some("b"), ONE, "Admin", here(&["us-east-1", "eu-west-1"])),
        ];
        let mut broken = reach(Some("c"), "222222222222", "Audit", here(&["us-east-1"]));
        broken.standing = Standing::Broken(Failure::new(FailureKind::Misconfigured, "mixed"));
        let forecast = forecast(&tables(), &[of(vec![group]), of(vec![vec![broken]])]);
        assert_eq!(
            shown(&forecast),
            [
                "buckets a global: in 1-1",
                "buckets c global: out 0-0",
                "instances a us-east-1: in 1-1",
                "instances b eu-west-1: in 1-1",
                "instances c us-east-1: out 0-0",
                "- b : standby 0-0",
            ]
        );
        assert_eq!((forecast.tasks, forecast.service_calls), (Span::exactly(3), Span::exactly(3)));
        assert_eq!((forecast.accounts, forecast.accounts_in_all), (1, 2));
        assert_eq!(forecast.lines[1].why, Why::Settled("mixed".into()));
        assert_eq!(forecast.lines[5].why, Why::After("profile `a`".into()));
    }

    #[test]
    fn enabled_regions_are_a_range_between_those_that_are_always_on_and_all() {
        let visit = |typed: &[&str]| {
            of(vec![vec![
                reach(None, ONE, "Audit", patterns(typed)),
                reach(None, ONE, "ReadOnly", patterns(typed)),
            ]])
        };
        let all = forecast(&tables(), &[visit(&["all"])]);
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
            Span { min: 19, max: most + 3 },
            "who may not list regions is asked, too"
        );
        assert_eq!(all.regions_unknown, 1);
        let named = forecast(&tables(), &[visit(&["me-*", "us-east-1"])]);
        assert_eq!(shown(&named)[1], "instances Audit me-*,us-east-1: in 1-3");
        let none = forecast(&tables(), &[visit(&["me-*"])]);
        assert_eq!(shown(&none)[1], "instances Audit me-*: in 0-2");
        let buckets = forecast(&tables()[..1], &[visit(&["all"])]);
        assert_eq!((buckets.tasks, buckets.regions_unknown), (Span::exactly(1), 0), "buckets need no region");
    }

    #[test]
    fn an_account_that_only_aws_knows_may_be_anothers() {
        let visits = [
            of(vec![vec![reach(Some("a"), ONE, "Audit", here(&["us-east-1"]))]]),
            of(vec![vec![reach(Some("keys"), "", "", here(&["us-east-1"]))]]),
        ];
        let forecast = forecast(&tables(), &visits);
        assert_eq!(shown(&forecast)[1], "buckets keys global: in 0-1");
        assert_eq!(forecast.tasks, Span { min: 2, max: 4 });
        assert_eq!(forecast.service_calls, Span { min: 3, max: 5 }, "GetCallerIdentity is asked in any case");
        assert_eq!((forecast.accounts_unknown, forecast.chain), (1, 2));
    }

    #[test]
    fn unwanted_roles_are_told_and_lists_of_roles_counted() {
        let visit = Surveyed {
            groups: vec![vec![reach(None, ONE, "Audit", here(&["us-east-1"]))]],
            unwanted: vec![reach(None, ONE, "Admin", here(&[]))],
            absent: vec![reach(None, ONE, "Auditor", here(&[]))],
            in_vain: 1,
            asked: true,
            ..Surveyed::default()
        };
        let forecast = forecast(&tables(), &[visit]);
        assert_eq!(shown(&forecast)[2..], ["- Auditor : out 0-0", "- Admin : out 0-0"]);
        assert_eq!(forecast.portal_calls, Span { min: 2, max: 3 }, "whoever is refused is asked for twice");
    }

    #[test]
    fn the_estimate_is_the_slower_of_portal_and_services_and_the_longest_chain() {
        let latency = Duration::from_millis(100);
        let time = |portal, services, chain| {
            let effort = Effort { portal, services, chain };
            estimate(effort, PaceLimits::PORTAL, 10, latency, Instant::now()).as_secs_f64()
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
        let slow = estimate(
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
