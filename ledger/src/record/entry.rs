//! An entry: one signed record in one author's log. Its header is public and claims the interval
//! (`spent_total` − `amount`, `spent_total`] of its grant; its body is sealed, or empty.

use super::proof::Claim;
use super::{SIGNATURE_BYTES, VERSION, Verified, check_version, rule};
use crate::codec::{self, DecodeError};
use crate::id::{AuthorId, Hash, NetworkId, Serial, Signature, hash_in};
use crate::limits::BODY_BYTES_MAX;
use crate::money::Amount;
use crate::sign::{SecretKey, SignatureError, Verifier};
use alloc::vec::Vec;
use borsh::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use borsh::{BorshDeserialize, BorshSerialize};

const HEADER_CONTEXT: &str = "hundi v1 entry header";
const BODY_CONTEXT: &str = "hundi v1 entry body";

/// Bytes of a header without the hash of its body.
pub const HEAD_BYTES: usize = 90;
/// Bytes of a header.
pub const HEADER_BYTES: usize = HEAD_BYTES + 32;
/// Bytes of an entry besides its body.
pub const ENTRY_OVERHEAD_BYTES: usize = HEAD_BYTES + SIGNATURE_BYTES;

/// The kind of an entry. Kinds that are not named here are carried and obey their class.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct Kind(pub u8);

impl Kind {
    /// Pays a payee.
    pub const PAYMENT: Kind = Kind(1);
    /// Returns (part of) a payment to its payer.
    pub const REFUND: Kind = Kind(2);
    /// Asks the bank for the next grant.
    pub const GRANT_REQUEST: Kind = Kind(3);
    /// Ends this serial: the rest of its reserve returns.
    pub const CLOSE: Kind = Kind(4);
    /// Reserved: an owner's consent to a delegate's payment.
    pub const APPROVAL: Kind = Kind(5);
    /// Reserved: a change of a shared document.
    pub const DOCUMENT: Kind = Kind(0x81);

    /// The log that entries of this kind belong to.
    pub fn class(self) -> Class {
        if self.0 & 0x80 == 0 { Class::Money } else { Class::Document }
    }
}

/// Which of its author's two logs an entry belongs to; each has sequence numbers of its own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Class {
    /// Payments and what belongs to them.
    Money = 0,
    /// Sealed document changes: the top bit of the kind is set.
    Document = 1,
}

/// Where an entry stands in its log. On the wire: sequence, then `previous`, which is zero exactly
/// at sequence 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Sequence number 0.
    First,
    /// Directly after another entry.
    After {
        /// The sequence number, above 0.
        sequence: u32,
        /// The hash of the author's preceding header in this class.
        previous: Hash,
    },
}

impl Position {
    /// The sequence number.
    pub fn sequence(&self) -> u32 {
        match self {
            Position::First => 0,
            Position::After { sequence, .. } => *sequence,
        }
    }

    /// The hash of the preceding header, if there is one.
    pub fn previous(&self) -> Option<Hash> {
        match self {
            Position::First => None,
            Position::After { previous, .. } => Some(*previous),
        }
    }
}

impl BorshSerialize for Position {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        self.sequence().serialize(writer)?;
        self.previous().unwrap_or(Hash([0; 32])).serialize(writer)
    }
}

impl BorshDeserialize for Position {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let sequence = u32::deserialize_reader(reader)?;
        let previous = Hash::deserialize_reader(reader)?;
        match (sequence, previous.0 == [0; 32]) {
            (0, true) => Ok(Position::First),
            (1.., false) => Ok(Position::After { sequence, previous }),
            _ => Err(Error::new(ErrorKind::InvalidData, "previous is zero exactly at sequence 0")),
        }
    }
}

/// The public, signed part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// [`VERSION`].
    pub version: u8,
    /// What it does.
    pub kind: Kind,
    /// Who signs it.
    pub author: AuthorId,
    /// Where it stands in the author's log.
    pub position: Position,
    /// When it was signed by the author's clock, Unix seconds; advisory.
    pub time: u32,
    /// The grant it is under.
    pub serial: Serial,
    /// What it promises; 0 unless it spends.
    pub amount: Amount,
    /// What this grant has promised so far, this entry included.
    pub spent_total: Amount,
    /// [`body_hash`] of the sealed body.
    pub body_hash: Hash,
}

