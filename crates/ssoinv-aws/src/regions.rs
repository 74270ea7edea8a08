//! Which regions are enabled in an account, as far as AWS says: `DescribeRegions`, once an account, when something
//! hangs on it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ec2::types::Filter;
use ssoinv_core::event::{Event, Notice};
use ssoinv_core::failure::Failure;
use ssoinv_core::scope::AccountId;
use ssoinv_sso::attempt;
use ssoinv_sso::classify::classify;
use ssoinv_sso::profile::Profile;
use ssoinv_sso::whole_xml::WholeXml;
use tokio::sync::{OnceCell, Semaphore};

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

/// Asks the partition's own region, which is always enabled.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>
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
    let filter =
        Filter::builder().name("opt-in-status").values("opt-in-not-required").values("opted-in").build();
    let pace = paces.of(reach, region, Service::Ec2);
    let call = async || {
        // Half an answer would call regions disabled that aren't.
        let request = client.describe_regions().filters(filter.clone()).customize().interceptor(WholeXml);
        request.send().await.map_err(|error| classify(&error, &context.clock))
    };
    let (answer, _) = attempt::call(&pace, Some(slots), context.policy, |_, _| (), call).await;
    Ok(answer?.regions().iter().filter_map(|region| region.region_name.clone()).collect())
}
