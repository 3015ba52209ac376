//! The bytes of a segment file: header, frame, record, and the keyed checksums over them
//! (docs/decisions/0001-store-format.md). Pure: knows no files; where the bytes lie is left to `segment.rs`.

use super::limits::{
    FRAME_BODY_BYTES_MAX, KEY_BYTES_MAX, SEGMENTS_MAX, SUBJECT_BYTES_MAX, VALUE_BYTES_MAX,
};

pub(super) const FORMAT: u16 = 1;
const MAGIC: &[u8; 8] = b"hundiseg";
const FRAME_MAGIC: &[u8; 4] = b"hfrm";
/// Header without the list of older segments and the tag.
pub(super) const HEADER_FIXED_BYTES: usize = 64;
const HEADER_TAG_BYTES: usize = 16;
pub(super) const FRAME_OPENING_BYTES: usize = 24;
pub(super) const FRAME_CLOSING_BYTES: usize = 16;
const RECORD_OPENING_BYTES: usize = 7;
const RECORD_TAG_BYTES: usize = 8;

/// The key of one segment's checksums: random, so that no value that a peer chose can pass for a frame.
pub(super) type TagKey = [u8; 32];

fn tag<const N: usize>(key: &TagKey, domain: u8, offset: u64, parts: &[&[u8]]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[domain]);
    hasher.update(&offset.to_le_bytes());
    for part in parts {
        hasher.update(part);
    }
    let mut out = [0; N];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..N]);
    out
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// What a segment says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: u64,
    /// Sequence number of its first batch.
    pub(super) first_sequence: u64,
    pub(super) key: TagKey,
    /// The segments that were in use when this one was created, ascending: what must be there, unless retired since.
    pub(super) older: Vec<u64>,
}

/// Why a header was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Format(u16),
    Damaged,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Header::bytes_for(self.older.len()));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&(self.older.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        out.extend_from_slice(&self.key);
        for id in &self.older {
            out.extend_from_slice(&id.to_le_bytes());
        }
        let tag: [u8; HEADER_TAG_BYTES] = tag(&self.key, b'h', 0, &[&out]);
        out.extend_from_slice(&tag);
        out
    }

    fn bytes_for(older: usize) -> usize {
        HEADER_FIXED_BYTES + older * 8 + HEADER_TAG_BYTES
    }

    /// How many bytes the header has, from its fixed part.
    pub(super) fn length(fixed: &[u8]) -> Result<usize, HeaderError> {
        if fixed.get(..8) != Some(MAGIC) {
            return Err(HeaderError::Damaged);
        }
        let format = u16_at(fixed, 8).ok_or(HeaderError::Damaged)?;
        if format != FORMAT {
            return Err(HeaderError::Format(format));
        }
        let older = u32_at(fixed, 12).ok_or(HeaderError::Damaged)?;
        if older > SEGMENTS_MAX {
            return Err(HeaderError::Damaged);
        }
        Ok(Header::bytes_for(older as usize))
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
        if bytes.len() != Header::length(bytes)? {
            return Err(HeaderError::Damaged);
        }
        let decoded = (|| {
            let header = Header {
                id: u64_at(bytes, 16)?,
                first_sequence: u64_at(bytes, 24)?,
                key: bytes.get(32..64)?.try_into().ok()?,
                older: bytes[HEADER_FIXED_BYTES..bytes.len() - HEADER_TAG_BYTES]
                    .chunks_exact(8)
                    .map(|chunk| u64_at(chunk, 0))
                    .collect::<Option<_>>()?,
            };
            (header.encode() == bytes).then_some(header)
        })();
        decoded.ok_or(HeaderError::Damaged)
    }
}

/// The opening of a frame: one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) body_bytes: usize,
    pub(super) sequence: u64,
}

impl Opening {
    pub(super) fn frame_bytes(self) -> usize {
        FRAME_OPENING_BYTES + self.body_bytes + FRAME_CLOSING_BYTES
    }

    /// Reads the opening at `offset`, if its tag holds.
    pub(super) fn decode(key: &TagKey, offset: u64, bytes: &[u8]) -> Option<Opening> {
        if bytes.get(..4)? != FRAME_MAGIC {
            return None;
        }
        let expected: [u8; 8] = tag(key, b'o', offset, &[bytes.get(..16)?]);
        let body_bytes = u32_at(bytes, 4)? as usize;
        if bytes.get(16..24)? != expected || body_bytes > FRAME_BODY_BYTES_MAX {
            return None;
        }
        Some(Opening { body_bytes, sequence: u64_at(bytes, 8)? })
    }
}

/// Whether the whole frame at `offset` is as it was written: the closing tag is the mark of the commit.
pub(super) fn frame_holds(key: &TagKey, offset: u64, frame: &[u8]) -> bool {
    let Some(split) = frame.len().checked_sub(FRAME_CLOSING_BYTES) else { return false };
    let expected: [u8; FRAME_CLOSING_BYTES] = tag(key, b'c', offset, &[&frame[..split]]);
    frame[split..] == expected
}

/// Where the next frame might start at or after `from` in `bytes`.
pub(super) fn find_frame_magic(bytes: &[u8], from: usize) -> Option<usize> {
    let tail = bytes.get(from..)?;
    tail.windows(FRAME_MAGIC.len()).position(|window| window == FRAME_MAGIC).map(|at| from + at)
}

