//! The simulator over real sockets, with a client of its own (`client.rs`) that shares no code with it: first how one
//! signs in, then what the services answer, then what goes wrong on demand, then the home that it writes.

#![expect(clippy::unwrap_used, reason = "what isn't there in a test is a failed test")]

mod client;
mod faults;
mod homes;
mod pkce;
mod services;
mod sign_in;
