//! Enrolment and the life of a grant's reserve: funded at issue; released at claim-until, or down
//! to the final total by its author's close; never because "everything known is settled".

use crate::account::{Account, CustomerId};
use crate::bank::{HandleError, Work};
use crate::event::Change;
use crate::input::GrantTerms;
use crate::limits::DISCLOSURE_SECONDS;
use crate::state::{GrantState, Source, Standing};
use crate::transaction::{Key, Transaction};
use alloc::boxed::Box;
use alloc::vec::Vec;
use hundi_ledger::codec::{DecodeError, Text};
use hundi_ledger::id::{Hash, PublicKey, SealingKey, Serial};
use hundi_ledger::limits::{CARRY_WINDOW, GRANTS_PER_AUTHOR_MAX, NAME_BYTES_MAX};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::grant::{FLAG_BEARER, Grant};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::{VERSION, sign};
use hundi_ledger::sign::{KeyError, check_key};

/// Why a key was not enrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    /// The key's signatures could be read in two ways. Make another key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The sealing key is of small order. Make another key.
    #[error("the sealing key is of small order")]
    SealingKey,
    /// The key is an author of this bank already.
    #[error("this key is enrolled already")]
    Known,
    /// The bank has no sealing key to name in grants.
    #[error("the bank has no sealing key")]
    NoSealingKey,
}

/// Why no grant was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueGrantError {
    /// A grant promises something.
    #[error("a grant has a limit above zero")]
    Nothing,
    /// The author is frozen: enrol a new key.
    #[error("the author is frozen")]
    Frozen,
    /// Too many grants of the author are alive, or its serials are used up.
    #[error("the author has as many grants as it can have")]
    TooMany,
    /// Limit and guarantee together are more than an amount can state.
    #[error("limit and guarantee together are more than an amount can state")]
    TooMuch,
    /// The customer's balance does not cover the limit.
    #[error("the balance does not cover the limit")]
    Funds,
    /// The guarantee pool does not cover another open guarantee.
    #[error("the guarantee pool does not cover this guarantee")]
    Pool,
    /// The terms break a rule of the record.
    #[error(transparent)]
    Terms(#[from] DecodeError),
    /// The bank has no sealing key to name in grants.
    #[error("the bank has no sealing key")]
    NoSealingKey,
}

