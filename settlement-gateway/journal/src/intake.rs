//! Intake: submitted items are decoded, deduplicated by their complete bytes, verified in a batch
//! grouped by author, made durable and decided, each from itself alone.
//!
//! One bad item never spoils its batch. Nothing is recorded of bytes whose signature does not
//! hold, so that a forged, truncated or body-less copy never burns the genuine entry's verdict.

use crate::bank::Work;
use crate::event::Change;
use crate::limits::{
    AFTER_PROOF_PER_AUTHOR_MAX, ITEMS_PER_SUBMISSION_MAX, UNDECIDED_PER_AUTHOR_MAX,
};
use crate::output::{Later, Outputs, Rejected, Verdict, Wants};
use crate::state::Standing;
use alloc::collections::BTreeMap;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use hundi_ledger::id::{Hash, PublicKey};
use hundi_ledger::record::Verified;
use hundi_ledger::record::entry::{Class, Entry, Kind};
use hundi_ledger::record::item::Item;
use hundi_ledger::seal::open;
use hundi_ledger::trust::{VerifiedItem, VerifyError};

/// What a stopped bank answers to a submission.
pub(crate) fn stopped(items: usize) -> Outputs {
    Outputs { verdicts: vec![Verdict::Later(Later::Stopped); items], ..Outputs::default() }
}

/// A verified entry with its place in the submission and the hash of its complete bytes.
type Placed = (usize, Hash, Verified<Entry>);

/// The answer to one item, or the entry whose answer is read off once the batch is done.
enum Answer {
    Given(Verdict),
    Entry { id: Hash, duplicate: bool },
}

