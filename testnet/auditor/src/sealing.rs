//! The section "Sealing" of the protocol: opening bodies and receipts.

use crate::hashes::hash;
use crate::read::{Reader, Refused};
use crate::records::{Author, Receipt, Statement};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};

/// The three kinds of body that are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// Kind 1.
    Payment,
    /// Kind 2.
    Refund,
    /// Kind 3.
    GrantRequest,
}

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields of the document's table, in its order.
pub enum Plaintext {
    /// Of a payment.
    Payment {
        payee: Author,
        request: [u8; 8],
        memo: String,
        category: u8,
        place: Option<(i16, i16)>,
        group: Option<[u8; 8]>,
    },
    /// Of a refund.
    Refund { payee: Author, original: [u8; 32], sum: u64, memo: String },
    /// Of a grant request.
    GrantRequest { serial: u16, limit: u64 },
}

impl Plaintext {
    /// Reads the plaintext of that kind.
    ///
    /// # Errors
    /// Why the bytes are not one.
    pub fn read(kind: Sealed, bytes: &[u8]) -> Result<Self, Refused> {
        let mut reader = Reader::plain(bytes);
        let plaintext = match kind {
            Sealed::Payment => Self::Payment {
                payee: Author::read(&mut reader)?,
                request: reader.array()?,
                memo: reader.text(255)?,
                category: reader.u8()?,
                place: reader.option(|reader| Ok((reader.i16()?, reader.i16()?)))?,
                group: reader.option(Reader::array)?,
            },
            Sealed::Refund => Self::Refund {
                payee: Author::read(&mut reader)?,
                original: reader.array()?,
                sum: reader.amount()?,
                memo: reader.text(255)?,
            },
            Sealed::GrantRequest => {
                Self::GrantRequest { serial: reader.u16()?, limit: reader.amount()? }
            }
        };
        reader.end()?;
        Ok(plaintext)
    }

    /// Whom it pays.
    pub fn payee(&self) -> Option<Author> {
        match self {
            Self::Payment { payee, .. } | Self::Refund { payee, .. } => Some(*payee),
            Self::GrantRequest { .. } => None,
        }
    }
}

/// Why a body does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Too short for its kind.
    Malformed,
    /// The view tag is another reader's.
    NotForReader,
    /// The key does not fit.
    Commitment,
    /// The key fits and the entry says nothing.
    Nothing(Refused),
}

/// The secret that two X25519 keys share; none when it is all zero.
pub fn agree(secret: &[u8; 32], public: &[u8; 32]) -> Option<[u8; 32]> {
    Some(x25519_dalek::x25519(*secret, *public)).filter(|shared| *shared != [0; 32])
}

/// The content key that author and home bank derive.
pub fn content_key(network: &[u8; 32], shared: &[u8; 32], head: &[u8]) -> [u8; 32] {
    hash("hundi v1 body content key", network, &[shared, head])
}

fn mac(context: &str, network: &[u8; 32], key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    *blake3::keyed_hash(&hash(context, network, &[key]), &parts.concat()).as_bytes()
}

fn stream(key: [u8; 32], text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    ChaCha20::new(&key.into(), &[0; 12].into()).apply_keystream(&mut text);
    text
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|at| a[at] ^ b[at])
}

struct Body<'a> {
    iv: [u8; 32],
    wrap: Option<(u8, [u8; 32])>,
    ciphertext: &'a [u8],
}

fn split(kind: Sealed, body: &[u8]) -> Result<Body<'_>, Closed> {
    let read = || {
        let mut reader = Reader::plain(body);
        let iv = reader.array()?;
        let wrap = match kind {
            Sealed::GrantRequest => None,
            Sealed::Payment | Sealed::Refund => Some((reader.u8()?, reader.array()?)),
        };
        Ok(Body { iv, wrap, ciphertext: reader.rest() })
    };
    read().map_err(|_: Refused| Closed::Malformed)
}

/// Opens a body with a content key.
///
/// # Errors
/// Why it does not open.
pub fn open(
    network: &[u8; 32],
    kind: Sealed,
    head: &[u8],
    body: &[u8],
    key: &[u8; 32],
) -> Result<Plaintext, Closed> {
    let body = split(kind, body)?;
    let text = stream(hash("hundi v1 body stream", network, &[key, &body.iv]), body.ciphertext);
    let plaintext = Plaintext::read(kind, &text);
    let payee = plaintext.as_ref().ok().and_then(Plaintext::payee);
    let payee = payee.map_or([0; 34], Author::to_bytes);
    if mac("hundi v1 body iv", network, key, &[head, &payee, &text]) != body.iv {
        return Err(Closed::Commitment);
    }
    plaintext.map_err(Closed::Nothing)
}

/// Opens a body as its payee, with what it shares with the author.
///
/// # Errors
/// Why it does not open.
pub fn open_as_payee(
    network: &[u8; 32],
    kind: Sealed,
    head: &[u8],
    body: &[u8],
    shared: &[u8; 32],
) -> Result<Plaintext, Closed> {
    let parts = split(kind, body)?;
    let (view_tag, wrapped) = parts.wrap.ok_or(Closed::NotForReader)?;
    let derive = |context| hash(context, network, &[shared, head, &parts.iv]);
    if derive("hundi v1 body view tag")[0] != view_tag {
        return Err(Closed::NotForReader);
    }
    open(network, kind, head, body, &xor(&wrapped, &derive("hundi v1 body wrap")))
}

/// Opens a receipt with a content key.
pub fn open_receipt(network: &[u8; 32], receipt: &Receipt, key: &[u8; 32]) -> Option<Statement> {
    let derived = hash("hundi v1 receipt stream", network, &[key, &receipt.iv]);
    let text = stream(derived, &receipt.sealed);
    let bank = receipt.payer_bank.to_le_bytes();
    let parts: [&[u8]; 4] = [&receipt.signer.to_bytes(), &receipt.signer_sealing, &bank, &text];
    let fits = mac("hundi v1 receipt iv", network, key, &parts) == receipt.iv;
    Statement::read(&text).ok().filter(|_| fits)
}

/// The content key that a receipt discloses to the bank that shares `shared` with its signer.
pub fn disclosed(network: &[u8; 32], receipt: &Receipt, shared: &[u8; 32]) -> [u8; 32] {
    let wrap = hash("hundi v1 receipt wrap", network, &[shared, &receipt.iv]);
    xor(&receipt.wrapped_key, &wrap)
}
