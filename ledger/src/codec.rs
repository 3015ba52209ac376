//! The canonical encoding: one value, one byte string. Borsh with fixed widths, little-endian,
//! and lists and texts whose length is bounded before anything is allocated. Whatever decodes is
//! encoded again and compared, so that no second spelling of a value can ever be accepted.

use alloc::string::String;
use alloc::vec::Vec;
use borsh::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use borsh::{BorshDeserialize, BorshSerialize};
use core::ops::Deref;
use thiserror::Error;

/// Why bytes are not a record. Always final: reject the bytes; more of them will not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// More bytes than any record of this kind can have.
    #[error("longer than any record of its kind")]
    TooLong,
    /// The bytes end too early, are followed by others, or hold an impossible value.
    #[error("not the canonical encoding of a record")]
    NotCanonical,
    /// A record version that this build does not know.
    #[error("record version {0} is not known")]
    Version(u8),
    /// An item tag that this build does not know.
    #[error("item tag {0} is not known")]
    Tag(u8),
    /// Every field decodes, but together they break a rule of the record, named here.
    #[error("breaks the rule of its kind: {0}")]
    Rule(&'static str),
}

/// Decodes exactly one value from `bytes`.
///
/// # Errors
/// [`DecodeError::TooLong`] above `bytes_max`, [`DecodeError::NotCanonical`] for anything but the
/// one encoding of a value.
pub fn decode<T: BorshDeserialize + BorshSerialize>(
    bytes: &[u8],
    bytes_max: usize,
) -> Result<T, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLong);
    }
    let value = T::try_from_slice(bytes).map_err(|_| DecodeError::NotCanonical)?;
    let mut rest = Rest(bytes);
    if value.serialize(&mut rest).is_err() || !rest.0.is_empty() {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Takes only the bytes that are expected next: what is written is compared, not kept.
struct Rest<'a>(&'a [u8]);

impl Write for Rest<'_> {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}

/// Room that most values need: a header has 122 bytes.
const USUAL_BYTES: usize = 128;

/// The canonical bytes of a value.
pub fn encode<T: BorshSerialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    // Writing to a vector cannot fail, and no `serialize` of ours returns an error of its own.
    let written = value.serialize(&mut bytes);
    assert!(written.is_ok(), "encoding into memory failed");
    bytes
}

/// A list of at most `MAX` values; its length travels as u16.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct List<T, const MAX: usize>(Vec<T>);

/// More values or bytes than the place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("at most {max} fit here, not {given}")]
pub struct TooMany {
    /// How many were given.
    pub given: usize,
    /// How many fit.
    pub max: usize,
}

impl<T, const MAX: usize> List<T, MAX> {
    /// A list of `values`.
    ///
    /// # Errors
    /// When there are more than `MAX`.
    pub fn new(values: Vec<T>) -> Result<Self, TooMany> {
        if values.len() > MAX {
            return Err(TooMany { given: values.len(), max: MAX });
        }
        Ok(Self(values))
    }

    /// The values.
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: BorshSerialize, const MAX: usize> BorshSerialize for List<T, MAX> {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        let length = u16::try_from(self.0.len()).map_err(|_| ErrorKind::InvalidInput)?;
        length.serialize(writer)?;
        self.0.iter().try_for_each(|value| value.serialize(writer))
    }
}

impl<T: BorshDeserialize, const MAX: usize> BorshDeserialize for List<T, MAX> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let length = usize::from(u16::deserialize_reader(reader)?);
        if length > MAX {
            return Err(Error::new(ErrorKind::InvalidData, "list too long"));
        }
        // Grown as values arrive: a hostile length reserves nothing.
        let mut values = Vec::new();
        for _ in 0..length {
            values.push(T::deserialize_reader(reader)?);
        }
        Ok(Self(values))
    }
}

/// UTF-8 text of at most `MAX` ≤ 255 bytes without characters that control it; its length is one
/// byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<const MAX: usize>(String);

/// Why a string is no [`Text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// Too many bytes.
    #[error(transparent)]
    TooLong(#[from] TooMany),
    /// A control character, a separator of lines or a mark of direction, which could deceive
    /// whoever reads the text beside an amount.
    #[error("characters that control or turn text are not allowed")]
    Control,
}

impl<const MAX: usize> Text<MAX> {
    /// A text.
    ///
    /// # Errors
    /// When it is longer than `MAX` bytes or holds a character that could deceive.
    pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
        let text = text.into();
        if text.len() > MAX {
            return Err(TooMany { given: text.len(), max: MAX }.into());
        }
        if text.chars().any(deceives) {
            return Err(TextError::Control);
        }
        Ok(Self(text))
    }
}

/// Whether a character moves what stands around it: control characters, line and paragraph
/// separators, and the marks that turn the direction of text.
fn deceives(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> BorshSerialize for Text<MAX> {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        let length = u8::try_from(self.0.len()).map_err(|_| ErrorKind::InvalidInput)?;
        length.serialize(writer)?;
        writer.write_all(self.0.as_bytes())
    }
}

impl<const MAX: usize> BorshDeserialize for Text<MAX> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let length = usize::from(u8::deserialize_reader(reader)?);
        let mut bytes = [0u8; 255];
        reader.read_exact(&mut bytes[..length])?;
        let text = core::str::from_utf8(&bytes[..length])
            .map_err(|_| Error::new(ErrorKind::InvalidData, "text is not UTF-8"))?;
        Self::new(text).map_err(|_| Error::new(ErrorKind::InvalidData, "text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_texts_are_bounded_and_strict() {
        type Short = List<u8, 2>;
        assert_eq!(encode(&Short::new(alloc::vec![7, 8]).unwrap()), [2, 0, 7, 8]);
        assert_eq!(decode::<Short>(&[3, 0, 1, 2, 3], 99), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<Short>(&[1, 0, 1, 2], 99), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<Short>(&[1, 0, 1], 2), Err(DecodeError::TooLong));
        assert_eq!(decode::<Text<4>>(&[2, b'o', b'k'], 9).unwrap().deref(), "ok");
        assert!(decode::<Text<4>>(&[1, 7], 9).is_err(), "control character");
        assert!(decode::<Text<4>>(&[3, 0xe2, 0x80, 0xae], 9).is_err(), "direction turned");
        assert!(decode::<Text<4>>(&[1, 0xff], 9).is_err(), "not UTF-8");
        assert!(decode::<Text<1>>(&[2, b'o', b'k'], 9).is_err(), "too long");
    }
}
