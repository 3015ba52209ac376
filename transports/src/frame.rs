//! Frames: how whole messages travel over a stream of bytes.
//!
//! A frame is a two-byte little-endian length and that many bytes. The decoder is pure, holds at
//! most one incomplete frame, and refuses a length above its limit before it reserves anything.
//! What a frame of length zero means is left to the link; the codec carries it.

use thiserror::Error;

use crate::limits::{FRAME_BYTES_MAX, FRAME_PREFIX_BYTES};

/// Why a body was not framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("frame body of {bytes} bytes; at most {bytes_max} are allowed")]
pub struct EncodeError {
    /// The body's length.
    pub bytes: usize,
    /// The limit.
    pub bytes_max: usize,
}

/// Why a stream is not a sequence of frames. The stream cannot be resumed: close the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A length above the limit: garbage, another protocol, or an attack.
    #[error("frame of {bytes} bytes announced; at most {bytes_max} are allowed")]
    TooLong {
        /// The announced length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}

/// Frames one body, which may be empty.
///
/// # Errors
/// When the body is longer than `bytes_max` or [`FRAME_BYTES_MAX`].
pub fn encode(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, EncodeError> {
    let bytes_max = bytes_max.min(FRAME_BYTES_MAX);
    let length = match u16::try_from(body.len()) {
        Ok(length) if body.len() <= bytes_max => length,
        _ => return Err(EncodeError { bytes: body.len(), bytes_max }),
    };
    let mut frame = Vec::with_capacity(FRAME_PREFIX_BYTES + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(body);
    Ok(frame)
}

/// Takes a byte stream in pieces of any size and gives back whole frame bodies.
#[derive(Debug)]
pub struct Decoder {
    bytes_max: usize,
    prefix: [u8; FRAME_PREFIX_BYTES],
    prefix_filled: usize,
    body: Vec<u8>,
    body_wanted: Option<usize>,
    failed: Option<DecodeError>,
}

impl Decoder {
    /// A decoder for a stream at its beginning. `bytes_max` bounds one body; it is lowered to
    /// [`FRAME_BYTES_MAX`].
    pub fn new(bytes_max: usize) -> Self {
        Decoder {
            bytes_max: bytes_max.min(FRAME_BYTES_MAX),
            prefix: [0; FRAME_PREFIX_BYTES],
            prefix_filled: 0,
            body: Vec::new(),
            body_wanted: None,
            failed: None,
        }
    }

    /// Takes bytes from the front of `input` up to the end of the next whole frame. `None` means
    /// that all of `input` was taken and the frame goes on; call again with more.
    ///
    /// # Errors
    /// [`DecodeError`], and the same again on every later call.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let wanted = match self.body_wanted {
            Some(wanted) => wanted,
            None => {
                while self.prefix_filled < FRAME_PREFIX_BYTES {
                    let Some((first, rest)) = input.split_first() else {
                        return Ok(None);
                    };
                    self.prefix[self.prefix_filled] = *first;
                    self.prefix_filled += 1;
                    *input = rest;
                }
                let wanted = usize::from(u16::from_le_bytes(self.prefix));
                if wanted > self.bytes_max {
                    let error = DecodeError::TooLong { bytes: wanted, bytes_max: self.bytes_max };
                    self.failed = Some(error);
                    return Err(error);
                }
                self.body_wanted = Some(wanted);
                wanted
            }
        };
        let (taken, rest) = input.split_at(input.len().min(wanted - self.body.len()));
        self.body.extend_from_slice(taken);
        *input = rest;
        if self.body.len() < wanted {
            return Ok(None);
        }
        self.prefix_filled = 0;
        self.body_wanted = None;
        Ok(Some(core::mem::take(&mut self.body)))
    }

    /// Whether the stream may end here: not inside a frame. An end anywhere else is a cut.
    pub fn is_at_boundary(&self) -> bool {
        self.prefix_filled == 0 && self.failed.is_none()
    }

    /// How many more bytes the current frame is known to need: what a reader may ask its stream
    /// for without taking anything of the frame after.
    pub fn bytes_wanted(&self) -> usize {
        match self.body_wanted {
            Some(wanted) => wanted - self.body.len(),
            None => FRAME_PREFIX_BYTES - self.prefix_filled,
        }
    }
}

/// Decodes a whole stream at once: the bodies of its whole frames and whether it ended between
/// two frames. Pure; the entry point for fuzzing.
///
/// # Errors
/// As [`Decoder::next`].
pub fn decode_all(mut input: &[u8], bytes_max: usize) -> Result<(Vec<Vec<u8>>, bool), DecodeError> {
    let mut decoder = Decoder::new(bytes_max);
    let mut bodies = Vec::new();
    while let Some(body) = decoder.next(&mut input)? {
        bodies.push(body);
        if input.is_empty() {
            break;
        }
    }
    Ok((bodies, decoder.is_at_boundary()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_split_of_the_stream_gives_the_same_frames(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let stream: Vec<u8> =
                bodies.iter().flat_map(|body| encode(body, 40).unwrap()).collect();
            let mut cuts: Vec<usize> =
                cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(stream.len());
            let mut decoder = Decoder::new(40);
            let mut seen = Vec::new();
            let mut from = 0;
            for to in cuts {
                let mut piece = &stream[from..to];
                while !piece.is_empty() {
                    if let Some(body) = decoder.next(&mut piece).unwrap() {
                        seen.push(body);
                    }
                }
                from = to;
            }
            prop_assert_eq!(seen, bodies);
            prop_assert!(decoder.is_at_boundary());
        }

        #[test]
        fn garbage_is_bounded_and_never_panics(input in proptest::collection::vec(any::<u8>(), 0..4096)) {
            if let Ok((bodies, _)) = decode_all(&input, 64) {
                prop_assert!(bodies.iter().all(|body| body.len() <= 64));
            }
        }
    }

    #[test]
    fn the_longest_frame_passes_and_one_byte_more_does_not() {
        let longest = vec![7; FRAME_BYTES_MAX];
        let stream = encode(&longest, usize::MAX).unwrap();
        assert_eq!(decode_all(&stream, usize::MAX).unwrap(), (vec![longest], true));
        assert!(encode(&vec![7; FRAME_BYTES_MAX + 1], usize::MAX).is_err());
        let announced = u16::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes();
        assert_eq!(
            decode_all(&announced, usize::MAX),
            Err(DecodeError::TooLong { bytes: FRAME_BYTES_MAX + 1, bytes_max: FRAME_BYTES_MAX })
        );
    }

    #[test]
    fn a_failed_decoder_stays_failed() {
        let mut decoder = Decoder::new(4);
        let mut input: &[u8] = &[5, 0, 1, 2, 3, 4, 5, 1, 0, 9];
        assert!(decoder.next(&mut input).is_err());
        assert!(decoder.next(&mut input).is_err());
        assert!(!decoder.is_at_boundary());
    }

    #[test]
    fn an_end_inside_a_frame_is_not_a_boundary() {
        let stream = encode(b"whole", 16).unwrap();
        for cut in 1..stream.len() {
            assert_eq!(decode_all(&stream[..cut], 16).unwrap(), (vec![], false), "cut at {cut}");
        }
    }
}
