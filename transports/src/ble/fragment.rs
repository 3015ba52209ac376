//! Fragments: what one write, one notification or one L2CAP unit says.
//!
//! A fragment carries a numbered piece of the sender's byte stream, an acknowledgement, both, or
//! that the sender gives the link up. The two bytes in front hold the number and what follows, so
//! that a payment's first message needs no write more than its bytes do. Which link a fragment
//! belongs to is left to the layer above.

use thiserror::Error;

use crate::ble::limits::{FRAGMENT_BYTES_MAX, WINDOW_FRAGMENTS};

/// Numbers on the wire wrap around here. 128 times the window: a fragment must be older than 4,000
/// others before it could pass for a new one.
pub const NUMBERS: u64 = 1 << 12;

/// Bytes in front of a piece of stream.
pub const HEADER_BYTES: usize = 2;

const DATA: u16 = 1;
const ACK: u16 = 2;
const RESET: u16 = 4;
const FIRST: u16 = 8;

/// What a fragment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment<'a> {
    /// A piece of the stream, an acknowledgement, or both; never neither.
    Parts {
        /// What the sender has received.
        ack: Option<Ack>,
        /// What it has to say.
        data: Option<Data<'a>>,
    },
    /// The sender has given the link up: forget it.
    Reset,
}

/// A numbered piece of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// Its number modulo [`NUMBERS`]; the first of a stream is 0.
    pub number: u16,
    /// Whether it is the first of its stream, not one that comes round to 0 again. So an end that
    /// began anew on an old connection is noticed.
    pub first: bool,
    /// 1 byte or more.
    pub bytes: &'a [u8],
}

/// What an end has received, and how much more it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The number, modulo [`NUMBERS`], of the first fragment that is missing.
    pub next: u16,
    /// How many fragments from `next` on the sender of this has room for.
    pub room: u8,
    /// Bit n: fragment `next` + 1 + n has arrived, too.
    pub beyond: u32,
}

/// Why bytes are no fragment. No honest end sends them: end the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It ends too early, or says nothing.
    #[error("a fragment that is too short")]
    Short,
    /// Longer than [`FRAGMENT_BYTES_MAX`].
    #[error("fragment of {bytes} bytes; at most {FRAGMENT_BYTES_MAX} are allowed")]
    TooLong {
        /// The fragment's length.
        bytes: usize,
    },
    /// Another spelling of what has one, or a kind that this version does not know.
    #[error("a fragment that nobody writes like this")]
    Unknown,
}

impl Ack {
    /// Bytes that it adds to a fragment.
    pub fn encoded_bytes(&self) -> usize {
        3 + self.bitmap_bytes()
    }

    fn bitmap_bytes(&self) -> usize {
        4 - self.beyond.leading_zeros() as usize / 8
    }

    fn encode(&self, to: &mut Vec<u8>) {
        let bitmap = self.bitmap_bytes();
        // At most 4, so it fits the upper bits.
        let word = (self.next & 0x0fff) | ((bitmap as u16) << 12);
        to.extend_from_slice(&word.to_le_bytes());
        to.push(self.room);
        to.extend_from_slice(&self.beyond.to_le_bytes()[..bitmap]);
    }

    /// The acknowledgement at the front of `bytes`, and what is behind it.
    fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let [low, high, room, rest @ ..] = bytes else {
            return Err(DecodeError::Short);
        };
        let word = u16::from_le_bytes([*low, *high]);
        let bitmap = usize::from(word >> 12);
        if bitmap > 4 || u64::from(*room) > WINDOW_FRAGMENTS {
            return Err(DecodeError::Unknown);
        }
        let (given, rest) = rest.split_at_checked(bitmap).ok_or(DecodeError::Short)?;
        if given.last() == Some(&0) {
            return Err(DecodeError::Unknown);
        }
        let mut beyond = [0; 4];
        beyond[..bitmap].copy_from_slice(given);
        let beyond = u32::from_le_bytes(beyond);
        Ok((Ack { next: word & 0x0fff, room: *room, beyond }, rest))
    }
}

impl Fragment<'_> {
    /// The bytes of a fragment.
    pub fn encode(&self) -> Vec<u8> {
        let (ack, data) = match self {
            Fragment::Parts { ack, data } => (ack, data),
            Fragment::Reset => return (RESET << 12).to_le_bytes().to_vec(),
        };
        let mut word = 0;
        if ack.is_some() {
            word |= ACK << 12;
        }
        if let Some(data) = data {
            word |= (DATA << 12) | (data.number & 0x0fff);
            if data.first {
                word |= FIRST << 12;
            }
        }
        let mut bytes = word.to_le_bytes().to_vec();
        if let Some(ack) = ack {
            ack.encode(&mut bytes);
        }
        if let Some(data) = data {
            bytes.extend_from_slice(data.bytes);
        }
        bytes
    }
}

