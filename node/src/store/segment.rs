//! One segment file: creating it whole, appending a frame, reading a record, walking its frames. Which segments make
//! up a store, and what their records mean, is left to `open.rs` and `index.rs`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::barrier::{Barrier, sync_directory};
use super::codec::{
    FRAME_OPENING_BYTES, HEADER_FIXED_BYTES, Header, HeaderError, Opening, Record,
    find_frame_magic, frame_holds,
};
use super::error::{Failure, OpenError};
use super::limits::FRAME_BODY_BYTES_MAX;

const WINDOW_BYTES: usize = 1024 * 1024;

/// An open segment file. `length` is the end of its last whole frame.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) header: Header,
    pub(super) path: PathBuf,
    file: File,
    header_bytes: u64,
    length: AtomicU64,
}

/// The file name of a segment.
pub(super) fn segment_path(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:016x}.segment"))
}

/// The segment ids in a directory, ascending. Unfinished new segments (never used) are removed if `clean`.
pub(super) fn list_segments(dir: &Path, clean: bool) -> Result<Vec<u64>, Failure> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir).map_err(Failure::at("list", dir))? {
        let path = entry.map_err(Failure::at("list", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if clean && name.ends_with(".new") {
            fs::remove_file(&path).map_err(Failure::at("remove", &path))?;
        }
        let Some(number) = name.strip_suffix(".segment") else { continue };
        if let Ok(id) = u64::from_str_radix(number, 16) {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

impl Segment {
    /// Creates a segment: its header is durable under a temporary name before it gets its own, so that a file with a
    /// segment's name always has a whole header.
    pub(super) fn create(dir: &Path, header: Header, barrier: Barrier) -> Result<Segment, Failure> {
        let path = segment_path(dir, header.id);
        let new_path = path.with_extension("new");
        let bytes = header.encode();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new_path)
            .map_err(Failure::at("create", &new_path))?;
        file.write_all_at(&bytes, 0).map_err(Failure::at("write", &new_path))?;
        if barrier == Barrier::Full {
            file.sync_all().map_err(Failure::at("sync", &new_path))?;
        }
        fs::rename(&new_path, &path).map_err(Failure::at("rename", &new_path))?;
        if barrier == Barrier::Full {
            sync_dir(dir)?;
        }
        let header_bytes = bytes.len() as u64;
        Ok(Segment { header, path, file, header_bytes, length: AtomicU64::new(header_bytes) })
    }

    /// Opens an existing segment; `length` is the file's until [`Segment::set_length`].
    pub(super) fn open(dir: &Path, id: u64, writable: bool) -> Result<Segment, OpenError> {
        let path = segment_path(dir, id);
        let file = OpenOptions::new()
            .read(true)
            .write(writable)
            .open(&path)
            .map_err(Failure::at("open", &path))?;
        let length = file.metadata().map_err(Failure::at("read", &path))?.len();
        let damaged = |error| match error {
            HeaderError::Format(version) => {
                OpenError::Format { path: path.clone(), version, known: super::codec::FORMAT }
            }
            HeaderError::Damaged => {
                OpenError::Corrupt { path: path.clone(), offset: 0, what: "the header" }
            }
        };
        let read = |bytes: usize| -> Result<Vec<u8>, OpenError> {
            if bytes as u64 > length {
                return Err(damaged(HeaderError::Damaged));
            }
            let mut buffer = vec![0; bytes];
            file.read_exact_at(&mut buffer, 0).map_err(Failure::at("read", &path))?;
            Ok(buffer)
        };
        let header_bytes = Header::length(&read(HEADER_FIXED_BYTES)?).map_err(damaged)?;
        let header = Header::decode(&read(header_bytes)?).map_err(damaged)?;
        if header.id != id {
            return Err(damaged(HeaderError::Damaged));
        }
        Ok(Segment {
            header,
            file,
            header_bytes: header_bytes as u64,
            length: AtomicU64::new(length),
            path,
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.header.id
    }

    /// Where its first frame starts.
    pub(super) fn start(&self) -> u64 {
        self.header_bytes
    }

    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    pub(super) fn set_length(&self, length: u64) {
        self.length.store(length, Ordering::Release);
    }

    /// Appends one frame at the end and, with the barrier, makes it durable.
    pub(super) fn append(&self, frame: &[u8], barrier: Barrier) -> Result<(), Failure> {
        let offset = self.length();
        self.file.write_all_at(frame, offset).map_err(Failure::at("write", &self.path))?;
        if barrier == Barrier::Full {
            self.file.sync_data().map_err(Failure::at("sync", &self.path))?;
        }
        self.set_length(offset + frame.len() as u64);
        Ok(())
    }

    /// Cuts a torn tail off, durably.
    pub(super) fn truncate(&self, length: u64, barrier: Barrier) -> Result<(), Failure> {
        self.file.set_len(length).map_err(Failure::at("truncate", &self.path))?;
        if barrier == Barrier::Full {
            self.file.sync_all().map_err(Failure::at("sync", &self.path))?;
        }
        self.set_length(length);
        Ok(())
    }

    /// Removes the file; handles that are open stay readable.
    pub(super) fn remove(&self, dir: &Path, barrier: Barrier) -> Result<(), Failure> {
        fs::remove_file(&self.path).map_err(Failure::at("remove", &self.path))?;
        if barrier == Barrier::Full {
            sync_dir(dir)?;
        }
        Ok(())
    }

    /// The bytes at `offset`, or `None` beyond the end.
    pub(super) fn read(&self, offset: u64, bytes: usize) -> Result<Option<Vec<u8>>, Failure> {
        let mut buffer = vec![0; bytes];
        match self.file.read_exact_at(&mut buffer, offset) {
            Ok(()) => Ok(Some(buffer)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(Failure::at("read", &self.path)(error)),
        }
    }

    /// A reader for many neighbouring places.
    pub(super) fn window(&self) -> Window<'_> {
        Window { segment: self, start: 0, bytes: Vec::new() }
    }

    /// A walk over the frames from `offset` to the end, expecting `sequence` first.
    pub(super) fn walk(&self, offset: u64, sequence: u64) -> Walk<'_> {
        Walk { window: self.window(), offset, sequence }
    }
}

fn sync_dir(dir: &Path) -> Result<(), Failure> {
    sync_directory(dir).map_err(|error| match error {
        super::barrier::BarrierError::Access { doing, path, source } => {
            Failure { doing, path, source }
        }
        super::barrier::BarrierError::Sled { path, source } => {
            Failure { doing: "sync", path, source: io::Error::other(source) }
        }
    })
}

/// Reads neighbouring places of a segment through one buffer.
pub(super) struct Window<'a> {
    segment: &'a Segment,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The bytes at `offset`, or `None` where they reach beyond the segment's length.
    pub(super) fn get(&mut self, offset: u64, bytes: usize) -> Result<Option<&[u8]>, Failure> {
        let (end, length) = (offset + bytes as u64, self.segment.length());
        if end > length {
            return Ok(None);
        }
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            let fill = bytes.max(WINDOW_BYTES).min((length - offset) as usize);
            self.bytes.resize(fill, 0);
            self.start = offset;
            if let Err(error) = self.segment.file.read_exact_at(&mut self.bytes, offset) {
                self.bytes.clear();
                if error.kind() == io::ErrorKind::UnexpectedEof {
                    return Ok(None);
                }
                return Err(Failure::at("read", &self.segment.path)(error));
            }
        }
        let from = (offset - self.start) as usize;
        Ok(self.bytes.get(from..from + bytes))
    }
}

/// A walk over the frames of one segment.
pub(super) struct Walk<'a> {
    window: Window<'a>,
    pub(super) offset: u64,
    pub(super) sequence: u64,
}

/// What a walk meets next.
pub(super) enum Step<'a> {
    Frame(Frame<'a>),
    /// The segment ends exactly here.
    End,
    /// No whole frame with the expected sequence number starts here.
    Broken,
}

/// A whole frame whose tags hold.
pub(super) struct Frame<'a> {
    segment: &'a Segment,
    body_offset: u64,
    body: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Steps over one frame.
    pub(super) fn step(&mut self) -> Result<Step<'_>, Failure> {
        let (segment, offset) = (self.window.segment, self.offset);
        if offset == segment.length() {
            return Ok(Step::End);
        }
        let Some(opening) = self.opening()? else { return Ok(Step::Broken) };
        if opening.sequence != self.sequence {
            return Ok(Step::Broken);
        }
        let Some(frame) = self.window.get(offset, opening.frame_bytes())? else {
            return Ok(Step::Broken);
        };
        if !frame_holds(&segment.header.key, offset, frame) {
            return Ok(Step::Broken);
        }
        self.offset += opening.frame_bytes() as u64;
        self.sequence += 1;
        Ok(Step::Frame(Frame {
            segment,
            body_offset: offset + FRAME_OPENING_BYTES as u64,
            body: &frame[FRAME_OPENING_BYTES..FRAME_OPENING_BYTES + opening.body_bytes],
        }))
    }

    fn opening(&mut self) -> Result<Option<Opening>, Failure> {
        let (key, offset) = (self.window.segment.header.key, self.offset);
        let bytes = self.window.get(offset, FRAME_OPENING_BYTES)?;
        Ok(bytes.and_then(|bytes| Opening::decode(&key, offset, bytes)))
    }

    /// After `Broken`: looks for a later frame whose opening holds, and moves there if there is one. A chosen value
    /// cannot pass for one, because the tags are keyed and bound to their place.
    pub(super) fn resynchronise(&mut self) -> Result<bool, Failure> {
        let segment = self.window.segment;
        let mut from = self.offset + 1;
        while from < segment.length() {
            let take = ((segment.length() - from) as usize).min(WINDOW_BYTES);
            let Some(bytes) = self.window.get(from, take)? else { return Ok(false) };
            let found = find_frame_magic(bytes, 0);
            let Some(at) = found else {
                // The magic may lie across the border of two windows.
                from += (take as u64).saturating_sub(3).max(1);
                continue;
            };
            let candidate = from + at as u64;
            let opening = segment
                .read(candidate, FRAME_OPENING_BYTES)?
                .and_then(|bytes| Opening::decode(&segment.header.key, candidate, &bytes));
            match opening {
                Some(opening) if opening.sequence >= self.sequence => {
                    (self.offset, self.sequence) = (candidate, opening.sequence);
                    return Ok(true);
                }
                _ => from = candidate + 1,
            }
        }
        Ok(false)
    }

    /// After `Broken`, for salvage: the records at the start of the broken frame that hold on their own, copied out
    /// with their offsets.
    pub(super) fn intact_records(&mut self) -> Result<Vec<(u64, Vec<u8>)>, Failure> {
        let segment = self.window.segment;
        let mut at = self.offset + FRAME_OPENING_BYTES as u64;
        let mut records = Vec::new();
        while at < segment.length() && at - self.offset < FRAME_BODY_BYTES_MAX as u64 {
            let take = ((segment.length() - at) as usize).min(2 * super::limits::VALUE_BYTES_MAX);
            let Some(bytes) = self.window.get(at, take)? else { break };
            let Some(record) = Record::decode(&segment.header.key, at, bytes) else { break };
            let length = record.bytes();
            records.push((at, bytes[..length].to_vec()));
            at += length as u64;
        }
        Ok(records)
    }
}

impl<'a> Frame<'a> {
    /// Calls `visit` with each record and its offset in the segment; false if a record inside is malformed, which a
    /// frame that we wrote never has.
    pub(super) fn records<E>(
        &self,
        mut visit: impl FnMut(u64, Record<'a>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut at = 0;
        while at < self.body.len() {
            let offset = self.body_offset + at as u64;
            let Some(record) = Record::decode(&self.segment.header.key, offset, &self.body[at..])
            else {
                return Ok(false);
            };
            at += record.bytes();
            visit(offset, record)?;
        }
        Ok(true)
    }
}

/// A fresh key for a segment's checksums.
pub(super) fn fresh_key() -> Result<super::codec::TagKey, Failure> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| Failure {
        doing: "read entropy from",
        path: PathBuf::from("the operating system"),
        source: io::Error::other(error),
    })?;
    Ok(key)
}
