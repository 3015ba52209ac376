//! A bank's certificate: its offline root names an online key, what the key may sign, and the
//! last epoch honoured under each earlier certificate.

use super::{Record, VERSION, rule};
use crate::codec::{DecodeError, List};
use crate::id::{BankNumber, PublicKey};
use crate::limits::HONOURS_MAX;
use borsh::{BorshDeserialize, BorshSerialize};

/// May sign grants and freezes.
pub const ROLE_ISSUE: u8 = 1;
/// May sign checkpoints and bulletins.
pub const ROLE_SETTLE: u8 = 2;

/// A bound on an earlier certificate: what it signed after that epoch has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Honour {
    /// The number of the earlier certificate.
    pub certificate: u16,
    /// The last epoch that is honoured under it.
    pub epoch_last: u32,
}

/// A bank's certificate, signed by its root.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// [`VERSION`].
    pub version: u8,
    /// The bank.
    pub bank: BankNumber,
    /// Its number, ascending with every certificate of the bank, from 1.
    pub number: u16,
    /// The online key.
    pub key: PublicKey,
    /// [`ROLE_ISSUE`], [`ROLE_SETTLE`] or both.
    pub roles: u8,
    /// Bounds on earlier certificates, by strictly ascending number.
    pub honours: List<Honour, HONOURS_MAX>,
}

impl Record for Certificate {
    const CONTEXT: &'static str = "hundi v1 certificate";

    fn check(&self) -> Result<(), DecodeError> {
        rule(self.version == VERSION, "version")?;
        rule(self.number > 0, "certificates are numbered from 1")?;
        let known = self.roles & !(ROLE_ISSUE | ROLE_SETTLE) == 0;
        rule(known && self.roles != 0, "a certificate has known roles")?;
        let ascending =
            self.honours.windows(2).all(|pair| pair[0].certificate < pair[1].certificate);
        rule(ascending, "bounds by strictly ascending certificate")?;
        let earlier = self.honours.iter().all(|bound| bound.certificate < self.number);
        rule(earlier, "a certificate bounds earlier ones only")
    }
}
