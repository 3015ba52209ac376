//! Rateless reconciliation: symbols that tell two sets of subjects apart, however many differ.
//!
//! A set is a map from *author tags* to *state tags*. Symbol `n` sums up those subjects whose tag
//! maps to `n`; the difference of both sides' symbols sums up the subjects that differ, all others
//! cancel. A symbol in which one subject is left names it, and taking it out of the others leaves
//! more such symbols. Some 1.4 to 1.7 symbols for each differing subject are enough, and nobody
//! has to know their number before: more symbols are always to be had.
//!
//! The mapping and the peeling are those of Yang, Gilad and Alizadeh, "Practical rateless set
//! reconciliation" (2024). What is summed is ours: a subject adds its state and the product of tag
//! and state, modulo a prime. The two halves of one change so pair up in one difference, where a
//! set of (tag, state) pairs would have two.

use super::field::{P, add, inverse, mul, sub};
use alloc::vec::Vec;

/// Bytes of one symbol.
pub(super) const SYMBOL_BYTES: usize = 12;
/// Symbols of one stream at most: beyond, ranges are compared.
pub(super) const STREAM_SYMBOLS_MAX: usize = 1024;

/// One subject as a session names it: `author` in 1..P, `state` in 1..2³².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) author: u64,
    pub(super) state: u32,
}

/// A sum over subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Symbol {
    /// Σ state, modulo P.
    state: u64,
    /// Σ author · state, modulo P.
    product: u64,
    /// Σ check(author) · state, modulo 2¹⁶.
    check: u16,
}

impl Symbol {
    fn add(&mut self, author: u64, state: u64, check: u16) {
        self.state = add(self.state, state);
        self.product = add(self.product, mul(author, state));
        self.check = self.check.wrapping_add(check);
    }

    fn minus(self, other: &Self) -> Self {
        Self {
            state: sub(self.state, other.state),
            product: sub(self.product, other.product),
            check: self.check.wrapping_sub(other.check),
        }
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// The one subject that this difference consists of, if it is one.
    fn single(&self) -> Option<Difference> {
        if self.state == 0 || self.product == 0 {
            return None;
        }
        // States are below 2³², so their differences are small on either side of zero.
        let delta = if self.state > P / 2 { -((P - self.state) as i64) } else { self.state as i64 };
        if delta.unsigned_abs() > u64::from(u32::MAX) {
            return None;
        }
        let author = mul(self.product, inverse(self.state));
        let holds = check(author).wrapping_mul(delta as u16) == self.check;
        holds.then_some(Difference { author, delta })
    }

    /// The symbol's bytes.
    pub(super) fn to_bytes(self) -> [u8; SYMBOL_BYTES] {
        let (state, product) = (self.state.to_le_bytes(), self.product.to_le_bytes());
        let check = self.check.to_le_bytes();
        core::array::from_fn(|at| match at {
            0..5 => state[at],
            5..10 => product[at - 5],
            _ => check[at - 10],
        })
    }

    /// The symbol of these bytes, if they are the encoding of one.
    pub(super) fn from_bytes(bytes: &[u8; SYMBOL_BYTES]) -> Option<Self> {
        let five = |from: usize| {
            let wide = core::array::from_fn(|at| if at < 5 { bytes[from + at] } else { 0 });
            Some(u64::from_le_bytes(wide)).filter(|sum| *sum < P)
        };
        Some(Self {
            state: five(0)?,
            product: five(5)?,
            check: u16::from_le_bytes([bytes[10], bytes[11]]),
        })
    }
}

/// A subject that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) author: u64,
    /// Their state less ours; a side that does not hold the subject has state 0.
    pub(super) delta: i64,
}

pub(super) fn mix(value: u64) -> u64 {
    // The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

fn check(author: u64) -> u16 {
    mix(author) as u16 | 1
}

/// The symbols that a subject maps to, ascending from 0: `n` with a chance of 1 / (1 + n/2).
/// Integers only, so that every machine has the same. The first 32 are drawn one by one, which is
/// where nearly all work is; behind them the distance to the next is drawn.
#[derive(Clone, Copy, Debug)]
struct Places {
    seed: u64,
    near: u32,
    last: u64,
}

impl Places {
    fn of(author: u64) -> Self {
        let mut places = Self { seed: author, near: 0, last: 31 };
        for word in 0..8 {
            let draws = places.draw();
            for lane in 0..4 {
                let place = 4 * word + lane;
                let draw = (draws >> (16 * lane)) as u32 & 0xffff;
                // draw / 2¹⁶ < 2 / (place + 2)
                places.near |= u32::from(draw * (place + 2) < 1 << 17) << place;
            }
        }
        places
    }

    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.seed)
    }
}

