//! A transaction of the books: postings in one currency whose debits equal their credits. One
//! that does not balance cannot be built, nor decoded.

use crate::account::Account;
use alloc::vec::Vec;
use borsh::io::{Error, ErrorKind, Read, Result as IoResult};
use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::id::{AuthorId, Hash, Serial};
use hundi_ledger::money::{Amount, Currency};

/// Which side of an account a posting is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Side {
    /// Takes from an account that holds money, adds to one that is owed.
    Debit,
    /// The other side.
    Credit,
}

/// One line of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Posting {
    /// The side.
    pub side: Side,
    /// The account.
    pub account: Account,
    /// How much, above zero.
    pub amount: Amount,
}

impl Posting {
    /// What the posting adds to the account's balance, credits counted positive.
    pub fn signed(&self) -> i128 {
        let minor = i128::from(self.amount.minor());
        match self.side {
            Side::Debit => -minor,
            Side::Credit => minor,
        }
    }
}

/// What a transaction is about. The books post each key once.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Key {
    /// An operator's or customer's request, under the reference that came with it.
    Operation([u8; 16]),
    /// A grant is funded.
    Grant(AuthorId, Serial),
    /// An entry is settled.
    Settle(Hash),
    /// A refund entry moves money out of its original or its author's balance.
    Refund(Hash),
    /// A settled entry is returned because its payee refused it.
    Return(Hash),
    /// A part of a reserve returns; the number counts the parts.
    Release(AuthorId, Serial, u16),
    /// A contested entry is paid provisionally.
    Provisional(Hash),
    /// A review ends with the payee being paid.
    Review(Hash),
    /// A provisional payment is taken back.
    Reverse(Hash),
    /// What waited in suspense for an author reaches it.
    Suspense(AuthorId, Currency),
}

/// Why postings are no transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// Debits and credits differ.
    #[error("debits {debits} and credits {credits} differ")]
    Unbalanced {
        /// Sum of the debits in minor units.
        debits: i128,
        /// Sum of the credits in minor units.
        credits: i128,
    },
    /// Nothing is moved.
    #[error("a transaction moves something")]
    Empty,
}

/// A balanced transaction.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct Transaction {
    key: Key,
    currency: Currency,
    postings: Vec<Posting>,
}

impl Transaction {
    /// A transaction of `postings`; those of nothing are left out.
    ///
    /// # Errors
    /// When debits and credits differ, or nothing is left.
    pub fn new(
        key: Key,
        currency: Currency,
        postings: impl IntoIterator<Item = (Side, Account, Amount)>,
    ) -> Result<Self, TransactionError> {
        let postings: Vec<Posting> = postings
            .into_iter()
            .filter(|(_, _, amount)| !amount.is_zero())
            .map(|(side, account, amount)| Posting { side, account, amount })
            .collect();
        let transaction = Self { key, currency, postings };
        transaction.check().map(|()| transaction)
    }

    /// `amount` from `debit` to `credit`.
    ///
    /// # Errors
    /// When the amount is zero.
    pub fn transfer(
        key: Key,
        currency: Currency,
        debit: Account,
        credit: Account,
        amount: Amount,
    ) -> Result<Self, TransactionError> {
        Self::new(key, currency, [(Side::Debit, debit, amount), (Side::Credit, credit, amount)])
    }

    fn check(&self) -> Result<(), TransactionError> {
        let sum = |side| -> i128 {
            let of_side = self.postings.iter().filter(|posting| posting.side == side);
            of_side.map(|posting| i128::from(posting.amount.minor())).sum()
        };
        let (debits, credits) = (sum(Side::Debit), sum(Side::Credit));
        if self.postings.is_empty() || self.postings.iter().any(|p| p.amount.is_zero()) {
            return Err(TransactionError::Empty);
        }
        if debits != credits {
            return Err(TransactionError::Unbalanced { debits, credits });
        }
        Ok(())
    }

    /// What it is about.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Its currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Its lines.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }
}

impl BorshDeserialize for Transaction {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let transaction = Self {
            key: Key::deserialize_reader(reader)?,
            currency: Currency::deserialize_reader(reader)?,
            postings: Vec::deserialize_reader(reader)?,
        };
        let checked = transaction.check();
        checked.map_err(|_| Error::new(ErrorKind::InvalidData, "unbalanced transaction"))?;
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hundi_ledger::codec;

    #[test]
    fn only_balanced_transactions_exist() {
        let inr = Currency::new("INR").unwrap();
        let amount = |minor| Amount::new(minor).unwrap();
        let key = Key::Operation([1; 16]);
        let unbalanced = Transaction::new(
            key,
            inr,
            [
                (Side::Debit, Account::Nostro, amount(2)),
                (Side::Credit, Account::LossExpense, amount(1)),
            ],
        );
        assert_eq!(unbalanced, Err(TransactionError::Unbalanced { debits: 2, credits: 1 }));
        let nothing =
            Transaction::transfer(key, inr, Account::Nostro, Account::LossExpense, Amount::ZERO);
        assert_eq!(nothing, Err(TransactionError::Empty));
        let good =
            Transaction::transfer(key, inr, Account::Nostro, Account::LossExpense, amount(5));
        let mut bytes = codec::encode(&good.clone().unwrap());
        assert_eq!(codec::decode::<Transaction>(&bytes, 999), Ok(good.unwrap()));
        let last = bytes.len() - 6;
        bytes[last] = 6;
        assert!(codec::decode::<Transaction>(&bytes, 999).is_err(), "unbalanced bytes");
    }
}
