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
//! Bytes live elsewhere: the replica keeps what it decides with, tells with [`Change`]s what to
//! store and delete, and asks a [`Shelf`] for a stored entry only to build a proof.

pub mod accumulator;
pub mod author;
pub mod bank;
pub mod key;
pub mod range;
mod receipt;

use crate::id::{AuthorId, BankNumber, Hash, NetworkId, hash_in};
use crate::record::Verified;
use crate::record::bulletin::{Bulletin, freezes_digest};
use crate::record::entry::{Entry, SignedHeader};
use crate::record::freeze::Freeze;
use crate::record::item::{Item, Subject};
use crate::record::network::Network;
use crate::record::proof::Proof;
use crate::record::{BankRecord, Record, Signed};
use crate::trust::{Trust, VerifiedItem};
use accumulator::Accumulator;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use author::Author;
use bank::Fault;
pub use key::Key;

/// Where the bytes of stored entries can be read.
pub trait Shelf {
    /// The encoded item stored under `key`, if it is there.
    fn item(&self, key: &Key) -> Option<Vec<u8>>;
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
    authors: BTreeMap<AuthorId, Author>,
    receipts: BTreeMap<AuthorId, VecDeque<Hash>>,
    elements: BTreeMap<Subject, Hash>,
    core: Accumulator,
    evidence_elements: BTreeMap<AuthorId, Hash>,
    evidence: Accumulator,
}

