//! A payment request: what a payee shows as a QR code or link, and the payer's device reads.
//!
//! `HUNDI:` and the base32 (RFC 4648, no padding, upper case, which QR codes carry densely) of the
//! encoded [`PaymentRequest`] and four bytes of its hash against typing errors.

use crate::codec::{self, DecodeError, List, Text};
use crate::id::{AuthorId, NetworkId, RequestId, SealingKey};
use crate::limits::MEMO_BYTES_MAX;
use crate::money::{Amount, Currency};
use crate::record::VERSION;
use alloc::string::String;
use borsh::{BorshDeserialize, BorshSerialize};
use data_encoding::BASE32_NOPAD;
use thiserror::Error;

const SCHEME: &str = "HUNDI:";
const CHECK_BYTES: usize = 4;
const BYTES_MAX: usize = 1024;
/// Addresses that one request may name.
pub const HINTS_MAX: usize = 4;
/// Bytes of the longest address.
pub const HINT_BYTES_MAX: usize = 128;

/// What a payee asks for.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PaymentRequest {
    /// [`VERSION`].
    pub version: u8,
    /// The network.
    pub network: NetworkId,
    /// Who is to be paid.
    pub payee: AuthorId,
    /// The payee's X25519 key, to seal to.
    pub payee_sealing: SealingKey,
    /// The request.
    pub request: RequestId,
    /// In this currency.
    pub currency: Currency,
    /// This much; none lets the payer say.
    pub amount: Option<Amount>,
    /// Not after, Unix seconds.
    pub expires: u32,
    /// What for.
    pub memo: Text<MEMO_BYTES_MAX>,
    /// Addresses at which the payee's node can be reached on the local network.
    pub hints: List<Text<HINT_BYTES_MAX>, HINTS_MAX>,
}

/// Why text is not a payment request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseRequestError {
    /// Another kind of text.
    #[error("a payment request starts with HUNDI:")]
    Scheme,
    /// Characters missing or changed.
    #[error("the payment request is damaged: scan or copy it again, whole")]
    Damaged,
    /// Made by a version that this build does not know.
    #[error("the payment request is of a version that this build does not know: {0}")]
    Decode(DecodeError),
}

impl PaymentRequest {
    /// The text for a QR code or link.
    pub fn to_uri(&self) -> String {
        let mut bytes = codec::encode(self);
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        let mut uri = String::from(SCHEME);
        BASE32_NOPAD.encode_append(&bytes, &mut uri);
        uri
    }

    /// Reads the text of a QR code or link, in upper or lower case.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ParseRequestError> {
        let upper = text.trim().to_ascii_uppercase();
        let code = upper.strip_prefix(SCHEME).ok_or(ParseRequestError::Scheme)?;
        let bytes = BASE32_NOPAD.decode(code.as_bytes()).map_err(|_| ParseRequestError::Damaged)?;
        let split = bytes.len().checked_sub(CHECK_BYTES).ok_or(ParseRequestError::Damaged)?;
        let (record, given) = bytes.split_at(split);
        if check(record) != given {
            return Err(ParseRequestError::Damaged);
        }
        crate::record::check_version(record).map_err(ParseRequestError::Decode)?;
        codec::decode(record, BYTES_MAX).map_err(ParseRequestError::Decode)
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = blake3::derive_key("hundi v1 payment request", bytes);
    core::array::from_fn(|at| hash[at])
}

/// The version that drafted requests carry.
pub const REQUEST_VERSION: u8 = VERSION;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BankNumber, PublicKey};
    use alloc::vec;

    #[test]
    fn prints_parses_and_notices_damage() {
        let request = PaymentRequest {
            version: REQUEST_VERSION,
            network: NetworkId([1; 32]),
            payee: AuthorId { bank: BankNumber(1), key: PublicKey([2; 32]) },
            payee_sealing: SealingKey([3; 32]),
            request: RequestId([4; 8]),
            currency: Currency::new("INR").unwrap(),
            amount: Some(Amount::new(12_50).unwrap()),
            expires: 77,
            memo: Text::new("चाय").unwrap(),
            hints: List::new(vec![Text::new("/ip4/127.0.0.1/tcp/4001").unwrap()]).unwrap(),
        };
        let uri = request.to_uri();
        assert_eq!(PaymentRequest::parse(&uri), Ok(request.clone()));
        assert_eq!(PaymentRequest::parse(&uri.to_lowercase()), Ok(request));
        assert_eq!(PaymentRequest::parse("https://x"), Err(ParseRequestError::Scheme));
        for at in SCHEME.len()..uri.len() {
            let mut damaged = uri.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert!(PaymentRequest::parse(&damaged).is_err(), "character {at}");
            assert!(PaymentRequest::parse(&uri[..at]).is_err(), "cut at {at}");
        }
    }
}
