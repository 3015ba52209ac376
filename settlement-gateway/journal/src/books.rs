//! The books: balances, what has been posted, the trial balance and customers' statements.
//! Transactions are balanced by construction ([`crate::transaction`]); here each key is posted
//! once and no account that holds money is overdrawn.

use crate::account::{Account, CustomerId};
use crate::transaction::{Key, Transaction};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::codec;
use hundi_ledger::id::Hash;
use hundi_ledger::money::{Amount, Currency};

/// Why a transaction is not posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// Another transaction has this key already. Report: two callers disagree about one thing.
    #[error("another transaction has this key")]
    Conflict,
    /// The account does not hold as much. Reject, or try again when it does.
    #[error("{} does not hold as much", .0.kind())]
    Overdrawn(Account),
}

/// What posting did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The transaction is new.
    New,
    /// The same transaction was posted before; nothing changed.
    Already,
}

/// One line of a customer's statement.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Line {
    /// Number of the event that carried the transaction.
    pub event: u64,
    /// When, Unix seconds.
    pub at: u64,
    /// What the transaction was about.
    pub key: Key,
    /// The currency.
    pub currency: Currency,
    /// What it added to the balance, in minor units; negative when it took.
    pub change: i128,
    /// The balance after it, in minor units.
    pub balance: i128,
}

/// One row of the trial balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The account.
    pub account: Account,
    /// The currency.
    pub currency: Currency,
    /// Credits less debits, in minor units.
    pub balance: i128,
}

/// The bank's double-entry books.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Books {
    balances: BTreeMap<(Account, Currency), i128>,
    posted: BTreeMap<Key, Hash>,
    statements: BTreeMap<CustomerId, Vec<Line>>,
}

impl Books {
    /// Posts a transaction that event `event` carries at time `at` (Unix seconds).
    ///
    /// # Errors
    /// See [`PostError`]; nothing is changed then.
    pub fn post(
        &mut self,
        event: u64,
        at: u64,
        transaction: &Transaction,
    ) -> Result<Posted, PostError> {
        if self.check(transaction)? == Posted::Already {
            return Ok(Posted::Already);
        }
        let currency = transaction.currency();
        for posting in transaction.postings() {
            // Amounts are below 2^48: 2^79 postings would be needed to leave 128 bits.
            let balance = self.balances.entry((posting.account, currency)).or_default();
            *balance += posting.signed();
            if let Account::Customer(customer) = posting.account {
                let line = Line {
                    event,
                    at,
                    key: transaction.key(),
                    currency,
                    change: posting.signed(),
                    balance: *balance,
                };
                self.statements.entry(customer).or_default().push(line);
            }
        }
        self.posted.insert(transaction.key(), digest(transaction));
        Ok(Posted::New)
    }

    /// What [`Books::post`] would answer.
    ///
    /// # Errors
    /// See [`PostError`].
    pub fn check(&self, transaction: &Transaction) -> Result<Posted, PostError> {
        if let Some(held) = self.posted.get(&transaction.key()) {
            let same = *held == digest(transaction);
            return if same { Ok(Posted::Already) } else { Err(PostError::Conflict) };
        }
        let mut changes: BTreeMap<Account, i128> = BTreeMap::new();
        for posting in transaction.postings() {
            *changes.entry(posting.account).or_default() += posting.signed();
        }
        for (account, change) in changes {
            let after = self.balance(account, transaction.currency()) + change;
            if account.holds_money() && change < 0 && after < 0 {
                return Err(PostError::Overdrawn(account));
            }
        }
        Ok(Posted::New)
    }

    /// Whether a transaction with that key was posted.
    pub fn has(&self, key: &Key) -> bool {
        self.posted.contains_key(key)
    }

    /// Credits less debits of an account, in minor units: positive for what the bank owes or has
    /// set aside, negative for what is owed to it.
    pub fn balance(&self, account: Account, currency: Currency) -> i128 {
        self.balances.get(&(account, currency)).copied().unwrap_or(0)
    }

    /// The balances of an account in all its currencies.
    pub fn balances(&self, account: Account) -> impl Iterator<Item = (Currency, i128)> + '_ {
        let of_account = self.balances.iter().filter(move |((of, _), _)| *of == account);
        of_account.map(|((_, currency), balance)| (*currency, *balance))
    }

    /// What an account that holds money holds.
    pub fn held(&self, account: Account, currency: Currency) -> Amount {
        let balance = self.balance(account, currency).clamp(0, i128::from(Amount::MAX.minor()));
        u64::try_from(balance).ok().and_then(|minor| Amount::new(minor).ok()).unwrap_or_default()
    }

    /// Every account that was ever posted to, in order.
    pub fn trial_balance(&self) -> impl Iterator<Item = Row> + '_ {
        self.balances.iter().map(|((account, currency), balance)| Row {
            account: *account,
            currency: *currency,
            balance: *balance,
        })
    }

    /// The sum over all accounts per currency: zero, or the books are broken (invariant I4).
    pub fn sums(&self) -> BTreeMap<Currency, i128> {
        let mut sums = BTreeMap::new();
        for row in self.trial_balance() {
            *sums.entry(row.currency).or_default() += row.balance;
        }
        sums
    }

    /// A customer's statement, oldest line first.
    pub fn statement(&self, customer: &CustomerId) -> &[Line] {
        self.statements.get(customer).map_or(&[], Vec::as_slice)
    }
}

fn digest(transaction: &Transaction) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("hundi v1 journal transaction");
    hasher.update(&codec::encode(transaction));
    Hash(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_posts_once_and_money_is_not_overdrawn() {
        let inr = Currency::new("INR").unwrap();
        let customer = Account::Customer(CustomerId([1; 16]));
        let fund = |reference, minor| {
            let amount = Amount::new(minor).unwrap();
            Transaction::transfer(
                Key::Operation([reference; 16]),
                inr,
                Account::Nostro,
                customer,
                amount,
            )
            .unwrap()
        };
        let mut books = Books::default();
        assert_eq!(books.post(1, 5, &fund(1, 70)), Ok(Posted::New));
        assert_eq!(books.post(2, 6, &fund(1, 70)), Ok(Posted::Already));
        assert_eq!(books.post(3, 7, &fund(1, 71)), Err(PostError::Conflict));
        let amount = Amount::new(71).unwrap();
        let key = Key::Operation([2; 16]);
        let out = Transaction::transfer(key, inr, customer, Account::Nostro, amount).unwrap();
        assert_eq!(books.post(4, 8, &out), Err(PostError::Overdrawn(customer)));
        assert_eq!(books.held(customer, inr).minor(), 70);
        assert_eq!(books.sums()[&inr], 0);
        assert_eq!(books.statement(&CustomerId([1; 16])).len(), 1);
    }
}
