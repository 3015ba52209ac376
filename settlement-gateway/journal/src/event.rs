//! Events: the only thing that is stored, and the only thing that changes the bank's state. Each
//! carries its transactions, so that an auditor can add up the books from the events alone.
//!
//! The hash chain over the events is the journal hash. It covers an entry's header, which commits
//! to the sealed body, and not the body itself: a body may be erased after its retention term and
//! the chain still holds.

use crate::account::{CustomerId, Party};
use crate::limits::{EVENT_BYTES_MAX, TRANSACTIONS_PER_EVENT_MAX};
use crate::state::{Opened, Source};
use crate::transaction::Transaction;
use alloc::boxed::Box;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::codec::{self, DecodeError};
use hundi_ledger::id::{Hash, PublicKey, SealingKey, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::entry::SignedHeader;
use hundi_ledger::record::freeze::FreezeReason;
use hundi_ledger::record::grant::Grant;

const CONTEXT: &str = "hundi v1 journal event";

/// One thing that happened at the bank.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Event {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When it was decided by the bank's clock, Unix seconds.
    pub at: u64,
    /// What happened.
    pub change: Change,
    /// What it posts to the books.
    pub transactions: Vec<Transaction>,
}

/// What happened. Authors are keys: all are of this bank.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Change {
    /// A certificate of this bank was installed.
    CertificateInstalled {
        /// The encoded record without item tag.
        record: Vec<u8>,
    },
    /// A customer was opened.
    CustomerOpened {
        /// The customer.
        customer: CustomerId,
    },
    /// Two customers were linked: no guarantee between them.
    Linked {
        /// One.
        a: CustomerId,
        /// The other.
        b: CustomerId,
    },
    /// A key was enrolled as an author.
    Enrolled {
        /// The key.
        author: PublicKey,
        /// Whose it is.
        customer: CustomerId,
        /// Its X25519 key.
        sealing: SealingKey,
        /// Its one currency.
        currency: Currency,
    },
    /// A grant was signed and its reserve funded. The verified display name is not kept here.
    GrantIssued {
        /// The grant, without display name.
        grant: Box<Grant>,
        /// The id of the signed record.
        id: Hash,
        /// Where the reserve came from.
        source: Source,
    },
    /// Money came, went or was set aside at an operator's request: transactions only.
    Operated,
    /// The bank gave up a claim on an offender.
    WrittenOff {
        /// The offender.
        customer: CustomerId,
        /// The currency.
        currency: Currency,
        /// How much.
        amount: Amount,
    },
    /// An offender paid.
    Recovered {
        /// The offender.
        customer: CustomerId,
        /// The currency.
        currency: Currency,
        /// How much.
        amount: Amount,
    },
    /// A header became known from a proof, without its body.
    HeaderReceived {
        /// The header.
        header: SignedHeader,
    },
    /// An entry with its body was made durable: from now on it is *submitted*.
    EntryReceived {
        /// The header.
        header: SignedHeader,
        /// Hash of the complete bytes as received.
        bytes: Hash,
        /// The sealed body; empty once it has been erased.
        body: Vec<u8>,
    },
    /// A receipt came before its entry and waits.
    ReceiptWaiting {
        /// The entry that it is about.
        entry: Hash,
        /// The signer's key and bank are inside.
        record: Vec<u8>,
        /// The receipt's id.
        id: Hash,
        /// Who signed it.
        signer: hundi_ledger::id::AuthorId,
    },
    /// A receipt or signed refusal of an entry's payee was taken.
    ReceiptTaken {
        /// The entry.
        entry: Hash,
        /// The receipt's id.
        id: Hash,
        /// Whether it refuses.
        refused: bool,
        /// The highest epoch of this bank whose freezes the payee held in full.
        freezes_epoch: u32,
        /// The encoded record without item tag; empty if it had waited.
        record: Vec<u8>,
    },
    /// A body opened.
    EntryOpened {
        /// The entry.
        entry: Hash,
        /// What it says.
        opened: Opened,
    },
    /// Headers of an author contradict each other; the first time with the proof.
    Contradicted {
        /// The author.
        author: PublicKey,
        /// The encoded proof without item tag, when it is the first.
        proof: Option<Vec<u8>>,
        /// New lowest starts among the contradicting headers, per grant.
        lowest: Vec<(Serial, Amount)>,
    },
    /// An author was frozen.
    Frozen {
        /// The author.
        author: PublicKey,
        /// The epoch from which payees know.
        epoch: u32,
        /// Why.
        reason: FreezeReason,
        /// The id of the signed record.
        id: Hash,
    },
    /// An entry got an outcome, or a new one.
    Decided {
        /// The entry.
        entry: Hash,
        /// The outcome.
        outcome: Outcome,
        /// What was paid under the entry's grant by it.
        paid: Amount,
    },
    /// A settled refund reduced its original.
    Refunded {
        /// The original.
        original: Hash,
        /// The refund.
        refund: Hash,
        /// The sum returned.
        sum: Amount,
    },
    /// A payee refused what was posted already and its balance does not hold the sum yet.
    ReturnDue {
        /// The entry.
        entry: Hash,
    },
    /// A refund waits for its original or for a balance.
    RefundWaiting {
        /// The refund.
        entry: Hash,
        /// When it lapses, Unix seconds.
        until: u64,
    },
    /// An author's close ended a grant at a final total; the rest returned.
    Closed {
        /// The author.
        author: PublicKey,
        /// The grant.
        serial: Serial,
        /// What returned.
        released: Amount,
    },
    /// A grant's claim-until passed, or the last entry that waited beyond it was decided.
    ClaimsEnded {
        /// The author.
        author: PublicKey,
        /// The grant.
        serial: Serial,
        /// What returned now.
        released: Amount,
        /// Whether nothing of it waits any more.
        ended: bool,
    },
    /// The bank drew the randomness that orders provisional payments of one grant.
    Drawn {
        /// The author.
        author: PublicKey,
        /// The grant.
        serial: Serial,
        /// The randomness.
        seed: [u8; 32],
    },
    /// A contested entry was paid provisionally.
    PaidProvisionally {
        /// The entry.
        entry: Hash,
        /// To whom.
        party: Party,
        /// From what was left of the reserve.
        from_reserve: Amount,
        /// From the guarantee.
        from_guarantee: Amount,
    },
    /// A provisional payment was taken back; its outcome follows as a decision.
    TakenBack {
        /// The entry.
        entry: Hash,
    },
    /// A review closed.
    CaseClosed {
        /// The offender.
        author: PublicKey,
    },
    /// A checkpoint was signed.
    CheckpointSigned {
        /// The author.
        author: PublicKey,
        /// Its number.
        number: u32,
        /// The last sequence that relays carry.
        carry_to: u32,
        /// The id of the signed record.
        id: Hash,
    },
    /// A bulletin was signed.
    BulletinSigned {
        /// Its epoch.
        epoch: u32,
        /// The id of the signed record.
        id: Hash,
    },
    /// A record that this bank signed does not agree with these books: nothing is signed until
    /// an operator says so.
    FaultFound {
        /// The offending item, encoded.
        item: Vec<u8>,
        /// Its id: once resumed, the same record stops nothing again.
        id: Hash,
    },
    /// An operator resumed signing after a fault.
    Resumed,
}

impl Event {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a stored event.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of an event: the store is damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let event: Self = codec::decode(bytes, EVENT_BYTES_MAX)?;
        if event.transactions.len() > TRANSACTIONS_PER_EVENT_MAX {
            return Err(DecodeError::Rule("few transactions per event"));
        }
        Ok(event)
    }

    /// The event with the entry's body erased, as it may be kept after the retention term. The
    /// journal hash stays the same, and so does the state once the entry is decided.
    pub fn erased(mut self) -> Self {
        if let Change::EntryReceived { body, .. } = &mut self.change {
            body.clear();
        }
        self
    }

    /// The journal hash after this event, given the one before it.
    pub fn chain(&self, head: &Hash) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&head.0);
        match &self.change {
            Change::EntryReceived { .. } => hasher.update(&self.clone().erased().encode()),
            _ => hasher.update(&self.encode()),
        };
        Hash(*hasher.finalize().as_bytes())
    }
}
