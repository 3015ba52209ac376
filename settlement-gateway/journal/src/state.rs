//! What the bank knows: plain data that changes only through [`crate::apply`].

use crate::account::{CustomerId, Party};
use crate::books::Books;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::id::{AuthorId, BankNumber, Hash, PublicKey, RequestId, SealingKey, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::checkpoint::{Frontier, Outcome};
use hundi_ledger::record::entry::{Class, SignedHeader};
use hundi_ledger::record::freeze::FreezeReason;
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::proof::Claim;

/// Where a grant's reserve comes from, and where the rest of it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Source {
    /// The customer's online balance.
    Prefunded,
    /// The bank's credit.
    Credit,
}

/// What an entry's body says, as far as the bank keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Opened {
    /// A payment.
    Payment {
        /// Whom it pays.
        payee: AuthorId,
        /// Which of the payee's requests it answers.
        request: RequestId,
    },
    /// A refund.
    Refund {
        /// Who gets the money back.
        payee: AuthorId,
        /// What it returns.
        original: Hash,
        /// How much.
        sum: Amount,
    },
}

impl Opened {
    /// Whom the money goes to.
    pub fn payee(&self) -> AuthorId {
        match self {
            Opened::Payment { payee, .. } | Opened::Refund { payee, .. } => *payee,
        }
    }

    /// What a refund returns.
    pub fn original(&self) -> Option<Hash> {
        match self {
            Opened::Payment { .. } => None,
            Opened::Refund { original, .. } => Some(*original),
        }
    }
}

/// How far the bank is with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Standing {
    /// Only its header is known, from a proof.
    HeaderOnly,
    /// Durable; its body has not opened yet.
    Unopened,
    /// A refund that waits for its original or for a balance.
    Waiting {
        /// When it lapses, Unix seconds.
        until: u64,
    },
    /// In a contradiction and not paid so far.
    Contested,
    /// In a contradiction and paid until the review closes.
    Provisional {
        /// To whom.
        party: Party,
        /// From the reserve.
        from_reserve: Amount,
        /// From the guarantee.
        from_guarantee: Amount,
    },
    /// Decided.
    Decided(Outcome),
}

impl Standing {
    /// The outcome that a checkpoint names and a retry is answered, if there is one.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Standing::Decided(outcome) => Some(*outcome),
            Standing::Contested | Standing::Provisional { .. } => Some(Outcome::Contested),
            Standing::HeaderOnly | Standing::Unopened | Standing::Waiting { .. } => None,
        }
    }
}

/// One entry at its home bank.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EntryState {
    /// The header with its signature.
    pub header: SignedHeader,
    /// What the header claims.
    pub claim: Claim,
    /// Hash of the complete bytes first received; none while only the header is known.
    pub bytes: Option<Hash>,
    /// The sealed body while it may still have to be opened.
    pub body: Vec<u8>,
    /// Number of the event that made it durable: the order of the loss rule.
    pub durable: u64,
    /// What the body says, once it opened.
    pub opened: Option<Opened>,
    /// How far it is.
    pub standing: Standing,
    /// Whether its payee refused it with a signature.
    pub refused: bool,
    /// The highest epoch of freezes that its payee stated to hold.
    pub freezes_epoch: Option<u32>,
    /// What was paid under its grant by it.
    pub paid: Amount,
    /// The refund that returned part of it, and how much.
    pub refunded: Option<(Hash, Amount)>,
    /// Whether a return from the payee's balance is still due.
    pub return_due: bool,
}

/// One grant at its home bank.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct GrantState {
    /// The grant, without display name.
    pub grant: Grant,
    /// The id of the signed record.
    pub id: Hash,
    /// Where the reserve came from.
    pub source: Source,
    /// What was paid under it, guarantee included (invariant I3).
    pub settled: Amount,
    /// The final total of a close that released the rest.
    pub closed: bool,
    /// Releases so far.
    pub releases: u16,
    /// Whether claim-until has passed.
    pub claims_ended: bool,
    /// Whether nothing of it waits any more.
    pub ended: bool,
    /// `spent_total` at the frontier.
    pub frontier_total: Amount,
    /// Entries under it that are neither decided nor contested, and what they would take.
    pub undecided: u32,
    /// Sum of the amounts of those, in minor units; hostile ones may add up beyond any limit.
    pub undecided_amount: u128,
}

