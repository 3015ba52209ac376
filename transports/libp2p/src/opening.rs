//! The opening exchange of a link's stream: who listens where, a nonce, a verdict; and the link
//! binding that follows from it. Pure.
//!
//! libp2p authenticates and encrypts the connection with Noise but does not hand out the handshake
//! hash, so both ends exchange fresh nonces over the encrypted stream and hash them with both peer
//! ids. An outsider sees neither nonce. A peer could choose its nonce after seeing the other one,
//! as it could choose its ephemeral key in a Noise handshake: the value is unpredictable to
//! outsiders, not uniformly chosen against a peer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hundi_transports::link::HandshakeHash;
use thiserror::Error;

use crate::limits::LISTEN_ADDRESSES_MAX;

/// The version byte of the opening message.
const VERSION: u8 = 1;
const FAMILY_4: u8 = 4;
const FAMILY_6: u8 = 6;

/// Bytes of the longest opening message: version, nonce, count, IPv6 addresses with ports.
pub const OPENING_BYTES_MAX: usize = 1 + 32 + 1 + LISTEN_ADDRESSES_MAX * 19;

/// The first thing that each end says on a link's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Fresh for this stream.
    pub nonce: [u8; 32],
    /// Where the sender listens, at most [`LISTEN_ADDRESSES_MAX`].
    pub listening: Vec<SocketAddr>,
}

/// Each end's answer to the other end's opening message. A link is up when both accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The sender takes the link.
    Accept,
    /// The two peers have a link already.
    Duplicate,
    /// The receiver is not on the sender's reach list.
    NotReachable,
    /// The sender has as many links as it may.
    Full,
}

/// Why bytes are no opening message or admission. Close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Another version of this exchange.
    #[error("version {version} of the opening exchange")]
    Version {
        /// The version byte.
        version: u8,
    },
    /// Too short, too long, too many addresses, or an unknown family or code.
    #[error("not an opening message")]
    Malformed,
}

/// The bytes of an opening message; addresses beyond [`LISTEN_ADDRESSES_MAX`] are left out.
pub fn encode(opening: &Opening) -> Vec<u8> {
    let listening = &opening.listening[..opening.listening.len().min(LISTEN_ADDRESSES_MAX)];
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&opening.nonce);
    bytes.push(u8::try_from(listening.len()).unwrap_or(0));
    for address in listening {
        match address.ip() {
            IpAddr::V4(ip) => {
                bytes.push(FAMILY_4);
                bytes.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                bytes.push(FAMILY_6);
                bytes.extend_from_slice(&ip.octets());
            }
        }
        bytes.extend_from_slice(&address.port().to_le_bytes());
    }
    bytes
}

/// One opening message. Pure; also the entry point for fuzzing.
///
/// # Errors
/// [`DecodeError`]; each value has one encoding.
pub fn decode(bytes: &[u8]) -> Result<Opening, DecodeError> {
    let mut rest = bytes;
    let [version] = take(&mut rest)?;
    if version != VERSION {
        return Err(DecodeError::Version { version });
    }
    let nonce = take(&mut rest)?;
    let [count] = take(&mut rest)?;
    if usize::from(count) > LISTEN_ADDRESSES_MAX {
        return Err(DecodeError::Malformed);
    }
    let mut listening = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let [family] = take(&mut rest)?;
        let ip = match family {
            FAMILY_4 => IpAddr::V4(Ipv4Addr::from(take::<4>(&mut rest)?)),
            FAMILY_6 => IpAddr::V6(Ipv6Addr::from(take::<16>(&mut rest)?)),
            _ => return Err(DecodeError::Malformed),
        };
        listening.push(SocketAddr::new(ip, u16::from_le_bytes(take(&mut rest)?)));
    }
    if !rest.is_empty() {
        return Err(DecodeError::Malformed);
    }
    Ok(Opening { nonce, listening })
}

/// The byte of an admission.
pub fn encode_admission(admission: Admission) -> [u8; 1] {
    match admission {
        Admission::Accept => [0],
        Admission::Duplicate => [1],
        Admission::NotReachable => [2],
        Admission::Full => [3],
    }
}

