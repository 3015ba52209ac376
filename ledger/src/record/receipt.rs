//! A receipt: the payee's one signed verdict on one entry, for the payer and the payer's bank.
//!
//! Whoever carries it sees that a certified signer answers somebody of some bank, and neither the
//! entry nor the verdict: the statement is sealed to payer and bank. It discloses to the bank the
//! content key under which the payee read the entry, because the payee cannot see whether the
//! bank derives the same key (DESIGN §3). See [`crate::seal::receipt`].

use super::{Record, Signed, VERSION, Verified, rule};
use crate::codec::DecodeError;
use crate::id::{AuthorId, BankNumber, Hash, SealingKey};
use crate::sign::{SignatureError, Verifier};
use borsh::{BorshDeserialize, BorshSerialize};

/// Bytes of an encoded [`Statement`].
pub const STATEMENT_BYTES: usize = 41;

/// A payee's final verdict. One byte on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum PayeeVerdict {
    /// Accepted: everything that can be checked offline holds.
    Accepted = 0,
    /// Refused: contradicts a header that the payee holds, or its author is proven.
    RefusedContradiction = 1,
    /// Refused: the author is frozen.
    RefusedFrozen = 2,
    /// Refused: no such request is open.
    RefusedRequest = 3,
    /// Refused: not what the request asked for.
    RefusedMismatch = 4,
    /// Refused: beyond the grant's limit or its cap on one payment.
    RefusedLimit = 5,
    /// Refused: against the grant's terms (policy, first sequence, checkpointed total).
    RefusedTerms = 6,
    /// Refused: the person declined.
    RefusedDeclined = 7,
}

/// What a payee states about one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Statement {
    /// The hash of the entry's header.
    pub entry: Hash,
    /// The verdict.
    pub verdict: PayeeVerdict,
    /// The highest epoch of the payer's bank whose digest of freezes the payee holds in full; 0
    /// when none.
    pub freezes_epoch: u32,
    /// The number of the checkpoint it checked against; 0 when none.
    pub checkpoint: u32,
}

/// A payee's receipt (or signed refusal) as it travels.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Receipt {
    /// [`VERSION`].
    pub version: u8,
    /// The payee, who signs.
    pub signer: AuthorId,
    /// The payee's X25519 key.
    pub signer_sealing: SealingKey,
    /// The bank it is for: the payer's.
    pub payer_bank: BankNumber,
    /// Synthetic IV and commitment to the content key.
    pub iv: Hash,
    /// The entry's content key, wrapped for the bank.
    pub wrapped_key: [u8; 32],
    /// The sealed [`Statement`].
    pub sealed: [u8; STATEMENT_BYTES],
}

impl Record for Receipt {
    const CONTEXT: &'static str = "hundi v1 receipt";

    fn check(&self) -> Result<(), DecodeError> {
        rule(self.version == VERSION, "version")
    }
}

impl Signed<Receipt> {
    /// Verifies the signature of the payee that it names, with a verifier that is used for many.
    ///
    /// # Errors
    /// When the payee did not sign this receipt in this network.
    pub fn verify_with(self, verifier: &mut Verifier) -> Result<Verified<Self>, SignatureError> {
        let key = self.signer.key;
        self.verify(&key, verifier)
    }
}
