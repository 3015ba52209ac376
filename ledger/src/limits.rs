//! Every number that bounds what somebody else can make us hold or compute, with its argument.
//!
//! The relations between them are asserted at compile time at the end of the file.

/// Bytes of the largest item (any record with its tag byte). A checkpoint with a full list of
/// names is the largest record; everything else is far below.
pub const ITEM_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the largest sealed entry body. A payment's body is 127 bytes with a 16-byte memo and
/// 378 with the longest one, place and group; the rest is room for kinds that later versions define.
pub const BODY_BYTES_MAX: usize = 4 * 1024;

/// Bytes of the longest memo, as UTF-8. Its length travels in one byte.
pub const MEMO_BYTES_MAX: usize = 255;

/// Bytes of the longest verified display name or network and bank name, as UTF-8.
pub const NAME_BYTES_MAX: usize = 64;

/// Banks that one network definition may number.
pub const BANKS_MAX: usize = 1024;

/// Earlier certificates that one certificate may limit. A bank rotates keys a few times a year.
pub const HONOURS_MAX: usize = 64;

/// Certificates held per bank: the newest ones. Older ones sign nothing that is still live.
pub const CERTIFICATES_PER_BANK_MAX: usize = 16;

/// Grants held per author besides the enrolment grant: the highest serials. A daily renewal with
/// the default claim period of eight days keeps nine alive; each may be up to 400 bytes.
pub const GRANTS_PER_AUTHOR_MAX: usize = 16;

/// How far beyond the frontier of its checkpoint an author's entries are carried at most
/// (DESIGN §3, `carry_to`). The window that bounds what a certified flooder can place.
pub const CARRY_WINDOW: u32 = 64;

/// Names in one checkpoint: 64 decided, what is settled beyond the frontier (at most the window),
/// and outcomes other than settled until their claim-until. At 21 bytes each the record stays
/// below [`ITEM_BYTES_MAX`]; a gateway whose list is full does not raise `carry_to`.
pub const NAMES_MAX: usize = 512;

/// Decided entries that a checkpoint always names (DESIGN §3).
pub const NAMES_DECIDED: usize = 64;

/// Branches (different headers at one sequence number) that the core and cache hold of one
/// author and sequence. Two prove the contradiction; more are the bank's business, not a relay's.
pub const BRANCHES_MAX: usize = 2;

/// Entries of proven authors held in the cache, per author: best effort for their payees.
pub const CACHE_ENTRIES_PER_AUTHOR_MAX: usize = 16;

/// Authors outside its scope of which a replica for a small budget holds something: what a phone
/// carries across a market for others. Each has at most its grants and 16 entries, some 12 KB.
pub const OUTSIDE_AUTHORS_MAX: usize = 256;

/// Receipts held in the cache per signer: the window of one merchant's unsettled receipts.
pub const CACHE_RECEIPTS_PER_SIGNER_MAX: usize = 128;

/// Allowed payees and categories in a grant's policy.
pub const POLICY_LIST_MAX: usize = 16;

/// Serials that one checkpoint lists as live.
pub const LIVE_SERIALS_MAX: usize = GRANTS_PER_AUTHOR_MAX + 1;

/// Entry signatures of one proven author that one sync session verifies (invariant I8).
pub const PROVEN_VERIFICATIONS_PER_SESSION_MAX: u32 = 3;

const _: () = assert!(NAMES_MAX >= NAMES_DECIDED + CARRY_WINDOW as usize);
const _: () = assert!(NAMES_MAX * 21 + LIVE_SERIALS_MAX * 14 + 256 <= ITEM_BYTES_MAX);
const _: () = assert!(BODY_BYTES_MAX + 256 <= ITEM_BYTES_MAX);
const _: () = assert!(BRANCHES_MAX >= 2);
const _: () = assert!(HONOURS_MAX >= CERTIFICATES_PER_BANK_MAX);