/// What a record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Put,
    Delete,
    /// The segment named in the value is no longer part of the store.
    Retire,
}

/// One record as it lies in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) subject: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Bytes that a record takes in a segment.
pub(super) fn record_bytes(subject: usize, key: usize, value: usize) -> usize {
    RECORD_OPENING_BYTES + subject + key + value + RECORD_TAG_BYTES
}

impl<'a> Record<'a> {
    pub(super) fn bytes(&self) -> usize {
        record_bytes(self.subject.len(), self.key.len(), self.value.len())
    }

    /// The segment that a `Retire` names.
    pub(super) fn retired(&self) -> Option<u64> {
        (self.kind == Kind::Retire).then(|| u64_at(self.value, 0)).flatten()
    }

    /// Reads the record at the start of `bytes`, which lies at `offset` of the segment, if its tag holds.
    pub(super) fn decode(tag_key: &TagKey, offset: u64, bytes: &'a [u8]) -> Option<Record<'a>> {
        let kind = match bytes.first()? {
            1 => Kind::Put,
            2 => Kind::Delete,
            3 => Kind::Retire,
            _ => return None,
        };
        let (subject, key) = (usize::from(*bytes.get(1)?), usize::from(*bytes.get(2)?));
        let value = u32_at(bytes, 3)? as usize;
        if subject > SUBJECT_BYTES_MAX || key > KEY_BYTES_MAX || value > VALUE_BYTES_MAX {
            return None;
        }
        let (key_at, value_at) =
            (RECORD_OPENING_BYTES + subject, RECORD_OPENING_BYTES + subject + key);
        let tag_at = value_at + value;
        let expected: [u8; RECORD_TAG_BYTES] = tag(tag_key, b'r', offset, &[bytes.get(..tag_at)?]);
        if bytes.get(tag_at..tag_at + RECORD_TAG_BYTES)? != expected {
            return None;
        }
        let (subject, key) = (&bytes[RECORD_OPENING_BYTES..key_at], &bytes[key_at..value_at]);
        Some(Record { kind, subject, key, value: &bytes[value_at..tag_at] })
    }
}

/// Builds one frame for a known place in a segment.
pub(super) struct FrameBuilder {
    key: TagKey,
    offset: u64,
    bytes: Vec<u8>,
}

impl FrameBuilder {
    pub(super) fn new(key: TagKey, offset: u64) -> FrameBuilder {
        FrameBuilder { key, offset, bytes: vec![0; FRAME_OPENING_BYTES] }
    }

    /// Appends a record and returns its offset in the segment. The lengths were checked by the caller.
    pub(super) fn push(&mut self, record: &Record<'_>) -> u64 {
        let (start, offset) = (self.bytes.len(), self.offset + self.bytes.len() as u64);
        let kind = match record.kind {
            Kind::Put => 1,
            Kind::Delete => 2,
            Kind::Retire => 3,
        };
        self.bytes.extend_from_slice(&[kind, record.subject.len() as u8, record.key.len() as u8]);
        self.bytes.extend_from_slice(&(record.value.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(record.subject);
        self.bytes.extend_from_slice(record.key);
        self.bytes.extend_from_slice(record.value);
        let tag: [u8; RECORD_TAG_BYTES] = tag(&self.key, b'r', offset, &[&self.bytes[start..]]);
        self.bytes.extend_from_slice(&tag);
        offset
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len() == FRAME_OPENING_BYTES
    }

    /// Closes the frame: the bytes to append.
    pub(super) fn finish(mut self, sequence: u64) -> Vec<u8> {
        let body_bytes = (self.bytes.len() - FRAME_OPENING_BYTES) as u32;
        self.bytes[..4].copy_from_slice(FRAME_MAGIC);
        self.bytes[4..8].copy_from_slice(&body_bytes.to_le_bytes());
        self.bytes[8..16].copy_from_slice(&sequence.to_le_bytes());
        let opening: [u8; 8] = tag(&self.key, b'o', self.offset, &[&self.bytes[..16]]);
        self.bytes[16..24].copy_from_slice(&opening);
        let closing: [u8; FRAME_CLOSING_BYTES] = tag(&self.key, b'c', self.offset, &[&self.bytes]);
        self.bytes.extend_from_slice(&closing);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TagKey = [7; 32];

    #[test]
    fn header_round_trips_and_every_flipped_bit_is_noticed() {
        let header = Header { id: 9, first_sequence: 77, key: KEY, older: vec![1, 4, 8] };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_holds_only_where_it_was_written() {
        let mut builder = FrameBuilder::new(KEY, 100);
        let record = Record { kind: Kind::Put, subject: b"s", key: b"k", value: b"value" };
        let at = builder.push(&record);
        let frame = builder.finish(5);
        assert_eq!(Opening::decode(&KEY, 100, &frame).unwrap().sequence, 5);
        assert!(frame_holds(&KEY, 100, &frame));
        assert!(!frame_holds(&KEY, 101, &frame) && Opening::decode(&KEY, 101, &frame).is_none());
        assert!(!frame_holds(&[8; 32], 100, &frame));
        assert_eq!(Record::decode(&KEY, at, &frame[(at - 100) as usize..]), Some(record));
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!frame_holds(&KEY, 100, &damaged), "bit {bit}");
        }
    }
}
