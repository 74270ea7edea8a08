//! The account and the principal that credentials belong to.

use std::sync::Arc;

use ssoinv_core::scope::{AccountId, Partition};

/// The account and the principal that credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account_id: AccountId,
    /// Its partition.
    pub partition: Partition,
    /// The principal's ARN, if AWS was asked.
    pub arn: Option<Arc<str>>,
    /// The principal's unique ID, if AWS was asked.
    pub user_id: Option<Arc<str>>,
}
