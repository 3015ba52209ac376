//! Intake: submitted items, decoded, deduplicated by their complete bytes and verified
//! ([`crate::prepare`]), are made durable and decided, each from itself alone.
//!
//! One bad item never spoils its batch. Nothing is recorded of bytes whose signature does not
//! hold, so that a forged, truncated or body-less copy never burns the genuine entry's verdict.

use crate::bank::{Bank, Work};
use crate::event::Change;
use crate::limits::{AFTER_PROOF_PER_AUTHOR_MAX, UNDECIDED_PER_AUTHOR_MAX};
use crate::output::{Later, Rejected, Verdict, Wants};
use crate::prepare::{Checked, Piece, Reading, Submission, read};
use crate::state::Standing;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use hundi_ledger::id::{Hash, PublicKey};
use hundi_ledger::record::entry::{Class, Entry, Kind};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::receipt::Receipt;
use hundi_ledger::record::{Signed, Verified};
use hundi_ledger::trust::{VerifiedItem, VerifyError};

/// The answer to one item, or the entry whose answer is read off once the batch is done.
enum Answer {
    Given(Verdict),
    Entry { id: Hash, duplicate: bool },
}

/// What of a submission has not been answered yet, each with its place.
#[derive(Default)]
struct Batch {
    records: Vec<(usize, Item)>,
    receipts: Vec<(usize, Checked<Signed<Receipt>>)>,
    /// With the hash of its complete bytes, and what its body says if that was read.
    entries: Vec<(usize, Hash, Verified<Entry>, Option<Reading>)>,
    forged: Vec<usize>,
    /// The same bytes as an earlier item.
    repeated: Vec<(usize, usize)>,
}

impl Work<'_> {
    pub(crate) fn submit(&mut self, mut submission: Submission) {
        let count = submission.len();
        if self.state().fault.is_some() {
            self.out.verdicts = answer_all(count, |_| Verdict::Later(Later::Stopped));
            return;
        }
        self.prepare(&mut submission);
        let mut answers: BTreeMap<usize, Answer> = BTreeMap::new();
        let batch = sort(submission.pieces, &mut answers);
        for (at, record) in batch.records {
            let verdict = self.take_record(record);
            answers.insert(at, Answer::Given(verdict));
            if self.state().fault.is_some() {
                self.out.verdicts = answer_all(count, |at| match answers.remove(&at) {
                    Some(Answer::Given(verdict)) => verdict,
                    _ => Verdict::Later(Later::Stopped),
                });
                return;
            }
        }
        for at in batch.forged {
            answers.insert(at, Answer::Given(Verdict::Rejected(Rejected::Signature)));
        }
        // Receipts first: what a payee states counts for its entry in the same batch.
        let arriving: BTreeSet<Hash> = batch.entries.iter().map(|(_, _, it, _)| it.id()).collect();
        for (at, receipt) in batch.receipts {
            let verdict = self.take_receipt(receipt, &arriving);
            answers.insert(at, Answer::Given(verdict));
        }
        for (at, bytes, entry, reading) in batch.entries {
            self.reading = reading.map(|reading| (entry.id(), reading));
            let answer = self.take_entry(entry, bytes);
            answers.insert(at, answer);
        }
        for (at, first) in batch.repeated {
            let answer = match answers.get(&first) {
                Some(Answer::Entry { id, .. }) => Answer::Entry { id: *id, duplicate: true },
                Some(Answer::Given(verdict)) => Answer::Given(verdict.clone()),
                None => continue,
            };
            answers.insert(at, answer);
        }
        self.retry_waiting();
        self.out.verdicts = answer_all(count, |at| match answers.remove(&at) {
            Some(Answer::Given(verdict)) => verdict,
            Some(Answer::Entry { id, duplicate }) => self.verdict_on(id, duplicate),
            None => Verdict::Later(Later::Capacity { proof: None }),
        });
    }

    /// Prepares what nobody has prepared ahead.
    fn prepare(&mut self, submission: &mut Submission) {
        let seed = self.draw();
        let submissions = &mut [submission];
        for part in self.bank.divide(submissions, 1) {
            let Bank { verifier, shared, .. } = &mut *self.bank;
            part.prepare(seed, self.keys, verifier, shared).give_back(submissions);
        }
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
        let Bank { network, state, shared, .. } = &mut *self.bank;
        let (header, body) = (entry.header(), entry.body());
        let Some(pair) = state.pair_of(header) else { return false };
        let opened = read(&network.id(), header, body, pair, self.keys, shared);
        matches!(opened, Some(Ok(_)))
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
        match self.verify(item.clone()) {
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

/// Sorts what is prepared by what is to be done with it; what is answered without the books already
/// is in `answers`.
fn sort(pieces: Vec<Piece>, answers: &mut BTreeMap<usize, Answer>) -> Batch {
    let mut batch = Batch::default();
    let mut first: BTreeMap<Hash, usize> = BTreeMap::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        match piece {
            Piece::Absent => {}
            Piece::Malformed => {
                answers.insert(at, Answer::Given(Verdict::Rejected(Rejected::Malformed)));
            }
            Piece::Record(item) => batch.records.push((at, item)),
            Piece::Receipt(receipt) => batch.receipts.push((at, receipt)),
            Piece::Entry { bytes, entry: Checked::Verified(entry), reading } => {
                first.insert(bytes, at);
                batch.entries.push((at, bytes, entry, reading));
            }
            Piece::Entry { bytes, entry: Checked::Forged(_), .. } => {
                first.insert(bytes, at);
                batch.forged.push(at);
            }
            // Not worth preparing: these very bytes come before it, or are recorded.
            Piece::Entry { bytes, entry: Checked::Unverified(entry), .. } => {
                match first.get(&bytes) {
                    Some(first) => batch.repeated.push((at, *first)),
                    None => {
                        let answer = Answer::Entry { id: entry.id(), duplicate: true };
                        answers.insert(at, answer);
                    }
                }
            }
        }
    }
    batch
}

fn answer_all(count: usize, answer: impl FnMut(usize) -> Verdict) -> Vec<Verdict> {
    (0..count).map(answer).collect()
}
