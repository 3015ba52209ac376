//! Reading values by the section "Encoding" of the protocol, and why bytes are refused.

use thiserror::Error;

/// Why bytes are not what they claim to be. Final: reject them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// Longer than any such record.
    #[error("length")]
    Length,
    /// Not the encoding of a value.
    #[error("canonical")]
    Canonical,
    /// Of a version other than 1.
    #[error("version")]
    Version,
    /// Behind a tag other than 1 to 8.
    #[error("tag")]
    Tag,
    /// Against a rule of the record, given here.
    #[error("rule: {0}")]
    Rule(&'static str),
}

/// Fails with the name of a rule unless it holds.
pub(crate) fn rule(holds: bool, name: &'static str) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(Refused::Rule(name)) }
}

/// Bytes being read from the front.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The bytes of one record, whose first byte must be the version.
    pub(crate) fn versioned(bytes: &'a [u8]) -> Result<Self, Refused> {
        match bytes {
            [] => Err(Refused::Canonical),
            [1, rest @ ..] => Ok(Self(rest)),
            _ => Err(Refused::Version),
        }
    }

    pub(crate) fn plain(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Refused> {
        let (front, rest) = self.0.split_at_checked(count).ok_or(Refused::Canonical)?;
        self.0 = rest;
        Ok(front)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        self.take(N)?.try_into().map_err(|_| Refused::Canonical)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Refused> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Refused> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Refused> {
        Ok(i16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Refused> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Refused> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// That many bytes, at most 8, little-endian.
    pub(crate) fn narrow(&mut self, count: usize) -> Result<u64, Refused> {
        let mut wide = [0; 8];
        let place = wide.get_mut(..count).ok_or(Refused::Canonical)?;
        place.copy_from_slice(self.take(count)?);
        Ok(u64::from_le_bytes(wide))
    }

    /// Six bytes, little-endian.
    pub(crate) fn amount(&mut self) -> Result<u64, Refused> {
        self.narrow(6)
    }

    pub(crate) fn option<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, Refused>,
    ) -> Result<Option<T>, Refused> {
        match self.u8()? {
            0 => Ok(None),
            1 => value(self).map(Some),
            _ => Err(Refused::Canonical),
        }
    }

    pub(crate) fn list<T>(
        &mut self,
        count_max: usize,
        mut value: impl FnMut(&mut Self) -> Result<T, Refused>,
    ) -> Result<Vec<T>, Refused> {
        let count = usize::from(self.u16()?);
        if count > count_max {
            return Err(Refused::Canonical);
        }
        (0..count).map(|_| value(self)).collect()
    }

    /// Values up to the end of the bytes.
    pub(crate) fn repeated<T>(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<T, Refused>,
    ) -> Result<Vec<T>, Refused> {
        let mut values = Vec::new();
        while !self.0.is_empty() {
            values.push(value(self)?);
        }
        Ok(values)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn text(&mut self, bytes_max: usize) -> Result<String, Refused> {
        let length = usize::from(self.u8()?);
        if length > bytes_max {
            return Err(Refused::Canonical);
        }
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| Refused::Canonical)?;
        let refused = |c: char| {
            let point = u32::from(c);
            point <= 0x1f
                || (0x7f..=0x9f).contains(&point)
                || (0x2028..=0x202e).contains(&point)
                || (0x2066..=0x2069).contains(&point)
        };
        if text.chars().any(refused) { Err(Refused::Canonical) } else { Ok(text.to_owned()) }
    }

    pub(crate) fn choice(&mut self, known: &[u8]) -> Result<u8, Refused> {
        let number = self.u8()?;
        if known.contains(&number) { Ok(number) } else { Err(Refused::Canonical) }
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn end(self) -> Result<(), Refused> {
        if self.0.is_empty() { Ok(()) } else { Err(Refused::Canonical) }
    }
}
