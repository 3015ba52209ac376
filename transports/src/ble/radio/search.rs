//! A payer's search for its payee: until it has answered, or the time is over.

use crate::ble::advertisement::Sighting;
use crate::ble::contacts::Address;
use crate::ble::hint::Session;
use crate::ble::link::Callee;
use crate::ble::radio::{Radio, Role};

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

/// A search has the radio to itself: BlueZ does not show what a connected device advertises, and any
/// device of the mesh may be the payee's. A node that shows a session itself keeps those who have
/// connected to it: they may be its payers.
impl Radio {
    /// Whether a connection keeps this node from finding its payee.
    pub(super) fn is_in_the_way(&self, role: Role, pays: bool) -> bool {
        self.search.is_some() && !pays && (role == Role::Central || self.invited.is_none())
    }

    /// Looks for a payee from now on.
    pub(super) fn begin_search(&mut self, now_ms: u64, search: Search) {
        self.search = Some(search);
        let keeps_centrals = self.invited.is_some();
        for connection in self.connections.values_mut() {
            if connection.role == Role::Peripheral && keeps_centrals {
                continue;
            }
            // What an earlier payee still says is no answer of this one's.
            (connection.pays, connection.paused) = (false, false);
            connection.link.close(now_ms);
        }
    }
}
