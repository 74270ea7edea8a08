//! Station 4: accounts × regions × tables become tasks, in an order that depends on what was asked for alone.
//!
//! A *visit* is one account that is asked, a *reach* one way into it: a profile whose account is known, or a role that
//! the sign-in has there. The reaches of a visit are one scope per region: the first answers, the others stand by
//! (`every_role` keeps different roles apart). What can't be asked at all, a broken profile, a region of another
//! partition, is settled here, so that the ledger has a cell for everything that was planned.
//!
//! Visits and their order are known before the run. What an account's roles and enabled regions are may be found out
//! only while it goes on (`survey.rs`): then the visit's tasks are laid out late, in the very place that was kept
//! for them, so that order doesn't depend on who answered first. Pure: no call, no clock. What works the tasks off:
//! [`crate::runner`].

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use ssoinv_core::coverage::Cell;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::rows::TaskId;
use ssoinv_core::scope::{AccountId, Partition, Place, Scope, partition_of_region};
use ssoinv_core::status::Status;
use ssoinv_core::table::TableSchema;
use ssoinv_sso::profile::{Profile, SsoSession};

use crate::regions::RegionPatterns;
use crate::roles::RoleChoice;
use crate::tables::AnyTable;

/// One way into one account.
#[derive(Clone, Debug)]
pub struct Reach {
    /// What calls are made with.
    pub access: Arc<Profile>,
    /// The profile's name; none for what no file has, the role of an account that was discovered.
    pub profile: Option<Arc<str>>,
    /// The partition of the account.
    pub partition: Partition,
    /// The account; a profile that can't be used may not tell.
    pub account_id: Option<AccountId>,
    /// The account's name.
    pub account_name: Option<Arc<str>>,
    /// The role's name.
    pub role_name: Option<Arc<str>>,
    /// Who the calls are made as: what `every_role` keeps apart. Two profiles with one role are one principal.
    pub principal: Arc<str>,
    /// The regions to ask for regional tables.
    pub regions: Regions,
    /// Whether it can be used.
    pub standing: Standing,
}

impl Reach {
    /// The scope of this reach at `place`.
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

    /// How it is told from the account's others.
    #[must_use]
    pub fn in_words(&self) -> String {
        match (&self.profile, &self.role_name) {
            (Some(profile), _) => format!("profile `{profile}`"),
            (None, Some(role)) => format!("role `{role}`"),
            (None, None) => "the sign-in".to_owned(),
        }
    }

    /// The same account as a role that a sign-in has there.
    #[must_use]
    pub fn as_role(&self, session: &Arc<SsoSession>, role: &str) -> Self {
        let Some(account) = self.account_id else { return self.clone() };
        Self {
            access: Arc::new(self.access.in_account(session, account, role)),
            role_name: Some(role.into()),
            principal: format!("sso {} {account} {role}", session.cache_key()).into(),
            ..self.clone()
        }
    }

    /// What tells accounts apart: the ID, or the profile where it isn't known.
    #[must_use]
    pub fn account_key(&self) -> &str {
        let id = self.account_id.as_ref().map(AccountId::as_str);
        id.or(self.profile.as_deref()).unwrap_or_default()
    }

    /// The regions, where they are known.
    fn known_regions(&self) -> &[Arc<str>] {
        match &self.regions {
            Regions::In(regions) => regions,
            Regions::Enabled(_) | Regions::NoneEnabled(_) => &[],
        }
    }
}

/// Where a reach is to look.
#[derive(Clone, Debug)]
pub enum Regions {
    /// Here, without repetition.
    In(Vec<Arc<str>>),
    /// In those that are enabled in the account and that these patterns mean; the account is to be asked.
    Enabled(Arc<RegionPatterns>),
    /// The account was asked, and none that is enabled fits.
    NoneEnabled(Arc<RegionPatterns>),
}

/// Whether a reach can be used.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Its account is known and it may be asked for credentials.
    Ready,
    /// It can't be used; its cells end so.
    Broken(Failure),
    /// It isn't meant to be used (no credentials of its own); its cells are `skipped`, with this reason.
    Skipped(String),
}

