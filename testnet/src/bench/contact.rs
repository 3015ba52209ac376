//! One contact of two nodes: sync sessions of the ledger on a link that counts every byte. The
//! only file of the bench that knows how a session is driven.
//!
//! The link carries whole messages, each behind its length. What a side says at one moment arrives
//! together, one trip later, and both directions share the budget of a contact that is cut.

use super::measure::{LENGTH_BYTES, Meter, Sample, thread_ns};
use super::world::Node;
use anyhow::{Result, anyhow};
use hundi_ledger::replica::Key;
use hundi_ledger::sync::{Config, Out, Session, TAG_ITEM};
use std::collections::VecDeque;

/// What the initiator knows of the peer's core before it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing.
    Blind,
    /// A value of the peer's core under a salt that it advertises, as nodes do on Bluetooth: whether
    /// the cores differ.
    Advertised,
}

impl Opening {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Opening::Blind => "blind",
            Opening::Advertised => "advertised",
        }
    }

    fn config(self, nodes: &[Node; 2], side: usize) -> Config {
        let advertised = |node: &Node| node.replica.fingerprint(&[7; 32]);
        let differs = advertised(&nodes[0]) != advertised(&nodes[1]);
        Config {
            // A session that sends everything that the peer lacks.
            others_items_max: usize::MAX,
            differs: self == Opening::Advertised && side == 0 && differs,
            ..Config::default()
        }
    }
}

/// Trips after which a contact is given up: far more than any session takes.
const TRIPS_MAX: u64 = 1_000;

/// What became of one contact.
#[derive(Clone, Copy, Debug, Default)]
pub struct Contact {
    /// What it cost.
    pub cost: Sample,
    /// Items that arrived and were new.
    pub new_items: u64,
    /// Whether both sides said at the end that they are in sync.
    pub in_sync: bool,
    /// Whether the budget ended it.
    pub cut: bool,
}

/// What is on the link.
enum Sent {
    Message(Vec<u8>),
    /// Read from the sender's store only when the link has room.
    Item(Key),
}

struct Link<'nodes> {
    nodes: &'nodes mut [Node; 2],
    sessions: [Session; 2],
    /// What each side has said and the other has not heard.
    flying: [VecDeque<Sent>; 2],
    done: [Option<bool>; 2],
    budget: u64,
    told: Contact,
    apply_ns: [u64; 2],
}

/// Runs one contact; the first node initiates. `budget` is how many bytes the link carries in both
/// directions together before it is cut, in the middle of a message if need be.
///
/// # Errors
/// When a session refuses what its peer says, or an item does not verify.
pub fn meet(
    nodes: &mut [Node; 2],
    handshake: &[u8; 32],
    opening: Opening,
    budget: Option<u64>,
) -> Result<Contact> {
    let mut meter = Meter::default();
    let mut open = |side: usize| {
        let Node { replica, shelf } = &nodes[side];
        let config = opening.config(nodes, side);
        meter.run(
            side,
            || Session::open(side == 0, handshake, replica, shelf, config),
            |(_, outs)| bytes_of(outs),
        )
    };
    let (first, first_outs) = open(0);
    let (second, second_outs) = open(1);
    let mut link = Link {
        nodes,
        sessions: [first, second],
        flying: [VecDeque::new(), VecDeque::new()],
        done: [None; 2],
        budget: budget.unwrap_or(u64::MAX),
        told: Contact {
            cost: Sample { meter, contacts: 1, ..Sample::default() },
            ..Contact::default()
        },
        apply_ns: [0; 2],
    };
    link.carry_out(0, first_outs, 0)?;
    link.carry_out(1, second_outs, 0)?;
    link.run()?;
    link.told.in_sync = link.done == [Some(true); 2];
    link.told.cost.apply_ns = Some(link.apply_ns);
    Ok(link.told)
}

