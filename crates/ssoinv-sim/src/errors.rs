//! Errors of the simulated services before they have a wire format: codes, messages, and the reasons for which
//! requests are rejected. Services and faults make them; a service's [`Protocol`](crate::protocol::Protocol) says which
//! code stands for a reason and how an error is written.

/// An error response without its wire format.
#[derive(Debug)]
pub(crate) struct ServiceError {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Further members of the error element (S3), in order.
    pub(crate) members: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl ServiceError {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), members: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn member(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.members.push((name, value.into()));
        self
    }
}

/// The reason for which the signature of a request is rejected.
#[derive(Debug)]
pub(crate) enum AuthFailure {
    /// There is no `Authorization` header.
    NoSignature,
    /// The header can't be parsed; the text says why.
    Malformed(String),
    /// There is no such access key.
    UnknownKey(String),
    /// The session token isn't the key's.
    WrongToken(String),
    /// The credentials have expired.
    Expired(String),
    /// Headers that must be signed aren't.
    NotSigned(String),
    /// The signature is another one.
    WrongSignature { key_id: String, string_to_sign: String, canonical: String, given: String },
    /// The body isn't the one that was signed.
    WrongBody,
    /// The request's time is too far from the server's.
    Skewed { sent: i64, now: i64, allowed: i64 },
    /// The scope names a region that doesn't exist, or the wrong service or day.
    WrongScope(String),
    /// The region is disabled for the account.
    RegionDisabled,
}

/// A call without permission.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Denial<'a> {
    /// ARN of the caller.
    pub(crate) caller: &'a str,
    /// IAM action, such as `ec2:DescribeInstances`.
    pub(crate) action: &'a str,
    /// True for an explicit deny in a service control policy, false for a missing permission.
    pub(crate) by_scp: bool,
}

impl Denial<'_> {
    /// Returns AWS's message. `resource` is put behind the action: ` on resource: *`, or nothing.
    pub(crate) fn message(&self, resource: &str) -> String {
        let Self { caller, action, by_scp } = self;
        let why = if *by_scp {
            "with an explicit deny in a service control policy".to_owned()
        } else {
            format!("because no identity-based policy allows the {action} action")
        };
        format!("User: {caller} is not authorized to perform: {action}{resource} {why}")
    }
}
