//! The wallet: one author's log, what it promised, what it was paid, and what it asks for. Without
//! keys there is no wallet, and the engine is a relay.
//!
//! [`pay`](self) drafts and signs, `receive` judges what pays this device, `refund` returns it,
//! `record` keeps it, `query` shows it. What is accepted where is [`hundi_ledger::verdict`]'s.

pub(crate) mod error;
mod pay;
mod query;
mod receive;
pub(crate) mod record;
mod refund;
mod update;

pub use error::{PayError, RefundError, RequestError, SignError, Unable};
pub use query::{Balance, GrantView, PaymentView, Sureness};
pub use record::{PaymentState, Purpose};

use crate::engine::Keys;
use crate::input::LinkId;
use crate::limits::SHARED_SECRETS_MAX;
use alloc::collections::{BTreeMap, BTreeSet};
use hundi_ledger::body::Plaintext;
use hundi_ledger::id::{Hash, RequestId};
use hundi_ledger::log::Log;
use hundi_ledger::record::Verified;
use hundi_ledger::record::entry::{Class, Entry, SignedHeader};
use hundi_ledger::record::proof::Claim;
use hundi_ledger::replica::Key;
use hundi_ledger::seal::ContentKey;
use hundi_ledger::seal::shared::SharedSecrets;
use record::{OpenRequest, Record};

/// An entry that pays this device and waits for a verdict.
pub(crate) struct Waiting {
    pub(crate) entry: Verified<Entry>,
    pub(crate) plaintext: Plaintext,
    pub(crate) key: ContentKey,
    pub(crate) previous: Option<Verified<SignedHeader>>,
    /// The link on which it was offered last.
    pub(crate) link: Option<LinkId>,
}

pub(crate) struct Wallet {
    pub(crate) keys: Keys,
    pub(crate) log: Log,
    /// Everything signed here or paying this device, by entry.
    pub(crate) records: BTreeMap<Hash, Record>,
    /// This device's own log, by sequence number.
    pub(crate) own: BTreeMap<u32, Hash>,
    /// Records that the bank may still decide.
    pub(crate) open: BTreeSet<Hash>,
    /// Own records without a final verdict of their payee, by sequence number.
    pub(crate) unanswered: BTreeMap<u32, Hash>,
    /// Records that bank time has outrun without an outcome.
    pub(crate) lapsed: BTreeSet<Hash>,
    pub(crate) requests: BTreeMap<RequestId, OpenRequest>,
    pub(crate) waiting: BTreeMap<Hash, Waiting>,
    /// Receipts of open records: they stay in the store whatever the replica forgets.
    pub(crate) receipts: BTreeSet<Hash>,
    /// Receipts of records that the bank has decided: nothing of them is taken again.
    pub(crate) receipts_done: BTreeSet<Hash>,
    pub(crate) shared: SharedSecrets,
    /// Content keys of open payments of our own, to read receipts with.
    pub(crate) content: BTreeMap<Hash, ContentKey>,
}

impl Wallet {
    pub(crate) fn new(keys: Keys) -> Self {
        let log = Log::new(keys.author, Class::Money);
        Self {
            keys,
            log,
            records: BTreeMap::new(),
            own: BTreeMap::new(),
            open: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            lapsed: BTreeSet::new(),
            requests: BTreeMap::new(),
            waiting: BTreeMap::new(),
            receipts: BTreeSet::new(),
            receipts_done: BTreeSet::new(),
            shared: SharedSecrets::new(SHARED_SECRETS_MAX),
            content: BTreeMap::new(),
        }
    }

    /// Whether an item stays in the store whatever the replica forgets.
    pub(crate) fn keeps(&self, key: &Key) -> bool {
        match key {
            Key::Entry(_, id) => self.records.get(id).is_some_and(Record::is_open),
            Key::Receipt(_, id) => self.receipts.contains(id),
            _ => false,
        }
    }

    /// Whether an entry that claims this of our own log is one that this device signed.
    pub(crate) fn knows_own(&self, claim: &Claim) -> bool {
        claim.kind.class() == Class::Money && self.own.get(&claim.sequence()) == Some(&claim.id)
    }

    /// Takes a record into the indices, new or changed.
    pub(crate) fn index(&mut self, record: Record) {
        if record.outgoing {
            self.own.insert(record.sequence(), record.id);
            self.unanswered.remove(&record.sequence());
        }
        if record.is_unanswered() {
            self.unanswered.insert(record.sequence(), record.id);
        }
        match record.state {
            PaymentState::Lapsed => self.lapsed.insert(record.id),
            _ => self.lapsed.remove(&record.id),
        };
        if record.is_open() {
            self.open.insert(record.id);
            self.receipts.extend(record.receipt.as_ref().map(|(id, _)| *id));
        } else {
            self.open.remove(&record.id);
            self.content.remove(&record.id);
            self.waiting.remove(&record.id);
            if let Some((id, _)) = &record.receipt {
                self.receipts.remove(id);
                self.receipts_done.insert(*id);
            }
        }
        self.records.insert(record.id, record);
    }
}
