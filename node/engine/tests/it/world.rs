//! Several devices, the links between them, and a clock that only the test moves.

use crate::bank::{Bank, START, amount, author, sealing};
use crate::device::{Device, Leaves, Store};
use hundi_engine::limits::RESIDENT_AUTHORS_MAX;
use hundi_engine::output::{PayError, RefundError, RequestError};
use hundi_engine::wallet::PaymentView;
use hundi_engine::{Answer, Command, Config, Event, Input, LinkId, LinkKind};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::request::PaymentRequest;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Link,
    Gossip,
    Payment,
}

struct Wire {
    ends: [usize; 2],
    gossip: bool,
}

enum InFlight {
    Frame { to: usize, link: LinkId, bytes: Vec<u8> },
    Gossip { to: usize, bytes: Vec<u8> },
}

pub struct World {
    pub bank: Bank,
    pub devices: Vec<Device>,
    pub now_ms: u64,
    wires: BTreeMap<u64, Wire>,
    in_flight: VecDeque<InFlight>,
    gossiped: Vec<BTreeSet<Vec<u8>>>,
    handles: BTreeMap<(usize, u64), Vec<u8>>,
    next: u64,
    pub delivered: u64,
}

impl World {
    pub fn new() -> Self {
        Self {
            bank: Bank::new(),
            devices: Vec::new(),
            now_ms: (u64::from(START) + 100) * 1000,
            wires: BTreeMap::new(),
            in_flight: VecDeque::new(),
            gossiped: Vec::new(),
            handles: BTreeMap::new(),
            next: 1,
            delivered: 0,
        }
    }

