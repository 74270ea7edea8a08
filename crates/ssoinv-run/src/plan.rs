//! [`Plan`]: accounts × regions × tables become tasks, in an order that depends on the selection alone.
//!
//! Made by the binary before a run; [`crate::runner`] works it off. An [`AccountScan`] is one account, an
//! [`AccountAccess`] one identity that reaches it. The accesses of an account are one scope per region: the first one
//! reads it, the others stand by (`every_role` keeps different roles apart). What can't be read at all, a broken profile,
//! a region of another partition, is settled here, so that the ledger has a cell for everything that was planned.
//!
//! Guarantees that accounts and their order are known before the run. An account's roles and enabled regions may be
//! resolved only during the run (`resolve.rs`): then its tasks are laid out late, in the place that was kept for
//! them, so that the order doesn't depend on which response came first. Pure: no call, no clock.

use std::collections::HashMap;
use std::sync::Arc;

use ssoinv_core::coverage::Cell;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::rows::TaskId;
use ssoinv_core::scope::{Place, partition_of_region};
use ssoinv_core::status::Status;
use ssoinv_core::table::TableSchema;

use crate::access::{AccessState, AccountAccess, Regions};
use crate::account_scan::{AccountScan, Candidate, Entry, Layout, Start, Task};

/// A table as the plan needs it.
#[derive(Clone, Debug)]
pub struct PlannedTable {
    /// The schema.
    pub schema: Arc<TableSchema>,
    /// The operation that lists the rows.
    pub list_call: Arc<str>,
    /// Whether it is read once for each account, whatever the region.
    pub account_wide: bool,
}

impl PlannedTable {
    /// Returns the cell of the list call, before anything was done.
    pub(crate) fn cell(&self, access: &AccountAccess, place: Place, status: Status) -> Cell {
        Cell::new(access.scope(place), Arc::clone(&self.schema.name), Arc::clone(&self.list_call), status)
    }

    /// Returns the cell of a list call that isn't needed.
    pub(crate) fn skipped(&self, access: &AccountAccess, place: Place, reason: &str) -> Cell {
        let mut cell = self.cell(access, place, Status::Skipped);
        cell.error_message = Some(reason.to_owned());
        cell
    }

    /// Returns where an access that can't be used would have read.
    fn places(&self, access: &AccountAccess) -> Vec<Place> {
        if self.account_wide {
            vec![Place::Global]
        } else if access.known_regions().is_empty() {
            vec![Place::Unset]
        } else {
            access.known_regions().iter().map(|region| Place::Region(Arc::clone(region))).collect()
        }
    }
}

/// Everything to be done, in order: by table, then account, then role and region.
#[derive(Debug)]
pub struct Plan {
    /// The tables.
    pub tables: Vec<PlannedTable>,
    /// The accounts.
    pub scans: Vec<AccountScan>,
}

impl Plan {
    /// Plans `tables` in each account, in this order. Accounts of which all is known are laid out at once.
    #[must_use]
    pub fn new(tables: Vec<PlannedTable>, scans: Vec<AccountScan>) -> Self {
        let plan = Self { tables, scans };
        let regional = plan.tables.iter().any(|table| !table.account_wide);
        for (scan, known) in plan.scans.iter().enumerate() {
            if let Start::Accesses(groups) = &known.start {
                let unknown = |access: &AccountAccess| {
                    matches!((&access.regions, &access.state), (Regions::Enabled(_), AccessState::Ready))
                };
                if !regional || !groups.iter().flatten().any(unknown) {
                    plan.lay_out(scan, groups.clone());
                }
            }
        }
        plan
    }

