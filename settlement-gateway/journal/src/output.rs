//! What a call to the bank returns: events and records to store, a verdict per item, and
//! notifications.

use crate::account::CustomerId;
use crate::event::Event;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::id::{AuthorId, Hash, PublicKey, RequestId, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::checkpoint::Outcome;

/// What a call returns.
///
/// **The contract of the driver.** `events` and `records` are stored in one unit of work, durably,
/// *before* anything of this value leaves the process: no verdict is answered, no record published
/// and no notification delivered earlier. If storing fails, the bank in memory is ahead of its
/// store: it is dropped and rebuilt from the stored events, and nothing of these outputs is used.
#[must_use = "events must be stored before anything else happens"]
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Outputs {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// One per item of [`crate::input::Input::Submit`], in its order; empty for other inputs.
    pub verdicts: Vec<Verdict>,
    /// Encoded items to publish: grants, checkpoints, freezes, bulletins, certificates, proofs.
    pub records: Vec<Vec<u8>>,
    /// What somebody may want to know.
    pub notifications: Vec<Notification>,
}

impl Outputs {
    /// Adds what the bank did next, for the same unit of work.
    pub fn append(&mut self, next: Self) {
        self.events.extend(next.events);
        self.verdicts.extend(next.verdicts);
        self.records.extend(next.records);
        self.notifications.extend(next.notifications);
    }
}

/// The bank's answer to one submitted item.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Verdict {
    /// The entry has an outcome. It is recorded and repeated for ever (a contested entry gets
    /// another one when its review closes).
    Decided {
        /// The entry.
        entry: Hash,
        /// The outcome.
        outcome: Outcome,
        /// Whether it was known before.
        duplicate: bool,
        /// The encoded proof item, when its author contradicted itself.
        proof: Option<Vec<u8>>,
    },
    /// The entry is durable at the bank and not decided yet. Ask again, or send what is missing.
    Held {
        /// The entry.
        entry: Hash,
        /// What it waits for.
        wants: Wants,
        /// Whether it was known before.
        duplicate: bool,
    },
    /// A receipt, proof or record of this bank was taken, or was known already.
    Taken {
        /// Its id.
        id: Hash,
        /// Whether it was known before.
        duplicate: bool,
    },
    /// Not recorded. Submit it again later.
    Later(Later),
    /// These bytes will never be anything else: do not submit them again. Says nothing about
    /// other bytes with the same author and sequence.
    Rejected(Rejected),
}

/// What a durable entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Wants {
    /// The payee's receipt, which discloses the key that fits.
    Disclosure,
    /// The original of a refund, or a balance to return it from.
    Original,
}

/// Why an item is not recorded now.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Later {
    /// It belongs to the author of another bank, its only judge.
    OtherBank,
    /// The author is not enrolled here.
    AuthorUnknown,
    /// The author has no grant of that serial.
    GrantUnknown,
    /// A receipt about an entry that is not here: send the entry along.
    EntryUnknown,
    /// A bound of [`crate::limits`] is reached; with the encoded proof when the author's
    /// contradiction is the reason.
    Capacity {
        /// The proof item.
        proof: Option<Vec<u8>>,
    },
    /// A bank record whose certificate is not installed.
    CertificateUnknown,
    /// The bank has stopped because of a fault.
    Stopped,
}

/// Why bytes are refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Rejected {
    /// Not the encoding of an item.
    Malformed,
    /// Not signed by whom it names, or signed by somebody not entitled to.
    Signature,
    /// A receipt that this bank cannot read.
    Unreadable,
    /// A receipt of somebody whom the entry does not pay, or with a key that does not open it.
    NotPayee,
}

/// Something that happened, for WebSocket rooms, webhooks and people. Ids and amounts only.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Notification {
    /// An entry got an outcome.
    Outcome {
        /// The entry.
        entry: Hash,
        /// Its author.
        author: AuthorId,
        /// Its sequence number.
        sequence: u32,
        /// The outcome.
        outcome: Outcome,
        /// Whom it pays, if it opened.
        payee: Option<AuthorId>,
        /// Which request it answers, for a payment.
        request: Option<RequestId>,
        /// The amount it moves.
        amount: Amount,
        /// The currency.
        currency: Currency,
    },
    /// An author asks for its next grant; the bank's policy answers with
    /// [`crate::input::Input::IssueGrant`] or not at all.
    GrantRequested {
        /// The author.
        author: PublicKey,
        /// The serial that would follow.
        serial: Serial,
        /// The limit asked for.
        limit: Amount,
    },
    /// An author contradicted itself and a review case opened.
    CaseOpened {
        /// The author.
        author: PublicKey,
        /// Its customer.
        customer: CustomerId,
    },
    /// A review case closed.
    CaseClosed {
        /// The author.
        author: PublicKey,
    },
    /// Money was paid for an author of this bank that is not enrolled.
    InSuspense {
        /// The author.
        author: AuthorId,
        /// How much.
        amount: Amount,
    },
    /// The bank has stopped signing: a record with its signature does not agree with its books.
    Stopped,
}
