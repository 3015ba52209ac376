//! Compaction: rewrites segments of which little is in use, so that disk use stays bounded when things are pruned.
//! What is still in use is copied to the head in ordinary batches; a segment's file is removed only after the batch
//! that retires it has passed the barrier. When to call it is left to the driver.

use std::ops::Bound;
use std::sync::{Arc, PoisonError};

use super::codec::{FRAME_CLOSING_BYTES, FRAME_OPENING_BYTES, Kind, Record, record_bytes};
use super::error::ReadError;
use super::index::{self, Draft};
use super::segment::{Segment, Step};
use super::{CommitError, Store, Writer};

/// How many bytes of a segment one step reads; commits may run between two steps.
const STEP_BYTES: u64 = 1024 * 1024;

/// What a call to [`Store::compact`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Bytes of segments that were read.
    pub read_bytes: u64,
    /// Bytes of segments that were removed.
    pub freed_bytes: u64,
    /// The budget ended before the work did: call again.
    pub more: bool,
}

/// Where compaction stands between two calls. Kept in memory only: after a restart a half-copied segment is simply
/// begun again, and what was moved is found to be elsewhere.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Segment, offset and sequence number of the next frame to look at.
    cursor: Option<(u64, u64, u64)>,
    /// No segment was retired since the deletes were last swept.
    swept: bool,
}

struct Copy {
    kind: Kind,
    subject: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Store {
    /// Rewrites segments until nothing is worth it or about `budget_bytes` (and at least one step of 1 MiB) have been
    /// read. Other threads can commit between its steps. Fails as a commit does.
    pub fn compact(&self, budget_bytes: u64) -> Result<CompactReport, CommitError> {
        let mut report = CompactReport::default();
        loop {
            let mut writer = self.writer()?;
            let Some(cursor) = writer.compaction.cursor.or_else(|| self.choose(&writer)) else {
                if self.sweep_deletes(&mut writer)? {
                    continue;
                }
                return Ok(report);
            };
            if report.read_bytes >= budget_bytes.max(1) {
                report.more = true;
                return Ok(report);
            }
            self.compact_step(&mut writer, cursor, &mut report)?;
        }
    }

    /// The segment most worth rewriting, as a cursor at its start.
    fn choose(&self, writer: &Writer) -> Option<(u64, u64, u64)> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let closed = || segments.values().filter(|segment| segment.id() != writer.head.id());
        let used = |segment: &Segment| writer.used.get(&segment.id()).copied().unwrap_or(0);
        let per_mille = |segment: &Segment| used(segment) * 1000 / segment.length().max(1);
        let wanted = u64::from(self.options.used_percent_min.min(100)) * 10;
        let sparse = closed()
            .map(|segment| (per_mille(segment), segment))
            .filter(|(share, _)| *share < wanted)
            .min_by_key(|(share, segment)| (*share, segment.id()));
        let total: u64 = segments.values().map(|segment| segment.length()).sum();
        let chosen = match sparse {
            Some((_, segment)) => Some(segment),
            // Deletes are kept while an older segment may hold what they deleted. When they have become many, the
            // oldest segments are rewritten whole: each time around frees all deletes that waited for them.
            None if writer.delete_bytes > self.options.segment_bytes.max(total / 4) => {
                closed().next()
            }
            None => None,
        };
        chosen.map(|segment| (segment.id(), segment.start(), segment.header.first_sequence))
    }

