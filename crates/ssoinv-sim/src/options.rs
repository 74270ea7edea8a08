//! How a simulator is started. All of it but the port, the upstream and the size of the log can be changed later,
//! by [`crate::Control`].

use serde::{Deserialize, Serialize};

use crate::control::Control;
use crate::faults::{Effect, Fault};
use crate::limits::Limits;

/// What becomes of device authorisations, and of the pages of authorization codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// The person agrees before the n-th poll; 1 is at once. A page, which nobody polls, sends back at once.
    AtPoll(u32),
    /// Only when [`Control::Approve`] or [`Control::Deny`] says so, or the page that a device sign-in opens. The page
    /// of an authorization code waits (200), pending under its `state`; once it is decided on, the next request of
    /// the same address is sent back (302), and one after that waits anew.
    Manual,
    /// The person declines.
    Denied,
    /// The code ends before the person agrees; a page gives one that has ended.
    Expires,
}

/// How a simulator is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// Worker threads.
    pub threads: usize,
    /// AWS's rate limits; off by default.
    pub limits: Limits,
    /// What becomes of sign-ins; agreed at the first poll by default.
    pub approval: Approval,
    /// Seconds between two polls.
    pub device_interval: u32,
    /// Seconds that a device code lives.
    pub device_lifetime: u32,
    /// Seconds that an authorization code lives.
    pub code_lifetime: u32,
    /// Seconds that an access token lives; an hour where it can be refreshed, else eight, where not said.
    pub token_lifetime: Option<u32>,
    /// Seconds until a sign-in can't be refreshed any more.
    pub sign_in_lifetime: u32,
    /// Seconds that a client registration lives.
    pub registration_lifetime: u32,
    /// Seconds that role credentials live; an hour, or what `AssumeRole` asks for, where not said.
    pub role_lifetime: Option<u32>,
    /// Base URL of an STS that role credentials are taken from (plain HTTP, unsigned `AssumeRole`), so that
    /// another server can answer for S3, EC2 and Lambda.
    pub upstream_sts: Option<String>,
    /// Whether it stands as an HTTPS proxy for AWS's own host names, too.
    pub proxy: bool,
    /// Calls that the log keeps; counts are kept for all.
    pub call_log: usize,
    /// Controls in force from the start.
    pub controls: Vec<Control>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            threads: 2,
            limits: Limits::off(),
            approval: Approval::AtPoll(1),
            device_interval: 1,
            device_lifetime: 600,
            code_lifetime: 600,
            token_lifetime: None,
            sign_in_lifetime: 8 * 3600,
            registration_lifetime: 90 * 86_400,
            role_lifetime: None,
            upstream_sts: None,
            proxy: false,
            call_log: 100_000,
            controls: Vec::new(),
        }
    }
}

impl Options {
    /// What goes wrong in `ssoinv --demo=faults`, for [`crate::Organisation::demo`]: a denied account, a service
    /// control policy, a region that can't be reached, throttling, role credentials and a token that end on the way.
    #[must_use]
    pub fn demo_faults() -> Self {
        const PAYMENTS_PROD: &str = "451920087364";
        const SECURITY_AUDIT: &str = "619027348855";
        const SHOP_PROD: &str = "194837265091";
        const DATA_PLATFORM: &str = "938471652008";
        const LOG_ARCHIVE: &str = "048213977512";
        let throttle = Effect::Throttle { retry_after: None, header: crate::RetryHeader::default() };
        let controls = vec![
            Control::Fault(
                Fault::new(Effect::Forbidden403).operation("GetRoleCredentials").account(SECURITY_AUDIT),
            ),
            Control::Fault(
                Fault::new(Effect::DeniedByScp).operation("DescribeInstances").account(PAYMENTS_PROD),
            ),
            Control::Fault(Fault::new(Effect::Denied).operation("ListBuckets").account(LOG_ARCHIVE)),
            Control::Fault(Fault::new(Effect::Reset).service(crate::Service::Ec2).region("ap-southeast-2")),
            Control::Fault(
                Fault::new(Effect::Reset).service(crate::Service::Lambda).region("ap-southeast-2"),
            ),
            Control::Fault(Fault::new(throttle.clone()).operation("ListBuckets").account(SHOP_PROD).times(2)),
            Control::Fault(
                Fault::new(throttle.clone()).operation("DescribeInstances").account(SHOP_PROD).times(2),
            ),
            Control::Fault(Fault::new(throttle).operation("ListFunctions").account(SHOP_PROD).times(2)),
            Control::ExpireRoleCredentials {
                account: Some(DATA_PLATFORM.to_owned()),
                role: None,
                after_calls: 1,
                times: Some(1),
            },
            Control::EndTokensAfter { session: None, calls: 6, times: 1 },
        ];
        Self { controls, ..Self::default() }
    }
}