    /// Lays out the tasks of an account. Accesses that are one scope stand together. Only the first call has an effect.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn lay_out(&self, scan: usize, groups: Vec<Vec<AccountAccess>>) -> &Layout {
        self.scans[scan].layout.get_or_init(|| {
            let mut first = 0;
            let places: Vec<Vec<usize>> = groups
                .iter()
                .map(|group| {
                    first += group.len();
                    (first - group.len()..first).collect()
                })
                .collect();
            let accesses: Vec<AccountAccess> = groups.into_iter().flatten().collect();
            let entries = |(index, table): (usize, &PlannedTable)| {
                let group = |members| Group { index, table, accesses: &accesses, members };
                places.iter().flat_map(|members| group(members).entries()).collect()
            };
            let entries = self.tables.iter().enumerate().map(entries).collect();
            Layout { accesses, entries }
        })
    }

    /// Counts the slots: one for each table in each account.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.tables.len() * self.scans.len()
    }

    /// Returns the slot of a table in an account.
    #[must_use]
    pub fn slot(&self, table: usize, scan: usize) -> usize {
        table * self.scans.len() + scan
    }

    /// Returns the table of a slot.
    #[must_use]
    pub fn table_of(&self, slot: usize) -> usize {
        slot / self.scans.len().max(1)
    }

    /// Returns the account of a slot.
    #[must_use]
    pub fn scan_of(&self, slot: usize) -> usize {
        slot % self.scans.len().max(1)
    }

    /// Returns an entry of the plan and the accesses of its account, once they are known.
    #[must_use]
    pub fn entry(&self, task: TaskId) -> Option<(&Entry, &[AccountAccess])> {
        let layout = self.scans.get(self.scan_of(task.slot))?.layout()?;
        let entry = layout.entries.get(self.table_of(task.slot))?.get(task.part)?;
        Some((entry, &layout.accesses))
    }

    /// Returns what identifies a task across runs: the table, the place, and the account's accesses in order.
    ///
    /// If any of them differs, the cells may differ. Settled entries have no key. Names of profiles and roles are single
    /// lines, so that line feeds keep them apart.
    #[must_use]
    pub fn key(&self, task: TaskId) -> Option<String> {
        let (Entry::Task(entry), accesses) = self.entry(task)? else { return None };
        let first = &accesses[entry.candidates.first()?.access];
        let table = &*self.tables[entry.table].schema.name;
        let mut words = vec![table, first.partition.as_str(), first.account_key(), entry.place.as_str()];
        for candidate in &entry.candidates {
            let access = &accesses[candidate.access];
            let listed = if candidate.listed { "listed" } else { "stands by" };
            words.extend([listed, access.profile.as_deref().unwrap_or_default(), &access.principal]);
        }
        Some(words.join("\n"))
    }

    /// Iterates over the entries that are known, in the plan's order.
    pub fn entries(&self) -> impl Iterator<Item = (TaskId, &Entry)> {
        (0..self.slots()).flat_map(move |slot| {
            let layout = self.scans[self.scan_of(slot)].layout();
            let entries = layout.map_or(&[][..], |layout| &layout.entries[self.table_of(slot)]);
            entries.iter().enumerate().map(move |(part, entry)| (TaskId { slot, part }, entry))
        })
    }
}

/// Groups accesses, which come in file order, by account, in order of each account's first access.
///
/// Accesses that can't be used stay alone; `every_role` keeps different principals apart.
#[must_use]
pub fn account_scans(accesses: Vec<AccountAccess>, every_role: bool) -> Vec<AccountScan> {
    let mut groups: Vec<Vec<AccountAccess>> = Vec::new();
    let mut of_key = HashMap::new();
    for access in accesses {
        if !matches!(access.state, AccessState::Ready) {
            groups.push(vec![access]);
            continue;
        }
        let principal = every_role.then(|| Arc::clone(&access.principal));
        let slot = *of_key
            .entry((access.partition, access.account_key().to_owned(), principal))
            .or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
        groups[slot].push(access);
    }
    groups.into_iter().map(|group| AccountScan::new(Start::Accesses(vec![group]))).collect()
}

/// Plans one table for accesses that are one scope: indexes into the account's accesses.
#[derive(Clone, Copy)]
struct Group<'a> {
    index: usize,
    table: &'a PlannedTable,
    accesses: &'a [AccountAccess],
    members: &'a [usize],
}

