//! The pure decoders of links and files.

use hundi_transport_libp2p::opening;
use hundi_transports::{ble, channel, container, frame, signal};

/// Any stream is frames up to some point, none longer than allowed, and its whole frames are the
/// beginning of the stream.
pub(crate) fn frame(bytes: &[u8]) {
    let bytes_max = bytes.first().map_or(64, |first| 16 * usize::from(*first));
    if let Ok((bodies, at_boundary)) = frame::decode_all(bytes, bytes_max) {
        let again: Vec<u8> = bodies
            .iter()
            .flat_map(|body| {
                assert!(body.len() <= bytes_max);
                frame::encode(body, bytes_max).unwrap_or_default()
            })
            .collect();
        assert!(bytes.starts_with(&again));
        assert_eq!(at_boundary, again.len() == bytes.len());
    }
}

/// A signal has one spelling.
pub(crate) fn signal(bytes: &[u8]) {
    if let Ok(signal) = signal::decode(bytes) {
        assert_eq!(signal.encode(), bytes);
    }
}

/// A file gives up its intact items; a complete one has one spelling.
pub(crate) fn container(bytes: &[u8]) {
    let Ok(contents) = container::decode(bytes) else { return };
    let items = contents.items.iter().map(Vec::as_slice);
    let whole = container::encode(items).unwrap_or_default();
    match contents.ending {
        container::Ending::Complete => assert_eq!(whole, bytes),
        container::Ending::Truncated { at } | container::Ending::Corrupt { at } => {
            assert!(whole.starts_with(&bytes[..at]));
        }
    }
}

/// Of arbitrary bytes only the first message of a handshake between strangers may be accepted.
pub(crate) fn channel(bytes: &[u8]) {
    assert!(channel::read_arbitrary(bytes) <= 1);
}

/// An opening message has one spelling.
pub(crate) fn opening(bytes: &[u8]) {
    if let Ok(decoded) = opening::decode(bytes) {
        assert_eq!(opening::encode(&decoded), bytes);
        assert!(bytes.len() <= opening::OPENING_BYTES_MAX);
    }
}

/// Nothing off the air brings a link up without its keys.
pub(crate) fn ble(bytes: &[u8]) {
    assert_eq!(ble::read_arbitrary(bytes), 0);
}
