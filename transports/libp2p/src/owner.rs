//! The owner task: holds the swarm, knows every connection and link, and judges which become links.
//!
//! It never waits for the driver: events that the driver has not taken pile up to a bound, and
//! beyond it the swarm is no longer polled. What is said on a stream is left to the stream's task,
//! whom to dial and when to [`Targets`], verdicts on gossip to the driver.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use hundi_transports::link::{CloseReason, LinkId};
use hundi_transports::rate::Bucket;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{PeerId, Swarm, mdns};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::address::{from_multiaddr, is_dialable, to_multiaddr};
use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::config::{Config, ReachList};
use crate::event::{DialError, Event};
use crate::handle::{Command, Windows};
use crate::limits::{EVENTS_WINDOW, GOODBYE_TIMEOUT, Limits, OPENING_TIMEOUT};
use crate::links::LinksEvent;
use crate::targets::Targets;
use crate::task::{self, Judgement, Report};

mod gossip;
mod judge;

use gossip::PendingGossip;

/// Reports that wait for the owner: it takes them at once, so any small number does.
const REPORTS_WINDOW: usize = 64;

/// The state of the libp2p side.
pub(crate) struct Owner {
    swarm: Swarm<Behaviour>,
    me: PeerId,
    network_tag: String,
    limits: Limits,
    started: Instant,
    commands: mpsc::Receiver<Command>,
    reports: mpsc::Receiver<Report>,
    reports_sender: mpsc::Sender<Report>,
    events: mpsc::Sender<Event>,
    outbox: VecDeque<Event>,
    windows: Windows,
    listening: BTreeSet<SocketAddr>,
    targets: Targets,
    /// Connections being made, with the address dialled and whether the driver asked for it.
    dialling: HashMap<ConnectionId, Dial>,
    connections: HashMap<ConnectionId, Connection>,
    links: HashMap<PeerId, Link>,
    /// Streams that wait for the older link of the same peer to be gone.
    waiting: HashMap<PeerId, Waiting>,
    gossip: PendingGossip,
    next_link: u64,
    stopping: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Dial {
    address: SocketAddr,
    asked: bool,
}

/// A connection that libp2p has established.
struct Connection {
    peer: PeerId,
    remote: SocketAddr,
    dial: Option<Dial>,
    established: Instant,
    phase: Phase,
    /// Whether libp2p has closed it while its stream's task still runs.
    closed: bool,
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No stream yet.
    Waiting,
    /// Its stream's task runs, whether it is a link or not.
    Running,
    /// Nothing more comes from it; it is being closed.
    Done,
}

/// The one link with a peer, from the owner's admission on.
struct Link {
    link: LinkId,
    connection: ConnectionId,
    /// The address dialled and those that the other end states.
    addresses: BTreeSet<SocketAddr>,
    orders: watch::Sender<Option<CloseReason>>,
    up: bool,
    gossip: Bucket,
    rejects: Bucket,
}

struct Waiting {
    connection: ConnectionId,
    listening: Vec<SocketAddr>,
    reply: oneshot::Sender<Judgement>,
}

impl Owner {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        config: Config,
        windows: Windows,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (reports_sender, reports) = mpsc::channel(REPORTS_WINDOW);
        let mut targets = Targets::default();
        targets.set_list(Duration::ZERO, config.reach);
        Owner {
            me: *swarm.local_peer_id(),
            swarm,
            network_tag: config.network_tag,
            limits: config.limits,
            started: Instant::now(),
            commands,
            reports,
            reports_sender,
            events,
            outbox: VecDeque::new(),
            windows,
            listening: BTreeSet::new(),
            targets,
            dialling: HashMap::new(),
            connections: HashMap::new(),
            links: HashMap::new(),
            waiting: HashMap::new(),
            gossip: PendingGossip::default(),
            next_link: 0,
            stopping: None,
        }
    }

    pub(crate) async fn run(mut self) {
        let events = self.events.clone();
        while !self.is_stopped() {
            let wake = self.next_wake();
            tokio::select! {
                permit = events.reserve(), if !self.outbox.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(event) = self.outbox.pop_front() {
                            permit.send(event);
                        }
                    }
                    Err(_) => self.stop(),
                },
                () = events.closed(), if self.stopping.is_none() => self.stop(),
                command = self.commands.recv(), if self.stopping.is_none() => match command {
                    Some(command) => self.on_command(command),
                    None => self.stop(),
                },
                Some(report) = self.reports.recv() => self.on_report(report),
                event = self.swarm.select_next_some(), if self.outbox.len() < EVENTS_WINDOW => {
                    self.on_swarm(event);
                }
                () = sleep_until(wake) => {}
            }
            self.on_time();
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn is_stopped(&self) -> bool {
        self.stopping.is_some_and(|deadline| {
            Instant::now() >= deadline || (self.links.is_empty() && self.outbox.is_empty())
        })
    }

