//! The messages of a sync session to the byte. Every message starts with its tag; tags 1 to 15 are
//! the session's, others belong to whoever drives it.

use super::Out;
use super::sketch::{SKETCH_BYTES, Sketch};
use super::symbols::{STREAM_SYMBOLS_MAX, Symbol};
use super::vector::{Vector, Want};
use super::wire::{Reader, put_author, put_range};
use crate::codec::{self, DecodeError, List};
use crate::id::BankNumber;
use crate::limits::CERTIFICATES_PER_BANK_MAX;
use crate::replica::range::Range;
use alloc::boxed::Box;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// Bytes of the largest session message besides an item.
pub const MESSAGE_BYTES_MAX: usize = 60 * 1024;
/// Children of one range.
pub(super) const FAN_OUT: usize = 16;
/// Bits that a child has more than its range.
pub(super) const FAN_BITS: u8 = 4;
/// Elements that a range lists instead of splitting further.
pub(super) const LIST_MAX: usize = 16;
/// The most elements a listed range may have.
pub(super) const LIST_ACCEPTED_MAX: usize = 64;
/// Values inside one message; beside the byte limit this bounds the work of one message.
pub(super) const PER_MESSAGE_MAX: usize = 2048;
/// Ranges of own authors that one message names at most.
pub(super) const OWN_NAMED_MAX: usize = 4;

/// The tag of a message that carries one item; also valid outside a session.
pub const TAG_ITEM: u8 = 5;

/// The two salted values that begin a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) core: [u8; 6],
    /// Two bytes are enough: where they are equal by chance, evidence goes with its author.
    pub(super) head: [u8; 2],
}

/// Flag of an opening: reconcile even if the values are equal.
pub(super) const OPEN_FORCE: u8 = 1;

/// What is reconciled by symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    /// Banks, and the evidence against authors.
    Head,
    /// The core of the authors in a range.
    Core(Range),
}

/// The bits of a range that say that the head is meant.
const HEAD: u8 = 0xff;

/// A range of positions, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) range: Range,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The fingerprint of each child range.
    Children([u64; FAN_OUT]),
    /// Every element of the range: author tag and state, ascending by tag.
    Elements(Vec<(u64, u32)>),
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

/// What both sides hold of banks that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Banks {
    /// Whether this answers vectors of the other side: then it is not answered again.
    pub(super) answer: bool,
    pub(super) banks: List<BankVector, PER_MESSAGE_MAX>,
}

/// How a turn ends. The values are those of the side that speaks, keyed for it, so that neither
/// side can answer with the value it has just heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Turn {
    /// The other side's turn.
    More,
    /// As `More`; the sender still has much to send and wants no more symbols for now.
    Busy,
    /// Nothing was said and nothing is left to say.
    Finished([u8; 6]),
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Tag 1: the opening, and nothing else in this turn.
    Open(Values),
    /// Tag 2: the opening with flags; more follows up to the end of the turn.
    OpenMore(u8, Values),
    /// Tag 3: vectors of authors that differ, all from one range.
    Have(Range, Vec<Vector>),
    /// Tag 4.
    Turn(Turn),
    /// Tag 5.
    Item(Vec<u8>),
    /// Tag 6: symbols of a stream, from the one with that number on.
    Symbols(Stream, u16, Vec<Symbol>),
    /// Tag 7: so many symbols of a stream did not tell what differs.
    More(Stream, u16, Option<Box<Estimate>>),
    /// Tag 8: tags of cached items that the sender offers.
    Cache(List<u64, PER_MESSAGE_MAX>),
    /// Tag 9: tags of offered items that the sender wants.
    CacheAsk(List<u64, PER_MESSAGE_MAX>),
    /// Tag 10: answers to vectors.
    Wants(Vec<Want>),
    /// Tag 11.
    Ranges(Vec<Bucket>),
    /// Tag 12.
    Banks(Banks),
    /// Tag 13: tags of evidence that the sender lacks.
    HeadAsk(Vec<u64>),
    /// Tag 14: the range of which the sender keeps the core.
    Scope(Range),
    /// Tag 15, the answer to an opening whose value is the responder's own: nothing to reconcile.
    Equal([u8; 2]),
}

