//! Proving to a peer that this device holds the key of an author, bound to the one link and to
//! the end of it that proves, so that nobody can pass a proof on.

use hundi_ledger::id::{AuthorId, Hash, NetworkId, Signature};
use hundi_ledger::sign::{self, SecretKey};

/// What is signed: a hash in a domain of its own, so that it is no record's id.
fn challenge(
    network: &NetworkId,
    handshake_hash: &[u8; 32],
    initiator: bool,
    author: &AuthorId,
) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("hundi v1 link proof");
    hasher.update(&network.0).update(handshake_hash).update(&[u8::from(initiator)]);
    hasher.update(&author.to_bytes());
    Hash(*hasher.finalize().as_bytes())
}

/// Signs as the end of the link that is (or is not) the initiator.
pub(crate) fn sign(
    network: &NetworkId,
    handshake_hash: &[u8; 32],
    initiator: bool,
    author: &AuthorId,
    key: &SecretKey,
) -> Signature {
    key.sign(&challenge(network, handshake_hash, initiator, author))
}

/// Whether the end of the link that is (or is not) the initiator holds the author's key.
pub(crate) fn holds(
    network: &NetworkId,
    handshake_hash: &[u8; 32],
    initiator: bool,
    author: &AuthorId,
    signature: &Signature,
) -> bool {
    let challenge = challenge(network, handshake_hash, initiator, author);
    sign::verify(&author.key, &challenge, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hundi_ledger::id::BankNumber;

    #[test]
    fn bound_to_link_end_and_author() {
        let key = SecretKey::from_seed(&[1; 32]);
        let author = AuthorId { bank: BankNumber(1), key: key.public() };
        let elsewhere = AuthorId { bank: BankNumber(2), ..author };
        let (network, link) = (NetworkId([2; 32]), [3; 32]);
        let signature = sign(&network, &link, true, &author, &key);
        assert!(holds(&network, &link, true, &author, &signature));
        assert!(!holds(&network, &link, false, &author, &signature), "reflected");
        assert!(!holds(&network, &[4; 32], true, &author, &signature), "another link");
        assert!(!holds(&NetworkId([5; 32]), &link, true, &author, &signature), "another network");
        assert!(!holds(&network, &link, true, &elsewhere, &signature), "another bank");
    }
}
