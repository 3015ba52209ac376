//! Positions: where an author lies on a line that is the same for everybody, and ranges of it.
//!
//! Sessions cut large sets into ranges, and a phone with a small budget keeps one range only (its
//! scope). A position is a hash and not the key itself, so that the authors of every bank spread
//! evenly; it is public, so an author that tries many keys may choose its place, which gains it
//! nothing but company.

use super::Replica;
use crate::id::{AuthorId, Hash, NetworkId};

/// Gives the positions of authors in one network.
#[derive(Clone, Debug)]
pub struct Positions([u8; 32]);

impl Positions {
    /// Those of a network.
    pub fn new(network: &NetworkId) -> Self {
        Self(blake3::derive_key("hundi v1 position", &network.0))
    }

    /// The position of an author: the first 8 bytes, big-endian, of a keyed hash of bank and key.
    pub fn of(&self, author: &AuthorId) -> u64 {
        let hash = blake3::keyed_hash(&self.0, &author.to_bytes());
        u64::from_be_bytes(core::array::from_fn(|at| hash.as_bytes()[at]))
    }
}

impl Replica {
    /// The elements of the core's authors whose position lies in `range` and in the scope, by
    /// position. Costs what is in the range.
    pub fn authors_in(&self, range: Range) -> impl Iterator<Item = (&AuthorId, &Hash)> {
        self.positioned_in(range).map(|(_, author, element)| (author, element))
    }

    /// [`Replica::authors_in`], with each position.
    pub fn positioned_in(&self, range: Range) -> impl Iterator<Item = (u64, &AuthorId, &Hash)> {
        let slots = range.and(&self.scope).into_iter().flat_map(|range| self.slots.range(range));
        slots.filter_map(|(at, author, slot)| Some((at, author, slot.element.as_ref()?)))
    }

    /// The range of which this replica keeps the core.
    pub fn scope(&self) -> Range {
        self.scope
    }

    /// Whether an author lies outside the scope.
    pub fn is_outside(&self, author: &AuthorId) -> bool {
        self.scope != Range::ALL && !self.scope.contains(self.slots.positions().of(author))
    }

    /// Where authors of this network lie.
    pub fn positions(&self) -> &Positions {
        self.slots.positions()
    }
}

/// All positions whose highest `bits` bits are those of `prefix`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    bits: u8,
    prefix: u64,
}

impl Range {
    /// Every position.
    pub const ALL: Self = Self { bits: 0, prefix: 0 };

    /// The range of a prefix. None if `bits` is above 64 or `prefix` has a bit set below them.
    pub fn new(bits: u8, prefix: u64) -> Option<Self> {
        (bits <= 64 && prefix & low(bits) == 0).then_some(Self { bits, prefix })
    }

    /// The range of that size which holds a position.
    pub fn around(bits: u8, position: u64) -> Self {
        let bits = bits.min(64);
        Self { bits, prefix: position & !low(bits) }
    }

    /// How many bits all positions in it share.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// The first position in it.
    pub fn first(&self) -> u64 {
        self.prefix
    }

    /// The last position in it.
    pub fn last(&self) -> u64 {
        self.prefix | low(self.bits)
    }

    /// Whether a position lies in it.
    pub fn contains(&self, position: u64) -> bool {
        position & !low(self.bits) == self.prefix
    }

    /// What lies in both: the narrower of two nested ranges; of others nothing.
    pub fn and(&self, other: &Self) -> Option<Self> {
        let (wide, narrow) = if self.bits <= other.bits { (self, other) } else { (other, self) };
        wide.contains(narrow.prefix).then_some(*narrow)
    }
}

/// The bits below the highest `bits`, all set.
fn low(bits: u8) -> u64 {
    u64::MAX.checked_shr(u32::from(bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_nest_or_are_apart() {
        let half = Range::new(1, 1 << 63).unwrap();
        let quarter = Range::around(2, u64::MAX);
        assert_eq!(quarter.first(), 3 << 62);
        assert_eq!(Range::ALL.and(&quarter), Some(quarter));
        assert_eq!(quarter.and(&half), Some(quarter));
        assert_eq!(quarter.and(&Range::new(1, 0).unwrap()), None);
        assert!(half.contains(half.last()) && half.contains(half.first()));
        assert!(!half.contains(half.first() - 1));
        let point = Range::around(64, 7);
        assert_eq!((point.first(), point.last()), (7, 7));
        assert_eq!(Range::new(1, 1), None);
        assert_eq!(Range::new(65, 0), None);
        assert_eq!(Range::ALL.last(), u64::MAX);
    }
}
