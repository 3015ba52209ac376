//! Which streams become links, and what follows from a link's end.
//!
//! At most one link per peer, and only with peers that may be reached. The exchange with the other
//! end is the task's.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use hundi_transports::link::{CloseReason, LinkId};
use hundi_transports::rate::Bucket;
use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::sync::{mpsc, watch};

use crate::limits::{GOSSIP_REJECTS, SEND_WINDOW_MESSAGES};
use crate::opening::Admission;
use crate::task::{Admitted, Judgement, Outcome};

use super::{Link, Owner, Phase, Waiting, jitter, order};

impl Owner {
    /// Decides whether a stream becomes the link with its peer.
    pub(super) fn judge(&mut self, waiting: Waiting) {
        let connection = self.connections.get(&waiting.connection);
        let Some(connection) = connection.filter(|connection| !connection.closed) else {
            // The connection is gone; its task sees that from the answer that never comes.
            return;
        };
        let peer = connection.peer;
        let stated = waiting.listening.iter().copied();
        let dialled = connection.dial.map(|dial| dial.address);
        let addresses: BTreeSet<SocketAddr> = stated.chain(dialled).collect();
        let refusal = if !self.targets.is_reachable(addresses.iter()) {
            Some(Admission::NotReachable)
        } else if let Some(older) = self.links.get(&peer) {
            if self.me.to_bytes() > peer.to_bytes() {
                // The other end decides, and it wants this one: it has lost the older link.
                order(older, CloseReason::Replaced);
                self.swarm.close_connection(older.connection);
                self.waiting.insert(peer, waiting);
                return;
            }
            Some(Admission::Duplicate)
        } else if self.links.len() >= self.limits.links as usize || self.stopping.is_some() {
            Some(Admission::Full)
        } else {
            None
        };
        let judgement = match refusal {
            Some(admission) => Judgement::Refuse(admission),
            None => Judgement::Admit(self.admit(peer, waiting.connection, addresses)),
        };
        // If the task is gone, its report of the end is on the way.
        let _ = waiting.reply.send(judgement);
    }

    fn admit(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        addresses: BTreeSet<SocketAddr>,
    ) -> Admitted {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let (sender, window) = mpsc::channel(SEND_WINDOW_MESSAGES);
        let (orders_sender, orders) = watch::channel(None);
        self.windows.insert(link, sender);
        for address in &addresses {
            self.targets.linked(*address);
        }
        let now = self.now();
        let gossip = Bucket::new(self.limits.gossip_per_link, now);
        let rejects = Bucket::new(GOSSIP_REJECTS, now);
        let (orders_kept, up) = (orders_sender, false);
        let kept = Link { link, connection, addresses, orders: orders_kept, up, gossip, rejects };
        self.links.insert(peer, kept);
        Admitted { link, window, orders }
    }

    pub(super) fn on_ended(&mut self, id: ConnectionId, outcome: Outcome) {
        self.swarm.close_connection(id);
        let was_link = self.forget_link(id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let (peer, dial) = (connection.peer, connection.dial);
        connection.phase = Phase::Done;
        if connection.closed {
            self.connections.remove(&id);
        }
        match (outcome, dial) {
            (Outcome::WasLink(_), _) | (_, None) => {}
            (Outcome::Refused(Admission::Duplicate), Some(dial)) => {
                match self.links.get_mut(&peer) {
                    Some(link) => {
                        link.addresses.insert(dial.address);
                        self.targets.linked(dial.address);
                    }
                    None => self.targets.failed(self.now(), dial.address, jitter()),
                }
            }
            (Outcome::Refused(admission), Some(dial)) => {
                let reason = match admission {
                    Admission::NotReachable => "out of reach",
                    Admission::Full => "no more links",
                    Admission::Accept | Admission::Duplicate => "refused",
                };
                self.dial_failed(dial, reason);
            }
            (Outcome::Failed, Some(dial)) => self.dial_failed(dial, "the opening exchange broke"),
        }
        if was_link && let Some(waiting) = self.waiting.remove(&peer) {
            self.judge(waiting);
        }
    }

    /// Forgets the link of a connection, if it has one.
    fn forget_link(&mut self, id: ConnectionId) -> bool {
        let found = self.links.iter().find(|(_, link)| link.connection == id);
        let Some(peer) = found.map(|(peer, _)| *peer) else {
            return false;
        };
        if let Some(link) = self.links.remove(&peer) {
            self.windows.remove(link.link);
            let now = self.now();
            for address in link.addresses {
                self.targets.lost(now, address, jitter());
            }
        }
        true
    }
}
