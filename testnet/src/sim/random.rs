//! Randomness by purpose. Every part of a run draws from a stream of its own that follows from the
//! seed, so that switching one part off does not shift the others: that is what makes a failing
//! run shrinkable.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const CONTEXT: &str = "hundi testnet simulator stream v1";

/// What a stream is for. `u32`s number the one whose stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The mix itself: how many nodes, which faults, which adversaries.
    Mix,
    /// Where people live and how they move.
    Movement(u32),
    /// Who meets whom and what gets lost on the way.
    Radio,
    /// How long a disk takes and what it keeps at a crash.
    Disk(u32),
    /// Who pays whom.
    People,
    /// When a kind of fault strikes, and whom.
    Fault(u32),
    /// What an adversary does.
    Adversary(u32),
    /// The entropy that a device or bank is given.
    Entropy(u32),
    /// Keys, by number.
    Key(u32),
    /// Who hears whom in an experiment, and who pays whom.
    Graph,
}

impl Purpose {
    fn bytes(self) -> [u8; 5] {
        let (tag, number) = match self {
            Purpose::Mix => (0, 0),
            Purpose::Movement(number) => (1, number),
            Purpose::Radio => (2, 0),
            Purpose::Disk(number) => (3, number),
            Purpose::People => (4, 0),
            Purpose::Fault(number) => (5, number),
            Purpose::Adversary(number) => (6, number),
            Purpose::Entropy(number) => (7, number),
            Purpose::Key(number) => (8, number),
            Purpose::Graph => (9, 0),
        };
        let [a, b, c, d] = u32::to_le_bytes(number);
        [tag, a, b, c, d]
    }
}

/// One stream.
#[derive(Clone, Debug)]
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of a purpose under a seed.
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&seed.to_le_bytes()).update(&purpose.bytes());
        Self(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// A number below `bound`; 0 where the bound is 0. The bias of a remainder is below one in a
    /// billion for every bound that is used here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let drawn = self.0.next_u64();
        if bound == 0 { 0 } else { drawn % bound }
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in so many of a hundred draws.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these; none where there are none.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len() as u64) as usize).copied()
    }

    /// Fresh bytes.
    pub(super) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_follow_from_seed_and_purpose_alone() {
        let first = |seed, purpose| Dice::new(seed, purpose).bytes();
        assert_eq!(first(1, Purpose::Radio), first(1, Purpose::Radio));
        assert_ne!(first(1, Purpose::Radio), first(2, Purpose::Radio));
        assert_ne!(first(1, Purpose::Radio), first(1, Purpose::People));
        assert_ne!(first(1, Purpose::Disk(0)), first(1, Purpose::Disk(1)));
    }
}
