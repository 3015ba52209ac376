//! The sections "Signatures and keys" and "Who may sign" of the protocol.

use crate::records::{Certificate, Item, Network, ROLE_ISSUE, ROLE_SETTLE, Record};
use ed25519_zebra::{Signature, VerificationKey};
use thiserror::Error;

/// Why a well-formed item does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unverified {
    /// Its bank is not in the network.
    #[error("bank")]
    Bank,
    /// The certificate it names is not held.
    #[error("certificate")]
    Certificate,
    /// That certificate has not the role.
    #[error("role")]
    Role,
    /// A bulletin ahead of its epoch.
    #[error("time")]
    Time,
    /// A signature that does not hold.
    #[error("signature")]
    Signature,
}

/// Whether a signature over an id holds, by ZIP 215.
pub fn holds(key: &[u8; 32], id: &[u8; 32], signature: &[u8; 64]) -> bool {
    let signature = Signature::from(*signature);
    VerificationKey::try_from(*key).is_ok_and(|key| key.verify(&signature, id).is_ok())
}

/// Verifies an item with the certificates held, which were verified before.
///
/// # Errors
/// Why it does not verify.
pub fn verify(
    network: &Network,
    certificates: &[Certificate],
    item: &Item,
) -> Result<(), Unverified> {
    let by_bank = |bank: u16, number: u16, role: u8| {
        network.bank(bank).ok_or(Unverified::Bank)?;
        let held = certificates.iter().find(|held| held.bank == bank && held.number == number);
        let held = held.ok_or(Unverified::Certificate)?;
        if held.roles & role == 0 { Err(Unverified::Role) } else { Ok(held.key) }
    };
    let key = match &item.record {
        Record::Certificate(record) => network.bank(record.bank).ok_or(Unverified::Bank)?.root,
        Record::Grant(record) => by_bank(record.author.bank, record.certificate, ROLE_ISSUE)?,
        Record::Freeze(record) => by_bank(record.author.bank, record.certificate, ROLE_ISSUE)?,
        Record::Checkpoint(record) => by_bank(record.author.bank, record.certificate, ROLE_SETTLE)?,
        Record::Bulletin(record) => {
            let allowed = u64::from(record.epoch) * u64::from(network.epoch_seconds);
            if u64::from(record.time) > u64::from(network.start) + allowed {
                return Err(Unverified::Time);
            }
            by_bank(record.bank, record.certificate, ROLE_SETTLE)?
        }
        Record::Entry(record) => record.header.author.key,
        Record::Receipt(record) => record.signer.key,
        Record::Proof(proof) => {
            let good = |at: usize| {
                let side = &proof.headers[at];
                holds(&proof.author.key, &side.id, &side.signature)
            };
            return if good(0) && good(1) { Ok(()) } else { Err(Unverified::Signature) };
        }
    };
    let signed = item.signature.is_some_and(|signature| holds(&key, &item.id, &signature));
    if signed { Ok(()) } else { Err(Unverified::Signature) }
}
