//! The way of one call to AWS: HTTP client, rate limiter, retries, circuit breaker, classification.
//!
//! [`http_client`] builds the one client that all calls share, and [`sdk_settings`] the settings that the clients of
//! all services have in common. [`scoped_calls`] is the only way from a table to AWS. Below it, [`retry_loop`] waits for
//! the [`rate_limiter`], and [`classify`] turns an error into a failure with its remedy. [`circuit_breaker`] leaves out
//! hosts that can't be reached. [`complete_xml`] refuses half a response, and `large_bodies.rs` bounds the memory of long
//! ones. [`once_map`] fetches once what many calls need at the same time. Nothing here knows a service or a profile.

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
