//! Sealing of entry bodies to two readers: the author's home bank and the payee.
//!
//! One X25519 agreement per pair of parties, cached by the caller as a [`Shared`]; the keys of one
//! entry are derived from it and the entry's head. The synthetic IV is at once nonce,
//! authenticator and commitment to the content key, so that one ciphertext cannot be made to open
//! in two ways. A payer can wrap a key for the payee that the bank does not derive; therefore the
//! payee's receipt discloses the key under which it read the entry, and whichever key fits the
//! commitment counts.

pub mod receipt;
pub mod shared;

use crate::body::Plaintext;
use crate::codec::DecodeError;
use crate::id::{AuthorId, Hash, NetworkId, SealingKey};
use crate::record::entry::{HEAD_BYTES, Header, Kind};
use alloc::vec::Vec;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use thiserror::Error;
use x25519_dalek::{PublicKey as X25519Public, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const CONTENT_CONTEXT: &str = "hundi v1 body content key";
const IV_CONTEXT: &str = "hundi v1 body iv";
const STREAM_CONTEXT: &str = "hundi v1 body stream";
const WRAP_CONTEXT: &str = "hundi v1 body wrap";
const VIEW_TAG_CONTEXT: &str = "hundi v1 body view tag";

const IV_BYTES: usize = 32;
const WRAP_BYTES: usize = 1 + 32;
/// Bytes of a body sealed to two readers besides its plaintext: IV, view tag, wrapped key.
pub const SEAL_OVERHEAD_BYTES: usize = IV_BYTES + WRAP_BYTES;

/// A secret X25519 key, for sealing only. Wiped when dropped; never printed.
pub struct SealingSecret {
    secret: StaticSecret,
    public: SealingKey,
}

impl SealingSecret {
    /// The key of 32 secret bytes (RFC 7748 clamps them).
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let secret = StaticSecret::from(*bytes);
        let public = SealingKey(X25519Public::from(&secret).to_bytes());
        Self { secret, public }
    }

    /// The bytes, for the key file.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> SealingKey {
        self.public
    }

    /// What this key shares with `other`.
    ///
    /// # Errors
    /// [`SealError::ZeroSecret`] when the other key is of small order: everybody would know the
    /// secret.
    pub fn agree(&self, other: &SealingKey) -> Result<Shared, SealError> {
        let shared = self.secret.diffie_hellman(&X25519Public::from(other.0));
        if !shared.was_contributory() {
            return Err(SealError::ZeroSecret);
        }
        Ok(Shared(shared.to_bytes()))
    }
}

impl core::fmt::Debug for SealingSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SealingSecret of {:?}", self.public())
    }
}

/// What two X25519 keys share; worth keeping in a [`shared::SharedSecrets`], one agreement costs as
/// much as a signature.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Shared([u8; 32]);

/// The key under which one body is sealed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ContentKey([u8; 32]);

impl ContentKey {
    /// The key of 32 bytes, as kept in a wallet's own records.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes; whoever has them reads the entry.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl core::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ContentKey")
    }
}

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// The other party's key is of small order. Refuse the key.
    #[error("sealing key of small order: the shared secret would be zero")]
    ZeroSecret,
}

/// Why a body did not open with this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Too short for its kind, or of a kind without a sealed body.
    #[error("not a sealed body")]
    Malformed,
    /// Not for this reader: the view tag differs. Not a verdict on the entry.
    #[error("not sealed to this reader")]
    NotForReader,
    /// The key does not fit the commitment. Not a verdict on the entry: another key may.
    #[error("this key does not fit the commitment")]
    Commitment,
    /// The key fits, but what it opens is no plaintext of that kind. Final.
    #[error("opens to something that is no plaintext of its kind: {0}")]
    Plaintext(DecodeError),
}

/// A body that opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub plaintext: Plaintext,
    /// The key that fits the commitment.
    pub key: ContentKey,
}

/// The content key that author and home bank both derive for the entry with this `head`.
pub fn content_key(network: &NetworkId, shared: &Shared, head: &[u8; HEAD_BYTES]) -> ContentKey {
    // The head names bank, author, kind and place; the context is the role.
    ContentKey(derive(CONTENT_CONTEXT, network, &[&shared.0, head]))
}

/// Seals the plaintext of an entry with this `head` under `key`, wrapped for the payee with whom
/// the author shares `payee` (none for kinds that the bank alone reads).
pub fn seal(
    network: &NetworkId,
    head: &[u8; HEAD_BYTES],
    key: &ContentKey,
    payee: Option<&Shared>,
    plaintext: &Plaintext,
) -> Vec<u8> {
    let mut text = plaintext.encode();
    let iv = synthetic_iv(network, key, head, plaintext.payee(), &text);
    apply_stream(network, key, &iv, &mut text);
    let mut body = iv.0.to_vec();
    if let Some(shared) = payee {
        body.push(view_tag(network, shared, head, &iv));
        body.extend_from_slice(&xor(&key.0, &wrap_key(network, shared, head, &iv)));
    }
    body.extend_from_slice(&text);
    body
}

