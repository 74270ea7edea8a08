//! The tables of AWS resources and the services that they call; the only crate besides `ssoinv-sso` that knows SDK crates.
//!
//! [`registry`] lists the tables. `ssoinv-run` asks a [`table::Table`] which calls it makes, and lets it scan one scope
//! through [`ScopedCalls`](ssoinv_http::scoped_calls::ScopedCalls). Most tables are a
//! [`declaration::TableDeclaration`]: start there, then read `tables/s3_bucket.rs`. [`enabled_regions`] and
//! [`organization_accounts`] are the calls that ssoinv makes for itself.
//!
//! A response that isn't the service's is never an empty page: XML is checked for completeness by the client that each
//! file in `services` makes, a list must be present even when it is empty, and every item must have its key.

pub mod declaration;
pub mod enabled_regions;
#[cfg(test)]
mod error_tests;
pub mod organization_accounts;
pub mod paging;
pub mod registry;
pub mod table;
#[cfg(test)]
mod testing;

mod column_values;
mod services;
mod tables;

pub use table::Table;
