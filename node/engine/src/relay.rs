//! Taking items in, whatever way they came: decoded, looked at cheaply, verified, applied, stored,
//! forwarded where they are news, and shown to the wallet.

use crate::engine::Engine;
use crate::input::{LinkId, LinkKind};
use crate::output::{Event, Output, Published};
use crate::step::Step;
use hundi_ledger::id::AuthorId;
use hundi_ledger::limits::CACHE_ENTRIES_PER_AUTHOR_MAX;
use hundi_ledger::record::Signed;
use hundi_ledger::record::entry::{Entry, SignedHeader};
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::record::proof::{Claim, Proof};
use hundi_ledger::record::receipt::Receipt;
use hundi_ledger::replica::author::Refusal;
use hundi_ledger::replica::{Change, Key, Shelf, Status};
use hundi_ledger::trust::{VerifiedItem, VerifyError};

/// Where an item came from; it is not sent back there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Link(LinkId),
    /// The transport forwards it by itself, once accepted.
    Gossip,
    Local,
    /// Offered on every link by whoever applies it.
    Offered,
}

impl Source {
    pub(crate) fn link(self) -> Option<LinkId> {
        match self {
            Source::Link(link) => Some(link),
            Source::Gossip | Source::Local | Source::Offered => None,
        }
    }
}

/// How an entry came, besides its source.
#[derive(Default)]
pub(crate) struct Offered {
    /// Its payer wants an answer on the link.
    pub(crate) offered: bool,
    /// The header before it.
    pub(crate) previous: Option<SignedHeader>,
}

impl From<Status> for Published {
    fn from(status: Status) -> Self {
        match status {
            Status::Stored | Status::Cached => Published::Taken,
            Status::Known | Status::Decided => Published::Known,
            Status::MissingGrant => Published::Uncertified,
            Status::BeyondWindow | Status::Refused => Published::NotCarried,
        }
    }
}

impl From<VerifyError> for Published {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::UnknownCertificate { .. } => Published::Uncertified,
            VerifyError::UnknownBank(_)
            | VerifyError::Role { .. }
            | VerifyError::Rule(_)
            | VerifyError::Signature(_) => Published::Invalid,
        }
    }
}

impl Engine {
    pub(crate) fn take(&mut self, step: &mut Step<'_>, bytes: &[u8], source: Source) -> Published {
        match Item::decode(&self.network, bytes) {
            Err(_) => Published::Invalid,
            Ok(Item::Entry(entry)) => self.take_entry(step, entry, Offered::default(), source),
            Ok(Item::Receipt(receipt)) => self.take_receipt(step, receipt, source),
            Ok(Item::Proof(proof)) => self.take_proof(step, proof, source),
            Ok(item) => self.take_record(step, item, source),
        }
    }

    fn take_record(&mut self, step: &mut Step<'_>, item: Item, source: Source) -> Published {
        let subject = item.subject();
        if self.is_held(&item, step) {
            return Published::Known;
        }
        let verified = match self.replica.trust().verify_with(item, &mut self.verifier) {
            Ok(verified) => verified,
            Err(error) => return error.into(),
        };
        let (status, news) = self.apply(step, verified, source);
        if news {
            self.news(step, subject);
        }
        status.into()
    }

    fn take_proof(&mut self, step: &mut Step<'_>, proof: Proof, source: Source) -> Published {
        let author = proof.author();
        // Before the costly part: who is not certified or proven already needs no proof.
        if !self.is_certified(&author) {
            return Published::Uncertified;
        }
        if self.replica.is_proven(&author) {
            return Published::Known;
        }
        let Ok(proof) = proof.verify_with(&mut self.verifier) else { return Published::Invalid };
        let (status, _) = self.apply(step, VerifiedItem::Proof(proof), source);
        self.news(step, Subject::Author(author));
        status.into()
    }

