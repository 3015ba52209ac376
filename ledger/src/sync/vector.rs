//! Have-vectors: what one side holds of an author that differs, in some 30 bytes, and the wants that
//! answer them.
//!
//! A vector gives versions and tags of the author's records, and of the core entries which sequence
//! numbers are held (with gaps) and one tag for the highest of every run without a gap: an entry
//! holds the hash of the one before it, so that its tag stands for all below it. Tags are keyed
//! with the link, so a collision does not outlive the contact. Those of records are short: they
//! only tell apart what a bank signed twice under one version.

use super::wire::{Reader, put_author, put_bitmap};
use crate::codec::DecodeError;
use crate::record::entry::Class;
use alloc::vec::Vec;

/// What one side holds of an author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vector {
    /// The author's tag in this session.
    pub(super) author: u64,
    /// What is held; none of an author that is not known.
    pub(super) held: Option<Held>,
}

/// What is held of a known author.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) serials: Serials,
    /// Certificate, number and short tag of the checkpoint.
    pub(super) checkpoint: Option<(u16, u32, u16)>,
    /// The freeze's short tag.
    pub(super) freeze: Option<u16>,
    pub(super) proven: bool,
    pub(super) money: Option<Run>,
    pub(super) documents: Option<Run>,
}

/// The serials of the grants held: the enrolment grant, and of the others those within 64 of the
/// highest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Serials {
    pub(super) enrolled: bool,
    /// The highest serial of the others.
    pub(super) top: u16,
    /// Bit n: serial `top` − n.
    pub(super) bitmap: u64,
    /// A short tag over the ids of all grants.
    pub(super) tag: u16,
}

/// The core entries of one class: all lie within 64 sequence numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// The first sequence number.
    pub(super) base: u32,
    /// Bit n: `base` + n is held; bit 0 is set.
    pub(super) bitmap: u64,
    /// The tag of the highest entry of every run of set bits, ascending.
    pub(super) tags: Vec<u32>,
}

/// What a vector shows that the side which got it lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Want {
    /// Which of the vectors of the turn that this answers, from 0.
    pub(super) index: u16,
    pub(super) checkpoint: bool,
    pub(super) freeze: bool,
    pub(super) proof: bool,
    pub(super) enrolment: bool,
    /// All grants.
    pub(super) grants: bool,
    /// Grants, as bits of the vector's serials.
    pub(super) serials: u64,
    /// Entries, as bits of the vector's runs.
    pub(super) money: u64,
    pub(super) documents: u64,
}

/// Where runs of set bits end: the highest bits of each, ascending.
fn ends(bitmap: u64) -> impl Iterator<Item = u32> {
    let last = bitmap & !(bitmap >> 1);
    (0..64).filter(move |bit| last >> bit & 1 == 1)
}

impl Run {
    /// The run of held sequence numbers and tags, which ascend and lie within 64 of the first.
    pub(super) fn of(held: impl Iterator<Item = (u32, u32)>) -> Option<Self> {
        let mut run: Option<(Self, u32)> = None;
        for (sequence, tag) in held {
            let (run, last) = run.get_or_insert((Self { base: sequence, ..Self::default() }, tag));
            let Some(bit) = sequence.checked_sub(run.base).filter(|bit| *bit < 64) else {
                continue;
            };
            if bit == 0 {
                run.bitmap |= 1;
                continue;
            }
            // Of two entries at one number the first counts; the other is sent once more.
            if run.bitmap >> bit & 1 == 1 {
                continue;
            }
            if run.bitmap >> (bit - 1) & 1 == 0 {
                run.tags.push(*last);
            }
            run.bitmap |= 1 << bit;
            *last = tag;
        }
        run.map(|(mut run, last)| {
            run.tags.push(last);
            run
        })
    }

    /// Whether a sequence number is held.
    pub(super) fn holds(&self, sequence: u32) -> bool {
        let bit = sequence.checked_sub(self.base);
        bit.is_some_and(|bit| bit < 64 && self.bitmap >> bit & 1 == 1)
    }

