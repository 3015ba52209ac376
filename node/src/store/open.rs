//! Opening a store: the lock, which segments must be there, the torn tail, and whether the index is of use. Decides what
//! is a batch that was never acknowledged (cut off, reported) and what is damage (refused). Reading the segments into
//! the index is in `replay.rs`, reading around damage in `salvage.rs`. Nothing here runs once the store is open.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::Duration;

use super::barrier::{Barrier, BarrierError, DurableSled, sync_directory};
use super::codec::{Header, Record};
use super::error::{Failure, OpenError};
use super::index::Meta;
use super::limits::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use super::replay::{Segments, Sums, Verdict, beginning, corrupt, index_failed, replay, validate};
use super::salvage::salvage;
use super::segment::{Segment, Step, fresh_key, list_segments, segment_path};
use super::{Store, StoreOptions, Writer};

/// A store that is in use is tried again for a second.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// What [`Store::open`] found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// There was no store; an empty one was created.
    pub created: bool,
    /// What had to be done about the index.
    pub index: IndexState,
    /// Bytes cut off the end of the newest segment: a batch that was never acknowledged.
    pub torn_bytes: u64,
    /// Salvage mode only: what cannot be read, at most 1,000 places.
    pub damage: Vec<Damage>,
}

/// What had to be done about the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// Nothing: it had every batch.
    Fresh,
    /// It lacked the newest batches, which were read from the segments.
    Replayed {
        /// How many.
        batches: u64,
    },
    /// It was built anew from the segments.
    Rebuilt {
        /// Why the old one was of no use.
        reason: &'static str,
    },
}

/// A place in the segments that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub path: PathBuf,
    /// Where the damage starts, bytes; 0 if the whole file is missing or unreadable.
    pub offset: u64,
    /// How many bytes until something readable follows.
    pub bytes: u64,
}

pub(super) fn open(dir: &Path, options: StoreOptions) -> Result<(Store, OpenReport), OpenError> {
    if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&options.segment_bytes) {
        return Err(OpenError::Option {
            option: "segment_bytes",
            min: SEGMENT_BYTES_MIN,
            max: SEGMENT_BYTES_MAX,
        });
    }
    private_directory(dir, options.barrier)?;
    let lock = take_lock(dir)?;
    let segments_dir = dir.join("segments");
    private_directory(&segments_dir, options.barrier)?;
    if options.salvage {
        salvage(dir, &segments_dir, options, lock)
    } else {
        open_whole(dir, segments_dir, options, lock)
    }
}

/// Creates a directory that only its owner can enter, or closes an existing one to others.
fn private_directory(dir: &Path, barrier: Barrier) -> Result<(), OpenError> {
    let parents = dir.ancestors().skip(1);
    let missing = parents
        .clone()
        .take_while(|parent| !parent.as_os_str().is_empty() && !parent.exists())
        .count();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(Failure::at("create", dir))?;
    let mode = fs::metadata(dir).map_err(Failure::at("read", dir))?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
            .map_err(Failure::at("set permissions of", dir))?;
    }
    if barrier == Barrier::Full {
        sync_directory(dir)?;
        // Every name on the way down that may be new.
        for parent in parents.take(missing + 1) {
            sync_directory(parent)?;
        }
    }
    Ok(())
}

/// One process per store: the lock goes when the file is closed, however the process ends.
fn take_lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Failure::at("open", &path))?;
    let mut attempts = 0;
    while let Err(error) = file.try_lock() {
        match error {
            // Its holder may be just about to end; and a process that is being started anywhere in this one holds
            // every open file for a moment.
            TryLockError::WouldBlock if attempts < LOCK_ATTEMPTS => {
                attempts += 1;
                thread::sleep(LOCK_PAUSE);
            }
            TryLockError::WouldBlock => {
                let mut pid = String::new();
                let readable = file.read_to_string(&mut pid).is_ok();
                let known = readable && pid.trim().parse::<u32>().is_ok();
                let pid = if known { pid.trim().to_owned() } else { "unknown".to_owned() };
                return Err(OpenError::Locked { dir: dir.to_path_buf(), pid });
            }
            TryLockError::Error(error) => return Err(Failure::at("lock", &path)(error).into()),
        }
    }
    let pid = format!("{}\n", std::process::id());
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(pid.as_bytes()))
        .map_err(Failure::at("write", &path))?;
    Ok(file)
}

