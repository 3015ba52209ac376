//! The sections "Digests" and "Sync sessions" of the protocol: what the messages of a session say,
//! and the values that its sides compare. It runs no session. [`symbols`] sums up sets and finds
//! what differs, [`vector`] reads what is said of authors and banks.

pub mod symbols;
pub mod vector;

use crate::hashes::hash;
use crate::read::{Reader, Refused};
use symbols::{P, Pair, SKETCH_BYTES, SYMBOLS_MAX, Symbol};
use vector::{BankVector, Vector, Want};

/// The sum of a set of elements, 2,048 bytes.
pub fn sum(elements: &[[u8; 32]]) -> Vec<u8> {
    let mut lanes = [0u16; 1024];
    for element in elements {
        let mut hasher = blake3::Hasher::new_derive_key("hundi v1 accumulator lane");
        let mut bytes = [0; 2048];
        hasher.update(element).finalize_xof().fill(&mut bytes);
        for (lane, two) in lanes.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = lane.wrapping_add(u16::from_le_bytes(*two));
        }
    }
    lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()
}

/// The digest of a core from the sum of its elements.
pub fn digest(network: &[u8; 32], sum: &[u8]) -> [u8; 32] {
    hash("hundi v1 accumulator digest", network, &[sum])
}

/// The position of an author, by its 34 bytes.
pub fn position(network: &[u8; 32], author: &[u8; 34]) -> u64 {
    let key = blake3::derive_key("hundi v1 position", network);
    let hash = blake3::keyed_hash(&key, author);
    hash.as_bytes().iter().take(8).fold(0, |position, byte| position << 8 | u64::from(*byte))
}

/// What a key of a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The value of the initiator.
    Initiator,
    /// The value of the responder.
    Responder,
    /// Author tags.
    ShortId,
    /// Tags of hashes.
    Tag,
}

/// The first bytes of what a session makes of `bytes`, under its key for `purpose`: a fingerprint
/// of a sum, a wide tag of a hash.
pub fn keyed<const N: usize>(handshake_hash: &[u8; 32], purpose: Purpose, bytes: &[u8]) -> [u8; N] {
    let context = match purpose {
        Purpose::Initiator => "hundi v1 sync initiator",
        Purpose::Responder => "hundi v1 sync responder",
        Purpose::ShortId => "hundi v1 sync short id",
        Purpose::Tag => "hundi v1 sync tag",
    };
    let key = blake3::derive_key(context, handshake_hash);
    let mut first = [0; N];
    blake3::Hasher::new_keyed(&key).update(bytes).finalize_xof().fill(&mut first);
    first
}

/// The wide tag of a hash.
pub fn wide_tag(handshake_hash: &[u8; 32], of: &[u8; 32]) -> u64 {
    u64::from_le_bytes(keyed(handshake_hash, Purpose::Tag, of))
}

/// The tag of a hash: the bytes behind the first four of its wide tag.
pub fn tag(handshake_hash: &[u8; 32], of: &[u8; 32]) -> u32 {
    let [_, _, _, _, tag @ ..] = keyed::<8>(handshake_hash, Purpose::Tag, of);
    u32::from_le_bytes(tag)
}

/// The short tag of ids.
pub fn short_tag(handshake_hash: &[u8; 32], ids: &[[u8; 32]]) -> u16 {
    u16::from_le_bytes(keyed(handshake_hash, Purpose::Tag, ids.as_flattened()))
}

/// The author tag of a subject: of an author by its 34 bytes, of a bank by its number's 2.
pub fn author_tag(handshake_hash: &[u8; 32], subject: &[u8]) -> u64 {
    1 + u64::from_le_bytes(keyed(handshake_hash, Purpose::ShortId, subject)) % (P - 1)
}

/// A subject and its element as symbols sum them up.
pub fn pair(handshake_hash: &[u8; 32], subject: &[u8], element: &[u8; 32]) -> Pair {
    (author_tag(handshake_hash, subject), tag(handshake_hash, element).max(1))
}

/// Values in one list of a message.
const LIST_MAX: usize = 2048;
/// Bytes of the largest message besides an item, without its tag.
const MESSAGE_BYTES_MAX: usize = 61_440;
/// Elements that a range may list.
const ELEMENTS_MAX: u8 = 64;
/// Positions of own authors beside a sketch.
const OWN_MAX: usize = 4;

/// A message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As the document names them.
pub enum Message {
    Open { core: [u8; 6], head: [u8; 2] },
    OpenMore { force: bool, core: [u8; 6], head: [u8; 2] },
    Have { range: Range, vectors: Vec<Vector> },
    More,
    Busy,
    Finished([u8; 6]),
    Item(Vec<u8>),
    Symbols { stream: Stream, start: u16, symbols: Vec<Symbol> },
    Ask { stream: Stream, next: u16, sketch: Option<Sketch> },
    Cache(Vec<u64>),
    CacheAsk(Vec<u64>),
    Wants(Vec<Want>),
    Ranges(Vec<(Range, Content)>),
    Banks { answer: bool, banks: Vec<BankVector> },
    HeadAsk(Vec<u64>),
    Scope(Range),
    Equal([u8; 2]),
}

/// A range of positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// How many bits its positions share.
    pub bits: u8,
    /// Its first position.
    pub first: u64,
}

