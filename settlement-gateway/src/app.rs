//! The application: opens what is stored, replays the bank, starts the node, the bank's thread and
//! the HTTP API, and takes them down in an order that loses nothing.

use crate::api::{Access, Shared, health, router};
use crate::bank_task::{self, BankHandle, BankTaskError};
use crate::config::Config;
use crate::journal_store::{JournalStore, OpenJournalError};
use crate::keys::{self, KeysError};
use crate::limits::PUBLISH_QUEUE_MAX;
use crate::mesh::{self, Intake};
use crate::monitor::{Monitor, Phase};
use hundi_journal::apply::ApplyError;
use hundi_journal::bank::{Bank, HandleError, Profile};
use hundi_journal::event::Event;
use hundi_journal::input::Input;
use hundi_ledger::id::BankNumber;
use hundi_ledger::record::network::Network;
use hundi_node::daemon::{self, Daemon, Listener, StoreFailed};
use hundi_node::engine;
use hundi_node::home::{Home, HomeError};
use hundi_node::store::ReadError;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

/// Of the time that stopping may take: the part for requests that are inside already.
const REQUESTS_PART: u32 = 2;
/// And the part for connections to end, and again for the mesh side to take what was signed.
const FAREWELL_PART: u32 = 8;

/// Why a gateway does not start.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The bank's keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The genesis file does not name this bank.
    #[error(
        "the genesis file does not name bank {0}: the directory's files do not belong together"
    )]
    NotABank(BankNumber),
    /// The bank's store cannot be used.
    #[error(transparent)]
    Journal(#[from] OpenJournalError),
    /// The stored records cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event does not follow.
    #[error(
        "event {number} does not follow from those before it ({error}): the store is damaged or another bank's"
    )]
    Replay {
        /// Its number.
        number: u64,
        /// What is wrong.
        error: ApplyError,
    },
    /// The address for monitoring cannot be used.
    #[error("cannot answer at {address} ({error}): choose another --monitoring")]
    Monitoring {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The API's address cannot be used.
    #[error("cannot open the API at {address} ({error}): choose another --api")]
    Api {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The node does not start.
    #[error(transparent)]
    Node(#[from] daemon::StartError),
    /// A certificate of the directory is not this bank's.
    #[error("the certificates file is not this bank's: {0}")]
    Certificate(HandleError),
    /// The bank's thread ended at once.
    #[error(transparent)]
    Bank(#[from] BankTaskError),
}

/// Why a gateway that ran has ended.
#[derive(Debug, Error)]
pub enum RunError {
    /// The bank's thread.
    #[error(transparent)]
    Bank(#[from] BankTaskError),
    /// The node's store.
    #[error("the node's store failed: {0}")]
    Node(#[from] StoreFailed),
    /// The node ended of itself.
    #[error("the node stopped: see the log")]
    NodeStopped,
    /// The listener failed.
    #[error("the API stopped: {0}")]
    Api(std::io::Error),
    /// Stopping took too long.
    #[error(
        "not everything was worked off within {0:?}: what was not answered is handed in again; see drain_s"
    )]
    Unfinished(Duration),
    /// A defect: something broke down.
    #[error("a part of the gateway broke down: {0}")]
    Broken(#[from] JoinError),
}

/// A gateway that has started.
#[derive(Debug)]
pub struct Application {
    home: Home,
    address: SocketAddr,
    token: String,
    http: TcpListener,
    shared: Arc<Shared>,
    intake: (Intake, Listener),
    parts: Parts,
    tick: Duration,
    epoch: Duration,
    drain: Duration,
    /// Ends when it is dropped: after everything else.
    monitoring: JoinSet<std::io::Result<()>>,
}

/// What has to end, each when what it serves has.
#[derive(Debug)]
struct Parts {
    bank: JoinHandle<Result<(), BankTaskError>>,
    publisher: JoinHandle<()>,
    node: JoinHandle<Result<(), StoreFailed>>,
}

/// A bank replayed from what is stored in `dir`, without keys.
///
/// # Errors
/// When what is stored is damaged or not this bank's.
pub fn replay(network: &Network, number: BankNumber, events: &[Event]) -> Result<Bank, BuildError> {
    let mut bank = Bank::new(network.clone(), number, Profile::default())
        .ok_or(BuildError::NotABank(number))?;
    for event in events {
        let number = event.number;
        bank.apply(event).map_err(|error| BuildError::Replay { number, error })?;
    }
    Ok(bank)
}

/// Where the bank's store is, below the gateway's directory.
pub fn journal_dir(home: &Home) -> PathBuf {
    home.dir().join("journal")
}

/// Starts a gateway; it serves nobody before [`Application::run`].
///
/// # Errors
/// See [`BuildError`].
pub async fn build(config: Config) -> Result<Application, BuildError> {
    let Config { home, listen, api, monitoring, mdns, reach, bluetooth, tick, rescan, drain } =
        config;
    let network = home.network()?;
    let loaded = keys::load(&home)?;
    let number = loaded.number;
    // First what others may hold: a port, a lock. Nothing has been started then.
    let http = TcpListener::bind(api).await;
    let http = http.map_err(|error| BuildError::Api { address: api, error })?;
    let address = http.local_addr().map_err(|error| BuildError::Api { address: api, error })?;
    let monitor = Arc::new(Monitor::new());
    let monitoring = answer_monitoring(monitoring, &monitor).await?;
    let (journal, events) = JournalStore::open(&journal_dir(&home), network.id())?;
    let bank = replay(&network, number, &events)?;
    monitor.durable(&events, &bank);
    drop(events);
    let journal = Arc::new(journal);
    let records = journal.records()?;
    let (daemon, listener, node) = Daemon::start(daemon::Config {
        network: network.clone(),
        store: home.store(),
        keys: None,
        listen,
        mdns,
        reach: reach.map(|list| list.into_iter().collect()),
        bluetooth,
        engine: engine::Config { intake: true, ..engine::Config::default() },
    })
    .await?;
    let (publish, inbox) = mpsc::channel(PUBLISH_QUEUE_MAX);
    let publisher = tokio::spawn(mesh::publish(daemon.clone(), records, inbox));
    let sealing = loaded.keys.sealing.first().map(|secret| secret.public());
    let publishing = bank_task::queue("publish", &publish);
    let (bank, bank_task) = bank_task::start_watched(
        bank,
        loaded.keys,
        Arc::clone(&journal),
        publish,
        Arc::clone(&monitor),
    );
    let intake = Intake {
        daemon: daemon.clone(),
        bank: bank.clone(),
        journal: Arc::clone(&journal),
        network: network.id(),
        number,
        rescan,
        monitor: Arc::clone(&monitor),
    };
    prepare(&bank, loaded.certificates, &intake).await?;
    let token = home.announce_api(address)?;
    let sealing = sealing.ok_or(BuildError::NotABank(number))?;
    let access = Access::new(&token);
    monitor.watch(vec![bank.queue(), publishing, access.queue()]);
    let shared =
        Shared { bank, daemon, journal, network: network.id(), number, sealing, monitor, access };
    tracing::info!(%address, network = %network.id(), bank = %number, "the gateway is ready");
    Ok(Application {
        home,
        address,
        token,
        http,
        shared: Arc::new(shared),
        intake: (intake, listener),
        parts: Parts { bank: bank_task, publisher, node },
        tick,
        epoch: Duration::from_secs(u64::from(network.definition().epoch_seconds)),
        drain,
        monitoring,
    })
}

/// Answers who watches the gateway, from now on: while it starts, and while it stops.
async fn answer_monitoring(
    address: Option<SocketAddr>,
    monitor: &Arc<Monitor>,
) -> Result<JoinSet<std::io::Result<()>>, BuildError> {
    let mut answering = JoinSet::new();
    if let Some(address) = address {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| BuildError::Monitoring { address, error })?;
        let routes = health::monitoring(Arc::clone(monitor));
        answering.spawn(async move { axum::serve(listener, routes).await });
    }
    Ok(answering)
}

/// Certificates that are not installed yet; what was durable at the node and not at the bank when
/// the last run ended; then, and only if none of that is a record that the books lack, what became
/// due meanwhile and the time.
async fn prepare(
    bank: &BankHandle,
    certificates: Vec<Vec<u8>>,
    intake: &Intake,
) -> Result<(), BuildError> {
    for record in certificates {
        let installed = bank.handle(vec![Input::InstallCertificate { record }]).await;
        decided(installed).map_err(BuildError::Certificate)?;
    }
    if !intake.look_at_everything().await {
        return Ok(());
    }
    bank.begin_signing().await;
    for input in [Input::Tick, Input::Bulletin] {
        decided(bank.handle(vec![input]).await).map_err(BuildError::Certificate)?;
    }
    Ok(())
}

/// A bank that has stopped for a fault still answers questions, and one whose thread has ended is
/// noticed by whoever waits for it.
fn decided<T>(answer: Result<T, bank_task::AskBankError>) -> Result<(), HandleError> {
    match answer {
        Err(bank_task::AskBankError::Refused(HandleError::Stopped)) => {
            tracing::error!("the bank has stopped for a fault: look into it, then resume");
            Ok(())
        }
        Err(bank_task::AskBankError::Refused(error)) => Err(error),
        Ok(_) | Err(bank_task::AskBankError::Stopping) => Ok(()),
    }
}

impl Application {
    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token of this run.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Serves until `shutdown` completes or a part fails; then works off what was taken and stops.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), RunError> {
        let Self { home, http, shared, intake, mut parts, tick, epoch, drain, monitoring, .. } =
            self;
        let bank = shared.bank.clone();
        let (stop, stopping) = watch::channel(false);
        let graceful = wait_for(stopping);
        let routes = router(Arc::clone(&shared));
        let mut server = tokio::spawn(async move {
            axum::serve(http, routes).with_graceful_shutdown(graceful).await
        });
        let mut intakes = JoinSet::new();
        intakes.spawn(intake.0.run(intake.1));
        intakes.spawn(repeat(bank.clone(), Input::Tick, tick));
        intakes.spawn(repeat(bank, Input::Bulletin, epoch));
        shared.monitor.enter(Phase::Running);
        let mut ended = Ended::default();
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            of = &mut parts.bank => {
                ended.bank = true;
                shared.monitor.store_failed();
                bank_end(of)
            }
            of = &mut parts.node => {
                ended.node = true;
                node_end(of).and(Err(RunError::NodeStopped))
            }
            of = &mut server => {
                ended.server = true;
                of.map_err(RunError::from).and_then(|served| served.map_err(RunError::Api))
            }
        };
        tracing::info!("stopping: what was taken is worked off first");
        shared.monitor.enter(Phase::Draining);
        shared.access.gate.close();
        drop(intakes);
        let server = Server { task: server, stop };
        let drained = tokio::time::timeout(drain, wind_down(&shared, server, parts, ended, drain));
        let drained = drained.await.unwrap_or(Err(RunError::Unfinished(drain)));
        home.withdraw_api();
        drop(monitoring);
        outcome.and(drained)
    }
}

/// What ended of itself.
#[derive(Default)]
struct Ended {
    bank: bool,
    node: bool,
    server: bool,
}

/// The API's server, and how it is told to stop.
struct Server {
    task: JoinHandle<std::io::Result<()>>,
    stop: watch::Sender<bool>,
}

/// Works off what was taken: first the requests that are inside, then what waits for the bank, then
/// what it signed. Each has its part of the time, so that a slow stranger keeps none of the rest.
async fn wind_down(
    shared: &Shared,
    mut server: Server,
    parts: Parts,
    ended: Ended,
    drain: Duration,
) -> Result<(), RunError> {
    let farewell = drain / FAREWELL_PART;
    if tokio::time::timeout(drain / REQUESTS_PART, shared.access.gate.emptied()).await.is_err() {
        tracing::warn!(requests = shared.access.gate.inside(), "requests are left unanswered");
    }
    server.stop.send_replace(true);
    if !ended.server && tokio::time::timeout(farewell, &mut server.task).await.is_err() {
        server.task.abort();
    }
    shared.bank.stop().await;
    let mut outcome = Ok(());
    if !ended.bank {
        outcome = bank_end(parts.bank.await);
    }
    if tokio::time::timeout(farewell, parts.publisher).await.is_err() {
        tracing::warn!("records wait for the next start to be published");
    }
    shared.daemon.stop().await;
    if !ended.node {
        outcome = outcome.and(node_end(parts.node.await));
    }
    outcome
}

fn bank_end(ended: Result<Result<(), BankTaskError>, JoinError>) -> Result<(), RunError> {
    Ok(ended??)
}

fn node_end(ended: Result<Result<(), StoreFailed>, JoinError>) -> Result<(), RunError> {
    Ok(ended??)
}

async fn wait_for(mut stopping: watch::Receiver<bool>) {
    // An error says that the sender is gone: stop as well.
    drop(stopping.wait_for(|stop| *stop).await);
}

/// Gives the bank the same input again and again, until it stops.
async fn repeat(bank: BankHandle, input: Input, every: Duration) {
    let mut timer = tokio::time::interval(every);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once, and has been done at the start.
    timer.tick().await;
    loop {
        timer.tick().await;
        match bank.handle(vec![input.clone()]).await {
            Err(bank_task::AskBankError::Stopping) => return,
            Err(error) => tracing::debug!(%error, "the bank does nothing of itself"),
            Ok(_) => {}
        }
    }
}
