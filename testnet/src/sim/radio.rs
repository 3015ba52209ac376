//! Who can hear whom, and what becomes of what is sent: contacts come and go as people move, a
//! link delivers in order or dies, gossip is lost, doubled and delayed.

use super::event::Event;
use super::movement::{Mover, Point, distance_squared};
use super::random::Dice;
use super::world::{Phase, World};
use super::{Invariant, Violation};
use hundi_engine::output::CloseReason;
use hundi_engine::{Input, LinkId, LinkKind, Verdict};
use hundi_ledger::sync::TAG_ITEM;
use std::collections::{BTreeMap, BTreeSet};

/// Links that a gateway holds at most.
const SITE_LINKS_MAX: usize = 24;
/// Milliseconds of sending that may queue up on a link before it is given up.
const QUEUE_MS_MAX: u64 = 30_000;
/// Milliseconds after a contact before the same two connect again.
const AGAIN_MS: u64 = 20_000;
/// Gossip that a node remembers; then it begins anew.
const HEARD_MAX: usize = 4_096;

/// A link between two nodes; end 0 has opened it.
pub(super) struct Link {
    pub(super) ends: [u32; 2],
    handshake_hash: [u8; 32],
    gossip: bool,
    latency_ms: u64,
    bytes_per_s: u64,
    /// Whose engine has been told.
    up: [bool; 2],
    /// When each end's last frame has arrived.
    free_ms: [u64; 2],
}

/// The radio world.
pub(super) struct Air {
    pub(super) dice: Dice,
    pub(super) movers: Vec<Mover>,
    pub(super) links: BTreeMap<u64, Link>,
    next: u64,
    cells: BTreeMap<(i64, i64), BTreeSet<u32>>,
    /// In which cell each node was when it scanned last.
    cell_of: Vec<Option<(i64, i64)>>,
    met: BTreeMap<(u32, u32), u64>,
    /// On which side of a partition each node is, while there is one.
    pub(super) sides: Option<Vec<bool>>,
    /// Nobody scans until then: night, or a jammer.
    pub(super) silent_until_ms: u64,
    pub(super) jammed: bool,
}

impl Air {
    pub(super) fn new(dice: Dice, movers: Vec<Mover>) -> Self {
        let cell_of = vec![None; movers.len()];
        Self {
            dice,
            movers,
            links: BTreeMap::new(),
            next: 0,
            cells: BTreeMap::new(),
            cell_of,
            met: BTreeMap::new(),
            sides: None,
            silent_until_ms: 0,
            jammed: false,
        }
    }

    fn apart(&self, a: u32, b: u32) -> bool {
        self.sides.as_ref().is_some_and(|sides| sides[a as usize] != sides[b as usize])
    }

    fn place(&mut self, node: u32, at: Point, cell_cm: i64) {
        let cell = (at.0.div_euclid(cell_cm), at.1.div_euclid(cell_cm));
        let held = self.cell_of[node as usize].replace(cell);
        if held != Some(cell) {
            if let Some(inside) = held.and_then(|held| self.cells.get_mut(&held)) {
                inside.remove(&node);
            }
            self.cells.entry(cell).or_default().insert(node);
        }
    }

    /// Nodes in the cells around one, in the order of their numbers.
    fn around(&self, node: u32) -> BTreeSet<u32> {
        let Some((x, y)) = self.cell_of[node as usize] else { return BTreeSet::new() };
        let cells = (x - 1..=x + 1).flat_map(|x| (y - 1..=y + 1).map(move |y| (x, y)));
        let inside = cells.filter_map(|cell| self.cells.get(&cell)).flatten();
        inside.copied().filter(|other| *other != node).collect()
    }
}

impl Link {
    fn other(&self, node: u32) -> u32 {
        if self.ends[0] == node { self.ends[1] } else { self.ends[0] }
    }

    fn end_of(&self, node: u32) -> usize {
        usize::from(self.ends[0] != node)
    }
}

impl World {
    fn position(&mut self, node: u32) -> Point {
        let now_ms = self.schedule.now_ms();
        let radio = &self.scenario.radio;
        self.air.movers[node as usize].at(now_ms, radio.villages, radio)
    }

    /// A node's radio listens: links that reach no longer end, others begin.
    pub(super) fn scan(&mut self, node: u32) {
        let wait_ms = 1_000 * u64::from(self.scenario.radio.scan_s);
        match self.phase {
            Phase::Storm => {}
            // In an experiment people may begin to walk about later.
            Phase::Staged => return self.schedule.after(wait_ms, Event::Scan { node }),
            _ => return,
        }
        let wait_ms = self.air.dice.between(wait_ms / 2, wait_ms * 3 / 2);
        let silent = self.air.silent_until_ms;
        if silent > self.now_ms() {
            let late = self.air.dice.between(0, wait_ms);
            return self.schedule.at(silent + late, Event::Scan { node });
        }
        self.schedule.after(wait_ms, Event::Scan { node });
        if !self.node(node).device.is_up() {
            return;
        }
        let range_cm = i64::from(self.scenario.radio.range_m) * 100;
        let here = self.position(node);
        self.air.place(node, here, range_cm);
        let reach = (range_cm * range_cm) as u64;
        let links: Vec<u64> = self.node(node).links.iter().copied().collect();
        for link in links {
            let Some(other) = self.air.links.get(&link).map(|link| link.other(node)) else {
                continue;
            };
            if distance_squared(here, self.position(other)) > reach {
                self.drop_link(link);
            }
        }
        let loss = u64::from(self.scenario.radio.loss_percent);
        let loss = if self.air.jammed { 90 } else { loss };
        for other in self.air.around(node) {
            if self.may_meet(node, other)
                && distance_squared(here, self.position(other)) <= reach
                && !self.air.dice.percent(loss)
            {
                self.connect(node, other);
            }
        }
    }

