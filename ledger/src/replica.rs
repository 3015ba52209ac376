//! What one node knows: bank records, proofs, and the entries of certified authors.
//!
//! The *core* is what replicas agree on: per subject, all bank records, the fact "proven", and the
//! entries that its records admit ([`author::Author::admits`]). Membership in the core is a
//! function of the records held and never of the order in which they arrived, so two replicas that
//! hold the same items have the same core and the same digest. The *cache* (receipts, entries
//! of proven authors, entries that dispute a checkpoint) is carried best effort and is in no digest.
//!
//! Merging (all items of another replica, records before entries) is idempotent, always; it is
//! commutative and associative as long as no record withdraws an entry that a later one admits
//! again, which honest banks never sign. In any other world pruning loses: an entry that is
//! admitted again comes back from whoever holds it, and exchange ends in one core all the same
//! (docs/decisions/0003-core-as-a-join.md).
//!
//! What is bulky lives elsewhere: the replica tells with [`Change`]s what to store and delete, keeps
//! a small slot per author in memory, and reads an author from a [`Shelf`] when it is asked for
//! (`slot.rs`). Summaries of authors let a later start do without reading their items
//! (`summary.rs`).

pub mod accumulator;
pub mod author;
pub mod bank;
mod elements;
pub mod key;
pub mod range;
mod receipt;
mod refresh;
mod slot;
mod slots;
mod summary;

use crate::id::{AuthorId, BankNumber, Hash, NetworkId};
use crate::limits::OUTSIDE_AUTHORS_MAX;
use crate::record::bulletin::Bulletin;
use crate::record::certificate::Certificate;
use crate::record::entry::{Entry, SignedHeader};
use crate::record::item::{Item, Subject};
use crate::record::network::Network;
use crate::record::proof::Proof;
use crate::record::{BankRecord, Record, Signed, Verified};
use crate::trust::{Trust, VerifiedItem};
use accumulator::Accumulator;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use author::Author;
use bank::Fault;
use core::cell::RefCell;
use elements::{Evidence, Marks};
pub use key::Key;
use range::Range;
use slots::Slots;

/// Where what a replica told to store can be read.
pub trait Shelf {
    /// The encoded item stored under `key`, if it is there.
    fn item(&self, key: &Key) -> Option<Vec<u8>>;

    /// Every encoded item stored about `author`, in any order. Receipts may be left out.
    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>>;
}

/// Items in memory.
impl Shelf for BTreeMap<Key, Vec<u8>> {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        self.get(key).cloned()
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        let about = |key: &Key| key.subject() == Subject::Author(*author);
        self.iter().filter(|(key, _)| about(key)).map(|(_, bytes)| bytes.clone()).collect()
    }
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// New: in the core now. Forward it.
    Stored,
    /// New: in the cache now. Forward it after the core.
    Cached,
    /// Held already, or older than what is held.
    Known,
    /// Decided by the checkpoint held: no need to carry it.
    Decided,
    /// Not stored, because no grant in effect certifies its author or serial. Ask for the grant.
    MissingGrant,
    /// Not stored: beyond what relays carry of this author, or of its window in the cache.
    BeyondWindow,
    /// Not stored: against the grant it names.
    Refused,
}

impl Status {
    /// Whether the item was news to this replica.
    pub fn is_new(self) -> bool {
        matches!(self, Status::Stored | Status::Cached)
    }
}

/// A change for whoever stores the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Store the item.
    Put {
        /// Where.
        key: Key,
        /// The encoded item.
        bytes: Vec<u8>,
    },
    /// Forget the item.
    Delete {
        /// Where.
        key: Key,
    },
}

/// What applying an item did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Applied {
    /// What became of the item.
    pub status: Status,
    /// What to store and delete, in order.
    pub changes: Vec<Change>,
    /// An author that this item proved to contradict itself, for the first time here.
    pub proven: Option<AuthorId>,
    /// A fault of a bank that this item showed.
    pub fault: Option<Fault>,
}

impl Applied {
    fn only(status: Status) -> Self {
        Self { status, changes: Vec::new(), proven: None, fault: None }
    }
}

