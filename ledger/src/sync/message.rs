//! The messages of a sync session to the byte. Every message starts with its tag; tags 1 to 15
//! are the session's, others belong to whoever drives it. Unknown tags in the range are skipped,
//! so that another reconciliation can be offered beside the ranges.

use super::Out;
use crate::codec::{self, DecodeError, List};
use crate::id::{BankNumber, Serial};
use crate::limits::{CERTIFICATES_PER_BANK_MAX, GRANTS_PER_AUTHOR_MAX};
use crate::record::entry::Class;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// Bytes of the largest session message besides an item.
pub const MESSAGE_BYTES_MAX: usize = 60 * 1024;
/// Bytes after which a list of buckets or vectors goes on in another message.
pub(super) const MESSAGE_BYTES_FULL: usize = 32 * 1024;
/// Children of one range.
pub(super) const FAN_OUT: usize = 16;
/// Elements that a range lists instead of splitting further.
pub(super) const LIST_MAX: usize = 16;
/// The most elements a listed range may have: what both sides hold of a small range.
pub(super) const LIST_ACCEPTED_MAX: usize = 64;
/// Lists inside one message; beside the byte limit this bounds the work of one message.
pub(super) const PER_MESSAGE_MAX: usize = 2048;

/// The tag of a message that carries one item; also valid outside a session.
pub const TAG_ITEM: u8 = 5;

/// The initiator's first message: 10 bytes with its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Open {
    /// Bit 0: reconcile even if the fingerprints are equal.
    pub(super) flags: u8,
    pub(super) core: [u8; 6],
    /// Two bytes are enough: where they are equal by chance, evidence goes with its author.
    pub(super) evidence: [u8; 2],
}

/// Flag of [`Open`].
pub(super) const OPEN_FORCE: u8 = 1;

/// A range of short ids: those that start with the first `depth` nibbles of `prefix`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Bucket {
    pub(super) depth: u8,
    pub(super) prefix: u64,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Content {
    /// The fingerprint of each child range.
    Children([u64; FAN_OUT]),
    /// Every element of the range: short id and state tag, by ascending id.
    Elements(List<(u64, u64), LIST_ACCEPTED_MAX>),
}

/// What one side holds of a bank.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct BankVector {
    pub(super) bank: BankNumber,
    /// Certificate numbers and short tags of their ids.
    pub(super) certificates: List<(u16, u32), CERTIFICATES_PER_BANK_MAX>,
    /// The bulletin's certificate, epoch and short tag.
    pub(super) bulletin: Option<(u16, u32, u32)>,
}

/// What one side holds of an author, named by the session's short id.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct AuthorVector {
    pub(super) short: u64,
    /// Serials and short tags of grants.
    pub(super) grants: List<(Serial, u32), { GRANTS_PER_AUTHOR_MAX + 1 }>,
    /// The checkpoint's certificate, number and short tag.
    pub(super) checkpoint: Option<(u16, u32, u32)>,
    /// The freeze's short tag.
    pub(super) freeze: Option<u32>,
    pub(super) proven: bool,
    pub(super) runs: List<Run, 64>,
}

/// The core entries of one author and class within 64 sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Run {
    pub(super) class: Class,
    /// The first sequence number.
    pub(super) base: u32,
    /// Which of the 64 numbers from `base` are held; bit 0 is `base`.
    pub(super) bitmap: u64,
    /// The short tags of the entries held, in order.
    pub(super) tags: List<u32, 64>,
}

/// What both sides hold of subjects that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Have {
    /// Whether this answers vectors of the other side: then it is not answered again.
    pub(super) answer: bool,
    pub(super) banks: List<BankVector, PER_MESSAGE_MAX>,
    pub(super) authors: List<AuthorVector, PER_MESSAGE_MAX>,
}

