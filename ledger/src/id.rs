//! Who and what: hashes, keys and the numbers that name banks, authors and networks.
//!
//! Every hash is a BLAKE3 `derive_key` hash whose context names the kind of record and whose
//! input starts with the network id, so that nothing means anything elsewhere.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use data_encoding::HEXLOWER;

macro_rules! bytes_type {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), HEXLOWER.encode(&self.0[..4]))
            }
        }

        impl core::str::FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| ParseIdError)?;
                Ok(Self(bytes.try_into().map_err(|_| ParseIdError)?))
            }
        }
    };
}

/// Text that is not the lowercase hexadecimal form of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier in lowercase hexadecimal of the right length")]
pub struct ParseIdError;

bytes_type!(
    /// A 32-byte domain-separated BLAKE3 hash.
    Hash, 32
);
bytes_type!(
    /// The hash of a network definition; every other hash and signature covers it.
    NetworkId, 32
);
bytes_type!(
    /// An Ed25519 public key in its 32-byte encoding. Not yet checked to be one that signs.
    PublicKey, 32
);
bytes_type!(
    /// An X25519 public key (RFC 7748), used for sealing only.
    SealingKey, 32
);
bytes_type!(
    /// An Ed25519 signature. Outside every id: one thing can be signed in many ways.
    Signature, 64
);
bytes_type!(
    /// The number of one payment request of one payee, random.
    RequestId, 8
);

/// The number of a bank in its network.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct BankNumber(pub u16);

impl fmt::Display for BankNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The serial of a grant within its author. Serial 0 is the enrolment grant.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct Serial(pub u16);

impl Serial {
    /// The enrolment grant: limit 0, lives as long as the key, certifies it.
    pub const ENROLMENT: Serial = Serial(0);
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An author: the pair of a home bank and a signing key. A record of (B, key) says nothing about
/// (A, key).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct AuthorId {
    /// The home bank, the only judge of this author's log.
    pub bank: BankNumber,
    /// The key that signs the log.
    pub key: PublicKey,
}

impl AuthorId {
    /// The 34 bytes of its encoding: bank, key.
    pub fn to_bytes(&self) -> [u8; 34] {
        let mut bytes = [0; 34];
        bytes[..2].copy_from_slice(&self.bank.0.to_le_bytes());
        bytes[2..].copy_from_slice(&self.key.0);
        bytes
    }
}

impl fmt::Display for AuthorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.bank, self.key)
    }
}

impl core::str::FromStr for AuthorId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let (bank, key) = text.split_once('-').ok_or(ParseIdError)?;
        Ok(Self { bank: BankNumber(bank.parse().map_err(|_| ParseIdError)?), key: key.parse()? })
    }
}

/// The hash of `parts`, one after the other, in the domain `context` of network `network`.
pub(crate) fn hash_in(context: &'static str, network: &NetworkId, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(&network.0);
    parts.iter().for_each(|part| {
        hasher.update(part);
    });
    Hash(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn author_prints_and_parses() {
        let author = AuthorId { bank: BankNumber(7), key: PublicKey([0xab; 32]) };
        assert_eq!(author.to_string().parse::<AuthorId>().unwrap(), author);
        assert!("7-ABAB".parse::<AuthorId>().is_err());
    }

    #[test]
    fn domains_and_networks_separate() {
        let (a, b) = (NetworkId([1; 32]), NetworkId([2; 32]));
        assert_ne!(hash_in("x", &a, &[b"m"]), hash_in("y", &a, &[b"m"]));
        assert_ne!(hash_in("x", &a, &[b"m"]), hash_in("x", &b, &[b"m"]));
    }
}
