//! Applies expectations to a ledger: marks expected gaps, and finds deviations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use ssoinv_core::coverage::Cell;
use ssoinv_core::scope::AccountId;
use ssoinv_core::status::Status;

use super::{Expectations, Gap};
use crate::account_list::NamedAccount;

/// The extent of a run. A gap outside of it is no deviation.
#[derive(Clone, Debug)]
pub(crate) struct RunExtent {
    /// The tables, and whether each is account-wide.
    pub(crate) tables: Vec<(Arc<str>, bool)>,
    /// True if no account was excluded.
    pub(crate) all_accounts: bool,
    /// True if no enabled region was excluded.
    pub(crate) all_regions: bool,
}

/// Differences between the expectations and the ledger.
#[derive(Debug, Default)]
pub(crate) struct Deviations<'a> {
    /// Accounts that no file lists.
    pub(crate) new: Vec<NamedAccount>,
    /// Gaps with cells whose last day is over.
    pub(crate) over: Vec<&'a Gap>,
    /// Gaps whose cells are complete, with at least one collected.
    pub(crate) readable: Vec<&'a Gap>,
    /// Gaps without a cell, although they are within the extent of the run.
    pub(crate) nowhere: Vec<&'a Gap>,
    /// Gaps that hold, with their number of incomplete cells.
    pub(crate) held: Vec<(&'a Gap, usize)>,
}

/// The cells of a gap, counted.
#[derive(Clone, Copy, Debug, Default)]
struct GapTally {
    cells: usize,
    missing: usize,
    answered: usize,
}

impl Expectations {
    /// Marks the cells in which a gap is expected at the time `now`, and returns the deviations.
    pub(crate) fn apply(&self, cells: &mut [Cell], extent: &RunExtent, now: SystemTime) -> Deviations<'_> {
        let mut tallies = vec![GapTally::default(); self.gaps.len()];
        for cell in &mut *cells {
            for index in self.gaps_of(cell.scope.account_id).collect::<Vec<_>>() {
                let gap = &self.gaps[index];
                if !gap.is_in(cell) {
                    continue;
                }
                let tally = &mut tallies[index];
                tally.cells += 1;
                tally.missing += usize::from(!cell.status.is_complete());
                tally.answered += usize::from(cell.status == Status::Ok);
                cell.expected |= !gap.is_over(now);
            }
        }
        let mut deviations = Deviations { new: self.new_accounts(cells), ..Deviations::default() };
        for (gap, tally) in self.gaps.iter().zip(tallies) {
            match tally {
                GapTally { cells: 0, .. } if gap_is_within(gap, extent, cells) => {
                    deviations.nowhere.push(gap);
                }
                GapTally { cells: 0, .. } => {}
                _ if gap.is_over(now) => deviations.over.push(gap),
                GapTally { missing: 0, answered: 1.., .. } => deviations.readable.push(gap),
                GapTally { missing, .. } if missing > 0 => deviations.held.push((gap, missing)),
                // Skipped, or in regions that aren't enabled: neither readable nor held.
                _ => {}
            }
        }
        deviations
    }

    fn new_accounts(&self, cells: &[Cell]) -> Vec<NamedAccount> {
        if !self.lists_accounts {
            return Vec::new();
        }
        let mut known: BTreeSet<AccountId> = self.accounts.iter().map(|account| account.id).collect();
        known.extend(&self.inactive);
        let mut new = Vec::new();
        for cell in cells {
            if let Some(id) = cell.scope.account_id
                && known.insert(id)
            {
                new.push(NamedAccount { id, name: cell.scope.account_name.clone() });
            }
        }
        new
    }
}