    fn take_receipt(
        &mut self,
        step: &mut Step<'_>,
        receipt: Signed<Receipt>,
        source: Source,
    ) -> Published {
        let certified = self.is_certified(&receipt.signer);
        let awaited = self.awaits_receipt(&receipt.signer);
        let done = self.wallet.as_ref().map(|wallet| &wallet.receipts_done);
        if done.is_some_and(|done| done.contains(&receipt.id())) {
            return Published::Known;
        }
        if !certified && !awaited {
            return Published::Uncertified;
        }
        let receipt = Item::Receipt(receipt);
        let item = match self.replica.trust().verify_with(receipt, &mut self.verifier) {
            Ok(item) => item,
            Err(error) => return error.into(),
        };
        if awaited && let VerifiedItem::Receipt(receipt) = &item {
            self.receipt_arrived(step, receipt);
        }
        if !certified {
            return Published::Uncertified;
        }
        self.apply(step, item, source).0.into()
    }

    pub(crate) fn take_entry(
        &mut self,
        step: &mut Step<'_>,
        entry: Entry,
        how: Offered,
        source: Source,
    ) -> Published {
        let author = entry.header().author;
        if how.offered && self.repeat_answer(step, &entry.id(), source.link()) {
            return Published::Known;
        }
        let claim = Claim::of(entry.header(), entry.id());
        let foreign = self.is_foreign(&author, &claim);
        let known = self.replica.author(&author, step);
        let known = known.is_some_and(|known| known.holds(&claim));
        if known && !foreign && !how.offered {
            return Published::Known;
        }
        let opened = self.open_entry(&entry, step);
        let refusal = self.refuses(&author, &claim, step);
        let evidence = !known && self.contradicts(&author, &claim, step);
        // Before the costly part: what is neither carried nor of use here is not verified.
        let intake = self.config.intake && refusal.is_some();
        let wanted = foreign || evidence || opened.is_some() || intake;
        if (known || refusal.is_some()) && !wanted {
            return refusal.map_or(Published::Known, Published::from);
        }
        if refusal == Some(Status::MissingGrant) && !foreign && !self.is_certified(&author) {
            return Published::Uncertified;
        }
        let Ok(entry) = entry.verify_with(&mut self.verifier) else { return Published::Invalid };
        if foreign {
            self.stop(step);
        }
        let (status, news) = match refusal {
            _ if known => (Status::Known, false),
            Some(refusal) if !evidence => (refusal, false),
            _ => self.apply(step, VerifiedItem::Entry(entry.clone()), source),
        };
        if self.config.intake && !known && !status.is_new() {
            step.event(Event::Intake { bytes: Item::Entry((*entry).clone()).encode() });
        }
        if let Some(opened) = opened {
            self.receive(step, entry, opened, how, source.link());
        }
        if news {
            self.news(step, Subject::Author(author));
        }
        status.into()
    }

    /// Whether an entry contradicts one that is held, of an author not yet proven to.
    fn contradicts(&self, author: &AuthorId, claim: &Claim, shelf: &dyn Shelf) -> bool {
        if !self.is_certified(author) || self.replica.is_proven(author) {
            return false;
        }
        let known = self.replica.author(author, shelf);
        known.is_some_and(|known| known.contradicted_by(claim).is_some())
    }

    /// What the replica would say to an entry that it does not hold, if it would not take it.
    fn refuses(&self, author: &AuthorId, claim: &Claim, shelf: &dyn Shelf) -> Option<Status> {
        let Some(known) = self.replica.author(author, shelf) else {
            return Some(Status::MissingGrant);
        };
        let bank_time = self.replica.bank_time(author.bank);
        match known.admits(self.replica.trust(), bank_time, claim) {
            Ok(()) => None,
            Err(Refusal::Proven | Refusal::Disputed) => {
                let full = known.cached().count() >= CACHE_ENTRIES_PER_AUTHOR_MAX;
                full.then_some(Status::BeyondWindow)
            }
            Err(refusal) => Some(refusal.into()),
        }
    }

