//! What is known about one author: its bank's records, the proof against it, its entries.

use super::elements::{Evidence, Marks};
use super::{Change, Key, Status, honoured};
use crate::id::{AuthorId, Hash, Serial};
use crate::limits::{CACHE_ENTRIES_PER_AUTHOR_MAX, CARRY_WINDOW, GRANTS_PER_AUTHOR_MAX};
use crate::record::checkpoint::Checkpoint;
use crate::record::entry::{Class, Entry};
use crate::record::freeze::Freeze;
use crate::record::grant::Grant;
use crate::record::item::{Item, Subject};
use crate::record::proof::{Claim, Proof};
use crate::record::{BankRecord, Signed, Verified};
use crate::sign::Verifier;
use crate::trust::Trust;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Everything held about one author.
#[derive(Clone, Debug, Default)]
pub struct Author {
    /// It lies outside the scope of this replica: what it signs goes to the cache.
    outside: bool,
    pub(super) grants: BTreeMap<Serial, Verified<Signed<Grant>>>,
    pub(super) checkpoint: Option<Verified<Signed<Checkpoint>>>,
    pub(super) freeze: Option<Verified<Signed<Freeze>>>,
    pub(super) proof: Option<Verified<Proof>>,
    pub(super) entries: BTreeMap<(Class, u32, Hash), Claim>,
    pub(super) cached: BTreeMap<Hash, Claim>,
}

/// Why an entry is not in the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No grant in effect certifies the author for that serial.
    MissingGrant,
    /// Beyond what the grant allows: limit, first sequence.
    Grant,
    /// Above the highest `carry_to` held.
    BeyondWindow,
    /// Decided, as the checkpoint says.
    Decided,
    /// At a place that the checkpoint decided otherwise: evidence for the bank.
    Disputed,
    /// The author lies outside the scope of this replica.
    OutOfScope,
    /// The author is proven to contradict itself.
    Proven,
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MissingGrant => Status::MissingGrant,
            Refusal::Grant => Status::Refused,
            Refusal::BeyondWindow => Status::BeyondWindow,
            Refusal::Decided => Status::Decided,
            Refusal::Disputed | Refusal::Proven | Refusal::OutOfScope => Status::Cached,
        }
    }
}

/// What inserting a bank record did.
pub(super) struct Inserted {
    /// Whether the record is held now and was not before.
    pub(super) changed: bool,
    /// The id of a held record with the same identity and version and other content.
    pub(super) contradicts: Option<Hash>,
    /// A grant that had to make place.
    pub(super) dropped_grant: Option<Serial>,
}

impl Author {
    /// One of which nothing is held yet, in or outside the scope of the replica.
    pub(super) fn new(outside: bool) -> Self {
        Self { outside, ..Self::default() }
    }

    /// An author as its stored items say, in whatever order they come, under the certificates and
    /// bank time under which they were stored. Entries that the records do not admit are passed
    /// over, and so is what does not decode: that is damage, which the store reports by itself.
    pub(super) fn from_stored(
        author: &AuthorId,
        outside: bool,
        items: impl Iterator<Item = Vec<u8>>,
        trust: &Trust,
        bank_time: u32,
    ) -> Self {
        let network = trust.network().id();
        let mut known = Self::new(outside);
        let mut claims: Vec<Claim> = Vec::new();
        for bytes in items {
            if let Some(entry) = Item::as_entry(&bytes) {
                let claim = Entry::stored_claim(&network, entry).ok();
                claims.extend(claim.filter(|(whose, _)| whose == author).map(|(_, claim)| claim));
            } else if let Ok(item) = Item::decode(&network, &bytes)
                && item.subject() == Subject::Author(*author)
            {
                known.take_stored(item);
            }
        }
        claims.sort_unstable_by_key(|claim| claim.id);
        for claim in claims {
            let _ = known.place(trust, bank_time, claim);
        }
        known
    }

    /// Takes back a stored record that is no entry.
    fn take_stored(&mut self, item: Item) {
        match item {
            Item::Grant(record) => {
                let _ = self.insert_grant(Verified::stored(record));
            }
            Item::Checkpoint(record) => {
                let _ = self.insert_checkpoint(Verified::stored(record));
            }
            Item::Freeze(record) => {
                let _ = self.insert_freeze(Verified::stored(record));
            }
            Item::Proof(proof) => self.proof = Some(Verified::stored(proof)),
            Item::Entry(_) | Item::Receipt(_) | Item::Certificate(_) | Item::Bulletin(_) => {}
        }
    }

