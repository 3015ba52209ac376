//! One connection of a radio, and the link that runs over it.

use crate::ble::contacts::Address;
use crate::ble::limits::FRAGMENT_BYTES_MIN;
use crate::ble::link::{Event, GREETING_BYTES, Link};
use crate::ble::radio::{ConnectionId, Output, Role};
use crate::link::{CloseReason, LinkId};

/// A connection and its link.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: Address,
    pub(super) role: Role,
    pub(super) link: Link,
    /// The link's name, while it is up.
    pub(super) id: Option<LinkId>,
    /// The id under which the other end says it advertises.
    pub(super) greeting: Option<[u8; GREETING_BYTES]>,
    /// Whether it was made to pay.
    pub(super) pays: bool,
    pub(super) bytes_max: usize,
    /// Values that the driver was given and has not reported as sent.
    pub(super) unsent: usize,
    /// Whether the layer above takes no messages at present.
    pub(super) paused: bool,
    /// When the last message went or came.
    pub(super) talked_ms: u64,
    /// A link that ended because its central began anew, and has not been reported.
    replaced: bool,
    /// Whether the link's end was reported.
    pub(super) ended: bool,
    /// Whether the driver was told to end the connection.
    pub(super) dropped: bool,
    /// Whether the connection is gone.
    pub(super) gone: bool,
}

impl Connection {
    pub(super) fn new(now_ms: u64, address: Address, role: Role, link: Link, pays: bool) -> Self {
        Connection {
            address,
            role,
            link,
            id: None,
            greeting: None,
            pays,
            bytes_max: FRAGMENT_BYTES_MIN,
            unsent: 0,
            paused: false,
            talked_ms: now_ms,
            replaced: false,
            ended: false,
            dropped: false,
            gone: false,
        }
    }

    /// The central has begun another link on this connection.
    pub(super) fn begin_anew(&mut self, now_ms: u64, link: Link) {
        self.link = link;
        self.replaced |= self.id.is_some();
        (self.greeting, self.paused, self.talked_ms) = (None, false, now_ms);
        (self.ended, self.dropped) = (false, false);
    }

    /// Whether its events wait for the layer above. One that ends does not wait: there is little left
    /// of it, and it keeps a place.
    pub(super) fn is_held(&self) -> bool {
        self.paused && (self.link.is_open() || self.gone)
    }

    pub(super) fn next_event(&mut self, now_ms: u64) -> Option<Event> {
        if core::mem::take(&mut self.replaced) {
            return Some(Event::Down(CloseReason::Cut));
        }
        let event = self.link.next_event(now_ms);
        self.ended |= matches!(event, Some(Event::Down(_)));
        event
    }

    /// Lets happen what is due; closes a link on which nobody has spoken for long.
    pub(super) fn on_time(&mut self, now_ms: u64, idle_ms: u64) {
        self.link.on_time(now_ms);
        if self.idle_deadline(idle_ms).is_some_and(|at| now_ms >= at) {
            self.link.close(now_ms);
        }
    }

    /// When the link is closed because nobody speaks. That is the central's part; a central that
    /// does not, and only keeps one of the few places, is closed three times as late.
    fn idle_deadline(&self, idle_ms: u64) -> Option<u64> {
        let patience = match self.role {
            Role::Central => idle_ms,
            Role::Peripheral => 3 * idle_ms,
        };
        (self.link.is_open() && !self.paused).then_some(self.talked_ms + patience)
    }

    /// Gives the driver what it takes.
    pub(super) fn transmit(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        unsent_max: usize,
        outputs: &mut Vec<Output>,
    ) {
        while self.unsent < unsent_max && !self.gone {
            let Some(bytes) = self.link.transmit(now_ms, self.bytes_max) else { break };
            self.unsent += 1;
            outputs.push(match self.role {
                Role::Central => Output::Write { connection, bytes },
                Role::Peripheral => Output::Notify { connection, bytes },
            });
        }
    }

    /// When something happens by itself. What is due but cannot leave, because the driver takes
    /// nothing, waits for the driver.
    pub(super) fn deadline(&self, unsent_max: usize, idle_ms: u64) -> Option<u64> {
        if self.gone && self.paused {
            return None;
        }
        let link = if self.unsent < unsent_max || self.gone {
            self.link.deadline()
        } else {
            self.link.end_deadline()
        };
        link.into_iter().chain(self.idle_deadline(idle_ms)).min()
    }
}
