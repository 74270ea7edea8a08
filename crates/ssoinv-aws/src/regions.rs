//! Which regions are enabled in an account, as far as AWS says: `DescribeRegions`, once an account, when something
//! hangs on it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ec2::types::Filter;
use ssoinv_core::clock::Clock;
use ssoinv_core::event::{Event, Notice};
use ssoinv_core::failure::Failure;
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::scope::{AccountId, Partition};
use ssoinv_sso::attempt::{self, Turnstile};
use ssoinv_sso::classify::classify;
use ssoinv_sso::credentials::RoleCredentials;
use ssoinv_sso::profile::Profile;
use ssoinv_sso::session::SsoContext;
use ssoinv_sso::whole_xml::WholeXml;
use tokio::sync::{OnceCell, Semaphore};

use crate::clients::Clients;
use crate::pace::Paces;
use crate::plan::Reach;
use crate::runner::RunContext;
use crate::tables::Service;

type Enabled = Arc<HashSet<String>>;
/// What `DescribeRegions` said, once it was asked; none where it didn't.
type Answer = Arc<OnceCell<Option<Enabled>>>;

/// The answers so far.
#[derive(Debug, Default)]
pub(crate) struct EnabledRegions {
    accounts: Mutex<HashMap<Option<AccountId>, Answer>>,
}

impl EnabledRegions {
    /// The regions that are enabled in the account of `reach`; `None` where they can't be had, which is said once.
    pub(crate) async fn in_account(
        &self,
        context: &RunContext,
        paces: &Paces,
        slots: &Semaphore,
        reach: &Reach,
        profile: &Profile,
    ) -> Option<Enabled> {
        let cell = {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(accounts.entry(reach.account_id).or_default())
        };
        let answer = cell.get_or_init(|| async {
            match ask(context, paces, slots, reach, profile).await {
                Ok(enabled) => Some(Arc::new(enabled)),
                Err(failure) => {
                    let account = reach.account_id.map(|id| id.to_string()).unwrap_or_default();
                    let failure = Arc::new(failure);
                    context.events.say(Event::Notice(Notice::EnabledRegionsUnknown { account, failure }));
                    None
                }
            }
        });
        answer.await.clone()
    }
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
) -> Result<HashSet<String>, Failure> {
    let client = Clients::new(Arc::clone(context)).ec2(partition.default_region(), profile, credentials)?;
    let turnstile = Turnstile::new(PaceLimits::EC2);
    let call = async || describe(&client, &context.clock).await;
    attempt::call(&turnstile, None, context.retry, |_, _| (), call).await.0
}

/// Asks the partition's own region, which is always enabled.
async fn ask(
    context: &RunContext,
    paces: &Paces,
    slots: &Semaphore,
    reach: &Reach,
    profile: &Profile,
) -> Result<HashSet<String>, Failure> {
    let region = reach.partition.default_region();
    let credentials = context.credentials.get(profile, None, |_| ()).await?;
    let client = context.clients.ec2(region, profile, &credentials)?;
    let pace = paces.of(reach, region, Service::Ec2);
    let call = async || describe(&client, &context.clock).await;
    attempt::call(&pace, Some(slots), context.policy, |_, _| (), call).await.0
}

/// One attempt at the call.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>
async fn describe(client: &aws_sdk_ec2::Client, clock: &Clock) -> Result<HashSet<String>, Failure> {
    let filter =
        Filter::builder().name("opt-in-status").values("opt-in-not-required").values("opted-in").build();
    // Half an answer would call regions disabled that aren't.
    let request = client.describe_regions().filters(filter).customize().interceptor(WholeXml);
    let answer = request.send().await.map_err(|error| classify(&error, clock))?;
    Ok(answer.regions().iter().filter_map(|region| region.region_name.clone()).collect())
}
