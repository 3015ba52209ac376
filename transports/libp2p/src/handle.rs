//! The driver's side: a handle that can be cloned, and the receiver of events.
//!
//! Messages go straight into their link's window; everything else is a command to the owner task.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use hundi_transports::limits::MESSAGE_BYTES_MAX;
use hundi_transports::link::{LinkId, SendError, check_message};
use tokio::sync::{mpsc, oneshot};

use crate::config::ReachList;
use crate::event::{DialError, Event, MessageId, PublishError, SetReachError, Verdict};
use crate::limits::{GOSSIP_BYTES_MAX, REACH_MAX};

/// What the owner task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Dial { address: SocketAddr, reply: oneshot::Sender<Result<(), DialError>> },
    Close { link: LinkId },
    Publish { bytes: Vec<u8>, reply: oneshot::Sender<Result<MessageId, PublishError>> },
    Validate { message: MessageId, verdict: Verdict },
    SetReach { reach: Option<ReachList>, reply: oneshot::Sender<()> },
    Stop,
}

/// The send windows of the links that are up. Written when a link comes or goes, read by senders;
/// never held across an await.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows(Arc<RwLock<HashMap<LinkId, mpsc::Sender<Vec<u8>>>>>);

impl Windows {
    pub(crate) fn insert(&self, link: LinkId, window: mpsc::Sender<Vec<u8>>) {
        self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(link, window);
    }

    pub(crate) fn remove(&self, link: LinkId) {
        self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&link);
    }

    fn get(&self, link: LinkId) -> Option<mpsc::Sender<Vec<u8>>> {
        self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&link).cloned()
    }
}

/// Asks the libp2p side to do things. Cheap to clone; the transport stops when [`Handle::stop`] is
/// called or every handle is gone.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    windows: Windows,
    peer: String,
}

impl Handle {
    pub(crate) fn new(commands: mpsc::Sender<Command>, windows: Windows, peer: String) -> Self {
        Handle { commands, windows, peer }
    }

    /// This node's libp2p peer id, fresh at every start; for logs only.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Dials an address once, whoever listens there. The outcome is an event:
    /// [`Event::LinkUp`] or [`Event::DialFailed`]. An address that already has a link gets no
    /// second one and no event.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn dial(&self, address: SocketAddr) -> Result<(), DialError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Dial { address, reply };
        self.commands.send(command).await.map_err(|_| DialError::Stopped)?;
        answer.await.map_err(|_| DialError::Stopped)?
    }

    /// Sends a message on a link; waits while the link's window is full. That it returns does not
    /// mean that the message arrived.
    ///
    /// # Errors
    /// `NoLink`, `TooLong`, `Empty`.
    pub async fn send(&self, link: LinkId, bytes: Vec<u8>) -> Result<(), SendError> {
        check_message(&bytes, MESSAGE_BYTES_MAX)?;
        let window = self.windows.get(link).ok_or(SendError::NoLink)?;
        window.send(bytes).await.map_err(|_| SendError::NoLink)
    }

    /// Sends a message on a link, or says at once why not.
    ///
    /// # Errors
    /// `NoLink`, `TooLong`, `Empty`, `Full`.
    pub fn try_send(&self, link: LinkId, bytes: Vec<u8>) -> Result<(), SendError> {
        check_message(&bytes, MESSAGE_BYTES_MAX)?;
        let window = self.windows.get(link).ok_or(SendError::NoLink)?;
        window.try_send(bytes).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::NoLink,
        })
    }

    /// Waits until the link's window has room for one message, for callers of
    /// [`Handle::try_send`]. Another sender may take the room first.
    ///
    /// # Errors
    /// `NoLink`.
    pub async fn writable(&self, link: LinkId) -> Result<(), SendError> {
        let window = self.windows.get(link).ok_or(SendError::NoLink)?;
        window.reserve().await.map(drop).map_err(|_| SendError::NoLink)
    }

    /// Closes a link: what was accepted for sending goes out first, within
    /// [`crate::limits::GOODBYE_TIMEOUT`]. Its [`Event::LinkDown`] follows. An unknown link is no
    /// error.
    pub async fn close(&self, link: LinkId) {
        // A stopped transport has closed every link.
        let _ = self.commands.send(Command::Close { link }).await;
    }

    /// Publishes a gossip message to all linked peers. A peer whose link came up a moment ago may
    /// not be known to listen yet, here or further on, and hears nothing: gossip is for speed, and
    /// the session that a new link begins with is what brings everything.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish(&self, bytes: Vec<u8>) -> Result<MessageId, PublishError> {
        if bytes.len() > GOSSIP_BYTES_MAX {
            let (bytes, bytes_max) = (bytes.len(), GOSSIP_BYTES_MAX);
            return Err(PublishError::TooLong { bytes, bytes_max });
        }
        let (reply, answer) = oneshot::channel();
        let command = Command::Publish { bytes, reply };
        self.commands.send(command).await.map_err(|_| PublishError::Stopped)?;
        answer.await.map_err(|_| PublishError::Stopped)?
    }

    /// Answers an [`Event::Gossip`]. A message that gets no answer goes no further; a late or
    /// repeated answer does nothing.
    pub async fn validate(&self, message: MessageId, verdict: Verdict) {
        // A stopped transport forwards nothing.
        let _ = self.commands.send(Command::Validate { message, verdict }).await;
    }

    /// Replaces the reach list, or removes it. When this returns, links that are no longer
    /// reachable are being closed (their [`Event::LinkDown`] follows at once) and new addresses are
    /// being dialled.
    ///
    /// # Errors
    /// [`SetReachError`].
    pub async fn set_reach(&self, reach: Option<ReachList>) -> Result<(), SetReachError> {
        let addresses = reach.as_ref().map_or(0, ReachList::len);
        if addresses > REACH_MAX {
            return Err(SetReachError::TooLong { addresses, addresses_max: REACH_MAX });
        }
        let (reply, answer) = oneshot::channel();
        let command = Command::SetReach { reach, reply };
        self.commands.send(command).await.map_err(|_| SetReachError::Stopped)?;
        answer.await.map_err(|_| SetReachError::Stopped)
    }

    /// Stops: closes all links with a goodbye. The receiver of events ends after the last one.
    pub async fn stop(&self) {
        // Already stopped.
        let _ = self.commands.send(Command::Stop).await;
    }
}

/// The receiver of events. Not reading it is back-pressure: links stop reading too.
#[derive(Debug)]
pub struct Events(pub(crate) mpsc::Receiver<Event>);

impl Events {
    /// The next event, or `None` after the transport stopped.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }

    /// The next event if it is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.0.try_recv().ok()
    }
}
