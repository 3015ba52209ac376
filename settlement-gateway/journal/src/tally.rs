//! What a bank is asked for all the time, kept along with its events: how many entries are how far,
//! which of them wait and since when, open reviews, and what guarantees may still cost.
//!
//! Nothing here decides anything, and nothing of it is stored. Whoever drives a bank feeds every unit
//! of events, from the first one on, so that no question has to walk all entries.

use crate::account::{Account, CustomerId};
use crate::bank::Bank;
use crate::event::{Change, Event};
use alloc::collections::{BTreeMap, BTreeSet};
use hundi_ledger::id::{Hash, PublicKey};
use hundi_ledger::money::Currency;
use hundi_ledger::record::checkpoint::Outcome;

/// Entries that are not decided for good, each since when it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Open {
    since: BTreeMap<Hash, u64>,
    oldest: BTreeSet<(u64, Hash)>,
}

impl Open {
    fn insert(&mut self, id: Hash, at: u64) {
        self.since.insert(id, at);
        self.oldest.insert((at, id));
    }

    /// Since when it is durable, if it was open.
    fn remove(&mut self, id: &Hash) -> Option<u64> {
        let at = self.since.remove(id)?;
        self.oldest.remove(&(at, *id));
        Some(at)
    }
}

/// What guarantees may cost in one currency, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guarantees {
    /// What the pool holds.
    pub pool: i128,
    /// What they may still cost it: what was paid and is open, and what the largest live guarantee of
    /// each customer leaves.
    pub exposure: i128,
}

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    accepted: u64,
    outcomes: BTreeMap<Outcome, u64>,
    waiting: Open,
    contested: Open,
    reviews: BTreeSet<PublicKey>,
    exposures: BTreeMap<(Currency, CustomerId), i128>,
    guarantees: BTreeMap<Currency, Guarantees>,
}

impl Tally {
    /// Takes the next events, all that there are since the last call; `bank` is as it is after them.
    pub fn follow(&mut self, events: &[Event], bank: &Bank) {
        let mut touched: BTreeSet<(Currency, CustomerId)> = BTreeSet::new();
        let mut pools: BTreeSet<Currency> = BTreeSet::new();
        for event in events {
            self.count(event, bank);
            if let Some(exposed) = exposed(&event.change, bank) {
                touched.insert(exposed);
            }
            let pool = event.transactions.iter().filter(|transaction| {
                transaction.postings().iter().any(|it| it.account == Account::GuaranteePool)
            });
            pools.extend(pool.map(|transaction| transaction.currency()));
        }
        for (currency, customer) in touched {
            let exposure = bank.exposure(&customer, currency);
            let before = self.exposures.insert((currency, customer), exposure).unwrap_or(0);
            if exposure == 0 {
                self.exposures.remove(&(currency, customer));
            }
            self.guarantees.entry(currency).or_default().exposure += exposure - before;
        }
        for currency in pools {
            let pool = bank.books().balance(Account::GuaranteePool, currency);
            self.guarantees.entry(currency).or_default().pool = pool;
        }
    }

    fn count(&mut self, event: &Event, bank: &Bank) {
        match &event.change {
            Change::EntryReceived { header, .. } => {
                self.accepted += 1;
                self.waiting.insert(header.header.id(&bank.network().id()), event.at);
            }
            Change::Decided { entry, outcome, .. } => self.decided(*entry, *outcome),
            Change::Contradicted { author, .. } | Change::CaseClosed { author } => {
                let case = bank.cases().get(author);
                if case.is_some_and(|case| case.closed.is_none()) {
                    self.reviews.insert(*author);
                } else {
                    self.reviews.remove(author);
                }
            }
            _ => {}
        }
    }

    fn decided(&mut self, entry: Hash, outcome: Outcome) {
        let was_contested = self.contested.remove(&entry);
        let before = match (was_contested, outcome) {
            (Some(_), _) => Some(Outcome::Contested),
            // What is returned had been settled.
            (None, Outcome::Returned) => Some(Outcome::Settled),
            (None, _) => None,
        };
        if let Some(held) = before.and_then(|before| self.outcomes.get_mut(&before)) {
            *held = held.saturating_sub(1);
        }
        *self.outcomes.entry(outcome).or_default() += 1;
        let since = self.waiting.remove(&entry).or(was_contested);
        if let Some(at) = since.filter(|_| outcome == Outcome::Contested) {
            self.contested.insert(entry, at);
        }
    }

    /// Entries that were ever durable here with their body.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Entries that have this outcome now.
    pub fn with_outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or(0)
    }

    /// Entries that were rejected, for whatever reason.
    pub fn rejected(&self) -> u64 {
        let rejected = self.outcomes.iter().filter(|(outcome, _)| {
            !matches!(outcome, Outcome::Settled | Outcome::Contested | Outcome::Returned)
        });
        rejected.map(|(_, count)| count).sum()
    }

    /// Entries that have no outcome yet.
    pub fn waiting(&self) -> u64 {
        self.waiting.since.len() as u64
    }

    /// Since when the oldest entry without an outcome is durable, Unix seconds.
    pub fn oldest_waiting(&self) -> Option<u64> {
        self.waiting.oldest.first().map(|(at, _)| *at)
    }

    /// Entries that wait for a review to close.
    pub fn contested(&self) -> u64 {
        self.contested.since.len() as u64
    }

    /// Since when the oldest contested entry is durable, Unix seconds.
    pub fn oldest_contested(&self) -> Option<u64> {
        self.contested.oldest.first().map(|(at, _)| *at)
    }

    /// Reviews that are open.
    pub fn reviews(&self) -> u64 {
        self.reviews.len() as u64
    }

    /// What guarantees may cost, for every currency in which there ever was one or a pool.
    pub fn guarantees(&self) -> impl Iterator<Item = (Currency, Guarantees)> + '_ {
        self.guarantees.iter().map(|(currency, guarantees)| (*currency, *guarantees))
    }
}

/// Whose exposure an event may change.
fn exposed(change: &Change, bank: &Bank) -> Option<(Currency, CustomerId)> {
    let of_author = |key: &PublicKey| {
        let author = bank.authors().get(key)?;
        Some((author.currency, author.customer))
    };
    match change {
        Change::GrantIssued { grant, .. } => of_author(&grant.author.key),
        Change::ClaimsEnded { author, .. } => of_author(author),
        Change::WrittenOff { customer, currency, .. }
        | Change::Recovered { customer, currency, .. } => Some((*currency, *customer)),
        Change::PaidProvisionally { entry, .. } | Change::TakenBack { entry } => {
            of_author(&bank.entry(entry)?.header.header.author.key)
        }
        _ => None,
    }
}
