//! Faults on demand: rules for the calls that go wrong, and the effects. Tests add them through
//! [`Simulator::fault`](crate::Simulator::fault), other processes through `POST /_sim/fault`; `dispatch.rs` applies them.
//!
//! A new kind of fault is a variant of [`Effect`] and an arm of [`Effect::intervention`].

use serde::{Deserialize, Serialize};

use crate::errors::{AuthFailure, Denial};
use crate::http::Response;
use crate::intervention::Intervention;
use crate::protocol::Protocol;
use crate::service::Service;

/// A rule: the calls that it matches, how many of them go wrong, and how. A member that is left out matches all calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The service's name, such as `ec2`.
    #[serde(default)]
    pub service: Option<String>,
    /// `DescribeInstances`, `GetRoleCredentials` and so on.
    #[serde(default)]
    pub operation: Option<String>,
    /// Account ID.
    #[serde(default)]
    pub account: Option<String>,
    /// Region of the signature's scope.
    #[serde(default)]
    pub region: Option<String>,
    /// Role name.
    #[serde(default)]
    pub role: Option<String>,
    /// Number of matching calls before the first that goes wrong.
    #[serde(default)]
    pub skip: u32,
    /// Number of calls that go wrong; all if left out.
    #[serde(default)]
    pub times: Option<u32>,
    /// The effect on these calls.
    pub effect: Effect,
}

/// The effect of a fault on a call whose signature, token and expiry have passed their checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A delay of so many milliseconds. Delays add up, and can accompany another effect.
    Latency(u64),
    /// No permission, by the role's own policies.
    Denied,
    /// No permission, by an explicit deny in a service control policy.
    DeniedByScp,
    /// The service's own throttling error.
    Throttle {
        /// Seconds to wait, in a header.
        #[serde(default)]
        retry_after: Option<u32>,
        /// The header.
        #[serde(default)]
        header: RetryHeader,
    },
    /// The service's own error for 500 and 503; a gateway's HTML page for 502 and 504.
    ServerError(u16),
    /// 401, as the portal's for an expired token.
    Unauthorized401,
    /// 403 "No access", as the portal's for a role that isn't assigned.
    Forbidden403,
    /// A bare 429 without an error code.
    TooMany429,
    /// The connection is reset (RST).
    Reset,
    /// No response for as long as the client waits.
    Stall,
    /// The true `Content-Length`, half the body, then the end of the connection.
    TruncateBody,
    /// 200 with a body that is neither XML nor JSON.
    Garbage,
    /// 200 with no body.
    EmptyBody,
    /// A page without items that has a token for the next one. Only matches operations that can return such a page.
    EmptyPage,
}

/// The header for the time to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryHeader {
    /// `Retry-After`, in seconds (RFC 9110).
    #[default]
    RetryAfter,
    /// `x-amz-retry-after`, in milliseconds.
    AmzRetryAfter,
}

impl Fault {
    /// Returns a fault that matches all calls.
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        Self {
            service: None,
            operation: None,
            account: None,
            region: None,
            role: None,
            skip: 0,
            times: None,
            effect,
        }
    }

    /// Limits the fault to an operation.
    #[must_use]
    pub fn operation(mut self, name: &str) -> Self {
        self.operation = Some(name.to_owned());
        self
    }

    /// Limits the fault to a service.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.service = Some(service.name().to_owned());
        self
    }

    /// Limits the fault to an account.
    #[must_use]
    pub fn account(mut self, id: &str) -> Self {
        self.account = Some(id.to_owned());
        self
    }

    /// Limits the fault to a region.
    #[must_use]
    pub fn region(mut self, name: &str) -> Self {
        self.region = Some(name.to_owned());
        self
    }

    /// Limits the fault to a role.
    #[must_use]
    pub fn role(mut self, name: &str) -> Self {
        self.role = Some(name.to_owned());
        self
    }

    /// Lets so many matching calls through first.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Limits the number of calls that go wrong.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.times = Some(calls);
        self
    }

    fn matches(&self, call: &Subject<'_>) -> bool {
        let is = |wanted: &Option<String>, have: &str| wanted.as_deref().is_none_or(|wanted| wanted == have);
        is(&self.service, call.service.name())
            && is(&self.operation, call.operation)
            && is(&self.account, call.account)
            && is(&self.region, call.region)
            && is(&self.role, call.role)
            && (self.effect != Effect::EmptyPage || call.has_empty_pages)
    }
}