    pub fn now(&self) -> u32 {
        (self.now_ms / 1000) as u32
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn add_with(&mut self, seed: Option<u8>, config: Config, store: Store) -> usize {
        let device = Device::new(&self.bank, seed, config, store);
        self.devices.push(device);
        self.gossiped.push(BTreeSet::new());
        self.devices.len() - 1
    }

    /// A device of an enrolled author with a grant of `limit`, or none at 0. It knows its own
    /// records and nobody else's.
    pub fn add(&mut self, seed: u8, limit: u64) -> usize {
        // Every other device drops all it can from memory after every call: nobody can tell.
        let keep = if seed.is_multiple_of(2) { 0 } else { RESIDENT_AUTHORS_MAX };
        let config = Config { resident_authors: keep, ..Config::default() };
        self.add_as(seed, limit, config)
    }

    /// [`World::add`] with a configuration.
    pub fn add_as(&mut self, seed: u8, limit: u64, config: Config) -> usize {
        let device = self.add_with(Some(seed), config, Store::default());
        let mut items = vec![self.bank.certificate()];
        let enrol = self.bank.grant(author(seed), sealing(seed), 0, 0);
        items.push(self.bank.granted(enrol));
        if limit > 0 {
            let grant = self.bank.grant(author(seed), sealing(seed), 1, limit);
            items.push(self.bank.granted(grant));
        }
        self.publish(device, items);
        device
    }

    /// A relay that knows the bank.
    pub fn add_relay(&mut self) -> usize {
        let device = self.add_with(None, Config::default(), Store::default());
        let certificate = self.bank.certificate();
        self.publish(device, vec![certificate]);
        device
    }

    pub fn input(&mut self, device: usize, input: Input) {
        let now_ms = self.now_ms;
        self.devices[device].handle(now_ms, input);
        self.collect(device);
    }

    pub fn acknowledge(&mut self, device: usize) {
        let now_ms = self.now_ms;
        self.devices[device].acknowledge(now_ms);
        self.collect(device);
    }

    /// Puts what left a device on the wire.
    fn collect(&mut self, from: usize) {
        for leaves in std::mem::take(&mut self.devices[from].leaves) {
            match leaves {
                Leaves::Frame { link, bytes } => {
                    let Some(wire) = self.wires.get(&link.0) else { continue };
                    let to = if wire.ends[0] == from { wire.ends[1] } else { wire.ends[0] };
                    self.in_flight.push_back(InFlight::Frame { to, link, bytes });
                }
                Leaves::Gossip { bytes } => self.gossip(from, bytes),
                Leaves::Forward { handle } => {
                    let bytes = self.handles.remove(&(from, handle)).unwrap();
                    self.gossip(from, bytes);
                }
                Leaves::Close { link } => self.drop_wire(link.0),
            }
        }
    }

    fn gossip(&mut self, from: usize, bytes: Vec<u8>) {
        self.gossiped[from].insert(bytes.clone());
        let wires = self.wires.values().filter(|wire| wire.gossip && wire.ends.contains(&from));
        for wire in wires {
            let to = if wire.ends[0] == from { wire.ends[1] } else { wire.ends[0] };
            self.in_flight.push_back(InFlight::Gossip { to, bytes: bytes.clone() });
        }
    }

    pub fn connect(&mut self, a: usize, b: usize, over: Over) -> LinkId {
        let number = self.number();
        let (link, gossip) = (LinkId(number), over == Over::Gossip);
        self.wires.insert(number, Wire { ends: [a, b], gossip });
        let handshake_hash = *blake3::hash(&number.to_le_bytes()).as_bytes();
        for (device, initiator) in [(a, true), (b, false)] {
            let kind = match over {
                Over::Link => LinkKind::Mesh,
                Over::Gossip => LinkKind::Gossip,
                Over::Payment => LinkKind::Payment,
            };
            self.input(device, Input::LinkUp { link, handshake_hash, initiator, kind });
        }
        link
    }

    fn drop_wire(&mut self, number: u64) {
        let Some(wire) = self.wires.remove(&number) else { return };
        let gone = LinkId(number);
        self.in_flight
            .retain(|flies| !matches!(flies, InFlight::Frame { link, .. } if *link == gone));
        for device in wire.ends {
            self.input(device, Input::LinkDown { link: gone });
        }
    }

    pub fn cut(&mut self, link: LinkId) {
        self.drop_wire(link.0);
    }

    pub fn cut_all(&mut self) {
        let wires: Vec<u64> = self.wires.keys().copied().collect();
        wires.into_iter().for_each(|wire| self.drop_wire(wire));
        self.in_flight.clear();
    }

    /// Delivers one frame; false when nothing is in flight.
    pub fn deliver_one(&mut self) -> bool {
        let Some(flies) = self.in_flight.pop_front() else { return false };
        self.delivered += 1;
        match flies {
            InFlight::Frame { to, link, bytes } => {
                self.input(to, Input::Message { link, bytes });
            }
            InFlight::Gossip { to, bytes } => {
                if self.gossiped[to].insert(bytes.clone()) {
                    let handle = self.number();
                    self.handles.insert((to, handle), bytes.clone());
                    self.input(to, Input::Gossip { handle, bytes });
                }
            }
        }
        true
    }

    /// Something is gossiped to a device alone, and what it passes on of it is lost.
    pub fn gossip_to(&mut self, device: usize, bytes: &[u8]) {
        self.in_flight.push_front(InFlight::Gossip { to: device, bytes: bytes.to_vec() });
        self.deliver_one();
        self.acknowledge(device);
        let lost =
            |flies: &InFlight| matches!(flies, InFlight::Gossip { bytes: it, .. } if it == bytes);
        self.in_flight.retain(|flies| !lost(flies));
    }

    /// How many frames are on their way.
    pub fn frames_in_flight(&self) -> usize {
        self.in_flight.iter().filter(|flies| matches!(flies, InFlight::Frame { .. })).count()
    }

    /// Delivers until nothing is in flight.
    pub fn run(&mut self) {
        let mut frames = 0;
        while self.deliver_one() {
            frames += 1;
            assert!(frames < 100_000, "the devices never fall silent");
        }
    }

    /// Lets time pass, ticking every device that asked for it, and delivers everything.
    pub fn pass(&mut self, seconds: u64) {
        let until = self.now_ms + seconds * 1000;
        loop {
            self.run();
            let due = self.devices.iter().enumerate();
            let due = due.filter_map(|(at, device)| Some((device.wake_ms?, at))).min();
            match due {
                Some((ms, device)) if ms <= until => {
                    self.now_ms = self.now_ms.max(ms);
                    self.devices[device].wake_ms = None;
                    self.input(device, Input::Tick);
                }
                _ => break,
            }
        }
        self.now_ms = until;
    }

    pub fn crash(&mut self, device: usize) {
        let wires = self.wires.iter().filter(|(_, wire)| wire.ends.contains(&device));
        let wires: Vec<u64> = wires.map(|(number, _)| *number).collect();
        let hollow = Device::new(&self.bank, None, Config::default(), Store::default());
        let crashed = std::mem::replace(&mut self.devices[device], hollow);
        wires.into_iter().for_each(|wire| self.drop_wire(wire));
        self.devices[device] = crashed.crash(&self.bank);
    }

    pub fn begin(&mut self, device: usize, command: Command) -> u64 {
        let id = self.number();
        self.input(device, Input::Command { id, command });
        id
    }

    pub fn command(&mut self, device: usize, command: Command) -> Answer {
        let id = self.begin(device, command);
        self.devices[device].answers.remove(&id).expect("answered at once")
    }

    pub fn publish(&mut self, device: usize, items: Vec<Vec<u8>>) {
        match self.command(device, Command::Publish { items }) {
            Answer::Publish(_) => {}
            other => panic!("{other:?}"),
        }
    }

    pub fn try_request(
        &mut self,
        device: usize,
        asked: Option<u64>,
        standing: bool,
    ) -> Result<PaymentRequest, RequestError> {
        let command = Command::Request {
            currency: None,
            amount: asked.map(amount),
            memo: Text::new("rice").unwrap(),
            expires_s: 3600,
            standing,
            hints: List::default(),
        };
        match self.command(device, command) {
            Answer::Request(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub fn request(&mut self, device: usize, asked: u64) -> PaymentRequest {
        self.try_request(device, Some(asked), false).unwrap()
    }

    pub fn try_pay(&mut self, device: usize, request: &PaymentRequest) -> Result<Hash, PayError> {
        match self.command(device, pay(request)) {
            Answer::Pay(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub fn pay(&mut self, device: usize, request: &PaymentRequest) -> Hash {
        self.try_pay(device, request).unwrap()
    }

    pub fn try_refund(
        &mut self,
        device: usize,
        payment: Hash,
        sum: Option<u64>,
    ) -> Result<Hash, RefundError> {
        let memo = Text::new("sorry").unwrap();
        match self.command(device, Command::Refund { payment, sum: sum.map(amount), memo }) {
            Answer::Refund(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub fn view(&self, device: usize, id: &Hash) -> PaymentView {
        self.devices[device].engine.payment(id, &self.devices[device].store).unwrap()
    }

    pub fn word(&self, device: usize, id: &Hash) -> &'static str {
        self.view(device, id).state.word()
    }

    pub fn is_stopped(&self, device: usize) -> bool {
        let device = &self.devices[device];
        let stopped = device.engine.status().stopped;
        assert_eq!(stopped, device.events.contains(&Event::Stopped) || stopped);
        stopped
    }

    pub fn holds_proof(&self, device: usize, author: &AuthorId) -> bool {
        self.devices[device].engine.replica().is_proven(author)
    }

    pub fn assert_converged(&self) {
        let digests: BTreeSet<Hash> =
            self.devices.iter().map(|device| device.engine.digest()).collect();
        assert_eq!(digests.len(), 1, "all devices hold the same core");
    }
}

pub fn pay(request: &PaymentRequest) -> Command {
    Command::Pay { request: request.clone(), amount: None, memo: None, category: 0, again: false }
}
