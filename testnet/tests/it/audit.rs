//! The auditor over a real run: everything that it judges is written down, it finds nothing wrong,
//! and whoever changes what was written down is found out, by the rule that the change breaks.

use hundi_auditor::facts::{Account, Facts, Posting, Stop};
use hundi_auditor::run::{Invariant, judge};
use hundi_testnet::sim::scenario::{Fixed, Scenario};
use hundi_testnet::sim::witnessed;
use serde_json::json;
use std::sync::OnceLock;

const SEED: u64 = 1;
/// Outcomes and tags of items, by the protocol.
const SETTLED: Option<u8> = Some(0);
const LATE: Option<u8> = Some(17);
const ITEM_FREEZE: u8 = 4;
const ITEM_PROOF: u8 = 6;

/// A run in which somebody spends twice and somebody's phone is lost.
fn facts() -> Facts {
    static FACTS: OnceLock<Facts> = OnceLock::new();
    let facts = FACTS.get_or_init(|| {
        let parts = json!({
            "nodes": 9, "gateways": 1, "banks": 1, "minutes": 40, "payments_per_hour": 12,
            "faults": { "crash": 3, "new-phone": 1 },
            "adversaries": ["double-spender", "certified-flooder"],
        });
        let fixed = Fixed { parts: Some(parts), ..Fixed::default() };
        let scenario = Scenario::of(SEED, &fixed).unwrap();
        let (run, facts) = witnessed(SEED, &scenario, None).unwrap();
        assert_eq!(run.violation, None);
        facts
    });
    facts.clone()
}

/// After the change the invariant is broken, and among what is said of it are these words.
#[track_caller]
fn breaks(invariant: Invariant, words: &str, change: impl FnOnce(&mut Facts)) {
    let mut facts = facts();
    change(&mut facts);
    let broken = judge(&facts).unwrap();
    let found = broken.iter().any(|it| it.invariant == invariant && it.what.contains(words));
    let broken: Vec<String> = broken.iter().take(5).map(ToString::to_string).collect();
    assert!(found, "{invariant}, {words}: {broken:#?}");
}

/// The place of the settlement of an honest payment in the journal.
fn settlement(facts: &Facts) -> usize {
    let accepted = |id: &[u8; 32]| facts.acceptances.iter().any(|one| one.entry == *id);
    let settles = facts.banks[0].transactions.iter().position(|one| {
        let debited = one.postings.iter().find(|posting| posting.amount < 0);
        let from = debited.map(|posting| posting.account);
        let by_honest = matches!(from, Some(Account::Reserve { author, .. })
            if facts.honest.contains(&author));
        by_honest && one.entry.is_some_and(|id| accepted(&id))
    });
    settles.unwrap()
}

#[test]
fn everything_that_is_judged_is_written_down() {
    let facts = facts();
    let bank = &facts.banks[0];
    assert!(facts.liveness && facts.honest.len() >= 7);
    assert!(facts.signings.len() > 20 && facts.signings.iter().any(|one| one.durable.is_some()));
    assert!(facts.departures.len() > 20 && facts.acceptances.len() > 10);
    assert!(bank.arrivals.len() > 20 && bank.answers.len() > 20 && bank.signed.len() > 20);
    assert!(bank.transactions.len() > 20 && !bank.balances.is_empty());
    assert!(bank.holders.len() > 9 && !bank.draws.is_empty());
    let nodes = &facts.moments[0].nodes;
    assert!(nodes.len() >= 8 && nodes.iter().all(|node| node.core.as_ref().unwrap().len() > 20));
    assert_eq!(judge(&facts).unwrap(), []);
}

#[test]
fn convergence() {
    breaks(Invariant::Convergence, "another digest", |facts| {
        facts.moments[0].nodes[1].core.as_mut().unwrap().truncate(10);
    });
    breaks(Invariant::Convergence, "another digest", |facts| {
        facts.moments[0].nodes[1].digest.as_mut().unwrap()[0] ^= 1;
    });
}

