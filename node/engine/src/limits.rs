//! Every number that bounds what a peer or a person can make the engine hold or do, with its
//! argument. What bounds the replica itself is in [`hundi_ledger::limits`].

use hundi_ledger::limits::CARRY_WINDOW;
use hundi_ledger::sync::{CACHE_OFFERS_MAX, ITEMS_PER_TURN_MAX};

/// Links served at once. A phone keeps a handful, a gateway some dozens; each costs a session.
pub const LINKS_MAX: usize = 256;

/// Points of misbehaviour that close a link: a malformed message, an item that no honest node
/// forwards. More than one, because a peer may itself relay from a build with a defect.
pub const MISBEHAVIOUR_MAX: u32 = 8;

/// Milliseconds after which one point of misbehaviour is forgiven.
pub const MISBEHAVIOUR_FORGIVEN_MS: u64 = 60_000;

/// Items of others (entries, receipts) that a link whose peer has proved no certified key gets at
/// once. A village's day is some hundred payments: a stranger's phone takes it in one contact,
/// and whoever collects with many identities gains little beyond what one certified key gets.
pub const STRANGER_ITEMS_MAX: u32 = 1024;

/// Milliseconds after which such a link may get one more.
pub const STRANGER_ITEM_MS: u64 = 100;

/// Times a minute that such a link may have the whole core looked at. A session in which little
/// differs takes two, one in which much differs six; sessions are 15 seconds apart.
pub const STRANGER_SCANS_PER_MINUTE: u64 = 16;

/// The same for a link whose peer has proved a certified key. It has more to exchange, and a bank
/// knows whose it is; but a certified phone may be hostile too.
pub const CERTIFIED_SCANS_PER_MINUTE: u64 = 16 * STRANGER_SCANS_PER_MINUTE;

/// Authors that count as the whole core where there are fewer.
pub const SCAN_AUTHORS_MIN: u64 = 4096;

/// Entries to this device that wait for a verdict (something is missing or too early). Each keeps
/// at most 5 KB in memory and in the store.
pub const WAITING_MAX: usize = 256;

/// Undecided entries of one payer that this payee keeps records of: what the payer's window admits
/// at once. An honest payer never has more.
pub const UNDECIDED_PER_PAYER_MAX: usize = CARRY_WINDOW as usize;

/// Milliseconds after which time alone makes entries that wait be judged again.
pub const JUDGE_AGAIN_MS: u64 = 10_000;

/// Payment requests kept at once, answered and expired ones included.
pub const REQUESTS_MAX: usize = 1024;

/// Seconds that an expired request is remembered, so that a payment that comes late is answered
/// with "expired", which may be mended, and not with a signed refusal.
pub const REQUEST_KEPT_S: u32 = 7 * 24 * 3600;

/// Shared secrets kept in each of two generations: one agreement costs as much as a signature, a
/// secret 96 bytes.
pub const SHARED_SECRETS_MAX: usize = 2048;

/// Faults of banks kept as evidence. One already calls for people.
pub const FAULTS_MAX: usize = 64;

/// Items that one publish command may carry. A file of more is given in parts.
pub const PUBLISH_ITEMS_MAX: usize = 1024;

/// Payments offered again to one link when it comes up: an honest payer has fewer unanswered.
pub const OFFERS_PER_LINK_MAX: usize = 16;

/// Own items pushed to one link when a session on it has ended: entries that no core carries, and
/// receipts. The rest follows after the next session.
pub const OWN_PUSHES_MAX: usize = 128;

/// Certified peers remembered as carriers of one payment. People are shown the count; beyond this
/// it says nothing more.
pub const CARRIERS_MAX: usize = 16;

/// Milliseconds between sync sessions on one link, unless configured otherwise.
pub const SYNC_INTERVAL_MS: u64 = 15_000;

/// How often the interval doubles at most on a link on which nothing happens.
pub const SYNC_BACKOFF_MAX: u32 = 3;

/// Milliseconds without any message after which the initiator starts a session anew.
pub const SYNC_STALL_MS: u64 = 60_000;

/// One session in this many reconciles although the fingerprints are equal, so that a collision of
/// six-byte values does not last.
pub const SYNC_FORCED_ONE_IN: u8 = 16;

/// Authors kept in memory between calls unless configured otherwise: what a busy hour asks for again and again. Each takes some
/// KB, the others are read from the store when they are asked for.
pub const RESIDENT_AUTHORS_MAX: usize = 4096;

/// Summaries of authors that one call stores after a load in full: at most some MB in one persist.
pub const SUMMARIES_PER_CALL_MAX: usize = 8192;

/// Outputs of one call besides deletions: the items and messages of one sync turn, or what
/// publishing a full command sends to every link.
pub const OUTPUTS_MAX: usize = 4 * (PUBLISH_ITEMS_MAX * LINKS_MAX + ITEMS_PER_TURN_MAX);

/// Bytes of the longest engine message besides items and session messages: an offer.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(WAITING_MAX >= UNDECIDED_PER_PAYER_MAX);
const _: () = assert!(OFFERS_PER_LINK_MAX <= UNDECIDED_PER_PAYER_MAX);
const _: () = assert!(OUTPUTS_MAX > ITEMS_PER_TURN_MAX + CACHE_OFFERS_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX > hundi_ledger::offer::OFFER_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX >= hundi_ledger::sync::MESSAGE_BYTES_MAX);
