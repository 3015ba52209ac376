//! What a device says on the air before anybody connects, to the byte, and what it reads there.
//!
//! A node of the mesh advertises a beacon: a fingerprint of what it holds, salted with an id that
//! is random and short-lived. Who holds the same computes the same fingerprint under that id and
//! need not connect. A payee advertises the session of its QR code instead. Nothing here is stable:
//! id, salt and address are replaced together.

/// The service of every hundi device, as it is written; on the air UUIDs are the other way round.
pub const SERVICE: [u8; 16] = *b"\x8f\x1d\x51\xa0\x5c\x3a\x4b\x7e\x9d\x62\x68\x75\x6e\x64\x69\x00";

/// The characteristic to which a central writes without response.
pub const WRITE: [u8; 16] = with_last(1);

/// The characteristic whose notifications a central subscribes to.
pub const NOTIFY: [u8; 16] = with_last(2);

/// The characteristic that a central may read, see [`crate::ble::info`].
pub const INFO: [u8; 16] = with_last(3);

/// Bytes of a legacy advertisement, which every radio can send and hear.
pub const ADVERTISEMENT_BYTES_MAX: usize = 31;

/// Bytes of a beacon.
pub const BEACON_BYTES: usize = 10;

/// Bytes of an extended advertisement's longest report; more is not looked at.
const REPORT_BYTES_MAX: usize = 254;

/// AD structure types of the Bluetooth assigned numbers.
const FLAGS: u8 = 0x01;
const UUIDS_INCOMPLETE: u8 = 0x06;
const UUIDS_COMPLETE: u8 = 0x07;
const SERVICE_DATA: u8 = 0x21;

/// General discoverable, without BR/EDR.
const FLAGS_VALUE: u8 = 0x06;

const fn with_last(last: u8) -> [u8; 16] {
    let mut uuid = SERVICE;
    uuid[15] = last;
    uuid
}

/// What a node says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beacon {
    /// Of what it holds, see [`fingerprint`].
    pub fingerprint: [u8; 6],
    /// Random; also the salt of the fingerprint.
    pub id: [u8; 4],
}

impl Beacon {
    /// The bytes of a beacon.
    pub fn encode(&self) -> [u8; BEACON_BYTES] {
        let mut bytes = [0; BEACON_BYTES];
        bytes[..6].copy_from_slice(&self.fingerprint);
        bytes[6..].copy_from_slice(&self.id);
        bytes
    }

    /// A beacon; any ten bytes are one.
    pub fn decode(bytes: &[u8; BEACON_BYTES]) -> Self {
        let [a, b, c, d, e, f, id @ ..] = *bytes;
        Beacon { fingerprint: [a, b, c, d, e, f], id }
    }
}

/// The fingerprint, under an id, of what a node holds, which `held` stands for. Without `held`
/// nobody can tell it from random, nor two of one node under different ids.
pub fn fingerprint(held: &[u8; 32], id: [u8; 4]) -> [u8; 6] {
    let mut hasher = blake3::Hasher::new_derive_key("hundi 2026 ble fingerprint v1");
    hasher.update(&id);
    hasher.update(held);
    let mut fingerprint = [0; 6];
    hasher.finalize_xof().fill(&mut fingerprint);
    fingerprint
}

/// What a device advertises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advertisement {
    /// A node of the mesh.
    Mesh(Beacon),
    /// A node of the mesh whose system allows no service data (iOS): its beacon is in INFO.
    Bare,
    /// A payee that waits for the payer who scanned this session.
    Payee([u8; 16]),
}

impl Advertisement {
    /// The bytes on the air, at most [`ADVERTISEMENT_BYTES_MAX`].
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![2, FLAGS, FLAGS_VALUE];
        let mut push = |kind: u8, uuid: [u8; 16], data: &[u8]| {
            // At most 27.
            bytes.push((1 + uuid.len() + data.len()) as u8);
            bytes.push(kind);
            bytes.extend(uuid.iter().rev());
            bytes.extend_from_slice(data);
        };
        match self {
            Advertisement::Mesh(beacon) => push(SERVICE_DATA, SERVICE, &beacon.encode()),
            Advertisement::Bare => push(UUIDS_COMPLETE, SERVICE, &[]),
            Advertisement::Payee(session) => push(UUIDS_COMPLETE, *session, &[]),
        }
        bytes
    }
}

