//! What a wallet shows: balance and history. Plain questions, no effects.

use super::record::{PaymentState, Purpose, Record};
use crate::engine::Engine;
use alloc::string::String;
use alloc::vec::Vec;
use hundi_ledger::id::{AuthorId, Hash, RequestId, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::receipt::PayeeVerdict;
use hundi_ledger::replica::Shelf;
use hundi_ledger::verdict::payee::NotNow;
use hundi_ledger::verdict::payer;

/// How sure it is that a payment's payee has the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sureness {
    /// Nothing has been verified yet, or it came to nothing.
    None,
    /// Accepted, but under a bearer grant (somebody else may have been faster), or its payer has
    /// been proven to contradict itself or frozen since.
    Unsure,
    /// Everything that can be checked offline holds.
    Verified,
    /// Verified, and this many other certified peers carry it.
    Carried(usize),
    /// The bank has settled it: final.
    Settled,
}

/// One payment, refund, or other entry of the wallet, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentView {
    /// The entry's id.
    pub id: Hash,
    /// Signed here; otherwise it pays this device.
    pub outgoing: bool,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it stands.
    pub state: PaymentState,
    /// How sure it is.
    pub sureness: Sureness,
    /// The other party; none where it pays nobody.
    pub party: Option<AuthorId>,
    /// The other party's name as its bank has verified it.
    pub name: Option<String>,
    /// What moves, in minor units of `currency`.
    pub sum: Amount,
    /// The currency.
    pub currency: Currency,
    /// The memo.
    pub memo: String,
    /// The sequence number in its author's log.
    pub sequence: u32,
    /// The grant it is under.
    pub serial: Serial,
    /// The payee's final verdict, when known.
    pub verdict: Option<PayeeVerdict>,
    /// Why there is no final verdict yet, when known.
    pub not_now: Option<NotNow>,
    /// What the bank has decided, when known.
    pub outcome: Option<Outcome>,
    /// The refund of this payment, and what it returns.
    pub refund: Option<(Hash, Amount)>,
    /// When its author says to have signed it, Unix seconds.
    pub signed_at: u32,
    /// When this device signed or first saw it, Unix seconds.
    pub first_at: u32,
    /// When the verdict was given or arrived, Unix seconds.
    pub verdict_at: Option<u32>,
    /// When the outcome arrived, Unix seconds.
    pub outcome_at: Option<u32>,
}

/// The grant in use, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantView {
    /// Its serial.
    pub serial: Serial,
    /// What it lets promise in all.
    pub limit: Amount,
    /// What is left to promise.
    pub left: Amount,
    /// What one payment may promise now, with the unsettled entries that stand before it; 0 when
    /// nothing can be promised now.
    pub cap: Amount,
    /// Payees refuse after it, Unix seconds.
    pub expiry: u32,
    /// The bank honours until, Unix seconds.
    pub claim_until: u32,
}

/// What a wallet has, in minor units of its one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The author's currency; none before it is enrolled.
    pub currency: Option<Currency>,
    /// The grant in force, if there is one.
    pub grant: Option<GrantView>,
    /// Promised by this wallet and not decided yet: payments, and refunds that spend the grant.
    pub promised: Amount,
    /// Refunds promised out of received payments or the account, not decided yet.
    pub refunds_promised: Amount,
    /// Received and verified, refunds to this wallet included, not settled yet.
    pub received_verified: Amount,
    /// Received and settled: in the account at the bank.
    pub received_settled: Amount,
}

impl Engine {
    /// Whether a payment request of this device waits for a payment at `now` (Unix seconds): not
    /// expired, and standing or not accepted yet.
    pub fn awaits_payment(&self, request: &RequestId, now: u32) -> bool {
        let held = self.wallet.as_ref().and_then(|wallet| wallet.requests.get(request));
        held.is_some_and(|request| request.answered.is_none() && now <= request.expires)
    }

    /// The sequence number of the newest payment of this device that has no answer of its payee yet,
    /// and may still get one.
    pub fn awaits_answer(&self) -> Option<u32> {
        self.wallet.as_ref()?.unanswered.last_key_value().map(|(sequence, _)| *sequence)
    }