    /// The sequence numbers held.
    pub(super) fn sequences(&self) -> impl Iterator<Item = (u32, u32)> {
        let of = |bit| self.base.checked_add(bit).map(|sequence| (bit, sequence));
        (0..64).filter(|bit| self.bitmap >> bit & 1 == 1).filter_map(of)
    }

    /// The tag at a sequence number, if a run ends there.
    pub(super) fn tag(&self, sequence: u32) -> Option<u32> {
        let bit = sequence.checked_sub(self.base)?;
        let at = ends(self.bitmap).position(|end| end == bit)?;
        self.tags.get(at).copied()
    }
}

fn put_run(run: &Run, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&run.base.to_le_bytes());
    put_bitmap(run.bitmap, bytes);
    run.tags.iter().for_each(|tag| bytes.extend_from_slice(&tag.to_le_bytes()));
}

/// A bitmap that is not empty.
fn some_bit(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    reader
        .bitmap()
        .and_then(|bits| if bits == 0 { Err(DecodeError::NotCanonical) } else { Ok(bits) })
}

fn take_run(reader: &mut Reader<'_>) -> Result<Run, DecodeError> {
    let (base, bitmap) = (reader.u32()?, some_bit(reader)?);
    if bitmap & 1 == 0 || base.checked_add(63 - bitmap.leading_zeros()).is_none() {
        return Err(DecodeError::NotCanonical);
    }
    let tags = ends(bitmap).map(|_| reader.u32()).collect::<Result<_, _>>()?;
    Ok(Run { base, bitmap, tags })
}

fn flags(bits: impl IntoIterator<Item = bool>) -> u8 {
    bits.into_iter().enumerate().fold(0, |flags, (at, set)| flags | u8::from(set) << at)
}

impl Vector {
    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        put_author(self.author, bytes);
        let Some(held) = &self.held else { return bytes.push(0) };
        bytes.push(flags([
            true,
            held.serials.enrolled,
            held.checkpoint.is_some(),
            held.freeze.is_some(),
            held.proven,
            held.money.is_some(),
            held.documents.is_some(),
        ]));
        let Serials { top, bitmap, tag, .. } = held.serials;
        [tag, top].iter().for_each(|two| bytes.extend_from_slice(&two.to_le_bytes()));
        put_bitmap(bitmap, bytes);
        if let Some((certificate, number, tag)) = held.checkpoint {
            bytes.extend_from_slice(&certificate.to_le_bytes());
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(&tag.to_le_bytes());
        }
        held.freeze.iter().for_each(|tag| bytes.extend_from_slice(&tag.to_le_bytes()));
        held.money.iter().chain(&held.documents).for_each(|run| put_run(run, bytes));
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (author, flags) = (reader.author()?, reader.u8()?);
        let flag = |at: u8| flags >> at & 1 == 1;
        if flags > 0x7f || flags != 0 && !flag(0) {
            return Err(DecodeError::NotCanonical);
        }
        if flags == 0 {
            return Ok(Self { author, held: None });
        }
        let (tag, top, bitmap) = (reader.u16()?, reader.u16()?, reader.bitmap()?);
        if bitmap & 1 == 0 && (top, bitmap) != (0, 0) {
            return Err(DecodeError::NotCanonical);
        }
        let serials = Serials { enrolled: flag(1), top, bitmap, tag };
        let checkpoint = match flag(2) {
            true => Some((reader.u16()?, reader.u32()?, reader.u16()?)),
            false => None,
        };
        let freeze = flag(3).then(|| reader.u16()).transpose()?;
        let money = flag(5).then(|| take_run(reader)).transpose()?;
        let documents = flag(6).then(|| take_run(reader)).transpose()?;
        let held = Held { serials, checkpoint, freeze, proven: flag(4), money, documents };
        Ok(Self { author, held: Some(held) })
    }
}

