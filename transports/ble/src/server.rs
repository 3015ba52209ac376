//! This end's service: what centrals read and write, and what they are notified of.
//!
//! Requests are taken one by one, because each names the central; the stream that BlueZ offers
//! instead mixes the centrals. Notifications have no address: BlueZ gives them to every central that
//! has subscribed, and the tag in them says whose they are.

use std::num::NonZeroU16;

use bluer::gatt::local::{
    Application, Characteristic, CharacteristicNotifier, CharacteristicNotify,
    CharacteristicNotifyMethod, CharacteristicRead, CharacteristicWrite, CharacteristicWriteMethod,
    LinkType, ReqError, Service,
};
use bluer::{Adapter, Address};
use futures::FutureExt;
use hundi_transports::ble::advertisement::{INFO, NOTIFY, SERVICE, WRITE};
use hundi_transports::ble::info::INFO_BYTES;
use hundi_transports::ble::radio::ConnectionId;
use tokio::sync::{mpsc, watch};

use crate::address::uuid;
use crate::client;
use crate::limits::{
    HANDLE_MIN, HANDLES, HANDLES_APART, NOTIFICATION_HEADER_BYTES, VALUE_BYTES_MAX,
};
use crate::note::Note;

/// A notification and the connection that it is for.
pub(crate) type Notification = (ConnectionId, Vec<u8>);

/// The handle of the service, for each start another one.
///
/// BlueZ lays the characteristics out in the order in which the bus happens to name them. A central
/// that remembers the service from an earlier start, as BlueZ does of every device, looks at its
/// characteristics anew only if its handles are others: it would read and write the wrong ones.
pub(crate) fn fresh_handle(entropy: u16) -> NonZeroU16 {
    NonZeroU16::MIN.saturating_add(HANDLE_MIN - 1 + entropy % HANDLES * HANDLES_APART)
}

/// The service as BlueZ is told of it, at a handle, or wherever there is room.
pub(crate) fn application(
    handle: Option<NonZeroU16>,
    notes: mpsc::Sender<Note>,
    info: watch::Receiver<[u8; INFO_BYTES]>,
    subscribed: mpsc::Sender<CharacteristicNotifier>,
) -> Application {
    let characteristics = vec![
        write_characteristic(notes),
        notify_characteristic(subscribed),
        info_characteristic(info),
    ];
    let service = Service {
        uuid: uuid(SERVICE),
        handle,
        primary: true,
        characteristics,
        ..Default::default()
    };
    Application { services: vec![service], ..Default::default() }
}

fn write_characteristic(notes: mpsc::Sender<Note>) -> Characteristic {
    let method = CharacteristicWriteMethod::Fun(Box::new(move |bytes, request| {
        let notes = notes.clone();
        async move {
            if request.offset != 0 || request.link == Some(LinkType::BrEdr) {
                return Err(ReqError::NotSupported);
            }
            let (address, mtu) = (request.device_address, request.mtu);
            // What finds no room is sent again, like what the air loses.
            let _ = notes.try_send(Note::Wrote { address, mtu, bytes });
            Ok(())
        }
        .boxed()
    }));
    let write = CharacteristicWrite { write_without_response: true, method, ..Default::default() };
    Characteristic { uuid: uuid(WRITE), write: Some(write), ..Default::default() }
}

fn notify_characteristic(subscribed: mpsc::Sender<CharacteristicNotifier>) -> Characteristic {
    let method = CharacteristicNotifyMethod::Fun(Box::new(move |notifier| {
        let subscribed = subscribed.clone();
        async move {
            // The station is gone if nobody listens.
            let _ = subscribed.send(notifier).await;
        }
        .boxed()
    }));
    let notify = CharacteristicNotify { notify: true, method, ..Default::default() };
    Characteristic { uuid: uuid(NOTIFY), notify: Some(notify), ..Default::default() }
}

fn info_characteristic(info: watch::Receiver<[u8; INFO_BYTES]>) -> Characteristic {
    let fun = Box::new(move |request: bluer::gatt::local::CharacteristicReadRequest| {
        let value = *info.borrow();
        let rest = value.get(usize::from(request.offset)..).map(<[u8]>::to_vec);
        async move { rest.ok_or(ReqError::InvalidOffset) }.boxed()
    });
    let read = CharacteristicRead { read: true, fun, ..Default::default() };
    Characteristic { uuid: uuid(INFO), read: Some(read), ..Default::default() }
}

/// Notifies, in order. BlueZ asks for a notifier when the first central subscribes; before that
/// what is said is lost, and said again.
pub(crate) async fn notify(
    mut subscriptions: mpsc::Receiver<CharacteristicNotifier>,
    mut notifications: mpsc::Receiver<Notification>,
    notes: mpsc::Sender<Note>,
) {
    let mut notifier: Option<CharacteristicNotifier> = None;
    loop {
        tokio::select! {
            Some(newer) = subscriptions.recv() => notifier = Some(newer),
            notification = notifications.recv() => {
                let Some((connection, value)) = notification else { return };
                if let Some(notifier) = &mut notifier
                    && let Err(error) = notifier.notify(value).await
                {
                    tracing::debug!(%error, "nobody is notified");
                }
                if notes.send(Note::Sent { connection }).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Waits until a central has gone, and says so.
pub(crate) async fn watch_central(
    adapter: Adapter,
    address: Address,
    connection: ConnectionId,
    notes: mpsc::Sender<Note>,
) {
    let watching = async { client::disconnected(&adapter.device(address)?).await };
    if let Err(error) = watching.await {
        tracing::debug!(%error, "a central cannot be watched");
    }
    let _ = notes.send(Note::Gone { connection }).await;
}

/// Bytes of the longest notification to a central with this MTU.
pub(crate) fn bytes_max(mtu: u16) -> usize {
    usize::from(mtu).saturating_sub(NOTIFICATION_HEADER_BYTES).min(VALUE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_fits_the_mtu_and_an_attribute() {
        assert_eq!([23, 185, 247, 517, 0].map(bytes_max), [18, 180, 242, 512, 0]);
    }

    #[test]
    fn handles_of_two_starts_do_not_overlap() {
        let handles: Vec<u16> = (0..HANDLES).map(|entropy| fresh_handle(entropy).get()).collect();
        assert_eq!((handles[0], fresh_handle(HANDLES).get()), (HANDLE_MIN, HANDLE_MIN));
        // A service, three characteristics of two each, and a descriptor.
        assert!(handles.windows(2).all(|pair| pair[1] - pair[0] >= 8));
        assert!(handles.iter().all(|handle| handle + HANDLES_APART <= 1_024));
    }

    #[test]
    fn the_service_is_that_of_the_document() {
        let (notes, _) = mpsc::channel(1);
        let (_, info) = watch::channel([0; INFO_BYTES]);
        let (subscribed, _) = mpsc::channel(1);
        let application = application(Some(fresh_handle(7)), notes, info, subscribed);
        let [service] = &application.services[..] else { panic!() };
        assert!(service.primary);
        let [write, notify, info] = &service.characteristics[..] else { panic!() };
        assert_eq!([write.uuid, notify.uuid, info.uuid], [WRITE, NOTIFY, INFO].map(uuid));
        let writes = write.write.as_ref().unwrap();
        assert!(writes.write_without_response && !writes.write && !writes.encrypt_write);
        assert!(notify.notify.as_ref().unwrap().notify && write.read.is_none());
        let reads = info.read.as_ref().unwrap();
        assert!(reads.read && !reads.encrypt_read && info.write.is_none());
    }
}
