//! Listening: starts and stops BlueZ's discovery as ordered, and says what was seen.

use std::collections::{HashMap, HashSet};

use bluer::{
    Adapter, AdapterEvent, AddressType, DiscoveryFilter, DiscoveryTransport, ErrorKind, Session,
    Uuid,
};
use futures::{Stream, StreamExt};
use hundi_transports::ble::advertisement::{BEACON_BYTES, Beacon, SERVICE, Sighting};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::address::uuid;
use crate::limits::{CALL_TIMEOUT, DISCOVERY_ENDS, REFUSED_WAIT};
use crate::note::Note;

/// A service that every device has and none advertises.
const GENERIC_ACCESS: Uuid = Uuid::from_u128(0x00001800_0000_1000_8000_00805f9b34fb);

/// Whom to listen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Nodes of the mesh.
    Mesh,
    /// A payee, for whom somebody waits.
    Payee,
}

/// Whether to listen; the number makes a repeated order another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) listen: Option<For>,
}

pub(crate) async fn run(
    adapter: Adapter,
    mut orders: watch::Receiver<Order>,
    notes: mpsc::Sender<Note>,
) {
    let mut own = renewed(&adapter).await;
    loop {
        let order = *orders.borrow_and_update();
        if let Some(whom) = order.listen {
            tokio::select! {
                changed = orders.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                () = listen(&own, whom, &notes) => {}
            }
            own = renewed(&adapter).await;
            // It has ended by itself. The radio orders the next one.
            sleep(REFUSED_WAIT).await;
            if notes.send(Note::ScanLost).await.is_err() {
                return;
            }
        }
        if orders.changed().await.is_err() {
            return;
        }
    }
}

/// The adapter by a connection to the bus of its own. A start that BlueZ has refused may count as
/// one nevertheless, and every further one is then refused as already in progress; with the
/// connection that is forgotten.
async fn renewed(adapter: &Adapter) -> Adapter {
    let opening = async { Session::new().await?.adapter(adapter.name()) };
    match timeout(CALL_TIMEOUT, opening).await {
        Ok(Ok(renewed)) => renewed,
        _ => adapter.clone(),
    }
}

/// Listens until BlueZ ends it; dropped, it stops.
async fn listen(adapter: &Adapter, whom: For, notes: &mpsc::Sender<Note>) {
    let (stop, stopped) = oneshot::channel();
    // A start must not be given up halfway: BlueZ would listen for ever, and refuse every other
    // start of ours as already in progress.
    let listening = tokio::spawn(listen_until(adapter.clone(), whom, notes.clone(), stopped));
    if let Err(error) = listening.await {
        tracing::debug!(%error, "the scan has failed");
    }
    drop(stop);
}

async fn listen_until(
    adapter: Adapter,
    whom: For,
    notes: mpsc::Sender<Note>,
    stopped: oneshot::Receiver<()>,
) {
    // By UUID BlueZ would leave out nodes of the mesh, whose service is only in their service data.
    let transport = DiscoveryTransport::Le;
    let filter = DiscoveryFilter { transport, duplicate_data: true, ..Default::default() };
    let starting = async {
        // The one before ends a moment after it was dropped. To begin again is the point.
        while let Err(error) = adapter.set_discovery_filter(filter.clone()).await {
            if error.kind != ErrorKind::DiscoveryActive {
                return Err(error);
            }
            sleep(DISCOVERY_ENDS).await;
        }
        adapter.discover_devices_with_changes().await
    };
    // However long it takes: the bus itself gives up a daemon that hangs.
    let mut seen = match starting.await {
        Ok(seen) => Box::pin(seen),
        Err(error) => return tracing::debug!(%error, "no scan"),
    };
    tracing::debug!(adapter = adapter.name(), "scanning");
    let seeing = see(&adapter, whom, &mut seen, &notes);
    tokio::select! {
        () = seeing => {}
        // Nobody ever says so: it is dropped.
        _ = stopped => {}
    }
}

async fn see(
    adapter: &Adapter,
    whom: For,
    seen: &mut (impl Stream<Item = AdapterEvent> + Unpin),
    notes: &mpsc::Sender<Note>,
) {
    while let Some(event) = seen.next().await {
        let AdapterEvent::DeviceAdded(address) = event else { continue };
        let sighting = match timeout(CALL_TIMEOUT, look(adapter, whom, address)).await {
            Ok(Ok(Some(sighting))) => sighting,
            // Gone again, or only remembered from earlier.
            Ok(_) => continue,
            Err(_) => return,
        };
        let (beacon, services) = (&sighting.beacon, sighting.services.len());
        tracing::trace!(adapter = adapter.name(), %address, ?beacon, services, "seen");
        if notes.send(Note::Sighted { address, sighting }).await.is_err() {
            return;
        }
    }
}