/// What of somebody's advertisement matters here. Systems that hand out fields instead of bytes
/// fill it in directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// The beacon in the service data of [`SERVICE`].
    pub beacon: Option<Beacon>,
    /// The 128-bit services it lists, as written.
    pub services: Vec<[u8; 16]>,
}

impl Sighting {
    /// Whether a node of the mesh was seen.
    pub fn is_mesh(&self) -> bool {
        self.beacon.is_some() || self.services.contains(&SERVICE)
    }
}

/// Reads any device's advertisement: structures that are not ours are passed over, and what is
/// behind a broken one is left. Pure; also an entry point for fuzzing.
pub fn decode(bytes: &[u8]) -> Sighting {
    let mut sighting = Sighting::default();
    let mut rest = &bytes[..bytes.len().min(REPORT_BYTES_MAX)];
    while let [length, behind @ ..] = rest {
        let Some((structure, behind)) = behind.split_at_checked(usize::from(*length)) else {
            break;
        };
        rest = behind;
        match structure {
            [UUIDS_INCOMPLETE | UUIDS_COMPLETE, uuids @ ..] => {
                sighting.services.extend(uuids.as_chunks::<16>().0.iter().map(as_written));
            }
            [SERVICE_DATA, data @ ..] => {
                if let Some((uuid, data)) = data.split_first_chunk::<16>()
                    && as_written(uuid) == SERVICE
                    && let Ok(beacon) = data.try_into()
                {
                    sighting.beacon = Some(Beacon::decode(beacon));
                }
            }
            _ => {}
        }
    }
    sighting
}

fn as_written(on_air: &[u8; 16]) -> [u8; 16] {
    let mut uuid = *on_air;
    uuid.reverse();
    uuid
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_advertisement_fits_and_comes_back(
            beacon in any::<[u8; 10]>(),
            session in any::<[u8; 16]>(),
        ) {
            let beacon = Beacon::decode(&beacon);
            prop_assert_eq!(Beacon::decode(&beacon.encode()), beacon);
            let mesh = Advertisement::Mesh(beacon).encode();
            prop_assert_eq!(mesh.len(), ADVERTISEMENT_BYTES_MAX);
            prop_assert_eq!(decode(&mesh), Sighting { beacon: Some(beacon), services: vec![] });
            let payee = Advertisement::Payee(session).encode();
            prop_assert_eq!(payee.len(), 21);
            prop_assert_eq!(decode(&payee), Sighting { beacon: None, services: vec![session] });
        }

        #[test]
        fn anything_on_the_air_is_read_in_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(decode(&bytes).services.len() <= REPORT_BYTES_MAX / 16);
        }
    }

    #[test]
    fn others_structures_are_passed_over() {
        let mut bytes = vec![2, 0x0a, 8, 0, 5, 0xff, 0x4c, 0, 1, 2];
        bytes.extend_from_slice(&Advertisement::Bare.encode());
        bytes.extend_from_slice(&[30, UUIDS_COMPLETE, 1]);
        let sighting = decode(&bytes);
        assert_eq!(sighting, Sighting { beacon: None, services: vec![SERVICE] });
        assert!(sighting.is_mesh());
        // Service data of another length, and of another service.
        let mut long = Advertisement::Mesh(Beacon { fingerprint: [1; 6], id: [2; 4] }).encode();
        long[3] += 1;
        long.push(0);
        assert_eq!(decode(&long), Sighting::default());
        long[3] -= 1;
        long[5] ^= 1;
        assert_eq!(decode(&long), Sighting::default());
    }

    #[test]
    fn the_same_holding_is_recognised_under_every_id_and_another_under_none() {
        let (held, other) = ([7; 32], [8; 32]);
        assert_eq!(fingerprint(&held, [1; 4]), fingerprint(&held, [1; 4]));
        assert_ne!(fingerprint(&held, [1; 4]), fingerprint(&held, [2; 4]));
        assert_ne!(fingerprint(&held, [1; 4]), fingerprint(&other, [1; 4]));
    }
}
