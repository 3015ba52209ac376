//! Applying events: the only way the bank's state changes. It decides nothing; it only refuses
//! events that cannot follow on what is known, which means that the store is damaged.

use crate::account::CustomerId;
use crate::books::PostError;
use crate::event::{Change, Event};
use crate::limits::REMEMBERED_VERSIONS;
use crate::state::{
    Author, Case, EntryState, Fault, FreezeState, GrantState, Guaranteed, Standing, State,
    WaitingReceipt,
};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use hundi_ledger::id::{Hash, NetworkId, PublicKey, Serial};
use hundi_ledger::money::{Amount, AmountError, Currency};
use hundi_ledger::record::checkpoint::{Frontier, Outcome};
use hundi_ledger::record::entry::{Class, Position, SignedHeader};
use hundi_ledger::record::proof::Claim;

/// Why an event does not follow on the state. The store is damaged, or not this bank's: report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Not the next number.
    #[error("event {given} does not follow on {held}")]
    Number {
        /// The last number applied.
        held: u64,
        /// The number given.
        given: u64,
    },
    /// A transaction cannot be posted.
    #[error("transaction of event {0}: {1}")]
    Post(u64, PostError),
    /// It names an author, customer, grant or entry that is not there.
    #[error("event names something that is not there")]
    Unknown,
    /// An amount left its range.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

impl State {
    /// Applies the next event.
    pub(crate) fn apply(&mut self, network: &NetworkId, event: &Event) -> Result<(), ApplyError> {
        if event.number != self.number + 1 {
            return Err(ApplyError::Number { held: self.number, given: event.number });
        }
        for transaction in &event.transactions {
            let posted = self.books.post(event.number, event.at, transaction);
            posted.map_err(|error| ApplyError::Post(event.number, error))?;
        }
        self.change(network, event)?;
        self.note_change(event);
        self.number = event.number;
        self.head = event.chain(&self.head);
        Ok(())
    }

