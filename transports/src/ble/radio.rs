//! One device's Bluetooth as a state machine: what it saw and heard goes in, what the system's API
//! is to do comes out.
//!
//! It holds nothing of any system: BlueZ is one driver of it, a phone's API another. It decides
//! what to advertise, when to scan, whom to connect to, and runs one [`Link`] per connection. The
//! driver carries out outputs, tells what came of them, and calls again at [`Radio::deadline`];
//! `docs/ble.md` says what it owes, callback by callback.

use std::collections::BTreeMap;

use crate::ble::advertisement::{Advertisement, Beacon, fingerprint};
use crate::ble::contacts::{Address, Contacts, Own, Verdict};
use crate::ble::entropy::Entropy;
use crate::ble::hint::Session;
use crate::ble::limits::{FRAGMENT_BYTES_MAX, FRAGMENT_BYTES_MIN};
use crate::ble::link::{Callee, Event, GREETING_BYTES, Link, Setting};
use crate::ble::scan::ScanPlan;
use crate::channel::LinkKey;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::link::{LinkEvent, LinkId, LinkInfo, SendError};

mod connection;
mod interface;
mod plan;
mod search;

pub use interface::{Config, ConnectionId, Input, Output, Role};

use connection::Connection;
use search::Search;

/// What stands for the id of a device that gives none.
const NO_GREETING: [u8; GREETING_BYTES] = [0; GREETING_BYTES];

/// One device's Bluetooth.
#[derive(Debug)]
pub struct Radio {
    config: Config,
    entropy: Entropy,
    contacts: Contacts,
    scan: ScanPlan,
    powered: bool,
    id: [u8; 4],
    rotate_at_ms: u64,
    held: [u8; 32],
    /// The number of the newest payment that has no answer yet.
    awaits: Option<u32>,
    /// What is on the air, and since when.
    advertised: Option<(Advertisement, u64)>,
    /// What was on the air last, under the address of now.
    shown: Option<Advertisement>,
    new_address: bool,
    invited: Option<(Session, LinkKey)>,
    /// Until when a payer is expected, and no peer looked for.
    expecting_until_ms: Option<u64>,
    search: Option<Search>,
    /// With whom a connection is being made, and whether to pay.
    connecting: Option<(Address, bool)>,
    connections: BTreeMap<ConnectionId, Connection>,
    links: u64,
    /// When a device that is left alone may be connected to.
    choose_at_ms: Option<u64>,
}

impl Radio {
    /// A device whose adapter is not there yet. `entropy` must be fresh and secret: the keys of all
    /// links come from it.
    pub fn new(now_ms: u64, config: Config, entropy: [u8; 32]) -> Self {
        let mut entropy = Entropy::new(entropy);
        let [a, b, c, d, ..] = entropy.next();
        let mut radio = Radio {
            contacts: Contacts::new(config.patience),
            scan: ScanPlan::new(config.scan),
            config,
            entropy,
            powered: false,
            id: [a, b, c, d],
            rotate_at_ms: 0,
            held: [0; 32],
            awaits: None,
            advertised: None,
            shown: None,
            new_address: true,
            invited: None,
            expecting_until_ms: None,
            search: None,
            connecting: None,
            connections: BTreeMap::new(),
            links: 0,
            choose_at_ms: None,
        };
        radio.rotate_at_ms = now_ms + radio.rotation_ms();
        radio
    }

    /// What INFO says of this device now: its beacon, unless it shows a session.
    pub fn beacon(&self) -> Option<Beacon> {
        self.invited.is_none().then(|| self.own_beacon())
    }

    fn own_beacon(&self) -> Beacon {
        Beacon { fingerprint: fingerprint(&self.held, self.id), id: self.id }
    }

    pub(super) fn own(&self) -> Own {
        let seen = matches!(self.advertised, Some((Advertisement::Mesh(_), _)));
        Own { id: self.id, held: self.held, awaits: self.awaits, seen }
    }

    /// The id that this device gives in a handshake: none (zeros) while it shows a session, or
    /// whoever connects would learn whose it is.
    fn greeting(&self) -> [u8; GREETING_BYTES] {
        if self.invited.is_none() { self.id } else { NO_GREETING }
    }

