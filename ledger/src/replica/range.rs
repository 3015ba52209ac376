//! Ranges of authors: a set of authors that two nodes can name in a few bytes, so that what they
//! compare may be a part of the core.
//!
//! The *position* of an author is the first eight bytes of its public key, as a big-endian number.
//! Keys are as good as random, so ranges of one depth hold about as many authors each; whoever
//! grinds keys can crowd one range, and has to enrol each of them with a bank.

use super::Replica;
use crate::id::{AuthorId, BankNumber, Hash, PublicKey};

/// All positions whose highest `bits` bits are those of `prefix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    prefix: u64,
    bits: u8,
}

impl Range {
    /// Every position.
    pub const ALL: Self = Self { bits: 0, prefix: 0 };

    /// The positions that share their highest `bits` bits with `prefix`; none where `bits` is above
    /// 64 or another bit of `prefix` is set, so that one range has one spelling.
    pub fn new(bits: u8, prefix: u64) -> Option<Self> {
        let range = Self { bits, prefix };
        (bits <= 64 && prefix & range.below() == 0).then_some(range)
    }

    /// How many of the highest bits are given, 0 to 64.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// The given bits, the others 0: the lowest position of the range.
    pub fn prefix(&self) -> u64 {
        self.prefix
    }

    /// The highest position of the range.
    pub fn last(&self) -> u64 {
        self.prefix | self.below()
    }

    /// Whether a position lies in the range.
    pub fn contains(&self, position: u64) -> bool {
        (self.prefix..=self.last()).contains(&position)
    }

    /// The bits that are not given, all set.
    fn below(&self) -> u64 {
        u64::MAX.checked_shr(u32::from(self.bits)).unwrap_or(0)
    }
}

/// Where an author stands among all: the first eight bytes of its key, big-endian.
pub fn position(author: &AuthorId) -> u64 {
    author.key.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl Replica {
    /// The elements of the core's authors whose position lies in `range`, by bank and position.
    /// Costs what is in the range, and a step per bank of the network.
    pub fn authors_in(&self, range: Range) -> impl Iterator<Item = (&AuthorId, &Hash)> {
        let banks = self.trust.network().definition().banks.iter().map(|bank| bank.number);
        banks.flat_map(move |bank| {
            let first = key_at(bank, range.prefix, 0);
            let last = key_at(bank, range.last(), 0xff);
            let slots = self.slots.range(first..=last);
            slots.filter_map(|(author, slot)| Some((author, slot.element.as_ref()?)))
        })
    }
}

fn key_at(bank: BankNumber, position: u64, fill: u8) -> AuthorId {
    let mut key = [fill; 32];
    key[..8].copy_from_slice(&position.to_be_bytes());
    AuthorId { bank, key: PublicKey(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_one_spelling_and_its_halves_are_the_whole() {
        assert_eq!(Range::new(0, 0), Some(Range::ALL));
        assert!(Range::new(65, 0).is_none() && Range::new(3, 1).is_none());
        assert!(Range::new(0, 1 << 63).is_none());
        assert!(Range::ALL.contains(0) && Range::ALL.contains(u64::MAX));
        let one = Range::new(64, 7).unwrap();
        assert!(one.contains(7) && !one.contains(6) && !one.contains(8));
        let halves = [0, 1 << 63].map(|prefix| Range::new(1, prefix).unwrap());
        for position in [0, 1, (1 << 63) - 1, 1 << 63, u64::MAX] {
            let inside = halves.iter().filter(|half| half.contains(position)).count();
            assert_eq!(inside, 1, "{position}");
        }
    }

    #[test]
    fn a_position_is_the_start_of_the_key() {
        let author = key_at(BankNumber(1), 0x0102_0304_0506_0708, 0xff);
        assert_eq!(author.key.0[..9], [1, 2, 3, 4, 5, 6, 7, 8, 0xff]);
        assert_eq!(position(&author), 0x0102_0304_0506_0708);
    }
}
