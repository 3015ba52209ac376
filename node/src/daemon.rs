//! The daemon: one task owns the engine and carries out what it asks, in order.
//!
//! Everything else (local API, gateway, libp2p, the store's thread) talks to that task over
//! bounded channels. The task never waits for anybody who might be waiting for it: the store
//! works on a thread of its own, each link has a sender of its own, and gossip goes through a
//! worker, so that a slow peer or disk slows down its own queue only.

mod bluetooth;
mod driver;
mod links;
mod persist;
mod shelf;

use crate::store::{CommitError, IndexState, OpenError, ReadError, Store, StoreOptions};
use bluetooth::Shown;
use driver::{Driver, Request};
use hundi_engine::{Answer, Command, Config as EngineConfig, Engine, Event, Keys, LoadError};
use hundi_ledger::id::Hash;
use hundi_ledger::record::network::Network;
use hundi_ledger::replica::Shelf;
use hundi_ledger::request::PaymentRequest;
use hundi_transport_ble as ble;
use hundi_transport_libp2p as libp2p;
use hundi_transports::ble::hint;
use links::Transports;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use bluetooth::{Adapter, Bluetooth, Invitation, NoBluetooth, SEARCH_S};
pub use links::Peer;
pub use shelf::{Overlay, open_engine};

/// Requests waiting for the daemon's task: callers of the local API, each waiting for its answer.
const REQUESTS_MAX: usize = 256;
/// Events waiting for the gateway's intake. When it lags further it is told to look at everything.
const EVENTS_MAX: usize = 16 * 1024;

/// How a daemon runs.
#[derive(Debug)]
pub struct Config {
    /// The network.
    pub network: Network,
    /// The store's directory.
    pub store: PathBuf,
    /// The device's keys; none for a relay.
    pub keys: Option<Keys>,
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Whether to find peers with mDNS.
    pub mdns: bool,
    /// The addresses that may be reached; none means all.
    pub reach: Option<libp2p::ReachList>,
    /// Whether and how to use Bluetooth.
    pub bluetooth: Option<Bluetooth>,
    /// What the engine does of itself.
    pub engine: EngineConfig,
}

