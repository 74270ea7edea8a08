//! A service as data: names, hosts, protocol, limits and operations. Each file below `services/` defines one, the
//! registry (`services.rs`) lists them, and routing, authentication and dispatch read nothing else about a service.

use std::pin::Pin;

use crate::errors::ServiceError;
use crate::http::{Params, Request, Response};
use crate::keys::Key;
use crate::limits::Rate;
use crate::protocol::Protocol;
use crate::service::Service;
use crate::state::State;

/// A simulated service.
#[derive(Debug)]
pub(crate) struct ServiceDefinition {
    pub(crate) service: Service,
    /// The beginnings of its host names, up to the region: `ec2` for `ec2.eu-west-1.amazonaws.com`.
    pub(crate) host_prefixes: &'static [&'static str],
    /// Host names that stand for the whole partition `aws`.
    pub(crate) global_hosts: &'static [&'static str],
    /// The authentication of its callers, unless an operation is anonymous.
    pub(crate) access: Access,
    pub(crate) protocol: Protocol,
    /// `Version` of the query protocol.
    pub(crate) query_version: Option<&'static str>,
    /// AWS's documented rate; none if calls aren't limited.
    pub(crate) documented_rate: Option<Rate>,
    pub(crate) rate_scope: RateScope,
    pub(crate) operations: &'static [Operation],
}

/// The authentication of a service's callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Not at all.
    Anonymous,
    /// By the bearer token of an sso-session.
    BearerToken,
    /// By Signature Version 4.
    Signed,
    /// By Signature Version 4 with S3's rules for paths, bodies and clocks.
    SignedAsS3,
}

/// The calls that share a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RateScope {
    /// All calls.
    Service,
    /// The calls of an account.
    Account,
    /// The calls of an account in a region.
    AccountAndRegion,
}

impl RateScope {
    /// Returns the account and region that tell apart the token buckets of a service.
    pub(crate) fn key<'a>(self, account: &'a str, region: &'a str) -> (&'a str, &'a str) {
        match self {
            Self::Service => ("", ""),
            Self::Account => (account, ""),
            Self::AccountAndRegion => (account, region),
        }
    }
}

/// An operation of a service.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) route: Route,
    pub(crate) handler: Handler,
    /// The IAM action, if it isn't the name behind the service's.
    action: Option<&'static str>,
    /// True if the handler can return a page without items that has a token.
    pub(crate) has_empty_pages: bool,
}

impl Operation {
    pub(crate) const fn new(name: &'static str, route: Route, handler: Handler) -> Self {
        Self { name, route, handler, action: None, has_empty_pages: false }
    }

    pub(crate) const fn action(self, action: &'static str) -> Self {
        Self { action: Some(action), ..self }
    }

    pub(crate) const fn with_empty_pages(self) -> Self {
        Self { has_empty_pages: true, ..self }
    }

    /// Returns the IAM action, such as `ec2:DescribeInstances`.
    pub(crate) fn iam_action(&self, service: Service) -> String {
        self.action.map_or_else(|| format!("{}:{}", service.name(), self.name), str::to_owned)
    }
}

/// The requests that are for an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Route {
    /// Method and path, with or without a slash at the end. A path that ends with `*` stands for all that begin so.
    Path(&'static str, &'static str),
    /// The operation's name as `Action` (query protocol).
    Action,
    /// `X-Amz-Target` (JSON protocols).
    Target(&'static str),
}

pub(crate) type HandlerResult = Result<Response, ServiceError>;

type HandlerFuture<'a> = Pin<Box<dyn Future<Output = HandlerResult> + Send + 'a>>;

/// The function that answers an operation, by what it needs of its caller.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handler {
    Anonymous(fn(&Invocation<'_>) -> HandlerResult),
    /// Gets the number of the sso-session that the bearer token is for.
    Session(fn(&Invocation<'_>, usize) -> HandlerResult),
    /// As `Session`, for operations that call another server.
    SessionAsync(for<'a> fn(&'a Invocation<'a>, usize) -> HandlerFuture<'a>),
    /// Gets the access key of the signature.
    Signed(fn(&Invocation<'_>, &Key) -> HandlerResult),
}

/// A call of an operation, as its handler gets it.
#[derive(Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) state: &'a State,
    pub(crate) request: &'a Request,
    /// The pairs of the query or the form.
    pub(crate) params: &'a Params,
    /// The region of the signature's scope; empty for unsigned calls.
    pub(crate) region: &'a str,
    pub(crate) request_id: &'a str,
    /// True if a fault wants a page without items.
    pub(crate) empty_page: bool,
}
