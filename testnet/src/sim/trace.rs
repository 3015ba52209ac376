//! The digest of a run: over every event in its order and everything that the parts under test
//! answered. Two runs of one seed and scenario have the same, on every machine.

use super::event::Event;
use borsh::BorshSerialize;
use hundi_ledger::codec;

const CONTEXT: &str = "hundi testnet simulator trace v1";

/// The digest so far.
pub(super) struct Trace {
    hasher: blake3::Hasher,
    events: u64,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { hasher: blake3::Hasher::new_derive_key(CONTEXT), events: 0 }
    }

    /// Takes an event in.
    pub(super) fn event(&mut self, now_ms: u64, event: &Event) {
        self.events += 1;
        self.hasher.update(&now_ms.to_le_bytes());
        self.take(event);
    }

    /// Takes in what a part under test answered.
    pub(super) fn take<T: BorshSerialize>(&mut self, value: &T) {
        let bytes = codec::encode(value);
        self.hasher.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
    }

    /// Events so far.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// The digest so far.
    pub(super) fn digest(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }
}
