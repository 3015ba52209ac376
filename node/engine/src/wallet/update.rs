//! What the bank's records do to this wallet: checkpoints decide payments, bank time lets them
//! lapse, and a word about our own key that this device does not know stops it for good.

use super::record::{LOG_KEY, PaymentState, Purpose, Record};
use crate::engine::Engine;
use crate::input::LinkId;
use crate::limits::CARRIERS_MAX;
use crate::output::Event;
use crate::step::Step;
use alloc::vec::Vec;
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::record::checkpoint::{Checkpoint, Outcome, tag};
use hundi_ledger::record::item::Subject;
use hundi_ledger::record::proof::Claim;
use hundi_ledger::replica::{Key, Shelf};

/// How long after a grant's claim-until an outcome may still come: what the bank could not open by
/// then it decides within these seconds.
const OUTCOME_WITHIN_S: u32 = 7 * 24 * 3600;

impl Engine {
    /// Whether an entry is signed with this device's own key, but not by this device.
    pub(crate) fn is_foreign(&self, author: &AuthorId, claim: &Claim) -> bool {
        self.wallet.as_ref().is_some_and(|wallet| {
            wallet.keys.author == *author
                && claim.kind.class() == hundi_ledger::record::entry::Class::Money
                && !wallet.knows_own(claim)
        })
    }

    /// Never signs with this key again (invariant I7).
    pub(crate) fn stop(&mut self, step: &mut Step<'_>) {
        let Some(wallet) = self.wallet.as_mut().filter(|wallet| !wallet.log.is_stopped()) else {
            return;
        };
        wallet.log.stop();
        step.put_state(LOG_KEY.to_vec(), &wallet.log);
        step.event(Event::Stopped);
    }

    /// Stops if the records held of our own key speak of an entry that this device did not sign.
    pub(crate) fn check_own_key(&mut self, step: &mut Step<'_>, author: &AuthorId) {
        if self.is_used_elsewhere(author, step) {
            self.stop(step);
        }
    }

    pub(crate) fn is_used_elsewhere(&self, author: &AuthorId, shelf: &dyn Shelf) -> bool {
        let Some(wallet) = self.wallet.as_ref().filter(|wallet| wallet.keys.author == *author)
        else {
            return false;
        };
        let Some(known) = self.replica.author(author, shelf) else { return false };
        if known.proof().is_some() {
            return true;
        }
        let foreign = |claim: &Claim| self.is_foreign(author, claim);
        if known.entries().any(foreign) || known.cached().any(foreign) {
            return true;
        }
        let Some(checkpoint) = known.checkpoint_in_effect(self.replica.trust()) else {
            return false;
        };
        let frontier = checkpoint
            .frontier
            .is_some_and(|frontier| wallet.own.get(&frontier.sequence) != Some(&frontier.hash));
        let own = |name: &hundi_ledger::record::checkpoint::Name| {
            let own = wallet.own.get(&name.sequence);
            own.is_some_and(|own| tag(&checkpoint.salt, own) == name.tag)
        };
        frontier || !checkpoint.names.iter().all(own)
    }

    /// Brings the open records of a subject in line with what is held of it.
    pub(crate) fn update(&mut self, step: &mut Step<'_>, subject: Subject) {
        let Some(wallet) = &self.wallet else { return };
        let concerned = |record: &&Record| match subject {
            Subject::Author(author) => record.author() == author,
            Subject::Bank(bank) => record.author().bank == bank,
        };
        // Lapsed ones too: bank time may arrive before the outcome that it outran. A settled one
        // is looked at again only where the bank says to have returned it.
        let returns = self.names_a_return(subject, step);
        let settled = returns.then(|| wallet.records.values()).into_iter().flatten();
        let settled = settled.filter(|record| record.state == PaymentState::Settled);
        let open = wallet.open.iter().chain(&wallet.lapsed);
        let open = open.filter_map(|id| wallet.records.get(id));
        let records: Vec<Record> = open.chain(settled).filter(concerned).cloned().collect();
        for mut record in records {
            let author = record.author();
            let known = self.replica.author(&author, step);
            let checkpoint =
                known.and_then(|known| known.checkpoint_in_effect(self.replica.trust()));
            let outcome = checkpoint.and_then(|held| {
                record.outcome_in(held, record.outgoing && self.is_own_chain(held))
            });
            let bank_time = self.replica.bank_time(author.bank);
            let lapsed = bank_time > record.claim_until.saturating_add(OUTCOME_WITHIN_S);
            if outcome.is_some() && outcome != record.outcome {
                record.outcome = outcome;
                record.outcome_at = Some(step.now());
            } else if !lapsed || record.ended {
                continue;
            }
            self.record_changed(step, record);
        }
    }

    fn names_a_return(&self, subject: Subject, shelf: &dyn Shelf) -> bool {
        let Subject::Author(author) = subject else { return false };
        let known = self.replica.author(&author, shelf);
        let held = known.and_then(|known| known.checkpoint_in_effect(self.replica.trust()));
        held.is_some_and(|held| held.names.iter().any(|name| name.outcome == Outcome::Returned))
    }