    /// Whether this very record of a bank is held: then its signature has been verified.
    fn is_held(&self, item: &Item, shelf: &dyn Shelf) -> bool {
        let known = match item.subject() {
            Subject::Author(author) => self.replica.author(&author, shelf),
            Subject::Bank(_) => None,
        };
        match item {
            Item::Certificate(record) => {
                let mut held = self.replica.trust().of(record.bank);
                held.any(|held| held.id() == record.id())
            }
            Item::Bulletin(record) => {
                self.replica.bulletin(record.bank).is_some_and(|held| held.id() == record.id())
            }
            Item::Grant(record) => {
                let held = known.and_then(|known| known.grant(record.serial));
                held.is_some_and(|held| held.id() == record.id())
            }
            Item::Checkpoint(record) => {
                let held = known.and_then(|known| known.checkpoint());
                held.is_some_and(|held| held.id() == record.id())
            }
            Item::Freeze(record) => {
                let held = known.and_then(|known| known.freeze());
                held.is_some_and(|held| held.id() == record.id())
            }
            Item::Proof(_) | Item::Entry(_) | Item::Receipt(_) => false,
        }
    }

    pub(crate) fn is_certified(&self, author: &AuthorId) -> bool {
        self.replica.is_certified(author)
    }

    /// Whether the replica holds what belongs under a key of an entry.
    pub(crate) fn holds(&self, key: &Key, shelf: &dyn Shelf) -> bool {
        let Key::Entry(author, id) = key else { return false };
        self.replica.author(author, shelf).is_some_and(|known| {
            known.cached().any(|claim| claim.id == *id)
                || known.entries().any(|claim| claim.id == *id)
        })
    }

    /// Applies a verified item, stores what changed, and forwards what is new. Also says whether
    /// anything is: an entry that is not held may still bring a proof.
    pub(crate) fn apply(
        &mut self,
        step: &mut Step<'_>,
        item: VerifiedItem,
        source: Source,
    ) -> (Status, bool) {
        let proof_arrived = matches!(item, VerifiedItem::Proof(_));
        let applied = self.replica.apply(item, step);
        let mut fresh = alloc::vec::Vec::new();
        for change in applied.changes {
            match &change {
                Change::Put { key, .. } => fresh.push(*key),
                Change::Delete { key } => {
                    if self.wallet.as_ref().is_some_and(|wallet| wallet.keeps(key)) {
                        step.stored.set_aside(*key);
                        continue;
                    }
                }
            }
            step.change(change);
        }
        for key in fresh {
            if let Key::Grant(author, _) | Key::Checkpoint(author) = &key {
                self.push_again(author);
            }
            // What this very item made the replica drop again is not worth telling.
            if step.has_put(&key) {
                step.event(Event::ItemNew { key });
                // A proof made here has come from nobody: gossip carries the entry that arrived,
                // and whoever sent that need not have the one that it contradicts.
                let made_here = matches!(key, Key::Proof(_)) && !proof_arrived;
                self.forward(step, key, if made_here { Source::Local } else { source });
            }
        }
        if let Some(author) = applied.proven {
            step.event(Event::Proven { author });
        }
        if let Some(fault) = applied.fault {
            self.note_fault(step, fault);
        }
        (applied.status, applied.status.is_new() || applied.proven.is_some())
    }

    /// Gossips an item, and pushes it on the links that gossip does not reach.
    pub(crate) fn forward(&mut self, step: &mut Step<'_>, key: Key, source: Source) {
        if source != Source::Gossip && self.links.values().any(|link| link.kind == LinkKind::Gossip)
        {
            step.say(Output::Publish { after: 0, key });
        }
        if source == Source::Offered {
            return;
        }
        let targets: alloc::vec::Vec<LinkId> = self
            .links
            .iter()
            .filter(|(id, link)| link.kind == LinkKind::Mesh && source.link() != Some(**id))
            .map(|(id, _)| *id)
            .collect();
        for link in targets {
            self.send_item(step, link, key);
        }
    }

    /// Something about a subject is new: payments may be decided, and verdicts given, that waited.
    pub(crate) fn news(&mut self, step: &mut Step<'_>, subject: Subject) {
        if let Subject::Author(author) = subject {
            self.check_own_key(step, &author);
        }
        self.update(step, subject);
        self.judge_waiting(step, Some(subject));
    }
}
