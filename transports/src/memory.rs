//! Memory links: a whole network in one value, driven by virtual time, repeatable from its seed.
//!
//! The radio below is bad as told: segments are late, lost, out of order, or stay out while two
//! nodes are apart. A small reliable stream above it numbers segments, puts them in order and
//! sends lost ones again, and on it run the real frames, signals and secure channel. So a link here
//! does what a link does anywhere: it delivers whole messages in order, or it ends.
//! [`Network`] is pure; [`driver`] runs it on tokio's clock.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use crate::channel::{Handshake, LinkKey, Role};
use crate::frame;
use crate::limits::{
    FRAME_BYTES_MAX, MEMORY_WINDOW_BYTES, MEMORY_WINDOW_MESSAGES, MESSAGE_BYTES_MAX,
};
use crate::link::{CloseReason, LinkEvent, LinkId, LinkInfo, SendError, check_message};
use crate::signal::{self, Farewell, Signal};

mod dice;
pub mod driver;
mod end;

use dice::Dice;
use end::{End, Heard};

/// Names a node of a [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// How bad the radio is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// The shortest time that a segment takes.
    pub latency_min: Duration,
    /// The longest time that a segment takes, unless it is lost or held back.
    pub latency_max: Duration,
    /// Segments lost, of 1,000; at most 900 is used. A lost one is sent again.
    pub lost_per_mille: u16,
    /// Segments held back by another `latency_max`, of 1,000, so that later ones overtake them.
    pub held_back_per_mille: u16,
    /// Time after which a segment that did not arrive is sent again.
    pub retransmit_after: Duration,
    /// Time apart after which both ends give a link up.
    pub silence_max: Duration,
    /// Bytes of one segment; at least 1 is used.
    pub segment_bytes: usize,
}

impl Default for Conditions {
    /// A quiet Wi-Fi network: 1–5 ms, nothing lost.
    fn default() -> Self {
        Conditions {
            latency_min: Duration::from_millis(1),
            latency_max: Duration::from_millis(5),
            lost_per_mille: 0,
            held_back_per_mille: 0,
            retransmit_after: Duration::from_millis(50),
            silence_max: Duration::from_secs(15),
            segment_bytes: 1_400,
        }
    }
}

/// Why two nodes get no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// A node that does not exist, or one with itself.
    #[error("no such pair of nodes")]
    NoSuchPair,
    /// The two are apart.
    #[error("out of reach")]
    OutOfReach,
}

/// Nodes, the links between them, and what is under way. Times are counted from any origin and
/// never go back; an earlier `now` than the last counts as the last. With the same seed and calls
/// the same things happen, to the byte.
#[derive(Debug)]
pub struct Network {
    conditions: Conditions,
    dice: Dice,
    now: Duration,
    nodes: Vec<Node>,
    links: BTreeMap<LinkId, Pair>,
    /// What happens later, by time and then by the order in which it was planned.
    agenda: BTreeMap<(Duration, u64), Happening>,
    planned: u64,
    next_link: u64,
}

#[derive(Debug)]
struct Node {
    key: LinkKey,
    /// Nodes of one place reach each other.
    place: u32,
    events: VecDeque<LinkEvent>,
}

/// Both ends of one link: the initiator's, then the responder's.
#[derive(Debug)]
struct Pair {
    ends: [End; 2],
    apart_since: Option<Duration>,
}

#[derive(Debug)]
enum Happening {
    /// A segment reaches the radio of an end.
    Segment { link: LinkId, to: usize, number: u64, bytes: Vec<u8> },
    /// Were the ends apart all the time since then?
    Silence { link: LinkId, since: Duration },
    /// An end learns that its link was cut.
    Severed { link: LinkId, to: usize },
}