/// A freeze in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FreezeState {
    /// The epoch from which payees know.
    pub epoch: u32,
    /// Why.
    pub reason: FreezeReason,
    /// The id of the signed record.
    pub id: Hash,
}

/// One author at its home bank.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Author {
    /// Whose key it is.
    pub customer: CustomerId,
    /// Its X25519 key.
    pub sealing: SealingKey,
    /// Its one currency.
    pub currency: Currency,
    /// Its grants.
    pub grants: BTreeMap<Serial, GrantState>,
    /// Its entries by place, first durable first.
    pub index: BTreeMap<(Class, u32), Vec<Hash>>,
    /// Sequence numbers of money entries with an outcome other than settled.
    pub unsettled: BTreeSet<u32>,
    /// The last entry decided with everything before it.
    pub frontier: Option<Frontier>,
    /// Number of the last checkpoint.
    pub checkpoint: u32,
    /// Ids of the last checkpoints by number.
    pub checkpoints: BTreeMap<u32, Hash>,
    /// The last sequence that relays carry.
    pub carry_to: u32,
    /// Number of the last event by which a checkpoint drafted before it became outdated.
    pub changed: u64,
    /// Number of the first event that has to be told and that no checkpoint tells of yet.
    pub due: Option<u64>,
    /// The freeze in force.
    pub freeze: Option<FreezeState>,
    /// The first proof of a contradiction.
    pub proof: Option<Vec<u8>>,
    /// Entries whose body has not opened.
    pub unopened: u32,
    /// Refunds that wait.
    pub waiting: BTreeSet<Hash>,
    /// Entries recorded since the first contradiction.
    pub after_proof: u32,
    /// The highest serial that a grant with the bank's signature has, which these books lack.
    pub serial_above: Serial,
}

/// The review of one author's contradiction.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Case {
    /// When it was opened, Unix seconds.
    pub opened: u64,
    /// The lowest start among the contradicting headers, per grant.
    pub lowest: BTreeMap<Serial, Amount>,
    /// The randomness drawn per grant after its claim-until.
    pub drawn: BTreeMap<Serial, [u8; 32]>,
    /// When it was closed, Unix seconds.
    pub closed: Option<u64>,
}

/// What the bank paid for a customer beyond its reserves, in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Guaranteed {
    /// Counts against the one guarantee that all grants of the customer share.
    pub used: Amount,
    /// Of that, neither recovered nor written off: still open against the pool.
    pub open: Amount,
    /// Of that, still under review: it may be taken back, and is no claim on the customer yet.
    pub under_review: Amount,
}

/// A customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Customer {
    /// Its authors.
    pub authors: BTreeSet<PublicKey>,
    /// Customers with whom it shares an interest.
    pub links: BTreeSet<CustomerId>,
    /// Guarantees per currency.
    pub guaranteed: BTreeMap<Currency, Guaranteed>,
    /// What each payee got of them, over all cases of the customer: no payee takes it all.
    pub guaranteed_to: BTreeMap<(Currency, Party), Amount>,
}

/// A receipt that came before its entry.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct WaitingReceipt {
    /// Its id.
    pub id: Hash,
    /// Who signed it.
    pub signer: AuthorId,
    /// The encoded record.
    pub record: Vec<u8>,
}

/// Why and since when nothing is signed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Fault {
    /// When it was found, Unix seconds.
    pub at: u64,
    /// The item that does not agree with the books.
    pub item: Vec<u8>,
    /// Its id.
    pub id: Hash,
}

/// Everything the bank knows.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct State {
    pub(crate) bank: BankNumber,
    pub(crate) number: u64,
    pub(crate) head: Hash,
    /// The open epoch: above every bulletin's, so that a freeze made now is in the next digest.
    pub(crate) epoch: u32,
    pub(crate) bulletins: BTreeMap<u32, Hash>,
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) books: Books,
    pub(crate) customers: BTreeMap<CustomerId, Customer>,
    pub(crate) authors: BTreeMap<PublicKey, Author>,
    pub(crate) entries: BTreeMap<Hash, EntryState>,
    pub(crate) cases: BTreeMap<PublicKey, Case>,
    /// Authors whose checkpoint is due, by the event since which it is, each with that event's time.
    pub(crate) due: BTreeMap<u64, (PublicKey, u64)>,
    /// When which grant's claims end.
    pub(crate) deadlines: BTreeSet<(u64, PublicKey, Serial)>,
    /// When which waiting refund lapses.
    pub(crate) refund_deadlines: BTreeSet<(u64, Hash)>,
    /// Refunds by the original they name, as long as they wait.
    pub(crate) refunds_waiting: BTreeMap<Hash, BTreeSet<Hash>>,
    /// Entries whose return is due, by their payee.
    pub(crate) returns_due: BTreeMap<AuthorId, BTreeSet<Hash>>,
    /// Receipts taken or waiting, by id.
    pub(crate) receipts: BTreeSet<Hash>,
    pub(crate) waiting_receipts: BTreeMap<Hash, Vec<WaitingReceipt>>,
    pub(crate) waiting_per_signer: BTreeMap<AuthorId, u32>,
    pub(crate) fault: Option<Fault>,
    /// Faults that an operator has looked into.
    pub(crate) acknowledged: BTreeSet<Hash>,
}

