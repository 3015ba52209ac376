//! The device's durable store: a map from (subject, key) to bytes that survives power cuts. Append-only, checksummed
//! segment files are the truth; sled holds an index that can be rebuilt from them. A batch is in the segment and
//! synced, then in the index and behind the barrier, and only then acknowledged. Knows nothing of what it stores:
//! meaning, deadlines and pruning are left to the engine and its driver. The format is in
//! `docs/decisions/0001-store-format.md`.

pub mod barrier;
mod check;
mod codec;
mod compact;
mod error;
mod index;
mod limits;
mod open;
mod read;
mod replay;
mod salvage;
mod segment;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use barrier::Barrier;
pub use check::{CheckReport, Finding};
pub use compact::CompactReport;
pub use error::{CommitError, OpenError, ReadError};
pub use limits::{
    BATCH_BYTES_MAX, KEY_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SUBJECT_BYTES_MAX,
    VALUE_BYTES_MAX,
};
pub use open::{Damage, IndexState, OpenReport};

use barrier::DurableSled;
use codec::{
    FRAME_CLOSING_BYTES, FRAME_OPENING_BYTES, FrameBuilder, Header, Kind, Record, record_bytes,
};
use index::{Draft, IndexError, Item, Meta};
use segment::Segment;

/// How often one read may find that compaction has just moved what it wants. Each time a whole segment was rewritten,
/// so twice is rare; an index that names a segment that is not there ends here.
const MOVES_MAX: u32 = 16;

/// One change to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets the value of a key, whatever it was before.
    Put {
        /// Whose it is, at most [`SUBJECT_BYTES_MAX`] bytes.
        subject: Vec<u8>,
        /// Which of the subject's, at most [`KEY_BYTES_MAX`] bytes.
        key: Vec<u8>,
        /// What to keep, at most [`VALUE_BYTES_MAX`] bytes.
        value: Vec<u8>,
    },
    /// Removes a key; nothing happens if it is not there.
    Delete {
        /// Whose it is.
        subject: Vec<u8>,
        /// Which of the subject's.
        key: Vec<u8>,
    },
}

impl Write {
    fn parts(&self) -> (Kind, &[u8], &[u8], &[u8]) {
        match self {
            Write::Put { subject, key, value } => (Kind::Put, subject, key, value),
            Write::Delete { subject, key } => (Kind::Delete, subject, key, &[]),
        }
    }
}

/// Keys of one subject and their values.
pub type Values = Vec<(Vec<u8>, Vec<u8>)>;

/// A point that a batch has reached on its way to being acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing of it is on disk yet.
    Begun,
    /// Its segment frame is durable.
    SegmentDurable,
    /// sled has the index, but the barrier has not been passed.
    IndexWritten,
    /// Everything is durable; the call is about to return.
    Durable,
}

/// Called on the committing thread with the batch's sequence number, compaction's own batches included. It may block.
pub type Observer = Arc<dyn Fn(u64, Phase) + Send + Sync>;

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// sled's cache, bytes (default 16 MiB).
    pub cache_bytes: u64,
    /// A segment that would grow beyond this is closed and a new one begun, bytes (default 64 MiB).
    pub segment_bytes: u64,
    /// [`Barrier::Off`] loses data at a power cut; for tests only.
    pub barrier: Barrier,
    /// Read what can be read of a damaged store. Writes nothing, answers [`CommitError::Salvage`] to every commit, and
    /// may show an older value where a newer one was lost: copy what is found into a new store, trust nothing else.
    pub salvage: bool,
    /// A closed segment with less than this share in use is rewritten by [`Store::compact`], percent (default 50).
    pub used_percent_min: u8,
    /// Told how far each batch has come: for power-cut rigs and timing.
    pub observer: Option<Observer>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            cache_bytes: 16 * 1024 * 1024,
            segment_bytes: 64 * 1024 * 1024,
            barrier: Barrier::Full,
            salvage: false,
            used_percent_min: 50,
            observer: None,
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StoreOptions")
            .field("cache_bytes", &self.cache_bytes)
            .field("segment_bytes", &self.segment_bytes)
            .field("barrier", &self.barrier)
            .field("salvage", &self.salvage)
            .field("used_percent_min", &self.used_percent_min)
            .finish_non_exhaustive()
    }
}

/// Sizes of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Keys that have a value.
    pub items: u64,
    /// Segment files.
    pub segments: u64,
    /// Bytes of all segment files.
    pub segment_bytes: u64,
    /// Bytes of them that are in use: values, and deletes that still keep an older value down.
    pub used_bytes: u64,
    /// Bytes of sled's files.
    pub index_bytes: u64,
    /// Sequence number that the next batch gets: batches ever written, compaction's included.
    pub next_sequence: u64,
}

