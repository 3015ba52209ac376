//! Every number that bounds what the other end of a link, or a file, can make us hold.
//!
//! The relations between them are asserted at compile time at the end of the file. What only
//! libp2p needs is in that crate's own `limits`.

/// Bytes of the longest message of any link. A sync message carries many items; at BLE speeds
/// (tens of kilobytes per second) 63 KiB is about one second of a contact, and a longer message
/// would only delay what comes behind it. It leaves 1 KiB below what a two-byte length can say,
/// for the tag and headers of the layers below.
pub const MESSAGE_BYTES_MAX: usize = 63 * 1024;

/// Bytes of the longest signal: a message and the byte that says that it is one.
pub const SIGNAL_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 1;

/// Bytes that the secure channel adds to a signal: the ChaCha20-Poly1305 tag.
pub const SEAL_BYTES: usize = 16;

/// Bytes of the longest frame body: a sealed signal.
pub const FRAME_BYTES_MAX: usize = SIGNAL_BYTES_MAX + SEAL_BYTES;

/// Bytes of a frame's length prefix.
pub const FRAME_PREFIX_BYTES: usize = 2;

/// Bytes of the longest handshake message, set by the Noise specification.
pub const HANDSHAKE_BYTES_MAX: usize = 65_535;

/// Bytes of the largest payload that rides in a handshake message: a payment with its grant and
/// certificates is below 4 KiB; the rest is room. The worst overhead (XX, second message: an
/// ephemeral key, a sealed static key and a tag) is 96 bytes.
pub const HANDSHAKE_PAYLOAD_BYTES_MAX: usize = 32 * 1024;

/// Messages after which each direction of a secure channel replaces its key, so that a key taken
/// from a device's memory opens at most this many earlier messages. One rekey costs about a
/// microsecond.
pub const REKEY_MESSAGES: u64 = 1 << 16;

/// Messages that one direction of a secure channel carries before the link must be replaced. Noise
/// ends at 2^64 − 1; nothing honest comes near this, and the margin leaves no edge to get wrong.
pub const CHANNEL_MESSAGES_MAX: u64 = 1 << 48;

/// Bytes accepted for sending, per direction of a memory link, that the other end has not taken
/// yet: four of the longest messages, so that one can be written while others are under way.
pub const MEMORY_WINDOW_BYTES: usize = 4 * (FRAME_BYTES_MAX + FRAME_PREFIX_BYTES);

/// Messages received but not yet taken at one end of a memory link. Bounds the bookkeeping of many
/// tiny messages, which the byte window would let through.
pub const MEMORY_WINDOW_MESSAGES: usize = 256;

/// Bytes of one item in a file: what one message could carry.
pub const ITEM_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// Items in one file. A village's unsettled entries are thousands; a million is a country.
pub const FILE_ITEMS_MAX: usize = 1_000_000;

/// Bytes of one file, read whole into memory: a phone can spare 64 MiB for the seconds that an
/// import takes, and 200,000 payments fit.
pub const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

const _: () = assert!(FRAME_BYTES_MAX + FRAME_PREFIX_BYTES <= 65_535);
const _: () = assert!(FRAME_BYTES_MAX <= HANDSHAKE_BYTES_MAX);
const _: () = assert!(HANDSHAKE_PAYLOAD_BYTES_MAX + 96 <= HANDSHAKE_BYTES_MAX);
const _: () = assert!(HANDSHAKE_PAYLOAD_BYTES_MAX + 96 <= FRAME_BYTES_MAX);
const _: () = assert!(REKEY_MESSAGES < CHANNEL_MESSAGES_MAX);
const _: () = assert!(MEMORY_WINDOW_BYTES > FRAME_BYTES_MAX + FRAME_PREFIX_BYTES);
const _: () = assert!(ITEM_BYTES_MAX < FILE_BYTES_MAX);
