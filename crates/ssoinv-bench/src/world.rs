//! What is simulated, and how ssoinv is asked for it: the sizes of an organisation, the limits and the latency of its
//! services, what must come back, and how quickly it could. [`crate::server`] makes one of it.

use std::time::Duration;

use crate::server::Totals;

/// The role of every profile, and of the cached credentials.
pub(crate) const ROLE: &str = "ReadOnlyAccess";

/// How ssoinv is told to look into every account. All cases say it in these words.
const EVERY_ACCOUNT: &[&str] = &["--all-accounts", "--role", ROLE];

/// Regions, as many as a case needs.
pub(crate) const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1"];

/// The most that a page holds, by the API references of DescribeInstances, ListFunctions and ListAccounts.
pub(crate) const INSTANCES_A_PAGE: usize = 1000;
const FUNCTIONS_A_PAGE: usize = 50;

/// A simulated organisation, and how its services behave.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) accounts: usize,
    /// How many of [`REGIONS`].
    pub(crate) regions: usize,
    /// Buckets of an account.
    pub(crate) buckets: usize,
    /// Instances of an account in each region.
    pub(crate) instances: usize,
    /// Functions of an account in each region.
    pub(crate) functions: usize,
    /// What each answer takes.
    pub(crate) latency: Duration,
    /// Calls a second that the portal answers, after a burst of as many.
    pub(crate) portal_rate: Option<u32>,
    /// Refused calls within ten seconds after which the portal shuts its caller out for thirty.
    pub(crate) portal_lockout: Option<u32>,
    /// Whether the role credentials lie in the cache.
    pub(crate) cached: bool,
    /// Calls that ssoinv may have under way; as many as it likes where not said.
    pub(crate) at_once: Option<usize>,
}

/// The tables that a run asks for.
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

    /// The arguments of ssoinv, but for the format.
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

    /// Rows that must come back.
    pub(crate) fn rows(&self, tables: Tables) -> u64 {
        let regional = match tables {
            Tables::All => self.instances + self.functions,
            Tables::Instances => self.instances,
        };
        let global = if tables == Tables::All { self.buckets } else { 0 };
        (self.accounts * (global + self.regions * regional)) as u64
    }

    /// Tasks: a table in an account, and in each region where it is regional.
    pub(crate) fn tasks(&self, tables: Tables) -> u64 {
        let of_an_account = match tables {
            Tables::All => 1 + 2 * self.regions,
            Tables::Instances => self.regions,
        };
        (self.accounts * of_an_account) as u64
    }

    /// How long the calls of a run must take, `at_once` of them under way at any time: all of them one beside the other,
    /// and those that wait for one another.
    pub(crate) fn bound(&self, totals: &Totals, tables: Tables, at_once: usize) -> Duration {
        let side_by_side = self.latency.mul_f64(float(totals.calls()) / float(at_once as u64));
        side_by_side + self.latency.mul_f64(float(self.chain(totals, tables)))
    }

    /// The longest chain of calls of which each needs the answer of the one before: the pages of the list of accounts,
    /// role credentials, the pages of a task.
    pub(crate) fn chain(&self, totals: &Totals, tables: Tables) -> u64 {
        let credentials = u64::from(totals.of("portal", "GetRoleCredentials").calls > 0);
        let pages = |items: usize, page: usize| items.div_ceil(page).max(1);
        let instances = pages(self.instances, INSTANCES_A_PAGE);
        let task = match tables {
            Tables::All => instances.max(pages(self.functions, FUNCTIONS_A_PAGE)),
            Tables::Instances => instances,
        };
        totals.of("portal", "ListAccounts").calls + credentials + task as u64
    }

    /// How long the portal takes for the role credentials of a run: a burst at once, the others at its rate.
    pub(crate) fn portal_bound(&self, totals: &Totals) -> Option<Duration> {
        let rate = self.portal_rate?;
        let good = totals.of("portal", "GetRoleCredentials");
        let waiting = (good.calls - good.failed).saturating_sub(u64::from(rate));
        Some(Duration::from_secs_f64(float(waiting) / f64::from(rate)) + self.latency)
    }
}

/// Counts are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "counts and sizes are below 2^52")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Total;

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
    fn calls_are_bounded_side_by_side_and_in_a_row() {
        let counted = totals(&[("ListAccounts", 10, 0), ("DescribeInstances", 4000, 0)]);
        assert_eq!(world().chain(&counted, Tables::All), 12, "the functions fill two pages");
        let bound = world().bound(&counted, Tables::Instances, 100);
        assert_eq!(bound, Duration::from_millis(4010 + 1100));
    }

    #[test]
    fn the_portal_gives_a_burst_and_then_its_rate() {
        let counted = totals(&[("GetRoleCredentials", 1030, 30)]);
        assert_eq!(world().portal_bound(&counted), Some(Duration::from_millis(49_000 + 100)));
        assert_eq!(World { portal_rate: None, ..world() }.portal_bound(&counted), None);
    }
}
