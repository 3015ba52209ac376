//! The auditor: recomputes solvency, conservation and exactly-once (invariants I3, I4, I5) from
//! the stored events and the evidence inside them. It shares no code with what decides and
//! applies: it adds up postings, counts payments, and verifies signatures itself.

use crate::account::{Account, Party};
use crate::event::{Change, Event};
use crate::state::Opened;
use crate::transaction::{Key, Side, Transaction};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use hundi_ledger::codec;
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::entry::{Header, body_hash};

/// Something that an honest bank's events never show. Numbers are those of the events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The numbering has a gap or repeats.
    #[error("event {0}: numbers do not follow")]
    Numbering(u64),
    /// Debits and credits of a transaction differ.
    #[error("event {0}: a transaction does not balance (I4)")]
    Unbalanced(u64),
    /// The sum over all accounts is not zero.
    #[error("event {0}: the accounts in {1} do not add up to zero (I4)")]
    Sum(u64, Currency),
    /// A key was posted twice.
    #[error("event {0}: a transaction was posted twice (I5)")]
    Twice(u64),
    /// An account that holds money went below zero.
    #[error("event {0}: {account} was overdrawn", account = .1.kind())]
    Overdrawn(u64, Account),
    /// More was settled under a grant than its limit and guarantee.
    #[error("event {0}: more settled under grant {2} of {1} than limit and guarantee (I3)")]
    Insolvent(u64, AuthorId, Serial),
    /// An entry was paid while it was paid already.
    #[error("event {0}: entry {1} was settled more than once (I5)")]
    SettledTwice(u64, Hash),
    /// What was paid is not what the entry states, or under another grant.
    #[error("event {0}: entry {1} was settled with another amount or reserve")]
    WrongAmount(u64, Hash),
    /// An entry was paid without having been received.
    #[error("event {0}: entry {1} was settled without evidence")]
    NoEvidence(u64, Hash),
    /// The author's signature does not hold, or the body is not the one that was signed.
    #[error("event {0}: the signature or body of entry {1} does not hold")]
    BadEvidence(u64, Hash),
    /// More went back than an original paid, or it went back more than once.
    #[error("event {0}: more than the original of {1} was returned")]
    OverReturned(u64, Hash),
    /// A reserve was not funded with its grant's limit.
    #[error("event {0}: the reserve of grant {2} of {1} was not funded with its limit")]
    Unfunded(u64, AuthorId, Serial),
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Events seen.
    pub events: u64,
    /// The journal hash recomputed; compare it with the bank's and with its bulletins.
    pub head: Hash,
    /// Transactions seen.
    pub transactions: u64,
    /// Entries whose evidence was verified.
    pub entries: u64,
    /// Entries that are settled, provisional payments included.
    pub settled: u64,
    /// Entries whose body has been erased, so that only the header could be verified.
    pub erased: u64,
    /// The sum over all accounts per currency: all zero.
    pub sums: BTreeMap<Currency, i128>,
    /// The balances recomputed, credits positive.
    pub balances: BTreeMap<(Account, Currency), i128>,
    /// Everything that must not be.
    pub findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug)]
struct GrantSeen {
    limit: u64,
    guarantee: u64,
    settled: i128,
}

/// Recomputes a bank's books from its events.
#[derive(Clone, Debug)]
pub struct Auditor {
    network: NetworkId,
    bank: BankNumber,
    head: Hash,
    events: u64,
    transactions: u64,
    erased: u64,
    balances: BTreeMap<(Account, Currency), i128>,
    keys: BTreeSet<Key>,
    grants: BTreeMap<(AuthorId, Serial), GrantSeen>,
    headers: BTreeMap<Hash, Header>,
    opened: BTreeMap<Hash, Opened>,
    paid: BTreeSet<Hash>,
    returned: BTreeMap<Hash, u64>,
    refunds: BTreeMap<Hash, Hash>,
    findings: Vec<Finding>,
}

impl Auditor {
    /// An auditor of bank `bank` who has seen nothing.
    pub fn new(network: NetworkId, bank: BankNumber) -> Self {
        Self {
            network,
            bank,
            head: Hash([0; 32]),
            events: 0,
            transactions: 0,
            erased: 0,
            balances: BTreeMap::new(),
            keys: BTreeSet::new(),
            grants: BTreeMap::new(),
            headers: BTreeMap::new(),
            opened: BTreeMap::new(),
            paid: BTreeSet::new(),
            returned: BTreeMap::new(),
            refunds: BTreeMap::new(),
            findings: Vec::new(),
        }
    }