/// What a device advertises, if it is in reach.
async fn look(
    adapter: &Adapter,
    whom: For,
    address: bluer::Address,
) -> Result<Option<Sighting>, bluer::Error> {
    let device = adapter.device(address)?;
    if device.rssi().await?.is_none() || is_passing(address, device.address_type().await?) {
        return Ok(None);
    }
    let data = device.service_data().await?.unwrap_or_default();
    let mut uuids = device.uuids().await?.unwrap_or_default();
    if is_remembered(whom, &uuids) {
        let used = device.is_connected().await? || device.is_paired().await?;
        if !used && !device.is_trusted().await? {
            // Its next advertisement is news.
            adapter.remove_device(address).await?;
            return Ok(None);
        }
        // They are not what it advertises: it would be taken for a node without a beacon.
        uuids.clear();
    }
    Ok(Some(sighting(&data, &uuids)).filter(|seen| *seen != Sighting::default()))
}

/// Whether this is a random address that cannot be resolved (its highest two bits are 0). A kernel
/// takes one for advertisements that cannot be connected to, and so for that of a peripheral whose
/// connection has just ended, until it is put on the air anew.
fn is_passing(address: bluer::Address, kind: AddressType) -> bool {
    kind == AddressType::LeRandom && address.0[0] >> 6 == 0
}

/// Whether these are the services of a node that somebody was connected with, and not what it
/// advertises: BlueZ does not tell of a device both, and would hide the session of a payee that was
/// once a peer. A payee may have been one whose service was gone again: while somebody waits, every
/// device that somebody was connected with may be it.
fn is_remembered(whom: For, uuids: &HashSet<Uuid>) -> bool {
    uuids.contains(&GENERIC_ACCESS) && (whom == For::Payee || uuids.contains(&uuid(SERVICE)))
}

/// What BlueZ's fields of an advertisement say to a radio.
fn sighting(data: &HashMap<Uuid, Vec<u8>>, uuids: &HashSet<Uuid>) -> Sighting {
    let bytes = data.get(&uuid(SERVICE)).map(Vec::as_slice).unwrap_or_default();
    let bytes: Option<&[u8; BEACON_BYTES]> = bytes.try_into().ok();
    let services = uuids.iter().map(|uuid| uuid.into_bytes()).collect();
    Sighting { beacon: bytes.map(Beacon::decode), services }
}

#[cfg(test)]
mod tests {
    use hundi_transports::ble::advertisement::{Advertisement, decode};

    use super::*;

    #[test]
    fn what_bluez_hands_out_is_what_was_on_the_air() {
        let beacon = Beacon { fingerprint: [1; 6], id: [2; 4] };
        let data = HashMap::from([(uuid(SERVICE), beacon.encode().to_vec())]);
        let mesh = decode(&Advertisement::Mesh(beacon).encode());
        assert_eq!(sighting(&data, &HashSet::new()), mesh);
        let uuids = HashSet::from([uuid([7; 16])]);
        let payee = decode(&Advertisement::Payee([7; 16]).encode());
        assert_eq!(sighting(&HashMap::new(), &uuids), payee);
    }

    #[test]
    fn services_found_by_a_connection_are_told_from_advertised_ones() {
        let advertised = HashSet::from([uuid(SERVICE)]);
        let whom = [For::Mesh, For::Payee];
        let of = |uuids: &HashSet<Uuid>| whom.map(|whom| is_remembered(whom, uuids));
        assert_eq!(of(&advertised), [false, false], "a node whose system has no service data");
        assert_eq!(of(&HashSet::from([uuid(SERVICE), GENERIC_ACCESS])), [true, true]);
        assert_eq!(of(&HashSet::from([GENERIC_ACCESS])), [false, true], "perhaps one of ours");
    }

    #[test]
    fn an_address_for_what_cannot_be_connected_to_is_known_by_its_first_bits() {
        let of = |first, kind| is_passing(bluer::Address([first, 1, 2, 3, 4, 5]), kind);
        assert!(of(0x3b, AddressType::LeRandom));
        assert!(!of(0x7b, AddressType::LeRandom) && !of(0xfb, AddressType::LeRandom));
        assert!(!of(0x00, AddressType::LePublic));
    }

    #[test]
    fn data_of_others_and_of_other_lengths_is_none() {
        for data in [(uuid([9; 16]), vec![0; 10]), (uuid(SERVICE), vec![0; 9])] {
            let seen = sighting(&HashMap::from([data]), &HashSet::new());
            assert_eq!(seen, Sighting::default());
        }
    }
}
