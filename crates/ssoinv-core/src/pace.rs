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
#[derive(Clone, Debug)]
pub struct Pacer {
    limits: PaceLimits,
    rate: f64,
    tokens: f64,
    refilled: Instant,
    risen: Instant,
    closed_until: Option<Instant>,
}

/// The shortest time between two halvings: answers to calls that were under way together count as one.
const HALVE_ONCE_IN: Duration = Duration::from_secs(1);

impl Pacer {
    /// A pacer with a full bucket.
    #[must_use]
    pub fn new(limits: PaceLimits, now: Instant) -> Self {
        Self {
            limits,
            rate: limits.initial_rate,
            tokens: limits.burst,
            refilled: now,
            risen: now,
            closed_until: None,
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
        self.tokens = (self.tokens + elapsed * self.rate).min(self.limits.burst);
        self.refilled = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        // Rounded up, so that whoever waits this long finds a whole turn.
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate) + Duration::from_micros(1))
    }

    /// A call was throttled: half the rate, no burst, and silence for `retry_after` where the service asked for it.
    pub fn throttled(&mut self, now: Instant, retry_after: Option<Duration>) {
        if let Some(pause) = retry_after {
            let until = now + pause;
            self.closed_until = Some(self.closed_until.map_or(until, |closed| closed.max(until)));
        }
        if now >= self.risen {
            self.rate = (self.rate / 2.0).max(self.limits.min_rate);
            self.risen = now + HALVE_ONCE_IN;
        }
        self.tokens = self.tokens.min(0.0);
        self.refilled = now;
    }

    /// A call was answered.
    pub fn answered(&mut self, now: Instant) {
        if let Some(quiet) = now.checked_duration_since(self.risen) {
            // At most a second's rise for an answer: a long pause proves nothing about the limit.
            let seconds = quiet.as_secs_f64().min(1.0);
            self.rate = (self.rate + seconds * self.limits.rise).min(self.limits.max_rate);
            self.risen = now;
        }
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
        let first = run(&mut pacer, &mut now, SECOND, Pacer::answered);
        assert!((23..=25).contains(&first), "{first}: sixteen at once, then eight a second");
        run(&mut pacer, &mut now, 60 * SECOND, Pacer::answered);
        assert!((pacer.rate() - 20.0).abs() < f64::EPSILON, "{}", pacer.rate());
        let capped = run(&mut pacer, &mut now, 10 * SECOND, Pacer::answered);
        assert!((199..=201).contains(&capped), "{capped}");
    }

    #[test]
    fn one_round_of_429s_halves_once_and_honours_retry_after() {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(PaceLimits::PORTAL, now);
        for _ in 0..10 {
            pacer.throttled(now, Some(5 * SECOND));
        }
        assert!((pacer.rate() - 4.0).abs() < f64::EPSILON, "{}", pacer.rate());
        assert_eq!(pacer.take(now), Err(5 * SECOND));
        now += 5 * SECOND;
        assert_eq!(pacer.take(now), Ok(()));
        assert!(pacer.take(now).is_err(), "no burst after the silence");
    }

    #[test]
    fn it_never_stops_asking() {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(PaceLimits::PORTAL, now);
        let turns = run(&mut pacer, &mut now, 100 * SECOND, |pacer, now| pacer.throttled(now, None));
        assert!((48..=70).contains(&turns), "{turns}: the smallest rate is one call in two seconds");
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
                    pacer.answered(*now);
                    answered += 1;
                }
                Ok(()) => {
                    pacer.throttled(*now, None);
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
            assert!(share > 0.6, "{rate}/s: {share:.2} of it was used");
            assert!(refused < 160, "{rate}/s: {refused} refused of 1000");
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
                        0 => pacer.throttled(now, None),
                        1 => pacer.throttled(now, Some(Duration::from_millis(millis))),
                        _ => pacer.answered(now),
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
                pacer.throttled(now, Some(pause));
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
