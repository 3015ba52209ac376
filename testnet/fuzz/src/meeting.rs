//! Whole sessions of two replicas that differ, with a link that the input may have drop, double,
//! change or swap messages. The two sides speak the protocol for as long as the link lets them, so
//! that a change falls into every part of it.

use crate::replica::Node;
use crate::symbols;
use crate::world::{self, World};
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::range::Range;
use hundi_ledger::replica::{Change, Replica, Shelf};
use hundi_ledger::sync::{Config, Out, Session, TAG_ITEM, TURNS_MAX};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const TAG_TURN: u8 = 4;
const TAG_MORE: u8 = 7;
/// Bytes that a session may hold.
const MEMORY_BYTES_MAX: usize = 1 << 20;
/// Turns of both sides together that a session over a link that changes nothing may take here.
const HONEST_TURNS_MAX: u32 = 48;
/// Sessions over such a link after which two replicas agree, wherever they start.
const HONEST_SESSIONS_MAX: u8 = 6;
/// Things that one input does to messages.
const CHANGES_MAX: usize = 64;
/// Bytes of the header of an input.
const HEADER_BYTES: usize = 18;

/// Authors of the crowd that both sides hold, and that each holds besides.
const CROWDS: [(u8, u8); 8] =
    [(0, 0), (4, 1), (10, 6), (16, 12), (20, 17), (4, 40), (0, 46), (80, 3)];

/// What a run has come across: the messages that a session took, by tag, and of `more` those with a
/// sketch under [`SKETCHED`].
pub(crate) type Reached = BTreeMap<u8, u32>;
/// Stands for the tag of *more* with a sketch.
pub(crate) const SKETCHED: u8 = 0x80 | TAG_MORE;

pub(crate) fn reached(into: &mut Reached, message: &[u8]) {
    let Some(tag) = message.first() else { return };
    *into.entry(*tag).or_default() += 1;
    if *tag == TAG_MORE && message.len() > 448 {
        *into.entry(SKETCHED).or_default() += 1;
    }
}

/// The input, taken from the front; when it has ended there are zeros.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn wide(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |wide, at| wide | u64::from(self.byte()) << (8 * at))
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }
}

/// How two replicas meet, from the header of an input: flags, crowd and scopes, and which items of
/// the pool each holds.
struct Plan {
    flags: u8,
    crowd: usize,
    scopes: [Range; 2],
    pools: [u64; 2],
}

impl Plan {
    fn read(input: &mut Input<'_>) -> Self {
        let (flags, shape) = (input.byte(), input.byte());
        let scope = |bits: u8| match bits & 3 {
            0 | 1 => Range::ALL,
            2 => Range::around(1, 0),
            _ => Range::around(2, 1 << 62),
        };
        Self {
            flags,
            crowd: usize::from(shape & 7),
            scopes: [scope(shape >> 3), scope(shape >> 5)],
            pools: [input.wide(8), input.wide(8)],
        }
    }

    fn node(&self, side: usize) -> Node {
        let world = world::world();
        let mut node = if self.scopes[side] == Range::ALL {
            villager(self.crowd, side)
        } else {
            let network = world.network.clone();
            let replica = Replica::scoped(network, self.scopes[side], self.own(side));
            fill(Node { replica, shelf: Default::default() }, self.crowd, side)
        };
        for (at, (bytes, item)) in world.pool.iter().enumerate() {
            if self.pools[side] >> (at % 64) & 1 == 1 {
                node.offer(item, bytes, world);
            }
        }
        node
    }

    fn own(&self, side: usize) -> BTreeSet<AuthorId> {
        let author = [world::PAYER, world::PAYEE][side];
        (self.flags >> (3 + side) & 1 == 1).then(|| world::author(author)).into_iter().collect()
    }

    fn config(&self, side: usize) -> Config {
        Config {
            own: self.own(side),
            others_items_max: usize::MAX,
            force: self.flags >> side & 1 == 1,
            differs: side == 0 && self.flags & 4 != 0,
            message_bytes_max: if self.flags & 0x20 == 0 { 32 * 1024 } else { 200 },
            ..Config::default()
        }
    }
}

