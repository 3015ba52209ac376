//! The accumulator: a homomorphic hash of a set, so that adding and removing one element costs the
//! same at any size.
//!
//! LtHash (Bellare and Micciancio, "A new paradigm for collision-free hashing", 1997; the 16-bit ×
//! 1024 parameters of Lewi et al., "Securing update propagation with homomorphic hashing", 2019):
//! the element-wise sum of 1,024 16-bit lanes of an extendable hash of each element. A narrow sum
//! would let somebody who chooses elements build two sets of equal sum.

use crate::id::{Hash, NetworkId, hash_in};
use alloc::boxed::Box;
use alloc::vec::Vec;

const LANES: usize = 1024;

/// The wide sum of a set of elements.
#[derive(Clone, PartialEq, Eq)]
pub struct Accumulator(Box<[u16; LANES]>);

impl Default for Accumulator {
    fn default() -> Self {
        Self(Box::new([0; LANES]))
    }
}

impl core::fmt::Debug for Accumulator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Accumulator")
    }
}

impl Accumulator {
    /// Takes `old` out of the set and puts `new` in.
    pub fn replace(&mut self, old: Option<&Hash>, new: Option<&Hash>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.combine(old, u16::wrapping_sub);
        }
        if let Some(new) = new {
            self.combine(new, u16::wrapping_add);
        }
    }

    fn combine(&mut self, element: &Hash, with: fn(u16, u16) -> u16) {
        let mut bytes = [0u8; 2 * LANES];
        blake3::Hasher::new_derive_key("hundi v1 accumulator lane")
            .update(&element.0)
            .finalize_xof()
            .fill(&mut bytes);
        for (lane, pair) in self.0.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = with(*lane, u16::from_le_bytes(*pair));
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }

    /// 32 bytes that name the set.
    pub fn digest(&self, network: &NetworkId) -> Hash {
        hash_in("hundi v1 accumulator digest", network, &[&self.bytes()])
    }

    /// 8 bytes that name the set under a key.
    pub fn fingerprint(&self, key: &[u8; 32]) -> [u8; 8] {
        let hash = blake3::keyed_hash(key, &self.bytes());
        core::array::from_fn(|at| hash.as_bytes()[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        let network = NetworkId([0; 32]);
        let elements: Vec<Hash> = (0..5u8).map(|at| Hash([at; 32])).collect();
        let (mut a, mut b) = (Accumulator::default(), Accumulator::default());
        elements.iter().for_each(|element| a.replace(None, Some(element)));
        elements.iter().rev().for_each(|element| b.replace(None, Some(element)));
        assert_eq!(a.digest(&network), b.digest(&network));
        let full = a.digest(&network);
        a.replace(Some(&elements[2]), Some(&Hash([9; 32])));
        assert_ne!(a.digest(&network), full);
        a.replace(Some(&Hash([9; 32])), Some(&elements[2]));
        assert_eq!(a.digest(&network), full);
        elements.iter().for_each(|element| a.replace(Some(element), None));
        assert_eq!(a, Accumulator::default());
    }
}
