//! Judging an index against the segments, and bringing it up to date by reading them. What may be cut off and which
//! segments must be there was settled before, in `open.rs`; what salvage does with damage is in `salvage.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::barrier::DurableSled;
use super::codec::{Kind, Record};
use super::error::OpenError;
use super::index::{self, Draft, IndexError, Meta};
use super::limits::{FINDINGS_MAX, REPLAY_PAGES_MAX};
use super::open::Damage;
use super::segment::{Segment, Step};

pub(super) type Segments = BTreeMap<u64, Arc<Segment>>;

/// What lies in the index, per segment.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) used: BTreeMap<u64, u64>,
    pub(super) delete_bytes: u64,
}

impl Sums {
    fn add(&mut self, draft: &mut Draft<'_>) {
        for (segment, delta) in std::mem::take(&mut draft.used_delta) {
            let used = self.used.entry(segment).or_default();
            *used = used.saturating_add_signed(delta);
        }
        self.delete_bytes = self.delete_bytes.saturating_add_signed(draft.deletes_delta);
        draft.deletes_delta = 0;
    }
}

/// What a look at the whole index gave.
pub(super) enum Verdict {
    Sound(Sums),
    Useless(&'static str),
    /// It names a place beyond the end of a segment.
    Beyond(PathBuf, u64),
}

/// Reads the whole index: every page whole, their sum as stated, every place within a segment that is there.
pub(super) fn validate(
    db: &sled::Db,
    meta: &Meta,
    segments: &Segments,
) -> Result<Verdict, IndexError> {
    let (mut sums, mut items) = (Sums::default(), 0u64);
    let (mut absent, mut beyond) = (!segments.contains_key(&meta.segment), None);
    let look = index::each_item_beside(db, |subject, item| {
        let bytes = index::item_bytes(subject, item);
        *sums.used.entry(item.segment).or_default() += bytes;
        match item.deleted {
            Some(_) => sums.delete_bytes += bytes,
            None => items += 1,
        }
        match segments.get(&item.segment) {
            Some(segment) if item.offset.saturating_add(bytes) > segment.length() => {
                beyond = Some((segment.path.clone(), segment.length()));
            }
            Some(_) => {}
            None => absent = true,
        }
    });
    let fingerprint = match look {
        Ok(fingerprint) => fingerprint,
        Err(IndexError::Damaged) => return Ok(Verdict::Useless("a page of it is damaged")),
        Err(error) => return Err(error),
    };
    Ok(match beyond {
        _ if fingerprint != meta.fingerprint || items != meta.items => {
            Verdict::Useless("pages of it are missing")
        }
        _ if absent => Verdict::Useless("it is older than the segments"),
        Some((path, offset)) => Verdict::Beyond(path, offset),
        None => Verdict::Sound(sums),
    })
}

/// The state of an index that has seen nothing.
pub(super) fn beginning(segments: &Segments) -> Meta {
    let first = segments.values().next();
    Meta {
        segment: first.map_or(0, |segment| segment.id()),
        offset: first.map_or(0, |segment| segment.start()),
        next_sequence: first.map_or(0, |segment| segment.header.first_sequence),
        items: 0,
        fingerprint: 0,
    }
}

/// Brings the index from `meta` to the end of the newest segment and passes the barrier. With `damage` (salvage) it
/// goes on behind what cannot be read and lists it there; without, that is an error.
pub(super) fn replay(
    index: &DurableSled,
    mut meta: Meta,
    segments: &Segments,
    sums: &mut Sums,
    damage: &mut Option<Vec<Damage>>,
) -> Result<(Meta, u64), OpenError> {
    let failed = |error| index_failed(index.dir(), error);
    let mut draft = Draft::new(index.db());
    let mut batches = 0;
    for segment in segments.range(meta.segment..).map(|(_, segment)| segment) {
        if segment.id() != meta.segment {
            let expected = meta.next_sequence;
            let adjacent = segment.id() == meta.segment + 1;
            let stated = segment.header.first_sequence;
            if (stated < expected || adjacent && stated != expected) && damage.is_none() {
                let previous = segments.get(&meta.segment).unwrap_or(segment);
                return Err(corrupt(
                    previous,
                    previous.length(),
                    "acknowledged batches are missing from its end",
                ));
            }
            meta = Meta {
                segment: segment.id(),
                offset: segment.start(),
                next_sequence: stated,
                ..meta
            };
        }
        let mut walk = segment.walk(meta.offset, meta.next_sequence);
        loop {
            let at = walk.offset;
            match walk.step()? {
                Step::End => break,
                Step::Frame(frame) => {
                    let whole =
                        frame.records(|offset, record| apply(&mut draft, segment, offset, record));
                    if !whole.map_err(failed)? {
                        return Err(corrupt(segment, at, "a record of a whole batch"));
                    }
                    batches += 1;
                }
                Step::Broken => {
                    let Some(damage) = damage else {
                        return Err(corrupt(segment, at, "an acknowledged batch"));
                    };
                    for (offset, bytes) in walk.intact_records()? {
                        if let Some(record) = Record::decode(&segment.header.key, offset, &bytes) {
                            apply(&mut draft, segment, offset, record).map_err(failed)?;
                        }
                    }
                    let found = walk.resynchronise()?;
                    let end = if found { walk.offset } else { segment.length() };
                    if damage.len() < FINDINGS_MAX {
                        damage.push(Damage {
                            path: segment.path.clone(),
                            offset: at,
                            bytes: end - at,
                        });
                    }
                    if !found {
                        break;
                    }
                }
            }
            meta.offset = walk.offset;
            meta.next_sequence = walk.sequence;
            if draft.len() >= REPLAY_PAGES_MAX {
                meta = store_draft(index, &mut draft, meta, sums)?;
            }
        }
    }
    if batches > 0 || draft.is_changed() || meta.items == 0 {
        meta = store_draft(index, &mut draft, meta, sums)?;
        index.wait()?;
    }
    Ok((meta, batches))
}

fn store_draft(
    index: &DurableSled,
    draft: &mut Draft<'_>,
    meta: Meta,
    sums: &mut Sums,
) -> Result<Meta, OpenError> {
    let (batch, meta) = draft.finish(meta);
    index.db().apply_batch(batch).map_err(|error| index_failed(index.dir(), error.into()))?;
    sums.add(draft);
    Ok(meta)
}

fn apply(
    draft: &mut Draft<'_>,
    segment: &Segment,
    offset: u64,
    record: Record<'_>,
) -> Result<(), IndexError> {
    let Record { kind, subject, key, value } = record;
    match kind {
        Kind::Put => draft.put(subject, key, segment.id(), offset, value.len()),
        Kind::Delete => draft.delete(subject, key, segment.id(), offset),
        Kind::Retire => Ok(()),
    }
}

pub(super) fn index_failed(dir: &Path, error: IndexError) -> OpenError {
    let source = match error {
        IndexError::Sled(source) => source,
        IndexError::Damaged => {
            sled::Error::ReportableBug("a page that was just written is damaged".into())
        }
    };
    OpenError::Index { path: dir.to_path_buf(), source }
}

pub(super) fn corrupt(segment: &Segment, offset: u64, what: &'static str) -> OpenError {
    OpenError::Corrupt { path: segment.path.clone(), offset, what }
}
