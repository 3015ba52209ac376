//! The daemon's links: one sender each, so that a slow peer fills its own queue and nobody else's.

use hundi_engine::LinkId;
use hundi_transport_ble as ble;
use hundi_transport_libp2p as libp2p;
use hundi_transports::link as wire;
use std::collections::HashMap;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Messages waiting for one peer: two full turns of a sync session. A peer that lets more pile up
/// is let go; it takes up at its next contact.
const QUEUE_MAX: usize = 20_000;

/// Which transport carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    Libp2p,
    Bluetooth,
}

impl Carrier {
    /// The engine's number of a link: the lowest bit says what carries it, since each transport
    /// numbers its own.
    pub(super) fn number(self, link: wire::LinkId) -> LinkId {
        LinkId(link.0 << 1 | u64::from(self == Carrier::Bluetooth))
    }

    fn of(link: LinkId) -> (Self, wire::LinkId) {
        let carrier = if link.0 & 1 == 0 { Carrier::Libp2p } else { Carrier::Bluetooth };
        (carrier, wire::LinkId(link.0 >> 1))
    }
}

/// Whatever carries links.
#[derive(Clone, Debug)]
pub(super) struct Transports {
    pub(super) libp2p: libp2p::Handle,
    pub(super) bluetooth: Option<ble::Handle>,
}

impl Transports {
    async fn send(&self, link: LinkId, message: Vec<u8>) -> Result<(), wire::SendError> {
        match (Carrier::of(link), &self.bluetooth) {
            ((Carrier::Libp2p, link), _) => self.libp2p.send(link, message).await,
            ((Carrier::Bluetooth, link), Some(bluetooth)) => bluetooth.send(link, message).await,
            ((Carrier::Bluetooth, _), None) => Err(wire::SendError::NoLink),
        }
    }

    /// Closes a link, whatever carries it.
    pub(super) async fn close(&self, link: LinkId) {
        match (Carrier::of(link), &self.bluetooth) {
            ((Carrier::Libp2p, link), _) => self.libp2p.close(link).await,
            ((Carrier::Bluetooth, link), Some(bluetooth)) => bluetooth.close(link).await,
            ((Carrier::Bluetooth, _), None) => {}
        }
    }
}

/// A peer, for people.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The link.
    pub link: u64,
    /// The other end: `IP:PORT`, or `bluetooth`, whose addresses say nothing.
    pub address: String,
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
    transports: Transports,
    links: HashMap<LinkId, Link>,
}

impl Links {
    pub(super) fn new(transports: Transports) -> Self {
        Self { transports, links: HashMap::new() }
    }

    pub(super) fn up(&mut self, link: LinkId, address: String) {
        let (queue, mut inbox) = mpsc::channel::<Vec<u8>>(QUEUE_MAX);
        let transports = self.transports.clone();
        tokio::spawn(async move {
            while let Some(message) = inbox.recv().await {
                if let Err(error) = transports.send(link, message).await {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_two_transports_have_different_numbers() {
        for carrier in [Carrier::Libp2p, Carrier::Bluetooth] {
            for link in [0, 1, 77] {
                let link = wire::LinkId(link);
                assert_eq!(Carrier::of(carrier.number(link)), (carrier, link));
            }
        }
    }
}
