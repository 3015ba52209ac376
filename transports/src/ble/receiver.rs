//! The receiving half of a pipe: fragments in any order become the stream; what has arrived is
//! acknowledged in time.

use std::collections::BTreeMap;

use crate::ble::fragment::{Ack, Data, distance, wire};
use crate::ble::limits::{
    ACK_DELAY_MS, ACK_FRAGMENTS, FRAGMENT_BYTES_MAX, INBOX_BYTES_MAX, OPENING_EARLY_BYTES_MAX,
    WINDOW_FRAGMENTS,
};

/// What has arrived, in order and too early.
#[derive(Debug)]
pub(super) struct Receiver {
    /// The number that comes next.
    next: u64,
    early: BTreeMap<u64, Vec<u8>>,
    early_bytes: usize,
    early_bytes_max: usize,
    /// In order, and not taken by the layer above.
    ready: Vec<u8>,
    /// Fragments that came since the last acknowledgement.
    unacknowledged: u64,
    ack_at: Option<u64>,
}

impl Receiver {
    /// A receiver that trusts nobody yet.
    pub(super) fn new() -> Self {
        Receiver {
            next: 0,
            early: BTreeMap::new(),
            early_bytes: 0,
            early_bytes_max: OPENING_EARLY_BYTES_MAX,
            ready: Vec::new(),
            unacknowledged: 0,
            ack_at: None,
        }
    }

    /// From here on the whole window may come out of order.
    pub(super) fn trust(&mut self) {
        self.early_bytes_max = WINDOW_FRAGMENTS as usize * FRAGMENT_BYTES_MAX;
    }

    /// Takes a piece of the stream. What there is no room for is left out as if it had been lost,
    /// so that its sender brings it again.
    pub(super) fn on_data(&mut self, now_ms: u64, data: &Data<'_>) {
        let ahead = distance(self.next, data.number);
        let is_new = (0..WINDOW_FRAGMENTS as i64).contains(&ahead) && self.room() > 0;
        let number = self.next + ahead.unsigned_abs();
        // Else it is left from another stream.
        let fits = data.first == (number == 0);
        if !is_new || !fits || !self.keep(number, data.bytes) {
            // Its sender does not know what is here: say so.
            self.ack_at = Some(now_ms);
            return;
        }
        self.unacknowledged += 1;
        let wait = if self.unacknowledged >= ACK_FRAGMENTS { 0 } else { ACK_DELAY_MS };
        let at = now_ms + wait;
        self.ack_at = Some(self.ack_at.map_or(at, |planned| planned.min(at)));
    }

    /// Whether the piece was new and there was room for it.
    fn keep(&mut self, number: u64, bytes: &[u8]) -> bool {
        if number != self.next {
            if self.early.contains_key(&number)
                || self.early_bytes + bytes.len() > self.early_bytes_max
            {
                return false;
            }
            self.early_bytes += bytes.len();
            self.early.insert(number, bytes.to_vec());
            return true;
        }
        self.ready.extend_from_slice(bytes);
        self.next += 1;
        while let Some(bytes) = self.early.remove(&self.next) {
            self.early_bytes -= bytes.len();
            self.ready.extend_from_slice(&bytes);
            self.next += 1;
        }
        true
    }

    /// The stream as far as it has arrived in order.
    pub(super) fn take(&mut self, now_ms: u64) -> Vec<u8> {
        if self.room() == 0 {
            // The sender waits for room.
            self.ack_at = Some(now_ms);
        }
        core::mem::take(&mut self.ready)
    }

    fn room(&self) -> u64 {
        if self.ready.len() >= INBOX_BYTES_MAX { 0 } else { WINDOW_FRAGMENTS }
    }

    /// What to tell the sender, if anything is new to it.
    pub(super) fn ack(&self) -> Option<Ack> {
        self.ack_at?;
        let bits = self.early.keys().map(|number| 1_u32 << (number - self.next - 1).min(31));
        let beyond = bits.fold(0, |bitmap, bit| bitmap | bit);
        // At most 32.
        Some(Ack { next: wire(self.next), room: self.room() as u8, beyond })
    }

    /// The next acknowledgement leaves at once.
    pub(super) fn acknowledge(&mut self, now_ms: u64) {
        self.ack_at = Some(now_ms);
    }

    /// The acknowledgement has left.
    pub(super) fn acknowledged(&mut self) {
        self.unacknowledged = 0;
        self.ack_at = None;
    }

    /// When an acknowledgement leaves, with data or without.
    pub(super) fn ack_at(&self) -> Option<u64> {
        self.ack_at
    }

    /// Bytes held, for tests of the bounds.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.ready.len() + self.early.values().map(Vec::len).sum::<usize>()
    }
}
