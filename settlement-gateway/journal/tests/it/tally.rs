//! The tally says what a walk over everything says, after every step of the random runs and however
//! the events were cut into units.

use hundi_journal::account::Account;
use hundi_journal::bank::Bank;
use hundi_journal::event::Event;
use hundi_journal::state::Standing;
use hundi_journal::tally::{Guarantees, Tally};
use hundi_ledger::record::checkpoint::Outcome;

/// A tally beside a bank.
#[derive(Default)]
pub struct Beside {
    tally: Tally,
    seen: usize,
}

impl Beside {
    /// Follows what has happened, and compares.
    pub fn check(&mut self, events: &[Event], bank: &Bank) {
        self.tally.follow(&events[self.seen..], bank);
        self.seen = events.len();
        compare(&self.tally, events, bank);
    }

    /// All of it as one unit gives the same.
    pub fn check_at_once(&self, events: &[Event], bank: &Bank) {
        let mut at_once = Tally::default();
        at_once.follow(events, bank);
        compare(&at_once, events, bank);
    }
}

fn compare(tally: &Tally, events: &[Event], bank: &Bank) {
    let count = |holds: &dyn Fn(&Standing) -> bool| {
        bank.entries().values().filter(|entry| holds(&entry.standing)).count() as u64
    };
    let waits = |it: &Standing| matches!(it, Standing::Unopened | Standing::Waiting { .. });
    let contested = |it: &Standing| it.outcome() == Some(Outcome::Contested);
    assert_eq!(tally.accepted(), count(&|it| *it != Standing::HeaderOnly));
    assert_eq!(tally.waiting(), count(&waits));
    assert_eq!(tally.contested(), count(&contested));
    let mut rejected = 0;
    for outcome in OUTCOMES {
        let with_it = count(&|it| it.outcome() == Some(outcome));
        assert_eq!(tally.with_outcome(outcome), with_it, "{outcome:?}");
        rejected += if outcome as u8 >= Outcome::RejectedUncovered as u8 { with_it } else { 0 };
    }
    assert_eq!(tally.rejected(), rejected);
    let oldest = |holds: &dyn Fn(&Standing) -> bool| {
        let held = bank.entries().values().filter(|entry| holds(&entry.standing));
        held.map(|entry| events[usize::try_from(entry.durable).unwrap() - 1].at).min()
    };
    assert_eq!(tally.oldest_waiting(), oldest(&waits));
    assert_eq!(tally.oldest_contested(), oldest(&contested));
    let reviews = bank.cases().values().filter(|case| case.closed.is_none()).count();
    assert_eq!(tally.reviews(), reviews as u64);
    for (currency, held) in tally.guarantees() {
        let exposure = bank.customers().keys().map(|it| bank.exposure(it, currency)).sum();
        let pool = bank.books().balance(Account::GuaranteePool, currency);
        assert_eq!(held, Guarantees { pool, exposure });
    }
}

const OUTCOMES: [Outcome; 10] = [
    Outcome::Settled,
    Outcome::Contested,
    Outcome::Returned,
    Outcome::RejectedUncovered,
    Outcome::RejectedLate,
    Outcome::RejectedFrozen,
    Outcome::RejectedUnopened,
    Outcome::RejectedRefund,
    Outcome::RejectedRefused,
    Outcome::RejectedKind,
];
