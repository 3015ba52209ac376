//! What stands inside sealed bodies: the plaintexts of each kind, readable by the home bank and
//! the payee only.

use crate::codec::{self, DecodeError, Text};
use crate::id::{AuthorId, Hash, RequestId, Serial};
use crate::limits::{BODY_BYTES_MAX, MEMO_BYTES_MAX};
use crate::money::Amount;
use crate::record::entry::Kind;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// A place to about a kilometre: hundredths of a degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Place {
    /// Latitude in hundredths of a degree, north positive.
    pub latitude_centi: i16,
    /// Longitude in hundredths of a degree, east positive.
    pub longitude_centi: i16,
}

/// The plaintext of a payment.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Payment {
    /// Whom it pays.
    pub payee: AuthorId,
    /// Which of the payee's requests it answers.
    pub request: RequestId,
    /// A word from the payer.
    pub memo: Text<MEMO_BYTES_MAX>,
    /// What for, by the network's numbering; 0 when not stated.
    pub category: u8,
    /// Where, if the payer wants to say.
    pub place: Option<Place>,
    /// The group whose bill this pays, if any.
    pub group: Option<[u8; 8]>,
}

/// The plaintext of a refund.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Refund {
    /// The payer of the original, who gets the money back.
    pub payee: AuthorId,
    /// The header hash of the original payment.
    pub original: Hash,
    /// What is returned.
    pub sum: Amount,
    /// A word from the payee of the original.
    pub memo: Text<MEMO_BYTES_MAX>,
}

/// The plaintext of a request for the next grant, sealed to the bank alone.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct GrantRequest {
    /// The serial that would follow.
    pub serial: Serial,
    /// The limit asked for.
    pub limit: Amount,
}

/// A plaintext that names whom money goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plaintext {
    /// Of [`Kind::PAYMENT`].
    Payment(Payment),
    /// Of [`Kind::REFUND`].
    Refund(Refund),
    /// Of [`Kind::GRANT_REQUEST`].
    GrantRequest(GrantRequest),
}

impl Plaintext {
    /// Decodes the plaintext of an entry of that kind.
    ///
    /// # Errors
    /// When the bytes are not one plaintext of that kind, or the kind has none.
    pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, DecodeError> {
        match kind {
            Kind::PAYMENT => codec::decode(bytes, BODY_BYTES_MAX).map(Self::Payment),
            Kind::REFUND => codec::decode(bytes, BODY_BYTES_MAX).map(Self::Refund),
            Kind::GRANT_REQUEST => codec::decode(bytes, BODY_BYTES_MAX).map(Self::GrantRequest),
            _ => Err(DecodeError::Rule("this kind has no sealed body")),
        }
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Payment(body) => codec::encode(body),
            Self::Refund(body) => codec::encode(body),
            Self::GrantRequest(body) => codec::encode(body),
        }
    }

    /// The payee that the sealing commits to; none when the bank alone reads it.
    pub fn payee(&self) -> Option<AuthorId> {
        match self {
            Self::Payment(body) => Some(body.payee),
            Self::Refund(body) => Some(body.payee),
            Self::GrantRequest(_) => None,
        }
    }
}
