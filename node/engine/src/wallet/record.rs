//! What a wallet keeps of every entry that it signed or that pays it: for good, also after the
//! mesh has forgotten the entry. The life of a payment in words, and its passage from word to word.

use crate::step::Step;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::codec::Text;
use hundi_ledger::id::{AuthorId, Hash, RequestId, SealingKey};
use hundi_ledger::limits::MEMO_BYTES_MAX;
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::checkpoint::{Checkpoint, Outcome};
use hundi_ledger::record::entry::SignedHeader;
use hundi_ledger::record::receipt::PayeeVerdict;
use hundi_ledger::verdict::payee::NotNow;

/// Where a payment (or refund, or another own entry) stands, as far as this device can see. The
/// bank sees more steps between: submitted, posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum PaymentState {
    /// Signed and durable: counts against the limit.
    Signed,
    /// Has reached the payee, who has given no final verdict yet.
    Delivered,
    /// The payee has accepted it with a signature.
    Received,
    /// The bank has paid the payee: final.
    Settled,
    /// The payee has refused it with a signature.
    Refused,
    /// The bank has rejected it.
    Rejected,
    /// The bank has found a contradiction; a review decides.
    Contested,
    /// The bank's time to honour it has run out, and no outcome is known.
    Lapsed,
}

impl PaymentState {
    /// The word for it, the same everywhere.
    pub fn word(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Delivered => "delivered",
            Self::Received => "received",
            Self::Settled => "settled",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Contested => "contested",
            Self::Lapsed => "lapsed",
        }
    }
}

/// What an entry is for.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Purpose {
    /// Pays a request.
    Payment {
        /// The request.
        request: RequestId,
        /// By the network's numbering; 0 when not stated.
        category: u8,
    },
    /// Returns a payment or part of it.
    Refund {
        /// The payment's id.
        original: Hash,
    },
    /// Asks the bank for a grant with this limit; pays nobody.
    GrantRequest {
        /// The limit.
        limit: Amount,
    },
    /// Ends a grant; pays nobody.
    Close,
}

/// The other party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Party {
    pub(crate) author: AuthorId,
    pub(crate) sealing: SealingKey,
}

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Record {
    pub(crate) id: Hash,
    /// Signed by this device, not paying it.
    pub(crate) outgoing: bool,
    pub(crate) signed: SignedHeader,
    /// The header before it, where the payer sent it.
    pub(crate) previous: Option<SignedHeader>,
    /// None where it pays nobody.
    pub(crate) party: Option<Party>,
    /// The sealing key of its author's bank, for this entry.
    pub(crate) bank_sealing: SealingKey,
    pub(crate) currency: Currency,
    /// What moves, also where the entry does not spend its own grant.
    pub(crate) sum: Amount,
    pub(crate) purpose: Purpose,
    pub(crate) memo: Text<MEMO_BYTES_MAX>,
    pub(crate) claim_until: u32,
    pub(crate) state: PaymentState,
    pub(crate) verdict: Option<PayeeVerdict>,
    pub(crate) not_now: Option<NotNow>,
    pub(crate) unsure: bool,
    pub(crate) outcome: Option<Outcome>,
    /// The receipt: its id and, as an item, its bytes.
    pub(crate) receipt: Option<(Hash, Vec<u8>)>,
    /// The refund of this payment, if there is one.
    pub(crate) refund: Option<Hash>,
    /// What of this payment has been returned, by refunds that stand.
    pub(crate) returned: Amount,
    pub(crate) carriers: Vec<AuthorId>,
    /// When this device signed or first saw it, Unix seconds.
    pub(crate) first_at: u32,
    pub(crate) verdict_at: Option<u32>,
    pub(crate) outcome_at: Option<u32>,
    /// Bank time has run out for it: nothing about it is brought to anybody any more.
    pub(crate) ended: bool,
}

impl Record {
    pub(crate) fn sequence(&self) -> u32 {
        self.signed.header.sequence()
    }

    pub(crate) fn author(&self) -> AuthorId {
        self.signed.header.author
    }