fn fill(mut node: Node, crowd: usize, side: usize) -> Node {
    let world = world::world();
    let (bytes, item) = &world.pool[0];
    node.offer(item, bytes, world);
    let (common, each) = CROWDS[crowd];
    let apart = common + each * u8::from(side == 1);
    for at in (0..common).chain(apart..apart + each) {
        for (bytes, item) in &world.crowd[usize::from(at)] {
            node.offer(item, bytes, world);
        }
    }
    node
}

/// A node without a scope that holds one side of a crowd. Made once in every thread.
fn villager(crowd: usize, side: usize) -> Node {
    thread_local! {
        static NODES: Vec<[Node; 2]> = (0..CROWDS.len())
            .map(|crowd| [0, 1].map(|side| fill(Node::new(world::world()), crowd, side)))
            .collect();
    }
    NODES.with(|nodes| nodes[crowd][side].clone())
}

/// Takes what arrived as a node does, if it verifies.
fn take(node: &mut Node, bytes: &[u8], world: &World) {
    let network = world.network.id();
    let Ok(item) = Item::decode(&network, bytes) else { return };
    let verified = match world.verified.get(bytes) {
        Some(known) if world::certificate_held(node.replica.trust(), &item) => known.clone(),
        Some(_) => return,
        None => match node.replica.trust().verify(item) {
            Ok(verified) => verified,
            Err(_) => return,
        },
    };
    for change in node.replica.apply(verified, &node.shelf).changes {
        match change {
            Change::Put { key, bytes } => drop(node.shelf.0.insert(key, bytes)),
            Change::Delete { key } => drop(node.shelf.0.remove(&key)),
        }
    }
}

/// The first byte has been looked at by the caller and is the first of the header.
pub(crate) fn meeting(bytes: &[u8]) -> Reached {
    let mut input = Input(bytes);
    let plan = Plan::read(&mut input);
    debug_assert!(bytes.len() < HEADER_BYTES || bytes.len() - input.0.len() == HEADER_BYTES);
    let nodes = [plan.node(0), plan.node(1)];
    let mut contact = Contact::open(nodes, 7, [plan.config(0), plan.config(1)]);
    contact.run(&mut input);
    let Contact { mut nodes, reached, .. } = contact;
    if plan.scopes == [Range::ALL; 2] {
        // Whatever became of it, honest sessions make up for it.
        for link in 8.. {
            let equal = nodes[0].replica.digest() == nodes[1].replica.digest();
            if equal {
                break;
            }
            assert!(link < 8 + HONEST_SESSIONS_MAX, "sessions that do not lead to one core");
            let config = || Config { others_items_max: usize::MAX, ..Config::default() };
            let mut contact = Contact::open(nodes, link, [config(), config()]);
            contact.run(&mut Input(&[]));
            nodes = contact.nodes;
        }
    }
    reached
}

/// Two nodes, their sessions and the link between them.
struct Contact {
    nodes: [Node; 2],
    sessions: [Session; 2],
    queue: VecDeque<(usize, Vec<u8>)>,
    done: [Option<bool>; 2],
    errors: usize,
    turns: [u32; 2],
    /// Nothing was done to any message so far.
    untouched: bool,
    changes: usize,
    reached: Reached,
}

impl Contact {
    fn open(nodes: [Node; 2], link: u8, configs: [Config; 2]) -> Self {
        let open = |side: usize, config| {
            let Node { replica, shelf } = &nodes[side];
            Session::open(side == 0, &[link; 32], replica, shelf, config)
        };
        let [first, second] = configs;
        let ((first, outs), (second, nothing)) = (open(0, first), open(1, second));
        assert!(nothing.is_empty(), "a responder that begins");
        let mut contact = Self {
            sessions: [first, second],
            nodes,
            queue: VecDeque::new(),
            done: [None; 2],
            errors: 0,
            turns: [0; 2],
            untouched: true,
            changes: 0,
            reached: Reached::new(),
        };
        contact.carry_out(0, outs);
        contact
    }

    /// Carries messages until there are none. The input says after how many of them something is
    /// done to one.
    fn run(&mut self, input: &mut Input<'_>) {
        let mut pass = input.byte();
        while let Some((from, message)) = self.queue.pop_front() {
            if input.0.is_empty() || self.changes >= CHANGES_MAX {
                self.deliver(from, &message);
            } else if pass > 0 {
                pass -= 1;
                self.deliver(from, &message);
            } else {
                self.changes += 1;
                self.untouched = false;
                self.change(from, message, input);
                pass = input.byte() & 0x3f;
            }
        }
        if self.untouched {
            assert_eq!(self.errors, 0, "an honest peer is refused");
            assert!(self.done.iter().all(Option::is_some), "a session without end");
            assert!(self.turns.iter().sum::<u32>() <= HONEST_TURNS_MAX, "{:?}", self.turns);
        }
    }