    fn change(&mut self, network: &NetworkId, event: &Event) -> Result<(), ApplyError> {
        match &event.change {
            Change::CertificateInstalled { record } => self.certificates.push(record.clone()),
            Change::CustomerOpened { customer } => {
                self.customers.entry(*customer).or_default();
            }
            Change::Linked { a, b } => {
                self.customer_mut(a)?.links.insert(*b);
                self.customer_mut(b)?.links.insert(*a);
            }
            Change::Enrolled { author, customer, sealing, currency } => {
                self.customer_mut(customer)?.authors.insert(*author);
                self.authors.insert(*author, Author::new(*customer, *sealing, *currency));
            }
            Change::GrantIssued { grant, id, source } => {
                let (key, serial) = (grant.author.key, grant.serial);
                let until = u64::from(grant.claim_until);
                let state = GrantState::new((**grant).clone(), *id, *source);
                let author = self.author_mut(&key)?;
                author.carry_to = author.carry_to.max(grant.carry_to);
                author.grants.insert(serial, state);
                self.deadlines.insert((until, key, serial));
            }
            Change::Operated => {}
            Change::WrittenOff { customer, currency, amount } => {
                let guaranteed = self.guaranteed_mut(customer, *currency)?;
                guaranteed.open = guaranteed.open.sub(*amount)?;
            }
            Change::Recovered { customer, currency, amount } => {
                let guaranteed = self.guaranteed_mut(customer, *currency)?;
                guaranteed.open = guaranteed.open.sub(*amount)?;
                guaranteed.used = guaranteed.used.sub(*amount)?;
            }
            Change::HeaderReceived { header } => {
                self.receive(network, header, None, Vec::new(), event.number)?;
            }
            Change::EntryReceived { header, bytes, body } => {
                self.receive(network, header, Some(*bytes), body.clone(), event.number)?;
            }
            Change::ReceiptWaiting { entry, record, id, signer } => {
                self.receipts.insert(*id);
                let waiting = WaitingReceipt { id: *id, signer: *signer, record: record.clone() };
                self.waiting_receipts.entry(*entry).or_default().push(waiting);
                *self.waiting_per_signer.entry(*signer).or_default() += 1;
            }
            Change::ReceiptTaken { entry, id, refused, freezes_epoch, .. } => {
                self.receipts.insert(*id);
                let entry = self.entry_mut(entry)?;
                entry.refused |= refused;
                entry.freezes_epoch = entry.freezes_epoch.max(Some(*freezes_epoch));
            }
            Change::EntryOpened { entry, opened } => {
                self.forget_waiting_receipts(entry);
                let entry = self.entry_mut(entry)?;
                entry.opened = Some(*opened);
                entry.body = Vec::new();
            }
            Change::Contradicted { author, proof, lowest } => {
                if let Some(proof) = proof {
                    self.author_mut(author)?.proof.get_or_insert_with(|| proof.clone());
                }
                let grants = &self.authors.get(author).ok_or(ApplyError::Unknown)?.grants;
                let case = self.cases.entry(*author).or_insert_with(|| Case::new(event.at));
                for (serial, start) in lowest {
                    let held = case.lowest.entry(*serial).or_insert(*start);
                    *held = (*held).min(*start);
                    // A closed review opens again for a grant under which claims go on.
                    if grants.get(serial).is_some_and(|grant| !grant.ended) {
                        case.closed = None;
                    }
                }
            }
            Change::Frozen { author, epoch, reason, id } => {
                let freeze = FreezeState { epoch: *epoch, reason: *reason, id: *id };
                self.author_mut(author)?.freeze.get_or_insert(freeze);
            }
            Change::Decided { entry, outcome, paid } => {
                self.set_paid(entry, *paid)?;
                self.forget_waiting_receipts(entry);
                self.end_review(entry)?;
                let standing = match outcome {
                    Outcome::Contested => Standing::Contested,
                    decided => Standing::Decided(*decided),
                };
                self.set_standing(entry, standing)?;
                if *outcome == Outcome::Returned {
                    self.set_return_due(entry, false)?;
                }
            }
            Change::Refunded { original, refund, sum } => {
                self.entry_mut(original)?.refunded = Some((*refund, *sum));
            }
            Change::ReturnDue { entry } => {
                self.set_return_due(entry, true)?;
            }
            Change::RefundWaiting { entry, until } => {
                self.set_standing(entry, Standing::Waiting { until: *until })?;
            }
            Change::Closed { author, serial, .. } => {
                let grant = self.grant_mut(author, *serial)?;
                grant.closed = true;
                grant.releases += 1;
            }
            Change::ClaimsEnded { author, serial, ended, .. } => {
                self.claims_ended(author, *serial, *ended)?;
            }
            Change::Drawn { author, serial, seed } => {
                self.case_mut(author)?.drawn.insert(*serial, *seed);
            }
            Change::PaidProvisionally { entry, party, from_reserve, from_guarantee } => {
                let (party, from_reserve, from_guarantee) =
                    (*party, *from_reserve, *from_guarantee);
                self.set_paid(entry, from_reserve.add(from_guarantee)?)?;
                let standing = Standing::Provisional { party, from_reserve, from_guarantee };
                self.set_standing(entry, standing)?;
                let (_, customer, currency) = self.payer(entry)?;
                let shares = &mut self.customer_mut(&customer)?.guaranteed_to;
                let share = shares.entry((currency, party)).or_default();
                *share = share.add(from_guarantee)?;
                let guaranteed = self.guaranteed_mut(&customer, currency)?;
                guaranteed.used = guaranteed.used.add(from_guarantee)?;
                guaranteed.open = guaranteed.open.add(from_guarantee)?;
                guaranteed.under_review = guaranteed.under_review.add(from_guarantee)?;
            }
            Change::TakenBack { entry } => self.take_back(entry)?,
            Change::CaseClosed { author } => self.case_mut(author)?.closed = Some(event.at),
            Change::CheckpointSigned { author, number, carry_to, id } => {
                let author = self.author_mut(author)?;
                author.checkpoint = *number;
                author.carry_to = *carry_to;
                remember(&mut author.checkpoints, *number, *id);
                if let Some(since) = author.due.take() {
                    self.due.remove(&since);
                }
            }
            Change::BulletinSigned { epoch, id } => {
                self.epoch = epoch.saturating_add(1);
                remember(&mut self.bulletins, *epoch, *id);
            }
            Change::FaultFound { item, id } => {
                self.fault.get_or_insert(Fault { at: event.at, item: item.clone(), id: *id });
            }
            Change::Resumed => {
                if let Some(fault) = self.fault.take() {
                    self.go_on_above(network, &fault.item, event.at);
                    self.acknowledged.insert(fault.id);
                }
            }
        }
        Ok(())
    }

    fn receive(
        &mut self,
        network: &NetworkId,
        header: &SignedHeader,
        bytes: Option<Hash>,
        body: Vec<u8>,
        number: u64,
    ) -> Result<(), ApplyError> {
        let id = header.header.id(network);
        let place = (header.header.kind.class(), header.header.sequence());
        let author = self.author_mut(&header.header.author.key)?;
        if author.proof.is_some() && bytes.is_some() {
            author.after_proof = author.after_proof.saturating_add(1);
        }
        let branches = author.index.entry(place).or_default();
        if !branches.contains(&id) {
            branches.push(id);
        }
        let entry = EntryState {
            header: header.clone(),
            claim: Claim::of(&header.header, id),
            bytes,
            body,
            durable: number,
            opened: None,
            standing: Standing::HeaderOnly,
            refused: false,
            freezes_epoch: None,
            paid: Amount::ZERO,
            refunded: None,
            return_due: false,
        };
        self.entries.insert(id, entry);
        if bytes.is_some() { self.set_standing(&id, Standing::Unopened) } else { Ok(()) }
    }

