//! Sessions over streams of any grain: frames cut into writes of 20 bytes, as a small radio takes
//! them, of 200, and of 64 KiB. Few bytes are under way at any moment, and a side that has still to
//! send does not read.

use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::Network;
use hundi_ledger::replica::{Change, Key, Replica, Shelf};
use hundi_ledger::sync::{Config, Out, Session, TAG_ITEM};
use hundi_testnet::bench::difference::{Mix, Pair, Placement};
use hundi_testnet::bench::world::{Shape, World};
use hundi_transports::frame::{self, Decoder};
use hundi_transports::limits::{FRAME_BYTES_MAX, FRAME_PREFIX_BYTES};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone)]
struct Node {
    replica: Replica,
    shelf: BTreeMap<Key, Vec<u8>>,
}

impl Node {
    fn new(network: &Network) -> Self {
        Self { replica: Replica::new(network.clone()), shelf: BTreeMap::new() }
    }

    /// Takes an item as a driver does; whether it was news.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let item = Item::decode(&self.replica.network(), bytes).unwrap();
        let item = self.replica.trust().verify(item).unwrap();
        let applied = self.replica.apply(item, &self.shelf);
        for change in applied.changes {
            match change {
                Change::Put { key, bytes } => drop(self.shelf.insert(key, bytes)),
                Change::Delete { key } => drop(self.shelf.remove(&key)),
            }
        }
        applied.status.is_new()
    }
}

/// One end of the link.
struct End {
    node: Node,
    session: Session,
    /// What the session has said and what has not been framed.
    outs: VecDeque<Out>,
    /// Bytes of frames on their way to the other end.
    queue: VecDeque<u8>,
    /// What the other end's bytes go into.
    decoder: Decoder,
    done: Option<bool>,
    new_items: usize,
    told: Told,
}

/// What one end has put on the link.
#[derive(Default)]
struct Told {
    /// Writes of exactly the size, and shorter ones, each behind everything that was to be said.
    full: usize,
    short: usize,
    /// Times when there was nothing left to say.
    pauses: usize,
    queue_max: usize,
    frame_max: usize,
}

impl End {
    fn open(initiator: bool, node: Node, message_bytes_max: usize) -> Self {
        let config =
            Config { others_items_max: usize::MAX, message_bytes_max, ..Config::default() };
        let (session, outs) =
            Session::open(initiator, &[7; 32], &node.replica, &node.shelf, config);
        Self {
            node,
            session,
            outs: outs.into(),
            queue: VecDeque::new(),
            decoder: Decoder::new(FRAME_BYTES_MAX),
            done: None,
            new_items: 0,
            told: Told::default(),
        }
    }

    /// Carries out what the session asks for, and frames messages as long as there is room.
    fn say(&mut self, window: usize) {
        let had = !self.outs.is_empty();
        while self.queue.len() < window {
            let message = match self.outs.pop_front() {
                None => break,
                Some(Out::Send(message)) => message,
                // Read only now that there is room for it.
                Some(Out::SendItem(key)) => {
                    [&[TAG_ITEM][..], &self.node.shelf.item(&key).unwrap()].concat()
                }
                Some(Out::Received(item)) => {
                    assert!(self.node.take(&item), "nothing goes twice");
                    self.new_items += 1;
                    continue;
                }
                Some(Out::Done { in_sync }) => {
                    assert_eq!(self.done.replace(in_sync), None);
                    continue;
                }
            };
            let framed = frame::encode(&message, FRAME_BYTES_MAX).unwrap();
            self.told.frame_max = self.told.frame_max.max(framed.len());
            self.queue.extend(framed);
            self.told.queue_max = self.told.queue_max.max(self.queue.len());
        }
        self.told.pauses += usize::from(had && self.outs.is_empty());
    }

    /// The next write: exactly `piece` bytes, or all that is left if nothing follows.
    fn write(&mut self, piece: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self.queue.drain(..piece.min(self.queue.len())).collect();
        if bytes.len() == piece {
            self.told.full += 1;
        } else {
            assert!(self.outs.is_empty(), "a write that could have been longer");
            self.told.short += 1;
        }
        bytes
    }