/// Opens a body with a content key: the one the bank derives, or a disclosed one.
///
/// # Errors
/// See [`OpenError`]; only [`OpenError::Plaintext`] says anything about the entry.
pub fn open(
    network: &NetworkId,
    header: &Header,
    body: &[u8],
    key: &ContentKey,
) -> Result<Opened, OpenError> {
    let (iv, wrap, ciphertext) = split(header.kind, body)?;
    let mut text = ciphertext.to_vec();
    apply_stream(network, key, &iv, &mut text);
    let plaintext = Plaintext::decode(header.kind, &text);
    // A payee that cannot be read cannot be committed to: then the key is taken not to fit.
    let payee = plaintext.as_ref().ok().and_then(Plaintext::payee);
    if payee.is_some() != wrap.is_some() && plaintext.is_ok() {
        return Err(OpenError::Malformed);
    }
    if synthetic_iv(network, key, &header.head(), payee, &text) != iv {
        return Err(OpenError::Commitment);
    }
    let plaintext = plaintext.map_err(OpenError::Plaintext)?;
    Ok(Opened { plaintext, key: key.clone() })
}

/// Opens a body as its payee, who shares `shared` with the author.
///
/// # Errors
/// See [`OpenError`]; all but [`OpenError::Plaintext`] mean "not for me, or not honestly".
pub fn open_as_payee(
    network: &NetworkId,
    header: &Header,
    body: &[u8],
    shared: &Shared,
) -> Result<Opened, OpenError> {
    let (iv, wrap, _) = split(header.kind, body)?;
    let wrap = wrap.ok_or(OpenError::NotForReader)?;
    let head = header.head();
    if wrap[0] != view_tag(network, shared, &head, &iv) {
        return Err(OpenError::NotForReader);
    }
    let wrapped: [u8; 32] = wrap[1..].try_into().map_err(|_| OpenError::Malformed)?;
    let key = ContentKey(xor(&wrapped, &wrap_key(network, shared, &head, &iv)));
    open(network, header, body, &key)
}

type Parts<'a> = (Hash, Option<&'a [u8]>, &'a [u8]);

fn split(kind: Kind, body: &[u8]) -> Result<Parts<'_>, OpenError> {
    let (iv, rest) = body.split_at_checked(IV_BYTES).ok_or(OpenError::Malformed)?;
    let iv = Hash(iv.try_into().map_err(|_| OpenError::Malformed)?);
    match kind {
        Kind::PAYMENT | Kind::REFUND => {
            let (wrap, text) = rest.split_at_checked(WRAP_BYTES).ok_or(OpenError::Malformed)?;
            Ok((iv, Some(wrap), text))
        }
        Kind::GRANT_REQUEST => Ok((iv, None, rest)),
        _ => Err(OpenError::Malformed),
    }
}

fn synthetic_iv(
    network: &NetworkId,
    key: &ContentKey,
    head: &[u8; HEAD_BYTES],
    payee: Option<AuthorId>,
    text: &[u8],
) -> Hash {
    let payee = payee.map_or([0; 34], |payee| payee.to_bytes());
    keyed_hash(IV_CONTEXT, network, &key.0, &[head, &payee, text])
}

fn apply_stream(network: &NetworkId, key: &ContentKey, iv: &Hash, text: &mut [u8]) {
    let stream = Zeroizing::new(derive(STREAM_CONTEXT, network, &[&key.0, &iv.0]));
    // The stream key belongs to this IV alone, so the nonce may be constant.
    ChaCha20::new((&*stream).into(), &[0; 12].into()).apply_keystream(text);
}

fn wrap_key(network: &NetworkId, shared: &Shared, head: &[u8; HEAD_BYTES], iv: &Hash) -> [u8; 32] {
    derive(WRAP_CONTEXT, network, &[&shared.0, head, &iv.0])
}

fn view_tag(network: &NetworkId, shared: &Shared, head: &[u8; HEAD_BYTES], iv: &Hash) -> u8 {
    derive(VIEW_TAG_CONTEXT, network, &[&shared.0, head, &iv.0])[0]
}

/// BLAKE3 `derive_key` over the network id and `parts`, all of fixed width but the last.
fn derive(context: &'static str, network: &NetworkId, parts: &[&[u8]]) -> [u8; 32] {
    crate::id::hash_in(context, network, parts).0
}

/// A hash keyed with a key that is derived for this context alone, so that it commits to the key.
fn keyed_hash(context: &'static str, network: &NetworkId, key: &[u8; 32], parts: &[&[u8]]) -> Hash {
    let key = Zeroizing::new(derive(context, network, &[key]));
    let mut hasher = blake3::Hasher::new_keyed(&key);
    for part in parts {
        hasher.update(part);
    }
    Hash(*hasher.finalize().as_bytes())
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    core::array::from_fn(|at| a[at] ^ b[at])
}
