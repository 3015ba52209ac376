//! The keys of one session: every short value in it means nothing on another link.

use super::field::P;
use super::symbols::Element;
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
    /// Where a walk over ranges starts: elsewhere in every contact.
    pub(super) start: u64,
}

impl Keys {
    pub(super) fn new(handshake_hash: &[u8; 32]) -> Self {
        let start = blake3::derive_key("hundi v1 sync start", handshake_hash);
        Self {
            initiator: blake3::derive_key("hundi v1 sync initiator", handshake_hash),
            responder: blake3::derive_key("hundi v1 sync responder", handshake_hash),
            short: blake3::derive_key("hundi v1 sync short id", handshake_hash),
            tag: blake3::derive_key("hundi v1 sync tag", handshake_hash),
            start: u64::from_be_bytes(core::array::from_fn(|at| start[at])),
        }
    }

    /// The tag of a subject, in 1..P.
    pub(super) fn subject(&self, subject: &Subject) -> u64 {
        1 + wide(&self.short, &key::subject_bytes(subject)) % (P - 1)
    }

    /// The tag of an author, in 1..P.
    pub(super) fn author(&self, author: &AuthorId) -> u64 {
        1 + wide(&self.short, &author.to_bytes()) % (P - 1)
    }

    /// A subject and its state as symbols sum them.
    pub(super) fn element(&self, subject: &Subject, state: &Hash) -> Element {
        let author = match subject {
            Subject::Author(author) => self.author(author),
            Subject::Bank(_) => self.subject(subject),
        };
        Element { author, state: self.state(state) }
    }

    /// The tag of a state, in 1..2³².
    pub(super) fn state(&self, state: &Hash) -> u32 {
        self.tag(state).max(1)
    }

    pub(super) fn wide_tag(&self, id: &Hash) -> u64 {
        wide(&self.tag, &id.0)
    }

    pub(super) fn tag(&self, id: &Hash) -> u32 {
        (self.wide_tag(id) >> 32) as u32
    }

    /// A short tag over ids.
    pub(super) fn short_tag(&self, ids: &[Hash]) -> u16 {
        let mut hasher = blake3::Hasher::new_keyed(&self.tag);
        for id in ids {
            hasher.update(&id.0);
        }
        let hash = hasher.finalize();
        u16::from_le_bytes(core::array::from_fn(|at| hash.as_bytes()[at]))
    }
}

fn wide(key: &[u8; 32], bytes: &[u8]) -> u64 {
    let hash = blake3::keyed_hash(key, bytes);
    u64::from_le_bytes(core::array::from_fn(|at| hash.as_bytes()[at]))
}
