//! A bulletin: a bank's clock, the digest of all its freezes, and the head of its journal.

use super::certificate::ROLE_SETTLE;
use super::network::Network;
use super::{BankRecord, Record, VERSION, rule};
use crate::codec::DecodeError;
use crate::id::{BankNumber, Hash, NetworkId, hash_in};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// A bank's bulletin.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Bulletin {
    /// [`VERSION`].
    pub version: u8,
    /// The bank.
    pub bank: BankNumber,
    /// The certificate that names the signing key.
    pub certificate: u16,
    /// Ascending with every bulletin of the bank.
    pub epoch: u32,
    /// Bank time, Unix seconds; at most network start + epoch × the network's step.
    pub time: u32,
    /// How many freezes the digest covers.
    pub freezes: u32,
    /// [`freezes_digest`] of all freezes of this bank up to this epoch.
    pub freezes_digest: Hash,
    /// The hash of the bank's journal at this epoch.
    pub journal_head: Hash,
}

impl Bulletin {
    /// Whether its time keeps to the network's step, so that one lying bulletin cannot carry
    /// bank time further than its epoch allows.
    pub fn keeps_time(&self, network: &Network) -> bool {
        let definition = network.definition();
        let allowed = u64::from(self.epoch) * u64::from(definition.epoch_seconds);
        u64::from(self.time) <= u64::from(definition.start) + allowed
    }
}

/// The digest of a bank's freezes, given by the ids of the freeze records.
pub fn freezes_digest(network: &NetworkId, mut ids: Vec<Hash>) -> Hash {
    ids.sort_unstable();
    let parts: Vec<&[u8]> = ids.iter().map(|id| &id.0[..]).collect();
    hash_in("hundi v1 freezes digest", network, &parts)
}

impl Record for Bulletin {
    const CONTEXT: &'static str = "hundi v1 bulletin";

    fn check(&self) -> Result<(), DecodeError> {
        rule(self.version == VERSION, "version")
    }
}

impl BankRecord for Bulletin {
    const ROLE: u8 = ROLE_SETTLE;
    fn bank(&self) -> BankNumber {
        self.bank
    }
    fn certificate(&self) -> u16 {
        self.certificate
    }
    fn epoch(&self) -> u32 {
        self.epoch
    }
}
