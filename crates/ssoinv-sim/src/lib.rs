//! A simulated AWS organisation over real HTTP on loopback, for `ssoinv --demo`, tests and benchmarks.
//!
//! It uses no AWS crate and shares no code with the rest of ssoinv, so that neither can repeat the other's mistakes.
//! Start with [`Simulator::start`]: an [`Organisation`] says what is there, [`Options`] how it behaves, [`Control`]
//! and [`Fault`] change that later, [`Home`] writes an `~/.aws` for it.
//!
//! Inside: `server.rs` (sockets) → `dispatch.rs` (who calls, limits, faults) → one file a service (`oidc.rs`
//! with `authorize.rs`, `portal.rs`, `sts.rs`, `s3.rs`, `ec2.rs`, `lambda.rs`), which answer from `organisation.rs` and `state.rs`.

use std::sync::{Mutex, MutexGuard, PoisonError};

mod authorize;
mod calls;
mod clients;
mod clock;
mod control;
mod dispatch;
mod ec2;
mod ec2_xml;
mod faults;
mod home;
mod hosts;
mod http;
mod keys;
mod lambda;
mod limits;
mod metadata;
mod mint;
mod oidc;
mod options;
mod organisation;
mod organizations;
mod portal;
mod proxy;
mod refusal;
mod regions;
mod resources;
mod rng;
mod s3;
mod seeded;
mod server;
mod service;
mod sign_ins;
mod sigv4;
mod simulator;
mod state;
mod sts;
mod upstream;

pub use calls::{Call, Count, Total};
pub use control::Control;
pub use faults::{Effect, Fault, RetryHeader};
pub use home::{Flow, Format, Home, Token, profile_name};
pub use limits::{Limits, Lockout, Rate};
pub use metadata::MACHINE_ROLE;
pub use options::{Approval, Options};
pub use organisation::{Account, AssumableRole, Organisation, Session, User, WebIdentity};
pub use proxy::HostFault;
pub use resources::{Bucket, Function, Instance};
pub use seeded::Seeded;
pub use service::Service;
pub use simulator::Simulator;

/// What every secret of the simulator holds: tokens, keys, client secrets, device and authorization codes, and
/// planted environment variables. No output and no file outside the AWS caches may.
pub const SECRET_MARKER: &str = "SIMSECRET";

/// Locks. A panic in another call doesn't spoil what is locked: all changes are single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
