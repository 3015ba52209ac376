//! What runs came to: counts, and one JSON object for programs.

use serde::Serialize;

/// What happened in one run, or in all of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Payments whose payers were told that they are signed.
    pub payments: u64,
    /// Entries settled by a bank.
    pub settled: u64,
    /// Payments that the payer's own device did not sign.
    pub held_back: u64,
    /// Sequence numbers signed for several payees at once.
    pub double_spends: u64,
    /// Contradictions that a bank has a proof of.
    pub proofs: u64,
    /// Minor units that guarantees paid, provisionally at least.
    pub guaranteed: u64,
    /// Banks that were started from an old copy of their books.
    pub restored: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Devices that went down.
    pub crashes: u64,
    /// Links that began.
    pub contacts: u64,
    /// Frames sent, and the bytes in them.
    pub frames: u64,
    /// As above.
    pub bytes: u64,
    /// Copies of items gossiped from one node to another, lost ones included, and the bytes in them.
    pub gossips: u64,
    /// As above.
    pub gossip_bytes: u64,
    /// Inputs refused by a bank that had stopped for a fault.
    pub stopped: u64,
    /// Minutes until all was settled once faults had stopped.
    pub calm_minutes: u64,
    /// Events that happened.
    pub events: u64,
}

impl Counters {
    /// Adds what happened in another run.
    pub fn add(&mut self, other: &Self) {
        self.payments += other.payments;
        self.settled += other.settled;
        self.held_back += other.held_back;
        self.double_spends += other.double_spends;
        self.proofs += other.proofs;
        self.guaranteed += other.guaranteed;
        self.restored += other.restored;
        self.faults += other.faults;
        self.crashes += other.crashes;
        self.contacts += other.contacts;
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.gossips += other.gossips;
        self.gossip_bytes += other.gossip_bytes;
        self.stopped += other.stopped;
        self.calm_minutes = self.calm_minutes.max(other.calm_minutes);
        self.events += other.events;
    }
}
