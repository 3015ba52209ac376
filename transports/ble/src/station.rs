//! An adapter in use: what is registered with BlueZ, and the tasks that serve it. Dropped, all of it
//! goes.

use std::fmt;
use std::time::Duration;

use bluer::gatt::local::{ApplicationHandle, CharacteristicNotifier};
use bluer::l2cap::{SeqPacketListener, Socket, SocketAddr};
use bluer::{Adapter, AdapterEvent, AdapterProperty, Session};
use futures::StreamExt;
use hundi_transports::ble::advertisement::Beacon;
use hundi_transports::ble::info::{INFO_BYTES, Info};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::bearer::Bearer;
use crate::bus::Bus;
use crate::config::Config;
use crate::error::AdapterError;
use crate::limits::{
    BACKLOG, CALL_TIMEOUT, NOTIFICATIONS_WINDOW, REFUSED_WAIT, UNIT_BYTES_MAX, WATCH_INTERVAL,
};
use crate::note::Note;
use crate::server::{self, Notification};
use crate::{advertiser, scanner};

/// An adapter in use.
pub(crate) struct Station {
    pub(crate) adapter: Adapter,
    /// The number of this end's channel.
    pub(crate) psm: Option<u16>,
    pub(crate) advertising: watch::Sender<advertiser::Order>,
    pub(crate) scanning: watch::Sender<scanner::Order>,
    pub(crate) notifications: mpsc::Sender<Notification>,
    info: watch::Sender<[u8; INFO_BYTES]>,
    advertiser: JoinHandle<()>,
    _application: ApplicationHandle,
    _tasks: JoinSet<()>,
}

impl fmt::Debug for Station {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Station").field("adapter", &self.adapter.name()).finish()
    }
}

/// How the loss of an adapter in use is noticed.
pub(crate) struct Watch {
    bus: Bus,
    /// The daemon's name on the bus.
    daemon: String,
    adapter: Adapter,
}

impl Station {
    /// Opens the configured adapter and registers everything.
    pub(crate) async fn open(
        config: &Config,
        notes: &mpsc::Sender<Note>,
    ) -> Result<(Self, Watch), AdapterError> {
        let bus = Bus::open().await?;
        let daemon = bus.daemon().await?;
        let adapter = find_adapter(config).await?;
        let name = adapter.name().to_owned();
        if !call(&name, adapter.is_powered()).await? {
            if !config.power_on {
                return Err(AdapterError::PoweredOff { name });
            }
            call(&name, adapter.set_powered(true)).await?;
        }
        let mut tasks = JoinSet::new();
        let listener = match config.channels {
            true => listen(&adapter).await.inspect_err(|error| {
                tracing::warn!(%error, "no L2CAP channel; everything goes over GATT");
            }),
            false => Err(std::io::ErrorKind::Unsupported.into()),
        };
        let psm = listener.as_ref().ok().map(|(_, psm)| *psm);
        if let Ok((listener, _)) = listener {
            tasks.spawn(accept(listener, notes.clone()));
        }
        let (info, info_receiver) = watch::channel(info(psm, None));
        let (subscribed, subscriptions) = mpsc::channel(1);
        let application = serve(&adapter, notes, info_receiver, subscribed).await?;
        let (notifications, to_notify) = mpsc::channel(NOTIFICATIONS_WINDOW);
        tasks.spawn(server::notify(subscriptions, to_notify, notes.clone()));
        let (advertising, orders) = watch::channel(advertiser::Order::default());
        let advertiser = tokio::spawn(advertiser::run(adapter.clone(), orders));
        let (scanning, orders) = watch::channel(scanner::Order::default());
        tasks.spawn(scanner::run(adapter.clone(), orders, notes.clone()));
        let watch = Watch { bus, daemon, adapter: adapter.clone() };
        let (_application, _tasks) = (application, tasks);
        let station = Station {
            adapter,
            psm,
            advertising,
            scanning,
            notifications,
            info,
            advertiser,
            _application,
            _tasks,
        };
        Ok((station, watch))
    }

    /// Waits until what it has on the air has left it.
    pub(crate) async fn close(self) {
        drop(self.advertising);
        // A daemon that hangs is not waited for.
        if timeout(CALL_TIMEOUT, self.advertiser).await.is_err() {
            tracing::warn!("BlueZ may keep a place for what was on the air: it does not answer");
        }
    }

    /// What INFO says from now on.
    pub(crate) fn set_beacon(&self, beacon: Option<Beacon>) {
        let value = info(self.psm, beacon);
        self.info.send_if_modified(|shown| core::mem::replace(shown, value) != value);
    }
}

/// Registers the service at a handle of this start's.
async fn serve(
    adapter: &Adapter,
    notes: &mpsc::Sender<Note>,
    info: watch::Receiver<[u8; INFO_BYTES]>,
    subscribed: mpsc::Sender<CharacteristicNotifier>,
) -> Result<ApplicationHandle, AdapterError> {
    let mut handle = Some(server::fresh_handle(entropy()?));
    loop {
        let service = server::application(handle, notes.clone(), info.clone(), subscribed.clone());
        match call(adapter.name(), adapter.serve_gatt_application(service)).await {
            // Somebody else may have the place.
            Err(error) if handle.take().is_some() => tracing::debug!(%error, "anywhere, then"),
            done => return done,
        }
    }
}

