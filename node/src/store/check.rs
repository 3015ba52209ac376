//! The check of a whole store: every record against its checksum, and the index against the segments both ways.
//! Repairs nothing: opening rebuilds an index, salvage reads around damage.

use std::path::PathBuf;
use std::sync::PoisonError;

use super::Store;
use super::codec::{Kind, Record};
use super::error::ReadError;
use super::index::{self, IndexError};
use super::limits::FINDINGS_MAX;
use super::segment::{Segment, Step};

/// What [`Store::check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Segment files read.
    pub segments: u64,
    /// Whole batches in them.
    pub batches: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Keys that have a value and can be read.
    pub items: u64,
    /// What is wrong, at most 1,000 places; the store is sound if `findings_total` is 0.
    pub findings: Vec<Finding>,
    /// How many places are wrong.
    pub findings_total: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The segment file or the index directory.
    pub path: PathBuf,
    /// Where in the segment, bytes.
    pub offset: u64,
    /// What is wrong.
    pub what: &'static str,
}

impl CheckReport {
    fn find(&mut self, path: &std::path::Path, offset: u64, what: &'static str) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { path: path.to_path_buf(), offset, what });
        }
    }
}

impl Store {
    /// Reads everything and compares. Commits wait until it has ended; reads do not.
    pub fn check(&self) -> Result<CheckReport, ReadError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut report = CheckReport::default();
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner).clone();
        for segment in segments.values() {
            report.segments += 1;
            report.bytes += segment.length();
            self.check_segment(segment, &mut report)?;
        }
        // Each item was met above exactly once, at the place that the index names, if all is well.
        let (mut items, mut fingerprint) = (0u64, 0u64);
        for page in index::pages(self.index.db(), None) {
            let page = match page {
                Err(IndexError::Damaged) => {
                    report.find(self.index.dir(), 0, "a page of the index is damaged");
                    continue;
                }
                other => other.map_err(|error| self.index_error(error))?,
            };
            items += page.1.items.iter().filter(|item| item.deleted.is_none()).count() as u64;
            fingerprint = fingerprint.wrapping_add(page.2);
        }
        if items != report.items {
            report.find(self.index.dir(), 0, "the index names places where its item is not");
        }
        if items != writer.meta.items || fingerprint != writer.meta.fingerprint {
            report.find(self.index.dir(), 0, "the index does not add up to its summary");
        }
        Ok(report)
    }

    fn check_segment(&self, segment: &Segment, report: &mut CheckReport) -> Result<(), ReadError> {
        let mut walk = segment.walk(segment.start(), segment.header.first_sequence);
        loop {
            let at = walk.offset;
            match walk.step()? {
                Step::End => return Ok(()),
                Step::Frame(frame) => {
                    report.batches += 1;
                    let whole = frame.records(|offset, record| {
                        self.check_record(segment, offset, record, report)
                    })?;
                    if !whole {
                        report.find(&segment.path, at, "a record does not match its checksum");
                    }
                }
                Step::Broken => {
                    report.find(&segment.path, at, "a batch does not match its checksum");
                    for (offset, bytes) in walk.intact_records()? {
                        if let Some(record) = Record::decode(&segment.header.key, offset, &bytes) {
                            self.check_record(segment, offset, record, report)?;
                        }
                    }
                    if !walk.resynchronise()? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// A value in a segment is the one that the index names, or an earlier one of a key that the index knows.
    fn check_record(
        &self,
        segment: &Segment,
        offset: u64,
        record: Record<'_>,
        report: &mut CheckReport,
    ) -> Result<(), ReadError> {
        if record.kind != Kind::Put {
            return Ok(());
        }
        let page = match index::find_page(self.index.db(), record.subject, record.key) {
            // Counted once, when the pages are read.
            Err(IndexError::Damaged) => return Ok(()),
            other => other.map_err(|error| self.index_error(error))?,
        };
        match page.as_ref().and_then(|(_, page, _)| page.find(record.key)) {
            None => report.find(&segment.path, offset, "the index does not know this key"),
            Some(item) if (item.segment, item.offset) < (segment.id(), offset) => {
                report.find(&segment.path, offset, "the index names an older place for this key");
            }
            Some(item) if (item.segment, item.offset) == (segment.id(), offset) => {
                if item.deleted.is_none() && item.value_bytes == record.value.len() {
                    report.items += 1;
                }
            }
            Some(item) if item.first > segment.id() => {
                report.find(
                    &segment.path,
                    offset,
                    "the index forgot that this segment holds the key",
                );
            }
            Some(_) => {}
        }
        Ok(())
    }
}
