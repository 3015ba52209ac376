//! What the engine asks of its driver.
//!
//! A driver keeps four promises. It carries the outputs out in order, those of one call before
//! those of the next. It applies [`Output::Persist`]s in ascending order, each as one unit, and
//! reports them with [`crate::Input::Persisted`]. It holds back whatever names an `after` until
//! that number is durable, and drops it if the persist fails. And it reads the bytes of a
//! [`Payload::Item`] or [`Output::Publish`] no later than it applies the next persist after the
//! one named, so that no delete overtakes a send.

use crate::input::LinkId;
use crate::wallet::PaymentState;
pub use crate::wallet::{PayError, RefundError, RequestError, SignError, Unable};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use core::ops::Deref;
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::replica::Key;
use hundi_ledger::request::PaymentRequest;

/// One change of what is stored.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Write {
    /// Store an encoded item.
    Item {
        /// Where.
        key: Key,
        /// The item.
        bytes: Vec<u8>,
    },
    /// Forget an item.
    DeleteItem {
        /// Where.
        key: Key,
    },
    /// Store a part of the engine's own state, opaque to the driver and private to this device.
    State {
        /// Where.
        key: Vec<u8>,
        /// The state.
        bytes: Vec<u8>,
    },
    /// Forget a part of the engine's own state.
    DeleteState {
        /// Where.
        key: Vec<u8>,
    },
}

/// What a link carries.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Payload {
    /// This message.
    Message(Vec<u8>),
    /// The byte [`hundi_ledger::sync::TAG_ITEM`], then the item stored under this key. If it is
    /// not stored any more, nothing.
    Item(Key),
}

/// What becomes of a gossiped item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Verdict {
    /// New and certified: forward it.
    Accept,
    /// Known, not yet certified, or not of use here: do not forward it, and blame nobody.
    Ignore,
    /// No honest node forwards this: do not forward it, and count it against the peer.
    Reject,
}

/// Why the engine closes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum CloseReason {
    /// The peer has sent too much that no honest peer sends.
    Misbehaviour,
    /// More links than the engine serves.
    TooManyLinks,
}

/// What became of one published item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Published {
    /// New: held now, and forwarded.
    Taken,
    /// Held already, or older than what is held.
    Known,
    /// No grant or certificate that is held certifies it: publish that first.
    Uncertified,
    /// Certified, but outside what this node carries (decided, beyond the window or the grant).
    NotCarried,
    /// Not an item of this network, or not signed by whom it names.
    Invalid,
    /// The store has failed; nothing is taken.
    Failed,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Answer {
    /// To [`crate::Command::Request`].
    Request(Result<PaymentRequest, RequestError>),
    /// To [`crate::Command::Pay`]: the payment's id.
    Pay(Result<Hash, PayError>),
    /// To [`crate::Command::Refund`]: the refund's id.
    Refund(Result<Hash, RefundError>),
    /// To [`crate::Command::Close`]: the id of the entry.
    Close(Result<Hash, SignError>),
    /// To [`crate::Command::RequestGrant`]: the id of the entry.
    RequestGrant(Result<Hash, SignError>),
    /// To [`crate::Command::Publish`]: what became of each item, in order.
    Publish(Vec<Published>),
}

/// Something that others may want to know.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Event {
    /// A new item is stored under this key.
    ItemNew {
        /// Where.
        key: Key,
    },
    /// Only with [`crate::Config::intake`]: a verified entry of a certified author that no relay
    /// carries (decided, beyond the window, one of too many), but its bank may want. The same one
    /// may come again.
    Intake {
        /// The encoded item.
        bytes: Vec<u8>,
    },
    /// A payment, refund or other own entry is in another state.
    PaymentChanged {
        /// The entry's id.
        id: Hash,
        /// The state it is in now.
        state: PaymentState,
    },
    /// An entry of this device's own key exists that this device did not sign: it has stopped
    /// signing for good and must enrol a new key.
    Stopped,
    /// An author is proven to have contradicted itself.
    Proven {
        /// The author.
        author: AuthorId,
    },
    /// A bank has signed two different records where there may be one. Stored as evidence.
    BankFault {
        /// The id of the record that was held.
        held: Hash,
        /// The record that arrived, as an encoded item.
        arrived: Vec<u8>,
    },
    /// A peer has proved to hold the key of an author.
    LinkProved {
        /// The link.
        link: LinkId,
        /// The author.
        author: AuthorId,
    },
    /// A sync session ended.
    Synced {
        /// The link.
        link: LinkId,
        /// Whether both sides ended with equal fingerprints.
        in_sync: bool,
    },
}

/// One thing to do. `after` is the number of the persist that must be durable first; 0 for none.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Output {
    /// Make these durable, as one unit.
    Persist {
        /// Ascending by one from 1 in the life of an engine.
        number: u64,
        /// What, in order.
        writes: Vec<Write>,
    },
    /// Send on a link.
    Send {
        /// The link.
        link: LinkId,
        /// What must be durable first.
        after: u64,
        /// What to send.
        payload: Payload,
    },
    /// Gossip the item stored under this key.
    Publish {
        /// What must be durable first.
        after: u64,
        /// Which.
        key: Key,
    },
    /// What becomes of a gossiped item.
    GossipVerdict {
        /// What must be durable first.
        after: u64,
        /// As in the input.
        handle: u64,
        /// What becomes of it.
        verdict: Verdict,
    },
    /// Close a link. [`crate::Input::LinkDown`] need not follow.
    CloseLink {
        /// The link.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Answer a command.
    Answer {
        /// What must be durable first.
        after: u64,
        /// As in the input.
        id: u64,
        /// The answer.
        answer: Answer,
    },
    /// Tell whoever listens.
    Event {
        /// What must be durable first.
        after: u64,
        /// What happened.
        event: Event,
    },
    /// Send [`crate::Input::Tick`] at this time, Unix milliseconds, instead of the time said before.
    WakeAt {
        /// When.
        ms: u64,
    },
}

/// What to do next, in order. Its length is bounded by [`crate::limits::OUTPUTS_MAX`], the writes
/// of its one persist by what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[must_use]
pub struct Outputs(pub(crate) Vec<Output>);

impl Outputs {
    /// The outputs.
    pub fn into_inner(self) -> Vec<Output> {
        self.0
    }
}

impl Deref for Outputs {
    type Target = [Output];
    fn deref(&self) -> &[Output] {
        &self.0
    }
}

impl IntoIterator for Outputs {
    type Item = Output;
    type IntoIter = alloc::vec::IntoIter<Output>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
