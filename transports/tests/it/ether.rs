//! A village of radios in virtual time, for tests: what a driver and the air would do.
//!
//! It is as unkind as real stacks are: values are lost silently, a notification goes to every
//! central that is connected, a peripheral is seen by nobody once somebody has connected to it, and
//! nobody sees what one that it is connected with advertises.

use std::collections::{BTreeMap, VecDeque};

use hundi_transports::ble::advertisement;
use hundi_transports::ble::contacts::Address;
use hundi_transports::ble::info::{self, Info};
use hundi_transports::ble::radio::{Config, ConnectionId, Input, Output, Radio, Role};
use hundi_transports::link::{LinkEvent, LinkId, SendError};

/// How the air is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Air {
    pub(crate) bytes_max: usize,
    pub(crate) latency_ms: u64,
    /// Above 0, fragments overtake each other.
    pub(crate) jitter_ms: u64,
    pub(crate) lost_per_mille: u64,
}

impl Default for Air {
    fn default() -> Self {
        Air { bytes_max: 244, latency_ms: 15, jitter_ms: 0, lost_per_mille: 0 }
    }
}

#[derive(Debug)]
enum Happening {
    Value { to: usize, connection: ConnectionId, bytes: Vec<u8> },
    Tell { to: usize, input: Input },
    Sight { scanner: usize },
    Connect { from: usize, address: Address },
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    central: usize,
    peripheral: usize,
    /// Bytes that still reach the peripheral before the connection is cut.
    cut_after: Option<usize>,
}

#[derive(Debug)]
struct Station {
    radio: Radio,
    place: u32,
    advertises: Option<Vec<u8>>,
    scans: bool,
    address: u64,
    events: VecDeque<Output>,
    held_bytes: usize,
    paused: Vec<LinkId>,
}

/// Radios, the air between them, and what happens later.
#[derive(Debug)]
pub(crate) struct Ether {
    pub(crate) now_ms: u64,
    pub(crate) air: Air,
    /// Connections made, writes, notifications so far.
    pub(crate) connections_made: usize,
    pub(crate) writes: usize,
    pub(crate) notifications: usize,
    stations: Vec<Station>,
    pairs: BTreeMap<ConnectionId, Pair>,
    agenda: BTreeMap<(u64, u64), Happening>,
    planned: u64,
    dice: u64,
    made: u64,
}

/// Bytes of untaken messages from which on a driver takes no more.
const UNTAKEN_BYTES_MAX: usize = 65_536;

impl Ether {
    pub(crate) fn new(seed: u64, air: Air) -> Self {
        Ether {
            now_ms: 0,
            air,
            connections_made: 0,
            writes: 0,
            notifications: 0,
            stations: Vec::new(),
            pairs: BTreeMap::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            dice: seed,
            made: 0,
        }
    }