/// The knowledge of one node.
#[derive(Clone, Debug)]
pub struct Replica {
    trust: Trust,
    bulletins: BTreeMap<BankNumber, Verified<Signed<Bulletin>>>,
    /// The range of authors of which the core is kept.
    scope: Range,
    /// Authors outside the scope of which something is held, oldest first.
    outside: VecDeque<AuthorId>,
    /// Authors whose items are kept wherever they lie.
    kept: BTreeSet<AuthorId>,
    slots: Slots,
    /// The authors in memory, in the order in which they were read.
    loaded: RefCell<VecDeque<AuthorId>>,
    /// The freezes and facts "proven".
    evidence: BTreeMap<AuthorId, Evidence>,
    /// The ids of cached entries.
    cached: BTreeMap<AuthorId, Vec<Hash>>,
    receipts: BTreeMap<AuthorId, VecDeque<Hash>>,
    bank_elements: BTreeMap<BankNumber, Hash>,
    core: Accumulator,
    head: Accumulator,
    core_len: usize,
    entries_len: usize,
    marks: Marks,
    /// Authors whose summary is not what was taken last.
    changed: BTreeSet<AuthorId>,
}

impl Replica {
    /// A replica that knows nothing but the roots of its network, and keeps the core of everybody.
    pub fn new(network: Network) -> Self {
        Self::scoped(network, Range::ALL, BTreeSet::new())
    }

    /// A replica for a small budget: it keeps the core of the authors in `scope`, what banks sign of
    /// themselves, the freezes and facts "proven" of everybody, and the items of the authors in
    /// `kept` wherever they lie. Of others outside its scope it caches a bounded number.
    pub fn scoped(network: Network, scope: Range, kept: BTreeSet<AuthorId>) -> Self {
        Self {
            scope,
            outside: VecDeque::new(),
            kept,
            marks: Marks::new(&network.id()),
            slots: Slots::new(&network.id()),
            trust: Trust::new(network),
            bulletins: BTreeMap::new(),
            loaded: RefCell::default(),
            evidence: BTreeMap::new(),
            cached: BTreeMap::new(),
            receipts: BTreeMap::new(),
            bank_elements: BTreeMap::new(),
            core: Accumulator::default(),
            head: Accumulator::default(),
            core_len: 0,
            entries_len: 0,
            changed: BTreeSet::new(),
        }
    }

    /// Roots and certificates.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The id of the network.
    pub fn network(&self) -> NetworkId {
        self.trust.network().id()
    }

    /// Every author known, by position.
    pub fn authors(&self) -> impl ExactSizeIterator<Item = &AuthorId> {
        self.slots.authors()
    }

    /// Whether anything is known about an author.
    pub fn knows(&self, author: &AuthorId) -> bool {
        self.slots.get(author).is_some()
    }

    /// Whether a grant in effect certifies an author.
    pub fn is_certified(&self, author: &AuthorId) -> bool {
        self.slots.get(author).is_some_and(|slot| slot.element.is_some())
    }

    /// The newest bulletin of a bank.
    pub fn bulletin(&self, bank: BankNumber) -> Option<&Verified<Signed<Bulletin>>> {
        self.bulletins.get(&bank)
    }

    /// Bank time: the time in the newest bulletin held, 0 before the first and while a later
    /// certificate denies it effect.
    pub fn bank_time(&self, bank: BankNumber) -> u32 {
        let bulletin = self.bulletins.get(&bank).filter(|held| honoured(&self.trust, held));
        bulletin.map_or(0, |bulletin| bulletin.time)
    }

    /// Every cached item and its id: entries, then receipts.
    pub fn cached(&self) -> impl Iterator<Item = (Key, Hash)> {
        let entries = self
            .cached
            .iter()
            .flat_map(|(author, ids)| ids.iter().map(move |id| (Key::Entry(*author, *id), *id)));
        entries.chain(self.receipts().map(|(signer, id)| (Key::Receipt(*signer, *id), *id)))
    }

    /// How many items are cached.
    pub fn cached_len(&self) -> usize {
        let receipts: usize = self.receipts.values().map(|ids| ids.len()).sum();
        self.cached.values().map(Vec::len).sum::<usize>() + receipts
    }

    /// Whether an item lies in the cache.
    pub fn is_cached(&self, key: &Key) -> bool {
        match key {
            Key::Entry(author, id) => self.cached.get(author).is_some_and(|held| held.contains(id)),
            Key::Receipt(signer, id) => {
                self.receipts.get(signer).is_some_and(|held| held.contains(id))
            }
            _ => false,
        }
    }