/// A table as the plan needs it.
#[derive(Clone, Debug)]
pub struct PlannedTable {
    /// Its schema.
    pub schema: Arc<TableSchema>,
    /// The operation of its list call.
    pub call: Arc<str>,
    /// Whether it is asked once an account, whatever the region.
    pub global: bool,
}

impl PlannedTable {
    /// Makes the plan's view of a table.
    #[must_use]
    pub fn new(table: &dyn AnyTable) -> Self {
        Self { schema: Arc::clone(table.schema()), call: table.call().into(), global: table.is_global() }
    }

    /// Makes the cell of the table's list call in a scope.
    #[must_use]
    pub fn cell(&self, reach: &Reach, place: Place, status: Status) -> Cell {
        Cell::new(reach.scope(place), Arc::clone(&self.schema.name), Arc::clone(&self.call), status)
    }
}

/// One table in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The table's place among the planned tables.
    pub table: usize,
    /// The place in the account.
    pub place: Place,
    /// Who may answer, in order. The first is listed.
    pub ways: Vec<Way>,
}

/// One who may answer a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The reach's place among those of the visit.
    pub reach: usize,
    /// Whether this place was selected for this very reach, so that the ledger has a cell for it.
    pub listed: bool,
}

/// A line of the plan.
#[derive(Clone, Debug)]
pub enum Entry {
    /// To be worked off.
    Task(Task),
    /// Settled without any call.
    Settled(Box<Cell>),
}

/// One account that is asked, and all that is asked of it.
#[derive(Debug)]
pub struct Visit {
    /// What is known of it before the run.
    pub start: Start,
    layout: OnceLock<Layout>,
}

/// What is known of a visit before the run.
#[derive(Clone, Debug)]
pub enum Start {
    /// The reaches; those that are one scope stand together.
    Reaches(Vec<Vec<Reach>>),
    /// The account of a sign-in, whose roles are to be listed.
    Roles(Box<RoleSearch>),
}

/// An account whose roles are to be listed.
#[derive(Clone, Debug)]
pub struct RoleSearch {
    /// The account, not yet as any role.
    pub reach: Reach,
    /// The sign-in.
    pub session: Arc<SsoSession>,
    /// Which roles are wanted.
    pub choice: Arc<RoleChoice>,
    /// Whether each of them is, instead of the first that is granted.
    pub every_role: bool,
}

/// The tasks of a visit.
#[derive(Debug)]
pub struct Layout {
    /// The ways into the account.
    pub reaches: Vec<Reach>,
    /// The lines of each table.
    pub entries: Vec<Vec<Entry>>,
}

impl Layout {
    /// How many lines are to be worked off.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.entries.iter().flatten().filter(|entry| matches!(entry, Entry::Task(_))).count()
    }
}

impl Visit {
    /// A visit of an account.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self { start, layout: OnceLock::new() }
    }

    /// A reach that speaks for the account.
    #[must_use]
    pub fn first(&self) -> Option<&Reach> {
        match &self.start {
            Start::Reaches(groups) => groups.first()?.first(),
            Start::Roles(search) => Some(&search.reach),
        }
    }

    /// What tells it from other visits, across runs of one selection: the account, and through whom it is asked.
    #[must_use]
    pub fn key(&self) -> String {
        let reaches: Vec<&Reach> = match &self.start {
            Start::Reaches(groups) => groups.iter().flatten().collect(),
            Start::Roles(search) => vec![&search.reach],
        };
        let mut words = vec![reaches.first().map_or("", |reach| reach.partition.as_str())];
        for reach in reaches {
            words.extend([
                reach.account_key(),
                reach.profile.as_deref().unwrap_or_default(),
                &reach.principal,
            ]);
        }
        words.join("\n")
    }

    /// The tasks, once they are known.
    #[must_use]
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.get()
    }
}

/// Everything to be done, in order: by table, then visit, then role and region.
#[derive(Debug)]
pub struct Plan {
    /// The tables.
    pub tables: Vec<PlannedTable>,
    /// The accounts.
    pub visits: Vec<Visit>,
}

