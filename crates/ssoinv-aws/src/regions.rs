//! Which regions are meant, and which are enabled in an account, as far as AWS says: `DescribeRegions`, once an account
//! and principal, when something hangs on it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ec2::types::Filter;
use globset::{Error, Glob, GlobMatcher};
use ssoinv_core::clock::Clock;
use ssoinv_core::event::{Event, Notice};
use ssoinv_core::failure::Failure;
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::scope::{AccountId, Partition};
use ssoinv_http::classify::{classify, invalid_response};
use ssoinv_http::complete_xml::CompleteXml;
use ssoinv_http::rate_limiter::RateLimiter;
use ssoinv_http::retry_loop;
use ssoinv_sso::context::SsoContext;
use ssoinv_sso::profile::Profile;
use ssoinv_sso::role_credentials::RoleCredentials;
use tokio::sync::OnceCell;

use crate::clients::Clients;
use crate::plan::Reach;
use crate::roles::is_glob;
use crate::runner::{Means, Refusal};
use crate::tables::Service;

/// The word for every enabled region.
pub const ALL: &str = "all";

/// Regions by name and by glob: `us-east-1`, `eu-*`, `all`.
#[derive(Clone, Debug)]
pub struct RegionPatterns {
    typed: Vec<Arc<str>>,
    names: Vec<Arc<str>>,
    globs: Vec<GlobMatcher>,
}

impl RegionPatterns {
    /// What was typed.
    ///
    /// # Errors
    /// Where a glob isn't one.
    pub fn new<'a>(typed: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut patterns = Self { typed: Vec::new(), names: Vec::new(), globs: Vec::new() };
        for word in typed {
            if word == ALL {
                patterns.globs.push(Glob::new("*")?.compile_matcher());
            } else if is_glob(word) {
                patterns.globs.push(Glob::new(word)?.compile_matcher());
            } else if !patterns.names.iter().any(|name| &**name == word) {
                patterns.names.push(word.into());
            }
            patterns.typed.push(word.into());
        }
        Ok(patterns)
    }

    /// The names, in the order in which they were typed, where there is nothing but names: then no account need be asked.
    #[must_use]
    pub fn names(&self) -> Option<&[Arc<str>]> {
        self.globs.is_empty().then_some(self.names.as_slice())
    }

    /// The names among them.
    pub fn plain(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Whether every region is meant.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.globs.iter().any(|glob| glob.glob().glob() == "*")
    }

    /// Whether a region is meant.
    #[must_use]
    pub fn mean(&self, region: &str) -> bool {
        self.names.iter().any(|name| &**name == region) || self.globs.iter().any(|glob| glob.is_match(region))
    }

    /// The regions to ask in an account: the enabled ones that a glob means, and those that were named, enabled or not,
    /// in the order of the alphabet.
    #[must_use]
    pub fn select(&self, enabled: &BTreeSet<String>) -> Vec<Arc<str>> {
        let globbed = enabled.iter().filter(|region| self.globs.iter().any(|glob| glob.is_match(region)));
        let named = self.names.iter().cloned();
        globbed
            .map(|region| region.as_str().into())
            .chain(named)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }
}

/// What was typed alike means the same.
impl PartialEq for RegionPatterns {
    fn eq(&self, other: &Self) -> bool {
        self.typed == other.typed
    }
}

impl Eq for RegionPatterns {}

impl fmt::Display for RegionPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed.join(","))
    }
}

/// The regions that are enabled in an account.
pub(crate) type Enabled = Arc<BTreeSet<String>>;
/// Whose answer it is: what one may not ask, another may.
type Asker = (Option<AccountId>, Arc<str>);
/// What `DescribeRegions` said, once it was asked.
type Answer = Arc<OnceCell<Result<Enabled, Failure>>>;

/// The answers so far.
#[derive(Debug, Default)]
pub(crate) struct EnabledRegions {
    accounts: Mutex<HashMap<Asker, Answer>>,
}

impl EnabledRegions {
    /// The regions that are enabled in the account of `reach`, as it may know.
    ///
    /// # Errors
    /// Where there are no credentials, or the answer can't be had.
    pub(crate) async fn in_account(
        &self,
        means: &Means,
        reach: &Reach,
        on_park: &(impl Fn(bool) + Send + Sync),
    ) -> Result<Enabled, Refusal> {
        let cell = {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(accounts.entry((reach.account_id, Arc::clone(&reach.principal))).or_default())
        };
        // Credentials are cached elsewhere, and may be had later where they can't be had now.
        let credentials = means.context.credentials.get(&reach.access, None, on_park).await;
        let credentials = credentials.map_err(|failure| Refusal { failure, at_credentials: true })?;
        let answer = cell.get_or_init(|| async { Ok(Arc::new(ask(means, reach, &credentials).await?)) });
        answer.await.clone().map_err(Refusal::from)
    }
}

