//! The loss rule (DESIGN §4), published before the first payment.
//!
//! (1) What was promised below the lowest start among the contradicting headers is set aside for
//! its payees. (2) Other payments of that grant are paid whole from what is left of the reserve,
//! in the order in which they became durable; one that does not fit is skipped. (3) After
//! claim-until what is left, then the guarantee, pays the others, provisionally and whole, in an
//! order keyed with randomness drawn after claim-until. (4) The rest is rejected with the proof.

use crate::account::{Account, CustomerId, Party};
use crate::bank::{HandleError, Work};
use crate::event::Change;
use crate::output::Notification;
use crate::state::{EntryState, Opened, Source, Standing};
use crate::transaction::{Key, Side, Transaction};
use alloc::vec;
use alloc::vec::Vec;
use hundi_ledger::id::{Hash, PublicKey, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::checkpoint::Outcome;

/// Why a review stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseCaseError {
    /// There is no open case of this author.
    #[error("no open case of this author")]
    NotOpen,
    /// Payees may still claim under a contested grant. Close it after that time.
    #[error("payees may still claim until {0} (Unix seconds)")]
    TooEarly(u64),
    /// An entry to deny is not one that this case paid provisionally.
    #[error("entry {0} is not paid provisionally in this case")]
    NotProvisional(Hash),
}

/// The two sides of a provisional payment, forwards or taken back.
struct Provisional {
    reserve: Account,
    party: Party,
    customer: CustomerId,
    currency: Currency,
    source: Source,
    from_reserve: Amount,
    from_guarantee: Amount,
}

impl Provisional {
    fn transaction(&self, key: Key, back: bool) -> Vec<Transaction> {
        let (give, take) =
            if back { (Side::Credit, Side::Debit) } else { (Side::Debit, Side::Credit) };
        let receivable = Account::DoubleSpendReceivable(self.customer);
        let pending = Account::PendingIn(self.party);
        let mut postings = vec![
            (give, self.reserve, self.from_reserve),
            (give, receivable, self.from_guarantee),
            (take, pending, self.from_reserve),
            (take, pending, self.from_guarantee),
        ];
        if self.source == Source::Credit {
            postings.push((give, Account::CustomerLoan(self.customer), self.from_reserve));
            postings.push((take, Account::CreditCommitted, self.from_reserve));
        }
        Transaction::new(key, self.currency, postings).into_iter().collect()
    }
}