impl Effect {
    /// Returns the intervention in a call, in the service's own words; none for delays.
    pub(crate) fn intervention(&self, protocol: &Protocol, caller: &str, action: &str) -> Intervention {
        let denial = |by_scp| (protocol.denied)(&Denial { caller, action, by_scp });
        let error = match self {
            Self::Latency(_) => return Intervention::None,
            Self::EmptyPage => return Intervention::EmptyPage,
            Self::TruncateBody => return Intervention::TruncateBody,
            Self::Reset => return Intervention::Reset,
            Self::Stall => return Intervention::Stall,
            Self::Garbage => {
                let body = "\u{0}\u{1}<<<{{{ this is neither XML nor JSON \u{fffd}";
                return Intervention::Respond(Response::new(200, "application/octet-stream", body));
            }
            Self::EmptyBody => return Intervention::Respond(Response::new(200, "text/plain", "")),
            Self::ServerError(status @ (502 | 504)) => {
                let page = format!("<html><body><h1>{status} Gateway trouble</h1></body></html>");
                return Intervention::Respond(Response::new(*status, "text/html", page));
            }
            Self::TooMany429 => {
                return Intervention::Respond(Response::new(429, "text/plain", "Too Many Requests"));
            }
            Self::ServerError(status) => protocol.server_error(*status),
            Self::Denied | Self::Forbidden403 => denial(false),
            Self::DeniedByScp => denial(true),
            Self::Unauthorized401 => (protocol.unauthenticated)(AuthFailure::UnknownKey(String::new())),
            Self::Throttle { retry_after, header } => {
                let mut error = protocol.throttled();
                if let Some(seconds) = retry_after {
                    error.headers.push(match header {
                        RetryHeader::RetryAfter => ("retry-after", seconds.to_string()),
                        RetryHeader::AmzRetryAfter => ("x-amz-retry-after", (seconds * 1000).to_string()),
                    });
                }
                error
            }
        };
        Intervention::Fail(error)
    }
}

/// The members of a call that rules are matched against.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) service: Service,
    pub(crate) operation: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) role: &'a str,
    pub(crate) has_empty_pages: bool,
}

/// The faults of one call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Milliseconds.
    pub(crate) latency: u64,
    pub(crate) effect: Option<Effect>,
}

/// The rules in force, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(Fault, u32)>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push((fault, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts a call for each rule that matches it, and returns the effect of the first that is due.
    pub(crate) fn judge(&mut self, call: &Subject<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for (fault, seen) in &mut self.0 {
            if !fault.matches(call)
                || (verdict.effect.is_some() && !matches!(fault.effect, Effect::Latency(_)))
            {
                continue;
            }
            let number = *seen;
            *seen = seen.saturating_add(1);
            let is_due = number >= fault.skip && fault.times.is_none_or(|times| number - fault.skip < times);
            match &fault.effect {
                _ if !is_due => {}
                Effect::Latency(millis) => verdict.latency += millis,
                other => verdict.effect = Some(other.clone()),
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(operation: &'a str, account: &'a str) -> Subject<'a> {
        let (region, role, has_empty_pages) = ("eu-west-1", "ReadOnly", false);
        Subject { service: Service::EC2, operation, account, region, role, has_empty_pages }
    }

    #[test]
    fn skip_then_times_then_no_more() {
        let mut faults = Faults::default();
        faults.add(Fault::new(Effect::Reset).operation("DescribeInstances").skip(2).times(2));
        let affected: Vec<bool> =
            (0..6).map(|_| faults.judge(&call("DescribeInstances", "1")).effect.is_some()).collect();
        assert_eq!(affected, [false, false, true, true, false, false]);
        assert_eq!(faults.judge(&call("DescribeRegions", "1")), Verdict::default());
    }

    #[test]
    fn each_member_narrows() {
        let all = Fault::new(Effect::Denied);
        assert!(all.matches(&call("X", "1")));
        assert!(!all.clone().account("2").matches(&call("X", "1")));
        assert!(!all.clone().region("us-east-1").matches(&call("X", "1")));
        assert!(!all.clone().role("Admin").matches(&call("X", "1")));
        assert!(!all.clone().service(Service::S3).matches(&call("X", "1")));
        assert!(
            all.account("1")
                .region("eu-west-1")
                .role("ReadOnly")
                .service(Service::EC2)
                .matches(&call("X", "1"))
        );
        assert!(!Fault::new(Effect::EmptyPage).matches(&call("DescribeRegions", "1")));
    }

    #[test]
    fn latency_adds_up_beside_the_first_effect() {
        let mut faults = Faults::default();
        faults.add(Fault::new(Effect::Latency(5)));
        faults.add(Fault::new(Effect::Stall).times(1));
        faults.add(Fault::new(Effect::Denied));
        faults.add(Fault::new(Effect::Latency(7)));
        let first = faults.judge(&call("X", "1"));
        assert_eq!(first, Verdict { latency: 12, effect: Some(Effect::Stall) });
        assert_eq!(faults.judge(&call("X", "1")).effect, Some(Effect::Denied));
        faults.clear();
        assert_eq!(faults.judge(&call("X", "1")), Verdict::default());
    }

    #[test]
    fn rules_are_read_from_json() {
        let fault: Fault = serde_json::from_str(
            r#"{"operation": "ListBuckets", "effect": {"throttle": {"retry_after": 3}}}"#,
        )
        .unwrap();
        assert_eq!(
            fault,
            Fault::new(Effect::Throttle { retry_after: Some(3), header: RetryHeader::RetryAfter })
                .operation("ListBuckets")
        );
        let latency: Fault = serde_json::from_str(r#"{"effect": {"latency": 100}}"#).unwrap();
        assert_eq!(latency.effect, Effect::Latency(100));
        assert!(serde_json::from_str::<Fault>(r#"{"effect": "explode"}"#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"effects": "reset"}"#).is_err());
    }
}