fn open_whole(
    dir: &Path,
    segments_dir: PathBuf,
    options: StoreOptions,
    lock: File,
) -> Result<(Store, OpenReport), OpenError> {
    remove_directory(&dir.join("salvage-index"))?;
    let index_dir = dir.join("index");
    let existed = index_dir.exists();
    let mut segments = Segments::new();
    for id in list_segments(&segments_dir, true)? {
        segments.insert(id, Arc::new(Segment::open(&segments_dir, id, true)?));
    }
    // Both take a while, and neither needs the other.
    let (index, walked) = thread::scope(|scope| {
        let walking = segments.values().next_back().map(|head| scope.spawn(|| walk_head(head)));
        let index = open_index(&index_dir, &options, existed);
        let walked = walking.map(|it| it.join().unwrap_or_else(|panic| resume_unwind(panic)));
        (index, walked.transpose())
    });
    let ((mut index, mut meta, mut reason), walked) = (index?, walked?);
    let missing = |id| OpenError::Missing { path: segment_path(&segments_dir, id) };
    let newest = segments.keys().next_back();
    if let Some(meta) = meta.filter(|meta| newest.is_none_or(|newest| meta.segment > *newest)) {
        return Err(missing(meta.segment));
    }
    let created = segments.is_empty();
    if created {
        let header = Header { id: 1, first_sequence: 0, key: fresh_key()?, older: Vec::new() };
        let first = Segment::create(&segments_dir, header, options.barrier)?;
        segments.insert(first.id(), Arc::new(first));
    }
    let Some(head) = segments.values().next_back().cloned() else { return Err(missing(1)) };
    let end = match walked {
        Some(walked) => settle_head(&head, walked, meta.as_ref(), &options)?,
        None => HeadEnd {
            torn_bytes: 0,
            next_sequence: head.header.first_sequence,
            retired: BTreeSet::new(),
        },
    };
    let mut required: BTreeSet<u64> = head.header.older.iter().copied().collect();
    required.retain(|id| !end.retired.contains(id));
    if let Some(id) = required.iter().find(|id| !segments.contains_key(id)) {
        return Err(missing(*id));
    }
    required.insert(head.id());
    // Retired, and the removal of the file did not reach the disk.
    let leftover: Vec<u64> = segments.keys().copied().filter(|id| !required.contains(id)).collect();
    for segment in leftover.iter().filter_map(|id| segments.remove(id)) {
        segment.remove(&segments_dir, options.barrier)?;
    }

    let mut sums = Sums::default();
    if let Some(found) = &meta {
        match validate(index.db(), found, &segments)
            .map_err(|error| index_failed(&index_dir, error))?
        {
            Verdict::Sound(found) => sums = found,
            Verdict::Useless(why) => (meta, reason) = (None, why),
            Verdict::Beyond(path, offset) => {
                return Err(OpenError::Corrupt {
                    path,
                    offset,
                    what: "acknowledged batches are missing from its end",
                });
            }
        }
    }
    let mut replayed = None;
    if let Some(found) = meta {
        let mut damage = None;
        let (end_meta, batches) = replay(&index, found, &segments, &mut sums, &mut damage)?;
        if end_meta.next_sequence == end.next_sequence {
            replayed = Some((end_meta, batches));
        } else {
            reason = "it does not belong to these segments";
        }
    }
    let (meta, state) = match replayed {
        Some((meta, 0)) => (meta, IndexState::Fresh),
        Some((meta, batches)) => (meta, IndexState::Replayed { batches }),
        None => {
            drop(index);
            remove_directory(&index_dir)?;
            index = DurableSled::open(sled_config(&options), &index_dir, options.barrier)?;
            sums = Sums::default();
            let (meta, _) = replay(&index, beginning(&segments), &segments, &mut sums, &mut None)?;
            (meta, if created { IndexState::Fresh } else { IndexState::Rebuilt { reason } })
        }
    };
    let report =
        OpenReport { created, index: state, torn_bytes: end.torn_bytes, damage: Vec::new() };
    Ok((assemble(dir, segments_dir, options, lock, index, segments, head, meta, sums), report))
}

#[expect(clippy::too_many_arguments, reason = "the parts of a store, put together in one place")]
pub(super) fn assemble(
    dir: &Path,
    segments_dir: PathBuf,
    options: StoreOptions,
    lock: File,
    index: DurableSled,
    segments: Segments,
    head: Arc<Segment>,
    meta: Meta,
    sums: Sums,
) -> Store {
    let writer = Writer {
        head,
        meta,
        used: sums.used,
        delete_bytes: sums.delete_bytes,
        poisoned: false,
        compaction: Default::default(),
    };
    Store {
        dir: dir.to_path_buf(),
        segments_dir,
        options,
        index,
        segments: RwLock::new(segments),
        writer: Mutex::new(writer),
        _lock: lock,
    }
}