impl Network {
    /// An empty network.
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        Network {
            conditions,
            dice: Dice::new(seed),
            now: Duration::ZERO,
            nodes: Vec::new(),
            links: BTreeMap::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            next_link: 0,
        }
    }

    /// Adds a node, in reach of all others that were not moved.
    pub fn add_node(&mut self) -> NodeId {
        let key = LinkKey::from_bytes(self.dice.bytes());
        self.nodes.push(Node { key, place: 0, events: VecDeque::new() });
        NodeId(self.nodes.len() - 1)
    }

    /// Changes the radio for everything sent from now on.
    pub fn set_conditions(&mut self, now: Duration, conditions: Conditions) {
        self.advance(now);
        self.conditions = conditions;
    }

    /// Moves a node to a place. Nodes reach each other exactly if they are at one place; links
    /// between places end as silent unless the ends come together again in time.
    pub fn set_place(&mut self, now: Duration, node: NodeId, place: u32) {
        self.advance(now);
        if let Some(node) = self.nodes.get_mut(node.0) {
            node.place = place;
        }
        let mut checks = Vec::new();
        for (link, pair) in &mut self.links {
            let [one, two] = pair.ends.each_ref().map(|end| end.node);
            if self.nodes[one.0].place == self.nodes[two.0].place {
                pair.apart_since = None;
            } else if pair.apart_since.is_none() {
                pair.apart_since = Some(self.now);
                checks.push(*link);
            }
        }
        for link in checks {
            let since = self.now;
            self.plan(since + self.conditions.silence_max, Happening::Silence { link, since });
        }
    }

    /// Begins a link. Both nodes get [`LinkEvent::Up`] once the handshake is through; if it never
    /// is, neither hears of it. Two nodes may have several links.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(
        &mut self,
        now: Duration,
        from: NodeId,
        to: NodeId,
    ) -> Result<LinkId, ConnectError> {
        self.advance(now);
        let (Some(one), Some(two)) = (self.nodes.get(from.0), self.nodes.get(to.0)) else {
            return Err(ConnectError::NoSuchPair);
        };
        if from == to {
            return Err(ConnectError::NoSuchPair);
        }
        if one.place != two.place {
            return Err(ConnectError::OutOfReach);
        }
        let prologue = b"hundi memory link v1";
        let entropy = [self.dice.bytes(), self.dice.bytes()];
        let initiate = Handshake::new(Role::InitiateStranger, &one.key, prologue, entropy[0]);
        let respond = Handshake::new(Role::RespondStranger, &two.key, prologue, entropy[1]);
        // The suite is fixed and always builds.
        let (Ok(mut initiate), Ok(respond)) = (initiate, respond) else {
            return Err(ConnectError::NoSuchPair);
        };
        let first = initiate.write(b"").unwrap_or_default();
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let ends = [End::new(from, initiate), End::new(to, respond)];
        self.links.insert(link, Pair { ends, apart_since: None });
        self.transmit(link, 0, &first);
        Ok(link)
    }

    /// Sends a message on a link of `node`.
    ///
    /// # Errors
    /// Every [`SendError`].
    pub fn send(
        &mut self,
        now: Duration,
        node: NodeId,
        link: LinkId,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        self.advance(now);
        check_message(bytes, MESSAGE_BYTES_MAX)?;
        let side = self.side_of(node, link).ok_or(SendError::NoLink)?;
        let pair = self.links.get_mut(&link).ok_or(SendError::NoLink)?;
        let unread = pair.ends[1 - side].unread;
        if unread.messages >= MEMORY_WINDOW_MESSAGES
            || unread.bytes + bytes.len() > MEMORY_WINDOW_BYTES
        {
            return Err(SendError::Full);
        }
        let Some(record) = pair.ends[side].seal(&signal::encode_message(bytes)) else {
            return Err(SendError::NoLink);
        };
        pair.ends[1 - side].unread.add(bytes.len());
        self.transmit(link, side, &record);
        Ok(())
    }

    /// Closes a link at the end of `node`. An unknown link is left as it is.
    pub fn close(&mut self, now: Duration, node: NodeId, link: LinkId) {
        self.advance(now);
        if let Some(side) = self.side_of(node, link) {
            self.say_goodbye(link, side, Farewell::Closed);
            self.end(link, side, CloseReason::ClosedHere);
        }
    }

    /// Cuts a link once `after_bytes` more bytes have reached `node`: what comes later is lost, in
    /// the middle of a frame or not, and both ends see the link cut.
    pub fn cut(&mut self, now: Duration, node: NodeId, link: LinkId, after_bytes: usize) {
        self.advance(now);
        if let Some(side) = self.side_of(node, link)
            && let Some(pair) = self.links.get_mut(&link)
        {
            pair.ends[side].cut_after = Some(after_bytes);
        }
    }

    /// Lets `node` receive bytes that nobody sent, in the middle of what it does receive: an
    /// attacker below the secure channel.
    pub fn inject(&mut self, now: Duration, node: NodeId, link: LinkId, bytes: &[u8]) {
        self.advance(now);
        if let Some(side) = self.side_of(node, link) {
            self.hear(link, side, bytes);
        }
    }

    /// The next event of a node, in the order in which they happened. Taking a message makes room
    /// for its sender.
    pub fn next_event(&mut self, now: Duration, node: NodeId) -> Option<LinkEvent> {
        self.advance(now);
        let event = self.nodes.get_mut(node.0)?.events.pop_front()?;
        if let LinkEvent::Message { link, bytes } = &event
            && let Some(pair) = self.links.get_mut(link)
            && let Some(end) = pair.ends.iter_mut().find(|end| end.node == node)
        {
            end.unread.take(bytes.len());
        }
        Some(event)
    }

    /// When something happens next by itself.
    pub fn next_due(&self) -> Option<Duration> {
        self.agenda.first_key_value().map(|((due, _), _)| *due)
    }

    /// Lets everything happen that is due by `now`. Every other call does this first.
    pub fn advance(&mut self, now: Duration) {
        while let Some(entry) = self.agenda.first_entry() {
            let due = entry.key().0;
            if due > now {
                break;
            }
            let happening = entry.remove();
            self.now = self.now.max(due);
            self.happen(happening);
        }
        self.now = self.now.max(now);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Segment { link, to, number, bytes } => {
                let Some(pair) = self.links.get_mut(&link) else {
                    return;
                };
                if pair.apart_since.is_some() {
                    // It did not get through; the sender tries again.
                    let again = self.now + self.conditions.retransmit_after;
                    self.plan(again, Happening::Segment { link, to, number, bytes });
                    return;
                }
                for bytes in pair.ends[to].in_order(number, bytes) {
                    self.hear(link, to, &bytes);
                }
            }
            Happening::Silence { link, since } => {
                let apart = self.links.get(&link).and_then(|pair| pair.apart_since);
                if apart == Some(since) {
                    self.end(link, 0, CloseReason::Silent);
                    self.end(link, 1, CloseReason::Silent);
                }
            }
            Happening::Severed { link, to } => self.end(link, to, CloseReason::Cut),
        }
    }

    /// An end of a link hears bytes of its stream.
    fn hear(&mut self, link: LinkId, side: usize, bytes: &[u8]) {
        let Some(pair) = self.links.get_mut(&link) else {
            return;
        };
        let end = &mut pair.ends[side];
        let (mut bytes, cut) = match &mut end.cut_after {
            Some(left) if *left < bytes.len() => (&bytes[..*left], true),
            Some(left) => {
                *left -= bytes.len();
                (bytes, false)
            }
            None => (bytes, false),
        };
        while let Some(heard) =
            self.links.get_mut(&link).and_then(|pair| pair.ends[side].hear(&mut bytes))
        {
            self.on_heard(link, side, heard);
        }
        if cut {
            self.end(link, side, CloseReason::Cut);
            let at = self.now + self.latency();
            self.plan(at, Happening::Severed { link, to: 1 - side });
        }
    }

    fn on_heard(&mut self, link: LinkId, side: usize, heard: Heard) {
        match heard {
            Heard::Answer(message) => self.transmit(link, side, &message),
            Heard::Up { answer, handshake_hash } => {
                if let Some(message) = answer {
                    self.transmit(link, side, &message);
                }
                let initiator = side == 0;
                let message_bytes_max = MESSAGE_BYTES_MAX;
                let info = LinkInfo { link, handshake_hash, initiator, message_bytes_max };
                self.tell(link, side, LinkEvent::Up(info));
            }
            Heard::Signal(Signal::Message(bytes)) => {
                self.tell(link, side, LinkEvent::Message { link, bytes });
            }
            Heard::Signal(Signal::KeepAlive) => {}
            Heard::Signal(Signal::Goodbye(farewell)) => self.end(link, side, farewell.reason()),
            Heard::Broken => {
                self.say_goodbye(link, side, Farewell::Misbehaved);
                self.end(link, side, CloseReason::Misbehaved);
                // Before the channel is open nothing can be said; the other end sees a cut.
                let at = self.now + self.conditions.latency_max * 2;
                self.plan(at, Happening::Severed { link, to: 1 - side });
            }
        }
    }

    fn say_goodbye(&mut self, link: LinkId, side: usize, farewell: Farewell) {
        let goodbye = Signal::Goodbye(farewell).encode();
        let record = self.links.get_mut(&link).and_then(|pair| pair.ends[side].seal(&goodbye));
        if let Some(record) = record {
            self.transmit(link, side, &record);
        }
    }

    /// Ends one end of a link; the link is forgotten when both have ended.
    fn end(&mut self, link: LinkId, side: usize, reason: CloseReason) {
        let Some(pair) = self.links.get_mut(&link) else {
            return;
        };
        if pair.ends[side].is_ended() {
            return;
        }
        let was_up = pair.ends[side].finish();
        let both = pair.ends.iter().all(End::is_ended);
        if was_up {
            self.tell(link, side, LinkEvent::Down { link, reason });
        }
        if both {
            self.links.remove(&link);
        }
    }

    fn tell(&mut self, link: LinkId, side: usize, event: LinkEvent) {
        if let Some(pair) = self.links.get(&link)
            && let Some(node) = self.nodes.get_mut(pair.ends[side].node.0)
        {
            node.events.push_back(event);
        }
    }

    /// Puts one frame on the radio, in segments.
    fn transmit(&mut self, link: LinkId, from: usize, body: &[u8]) {
        // Records and handshake messages are within the limit.
        let frame = frame::encode(body, FRAME_BYTES_MAX).unwrap_or_default();
        for segment in frame.chunks(self.conditions.segment_bytes.max(1)) {
            let Some(pair) = self.links.get_mut(&link) else {
                return;
            };
            let number = pair.ends[from].next_number();
            let mut at = self.now + self.latency();
            if self.dice.per_mille(self.conditions.held_back_per_mille) {
                at += self.conditions.latency_max;
            }
            while self.dice.per_mille(self.conditions.lost_per_mille.min(900)) {
                at += self.conditions.retransmit_after;
            }
            let (to, bytes) = (1 - from, segment.to_vec());
            self.plan(at, Happening::Segment { link, to, number, bytes });
        }
    }

    fn latency(&mut self) -> Duration {
        let (min, max) = (self.conditions.latency_min, self.conditions.latency_max);
        let spread = u64::try_from(max.saturating_sub(min).as_nanos()).unwrap_or(u64::MAX);
        min + Duration::from_nanos(self.dice.below(spread.saturating_add(1)))
    }

    fn plan(&mut self, at: Duration, happening: Happening) {
        self.agenda.insert((at, self.planned), happening);
        self.planned += 1;
    }

    /// Which end of a link that is not over belongs to `node`.
    fn side_of(&self, node: NodeId, link: LinkId) -> Option<usize> {
        let pair = self.links.get(&link)?;
        pair.ends.iter().position(|end| end.node == node && !end.is_ended())
    }
}
