//! A token bucket: how much may pass per second, and how much at once.
//!
//! Pure; the caller says what time it is. What is counted (bytes, messages, connections) and what
//! happens to the excess (wait, or refuse) is left to the caller.

use core::time::Duration;

/// A rate limit: `per_second` on average, up to `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Units that come back each second; at least 1 is used.
    pub per_second: u64,
    /// Units that a bucket holds when full; at least 1 is used.
    pub burst: u64,
}

/// The state of one rate limit. Time is whatever starts anywhere and never goes back; an earlier
/// time than the last is taken as the last.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    rate: Rate,
    /// Units left, in billionths, so that a refill over any number of nanoseconds is exact.
    /// Negative after an excess was let through as debt.
    level: i128,
    last: Duration,
}

const UNIT: i128 = 1_000_000_000;

impl Bucket {
    /// A full bucket at time `now`.
    pub fn new(rate: Rate, now: Duration) -> Self {
        let rate = Rate { per_second: rate.per_second.max(1), burst: rate.burst.max(1) };
        Bucket { rate, level: i128::from(rate.burst) * UNIT, last: now }
    }

    fn refill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.last);
        self.last = self.last.max(now);
        let nanoseconds = i128::try_from(elapsed.as_nanos()).unwrap_or(i128::MAX);
        self.level = nanoseconds
            .saturating_mul(i128::from(self.rate.per_second))
            .saturating_add(self.level)
            .min(i128::from(self.rate.burst) * UNIT);
    }

    /// Takes `units` if they are there; otherwise takes nothing and says no.
    pub fn try_take(&mut self, now: Duration, units: u64) -> bool {
        self.refill(now);
        let cost = i128::from(units) * UNIT;
        if self.level < cost {
            return false;
        }
        self.level -= cost;
        true
    }

    /// Takes `units` whether they are there or not, and says how long the caller has to wait
    /// before it takes anything again. This is how what already arrived is paid for.
    #[must_use]
    pub fn take(&mut self, now: Duration, units: u64) -> Duration {
        self.refill(now);
        self.level = self.level.saturating_sub(i128::from(units).saturating_mul(UNIT));
        if self.level >= 0 {
            return Duration::ZERO;
        }
        let per_second = i128::from(self.rate.per_second);
        let nanoseconds = (-self.level).saturating_add(per_second - 1) / per_second;
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Whether nothing is owed or taken: forgetting a full bucket changes nothing.
    pub fn is_full(&mut self, now: Duration) -> bool {
        self.refill(now);
        self.level == i128::from(self.rate.burst) * UNIT
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_allow(
            per_second in 1_u64..1000,
            burst in 1_u64..1000,
            steps in proptest::collection::vec((0_u64..500, 1_u64..200), 1..200),
        ) {
            let mut bucket = Bucket::new(Rate { per_second, burst }, Duration::ZERO);
            let mut now = Duration::ZERO;
            let mut taken = 0_u64;
            for (wait_ms, units) in steps {
                now += Duration::from_millis(wait_ms);
                if bucket.try_take(now, units) {
                    taken += units;
                }
                let allowed = u128::from(burst) * 1000 + u128::from(per_second) * now.as_millis();
                prop_assert!(u128::from(taken) * 1000 <= allowed);
            }
        }

        #[test]
        fn waiting_as_told_keeps_the_rate(
            per_second in 1_u64..1000,
            burst in 1_u64..1000,
            units in proptest::collection::vec(1_u64..3000, 1..50),
        ) {
            let mut bucket = Bucket::new(Rate { per_second, burst }, Duration::ZERO);
            let mut now = Duration::ZERO;
            let mut taken = 0_u64;
            for units in units {
                taken += units;
                now += bucket.take(now, units);
                let allowed = u128::from(burst) * 1_000_000_000
                    + u128::from(per_second) * now.as_nanos();
                prop_assert!(u128::from(taken) * 1_000_000_000 <= allowed);
            }
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_go_back_in_time() {
        let rate = Rate { per_second: u64::MAX, burst: u64::MAX };
        let mut bucket = Bucket::new(rate, Duration::from_secs(9));
        assert!(bucket.try_take(Duration::from_secs(1), u64::MAX));
        assert!(!bucket.try_take(Duration::from_secs(9), 1));
        assert!(bucket.try_take(Duration::MAX, 1));
        let mut slow = Bucket::new(Rate { per_second: 0, burst: 0 }, Duration::ZERO);
        assert_eq!(
            slow.take(Duration::ZERO, u64::MAX),
            Duration::MAX.min(Duration::from_nanos(u64::MAX))
        );
        assert!(!slow.is_full(Duration::from_secs(5)));
    }
}