#[test]
fn no_honest_loss() {
    // Of one that its payee refused or returns nothing is owed, so all of them go.
    breaks(Invariant::NoHonestLoss, "never paid", |facts| {
        facts.banks[0].transactions.retain(|one| one.entry.is_none());
        facts.banks[0].answers.clear();
    });
    breaks(Invariant::NoHonestLoss, "accepted as", |facts| {
        facts.acceptances[0].amount += 1;
    });
}

#[test]
fn solvency() {
    breaks(Invariant::Solvency, "with limit", |facts| {
        let at = settlement(facts);
        for posting in &mut facts.banks[0].transactions[at].postings {
            posting.amount *= 10_000;
        }
    });
}

#[test]
fn conservation() {
    breaks(Invariant::Conservation, "does not balance", |facts| {
        let at = settlement(facts);
        facts.banks[0].transactions[at].postings.pop();
    });
    breaks(Invariant::Conservation, "below its postings", |facts| {
        facts.banks[0].balances[0].amount += 1;
    });
}

#[test]
fn exactly_once() {
    breaks(Invariant::ExactlyOnce, "of a promise of", |facts| {
        let twice = facts.banks[0].transactions[settlement(facts)].clone();
        facts.banks[0].transactions.push(twice);
    });
    breaks(Invariant::ExactlyOnce, "later", |facts| {
        let answers = &mut facts.banks[0].answers;
        let mut other = answers.iter().find(|answer| answer.outcome == SETTLED).unwrap().clone();
        other.outcome = LATE;
        answers.push(other);
    });
    breaks(Invariant::ExactlyOnce, "no copy that verifies", |facts| {
        facts.banks[0].arrivals.clear();
    });
}

#[test]
fn evidence() {
    breaks(Invariant::Evidence, "holds no proof", |facts| {
        let items = facts.items.clone();
        let core = facts.moments[0].nodes[1].core.as_mut().unwrap();
        core.retain(|item| items.bytes(*item)[0] != ITEM_PROOF);
    });
    breaks(Invariant::Evidence, "froze nobody", |facts| {
        let items = facts.items.clone();
        facts.banks[0].signed.retain(|item| items.bytes(*item)[0] != ITEM_FREEZE);
    });
}

#[test]
fn no_framing() {
    breaks(Invariant::NoFraming, "was not durable before", |facts| {
        facts.departures[0].step = 0;
    });
    breaks(Invariant::NoFraming, "it never made", |facts| facts.signings.clear());
    breaks(Invariant::NoFraming, "contradict each other", |facts| {
        facts.honest.insert(facts.banks[0].draws[0].author);
    });
    breaks(Invariant::NoFraming, "a key that was stopped", |facts| {
        let stop = |author: &_| Stop { author: *author, step: 0 };
        facts.stops.extend(facts.honest.iter().map(stop));
    });
}

#[test]
fn bounded() {
    breaks(Invariant::Bounded, "core entries", |facts| {
        facts.moments[0].nodes[1].counters.as_mut().unwrap().core_entries = 10_000;
    });
}

#[test]
fn the_loss_rule() {
    breaks(Invariant::LossRule, "before the end of claims", |facts| {
        let mut released = facts.banks[0].transactions.iter_mut().filter(|one| {
            let from_reserve = |posting: &Posting| {
                posting.amount < 0 && matches!(posting.account, Account::Reserve { .. })
            };
            one.entry.is_none() && one.postings.iter().any(from_reserve)
        });
        released.next_back().unwrap().clock_s = 0;
    });
    breaks(Invariant::LossRule, "there is no reason", |facts| {
        let mut answers = facts.banks[0].answers.iter_mut();
        answers.find(|answer| answer.outcome == SETTLED && answer.amount > 0).unwrap().outcome =
            LATE;
    });
}

#[test]
fn records_of_a_bank() {
    breaks(Invariant::BankRecords, "does not verify", |facts| {
        let last = *facts.banks[0].signed.last().unwrap();
        let mut forged = facts.items.bytes(last).to_vec();
        *forged.last_mut().unwrap() ^= 1;
        let forged = facts.items.note(&forged);
        facts.banks[0].signed.push(forged);
    });
    breaks(Invariant::BankRecords, "names outcome 0", |facts| {
        facts.banks[0].transactions.retain(|one| one.entry.is_none());
    });
}
