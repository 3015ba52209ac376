//! The section "Hashes" of the protocol.

/// The hash of `parts` in `context`, in the network with that id.
pub fn hash(context: &str, network: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let input = [&[&network[..]], parts].concat().concat();
    blake3::derive_key(context, &input)
}

/// The network id of a definition's bytes.
pub fn network_id(definition: &[u8]) -> [u8; 32] {
    blake3::derive_key("hundi v1 network", definition)
}

/// The hash of a body as sent.
pub fn body_hash(network: &[u8; 32], body: &[u8]) -> [u8; 32] {
    hash("hundi v1 entry body", network, &[body])
}

/// The digest of freezes, given by their ids in any order.
pub fn freezes_digest(network: &[u8; 32], ids: &[[u8; 32]]) -> [u8; 32] {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    hash("hundi v1 freezes digest", network, &[&ids.concat()])
}

/// The tag by which a checkpoint with `salt` names the entry of that id.
pub fn checkpoint_tag(salt: &[u8; 16], id: &[u8; 32]) -> [u8; 16] {
    let whole = blake3::derive_key("hundi v1 checkpoint name", &[&salt[..], id].concat());
    let mut tag = [0; 16];
    tag.copy_from_slice(&whole[..16]);
    tag
}
