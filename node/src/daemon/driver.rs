//! The task that owns the engine: takes what happened, hands it over with time and entropy, and
//! carries out the outputs in order, holding back what waits for the disk.

mod bluetooth;

use super::bluetooth::{Ask, Shown, Tasks};
use super::links::{Carrier, Links, Peer, Transports};
use super::persist::{self, Batch, Report};
use super::shelf::Overlay;
use super::{Heard, Stopped, StoreFailed};
use crate::store::{ReadError, Store};
use bluetooth::Air;
use hundi_engine::{
    Answer, Command, Engine, Event, Input, LinkId, LinkKind, Output, Payload, Verdict,
};
use hundi_ledger::id::Hash;
use hundi_ledger::replica::{Key, Shelf};
use hundi_ledger::sync::TAG_ITEM;
use hundi_transport_ble as ble;
use hundi_transport_libp2p as libp2p;
use hundi_transports::ble::hint::Session;
use hundi_transports::link::LinkInfo;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Gossip to publish or judge. What finds no room is brought by reconciliation instead.
const GOSSIP_QUEUE_MAX: usize = 4096;
/// Gossiped messages that wait for the engine's verdict.
const GOSSIP_WAITING_MAX: usize = 4096;
/// Events that are taken together when they are there: a batch of signatures is verified in half
/// the time from a few dozen on, and the store's answers do not wait for longer than some
/// milliseconds.
const EVENTS_AT_ONCE: usize = 128;

/// Looks at the engine and gives back how to tell what it saw.
pub(super) type Question = Box<dyn FnOnce(&Engine, &dyn Shelf) -> Tell + Send>;
/// Tells somebody, once everything that was seen is durable.
pub(super) type Tell = Box<dyn FnOnce() + Send>;

/// What others ask of the task.
pub(super) enum Request {
    Command { command: Box<Command>, reply: oneshot::Sender<Answer> },
    Ask(Question),
    Items { reply: oneshot::Sender<Vec<Vec<u8>>> },
    Peers { reply: oneshot::Sender<Vec<Peer>> },
    Listening { reply: oneshot::Sender<Vec<SocketAddr>> },
    Show(Shown),
    PayNearby { session: Session, id: Hash, reply: oneshot::Sender<bool> },
    Stop(oneshot::Sender<Infallible>),
}

/// An output with its bytes fetched.
enum Action {
    Send(LinkId, Vec<u8>),
    Publish(Vec<u8>),
    Validate(u64, Verdict),
    Answer(u64, Answer),
    Tell(Tell),
    Nearby(Ask),
    Event(Event, Option<Vec<u8>>),
}

enum Gossip {
    Publish(Vec<u8>),
    Validate(libp2p::MessageId, libp2p::Verdict),
    Close(LinkId),
}

pub(super) struct Driver {
    engine: Engine,
    overlay: Overlay,
    store: Arc<Store>,
    links: Links,
    gossip: mpsc::Sender<Gossip>,
    batches: mpsc::Sender<Batch>,
    reports: mpsc::Receiver<Report>,
    heard: mpsc::Sender<Heard>,
    missed: Arc<AtomicBool>,
    /// The last persist that the engine asked for, and the last that is durable.
    asked: u64,
    durable: u64,
    /// Waits for the disk, in order; each names the persist that must be durable first.
    held: VecDeque<(u64, Action)>,
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    commands: u64,
    waiting: HashMap<u64, libp2p::MessageId>,
    gossip_handles: u64,
    listening: Vec<SocketAddr>,
    wake_at: Option<Instant>,
    air: Option<Air>,
    /// A read failed while the engine decided.
    unreadable: Option<ReadError>,
    /// Who has told it to stop, and waits until it is gone.
    ended: Option<oneshot::Sender<Infallible>>,
}

impl Driver {
    pub(super) fn new(
        engine: Engine,
        store: Arc<Store>,
        transports: Transports,
        air: Option<Tasks>,
        heard: mpsc::Sender<Heard>,
        missed: Arc<AtomicBool>,
    ) -> Self {
        let (batches, reports) = persist::start(Arc::clone(&store));
        let gossip = start_gossip(transports.clone());
        Self {
            engine,
            overlay: Overlay::new(Arc::clone(&store)),
            store,
            links: Links::new(transports),
            gossip,
            batches,
            reports,
            heard,
            missed,
            asked: 0,
            durable: 0,
            held: VecDeque::new(),
            answers: HashMap::new(),
            commands: 0,
            waiting: HashMap::new(),
            gossip_handles: 0,
            listening: Vec::new(),
            wake_at: None,
            air: air.map(Air::new),
            unreadable: None,
            ended: None,
        }
    }

