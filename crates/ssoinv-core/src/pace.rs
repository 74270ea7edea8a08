//! How fast calls may follow one another: a token bucket whose rate learns from the service's answers.
//!
//! A [`Pacer`] is pure: the time is handed in, and it tells how long to wait. `ssoinv-sso::attempt` waits, in the order
//! of arrival, and reports each answer back. There is one pacer for the whole portal and one for each (account, region,
//! service), so that one throttled account never slows another.

use std::time::{Duration, Instant};

/// What a pacer starts from and may learn.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PaceLimits {
    /// Calls that may be made at once after a pause.
    pub burst: f64,
    /// Calls a second at the start.
    pub initial_rate: f64,
    /// Calls a second that are never exceeded.
    pub max_rate: f64,
    /// Calls a second that a throttled service is still asked with.
    pub min_rate: f64,
    /// By how much the rate rises in a second in which calls succeed and none is throttled.
    pub rise: f64,
}

impl PaceLimits {
    /// The portal: a burst of 16, then 8/s, rising to at most 20/s. AWS documents a collective 20 requests a second for
    /// IAM Identity Center's APIs ("IAM Identity Center quotas"), and users meet 429s well below that. It rises to the cap
    /// in twelve seconds: at half that speed a thousand accounts would take a seventh longer than the cap allows.
    pub const PORTAL: Self =
        Self { burst: 16.0, initial_rate: 8.0, max_rate: 20.0, min_rate: 0.5, rise: 1.0 };

    /// The same, but never faster than `rate` calls a second.
    #[must_use]
    pub fn capped(self, rate: f64) -> Self {
        Self {
            burst: self.burst.min(rate.max(1.0)),
            initial_rate: self.initial_rate.min(rate),
            max_rate: self.max_rate.min(rate),
            min_rate: self.min_rate.min(rate),
            ..self
        }
    }

    /// EC2's describe calls, per account and region: a bucket of 100, refilled with 20 a second ("Request throttling
    /// for the Amazon EC2 API", non-mutating actions).
    pub const EC2: Self = Self { burst: 100.0, initial_rate: 20.0, max_rate: 20.0, min_rate: 0.5, rise: 1.0 };

    /// Lambda's control plane, per account and region: 15 a second ("Lambda quotas", GetFunction aside).
    pub const LAMBDA: Self =
        Self { burst: 15.0, initial_rate: 15.0, max_rate: 15.0, min_rate: 0.5, rise: 1.0 };

    /// S3's ListBuckets and STS publish no number; one call after another never meets this.
    pub const UNDOCUMENTED: Self =
        Self { burst: 20.0, initial_rate: 10.0, max_rate: 20.0, min_rate: 0.5, rise: 1.0 };
}

/// A learning token bucket.
///
/// A refusal halves the rate, and is remembered: the rate rises as before to a little less than what was too much, and
/// stays there until a hundred calls are answered, so that refusals are few among them. Then it feels its way further,
/// slowly at first, for a limit may have been lifted. Where a call that was made after the halving is refused, too, the
/// service may have shut its caller out: then there is silence, each time for twice as long.
#[derive(Clone, Debug)]
pub struct Pacer {
    limits: PaceLimits,
    rate: f64,
    burst: f64,
    tokens: f64,
    refilled: Instant,
    risen: Instant,
    closed_until: Option<Instant>,
    refusal: Option<Refusal>,
}

/// The last time that the service refused.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    /// When the first of those was heard between which nothing was answered.
    first: Instant,
    /// When the last was heard. Calls that had been made before say nothing new.
    heard: Instant,
    /// The rate that was too much.
    rate: f64,
    /// Calls that were made after it and answered.
    answered: u32,
    /// How often since the first calls were refused that were made after the last.
    again: u32,
}

/// The part of a rate that was too much which is not.
const SAFE: f64 = 0.85;
/// Calls that are answered at a rate that is not too much, for one that may be refused.
const CALLS_FOR_ONE: u32 = 100;
/// How much more slowly the rate rises where it may be too much.
const FEELING: f64 = 0.2;
/// Refusals in a row after which the service counts as refusing every call.
const SHUT_OUT: u32 = 3;
/// The first silence, and the longest.
const SILENCE: Duration = Duration::from_secs(1);
const LONGEST_SILENCE: Duration = Duration::from_secs(16);

