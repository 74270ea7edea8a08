//! The words that every other crate of ssoinv speaks: where a call runs ([`scope`]), what a table is ([`table`]), what
//! the runner says ([`event`]), what went wrong ([`failure`]) and how each planned cell ended ([`coverage`]).
//!
//! Nothing here knows AWS's SDK, the network, the disk or the terminal. Start with [`table`] for the data and with
//! [`event`] for the talk.

pub mod clock;
pub mod column_set;
pub mod coverage;
pub mod env;
pub mod event;
pub mod failure;
pub mod journal;
pub mod json;
pub mod pace;
pub mod retry;
pub mod rows;
pub mod scope;
pub mod secret;
pub mod service;
pub mod status;
pub mod table;