/// What helps to cut a large difference into ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) sketch: Sketch,
    /// The highest 16 bits of the positions of own authors: their ranges go first.
    pub(super) own: Vec<u16>,
}

impl Message {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (tag, rest) = bytes.split_first().ok_or(DecodeError::NotCanonical)?;
        let max = MESSAGE_BYTES_MAX;
        if *tag != TAG_ITEM && rest.len() > max {
            return Err(DecodeError::TooLong);
        }
        let mut reader = Reader(rest);
        Ok(match tag {
            1 => Message::Open(take_values(reader)?),
            2 => Message::OpenMore(reader.u8()?, take_values(reader)?),
            3 => Message::Have(reader.range()?, reader.rest(Vector::take)?),
            4 => Message::Turn(codec::decode(rest, max)?),
            &TAG_ITEM => Message::Item(rest.to_vec()),
            6 => take_symbols(reader)?,
            7 => take_more(reader)?,
            8 => Message::Cache(codec::decode(rest, max)?),
            9 => Message::CacheAsk(codec::decode(rest, max)?),
            10 => Message::Wants(reader.rest(Want::take)?),
            11 => Message::Ranges(reader.rest(take_bucket)?),
            12 => Message::Banks(codec::decode(rest, max)?),
            13 => Message::HeadAsk(reader.rest(Reader::author)?),
            14 => take_scope(reader)?,
            15 => take_equal(reader)?,
            other => return Err(DecodeError::Tag(*other)),
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = alloc::vec![self.tag()];
        match self {
            Message::Open(values) => put_values(values, &mut bytes),
            Message::OpenMore(flags, values) => {
                bytes.push(*flags);
                put_values(values, &mut bytes);
            }
            Message::Have(range, vectors) => {
                put_range(range, &mut bytes);
                vectors.iter().for_each(|vector| vector.put(&mut bytes));
            }
            Message::Turn(turn) => bytes.extend(codec::encode(turn)),
            Message::Item(item) => bytes.extend_from_slice(item),
            Message::Symbols(stream, start, symbols) => {
                put_stream(stream, &mut bytes);
                bytes.extend_from_slice(&start.to_le_bytes());
                symbols.iter().for_each(|symbol| bytes.extend_from_slice(&symbol.to_bytes()));
            }
            Message::More(stream, next, estimate) => {
                put_stream(stream, &mut bytes);
                bytes.extend_from_slice(&next.to_le_bytes());
                if let Some(estimate) = estimate {
                    let Estimate { sketch, own } = &**estimate;
                    bytes.extend_from_slice(sketch);
                    own.iter().for_each(|place| bytes.extend_from_slice(&place.to_be_bytes()));
                }
            }
            Message::Cache(tags) | Message::CacheAsk(tags) => bytes.extend(codec::encode(tags)),
            Message::Wants(wants) => wants.iter().for_each(|want| want.put(&mut bytes)),
            Message::Ranges(buckets) => {
                buckets.iter().for_each(|bucket| put_bucket(bucket, &mut bytes));
            }
            Message::Banks(banks) => bytes.extend(codec::encode(banks)),
            Message::HeadAsk(tags) => tags.iter().for_each(|tag| put_author(*tag, &mut bytes)),
            Message::Scope(range) => put_range(range, &mut bytes),
            Message::Equal(value) => bytes.extend_from_slice(value),
        }
        bytes
    }

    fn tag(&self) -> u8 {
        match self {
            Message::Open(_) => 1,
            Message::OpenMore(..) => 2,
            Message::Have(..) => 3,
            Message::Turn(_) => 4,
            Message::Item(_) => TAG_ITEM,
            Message::Symbols(..) => 6,
            Message::More(..) => 7,
            Message::Cache(_) => 8,
            Message::CacheAsk(_) => 9,
            Message::Wants(_) => 10,
            Message::Ranges(_) => 11,
            Message::Banks(_) => 12,
            Message::HeadAsk(_) => 13,
            Message::Scope(_) => 14,
            Message::Equal(_) => 15,
        }
    }
}

fn put_values(values: &Values, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&values.core);
    bytes.extend_from_slice(&values.head);
}

fn take_values(mut reader: Reader<'_>) -> Result<Values, DecodeError> {
    let values = Values { core: reader.array()?, head: reader.array()? };
    reader.end(values)
}

