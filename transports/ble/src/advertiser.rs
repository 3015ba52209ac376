//! Advertising: keeps on the air what was ordered last.

use bluer::Adapter;
use bluer::adv::{self, AdvertisementHandle};
use hundi_transports::ble::advertisement::{SERVICE, decode};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::address::uuid;
use crate::limits::{
    CALL_TIMEOUT, FAST_INTERVAL, REFUSED_WAIT, RENEWED_EVERY, RENEWED_EVERY_FAST, SLOW_INTERVAL,
    WITHDRAWAL_ENDS, WITHDRAWN_WITHIN,
};

const NOT_FOUND: &str = "nobody can find this device: BlueZ takes no advertisement; if it stays so, \
    restart the service bluetooth";

/// What to advertise; the number makes a repeated order another one, because a connection takes the
/// advertisement off the air.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) shown: Option<Shown>,
}

/// An advertisement, and whether somebody waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fast: bool,
}

/// Runs until nobody orders any more; then what is on the air has left it.
///
/// It must not be given up before: BlueZ never takes an advertisement back whose owner has gone
/// while it was put on the air, and it has five places.
pub(crate) async fn run(adapter: Adapter, mut orders: watch::Receiver<Order>) {
    let mut on_air = None;
    let mut told = false;
    loop {
        let order = orders.borrow_and_update().clone();
        if let Some(old) = on_air.take() {
            withdraw(&adapter, old).await;
        }
        let mut again = None;
        if let Some(shown) = order.shown {
            let fast = shown.fast;
            again = Some(if fast { RENEWED_EVERY_FAST } else { RENEWED_EVERY });
            match show(&adapter, &shown).await {
                Ok(handle) => {
                    tracing::debug!(adapter = adapter.name(), fast, "advertising");
                    (on_air, told) = (Some(handle), false);
                }
                Err(error) => {
                    again = Some(REFUSED_WAIT);
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "{NOT_FOUND}");
                    }
                }
            }
        }
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { break },
            () = sleep(again.unwrap_or_default()), if again.is_some() => {}
        }
    }
    if let Some(old) = on_air {
        withdraw(&adapter, old).await;
    }
}

/// Takes it off the air, and waits until BlueZ has: it has few places, and it numbers them. When a
/// connection ends, the kernel goes on with the number that was on the air when it began; if that is
/// another one by then, nobody can connect to what it sends.
async fn withdraw(adapter: &Adapter, old: AdvertisementHandle) {
    let places = || timeout(CALL_TIMEOUT, adapter.active_advertising_instances());
    let before = places().await;
    drop(old);
    let Ok(Ok(before)) = before else { return };
    let withdrawn = async {
        while matches!(places().await, Ok(Ok(now)) if now >= before && now > 0) {
            sleep(WITHDRAWAL_ENDS).await;
        }
    };
    // Another program may have taken a place meanwhile.
    let _ = timeout(WITHDRAWN_WITHIN, withdrawn).await;
}

/// Puts it on the air; without intervals where BlueZ takes none. However long it takes: the bus
/// itself gives up a daemon that hangs.
async fn show(adapter: &Adapter, shown: &Shown) -> bluer::Result<AdvertisementHandle> {
    match adapter.advertise(advertisement(shown, true)).await {
        Ok(handle) => Ok(handle),
        Err(error) => {
            tracing::debug!(%error, "no advertisement with an interval");
            adapter.advertise(advertisement(shown, false)).await
        }
    }
}

/// BlueZ's fields for the bytes of an advertisement of ours.
fn advertisement(shown: &Shown, with_interval: bool) -> adv::Advertisement {
    let of = decode(&shown.bytes);
    let beacon = of.beacon.map(|beacon| (uuid(SERVICE), beacon.encode().to_vec()));
    let (shortest, longest) = if shown.fast { FAST_INTERVAL } else { SLOW_INTERVAL };
    adv::Advertisement {
        advertisement_type: adv::Type::Peripheral,
        service_uuids: of.services.into_iter().map(uuid).collect(),
        service_data: beacon.into_iter().collect(),
        // The flags of the document; BlueZ writes them.
        discoverable: Some(true),
        min_interval: with_interval.then_some(shortest),
        max_interval: with_interval.then_some(longest),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use hundi_transports::ble::advertisement::{Advertisement, Beacon};

    use super::*;

    #[test]
    fn bluez_is_given_what_the_bytes_say() {
        let beacon = Beacon { fingerprint: [1; 6], id: [2; 4] };
        let bytes = Advertisement::Mesh(beacon).encode();
        let mesh = advertisement(&Shown { bytes, fast: false }, true);
        assert_eq!(mesh.service_data[&uuid(SERVICE)], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert!(mesh.service_uuids.is_empty() && mesh.local_name.is_none());
        assert_eq!(
            (mesh.min_interval, mesh.max_interval),
            (Some(SLOW_INTERVAL.0), Some(SLOW_INTERVAL.1))
        );
        let bytes = Advertisement::Payee([7; 16]).encode();
        let payee = advertisement(&Shown { bytes, fast: true }, false);
        assert!(payee.service_uuids.contains(&uuid([7; 16])) && payee.service_data.is_empty());
        assert_eq!((payee.discoverable, payee.min_interval), (Some(true), None));
    }
}