impl Iterator for Places {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.near != 0 {
            let place = self.near.trailing_zeros();
            self.near &= self.near - 1;
            return usize::try_from(place).ok();
        }
        // u in (0, 1] in steps of 2⁻³²; the distance is (n + 3/2) · (1/√u − 1), rounded up.
        let u = (self.draw() >> 32) + 1;
        let root = u.checked_mul(1 << 32).map_or(1 << 32, u64::isqrt);
        let inverse_root = (1u64 << 48) / root;
        let distance = ((2 * self.last + 3) * (inverse_root - (1 << 16))).div_ceil(1 << 17);
        self.last = self.last.saturating_add(distance.max(1)).min(u64::from(u32::MAX));
        usize::try_from(self.last).ok()
    }
}

/// Adds up the symbols `from` and following, as many as the slice has.
pub(super) fn sum(elements: impl Iterator<Item = Element>, from: usize, symbols: &mut [Symbol]) {
    let end = from + symbols.len();
    for Element { author, state } in elements {
        let check = check(author).wrapping_mul(state as u16);
        for place in Places::of(author).take_while(|place| *place < end) {
            if let Some(symbol) = place.checked_sub(from).and_then(|at| symbols.get_mut(at)) {
                symbol.add(author, u64::from(state), check);
            }
        }
    }
}

/// Finds what differs from the difference of both sides' symbols.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoder {
    symbols: Vec<Symbol>,
    found: Vec<Difference>,
    failed: bool,
}

impl Decoder {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Takes the next symbols of both sides, as many of each.
    pub(super) fn extend(&mut self, theirs: &[Symbol], ours: &[Symbol]) {
        let from = self.symbols.len();
        self.symbols.extend(theirs.iter().zip(ours).map(|(theirs, ours)| theirs.minus(ours)));
        for at in 0..self.found.len() {
            self.take_out(self.found[at], from, None);
        }
        self.peel();
    }

    /// What differs, once all of it is known.
    pub(super) fn differences(&self) -> Option<&[Difference]> {
        let all = !self.failed && !self.symbols.is_empty();
        (all && self.symbols.iter().all(Symbol::is_zero)).then_some(&self.found)
    }

    /// How many differences have come out so far.
    pub(super) fn found(&self) -> usize {
        self.found.len()
    }

    fn peel(&mut self) {
        let mut look_at: Vec<usize> = (0..self.symbols.len()).collect();
        while let Some(at) = look_at.pop() {
            let Some(one) = self.symbols.get(at).and_then(Symbol::single) else { continue };
            if !Places::of(one.author).take_while(|place| *place <= at).any(|place| place == at) {
                continue;
            }
            // Of honest symbols no more than their number ever comes out.
            if self.found.len() >= self.symbols.len() {
                self.failed = true;
                return;
            }
            self.found.push(one);
            self.take_out(one, 0, Some(&mut look_at));
        }
    }

