//! Every number that bounds what somebody else can make the gateway hold or do, with its argument.

use std::time::Duration;

/// Items in one submission posted over HTTP: verifies in some ten milliseconds, and bounds how long
/// whoever queues behind it waits. From the mesh come as many as the bank takes at once.
pub(crate) const SUBMIT_ITEMS_MAX: usize = 1024;

/// Bytes of one posted submission: [`SUBMIT_ITEMS_MAX`] items of four times a payment's size.
pub(crate) const SUBMIT_BYTES_MAX: usize = 2 << 20;

/// Submissions over HTTP in progress at once, waiting ones included. Nobody needs a token to post
/// one, so this bounds what strangers can make the gateway hold: 64 MiB with the next one's body, and
/// a kilobyte for each decoded item.
pub(crate) const SUBMITS_MAX: usize = 32;

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

const _: () = assert!(SUBMIT_ITEMS_MAX <= hundi_journal::limits::ITEMS_PER_SUBMISSION_MAX);
const _: () = assert!(BATCH_BYTES_MAX + (1 << 20) < hundi_node::store::BATCH_BYTES_MAX);
const _: () = assert!(hundi_journal::limits::EVENT_BYTES_MAX < hundi_node::store::VALUE_BYTES_MAX);
