//! Sealing of a receipt's statement to the payer and the payer's bank.
//!
//! The payer reads it with the content key of its own entry; the bank unwraps that key, which is
//! the disclosure, with the secret that it shares with the payee. The IV commits to content key
//! and statement, and the payee's signature covers the IV.

use super::{ContentKey, Shared, derive, keyed_hash, xor};
use crate::codec;
use crate::id::{AuthorId, BankNumber, Hash, NetworkId, SealingKey};
use crate::record::VERSION;
use crate::record::receipt::{Receipt, STATEMENT_BYTES, Statement};
use zeroize::Zeroizing;

const IV_CONTEXT: &str = "hundi v1 receipt iv";
const STREAM_CONTEXT: &str = "hundi v1 receipt stream";
const WRAP_CONTEXT: &str = "hundi v1 receipt wrap";

/// The payee that makes receipts.
#[derive(Clone, Copy, Debug)]
pub struct Signer {
    /// Its identity.
    pub author: AuthorId,
    /// Its X25519 key.
    pub sealing: SealingKey,
}

/// Drafts the receipt that carries `statement` about an entry that the payee read with `key`, for
/// the payer's bank with which the payee shares `bank`.
pub fn seal(
    network: &NetworkId,
    signer: &Signer,
    payer_bank: BankNumber,
    bank: &Shared,
    key: &ContentKey,
    statement: &Statement,
) -> Receipt {
    let text = encode(statement);
    let iv = commitment(network, signer, payer_bank, key, &text);
    let wrap = Zeroizing::new(derive(WRAP_CONTEXT, network, &[&bank.0, &iv.0]));
    Receipt {
        version: VERSION,
        signer: signer.author,
        signer_sealing: signer.sealing,
        payer_bank,
        iv,
        wrapped_key: xor(&key.0, &wrap),
        sealed: apply_stream(network, key, &iv, text),
    }
}

/// What a receipt states, read with the content key of the entry it is about; none when the key
/// does not fit, which only means that the receipt is about another entry.
pub fn open(network: &NetworkId, receipt: &Receipt, key: &ContentKey) -> Option<Statement> {
    let signer = Signer { author: receipt.signer, sealing: receipt.signer_sealing };
    let text = apply_stream(network, key, &receipt.iv, receipt.sealed);
    if commitment(network, &signer, receipt.payer_bank, key, &text) != receipt.iv {
        return None;
    }
    codec::decode(&text, STATEMENT_BYTES).ok()
}

/// What a receipt states and the content key that it discloses, read by the payer's bank, which
/// shares `shared` with the signer; none when the receipt was not sealed to that key of the bank.
pub fn open_as_bank(
    network: &NetworkId,
    receipt: &Receipt,
    shared: &Shared,
) -> Option<(Statement, ContentKey)> {
    let wrap = Zeroizing::new(derive(WRAP_CONTEXT, network, &[&shared.0, &receipt.iv.0]));
    let key = ContentKey(xor(&receipt.wrapped_key, &wrap));
    open(network, receipt, &key).map(|statement| (statement, key))
}

fn encode(statement: &Statement) -> [u8; STATEMENT_BYTES] {
    let mut text = [0; STATEMENT_BYTES];
    text.copy_from_slice(&codec::encode(statement));
    text
}

fn commitment(
    network: &NetworkId,
    signer: &Signer,
    payer_bank: BankNumber,
    key: &ContentKey,
    text: &[u8; STATEMENT_BYTES],
) -> Hash {
    let parts: [&[u8]; 4] =
        [&signer.author.to_bytes(), &signer.sealing.0, &payer_bank.0.to_le_bytes(), text];
    keyed_hash(IV_CONTEXT, network, &key.0, &parts)
}

fn apply_stream(
    network: &NetworkId,
    key: &ContentKey,
    iv: &Hash,
    mut text: [u8; STATEMENT_BYTES],
) -> [u8; STATEMENT_BYTES] {
    use chacha20::cipher::{KeyIvInit, StreamCipher};
    let stream = Zeroizing::new(derive(STREAM_CONTEXT, network, &[&key.0, &iv.0]));
    chacha20::ChaCha20::new((&*stream).into(), &[0; 12].into()).apply_keystream(&mut text);
    text
}
