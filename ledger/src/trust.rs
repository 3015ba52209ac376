//! Who may sign for a bank: the network's roots and the certificates held.
//!
//! Verification depends on the record, its signer and the signer's certificate, never on arrival
//! order. Whether a verified record still has effect (a later certificate may bound an earlier
//! one) is asked separately, with [`Trust::honours`], because it may change while the record is
//! held.

use crate::codec::DecodeError;
use crate::id::BankNumber;
use crate::limits::CERTIFICATES_PER_BANK_MAX;
use crate::record::bulletin::Bulletin;
use crate::record::certificate::Certificate;
use crate::record::checkpoint::Checkpoint;
use crate::record::entry::Entry;
use crate::record::freeze::Freeze;
use crate::record::grant::Grant;
use crate::record::item::Item;
use crate::record::network::Network;
use crate::record::proof::Proof;
use crate::record::receipt::Receipt;
use crate::record::{BankRecord, Record, Signed, Verified};
use crate::sign::{SignatureError, Verifier};
use alloc::collections::BTreeMap;
use thiserror::Error;

/// Why a record is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// Reject: no such bank in this network.
    #[error("bank {0} is not in this network")]
    UnknownBank(BankNumber),
    /// Try again once the bank's certificate of that number has been received.
    #[error("certificate {number} of bank {bank} is not held")]
    UnknownCertificate {
        /// The bank.
        bank: BankNumber,
        /// The certificate's number.
        number: u16,
    },
    /// Reject: the certificate does not have the role that this record needs.
    #[error("certificate {number} of bank {bank} may not sign this")]
    Role {
        /// The bank.
        bank: BankNumber,
        /// The certificate's number.
        number: u16,
    },
    /// Reject: the record claims more than its bank may claim.
    #[error(transparent)]
    Rule(#[from] DecodeError),
    /// Reject: not signed by whom it names.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// An item whose signatures hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Short-lived: verified, then applied.
pub enum VerifiedItem {
    /// Tag 1.
    Certificate(Verified<Signed<Certificate>>),
    /// Tag 2.
    Grant(Verified<Signed<Grant>>),
    /// Tag 3.
    Checkpoint(Verified<Signed<Checkpoint>>),
    /// Tag 4.
    Freeze(Verified<Signed<Freeze>>),
    /// Tag 5.
    Bulletin(Verified<Signed<Bulletin>>),
    /// Tag 6.
    Proof(Verified<Proof>),
    /// Tag 7.
    Entry(Verified<Entry>),
    /// Tag 8.
    Receipt(Verified<Signed<Receipt>>),
}

/// The roots of a network and the certificates held under them.
#[derive(Clone, Debug)]
pub struct Trust {
    network: Network,
    certificates: BTreeMap<(BankNumber, u16), Verified<Signed<Certificate>>>,
}

impl Trust {
    /// Nothing but the roots.
    pub fn new(network: Network) -> Self {
        Self { network, certificates: BTreeMap::new() }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Verifies any item.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify(&self, item: Item) -> Result<VerifiedItem, VerifyError> {
        self.verify_with(item, &mut Verifier::default())
    }

    /// [`Trust::verify`] with a verifier that is used for many: the verdict is the same.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify_with(
        &self,
        item: Item,
        with: &mut Verifier,
    ) -> Result<VerifiedItem, VerifyError> {
        Ok(match item {
            Item::Certificate(record) => {
                VerifiedItem::Certificate(self.verify_certificate(record, with)?)
            }
            Item::Grant(record) => VerifiedItem::Grant(self.verify_record(record, with)?),
            Item::Checkpoint(record) => VerifiedItem::Checkpoint(self.verify_record(record, with)?),
            Item::Freeze(record) => VerifiedItem::Freeze(self.verify_record(record, with)?),
            Item::Bulletin(record) => VerifiedItem::Bulletin(self.verify_bulletin(record, with)?),
            Item::Proof(proof) => VerifiedItem::Proof(proof.verify_with(with)?),
            Item::Entry(entry) => VerifiedItem::Entry(entry.verify_with(with)?),
            Item::Receipt(receipt) => VerifiedItem::Receipt(receipt.verify_with(with)?),
        })
    }

    /// Verifies a certificate against its bank's root.
    ///
    /// # Errors
    /// When the bank is not in this network or its root did not sign.
    pub fn verify_certificate(
        &self,
        record: Signed<Certificate>,
        with: &mut Verifier,
    ) -> Result<Verified<Signed<Certificate>>, VerifyError> {
        let bank = self.network.bank(record.bank).ok_or(VerifyError::UnknownBank(record.bank))?;
        Ok(record.verify(&bank.root, with)?)
    }

    /// Verifies a record of a bank against the certificate that it names.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify_record<T: BankRecord + Record>(
        &self,
        record: Signed<T>,
        with: &mut Verifier,
    ) -> Result<Verified<Signed<T>>, VerifyError> {
        let (bank, number) = (record.bank(), record.certificate());
        if self.network.bank(bank).is_none() {
            return Err(VerifyError::UnknownBank(bank));
        }
        let unknown = VerifyError::UnknownCertificate { bank, number };
        let certificate = self.certificates.get(&(bank, number)).ok_or(unknown)?;
        if certificate.roles & T::ROLE == 0 {
            return Err(VerifyError::Role { bank, number });
        }
        Ok(record.verify(&certificate.key, with)?)
    }

    /// Verifies a bulletin, and that its time keeps to the network's step.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify_bulletin(
        &self,
        record: Signed<Bulletin>,
        with: &mut Verifier,
    ) -> Result<Verified<Signed<Bulletin>>, VerifyError> {
        if !record.keeps_time(&self.network) {
            return Err(DecodeError::Rule("bank time within the network's step").into());
        }
        self.verify_record(record, with)
    }

    /// Takes a certificate. Of two with one number the one with the higher hash is kept; of more
    /// than [`CERTIFICATES_PER_BANK_MAX`] the newest. Returns whether anything changed.
    pub fn insert(&mut self, certificate: Verified<Signed<Certificate>>) -> bool {
        let key = (certificate.bank, certificate.number);
        let held = self.certificates.get(&key);
        if held.is_some_and(|held| held.id() >= certificate.id()) {
            return false;
        }
        let bank = certificate.bank;
        self.certificates.insert(key, certificate);
        if self.of(bank).count() > CERTIFICATES_PER_BANK_MAX {
            let oldest = self.of(bank).map(|held| held.number).next();
            if let Some(number) = oldest {
                self.certificates.remove(&(bank, number));
                return number != key.1;
            }
        }
        true
    }

    /// The certificates held of a bank, by ascending number.
    pub fn of(&self, bank: BankNumber) -> impl Iterator<Item = &Verified<Signed<Certificate>>> {
        self.certificates.range((bank, 0)..=(bank, u16::MAX)).map(|(_, certificate)| certificate)
    }

    /// Whether the bank's certificate of that number is held.
    pub fn holds(&self, bank: BankNumber, number: u16) -> bool {
        self.certificates.contains_key(&(bank, number))
    }

    /// Every certificate held, by bank and ascending number.
    pub fn certificates(&self) -> impl Iterator<Item = &Verified<Signed<Certificate>>> {
        self.certificates.values()
    }

    /// Whether a verified record has effect: no later certificate of its bank bounds its own to an
    /// earlier epoch.
    pub fn honours<T: BankRecord>(&self, record: &T) -> bool {
        self.of(record.bank()).all(|later| {
            let bound =
                later.honours.iter().find(|bound| bound.certificate == record.certificate());
            bound.is_none_or(|bound| record.epoch() <= bound.epoch_last)
        })
    }
}
