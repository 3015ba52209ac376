//! A freeze: the home bank stops an author. Payees refuse from then on; relays carry as before.

use super::certificate::ROLE_ISSUE;
use super::{BankRecord, Record, VERSION, rule};
use crate::codec::DecodeError;
use crate::id::{AuthorId, BankNumber};
use borsh::{BorshDeserialize, BorshSerialize};

/// Why an author is frozen. One byte on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum FreezeReason {
    /// A proof of contradiction.
    Contradiction = 1,
    /// Reported lost or stolen.
    Lost = 2,
    /// The bank's decision.
    Decision = 3,
}

/// A home bank's freeze of an author.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Freeze {
    /// [`VERSION`].
    pub version: u8,
    /// The author; its bank signs.
    pub author: AuthorId,
    /// The certificate that names the signing key.
    pub certificate: u16,
    /// The bank's epoch at signing.
    pub epoch: u32,
    /// Why.
    pub reason: FreezeReason,
}

impl Record for Freeze {
    const CONTEXT: &'static str = "hundi v1 freeze";

    fn check(&self) -> Result<(), DecodeError> {
        rule(self.version == VERSION, "version")
    }
}

impl BankRecord for Freeze {
    const ROLE: u8 = ROLE_ISSUE;
    fn bank(&self) -> BankNumber {
        self.author.bank
    }
    fn certificate(&self) -> u16 {
        self.certificate
    }
    fn epoch(&self) -> u32 {
        self.epoch
    }
}
