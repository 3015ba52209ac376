//! What a driver tells the engine: links, bytes that arrived, the store's answers, the time, and
//! what a person or a program commands. Everything here serialises and holds no key, so that a
//! run is a file that can be replayed.

use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::Hash;
use hundi_ledger::limits::MEMO_BYTES_MAX;
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::request::{HINT_BYTES_MAX, HINTS_MAX, PaymentRequest};

/// A live link, numbered by the driver. A number is never used again for another link.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct LinkId(pub u64);

/// What a link is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum LinkKind {
    /// Two nodes of the mesh, who tell each other what they hold and push what is fresh.
    Mesh,
    /// The same, and the link's transport also carries [`crate::Output::Publish`] to this peer, so
    /// that fresh items need not be pushed on the link itself.
    Gossip,
    /// A payer with the payee whose request it was shown: offers and their answers, nothing else.
    /// Neither end says who it is, beyond what the payment says.
    Payment,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Input {
    /// An authenticated, encrypted link is up.
    LinkUp {
        /// The link.
        link: LinkId,
        /// What both ends derive from the link's handshake and nobody else knows or chooses.
        handshake_hash: [u8; 32],
        /// Whether this end opened the link; the two ends must disagree.
        initiator: bool,
        /// What it is there for.
        kind: LinkKind,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// A message arrived on a link.
    Message {
        /// The link.
        link: LinkId,
        /// The message, whole.
        bytes: Vec<u8>,
    },
    /// A gossiped item arrived and waits for a verdict before it is forwarded.
    Gossip {
        /// Names it in [`crate::Output::GossipVerdict`].
        handle: u64,
        /// One encoded item.
        bytes: Vec<u8>,
    },
    /// Every [`crate::Output::Persist`] up to this number is durable.
    Persisted {
        /// The number.
        number: u64,
    },
    /// A persist failed. From here on the engine neither signs nor sends nor stores: reopen the
    /// store and load a new engine from it.
    PersistFailed,
    /// Time has passed: the moment of the last [`crate::Output::WakeAt`], or any other.
    Tick,
    /// Somebody entitled to use this device wants something.
    Command {
        /// Names it in [`crate::Output::Answer`].
        id: u64,
        /// What.
        command: Command,
    },
}

/// What a person or a program asks of the device.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Command {
    /// Ask for money: makes a payment request to show.
    Request {
        /// In this currency; none takes that of the author's grants.
        currency: Option<Currency>,
        /// This much; none lets the payer say.
        amount: Option<Amount>,
        /// What for.
        memo: Text<MEMO_BYTES_MAX>,
        /// Seconds from now until it is not accepted any more.
        expires_s: u32,
        /// Whether many payments may answer it (a poster on the wall) and not one alone.
        standing: bool,
        /// Addresses at which this node can be reached on the local network.
        hints: List<Text<HINT_BYTES_MAX>, HINTS_MAX>,
    },
    /// Pay a request. Paying one request again returns the payment that was made for it.
    Pay {
        /// The request.
        request: PaymentRequest,
        /// How much, where the request leaves it open.
        amount: Option<Amount>,
        /// A word to the payee; none repeats the request's.
        memo: Option<Text<MEMO_BYTES_MAX>>,
        /// What for, by the network's numbering; 0 when not stated.
        category: u8,
        /// Pay although a payment was made for this request before (a standing request).
        again: bool,
    },
    /// Return a received payment, or part of it, to its payer; once.
    Refund {
        /// The payment's id, as in the history.
        payment: Hash,
        /// How much; none returns all.
        sum: Option<Amount>,
        /// A word to the payer.
        memo: Text<MEMO_BYTES_MAX>,
    },
    /// End the grant in use: the bank returns what was not promised.
    Close,
    /// Ask the bank, over the mesh, for the next grant.
    RequestGrant {
        /// The limit asked for.
        limit: Amount,
    },
    /// Take items (from a file, or from the bank that this node belongs to) as if they had arrived
    /// on a link, and forward what is new.
    Publish {
        /// Encoded items, at most [`crate::limits::PUBLISH_ITEMS_MAX`]; others are not looked at.
        items: Vec<Vec<u8>>,
    },
}