/// Says that an account's enabled regions can't be had.
pub(crate) fn tell_unknown(means: &Means, reach: &Reach, failure: Failure) {
    let account = reach.account_id.map(|id| id.to_string()).unwrap_or_default();
    let (name, failure) = (reach.account_name.clone(), Arc::new(failure));
    means.context.events.say(Event::Notice(Notice::EnabledRegionsUnknown { account, name, failure }));
}

/// The regions that are enabled in the account of `credentials`, which are a profile's. For who has no run.
///
/// # Errors
/// As [`Clients::client`]; [`ssoinv_core::failure::FailureKind::Denied`] where the caller may not ask.
pub async fn enabled(
    context: &Arc<SsoContext>,
    credentials: &RoleCredentials,
    profile: &Profile,
    partition: Partition,
) -> Result<BTreeSet<String>, Failure> {
    let client = Clients::new(Arc::clone(context)).ec2(partition.default_region(), profile, credentials)?;
    let limiter = RateLimiter::new(PaceLimits::EC2);
    let call = async || describe(&client, &context.clock).await;
    retry_loop::call(&limiter, None, context.retry, |_, _| (), call).await.0
}

/// Asks the partition's own region, which is always enabled.
async fn ask(
    means: &Means,
    reach: &Reach,
    credentials: &RoleCredentials,
) -> Result<BTreeSet<String>, Failure> {
    let region = reach.partition.default_region();
    let client = means.context.clients.ec2(region, &reach.access, credentials)?;
    let pace = means.paces.of(reach, region, Service::Ec2);
    let call = async || describe(&client, &means.context.clock).await;
    let breaker = means.breakers.of(means.context.clients.host(Service::Ec2, region, &reach.access)?);
    let probe = breaker.admit().await?;
    probe.call(&pace, &means.slots, means.context.policy, |_, _| (), call).await.0
}

/// One attempt at the call.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>
async fn describe(client: &aws_sdk_ec2::Client, clock: &Clock) -> Result<BTreeSet<String>, Failure> {
    let filter =
        Filter::builder().name("opt-in-status").values("opt-in-not-required").values("opted-in").build();
    // Half an answer would call regions disabled that aren't.
    let request = client.describe_regions().filters(filter).customize().interceptor(CompleteXml);
    let answer = request.send().await.map_err(|error| classify(&error, clock))?;
    let enabled: BTreeSet<String> =
        answer.regions().iter().filter_map(|region| region.region_name.clone()).collect();
    // The region that answered is enabled at least.
    if enabled.is_empty() {
        return Err(invalid_response("the answer of DescribeRegions has no region"));
    }
    Ok(enabled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_globs() {
        let enabled: BTreeSet<String> =
            ["us-east-1", "eu-west-1", "eu-central-1"].into_iter().map(str::to_owned).collect();
        let select = |typed: &[&str]| {
            RegionPatterns::new(typed.iter().copied()).expect("patterns").select(&enabled).join(" ")
        };
        assert_eq!(select(&["all"]), "eu-central-1 eu-west-1 us-east-1");
        assert_eq!(select(&["eu-*"]), "eu-central-1 eu-west-1");
        assert_eq!(
            select(&["us-west-2", "eu-*", "eu-west-1"]),
            "eu-central-1 eu-west-1 us-west-2",
            "what was named is asked, enabled or not"
        );
        assert_eq!(select(&["ap-*"]), "");
        let names = RegionPatterns::new(["us-east-1", "us-east-2", "us-east-1"]).expect("names");
        assert_eq!(names.names().map(|names| names.join(" ")).as_deref(), Some("us-east-1 us-east-2"));
        assert!(names.mean("us-east-1") && !names.mean("us-west-1") && !names.is_all());
        let mixed = RegionPatterns::new(["eu-*", "us-east-1"]).expect("patterns");
        assert!(mixed.names().is_none() && mixed.mean("eu-south-1") && mixed.mean("us-east-1"));
        assert_eq!(mixed.to_string(), "eu-*,us-east-1");
    }
}