    /// Changes how far an entry is, and what is counted by it.
    fn set_standing(&mut self, id: &Hash, standing: Standing) -> Result<(), ApplyError> {
        let entry = self.entries.get_mut(id).ok_or(ApplyError::Unknown)?;
        let before = core::mem::replace(&mut entry.standing, standing);
        let header = &entry.header.header;
        let (key, serial, amount) = (header.author.key, header.serial, header.amount);
        let (class, sequence) = (header.kind.class(), header.sequence());
        if matches!(standing, Standing::Decided(_)) {
            entry.body = Vec::new();
        }
        let original = entry.opened.and_then(|opened| opened.original());
        let author = self.authors.get_mut(&key).ok_or(ApplyError::Unknown)?;
        if let (Standing::Waiting { until }, Some(original)) = (before, original) {
            self.refund_deadlines.remove(&(until, *id));
            author.waiting.remove(id);
            forget(&mut self.refunds_waiting, &original, id);
        }
        if let (Standing::Waiting { until }, Some(original)) = (standing, original) {
            self.refund_deadlines.insert((until, *id));
            author.waiting.insert(*id);
            self.refunds_waiting.entry(original).or_default().insert(*id);
        }
        let waits = |standing| matches!(standing, Standing::Unopened | Standing::Waiting { .. });
        if let Some(grant) = author.grants.get_mut(&serial) {
            if waits(before) {
                grant.undecided -= 1;
                grant.undecided_amount -= u128::from(amount.minor());
            }
            if waits(standing) {
                grant.undecided += 1;
                grant.undecided_amount += u128::from(amount.minor());
            }
        }
        author.unopened -= u32::from(before == Standing::Unopened);
        author.unopened += u32::from(standing == Standing::Unopened);
        if class == Class::Money {
            if standing.outcome().is_some_and(|outcome| outcome != Outcome::Settled) {
                author.unsettled.insert(sequence);
            }
            self.advance(&key);
        }
        Ok(())
    }

    /// Moves an author's frontier along the first durable branch as far as it is decided.
    fn advance(&mut self, key: &PublicKey) {
        let Some(author) = self.authors.get_mut(key) else { return };
        loop {
            let (sequence, previous) = match author.frontier {
                None => (0, None),
                Some(Frontier { sequence: u32::MAX, .. }) => return,
                Some(frontier) => (frontier.sequence + 1, Some(frontier.hash)),
            };
            let Some(branches) = author.index.get(&(Class::Money, sequence)) else { return };
            let linked = branches.iter().filter_map(|id| Some((id, self.entries.get(id)?)));
            let linked = linked.filter(|(_, entry)| {
                let position = entry.header.header.position;
                entry.bytes.is_some()
                    && match previous {
                        None => position == Position::First,
                        Some(hash) => position.previous() == Some(hash),
                    }
            });
            let Some((id, entry)) = linked.min_by_key(|(_, entry)| entry.durable) else { return };
            if !matches!(entry.standing, Standing::Decided(_)) {
                return;
            }
            author.frontier = Some(Frontier { sequence, hash: *id });
            if let Some(grant) = author.grants.get_mut(&entry.header.header.serial) {
                grant.frontier_total = entry.header.header.spent_total;
            }
        }
    }

    fn set_paid(&mut self, id: &Hash, paid: Amount) -> Result<(), ApplyError> {
        let entry = self.entries.get_mut(id).ok_or(ApplyError::Unknown)?;
        let before = core::mem::replace(&mut entry.paid, paid);
        if before != paid {
            let header = &entry.header.header;
            let (key, serial) = (header.author.key, header.serial);
            let grant = self.grant_mut(&key, serial)?;
            grant.settled = grant.settled.sub(before)?.add(paid)?;
        }
        Ok(())
    }

    fn take_back(&mut self, id: &Hash) -> Result<(), ApplyError> {
        let standing = self.entry_mut(id)?.standing;
        let Standing::Provisional { party, from_guarantee, .. } = standing else {
            return Err(ApplyError::Unknown);
        };
        self.end_review(id)?;
        self.set_paid(id, Amount::ZERO)?;
        self.set_standing(id, Standing::Contested)?;
        // A refund that is taken back has returned nothing.
        let original = self.entry_mut(id)?.opened.and_then(|opened| opened.original());
        if let Some(original) = original
            && let Some(original) = self.entries.get_mut(&original)
            && original.refunded.is_some_and(|(by, _)| by == *id)
        {
            original.refunded = None;
        }
        let (_, customer, currency) = self.payer(id)?;
        let shares = &mut self.customer_mut(&customer)?.guaranteed_to;
        let share = shares.entry((currency, party)).or_default();
        *share = share.sub(from_guarantee)?;
        let guaranteed = self.guaranteed_mut(&customer, currency)?;
        guaranteed.used = guaranteed.used.sub(from_guarantee)?;
        guaranteed.open = guaranteed.open.sub(from_guarantee)?;
        Ok(())
    }

