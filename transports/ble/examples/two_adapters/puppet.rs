//! A device that is no node: it plays, value by value, what a hostile or unlucky one would do. Its
//! links are those of the pure code, so what it says is right as long as it wants it to be.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bluer::gatt::local::{
    Application, Characteristic, CharacteristicNotifier, CharacteristicNotify,
    CharacteristicNotifyMethod, CharacteristicRead, CharacteristicWrite, CharacteristicWriteMethod,
    ReqError, Service,
};
use bluer::gatt::{CharacteristicReader, CharacteristicWriter};
use bluer::l2cap::{SeqPacket, Socket, SocketAddr};
use bluer::{Adapter, Address, Device, DiscoveryFilter, DiscoveryTransport, Uuid, adv};
use futures::{FutureExt, StreamExt};
use hundi_transports::ble::advertisement::{INFO, NOTIFY, SERVICE, WRITE};
use hundi_transports::ble::hint::Session;
use hundi_transports::ble::info::Info;
use hundi_transports::ble::link::{Callee, Event, Link, Setting};
use hundi_transports::channel::LinkKey;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::node::{NETWORK, WITHIN};
use crate::scenarios::order;

/// How long a scan is given before it begins anew: BlueZ tells of a device once.
const SCAN: Duration = Duration::from_secs(2);

/// How long its end is given before it is looked for again.
const SCAN_ENDS: Duration = Duration::from_millis(50);

/// Bytes of its writes and notifications: an offer takes nine.
pub(crate) const VALUE_BYTES: usize = 182;

/// A puppet on one adapter.
pub(crate) struct Puppet {
    pub(crate) adapter: Adapter,
    started: Instant,
    links: u8,
}

