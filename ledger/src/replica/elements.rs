//! Elements: one hash per subject, which says what the core holds of it, and their sums.
//!
//! There are two sums. The *core* covers every bank and every certified author. The *head* covers
//! what every node must hear of first: the banks' records, and the freezes and facts "proven".

use super::author::Author;
use super::range::Range;
use super::{Replica, bank_range, honoured, key};
use crate::id::{AuthorId, BankNumber, Hash, NetworkId, hash_in};
use crate::record::bulletin::freezes_digest;
use crate::record::item::Subject;
use alloc::vec::Vec;

/// What separates the parts of an author's element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) checkpoint: Hash,
    pub(super) evidence: Hash,
    pub(super) entries: Hash,
}

impl Marks {
    pub(super) fn new(network: &NetworkId) -> Self {
        Self {
            checkpoint: hash_in("hundi v1 element checkpoint", network, &[]),
            evidence: hash_in("hundi v1 element evidence", network, &[]),
            entries: hash_in("hundi v1 element entries", network, &[]),
        }
    }
}

/// The freeze and the fact "proven" of an author that has either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    /// The freeze's epoch and id.
    pub(super) freeze: Option<(u32, Hash)>,
    /// Whether a proof is held.
    pub(super) proven: bool,
    /// Its element of the head; none while no grant in effect certifies the author.
    pub(super) element: Option<Hash>,
}

impl Evidence {
    pub(super) fn of(known: &Author) -> Option<Self> {
        let freeze = known.freeze().map(|freeze| (freeze.epoch, freeze.id()));
        let proven = known.proof().is_some();
        (freeze.is_some() || proven).then_some(Self { freeze, proven, element: None })
    }

    /// What the element covers: the freeze's id, and the fact, not the proof: replicas may hold
    /// different proofs of it.
    pub(super) fn parts(&self) -> [Hash; 2] {
        let freeze = self.freeze.map_or(Hash([0; 32]), |(_, id)| id);
        [freeze, Hash([u8::from(self.proven); 32])]
    }

    /// With the element that it has while its author is certified.
    pub(super) fn certified(mut self, network: &NetworkId, author: AuthorId, is: bool) -> Self {
        let subject = Subject::Author(author);
        self.element = is.then(|| element(network, "hundi v1 evidence", &subject, &self.parts()));
        self
    }
}

impl Replica {
    /// The element of every subject in the core: banks, then authors, in order.
    pub fn elements(&self) -> impl Iterator<Item = (Subject, Hash)> {
        let authors = self.authors_in(Range::ALL);
        let authors = authors.map(|(author, element)| (Subject::Author(*author), *element));
        self.bank_elements().chain(authors)
    }

    /// How many authors have an element in the core.
    pub fn core_len(&self) -> usize {
        self.core_len
    }

    /// How many entries the core holds.
    pub fn entries_len(&self) -> usize {
        self.entries_len
    }

    /// What every node must hear of first: the elements of all banks, and those of the freeze and
    /// the fact "proven" of every frozen or proven author.
    pub fn head_elements(&self) -> impl Iterator<Item = (Subject, Hash)> {
        let evidence = self.evidence_elements();
        let evidence = evidence.map(|(author, element)| (Subject::Author(*author), *element));
        self.bank_elements().chain(evidence)
    }

    /// The element of every frozen or proven author: the freezes and facts alone.
    pub fn evidence_elements(&self) -> impl Iterator<Item = (&AuthorId, &Hash)> {
        let evidence = self.evidence.iter();
        evidence.filter_map(|(author, held)| Some((author, held.element.as_ref()?)))
    }

    fn bank_elements(&self) -> impl Iterator<Item = (Subject, Hash)> {
        self.bank_elements.iter().map(|(bank, element)| (Subject::Bank(*bank), *element))
    }

    /// The digest of the core: equal exactly where the core is equal.
    pub fn digest(&self) -> Hash {
        self.core.digest(&self.network())
    }

    /// A short value of the core under a fresh key, to compare with a peer.
    pub fn fingerprint(&self, key: &[u8; 32]) -> [u8; 8] {
        self.core.fingerprint(key)
    }

    /// A short value of [`Replica::head_elements`] under a fresh key.
    pub fn head_fingerprint(&self, key: &[u8; 32]) -> [u8; 8] {
        self.head.fingerprint(key)
    }

    /// A short value of the freezes and proven authors alone under a fresh key.
    pub fn evidence_fingerprint(&self, key: &[u8; 32]) -> [u8; 6] {
        let mut evidence = self.head.clone();
        self.bank_elements.values().for_each(|element| evidence.replace(Some(element), None));
        let wide = evidence.fingerprint(key);
        core::array::from_fn(|at| wide[at])
    }

    /// The highest epoch of `bank` whose digest of freezes this replica holds in full; 0 when
    /// it does not hold those of the newest bulletin, or that one has no effect.
    pub fn freezes_epoch(&self, bank: BankNumber) -> u32 {
        let bulletin = self.bulletins.get(&bank).filter(|held| honoured(&self.trust, held));
        let Some(bulletin) = bulletin else { return 0 };
        let held = self.evidence.range(bank_range(bank)).filter_map(|(_, held)| held.freeze);
        let freezes: Vec<Hash> =
            held.filter(|(epoch, _)| *epoch <= bulletin.epoch).map(|(_, id)| id).collect();
        let complete = freezes.len() == bulletin.freezes as usize
            && freezes_digest(&self.network(), freezes) == bulletin.freezes_digest;
        if complete { bulletin.epoch } else { 0 }
    }

