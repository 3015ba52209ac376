//! Every record of the protocol, read from bytes. Field names are those of the document's tables.

mod bank;
mod entry;
mod network;
mod receipt;

pub use bank::{Bulletin, Certificate, Checkpoint, Freeze, Frontier, Grant, Honour, Live, Name};
pub use bank::{Policy, ROLE_ISSUE, ROLE_SETTLE};
pub(crate) use entry::{CLOSE, PAYMENT, REFUND};
pub use entry::{Entry, Header, Proof, SignedHeader};
pub use network::{Bank, Network};
pub use receipt::{Receipt, Statement};

use crate::hashes::hash;
use crate::read::{Reader, Refused};

/// A bank and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Author {
    /// The home bank.
    pub bank: u16,
    /// The signing key.
    pub key: [u8; 32],
}

impl Author {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        Ok(Self { bank: reader.u16()?, key: reader.array()? })
    }

    /// The 34 bytes: bank, key.
    pub fn to_bytes(self) -> [u8; 34] {
        let mut bytes = [0; 34];
        bytes[..2].copy_from_slice(&self.bank.to_le_bytes());
        bytes[2..].copy_from_slice(&self.key);
        bytes
    }
}

/// What an item holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Short-lived: read, then judged.
pub enum Record {
    /// Tag 1.
    Certificate(Certificate),
    /// Tag 2.
    Grant(Grant),
    /// Tag 3.
    Checkpoint(Checkpoint),
    /// Tag 4.
    Freeze(Freeze),
    /// Tag 5.
    Bulletin(Bulletin),
    /// Tag 6.
    Proof(Proof),
    /// Tag 7.
    Entry(Entry),
    /// Tag 8.
    Receipt(Receipt),
}

/// An item: a record, its id and, where there is just one, its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The hash of what is signed.
    pub id: [u8; 32],
    /// The record.
    pub record: Record,
    /// The signature behind the record; a proof has its two inside.
    pub signature: Option<[u8; 64]>,
}

const ITEM_BYTES_MAX: usize = 16_384;
const PROOF_BYTES: usize = 337;
const BODY_BYTES_MAX: usize = 4_096;

impl Item {
    /// Reads an item.
    ///
    /// # Errors
    /// Why the bytes are not one.
    pub fn read(network: &[u8; 32], bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > ITEM_BYTES_MAX {
            return Err(Refused::Length);
        }
        let (tag, record) = bytes.split_first().ok_or(Refused::Canonical)?;
        match tag {
            1 => signed(network, "hundi v1 certificate", record, |reader| {
                Certificate::read(reader).map(Record::Certificate)
            }),
            2 => signed(network, "hundi v1 grant", record, |reader| {
                Grant::read(reader).map(Record::Grant)
            }),
            3 => signed(network, "hundi v1 checkpoint", record, |reader| {
                Checkpoint::read(reader).map(Record::Checkpoint)
            }),
            4 => signed(network, "hundi v1 freeze", record, |reader| {
                Freeze::read(reader).map(Record::Freeze)
            }),
            5 => signed(network, "hundi v1 bulletin", record, |reader| {
                Bulletin::read(reader).map(Record::Bulletin)
            }),
            6 => {
                if record.len() > PROOF_BYTES {
                    return Err(Refused::Length);
                }
                let proof = Proof::read(network, record)?;
                let ids = [proof.headers[0].id, proof.headers[1].id];
                let id = hash("hundi v1 proof", network, &[&ids[0], &ids[1]]);
                Ok(Self { id, record: Record::Proof(proof), signature: None })
            }
            7 => {
                if record.len() > 154 + BODY_BYTES_MAX {
                    return Err(Refused::Length);
                }
                let (entry, signature) = Entry::read(network, record)?;
                Ok(Self { id: entry.id, record: Record::Entry(entry), signature: Some(signature) })
            }
            8 => signed(network, "hundi v1 receipt", record, |reader| {
                Receipt::read(reader).map(Record::Receipt)
            }),
            _ => Err(Refused::Tag),
        }
    }
}

impl Item {
    /// The author that it is about: whose grant, checkpoint, freeze, proof or entry it is.
    pub fn author(&self) -> Option<Author> {
        match &self.record {
            Record::Grant(record) => Some(record.author),
            Record::Checkpoint(record) => Some(record.author),
            Record::Freeze(record) => Some(record.author),
            Record::Proof(record) => Some(record.author),
            Record::Entry(record) => Some(record.header.author),
            Record::Certificate(_) | Record::Bulletin(_) | Record::Receipt(_) => None,
        }
    }

    /// The headers that it shows: one of an entry, two of a proof.
    pub fn headers(&self) -> Vec<SignedHeader> {
        match (&self.record, self.signature) {
            (Record::Entry(entry), Some(signature)) => {
                vec![SignedHeader { id: entry.id, header: entry.header.clone(), signature }]
            }
            (Record::Proof(proof), _) => proof.headers.to_vec(),
            _ => Vec::new(),
        }
    }
}

/// A record and directly behind it the signature that covers all of it.
fn signed(
    network: &[u8; 32],
    context: &str,
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<Record, Refused>,
) -> Result<Item, Refused> {
    let length = bytes.len().checked_sub(64).ok_or(Refused::Canonical)?;
    let (covered, signature) = bytes.split_at(length);
    let signature: [u8; 64] = signature.try_into().map_err(|_| Refused::Canonical)?;
    let mut reader = Reader::versioned(covered)?;
    let record = read(&mut reader)?;
    reader.end()?;
    Ok(Item { id: hash(context, network, &[covered]), record, signature: Some(signature) })
}
