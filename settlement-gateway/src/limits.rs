//! Every number that bounds what somebody else can make the gateway hold or do, with its argument.

use std::time::Duration;

/// Items in one posted submission: as many as the bank takes at once.
pub(crate) const SUBMIT_ITEMS_MAX: usize = hundi_journal::limits::ITEMS_PER_SUBMISSION_MAX;

/// Bytes of one posted submission: [`SUBMIT_ITEMS_MAX`] items half as large again as a payment.
pub(crate) const SUBMIT_BYTES_MAX: usize = 4 << 20;

/// Bytes of posted submissions in progress at once, waiting ones included. Nobody needs a token to
/// post one, so this and [`SUBMITS_ITEMS_MAX`] bound what strangers can make the gateway hold.
pub(crate) const SUBMITS_BYTES_MAX: usize = 64 << 20;

/// What the smallest submission counts for: its connection and the buffers of that. Bounds how many
/// are in progress at once, to 1,024.
pub(crate) const SUBMIT_BYTES_MIN: usize = 64 << 10;

/// Items of posted submissions that are decoded at once, a kilobyte each; others wait.
pub(crate) const SUBMITS_ITEMS_MAX: usize = 64 << 10;

/// How long one submission may take, from its first byte to its answer: a slow line needs seconds,
/// and whoever holds a place without using it loses it.
pub(crate) const SUBMIT_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes of any other request's body: a few fields of JSON.
pub(crate) const JSON_BYTES_MAX: usize = 64 * 1024;

/// Requests that wait for the bank's thread. Each is somebody who waits for an answer, or one of
/// the submissions bounded above; beyond it they wait for a place.
pub(crate) const REQUESTS_MAX: usize = 256;

/// Items after which no further request joins a group that is prepared together. Three groups are in
/// hand at most, each with one submission beyond it: one gathered, one prepared, one decided.
pub(crate) const GROUP_ITEMS_MAX: usize = 8192;

/// Items from which on a group is prepared while the one before it is decided. Preparing fewer takes
/// less time than the disk does.
pub(crate) const AHEAD_ITEMS_MIN: usize = 256;

/// Parts that wait for one thread that prepares: a group has one for each, and two groups are
/// prepared at most.
pub(crate) const PARTS_WAITING_MAX: usize = 2;

/// Checkpoints that are drafted at once. Signing takes the tenth of a second at most, while the disk
/// is busy with what they tell of.
pub(crate) const CHECKPOINTS_AT_ONCE: usize = 2048;

/// For how long no request comes before what is due is signed: clients that wait for an answer come
/// back sooner, and one checkpoint tells of all that they hand in.
pub(crate) const CHECKPOINT_PAUSE: Duration = Duration::from_millis(10);

/// Seconds after which what is due is signed whoever comes: its payee waits for five at most.
pub(crate) const CHECKPOINT_SECONDS_MAX: u64 = 4;

/// Encoded bytes of events and records after which no further request joins a unit of work: bounds
/// the latency that its first request sees.
pub(crate) const GROUP_BYTES_MAX: usize = 4 << 20;

/// Encoded bytes of one batch of the store. A unit of work beyond it is staged in several.
pub(crate) const BATCH_BYTES_MAX: usize = 12 << 20;

/// Batches of records that wait for the mesh side. When it lags, the bank's thread waits.
pub(crate) const PUBLISH_QUEUE_MAX: usize = 64;

/// After how long at one unit of work the store counts as out of reach: a thousand times what a
/// healthy disk needs.
pub(crate) const COMMIT_STUCK: Duration = Duration::from_secs(10);

/// Bytes of an account's name.
pub(crate) const ACCOUNT_NAME_BYTES_MAX: usize = 256;

const _: () = assert!(SUBMIT_ITEMS_MAX <= SUBMITS_ITEMS_MAX);
const _: () = assert!(SUBMIT_BYTES_MAX <= SUBMITS_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX + (1 << 20) < hundi_node::store::BATCH_BYTES_MAX);
const _: () = assert!(hundi_journal::limits::EVENT_BYTES_MAX < hundi_node::store::VALUE_BYTES_MAX);
