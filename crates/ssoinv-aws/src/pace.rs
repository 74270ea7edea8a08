//! One pacer for each (account, region, service): AWS throttles each of them on its own, so one throttled account never
//! slows another. The pacer itself is [`ssoinv_core::pace::Pacer`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ssoinv_core::scope::AccountId;
use ssoinv_sso::attempt::Turnstile;

use crate::plan::Reach;
use crate::tables::Service;

type Key = (Option<AccountId>, Box<str>, Service);

/// The pacers of a run.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    turnstiles: Mutex<HashMap<Key, Arc<Turnstile>>>,
}

impl Paces {
    /// The pacer of one service in one account and region.
    pub(crate) fn of(&self, reach: &Reach, region: &str, service: Service) -> Arc<Turnstile> {
        let mut turnstiles = self.turnstiles.lock().unwrap_or_else(PoisonError::into_inner);
        let turnstile = turnstiles
            .entry((reach.account_id, region.into(), service))
            .or_insert_with(|| Arc::new(Turnstile::new(service.pace())));
        Arc::clone(turnstile)
    }
}
