//! The accounts of the books (DESIGN §8): what they are called and which of them may not be
//! overdrawn. Balances belong to [`crate::books`].

use alloc::string::String;
use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use core::str::FromStr;
use hundi_ledger::id::{AuthorId, BankNumber, Serial};

/// A customer of the bank: an opaque random number. Who that is stands in the bank's own erasable
/// tables and never in the journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct CustomerId(pub [u8; 16]);

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomerId({self})")
    }
}

/// Text that is not 32 lowercase hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a customer number is 32 lowercase hexadecimal digits")]
pub struct ParseCustomerError;

impl FromStr for CustomerId {
    type Err = ParseCustomerError;
    fn from_str(text: &str) -> Result<Self, ParseCustomerError> {
        let lowercase = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() != 32 || !lowercase {
            return Err(ParseCustomerError);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| ParseCustomerError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// Who is to be paid: a customer of this bank, or an author that is none.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Party {
    /// A customer of this bank.
    Customer(CustomerId),
    /// An author of another bank, or one that this bank has not enrolled.
    Author(AuthorId),
}

/// An account of the books. Each has one balance per currency.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Account {
    /// Control account with the core bank: where money comes in and goes out.
    Nostro,
    /// A customer's online balance.
    Customer(CustomerId),
    /// What is set aside for one grant.
    Reserve(AuthorId, Serial),
    /// Paid provisionally, not withdrawable until a review closes.
    PendingIn(Party),
    /// What the bank has committed to credit grants and nobody has drawn.
    CreditCommitted,
    /// What a customer has drawn on credit.
    CustomerLoan(CustomerId),
    /// Set aside for guarantees.
    GuaranteePool,
    /// The bank's claim on a customer for what it paid beyond a reserve.
    DoubleSpendReceivable(CustomerId),
    /// The bank's expense for guarantees.
    LossExpense,
    /// Paid to an author of this bank that is not enrolled; must age to zero.
    Suspense(AuthorId),
    /// Owed to another bank.
    DueTo(BankNumber),
    /// Owed by another bank.
    DueFrom(BankNumber),
}

impl Account {
    /// Whether debits may never exceed credits: the accounts that hold somebody's money.
    pub fn holds_money(&self) -> bool {
        match self {
            Account::Customer(_)
            | Account::Reserve(..)
            | Account::PendingIn(_)
            | Account::GuaranteePool
            | Account::Suspense(_)
            | Account::DueTo(_) => true,
            Account::Nostro
            | Account::CreditCommitted
            | Account::CustomerLoan(_)
            | Account::DoubleSpendReceivable(_)
            | Account::LossExpense
            | Account::DueFrom(_) => false,
        }
    }

    /// The name of its kind, as in the table of events.
    pub fn kind(&self) -> &'static str {
        match self {
            Account::Nostro => "nostro",
            Account::Customer(_) => "customer",
            Account::Reserve(..) => "reserve",
            Account::PendingIn(_) => "pending_in",
            Account::CreditCommitted => "credit_committed",
            Account::CustomerLoan(_) => "customer_loan",
            Account::GuaranteePool => "guarantee_pool",
            Account::DoubleSpendReceivable(_) => "double_spend_receivable",
            Account::LossExpense => "loss_expense",
            Account::Suspense(_) => "suspense",
            Account::DueTo(_) => "due_to",
            Account::DueFrom(_) => "due_from",
        }
    }

    /// Its kind and whose it is, for people.
    pub fn label(&self) -> String {
        use alloc::format;
        let kind = self.kind();
        match self {
            Account::Customer(id)
            | Account::CustomerLoan(id)
            | Account::DoubleSpendReceivable(id)
            | Account::PendingIn(Party::Customer(id)) => format!("{kind}:{id}"),
            Account::Suspense(author) | Account::PendingIn(Party::Author(author)) => {
                format!("{kind}:{author}")
            }
            Account::Reserve(author, serial) => format!("{kind}:{author}:{serial}"),
            Account::DueTo(bank) | Account::DueFrom(bank) => format!("{kind}:{bank}"),
            _ => kind.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn customers_print_and_parse() {
        let id = CustomerId(*b"\x00\x01customers\xfe\xff\x10\x0a\x0b");
        assert_eq!(id.to_string().parse::<CustomerId>().unwrap(), id);
        for bad in ["", "00", "+0000000000000000000000000000001", "zz", &"A".repeat(32)] {
            assert_eq!(bad.parse::<CustomerId>(), Err(ParseCustomerError));
        }
    }
}