/// Why a daemon does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store opens but cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is stored does not make an engine.
    #[error("the store does not hold what this device wrote: {0}")]
    Load(#[from] LoadError),
    /// The network side does not start.
    #[error(transparent)]
    Transport(#[from] libp2p::StartError),
    /// Bluetooth does not start, whatever its adapter does.
    #[error("Bluetooth does not start: {0}")]
    Bluetooth(#[from] ble::StartError),
}

/// Why a daemon that ran has ended of itself.
#[derive(Debug, Error)]
pub enum StoreFailed {
    /// Something could not be made durable.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Something that is stored could not be read, and nothing can be decided without it.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The daemon has stopped: its store failed or it was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the daemon has stopped: see its log, then start it again")]
pub struct Stopped;

/// Something for whoever listens beside the device: the gateway's intake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What the engine said.
    pub event: Event,
    /// The item it is about, if it names one.
    pub item: Option<Vec<u8>>,
}

/// Who listens: the receiver, and whether events were lost since it was last looked at.
#[derive(Debug)]
pub struct Listener {
    /// The events.
    pub events: mpsc::Receiver<Heard>,
    /// Set when an event found no room: look at everything the node holds, then clear it first.
    pub missed: Arc<AtomicBool>,
}

/// A running daemon. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Daemon {
    requests: mpsc::Sender<Request>,
    transport: libp2p::Handle,
    adapter: Option<watch::Receiver<Adapter>>,
}

impl Daemon {
    /// Starts a daemon; the join handle ends when it stops.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: Config,
    ) -> Result<(Self, Listener, JoinHandle<Result<(), StoreFailed>>), StartError> {
        let (store, report) = Store::open(&config.store, StoreOptions::default())?;
        tracing::info!(?report, "store open");
        let store = Arc::new(store);
        let network_id = config.network.id();
        // An index built anew, or damage: then every item is looked at again.
        let rebuilt = matches!(report.index, IndexState::Rebuilt { .. });
        let sound = !rebuilt && report.damage.is_empty();
        let engine = shelf::open_engine(config.engine, config.network, config.keys, &store, sound)?;
        let tag = &network_id.to_string()[..16];
        let mut transport = libp2p::Config::new(tag, config.listen);
        transport.mdns = config.mdns;
        transport.reach = config.reach;
        let (transport, events) = libp2p::start(transport).await?;
        let started = config.bluetooth.map(|wanted| bluetooth::start(tag.as_bytes(), wanted));
        let (bluetooth, air, tasks) = match started.transpose()? {
            Some((handle, events, tasks)) => (Some(handle), Some(events), Some(tasks)),
            None => (None, None, None),
        };
        let adapter = tasks.as_ref().map(|tasks| tasks.adapter.subscribe());
        let transports = Transports { libp2p: transport.clone(), bluetooth };
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let (heard, listener) = mpsc::channel(EVENTS_MAX);
        let missed = Arc::new(AtomicBool::new(false));
        let driver = Driver::new(engine, store, transports, tasks, heard, Arc::clone(&missed));
        let task = tokio::spawn(driver.run(events, air, inbox));
        let daemon = Self { requests, transport, adapter };
        Ok((daemon, Listener { events: listener, missed }, task))
    }

    /// Commands the device; the answer comes when what it says is durable.
    ///
    /// # Errors
    /// When the daemon has stopped.
    pub async fn command(&self, command: Command) -> Result<Answer, Stopped> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Command { command: Box::new(command), reply };
        self.requests.send(request).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Asks the engine something, with the shelf that it reads, at a moment between two inputs. The answer comes when everything
    /// that the engine held at that moment is durable.
    ///
    /// # Errors
    /// When the daemon has stopped.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine, &dyn Shelf) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let question = Box::new(move |engine: &Engine, shelf: &dyn Shelf| -> driver::Tell {
            let said = question(engine, shelf);
            // Nobody waits any more: nothing to tell.
            Box::new(move || drop(reply.send(said)))
        });
        self.requests.send(Request::Ask(question)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// The items that the node holds, in an order in which they can be applied: for a file.
    ///
    /// # Errors
    /// When the daemon has stopped.
    pub async fn items(&self) -> Result<Vec<Vec<u8>>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Items { reply }).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// The links that are up.
    ///
    /// # Errors
    /// When the daemon has stopped.
    pub async fn peers(&self) -> Result<Vec<Peer>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Peers { reply }).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Where the node listens.
    ///
    /// # Errors
    /// When the daemon has stopped.
    pub async fn listening(&self) -> Result<Vec<SocketAddr>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Listening { reply }).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// How Bluetooth is; none where it was not asked for.
    pub fn bluetooth(&self) -> Option<Adapter> {
        self.adapter.as_ref().map(|adapter| adapter.borrow().clone())
    }

    /// A session for a payment request, to be named in its hints.
    ///
    /// # Errors
    /// See [`NoBluetooth`].
    pub fn invitation(&self) -> Result<Invitation, NoBluetooth> {
        let adapter = self.bluetooth().ok_or(NoBluetooth::NotStarted)?;
        Invitation::new(&adapter)
    }

    /// Puts a request's session on the air, in place of any other, until its payer has said goodbye
    /// or it expires.
    ///
    /// # Errors
    /// When the daemon has stopped.
    pub async fn show(
        &self,
        invitation: Invitation,
        request: &PaymentRequest,
    ) -> Result<(), Stopped> {
        let shown = Shown { invitation, request: request.request, expires: request.expires };
        self.requests.send(Request::Show(shown)).await.map_err(|_| Stopped)
    }

    /// Looks for the payee of a payment that was made, by Bluetooth, for [`SEARCH_S`] seconds.
    /// Whether it does: not where its request names no session, this device has no adapter in use,
    /// or the payment is answered.
    ///
    /// # Errors
    /// When the daemon has stopped.
    pub async fn pay_nearby(&self, request: &PaymentRequest, id: Hash) -> Result<bool, Stopped> {
        let mut hints = request.hints.iter();
        let session = hints.find_map(|hint| hint::decode(hint).ok());
        let usable = !matches!(self.bluetooth(), None | Some(Adapter::Off(_)));
        let Some(session) = session.filter(|_| usable) else { return Ok(false) };
        let (reply, answer) = oneshot::channel();
        let request = Request::PayNearby { session, id, reply };
        self.requests.send(request).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// The network side: dialling and the reach list.
    pub fn transport(&self) -> &libp2p::Handle {
        &self.transport
    }

    /// Stops the daemon, and returns when it has ended: links are closed with a goodbye, nothing is on
    /// the air any more, what was accepted is durable.
    pub async fn stop(&self) {
        let (ended, end) = oneshot::channel();
        // Already stopped otherwise.
        if self.requests.send(Request::Stop(ended)).await.is_ok() {
            // It says nothing: with the daemon this end goes.
            let _gone = end.await;
        }
    }
}