    pub(crate) fn add(&mut self, config: Config) -> usize {
        let at = self.stations.len();
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.dice.to_le_bytes());
        entropy[8..16].copy_from_slice(&(at as u64).to_le_bytes());
        self.stations.push(Station {
            radio: Radio::new(self.now_ms, config, entropy),
            place: 0,
            advertises: None,
            scans: false,
            address: at as u64,
            events: VecDeque::new(),
            held_bytes: 0,
            paused: Vec::new(),
        });
        at
    }

    pub(crate) fn radio(&self, at: usize) -> &Radio {
        &self.stations[at].radio
    }

    /// What a station has on the air.
    pub(crate) fn advertised(&self, at: usize) -> Option<&[u8]> {
        self.stations[at].advertises.as_deref()
    }

    pub(crate) fn is_scanning(&self, at: usize) -> bool {
        self.stations[at].scans
    }

    pub(crate) fn address(&self, at: usize) -> u64 {
        self.stations[at].address
    }

    pub(crate) fn connections(&self) -> usize {
        self.pairs.len()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn plan(&mut self, wait_ms: u64, happening: Happening) {
        self.agenda.insert((self.now_ms + wait_ms, self.planned), happening);
        self.planned += 1;
    }

    /// Moves a station; connections between places are cut.
    pub(crate) fn set_place(&mut self, at: usize, place: u32) {
        self.stations[at].place = place;
        let apart =
            |pair: &Pair| self.stations[pair.central].place != self.stations[pair.peripheral].place;
        let apart: Vec<ConnectionId> =
            self.pairs.iter().filter(|(_, pair)| apart(pair)).map(|(id, _)| *id).collect();
        apart.into_iter().for_each(|connection| self.disconnect(connection));
    }

    /// Connects two stations without anybody having advertised.
    pub(crate) fn connect(&mut self, from: usize, to: usize) -> ConnectionId {
        let connection = ConnectionId(self.made);
        self.made += 1;
        self.connections_made += 1;
        let pair = Pair { central: from, peripheral: to, cut_after: None };
        self.pairs.insert(connection, pair);
        let bytes_max = self.air.bytes_max;
        let address = |station: &Station| {
            let mut address = [0; 16];
            address[..8].copy_from_slice(&station.address.to_le_bytes());
            Address(address)
        };
        let [central, peripheral] = [from, to].map(|at| address(&self.stations[at]));
        // As a central sees it after reading INFO.
        let beacon = self.stations[to].radio.beacon();
        let info = Info { psm: None, unit_bytes_max: 0, beacon }.encode();
        let beacon = info::decode(&info).unwrap().beacon;
        let scanned = self.stations[to].advertises.take().is_some();
        let beacon = beacon.filter(|_| scanned);
        self.handle(
            to,
            Input::Connected {
                connection,
                address: central,
                role: Role::Peripheral,
                bytes_max,
                beacon: None,
            },
        );
        self.handle(
            from,
            Input::Connected {
                connection,
                address: peripheral,
                role: Role::Central,
                bytes_max,
                beacon,
            },
        );
        connection
    }

    pub(crate) fn cut(&mut self, connection: ConnectionId, after_bytes: usize) {
        if let Some(pair) = self.pairs.get_mut(&connection) {
            pair.cut_after = Some(after_bytes);
        }
    }

    /// Lets a station hear a value that nobody sent.
    pub(crate) fn inject(&mut self, at: usize, connection: ConnectionId, bytes: &[u8]) {
        self.handle(at, Input::Received { connection, bytes: bytes.to_vec() });
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        if let Some(pair) = self.pairs.remove(&connection) {
            for to in [pair.central, pair.peripheral] {
                self.plan(0, Happening::Tell { to, input: Input::Disconnected { connection } });
            }
        }
    }

    pub(crate) fn send(&mut self, at: usize, link: LinkId, bytes: &[u8]) -> Result<(), SendError> {
        self.stations[at].radio.send(self.now_ms, link, bytes)?;
        self.handle(at, Input::Time);
        Ok(())
    }

    pub(crate) fn handle(&mut self, at: usize, input: Input) {
        if matches!(input, Input::Powered(false)) {
            (self.stations[at].advertises, self.stations[at].scans) = (None, false);
        }
        let outputs = self.stations[at].radio.handle(self.now_ms, input);
        for output in outputs {
            self.carry_out(at, output);
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        let station = &mut self.stations[at];
        match output {
            Output::Advertise { bytes, new_address, .. } => {
                station.advertises = Some(bytes);
                if new_address {
                    station.address += 1_000;
                }
            }
            Output::StopAdvertising => station.advertises = None,
            Output::Scan { .. } => {
                station.scans = true;
                self.plan(100, Happening::Sight { scanner: at });
            }
            Output::StopScan => station.scans = false,
            Output::Connect { address, .. } => {
                self.plan(50, Happening::Connect { from: at, address });
            }
            Output::Write { connection, bytes } => {
                self.writes += 1;
                let to = self.pairs.get(&connection).map(|pair| pair.peripheral);
                self.transmit(
                    at,
                    connection,
                    to.map(|to| (to, connection)).into_iter().collect(),
                    bytes,
                );
            }
            Output::Notify { connection, bytes } => {
                self.notifications += 1;
                let everybody = self.pairs.iter().filter(|(_, pair)| pair.peripheral == at);
                let everybody = everybody.map(|(id, pair)| (pair.central, *id)).collect();
                self.transmit(at, connection, everybody, bytes);
            }
            Output::Disconnect { connection } => self.disconnect(connection),
            Output::Session { .. } | Output::Link(_) | Output::First { .. } | Output::NoAnswer => {
                self.report(at, output)
            }
        }
    }

    fn report(&mut self, at: usize, output: Output) {
        let station = &mut self.stations[at];
        let mut full = None;
        if let Output::Link(LinkEvent::Message { link, bytes }) = &output {
            station.held_bytes += bytes.len();
            if station.held_bytes > UNTAKEN_BYTES_MAX && !station.paused.contains(link) {
                station.paused.push(*link);
                full = Some(*link);
            }
        }
        station.events.push_back(output);
        if let Some(link) = full {
            self.handle(at, Input::Pause(link));
        }
    }

    /// The next event of a station.
    pub(crate) fn next_event(&mut self, at: usize) -> Option<Output> {
        let station = &mut self.stations[at];
        let event = station.events.pop_front()?;
        if let Output::Link(LinkEvent::Message { bytes, .. }) = &event {
            station.held_bytes -= bytes.len();
        }
        if station.held_bytes <= UNTAKEN_BYTES_MAX {
            for link in core::mem::take(&mut self.stations[at].paused) {
                self.handle(at, Input::Resume(link));
            }
        }
        Some(event)
    }

    fn transmit(
        &mut self,
        from: usize,
        connection: ConnectionId,
        to: Vec<(usize, ConnectionId)>,
        bytes: Vec<u8>,
    ) {
        assert!(bytes.len() <= self.air.bytes_max);
        // The system has taken it, whatever becomes of it.
        self.plan(1, Happening::Tell { to: from, input: Input::Sent { connection } });
        if self.below(1_000) < self.air.lost_per_mille {
            return;
        }
        let wait_ms = self.air.latency_ms + self.below(self.air.jitter_ms + 1);
        for (to, connection) in to {
            self.plan(wait_ms, Happening::Value { to, connection, bytes: bytes.clone() });
        }
    }

    /// When something happens next by itself.
    pub(crate) fn due(&self) -> Option<u64> {
        let radios = self.stations.iter().filter_map(|station| station.radio.deadline());
        radios.chain(self.agenda.first_key_value().map(|(key, _)| key.0)).min()
    }

    /// Lets everything happen that is due by `now_ms`.
    pub(crate) fn advance(&mut self, now_ms: u64) {
        let mut still = 0;
        while let Some(due) = self.due().filter(|due| *due <= now_ms) {
            still = if due > self.now_ms { 0 } else { still + 1 };
            assert!(still < 100_000, "busy without anything to do: {:?}", self.stations);
            self.now_ms = self.now_ms.max(due);
            while let Some(entry) =
                self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now_ms)
            {
                let happening = entry.remove();
                self.happen(happening);
            }
            for at in 0..self.stations.len() {
                if self.stations[at].radio.deadline().is_some_and(|due| due <= self.now_ms) {
                    self.handle(at, Input::Time);
                }
            }
        }
        self.now_ms = self.now_ms.max(now_ms);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Value { to, connection, bytes } => self.arrive(to, connection, bytes),
            Happening::Tell { to, input } => self.handle(to, input),
            Happening::Sight { scanner } if self.stations[scanner].scans => {
                let place = self.stations[scanner].place;
                for at in (0..self.stations.len()).filter(|at| *at != scanner) {
                    if self.are_connected(scanner, at) {
                        continue;
                    }
                    let station = &self.stations[at];
                    let Some(bytes) =
                        station.advertises.as_ref().filter(|_| station.place == place)
                    else {
                        continue;
                    };
                    let mut address = [0; 16];
                    address[..8].copy_from_slice(&station.address.to_le_bytes());
                    let (address, sighting) = (Address(address), advertisement::decode(bytes));
                    self.handle(scanner, Input::Sighted { address, sighting });
                }
                self.plan(100, Happening::Sight { scanner });
            }
            Happening::Sight { .. } => {}
            Happening::Connect { from, address } => {
                let wanted = u64::from_le_bytes(address.0[..8].try_into().unwrap());
                let place = self.stations[from].place;
                let found = self.stations.iter().position(|station| {
                    station.address == wanted
                        && station.advertises.is_some()
                        && station.place == place
                });
                match found {
                    Some(to) => {
                        self.connect(from, to);
                    }
                    None => {
                        let input = Input::ConnectFailed { address };
                        self.plan(1_000, Happening::Tell { to: from, input });
                    }
                }
            }
        }
    }

    fn are_connected(&self, one: usize, other: usize) -> bool {
        let of = |pair: &Pair| (pair.central, pair.peripheral);
        self.pairs.values().any(|pair| [(one, other), (other, one)].contains(&of(pair)))
    }

    fn arrive(&mut self, to: usize, connection: ConnectionId, bytes: Vec<u8>) {
        let Some(pair) = self.pairs.get_mut(&connection) else { return };
        if pair.peripheral == to
            && let Some(left) = &mut pair.cut_after
        {
            if *left < bytes.len() {
                self.disconnect(connection);
                return;
            }
            *left -= bytes.len();
        }
        self.handle(to, Input::Received { connection, bytes });
    }
}
