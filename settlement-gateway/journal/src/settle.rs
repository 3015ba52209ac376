//! Deciding one entry: from itself alone, out of order, and never by its stated time or the
//! penalty. What an honest payee's verdict accepts is settled, except for a contradiction, a
//! freeze known to that payee, and claim-until.

use crate::account::{Account, Party};
use crate::bank::{Bank, Work};
use crate::event::Change;
use crate::output::Notification;
use crate::prepare::{self, read};
use crate::state::{Opened, Source, Standing};
use crate::transaction::{Key, Side, Transaction};
use alloc::vec;
use alloc::vec::Vec;
use hundi_ledger::body::Plaintext;
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::money::Amount;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::entry::{Class, Header, Kind};
use hundi_ledger::seal::{ContentKey, OpenError, open};

impl Work<'_> {
    /// Decides an entry that is durable and undecided, as far as what is known allows. `arriving`
    /// says that it reached the bank in this call, so that claim-until applies to it now.
    pub(crate) fn decide(&mut self, id: Hash, arriving: bool) {
        let Some(entry) = self.state().entries.get(&id) else { return };
        let (header, opened) = (entry.header.header.clone(), entry.opened);
        let (key, serial) = (header.author.key, header.serial);
        let Some(grant) = self.state().grant(&key, serial) else { return };
        let bearer = grant.grant.is_bearer();
        let limit = grant.grant.limit;
        let late = grant.claims_ended || self.now >= u64::from(grant.grant.claim_until);
        let spends = !header.amount.is_zero();
        let moves = spends || header.kind == Kind::REFUND;
        if header.kind.class() == Class::Document || !moves {
            // Kinds that do not spend are decided on the signature alone. What is decided keeps no
            // body, so that it is read first.
            let asked = self.asked_for(&id, &header);
            self.decide_as(id, Outcome::Settled);
            if header.kind == Kind::CLOSE {
                self.close_grant(&key, serial, header.spent_total);
            }
            self.out.notifications.extend(asked);
            return;
        }
        let known = matches!(header.kind, Kind::PAYMENT | Kind::REFUND);
        if !known || bearer && header.kind != Kind::PAYMENT {
            return self.decide_as(id, Outcome::RejectedKind);
        }
        if arriving && late {
            return self.decide_as(id, Outcome::RejectedLate);
        }
        if header.spent_total > limit {
            return self.decide_as(id, Outcome::RejectedUncovered);
        }
        if opened.is_none() && !self.open_entry(id) {
            return;
        }
        self.pay(id);
    }

    /// Pays or rejects an entry whose body is open.
    pub(crate) fn pay(&mut self, id: Hash) {
        let Some(entry) = self.state().entries.get(&id) else { return };
        let (header, opened) = (entry.header.header.clone(), entry.opened);
        if entry.refused {
            return self.decide_as(id, Outcome::RejectedRefused);
        }
        if self.payee_knew(&id) {
            return self.decide_as(id, Outcome::RejectedFrozen);
        }
        match opened {
            Some(refund @ Opened::Refund { .. }) => self.pay_refund(id, &header, refund),
            Some(payment) => self.pay_from_reserve(id, &header, payment),
            None => {}
        }
    }

    /// Pays an entry from its grant's reserve, by the loss rule where it applies.
    pub(crate) fn pay_from_reserve(&mut self, id: Hash, header: &Header, opened: Opened) {
        let (key, serial, amount) = (header.author.key, header.serial, header.amount);
        let Some(grant) = self.state().grant(&key, serial) else { return };
        let below = self.is_below(&key, serial, header.spent_total);
        let left = if below { self.reserve(&key, grant) } else { self.unpromised(&key, serial) };
        if amount <= left {
            self.settle(id, header, opened);
        } else if self.is_contested(&key, serial) {
            self.contest(id);
        } else {
            self.decide_as(id, Outcome::RejectedUncovered);
        }
    }

    fn settle(&mut self, id: Hash, header: &Header, opened: Opened) {
        let (key, serial, amount) = (header.author.key, header.serial, header.amount);
        let state = self.state();
        let Some((author, grant)) = state.authors.get(&key).zip(state.grant(&key, serial)) else {
            return;
        };
        let payee = opened.payee();
        let reserve = Account::Reserve(self.author_id(key), serial);
        let mut postings =
            vec![(Side::Debit, reserve, amount), (Side::Credit, self.account_of(&payee), amount)];
        if grant.source == Source::Credit {
            postings.push((Side::Debit, Account::CustomerLoan(author.customer), amount));
            postings.push((Side::Credit, Account::CreditCommitted, amount));
        }
        let transaction = Transaction::new(Key::Settle(id), author.currency, postings);
        let change = Change::Decided { entry: id, outcome: Outcome::Settled, paid: amount };
        self.record(change, transaction.into_iter().collect());
        self.after_decision(id, amount);
        if let Account::Suspense(author) = self.account_of(&payee) {
            self.notify(Notification::InSuspense { author, amount });
        }
    }

    /// The account that is credited when `payee` is paid for good.
    pub(crate) fn account_of(&self, payee: &AuthorId) -> Account {
        match self.state().party(payee) {
            Party::Customer(customer) => Account::Customer(customer),
            Party::Author(author) if author.bank == self.state().bank => Account::Suspense(author),
            Party::Author(author) => Account::DueTo(author.bank),
        }
    }

    /// Records an outcome that moves no money.
    pub(crate) fn decide_as(&mut self, id: Hash, outcome: Outcome) {
        let paid = self.state().entries.get(&id).map_or(Amount::ZERO, |entry| entry.paid);
        self.record(Change::Decided { entry: id, outcome, paid }, Vec::new());
        self.after_decision(id, Amount::ZERO);
    }

    /// Tells whoever waits for it that an entry has an outcome.
    pub(crate) fn after_decision(&mut self, id: Hash, amount: Amount) {
        let Some(entry) = self.state().entries.get(&id) else { return };
        let Standing::Decided(outcome) = entry.standing else { return };
        let header = &entry.header.header;
        if header.kind.class() == Class::Document {
            return;
        }
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
            amount,
            currency: author.currency,
        };
        self.decided.insert(id);
        self.notify(notification);
    }

    /// Opens an entry with whichever key fits: the derived one, or one that a waiting receipt
    /// discloses. Returns whether it is open; otherwise it waits, or has its outcome.
    fn open_entry(&mut self, id: Hash) -> bool {
        match self.open_derived(&id) {
            Some(Ok(plaintext)) => {
                let waiting = self.state().waiting_receipts.get(&id).cloned().unwrap_or_default();
                self.record_opened(id, &plaintext);
                self.take_waited(id, &waiting);
                return true;
            }
            Some(Err(OpenError::Malformed | OpenError::Plaintext(_))) => {
                // No key can open it, or the key that fits opens nonsense.
                self.decide_as(id, Outcome::RejectedUnopened);
                return false;
            }
            Some(Err(OpenError::Commitment | OpenError::NotForReader)) | None => {}
        }
        let waiting = self.state().waiting_receipts.get(&id).cloned().unwrap_or_default();
        for receipt in &waiting {
            let key = self.read_receipt_record(&receipt.record).map(|(_, key)| key);
            let opened = key.and_then(|key| self.open_with(&id, &key));
            if let Some(plaintext) = opened
                && plaintext.payee() == Some(receipt.signer)
            {
                self.record_opened(id, &plaintext);
                self.take_waited(id, &waiting);
                return true;
            }
        }
        false
    }

    pub(crate) fn record_opened(&mut self, entry: Hash, plaintext: &Plaintext) {
        let opened = match plaintext {
            Plaintext::Payment(body) => {
                Opened::Payment { payee: body.payee, request: body.request }
            }
            Plaintext::Refund(body) => {
                Opened::Refund { payee: body.payee, original: body.original, sum: body.sum }
            }
            Plaintext::GrantRequest(_) => return,
        };
        self.record(Change::EntryOpened { entry, opened }, Vec::new());
    }

    /// What a held entry says under a given key, if the key fits.
    pub(crate) fn open_with(&self, id: &Hash, key: &ContentKey) -> Option<Plaintext> {
        let entry = self.state().entries.get(id)?;
        let opened = open(&self.bank.network.id(), &entry.header.header, &entry.body, key);
        Some(opened.ok()?.plaintext)
    }

    /// What a held entry says under the key that the bank derives; none when the bank does not
    /// have the sealing key that the grant names.
    fn open_derived(&mut self, id: &Hash) -> Option<prepare::Opened> {
        let Bank { network, state, shared, .. } = &mut *self.bank;
        let entry = state.entries.get(id)?;
        let header = &entry.header.header;
        let pair = state.pair_of(header)?;
        match self.reading.take() {
            Some((of, reading))
                if of == *id
                    && reading.pair == pair
                    && self.keys.sealing_secret(&pair.0).is_some() =>
            {
                Some(reading.opened)
            }
            _ => read(&network.id(), header, &entry.body, pair, self.keys, shared),
        }
    }

    /// What the bank's policy is told of a request for a grant.
    fn asked_for(&mut self, id: &Hash, header: &Header) -> Option<Notification> {
        if header.kind != Kind::GRANT_REQUEST {
            return None;
        }
        let opened = self.open_derived(id)?.ok()?;
        let Plaintext::GrantRequest(request) = opened else { return None };
        let author = header.author.key;
        Some(Notification::GrantRequested { author, serial: request.serial, limit: request.limit })
    }
}
