//! The error of one attempt at a call, before it is classified.
//!
//! Tables return it with `?` from the SDK's errors and from [`crate::classify::invalid_response`];
//! [`crate::scoped_calls`] classifies it, since only there the clock is known.

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ssoinv_core::clock::Clock;
use ssoinv_core::failure::Failure;

use crate::classify::classify;

/// The error of one attempt.
pub struct AttemptError(Kind);

enum Kind {
    Sdk(Box<dyn Classify + Send + Sync>),
    Classified(Box<Failure>),
}

trait Classify {
    fn classify(&self, clock: &Clock) -> Failure;
}

impl<E> Classify for SdkError<E, HttpResponse>
where
    E: Error + ProvideErrorMetadata + 'static,
{
    fn classify(&self, clock: &Clock) -> Failure {
        classify(self, clock)
    }
}

impl AttemptError {
    /// Returns what the error means. `clock` is what the request was signed by.
    #[must_use]
    pub fn classify(self, clock: &Clock) -> Failure {
        match self.0 {
            Kind::Sdk(error) => error.classify(clock),
            Kind::Classified(failure) => *failure,
        }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for AttemptError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        Self(Kind::Sdk(Box::new(error)))
    }
}

impl From<Failure> for AttemptError {
    fn from(failure: Failure) -> Self {
        Self(Kind::Classified(Box::new(failure)))
    }
}

/// Prints no more than the type: the SDK's errors quote requests and responses.
impl fmt::Debug for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttemptError")
    }
}
