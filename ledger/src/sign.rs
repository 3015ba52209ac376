//! Signing and the one verdict on a signature.
//!
//! Keys sign with ed25519-dalek; everything is verified with ed25519-zebra by the rules of ZIP 215,
//! because its batch and single verdicts agree on every input, crafted ones included. dalek's do
//! not: a payer could craft a signature that a bank verifying in batches accepts and a phone
//! refuses. Keys for which the rules would leave doubt (small order, torsion, a second encoding)
//! are refused when a bank enrols them, by [`check_key`].

use crate::id::{Hash, PublicKey, Signature};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::Signer as _;
use ed25519_zebra::VerificationKey;
use thiserror::Error;
use zeroize::Zeroizing;

/// A secret Ed25519 signing key. Wiped from memory when dropped; never printed, never serialised
/// with state.
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// The key of a 32-byte seed (RFC 8032 §5.1.5), which must come from a secure source.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, for the key file.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs the id of a record.
    pub fn sign(&self, id: &Hash) -> Signature {
        Signature(self.0.sign(&id.0).to_bytes())
    }
}

impl core::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SecretKey of {:?}", self.public())
    }
}

/// The signature does not hold for this key and message. Reject the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("signature does not verify")]
pub struct SignatureError;

/// Verifies one signature over a record's id (ZIP 215).
///
/// # Errors
/// When the key is not a point or the equation does not hold.
pub fn verify(key: &PublicKey, id: &Hash, signature: &Signature) -> Result<(), SignatureError> {
    Verifier::default().verify(key, id, signature)
}

/// Verifies one signature after the other and remembers the point of the last key: entries come
/// grouped by author, and finding the point takes a tenth of the time of a verification. Those that
/// are known to come can be verified ahead, all in one batch.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    last: Option<(PublicKey, VerificationKey)>,
    /// What the last batch has shown to hold, until it is asked for.
    ahead: BTreeMap<Hash, (PublicKey, Signature)>,
    /// All that has been shown to hold, where that is remembered.
    held: Option<BTreeSet<(Hash, PublicKey, Signature)>>,
}

impl Verifier {
    /// A verifier that remembers all that it has shown to hold, without bound, and never verifies it
    /// again: for many nodes in one process, who hear the same of one another. Its verdicts are
    /// the same.
    pub fn remembering() -> Self {
        Self { held: Some(BTreeSet::new()), ..Self::default() }
    }

    /// Verifies many signatures at once, so that [`Verifier::verify`] finds them done; what was
    /// verified ahead before is forgotten. `seed` as for [`verify_batch`]. Where one of them does
    /// not hold, all are left to be verified singly. Returns whether all hold.
    pub fn verify_ahead(&mut self, items: &[(PublicKey, Hash, Signature)], seed: [u8; 32]) -> bool {
        self.ahead.clear();
        let all_hold = self.verify_all(items, seed).is_ok();
        if all_hold {
            self.ahead.extend(items.iter().map(|(key, id, signature)| (*id, (*key, *signature))));
        }
        all_hold
    }

    /// [`verify`], with the same verdict on everything.
    ///
    /// # Errors
    /// When the key is not a point or the equation does not hold.
    pub fn verify(
        &mut self,
        key: &PublicKey,
        id: &Hash,
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        if self.ahead.remove(id) == Some((*key, *signature)) || self.remembers(key, id, signature) {
            return Ok(());
        }
        let point = match self.last {
            Some((last, point)) if last == *key => point,
            _ => VerificationKey::try_from(key.0).map_err(|_| SignatureError)?,
        };
        self.last = Some((*key, point));
        point.verify(&signature.0.into(), &id.0).map_err(|_| SignatureError)?;
        self.remember(&[(*key, *id, *signature)]);
        Ok(())
    }

    /// [`verify_batch`], with the same verdict on everything.
    ///
    /// # Errors
    /// When at least one does not hold.
    pub fn verify_all(
        &mut self,
        items: &[(PublicKey, Hash, Signature)],
        seed: [u8; 32],
    ) -> Result<(), SignatureError> {
        let new = |(key, id, signature): &&_| !self.remembers(key, id, signature);
        let due: Vec<_> = items.iter().filter(new).copied().collect();
        if !due.is_empty() {
            verify_batch(&due, seed)?;
        }
        self.remember(&due);
        Ok(())
    }

    fn remembers(&self, key: &PublicKey, id: &Hash, signature: &Signature) -> bool {
        self.held.as_ref().is_some_and(|held| held.contains(&(*id, *key, *signature)))
    }

    fn remember(&mut self, items: &[(PublicKey, Hash, Signature)]) {
        if let Some(held) = &mut self.held {
            held.extend(items.iter().map(|(key, id, signature)| (*id, *key, *signature)));
        }
    }
}

/// Verifies many signatures at once; the verdict is that of verifying each.
///
/// `seed` makes the random coefficients of the batch equation unpredictable to whoever signed.
///
/// # Errors
/// When at least one does not hold. The caller verifies singly to find which.
pub fn verify_batch(
    items: &[(PublicKey, Hash, Signature)],
    seed: [u8; 32],
) -> Result<(), SignatureError> {
    let mut batch = ed25519_zebra::batch::Verifier::new();
    for (key, id, signature) in items {
        let key = ed25519_zebra::VerificationKeyBytes::from(key.0);
        batch.queue((key, signature.0.into(), &id.0));
    }
    batch
        .verify(SeededRng(blake3::Hasher::new_keyed(&seed).finalize_xof()))
        .map_err(|_| SignatureError)
}

/// Why a bank refuses to enrol a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not the encoding of a curve point, or not its canonical encoding.
    #[error("not a canonical Ed25519 key")]
    NotCanonical,
    /// Of small order: signatures under it verify for many messages.
    #[error("an Ed25519 key of small order")]
    SmallOrder,
    /// Not in the prime-order group: verifiers may disagree about its signatures.
    #[error("an Ed25519 key outside the prime-order group")]
    Torsion,
}

/// Checks a key at enrolment, once; costs tens of microseconds.
///
/// # Errors
/// When signatures under the key could be read in two ways.
pub fn check_key(key: &PublicKey) -> Result<(), KeyError> {
    let point = CompressedEdwardsY(key.0).decompress().ok_or(KeyError::NotCanonical)?;
    if point.compress().0 != key.0 {
        return Err(KeyError::NotCanonical);
    }
    if point.is_small_order() {
        return Err(KeyError::SmallOrder);
    }
    if !point.is_torsion_free() {
        return Err(KeyError::Torsion);
    }
    Ok(())
}

/// The extendable output of a seed as a random number generator.
struct SeededRng(blake3::OutputReader);

impl rand_core::TryRng for SeededRng {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for SeededRng {}
