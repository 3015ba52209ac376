//! Making a connection as a central: a channel at once where its number is known, else GATT's
//! discovery, INFO, and the channel or the characteristics.

use std::time::Duration;

use bluer::gatt::remote::{Characteristic, Service};
use bluer::l2cap::{SeqPacket, Socket, SocketAddr};
use bluer::{Adapter, Address, Device, DeviceEvent, DeviceProperty};
use futures::StreamExt;
use hundi_transports::ble::advertisement::{Beacon, INFO, NOTIFY, SERVICE, WRITE};
use hundi_transports::ble::info::{self, Info};
use thiserror::Error;
use tokio::time::{Instant, timeout, timeout_at};

use crate::address::uuid;
use crate::bearer::Bearer;
use crate::limits::{CHANNEL_TIMEOUT, CONNECT_TIMEOUT, LINGER, UNIT_BYTES_MAX};

/// A unit with an acknowledgement of nothing, on its way before the link has worked out what to say.
///
/// The other end's kernel gives back credit for it, which uses up the first number of its commands.
/// Otherwise BlueZ's own first channel has that number, as ours has, and the kernel (Linux 6.1) takes
/// the answer to BlueZ's request for one to ours: from then on all that the other end says on our
/// channel goes to BlueZ here.
const EARLY_UNIT: [u8; 7] = [5, 0, 0x00, 0x20, 0, 0, 32];

/// Why a connection cannot be had. The radio tries again when it is time.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("BlueZ: {0}")]
    Bluez(#[from] bluer::Error),
    #[error("the channel: {0}")]
    Channel(#[from] std::io::Error),
    #[error("not within {} s", .0.as_secs())]
    Late(Duration),
    #[error("it does not have our service")]
    NoService,
    #[error("its INFO: {0}")]
    Info(#[from] info::DecodeError),
}

/// A connection with a device that was seen, and the beacon in its INFO if that was read.
pub(crate) async fn connect(
    adapter: &Adapter,
    address: Address,
    psm: Option<u16>,
    channels: bool,
) -> Result<(Bearer, Option<Beacon>), ConnectError> {
    let until = Instant::now() + CONNECT_TIMEOUT;
    if let Some(psm) = psm.filter(|_| channels) {
        match open_channel(adapter, address, psm, CHANNEL_TIMEOUT).await {
            Ok(channel) => return Ok((Bearer::Channel(channel), None)),
            // The number may be of another start of the payee's.
            Err(error) => tracing::debug!(%error, "no channel at once; GATT it is"),
        }
    }
    let discovering = timeout_at(until, discover(adapter, address, channels)).await;
    discovering.map_err(|_| ConnectError::Late(CONNECT_TIMEOUT))?
}

async fn open_channel(
    adapter: &Adapter,
    address: Address,
    psm: u16,
    within: Duration,
) -> Result<SeqPacket, ConnectError> {
    // The adapter's own address, or the kernel chooses any adapter.
    let here = SocketAddr::new(adapter.address().await?, adapter.address_type().await?, 0);
    let address_type = adapter.device(address)?.address_type().await?;
    let there = SocketAddr::new(address, address_type, psm);
    let connecting = async {
        // Nothing is awaited between these: a socket whose readiness was looked at too early takes
        // itself for connected.
        let socket = Socket::new_seq_packet()?;
        socket.bind(here)?;
        socket.set_recv_mtu(UNIT_BYTES_MAX)?;
        socket.connect(there).await
    };
    let channel = timeout(within, connecting).await.map_err(|_| ConnectError::Late(within))??;
    channel.send(&EARLY_UNIT).await?;
    Ok(channel)
}

async fn discover(
    adapter: &Adapter,
    address: Address,
    channels: bool,
) -> Result<(Bearer, Option<Beacon>), ConnectError> {
    let device = adapter.device(address)?;
    if !device.is_connected().await? {
        device.connect().await?;
    }
    let characteristics = our_service(&device).await?.characteristics().await?;
    let info = read_info(&characteristics).await?;
    if let Some(psm) = info.psm.filter(|_| channels) {
        match open_channel(adapter, address, psm, CHANNEL_TIMEOUT).await {
            Ok(channel) => return Ok((Bearer::Channel(channel), info.beacon)),
            Err(error) => tracing::debug!(%error, "no channel; GATT carries it"),
        }
    }
    // Who is notified before it has written hears nothing of others that it takes for its own:
    // their tags differ.
    let reader = find(&characteristics, NOTIFY).await?.notify_io().await?;
    let writer = find(&characteristics, WRITE).await?.write_io().await?;
    Ok((Bearer::Gatt { writer, reader }, info.beacon))
}

async fn our_service(device: &Device) -> Result<Service, ConnectError> {
    for service in device.services().await? {
        if service.uuid().await? == uuid(SERVICE) {
            return Ok(service);
        }
    }
    Err(ConnectError::NoService)
}

async fn read_info(characteristics: &[Characteristic]) -> Result<Info, ConnectError> {
    Ok(info::decode(&find(characteristics, INFO).await?.read().await?)?)
}

async fn find(of: &[Characteristic], wanted: [u8; 16]) -> Result<Characteristic, ConnectError> {
    for characteristic in of {
        if characteristic.uuid().await? == uuid(wanted) {
            return Ok(characteristic.clone());
        }
    }
    Err(ConnectError::NoService)
}

/// Ends whatever connects this adapter with a device, and forgets the device: neither is paired, so
/// nothing is lost, and its next advertisement is news again. A device that somebody has paired is
/// only disconnected.
///
/// A central is given the time to end it itself: it may connect again at once, and that is another
/// connection.
pub(crate) async fn release(
    adapter: &Adapter,
    address: Address,
    is_central: bool,
) -> Result<(), bluer::Error> {
    let device = adapter.device(address)?;
    let gone = async { is_central && timeout(LINGER, disconnected(&device)).await.is_ok() };
    if !gone.await {
        device.disconnect().await?;
    }
    if !device.is_connected().await? && !device.is_paired().await? {
        adapter.remove_device(address).await?;
    }
    Ok(())
}

/// Waits until a device is not connected.
pub(crate) async fn disconnected(device: &Device) -> Result<(), bluer::Error> {
    let mut events = Box::pin(device.events().await?);
    if device.is_connected().await? {
        let gone = |event: &DeviceEvent| {
            matches!(event, DeviceEvent::PropertyChanged(DeviceProperty::Connected(false)))
        };
        // The stream also ends when BlueZ forgets the device.
        while events.next().await.is_some_and(|event| !gone(&event)) {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hundi_transports::ble::fragment::{Ack, Fragment, decode};
    use hundi_transports::ble::limits::WINDOW_FRAGMENTS;
    use hundi_transports::ble::link::{Link, Setting};
    use hundi_transports::frame::Decoder;

    #[test]
    fn the_early_unit_acknowledges_nothing_and_changes_nothing() {
        let mut input = &EARLY_UNIT[..];
        let fragment = Decoder::new(64).next(&mut input).unwrap().unwrap();
        assert!(input.is_empty());
        let room = u8::try_from(WINDOW_FRAGMENTS).unwrap();
        let ack = Some(Ack { next: 0, room, beyond: 0 });
        assert_eq!(decode(&fragment), Ok(Fragment::Parts { ack, data: None }));
        let setting = Setting { network: b"village", greeting: [0; 4], entropy: [7; 32] };
        let mut link = Link::respond(0, &setting, None);
        assert!(!link.receive(0, &fragment));
        assert_eq!(link.next_event(0), None);
        assert_eq!((link.transmit(0, 510), link.is_over(0)), (None, false));
    }
}
