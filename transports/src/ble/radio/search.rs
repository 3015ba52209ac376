//! A payer's search for its payee: until it has answered, or the time is over.

use crate::ble::advertisement::Sighting;
use crate::ble::contacts::Address;
use crate::ble::hint::Session;
use crate::ble::link::Callee;

/// How long after a failure the payee is tried again. Somebody waits, so it is short; a stack wants
/// some moment to clean up.
const AGAIN_MS: u64 = 500;

/// A search that goes on.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) session: Session,
    first: Vec<u8>,
    pub(super) until_ms: u64,
    seen: Option<Address>,
    not_before_ms: u64,
}

impl Search {
    pub(super) fn new(session: Session, first: Vec<u8>, until_ms: u64) -> Self {
        Search { session, first, until_ms, seen: None, not_before_ms: 0 }
    }

    pub(super) fn see(&mut self, now_ms: u64, address: Address, sighting: &Sighting) {
        if now_ms >= self.not_before_ms && sighting.services.contains(&self.session.uuid) {
            self.seen = Some(address);
        }
    }

    /// Where the payee was seen, once per sighting.
    pub(super) fn found(&mut self, now_ms: u64) -> Option<Address> {
        if now_ms >= self.not_before_ms { self.seen.take() } else { None }
    }

    /// A connection or its link has failed: look again.
    pub(super) fn failed(&mut self, now_ms: u64) {
        (self.seen, self.not_before_ms) = (None, now_ms + AGAIN_MS);
    }

    /// What the link is told. The first message goes again as it is: its payee answers it the same
    /// way however often it comes.
    pub(super) fn callee(&self) -> Callee {
        Callee::Payee { session: self.session, first: self.first.clone() }
    }
}