impl Header {
    /// The header's hash: the id of the entry.
    pub fn id(&self, network: &NetworkId) -> Hash {
        hash_in(HEADER_CONTEXT, network, &[&codec::encode(self)])
    }

    /// The encoding without the body hash, which the sealed body is bound to.
    pub fn head(&self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        head.copy_from_slice(&codec::encode(self)[..HEAD_BYTES]);
        head
    }

    /// The sequence number.
    pub fn sequence(&self) -> u32 {
        self.position.sequence()
    }

    /// Where its interval starts: `spent_total` − `amount`.
    pub fn start(&self) -> Amount {
        // `check` refuses an amount above the total.
        self.spent_total.sub(self.amount).unwrap_or(Amount::ZERO)
    }

    /// The rules that one header keeps, whatever other headers say.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check(&self) -> Result<(), DecodeError> {
        rule(self.version == VERSION, "version")?;
        rule(self.amount <= self.spent_total, "an interval starts at 0 or above")?;
        if self.position == Position::First {
            rule(self.start().is_zero(), "the first interval of a log starts at 0")?;
        }
        if self.serial == Serial::ENROLMENT || self.kind.class() == Class::Document {
            rule(self.spent_total.is_zero(), "spends under a grant of money only")?;
        }
        match self.kind {
            Kind::PAYMENT => rule(!self.amount.is_zero(), "a payment pays something"),
            Kind::GRANT_REQUEST | Kind::CLOSE | Kind::APPROVAL => {
                rule(self.amount.is_zero(), "a kind that does not spend has amount 0")
            }
            _ => Ok(()),
        }
    }
}

/// The hash of a sealed body, as the header names it.
pub fn body_hash(network: &NetworkId, body: &[u8]) -> Hash {
    hash_in(BODY_CONTEXT, network, &[body])
}

/// A header with its signature and without its body: the form in which a payment message carries
/// the previous header.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedHeader {
    /// The header.
    pub header: Header,
    /// The author's signature over the header's hash.
    pub signature: Signature,
}

impl SignedHeader {
    /// Checks the header's own rules and the signature.
    ///
    /// # Errors
    /// When either does not hold.
    pub fn verify(self, network: &NetworkId) -> Result<Verified<Self>, VerifyHeaderError> {
        self.verify_with(network, &mut Verifier::default())
    }

    /// [`SignedHeader::verify`] with a verifier that is used for many: the verdict is the same.
    ///
    /// # Errors
    /// When either does not hold.
    pub fn verify_with(
        self,
        network: &NetworkId,
        verifier: &mut Verifier,
    ) -> Result<Verified<Self>, VerifyHeaderError> {
        self.header.check()?;
        verifier.verify(&self.header.author.key, &self.header.id(network), &self.signature)?;
        Ok(Verified(self))
    }
}

/// Why a header is not taken. Always final for these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyHeaderError {
    /// Breaks a rule.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Not signed by its author in this network.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// An entry with its id: well formed, its body the one that the header names, its signature not
/// yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    id: Hash,
    header: Header,
    signature: Signature,
    body: Vec<u8>,
}

impl Entry {
    /// Decodes an entry: head, signature, body to the end.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of a well-formed entry.
    pub fn decode(network: &NetworkId, bytes: &[u8]) -> Result<Self, DecodeError> {
        let (id, header, signature, body) = parts(network, bytes)?;
        Ok(Self { id, header, signature, body: body.to_vec() })
    }

    /// What an entry claims that this node has stored, and whose it is: [`Entry::decode`] without
    /// the body, for whoever reads many.
    pub(crate) fn stored_claim(
        network: &NetworkId,
        bytes: &[u8],
    ) -> Result<(AuthorId, Claim), DecodeError> {
        let (id, header, ..) = parts(network, bytes)?;
        Ok((header.author, Claim::of(&header, id)))
    }

