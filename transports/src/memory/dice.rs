//! The network's luck: a stream of numbers that its seed fixes.
//!
//! BLAKE3 in extendable output mode: the same on every machine, and good enough to make keys from.

/// A repeatable source of choices.
#[derive(Debug)]
pub(super) struct Dice {
    reader: blake3::OutputReader,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("hundi 2026 memory network v1");
        hasher.update(&seed.to_le_bytes());
        Dice { reader: hasher.finalize_xof() }
    }

    /// Fresh bytes, as a key or as entropy.
    pub(super) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.reader.fill(&mut bytes);
        bytes
    }

    /// A number below `bound`; 0 if there is none. The bias is below one in 2^32 for the bounds
    /// that occur here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.reader.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(bound).unwrap_or(0)
    }

    /// True `share` times of 1,000.
    pub(super) fn per_mille(&mut self, share: u16) -> bool {
        share > 0 && self.below(1_000) < u64::from(share)
    }
}