pub(super) fn sled_config(options: &StoreOptions) -> sled::Config {
    sled::Config::new().cache_capacity(options.cache_bytes).mode(sled::Mode::HighThroughput)
}

pub(super) fn remove_directory(dir: &Path) -> Result<(), OpenError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::at("remove", dir)(error).into())
        }
        _ => Ok(()),
    }
}

/// sled as it is, or empty if what is there cannot be opened; how far it had come; and why it is of no use if it is.
fn open_index(
    dir: &Path,
    options: &StoreOptions,
    existed: bool,
) -> Result<(DurableSled, Option<Meta>, &'static str), OpenError> {
    let loaded = DurableSled::open(sled_config(options), dir, options.barrier).and_then(|index| {
        let meta = Meta::load(index.db());
        let meta = meta.map_err(|source| BarrierError::Sled { path: dir.to_path_buf(), source })?;
        Ok((index, meta))
    });
    match loaded {
        Ok((index, Some(meta))) => Ok((index, Some(meta), "")),
        Ok((index, None)) => {
            Ok((index, None, if existed { "it holds no summary" } else { "it was missing" }))
        }
        Err(error) if hopeless(&error) => Err(error.into()),
        Err(_) => {
            remove_directory(dir)?;
            Ok((
                DurableSled::open(sled_config(options), dir, options.barrier)?,
                None,
                "sled could not read it",
            ))
        }
    }
}

/// Whether building the index anew would fail for the same reason.
fn hopeless(error: &BarrierError) -> bool {
    let (BarrierError::Access { source, .. }
    | BarrierError::Sled { source: sled::Error::Io(source), .. }) = error
    else {
        return false;
    };
    matches!(
        source.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::WouldBlock
    )
}

/// What a walk through the newest segment found.
struct HeadWalk {
    /// Where the last whole batch ends, and the sequence number that comes next.
    end: u64,
    next_sequence: u64,
    retired: BTreeSet<u64>,
    /// Something that is no whole batch follows, and whether a whole one comes after it.
    broken: bool,
    goes_on: bool,
}

/// Reads the newest segment whole.
fn walk_head(head: &Segment) -> Result<HeadWalk, OpenError> {
    let mut retired = BTreeSet::new();
    let mut walk = head.walk(head.start(), head.header.first_sequence);
    let broken = loop {
        match walk.step()? {
            Step::End => break false,
            Step::Broken => break true,
            Step::Frame(frame) => {
                let visit = |_, record: Record<'_>| -> Result<(), Failure> {
                    retired.extend(record.retired());
                    Ok(())
                };
                if !frame.records(visit)? {
                    return Err(corrupt(head, walk.offset, "a record of a whole batch"));
                }
            }
        }
    };
    let (end, next_sequence) = (walk.offset, walk.sequence);
    let goes_on = broken && walk.resynchronise()?;
    Ok(HeadWalk { end, next_sequence, retired, broken, goes_on })
}

/// Where the newest segment ends, and which segments it retired.
struct HeadEnd {
    torn_bytes: u64,
    next_sequence: u64,
    retired: BTreeSet<u64>,
}

/// A batch at the end of the newest segment that is not whole was never acknowledged, unless the index had it already or
/// a later batch begins after it: batches are written one at a time.
fn settle_head(
    head: &Segment,
    walked: HeadWalk,
    meta: Option<&Meta>,
    options: &StoreOptions,
) -> Result<HeadEnd, OpenError> {
    let HeadWalk { end, next_sequence, retired, broken, goes_on } = walked;
    let acknowledged = meta.filter(|meta| meta.segment == head.id()).map_or(0, |meta| meta.offset);
    let mut torn_bytes = 0;
    if broken {
        if acknowledged > end || goes_on {
            return Err(corrupt(head, end, "an acknowledged batch"));
        }
        torn_bytes = head.length() - end;
        head.truncate(end, options.barrier)?;
    } else if acknowledged > end {
        return Err(corrupt(head, end, "acknowledged batches are missing from its end"));
    }
    Ok(HeadEnd { torn_bytes, next_sequence, retired })
}
