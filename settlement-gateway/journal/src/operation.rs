//! Customers, links, certificates and the plain movements of money: everything an operator or a
//! customer asks for that no entry decides.

use crate::account::{Account, CustomerId};
use crate::bank::{Bank, HandleError, Work};
use crate::books::{PostError, Posted};
use crate::event::Change;
use crate::input::{Operation, OperationKind};
use crate::transaction::{Key, Transaction};
use alloc::vec;
use alloc::vec::Vec;
use hundi_ledger::codec::DecodeError;
use hundi_ledger::money::Amount;
use hundi_ledger::record::Signed;
use hundi_ledger::record::certificate::Certificate;
use hundi_ledger::record::item::Item;
use hundi_ledger::trust::{VerifiedItem, VerifyError};

/// Why a certificate was not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// Not a certificate.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Not signed by a root of this network.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Of another bank.
    #[error("the certificate is another bank's")]
    OtherBank,
}

/// Why an operation was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperateError {
    /// Nothing to move.
    #[error("an operation moves an amount above zero")]
    Zero,
    /// The reference was used for another operation. Choose another reference.
    #[error("this reference was used for another operation")]
    Reference,
    /// The account does not hold as much.
    #[error("{} does not hold as much", .0.kind())]
    Funds(Account),
    /// More than the bank's claim on this customer: what is under review is none yet.
    #[error("the claim on this customer is {0} minor units")]
    Claim(Amount),
}

impl Work<'_> {
    pub(crate) fn install_certificate(&mut self, record: Vec<u8>) -> Result<(), HandleError> {
        if self.state().certificates.contains(&record) {
            return Ok(());
        }
        let Bank { network, state, verifier, trust, .. } = &mut *self.bank;
        let signed: Signed<Certificate> =
            Signed::decode(&network.id(), &record).map_err(InstallError::Decode)?;
        if signed.bank != state.bank {
            return Err(InstallError::OtherBank.into());
        }
        let certificate =
            trust.verify_certificate(signed, verifier).map_err(InstallError::Verify)?;
        self.record(Change::CertificateInstalled { record }, Vec::new());
        self.publish(&Item::Certificate(certificate.into_inner()));
        Ok(())
    }

    /// Verifies an item by the network's roots and this bank's certificates.
    pub(crate) fn verify(&mut self, item: Item) -> Result<VerifiedItem, VerifyError> {
        let Bank { network, state, verifier, trust, trusted, .. } = &mut *self.bank;
        // Certificates are never taken away.
        for record in state.certificates.iter().skip(*trusted) {
            let Ok(signed) = Signed::<Certificate>::decode(&network.id(), record) else { continue };
            if let Ok(certificate) = trust.verify_certificate(signed, verifier) {
                trust.insert(certificate);
            }
        }
        *trusted = state.certificates.len();
        trust.verify_with(item, verifier)
    }

    pub(crate) fn open_customer(&mut self, customer: CustomerId) {
        if !self.state().customers.contains_key(&customer) {
            self.record(Change::CustomerOpened { customer }, Vec::new());
        }
    }

    pub(crate) fn link(&mut self, a: CustomerId, b: CustomerId) -> Result<(), HandleError> {
        self.known_customer(&a)?;
        self.known_customer(&b)?;
        let linked = self.state().customers.get(&a).is_some_and(|a| a.links.contains(&b));
        if !linked {
            self.record(Change::Linked { a, b }, Vec::new());
        }
        Ok(())
    }

    pub(crate) fn known_customer(&self, customer: &CustomerId) -> Result<(), HandleError> {
        let known = self.state().customers.contains_key(customer);
        if known { Ok(()) } else { Err(HandleError::UnknownCustomer(*customer)) }
    }

    pub(crate) fn operate(&mut self, operation: &Operation) -> Result<(), HandleError> {
        let Operation { kind, currency, amount, reference } = *operation;
        let (debit, credit) = match kind {
            OperationKind::Fund(customer) => (Account::Nostro, Account::Customer(customer)),
            OperationKind::Withdraw(customer) => (Account::Customer(customer), Account::Nostro),
            OperationKind::Provision => (Account::LossExpense, Account::GuaranteePool),
            OperationKind::WriteOff(customer) => {
                (Account::GuaranteePool, Account::DoubleSpendReceivable(customer))
            }
            OperationKind::Recover(customer) => {
                (Account::Customer(customer), Account::DoubleSpendReceivable(customer))
            }
            OperationKind::SettleWindow(bank) => (Account::DueTo(bank), Account::Nostro),
        };
        if let OperationKind::Fund(customer)
        | OperationKind::Withdraw(customer)
        | OperationKind::WriteOff(customer)
        | OperationKind::Recover(customer) = kind
        {
            self.known_customer(&customer)?;
        }
        let key = Key::Operation(reference);
        let transaction = Transaction::transfer(key, currency, debit, credit, amount)
            .map_err(|_| OperateError::Zero)?;
        match self.state().books.check(&transaction) {
            Ok(Posted::Already) => return Ok(()),
            Ok(Posted::New) => {}
            Err(PostError::Conflict) => return Err(OperateError::Reference.into()),
            Err(PostError::Overdrawn(account)) => {
                return Err(OperateError::Funds(account).into());
            }
        }
        let change = match kind {
            OperationKind::WriteOff(customer) | OperationKind::Recover(customer) => {
                let customers = &self.state().customers;
                let held = customers.get(&customer).and_then(|it| it.guaranteed.get(&currency));
                let held = held.copied().unwrap_or_default();
                // What is under review may still be taken back from its payee.
                let claim = held.open.sub(held.under_review).unwrap_or_default();
                if amount > claim {
                    return Err(OperateError::Claim(claim).into());
                }
                match kind {
                    OperationKind::WriteOff(_) => Change::WrittenOff { customer, currency, amount },
                    _ => Change::Recovered { customer, currency, amount },
                }
            }
            _ => Change::Operated,
        };
        self.record(change, vec![transaction]);
        Ok(())
    }
}
