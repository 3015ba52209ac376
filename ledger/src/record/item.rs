//! An item: any record behind one tag byte, the unit that links, files and stores carry.

use super::Signed;
use super::bulletin::Bulletin;
use super::certificate::Certificate;
use super::checkpoint::Checkpoint;
use super::entry::Entry;
use super::freeze::Freeze;
use super::grant::Grant;
use super::proof::Proof;
use super::receipt::Receipt;
use crate::codec::DecodeError;
use crate::id::{AuthorId, BankNumber, Hash, NetworkId};
use crate::limits::ITEM_BYTES_MAX;
use alloc::vec::Vec;

const TAG_ENTRY: u8 = 7;
const TAG_RECEIPT: u8 = 8;
/// Room that most items need: a payment with a short memo has 282 bytes.
const USUAL_BYTES: usize = 288;

/// Any record, decoded and not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Short-lived: decoded, verified, applied.
pub enum Item {
    /// Tag 1.
    Certificate(Signed<Certificate>),
    /// Tag 2.
    Grant(Signed<Grant>),
    /// Tag 3.
    Checkpoint(Signed<Checkpoint>),
    /// Tag 4.
    Freeze(Signed<Freeze>),
    /// Tag 5.
    Bulletin(Signed<Bulletin>),
    /// Tag 6.
    Proof(Proof),
    /// Tag 7.
    Entry(Entry),
    /// Tag 8.
    Receipt(Signed<Receipt>),
}

/// Whom a record is about: the unit of the core's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A bank: its certificates and bulletin.
    Bank(BankNumber),
    /// An author: grants, checkpoint, freeze, proof, entries.
    Author(AuthorId),
}

impl Item {
    /// Decodes an item.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of a well-formed record of a known tag.
    pub fn decode(network: &NetworkId, bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > ITEM_BYTES_MAX {
            return Err(DecodeError::TooLong);
        }
        let (tag, record) = bytes.split_first().ok_or(DecodeError::NotCanonical)?;
        Ok(match tag {
            1 => Item::Certificate(Signed::decode(network, record)?),
            2 => Item::Grant(Signed::decode(network, record)?),
            3 => Item::Checkpoint(Signed::decode(network, record)?),
            4 => Item::Freeze(Signed::decode(network, record)?),
            5 => Item::Bulletin(Signed::decode(network, record)?),
            6 => Item::Proof(Proof::decode(network, record)?),
            &TAG_ENTRY => Item::Entry(Entry::decode(network, record)?),
            &TAG_RECEIPT => Item::Receipt(Signed::decode(network, record)?),
            other => return Err(DecodeError::Tag(*other)),
        })
    }

    /// Whether the bytes are those of a receipt, by their tag.
    pub(crate) fn is_receipt(bytes: &[u8]) -> bool {
        bytes.first() == Some(&TAG_RECEIPT)
    }

    /// The bytes behind the tag, if the tag is that of an entry.
    pub(crate) fn as_entry(bytes: &[u8]) -> Option<&[u8]> {
        bytes.strip_prefix(&[TAG_ENTRY])
    }

    /// The tag and the record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        bytes.push(self.tag());
        match self {
            Item::Certificate(record) => record.encode_to(&mut bytes),
            Item::Grant(record) => record.encode_to(&mut bytes),
            Item::Checkpoint(record) => record.encode_to(&mut bytes),
            Item::Freeze(record) => record.encode_to(&mut bytes),
            Item::Bulletin(record) => record.encode_to(&mut bytes),
            Item::Proof(record) => bytes.extend_from_slice(&record.encode()),
            Item::Entry(record) => record.encode_to(&mut bytes),
            Item::Receipt(record) => record.encode_to(&mut bytes),
        }
        bytes
    }

    fn tag(&self) -> u8 {
        match self {
            Item::Certificate(_) => 1,
            Item::Grant(_) => 2,
            Item::Checkpoint(_) => 3,
            Item::Freeze(_) => 4,
            Item::Bulletin(_) => 5,
            Item::Proof(_) => 6,
            Item::Entry(_) => TAG_ENTRY,
            Item::Receipt(_) => TAG_RECEIPT,
        }
    }

    /// The id of the record: the hash of what is signed, without signatures.
    pub fn id(&self) -> Hash {
        match self {
            Item::Certificate(record) => record.id(),
            Item::Grant(record) => record.id(),
            Item::Checkpoint(record) => record.id(),
            Item::Freeze(record) => record.id(),
            Item::Bulletin(record) => record.id(),
            Item::Proof(record) => record.id(),
            Item::Entry(record) => record.id(),
            Item::Receipt(record) => record.id(),
        }
    }

    /// Whom the record is about; for a receipt, its signer.
    pub fn subject(&self) -> Subject {
        match self {
            Item::Certificate(record) => Subject::Bank(record.bank),
            Item::Bulletin(record) => Subject::Bank(record.bank),
            Item::Grant(record) => Subject::Author(record.author),
            Item::Checkpoint(record) => Subject::Author(record.author),
            Item::Freeze(record) => Subject::Author(record.author),
            Item::Proof(record) => Subject::Author(record.author()),
            Item::Entry(record) => Subject::Author(record.header().author),
            Item::Receipt(record) => Subject::Author(record.signer),
        }
    }
}