    /// What was paid provisionally for an entry, if anything, is not under review any more.
    fn end_review(&mut self, id: &Hash) -> Result<(), ApplyError> {
        let standing = self.entry_mut(id)?.standing;
        if let Standing::Provisional { from_guarantee, .. } = standing {
            let (_, customer, currency) = self.payer(id)?;
            let guaranteed = self.guaranteed_mut(&customer, currency)?;
            guaranteed.under_review = guaranteed.under_review.sub(from_guarantee)?;
        }
        Ok(())
    }

    fn claims_ended(
        &mut self,
        key: &PublicKey,
        serial: Serial,
        ended: bool,
    ) -> Result<(), ApplyError> {
        let grant = self.grant_mut(key, serial)?;
        grant.claims_ended = true;
        grant.ended = ended;
        grant.releases += 1;
        let until = u64::from(grant.grant.claim_until);
        let again = until.saturating_add(crate::limits::DISCLOSURE_SECONDS);
        self.deadlines.remove(&(until, *key, serial));
        self.deadlines.remove(&(again, *key, serial));
        if !ended {
            self.deadlines.insert((again, *key, serial));
        }
        Ok(())
    }

    fn set_return_due(&mut self, id: &Hash, due: bool) -> Result<(), ApplyError> {
        let entry = self.entry_mut(id)?;
        entry.return_due = due;
        let payee = entry.opened.ok_or(ApplyError::Unknown)?.payee();
        if due {
            self.returns_due.entry(payee).or_default().insert(*id);
        } else {
            forget(&mut self.returns_due, &payee, id);
        }
        Ok(())
    }

    fn forget_waiting_receipts(&mut self, entry: &Hash) {
        for waiting in self.waiting_receipts.remove(entry).unwrap_or_default() {
            if let Some(count) = self.waiting_per_signer.get_mut(&waiting.signer) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.waiting_per_signer.remove(&waiting.signer);
                }
            }
        }
    }

    /// Author key, customer and currency of an entry's payer.
    fn payer(&self, id: &Hash) -> Result<(PublicKey, CustomerId, Currency), ApplyError> {
        let entry = self.entries.get(id).ok_or(ApplyError::Unknown)?;
        let key = entry.header.header.author.key;
        let author = self.authors.get(&key).ok_or(ApplyError::Unknown)?;
        Ok((key, author.customer, author.currency))
    }

    fn guaranteed_mut(
        &mut self,
        customer: &CustomerId,
        currency: Currency,
    ) -> Result<&mut Guaranteed, ApplyError> {
        Ok(self.customer_mut(customer)?.guaranteed.entry(currency).or_default())
    }

    fn customer_mut(
        &mut self,
        customer: &CustomerId,
    ) -> Result<&mut crate::state::Customer, ApplyError> {
        self.customers.get_mut(customer).ok_or(ApplyError::Unknown)
    }

    fn author_mut(&mut self, key: &PublicKey) -> Result<&mut Author, ApplyError> {
        self.authors.get_mut(key).ok_or(ApplyError::Unknown)
    }

    fn grant_mut(
        &mut self,
        key: &PublicKey,
        serial: Serial,
    ) -> Result<&mut GrantState, ApplyError> {
        self.author_mut(key)?.grants.get_mut(&serial).ok_or(ApplyError::Unknown)
    }

    fn entry_mut(&mut self, id: &Hash) -> Result<&mut EntryState, ApplyError> {
        self.entries.get_mut(id).ok_or(ApplyError::Unknown)
    }

    fn case_mut(&mut self, key: &PublicKey) -> Result<&mut Case, ApplyError> {
        self.cases.get_mut(key).ok_or(ApplyError::Unknown)
    }
}

/// Takes `id` out of the set under `key`, and the set with its last member.
fn forget<K: Ord>(sets: &mut BTreeMap<K, BTreeSet<Hash>>, key: &K, id: &Hash) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(id);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

pub(crate) fn remember(versions: &mut BTreeMap<u32, Hash>, number: u32, id: Hash) {
    versions.insert(number, id);
    while versions.len() > REMEMBERED_VERSIONS {
        versions.pop_first();
    }
}
