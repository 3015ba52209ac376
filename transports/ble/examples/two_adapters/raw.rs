//! What a link is worth without this driver: the same adapters and the same calls of BlueZ, and
//! nothing of ours in between. What the driver reaches is judged beside it.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bluer::adv::{self, AdvertisementHandle};
use bluer::gatt::local::{ApplicationHandle, CharacteristicNotifier};
use bluer::l2cap::{SeqPacket, SeqPacketListener, Socket, SocketAddr};
use bluer::{Address, Device, Uuid};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::node::WITHIN;
use crate::puppet::{Puppet, application};
use crate::scenarios::Setup;

/// The advertised service of the peripheral.
const SHOWN: [u8; 16] = [0xc4; 16];
/// Bytes of one write: as many as the driver writes at most.
const WRITE_BYTES: usize = 510;
/// Bytes of one unit of a channel: as many as the driver's.
const UNIT_BYTES: usize = 2_050;
/// Values that have arrived and were not read yet.
const WINDOW: usize = 4_096;
/// How often, and for how long, something is put on the air until it is found.
const SHOWN_TIMES: usize = 6;
const SHOWN_FOR: Duration = Duration::from_secs(10);
/// BlueZ takes two seconds to disconnect.
const BETWEEN: Duration = Duration::from_secs(3);
/// Connections that may not come about among those that are timed.
const FAILED_MAX: usize = 10;
/// How often it is looked whether a connection has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// When nothing has arrived for so long, what is missing was dropped.
const SILENCE: Duration = Duration::from_secs(3);

/// A transfer: what arrived until the last of it had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) bytes: usize,
    pub(crate) took: Duration,
}

/// A peripheral with the service of `docs/ble.md`.
struct Peripheral {
    values: mpsc::Receiver<Vec<u8>>,
    notifiers: mpsc::Receiver<CharacteristicNotifier>,
    _service: ApplicationHandle,
}

impl Peripheral {
    async fn start(puppet: &Puppet) -> anyhow::Result<Self> {
        let (written, values) = mpsc::channel(WINDOW);
        let (subscribed, notifiers) = mpsc::channel(4);
        let service = puppet.adapter.serve_gatt_application(application(written, subscribed));
        Ok(Peripheral { values, notifiers, _service: service.await? })
    }
}

/// What the peripheral advertises.
fn advertisement() -> adv::Advertisement {
    adv::Advertisement {
        service_uuids: [Uuid::from_bytes(SHOWN)].into(),
        discoverable: Some(true),
        ..Default::default()
    }
}

/// Puts the peripheral on the air, once an advertisement of before and its connection have gone and
/// the central has forgotten it, and has the central find it. It is put there anew a few times, as
/// the driver does: when connections come and go quickly the kernel was seen to stop advertising.
async fn meet(
    peripheral: &Puppet,
    central: &Puppet,
) -> anyhow::Result<(AdvertisementHandle, Device)> {
    for _ in 0..SHOWN_TIMES {
        sleep(BETWEEN).await;
        central.forget_all().await;
        let shown = peripheral.adapter.advertise(advertisement()).await?;
        if let Ok(device) = central.find(SHOWN, SHOWN_FOR).await {
            return Ok((shown, device));
        }
    }
    bail!("the central has not found what was put on the air {SHOWN_TIMES} times");
}

/// Sends so many bytes over GATT, so many times, from the second adapter to the first.
pub(crate) async fn gatt(
    setup: &Setup,
    bytes: usize,
    times: usize,
) -> anyhow::Result<Vec<Transfer>> {
    let [here, there] = &setup.adapters;
    let (payee, puppet) = (Puppet::new(here).await?, Puppet::new(there).await?);
    let mut peripheral = Peripheral::start(&payee).await?;
    let (_shown, device) = meet(&payee, &puppet).await?;
    let mut over = puppet.use_service(device).await?;
    let mut transfers = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        let sending = async {
            for at in (0..bytes).step_by(WRITE_BYTES) {
                over.write(vec![0x5a; WRITE_BYTES.min(bytes - at)]).await;
            }
        };
        let arriving = async {
            let mut transfer = Transfer { bytes: 0, took: Duration::ZERO };
            while transfer.bytes < bytes {
                match timeout(SILENCE, peripheral.values.recv()).await {
                    Ok(Some(value)) => {
                        transfer.bytes += value.len();
                        transfer.took = began.elapsed();
                    }
                    _ => break,
                }
            }
            transfer
        };
        let ((), transfer) = tokio::join!(sending, arriving);
        transfers.push(transfer);
    }
    over.leave().await?;
    Ok(transfers)
}

/// The same over a channel.
pub(crate) async fn l2cap(
    setup: &Setup,
    bytes: usize,
    times: usize,
) -> anyhow::Result<Vec<Transfer>> {
    let [here, there] = &setup.adapters;
    let (payee, puppet) = (Puppet::new(here).await?, Puppet::new(there).await?);
    let (_shown, device) = meet(&payee, &puppet).await?;
    let (sender, receiver) = channel(&payee, &puppet, device.address()).await?;
    let mut transfers = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        let sending = async {
            for at in (0..bytes).step_by(UNIT_BYTES) {
                sender.send(&vec![0x5a; UNIT_BYTES.min(bytes - at)]).await?;
            }
            anyhow::Ok(())
        };
        let arriving = async {
            let mut transfer = Transfer { bytes: 0, took: Duration::ZERO };
            let mut unit = vec![0; UNIT_BYTES];
            while transfer.bytes < bytes {
                let length = timeout(WITHIN, receiver.recv(&mut unit)).await??;
                ensure!(length > 0, "the channel has ended");
                transfer.bytes += length;
                transfer.took = began.elapsed();
            }
            anyhow::Ok(transfer)
        };
        let (sent, transfer) = tokio::join!(sending, arriving);
        sent?;
        transfers.push(transfer?);
    }
    drop((sender, receiver));
    Ok(transfers)
}