/// One admission. Pure.
///
/// # Errors
/// [`DecodeError::Malformed`].
pub fn decode_admission(bytes: &[u8]) -> Result<Admission, DecodeError> {
    match bytes {
        [0] => Ok(Admission::Accept),
        [1] => Ok(Admission::Duplicate),
        [2] => Ok(Admission::NotReachable),
        [3] => Ok(Admission::Full),
        _ => Err(DecodeError::Malformed),
    }
}

/// What both ends of a stream know once the opening messages crossed.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The network tag in the protocol name.
    pub network_tag: &'a str,
    /// The peer id (as bytes) of the end that dialled.
    pub initiator: &'a [u8],
    /// The peer id of the end that was dialled.
    pub responder: &'a [u8],
    /// The initiator's nonce.
    pub initiator_nonce: [u8; 32],
    /// The responder's nonce.
    pub responder_nonce: [u8; 32],
}

impl Binding<'_> {
    /// The link's handshake hash: BLAKE3 in key derivation mode over the fields in their order,
    /// those of variable length behind a two-byte length.
    pub fn handshake_hash(&self) -> HandshakeHash {
        let mut hasher = blake3::Hasher::new_derive_key("hundi 2026 libp2p link binding v1");
        for field in [self.network_tag.as_bytes(), self.initiator, self.responder] {
            // Tags and peer ids are below 100 bytes.
            hasher.update(&u16::try_from(field.len()).unwrap_or(u16::MAX).to_le_bytes());
            hasher.update(field);
        }
        hasher.update(&self.initiator_nonce);
        hasher.update(&self.responder_nonce);
        HandshakeHash(*hasher.finalize().as_bytes())
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(DecodeError::Malformed)?;
    *rest = left;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opening() -> impl Strategy<Value = Opening> {
        let address =
            (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port));
        let listening = proptest::collection::vec(address, 0..=LISTEN_ADDRESSES_MAX);
        (any::<[u8; 32]>(), listening).prop_map(|(nonce, listening)| Opening { nonce, listening })
    }

    proptest! {
        #[test]
        fn openings_come_back(opening in opening()) {
            let bytes = encode(&opening);
            prop_assert!(bytes.len() <= OPENING_BYTES_MAX);
            prop_assert_eq!(decode(&bytes), Ok(opening));
        }

        #[test]
        fn what_decodes_has_one_encoding(
            opening in opening(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = encode(&opening);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(cut.index(bytes.len() + 1));
            if let Ok(other) = decode(&bytes) {
                prop_assert_eq!(encode(&other), bytes);
            }
        }
    }

    #[test]
    fn other_versions_and_extra_bytes_are_refused() {
        let mut bytes = encode(&Opening { nonce: [7; 32], listening: vec![] });
        bytes.push(0);
        assert_eq!(decode(&bytes), Err(DecodeError::Malformed));
        bytes[0] = 2;
        assert_eq!(decode(&bytes), Err(DecodeError::Version { version: 2 }));
        assert_eq!(decode_admission(&[4]), Err(DecodeError::Malformed));
        assert_eq!(decode_admission(&[0, 0]), Err(DecodeError::Malformed));
    }

    #[test]
    fn every_field_changes_the_binding() {
        let binding = Binding {
            network_tag: "net",
            initiator: b"one",
            responder: b"two",
            initiator_nonce: [1; 32],
            responder_nonce: [2; 32],
        };
        let hash = binding.handshake_hash();
        let others = [
            Binding { network_tag: "other", ..binding },
            Binding { initiator: b"on", responder: b"etwo", ..binding },
            Binding { initiator: b"two", responder: b"one", ..binding },
            Binding { initiator_nonce: [3; 32], ..binding },
            Binding { responder_nonce: [3; 32], ..binding },
            Binding { initiator_nonce: [2; 32], responder_nonce: [1; 32], ..binding },
        ];
        assert!(others.iter().all(|other| other.handshake_hash() != hash));
    }
}