/// One fragment. Pure; also an entry point for fuzzing.
///
/// # Errors
/// [`DecodeError`]: each fragment has one spelling, anything else is refused.
pub fn decode(bytes: &[u8]) -> Result<Fragment<'_>, DecodeError> {
    if bytes.len() > FRAGMENT_BYTES_MAX {
        return Err(DecodeError::TooLong { bytes: bytes.len() });
    }
    let [low, high, rest @ ..] = bytes else {
        return Err(DecodeError::Short);
    };
    let word = u16::from_le_bytes([*low, *high]);
    let (flags, number) = (word >> 12, word & 0x0fff);
    if flags == RESET {
        let alone = number == 0 && rest.is_empty();
        return if alone { Ok(Fragment::Reset) } else { Err(DecodeError::Unknown) };
    }
    let (has_data, has_ack, first) = (flags & DATA != 0, flags & ACK != 0, flags & FIRST != 0);
    if flags & RESET != 0 || (!has_data && (number != 0 || first)) || (first && number != 0) {
        return Err(DecodeError::Unknown);
    }
    let (ack, rest) = if has_ack {
        let (ack, rest) = Ack::decode(rest)?;
        (Some(ack), rest)
    } else {
        (None, rest)
    };
    match (has_data, rest) {
        (true, []) => Err(DecodeError::Short),
        (true, bytes) => Ok(Fragment::Parts { ack, data: Some(Data { number, first, bytes }) }),
        (false, []) if has_ack => Ok(Fragment::Parts { ack, data: None }),
        (false, []) => Err(DecodeError::Short),
        (false, _) => Err(DecodeError::Unknown),
    }
}

/// A number on the wire as a distance from `from`, forwards or backwards, whichever is nearer.
pub fn distance(from: u64, number: u16) -> i64 {
    let ahead = u64::from(number).wrapping_sub(from) % NUMBERS;
    let signed = i64::try_from(ahead).unwrap_or(0);
    if ahead < NUMBERS / 2 { signed } else { signed - NUMBERS as i64 }
}

/// A number as it is on the wire.
pub fn wire(number: u64) -> u16 {
    (number % NUMBERS) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn acks() -> impl Strategy<Value = Ack> {
        (0_u16..4096, 0_u8..=32, prop_oneof![Just(0), any::<u32>(), 0_u32..70_000])
            .prop_map(|(next, room, beyond)| Ack { next, room, beyond })
    }

    proptest! {
        #[test]
        fn every_fragment_comes_back(
            ack in proptest::option::of(acks()),
            number in 0_u16..4096,
            first in any::<bool>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let first = first && number == 0;
            let data = (!bytes.is_empty()).then_some(Data { number, first, bytes: &bytes });
            prop_assume!(ack.is_some() || data.is_some());
            let fragment = Fragment::Parts { ack, data };
            let encoded = fragment.encode();
            let ack_bytes = ack.map_or(0, |ack| ack.encoded_bytes());
            prop_assert_eq!(encoded.len(), HEADER_BYTES + ack_bytes + bytes.len());
            prop_assert_eq!(decode(&encoded), Ok(fragment));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            if let Ok(fragment) = decode(&bytes) {
                prop_assert_eq!(fragment.encode(), bytes);
            }
        }

        #[test]
        fn numbers_are_near_what_is_expected(from in any::<u32>(), step in -2048_i64..2048) {
            let from = u64::from(from) + 4096;
            let number = from.checked_add_signed(step).unwrap();
            prop_assert_eq!(distance(from, wire(number)), step);
        }
    }

    #[test]
    fn what_is_no_fragment_is_refused() {
        let flags = |flags: u16, number: u16| ((flags << 12) | number).to_le_bytes().to_vec();
        let with = |mut bytes: Vec<u8>, more: &[u8]| {
            bytes.extend_from_slice(more);
            bytes
        };
        assert_eq!(decode(&[]), Err(DecodeError::Short));
        assert_eq!(decode(&[0]), Err(DecodeError::Short));
        assert_eq!(decode(&flags(0, 0)), Err(DecodeError::Short));
        assert_eq!(decode(&flags(0, 1)), Err(DecodeError::Unknown));
        assert_eq!(decode(&flags(DATA, 0)), Err(DecodeError::Short));
        assert_eq!(decode(&with(flags(DATA | FIRST, 1), b"x")), Err(DecodeError::Unknown));
        assert_eq!(decode(&with(flags(ACK, 0), &[0, 0])), Err(DecodeError::Short));
        assert_eq!(decode(&with(flags(ACK, 0), &[0, 0, 33])), Err(DecodeError::Unknown));
        assert_eq!(decode(&with(flags(ACK, 0), &[0, 0x50, 0])), Err(DecodeError::Unknown));
        assert_eq!(decode(&with(flags(ACK, 0), &[0, 0x10, 0])), Err(DecodeError::Short));
        assert_eq!(decode(&with(flags(ACK, 0), &[0, 0x10, 0, 0])), Err(DecodeError::Unknown));
        assert_eq!(decode(&with(flags(ACK, 0), &[0, 0, 0, 9])), Err(DecodeError::Unknown));
        assert_eq!(decode(&flags(RESET | ACK, 0)), Err(DecodeError::Unknown));
        assert_eq!(decode(&flags(RESET, 0)), Ok(Fragment::Reset));
        assert_eq!(decode(&with(flags(RESET, 0), &[0])), Err(DecodeError::Unknown));
        let bytes = FRAGMENT_BYTES_MAX + 1;
        assert_eq!(decode(&vec![0; bytes]), Err(DecodeError::TooLong { bytes }));
    }
}