impl Group<'_> {
    fn entries(self) -> Vec<Entry> {
        let first = &self.accesses[self.members[0]];
        let settled = |cell: &dyn Fn(Place) -> Cell| {
            let cells = self.table.places(first).into_iter().map(cell);
            cells.map(|cell| Entry::Settled(Box::new(cell))).collect()
        };
        match &first.state {
            AccessState::Ready if self.table.account_wide => vec![self.account_wide()],
            AccessState::Ready => self.regional(),
            AccessState::Broken(failure) => {
                settled(&|place| self.table.cell(first, place, Status::NotTried).failed(failure))
            }
            AccessState::Skipped(reason) => settled(&|place| self.table.skipped(first, place, reason)),
        }
    }

    /// Of the roles of a discovered account one is listed, whichever is granted; of profiles each.
    fn candidate(self, access: usize, selected: bool) -> Candidate {
        let listed = access == self.members[0] || self.accesses[access].profile.is_some();
        Candidate { access, listed: listed && selected }
    }

    fn account_wide(self) -> Entry {
        let candidates = self.members.iter().map(|&access| self.candidate(access, true)).collect();
        Entry::Task(Task { table: self.index, place: Place::Global, candidates })
    }

    fn regional(self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut regions: Vec<&Arc<str>> = Vec::new();
        for access in self.members.iter().map(|&member| &self.accesses[member]) {
            entries.extend(self.without_region(access).map(|cell| Entry::Settled(Box::new(cell))));
            for region in access.known_regions() {
                if !regions.contains(&region) {
                    regions.push(region);
                }
            }
        }
        entries.extend(regions.into_iter().flat_map(|region| self.in_region(region)));
        entries
    }

    /// The cell of an access that has no region to read.
    fn without_region(self, access: &AccountAccess) -> Option<Cell> {
        match &access.regions {
            Regions::NoneEnabled(patterns) => {
                let reason = format!("no region that is enabled in the account matches `{patterns}`");
                Some(self.table.skipped(access, Place::Unset, &reason))
            }
            _ if access.known_regions().is_empty() => {
                let cell = self.table.cell(access, Place::Unset, Status::NotTried);
                Some(cell.failed(&no_region(access)))
            }
            _ => None,
        }
    }

    fn in_region(self, region: &Arc<str>) -> Vec<Entry> {
        let place = Place::Region(Arc::clone(region));
        let selected = |access: usize| self.accesses[access].known_regions().contains(region);
        // An access that selected the region reads it; the account's others stand by.
        let (own, others): (Vec<usize>, Vec<usize>) =
            self.members.iter().partition(|&&access| selected(access));
        let partition = partition_of_region(region);
        if partition == self.accesses[self.members[0]].partition {
            let own = own.into_iter().map(|access| self.candidate(access, true));
            let candidates = own.chain(others.into_iter().map(|access| self.candidate(access, false)));
            let candidates = candidates.collect();
            return vec![Entry::Task(Task { table: self.index, place, candidates })];
        }
        let reason = format!("region `{region}` is in partition `{partition}`");
        let skipped = own.into_iter().map(|access| {
            Entry::Settled(Box::new(self.table.skipped(&self.accesses[access], place.clone(), &reason)))
        });
        skipped.collect()
    }
}

/// The code of the failure of a regional task without a region.
pub const NO_REGION: &str = "NoRegion";