    /// Takes a difference out of the symbols from `from` on, and notes which have changed.
    fn take_out(&mut self, one: Difference, from: usize, mut changed: Option<&mut Vec<usize>>) {
        let Difference { author, delta } = one;
        let whole = delta.unsigned_abs();
        let check = check(author).wrapping_mul(delta as u16);
        let state = if delta < 0 { P - whole } else { whole };
        let less = Symbol { state, product: mul(author, state), check };
        let end = self.symbols.len();
        for place in Places::of(author).take_while(|place| *place < end).filter(|at| *at >= from) {
            self.symbols[place] = self.symbols[place].minus(&less);
            if let Some(changed) = &mut changed {
                changed.push(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use alloc::collections::BTreeMap;

    /// `count` subjects, other ones for every seed.
    fn elements(seed: u64, count: u64) -> Vec<Element> {
        (0..count)
            .map(|at| {
                let value = mix(seed.wrapping_mul(0x1234_5678_9abc_def1).wrapping_add(at));
                let author = 1 + mix(value) % (P - 1);
                Element { author, state: (value as u32).max(1) }
            })
            .collect()
    }

    /// Symbols that it takes to find the difference, and the difference.
    fn decode(ours: &[Element], theirs: &[Element]) -> (usize, BTreeMap<u64, i64>) {
        let mut decoder = Decoder::default();
        loop {
            let (mut a, mut b) = ([Symbol::default()], [Symbol::default()]);
            sum(theirs.iter().copied(), decoder.len(), &mut a);
            sum(ours.iter().copied(), decoder.len(), &mut b);
            decoder.extend(&a, &b);
            if let Some(found) = decoder.differences() {
                let found = found.iter().map(|one| (one.author, one.delta)).collect();
                return (decoder.len(), found);
            }
            assert!(decoder.len() < 20_000);
        }
    }

    #[test]
    fn a_change_on_both_sides_is_one_difference() {
        for seed in 0..50 {
            let mut ours = elements(seed, 300);
            let mut theirs = ours.clone();
            for one in &mut theirs[..5] {
                one.state ^= 0x55;
            }
            theirs.truncate(298);
            ours.drain(5..8);
            let (symbols, found) = decode(&ours, &theirs);
            assert_eq!(found.len(), 5 + 2 + 3);
            assert!(symbols < 60);
            let ours: BTreeMap<u64, u32> = ours.iter().map(|one| (one.author, one.state)).collect();
            let theirs: BTreeMap<u64, u32> =
                theirs.iter().map(|one| (one.author, one.state)).collect();
            for (author, delta) in found {
                let of =
                    |side: &BTreeMap<u64, u32>| i64::from(side.get(&author).copied().unwrap_or(0));
                assert_eq!(delta, of(&theirs) - of(&ours));
            }
        }
    }

    /// What the numbers of symbols in `plan` rest on.
    #[test]
    fn few_symbols_are_enough() {
        for (count, p95_max) in [(1, 1), (10, 28), (20, 48), (100, 170)] {
            let mut needed: Vec<usize> = (0..400)
                .map(|seed| {
                    let (symbols, found) = decode(&[], &elements(seed, count));
                    assert_eq!(found.len() as u64, count);
                    symbols
                })
                .collect();
            needed.sort_unstable();
            let mean = needed.iter().sum::<usize>() * 10 / needed.len();
            std::println!(
                "{count} differ: {}.{} symbols on average, p50 {}, p80 {}, p95 {}, p99 {}",
                mean / 10,
                mean % 10,
                needed[200],
                needed[320],
                needed[380],
                needed[396]
            );
            assert!(needed[380] <= p95_max);
        }
    }

    #[test]
    fn a_place_has_the_chance_that_it_should_have() {
        let mut hits = [0u32; 64];
        let all = elements(7, 20_000);
        for one in &all {
            Places::of(one.author).take_while(|at| *at < 64).for_each(|at| hits[at] += 1);
        }
        for (at, hits) in hits.iter().enumerate() {
            let expected = 20_000 * 2 / (at as u32 + 2);
            assert!(hits.abs_diff(expected) < expected / 8 + 60, "{at}: {hits} of {expected}");
        }
    }

    /// A draw of exactly 1, which leaves no root in 64 bits: the peer chooses tags, and there are
    /// many such.
    #[test]
    fn the_highest_draw_steps_by_one() {
        let highest = |author: &u64| {
            let seed = author.wrapping_add(9u64.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            mix(seed) >> 32 == u64::from(u32::MAX)
        };
        // What `mix` takes to such a draw, nine steps back: found, not searched for at random.
        let author = (0..u64::from(u32::MAX))
            .map(|low| unmix(u64::from(u32::MAX) << 32 | low))
            .map(|seed| seed.wrapping_sub(9u64.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .find(|author| (1..P).contains(author))
            .unwrap();
        assert!(highest(&author));
        assert_eq!(Places::of(author).find(|place| *place > 31), Some(32));
    }

    /// The inverse of `mix`.
    fn unmix(value: u64) -> u64 {
        let undo = |value: u64, by: u32| {
            let mut all = value;
            for _ in 0..64 / by {
                all = value ^ all >> by;
            }
            all
        };
        let value = undo(value, 31).wrapping_mul(inverse_of(0x94d0_49bb_1331_11eb));
        let value = undo(value, 27).wrapping_mul(inverse_of(0xbf58_476d_1ce4_e5b9));
        undo(value, 30)
    }

    /// The inverse of an odd number modulo 2⁶⁴ (Newton).
    fn inverse_of(odd: u64) -> u64 {
        (0..6).fold(odd, |inverse, _| {
            inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)))
        })
    }

    #[test]
    fn bytes_are_canonical() {
        let mut symbols = [Symbol::default(); 40];
        sum(elements(3, 1_000).into_iter(), 0, &mut symbols);
        for symbol in symbols {
            assert_eq!(Symbol::from_bytes(&symbol.to_bytes()), Some(symbol));
        }
        let mut bytes = [0; SYMBOL_BYTES];
        bytes[..5].copy_from_slice(&P.to_le_bytes()[..5]);
        assert_eq!(Symbol::from_bytes(&bytes), None);
    }

    #[test]
    fn nonsense_ends_without_a_result() {
        for seed in 0..200 {
            let mut decoder = Decoder::default();
            let nonsense: Vec<Symbol> = elements(seed, 64)
                .iter()
                .map(|one| Symbol {
                    state: one.author,
                    product: mix(one.author) % P,
                    check: one.state as u16,
                })
                .collect();
            decoder.extend(&nonsense, &[Symbol::default(); 64]);
            assert!(decoder.differences().is_none());
        }
        // One and the same subject with one and the same sign in every symbol never comes out twice.
        let mut liar = Symbol::default();
        liar.add(5, 7, check(5).wrapping_mul(7));
        let mut decoder = Decoder::default();
        decoder.extend(&[liar; 64], &[Symbol::default(); 64]);
        assert!(decoder.differences().is_none());
    }
}