impl Plan {
    /// Plans `tables` in each visit's account, in this order. Visits of which all is known are laid out at once.
    #[must_use]
    pub fn new(tables: Vec<PlannedTable>, visits: Vec<Visit>) -> Self {
        let plan = Self { tables, visits };
        let regional = plan.tables.iter().any(|table| !table.global);
        for (visit, known) in plan.visits.iter().enumerate() {
            if let Start::Reaches(groups) = &known.start {
                let unknown = |reach: &Reach| {
                    matches!((&reach.regions, &reach.standing), (Regions::Enabled(_), Standing::Ready))
                };
                if !regional || !groups.iter().flatten().any(unknown) {
                    plan.lay_out(visit, groups.clone());
                }
            }
        }
        plan
    }

    /// Lays out the tasks of a visit: `groups` are its reaches, those that are one scope together. The first call counts.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn lay_out(&self, visit: usize, groups: Vec<Vec<Reach>>) -> &Layout {
        self.visits[visit].layout.get_or_init(|| {
            let mut first = 0;
            let places: Vec<Vec<usize>> = groups
                .iter()
                .map(|group| {
                    first += group.len();
                    (first - group.len()..first).collect()
                })
                .collect();
            let reaches: Vec<Reach> = groups.into_iter().flatten().collect();
            let entries = |(index, table): (usize, &PlannedTable)| {
                let mut entries = Vec::new();
                for group in &places {
                    plan_group(&mut entries, index, table, &reaches, group);
                }
                entries
            };
            let entries = self.tables.iter().enumerate().map(entries).collect();
            Layout { reaches, entries }
        })
    }

    /// How many slots there are: one for each table in each visit.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.tables.len() * self.visits.len()
    }

    /// The slot of a table in a visit.
    #[must_use]
    pub fn slot(&self, table: usize, visit: usize) -> usize {
        table * self.visits.len() + visit
    }

    /// The table of a slot.
    #[must_use]
    pub fn table_of(&self, slot: usize) -> usize {
        slot / self.visits.len().max(1)
    }

    /// The visit of a slot.
    #[must_use]
    pub fn visit_of(&self, slot: usize) -> usize {
        slot % self.visits.len().max(1)
    }

    /// A line of the plan, and the reaches of its visit, once they are known.
    #[must_use]
    pub fn entry(&self, task: TaskId) -> Option<(&Entry, &[Reach])> {
        let layout = self.visits.get(self.visit_of(task.slot))?.layout()?;
        let entry = layout.entries.get(self.table_of(task.slot))?.get(task.part)?;
        Some((entry, &layout.reaches))
    }

    /// What tells a task from all others, across runs: the table, the place, and through whom the account is asked, in
    /// order. Where anything of that is another the cells may be others. None for what is settled.
    ///
    /// Names of profiles and roles are single lines, so that lines keep them apart.
    #[must_use]
    pub fn key(&self, task: TaskId) -> Option<String> {
        let (Entry::Task(entry), reaches) = self.entry(task)? else { return None };
        let first = &reaches[entry.ways.first()?.reach];
        let table = &*self.tables[entry.table].schema.name;
        let mut words = vec![table, first.partition.as_str(), first.account_key(), entry.place.as_str()];
        for way in &entry.ways {
            let reach = &reaches[way.reach];
            let listed = if way.listed { "listed" } else { "stands by" };
            words.extend([listed, reach.profile.as_deref().unwrap_or_default(), &reach.principal]);
        }
        Some(words.join("\n"))
    }

    /// All lines that are known, in the plan's order.
    pub fn entries(&self) -> impl Iterator<Item = (TaskId, &Entry)> {
        (0..self.slots()).flat_map(move |slot| {
            let layout = self.visits[self.visit_of(slot)].layout();
            let entries = layout.map_or(&[][..], |layout| &layout.entries[self.table_of(slot)]);
            entries.iter().enumerate().map(move |(part, entry)| (TaskId { slot, part }, entry))
        })
    }
}