impl State {
    pub(crate) fn new(bank: BankNumber) -> Self {
        Self {
            bank,
            number: 0,
            head: Hash([0; 32]),
            epoch: 1,
            bulletins: BTreeMap::new(),
            certificates: Vec::new(),
            books: Books::default(),
            customers: BTreeMap::new(),
            authors: BTreeMap::new(),
            entries: BTreeMap::new(),
            cases: BTreeMap::new(),
            due: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            refund_deadlines: BTreeSet::new(),
            refunds_waiting: BTreeMap::new(),
            returns_due: BTreeMap::new(),
            receipts: BTreeSet::new(),
            waiting_receipts: BTreeMap::new(),
            waiting_per_signer: BTreeMap::new(),
            fault: None,
            acknowledged: BTreeSet::new(),
        }
    }

    /// The full name of an author of this bank.
    pub(crate) fn author_id(&self, key: PublicKey) -> AuthorId {
        AuthorId { bank: self.bank, key }
    }

    /// The grant that an entry is under, if the bank issued it.
    pub(crate) fn grant(&self, key: &PublicKey, serial: Serial) -> Option<&GrantState> {
        self.authors.get(key)?.grants.get(&serial)
    }

    /// Who is paid when `author` is.
    pub(crate) fn party(&self, author: &AuthorId) -> Party {
        let own = (author.bank == self.bank).then(|| self.authors.get(&author.key)).flatten();
        own.map_or(Party::Author(*author), |own| Party::Customer(own.customer))
    }

    /// What the guarantee of a customer may still cost the pool, in minor units: what was paid and is
    /// open, and what its largest live guarantee leaves, if that were at least `at_least`.
    pub(crate) fn exposure(
        &self,
        customer: &CustomerId,
        currency: Currency,
        at_least: Amount,
    ) -> i128 {
        let Some(held) = self.customers.get(customer) else { return 0 };
        let grants = held.authors.iter().filter_map(|key| self.authors.get(key));
        let grants = grants.filter(|author| author.currency == currency);
        let live = grants.flat_map(|author| author.grants.values()).filter(|it| !it.ended);
        let largest = live.map(|it| it.grant.guarantee).max().unwrap_or_default().max(at_least);
        let paid = held.guaranteed.get(&currency).copied().unwrap_or_default();
        let left = largest.minor().saturating_sub(paid.used.minor());
        i128::from(paid.open.minor()) + i128::from(left)
    }
}

impl Author {
    pub(crate) fn new(customer: CustomerId, sealing: SealingKey, currency: Currency) -> Self {
        Author {
            customer,
            sealing,
            currency,
            grants: BTreeMap::new(),
            index: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            frontier: None,
            checkpoint: 0,
            checkpoints: BTreeMap::new(),
            carry_to: 0,
            changed: 0,
            due: None,
            freeze: None,
            proof: None,
            unopened: 0,
            waiting: BTreeSet::new(),
            after_proof: 0,
            serial_above: Serial::ENROLMENT,
        }
    }
}

impl GrantState {
    pub(crate) fn new(grant: Grant, id: Hash, source: Source) -> Self {
        GrantState {
            grant,
            id,
            source,
            settled: Amount::ZERO,
            closed: false,
            releases: 0,
            claims_ended: false,
            ended: false,
            frontier_total: Amount::ZERO,
            undecided: 0,
            undecided_amount: 0,
        }
    }
}

impl Case {
    pub(crate) fn new(opened: u64) -> Self {
        Case { opened, lowest: BTreeMap::new(), drawn: BTreeMap::new(), closed: None }
    }
}
