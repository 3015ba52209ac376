//! The witness of a run: writes down, while it happens, what the independent auditor is to judge
//! at its end. The auditor reads bytes and numbers only ([`Facts`]); nothing here decides what is
//! right. This file has what devices do and the verdict, `bank` what banks make durable and answer,
//! `moment` what all nodes hold at one moment.

mod bank;
mod moment;

use super::Invariant;
use super::world::World;
use bank::BankWitness;
pub(super) use bank::{answers, outcomes};
use hundi_auditor::facts::{Acceptance, Departure, Facts, ItemNumber, Signing, Stop};
use hundi_auditor::records::Author;
use hundi_auditor::run::{Invariant as Audited, judge};
use hundi_engine::Write;
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::offer::Offer;
use hundi_ledger::replica::Key;
use hundi_ledger::sync::TAG_ITEM;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Frames besides [`TAG_ITEM`] that carry items, by the protocol's tags.
const TAG_OFFER: u8 = 16;
const TAG_REPLY: u8 = 17;
/// The choice of a reply that carries a receipt.
const REPLY_RECEIPT: u8 = 0;

/// Items that show what somebody signed, by the protocol's tags.
const ITEM_PROOF: u8 = 6;
const ITEM_ENTRY: u8 = 7;
const ITEM_RECEIPT: u8 = 8;

/// An own item in something that a device gave to its disk.
#[derive(Clone, Debug)]
pub(super) struct OwnWrite {
    /// The persist.
    pub(super) number: u64,
    /// The id of the entry or receipt.
    id: Hash,
    bytes: Vec<u8>,
}

impl OwnWrite {
    /// What of a persist a device has signed itself.
    pub(super) fn of(number: u64, writes: &[Write], me: Option<AuthorId>) -> Vec<Self> {
        let own = writes.iter().filter_map(|write| match write {
            Write::Item { key: Key::Entry(by, id) | Key::Receipt(by, id), bytes } => {
                (Some(*by) == me).then(|| Self { number, id: *id, bytes: bytes.clone() })
            }
            _ => None,
        });
        own.collect()
    }
}

/// What has been written down so far.
#[derive(Default)]
pub(super) struct Witness {
    facts: Facts,
    /// The last place in the order of events.
    step: u64,
    /// By node, in order: persists that are not known to be durable, and the signings in them.
    pending: BTreeMap<u32, VecDeque<(u64, usize)>>,
    /// Places of signings by item.
    signings: BTreeMap<ItemNumber, usize>,
    /// Own items by id.
    own: BTreeMap<Hash, ItemNumber>,
    aired: BTreeSet<ItemNumber>,
    departed: BTreeSet<ItemNumber>,
    accepted: BTreeSet<(AuthorId, Hash)>,
    banks: Vec<BankWitness>,
}

impl Witness {
    pub(super) fn new(network: Vec<u8>) -> Self {
        Self { facts: Facts { network, ..Facts::default() }, ..Self::default() }
    }

    fn next(&mut self) -> u64 {
        self.step += 1;
        self.step
    }

    /// An honest device has given items that it signed to its disk.
    fn signed(&mut self, node: u32, writes: Vec<OwnWrite>) {
        for OwnWrite { number, id, bytes } in writes {
            let item = self.facts.items.note(&bytes);
            // What was on the air before comes from elsewhere: a copy of this device has signed it.
            if self.aired.contains(&item) && !self.signings.contains_key(&item) {
                continue;
            }
            let next = self.facts.signings.len();
            let signing = *self.signings.entry(item).or_insert(next);
            if signing == next {
                let step = self.next();
                self.facts.signings.push(Signing { item, step, durable: None });
                self.own.insert(id, item);
            }
            self.pending.entry(node).or_default().push_back((number, signing));
        }
    }

    /// Everything that a device gave to its disk up to this persist is durable.
    fn durable(&mut self, node: u32, number: u64) {
        let Some(pending) = self.pending.get_mut(&node) else { return };
        let count = pending.iter().take_while(|(at, _)| *at <= number).count();
        let durable: Vec<usize> = pending.drain(..count).map(|(_, signing)| signing).collect();
        if durable.is_empty() {
            return;
        }
        let step = self.next();
        for signing in durable {
            self.facts.signings[signing].durable.get_or_insert(step);
        }
    }

    /// A device goes down: what it gave to its disk up to this persist is there, the rest is gone.
    fn crashed(&mut self, node: u32, number: u64) {
        self.durable(node, number);
        self.pending.remove(&node);
    }

    /// An item is on the air; `own` says that its honest author sends it.
    fn aired(&mut self, item: &[u8], own: bool) {
        let number = self.facts.items.note(item);
        let first = self.aired.insert(number);
        // Others sign with a copied key, too, and its owner may pass that on.
        if own && (first || self.signings.contains_key(&number)) {
            self.left(number);
        }
    }