    /// Looks at the next event.
    pub fn feed(&mut self, event: &Event) {
        let number = event.number;
        if number != self.events + 1 {
            self.findings.push(Finding::Numbering(number));
        }
        self.events = number;
        self.chain(event);
        match &event.change {
            Change::EntryReceived { header, body, .. } => {
                let id = header.header.id(&self.network);
                let whole = header.header.body_hash == body_hash(&self.network, body);
                let erased = !whole && body.is_empty();
                self.erased += u64::from(erased);
                let signed = header.clone().verify(&self.network).is_ok();
                if !signed || !(whole || erased) || header.header.author.bank != self.bank {
                    self.findings.push(Finding::BadEvidence(number, id));
                }
                self.headers.insert(id, header.header.clone());
            }
            Change::EntryOpened { entry, opened } => {
                self.opened.insert(*entry, *opened);
            }
            Change::GrantIssued { grant, .. } => {
                let seen = GrantSeen {
                    limit: grant.limit.minor(),
                    guarantee: grant.guarantee.minor(),
                    settled: 0,
                };
                let place = (grant.author, grant.serial);
                let fresh = self.grants.insert(place, seen).is_none();
                let reserve = Account::Reserve(place.0, place.1);
                let funded = event.transactions.iter().any(|transaction| {
                    transaction.key() == Key::Grant(place.0, place.1)
                        && change_of(transaction, &reserve) == i128::from(grant.limit.minor())
                });
                if !fresh || !(funded || grant.limit.is_zero()) {
                    self.findings.push(Finding::Unfunded(number, place.0, place.1));
                }
            }
            _ => {}
        }
        for transaction in &event.transactions {
            self.look_at(number, transaction);
        }
    }

    /// What has been found so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What was found.
    pub fn finish(mut self) -> Report {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for ((_, currency), balance) in &self.balances {
            *sums.entry(*currency).or_default() += balance;
        }
        let broken = sums.iter().filter(|(_, sum)| **sum != 0);
        let broken: Vec<_> =
            broken.map(|(currency, _)| Finding::Sum(self.events, *currency)).collect();
        self.findings.extend(broken);
        Report {
            events: self.events,
            head: self.head,
            transactions: self.transactions,
            entries: self.headers.len() as u64,
            settled: self.paid.len() as u64,
            erased: self.erased,
            sums,
            balances: self.balances,
            findings: self.findings,
        }
    }

    fn chain(&mut self, event: &Event) {
        let mut hashed = event.clone();
        if let Change::EntryReceived { body, .. } = &mut hashed.change {
            body.clear();
        }
        let mut hasher = blake3::Hasher::new_derive_key("hundi v1 journal event");
        hasher.update(&self.head.0).update(&codec::encode(&hashed));
        self.head = Hash(*hasher.finalize().as_bytes());
    }

    fn look_at(&mut self, number: u64, transaction: &Transaction) {
        self.transactions += 1;
        if !self.keys.insert(transaction.key()) {
            self.findings.push(Finding::Twice(number));
        }
        let mut sum = 0;
        for posting in transaction.postings() {
            let minor = i128::from(posting.amount.minor());
            let change = if posting.side == Side::Credit { minor } else { -minor };
            sum += change;
            *self.balances.entry((posting.account, transaction.currency())).or_default() += change;
        }
        if sum != 0 {
            self.findings.push(Finding::Unbalanced(number));
        }
        for posting in transaction.postings() {
            let balance = self.balances[&(posting.account, transaction.currency())];
            let holds = matches!(
                posting.account,
                Account::Customer(_)
                    | Account::Reserve(..)
                    | Account::PendingIn(_)
                    | Account::GuaranteePool
                    | Account::Suspense(_)
                    | Account::DueTo(_)
            );
            if holds && balance < 0 {
                self.findings.push(Finding::Overdrawn(number, posting.account));
            }
        }
        match transaction.key() {
            Key::Settle(id) => self.pay(number, id, transaction, false),
            Key::Provisional(id) => self.pay(number, id, transaction, true),
            Key::Reverse(id) => self.take_back(number, id),
            Key::Return(id) => self.give_back(number, id, id, credited(transaction)),
            Key::Refund(id) => self.refund(number, id, credited(transaction)),
            _ => {}
        }
    }

