//! Every bound and every time of this driver, each with its argument. Those of the protocol are in
//! `hundi_transports::ble::limits`.

use std::time::Duration;

use hundi_transports::ble::limits::FRAGMENT_BYTES_MAX;
use hundi_transports::limits::FRAME_PREFIX_BYTES;

/// Notes of tasks that the owner has not read. At most 2 KiB each: half a megabyte. Who writes to a
/// full queue waits (so its socket fills, and the other end stops), or leaves the value out as if
/// the air had lost it.
pub(crate) const NOTES_WINDOW: usize = 256;

/// Notes that the owner takes before the radio answers any: as many as one link has fragments under
/// way. One acknowledgement then covers what has arrived together.
pub(crate) const NOTES_AT_ONCE: usize = 32;

/// Commands that the owner has not read. Callers wait.
pub(crate) const COMMANDS_WINDOW: usize = 16;

/// Events that the driver above has not read. Beyond it links are paused.
pub(crate) const EVENTS_WINDOW: usize = 16;

/// Messages of one link that the owner has not taken. One is taken while one is written.
pub(crate) const MESSAGES_WINDOW: usize = 2;

/// Notifications handed over and not yet given to BlueZ, over all connections. What does not fit is
/// left out as if the air had lost it; four connections with eight each never fill it.
pub(crate) const NOTIFICATIONS_WINDOW: usize = 64;

/// Bytes of the longest unit that this end's channel takes: the longest fragment and its length.
pub(crate) const UNIT_BYTES_MAX: u16 = (FRAGMENT_BYTES_MAX + FRAME_PREFIX_BYTES) as u16;

/// Bytes of the longest attribute value, and so of a notification.
pub(crate) const VALUE_BYTES_MAX: usize = 512;

/// Bytes of the longest write. BlueZ up to 5.66 at least counts the handle's two bytes as the
/// value's, and drops what is longer without a word.
pub(crate) const WRITE_BYTES_MAX: usize = 510;

/// Bytes of ATT around a notified value: opcode and handle, and the length, which BlueZ adds for
/// centrals that take several values in one. It would cut the value off rather than say so.
pub(crate) const NOTIFICATION_HEADER_BYTES: usize = 5;

/// The lowest handle of this end's service; those that BlueZ gives itself are below.
pub(crate) const HANDLE_MIN: u16 = 128;

/// How many places the service may have: two starts have the same once in so many. All of them are
/// below 1,024: above, BlueZ fails to compute the database's hash (it hands the kernel a buffer per
/// handle, and that takes no more), without which no central looks anew at all.
pub(crate) const HANDLES: u16 = 110;

/// Handles from one place to the next: the service's attributes.
pub(crate) const HANDLES_APART: u16 = 8;

/// Channels that wait to be accepted.
pub(crate) const BACKLOG: u32 = 4;

/// How long a connection may take to be made, discovery included: what `docs/ble.md` promises the
/// radio.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of it a channel whose number was known beforehand may take, so that time is left to
/// fall back to GATT.
pub(crate) const CHANNEL_TIMEOUT: Duration = Duration::from_secs(4);

/// How long BlueZ may take to answer anything else. It answers in milliseconds; one that takes
/// longer hangs.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a device is disconnected and forgotten anew if BlueZ does not answer. It was seen to
/// hang for half a minute; what it then still holds on to, it would hide.
pub(crate) const RELEASE_TRIES: usize = 10;

/// How long a stopping driver waits for devices to be disconnected and forgotten. BlueZ lets two
/// seconds pass before it disconnects one.
pub(crate) const RELEASED_WITHIN: Duration = Duration::from_secs(4);

/// How long what was handed over before a connection is ended may take to leave.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// How long BlueZ has to take the last value of a connection out of its socket.
pub(crate) const LAST_VALUE: Duration = Duration::from_millis(100);

/// How long the calls that take back what was registered with BlueZ have to leave when the driver
/// stops. What does not leave goes with the connection to the bus.
pub(crate) const FAREWELL: Duration = Duration::from_millis(100);

/// How often the daemon and the adapter are asked whether they are still there: most changes are
/// told, but not that the daemon was killed.
pub(crate) const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// The first wait after an adapter could not be opened or was lost, in milliseconds. A daemon that
/// restarts takes about a second.
pub(crate) const RETRY_MS: u64 = 500;

/// The longest wait. Somebody who has just switched Bluetooth on looks at the screen.
pub(crate) const RETRY_MS_MAX: u64 = 4_000;

/// How long a discovery that was dropped is given to end before it is asked again whether it has.
pub(crate) const DISCOVERY_ENDS: Duration = Duration::from_millis(10);

/// The same for an advertisement that was taken back.
pub(crate) const WITHDRAWAL_ENDS: Duration = Duration::from_millis(5);

/// How long the next advertisement waits for that at most. BlueZ takes milliseconds, if it is asked.
pub(crate) const WITHDRAWN_WITHIN: Duration = Duration::from_millis(500);

/// How long a scan or an advertisement that BlueZ refused is left alone.
pub(crate) const REFUSED_WAIT: Duration = Duration::from_secs(1);

/// How often what is on the air is put there anew although nobody ordered it. When connections come
/// and go quickly the kernel was seen to stop advertising while BlueZ holds that it goes on: without
/// this any central that hangs up at once could make a payee invisible for good. Somebody waits.
pub(crate) const RENEWED_EVERY_FAST: Duration = Duration::from_secs(5);

/// The same while nobody waits: a contact more or less.
pub(crate) const RENEWED_EVERY: Duration = Duration::from_secs(20);

/// Advertising intervals while somebody waits.
pub(crate) const FAST_INTERVAL: (Duration, Duration) =
    (Duration::from_millis(20), Duration::from_millis(100));

/// Advertising intervals otherwise.
pub(crate) const SLOW_INTERVAL: (Duration, Duration) =
    (Duration::from_millis(900), Duration::from_millis(1_100));