    /// Whether a freeze bars an author.
    pub fn is_frozen(&self, author: &AuthorId) -> bool {
        self.evidence.get(author).is_some_and(|held| held.freeze.is_some())
    }

    /// Whether an author is proven to contradict itself.
    pub fn is_proven(&self, author: &AuthorId) -> bool {
        self.evidence.get(author).is_some_and(|held| held.proven)
    }

    /// Every frozen author, in order.
    pub fn frozen(&self) -> impl Iterator<Item = &AuthorId> {
        self.evidence.iter().filter(|(_, held)| held.freeze.is_some()).map(|(author, _)| author)
    }

    /// Every author proven to contradict itself, in order.
    pub fn proven(&self) -> impl Iterator<Item = &AuthorId> {
        self.evidence.iter().filter(|(_, held)| held.proven).map(|(author, _)| author)
    }

    /// Brings the element of a bank in line with its records.
    pub(super) fn settle_bank(&mut self, bank: BankNumber) {
        let mut parts: Vec<Hash> = self.trust.of(bank).map(|held| held.id()).collect();
        parts.extend(self.bulletins.get(&bank).map(|held| held.id()));
        let network = self.network();
        let new = (!parts.is_empty())
            .then(|| element(&network, "hundi v1 core element", &Subject::Bank(bank), &parts));
        let old = match new {
            Some(hash) => self.bank_elements.insert(bank, hash),
            None => self.bank_elements.remove(&bank),
        };
        self.core.replace(old.as_ref(), new.as_ref());
        self.head.replace(old.as_ref(), new.as_ref());
    }

    /// Brings the slot of an author that is in memory, and the sums, in line with what is held.
    pub(super) fn settle(&mut self, author: AuthorId) {
        let (network, bank_time) = (self.network(), self.bank_time(author.bank));
        let Some(known) = self.slots.get(&author).and_then(|slot| slot.resident()) else { return };
        let certified = known.is_certified(&self.trust, bank_time);
        let new = certified.then(|| {
            let parts = known.element_parts(&self.marks);
            element(&network, "hundi v1 core element", &Subject::Author(author), &parts)
        });
        let evidence = Evidence::of(known).map(|held| held.certified(&network, author, certified));
        let cached: Vec<Hash> = known.cached().map(|claim| claim.id).collect();
        let lapses = known.grants().map(|grant| grant.claim_until).min().unwrap_or(0);
        let entries = u16::try_from(known.entries().len()).unwrap_or(u16::MAX);
        let mut changed = self.set_evidence(author, evidence);
        changed |= self.set_cached(author, cached);
        changed |= self.set_slot(author, new, lapses, entries);
        if changed {
            self.changed.insert(author);
        }
    }

    /// Forgets an author of which nothing is held any more.
    pub(super) fn remove(&mut self, author: &AuthorId) {
        self.set_evidence(*author, None);
        self.set_cached(*author, Vec::new());
        self.set_slot(*author, None, 0, 0);
        self.outside.retain(|held| held != author);
        self.slots.remove(author);
        self.changed.insert(*author);
    }

    /// Sets what the slot of an author says, and the sums that follow; returns whether it is new.
    pub(super) fn set_slot(
        &mut self,
        author: AuthorId,
        element: Option<Hash>,
        lapses: u32,
        entries: u16,
    ) -> bool {
        let outside = self.is_outside(&author);
        let Some(slot) = self.slots.get_mut(&author) else { return false };
        let old = (slot.element, slot.lapses, slot.entries);
        (slot.element, slot.lapses, slot.entries) = (element, lapses, entries);
        if outside {
            return old != (element, lapses, entries);
        }
        self.core.replace(old.0.as_ref(), element.as_ref());
        // Each of these counts what is in the slots, so none can fall below zero.
        self.core_len =
            self.core_len + usize::from(element.is_some()) - usize::from(old.0.is_some());
        self.entries_len = self.entries_len + usize::from(entries) - usize::from(old.2);
        old != (element, lapses, entries)
    }

    /// Sets the evidence about an author; returns whether it is new.
    pub(super) fn set_evidence(&mut self, author: AuthorId, new: Option<Evidence>) -> bool {
        let old = match new {
            Some(held) => self.evidence.insert(author, held),
            None => self.evidence.remove(&author),
        };
        let element = |held: &Option<Evidence>| held.and_then(|held| held.element);
        self.head.replace(element(&old).as_ref(), element(&new).as_ref());
        old != new
    }

    /// Sets the cached entries of an author; returns whether they are new.
    pub(super) fn set_cached(&mut self, author: AuthorId, ids: Vec<Hash>) -> bool {
        if ids.is_empty() {
            return self.cached.remove(&author).is_some();
        }
        let changed = self.cached.get(&author) != Some(&ids);
        self.cached.insert(author, ids);
        changed
    }
}

pub(super) fn element(
    network: &NetworkId,
    context: &'static str,
    subject: &Subject,
    parts: &[Hash],
) -> Hash {
    let name = key::subject_bytes(subject);
    let mut input: Vec<&[u8]> = alloc::vec![&name];
    input.extend(parts.iter().map(|part| &part.0[..]));
    hash_in(context, network, &input)
}