    /// When something has to be done although nothing happens.
    fn next_wake(&self) -> Instant {
        let due = self.targets.next_due().map(|due| self.started + due);
        let waiting =
            self.connections.values().filter(|connection| connection.phase == Phase::Waiting);
        let opening = waiting.map(|connection| connection.established + OPENING_TIMEOUT).min();
        let idle = Instant::now() + OPENING_TIMEOUT;
        [due.filter(|_| self.stopping.is_none()), opening, self.stopping]
            .into_iter()
            .flatten()
            .fold(idle, Instant::min)
    }

    fn on_time(&mut self) {
        if self.stopping.is_none() {
            for address in self.targets.take_due(self.now()) {
                self.dial(Dial { address, asked: false });
            }
        }
        let late = self.connections.iter().filter(|(_, connection)| {
            connection.phase == Phase::Waiting
                && connection.established.elapsed() >= OPENING_TIMEOUT
        });
        let late: Vec<ConnectionId> = late.map(|(id, _)| *id).collect();
        for id in late {
            self.give_up(id, "no stream was opened in time");
        }
    }

    /// Ends a connection that has no stream.
    fn give_up(&mut self, id: ConnectionId, reason: &str) {
        self.swarm.close_connection(id);
        let connection = self.connections.get_mut(&id);
        if let Some(connection) = connection.filter(|known| known.phase == Phase::Waiting) {
            connection.phase = Phase::Done;
            if let Some(dial) = connection.dial {
                self.dial_failed(dial, reason);
            }
        }
    }

