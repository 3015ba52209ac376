//! The engine's own messages on a link, beside those of a sync session (tags 1 to 15): an offer,
//! an answer to one, and the proof of a key.

use crate::limits::MESSAGE_BYTES_MAX;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::codec::{self, DecodeError, List};
use hundi_ledger::id::{AuthorId, Hash, Signature};
use hundi_ledger::limits::ITEM_BYTES_MAX;
use hundi_ledger::offer::Offer;
use hundi_ledger::verdict::payee::NotNow;

const TAG_OFFER: u8 = 16;
const TAG_REPLY: u8 = 17;
const TAG_PROVE: u8 = 18;

/// The tag of a session's opening message.
pub(crate) const TAG_SYNC_OPEN: u8 = 1;
/// The tag of one with which more is said.
pub(crate) const TAG_SYNC_OPEN_MORE: u8 = 2;
/// The last tag of a session's messages.
pub(crate) const TAG_SYNC_LAST: u8 = 15;

/// What a payee answers to an offer.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Reply {
    /// Its final verdict: a receipt, as an encoded item.
    Receipt(List<u8, ITEM_BYTES_MAX>),
    /// No verdict yet.
    NotNow { entry: Hash, reason: NotNow },
}

/// That the sender holds the key of an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Prove {
    pub(crate) author: AuthorId,
    pub(crate) signature: Signature,
}

#[allow(clippy::large_enum_variant)] // Short-lived.
pub(crate) enum Message {
    Offer(Offer),
    Reply(Reply),
    Prove(Prove),
}

impl Message {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (tag, rest) = bytes.split_first().ok_or(DecodeError::NotCanonical)?;
        Ok(match *tag {
            TAG_OFFER => Message::Offer(Offer::decode(rest)?),
            TAG_REPLY => Message::Reply(codec::decode(rest, MESSAGE_BYTES_MAX)?),
            TAG_PROVE => Message::Prove(codec::decode(rest, MESSAGE_BYTES_MAX)?),
            other => return Err(DecodeError::Tag(other)),
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let (tag, rest) = match self {
            Message::Offer(offer) => (TAG_OFFER, offer.encode()),
            Message::Reply(reply) => (TAG_REPLY, codec::encode(reply)),
            Message::Prove(prove) => (TAG_PROVE, codec::encode(prove)),
        };
        let mut bytes = alloc::vec![tag];
        bytes.extend_from_slice(&rest);
        bytes
    }
}