    fn change(&mut self, from: usize, mut message: Vec<u8>, input: &mut Input<'_>) {
        match input.byte() % 8 {
            // Dropped.
            0 => return,
            // Doubled.
            1 => self.deliver(from, &message),
            // One byte is another one.
            2 => {
                let (at, bits) = (input.wide(2) as usize, input.byte());
                let length = message.len().max(1);
                if let Some(byte) = message.get_mut(at % length) {
                    *byte ^= bits;
                }
            }
            // Cut short.
            3 => message.truncate(input.wide(2) as usize),
            // Another message in its place.
            4 => {
                let length = usize::from(input.byte());
                message = input.take(length);
            }
            // Another message before it.
            5 => {
                let length = usize::from(input.byte());
                let before = input.take(length);
                self.deliver(from, &before);
            }
            // After the next one.
            6 => {
                let at = self.queue.len().min(1);
                return self.queue.insert(at, (from, message));
            }
            // A subject more in the symbols that come next: this message or a later one.
            _ => {
                let (tag, state) = (input.wide(5), input.wide(4) as u32);
                let symbols = |message: &Vec<u8>| message.first() == Some(&symbols::TAG_SYMBOLS);
                let later = self.queue.iter_mut().map(|(_, message)| message);
                let first = core::iter::once(&mut message).chain(later).find(|one| symbols(one));
                if let Some(message) = first {
                    symbols::add_subject(message, tag, state.max(1));
                }
            }
        }
        self.deliver(from, &message);
    }

    fn deliver(&mut self, from: usize, message: &[u8]) {
        let to = 1 - from;
        let Node { replica, shelf } = &self.nodes[to];
        let session = &mut self.sessions[to];
        let handled = session.handle(message, replica, shelf);
        assert!(session.memory_bytes() <= MEMORY_BYTES_MAX, "{} bytes", session.memory_bytes());
        match handled {
            Ok(outs) => {
                reached(&mut self.reached, message);
                self.turns[to] += u32::from(message.first() == Some(&TAG_TURN));
                assert!(self.turns[to] <= TURNS_MAX + 1, "a session without end");
                self.carry_out(to, outs);
            }
            Err(_) => {
                assert!(session.is_done());
                self.errors += 1;
            }
        }
    }

    fn carry_out(&mut self, side: usize, outs: Vec<Out>) {
        for out in outs {
            match out {
                Out::Send(message) => {
                    assert!(message.len() <= 64 * 1024, "a message too long");
                    self.queue.push_back((side, message));
                }
                Out::SendItem(key) => {
                    let Some(item) = self.nodes[side].shelf.item(&key) else { panic!("not held") };
                    self.queue.push_back((side, [&[TAG_ITEM][..], &item].concat()));
                }
                Out::Received(item) => take(&mut self.nodes[side], &item, world::world()),
                Out::Done { in_sync } => self.end(side, in_sync),
            }
        }
    }

    /// No side says that it is in sync with a core that is another one.
    fn end(&mut self, side: usize, in_sync: bool) {
        assert!(self.sessions[side].is_done());
        assert_eq!(self.done[side].replace(in_sync), None, "done twice");
        if self.untouched && in_sync {
            let [one, other] = [0, 1].map(|side| self.shared_core(side));
            assert_eq!(one, other, "in sync with another core");
        }
    }

    /// The core of the range that both keep.
    fn shared_core(&self, side: usize) -> (Option<Hash>, Vec<(AuthorId, Hash)>) {
        let [ours, theirs] = [side, 1 - side].map(|side| &self.nodes[side].replica);
        if ours.scope() == theirs.scope() {
            return (Some(ours.digest()), Vec::new());
        }
        let range = ours.scope().and(&theirs.scope());
        let authors = range.into_iter().flat_map(|range| ours.authors_in(range));
        (None, authors.map(|(author, element)| (*author, *element)).collect())
    }
}