    fn stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(Instant::now() + 2 * GOODBYE_TIMEOUT);
            for link in self.links.values() {
                order(link, CloseReason::Stopped);
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial { address, reply } => {
                let allowed = self.targets.is_reachable([address].iter());
                if allowed && !self.is_linked(address) {
                    self.dial(Dial { address, asked: true });
                }
                // A driver that does not wait for the answer does not get it.
                let _ = reply.send(if allowed {
                    Ok(())
                } else {
                    Err(DialError::NotReachable { address })
                });
            }
            Command::Close { link } => {
                if let Some(link) = self.links.values().find(|other| other.link == link) {
                    order(link, CloseReason::ClosedHere);
                }
            }
            Command::Publish { bytes, reply } => {
                let _ = reply.send(self.publish(bytes));
            }
            Command::Validate { message, verdict } => self.validate(message, verdict),
            Command::SetReach { reach, reply } => {
                self.set_reach(reach);
                let _ = reply.send(());
            }
            Command::Stop => self.stop(),
        }
    }

    fn is_linked(&self, address: SocketAddr) -> bool {
        self.links.values().any(|link| link.addresses.contains(&address))
    }

    fn set_reach(&mut self, reach: Option<ReachList>) {
        self.targets.set_list(self.now(), reach);
        self.mark_linked();
        for link in self.links.values() {
            if !self.targets.is_reachable(link.addresses.iter()) {
                // Out of reach means gone, not a polite goodbye: the connection ends at once.
                order(link, CloseReason::NotReachable);
                self.swarm.close_connection(link.connection);
            }
        }
    }

    /// Tells the targets which of them have a link, after the targets changed.
    fn mark_linked(&mut self) {
        for address in self.links.values().flat_map(|link| &link.addresses) {
            self.targets.linked(*address);
        }
    }

    fn dial(&mut self, dial: Dial) {
        if self.listening.contains(&dial.address) || !is_dialable(dial.address) {
            self.dial_failed(dial, "this node's own address, or none that can be dialled");
            return;
        }
        // A new port each time: a reused one cannot be connected twice to the same address within
        // a minute of its last use.
        let options = DialOpts::unknown_peer_id()
            .address(to_multiaddr(dial.address))
            .allocate_new_port()
            .build();
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dialling.insert(id, dial);
            }
            Err(error) => self.dial_failed(dial, &error.to_string()),
        }
    }

    fn dial_failed(&mut self, dial: Dial, reason: &str) {
        tracing::debug!(address = %dial.address, reason, "dialling brought no link");
        self.targets.failed(self.now(), dial.address, jitter());
        if dial.asked {
            let (address, reason) = (dial.address, reason.to_owned());
            self.outbox.push_back(Event::DialFailed { address, reason });
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                if let Some(address) = from_multiaddr(&address) {
                    self.listening.insert(address);
                    self.outbox.push_back(Event::Listening { address });
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                if let Some(address) = from_multiaddr(&address) {
                    self.listening.remove(&address);
                    self.outbox.push_back(Event::ListeningStopped { address });
                }
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let dial = self.dialling.remove(&connection_id);
                let Some(remote) = from_multiaddr(endpoint.get_remote_address()) else {
                    self.swarm.close_connection(connection_id);
                    return;
                };
                let established = Instant::now();
                let (peer, phase, closed) = (peer_id, Phase::Waiting, false);
                let connection = Connection { peer, remote, dial, established, phase, closed };
                self.connections.insert(connection_id, connection);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(dial) = self.dialling.remove(&connection_id) {
                    self.dial_failed(dial, &error.to_string());
                }
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.give_up(connection_id, "closed before it was a link");
                match self.connections.get_mut(&connection_id) {
                    // The stream's task reports its own end.
                    Some(connection) if connection.phase == Phase::Running => {
                        connection.closed = true;
                    }
                    _ => {
                        self.connections.remove(&connection_id);
                    }
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Links(event)) => self.on_links(event),
            SwarmEvent::Behaviour(BehaviourEvent::Gate(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Mdns(event)) => self.on_mdns(event),
            _ => {}
        }
    }

    fn on_links(&mut self, event: LinksEvent) {
        match event {
            LinksEvent::Stream { connection: id, stream } => {
                let Some(connection) = self.connections.get_mut(&id) else {
                    return;
                };
                let mut nonce = [0; 32];
                if connection.phase != Phase::Waiting {
                    return;
                }
                if getrandom::fill(&mut nonce).is_err() {
                    self.give_up(id, "no random source");
                    return;
                }
                connection.phase = Phase::Running;
                let context = task::Context {
                    connection: id,
                    me: self.me,
                    peer: connection.peer,
                    dialled: connection.dial.is_some(),
                    remote: connection.remote,
                    network_tag: self.network_tag.clone(),
                    nonce,
                    listening: self.stated_addresses(),
                    limits: self.limits,
                    reports: self.reports_sender.clone(),
                    events: self.events.clone(),
                };
                tokio::spawn(task::run(stream, context));
            }
            LinksEvent::Foreign { connection: id } => {
                let dial = self.connections.get(&id).and_then(|connection| connection.dial);
                self.give_up(id, "the other end is of another network");
                if let Some(dial) = dial {
                    // Announced again if it ever becomes one of ours.
                    self.targets.expired(self.now(), dial.address);
                }
            }
        }
    }

    /// What this node says about where it listens: what others can dial.
    fn stated_addresses(&self) -> Vec<SocketAddr> {
        self.listening.iter().copied().filter(|address| is_dialable(*address)).collect()
    }

    fn on_mdns(&mut self, event: mdns::Event) {
        let now = self.now();
        match event {
            mdns::Event::Discovered(found) => {
                for address in found.iter().filter_map(|(_, address)| from_multiaddr(address)) {
                    if is_dialable(address) && !self.listening.contains(&address) {
                        self.targets.discovered(now, address);
                    }
                }
                self.mark_linked();
            }
            mdns::Event::Expired(gone) => {
                for address in gone.iter().filter_map(|(_, address)| from_multiaddr(address)) {
                    self.targets.expired(now, address);
                }
                self.mark_linked();
            }
        }
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Judge { connection, listening, reply } => {
                self.judge(Waiting { connection, listening, reply });
            }
            Report::Up { connection } => {
                let up = self.links.values_mut().find(|link| link.connection == connection);
                if let Some(link) = up {
                    link.up = true;
                    self.swarm.behaviour_mut().gate.open(connection);
                }
            }
            Report::Ended { connection, outcome } => self.on_ended(connection, outcome),
        }
    }
}

/// Tells a link's task to end; the first reason counts.
fn order(link: &Link, reason: CloseReason) {
    link.orders.send_if_modified(|order| {
        let first = order.is_none();
        if first {
            *order = Some(reason);
        }
        first
    });
}

/// Two random bytes to spread waits with. Without a random source waits are merely regular.
fn jitter() -> u16 {
    let mut bytes = [0; 2];
    let _ = getrandom::fill(&mut bytes);
    u16::from_le_bytes(bytes)
}