    /// Takes a verified item. `shelf` shows what this replica told to store before; what is told
    /// now must be there before the next call.
    pub fn apply(&mut self, item: VerifiedItem, shelf: &dyn Shelf) -> Applied {
        match item {
            VerifiedItem::Certificate(record) => self.apply_certificate(record, shelf),
            VerifiedItem::Bulletin(record) => self.apply_bulletin(record, shelf),
            VerifiedItem::Grant(record) => {
                let (author, item) = (record.author, Item::Grant((*record).clone()));
                if record.claim_until < self.bank_time(author.bank) {
                    return Applied::only(Status::Known);
                }
                let changes = self.make_room_outside(author, shelf);
                let known = self.author_or_new(author, shelf);
                let outcome = known.map(|(known, _)| known.insert_grant(record));
                let mut applied = self.finish(author, item, outcome, shelf);
                applied.changes.splice(0..0, changes);
                applied
            }
            VerifiedItem::Checkpoint(record) => {
                let (author, item) = (record.author, Item::Checkpoint((*record).clone()));
                let known = self.certified_mut(&author, shelf);
                let outcome = known.map(|known| known.insert_checkpoint(record));
                self.finish(author, item, outcome, shelf)
            }
            VerifiedItem::Freeze(record) => {
                let (author, item) = (record.author, Item::Freeze((*record).clone()));
                // One without effect is not held: it would stand in the place of the bank's own.
                if self.is_certified(&author) && !honoured(&self.trust, &record) {
                    return Applied::only(Status::Known);
                }
                let known = self.certified_mut(&author, shelf);
                let outcome = known.map(|known| known.insert_freeze(record));
                self.finish(author, item, outcome, shelf)
            }
            VerifiedItem::Proof(proof) => self.apply_proof(proof, shelf),
            VerifiedItem::Entry(entry) => self.apply_entry(entry, shelf),
            VerifiedItem::Receipt(receipt) => self.apply_receipt(receipt),
        }
    }

    fn certified_mut(&mut self, author: &AuthorId, shelf: &dyn Shelf) -> Option<&mut Author> {
        if !self.is_certified(author) {
            return None;
        }
        self.author_mut(author, shelf).map(|(known, _)| known)
    }

    fn apply_certificate(
        &mut self,
        record: Verified<Signed<Certificate>>,
        shelf: &dyn Shelf,
    ) -> Applied {
        let (bank, number, id) = (record.bank, record.number, record.id());
        let bounds = !record.honours.is_empty();
        let (trust, bank_time) = (self.trust.clone(), self.bank_time(bank));
        let item = Item::Certificate((*record).clone());
        let held = self.trust.of(bank).find(|held| held.number == number).map(|held| held.id());
        let fault = held.filter(|held| *held != id).map(|held| Fault::new(&item, held));
        let numbers: Vec<u16> = self.trust.of(bank).map(|held| held.number).collect();
        if !self.trust.insert(record) {
            return Applied { fault, ..Applied::only(Status::Known) };
        }
        let mut changes = put(&item);
        let gone = numbers.into_iter().filter(|number| !self.trust.holds(bank, *number));
        changes.extend(gone.map(|number| Change::Delete { key: Key::Certificate(bank, number) }));
        let displaced = fault.is_some() || changes.len() > 1;
        if displaced {
            changes.extend(self.drop_unverifiable(bank));
        }
        // A new certificate may bound what older ones signed, and one that goes takes its bounds
        // along: every author may be affected. One that does neither affects nobody.
        if displaced || bounds {
            changes.extend(self.refresh_bank(bank, displaced, (&trust, bank_time), shelf));
        }
        self.settle_bank(bank);
        Applied { status: Status::Stored, changes, proven: None, fault }
    }

    fn apply_bulletin(&mut self, record: Verified<Signed<Bulletin>>, shelf: &dyn Shelf) -> Applied {
        let bank = record.bank;
        let item = Item::Bulletin((*record).clone());
        let rank = |held: &Signed<Bulletin>| (held.certificate, held.epoch, held.id());
        let held = self.bulletins.get(&bank);
        let fault = held
            .filter(|held| {
                (held.certificate, held.epoch) == (record.certificate, record.epoch)
                    && held.id() != record.id()
            })
            .map(|held| Fault::new(&item, held.id()));
        if held.is_some_and(|held| rank(held) >= rank(&record)) {
            return Applied { fault, ..Applied::only(Status::Known) };
        }
        let before = self.bank_time(bank);
        self.bulletins.insert(bank, record);
        let mut changes = put(&item);
        changes.extend(self.lapse_bank(bank, before, shelf));
        self.settle_bank(bank);
        Applied { status: Status::Stored, changes, proven: None, fault }
    }

    fn apply_proof(&mut self, proof: Verified<Proof>, shelf: &dyn Shelf) -> Applied {
        let author = proof.author();
        let item = Item::Proof((*proof).clone());
        let Some(known) = self.certified_mut(&author, shelf) else {
            return Applied::only(Status::MissingGrant);
        };
        if known.proof.is_some() {
            return Applied::only(Status::Known);
        }
        known.proof = Some(proof);
        let mut changes = put(&item);
        changes.extend(self.refresh_author(author, shelf));
        Applied { status: Status::Stored, changes, proven: Some(author), fault: None }
    }

