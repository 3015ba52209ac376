//! Facts of a run: what somebody who watched all of it writes down, as plain data.
//!
//! Whoever watches a run (a simulator, a rig) fills in [`Facts`] and asks [`crate::run::judge`]. Bytes are
//! handed over as they were sent or stored, never what the code under judgement made of them. Every
//! item is noted once, in one table, and named by its number there, so that it is read and its
//! signature verified at most once. *Steps* are places in the run's total order of events; who was
//! first is told by them alone. Clocks are what a device or bank believed.

use crate::records::Author;
use crate::sync::Range;
use std::collections::{BTreeMap, BTreeSet};

/// The number of an item in the table of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemNumber(usize);

impl ItemNumber {
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// Every item that anybody made in a run, each once.
#[derive(Clone, Debug, Default)]
pub struct Items {
    rows: Vec<(Vec<u8>, Option<bool>)>,
    numbers: BTreeMap<[u8; 32], ItemNumber>,
}

impl Items {
    /// Notes an item whose signature is to be verified here, if a rule needs it.
    pub fn note(&mut self, bytes: &[u8]) -> ItemNumber {
        let next = ItemNumber(self.rows.len());
        let number = *self.numbers.entry(*blake3::hash(bytes).as_bytes()).or_insert(next);
        if number == next {
            self.rows.push((bytes.to_vec(), None));
        }
        number
    }

    /// Notes an item of which is known already whether its signature holds; that is believed.
    pub fn note_checked(&mut self, bytes: &[u8], holds: bool) -> ItemNumber {
        let number = self.note(bytes);
        self.rows[number.0].1 = Some(holds);
        number
    }

    /// The bytes of an item.
    pub fn bytes(&self, number: ItemNumber) -> &[u8] {
        &self.rows[number.0].0
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (ItemNumber, &[u8], Option<bool>)> {
        let rows = self.rows.iter().enumerate();
        rows.map(|(at, (bytes, holds))| (ItemNumber(at), &bytes[..], *holds))
    }
}

/// All that is known of a run.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The network definition.
    pub network: Vec<u8>,
    /// The table of items.
    pub items: Items,
    /// Whether faults are over for so long that everything that must happen in the end has happened.
    pub liveness: bool,
    /// Authors whose devices keep the rules, payees as well as payers.
    pub honest: BTreeSet<Author>,
    /// What honest authors signed.
    pub signings: Vec<Signing>,
    /// When bytes of an item, or that depend on it, first left the device of its honest author.
    pub departures: Vec<Departure>,
    /// Honest authors whose devices met an entry of their own key that they did not know.
    pub stops: Vec<Stop>,
    /// What honest payees accepted.
    pub acceptances: Vec<Acceptance>,
    /// The banks.
    pub banks: Vec<BankFacts>,
    /// Moments at which all nodes were looked at.
    pub moments: Vec<Moment>,
}

/// An item that an honest author signed.
#[derive(Clone, Debug)]
pub struct Signing {
    /// The item.
    pub item: ItemNumber,
    /// When it was signed.
    pub step: u64,
    /// When it was durable, if it ever was.
    pub durable: Option<u64>,
}

/// Bytes that show an item, or that would not be what they are without it, left its device.
#[derive(Clone, Debug)]
pub struct Departure {
    /// The item.
    pub item: ItemNumber,
    /// When they left.
    pub step: u64,
}

/// From here on a device must not sign with this key.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The key.
    pub author: Author,
    /// When it met the entry.
    pub step: u64,
}

/// An honest payee accepted a payment.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The payee.
    pub payee: Author,
    /// The id of the entry.
    pub entry: [u8; 32],
    /// Virtual time.
    pub at_ms: u64,
    /// What it was shown as.
    pub amount: u64,
}

