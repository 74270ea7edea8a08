//! Types that the other crates share; no AWS SDK, no network, no disk, no terminal.
//!
//! Start with [`table`] for data: schemas, and rows as Arrow record batches. [`scope`] says where a call runs, [`status`]
//! and [`failure`] how it ended, [`coverage`] holds the ledger of all calls, and [`event`] what a run reports on its way.
//! [`name_pattern`], [`suggest`] and [`text`] serve the names that users type and the messages that they read.

pub mod clock;
pub mod column_set;
pub mod coverage;
pub mod env;
pub mod event;
pub mod failure;
pub mod journal;
pub mod json;
pub mod name_pattern;
pub mod pace;
pub mod retry;
pub mod rows;
pub mod scope;
pub mod secret;
pub mod service;
pub mod status;
pub mod suggest;
pub mod table;
pub mod text;
