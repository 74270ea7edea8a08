//! Settings of credentials and calls.

use std::time::Duration;

use ssoinv_core::pace::PaceLimits;
use ssoinv_core::retry::RetryPolicy;

use super::layers::Layers;
use super::list::{
    ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, NO_CREDENTIAL_CACHE, NO_CREDENTIAL_PROCESS, PORTAL_RATE, RETRY_TIME,
};
use super::values::switch_flag;
use crate::cli::{CredentialArgs, LimitArgs};
use crate::command_error::CommandError;
use crate::environment::Environment;

/// Settings of credentials, retries and time-outs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionSettings {
    pub(crate) run_processes: bool,
    pub(crate) refresh_tokens: bool,
    pub(crate) credential_cache: bool,
    pub(crate) concurrency: usize,
    pub(crate) policy: RetryPolicy,
    /// The rate limit of the portal.
    pub(crate) portal_pace: PaceLimits,
    pub(crate) connect_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
}

/// The default of `AWS_MAX_ATTEMPTS`: attempts at a call that fails transiently.
const MAX_ATTEMPTS: u32 = 5;

/// Calls at once for commands that make few calls.
const FEW: usize = 16;

impl ConnectionSettings {
    /// Returns the settings for commands about the sign-in itself.
    pub(crate) fn of_sign_in(
        limits: &LimitArgs,
        layers: &Layers,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        Self::new(&CredentialArgs::default(), limits, FEW, layers, environment)
    }

    pub(crate) fn new(
        args: &CredentialArgs,
        limits: &LimitArgs,
        concurrency: usize,
        layers: &Layers,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let max_attempts = match environment.get("AWS_MAX_ATTEMPTS") {
            None => MAX_ATTEMPTS,
            Some(text) => text.parse().ok().filter(|&number| number > 0).ok_or_else(|| {
                CommandError::usage(format!("`AWS_MAX_ATTEMPTS` is `{text}`, which is not a number above 0"))
            })?,
        };
        let no_processes = switch_flag(args.no_credential_process, args.credential_process);
        let no_cache = switch_flag(args.no_credential_cache, args.credential_cache);
        Ok(Self {
            run_processes: !layers.value(&NO_CREDENTIAL_PROCESS, no_processes)?,
            credential_cache: !layers.value(&NO_CREDENTIAL_CACHE, no_cache)?,
            refresh_tokens: true,
            concurrency,
            policy: RetryPolicy {
                max_attempts,
                throttle_budget: layers.value(&RETRY_TIME, limits.retry_time)?,
            },
            portal_pace: PaceLimits::PORTAL
                .capped(f64::from(layers.value(&PORTAL_RATE, limits.portal_rate)?)),
            connect_timeout: layers.value(&CONNECT_TIMEOUT, limits.connect_timeout)?,
            attempt_timeout: layers.value(&ATTEMPT_TIMEOUT, limits.attempt_timeout)?,
        })
    }
}