impl Pacer {
    /// A pacer with a full bucket.
    #[must_use]
    pub fn new(limits: PaceLimits, now: Instant) -> Self {
        Self {
            limits,
            rate: limits.initial_rate,
            burst: limits.burst,
            tokens: limits.burst,
            refilled: now,
            risen: now,
            closed_until: None,
            refusal: None,
        }
    }

    /// Takes a turn.
    ///
    /// # Errors
    /// How long to wait before asking again, where there is no turn yet.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(until) = self.closed_until {
            if now < until {
                return Err(until - now);
            }
            // What gathered while the service asked for silence must not burst out at once.
            self.closed_until = None;
            self.tokens = 1.0;
            self.refilled = now;
        }
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate).min(self.burst);
        self.refilled = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        // Rounded up, so that a whole token is there after this wait.
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate) + Duration::from_micros(1))
    }

    /// A call that was made at `sent` was throttled: half the rate, no burst, and silence for `retry_after` where the
    /// service asked for it. Calls that were under way together count as one.
    pub fn throttled(&mut self, sent: Instant, now: Instant, retry_after: Option<Duration>) {
        if let Some(pause) = retry_after {
            self.close(now + pause);
        }
        self.tokens = self.tokens.min(0.0);
        self.refilled = now;
        self.risen = now;
        let again = match &mut self.refusal {
            Some(refusal) if sent <= refusal.heard => return,
            Some(refusal) if refusal.answered == 0 => {
                refusal.heard = now;
                refusal.again += 1;
                refusal.again
            }
            _ => 0,
        };
        if again > 0 {
            let silence = SILENCE.saturating_mul(1 << (again - 1).min(16));
            self.close(now + silence.min(LONGEST_SILENCE));
        }
        if again == 0 {
            self.refusal = Some(Refusal { first: now, heard: now, rate: self.rate, answered: 0, again });
        }
        self.rate = (self.rate / 2.0).max(self.limits.min_rate);
        self.burst = (self.burst / 2.0).max(1.0);
    }

    /// A call that was made at `sent` was answered.
    pub fn answered(&mut self, sent: Instant, now: Instant) {
        let mut rise = self.limits.rise;
        if let Some(refusal) = &mut self.refusal {
            if sent <= refusal.heard {
                return;
            }
            refusal.answered += 1;
            refusal.again = 0;
            if self.rate >= refusal.rate && refusal.answered > CALLS_FOR_ONE {
                // What was too much isn't any more.
                self.refusal = None;
            } else if self.rate >= refusal.rate * SAFE {
                rise = if refusal.answered > CALLS_FOR_ONE { rise * FEELING } else { 0.0 };
            }
        }
        // At most a second's rise for an answer: a long pause proves nothing about the limit.
        let seconds = now.saturating_duration_since(self.risen).as_secs_f64().min(1.0);
        self.rate = (self.rate + seconds * rise).min(self.limits.max_rate);
        self.risen = now;
    }

    fn close(&mut self, until: Instant) {
        self.closed_until = Some(self.closed_until.map_or(until, |closed| closed.max(until)));
    }

    /// Returns for how long the service has refused every call, if it does.
    #[must_use]
    pub fn shut_out_for(&self, now: Instant) -> Option<Duration> {
        let refusal = self.refusal.filter(|refusal| refusal.again >= SHUT_OUT)?;
        Some(now.saturating_duration_since(refusal.first))
    }

    /// The present rate, in calls a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Answers at once.
    fn answered(pacer: &mut Pacer, now: Instant) {
        pacer.answered(now, now);
    }

    /// Takes as many turns as `span` allows, answering each with `answer`; returns how many.
    fn run(
        pacer: &mut Pacer,
        now: &mut Instant,
        span: Duration,
        mut answer: impl FnMut(&mut Pacer, Instant),
    ) -> u32 {
        let end = *now + span;
        let mut turns = 0;
        while *now < end {
            match pacer.take(*now) {
                Ok(()) => {
                    turns += 1;
                    answer(pacer, *now);
                }
                Err(wait) => *now += wait,
            }
        }
        turns
    }

    #[test]
    fn a_burst_then_the_rate_rising_to_its_cap() {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(PaceLimits::PORTAL, now);
        let first = run(&mut pacer, &mut now, SECOND, answered);
        assert!((23..=25).contains(&first), "{first}: sixteen at once, then eight a second");
        run(&mut pacer, &mut now, 60 * SECOND, answered);
        assert!((pacer.rate() - 20.0).abs() < f64::EPSILON, "{}", pacer.rate());
        let capped = run(&mut pacer, &mut now, 10 * SECOND, answered);
        assert!((199..=201).contains(&capped), "{capped}");
    }

    #[test]
    fn one_round_of_429s_halves_once_and_honours_retry_after() {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(PaceLimits::PORTAL, now);
        for _ in 0..10 {
            pacer.throttled(now, now, Some(5 * SECOND));
        }
        assert!((pacer.rate() - 4.0).abs() < f64::EPSILON, "{}", pacer.rate());
        assert_eq!(pacer.take(now), Err(5 * SECOND));
        now += 5 * SECOND;
        assert_eq!(pacer.take(now), Ok(()));
        assert!(pacer.take(now).is_err(), "no burst after the silence");
    }

    #[test]
    fn it_never_stops_asking_but_less_and_less() {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(PaceLimits::PORTAL, now);
        // Each is heard of after a while, so that the next was made after it.
        let travel = Duration::from_millis(100);
        let mut last = now;
        let mut turns = 0;
        while now.saturating_duration_since(last) < 60 * SECOND && turns < 40 {
            match pacer.take(now) {
                Ok(()) => {
                    assert!(now - last <= LONGEST_SILENCE + SECOND, "it asks every now and then");
                    last = now;
                    turns += 1;
                    pacer.throttled(now, now + travel, None);
                    now += travel;
                }
                Err(wait) => now += wait,
            }
        }
        assert_eq!(turns, 40);
        assert!(pacer.shut_out_for(now).is_some_and(|time| time > 8 * 60 * SECOND));
        pacer.answered(now + travel, now + 2 * travel);
        assert_eq!(pacer.shut_out_for(now), None, "one answer is enough");
    }

    #[test]
    fn calls_that_were_under_way_together_are_one_refusal() {
        let start = Instant::now();
        let mut pacer = Pacer::new(PaceLimits::PORTAL, start);
        for millis in [100, 150, 1_500] {
            pacer.throttled(start, start + Duration::from_millis(millis), None);
        }
        assert!((pacer.rate() - 4.0).abs() < f64::EPSILON, "{}", pacer.rate());
        pacer.answered(start, start + 2 * SECOND);
        assert!((pacer.rate() - 4.0).abs() < f64::EPSILON, "what was let in before proves nothing");
        let after = start + 2 * SECOND;
        pacer.throttled(after, after + SECOND, None);
        assert!((pacer.rate() - 2.0).abs() < f64::EPSILON, "{}", pacer.rate());
    }

    /// A portal as users have met it: so many calls a second, and who keeps calling while it says 429 is locked out.
    struct Portal {
        rate: f64,
        bucket: f64,
        tokens: f64,
        filled: Instant,
        refused: Vec<Instant>,
        locked_until: Option<Instant>,
        /// How many refusals within ten seconds lock a caller out; none where nothing does.
        patience: Option<usize>,
    }

    impl Portal {
        fn new(rate: f64, patience: Option<usize>, now: Instant) -> Self {
            let refused = Vec::new();
            Self { rate, bucket: rate, tokens: rate, filled: now, refused, locked_until: None, patience }
        }

        fn answers(&mut self, now: Instant) -> bool {
            self.tokens = (self.tokens + (now - self.filled).as_secs_f64() * self.rate).min(self.bucket);
            self.filled = now;
            let locked = self.locked_until.is_some_and(|until| now < until);
            if !locked && self.tokens >= 1.0 {
                self.tokens -= 1.0;
                return true;
            }
            self.refused.retain(|then| now - *then < 10 * SECOND);
            self.refused.push(now);
            if self.patience.is_some_and(|patience| self.refused.len() > patience) {
                self.locked_until = Some(now + 30 * SECOND);
            }
            false
        }
    }

    /// Makes calls until so many are answered: how long it took, and how many were refused.
    fn calls(pacer: &mut Pacer, portal: &mut Portal, number: u32, now: &mut Instant) -> (Duration, u32) {
        let (start, mut answered, mut refused) = (*now, 0, 0);
        while answered < number {
            match pacer.take(*now) {
                Err(wait) => *now += wait,
                Ok(()) if portal.answers(*now) => {
                    pacer.answered(*now, *now);
                    answered += 1;
                }
                Ok(()) => {
                    pacer.throttled(*now, *now, None);
                    refused += 1;
                }
            }
        }
        (*now - start, refused)
    }

    #[test]
    fn a_thousand_accounts_take_what_the_portal_allows_and_no_429() {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(PaceLimits::PORTAL, now);
        let mut portal = Portal::new(20.0, Some(10), now);
        let (took, refused) = calls(&mut pacer, &mut portal, 1000, &mut now);
        assert!(took.as_secs_f64() <= 1.15 * 1000.0 / 20.0, "{took:?}");
        assert_eq!(refused, 0);
    }

    #[test]
    fn it_learns_a_limit_that_nobody_told_it_and_another_after_that() {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(PaceLimits::PORTAL, now);
        for rate in [20.0, 5.0, 12.0, 20.0] {
            let mut portal = Portal::new(rate, Some(10), now);
            // What it takes to find out doesn't count: at the slowest it rises by one call a second in a second.
            calls(&mut pacer, &mut portal, 100, &mut now);
            let (took, refused) = calls(&mut pacer, &mut portal, 1000, &mut now);
            let share = 1000.0 / took.as_secs_f64() / rate;
            assert!(share > 0.95, "{rate}/s: {share:.2} of it was used");
            assert!(refused <= 20, "{rate}/s: {refused} refused of 1000");
            assert!(portal.locked_until.is_none(), "{rate}/s: locked out");
        }
    }

    proptest! {
        /// Whatever is answered, no span of time has more turns than a burst and the greatest rate allow.
        #[test]
        fn never_above_its_limit(steps in prop::collection::vec((0..4_u8, 0..3_000_u64), 1..400)) {
            let limits = PaceLimits::PORTAL;
            let mut now = Instant::now();
            let mut pacer = Pacer::new(limits, now);
            let mut turns: Vec<Instant> = Vec::new();
            for (answer, millis) in steps {
                if let Err(wait) = pacer.take(now) {
                    now += wait;
                } else {
                    turns.push(now);
                    match answer {
                        0 => pacer.throttled(now, now, None),
                        1 => pacer.throttled(now, now, Some(Duration::from_millis(millis))),
                        _ => pacer.answered(now, now),
                    }
                }
                if answer == 3 && millis > 2_500 {
                    now += Duration::from_millis(millis);
                }
            }
            for (first, start) in turns.iter().enumerate() {
                for (last, end) in turns.iter().enumerate().skip(first) {
                    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
                    let number = (last - first + 1) as f64;
                    let allowed = limits.burst + limits.max_rate * (*end - *start).as_secs_f64();
                    prop_assert!(number <= allowed + 1e-6, "{number} turns, {allowed} allowed");
                }
            }
        }

        /// What the service asked for is kept to, to the moment.
        #[test]
        fn nothing_is_asked_before_the_time_that_was_named(pauses in prop::collection::vec(1..90_000_u64, 1..6)) {
            let mut now = Instant::now();
            let mut pacer = Pacer::new(PaceLimits::PORTAL, now);
            let mut open = now;
            for pause in pauses {
                let pause = Duration::from_millis(pause);
                pacer.throttled(now, now, Some(pause));
                open = open.max(now + pause);
                now += pause / 2;
            }
            while let Err(wait) = pacer.take(now) {
                now += wait;
            }
            prop_assert!(now >= open);
        }
    }
}