    fn compact_step(
        &self,
        writer: &mut Writer,
        (id, offset, sequence): (u64, u64, u64),
        report: &mut CompactReport,
    ) -> Result<(), CommitError> {
        let Some(segment) = self.segment(id) else {
            writer.compaction.cursor = None;
            return Ok(());
        };
        let corrupt =
            |offset| CommitError::Read(ReadError::Corrupt { path: segment.path.clone(), offset });
        let mut copies: Vec<Copy> = Vec::new();
        let mut obsolete: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut walk = segment.walk(offset, sequence);
        let mut at_end = writer.used.get(&id).copied().unwrap_or(0) == 0;
        while !at_end && walk.offset - offset < STEP_BYTES {
            let from = walk.offset;
            match walk.step()? {
                Step::End => at_end = true,
                Step::Broken => return Err(corrupt(from)),
                Step::Frame(frame) => {
                    let whole = frame.records(|at, record| {
                        self.sort_record(&segment, at, record, &mut copies, &mut obsolete)
                    })?;
                    if !whole {
                        return Err(corrupt(from));
                    }
                }
            }
        }
        report.read_bytes += walk.offset - offset;
        let next = (id, walk.offset, walk.sequence);
        let bytes: usize = copies
            .iter()
            .map(|copy| record_bytes(copy.subject.len(), copy.key.len(), copy.value.len()))
            .sum();
        let bytes_max = bytes + record_bytes(0, 0, 8) + FRAME_OPENING_BYTES + FRAME_CLOSING_BYTES;
        let mut left = None;
        let used = writer.used.get(&id).copied().unwrap_or(0);
        self.append(writer, bytes_max, |builder, draft, head| {
            for (subject, key) in &obsolete {
                draft.forget(subject, key)?;
            }
            for Copy { kind, subject, key, value } in &copies {
                let at = builder.push(&Record { kind: *kind, subject, key, value });
                match kind {
                    Kind::Put => draft.put(subject, key, head, at, value.len())?,
                    _ => draft.delete(subject, key, head, at)?,
                }
            }
            let moved = draft.used_delta.get(&id).copied().unwrap_or(0);
            left = Some(used.saturating_add_signed(moved));
            // A segment is given up only when the index agrees that nothing of it is in use.
            if at_end && left == Some(0) {
                builder.push(&Record {
                    kind: Kind::Retire,
                    subject: &[],
                    key: &[],
                    value: &id.to_le_bytes(),
                });
            }
            Ok(())
        })?;
        if !at_end {
            writer.compaction.cursor = Some(next);
            return Ok(());
        }
        writer.compaction.cursor = None;
        if left != Some(0) {
            return Err(CommitError::Read(ReadError::IndexCorrupt {
                path: self.index.dir().to_path_buf(),
            }));
        }
        report.freed_bytes += segment.length();
        self.drop_segment(writer, &segment)
    }

    /// Decides what becomes of one record of a segment that is being rewritten.
    fn sort_record(
        &self,
        segment: &Segment,
        at: u64,
        record: Record<'_>,
        copies: &mut Vec<Copy>,
        obsolete: &mut Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<(), CommitError> {
        let Record { kind, subject, key, value } = record;
        if kind == Kind::Retire {
            return Ok(());
        }
        let page = index::find_page(self.index.db(), subject, key)
            .map_err(|error| self.index_error(error))?;
        let Some(item) = page.as_ref().and_then(|(_, page, _)| page.find(key)) else {
            return Ok(());
        };
        if item.segment != segment.id() || item.offset != at {
            return Ok(());
        }
        match item.deleted {
            Some(last) if !self.holds_any(item.first, last, segment.id()) => {
                obsolete.push((subject.to_vec(), key.to_vec()));
            }
            _ => copies.push(Copy {
                kind,
                subject: subject.to_vec(),
                key: key.to_vec(),
                value: value.to_vec(),
            }),
        }
        Ok(())
    }

    /// Whether there is a segment in `first..=last` other than `except`.
    fn holds_any(&self, first: u64, last: u64, except: u64) -> bool {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        first <= last
            && segments
                .range((Bound::Included(first), Bound::Included(last)))
                .any(|(id, _)| *id != except)
    }

    /// Removes a segment that the durable head has retired.
    fn drop_segment(&self, writer: &mut Writer, segment: &Arc<Segment>) -> Result<(), CommitError> {
        writer.used.remove(&segment.id());
        writer.compaction.swept = false;
        self.segments.write().unwrap_or_else(PoisonError::into_inner).remove(&segment.id());
        segment
            .remove(&self.segments_dir, self.options.barrier)
            .inspect_err(|_| writer.poisoned = true)?;
        Ok(())
    }

    /// Drops from the index the deletes that no longer keep anything down, if they are many and a segment was
    /// retired since it was last done. Reads the whole index; true if there may be segments to rewrite now.
    fn sweep_deletes(&self, writer: &mut Writer) -> Result<bool, CommitError> {
        let used: u64 = writer.used.values().sum();
        if writer.compaction.swept || writer.delete_bytes <= used / 8 {
            return Ok(false);
        }
        let mut draft = Draft::new(self.index.db());
        let mut swept = Ok(());
        for page in index::pages(self.index.db(), None) {
            let (page_key, page, _) = page.map_err(|error| self.index_error(error))?;
            let subject = index::page_subject(&page_key).unwrap_or_default();
            for item in &page.items {
                let Some(last) = item.deleted else { continue };
                if !self.holds_any(item.first, last, u64::MAX) {
                    swept = swept.and_then(|()| draft.forget(subject, &item.key));
                }
            }
        }
        swept.map_err(|error| self.index_error(error))?;
        let changed = draft.is_changed();
        if changed {
            writer.poisoned = true;
            let meta = writer.meta;
            self.write_index(writer, draft, meta, meta.next_sequence)?;
            writer.poisoned = false;
        }
        writer.compaction.swept = true;
        Ok(changed)
    }
}
