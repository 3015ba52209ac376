//! The checkers. Cheap ones look at every step: what leaves a device, what its person is told,
//! what a bank makes durable. The others look at everything now and then. [`Truth`] is what the
//! simulator alone knows: what every honest person was told, and what every book says durably.

mod books;
mod calm;
mod inspect;
mod loss;
mod step;

pub(super) use inspect::INSPECT_MS;

use super::world::World;
use hundi_journal::audit::Auditor;
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId};
use hundi_ledger::record::checkpoint::Outcome;
use loss::Losses;
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
    /// The payee's key when its person was told that it is accepted.
    pub(super) accepted_by: Option<AuthorId>,
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
    /// The ids of all grants that were issued.
    pub(super) grants: BTreeSet<Hash>,
    pub(super) losses: Losses,
    pub(super) findings: usize,
}

impl Books {
    pub(super) fn new(network: NetworkId, bank: BankNumber) -> Self {
        Self {
            auditor: Auditor::new(network, bank),
            outcomes: BTreeMap::new(),
            settled: BTreeSet::new(),
            received: BTreeMap::new(),
            grants: BTreeSet::new(),
            losses: Losses::default(),
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
    /// Banks of which two records may hold one version: one that ran from an old copy, and one
    /// whose books and keys somebody else has.
    pub(super) contradicting: BTreeSet<BankNumber>,
    /// Of these, the banks whose keys somebody else has: outcomes are signed that no book holds.
    pub(super) two_faced: BTreeSet<BankNumber>,
    /// Entries that were decided in books that an older or newer copy has replaced.
    pub(super) taken_back: BTreeSet<Hash>,
    /// Every grant that any bank has ever durably issued.
    pub(super) grants: BTreeSet<(AuthorId, Hash)>,
}

impl World {
    /// Whether a change of books took back what an entry rests on: its outcome, or a grant of its
    /// author, which stays unfunded.
    pub(super) fn is_taken_back(&self, author: &AuthorId, id: &Hash) -> bool {
        let Some(at) = self.hosts.iter().position(|host| host.number == author.bank) else {
            return false;
        };
        let books = &self.truth.books[at];
        let issued = self.truth.grants.range((*author, Hash([0; 32]))..=(*author, Hash([255; 32])));
        self.truth.taken_back.contains(id)
            || issued.into_iter().any(|(_, grant)| !books.grants.contains(grant))
    }

    /// Whether a key's only holder is an honest device.
    pub(super) fn is_safe(&self, author: &AuthorId) -> bool {
        let owner = self.truth.owners.get(author);
        owner.is_some_and(|owner| self.nodes[*owner as usize].is_honest())
            && !self.truth.unsafe_keys.contains(author)
    }
}
