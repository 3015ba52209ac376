//! The checkers. Cheap ones look at every step: what leaves a device, what its person is told,
//! what a bank makes durable. The others look at everything now and then. [`Truth`] is what the
//! simulator alone knows: what every honest person was told, and what every book says durably.

mod books;
mod calm;
mod inspect;
mod step;

pub(super) use inspect::INSPECT_MS;

use super::world::World;
use hundi_journal::audit::Auditor;
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId};
use hundi_ledger::record::checkpoint::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// A payment or refund that an honest person was told of.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Its author's node, if that is honest.
    pub(super) payer: Option<u32>,
    pub(super) author: AuthorId,
    /// The node that it pays, once known.
    pub(super) payee: Option<u32>,
    /// The payer's person was told that it is signed.
    pub(super) signed: bool,
    /// The payee's person was told that it is accepted.
    pub(super) accepted: bool,
    /// The payee has refused it with a signature.
    pub(super) refused: bool,
    /// It is a payment and no refund.
    pub(super) pays: bool,
}

/// What a bank's durable events say.
pub(super) struct Books {
    pub(super) auditor: Auditor,
    pub(super) outcomes: BTreeMap<Hash, Outcome>,
    /// Entries that were settled at some time: a payee's refusal may return one later.
    pub(super) settled: BTreeSet<Hash>,
    /// When each entry became durable at the bank, Unix seconds.
    pub(super) received: BTreeMap<Hash, u64>,
    pub(super) findings: usize,
}

impl Books {
    pub(super) fn new(network: NetworkId, bank: BankNumber) -> Self {
        Self {
            auditor: Auditor::new(network, bank),
            outcomes: BTreeMap::new(),
            settled: BTreeSet::new(),
            received: BTreeMap::new(),
            findings: 0,
        }
    }
}

/// What the simulator knows and no node does.
#[derive(Default)]
pub(super) struct Truth {
    pub(super) payments: BTreeMap<Hash, Known>,
    pub(super) books: Vec<Books>,
    /// Who holds each key. A cloned key has the node that had it first.
    pub(super) owners: BTreeMap<AuthorId, u32>,
    /// Keys of adversaries, and of phones that were copied with their keys.
    pub(super) unsafe_keys: BTreeSet<AuthorId>,
}

impl World {
    /// Whether a key's only holder is an honest device.
    pub(super) fn is_safe(&self, author: &AuthorId) -> bool {
        let owner = self.truth.owners.get(author);
        owner.is_some_and(|owner| self.nodes[*owner as usize].is_honest())
            && !self.truth.unsafe_keys.contains(author)
    }
}