impl Work<'_> {
    /// What of a reserve is not set aside for payments below the contradiction: (1).
    pub(crate) fn unpromised(&self, key: &PublicKey, serial: Serial) -> Amount {
        let state = self.state();
        let Some(grant) = state.grant(key, serial) else { return Amount::ZERO };
        let reserve = self.reserve(key, grant);
        let lowest = state.cases.get(key).and_then(|case| case.lowest.get(&serial));
        // Of a bearer grant nothing is set aside: the first durable wins.
        let Some(lowest) = lowest.filter(|_| !grant.grant.is_bearer()) else { return reserve };
        let below = self.entries_under(key, serial).into_iter().filter_map(|id| {
            let entry = state.entries.get(&id)?;
            (entry.claim.spent_total <= *lowest).then_some(entry.paid.minor())
        });
        let settled: u64 = below.sum();
        let set_aside = lowest.minor().saturating_sub(settled);
        Amount::new(reserve.minor().saturating_sub(set_aside)).unwrap_or_default()
    }

    /// Notes that an entry did not fit and waits for the end of claims: (2).
    pub(crate) fn contest(&mut self, id: Hash) {
        let outcome = Outcome::Contested;
        self.record(Change::Decided { entry: id, outcome, paid: Amount::ZERO }, Vec::new());
        let Some(entry) = self.state().entries.get(&id) else { return };
        let header = &entry.header.header;
        let Some(author) = self.state().authors.get(&header.author.key) else { return };
        let request = match entry.opened {
            Some(Opened::Payment { request, .. }) => Some(request),
            _ => None,
        };
        let notification = Notification::Outcome {
            entry: id,
            author: header.author,
            sequence: header.sequence(),
            outcome,
            payee: entry.opened.map(|opened| opened.payee()),
            request,
            amount: header.amount,
            currency: author.currency,
        };
        self.notify(notification);
    }

    /// Pays the contested entries of a grant whose claims are over, provisionally, and rejects
    /// the rest: (3) and (4).
    pub(crate) fn pay_contested(&mut self, key: PublicKey, serial: Serial) {
        let drawn = self.state().cases.get(&key).is_some_and(|it| it.drawn.contains_key(&serial));
        if drawn {
            return;
        }
        let seed = self.draw();
        self.record(Change::Drawn { author: key, serial, seed }, Vec::new());
        let mut contested = self.contested(&key, serial);
        contested.sort_by_key(|id| *blake3::keyed_hash(&seed, &id.0).as_bytes());
        for id in contested {
            if !self.pay_provisionally(&key, serial, id) {
                let knew = self.payee_knew(&id);
                let outcome =
                    if knew { Outcome::RejectedFrozen } else { Outcome::RejectedUncovered };
                self.decide_as(id, outcome);
            }
        }
    }

    /// Rejects the contested entries of a bearer grant whose claims are over.
    pub(crate) fn reject_contested(&mut self, key: &PublicKey, serial: Serial) {
        for id in self.contested(key, serial) {
            self.decide_as(id, Outcome::RejectedUncovered);
        }
    }

    fn contested(&self, key: &PublicKey, serial: Serial) -> Vec<Hash> {
        let standing = |id: &Hash| self.state().entries.get(id).map(|entry| entry.standing);
        let mut under = self.entries_under(key, serial);
        under.retain(|id| standing(id) == Some(Standing::Contested));
        under
    }

    fn pay_provisionally(&mut self, key: &PublicKey, serial: Serial, id: Hash) -> bool {
        let state = self.state();
        let Some(entry) = state.entries.get(&id) else { return false };
        let Some(payee) = entry.opened.map(|opened| opened.payee()) else { return false };
        let Some(author) = state.authors.get(key) else { return false };
        let Some(grant) = state.grant(key, serial).filter(|_| state.cases.contains_key(key)) else {
            return false;
        };
        let (amount, currency) = (entry.header.header.amount, author.currency);
        let party = state.party(&payee);
        // An author of this bank that it does not know is nobody's honest payee.
        let unknown = matches!(party, Party::Author(it) if it.bank == state.bank);
        let excluded = entry.refused
            || unknown
            || self.payee_knew(&id)
            || self.accepted_both(key, &id)
            || self.is_linked(&author.customer, &party)
            || !self.refund_stands(&id);
        if excluded {
            return false;
        }
        let from_reserve = amount.min(self.reserve(key, grant));
        let from_guarantee = amount.sub(from_reserve).unwrap_or_default();
        let guarantee = grant.grant.guarantee;
        let customer = state.customers.get(&author.customer);
        let used = customer.and_then(|it| it.guaranteed.get(&currency));
        let used = used.copied().unwrap_or_default().used;
        let shared = guarantee.sub(used).unwrap_or_default();
        let got = customer.and_then(|it| it.guaranteed_to.get(&(currency, party)));
        let got = got.copied().unwrap_or_default();
        let cap = guarantee.percent(self.bank.profile.guarantee_per_payee_percent);
        let per_payee = cap.sub(got).unwrap_or_default();
        if from_guarantee > shared.min(per_payee) || !self.pool_covers(currency, from_guarantee) {
            return false;
        }
        let provisional = Provisional {
            reserve: Account::Reserve(self.author_id(*key), serial),
            party,
            customer: author.customer,
            currency,
            source: grant.source,
            from_reserve,
            from_guarantee,
        };
        let transactions = provisional.transaction(Key::Provisional(id), false);
        let change = Change::PaidProvisionally { entry: id, party, from_reserve, from_guarantee };
        self.record(change, transactions);
        self.mark_refunded(id);
        true
    }

    /// Whether the payee of an entry accepted one that contradicts it as well: its own receipts
    /// show that it held both headers. An honest payee refuses the second.
    fn accepted_both(&self, key: &PublicKey, id: &Hash) -> bool {
        let state = self.state();
        let accepted = |entry: &EntryState| !entry.refused && entry.freezes_epoch.is_some();
        let payee = |entry: &EntryState| entry.opened.map(|opened| opened.payee());
        let Some(entry) = state.entries.get(id).filter(|entry| accepted(entry)) else {
            return false;
        };
        let all = state.authors.get(key).into_iter().flat_map(|author| author.index.values());
        all.flatten().filter_map(|other| state.entries.get(other)).any(|other| {
            accepted(other) && payee(other) == payee(entry) && other.claim.contradicts(&entry.claim)
        })
    }

    /// Whether open guarantees with this one added stay within the pool.
    fn pool_covers(&self, currency: Currency, more: Amount) -> bool {
        let open: i128 = self
            .state()
            .customers
            .values()
            .filter_map(|customer| customer.guaranteed.get(&currency))
            .map(|guaranteed| i128::from(guaranteed.open.minor()))
            .sum();
        let pool = self.state().books.balance(Account::GuaranteePool, currency);
        more.is_zero() || open + i128::from(more.minor()) <= pool
    }

    fn is_linked(&self, payer: &CustomerId, party: &Party) -> bool {
        let Party::Customer(payee) = party else { return false };
        let links = self.state().customers.get(payer).map(|customer| &customer.links);
        payer == payee || links.is_some_and(|links| links.contains(payee))
    }

    /// Takes back what was paid provisionally to a payee whose receipts now show that it held both
    /// headers; `entry` is the one whose receipt has arrived.
    pub(crate) fn take_back_from_who_accepted_both(&mut self, entry: &Hash) {
        let Some(held) = self.state().entries.get(entry) else { return };
        let key = held.header.header.author.key;
        let author = self.state().authors.get(&key);
        let all = author.into_iter().flat_map(|author| author.index.values()).flatten();
        let provisional = |id: &&Hash| {
            let held = self.state().entries.get(*id);
            held.is_some_and(|held| matches!(held.standing, Standing::Provisional { .. }))
        };
        let both: Vec<Hash> =
            all.filter(provisional).filter(|id| self.accepted_both(&key, id)).copied().collect();
        for id in both {
            self.take_back(id, Outcome::RejectedUncovered);
        }
    }

    /// Takes a provisional payment back and gives the entry its outcome.
    pub(crate) fn take_back(&mut self, id: Hash, outcome: Outcome) {
        let Some(entry) = self.state().entries.get(&id).cloned() else { return };
        let Some(provisional) = self.provisional(&entry) else { return };
        let transactions = provisional.transaction(Key::Reverse(id), true);
        self.record(Change::TakenBack { entry: id }, transactions);
        self.decide_as(id, outcome);
    }

    fn provisional(&self, entry: &EntryState) -> Option<Provisional> {
        let Standing::Provisional { party, from_reserve, from_guarantee } = entry.standing else {
            return None;
        };
        let header = &entry.header.header;
        let author = self.state().authors.get(&header.author.key)?;
        let grant = author.grants.get(&header.serial)?;
        Some(Provisional {
            reserve: Account::Reserve(header.author, header.serial),
            party,
            customer: author.customer,
            currency: author.currency,
            source: grant.source,
            from_reserve,
            from_guarantee,
        })
    }

    /// Closes a review: what was paid provisionally becomes the payees', except to those that the
    /// review found to be in it; what is left of the reserves returns.
    pub(crate) fn close_case(
        &mut self,
        key: PublicKey,
        denied: &[Hash],
    ) -> Result<(), HandleError> {
        self.author(&key)?;
        let state = self.state();
        let case = state.cases.get(&key).filter(|case| case.closed.is_none());
        let case = case.ok_or(CloseCaseError::NotOpen)?;
        let serials: Vec<Serial> = case.lowest.keys().copied().collect();
        for serial in &serials {
            let Some(grant) = state.grant(&key, *serial) else { continue };
            if *serial != Serial::ENROLMENT && !grant.ended {
                let until = u64::from(grant.grant.claim_until);
                let until = if grant.claims_ended {
                    until.saturating_add(crate::limits::DISCLOSURE_SECONDS)
                } else {
                    until
                };
                return Err(CloseCaseError::TooEarly(until).into());
            }
        }
        let mut provisional = Vec::new();
        for serial in &serials {
            let mut under = self.entries_under(&key, *serial);
            under.retain(|id| {
                let standing = state.entries.get(id).map(|entry| entry.standing);
                matches!(standing, Some(Standing::Provisional { .. }))
            });
            provisional.append(&mut under);
        }
        if let Some(stranger) = denied.iter().find(|id| !provisional.contains(id)) {
            return Err(CloseCaseError::NotProvisional(*stranger).into());
        }
        for id in provisional {
            if denied.contains(&id) {
                self.take_back(id, Outcome::RejectedUncovered);
            } else {
                self.confirm(id);
            }
        }
        for serial in serials.into_iter().filter(|serial| *serial != Serial::ENROLMENT) {
            let Some(grant) = self.state().grant(&key, serial) else { continue };
            let released = self.reserve(&key, grant);
            let transactions = self.release(&key, serial, released);
            let change = Change::ClaimsEnded { author: key, serial, released, ended: true };
            self.record(change, transactions);
        }
        self.record(Change::CaseClosed { author: key }, Vec::new());
        self.notify(Notification::CaseClosed { author: key });
        Ok(())
    }

    /// What was paid provisionally becomes the payee's.
    fn confirm(&mut self, id: Hash) {
        let Some(entry) = self.state().entries.get(&id).cloned() else { return };
        let (Some(provisional), Some(opened)) = (self.provisional(&entry), entry.opened) else {
            return;
        };
        let from = Account::PendingIn(provisional.party);
        let to = self.account_of(&opened.payee());
        let currency = provisional.currency;
        let transaction = Transaction::transfer(Key::Review(id), currency, from, to, entry.paid);
        let change = Change::Decided { entry: id, outcome: Outcome::Settled, paid: entry.paid };
        self.record(change, transaction.into_iter().collect());
        self.after_decision(id, entry.paid);
    }

    /// Everything that is due by now.
    pub(crate) fn tick(&mut self) {
        while let Some((until, key, serial)) = self.state().deadlines.first().copied() {
            if until > self.now {
                break;
            }
            self.end_claims(key, serial);
        }
        self.lapse_refunds();
    }
}