    /// Takes an input and says what is to be done, in this order. Never more than a few outputs
    /// per connection.
    #[must_use]
    pub fn handle(&mut self, now_ms: u64, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        // These come by the hundred and change nothing about who is connected to.
        let planned = !matches!(input, Input::Received { .. } | Input::Sent { .. });
        self.take(now_ms, input, &mut outputs);
        let ended = self.run_links(now_ms, &mut outputs);
        if planned || ended {
            self.plan(now_ms, &mut outputs);
        }
        outputs
    }

    /// Sends one message; then call [`Radio::handle`] with [`Input::Time`].
    ///
    /// # Errors
    /// Every [`SendError`].
    pub fn send(&mut self, now_ms: u64, link: LinkId, bytes: &[u8]) -> Result<(), SendError> {
        let connection = self.of_link(link).ok_or(SendError::NoLink)?;
        connection.link.send(bytes)?;
        connection.talked_ms = now_ms;
        Ok(())
    }

    /// Whether it would connect to a device now, and the reason: for who wonders why it does not.
    pub fn judge(&self, now_ms: u64, address: Address) -> Verdict {
        self.contacts.judge(now_ms, &self.own(), address)
    }

    /// When something happens by itself.
    pub fn deadline(&self) -> Option<u64> {
        let links = self.connections.values().filter_map(|connection| {
            connection.deadline(self.config.unsent_max, self.config.idle_ms)
        });
        let search = self.search.as_ref().map(|search| search.until_ms);
        let links = links.chain(search);
        if !self.powered {
            return links.min();
        }
        let fingerprint = self.advertised.filter(|(shown, _)| *shown != self.advertisement());
        let advertise = fingerprint.map(|(_, since_ms)| since_ms + self.config.advertise_ms);
        let scan = self.scan.deadline(self.want());
        let others =
            [Some(self.rotate_at_ms), advertise, scan, self.choose_at_ms, self.expecting_until_ms];
        links.chain(others.into_iter().flatten()).min()
    }