    /// Whether a checkpoint's frontier is an entry that this device signed.
    fn is_own_chain(&self, checkpoint: &Checkpoint) -> bool {
        let Some(wallet) = &self.wallet else { return false };
        checkpoint
            .frontier
            .is_some_and(|frontier| wallet.own.get(&frontier.sequence) == Some(&frontier.hash))
    }

    /// Takes a changed record: its state follows, what it refunds follows, and what was kept for
    /// it is let go once the bank has decided.
    pub(super) fn record_changed(&mut self, step: &mut Step<'_>, mut record: Record) {
        let bank_time = self.replica.bank_time(record.author().bank);
        let lapsed = bank_time > record.claim_until.saturating_add(OUTCOME_WITHIN_S);
        record.ended = lapsed;
        let changed = record.settle_state(lapsed);
        record.store(step);
        let (id, state) = (record.id, record.state);
        let (author, open) = (record.author(), record.is_open());
        let receipt = record.receipt.as_ref().map(|(receipt, _)| *receipt);
        let signer = if record.outgoing {
            record.party.map(|party| party.author)
        } else {
            self.wallet.as_ref().map(|wallet| wallet.keys.author)
        };
        let refund = match record.purpose {
            Purpose::Refund { original } if changed => Some((original, record.sum)),
            _ => None,
        };
        if let Some(wallet) = &mut self.wallet {
            wallet.index(record);
        }
        if changed {
            step.event(Event::PaymentChanged { id, state });
        }
        if let Some((original, sum)) = refund {
            self.refund_changed(step, &original, &id, sum, state);
        }
        if !open {
            let key = Key::entry(author, id);
            if !self.holds(&key, step) {
                step.delete_item(key);
            }
            if let (Some(receipt), Some(signer)) = (receipt, signer) {
                let _forgotten = self.replica.forget_receipt(&signer, &receipt);
                step.delete_item(Key::receipt(signer, receipt));
            }
        }
    }

    /// A refund stands, or came to nothing: its original follows.
    fn refund_changed(
        &mut self,
        step: &mut Step<'_>,
        original: &Hash,
        refund: &Hash,
        sum: hundi_ledger::money::Amount,
        state: PaymentState,
    ) {
        let held = self.wallet.as_ref().and_then(|wallet| wallet.records.get(original));
        let Some(mut held) = held.cloned() else { return };
        let stands = matches!(state, PaymentState::Received | PaymentState::Settled);
        let falls =
            matches!(state, PaymentState::Refused | PaymentState::Rejected | PaymentState::Lapsed);
        if stands && held.refund.is_none() {
            (held.refund, held.returned) = (Some(*refund), sum);
        } else if falls && held.refund == Some(*refund) {
            (held.refund, held.returned) = (None, hundi_ledger::money::Amount::ZERO);
        } else {
            return;
        }
        held.store(step);
        step.event(Event::PaymentChanged { id: held.id, state: held.state });
        if let Some(wallet) = &mut self.wallet {
            wallet.index(held);
        }
    }

    /// Whether an item belongs to this device: an own entry, or entry or receipt of a payment to it.
    pub(crate) fn is_own(&self, author: &AuthorId, key: &Key) -> bool {
        self.wallet
            .as_ref()
            .is_some_and(|wallet| wallet.keys.author == *author || wallet.keeps(key))
    }

    /// What this device keeps and pushes until the bank has decided: entries first, oldest first.
    pub(crate) fn own_keys(&self) -> Vec<Key> {
        let Some(wallet) = &self.wallet else { return Vec::new() };
        let me = wallet.keys.author;
        let mut records: Vec<&Record> =
            wallet.open.iter().filter_map(|id| wallet.records.get(id)).collect();
        records.sort_unstable_by_key(|record| (record.first_at, record.sequence(), record.id));
        let mut keys: Vec<Key> =
            records.iter().map(|record| Key::entry(record.author(), record.id)).collect();
        keys.extend(records.iter().filter_map(|record| {
            let (id, _) = record.receipt.as_ref()?;
            let signer = if record.outgoing { record.party?.author } else { me };
            Some(Key::receipt(signer, *id))
        }));
        keys
    }

    /// The peer of a link holds the same core: if it is certified, it counts as a carrier of every
    /// open payment in it. Having been sent something does not count: it may not have arrived.
    pub(crate) fn all_carried(&mut self, step: &mut Step<'_>, link: LinkId) {
        let (Some(peer), Some(wallet)) = (self.proven_peer(link), &self.wallet) else { return };
        let open = wallet.open.iter().filter_map(|id| wallet.records.get(id));
        let news = open.filter(|record| {
            record.party.is_some_and(|party| party.author != peer)
                && record.carriers.len() < CARRIERS_MAX
                && !record.carriers.contains(&peer)
                && self.is_core(&Key::entry(record.author(), record.id), step)
        });
        let ids: Vec<Hash> = news.map(|record| record.id).collect();
        let Some(wallet) = &mut self.wallet else { return };
        for id in ids {
            if let Some(record) = wallet.records.get_mut(&id) {
                record.carriers.push(peer);
                record.store(step);
            }
        }
    }
}