    /// The grant of that serial, whether or not it has effect.
    pub fn grant(&self, serial: Serial) -> Option<&Verified<Signed<Grant>>> {
        self.grants.get(&serial)
    }

    /// All grants held, by ascending serial.
    pub fn grants(&self) -> impl DoubleEndedIterator<Item = &Verified<Signed<Grant>>> {
        self.grants.values()
    }

    /// The checkpoint held.
    pub fn checkpoint(&self) -> Option<&Verified<Signed<Checkpoint>>> {
        self.checkpoint.as_ref()
    }

    /// The freeze held. One without effect is not held.
    pub fn freeze(&self) -> Option<&Verified<Signed<Freeze>>> {
        self.freeze.as_ref()
    }

    /// The proof held.
    pub fn proof(&self) -> Option<&Verified<Proof>> {
        self.proof.as_ref()
    }

    /// The entries in the core, by class, sequence number and hash.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Claim> + ExactSizeIterator {
        self.entries.values()
    }

    /// The entries in the cache.
    pub fn cached(&self) -> impl Iterator<Item = &Claim> {
        self.cached.values()
    }

    /// The entries that sessions carry: those in the core, or, of an author outside the scope of this
    /// replica, those in the cache; by class, sequence number and hash.
    pub fn carried(&self) -> Vec<Claim> {
        if !self.outside {
            return self.entries.values().copied().collect();
        }
        let mut cached: Vec<Claim> = self.cached.values().copied().collect();
        cached.sort_unstable_by_key(|claim| (claim.kind.class(), claim.sequence(), claim.id));
        cached
    }

    /// Where everything held is stored.
    pub(super) fn keys(&self, author: AuthorId) -> Vec<Key> {
        let mut keys: Vec<Key> = self.grants.keys().map(|at| Key::Grant(author, *at)).collect();
        keys.extend(self.checkpoint.as_ref().map(|_| Key::Checkpoint(author)));
        keys.extend(self.freeze.as_ref().map(|_| Key::Freeze(author)));
        keys.extend(self.proof.as_ref().map(|_| Key::Proof(author)));
        let entries = self.entries.values().map(|claim| claim.id);
        let ids = entries.chain(self.cached.keys().copied());
        keys.extend(ids.map(|id| Key::Entry(author, id)));
        keys
    }

    /// The checkpoint, if it has effect.
    pub fn checkpoint_in_effect(&self, trust: &Trust) -> Option<&Verified<Signed<Checkpoint>>> {
        self.checkpoint.as_ref().filter(|checkpoint| honoured(trust, checkpoint))
    }

    /// The grant of that serial, if it has effect: honoured and not lapsed by bank time.
    pub fn grant_in_effect(
        &self,
        trust: &Trust,
        bank_time: u32,
        serial: Serial,
    ) -> Option<&Verified<Signed<Grant>>> {
        let grant = self.grants.get(&serial)?;
        (grant.claim_until >= bank_time && honoured(trust, grant)).then_some(grant)
    }

    /// Whether any grant in effect certifies this author.
    pub fn is_certified(&self, trust: &Trust, bank_time: u32) -> bool {
        self.grants.keys().any(|serial| self.grant_in_effect(trust, bank_time, *serial).is_some())
    }

    /// The last sequence number of class money that relays carry: the highest `carry_to` held.
    pub fn carry_to(&self, trust: &Trust) -> u32 {
        let grants = self.grants.values().filter(|grant| honoured(trust, grant));
        let granted = grants.map(|grant| grant.carry_to).max().unwrap_or(0);
        self.checkpoint_in_effect(trust).map_or(granted, |held| held.carry_to.max(granted))
    }

    /// Whether the records held admit an entry to the core. Looks at nothing but the records, so
    /// that the core does not depend on arrival order.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, trust: &Trust, bank_time: u32, claim: &Claim) -> Result<(), Refusal> {
        let grant =
            self.grant_in_effect(trust, bank_time, claim.serial).ok_or(Refusal::MissingGrant)?;
        if claim.spent_total > grant.limit || claim.sequence() < grant.first_sequence {
            return Err(Refusal::Grant);
        }
        // Before the window, whose lower edge knows nothing of evidence.
        if claim.kind.class() == Class::Money
            && let Some(checkpoint) = self.checkpoint_in_effect(trust)
        {
            admits_undecided(checkpoint, claim)?;
        }
        self.admits_sequence(self.carry_to(trust), claim)?;
        if self.proof.is_some() {
            return Err(Refusal::Proven);
        }
        if self.outside { Err(Refusal::OutOfScope) } else { Ok(()) }
    }

    /// The window: up to `carry_to`, and no further below it than a bank may carry beyond its
    /// frontier. So the core of one author is bounded even where its checkpoint is not held.
    fn admits_sequence(&self, carry_to: u32, claim: &Claim) -> Result<(), Refusal> {
        let sequence = claim.sequence();
        match claim.kind.class() {
            Class::Money if sequence > carry_to => Err(Refusal::BeyondWindow),
            Class::Money if sequence.saturating_add(CARRY_WINDOW) <= carry_to => {
                Err(Refusal::Decided)
            }
            // No checkpoint decides documents: what is carried of them is one window from the
            // start, until their retention is defined.
            Class::Document if sequence >= CARRY_WINDOW => Err(Refusal::BeyondWindow),
            Class::Money | Class::Document => Ok(()),
        }
    }

    /// Whether the entry is in the core or the cache.
    pub fn holds(&self, claim: &Claim) -> bool {
        self.cached.contains_key(&claim.id)
            || self.entries.contains_key(&(claim.kind.class(), claim.sequence(), claim.id))
    }

    /// A held entry that `claim` contradicts. An entry does not contradict itself.
    pub fn contradicted_by(&self, claim: &Claim) -> Option<&Claim> {
        self.entries.values().chain(self.cached.values()).find(|held| held.contradicts(claim))
    }

    pub(super) fn insert_grant(&mut self, grant: Verified<Signed<Grant>>) -> Inserted {
        let serial = grant.serial;
        let held = self.grants.get(&serial).map(|held| held.id());
        let contradicts = held.filter(|held| *held != grant.id());
        if held.is_some_and(|held| held >= grant.id()) {
            return Inserted { changed: false, contradicts, dropped_grant: None };
        }
        self.grants.insert(serial, grant);
        // The enrolment grant stays; of the others the highest serials.
        let lowest = self.grants.keys().find(|held| **held != Serial::ENROLMENT).copied();
        let spending =
            self.grants.len() - usize::from(self.grants.contains_key(&Serial::ENROLMENT));
        let dropped_grant = lowest.filter(|_| spending > GRANTS_PER_AUTHOR_MAX);
        if let Some(dropped) = dropped_grant {
            self.grants.remove(&dropped);
        }
        Inserted { changed: dropped_grant != Some(serial), contradicts, dropped_grant }
    }

    pub(super) fn insert_checkpoint(&mut self, new: Verified<Signed<Checkpoint>>) -> Inserted {
        let rank = |one: &Signed<Checkpoint>| (one.certificate, one.number, one.id());
        let held = self.checkpoint.as_ref();
        let contradicts = held
            .filter(|held| (held.certificate, held.number) == (new.certificate, new.number))
            .map(|held| held.id())
            .filter(|id| *id != new.id());
        let changed = held.is_none_or(|held| rank(held) < rank(&new));
        if changed {
            self.checkpoint = Some(new);
        }
        Inserted { changed, contradicts, dropped_grant: None }
    }

    pub(super) fn insert_freeze(&mut self, new: Verified<Signed<Freeze>>) -> Inserted {
        let rank = |one: &Signed<Freeze>| (one.epoch, one.id());
        let held = self.freeze.as_ref();
        let contradicts = held
            .filter(|held| (held.certificate, held.epoch) == (new.certificate, new.epoch))
            .map(|held| held.id())
            .filter(|id| *id != new.id());
        let changed = held.is_none_or(|held| rank(held) > rank(&new));
        if changed {
            self.freeze = Some(new);
        }
        Inserted { changed, contradicts, dropped_grant: None }
    }

    /// Drops what has lapsed by bank time: grants past their claim-until, and everything once no
    /// grant is left.
    pub(super) fn lapse(&mut self, author: AuthorId, bank_time: u32) -> Vec<Change> {
        let lapsed: Vec<Serial> = self
            .grants
            .values()
            .filter(|grant| grant.claim_until < bank_time)
            .map(|grant| grant.serial)
            .collect();
        let mut keys = Vec::new();
        for serial in lapsed {
            self.grants.remove(&serial);
            keys.push(Key::Grant(author, serial));
        }
        if self.grants.is_empty() {
            keys.extend(self.checkpoint.take().map(|_| Key::Checkpoint(author)));
            keys.extend(self.freeze.take().map(|_| Key::Freeze(author)));
            keys.extend(self.proof.take().map(|_| Key::Proof(author)));
            let entries = core::mem::take(&mut self.entries);
            keys.extend(entries.values().map(|claim| Key::Entry(author, claim.id)));
            let cached = core::mem::take(&mut self.cached);
            keys.extend(cached.keys().map(|id| Key::Entry(author, *id)));
        }
        keys.into_iter().map(|key| Change::Delete { key }).collect()
    }

    /// Sorts the entries held anew by what the records admit: into the core, into the cache what
    /// stays of use to payees or the bank, out of the replica the rest. A freeze without effect
    /// goes too.
    pub(super) fn sweep(&mut self, trust: &Trust, bank_time: u32, author: AuthorId) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.freeze.as_ref().is_some_and(|held| !honoured(trust, held)) {
            self.freeze = None;
            changes.push(Change::Delete { key: Key::Freeze(author) });
        }
        let cached = core::mem::take(&mut self.cached);
        let entries = core::mem::take(&mut self.entries);
        for claim in cached.into_values().chain(entries.into_values()) {
            if !self.place(trust, bank_time, claim).is_new() {
                changes.push(Change::Delete { key: Key::Entry(author, claim.id) });
            }
        }
        changes
    }

    /// Puts an entry where the records want it: into the core, the cache, or nowhere.
    pub(super) fn place(&mut self, trust: &Trust, bank_time: u32, claim: Claim) -> Status {
        match self.admits(trust, bank_time, &claim) {
            Ok(()) => {
                self.entries.insert((claim.kind.class(), claim.sequence(), claim.id), claim);
                Status::Stored
            }
            Err(Refusal::Proven | Refusal::Disputed | Refusal::OutOfScope) => {
                if self.cached.len() >= CACHE_ENTRIES_PER_AUTHOR_MAX {
                    return Status::BeyondWindow;
                }
                self.cached.insert(claim.id, claim);
                Status::Cached
            }
            Err(refusal) => refusal.into(),
        }
    }

    /// Drops the records that no longer verify under the bank's certificates.
    pub(super) fn drop_unverifiable(&mut self, trust: &Trust, author: AuthorId) -> Vec<Change> {
        fn fails<T: BankRecord + Clone>(trust: &Trust, held: &Verified<Signed<T>>) -> bool {
            trust.verify_record((**held).clone(), &mut Verifier::default()).is_err()
        }
        let mut keys = Vec::new();
        self.grants.retain(|serial, held| {
            let fails = fails(trust, held);
            keys.extend(fails.then_some(Key::Grant(author, *serial)));
            !fails
        });
        if self.checkpoint.as_ref().is_some_and(|held| fails(trust, held)) {
            self.checkpoint = None;
            keys.push(Key::Checkpoint(author));
        }
        if self.freeze.as_ref().is_some_and(|held| fails(trust, held)) {
            self.freeze = None;
            keys.push(Key::Freeze(author));
        }
        keys.into_iter().map(|key| Change::Delete { key }).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.grants.is_empty()
            && self.checkpoint.is_none()
            && self.freeze.is_none()
            && self.proof.is_none()
            && self.entries.is_empty()
            && self.cached.is_empty()
    }

    /// What the author's element in the digest covers, in order: the ids of grants, checkpoint and
    /// freeze, the fact "proven", and the hashes of the core entries.
    pub(super) fn element_parts(&self, marks: &Marks) -> Vec<Hash> {
        let mut parts: Vec<Hash> = self.grants.values().map(|grant| grant.id()).collect();
        parts.push(marks.checkpoint);
        parts.extend(self.checkpoint.as_ref().map(|held| held.id()));
        parts.push(marks.evidence);
        parts.extend(Evidence::of(self).iter().flat_map(Evidence::parts));
        parts.push(marks.entries);
        parts.extend(self.entries.values().map(|claim| claim.id));
        parts
    }
}

/// What the checkpoint leaves undecided is in the core; what it decided otherwise is evidence.
fn admits_undecided(checkpoint: &Checkpoint, claim: &Claim) -> Result<(), Refusal> {
    if checkpoint.outcome(claim.sequence(), &claim.id).is_some() {
        return Err(Refusal::Decided);
    }
    if claim.sequence() >= checkpoint.undecided_from() {
        return Ok(());
    }
    let disputed = match checkpoint.frontier {
        Some(frontier) if frontier.sequence == claim.sequence() => frontier.hash != claim.id,
        _ => checkpoint.names.iter().any(|name| name.sequence == claim.sequence()),
    };
    Err(if disputed { Refusal::Disputed } else { Refusal::Decided })
}
