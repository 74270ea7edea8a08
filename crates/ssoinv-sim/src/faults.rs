//! Faults on demand: rules that say which calls go wrong, and how. In code through
//! [`crate::Simulator::fault`], over HTTP through `POST /_sim/fault`.

use serde::{Deserialize, Serialize};

use crate::service::Service;

/// A rule: which calls, how many of them, and what happens to them. Members that are left out match everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// `oidc`, `portal`, `sts`, `s3`, `ec2` or `lambda`.
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
    /// So many matching calls are let through first.
    #[serde(default)]
    pub skip: u32,
    /// So many calls go wrong then; all where not said.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens.
    pub effect: Effect,
}

/// What a fault does to a call that was otherwise good: signature, token and expiry are checked first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The answer comes so many milliseconds late. Adds up, and goes along with another effect.
    Latency(u64),
    /// No permission, by the role's own policies.
    Denied,
    /// No permission, by an explicit deny in a service control policy.
    DeniedByScp,
    /// The service's own throttling error.
    Throttle {
        /// Seconds that a header tells to wait.
        #[serde(default)]
        retry_after: Option<u32>,
        /// Which header tells it.
        #[serde(default)]
        header: RetryHeader,
    },
    /// 500 and 503 are the service's own errors; 502 and 504 are a gateway's HTML page.
    ServerError(u16),
    /// 401, as the portal says it for a token that has ended.
    Unauthorized401,
    /// 403 "No access", as the portal says it for a role that isn't assigned.
    Forbidden403,
    /// A bare 429 with a body that names no error.
    TooMany429,
    /// The connection is reset (RST).
    Reset,
    /// No answer, for as long as the client waits.
    Stall,
    /// The true `Content-Length`, half the body, then the end of the connection.
    TruncateBody,
    /// 200 with a body that is neither XML nor JSON.
    Garbage,
    /// 200 with no body.
    EmptyBody,
    /// Of DescribeInstances and Organizations' ListAccounts only: a page without members that has a `NextToken`.
    EmptyPage,
}

/// The header that carries a waiting time.
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
    /// A fault for every call.
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

    /// Only for this operation.
    #[must_use]
    pub fn operation(mut self, name: &str) -> Self {
        self.operation = Some(name.to_owned());
        self
    }

    /// Only for this service.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.service = Some(service.name().to_owned());
        self
    }

    /// Only for this account.
    #[must_use]
    pub fn account(mut self, id: &str) -> Self {
        self.account = Some(id.to_owned());
        self
    }

    /// Only for this region.
    #[must_use]
    pub fn region(mut self, name: &str) -> Self {
        self.region = Some(name.to_owned());
        self
    }

    /// Only for this role.
    #[must_use]
    pub fn role(mut self, name: &str) -> Self {
        self.role = Some(name.to_owned());
        self
    }

    /// So many matching calls are let through first.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// So many calls go wrong.
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
            && (self.effect != Effect::EmptyPage
                || call.operation == "DescribeInstances"
                || call.service == Service::Organizations)
    }
}

/// What rules are matched against.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) service: Service,
    pub(crate) operation: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) role: &'a str,
}

/// What happens to one call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Milliseconds.
    pub(crate) latency: u64,
    pub(crate) effect: Option<Effect>,
}

/// The rules in force, in the order in which they were given.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(Fault, u32)>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push((fault, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts a call against each rule that matches it; the first that strikes decides.
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
            let strikes = number >= fault.skip && fault.times.is_none_or(|times| number - fault.skip < times);
            match &fault.effect {
                _ if !strikes => {}
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
        Subject { service: Service::Ec2, operation, account, region: "eu-west-1", role: "ReadOnly" }
    }

    #[test]
    fn skip_then_times_then_no_more() {
        let mut faults = Faults::default();
        faults.add(Fault::new(Effect::Reset).operation("DescribeInstances").skip(2).times(2));
        let struck: Vec<bool> =
            (0..6).map(|_| faults.judge(&call("DescribeInstances", "1")).effect.is_some()).collect();
        assert_eq!(struck, [false, false, true, true, false, false]);
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
                .service(Service::Ec2)
                .matches(&call("X", "1"))
        );
        assert!(!Fault::new(Effect::EmptyPage).matches(&call("DescribeRegions", "1")));
    }

    #[test]
    fn latency_adds_up_and_goes_along_with_the_first_effect() {
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