    /// Signs a drafted header and its body.
    ///
    /// # Errors
    /// When the header breaks a rule or does not name this body: nothing is signed then.
    pub fn sign(
        network: &NetworkId,
        header: Header,
        body: Vec<u8>,
        key: &SecretKey,
    ) -> Result<Verified<Self>, DecodeError> {
        rule(header.body_hash == body_hash(network, &body), "the header names its body")?;
        rule(header.author.key == key.public(), "the author signs")?;
        let id = header.id(network);
        check(&header, &body)?;
        Ok(Verified(Self { id, signature: key.sign(&id), header, body }))
    }

    /// The bytes: head, signature, body.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENTRY_OVERHEAD_BYTES + self.body.len());
        self.encode_to(&mut bytes);
        bytes
    }

    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header.head());
        out.extend_from_slice(&self.signature.0);
        out.extend_from_slice(&self.body);
    }

    /// Verifies the author's signature.
    ///
    /// # Errors
    /// When the author did not sign this header in this network.
    pub fn verify(self) -> Result<Verified<Self>, SignatureError> {
        self.verify_with(&mut Verifier::default())
    }

    /// [`Entry::verify`] with a verifier that is used for many: the verdict is the same.
    ///
    /// # Errors
    /// When the author did not sign this header in this network.
    pub fn verify_with(self, verifier: &mut Verifier) -> Result<Verified<Self>, SignatureError> {
        verifier.verify(&self.header.author.key, &self.id, &self.signature)?;
        Ok(Verified(self))
    }

    /// Verifies many entries as one batch, whose verdict is by construction the same as that of
    /// [`Entry::verify`]. `seed` as for [`crate::sign::verify_batch`].
    ///
    /// # Errors
    /// When any of them does not verify; which one, only single verification tells.
    pub fn verify_all(
        entries: Vec<Self>,
        seed: [u8; 32],
        verifier: &mut Verifier,
    ) -> Result<Vec<Verified<Self>>, Vec<Self>> {
        let items: Vec<_> = entries
            .iter()
            .map(|entry| (entry.header.author.key, entry.id, entry.signature))
            .collect();
        match verifier.verify_all(&items, seed) {
            Ok(()) => Ok(entries.into_iter().map(Verified).collect()),
            Err(SignatureError) => Err(entries),
        }
    }

    /// The hash of the header.
    pub fn id(&self) -> Hash {
        self.id
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The author's signature.
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// The sealed body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The header and signature without the body.
    pub fn signed_header(&self) -> SignedHeader {
        SignedHeader { header: self.header.clone(), signature: self.signature }
    }
}

/// Id, header, signature and body of an entry's bytes, if they are the one encoding of a
/// well-formed entry.
fn parts<'a>(
    network: &NetworkId,
    bytes: &'a [u8],
) -> Result<(Hash, Header, Signature, &'a [u8]), DecodeError> {
    check_version(bytes)?;
    if bytes.len() > ENTRY_OVERHEAD_BYTES + BODY_BYTES_MAX {
        return Err(DecodeError::TooLong);
    }
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(DecodeError::NotCanonical)?;
    let (signature, body) =
        rest.split_first_chunk::<SIGNATURE_BYTES>().ok_or(DecodeError::NotCanonical)?;
    let mut covered = [0; HEADER_BYTES];
    covered[..HEAD_BYTES].copy_from_slice(head);
    covered[HEAD_BYTES..].copy_from_slice(&body_hash(network, body).0);
    let header: Header = codec::decode(&covered, HEADER_BYTES)?;
    check(&header, body)?;
    let id = hash_in(HEADER_CONTEXT, network, &[&covered]);
    Ok((id, header, Signature(*signature), body))
}

fn check(header: &Header, body: &[u8]) -> Result<(), DecodeError> {
    header.check()?;
    rule(body.len() <= BODY_BYTES_MAX, "body too long")?;
    if header.kind == Kind::CLOSE {
        rule(body.is_empty(), "a close has no body")?;
    }
    Ok(())
}