impl Work<'_> {
    pub(crate) fn submit(&mut self, items: &[Vec<u8>]) {
        let network = self.bank.network.id();
        let mut answers: BTreeMap<usize, Answer> = BTreeMap::new();
        let mut entries: Vec<(usize, Hash, Entry)> = Vec::new();
        let mut seen: BTreeMap<Hash, usize> = BTreeMap::new();
        let mut repeated: Vec<(usize, usize)> = Vec::new();
        let mut receipts = Vec::new();
        let mut records = Vec::new();
        for (at, bytes) in items.iter().enumerate() {
            if at >= ITEMS_PER_SUBMISSION_MAX {
                let answer = Verdict::Later(Later::Capacity { proof: None });
                answers.insert(at, Answer::Given(answer));
                continue;
            }
            match Item::decode(&network, bytes) {
                Err(_) => {
                    answers.insert(at, Answer::Given(Verdict::Rejected(Rejected::Malformed)));
                }
                Ok(Item::Entry(entry)) => {
                    let hash = Hash(*blake3::hash(bytes).as_bytes());
                    let held = self.state().entries.get(&entry.id());
                    if held.is_some_and(|held| held.bytes == Some(hash)) {
                        let answer = Answer::Entry { id: entry.id(), duplicate: true };
                        answers.insert(at, answer);
                    } else if let Some(first) = seen.get(&hash) {
                        repeated.push((at, *first));
                    } else {
                        seen.insert(hash, at);
                        entries.push((at, hash, entry));
                    }
                }
                Ok(Item::Receipt(receipt)) => receipts.push((at, receipt)),
                Ok(other) => records.push((at, other)),
            }
        }
        for (at, record) in records {
            let verdict = self.take_record(record);
            answers.insert(at, Answer::Given(verdict));
            if self.state().fault.is_some() {
                self.out.verdicts = answer_all(items.len(), |at| match answers.remove(&at) {
                    Some(Answer::Given(verdict)) => verdict,
                    _ => Verdict::Later(Later::Stopped),
                });
                return;
            }
        }
        let (verified, forged) = self.verify_entries(entries);
        for at in forged {
            answers.insert(at, Answer::Given(Verdict::Rejected(Rejected::Signature)));
        }
        // Receipts first: what a payee states counts for its entry in the same batch.
        let arriving: BTreeSet<Hash> = verified.iter().map(|(_, _, entry)| entry.id()).collect();
        for (at, receipt) in receipts {
            let verdict = self.take_receipt(receipt, &arriving);
            answers.insert(at, Answer::Given(verdict));
        }
        for (at, hash, entry) in verified {
            let answer = self.take_entry(entry, hash);
            answers.insert(at, answer);
        }
        for (at, first) in repeated {
            let answer = match answers.get(&first) {
                Some(Answer::Entry { id, .. }) => Answer::Entry { id: *id, duplicate: true },
                Some(Answer::Given(verdict)) => Answer::Given(verdict.clone()),
                None => continue,
            };
            answers.insert(at, answer);
        }
        self.retry_waiting();
        self.out.verdicts = answer_all(items.len(), |at| match answers.remove(&at) {
            Some(Answer::Given(verdict)) => verdict,
            Some(Answer::Entry { id, duplicate }) => self.verdict_on(id, duplicate),
            None => Verdict::Later(Later::Capacity { proof: None }),
        });
    }

    /// Verifies entries in one batch, grouped by author; singly where a batch does not verify.
    /// Returns the verified ones in the order given, and the places of the others.
    fn verify_entries(
        &mut self,
        mut entries: Vec<(usize, Hash, Entry)>,
    ) -> (Vec<Placed>, Vec<usize>) {
        // The batch equation shares work between signatures of one key.
        entries.sort_by_key(|(_, _, entry)| entry.header().author);
        let places: Vec<(usize, Hash)> = entries.iter().map(|(at, hash, _)| (*at, *hash)).collect();
        let entries: Vec<Entry> = entries.into_iter().map(|(_, _, entry)| entry).collect();
        let mut verified = Vec::new();
        let mut forged = Vec::new();
        let seed = self.draw();
        let verifier = &mut self.bank.verifier;
        match Entry::verify_all(entries, seed, verifier) {
            Ok(all) => {
                let placed = places.into_iter().zip(all);
                verified.extend(placed.map(|((at, hash), entry)| (at, hash, entry)));
            }
            Err(entries) => {
                for ((at, hash), entry) in places.into_iter().zip(entries) {
                    match entry.verify_with(verifier) {
                        Ok(entry) => verified.push((at, hash, entry)),
                        Err(_) => forged.push(at),
                    }
                }
            }
        }
        verified.sort_by_key(|(at, ..)| *at);
        (verified, forged)
    }

    fn take_entry(&mut self, entry: Verified<Entry>, bytes: Hash) -> Answer {
        let (id, header) = (entry.id(), entry.header());
        let (key, serial) = (header.author.key, header.serial);
        let later = |why| Answer::Given(Verdict::Later(why));
        if header.author.bank != self.state().bank {
            return later(Later::OtherBank);
        }
        let Some(author) = self.state().authors.get(&key) else {
            return later(Later::AuthorUnknown);
        };
        if !author.grants.contains_key(&serial) {
            return later(Later::GrantUnknown);
        }
        let held = self.state().entries.get(&id).map(|held| held.standing);
        if held.is_some_and(|standing| standing != Standing::HeaderOnly) {
            return Answer::Entry { id, duplicate: true };
        }
        let undecided = author.unopened as usize + author.waiting.len();
        let crowded = undecided >= UNDECIDED_PER_AUTHOR_MAX && self.may_wait(&id, &entry);
        let author = self.state().authors.get(&key);
        let proof = author.and_then(|author| author.proof.clone());
        let flooded = author
            .is_some_and(|it| it.after_proof as usize >= AFTER_PROOF_PER_AUTHOR_MAX)
            && !self.is_below(&key, serial, header.spent_total);
        if crowded || flooded {
            return later(Later::Capacity { proof: proof.as_deref().map(proof_item) });
        }
        let class = header.kind.class();
        let body = if class == Class::Money { entry.body().to_vec() } else { Vec::new() };
        let change = Change::EntryReceived { header: entry.signed_header(), bytes, body };
        self.record(change, Vec::new());
        self.look_for_contradiction(key, &entry.claim());
        if class == Class::Money {
            self.touched.insert(key);
        }
        self.decide(id, true);
        Answer::Entry { id, duplicate: false }
    }

    /// Whether an entry may have to wait once it is durable: for a disclosure, or as a refund.
    fn may_wait(&mut self, id: &Hash, entry: &Entry) -> bool {
        let disclosed = self.state().waiting_receipts.contains_key(id);
        match entry.header().kind {
            Kind::PAYMENT => !disclosed && !self.opens(entry),
            Kind::REFUND => true,
            _ => false,
        }
    }

    /// Whether an entry opens under the key that the bank derives.
    fn opens(&mut self, entry: &Entry) -> bool {
        let key = self.derived_key(entry.header());
        let network = self.bank.network.id();
        key.is_some_and(|key| open(&network, entry.header(), entry.body(), &key).is_ok())
    }

    /// The answer to an entry that is recorded: its own outcome, never that of another entry with
    /// the same sequence number; with the proof if there is one.
    pub(crate) fn verdict_on(&self, entry: Hash, duplicate: bool) -> Verdict {
        let state = self.state();
        let Some(held) = state.entries.get(&entry) else {
            return Verdict::Later(Later::EntryUnknown);
        };
        let author = state.authors.get(&held.header.header.author.key);
        let wants = match held.standing {
            Standing::HeaderOnly | Standing::Unopened => Wants::Disclosure,
            Standing::Waiting { .. } => Wants::Original,
            Standing::Contested | Standing::Provisional { .. } | Standing::Decided(_) => {
                let outcome = held.standing.outcome();
                let proof = author.and_then(|author| author.proof.as_deref()).map(proof_item);
                return match outcome {
                    Some(outcome) => Verdict::Decided { entry, outcome, duplicate, proof },
                    None => Verdict::Later(Later::EntryUnknown),
                };
            }
        };
        Verdict::Held { entry, wants, duplicate }
    }

    /// Proofs and bank records.
    fn take_record(&mut self, item: Item) -> Verdict {
        let trust = self.trust();
        match trust.verify_with(item.clone(), &mut self.bank.verifier) {
            Ok(VerifiedItem::Proof(proof)) => self.take_proof(&proof),
            Ok(_) => self.compare_with_books(&item),
            Err(VerifyError::UnknownCertificate { bank, .. }) if bank == self.state().bank => {
                Verdict::Later(Later::CertificateUnknown)
            }
            Err(VerifyError::UnknownCertificate { .. } | VerifyError::UnknownBank(_)) => {
                Verdict::Later(Later::OtherBank)
            }
            Err(VerifyError::Role { .. } | VerifyError::Rule(_) | VerifyError::Signature(_)) => {
                Verdict::Rejected(Rejected::Signature)
            }
        }
    }

    /// Author key of an entry that is held.
    pub(crate) fn key_of(&self, id: &Hash) -> Option<PublicKey> {
        Some(self.state().entries.get(id)?.header.header.author.key)
    }
}

/// The item of an encoded proof.
pub(crate) fn proof_item(proof: &[u8]) -> Vec<u8> {
    let mut item = vec![PROOF_TAG];
    item.extend_from_slice(proof);
    item
}

/// The item tag of a proof ([`Item`]).
const PROOF_TAG: u8 = 6;

fn answer_all(count: usize, answer: impl FnMut(usize) -> Verdict) -> Vec<Verdict> {
    (0..count).map(answer).collect()
}