fn take_equal(mut reader: Reader<'_>) -> Result<Message, DecodeError> {
    let value = reader.array()?;
    reader.end(Message::Equal(value))
}

fn put_stream(stream: &Stream, bytes: &mut Vec<u8>) {
    match stream {
        Stream::Head => bytes.push(HEAD),
        Stream::Core(range) => put_range(range, bytes),
    }
}

fn take_stream(reader: &mut Reader<'_>) -> Result<Stream, DecodeError> {
    match reader.u8()? {
        HEAD => Ok(Stream::Head),
        bits => reader.range_of(bits).map(Stream::Core),
    }
}

fn take_symbols(mut reader: Reader<'_>) -> Result<Message, DecodeError> {
    let (stream, start) = (take_stream(&mut reader)?, reader.u16()?);
    let symbols = reader.rest(Reader::symbol)?;
    if symbols.is_empty() || usize::from(start) + symbols.len() > STREAM_SYMBOLS_MAX {
        return Err(DecodeError::NotCanonical);
    }
    Ok(Message::Symbols(stream, start, symbols))
}

fn take_more(mut reader: Reader<'_>) -> Result<Message, DecodeError> {
    let (stream, next) = (take_stream(&mut reader)?, reader.u16()?);
    if reader.is_empty() {
        return Ok(Message::More(stream, next, None));
    }
    let sketch: [u8; SKETCH_BYTES] = reader.array()?;
    let own = reader.rest(|reader| reader.array().map(u16::from_be_bytes))?;
    if own.len() > OWN_NAMED_MAX {
        return Err(DecodeError::NotCanonical);
    }
    Ok(Message::More(stream, next, Some(Box::new(Estimate { sketch, own }))))
}

fn take_scope(mut reader: Reader<'_>) -> Result<Message, DecodeError> {
    let range = reader.range()?;
    reader.end(Message::Scope(range))
}

fn put_bucket(bucket: &Bucket, bytes: &mut Vec<u8>) {
    put_range(&bucket.range, bytes);
    match &bucket.content {
        Content::Children(sums) => {
            bytes.push(0xff);
            sums.iter().for_each(|sum| bytes.extend_from_slice(&sum.to_le_bytes()));
        }
        Content::Elements(elements) => {
            bytes.push(elements.len() as u8);
            for (author, state) in elements {
                put_author(*author, bytes);
                bytes.extend_from_slice(&state.to_le_bytes());
            }
        }
    }
}

fn take_bucket(reader: &mut Reader<'_>) -> Result<Bucket, DecodeError> {
    let range = reader.range()?;
    let content = match reader.u8()? {
        0xff if range.bits() <= 64 - FAN_BITS => {
            let mut sums = [0; FAN_OUT];
            for sum in &mut sums {
                *sum = reader.u64()?;
            }
            Content::Children(sums)
        }
        count if usize::from(count) <= LIST_ACCEPTED_MAX => {
            let one = |_| Ok((reader.author()?, reader.u32()?));
            let elements: Vec<(u64, u32)> = (0..count).map(one).collect::<Result<_, _>>()?;
            if elements.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
                return Err(DecodeError::NotCanonical);
            }
            Content::Elements(elements)
        }
        _ => return Err(DecodeError::NotCanonical),
    };
    Ok(Bucket { range, content })
}

/// Sends values in as many messages as they need, each of about `bytes_max` bytes at most.
pub(super) fn in_messages<T>(
    values: impl IntoIterator<Item = T>,
    bytes_max: usize,
    bytes_of: impl Fn(&T) -> usize,
    outs: &mut Vec<Out>,
    message: impl Fn(Vec<T>) -> Message,
) {
    let (mut pending, mut bytes) = (Vec::new(), 0);
    for value in values {
        let more = bytes_of(&value);
        if !pending.is_empty() && (bytes + more > bytes_max || pending.len() >= PER_MESSAGE_MAX) {
            outs.push(Out::Send(message(core::mem::take(&mut pending)).encode()));
            bytes = 0;
        }
        bytes += more;
        pending.push(value);
    }
    if !pending.is_empty() {
        outs.push(Out::Send(message(pending).encode()));
    }
}
