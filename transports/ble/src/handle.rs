//! The driver's side: a handle that can be cloned, and the receiver of events.
//!
//! Messages go straight into their link's window; everything else is a command to the owner task.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use hundi_transports::ble::hint::Session;
use hundi_transports::channel::LinkKey;
use hundi_transports::limits::MESSAGE_BYTES_MAX;
use hundi_transports::link::{LinkId, SendError, check_message};
use thiserror::Error;
use tokio::sync::{Notify, mpsc};

use crate::event::Event;

/// What the owner task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Hold([u8; 32]),
    Await(Option<u32>),
    Invite(Option<(Session, LinkKey)>),
    Pay { session: Session, first: Vec<u8>, within_ms: u64 },
    StopPaying,
    Close { link: LinkId },
    Stop,
}

/// Why the Bluetooth side was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AskError {
    /// It has stopped.
    #[error("the transport stopped")]
    Stopped,
}

/// The send windows of the links that are up. Written when a link comes or goes, read by senders;
/// never held across an await.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows {
    links: Arc<RwLock<HashMap<LinkId, mpsc::Sender<Vec<u8>>>>>,
    /// Woken when something was put into a window.
    pub(crate) filled: Arc<Notify>,
}

impl Windows {
    pub(crate) fn insert(&self, link: LinkId, window: mpsc::Sender<Vec<u8>>) {
        self.links.write().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(link, window);
    }

    pub(crate) fn remove(&self, link: LinkId) {
        self.links.write().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&link);
    }

    fn get(&self, link: LinkId) -> Option<mpsc::Sender<Vec<u8>>> {
        self.links.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&link).cloned()
    }
}

/// Asks the Bluetooth side to do things. Cheap to clone; the transport stops when [`Handle::stop`]
/// is called or every handle is gone.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    windows: Windows,
}

impl Handle {
    pub(crate) fn new(commands: mpsc::Sender<Command>, windows: Windows) -> Self {
        Handle { commands, windows }
    }

    /// What this node holds has changed; 32 bytes that stand for it. Nodes that hold the same leave
    /// each other alone.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn hold(&self, held: [u8; 32]) -> Result<(), AskError> {
        self.ask(Command::Hold(held)).await
    }

    /// The number of the newest payment of this device that has no answer yet, if there is one:
    /// nodes that hold the same are then asked for it, too, and for a newer one anew.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn await_answer(&self, newest: Option<u32>) -> Result<(), AskError> {
        self.ask(Command::Await(newest)).await
    }

    /// Shows a session, whose payer is awaited, in place of the node; or, with `None`, no longer.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn invite(&self, session: Option<(Session, LinkKey)>) -> Result<(), AskError> {
        self.ask(Command::Invite(session)).await
    }

    /// Looks for a payee for so long and gives it the first message, as often as it takes until it
    /// has answered. The message must be durable: it may have arrived whatever happens. The answer
    /// is the first message of the link; without one [`Event::NoAnswer`] comes.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn pay(
        &self,
        session: Session,
        first: Vec<u8>,
        within_ms: u64,
    ) -> Result<(), AskError> {
        self.ask(Command::Pay { session, first, within_ms }).await
    }

    /// The payer no longer waits. What has arrived has arrived.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn stop_paying(&self) -> Result<(), AskError> {
        self.ask(Command::StopPaying).await
    }

    /// Sends a message on a link; waits while the link's window is full. That it returns does not
    /// mean that the message arrived.
    ///
    /// # Errors
    /// `NoLink`, `TooLong`, `Empty`.
    pub async fn send(&self, link: LinkId, bytes: Vec<u8>) -> Result<(), SendError> {
        check_message(&bytes, MESSAGE_BYTES_MAX)?;
        let window = self.windows.get(link).ok_or(SendError::NoLink)?;
        window.send(bytes).await.map_err(|_| SendError::NoLink)?;
        self.windows.filled.notify_one();
        Ok(())
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
        })?;
        self.windows.filled.notify_one();
        Ok(())
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

    /// Closes a link: what was accepted for sending goes out first. Its `Down` follows. An unknown
    /// link is no error.
    pub async fn close(&self, link: LinkId) {
        // A stopped transport has closed every link.
        let _ = self.ask(Command::Close { link }).await;
    }

    /// Stops: closes all links with a goodbye. The receiver of events ends after the last one.
    pub async fn stop(&self) {
        // Already stopped.
        let _ = self.ask(Command::Stop).await;
    }

    async fn ask(&self, command: Command) -> Result<(), AskError> {
        self.commands.send(command).await.map_err(|_| AskError::Stopped)
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