/// Returns whether a gap without a cell is within the extent of the run: of its tables, its accounts and its regions.
fn gap_is_within(gap: &Gap, extent: &RunExtent, cells: &[Cell]) -> bool {
    let table =
        extent.tables.iter().any(|(name, global)| gap.is_of_table(name) && (!global || gap.is_of_global()));
    let account = extent.all_accounts || cells.iter().any(|cell| gap.is_of_account(cell));
    let region = extent.all_regions || cells.iter().any(|cell| gap.is_of_place(&cell.scope.place));
    table && account && region
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ssoinv_core::scope::{Partition, Place, Scope};

    use super::*;
    use crate::expectations::tests::expectations;

    /// Parses lines of `ACCOUNT-NAME REGION TABLE STATUS`. The account ID is the first digit, twelve times.
    fn cells(text: &str) -> Vec<Cell> {
        let cell = |line: &str| {
            let [account, region, table, status] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let (digit, name) = account.split_once('-').unwrap_or((account, ""));
            let place = match region {
                "global" => Place::Global,
                "-" => Place::Unset,
                region => Place::Region(region.into()),
            };
            let scope = Scope {
                partition: Partition::Aws,
                account_id: digit.repeat(12).parse().ok(),
                account_name: (!name.is_empty()).then(|| name.into()),
                role_name: None,
                profile: None,
                place,
            };
            let table = if table == "buckets" { "aws_s3_bucket" } else { "aws_ec2_instance" };
            let status = match status {
                "ok" => Status::Ok,
                "denied" => Status::Denied,
                "not_offered" => Status::NotOffered,
                "skipped" => Status::Skipped,
                other => panic!("{other}"),
            };
            Cell::new(scope, table, "List", status)
        };
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(cell).collect()
    }

    const ALL: [(&str, bool); 2] = [("aws_s3_bucket", true), ("aws_ec2_instance", false)];

    fn extent() -> RunExtent {
        let tables = ALL.map(|(name, account_wide)| (name.into(), account_wide)).to_vec();
        RunExtent { tables, all_accounts: true, all_regions: true }
    }

    /// 2027-01-31T00:00:00Z in seconds since 1970.
    const LAST_DAY: u64 = 1_801_353_600;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    /// Applies gaps until 2027-01-31. Returns a mark per cell, and the deviations.
    fn applied(rows: &str, ledger: &str, extent: &RunExtent, now: SystemTime) -> String {
        let rows: String = rows
            .lines()
            .map(str::trim)
            .filter(|row| !row.is_empty())
            .map(|row| match row.split_once(" gap") {
                Some((of, _)) => format!("{of},gap,x,2027-01-31\n"),
                None => format!("{row},,,,,,\n"),
            })
            .collect();
        let expectations = expectations(&rows).expect("well-formed");
        let mut cells = cells(ledger);
        let before: Vec<Status> = cells.iter().map(|cell| cell.status).collect();
        let deviations = expectations.apply(&mut cells, extent, now);
        let after: Vec<Status> = cells.iter().map(|cell| cell.status).collect();
        assert_eq!(before, after, "the true status stays");
        let marks: String = cells.iter().map(|cell| if cell.expected { 'x' } else { '.' }).collect();
        let told = |words: &mut dyn Iterator<Item = String>| {
            words.fold(String::new(), |told, word| told + " " + &word)
        };
        let lines = |gaps: &[&Gap]| told(&mut gaps.iter().map(|gap| gap.at.number.to_string()));
        let new = told(&mut deviations.new.iter().map(|account| account.id.as_str()[..1].to_owned()));
        let held = deviations.held.iter().map(|(gap, missing)| format!("{}:{missing}", gap.at.number));
        let held = told(&mut held.into_iter());
        format!(
            "{marks} new{new} over{} readable{} nowhere{} held{held}",
            lines(&deviations.over),
            lines(&deviations.readable),
            lines(&deviations.nowhere)
        )
    }

    const LEDGER: &str = "
        1-hub  global    buckets   ok
        1-hub  eu-west-1 instances denied
        1-hub  us-east-1 instances ok
        2-shop global    buckets   denied
        2-shop -         instances denied
    ";

    fn in_ledger(rows: &str) -> String {
        applied(rows, LEDGER, &extent(), at(LAST_DAY))
    }

    #[test]
    fn a_gap_is_where_account_region_and_table_fit() {
        let one = "111111111111";
        assert_eq!(in_ledger(&format!("{one},,eu-*, gap")), ".x... new over readable nowhere held 2:1");
        assert_eq!(in_ledger(&format!("{one},,, gap")), "xxx.. new over readable nowhere held 2:1");
        assert_eq!(in_ledger(",SH*,, gap"), "...xx new over readable nowhere held 2:2", "names have no case");
        assert_eq!(in_ledger("1*,shop,, gap"), "..... new over readable nowhere 2 held", "both must fit");
        assert_eq!(
            in_ledger(&format!("{one},shop,, gap")),
            "xxx.. new over readable nowhere held 2:1",
            "an ID is enough"
        );
        assert_eq!(in_ledger("*,,,aws_s3_* gap"), "x..x. new over readable nowhere held 2:1");
        assert_eq!(in_ledger("*,,global, gap"), "x..x. new over readable nowhere held 2:1");
        assert_eq!(
            in_ledger("*,,*, gap"),
            "xxxxx new over readable nowhere held 2:3",
            "no region at all is in all"
        );
        assert_eq!(
            in_ledger("*,,eu-*, gap"),
            ".x... new over readable nowhere held 2:1",
            "but in no one of them"
        );
    }

    #[test]
    fn the_last_day_counts_until_midnight_utc() {
        let gap = "222222222222,,, gap";
        let told = |second| applied(gap, LEDGER, &extent(), at(second));
        assert_eq!(told(LAST_DAY + 86_399), "...xx new over readable nowhere held 2:2");
        assert_eq!(
            told(LAST_DAY + 86_400),
            "..... new over 2 readable nowhere held",
            "then it is what it is"
        );
    }

    #[test]
    fn a_gap_with_nothing_missing_is_told() {
        let readable = ",hub,us-*, gap";
        assert_eq!(in_ledger(readable), "..x.. new over readable 2 nowhere held");
        assert_eq!(
            in_ledger("*,,,aws_ec2_* gap"),
            ".xx.x new over readable nowhere held 2:2",
            "one cell needs it"
        );
        let skipped = applied("1*,,, gap", "1 global buckets skipped", &extent(), at(LAST_DAY));
        assert_eq!(skipped, "x new over readable nowhere held", "no result either way");
    }

    #[test]
    fn a_gap_in_no_cell_is_told_where_it_could_have_been() {
        let nowhere = ".. new over readable nowhere 2 held";
        let silent = ".. new over readable nowhere held";
        let ledger = "1 global buckets ok\n1 us-east-1 instances ok";
        let told = |gap: &str, extent: &RunExtent| applied(gap, ledger, extent, at(LAST_DAY));
        let some = RunExtent { all_accounts: false, ..extent() };
        assert_eq!(told("333333333333,,, gap", &extent()), nowhere);
        assert_eq!(told("333333333333,,, gap", &some), silent, "others were chosen");
        assert_eq!(told("1*,,eu-west-1, gap", &extent()), nowhere);
        let region = RunExtent { all_regions: false, ..extent() };
        assert_eq!(told("1*,,eu-west-1, gap", &region), silent);
        let buckets = RunExtent { tables: extent().tables[..1].to_vec(), ..extent() };
        let told = |gap: &str| applied(gap, "1 global buckets ok", &buckets, at(LAST_DAY));
        assert_eq!(told("1*,,,aws_ec2_instance gap"), silent[1..]);
        assert_eq!(told("1*,,eu-west-1, gap"), silent[1..], "buckets lie in no region of the plan");
        assert_eq!(told("1*,,global, gap"), "x new over readable 2 nowhere held");
    }

    #[test]
    fn accounts_that_no_file_lists_are_new() {
        let told = |rows: &str| applied(rows, LEDGER, &extent(), at(LAST_DAY));
        assert_eq!(told("111111111111"), "..... new 2 over readable nowhere held");
        assert_eq!(told("111111111111\n222222222222,,, gap"), "...xx new over readable nowhere held 3:2");
        assert_eq!(
            told("222222222222,,eu-*, gap"),
            "..... new over readable nowhere 2 held",
            "it lists no accounts"
        );
    }
}
