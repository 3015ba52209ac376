//! A sketch of a set: from the sketches of both sides follows roughly how many subjects differ, so
//! that symbols can be sent in ranges that decode on their own.
//!
//! Subjects fall into levels, half of them into the first, a quarter into the second, and so on,
//! and within a level into one of 32 cells, which sum their states. On a level with about as many
//! differences as cells, the share of cells that are equal tells how many there are (linear
//! counting: Whang, Vander-Zanden and Taylor, 1990); levels as in Flajolet and Martin, 1985.

use super::symbols::{Element, mix};

const LEVELS: usize = 14;
const CELLS: usize = 32;
/// Bytes of a sketch.
pub(super) const SKETCH_BYTES: usize = LEVELS * CELLS;

/// Fewer equal cells than this say too little.
const EQUAL_MIN: usize = 8;

/// `CELLS · ln(CELLS / equal)` in sixteenths, for 8 and more equal cells.
const COUNTS: [u32; CELLS - EQUAL_MIN + 1] = [
    710, 649, 596, 547, 502, 461, 423, 388, 355, 324, 295, 267, 241, 216, 192, 169, 147, 126, 106,
    87, 68, 50, 33, 16, 0,
];

/// The sums of one set.
pub(super) type Sketch = [u8; SKETCH_BYTES];

/// Adds up a sketch.
pub(super) fn sketch(elements: impl Iterator<Item = Element>) -> Sketch {
    let mut sums = [0u8; SKETCH_BYTES];
    for Element { author, state } in elements {
        let place = mix(author ^ 0x6b65_7463_6873);
        let level = (place.trailing_zeros() as usize).min(LEVELS - 1);
        let cell = (place >> 59) as usize;
        let sum = &mut sums[level * CELLS + cell];
        *sum = sum.wrapping_add(state as u8);
    }
    sums
}

/// How many subjects differ, roughly.
pub(super) fn estimate(ours: &Sketch, theirs: &Sketch) -> u64 {
    let mut sixteenths = 0;
    for (level, (ours, theirs)) in ours.chunks(CELLS).zip(theirs.chunks(CELLS)).enumerate().rev() {
        let equal = ours.iter().zip(theirs).filter(|(ours, theirs)| ours == theirs).count();
        match equal.checked_sub(EQUAL_MIN).and_then(|at| COUNTS.get(at)) {
            Some(count) => sixteenths += u64::from(*count),
            // What lies above this level is its share 2⁻ˡᵉᵛᵉˡ⁻¹ of all.
            None => return ((sixteenths << (level + 1)) / 16).max(1 << (level + 5)),
        }
    }
    sixteenths / 16
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::sync::field::P;
    use alloc::vec::Vec;

    #[test]
    fn counts_are_the_logarithms() {
        for (at, count) in COUNTS.iter().enumerate() {
            // cells · ln(cells / equal), as a sum of 1/x over small steps: no floats here.
            let (from, to) = ((at + EQUAL_MIN) as u64 * 1000, CELLS as u64 * 1000);
            let sum: u64 = (from..to).map(|x| 512 * 1_000_000_000 / x).sum();
            let expected = sum / 1_000_000_000;
            assert!(u64::from(*count).abs_diff(expected) <= 1, "{at}: {count} {expected}");
        }
    }

    #[test]
    fn the_estimate_is_near() {
        for differ in [0u64, 1, 5, 30, 100, 1_000, 10_000, 100_000] {
            let mut errors: Vec<u64> = (0..20)
                .map(|seed| {
                    let of = |at: u64| {
                        let value = mix(seed << 32 | at);
                        Element { author: 1 + value % (P - 1), state: (value >> 32) as u32 | 1 }
                    };
                    let common = 1_000_000..1_002_000u64;
                    let ours = sketch(common.clone().chain(0..differ).map(of));
                    let theirs = sketch(common.map(of));
                    let estimated = estimate(&ours, &theirs);
                    estimated.abs_diff(differ) * 100 / differ.max(1)
                })
                .collect();
            errors.sort_unstable();
            std::println!("{differ} differ: error p50 {} %, p95 {} %", errors[10], errors[18]);
            assert!(errors[18] <= 60, "{differ}: {errors:?}");
        }
    }
}