    fn read(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let Some(message) = self.decoder.next(&mut piece).unwrap() else { continue };
            let Node { replica, shelf } = &self.node;
            let outs = self.session.handle(&message, replica, shelf).unwrap();
            // An item is applied before the next message is handled.
            if let [Out::Received(item)] = outs.as_slice() {
                assert!(self.node.take(item), "nothing goes twice");
                self.new_items += 1;
            } else {
                self.outs.extend(outs);
            }
        }
    }
}

/// Runs a session over writes of `piece` bytes with `window` bytes under way at most, and returns
/// both ends when neither has anything left to say.
fn run(nodes: [Node; 2], piece: usize, window: usize, message_bytes_max: usize) -> [End; 2] {
    let [first, second] = nodes;
    let mut ends =
        [End::open(true, first, message_bytes_max), End::open(false, second, message_bytes_max)];
    loop {
        let mut moved = false;
        for side in [0, 1] {
            ends.iter_mut().for_each(|end| end.say(window));
            // Who has a full window to send does not read.
            if ends[side].queue.is_empty() || ends[1 - side].queue.len() >= window {
                continue;
            }
            let bytes = ends[side].write(piece);
            ends[1 - side].read(&bytes);
            moved = true;
        }
        if !moved {
            return ends;
        }
    }
}

/// Two nodes that differ in `authors`, and how many items each lacks.
fn nodes(authors: usize) -> ([Node; 2], [usize; 2]) {
    let world = World::new(3, 1_000, Shape { enrolled: true, entries: 2 }).unwrap();
    let mut dice = ChaCha8Rng::seed_from_u64(3);
    let mut pair = Pair::new(&world);
    let difference = pair.differ(Mix::Mixed, Placement::Scattered, authors, &mut dice).unwrap();
    let mut base = Node::new(world.signer.network());
    for item in world.signer.bank_items().unwrap() {
        assert!(base.take(&item));
    }
    for writer in &world.writers {
        world.pieces_of(&writer.id).for_each(|(_, item)| assert!(base.take(item)));
    }
    let [first, second] = difference.only;
    let lacks = [second.len(), first.len()];
    let nodes = [first, second].map(|only| {
        let mut node = base.clone();
        only.iter().for_each(|piece| assert!(node.take(&piece.bytes)));
        node
    });
    (nodes, lacks)
}

#[test]
fn sessions_fit_links_of_every_grain() {
    let (nodes, lacks) = nodes(1_000);
    assert_ne!(nodes[0].replica.digest(), nodes[1].replica.digest());
    for (piece, window) in [(20, 20), (20, 512), (200, 800), (64 * 1024, 64 * 1024)] {
        for message_bytes_max in [200, 60 * 1024] {
            let ends = run(nodes.clone(), piece, window, message_bytes_max);
            let case = format!("writes of {piece}, window {window}, messages {message_bytes_max}");
            for (end, lacked) in ends.iter().zip(lacks) {
                assert_eq!(end.done, Some(true), "{case}");
                assert_eq!(end.new_items, lacked, "{case}");
                assert!(end.outs.is_empty() && end.queue.is_empty());
                assert!(end.decoder.is_at_boundary(), "{case}");
                let Told { full, short, pauses, queue_max, frame_max } = end.told;
                assert!(queue_max <= window + frame_max, "{case}: {queue_max}");
                assert!(
                    frame_max <= FRAME_PREFIX_BYTES + message_bytes_max.max(520),
                    "{frame_max}"
                );
                assert!(short <= pauses, "{case}: {short} short writes in {pauses} pauses");
                assert!(full > 0 && queue_max >= window, "{case}: {full} {queue_max}");
                println!(
                    "{case}: {full} full, {short} short, queue {queue_max}, frame {frame_max}"
                );
            }
            let [first, second] = ends.map(|end| end.node.replica.digest());
            assert_eq!(first, second, "{case}");
        }
    }
}
