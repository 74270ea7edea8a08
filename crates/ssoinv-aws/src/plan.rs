//! Station 4: accounts × regions × tables become tasks, in an order that depends on the files alone.
//!
//! A *reach* is one way into one account: a profile whose account is known. Reaches of one account are one scope per
//! region: the first in file order answers, the others stand by (`every_role` keeps different roles apart). What can't
//! be asked at all, a broken profile, a region of another partition, is settled here, so that the ledger has a cell for
//! everything that was planned. Pure: no call, no clock. What works the tasks off: [`crate::runner`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ssoinv_core::coverage::{Cell, Status};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::{AccountId, Partition, Place, Scope, partition_of_region};
use ssoinv_core::table::TableSchema;

/// One way into one account.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The profile.
    pub profile: Arc<str>,
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
    /// The regions to ask for regional tables, without repetition.
    pub regions: Vec<Arc<str>>,
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
            profile: Some(Arc::clone(&self.profile)),
            place,
        }
    }
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
    /// Whether it is asked once an account, whatever the region.
    pub global: bool,
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
    /// The reach's place among the reaches.
    pub reach: usize,
    /// Whether this place was selected for this very profile, so that the ledger has a cell for it.
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

/// Everything to be done, in order: by table, then account, then region.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tables.
    pub tables: Vec<PlannedTable>,
    /// The reaches.
    pub reaches: Vec<Reach>,
    /// The lines. A line's index is its task number in events and in the row queue.
    pub entries: Vec<Entry>,
}

impl Plan {
    /// Plans `tables` over `reaches`, which come in file order.
    #[must_use]
    pub fn new(tables: Vec<PlannedTable>, reaches: Vec<Reach>, every_role: bool) -> Self {
        let groups = group(&reaches, every_role);
        let mut entries = Vec::new();
        for (index, table) in tables.iter().enumerate() {
            for group in &groups {
                plan_group(&mut entries, index, table, &reaches, group);
            }
        }
        Self { tables, reaches, entries }
    }

    /// The different accounts that are to be asked.
    #[must_use]
    pub fn accounts(&self) -> usize {
        let asked = self.reaches.iter().filter(|reach| !matches!(reach.standing, Standing::Skipped(_)));
        asked.map(|reach| account_key(reach).to_owned()).collect::<BTreeSet<_>>().len()
    }
}

/// What tells accounts apart: the ID, or the profile where it isn't known.
fn account_key(reach: &Reach) -> &str {
    reach.account_id.as_ref().map_or(&reach.profile, AccountId::as_str)
}

/// Reaches that are one scope, in order of the first of each. Those that can't be used stay alone.
fn group(reaches: &[Reach], every_role: bool) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut of_key = HashMap::new();
    for (index, reach) in reaches.iter().enumerate() {
        if !matches!(reach.standing, Standing::Ready) {
            groups.push(vec![index]);
            continue;
        }
        let principal = every_role.then_some(&*reach.principal);
        let slot = *of_key.entry((reach.partition, account_key(reach), principal)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[slot].push(index);
    }
    groups
}