/// A channel between the two, its central's end first.
async fn channel(
    payee: &Puppet,
    puppet: &Puppet,
    there: Address,
) -> anyhow::Result<(SeqPacket, SeqPacket)> {
    let (listener, psm) = listen(payee).await?;
    let connecting = puppet.channel(there, psm);
    let accepting = async { Ok(timeout(WITHIN, listener.accept()).await??.0) };
    tokio::try_join!(connecting, accepting)
}

async fn listen(puppet: &Puppet) -> anyhow::Result<(SeqPacketListener, u16)> {
    let kind = puppet.adapter.address_type().await?;
    let socket = Socket::new_seq_packet()?;
    socket.bind(SocketAddr::new(puppet.adapter.address().await?, kind, 0))?;
    socket.set_recv_mtu(u16::try_from(UNIT_BYTES)?)?;
    let listener = socket.listen(1)?;
    let psm = listener.as_ref().local_addr()?.psm;
    Ok((listener, psm))
}

/// How long it takes to connect with a device whose address is known, find its service, and have
/// one value back, so many times, each with a connection of its own.
pub(crate) async fn echoes(setup: &Setup, times: usize) -> anyhow::Result<Vec<Duration>> {
    let [here, there] = &setup.adapters;
    let (payee, puppet) = (Puppet::new(here).await?, Puppet::new(there).await?);
    let mut took = Vec::new();
    let mut failed = 0;
    while took.len() < times {
        let mut round = Round::begin(&payee, &puppet).await?;
        match timeout(WITHIN, round.echo()).await.context("nothing within its time").flatten() {
            Ok(time) => took.push(time),
            Err(error) => endure(&mut failed, &error)?,
        }
        round.end().await?;
    }
    Ok(took)
}

/// The same over a channel, whose number is known.
pub(crate) async fn channel_echoes(setup: &Setup, times: usize) -> anyhow::Result<Vec<Duration>> {
    let [here, there] = &setup.adapters;
    let (payee, puppet) = (Puppet::new(here).await?, Puppet::new(there).await?);
    let (listener, psm) = listen(&payee).await?;
    let mut took = Vec::new();
    let mut failed = 0;
    while took.len() < times {
        let round = Round::begin(&payee, &puppet).await?;
        match channel_echo(&payee, &puppet, &listener, psm).await {
            Ok(time) => took.push(time),
            Err(error) => endure(&mut failed, &error)?,
        }
        round.end().await?;
    }
    Ok(took)
}

async fn channel_echo(
    payee: &Puppet,
    puppet: &Puppet,
    listener: &SeqPacketListener,
    psm: u16,
) -> anyhow::Result<Duration> {
    let there = payee.adapter.address().await?;
    let began = Instant::now();
    let connecting = puppet.channel(there, psm);
    let accepting = async { Ok(timeout(WITHIN, listener.accept()).await??.0) };
    let (central, peripheral) = tokio::try_join!(connecting, accepting)?;
    let mut value = [0; 20];
    central.send(&[1; 20]).await?;
    let length = timeout(WITHIN, peripheral.recv(&mut value)).await??;
    peripheral.send(&value[..length]).await?;
    timeout(WITHIN, central.recv(&mut value)).await??;
    ensure!(value == [1; 20], "another value comes back");
    Ok(began.elapsed())
}

/// A connection that did not come about is no time; too many of them are an error.
fn endure(failed: &mut usize, error: &anyhow::Error) -> anyhow::Result<()> {
    *failed += 1;
    eprintln!("floor: a connection did not come about: {error:#}");
    ensure!(*failed < FAILED_MAX, "{failed} connections did not come about, the last: {error:#}");
    Ok(())
}

/// One connection of a peripheral, that is on the air for it anew, with a central that has forgotten
/// it.
struct Round<'a> {
    payee: &'a Puppet,
    puppet: &'a Puppet,
    // Anew because it is asked for a notifier when the first one subscribes, and no other.
    peripheral: Peripheral,
    _shown: AdvertisementHandle,
}

impl<'a> Round<'a> {
    async fn begin(payee: &'a Puppet, puppet: &'a Puppet) -> anyhow::Result<Self> {
        let peripheral = Peripheral::start(payee).await?;
        let _shown = payee.adapter.advertise(advertisement()).await?;
        Ok(Round { payee, puppet, peripheral, _shown })
    }

    async fn echo(&mut self) -> anyhow::Result<Duration> {
        let there = self.payee.adapter.address().await?;
        let kind = self.payee.adapter.address_type().await?;
        let began = Instant::now();
        let device = self.puppet.adapter.connect_device(there, kind).await?;
        let mut over = self.puppet.use_service(device).await?;
        over.write(vec![1; 20]).await;
        let mut notifier = self.peripheral.notifiers.recv().await.context("nobody subscribes")?;
        let value = self.peripheral.values.recv().await.context("nothing is written")?;
        notifier.notify(value).await?;
        ensure!(over.read().await? == [1; 20], "another value comes back");
        Ok(began.elapsed())
    }

    /// Waits until both adapters know nobody any more, and takes back what is on the air.
    async fn end(self) -> anyhow::Result<()> {
        let forgetting = async {
            for puppet in [self.puppet, self.payee] {
                while !puppet.adapter.device_addresses().await?.is_empty() {
                    puppet.forget_all().await;
                    sleep(LOOK_AGAIN).await;
                }
            }
            anyhow::Ok(())
        };
        timeout(WITHIN, forgetting).await.context("a connection does not end")?
    }
}
