//! A simulated organisation as data: its sizes, the limits and latency of its services, the arguments of ssoinv, the rows
//! that must come back, and the least time for them. `server.rs` starts it.

use std::time::Duration;

use crate::totals::Totals;

/// The role of every profile, and of the cached credentials.
pub(crate) const ROLE: &str = "ReadOnlyAccess";

/// The arguments of ssoinv for all accounts.
const EVERY_ACCOUNT: &[&str] = &["--all-accounts", "--role", ROLE];

/// The regions, of which a case uses the first ones.
pub(crate) const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1"];

/// The largest pages, by the API references of DescribeInstances and ListFunctions.
const INSTANCES_PER_PAGE: usize = 1000;
const FUNCTIONS_PER_PAGE: usize = 50;

/// A simulated organisation and the behavior of its services.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) accounts: usize,
    /// Number of [`REGIONS`].
    pub(crate) regions: usize,
    /// Buckets of an account.
    pub(crate) buckets: usize,
    /// Instances of an account in each region.
    pub(crate) instances: usize,
    /// Functions of an account in each region.
    pub(crate) functions: usize,
    /// Latency of each response.
    pub(crate) latency: Duration,
    /// Calls a second of the portal, after a burst of as many.
    pub(crate) portal_rate: Option<u32>,
    /// Throttled calls within ten seconds after which the portal locks its caller out for thirty.
    pub(crate) portal_lockout: Option<u32>,
    /// True if the role credentials are in the cache.
    pub(crate) cached: bool,
    /// Calls that ssoinv may make at once; none for its default.
    pub(crate) at_once: Option<usize>,
}

/// The tables of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// Buckets once an account, instances and functions in each region.
    All,
    /// Instances in each region.
    Instances,
}

impl World {
    pub(crate) fn regions(&self) -> &'static [&'static str] {
        &REGIONS[..self.regions]
    }

    /// Returns the arguments of ssoinv without the format.
    pub(crate) fn arguments(&self, tables: Tables) -> Vec<String> {
        let tables: &[&str] = match tables {
            Tables::All => &["list", "aws_s3_bucket", "aws_ec2_instance", "aws_lambda_function"],
            Tables::Instances => &["instances"],
        };
        let words = tables.iter().chain(EVERY_ACCOUNT).map(|word| (*word).to_owned());
        let more = ["--no-input".to_owned(), "--region".to_owned(), self.regions().join(",")];
        let at_once = self.at_once.iter().flat_map(|calls| ["--concurrency".to_owned(), calls.to_string()]);
        words.chain(more).chain(at_once).collect()
    }

    /// Returns the number of rows.
    pub(crate) fn rows(&self, tables: Tables) -> u64 {
        let regional = match tables {
            Tables::All => self.instances + self.functions,
            Tables::Instances => self.instances,
        };
        let global = if tables == Tables::All { self.buckets } else { 0 };
        (self.accounts * (global + self.regions * regional)) as u64
    }

    /// Returns the number of tasks: a table in an account, for regional tables in each region.
    pub(crate) fn tasks(&self, tables: Tables) -> u64 {
        let per_account = match tables {
            Tables::All => 1 + 2 * self.regions,
            Tables::Instances => self.regions,
        };
        (self.accounts * per_account) as u64
    }

    /// Returns the least time of a run with `at_once` calls at any time.
    ///
    /// It is the sum of two parts: all calls side by side, and the longest chain of calls that wait for one another.
    pub(crate) fn latency_bound(&self, totals: &Totals, tables: Tables, at_once: usize) -> Duration {
        let side_by_side = self.latency.mul_f64(float(totals.calls()) / float(at_once as u64));
        side_by_side + self.latency.mul_f64(float(self.chain(totals, tables)))
    }

    /// Returns the length of the longest chain of calls that need the response of the one before.
    ///
    /// The pages of the list of accounts, role credentials, and the pages of a task form it.
    pub(crate) fn chain(&self, totals: &Totals, tables: Tables) -> u64 {
        let credentials = u64::from(totals.of("portal", "GetRoleCredentials").calls > 0);
        let pages = |items: usize, page: usize| items.div_ceil(page).max(1);
        let instances = pages(self.instances, INSTANCES_PER_PAGE);
        let task = match tables {
            Tables::All => instances.max(pages(self.functions, FUNCTIONS_PER_PAGE)),
            Tables::Instances => instances,
        };
        totals.of("portal", "ListAccounts").calls + credentials + task as u64
    }

    /// Returns the least time for the role credentials of a run: a burst at once, the others at the portal's rate.
    pub(crate) fn portal_bound(&self, totals: &Totals) -> Option<Duration> {
        let rate = self.portal_rate?;
        let good = totals.of("portal", "GetRoleCredentials");
        let waiting = (good.calls - good.failed).saturating_sub(u64::from(rate));
        Some(Duration::from_secs_f64(float(waiting) / f64::from(rate)) + self.latency)
    }
}

/// Converts a count, which is far below the limit of exact floats.
#[expect(clippy::cast_precision_loss, reason = "counts and sizes are below 2^52")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::totals::Total;

    fn world() -> World {
        World {
            seed: 1,
            accounts: 1000,
            regions: 4,
            buckets: 3,
            instances: 5,
            functions: 51,
            latency: Duration::from_millis(100),
            portal_rate: Some(20),
            portal_lockout: None,
            cached: true,
            at_once: None,
        }
    }

    fn totals(counts: &[(&str, u64, u64)]) -> Totals {
        let operations = counts.iter().map(|(name, calls, failed)| Total {
            service: "portal".to_owned(),
            operation: (*name).to_owned(),
            calls: *calls,
            failed: *failed,
            throttled: *failed,
            bytes: 0,
        });
        Totals { operations: operations.collect(), lockouts: 0 }
    }

    #[test]
    fn rows_and_tasks_follow_from_the_sizes() {
        let world = world();
        assert_eq!(world.rows(Tables::All), 1000 * (3 + 4 * 56));
        assert_eq!((world.tasks(Tables::All), world.tasks(Tables::Instances)), (9000, 4000));
    }

    #[test]
    fn the_bound_is_side_by_side_plus_in_a_row() {
        let counted = totals(&[("ListAccounts", 10, 0), ("DescribeInstances", 4000, 0)]);
        assert_eq!(world().chain(&counted, Tables::All), 12, "the functions fill two pages");
        let bound = world().latency_bound(&counted, Tables::Instances, 100);
        assert_eq!(bound, Duration::from_millis(4010 + 1100));
    }

    #[test]
    fn the_portal_allows_a_burst_and_then_its_rate() {
        let counted = totals(&[("GetRoleCredentials", 1030, 30)]);
        assert_eq!(world().portal_bound(&counted), Some(Duration::from_millis(49_000 + 100)));
        assert_eq!(World { portal_rate: None, ..world() }.portal_bound(&counted), None);
    }
}
