//! The keys of one session: every short value in it means nothing on another link.

use crate::id::{AuthorId, Hash};
use crate::record::item::Subject;
use crate::replica::key;

/// The keys of one session, from the link's handshake hash.
pub(super) struct Keys {
    /// One key for each side, so that neither can answer with what it has just heard.
    pub(super) initiator: [u8; 32],
    pub(super) responder: [u8; 32],
    short: [u8; 32],
    tag: [u8; 32],
}

impl Keys {
    pub(super) fn new(handshake_hash: &[u8; 32]) -> Self {
        Self {
            initiator: blake3::derive_key("hundi v1 sync initiator", handshake_hash),
            responder: blake3::derive_key("hundi v1 sync responder", handshake_hash),
            short: blake3::derive_key("hundi v1 sync short id", handshake_hash),
            tag: blake3::derive_key("hundi v1 sync tag", handshake_hash),
        }
    }

    pub(super) fn short(&self, author: &AuthorId) -> u64 {
        wide(&self.short, &key::subject_bytes(&Subject::Author(*author)))
    }

    pub(super) fn wide_tag(&self, id: &Hash) -> u64 {
        wide(&self.tag, &id.0)
    }

    pub(super) fn tag(&self, id: &Hash) -> u32 {
        (self.wide_tag(id) >> 32) as u32
    }
}

fn wide(key: &[u8; 32], bytes: &[u8]) -> u64 {
    let hash = blake3::keyed_hash(key, bytes);
    u64::from_le_bytes(core::array::from_fn(|at| hash.as_bytes()[at]))
}
