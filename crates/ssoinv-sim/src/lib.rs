//! A simulated AWS organisation over real HTTP on loopback, for `ssoinv --demo`, tests and benchmarks.
//!
//! It uses no AWS crate and shares no code with the rest of ssoinv, so that neither can repeat the other's mistakes.
//! [`Simulator::start`] takes an [`Organisation`] (accounts and resources) and [`Options`]; [`Control`] and [`Fault`]
//! change a running simulator; [`Home`] writes an `~/.aws` for it.
//!
//! Modules, in the direction of a request: `server.rs` (sockets) and `proxy.rs` → `dispatch.rs` → `routing.rs`,
//! `authentication.rs`, `faults.rs`, `limits.rs` → `services/` (one file a service, listed in `services.rs`) →
//! `organisation.rs` and `state.rs`.

mod admin;
mod approval;
mod authentication;
mod authority;
mod authorization_code;
mod authorize;
mod call_log;
mod clients;
mod clock;
mod control;
mod device_page;
mod dispatch;
mod encoding;
mod errors;
mod faults;
mod home;
mod host_faults;
mod host_names;
mod http;
mod intervention;
mod issuer;
mod keys;
mod limits;
mod options;
mod organisation;
mod organisation_spec;
mod paging;
mod protocol;
mod proxy;
mod regions;
mod resources;
mod rng;
mod routing;
mod secret_marker;
mod server;
mod service;
mod service_definition;
mod services;
mod sign_ins;
mod sigv4;
mod simulator;
mod state;
mod sync;
mod upstream;

pub use approval::Approval;
pub use call_log::{Call, Count, Total};
pub use control::Control;
pub use faults::{Effect, Fault, RetryHeader};
pub use home::{Flow, Format, Home, Token, profile_name};
pub use host_faults::HostFault;
pub use limits::{Limits, Lockout, Rate};
pub use options::Options;
pub use organisation::{Account, AssumableRole, Organisation, Session, User, WebIdentity};
pub use organisation_spec::OrganisationSpec;
pub use resources::{Bucket, Function, Instance};
pub use secret_marker::SECRET_MARKER;
pub use service::Service;
pub use services::imds::MACHINE_ROLE;
pub use simulator::Simulator;
