//! Reading and writing what messages are made of. Each value has one encoding: lists go on to the
//! end of their message, and whatever is left over or impossible makes the message none.

use super::field::P;
use super::symbols::Symbol;
use crate::codec::DecodeError;
use crate::replica::range::Range;
use alloc::vec::Vec;

/// What is left of a message.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value read, if nothing follows it.
    pub(super) fn end<T>(&self, value: T) -> Result<T, DecodeError> {
        if self.is_empty() { Ok(value) } else { Err(DecodeError::NotCanonical) }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (first, rest) = self.0.split_first_chunk().ok_or(DecodeError::NotCanonical)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// An author tag: 5 bytes, in 1..P.
    pub(super) fn author(&mut self) -> Result<u64, DecodeError> {
        let bytes: [u8; 5] = self.array()?;
        let mut wide = [0; 8];
        wide[..5].copy_from_slice(&bytes);
        let tag = u64::from_le_bytes(wide);
        if (1..P).contains(&tag) { Ok(tag) } else { Err(DecodeError::NotCanonical) }
    }

    pub(super) fn symbol(&mut self) -> Result<Symbol, DecodeError> {
        Symbol::from_bytes(&self.array()?).ok_or(DecodeError::NotCanonical)
    }

    /// A range: its bits, and as many bytes as they need, the highest first.
    pub(super) fn range(&mut self) -> Result<Range, DecodeError> {
        let bits = self.u8()?;
        self.range_of(bits)
    }

    pub(super) fn range_of(&mut self, bits: u8) -> Result<Range, DecodeError> {
        let mut prefix = [0; 8];
        for byte in prefix.iter_mut().take(usize::from(bits.min(64).div_ceil(8))) {
            *byte = self.u8()?;
        }
        Range::new(bits, u64::from_be_bytes(prefix)).ok_or(DecodeError::NotCanonical)
    }

    /// Values to the end of the message.
    pub(super) fn rest<T>(
        mut self,
        mut value: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut values = Vec::new();
        while !self.is_empty() {
            values.push(value(&mut self)?);
        }
        Ok(values)
    }
}

/// Writes an author tag.
pub(super) fn put_author(author: u64, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&author.to_le_bytes()[..5]);
}

/// Writes a range.
pub(super) fn put_range(range: &Range, bytes: &mut Vec<u8>) {
    bytes.push(range.bits());
    let prefix = range.first().to_be_bytes();
    bytes.extend_from_slice(&prefix[..usize::from(range.bits().div_ceil(8))]);
}

/// A bitmap that starts with its lowest bit, without its empty end: a length, and the bytes.
pub(super) fn put_bitmap(bitmap: u64, bytes: &mut Vec<u8>) {
    let length = (64 - bitmap.leading_zeros()).div_ceil(8) as usize;
    bytes.push(length as u8);
    bytes.extend_from_slice(&bitmap.to_le_bytes()[..length]);
}

impl Reader<'_> {
    /// A bitmap.
    pub(super) fn bitmap(&mut self) -> Result<u64, DecodeError> {
        let length = usize::from(self.u8()?);
        let mut wide = [0; 8];
        for byte in wide.get_mut(..length).ok_or(DecodeError::NotCanonical)? {
            *byte = self.u8()?;
        }
        match length.checked_sub(1).and_then(|last| wide.get(last)) {
            Some(0) => Err(DecodeError::NotCanonical),
            _ => Ok(u64::from_le_bytes(wide)),
        }
    }
}
