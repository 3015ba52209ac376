//! The characteristic INFO: what a central may read of a peripheral before it says anything.
//!
//! It says which version is spoken, whether there is an L2CAP channel, and repeats the beacon for
//! systems that cannot advertise it. It holds no key and nothing that outlives the id.

use thiserror::Error;

use crate::ble::advertisement::{BEACON_BYTES, Beacon};

/// The version that this page describes.
pub const VERSION: u8 = 1;

/// Bytes of the value. A longer one is read as well: what is behind belongs to later versions.
pub const INFO_BYTES: usize = 15;

/// What a peripheral says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// The number (PSM) of its L2CAP channel, if it has one.
    pub psm: Option<u16>,
    /// Bytes of the longest unit that the channel takes.
    pub unit_bytes_max: u16,
    /// Its beacon. None while it shows a payee's session, which nothing may tie to its id.
    pub beacon: Option<Beacon>,
}

/// Why a value is no INFO. Another device, or one of another time: do not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Too short.
    #[error("INFO of {bytes} bytes; {INFO_BYTES} are needed")]
    Short {
        /// The value's length.
        bytes: usize,
    },
    /// A version that this end does not speak.
    #[error("version {version}; this end speaks {VERSION}")]
    Version {
        /// The other end's version.
        version: u8,
    },
}

impl Info {
    /// The bytes of the value.
    pub fn encode(&self) -> [u8; INFO_BYTES] {
        let mut bytes = [0; INFO_BYTES];
        bytes[0] = VERSION;
        bytes[1..3].copy_from_slice(&self.psm.unwrap_or(0).to_le_bytes());
        bytes[3..5].copy_from_slice(&self.unit_bytes_max.to_le_bytes());
        if let Some(beacon) = self.beacon {
            bytes[5..].copy_from_slice(&beacon.encode());
        }
        bytes
    }
}

/// The value as read. Pure; also an entry point for fuzzing.
///
/// # Errors
/// [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<Info, DecodeError> {
    let short = DecodeError::Short { bytes: bytes.len() };
    match bytes {
        [VERSION, a, b, c, d, rest @ ..] => {
            let beacon = rest.first_chunk::<BEACON_BYTES>().ok_or(short)?;
            let psm = u16::from_le_bytes([*a, *b]);
            let unit_bytes_max = u16::from_le_bytes([*c, *d]);
            let beacon = (*beacon != [0; BEACON_BYTES]).then(|| Beacon::decode(beacon));
            Ok(Info { psm: (psm != 0).then_some(psm), unit_bytes_max, beacon })
        }
        [] | [VERSION, ..] => Err(short),
        [version, ..] => Err(DecodeError::Version { version: *version }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_info_comes_back_also_with_more_behind_it(
            psm in proptest::option::of(1_u16..),
            unit_bytes_max in any::<u16>(),
            beacon in proptest::option::of([1_u8.., 0.., 0.., 0.., 0.., 0.., 0.., 0.., 0.., 0..]),
            more in proptest::collection::vec(any::<u8>(), 0..5),
        ) {
            let beacon = beacon.map(|beacon| Beacon::decode(&beacon));
            let info = Info { psm, unit_bytes_max, beacon };
            let mut bytes = info.encode().to_vec();
            bytes.extend(more);
            prop_assert_eq!(decode(&bytes), Ok(info));
            for cut in 0..INFO_BYTES {
                prop_assert_eq!(decode(&bytes[..cut]), Err(DecodeError::Short { bytes: cut }));
            }
        }
    }

    #[test]
    fn another_version_is_named() {
        assert_eq!(decode(&[2; 15]), Err(DecodeError::Version { version: 2 }));
        assert_eq!(decode(&[2]), Err(DecodeError::Version { version: 2 }));
    }
}