/// What symbols are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Banks and evidence.
    Head,
    /// The core of the authors in a range.
    Core(Range),
}

/// A sketch, and the places that come with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// Its cells.
    pub cells: Vec<u8>,
    /// The highest 16 bits of positions of own authors.
    pub own: Vec<u16>,
}

/// What a range holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The sums of its sixteen children.
    Children(Vec<u64>),
    /// Author tags and state tags.
    Elements(Vec<Pair>),
}

impl Message {
    /// Reads a message with its tag.
    ///
    /// # Errors
    /// When the bytes are not one of the table.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let (kind, rest) = bytes.split_first().ok_or(Refused::Canonical)?;
        match kind {
            5 => return Ok(Self::Item(rest.to_vec())),
            _ if rest.len() > MESSAGE_BYTES_MAX => return Err(Refused::Length),
            _ => {}
        }
        let mut reader = Reader::plain(rest);
        let message = Self::of_kind(*kind, &mut reader)?;
        reader.end()?;
        Ok(message)
    }

    fn of_kind(kind: u8, reader: &mut Reader<'_>) -> Result<Self, Refused> {
        Ok(match kind {
            1 => Self::Open { core: reader.array()?, head: reader.array()? },
            2 => Self::OpenMore {
                force: reader.u8()? & 1 == 1,
                core: reader.array()?,
                head: reader.array()?,
            },
            3 => {
                Self::Have { range: Range::read(reader)?, vectors: reader.repeated(Vector::read)? }
            }
            4 => match reader.choice(&[0, 1, 2])? {
                0 => Self::More,
                1 => Self::Busy,
                _ => Self::Finished(reader.array()?),
            },
            6 => Self::symbols(reader)?,
            7 => Self::ask(reader)?,
            8 => Self::Cache(reader.list(LIST_MAX, Reader::u64)?),
            9 => Self::CacheAsk(reader.list(LIST_MAX, Reader::u64)?),
            10 => Self::Wants(reader.repeated(Want::read)?),
            11 => Self::Ranges(reader.repeated(|one| {
                let range = Range::read(one)?;
                Ok((range, content(range.bits, one)?))
            })?),
            12 => Self::Banks {
                answer: reader.choice(&[0, 1])? == 1,
                banks: reader.list(LIST_MAX, BankVector::read)?,
            },
            13 => Self::HeadAsk(reader.repeated(vector::author_tag)?),
            14 => Self::Scope(Range::read(reader)?),
            15 => Self::Equal(reader.array()?),
            _ => return Err(Refused::Tag),
        })
    }

    fn symbols(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let (stream, start) = (Stream::read(reader)?, reader.u16()?);
        let symbols = reader.repeated(Symbol::read)?;
        if symbols.is_empty() || usize::from(start) + symbols.len() > SYMBOLS_MAX {
            return Err(Refused::Canonical);
        }
        Ok(Self::Symbols { stream, start, symbols })
    }

    fn ask(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let (stream, next) = (Stream::read(reader)?, reader.u16()?);
        if reader.is_empty() {
            return Ok(Self::Ask { stream, next, sketch: None });
        }
        let cells = reader.take(SKETCH_BYTES)?.to_vec();
        let own = reader.repeated(|one| Ok(u16::from_be_bytes(one.array()?)))?;
        if own.len() > OWN_MAX {
            return Err(Refused::Canonical);
        }
        Ok(Self::Ask { stream, next, sketch: Some(Sketch { cells, own }) })
    }
}

impl Range {
    /// Whether a position lies in it.
    pub fn contains(&self, position: u64) -> bool {
        self.bits == 0 || (position ^ self.first) >> (64 - u32::from(self.bits)) == 0
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let bits = reader.u8()?;
        Self::of_bits(bits, reader)
    }

    fn of_bits(bits: u8, reader: &mut Reader<'_>) -> Result<Self, Refused> {
        if bits > 64 {
            return Err(Refused::Canonical);
        }
        let mut prefix = [0; 8];
        let length = usize::from(bits).div_ceil(8);
        prefix[..length].copy_from_slice(reader.take(length)?);
        let first = u64::from_be_bytes(prefix);
        let clear = bits == 64 || first << bits == 0;
        if clear { Ok(Self { bits, first }) } else { Err(Refused::Canonical) }
    }
}

impl Stream {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        match reader.u8()? {
            0xff => Ok(Self::Head),
            bits => Range::of_bits(bits, reader).map(Self::Core),
        }
    }
}

fn content(bits: u8, reader: &mut Reader<'_>) -> Result<Content, Refused> {
    let count = match reader.u8()? {
        0xff if bits <= 60 => {
            let sums = (0..16).map(|_| reader.u64()).collect::<Result<_, _>>()?;
            return Ok(Content::Children(sums));
        }
        count if count <= ELEMENTS_MAX => count,
        _ => return Err(Refused::Canonical),
    };
    let one = |_| Ok((vector::author_tag(reader)?, reader.u32()?));
    let elements: Vec<Pair> = (0..count).map(one).collect::<Result<_, _>>()?;
    let ascend = elements.iter().zip(elements.iter().skip(1)).all(|(a, b)| a.0 < b.0);
    if ascend { Ok(Content::Elements(elements)) } else { Err(Refused::Canonical) }
}
