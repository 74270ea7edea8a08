//! The simulator over real sockets, with a client (`client.rs`) that shares no code with it: sign-ins, services, faults
//! and homes.

#![expect(clippy::unwrap_used, reason = "what isn't there in a test is a failed test")]

mod client;
mod faults;
mod homes;
mod pkce;
mod services;
mod sign_in;
