//! The records of DESIGN §3: what they hold, how they are spelled in bytes, and the doors between
//! *drafted*, *signed* (decoded, not to be trusted) and *verified*.
//!
//! `docs/protocol.md` gives every record to the byte. This module decides nothing about what is
//! accepted where; see [`crate::verdict`] and [`crate::replica`].

pub mod bulletin;
pub mod certificate;
pub mod checkpoint;
pub mod entry;
pub mod freeze;
pub mod grant;
pub mod item;
pub mod network;
pub mod proof;
pub mod receipt;

use crate::codec::{self, DecodeError};
use crate::id::{BankNumber, Hash, NetworkId, PublicKey, Signature, hash_in};
use crate::limits::ITEM_BYTES_MAX;
use crate::sign::{SecretKey, SignatureError, Verifier};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use core::ops::Deref;

/// The record version that this build writes and reads, the first byte of every record.
pub const VERSION: u8 = 1;

/// Bytes of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A record whose signature covers all of its bytes and stands behind them.
pub trait Record: BorshSerialize + BorshDeserialize {
    /// The domain of its id.
    const CONTEXT: &'static str;

    /// The rules that its fields keep among themselves.
    ///
    /// # Errors
    /// The rule that is broken.
    fn check(&self) -> Result<(), DecodeError>;
}

/// A record that its bank signs with a certified key.
pub trait BankRecord: Record {
    /// The role that the signing certificate must have, one of
    /// [`certificate::ROLE_ISSUE`], [`certificate::ROLE_SETTLE`].
    const ROLE: u8;
    /// The bank that signs.
    fn bank(&self) -> BankNumber;
    /// The number of the certificate that names the signing key.
    fn certificate(&self) -> u16;
    /// The bank's epoch at signing, which a later certificate may bound.
    fn epoch(&self) -> u32;
}

/// A record with its id and signature: well formed, but nobody has verified the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    id: Hash,
    record: T,
    signature: Signature,
}

impl<T: Record> Signed<T> {
    /// Decodes a record and the signature behind it. The id is that of the bytes as received.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of a well-formed record.
    pub fn decode(network: &NetworkId, bytes: &[u8]) -> Result<Self, DecodeError> {
        let length = bytes.len().checked_sub(SIGNATURE_BYTES).ok_or(DecodeError::NotCanonical)?;
        let (covered, signature) = bytes.split_at(length);
        check_version(covered)?;
        let record: T = codec::decode(covered, ITEM_BYTES_MAX)?;
        record.check()?;
        let signature = Signature(signature.try_into().map_err(|_| DecodeError::NotCanonical)?);
        Ok(Self { id: hash_in(T::CONTEXT, network, &[covered]), record, signature })
    }

    /// The bytes of the record and the signature behind it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode_to(&mut bytes);
        bytes
    }

    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&codec::encode(&self.record));
        out.extend_from_slice(&self.signature.0);
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// When `key` did not sign this record in this network.
    pub(crate) fn verify(
        self,
        key: &PublicKey,
        verifier: &mut Verifier,
    ) -> Result<Verified<Self>, SignatureError> {
        verifier.verify(key, &self.id, &self.signature)?;
        Ok(Verified(self))
    }
}

impl<T> Signed<T> {
    /// The hash of the signed bytes: the record's identity, without its signature.
    pub fn id(&self) -> Hash {
        self.id
    }

    /// The signature.
    pub fn signature(&self) -> Signature {
        self.signature
    }
}

impl<T> Deref for Signed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.record
    }
}

/// Signs a drafted record.
///
/// # Errors
/// When its fields break a rule of the record: nothing is signed then.
pub fn sign<T: Record>(
    network: &NetworkId,
    record: T,
    key: &SecretKey,
) -> Result<Verified<Signed<T>>, DecodeError> {
    record.check()?;
    let bytes = codec::encode(&record);
    if bytes.len() + SIGNATURE_BYTES >= ITEM_BYTES_MAX {
        return Err(DecodeError::TooLong);
    }
    let id = hash_in(T::CONTEXT, network, &[&bytes]);
    Ok(Verified(Signed { id, signature: key.sign(&id), record }))
}

/// Something whose signatures hold and whose signers were entitled to sign it. Only the doors of
/// this crate make one: decode, then verify; or draft, then sign; or read back what was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(pub(crate) T);

impl<T> Verified<T> {
    /// Something read back from this node's own store, into which nothing goes that was not
    /// verified: for the replica, when it reads an author that it holds. Whoever can write to the
    /// store can write to the program as well. Bytes from anywhere else take the other doors.
    pub(crate) fn stored(thing: T) -> Self {
        Self(thing)
    }

    /// The verified thing.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Fails unless the first byte is the version this build knows.
pub(crate) fn check_version(bytes: &[u8]) -> Result<(), DecodeError> {
    match bytes.first() {
        Some(&VERSION) => Ok(()),
        Some(&other) => Err(DecodeError::Version(other)),
        None => Err(DecodeError::NotCanonical),
    }
}

/// Fails with `rule` unless `holds`.
pub(crate) fn rule(holds: bool, rule: &'static str) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(DecodeError::Rule(rule)) }
}
