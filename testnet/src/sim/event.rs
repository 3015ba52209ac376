//! What can happen in a run. Events are plain data: their bytes go into the trace, and a recorded
//! run is a list of them.

use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::request::PaymentRequest;

/// One thing that happens at its time. Nodes, banks and links are named by number.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Event {
    /// A node's radio listens for others.
    Scan { node: u32 },
    /// The handshake of a link is done at one end (0 opened it).
    LinkUp { link: u64, end: u8 },
    /// The two ends of a link part.
    LinkEnds { link: u64 },
    /// A frame arrives at one end of a link.
    Frame { link: u64, end: u8, bytes: Vec<u8> },
    /// A gossiped item arrives at one end of a link.
    Gossip { link: u64, end: u8, bytes: Vec<u8> },
    /// A device asked to be woken.
    Wake { node: u32, life: u32 },
    /// A device's disk has something durable.
    Synced { node: u32, life: u32 },
    /// A person has a moment.
    Person { node: u32 },
    /// A payer has read a payee's request.
    Shown { payer: u32, payee: u32, request: PaymentRequest },
    /// A device that was down starts.
    Restart { node: u32 },
    /// A fault strikes: its kind, the how manieth of it, and how often it has waited for a device
    /// in the state that it is to meet.
    Fault { kind: u8, count: u32, waited: u32 },
    /// A fault passes.
    Recovers { kind: u8, node: u32 },
    /// What a gateway has gathered goes to its bank.
    Submit { site: u32 },
    /// A gateway looks at everything that its node holds.
    Rescan { site: u32 },
    /// The bank's disk has something durable.
    BankSynced { bank: u32, life: u32 },
    /// The bank does what is due.
    BankTick { bank: u32 },
    /// The bank signs the time.
    Bulletin { bank: u32 },
    /// The bank answers a request for a grant.
    Renew { bank: u32, author: [u8; 32] },
    /// Somebody looks into why a bank has stopped.
    Operator { bank: u32 },
    /// An adversary has a moment.
    Scheme { node: u32 },
    /// The checkers look at everything.
    Inspect,
}
