//! A stream of secrets from one: the caller's 32 bytes, ratcheted, so that what is in memory later
//! tells nothing about the keys of earlier links.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Fresh secrets, one after the other.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Entropy {
    state: [u8; 32],
}

impl core::fmt::Debug for Entropy {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Entropy(secret)")
    }
}

impl Entropy {
    pub(super) fn new(state: [u8; 32]) -> Self {
        Entropy { state }
    }

    /// The next secret; the state that led to it is gone.
    pub(super) fn next(&mut self) -> [u8; 32] {
        let secret = blake3::derive_key("hundi 2026 ble entropy secret v1", &self.state);
        self.state = blake3::derive_key("hundi 2026 ble entropy state v1", &self.state);
        secret
    }

    /// A number below `bound`, or 0; the bias is below one in 2^32 for the bounds that occur here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.next();
        u64::from_le_bytes([a, b, c, d, e, f, g, h]).checked_rem(bound).unwrap_or(0)
    }
}
