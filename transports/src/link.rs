//! What a link is, whatever carries it: the words that drivers, sessions and tests share.
//!
//! A link is up from its [`LinkEvent::Up`] to its [`LinkEvent::Down`]; between the two it delivers
//! whole messages in the order in which they were sent. How peers find each other, and what the
//! bytes mean, is left to others.

use core::fmt;
use core::future::Future;

use thiserror::Error;

/// Names one link at one end, for as long as the process runs; never used again. The two ends of a
/// link number it on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "link-{}", self.0)
    }
}

/// The 32 bytes that bind whatever is said on a link to this one link: both ends hold the same
/// value, no other link has it, and nobody outside can predict it.
///
/// Over the secure channel of this crate it is the Noise handshake hash; other links document how
/// they derive an equivalent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandshakeHash(pub [u8; 32]);

impl fmt::Debug for HandshakeHash {
    /// The first four bytes are enough to tell links apart; the whole value keys short ids.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(formatter, "HandshakeHash({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// What both ends know about a link as soon as it is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// The link's name at this end.
    pub link: LinkId,
    /// The value that both ends share and nobody else can predict.
    pub handshake_hash: HandshakeHash,
    /// Whether this end began the link. Exactly one end did.
    pub initiator: bool,
    /// Bytes of the longest message that this link carries, either way.
    pub message_bytes_max: usize,
}

/// Why a link is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum CloseReason {
    /// This end closed it.
    #[error("closed by this end")]
    ClosedHere,
    /// The other end closed it, after its last whole message.
    #[error("closed by the other end")]
    ClosedThere,
    /// It broke, perhaps in the middle of a message; the part is discarded.
    #[error("cut")]
    Cut,
    /// Nothing was heard for too long.
    #[error("nothing heard for too long")]
    Silent,
    /// The other end is no longer among those that may be reached.
    #[error("not on the reach list")]
    NotReachable,
    /// A newer link of the same two peers took its place.
    #[error("replaced by a newer link of the same peers")]
    Replaced,
    /// The other end sent what no honest peer sends: a frame too long, bytes that do not open.
    #[error("the other end broke the link protocol")]
    Misbehaved,
    /// The secure channel has carried as many messages as its keys may.
    #[error("the channel's keys are used up")]
    Exhausted,
    /// The whole transport stopped.
    #[error("the transport stopped")]
    Stopped,
}

/// What a link reports, in order: once `Up`, any number of `Message`, once `Down`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The link is usable from here on.
    Up(LinkInfo),
    /// One whole message arrived.
    Message {
        /// The link that brought it.
        link: LinkId,
        /// The message, 1 to [`LinkInfo::message_bytes_max`] bytes.
        bytes: Vec<u8>,
    },
    /// The link is gone; its id comes no more.
    Down {
        /// The link that ended.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
}

/// Why a message was not taken for sending. That it was taken does not mean that it arrived: only
/// the other end's answer says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// There is no such link (any more). Do not retry on this link; its `Down` says why.
    #[error("no such link")]
    NoLink,
    /// Longer than the link carries. A defect of the caller: split it.
    #[error("message of {bytes} bytes; the link carries at most {bytes_max}")]
    TooLong {
        /// The message's length.
        bytes: usize,
        /// The longest that the link carries.
        bytes_max: usize,
    },
    /// A message has at least one byte. A defect of the caller.
    #[error("an empty message")]
    Empty,
    /// The window is full: the other end is slower than this one. Retry later, or use the form that
    /// waits.
    #[error("the link's window is full")]
    Full,
}

/// Checks what every link demands of a message before it is sent.
///
/// # Errors
/// [`SendError::Empty`] and [`SendError::TooLong`].
pub fn check_message(bytes: &[u8], bytes_max: usize) -> Result<(), SendError> {
    match bytes.len() {
        0 => Err(SendError::Empty),
        length if length > bytes_max => Err(SendError::TooLong { bytes: length, bytes_max }),
        _ => Ok(()),
    }
}

/// One end of a transport as its driver sees it: links come and go as events, messages are sent by
/// link id. Memory and libp2p implement it; the conformance suite is written on it.
pub trait Endpoint: Send {
    /// Sends one message, waiting while the link's window is full.
    ///
    /// # Errors
    /// Every [`SendError`] but `Full`.
    fn send(
        &self,
        link: LinkId,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Sends one message, or says at once why not.
    ///
    /// # Errors
    /// Every [`SendError`].
    fn try_send(&self, link: LinkId, bytes: Vec<u8>) -> Result<(), SendError>;

    /// Closes a link. Both ends see it go down; an unknown link is no error.
    fn close(&self, link: LinkId) -> impl Future<Output = ()> + Send;

    /// The next event, or `None` once the transport stopped. Not calling it is how back-pressure
    /// begins.
    fn next(&mut self) -> impl Future<Output = Option<LinkEvent>> + Send;
}
