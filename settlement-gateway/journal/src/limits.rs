//! Every number that bounds what somebody else can make the bank hold, wait for or compute, with
//! its argument.

/// Items in one submission: enough that a larger batch verifies no faster. It is one unit of work.
pub const ITEMS_PER_SUBMISSION_MAX: usize = 8_192;

/// Items that make a part of preparing worth a thread of its own: smaller batches share little work.
pub const PART_ITEMS_MIN: usize = 64;

/// Items of one batch when one of a larger batch was forged: so many others are verified singly.
pub const VERIFIED_AGAIN_TOGETHER: usize = 64;

/// Seconds after a grant's claim-until in which a receipt may still disclose the key of an entry
/// that reached the bank in time (DESIGN §3: seven days).
pub const DISCLOSURE_SECONDS: u64 = 7 * 24 * 3_600;

/// Seconds for which a refund that spends nothing waits for its original or for a balance to pay
/// it from: a grant's default life and claim period, after which the original cannot arrive.
pub const REFUND_WAIT_SECONDS: u64 = 8 * 24 * 3_600;

/// Entries of one author that wait: for a disclosure, or as refunds for an original or a balance.
/// A payee gives its receipt along with the entry, so that an honest author's count stays near
/// zero; 256 is four windows.
pub const UNDECIDED_PER_AUTHOR_MAX: usize = 256;

/// Entries of one author recorded from its first contradiction on. Beyond it a contradicting
/// entry is answered with the proof and not recorded, so that one key cannot fill the store.
pub const AFTER_PROOF_PER_AUTHOR_MAX: usize = 1_024;

/// Receipts of one signer that wait for their entry, the window of one merchant's cache.
pub const WAITING_RECEIPTS_PER_SIGNER_MAX: usize = 128;

/// Receipts that wait for one entry: its payee's, and those of a few who only claim to be.
pub const WAITING_RECEIPTS_PER_ENTRY_MAX: usize = 4;

/// Ids of signed records remembered per author and for bulletins, to recognise a second content
/// under one version.
pub const REMEMBERED_VERSIONS: usize = 16;

/// Shared secrets kept in each of two generations, by the bank and by every thread that prepares for
/// it: one agreement costs more than a verification, a secret 96 bytes.
pub const SHARED_SECRETS_MAX: usize = 32_768;

/// Transactions that one event may carry when it is read back: a settlement has at most two.
pub const TRANSACTIONS_PER_EVENT_MAX: usize = 8;

/// Bytes of the largest event when it is read back: an item and what stands around it.
pub const EVENT_BYTES_MAX: usize = 2 * hundi_ledger::limits::ITEM_BYTES_MAX;

/// Basis of a payee's share of one customer's guarantee, over all its cases, in percent of the
/// guarantee: the cap per payee of DESIGN §4 (3), so that no single payee empties it.
pub const GUARANTEE_PER_PAYEE_PERCENT: u8 = 50;

const _: () = assert!(ITEMS_PER_SUBMISSION_MAX >= hundi_ledger::limits::CARRY_WINDOW as usize);
const _: () = assert!(
    UNDECIDED_PER_AUTHOR_MAX >= 2 * hundi_ledger::limits::CARRY_WINDOW as usize,
    "an honest window never meets the bound"
);
