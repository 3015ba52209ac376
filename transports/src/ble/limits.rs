//! Every number that bounds what a device in radio reach can make us hold or do, and every time
//! of the protocol, each with its argument. `docs/ble.md` repeats those that another
//! implementation must know.

use crate::limits::{FRAME_BYTES_MAX, FRAME_PREFIX_BYTES, MESSAGE_BYTES_MAX};

/// Bytes of the shortest fragment that a radio may be limited to: ATT begins at an MTU of 23, of
/// which 3 are its own header.
pub const FRAGMENT_BYTES_MIN: usize = 20;

/// Bytes of the longest fragment, on an L2CAP channel: what Linux takes as one unit without asking.
/// GATT ends at 512, the longest attribute.
pub const FRAGMENT_BYTES_MAX: usize = 2_048;

/// Fragments under way in one direction. At an MTU of 185 and a round trip of 90 ms they are
/// 64 kB/s, about what such a phone's radio carries; a payment's first message, 9 fragments, always
/// goes in one flight.
pub const WINDOW_FRAGMENTS: u64 = 32;

/// Fragments after which a receiver acknowledges at once: a quarter of the window, so that a sender
/// never stops for an acknowledgement that was only late.
pub const ACK_FRAGMENTS: u64 = WINDOW_FRAGMENTS / 4;

/// How long an acknowledgement waits for data to ride with. One to two connection intervals of a
/// phone (30 ms), and well below the shortest time after which anybody sends again.
pub const ACK_DELAY_MS: u64 = 60;

/// Transmissions acknowledged after a fragment's own from which the fragment counts as lost. With
/// EATT a stack spreads fragments over up to five bearers; 8 is beyond what they overtake.
pub const OVERTAKEN_MAX: u64 = 8;

/// The time after which a fragment is sent again before a round trip was measured. A phone may
/// begin with an interval of 50 ms and skip several events.
pub const RESEND_FIRST_MS: u64 = 1_000;

/// The shortest time after which a fragment is sent again: the delay of an acknowledgement and
/// four connection intervals of 30 ms, with room for a busy phone.
pub const RESEND_MIN_MS: u64 = 250;

/// The longest time between two attempts. In the 10 s of an opening each fragment has six, and over
/// air that loses every fifth the opening then fails once in 300 times; with 4 s it has four, and
/// fails once in 100.
pub const RESEND_MAX_MS: u64 = 2_000;

/// The fewest fragments under way that losses reduce a sender to: with fewer every round trip would
/// wait for an acknowledgement that waits for more.
pub const FLIGHT_MIN: u64 = ACK_FRAGMENTS;

/// Bytes of the longest handshake message, and of any frame before the other end has shown that it
/// is alive and holds its key. A payment with 64 names in its checkpoint is below 3 KiB.
pub const OPENING_FRAME_BYTES_MAX: usize = 4_096;

/// Bytes that a receiver keeps of fragments that came too early, before the other end is
/// authenticated. With the frame that is being put together, one stranger holds 8 KiB.
pub const OPENING_EARLY_BYTES_MAX: usize = 4_096;

/// The longest payload that rides in the first message of a known payee: the longest frame without
/// what Noise IK adds.
pub const FIRST_PAYLOAD_BYTES_MAX: usize = OPENING_FRAME_BYTES_MAX - 96;

/// Bytes that arrived in order and that the layer above has not taken, before the sender is stopped:
/// about a second of the radio.
pub const INBOX_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// Bytes accepted for sending that have not left as fragments yet.
pub const OUTBOX_BYTES_MAX: usize = 2 * (FRAME_BYTES_MAX + FRAME_PREFIX_BYTES);

/// How long a link may take to come up, and to show after it that the other end is not a replay.
/// Cold phones need below 1.5 s; 10 s leaves room for a radio that is shared with a headset.
pub const OPENING_MS: u64 = 10_000;

/// How long an answer waits for the layer above, so that handshake and receipt leave together: a
/// payee verifies and makes durable in some 30 ms.
pub const ANSWER_WAIT_MS: u64 = 100;

/// How long nothing may be heard although something is expected, before a link is given up.
pub const SILENCE_MS: u64 = 15_000;

/// Without anything to say an end says that it is there this often, so that a link on which nobody
/// speaks is not taken for a dead one. A radio that is awake for its connection events anyway
/// spends next to nothing on it.
pub const KEEP_ALIVE_MS: u64 = 5_000;

/// How long a closing end waits for the other end to have heard everything.
pub const CLOSING_MS: u64 = 1_000;

/// Connections at once, whoever began them. Phones promise no more than 7, and headsets and watches
/// want some of them.
pub const CONNECTIONS_MAX: usize = 4;

/// Devices remembered for back-off. A market square; the longest unseen goes first.
pub const CONTACTS_MAX: usize = 256;

const _: () = assert!(WINDOW_FRAGMENTS <= 32, "an acknowledgement's bitmap has 32 bits");
const _: () = assert!(ACK_DELAY_MS + 4 * 30 < RESEND_MIN_MS);
const _: () = assert!(RESEND_MIN_MS < RESEND_FIRST_MS && RESEND_FIRST_MS < RESEND_MAX_MS);
const _: () = assert!(3 * RESEND_MAX_MS < SILENCE_MS);
const _: () = assert!(2 * KEEP_ALIVE_MS < SILENCE_MS);
const _: () = assert!(ANSWER_WAIT_MS + ACK_DELAY_MS < RESEND_MIN_MS);
const _: () = assert!(OUTBOX_BYTES_MAX > FRAME_BYTES_MAX + FRAME_PREFIX_BYTES);
const _: () = assert!(FLIGHT_MIN <= WINDOW_FRAGMENTS);
