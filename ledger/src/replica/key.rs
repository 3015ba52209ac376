//! Keys: where the bytes of an item are stored, by subject and place within it. A newer version of
//! a record takes the place of the older one.

use crate::id::{AuthorId, BankNumber, Hash, PublicKey, Serial};
use crate::record::item::{Item, Subject};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// The place of one item in a node's store.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Key {
    /// A bank's certificate by number.
    Certificate(BankNumber, u16),
    /// A bank's newest bulletin.
    Bulletin(BankNumber),
    /// An author's grant by serial.
    Grant(AuthorId, Serial),
    /// An author's newest checkpoint.
    Checkpoint(AuthorId),
    /// An author's freeze.
    Freeze(AuthorId),
    /// The proof held against an author.
    Proof(AuthorId),
    /// An author's entry by header hash.
    Entry(AuthorId, crate::id::Hash),
    /// A signer's receipt by id.
    Receipt(AuthorId, crate::id::Hash),
}

impl Key {
    /// The place of an item.
    pub fn of(item: &Item) -> Self {
        match item {
            Item::Certificate(record) => Key::Certificate(record.bank, record.number),
            Item::Bulletin(record) => Key::Bulletin(record.bank),
            Item::Grant(record) => Key::Grant(record.author, record.serial),
            Item::Checkpoint(record) => Key::Checkpoint(record.author),
            Item::Freeze(record) => Key::Freeze(record.author),
            Item::Proof(proof) => Key::Proof(proof.author()),
            Item::Entry(entry) => Key::Entry(entry.header().author, entry.id()),
            Item::Receipt(record) => Key::Receipt(record.signer, record.id()),
        }
    }

    /// The place of an entry.
    pub fn entry(author: AuthorId, id: Hash) -> Self {
        Key::Entry(author, id)
    }

    /// The place of a receipt.
    pub fn receipt(signer: AuthorId, id: Hash) -> Self {
        Key::Receipt(signer, id)
    }

    /// The place of a grant.
    pub fn grant(author: AuthorId, serial: Serial) -> Self {
        Key::Grant(author, serial)
    }

    /// The author that the item is about; none where it is about a bank.
    pub fn author(&self) -> Option<AuthorId> {
        match self.subject() {
            Subject::Author(author) => Some(author),
            Subject::Bank(_) => None,
        }
    }

    /// Whom the item is about.
    pub fn subject(&self) -> Subject {
        match self {
            Key::Certificate(bank, _) | Key::Bulletin(bank) => Subject::Bank(*bank),
            Key::Grant(author, _)
            | Key::Checkpoint(author)
            | Key::Freeze(author)
            | Key::Proof(author)
            | Key::Entry(author, _)
            | Key::Receipt(author, _) => Subject::Author(*author),
        }
    }

    /// The place within its subject: the item's tag, then what tells items of one tag apart.
    pub fn within(&self) -> Vec<u8> {
        let (tag, rest): (u8, &[u8]) = match self {
            Key::Certificate(_, number) => (1, &number.to_be_bytes()),
            Key::Grant(_, serial) => (2, &serial.0.to_be_bytes()),
            Key::Checkpoint(_) => (3, &[]),
            Key::Freeze(_) => (4, &[]),
            Key::Bulletin(_) => (5, &[]),
            Key::Proof(_) => (6, &[]),
            Key::Entry(_, id) => (7, &id.0),
            Key::Receipt(_, id) => (8, &id.0),
        };
        let mut bytes = alloc::vec![tag];
        bytes.extend_from_slice(rest);
        bytes
    }
}

/// The bytes that name a subject: a bank's number, or an author's bank and key.
pub fn subject_bytes(subject: &Subject) -> Vec<u8> {
    match subject {
        Subject::Bank(bank) => bank.0.to_le_bytes().to_vec(),
        Subject::Author(author) => author.to_bytes().to_vec(),
    }
}

/// The subject that the bytes name, if they name one.
pub fn subject_from_bytes(bytes: &[u8]) -> Option<Subject> {
    let (bank, key) = bytes.split_first_chunk::<2>()?;
    let bank = BankNumber(u16::from_le_bytes(*bank));
    if key.is_empty() {
        return Some(Subject::Bank(bank));
    }
    Some(Subject::Author(AuthorId { bank, key: PublicKey(key.try_into().ok()?) }))
}
