//! Signals: what one frame says. A message of the layer above, that the sender is still there, or
//! that it leaves and why.
//!
//! One kind byte and its content; everything else is refused. Links say goodbye so that the other
//! end can tell an orderly end from a cut.

use thiserror::Error;

use crate::limits::{MESSAGE_BYTES_MAX, SIGNAL_BYTES_MAX};
use crate::link::CloseReason;

const MESSAGE: u8 = 0;
const KEEP_ALIVE: u8 = 1;
const GOODBYE: u8 = 2;

/// What one frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A message for the layer above, 1 to [`MESSAGE_BYTES_MAX`] bytes.
    Message(Vec<u8>),
    /// Nothing, but the sender is there.
    KeepAlive,
    /// The sender leaves; nothing follows.
    Goodbye(Farewell),
}

/// Why a sender leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// It closed the link or stopped.
    Closed,
    /// The receiver broke the link protocol.
    Misbehaved,
}

impl Farewell {
    /// What a sender says when its end of a link ends for `reason`. `None` where nobody is left to
    /// say it to, or where the link is torn down at once.
    pub fn of(reason: CloseReason) -> Option<Self> {
        match reason {
            CloseReason::ClosedHere | CloseReason::Stopped | CloseReason::Exhausted => {
                Some(Farewell::Closed)
            }
            CloseReason::Misbehaved => Some(Farewell::Misbehaved),
            CloseReason::ClosedThere
            | CloseReason::Cut
            | CloseReason::Silent
            | CloseReason::NotReachable
            | CloseReason::Replaced => None,
        }
    }

    /// Why the link ended, for the end that received the goodbye.
    pub fn reason(self) -> CloseReason {
        match self {
            Farewell::Closed | Farewell::Misbehaved => CloseReason::ClosedThere,
        }
    }
}

/// Why bytes are no signal. The sender breaks the protocol: close the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// No bytes, or a message without any.
    #[error("an empty signal")]
    Empty,
    /// Longer than [`SIGNAL_BYTES_MAX`].
    #[error("signal of {bytes} bytes; at most {SIGNAL_BYTES_MAX} are allowed")]
    TooLong {
        /// The signal's length.
        bytes: usize,
    },
    /// A kind or farewell that this version does not know, or bytes where none belong.
    #[error("an unknown signal")]
    Unknown,
}

impl Signal {
    /// The bytes of a signal. A message outside the allowed lengths encodes to bytes that no
    /// decoder takes: check it first with [`crate::link::check_message`].
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Signal::Message(message) => encode_message(message),
            Signal::KeepAlive => vec![KEEP_ALIVE],
            Signal::Goodbye(farewell) => vec![GOODBYE, farewell_byte(*farewell)],
        }
    }
}

/// The bytes of a message's signal, without taking the message.
pub fn encode_message(message: &[u8]) -> Vec<u8> {
    debug_assert!((1..=MESSAGE_BYTES_MAX).contains(&message.len()));
    let mut bytes = Vec::with_capacity(1 + message.len());
    bytes.push(MESSAGE);
    bytes.extend_from_slice(message);
    bytes
}

/// One signal. Pure; also the entry point for fuzzing.
///
/// # Errors
/// [`DecodeError`]: each value has one encoding, anything else is refused.
pub fn decode(bytes: &[u8]) -> Result<Signal, DecodeError> {
    if bytes.len() > SIGNAL_BYTES_MAX {
        return Err(DecodeError::TooLong { bytes: bytes.len() });
    }
    match bytes {
        [] | [MESSAGE] => Err(DecodeError::Empty),
        [MESSAGE, message @ ..] => Ok(Signal::Message(message.to_vec())),
        [KEEP_ALIVE] => Ok(Signal::KeepAlive),
        [GOODBYE, 0] => Ok(Signal::Goodbye(Farewell::Closed)),
        [GOODBYE, 1] => Ok(Signal::Goodbye(Farewell::Misbehaved)),
        _ => Err(DecodeError::Unknown),
    }
}

fn farewell_byte(farewell: Farewell) -> u8 {
    match farewell {
        Farewell::Closed => 0,
        Farewell::Misbehaved => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(0_u8..6, 0..6)) {
            if let Ok(signal) = decode(&bytes) {
                prop_assert_eq!(signal.encode(), bytes);
            }
        }
    }

    #[test]
    fn every_signal_comes_back() {
        let farewells = [Farewell::Closed, Farewell::Misbehaved];
        let mut signals: Vec<Signal> = farewells.map(Signal::Goodbye).to_vec();
        signals.push(Signal::KeepAlive);
        signals.push(Signal::Message(vec![3; MESSAGE_BYTES_MAX]));
        for signal in signals {
            assert_eq!(decode(&signal.encode()).unwrap(), signal);
        }
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        assert_eq!(decode(&[]), Err(DecodeError::Empty));
        assert_eq!(decode(&[MESSAGE]), Err(DecodeError::Empty));
        assert_eq!(decode(&[KEEP_ALIVE, 0]), Err(DecodeError::Unknown));
        assert_eq!(decode(&[GOODBYE]), Err(DecodeError::Unknown));
        assert_eq!(decode(&[GOODBYE, 2]), Err(DecodeError::Unknown));
        assert_eq!(decode(&[GOODBYE, 0, 0]), Err(DecodeError::Unknown));
        assert_eq!(decode(&[3, 1]), Err(DecodeError::Unknown));
        let bytes = SIGNAL_BYTES_MAX + 1;
        assert_eq!(decode(&vec![MESSAGE; bytes]), Err(DecodeError::TooLong { bytes }));
    }
}