fn no_region(access: &AccountAccess) -> Failure {
    Failure::new(FailureKind::Misconfigured, format!("no region is set for {}", access.describe()))
        .with_code(NO_REGION)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use ssoinv_core::scope::Partition;
    use ssoinv_core::table::RowEncoder;
    use ssoinv_sso::profile::Profile;

    use super::*;
    use crate::region_patterns::RegionPatterns;

    fn table(name: &'static str, global: bool) -> PlannedTable {
        let schema = RowEncoder::<()>::plain(name, "", vec![]).schema;
        PlannedTable { schema, list_call: "ListThings".into(), account_wide: global }
    }

    fn here(regions: &[&str]) -> Regions {
        Regions::In(regions.iter().map(|&region| region.into()).collect())
    }

    fn access(profile: &str, account: &str, role: &str, regions: &[&str]) -> AccountAccess {
        AccountAccess {
            source: Arc::new(Profile::ambient(&std::collections::BTreeMap::new())),
            profile: Some(profile.into()),
            partition: Partition::Aws,
            account_id: account.parse().ok(),
            account_name: None,
            role_name: Some(role.into()),
            principal: role.into(),
            regions: here(regions),
            state: AccessState::Ready,
        }
    }

    /// A role of an account that was discovered.
    fn role(account: &str, role: &str, regions: &[&str]) -> AccountAccess {
        AccountAccess { profile: None, ..access("", account, role, regions) }
    }

    fn shown(plan: &Plan) -> Vec<String> {
        let line = |(id, entry): (TaskId, &Entry)| match entry {
            Entry::Task(task) => {
                let (_, accesses) = plan.entry(id).expect("it is laid out");
                let candidates = task.candidates.iter().map(|candidate| {
                    let access = &accesses[candidate.access];
                    let name = access.profile.as_ref().or(access.role_name.as_ref()).expect("a name");
                    if candidate.listed { name.to_string() } else { format!("({name})") }
                });
                let candidates = candidates.collect::<Vec<_>>().join(" ");
                format!("{} {} {candidates}", plan.tables[task.table].schema.name, task.place.as_str())
            }
            Entry::Settled(cell) => {
                let scope = &cell.scope;
                let name = scope.profile.as_ref().or(scope.role_name.as_ref()).expect("a name");
                format!("{} {} {name}: {}", cell.table, scope.place.as_str(), cell.status.as_str())
            }
        };
        plan.entries().map(line).collect()
    }

    fn plan(tables: Vec<PlannedTable>, accesses: Vec<AccountAccess>, every_role: bool) -> Plan {
        Plan::new(tables, account_scans(accesses, every_role))
    }

    #[test]
    fn an_account_is_asked_once_however_many_profiles_reach_it() {
        let accesses = vec![
            access("a", "111111111111", "Audit", &["us-east-1"]),
            access("b", "222222222222", "Audit", &["us-east-1"]),
            access("c", "111111111111", "Admin", &["us-east-1", "eu-west-1"]),
            access("d", "111111111111", "Audit", &[]),
        ];
        let tables = vec![table("buckets", true), table("instances", false)];
        let once = plan(tables.clone(), accesses.clone(), false);
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
        let apart = plan(tables, accesses, true);
        assert_eq!(
            shown(&apart)[..3],
            ["buckets global a d", "buckets global b", "buckets global c"],
            "one role is one principal, however many profiles have it"
        );
    }

    #[test]
    fn what_cannot_be_asked_has_its_cells() {
        let mut broken = access("broken", "111111111111", "Audit", &["us-east-1", "eu-west-1"]);
        broken.state = AccessState::Broken(Failure::new(FailureKind::Misconfigured, "mixed"));
        let mut none = access("none", "", "", &[]);
        none.state = AccessState::Skipped("no credentials".into());
        let mut china = access("china", "333333333333", "Audit", &["cn-north-1", "us-east-1"]);
        china.partition = Partition::AwsCn;
        let sound = access("sound", "111111111111", "Audit", &["us-east-1"]);
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
        let one = Plan::new(tables.clone(), vec![AccountScan::new(Start::Accesses(vec![roles()]))]);
        assert_eq!(shown(&one), ["buckets global Audit (ReadOnly)", "instances us-east-1 Audit (ReadOnly)"]);
        let groups = roles().into_iter().map(|access| vec![access]).collect();
        let every = Plan::new(tables, vec![AccountScan::new(Start::Accesses(groups))]);
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
        let asked = AccountAccess {
            regions: Regions::Enabled(Arc::clone(&patterns)),
            ..role("111111111111", "Audit", &[])
        };
        let scan = || vec![AccountScan::new(Start::Accesses(vec![vec![asked.clone()]]))];
        let tables = vec![table("buckets", true), table("instances", false)];
        let late = Plan::new(tables.clone(), scan());
        assert_eq!(shown(&late), [""; 0], "nobody knows yet where instances are to be looked for");
        late.lay_out(
            0,
            vec![vec![AccountAccess { regions: Regions::NoneEnabled(patterns), ..asked.clone() }]],
        );
        assert_eq!(shown(&late), ["buckets global Audit", "instances  Audit: skipped"]);
        let global = Plan::new(tables[..1].to_vec(), scan());
        assert_eq!(shown(&global), ["buckets global Audit"], "buckets need no region");
    }

    #[test]
    fn a_task_is_known_by_what_is_asked_and_through_whom() {
        let keys = |accesses: Vec<AccountAccess>| {
            let plan = plan(vec![table("buckets", true), table("instances", false)], accesses, false);
            plan.entries().filter_map(|(id, _)| plan.key(id)).collect::<Vec<_>>()
        };
        let (a, b) =
            (access("a", "111111111111", "Audit", &["us-east-1"]), access("b", "222222222222", "Audit", &[]));
        let one = keys(vec![a.clone(), b.clone()]);
        assert_eq!(one.len(), 3, "what is settled has none");
        assert_eq!(one[0], "buckets\naws\n111111111111\nglobal\nlisted\na\nAudit");
        let mut turned = keys(vec![b, a.clone()]);
        turned.swap(0, 1);
        assert_eq!(one, turned, "whatever its place in the plan");
        // Another role, another profile beside it, another region: each may have other cells.
        let others = [
            vec![access("a", "111111111111", "Admin", &["us-east-1"])],
            vec![a, access("c", "111111111111", "Audit", &["us-east-1"])],
            vec![access("a", "111111111111", "Audit", &["us-east-2"])],
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
            let accesses: Vec<AccountAccess> = picks.iter().enumerate().map(|(index, (account, role, regions))| {
                let regions: Vec<&str> = regions.iter().map(|&region| REGIONS[region]).collect();
                access(&format!("p{index}"), &format!("00000000000{account}"), &format!("r{role}"), &regions)
            }).collect();
            let wanted: BTreeSet<_> = accesses.iter().flat_map(|access| {
                access.known_regions().iter().map(|region| (access.account_id, Place::Region(Arc::clone(region))))
            }).collect();
            let plan = plan(vec![table("instances", false)], accesses, false);
            let asked: Vec<_> = plan.entries().filter_map(|(id, entry)| match entry {
                Entry::Task(task) => {
                    let (_, accesses) = plan.entry(id)?;
                    Some((accesses[task.candidates[0].access].account_id, task.place.clone()))
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
            let scans = || (0..accounts.len()).map(|index| {
                let asked = AccountAccess {
                    regions: Regions::Enabled(Arc::clone(&patterns)),
                    ..role(&format!("{index:012}"), "none", &[])
                };
                AccountScan::new(Start::Accesses(vec![vec![asked]]))
            }).collect::<Vec<_>>();
            let answer = |index: usize| -> Vec<Vec<AccountAccess>> {
                let (roles, regions) = &accounts[index];
                let regions: Vec<&str> = regions.iter().map(|&region| REGIONS[region]).collect();
                (0..*roles).map(|number| vec![role(&format!("{index:012}"), &format!("r{number}"), &regions)]).collect()
            };
            let (one, other) = (Plan::new(tables(), scans()), Plan::new(tables(), scans()));
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
                let (_, accesses) = one.entry(id).expect("it is laid out");
                let access = &accesses[task.candidates[0].access];
                prop_assert!(seen.insert((task.table, access.account_id, access.role_name.clone(), task.place.clone())));
                prop_assert_eq!(one.slot(task.table, one.scan_of(id.slot)), id.slot);
            }
        }
    }
}
