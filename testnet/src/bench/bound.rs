//! The least that any protocol has to say, from the number of differences that are possible, and
//! the integer logarithm that it takes.
//!
//! Which d of n authors differ is one of C(n, d) possibilities; of those d, which differ in which
//! way is one of d! / (k₁! k₂! …) for the numbers kᵢ of the mix; and each that differs on one side
//! only does so on one of two sides. The logarithm of their product to base 2 is a number of bits
//! that no protocol can stay below on average. The content of the items is not in it: it travels
//! as items.

use super::difference::{Kind, Mix};
use std::collections::BTreeMap;

/// Fractional bits of [`log2`].
pub const LOG2_BITS: u32 = 20;

/// The logarithm of `x` to base 2 in units of 2⁻²⁰, rounded down; of 0, 0.
pub fn log2(x: u64) -> u64 {
    let Some(whole) = x.checked_ilog2() else { return 0 };
    // The mantissa in [1, 2) with 63 fractional bits; squaring it gives one bit at a time.
    let mut mantissa = x << (63 - whole);
    let mut log = u64::from(whole);
    for _ in 0..LOG2_BITS {
        let square = u128::from(mantissa) * u128::from(mantissa);
        let carry = u64::from(square >> 127 != 0);
        mantissa = u64::try_from(square >> (63 + carry)).unwrap_or(u64::MAX);
        log = log << 1 | carry;
    }
    log
}

/// Bytes that the differences of that kind take at least, rounded up.
pub fn minimum_bytes(authors: u64, difference: u64, mix: Mix) -> u64 {
    let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
    for at in 0..usize::try_from(difference).unwrap_or(usize::MAX) {
        *kinds.entry(mix.kind(at)).or_default() += 1;
    }
    let ways = kinds
        .values()
        .fold(log2_factorial(difference), |sum, count| sum.saturating_sub(log2_factorial(*count)));
    let both = kinds.get(&Kind::Both).copied().unwrap_or(0);
    let sides = (difference - both) << LOG2_BITS;
    (log2_choose(authors, difference) + ways + sides).div_ceil(8 << LOG2_BITS)
}

fn log2_choose(n: u64, k: u64) -> u64 {
    let above: u64 = (0..k).map(|at| log2(n.saturating_sub(at))).sum();
    above.saturating_sub(log2_factorial(k))
}

fn log2_factorial(n: u64) -> u64 {
    (1..=n).map(log2).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_the_book() {
        assert_eq!([0, 1, 2, 1 << 40].map(log2), [0, 0, 1 << 20, 40 << 20]);
        // log2(10) = 3.321928094…
        assert_eq!((log2(10) * 1_000_000) >> 20, 3_321_928);
        assert_eq!(log2(u64::MAX) >> 20, 63);
    }

    #[test]
    fn the_minimum_is_that_of_small_cases() {
        assert_eq!(minimum_bytes(100_000, 0, Mix::Mixed), 0);
        // One of 256, on one of two sides: 9 bits.
        assert_eq!(minimum_bytes(256, 1, Mix::One), 2);
        // C(100 000, 10) is 144.3 bits, and 10 sides.
        assert_eq!(minimum_bytes(100_000, 10, Mix::Three), 20);
        // The same, 10! / (5! 3! 2!) = 2 520 ways (11.3 bits), and 5 sides.
        assert_eq!(minimum_bytes(100_000, 10, Mix::Mixed), 21);
    }
}
