//! Contradictions at the home bank: every new header is held against what is known of its log.

use crate::bank::Work;
use crate::event::Change;
use crate::output::{Later, Notification, Verdict};
use crate::state::{Author, State};
use alloc::vec::Vec;
use hundi_ledger::id::{Hash, PublicKey, Serial};
use hundi_ledger::money::Amount;
use hundi_ledger::record::Verified;
use hundi_ledger::record::entry::Class;
use hundi_ledger::record::freeze::FreezeReason;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::proof::{Claim, Proof};

impl State {
    /// The entries of an author that contradict `claim`.
    ///
    /// As long as all that is held fits together, the nearest entries before and after decide: a
    /// header that fits between them fits everywhere, because serials and totals only ascend.
    fn contradicting(&self, author: &Author, claim: &Claim) -> Vec<Hash> {
        let class = claim.kind.class();
        let sequence = claim.sequence();
        let (first, last) = ((class, 0), (class, u32::MAX));
        let at = (class, sequence);
        let contradicts =
            |id: &&Hash| self.entries.get(*id).is_some_and(|held| held.claim.contradicts(claim));
        if author.proof.is_some() {
            let all = author.index.range(first..=last).flat_map(|(_, ids)| ids);
            return all.filter(contradicts).copied().collect();
        }
        let before = author.index.range(first..at).next_back();
        let after = author.index.range(at..=last).find(|(place, _)| **place != at);
        let same = author.index.get_key_value(&at);
        let near = [before, same, after].into_iter().flatten().flat_map(|(_, ids)| ids);
        near.filter(contradicts).copied().collect()
    }
}

impl Work<'_> {
    /// Holds a header that was just recorded against the log. The first contradiction freezes the
    /// author, publishes the proof and opens a review case; each lowers what counts as promised
    /// below it.
    pub(crate) fn look_for_contradiction(&mut self, key: PublicKey, claim: &Claim) {
        let state = self.state();
        let Some(author) = state.authors.get(&key) else { return };
        let found = state.contradicting(author, claim);
        if found.is_empty() {
            return;
        }
        let new = author.proof.is_none();
        let proof = found.first().filter(|_| new).and_then(|other| self.prove(&claim.id, other));
        let mut lowest: Vec<(Serial, Amount)> = Vec::new();
        if claim.kind.class() == Class::Money {
            let claims = found.iter().filter_map(|id| Some(state.entries.get(id)?.claim));
            // What arrives after claim-until claims nothing, and takes nothing from who did.
            let live = |claim: &Claim| {
                let grant = author.grants.get(&claim.serial);
                grant
                    .is_none_or(|it| !it.claims_ended && self.now < u64::from(it.grant.claim_until))
            };
            for claim in claims.chain([*claim]).filter(live) {
                let held = state.cases.get(&key).and_then(|it| it.lowest.get(&claim.serial));
                let planned = lowest.iter_mut().find(|(serial, _)| *serial == claim.serial);
                match planned {
                    Some((_, start)) => *start = claim.start.min(*start),
                    None if held.is_none_or(|held| claim.start < *held) => {
                        lowest.push((claim.serial, claim.start));
                    }
                    None => {}
                }
            }
        }
        if !new && lowest.is_empty() {
            return;
        }
        let bearer = author.grants.get(&claim.serial).is_some_and(|it| it.grant.is_bearer());
        let customer = author.customer;
        let bytes = proof.as_ref().map(|proof| proof.encode());
        self.record(Change::Contradicted { author: key, proof: bytes, lowest }, Vec::new());
        if let Some(proof) = proof {
            self.publish(&Item::Proof(proof.into_inner()));
            // A proof against a bearer key stops the key and accuses nobody.
            if !bearer {
                self.notify(Notification::CaseOpened { author: key, customer });
            }
        }
        self.freeze(key, FreezeReason::Contradiction);
    }

    /// The proof that two held headers make.
    fn prove(&self, a: &Hash, b: &Hash) -> Option<Verified<Proof>> {
        let network = self.bank.network.id();
        let header = |id| {
            let held = self.state().entries.get(id)?;
            // Verified at intake; verified again because state holds plain data.
            held.header.clone().verify(&network).ok()
        };
        Proof::new(&network, &header(a)?, &header(b)?)
    }

    /// Takes a proof from elsewhere: both headers become known, and show what they show.
    pub(crate) fn take_proof(&mut self, proof: &Verified<Proof>) -> Verdict {
        let author = proof.author();
        if author.bank != self.state().bank {
            return Verdict::Later(Later::OtherBank);
        }
        let Some(known) = self.state().authors.get(&author.key) else {
            return Verdict::Later(Later::AuthorUnknown);
        };
        // A second proof adds nothing that its entries will not add when they come.
        let duplicate = known.proof.is_some();
        if !duplicate {
            for (header, claim) in proof.headers().into_iter().zip(proof.claims()) {
                if !self.state().entries.contains_key(&claim.id) {
                    self.record(Change::HeaderReceived { header }, Vec::new());
                    self.look_for_contradiction(author.key, claim);
                }
            }
        }
        Verdict::Taken { id: proof.id(), duplicate }
    }

    /// Whether contradicting headers are known under this grant.
    pub(crate) fn is_contested(&self, key: &PublicKey, serial: Serial) -> bool {
        self.state().cases.get(key).is_some_and(|case| case.lowest.contains_key(&serial))
    }

    /// Whether what ends at `total` was promised below every contradicting header of its grant.
    pub(crate) fn is_below(&self, key: &PublicKey, serial: Serial, total: Amount) -> bool {
        let case = self.state().cases.get(key);
        let lowest = case.and_then(|case| case.lowest.get(&serial));
        lowest.is_none_or(|lowest| total <= *lowest)
    }
}
