//! The sections "Digests" and "Sync sessions" of the protocol: what the messages of a session say,
//! and the values that its sides compare. It runs no session.

use crate::hashes::hash;
use crate::read::{Reader, Refused};

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

/// What a key of a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The value of the initiator.
    Initiator,
    /// The value of the responder.
    Responder,
    /// Short ids of authors.
    ShortId,
    /// Tags of hashes.
    Tag,
}

/// The first bytes of what a session makes of `bytes`, under its key for `purpose`: a fingerprint
/// of a sum, a short id of an author, a wide tag of a hash.
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

/// The tag of a hash: the bytes behind the first four of its wide tag.
pub fn tag(handshake_hash: &[u8; 32], of: &[u8; 32]) -> u32 {
    let [_, _, _, _, tag @ ..] = keyed::<8>(handshake_hash, Purpose::Tag, of);
    u32::from_le_bytes(tag)
}

/// Values in one list of a message.
const LIST_MAX: usize = 2048;
/// Bytes of the largest message besides an item, without its tag.
const MESSAGE_BYTES_MAX: usize = 61_440;

/// A message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As the document names them.
pub enum Message {
    Open { force: bool, core: [u8; 6], evidence: [u8; 2] },
    Ranges(Vec<Range>),
    Have { answer: bool, banks: Vec<BankVector>, authors: Vec<AuthorVector> },
    More([u8; 6]),
    Finished([u8; 6]),
    Equal([u8; 4]),
    Item(Vec<u8>),
    Evidence(Vec<[u8; 8]>),
    EvidenceAsk(Vec<[u8; 8]>),
    Cache(Vec<[u8; 8]>),
    CacheAsk(Vec<[u8; 8]>),
    Later,
}

/// A range of short ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// How many nibbles of the prefix count.
    pub depth: u8,
    /// The prefix.
    pub prefix: u64,
    /// What it holds.
    pub content: Content,
}

/// What a range holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The sums of its sixteen children.
    Children(Vec<u64>),
    /// Short ids with wide tags.
    Elements(Vec<(u64, u64)>),
}

/// What a side holds of a bank.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As the document names them.
pub struct BankVector {
    pub bank: u16,
    pub certificates: Vec<(u16, u32)>,
    pub bulletin: Option<(u16, u32, u32)>,
}

/// What a side holds of an author.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As the document names them.
pub struct AuthorVector {
    pub short: [u8; 8],
    pub grants: Vec<(u16, u32)>,
    pub checkpoint: Option<(u16, u32, u32)>,
    pub freeze: Option<u32>,
    pub proven: bool,
    /// Class, sequence number and tag of every entry in the runs.
    pub entries: Vec<(u8, u32, u32)>,
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
            10..=15 => return Ok(Self::Later),
            _ if rest.len() > MESSAGE_BYTES_MAX => return Err(Refused::Length),
            _ => {}
        }
        let mut reader = Reader::plain(rest);
        let message = match kind {
            1 => Self::Open {
                force: reader.u8()? & 1 == 1,
                core: reader.array()?,
                evidence: reader.array()?,
            },
            2 => Self::Ranges(reader.list(LIST_MAX, Range::read)?),
            3 => Self::Have {
                answer: flag(&mut reader)?,
                banks: reader.list(LIST_MAX, BankVector::read)?,
                authors: reader.list(LIST_MAX, AuthorVector::read)?,
            },
            4 => match reader.choice(&[0, 1, 2])? {
                0 => Self::More(reader.array()?),
                1 => Self::Finished(reader.array()?),
                _ => Self::Equal(reader.array()?),
            },
            6 => Self::Evidence(reader.list(LIST_MAX, Reader::array)?),
            7 => Self::EvidenceAsk(reader.list(LIST_MAX, Reader::array)?),
            8 => Self::Cache(reader.list(LIST_MAX, Reader::array)?),
            9 => Self::CacheAsk(reader.list(LIST_MAX, Reader::array)?),
            _ => return Err(Refused::Tag),
        };
        reader.end()?;
        Ok(message)
    }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Refused> {
    Ok(reader.choice(&[0, 1])? == 1)
}

fn wide(reader: &mut Reader<'_>) -> Result<u64, Refused> {
    Ok(u64::from_le_bytes(reader.array()?))
}

fn versioned(reader: &mut Reader<'_>) -> Result<(u16, u32, u32), Refused> {
    Ok((reader.u16()?, reader.u32()?, reader.u32()?))
}

impl Range {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let (depth, prefix) = (reader.u8()?, wide(reader)?);
        let content = match reader.choice(&[0, 1])? {
            0 => Content::Children((0..16).map(|_| wide(reader)).collect::<Result<_, _>>()?),
            _ => Content::Elements(reader.list(64, |one| Ok((wide(one)?, wide(one)?)))?),
        };
        Ok(Self { depth, prefix, content })
    }
}

impl BankVector {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        Ok(Self {
            bank: reader.u16()?,
            certificates: reader.list(16, |one| Ok((one.u16()?, one.u32()?)))?,
            bulletin: reader.option(versioned)?,
        })
    }
}

impl AuthorVector {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let mut vector = Self {
            short: reader.array()?,
            grants: reader.list(17, |one| Ok((one.u16()?, one.u32()?)))?,
            checkpoint: reader.option(versioned)?,
            freeze: reader.option(Reader::u32)?,
            proven: flag(reader)?,
            entries: Vec::new(),
        };
        for run in reader.list(64, run)? {
            vector.entries.extend(run);
        }
        Ok(vector)
    }
}

/// The entries that one run tells; a number without a tag, and a tag without a number, tell none.
fn run(reader: &mut Reader<'_>) -> Result<Vec<(u8, u32, u32)>, Refused> {
    let class = reader.choice(&[0, 1])?;
    let (base, bitmap) = (reader.u32()?, wide(reader)?);
    let tags = reader.list(64, Reader::u32)?;
    let held = (0..64u32).filter(|at| bitmap >> at & 1 == 1);
    let sequences = held.map(|at| base.saturating_add(at));
    Ok(sequences.zip(tags).map(|(sequence, tag)| (class, sequence, tag)).collect())
}
