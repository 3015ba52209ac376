//! Every bound of the store, with the argument beside it. The relations between them are asserted at compile time.

/// Longest subject, bytes. A subject is an author (34) or a bank (2) with a tag byte or two; 64 leaves room.
pub const SUBJECT_BYTES_MAX: usize = 64;
/// Longest key within a subject, bytes. A key is a kind, a number and a hash (≤ 41); 64 leaves room.
pub const KEY_BYTES_MAX: usize = 64;
/// Longest value, bytes: the largest record that travels on a link fits with its envelope.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of one batch as framed on disk. A batch is one write and one checksum in memory: 16 MiB is what a
/// phone can spare, and holds 250 values of the longest kind.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of records in one frame: compaction may join a batch of the largest kind with what came before it.
pub(super) const FRAME_BODY_BYTES_MAX: usize = 2 * BATCH_BYTES_MAX;
/// Smallest segment that may be asked for, bytes: below this the directory grows faster than the data.
pub const SEGMENT_BYTES_MIN: u64 = 16 * 1024;
/// Largest segment that may be asked for, bytes: with one batch beyond it, every offset still fits 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Most segments of one store. At the default size this is 64 TiB; it bounds what a header's list can make us read.
pub(super) const SEGMENTS_MAX: u32 = 1024 * 1024;
/// A packed index page is split in two when it grows beyond this, bytes. Every batch that touches a page rewrites
/// it, so it bounds the write for a subject with many keys; a usual author (ten items) needs a quarter of it.
pub(super) const PAGE_BYTES_MAX: usize = 2048;
/// How many index pages a replay changes before it hands them to sled: bounds memory (a few MiB).
pub(super) const REPLAY_PAGES_MAX: usize = 2048;
/// How many findings a check or a salvage lists; beyond it they are counted only.
pub(super) const FINDINGS_MAX: usize = 1000;

const _: () = assert!(SUBJECT_BYTES_MAX <= u8::MAX as usize && KEY_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(VALUE_BYTES_MAX + SUBJECT_BYTES_MAX + KEY_BYTES_MAX + 1024 < BATCH_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES_MAX + 2 * (FRAME_BODY_BYTES_MAX as u64) < u32::MAX as u64);