    fn pay(&mut self, number: u64, id: Hash, transaction: &Transaction, provisional: bool) {
        let Some(header) = self.headers.get(&id).cloned() else {
            self.findings.push(Finding::NoEvidence(number, id));
            return;
        };
        if !self.paid.insert(id) {
            self.findings.push(Finding::SettledTwice(number, id));
        }
        let amount = i128::from(header.amount.minor());
        let reserve = Account::Reserve(header.author, header.serial);
        let from_reserve = -change_of(transaction, &reserve);
        let to_payee: i128 = transaction
            .postings()
            .iter()
            .filter(|posting| posting.side == Side::Credit && is_payee(&posting.account))
            .map(|posting| i128::from(posting.amount.minor()))
            .sum();
        let covered = if provisional { from_reserve <= amount } else { from_reserve == amount };
        if to_payee != amount || !covered {
            self.findings.push(Finding::WrongAmount(number, id));
        }
        let place = (header.author, header.serial);
        match self.grants.get_mut(&place) {
            Some(grant) => {
                grant.settled += to_payee;
                let most = i128::from(grant.limit) + i128::from(grant.guarantee);
                if grant.settled > most {
                    self.findings.push(Finding::Insolvent(number, place.0, place.1));
                }
            }
            None => self.findings.push(Finding::Insolvent(number, place.0, place.1)),
        }
        if let Some(Opened::Refund { .. }) = self.opened.get(&id) {
            self.refund(number, id, header.amount.minor());
        }
    }

    fn take_back(&mut self, number: u64, id: Hash) {
        if !self.paid.remove(&id) {
            self.findings.push(Finding::NoEvidence(number, id));
        }
        let Some(header) = self.headers.get(&id) else { return };
        if let Some(grant) = self.grants.get_mut(&(header.author, header.serial)) {
            grant.settled -= i128::from(header.amount.minor());
        }
        // A refund that is taken back has returned nothing.
        if let Some(Opened::Refund { original, sum, .. }) = self.opened.get(&id) {
            self.refunds.remove(original);
            let total = self.returned.entry(*original).or_default();
            *total = total.saturating_sub(sum.minor());
        }
    }

    fn refund(&mut self, number: u64, refund: Hash, sum: u64) {
        let Some(Opened::Refund { original, sum: stated, .. }) = self.opened.get(&refund).copied()
        else {
            self.findings.push(Finding::NoEvidence(number, refund));
            return;
        };
        let first = self.refunds.insert(original, refund).is_none();
        if !first || stated.minor() != sum {
            self.findings.push(Finding::OverReturned(number, original));
        }
        self.give_back(number, original, refund, sum);
    }

    /// Counts what went back of `original` because of `by`.
    fn give_back(&mut self, number: u64, original: Hash, by: Hash, sum: u64) {
        let returned = self.returned.entry(original).or_default();
        *returned = returned.saturating_add(sum);
        let paid = match (self.headers.get(&original), self.opened.get(&original)) {
            // A refund that spends nothing moved the sum in its body.
            (Some(_), Some(Opened::Refund { sum, .. })) => *sum,
            (Some(header), _) => header.amount,
            // Of another bank's log: that bank counts.
            (None, _) if original != by => Amount::MAX,
            (None, _) => Amount::ZERO,
        };
        if *returned > paid.minor() {
            self.findings.push(Finding::OverReturned(number, original));
        }
    }
}

/// What a transaction adds to an account, credits positive.
fn change_of(transaction: &Transaction, account: &Account) -> i128 {
    let postings = transaction.postings().iter().filter(|posting| posting.account == *account);
    postings.map(|posting| posting.signed()).sum()
}

fn credited(transaction: &Transaction) -> u64 {
    let credits = transaction.postings().iter().filter(|posting| posting.side == Side::Credit);
    credits.map(|posting| posting.amount.minor()).sum()
}

fn is_payee(account: &Account) -> bool {
    matches!(
        account,
        Account::Customer(_)
            | Account::Suspense(_)
            | Account::DueTo(_)
            | Account::PendingIn(Party::Customer(_) | Party::Author(_))
    )
}

/// Audits a sequence of events.
pub fn audit<'a>(
    network: NetworkId,
    bank: BankNumber,
    events: impl IntoIterator<Item = &'a Event>,
) -> Report {
    let mut auditor = Auditor::new(network, bank);
    events.into_iter().for_each(|event| auditor.feed(event));
    auditor.finish()
}