    /// What the wallet has at `now` (Unix seconds); none for a relay. `shelf` as in
    /// [`Engine::handle`], here and below.
    pub fn balance(&self, now: u32, shelf: &dyn Shelf) -> Option<Balance> {
        let shelf = &self.view(shelf);
        let wallet = self.wallet.as_ref()?;
        let grant = payer::current_grant(&self.replica, shelf, &wallet.log, now);
        let sum = |chosen: &dyn Fn(&Record) -> bool| {
            let records = wallet.records.values().filter(|record| chosen(record));
            records.fold(Amount::ZERO, |sum, record| sum.add(record.sum).unwrap_or(Amount::MAX))
        };
        let open = |record: &Record| record.is_undecided();
        let spends = |record: &Record| !record.signed.header.amount.is_zero();
        let refunds = |record: &Record| matches!(record.purpose, Purpose::Refund { .. });
        let received = |record: &Record, state| !record.outgoing && record.state == state;
        Some(Balance {
            currency: self.own_currency(shelf).ok().flatten(),
            grant: grant.map(|grant| self.grant_view(grant, now, shelf)),
            promised: sum(&|record| record.outgoing && open(record) && spends(record)),
            refunds_promised: sum(&|record| {
                record.outgoing && open(record) && refunds(record) && !spends(record)
            }),
            received_verified: sum(&|record| received(record, PaymentState::Received)),
            received_settled: sum(&|record| received(record, PaymentState::Settled)),
        })
    }

    fn grant_view(&self, grant: &Grant, now: u32, shelf: &dyn Shelf) -> GrantView {
        let log = self.wallet.as_ref().map(|wallet| &wallet.log);
        let left = log.map_or(Amount::ZERO, |log| payer::left(log, grant));
        let most = grant.cap.min(left);
        let cap = log.map(|log| payer::grant_for(&self.replica, shelf, log, most, now));
        let cap = match cap {
            Some(Ok(_)) => most,
            Some(Err(payer::SpendError::Unsettled { cap, .. })) => cap.min(left),
            _ => Amount::ZERO,
        };
        let Grant { serial, limit, expiry, claim_until, .. } = *grant;
        GrantView { serial, limit, left, cap, expiry, claim_until }
    }

    /// Every entry of the wallet, newest first.
    pub fn history(&self, shelf: &dyn Shelf) -> Vec<PaymentView> {
        let shelf = &self.view(shelf);
        let Some(wallet) = &self.wallet else { return Vec::new() };
        let mut records: Vec<&Record> = wallet.records.values().collect();
        records.sort_unstable_by_key(|record| {
            core::cmp::Reverse((record.first_at, record.sequence(), record.id))
        });
        records.into_iter().map(|record| self.payment_view(record, shelf)).collect()
    }

    /// One entry of the wallet.
    pub fn payment(&self, id: &Hash, shelf: &dyn Shelf) -> Option<PaymentView> {
        let record = self.wallet.as_ref()?.records.get(id)?;
        Some(self.payment_view(record, &self.view(shelf)))
    }

    fn sureness(&self, record: &Record) -> Sureness {
        let author = record.author();
        let barred = self.replica.is_proven(&author) || self.replica.is_frozen(&author);
        match record.state {
            PaymentState::Settled => Sureness::Settled,
            PaymentState::Received if record.unsure || barred => Sureness::Unsure,
            PaymentState::Received if record.carriers.is_empty() => Sureness::Verified,
            PaymentState::Received => Sureness::Carried(record.carriers.len()),
            _ => Sureness::None,
        }
    }

    fn payment_view(&self, record: &Record, shelf: &dyn Shelf) -> PaymentView {
        let header = &record.signed.header;
        let party = record.party.map(|party| party.author);
        let known = party.and_then(|party| self.replica.author(&party, shelf));
        let name = known.and_then(|known| {
            known.grants().rev().find_map(|grant| grant.display_name.as_deref().map(String::from))
        });
        PaymentView {
            id: record.id,
            outgoing: record.outgoing,
            purpose: record.purpose.clone(),
            state: record.state,
            sureness: self.sureness(record),
            party,
            name,
            sum: record.sum,
            currency: record.currency,
            memo: String::from(&*record.memo),
            sequence: header.sequence(),
            serial: header.serial,
            verdict: record.verdict,
            not_now: record.not_now,
            outcome: record.outcome,
            refund: record.refund.map(|refund| (refund, record.returned)),
            signed_at: header.time,
            first_at: record.first_at,
            verdict_at: record.verdict_at,
            outcome_at: record.outcome_at,
        }
    }
}