impl Puppet {
    pub(crate) async fn new(adapter: &str) -> anyhow::Result<Self> {
        let adapter = bluer::Session::new().await?.adapter(adapter)?;
        adapter.set_powered(true).await?;
        let transport = DiscoveryTransport::Le;
        adapter.set_discovery_filter(DiscoveryFilter { transport, ..Default::default() }).await?;
        Ok(Puppet { adapter, started: Instant::now(), links: 0 })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The beginning of a link of its own.
    pub(crate) fn begin(&mut self, callee: Callee) -> Link {
        self.links += 1;
        let entropy = [self.links; 32];
        let setting = Setting { network: NETWORK, greeting: [0; 4], entropy };
        Link::initiate(self.now_ms(), &setting, callee)
    }

    /// Looks for whoever shows this session. A scan that starts is never given up: BlueZ may count it
    /// as running, and then refuses every further one.
    pub(crate) async fn find(&self, session: [u8; 16], within: Duration) -> anyhow::Result<Device> {
        let began = Instant::now();
        while began.elapsed() < within {
            // One that has not ended yet would be taken for the next.
            if self.adapter.is_discovering().await? {
                sleep(SCAN_ENDS).await;
                continue;
            }
            let mut seen = Box::pin(self.adapter.discover_devices_with_changes().await?);
            let seeing = async {
                while seen.next().await.is_some() {
                    for address in self.adapter.device_addresses().await? {
                        if let Some(device) = self.shows(address, session).await {
                            return anyhow::Ok(Some(device));
                        }
                    }
                }
                Ok(None)
            };
            if let Ok(Ok(Some(device))) = timeout(SCAN, seeing).await {
                return Ok(device);
            }
        }
        bail!("the session is not found within {} s", within.as_secs());
    }

    /// The device, if it is in reach and advertises the session under an address of its own.
    async fn shows(&self, address: Address, session: [u8; 16]) -> Option<Device> {
        let device = self.adapter.device(address).ok()?;
        let uuids = device.uuids().await.ok()??;
        let passing = device.address_type().await.ok()? == bluer::AddressType::LeRandom;
        let seen = device.rssi().await.ok()?.is_some() && !passing;
        (seen && uuids.contains(&Uuid::from_bytes(session))).then_some(device)
    }

    /// Finds a session's payee and uses its service.
    pub(crate) async fn connect(&self, session: [u8; 16]) -> anyhow::Result<Values> {
        self.use_service(self.find(session, WITHIN).await?).await
    }

    /// Connects and uses the service.
    pub(crate) async fn use_service(&self, device: Device) -> anyhow::Result<Values> {
        let connecting = async {
            device.connect().await?;
            let mut characteristics = Vec::new();
            for service in device.services().await? {
                if service.uuid().await? == Uuid::from_bytes(SERVICE) {
                    characteristics = service.characteristics().await?;
                }
            }
            let (mut reader, mut writer) = (None, None);
            for characteristic in &characteristics {
                let uuid = characteristic.uuid().await?;
                if uuid == Uuid::from_bytes(NOTIFY) {
                    reader = Some(characteristic.notify_io().await?);
                } else if uuid == Uuid::from_bytes(WRITE) {
                    writer = Some(characteristic.write_io().await?);
                }
            }
            let (Some(reader), Some(writer)) = (reader, writer) else { bail!("no service") };
            Ok(Values { device: device.clone(), reader, writer, said: Vec::new() })
        };
        timeout(WITHIN, connecting).await.context("not connected")?
    }

    /// Forgets every device: of one whose services it remembers BlueZ does not tell what it
    /// advertises.
    pub(crate) async fn forget_all(&self) {
        for address in self.adapter.device_addresses().await.unwrap_or_default() {
            // It may be forgotten already.
            let _ = self.adapter.remove_device(address).await;
        }
    }

    /// Opens a channel with whoever has this address.
    pub(crate) async fn channel(&self, there: Address, psm: u16) -> anyhow::Result<SeqPacket> {
        let here = self.adapter.address().await?;
        let kind = self.adapter.address_type().await?;
        let socket = Socket::new_seq_packet()?;
        socket.bind(SocketAddr::new(here, kind, 0))?;
        let connecting = socket.connect(SocketAddr::new(there, kind, psm));
        Ok(timeout(WITHIN, connecting).await.context("no channel")??)
    }

    /// Runs a link until it says something; so it does when the connection goes.
    pub(crate) async fn until_said(&self, link: &mut Link, over: &mut Values) -> Event {
        loop {
            let now_ms = self.now_ms();
            link.on_time(now_ms);
            while let Some(bytes) = link.transmit(now_ms, VALUE_BYTES) {
                over.write(bytes).await;
            }
            if let Some(event) = link.next_event(now_ms) {
                return event;
            }
            tokio::select! {
                value = over.reader.recv() => match value {
                    Ok(value) if !value.is_empty() => {
                        link.receive(self.now_ms(), &value);
                    }
                    _ => link.disconnected(self.now_ms()),
                },
                () = sleep(Duration::from_millis(20)) => {}
            }
        }
    }

    /// Is the payee of a session until this many values have come, and is then gone as it stands: its
    /// adapter is switched off, or its bluetoothd killed with this command. Says whether it has had
    /// the offer by then.
    pub(crate) async fn vanish(
        &self,
        session: Session,
        key: LinkKey,
        after: usize,
        daemon: Option<&str>,
    ) -> anyhow::Result<bool> {
        let (written, mut values) = mpsc::channel(64);
        let (subscribed, mut notifiers) = mpsc::channel::<CharacteristicNotifier>(4);
        let application = application(written, subscribed);
        let _service = self.adapter.serve_gatt_application(application).await?;
        let shown = adv::Advertisement {
            service_uuids: [Uuid::from_bytes(session.uuid)].into(),
            discoverable: Some(true),
            ..Default::default()
        };
        let _shown = self.adapter.advertise(shown).await?;
        let setting = Setting { network: NETWORK, greeting: [0; 4], entropy: [7; 32] };
        let mut link = Link::respond(self.now_ms(), &setting, Some((session, key)));
        let mut notifier = None;
        let mut had_offer = false;
        let hearing = async {
            let mut heard = 0;
            while heard < after {
                tokio::select! {
                    newer = notifiers.recv() => notifier = newer,
                    value = values.recv() => {
                        heard += 1;
                        link.receive(self.now_ms(), &value.unwrap_or_default());
                        while let Some(event) = link.next_event(self.now_ms()) {
                            had_offer |= matches!(event, Event::Replayable(_));
                        }
                    }
                    () = sleep(Duration::from_millis(20)) => {}
                }
                link.on_time(self.now_ms());
                // What it answers to the last value nobody hears.
                while heard < after
                    && let Some(bytes) = link.transmit(self.now_ms(), VALUE_BYTES)
                {
                    if let Some(notifier) = &mut notifier {
                        notifier.notify(bytes).await?;
                    }
                }
            }
            anyhow::Ok(())
        };
        timeout(WITHIN, hearing).await.context("the payer does not come")??;
        match daemon {
            None => self.adapter.set_powered(false).await?,
            Some(command) => {
                order(command, "kill").await?;
                order(command, "start").await?;
            }
        }
        Ok(had_offer)
    }
}

/// The service of `docs/ble.md`.
pub(crate) fn application(
    written: mpsc::Sender<Vec<u8>>,
    subscribed: mpsc::Sender<CharacteristicNotifier>,
) -> Application {
    let method = CharacteristicWriteMethod::Fun(Box::new(move |bytes, _| {
        let written = written.clone();
        async move { written.try_send(bytes).map_err(|_| ReqError::Failed) }.boxed()
    }));
    let write = CharacteristicWrite { write_without_response: true, method, ..Default::default() };
    let method = CharacteristicNotifyMethod::Fun(Box::new(move |notifier| {
        let subscribed = subscribed.clone();
        async move {
            // Nobody listens once it has vanished.
            let _ = subscribed.send(notifier).await;
        }
        .boxed()
    }));
    let notify = CharacteristicNotify { notify: true, method, ..Default::default() };
    let info = Info { psm: None, unit_bytes_max: 0, beacon: None }.encode().to_vec();
    let fun = Box::new(move |_| {
        let info = info.clone();
        async move { Ok(info) }.boxed()
    });
    let read = CharacteristicRead { read: true, fun, ..Default::default() };
    let of = |uuid| Characteristic { uuid: Uuid::from_bytes(uuid), ..Default::default() };
    let characteristics = vec![
        Characteristic { write: Some(write), ..of(WRITE) },
        Characteristic { notify: Some(notify), ..of(NOTIFY) },
        Characteristic { read: Some(read), ..of(INFO) },
    ];
    let uuid = Uuid::from_bytes(SERVICE);
    let service = Service { uuid, primary: true, characteristics, ..Default::default() };
    Application { services: vec![service], ..Default::default() }
}

/// A connection over GATT.
pub(crate) struct Values {
    pub(crate) device: Device,
    reader: CharacteristicReader,
    writer: CharacteristicWriter,
    /// What was written, for who wants to say it again.
    pub(crate) said: Vec<Vec<u8>>,
}

impl Values {
    /// Writes a value; one that BlueZ does not take any more is lost.
    pub(crate) async fn write(&mut self, bytes: Vec<u8>) {
        let _ = self.writer.send(&bytes).await;
        self.said.push(bytes);
    }

    /// The next notification.
    pub(crate) async fn read(&self) -> anyhow::Result<Vec<u8>> {
        let value = timeout(WITHIN, self.reader.recv()).await.context("no notification")??;
        ensure!(!value.is_empty(), "the connection has ended");
        Ok(value)
    }

    /// Waits until the other end has ended the connection; says after how long.
    pub(crate) async fn ended(&self) -> anyhow::Result<u128> {
        let began = Instant::now();
        let ending = async {
            while self.device.is_connected().await.unwrap_or(false) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(WITHIN, ending).await.context("the node does not end the connection")?;
        Ok(began.elapsed().as_millis())
    }

    /// Ends the connection.
    pub(crate) async fn leave(self) -> anyhow::Result<()> {
        let Values { device, reader, writer, .. } = self;
        drop((reader, writer));
        device.disconnect().await?;
        ensure!(!device.is_connected().await.unwrap_or(false), "it is still connected");
        Ok(())
    }
}
