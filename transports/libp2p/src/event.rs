//! What the libp2p side reports to its driver, and the answers it expects.

use core::fmt;
use std::net::SocketAddr;

use hundi_transports::link::{CloseReason, LinkId, LinkInfo};
use thiserror::Error;

/// Names one gossip message everywhere: the BLAKE3 hash of its bytes, so that copies collapse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 32]);

impl MessageId {
    /// The id of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        MessageId(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(formatter, "MessageId({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// What the libp2p side reports. For each link: once `LinkUp`, any number of `Message` and
/// `Gossip`, once `LinkDown`.
#[derive(Debug)]
pub enum Event {
    /// This node can be dialled here.
    Listening {
        /// The address, with the port that was taken.
        address: SocketAddr,
    },
    /// This node can no longer be dialled here: the interface went away.
    ListeningStopped {
        /// The address.
        address: SocketAddr,
    },
    /// A link is usable.
    LinkUp {
        /// Its id, its handshake hash, who began it, the longest message.
        info: LinkInfo,
        /// The address that was dialled, or from which the other end dialled.
        remote: SocketAddr,
        /// The addresses that the other end says it listens on.
        listening: Vec<SocketAddr>,
    },
    /// A whole message arrived on a link.
    Message {
        /// The link.
        link: LinkId,
        /// The message, never empty.
        bytes: Vec<u8>,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// A gossip message arrived for the first time. It goes no further before
    /// [`crate::Handle::validate`] accepts it.
    Gossip {
        /// Its name for `validate`.
        message: MessageId,
        /// The link of the peer that brought it, if it is still up.
        link: Option<LinkId>,
        /// The message.
        bytes: Vec<u8>,
    },
    /// An address given to [`crate::Handle::dial`] brought no link.
    DialFailed {
        /// The address.
        address: SocketAddr,
        /// Why, for a person.
        reason: String,
    },
}

/// The driver's verdict on a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New and good: forward it.
    Accept,
    /// Known, or not judged yet: do not forward it; nobody is at fault.
    Ignore,
    /// No honest peer forwards this: do not forward it and count it against the peer.
    Reject,
}

/// Why an address is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DialError {
    /// There is a reach list and the address is not on it.
    #[error("{address} is not on the reach list")]
    NotReachable {
        /// The address.
        address: SocketAddr,
    },
    /// The libp2p side stopped.
    #[error("the transport stopped")]
    Stopped,
}

/// Why a gossip message was not published. It was heard by nobody.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// Longer than gossip carries: use links.
    #[error("gossip of {bytes} bytes; at most {bytes_max} are carried")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The same bytes were published or received a short while ago: nothing to do.
    #[error("already published")]
    Known,
    /// Nobody is there to hear it: reconciliation brings it to whoever comes.
    #[error("no peers")]
    NoPeers,
    /// Queues to all peers are full: reconciliation brings it.
    #[error("all peers are busy")]
    Busy,
    /// The libp2p side stopped.
    #[error("the transport stopped")]
    Stopped,
}

/// Why a reach list was not taken; the old one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SetReachError {
    /// Longer than this node keeps in contact with.
    #[error("a reach list of {addresses} addresses; at most {addresses_max} are kept")]
    TooLong {
        /// Its length.
        addresses: usize,
        /// The limit.
        addresses_max: usize,
    },
    /// The libp2p side stopped.
    #[error("the transport stopped")]
    Stopped,
}