fn plan_group(
    entries: &mut Vec<Entry>,
    index: usize,
    table: &PlannedTable,
    reaches: &[Reach],
    group: &[usize],
) {
    let name = table.schema.name;
    let mut settle = |cell: Cell| entries.push(Entry::Settled(Box::new(cell)));
    match &reaches[group[0]].standing {
        Standing::Ready => {}
        Standing::Broken(failure) => {
            for place in places(table, &reaches[group[0]]) {
                settle(
                    Cell::untouched(reaches[group[0]].scope(place), name, Status::NotTried).failed(failure),
                );
            }
            return;
        }
        Standing::Skipped(reason) => {
            for place in places(table, &reaches[group[0]]) {
                settle(skipped(&reaches[group[0]], place, name, reason));
            }
            return;
        }
    }
    if table.global {
        let ways = group.iter().map(|&reach| Way { reach, listed: true }).collect();
        entries.push(Entry::Task(Task { table: index, place: Place::Global, ways }));
        return;
    }
    let mut regions: Vec<&Arc<str>> = Vec::new();
    for &member in group {
        let reach = &reaches[member];
        if reach.regions.is_empty() {
            let failure = no_region(&reach.profile);
            settle(Cell::untouched(reach.scope(Place::Unset), name, Status::NotTried).failed(&failure));
        }
        for region in &reach.regions {
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
    }
    for region in regions {
        let place = Place::Region(Arc::clone(region));
        let partition = partition_of_region(region);
        let listed = |reach: usize| reaches[reach].regions.contains(region);
        if partition == reaches[group[0]].partition {
            // Who was to look here answers first; the account's other profiles stand by.
            let (own, others): (Vec<usize>, Vec<usize>) = group.iter().partition(|&&reach| listed(reach));
            let own = own.into_iter().map(|reach| Way { reach, listed: true });
            let ways = own.chain(others.into_iter().map(|reach| Way { reach, listed: false })).collect();
            entries.push(Entry::Task(Task { table: index, place, ways }));
        } else {
            let reason = format!("region `{region}` is in partition `{partition}`");
            for &reach in group.iter().filter(|&&reach| listed(reach)) {
                let cell = skipped(&reaches[reach], place.clone(), name, &reason);
                entries.push(Entry::Settled(Box::new(cell)));
            }
        }
    }
}

/// Where a reach that can't be used would have been asked.
fn places(table: &PlannedTable, reach: &Reach) -> Vec<Place> {
    if table.global {
        vec![Place::Global]
    } else if reach.regions.is_empty() {
        vec![Place::Unset]
    } else {
        reach.regions.iter().map(|region| Place::Region(Arc::clone(region))).collect()
    }
}

/// A cell that was planned and needs no answer.
#[must_use]
pub fn skipped(reach: &Reach, place: Place, table: &'static str, reason: &str) -> Cell {
    let mut cell = Cell::untouched(reach.scope(place), table, Status::Skipped);
    cell.error_message = Some(reason.to_owned());
    cell
}

/// The code of the failure of a regional task without a region.
pub const NO_REGION: &str = "NoRegion";

fn no_region(profile: &str) -> Failure {
    Failure::new(FailureKind::Misconfigured, format!("no region is set for profile `{profile}`"))
        .with_code(NO_REGION)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(name: &'static str, global: bool) -> PlannedTable {
        let schema = ssoinv_core::table::Table::<()>::plain(name, "", vec![]).schema;
        PlannedTable { schema, global }
    }

    fn reach(profile: &str, account: &str, role: &str, regions: &[&str]) -> Reach {
        Reach {
            profile: profile.into(),
            partition: Partition::Aws,
            account_id: account.parse().ok(),
            account_name: None,
            role_name: Some(role.into()),
            principal: role.into(),
            regions: regions.iter().map(|&region| region.into()).collect(),
            standing: Standing::Ready,
        }
    }

    fn shown(plan: &Plan) -> Vec<String> {
        let line = |entry: &Entry| match entry {
            Entry::Task(task) => {
                let ways = task.ways.iter().map(|way| {
                    let profile = &plan.reaches[way.reach].profile;
                    if way.listed { profile.to_string() } else { format!("({profile})") }
                });
                let ways = ways.collect::<Vec<_>>().join(" ");
                format!("{} {} {ways}", plan.tables[task.table].schema.name, task.place.as_str())
            }
            Entry::Settled(cell) => {
                let profile = cell.scope.profile.as_deref().unwrap_or_default();
                format!("{} {} {profile}: {}", cell.table, cell.scope.place.as_str(), cell.status.as_str())
            }
        };
        plan.entries.iter().map(line).collect()
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
        let once = Plan::new(tables.clone(), reaches.clone(), false);
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
        assert_eq!(once.accounts(), 2);
        let apart = Plan::new(tables, reaches, true);
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
        let plan = Plan::new(tables, vec![broken, none, china, sound], false);
        assert_eq!(
            shown(&plan),
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

    proptest! {
        /// Every (account, region) that some profile selected is asked exactly once for each table.
        #[test]
        fn each_account_and_region_once(picks in prop::collection::vec((0..4_u8, 0..3_u8, prop::collection::btree_set(0..3_usize, 0..3)), 0..12)) {
            const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-south-1"];
            let reaches: Vec<Reach> = picks.iter().enumerate().map(|(index, (account, role, regions))| {
                let regions: Vec<&str> = regions.iter().map(|&region| REGIONS[region]).collect();
                reach(&format!("p{index}"), &format!("00000000000{account}"), &format!("r{role}"), &regions)
            }).collect();
            let wanted: BTreeSet<_> = reaches.iter().flat_map(|reach| {
                reach.regions.iter().map(|region| (reach.account_id, Place::Region(Arc::clone(region))))
            }).collect();
            let plan = Plan::new(vec![table("instances", false)], reaches, false);
            let asked: Vec<_> = plan.entries.iter().filter_map(|entry| match entry {
                Entry::Task(task) => Some((plan.reaches[task.ways[0].reach].account_id, task.place.clone())),
                Entry::Settled(_) => None,
            }).collect();
            prop_assert_eq!(asked.iter().cloned().collect::<BTreeSet<_>>(), wanted);
            prop_assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), asked.len());
        }
    }
}
