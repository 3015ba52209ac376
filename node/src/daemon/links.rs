//! The daemon's links: one sender each, so that a slow peer fills its own queue and nobody else's.

use hundi_engine::LinkId;
use hundi_transport_libp2p as libp2p;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Messages waiting for one peer: two full turns of a sync session. A peer that lets more pile up
/// is let go; it takes up at its next contact.
const QUEUE_MAX: usize = 20_000;

/// A peer, for people.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The link.
    pub link: u64,
    /// The other end.
    pub address: SocketAddr,
    /// Since when.
    pub since: SystemTime,
    /// Whether the last session ended in sync; none before the first.
    pub in_sync: Option<bool>,
}

struct Link {
    queue: mpsc::Sender<Vec<u8>>,
    peer: Peer,
}

/// The links that are up.
pub(super) struct Links {
    transport: libp2p::Handle,
    links: HashMap<LinkId, Link>,
}

impl Links {
    pub(super) fn new(transport: libp2p::Handle) -> Self {
        Self { transport, links: HashMap::new() }
    }

    pub(super) fn up(&mut self, link: LinkId, address: SocketAddr) {
        let (queue, mut inbox) = mpsc::channel::<Vec<u8>>(QUEUE_MAX);
        let transport = self.transport.clone();
        tokio::spawn(async move {
            while let Some(message) = inbox.recv().await {
                let sent = transport.send(hundi_transports::link::LinkId(link.0), message).await;
                if let Err(error) = sent {
                    tracing::debug!(link = link.0, %error, "message not sent");
                    return;
                }
            }
        });
        let peer = Peer { link: link.0, address, since: SystemTime::now(), in_sync: None };
        self.links.insert(link, Link { queue, peer });
    }

    pub(super) fn down(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    /// Queues a message. Returns whether the link has to be let go, because its queue is full.
    pub(super) fn send(&self, link: LinkId, message: Vec<u8>) -> bool {
        let Some(held) = self.links.get(&link) else { return false };
        matches!(held.queue.try_send(message), Err(mpsc::error::TrySendError::Full(_)))
    }

    pub(super) fn synced(&mut self, link: LinkId, in_sync: bool) {
        if let Some(held) = self.links.get_mut(&link) {
            held.peer.in_sync = Some(in_sync);
        }
    }

    pub(super) fn peers(&self) -> Vec<Peer> {
        let mut peers: Vec<Peer> = self.links.values().map(|link| link.peer.clone()).collect();
        peers.sort_unstable_by_key(|peer| peer.link);
        peers
    }
}
