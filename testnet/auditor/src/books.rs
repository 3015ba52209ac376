//! A bank's books, added up anew from the postings of its journal: balances, and what each entry and
//! each grant was paid.

use crate::facts::{Account, BankFacts, Posting, Transaction};
use crate::records::Author;
use std::collections::BTreeMap;

/// What an entry was paid.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Paid {
    /// Out of reserves.
    pub(crate) reserve: i128,
    /// Beyond them, as a claim on the offender.
    pub(crate) guarantee: i128,
    /// The most that both ever came to.
    pub(crate) most: i128,
    /// The most that was ever out of the balance of the customer that it debited first: what a refund
    /// moves. What it moves back is not moved twice.
    pub(crate) balance: i128,
    /// That customer, and what is out of its balance.
    out: Option<(u64, i128)>,
    /// Whether it was first paid as the guarantee is, provisionally, and when.
    pub(crate) provisional: bool,
    /// The step at which it was first paid.
    pub(crate) step: u64,
    /// What the bank's clock said then.
    pub(crate) clock_s: u32,
}

impl Paid {
    pub(crate) fn total(&self) -> i128 {
        self.reserve + self.guarantee
    }
}

/// Money that left a reserve for no entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    pub(crate) author: Author,
    pub(crate) serial: u16,
    pub(crate) amount: i128,
    /// What is left in the reserve.
    pub(crate) left: i128,
    /// What entries had been paid out of it.
    pub(crate) settled: i128,
    pub(crate) step: u64,
    pub(crate) clock_s: u32,
}

/// What went through one grant's reserve.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GrantBooks {
    /// Moved into it, for no entry.
    pub(crate) funded: i128,
    /// Paid to entries out of it.
    pub(crate) settled: i128,
}

/// The books after some transactions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) balances: BTreeMap<(Account, [u8; 3]), i128>,
    pub(crate) paid: BTreeMap<[u8; 32], Paid>,
    pub(crate) grants: BTreeMap<(Author, u16), GrantBooks>,
    pub(crate) releases: Vec<Release>,
}

impl Books {
    /// The books after all transactions of a bank.
    pub(crate) fn of(bank: &BankFacts) -> Self {
        let mut books = Self::default();
        bank.transactions.iter().for_each(|transaction| books.post(transaction));
        books
    }

    /// Adds a transaction.
    pub(crate) fn post(&mut self, transaction: &Transaction) {
        for posting in &transaction.postings {
            let key = (posting.account, posting.currency);
            *self.balances.entry(key).or_default() += i128::from(posting.amount);
        }
        for posting in &transaction.postings {
            if let Account::Reserve { author, serial } = posting.account {
                self.reserve_moved(transaction, posting, author, serial);
            }
        }
        if let Some(entry) = transaction.entry {
            self.entry_paid(entry, transaction);
        }
    }

    fn reserve_moved(
        &mut self,
        transaction: &Transaction,
        posting: &Posting,
        author: Author,
        serial: u16,
    ) {
        let grant = self.grants.entry((author, serial)).or_default();
        let amount = i128::from(posting.amount);
        if transaction.entry.is_some() {
            grant.settled -= amount;
        } else if amount > 0 {
            grant.funded += amount;
        } else {
            let left = self.balances.get(&(posting.account, posting.currency));
            self.releases.push(Release {
                author,
                serial,
                amount: -amount,
                left: left.copied().unwrap_or_default(),
                settled: grant.settled,
                step: transaction.step,
                clock_s: transaction.clock_s,
            });
        }
    }

    fn entry_paid(&mut self, entry: [u8; 32], transaction: &Transaction) {
        let reserve = -sum(transaction, |one| matches!(one, Account::Reserve { .. }));
        let guarantee = -sum(transaction, |one| matches!(one, Account::DoubleSpendReceivable(_)));
        let debited = transaction.postings.iter().find_map(|posting| match posting.account {
            Account::Customer(customer) if posting.amount < 0 => {
                Some((customer, -i128::from(posting.amount)))
            }
            _ => None,
        });
        if reserve == 0 && guarantee == 0 && debited.is_none() {
            return;
        }
        let paid = self.paid.entry(entry).or_insert(Paid {
            step: transaction.step,
            clock_s: transaction.clock_s,
            provisional: sum(transaction, |one| matches!(one, Account::PendingIn(_))) > 0,
            ..Paid::default()
        });
        paid.reserve += reserve;
        paid.guarantee += guarantee;
        paid.most = paid.most.max(paid.total());
        paid.out = match paid.out {
            None => debited,
            Some((customer, out)) => {
                let back = sum(transaction, |one| *one == Account::Customer(customer));
                Some((customer, out - back))
            }
        };
        paid.balance = paid.balance.max(paid.out.map_or(0, |(_, out)| out));
    }

    /// What an entry was paid, nothing if it was not.
    pub(crate) fn paid(&self, entry: &[u8; 32]) -> Paid {
        self.paid.get(entry).copied().unwrap_or_default()
    }

    /// What was released from a grant's reserve before a step.
    pub(crate) fn released(&self, author: Author, serial: u16, before: u64) -> i128 {
        let of = self.releases.iter();
        let of = of.filter(|one| (one.author, one.serial) == (author, serial) && one.step < before);
        of.map(|one| one.amount).sum()
    }
}

/// What a transaction credits to accounts, debits taken off.
pub(crate) fn sum(transaction: &Transaction, of: impl Fn(&Account) -> bool) -> i128 {
    let moved = transaction.postings.iter().filter(|posting| of(&posting.account));
    moved.map(|posting| i128::from(posting.amount)).sum()
}
