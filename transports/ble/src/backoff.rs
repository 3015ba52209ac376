//! How long to wait before something that failed is tried again: doubled each time, up to a bound.

use std::time::Duration;

/// A wait that grows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first_ms: u64,
    ms_max: u64,
    next_ms: u64,
}

impl Backoff {
    pub(crate) fn new(first_ms: u64, ms_max: u64) -> Self {
        Backoff { first_ms, ms_max, next_ms: first_ms }
    }

    /// The wait that is due now; the next one is twice as long.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.next_ms.min(self.ms_max);
        self.next_ms = wait.saturating_mul(2);
        Duration::from_millis(wait)
    }

    /// It worked: begin with the shortest wait again.
    pub(crate) fn reset(&mut self) {
        self.next_ms = self.first_ms;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::new(500, 8_000);
        let waits: Vec<u128> = (0..7).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
        backoff.reset();
        assert_eq!(backoff.next().as_millis(), 500);
    }

    proptest! {
        #[test]
        fn there_is_always_a_wait_and_never_one_beyond_the_bound(
            first_ms in 1_u64.., ms_max in 1_u64.., tries in 0_usize..200,
        ) {
            let mut backoff = Backoff::new(first_ms, ms_max);
            for _ in 0..tries {
                let wait = backoff.next().as_millis();
                prop_assert!(wait >= 1 && wait <= u128::from(ms_max));
            }
        }
    }
}