impl Replica {
    /// A replica that knows nothing but the roots of its network.
    pub fn new(network: Network) -> Self {
        Self {
            trust: Trust::new(network),
            bulletins: BTreeMap::new(),
            authors: BTreeMap::new(),
            receipts: BTreeMap::new(),
            elements: BTreeMap::new(),
            core: Accumulator::default(),
            evidence_elements: BTreeMap::new(),
            evidence: Accumulator::default(),
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

    /// What is known about an author.
    pub fn author(&self, author: &AuthorId) -> Option<&Author> {
        self.authors.get(author)
    }

    /// Every author known, in order.
    pub fn authors(&self) -> impl Iterator<Item = (&AuthorId, &Author)> {
        self.authors.iter()
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

    /// The element of every subject in the core: what sync reconciles.
    pub fn elements(&self) -> &BTreeMap<Subject, Hash> {
        &self.elements
    }

    /// The element of every frozen or proven author: the freezes and facts alone.
    pub fn evidence_elements(&self) -> impl Iterator<Item = (&AuthorId, &Hash)> {
        self.evidence_elements.iter()
    }

    /// The digest of the core: equal exactly where the core is equal.
    pub fn digest(&self) -> Hash {
        self.core.digest(&self.network())
    }

    /// A short value of the core under a fresh key, to compare with a peer.
    pub fn fingerprint(&self, key: &[u8; 32]) -> [u8; 8] {
        self.core.fingerprint(key)
    }

    /// A short value of the freezes and proven authors alone under a fresh key.
    pub fn evidence_fingerprint(&self, key: &[u8; 32]) -> [u8; 6] {
        let wide = self.evidence.fingerprint(key);
        core::array::from_fn(|at| wide[at])
    }

    /// The highest epoch of `bank` whose digest of freezes this replica holds in full; 0 when
    /// it does not hold those of the newest bulletin, or that one has no effect.
    pub fn freezes_epoch(&self, bank: BankNumber) -> u32 {
        let bulletin = self.bulletins.get(&bank).filter(|held| honoured(&self.trust, held));
        let Some(bulletin) = bulletin else { return 0 };
        let freezes: Vec<Hash> = self
            .authors
            .range(bank_range(bank))
            .filter_map(|(_, author)| author.freeze.as_ref())
            .filter(|freeze| freeze.epoch <= bulletin.epoch)
            .map(|freeze| freeze.id())
            .collect();
        let complete = freezes.len() == bulletin.freezes as usize
            && freezes_digest(&self.network(), freezes) == bulletin.freezes_digest;
        if complete { bulletin.epoch } else { 0 }
    }

    /// Takes a verified item.
    pub fn apply(&mut self, item: VerifiedItem, shelf: &dyn Shelf) -> Applied {
        match item {
            VerifiedItem::Certificate(record) => self.apply_certificate(record),
            VerifiedItem::Bulletin(record) => self.apply_bulletin(record),
            VerifiedItem::Grant(record) => {
                let (author, item) = (record.author, Item::Grant((*record).clone()));
                if record.claim_until < self.bank_time(author.bank) {
                    return Applied::only(Status::Known);
                }
                let outcome = self.authors.entry(author).or_default().insert_grant(record);
                self.finish(author, item, outcome)
            }
            VerifiedItem::Checkpoint(record) => {
                let (author, item) = (record.author, Item::Checkpoint((*record).clone()));
                let Some(known) = self.certified(&author) else {
                    return Applied::only(Status::MissingGrant);
                };
                let outcome = known.insert_checkpoint(record);
                self.finish(author, item, outcome)
            }
            VerifiedItem::Freeze(record) => {
                let (author, item) = (record.author, Item::Freeze((*record).clone()));
                // One without effect is not held: it would stand in the place of the bank's own.
                let honours = honoured(&self.trust, &record);
                let Some(known) = self.certified(&author) else {
                    return Applied::only(Status::MissingGrant);
                };
                if !honours {
                    return Applied::only(Status::Known);
                }
                let outcome = known.insert_freeze(record);
                self.finish(author, item, outcome)
            }
            VerifiedItem::Proof(proof) => self.apply_proof(proof),
            VerifiedItem::Entry(entry) => self.apply_entry(entry, shelf),
            VerifiedItem::Receipt(receipt) => self.apply_receipt(receipt),
        }
    }

    fn certified(&mut self, author: &AuthorId) -> Option<&mut Author> {
        let bank_time = self.bank_time(author.bank);
        let trust = &self.trust;
        self.authors.get_mut(author).filter(|known| known.is_certified(trust, bank_time))
    }

    fn apply_certificate(
        &mut self,
        record: Verified<Signed<crate::record::certificate::Certificate>>,
    ) -> Applied {
        let (bank, number, id) = (record.bank, record.number, record.id());
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
        if fault.is_some() || changes.len() > 1 {
            changes.extend(self.drop_unverifiable(bank));
        }
        // A new certificate may bound what older ones signed: every author may be affected.
        changes.extend(self.refresh_bank(bank));
        Applied { status: Status::Stored, changes, proven: None, fault }
    }

    fn apply_bulletin(&mut self, record: Verified<Signed<Bulletin>>) -> Applied {
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
        self.bulletins.insert(bank, record);
        let mut changes = put(&item);
        changes.extend(self.refresh_bank(bank));
        Applied { status: Status::Stored, changes, proven: None, fault }
    }

    fn apply_proof(&mut self, proof: Verified<Proof>) -> Applied {
        let author = proof.author();
        let item = Item::Proof((*proof).clone());
        let Some(known) = self.certified(&author) else {
            return Applied::only(Status::MissingGrant);
        };
        if known.proof.is_some() {
            return Applied::only(Status::Known);
        }
        known.proof = Some(proof);
        let mut changes = put(&item);
        changes.extend(self.refresh_author(author));
        Applied { status: Status::Stored, changes, proven: Some(author), fault: None }
    }

    fn apply_entry(&mut self, entry: Verified<Entry>, shelf: &dyn Shelf) -> Applied {
        let author = entry.header().author;
        let claim = entry.claim();
        let network = self.network();
        let bank_time = self.bank_time(author.bank);
        let Some(known) = self.authors.get(&author) else {
            return Applied::only(Status::MissingGrant);
        };
        if known.holds(&claim) {
            return Applied::only(Status::Known);
        }
        // Detecting a contradiction is a step of its own, which adds the proof as an item. It looks
        // at every verified entry, also at one that the core does not take.
        let certified = known.is_certified(&self.trust, bank_time);
        let contradicted = known.contradicted_by(&claim).filter(|_| certified);
        let contradicted = contradicted.filter(|_| known.proof.is_none()).map(|held| held.id);
        let proof = contradicted
            .and_then(|id| self.stored_header(&author, &id, shelf))
            .and_then(|held| Proof::new(&network, &held, &entry.verified_header()));
        let proven = proof.is_some().then_some(author);
        let mut changes = proof.map_or_else(Vec::new, |proof| self.apply_proof(proof).changes);
        let Some(known) = self.authors.get_mut(&author) else {
            return Applied::only(Status::MissingGrant);
        };
        let status = known.place(&self.trust, bank_time, claim);
        if status.is_new() {
            changes.extend(put(&Item::Entry((*entry).clone())));
        }
        if status == Status::Stored {
            self.refresh_elements(author);
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

    fn finish(&mut self, author: AuthorId, item: Item, outcome: author::Inserted) -> Applied {
        let fault = outcome.contradicts.map(|held| Fault::new(&item, held));
        if !outcome.changed {
            return Applied { fault, ..Applied::only(Status::Known) };
        }
        let mut changes = put(&item);
        let dropped = outcome.dropped_grant;
        changes.extend(dropped.map(|serial| Change::Delete { key: Key::grant(author, serial) }));
        changes.extend(self.refresh_author(author));
        Applied { status: Status::Stored, changes, proven: None, fault }
    }

    /// Forgets what the bank signed with a key that is no longer certified: displaced by another
    /// certificate of the same number, or older than the certificates that are held. Whoever never
    /// held that certificate cannot verify it, and both must agree.
    fn drop_unverifiable(&mut self, bank: BankNumber) -> Vec<Change> {
        let mut changes = Vec::new();
        let bulletin = self.bulletins.get(&bank);
        if bulletin.is_some_and(|held| self.trust.verify_record((**held).clone()).is_err()) {
            self.bulletins.remove(&bank);
            changes.push(Change::Delete { key: Key::Bulletin(bank) });
        }
        for (author, known) in self.authors.range_mut(bank_range(bank)) {
            changes.extend(known.drop_unverifiable(&self.trust, *author));
        }
        changes
    }

    fn refresh_bank(&mut self, bank: BankNumber) -> Vec<Change> {
        let authors: Vec<AuthorId> =
            self.authors.range(bank_range(bank)).map(|(author, _)| *author).collect();
        let changes = authors.into_iter().flat_map(|author| self.refresh_author(author)).collect();
        let mut parts: Vec<Hash> = self.trust.of(bank).map(|held| held.id()).collect();
        parts.extend(self.bulletins.get(&bank).map(|held| held.id()));
        self.set_element(Subject::Bank(bank), (!parts.is_empty()).then_some(parts));
        changes
    }

    /// Brings what is held of an author, and its element, in line with its records.
    fn refresh_author(&mut self, author: AuthorId) -> Vec<Change> {
        let bank_time = self.bank_time(author.bank);
        let Some(known) = self.authors.get_mut(&author) else { return Vec::new() };
        let mut changes = known.lapse(author, bank_time);
        changes.extend(known.sweep(&self.trust, bank_time, author));
        let empty = known.is_empty();
        self.refresh_elements(author);
        if empty {
            self.authors.remove(&author);
            let receipts = self.receipts.remove(&author).unwrap_or_default();
            let forget = |id| Change::Delete { key: Key::receipt(author, id) };
            changes.extend(receipts.into_iter().map(forget));
        }
        changes
    }

    /// Brings the elements of an author in line with what is held of it.
    fn refresh_elements(&mut self, author: AuthorId) {
        let bank_time = self.bank_time(author.bank);
        let network = self.network();
        let known =
            self.authors.get(&author).filter(|known| known.is_certified(&self.trust, bank_time));
        let parts = known.map(|known| known.element_parts(&network));
        let evidence = known.and_then(Author::evidence_parts);
        self.set_element(Subject::Author(author), parts);
        self.set_evidence(author, evidence);
    }

    fn set_element(&mut self, subject: Subject, parts: Option<Vec<Hash>>) {
        let network = self.network();
        let new = parts.map(|parts| element(&network, "hundi v1 core element", &subject, &parts));
        let old = match new {
            Some(hash) => self.elements.insert(subject, hash),
            None => self.elements.remove(&subject),
        };
        self.core.replace(old.as_ref(), new.as_ref());
    }

    fn set_evidence(&mut self, author: AuthorId, parts: Option<Vec<Hash>>) {
        let network = self.network();
        let subject = Subject::Author(author);
        let new = parts.map(|parts| element(&network, "hundi v1 evidence", &subject, &parts));
        let old = match new {
            Some(hash) => self.evidence_elements.insert(author, hash),
            None => self.evidence_elements.remove(&author),
        };
        self.evidence.replace(old.as_ref(), new.as_ref());
    }

    /// The freeze that bars an author, if there is one.
    pub fn freeze(&self, author: &AuthorId) -> Option<&Verified<Signed<Freeze>>> {
        self.authors.get(author)?.freeze.as_ref()
    }
}

fn put(item: &Item) -> Vec<Change> {
    alloc::vec![Change::Put { key: Key::of(item), bytes: item.encode() }]
}

fn element(network: &NetworkId, context: &'static str, subject: &Subject, parts: &[Hash]) -> Hash {
    let name = key::subject_bytes(subject);
    let mut input: Vec<&[u8]> = alloc::vec![&name];
    input.extend(parts.iter().map(|part| &part.0[..]));
    hash_in(context, network, &input)
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