impl Work<'_> {
    pub(crate) fn enrol(
        &mut self,
        customer: CustomerId,
        key: PublicKey,
        sealing: SealingKey,
        currency: Currency,
        display_name: Option<Text<NAME_BYTES_MAX>>,
    ) -> Result<(), HandleError> {
        self.known_customer(&customer)?;
        check_key(&key).map_err(EnrolError::Key)?;
        let bank = self.keys.sealing.first().ok_or(EnrolError::NoSealingKey)?;
        bank.agree(&sealing).map_err(|_| EnrolError::SealingKey)?;
        let bank_sealing = bank.public();
        if self.state().authors.contains_key(&key) {
            return Err(EnrolError::Known.into());
        }
        // What was paid to this author before it was known reaches it now.
        let author = self.author_id(key);
        let suspense = Account::Suspense(author);
        let waiting: Vec<Currency> =
            self.state().books.balances(suspense).map(|(currency, _)| currency).collect();
        let transactions = waiting.into_iter().filter_map(|currency| {
            let held = self.state().books.held(suspense, currency);
            let to = Account::Customer(customer);
            let key = Key::Suspense(author, currency);
            Transaction::transfer(key, currency, suspense, to, held).ok()
        });
        let transactions = transactions.collect();
        self.record(Change::Enrolled { author: key, customer, sealing, currency }, transactions);
        let grant = Grant {
            version: VERSION,
            author,
            certificate: self.keys.issue_certificate,
            epoch: self.state().epoch,
            author_sealing: sealing,
            bank_sealing,
            serial: Serial::ENROLMENT,
            currency,
            flags: 0,
            limit: Amount::ZERO,
            cap: Amount::ZERO,
            guarantee: Amount::ZERO,
            not_before: 0,
            expiry: u32::MAX,
            claim_until: u32::MAX,
            first_sequence: 0,
            carry_to: CARRY_WINDOW - 1,
            unsettled_max: u8::MAX,
            penalty_percent: 0,
            penalty_floor_percent: 100,
            policy: None,
            display_name,
        };
        let signed = self.sign_grant(grant, Source::Prefunded, Vec::new());
        // Every field is fixed above and keeps the rules of the record.
        assert!(signed.is_ok(), "an enrolment grant keeps the rules of its record");
        Ok(())
    }

    pub(crate) fn issue_grant(
        &mut self,
        key: PublicKey,
        terms: GrantTerms,
    ) -> Result<(), HandleError> {
        let author = self.author(&key)?;
        if terms.limit.is_zero() {
            return Err(IssueGrantError::Nothing.into());
        }
        // What was settled under a grant is counted as one amount.
        terms.limit.add(terms.guarantee).map_err(|_| IssueGrantError::TooMuch)?;
        if author.freeze.is_some() || author.proof.is_some() {
            return Err(IssueGrantError::Frozen.into());
        }
        let alive = author.grants.values().filter(|it| !it.ended).count();
        let last = author.grants.keys().next_back().map_or(0, |serial| serial.0);
        let last = last.max(author.serial_above.0);
        // The enrolment grant is alive besides.
        if alive > GRANTS_PER_AUTHOR_MAX || last == u16::MAX {
            return Err(IssueGrantError::TooMany.into());
        }
        let (currency, customer) = (author.currency, author.customer);
        let sealing = self.keys.sealing.first().ok_or(IssueGrantError::NoSealingKey)?;
        let first_sequence = author.frontier.map_or(0, |it| it.sequence.saturating_add(1));
        let expiry = self.now_u32().saturating_add(terms.expiry_seconds);
        let grant = Grant {
            version: VERSION,
            author: self.author_id(key),
            certificate: self.keys.issue_certificate,
            epoch: self.state().epoch,
            author_sealing: author.sealing,
            bank_sealing: sealing.public(),
            serial: Serial(last + 1),
            currency,
            flags: if terms.bearer { FLAG_BEARER } else { 0 },
            limit: terms.limit,
            cap: terms.cap,
            guarantee: terms.guarantee,
            not_before: self.now_u32(),
            expiry,
            claim_until: expiry.saturating_add(terms.claim_seconds),
            first_sequence,
            carry_to: first_sequence.saturating_add(CARRY_WINDOW - 1),
            unsettled_max: terms.unsettled_max,
            penalty_percent: terms.penalty_percent,
            penalty_floor_percent: terms.penalty_floor_percent,
            policy: terms.policy,
            display_name: terms.display_name,
        };
        let from = match terms.source {
            Source::Prefunded => Account::Customer(customer),
            Source::Credit => Account::CreditCommitted,
        };
        let reserve = Account::Reserve(grant.author, grant.serial);
        let key = Key::Grant(grant.author, grant.serial);
        let transaction = Transaction::transfer(key, currency, from, reserve, terms.limit)
            .map_err(|_| IssueGrantError::Nothing)?;
        self.state().books.check(&transaction).map_err(|_| IssueGrantError::Funds)?;
        self.check_pool(customer, currency, terms.guarantee)?;
        self.sign_grant(grant, terms.source, alloc::vec![transaction])?;
        Ok(())
    }

    fn sign_grant(
        &mut self,
        grant: Grant,
        source: Source,
        transactions: Vec<Transaction>,
    ) -> Result<(), IssueGrantError> {
        let signed = sign(&self.bank.network.id(), grant, &self.keys.issue)?.into_inner();
        let mut grant = Grant::clone(&signed);
        grant.display_name = None;
        let change = Change::GrantIssued { grant: Box::new(grant), id: signed.id(), source };
        self.record(change, transactions);
        self.publish(&Item::Grant(signed));
        Ok(())
    }

    /// Whether the pool covers all open guarantees, one per customer, with this one added.
    fn check_pool(
        &self,
        customer: CustomerId,
        currency: Currency,
        guarantee: Amount,
    ) -> Result<(), IssueGrantError> {
        if guarantee.is_zero() {
            return Ok(());
        }
        let exposure: i128 = self
            .state()
            .customers
            .keys()
            .map(|of| {
                let more = if *of == customer { guarantee } else { Amount::ZERO };
                self.state().exposure(of, currency, more)
            })
            .sum();
        let pool = self.state().books.balance(Account::GuaranteePool, currency);
        if exposure > pool { Err(IssueGrantError::Pool) } else { Ok(()) }
    }

    /// What a grant's reserve holds.
    pub(crate) fn reserve(&self, key: &PublicKey, grant: &GrantState) -> Amount {
        let account = Account::Reserve(self.author_id(*key), grant.grant.serial);
        self.state().books.held(account, grant.grant.currency)
    }

    /// The transaction that returns `amount` of a reserve to where it came from; none for nothing.
    pub(crate) fn release(
        &self,
        key: &PublicKey,
        serial: Serial,
        amount: Amount,
    ) -> Vec<Transaction> {
        let state = self.state();
        let Some((author, grant)) = state.authors.get(key).zip(state.grant(key, serial)) else {
            return Vec::new();
        };
        let to = match grant.source {
            Source::Prefunded => Account::Customer(author.customer),
            Source::Credit => Account::CreditCommitted,
        };
        let id = self.author_id(*key);
        let reserve = Account::Reserve(id, serial);
        let key = Key::Release(id, serial, grant.releases);
        Transaction::transfer(key, author.currency, reserve, to, amount).into_iter().collect()
    }

    /// What an author's close does to the grant it ends: the rest above its final total returns
    /// at once, except of a bearer grant and under a contradiction.
    pub(crate) fn close_grant(&mut self, key: &PublicKey, serial: Serial, total: Amount) {
        let state = self.state();
        let Some((author, grant)) = state.authors.get(key).zip(state.grant(key, serial)) else {
            return;
        };
        let stays = grant.closed
            || grant.claims_ended
            || grant.grant.is_bearer()
            || serial == Serial::ENROLMENT
            || author.proof.is_some();
        if stays {
            return;
        }
        let rest = grant.grant.limit.sub(total).unwrap_or_default();
        let released = rest.min(self.reserve(key, grant));
        let transactions = self.release(key, serial, released);
        self.record(Change::Closed { author: *key, serial, released }, transactions);
    }

    /// Claim-until has passed for a grant, or the time in which keys may still be disclosed.
    pub(crate) fn end_claims(&mut self, key: PublicKey, serial: Serial) {
        let Some(grant) = self.state().grant(&key, serial) else { return };
        let until = u64::from(grant.grant.claim_until);
        if self.now >= until.saturating_add(DISCLOSURE_SECONDS) {
            self.lapse_undecided(&key, serial);
        }
        let Some(grant) = self.state().grant(&key, serial) else { return };
        let ended = grant.undecided == 0;
        let bearer = grant.grant.is_bearer();
        if self.is_contested(&key, serial) && !bearer {
            // The rest of the reserve stays until the review closes.
            let change = Change::ClaimsEnded { author: key, serial, released: Amount::ZERO, ended };
            self.record(change, Vec::new());
            if ended {
                self.pay_contested(key, serial);
            }
            return;
        }
        if bearer && ended {
            self.reject_contested(&key, serial);
        }
        let Some(grant) = self.state().grant(&key, serial) else { return };
        let held = u64::try_from(grant.undecided_amount).ok().and_then(|it| Amount::new(it).ok());
        let reserve = self.reserve(&key, grant);
        let released = held.and_then(|held| reserve.sub(held).ok()).unwrap_or_default();
        let transactions = self.release(&key, serial, released);
        self.record(Change::ClaimsEnded { author: key, serial, released, ended }, transactions);
    }

    fn lapse_undecided(&mut self, key: &PublicKey, serial: Serial) {
        for id in self.entries_under(key, serial) {
            match self.state().entries.get(&id).map(|entry| entry.standing) {
                Some(Standing::Unopened) => self.decide_as(id, Outcome::RejectedUnopened),
                Some(Standing::Waiting { .. }) => self.decide_as(id, Outcome::RejectedRefund),
                _ => {}
            }
        }
    }

    /// The money entries under a grant, by place in the log.
    pub(crate) fn entries_under(&self, key: &PublicKey, serial: Serial) -> Vec<Hash> {
        let state = self.state();
        let Some(author) = state.authors.get(key) else { return Vec::new() };
        let all = author.index.values().flatten();
        let under = all.filter(|id| {
            state.entries.get(*id).is_some_and(|it| it.header.header.serial == serial)
        });
        under.copied().collect()
    }
}