    fn left(&mut self, item: ItemNumber) {
        if self.departed.insert(item) {
            let step = self.next();
            self.facts.departures.push(Departure { item, step });
        }
    }

    /// A person is told that an own entry is signed.
    pub(super) fn told_signed(&mut self, id: &Hash) {
        if let Some(item) = self.own.get(id) {
            self.left(*item);
        }
    }

    /// A person is told that a payment is accepted.
    pub(super) fn told_accepted(&mut self, payee: AuthorId, id: Hash, minor: u64, at_ms: u64) {
        if self.accepted.insert((payee, id)) {
            let payee = author(payee);
            self.facts.acceptances.push(Acceptance { payee, entry: id.0, at_ms, amount: minor });
        }
    }

    /// A device has met an entry of its own key that it did not know.
    pub(super) fn stopped(&mut self, by: AuthorId) {
        let step = self.next();
        self.facts.stops.push(Stop { author: author(by), step });
    }
}

impl World {
    /// A device may have signed something, and something of it may be durable.
    pub(super) fn witness_disk(&mut self, node: u32) {
        let at = &mut self.nodes[node as usize];
        let written = std::mem::take(&mut at.device.written);
        if at.is_honest() {
            self.witness.signed(node, written);
            self.witness.durable(node, at.device.durable());
        }
    }

    /// A device goes down; so many of the batches on their way have reached its disk.
    pub(super) fn witness_crash(&mut self, node: u32, kept: usize) {
        self.witness_disk(node);
        let durable = self.nodes[node as usize].device.durable();
        self.witness.crashed(node, durable + kept as u64);
    }

    /// A frame leaves a node.
    pub(super) fn witness_frame(&mut self, node: u32, frame: &[u8]) {
        match frame {
            [TAG_ITEM, item @ ..] | [TAG_REPLY, REPLY_RECEIPT, _, _, item @ ..] => {
                self.witness_item(node, item);
            }
            [TAG_OFFER, offer @ ..] => {
                if let Ok(offer) = Offer::decode(offer) {
                    self.witness_item(node, &offer.entry);
                }
            }
            _ => {}
        }
    }

    /// An item leaves a node. Banks' records are noted where they are signed.
    pub(super) fn witness_item(&mut self, node: u32, item: &[u8]) {
        let at = &self.nodes[node as usize];
        let me = at.device.identity.filter(|_| at.is_honest());
        let me = me.map(|me| me.author().to_bytes());
        let by_me = |before: usize| {
            me.is_some_and(|me| item.get(before..).is_some_and(|rest| rest.starts_with(&me)))
        };
        match item.first() {
            // The author stands behind tag, version and kind; a signer behind tag and version.
            Some(&ITEM_ENTRY) => self.witness.aired(item, by_me(3)),
            Some(&ITEM_PROOF) => self.witness.aired(item, false),
            Some(&ITEM_RECEIPT) => self.witness.aired(item, by_me(2)),
            _ => {}
        }
    }

    /// Hands over what was written down.
    pub(super) fn facts(&mut self) -> Facts {
        self.witness_books();
        let mut facts = std::mem::take(&mut self.witness.facts);
        let honest = self.nodes.iter().filter(|node| node.is_honest());
        let keys = honest.flat_map(|node| &node.identities).map(|it| it.author());
        facts.honest = keys.filter(|key| self.is_safe(key)).map(author).collect();
        facts.liveness = self.scenario.heals && self.violation.is_none() && !self.stopped;
        facts
    }

    /// Has the auditor judge the run, if nobody has found fault with it yet.
    pub(super) fn audit(&mut self, facts: &Facts) {
        if self.violation.is_some() || self.stopped {
            return;
        }
        match judge(facts) {
            Ok(broken) => {
                if let Some(first) = broken.first() {
                    let more = broken.len() - 1;
                    let what = format!("auditor: {first} (and {more} more)");
                    self.violated(invariant(first.invariant), what);
                }
            }
            Err(refused) => {
                self.violated(Invariant::Contract, format!("auditor: the network: {refused}"));
            }
        }
    }
}

/// What the auditor calls an author.
fn author(id: AuthorId) -> Author {
    Author { bank: id.bank.0, key: id.key.0 }
}

/// What the simulator calls an invariant of the auditor.
fn invariant(of: Audited) -> Invariant {
    match of {
        Audited::Convergence => Invariant::Convergence,
        Audited::NoHonestLoss => Invariant::NoLoss,
        Audited::Solvency => Invariant::Solvency,
        Audited::Conservation => Invariant::Conservation,
        Audited::ExactlyOnce => Invariant::ExactlyOnce,
        Audited::Evidence => Invariant::Evidence,
        Audited::NoFraming => Invariant::NoFraming,
        Audited::Bounded => Invariant::Bounded,
        Audited::LossRule => Invariant::LossRule,
        Audited::BankRecords => Invariant::BankRecords,
    }
}