    /// Whether the bank may still decide it.
    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self.outcome, None | Some(Outcome::Contested))
            && self.state != PaymentState::Lapsed
    }

    /// Whether this device still has something to bring to somebody: until then entry and receipt
    /// stay in the store, whatever the replica forgets. To the bank, what it may still decide, and
    /// a signed refusal of what it has settled, because a refusal wins whenever it arrives; to a
    /// payee that was not there, the payment that it has been credited with.
    pub(crate) fn is_open(&self) -> bool {
        let unheard = self.outgoing && self.party.is_some() && self.verdict.is_none();
        let settled = self.outcome == Some(Outcome::Settled);
        self.is_undecided() || settled && !self.ended && (self.is_refused() || unheard)
    }

    /// Whether it waits for this device's own verdict.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.outgoing && self.verdict.is_none() && self.is_undecided()
    }

    /// Whether this device has promised it and its payee has given no final verdict.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.outgoing && self.party.is_some() && self.verdict.is_none() && self.is_open()
    }

    /// Whether its payee has refused it with a signature.
    pub(crate) fn is_refused(&self) -> bool {
        self.verdict.is_some_and(|verdict| verdict != PayeeVerdict::Accepted)
    }

    pub(crate) fn state_key(&self) -> Vec<u8> {
        state_key(&self.id)
    }

    pub(crate) fn store(&self, step: &mut Step<'_>) {
        step.put_state(self.state_key(), self);
    }

    /// The state that follows from verdict, outcome and time; a checkpoint's word stands above the
    /// payee's.
    fn derive(&self, lapsed: bool) -> PaymentState {
        match self.outcome {
            Some(Outcome::Settled) => return PaymentState::Settled,
            Some(Outcome::Contested) => return PaymentState::Contested,
            Some(Outcome::Returned) => return PaymentState::Refused,
            Some(_) => return PaymentState::Rejected,
            None => {}
        }
        match self.verdict {
            _ if lapsed => PaymentState::Lapsed,
            Some(PayeeVerdict::Accepted) => PaymentState::Received,
            Some(_) => PaymentState::Refused,
            None if !self.outgoing || self.not_now.is_some() => PaymentState::Delivered,
            None => self.state.min(PaymentState::Delivered),
        }
    }

    /// Brings the state in line; returns whether it changed.
    pub(crate) fn settle_state(&mut self, lapsed: bool) -> bool {
        let state = self.derive(lapsed);
        core::mem::replace(&mut self.state, state) != state
    }

    /// What `checkpoint` says about this entry. Nothing where it is silent: an entry below the
    /// frontier that is not named may be one that the bank has never seen, beside another at its
    /// place, so only the frontier's own hash, or for an own entry (`chained`) the chain that
    /// leads to it, makes silence mean settled.
    pub(crate) fn outcome_in(&self, checkpoint: &Checkpoint, chained: bool) -> Option<Outcome> {
        let sequence = self.sequence();
        let named = checkpoint.outcome(sequence, &self.id);
        let frontier = checkpoint.frontier.filter(|frontier| sequence <= frontier.sequence);
        let linked = frontier.is_some_and(|frontier| chained || frontier.hash == self.id);
        let at_place = checkpoint.names.iter().any(|name| name.sequence == sequence);
        named
            .or((linked && !at_place).then_some(Outcome::Settled))
            // Decided otherwise at its place, and this one not named: the bank has yet to see it.
            .or((frontier.is_some() && at_place).then_some(Outcome::Contested))
    }
}

const PREFIX: &[u8] = b"entry/";

pub(crate) fn state_key(id: &Hash) -> Vec<u8> {
    [PREFIX, &id.0].concat()
}

pub(crate) fn is_state_key(key: &[u8]) -> bool {
    key.starts_with(PREFIX)
}

/// What this device asked for.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct OpenRequest {
    pub(crate) id: RequestId,
    pub(crate) currency: Currency,
    pub(crate) amount: Option<Amount>,
    pub(crate) expires: u32,
    pub(crate) standing: bool,
    pub(crate) memo: Text<MEMO_BYTES_MAX>,
    /// The entry that was accepted for it; not kept for a standing request.
    pub(crate) answered: Option<Hash>,
}

const REQUEST_PREFIX: &[u8] = b"request/";

impl OpenRequest {
    pub(crate) fn state_key(&self) -> Vec<u8> {
        [REQUEST_PREFIX, &self.id.0].concat()
    }
}

pub(crate) fn is_request_key(key: &[u8]) -> bool {
    key.starts_with(REQUEST_PREFIX)
}

pub(crate) const LOG_KEY: &[u8] = b"log";

const FAULT_PREFIX: &[u8] = b"fault/";

pub(crate) fn fault_key(held: &Hash) -> Vec<u8> {
    [FAULT_PREFIX, &held.0].concat()
}

pub(crate) fn is_fault_key(key: &[u8]) -> bool {
    key.starts_with(FAULT_PREFIX)
}
