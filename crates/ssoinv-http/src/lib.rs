//! How one call to AWS is made: HTTP client, rate limiter, retry loop, circuit breaker, and what a response means.
//!
//! [`http_client`] builds the one client that all calls share, [`sdk_settings`] what the clients of all services have in
//! common. [`scoped_calls`] is the only way from a table to AWS; below it, [`retry_loop`] waits for the [`rate_limiter`]
//! and [`classify`] says what an error means. [`circuit_breaker`] leaves out hosts that can't be reached.
//! [`complete_xml`] refuses half a response, [`large_bodies`] bounds the memory of long ones. [`once_map`] fetches once
//! what many calls need at the same time. Nothing here knows a service or a profile.

pub mod attempt_error;
pub mod circuit_breaker;
pub mod classify;
pub mod complete_xml;
pub mod http_client;
mod large_bodies;
pub mod once_map;
pub mod rate_limiter;
mod request_id;
pub mod retry_loop;
pub mod role_credentials;
pub mod scoped_calls;
pub mod sdk_settings;
pub mod service_endpoint;
pub mod test_util;