    fn has_room(&self, node: u32) -> bool {
        let at = &self.nodes[node as usize];
        let phone = self.scenario.radio.links_max as usize;
        at.links.len() < if at.site.is_some() { SITE_LINKS_MAX } else { phone }
    }

    fn may_meet(&self, a: u32, b: u32) -> bool {
        let pair = (a.min(b), a.max(b));
        let met = self.air.met.get(&pair);
        let links = &self.nodes[a as usize].links;
        let linked = links.iter().filter_map(|link| self.air.links.get(link));
        self.nodes[b as usize].device.is_up()
            && !self.air.apart(a, b)
            && met.is_none_or(|met| met + AGAIN_MS <= self.schedule.now_ms())
            && !linked.into_iter().any(|link| link.other(a) == b)
            && self.has_room(a)
            && self.has_room(b)
    }

    /// Two nodes that hear each other begin a link.
    fn connect(&mut self, a: u32, b: u32) {
        let radio = self.scenario.radio;
        let dice = &mut self.air.dice;
        let wifi = dice.percent(u64::from(radio.wifi_percent));
        let (latency_ms, bytes_per_s, lasts_ms) = if wifi {
            (dice.between(2, 15), 1_000_000, dice.between(60_000, 1_200_000))
        } else {
            let lasts_ms = 1_000 * dice.between(3, u64::from(radio.contact_s));
            (dice.between(20, 90), 20_000, lasts_ms)
        };
        let link = self.begin_link([a, b], wifi, latency_ms, bytes_per_s);
        self.schedule.after(lasts_ms, Event::LinkEnds { link });
    }

    /// Begins a link that lasts until somebody ends it.
    pub(super) fn begin_link(
        &mut self,
        ends: [u32; 2],
        gossip: bool,
        latency_ms: u64,
        bytes_per_s: u64,
    ) -> u64 {
        self.air.next += 1;
        self.counters.contacts += 1;
        let id = self.air.next;
        let handshake_hash = self.air.dice.bytes();
        let (up, free_ms) = ([false; 2], [0; 2]);
        let link = Link { ends, handshake_hash, gossip, latency_ms, bytes_per_s, up, free_ms };
        self.air.links.insert(id, link);
        let [a, b] = ends;
        self.air.met.insert((a.min(b), a.max(b)), self.schedule.now_ms());
        for node in ends {
            self.node(node).links.insert(id);
        }
        // The one that was called knows first: the answer to its handshake is on the way.
        self.schedule.after(latency_ms, Event::LinkUp { link: id, end: 1 });
        self.schedule.after(2 * latency_ms, Event::LinkUp { link: id, end: 0 });
        id
    }

    pub(super) fn link_up(&mut self, id: u64, end: u8) {
        let Some(link) = self.air.links.get_mut(&id) else { return };
        link.up[usize::from(end)] = true;
        let node = link.ends[usize::from(end)];
        let (handshake_hash, gossip) = (link.handshake_hash, link.gossip);
        let kind = if gossip { LinkKind::Gossip } else { LinkKind::Mesh };
        let input = Input::LinkUp { link: LinkId(id), handshake_hash, initiator: end == 0, kind };
        self.input(node, input);
        self.scheme_on_link(node, id);
    }

    /// A link is gone, with whatever was on its way.
    pub(super) fn drop_link(&mut self, id: u64) {
        let Some(link) = self.air.links.remove(&id) else { return };
        for (end, node) in link.ends.into_iter().enumerate() {
            self.node(node).links.remove(&id);
            if link.up[end] && self.node(node).device.is_up() {
                self.input(node, Input::LinkDown { link: LinkId(id) });
            }
        }
    }

    /// A node ends a link. Nobody honest gives reason for that.
    pub(super) fn close(&mut self, node: u32, id: u64, reason: CloseReason) {
        let other = self.air.links.get(&id).map(|link| link.other(node));
        if let Some(other) = other
            && reason == CloseReason::Misbehaviour
            && self.node(node).is_honest()
            && self.node(other).is_honest()
        {
            let what = format!("node {node} lets node {other} go for misbehaviour");
            self.violated(Invariant::NoFraming, what);
        }
        self.drop_link(id);
    }

    /// Sends on a link, through what its sender schemes.
    pub(super) fn send(&mut self, node: u32, id: u64, bytes: Vec<u8>) {
        self.leaves(node, &bytes);
        for bytes in self.scheme_on_sending(node, bytes) {
            self.transmit(node, id, bytes);
        }
    }

