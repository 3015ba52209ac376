//! Refunds: new entries that name what they return. One form spends its author's grant like a
//! payment; the other has amount 0 and moves money out of the author's balance once the original
//! has been posted. At most once per entry, never above it, only to its payer.

use crate::account::Account;
use crate::bank::Work;
use crate::event::Change;
use crate::limits::REFUND_WAIT_SECONDS;
use crate::state::{Opened, Standing};
use crate::transaction::{Key, Transaction};
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::money::Amount;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::entry::Header;

/// What stands between a refund and being paid.
enum Check {
    Good,
    Wait,
    Reject,
}

impl Work<'_> {
    pub(crate) fn pay_refund(&mut self, id: Hash, header: &Header, refund: Opened) {
        let Opened::Refund { payee, original, sum } = refund else { return };
        let spends = !header.amount.is_zero();
        let check = if sum.is_zero() || spends && header.amount != sum {
            Check::Reject
        } else if payee.bank != self.state().bank && spends {
            // The original is in a log that another bank judges: this is a payment to it.
            Check::Good
        } else {
            self.check_original(id, header.author, payee, original, sum)
        };
        match check {
            Check::Reject => self.decide_as(id, Outcome::RejectedRefund),
            Check::Wait => self.wait(id),
            Check::Good if spends => {
                self.pay_from_reserve(id, header, refund);
                self.mark_refunded(id);
            }
            Check::Good => self.pay_from_balance(id, header.author, original, sum),
        }
    }

    fn check_original(
        &self,
        refund: Hash,
        author: AuthorId,
        payee: AuthorId,
        original: Hash,
        sum: Amount,
    ) -> Check {
        let held = self.state().entries.get(&original);
        let Some(held) = held.filter(|held| held.standing != Standing::HeaderOnly) else {
            return Check::Wait;
        };
        let header = &held.header.header;
        let mine = match held.opened {
            Some(Opened::Payment { payee: paid, .. }) => paid == author && header.author == payee,
            Some(Opened::Refund { .. }) => false,
            None if held.standing == Standing::Unopened => return Check::Wait,
            None => false,
        };
        let currency = |author: &AuthorId| Some(self.state().authors.get(&author.key)?.currency);
        let first = held.refunded.is_none_or(|(by, _)| by == refund);
        let fits = sum <= header.amount && currency(&author) == currency(&payee);
        if !mine || !first || !fits || held.refused {
            return Check::Reject;
        }
        match held.standing {
            Standing::Decided(Outcome::Settled) => Check::Good,
            Standing::Decided(_) => Check::Reject,
            _ => Check::Wait,
        }
    }

    /// The form that spends nothing: out of the author's balance to the original's payer.
    fn pay_from_balance(&mut self, id: Hash, author: AuthorId, original: Hash, sum: Amount) {
        let Some(currency) = self.state().authors.get(&author.key).map(|it| it.currency) else {
            return;
        };
        let Some(payer) = self.key_of(&original).map(|key| self.author_id(key)) else { return };
        let (from, to) = (self.account_of(&author), self.account_of(&payer));
        let Ok(transaction) = Transaction::transfer(Key::Refund(id), currency, from, to, sum)
        else {
            return;
        };
        if self.state().books.check(&transaction).is_err() {
            return self.wait(id);
        }
        let change = Change::Decided { entry: id, outcome: Outcome::Settled, paid: Amount::ZERO };
        self.record(change, vec![transaction]);
        self.after_decision(id, sum);
        self.mark_refunded(id);
    }

    /// Notes at its original that a settled refund returned part of it.
    pub(crate) fn mark_refunded(&mut self, refund: Hash) {
        let Some(entry) = self.state().entries.get(&refund) else { return };
        let Some(Opened::Refund { original, sum, .. }) = entry.opened else { return };
        let paid = matches!(
            entry.standing,
            Standing::Decided(Outcome::Settled) | Standing::Provisional { .. }
        );
        let held = self.state().entries.get(&original);
        let unmarked = held.is_some_and(|held| held.refunded.is_none());
        if paid && unmarked {
            self.record(Change::Refunded { original, refund, sum }, Vec::new());
        }
    }

    /// Whether a contested refund could still be paid: nobody refunded its original meanwhile.
    pub(crate) fn refund_stands(&self, id: &Hash) -> bool {
        let Some(entry) = self.state().entries.get(id) else { return false };
        let Some(Opened::Refund { original, .. }) = entry.opened else { return true };
        let held = self.state().entries.get(&original);
        held.is_none_or(|held| held.refunded.is_none_or(|(by, _)| by == *id))
    }

    fn wait(&mut self, id: Hash) {
        let standing = self.state().entries.get(&id).map(|entry| entry.standing);
        if !matches!(standing, Some(Standing::Waiting { .. })) {
            let until = self.now.saturating_add(REFUND_WAIT_SECONDS);
            self.record(Change::RefundWaiting { entry: id, until }, Vec::new());
        }
    }

    /// Tries again what waited for an original that was decided, or for a balance that grew.
    pub(crate) fn retry_waiting(&mut self) {
        loop {
            let decided = core::mem::take(&mut self.decided);
            let credited = core::mem::take(&mut self.credited);
            if decided.is_empty() && credited.is_empty() {
                return;
            }
            let state = self.state();
            let mut refunds: BTreeSet<Hash> = BTreeSet::new();
            for original in &decided {
                refunds.extend(state.refunds_waiting.get(original).into_iter().flatten());
            }
            let mut returns: BTreeSet<Hash> = BTreeSet::new();
            for account in &credited {
                for author in self.authors_paid_to(account) {
                    let own = state.authors.get(&author.key).filter(|_| author.bank == state.bank);
                    refunds.extend(own.iter().flat_map(|author| &author.waiting));
                    returns.extend(state.returns_due.get(&author).into_iter().flatten());
                }
            }
            for id in refunds {
                let standing = self.state().entries.get(&id).map(|entry| entry.standing);
                if matches!(standing, Some(Standing::Waiting { .. })) {
                    self.pay(id);
                }
            }
            for id in returns {
                self.return_posted(id);
            }
        }
    }

    /// The authors whose money an account holds, as far as something may wait for it.
    fn authors_paid_to(&self, account: &Account) -> Vec<AuthorId> {
        let state = self.state();
        match account {
            Account::Customer(customer) => {
                let customer = state.customers.get(customer);
                let keys = customer.into_iter().flat_map(|customer| &customer.authors);
                keys.map(|key| self.author_id(*key)).collect()
            }
            Account::Suspense(author) => vec![*author],
            Account::DueTo(bank) => {
                let due = state.returns_due.keys().filter(|author| author.bank == *bank);
                due.copied().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Rejects refunds that have waited long enough.
    pub(crate) fn lapse_refunds(&mut self) {
        while let Some((until, id)) = self.state().refund_deadlines.first().copied() {
            if until > self.now {
                return;
            }
            self.decide_as(id, Outcome::RejectedRefund);
        }
    }
}
