//! A thousand accounts at a portal with a rate limit and lock-outs, as users have met it.
//!
//! A caller that keeps being refused gets no response for half a minute.
//!
//! The clock is tokio's, paused; the portal is a model in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::retry::RetryPolicy;
use tokio::time::{Instant, sleep};

use super::call;
use crate::rate_limiter::RateLimiter;

const ACCOUNTS: u32 = 1000;

/// The retry policy of a run.
const POLICY: RetryPolicy = RetryPolicy { max_attempts: 5, throttle_budget: Duration::from_mins(5) };

/// This many refusals within [`MEMORY`] shut a caller out for [`SHUT_OUT`].
const PATIENCE: usize = 5;
const MEMORY: Duration = Duration::from_secs(10);
const SHUT_OUT: Duration = Duration::from_secs(30);

/// A portal with a token bucket that holds the calls of one second.
struct Portal {
    rate: f64,
    /// The time from which another rate is allowed, and that rate.
    later: Option<(Duration, f64)>,
    start: Instant,
    state: Mutex<State>,
}

struct State {
    tokens: f64,
    filled: Instant,
    refused: VecDeque<Instant>,
    shut_until: Option<Instant>,
    stats: RunStats,
}

/// The calls and the time of a run.
#[derive(Clone, Debug, Default)]
struct RunStats {
    calls: u32,
    refused: u32,
    lockouts: u32,
    took: Duration,
}

impl RunStats {
    fn share_refused(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.calls)
    }
}

impl Portal {
    fn new(rate: f64) -> Self {
        let start = Instant::now();
        let state = State {
            tokens: rate,
            filled: start,
            refused: VecDeque::new(),
            shut_until: None,
            stats: RunStats::default(),
        };
        Self { rate, later: None, start, state: Mutex::new(state) }
    }

    /// Makes a call, which takes some time there and some time back.
    async fn ask(&self) -> Result<(), Failure> {
        sleep(Duration::from_millis(20 + fastrand::u64(..60))).await;
        let admitted = self.admits();
        sleep(Duration::from_millis(20 + fastrand::u64(..60))).await;
        if admitted {
            return Ok(());
        }
        let failure = Failure::new(FailureKind::Throttled, "HTTP 429");
        Err(failure.with_remedy(Remedy::SlowDown { after: None }))
    }

    fn admits(&self) -> bool {
        let now = Instant::now();
        let rate = match self.later {
            Some((then, rate)) if now - self.start >= then => rate,
            _ => self.rate,
        };
        let mut state = self.state.lock().expect("no panic");
        state.stats.calls += 1;
        state.tokens = (state.tokens + (now - state.filled).as_secs_f64() * rate).min(rate);
        state.filled = now;
        if state.shut_until.is_some_and(|until| now < until) {
            state.stats.refused += 1;
            return false;
        }
        if state.tokens >= 1.0 {
            state.tokens -= 1.0;
            return true;
        }
        state.stats.refused += 1;
        state.refused.push_back(now);
        while state.refused.front().is_some_and(|then| now - *then > MEMORY) {
            state.refused.pop_front();
        }
        if state.refused.len() >= PATIENCE {
            state.refused.clear();
            state.shut_until = Some(now + SHUT_OUT);
            state.stats.lockouts += 1;
        }
        false
    }
}

/// Fetches the credentials of all accounts as a run does, all at once, through one limiter.
///
/// Returns the results and the statistics.
async fn collect(portal: Portal) -> (Vec<Result<(), Failure>>, RunStats) {
    // The delays of the network and those before a retry are random.
    fastrand::seed(1);
    let (portal, limiter) = (Arc::new(portal), Arc::new(RateLimiter::new(PaceLimits::PORTAL)));
    let start = Instant::now();
    let tasks: Vec<_> = (0..ACCOUNTS)
        .map(|_| {
            let (portal, limiter) = (Arc::clone(&portal), Arc::clone(&limiter));
            tokio::spawn(async move { call(&limiter, None, POLICY, |_, _| (), || portal.ask()).await.0 })
        })
        .collect();
    let mut ended = Vec::new();
    for task in tasks {
        ended.push(task.await.expect("no panic"));
    }
    let stats = portal.state.lock().expect("no panic").stats.clone();
    (ended, RunStats { took: start.elapsed(), ..stats })
}

/// Does the same, and expects every account to be complete.
async fn complete(portal: Portal) -> RunStats {
    let (ended, stats) = collect(portal).await;
    let failed = ended.iter().filter(|end| end.is_err()).count();
    assert_eq!(failed, 0, "accounts that are not complete: {stats:?}");
    stats
}

/// Returns the time of the run, as a multiple of what the portal's rate allows.
fn ratio(stats: &RunStats, rate: f64) -> f64 {
    stats.took.as_secs_f64() / ((f64::from(ACCOUNTS) - rate) / rate)
}

#[tokio::test(start_paused = true)]
async fn at_the_documented_rate_nobody_is_refused_and_little_time_is_lost() {
    let stats = complete(Portal::new(20.0)).await;
    assert_eq!((stats.calls, stats.refused), (ACCOUNTS, 0));
    assert!(ratio(&stats, 20.0) <= 1.15, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_portal_that_shares_its_rate_with_others_refuses_one_in_a_hundred_at_most() {
    for rate in [18.0, 15.0, 12.0] {
        let stats = complete(Portal::new(rate)).await;
        assert!(stats.share_refused() <= 0.01, "{rate}/s: {stats:?}");
        assert_eq!(stats.lockouts, 0, "{rate}/s: {stats:?}");
        assert!(ratio(&stats, rate) <= 1.25, "{rate}/s: {stats:?}");
    }
}

/// The first burst is too much for these portals, and shuts the run out.
#[tokio::test(start_paused = true)]
async fn all_accounts_are_complete_though_the_portal_shuts_the_run_out() {
    for (rate, refused) in [(10.0, 0.02), (8.0, 0.025), (5.0, 0.035), (3.0, 0.05)] {
        let stats = complete(Portal::new(rate)).await;
        assert_eq!(stats.lockouts, 1, "{rate}/s: once and never again: {stats:?}");
        assert!(stats.share_refused() <= refused, "{rate}/s: {stats:?}");
        assert!(stats.took <= SHUT_OUT * 3 / 2 + Duration::from_secs_f64(1.25 * f64::from(ACCOUNTS) / rate));
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_changes_on_the_way_is_found_again() {
    for (before, after) in [(20.0, 8.0), (8.0, 20.0)] {
        let then = Duration::from_secs(25);
        let stats = complete(Portal { later: Some((then, after)), ..Portal::new(before) }).await;
        assert!(stats.share_refused() <= 0.025, "{before} to {after}/s: {stats:?}");
    }
}

/// A thousand waiting calls must not find out one after the other that the portal is shut.
#[tokio::test(start_paused = true)]
async fn where_nobody_is_answered_all_give_up_when_the_retry_time_is_over() {
    let (ended, stats) = collect(Portal::new(0.0)).await;
    assert!(
        ended.iter().all(|end| end.as_ref().is_err_and(|failure| failure.kind == FailureKind::Throttled))
    );
    assert!(stats.took <= POLICY.throttle_budget + Duration::from_secs(30), "{stats:?}");
    assert!(stats.calls < 60, "{stats:?}");
}