    /// Puts bytes on a link. They arrive whole and in order, unless the link ends before.
    pub(super) fn transmit(&mut self, node: u32, id: u64, bytes: Vec<u8>) {
        let now_ms = self.now_ms();
        self.witness_frame(node, &bytes);
        let Some(link) = self.air.links.get_mut(&id) else { return };
        let end = link.end_of(node);
        let takes_ms = bytes.len() as u64 * 1_000 / link.bytes_per_s;
        let free_ms = link.free_ms[end].max(now_ms) + takes_ms;
        if free_ms > now_ms + QUEUE_MS_MAX {
            return self.drop_link(id);
        }
        link.free_ms[end] = free_ms;
        let arrives_ms = free_ms + link.latency_ms;
        self.counters.frames += 1;
        self.counters.bytes += bytes.len() as u64;
        let end = 1 - end as u8;
        self.schedule.at(arrives_ms, Event::Frame { link: id, end, bytes });
    }

    pub(super) fn frame_arrives(&mut self, id: u64, end: u8, bytes: Vec<u8>) {
        let Some(link) = self.air.links.get(&id) else { return };
        let node = link.ends[usize::from(end)];
        if bytes.strip_prefix(&[TAG_ITEM]).is_some_and(|item| self.is_swallowed(node, item)) {
            return;
        }
        self.input(node, Input::Message { link: LinkId(id), bytes });
    }

    /// Gossips to every neighbour that takes part, but for the one it came from.
    pub(super) fn publish(&mut self, node: u32, bytes: &[u8], from: Option<u64>) {
        self.leaves_as_item(node, bytes);
        self.witness_item(node, bytes);
        let links: Vec<u64> = self.node(node).links.iter().copied().collect();
        for id in links.into_iter().filter(|id| Some(*id) != from) {
            let Some(link) = self.air.links.get(&id).filter(|link| link.gossip) else { continue };
            let (end, latency_ms) = (1 - link.end_of(node) as u8, link.latency_ms);
            let dice = &mut self.air.dice;
            let copies = match dice.below(100) {
                lost if lost < u64::from(self.scenario.radio.loss_percent) => 0,
                twice if twice >= 95 => 2,
                _ => 1,
            };
            self.counters.gossips += copies.max(1);
            self.counters.gossip_bytes += copies.max(1) * bytes.len() as u64;
            for _ in 0..copies {
                let wait_ms = latency_ms + dice.between(0, 400);
                let event = Event::Gossip { link: id, end, bytes: bytes.to_vec() };
                self.schedule.after(wait_ms, event);
            }
        }
    }

    pub(super) fn gossip_arrives(&mut self, id: u64, end: u8, bytes: Vec<u8>) {
        let Some(link) = self.air.links.get(&id) else { return };
        let node = link.ends[usize::from(end)];
        if self.is_swallowed(node, &bytes) {
            return;
        }
        let name = *blake3::hash(&bytes).as_bytes();
        let at = self.node(node);
        if at.heard.len() >= HEARD_MAX {
            at.heard.clear();
        }
        if !at.device.is_up() || !at.heard.insert(name) {
            return;
        }
        at.commands += 1;
        let handle = at.commands;
        at.waiting.insert(handle, (id, bytes.clone()));
        self.input(node, Input::Gossip { handle, bytes });
    }

    pub(super) fn gossip_judged(&mut self, node: u32, handle: u64, verdict: Verdict) {
        let Some((link, bytes)) = self.node(node).waiting.remove(&handle) else { return };
        let from = self.air.links.get(&link).map(|link| link.other(node));
        match verdict {
            Verdict::Accept => self.publish(node, &bytes, Some(link)),
            Verdict::Ignore => {}
            Verdict::Reject => {
                let framed = from.is_some_and(|from| self.node(from).is_honest());
                if framed && self.node(node).is_honest() {
                    let what = format!("node {node} rejects what honest node {from:?} gossiped");
                    let at_ms = self.now_ms();
                    let invariant = Invariant::NoFraming;
                    self.violation.get_or_insert(Violation { invariant, what, at_ms });
                }
            }
        }
    }

    /// Who is at the other end of a node's link.
    pub(super) fn peer(&self, node: u32, link: u64) -> Option<u32> {
        self.air.links.get(&link).map(|link| link.other(node))
    }

    /// Ends every link of a node, frames on their way and all.
    pub(super) fn cut_links(&mut self, node: u32) {
        let links: Vec<u64> = self.node(node).links.iter().copied().collect();
        links.into_iter().for_each(|link| self.drop_link(link));
    }

    /// Nodes close enough to talk to.
    pub(super) fn near(&mut self, node: u32) -> Vec<u32> {
        let range_cm = i64::from(self.scenario.radio.range_m) * 100;
        let here = self.position(node);
        let mut near = Vec::new();
        for other in self.air.around(node) {
            if distance_squared(here, self.position(other)) <= (range_cm * range_cm) as u64 {
                near.push(other);
            }
        }
        near
    }
}