    fn apply_entry(&mut self, entry: Verified<Entry>, shelf: &dyn Shelf) -> Applied {
        let author = entry.header().author;
        let claim = entry.claim();
        let network = self.network();
        let bank_time = self.bank_time(author.bank);
        let certified = self.is_certified(&author);
        let Some(known) = self.author(&author, shelf) else {
            return Applied::only(Status::MissingGrant);
        };
        if known.holds(&claim) {
            return Applied::only(Status::Known);
        }
        // Detecting a contradiction is a step of its own, which adds the proof as an item. It looks
        // at every verified entry, also at one that the core does not take.
        let contradicted = known.contradicted_by(&claim).filter(|_| certified);
        let contradicted = contradicted.filter(|_| known.proof.is_none()).map(|held| held.id);
        let proof = contradicted
            .and_then(|id| self.stored_header(&author, &id, shelf))
            .and_then(|held| Proof::new(&network, &held, &entry.verified_header()));
        let proven = proof.is_some().then_some(author);
        let mut changes =
            proof.map_or_else(Vec::new, |proof| self.apply_proof(proof, shelf).changes);
        let Some((known, trust)) = self.author_mut(&author, shelf) else {
            return Applied::only(Status::MissingGrant);
        };
        let status = known.place(trust, bank_time, claim);
        if status.is_new() {
            changes.extend(put(&Item::Entry(entry.into_inner())));
            self.settle(author);
        }
        Applied { status, changes, proven, fault: None }
    }

    /// The header of an entry that was verified before it was stored.
    fn stored_header(
        &self,
        author: &AuthorId,
        id: &Hash,
        shelf: &dyn Shelf,
    ) -> Option<Verified<SignedHeader>> {
        let bytes = shelf.item(&Key::entry(*author, *id))?;
        match Item::decode(&self.network(), &bytes) {
            Ok(Item::Entry(entry)) if entry.id() == *id => {
                entry.signed_header().verify(&self.network()).ok()
            }
            _ => None,
        }
    }

    /// What follows from inserting a record of an author, or from not finding it certified.
    fn finish(
        &mut self,
        author: AuthorId,
        item: Item,
        outcome: Option<author::Inserted>,
        shelf: &dyn Shelf,
    ) -> Applied {
        let Some(outcome) = outcome else { return Applied::only(Status::MissingGrant) };
        let fault = outcome.contradicts.map(|held| Fault::new(&item, held));
        if !outcome.changed {
            return Applied { fault, ..Applied::only(Status::Known) };
        }
        let mut changes = put(&item);
        let dropped = outcome.dropped_grant;
        changes.extend(dropped.map(|serial| Change::Delete { key: Key::grant(author, serial) }));
        changes.extend(self.refresh_author(author, shelf));
        let status = if self.is_outside(&author) { Status::Cached } else { Status::Stored };
        Applied { status, changes, proven: None, fault }
    }

    /// Before an author outside the scope is taken in: forgets the one that has been here longest,
    /// unless all that are here have to stay.
    fn make_room_outside(&mut self, author: AuthorId, shelf: &dyn Shelf) -> Vec<Change> {
        if self.knows(&author) || !self.is_outside(&author) {
            return Vec::new();
        }
        self.outside.push_back(author);
        if self.outside.len() <= OUTSIDE_AUTHORS_MAX {
            return Vec::new();
        }
        let stays = |held: &AuthorId| self.evidence.contains_key(held) || self.kept.contains(held);
        let oldest = self.outside.iter().find(|held| !stays(held) && **held != author).copied();
        oldest.map_or_else(Vec::new, |oldest| self.forget(oldest, shelf))
    }
}

fn put(item: &Item) -> Vec<Change> {
    alloc::vec![Change::Put { key: Key::of(item), bytes: item.encode() }]
}

fn bank_range(bank: BankNumber) -> core::ops::RangeInclusive<AuthorId> {
    use crate::id::PublicKey;
    AuthorId { bank, key: PublicKey([0; 32]) }..=AuthorId { bank, key: PublicKey([0xff; 32]) }
}

/// Whether a bank record of this replica has effect: a convenience over [`Trust::honours`].
pub(crate) fn honoured<T: BankRecord + Record>(
    trust: &Trust,
    record: &Verified<Signed<T>>,
) -> bool {
    trust.honours(&***record)
}
