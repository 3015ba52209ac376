//! A contact of a device's replica with a copy of it. Both read what they have in common from the
//! one store; what differs is on its way to it and never arrives.

use super::device::Device;
use crate::bench::measure::Meter;
use anyhow::{Result, bail, ensure};
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::{Change, Replica, Shelf};
use hundi_ledger::sync::{Config, Out, Session, TAG_ITEM};
use hundi_node::daemon::Overlay;
use hundi_node::engine::Write;
use std::collections::VecDeque;
use std::sync::Arc;

const HANDSHAKE: [u8; 32] = [5; 32];

/// What became of the contact.
pub(super) struct Met {
    /// What both said, bytes.
    pub(super) bytes: u64,
    /// The most that one of the sessions held, bytes.
    pub(super) session_bytes: u64,
    /// How many of the two do not hold everything.
    pub(super) unequal: u64,
}

struct Side {
    replica: Replica,
    shelf: Overlay,
}

impl Side {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let item = Item::decode(&self.replica.network(), bytes)?;
        let item = self.replica.trust().verify(item)?;
        let applied = self.replica.apply(item, &self.shelf);
        let writes = applied.changes.into_iter().map(|change| match change {
            Change::Put { key, bytes } => Write::Item { key, bytes },
            Change::Delete { key } => Write::DeleteItem { key },
        });
        drop(self.shelf.add(1, writes.collect()));
        Ok(())
    }
}

/// Has two copies of a device's replica take `fresh` by turns, and meet.
pub(super) fn meet(device: &Device, fresh: &[Vec<u8>]) -> Result<Met> {
    let mut sides = [(); 2].map(|()| {
        let mut replica = device.engine().replica().clone();
        replica.evict(0);
        Side { replica, shelf: Overlay::new(Arc::clone(device.store())) }
    });
    for (at, item) in fresh.iter().enumerate() {
        sides[at % 2].take(item)?;
    }
    let mut meter = Meter::default();
    let mut on_link = VecDeque::new();
    let mut bytes = 0;
    let config = || Config { others_items_max: usize::MAX, ..Config::default() };
    let mut open = |side: usize| {
        let Side { replica, shelf } = &sides[side];
        let work = || Session::open(side == 0, &HANDSHAKE, replica, shelf, config());
        meter.run(side, work, |(_, outs)| bytes_of(outs))
    };
    let ((first, opening), (second, nothing)) = (open(0), open(1));
    let mut sessions = [first, second];
    let mut said = vec![(0, opening), (1, nothing)];
    loop {
        for (side, outs) in said.drain(..) {
            for out in outs {
                match out {
                    Out::Send(message) => on_link.push_back((1 - side, message)),
                    Out::SendItem(key) => {
                        let Some(item) = sides[side].shelf.item(&key) else {
                            bail!("an item that was named is not stored");
                        };
                        on_link.push_back((1 - side, [&[TAG_ITEM][..], &item].concat()));
                    }
                    Out::Received(item) => sides[side].take(&item)?,
                    Out::Done { in_sync } => ensure!(in_sync, "a session ends before its time"),
                }
            }
        }
        let Some((to, message)) = on_link.pop_front() else { break };
        bytes += message.len() as u64;
        let Side { replica, shelf } = &sides[to];
        let session = &mut sessions[to];
        let outs = meter.run(
            to,
            || session.handle(&message, replica, shelf),
            |outs| outs.as_ref().map_or(0, bytes_of),
        )?;
        said.push((to, outs));
    }
    let all = device.engine().replica().entries_len() + fresh.len();
    let lacks = |side: &&Side| side.replica.entries_len() != all;
    Ok(Met {
        bytes,
        session_bytes: meter.peak_bytes.into_iter().max().unwrap_or(0),
        unequal: sides.iter().filter(lacks).count() as u64,
    })
}

/// What of a session's outputs is on its way out of it.
fn bytes_of(outs: &Vec<Out>) -> usize {
    let inside = outs.iter().map(|out| match out {
        Out::Send(bytes) | Out::Received(bytes) => bytes.capacity(),
        Out::SendItem(_) | Out::Done { .. } => 0,
    });
    outs.capacity() * size_of::<Out>() + inside.sum::<usize>()
}