impl Link<'_> {
    fn run(&mut self) -> Result<()> {
        for trip in 1..=TRIPS_MAX {
            if self.flying.iter().all(VecDeque::is_empty) {
                return Ok(());
            }
            let mut arriving = std::mem::take(&mut self.flying);
            // Message by message from both sides, as two directions of one link share it.
            while arriving.iter().any(|queue| !queue.is_empty()) {
                for (side, queue) in arriving.iter_mut().enumerate() {
                    let Some(sent) = queue.pop_front() else { continue };
                    if !self.deliver(side, sent, trip)? {
                        self.told.cut = true;
                        return Ok(());
                    }
                }
            }
            if self.told.new_items == 0 && self.done.iter().all(Option::is_some) {
                self.told.cost.half_trips = self.told.cost.half_trips.max(trip);
            }
        }
        Err(anyhow!("a contact takes more than {TRIPS_MAX} trips"))
    }

    /// Has one message arrive. Returns whether the link still stands.
    fn deliver(&mut self, from: usize, sent: Sent, trip: u64) -> Result<bool> {
        let bytes = match sent {
            Sent::Message(bytes) => bytes,
            Sent::Item(key) => match self.nodes[from].stored(&key) {
                Some(item) => [&[TAG_ITEM][..], &item].concat(),
                None => return Ok(true),
            },
        };
        let length = bytes.len() as u64 + LENGTH_BYTES;
        let carried = length.min(self.budget);
        self.told.cost.sent[from] += carried;
        self.budget -= carried;
        if carried < length {
            return Ok(false);
        }
        let to = 1 - from;
        let Node { replica, shelf } = &self.nodes[to];
        let session = &mut self.sessions[to];
        let outs = self.told.cost.meter.run(
            to,
            || session.handle(&bytes, replica, shelf),
            |outs| outs.as_ref().map_or(0, bytes_of),
        )?;
        self.carry_out(to, outs, trip)?;
        Ok(true)
    }

    fn carry_out(&mut self, side: usize, outs: Vec<Out>, trip: u64) -> Result<()> {
        for out in outs {
            match out {
                Out::Send(bytes) => self.flying[side].push_back(Sent::Message(bytes)),
                Out::SendItem(key) => self.flying[side].push_back(Sent::Item(key)),
                Out::Received(item) => self.take(side, &item, trip)?,
                Out::Done { in_sync } => self.done[side] = Some(in_sync),
            }
        }
        Ok(())
    }

    fn take(&mut self, side: usize, item: &[u8], trip: u64) -> Result<()> {
        let from = thread_ns();
        let status = self.nodes[side].take(item)?;
        self.apply_ns[side] += thread_ns().saturating_sub(from);
        if status.is_new() {
            let cost = &mut self.told.cost;
            cost.items[1 - side] += item.len() as u64;
            cost.half_trips = trip;
            cost.half_trips_first.get_or_insert(trip);
            self.told.new_items += 1;
        }
        Ok(())
    }
}

/// What of a session's outputs is on its way out of it.
fn bytes_of(outs: &Vec<Out>) -> usize {
    let inside = outs.iter().map(|out| match out {
        Out::Send(bytes) | Out::Received(bytes) => bytes.capacity(),
        Out::SendItem(_) | Out::Done { .. } => 0,
    });
    outs.capacity() * size_of::<Out>() + inside.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::difference::{Mix, Pair, Placement};
    use crate::bench::world::{Shape, World};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn every_byte_is_counted_and_what_was_missing_is_what_arrives() {
        let world = World::new(1, 60, Shape { enrolled: true, entries: 2 }).unwrap();
        let mut pair = Pair::new(&world);
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let difference = pair.differ(Mix::Mixed, Placement::Scattered, 20, &mut dice).unwrap();
        let told = meet(&mut pair.nodes, &[1; 32], Opening::Blind, None).unwrap();
        assert!(told.in_sync && !told.cut);
        assert_eq!(told.cost.items, difference.bytes());
        assert_eq!(told.new_items, difference.only.iter().map(Vec::len).sum::<usize>() as u64);
        let [a, b] = &pair.nodes;
        assert_eq!(a.replica.digest(), b.replica.digest());
        assert!(told.cost.metadata().iter().all(|bytes| *bytes > 0));
        assert!(told.cost.half_trips_first.unwrap() <= told.cost.half_trips);
    }

    #[test]
    fn a_cut_link_carries_its_budget_and_no_byte_more() {
        let world = World::new(1, 60, Shape { enrolled: true, entries: 2 }).unwrap();
        let mut whole = None;
        for budget in [1, 100, 5_000] {
            let mut pair = Pair::new(&world);
            let mut dice = ChaCha8Rng::seed_from_u64(1);
            let difference = pair.differ(Mix::Mixed, Placement::Scattered, 20, &mut dice).unwrap();
            let told = meet(&mut pair.nodes, &[1; 32], Opening::Blind, Some(budget)).unwrap();
            assert!(told.cut && !told.in_sync);
            assert_eq!(told.cost.total(), budget);
            whole = Some((pair, difference));
        }
        // What the cut contacts left over comes with the next one.
        let (mut pair, difference) = whole.unwrap();
        let told = meet(&mut pair.nodes, &[2; 32], Opening::Blind, None).unwrap();
        assert!(told.in_sync && told.cost.missing() <= difference.bytes().iter().sum());
    }
}