/// The visits of `reaches`, which come in file order: those of one account are one, in order of the first of each. Those
/// that can't be used stay alone; `every_role` keeps different principals apart.
#[must_use]
pub fn visits(reaches: Vec<Reach>, every_role: bool) -> Vec<Visit> {
    let mut groups: Vec<Vec<Reach>> = Vec::new();
    let mut of_key = HashMap::new();
    for reach in reaches {
        if !matches!(reach.standing, Standing::Ready) {
            groups.push(vec![reach]);
            continue;
        }
        let principal = every_role.then(|| Arc::clone(&reach.principal));
        let slot = *of_key
            .entry((reach.partition, reach.account_key().to_owned(), principal))
            .or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
        groups[slot].push(reach);
    }
    groups.into_iter().map(|group| Visit::new(Start::Reaches(vec![group]))).collect()
}

fn plan_group(
    entries: &mut Vec<Entry>,
    index: usize,
    table: &PlannedTable,
    reaches: &[Reach],
    group: &[usize],
) {
    let mut settle = |cell: Cell| entries.push(Entry::Settled(Box::new(cell)));
    match &reaches[group[0]].standing {
        Standing::Ready => {}
        Standing::Broken(failure) => {
            for place in places(table, &reaches[group[0]]) {
                settle(table.cell(&reaches[group[0]], place, Status::NotTried).failed(failure));
            }
            return;
        }
        Standing::Skipped(reason) => {
            for place in places(table, &reaches[group[0]]) {
                settle(skipped(&reaches[group[0]], place, table, reason));
            }
            return;
        }
    }
    // Of the roles of a discovered account one is asked for, whichever is granted; profiles are asked for each.
    let is_listed = |reach: usize| reach == group[0] || reaches[reach].profile.is_some();
    if table.global {
        let ways = group.iter().map(|&reach| Way { reach, listed: is_listed(reach) }).collect();
        entries.push(Entry::Task(Task { table: index, place: Place::Global, ways }));
        return;
    }
    let mut regions: Vec<&Arc<str>> = Vec::new();
    for &member in group {
        let reach = &reaches[member];
        match &reach.regions {
            Regions::NoneEnabled(patterns) => {
                let reason = format!("no region that is enabled in the account matches `{patterns}`");
                settle(skipped(reach, Place::Unset, table, &reason));
            }
            _ if reach.known_regions().is_empty() => {
                let failure = no_region(reach);
                settle(table.cell(reach, Place::Unset, Status::NotTried).failed(&failure));
            }
            _ => {}
        }
        for region in reach.known_regions() {
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
    }
    for region in regions {
        let place = Place::Region(Arc::clone(region));
        let partition = partition_of_region(region);
        let listed = |reach: usize| reaches[reach].known_regions().contains(region);
        if partition == reaches[group[0]].partition {
            // Who was to look here answers first; the account's other profiles stand by.
            let (own, others): (Vec<usize>, Vec<usize>) = group.iter().partition(|&&reach| listed(reach));
            let own = own.into_iter().map(|reach| Way { reach, listed: is_listed(reach) });
            let ways = own.chain(others.into_iter().map(|reach| Way { reach, listed: false })).collect();
            entries.push(Entry::Task(Task { table: index, place, ways }));
        } else {
            let reason = format!("region `{region}` is in partition `{partition}`");
            for &reach in group.iter().filter(|&&reach| listed(reach)) {
                let cell = skipped(&reaches[reach], place.clone(), table, &reason);
                entries.push(Entry::Settled(Box::new(cell)));
            }
        }
    }
}

/// Where a reach that can't be used would have been asked.
fn places(table: &PlannedTable, reach: &Reach) -> Vec<Place> {
    if table.global {
        vec![Place::Global]
    } else if reach.known_regions().is_empty() {
        vec![Place::Unset]
    } else {
        reach.known_regions().iter().map(|region| Place::Region(Arc::clone(region))).collect()
    }
}

/// A cell that was planned and needs no answer.
#[must_use]
pub fn skipped(reach: &Reach, place: Place, table: &PlannedTable, reason: &str) -> Cell {
    let mut cell = table.cell(reach, place, Status::Skipped);
    cell.error_message = Some(reason.to_owned());
    cell
}

/// The code of the failure of a regional task without a region.
pub const NO_REGION: &str = "NoRegion";

fn no_region(reach: &Reach) -> Failure {
    Failure::new(FailureKind::Misconfigured, format!("no region is set for {}", reach.in_words()))
        .with_code(NO_REGION)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn table(name: &str, global: bool) -> PlannedTable {
        let schema = ssoinv_core::table::Table::<()>::plain(name, "", vec![]).schema;
        PlannedTable { schema, call: "List".into(), global }
    }

    fn here(regions: &[&str]) -> Regions {
        Regions::In(regions.iter().map(|&region| region.into()).collect())
    }

    fn reach(profile: &str, account: &str, role: &str, regions: &[&str]) -> Reach {
        Reach {
            access: Arc::new(Profile::ambient(&std::collections::BTreeMap::new())),
            profile: Some(profile.into()),
            partition: Partition::Aws,
            account_id: account.parse().ok(),
            account_name: None,
            role_name: Some(role.into()),
            principal: role.into(),
            regions: here(regions),
            standing: Standing::Ready,
        }
    }

    /// A role of an account that was discovered.
    fn role(account: &str, role: &str, regions: &[&str]) -> Reach {
        Reach { profile: None, ..reach("", account, role, regions) }
    }

    fn shown(plan: &Plan) -> Vec<String> {
        let line = |(id, entry): (TaskId, &Entry)| match entry {
            Entry::Task(task) => {
                let (_, reaches) = plan.entry(id).expect("it is laid out");
                let ways = task.ways.iter().map(|way| {
                    let reach = &reaches[way.reach];
                    let name = reach.profile.as_ref().or(reach.role_name.as_ref()).expect("a name");
                    if way.listed { name.to_string() } else { format!("({name})") }
                });
                let ways = ways.collect::<Vec<_>>().join(" ");
                format!("{} {} {ways}", plan.tables[task.table].schema.name, task.place.as_str())
            }
            Entry::Settled(cell) => {
                let scope = &cell.scope;
                let name = scope.profile.as_ref().or(scope.role_name.as_ref()).expect("a name");
                format!("{} {} {name}: {}", cell.table, scope.place.as_str(), cell.status.as_str())
            }
        };
        plan.entries().map(line).collect()
    }

    fn plan(tables: Vec<PlannedTable>, reaches: Vec<Reach>, every_role: bool) -> Plan {
        Plan::new(tables, visits(reaches, every_role))
    }

    #[test]
    fn an_account_is_asked_once_however_many_profiles_reach_it() {
        let reaches = vec![
            reach("a", "111111111111", "Audit", &["us-east-1"]),
            reach("b", "222222222222", "Audit", &["us-east-1"]),
            reach("c", "111111111111", "Admin", &["us-east-1", "eu-west-1"]),
            reach("d", "111111111111", "Audit", &[]),
        ];
        let tables = vec![table("buckets", true), table("instances", false)];
        let once = plan(tables.clone(), reaches.clone(), false);
        assert_eq!(
            shown(&once),
            [
                "buckets global a c d",
                "buckets global b",
                "instances  d: misconfigured",
                "instances us-east-1 a c (d)",
                "instances eu-west-1 c (a) (d)",
                "instances us-east-1 b",
            ]
        );
        let apart = plan(tables, reaches, true);
        assert_eq!(
            shown(&apart)[..3],
            ["buckets global a d", "buckets global b", "buckets global c"],
            "one role is one principal, however many profiles have it"
        );
    }

    #[test]
    fn what_cannot_be_asked_has_its_cells() {
        let mut broken = reach("broken", "111111111111", "Audit", &["us-east-1", "eu-west-1"]);
        broken.standing = Standing::Broken(Failure::new(FailureKind::Misconfigured, "mixed"));
        let mut none = reach("none", "", "", &[]);
        none.standing = Standing::Skipped("no credentials".into());
        let mut china = reach("china", "333333333333", "Audit", &["cn-north-1", "us-east-1"]);
        china.partition = Partition::AwsCn;
        let sound = reach("sound", "111111111111", "Audit", &["us-east-1"]);
        let tables = vec![table("buckets", true), table("instances", false)];
        assert_eq!(
            shown(&plan(tables, vec![broken, none, china, sound], false)),
            [
                "buckets global broken: misconfigured",
                "buckets global none: skipped",
                "buckets global china",
                "buckets global sound",
                "instances us-east-1 broken: misconfigured",
                "instances eu-west-1 broken: misconfigured",
                "instances  none: skipped",
                "instances cn-north-1 china",
                "instances us-east-1 china: skipped",
                "instances us-east-1 sound",
            ]
        );
    }

    #[test]
    fn roles_of_an_account_are_one_cell_and_each_its_own_where_every_one_is_wanted() {
        let tables = vec![table("buckets", true), table("instances", false)];
        let roles = || {
            vec![
                role("111111111111", "Audit", &["us-east-1"]),
                role("111111111111", "ReadOnly", &["us-east-1"]),
            ]
        };
        let one = Plan::new(tables.clone(), vec![Visit::new(Start::Reaches(vec![roles()]))]);
        assert_eq!(shown(&one), ["buckets global Audit (ReadOnly)", "instances us-east-1 Audit (ReadOnly)"]);
        let groups = roles().into_iter().map(|reach| vec![reach]).collect();
        let every = Plan::new(tables, vec![Visit::new(Start::Reaches(groups))]);
        assert_eq!(
            shown(&every),
            [
                "buckets global Audit",
                "buckets global ReadOnly",
                "instances us-east-1 Audit",
                "instances us-east-1 ReadOnly",
            ]
        );
    }

    #[test]
    fn regions_that_must_be_asked_for_wait_and_a_pattern_that_means_none_is_skipped() {
        let patterns = Arc::new(RegionPatterns::new(["ap-*"]).expect("a glob"));
        let asked =
            Reach { regions: Regions::Enabled(Arc::clone(&patterns)), ..role("111111111111", "Audit", &[]) };
        let visit = || vec![Visit::new(Start::Reaches(vec![vec![asked.clone()]]))];
        let tables = vec![table("buckets", true), table("instances", false)];
        let late = Plan::new(tables.clone(), visit());
        assert_eq!(shown(&late), [""; 0], "nobody knows yet where instances are to be looked for");
        late.lay_out(0, vec![vec![Reach { regions: Regions::NoneEnabled(patterns), ..asked.clone() }]]);
        assert_eq!(shown(&late), ["buckets global Audit", "instances  Audit: skipped"]);
        let global = Plan::new(tables[..1].to_vec(), visit());
        assert_eq!(shown(&global), ["buckets global Audit"], "buckets need no region");
    }

    #[test]
    fn a_task_is_known_by_what_is_asked_and_through_whom() {
        let keys = |reaches: Vec<Reach>| {
            let plan = plan(vec![table("buckets", true), table("instances", false)], reaches, false);
            plan.entries().filter_map(|(id, _)| plan.key(id)).collect::<Vec<_>>()
        };
        let (a, b) =
            (reach("a", "111111111111", "Audit", &["us-east-1"]), reach("b", "222222222222", "Audit", &[]));
        let one = keys(vec![a.clone(), b.clone()]);
        assert_eq!(one.len(), 3, "what is settled has none");
        assert_eq!(one[0], "buckets\naws\n111111111111\nglobal\nlisted\na\nAudit");
        let mut turned = keys(vec![b, a.clone()]);
        turned.swap(0, 1);
        assert_eq!(one, turned, "whatever its place in the plan");
        // Another role, another profile beside it, another region: each may have other cells.
        let others = [
            vec![reach("a", "111111111111", "Admin", &["us-east-1"])],
            vec![a, reach("c", "111111111111", "Audit", &["us-east-1"])],
            vec![reach("a", "111111111111", "Audit", &["us-east-2"])],
        ];
        for other in others {
            assert!(!one.contains(&keys(other)[1]));
        }
    }

    const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-south-1"];

    proptest! {
        /// Every (account, region) that some profile selected is asked exactly once for each table.
        #[test]
        fn each_account_and_region_once(picks in prop::collection::vec((0..4_u8, 0..3_u8, prop::collection::btree_set(0..3_usize, 0..3)), 0..12)) {
            let reaches: Vec<Reach> = picks.iter().enumerate().map(|(index, (account, role, regions))| {
                let regions: Vec<&str> = regions.iter().map(|&region| REGIONS[region]).collect();
                reach(&format!("p{index}"), &format!("00000000000{account}"), &format!("r{role}"), &regions)
            }).collect();
            let wanted: BTreeSet<_> = reaches.iter().flat_map(|reach| {
                reach.known_regions().iter().map(|region| (reach.account_id, Place::Region(Arc::clone(region))))
            }).collect();
            let plan = plan(vec![table("instances", false)], reaches, false);
            let asked: Vec<_> = plan.entries().filter_map(|(id, entry)| match entry {
                Entry::Task(task) => {
                    let (_, reaches) = plan.entry(id)?;
                    Some((reaches[task.ways[0].reach].account_id, task.place.clone()))
                }
                Entry::Settled(_) => None,
            }).collect();
            prop_assert_eq!(asked.iter().cloned().collect::<BTreeSet<_>>(), wanted);
            prop_assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), asked.len());
        }

        /// In whatever order accounts tell their roles and regions: the same plan, each task under the same name, once.
        #[test]
        fn the_order_depends_on_nobody_s_speed(
            accounts in prop::collection::vec((1..3_usize, prop::collection::btree_set(0..3_usize, 0..3)), 1..8),
            seed in any::<u64>(),
        ) {
            let tables = || vec![table("buckets", true), table("instances", false), table("functions", false)];
            let patterns = Arc::new(RegionPatterns::new(["all"]).expect("a word"));
            let visits = || (0..accounts.len()).map(|index| {
                let asked = Reach {
                    regions: Regions::Enabled(Arc::clone(&patterns)),
                    ..role(&format!("{index:012}"), "none", &[])
                };
                Visit::new(Start::Reaches(vec![vec![asked]]))
            }).collect::<Vec<_>>();
            let answer = |index: usize| -> Vec<Vec<Reach>> {
                let (roles, regions) = &accounts[index];
                let regions: Vec<&str> = regions.iter().map(|&region| REGIONS[region]).collect();
                (0..*roles).map(|number| vec![role(&format!("{index:012}"), &format!("r{number}"), &regions)]).collect()
            };
            let (one, other) = (Plan::new(tables(), visits()), Plan::new(tables(), visits()));
            for index in 0..accounts.len() {
                one.lay_out(index, answer(index));
            }
            let mut order: Vec<usize> = (0..accounts.len()).collect();
            order.sort_by_key(|&index| (index as u64 + 1).wrapping_mul(seed | 1));
            for index in order {
                other.lay_out(index, answer(index));
            }
            prop_assert_eq!(shown(&one), shown(&other));
            let keys: Vec<_> = one.entries().filter_map(|(id, _)| one.key(id)).collect();
            prop_assert_eq!(&keys, &other.entries().filter_map(|(id, _)| other.key(id)).collect::<Vec<_>>());
            prop_assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{:?}", keys);
            let ids: Vec<TaskId> = one.entries().map(|(id, _)| id).collect();
            prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", ids);
            let mut seen = BTreeSet::new();
            for (id, entry) in one.entries() {
                let Entry::Task(task) = entry else { continue };
                let (_, reaches) = one.entry(id).expect("it is laid out");
                let reach = &reaches[task.ways[0].reach];
                prop_assert!(seen.insert((task.table, reach.account_id, reach.role_name.clone(), task.place.clone())));
                prop_assert_eq!(one.slot(task.table, one.visit_of(id.slot)), id.slot);
            }
        }
    }
}