fn entropy() -> Result<u16, AdapterError> {
    let mut bytes = [0; 2];
    let failed = |error: getrandom::Error| AdapterError::Failed { reason: error.to_string() };
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(u16::from_le_bytes(bytes))
}

fn info(psm: Option<u16>, beacon: Option<Beacon>) -> [u8; INFO_BYTES] {
    Info { psm, unit_bytes_max: UNIT_BYTES_MAX, beacon }.encode()
}

async fn find_adapter(config: &Config) -> Result<Adapter, AdapterError> {
    let wanted = config.adapter.clone();
    let name = wanted.as_deref().unwrap_or("hci0");
    let session = call(name, Session::new()).await?;
    let mut there = call(name, session.adapter_names()).await?;
    there.sort();
    let chosen = choose(wanted.as_deref(), &there).map(str::to_owned);
    let Some(name) = chosen else {
        return Err(AdapterError::NoAdapter { wanted, there });
    };
    session.adapter(&name).map_err(|error| AdapterError::of(&name, &error))
}

/// The adapter that was asked for, or else the first one.
fn choose<'a>(wanted: Option<&str>, there: &'a [String]) -> Option<&'a str> {
    let mut names = there.iter().map(String::as_str);
    match wanted {
        Some(wanted) => names.find(|name| *name == wanted),
        None => names.next(),
    }
}

/// What BlueZ answers, in time.
async fn call<T>(
    name: &str,
    calling: impl Future<Output = bluer::Result<T>>,
) -> Result<T, AdapterError> {
    match timeout(CALL_TIMEOUT, calling).await {
        Ok(answer) => answer.map_err(|error| AdapterError::of(name, &error)),
        Err(_) => Err(AdapterError::NoAnswer),
    }
}

async fn listen(adapter: &Adapter) -> std::io::Result<(SeqPacketListener, u16)> {
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    let address = timeout(CALL_TIMEOUT, adapter.address()).await.map_err(late)??;
    let address_type = timeout(CALL_TIMEOUT, adapter.address_type()).await.map_err(late)??;
    let socket = Socket::new_seq_packet()?;
    socket.bind(SocketAddr::new(address, address_type, 0))?;
    socket.set_recv_mtu(UNIT_BYTES_MAX)?;
    let listener = socket.listen(BACKLOG)?;
    let psm = listener.as_ref().local_addr()?.psm;
    Ok((listener, psm))
}

async fn accept(listener: SeqPacketListener, notes: mpsc::Sender<Note>) {
    loop {
        match listener.accept().await {
            Ok((channel, from)) => {
                let bearer = Bearer::Channel(channel);
                if notes.send(Note::Accepted { address: from.addr, bearer }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Of one connection, or of all: the adapter's loss is noticed elsewhere.
                tracing::debug!(%error, "no channel accepted");
                sleep(REFUSED_WAIT).await;
            }
        }
    }
}

impl Watch {
    /// Waits until the adapter cannot be used any more; says why.
    pub(crate) async fn lost(self) -> AdapterError {
        loop {
            let told = async {
                match timeout(CALL_TIMEOUT, self.adapter.events()).await {
                    Ok(Ok(events)) => {
                        let mut events = Box::pin(events);
                        while events.next().await.is_some_and(|event| !tells(&event)) {}
                    }
                    // Then it is asked, as always.
                    _ => std::future::pending().await,
                }
            };
            // Told or not: what counts is what is there when asked. Told too often is asked no more
            // often than this.
            tokio::select! {
                () = told => sleep(Duration::from_millis(100)).await,
                () = sleep(WATCH_INTERVAL) => {}
            }
            if let Err(error) = self.ask().await {
                return error;
            }
        }
    }

    async fn ask(&self) -> Result<(), AdapterError> {
        if self.bus.daemon().await? != self.daemon {
            return Err(AdapterError::DaemonRestarted);
        }
        let name = self.adapter.name();
        match call(name, self.adapter.is_powered()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AdapterError::PoweredOff { name: name.to_owned() }),
            // It was known before.
            Err(AdapterError::NotSupported { name, .. }) => Err(AdapterError::Removed { name }),
            Err(error) => Err(error),
        }
    }
}

/// Whether an event may be the adapter's last.
fn tells(event: &AdapterEvent) -> bool {
    matches!(event, AdapterEvent::PropertyChanged(AdapterProperty::Powered(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_chosen_by_name_or_the_first_one() {
        let there = ["hci0".to_owned(), "hci1".to_owned()];
        assert_eq!(choose(None, &there), Some("hci0"));
        assert_eq!(choose(Some("hci1"), &there), Some("hci1"));
        assert_eq!(choose(Some("hci2"), &there), None);
        assert_eq!(choose(None, &[]), None);
    }
}
