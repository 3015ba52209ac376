//! Entries and proofs.

use super::Author;
use crate::contradiction::contradict;
use crate::hashes::{body_hash, hash};
use crate::read::{Reader, Refused, rule};

/// A header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields of the document's table, in its order.
pub struct Header {
    pub kind: u8,
    pub author: Author,
    pub sequence: u32,
    /// All zero exactly at sequence 0.
    pub previous: [u8; 32],
    pub time: u32,
    pub serial: u16,
    pub amount: u64,
    pub spent_total: u64,
    pub body_hash: [u8; 32],
}

/// Kinds that the document names.
pub(crate) const PAYMENT: u8 = 1;
pub(crate) const REFUND: u8 = 2;
const GRANT_REQUEST: u8 = 3;
pub(crate) const CLOSE: u8 = 4;
const APPROVAL: u8 = 5;

impl Header {
    /// Whether it belongs to the log of documents.
    pub fn is_document(&self) -> bool {
        self.kind >= 0x80
    }

    /// Where its interval starts.
    pub fn start(&self) -> u64 {
        self.spent_total.saturating_sub(self.amount)
    }

    /// What stands behind the author, up to the body hash.
    fn read(kind: u8, author: Author, reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let header = Self {
            kind,
            author,
            sequence: reader.u32()?,
            previous: reader.array()?,
            time: reader.u32()?,
            serial: reader.u16()?,
            amount: reader.amount()?,
            spent_total: reader.amount()?,
            body_hash: [0; 32],
        };
        if (header.sequence == 0) == (header.previous == [0; 32]) {
            Ok(header)
        } else {
            Err(Refused::Canonical)
        }
    }

    fn check(&self) -> Result<(), Refused> {
        rule(self.amount <= self.spent_total, "amount up to spent_total")?;
        if self.sequence == 0 {
            rule(self.amount == self.spent_total, "at sequence 0 the interval starts at 0")?;
        }
        if self.serial == 0 || self.is_document() {
            rule(self.spent_total == 0, "nothing spent under serial 0 or by a document")?;
        }
        match self.kind {
            PAYMENT => rule(self.amount > 0, "a payment has an amount"),
            GRANT_REQUEST | CLOSE | APPROVAL => rule(self.amount == 0, "this kind has amount 0"),
            _ => Ok(()),
        }
    }

    /// The 90 bytes of the head, from the fields.
    pub fn head(&self) -> Vec<u8> {
        let mut head = vec![1, self.kind];
        head.extend(self.author.to_bytes());
        head.extend(self.sequence.to_le_bytes());
        head.extend(self.previous);
        head.extend(self.time.to_le_bytes());
        head.extend(self.serial.to_le_bytes());
        head.extend(&self.amount.to_le_bytes()[..6]);
        head.extend(&self.spent_total.to_le_bytes()[..6]);
        head
    }

    /// The id of the entry.
    pub fn id(&self, network: &[u8; 32]) -> [u8; 32] {
        hash("hundi v1 entry header", network, &[&self.head(), &self.body_hash])
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: [u8; 32],
    /// Its header, the body hash computed.
    pub header: Header,
    /// Its body.
    pub body: Vec<u8>,
}

impl Entry {
    /// Reads an entry and its signature.
    pub(super) fn read(network: &[u8; 32], bytes: &[u8]) -> Result<(Self, [u8; 64]), Refused> {
        let mut reader = Reader::versioned(bytes)?;
        let kind = reader.u8()?;
        let author = Author::read(&mut reader)?;
        let mut header = Header::read(kind, author, &mut reader)?;
        let signature = reader.array()?;
        let body = reader.rest().to_vec();
        header.check()?;
        rule(kind != CLOSE || body.is_empty(), "a close has an empty body")?;
        header.body_hash = body_hash(network, &body);
        let id = header.id(network);
        Ok((Self { id, header, body }, signature))
    }
}

/// A header with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// Its id.
    pub id: [u8; 32],
    /// The header.
    pub header: Header,
    /// The author's signature over the id.
    pub signature: [u8; 64],
}

/// A proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Who contradicted itself.
    pub author: Author,
    /// The two headers.
    pub headers: [SignedHeader; 2],
}

impl Proof {
    pub(super) fn read(network: &[u8; 32], bytes: &[u8]) -> Result<Self, Refused> {
        let mut reader = Reader::versioned(bytes)?;
        let author = Author::read(&mut reader)?;
        let mut side = || {
            let kind = reader.u8()?;
            let mut header = Header::read(kind, author, &mut reader)?;
            header.body_hash = reader.array()?;
            let signature = reader.array()?;
            Ok(SignedHeader { id: header.id(network), header, signature })
        };
        let headers = [side()?, side()?];
        reader.end()?;
        headers[0].header.check()?;
        headers[1].header.check()?;
        let rank = |side: &SignedHeader| (side.header.sequence, side.id);
        rule(rank(&headers[0]) < rank(&headers[1]), "headers strictly ascending")?;
        rule(contradict(&headers[0], &headers[1]), "headers contradict each other")?;
        Ok(Self { author, headers })
    }
}
