//! The sections "Symbols" and "Sketches": what a set of (author tag, state tag) pairs is summed up
//! to, what two sides' sums tell of their difference, and how large it is about.

use crate::read::{Reader, Refused};
use std::collections::BTreeSet;

/// The modulus of sums.
pub const P: u64 = (1 << 40) - 87;
/// Symbols of one stream.
pub const SYMBOLS_MAX: usize = 1024;
/// Bytes of a sketch.
pub const SKETCH_BYTES: usize = LEVELS * CELLS;

const LEVELS: usize = 14;
const CELLS: usize = 32;

/// An author tag and a state tag.
pub type Pair = (u64, u32);

/// One sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // As the document names them.
pub struct Symbol {
    pub states: u64,
    pub products: u64,
    pub checks: u16,
}

impl Symbol {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let (states, products) = (reader.narrow(5)?, reader.narrow(5)?);
        if states >= P || products >= P {
            return Err(Refused::Canonical);
        }
        Ok(Self { states, products, checks: reader.u16()? })
    }

    /// Reads the 12 bytes of a symbol.
    ///
    /// # Errors
    /// When they are not one.
    pub fn from_bytes(bytes: &[u8; 12]) -> Result<Self, Refused> {
        Self::read(&mut Reader::plain(bytes))
    }

    /// Adds δ times what a tag adds.
    fn add(&mut self, author: u64, delta: i64) {
        let residue = residue(delta);
        self.states = (self.states + residue) % P;
        self.products = (self.products + product(author, residue)) % P;
        // Modulo 2^16 a negative difference is its two's complement.
        self.checks = self.checks.wrapping_add(check(author).wrapping_mul((delta & 0xffff) as u16));
    }

    /// The difference that this symbol alone consists of, were it number `at`.
    fn names(&self, at: usize) -> Option<(u64, i64)> {
        if self.states == 0 || self.products == 0 {
            return None;
        }
        let (above, below) = (self.states, P - self.states);
        let delta =
            if above <= below { i64::try_from(above).ok()? } else { -i64::try_from(below).ok()? };
        let author = product(self.products, power(self.states, P - 2));
        let fits = delta.unsigned_abs() < 1 << 32
            && check(author).wrapping_mul((delta & 0xffff) as u16) == self.checks
            && places(author, at + 1).last() == Some(&at);
        fits.then_some((author, delta))
    }
}

fn residue(delta: i64) -> u64 {
    let whole = delta.unsigned_abs() % P;
    if delta < 0 && whole > 0 { P - whole } else { whole }
}

fn product(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b) % u128::from(P);
    u64::try_from(wide).unwrap_or_default()
}

fn power(base: u64, exponent: u64) -> u64 {
    (0..40).rev().fold(1, |result, bit| {
        let square = product(result, result);
        if exponent >> bit & 1 == 1 { product(square, base) } else { square }
    })
}

/// The function m of the document.
fn mixed(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The function c of the document.
pub fn check(author: u64) -> u16 {
    (mixed(author) & 0xffff) as u16 | 1
}

/// The numbers below `end` of the symbols that an author tag maps to, ascending.
pub fn places(author: u64, end: usize) -> Vec<usize> {
    let mut seed = author;
    let mut draw = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(seed)
    };
    let mut places = Vec::new();
    for first in (0..32).step_by(4) {
        let draws = draw();
        for (place, shift) in (first..).zip([0, 16, 32, 48]) {
            if (draws >> shift & 0xffff) * (place + 2) < 1 << 17 {
                places.push(place as usize);
            }
        }
    }
    let mut at = 31u128;
    while at < end as u128 {
        let u = u128::from(draw() >> 32) + 1;
        let w = (1u128 << 48) / (u << 32).isqrt() - (1 << 16);
        at += ((2 * at + 3) * w).div_ceil(1 << 17).max(1);
        places.push(at as usize);
    }
    places.retain(|place| *place < end);
    places
}

/// The first symbols of a set.
pub fn symbols(of: &[Pair], count: usize) -> Vec<Symbol> {
    let mut symbols = vec![Symbol::default(); count];
    for (author, state) in of {
        for at in places(*author, count) {
            symbols[at].add(*author, i64::from(*state));
        }
    }
    symbols
}

/// What differs between two sets, by as many symbols of each: author tags with their state less
/// ours. None if the symbols do not tell.
pub fn differences(theirs: &[Symbol], ours: &[Symbol]) -> Option<BTreeSet<(u64, i64)>> {
    let mut left: Vec<Symbol> = theirs
        .iter()
        .zip(ours)
        .map(|(theirs, ours)| Symbol {
            states: (theirs.states + P - ours.states) % P,
            products: (theirs.products + P - ours.products) % P,
            checks: theirs.checks.wrapping_sub(ours.checks),
        })
        .collect();
    let (mut found, count) = (Vec::new(), left.len());
    while let Some((author, delta)) = (0..count).find_map(|at| left[at].names(at)) {
        if found.len() >= count {
            return None;
        }
        for at in places(author, count) {
            left[at].add(author, -delta);
        }
        found.push((author, delta));
    }
    left.iter().all(|symbol| *symbol == Symbol::default()).then(|| found.into_iter().collect())
}

/// The sketch of a set.
pub fn sketch(of: &[Pair]) -> Vec<u8> {
    let mut cells = vec![0u8; SKETCH_BYTES];
    for (author, state) in of {
        let place = mixed(author ^ 0x6b65_7463_6873);
        let level = (place.trailing_zeros() as usize).min(LEVELS - 1);
        let cell = &mut cells[level * CELLS + (place >> 59) as usize];
        *cell = cell.wrapping_add((state & 0xff) as u8);
    }
    cells
}

/// C(8) to C(32).
const COUNTS: [u64; 25] = [
    710, 649, 596, 547, 502, 461, 423, 388, 355, 324, 295, 267, 241, // 8 to 20
    216, 192, 169, 147, 126, 106, 87, 68, 50, 33, 16, 0, // 21 to 32
];

/// About how many differ, by the sketches of both sides.
pub fn estimate(ours: &[u8], theirs: &[u8]) -> u64 {
    let mut total = 0;
    for level in (0..LEVELS).rev() {
        let cells = level * CELLS..(level + 1) * CELLS;
        let equal = cells.filter(|at| ours[*at] == theirs[*at]).count();
        if equal < 8 {
            return (total * (1 << (level + 1)) / 16).max(1 << (level + 5));
        }
        total += COUNTS[equal - 8];
    }
    total / 16
}