impl Want {
    /// Whether nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self { index: self.index, ..Self::default() }
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.index.to_le_bytes());
        bytes.push(flags([
            self.checkpoint,
            self.freeze,
            self.proof,
            self.enrolment,
            self.serials != 0,
            self.money != 0,
            self.documents != 0,
            self.grants,
        ]));
        let bitmaps = [self.serials, self.money, self.documents];
        for bitmap in bitmaps.into_iter().filter(|bitmap| *bitmap != 0) {
            put_bitmap(bitmap, bytes);
        }
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (index, flags) = (reader.u16()?, reader.u8()?);
        let flag = |at: u8| flags >> at & 1 == 1;
        if flags == 0 {
            return Err(DecodeError::NotCanonical);
        }
        let mut bitmap = |at| if flag(at) { some_bit(reader) } else { Ok(0) };
        let (serials, money, documents) = (bitmap(4)?, bitmap(5)?, bitmap(6)?);
        Ok(Self {
            index,
            checkpoint: flag(0),
            freeze: flag(1),
            proof: flag(2),
            enrolment: flag(3),
            grants: flag(7),
            serials,
            money,
            documents,
        })
    }
}

/// The run of a class.
impl Held {
    pub(super) fn run(&self, class: Class) -> Option<&Run> {
        match class {
            Class::Money => self.money.as_ref(),
            Class::Document => self.documents.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_carry_one_tag_for_what_is_linked() {
        let run = Run::of([(5, 50), (6, 60), (9, 90), (9, 91), (70, 1)].into_iter()).unwrap();
        assert_eq!(run, Run { base: 5, bitmap: 0b10011, tags: alloc::vec![60, 90] });
        assert_eq!([5, 6, 7, 9].map(|at| run.tag(at)), [None, Some(60), None, Some(90)]);
        assert!(run.holds(5) && !run.holds(7) && !run.holds(4) && !run.holds(70));
        assert_eq!(run.sequences().map(|(_, at)| at).collect::<Vec<_>>(), [5, 6, 9]);
        assert_eq!(Run::of(core::iter::empty()), None);
        let full = Run::of((0..64).map(|at| (at, at))).unwrap();
        assert_eq!((full.bitmap, full.tags.len()), (u64::MAX, 1));
        let holes = Run::of((0..32).map(|at| (2 * at, at))).unwrap();
        assert_eq!(holes.tags.len(), 32);
    }

    fn vectors() -> Vec<Vector> {
        let held = Held {
            serials: Serials { enrolled: true, top: 300, bitmap: 5, tag: 9 },
            checkpoint: Some((1, 70_000, 8)),
            freeze: Some(7),
            proven: false,
            money: Run::of([(7, 1), (8, 2)].into_iter()),
            documents: Run::of([(0, 3), (63, 4)].into_iter()),
        };
        alloc::vec![
            Vector { author: 1 << 39, held: None },
            Vector { author: 3, held: Some(held) },
            Vector { author: 4, held: Some(Held::default()) },
        ]
    }

    #[test]
    fn vectors_and_wants_have_one_encoding() {
        let mut bytes = Vec::new();
        vectors().iter().for_each(|one| one.put(&mut bytes));
        assert_eq!(Reader(&bytes).rest(Vector::take), Ok(vectors()));
        for flags in [0x80, 2, 0xff] {
            assert!(Vector::take(&mut Reader(&[1, 0, 0, 0, 0, flags, 0, 0, 0, 0, 0])).is_err());
        }
        let wants = [
            Want { index: 3, checkpoint: true, ..Want::default() },
            Want { index: 700, serials: 9, money: 1 << 40, documents: 1, ..Want::default() },
        ];
        let mut bytes = Vec::new();
        wants.iter().for_each(|one| one.put(&mut bytes));
        assert_eq!(Reader(&bytes).rest(Want::take), Ok(wants.to_vec()));
        assert!(Want::take(&mut Reader(&[0, 0, 0])).is_err(), "nothing wanted");
        assert!(Want::take(&mut Reader(&[0, 0, 0x20, 2, 1, 0])).is_err(), "bitmap too long");
        assert!(Want::take(&mut Reader(&[0, 0, 0x10, 0])).is_err(), "empty serials");
    }
}