/// An open store. One handle per directory, shared by reference between threads; every call blocks.
pub struct Store {
    dir: PathBuf,
    segments_dir: PathBuf,
    options: StoreOptions,
    index: DurableSled,
    segments: RwLock<BTreeMap<u64, Arc<Segment>>>,
    writer: Mutex<Writer>,
    /// Held for as long as the store is open; the lock goes with the handle.
    _lock: File,
}

/// What only the one that writes may touch.
struct Writer {
    head: Arc<Segment>,
    meta: Meta,
    /// Bytes in use per segment.
    used: BTreeMap<u64, u64>,
    /// Bytes of deletes among them.
    delete_bytes: u64,
    poisoned: bool,
    compaction: compact::Progress,
}

impl Store {
    /// Opens or creates the store in `dir` (mode 0700, locked for one process). Brings the index up to date or
    /// rebuilds it if it is missing, damaged or behind; removes a batch at the very end that was never acknowledged.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<(Store, OpenReport), OpenError> {
        open::open(dir, options)
    }

    /// Writes a batch whole or not at all, in order, and returns when it is durable: after any crash from then on
    /// all of it is there; before, all or nothing. A read beside it may see it a moment earlier. Any failure but
    /// [`CommitError::Limit`], [`CommitError::Salvage`] and [`CommitError::Read`] poisons the store: it is then
    /// unknown until the store is opened again whether the batch was written.
    pub fn commit(&self, batch: &[Write]) -> Result<(), CommitError> {
        let mut bytes = FRAME_OPENING_BYTES + FRAME_CLOSING_BYTES;
        for write in batch {
            let (_, subject, key, value) = write.parts();
            within("subject", subject.len(), SUBJECT_BYTES_MAX)?;
            within("key", key.len(), KEY_BYTES_MAX)?;
            within("value", value.len(), VALUE_BYTES_MAX)?;
            bytes += record_bytes(subject.len(), key.len(), value.len());
        }
        within("batch", bytes, BATCH_BYTES_MAX)?;
        let mut writer = self.writer()?;
        self.append(&mut writer, bytes, |builder, draft, segment| {
            for write in batch {
                let (kind, subject, key, value) = write.parts();
                let record = Record { kind, subject, key, value };
                if kind == Kind::Put {
                    let offset = builder.push(&record);
                    draft.put(subject, key, segment, offset, value.len())?;
                } else if draft.is_live(subject, key)? {
                    let offset = builder.push(&record);
                    draft.delete(subject, key, segment, offset)?;
                }
            }
            Ok(())
        })
    }

    /// The value of a key.
    pub fn get(&self, subject: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        for _ in 0..MOVES_MAX {
            let page = index::find_page(self.index.db(), subject, key)
                .map_err(|error| self.index_error(error))?;
            let Some(item) = page.as_ref().and_then(|(_, page, _)| page.find(key)) else {
                return Ok(None);
            };
            if item.deleted.is_some() {
                return Ok(None);
            }
            // Compaction may have moved the record since the index was asked; then the index says where to.
            let Some(segment) = self.segment(item.segment) else { continue };
            let bytes = segment.read(item.offset, index::item_bytes(subject, item) as usize)?;
            let record = bytes.as_ref().and_then(|bytes| read_item(&segment, subject, item, bytes));
            let Some(record) = record else {
                return Err(ReadError::Corrupt { path: segment.path.clone(), offset: item.offset });
            };
            return Ok(Some(record.value.to_vec()));
        }
        Err(ReadError::IndexCorrupt { path: self.index.dir().to_path_buf() })
    }

    /// The keys of a subject that have a value, ascending.
    pub fn keys(&self, subject: &[u8]) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut keys = Vec::new();
        for page in index::pages(self.index.db(), Some(subject)) {
            let (_, page, _) = page.map_err(|error| self.index_error(error))?;
            keys.extend(
                page.items.into_iter().filter(|item| item.deleted.is_none()).map(|item| item.key),
            );
        }
        Ok(keys)
    }

    /// The subjects that have a key, shorter ones first, then ascending.
    pub fn subjects(&self) -> impl Iterator<Item = Result<Vec<u8>, ReadError>> + '_ {
        let mut last: Option<Vec<u8>> = None;
        index::pages(self.index.db(), None).filter_map(move |page| {
            let (page_key, page, _) = match page {
                Ok(page) => page,
                Err(error) => return Some(Err(self.index_error(error))),
            };
            let subject = index::page_subject(&page_key)?;
            let live = page.items.iter().any(|item| item.deleted.is_none());
            if !live || last.as_deref() == Some(subject) {
                return None;
            }
            last = Some(subject.to_vec());
            last.clone().map(Ok)
        })
    }

    /// Sizes, for a status page.
    pub fn stats(&self) -> Result<StoreStats, ReadError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let index_bytes =
            self.index.db().size_on_disk().map_err(|error| self.index_error(error.into()))?;
        Ok(StoreStats {
            items: writer.meta.items,
            segments: segments.len() as u64,
            segment_bytes: segments.values().map(|segment| segment.length()).sum(),
            used_bytes: writer.used.values().sum(),
            index_bytes,
            next_sequence: writer.meta.next_sequence,
        })
    }

    /// The directory that the store was opened in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn segment(&self, id: u64) -> Option<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn index_error(&self, error: IndexError) -> ReadError {
        let path = self.index.dir().to_path_buf();
        match error {
            IndexError::Damaged => ReadError::IndexCorrupt { path },
            IndexError::Sled(source) => ReadError::Index { path, source },
        }
    }

    /// The right to write, if writing is possible at all.
    fn writer(&self) -> Result<MutexGuard<'_, Writer>, CommitError> {
        if self.options.salvage {
            return Err(CommitError::Salvage { dir: self.dir.clone() });
        }
        match self.writer.lock() {
            Ok(writer) if !writer.poisoned => Ok(writer),
            _ => Err(CommitError::Poisoned { dir: self.dir.clone() }),
        }
    }

    /// Appends one frame that `build` fills, and returns when it is durable. The one place where data is written.
    fn append(
        &self,
        writer: &mut Writer,
        bytes_max: usize,
        build: impl FnOnce(&mut FrameBuilder, &mut Draft<'_>, u64) -> Result<(), IndexError>,
    ) -> Result<(), CommitError> {
        if writer.head.length() > writer.head.start()
            && writer.head.length() + bytes_max as u64 > self.options.segment_bytes
        {
            self.begin_segment(writer).inspect_err(|_| writer.poisoned = true)?;
        }
        let head = Arc::clone(&writer.head);
        let mut builder = FrameBuilder::new(head.header.key, head.length());
        let mut draft = Draft::new(self.index.db());
        build(&mut builder, &mut draft, head.id()).map_err(|error| self.index_error(error))?;
        if builder.is_empty() && !draft.is_changed() {
            return Ok(());
        }
        let sequence = writer.meta.next_sequence;
        // From here on a failure leaves the disk in an unknown state: nothing may be written after it, because a
        // later fsync can succeed although the pages of this one were thrown away.
        writer.poisoned = true;
        if builder.is_empty() {
            // Only deletes that keep nothing down were dropped from the index.
            self.write_index(writer, draft, writer.meta, sequence)?;
            writer.poisoned = false;
            return Ok(());
        }
        self.observe(sequence, Phase::Begun);
        head.append(&builder.finish(sequence), self.options.barrier)?;
        self.observe(sequence, Phase::SegmentDurable);
        let next = Meta {
            segment: head.id(),
            offset: head.length(),
            next_sequence: sequence + 1,
            ..writer.meta
        };
        self.write_index(writer, draft, next, sequence)?;
        writer.poisoned = false;
        self.observe(sequence, Phase::Durable);
        Ok(())
    }

    /// Hands a draft to sled, passes the barrier, and takes over the new sums.
    fn write_index(
        &self,
        writer: &mut Writer,
        mut draft: Draft<'_>,
        meta: Meta,
        sequence: u64,
    ) -> Result<(), CommitError> {
        let (batch, meta) = draft.finish(meta);
        self.index.db().apply_batch(batch).map_err(|source| barrier::BarrierError::Sled {
            path: self.index.dir().to_path_buf(),
            source,
        })?;
        self.observe(sequence, Phase::IndexWritten);
        self.index.wait()?;
        writer.meta = meta;
        writer.delete_bytes = writer.delete_bytes.saturating_add_signed(draft.deletes_delta);
        for (segment, delta) in draft.used_delta {
            let used = writer.used.entry(segment).or_default();
            *used = used.saturating_add_signed(delta);
        }
        Ok(())
    }

    /// Closes the head and begins a new segment.
    fn begin_segment(&self, writer: &mut Writer) -> Result<(), CommitError> {
        let header = {
            let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
            Header {
                id: writer.head.id() + 1,
                first_sequence: writer.meta.next_sequence,
                key: segment::fresh_key()?,
                older: segments.keys().copied().collect(),
            }
        };
        let segment = Arc::new(Segment::create(&self.segments_dir, header, self.options.barrier)?);
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.insert(segment.id(), Arc::clone(&segment));
        writer.head = segment;
        Ok(())
    }

    fn observe(&self, sequence: u64, phase: Phase) {
        if let Some(observer) = &self.options.observer {
            observer(sequence, phase);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn within(what: &'static str, bytes: usize, limit: usize) -> Result<(), CommitError> {
    if bytes > limit {
        return Err(CommitError::Limit { what, bytes, limit });
    }
    Ok(())
}

/// The record of an item, if the bytes are the ones that were written for this subject and key.
fn read_item<'a>(
    segment: &Segment,
    subject: &[u8],
    item: &Item,
    bytes: &'a [u8],
) -> Option<Record<'a>> {
    let record = Record::decode(&segment.header.key, item.offset, bytes)?;
    let kind = if item.deleted.is_some() { Kind::Delete } else { Kind::Put };
    (record.kind == kind && record.subject == subject && record.key == item.key).then_some(record)
}