/// What is known of one bank, all its gateways together.
#[derive(Clone, Debug, Default)]
pub struct BankFacts {
    /// Its number.
    pub number: u16,
    /// Whether it keeps the rules; one that does not is not judged.
    pub honest: bool,
    /// Every sealing secret it has had.
    pub sealing_secrets: Vec<[u8; 32]>,
    /// Its clock at the end.
    pub clock_s: u32,
    /// Every item that it signed.
    pub signed: Vec<ItemNumber>,
    /// Every item that became durable at one of its gateways, in that order. What an older copy of the
    /// books took back did not arrive; what came again after that did.
    pub arrivals: Vec<Arrival>,
    /// Every answer about an entry, in order.
    pub answers: Vec<Answer>,
    /// Its journal, in order.
    pub transactions: Vec<Transaction>,
    /// The balances that it states at the end; those of 0 may be left out.
    pub balances: Vec<Posting>,
    /// Whose authors are whose.
    pub holders: Vec<Holder>,
    /// Customers that belong together.
    pub links: Vec<[u64; 2]>,
    /// The randomness it drew for orders of guarantee.
    pub draws: Vec<Draw>,
}

/// An item reached a bank and was made durable there.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The item.
    pub item: ItemNumber,
    /// Its place in the order of events; items of one unit of work may share it.
    pub step: u64,
    /// Virtual time.
    pub at_ms: u64,
    /// Which gateway.
    pub gateway: u16,
    /// What the bank's clock said.
    pub clock_s: u32,
}

/// What a bank said of an entry.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The id of the entry.
    pub entry: [u8; 32],
    /// The bank's clock.
    pub clock_s: u32,
    /// An outcome of the document's table; none is "not decided".
    pub outcome: Option<u8>,
    /// What was settled; of a refund that claims nothing of a grant, 0 or what it moved.
    pub amount: u64,
    /// Whether that is the bank's last word.
    pub last: bool,
}

/// Whose and what for an account is. Customers are numbered by whoever writes the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // By the names of accounts in the glossary of the books.
pub enum Account {
    Nostro,
    Customer(u64),
    Reserve { author: Author, serial: u16 },
    PendingIn(u64),
    CreditCommitted,
    CustomerLoan(u64),
    GuaranteePool,
    DoubleSpendReceivable(u64),
    LossExpense,
    Suspense,
    DueTo(u16),
    DueFrom(u16),
}

/// One movement on one account.
#[derive(Clone, Debug)]
pub struct Posting {
    /// The account.
    pub account: Account,
    /// Its currency.
    pub currency: [u8; 3],
    /// Minor units: a credit above 0, a debit below.
    pub amount: i64,
}

/// A transaction of a journal.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its place in the order of events.
    pub step: u64,
    /// The bank's clock.
    pub clock_s: u32,
    /// The entry that it pays or takes back; none of what funds and releases reserves, also by a close.
    pub entry: Option<[u8; 32]>,
    /// What it moves.
    pub postings: Vec<Posting>,
}

/// The customer of an author.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The author.
    pub author: Author,
    /// The customer.
    pub customer: u64,
}

/// A bank drew the randomness that orders the guarantee's payees.
#[derive(Clone, Debug)]
pub struct Draw {
    /// For the contradiction of this author.
    pub author: Author,
    /// The bank's clock.
    pub clock_s: u32,
    /// Its place in the order of events.
    pub step: u64,
}

/// All nodes at one moment.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Whether the network was quiet for so long that every component must have converged.
    pub quiet: bool,
    /// The nodes.
    pub nodes: Vec<NodeFacts>,
}

/// One node at one moment.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// Its number.
    pub node: u32,
    /// Whether it keeps the rules; one that does not is not judged.
    pub honest: bool,
    /// Nodes of one component can reach each other.
    pub component: u32,
    /// The items of its core and the proofs it holds, where they were written down.
    pub core: Option<Vec<ItemNumber>>,
    /// What else it holds, or has verified and could still compare.
    pub cache: Vec<ItemNumber>,
    /// What it says the digest of its core is.
    pub digest: Option<[u8; 32]>,
    /// The range whose authors' core it keeps; none is all.
    pub scope: Option<Range>,
    /// What it counted.
    pub counters: Option<Counters>,
}

/// What a node counted, by the document's limits.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Entries in its core.
    pub core_entries: u64,
    /// Items in its cache now, and how many it may hold.
    pub cache_items: [u64; 2],
    /// Receipts held, the most of one signer.
    pub receipts_of_one: u64,
    /// The most signatures verified in one session of one author's entries that its records admit.
    pub verified_admitted: u64,
    /// The same, of entries that its records do not admit or that contradict what is held.
    pub verified_refused: u64,
    /// The same, of all authors together that no grant certifies.
    pub verified_uncertified: u64,
}
