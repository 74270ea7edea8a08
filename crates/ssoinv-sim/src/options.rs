//! The options with which a simulator starts. [`Control`] changes them later, except the port, the threads, the
//! upstream, the proxy and the size of the log.

use crate::approval::Approval;
use crate::control::Control;
use crate::faults::{Effect, Fault, RetryHeader};
use crate::limits::Limits;
use crate::service::Service;

/// The options of a simulator.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// Worker threads.
    pub threads: usize,
    /// Rate limits; off by default.
    pub limits: Limits,
    /// The decision on sign-ins; approved at the first poll by default.
    pub approval: Approval,
    /// Seconds between two polls.
    pub device_interval: u32,
    /// Seconds that a device code lives.
    pub device_lifetime: u32,
    /// Seconds that an authorization code lives.
    pub code_lifetime: u32,
    /// Seconds that an access token lives. By default an hour if it can be refreshed, else eight hours.
    pub token_lifetime: Option<u32>,
    /// Seconds until a sign-in can't be refreshed any more.
    pub sign_in_lifetime: u32,
    /// Seconds that a client registration lives.
    pub registration_lifetime: u32,
    /// Seconds that role credentials live. By default an hour, or the duration in the `AssumeRole` request.
    pub role_lifetime: Option<u32>,
    /// Base URL of an STS that issues the role credentials (plain HTTP, unsigned `AssumeRole`), so that another server
    /// can take the place of S3, EC2 and Lambda.
    pub upstream_sts: Option<String>,
    /// Starts an HTTPS proxy for AWS's own host names, too.
    pub proxy: bool,
    /// The most calls that the log keeps; counts are kept for all.
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
    /// Returns the faults of `ssoinv --demo=faults`, for [`Organisation::demo`](crate::Organisation::demo).
    ///
    /// A denied account, a service control policy, an unreachable region, throttling, role credentials and a token
    /// that expire during the run.
    #[must_use]
    pub fn demo_faults() -> Self {
        const PAYMENTS_PROD: &str = "451920087364";
        const SECURITY_AUDIT: &str = "619027348855";
        const SHOP_PROD: &str = "194837265091";
        const DATA_PLATFORM: &str = "938471652008";
        const LOG_ARCHIVE: &str = "048213977512";
        let throttle = Effect::Throttle { retry_after: None, header: RetryHeader::default() };
        let controls = vec![
            Control::Fault(
                Fault::new(Effect::Forbidden403).operation("GetRoleCredentials").account(SECURITY_AUDIT),
            ),
            Control::Fault(
                Fault::new(Effect::DeniedByScp).operation("DescribeInstances").account(PAYMENTS_PROD),
            ),
            Control::Fault(Fault::new(Effect::Denied).operation("ListBuckets").account(LOG_ARCHIVE)),
            Control::Fault(Fault::new(Effect::Reset).service(Service::EC2).region("ap-southeast-2")),
            Control::Fault(Fault::new(Effect::Reset).service(Service::LAMBDA).region("ap-southeast-2")),
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
