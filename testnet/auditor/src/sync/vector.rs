//! What the messages *have*, *wants* and *banks* say of authors and banks.

use super::symbols::P;
use crate::read::{Reader, Refused};

/// What a side holds of a bank.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As the document names them.
pub struct BankVector {
    pub bank: u16,
    pub certificates: Vec<(u16, u32)>,
    pub bulletin: Option<(u16, u32, u32)>,
}

impl BankVector {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        Ok(Self {
            bank: reader.u16()?,
            certificates: reader.list(16, |one| Ok((one.u16()?, one.u32()?)))?,
            bulletin: reader.option(|one| Ok((one.u16()?, one.u32()?, one.u32()?)))?,
        })
    }
}

/// What a side holds of an author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// The author tag.
    pub author: u64,
    /// What is held; none if nothing is.
    pub held: Option<Held>,
}

/// What is held of an author of which something is held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As the document names them.
pub struct Held {
    pub grants_tag: u16,
    pub enrolled: bool,
    pub top: u16,
    pub serials: u64,
    pub checkpoint: Option<(u16, u32, u16)>,
    pub freeze: Option<u16>,
    pub proven: bool,
    pub money: Option<Run>,
    pub documents: Option<Run>,
}

/// The core entries of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As the document names them.
pub struct Run {
    pub base: u32,
    pub bitmap: u64,
    pub tags: Vec<u32>,
}

/// What a side lacks by a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As the document names them.
pub struct Want {
    pub index: u16,
    pub checkpoint: bool,
    pub freeze: bool,
    pub proof: bool,
    pub enrolment: bool,
    pub grants: bool,
    pub serials: u64,
    pub money: u64,
    pub documents: u64,
}

/// A bitmap: its bytes up to the last that is not 0.
fn bitmap(reader: &mut Reader<'_>) -> Result<u64, Refused> {
    let length = usize::from(reader.u8()?);
    let bits = reader.narrow(length)?;
    let shortest = (0..8).find(|bytes| bits >> (8 * bytes) == 0).unwrap_or(8);
    if length == shortest { Ok(bits) } else { Err(Refused::Canonical) }
}

/// An author tag, as a message has it: 5 bytes, from 1 to P − 1.
pub(super) fn author_tag(reader: &mut Reader<'_>) -> Result<u64, Refused> {
    let tag = reader.narrow(5)?;
    if (1..P).contains(&tag) { Ok(tag) } else { Err(Refused::Canonical) }
}

fn not_empty(bits: u64) -> Result<u64, Refused> {
    if bits == 0 { Err(Refused::Canonical) } else { Ok(bits) }
}

impl Run {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let (base, bitmap) = (reader.u32()?, bitmap(reader)?);
        let beyond = |bit: u32| base.checked_add(bit).is_none();
        if bitmap & 1 == 0 || (0..64).any(|bit| bitmap >> bit & 1 == 1 && beyond(bit)) {
            return Err(Refused::Canonical);
        }
        let run = Self { base, bitmap, tags: Vec::new() };
        let tags = run.ends().map(|_| reader.u32()).collect::<Result<_, _>>()?;
        Ok(Self { tags, ..run })
    }

    /// The bits whose next higher one is not set.
    fn ends(&self) -> impl Iterator<Item = u32> + use<> {
        let bits = self.bitmap;
        let set = move |bit: u32| bit < 64 && bits >> bit & 1 == 1;
        (0..64).filter(move |bit| set(*bit) && !set(*bit + 1))
    }

    /// The sequence numbers held.
    pub fn sequences(&self) -> Vec<u32> {
        let held = (0..64).filter(|bit| self.bitmap >> bit & 1 == 1);
        held.filter_map(|bit| self.base.checked_add(bit)).collect()
    }

    /// The sequence numbers with a gap behind them, and the tags of their entries.
    pub fn tagged(&self) -> Vec<(u32, u32)> {
        let ends = self.ends().filter_map(|bit| self.base.checked_add(bit));
        ends.zip(self.tags.iter().copied()).collect()
    }
}

impl Vector {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let (author, flags) = (author_tag(reader)?, reader.u8()?);
        if flags == 0 {
            return Ok(Self { author, held: None });
        }
        if flags & 0x81 != 1 {
            return Err(Refused::Canonical);
        }
        let set = |bit: u8| flags & (1 << bit) != 0;
        let mut held = Held {
            grants_tag: reader.u16()?,
            enrolled: set(1),
            top: reader.u16()?,
            serials: bitmap(reader)?,
            // Filled in below, where the flags say so.
            checkpoint: None,
            freeze: None,
            proven: set(4),
            money: None,
            documents: None,
        };
        if held.serials & 1 == 0 && (held.top, held.serials) != (0, 0) {
            return Err(Refused::Canonical);
        }
        if set(2) {
            held.checkpoint = Some((reader.u16()?, reader.u32()?, reader.u16()?));
        }
        if set(3) {
            held.freeze = Some(reader.u16()?);
        }
        if set(5) {
            held.money = Some(Run::read(reader)?);
        }
        if set(6) {
            held.documents = Some(Run::read(reader)?);
        }
        Ok(Self { author, held: Some(held) })
    }
}

impl Held {
    /// The serials that the vector shows, ascending.
    pub fn serials(&self) -> Vec<u16> {
        let shown = (0..64).rev().filter(|bit| self.serials >> bit & 1 == 1);
        let above = shown.filter_map(|bit| self.top.checked_sub(bit));
        self.enrolled.then_some(0).into_iter().chain(above).collect()
    }
}

impl Want {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let (index, flags) = (reader.u16()?, reader.u8()?);
        if flags == 0 {
            return Err(Refused::Canonical);
        }
        let set = |bit: u8| flags & (1 << bit) != 0;
        let mut bits = |bit| if set(bit) { bitmap(reader).and_then(not_empty) } else { Ok(0) };
        Ok(Self {
            index,
            serials: bits(4)?,
            money: bits(5)?,
            documents: bits(6)?,
            checkpoint: set(0),
            freeze: set(1),
            proof: set(2),
            enrolment: set(3),
            grants: set(7),
        })
    }
}