/// How a turn ends. The values are those of the side that speaks, keyed for it, so that neither
/// side can answer with the value it has just heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Turn {
    /// Something was said: the other side's turn.
    More([u8; 6]),
    /// Nothing is left to say.
    Finished([u8; 6]),
    /// The opening value is equal to the responder's own: nothing to reconcile. 6 bytes with tags.
    Equal([u8; 4]),
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Tag 1.
    Open(Open),
    /// Tag 2.
    Ranges(List<Bucket, PER_MESSAGE_MAX>),
    /// Tag 3.
    Have(Have),
    /// Tag 4.
    Turn(Turn),
    /// Tag 5.
    Item(Vec<u8>),
    /// Tag 6: tags of everything frozen or proven that the sender holds.
    Evidence(List<u64, PER_MESSAGE_MAX>),
    /// Tag 7: tags of evidence that the sender lacks.
    EvidenceAsk(List<u64, PER_MESSAGE_MAX>),
    /// Tag 8: tags of cached items that the sender offers.
    Cache(List<u64, PER_MESSAGE_MAX>),
    /// Tag 9: tags of offered items that the sender wants.
    CacheAsk(List<u64, PER_MESSAGE_MAX>),
    /// Tags 10 to 15: left for later; skipped.
    Later,
}

impl Message {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (tag, rest) = bytes.split_first().ok_or(DecodeError::NotCanonical)?;
        let max = MESSAGE_BYTES_MAX;
        Ok(match tag {
            1 => Message::Open(codec::decode(rest, max)?),
            2 => Message::Ranges(codec::decode(rest, max)?),
            3 => Message::Have(codec::decode(rest, max)?),
            4 => Message::Turn(codec::decode(rest, max)?),
            &TAG_ITEM => Message::Item(rest.to_vec()),
            6 => Message::Evidence(codec::decode(rest, max)?),
            7 => Message::EvidenceAsk(codec::decode(rest, max)?),
            8 => Message::Cache(codec::decode(rest, max)?),
            9 => Message::CacheAsk(codec::decode(rest, max)?),
            10..=15 => Message::Later,
            other => return Err(DecodeError::Tag(*other)),
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let (tag, rest) = match self {
            Message::Open(open) => (1, codec::encode(open)),
            Message::Ranges(ranges) => (2, codec::encode(ranges)),
            Message::Have(have) => (3, codec::encode(have)),
            Message::Turn(turn) => (4, codec::encode(turn)),
            Message::Item(item) => (TAG_ITEM, item.clone()),
            Message::Evidence(tags) => (6, codec::encode(tags)),
            Message::EvidenceAsk(tags) => (7, codec::encode(tags)),
            Message::Cache(tags) => (8, codec::encode(tags)),
            Message::CacheAsk(tags) => (9, codec::encode(tags)),
            Message::Later => (15, Vec::new()),
        };
        let mut bytes = alloc::vec![tag];
        bytes.extend_from_slice(&rest);
        bytes
    }
}

/// Sends tags in as many messages as they need.
pub(super) fn send_tags(
    tags: Vec<u64>,
    message: fn(List<u64, PER_MESSAGE_MAX>) -> Message,
    outs: &mut Vec<Out>,
) {
    for chunk in tags.chunks(PER_MESSAGE_MAX) {
        let tags = List::new(chunk.to_vec()).unwrap_or_default();
        outs.push(Out::Send(message(tags).encode()));
    }
}

/// Sends values in as many messages as they need.
pub(super) fn in_messages<T: borsh::BorshSerialize>(
    values: impl Iterator<Item = T>,
    outs: &mut Vec<Out>,
    message: impl Fn(List<T, PER_MESSAGE_MAX>) -> Message,
) {
    let mut flush = |values: &mut Vec<T>| {
        let values = core::mem::take(values);
        if !values.is_empty() {
            let list = List::new(values).unwrap_or_default();
            outs.push(Out::Send(message(list).encode()));
        }
    };
    let (mut pending, mut bytes) = (Vec::new(), 0);
    for value in values {
        bytes += codec::encode(&value).len();
        pending.push(value);
        if bytes >= MESSAGE_BYTES_FULL || pending.len() >= PER_MESSAGE_MAX {
            flush(&mut pending);
            bytes = 0;
        }
    }
    flush(&mut pending);
}