    fn take(&mut self, now_ms: u64, input: Input, outputs: &mut Vec<Output>) {
        match input {
            Input::Powered(powered) => self.power(now_ms, powered),
            Input::Sighted { address, sighting } => {
                self.contacts.see(now_ms, address, &sighting);
                if let Some(search) = &mut self.search {
                    search.see(now_ms, address, &sighting);
                }
            }
            Input::Connected { connection, address, role, bytes_max, beacon } => {
                self.connected(now_ms, connection, address, role, bytes_max, beacon, outputs);
            }
            Input::ConnectFailed { address } => self.connect_failed(now_ms, address),
            Input::BytesMax { connection, bytes_max } => {
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.bytes_max = in_bounds(bytes_max);
                }
            }
            Input::Received { connection, bytes } => self.received(now_ms, connection, &bytes),
            Input::Sent { connection } => {
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.unsent = connection.unsent.saturating_sub(1);
                }
            }
            Input::Disconnected { connection } => {
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.gone = true;
                    connection.link.disconnected(now_ms);
                    // A peripheral that was connected to is seen by nobody until it says so again.
                    self.advertised = None;
                }
            }
            Input::ScanLost => self.scan.lost(),
            Input::Hold(held) => self.held = held,
            Input::Await(newest) => self.awaits = newest,
            Input::Invite(invited) => {
                self.expecting_until_ms = invited.as_ref().map(|_| now_ms + self.config.expect_ms);
                self.invited = invited;
            }
            Input::Pay { session, first, until_ms } => {
                self.begin_search(now_ms, Search::new(session, first, until_ms));
            }
            Input::StopPaying => self.search = None,
            Input::Pause(link) | Input::Resume(link) => {
                let paused = matches!(input, Input::Pause(_));
                if let Some(connection) = self.of_link(link) {
                    connection.paused = paused;
                }
            }
            Input::Close(link) => {
                if let Some(connection) = self.of_link(link) {
                    connection.link.close(now_ms);
                    connection.paused = false;
                }
            }
            Input::Time => {}
        }
    }

    fn of_link(&mut self, link: LinkId) -> Option<&mut Connection> {
        self.connections.values_mut().find(|connection| connection.id == Some(link))
    }

    fn power(&mut self, now_ms: u64, powered: bool) {
        if powered == self.powered {
            return;
        }
        self.powered = powered;
        // Whatever ran has ended with the adapter, whichever way it went.
        (self.advertised, self.connecting) = (None, None);
        self.scan.lost();
        self.contacts.forget_connections();
        for connection in self.connections.values_mut() {
            connection.gone = true;
            connection.link.disconnected(now_ms);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one input")]
    fn connected(
        &mut self,
        now_ms: u64,
        id: ConnectionId,
        address: Address,
        role: Role,
        bytes_max: usize,
        beacon: Option<Beacon>,
        outputs: &mut Vec<Output>,
    ) {
        let asked =
            self.connecting.take_if(|(asked, _)| role == Role::Central && *asked == address);
        let pays = asked.is_some_and(|(_, pays)| pays);
        let entropy = self.entropy.next();
        let greeting = self.greeting();
        let setting = Setting { network: &self.config.network, greeting, entropy };
        let link = match (role, &self.search) {
            (Role::Peripheral, _) => Link::respond(now_ms, &setting, self.invited.clone()),
            (Role::Central, Some(search)) if pays => {
                Link::initiate(now_ms, &setting, search.callee())
            }
            // The payer has given up meanwhile.
            (Role::Central, None) if pays => {
                self.contacts.left(address);
                return outputs.push(Output::Disconnect { connection: id });
            }
            (Role::Central, _) => {
                self.contacts.connected(now_ms, address);
                Link::initiate(now_ms, &setting, Callee::Stranger)
            }
        };
        let mut connection = Connection::new(now_ms, address, role, link, pays);
        connection.bytes_max = in_bounds(bytes_max);
        let kept = usize::from(!pays && self.invited.is_none());
        let full = self.occupied() + kept >= self.config.connections_max;
        let own = self.own();
        let same = beacon.is_some_and(|beacon| {
            !pays && self.contacts.is_left_in_sync(now_ms, &own, address, &beacon)
        });
        let turned_away = full && role == Role::Peripheral || self.is_in_the_way(role, pays);
        if turned_away || same {
            outputs.push(Output::Disconnect { connection: id });
            match role {
                Role::Central if same => self.contacts.finished(now_ms, address),
                Role::Central => self.contacts.left(address),
                Role::Peripheral => {}
            }
            return;
        }
        self.advertised = None;
        self.connections.insert(id, connection);
    }

    fn connect_failed(&mut self, now_ms: u64, address: Address) {
        match self.connecting.take_if(|(asked, _)| *asked == address) {
            Some((_, true)) => {
                self.contacts.left(address);
                if let Some(search) = &mut self.search {
                    search.failed(now_ms);
                }
            }
            Some((_, false)) => self.contacts.failed(now_ms, address),
            None => {}
        }
    }

    fn received(&mut self, now_ms: u64, id: ConnectionId, bytes: &[u8]) {
        let greeting = self.greeting();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let tag = connection.link.tag();
        // Whoever has not shown yet that it takes part gains no time by beginning anew.
        let since_ms = connection.link.unconfirmed_since_ms().unwrap_or(now_ms);
        if connection.link.receive(now_ms, bytes) {
            let entropy = self.entropy.next();
            let setting = Setting { network: &self.config.network, greeting, entropy };
            let link = Link::respond(since_ms, &setting, self.invited.clone());
            connection.begin_anew(now_ms, link);
            connection.link.receive(now_ms, bytes);
        }
        if connection.link.tag() != tag {
            self.refuse_used_tag(id);
        }
    }

    /// What is notified may reach every central that is connected. One that gives the tag of
    /// another's link would have that link hear, and fall over, what is said to it.
    fn refuse_used_tag(&mut self, id: ConnectionId) {
        let tag_of = |connection: &Connection| match connection.role {
            Role::Peripheral => connection.link.tag(),
            Role::Central => None,
        };
        let tag = self.connections.get(&id).and_then(tag_of);
        let others = self.connections.iter().filter(|(other, _)| **other != id);
        let used =
            others.filter_map(|(_, connection)| tag_of(connection)).any(|of| tag == Some(of));
        if used && let Some(connection) = self.connections.get_mut(&id) {
            connection.link.forget();
        }
    }

    /// Connections that take one of the places.
    fn occupied(&self) -> usize {
        self.connections.values().filter(|connection| !connection.gone).count()
    }

    /// Runs every link as far as it goes now. True if one has ended.
    fn run_links(&mut self, now_ms: u64, outputs: &mut Vec<Output>) -> bool {
        let mut ended = false;
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            connection.on_time(now_ms, self.config.idle_ms);
            connection.transmit(now_ms, id, self.config.unsent_max, outputs);
            while let Some(event) = self.next_event(now_ms, id) {
                ended |= matches!(event, Event::Down(_));
                self.on_event(now_ms, id, event, outputs);
            }
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            connection.transmit(now_ms, id, self.config.unsent_max, outputs);
            if connection.gone && connection.ended {
                self.connections.remove(&id);
            } else if connection.link.is_over(now_ms) && !connection.dropped {
                connection.dropped = true;
                outputs.push(Output::Disconnect { connection: id });
            }
        }
        ended
    }

    fn next_event(&mut self, now_ms: u64, id: ConnectionId) -> Option<Event> {
        let connection =
            self.connections.get_mut(&id).filter(|connection| !connection.is_held())?;
        connection.next_event(now_ms)
    }

    fn on_event(&mut self, now_ms: u64, id: ConnectionId, event: Event, outputs: &mut Vec<Output>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match (event, connection.id) {
            (Event::Up { handshake_hash, greeting }, _) => {
                let greeting = greeting.filter(|id| *id != NO_GREETING);
                let link = LinkId(self.links);
                self.links += 1;
                (connection.id, connection.greeting) = (Some(link), greeting);
                if let Some(address) = greeting.and_then(|id| self.contacts.of_id(id)) {
                    // A central may come from another address than it advertises under.
                    if connection.role == Role::Central {
                        self.contacts.left(connection.address);
                    }
                    connection.address = address;
                    self.contacts.connected(now_ms, address);
                }
                if !connection.pays {
                    self.contacts.asked(now_ms, connection.address, self.awaits);
                }
                connection.talked_ms = now_ms;
                let initiator = connection.link.initiator();
                let message_bytes_max = MESSAGE_BYTES_MAX;
                let info = LinkInfo { link, handshake_hash, initiator, message_bytes_max };
                if connection.link.is_of_session() {
                    outputs.push(Output::Session { link });
                }
                outputs.push(Output::Link(LinkEvent::Up(info)));
                self.leave_second(now_ms, id);
            }
            (Event::Message(bytes), Some(link)) => {
                connection.talked_ms = now_ms;
                if connection.pays {
                    // Answered, whatever the answer says: that was all.
                    connection.link.close(now_ms);
                    self.search = None;
                }
                outputs.push(Output::Link(LinkEvent::Message { link, bytes }));
            }
            (Event::Replayable(bytes), Some(link)) => outputs.push(Output::First { link, bytes }),
            (Event::Down(reason), link) => {
                let (address, role, pays) = (connection.address, connection.role, connection.pays);
                connection.id = None;
                match (role, pays) {
                    (Role::Central, true) => {
                        self.contacts.left(address);
                        if let Some(search) = &mut self.search {
                            search.failed(now_ms);
                        }
                    }
                    (Role::Central, false) if link.is_none() => {
                        self.contacts.failed(now_ms, address);
                    }
                    (_, false) if link.is_some() => self.contacts.finished(now_ms, address),
                    _ => {}
                }
                if let Some(link) = link {
                    outputs.push(Output::Link(LinkEvent::Down { link, reason }));
                }
            }
            (Event::Message(_) | Event::Replayable(_), None) => {}
        }
    }
}

/// Both ends of a pair may have begun. The one with the higher id leaves the link it began, if it
/// is the younger: what a liar says of its id ends no link that was there before.
impl Radio {
    fn leave_second(&mut self, now_ms: u64, id: ConnectionId) {
        let Some(younger) = self.connections.get(&id) else { return };
        let Some(theirs) =
            younger.greeting.filter(|theirs| younger.link.initiator() && self.id > *theirs)
        else {
            return;
        };
        let has_older = self.connections.iter().any(|(other, connection)| {
            *other != id && connection.greeting == Some(theirs) && connection.link.is_open()
        });
        if has_older && let Some(younger) = self.connections.get_mut(&id) {
            younger.link.close(now_ms);
        }
    }
}

fn in_bounds(bytes_max: usize) -> usize {
    bytes_max.clamp(FRAGMENT_BYTES_MIN, FRAGMENT_BYTES_MAX)
}