    /// Runs until told to stop, until the network side ends, or until the store fails; then ends
    /// what Bluetooth does.
    pub(super) async fn run(
        mut self,
        events: libp2p::Events,
        mut air: Option<ble::Events>,
        inbox: mpsc::Receiver<Request>,
    ) -> Result<(), StoreFailed> {
        let ended = self.serve(events, &mut air, inbox).await;
        self.leave_air(air).await;
        ended
    }

    async fn serve(
        &mut self,
        mut events: libp2p::Events,
        air: &mut Option<ble::Events>,
        mut inbox: mpsc::Receiver<Request>,
    ) -> Result<(), StoreFailed> {
        self.input(Input::Tick).await;
        while self.ended.is_none() {
            self.keep_air();
            let wait = Duration::from_secs(self.air_due_s().unwrap_or(60).min(60));
            let later = Instant::now() + wait;
            let wake = self.wake_at.map_or(later, |at| at.min(later));
            tokio::select! {
                biased;
                report = self.reports.recv() => match report {
                    Some(Report::Durable(number)) => {
                        self.durable = number;
                        self.overlay.durable(number);
                        self.release();
                        self.input(Input::Persisted { number }).await;
                    }
                    Some(Report::Failed(error)) => {
                        tracing::error!(%error, "the store failed: nothing more is signed or sent");
                        self.input(Input::PersistFailed).await;
                        return Err(error.into());
                    }
                    None => return Ok(()),
                },
                request = inbox.recv() => match request {
                    None => return Ok(()),
                    Some(request) => self.request(request).await,
                },
                event = events.next() => match event {
                    None => return Ok(()),
                    Some(event) => {
                        let more = std::iter::from_fn(|| events.try_next());
                        let events = std::iter::once(event).chain(more).take(EVENTS_AT_ONCE);
                        self.events(events.collect()).await;
                    }
                },
                event = next_of(air) => match event {
                    None => {
                        self.air_ended();
                        *air = None;
                    }
                    Some(event) => {
                        let events = air.as_mut();
                        let more = events.into_iter().flat_map(|events| {
                            std::iter::from_fn(|| events.try_next())
                        });
                        let events = std::iter::once(event).chain(more).take(EVENTS_AT_ONCE);
                        self.air_events(events.collect()).await;
                    }
                },
                () = tokio::time::sleep_until(wake) => {
                    self.wake_at = None;
                    self.input(Input::Tick).await;
                }
            }
            if let Some(error) = self.unreadable.take().or_else(|| self.overlay.take_failure()) {
                tracing::error!(%error, "the store cannot be read: nothing more is signed or sent");
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn request(&mut self, request: Request) {
        // Whoever asked may be gone: then nobody needs the answer.
        match request {
            Request::Command { command, reply } => {
                if let (Command::Publish { items }, Ok((_, entropy))) = (&*command, surroundings())
                {
                    let items = items.iter().map(Vec::as_slice);
                    self.engine.foresee(entropy, items, &self.overlay);
                }
                self.commands += 1;
                self.answers.insert(self.commands, reply);
                self.input(Input::Command { id: self.commands, command: *command }).await;
            }
            Request::Ask(question) => {
                let tell = question(&self.engine, &self.overlay);
                self.tell_when_durable(tell);
            }
            Request::Items { reply } => {
                let keys = self.engine.keys(&self.overlay);
                let items = keys.iter().filter_map(|key| self.overlay.item(key)).collect();
                self.tell_when_durable(Box::new(|| drop(reply.send(items))));
            }
            Request::Peers { reply } => drop(reply.send(self.links.peers())),
            Request::Listening { reply } => drop(reply.send(self.listening.clone())),
            Request::Show(shown) => self.show(shown),
            Request::PayNearby { session, id, reply } => {
                let looks = self.pay_nearby(session, &id);
                let _ = reply.send(looks);
            }
            Request::Stop(ended) => self.ended = Some(ended),
        }
    }

    async fn events(&mut self, events: Vec<libp2p::Event>) {
        let items = events.iter().filter_map(|event| match event {
            libp2p::Event::Message { bytes, .. } => bytes.strip_prefix(&[TAG_ITEM]),
            libp2p::Event::Gossip { bytes, .. } => Some(bytes.as_slice()),
            _ => None,
        });
        if let Ok((_, entropy)) = surroundings() {
            self.engine.foresee(entropy, items, &self.overlay);
        }
        for event in events {
            self.event(event).await;
        }
    }

    async fn event(&mut self, event: libp2p::Event) {
        match event {
            libp2p::Event::Listening { address } => self.listening.push(address),
            libp2p::Event::ListeningStopped { address } => {
                self.listening.retain(|held| *held != address);
            }
            libp2p::Event::LinkUp { info, remote, .. } => {
                let link = Carrier::Libp2p.number(info.link);
                self.link_up(link, remote.to_string(), info, LinkKind::Gossip).await;
            }
            libp2p::Event::LinkDown { link, .. } => {
                self.link_down(Carrier::Libp2p.number(link)).await;
            }
            libp2p::Event::Message { link, bytes } => {
                let link = Carrier::Libp2p.number(link);
                self.input(Input::Message { link, bytes }).await;
            }
            libp2p::Event::Gossip { message, bytes, .. } => {
                if self.waiting.len() >= GOSSIP_WAITING_MAX {
                    return; // Not judged, so not forwarded; reconciliation brings it.
                }
                self.gossip_handles += 1;
                let handle = self.gossip_handles;
                self.waiting.insert(handle, message);
                self.input(Input::Gossip { handle, bytes }).await;
            }
            libp2p::Event::DialFailed { address, reason } => {
                tracing::debug!(%address, reason, "dial failed");
            }
        }
    }

    async fn link_up(&mut self, link: LinkId, address: String, info: LinkInfo, kind: LinkKind) {
        self.links.up(link, address);
        let (handshake_hash, initiator) = (info.handshake_hash.0, info.initiator);
        self.input(Input::LinkUp { link, handshake_hash, initiator, kind }).await;
    }

    async fn link_down(&mut self, link: LinkId) {
        self.links.down(link);
        self.input(Input::LinkDown { link }).await;
    }

    /// Hands one input to the engine and carries out what follows.
    async fn input(&mut self, input: Input) {
        let Ok((now_ms, entropy)) = surroundings() else {
            tracing::error!("the system gives no randomness: an input is not handled");
            return;
        };
        let outputs = self.engine.handle(now_ms, entropy, input, &self.overlay);
        self.unreadable = self.overlay.take_failure();
        if self.unreadable.is_some() {
            return; // Nothing that rests on it is stored or said.
        }
        for output in outputs {
            self.output(output).await;
        }
        self.release();
    }

    async fn output(&mut self, output: Output) {
        match output {
            Output::Persist { number, writes } => {
                self.asked = number;
                let batch = (number, self.overlay.add(number, writes));
                // The thread ends only after reporting a failure, which the loop sees next.
                drop(self.batches.send(batch).await);
            }
            Output::Send { link, after, payload } => {
                let message = match payload {
                    Payload::Message(message) => Some(message),
                    Payload::Item(key) => self.framed(&key),
                };
                self.hold(after, message.map(|message| Action::Send(link, message)));
            }
            Output::Publish { after, key } => {
                let item = self.overlay.item(&key);
                self.hold(after, item.map(Action::Publish));
            }
            Output::GossipVerdict { after, handle, verdict } => {
                self.hold(after, Some(Action::Validate(handle, verdict)));
            }
            Output::CloseLink { link, reason } => {
                tracing::info!(link = link.0, ?reason, "closing a link");
                self.gossip(Gossip::Close(link));
            }
            Output::Answer { after, id, answer } => {
                self.hold(after, Some(Action::Answer(id, answer)));
            }
            Output::Event { after, event } => {
                let item = match &event {
                    Event::ItemNew { key } => self.overlay.item(key),
                    Event::Intake { bytes } => Some(bytes.clone()),
                    _ => None,
                };
                self.hold(after, Some(Action::Event(event, item)));
            }
            Output::WakeAt { ms } => {
                let wait = Duration::from_millis(ms.saturating_sub(now_ms()));
                self.wake_at = Some(Instant::now() + wait);
            }
        }
    }

    fn framed(&self, key: &Key) -> Option<Vec<u8>> {
        let item = self.overlay.item(key)?;
        let mut message = Vec::with_capacity(item.len() + 1);
        message.push(TAG_ITEM);
        message.extend_from_slice(&item);
        Some(message)
    }

    /// What the engine holds may not be durable yet: nobody is told before it is.
    fn tell_when_durable(&mut self, tell: Tell) {
        self.hold(self.asked, Some(Action::Tell(tell)));
        self.release();
    }

    fn hold(&mut self, after: u64, action: Option<Action>) {
        self.held.extend(action.map(|action| (after, action)));
    }

    /// Carries out what no longer waits, in order.
    fn release(&mut self) {
        while self.held.front().is_some_and(|(after, _)| *after <= self.durable) {
            let Some((_, action)) = self.held.pop_front() else { return };
            match action {
                Action::Send(link, message) => {
                    if self.links.send(link, message) {
                        tracing::info!(link = link.0, "a peer is too slow: letting it go");
                        self.gossip(Gossip::Close(link));
                    }
                }
                Action::Publish(bytes) => self.gossip(Gossip::Publish(bytes)),
                Action::Validate(handle, verdict) => {
                    if let Some(message) = self.waiting.remove(&handle) {
                        self.gossip(Gossip::Validate(message, verdict_of(verdict)));
                    }
                }
                Action::Answer(id, answer) => {
                    if let Some(reply) = self.answers.remove(&id) {
                        drop(reply.send(answer)); // Whoever asked may be gone.
                    }
                }
                Action::Tell(tell) => tell(),
                Action::Nearby(ask) => self.ask_nearby(ask),
                Action::Event(event, item) => self.tell(event, item),
            }
        }
    }

    fn tell(&mut self, event: Event, item: Option<Vec<u8>>) {
        match &event {
            Event::Synced { link, in_sync } => self.links.synced(*link, *in_sync),
            Event::Stopped => {
                tracing::error!("this key has signed elsewhere: it never signs here again");
            }
            Event::BankFault { held, .. } => {
                tracing::warn!(%held, "a bank signed two records for one")
            }
            _ => {}
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.heard.try_send(Heard { event, item })
        {
            self.missed.store(true, Ordering::Release);
        }
    }

    fn gossip(&self, what: Gossip) {
        if self.gossip.try_send(what).is_err() {
            tracing::debug!("gossip queue full: reconciliation brings it");
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        tracing::info!(store = %self.store.dir().display(), "daemon stopped");
    }
}

fn verdict_of(verdict: Verdict) -> libp2p::Verdict {
    match verdict {
        Verdict::Accept => libp2p::Verdict::Accept,
        Verdict::Ignore => libp2p::Verdict::Ignore,
        Verdict::Reject => libp2p::Verdict::Reject,
    }
}

/// Gossip goes through a task of its own: the network side may be waiting for the driver.
fn start_gossip(transports: Transports) -> mpsc::Sender<Gossip> {
    let (sender, mut inbox) = mpsc::channel(GOSSIP_QUEUE_MAX);
    tokio::spawn(async move {
        let transport = &transports.libp2p;
        while let Some(what) = inbox.recv().await {
            match what {
                Gossip::Publish(bytes) => {
                    if let Err(error) = transport.publish(bytes).await {
                        tracing::debug!(%error, "not published");
                    }
                }
                Gossip::Validate(message, verdict) => transport.validate(message, verdict).await,
                Gossip::Close(link) => transports.close(link).await,
            }
        }
        transport.stop().await;
    });
    sender
}

/// What Bluetooth reports next; nothing ever where there is none.
async fn next_of(air: &mut Option<ble::Events>) -> Option<ble::Event> {
    match air {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// The time in Unix milliseconds and fresh randomness: everything the engine may not fetch itself.
fn surroundings() -> Result<(u64, [u8; 32]), Stopped> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).map_err(|_| Stopped)?;
    Ok((now_ms(), entropy))
}

/// The time in Unix milliseconds.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
