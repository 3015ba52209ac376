//! Receipts and the statements in them.

use super::Author;
use crate::read::{Reader, Refused};

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields of the document's table, in its order.
pub struct Receipt {
    pub signer: Author,
    pub signer_sealing: [u8; 32],
    pub payer_bank: u16,
    pub iv: [u8; 32],
    pub wrapped_key: [u8; 32],
    pub sealed: [u8; 41],
}

impl Receipt {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        Ok(Self {
            signer: Author::read(reader)?,
            signer_sealing: reader.array()?,
            payer_bank: reader.u16()?,
            iv: reader.array()?,
            wrapped_key: reader.array()?,
            sealed: reader.array()?,
        })
    }
}

/// What a receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The id of the entry.
    pub entry: [u8; 32],
    /// 0 accepted, or a refusal of the document's table.
    pub verdict: u8,
    /// The epoch whose freezes the payee holds.
    pub freezes_epoch: u32,
    /// The checkpoint it checked against.
    pub checkpoint: u32,
}

impl Statement {
    /// Reads the 41 bytes of a statement.
    ///
    /// # Errors
    /// Why the bytes are not one.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let mut reader = Reader::plain(bytes);
        let statement = Self {
            entry: reader.array()?,
            verdict: reader.choice(&[0, 1, 2, 3, 4, 5, 6, 7])?,
            freezes_epoch: reader.u32()?,
            checkpoint: reader.u32()?,
        };
        reader.end()?;
        Ok(statement)
    }
}
